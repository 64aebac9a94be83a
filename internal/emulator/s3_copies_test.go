package emulator

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// copies copies an object within a bucket.
func (s *store) copies(bucket, from, to string, edit ...func(*awss3.CopyObjectInput)) (*awss3.CopyObjectOutput, error) {
	in := &awss3.CopyObjectInput{Bucket: &bucket, Key: &to, CopySource: aws.String(bucket + "/" + source(from))}
	for _, f := range edit {
		f(in)
	}
	return s.own.CopyObject(s.ctx, in)
}

func copyRows() []behaviour {
	return []behaviour{
		{id: "copy", what: "CopyObject: content, ETag, metadata, type", aws: "ok, text, MD5, map[run:42], text/plain", run: func(s *store) string {
			name := s.bucket("a")
			_, err := s.put(s.own, name, "k", "text", func(in *awss3.PutObjectInput) {
				in.Metadata, in.ContentType = map[string]string{"run": "42"}, aws.String("text/plain")
			})
			s.must("PutObject", err)
			_, err = s.copies(name, "k", "c")
			out, look := s.head(s.own, name, "c")
			s.must("HeadObject", look)
			return says(code(err), s.get(s.own, name, "c"), isMD5(aws.ToString(out.ETag), "text"), out.Metadata, aws.ToString(out.ContentType))
		}},
		{id: "copy-replace", what: "CopyObject with other metadata and another class", aws: "ok, map[run:43], text/html, STANDARD_IA", run: func(s *store) string {
			name := s.bucket("a")
			_, err := s.put(s.own, name, "k", "text", func(in *awss3.PutObjectInput) { in.Metadata = map[string]string{"run": "42", "of": "7"} })
			s.must("PutObject", err)
			_, err = s.copies(name, "k", "c", func(in *awss3.CopyObjectInput) {
				in.MetadataDirective, in.Metadata = s3types.MetadataDirectiveReplace, map[string]string{"run": "43"}
				in.ContentType, in.StorageClass = aws.String("text/html"), s3types.StorageClassStandardIa
			})
			out, look := s.head(s.own, name, "c")
			s.must("HeadObject", look)
			return says(code(err), out.Metadata, aws.ToString(out.ContentType), out.StorageClass)
		}},
		{id: "copy-source-match", what: "CopyObject with the source's ETag: another one, the right one; and with none of it", aws: "PreconditionFailed, ok, PreconditionFailed", run: func(s *store) string {
			name := s.bucket("a")
			etag := s.write(name, "k", "text")
			match := func(etag string) string {
				_, err := s.copies(name, "k", "c", func(in *awss3.CopyObjectInput) { in.CopySourceIfMatch = &etag })
				return code(err)
			}
			_, none := s.copies(name, "k", "c", func(in *awss3.CopyObjectInput) { in.CopySourceIfNoneMatch = &etag })
			return says(match(`"0123456789abcdef0123456789abcdef"`), match(etag), code(none))
		}},
		{id: "copy-none-match", what: "CopyObject with If-None-Match *, to a new key, and again", aws: "ok, PreconditionFailed", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			once := func() string {
				_, err := s.copies(name, "k", "c", func(in *awss3.CopyObjectInput) { in.IfNoneMatch = aws.String("*") })
				return code(err)
			}
			return says(once(), once())
		}},
		{id: "copy-match", what: "CopyObject with If-Match: another ETag, the right one, of a missing key", aws: "PreconditionFailed, ok, NoSuchKey", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			etag := s.write(name, "c", "old")
			match := func(to, etag string) string {
				_, err := s.copies(name, "k", to, func(in *awss3.CopyObjectInput) { in.IfMatch = &etag })
				return code(err)
			}
			return says(match("c", `"0123456789abcdef0123456789abcdef"`), match("c", etag), match("none", etag))
		}},
		{id: "copy-missing", what: "CopyObject of a missing key, of a missing bucket, without a key", aws: "NoSuchKey, NoSuchBucket, InvalidArgument", run: func(s *store) string {
			name := s.bucket("a")
			from := func(source string) string {
				_, err := s.own.CopyObject(s.ctx, &awss3.CopyObjectInput{Bucket: &name, Key: aws.String("c"), CopySource: &source})
				return code(err)
			}
			return says(from(name+"/none"), from(s.name("none")+"/k"), from(name))
		}},
		{id: "copy-itself", what: "CopyObject onto itself: as it is, with other metadata", aws: "InvalidRequest, ok", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			_, same := s.copies(name, "k", "k")
			_, other := s.copies(name, "k", "k", func(in *awss3.CopyObjectInput) {
				in.MetadataDirective, in.Metadata = s3types.MetadataDirectiveReplace, map[string]string{"run": "43"}
			})
			return says(code(same), code(other))
		}},
		{id: "copy-owners", what: "CopyObject with a wrong expected owner of the destination, and of the source", aws: "AccessDenied, AccessDenied", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			_, to := s.copies(name, "k", "c", func(in *awss3.CopyObjectInput) { in.ExpectedBucketOwner = &s.otherID })
			_, from := s.copies(name, "k", "c", func(in *awss3.CopyObjectInput) { in.ExpectedSourceBucketOwner = &s.otherID })
			return says(code(to), code(from))
		}},
		{id: "copy-region", what: "CopyObject from a bucket of another Region", aws: "ok, text", run: func(s *store) string {
			far, name := s.name("far"), s.bucket("a")
			if err := s.create(s.elsewhere, far, ""); err != nil {
				return "no other Region: " + code(err)
			}
			_, err := s.put(s.elsewhere, far, "k", "text")
			s.must("PutObject", err)
			_, err = s.own.CopyObject(s.ctx, &awss3.CopyObjectInput{Bucket: &name, Key: aws.String("c"), CopySource: aws.String(far + "/k")})
			return says(code(err), s.get(s.own, name, "c"))
		}},
		{id: "region", what: "ListObjectsV2 and HeadBucket by a client of another Region", aws: "PermanentRedirect, MovedPermanently", run: func(s *store) string {
			name := s.bucket("a")
			_, list := s.elsewhere.ListObjectsV2(s.ctx, &awss3.ListObjectsV2Input{Bucket: &name})
			_, head := s.elsewhere.HeadBucket(s.ctx, &awss3.HeadBucketInput{Bucket: &name})
			return says(code(list), code(head))
		}},
	}
}

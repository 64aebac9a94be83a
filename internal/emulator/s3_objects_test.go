package emulator

import (
	"crypto/md5" //nolint:gosec // an ETag is an MD5
	"fmt"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// oddKey is a key in which much has to be escaped somewhere.
const oddKey = "a b+c/%41?&=ü!.rdb"

// source writes a key as the header x-amz-copy-source wants it: whatever is not plain is escaped, and so is +, which some take for a space.
func source(key string) string { return strings.ReplaceAll(url.PathEscape(key), "+", "%2B") }

func putMatch(etag string) func(*awss3.PutObjectInput) {
	return func(in *awss3.PutObjectInput) { in.IfMatch = &etag }
}

func objectRows() []behaviour {
	return []behaviour{
		{id: "put-none-match", what: "PutObject with If-None-Match *, of a new key, and again", aws: "ok, PreconditionFailed, first", run: func(s *store) string {
			name := s.bucket("a")
			fresh := func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
			_, first := s.put(s.own, name, "k", "first", fresh)
			_, second := s.put(s.own, name, "k", "second", fresh)
			return says(code(first), code(second), s.get(s.own, name, "k"))
		}},
		{id: "put-match", what: "PutObject with If-Match of another ETag, of the right one, of a missing key", aws: "PreconditionFailed, ok, NoSuchKey, third", run: func(s *store) string {
			name := s.bucket("a")
			etag := s.write(name, "k", "first")
			_, second := s.put(s.own, name, "k", "second", putMatch(`"0123456789abcdef0123456789abcdef"`))
			_, third := s.put(s.own, name, "k", "third", putMatch(etag))
			_, none := s.put(s.own, name, "none", "fourth", putMatch(etag))
			return says(code(second), code(third), code(none), s.get(s.own, name, "k"))
		}},
		{id: "delete-match", what: "DeleteObject with If-Match of another ETag, and of the right one", aws: "PreconditionFailed, ok, NoSuchKey", run: func(s *store) string {
			name := s.bucket("a")
			etag := s.write(name, "k", "first")
			del := func(etag string) string {
				_, err := s.own.DeleteObject(s.ctx, &awss3.DeleteObjectInput{Bucket: &name, Key: aws.String("k"), IfMatch: &etag})
				return code(err)
			}
			return says(del(`"0123456789abcdef0123456789abcdef"`), del(etag), s.get(s.own, name, "k"))
		}},
		{id: "delete-missing", what: "DeleteObject, twice", aws: "ok, ok, NoSuchKey", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			del := func() string {
				_, err := s.own.DeleteObject(s.ctx, &awss3.DeleteObjectInput{Bucket: &name, Key: aws.String("k")})
				return code(err)
			}
			return says(del(), del(), s.get(s.own, name, "k"))
		}},
		{id: "get-ranges", what: "GetObject of ranges: first and last, open end, behind the end, beginning at the end", aws: "cde bytes 2-4/10, hij bytes 7-9/10, hij bytes 7-9/10, InvalidRange", run: func(s *store) string {
			return s.ranges("bytes=2-4", "bytes=7-", "bytes=7-99", "bytes=10-")
		}},
		{id: "get-last", what: "GetObject of the last bytes", aws: "hij bytes 7-9/10", run: func(s *store) string { return s.ranges("bytes=-3") }},
		{id: "get-no-range", what: "GetObject of what is no range: it is left out of account (RFC 9110)", aws: "abcdefghij , abcdefghij ", run: func(s *store) string {
			return s.ranges("bytes=4-2", "2-4")
		}},
		{id: "get-match", what: "GetObject with If-Match of another ETag and the right one, and with If-None-Match of both", aws: "PreconditionFailed, text, text, NotModified", run: func(s *store) string {
			name := s.bucket("a")
			etag := s.write(name, "k", "text")
			match := func(etag string) string {
				return s.get(s.own, name, "k", func(in *awss3.GetObjectInput) { in.IfMatch = &etag })
			}
			none := func(etag string) string {
				return s.get(s.own, name, "k", func(in *awss3.GetObjectInput) { in.IfNoneMatch = &etag })
			}
			const wrong = `"0123456789abcdef0123456789abcdef"`
			return says(match(wrong), match(etag), none(wrong), none(etag))
		}},
		{id: "get-missing", what: "GetObject of a missing key, and of a missing bucket", aws: "NoSuchKey, NoSuchBucket", run: func(s *store) string {
			return says(s.get(s.own, s.bucket("a"), "none"), s.get(s.own, s.name("none"), "none"))
		}},
		{id: "head-object", what: "HeadObject of an object, of a missing key, with another ETag, of a missing bucket, of another's object", aws: "ok, NotFound, PreconditionFailed, NotFound, Forbidden", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			head := func(c *awss3.Client, bucket, key string, match *string) string {
				_, err := c.HeadObject(s.ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: &key, IfMatch: match})
				return code(err)
			}
			return says(head(s.own, name, "k", nil), head(s.own, name, "none", nil), head(s.own, name, "k", aws.String(`"0123456789abcdef0123456789abcdef"`)),
				head(s.own, s.name("none"), "k", nil), head(s.other, name, "k", nil))
		}},
		{id: "facts", what: "What HeadObject tells: size, ETag, metadata with its names in small letters", aws: "4, MD5, map[run:42]", run: func(s *store) string {
			name := s.bucket("a")
			_, err := s.put(s.own, name, "k", "text", func(in *awss3.PutObjectInput) { in.Metadata = map[string]string{"Run": "42"} })
			s.must("PutObject", err)
			out, err := s.head(s.own, name, "k")
			s.must("HeadObject", err)
			return says(aws.ToInt64(out.ContentLength), isMD5(aws.ToString(out.ETag), "text"), out.Metadata)
		}},
		{id: "type", what: "The type of an object that nobody gave one: PutObject, for which the SDK sends one, and an upload in parts, for which it does not",
			aws: "application/octet-stream, binary/octet-stream", run: func(s *store) string {
				name, id := s.uploadOf()
				s.write(name, "put", "text")
				_, err := s.complete(name, "k", id, []s3types.CompletedPart{s.part(name, "k", id, 1, []byte("x"))})
				s.must("CompleteMultipartUpload", err)
				of := func(key string) string {
					out, err := s.head(s.own, name, key)
					s.must("HeadObject", err)
					return aws.ToString(out.ContentType)
				}
				return says(of("put"), of("k"))
			}},
		{id: "shown", what: "The encryption and the class of an object that nobody gave any, as HeadObject tells them", aws: "AES256, ", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			out, err := s.head(s.own, name, "k")
			s.must("HeadObject", err)
			return says(out.ServerSideEncryption, out.StorageClass)
		}},
		{id: "class", what: "PutObject in the class STANDARD_IA, and in one that does not exist", aws: "ok, STANDARD_IA, InvalidStorageClass", run: func(s *store) string {
			name := s.bucket("a")
			_, ia := s.put(s.own, name, "k", "text", func(in *awss3.PutObjectInput) { in.StorageClass = s3types.StorageClassStandardIa })
			_, bad := s.put(s.own, name, "x", "text", func(in *awss3.PutObjectInput) { in.StorageClass = "COLD" })
			out, err := s.head(s.own, name, "k")
			s.must("HeadObject", err)
			return says(code(ia), out.StorageClass, code(bad))
		}},
		{id: "empty", what: "An empty object, and a range of it", aws: "ok, 0, , InvalidRange", run: func(s *store) string {
			name := s.bucket("a")
			_, err := s.put(s.own, name, "k", "")
			out, look := s.head(s.own, name, "k")
			s.must("HeadObject", look)
			return says(code(err), aws.ToInt64(out.ContentLength), s.get(s.own, name, "k"), s.get(s.own, name, "k", func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=0-") }))
		}},
		{id: "key-odd", what: "A key with signs that are escaped: read, copied, listed", aws: "text, ok, " + oddKey + " " + oddKey + ".copy", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, oddKey, "text")
			_, err := s.own.CopyObject(s.ctx, &awss3.CopyObjectInput{Bucket: &name, Key: aws.String(oddKey + ".copy"), CopySource: aws.String(name + "/" + source(oddKey))})
			return says(s.get(s.own, name, oddKey), code(err), s.keys(name, nil))
		}},
		{id: "key-long", what: "A key of 1,024 and of 1,025 bytes", aws: "ok, KeyTooLongError", run: func(s *store) string {
			name := s.bucket("a")
			long := strings.Repeat(strings.Repeat("k", 127)+"/", 8)[:1023] + "k"
			_, most := s.put(s.own, name, long, "text")
			_, more := s.put(s.own, name, long+"k", "text")
			return says(code(most), code(more))
		}},
		{id: "list-order", what: "ListObjectsV2 of keys, with a prefix, and after a key", aws: "B a- a/x a0 b, a- a/x a0, a0 b", run: func(s *store) string {
			name := s.filled()
			return says(s.keys(name, nil), s.keys(name, func(in *awss3.ListObjectsV2Input) { in.Prefix = aws.String("a") }),
				s.keys(name, func(in *awss3.ListObjectsV2Input) { in.StartAfter = aws.String("a/x") }))
		}},
		{id: "list-pages", what: "ListObjectsV2 in pages of 2", aws: "B a- true 2, a/x a0 true 2, b false 1", run: func(s *store) string {
			name := s.filled()
			var all []any
			in := &awss3.ListObjectsV2Input{Bucket: &name, MaxKeys: aws.Int32(2)}
			for range 4 {
				out, err := s.own.ListObjectsV2(s.ctx, in)
				s.must("ListObjectsV2", err)
				text := ""
				for _, o := range out.Contents {
					text += aws.ToString(o.Key) + " "
				}
				all = append(all, fmt.Sprint(text, aws.ToBool(out.IsTruncated), " ", aws.ToInt32(out.KeyCount)))
				if in.ContinuationToken = out.NextContinuationToken; in.ContinuationToken == nil {
					break
				}
			}
			return says(all...)
		}},
		{id: "list-empty", what: "ListObjectsV2 of an empty bucket, and of none", aws: " false, NoSuchBucket", run: func(s *store) string {
			name, none := s.bucket("a"), s.name("none")
			out, err := s.own.ListObjectsV2(s.ctx, &awss3.ListObjectsV2Input{Bucket: &name})
			s.must("ListObjectsV2", err)
			_, err = s.own.ListObjectsV2(s.ctx, &awss3.ListObjectsV2Input{Bucket: &none})
			return says(s.keys(name, nil)+" "+fmt.Sprint(aws.ToBool(out.IsTruncated)), code(err))
		}},
	}
}

// filled makes a bucket with keys whose order is that of their bytes.
func (s *store) filled() string {
	name := s.bucket("a")
	for _, key := range []string{"b", "a/x", "B", "a0", "a-"} {
		s.write(name, key, key)
	}
	return name
}

// keys lists a bucket's keys.
func (s *store) keys(bucket string, edit func(*awss3.ListObjectsV2Input)) string {
	s.t.Helper()
	in := &awss3.ListObjectsV2Input{Bucket: &bucket}
	if edit != nil {
		edit(in)
	}
	out, err := s.own.ListObjectsV2(s.ctx, in)
	s.must("ListObjectsV2", err)
	var all []string
	for _, o := range out.Contents {
		all = append(all, aws.ToString(o.Key))
	}
	return strings.Join(all, " ")
}

// ranges reads ranges of an object of ten bytes.
func (s *store) ranges(list ...string) string {
	s.t.Helper()
	name := s.bucket("a")
	s.write(name, "k", "abcdefghij")
	var all []any
	for _, r := range list {
		out, err := s.own.GetObject(s.ctx, &awss3.GetObjectInput{Bucket: &name, Key: aws.String("k"), Range: &r})
		if err != nil {
			all = append(all, code(err))
			continue
		}
		out.Body.Close()
		all = append(all, s.get(s.own, name, "k", func(in *awss3.GetObjectInput) { in.Range = &r })+" "+aws.ToString(out.ContentRange))
	}
	return says(all...)
}

// isMD5 tells whether an ETag is the MD5 of a text.
func isMD5(etag, text string) string {
	if etag == fmt.Sprintf(`"%x"`, md5.Sum([]byte(text))) { //nolint:gosec // as above
		return "MD5"
	}
	return etag
}

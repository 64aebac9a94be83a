package emulator

import (
	"bytes"
	"crypto/md5" //nolint:gosec // an ETag is an MD5
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const mib = 1 << 20

// noUpload has the form of an upload's id, and is none.
const noUpload = "00000000-0000-4000-8000-000000000000"

// begin begins an upload in parts.
func (s *store) begin(bucket, key string, edit ...func(*awss3.CreateMultipartUploadInput)) string {
	s.t.Helper()
	in := &awss3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key}
	for _, f := range edit {
		f(in)
	}
	out, err := s.own.CreateMultipartUpload(s.ctx, in)
	s.must("CreateMultipartUpload", err)
	return aws.ToString(out.UploadId)
}

// part uploads a part that must succeed, and gives what its completion names.
func (s *store) part(bucket, key, id string, number int32, data []byte, edit ...func(*awss3.UploadPartInput)) s3types.CompletedPart {
	s.t.Helper()
	in := &awss3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: &id, PartNumber: &number, Body: bytes.NewReader(data)}
	for _, f := range edit {
		f(in)
	}
	out, err := s.own.UploadPart(s.ctx, in)
	s.must("UploadPart", err)
	return s3types.CompletedPart{PartNumber: &number, ETag: out.ETag}
}

// complete completes an upload.
func (s *store) complete(bucket, key, id string, parts []s3types.CompletedPart, edit ...func(*awss3.CompleteMultipartUploadInput)) (*awss3.CompleteMultipartUploadOutput, error) {
	in := &awss3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &id, MultipartUpload: &s3types.CompletedMultipartUpload{Parts: parts}}
	for _, f := range edit {
		f(in)
	}
	return s.own.CompleteMultipartUpload(s.ctx, in)
}

func (s *store) abort(bucket, key, id string) string {
	_, err := s.own.AbortMultipartUpload(s.ctx, &awss3.AbortMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: &id})
	return code(err)
}

// partCopy copies a range of an object to a part.
func (s *store) partCopy(bucket, key, id, from, span string, number int32, edit ...func(*awss3.UploadPartCopyInput)) (s3types.CompletedPart, error) {
	in := &awss3.UploadPartCopyInput{Bucket: &bucket, Key: &key, UploadId: &id, PartNumber: &number, CopySource: aws.String(bucket + "/" + from)}
	if span != "" {
		in.CopySourceRange = &span
	}
	for _, f := range edit {
		f(in)
	}
	out, err := s.own.UploadPartCopy(s.ctx, in)
	if err != nil {
		return s3types.CompletedPart{}, err
	}
	return s3types.CompletedPart{PartNumber: &number, ETag: out.CopyPartResult.ETag}, nil
}

// uploads lists the unfinished uploads by key.
func (s *store) uploads(bucket, prefix string) string {
	s.t.Helper()
	out, err := s.own.ListMultipartUploads(s.ctx, &awss3.ListMultipartUploadsInput{Bucket: &bucket, Prefix: &prefix})
	s.must("ListMultipartUploads", err)
	var keys []string
	for _, u := range out.Uploads {
		keys = append(keys, aws.ToString(u.Key))
	}
	return strings.Join(keys, " ")
}

// etags gives the ETag that an object of parts has.
func etags(parts ...[]byte) string {
	all := md5.New() //nolint:gosec // as above
	for _, p := range parts {
		sum := md5.Sum(p) //nolint:gosec // as above
		all.Write(sum[:])
	}
	return fmt.Sprintf(`"%x-%d"`, all.Sum(nil), len(parts))
}

// uploadOf begins an upload to key k of a new bucket.
func (s *store) uploadOf() (bucket, id string) {
	s.t.Helper()
	bucket = s.bucket("a")
	return bucket, s.begin(bucket, "k")
}

func uploadRows() []behaviour {
	return []behaviour{
		{id: "upload", what: "An upload of two parts: content, ETag, parts of the object", aws: "same, ETag, 2", run: func(s *store) string {
			name, id := s.uploadOf()
			data := pattern(5*mib + 100)
			parts := []s3types.CompletedPart{s.part(name, "k", id, 1, data[:5*mib]), s.part(name, "k", id, 2, data[5*mib:])}
			out, err := s.complete(name, "k", id, parts)
			s.must("CompleteMultipartUpload", err)
			etag := "ETag"
			if aws.ToString(out.ETag) != etags(data[:5*mib], data[5*mib:]) {
				etag = aws.ToString(out.ETag)
			}
			head, err := s.own.HeadObject(s.ctx, &awss3.HeadObjectInput{Bucket: &name, Key: aws.String("k"), PartNumber: aws.Int32(1)})
			s.must("HeadObject", err)
			return says(s.same(name, "k", data), etag, aws.ToInt32(head.PartsCount))
		}},
		{id: "upload-again", what: "A part that is uploaded twice: the last one counts", aws: "second", run: func(s *store) string {
			name, id := s.uploadOf()
			s.part(name, "k", id, 1, []byte("first"))
			_, err := s.complete(name, "k", id, []s3types.CompletedPart{s.part(name, "k", id, 1, []byte("second"))})
			s.must("CompleteMultipartUpload", err)
			return s.get(s.own, name, "k")
		}},
		{id: "upload-gaps", what: "Part numbers with gaps, of which one is left out", aws: "ok, same", run: func(s *store) string {
			name, id := s.uploadOf()
			data := pattern(5*mib + 100)
			first := s.part(name, "k", id, 3, data[:5*mib])
			s.part(name, "k", id, 5, []byte("left out"))
			_, err := s.complete(name, "k", id, []s3types.CompletedPart{first, s.part(name, "k", id, 9999, data[5*mib:])})
			return says(code(err), s.same(name, "k", data))
		}},
		{id: "part-number", what: "UploadPart of number 0 and 10,001", aws: "InvalidArgument, InvalidArgument", run: func(s *store) string {
			name, id := s.uploadOf()
			up := func(n int32) string {
				_, err := s.own.UploadPart(s.ctx, &awss3.UploadPartInput{Bucket: &name, Key: aws.String("k"), UploadId: &id, PartNumber: &n, Body: strings.NewReader("x")})
				return code(err)
			}
			return says(up(0), up(10_001))
		}},
		{id: "no-upload", what: "UploadPart, UploadPartCopy, ListParts, CompleteMultipartUpload and AbortMultipartUpload of an upload that is not",
			aws: "NoSuchUpload, NoSuchUpload, NoSuchUpload, NoSuchUpload, NoSuchUpload", run: func(s *store) string {
				name, id := s.uploadOf()
				part := s.part(name, "k", id, 1, []byte("x"))
				s.write(name, "from", "text")
				return s.without(name, noUpload, part)
			}},
		{id: "aborted", what: "The same of an aborted upload", aws: "ok, NoSuchUpload, NoSuchUpload, NoSuchUpload, NoSuchUpload, NoSuchUpload", run: func(s *store) string {
			name, id := s.uploadOf()
			part := s.part(name, "k", id, 1, []byte("x"))
			s.write(name, "from", "text")
			return says(s.abort(name, "k", id), s.without(name, id, part))
		}},
		{id: "completed", what: "ListParts and AbortMultipartUpload of a completed upload", aws: "NoSuchUpload, NoSuchUpload, x", run: func(s *store) string {
			name, id := s.uploadOf()
			_, err := s.complete(name, "k", id, []s3types.CompletedPart{s.part(name, "k", id, 1, []byte("x"))})
			s.must("CompleteMultipartUpload", err)
			_, list := s.own.ListParts(s.ctx, &awss3.ListPartsInput{Bucket: &name, Key: aws.String("k"), UploadId: &id})
			return says(code(list), s.abort(name, "k", id), s.get(s.own, name, "k"))
		}},
		{id: "completed-again", what: "CompleteMultipartUpload of a completed upload, with the same parts", aws: "NoSuchUpload", run: func(s *store) string {
			name, id := s.uploadOf()
			parts := []s3types.CompletedPart{s.part(name, "k", id, 1, []byte("x"))}
			_, err := s.complete(name, "k", id, parts)
			s.must("CompleteMultipartUpload", err)
			_, err = s.complete(name, "k", id, parts)
			return code(err)
		}},
		{id: "other-key", what: "AbortMultipartUpload with another key, and the upload after it", aws: "NoSuchUpload, k", run: func(s *store) string {
			name, id := s.uploadOf()
			return says(s.abort(name, "x", id), s.uploads(name, ""))
		}},
		{id: "list-parts", what: "ListParts, in pages of 2", aws: "1:5 2:6 true, 4:7 false", run: func(s *store) string {
			name, id := s.uploadOf()
			s.part(name, "k", id, 4, []byte("1234567"))
			s.part(name, "k", id, 2, []byte("123456"))
			s.part(name, "k", id, 1, []byte("12345"))
			var all []any
			in := &awss3.ListPartsInput{Bucket: &name, Key: aws.String("k"), UploadId: &id, MaxParts: aws.Int32(2)}
			for range 3 {
				out, err := s.own.ListParts(s.ctx, in)
				s.must("ListParts", err)
				text := ""
				for _, p := range out.Parts {
					text += fmt.Sprintf("%d:%d ", aws.ToInt32(p.PartNumber), aws.ToInt64(p.Size))
				}
				all = append(all, fmt.Sprint(text, aws.ToBool(out.IsTruncated)))
				if in.PartNumberMarker = out.NextPartNumberMarker; !aws.ToBool(out.IsTruncated) {
					break
				}
			}
			return says(all...)
		}},
		{id: "list-uploads", what: "ListMultipartUploads, with a prefix, after an abort; an unfinished upload is no object", aws: "a b/x b/y, b/x b/y, a b/y, ", run: func(s *store) string {
			name := s.bucket("a")
			s.begin(name, "b/y")
			gone := s.begin(name, "b/x")
			s.begin(name, "a")
			all, some := s.uploads(name, ""), s.uploads(name, "b/")
			s.abort(name, "b/x", gone)
			return says(all, some, s.uploads(name, ""), s.keys(name, nil))
		}},
		{id: "list-uploads-facts", what: "What ListMultipartUploads tells of an upload that was just begun", aws: "now, CRC64NVME, STANDARD", run: func(s *store) string {
			name := s.bucket("a")
			s.begin(name, "k", func(in *awss3.CreateMultipartUploadInput) {
				in.ChecksumAlgorithm = s3types.ChecksumAlgorithmCrc64nvme
			})
			out, err := s.own.ListMultipartUploads(s.ctx, &awss3.ListMultipartUploadsInput{Bucket: &name})
			s.must("ListMultipartUploads", err)
			u, at := out.Uploads[0], "now"
			if since := time.Since(aws.ToTime(u.Initiated)); since < -time.Minute || since > time.Minute {
				at = aws.ToTime(u.Initiated).UTC().Format(time.DateOnly)
			}
			return says(at, u.ChecksumAlgorithm, u.StorageClass)
		}},
		{id: "list-uploads-pages", what: "ListMultipartUploads in pages of 1, two of one key", aws: "a true, b true, b false, both", run: func(s *store) string {
			name := s.bucket("a")
			s.begin(name, "b")
			s.wait(1)
			s.begin(name, "b")
			s.begin(name, "a")
			var all []any
			ids := map[string]bool{}
			in := &awss3.ListMultipartUploadsInput{Bucket: &name, MaxUploads: aws.Int32(1)}
			for range 4 {
				out, err := s.own.ListMultipartUploads(s.ctx, in)
				s.must("ListMultipartUploads", err)
				for _, u := range out.Uploads {
					ids[aws.ToString(u.UploadId)] = true
					all = append(all, fmt.Sprint(aws.ToString(u.Key), " ", aws.ToBool(out.IsTruncated)))
				}
				if in.KeyMarker, in.UploadIdMarker = out.NextKeyMarker, out.NextUploadIdMarker; !aws.ToBool(out.IsTruncated) {
					break
				}
			}
			if len(ids) == 3 {
				all = append(all, "both")
			}
			return says(all...)
		}},
		{id: "complete-bad", what: "CompleteMultipartUpload: a part that is not, another ETag, wrong order, the same part twice, no parts, a small part before the last; then rightly",
			aws: "InvalidPart, InvalidPart, InvalidPartOrder, InvalidPartOrder, MalformedXML, EntityTooSmall, ok", run: func(s *store) string {
				name, id := s.uploadOf()
				small, big, end := s.part(name, "k", id, 1, []byte("small")), s.part(name, "k", id, 2, pattern(5*mib)), s.part(name, "k", id, 4, []byte("end"))
				more := s.part(name, "k", id, 3, pattern(5*mib))
				try := func(parts ...s3types.CompletedPart) string {
					_, err := s.complete(name, "k", id, parts)
					return code(err)
				}
				return says(try(big, s3types.CompletedPart{PartNumber: aws.Int32(5), ETag: end.ETag}), try(big, s3types.CompletedPart{PartNumber: aws.Int32(4), ETag: small.ETag}),
					try(more, big, end), try(big, big, end), try(), try(small, big), try(big, end))
			}},
		{id: "complete-size", what: "CompleteMultipartUpload with a wrong size of the object, and with the right one", aws: "InvalidRequest, ok", run: func(s *store) string {
			name, id := s.uploadOf()
			part := s.part(name, "k", id, 1, []byte("text"))
			try := func(size int64) string {
				_, err := s.complete(name, "k", id, []s3types.CompletedPart{part}, func(in *awss3.CompleteMultipartUploadInput) { in.MpuObjectSize = &size })
				return code(err)
			}
			return says(try(5), try(4))
		}},
		{id: "complete-none-match", what: "CompleteMultipartUpload with If-None-Match * where an object is: refused, the upload stays; after its deletion",
			aws: "PreconditionFailed, old, k, ok, new", run: func(s *store) string {
				name, id := s.uploadOf()
				s.write(name, "k", "old")
				part := s.part(name, "k", id, 1, []byte("new"))
				try := func() string {
					_, err := s.complete(name, "k", id, []s3types.CompletedPart{part}, func(in *awss3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") })
					return code(err)
				}
				first, old, still := try(), s.get(s.own, name, "k"), s.uploads(name, "")
				_, err := s.own.DeleteObject(s.ctx, &awss3.DeleteObjectInput{Bucket: &name, Key: aws.String("k")})
				s.must("DeleteObject", err)
				return says(first, old, still, try(), s.get(s.own, name, "k"))
			}},
		{id: "complete-match", what: "CompleteMultipartUpload with If-Match of another ETag, and the right one", aws: "PreconditionFailed, ok, new", run: func(s *store) string {
			name, id := s.uploadOf()
			etag := s.write(name, "k", "old")
			part := s.part(name, "k", id, 1, []byte("new"))
			try := func(etag string) string {
				_, err := s.complete(name, "k", id, []s3types.CompletedPart{part}, func(in *awss3.CompleteMultipartUploadInput) { in.IfMatch = &etag })
				return code(err)
			}
			return says(try(`"0123456789abcdef0123456789abcdef"`), try(etag), s.get(s.own, name, "k"))
		}},
		{id: "part-copy", what: "66 MiB copied in five parts that are pinned to the source's ETag: content, ETag", aws: "same, ETag", run: func(s *store) string {
			const size, step = 66 * mib, 16 * mib
			name, data := s.bucket("a"), pattern(size)
			etag := s.large(name, "from", data)
			id := s.begin(name, "k")
			var parts []s3types.CompletedPart
			var want [][]byte
			for first := 0; first < size; first += step {
				p, err := s.partCopy(name, "k", id, "from", fmt.Sprintf("bytes=%d-%d", first, min(first+step, size)-1), int32(len(parts)+1),
					func(in *awss3.UploadPartCopyInput) { in.CopySourceIfMatch = &etag })
				s.must("UploadPartCopy", err)
				parts, want = append(parts, p), append(want, data[first:min(first+step, size)])
			}
			out, err := s.complete(name, "k", id, parts)
			s.must("CompleteMultipartUpload", err)
			sum := "ETag"
			if aws.ToString(out.ETag) != etags(want...) {
				sum = aws.ToString(out.ETag)
			}
			return says(s.same(name, "k", data), sum)
		}},
		{id: "part-copy-match", what: "UploadPartCopy of a source that was replaced: pinned to its old ETag, and to the new one", aws: "PreconditionFailed, ok, 1 part", run: func(s *store) string {
			name, id := s.uploadOf()
			old := s.write(name, "from", "old")
			now := s.write(name, "from", "new")
			try := func(etag string) string {
				_, err := s.partCopy(name, "k", id, "from", "", 1, func(in *awss3.UploadPartCopyInput) { in.CopySourceIfMatch = &etag })
				return code(err)
			}
			first, second := try(old), try(now)
			out, err := s.own.ListParts(s.ctx, &awss3.ListPartsInput{Bucket: &name, Key: aws.String("k"), UploadId: &id})
			s.must("ListParts", err)
			return says(first, second, fmt.Sprint(len(out.Parts), " part"))
		}},
		{id: "part-copy-range", what: "UploadPartCopy of a range: behind the end, over the end, without an end, of what is no range", aws: "InvalidArgument, InvalidArgument, InvalidArgument, InvalidArgument", run: func(s *store) string {
			name, id := s.uploadOf()
			s.large(name, "from", pattern(6*mib))
			var all []any
			for _, r := range []string{"bytes=6291456-6291460", "bytes=5242880-6291456", "bytes=5242880-", "1-2"} {
				_, err := s.partCopy(name, "k", id, "from", r, 1)
				all = append(all, code(err))
			}
			return says(all...)
		}},
		{id: "part-copy-small", what: "UploadPartCopy of a range of a source of less than 5 MiB", aws: "InvalidRequest", run: func(s *store) string {
			name, id := s.uploadOf()
			s.write(name, "from", "abcdefghij")
			_, err := s.partCopy(name, "k", id, "from", "bytes=2-4", 1)
			return code(err)
		}},
		{id: "part-copy-missing", what: "UploadPartCopy of a missing key, with a wrong expected owner of the source", aws: "NoSuchKey, AccessDenied", run: func(s *store) string {
			name, id := s.uploadOf()
			s.write(name, "from", "text")
			_, none := s.partCopy(name, "k", id, "none", "", 1)
			_, owner := s.partCopy(name, "k", id, "from", "", 1, func(in *awss3.UploadPartCopyInput) { in.ExpectedSourceBucketOwner = &s.otherID })
			return says(code(none), code(owner))
		}},
	}
}

// without does with an upload what needs one.
func (s *store) without(bucket, id string, part s3types.CompletedPart) string {
	s.t.Helper()
	key := aws.String("k")
	_, up := s.own.UploadPart(s.ctx, &awss3.UploadPartInput{Bucket: &bucket, Key: key, UploadId: &id, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
	_, copied := s.partCopy(bucket, "k", id, "from", "", 1)
	_, list := s.own.ListParts(s.ctx, &awss3.ListPartsInput{Bucket: &bucket, Key: key, UploadId: &id})
	_, done := s.complete(bucket, "k", id, []s3types.CompletedPart{part})
	return says(code(up), code(copied), code(list), code(done), s.abort(bucket, "k", id))
}

// large writes an object of bytes, and gives its ETag.
func (s *store) large(bucket, key string, data []byte) string {
	s.t.Helper()
	out, err := s.own.PutObject(s.ctx, &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)})
	s.must("PutObject", err)
	return aws.ToString(out.ETag)
}

// same tells whether an object has the bytes.
func (s *store) same(bucket, key string, want []byte) string {
	s.t.Helper()
	out, err := s.own.GetObject(s.ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return code(err)
	}
	defer out.Body.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, out.Body)
	s.must("body", err)
	if expected := sha256.Sum256(want); n != int64(len(want)) || !bytes.Equal(sum.Sum(nil), expected[:]) {
		return fmt.Sprintf("%d other bytes", n)
	}
	return "same"
}

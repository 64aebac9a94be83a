package s3sim_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

const mib = 1 << 20

// begin starts an upload to box/key.
func (b *bed) begin(key string, edit ...func(*awss3.CreateMultipartUploadInput)) *string {
	b.Helper()
	in := &awss3.CreateMultipartUploadInput{Bucket: aws.String("box"), Key: &key}
	for _, f := range edit {
		f(in)
	}
	out, err := b.api.CreateMultipartUpload(b.Context(), in)
	b.ok(err)
	return out.UploadId
}

// part copies a range of box/source to a part.
func (b *bed) part(id *string, key string, n int32, span string, edit ...func(*awss3.UploadPartCopyInput)) (s3types.CompletedPart, error) {
	in := &awss3.UploadPartCopyInput{Bucket: aws.String("box"), Key: &key, UploadId: id, PartNumber: &n, CopySource: aws.String("box/source")}
	if span != "" {
		in.CopySourceRange = &span
	}
	for _, f := range edit {
		f(in)
	}
	out, err := b.api.UploadPartCopy(b.Context(), in)
	if err != nil {
		return s3types.CompletedPart{}, err
	}
	r := out.CopyPartResult
	return s3types.CompletedPart{PartNumber: &n, ETag: r.ETag, ChecksumSHA256: r.ChecksumSHA256}, nil
}

func (b *bed) complete(id *string, key string, parts []s3types.CompletedPart, edit ...func(*awss3.CompleteMultipartUploadInput)) (*awss3.CompleteMultipartUploadOutput, error) {
	in := &awss3.CompleteMultipartUploadInput{Bucket: aws.String("box"), Key: &key, UploadId: id, MultipartUpload: &s3types.CompletedMultipartUpload{Parts: parts}}
	for _, f := range edit {
		f(in)
	}
	return b.api.CompleteMultipartUpload(b.Context(), in)
}

func (b *bed) head(key string) *awss3.HeadObjectOutput {
	b.Helper()
	out, err := b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: &key, ChecksumMode: s3types.ChecksumModeEnabled})
	b.ok(err)
	return out
}

// TestPartCopy puts an object of 20 GiB together from copies of its ranges; it takes no memory.
func TestPartCopy(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		const size, each = 20<<30 + 12345, 4 << 30
		if !b.sim.Generate(b.world, region, "box", "source", size, 1) {
			t.Fatal("no bucket")
		}
		source := b.head("source")
		id := b.begin("copy")
		var parts []s3types.CompletedPart
		for at := int64(0); at < size; at += each {
			p, err := b.part(id, "copy", int32(len(parts)+1), "bytes="+strconv.FormatInt(at, 10)+"-"+strconv.FormatInt(min(at+each, size)-1, 10),
				func(in *awss3.UploadPartCopyInput) { in.CopySourceIfMatch = source.ETag })
			b.ok(err)
			parts = append(parts, p)
		}
		out, err := b.complete(id, "copy", parts, func(in *awss3.CompleteMultipartUploadInput) {
			in.IfNoneMatch, in.MpuObjectSize = aws.String("*"), aws.Int64(size)
			in.ChecksumCRC64NVME = source.ChecksumCRC64NVME
		})
		b.ok(err)
		copied := b.head("copy")
		if *copied.ContentLength != size || *copied.ChecksumCRC64NVME != *source.ChecksumCRC64NVME || *copied.ETag != *out.ETag || !strings.HasSuffix(*out.ETag, `-6"`) {
			t.Errorf("the copy has %d bytes, CRC %s (source %s), ETag %s", *copied.ContentLength, *copied.ChecksumCRC64NVME, *source.ChecksumCRC64NVME, *out.ETag)
		}
		if !b.sim.Same(b.world, region, "box", "source", region, "box", "copy") {
			t.Error("other bytes")
		}
		if left := b.sim.Uploads(b.world, region, "box"); left != nil {
			t.Errorf("uploads are left: %v", left)
		}
		_, err = b.complete(id, "copy", parts)
		b.code(err, "NoSuchUpload")
	})
}

func TestPartRefusals(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("small", "abc"))
		b.ok(b.put("source", strings.Repeat("s", 12*mib)))
		id := b.begin("k")
		for name, c := range map[string]struct {
			code string
			edit func(*awss3.UploadPartCopyInput)
		}{
			"number 0":     {"InvalidArgument", func(in *awss3.UploadPartCopyInput) { in.PartNumber = aws.Int32(0) }},
			"number 10001": {"InvalidArgument", func(in *awss3.UploadPartCopyInput) { in.PartNumber = aws.Int32(10_001) }},
			"behind":       {"InvalidArgument", func(in *awss3.UploadPartCopyInput) { in.CopySourceRange = aws.String("bytes=0-12582912") }},
			"open range":   {"InvalidArgument", func(in *awss3.UploadPartCopyInput) { in.CopySourceRange = aws.String("bytes=0-") }},
			"small source": {"InvalidArgument", func(in *awss3.UploadPartCopyInput) {
				in.CopySource, in.CopySourceRange = aws.String("box/small"), aws.String("bytes=0-1")
			}},
			"other ETag":    {"PreconditionFailed", func(in *awss3.UploadPartCopyInput) { in.CopySourceIfMatch = aws.String(`"x"`) }},
			"no source":     {"NoSuchKey", func(in *awss3.UploadPartCopyInput) { in.CopySource = aws.String("box/nothing") }},
			"no bucket":     {"NoSuchBucket", func(in *awss3.UploadPartCopyInput) { in.CopySource = aws.String("nowhere/source") }},
			"no key":        {"InvalidArgument", func(in *awss3.UploadPartCopyInput) { in.CopySource = aws.String("box") }},
			"other owner":   {"AccessDenied", func(in *awss3.UploadPartCopyInput) { in.ExpectedSourceBucketOwner = aws.String(other) }},
			"other upload":  {"NoSuchUpload", func(in *awss3.UploadPartCopyInput) { in.UploadId = aws.String("x") }},
			"other key":     {"NoSuchUpload", func(in *awss3.UploadPartCopyInput) { in.Key = aws.String("x") }},
			"other version": {"NoSuchVersion", func(in *awss3.UploadPartCopyInput) { in.CopySource = aws.String("box/source?versionId=x") }},
		} {
			_, err := b.part(id, "k", 1, "bytes=0-5242879", c.edit)
			if t.Run(name, func(*testing.T) { b.code(err, c.code) }); b.Failed() {
				return
			}
		}
		one, err := b.part(id, "k", 1, "bytes=0-5242879")
		b.ok(err)
		two, err := b.part(id, "k", 2, "bytes=5242880-5242889")
		b.ok(err)
		three, err := b.part(id, "k", 3, "bytes=5242890-12582911")
		b.ok(err)
		_, err = b.complete(id, "k", []s3types.CompletedPart{one, two, three})
		b.code(err, "EntityTooSmall")
		_, err = b.complete(id, "k", []s3types.CompletedPart{three, one})
		b.code(err, "InvalidPartOrder")
		_, err = b.complete(id, "k", []s3types.CompletedPart{{PartNumber: aws.Int32(1), ETag: two.ETag}})
		b.code(err, "InvalidPart")
		_, err = b.complete(id, "k", []s3types.CompletedPart{one, {PartNumber: aws.Int32(4), ETag: two.ETag}})
		b.code(err, "InvalidPart")
		_, err = b.complete(id, "k", nil)
		b.code(err, "MalformedXML")
		_, err = b.complete(id, "k", []s3types.CompletedPart{one}, func(in *awss3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(7) })
		b.code(err, "InvalidRequest")
		_, err = b.complete(id, "k", []s3types.CompletedPart{one}, func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = aws.String("AAAAAAAAAAA=") })
		b.code(err, "BadDigest")
		b.ok(b.put("k", "taken"))
		_, err = b.complete(id, "k", []s3types.CompletedPart{one}, func(in *awss3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") })
		b.code(err, "PreconditionFailed")
		if text, err := b.get("k"); err != nil || text != "taken" {
			t.Errorf("%q, %v", text, err)
		}
		if left := b.sim.Uploads(b.world, region, "box"); len(left) != 1 || left[0].Parts != 3 {
			t.Errorf("%v", left)
		}
		abort := &awss3.AbortMultipartUploadInput{Bucket: aws.String("box"), Key: aws.String("k"), UploadId: id}
		_, err = b.api.AbortMultipartUpload(b.Context(), abort)
		b.ok(err)
		_, err = b.api.AbortMultipartUpload(b.Context(), abort)
		b.code(err, "NoSuchUpload")
	})
}

// TestUploadLists pages through parts and uploads and holds a part that was sent twice to be the later.
func TestUploadLists(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.world.SetPageLimit(2)
		id := b.begin("a")
		b.begin("a")
		b.begin("ab")
		b.begin("b")
		for n := range int32(5) {
			for _, text := range []string{"first", "part " + strconv.Itoa(int(n))} {
				_, err := b.api.UploadPart(b.Context(), &awss3.UploadPartInput{Bucket: aws.String("box"), Key: aws.String("a"), UploadId: id, PartNumber: aws.Int32(n + 1), Body: strings.NewReader(text)})
				b.ok(err)
			}
		}
		var numbers []int32
		for p := awss3.NewListPartsPaginator(b.api, &awss3.ListPartsInput{Bucket: aws.String("box"), Key: aws.String("a"), UploadId: id}); p.HasMorePages(); {
			page, err := p.NextPage(b.Context())
			b.ok(err)
			for _, x := range page.Parts {
				numbers = append(numbers, *x.PartNumber)
				if *x.Size != 6 {
					t.Errorf("part %d has %d bytes", *x.PartNumber, *x.Size)
				}
			}
		}
		var keys []string
		for p := awss3.NewListMultipartUploadsPaginator(b.api, &awss3.ListMultipartUploadsInput{Bucket: aws.String("box"), Prefix: aws.String("a")}); p.HasMorePages(); {
			page, err := p.NextPage(b.Context())
			b.ok(err)
			for _, x := range page.Uploads {
				keys = append(keys, *x.Key)
			}
		}
		if d := cmp.Diff([]int32{1, 2, 3, 4, 5}, numbers); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"a", "a", "ab"}, keys); d != "" {
			t.Error(d)
		}
	})
}

// TestChecksums holds full-object and composite checksums to what S3 documents.
func TestChecksums(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		data := bytes.Repeat([]byte("0123456789abcdef"), 12*mib/16)
		b.ok(b.put("source", string(data), func(in *awss3.PutObjectInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmSha256 }))
		whole := b.head("source")
		if whole.ChecksumType != s3types.ChecksumTypeFullObject || whole.ChecksumSHA256 == nil || strings.Contains(*whole.ChecksumSHA256, "-") {
			t.Errorf("%+v", whole)
		}
		id := b.begin("parts", func(in *awss3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmSha256 })
		one, err := b.part(id, "parts", 1, "bytes=0-8388607")
		b.ok(err)
		two, err := b.part(id, "parts", 2, "bytes=8388608-12582911")
		b.ok(err)
		bare := one
		bare.ChecksumSHA256 = nil
		_, err = b.complete(id, "parts", []s3types.CompletedPart{bare, two})
		b.code(err, "InvalidRequest")
		wrong := one
		wrong.ChecksumSHA256 = two.ChecksumSHA256
		_, err = b.complete(id, "parts", []s3types.CompletedPart{wrong, two})
		b.code(err, "InvalidPart")
		_, err = b.complete(id, "parts", []s3types.CompletedPart{one, two})
		b.ok(err)
		if got := b.head("parts"); got.ChecksumType != s3types.ChecksumTypeComposite || !strings.HasSuffix(*got.ChecksumSHA256, "-2") {
			t.Errorf("%v %v", got.ChecksumType, aws.ToString(got.ChecksumSHA256))
		}
		// A copy in one piece has a checksum of the whole again.
		_, err = b.api.CopyObject(b.Context(), &awss3.CopyObjectInput{Bucket: aws.String("box"), Key: aws.String("again"), CopySource: aws.String("box/parts")})
		b.ok(err)
		if got := b.head("again"); *got.ChecksumSHA256 != *whole.ChecksumSHA256 || *got.ETag != *whole.ETag {
			t.Errorf("%v %v", aws.ToString(got.ChecksumSHA256), *got.ETag)
		}
		_, err = b.api.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String("box"), Key: aws.String("x"),
			ChecksumAlgorithm: s3types.ChecksumAlgorithmSha256, ChecksumType: s3types.ChecksumTypeFullObject})
		b.code(err, "InvalidRequest")
		b.code(b.put("bad", "abc", func(in *awss3.PutObjectInput) { in.ChecksumCRC64NVME = aws.String("AAAAAAAAAAA=") }), "BadDigest")
		if out := b.head("source"); out.ChecksumCRC32 != nil {
			t.Error("a checksum that nobody asked for")
		}
	})
}

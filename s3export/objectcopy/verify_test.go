package objectcopy_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// putParts writes a source of 10 MiB in two parts.
func (b *bed) putParts(key string, algorithm s3types.ChecksumAlgorithm, kind s3types.ChecksumType) {
	b.Helper()
	up, err := b.near.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(from), Key: &key, ChecksumAlgorithm: algorithm, ChecksumType: kind})
	b.ok(err)
	in := &awss3.CompleteMultipartUploadInput{Bucket: aws.String(from), Key: &key, UploadId: up.UploadId, ChecksumType: kind, MultipartUpload: &s3types.CompletedMultipartUpload{}}
	for i := range int32(2) {
		p, err := b.near.UploadPart(b.Context(), &awss3.UploadPartInput{Bucket: aws.String(from), Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(i + 1),
			ChecksumAlgorithm: algorithm, Body: bytes.NewReader(bytes.Repeat([]byte{byte(i)}, 5*mib))})
		b.ok(err)
		in.MultipartUpload.Parts = append(in.MultipartUpload.Parts, s3types.CompletedPart{PartNumber: aws.Int32(i + 1), ETag: p.ETag,
			ChecksumCRC32: p.ChecksumCRC32, ChecksumCRC32C: p.ChecksumCRC32C, ChecksumCRC64NVME: p.ChecksumCRC64NVME, ChecksumSHA256: p.ChecksumSHA256})
	}
	_, err = b.near.CompleteMultipartUpload(b.Context(), in)
	b.ok(err)
}

// The checksum is compared from end to end where the source has one of its whole, and where it has not, the Operation says so.
func TestChecksums(t *testing.T) {
	for _, c := range []struct {
		name     string
		make     func(b *bed)
		compared bool
	}{
		{"CRC64NVME", func(b *bed) {
			b.put("k", make([]byte, 10*mib), func(in *awss3.PutObjectInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmCrc64nvme })
		}, true},
		{"CRC32", func(b *bed) { b.put("k", make([]byte, 10*mib)) }, true},
		{"CRC32C", func(b *bed) {
			b.put("k", make([]byte, 10*mib), func(in *awss3.PutObjectInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmCrc32c })
		}, true},
		{"CRC64NVME in parts", func(b *bed) {
			b.putParts("k", s3types.ChecksumAlgorithmCrc64nvme, s3types.ChecksumTypeFullObject)
		}, true},
		{"CRC32 of checksums", func(b *bed) {
			b.putParts("k", s3types.ChecksumAlgorithmCrc32, s3types.ChecksumTypeComposite)
		}, false},
		{"SHA256 of checksums", func(b *bed) {
			b.putParts("k", s3types.ChecksumAlgorithmSha256, s3types.ChecksumTypeComposite)
		}, false},
	} {
		for _, single := range []bool{true, false} {
			t.Run(c.name, func(t *testing.T) {
				bubble(t, func(b *bed) {
					c.make(b)
					o := options()
					if !single {
						o = options(small)
					}
					op := b.copied(b.start("k", o), "k")
					said := slices.ContainsFunc(op.Findings, func(f backup.Finding) bool { return f.ID == "objectcopy.checksum-not-comparable" })
					if said == c.compared {
						t.Errorf("findings %+v", op.Findings)
					}
				})
			})
		}
	}
}

// A SHA-256 of the whole can not be had of an object in parts; of one in a single piece the MD5 that its ETag is, is compared instead.
func TestComparesMD5(t *testing.T) {
	bubble(t, func(b *bed) {
		b.put("k", []byte("x"), func(in *awss3.PutObjectInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmSha256 })
		if op := b.copied(b.start("k", options()), "k"); len(op.Findings) != 0 {
			t.Errorf("findings %+v", op.Findings)
		}
	})
	bubble(t, func(b *bed) { // in parts there is no MD5 to compare with, which comes out in the end
		b.put("k", make([]byte, 12*mib), func(in *awss3.PutObjectInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmSha256 })
		op := b.copied(b.start("k", options(small)), "k")
		if len(op.Findings) != 1 || op.Findings[0].ID != "objectcopy.checksum-not-comparable" {
			t.Errorf("findings %+v", op.Findings)
		}
	})
}

// Bytes that change on the way are found: S3 refuses to put the parts together, and a small object is found afterwards and stays listed.
func TestDamage(t *testing.T) {
	bubble(t, func(b *bed) {
		b.put("k", make([]byte, 12*mib))
		op := b.until(b.start("k", options(small)), "parts")
		b.store.Damage(b.world, here, from, "k")
		op = b.run(op)
		if backup.CodeOf(op.Err()) != backup.ErrFailed || len(b.objects()) != 0 || len(op.Made)+len(op.Points) != 0 {
			t.Errorf("%v, objects %v, made %v", op.Err(), b.objects(), op.Made)
		}
		b.clean()
	})
	bubble(t, func(b *bed) {
		b.put("k", []byte("abc"))
		op := b.until(b.start("k", options()), "copy")
		b.store.Damage(b.world, here, from, "k")
		op = b.run(op)
		if backup.CodeOf(op.Err()) != backup.ErrFailed || len(op.Points) != 0 || !slices.Contains(op.Made, destination("k")) || !strings.Contains(op.Err().Error(), "CRC32") {
			t.Errorf("%v, points %v, made %v", op.Err(), op.Points, op.Made)
		}
	})
}

// What happens to the new object before it was looked at is told from a success.
func TestVerify(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(b *bed)
		code backup.Code
	}{
		{"deleted", func(b *bed) {
			_, err := b.far.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(to), Key: aws.String("k")})
			b.ok(err)
		}, backup.ErrNotFound},
		{"replaced", func(b *bed) {
			_, err := b.far.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(to), Key: aws.String("k"), Body: bytes.NewReader([]byte("abc"))})
			b.ok(err)
		}, backup.ErrConflict},
		{"replaced by another class under another key", func(b *bed) {
			out, err := b.far.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String(to), Key: aws.String("k")})
			b.ok(err)
			_, err = b.far.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(to), Key: aws.String("k"), Body: bytes.NewReader([]byte("abcd")), Metadata: out.Metadata,
				StorageClass: s3types.StorageClassGlacierIr, ServerSideEncryption: s3types.ServerSideEncryptionAwsKms})
			b.ok(err)
		}, backup.ErrFailed},
	} {
		bubble(t, func(b *bed) {
			b.put("k", []byte("abc"))
			op := b.until(b.start("k", options()), "verify")
			c.do(b)
			op = b.run(op)
			if backup.CodeOf(op.Err()) != c.code || len(op.Points) != 0 || (len(op.Made) == 1) != (c.code == backup.ErrFailed) {
				t.Errorf("%s: %v, points %v, made %v", c.name, op.Err(), op.Points, op.Made)
			}
			if c.code == backup.ErrFailed {
				for _, word := range []string{"4 bytes", "CRC32", "GLACIER_IR"} {
					if !strings.Contains(op.Err().Error(), word) {
						t.Errorf("%v does not name %s", op.Err(), word)
					}
				}
			}
		})
	}
}

// A copy that is there already and is this Operation's own is not made again.
func TestAdoptsOwn(t *testing.T) {
	for _, size := range []int64{10, 12 * mib} {
		bubble(t, func(b *bed) {
			b.generate("k", size)
			first := b.copied(b.start("k", options(small)), "k")
			before := len(b.world.Calls())
			second := b.copied(b.start("k", options(small)), "k")
			if first.ID != second.ID {
				t.Errorf("%s and %s", first.ID, second.ID)
			}
			for _, c := range b.world.Calls()[before:] {
				if c.Mutates {
					t.Error(c.Operation)
				}
			}
		})
	}
}

// A conditional call that was refused although nothing is in its way any more is made again.
func TestConditionPasses(t *testing.T) {
	for _, c := range []struct {
		operation, code string
		status          int
		size            int64
	}{
		{"CopyObject", "PreconditionFailed", 412, 10}, {"CopyObject", "ConditionalRequestConflict", 409, 10}, {"CompleteMultipartUpload", "PreconditionFailed", 412, 12 * mib},
		{"CompleteMultipartUpload", "ConditionalRequestConflict", 409, 12 * mib}, {"CompleteMultipartUpload", "InvalidPart", 400, 12 * mib},
	} {
		bubble(t, func(b *bed) {
			b.generate("k", c.size)
			b.world.Inject(awssim.Fault{Operation: c.operation, Times: 3, Kind: awssim.FaultError, Error: awssim.Error{Status: c.status, Code: c.code}})
			b.copied(b.start("k", options(small)), "k")
		})
	}
}

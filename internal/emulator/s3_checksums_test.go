package emulator

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// nvme is the CRC-64/NVME of data, as S3 writes it. Its polynomial is turned around, as hash/crc64 wants it.
func nvme(data []byte) string {
	sum := crc64.Checksum(data, crc64.MakeTable(0x9a6c9329ac4bc9b5))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

func crc(data []byte) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)))
}

func sha(data []byte) string {
	sum := sha256.Sum256(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// sums names the checksums of an object that are those of data.
func (s *store) sums(bucket, key string, data []byte) string {
	s.t.Helper()
	out, err := s.head(s.own, bucket, key)
	s.must("HeadObject", err)
	text := string(out.ChecksumType)
	for name, pair := range map[string][2]string{
		"CRC64NVME": {aws.ToString(out.ChecksumCRC64NVME), nvme(data)}, "CRC32": {aws.ToString(out.ChecksumCRC32), crc(data)}, "SHA256": {aws.ToString(out.ChecksumSHA256), sha(data)},
	} {
		switch pair[0] {
		case "":
		case pair[1]:
			text += " " + name
		default:
			text += " another " + name
		}
	}
	return text
}

// inParts uploads data in two parts under a checksum, and gives what its object is said to have.
func (s *store) inParts(bucket string, data []byte, algorithm s3types.ChecksumAlgorithm, kind s3types.ChecksumType, edit func(*awss3.CompleteMultipartUploadInput)) error {
	s.t.Helper()
	id := s.begin(bucket, "k", func(in *awss3.CreateMultipartUploadInput) { in.ChecksumAlgorithm, in.ChecksumType = algorithm, kind })
	var parts []s3types.CompletedPart
	for i, chunk := range [][]byte{data[:5*mib], data[5*mib:]} {
		p := s.part(bucket, "k", id, int32(i+1), chunk, func(in *awss3.UploadPartInput) { in.ChecksumAlgorithm = algorithm })
		switch algorithm {
		case s3types.ChecksumAlgorithmCrc64nvme:
			p.ChecksumCRC64NVME = aws.String(nvme(chunk))
		case s3types.ChecksumAlgorithmCrc32:
			p.ChecksumCRC32 = aws.String(crc(chunk))
		case s3types.ChecksumAlgorithmSha256:
			p.ChecksumSHA256 = aws.String(sha(chunk))
		}
		parts = append(parts, p)
	}
	_, err := s.complete(bucket, "k", id, parts, func(in *awss3.CompleteMultipartUploadInput) {
		in.ChecksumType = kind
		if edit != nil {
			edit(in)
		}
	})
	return err
}

// copiedParts copies an object in two parts under a CRC64NVME of the whole, and gives the parts as they are listed.
func (s *store) copiedParts() (bucket string, data []byte, id string, parts []s3types.CompletedPart) {
	s.t.Helper()
	bucket, data = s.bucket("a"), pattern(5*mib+100)
	s.large(bucket, "from", data)
	id = s.begin(bucket, "k", func(in *awss3.CreateMultipartUploadInput) {
		in.ChecksumAlgorithm, in.ChecksumType = s3types.ChecksumAlgorithmCrc64nvme, s3types.ChecksumTypeFullObject
	})
	for i, span := range []string{"bytes=0-5242879", "bytes=5242880-5242979"} {
		_, err := s.partCopy(bucket, "k", id, "from", span, int32(i+1))
		s.must("UploadPartCopy", err)
	}
	out, err := s.own.ListParts(s.ctx, &awss3.ListPartsInput{Bucket: &bucket, Key: aws.String("k"), UploadId: &id})
	s.must("ListParts", err)
	for _, p := range out.Parts {
		parts = append(parts, s3types.CompletedPart{PartNumber: p.PartNumber, ETag: p.ETag, ChecksumCRC64NVME: p.ChecksumCRC64NVME})
	}
	return bucket, data, id, parts
}

func checksumRows() []behaviour {
	return []behaviour{
		{id: "sum-default", what: "The checksum that an object has which the SDK wrote without being told", aws: "FULL_OBJECT CRC32", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			return s.sums(name, "k", []byte("text"))
		}},
		{id: "sum-none", what: "The checksum that an object has which came without one", aws: "FULL_OBJECT CRC64NVME", run: func(s *store) string {
			name := s.bucket("a")
			_, err := s.own.PutObject(s.ctx, &awss3.PutObjectInput{Bucket: &name, Key: aws.String("k"), Body: strings.NewReader("text")},
				func(o *awss3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
			s.must("PutObject", err)
			return s.sums(name, "k", []byte("text"))
		}},
		{id: "sum-nvme", what: "PutObject with a CRC64NVME: the right one, another one", aws: "ok, FULL_OBJECT CRC64NVME, BadDigest", run: func(s *store) string {
			name := s.bucket("a")
			_, right := s.put(s.own, name, "k", "text", func(in *awss3.PutObjectInput) { in.ChecksumCRC64NVME = aws.String(nvme([]byte("text"))) })
			_, wrong := s.put(s.own, name, "k", "text", func(in *awss3.PutObjectInput) { in.ChecksumCRC64NVME = aws.String(nvme([]byte("another"))) })
			return says(code(right), s.sums(name, "k", []byte("text")), code(wrong))
		}},
		{id: "sum-sha", what: "PutObject with SHA256, and a copy of it", aws: "FULL_OBJECT SHA256, FULL_OBJECT SHA256", run: func(s *store) string {
			name := s.bucket("a")
			_, err := s.put(s.own, name, "k", "text", func(in *awss3.PutObjectInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmSha256 })
			s.must("PutObject", err)
			_, err = s.copies(name, "k", "c")
			s.must("CopyObject", err)
			return says(s.sums(name, "k", []byte("text")), s.sums(name, "c", []byte("text")))
		}},
		{id: "sum-copy", what: "CopyObject with another algorithm", aws: "ok, FULL_OBJECT CRC64NVME", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "text")
			_, err := s.copies(name, "k", "c", func(in *awss3.CopyObjectInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmCrc64nvme })
			return says(code(err), s.sums(name, "c", []byte("text")))
		}},
		{id: "sum-parts-nvme", what: "An upload in parts with CRC64NVME has that of the whole, and one with another sum is refused", aws: "ok, FULL_OBJECT CRC64NVME, ok, BadDigest", run: func(s *store) string {
			name, data := s.bucket("a"), pattern(5*mib+100)
			plain := s.inParts(name, data, s3types.ChecksumAlgorithmCrc64nvme, s3types.ChecksumTypeFullObject, nil)
			sums := s.sums(name, "k", data)
			right := s.inParts(name, data, s3types.ChecksumAlgorithmCrc64nvme, s3types.ChecksumTypeFullObject, func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = aws.String(nvme(data)) })
			wrong := s.inParts(name, data, s3types.ChecksumAlgorithmCrc64nvme, s3types.ChecksumTypeFullObject, func(in *awss3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = aws.String(nvme(data[1:])) })
			return says(code(plain), sums, code(right), code(wrong))
		}},
		{id: "sum-parts-crc", what: "An upload in parts with a CRC32 of the whole", aws: "ok, FULL_OBJECT CRC32", run: func(s *store) string {
			name, data := s.bucket("a"), pattern(5*mib+100)
			return says(code(s.inParts(name, data, s3types.ChecksumAlgorithmCrc32, s3types.ChecksumTypeFullObject, nil)), s.sums(name, "k", data))
		}},
		{id: "sum-parts-sha", what: "An upload in parts with SHA256 has a sum of the sums of the parts", aws: "ok, COMPOSITE another SHA256, sum of sums", run: func(s *store) string {
			name, data := s.bucket("a"), pattern(5*mib+100)
			err := s.inParts(name, data, s3types.ChecksumAlgorithmSha256, s3types.ChecksumTypeComposite, nil)
			first, second := sha256.Sum256(data[:5*mib]), sha256.Sum256(data[5*mib:])
			out, look := s.head(s.own, name, "k")
			s.must("HeadObject", look)
			of := "sum of sums"
			if got := aws.ToString(out.ChecksumSHA256); got != sha(append(first[:], second[:]...))+"-2" {
				of = got
			}
			return says(code(err), s.sums(name, "k", data), of)
		}},
		{id: "sum-parts-default", what: "An upload in parts whose checksum nobody chose", aws: "ok, FULL_OBJECT CRC64NVME", run: func(s *store) string {
			name, data := s.bucket("a"), pattern(5*mib+100)
			bare := func(o *awss3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired }
			begun, err := s.own.CreateMultipartUpload(s.ctx, &awss3.CreateMultipartUploadInput{Bucket: &name, Key: aws.String("k")}, bare)
			s.must("CreateMultipartUpload", err)
			s.large(name, "from", data)
			id := aws.ToString(begun.UploadId)
			p, err := s.partCopy(name, "k", id, "from", "", 1)
			s.must("UploadPartCopy", err)
			_, err = s.own.CompleteMultipartUpload(s.ctx, &awss3.CompleteMultipartUploadInput{Bucket: &name, Key: aws.String("k"), UploadId: &id,
				MultipartUpload: &s3types.CompletedMultipartUpload{Parts: []s3types.CompletedPart{p}}}, bare)
			return says(code(err), s.sums(name, "k", data))
		}},
		{id: "sum-parts-bare", what: "Parts that were copied under a CRC64NVME of the whole, completed with that and without those of the parts", aws: "ok, FULL_OBJECT CRC64NVME", run: func(s *store) string {
			name, data, id, parts := s.copiedParts()
			for i := range parts {
				parts[i].ChecksumCRC64NVME = nil
			}
			_, err := s.complete(name, "k", id, parts, func(in *awss3.CompleteMultipartUploadInput) {
				in.ChecksumType, in.ChecksumCRC64NVME = s3types.ChecksumTypeFullObject, aws.String(nvme(data))
			})
			if err != nil {
				return code(err)
			}
			return says(code(err), s.sums(name, "k", data))
		}},
		{id: "sum-parts-listed", what: "The same completed with the checksums that ListParts tells", aws: "2 right, ok, FULL_OBJECT CRC64NVME", run: func(s *store) string {
			name, data, id, parts := s.copiedParts()
			right := 0
			for i, chunk := range [][]byte{data[:5*mib], data[5*mib:]} {
				if aws.ToString(parts[i].ChecksumCRC64NVME) == nvme(chunk) {
					right++
				}
			}
			_, err := s.complete(name, "k", id, parts, func(in *awss3.CompleteMultipartUploadInput) {
				in.ChecksumType, in.ChecksumCRC64NVME = s3types.ChecksumTypeFullObject, aws.String(nvme(data))
			})
			s.must("CompleteMultipartUpload", err)
			return says(fmt.Sprint(right, " right"), code(err), s.sums(name, "k", data))
		}},
		{id: "sum-parts-kinds", what: "CreateMultipartUpload with a SHA256 of the whole, and a CRC64NVME of sums", aws: "InvalidRequest, InvalidRequest", run: func(s *store) string {
			name := s.bucket("a")
			try := func(a s3types.ChecksumAlgorithm, k s3types.ChecksumType) string {
				_, err := s.own.CreateMultipartUpload(s.ctx, &awss3.CreateMultipartUploadInput{Bucket: &name, Key: aws.String("k"), ChecksumAlgorithm: a, ChecksumType: k})
				return code(err)
			}
			return says(try(s3types.ChecksumAlgorithmSha256, s3types.ChecksumTypeFullObject), try(s3types.ChecksumAlgorithmCrc64nvme, s3types.ChecksumTypeComposite))
		}},
		{id: "sum-part-wrong", what: "UploadPart with another CRC64NVME than that of its bytes", aws: "BadDigest", run: func(s *store) string {
			name := s.bucket("a")
			id := s.begin(name, "k", func(in *awss3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = s3types.ChecksumAlgorithmCrc64nvme })
			_, err := s.own.UploadPart(s.ctx, &awss3.UploadPartInput{Bucket: &name, Key: aws.String("k"), UploadId: &id, PartNumber: aws.Int32(1),
				Body: strings.NewReader("text"), ChecksumCRC64NVME: aws.String(nvme([]byte("another")))})
			return code(err)
		}},
	}
}

package s3sim

import (
	"bytes"
	"crypto/md5"  //nolint:gosec // one more of S3's
	"crypto/sha1" //nolint:gosec // one of S3's checksums
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"strconv"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// checksum is what S3 keeps of an object's or a part's bytes.
type checksum struct {
	algorithm s3types.ChecksumAlgorithm
	kind      s3types.ChecksumType
	value     string // base64; of a composite one with -<parts> behind it
}

// values are a checksum's places in inputs and outputs.
type values struct{ CRC32, CRC32C, CRC64NVME, SHA1, SHA256 *string }

func (c checksum) values() (v values) {
	switch c.algorithm {
	case s3types.ChecksumAlgorithmCrc32:
		v.CRC32 = &c.value
	case s3types.ChecksumAlgorithmCrc32c:
		v.CRC32C = &c.value
	case s3types.ChecksumAlgorithmCrc64nvme:
		v.CRC64NVME = &c.value
	case s3types.ChecksumAlgorithmSha1:
		v.SHA1 = &c.value
	case s3types.ChecksumAlgorithmSha256:
		v.SHA256 = &c.value
	}
	return v
}

// given is the algorithm of which a value was given.
func (v values) given() (algorithm s3types.ChecksumAlgorithm, value string) {
	switch {
	case v.CRC32 != nil:
		return s3types.ChecksumAlgorithmCrc32, *v.CRC32
	case v.CRC32C != nil:
		return s3types.ChecksumAlgorithmCrc32c, *v.CRC32C
	case v.CRC64NVME != nil:
		return s3types.ChecksumAlgorithmCrc64nvme, *v.CRC64NVME
	case v.SHA1 != nil:
		return s3types.ChecksumAlgorithmSha1, *v.SHA1
	case v.SHA256 != nil:
		return s3types.ChecksumAlgorithmSha256, *v.SHA256
	}
	return "", ""
}

// is holds what was sent against the MD5 in the header Content-MD5. Source: S3 API, error codes.
func (b *body) is(contentMD5 *string) error {
	if contentMD5 == nil {
		return nil
	}
	want, err := base64.StdEncoding.DecodeString(*contentMD5)
	got := md5.Sum(b.data) //nolint:gosec // as above
	switch {
	case err != nil || len(want) != len(got):
		return awssim.Fail("InvalidDigest", "The Content-MD5 you specified was invalid.")
	case !bytes.Equal(want, got[:]):
		return awssim.Fail("BadDigest", "The Content-MD5 you specified did not match what we received.")
	}
	return nil
}

// sum computes a checksum over the whole of a content.
func sum(algorithm s3types.ChecksumAlgorithm, b blob) (checksum, error) {
	c := checksum{algorithm, s3types.ChecksumTypeFullObject, ""}
	if algorithm == s3types.ChecksumAlgorithmCrc64nvme {
		c.value = base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, b.crc()))
		return c, nil
	}
	const most = 1 << 30
	if b.size > most {
		return c, unsupported("a checksum by %s of more than 1 GiB", algorithm)
	}
	raw, ok := digest(algorithm, b.bytes())
	if !ok {
		return c, unsupported("checksums by %s", algorithm)
	}
	c.value = base64.StdEncoding.EncodeToString(raw)
	return c, nil
}

func digest(algorithm s3types.ChecksumAlgorithm, data []byte) ([]byte, bool) {
	switch algorithm {
	case s3types.ChecksumAlgorithmCrc32:
		return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(data)), true
	case s3types.ChecksumAlgorithmCrc32c:
		return binary.BigEndian.AppendUint32(nil, crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))), true
	case s3types.ChecksumAlgorithmSha1:
		s := sha1.Sum(data) //nolint:gosec // as above
		return s[:], true
	case s3types.ChecksumAlgorithmSha256:
		s := sha256.Sum256(data)
		return s[:], true
	}
	return nil, false
}

// composite is the checksum of the checksums of the parts.
func composite(algorithm s3types.ChecksumAlgorithm, parts []*part) (checksum, error) {
	var all []byte
	for _, p := range parts {
		raw, err := base64.StdEncoding.DecodeString(p.sum.value)
		if err != nil {
			return checksum{}, err
		}
		all = append(all, raw...)
	}
	raw, ok := digest(algorithm, all)
	if !ok {
		return checksum{}, unsupported("composite checksums by %s", algorithm)
	}
	return checksum{algorithm, s3types.ChecksumTypeComposite, base64.StdEncoding.EncodeToString(raw) + "-" + strconv.Itoa(len(parts))}, nil
}

// receive computes the checksum of what was sent, by the algorithm of the call, and holds it against the value in the call.
func receive(asked, otherwise s3types.ChecksumAlgorithm, v values, b blob) (checksum, error) {
	algorithm, value := v.given()
	switch {
	case algorithm == "" && asked != "":
		algorithm = asked
	case algorithm == "":
		algorithm = otherwise
	}
	c, err := sum(algorithm, b)
	if err == nil && value != "" && value != c.value {
		return c, badDigest(algorithm)
	}
	return c, err
}

func badDigest(algorithm s3types.ChecksumAlgorithm) error {
	return awssim.Fail("BadDigest", "The %s you specified did not match the calculated checksum.", algorithm)
}

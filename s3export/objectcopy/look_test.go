package objectcopy

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
)

// Which checksum is compared follows from what the source has.
func TestDescribe(t *testing.T) {
	const md5 = `"d41d8cd98f00b204e9800998ecf8427e"`
	full, composite := s3types.ChecksumTypeFullObject, s3types.ChecksumTypeComposite
	for _, c := range []struct {
		name string
		head awss3.HeadObjectOutput
		algo s3types.ChecksumAlgorithm
		sum  string
		md5  bool
	}{
		{"none", awss3.HeadObjectOutput{ETag: aws.String(md5)}, "CRC64NVME", "", true},
		{"none, under a KMS key", awss3.HeadObjectOutput{ETag: aws.String(md5), ServerSideEncryption: "aws:kms"}, "CRC64NVME", "", false},
		{"none, in parts", awss3.HeadObjectOutput{ETag: aws.String(md5[:33] + `-2"`), ServerSideEncryption: "AES256"}, "CRC64NVME", "", false},
		{"CRC64NVME", awss3.HeadObjectOutput{ChecksumCRC64NVME: aws.String("x"), ChecksumType: full}, "CRC64NVME", "x", false},
		{"CRC32 of checksums", awss3.HeadObjectOutput{ChecksumCRC32: aws.String("x-2"), ChecksumType: composite}, "CRC64NVME", "", false},
		{"CRC32 of checksums, without a type", awss3.HeadObjectOutput{ChecksumCRC32: aws.String("x-2")}, "CRC64NVME", "", false},
		{"CRC32C", awss3.HeadObjectOutput{ChecksumCRC32C: aws.String("x"), ChecksumType: full}, "CRC32C", "x", false},
		{"SHA256", awss3.HeadObjectOutput{ChecksumSHA256: aws.String("x"), ChecksumType: full}, "CRC64NVME", "", false},
	} {
		var st state
		st.describe(&c.head)
		if st.Algo != c.algo || st.Sum != c.sum || st.MD5 != c.md5 {
			t.Errorf("%s: %s %q, MD5 %v", c.name, st.Algo, st.Sum, st.MD5)
		}
	}
}

func TestNotes(t *testing.T) {
	var ids []string
	for _, f := range (state{}).notes(&awss3.HeadObjectOutput{TagCount: aws.Int32(2), MissingMeta: aws.Int32(1)}) {
		ids = append(ids, f.ID)
	}
	if want := []string{"objectcopy.checksum-not-comparable", "objectcopy.tags-not-copied", "objectcopy.metadata-not-copied"}; !slices.Equal(ids, want) {
		t.Errorf("%v", ids)
	}
	if notes := (state{Sum: "x"}).notes(&awss3.HeadObjectOutput{}); len(notes) != 0 {
		t.Errorf("%+v", notes)
	}
}

// Each difference is found, and a checksum that is missing is not taken for one that is right.
func TestDiffers(t *testing.T) {
	const md5 = `"d41d8cd98f00b204e9800998ecf8427e"`
	good := awss3.HeadObjectOutput{ContentLength: aws.Int64(3), ETag: aws.String(md5), ChecksumCRC64NVME: aws.String("sum"), ServerSideEncryption: "aws:kms", SSEKMSKeyId: aws.String("key"), StorageClass: "STANDARD_IA"}
	st := state{Size: 3, ETag: md5, Algo: s3types.ChecksumAlgorithmCrc64nvme, Sum: "sum", SSE: "aws:kms", Key: "key", Class: "STANDARD_IA"}
	for name, c := range map[string]struct {
		change   func(st *state, o *awss3.HeadObjectOutput)
		bad      int
		compared bool
	}{
		"nothing":     {func(*state, *awss3.HeadObjectOutput) {}, 0, true},
		"size":        {func(_ *state, o *awss3.HeadObjectOutput) { o.ContentLength = nil }, 1, true},
		"checksum":    {func(_ *state, o *awss3.HeadObjectOutput) { o.ChecksumCRC64NVME = aws.String("other") }, 1, true},
		"no checksum": {func(_ *state, o *awss3.HeadObjectOutput) { o.ChecksumCRC64NVME = nil }, 0, false},
		"encryption":  {func(_ *state, o *awss3.HeadObjectOutput) { o.ServerSideEncryption = "AES256" }, 1, true},
		"key":         {func(_ *state, o *awss3.HeadObjectOutput) { o.SSEKMSKeyId = nil }, 1, true},
		"class":       {func(_ *state, o *awss3.HeadObjectOutput) { o.StorageClass = "" }, 1, true},
		"MD5": {func(st *state, o *awss3.HeadObjectOutput) {
			st.Sum, st.MD5, st.SSE, st.Key, o.ServerSideEncryption = "", true, "", "", "AES256"
			o.ETag = aws.String(`"00000000000000000000000000000000"`)
		}, 1, true},
		"no MD5": {func(st *state, _ *awss3.HeadObjectOutput) { st.Sum, st.MD5 = "", true }, 0, false},
		"standard": {func(st *state, o *awss3.HeadObjectOutput) {
			st.Class, o.StorageClass = s3types.StorageClassStandard, ""
		}, 0, true},
	} {
		was, o := st, good
		c.change(&was, &o)
		if bad, compared := was.differs(&o); len(bad) != c.bad || compared != c.compared {
			t.Errorf("%s: %q, compared %v", name, bad, compared)
		}
	}
}

func TestExpires(t *testing.T) {
	at := expires(&awss3.HeadObjectOutput{ExpiresString: aws.String("Thu, 01 Dec 1994 16:00:00 GMT")})
	if at == nil || !at.Equal(time.Date(1994, 12, 1, 16, 0, 0, 0, time.UTC)) {
		t.Error(at)
	}
	for _, s := range []*string{nil, aws.String("0"), aws.String("never")} {
		if at := expires(&awss3.HeadObjectOutput{ExpiresString: s}); at != nil {
			t.Error(at)
		}
	}
}

// The library's metadata are ASCII and short, whatever the source is called.
func TestMarks(t *testing.T) {
	key := "日本 " + string(slices.Repeat([]byte("ü"), 500))
	op, err := backup.NewOperation(Kind, backup.ActionCopy, Object("111122223333", "eu-west-1", "bucket", key), backup.Spec{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for k, v := range marks(op) {
		n += len(k) + len(v)
		if ascii(v) != v || v == "" {
			t.Errorf("%s: %q", k, v)
		}
	}
	if n > 600 {
		t.Errorf("%d bytes", n)
	}
}

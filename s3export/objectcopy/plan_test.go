package objectcopy

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

func TestPartSize(t *testing.T) {
	for _, c := range []struct{ size, wanted, want int64 }{
		{0, 0, 5 * mib}, {1, DefaultPartSize, DefaultPartSize}, {20 << 30, 8 * mib, 8 * mib}, {20 << 30, 8*mib + 1, 9 * mib},
		{625 << 30, DefaultPartSize, 64 * mib}, {625<<30 + 1, DefaultPartSize, 65 * mib}, {1 << 40, DefaultPartSize, 105 * mib},
		{1 << 40, 1 << 30, MaxPartSize}, {maxObject, DefaultPartSize, 4769 * mib}, {1, MaxPartSize, MaxPartSize}, {1, MaxPartSize + 1, MaxPartSize},
	} {
		got := PartSize(c.size, c.wanted)
		if got != c.want || got%mib != 0 || parts(c.size, got) > MaxParts {
			t.Errorf("%d bytes, %d wanted: %d, in %d parts", c.size, c.wanted, got, parts(c.size, got))
		}
	}
}

// The parts are the object, without a gap and without an overlap.
func TestSpans(t *testing.T) {
	for _, size := range []int64{1, 5 * mib, 5*mib + 1, 1<<30 - 1, 1 << 30, maxObject} {
		for _, wanted := range []int64{5 * mib, DefaultPartSize, 100 * mib} {
			part, at := PartSize(size, wanted), int64(0)
			n := parts(size, part)
			for i := 1; i <= n; i++ {
				first, length := span(i, size, part)
				if first != at || length < 1 || length > part || i < n && length != part {
					t.Fatalf("part %d of %d: %d bytes from %d", i, n, length, first)
				}
				at += length
			}
			if at != size {
				t.Errorf("%d of %d bytes", at, size)
			}
		}
	}
	if r := byteRange(5*mib, 1); r != "bytes=5242880-5242880" {
		t.Error(r)
	}
}

func TestBegin(t *testing.T) {
	for _, c := range []struct {
		elapsed, slowest, limit time.Duration
		want                    bool
	}{
		{0, 0, stepTime, true}, {27 * time.Second, 0, stepTime, true}, {28 * time.Second, 0, stepTime, false}, {0, 36 * time.Second, stepTime, true},
		{0, 37 * time.Second, stepTime, false}, {54 * time.Second, 100 * time.Millisecond, stepTime, true}, {9 * time.Second, 0, 15 * time.Second, false}, {0, 0, -1, false},
	} {
		if got := begin(c.elapsed, c.slowest, c.limit); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}

func TestCopySource(t *testing.T) {
	for _, c := range []struct{ key, version, want string }{
		{"a/b.rdb", "", "b-1/a/b.rdb"}, {"a b+c?d%e", "", "b-1/a%20b%2Bc%3Fd%25e"}, {"ü", "v.1_2-3~", "b-1/%C3%BC?versionId=v.1_2-3~"},
		{"/x//y", "a/b=", "b-1//x//y?versionId=a%2Fb%3D"},
	} {
		if got := copySource("b-1", c.key, c.version); got != c.want {
			t.Errorf("%q %q: %s", c.key, c.version, got)
		}
	}
}

// Every key that is UTF-8 has one ID, which a Ref can hold, and every ID one key.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{"a/b", "a%20b", "%", "a b", "ü#*?${}", "\uFFFD", "\xff", strings.Repeat("k", 1024), "%EF%BF%BD"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := Object("111122223333", "eu-west-1", "bucket", s)
		if _, key, err := Split(r); err == nil {
			if key != s || r.Validate() != nil {
				t.Errorf("%q became %q: %v", s, key, r.Validate())
			}
		} else if s != "" && len(s) <= maxKey && strings.ToValidUTF8(s, "") == s {
			t.Errorf("%q: %v", s, err)
		}
		r.ID = "bucket/" + s
		if _, key, err := Split(r); err == nil && Object(r.Account, r.Region, "bucket", key) != r {
			t.Errorf("the id %q is not the only one of %q", s, key)
		}
	})
}

func TestArchived(t *testing.T) {
	on, off := aws.String(`ongoing-request="true"`), aws.String(`ongoing-request="false", expiry-date="Fri, 21 Dec 2012 00:00:00 GMT"`)
	for _, c := range []struct {
		name string
		head awss3.HeadObjectOutput
		want frost
		deep bool
	}{
		{"standard", awss3.HeadObjectOutput{}, readable, false},
		{"instant retrieval", awss3.HeadObjectOutput{StorageClass: s3types.StorageClassGlacierIr}, readable, false},
		{"flexible", awss3.HeadObjectOutput{StorageClass: s3types.StorageClassGlacier}, frozen, false},
		{"flexible, asked for", awss3.HeadObjectOutput{StorageClass: s3types.StorageClassGlacier, Restore: on}, thawing, false},
		{"flexible, back", awss3.HeadObjectOutput{StorageClass: s3types.StorageClassGlacier, Restore: off}, readable, false},
		{"deep", awss3.HeadObjectOutput{StorageClass: s3types.StorageClassDeepArchive}, frozen, true},
		{"intelligent", awss3.HeadObjectOutput{StorageClass: s3types.StorageClassIntelligentTiering}, readable, false},
		{"intelligent, archived", awss3.HeadObjectOutput{StorageClass: s3types.StorageClassIntelligentTiering, ArchiveStatus: s3types.ArchiveStatusArchiveAccess}, frozen, false},
		{"intelligent, deep", awss3.HeadObjectOutput{StorageClass: s3types.StorageClassIntelligentTiering, ArchiveStatus: s3types.ArchiveStatusDeepArchiveAccess}, frozen, true},
		{"intelligent, asked for", awss3.HeadObjectOutput{ArchiveStatus: s3types.ArchiveStatusArchiveAccess, Restore: on}, thawing, false},
	} {
		if got := archived(&c.head); got != c.want || deep(&c.head) != c.deep {
			t.Errorf("%s: %v, deep %v", c.name, got, deep(&c.head))
		}
	}
}

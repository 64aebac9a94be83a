package objectcopy

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/snapwarden/snapwarden/backup"
)

// TypeObject is the type of the Ref of an object. Object makes such Refs and Split reads them.
const TypeObject = "s3/object"

// TypeUpload is the type of the Ref of an unfinished multipart upload, as Operation.Made lists it. Its ID is that of the object, a "#", and the id
// of the upload.
const TypeUpload = "s3/multipart-upload"

// maxKey is the most bytes that a key has. Source: S3 user guide, Naming objects.
const maxKey = 1024

// Object gives the Ref of an object; account owns the bucket. Its ID is the bucket, a slash and the key. Every key can be
// named: a character that a Ref can not hold (white space, control characters, * ? $ { } and %, # which this package needs itself) is written as % and
// two hexadecimal digits for each of its bytes. A key without such characters stands there as it is.
func Object(account, region, bucket, key string) backup.Ref {
	return backup.Ref{Type: TypeObject, Account: account, Region: region, ID: bucket + "/" + escape(key)}
}

// Split gives the bucket and the key of a Ref that Object made. What can not be one is ErrInvalid: another type, a name that no bucket has,
// an empty or too long key.
func Split(r backup.Ref) (bucket, key string, err error) {
	if r.Type != TypeObject {
		return "", "", invalid(r, "use objectcopy.Object", "the type %q is not that of an object", r.Type)
	}
	bucket, key, ok := strings.Cut(r.ID, "/")
	if !ok {
		return "", "", invalid(r, "use objectcopy.Object", "the id %q has no slash between bucket and key", r.ID)
	}
	if key, err = unescape(key); err != nil {
		return "", "", invalid(r, "use objectcopy.Object, which writes what a Ref can not hold in hexadecimal digits", "the id %q: %w", r.ID, err)
	}
	if err := checkNames(bucket, key); err != nil {
		return "", "", invalid(r, "name one object of one bucket", "%w", err)
	}
	return bucket, key, nil
}

// checkNames refuses what no bucket and no key is called. It is not policy.ValidateBucketName: buckets older than today's rules exist.
// Source: S3 user guide, Bucket naming rules, Naming objects.
func checkNames(bucket, key string) error {
	letters := func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-' || c == '_')
	}
	switch {
	case len(bucket) < 3 || len(bucket) > 255:
		return fmt.Errorf("the bucket %q has not 3 to 255 characters", bucket)
	case strings.ContainsFunc(bucket, letters):
		return fmt.Errorf("the bucket %q has characters that no bucket's name has; ARNs and access points are not taken", bucket)
	case strings.Contains(bucket, ".."), strings.Trim(bucket, ".-") != bucket:
		return fmt.Errorf("the bucket %q begins or ends with a dot or hyphen, or has two dots side by side", bucket)
	case strings.HasSuffix(bucket, "--x-s3"), strings.HasSuffix(bucket, "--table-s3"), strings.HasSuffix(bucket, "-s3alias"), strings.HasSuffix(bucket, "--ol-s3"), strings.HasSuffix(bucket, ".mrap"):
		return fmt.Errorf("%q is no general purpose bucket", bucket)
	case key == "" || len(key) > maxKey:
		return fmt.Errorf("the key has %d bytes, allowed are 1 to %d", len(key), maxKey)
	case !utf8.ValidString(key):
		return errors.New("the key is not valid UTF-8")
	}
	return nil
}

const digits = "0123456789ABCDEF"

// escape writes a key as a part of a Ref's ID.
func escape(key string) string {
	return encode(key, func(c rune) bool {
		return !unicode.IsSpace(c) && !unicode.IsControl(c) && c != utf8.RuneError && !strings.ContainsRune("*?${}%#", c)
	})
}

// unescape reads what escape wrote, and nothing else: no two IDs name one key.
func unescape(s string) (string, error) {
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b = append(b, s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("a % without two digits behind it")
		}
		hi, lo := strings.IndexByte(digits, s[i+1]), strings.IndexByte(digits, s[i+2])
		if hi < 0 || lo < 0 {
			return "", errors.New("a % without two hexadecimal digits in capitals behind it")
		}
		b = append(b, byte(hi<<4|lo))
		i += 2
	}
	if key := string(b); escape(key) == s {
		return key, nil
	}
	return "", errors.New("it is not as objectcopy.Object writes it")
}

// encode writes as % and two digits each byte of the characters that are not plain.
func encode(s string, plain func(rune) bool) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		if plain(c) {
			b.WriteString(s[i : i+n])
		} else {
			for _, x := range []byte(s[i : i+n]) {
				b.WriteByte('%')
				b.WriteByte(digits[x>>4])
				b.WriteByte(digits[x&15])
			}
		}
		i += n
	}
	return b.String()
}

// copySource gives the CopySource of a call: bucket and key with every segment encoded, and the version. Source: S3 API, CopyObject.
func copySource(bucket, key, version string) string {
	unreserved := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~", c)
	}
	s := encode(bucket+"/"+key, func(c rune) bool { return unreserved(c) || c == '/' })
	if version != "" {
		s += "?versionId=" + encode(version, unreserved)
	}
	return s
}

// ascii makes s fit for a header: what is not printable ASCII is encoded.
func ascii(s string) string {
	return encode(s, func(c rune) bool { return c > ' ' && c < 0x7f })
}

package elasticacheexport

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

type answering func(*http.Request) (*http.Response, error)

func (f answering) Do(r *http.Request) (*http.Response, error) { return f(r) }

// The SDK compares the checksum that S3 keeps, and says at the end of the body that it does not match: the bytes were changed on their way, in a
// file that carries no checksum of its own.
func TestVerdictOfTheSDK(t *testing.T) {
	good := append([]byte("REDIS0011"), bytes.Repeat([]byte("data"), 100)...)
	good = append(good, 0xff, 0, 0, 0, 0, 0, 0, 0, 0)
	bad := bytes.Clone(good)
	bad[100] ^= 1
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(good)))
	comes := bad
	api := awss3.New(awss3.Options{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), HTTPClient: answering(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, ContentLength: int64(len(comes)), Body: io.NopCloser(bytes.NewReader(comes)), Request: r,
			Header: http.Header{"Etag": {`"x"`}, "X-Amz-Checksum-Crc32": {sum}, "X-Amz-Checksum-Type": {"FULL_OBJECT"}}}, nil
	})})
	s := New(nil)
	r := elasticache.Snapshot("111122223333", "eu-west-1", "plain")
	op, err := s.Start(t.Context(), r, backup.Spec{Token: "t", Options: Options{Bucket: "my-exports"}})
	if err != nil {
		t.Fatal(err)
	}
	st := state{Bucket: "my-exports", Name: "out", Engine: "redis", Version: "7.1", Shards: []shard{{ID: "0001"}}}
	op.AddMade(st.files(r))
	op.To(stageVerify, "")
	for range 3 {
		next, err := s.verify(t.Context(), Clients{S3: api}, op, st)
		if !errors.Is(err, backup.ErrUnavailable) || !strings.Contains(err.Error(), "checksum did not match") || next.Done() || next.Stage != stageVerify {
			t.Fatalf("%s, stage %s: %v", next.Phase, next.Stage, err)
		}
	}
	comes = good
	if op, err = s.verify(t.Context(), Clients{S3: api}, op, st); err != nil {
		t.Fatal(err)
	}
	if err := op.GetState(&st); err != nil {
		t.Fatal(err)
	}
	if want := sha256.Sum256(good); st.At != 1 || !bytes.Equal(st.Shards[0].SHA, want[:]) {
		t.Errorf("after a good read: at %d, %x", st.At, st.Shards[0].SHA)
	}
}

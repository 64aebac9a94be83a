package emulator

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
)

// server is an S3 that a behaviour is observed on.
type server string

const (
	simulated server = "simulation"
	moto      server = "moto"
	versity   server = "versitygw"
)

// s3Region is the Region of the buckets; s3Elsewhere is another one.
const (
	s3Region    = "eu-west-1"
	s3Elsewhere = "us-east-1"
)

// store is one S3 with two accounts.
type store struct {
	t      *testing.T
	ctx    context.Context
	server server
	prefix string // of the names of buckets, which all tests of a server share
	// own owns the buckets, other is the second account. Their ids name them where an account is named.
	own, other *awss3.Client
	ownID      string
	otherID    string
	// elsewhere is the owner's client of another Region.
	elsewhere *awss3.Client
	// grantee acts as ElastiCache, by its canonical id where the server can have such a user, and as the other account where not.
	grantee *awss3.Client
	// lose has the answer of the next call of an operation be lost after it was applied, and gives how many were lost.
	lose func(operation string) func() int
	// noted takes down the differences that were observed; nil for the simulation.
	noted *notes
	// may asks the simulation whether ElastiCache itself may do something; nil elsewhere.
	may func(bucket, action string) bool
}

// elastiCacheID is the canonical id of ElastiCache in the commercial partition. Source: ElastiCache user guide, Exporting a backup.
const elastiCacheID = "540804c33a284a299d2547575ce1010f2312ef3da9b3a053c8bc45bf233e4353"

// onSimulation runs f on a simulated S3 of its own in virtual time.
func onSimulation(t *testing.T, prefix string, f func(s *store)) {
	synctest.Test(t, func(t *testing.T) {
		sim := s3sim.Service()
		w := awssim.New(sim)
		client := func(account, region string) *awss3.Client {
			return awss3.NewFromConfig(w.Config(account, region), func(o *awss3.Options) { o.RetryMaxAttempts = 1 })
		}
		s := &store{t: t, ctx: t.Context(), server: simulated, prefix: prefix, ownID: "111122223333", otherID: "444455556666"}
		s.own, s.other, s.elsewhere = client(s.ownID, s3Region), client(s.otherID, s3Region), client(s.ownID, s3Elsewhere)
		s.grantee = s.other
		s.lose = func(operation string) func() int {
			return w.Inject(awssim.Fault{Service: "S3", Operation: operation, Kind: awssim.FaultLostReply}).Fired
		}
		s.may = func(bucket, action string) (may bool) {
			w.Do(s.ownID, s3Region, func(r *awssim.Request) {
				may = sim.ServiceMay(r, bucket, s3Region+".elasticache-snapshot.amazonaws.com", elastiCacheID, action)
			})
			return may
		}
		f(s)
	})
}

// motoStore gives moto, with another account by AssumeRole. Without one the test is skipped.
func motoStore(t *testing.T) func(t *testing.T, prefix string) *store {
	w := emulator(t)
	cfg := w.config()
	out, err := awssts.NewFromConfig(cfg).AssumeRole(w.ctx, &awssts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::444455556666:role/tester"), RoleSessionName: aws.String("tester")})
	w.must("AssumeRole", err)
	c := out.Credentials
	theirs := fixed(aws.Credentials{AccessKeyID: *c.AccessKeyId, SecretAccessKey: *c.SecretAccessKey, SessionToken: *c.SessionToken})
	return func(t *testing.T, prefix string) *store {
		s := &store{t: t, ctx: t.Context(), server: moto, noted: noted, lose: transport.losing, prefix: prefix, ownID: w.account, otherID: "444455556666"}
		s.own, s.other = pathStyle(cfg, s3Region, nil), pathStyle(cfg, s3Region, theirs)
		s.elsewhere, s.grantee = pathStyle(cfg, s3Elsewhere, nil), s.other
		return s
	}
}

func fixed(c aws.Credentials) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) { return c, nil })
}

// pathStyle gives a client that names buckets in the path, because their host names lead nowhere on the loopback interface.
func pathStyle(cfg aws.Config, region string, credentials aws.CredentialsProvider) *awss3.Client {
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.Region, o.UsePathStyle, o.RetryMaxAttempts = region, true, 1
		if credentials != nil {
			o.Credentials = credentials
		}
	})
}

// stopped is what is observed where a behaviour could not be looked at to its end.
type stopped string

// must ends a behaviour if what it needs, but is not about, does not work: behaviour.observe takes that for what was observed.
func (s *store) must(what string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Logf("%s: %v", what, err)
		panic(stopped(what + ": " + code(err)))
	}
}

// code gives the code of an answer: ok, that of the API's error, or the status of an answer without one.
func code(err error) string {
	var api smithy.APIError
	var answer *awshttp.ResponseError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &api) && api.ErrorCode() != "" && api.ErrorCode() != "UnknownError":
		return api.ErrorCode()
	case errors.As(err, &answer):
		return fmt.Sprintf("status %d", answer.HTTPStatusCode())
	}
	return err.Error()
}

// says puts observations together.
func says(parts ...any) string {
	var b strings.Builder
	for i, p := range parts {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, p)
	}
	return b.String()
}

// bucket makes a bucket of the owner's and gives its name.
func (s *store) bucket(name string, edit ...func(*awss3.CreateBucketInput)) string {
	s.t.Helper()
	name = s.name(name)
	s.must("CreateBucket", s.create(s.own, name, s3Region, edit...))
	return name
}

func (s *store) name(name string) string { return s.prefix + name }

func (s *store) create(c *awss3.Client, name, place string, edit ...func(*awss3.CreateBucketInput)) error {
	in := &awss3.CreateBucketInput{Bucket: &name}
	if place != "" {
		in.CreateBucketConfiguration = &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(place)}
	}
	for _, f := range edit {
		f(in)
	}
	_, err := c.CreateBucket(s.ctx, in)
	return err
}

// put writes an object.
func (s *store) put(c *awss3.Client, bucket, key, text string, edit ...func(*awss3.PutObjectInput)) (*awss3.PutObjectOutput, error) {
	in := &awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(text)}
	for _, f := range edit {
		f(in)
	}
	return c.PutObject(s.ctx, in)
}

// write writes an object that must succeed, and gives its ETag.
func (s *store) write(bucket, key, text string) string {
	s.t.Helper()
	out, err := s.put(s.own, bucket, key, text)
	s.must("PutObject", err)
	return aws.ToString(out.ETag)
}

// get reads an object: its text, or the code of the error.
func (s *store) get(c *awss3.Client, bucket, key string, edit ...func(*awss3.GetObjectInput)) string {
	s.t.Helper()
	in := &awss3.GetObjectInput{Bucket: &bucket, Key: &key}
	for _, f := range edit {
		f(in)
	}
	out, err := c.GetObject(s.ctx, in)
	if err != nil {
		return code(err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	if err != nil {
		return "body: " + err.Error()
	}
	return string(data)
}

func (s *store) head(c *awss3.Client, bucket, key string) (*awss3.HeadObjectOutput, error) {
	return c.HeadObject(s.ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: &key, ChecksumMode: s3types.ChecksumModeEnabled})
}

// pattern gives n bytes in which no two blocks are equal.
func pattern(n int) []byte {
	b := make([]byte, 0, n+8)
	for i := uint64(1); len(b) < n; i++ {
		b = binary.LittleEndian.AppendUint64(b, i*0x9e3779b97f4a7c15)
	}
	return b[:n]
}

// wait lets time pass in which a simulated server finishes what takes hours. Elsewhere nothing takes time.
func (s *store) wait(d time.Duration) {
	if s.server == simulated {
		time.Sleep(d)
	}
}

// httpClient is one for a server of the tests' own.
func httpClient(w *wire) *http.Client { return &http.Client{Transport: w, Timeout: 30 * time.Second} }

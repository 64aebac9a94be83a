package protect_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
	"github.com/snapwarden/snapwarden/s3export/protect"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
	bucket  = "my-exports"
)

// export is the one that bed.export makes.
var export = backup.Ref{Type: s3export.TypeElastiCache, Account: account, Region: region, ID: bucket + "/nightly.manifest.json"}

func object(key string) backup.Ref { return objectcopy.Object(account, region, bucket, key) }

// bed is a world with an S3, in which bucket has Object Lock.
type bed struct {
	testing.TB
	world *awssim.World
	store *s3sim.S3
	s3    *awss3.Client
	s     *protect.Strategy
}

func newBed(t testing.TB) *bed {
	b := &bed{TB: t, store: s3sim.Service()}
	b.world = awssim.New(b.store)
	cfg := b.world.Config(account, region)
	b.s3, b.s = awss3.NewFromConfig(cfg), protect.NewFromConfig(cfg)
	b.bucket(bucket, true)
	return b
}

func bubble(t *testing.T, f func(b *bed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(newBed(t)) })
}

func (b *bed) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bed) bucket(name string, lock bool) {
	b.Helper()
	_, err := b.s3.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: &name, ObjectLockEnabledForBucket: &lock,
		CreateBucketConfiguration: bucketIn(region)})
	b.ok(err)
}

func bucketIn(region string) *s3types.CreateBucketConfiguration {
	return &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}
}

// put writes an object and gives its version.
func (b *bed) put(name, key string, data []byte) string {
	b.Helper()
	out, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: &name, Key: &key, Body: bytes.NewReader(data)})
	b.ok(err)
	return aws.ToString(out.VersionId)
}

func manifest(shards int) s3export.Manifest {
	m := s3export.Manifest{Version: s3export.ManifestVersion, Operation: "op-1", Name: "nightly", Bucket: bucket, Account: account, Region: region, Engine: "valkey", EngineVersion: "8.0.1",
		Source: backup.Ref{Type: "elasticache/snapshot", Account: account, Region: region, ID: "daily"}, Of: "sessions", ClusterMode: true, Exported: time.Now().UTC()}
	for i := range shards {
		id := fmt.Sprintf("%04d", i+1)
		m.Shards = append(m.Shards, s3export.Shard{ID: id, Key: policy.ExportKey("nightly", id), Slots: s3export.Slots(fmt.Sprintf("%d-%d", i*16384/shards, (i+1)*16384/shards-1)),
			Size: 9, SHA256: strings.Repeat("0a", 32), Format: "VALKEY", RDBVersion: 80})
	}
	return m
}

// export writes the files of an export and its manifest to a bucket, a minute apart.
func (b *bed) export(name string, shards int) {
	b.Helper()
	m := manifest(shards)
	for i, x := range m.Shards {
		b.put(name, x.Key, fmt.Appendf(nil, "VALKEY%03d", i))
	}
	time.Sleep(time.Minute)
	text, err := m.Encode()
	b.ok(err)
	b.put(name, s3export.ManifestKey(m.Name), text)
	time.Sleep(time.Minute)
}

func year() policy.Retention { return policy.Retention{Until: time.Now().AddDate(1, 0, 0)} }

// hold sets a retention on the newest version of a key, as somebody else would.
func (b *bed) hold(key string, mode s3types.ObjectLockRetentionMode, until time.Time) {
	b.Helper()
	_, err := b.s3.PutObjectRetention(b.Context(), &awss3.PutObjectRetentionInput{Bucket: aws.String(bucket), Key: &key,
		Retention: &s3types.ObjectLockRetention{Mode: mode, RetainUntilDate: &until}})
	b.ok(err)
}

// release takes a retention away, as only somebody who may bypass it can.
func (b *bed) release(key string) {
	b.Helper()
	_, err := b.s3.PutObjectRetention(b.Context(), &awss3.PutObjectRetentionInput{Bucket: aws.String(bucket), Key: &key, BypassGovernanceRetention: aws.Bool(true),
		Retention: &s3types.ObjectLockRetention{}})
	b.ok(err)
}

func (b *bed) start(r backup.Ref, o backup.Options) backup.Operation {
	b.Helper()
	op, err := b.s.Start(b.Context(), r, backup.Spec{Token: time.Now().String(), Options: o})
	b.ok(err)
	return op
}

// run does what Start began, to its end.
func (b *bed) run(op backup.Operation) backup.Operation {
	b.Helper()
	runner, err := backup.NewRunner([]backup.Strategy{b.s})
	b.ok(err)
	op, err = runner.Run(b.Context(), op)
	if err != nil && !op.Done() {
		b.Fatal(err)
	}
	return op
}

func (b *bed) files() []protect.File {
	b.Helper()
	all, err := b.s.Files(b.Context(), export)
	b.ok(err)
	return all
}

// since gives the inputs of the calls that changed something after the first n.
func (b *bed) since(n int) (inputs []any) {
	for _, c := range b.world.Calls()[n:] {
		if c.Mutates {
			inputs = append(inputs, c.Input)
		}
	}
	return inputs
}

// locked are the keys in the order in which retentions and holds were set after the first n calls.
func (b *bed) locked(n int) (keys []string) {
	b.Helper()
	for _, in := range b.since(n) {
		switch in := in.(type) {
		case *awss3.PutObjectRetentionInput:
			keys = append(keys, *in.Key)
			if in.BypassGovernanceRetention != nil || in.VersionId == nil || in.ExpectedBucketOwner == nil {
				b.Errorf("%+v", in)
			}
		case *awss3.PutObjectLegalHoldInput:
			keys = append(keys, *in.Key)
			if in.LegalHold.Status != s3types.ObjectLockLegalHoldStatusOn || in.VersionId == nil || in.ExpectedBucketOwner == nil {
				b.Errorf("%+v", in)
			}
		default:
			b.Errorf("%T", in)
		}
	}
	return keys
}

func keys(shards int) (all []string) {
	for _, x := range manifest(shards).Shards {
		all = append(all, x.Key)
	}
	return append(all, "nightly.manifest.json")
}

// ids are the ids of findings without the package's name.
func ids(found []backup.Finding) (all []string) {
	for _, f := range found {
		all = append(all, strings.TrimPrefix(f.ID, protect.Kind+"."))
	}
	return all
}

func (b *bed) preflight(op backup.Operation) []backup.Finding {
	b.Helper()
	n := len(b.world.Calls())
	all, err := b.s.Preflight(b.Context(), op)
	b.ok(err)
	for _, f := range all {
		if f.Remedy == "" || f.Message == "" || f.Ref.IsZero() {
			b.Errorf("%+v", f)
		}
	}
	if w := b.since(n); len(w) > 0 {
		b.Errorf("Preflight changed something: %v", w)
	}
	return all
}

// ended checks how an Operation ended.
func (b *bed) ended(op backup.Operation, code backup.Code, want ...string) {
	b.Helper()
	phase := backup.PhaseFailed
	switch code {
	case "":
		phase = backup.PhaseSucceeded
	case backup.ErrPartial:
		phase = backup.PhasePartial
	}
	if op.Phase != phase || code != "" && !errors.Is(op.Err(), code) || code != "" && op.Failure.Hint == "" || !slices.Equal(ids(op.Findings), want) {
		b.Errorf("%s, %v, findings %v; wanted %s and %v", op.Phase, op.Err(), op.Findings, code, want)
	}
}

package elasticacheexport_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
	"github.com/snapwarden/snapwarden/s3export/rdb"
)

func TestExport(t *testing.T) {
	for _, c := range []struct {
		snapshot string
		shards   []string
		slots    []s3export.Slots
	}{
		{"plain", []string{"0001"}, []s3export.Slots{""}},
		{"sharded", []string{"0001", "0002", "0003"}, []s3export.Slots{"0-5460", "5461-10921", "10922-16383"}},
	} {
		t.Run(c.snapshot, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.bucket(bucket, all...)
				op := b.run(b.start(c.snapshot, "Nightly"))
				if op.Phase != backup.PhaseSucceeded || len(op.Points) != 1 || len(op.Made) != 0 || len(op.Findings) != 0 {
					b.Fatalf("%s %v %v %v %v", op.Phase, op.Points, op.Made, op.Findings, op.Err())
				}
				want := elasticacheexport.Export(account, region, bucket, "nightly")
				if op.Points[0] != want {
					b.Errorf("the point is %v", op.Points[0])
				}
				m, err := b.s.Manifest(b.Context(), op.Points[0])
				b.ok(err)
				if m.Operation != op.ID || m.Source != op.Ref || m.ClusterMode != (len(c.shards) > 1) || m.Engine != "redis" || m.Taken.IsZero() {
					b.Errorf("the manifest is %+v", m)
				}
				var ids []string
				var slots []s3export.Slots
				for _, s := range m.Shards {
					ids, slots = append(ids, s.ID), append(slots, s.Slots)
					r, err := b.s.Open(b.Context(), op.Points[0], s.ID)
					b.ok(err)
					data, err := io.ReadAll(r)
					b.ok(err)
					b.ok(r.Close())
					if int64(len(data)) != s.Size || !strings.HasPrefix(string(data), "REDIS") {
						b.Errorf("shard %s has %d bytes of %d", s.ID, len(data), s.Size)
					}
				}
				if d := cmp.Diff(c.shards, ids) + cmp.Diff(c.slots, slots); d != "" {
					b.Error(d)
				}
				if _, err := b.s.Open(b.Context(), op.Points[0], "0009"); !errors.Is(err, backup.ErrNotFound) {
					b.Error(err)
				}
			})
		})
	}
}

// Each documented refusal of AWS ends the work with a code, a finding of a stable id, and words on what to do; mended, the next export passes.
func TestRefusalsAreExplained(t *testing.T) {
	bubble(t, func(b *bed) {
		fail := func(name, found string, code backup.Code, hint string) {
			b.Helper()
			op, err := b.s.Start(b.Context(), elasticache.Snapshot(account, region, "plain"), backup.Spec{Token: name, Options: elasticacheexport.Options{Bucket: bucket}})
			b.ok(err)
			op = b.run(op)
			if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), code) || !strings.Contains(backup.HintOf(op.Err()), hint) {
				b.Errorf("%s: %s %v, hint %q", name, op.Phase, op.Err(), backup.HintOf(op.Err()))
			}
			var ids []string
			for _, f := range op.Findings {
				ids = append(ids, strings.TrimPrefix(f.ID, "elasticacheexport."))
			}
			if d := cmp.Diff(strings.Fields(found), ids); d != "" {
				b.Errorf("%s: %s", name, d)
			}
			if len(op.Points)+len(op.Made) > 0 {
				b.Errorf("%s: %v %v", name, op.Points, op.Made)
			}
		}
		fail("no bucket", "bucket-missing", backup.ErrNotFound, "create it in eu-west-1")
		b.bucket(bucket)
		// What AWS names is the first; what else is missing is told at once.
		fail("read", "grant-read grant-read-acp grant-write", backup.ErrDenied, "s3:ListBucket")
		b.allow(bucket, all[1:3]...)
		fail("write", "grant-write grant-read-acp grant-read", backup.ErrDenied, "s3:PutObject")
		b.allow(bucket, all[:3]...)
		fail("acp", "grant-read-acp grant-read", backup.ErrDenied, "s3:GetBucketAcl")
		b.allow(bucket, all...)
		if op := b.run(b.start("plain", "")); op.Phase != backup.PhaseSucceeded {
			b.Error(op.Err())
		}
	})
}

// What AWS says of a bucket is told in our words even where this library could not have known.
func TestMessages(t *testing.T) {
	for message, want := range map[string]struct {
		id   string
		code backup.Code
	}{
		"The S3 bucket my-exports is outside of the region.":                                                   {"bucket-region", backup.ErrInvalid},
		"The S3 bucket my-exports does not exist.":                                                             {"bucket-missing", backup.ErrNotFound},
		"The S3 bucket my-exports is not owned by the authenticated user.":                                     {"bucket-owner", backup.ErrDenied},
		"The authenticated user does not have sufficient permissions to perform the desired activity.":         {"caller-rights", backup.ErrDenied},
		"The S3 bucket my-exports already contains an object with key out-0001.rdb.":                           {"key-taken", backup.ErrConflict},
		"ElastiCache has not been granted READ permissions my-exports on the S3 Bucket.":                       {"grant-read", backup.ErrDenied},
		"ElastiCache has not been granted WRITE permissions my-exports on the S3 Bucket.":                      {"grant-write", backup.ErrDenied},
		"ElastiCache has not been granted READ_ACP permissions my-exports on the S3 Bucket.":                   {"grant-read-acp", backup.ErrDenied},
		"Elasticache was unable to validate the authenticated user has access on the S3 bucket.":               {"caller-list-all", backup.ErrDenied},
		"Customer Managed CMK cannot be used for encrypting exported snapshots in S3. Please encrypt the file": {"customer-key", backup.ErrUnsupported},
		"Something else about an S3 bucket.":                                                                   {"", backup.ErrInvalid},
	} {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidParameterValue", Message: message}})
			op := b.run(b.start("plain", ""))
			id := ""
			if len(op.Findings) > 0 {
				id = strings.TrimPrefix(op.Findings[0].ID, "elasticacheexport.")
			}
			if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), want.code) || id != want.id || backup.HintOf(op.Err()) == "" {
				b.Errorf("%s\n%s %v %q", message, op.Phase, op.Err(), id)
			}
		})
	}
}

// An export that lacks a file, or whose file is damaged, is never called a backup, and what it left is listed.
func TestHalfIsNotWhole(t *testing.T) {
	t.Run("a file is missing", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultAsync})
			op := b.run(b.start("sharded", "half"))
			if op.Phase != backup.PhasePartial || len(op.Points) != 0 || len(op.Made) != 1 || op.Made[0].ID != bucket+"/half-" {
				b.Errorf("%s %v %v %v", op.Phase, op.Points, op.Made, op.Err())
			}
			if d := cmp.Diff([]string{"half-0001.rdb", "half-0002.rdb"}, b.keys()); d != "" {
				b.Error(d)
			}
		})
	})
	t.Run("no file at all", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultAsync})
			if op := b.run(b.start("plain", "")); op.Phase != backup.PhaseFailed || len(op.Made) != 1 {
				b.Errorf("%s %v %v", op.Phase, op.Made, op.Err())
			}
		})
	})
	t.Run("a file is damaged", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.start("sharded", "bad")
			for op.Stage != "verify" {
				op = b.step(op)
			}
			if !b.store.Damage(b.world, region, bucket, "bad-0002.rdb") {
				b.Fatal("nothing was damaged")
			}
			op = b.run(op)
			if op.Phase != backup.PhaseFailed || len(op.Points) != 0 || !strings.Contains(op.Err().Error(), "bad-0002.rdb") {
				b.Errorf("%s %v", op.Phase, op.Err())
			}
			if slices.Contains(b.keys(), "bad.manifest.json") {
				b.Error("there is a manifest")
			}
		})
	})
	t.Run("a file is replaced while others are read", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			op := b.start("sharded", "odd")
			for op.Stage != "manifest" {
				op = b.step(op)
			}
			out, err := b.s3.GetObject(b.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String("odd-0002.rdb")})
			b.ok(err)
			data, err := io.ReadAll(out.Body)
			b.ok(err)
			_, err = b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("odd-0001.rdb"), Body: strings.NewReader(string(data))})
			b.ok(err)
			if op = b.run(op); op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), backup.ErrConflict) {
				b.Errorf("%s %v", op.Phase, op.Err())
			}
		})
	})
}

// step takes one Step when it is due, as a Runner with a Store would.
func (b *bed) step(op backup.Operation) backup.Operation {
	b.Helper()
	time.Sleep(time.Until(op.Poll))
	if op.Next != "" {
		op.Attempt++
	}
	op, err := b.s.Step(b.Context(), op)
	b.ok(err)
	return op
}

// What is in the way is never overwritten, and another's file of a longer name is not in the way.
func TestNeverOverwrites(t *testing.T) {
	for key, taken := range map[string]bool{
		"out-0001.rdb": true, "out-0007.rdb": true, "out.manifest.json": true,
		"out-2-0001.rdb": false, "out-0001.rdb.bak": false, "output-0001.rdb": false, "out.manifest.json.old": false,
	} {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			_, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("theirs")})
			b.ok(err)
			op := b.run(b.start("plain", "out"))
			if taken != errors.Is(op.Err(), backup.ErrConflict) || taken == (op.Phase == backup.PhaseSucceeded) {
				b.Errorf("%s: %s %v", key, op.Phase, op.Err())
			}
			out, err := b.s3.GetObject(b.Context(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
			b.ok(err)
			if data, err := io.ReadAll(out.Body); err != nil || string(data) != "theirs" {
				b.Errorf("%s was changed: %q %v", key, data, err)
			}
		})
	}
}

func TestOpenChecks(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.run(b.start("plain", "out"))
		b.store.Damage(b.world, region, bucket, "out-0001.rdb")
		r, err := b.s.Open(b.Context(), op.Points[0], "0001")
		b.ok(err)
		defer r.Close()
		var damaged *rdb.FormatError
		if _, err := io.ReadAll(r); !errors.As(err, &damaged) {
			b.Errorf("a damaged file was read to its end: %v", err)
		}
		b.store.Damage(b.world, region, bucket, "out.manifest.json")
		if _, err := b.s.Manifest(b.Context(), op.Points[0]); !errors.Is(err, backup.ErrInvalid) {
			b.Errorf("a damaged manifest was read: %v", err)
		}
		for _, r := range []backup.Ref{{}, op.Ref, {Type: elasticacheexport.TypeExport, Account: account, Region: region, ID: bucket}} {
			if _, err := b.s.Open(b.Context(), r, "0001"); !errors.Is(err, backup.ErrInvalid) {
				b.Errorf("%v: %v", r, err)
			}
		}
	})
}

func TestStartRefuses(t *testing.T) {
	s := elasticacheexport.New(func(context.Context, string, string) (elasticacheexport.Clients, error) {
		t.Error("Start asked for clients")
		return elasticacheexport.Clients{}, nil
	})
	good := elasticache.Snapshot(account, region, "plain")
	for name, c := range map[string]struct {
		r    backup.Ref
		spec backup.Spec
	}{
		"an instance": {backup.Ref{Type: "rds/instance", Account: account, Region: region, ID: "one"}, backup.Spec{Options: elasticacheexport.Options{Bucket: bucket}}},
		"the Region":  {elasticache.Snapshot(account, "nowhere", "plain"), backup.Spec{Options: elasticacheexport.Options{Bucket: bucket}}},
		"the name":    {elasticache.Snapshot(account, region, "a*"), backup.Spec{Options: elasticacheexport.Options{Bucket: bucket}}},
		"no options":  {good, backup.Spec{}},
		"no bucket":   {good, backup.Spec{Options: elasticacheexport.Options{}}},
		"wildcard":    {good, backup.Spec{Options: elasticacheexport.Options{Bucket: "my-*"}}},
		"tags":        {good, backup.Spec{Tags: map[string]string{"team": "x"}, Options: elasticacheexport.Options{Bucket: bucket}}},
		"export name": {good, backup.Spec{Name: "a/b", Options: elasticacheexport.Options{Bucket: bucket}}},
	} {
		c.spec.Token = "token"
		if _, err := s.Start(t.Context(), c.r, c.spec); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStoredNameStays carries on an export that an older release named otherwise.
func TestStoredNameStays(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.start("plain", "")
		op.State = bytes.ReplaceAll(op.State, []byte(`"swx-`), []byte(`"sw-`))
		op = b.run(op)
		want(b, op, "", 0)
		if keys := b.keys(); len(keys) != 2 || !strings.HasPrefix(keys[0], "sw-") || !strings.HasPrefix(keys[1], "sw-") {
			b.Errorf("keys %v", keys)
		}
	})
}

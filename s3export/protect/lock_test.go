package protect_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/protect"
)

const (
	governance = s3types.ObjectLockRetentionModeGovernance
	compliance = s3types.ObjectLockRetentionModeCompliance
)

// Every file is held in its version, the manifest last, and can not be deleted then. A second run finds it so and writes nothing.
func TestProtectExport(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 3)
		op := b.start(export, protect.LockOptions{Retention: policy.Retention{Until: time.Now().AddDate(1, 0, 0).Add(7 * time.Millisecond)}, LegalHold: policy.LegalHoldOn})
		if found := b.preflight(op); len(found) > 0 {
			t.Error(found)
		}
		n := len(b.world.Calls())
		until := time.Now().AddDate(1, 0, 0).UTC().Truncate(time.Second).Add(time.Second)
		op = b.run(op)
		b.ended(op, "")
		var want []string
		for _, k := range keys(3) {
			want = append(want, k, k) // a retention and a hold
		}
		if d := cmp.Diff(want, b.locked(n)); d != "" {
			t.Error(d)
		}
		versions := map[string]string{}
		for _, v := range b.store.Versions(b.world, region, bucket) {
			versions[v.Key] = v.Version
		}
		for i, f := range b.files() {
			if f.Key != keys(3)[i] || f.Version != versions[f.Key] || f.LegalHold != policy.LegalHoldOn || f.Retention.Mode != policy.LockGovernance || !f.Retention.Until.Equal(until) || f.Size == 0 {
				t.Errorf("%+v, until %v", f, until)
			}
			_, err := b.s3.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: &f.Key, VersionId: &f.Version, BypassGovernanceRetention: aws.Bool(true)})
			if err == nil {
				t.Errorf("%s was deleted", f.Key)
			}
		}
		n = len(b.world.Calls())
		b.ended(b.run(b.start(export, protect.LockOptions{Retention: policy.Retention{Until: until}, LegalHold: policy.LegalHoldOn})), "")
		if w := b.locked(n); len(w) > 0 {
			t.Errorf("written again: %v", w)
		}
	})
}

// What is not asked for is not looked at, so that its rights are not needed.
func TestProtectByHoldOnly(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 2)
		n := len(b.world.Calls())
		b.ended(b.run(b.start(export, protect.LockOptions{LegalHold: policy.LegalHoldOn})), "")
		if d := cmp.Diff(keys(2), b.locked(n)); d != "" {
			t.Error(d)
		}
		for _, c := range b.world.Calls()[n:] {
			if strings.HasSuffix(c.Operation, "Retention") {
				t.Error(c.Operation)
			}
		}
		n = len(b.world.Calls())
		b.ended(b.run(b.start(export, protect.LockOptions{Retention: year()})), "")
		for _, c := range b.world.Calls()[n:] {
			if strings.HasSuffix(c.Operation, "LegalHold") {
				t.Error(c.Operation)
			}
		}
	})
}

// A single object is held in its newest version, or in one that is named; one that was deleted only by name.
func TestProtectObject(t *testing.T) {
	bubble(t, func(b *bed) {
		first := b.put(bucket, "a key", []byte("1"))
		second := b.put(bucket, "a key", []byte("2"))
		held := func() (versions []string) {
			for _, v := range []string{first, second} {
				out, err := b.s3.GetObjectRetention(b.Context(), &awss3.GetObjectRetentionInput{Bucket: aws.String(bucket), Key: aws.String("a key"), VersionId: &v})
				if err == nil && out.Retention.Mode == governance {
					versions = append(versions, v)
				}
			}
			return versions
		}
		b.ended(b.run(b.start(object("a key"), protect.LockOptions{Retention: year()})), "")
		if h := held(); !slices.Equal(h, []string{second}) {
			t.Errorf("%v of %s and %s", h, first, second)
		}
		all, err := b.s.Files(b.Context(), object("a key"))
		if err != nil || len(all) != 1 || all[0].Version != second || all[0].Size != 1 || all[0].LegalHold != policy.LegalHoldOff {
			t.Errorf("%+v %v", all, err)
		}
		b.ended(b.run(b.start(object("a key"), protect.LockOptions{Retention: year(), Version: first})), "")
		if h := held(); len(h) != 2 {
			t.Errorf("%v of %s and %s", h, first, second)
		}
		out, err := b.s3.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("a key")})
		b.ok(err)
		b.ended(b.run(b.start(object("a key"), protect.LockOptions{LegalHold: policy.LegalHoldOn})), backup.ErrNotFound, "missing")
		b.ended(b.run(b.start(object("a key"), protect.LockOptions{LegalHold: policy.LegalHoldOn, Version: second})), "")
		if op := b.run(b.start(object("a key"), protect.LockOptions{LegalHold: policy.LegalHoldOn, Version: *out.VersionId})); op.Phase != backup.PhaseFailed {
			t.Errorf("a delete marker: %s", op.Phase)
		}
		b.ended(b.run(b.start(object("a key"), protect.LockOptions{LegalHold: policy.LegalHoldOn, Version: "none"})), backup.ErrNotFound, "missing")
	})
}

// An object under a key of the caller's own can not be looked at, and is held by its version.
func TestProtectCustomerKey(t *testing.T) {
	bubble(t, func(b *bed) {
		out, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("k"), Body: strings.NewReader("x"),
			SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: aws.String(strings.Repeat("k", 32)), SSECustomerKeyMD5: aws.String("md5")})
		b.ok(err)
		op := b.start(object("k"), protect.LockOptions{Retention: year()})
		if d := cmp.Diff([]string{"refused"}, ids(b.preflight(op))); d != "" {
			t.Error(d)
		}
		op = b.run(op)
		b.ended(op, backup.ErrUnsupported, "refused")
		if !strings.Contains(op.Failure.Hint, "LockOptions.Version") {
			t.Error(op.Failure.Hint)
		}
		op = b.start(object("k"), protect.LockOptions{Retention: year(), Version: *out.VersionId})
		if found := b.preflight(op); len(found) > 0 {
			t.Error(found)
		}
		b.ended(b.run(op), "")
	})
}

// What is there already is never made weaker: it stays where it is enough, and ends the work before anything is sent where it is in the way.
func TestNeverWeaker(t *testing.T) {
	month := func(n int) time.Time { return time.Now().AddDate(0, n, 0).Truncate(time.Second).UTC() }
	for name, c := range map[string]struct {
		mode   s3types.ObjectLockRetentionMode
		months int
		want   policy.Retention
		to     int // months
		code   backup.Code
		writes bool
	}{
		"longer":                        {governance, 6, policy.Retention{}, 12, "", true},
		"the same":                      {governance, 12, policy.Retention{}, 12, "", false},
		"held longer":                   {governance, 24, policy.Retention{}, 12, "", false},
		"firmer and longer":             {governance, 6, policy.Retention{Mode: policy.LockCompliance, Irreversible: true}, 12, "", true},
		"firmer and shorter":            {governance, 24, policy.Retention{Mode: policy.LockCompliance, Irreversible: true}, 12, backup.ErrConflict, false},
		"held more firmly and longer":   {compliance, 24, policy.Retention{}, 12, "", false},
		"held more firmly, not as long": {compliance, 6, policy.Retention{}, 12, backup.ErrConflict, false},
		"compliance, longer":            {compliance, 6, policy.Retention{Mode: policy.LockCompliance, Irreversible: true}, 12, "", true},
		"compliance, held longer":       {compliance, 24, policy.Retention{Mode: policy.LockCompliance, Irreversible: true}, 12, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.export(bucket, 2)
				for _, k := range []string{"nightly-0001.rdb", "nightly.manifest.json"} {
					b.hold(k, c.mode, month(c.months))
				}
				before := b.files()
				n := len(b.world.Calls())
				c.want.Until = month(c.to)
				op := b.start(export, protect.LockOptions{Retention: c.want})
				if found := ids(b.preflight(op)); (len(found) > 0) != (c.code != "" || c.want.Irreversible) || c.code != "" && found[0] != "held-otherwise" {
					t.Errorf("%v", found)
				}
				op = b.run(op)
				if c.code != "" {
					b.ended(op, c.code, "held-otherwise")
					if w := b.locked(n); len(w) > 0 {
						t.Errorf("sent: %v", w)
					}
					return
				}
				b.ended(op, "")
				want := []string{"nightly-0002.rdb"}
				if c.writes {
					want = keys(2)
				}
				if d := cmp.Diff(want, b.locked(n)); d != "" {
					t.Error(d)
				}
				for i, f := range b.files() {
					was := before[i].Retention
					if f.Retention.Until.Before(was.Until) || f.Retention.Until.Before(c.want.Until) || was.Mode == policy.LockCompliance && f.Retention.Mode != was.Mode {
						t.Errorf("%+v was %+v", f, was)
					}
				}
			})
		})
	}
}

// A retention whose time is over binds nothing.
func TestRetentionThatEnded(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 1)
		b.hold("nightly-0001.rdb", compliance, time.Now().Add(time.Hour))
		time.Sleep(2 * time.Hour)
		b.ended(b.run(b.start(export, protect.LockOptions{Retention: year()})), "")
	})
}

// One that ends before it could be set is refused, and nothing is called held.
func TestTooLate(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 1)
		op := b.start(export, protect.LockOptions{Retention: policy.Retention{Until: time.Now().Add(time.Minute)}})
		time.Sleep(time.Hour)
		b.ended(b.run(op), backup.ErrInvalid, "refused")
	})
}

// The Steps keep within their minute however slow S3 is, and take up the work where it stopped.
func TestManyFilesSlowly(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 30)
		b.world.SetLatency(func(string, string) time.Duration { return 3 * time.Second })
		n := len(b.world.Calls())
		op := b.start(export, protect.LockOptions{Retention: year(), LegalHold: policy.LegalHoldOn})
		steps, last := 0, 0
		for !op.Done() {
			if op.Next != "" {
				op.Attempt++
			}
			begin := time.Now()
			next, err := b.s.Step(b.Context(), op)
			b.ok(err)
			if d := time.Since(begin); d > 55*time.Second {
				t.Fatalf("a Step took %v", d)
			}
			if next.Percent < last || steps > 60 {
				t.Fatalf("from %d to %d per cent after %d steps", last, next.Percent, steps)
			}
			steps, last, op = steps+1, next.Percent, next
		}
		b.ended(op, "")
		got := b.locked(n)
		if len(got) != 62 || steps < 10 || got[61] != "nightly.manifest.json" || slices.Contains(got[:60], "nightly.manifest.json") {
			t.Errorf("%d steps, %v", steps, got)
		}
	})
}

// The wrong buckets and files are told apart before anything is sent, and Preflight says the same.
func TestProtectRefusesWhatIsThere(t *testing.T) {
	body := func(b *bed, key, text string) { b.put(bucket, key, []byte(text)) }
	for name, c := range map[string]struct {
		make func(b *bed)
		ref  backup.Ref
		code backup.Code
		want []string
	}{
		"no bucket":   {func(*bed) {}, backup.Ref{Type: export.Type, Account: account, Region: region, ID: "nowhere/nightly.manifest.json"}, backup.ErrNotFound, []string{"missing"}},
		"no manifest": {func(*bed) {}, export, backup.ErrNotFound, []string{"missing"}},
		"no object":   {func(*bed) {}, object("x"), backup.ErrNotFound, []string{"missing"}},
		"a damaged manifest": {func(b *bed) { b.export(bucket, 1); body(b, "nightly.manifest.json", "{}") }, export, backup.ErrInvalid,
			[]string{"refused"}},
		"another's manifest": {func(b *bed) {
			text, err := manifest(1).Encode()
			b.ok(err)
			body(b, "weekly.manifest.json", string(text))
		}, backup.Ref{Type: export.Type, Account: account, Region: region, ID: bucket + "/weekly.manifest.json"}, backup.ErrInvalid, []string{"refused"}},
		"another size": {func(b *bed) {
			b.export(bucket, 2)
			body(b, "nightly-0002.rdb", "short")
			time.Sleep(time.Minute)
			text, err := manifest(2).Encode() // that the file is younger does not show
			b.ok(err)
			body(b, "nightly.manifest.json", string(text))
		}, export, backup.ErrConflict, []string{"replaced"}},
		"a younger file": {func(b *bed) { b.export(bucket, 2); body(b, "nightly-0002.rdb", "VALKEY999") }, export, backup.ErrConflict, []string{"replaced"}},
		"a deleted file": {func(b *bed) {
			b.export(bucket, 2)
			_, err := b.s3.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("nightly-0001.rdb")})
			b.ok(err)
		}, export, backup.ErrNotFound, []string{"missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				c.make(b)
				op := b.start(c.ref, protect.LockOptions{Retention: year()})
				if d := cmp.Diff(c.want, ids(b.preflight(op))); d != "" {
					t.Error(d)
				}
				n := len(b.world.Calls())
				b.ended(b.run(op), c.code, c.want...)
				if w := b.locked(n); len(w) > 0 {
					t.Errorf("sent: %v", w)
				}
				if _, err := b.s.Files(b.Context(), c.ref); !errors.Is(err, c.code) || backup.HintOf(err) == "" {
					t.Errorf("Files: %v", err)
				}
			})
		})
	}
}

// A bucket without Object Lock is said to be so, and whether it lacks versions too.
func TestNoObjectLock(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket("plain", false)
		b.export("plain", 1)
		r := export
		r.ID = "plain/nightly.manifest.json"
		op := b.start(r, protect.LockOptions{LegalHold: policy.LegalHoldOn})
		if d := cmp.Diff([]string{"lock-disabled", "versions-disabled"}, ids(b.preflight(op))); d != "" {
			t.Error(d)
		}
		b.ended(b.run(op), backup.ErrUnsupported, "lock-disabled")
		if _, err := b.s.Files(b.Context(), r); !errors.Is(err, backup.ErrUnsupported) {
			t.Error(err)
		}
		_, err := b.s3.PutBucketVersioning(b.Context(), &awss3.PutBucketVersioningInput{Bucket: aws.String("plain"), VersioningConfiguration: &s3types.VersioningConfiguration{Status: "Enabled"}})
		b.ok(err)
		if d := cmp.Diff([]string{"lock-disabled"}, ids(b.preflight(op))); d != "" {
			t.Error(d)
		}
		_, err = b.s3.PutObjectLockConfiguration(b.Context(), &awss3.PutObjectLockConfigurationInput{Bucket: aws.String("plain"), ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: "Enabled"}})
		b.ok(err)
		// The files are older than the bucket's versions, and have the version null.
		b.ended(b.run(b.start(r, protect.LockOptions{LegalHold: policy.LegalHoldOn})), "")
	})
}

// Preflight tells that compliance mode is for good, names a few files of many that are wrong, and does not go on without the right to look.
func TestPreflightLock(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 12)
		op := b.start(export, protect.LockOptions{Retention: policy.Retention{Mode: policy.LockCompliance, Until: time.Now().AddDate(1, 0, 0), Irreversible: true}})
		if d := cmp.Diff([]string{"compliance"}, ids(b.preflight(op))); d != "" {
			t.Error(d)
		}
		for i := range 12 {
			b.put(bucket, keys(12)[i], []byte("other"))
		}
		if found := ids(b.preflight(op)); len(found) != 10 || found[8] != "more" || found[9] != "compliance" {
			t.Error(found)
		}
		b.world.Inject(awssim.Fault{Operation: "GetObjectLockConfiguration", Kind: awssim.FaultServerError, Times: -1})
		if _, err := b.s.Preflight(b.Context(), op); !errors.Is(err, backup.ErrUnavailable) {
			t.Error(err)
		}
	})
	for _, operation := range []string{"GetObjectLockConfiguration", "GetObject", "HeadObject", "GetObjectRetention", "GetObjectLegalHold"} {
		bubble(t, func(b *bed) {
			b.export(bucket, 1)
			b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultError, Times: -1, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}})
			op := b.start(export, protect.LockOptions{Retention: year(), LegalHold: policy.LegalHoldOn})
			found := b.preflight(op)
			right := "s3:" + strings.Replace(operation, "GetObjectLockC", "GetBucketObjectLockC", 1)
			if operation == "HeadObject" {
				right = "s3:GetObject"
			}
			if len(found) == 0 || found[0].ID != "s3protect.denied" || !strings.Contains(found[0].Remedy, right) {
				t.Errorf("%s: %v", operation, found)
			}
			b.ended(b.run(op), backup.ErrDenied, "denied")
		})
	}
}

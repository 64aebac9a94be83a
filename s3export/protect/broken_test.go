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

func deny(operation string, skip int) awssim.Fault {
	return awssim.Fault{Operation: operation, Kind: awssim.FaultError, Skip: skip, Times: -1, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}}
}

// find gives the finding of an ID.
func find(t *testing.T, op backup.Operation, id string) backup.Finding {
	t.Helper()
	i := slices.IndexFunc(op.Findings, func(f backup.Finding) bool { return f.ID == protect.Kind+"."+id })
	if i < 0 {
		t.Fatalf("no finding %s in %v", id, op.Findings)
	}
	return op.Findings[i]
}

// What is refused half-way is partial, and says what is held and what is not. Started again, it holds the rest, and nothing twice.
func TestRefusedHalfWay(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 6)
		b.world.Inject(deny("PutObjectRetention", 2))
		op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
		b.ended(op, backup.ErrPartial, "denied", "protected", "unprotected")
		if !strings.Contains(op.Failure.Hint, "s3:PutObjectRetention") || !strings.Contains(op.Failure.Message, "2 of 7") {
			t.Error(op.Err())
		}
		if m := find(t, op, "protected").Message; !strings.Contains(m, "2 of 7") || !strings.Contains(m, "nightly-0001.rdb, nightly-0002.rdb") || strings.Contains(m, "0003") {
			t.Error(m)
		}
		if m := find(t, op, "unprotected").Message; !strings.Contains(m, "5 of 7") || !strings.Contains(m, "nightly-0003.rdb") || !strings.Contains(m, "and 1 more") {
			t.Error(m)
		}
		var held []string
		for _, f := range b.files() {
			if !f.Retention.Until.IsZero() {
				held = append(held, f.Key)
			}
		}
		if d := cmp.Diff(keys(6)[:2], held); d != "" {
			t.Error(d)
		}
		b.world.Heal()
		n := len(b.world.Calls())
		b.ended(b.run(b.start(export, protect.LockOptions{Retention: policy.Retention{Until: b.files()[0].Retention.Until}})), "")
		if d := cmp.Diff(keys(6)[2:], b.locked(n)); d != "" {
			t.Error(d)
		}
	})
}

// Where nothing at all could be held, the cause is the end, and nothing is called protected.
func TestRefusedAtOnce(t *testing.T) {
	for operation, o := range map[string]protect.LockOptions{"PutObjectRetention": {Retention: policy.Retention{Until: time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)}}, "PutObjectLegalHold": {LegalHold: policy.LegalHoldOn}} {
		bubble(t, func(b *bed) {
			b.export(bucket, 2)
			b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultError, Times: -1, Error: awssim.Error{Status: 403, Code: "AccessDenied",
				Message: "User: arn:aws:iam::111122223333:role/x is not authorized to perform: s3:Xyz on resource: y because no identity-based policy allows it"}})
			op := b.run(b.start(export, o))
			b.ended(op, backup.ErrDenied, "denied", "unprotected")
			if !strings.HasPrefix(op.Failure.Hint, "the missing right is s3:Xyz; ") || !strings.Contains(op.Failure.Hint, "s3:"+operation) {
				t.Error(op.Failure.Hint)
			}
		})
	}
}

// What is not finished by its deadline is partial too, and says what is held: whether S3 throttles the writing, or the reading of what is held.
func TestDeadline(t *testing.T) {
	for name, c := range map[string]struct {
		spec   backup.Spec
		faults []awssim.Fault
		code   backup.Code
		held   string // in the finding, if there is one
		lacks  string
	}{
		"writing throttled": {backup.Spec{}, []awssim.Fault{{Operation: "PutObjectRetention", Skip: 2}}, backup.ErrPartial, "2 of 4", "2 of 4"},
		"a short time":      {backup.Spec{Timeout: 10 * time.Minute}, []awssim.Fault{{Operation: "PutObjectRetention", Skip: 1}}, backup.ErrPartial, "1 of 4", "3 of 4"},
		"nothing held":      {backup.Spec{}, []awssim.Fault{{Operation: "PutObjectRetention"}}, backup.ErrUnavailable, "", "4 of 4"},
		"reading back":      {backup.Spec{}, []awssim.Fault{{Operation: "HeadObject", Skip: 5}}, backup.ErrUnavailable, "4 of 4", ""},
		// 4 looks, then 4 before the writing; of the files in the report the first one is still read.
		"reading throttled": {backup.Spec{}, []awssim.Fault{{Operation: "PutObjectRetention", Skip: 2}, {Operation: "GetObjectRetention", Skip: 9}}, backup.ErrUnavailable, "", "4 of 4"},
	} {
		bubble(t, func(b *bed) {
			b.export(bucket, 3)
			for _, f := range c.faults {
				f.Times, f.Kind = -1, awssim.FaultThrottle
				b.world.Inject(f)
			}
			c.spec.Token, c.spec.Options = "t", protect.LockOptions{Retention: year()}
			op, err := b.s.Start(b.Context(), export, c.spec)
			b.ok(err)
			deadline := op.Deadline
			op = b.run(op)
			want := []string{"refused"}
			for id, text := range map[string]string{"protected": c.held, "unprotected": c.lacks} {
				if text == "" {
					continue
				}
				want = append(want, id)
				if m := find(t, op, id).Message; !strings.Contains(m, text) || !strings.Contains(m, ".rdb") {
					t.Errorf("%s: %s", name, m)
				}
			}
			slices.Sort(want[1:])
			b.ended(op, c.code, want...)
			if !strings.Contains(op.Failure.Hint, "Spec.Timeout") || !strings.Contains(op.Failure.Message, "deadline") {
				t.Errorf("%s: %v", name, op.Err())
			}
			if late := time.Since(deadline); late > time.Minute {
				t.Errorf("%s: ended %v after its deadline", name, late)
			}
		})
	}
}

// A retention without its hold is not what was asked for.
func TestHoldRefused(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 2)
		b.world.Inject(deny("PutObjectLegalHold", 1))
		op := b.run(b.start(export, protect.LockOptions{Retention: year(), LegalHold: policy.LegalHoldOn}))
		b.ended(op, backup.ErrPartial, "denied", "protected", "unprotected")
		if m := find(t, op, "protected").Message; !strings.Contains(m, "1 of 3") {
			t.Error(m)
		}
	})
}

// meanwhile has f done just before the operation's call that follows skip others, once.
func (b *bed) meanwhile(operation string, skip int, f func()) {
	done := false
	n := 0
	b.world.Watch(func(c awssim.Call) {
		if c.Operation != operation || done {
			return
		}
		if n++; n == skip {
			done = true
			f()
		}
	})
}

// A file that is replaced while it is being held is no part of a protected export, although what was there is held.
func TestReplacedMeanwhile(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 2)
		b.meanwhile("PutObjectRetention", 1, func() { b.put(bucket, "nightly-0001.rdb", []byte("VALKEY999")) })
		op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
		b.ended(op, backup.ErrConflict, "replaced", "protected")
		if m := find(t, op, "protected").Message; !strings.Contains(m, "3 of 3") {
			t.Error(m)
		}
	})
	bubble(t, func(b *bed) { // the same bytes, and the same second
		b.put(bucket, "k", []byte("1"))
		b.meanwhile("PutObjectRetention", 1, func() { b.put(bucket, "k", []byte("1")) })
		b.ended(b.run(b.start(object("k"), protect.LockOptions{Retention: year()})), backup.ErrConflict, "replaced", "protected")
	})
	bubble(t, func(b *bed) { // a version that was named does not mind
		v := b.put(bucket, "k", []byte("1"))
		b.meanwhile("PutObjectRetention", 1, func() { b.put(bucket, "k", []byte("2")) })
		b.ended(b.run(b.start(object("k"), protect.LockOptions{Retention: year(), Version: v})), "")
	})
	bubble(t, func(b *bed) { // the version itself is deleted before it is held
		b.export(bucket, 3)
		v := b.files()[1].Version
		b.meanwhile("PutObjectRetention", 1, func() {
			_, err := b.s3.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("nightly-0002.rdb"), VersionId: &v})
			b.ok(err)
		})
		b.ended(b.run(b.start(export, protect.LockOptions{Retention: year()})), backup.ErrPartial, "missing", "protected", "unprotected")
	})
}

// The files and the manifest are those of the first look: a manifest that is put over the first one has no say.
func TestManifestIsPinned(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 3)
		first := b.files()
		b.meanwhile("HeadObject", 1, func() { b.put(bucket, "nightly.manifest.json", []byte("{}")) })
		n := len(b.world.Calls())
		op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
		b.ended(op, backup.ErrConflict, "replaced", "protected")
		for _, in := range b.since(n) {
			if in, ok := in.(*awss3.PutObjectRetentionInput); ok && *in.Key == "nightly.manifest.json" && *in.VersionId != first[3].Version {
				t.Errorf("%s in the version %s", *in.Key, *in.VersionId)
			}
		}
	})
}

// Somebody who takes retentions away is noticed: they are set again, and if that goes on, it is told.
func TestReleasedMeanwhile(t *testing.T) {
	for times, code := range map[int]backup.Code{1: "", 2: "", 9: backup.ErrPartial} {
		bubble(t, func(b *bed) {
			b.export(bucket, 2)
			left := times
			b.world.Watch(func(c awssim.Call) {
				in, ok := c.Input.(*awss3.PutObjectRetentionInput)
				if ok && left > 0 && *in.Key == "nightly-0001.rdb" && in.BypassGovernanceRetention == nil {
					left--
					b.release("nightly-0001.rdb")
				}
			})
			op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
			if code == "" {
				b.ended(op, "")
				if b.files()[0].Retention.Until.IsZero() {
					t.Error("not held in the end")
				}
				return
			}
			b.ended(op, code, "not-held", "protected", "unprotected")
		})
	}
}

// A legal hold that somebody takes off is put on again.
func TestHoldTakenOff(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 1)
		b.meanwhile("PutObjectLegalHold", 2, func() { // the manifest's
			_, err := b.s3.PutObjectLegalHold(b.Context(), &awss3.PutObjectLegalHoldInput{Bucket: aws.String(bucket), Key: aws.String("nightly-0001.rdb"),
				LegalHold: &s3types.ObjectLockLegalHold{Status: s3types.ObjectLockLegalHoldStatusOff}})
			b.ok(err)
		})
		b.ended(b.run(b.start(export, protect.LockOptions{Retention: year(), LegalHold: policy.LegalHoldOn})), "")
		for _, f := range b.files() {
			if f.LegalHold != policy.LegalHoldOn {
				t.Errorf("%+v", f)
			}
		}
	})
}

// S3 says denied to a retention that would be shorter than one that somebody has just set: that is no failure.
func TestHeldLongerMeanwhile(t *testing.T) {
	for name, c := range map[string]struct {
		mode  s3types.ObjectLockRetentionMode
		years int
		code  backup.Code
		want  []string
	}{"longer": {governance, 2, "", nil}, "firmer": {compliance, 2, "", nil}, "firmer and shorter": {compliance, 0, backup.ErrPartial, []string{"held-otherwise", "protected", "unprotected"}}} {
		bubble(t, func(b *bed) {
			b.export(bucket, 2)
			n := 0
			b.world.Watch(func(call awssim.Call) {
				if in, ok := call.Input.(*awss3.GetObjectRetentionInput); ok && *in.Key == "nightly-0002.rdb" {
					if n++; n == 2 { // just before it is held
						b.hold("nightly-0002.rdb", c.mode, time.Now().AddDate(c.years, 1, 0))
					}
				}
			})
			op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
			if n < 2 {
				t.Fatal("nothing happened meanwhile")
			}
			t.Log(name)
			b.ended(op, c.code, c.want...)
		})
	}
}

// A retention that goes with an event is not replaced: what S3 would make of the event is not known. One that is long enough is none of that.
func TestEventHold(t *testing.T) {
	for days, code := range map[int]backup.Code{30: backup.ErrConflict, 800: ""} {
		bubble(t, func(b *bed) {
			b.export(bucket, 1)
			b.hold("nightly-0001.rdb", governance, time.Now().AddDate(0, 0, days))
			cfg := b.world.Config(account, region)
			cfg.APIOptions = append(cfg.APIOptions, answer(func(out any) {
				if out, ok := out.(*awss3.GetObjectRetentionOutput); ok && out.Retention != nil {
					out.Retention.EventHold = s3types.ObjectLockEventHoldOn
				}
			}))
			b.s = protect.NewFromConfig(cfg)
			op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
			if code == "" {
				b.ended(op, "")
			} else {
				b.ended(op, code, "held-otherwise")
			}
		})
	}
}

// Where nothing is in the way, a slow one is told of in time as well, and a short time is enough for a quick one.
func TestSlow(t *testing.T) {
	for latency, code := range map[time.Duration]backup.Code{0: "", 20 * time.Second: backup.ErrUnavailable} {
		bubble(t, func(b *bed) {
			b.export(bucket, 5)
			b.world.SetLatency(func(_, operation string) time.Duration {
				if operation == "HeadObject" {
					return latency
				}
				return 0
			})
			op, err := b.s.Start(b.Context(), export, backup.Spec{Token: "t", Timeout: 3 * time.Minute, Options: protect.LockOptions{Retention: year()}})
			b.ok(err)
			op = b.run(op)
			if code == "" {
				b.ended(op, "")
				return
			}
			b.ended(op, code, "refused", "protected") // they are all held, and that they are still the newest is not known
			if m := find(t, op, "protected").Message; !strings.Contains(m, "6 of 6") || !strings.Contains(op.Failure.Message, "not finished in time") {
				t.Error(op.Err(), m)
			}
		})
	}
}

// A machine that stands still over the deadline tells afterwards what it had held, sends nothing more, and ends even if it can not read that.
func TestDeadlineMissed(t *testing.T) {
	for name, c := range map[string]struct {
		throttled string
		want      []string
	}{
		"readable":              {"", []string{"refused", "protected", "unprotected"}},
		"unreadable":            {"GetObject", []string{"under-way", "refused"}},
		"unreadable as a whole": {"GetObjectRetention", []string{"refused", "unprotected"}},
	} {
		bubble(t, func(b *bed) {
			b.export(bucket, 3)
			b.world.Inject(awssim.Fault{Operation: "PutObjectRetention", Kind: awssim.FaultServerError, Skip: 1, Times: -1})
			op, err := b.s.Start(b.Context(), export, backup.Spec{Token: "t", Timeout: time.Hour, Options: protect.LockOptions{Retention: year()}})
			b.ok(err)
			runner, err := backup.NewRunner([]backup.Strategy{b.s})
			b.ok(err)
			n := len(b.world.Calls())
			for len(b.locked(n)) < 2 { // the second is refused
				op, _ = runner.Step(b.Context(), op)
			}
			b.world.Heal()
			if c.throttled != "" {
				b.world.Inject(awssim.Fault{Operation: c.throttled, Kind: awssim.FaultThrottle, Times: -1})
			}
			time.Sleep(time.Until(op.Deadline) + time.Minute)
			n = len(b.world.Calls())
			op = b.run(op)
			code := backup.ErrPartial
			if c.throttled == "GetObjectRetention" {
				code = backup.ErrUnavailable
			}
			b.ended(op, code, c.want...)
			if sent := b.since(n); len(sent) > 0 {
				t.Errorf("%s: %v", name, sent)
			}
			if late := time.Since(op.Deadline); late > 5*time.Minute {
				t.Errorf("%s: ended %v after its deadline", name, late)
			}
		})
	}
}

// If the manifest can not be read any more, it is not told what is protected, and the Operation ends all the same.
func TestManifestGone(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 3)
		b.world.Inject(deny("PutObjectRetention", 1))
		b.world.Inject(deny("GetObject", 2))
		op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
		b.ended(op, backup.ErrPartial, "under-way", "denied")
		if !strings.Contains(op.Failure.Message, "can not be told") {
			t.Error(op.Err())
		}
	})
}

// The rights and answers that come and go are waited for, and cost nothing.
func TestPassingTrouble(t *testing.T) {
	for _, operation := range []string{"GetObjectLockConfiguration", "GetObject", "HeadObject", "GetObjectRetention", "PutObjectRetention", "GetObjectLegalHold", "PutObjectLegalHold"} {
		bubble(t, func(b *bed) {
			b.export(bucket, 3)
			hit := b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultThrottle, Skip: 1, For: 20 * time.Minute})
			if operation == "GetObjectLockConfiguration" {
				hit = b.world.Inject(awssim.Fault{Operation: operation, Kind: awssim.FaultThrottle, For: 20 * time.Minute})
			}
			b.ended(b.run(b.start(export, protect.LockOptions{Retention: year(), LegalHold: policy.LegalHoldOn})), "")
			if hit.Fired() == 0 {
				t.Errorf("%s was not hit", operation)
			}
		})
	}
}

// In the report too: it waits for what can be learnt, and counts what can not as not protected.
func TestReportInTrouble(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 3)
		b.world.Inject(deny("PutObjectRetention", 2))
		b.meanwhile("PutObjectRetention", 3, func() {
			b.world.Inject(awssim.Fault{Operation: "GetObjectRetention", Kind: awssim.FaultThrottle, Skip: 2, For: 10 * time.Minute})
		})
		op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
		b.ended(op, backup.ErrPartial, "denied", "protected", "unprotected")
	})
	bubble(t, func(b *bed) {
		b.export(bucket, 3)
		b.world.Inject(deny("PutObjectRetention", 2))
		b.meanwhile("PutObjectRetention", 3, func() { b.world.Inject(deny("GetObjectRetention", 2)) })
		op := b.run(b.start(export, protect.LockOptions{Retention: year()}))
		if op.Phase != backup.PhasePartial || !errors.Is(op.Err(), backup.ErrPartial) || !strings.Contains(find(t, op, "unprotected").Message, "can not be looked at") {
			t.Error(op.Err(), op.Findings)
		}
	})
}

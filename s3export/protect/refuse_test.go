package protect_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
	"github.com/snapwarden/snapwarden/s3export/protect"
)

// Locks that are wrong, or dangerous by an oversight, never reach S3.
func TestProtectStartRefuses(t *testing.T) {
	bubble(t, func(b *bed) {
		n := len(b.world.Calls())
		ref := func(id string) backup.Ref {
			return backup.Ref{Type: export.Type, Account: account, Region: region, ID: id}
		}
		good := protect.LockOptions{Retention: year()}
		with := func(r policy.Retention) backup.Options { return protect.LockOptions{Retention: r} }
		far := time.Now().AddDate(1, 0, 0)
		for name, c := range map[string]struct {
			r backup.Ref
			o backup.Options
		}{
			"a bucket":               {box, good},
			"an export of RDS":       {backup.Ref{Type: "s3/rds-export", Account: account, Region: region, ID: bucket + "/a"}, good},
			"a wildcard":             {ref(bucket + "/*.manifest.json"), good},
			"no key":                 {ref(bucket), good},
			"no manifest":            {ref(bucket + "/nightly-0001.rdb"), good},
			"a manifest of nothing":  {ref(bucket + "/.manifest.json"), good},
			"no bucket's name":       {ref("My_Bucket/nightly.manifest.json"), good},
			"no object":              {backup.Ref{Type: objectcopy.TypeObject, Account: account, Region: region, ID: bucket}, good},
			"no Region":              {backup.Ref{Type: export.Type, Account: account, Region: "nowhere", ID: export.ID}, good},
			"another Region":         {backup.Ref{Type: export.Type, Account: account, Region: "eu-west-2", ID: export.ID}, good},
			"no options":             {export, nil},
			"a pointer":              {export, &good},
			"neither":                {export, protect.LockOptions{}},
			"a hold taken off":       {export, protect.LockOptions{LegalHold: policy.LegalHoldOff}},
			"a hold of another kind": {export, protect.LockOptions{LegalHold: "on"}},
			"no end":                 {export, with(policy.Retention{Mode: policy.LockGovernance})},
			"over already":           {export, with(policy.Retention{Until: time.Now()})},
			"in a century":           {export, with(policy.Retention{Until: time.Now().AddDate(101, 0, 0)})},
			"compliance unsaid":      {export, with(policy.Retention{Mode: policy.LockCompliance, Until: far})},
			"irreversible what":      {export, with(policy.Retention{Until: far, Irreversible: true})},
			"another mode":           {export, with(policy.Retention{Mode: "compliance", Until: far, Irreversible: true})},
			"a version of an export": {export, protect.LockOptions{Retention: year(), Version: "v"}},
			"a version with a space": {object("k"), protect.LockOptions{Retention: year(), Version: "a b"}},
			"any version":            {object("k"), protect.LockOptions{Retention: year(), Version: "*"}},
			"a long version":         {object("k"), protect.LockOptions{Retention: year(), Version: strings.Repeat("v", 1025)}},
		} {
			op, err := b.s.Start(b.Context(), c.r, backup.Spec{Token: "t", Options: c.o})
			if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" || op.ID != "" {
				t.Errorf("%s: %v", name, err)
			}
			if (name == "a bucket" || name == "no manifest") && !strings.Contains(backup.HintOf(err), "elasticacheexport.Export") {
				t.Errorf("%s: the hint %q does not say which Ref is meant", name, backup.HintOf(err))
			}
		}
		if _, err := b.s.StartProtect(b.Context(), export, backup.Spec{Token: "t", Options: protect.LifecycleOptions{}}); backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
		for _, r := range []backup.Ref{{}, box, ref("x/*")} {
			if _, err := b.s.Files(b.Context(), r); backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("%v: %v", r, err)
			}
		}
		if len(b.world.Calls()) != n {
			t.Error("a Start called AWS")
		}
	})
}

// An Operation that was changed on its way is not carried on, above all not into compliance mode.
func TestChangedOperation(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 1)
		n := len(b.world.Calls())
		lock, rules := b.start(export, protect.LockOptions{Retention: year()}), b.start(box, protect.LifecycleOptions{Rules: mine()})
		state := func(op backup.Operation, old, now string) backup.Operation {
			text := strings.Replace(string(op.State), old, now, 1)
			if text == string(op.State) {
				t.Errorf("%s is not in %s", old, text)
			}
			op.State = []byte(text)
			return op
		}
		stage := func(op backup.Operation, s string) backup.Operation {
			op.Stage = s
			return op
		}
		action := func(a backup.Action) backup.Operation {
			op, err := backup.NewOperation(protect.Kind, a, export, backup.Spec{Token: "t"})
			b.ok(err)
			return op
		}
		other := lock
		other.Kind = "ebs"
		renamed := lock
		renamed.Ref.ID = bucket + "/weekly.manifest.json"
		for name, op := range map[string]backup.Operation{
			"compliance": state(lock, `"GOVERNANCE"`, `"COMPLIANCE"`), "no end": state(lock, `"u":"`, `"x":"`), "no state": state(lock, `{"m"`, `["m"`),
			"behind the end": stage(state(lock, `{`, `{"v":["a","b","c","d"],`), "verify"), "before the beginning": state(lock, `{`, `{"at":-1,`),
			"stage": stage(lock, "x"), "report of nothing": stage(lock, "report"), "stage of rules": stage(rules, "look"), "no rules": state(rules, `{"r":`, `["r":`),
			"another kind": other, "another Ref": renamed, "another action": action("s3protect.release"),
		} {
			if _, err := b.s.Step(b.Context(), op); err == nil {
				// Then it must have ended without anything sent.
				end := b.run(op)
				if end.Phase != backup.PhaseFailed || !errors.Is(end.Err(), backup.ErrInvalid) {
					t.Errorf("%s: %s %v", name, end.Phase, end.Err())
				}
			} else if c := backup.CodeOf(err); c != backup.ErrInvalid && c != backup.ErrUnsupported {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := b.s.Preflight(b.Context(), op); name != "stage" && name != "stage of rules" && name != "report of nothing" && name != "behind the end" && err == nil {
				t.Errorf("%s: Preflight looked at it", name)
			}
		}
		if w := b.since(n); len(w) > 0 {
			t.Error(w)
		}
		// Without a recorded attempt nothing is sent, and what has ended stays as it is.
		op := lock
		for op.Stage == "look" {
			var err error
			op, err = b.s.Step(b.Context(), op)
			b.ok(err)
		}
		for op.Next = "PutObjectRetention"; op.Attempt == 0; op.Attempt++ {
			next, err := b.s.Step(b.Context(), op)
			if b.ok(err); next.Stage != op.Stage || len(b.since(n)) > 0 {
				t.Error("sent without an attempt")
			}
		}
		done := b.run(lock)
		if again, err := b.s.Step(b.Context(), done); err != nil || again.Updated != done.Updated {
			t.Errorf("%v %+v", err, again)
		}
	})
}

// The clients are those of the account and the Region of the Ref, and no others.
func TestClients(t *testing.T) {
	bubble(t, func(b *bed) {
		b.export(bucket, 1)
		var asked []string
		b.s = protect.New(func(_ context.Context, a, r string) (*awss3.Client, error) {
			asked = append(asked, a+" "+r)
			switch r {
			case region:
				return b.s3, nil
			case "eu-west-2":
				return nil, nil
			}
			return nil, errors.New("none")
		}, func(s *protect.Settings) { s.Poll = time.Hour })
		b.ended(b.run(b.start(export, protect.LockOptions{Retention: year()})), "")
		begin := time.Now()
		b.ended(b.run(b.start(box, protect.LifecycleOptions{Rules: mine()})), "")
		if d := time.Since(begin); d < 2*time.Hour {
			t.Errorf("two looks within %v", d)
		}
		if asked[0] != account+" "+region {
			t.Error(asked)
		}
		for _, r := range []string{"eu-west-2", "eu-west-3"} {
			op := b.start(protect.Bucket(account, r, bucket), protect.LifecycleOptions{Rules: mine()})
			if _, err := b.s.Step(b.Context(), op); backup.CodeOf(err) != backup.ErrInvalid {
				t.Error(err)
			}
			if _, err := b.s.Preflight(b.Context(), op); backup.CodeOf(err) != backup.ErrInvalid {
				t.Error(err)
			}
			at := export
			at.Region = r
			if _, err := b.s.Files(b.Context(), at); backup.CodeOf(err) != backup.ErrInvalid {
				t.Error(err)
			}
		}
		// Another account's bucket, by the credentials of this one.
		b.s = protect.NewFromConfig(b.world.Config("444455556666", region))
		op := b.start(export, protect.LockOptions{Retention: year()})
		if _, err := b.s.Step(b.Context(), op); backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
		theirs := export
		theirs.Account = "444455556666"
		b.ended(b.run(b.start(theirs, protect.LockOptions{Retention: year()})), backup.ErrDenied, "denied")
	})
}

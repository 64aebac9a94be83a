package protect_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/protect"
)

var box = protect.Bucket(account, region, bucket)

var words = cmp.Options{cmpopts.IgnoreUnexported(s3types.LifecycleRule{}, s3types.LifecycleRuleFilter{}, s3types.LifecycleRuleAndOperator{}, s3types.LifecycleExpiration{},
	s3types.Tag{}, s3types.Transition{}, s3types.NoncurrentVersionTransition{}, s3types.NoncurrentVersionExpiration{}, s3types.AbortIncompleteMultipartUpload{})}

func mine() []policy.LifecycleRule {
	return []policy.LifecycleRule{
		{ID: "exports", Prefix: "nightly-", Transitions: []policy.Transition{{Days: 30, Class: policy.ClassGlacierIR}, {Days: 180, Class: policy.ClassDeepArchive}}, ExpireDays: 400},
		{ID: "uploads", AbortUploadsDays: 7},
	}
}

// others are rules of others, of which package policy knows not all.
func others() []s3types.LifecycleRule {
	return []s3types.LifecycleRule{
		{ID: aws.String("logs"), Status: "Enabled", Filter: &s3types.LifecycleRuleFilter{And: &s3types.LifecycleRuleAndOperator{Prefix: aws.String("logs/"), ObjectSizeGreaterThan: aws.Int64(1000),
			Tags: []s3types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}},
			Expiration: &s3types.LifecycleExpiration{Date: aws.Time(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))}},
		{ID: aws.String("old"), Status: "Disabled", Filter: &s3types.LifecycleRuleFilter{}, NoncurrentVersionExpiration: &s3types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(3), NewerNoncurrentVersions: aws.Int32(5)},
			NoncurrentVersionTransitions: []s3types.NoncurrentVersionTransition{{NoncurrentDays: aws.Int32(1), StorageClass: "GLACIER", NewerNoncurrentVersions: aws.Int32(2)}}},
		{ID: aws.String("plain"), Status: "Enabled", Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("x/")}, Expiration: &s3types.LifecycleExpiration{Days: aws.Int32(9)}},
	}
}

func (b *bed) setRules(rules ...s3types.LifecycleRule) {
	b.Helper()
	_, err := b.s3.PutBucketLifecycleConfiguration(b.Context(), &awss3.PutBucketLifecycleConfigurationInput{Bucket: aws.String(bucket), LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: rules}})
	b.ok(err)
}

func (b *bed) rules() []s3types.LifecycleRule {
	b.Helper()
	out, err := b.s3.GetBucketLifecycleConfiguration(b.Context(), &awss3.GetBucketLifecycleConfigurationInput{Bucket: aws.String(bucket)})
	b.ok(err)
	return out.Rules
}

func names(rules []s3types.LifecycleRule) (all []string) {
	for _, r := range rules {
		all = append(all, *r.ID)
	}
	return all
}

// Rules come beside those of others, which stay word for word, and are there at two looks. Done twice, nothing is written.
func TestLifecycle(t *testing.T) {
	bubble(t, func(b *bed) {
		b.ended(b.run(b.start(box, protect.LifecycleOptions{Rules: mine()})), "") // into none
		if d := cmp.Diff([]string{"exports", "uploads"}, names(b.rules())); d != "" {
			t.Error(d)
		}
		theirs := others()
		b.setRules(theirs...)
		op := b.start(box, protect.LifecycleOptions{Rules: mine()})
		if found := b.preflight(op); len(found) > 0 {
			t.Error(found)
		}
		n := len(b.world.Calls())
		b.ended(b.run(op), "")
		got := b.rules()
		if d := cmp.Diff(theirs, got[:3], words); d != "" || len(got) != 5 {
			t.Errorf("%d rules: %s", len(got), d)
		}
		if r := got[3]; *r.Filter.Prefix != "nightly-" || *r.Expiration.Days != 400 || len(r.Transitions) != 2 || *r.Transitions[1].Days != 180 || r.Transitions[1].StorageClass != "DEEP_ARCHIVE" || r.Status != "Enabled" {
			t.Errorf("%+v", r)
		}
		var looks int
		for _, c := range b.world.Calls()[n:] {
			if c.Operation == "GetBucketLifecycleConfiguration" && looks < 4 {
				looks++
			}
		}
		if w := b.since(n); len(w) != 1 || looks != 4 { // to see, to write, and twice to see that it holds
			t.Errorf("%d writes, %d looks", len(w), looks)
		}
		n = len(b.world.Calls())
		b.ended(b.run(b.start(box, protect.LifecycleOptions{Rules: mine()})), "")
		if w := b.since(n); len(w) > 0 {
			t.Errorf("written again: %v", w)
		}
	})
}

// A rule of the same ID is replaced in its place, and said to be.
func TestLifecycleReplaces(t *testing.T) {
	bubble(t, func(b *bed) {
		rules := others()
		rules[1].ID = aws.String("exports")
		b.setRules(rules...)
		o := protect.LifecycleOptions{Rules: append(mine(), policy.LifecycleRule{ID: "all", ExpireDays: 1})}
		op := b.start(box, o)
		if d := cmp.Diff([]string{"rule-replaced", "rule-deletes-all"}, ids(b.preflight(op))); d != "" {
			t.Error(d)
		}
		op = b.run(op)
		b.ended(op, "", "rule-replaced")
		if m := find(t, op, "rule-replaced"); !strings.Contains(m.Message, "exports") {
			t.Error(m)
		}
		got := b.rules()
		if d := cmp.Diff([]string{"logs", "exports", "plain", "uploads", "all"}, names(got)); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]s3types.LifecycleRule{rules[0], rules[2]}, []s3types.LifecycleRule{got[0], got[2]}, words); d != "" {
			t.Error(d)
		}
	})
}

// The smallest size of objects that are moved by default is a header beside the rules, and S3 resets it where it is not given.
func TestLifecycleKeepsMinimum(t *testing.T) {
	bubble(t, func(b *bed) {
		b.setRules(others()...)
		cfg := b.world.Config(account, region)
		cfg.APIOptions = append(cfg.APIOptions, answer(func(out any) {
			if out, ok := out.(*awss3.GetBucketLifecycleConfigurationOutput); ok {
				out.TransitionDefaultMinimumObjectSize = s3types.TransitionDefaultMinimumObjectSizeVariesByStorageClass
			}
		}))
		b.s = protect.NewFromConfig(cfg)
		n := len(b.world.Calls())
		b.ended(b.run(b.start(box, protect.LifecycleOptions{Rules: mine()})), "")
		in, ok := b.since(n)[0].(*awss3.PutBucketLifecycleConfigurationInput)
		if !ok || in.TransitionDefaultMinimumObjectSize != s3types.TransitionDefaultMinimumObjectSizeVariesByStorageClass || aws.ToString(in.ExpectedBucketOwner) != account {
			t.Errorf("%+v", in)
		}
	})
}

// Where a rule of the older form stays, new ones are written in that form; where none stays, in today's.
func TestLifecycleOlderForm(t *testing.T) {
	older := func(id string) s3types.LifecycleRule {
		r := s3types.LifecycleRule{ID: &id, Status: "Enabled", Expiration: &s3types.LifecycleExpiration{Days: aws.Int32(9)}}
		//lint:ignore SA1019 the older form is meant
		r.Prefix = aws.String("x/") //nolint:staticcheck // the older form
		return r
	}
	bubble(t, func(b *bed) {
		b.setRules(older("theirs"))
		b.ended(b.run(b.start(box, protect.LifecycleOptions{Rules: mine()})), "")
		for _, r := range b.rules() {
			//lint:ignore SA1019 the older form is meant
			if r.Filter != nil || r.Prefix == nil { //nolint:staticcheck // the older form
				t.Errorf("%s has a filter", *r.ID)
			}
		}
		n := len(b.world.Calls())
		b.ended(b.run(b.start(box, protect.LifecycleOptions{Rules: mine()})), "")
		if w := b.since(n); len(w) > 0 {
			t.Errorf("written again: %v", w)
		}
		b.setRules(older("exports"))
		b.ended(b.run(b.start(box, protect.LifecycleOptions{Rules: mine()})), "", "rule-replaced")
		for _, r := range b.rules() {
			if r.Filter == nil {
				t.Errorf("%s has no filter", *r.ID)
			}
		}
		// The same rule in the older form is the same.
		b.setRules(older("a"))
		n = len(b.world.Calls())
		b.ended(b.run(b.start(box, protect.LifecycleOptions{Rules: []policy.LifecycleRule{{ID: "a", Prefix: "x/", ExpireDays: 9}}})), "")
		if w := b.since(n); len(w) > 0 {
			t.Errorf("written: %v", w)
		}
	})
}

// Another program that replaces the lifecycle as a whole is noticed: the rules are written again, and if that goes on, it is told.
func TestLifecycleOverwritten(t *testing.T) {
	for times, code := range map[int]backup.Code{1: "", 3: "", 99: backup.ErrConflict} {
		bubble(t, func(b *bed) {
			left := times
			b.world.Watch(func(c awssim.Call) {
				in, ok := c.Input.(*awss3.PutBucketLifecycleConfigurationInput)
				if ok && left > 0 && slices.Contains(names(in.LifecycleConfiguration.Rules), "uploads") {
					left--
					b.setRules(others()...)
				}
			})
			op := b.run(b.start(box, protect.LifecycleOptions{Rules: mine()}))
			if code != "" {
				b.ended(op, code, "rules-written")
				return
			}
			b.ended(op, "")
			if d := cmp.Diff([]string{"logs", "old", "plain", "exports", "uploads"}, names(b.rules())); d != "" {
				t.Error(d)
			}
		})
	}
}

// What S3 refuses ends the work with the right that is missing, or the reason.
func TestLifecycleRefused(t *testing.T) {
	for name, c := range map[string]struct {
		make func(b *bed)
		ref  backup.Ref
		code backup.Code
		hint string
		want []string
	}{
		"no bucket":         {func(*bed) {}, protect.Bucket(account, region, "nowhere"), backup.ErrNotFound, "does not exist", nil},
		"not to be read":    {func(b *bed) { b.world.Inject(deny("GetBucketLifecycleConfiguration", 0)) }, box, backup.ErrDenied, "s3:GetLifecycleConfiguration", nil},
		"not to be written": {func(b *bed) { b.world.Inject(deny("PutBucketLifecycleConfiguration", 0)) }, box, backup.ErrDenied, "s3:PutLifecycleConfiguration", nil},
		"not to be read back": {func(b *bed) { b.world.Inject(deny("GetBucketLifecycleConfiguration", 2)) }, box, backup.ErrDenied, "s3:GetLifecycleConfiguration",
			[]string{"rules-written"}},
		"two forms": {func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: "PutBucketLifecycleConfiguration", Kind: awssim.FaultError, Error: awssim.Error{Status: 400, Code: "InvalidRequest", Message: "Filter element can only be used in Lifecycle V2."}})
		}, box, backup.ErrConflict, "older form", nil},
		"full": {func(b *bed) {
			var all []s3types.LifecycleRule
			for i := range 999 {
				r := others()[2]
				r.ID = aws.String(fmt.Sprint(i))
				all = append(all, r)
			}
			b.setRules(all...)
		}, box, backup.ErrInvalid, "not needed any more", nil},
		"elsewhere": {func(b *bed) {
			_, err := awss3.NewFromConfig(b.world.Config(account, "eu-west-2")).CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String("far-away"),
				CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "eu-west-2"}})
			b.ok(err)
		}, protect.Bucket(account, region, "far-away"), backup.ErrInvalid, "another Region", nil},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				c.make(b)
				op := b.start(c.ref, protect.LifecycleOptions{Rules: mine()})
				op = b.run(op)
				b.ended(op, c.code, c.want...)
				if !strings.Contains(op.Failure.Hint, c.hint) {
					t.Error(op.Failure.Hint)
				}
				op = b.start(c.ref, protect.LifecycleOptions{Rules: mine()})
				if found := b.preflight(op); !strings.HasPrefix(name, "not to be w") && name != "two forms" && name != "not to be read back" && (len(found) != 1 || found[0].Severity != backup.SeverityError) {
					t.Error(found)
				}
			})
		})
	}
}

// Rules that are wrong never reach S3.
func TestLifecycleStartRefuses(t *testing.T) {
	bubble(t, func(b *bed) {
		n := len(b.world.Calls())
		one := func(f func(*policy.LifecycleRule)) backup.Options {
			r := policy.LifecycleRule{ID: "a", Prefix: "p", ExpireDays: 1}
			f(&r)
			return protect.LifecycleOptions{Rules: []policy.LifecycleRule{r}}
		}
		good := one(func(*policy.LifecycleRule) {})
		var many []policy.LifecycleRule
		for i := range 60 {
			many = append(many, policy.LifecycleRule{ID: fmt.Sprint(i), ExpireDays: 1})
		}
		for name, c := range map[string]struct {
			r backup.Ref
			o backup.Options
		}{
			"an export":            {export, good},
			"a wildcard":           {protect.Bucket(account, region, "my-*"), good},
			"no bucket's name":     {protect.Bucket(account, region, "My"), good},
			"no Region":            {protect.Bucket(account, "nowhere", bucket), good},
			"another Region":       {protect.Bucket(account, "eu-west-2", bucket), good},
			"no account":           {protect.Bucket("1", region, bucket), good},
			"no options":           {box, nil},
			"a pointer":            {box, &protect.LifecycleOptions{Rules: mine()}},
			"no rules":             {box, protect.LifecycleOptions{}},
			"a rule without an ID": {box, one(func(r *policy.LifecycleRule) { r.ID = "" })},
			"that does nothing":    {box, one(func(r *policy.LifecycleRule) { r.ExpireDays = 0 })},
			"of somebody else":     {box, one(func(r *policy.LifecycleRule) { r.Other = 1 })},
			"too far away":         {box, one(func(r *policy.LifecycleRule) { r.ExpireDays = math.MaxInt32 + 2 })},
			"moved too far away": {box, one(func(r *policy.LifecycleRule) {
				r.ExpireDays, r.OlderTransitions = 0, []policy.Transition{{Days: math.MaxInt32 + 31, Class: policy.ClassGlacier}}
			})},
			"twice the same ID": {box, protect.LifecycleOptions{Rules: append(mine(), mine()...)}},
			"too many":          {box, protect.LifecycleOptions{Rules: many}},
		} {
			op, err := b.s.Start(b.Context(), c.r, backup.Spec{Token: "t", Options: c.o})
			if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" || op.ID != "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, spec := range map[string]backup.Spec{"no token": {Options: good}, "a name": {Token: "t", Name: "n", Options: good}, "tags": {Token: "t", Tags: map[string]string{"a": "b"}, Options: good}} {
			if _, err := b.s.Start(b.Context(), box, spec); backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.s.StartLifecycle(b.Context(), box, backup.Spec{Token: "t", Options: protect.LockOptions{}}); backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
		if len(b.world.Calls()) != n {
			t.Error("a Start called AWS")
		}
	})
}

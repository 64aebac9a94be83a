package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

// A role that holds exports in governance mode, for as long as is asked for: it can make no hold weaker.
func ExampleProtectLockPolicy() {
	d, err := policy.ProtectLockPolicy(policy.Protect{Bucket: "exports", Region: "eu-west-1", Retention: true, LegalHold: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(d.Text())
	// Output:
	// {
	//   "Version": "2012-10-17",
	//   "Statement": [
	//     {
	//       "Sid": "SnapwardenProtectLockBucket",
	//       "Effect": "Allow",
	//       "Action": [
	//         "s3:GetBucketObjectLockConfiguration",
	//         "s3:GetBucketVersioning",
	//         "s3:ListBucket"
	//       ],
	//       "Resource": "arn:aws:s3:::exports"
	//     },
	//     {
	//       "Sid": "SnapwardenProtectLockRead",
	//       "Effect": "Allow",
	//       "Action": [
	//         "s3:GetObject",
	//         "s3:GetObjectVersion"
	//       ],
	//       "Resource": "arn:aws:s3:::exports/*"
	//     },
	//     {
	//       "Sid": "SnapwardenProtectLockRetentionLook",
	//       "Effect": "Allow",
	//       "Action": "s3:GetObjectRetention",
	//       "Resource": "arn:aws:s3:::exports/*"
	//     },
	//     {
	//       "Sid": "SnapwardenProtectLockRetention",
	//       "Effect": "Allow",
	//       "Action": "s3:PutObjectRetention",
	//       "Resource": "arn:aws:s3:::exports/*",
	//       "Condition": {
	//         "StringEquals": {
	//           "s3:object-lock-mode": "GOVERNANCE"
	//         }
	//       }
	//     },
	//     {
	//       "Sid": "SnapwardenProtectLockHoldLook",
	//       "Effect": "Allow",
	//       "Action": "s3:GetObjectLegalHold",
	//       "Resource": "arn:aws:s3:::exports/*"
	//     },
	//     {
	//       "Sid": "SnapwardenProtectLockHold",
	//       "Effect": "Allow",
	//       "Action": "s3:PutObjectLegalHold",
	//       "Resource": "arn:aws:s3:::exports/*",
	//       "Condition": {
	//         "StringEquals": {
	//           "s3:object-lock-legal-hold": "ON"
	//         }
	//       }
	//     }
	//   ]
	// }
}

// What may be set is bounded by conditions, and nothing that makes a hold weaker is allowed, whatever is asked for.
func TestProtectPolicies(t *testing.T) {
	lock := func(change func(*policy.Protect)) func() (policy.Document, error) {
		p := policy.Protect{Bucket: "exports", Region: "eu-west-1", Retention: true}
		change(&p)
		return func() (policy.Document, error) { return policy.ProtectLockPolicy(p) }
	}
	for name, c := range map[string]struct {
		f    func() (policy.Document, error)
		want []string // what may be set, and under which condition
	}{
		"retention":  {lock(func(*policy.Protect) {}), []string{"s3:PutObjectRetention s3:object-lock-mode GOVERNANCE"}},
		"compliance": {lock(func(p *policy.Protect) { p.Compliance = true }), []string{"s3:PutObjectRetention s3:object-lock-mode COMPLIANCE,GOVERNANCE"}},
		"hold":       {lock(func(p *policy.Protect) { p.Retention, p.LegalHold = false, true }), []string{"s3:PutObjectLegalHold s3:object-lock-legal-hold ON"}},
		"full": {lock(func(p *policy.Protect) { p.LegalHold, p.Prefix, p.Keys = true, "a/b", []string{keyARN} }),
			[]string{"s3:PutObjectRetention s3:object-lock-mode GOVERNANCE", "s3:PutObjectLegalHold s3:object-lock-legal-hold ON"}},
		"lifecycle": {func() (policy.Document, error) { return policy.ProtectLifecyclePolicy("exports", "us-gov-west-1") }, []string{"s3:PutLifecycleConfiguration"}},
	} {
		d, err := c.f()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		context := policy.LintContext{Kind: policy.KindIdentity, Owner: "111122223333", Partition: "aws"}
		if name == "lifecycle" {
			context.Partition, context.MayDelete = "aws-us-gov", true
		}
		if found := policy.Lint(d, context); len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
		if text, err := d.Encode(policy.MaxManagedPolicy); err != nil || len(text) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		var may []string
		for _, st := range d.Statements {
			for _, a := range st.Action {
				if strings.Contains(a, "*") || slices.Contains(st.Resource, "*") || strings.HasPrefix(a, "s3:Delete") || a == "s3:BypassGovernanceRetention" || a == "s3:PutBucketObjectLockConfiguration" {
					t.Errorf("%s: %v on %v", name, a, st.Resource)
				}
				if !strings.HasPrefix(a, "s3:Put") {
					continue
				}
				s := a
				for _, keys := range st.Condition {
					for k, values := range keys {
						s += " " + k + " " + strings.Join(values, ",")
					}
				}
				may = append(may, s)
			}
		}
		if diff := cmp.Diff(c.want, may); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	full, err := lock(func(p *policy.Protect) { p.LegalHold, p.Prefix, p.Keys = true, "a/b", []string{keyARN} })()
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range full.Statements[1:] {
		if r := st.Resource[0]; r != "arn:aws:s3:::exports/a/b/*" && r != keyARN {
			t.Errorf("%s on %s", st.Sid, r)
		}
	}
	for name, f := range map[string]func() (policy.Document, error){
		"bucket": lock(func(p *policy.Protect) { p.Bucket = "*" }), "Region": lock(func(p *policy.Protect) { p.Region = "*" }), "no Region": lock(func(p *policy.Protect) { p.Region = "" }),
		"prefix": lock(func(p *policy.Protect) { p.Prefix = "a*" }), "neither": lock(func(p *policy.Protect) { p.Retention = false }),
		"compliance of nothing": lock(func(p *policy.Protect) { p.Retention, p.LegalHold, p.Compliance = false, true, true }),
		"any key":               lock(func(p *policy.Protect) { p.Keys = []string{"*"} }), "a key elsewhere": lock(func(p *policy.Protect) { p.Keys = []string{farKey} }),
		"lifecycle": func() (policy.Document, error) { return policy.ProtectLifecyclePolicy("*", "eu-west-1") },
		"nowhere":   func() (policy.Document, error) { return policy.ProtectLifecyclePolicy("exports", "*") },
	} {
		checkRefused(t, name, f)
	}
}

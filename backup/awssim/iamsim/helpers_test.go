package iamsim_test

import (
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/policy"
)

const (
	home    = "111122223333"
	other   = "444455556666"
	user    = "arn:aws:iam::111122223333:user/teams/carla"
	role    = "arn:aws:iam::111122223333:role/teams/backup"
	session = "arn:aws:sts::111122223333:assumed-role/backup/nightly"
	root    = "arn:aws:iam::111122223333:root"
	stored  = "540804c33a284a299d2547575ce1010f2312ef3da9b3a053c8bc45bf233e4353"
	object  = "arn:aws:s3:::exports/orders-0001.rdb"
	keyARN  = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
)

// parse reads a policy document.
func parse(t testing.TB, text string) policy.Document {
	t.Helper()
	d, err := policy.ParseDocument([]byte(text))
	if err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return d
}

// parsed reads one, or none from the empty text.
func parsed(t testing.TB, text string) *policy.Document {
	t.Helper()
	if text == "" {
		return nil
	}
	d := parse(t, text)
	return &d
}

// statements makes a document of the current version.
func statements(all ...policy.Statement) policy.Document {
	return policy.Document{Version: policy.Version, Statements: all}
}

func allow(resource string, actions ...string) policy.Statement {
	return policy.Statement{Effect: policy.Allow, Action: actions, Resource: []string{resource}}
}

func deny(resource string, actions ...string) policy.Statement {
	return policy.Statement{Effect: policy.Deny, Action: actions, Resource: []string{resource}}
}

// to gives a statement to principals of AWS's kind.
func to(st policy.Statement, who ...string) policy.Statement {
	st.Principal = &policy.Principal{AWS: who}
	return st
}

func everyone(st policy.Statement) policy.Statement {
	st.Principal = &policy.Principal{Everyone: true}
	return st
}

// when adds a condition to a statement.
func when(st policy.Statement, operator, key string, values ...string) policy.Statement {
	st.Condition = policy.Condition{operator: {key: values}}
	return st
}

func documents(all ...policy.Statement) []policy.Document {
	if len(all) == 0 {
		return nil
	}
	return []policy.Document{statements(all...)}
}

// resourcePolicy gives a resource's policy, nil for no statements.
func resourcePolicy(all ...policy.Statement) *policy.Document {
	if len(all) == 0 {
		return nil
	}
	d := statements(all...)
	return &d
}

// check evaluates a Query, and holds what a Decision must have in any case.
func check(t *testing.T, q iamsim.Query, want iamsim.Reason) iamsim.Decision {
	t.Helper()
	d := iamsim.Evaluate(q)
	if d.Reason != want {
		t.Errorf("%s: %q (%s, %s), want %q", t.Name(), d.Reason, d.Statement, d.Missing, want)
	}
	allowed := want == iamsim.AllowedByIdentity || want == iamsim.AllowedByResource || want == iamsim.AllowedByBoth
	if d.Allowed != allowed || (d.Missing == "") != allowed {
		t.Errorf("%s: allowed is %v, missing is %q for %q", t.Name(), d.Allowed, d.Missing, d.Reason)
	}
	if (d.Statement != "") != (allowed || want == iamsim.DeniedExplicitly) {
		t.Errorf("%s: the statement is %q for %q", t.Name(), d.Statement, d.Reason)
	}
	return d
}

func bucketIn(name, region string) *awss3.CreateBucketInput {
	return &awss3.CreateBucketInput{Bucket: &name, CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}}
}

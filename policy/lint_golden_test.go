package policy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func lintFile(t *testing.T, name string, c policy.LintContext, replace ...string) []policy.Finding {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "lint", name))
	if err != nil {
		t.Fatal(err)
	}
	found := policy.LintText([]byte(strings.NewReplacer(replace...).Replace(string(text))), c)
	checkFindings(t, found, 9)
	return found
}

// The policies that AWS's pages published, and what is wrong with them; and what is to take their place.
func TestLintPublished(t *testing.T) {
	published := []string{"<SourceAccount>", "111111111111", "<DestinationAccount>", "222222222222"}
	key := policy.LintContext{Kind: policy.KindKey, Owner: "111111111111", Partition: "aws"}
	declared := key
	declared.Trusted = []string{"222222222222"}
	keyFindings := []string{"1 KMS002 error", "1 KMS003 warning", "1 KMS004 error", "1 KMS005 error", "2 KMS003 warning", "2 KMS004 error"}
	for _, c := range []struct {
		name, file string
		context    policy.LintContext
		replace    []string
		want       []string
	}{
		{"key", "rds-replication-key.json", key, published, keyFindings},
		{"key, with the account declared", "rds-replication-key.json", declared, published, keyFindings},
		{"caller", "elasticache-export-caller.json", policy.LintContext{Kind: policy.KindIdentity}, nil, []string{"0 IAM001 error", "0 S3002 error"}},
		{"bucket", "elasticache-export-opt-in-bucket.json", policy.LintContext{Kind: policy.KindBucket}, nil,
			[]string{"-1 S3003 warning", "0 CD001 warning", "0 S3001 error", "1 CD001 warning", "1 S3001 error"}},
		{"bucket, with its owner", "elasticache-export-opt-in-bucket.json", policy.LintContext{Kind: policy.KindBucket, Owner: lintOwner, Trusted: []string{lintForeign}, Partition: "aws"}, nil,
			[]string{"-1 S3003 warning", "0 CD001 warning", "0 S3001 error", "1 CD001 warning", "1 S3001 error"}},
		{"safe key", "safe-key-roles.json", key, nil, nil},
		{"safe key, with the account declared", "safe-key-roles.json", declared, nil, nil},
		{"safe key by service", "safe-key-service.json", declared, nil, nil},
	} {
		found := lintFile(t, c.file, c.context, c.replace...)
		if d := gocmp.Diff(c.want, lintLines(found, 99)); d != "" {
			t.Errorf("%s (-want +got)\n%s%v", c.name, d, found)
		}
	}
}

// What is said of the worst statement is said in words that tell what works today and what does not.
func TestLintAdministrationInWords(t *testing.T) {
	found := lintFile(t, "rds-replication-key.json", policy.LintContext{Kind: policy.KindKey, Owner: "111111111111"},
		"<SourceAccount>", "111111111111", "<DestinationAccount>", "222222222222")
	for _, f := range found {
		if f.ID == "KMS002" {
			if want := "effective across accounts: yes for kms:RevokeGrant; effective across accounts: no, today, for kms:CancelKeyDeletion"; !strings.Contains(f.Detail, want) {
				t.Errorf("got %q, want %q in it", f.Detail, want)
			}
			if f.Sid != "Allow administration of the key" || f.Place != "Statement[1].Action" {
				t.Errorf("got %#v", f)
			}
			return
		}
	}
	t.Error("no KMS002")
}

// What this package builds for a bucket has no error, and with an account to work for no finding at all.
func TestLintBuilt(t *testing.T) {
	for _, region := range []string{"eu-west-1", "ap-east-1", "us-gov-west-1", "cn-north-1"} {
		tls, err := policy.DenyInsecureTransport("exports", region)
		if err != nil {
			t.Fatal(err)
		}
		partition, err := policy.PartitionOf(region)
		if err != nil {
			t.Fatal(err)
		}
		for _, build := range []func(bucket, region string, opts ...policy.StatementOption) (policy.Statement, error){policy.ExportStatement, policy.SeedStatement} {
			for want, opts := range map[string][]policy.StatementOption{"CD001 warning": nil, "": {policy.WithSourceAccount(lintOwner)}} {
				s, err := build("exports", region, opts...)
				if err != nil {
					t.Fatal(err)
				}
				doc, _, err := policy.Document{}.Merge(s, tls)
				if err != nil {
					t.Fatal(err)
				}
				found := policy.Lint(doc, policy.LintContext{Kind: policy.KindBucket, Owner: lintOwner, Partition: partition.ID})
				if got := strings.Join(lintLines(found, 0), "; "); got != want {
					t.Errorf("%s %s: got %q, want %q", region, s.Sid, got, want)
				}
			}
		}
	}
}

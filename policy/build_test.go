package policy_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func TestBucketStatements(t *testing.T) {
	export, err := policy.ExportStatement("exports", "ap-east-1", policy.WithSourceAccount("111122223333"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := policy.SeedStatement("exports", "us-gov-west-1")
	if err != nil {
		t.Fatal(err)
	}
	tls, err := policy.DenyInsecureTransport("exports", "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	want := `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "SnapwardenElastiCacheExport",
      "Effect": "Allow",
      "Principal": {
        "Service": "ap-east-1.elasticache-snapshot.amazonaws.com"
      },
      "Action": [
        "s3:PutObject",
        "s3:GetObject",
        "s3:ListBucket",
        "s3:GetBucketAcl",
        "s3:ListMultipartUploadParts",
        "s3:ListBucketMultipartUploads"
      ],
      "Resource": [
        "arn:aws:s3:::exports",
        "arn:aws:s3:::exports/*"
      ],
      "Condition": {
        "StringEquals": {
          "aws:SourceAccount": "111122223333"
        }
      }
    },
    {
      "Sid": "SnapwardenElastiCacheSeed",
      "Effect": "Allow",
      "Principal": {
        "Service": "us-gov-west-1.elasticache-snapshot.amazonaws.com"
      },
      "Action": [
        "s3:GetObject",
        "s3:ListBucket",
        "s3:GetBucketAcl"
      ],
      "Resource": [
        "arn:aws-us-gov:s3:::exports",
        "arn:aws-us-gov:s3:::exports/*"
      ]
    },
    {
      "Sid": "SnapwardenDenyInsecureTransport",
      "Effect": "Deny",
      "Principal": "*",
      "Action": "s3:*",
      "Resource": [
        "arn:aws:s3:::exports",
        "arn:aws:s3:::exports/*"
      ],
      "Condition": {
        "Bool": {
          "aws:SecureTransport": "false"
        }
      }
    }
  ]
}
`
	d, m, err := policy.Document{}.Merge(export, seed, tls)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, d.Text()); diff != "" {
		t.Error(diff)
	}
	if !m.Changed() || len(m.Added) != 3 {
		t.Errorf("%+v", m)
	}
}

func TestBuildersRefuse(t *testing.T) {
	for name, f := range map[string]func() (policy.Statement, error){
		"bucket":          func() (policy.Statement, error) { return policy.ExportStatement("*", "eu-west-1") },
		"bucket and more": func() (policy.Statement, error) { return policy.SeedStatement(`a","b`, "eu-west-1") },
		"variable":        func() (policy.Statement, error) { return policy.DenyInsecureTransport("${aws:username}", "eu-west-1") },
		"region":          func() (policy.Statement, error) { return policy.ExportStatement("exports", "*") },
		"no region":       func() (policy.Statement, error) { return policy.DenyInsecureTransport("exports", "") },
		"account": func() (policy.Statement, error) {
			return policy.ExportStatement("exports", "eu-west-1", policy.WithSourceAccount("*"))
		},
		"principal": func() (policy.Statement, error) {
			return policy.ExportStatement("exports", "eu-west-1", policy.WithPrincipal("*"))
		},
		"principal's dots": func() (policy.Statement, error) {
			return policy.ExportStatement("exports", "eu-west-1", policy.WithPrincipal("a..b"))
		},
		"no principal": func() (policy.Statement, error) {
			return policy.ExportStatement("exports", "eu-west-1", policy.WithPrincipal("elasticache"))
		},
	} {
		s, err := f()
		var e *policy.NameError
		if !errors.As(err, &e) || s.Sid != "" {
			t.Errorf("%s: %+v %v", name, s, err)
		}
	}
	cn, err := policy.ExportStatement("exports", "cn-north-1", policy.WithPrincipal("cn-north-1.elasticache-snapshot.amazonaws.com.cn"))
	if err != nil || cn.Principal.Service[0] != "cn-north-1.elasticache-snapshot.amazonaws.com.cn" || cn.Resource[0] != "arn:aws-cn:s3:::exports" {
		t.Errorf("%+v %v", cn, err)
	}
}

// Merging keeps what others wrote, in its place, and done twice it changes nothing.
func TestMerge(t *testing.T) {
	theirs := policy.Document{ID: "theirs", Statements: []policy.Statement{
		{Effect: policy.Allow, Principal: &policy.Principal{AWS: []string{"111122223333"}}, Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::exports/*"}},
		{Sid: policy.SidExport, Effect: policy.Allow, Principal: &policy.Principal{Everyone: true}, Action: []string{"s3:*"}, Resource: []string{"arn:aws:s3:::exports"}},
		{Sid: "Theirs", Effect: policy.Deny, Principal: &policy.Principal{Everyone: true}, Action: []string{"s3:DeleteObject"}, Resource: []string{"arn:aws:s3:::exports/*"}},
	}}
	before := theirs.Text()
	export, err := policy.ExportStatement("exports", "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	tls, err := policy.DenyInsecureTransport("exports", "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	got, m, err := theirs.Merge(export, tls)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(policy.Merged{Added: []string{policy.SidInsecure}, Replaced: []string{policy.SidExport}}, m); d != "" {
		t.Error(d)
	}
	want := policy.Document{ID: "theirs", Statements: []policy.Statement{theirs.Statements[0], export, theirs.Statements[2], tls}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if theirs.Text() != before {
		t.Error("the document that was merged into has changed")
	}
	again, m, err := got.Merge(export, tls)
	if err != nil || m.Changed() || !slices.Equal(m.Same, []string{policy.SidExport, policy.SidInsecure}) || again.Text() != got.Text() {
		t.Errorf("%+v %v", m, err)
	}
	for name, mine := range map[string][]policy.Statement{"no Sid": {{Effect: policy.Allow, Action: []string{"a:b"}}}, "twice": {tls, tls}, "no policy": {{Sid: "x"}}} {
		if _, _, err := got.Merge(mine...); err == nil {
			t.Errorf("%s was merged", name)
		}
	}
}

func TestEncode(t *testing.T) {
	tls, err := policy.DenyInsecureTransport("exports", "eu-west-1")
	if err != nil {
		t.Fatal(err)
	}
	d := policy.Document{Version: policy.Version, Statements: []policy.Statement{tls}}
	text, err := d.Encode(policy.MaxBucketPolicy)
	if err != nil || !strings.HasPrefix(text, `{"Version":"2012-10-17","Statement":[{"Sid":`) {
		t.Errorf("%s %v", text, err)
	}
	if _, err := d.Encode(len(text)); err != nil {
		t.Error(err)
	}
	if _, err := d.Encode(len(text) - 1); err == nil {
		t.Error("one byte too many was taken")
	}
	if _, err := (policy.Document{}).Encode(100); err == nil {
		t.Error("no policy was written")
	}
}

func TestGrants(t *testing.T) {
	id, err := policy.ElastiCacheCanonicalID("aws")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"aws-us-gov", "aws-cn"} {
		if other, err := policy.ElastiCacheCanonicalID(p); err != nil || other == id || len(other) != 64 {
			t.Errorf("%s: %s %v", p, other, err)
		}
	}
	for _, p := range []string{"aws-iso", "aws-eusc", "", "*"} {
		if other, err := policy.ElastiCacheCanonicalID(p); err == nil {
			t.Errorf("%s: %s", p, other)
		}
	}
	three, err := policy.ExportGrants(id)
	if err != nil || len(three) != 3 || slices.ContainsFunc(three, func(g policy.Grant) bool { return g.Permission == policy.PermissionWriteACP }) {
		t.Errorf("%v %v", three, err)
	}
	four, err := policy.PublishedExportGrants(id)
	if err != nil || len(four) != 4 || four[3].Permission != policy.PermissionWriteACP {
		t.Errorf("%v %v", four, err)
	}
	for _, bad := range []string{"", "*", strings.ToUpper(id), id[1:], id + "0"} {
		if g, err := policy.ExportGrants(bad); err == nil {
			t.Errorf("%q: %v", bad, g)
		}
	}
}

func TestMergeGrants(t *testing.T) {
	id, owner := strings.Repeat("a", 64), strings.Repeat("b", 64)
	wanted, err := policy.ExportGrants(id)
	if err != nil {
		t.Fatal(err)
	}
	theirs := []policy.Grant{{CanonicalID: owner, Permission: policy.PermissionFullControl}, {Other: "http://acs.amazonaws.com/groups/s3/LogDelivery", Permission: policy.PermissionWrite},
		{CanonicalID: id, Permission: policy.PermissionWrite}}
	merged, added, err := policy.MergeGrants(theirs, wanted)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]policy.Grant{wanted[0], wanted[2]}, added) + cmp.Diff(append(slices.Clone(theirs), wanted[0], wanted[2]), merged); d != "" {
		t.Error(d)
	}
	if again, added, err := policy.MergeGrants(merged, wanted); err != nil || len(added) != 0 || len(again) != len(merged) {
		t.Errorf("%v %v", added, err)
	}
	full := []policy.Grant{{CanonicalID: id, Permission: policy.PermissionFullControl}}
	if _, added, err := policy.MergeGrants(full, wanted); err != nil || len(added) != 0 {
		t.Errorf("%v %v", added, err)
	}
	if _, _, err := policy.MergeGrants(nil, []policy.Grant{{Other: "http://acs.amazonaws.com/groups/global/AllUsers", Permission: policy.PermissionRead}}); err == nil {
		t.Error("everybody was granted something")
	}
	if _, _, err := policy.MergeGrants(make([]policy.Grant, 98), wanted); err == nil {
		t.Error("101 grants")
	}
	if _, _, err := policy.MergeGrants(make([]policy.Grant, 97), wanted); err != nil {
		t.Error(err)
	}
}

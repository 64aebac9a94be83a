package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

// A builder that is given something wrong makes nothing: no input can mean more than one thing.
func TestCallerBuildersRefuse(t *testing.T) {
	good := policy.Scope{Account: "111122223333", Region: "eu-west-1"}
	type doc = func(policy.Scope) (policy.Document, error)
	role := policy.RDSExport{Bucket: "exports", Role: roleARN, Key: keyARN}
	scoped := map[string]doc{
		"EBS backup":         func(s policy.Scope) (policy.Document, error) { return policy.EBSBackupPolicy(s) },
		"EBS delete":         policy.EBSDeletePolicy,
		"EBS restore":        func(s policy.Scope) (policy.Document, error) { return policy.EBSRestorePolicy(s) },
		"RDS backup":         func(s policy.Scope) (policy.Document, error) { return policy.RDSBackupPolicy(s) },
		"RDS delete":         policy.RDSDeletePolicy,
		"RDS restore":        func(s policy.Scope) (policy.Document, error) { return policy.RDSRestorePolicy(s) },
		"RDS export":         func(s policy.Scope) (policy.Document, error) { return policy.RDSExportPolicy(s, role) },
		"ElastiCache backup": func(s policy.Scope) (policy.Document, error) { return policy.ElastiCacheBackupPolicy(s) },
		"ElastiCache delete": policy.ElastiCacheDeletePolicy,
		"ElastiCache restore": func(s policy.Scope) (policy.Document, error) {
			return policy.ElastiCacheRestorePolicy(s)
		},
		"ElastiCache seed":    func(s policy.Scope) (policy.Document, error) { return policy.ElastiCacheSeedPolicy(s, "exports", "") },
		"ElastiCache export":  func(s policy.Scope) (policy.Document, error) { return policy.ElastiCacheExportPolicy(s, "exports") },
		"ElastiCache prepare": func(s policy.Scope) (policy.Document, error) { return policy.ElastiCachePreparePolicy(s, "exports") },
		"ElastiCache export delete": func(s policy.Scope) (policy.Document, error) {
			return policy.ElastiCacheExportDeletePolicy(s, "exports")
		},
	}
	for name, f := range scoped {
		if d, err := f(good); err != nil || len(d.Statements) == 0 {
			t.Errorf("%s: %v", name, err)
		}
		for fault, change := range map[string]func(*policy.Scope){
			"no account":         func(s *policy.Scope) { s.Account = "" },
			"any account":        func(s *policy.Scope) { s.Account = "*" },
			"no Region":          func(s *policy.Scope) { s.Region = "" },
			"any Region":         func(s *policy.Scope) { s.Region = "*" },
			"any owner":          func(s *policy.Scope) { s.Owner = "*" },
			"a variable owner":   func(s *policy.Scope) { s.Owner = "${aws:username}" },
			"a long owner":       func(s *policy.Scope) { s.Owner = strings.Repeat("o", 65) },
			"any prefix":         func(s *policy.Scope) { s.SnapshotPrefix = "*" },
			"a prefix of hyphen": func(s *policy.Scope) { s.SnapshotPrefix = "-" },
			"a long prefix":      func(s *policy.Scope) { s.SnapshotPrefix = strings.Repeat("p", 40) },
			"any key":            func(s *policy.Scope) { s.Keys = []string{keyARN, "*"} },
			"a key by alias":     func(s *policy.Scope) { s.Keys = []string{"arn:aws:kms:eu-west-1:111122223333:alias/a"} },
			"a key elsewhere":    func(s *policy.Scope) { s.Keys = []string{farKey} },
		} {
			s := good
			change(&s)
			checkRefused(t, name+", "+fault, func() (policy.Document, error) { return f(s) })
		}
	}
	injected := `a","Effect":"Allow`
	for name, f := range map[string]func() (policy.Document, error){
		"a volume":        func() (policy.Document, error) { return policy.EBSBackupPolicy(good, "vol-*") },
		"an instance":     func() (policy.Document, error) { return policy.EBSBackupPolicy(good, "i-*") },
		"a snapshot":      func() (policy.Document, error) { return policy.EBSRestorePolicy(good, "snap-?") },
		"an RDS instance": func() (policy.Document, error) { return policy.RDSBackupPolicy(good, "orders", "*") },
		"an RDS target":   func() (policy.Document, error) { return policy.RDSRestorePolicy(good, injected) },
		"a cluster":       func() (policy.Document, error) { return policy.ElastiCacheBackupPolicy(good, "${aws:username}") },
		"a cache target":  func() (policy.Document, error) { return policy.ElastiCacheRestorePolicy(good, "") },
		"a seed target":   func() (policy.Document, error) { return policy.ElastiCacheSeedPolicy(good, "exports", "", "*") },
		"a seed bucket":   func() (policy.Document, error) { return policy.ElastiCacheSeedPolicy(good, "*", "") },
		"a seed prefix":   func() (policy.Document, error) { return policy.ElastiCacheSeedPolicy(good, "exports", "*") },
		"an export bucket": func() (policy.Document, error) {
			return policy.ElastiCacheExportPolicy(good, injected)
		},
		"an exported snapshot":  func() (policy.Document, error) { return policy.ElastiCacheExportPolicy(good, "exports", "automatic.*") },
		"a delete bucket":       func() (policy.Document, error) { return policy.ElastiCacheExportDeletePolicy(good, "*") },
		"a prepared bucket":     func() (policy.Document, error) { return policy.ElastiCachePreparePolicy(good, "*") },
		"a store's bucket":      func() (policy.Document, error) { return policy.StorePolicy("*", "eu-west-1", "p") },
		"a store's Region":      func() (policy.Document, error) { return policy.StorePolicy("operations", "", "p") },
		"a store's prefix":      func() (policy.Document, error) { return policy.StorePolicy("operations", "eu-west-1", "*") },
		"a store of everything": func() (policy.Document, error) { return policy.StorePolicy("operations", "eu-west-1", "") },
		"a store's key":         func() (policy.Document, error) { return policy.StorePolicy("operations", "eu-west-1", "p", farKey) },
	} {
		checkRefused(t, name, f)
	}
	for name, change := range map[string]func(*policy.RDSExport){
		"bucket": func(x *policy.RDSExport) { x.Bucket = "*" }, "prefix": func(x *policy.RDSExport) { x.Prefix = "a:b" },
		"no role": func(x *policy.RDSExport) { x.Role = "" }, "any role": func(x *policy.RDSExport) { x.Role = "arn:aws:iam::111122223333:role/*" },
		"a user": func(x *policy.RDSExport) { x.Role = "arn:aws:iam::111122223333:user/u" }, "another account's role": func(x *policy.RDSExport) { x.Role = otherARN },
		"no key": func(x *policy.RDSExport) { x.Key = "" }, "a key elsewhere": func(x *policy.RDSExport) { x.Key = farKey },
		"a snapshot": func(x *policy.RDSExport) { x.Snapshots = []string{"rds:*"} },
	} {
		x := role
		change(&x)
		checkRefused(t, "RDS export: "+name, func() (policy.Document, error) { return policy.RDSExportPolicy(good, x) })
	}
	copied := policy.ObjectCopy{From: policy.ObjectPlace{Bucket: "exports", Region: "eu-west-1"}, To: policy.ObjectPlace{Bucket: "copies", Region: "us-east-1"}}
	for name, change := range map[string]func(*policy.ObjectCopy){
		"source": func(c *policy.ObjectCopy) { c.From.Bucket = "*" }, "destination": func(c *policy.ObjectCopy) { c.To.Bucket = "" },
		"source Region": func(c *policy.ObjectCopy) { c.From.Region = "*" }, "destination Region": func(c *policy.ObjectCopy) { c.To.Region = "" },
		"partition": func(c *policy.ObjectCopy) { c.To.Region = "us-gov-west-1" }, "prefix": func(c *policy.ObjectCopy) { c.From.Prefix = "a/" },
		"destination prefix": func(c *policy.ObjectCopy) { c.To.Prefix = "?" }, "source key": func(c *policy.ObjectCopy) { c.From.Keys = []string{farKey} },
		"destination key": func(c *policy.ObjectCopy) { c.To.Keys = []string{keyARN} },
	} {
		c := copied
		change(&c)
		checkRefused(t, "copy: "+name, func() (policy.Document, error) { return policy.ObjectCopyPolicy(c) })
	}
}

func checkRefused(t *testing.T, name string, f func() (policy.Document, error)) {
	t.Helper()
	d, err := f()
	var e *policy.NameError
	if !errors.As(err, &e) || e.What == "" || e.Detail == "" || len(d.Statements) > 0 {
		t.Errorf("%s: %v\n%s", name, err, d.Text())
	}
}

func TestKeyPolicyRefuses(t *testing.T) {
	good := policy.KeyShare{Service: policy.KeyRDS, Account: "444455556666", Roles: []string{otherARN}, Regions: []string{"eu-west-1"}}
	for name, change := range map[string]func(*policy.KeyShare){
		"no service": func(s *policy.KeyShare) { s.Service = "" }, "another service": func(s *policy.KeyShare) { s.Service = "sns" },
		"no account": func(s *policy.KeyShare) { s.Account = "" }, "the owner": func(s *policy.KeyShare) { s.Account = "111122223333" },
		"no role": func(s *policy.KeyShare) { s.Roles = nil }, "root": func(s *policy.KeyShare) { s.Roles = []string{"arn:aws:iam::444455556666:root"} },
		"everybody": func(s *policy.KeyShare) { s.Roles = []string{"*"} }, "any role": func(s *policy.KeyShare) { s.Roles = []string{"arn:aws:iam::444455556666:role/*"} },
		"no name of a role":      func(s *policy.KeyShare) { s.Roles = []string{"arn:aws:iam::444455556666:role/"} },
		"another account's":      func(s *policy.KeyShare) { s.Roles = []string{roleARN} },
		"another partition's":    func(s *policy.KeyShare) { s.Roles = []string{"arn:aws-cn:iam::444455556666:role/r"} },
		"no Region":              func(s *policy.KeyShare) { s.Regions = nil },
		"any Region":             func(s *policy.KeyShare) { s.Regions = []string{"*"} },
		"a Region of another":    func(s *policy.KeyShare) { s.Regions = []string{"eu-west-1", "cn-north-1"} },
		"a role of no partition": func(s *policy.KeyShare) { s.Roles = []string{"arn:x:iam::444455556666:role/r"} },
	} {
		s := good
		change(&s)
		checkRefused(t, name, func() (policy.Document, error) { return policy.KeyPolicy("aws", "111122223333", s) })
	}
	for name, f := range map[string]func() (policy.Document, error){
		"partition": func() (policy.Document, error) { return policy.KeyPolicy("", "111122223333", good) },
		"owner":     func() (policy.Document, error) { return policy.KeyPolicy("aws", "*", good) },
	} {
		checkRefused(t, name, f)
	}
	if all, err := policy.KeyShareStatements("x", good); err == nil {
		t.Errorf("%v", all)
	}
	if s, err := policy.DenyOutsideAdministration(""); err == nil {
		t.Errorf("%v", s)
	}
	// Two shares of one account and service would be two statements of one Sid.
	if d, err := policy.KeyPolicy("aws", "111122223333", good, good); err == nil {
		t.Error(d.Text())
	}
}

// A key that others wrote a policy for keeps it, and a share that ends leaves nothing of itself.
func TestKeyShareComesAndGoes(t *testing.T) {
	owner, err := policy.KeyOwnerStatement("aws", "111122223333")
	if err != nil {
		t.Fatal(err)
	}
	owner.Sid = "Enable IAM User Permissions"
	existing := policy.Document{Version: policy.Version, Statements: []policy.Statement{owner}}
	share, err := policy.KeyShareStatements("aws", policy.KeyShare{Service: policy.KeyEBS, Account: "444455556666", Roles: []string{otherARN}, Regions: []string{"eu-west-1"}})
	if err != nil {
		t.Fatal(err)
	}
	shared, m, err := existing.Merge(share...)
	if err != nil || len(m.Added) != 3 {
		t.Fatalf("%+v %v", m, err)
	}
	if w := policy.Widens(existing, shared); len(w) != 3 {
		t.Errorf("%v", w)
	}
	if w := policy.Widens(shared, existing); len(w) != 0 {
		t.Errorf("%v", w)
	}
	if back, gone := shared.Without(m.Added...); back.Text() != existing.Text() || len(gone) != 3 {
		t.Errorf("%v", gone)
	}
	published, err := policy.PublishedReplicationKeyPolicy("111122223333", "444455556666")
	if err != nil {
		t.Fatal(err)
	}
	if w := policy.Widens(shared, published); len(w) < 2 {
		t.Errorf("%v", w)
	}
}

func TestExportRoleRefuses(t *testing.T) {
	good := policy.ExportRole{Account: "111122223333", Region: "eu-west-1", Bucket: "exports"}
	snapshot := "arn:aws:rds:eu-west-1:111122223333:snapshot:s"
	for name, change := range map[string]func(*policy.ExportRole){
		"account": func(r *policy.ExportRole) { r.Account = "*" }, "Region": func(r *policy.ExportRole) { r.Region = "" },
		"bucket": func(r *policy.ExportRole) { r.Bucket = "*" }, "prefix": func(r *policy.ExportRole) { r.Prefix = "*" },
		"any snapshot": func(r *policy.ExportRole) {
			r.Sources = []string{snapshot, "arn:aws:rds:eu-west-1:111122223333:snapshot:*"}
		},
		"another account": func(r *policy.ExportRole) { r.Sources = []string{strings.Replace(snapshot, "1111", "4444", 1)} },
		"another Region": func(r *policy.ExportRole) {
			r.Sources = []string{strings.Replace(snapshot, "eu-west-1", "eu-west-2", 1)}
		},
		"an instance":     func(r *policy.ExportRole) { r.Sources = []string{strings.Replace(snapshot, "snapshot", "db", 1)} },
		"another service": func(r *policy.ExportRole) { r.Sources = []string{keyARN} },
	} {
		r := good
		change(&r)
		checkRefused(t, name, r.Policy)
		checkRefused(t, name, r.Trust)
	}
}

// Names are kept in small letters by RDS and ElastiCache, and the ARNs have them so; another partition has other ARNs.
func TestCallerPoliciesNameResources(t *testing.T) {
	d, err := policy.RDSBackupPolicy(policy.Scope{Account: "111122223333", Region: "cn-north-1", SnapshotPrefix: "Nightly"}, "Orders")
	if err != nil {
		t.Fatal(err)
	}
	text := d.Text()
	for _, want := range []string{`"arn:aws-cn:rds:cn-north-1:111122223333:db:orders"`, `"arn:aws-cn:rds:cn-north-1:111122223333:snapshot:nightly*"`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
}

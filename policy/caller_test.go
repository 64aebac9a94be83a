package policy_test

import (
	"errors"
	"slices"
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
		"ElastiCache copy":   func(s policy.Scope) (policy.Document, error) { return policy.ElastiCacheCopyPolicy(s) },
		"ElastiCache daily":  func(s policy.Scope) (policy.Document, error) { return policy.ElastiCacheDailyPolicy(s) },
		"ElastiCache rebuild": func(s policy.Scope) (policy.Document, error) {
			return policy.ElastiCacheRebuildPolicy(s, "orders")
		},
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
		"a volume":           func() (policy.Document, error) { return policy.EBSBackupPolicy(good, "vol-*") },
		"an instance":        func() (policy.Document, error) { return policy.EBSBackupPolicy(good, "i-*") },
		"a snapshot":         func() (policy.Document, error) { return policy.EBSRestorePolicy(good, "snap-?") },
		"an RDS instance":    func() (policy.Document, error) { return policy.RDSBackupPolicy(good, "orders", "*") },
		"an RDS target":      func() (policy.Document, error) { return policy.RDSRestorePolicy(good, injected) },
		"a cluster":          func() (policy.Document, error) { return policy.ElastiCacheBackupPolicy(good, "${aws:username}") },
		"a cache target":     func() (policy.Document, error) { return policy.ElastiCacheRestorePolicy(good, "") },
		"a copied snapshot":  func() (policy.Document, error) { return policy.ElastiCacheCopyPolicy(good, "automatic.*") },
		"a daily cluster":    func() (policy.Document, error) { return policy.ElastiCacheDailyPolicy(good, "*") },
		"a rebuilt cluster":  func() (policy.Document, error) { return policy.ElastiCacheRebuildPolicy(good, "*") },
		"nothing to rebuild": func() (policy.Document, error) { return policy.ElastiCacheRebuildPolicy(good, "") },
		"a seed target":      func() (policy.Document, error) { return policy.ElastiCacheSeedPolicy(good, "exports", "", "*") },
		"a seed bucket":      func() (policy.Document, error) { return policy.ElastiCacheSeedPolicy(good, "*", "") },
		"a seed prefix":      func() (policy.Document, error) { return policy.ElastiCacheSeedPolicy(good, "exports", "*") },
		"an export bucket": func() (policy.Document, error) {
			return policy.ElastiCacheExportPolicy(good, injected)
		},
		"an exported snapshot": func() (policy.Document, error) { return policy.ElastiCacheExportPolicy(good, "exports", "automatic.*") },
		"a prefix of exports": func() (policy.Document, error) {
			s := good
			s.SnapshotPrefix = "swx-nightly"
			return policy.ElastiCacheExportPolicy(s, "exports", "nightly")
		},
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
		"a long name":            func(s *policy.KeyShare) { s.Name = strings.Repeat("n", 33) },
		"a name of two words":    func(s *policy.KeyShare) { s.Name = "the reader" },
		"a name that is no text": func(s *policy.KeyShare) { s.Name = "\xff" },
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
	// Two shares of one account, service and name would be two statements of one Sid. The error says what to do about it.
	other := good
	other.Roles, other.Write = []string{"arn:aws:iam::444455556666:role/writer"}, true
	checkRefused(t, "twice", func() (policy.Document, error) { return policy.KeyPolicy("aws", "111122223333", good, other) })
	if _, err := policy.KeyPolicy("aws", "111122223333", good, other); err == nil || !strings.Contains(err.Error(), "give each KeyShare a Name") || !strings.Contains(err.Error(), "444455556666") {
		t.Error(err)
	}
}

// Two shares of one service and account live side by side by their names, and each is replaced by its own next form only, so that what was taken out of
// it is gone.
func TestKeySharesByName(t *testing.T) {
	share := func(name string, write bool, roles ...string) policy.KeyShare {
		return policy.KeyShare{Service: policy.KeyRDS, Account: "444455556666", Name: name, Roles: roles, Regions: []string{"eu-west-1"}, Write: write}
	}
	const reader, writer = "arn:aws:iam::444455556666:role/reader", "arn:aws:iam::444455556666:role/writer"
	may := func(d policy.Document, role, action string) bool {
		return slices.ContainsFunc(d.Statements, func(s policy.Statement) bool {
			return s.Effect == policy.Allow && slices.Contains(s.Principal.AWS, role) && slices.Contains(s.Action, action)
		})
	}
	check := func(what string, d policy.Document, writes bool) {
		t.Helper()
		if !may(d, reader, "kms:Decrypt") || !may(d, writer, "kms:Decrypt") || may(d, reader, "kms:Encrypt") || may(d, writer, "kms:Encrypt") != writes {
			t.Errorf("%s:\n%s", what, d.Text())
		}
	}
	doc, err := policy.KeyPolicy("aws", "111122223333", share("Reader", false, reader), share("Writer", true, writer), share("", true, otherARN))
	if err != nil {
		t.Fatal(err)
	}
	check("together", doc, true)
	for n, s := range []policy.KeyShare{share("Writer", true, writer), share("Writer", false, writer)} {
		statements, err := policy.KeyShareStatements("aws", s)
		if err != nil {
			t.Fatal(err)
		}
		merged, m, err := doc.Merge(statements...)
		if err != nil || len(m.Added) > 0 || m.Changed() != (n == 1) {
			t.Fatalf("%+v %v", m, err)
		}
		check("again", merged, n == 0)
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

// An export of named snapshots may be called as exports are, and nothing of the account is called so that is not named; the members of a group are
// those that ElastiCache calls after it.
func TestElastiCachePoliciesAreBound(t *testing.T) {
	s := policy.Scope{Account: "111122223333", Region: "eu-west-1"}
	may := func(d policy.Document, err error, action, resource string) bool {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(d.Statements, func(st policy.Statement) bool {
			return slices.Contains(st.Action, action) && slices.ContainsFunc(st.Resource, func(r string) bool {
				return policy.MatchResource(r, "arn:aws:elasticache:eu-west-1:111122223333:"+resource)
			})
		})
	}
	export, err := policy.ElastiCacheExportPolicy(s, "exports", "nightly")
	for name, want := range map[string]bool{"nightly": true, "swx-2mgmtlbwpihzsf6vdthqivjfaq": true, "sw-2mgmtlbwpihzsf6vdthqivjfaq": false, "sw-payroll": false,
		"swx": false, "nightly2": false, "payroll": false} {
		if got := may(export, err, "elasticache:CopySnapshot", "snapshot:"+name); got != want {
			t.Errorf("the snapshot %s: %v", name, got)
		}
	}
	backup, err := policy.ElastiCacheBackupPolicy(s, "orders")
	for name, want := range map[string]bool{"cluster:orders": true, "cluster:orders-001": true, "cluster:orders-006": true, "cluster:orders-0001-001": true,
		"cluster:orders-0090-006": true, "replicationgroup:orders": true, "cluster:orders-0payroll-001": false, "cluster:orders-0payroll": false,
		"cluster:orders-archive-001": false, "cluster:orders-0001-payroll": false, "replicationgroup:orders-001": false} {
		if got := may(backup, err, "elasticache:CreateSnapshot", name); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

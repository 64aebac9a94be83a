package policy_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

// rdsFind are rights of RDSFindPolicy, which lists of everything, and of automated backups, need beside those of the policies for instances.
var rdsFind = []string{"rds:DescribeDBClusterAutomatedBackups", "rds:DescribeDBClusterSnapshots", "rds:DescribeDBClusters", "rds:DescribeDBInstanceAutomatedBackups"}

// rdsOwnRights are rights that only the policies of these names give.
var rdsOwnRights = map[string][]string{
	"rds-automated-backups": {"rds:ModifyDBInstance"}, "rds-automated-backups-named": {"rds:ModifyDBInstance"}, "rds-delete-database": {"rds:DeleteDBInstance"},
}

// rdsDocument is a policy of package rds's further workflows. dir and from are what it must be exact for.
type rdsDocument struct {
	name string
	doc  policy.Document
	from []string
}

func rdsDocuments(t testing.TB) (all []rdsDocument) {
	t.Helper()
	plain := policy.Scope{Account: "111122223333", Region: "eu-west-1"}
	far := policy.Scope{Account: "111122223333", Region: "us-east-1"}
	keyed := policy.Scope{Account: "111122223333", Region: "eu-west-1", Owner: "team-a", SnapshotPrefix: "nightly-", Keys: []string{keyARN}}
	add := func(name string, from ...string) func(policy.Document, error) {
		return func(d policy.Document, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, rdsDocument{name, d, from})
		}
	}
	farKeyed := far
	farKeyed.Keys = []string{strings.Replace(farKey, "444455556666", "111122223333", 1)}
	add("rds-find", "Discover", "List", "AutomatedBackups")(policy.RDSFindPolicy(plain))
	add("rds-cluster-backup", "stepClusterBackup", "preflightClusterBackup")(policy.RDSClusterBackupPolicy(plain))
	add("rds-cluster-backup-named", "stepClusterBackup", "preflightClusterBackup")(policy.RDSClusterBackupPolicy(keyed, "Main", "second"))
	add("rds-cluster-delete", "stepClusterDelete")(policy.RDSClusterDeletePolicy(plain))
	add("rds-cluster-restore", "stepClusterRestore", "preflightClusterRestore")(policy.RDSClusterRestorePolicy(plain))
	add("rds-cluster-restore-named", "stepClusterRestore", "preflightClusterRestore")(policy.RDSClusterRestorePolicy(keyed, "main-2"))
	add("rds-time-restore", "stepTimeRestore", "preflightTimeRestore")(policy.RDSTimeRestorePolicy(plain))
	add("rds-time-restore-named", "stepTimeRestore", "preflightTimeRestore")(policy.RDSTimeRestorePolicy(keyed, "Orders-2"))
	add("rds-cluster-time-restore", "stepClusterTimeRestore", "preflightClusterTimeRestore")(policy.RDSClusterTimeRestorePolicy(keyed, "main-2"))
	add("rds-copy", "stepCopy", "preflightCopy")(policy.RDSCopyPolicy(plain, far))
	add("rds-copy-keyed", "stepCopy", "preflightCopy")(policy.RDSCopyPolicy(keyed, farKeyed))
	add("rds-copy-in-place", "stepCopy", "preflightCopy")(policy.RDSCopyPolicy(plain, plain))
	add("rds-cluster-copy", "stepClusterCopy", "preflightClusterCopy")(policy.RDSClusterCopyPolicy(keyed, farKeyed))
	add("rds-automated-backups", "stepSet", "stepClusterSet", "preflightSet", "preflightClusterSet")(policy.RDSAutomatedBackupsPolicy(plain, nil, nil))
	add("rds-automated-backups-named")(policy.RDSAutomatedBackupsPolicy(plain, []string{"Orders"}, nil))
	add("rds-delete-database", "stepRetire", "stepClusterRetire", "preflightRetire", "preflightClusterRetire")(policy.RDSDeleteDatabasePolicy(plain, []string{"Orders", "main-1"}, []string{"main"}))
	add("rds-export-cluster")(policy.RDSExportPolicy(plain, policy.RDSExport{Bucket: "exports", Role: roleARN, Key: keyARN, ClusterSnapshots: []string{"main-1", "rds:main-2026-01-31-03-15"}}))
	return all
}

// The policies of the further workflows of package rds are exact: what is called is allowed, and nothing else is.
func TestRDSPoliciesAreExact(t *testing.T) {
	s := readSource(t, "../rds")
	covered := map[string]bool{}
	for _, d := range rdsDocuments(t) {
		if len(d.from) == 0 {
			continue
		}
		var allowed []string
		for _, st := range d.doc.Statements {
			allowed = append(allowed, st.Action...)
		}
		allowed = slices.DeleteFunc(allowed, func(a string) bool { return slices.Contains(asked, a) || strings.HasPrefix(a, "kms:") })
		slices.Sort(allowed)
		called := actionsOf(s.operations(t, d.from...))
		if diff := cmp.Diff(called, slices.Compact(allowed)); diff != "" {
			t.Errorf("%s %v: what is called (-) and what the policy allows (+):\n%s", d.name, d.from, diff)
		}
		for _, a := range called {
			covered[a] = true
		}
	}
	// With those of the instances' workflows, they cover all that the package calls.
	for _, a := range []string{"rds:CreateDBSnapshot", "rds:DeleteDBSnapshot", "rds:RestoreDBInstanceFromDBSnapshot"} {
		covered[a] = true
	}
	for _, a := range actionsOf(s.operations(t)) {
		if !covered[a] {
			t.Errorf("%s is in no policy", a)
		}
	}
}

// Beside the policies for backups of instances and clusters, the one for finding is needed for automated backups only.
func TestRDSFindPolicyBesideBackups(t *testing.T) {
	scope := policy.Scope{Account: "111122223333", Region: "eu-west-1"}
	build := func(d policy.Document, err error) []policy.Statement {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d.Statements
	}
	backups := append(build(policy.RDSBackupPolicy(scope)), build(policy.RDSClusterBackupPolicy(scope))...)
	var more []string
	for _, s := range build(policy.RDSFindPolicy(scope)) {
		if len(policy.Widens(docOf(backups...), docOf(s))) > 0 {
			more = append(more, s.Action...)
		}
	}
	if d := cmp.Diff([]string{"rds:DescribeDBInstanceAutomatedBackups", "rds:DescribeDBClusterAutomatedBackups"}, more); d != "" {
		t.Error(d)
	}
	// And the policy alone is enough for finding: nothing that is made, changed or deleted is in it.
	for _, s := range build(policy.RDSFindPolicy(scope)) {
		for _, a := range s.Action {
			if !strings.HasPrefix(a, "rds:Describe") {
				t.Errorf("%s is not for finding", a)
			}
		}
	}
}

func TestRDSPoliciesRefuse(t *testing.T) {
	good := policy.Scope{Account: "111122223333", Region: "eu-west-1"}
	bad := good
	bad.Account = "*"
	other, gov := good, good
	other.Account, gov.Region = "444455556666", "us-gov-west-1"
	export := policy.RDSExport{Bucket: "exports", Role: roleARN, Key: keyARN, ClusterSnapshots: []string{"*"}}
	for name, f := range map[string]func() (policy.Document, error){
		"find":                     func() (policy.Document, error) { return policy.RDSFindPolicy(bad) },
		"backup, scope":            func() (policy.Document, error) { return policy.RDSClusterBackupPolicy(bad) },
		"backup, cluster":          func() (policy.Document, error) { return policy.RDSClusterBackupPolicy(good, "*") },
		"delete":                   func() (policy.Document, error) { return policy.RDSClusterDeletePolicy(bad) },
		"restore, scope":           func() (policy.Document, error) { return policy.RDSClusterRestorePolicy(bad) },
		"restore, target":          func() (policy.Document, error) { return policy.RDSClusterRestorePolicy(good, "a?") },
		"time, scope":              func() (policy.Document, error) { return policy.RDSTimeRestorePolicy(bad) },
		"time, target":             func() (policy.Document, error) { return policy.RDSTimeRestorePolicy(good, "") },
		"cluster time, scope":      func() (policy.Document, error) { return policy.RDSClusterTimeRestorePolicy(bad) },
		"cluster time, target":     func() (policy.Document, error) { return policy.RDSClusterTimeRestorePolicy(good, "*") },
		"copy, from":               func() (policy.Document, error) { return policy.RDSCopyPolicy(bad, good) },
		"copy, to":                 func() (policy.Document, error) { return policy.RDSCopyPolicy(good, bad) },
		"copy, account":            func() (policy.Document, error) { return policy.RDSCopyPolicy(good, other) },
		"copy, partition":          func() (policy.Document, error) { return policy.RDSClusterCopyPolicy(good, gov) },
		"settings, scope":          func() (policy.Document, error) { return policy.RDSAutomatedBackupsPolicy(bad, nil, nil) },
		"settings, instance":       func() (policy.Document, error) { return policy.RDSAutomatedBackupsPolicy(good, []string{"*"}, nil) },
		"settings, cluster":        func() (policy.Document, error) { return policy.RDSAutomatedBackupsPolicy(good, nil, []string{"*"}) },
		"delete database, nothing": func() (policy.Document, error) { return policy.RDSDeleteDatabasePolicy(good, nil, nil) },
		"delete database, all":     func() (policy.Document, error) { return policy.RDSDeleteDatabasePolicy(good, []string{"*"}, nil) },
		"export":                   func() (policy.Document, error) { return policy.RDSExportPolicy(good, export) },
	} {
		checkRefused(t, name, f)
	}
}

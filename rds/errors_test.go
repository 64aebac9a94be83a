package rds_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/rds"
)

// operations are those that the package calls. A test holds the list against the package's sources.
var operations = []string{"CopyDBClusterSnapshot", "CopyDBSnapshot", "CreateDBClusterSnapshot", "CreateDBInstance", "CreateDBSnapshot", "DeleteDBCluster", "DeleteDBClusterSnapshot", "DeleteDBInstance",
	"DeleteDBSnapshot", "DescribeDBClusterAutomatedBackups", "DescribeDBClusterSnapshots",
	"DescribeDBClusters", "DescribeDBInstanceAutomatedBackups", "DescribeDBInstances", "DescribeDBSnapshots", "DescribeDBSubnetGroups", "DescribeOptionGroups", "ModifyDBCluster", "ModifyDBInstance",
	"RestoreDBClusterFromSnapshot", "RestoreDBClusterToPointInTime",
	"RestoreDBInstanceFromDBSnapshot", "RestoreDBInstanceToPointInTime"}

func TestOperationsInUse(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bc\.(\w+)\(ctx, `).FindAllStringSubmatch(string(b), -1) {
			used[m[1]] = true
		}
	}
	for _, o := range operations {
		if !used[o] {
			t.Errorf("%s is not called", o)
		}
		delete(used, o)
	}
	for o := range used {
		t.Errorf("%s is called and is not in the list: are its errors in the table?", o)
	}
}

// TestTable holds the table against the errors that the SDK models for the operations in use: a new one fails this test until somebody has
// said what it means.
func TestTable(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/rds").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "deserializers.go"))
	if err != nil {
		t.Fatal(err)
	}
	modelled := map[string][]string{}
	for _, f := range strings.Split(string(b), "\nfunc ") {
		m := regexp.MustCompile(`^awsAwsquery_deserializeOpError(\w+)\(`).FindStringSubmatch(f)
		if m == nil || !slices.Contains(operations, m[1]) {
			continue
		}
		modelled[m[1]] = []string{}
		for _, c := range regexp.MustCompile(`strings.EqualFold\("(\w+)", errorCode\)`).FindAllStringSubmatch(f, -1) {
			modelled[m[1]] = append(modelled[m[1]], c[1])
		}
	}
	n := 0
	for _, o := range operations {
		if len(modelled[o]) == 0 {
			t.Errorf("the SDK's sources do not show the errors of %s", o)
		}
		for _, c := range modelled[o] {
			n++
			rules := rds.Table[c]
			if len(rules) == 0 {
				t.Errorf("%s of %s is not in the table", c, o)
				continue
			}
			if last := rules[len(rules)-1]; last.Message != "" {
				t.Errorf("%s is not always classified", c)
			}
			for _, r := range rules {
				if r.Class == awscall.Ambiguous || r.Code == "" || r.Hint == "" {
					t.Errorf("%s: %+v", c, r)
				}
			}
		}
	}
	if n < 35 {
		t.Errorf("only %d errors were found", n)
	}
}

func TestClassify(t *testing.T) {
	for _, tt := range []struct {
		code, message string
		want          backup.Code
		class         awscall.Class
	}{
		{"SnapshotQuotaExceeded", "Cannot create more than 100 manual snapshots", backup.ErrQuota, awscall.Permanent},
		{"SnapshotQuotaExceeded", "Cannot copy more than 5 snapshots across regions", backup.ErrQuota, awscall.NotYet},
		{"InvalidDBInstanceState", "", backup.ErrUnavailable, awscall.NotYet},
		{"InvalidDBSnapshotState", "", backup.ErrUnavailable, awscall.NotYet},
		{"DBSnapshotAlreadyExists", "", backup.ErrConflict, awscall.Permanent},
		{"DBSnapshotNotFound", "", backup.ErrNotFound, awscall.Permanent},
		{"KMSKeyNotAccessibleFault", "", backup.ErrDenied, awscall.Permanent},
		{"ThrottlingException", "Rate exceeded", backup.ErrThrottled, awscall.NotApplied},
		{"AccessDenied", "", backup.ErrDenied, awscall.Permanent},
		{"SomethingNew", "", backup.ErrUnavailable, awscall.Ambiguous}, // without the status of an answer it may be anything
		{"InternalFailure", "", backup.ErrUnavailable, awscall.Ambiguous},
	} {
		v := rds.Table.Classify(&smithy.GenericAPIError{Code: tt.code, Message: tt.message})
		if v.Code != tt.want || v.Class != tt.class || v.Hint == "" {
			t.Errorf("%s %q: %s, class %d, %q", tt.code, tt.message, v.Code, v.Class, v.Hint)
		}
	}
	err := rds.Table.Wrap("rds", "CreateDBSnapshot", backup.Ref{}, &smithy.GenericAPIError{Code: "InstanceQuotaExceeded"})
	var api smithy.APIError
	if !errors.Is(err, backup.ErrQuota) || !errors.As(err, &api) {
		t.Errorf("%v has lost its code or its cause", err)
	}
}

func TestWords(t *testing.T) {
	for word, want := range map[string]backup.Status{"available": backup.StatusAvailable, "creating": backup.StatusPending, "copying": backup.StatusPending,
		"failed": backup.StatusFailed, "incompatible-restore": backup.StatusFailed, "deleting": backup.StatusDeleting, "deleted": backup.StatusDeleting} {
		if got, known := rds.Status(word); got != want || !known {
			t.Errorf("%s: %s, %v", word, got, known)
		}
	}
	for _, word := range []string{"", "Available", "polishing"} {
		if got, known := rds.Status(word); got != backup.StatusPending || known {
			t.Errorf("%q reads as %s", word, got)
		}
	}
	for word, want := range map[string]string{"available": "ready", "storage-optimization": "ready", "backing-up": "busy", "configuring-enhanced-monitoring": "busy",
		"stopped": "busy", "incompatible-parameters": "broken", "failed": "broken", "storage-full": "broken", "deleting": "broken", "": "unknown", "meditating": "unknown"} {
		if got := rds.InstanceState(word); got != want {
			t.Errorf("%q is %s, want %s", word, got, want)
		}
	}
}

func TestUnknownAction(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		op, err := backup.NewOperation(rds.Kind, backup.ActionExport, b.orders, backup.Spec{Token: "t"})
		b.must(err)
		s := b.strategy()
		if _, err := s.Step(b.ctx, op); !errors.Is(err, backup.ErrUnsupported) {
			t.Errorf("Step: %v", err)
		}
		if _, err := s.Preflight(b.ctx, op); !errors.Is(err, backup.ErrUnsupported) {
			t.Errorf("Preflight: %v", err)
		}
		if _, err := s.Cancel(b.ctx, op); !errors.Is(err, backup.ErrUnsupported) {
			t.Errorf("Cancel: %v", err)
		}
	})
}

package elasticache

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// operations are those that the package calls.
var operations = []string{"CreateSnapshot", "DescribeSnapshots", "DeleteSnapshot", "ListTagsForResource", "CreateReplicationGroup", "DescribeReplicationGroups",
	"CreateCacheCluster", "DescribeCacheClusters", "DescribeCacheSubnetGroups"}

// TestTableIsComplete reads the SDK's own deserializers: an error that an update of the SDK models anew must be classified before it is used.
func TestTableIsComplete(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/elasticache").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "deserializers.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		operation, ok := strings.CutPrefix(f.Name.Name, "awsAwsquery_deserializeOpError")
		if !ok || !contains(operations, operation) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); !ok || s.Sel.Name != "EqualFold" || len(call.Args) != 2 {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			code, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			seen[operation]++
			if len(table[code]) == 0 {
				t.Errorf("%s: the code %s is not classified", operation, code)
			}
			return true
		})
	}
	for _, operation := range operations {
		if seen[operation] == 0 {
			t.Errorf("no errors were found for %s: the SDK is written in another way now", operation)
		}
	}
}

// TestOperationsAreKnown holds the list above against the package's own calls.
func TestOperationsAreKnown(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "c" && ast.IsExported(s.Sel.Name) && !contains(operations, s.Sel.Name) {
				t.Errorf("%s calls %s, which is not in the list of operations", name, s.Sel.Name)
			}
			return true
		})
	}
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

func TestTableRows(t *testing.T) {
	for code, rules := range table {
		for _, r := range rules {
			if r.Code == "" || r.Hint == "" || r.Class == awscall.Ambiguous {
				t.Errorf("%s: %+v", code, r)
			}
			if state := strings.Contains(code, "State"); state && code != "InvalidVPCNetworkStateFault" && r.Class != awscall.NotYet {
				t.Errorf("%s is not waited for", code)
			}
		}
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		code  string
		want  backup.Code
		class awscall.Class
	}{
		{"APICallRateForCustomerExceeded", backup.ErrThrottled, awscall.NotApplied},
		{"Throttling", backup.ErrThrottled, awscall.NotApplied},
		{"SnapshotQuotaExceededFault", backup.ErrQuota, awscall.Permanent},
		{"SnapshotAlreadyExistsFault", backup.ErrConflict, awscall.Permanent},
		{"InvalidReplicationGroupState", backup.ErrUnavailable, awscall.NotYet},
		{"SnapshotFeatureNotSupportedFault", backup.ErrUnsupported, awscall.Permanent},
		{"AccessDenied", backup.ErrDenied, awscall.Permanent},
		{"NeverHeardOf", backup.ErrFailed, awscall.Permanent},
	} {
		v := table.Classify(&smithy.GenericAPIError{Code: c.code, Message: "m"})
		if v.Code != c.want || v.Class != c.class || v.AWSCode != c.code {
			t.Errorf("%s: %+v", c.code, v)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"6.2", "7.0", true}, {"7.0", "6.2", false}, {"7.0", "7.0", false}, {"7.2", "7.10", true}, {"6.x", "6.2", false}, {"7", "7.1", false}, {"5.0.5", "5.0.6", true}, {"", "7.0", false}} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%q, %q) is %v", c.a, c.b, got)
		}
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{"5 MB": 5 << 20, "1.5 GB": 3 << 29, "": 0, "many": 0, "5": 0, "7 bytes": 7, "-1 MB": 0} {
		if got := sizeOf(s); got != want {
			t.Errorf("sizeOf(%q) is %d, want %d", s, got, want)
		}
	}
}

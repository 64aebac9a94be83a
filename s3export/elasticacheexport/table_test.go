package elasticacheexport

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/internal/awscall"
)

// The tables know every error that the SDK models for the calls in use: one that an update of the SDK adds must be classified before it is used.
func TestTablesAreComplete(t *testing.T) {
	for _, c := range []struct {
		service, prefix string
		table           awscall.Table
		operations      []string
	}{
		{"elasticache", "awsAwsquery_deserializeOpError", cacheTable, []string{"CopySnapshot", "DescribeSnapshots", "ExportServerlessCacheSnapshot", "DescribeServerlessCacheSnapshots", "DescribeServerlessCaches"}},
		{"s3", "awsRestxml_deserializeOpError", s3Table, []string{"ListObjectsV2", "ListMultipartUploads", "GetObject", "PutObject"}},
	} {
		out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/"+c.service).Output()
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "deserializers.go"), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			operation, ok := strings.CutPrefix(f.Name.Name, c.prefix)
			if !ok || !slices.Contains(c.operations, operation) {
				continue
			}
			found[operation] = true
			ast.Inspect(f, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) != 2 {
					return true
				}
				fn, ok := call.Fun.(*ast.SelectorExpr)
				if !ok || fn.Sel.Name != "EqualFold" {
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
				if len(c.table[code]) == 0 {
					t.Errorf("%s.%s may answer %s, which is in no row", c.service, operation, code)
				}
				return true
			})
		}
		if len(found) != len(c.operations) {
			t.Errorf("of %v only %v were found in the SDK", c.operations, found)
		}
		for code, rows := range c.table {
			for _, r := range rows {
				if r.Code == "" || r.Hint == "" {
					t.Errorf("%s: %+v", code, r)
				}
			}
		}
	}
	for _, m := range messages {
		if m.part == "" || m.id == "" || m.code == "" || m.hint == "" {
			t.Errorf("%+v", m)
		}
	}
}

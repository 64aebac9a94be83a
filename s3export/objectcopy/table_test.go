package objectcopy

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
)

// operations are the calls in use.
var operations = []string{"HeadObject", "CopyObject", "RestoreObject", "CreateMultipartUpload", "UploadPartCopy", "ListParts", "ListMultipartUploads",
	"CompleteMultipartUpload", "AbortMultipartUpload"}

// The table knows every error that the SDK models for the calls in use: one that an update of the SDK adds must be classified before it is used.
func TestTableIsComplete(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/s3").Output()
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
		operation, ok := strings.CutPrefix(f.Name.Name, "awsRestxml_deserializeOpError")
		if !ok || !slices.Contains(operations, operation) {
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
			if len(table[code]) == 0 {
				t.Errorf("%s may answer %s, which is in no row", operation, code)
			}
			return true
		})
	}
	if len(found) != len(operations) {
		t.Errorf("of %v only %v were found in the SDK", operations, found)
	}
	for code, rows := range table {
		for _, r := range rows {
			if r.Code == "" || r.Hint == "" {
				t.Errorf("%s: %+v", code, r)
			}
		}
	}
	for _, operation := range operations {
		if operation == "HeadObject" {
			continue
		}
		if !strings.Contains(rights[operation], "s3:") {
			t.Errorf("the rights that %s needs are not said", operation)
		}
	}
}

package protect

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
)

// The table knows every error that the SDK models for the calls in use: one that an update of the SDK adds must be classified before it is used. And
// for every call it is known which right it needs.
func TestTableIsComplete(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/s3").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "deserializers.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found, codes := 0, []string{}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		operation, ok := strings.CutPrefix(f.Name.Name, "awsRestxml_deserializeOpError")
		if !ok || rights[operation] == "" {
			continue
		}
		found++
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			if fn, ok := call.Fun.(*ast.SelectorExpr); !ok || fn.Sel.Name != "EqualFold" {
				return true
			}
			if lit, ok := call.Args[0].(*ast.BasicLit); ok {
				code, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				codes = append(codes, code)
				if len(table[code]) == 0 {
					t.Errorf("%s may answer %s, which is in no row", operation, code)
				}
			}
			return true
		})
	}
	if found != len(rights) || !slices.Contains(codes, "NoSuchKey") {
		t.Errorf("of %d operations %d were found in the SDK, with %v", len(rights), found, codes)
	}
	for code, rows := range table {
		for _, r := range rows {
			if r.Code == "" || r.Hint == "" {
				t.Errorf("%s: %+v", code, r)
			}
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		code, message string
		want          backup.Code
		hint          string
		passes        bool
	}{
		{"InvalidRequest", "Bucket is missing Object Lock Configuration", backup.ErrUnsupported, "Object Lock", false},
		{"InvalidRequest", "something else", backup.ErrInvalid, "message", false},
		{"AccessDenied", "Access Denied", backup.ErrDenied, "s3:PutObjectRetention", false},
		{"Forbidden", "", backup.ErrDenied, "s3:PutObjectRetention", false},
		{"AccessDenied", "x is not authorized to perform: s3:A on resource: y", backup.ErrDenied, "the missing right is s3:A;", false},
		{"SlowDown", "", backup.ErrThrottled, "later", true},
		{"OperationAborted", "", backup.ErrUnavailable, "again", true},
		{"ExpiredToken", "", backup.ErrUnavailable, "renewed", true},
		{"NobodyKnowsThis", "", backup.ErrUnavailable, "", true}, // without a status it is not known whether it was refused
	} {
		cause := &smithy.GenericAPIError{Code: c.code, Message: c.message}
		err := wrap("PutObjectRetention", backup.Ref{}, cause)
		if !errors.Is(err, c.want) || !errors.Is(err, cause) || !strings.Contains(backup.HintOf(err), c.hint) || passing(err) != c.passes {
			t.Errorf("%s: %v", c.code, err)
		}
	}
	if wrap("x", backup.Ref{}, nil) != nil {
		t.Error("an error of none")
	}
}

package policy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

// source is what the functions of a package call: by the name of a function, or of a method with a dot before it, the names that it mentions, and
// the operations of AWS whose inputs or paginators it makes, as service:Operation.
type source map[string]*function

type function struct {
	mentions   map[string]bool
	operations map[string]bool
}

const sdk = "github.com/aws/aws-sdk-go-v2/service/"

// readSource reads the files of a package that are not tests.
func readSource(t *testing.T, dir string) source {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := source{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		services, imports := map[string]string{}, map[string]bool{}
		for _, i := range file.Imports {
			p := strings.Trim(i.Path.Value, `"`)
			imports[path.Base(p)] = true
			if s, ok := strings.CutPrefix(p, sdk); ok && !strings.Contains(s, "/") {
				alias := s
				if i.Name != nil {
					alias = i.Name.Name
				}
				services[alias] = s
			}
		}
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			// Methods of one name count as one: a name too many is only a right more to look at.
			name := f.Name.Name
			if f.Recv != nil {
				name = "." + name
			}
			to := all[name]
			if to == nil {
				to = &function{map[string]bool{}, map[string]bool{}}
				all[name] = to
			}
			ast.Inspect(f.Body, func(n ast.Node) bool { return to.note(n, services, imports) })
		}
	}
	return all
}

func (f *function) note(n ast.Node, services map[string]string, imports map[string]bool) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if called, ok := n.Fun.(*ast.Ident); ok {
			f.mentions[called.Name] = true
		}
	case *ast.SelectorExpr:
		x, ok := n.X.(*ast.Ident)
		if !ok || !imports[x.Name] {
			f.mentions["."+n.Sel.Name] = true // not a function of another package
		}
		if !ok || services[x.Name] == "" {
			return true
		}
		if op, ok := strings.CutSuffix(n.Sel.Name, "Input"); ok {
			f.operations[services[x.Name]+":"+op] = true
		}
		if op, ok := strings.CutPrefix(n.Sel.Name, "New"); ok {
			if op, ok := strings.CutSuffix(op, "Paginator"); ok {
				f.operations[services[x.Name]+":"+op] = true
			}
		}
	}
	return true
}

// operations are those that the methods, and what they mention, call; of all functions where none is named.
func (s source) operations(t *testing.T, from ...string) []string {
	t.Helper()
	from = slices.Clone(from)
	for i, f := range from {
		if from[i] = "." + f; s[from[i]] == nil {
			t.Errorf("there is no method %s any more", f)
		}
	}
	if len(from) == 0 {
		from = slices.Collect(maps.Keys(s))
	}
	seen, found := map[string]bool{}, map[string]bool{}
	for len(from) > 0 {
		name := from[0]
		from = from[1:]
		if seen[name] || s[name] == nil {
			continue
		}
		seen[name] = true
		maps.Copy(found, s[name].operations)
		from = slices.AppendSeq(from, maps.Keys(s[name].mentions))
	}
	return slices.Sorted(maps.Keys(found))
}

// s3Actions are the actions of S3 that operations need, where they are not called like them. Source: Service authorization reference, "Amazon S3".
var s3Actions = map[string][]string{
	"s3:HeadBucket": {"s3:ListBucket"}, "s3:ListObjectsV2": {"s3:ListBucket"}, "s3:HeadObject": {"s3:GetObject", "s3:ListBucket"}, // 403 for what is missing, without ListBucket

	"s3:CopyObject": {"s3:GetObject", "s3:PutObject"}, "s3:UploadPart": {"s3:PutObject"}, "s3:UploadPartCopy": {"s3:GetObject", "s3:PutObject"},
	"s3:CreateMultipartUpload": {"s3:PutObject"}, "s3:CompleteMultipartUpload": {"s3:PutObject"}, "s3:ListParts": {"s3:ListMultipartUploadParts"},
	"s3:ListMultipartUploads": {"s3:ListBucketMultipartUploads"}, "s3:GetObjectAttributes": {"s3:GetObject", "s3:GetObjectAttributes"},
	"s3:ListBuckets": {"s3:ListAllMyBuckets"}, "s3:ListObjectVersions": {"s3:ListBucketVersions"}, "s3:DeleteObjects": {"s3:DeleteObject"},
	"s3:GetPublicAccessBlock": {"s3:GetBucketPublicAccessBlock"}, "s3:PutPublicAccessBlock": {"s3:PutBucketPublicAccessBlock"},
	"s3:GetBucketEncryption": {"s3:GetEncryptionConfiguration"}, "s3:PutBucketEncryption": {"s3:PutEncryptionConfiguration"},
	"s3:GetBucketLifecycleConfiguration": {"s3:GetLifecycleConfiguration"}, "s3:PutBucketLifecycleConfiguration": {"s3:PutLifecycleConfiguration"},
	"s3:GetObjectLockConfiguration": {"s3:GetBucketObjectLockConfiguration"}, "s3:PutObjectLockConfiguration": {"s3:PutBucketObjectLockConfiguration"},
}

// actionsOf are the actions that operations need.
func actionsOf(operations []string) []string {
	var all []string
	for _, op := range operations {
		switch a, ok := s3Actions[op]; {
		case strings.HasPrefix(op, "sts:"):
			// GetCallerIdentity needs no permission.
		case ok:
			all = append(all, a...)
		default:
			all = append(all, op)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// asked are rights that no operation is called like: AWS asks for them beside an operation, or the strategy does not use them yet.
var asked = []string{
	"ec2:CreateTags", "rds:AddTagsToResource", "elasticache:AddTagsToResource", // tags in a create call
	"s3:ListAllMyBuckets", "s3:GetBucketLocation", // what ElastiCache and RDS ask of whoever exports
	"iam:PassRole", "kms:CreateGrant", "kms:DescribeKey", // what RDS asks of whoever exports
	"s3:GetObjectVersion", // an operation with a version
}

// A strategy calls nothing that its policies do not allow, and its policies allow nothing that it does not call.
func TestCallerPoliciesAreExact(t *testing.T) {
	scope := policy.Scope{Account: "111122223333", Region: "eu-west-1"}
	key := "arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
	type doc = func() (policy.Document, error)
	backup := []string{"Start", "stepBackup", "preflightBackup", "Discover", "List"}
	restore := []string{"StartRestore", "stepRestore", "preflightRestore", "List"}
	deletion := []string{"StartDelete", "stepDelete", "List"}
	for _, c := range []struct {
		dir  string
		from []string
		doc  doc
		// elsewhere are actions that another policy has, and unused such as the policy has for its own reasons.
		elsewhere, unused []string
	}{
		{dir: "../ebs", from: []string{"Start", "stepBackup", "Discover", "List"}, doc: func() (policy.Document, error) { return policy.EBSBackupPolicy(scope) },
			elsewhere: []string{"ec2:DeleteSnapshot", "ec2:CreateTags"}}, // a canceled backup, and the label of one with a freeze
		{dir: "../ebs", from: []string{"StartRestore", "stepRestore", "List"}, doc: func() (policy.Document, error) { return policy.EBSRestorePolicy(scope) }},
		{dir: "../ebs", from: deletion, doc: func() (policy.Document, error) { return policy.EBSDeletePolicy(scope) }},
		{dir: "../ebs", from: []string{"StartCopy", "stepCopy", "preflightCopy", "cancelCopy"}, doc: func() (policy.Document, error) { return policy.EBSCopyPolicy(scope, scope) },
			elsewhere: []string{"ec2:DeleteSnapshot"}}, // a canceled copy
		{dir: "../ebs", from: []string{"StartArchive", "StartUnarchive", "stepTier", "preflightTier"}, doc: func() (policy.Document, error) { return policy.EBSArchivePolicy(scope) }},
		{dir: "../ebs", from: []string{"StartLock", "stepLock", "preflightLock"}, doc: func() (policy.Document, error) { return policy.EBSLockPolicy(scope) }},
		{dir: "../ebs/ami", from: []string{"Start", "stepMake", "preflightBackup", "LaunchReady", "Discover", "List"}, doc: func() (policy.Document, error) { return policy.AMIBackupPolicy(scope) },
			elsewhere: []string{"ec2:CopyImage"}},
		{dir: "../ebs/ami", from: []string{"StartCopy", "stepMake"}, doc: func() (policy.Document, error) { return policy.AMICopyPolicy(scope) },
			elsewhere: []string{"ec2:CreateImage", "ec2:DescribeInstances"}},
		{dir: "../ebs/swap", doc: func() (policy.Document, error) { return policy.EBSSwapPolicy(scope) }},
		{dir: "../ebs/ami", from: deletion, doc: func() (policy.Document, error) { return policy.AMIDeletePolicy(scope) }},
		{dir: "../rds", from: backup, doc: func() (policy.Document, error) { return policy.RDSBackupPolicy(scope) }, elsewhere: rdsFind},
		{dir: "../rds", from: restore, doc: func() (policy.Document, error) { return policy.RDSRestorePolicy(scope) }, elsewhere: rdsFind},
		{dir: "../rds", from: deletion, doc: func() (policy.Document, error) { return policy.RDSDeletePolicy(scope) }, elsewhere: rdsFind},
		{dir: "../elasticache", from: backup, doc: func() (policy.Document, error) { return policy.ElastiCacheBackupPolicy(scope) }},
		{dir: "../elasticache", from: restore, doc: func() (policy.Document, error) { return policy.ElastiCacheRestorePolicy(scope) }},
		{dir: "../elasticache", from: deletion, doc: func() (policy.Document, error) { return policy.ElastiCacheDeletePolicy(scope) }},
		{dir: "../elasticache", from: []string{"StartCopy", "stepCopy", "preflightCopy", "List"}, doc: func() (policy.Document, error) { return policy.ElastiCacheCopyPolicy(scope) }},
		{dir: "../elasticache", from: []string{"AutomaticBackups", "StartAutomaticBackups", "stepAutomatic", "preflightAutomatic"},
			doc: func() (policy.Document, error) { return policy.ElastiCacheDailyPolicy(scope) }},
		{dir: "../elasticache", from: []string{"StartRebuild", "stepRebuild", "preflightRebuild", "Settings"}, doc: func() (policy.Document, error) { return policy.ElastiCacheRebuildPolicy(scope, "orders") },
			elsewhere: beside(policy.ElastiCacheBackupPolicy(scope))(policy.ElastiCacheRestorePolicy(scope))},
		{dir: "../s3export/elasticacheexport", from: []string{"Start", "Preflight", "backUp", "look", "send", "settle", "wait", "verify", "conclude", "Open", "Manifest", "Cancel"},
			doc:       func() (policy.Document, error) { return policy.ElastiCacheExportPolicy(scope, "exports") },
			elsewhere: []string{"elasticache:DescribeServerlessCaches"}}, // of an export that begins with a backup
		{dir: "../s3export/elasticacheexport", from: []string{"StartPrepare", "stepPrepare"}, doc: func() (policy.Document, error) { return policy.ElastiCachePreparePolicy(scope, "exports") },
			unused: []string{"s3:PutBucketOwnershipControls"}}, // an owner's setting in CreateBucket
		{dir: "../s3export/rdsexport", doc: func() (policy.Document, error) {
			return policy.RDSExportPolicy(scope, policy.RDSExport{Bucket: "exports", Role: "arn:aws:iam::111122223333:role/export", Key: key})
		}},
		{dir: "../s3export/objectcopy", doc: func() (policy.Document, error) {
			return policy.ObjectCopyPolicy(policy.ObjectCopy{From: policy.ObjectPlace{Bucket: "exports", Region: "eu-west-1"},
				To: policy.ObjectPlace{Bucket: "copies", Region: "us-east-1"}, Archived: true})
		}},
		{dir: "../s3export/protect", from: []string{"StartProtect", "stepLock", "preflightLock", "Files"}, doc: func() (policy.Document, error) {
			return policy.ProtectLockPolicy(policy.Protect{Bucket: "exports", Region: "eu-west-1", Retention: true, LegalHold: true})
		}},
		{dir: "../s3export/protect", from: []string{"StartLifecycle", "stepLifecycle", "preflightLifecycle"}, doc: func() (policy.Document, error) { return policy.ProtectLifecyclePolicy("exports", "eu-west-1") }},
		{dir: "../backup/s3store", doc: func() (policy.Document, error) { return policy.StorePolicy("operations", "eu-west-1", "snapwarden") }},
	} {
		s := readSource(t, c.dir)
		d, err := c.doc()
		if err != nil {
			t.Fatal(err)
		}
		var allowed []string
		for _, st := range d.Statements {
			allowed = append(allowed, st.Action...)
		}
		allowed = slices.DeleteFunc(allowed, func(a string) bool { return slices.Contains(asked, a) || slices.Contains(c.unused, a) })
		slices.Sort(allowed)
		called := slices.DeleteFunc(actionsOf(s.operations(t, c.from...)), func(a string) bool { return slices.Contains(c.elsewhere, a) })
		if diff := cmp.Diff(called, slices.Compact(allowed)); diff != "" {
			t.Errorf("%s %v: what is called (-) and what the policy allows (+):\n%s", path.Base(c.dir), c.from, diff)
		}
	}
}

// beside are the actions of two policies that a workflow needs beside its own.
func beside(a policy.Document, err error) func(policy.Document, error) []string {
	return func(b policy.Document, err2 error) (all []string) {
		if err != nil || err2 != nil {
			return nil
		}
		for _, s := range append(a.Statements, b.Statements...) {
			all = append(all, s.Action...)
		}
		return all
	}
}

// The scan is not blind: in sources that exist it finds what is known to be there.
func TestCallsAreFound(t *testing.T) {
	s := readSource(t, "../ebs")
	all := s.operations(t)
	for _, op := range []string{"ec2:CreateSnapshot", "ec2:CreateSnapshots", "ec2:CreateVolume", "ec2:DeleteSnapshot", "ec2:DescribeVolumes"} {
		if !slices.Contains(all, op) {
			t.Errorf("%s was not found in %v", op, all)
		}
	}
	if some := s.operations(t, "stepDelete"); slices.Contains(some, "ec2:CreateSnapshot") || !slices.Contains(some, "ec2:DeleteSnapshot") {
		t.Errorf("a deletion calls %v", some)
	}
	var dirs []string
	err := filepath.WalkDir("..", func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		switch {
		case strings.HasPrefix(d.Name(), ".") && p != "..", d.Name() == "testdata", d.Name() == "awssim", d.Name() == "internal", d.Name() == "examples":
			return filepath.SkipDir
		}
		if len(actionsOf(readSource(t, p).operations(t))) > 0 {
			dirs = append(dirs, filepath.ToSlash(p))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"../backup/s3store", "../ebs", "../ebs/ami", "../ebs/swap", "../elasticache", "../rds", "../s3export/elasticacheexport", "../s3export/objectcopy", "../s3export/protect", "../s3export/rdsexport"}
	if d := cmp.Diff(want, dirs); d != "" {
		t.Errorf("packages that call AWS, each of which TestCallerPoliciesAreExact must hold against a policy:\n%s", d)
	}
}

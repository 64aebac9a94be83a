package rdsexport

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

// inUse are the operations that the package calls, by service. A test holds the list against the package's sources.
var inUse = map[string][]string{
	"rds": {"CancelExportTask", "DescribeDBClusterSnapshots", "DescribeDBSnapshots", "DescribeExportTasks", "StartExportTask"},
	"s3":  {"ListObjectsV2"},
}

func TestOperationsInUse(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var used []string
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bc\.(?:RDS|S3)\.(\w+)\(|&aws(?:rds|s3)\.(\w+)Input\{`).FindAllStringSubmatch(string(b), -1) {
			used = append(used, m[1]+m[2])
		}
	}
	slices.Sort(used)
	want := slices.Sorted(slices.Values(slices.Concat(inUse["rds"], inUse["s3"])))
	if used = slices.Compact(used); !slices.Equal(used, want) {
		t.Errorf("called are %v, and the list has %v: are their errors in the tables?", used, want)
	}
}

// The tables know every error that the SDK models for the calls in use: one that an update of the SDK adds must be classified before it is used.
func TestTablesAreComplete(t *testing.T) {
	for service, c := range map[string]struct {
		prefix string
		table  awscall.Table
		least  int
	}{"rds": {"awsAwsquery", rdsTable, 12}, "s3": {"awsRestxml", s3Table, 1}} {
		out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/"+service).Output()
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "deserializers.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, f := range strings.Split(string(b), "\nfunc ") {
			m := regexp.MustCompile(`^` + c.prefix + `_deserializeOpError(\w+)\(`).FindStringSubmatch(f)
			if m == nil || !slices.Contains(inUse[service], m[1]) {
				continue
			}
			for _, code := range regexp.MustCompile(`strings.EqualFold\("(\w+)", errorCode\)`).FindAllStringSubmatch(f, -1) {
				found[code[1]] = true
				if len(c.table[code[1]]) == 0 {
					t.Errorf("%s of %s is not in the table", code[1], m[1])
				}
			}
		}
		if len(found) < c.least {
			t.Errorf("only %d errors of %s were found in the SDK", len(found), service)
		}
		for code, rows := range c.table {
			for _, r := range rows {
				if r.Code == "" || r.Hint == "" || r.Message != "" || r.Class == awscall.Ambiguous && r.Code != backup.ErrUnavailable {
					t.Errorf("%s: %+v", code, r)
				}
			}
		}
	}
	for _, m := range causes {
		if m.part != strings.ToLower(m.part) || m.part == "" || m.id == "" || m.code == "" || m.hint == "" {
			t.Errorf("%+v", m)
		}
	}
}

func TestClassify(t *testing.T) {
	for code, want := range map[string]struct {
		code  backup.Code
		class awscall.Class
	}{
		"DBSnapshotNotFound":          {backup.ErrNotFound, awscall.Permanent},
		"ExportTaskAlreadyExists":     {backup.ErrConflict, awscall.Permanent},
		"ExportTaskLimitReachedFault": {backup.ErrQuota, awscall.NotYet},
		"InvalidExportSourceState":    {backup.ErrUnavailable, awscall.NotYet},
		"InvalidExportOnly":           {backup.ErrInvalid, awscall.Permanent},
		"InvalidS3BucketFault":        {backup.ErrDenied, awscall.Permanent},
		"KMSKeyNotAccessibleFault":    {backup.ErrDenied, awscall.Permanent},
		"AccessDenied":                {backup.ErrDenied, awscall.Permanent},
		"ThrottlingException":         {backup.ErrThrottled, awscall.NotApplied},
		"InternalFailure":             {backup.ErrUnavailable, awscall.Ambiguous},
		"SomethingNew":                {backup.ErrUnavailable, awscall.Ambiguous}, // without the status of an answer it may be anything
	} {
		v := rdsTable.Classify(&smithy.GenericAPIError{Code: code})
		if v.Code != want.code || v.Class != want.class || v.Hint == "" {
			t.Errorf("%s: %s, class %d, %q", code, v.Code, v.Class, v.Hint)
		}
	}
	err := rdsTable.Wrap(Kind, "StartExportTask", backup.Ref{}, &smithy.GenericAPIError{Code: "InvalidExportOnly"})
	var api smithy.APIError
	if !errors.Is(err, backup.ErrInvalid) || !errors.As(err, &api) {
		t.Errorf("%v has lost its code or its cause", err)
	}
}

// Each failure message that AWS documents has a code, a finding of a stable ID, and words that name what is to be mended.
func TestCauses(t *testing.T) {
	const role, key = "arn:aws:iam::111122223333:role/x", "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	st := state{Bucket: "my-exports", Role: role, Key: key}
	r := rds.Snapshot("111122223333", "eu-west-1", "nightly")
	metadata := "The RDS export failed to write the export task's metadata to the S3 bucket [my-exports] using the IAM role [" + role + "] with the KMS key [" + key + "]. Error code: "
	for text, want := range map[string]struct {
		id   string
		code backup.Code
		say  []string
	}{
		"An unknown internal error occurred.": {"task-failed", backup.ErrFailed, []string{"another token"}},
		"An unknown internal error occurred writing the export task's metadata to the S3 bucket [my-exports].": {"task-failed", backup.ErrFailed, []string{"another token"}},
		"The RDS export failed to write the export task's metadata because it can't assume the IAM role [" + role + "].": {"role-trust", backup.ErrDenied,
			[]string{role, "export.rds.amazonaws.com", "sts:AssumeRole"}},
		metadata + "AccessDenied":                 {"access", backup.ErrDenied, []string{role, "arn:aws:s3:::my-exports/*", key}},
		metadata + "403 Forbidden":                {"access", backup.ErrDenied, []string{role, key}},
		metadata + "NoSuchBucket":                 {"bucket", backup.ErrNotFound, []string{"my-exports"}},
		metadata + "KMS.DisabledException":        {"key", backup.ErrDenied, []string{key, "kms:CreateGrant"}},
		metadata + "KMS.KMSInvalidStateException": {"key", backup.ErrDenied, []string{key}},
		"The IAM role [" + role + "] isn’t authorized to call [s3:PutObject] on the S3 bucket [my-exports]. Review your permissions and retry the export.": {"role-rights",
			backup.ErrDenied, []string{role, "s3:PutObject*", "arn:aws:s3:::my-exports"}},
		"KMS key check failed. Check the credentials on your KMS key and try again.":          {"key", backup.ErrDenied, []string{key, "export.rds.amazonaws.com"}},
		"S3 credential check failed. Check the permissions on your S3 bucket and IAM policy.": {"role-rights", backup.ErrDenied, []string{role}},
		"The S3 bucket [my-exports] isn't valid. Either it isn't located in the current AWS Region or it doesn't exist. Review your S3 bucket name and retry the export.": {"bucket",
			backup.ErrNotFound, []string{"my-exports"}},
		"The S3 bucket [my-exports] isn't located in the current AWS Region. Review your S3 bucket name and retry the export.": {"bucket-region", backup.ErrInvalid,
			[]string{"own Region"}},
		"": {"task-failed", backup.ErrFailed, nil},
	} {
		m := explain(text)
		hint := st.fill(r, m.hint)
		if m.id != "rdsexport."+want.id || m.code != want.code || strings.Contains(hint, "{") {
			t.Errorf("%q is %s, %s: %s", text, m.id, m.code, hint)
		}
		for _, w := range want.say {
			if !strings.Contains(hint, w) {
				t.Errorf("%q: the hint does not name %s: %s", text, w, hint)
			}
		}
	}
}

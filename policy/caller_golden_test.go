package policy_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

const (
	keyARN   = "arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"
	farKey   = "arn:aws:kms:us-east-1:444455556666:key/mrk-0123456789abcdef0123456789abcdef"
	roleARN  = "arn:aws:iam::111122223333:role/backup/export"
	otherARN = "arn:aws:iam::444455556666:role/backup/copier"
)

// built is a document that a builder made, as it is to be attached.
type built struct {
	name    string
	doc     policy.Document
	context policy.LintContext
	most    int
}

// builtDocuments are what the builders make of plain and of full arguments, each with its golden file.
func builtDocuments(t testing.TB) []built {
	t.Helper()
	plain := policy.Scope{Account: "111122223333", Region: "eu-west-1"}
	keyed := policy.Scope{Account: "111122223333", Region: "eu-west-1", Owner: "team-a", SnapshotPrefix: "nightly-", Keys: []string{keyARN}}
	gov := policy.Scope{Account: "111122223333", Region: "us-gov-west-1"}
	identity := policy.LintContext{Kind: policy.KindIdentity, Owner: "111122223333", Partition: "aws"}
	janitor := identity
	janitor.MayDelete = true
	govIdentity := identity
	govIdentity.Partition = "aws-us-gov"
	key := policy.LintContext{Kind: policy.KindKey, Owner: "111122223333", Trusted: []string{"444455556666"}, Partition: "aws"}
	trust := policy.LintContext{Kind: policy.KindTrust, Owner: "111122223333", Partition: "aws"}
	var all []built
	add := func(name string, c policy.LintContext, most int) func(policy.Document, error) {
		return func(d policy.Document, err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			all = append(all, built{name, d, c, most})
		}
	}
	managed := func(name string, c policy.LintContext) func(policy.Document, error) {
		return add(name, c, policy.MaxManagedPolicy)
	}
	managed("ebs-backup", identity)(policy.EBSBackupPolicy(plain))
	managed("ebs-backup-named", identity)(policy.EBSBackupPolicy(keyed, "vol-0123456789abcdef0", "i-0123456789abcdef0"))
	managed("ebs-backup-volumes", identity)(policy.EBSBackupPolicy(plain, "vol-0123456789abcdef0", "vol-0123456789abcdef1"))
	managed("ebs-backup-instances", govIdentity)(policy.EBSBackupPolicy(gov, "i-0123456789abcdef0"))
	managed("ebs-delete", janitor)(policy.EBSDeletePolicy(keyed))
	managed("ebs-restore", identity)(policy.EBSRestorePolicy(plain))
	managed("ebs-restore-named", identity)(policy.EBSRestorePolicy(keyed, "snap-0123456789abcdef0"))
	managed("ebs-copy", identity)(policy.EBSCopyPolicy(plain, policy.Scope{Account: "111122223333", Region: "us-east-1"}))
	managed("ebs-copy-named", identity)(policy.EBSCopyPolicy(keyed, policy.Scope{Account: "111122223333", Region: "us-east-1", Owner: "team-a", Keys: []string{farKey}}, "snap-0123456789abcdef0"))
	managed("ebs-archive", identity)(policy.EBSArchivePolicy(keyed))
	managed("ebs-lock", identity)(policy.EBSLockPolicy(plain))
	managed("ebs-quiesce", identity)(policy.EBSQuiescePolicy(plain))
	managed("ebs-swap", identity)(policy.EBSSwapPolicy(plain))
	managed("ebs-swap-named", identity)(policy.EBSSwapPolicy(keyed, "i-0123456789abcdef0"))
	managed("ami-backup", identity)(policy.AMIBackupPolicy(plain))
	managed("ami-backup-named", identity)(policy.AMIBackupPolicy(keyed, "i-0123456789abcdef0"))
	managed("ami-copy", govIdentity)(policy.AMICopyPolicy(gov))
	managed("ami-delete", janitor)(policy.AMIDeletePolicy(keyed))
	managed("rds-backup", identity)(policy.RDSBackupPolicy(plain))
	managed("rds-backup-named", identity)(policy.RDSBackupPolicy(keyed, "Orders", "invoices"))
	managed("rds-delete", janitor)(policy.RDSDeletePolicy(plain))
	managed("rds-restore", govIdentity)(policy.RDSRestorePolicy(gov))
	managed("rds-restore-named", identity)(policy.RDSRestorePolicy(keyed, "orders-restored"))
	managed("rds-export", identity)(policy.RDSExportPolicy(plain, policy.RDSExport{Bucket: "exports", Role: roleARN, Key: keyARN}))
	managed("rds-export-named", identity)(policy.RDSExportPolicy(plain, policy.RDSExport{Bucket: "exports", Prefix: "rds/nightly", Role: roleARN, Key: keyARN,
		Snapshots: []string{"orders-1", "rds:orders-2026-01-31-03-15"}}))
	for _, d := range rdsDocuments(t) {
		c := identity
		c.MayDelete = strings.Contains(d.name, "delete")
		managed(d.name, c)(d.doc, nil)
	}
	managed("elasticache-backup", identity)(policy.ElastiCacheBackupPolicy(plain))
	managed("elasticache-backup-named", identity)(policy.ElastiCacheBackupPolicy(keyed, "Sessions"))
	managed("elasticache-copy", identity)(policy.ElastiCacheCopyPolicy(plain))
	managed("elasticache-copy-named", identity)(policy.ElastiCacheCopyPolicy(keyed, "nightly-1", "automatic.sessions-2026-01-31-03-15"))
	managed("elasticache-daily", identity)(policy.ElastiCacheDailyPolicy(plain))
	managed("elasticache-daily-named", govIdentity)(policy.ElastiCacheDailyPolicy(gov, "Sessions"))
	managed("elasticache-rebuild", janitor)(policy.ElastiCacheRebuildPolicy(plain, "Sessions", "orders"))
	managed("elasticache-delete", janitor)(policy.ElastiCacheDeletePolicy(plain))
	managed("elasticache-restore", identity)(policy.ElastiCacheRestorePolicy(plain))
	managed("elasticache-restore-named", identity)(policy.ElastiCacheRestorePolicy(keyed, "sessions-2"))
	managed("elasticache-export", identity)(policy.ElastiCacheExportPolicy(plain, "exports"))
	managed("elasticache-export-named", identity)(policy.ElastiCacheExportPolicy(keyed, "exports", "nightly-1", "automatic.sessions-2026-01-31-03-15"))
	managed("elasticache-prepare", identity)(policy.ElastiCachePreparePolicy(plain, "exports"))
	managed("elasticache-export-delete", janitor)(policy.ElastiCacheExportDeletePolicy(plain, "exports"))
	managed("elasticache-seed", identity)(policy.ElastiCacheSeedPolicy(plain, "exports", "", "sessions-2"))
	managed("elasticache-seed-prefix", govIdentity)(policy.ElastiCacheSeedPolicy(gov, "exports", "2026/01"))
	managed("object-copy", identity)(policy.ObjectCopyPolicy(policy.ObjectCopy{From: policy.ObjectPlace{Bucket: "exports", Region: "eu-west-1"}, To: policy.ObjectPlace{Bucket: "copies", Region: "us-east-1"}}))
	managed("object-copy-full", identity)(policy.ObjectCopyPolicy(policy.ObjectCopy{From: policy.ObjectPlace{Bucket: "exports", Region: "eu-west-1", Prefix: "a/b", Keys: []string{keyARN}},
		To: policy.ObjectPlace{Bucket: "copies", Region: "us-east-1", Prefix: "c", Keys: []string{farKey}}, Archived: true, Tags: true}))
	managed("protect-lock", identity)(policy.ProtectLockPolicy(policy.Protect{Bucket: "exports", Region: "eu-west-1", Retention: true}))
	managed("protect-lock-full", govIdentity)(policy.ProtectLockPolicy(policy.Protect{Bucket: "exports", Region: "us-gov-west-1", Prefix: "a/b", Retention: true, LegalHold: true, Compliance: true,
		Keys: []string{strings.NewReplacer("arn:aws:", "arn:aws-us-gov:", "eu-west-1", "us-gov-west-1").Replace(keyARN)}}))
	managed("protect-lifecycle", janitor)(policy.ProtectLifecyclePolicy("exports", "eu-west-1"))
	managed("store", janitor)(policy.StorePolicy("operations", "eu-west-1", "snapwarden", keyARN))
	role := policy.ExportRole{Account: "111122223333", Region: "eu-west-1", Bucket: "exports", Prefix: "rds/nightly",
		Sources: []string{"arn:aws:rds:eu-west-1:111122223333:snapshot:orders-1", "arn:aws:rds:eu-west-1:111122223333:cluster:main"}}
	add("rds-export-role", janitor, policy.MaxRolePolicy)(role.Policy())
	add("rds-export-role-trust", trust, policy.MaxTrustPolicy)(role.Trust())
	role.Prefix, role.Sources = "", nil
	add("rds-export-role-bucket", janitor, policy.MaxRolePolicy)(role.Policy())
	add("rds-export-role-trust-account", trust, policy.MaxTrustPolicy)(role.Trust())
	add("key-rds", key, policy.MaxKeyPolicy)(policy.KeyPolicy("aws", "111122223333",
		policy.KeyShare{Service: policy.KeyRDS, Account: "444455556666", Roles: []string{otherARN}, Regions: []string{"eu-west-1"}}))
	add("key-all", key, policy.MaxKeyPolicy)(policy.KeyPolicy("aws", "111122223333",
		policy.KeyShare{Service: policy.KeyRDS, Account: "444455556666", Roles: []string{otherARN, "arn:aws:iam::444455556666:role/second"}, Regions: []string{"eu-west-1", "us-east-1"}, Write: true},
		policy.KeyShare{Service: policy.KeyEBS, Account: "444455556666", Roles: []string{otherARN}, Regions: []string{"eu-west-1"}},
		policy.KeyShare{Service: policy.KeyS3, Account: "444455556666", Roles: []string{otherARN}, Regions: []string{"eu-west-1"}, Write: true}))
	add("key-owner", key, policy.MaxKeyPolicy)(policy.KeyPolicy("aws", "111122223333"))
	return all
}

// Golden files are made anew with SNAPWARDEN_UPDATE=1, and then read by a person.
func TestBuildersGolden(t *testing.T) {
	names := map[string]bool{}
	for _, b := range builtDocuments(t) {
		name := filepath.Join("testdata", "build", b.name+".json")
		names[name] = true
		if os.Getenv("SNAPWARDEN_UPDATE") != "" {
			if err := os.WriteFile(name, []byte(b.doc.Text()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(string(want), b.doc.Text()); d != "" {
			t.Errorf("%s:\n%s", b.name, d)
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "build", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !names[f] && !strings.HasPrefix(filepath.Base(f), "published-") {
			t.Errorf("%s is of no builder", f)
		}
	}
}

// describing are actions that only look, and know no resources or are about more than one.
var describing = []string{
	"ec2:DescribeFastSnapshotRestores", "ec2:DescribeImages", "ec2:DescribeInstanceTypes", "ec2:DescribeInstances", "ec2:DescribeLockedSnapshots", "ec2:DescribeSnapshotTierStatus",
	"ec2:DescribeSnapshots", "ec2:ListSnapshotsInRecycleBin", "ec2:DescribeVolumes", "rds:DescribeExportTasks", "rds:CancelExportTask", "s3:ListAllMyBuckets",
}

// never are rights that nothing here gives, whatever the arguments.
var never = []string{
	"kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:RevokeGrant", "s3:BypassGovernanceRetention", "s3:PutBucketPolicy", "s3:PutBucketAcl",
	"s3:PutObjectAcl", "s3:PutObjectRetention", "s3:DeleteBucket", "s3:DeleteObjectVersion", "s3:PutLifecycleConfiguration", "ec2:ModifySnapshotAttribute",
	"ec2:UnlockSnapshot", "ec2:DeleteVolume", "rds:ModifyDBSnapshotAttribute", "rds:DeleteDBInstance", "rds:ModifyDBInstance", "elasticache:DeleteReplicationGroup",
	"elasticache:DeleteCacheCluster", "iam:CreateRole", "sts:AssumeRole",
}

// writing are those of them that whoever sets up a bucket has.
var writing = []string{"s3:PutBucketPolicy", "s3:PutBucketAcl"}

// rebuilding are those of them that whoever rebuilds a cache has, for the time of that.
var rebuilding = []string{"elasticache:DeleteReplicationGroup", "elasticache:DeleteCacheCluster"}

// protecting is the one of them that whoever holds exports has. Retentions are bounded to their mode, and without the right to bypass them they only
// become longer.
var protecting = map[string]string{"protect-lock": "s3:PutObjectRetention", "protect-lock-full": "s3:PutObjectRetention", "protect-lifecycle": "s3:PutLifecycleConfiguration"}

// What holds of every document that a builder makes.
func TestBuildersAreNarrow(t *testing.T) {
	sid := regexp.MustCompile(`^Snapwarden[A-Za-z0-9]+$`)
	resource := regexp.MustCompile(`^arn:aws(-us-gov)?:(s3:::[a-z]+(/.*)?|iam::\d{12}:role/[a-z/]+|(kms|rds|elasticache):[a-z0-9-]+:\d{12}:.+|ec2:[a-z0-9-]+:(\d{12})?:.+)$`)
	for _, b := range builtDocuments(t) {
		if _, err := b.doc.Encode(b.most); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		if b.doc.Version != policy.Version {
			t.Errorf("%s: version %q", b.name, b.doc.Version)
		}
		for _, s := range b.doc.Statements {
			if !sid.MatchString(s.Sid) {
				t.Errorf("%s: Sid %q", b.name, s.Sid)
			}
			if s.Effect == policy.Deny || s.Sid == policy.SidKeyOwner {
				continue
			}
			for _, a := range s.Action {
				if strings.ContainsAny(a, "*?") && s.Sid != policy.SidExportRoleObjects {
					t.Errorf("%s: action %s", b.name, a)
				}
				for _, n := range never {
					if b.name == "elasticache-prepare" && slices.Contains(writing, n) || slices.Contains(rdsOwnRights[b.name], n) ||
						b.name == "elasticache-rebuild" && slices.Contains(rebuilding, n) || protecting[b.name] == n {
						continue
					}
					if policy.MatchAction(a, n) && b.context.Kind != policy.KindTrust && s.Sid != policy.SidExportRoleObjects {
						t.Errorf("%s: %s gives %s", b.name, s.Sid, n)
					}
				}
				if strings.Contains(a, ":Delete") && !b.context.MayDelete {
					t.Errorf("%s: %s, which is another policy's", b.name, a)
				}
				if b.context.Kind == policy.KindIdentity && slices.Contains(s.Resource, "*") && !slices.Contains(describing, a) {
					t.Errorf("%s: %s on everything", b.name, a)
				}
			}
			for _, r := range s.Resource {
				if r != "*" && !resource.MatchString(r) {
					t.Errorf("%s: resource %s", b.name, r)
				}
			}
			if s.NotAction != nil || s.NotResource != nil || s.NotPrincipal != nil {
				t.Errorf("%s: %s is by what it leaves out", b.name, s.Sid)
			}
		}
	}
}

// Whoever makes or deletes something is bound to the owner's tag, and to set tags to the call that makes.
func TestBuildersBindByTags(t *testing.T) {
	bound := map[string]string{
		"ec2:DeregisterImage": "aws:ResourceTag/snapwarden:owner",
		"ec2:DeleteSnapshot":  "aws:ResourceTag/snapwarden:owner", "ec2:LockSnapshot": "aws:ResourceTag/snapwarden:owner",
		"ec2:ModifySnapshotTier": "aws:ResourceTag/snapwarden:owner", "ec2:RestoreSnapshotTier": "aws:ResourceTag/snapwarden:owner", "rds:DeleteDBSnapshot": "aws:ResourceTag/snapwarden:owner",
		"elasticache:DeleteSnapshot": "aws:ResourceTag/snapwarden:owner", "elasticache:DeleteServerlessCacheSnapshot": "aws:ResourceTag/snapwarden:owner", "ec2:CreateTags": "aws:RequestTag/snapwarden:owner",
		"rds:AddTagsToResource": "aws:RequestTag/snapwarden:owner", "elasticache:AddTagsToResource": "aws:RequestTag/snapwarden:owner",
	}
	seen := map[string]bool{}
	for _, b := range builtDocuments(t) {
		for _, s := range b.doc.Statements {
			for _, a := range s.Action {
				// One tag may be set later, which decides nothing, and on the owner's own only.
				if b.name == "ebs-quiesce" {
					if a != "ec2:CreateTags" || len(b.doc.Statements) != 1 || !slices.Equal(s.Condition["ForAllValues:StringEquals"]["aws:TagKeys"], []string{"snapwarden:consistency"}) ||
						!slices.Equal(s.Condition["Null"]["aws:TagKeys"], []string{"false"}) || !slices.Equal(s.Condition["StringEquals"]["aws:ResourceTag/snapwarden:owner"], []string{"snapwarden"}) {
						t.Errorf("%s: %v", b.name, s)
					}
					continue
				}
				if key := bound[a]; key != "" {
					seen[a] = true
					if v := s.Condition["StringEquals"][key]; len(v) != 1 || v[0] != "snapwarden" && v[0] != "team-a" {
						t.Errorf("%s: %s is not bound by %s: %v", b.name, a, key, s.Condition)
					}
				}
				if a == "ec2:CreateTags" && len(s.Condition["StringEquals"]["ec2:CreateAction"]) == 0 {
					t.Errorf("%s: tags at any time", b.name)
				}
				if strings.HasPrefix(a, "kms:") && a != "kms:DescribeKey" && a != "kms:*" && s.Effect == policy.Allow && len(s.Condition["StringEquals"]["kms:ViaService"]) == 0 {
					t.Errorf("%s: %s by any way", b.name, a)
				}
				if a == "kms:CreateGrant" && (len(s.Action) != 1 || !slices.Equal(s.Condition["Bool"]["kms:GrantIsForAWSResource"], []string{"true"})) {
					t.Errorf("%s: grants for anybody", b.name)
				}
				if a == "kms:DescribeKey" && s.Condition != nil {
					t.Errorf("%s: the library asks for the key itself", b.name)
				}
				if a == "iam:PassRole" && (!slices.Equal(s.Condition["StringEquals"]["iam:PassedToService"], []string{"export.rds.amazonaws.com"}) || s.Resource[0] == "*") {
					t.Errorf("%s: a role may be passed on anywhere", b.name)
				}
			}
		}
	}
	if len(seen) != len(bound) {
		t.Errorf("only %v was looked at", seen)
	}
}

// No safe builder makes what the linter takes for an error.
func TestBuildersLint(t *testing.T) {
	for _, b := range builtDocuments(t) {
		for _, f := range policy.Lint(b.doc, b.context) {
			if f.Severity == policy.SeverityError {
				t.Errorf("%s: %v", b.name, f)
			} else {
				t.Logf("%s: %v", b.name, f)
			}
		}
	}
}

func TestPublished(t *testing.T) {
	read := func(name string) policy.Document {
		b, err := os.ReadFile(filepath.Join("testdata", "build", "published-"+name+".json"))
		if err != nil {
			t.Fatal(err)
		}
		b = bytes.ReplaceAll(b, []byte("<SourceAccount>"), []byte("111122223333"))
		d, err := policy.ParseDocument(bytes.ReplaceAll(b, []byte("<DestinationAccount>"), []byte("444455556666")))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	bucket, err := policy.PublishedExportBucketPolicy("ap-east-1", "hkg-elasticache-backup")
	if err != nil {
		t.Fatal(err)
	}
	key, err := policy.PublishedReplicationKeyPolicy("111122223333", "444455556666")
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]policy.Document{"elasticache-export-caller": policy.PublishedExportCallerPolicy(), "elasticache-export-opt-in-bucket": bucket, "rds-replication-key": key} {
		if d := cmp.Diff(read(name), got); d != "" {
			t.Errorf("%s:\n%s", name, d)
		}
	}
	for _, bad := range []func() (policy.Document, error){
		func() (policy.Document, error) { return policy.PublishedExportBucketPolicy("ap-east-1", "*") },
		func() (policy.Document, error) { return policy.PublishedExportBucketPolicy("*", "exports") },
		func() (policy.Document, error) { return policy.PublishedReplicationKeyPolicy("*", "444455556666") },
		func() (policy.Document, error) { return policy.PublishedReplicationKeyPolicy("111122223333", "") },
	} {
		if d, err := bad(); err == nil {
			t.Errorf("%s", d.Text())
		}
	}
}

package elasticacheexport_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

func (b *bed) prepare(o elasticacheexport.PrepareOptions) backup.Operation {
	b.Helper()
	op, err := b.s.StartPrepare(b.Context(), elasticacheexport.Bucket(account, region, bucket), backup.Spec{Token: time.Now().String(), Options: o})
	b.ok(err)
	return b.run(op)
}

// found are the ids of what Preflight says of an export, without the package's name.
func (b *bed) found(op backup.Operation) (ids []string) {
	b.Helper()
	found, err := b.s.Preflight(b.Context(), op)
	b.ok(err)
	for _, f := range found {
		if f.Remedy == "" || f.Message == "" || f.Ref.IsZero() {
			b.Errorf("%+v", f)
		}
		ids = append(ids, strings.TrimPrefix(f.ID, "elasticacheexport."))
	}
	return ids
}

func (b *bed) doc() (d policy.Document) {
	b.Helper()
	out, err := b.s3.GetBucketPolicy(b.Context(), &awss3.GetBucketPolicyInput{Bucket: aws.String(bucket)})
	b.ok(err)
	d, err = policy.ParseDocument([]byte(*out.Policy))
	b.ok(err)
	return d
}

// TestPrepareCreates goes from nothing to an export: the bucket is made, closed, and lets ElastiCache in.
func TestPrepareCreates(t *testing.T) {
	bubble(t, func(b *bed) {
		export := b.start("plain", "")
		if d := cmp.Diff([]string{"bucket-missing"}, b.found(export)); d != "" {
			b.Error(d)
		}
		op := b.prepare(elasticacheexport.PrepareOptions{})
		if !errors.Is(op.Err(), backup.ErrNotFound) || !slices.ContainsFunc(op.Findings, func(f backup.Finding) bool { return f.ID == "elasticacheexport.bucket-missing" }) {
			b.Errorf("without Create: %v %v", op.Err(), op.Findings)
		}
		op = b.prepare(elasticacheexport.PrepareOptions{Create: true, Seed: true})
		if op.Phase != backup.PhaseSucceeded || !slices.Equal(op.Made, backup.Refs{op.Ref}) {
			b.Fatalf("%v, made %v", op.Err(), op.Made)
		}
		if found := b.found(export); found != nil {
			b.Errorf("a prepared bucket has the findings %v", found)
		}
		var sids []string
		for _, st := range b.doc().Statements {
			sids = append(sids, st.Sid)
		}
		if d := cmp.Diff([]string{policy.SidExport, policy.SidSeed, policy.SidInsecure}, sids); d != "" {
			b.Error(d)
		}
		if op := b.run(export); op.Phase != backup.PhaseSucceeded {
			b.Error(op.Err())
		}
		writes := len(b.writes())
		again := b.prepare(elasticacheexport.PrepareOptions{Create: true, Seed: true})
		if again.Phase != backup.PhaseSucceeded || len(again.Made) != 0 || len(b.writes()) != writes {
			b.Errorf("what is prepared was written again: %v", b.writes()[writes:])
		}
	})
}

// writes are the calls that changed the bucket's settings.
func (b *bed) writes() (all []string) {
	for _, c := range b.world.Calls() {
		if c.Mutates && strings.Contains(c.Operation, "Bucket") || c.Operation == "PutPublicAccessBlock" {
			all = append(all, c.Operation)
		}
	}
	return all
}

// TestPrepareKeeps merges into what others wrote, by policy and by ACL, and hardens only on request.
func TestPrepareKeeps(t *testing.T) {
	theirs := policy.Statement{Sid: "Theirs", Effect: policy.Allow, Principal: &policy.Principal{AWS: []string{"arn:aws:iam::222222222222:root"}},
		Action: []string{"s3:GetObject"}, Resource: []string{"arn:aws:s3:::" + bucket + "/*"}}
	bubble(t, func(b *bed) {
		b.bucket(bucket)
		b.write(theirs)
		if op := b.prepare(elasticacheexport.PrepareOptions{}); op.Phase != backup.PhaseSucceeded {
			b.Fatal(op.Err())
		}
		got := b.doc().Statements
		if len(got) != 2 || got[0].Sid != "Theirs" || got[1].Sid != policy.SidExport {
			b.Errorf("%+v", got)
		}
		if d := cmp.Diff([]string{"reader"}, b.found(b.start("plain", ""))); d != "" {
			b.Error(d)
		}
		if op := b.prepare(elasticacheexport.PrepareOptions{Harden: true}); op.Phase != backup.PhaseSucceeded || len(b.doc().Statements) != 3 {
			b.Errorf("%v %+v", op.Err(), b.doc().Statements)
		}
	})
	bubble(t, func(b *bed) { // the older way
		b.bucket(bucket)
		if op := b.prepare(elasticacheexport.PrepareOptions{ByGrants: true}); !errors.Is(op.Err(), backup.ErrUnsupported) || op.Failure.Hint == "" {
			b.Errorf("with ACLs disabled: %v", op.Err())
		}
		_, err := b.s3.PutBucketOwnershipControls(b.Context(), &awss3.PutBucketOwnershipControlsInput{Bucket: aws.String(bucket),
			OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: s3types.ObjectOwnershipObjectWriter}}}})
		b.ok(err)
		acl, err := b.s3.GetBucketAcl(b.Context(), &awss3.GetBucketAclInput{Bucket: aws.String(bucket)})
		b.ok(err)
		_, err = b.s3.PutBucketAcl(b.Context(), &awss3.PutBucketAclInput{Bucket: aws.String(bucket), AccessControlPolicy: &s3types.AccessControlPolicy{Owner: acl.Owner,
			Grants: append(acl.Grants, s3types.Grant{Permission: s3types.PermissionRead, Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: aws.String(strings.Repeat("ab", 32))}})}})
		b.ok(err)
		export := b.start("plain", "")
		if d := cmp.Diff([]string{"grant-read-acp", "grant-read", "grant-write", "reader"}, b.found(export)); d != "" {
			b.Error(d)
		}
		if op := b.prepare(elasticacheexport.PrepareOptions{ByGrants: true}); op.Phase != backup.PhaseSucceeded {
			b.Fatal(op.Err())
		}
		acl, err = b.s3.GetBucketAcl(b.Context(), &awss3.GetBucketAclInput{Bucket: aws.String(bucket)})
		b.ok(err)
		if len(acl.Grants) != 5 { // the owner's, the other's, and three
			b.Errorf("%d grants", len(acl.Grants))
		}
		if op := b.run(export); op.Phase != backup.PhaseSucceeded {
			b.Error(op.Err())
		}
	})
}

// write replaces the bucket's policy.
func (b *bed) write(statements ...policy.Statement) {
	b.Helper()
	text, err := policy.Document{Version: policy.Version, Statements: statements}.Encode(policy.MaxBucketPolicy)
	b.ok(err)
	_, err = b.s3.PutBucketPolicy(b.Context(), &awss3.PutBucketPolicyInput{Bucket: aws.String(bucket), Policy: &text})
	b.ok(err)
}

func TestPrepareRefuses(t *testing.T) {
	bubble(t, func(b *bed) {
		good := elasticacheexport.Bucket(account, region, bucket)
		for name, c := range map[string]struct {
			r backup.Ref
			o elasticacheexport.PrepareOptions
		}{
			"a snapshot":     {elasticache.Snapshot(account, region, "x"), elasticacheexport.PrepareOptions{}},
			"a wildcard":     {elasticacheexport.Bucket(account, region, "my-*"), elasticacheexport.PrepareOptions{}},
			"the Region":     {elasticacheexport.Bucket(account, "nowhere", bucket), elasticacheexport.PrepareOptions{}},
			"nothing":        {good, elasticacheexport.PrepareOptions{NoExport: true}},
			"grants to seed": {good, elasticacheexport.PrepareOptions{ByGrants: true, Seed: true}},
			"grants, new":    {good, elasticacheexport.PrepareOptions{ByGrants: true, Create: true}},
			"principal":      {good, elasticacheexport.PrepareOptions{Principal: "*"}},
			"canonical id":   {good, elasticacheexport.PrepareOptions{ByGrants: true, CanonicalID: "*"}},
		} {
			if _, err := b.s.StartPrepare(b.Context(), c.r, backup.Spec{Token: "t", Options: c.o}); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
				b.Errorf("%s: %v", name, err)
			}
		}
		if calls := b.writes(); len(calls) != 0 {
			b.Error(calls)
		}
		// Somebody else's bucket, and one elsewhere.
		_, err := awss3.NewFromConfig(b.world.Config("444455556666", region)).CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket),
			CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: region}})
		b.ok(err)
		if op := b.prepare(elasticacheexport.PrepareOptions{Create: true}); !errors.Is(op.Err(), backup.ErrDenied) {
			b.Error(op.Err())
		}
		if d := cmp.Diff([]string{"bucket-owner"}, b.found(b.start("plain", ""))); d != "" {
			b.Error(d)
		}
	})
	bubble(t, func(b *bed) {
		_, err := awss3.NewFromConfig(b.world.Config(account, "eu-west-2")).CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String(bucket),
			CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: "eu-west-2"}})
		b.ok(err)
		if op := b.prepare(elasticacheexport.PrepareOptions{Create: true}); !errors.Is(op.Err(), backup.ErrInvalid) {
			b.Error(op.Err())
		}
		if d := cmp.Diff([]string{"bucket-region"}, b.found(b.start("plain", ""))); d != "" {
			b.Error(d)
		}
	})
}

// TestPreflightFindings reads buckets and snapshots that are wrong in one way each.
func TestPreflightFindings(t *testing.T) {
	allow := func(edit func(*policy.Statement)) policy.Statement {
		st, err := policy.ExportStatement(bucket, region)
		if err != nil {
			t.Fatal(err)
		}
		edit(&st)
		return st
	}
	deny := policy.Statement{Sid: "No", Effect: policy.Deny, Principal: &policy.Principal{Everyone: true}, Action: []string{"s3:Put*"}, Resource: []string{"arn:aws:s3:::" + bucket + "/*"}}
	for name, c := range map[string]struct {
		setup func(b *bed)
		want  []string
	}{
		"nothing granted": {func(*bed) {}, []string{"grant-read-acp", "grant-read", "grant-write"}},
		"no READ_ACP": {func(b *bed) {
			b.write(allow(func(s *policy.Statement) { s.Action = []string{"s3:Get*t", "s3:List*", "s3:PutObject"} }))
		}, []string{"grant-read-acp"}},
		"objects only": {func(b *bed) { b.write(allow(func(s *policy.Statement) { s.Resource = s.Resource[1:] })) }, []string{"grant-read-acp", "grant-read"}},
		"other Region": {func(b *bed) {
			b.write(allow(func(s *policy.Statement) { s.Principal.Service[0] = "eu-west-2.elasticache-snapshot.amazonaws.com" }))
		}, []string{"grant-read-acp", "grant-read", "grant-write", "reader"}},
		"denied": {func(b *bed) { b.write(allow(func(*policy.Statement) {}), deny) }, []string{"policy-denies"}},
		"denied on HTTP": {func(b *bed) {
			deny := deny
			deny.Condition = policy.Condition{"Bool": {"aws:SecureTransport": {"false"}}}
			b.write(allow(func(*policy.Statement) {}), deny)
		}, nil},
		"condition": {func(b *bed) {
			b.write(allow(func(s *policy.Statement) {
				s.Condition = policy.Condition{"StringEquals": {"aws:SourceAccount": {account}}}
			}))
		}, []string{"policy-condition", "policy-condition", "policy-condition"}},
		"other account": {func(b *bed) {
			b.write(allow(func(s *policy.Statement) {
				s.Condition = policy.Condition{"StringEquals": {"aws:SourceAccount": {"222222222222"}}}
			}))
		}, []string{"grant-read-acp", "grant-read", "grant-write"}},
		"open": {func(b *bed) {
			b.write(allow(func(*policy.Statement) {}))
			_, err := b.s3.DeletePublicAccessBlock(b.Context(), &awss3.DeletePublicAccessBlockInput{Bucket: aws.String(bucket)})
			b.ok(err)
			b.write(allow(func(*policy.Statement) {}), policy.Statement{Sid: "All", Effect: policy.Allow, Principal: &policy.Principal{Everyone: true}, Action: []string{"s3:*"}, Resource: []string{"arn:aws:s3:::" + bucket + "/*"}})
		}, []string{"reader", "public-access"}},
		"taken": {func(b *bed) {
			b.write(allow(func(*policy.Statement) {}))
			_, err := b.s3.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("named-0001.rdb"), Body: strings.NewReader("x")})
			b.ok(err)
		}, []string{"key-taken"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.bucket(bucket)
				c.setup(b)
				if d := cmp.Diff(c.want, b.found(b.start("plain", "named"))); d != "" {
					b.Error(d)
				}
			})
		})
	}
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		if d := cmp.Diff([]string{"snapshot-missing"}, b.found(b.start("nothing", ""))); d != "" {
			b.Error(d)
		}
		if ids := b.found(b.live(elasticache.ReplicationGroup(account, region, "nothing"))); len(ids) != 1 || !strings.HasPrefix(ids[0], "elasticache.") {
			b.Error(ids)
		}
		if ids := b.found(b.live(elasticache.ReplicationGroup(account, region, "three"))); len(ids) != 0 {
			b.Error(ids)
		}
	})
}

// TestPreflightOfSources reads snapshots that can not be exported, or not yet.
func TestPreflightOfSources(t *testing.T) {
	for status, want := range map[string]backup.Severity{"creating": backup.SeverityWarning, "a-new-word": backup.SeverityWarning, "failed": backup.SeverityError, "deleting": backup.SeverityError} {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			b.ok(b.cache.Hold(b.world, account, region, "plain", status, time.Hour))
			found, err := b.s.Preflight(b.Context(), b.start("plain", ""))
			b.ok(err)
			if len(found) != 1 || found[0].ID != "elasticacheexport.snapshot-state" || found[0].Severity != want {
				b.Errorf("%s: %+v", status, found)
			}
		})
	}
	for id, edit := range map[string]func(*ectypes.Snapshot){
		"data-tiering":       func(x *ectypes.Snapshot) { x.DataTiering = ectypes.DataTieringStatusEnabled },
		"engine":             func(x *ectypes.Snapshot) { x.Engine = aws.String("memcached") },
		"under-customer-key": func(x *ectypes.Snapshot) { x.KmsKeyId = aws.String("key") },
	} {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			b.hook(described(edit))
			if d := cmp.Diff([]string{id}, b.found(b.start("plain", ""))); d != "" {
				b.Error(d)
			}
		})
	}
}

// TestPreflightOfOthers reads what preparing a bucket and copying an export would act on.
func TestPreflightOfOthers(t *testing.T) {
	bubble(t, func(b *bed) {
		op, err := b.s.StartPrepare(b.Context(), elasticacheexport.Bucket(account, region, bucket), backup.Spec{Token: "t"})
		b.ok(err)
		if d := cmp.Diff([]string{"bucket-missing"}, b.found(op)); d != "" {
			b.Error(d)
		}
		export := b.far()
		missing := elasticacheexport.Export(account, region, bucket, "nothing")
		for name, c := range map[string]struct {
			point  backup.Ref
			bucket string
			want   []string
		}{
			"all is well": {export, farBucket, nil}, "no export": {missing, farBucket, []string{"no-manifest"}},
			"no bucket": {export, "my-nowhere", []string{"bucket-missing"}}, "neither": {missing, "my-nowhere", []string{"no-manifest", "bucket-missing"}},
		} {
			op, err := b.s.StartCopy(b.Context(), c.point, backup.Destination{Region: farRegion}, backup.Spec{Token: "t", Options: elasticacheexport.CopyOptions{Bucket: c.bucket}})
			b.ok(err)
			if d := cmp.Diff(c.want, b.found(op)); d != "" {
				b.Errorf("%s: %s", name, d)
			}
		}
	})
}

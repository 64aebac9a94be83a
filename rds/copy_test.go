package rds_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

func ids(fs []backup.Finding) (got []string) {
	for _, f := range fs {
		got = append(got, f.ID)
	}
	return got
}

// TestCopy copies to another Region, and the copy on to a third place: its data keeps its time, its database and its tags.
func TestCopy(t *testing.T) {
	for name, kind := range map[string]struct {
		ref  func(a, r, id string) backup.Ref
		of   backup.Ref
		full backup.Severity
	}{
		"instance": {rds.Snapshot, rds.Instance(account, region, "orders"), backup.SeverityWarning},
		"cluster":  {rds.ClusterSnapshot, mainCluster, backup.SeverityInfo},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				b.makeCluster("main", "")
				s := everywhere(b.world.Config(account, region))
				op, err := s.Start(b.ctx, kind.of, backup.Spec{Token: "t", Name: "nightly", Tags: map[string]string{"team": "billing", "for": "all"}})
				point := b.run(s, op, err).Points[0]
				taken := point1(t, b, s, point).CreatedAt
				time.Sleep(100 * time.Hour)
				key := b.keyIn(far)
				op, err = s.StartCopy(b.ctx, point, backup.Destination{Region: far, KMSKeyID: key}, backup.Spec{Token: "t", Name: "Far", Tags: map[string]string{"for": "disaster"}})
				b.must(err)
				found, err := s.Preflight(b.ctx, op)
				if diff := cmp.Diff([]string{"rds.full-copy"}, ids(found)); err != nil || diff != "" || found[0].Severity != kind.full {
					t.Errorf("%v %s", err, diff)
				}
				op = b.run(s, op, nil)
				b.must(op.Err())
				target := kind.ref(account, far, "far")
				if diff := cmp.Diff(backup.Refs{target}, op.Points); diff != "" || !finding(op, "rds.full-copy") {
					t.Error(diff, op.Findings)
				}
				made := b.copies(far, op.ID)
				want := map[string]string{"team": "billing", "for": "disaster", backup.TagOwner: "snapwarden", backup.TagToken: op.ID, backup.TagSource: kind.of.String(),
					backup.TagCreated: taken.UTC().Format(time.RFC3339Nano), rds.TagCopy: target.String(), rds.TagCopyOf: point.String(), rds.TagOrigin: point.String()}
				if diff := cmp.Diff(want, made[0].Tags); diff != "" || len(made) != 1 || made[0].KMSKeyID != key || made[0].Status != "available" {
					t.Errorf("%+v %s", made, diff)
				}
				if p := point1(t, b, s, target); !p.CreatedAt.Equal(taken) || p.Source != kind.of || p.KMSKeyID != key {
					t.Errorf("%+v", p)
				}
				// A copy of the copy.
				op, err = s.StartCopy(b.ctx, target, backup.Destination{}, backup.Spec{Token: "t", Name: "further"})
				op = b.run(s, op, err)
				b.must(op.Err())
				p := point1(t, b, s, op.Points[0])
				if !p.CreatedAt.Equal(taken) || p.Source != kind.of || p.Tags[rds.TagOrigin] != point.String() || p.Tags[rds.TagCopyOf] != target.String() || !finding(op, "rds.full-copy") {
					t.Errorf("%+v", p)
				}
				// Both can be deleted by their owner, and only as what they are.
				for _, r := range []backup.Ref{target, op.Points[0]} {
					del, err := s.StartDelete(b.ctx, r, backup.Spec{Token: "t", Owner: "somebody"})
					ended(t, b.run(s, del, err), backup.ErrConflict)
					del, err = s.StartDelete(b.ctx, r, backup.Spec{Token: "u"})
					ended(t, b.run(s, del, err), "")
				}
			})
		})
	}
}

// point1 gives the recovery point of a Ref, which must be the only one.
func point1(t *testing.T, b *bench, s *rds.Strategy, r backup.Ref) backup.RecoveryPoint {
	t.Helper()
	all, err := collect(s.List(b.ctx, backup.Query{Account: r.Account, Region: r.Region, Point: r}))
	if err != nil || len(all) != 1 {
		t.Fatalf("%v: %v %v", r, all, err)
	}
	return all[0]
}

// Tags that RDS copied on with a snapshot prove nothing.
func TestCopiedTagsAreForeign(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := everywhere(b.world.Config(account, region))
		op, err := s.StartCopy(b.ctx, b.backedUp("nightly"), backup.Destination{}, backup.Spec{Token: "t", Name: "copy"})
		ended(t, b.run(s, op, err), "")
		_, err = b.client.CopyDBSnapshot(b.ctx, &awsrds.CopyDBSnapshotInput{SourceDBSnapshotIdentifier: aws.String("copy"), TargetDBSnapshotIdentifier: aws.String("theirs"), CopyTags: aws.Bool(true)})
		b.must(err)
		time.Sleep(10 * time.Hour)
		del, err := s.StartDelete(b.ctx, rds.Snapshot(account, region, "theirs"), backup.Spec{Token: "t"})
		ended(t, b.run(s, del, err), backup.ErrConflict)
	})
}

func TestCopyRefused(t *testing.T) {
	cfg := awssim.New().Config(account, region)
	s := everywhere(cfg)
	point, cluster := rds.Snapshot(account, region, "nightly"), rds.ClusterSnapshot(account, region, "nightly")
	key := func(r, a string) string {
		return "arn:aws:kms:" + r + ":" + a + ":key/01234567-89ab-cdef-0123-456789abcdef"
	}
	ok := backup.Spec{Token: "t"}
	many := map[string]string{}
	for i := range 44 {
		many[fmt.Sprint("k", i)] = "v"
	}
	for name, tt := range map[string]struct {
		point backup.Ref
		to    backup.Destination
		spec  backup.Spec
		want  backup.Code
	}{
		"fine":                   {point, backup.Destination{Account: account, Region: far, KMSKeyID: key(far, account)}, ok, ""},
		"in place":               {point, backup.Destination{}, ok, ""},
		"automated":              {rds.Snapshot(account, region, "rds:orders-2026-11-20-03-10"), backup.Destination{}, ok, ""},
		"another account":        {point, backup.Destination{Account: foreign}, ok, backup.ErrUnsupported},
		"a Region not allowed":   {point, backup.Destination{Region: "us-east-1"}, ok, backup.ErrInvalid},
		"no Region":              {point, backup.Destination{Region: "mars"}, ok, backup.ErrInvalid},
		"another partition":      {point, backup.Destination{Region: "us-gov-west-1"}, ok, backup.ErrUnsupported},
		"China":                  {point, backup.Destination{Region: "cn-north-1"}, ok, backup.ErrUnsupported},
		"a key of the source":    {point, backup.Destination{Region: far, KMSKeyID: key(region, account)}, ok, backup.ErrInvalid},
		"a key of another":       {point, backup.Destination{Region: far, KMSKeyID: key(far, foreign)}, ok, backup.ErrInvalid},
		"an alias":               {point, backup.Destination{KMSKeyID: "alias/mine"}, ok, backup.ErrInvalid},
		"itself":                 {point, backup.Destination{}, backup.Spec{Token: "t", Name: "Nightly"}, backup.ErrInvalid},
		"a name":                 {point, backup.Destination{}, backup.Spec{Token: "t", Name: "a--b"}, backup.ErrInvalid},
		"a cluster's long name":  {cluster, backup.Destination{}, backup.Spec{Token: "t", Name: strings.Repeat("a", 64)}, backup.ErrInvalid},
		"a cluster's group":      {cluster, backup.Destination{}, backup.Spec{Token: "t", Options: rds.CopyOptions{OptionGroup: "x"}}, backup.ErrInvalid},
		"options of another":     {point, backup.Destination{}, backup.Spec{Token: "t", Options: options()}, backup.ErrInvalid},
		"a pointer":              {point, backup.Destination{}, backup.Spec{Token: "t", Options: &rds.CopyOptions{}}, backup.ErrInvalid},
		"tags":                   {point, backup.Destination{}, backup.Spec{Token: "t", Tags: many}, backup.ErrInvalid},
		"an instance":            {rds.Instance(account, region, "orders"), backup.Destination{}, ok, backup.ErrInvalid},
		"an account's wrong key": {point, backup.Destination{KMSKeyID: "arn:aws:kms:eu-west-1:111122223333:key/*"}, ok, backup.ErrInvalid},
	} {
		if _, err := s.StartCopy(t.Context(), tt.point, tt.to, tt.spec); backup.CodeOf(err) != tt.want || err != nil && backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One's own configuration serves its Region only.
	own := rds.NewFromConfig(cfg, func(o *rds.Options) { o.CopyRegions = []string{far} })
	if _, err := own.StartCopy(t.Context(), point, backup.Destination{Region: far}, ok); !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
	// Nothing leaves the Region for a Strategy that was told nothing.
	if _, err := rds.New(nil).StartCopy(t.Context(), point, backup.Destination{Region: far}, ok); !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
}

// An Operation that was started where more was allowed is not carried on where it is not.
func TestCopyNotAllowedLater(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		cfg := b.world.Config(account, region)
		op, err := everywhere(cfg).StartCopy(b.ctx, point, backup.Destination{Region: far}, backup.Spec{Token: "t"})
		b.must(err)
		strict := everywhere(cfg, func(o *rds.Options) { o.CopyRegions = nil })
		r := b.stored(strict)
		op, err = r.Start(b.ctx, op)
		b.must(err)
		for range 5 {
			if op, err = r.Step(b.ctx, op); err != nil {
				break
			}
			time.Sleep(time.Minute)
		}
		if !errors.Is(err, backup.ErrInvalid) || b.count("CopyDBSnapshot") != 0 {
			t.Errorf("%v, %d sends", err, b.count("CopyDBSnapshot"))
		}
		if found, err := strict.Preflight(b.ctx, op); err != nil || !slices.Contains(ids(found), "rds.copy-refused") {
			t.Errorf("%v %v", found, err)
		}
	})
}

// TestCopyKinds copies what is encrypted and what is not, within a Region and out of it.
func TestCopyKinds(t *testing.T) {
	for name, tt := range map[string]struct {
		plain, cluster bool
		region         string
		key            bool
		want           backup.Code
		findings       []string
		encrypted      bool
	}{
		"in place":                    {},
		"in place, other key":         {key: true, findings: []string{"rds.full-copy"}, encrypted: true},
		"plain":                       {plain: true, findings: []string{"rds.unencrypted"}},
		"plain, encrypted by copying": {plain: true, key: true, findings: []string{"rds.full-copy"}, encrypted: true},
		"far":                         {region: far, findings: []string{"rds.full-copy", "rds.default-key"}, encrypted: true},
		"far, plain":                  {region: far, plain: true, findings: []string{"rds.full-copy", "rds.unencrypted"}},
		"far, key":                    {region: far, key: true, findings: []string{"rds.full-copy"}, encrypted: true},
		"cluster, plain":              {cluster: true, plain: true, region: far, findings: []string{"rds.full-copy", "rds.unencrypted"}},
		"cluster, plain, key":         {cluster: true, plain: true, key: true, want: backup.ErrUnsupported},
		"cluster, far":                {cluster: true, region: far, findings: []string{"rds.full-copy", "rds.default-key"}, encrypted: true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				s := everywhere(b.world.Config(account, region))
				source := b.create("db", func(in *awsrds.CreateDBInstanceInput) { in.StorageEncrypted = aws.Bool(!tt.plain) })
				if tt.cluster {
					b.makeCluster("main", "", func(in *awsrds.CreateDBClusterInput) { in.StorageEncrypted = aws.Bool(!tt.plain) })
					source = mainCluster
				}
				op, err := s.Start(b.ctx, source, backup.Spec{Token: "t"})
				point := b.run(s, op, err).Points[0]
				to := backup.Destination{Region: tt.region}
				if tt.key {
					to.KMSKeyID = b.keyIn(cmpOr(tt.region, region))
				}
				op, err = s.StartCopy(b.ctx, point, to, backup.Spec{Token: "t"})
				op = b.run(s, op, err)
				ended(t, op, tt.want)
				if diff := cmp.Diff(tt.findings, ids(op.Findings)); diff != "" {
					t.Error(diff)
				}
				made := b.copies(cmpOr(tt.region, region), op.ID)
				if tt.want != "" {
					if len(made) != 0 {
						t.Errorf("%+v", made)
					}
					return
				}
				encrypted := tt.encrypted || name == "in place"
				if len(made) != 1 || made[0].Encrypted != encrypted || tt.key && made[0].KMSKeyID != to.KMSKeyID {
					t.Errorf("%+v", made)
				}
			})
		})
	}
}

func cmpOr(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Whatever RDS says where it is asked for copies of an instance that is not in the Region, the copy is made.
func TestCopyNowhereKnown(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		s := everywhere(b.world.Config(account, region))
		b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Region: far, Kind: awssim.FaultError, Error: awssim.Error{Code: "DBInstanceNotFound", Message: "m", Status: 404}})
		op, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far}, backup.Spec{Token: "t"})
		op = b.run(s, op, err)
		if ended(t, op, ""); !finding(op, "rds.full-copy") {
			t.Errorf("%v", op.Findings)
		}
	})
}

// The second copy of an instance to a Region under one key is incremental.
func TestCopyIncremental(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := everywhere(b.world.Config(account, region))
		first, second := b.backedUp("one"), b.backedUp("two")
		key, other := b.keyIn(far), b.keyIn(far)
		for _, tt := range []struct {
			point backup.Ref
			key   string
			full  bool
		}{{first, key, true}, {second, key, false}, {second, other, true}} {
			op, err := s.StartCopy(b.ctx, tt.point, backup.Destination{Region: far, KMSKeyID: tt.key}, backup.Spec{Token: tt.key + tt.point.ID})
			op = b.run(s, op, err)
			ended(t, op, "")
			if finding(op, "rds.full-copy") != tt.full {
				t.Errorf("%s under %s: %v", tt.point.ID, tt.key, op.Findings)
			}
		}
	})
}

func TestCopyOptionGroups(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		group := func(r, name, engine string) {
			_, err := awsrds.NewFromConfig(b.world.Config(account, r)).CreateOptionGroup(b.ctx, &awsrds.CreateOptionGroupInput{OptionGroupName: &name, EngineName: &engine,
				MajorEngineVersion: aws.String("16"), OptionGroupDescription: aws.String("d")})
			b.must(err)
		}
		group(region, "audit", "postgres")
		b.create("db", func(in *awsrds.CreateDBInstanceInput) { in.OptionGroupName = aws.String("audit") })
		s := everywhere(b.world.Config(account, region))
		op, err := s.Start(b.ctx, rds.Instance(account, region, "db"), backup.Spec{Token: "t"})
		point := b.run(s, op, err).Points[0]
		try := func(token, group string) backup.Operation {
			op, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far}, backup.Spec{Token: token, Options: rds.CopyOptions{OptionGroup: group}})
			b.must(err)
			found, err := s.Preflight(b.ctx, op)
			b.must(err)
			op = b.run(s, op, nil)
			if failed := op.Err() != nil; failed != (len(found) > 0 && found[0].Severity == backup.SeverityError) {
				t.Errorf("preflight found %v, and it ended %v", found, op.Err())
			}
			return op
		}
		op = try("missing", "")
		if ended(t, op, backup.ErrInvalid); !strings.Contains(op.Err().Error(), `"audit"`) {
			t.Error(op.Err())
		}
		ended(t, try("missing, named", "theirs"), backup.ErrInvalid)
		group(far, "wrong", "mysql")
		ended(t, try("another engine", "wrong"), backup.ErrInvalid)
		if b.count("CopyDBSnapshot") != 0 {
			t.Errorf("%d sends", b.count("CopyDBSnapshot"))
		}
		group(far, "Audit-2", "postgres")
		ended(t, try("named", "Audit-2"), "")
		group(far, "audit", "postgres")
		op = try("of the same name", "")
		if ended(t, op, ""); !finding(op, "rds.option-group") || b.copies(far, op.ID)[0].OptionGroup != "audit" {
			t.Errorf("%v", op.Findings)
		}
		// In its own Region the group stays.
		op, err = s.StartCopy(b.ctx, point, backup.Destination{}, backup.Spec{Token: "here"})
		op = b.run(s, op, err)
		if ended(t, op, ""); b.copies(region, op.ID)[0].OptionGroup != "audit" {
			t.Errorf("%v", b.copies(region, op.ID))
		}
	})
}

// What is more than the Region takes at a time waits.
func TestCopyQueues(t *testing.T) {
	for name, cluster := range map[string]bool{"instance": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				point := b.backedUp("nightly")
				if cluster {
					point = b.clusterPoint("nightly")
				}
				b.db.SetCopyQuotas(b.world, 1, 1)
				s := everywhere(b.world.Config(account, region))
				first, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far}, backup.Spec{Token: "1"})
				r, first := b.begun(s, first, err)
				first = b.until(r, first, stage("wait"))
				second, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far}, backup.Spec{Token: "2"})
				r2, second := b.begun(s, second, err)
				second = b.until(r2, second, stage("park"))
				if !finding(second, "rds.not-yet") {
					t.Errorf("%v", second.Findings)
				}
				ended(t, b.until(r, first, never), "")
				ended(t, b.until(r2, second, never), "")
			})
		})
	}
}

func TestCopyKeys(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		kms := awskms.NewFromConfig(b.world.Config(account, far))
		describe := func(o *rds.Options) {
			o.DescribeKey = func(ctx context.Context, a, r, key string) (string, error) {
				if a != account || r != far {
					t.Errorf("asked in %s, %s", a, r)
				}
				out, err := kms.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &key})
				if err != nil {
					return "", err
				}
				return string(out.KeyMetadata.KeyState), nil
			}
		}
		disabled, good := b.keyIn(far), b.keyIn(far)
		_, err := kms.DisableKey(b.ctx, &awskms.DisableKeyInput{KeyId: &disabled})
		b.must(err)
		absent := good[:len(good)-4] + "ffff"
		cfg := b.world.Config(account, region)
		for _, tt := range []struct {
			name, key string
			asked     bool
			sends     int
			want      backup.Code
		}{{"disabled", disabled, true, 0, backup.ErrDenied}, {"absent", absent, true, 0, backup.ErrDenied}, {"disabled, not asked", disabled, false, 1, backup.ErrDenied}, {"good", good, true, 1, ""}} {
			s := everywhere(cfg)
			if tt.asked {
				s = everywhere(cfg, describe)
			}
			before := b.count("CopyDBSnapshot")
			op, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far, KMSKeyID: tt.key}, backup.Spec{Token: tt.name})
			b.must(err)
			found, err := s.Preflight(b.ctx, op)
			if bad := slices.Contains(ids(found), "rds.key"); err != nil || bad != (tt.asked && tt.want != "") {
				t.Errorf("%s: %v %v", tt.name, found, err)
			}
			op = b.run(s, op, nil)
			ended(t, op, tt.want)
			if n := b.count("CopyDBSnapshot") - before; n != tt.sends {
				t.Errorf("%s: %d sends", tt.name, n)
			}
		}
		// A look at the key that fails is no answer.
		s := everywhere(cfg, func(o *rds.Options) {
			o.DescribeKey = func(context.Context, string, string, string) (string, error) { return "", errors.New("no network") }
		})
		op, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far, KMSKeyID: good}, backup.Spec{Token: "down"})
		b.must(err)
		if next, err := s.Step(b.ctx, op); err == nil || next.Done() {
			t.Errorf("%+v %v", next, err)
		}
	})
}

// TestCopyTroubles has things happen to the snapshot and to the copy.
func TestCopyTroubles(t *testing.T) {
	wait := stage("wait")
	remove := func(r, id string) func(b *bench) {
		return func(b *bench) {
			_, err := awsrds.NewFromConfig(b.world.Config(account, r)).DeleteDBSnapshot(b.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &id})
			b.must(err)
		}
	}
	for name, tt := range map[string]struct {
		when   func(backup.Operation) bool
		act    func(b *bench)
		want   backup.Code
		points int
	}{
		"no snapshot":            {stage("look"), func(b *bench) { b.db.LoseSnapshot(b.world, account, region, "nightly") }, backup.ErrNotFound, 0},
		"the snapshot is failed": {stage("look"), func(b *bench) { b.db.FailSnapshot(b.world, account, region, "nightly") }, backup.ErrUnsupported, 0},
		"the snapshot is busy": {stage("look"), func(b *bench) { b.db.SetSnapshotStatus(b.world, account, region, "nightly", "creating", time.Hour) },
			"", 1},
		"the snapshot goes":   {wait, remove(region, "nightly"), backup.ErrFailed, 1},
		"the copy is deleted": {wait, remove(far, "far"), backup.ErrFailed, 1},
		"the copy vanishes":   {wait, func(b *bench) { b.db.LoseSnapshot(b.world, account, far, "far") }, backup.ErrFailed, 1},
		"the copy fails":      {wait, func(b *bench) { b.db.FailSnapshot(b.world, account, far, "far") }, backup.ErrFailed, 1},
		"an unknown state":    {wait, func(b *bench) { b.db.SetSnapshotStatus(b.world, account, far, "far", "polishing", 2*time.Hour) }, "", 1},
		"the copy is retagged": {wait, func(b *bench) {
			c := awsrds.NewFromConfig(b.world.Config(account, far))
			_, err := c.RemoveTagsFromResource(b.ctx, &awsrds.RemoveTagsFromResourceInput{ResourceName: aws.String("arn:aws:rds:" + far + ":" + account + ":snapshot:far"), TagKeys: []string{backup.TagToken}})
			b.must(err)
		}, backup.ErrConflict, 1},
		"another has the name": {stage("look"), func(b *bench) {
			c := awsrds.NewFromConfig(b.world.Config(account, far))
			_, err := c.CopyDBSnapshot(b.ctx, &awsrds.CopyDBSnapshotInput{SourceDBSnapshotIdentifier: aws.String("arn:aws:rds:" + region + ":" + account + ":snapshot:nightly"),
				TargetDBSnapshotIdentifier: aws.String("far"), KmsKeyId: aws.String("alias/aws/rds"), SourceRegion: aws.String(region)})
			b.must(err)
		}, backup.ErrConflict, 0},
		"another snapshot has the identifier": {stage("create"), func(b *bench) {
			remove(region, "nightly")(b)
			time.Sleep(time.Minute)
			b.must(b.snap("orders", "nightly", nil))
			time.Sleep(10 * time.Hour)
		}, backup.ErrConflict, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				point := b.backedUp("nightly")
				s := everywhere(b.world.Config(account, region))
				op, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far}, backup.Spec{Token: "t", Name: "far"})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, tt.when)
				tt.act(b)
				op = b.until(r, op, never)
				ended(t, op, tt.want)
				if len(op.Points) != tt.points {
					t.Errorf("points %v", op.Points)
				}
			})
		})
	}
}

// TestCopyLostReply loses the answer of the call, and the copy stays invisible for longer than the settle window.
func TestCopyLostReply(t *testing.T) {
	for name, cluster := range map[string]bool{"instance": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				point, call := b.backedUp("nightly"), "CopyDBSnapshot"
				if cluster {
					point, call = b.clusterPoint("nightly"), "CopyDBClusterSnapshot"
				}
				s := everywhere(b.world.Config(account, region))
				op, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far}, backup.Spec{Token: "t"})
				r, op := b.begun(s, op, err)
				op = b.until(r, op, stage("create"))
				b.world.SetLag(10 * time.Minute)
				lost := b.world.Inject(awssim.Fault{Operation: call, Kind: awssim.FaultLostReply})
				op = b.until(r, op, never)
				ended(t, op, "")
				if made := b.copies(far, op.ID); len(made) != 1 || lost.Fired() != 1 || b.count(call) != 2 {
					t.Errorf("%d sends, made %+v", b.count(call), made)
				}
			})
		})
	}
}

// The tags of the snapshot that AWS reserves are left behind, and so are all with NoTags.
func TestCopyTags(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := everywhere(b.world.Config(account, region))
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "t", Tags: map[string]string{"team": "billing"}})
		point := b.run(s, op, err).Points[0]
		op, err = s.StartCopy(b.ctx, point, backup.Destination{}, backup.Spec{Token: "t", Options: rds.CopyOptions{NoTags: true}})
		op = b.run(s, op, err)
		if m := b.copies(region, op.ID)[0].Tags; m["team"] != "" || len(m) != 7 {
			t.Errorf("%v", m)
		}
		// The tags of both together are too many.
		var tags []rdstypes.Tag
		for i := range 45 {
			tags = append(tags, rdstypes.Tag{Key: aws.String(fmt.Sprint("k", i)), Value: aws.String("v")})
		}
		_, err = b.client.AddTagsToResource(b.ctx, &awsrds.AddTagsToResourceInput{ResourceName: aws.String("arn:aws:rds:" + region + ":" + account + ":snapshot:" + point.ID), Tags: tags})
		b.must(err)
		op, err = s.StartCopy(b.ctx, point, backup.Destination{}, backup.Spec{Token: "u"})
		ended(t, b.run(s, op, err), backup.ErrInvalid)
	})
}

// Snapshots of Multi-AZ DB clusters can not be copied.
func TestCopyMultiAZ(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.makeCluster("main", "postgres")
		s := everywhere(b.world.Config(account, region))
		op, err := s.Start(b.ctx, mainCluster, backup.Spec{Token: "t"})
		point := b.run(s, op, err).Points[0]
		op, err = s.StartCopy(b.ctx, point, backup.Destination{}, backup.Spec{Token: "t"})
		b.must(err)
		if found, err := s.Preflight(b.ctx, op); err != nil || len(found) == 0 || found[0].ID != "rds.copy-refused" {
			t.Errorf("%v %v", found, err)
		}
		ended(t, b.run(s, op, nil), backup.ErrUnsupported)
	})
}

// In GovCloud the service wants a URL that is signed for the source's Region: the SDK makes it.
func TestCopyPresigned(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		const west, east = "us-gov-west-1", "us-gov-east-1"
		clients := map[string]*awsrds.Client{}
		for _, r := range []string{west, east} {
			clients[r] = awsrds.NewFromConfig(b.world.Config(account, r))
		}
		b.db.SeedInstances(b.world, account, west, "gov", 1, nil)
		s := rds.New(func(_ context.Context, _, r string) (*awsrds.Client, error) { return clients[r], nil }, func(o *rds.Options) { o.CopyRegions = []string{east} })
		op, err := s.Start(b.ctx, rds.Instance(account, west, "gov-00001"), backup.Spec{Token: "t"})
		point := b.run(s, op, err).Points[0]
		op, err = s.StartCopy(b.ctx, point, backup.Destination{Region: east}, backup.Spec{Token: "t"})
		ended(t, b.run(s, op, err), "")
	})
}

// A copy that turns out to be encrypted otherwise than it was asked for is no success.
func TestCopyWrongKey(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		s := everywhere(b.world.Config(account, region))
		op, err := s.StartCopy(b.ctx, point, backup.Destination{Region: far, KMSKeyID: b.keyIn(far)}, backup.Spec{Token: "t"})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, stage("wait"))
		b.db.Rekey(b.world, account, far, op.Points[0].ID, b.keyIn(far))
		op = b.until(r, op, never)
		if ended(t, op, backup.ErrFailed); len(op.Points) != 1 {
			t.Errorf("%v", op.Points)
		}
	})
}

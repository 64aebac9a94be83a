package rds_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

// startRestore starts a restore with a Runner without a Store.
func (b *bench) startRestore(point backup.Ref, fs ...func(*rds.RestoreOptions)) (*backup.Runner, backup.Operation) {
	b.t.Helper()
	o := options()
	for _, f := range fs {
		f(&o)
	}
	s := b.strategy()
	op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "restore-" + o.ID, Options: o})
	b.must(err)
	r := b.runner(s)
	op, err = r.Start(b.ctx, op)
	b.must(err)
	return r, op
}

func TestRestore(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		r, op := b.startRestore(point)
		op = b.until(r, op, never)
		ended(t, op, "")
		if diff := cmp.Diff(backup.Refs{rds.Instance(account, region, "orders-copy")}, op.Made); diff != "" {
			t.Error(diff)
		}
		if len(op.Endpoints) != 1 || op.Endpoints[0].Port != 6543 || !strings.HasPrefix(op.Endpoints[0].Host, "orders-copy.") || op.Endpoints[0].Role != "primary" || op.Endpoints[0].ID != "orders-copy" {
			t.Errorf("endpoints %+v", op.Endpoints)
		}
		// Whatever decides who reaches it stood in the call.
		var in *awsrds.RestoreDBInstanceFromDBSnapshotInput
		for _, c := range b.world.Calls() {
			if x, ok := c.Input.(*awsrds.RestoreDBInstanceFromDBSnapshotInput); ok {
				in = x
			}
		}
		want := &awsrds.RestoreDBInstanceFromDBSnapshotInput{DBInstanceIdentifier: aws.String("orders-copy"), DBSnapshotIdentifier: aws.String("nightly"),
			DBSubnetGroupName: aws.String("private"), VpcSecurityGroupIds: []string{"sg-0b", "sg-0a"}, PubliclyAccessible: aws.Bool(false), NetworkType: aws.String("IPV4"),
			Port: aws.Int32(6543), MultiAZ: aws.Bool(false), DeletionProtection: aws.Bool(false), CopyTagsToSnapshot: aws.Bool(false)}
		if diff := cmp.Diff(want, in, cmpopts.IgnoreUnexported(awsrds.RestoreDBInstanceFromDBSnapshotInput{}), cmpopts.IgnoreFields(awsrds.RestoreDBInstanceFromDBSnapshotInput{}, "Tags")); diff != "" {
			t.Error(diff)
		}
		_, made := b.made(op)
		if len(made) != 1 || made[0].Tags["backup"] != "" || made[0].Tags[backup.TagSource] != point.String() || made[0].PubliclyAccessible {
			t.Errorf("%+v", made)
		}
	})
}

func TestRestoreOptions(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		_, err := b.client.CreateDBParameterGroup(b.ctx, &awsrds.CreateDBParameterGroupInput{DBParameterGroupName: aws.String("mine"), DBParameterGroupFamily: aws.String("f"), Description: aws.String("d")})
		b.must(err)
		_, err = b.client.CreateOptionGroup(b.ctx, &awsrds.CreateOptionGroupInput{OptionGroupName: aws.String("mine"), EngineName: aws.String("postgres"), MajorEngineVersion: aws.String("16"), OptionGroupDescription: aws.String("d")})
		b.must(err)
		r, op := b.startRestore(point, func(o *rds.RestoreOptions) {
			o.Class, o.Port, o.Zone, o.ParameterGroup, o.OptionGroup, o.StorageType, o.IOPS = "db.m7g.large", 7000, "eu-west-1b", "mine", "mine", "io2", 1000
			o.DeletionProtection, o.CopyTagsToSnapshot, o.BackupRetentionDays, o.PubliclyAccessible, o.NetworkType = true, true, 7, true, "DUAL"
		})
		op = b.until(r, op, never)
		ended(t, op, "")
		out, err := b.client.DescribeDBInstances(b.ctx, &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("orders-copy")})
		b.must(err)
		x := out.DBInstances[0]
		if *x.DBInstanceClass != "db.m7g.large" || *x.Endpoint.Port != 7000 || *x.AvailabilityZone != "eu-west-1b" || *x.DBParameterGroups[0].DBParameterGroupName != "mine" ||
			*x.OptionGroupMemberships[0].OptionGroupName != "mine" || *x.StorageType != "io2" || !*x.DeletionProtection || !*x.CopyTagsToSnapshot ||
			*x.BackupRetentionPeriod != 7 || !*x.PubliclyAccessible || *x.NetworkType != "DUAL" {
			t.Errorf("%+v", x)
		}
		s := b.strategy()
		for name, f := range map[string]func(*rds.RestoreOptions){
			"no id":                 func(o *rds.RestoreOptions) { o.ID = "" },
			"bad id":                func(o *rds.RestoreOptions) { o.ID = "a_b" },
			"no subnet group":       func(o *rds.RestoreOptions) { o.SubnetGroup = "" },
			"no security groups":    func(o *rds.RestoreOptions) { o.SecurityGroups = nil },
			"empty security groups": func(o *rds.RestoreOptions) { o.SecurityGroups = []string{} },
			"a security group name": func(o *rds.RestoreOptions) { o.SecurityGroups = []string{"default"} },
			"no such group id":      func(o *rds.RestoreOptions) { o.SecurityGroups = []string{"sg-"} },
			"a group's ARN": func(o *rds.RestoreOptions) {
				o.SecurityGroups = []string{"arn:aws:ec2:eu-west-1:" + account + ":security-group/sg-0a"}
			},
			"a group with a space": func(o *rds.RestoreOptions) { o.SecurityGroups = []string{"sg-0a "} },
			"a long group":         func(o *rds.RestoreOptions) { o.SecurityGroups = []string{"sg-" + strings.Repeat("a", 62)} },
			"a group twice":        func(o *rds.RestoreOptions) { o.SecurityGroups = []string{"sg-0a", "sg-0a"} },
			"port":                 func(o *rds.RestoreOptions) { o.Port = 80 },
			"class":                func(o *rds.RestoreOptions) { o.Class = "m7g.large" },
			"zone":                 func(o *rds.RestoreOptions) { o.Zone = "us-east-1a" },
			"zone and Multi-AZ":    func(o *rds.RestoreOptions) { o.Zone, o.MultiAZ = "eu-west-1a", true },
			"storage":              func(o *rds.RestoreOptions) { o.StorageType = "tape" },
			"io1 without IOPS":     func(o *rds.RestoreOptions) { o.StorageType = "io1" },
			"network":              func(o *rds.RestoreOptions) { o.NetworkType = "IPV6" },
			"retention":            func(o *rds.RestoreOptions) { o.BackupRetentionDays = 36 },
		} {
			o := options()
			f(&o)
			if _, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: o}); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		o := options()
		for name, spec := range map[string]backup.Spec{"no options": {Token: "t"}, "a pointer": {Token: "t", Options: &o}, "two names": {Token: "t", Name: "x", Options: o}} {
			if _, err := s.StartRestore(b.ctx, point, spec); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		o.SecurityGroups = []string{"sg-1", "sg-my-group", "sg-" + strings.Repeat("a", 61)}
		if _, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: o}); err != nil {
			t.Error(err)
		}
		if _, err := s.StartRestore(b.ctx, b.orders, backup.Spec{Token: "t", Options: o}); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("an instance: %v", err)
		}
	})
}

func TestRestoreGoesWrong(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(b *bench)
		during func(b *bench)
		want   backup.Code
		made   int
		find   string
		words  string
	}{
		"it became public":       {nil, func(b *bench) { b.db.Expose(b.world, account, region, "orders-copy", true, "sg-0a", "sg-0b") }, backup.ErrFailed, 1, "", "publicly accessible"},
		"another security group": {nil, func(b *bench) { b.db.Expose(b.world, account, region, "orders-copy", false, "sg-0a", "sg-0b", "sg-ff") }, backup.ErrFailed, 1, "", "sg-ff"},
		"no security group":      {nil, func(b *bench) { b.db.Expose(b.world, account, region, "orders-copy", false) }, backup.ErrFailed, 1, "", "security groups"},
		"it fails": {func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "RestoreDBInstanceFromDBSnapshot", Kind: awssim.FaultAsync})
		}, nil, backup.ErrFailed, 1, "", "incompatible-restore"},
		"somebody deletes it":     {nil, func(b *bench) { b.drop("orders-copy") }, backup.ErrFailed, 1, "", "deleting"},
		"somebody has deleted it": {nil, func(b *bench) { b.drop("orders-copy"); time.Sleep(2 * time.Hour) }, backup.ErrFailed, 1, "", "disappeared"},
		"somebody has replaced it": {nil, func(b *bench) {
			b.drop("orders-copy")
			time.Sleep(2 * time.Hour)
			b.create("orders-copy")
		}, backup.ErrConflict, 1, "", "another instance"},
		"an unknown status": {nil, func(b *bench) {
			time.Sleep(2 * time.Hour)
			b.db.SetStatus(b.world, account, region, "orders-copy", "meditating", 3*time.Hour)
		}, "", 1, "rds.unknown-status", ""},
		"the identifier is taken":            {func(b *bench) { b.create("orders-copy") }, nil, backup.ErrConflict, 0, "", "not made by this operation"},
		"the snapshot failed":                {func(b *bench) { b.db.FailSnapshot(b.world, account, region, "nightly") }, nil, backup.ErrUnsupported, 0, "", "failed"},
		"the snapshot is copied for a while": {func(b *bench) { b.db.SetSnapshotStatus(b.world, account, region, "nightly", "copying", time.Hour) }, nil, "", 1, "rds.snapshot-state", ""},
		"there is no snapshot":               {func(b *bench) { b.remove("nightly"); time.Sleep(time.Hour) }, nil, backup.ErrNotFound, 0, "", ""},
		"the key is disabled": {func(b *bench) {
			_, err := awskms.NewFromConfig(b.world.Config(account, region)).DisableKey(b.ctx, &awskms.DisableKeyInput{KeyId: aws.String(b.key)})
			b.must(err)
		}, nil, backup.ErrDenied, 0, "", "KMSKeyNotAccessibleFault"},
		"the quota is full": {func(b *bench) { b.db.SetQuotas(b.world, 0, 1) }, nil, backup.ErrQuota, 0, "", ""},
		"no capacity for a while": {func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "RestoreDBInstanceFromDBSnapshot", Kind: awssim.FaultError, For: time.Hour, Error: awssim.Error{Code: "InsufficientDBInstanceCapacity", Message: "no"}})
		}, nil, "", 1, "rds.not-yet", ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				k, err := awskms.NewFromConfig(b.world.Config(account, region)).CreateKey(b.ctx, &awskms.CreateKeyInput{})
				b.must(err)
				b.key = *k.KeyMetadata.KeyId
				b.orders = b.create("sales", func(in *awsrds.CreateDBInstanceInput) { in.KmsKeyId = &b.key })
				point := b.backedUp("nightly")
				if tt.before != nil {
					tt.before(b)
				}
				r, op := b.startRestore(point)
				if tt.during != nil {
					op = b.until(r, op, stage("wait"))
					tt.during(b)
				}
				op = b.until(r, op, never)
				ended(t, op, tt.want)
				if len(op.Made) != tt.made {
					t.Errorf("made %v", op.Made)
				}
				if tt.find != "" && !finding(op, tt.find) {
					t.Errorf("findings %v", op.Findings)
				}
				if tt.words != "" && !strings.Contains(op.Failure.Message, tt.words) {
					t.Errorf("%q does not say %q", op.Failure.Message, tt.words)
				}
			})
		})
	}
}

// drop has somebody delete an instance without a final snapshot.
func (b *bench) drop(id string) {
	b.t.Helper()
	_, err := b.client.DeleteDBInstance(b.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: &id, SkipFinalSnapshot: aws.Bool(true)})
	b.must(err)
}

func TestRestoreAdopts(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		b.world.SetLag(10 * time.Minute)
		b.world.Inject(awssim.Fault{Operation: "RestoreDBInstanceFromDBSnapshot", Kind: awssim.FaultLostReply})
		s := b.strategy()
		r := b.stored(s)
		op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
		b.must(err)
		op, _ = r.Run(b.ctx, op)
		ended(t, op, "")
		_, made := b.made(op)
		if len(made) != 1 || b.count("RestoreDBInstanceFromDBSnapshot") < 2 || !finding(op, "rds.name-taken") {
			t.Errorf("%d sends, made %+v", b.count("RestoreDBInstanceFromDBSnapshot"), made)
		}
		// The identifier of another's instance, with a Store: AWS says so first.
		b.world.SetLag(0)
		op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "u", Options: options()})
		b.must(err)
		op, _ = r.Run(b.ctx, op)
		ended(t, op, backup.ErrConflict)
	})
}

func TestRestoreAutomated(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		id := b.db.AddAutomatedSnapshot(b.world, account, region, "orders", time.Now())
		r, op := b.startRestore(rds.Snapshot(account, region, id))
		ended(t, b.until(r, op, never), "")
		_, made := b.made(op)
		if !slices.ContainsFunc(b.db.Instances(b.world, account, region), func(i instanceInfo) bool { return i.ID == "orders-copy" }) || len(made) != 1 {
			t.Errorf("made %+v", made)
		}
	})
}

// TestRestoreLooksAgain has the instance of a lost answer become visible only while the snapshot can not be restored again.
func TestRestoreLooksAgain(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		b.world.SetLag(10 * time.Minute)
		b.world.Inject(awssim.Fault{Operation: "RestoreDBInstanceFromDBSnapshot", Kind: awssim.FaultLostReply})
		s := b.strategy()
		op, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
		b.must(err)
		r := b.stored(s)
		op, err = r.Start(b.ctx, op)
		b.must(err)
		op = b.until(r, op, stage("settle"))
		b.db.SetSnapshotStatus(b.world, account, region, "nightly", "copying", 20*time.Hour)
		op = b.until(r, op, never)
		ended(t, op, "")
		if n := b.count("RestoreDBInstanceFromDBSnapshot"); n != 1 {
			t.Errorf("%d sends", n)
		}
	})
}

func TestExposure(t *testing.T) {
	good := func() *rdstypes.DBInstance {
		return &rdstypes.DBInstance{PubliclyAccessible: aws.Bool(false), DBSubnetGroup: &rdstypes.DBSubnetGroup{DBSubnetGroupName: aws.String("private")},
			VpcSecurityGroups: []rdstypes.VpcSecurityGroupMembership{{VpcSecurityGroupId: aws.String("sg-0a")}, {VpcSecurityGroupId: aws.String("sg-0b")}},
			NetworkType:       aws.String("IPV4"), StorageEncrypted: aws.Bool(true)}
	}
	for name, tt := range map[string]struct {
		change func(*rdstypes.DBInstance)
		n      int
	}{
		"as asked":       {func(*rdstypes.DBInstance) {}, 0},
		"public":         {func(x *rdstypes.DBInstance) { x.PubliclyAccessible = aws.Bool(true) }, 1},
		"fewer groups":   {func(x *rdstypes.DBInstance) { x.VpcSecurityGroups = x.VpcSecurityGroups[:1] }, 1},
		"another group":  {func(x *rdstypes.DBInstance) { x.VpcSecurityGroups[0].VpcSecurityGroupId = aws.String("sg-0c") }, 1},
		"other subnets":  {func(x *rdstypes.DBInstance) { x.DBSubnetGroup.DBSubnetGroupName = aws.String("public") }, 1},
		"IPv6":           {func(x *rdstypes.DBInstance) { x.NetworkType = aws.String("DUAL") }, 1},
		"not encrypted":  {func(x *rdstypes.DBInstance) { x.StorageEncrypted = nil }, 1},
		"several things": {func(x *rdstypes.DBInstance) { x.PubliclyAccessible, x.StorageEncrypted = aws.Bool(true), nil }, 2},
	} {
		x := good()
		tt.change(x)
		o := options()
		if bad := rds.Exposure(o, true, x); len(bad) != tt.n {
			t.Errorf("%s: %q", name, bad)
		}
	}
}

// TestRestoreLooksAgainAtTheSnapshot has somebody else act between the look and the call.
func TestRestoreLooksAgainAtTheSnapshot(t *testing.T) {
	for name, tt := range map[string]struct {
		act  func(b *bench)
		want backup.Code
	}{
		"it is replaced": {func(b *bench) {
			b.remove("nightly")
			time.Sleep(10 * time.Minute)
			b.must(b.snap("orders", "nightly", nil))
			time.Sleep(10 * time.Hour)
		}, backup.ErrConflict},
		"it is replaced by one that is not ready": {func(b *bench) {
			b.remove("nightly")
			time.Sleep(10 * time.Minute)
			b.must(b.snap("orders", "nightly", nil))
		}, backup.ErrConflict},
		"it is deleted": {func(b *bench) {
			b.remove("nightly")
			time.Sleep(10 * time.Minute)
		}, backup.ErrNotFound},
		"it can not be seen for a while": {func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Kind: awssim.FaultBlind, Back: 1000 * time.Hour, For: 3 * time.Minute})
		}, ""},
		"a look fails": {func(b *bench) {
			b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "no"}})
		}, ""},
	} {
		for _, with := range []string{"a store", "no store"} {
			t.Run(name+", "+with, func(t *testing.T) {
				bubble(t, func(t *testing.T, b *bench) {
					point := b.backedUp("nightly")
					r, op := b.startRestore(point)
					if with == "a store" {
						s := b.strategy()
						started, err := s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
						r, op = b.begun(s, started, err)
					}
					op = b.until(r, op, stage("create"))
					tt.act(b)
					start := time.Now()
					op = b.until(r, op, stage("wait"))
					if d := time.Since(start); name == "a look fails" && d > time.Minute {
						t.Errorf("a look that failed cost %v: nothing was sent that had to be looked for", d)
					}
					op = b.until(r, op, never)
					ended(t, op, tt.want)
					want := 0
					if tt.want == "" {
						want = 1
					}
					if n := b.count("RestoreDBInstanceFromDBSnapshot"); n != want || len(op.Made) != want {
						t.Errorf("%d sends, made %v", n, op.Made)
					}
				})
			})
		}
	}
}

// TestRestoreSentByAnother has the snapshot be replaced when an earlier process has sent the call, and nobody has kept that: the instance is
// looked for before anything is said of the snapshot.
func TestRestoreSentByAnother(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		r, op := b.startRestore(point)
		op = b.until(r, op, stage("create"))
		if sent, err := r.Step(b.ctx, op); err != nil || len(sent.Made) != 1 {
			t.Fatalf("%v, made %v", err, sent.Made)
		}
		b.remove("nightly")
		time.Sleep(10 * time.Minute)
		b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Kind: awssim.FaultBlind, Back: 30 * time.Minute, For: 4 * time.Minute})
		op = b.until(r, op, stage("wait"))
		if _, made := b.made(op); len(made) != 1 || len(op.Made) != 1 || b.count("RestoreDBInstanceFromDBSnapshot") != 1 {
			t.Errorf("%s with %v; there are %v, %v listed", op.Phase, op.Err(), made, op.Made)
		}
	})
}

// TestLongNames holds that the tags of the source fit, and are known again, where the Ref is longer than a tag.
func TestLongNames(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		op, err := s.Start(b.ctx, b.orders, backup.Spec{Token: "before", Name: strings.Repeat("a", 255)})
		op = b.run(s, op, err)
		ended(t, op, "")
		point := op.Points[0]
		time.Sleep(10 * time.Minute)
		b.world.Inject(awssim.Fault{Operation: "RestoreDBInstanceFromDBSnapshot", Kind: awssim.FaultLostReply})
		op, err = s.StartRestore(b.ctx, point, backup.Spec{Token: "t", Options: options()})
		r, op := b.begun(s, op, err)
		op = b.until(r, op, never)
		ended(t, op, "")
		r, op = b.startDelete(point, backup.Spec{})
		ended(t, b.until(r, op, never), "")
	})
}

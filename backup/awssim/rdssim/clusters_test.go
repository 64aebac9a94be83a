package rdssim_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"
)

func TestCluster(t *testing.T) {
	run(t, func(e env) {
		_, err := e.c.CreateDBCluster(e.ctx, &awsrds.CreateDBClusterInput{DBClusterIdentifier: aws.String("Main"), Engine: aws.String("aurora-postgresql"),
			StorageEncrypted: aws.Bool(true), Tags: []rdstypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}})
		e.must(err)
		if c := e.clusterNow("main"); *c.Status != "creating" || c.Endpoint != nil || c.ClusterCreateTime != nil {
			t.Errorf("%+v", c)
		}
		e.make("a", of("main"))
		e.make("b", of("main"))
		c := e.clusterNow("MAIN")
		if *c.Status != "available" || *c.Endpoint == *c.ReaderEndpoint || !*c.StorageEncrypted || len(c.DBClusterMembers) != 2 || !*c.DBClusterMembers[0].IsClusterWriter ||
			*c.DBClusterMembers[0].DBInstanceIdentifier != "a" || c.LatestRestorableTime == nil || !strings.HasPrefix(*c.DbClusterResourceId, "cluster-") {
			t.Errorf("%+v", c)
		}
		a := e.instance("a")
		if *a.DBClusterIdentifier != "main" || *a.KmsKeyId != *c.KmsKeyId || *a.VpcSecurityGroups[0].VpcSecurityGroupId != *c.VpcSecurityGroups[0].VpcSecurityGroupId || a.LatestRestorableTime != nil {
			t.Errorf("%+v", a)
		}
		list, err := e.c.ListTagsForResource(e.ctx, &awsrds.ListTagsForResourceInput{ResourceName: c.DBClusterArn})
		e.must(err)
		if diff := cmp.Diff(map[string]string{"k": "v"}, tags(list.TagList)); diff != "" {
			t.Error(diff)
		}
		// An Aurora cluster is deleted when its instances are.
		remove := func() error {
			_, err := e.c.DeleteDBCluster(e.ctx, &awsrds.DeleteDBClusterInput{DBClusterIdentifier: aws.String("main"), SkipFinalSnapshot: aws.Bool(true)})
			return err
		}
		e.want("with instances", remove(), "InvalidDBClusterStateFault")
		for _, id := range []string{"a", "b"} {
			_, err := e.c.DeleteDBInstance(e.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: &id, FinalDBSnapshotIdentifier: aws.String("f")})
			e.want("a final snapshot of a member", err, "InvalidParameterCombination")
			_, err = e.c.DeleteDBInstance(e.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: &id, SkipFinalSnapshot: aws.Bool(true)})
			e.must(err)
		}
		e.must(remove())
		e.want("twice", remove(), "InvalidDBClusterStateFault")
		time.Sleep(time.Hour)
		e.want("gone", remove(), "DBClusterNotFoundFault")
		_, err = e.c.DescribeDBClusters(e.ctx, &awsrds.DescribeDBClustersInput{DBClusterIdentifier: aws.String("main")})
		e.want("gone", err, "DBClusterNotFoundFault")
	})
}

func TestMultiAZCluster(t *testing.T) {
	run(t, func(e env) {
		c := e.cluster("main", "postgres")
		if len(c.DBClusterMembers) != 3 || !*c.MultiAZ || *c.DBClusterMembers[0].DBInstanceIdentifier != "main-instance-1" {
			t.Fatalf("%+v", c)
		}
		_, err := e.c.DeleteDBInstance(e.ctx, &awsrds.DeleteDBInstanceInput{DBInstanceIdentifier: aws.String("main-instance-1"), SkipFinalSnapshot: aws.Bool(true)})
		e.want("a member", err, "InvalidParameterCombination")
		_, err = e.c.CreateDBInstance(e.ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("x"), DBInstanceClass: aws.String("db.x"), Engine: aws.String("postgres"),
			DBClusterIdentifier: aws.String("main")})
		e.want("one more", err, "InvalidParameterCombination")
		_, err = e.c.DeleteDBCluster(e.ctx, &awsrds.DeleteDBClusterInput{DBClusterIdentifier: aws.String("main"), FinalDBSnapshotIdentifier: aws.String("Last")})
		e.must(err)
		time.Sleep(6 * time.Hour)
		if all := e.db.Instances(e.w, home, region); len(all) != 0 {
			t.Errorf("%+v", all)
		}
		if p, err := e.clusterSnapshot("last"); err != nil || *p.Status != "available" {
			t.Errorf("%+v %v", p, err)
		}
	})
}

func TestClusterRefusals(t *testing.T) {
	run(t, func(e env) {
		e.cluster("main", "aurora-mysql")
		for name, tt := range map[string]struct {
			set  func(*awsrds.CreateDBClusterInput)
			want string
		}{
			"taken":      {func(in *awsrds.CreateDBClusterInput) { in.DBClusterIdentifier = aws.String("MAIN") }, "DBClusterAlreadyExistsFault"},
			"name":       {func(in *awsrds.CreateDBClusterInput) { in.DBClusterIdentifier = aws.String("a--b") }, "InvalidParameterValue"},
			"engine":     {func(in *awsrds.CreateDBClusterInput) { in.Engine = aws.String("oracle-ee") }, "InvalidParameterValue"},
			"subnets":    {func(in *awsrds.CreateDBClusterInput) { in.DBSubnetGroupName = aws.String("none") }, "DBSubnetGroupNotFoundFault"},
			"parameters": {func(in *awsrds.CreateDBClusterInput) { in.DBClusterParameterGroupName = aws.String("none") }, "DBClusterParameterGroupNotFound"},
			"retention":  {func(in *awsrds.CreateDBClusterInput) { in.BackupRetentionPeriod = aws.Int32(0) }, "InvalidParameterValue"},
			"class":      {func(in *awsrds.CreateDBClusterInput) { in.DBClusterInstanceClass = aws.String("db.r6g.large") }, "InvalidParameterCombination"},
			"no class":   {func(in *awsrds.CreateDBClusterInput) { in.Engine = aws.String("postgres") }, "InvalidParameterCombination"},
			"key": {func(in *awsrds.CreateDBClusterInput) {
				in.StorageEncrypted, in.KmsKeyId = aws.Bool(true), aws.String("no-key")
			}, "KMSKeyNotAccessibleFault"},
		} {
			in := &awsrds.CreateDBClusterInput{DBClusterIdentifier: aws.String("x"), Engine: aws.String("aurora-mysql")}
			tt.set(in)
			_, err := e.c.CreateDBCluster(e.ctx, in)
			e.want(name, err, tt.want)
		}
		for name, tt := range map[string]struct {
			set  func(*awsrds.CreateDBInstanceInput)
			want string
		}{
			"no cluster":     {of("nothing"), "DBClusterNotFoundFault"},
			"another engine": {of("main"), "InvalidParameterCombination"},
			"groups": {func(in *awsrds.CreateDBInstanceInput) {
				of("main")(in)
				in.Engine, in.VpcSecurityGroupIds = aws.String("aurora-mysql"), []string{"sg-1"}
			}, "InvalidParameterCombination"},
		} {
			in := &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("x"), DBInstanceClass: aws.String("db.r6g.large"), Engine: aws.String("aurora-mysql")}
			tt.set(in)
			_, err := e.c.CreateDBInstance(e.ctx, in)
			e.want(name, err, tt.want)
		}
		modify := func(f func(*awsrds.ModifyDBClusterInput)) error {
			in := &awsrds.ModifyDBClusterInput{DBClusterIdentifier: aws.String("main"), ApplyImmediately: aws.Bool(true)}
			f(in)
			_, err := e.c.ModifyDBCluster(e.ctx, in)
			return err
		}
		for _, w := range []string{"", "03:00", "03:00-03:29", "25:00-26:00", "3-4"} {
			e.want(w, modify(func(in *awsrds.ModifyDBClusterInput) { in.PreferredBackupWindow = &w }), "InvalidParameterValue")
		}
		e.want("retention", modify(func(in *awsrds.ModifyDBClusterInput) { in.BackupRetentionPeriod = aws.Int32(36) }), "InvalidParameterValue")
		e.must(modify(func(in *awsrds.ModifyDBClusterInput) {
			in.BackupRetentionPeriod, in.PreferredBackupWindow, in.DeletionProtection = aws.Int32(7), aws.String("23:50-00:20"), aws.Bool(true)
		}))
		e.want("busy", modify(func(*awsrds.ModifyDBClusterInput) {}), "InvalidDBClusterStateFault")
		time.Sleep(2 * time.Hour)
		if c := e.clusterNow("main"); *c.BackupRetentionPeriod != 7 || *c.PreferredBackupWindow != "23:50-00:20" {
			t.Errorf("%+v", c)
		}
		_, err := e.c.DeleteDBCluster(e.ctx, &awsrds.DeleteDBClusterInput{DBClusterIdentifier: aws.String("main"), SkipFinalSnapshot: aws.Bool(true)})
		e.want("protected", err, "InvalidParameterCombination")
	})
}

func TestClusterSnapshots(t *testing.T) {
	run(t, func(e env) {
		e.cluster("main", "aurora-postgresql", func(in *awsrds.CreateDBClusterInput) {
			in.CopyTagsToSnapshot, in.Tags = aws.Bool(true), []rdstypes.Tag{{Key: aws.String("k"), Value: aws.String("v")}}
		})
		e.want("name", e.snapCluster("main", strings.Repeat("a", 64)), "InvalidParameterValue")
		e.want("cluster", e.snapCluster("nothing", "a"), "DBClusterNotFoundFault")
		e.must(e.snapCluster("main", "Nightly"))
		e.want("taken", e.snapCluster("main", "nightly"), "DBClusterSnapshotAlreadyExistsFault")
		p, err := e.clusterSnapshot("nightly")
		e.must(err)
		if *p.Status != "creating" || p.SnapshotCreateTime != nil || *p.EngineMode != "provisioned" {
			t.Errorf("%+v", p)
		}
		_, err = e.c.DeleteDBClusterSnapshot(e.ctx, &awsrds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: aws.String("nightly")})
		e.want("not complete", err, "InvalidDBClusterSnapshotStateFault")
		time.Sleep(4 * time.Hour)
		p, err = e.clusterSnapshot("nightly")
		e.must(err)
		if diff := cmp.Diff(map[string]string{"k": "v"}, tags(p.TagList)); *p.Status != "available" || p.SnapshotCreateTime == nil || diff != "" {
			t.Errorf("%+v %s", p, diff)
		}
		auto := e.db.AddAutomatedClusterSnapshot(e.w, home, region, "main")
		job := e.db.AddBackupServiceClusterSnapshot(e.w, home, region, "main")
		ids := func(f func(*awsrds.DescribeDBClusterSnapshotsInput)) (got string) {
			in := &awsrds.DescribeDBClusterSnapshotsInput{}
			f(in)
			out, err := e.c.DescribeDBClusterSnapshots(e.ctx, in)
			if err != nil {
				return code(err)
			}
			for _, p := range out.DBClusterSnapshots {
				got += *p.DBClusterSnapshotIdentifier + " "
			}
			return strings.TrimSpace(got)
		}
		type in = awsrds.DescribeDBClusterSnapshotsInput
		for name, tt := range map[string]struct {
			f    func(*in)
			want string
		}{
			"all":          {func(*in) {}, "nightly " + auto},
			"manual":       {func(i *in) { i.SnapshotType = aws.String("manual") }, "nightly"},
			"AWS Backup":   {func(i *in) { i.SnapshotType = aws.String("awsbackup") }, job},
			"shared":       {func(i *in) { i.SnapshotType = aws.String("shared") }, ""},
			"unknown type": {func(i *in) { i.SnapshotType = aws.String("nice") }, "InvalidParameterValue"},
			"cluster":      {func(i *in) { i.DBClusterIdentifier = aws.String("Main") }, "nightly " + auto},
			"other":        {func(i *in) { i.DBClusterIdentifier = aws.String("other") }, ""},
			"automated":    {func(i *in) { i.DBClusterSnapshotIdentifier = &auto }, "DBClusterSnapshotNotFoundFault"},
			"with type": {func(i *in) {
				i.DBClusterSnapshotIdentifier, i.SnapshotType = &auto, aws.String("automated")
			}, auto},
			"filter": {func(i *in) {
				i.Filters = []rdstypes.Filter{{Name: aws.String("engine"), Values: []string{"aurora-mysql"}}}
			}, ""},
		} {
			if got := ids(tt.f); got != tt.want {
				t.Errorf("%s: %q, want %q", name, got, tt.want)
			}
		}
		_, err = e.c.DeleteDBClusterSnapshot(e.ctx, &awsrds.DeleteDBClusterSnapshotInput{DBClusterSnapshotIdentifier: &auto})
		e.want("automated", err, "InvalidDBClusterSnapshotStateFault")
		e.db.SetClusterStatus(e.w, home, region, "main", "maintenance", time.Hour)
		e.want("busy", e.snapCluster("main", "b"), "InvalidDBClusterStateFault")
		// The cluster's end takes the automated snapshots along, unless they are to be kept.
		time.Sleep(2 * time.Hour)
		_, err = e.c.DeleteDBCluster(e.ctx, &awsrds.DeleteDBClusterInput{DBClusterIdentifier: aws.String("main"), SkipFinalSnapshot: aws.Bool(true)})
		e.must(err)
		time.Sleep(time.Hour)
		if got := ids(func(*in) {}); got != "nightly" {
			t.Error(got)
		}
		e.db.LoseClusterSnapshot(e.w, home, region, "nightly")
		if got := e.db.ClusterSnapshots(e.w, home, region); len(got) != 1 || got[0].ID != job {
			t.Errorf("%+v", got)
		}
	})
}

func TestRestoreCluster(t *testing.T) {
	run(t, func(e env) {
		e.cluster("main", "aurora-postgresql")
		e.must(e.snapCluster("main", "nightly"))
		restore := func(fs ...func(*awsrds.RestoreDBClusterFromSnapshotInput)) error {
			in := &awsrds.RestoreDBClusterFromSnapshotInput{DBClusterIdentifier: aws.String("Copy"), SnapshotIdentifier: aws.String("nightly"), Engine: aws.String("aurora-postgresql")}
			for _, f := range fs {
				f(in)
			}
			_, err := e.c.RestoreDBClusterFromSnapshot(e.ctx, in)
			return err
		}
		e.want("not complete", restore(), "InvalidDBClusterSnapshotStateFault")
		time.Sleep(4 * time.Hour)
		type in = awsrds.RestoreDBClusterFromSnapshotInput
		for name, tt := range map[string]struct {
			f    func(*in)
			want string
		}{
			"snapshot": {func(i *in) { i.SnapshotIdentifier = aws.String("nothing") }, "DBClusterSnapshotNotFoundFault"},
			"elsewhere": {func(i *in) {
				i.SnapshotIdentifier = aws.String("arn:aws:rds:eu-west-1:" + other + ":cluster-snapshot:nightly")
			}, "DBClusterSnapshotNotFoundFault"},
			"taken":   {func(i *in) { i.DBClusterIdentifier = aws.String("main") }, "DBClusterAlreadyExistsFault"},
			"engine":  {func(i *in) { i.Engine = aws.String("aurora-mysql") }, "InvalidRestoreFault"},
			"subnets": {func(i *in) { i.DBSubnetGroupName = aws.String("none") }, "DBSubnetGroupNotFoundFault"},
			"key":     {func(i *in) { i.KmsKeyId = aws.String("none") }, "KMSKeyNotAccessibleFault"},
		} {
			e.want(name, restore(tt.f), tt.want)
		}
		e.must(restore(func(i *in) { i.KmsKeyId = aws.String("alias/aws/rds") }))
		time.Sleep(4 * time.Hour)
		if c := e.clusterNow("copy"); *c.Status != "available" || !*c.StorageEncrypted || len(c.DBClusterMembers) != 0 || !*c.PubliclyAccessible {
			t.Errorf("%+v", c)
		}
		e.db.ExposeCluster(e.w, home, region, "copy", false, "sg-1")
		if all := e.db.Clusters(e.w, home, region); len(all) != 2 || all[0].PubliclyAccessible || all[0].SecurityGroups[0] != "sg-1" {
			t.Errorf("%+v", all)
		}
	})
}

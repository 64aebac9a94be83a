package rdssim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func TestSnapshotLife(t *testing.T) {
	run(t, func(e env) {
		i := e.make("Orders", func(in *awsrds.CreateDBInstanceInput) { in.StorageEncrypted = aws.Bool(true) })
		if *i.DBInstanceIdentifier != "orders" || *i.DBInstanceStatus != "available" || !strings.HasPrefix(*i.KmsKeyId, "arn:aws:kms:eu-west-1:"+home+":key/") {
			t.Fatalf("%s is %s under %s", *i.DBInstanceIdentifier, *i.DBInstanceStatus, *i.KmsKeyId)
		}
		start := time.Now()
		e.must(e.snap("ORDERS", "Before-Deploy", "team", "billing"))
		s, err := e.snapshot("BEFORE-deploy")
		e.must(err)
		if *s.DBSnapshotIdentifier != "before-deploy" || *s.Status != "creating" || s.SnapshotCreateTime != nil || *s.PercentProgress != 0 ||
			*s.DBSnapshotArn != "arn:aws:rds:eu-west-1:"+home+":snapshot:before-deploy" || *s.KmsKeyId != *i.KmsKeyId || *s.DbiResourceId != *i.DbiResourceId {
			t.Errorf("while creating: %+v", s)
		}
		if got := *e.instance("orders").DBInstanceStatus; got != "backing-up" {
			t.Errorf("the instance is %s", got)
		}
		e.want("a second one meanwhile", e.snap("orders", "another"), "InvalidDBInstanceState")
		e.want("the same name meanwhile", e.snap("orders", "before-DEPLOY"), "DBSnapshotAlreadyExists")
		_, err = e.c.DeleteDBSnapshot(e.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: s.DBSnapshotIdentifier})
		e.want("deleting while creating", err, "InvalidDBSnapshotState")
		last, polls := int32(0), 0
		for *s.Status == "creating" {
			time.Sleep(10 * time.Second)
			s, err = e.snapshot("before-deploy")
			e.must(err)
			if *s.PercentProgress < last {
				t.Errorf("progress went from %d to %d", last, *s.PercentProgress)
			}
			last = *s.PercentProgress
			polls++
		}
		if *s.Status != "available" || last != 100 || polls < 2 || s.SnapshotCreateTime == nil || s.SnapshotCreateTime.Sub(start) > time.Second {
			t.Errorf("after %d polls: %s, %d%%, %v", polls, *s.Status, last, s.SnapshotCreateTime)
		}
		if diff := cmp.Diff(map[string]string{"team": "billing"}, tags(s.TagList)); diff != "" {
			t.Error(diff)
		}
		if got := *e.instance("orders").DBInstanceStatus; got != "available" {
			t.Errorf("the instance is %s again", got)
		}
		_, err = e.c.DeleteDBSnapshot(e.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: s.DBSnapshotIdentifier})
		e.must(err)
		if got := e.status("before-deploy"); got != "deleting" {
			t.Errorf("just deleted: %s", got)
		}
		time.Sleep(time.Minute)
		if got := e.status("before-deploy"); got != "DBSnapshotNotFound" {
			t.Errorf("deleted: %s", got)
		}
		// A stale read still sees it, and a new one of the name is another.
		e.must(e.snap("orders", "before-deploy"))
		stale := e.w.Inject(awssim.Fault{Kind: awssim.FaultStale, Back: 61 * time.Second})
		if got := e.status("before-deploy"); got != "available" {
			t.Errorf("a stale read: %s", got)
		}
		blind := e.w.Inject(awssim.Fault{Kind: awssim.FaultBlind})
		if got := e.status("before-deploy"); got != "DBSnapshotNotFound" {
			t.Errorf("a blind read: %s", got)
		}
		if stale.Fired() != 1 || blind.Fired() != 1 {
			t.Error("a fault did not fire")
		}
		if got := e.status("before-deploy"); got != "creating" {
			t.Errorf("the new one: %s", got)
		}
	})
}

func tags(list []rdstypes.Tag) map[string]string {
	m := map[string]string{}
	for _, t := range list {
		m[*t.Key] = *t.Value
	}
	return m
}

func TestSnapshotRefusals(t *testing.T) {
	run(t, func(e env) {
		e.make("orders")
		e.cluster("Cluster", "aurora-postgresql")
		e.make("member", of("Cluster"))
		for _, tt := range []struct{ instance, id, want string }{
			{"orders", "1st", "InvalidParameterValue"}, {"orders", "a--b", "InvalidParameterValue"}, {"orders", "a-", "InvalidParameterValue"},
			{"orders", "a_b", "InvalidParameterValue"}, {"orders", strings.Repeat("a", 256), "InvalidParameterValue"},
			{"nothing", "a", "DBInstanceNotFound"}, {"member", "a", "InvalidParameterValue"},
			{"arn:aws:rds:eu-west-1:" + other + ":db:orders", "a", "DBInstanceNotFound"},
			{"orders", strings.Repeat("a", 255), ""},
		} {
			e.want(tt.instance+" "+tt.id[:min(9, len(tt.id))], e.snap(tt.instance, tt.id), tt.want)
		}
		time.Sleep(24 * time.Hour)
		e.want("a reserved tag", e.snap("orders", "b", "aws:x", "y"), "InvalidParameterValue")
		for status, want := range map[string]string{"maintenance": "InvalidDBInstanceState", "stopped": "InvalidDBInstanceState", "storage-optimization": ""} {
			e.db.SetStatus(e.w, home, region, "orders", status, time.Hour)
			if got := *e.instance("orders").DBInstanceStatus; got != status {
				t.Errorf("the status is %s, not %s", got, status)
			}
			e.want(status, e.snap("orders", "in-"+status), want)
			time.Sleep(25 * time.Hour)
		}
		// Two are there: the third fills the quota.
		e.db.SetQuotas(e.w, 3, 0)
		e.must(e.snap("orders", "third"))
		time.Sleep(24 * time.Hour)
		err := e.snap("orders", "fourth")
		e.want("beyond the quota", err, "SnapshotQuotaExceeded")
		if err == nil || !strings.Contains(err.Error(), "Cannot create more than 3 manual snapshots") {
			t.Errorf("the message: %v", err)
		}
		_, err = e.c.DeleteDBSnapshot(e.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String("third")})
		e.must(err)
		e.w.Inject(awssim.Fault{Operation: "CreateDBSnapshot", Kind: awssim.FaultAsync})
		e.must(e.snap("orders", "fourth"))
		time.Sleep(24 * time.Hour)
		if s, err := e.snapshot("fourth"); err != nil || *s.Status != "failed" {
			t.Errorf("a doomed one: %v %v", aws.ToString(s.Status), err)
		}
		_, err = e.c.DeleteDBSnapshot(e.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String("nothing")})
		e.want("deleting nothing", err, "DBSnapshotNotFound")
		e.db.SetSnapshotStatus(e.w, home, region, "in-storage-optimization", "polishing", time.Minute)
		if got := e.status("in-storage-optimization"); got != "polishing" {
			t.Errorf("held by AWS: %s", got)
		}
		time.Sleep(time.Minute)
		if got := e.status("in-storage-optimization"); got != "available" {
			t.Errorf("no longer held by AWS: %s", got)
		}
		e.db.FailSnapshot(e.w, home, region, "in-storage-optimization")
		if got := e.status("in-storage-optimization"); got != "failed" {
			t.Errorf("failed by AWS: %s", got)
		}
	})
}

func TestDescribeSnapshots(t *testing.T) {
	run(t, func(e env) {
		for _, id := range []string{"a", "b"} {
			e.make(id, func(in *awsrds.CreateDBInstanceInput) {
				if id == "b" {
					in.Engine = aws.String("mysql")
				}
			})
		}
		long := time.Now().Add(-1000 * time.Hour)
		e.db.SeedSnapshots(e.w, home, region, "a", 45, long, time.Hour, map[string]string{"n": "a"})
		e.db.SeedSnapshots(e.w, home, region, "b", 30, long, time.Hour, nil)
		auto := e.db.AddAutomatedSnapshot(e.w, home, region, "a", time.Now().Add(-time.Hour))
		vault := e.db.AddBackupServiceSnapshot(e.w, home, region, "a", time.Now().Add(-time.Hour))
		if !strings.HasPrefix(auto, "rds:a-") || !strings.HasPrefix(vault, "awsbackup:job-") {
			t.Fatal(auto, vault)
		}
		resource := *e.instance("b").DbiResourceId
		arn := "arn:aws:rds:eu-west-1:" + home + ":"
		filter := func(name string, values ...string) func(*awsrds.DescribeDBSnapshotsInput) {
			return func(in *awsrds.DescribeDBSnapshotsInput) {
				in.Filters = append(in.Filters, rdstypes.Filter{Name: &name, Values: values})
			}
		}
		stamp := long.UTC().Format("20060102-150405")
		first := "a-" + stamp + "-000001"
		for _, tt := range []struct {
			name string
			set  func(*awsrds.DescribeDBSnapshotsInput)
			n    int
			code string
		}{
			{"all", func(*awsrds.DescribeDBSnapshotsInput) {}, 76, ""},
			{"by instance", func(in *awsrds.DescribeDBSnapshotsInput) { in.DBInstanceIdentifier = aws.String("A") }, 46, ""},
			{"by instance ARN", func(in *awsrds.DescribeDBSnapshotsInput) { in.DBInstanceIdentifier = aws.String(arn + "db:b") }, 30, ""},
			{"by resource", func(in *awsrds.DescribeDBSnapshotsInput) { in.DbiResourceId = &resource }, 30, ""},
			{"by an unknown instance", func(in *awsrds.DescribeDBSnapshotsInput) { in.DBInstanceIdentifier = aws.String("c") }, 0, ""},
			{"by type", func(in *awsrds.DescribeDBSnapshotsInput) { in.SnapshotType = aws.String("automated") }, 1, ""},
			{"AWS Backup's", func(in *awsrds.DescribeDBSnapshotsInput) { in.SnapshotType = aws.String("awsbackup") }, 1, ""},
			{"shared", func(in *awsrds.DescribeDBSnapshotsInput) { in.SnapshotType = aws.String("shared") }, 0, ""},
			{"an unknown type", func(in *awsrds.DescribeDBSnapshotsInput) { in.SnapshotType = aws.String("final") }, 0, "InvalidParameterValue"},
			{"one", func(in *awsrds.DescribeDBSnapshotsInput) { in.DBSnapshotIdentifier = &first }, 1, ""},
			{"one by ARN", func(in *awsrds.DescribeDBSnapshotsInput) {
				in.DBSnapshotIdentifier = aws.String(arn + "snapshot:" + first)
			}, 1, ""},
			{"one by another account's ARN", func(in *awsrds.DescribeDBSnapshotsInput) {
				in.DBSnapshotIdentifier = aws.String("arn:aws:rds:eu-west-1:" + other + ":snapshot:" + first)
			}, 0, "DBSnapshotNotFound"},
			{"an unknown one", func(in *awsrds.DescribeDBSnapshotsInput) { in.DBSnapshotIdentifier = aws.String("nothing") }, 0, "DBSnapshotNotFound"},
			{"an automated one", func(in *awsrds.DescribeDBSnapshotsInput) { in.DBSnapshotIdentifier = &auto }, 0, "DBSnapshotNotFound"},
			{"an automated one with its type", func(in *awsrds.DescribeDBSnapshotsInput) {
				in.DBSnapshotIdentifier, in.SnapshotType = &auto, aws.String("automated")
			}, 1, ""},
			{"several", filter("db-snapshot-id", first, "b-"+stamp+"-000030", "nothing"), 2, ""},
			{"of several", filter("db-instance-id", "a", "b"), 76, ""},
			{"of a resource", filter("dbi-resource-id", resource), 30, ""},
			{"of an engine", filter("engine", "mysql"), 30, ""},
			{"of two kinds", func(in *awsrds.DescribeDBSnapshotsInput) {
				filter("db-instance-id", "a")(in)
				filter("snapshot-type", "automated")(in)
			}, 1, ""},
			{"of an unknown filter", filter("tag:n", "a"), 0, "InvalidParameterValue"},
			{"of a filter without values", filter("engine", []string{}...), 0, "InvalidParameterCombination"},
			{"too small a page", func(in *awsrds.DescribeDBSnapshotsInput) { in.MaxRecords = aws.Int32(19) }, 0, "InvalidParameterValue"},
			{"too large a page", func(in *awsrds.DescribeDBSnapshotsInput) { in.MaxRecords = aws.Int32(101) }, 0, "InvalidParameterValue"},
			{"a bad marker", func(in *awsrds.DescribeDBSnapshotsInput) { in.Marker = aws.String("?") }, 0, "InvalidParameterValue"},
		} {
			in := &awsrds.DescribeDBSnapshotsInput{MaxRecords: aws.Int32(20)}
			tt.set(in)
			var ids []string
			var err error
			p := awsrds.NewDescribeDBSnapshotsPaginator(e.c, in)
			for p.HasMorePages() && err == nil {
				var out *awsrds.DescribeDBSnapshotsOutput
				if out, err = p.NextPage(e.ctx); err == nil {
					if len(out.DBSnapshots) > 20 {
						t.Errorf("%s: a page of %d", tt.name, len(out.DBSnapshots))
					}
					for _, s := range out.DBSnapshots {
						ids = append(ids, *s.DBSnapshotIdentifier)
					}
				}
			}
			e.want(tt.name, err, tt.code)
			if len(ids) != tt.n || !slices.IsSorted(ids) || len(slices.Compact(ids)) != tt.n {
				t.Errorf("%s: %d snapshots, want %d", tt.name, len(ids), tt.n)
			}
		}
		// Automated and AWS Backup's can not be deleted.
		for _, id := range []string{auto, vault} {
			_, err := e.c.DeleteDBSnapshot(e.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: &id})
			e.want(id, err, "InvalidDBSnapshotState")
		}
		// What is given out is a copy.
		s, err := e.snapshot(first)
		e.must(err)
		*s.Status, *s.TagList[0].Value = "changed", "changed"
		if s, _ := e.snapshot(first); *s.Status != "available" || *s.TagList[0].Value != "a" {
			t.Errorf("%s, %s", *s.Status, *s.TagList[0].Value)
		}
		// Another account and another Region see nothing of it.
		for _, cfg := range []aws.Config{e.w.Config(other, region), e.w.Config(home, "eu-central-1")} {
			out, err := awsrds.NewFromConfig(cfg).DescribeDBSnapshots(e.ctx, &awsrds.DescribeDBSnapshotsInput{})
			e.must(err)
			if len(out.DBSnapshots) != 0 {
				t.Errorf("%d snapshots elsewhere", len(out.DBSnapshots))
			}
		}
		truth := e.db.Snapshots(e.w, home, region)
		if len(truth) != 77 || len(e.db.Snapshots(e.w, other, region)) != 0 || truth[0].Tags["n"] != "a" || truth[0].Status != "available" {
			t.Errorf("%d snapshots in truth; the first is %+v", len(truth), truth[0])
		}
	})
}

func TestLoseSnapshot(t *testing.T) {
	run(t, func(e env) {
		e.make("orders")
		e.db.SetQuotas(e.w, 1, 0)
		e.must(e.snap("orders", "a"))
		for range 2 { // the second time there is nothing to lose
			e.db.LoseSnapshot(e.w, home, region, "A")
		}
		if got := e.status("a"); got != "DBSnapshotNotFound" {
			t.Errorf("lost: %s", got)
		}
		time.Sleep(10 * time.Hour)
		e.must(e.snap("orders", "b"))
		time.Sleep(10 * time.Hour)
		e.want("beyond the quota", e.snap("orders", "c"), "SnapshotQuotaExceeded")
	})
}

func TestVisibilityLag(t *testing.T) {
	run(t, func(e env) {
		e.make("orders")
		e.w.SetLag(45 * time.Second)
		e.must(e.snap("orders", "fresh"))
		if got := e.status("fresh"); got != "DBSnapshotNotFound" {
			t.Errorf("at once: %s", got)
		}
		e.want("the name is taken", e.snap("orders", "fresh"), "DBSnapshotAlreadyExists")
		if len(e.db.Snapshots(e.w, home, region)) != 1 {
			t.Error("the truth lags")
		}
		time.Sleep(45 * time.Second)
		if got := e.status("fresh"); got != "creating" {
			t.Errorf("after the lag: %s", got)
		}
	})
}

func TestThrottling(t *testing.T) {
	run(t, func(e env) {
		e.make("orders")
		n := 0
		var err error
		for ; err == nil; n++ {
			_, err = e.c.DescribeDBInstances(e.ctx, &awsrds.DescribeDBInstancesInput{}, e.once)
		}
		e.want("when the bucket is empty", err, "ThrottlingException")
		if n != 300 || !strings.Contains(err.Error(), "Rate exceeded") || !strings.Contains(err.Error(), "StatusCode: 400") {
			t.Errorf("after %d calls: %v", n, err)
		}
		// It is one bucket for all operations, and each account has its own.
		e.want("another operation", e.snapOnce("orders", "x"), "ThrottlingException")
		_, err = awsrds.NewFromConfig(e.w.Config(other, region)).DescribeDBInstances(e.ctx, &awsrds.DescribeDBInstancesInput{}, e.once)
		e.want("another account", err, "")
		time.Sleep(time.Second)
		for n = 0; err == nil; n++ {
			_, err = e.c.DescribeDBInstances(e.ctx, &awsrds.DescribeDBInstancesInput{}, e.once)
		}
		if n != 13 {
			t.Errorf("%d calls a second", n-1)
		}
	})
}

func (e env) snapOnce(instance, id string) error {
	_, err := e.c.CreateDBSnapshot(e.ctx, &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: &instance, DBSnapshotIdentifier: &id}, e.once)
	return err
}

// TestMany holds that a hundred thousand snapshots stay usable.
func TestMany(t *testing.T) {
	run(t, func(e env) {
		e.w.SetThrottling(false)
		ids := e.db.SeedInstances(e.w, home, region, "db", 100, map[string]string{"backup": "daily"})
		for _, id := range ids {
			e.db.SeedSnapshots(e.w, home, region, id, 1000, time.Now().Add(-10000*time.Hour), time.Hour, nil)
		}
		e.db.SetQuotas(e.w, 200_000, 200)
		n := 0
		p := awsrds.NewDescribeDBSnapshotsPaginator(e.c, &awsrds.DescribeDBSnapshotsInput{})
		for p.HasMorePages() {
			out, err := p.NextPage(e.ctx)
			e.must(err)
			n += len(out.DBSnapshots)
		}
		if n != 100_000 {
			t.Errorf("%d snapshots", n)
		}
		for i, id := range ids {
			e.must(e.snap(id, fmt.Sprintf("x%d", i)))
			if got := e.status(fmt.Sprintf("x%d", i)); got != "creating" {
				t.Fatal(got)
			}
		}
	})
}

package rdssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"
)

const far = "eu-central-1"

func arn(kind, id string) string { return "arn:aws:rds:" + region + ":" + home + ":" + kind + ":" + id }

func TestCopy(t *testing.T) {
	run(t, func(e env) {
		there := awsrds.NewFromConfig(e.w.Config(home, far))
		k, err := awskms.NewFromConfig(e.w.Config(home, far)).CreateKey(e.ctx, &awskms.CreateKeyInput{})
		e.must(err)
		key := *k.KeyMetadata.Arn
		_, err = e.c.CreateOptionGroup(e.ctx, &awsrds.CreateOptionGroupInput{OptionGroupName: aws.String("mine"), EngineName: aws.String("postgres"), MajorEngineVersion: aws.String("16"),
			OptionGroupDescription: aws.String("d")})
		e.must(err)
		e.make("plain")
		e.make("orders", func(in *awsrds.CreateDBInstanceInput) { in.StorageEncrypted = aws.Bool(true) })
		e.make("special", func(in *awsrds.CreateDBInstanceInput) { in.OptionGroupName = aws.String("mine") })
		e.must(e.snap("plain", "p"))
		e.must(e.snap("special", "s"))
		e.must(e.snap("orders", "o", "k", "v", "l", "w"))
		type in = awsrds.CopyDBSnapshotInput
		try := func(c *awsrds.Client, fs ...func(*in)) error {
			i := &in{SourceDBSnapshotIdentifier: aws.String("p"), TargetDBSnapshotIdentifier: aws.String("Copy")}
			for _, f := range fs {
				f(i)
			}
			_, err := c.CopyDBSnapshot(e.ctx, i)
			return err
		}
		from := func(id string) func(*in) {
			return func(i *in) { i.SourceDBSnapshotIdentifier = aws.String(arn("snapshot", id)) }
		}
		under := func(id string) func(*in) { return func(i *in) { i.KmsKeyId = &id } }
		e.want("not complete", try(e.c), "InvalidDBSnapshotState")
		time.Sleep(4 * time.Hour)
		e.want("not there", try(there), "DBSnapshotNotFound")
		e.want("of another account", try(e.c, func(i *in) {
			i.SourceDBSnapshotIdentifier = aws.String("arn:aws:rds:eu-west-1:" + other + ":snapshot:p")
		}), "DBSnapshotNotFound")
		e.want("name", try(e.c, func(i *in) { i.TargetDBSnapshotIdentifier = aws.String("a--b") }), "InvalidParameterValue")
		e.want("taken", try(e.c, func(i *in) { i.TargetDBSnapshotIdentifier = aws.String("o") }), "DBSnapshotAlreadyExists")
		e.want("no key", try(there, from("o")), "InvalidParameterCombination")
		e.want("another Region's key", try(e.c, under(key)), "KMSKeyNotAccessibleFault")
		e.want("option group", try(there, from("s")), "InvalidParameterCombination")
		e.want("unknown option group", try(there, from("s"), func(i *in) { i.OptionGroupName = aws.String("none") }), "InvalidParameterValue")
		e.want("a URL for elsewhere", try(there, from("o"), under(key), func(i *in) {
			i.PreSignedUrl = aws.String("https://rds.us-east-1.amazonaws.com/?DestinationRegion=eu-central-1")
		}),
			"InvalidParameterValue")
		e.must(try(there, from("o"), under(key), func(i *in) {
			i.SourceRegion, i.CopyTags, i.Tags = aws.String(region), aws.Bool(true), []rdstypes.Tag{{Key: aws.String("l"), Value: aws.String("mine")}}
		}))
		out, err := there.DescribeDBSnapshots(e.ctx, &awsrds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: aws.String("copy")})
		e.must(err)
		if p := out.DBSnapshots[0]; *p.Status != "copying" || *p.SourceRegion != region || *p.SourceDBSnapshotIdentifier != arn("snapshot", "o") || *p.KmsKeyId != key || *p.DBInstanceIdentifier != "orders" {
			t.Errorf("%+v", p)
		}
		time.Sleep(4 * time.Hour)
		out, err = there.DescribeDBSnapshots(e.ctx, &awsrds.DescribeDBSnapshotsInput{DBSnapshotIdentifier: aws.String("copy")})
		e.must(err)
		p, o := out.DBSnapshots[0], e.must1(e.snapshot("o"))
		if *p.Status != "available" || !p.OriginalSnapshotCreateTime.Equal(*o.SnapshotCreateTime) || !p.SnapshotCreateTime.After(*o.SnapshotCreateTime) {
			t.Errorf("%+v", p)
		}
		if diff := cmp.Diff(map[string]string{"k": "v", "l": "mine"}, tags(p.TagList)); diff != "" {
			t.Error(diff)
		}
		// Within the Region an unencrypted one can be encrypted; a copy whose source goes meanwhile fails, and one that is deleted is canceled.
		e.must(try(e.c, under("alias/aws/rds")))
		if c := e.must1(e.snapshot("copy")); !*c.Encrypted || c.SourceRegion != nil || len(c.TagList) != 0 {
			t.Errorf("%+v", c)
		}
		_, err = e.c.DeleteDBSnapshot(e.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String("p")})
		e.must(err)
		time.Sleep(4 * time.Hour)
		if got := e.status("copy"); got != "failed" {
			t.Error(got)
		}
		e.db.SetCopyQuotas(e.w, 1, 1)
		second := func(i *in) { i.TargetDBSnapshotIdentifier = aws.String("second") }
		third := func(i *in) { i.TargetDBSnapshotIdentifier = aws.String("third") }
		e.must(try(there, from("o"), under(key), second))
		e.want("in flight", try(there, from("o"), under(key), third), "SnapshotQuotaExceeded")
		_, err = there.DeleteDBSnapshot(e.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String("second")})
		e.must(err)
		e.must(try(there, from("o"), under(key), third))
		groups, err := e.c.DescribeOptionGroups(e.ctx, &awsrds.DescribeOptionGroupsInput{})
		if err != nil || len(groups.OptionGroupsList) != 1 || *groups.OptionGroupsList[0].EngineName != "postgres" {
			t.Errorf("%+v %v", groups, err)
		}
		_, err = there.DescribeOptionGroups(e.ctx, &awsrds.DescribeOptionGroupsInput{OptionGroupName: aws.String("mine")})
		e.want("a group of another Region", err, "OptionGroupNotFoundFault")
	})
}

func TestCopyCluster(t *testing.T) {
	run(t, func(e env) {
		there := awsrds.NewFromConfig(e.w.Config(home, far))
		e.cluster("main", "aurora-postgresql")
		e.cluster("multi", "postgres")
		e.must(e.snapCluster("main", "m"))
		e.must(e.snapCluster("multi", "z"))
		time.Sleep(4 * time.Hour)
		try := func(c *awsrds.Client, source, target, key string) error {
			i := &awsrds.CopyDBClusterSnapshotInput{SourceDBClusterSnapshotIdentifier: &source, TargetDBClusterSnapshotIdentifier: &target}
			if key != "" {
				i.KmsKeyId = &key
			}
			_, err := c.CopyDBClusterSnapshot(e.ctx, i)
			return err
		}
		e.want("Multi-AZ", try(there, arn("cluster-snapshot", "z"), "c", ""), "InvalidParameterValue")
		e.want("encrypting", try(there, arn("cluster-snapshot", "m"), "c", "alias/aws/rds"), "InvalidParameterCombination")
		e.want("an instance's", try(there, arn("snapshot", "m"), "c", ""), "DBClusterSnapshotNotFoundFault")
		for n, id := range []string{"a", "b", "c", "d", "e", "f"} {
			want := ""
			if n == 5 {
				want = "SnapshotQuotaExceeded"
			}
			e.want(id, try(there, arn("cluster-snapshot", "m"), id, ""), want)
		}
		e.want("taken", try(there, arn("cluster-snapshot", "m"), "a", ""), "DBClusterSnapshotAlreadyExistsFault")
		time.Sleep(5 * time.Hour)
		out, err := there.DescribeDBClusterSnapshots(e.ctx, &awsrds.DescribeDBClusterSnapshotsInput{})
		e.must(err)
		for _, p := range out.DBClusterSnapshots {
			if *p.Status != "available" || *p.SourceDBClusterSnapshotArn != arn("cluster-snapshot", "m") {
				t.Errorf("%+v", p)
			}
		}
	})
}

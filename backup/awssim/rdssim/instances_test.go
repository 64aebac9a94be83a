package rdssim_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
)

func TestInstances(t *testing.T) {
	run(t, func(e env) {
		create := func(fs ...func(*awsrds.CreateDBInstanceInput)) error {
			in := &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String("x"), DBInstanceClass: aws.String("db.t4g.medium"), Engine: aws.String("mysql")}
			for _, f := range fs {
				f(in)
			}
			_, err := e.c.CreateDBInstance(e.ctx, in)
			return err
		}
		e.cluster("one", "aurora-postgresql")
		e.make("orders", of("one"))
		for name, tt := range map[string]struct {
			set  func(*awsrds.CreateDBInstanceInput)
			code string
		}{
			"name":         {func(in *awsrds.CreateDBInstanceInput) { in.DBInstanceIdentifier = aws.String(strings.Repeat("x", 64)) }, "InvalidParameterValue"},
			"taken":        {func(in *awsrds.CreateDBInstanceInput) { in.DBInstanceIdentifier = aws.String("ORDERS") }, "DBInstanceAlreadyExists"},
			"class":        {func(in *awsrds.CreateDBInstanceInput) { in.DBInstanceClass = aws.String("t4g.medium") }, "InvalidParameterValue"},
			"subnet group": {func(in *awsrds.CreateDBInstanceInput) { in.DBSubnetGroupName = aws.String("nothing") }, "DBSubnetGroupNotFoundFault"},
			"group":        {func(in *awsrds.CreateDBInstanceInput) { in.VpcSecurityGroupIds = []string{"web"} }, "InvalidParameterValue"},
			"port":         {func(in *awsrds.CreateDBInstanceInput) { in.Port = aws.Int32(80) }, "InvalidParameterValue"},
			"zone":         {func(in *awsrds.CreateDBInstanceInput) { in.AvailabilityZone = aws.String("us-east-1a") }, "InvalidVPCNetworkStateFault"},
			"zones": {func(in *awsrds.CreateDBInstanceInput) {
				in.MultiAZ, in.AvailabilityZone = aws.Bool(true), aws.String("eu-west-1a")
			}, "InvalidParameterCombination"},
			"storage":    {func(in *awsrds.CreateDBInstanceInput) { in.StorageType = aws.String("tape") }, "StorageTypeNotSupported"},
			"parameters": {func(in *awsrds.CreateDBInstanceInput) { in.DBParameterGroupName = aws.String("nothing") }, "DBParameterGroupNotFound"},
			"options":    {func(in *awsrds.CreateDBInstanceInput) { in.OptionGroupName = aws.String("nothing") }, "OptionGroupNotFoundFault"},
			"retention":  {func(in *awsrds.CreateDBInstanceInput) { in.BackupRetentionPeriod = aws.Int32(36) }, "InvalidParameterValue"},
			"key alone":  {func(in *awsrds.CreateDBInstanceInput) { in.KmsKeyId = aws.String("alias/aws/rds") }, "InvalidParameterCombination"},
			"key": {func(in *awsrds.CreateDBInstanceInput) {
				in.StorageEncrypted, in.KmsKeyId = aws.Bool(true), aws.String("alias/no")
			}, "KMSKeyNotAccessibleFault"},
			"tags": {func(in *awsrds.CreateDBInstanceInput) { in.Tags = []rdstypes.Tag{{Key: aws.String("aws:x")}} }, "InvalidParameterValue"},
		} {
			e.want(name, create(tt.set), tt.code)
		}
		_, err := e.c.CreateDBParameterGroup(e.ctx, &awsrds.CreateDBParameterGroupInput{DBParameterGroupName: aws.String("Mine"), DBParameterGroupFamily: aws.String("mysql8.0"), Description: aws.String("d")})
		e.must(err)
		_, err = e.c.CreateOptionGroup(e.ctx, &awsrds.CreateOptionGroupInput{OptionGroupName: aws.String("mine"), EngineName: aws.String("mysql"), MajorEngineVersion: aws.String("8.0"), OptionGroupDescription: aws.String("d")})
		e.must(err)
		_, err = e.c.CreateDBSubnetGroup(e.ctx, &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.String("Private"), DBSubnetGroupDescription: aws.String("d"), SubnetIds: []string{"subnet-1", "subnet-2"}})
		e.must(err)
		_, err = e.c.CreateDBSubnetGroup(e.ctx, &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.String("private"), DBSubnetGroupDescription: aws.String("d"), SubnetIds: []string{"subnet-1", "subnet-2"}})
		e.want("a subnet group twice", err, "DBSubnetGroupAlreadyExists")
		_, err = e.c.CreateDBSubnetGroup(e.ctx, &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.String("small"), DBSubnetGroupDescription: aws.String("d"), SubnetIds: []string{"subnet-1"}})
		e.want("one subnet", err, "DBSubnetGroupDoesNotCoverEnoughAZs")
		groups, err := e.c.DescribeDBSubnetGroups(e.ctx, &awsrds.DescribeDBSubnetGroupsInput{})
		e.must(err)
		if len(groups.DBSubnetGroups) != 2 || *groups.DBSubnetGroups[1].DBSubnetGroupName != "private" || len(groups.DBSubnetGroups[1].Subnets) != 2 {
			t.Errorf("%+v", groups.DBSubnetGroups)
		}
		_, err = e.c.DescribeDBSubnetGroups(e.ctx, &awsrds.DescribeDBSubnetGroupsInput{DBSubnetGroupName: aws.String("nothing")})
		e.want("an unknown subnet group", err, "DBSubnetGroupNotFoundFault")
		e.must(create(func(in *awsrds.CreateDBInstanceInput) {
			in.DBParameterGroupName, in.OptionGroupName, in.DBSubnetGroupName = aws.String("mine"), aws.String("mine"), aws.String("private")
			in.VpcSecurityGroupIds = []string{"sg-2", "sg-1"}
		}))
		x := e.instance("x")
		if *x.DBInstanceStatus != "creating" || x.Endpoint != nil || *x.PubliclyAccessible || len(x.VpcSecurityGroups) != 2 {
			t.Errorf("while creating: %+v", x)
		}
		time.Sleep(2 * time.Hour)
		if x = e.instance("x"); *x.DBInstanceStatus != "available" || x.Endpoint == nil || *x.Endpoint.Port != 3306 || !strings.HasPrefix(*x.Endpoint.Address, "x.") {
			t.Errorf("created: %+v", x)
		}
		if o := e.instance("orders"); !*o.PubliclyAccessible {
			t.Error("in the default group, an instance is public unless asked otherwise")
		}
		f := func(name string, values ...string) []rdstypes.Filter {
			return []rdstypes.Filter{{Name: &name, Values: values}}
		}
		for name, tt := range map[string]struct {
			in   awsrds.DescribeDBInstancesInput
			want []string
			code string
		}{
			"all":         {awsrds.DescribeDBInstancesInput{}, []string{"orders", "x"}, ""},
			"one":         {awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("arn:aws:rds:eu-west-1:" + home + ":db:x")}, []string{"x"}, ""},
			"unknown":     {awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("y")}, nil, "DBInstanceNotFound"},
			"ids":         {awsrds.DescribeDBInstancesInput{Filters: f("db-instance-id", "x", "Y")}, []string{"x"}, ""},
			"resource":    {awsrds.DescribeDBInstancesInput{Filters: f("dbi-resource-id", *x.DbiResourceId)}, []string{"x"}, ""},
			"cluster":     {awsrds.DescribeDBInstancesInput{Filters: f("db-cluster-id", "one")}, []string{"orders"}, ""},
			"engine":      {awsrds.DescribeDBInstancesInput{Filters: f("engine", "mysql")}, []string{"x"}, ""},
			"domain":      {awsrds.DescribeDBInstancesInput{Filters: f("domain", "d")}, nil, ""},
			"no filter":   {awsrds.DescribeDBInstancesInput{Filters: f("name", "d")}, nil, "InvalidParameterValue"},
			"small pages": {awsrds.DescribeDBInstancesInput{MaxRecords: aws.Int32(1)}, nil, "InvalidParameterValue"},
		} {
			out, err := e.c.DescribeDBInstances(e.ctx, &tt.in)
			e.want(name, err, tt.code)
			var got []string
			if err == nil {
				for _, i := range out.DBInstances {
					got = append(got, *i.DBInstanceIdentifier)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
		e.db.SetQuotas(e.w, 0, 2)
		e.want("beyond the quota", create(func(in *awsrds.CreateDBInstanceInput) { in.DBInstanceIdentifier = aws.String("y") }), "InstanceQuotaExceeded")
	})
}

func TestModifyAndDelete(t *testing.T) {
	run(t, func(e env) {
		e.make("orders", func(in *awsrds.CreateDBInstanceInput) {
			in.DeletionProtection, in.CopyTagsToSnapshot = aws.Bool(true), aws.Bool(true)
			in.Tags = []rdstypes.Tag{{Key: aws.String("team"), Value: aws.String("billing")}}
		})
		modify := func(in awsrds.ModifyDBInstanceInput) error {
			if in.DBInstanceIdentifier == nil {
				in.DBInstanceIdentifier = aws.String("orders")
			}
			_, err := e.c.ModifyDBInstance(e.ctx, &in)
			time.Sleep(time.Hour)
			return err
		}
		e.want("an unknown one", modify(awsrds.ModifyDBInstanceInput{DBInstanceIdentifier: aws.String("x")}), "DBInstanceNotFound")
		e.must(modify(awsrds.ModifyDBInstanceInput{DBInstanceClass: aws.String("db.m7g.large"), PubliclyAccessible: aws.Bool(false), VpcSecurityGroupIds: []string{"sg-9"}}))
		i := e.instance("orders")
		if *i.DBInstanceClass != "db.t4g.medium" || aws.ToString(i.PendingModifiedValues.DBInstanceClass) != "db.m7g.large" || *i.PubliclyAccessible || *i.VpcSecurityGroups[0].VpcSecurityGroupId != "sg-9" {
			t.Errorf("%+v", i)
		}
		e.must(modify(awsrds.ModifyDBInstanceInput{ApplyImmediately: aws.Bool(true)}))
		if i = e.instance("orders"); *i.DBInstanceClass != "db.m7g.large" || i.PendingModifiedValues.DBInstanceClass != nil {
			t.Errorf("%+v", i)
		}
		del := func(in awsrds.DeleteDBInstanceInput) error {
			in.DBInstanceIdentifier = aws.String("orders")
			_, err := e.c.DeleteDBInstance(e.ctx, &in)
			return err
		}
		e.want("protected", del(awsrds.DeleteDBInstanceInput{SkipFinalSnapshot: aws.Bool(true)}), "InvalidParameterCombination")
		e.must(modify(awsrds.ModifyDBInstanceInput{DeletionProtection: aws.Bool(false), BackupRetentionPeriod: aws.Int32(7), CopyTagsToSnapshot: aws.Bool(true)}))
		e.want("neither", del(awsrds.DeleteDBInstanceInput{}), "InvalidParameterCombination")
		e.want("both", del(awsrds.DeleteDBInstanceInput{SkipFinalSnapshot: aws.Bool(true), FinalDBSnapshotIdentifier: aws.String("last")}), "InvalidParameterCombination")
		e.db.SetStatus(e.w, home, region, "orders", "incompatible-network", time.Minute)
		e.want("incompatible", del(awsrds.DeleteDBInstanceInput{FinalDBSnapshotIdentifier: aws.String("last")}), "InvalidDBInstanceState")
		time.Sleep(time.Hour)
		auto := e.db.AddAutomatedSnapshot(e.w, home, region, "orders", time.Now())
		before := *e.instance("orders").DbiResourceId
		e.must(del(awsrds.DeleteDBInstanceInput{FinalDBSnapshotIdentifier: aws.String("Last")}))
		e.want("again", del(awsrds.DeleteDBInstanceInput{SkipFinalSnapshot: aws.Bool(true)}), "InvalidDBInstanceState")
		if got := *e.instance("orders").DBInstanceStatus; got != "deleting" {
			t.Errorf("it is %s", got)
		}
		time.Sleep(24 * time.Hour)
		_, err := e.c.DescribeDBInstances(e.ctx, &awsrds.DescribeDBInstancesInput{DBInstanceIdentifier: aws.String("orders")})
		e.want("gone", err, "DBInstanceNotFound")
		s, err := e.snapshot("last")
		e.must(err)
		if diff := cmp.Diff(map[string]string{"team": "billing"}, tags(s.TagList)); diff != "" || *s.Status != "available" {
			t.Errorf("the final snapshot is %s: %s", *s.Status, diff)
		}
		for _, x := range e.db.Snapshots(e.w, home, region) {
			if x.ID == auto {
				t.Error("the automated snapshot stayed")
			}
		}
		if i := e.make("orders"); *i.DbiResourceId == before {
			t.Error("a new instance has the resource id of the old one")
		}
	})
}

func TestRestore(t *testing.T) {
	run(t, func(e env) {
		keys := awskms.NewFromConfig(e.w.Config(home, region))
		k, err := keys.CreateKey(e.ctx, &awskms.CreateKeyInput{})
		e.must(err)
		e.make("orders", func(in *awsrds.CreateDBInstanceInput) {
			in.StorageEncrypted, in.KmsKeyId, in.Port = aws.Bool(true), k.KeyMetadata.KeyId, aws.Int32(6000)
			in.Tags = []rdstypes.Tag{{Key: aws.String("team"), Value: aws.String("billing")}}
		})
		restore := func(fs ...func(*awsrds.RestoreDBInstanceFromDBSnapshotInput)) error {
			in := &awsrds.RestoreDBInstanceFromDBSnapshotInput{DBInstanceIdentifier: aws.String("copy"), DBSnapshotIdentifier: aws.String("s")}
			for _, f := range fs {
				f(in)
			}
			_, err := e.c.RestoreDBInstanceFromDBSnapshot(e.ctx, in)
			return err
		}
		e.want("no snapshot", restore(), "DBSnapshotNotFound")
		e.must(e.snap("orders", "s"))
		e.want("too early", restore(), "InvalidDBSnapshotState")
		time.Sleep(24 * time.Hour)
		type in = awsrds.RestoreDBInstanceFromDBSnapshotInput
		for name, tt := range map[string]struct {
			set  func(*in)
			code string
		}{
			"taken":    {func(i *in) { i.DBInstanceIdentifier = aws.String("Orders") }, "DBInstanceAlreadyExists"},
			"cluster":  {func(i *in) { i.DBSnapshotIdentifier, i.DBClusterSnapshotIdentifier = nil, aws.String("c") }, "DBClusterSnapshotNotFoundFault"},
			"neither":  {func(i *in) { i.DBSnapshotIdentifier = nil }, "InvalidParameterCombination"},
			"engine":   {func(i *in) { i.Engine = aws.String("mysql") }, "InvalidRestoreFault"},
			"size":     {func(i *in) { i.AllocatedStorage = aws.Int32(20) }, "InvalidParameterValue"},
			"class":    {func(i *in) { i.DBInstanceClass = aws.String("large") }, "InvalidParameterValue"},
			"subnets":  {func(i *in) { i.DBSubnetGroupName = aws.String("nothing") }, "DBSubnetGroupNotFoundFault"},
			"zones":    {func(i *in) { i.MultiAZ, i.AvailabilityZone = aws.Bool(true), aws.String("eu-west-1a") }, "InvalidParameterCombination"},
			"tags":     {func(i *in) { i.Tags = []rdstypes.Tag{{Key: aws.String("aws:x")}} }, "InvalidParameterValue"},
			"bad name": {func(i *in) { i.DBInstanceIdentifier = aws.String("-") }, "InvalidParameterValue"},
		} {
			e.want(name, restore(tt.set), tt.code)
		}
		e.must(restore())
		if i := e.instance("copy"); *i.DBInstanceStatus != "creating" || i.Endpoint != nil {
			t.Errorf("%+v", i)
		}
		time.Sleep(24 * time.Hour)
		i := e.instance("copy")
		if *i.DBInstanceStatus != "available" || *i.Endpoint.Port != 6000 || !*i.PubliclyAccessible || *i.KmsKeyId != *k.KeyMetadata.Arn || tags(i.TagList)["team"] != "billing" ||
			*i.DBInstanceClass != "db.t4g.medium" || len(i.VpcSecurityGroups) != 1 || *i.DBParameterGroups[0].DBParameterGroupName != "default.postgres" {
			t.Errorf("by default: %+v", i)
		}
		e.w.Inject(awssim.Fault{Operation: "RestoreDBInstanceFromDBSnapshot", Kind: awssim.FaultAsync})
		e.must(restore(func(i *in) { i.DBInstanceIdentifier = aws.String("doomed") }))
		time.Sleep(24 * time.Hour)
		if got := *e.instance("doomed").DBInstanceStatus; got != "incompatible-restore" {
			t.Errorf("a doomed restore: %s", got)
		}
		_, err = keys.DisableKey(e.ctx, &awskms.DisableKeyInput{KeyId: k.KeyMetadata.KeyId})
		e.must(err)
		e.want("a disabled key", restore(func(i *in) { i.DBInstanceIdentifier = aws.String("third") }), "KMSKeyNotAccessibleFault")
		if got := *e.instance("copy").DBInstanceStatus; got != "inaccessible-encryption-credentials-recoverable" {
			t.Errorf("with its key disabled: %s", got)
		}
		e.db.Expose(e.w, home, region, "copy", false, "sg-7")
		truth := e.db.Instances(e.w, home, region)
		if len(truth) != 3 || truth[0].ID != "copy" || truth[0].PubliclyAccessible || truth[0].SecurityGroups[0] != "sg-7" {
			t.Errorf("%+v", truth)
		}
	})
}

func TestTags(t *testing.T) {
	run(t, func(e env) {
		i := e.make("orders")
		e.must(e.snap("orders", "s", "a", "1"))
		arn := strings.Replace(*i.DBInstanceArn, ":db:orders", ":snapshot:s", 1)
		list := func(arn string) (map[string]string, error) {
			out, err := e.c.ListTagsForResource(e.ctx, &awsrds.ListTagsForResourceInput{ResourceName: &arn})
			if err != nil {
				return nil, err
			}
			return tags(out.TagList), nil
		}
		time.Sleep(time.Minute)
		for _, arn := range []string{arn, *i.DBInstanceArn} {
			_, err := e.c.AddTagsToResource(e.ctx, &awsrds.AddTagsToResourceInput{ResourceName: &arn, Tags: []rdstypes.Tag{{Key: aws.String("a"), Value: aws.String("2")}, {Key: aws.String("b"), Value: aws.String("3")}}})
			e.must(err)
			got, err := list(arn)
			e.must(err)
			if diff := cmp.Diff(map[string]string{"a": "2", "b": "3"}, got); diff != "" {
				t.Error(diff)
			}
			_, err = e.c.RemoveTagsFromResource(e.ctx, &awsrds.RemoveTagsFromResourceInput{ResourceName: &arn, TagKeys: []string{"a"}})
			e.must(err)
		}
		e.w.Inject(awssim.Fault{Kind: awssim.FaultStale, Back: 30 * time.Second})
		if got, err := list(arn); err != nil || got["a"] != "1" {
			t.Errorf("a stale list: %v %v", got, err)
		}
		if got, err := list(arn); err != nil || len(got) != 1 {
			t.Errorf("%v %v", got, err)
		}
		for arn, want := range map[string]string{"x": "InvalidParameterValue", "arn:aws:rds:eu-west-1:" + home + ":db:no": "DBInstanceNotFound",
			"arn:aws:rds:eu-west-1:" + other + ":snapshot:s": "DBSnapshotNotFound"} {
			_, err := list(arn)
			e.want(arn, err, want)
			_, err = e.c.AddTagsToResource(e.ctx, &awsrds.AddTagsToResourceInput{ResourceName: &arn, Tags: []rdstypes.Tag{{Key: aws.String("a")}}})
			e.want(arn, err, want)
			_, err = e.c.RemoveTagsFromResource(e.ctx, &awsrds.RemoveTagsFromResourceInput{ResourceName: &arn, TagKeys: []string{"a"}})
			e.want(arn, err, want)
		}
		var many []rdstypes.Tag
		for n := range 50 {
			many = append(many, rdstypes.Tag{Key: aws.String("k" + strings.Repeat("x", n)), Value: aws.String("v")})
		}
		_, err := e.c.AddTagsToResource(e.ctx, &awsrds.AddTagsToResourceInput{ResourceName: &arn, Tags: many})
		e.want("51 tags", err, "InvalidParameterValue")
	})
}

// TestModelled holds the errors that the simulation can answer with against those that the SDK models for its operations.
func TestModelled(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/rds").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "deserializers.go"))
	if err != nil {
		t.Fatal(err)
	}
	operations := rdssim.Service().Definition().Handlers
	found := map[string]bool{}
	for _, f := range strings.Split(string(b), "\nfunc ") {
		m := regexp.MustCompile(`^awsAwsquery_deserializeOpError(\w+)\(`).FindStringSubmatch(f)
		if m == nil {
			continue
		}
		if _, ok := operations[m[1]]; !ok {
			continue
		}
		for _, c := range regexp.MustCompile(`strings.EqualFold\("(\w+)", errorCode\)`).FindAllStringSubmatch(f, -1) {
			found[c[1]] = true
		}
	}
	if len(found) < 40 {
		t.Fatalf("only %d errors were found in the SDK", len(found))
	}
	typed := rdssim.Service().Definition().Typed
	for c := range found {
		err := typed(&awssim.Error{Code: c, Message: "m"})
		var api smithy.APIError
		if !errors.As(err, &api) || api.ErrorCode() != c || api.ErrorMessage() != "m" {
			t.Errorf("%s has no type: %v", c, err)
		}
	}
	if typed(&awssim.Error{Code: "ThrottlingException"}) != nil {
		t.Error("an error that is not modelled has a type")
	}
	if !slices.Contains([]string{"RDS"}, rdssim.Service().Definition().ID) {
		t.Error("the SDK's service id is RDS")
	}
}

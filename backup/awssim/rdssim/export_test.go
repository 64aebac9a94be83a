package rdssim_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/policy"
)

const exportRole = "arn:aws:iam::111122223333:role/service/export"

// exports is a World with an S3, a bucket, a key, and the snapshots one to nine.
type exports struct {
	env
	s3  *awss3.Client
	key string
}

func runExports(t *testing.T, f func(e exports)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		db := rdssim.Service()
		w := awssim.New(db, kmssim.Service(), s3sim.Service())
		cfg := w.Config(home, region)
		e := exports{env{t, t.Context(), w, db, awsrds.NewFromConfig(cfg)}, awss3.NewFromConfig(cfg), ""}
		e.bucket(home, region, "my-exports")
		key, err := awskms.NewFromConfig(cfg).CreateKey(e.ctx, &awskms.CreateKeyInput{})
		e.must(err)
		e.key = *key.KeyMetadata.Arn
		e.make("orders")
		for n := range 9 {
			e.must(e.snap("orders", "s"+string(rune('1'+n))))
			time.Sleep(4 * time.Hour)
		}
		f(e)
	})
}

func (e exports) bucket(account, reg, name string) {
	e.Helper()
	_, err := awss3.NewFromConfig(e.w.Config(account, reg)).CreateBucket(e.ctx, &awss3.CreateBucketInput{Bucket: &name,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(reg)}})
	e.must(err)
}

func (e exports) start(id, snapshot string, fs ...func(*awsrds.StartExportTaskInput)) (*awsrds.StartExportTaskOutput, error) {
	in := &awsrds.StartExportTaskInput{ExportTaskIdentifier: &id, SourceArn: aws.String("arn:aws:rds:eu-west-1:111122223333:snapshot:" + snapshot),
		S3BucketName: aws.String("my-exports"), S3Prefix: aws.String("a/b"), IamRoleArn: aws.String(exportRole), KmsKeyId: &e.key}
	for _, f := range fs {
		f(in)
	}
	return e.c.StartExportTask(e.ctx, in)
}

func (e exports) task(id string) rdstypes.ExportTask {
	e.Helper()
	out, err := e.c.DescribeExportTasks(e.ctx, &awsrds.DescribeExportTasksInput{ExportTaskIdentifier: &id})
	e.must(err)
	if len(out.ExportTasks) != 1 {
		e.Fatalf("there are %d tasks %s", len(out.ExportTasks), id)
	}
	return out.ExportTasks[0]
}

// keys are the objects of the bucket that S3 shows, without what differs from run to run.
func (e exports) keys() (keys []string) {
	e.Helper()
	out, err := e.s3.ListObjectsV2(e.ctx, &awss3.ListObjectsV2Input{Bucket: aws.String("my-exports")})
	e.must(err)
	for _, o := range out.Contents {
		if before, _, ok := strings.Cut(*o.Key, "part-00000-"); ok {
			keys = append(keys, before+"part")
			continue
		}
		keys = append(keys, *o.Key)
	}
	return keys
}

func TestExportLife(t *testing.T) {
	runExports(t, func(e exports) {
		out, err := e.start("Nightly", "s1")
		e.must(err)
		if *out.Status != "STARTING" || *out.ExportTaskIdentifier != "nightly" || *out.PercentProgress != 0 || out.SourceType != rdstypes.ExportSourceTypeSnapshot {
			e.Errorf("the answer is %+v", out)
		}
		var states []string
		last := int32(0)
		for range 400 {
			x := e.task("nightly")
			if n := len(states); n == 0 || states[n-1] != *x.Status {
				states = append(states, *x.Status)
			}
			if *x.PercentProgress < last || (x.TaskStartTime != nil) != (*x.Status != "STARTING") || (x.TaskEndTime != nil) != (*x.Status == "COMPLETE") {
				e.Errorf("%+v", x)
			}
			last = *x.PercentProgress
			time.Sleep(time.Minute)
		}
		if d := cmp.Diff([]string{"STARTING", "IN_PROGRESS", "COMPLETE"}, states); d != "" {
			e.Error(d)
		}
		x := e.task("nightly")
		if *x.S3Bucket != "my-exports" || *x.S3Prefix != "a/b" || *x.IamRoleArn != exportRole || *x.KmsKeyId != e.key || *x.PercentProgress != 100 || *x.TotalExtractedDataInGB != 100 ||
			x.FailureCause != nil || x.WarningMessage != nil || !x.TaskEndTime.After(*x.TaskStartTime) {
			e.Errorf("%+v", x)
		}
		if d := cmp.Diff([]string{"a/b/nightly/export_info_nightly.json", "a/b/nightly/export_tables_info_nightly_from_1_to_1.json",
			"a/b/nightly/main/public.orders/1/_SUCCESS", "a/b/nightly/main/public.orders/1/part"}, e.keys()); d != "" {
			e.Error(d)
		}
	})
}

// The objects appear when they are written: those of the data first, and those that describe the export at its end.
func TestExportFiles(t *testing.T) {
	runExports(t, func(e exports) {
		_, err := e.start("x", "s1", func(in *awsrds.StartExportTaskInput) {
			in.S3Prefix, in.ExportOnly = nil, []string{"shop.sales.orders", "crm"}
		})
		e.must(err)
		var counts []int
		for range 400 {
			if n := len(e.keys()); len(counts) == 0 || counts[len(counts)-1] != n {
				counts = append(counts, n)
			}
			time.Sleep(time.Minute)
		}
		if d := cmp.Diff([]int{0, 4, 6}, counts); d != "" {
			e.Error(d)
		}
		if d := cmp.Diff([]string{"x/crm/orders/1/_SUCCESS", "x/crm/orders/1/part", "x/export_info_x.json", "x/export_tables_info_x_from_1_to_1.json",
			"x/shop/sales.orders/1/_SUCCESS", "x/shop/sales.orders/1/part"}, e.keys()); d != "" {
			e.Error(d)
		}
	})
}

func TestExportRefuses(t *testing.T) {
	runExports(t, func(e exports) {
		e.bucket(other, region, "their-exports")
		e.bucket(home, "eu-west-2", "far-exports")
		e.make("oracle", func(in *awsrds.CreateDBInstanceInput) { in.Engine = aws.String("oracle-se2") })
		e.must(e.snap("oracle", "of-oracle"))
		e.make("tape", func(in *awsrds.CreateDBInstanceInput) { in.StorageType = aws.String("standard") })
		e.must(e.snap("tape", "of-tape"))
		time.Sleep(4 * time.Hour)
		e.db.SetSnapshotStatus(e.w, home, region, "s9", "copying", time.Hour)
		e.db.SetRole(e.w, exportRole+"-none", rdssim.RoleMissing, 0)
		e.db.SetRole(e.w, exportRole+"-poor", rdssim.RoleLacking, 0)
		_, err := e.start("taken", "s8")
		e.must(err)
		type input = awsrds.StartExportTaskInput
		source := func(arn string) func(*input) { return func(in *input) { in.SourceArn = &arn } }
		for name, c := range map[string]struct {
			set  func(*input)
			code string
		}{
			"identifier":       {func(in *input) { in.ExportTaskIdentifier = aws.String("a--b") }, "InvalidParameterValue"},
			"its length":       {func(in *input) { in.ExportTaskIdentifier = aws.String(strings.Repeat("x", 61)) }, "InvalidParameterValue"},
			"taken":            {func(in *input) { in.ExportTaskIdentifier = aws.String("TAKEN") }, "ExportTaskAlreadyExists"},
			"same snapshot":    {source("arn:aws:rds:eu-west-1:111122223333:snapshot:s8"), "ExportTaskAlreadyExists"},
			"no ARN":           {source("s1"), "InvalidParameterValue"},
			"an instance":      {source("arn:aws:rds:eu-west-1:111122223333:db:orders"), "InvalidParameterValue"},
			"no snapshot":      {source("arn:aws:rds:eu-west-1:111122223333:snapshot:none"), "DBSnapshotNotFound"},
			"elsewhere":        {source("arn:aws:rds:eu-west-2:111122223333:snapshot:s1"), "DBSnapshotNotFound"},
			"cluster snapshot": {source("arn:aws:rds:eu-west-1:111122223333:cluster-snapshot:s1"), "DBClusterSnapshotNotFoundFault"},
			"cluster":          {source("arn:aws:rds:eu-west-1:111122223333:cluster:s1"), "DBClusterNotFoundFault"},
			"engine":           {source("arn:aws:rds:eu-west-1:111122223333:snapshot:of-oracle"), "InvalidParameterValue"},
			"magnetic":         {source("arn:aws:rds:eu-west-1:111122223333:snapshot:of-tape"), "InvalidParameterValue"},
			"busy":             {source("arn:aws:rds:eu-west-1:111122223333:snapshot:s9"), "InvalidExportSourceState"},
			"prefix":           {func(in *input) { in.S3Prefix = aws.String("a:b") }, "InvalidParameterValue"},
			"four names":       {func(in *input) { in.ExportOnly = []string{"a.b.c.d"} }, "InvalidExportOnly"},
			"a bad name":       {func(in *input) { in.ExportOnly = []string{"a.b-c"} }, "InvalidExportOnly"},
			"too much":         {func(in *input) { in.ExportOnly = []string{strings.Repeat("x", 200<<10+1)} }, "InvalidExportOnly"},
			"role's form":      {func(in *input) { in.IamRoleArn = aws.String("export") }, "IamRoleNotFound"},
			"their role":       {func(in *input) { in.IamRoleArn = aws.String("arn:aws:iam::444455556666:role/x") }, "IamRoleNotFound"},
			"no role":          {func(in *input) { in.IamRoleArn = aws.String(exportRole + "-none") }, "IamRoleNotFound"},
			"a poor role":      {func(in *input) { in.IamRoleArn = aws.String(exportRole + "-poor") }, "IamRoleMissingPermissions"},
			"no key":           {func(in *input) { in.KmsKeyId = aws.String("alias/none") }, "KMSKeyNotAccessibleFault"},
			"empty key":        {func(in *input) { in.KmsKeyId = aws.String("") }, "KMSKeyNotAccessibleFault"},
			"no bucket":        {func(in *input) { in.S3BucketName = aws.String("none-such") }, "InvalidS3BucketFault"},
			"their bucket":     {func(in *input) { in.S3BucketName = aws.String("their-exports") }, "InvalidS3BucketFault"},
			"far bucket":       {func(in *input) { in.S3BucketName = aws.String("far-exports") }, "InvalidS3BucketFault"},
		} {
			_, err := e.start("x", "s1", c.set)
			e.want(name, err, c.code)
		}
		_, err = e.start("x", "s1")
		e.want("nothing is wrong", err, "")
	})
	// Without a simulated S3 there are no buckets.
	run(t, func(e env) {
		e.make("orders")
		e.must(e.snap("orders", "s1"))
		time.Sleep(4 * time.Hour)
		_, err := exports{env: e, key: "alias/aws/rds"}.start("x", "s1")
		e.want("no S3", err, "InvalidS3BucketFault")
	})
}

func TestExportQuotaAndRole(t *testing.T) {
	runExports(t, func(e exports) {
		for n := range 5 {
			_, err := e.start("x"+string(rune('1'+n)), "s"+string(rune('1'+n)))
			e.must(err)
		}
		_, err := e.start("x6", "s6")
		e.want("the sixth", err, "ExportTaskLimitReachedFault")
		e.db.SetExportQuota(e.w, 6)
		_, err = e.start("x6", "s6")
		e.must(err)
		e.db.SetRole(e.w, exportRole, rdssim.RoleMissing, time.Minute)
		e.db.SetExportQuota(e.w, 9)
		_, err = e.start("x7", "s7")
		e.want("a young role", err, "IamRoleNotFound")
		time.Sleep(time.Minute)
		_, err = e.start("x7", "s7")
		e.must(err)
		time.Sleep(20 * time.Hour)
		e.db.SetExportQuota(e.w, 1)
		_, err = e.start("x8", "s1")
		e.must(err) // the others have ended
	})
}

// The rights of the role are those that a simulated IAM knows, if there is one.
func TestExportRoleRights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, iam := rdssim.Service(), iamsim.Service()
		w := awssim.New(db, kmssim.Service(), s3sim.Service(), iam)
		cfg := w.Config(home, region)
		e := exports{env{t, t.Context(), w, db, awsrds.NewFromConfig(cfg)}, awss3.NewFromConfig(cfg), "alias/aws/rds"}
		e.bucket(home, region, "my-exports")
		e.make("orders")
		e.must(e.snap("orders", "s1"))
		time.Sleep(4 * time.Hour)
		all := []string{"s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketLocation"}
		allow := func(role string, actions, resources []string) {
			e.must(iam.Attach(w, role, policy.Document{Version: policy.Version, Statements: []policy.Statement{{Effect: policy.Allow, Action: actions, Resource: resources}}}))
		}
		for n := range all {
			role := exportRole + "-" + string(rune('a'+n))
			allow(role, slices.Concat(all[:n], all[n+1:]), []string{"arn:aws:s3:::my-exports", "arn:aws:s3:::my-exports/*"})
			_, err := e.start("x", "s1", func(in *awsrds.StartExportTaskInput) { in.IamRoleArn = &role })
			e.want("without "+all[n], err, "IamRoleMissingPermissions")
		}
		allow(exportRole+"-else", all, []string{"arn:aws:s3:::my-exports", "arn:aws:s3:::my-exports/a/c/*"})
		_, err := e.start("x", "s1", func(in *awsrds.StartExportTaskInput) { in.IamRoleArn = aws.String(exportRole + "-else") })
		e.want("another folder", err, "IamRoleMissingPermissions")
		allow(exportRole, all, []string{"arn:aws:s3:::my-exports", "arn:aws:s3:::my-exports/a/b/*"})
		_, err = e.start("x", "s1")
		e.want("all rights", err, "")
	})
}

func TestExportList(t *testing.T) {
	runExports(t, func(e exports) {
		e.w.SetPageLimit(2)
		e.bucket(home, region, "other-exports")
		for n := range 5 {
			_, err := e.start("x"+string(rune('1'+n)), "s"+string(rune('1'+n)), func(in *awsrds.StartExportTaskInput) {
				if n > 3 {
					in.S3BucketName = aws.String("other-exports")
				}
			})
			e.must(err)
		}
		_, err := e.c.CancelExportTask(e.ctx, &awsrds.CancelExportTaskInput{ExportTaskIdentifier: aws.String("x1")})
		e.must(err)
		list := func(in awsrds.DescribeExportTasksInput) (ids []string) {
			e.Helper()
			pages := awsrds.NewDescribeExportTasksPaginator(e.c, &in)
			for pages.HasMorePages() {
				p, err := pages.NextPage(e.ctx)
				e.must(err)
				if len(p.ExportTasks) > 2 {
					e.Errorf("a page of %d", len(p.ExportTasks))
				}
				for _, x := range p.ExportTasks {
					ids = append(ids, *x.ExportTaskIdentifier)
				}
			}
			return ids
		}
		filter := func(name string, values ...string) awsrds.DescribeExportTasksInput {
			return awsrds.DescribeExportTasksInput{Filters: []rdstypes.Filter{{Name: &name, Values: values}}}
		}
		s2 := "arn:aws:rds:eu-west-1:111122223333:snapshot:s2"
		for name, c := range map[string]struct {
			in   awsrds.DescribeExportTasksInput
			want []string
		}{
			"all":               {awsrds.DescribeExportTasksInput{}, []string{"x1", "x2", "x3", "x4", "x5"}},
			"one":               {awsrds.DescribeExportTasksInput{ExportTaskIdentifier: aws.String("X3")}, []string{"x3"}},
			"none":              {awsrds.DescribeExportTasksInput{ExportTaskIdentifier: aws.String("x9")}, nil},
			"of a snapshot":     {awsrds.DescribeExportTasksInput{SourceArn: &s2}, []string{"x2"}},
			"snapshots":         {awsrds.DescribeExportTasksInput{SourceType: "SNAPSHOT"}, []string{"x1", "x2", "x3", "x4", "x5"}},
			"clusters":          {awsrds.DescribeExportTasksInput{SourceType: "CLUSTER"}, nil},
			"filter identifier": {filter("export-task-identifier", "x2", "x4"), []string{"x2", "x4"}},
			"filter bucket":     {filter("s3-bucket", "other-exports"), []string{"x5"}},
			"filter source":     {filter("source-arn", s2), []string{"x2"}},
			"filter status":     {filter("status", "canceling"), []string{"x1"}},
			"filter statuses":   {filter("status", "starting", "canceling"), []string{"x1", "x2", "x3", "x4", "x5"}},
		} {
			if d := cmp.Diff(c.want, list(c.in)); d != "" {
				e.Errorf("%s: %s", name, d)
			}
		}
		for name, in := range map[string]awsrds.DescribeExportTasksInput{
			"capital status": filter("status", "STARTING"), "unknown filter": filter("color", "red"), "no values": {Filters: []rdstypes.Filter{{Name: aws.String("status"), Values: []string{}}}}, "source type": {SourceType: "TAPE"},
			"page": {MaxRecords: aws.Int32(5)},
		} {
			if _, err := e.c.DescribeExportTasks(e.ctx, &in); !strings.HasPrefix(code(err), "InvalidParameter") {
				e.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestExportEnds(t *testing.T) {
	cancel := func(e exports, id string) error {
		_, err := e.c.CancelExportTask(e.ctx, &awsrds.CancelExportTaskInput{ExportTaskIdentifier: &id})
		return err
	}
	runExports(t, func(e exports) {
		e.want("cancel nothing", cancel(e, "none"), "ExportTaskNotFound")
		_, err := e.start("x", "s1")
		e.must(err)
		time.Sleep(4 * time.Minute)
		e.must(cancel(e, "X"))
		if st := *e.task("x").Status; st != "CANCELING" {
			e.Errorf("canceled it is %s", st)
		}
		e.want("cancel again", cancel(e, "x"), "InvalidExportTaskStateFault")
		time.Sleep(20 * time.Hour)
		x := e.task("x")
		if *x.Status != "CANCELED" || x.TaskEndTime == nil || *x.PercentProgress > 99 {
			e.Errorf("%+v", x)
		}
		if keys := e.keys(); len(keys) != 0 {
			e.Errorf("what was not written appeared: %v", keys)
		}
		// What was written stays.
		_, err = e.start("y", "s1")
		e.must(err)
		for len(e.keys()) == 0 {
			time.Sleep(time.Minute)
		}
		e.must(cancel(e, "y"))
		time.Sleep(20 * time.Hour)
		if keys := e.keys(); len(keys) != 2 {
			e.Errorf("left are %v", keys)
		}
		_, err = e.start("y", "s1")
		e.want("the same identifier", err, "ExportTaskAlreadyExists")
	})
	runExports(t, func(e exports) {
		e.w.Inject(awssim.Fault{Operation: "StartExportTask", Kind: awssim.FaultAsync})
		_, err := e.start("doomed", "s1")
		e.must(err)
		e.db.FailExports(e.w, "KMS key check failed.")
		_, err = e.start("told", "s2")
		e.must(err)
		e.db.FailExports(e.w, "")
		e.db.WarnExports(e.w, "tables were skipped")
		_, err = e.start("warned", "s3")
		e.must(err)
		_, err = e.start("struck", "s4")
		e.must(err)
		_, err = e.start("forgotten", "s5")
		e.must(err)
		e.db.FailExport(e.w, home, region, "struck", "now")
		e.db.LoseExport(e.w, home, region, "forgotten")
		e.db.SetExportStatus(e.w, home, region, "warned", "POLISHING", time.Minute)
		if st := *e.task("warned").Status; st != "POLISHING" {
			e.Errorf("it is %s", st)
		}
		if x := e.task("struck"); *x.Status != "FAILED" || *x.FailureCause != "now" {
			e.Errorf("%+v", x)
		}
		time.Sleep(20 * time.Hour)
		e.want("cancel what has ended", cancel(e, "warned"), "InvalidExportTaskStateFault")
		e.db.FailExport(e.w, home, region, "warned", "too late")
		for id, want := range map[string][2]string{"doomed": {"FAILED", "An unknown internal error occurred."}, "told": {"FAILED", "KMS key check failed."}, "warned": {"COMPLETE", ""}} {
			x := e.task(id)
			if *x.Status != want[0] || aws.ToString(x.FailureCause) != want[1] || x.TaskEndTime == nil {
				e.Errorf("%s: %+v", id, x)
			}
		}
		if aws.ToString(e.task("warned").WarningMessage) != "tables were skipped" {
			e.Error("there is no warning")
		}
		var truth []string
		for _, x := range e.db.Exports(e.w, home, region) {
			truth = append(truth, x.ID+" "+x.Status)
		}
		if d := cmp.Diff([]string{"doomed FAILED", "struck FAILED", "told FAILED", "warned COMPLETE"}, truth); d != "" {
			e.Error(d)
		}
		for _, k := range e.keys() {
			if strings.Contains(k, "export_info_") && !slices.Contains([]string{"a/b/warned/export_info_warned.json", "a/b/forgotten/export_info_forgotten.json"}, k) {
				e.Errorf("a task that failed wrote %s", k)
			}
		}
	})
}

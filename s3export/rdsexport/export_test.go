package rdsexport_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

func TestExport(t *testing.T) {
	for name, c := range map[string]struct {
		prefix, name string
		only         []string
		folder       string
		files        []string
	}{
		"whole": {"", "", nil, "sw-", []string{"main/public.orders/1/_SUCCESS", "main/public.orders/1/part-"}},
		"parts": {"lake/rds", "Orders", []string{"shop.sales.orders", "crm"}, "lake/rds/orders-",
			[]string{"crm/orders/1/_SUCCESS", "crm/orders/1/part-", "shop/sales.orders/1/_SUCCESS", "shop/sales.orders/1/part-"}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				op, err := b.s.Start(b.ctx, b.point, backup.Spec{Token: "token", Name: c.name,
					Options: rdsexport.Options{Bucket: bucket, Prefix: c.prefix, RoleARN: role, KeyARN: b.key, Only: c.only}})
				b.ok(err)
				id := op.ID[len("op-"):]
				op = b.run(op)
				if op.Phase != backup.PhaseSucceeded || len(op.Made)+len(op.Findings) != 0 || op.Percent != 100 {
					b.Fatalf("%s %v %v %v", op.Phase, op.Made, op.Findings, op.Err())
				}
				folder := c.folder + id
				if d := cmp.Diff(backup.Refs{b.ref(rdsexport.TypeExport, bucket+"/"+folder)}, op.Points); d != "" {
					b.Error(d)
				}
				x := b.task()
				if x.Source != "arn:aws:rds:eu-west-1:111122223333:snapshot:nightly" || x.Bucket != bucket || x.Prefix != c.prefix || x.Role != role || x.KMSKeyID != b.key || x.Status != "COMPLETE" {
					b.Errorf("the task is %+v", x)
				}
				if d := cmp.Diff(c.only, x.Only); d != "" {
					b.Error(d)
				}
				// S3 is told each time whose the bucket must be: a policy of another account's could let us list it.
				for _, call := range b.world.Calls() {
					if in, ok := call.Input.(*awss3.ListObjectsV2Input); ok && aws.ToString(in.ExpectedBucketOwner) != account {
						b.Errorf("%+v", in)
					}
				}
				var files []string
				for f, err := range b.s.Files(b.ctx, op.Points[0]) {
					b.ok(err)
					rest, ok := strings.CutPrefix(f.Key, folder+"/")
					if !ok || f.Modified.IsZero() || f.Size == 0 && !strings.HasSuffix(rest, "_SUCCESS") {
						b.Errorf("%+v", f)
					}
					if n := strings.Index(rest, "part-"); n >= 0 {
						rest = rest[:n+5]
					}
					files = append(files, rest)
				}
				task := x.ID
				want := append(c.files, "export_info_"+task+".json", "export_tables_info_"+task+"_from_1_to_1.json")
				if d := cmp.Diff(want, files, sorted); d != "" {
					b.Error(d)
				}
			})
		})
	}
}

func TestFilesRefuses(t *testing.T) {
	bubble(t, func(b *bed) {
		for _, r := range []backup.Ref{{}, b.point, b.ref(rdsexport.TypeExport, bucket), b.ref(rdsexport.TypeExport, bucket+"/"), b.ref(rdsexport.TypeExport, bucket+"/x/"),
			b.ref(rdsexport.TypeFiles, "B/x"), {Type: rdsexport.TypeExport, Account: account, Region: "eu-west-2", ID: bucket + "/x"}} {
			n := 0
			for _, err := range b.s.Files(b.ctx, r) {
				if n++; !errors.Is(err, backup.ErrInvalid) {
					b.Errorf("%v: %v", r, err)
				}
			}
			if n != 1 {
				b.Errorf("%v: %d times", r, n)
			}
		}
		for _, err := range b.s.Files(b.ctx, b.ref(rdsexport.TypeFiles, "no-such-bucket/x")) {
			if !errors.Is(err, backup.ErrNotFound) {
				b.Error(err)
			}
		}
		op := b.run(b.start())
		n := 0
		for range b.s.Files(b.ctx, op.Points[0]) {
			if n++; n == 2 {
				break
			}
		}
		if n != 2 {
			b.Errorf("%d files were yielded", n)
		}
	})
}

func TestStartRefuses(t *testing.T) {
	s := rdsexport.New(func(context.Context, string, string) (rdsexport.Clients, error) {
		t.Error("Start asked for clients")
		return rdsexport.Clients{}, nil
	})
	const key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	type fix = func(*backup.Ref, *backup.Spec, *rdsexport.Options)
	option := func(f func(o *rdsexport.Options)) fix {
		return func(_ *backup.Ref, _ *backup.Spec, o *rdsexport.Options) { f(o) }
	}
	for name, c := range map[string]struct {
		fix fix
		say string
	}{
		"an instance": {func(r *backup.Ref, _ *backup.Spec, _ *rdsexport.Options) {
			*r = rds.Instance(account, region, "orders")
		}, "backed up first"},
		"the Region":          {func(r *backup.Ref, _ *backup.Spec, _ *rdsexport.Options) { r.Region = "nowhere" }, "Region"},
		"capital letters":     {func(r *backup.Ref, _ *backup.Spec, _ *rdsexport.Options) { r.ID = "Nightly" }, "lower case"},
		"an identifier":       {func(r *backup.Ref, _ *backup.Spec, _ *rdsexport.Options) { r.ID = "night--ly" }, "hyphens"},
		"a pattern":           {func(r *backup.Ref, _ *backup.Spec, _ *rdsexport.Options) { r.ID = "night*" }, "offset 5"},
		"an ARN":              {func(r *backup.Ref, _ *backup.Spec, _ *rdsexport.Options) { r.ID = "arn:aws:rds:eu-west-1:1:snapshot:x" }, "ARN"},
		"tags":                {func(_ *backup.Ref, s *backup.Spec, _ *rdsexport.Options) { s.Tags = map[string]string{"a": "b"} }, "Tags"},
		"no token":            {func(_ *backup.Ref, s *backup.Spec, _ *rdsexport.Options) { s.Token = "" }, "token"},
		"a long name":         {func(_ *backup.Ref, s *backup.Spec, _ *rdsexport.Options) { s.Name = strings.Repeat("n", 34) }, "34 characters"},
		"a name":              {func(_ *backup.Ref, s *backup.Spec, _ *rdsexport.Options) { s.Name = "9lives" }, "letter"},
		"a name with hyphen":  {func(_ *backup.Ref, s *backup.Spec, _ *rdsexport.Options) { s.Name = "nightly-" }, "hyphen"},
		"a name of a pattern": {func(_ *backup.Ref, s *backup.Spec, _ *rdsexport.Options) { s.Name = "n*" }, "offset 1"},
		"no bucket":           {option(func(o *rdsexport.Options) { o.Bucket = "" }), "bucket"},
		"a bucket's pattern":  {option(func(o *rdsexport.Options) { o.Bucket = "my-*" }), "offset 3"},
		"a bucket's ARN":      {option(func(o *rdsexport.Options) { o.Bucket = "arn:aws:s3:::my-exports" }), "offset 3"},
		"slash in front":      {option(func(o *rdsexport.Options) { o.Prefix = "/a" }), "offset 0"},
		"slash behind":        {option(func(o *rdsexport.Options) { o.Prefix = "a/" }), "offset 1"},
		"two slashes":         {option(func(o *rdsexport.Options) { o.Prefix = "a//b" }), "offset 2"},
		"a colon":             {option(func(o *rdsexport.Options) { o.Prefix = "a/b:c" }), "offset 3"},
		"a space":             {option(func(o *rdsexport.Options) { o.Prefix = "a b" }), "offset 1"},
		"a prefix's pattern":  {option(func(o *rdsexport.Options) { o.Prefix = "a/*" }), "offset 2"},
		"dots":                {option(func(o *rdsexport.Options) { o.Prefix = "a/../b" }), "dots alone"},
		"a long prefix":       {option(func(o *rdsexport.Options) { o.Prefix = strings.Repeat("p", 60) }), "59 characters"},
		"no role":             {option(func(o *rdsexport.Options) { o.RoleARN = "" }), "role"},
		"a role's name":       {option(func(o *rdsexport.Options) { o.RoleARN = "rds-export" }), "ARN"},
		"a user":              {option(func(o *rdsexport.Options) { o.RoleARN = "arn:aws:iam::111122223333:user/x" }), "not the ARN of a role"},
		"a role without name": {option(func(o *rdsexport.Options) { o.RoleARN = "arn:aws:iam::111122223333:role/x/" }), "not the ARN of a role"},
		"an assumed role":     {option(func(o *rdsexport.Options) { o.RoleARN = "arn:aws:sts::111122223333:assumed-role/x/y" }), "not the ARN of a role"},
		"a role of others":    {option(func(o *rdsexport.Options) { o.RoleARN = "arn:aws:iam::444455556666:role/x" }), "account 111122223333"},
		"a role of China":     {option(func(o *rdsexport.Options) { o.RoleARN = "arn:aws-cn:iam::111122223333:role/x" }), "partition aws"},
		"a role's pattern":    {option(func(o *rdsexport.Options) { o.RoleARN = "arn:aws:iam::111122223333:role/*" }), "wildcard"},
		"a role's length": {option(func(o *rdsexport.Options) { o.RoleARN = "arn:aws:iam::111122223333:role/" + strings.Repeat("x", 640) }),
			"more than a role can have"},
		"no key":           {option(func(o *rdsexport.Options) { o.KeyARN = "" }), "key"},
		"a key's id":       {option(func(o *rdsexport.Options) { o.KeyARN = "1234abcd-12ab-34cd-56ef-1234567890ab" }), "key"},
		"an alias":         {option(func(o *rdsexport.Options) { o.KeyARN = "arn:aws:kms:eu-west-1:111122223333:alias/x" }), "alias"},
		"a key of others":  {option(func(o *rdsexport.Options) { o.KeyARN = strings.Replace(key, account, foreign, 1) }), "account 111122223333"},
		"a key elsewhere":  {option(func(o *rdsexport.Options) { o.KeyARN = strings.Replace(key, region, "eu-west-2", 1) }), "in eu-west-1"},
		"a part's pattern": {option(func(o *rdsexport.Options) { o.Only = []string{"shop", "shop.*"} }), "number 2"},
		"an empty part":    {option(func(o *rdsexport.Options) { o.Only = []string{""} }), "number 1"},
		"four names":       {option(func(o *rdsexport.Options) { o.Only = []string{"a.b.c.d"} }), "4 names"},
		"a part twice":     {option(func(o *rdsexport.Options) { o.Only = []string{"a", "b", "a"} }), "number 3"},
		"too many parts": {option(func(o *rdsexport.Options) {
			for n := range 1000 {
				o.Only = append(o.Only, "database_"+strings.Repeat("x", n%50)+string(rune('a'+n%26))+strings.Repeat("y", n/26))
			}
		}), "an Operation has"},
	} {
		r, spec := rds.Snapshot(account, region, "nightly"), backup.Spec{Token: "token"}
		o := rdsexport.Options{Bucket: bucket, Prefix: "a/b-1", RoleARN: role, KeyARN: key}
		c.fix(&r, &spec, &o)
		spec.Options = o
		_, err := s.Start(t.Context(), r, spec)
		if !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Start(t.Context(), rds.Snapshot(account, region, "nightly"), backup.Spec{Token: "t"}); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("without options: %v", err)
	}
	for _, id := range []string{"nightly", "rds:orders-2026-11-20-03-10", "awsbackup:job-1234"} {
		r := rds.Snapshot(account, region, id)
		one, err := s.Start(t.Context(), r, backup.Spec{Token: "t", Options: rdsexport.Options{Bucket: bucket, RoleARN: role, KeyARN: key, Only: []string{"my_db.T$1"}}})
		if err != nil {
			t.Errorf("%s: %v", id, err)
		}
		two, err := s.Start(t.Context(), r, backup.Spec{Token: "t", Options: rdsexport.Options{Bucket: bucket, RoleARN: role, KeyARN: key}})
		if err != nil || one.ID != two.ID {
			t.Errorf("%s: %s and %s, %v", id, one.ID, two.ID, err)
		}
	}
	if s.Kind() != rdsexport.Kind {
		t.Error(s.Kind())
	}
}

// A part of AWS's partition in China has its own ARNs.
func TestOtherPartition(t *testing.T) {
	s := rdsexport.New(nil)
	_, err := s.Start(t.Context(), rds.Snapshot(account, "cn-north-1", "nightly"), backup.Spec{Token: "t", Options: rdsexport.Options{Bucket: bucket,
		RoleARN: "arn:aws-cn:iam::111122223333:role/x", KeyARN: "arn:aws-cn:kms:cn-north-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"}})
	if err != nil {
		t.Error(err)
	}
}

// The bucket is looked at before RDS is handed a role that can write to it.
func TestBucketIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		bucket string
		code   backup.Code
		say    string
	}{
		"does not exist":     {"none-such", backup.ErrNotFound, "create it"},
		"of another account": {"their-exports", backup.ErrDenied, "belong to the snapshot's account"},
		"of another Region":  {"far-exports", backup.ErrInvalid, "another Region"},
		"taken":              {bucket, backup.ErrConflict, "another token"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.bucket(b.world.Config(foreign, region), "their-exports")
				b.bucket(b.world.Config(account, "eu-west-2"), "far-exports")
				op := b.start(func(o *rdsexport.Options) { o.Bucket = c.bucket })
				if name == "taken" {
					_, err := b.s3.PutObject(b.ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("rds/daily/sw-" + op.ID[3:] + "/x"), Body: strings.NewReader("theirs")})
					b.ok(err)
				}
				op = b.run(op)
				if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), c.code) || !strings.Contains(backup.HintOf(op.Err()), c.say) || len(op.Made)+len(op.Points) > 0 {
					b.Errorf("%s %v %v", op.Phase, op.Err(), op.Made)
				}
				if b.count("StartExportTask") != 0 {
					b.Error("it was asked for")
				}
			})
		})
	}
}

func TestNeverExported(t *testing.T) {
	for name, c := range map[string]struct {
		engine, storage string
		only            []string
		code            backup.Code
	}{
		"an engine":        {"oracle-se2", "gp3", nil, backup.ErrUnsupported},
		"magnetic storage": {"mysql", "standard", nil, backup.ErrUnsupported},
		"a schema":         {"mariadb", "gp3", []string{"a.b.c"}, backup.ErrInvalid},
		"nothing is wrong": {"mysql", "gp3", []string{"a.b"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.instance("one", c.engine, c.storage)
				b.point = b.snapshot("of-one", "one")
				op := b.run(b.start(func(o *rdsexport.Options) { o.Only = c.only }))
				if c.code == "" {
					b.ok(op.Err())
					return
				}
				if !errors.Is(op.Err(), c.code) || backup.HintOf(op.Err()) == "" || b.count("StartExportTask") != 0 {
					b.Errorf("%s %v", op.Phase, op.Err())
				}
			})
		})
	}
}

func TestSourceStates(t *testing.T) {
	for status, want := range map[string]backup.Phase{
		"copying": backup.PhaseSucceeded, "creating": backup.PhaseSucceeded, "meditating": backup.PhaseSucceeded,
		"failed": backup.PhaseFailed, "deleting": backup.PhaseFailed,
	} {
		bubble(t, func(b *bed) {
			b.db.SetSnapshotStatus(b.world, account, region, "nightly", status, 2*time.Hour)
			begin := time.Now()
			op := b.run(b.start())
			if op.Phase != want || want == backup.PhaseSucceeded && time.Since(begin) < 2*time.Hour {
				b.Errorf("%s: %s %v", status, op.Phase, op.Err())
			}
		})
	}
	bubble(t, func(b *bed) {
		b.point = rds.Snapshot(account, region, "none")
		begin := time.Now()
		if op := b.run(b.start()); !errors.Is(op.Err(), backup.ErrNotFound) || time.Since(begin) < time.Minute {
			b.Errorf("after %v: %v", time.Since(begin), op.Err())
		}
	})
	// One look that misses it proves nothing.
	bubble(t, func(b *bed) {
		b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Kind: awssim.FaultStale, Back: 100 * time.Hour})
		b.ok(b.run(b.start()).Err())
	})
	// An automated one, and one of AWS Backup, are found by their own types.
	bubble(t, func(b *bed) {
		for _, id := range []string{
			b.db.AddAutomatedSnapshot(b.world, account, region, "orders-00001", time.Now()),
			b.db.AddBackupServiceSnapshot(b.world, account, region, "orders-00001", time.Now()),
		} {
			b.point = rds.Snapshot(account, region, id)
			b.ok(b.run(b.start()).Err())
		}
	})
	// It is deleted while it is exported: what RDS began it ends.
	bubble(t, func(b *bed) {
		op := b.until(b.start(), "wait")
		_, err := b.api.DeleteDBSnapshot(b.ctx, &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: aws.String("nightly")})
		b.ok(err)
		b.ok(b.until(op, "never").Err())
	})
}

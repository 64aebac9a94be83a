package rds_test

import (
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

func collect[T any](seq iter.Seq2[T, error]) (all []T, err error) {
	for x, e := range seq {
		if e != nil {
			err = e
			continue
		}
		all = append(all, x)
	}
	return all, err
}

func TestAbilities(t *testing.T) {
	var s backup.Strategy = rds.New(nil)
	_, lister := backup.As[backup.Lister](s)
	_, discoverer := backup.As[backup.Discoverer](s)
	_, preflighter := backup.As[backup.Preflighter](s)
	_, deleter := backup.As[backup.Deleter](s)
	_, restorer := backup.As[backup.Restorer](s)
	_, canceler := backup.As[backup.Canceler](s)
	if got, want := []bool{lister, discoverer, preflighter, deleter, restorer, canceler}, []bool{true, true, true, true, true, true}; !cmp.Equal(got, want) {
		t.Errorf("abilities %v", got)
	}
	if s.Kind() != "rds" {
		t.Errorf("the kind is %q", s.Kind())
	}
}

func TestList(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.db.SetQuotas(b.world, 10_000, 0)
		own := b.backedUp("nightly")
		sales := b.create("sales")
		b.db.SeedSnapshots(b.world, account, region, "orders", 130, time.Now().Add(-500*time.Hour), time.Hour, map[string]string{"tier": "gold"})
		b.db.SeedSnapshots(b.world, account, region, "sales", 120, time.Now().Add(-500*time.Hour), time.Hour, nil)
		auto := b.db.AddAutomatedSnapshot(b.world, account, region, "orders", time.Now())
		vault := b.db.AddBackupServiceSnapshot(b.world, account, region, "orders", time.Now())
		b.must(b.snap("sales", "fresh", nil))
		s := b.strategy()
		base := backup.Query{Account: account, Region: region}
		with := func(f func(*backup.Query)) backup.Query { q := base; f(&q); return q }
		for name, tt := range map[string]struct {
			q backup.Query
			n int
		}{
			"all":           {base, 254},
			"by type":       {with(func(q *backup.Query) { q.Types = []string{rds.TypeSnapshot} }), 254},
			"by source":     {with(func(q *backup.Query) { q.Source = b.orders }), 133},
			"another":       {with(func(q *backup.Query) { q.Source = sales }), 121},
			"by tag":        {with(func(q *backup.Query) { q.Tags = map[string]string{"tier": "gold"} }), 130},
			"by tag's key":  {with(func(q *backup.Query) { q.Tags = map[string]string{backup.TagToken: ""} }), 1},
			"one":           {with(func(q *backup.Query) { q.Point = own }), 1},
			"an automated":  {with(func(q *backup.Query) { q.Point = rds.Snapshot(account, region, auto) }), 1},
			"AWS Backup's":  {with(func(q *backup.Query) { q.Point = rds.Snapshot(account, region, vault) }), 1},
			"none":          {with(func(q *backup.Query) { q.Point = rds.Snapshot(account, region, "nothing") }), 0},
			"one of orders": {with(func(q *backup.Query) { q.Point, q.Source = own, sales }), 0},
		} {
			all, err := collect(s.List(b.ctx, tt.q))
			seen := map[backup.Ref]bool{}
			for _, p := range all {
				seen[p.Ref] = true
			}
			if err != nil || len(all) != tt.n || len(seen) != tt.n {
				t.Errorf("%s: %d points, %d of them different, want %d: %v", name, len(all), len(seen), tt.n, err)
			}
		}
		all, err := collect(s.List(b.ctx, with(func(q *backup.Query) { q.Point = own })))
		b.must(err)
		p := all[0]
		if p.Source != b.orders || p.Status != backup.StatusAvailable || p.CreatedAt.IsZero() || !p.Encrypted || p.KMSKeyID == "" || p.SizeBytes != 100<<30 || p.Automated ||
			p.Engine != "postgres" || p.Tags[backup.TagOwner] != backup.DefaultOwner || p.ARN != "arn:aws:rds:eu-west-1:"+account+":snapshot:nightly" || p.Percent != 100 {
			t.Errorf("%+v", p)
		}
		all, err = collect(s.List(b.ctx, with(func(q *backup.Query) { q.Point = rds.Snapshot(account, region, "fresh") })))
		if err != nil || all[0].Status != backup.StatusPending || !all[0].CreatedAt.IsZero() {
			t.Errorf("while creating: %+v %v", all, err)
		}
		for range s.List(b.ctx, base) { // a consumer that stops early
			break
		}
		// A list that ends in an error is no list.
		b.world.Inject(awssim.Fault{Operation: "DescribeDBSnapshots", Skip: 1, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
		if all, err = collect(s.List(b.ctx, base)); !errors.Is(err, backup.ErrDenied) || len(all) != 100 {
			t.Errorf("%d points, then %v", len(all), err)
		}
		for name, q := range map[string]backup.Query{
			"nowhere":      {},
			"type":         with(func(q *backup.Query) { q.Types = []string{rds.TypeInstance} }),
			"source":       with(func(q *backup.Query) { q.Source = own }),
			"other source": with(func(q *backup.Query) { q.Source = rds.Instance(foreign, region, "orders") }),
			"account":      {Account: foreign, Region: region},
		} {
			if _, err := collect(s.List(b.ctx, q)); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestDiscover(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.member("member", "one")
		b.create("leaving")
		b.drop("leaving")
		b.db.SeedInstances(b.world, account, region, "db", 150, map[string]string{"backup": "weekly"})
		s := b.strategy()
		for name, tt := range map[string]struct {
			tags map[string]string
			n    int
		}{"all": {nil, 152}, "daily": {map[string]string{"backup": "daily"}, 2}, "any": {map[string]string{"backup": ""}, 152}, "none": {map[string]string{"no": ""}, 0}} {
			all, err := collect(s.Discover(b.ctx, backup.Query{Account: account, Region: region, Tags: tt.tags}))
			if err != nil || len(all) != tt.n {
				t.Errorf("%s: %d resources: %v", name, len(all), err)
			}
			for _, r := range all {
				want, kind := "arn:aws:rds:eu-west-1:"+account+":db:"+r.ID, rds.TypeInstance
				if r.ID == "one" {
					want, kind = "arn:aws:rds:eu-west-1:"+account+":cluster:one", rds.TypeCluster
				}
				if r.ARN != want || r.Tags["backup"] == "" || r.Type != kind {
					t.Fatalf("%+v", r)
				}
			}
		}
		for range s.Discover(b.ctx, backup.Query{Account: account, Region: region}) {
			break
		}
		for name, q := range map[string]backup.Query{
			"type":    {Account: account, Region: region, Types: []string{rds.TypeSnapshot}},
			"source":  {Account: account, Region: region, Source: b.orders},
			"account": {Account: foreign, Region: region},
			"nowhere": {},
		} {
			if _, err := collect(s.Discover(b.ctx, q)); !errors.Is(err, backup.ErrInvalid) {
				t.Errorf("%s: %v", name, err)
			}
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Skip: 1, Times: -1, Kind: awssim.FaultServerError})
		if all, err := collect(s.Discover(b.ctx, backup.Query{Account: account, Region: region})); !errors.Is(err, backup.ErrUnavailable) || len(all) == 0 {
			t.Errorf("%d resources, then %v", len(all), err)
		}
	})
}

func TestPreflight(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		point := b.backedUp("nightly")
		b.member("member", "one")
		b.create("busy", func(in *awsrds.CreateDBInstanceInput) { in.MultiAZ = aws.Bool(true) })
		b.db.SetStatus(b.world, account, region, "busy", "modifying", 100*time.Hour)
		b.must(b.snap("orders", "theirs", nil))
		s := b.strategy()
		instance := func(id, name string) func() (backup.Operation, error) {
			return func() (backup.Operation, error) {
				return s.Start(b.ctx, rds.Instance(account, region, id), backup.Spec{Token: "t", Name: name})
			}
		}
		restore := func(p backup.Ref, f func(*rds.RestoreOptions)) func() (backup.Operation, error) {
			return func() (backup.Operation, error) {
				o := options()
				o.ParameterGroup = "default.postgres"
				f(&o)
				return s.StartRestore(b.ctx, p, backup.Spec{Token: "t", Options: o})
			}
		}
		del := func(id string) func() (backup.Operation, error) {
			return func() (backup.Operation, error) {
				return s.StartDelete(b.ctx, rds.Snapshot(account, region, id), backup.Spec{Token: "t"})
			}
		}
		nothing := func(*rds.RestoreOptions) {}
		for name, tt := range map[string]struct {
			start func() (backup.Operation, error)
			want  []string
		}{
			"backup":               {instance("orders", ""), []string{"warning rds.instance-state", "info rds.single-az"}}, // theirs is being made
			"backup, name taken":   {instance("busy", "nightly"), []string{"error rds.name-taken", "warning rds.instance-state"}},
			"backup of a member":   {instance("member", ""), []string{"error rds.backup-refused"}},
			"backup of nothing":    {instance("nothing", ""), []string{"error rds.backup-refused"}},
			"restore":              {restore(point, nothing), nil},
			"restore of nothing":   {restore(rds.Snapshot(account, region, "nothing"), nothing), []string{"error rds.not-found"}},
			"restore of a new one": {restore(rds.Snapshot(account, region, "theirs"), nothing), []string{"warning rds.snapshot-state"}},
			"restore over":         {restore(point, func(o *rds.RestoreOptions) { o.ID = "orders" }), []string{"error rds.name-taken"}},
			"restore elsewhere": {restore(point, func(o *rds.RestoreOptions) {
				o.SubnetGroup, o.PubliclyAccessible, o.ParameterGroup = "nothing", true, ""
			}), []string{"error rds.subnet-group", "warning rds.public", "info rds.default-parameters"}},
			"delete":              {del("nightly"), nil},
			"delete of nothing":   {del("nothing"), []string{"error rds.not-found"}},
			"delete of another's": {del("theirs"), []string{"error rds.delete-refused"}},
		} {
			op, err := tt.start()
			b.must(err)
			before := len(b.world.Calls())
			found, err := s.Preflight(b.ctx, op)
			b.must(err)
			var got []string
			for _, f := range found {
				got = append(got, fmt.Sprintf("%s %s", f.Severity, f.ID))
				if f.Message == "" || f.Severity == backup.SeverityError && f.Remedy == "" {
					t.Errorf("%s: %+v", name, f)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
			for _, c := range b.world.Calls()[before:] {
				if c.Mutates {
					t.Errorf("%s: %s was called", name, c.Operation)
				}
			}
		}
		for _, operation := range []string{"DescribeDBInstances", "DescribeDBSnapshots", "DescribeDBSubnetGroups"} {
			b.world.Inject(awssim.Fault{Operation: operation, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
			op, err := restore(point, nothing)()
			b.must(err)
			if _, err := s.Preflight(b.ctx, op); !errors.Is(err, backup.ErrDenied) {
				t.Errorf("%s denied: %v", operation, err)
			}
			b.world.Heal()
		}
		if _, err := s.Preflight(b.ctx, backup.Operation{}); err == nil {
			t.Error("a preflight of nothing")
		}
	})
}

func TestEncrypted(t *testing.T) {
	for name, tt := range map[string]struct {
		flag *bool
		kind rdstypes.StorageEncryptionType
		want bool
	}{
		"nothing told":          {nil, "", false},
		"not":                   {aws.Bool(false), rdstypes.StorageEncryptionTypeUnencrypted, false},
		"an older answer":       {aws.Bool(true), "", true},
		"a key of the caller's": {aws.Bool(true), rdstypes.StorageEncryptionTypeCmk, true},
		"type alone":            {nil, rdstypes.StorageEncryptionTypeCmk, true},
		"a key of AWS":          {aws.Bool(false), rdstypes.StorageEncryptionTypeSse, true},
	} {
		p := rds.Point(backup.Ref{Account: account, Region: region}, &rdstypes.DBSnapshot{Encrypted: tt.flag, StorageEncryptionType: tt.kind})
		if p.Encrypted != tt.want {
			t.Errorf("%s: %v", name, p.Encrypted)
		}
		x := &rdstypes.DBInstance{StorageEncrypted: tt.flag, StorageEncryptionType: tt.kind,
			VpcSecurityGroups: []rdstypes.VpcSecurityGroupMembership{{VpcSecurityGroupId: aws.String("sg-0a")}, {VpcSecurityGroupId: aws.String("sg-0b")}}}
		if bad := rds.Exposure(options(), true, x); (len(bad) == 0) != tt.want {
			t.Errorf("%s: %v", name, bad)
		}
	}
}

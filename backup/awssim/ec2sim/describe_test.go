package ec2sim_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

func TestSnapshotFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		w := s.volume(func(in *awsec2.CreateVolumeInput) { in.Size, in.Encrypted = aws.Int32(30), yes() })
		a, b := s.snapshot(v, tagged("app", "shop", "tier", "db")...), s.snapshot(w, tagged("app", "shopping", "a*b", "x")...)
		time.Sleep(24 * time.Hour)
		out, err := s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: aws.String(w), Description: aws.String("by hand")})
		if err != nil {
			t.Fatal(err)
		}
		c := *out.SnapshotId
		start := s.one(a).StartTime.Format("2006-01-02T15:04:05.000Z")
		full := make([]string, 200)
		for i := range full {
			full[i] = fmt.Sprintf("snap-%08x", i)
		}
		full[199] = a
		for name, f := range map[string]struct {
			filters []ec2types.Filter
			want    []string
		}{
			"none":                {nil, []string{a, b, c}},
			"tag":                 {[]ec2types.Filter{by("tag:app", "shop")}, []string{a}},
			"tag, two values":     {[]ec2types.Filter{by("tag:app", "shopping", "shop", "none")}, []string{a, b}},
			"tag, other case":     {[]ec2types.Filter{by("tag:app", "Shop")}, nil},
			"tag, star":           {[]ec2types.Filter{by("tag:app", "sh*")}, []string{a, b}},
			"tag, star inside":    {[]ec2types.Filter{by("tag:app", "s*g")}, []string{b}},
			"tag, mark":           {[]ec2types.Filter{by("tag:app", "sho?")}, []string{a}},
			"tag, mark for none":  {[]ec2types.Filter{by("tag:app", "shop?")}, []string{a}},
			"tag, three marks":    {[]ec2types.Filter{by("tag:app", "shopp???")}, []string{b}},
			"tag-key, star":       {[]ec2types.Filter{by("tag-key", "a*b")}, []string{b}},
			"tag-key, star, key":  {[]ec2types.Filter{by("tag-key", "a*")}, []string{a, b}},
			"tag-key, backslash":  {[]ec2types.Filter{by("tag-key", `a\*b`)}, []string{b}},
			"tag-key, backslash2": {[]ec2types.Filter{by("tag-key", `a\*`)}, nil},
			"tag-key":             {[]ec2types.Filter{by("tag-key", "tier")}, []string{a}},
			"both tags":           {[]ec2types.Filter{by("tag:app", "shop"), by("tag:tier", "db")}, []string{a}},
			"tag and volume":      {[]ec2types.Filter{by("tag:app", "shop"), by("volume-id", w)}, nil},
			"volume":              {[]ec2types.Filter{by("volume-id", w)}, []string{b, c}},
			"volumes":             {[]ec2types.Filter{by("volume-id", w, v)}, []string{a, b, c}},
			"volume, star":        {[]ec2types.Filter{by("volume-id", v[:len(v)-1]+"*")}, []string{a}},
			"id":                  {[]ec2types.Filter{by("snapshot-id", c, a)}, []string{a, c}},
			"200 ids":             {[]ec2types.Filter{by("snapshot-id", full...)}, []string{a}},
			"pending":             {[]ec2types.Filter{by("status", "pending")}, []string{c}},
			"completed":           {[]ec2types.Filter{by("status", "completed")}, []string{a, b}},
			"description":         {[]ec2types.Filter{by("description", "by hand")}, []string{c}},
			"encrypted":           {[]ec2types.Filter{by("encrypted", "true")}, []string{b, c}},
			"standard":            {[]ec2types.Filter{by("storage-tier", "standard")}, []string{a, b, c}},
			"archive":             {[]ec2types.Filter{by("storage-tier", "archive")}, nil},
			"size":                {[]ec2types.Filter{by("volume-size", "20")}, []string{a}},
			"start":               {[]ec2types.Filter{by("start-time", start)}, []string{a, b}},
			"start, star":         {[]ec2types.Filter{by("start-time", start[:10]+"T*")}, []string{a, b}},
			"owner":               {[]ec2types.Filter{by("owner-id", home)}, []string{a, b, c}},
			"other owner":         {[]ec2types.Filter{by("owner-id", other)}, nil},
			"alias":               {[]ec2types.Filter{by("owner-alias", "amazon")}, nil},
		} {
			if d := cmp.Diff(f.want, s.ids(f.filters...)); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		for name, f := range map[string]struct {
			in   awsec2.DescribeSnapshotsInput
			code string
		}{
			"unknown filter": {awsec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{by("colour", "red")}}, "InvalidParameterValue"},
			"no values":      {awsec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{by("status")}}, "InvalidParameterValue"},
			"201 values":     {awsec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{by("snapshot-id", append(full, c)...)}}, "FilterLimitExceeded"},
			"unknown id":     {awsec2.DescribeSnapshotsInput{SnapshotIds: []string{a, "snap-12345678"}}, "InvalidSnapshot.NotFound"},
			"malformed id":   {awsec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-xyz"}}, "InvalidSnapshotID.Malformed"},
			"ids and size":   {awsec2.DescribeSnapshotsInput{SnapshotIds: []string{a}, MaxResults: aws.Int32(5)}, "InvalidParameterCombination"},
			"small page":     {awsec2.DescribeSnapshotsInput{MaxResults: aws.Int32(4)}, "InvalidParameterValue"},
			"bad token":      {awsec2.DescribeSnapshotsInput{NextToken: aws.String("x")}, "InvalidPaginationToken"},
			"bad owner":      {awsec2.DescribeSnapshotsInput{OwnerIds: []string{"me"}}, "InvalidUserID.Malformed"},
			"dry run":        {awsec2.DescribeSnapshotsInput{DryRun: yes()}, "DryRunOperation"},
		} {
			_, err := s.c.DescribeSnapshots(s.ctx, &f.in)
			want(t, name, err, f.code)
		}
		list, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{c, a}, Filters: []ec2types.Filter{by("status", "completed")}})
		if err != nil || len(list.Snapshots) != 1 || *list.Snapshots[0].SnapshotId != a {
			t.Errorf("ids and a filter: %v %v", list, err)
		}
	})
}

func TestOwnersAndShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		theirs := s.ec2.Seed(s.w, other, region, 3, ec2sim.Seeds{Volumes: []string{"vol-00000001", "vol-00000001", "vol-00000002"}})
		mine := s.ec2.Seed(s.w, home, region, 3, ec2sim.Seeds{})
		s.ec2.Seed(s.w, home, "us-east-1", 3, ec2sim.Seeds{})
		if !s.ec2.Share(s.w, other, region, theirs[0], home) {
			t.Fatal("not shared")
		}
		// Twice, because putting lists together must not change them.
		for range 2 {
			if d := cmp.Diff([]string{theirs[0], mine[0], mine[1], mine[2]}, s.ids()); d != "" {
				t.Error(d)
			}
		}
		if !s.ec2.Share(s.w, other, region, theirs[1], "all") {
			t.Fatal("not shared")
		}
		foreign := []ec2types.Filter{by("volume-id", "vol-00000001")}
		if got := s.ids(foreign...); !slices.Equal(got, theirs[:2]) {
			t.Errorf("of a volume of theirs: %v", got)
		}
		if out, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: foreign}); err != nil || len(out.Snapshots) != 0 {
			t.Errorf("of a volume of theirs, our own: %v %s", err, text(out))
		}
		for name, c := range map[string]struct {
			owners []string
			want   []string
		}{
			"all":    {nil, []string{theirs[0], theirs[1], mine[0], mine[1], mine[2]}},
			"self":   {[]string{"self"}, mine},
			"other":  {[]string{other}, theirs[:2]},
			"both":   {[]string{"self", other}, []string{theirs[0], theirs[1], mine[0], mine[1], mine[2]}},
			"amazon": {[]string{"amazon"}, nil},
		} {
			out, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{OwnerIds: c.owners})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range out.Snapshots {
				got = append(got, *p.SnapshotId)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("%s: %s", name, d)
			}
		}
		// A snapshot that is not shared is left out; it does not fail the call.
		out, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{mine[0], theirs[2]}})
		if err != nil || len(out.Snapshots) != 1 {
			t.Errorf("%v %v", out, err)
		}
		_, err = s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: aws.String(theirs[0])})
		want(t, "deleting a shared one", err, "OperationNotPermitted")
		_, err = s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: aws.String(theirs[2])})
		want(t, "deleting a strange one", err, "InvalidSnapshot.NotFound")
		_, err = s.c.CreateVolume(s.ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), SnapshotId: aws.String(theirs[0])})
		want(t, "a volume of a shared one", err, "")
		_, err = s.c.CreateVolume(s.ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), SnapshotId: aws.String(theirs[2])})
		want(t, "a volume of a strange one", err, "InvalidSnapshot.NotFound")
		s.ec2.Share(s.w, other, region, theirs[0])
		_, err = s.c.CreateVolume(s.ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), SnapshotId: aws.String(theirs[0])})
		want(t, "a volume of one that is shared no more", err, "InvalidSnapshot.NotFound")
	})
}

// A read of the past sees the tags of the past, whatever was changed since.
func TestStaleTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		ids := s.ec2.Seed(s.w, home, region, 3, ec2sim.Seeds{Tags: func(int) map[string]string { return map[string]string{"a": "old"} }})
		s.ec2.Seed(s.w, home, region, 3, ec2sim.Seeds{})
		time.Sleep(time.Hour)
		for i := range ids {
			s.ec2.Retag(s.w, home, region, ids[2-i], map[string]string{"a": "new"})
			time.Sleep(10 * time.Second)
		}
		for back, want := range map[time.Duration][2][]string{0: {nil, ids}, 15 * time.Second: {ids[:1], ids[1:]}, 25 * time.Second: {ids[:2], ids[2:]}, time.Minute: {ids, nil}} {
			for i, value := range []string{"old", "new"} {
				if back > 0 {
					s.w.Inject(awssim.Fault{Kind: awssim.FaultStale, Back: back})
				}
				if d := cmp.Diff(want[i], s.ids(by("tag:a", value))); d != "" {
					t.Errorf("%s, %v ago: %s", value, back, d)
				}
			}
		}
	})
}

// pages walks through all pages and gives the ids and the pages' sizes.
func pages(s *scene, in *awsec2.DescribeSnapshotsInput, between func()) (ids []string, sizes []int) {
	s.t.Helper()
	p := awsec2.NewDescribeSnapshotsPaginator(s.c, in)
	for p.HasMorePages() {
		out, err := p.NextPage(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, x := range out.Snapshots {
			ids = append(ids, *x.SnapshotId)
		}
		sizes = append(sizes, len(out.Snapshots))
		if between != nil {
			between()
		}
	}
	return ids, sizes
}

func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		all := s.ec2.Seed(s.w, home, region, 25, ec2sim.Seeds{Tags: func(n int) map[string]string { return map[string]string{"odd": fmt.Sprint(n % 2)} }})
		ids, sizes := pages(s, &awsec2.DescribeSnapshotsInput{MaxResults: aws.Int32(10)}, nil)
		if d := cmp.Diff(all, ids); d != "" || !slices.Equal(sizes, []int{10, 10, 5}) {
			t.Errorf("%v %s", sizes, d)
		}
		ids, sizes = pages(s, &awsec2.DescribeSnapshotsInput{MaxResults: aws.Int32(5), Filters: []ec2types.Filter{by("tag:odd", "1")}}, nil)
		if len(ids) != 12 || !slices.Equal(sizes, []int{5, 5, 2}) {
			t.Errorf("%v", sizes)
		}
		// The last one of a full page may vanish between two pages.
		at := 0
		ids, _ = pages(s, &awsec2.DescribeSnapshotsInput{MaxResults: aws.Int32(10)}, func() {
			if at += 10; at < 25 {
				s.ec2.DeleteBehindBack(s.w, home, region, all[at-1])
			}
		})
		if d := cmp.Diff(all, ids); d != "" {
			t.Error(d)
		}
		s.w.SetPageLimit(2)
		ids, sizes = pages(s, &awsec2.DescribeSnapshotsInput{}, nil)
		if len(ids) != 23 || len(sizes) != 12 {
			t.Errorf("%d ids, pages %v", len(ids), sizes)
		}
	})
}

func TestLagStaleBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		old := s.snapshot(v)
		time.Sleep(time.Hour)
		s.w.SetLag(30 * time.Second)
		fresh := s.snapshot(v)
		_, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{fresh}})
		want(t, "a look within the lag", err, "InvalidSnapshot.NotFound")
		if d := cmp.Diff([]string{old}, s.ids(by("volume-id", v))); d != "" {
			t.Error(d)
		}
		// Calls that write know it.
		if _, err := s.c.CreateTags(s.ctx, &awsec2.CreateTagsInput{Resources: []string{fresh}, Tags: tagged("a", "b")}); err != nil {
			t.Error(err)
		}
		time.Sleep(30 * time.Second)
		if d := cmp.Diff([]string{fresh}, s.ids(by("tag:a", "b"))); d != "" {
			t.Error(d)
		}
		s.w.SetLag(0)
		time.Sleep(30 * time.Second)

		s.w.Inject(awssim.Fault{Kind: awssim.FaultBlind, Back: 2 * time.Minute})
		if d := cmp.Diff([]string{old}, s.ids()); d != "" {
			t.Error(d)
		}
		if _, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: aws.String(old)}); err != nil {
			t.Fatal(err)
		}
		s.w.Inject(awssim.Fault{Kind: awssim.FaultStale, Back: 20 * time.Second})
		if d := cmp.Diff([]string{old, fresh}, s.ids()); d != "" {
			t.Error(d)
		}
		s.w.Inject(awssim.Fault{Kind: awssim.FaultStale, Back: 61 * time.Second})
		if d := cmp.Diff([]string(nil), s.ids(by("tag:a", "b"))); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{fresh}, s.ids()); d != "" {
			t.Error(d)
		}
	})
}

// An answer is the caller's: what it does with it does not reach the World.
func TestAnswersAreCopies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume(func(in *awsec2.CreateVolumeInput) {
			in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume, Tags: tagged("k", "v")}}
		})
		i := s.instance("/dev/sdf")
		in := &awsec2.CreateSnapshotInput{VolumeId: aws.String(v), Description: aws.String("d"),
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: tagged("k", "v")}}}
		made, err := s.c.CreateSnapshot(s.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		look := func() []any {
			a, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{})
			if err != nil {
				t.Fatal(err)
			}
			b, err := s.c.DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{})
			if err != nil {
				t.Fatal(err)
			}
			c, err := s.c.DescribeInstances(s.ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{*i.InstanceId}})
			if err != nil {
				t.Fatal(err)
			}
			return []any{a.Snapshots, b.Volumes, c.Reservations}
		}
		before := fmt.Sprint(text(look()...))
		*in.Description, *in.TagSpecifications[0].Tags[0].Value, *in.VolumeId = "x", "x", "x"
		*made.SnapshotId, *made.Tags[0].Value, *made.StartTime = "x", "x", time.Time{}
		for _, x := range look() {
			scribble(x)
		}
		if after := text(look()...); after != before {
			t.Errorf("before:\n%s\nafter:\n%s", before, after)
		}
	})
}

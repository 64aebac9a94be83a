package ec2sim_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

func numbered(n int) (list []ec2types.Tag) {
	for i := range n {
		list = append(list, tagged(fmt.Sprintf("key%02d", i), "v")...)
	}
	return list
}

func TestTagRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		for name, c := range map[string]struct {
			tags []ec2types.Tag
			code string
		}{
			"fifty":       {numbered(50), ""},
			"fifty-one":   {numbered(51), "TagLimitExceeded"},
			"reserved":    {tagged("aws:x", "y"), "InvalidParameterValue"},
			"Reserved":    {tagged("AWS:x", "y"), "InvalidParameterValue"},
			"twice":       {tagged("a", "b", "a", "c"), "InvalidParameterValue"},
			"no key":      {tagged("", "b"), "InvalidParameterValue"},
			"long key":    {tagged(strings.Repeat("ü", 128), "b"), ""},
			"longer key":  {tagged(strings.Repeat("k", 129), "b"), "InvalidParameterValue"},
			"long value":  {tagged("k", strings.Repeat("v", 256)), ""},
			"longer":      {tagged("k", strings.Repeat("v", 257)), "InvalidParameterValue"},
			"empty value": {tagged("k", ""), ""},
		} {
			time.Sleep(24 * time.Hour)
			_, err := s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: aws.String(v),
				TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: c.tags}}})
			want(t, name, err, c.code)
		}
		_, err := s.c.CreateTags(s.ctx, &awsec2.CreateTagsInput{Resources: []string{v}, Tags: numbered(50)})
		want(t, "fifty afterwards", err, "")
		_, err = s.c.CreateTags(s.ctx, &awsec2.CreateTagsInput{Resources: []string{v}, Tags: tagged("one more", "")})
		want(t, "one more", err, "TagLimitExceeded")
		_, err = s.c.CreateTags(s.ctx, &awsec2.CreateTagsInput{Resources: []string{v}, Tags: tagged("key00", "changed")})
		want(t, "a change", err, "")
		for id, c := range map[string]string{"snap-12345678": "InvalidSnapshot.NotFound", "vol-12345678": "InvalidVolume.NotFound", "i-12345678": "InvalidInstanceID.NotFound",
			"ami-12345678": "InvalidAMIID.NotFound", "x": "InvalidID"} {
			_, err = s.c.CreateTags(s.ctx, &awsec2.CreateTagsInput{Resources: []string{v, id}, Tags: tagged("key01", "half")})
			want(t, id, err, c)
		}
		_, err = s.in(other, region).CreateTags(s.ctx, &awsec2.CreateTagsInput{Resources: []string{v}, Tags: tagged("a", "b")})
		want(t, "another account", err, "InvalidVolume.NotFound")
		tags := s.ec2.Volumes(s.w, home, region)[0].Tags
		if len(tags) != 50 || tags["key00"] != "changed" || tags["key01"] != "v" {
			t.Errorf("%v", tags)
		}
	})
}

func TestDeleteAndDescribeTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		ids := s.ec2.Seed(s.w, home, region, 2, ec2sim.Seeds{Tags: func(n int) map[string]string {
			return map[string]string{"n": fmt.Sprint(n), "all": "x", "aws:made": "y"}
		}})
		list := func(filters ...ec2types.Filter) (got []string) {
			t.Helper()
			p := awsec2.NewDescribeTagsPaginator(s.c, &awsec2.DescribeTagsInput{Filters: filters})
			for p.HasMorePages() {
				out, err := p.NextPage(s.ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, g := range out.Tags {
					got = append(got, fmt.Sprint(*g.ResourceId == ids[0], " ", *g.Key, "=", *g.Value))
				}
			}
			return got
		}
		remove := func(tags ...ec2types.Tag) error {
			_, err := s.c.DeleteTags(s.ctx, &awsec2.DeleteTagsInput{Resources: ids[:1], Tags: tags})
			return err
		}
		s.w.SetPageLimit(1)
		if d := cmp.Diff([]string{"true all=x", "true aws:made=y", "true n=0"}, list(by("resource-id", ids[0]))); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff([]string{"false n=1"}, list(by("key", "n"), by("value", "1"), by("resource-type", "snapshot"))); d != "" {
			t.Error(d)
		}
		want(t, "another value", remove(tagged("n", "7")...), "")
		want(t, "this value", remove(tagged("all", "x")...), "")
		want(t, "reserved", remove(tagged("aws:made", "y")...), "InvalidParameterValue")
		if d := cmp.Diff([]string{"true aws:made=y", "true n=0"}, list(by("resource-id", ids[0]))); d != "" {
			t.Error(d)
		}
		want(t, "any value", remove(ec2types.Tag{Key: aws.String("n")}), "")
		want(t, "all", remove(), "")
		if d := cmp.Diff([]string{"true aws:made=y"}, list(by("resource-id", ids[0]))); d != "" {
			t.Error(d)
		}
		if got := s.ids(by("tag:all", "x")); len(got) != 1 || got[0] != ids[1] {
			t.Errorf("still tagged: %v", got)
		}
		if !s.ec2.Retag(s.w, home, region, ids[0], map[string]string{"aws:backup:source-resource": "arn"}) || s.ec2.Retag(s.w, home, region, "snap-12345678", nil) {
			t.Error("Retag")
		}
		_, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &ids[0]})
		want(t, "a snapshot of AWS Backup's", err, "InvalidParameterValue")
	})
}

func TestImages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		id := s.ec2.Seed(s.w, home, region, 1, ec2sim.Seeds{})[0]
		in := &awsec2.RegisterImageInput{Name: aws.String("web"), RootDeviceName: aws.String("/dev/xvda"),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: aws.String(id)}}}}
		m, err := s.c.RegisterImage(s.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.c.RegisterImage(s.ctx, in)
		want(t, "the same name", err, "InvalidAMIName.Duplicate")
		_, err = s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id})
		want(t, "a snapshot in use", err, "InvalidSnapshot.InUse")
		if err != nil && !strings.Contains(err.Error(), *m.ImageId) {
			t.Errorf("%v does not name %s", err, *m.ImageId)
		}
		out, err := s.c.DescribeImages(s.ctx, &awsec2.DescribeImagesInput{Filters: []ec2types.Filter{by("block-device-mapping.snapshot-id", id)}})
		if err != nil || len(out.Images) != 1 || *out.Images[0].ImageId != *m.ImageId || *out.Images[0].BlockDeviceMappings[0].Ebs.SnapshotId != id {
			t.Errorf("%v %s", err, text(out))
		}
		if _, err := s.c.DeregisterImage(s.ctx, &awsec2.DeregisterImageInput{ImageId: m.ImageId}); err != nil {
			t.Fatal(err)
		}
		_, err = s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: &id})
		want(t, "a snapshot no more in use", err, "")
		_, err = s.c.DeregisterImage(s.ctx, &awsec2.DeregisterImageInput{ImageId: m.ImageId})
		want(t, "a second time", err, "InvalidAMIID.Unavailable")
	})
}

func TestZonesAndRegions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for region, ids := range map[string][]string{"eu-west-1": {"euw1-az1", "euw1-az2", "euw1-az3"}, "ap-southeast-2": {"apse2-az1", "apse2-az2", "apse2-az3"},
			"us-gov-west-1": {"usgw1-az1", "usgw1-az2", "usgw1-az3"}} {
			out, err := s.in(home, region).DescribeAvailabilityZones(s.ctx, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, z := range out.AvailabilityZones {
				got = append(got, *z.ZoneId)
				if *z.ZoneName != region+string(rune('a'+i)) {
					t.Errorf("zone %s", *z.ZoneName)
				}
			}
			if d := cmp.Diff(ids, got); d != "" {
				t.Error(d)
			}
		}
		out, err := s.c.DescribeRegions(s.ctx, &awsec2.DescribeRegionsInput{RegionNames: []string{"eu-west-1"}})
		if err != nil || len(out.Regions) != 1 || *out.Regions[0].Endpoint != "ec2.eu-west-1.amazonaws.com" {
			t.Errorf("%v %s", err, text(out))
		}
		_, err = s.c.DescribeRegions(s.ctx, &awsec2.DescribeRegionsInput{RegionNames: []string{"moon-1"}})
		want(t, "an unknown Region", err, "InvalidParameterValue")
	})
}

func TestSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		ids := s.ec2.Seed(s.w, home, region, 100_000, ec2sim.Seeds{Volumes: []string{v, "vol-12345678"}, Every: time.Hour, SizeGiB: 50,
			Tags: func(n int) map[string]string { return map[string]string{"n": fmt.Sprint(n), "half": fmt.Sprint(n % 2)} }})
		_, err := s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: &v})
		want(t, "one more than 100,000", err, "SnapshotLimitExceeded")
		if got := s.ids(by("tag:n", "99999")); len(got) != 1 || got[0] != ids[99_999] {
			t.Errorf("by tag: %v", got)
		}
		p := s.one(ids[99_999])
		if p.State != ec2types.SnapshotStateCompleted || time.Since(*p.StartTime).Round(time.Second) != time.Hour || *p.VolumeSize != 50 {
			t.Errorf("%s at %v", text(p), time.Now())
		}
		n, sizes := pages(s, &awsec2.DescribeSnapshotsInput{MaxResults: aws.Int32(1000), OwnerIds: []string{"self"}, Filters: []ec2types.Filter{by("volume-id", v)}}, nil)
		if len(n) != 50_000 || len(sizes) != 50 {
			t.Errorf("%d in %d pages", len(n), len(sizes))
		}
	})
}

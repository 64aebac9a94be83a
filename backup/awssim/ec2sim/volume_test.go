package ec2sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
)

func (s *scene) volumes(filters ...ec2types.Filter) []string {
	s.t.Helper()
	out, err := s.c.DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{Filters: filters})
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, v := range out.Volumes {
		ids = append(ids, *v.VolumeId)
	}
	return ids
}

func TestVolumeLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		i := s.instance()
		made, err := s.c.CreateVolume(s.ctx, &awsec2.CreateVolumeInput{AvailabilityZoneId: aws.String("euw1-az1"), Size: aws.Int32(100), VolumeType: ec2types.VolumeTypeGp3})
		if err != nil {
			t.Fatal(err)
		}
		if made.State != ec2types.VolumeStateCreating || *made.Iops != 3000 || *made.Throughput != 125 || *made.AvailabilityZone != region+"a" || *made.Encrypted {
			t.Errorf("%+v", made)
		}
		attach := &awsec2.AttachVolumeInput{VolumeId: made.VolumeId, InstanceId: i.InstanceId, Device: aws.String("/dev/sdf")}
		_, err = s.c.AttachVolume(s.ctx, attach)
		want(t, "attaching too early", err, "IncorrectState")
		_, err = s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: made.VolumeId})
		want(t, "a snapshot too early", err, "IncorrectState")
		ids := &awsec2.DescribeVolumesInput{VolumeIds: []string{*made.VolumeId}}
		if err := awsec2.NewVolumeAvailableWaiter(s.c).Wait(s.ctx, ids, time.Hour); err != nil {
			t.Fatal(err)
		}
		a, err := s.c.AttachVolume(s.ctx, attach)
		if err != nil || a.State != ec2types.VolumeAttachmentStateAttaching {
			t.Fatal(a, err)
		}
		time.Sleep(time.Minute)
		out, err := s.c.DescribeVolumes(s.ctx, ids)
		if err != nil || out.Volumes[0].State != ec2types.VolumeStateInUse || out.Volumes[0].Attachments[0].State != ec2types.VolumeAttachmentStateAttached {
			t.Errorf("%v %+v", err, out)
		}
		if d := cmp.Diff([]string{*i.BlockDeviceMappings[0].Ebs.VolumeId, *made.VolumeId}, s.volumes(by("attachment.instance-id", *i.InstanceId))); d != "" {
			t.Error(d)
		}
		_, err = s.c.DeleteVolume(s.ctx, &awsec2.DeleteVolumeInput{VolumeId: made.VolumeId})
		want(t, "deleting it attached", err, "VolumeInUse")
		_, err = s.c.AttachVolume(s.ctx, attach)
		want(t, "attaching it twice", err, "VolumeInUse")
		_, err = s.c.DetachVolume(s.ctx, &awsec2.DetachVolumeInput{VolumeId: i.BlockDeviceMappings[0].Ebs.VolumeId})
		want(t, "detaching the root", err, "OperationNotPermitted")
		d, err := s.c.DetachVolume(s.ctx, &awsec2.DetachVolumeInput{VolumeId: made.VolumeId})
		if err != nil || d.State != ec2types.VolumeAttachmentStateDetaching {
			t.Errorf("%v %+v", err, d)
		}
		if err := awsec2.NewVolumeAvailableWaiter(s.c).Wait(s.ctx, ids, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := s.volumes(by("attachment.instance-id", *i.InstanceId)); len(got) != 1 {
			t.Errorf("still attached: %v", got)
		}
		if _, err := s.c.DeleteVolume(s.ctx, &awsec2.DeleteVolumeInput{VolumeId: made.VolumeId}); err != nil {
			t.Fatal(err)
		}
		if err := awsec2.NewVolumeDeletedWaiter(s.c).Wait(s.ctx, ids, time.Hour); err != nil {
			t.Fatal(err)
		}
		_, err = s.c.DescribeVolumes(s.ctx, ids)
		want(t, "a look at a deleted volume", err, "InvalidVolume.NotFound")
	})
}

// A volume that moved belongs to the instance at which it is.
func TestVolumeMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		a, b := s.instance("/dev/sdf"), s.instance()
		v := a.BlockDeviceMappings[1].Ebs.VolumeId
		move := func(from, to *ec2types.Instance) {
			t.Helper()
			if _, err := s.c.DetachVolume(s.ctx, &awsec2.DetachVolumeInput{VolumeId: v, InstanceId: from.InstanceId}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			if _, err := s.c.AttachVolume(s.ctx, &awsec2.AttachVolumeInput{VolumeId: v, InstanceId: to.InstanceId, Device: aws.String("/dev/sdh")}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}
		sizes := func() (n [2]int) {
			t.Helper()
			for i, x := range []*ec2types.Instance{a, b} {
				out, err := s.c.DescribeInstances(s.ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{*x.InstanceId}})
				if err != nil {
					t.Fatal(err)
				}
				set, err := s.c.CreateSnapshots(s.ctx, &awsec2.CreateSnapshotsInput{InstanceSpecification: &ec2types.InstanceSpecification{InstanceId: x.InstanceId}})
				if err != nil {
					t.Fatal(err)
				}
				n[i] = len(out.Reservations[0].Instances[0].BlockDeviceMappings)
				if m := len(s.volumes(by("attachment.instance-id", *x.InstanceId))); m != n[i] || len(set.Snapshots) != n[i] {
					t.Errorf("%s: %d mappings, %d volumes, %d snapshots", *x.InstanceId, n[i], m, len(set.Snapshots))
				}
			}
			return n
		}
		if n := sizes(); n != [2]int{2, 1} {
			t.Errorf("at first %v", n)
		}
		move(a, b)
		if n := sizes(); n != [2]int{1, 2} {
			t.Errorf("moved %v", n)
		}
		move(b, a)
		if n := sizes(); n != [2]int{2, 1} {
			t.Errorf("moved back %v", n)
		}
	})
}

func TestCreateVolumeToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		in := func() *awsec2.CreateVolumeInput {
			return &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(10), ClientToken: aws.String("one")}
		}
		a, err := s.c.CreateVolume(s.ctx, in())
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.c.CreateVolume(s.ctx, in())
		if err != nil || *a.VolumeId != *b.VolumeId {
			t.Errorf("%v: %s and %s", err, *a.VolumeId, *b.VolumeId)
		}
		for name, change := range map[string]func(*awsec2.CreateVolumeInput){
			"size": func(in *awsec2.CreateVolumeInput) { in.Size = aws.Int32(11) },
			"zone": func(in *awsec2.CreateVolumeInput) { in.AvailabilityZone = aws.String(region + "b") },
			"tags": func(in *awsec2.CreateVolumeInput) {
				in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume, Tags: tagged("a", "b")}}
			},
		} {
			x := in()
			change(x)
			_, err := s.c.CreateVolume(s.ctx, x)
			want(t, name, err, "IdempotentParameterMismatch")
		}
		if c, err := s.in(other, region).CreateVolume(s.ctx, in()); err != nil || *c.VolumeId == *a.VolumeId {
			t.Errorf("another account: %v", err)
		}
		x := in()
		x.ClientToken = nil
		if c, err := s.c.CreateVolume(s.ctx, x); err != nil || *c.VolumeId == *a.VolumeId {
			t.Errorf("no token: %v", err)
		}
		if n := len(s.ec2.Volumes(s.w, home, region)); n != 2 {
			t.Errorf("%d volumes, want 2", n)
		}
	})
}

func TestCreateVolumeRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		done := s.snapshot(v)
		time.Sleep(24 * time.Hour)
		pending := s.snapshot(v)
		for name, c := range map[string]struct {
			change func(*awsec2.CreateVolumeInput)
			code   string
		}{
			"neither size nor snapshot": {func(in *awsec2.CreateVolumeInput) {}, "MissingParameter"},
			"no zone":                   {func(in *awsec2.CreateVolumeInput) { in.AvailabilityZone = nil }, "MissingParameter"},
			"zone of another Region":    {func(in *awsec2.CreateVolumeInput) { in.AvailabilityZone = aws.String("us-east-1a") }, "InvalidZone.NotFound"},
			"snapshot":                  {func(in *awsec2.CreateVolumeInput) { in.SnapshotId = aws.String(done) }, ""},
			"larger than snapshot":      {func(in *awsec2.CreateVolumeInput) { in.SnapshotId, in.Size = aws.String(done), aws.Int32(21) }, ""},
			"smaller than snapshot":     {func(in *awsec2.CreateVolumeInput) { in.SnapshotId, in.Size = aws.String(done), aws.Int32(19) }, "InvalidParameterValue"},
			"pending snapshot":          {func(in *awsec2.CreateVolumeInput) { in.SnapshotId = aws.String(pending) }, "IncorrectState"},
			"unknown snapshot":          {func(in *awsec2.CreateVolumeInput) { in.SnapshotId = aws.String("snap-12345678") }, "InvalidSnapshot.NotFound"},
			"malformed snapshot":        {func(in *awsec2.CreateVolumeInput) { in.SnapshotId = aws.String("snap") }, "InvalidSnapshotID.Malformed"},
			"type":                      {func(in *awsec2.CreateVolumeInput) { in.VolumeType, in.Size = "gp9", aws.Int32(1) }, "UnknownVolumeType"},
			"small st1":                 {func(in *awsec2.CreateVolumeInput) { in.VolumeType, in.Size = "st1", aws.Int32(124) }, "InvalidParameterValue"},
			"io2 without iops":          {func(in *awsec2.CreateVolumeInput) { in.VolumeType, in.Size = "io2", aws.Int32(10) }, "MissingParameter"},
			"io2": {func(in *awsec2.CreateVolumeInput) {
				in.VolumeType, in.Size, in.Iops = "io2", aws.Int32(10), aws.Int32(500)
			}, ""},
			"gp2 with throughput": {func(in *awsec2.CreateVolumeInput) { in.Size, in.Throughput = aws.Int32(10), aws.Int32(200) }, "InvalidParameterCombination"},
			"dry run":             {func(in *awsec2.CreateVolumeInput) { in.DryRun = yes() }, "DryRunOperation"},
			"tags for a snapshot": {func(in *awsec2.CreateVolumeInput) {
				in.Size = aws.Int32(1)
				in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: tagged("a", "b")}}
			}, "InvalidParameterValue"},
		} {
			in := &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a")}
			c.change(in)
			_, err := s.c.CreateVolume(s.ctx, in)
			want(t, name, err, c.code)
		}
		if d := cmp.Diff(2, len(s.volumes(by("snapshot-id", done)))); d != "" {
			t.Error(d)
		}
	})
}

func TestInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		in := &awsec2.RunInstancesInput{ImageId: aws.String("ami-12345678"), MinCount: aws.Int32(2), MaxCount: aws.Int32(2), ClientToken: aws.String("t"),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{
				{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(12), Encrypted: yes()}},
				{DeviceName: aws.String("/dev/sdf"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(30), DeleteOnTermination: aws.Bool(false)}}},
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: tagged("app", "shop")},
				{ResourceType: ec2types.ResourceTypeVolume, Tags: tagged("app", "disk")}}}
		first, err := s.c.RunInstances(s.ctx, in)
		if err != nil {
			t.Fatal(err)
		}
		again, err := s.c.RunInstances(s.ctx, in)
		if err != nil || *again.ReservationId != *first.ReservationId || *first.OwnerId != home || len(again.Instances) != 2 {
			t.Fatalf("%v %+v", err, again)
		}
		if n := len(s.volumes(by("tag:app", "disk"))); n != 4 {
			t.Errorf("%d volumes", n)
		}
		ids := []string{*first.Instances[0].InstanceId, *first.Instances[1].InstanceId}
		look := func(filters ...ec2types.Filter) (list []ec2types.Instance) {
			t.Helper()
			p := awsec2.NewDescribeInstancesPaginator(s.c, &awsec2.DescribeInstancesInput{Filters: filters})
			for p.HasMorePages() {
				out, err := p.NextPage(s.ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, r := range out.Reservations {
					if *r.OwnerId != home || *r.ReservationId != *first.ReservationId {
						t.Errorf("%+v", r)
					}
					list = append(list, r.Instances...)
				}
			}
			return list
		}
		if n := len(look(by("instance-state-name", "pending"))); n != 2 {
			t.Errorf("%d pending", n)
		}
		time.Sleep(10 * time.Minute)
		got := look(by("tag:app", "shop"), by("instance-state-name", "running"))
		if len(got) != 2 || len(got[0].BlockDeviceMappings) != 2 || *got[0].RootDeviceName != "/dev/xvda" || got[1].BlockDeviceMappings[1].Ebs.Status != "attached" {
			t.Fatalf("%s", text(got))
		}
		s.w.SetPageLimit(1)
		if n := len(look(by("tag-key", "app"))); n != 2 {
			t.Errorf("%d by pages", n)
		}
		s.w.SetPageLimit(0)
		kept := *got[0].BlockDeviceMappings[1].Ebs.VolumeId
		out, err := s.c.TerminateInstances(s.ctx, &awsec2.TerminateInstancesInput{InstanceIds: ids[:1]})
		if err != nil || out.TerminatingInstances[0].CurrentState.Name != "shutting-down" || out.TerminatingInstances[0].PreviousState.Name != "running" {
			t.Errorf("%v %s", err, text(out))
		}
		time.Sleep(10 * time.Minute)
		if n := len(look(by("instance-id", ids...), by("instance-state-name", "terminated"))); n != 1 {
			t.Errorf("%d terminated", n)
		}
		if d := cmp.Diff([]string{kept}, s.volumes(by("status", "available"))); d != "" || len(s.volumes()) != 3 {
			t.Errorf("volumes %v: %s", s.volumes(), d)
		}
		_, err = s.c.CreateSnapshots(s.ctx, &awsec2.CreateSnapshotsInput{InstanceSpecification: &ec2types.InstanceSpecification{InstanceId: &ids[0]}})
		want(t, "a set of a terminated instance", err, "IncorrectInstanceState")
		time.Sleep(time.Hour)
		_, err = s.c.DescribeInstances(s.ctx, &awsec2.DescribeInstancesInput{InstanceIds: ids[:1]})
		want(t, "a look an hour later", err, "InvalidInstanceID.NotFound")
		_, err = s.c.DescribeInstances(s.ctx, &awsec2.DescribeInstancesInput{Filters: []ec2types.Filter{by("vpc-id", "x")}})
		if err == nil || code(err) == "InvalidParameterValue" {
			t.Errorf("a filter that is not simulated: %v", err)
		}
	})
}

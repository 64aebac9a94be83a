package ebs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

func TestSetCarriesWhatItTakesToRebuildIt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t", Owner: "ops", Tags: map[string]string{"team": "orders"},
			Options: ebs.BackupOptions{Description: "nightly"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		if len(op.Points) != 1 || op.Points[0].Type != ebs.TypeSet {
			t.Fatal(op.Points)
		}
		snapshots, _ := b.made(op)
		devices := map[string]string{}
		for _, v := range b.ec2.Volumes(b.world, account, region) {
			devices[v.ID] = v.Device
		}
		for _, x := range snapshots {
			if diff := cmp.Diff(devices, ebs.Devices(x.Tags)); diff != "" {
				t.Errorf("device map of %s: %s", x.ID, diff)
			}
			if x.Tags[ebs.TagMembers] != "3" || devices[x.Tags[ebs.TagRoot]] != "/dev/xvda" || x.Tags["team"] != "orders" ||
				x.Tags[backup.TagOwner] != "ops" || x.Tags[backup.TagSource] != b.instance.String() {
				t.Errorf("tags of %s: %v", x.ID, x.Tags)
			}
		}
		var points []backup.RecoveryPoint
		for p, err := range s.List(t.Context(), backup.Query{Account: account, Region: region, Source: b.instance}) {
			if err != nil {
				t.Fatal(err)
			}
			points = append(points, p)
		}
		if len(points) != 1 || points[0].Ref != op.Points[0] || points[0].Source != b.instance || points[0].Status != backup.StatusAvailable ||
			len(points[0].Members) != 3 || points[0].SizeBytes != 48<<30 || points[0].CreatedAt.IsZero() {
			t.Fatalf("%+v", points)
		}
		roles := map[string]string{}
		for _, m := range points[0].Members {
			roles[m.Place] = m.Role
		}
		if diff := cmp.Diff(map[string]string{"/dev/xvda": "root", "/dev/sdf": "data", "/dev/sdg": "data"}, roles); diff != "" {
			t.Error(diff)
		}
		// The volumes come back with what it takes to attach them.
		rop, err := s.StartRestore(t.Context(), op.Points[0], backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1b", VolumeType: "io2", IOPS: 400}})
		rop = finish(t, s, rop, err)
		want(t, rop, backup.PhaseSucceeded, "")
		_, volumes := b.made(rop)
		for _, v := range volumes {
			if v.Tags[ebs.TagDevice] != devices[v.Tags[ebs.TagVolume]] || (v.Tags[ebs.TagRole] == "root") != (v.Tags[ebs.TagDevice] == "/dev/xvda") || v.Type != "io2" {
				t.Errorf("restored %+v", v)
			}
		}
		if len(volumes) != 3 || len(rop.Made) != 3 {
			t.Errorf("%d volumes, listed %v", len(volumes), rop.Made)
		}
	})
}

func TestExclusions(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		byDevice := map[string]string{}
		for _, v := range b.ec2.Volumes(b.world, account, region) {
			byDevice[v.Device] = v.ID
		}
		for _, c := range []struct {
			name    string
			options ebs.BackupOptions
			code    backup.Code
			members []string
		}{
			{"boot", ebs.BackupOptions{ExcludeBoot: true}, "", []string{"/dev/sdf", "/dev/sdg"}},
			{"data", ebs.BackupOptions{ExcludeVolumes: []string{byDevice["/dev/sdf"]}}, "", []string{"/dev/sdg", "/dev/xvda"}},
			{"both", ebs.BackupOptions{ExcludeBoot: true, ExcludeVolumes: []string{byDevice["/dev/sdf"]}}, "", []string{"/dev/sdg"}},
			{"all", ebs.BackupOptions{ExcludeBoot: true, ExcludeVolumes: []string{byDevice["/dev/sdf"], byDevice["/dev/sdg"]}}, backup.ErrInvalid, nil},
			{"the root as data", ebs.BackupOptions{ExcludeVolumes: []string{byDevice["/dev/xvda"]}}, backup.ErrInvalid, nil},
			{"one that is not attached", ebs.BackupOptions{ExcludeVolumes: []string{"vol-0123456789abcdef0"}}, backup.ErrInvalid, nil},
		} {
			op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: c.name, Options: c.options})
			op = finish(t, s, op, err)
			if c.code != "" {
				want(t, op, backup.PhaseFailed, c.code)
				continue
			}
			want(t, op, backup.PhaseSucceeded, "")
			snapshots, _ := b.made(op)
			var got []string
			for _, x := range snapshots {
				for d, v := range byDevice {
					if v == x.Volume {
						got = append(got, d)
					}
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(c.members, got); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestLargestSetFitsIntoAnOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context())
		in := &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeM5Large,
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}}}}
		for i := range 127 {
			in.BlockDeviceMappings = append(in.BlockDeviceMappings, ec2types.BlockDeviceMapping{
				DeviceName: aws.String(fmt.Sprintf("/dev/xvd%c%c", 'b'+i/26, 'a'+i%26)), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(1)}})
		}
		out, err := b.client.RunInstances(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		s := anywhere(b.world.Config(account, region))
		tags := map[string]string{}
		for i := range 20 {
			tags[fmt.Sprintf("tag-%d", i)] = strings.Repeat("x", 40)
		}
		largest := 0
		run := func(op backup.Operation, err error) backup.Operation {
			if err != nil {
				t.Fatal(err)
			}
			r, err := backup.NewRunner([]backup.Strategy{s}, func(o *backup.RunnerOptions) {
				o.Observer = backup.ObserverFunc(func(_ context.Context, e backup.Event) {
					j, err := json.Marshal(e.Operation)
					if err != nil {
						t.Error(err)
					}
					largest = max(largest, len(j))
				})
			})
			if err != nil {
				t.Fatal(err)
			}
			op, err = r.Run(t.Context(), op)
			if err != nil {
				t.Fatal(err)
			}
			return op
		}
		op := run(s.Start(t.Context(), ebs.Instance(account, region, *out.Instances[0].InstanceId), backup.Spec{Token: "t", Tags: tags}))
		snapshots, _ := b.made(op)
		if len(snapshots) != 128 || len(ebs.Devices(snapshots[77].Tags)) != 128 {
			t.Fatalf("%d snapshots, %d devices", len(snapshots), len(ebs.Devices(snapshots[0].Tags)))
		}
		rop := run(s.StartRestore(t.Context(), op.Points[0], backup.Spec{Token: "t", Tags: tags, Options: ebs.RestoreOptions{Zone: "eu-west-1a"}}))
		if _, volumes := b.made(rop); len(volumes) != 128 || len(rop.Made) != 128 {
			t.Errorf("restored %d volumes, listed %d", len(volumes), len(rop.Made))
		}
		cop := run(s.StartCopy(t.Context(), op.Points[0], backup.Destination{Region: elsewhere}, backup.Spec{Token: "t", Tags: tags, Timeout: 240 * time.Hour}))
		if copies := b.copies(cop, elsewhere); len(copies) != 128 || len(ebs.Devices(copies[77].Tags)) != 128 || cop.Phase != backup.PhaseSucceeded {
			t.Errorf("copied %d snapshots: %v", len(copies), cop.Err())
		}
		dop := run(s.StartDelete(t.Context(), op.Points[0], backup.Spec{Token: "t", Tags: tags}))
		if snapshots, _ := b.made(op); len(snapshots) != 0 || dop.Phase != backup.PhaseSucceeded {
			t.Errorf("%d snapshots left", len(snapshots))
		}
		if largest > backup.MaxOperationBytes {
			t.Errorf("an operation of 128 volumes took %d bytes of JSON, more than %d", largest, backup.MaxOperationBytes)
		}
		t.Logf("largest operation: %d bytes", largest)
		// With 35 tags of one's own there would be more than EC2's 50; that is said before anything is made.
		for i := range 15 {
			tags[fmt.Sprintf("more-%d", i)] = "x"
		}
		many, err := s.Start(t.Context(), op.Ref, backup.Spec{Token: "many", Tags: tags})
		want(t, finish(t, s, many, err), backup.PhaseFailed, backup.ErrInvalid)
	})
}

func TestSetThatIsShortIsPartial(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 1, Do: func() {
			snapshots, _ := b.made(op)
			b.ec2.DeleteBehindBack(b.world, account, region, snapshots[1].ID)
		}})
		op = finish(t, s, op, nil)
		want(t, op, backup.PhasePartial, backup.ErrPartial)
		if !strings.Contains(op.Err().Error(), "2 of 3") {
			t.Error(op.Err())
		}
		// The listing says so too, and a restore asks before it takes less.
		var status backup.Status
		for p, err := range s.List(t.Context(), backup.Query{Account: account, Region: region, Point: op.Points[0]}) {
			if err != nil {
				t.Fatal(err)
			}
			status = p.Status
		}
		if status != backup.StatusPartial {
			t.Errorf("listed as %q", status)
		}
		rop, err := s.StartRestore(t.Context(), op.Points[0], backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		findings, perr := s.Preflight(t.Context(), rop)
		if perr != nil || len(findings) != 1 || findings[0].ID != "ebs.point-partial" {
			t.Errorf("%v %v", findings, perr)
		}
		want(t, finish(t, s, rop, err), backup.PhaseFailed, backup.ErrUnsupported)
		rop, err = s.StartRestore(t.Context(), op.Points[0], backup.Spec{Token: "r2", Options: ebs.RestoreOptions{Zone: "eu-west-1a", AllowPartial: true}})
		rop = finish(t, s, rop, err)
		want(t, rop, backup.PhasePartial, backup.ErrPartial)
		if len(rop.Made) != 2 {
			t.Error(rop.Made)
		}
		// What is left of the set can be deleted.
		dop, err := s.StartDelete(t.Context(), op.Points[0], backup.Spec{Token: "d"})
		want(t, finish(t, s, dop, err), backup.PhaseSucceeded, "")
	})
}

func TestAttachedBetweenPlanAndCall(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		v, err := b.client.CreateVolume(t.Context(), &awsec2.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1a"), Size: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Do: func() {
			if _, err := b.client.AttachVolume(t.Context(), &awsec2.AttachVolumeInput{InstanceId: &b.instance.ID, VolumeId: v.VolumeId, Device: aws.String("/dev/sdh")}); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Second)
		}})
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		if len(op.Findings) != 1 || op.Findings[0].ID != "ebs.extra-volume" {
			t.Errorf("findings: %v", op.Findings)
		}
		// The set is listed once, with all four members.
		n := 0
		for p, err := range s.List(t.Context(), backup.Query{Account: account, Region: region}) {
			if n++; err != nil || p.Ref != op.Points[0] || len(p.Members) != 4 || p.Status != backup.StatusAvailable {
				t.Errorf("listed %+v, %v", p, err)
			}
		}
		if n != 1 {
			t.Errorf("listed %d times", n)
		}
	})
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		var gone string
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Do: func() {
			for _, v := range b.ec2.Volumes(b.world, account, region) {
				if v.Device == "/dev/sdg" {
					gone = v.ID
				}
			}
			if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &gone}); err != nil {
				t.Error(err)
			}
			time.Sleep(20 * time.Second)
		}})
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhasePartial, backup.ErrPartial)
		if !strings.Contains(op.Err().Error(), gone) {
			t.Errorf("%v does not name %s", op.Err(), gone)
		}
	})
}

package ebs_test

import (
	"context"
	"encoding/json"
	"errors"
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
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
)

func strategyOf(b *bench) *ebs.Strategy { return ebs.NewFromConfig(b.world.Config(account, region)) }

// inBubble runs f in a bubble with a fresh bench.
func inBubble(t *testing.T, f func(t *testing.T, b *bench, s *ebs.Strategy)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context())
		f(t, b, strategyOf(b))
	})
}

func finish(t testing.TB, s backup.Strategy, op backup.Operation, err error) backup.Operation {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	op, err = r.Run(t.Context(), op)
	if !op.Done() {
		t.Fatalf("not ended: %v", err)
	}
	return op
}

// want checks how an Operation ended.
func want(t testing.TB, op backup.Operation, phase backup.Phase, code backup.Code) {
	t.Helper()
	if op.Phase != phase || code != "" && !errors.Is(op.Err(), code) {
		t.Fatalf("ended %s with %v, wanted %s with %q", op.Phase, op.Err(), phase, code)
	}
	if code != "" && backup.HintOf(op.Err()) == "" && code != backup.ErrCanceled {
		t.Errorf("no hint in %v", op.Err())
	}
}

func TestStartRefusesWithoutACall(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		calls := len(b.world.Calls())
		ok := backup.Spec{Token: "t"}
		restore := backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}}
		snap := ebs.Snapshot(account, region, "snap-0123456789abcdef0")
		set := ebs.Set(account, region, "set-x-1")
		with := func(f func(*backup.Spec)) backup.Spec { s := ok; f(&s); return s }
		for _, c := range []struct {
			name  string
			start func() (backup.Operation, error)
		}{
			{"an empty ref", func() (backup.Operation, error) { return s.Start(t.Context(), backup.Ref{}, ok) }},
			{"a foreign type", func() (backup.Operation, error) {
				return s.Start(t.Context(), backup.Ref{Type: "rds/instance", Account: account, Region: region, ID: "db"}, ok)
			}},
			{"a snapshot to back up", func() (backup.Operation, error) { return s.Start(t.Context(), snap, ok) }},
			{"another Region", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume(account, "eu-west-2", "vol-0123456789abcdef0"), ok)
			}},
			{"a Region that does not exist", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume(account, "europe", "vol-0123456789abcdef0"), ok)
			}},
			{"a wrong account id", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume("1234", region, "vol-0123456789abcdef0"), ok)
			}},
			{"a volume id of the wrong form", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume(account, region, "vol-xyz"), ok)
			}},
			{"a wildcard", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume(account, region, "vol-*"), ok)
			}},
			{"no token", func() (backup.Operation, error) { return s.Start(t.Context(), b.volume, backup.Spec{}) }},
			{"a name", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Name = "x" }))
			}},
			{"a reserved tag", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Tags = map[string]string{"snapwarden:owner": "me"} }))
			}},
			{"an aws tag", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Tags = map[string]string{"AWS:x": "me"} }))
			}},
			{"options of a restore", func() (backup.Operation, error) { return s.Start(t.Context(), b.volume, restore) }},
			{"options by pointer", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Options = &ebs.BackupOptions{} }))
			}},
			{"an exclusion for a volume", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Options = ebs.BackupOptions{ExcludeBoot: true} }))
			}},
			{"a misspelt exclusion", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.instance, with(func(s *backup.Spec) { s.Options = ebs.BackupOptions{ExcludeVolumes: []string{"vol"}} }))
			}},
			{"41 exclusions", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.instance, with(func(s *backup.Spec) {
					s.Options = ebs.BackupOptions{ExcludeVolumes: slices.Repeat([]string{"vol-0123456789abcdef0"}, 41)}
				}))
			}},
			{"a long description", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.instance, with(func(s *backup.Spec) { s.Options = ebs.BackupOptions{Description: strings.Repeat("x", 256)} }))
			}},
			{"a negative timeout", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Timeout = -1 }))
			}},
			{"a restore without options", func() (backup.Operation, error) { return s.StartRestore(t.Context(), snap, ok) }},
			{"a restore of a volume", func() (backup.Operation, error) { return s.StartRestore(t.Context(), b.volume, restore) }},
			{"a zone of another Region", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "us-east-1a"}})
			}},
			{"a size for a set", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), set, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", SizeGiB: 9}})
			}},
			{"a negative size", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", SizeGiB: -9}})
			}},
			{"a slow initialization", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", InitializationRate: 5}})
			}},
			{"a key id", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", KMSKeyID: "alias/x"}})
			}},
			{"a strange type", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", VolumeType: "gp 3"}})
			}},
			{"a deletion of an instance", func() (backup.Operation, error) { return s.StartDelete(t.Context(), b.instance, ok) }},
			{"a set without its form", func() (backup.Operation, error) { return s.StartDelete(t.Context(), ebs.Set(account, region, "x"), ok) }},
			{"deletion options by pointer", func() (backup.Operation, error) {
				return s.StartDelete(t.Context(), snap, with(func(s *backup.Spec) { s.Options = &ebs.DeleteOptions{} }))
			}},
		} {
			_, err := c.start()
			if !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if n := len(b.world.Calls()) - calls; n != 0 {
			t.Errorf("%d calls were made", n)
		}
	})
}

func TestWrongAccountIsRefusedBeforeAnyEC2Call(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		calls := len(b.world.Calls())
		op, err := s.Start(t.Context(), ebs.Volume("999988887777", region, b.volume.ID), backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if next, err := s.Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) || next.Phase != backup.PhasePending {
			t.Errorf("%v %s", err, next.Phase)
		}
		for _, err := range s.List(t.Context(), backup.Query{Account: "999988887777", Region: region}) {
			if !errors.Is(err, backup.ErrInvalid) {
				t.Error(err)
			}
		}
		// Known from the start where it is given.
		given := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Account = account })
		if _, err := given.Start(t.Context(), op.Ref, backup.Spec{Token: "t"}); !errors.Is(err, backup.ErrInvalid) {
			t.Error(err)
		}
		if n := len(b.world.Calls()) - calls; n != 0 {
			t.Errorf("%d calls were made", n)
		}
	})
}

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

// An Operation of 128 volumes fits into 16 KiB at every step, with its tags, and restores.
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
		s := strategyOf(b)
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
		want(t, rop, backup.PhaseSucceeded, "")
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

func TestAsynchronousFailure(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Kind: awssim.FaultAsync})
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseFailed, backup.ErrFailed)
		if len(op.Points) != 1 {
			t.Errorf("what was made is not listed: %v", op.Points)
		}
		good := b.backedUp(t, t.Context(), b.volume)
		b.world.Inject(awssim.Fault{Operation: "CreateVolume", Kind: awssim.FaultAsync})
		rop, err := s.StartRestore(t.Context(), good, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		rop = finish(t, s, rop, err)
		want(t, rop, backup.PhaseFailed, backup.ErrFailed)
		if len(rop.Made) != 1 {
			t.Errorf("what was made is not listed: %v", rop.Made)
		}
		bad, err := s.StartRestore(t.Context(), op.Points[0], backup.Spec{Token: "b", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		want(t, finish(t, s, bad, err), backup.PhaseFailed, backup.ErrUnsupported)
	})
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		aws  string
		code backup.Code
	}{
		{"UnauthorizedOperation", backup.ErrDenied},
		{"SnapshotLimitExceeded", backup.ErrQuota},
		{"UnsupportedOperation", backup.ErrUnsupported},
		{"SomethingNobodyKnows", backup.ErrFailed},
	} {
		inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: c.aws, Message: "no"}})
			op, err := s.Start(t.Context(), b.volume, backup.Spec{Token: "t"})
			op = finish(t, s, op, err)
			want(t, op, backup.PhaseFailed, c.code)
			if n := count(b, "CreateSnapshot"); n != 1 {
				t.Errorf("%s: called %d times", c.aws, n)
			}
		})
	}
	for _, transient := range []string{"SnapshotCreationPerVolumeRateExceeded", "ConcurrentSnapshotLimitExceeded", "PendingSnapshotLimitExceeded", "IncorrectState"} {
		inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Times: 3, Kind: awssim.FaultError, Error: awssim.Error{Code: transient, Message: "later"}})
			began := time.Now()
			op, err := s.Start(t.Context(), b.volume, backup.Spec{Token: "t"})
			want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
			if d := time.Since(began); d < 90*time.Second {
				t.Errorf("%s: tried again too soon, done after %v", transient, d)
			}
			if n := count(b, "CreateSnapshot"); n != 4 {
				t.Errorf("%s: called %d times", transient, n)
			}
		})
	}
}

func count(b *bench, operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation {
			n++
		}
	}
	return n
}

// Two processes without a Store may make the same twice; the surplus is found and listed, and never hidden.
func TestUnstoredSurplusIsListed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		b.world.SetLag(time.Minute)
		ops := make(chan backup.Operation, 2)
		for range 2 {
			go func() {
				s := strategyOf(b)
				op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
				ops <- finish(t, s, op, err)
			}()
		}
		first, second := <-ops, <-ops
		want(t, first, backup.PhaseSucceeded, "")
		want(t, second, backup.PhaseSucceeded, "")
		snapshots, _ := b.made(first)
		if len(snapshots) != 6 {
			t.Fatalf("%d snapshots: the race that this test is about did not happen", len(snapshots))
		}
		for _, op := range []backup.Operation{first, second} {
			if len(op.Points) != 4 || !slices.ContainsFunc(op.Findings, func(f backup.Finding) bool { return f.ID == "ebs.surplus" }) {
				t.Errorf("points %v, findings %v", op.Points, op.Findings)
			}
		}
		// A third start of the same work finds what there is.
		third, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		want(t, finish(t, s, third, err), backup.PhaseSucceeded, "")
		if snapshots, _ := b.made(first); len(snapshots) != 6 {
			t.Errorf("a third set was made: %d", len(snapshots))
		}
	})
}

func TestCancel(t *testing.T) {
	steps := func(t *testing.T, s *ebs.Strategy, op backup.Operation, n int) backup.Operation {
		r, err := backup.NewRunner([]backup.Strategy{s})
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			if op, err = r.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		return op
	}
	for _, c := range []struct {
		name  string
		steps int
		sleep time.Duration
		phase backup.Phase
		left  int
	}{
		{"before anything", 0, 0, backup.PhaseCanceled, 0},
		{"planned", 1, 0, backup.PhaseCanceled, 0},
		{"pending", 2, 0, backup.PhaseCanceled, 0},
		{"complete meanwhile", 2, 5 * time.Hour, backup.PhaseSucceeded, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
				if err != nil {
					t.Fatal(err)
				}
				op = steps(t, s, op, c.steps)
				time.Sleep(c.sleep)
				if op, err = s.Cancel(t.Context(), op); err != nil {
					t.Fatal(err)
				}
				if again, err := s.Cancel(t.Context(), op); err != nil || again.Stage != op.Stage {
					t.Errorf("a second cancel: %v", err)
				}
				op = finish(t, s, op, nil)
				want(t, op, c.phase, "")
				time.Sleep(5 * time.Hour)
				// A deleted snapshot that is pending stays until it completes, so it may still be listed at the end of the cancel.
				if snapshots, _ := b.made(op); len(snapshots) != c.left || c.steps < 2 && len(op.Points) > 0 || c.steps == 2 && len(op.Points) != 1 {
					t.Errorf("%d snapshots are left, listed %v", len(snapshots), op.Points)
				}
				if _, err := s.Cancel(t.Context(), op); !errors.Is(err, backup.ErrUnsupported) {
					t.Errorf("cancel after the end: %v", err)
				}
			})
		})
	}
	// A cancel while the create call was perhaps sent settles first.
	for _, sent := range []bool{true, false} {
		t.Run(fmt.Sprintf("perhaps sent, %v", sent), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				kind := awssim.FaultServerError
				if sent {
					kind = awssim.FaultLostReply
				}
				b.world.SetLag(3 * time.Minute)
				b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Kind: kind})
				op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
				if err != nil {
					t.Fatal(err)
				}
				op = steps(t, s, op, 1)
				r, err := backup.NewRunner([]backup.Strategy{s})
				if err != nil {
					t.Fatal(err)
				}
				if op, err = r.Step(t.Context(), op); err == nil {
					t.Fatal("the reply was not lost")
				}
				if op, err = s.Cancel(t.Context(), op); err != nil || !op.Settling {
					t.Fatalf("%v, settling %v", err, op.Settling)
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
				time.Sleep(5 * time.Hour)
				if snapshots, _ := b.made(op); len(snapshots) != 0 {
					t.Errorf("%d snapshots are left", len(snapshots))
				}
				if n := count(b, "CreateSnapshots"); n != 1 {
					t.Errorf("created %d times", n)
				}
			})
		})
	}
}

func TestDelete(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		foreign, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &b.volume.ID})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		point := ebs.Snapshot(account, region, *foreign.SnapshotId)
		del := func(p backup.Ref, spec backup.Spec) backup.Operation {
			op, err := s.StartDelete(t.Context(), p, spec)
			return finish(t, s, op, err)
		}
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "p"})
		findings, perr := s.Preflight(t.Context(), op)
		if err != nil || perr != nil || len(findings) != 1 || findings[0].Severity != backup.SeverityError {
			t.Errorf("%v %v %v", err, perr, findings)
		}
		want(t, del(point, backup.Spec{Token: "1"}), backup.PhaseFailed, backup.ErrConflict)
		b.ec2.Retag(b.world, account, region, point.ID, map[string]string{"aws:backup:source-resource": "arn:x"})
		want(t, del(point, backup.Spec{Token: "2", Options: ebs.DeleteOptions{AllowForeign: true}}), backup.PhaseFailed, backup.ErrUnsupported)
		b.ec2.Retag(b.world, account, region, point.ID, nil)
		image, err := b.client.RegisterImage(t.Context(), &awsec2.RegisterImageInput{Name: aws.String("image"), RootDeviceName: aws.String("/dev/xvda"),
			BlockDeviceMappings: []ec2types.BlockDeviceMapping{{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{SnapshotId: &point.ID}}}})
		if err != nil {
			t.Fatal(err)
		}
		inUse := del(point, backup.Spec{Token: "3", Options: ebs.DeleteOptions{AllowForeign: true}})
		want(t, inUse, backup.PhaseFailed, backup.ErrConflict)
		if len(inUse.Points) != 1 {
			t.Errorf("what remains is not listed: %v", inUse.Points)
		}
		if _, err := b.client.DeregisterImage(t.Context(), &awsec2.DeregisterImageInput{ImageId: image.ImageId}); err != nil {
			t.Fatal(err)
		}
		want(t, del(point, backup.Spec{Token: "4", Options: ebs.DeleteOptions{AllowForeign: true}}), backup.PhaseSucceeded, "")
		began := time.Now()
		want(t, del(point, backup.Spec{Token: "5"}), backup.PhaseFailed, backup.ErrNotFound)
		if d := time.Since(began); d < 6*time.Minute {
			t.Errorf("absence was believed after %v", d)
		}
		// Somebody else's owner name is not ours.
		ours := b.backedUp(t, t.Context(), b.volume)
		want(t, del(ours, backup.Spec{Token: "6", Owner: "somebody-else"}), backup.PhaseFailed, backup.ErrConflict)
		want(t, del(ours, backup.Spec{Token: "7"}), backup.PhaseSucceeded, "")
	})
}

// An owner tag that changes between the look and the deletion stops it: the second look is on fresh data.
func TestDeleteLooksAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 1, Do: func() {
			b.ec2.Retag(b.world, account, region, point.ID, map[string]string{backup.TagOwner: "legal"})
		}})
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "t"})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict)
		if n := count(b, "DeleteSnapshot"); n != 0 {
			t.Errorf("deleted %d times", n)
		}
	})
}

func TestRestoreRefusesAndKeepsSizes(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		restore := func(p backup.Ref, token string, o ebs.RestoreOptions) backup.Operation {
			op, err := s.StartRestore(t.Context(), p, backup.Spec{Token: token, Options: o})
			return finish(t, s, op, err)
		}
		want(t, restore(ebs.Snapshot(account, region, "snap-0123456789abcdef0"), "1", ebs.RestoreOptions{Zone: "eu-west-1a"}), backup.PhaseFailed, backup.ErrNotFound)
		pending, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &b.volume.ID})
		if err != nil {
			t.Fatal(err)
		}
		want(t, restore(ebs.Snapshot(account, region, *pending.SnapshotId), "2", ebs.RestoreOptions{Zone: "eu-west-1a"}), backup.PhaseFailed, backup.ErrConflict)
		time.Sleep(2 * time.Hour)
		op := restore(ebs.Snapshot(account, region, *pending.SnapshotId), "3", ebs.RestoreOptions{Zone: "eu-west-1c", SizeGiB: 100, Throughput: 250, InitializationRate: 200,
			KMSKeyID: "arn:aws:kms:eu-west-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"})
		want(t, op, backup.PhaseSucceeded, "")
		_, volumes := b.made(op)
		if len(volumes) != 1 || volumes[0].SizeGiB != 100 || !volumes[0].Encrypted || volumes[0].Type != "gp3" {
			t.Errorf("%+v", volumes)
		}
		small := restore(ebs.Snapshot(account, region, *pending.SnapshotId), "4", ebs.RestoreOptions{Zone: "eu-west-1c", SizeGiB: 1})
		want(t, small, backup.PhaseFailed, backup.ErrInvalid)
	})
}

func TestRestoreGoesOnInTheMiddle(t *testing.T) {
	for _, kind := range []string{"InsufficientVolumeCapacity", "RequestLimitExceeded"} {
		inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
			point := b.backedUp(t, t.Context(), b.instance)
			b.world.Inject(awssim.Fault{Operation: "CreateVolume", Skip: 1, Times: 4, Kind: awssim.FaultError, Error: awssim.Error{Code: kind, Message: "later"}})
			op, err := s.StartRestore(t.Context(), point, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
			op = finish(t, s, op, err)
			want(t, op, backup.PhaseSucceeded, "")
			if _, volumes := b.made(op); len(volumes) != 3 || len(op.Made) != 3 {
				t.Errorf("%s: %d volumes, %v listed", kind, len(volumes), op.Made)
			}
		})
	}
}

func TestListAndDiscover(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		set := b.backedUp(t, t.Context(), b.instance)
		single := b.backedUp(t, t.Context(), b.volume)
		b.ec2.Seed(b.world, account, region, 30, ec2sim.Seeds{})
		b.world.SetPageLimit(7)
		all := backup.Query{Account: account, Region: region}
		list := func(f func(*backup.Query)) (refs []backup.Ref) {
			q := all
			f(&q)
			for p, err := range s.List(t.Context(), q) {
				if err != nil {
					t.Fatal(err)
				}
				refs = append(refs, p.Ref)
			}
			return refs
		}
		if got := list(func(*backup.Query) {}); len(got) != 32 || !slices.Contains(got, set) || !slices.Contains(got, single) {
			t.Errorf("all: %d, %v", len(got), got)
		}
		for _, c := range []struct {
			name string
			q    func(*backup.Query)
			want []backup.Ref
		}{
			{"the sets", func(q *backup.Query) { q.Types = []string{ebs.TypeSet} }, []backup.Ref{set}},
			{"of the instance", func(q *backup.Query) { q.Source = b.instance }, []backup.Ref{set}},
			{"one of the set", func(q *backup.Query) { q.Point = set }, []backup.Ref{set}},
			{"one snapshot", func(q *backup.Query) { q.Point = single }, []backup.Ref{single}},
			{"ours alone by tag", func(q *backup.Query) {
				q.Tags = map[string]string{backup.TagOwner: backup.DefaultOwner, backup.TagSource: ""}
				q.Types = []string{ebs.TypeSnapshot}
			}, []backup.Ref{single}},
			{"a wildcard is no wildcard", func(q *backup.Query) { q.Tags = map[string]string{backup.TagOwner: "snap*"} }, nil},
		} {
			if diff := cmp.Diff(c.want, list(c.q)); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
		for range s.List(t.Context(), all) {
			break // stopping early is allowed
		}
		var found []backup.Ref
		for r, err := range s.Discover(t.Context(), backup.Query{Account: account, Region: region, Tags: map[string]string{"team": "orders"}}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.ARN != "arn:aws:ec2:eu-west-1:111122223333:instance/"+b.instance.ID || r.Tags["team"] != "orders" {
				t.Errorf("%+v", r)
			}
			found = append(found, r.Ref)
		}
		if diff := cmp.Diff([]backup.Ref{b.instance}, found); diff != "" {
			t.Error(diff)
		}
		found = nil
		for r, err := range s.Discover(t.Context(), backup.Query{Account: account, Region: region, Types: []string{ebs.TypeVolume}}) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, r.Ref)
		}
		if len(found) != 3 || !slices.Contains(found, b.volume) {
			t.Errorf("volumes: %v", found)
		}
		for _, q := range []backup.Query{
			{Account: account, Region: "eu-west-2"},
			{Account: account, Region: region, Types: []string{"rds/instance"}},
			{Account: account, Region: region, Source: set},
			{Account: account, Region: region, Point: ebs.Snapshot("999988887777", region, single.ID)},
			{Account: account, Region: region, Point: b.volume},
		} {
			n := 0
			for _, err := range s.List(t.Context(), q) {
				if n++; !errors.Is(err, backup.ErrInvalid) {
					t.Errorf("list %+v: %v", q, err)
				}
			}
			for _, err := range s.Discover(t.Context(), q) {
				if n++; !errors.Is(err, backup.ErrInvalid) {
					t.Errorf("discover %+v: %v", q, err)
				}
			}
			if n != 2 {
				t.Errorf("%+v yielded %d times", q, n)
			}
		}
		// A page that can not be read ends the listing with an error: it is not a list.
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 2, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation"}})
		var last error
		for _, err := range s.List(t.Context(), all) {
			last = err
		}
		if !errors.Is(last, backup.ErrDenied) {
			t.Errorf("the listing ended with %v", last)
		}
	})
}

func TestPreflight(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		set := b.backedUp(t, t.Context(), b.instance)
		look := func(op backup.Operation, err error) (ids []string) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			before := len(b.world.Calls())
			findings, err := s.Preflight(t.Context(), op)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range b.world.Calls()[before:] {
				if c.Mutates {
					t.Errorf("preflight called %s", c.Operation)
				}
			}
			for _, f := range findings {
				ids = append(ids, f.ID)
			}
			return ids
		}
		spec := backup.Spec{Token: "t"}
		zone := backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}}
		missing := ebs.Snapshot(account, region, "snap-0123456789abcdef0")
		for _, c := range []struct {
			name string
			got  []string
			want []string
		}{
			{"an instance", look(s.Start(t.Context(), b.instance, spec)), nil},
			{"a volume", look(s.Start(t.Context(), b.volume, spec)), nil},
			{"no volume", look(s.Start(t.Context(), ebs.Volume(account, region, "vol-0123456789abcdef0"), spec)), []string{"ebs.backup-refused"}},
			{"no instance", look(s.Start(t.Context(), ebs.Instance(account, region, "i-0123456789abcdef0"), spec)), []string{"ebs.backup-refused"}},
			{"a set", look(s.StartRestore(t.Context(), set, zone)), nil},
			{"no snapshot to restore", look(s.StartRestore(t.Context(), missing, zone)), []string{"ebs.not-found"}},
			{"no snapshot to delete", look(s.StartDelete(t.Context(), missing, spec)), []string{"ebs.not-found"}},
			{"a set to delete", look(s.StartDelete(t.Context(), set, spec)), nil},
		} {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
		// A source that is not there fails the backup too, but one look is not enough for that.
		op, err := s.Start(t.Context(), ebs.Volume(account, region, "vol-0123456789abcdef0"), spec)
		began := time.Now()
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrNotFound)
		if d := time.Since(began); d < time.Minute {
			t.Errorf("believed after %v", d)
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeInstances", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "InternalError", Status: 500}})
		op, err = s.Start(t.Context(), b.instance, spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Preflight(t.Context(), op); !errors.Is(err, backup.ErrUnavailable) {
			t.Errorf("preflight without an answer: %v", err)
		}
	})
}

func TestProviderAndUnknownStage(t *testing.T) {
	none := errors.New("no role in that account")
	s := ebs.New(func(context.Context, string, string) (*awsec2.Client, error) { return nil, none })
	op, err := s.Start(t.Context(), ebs.Volume(account, region, "vol-0123456789abcdef0"), backup.Spec{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Step(t.Context(), op); !errors.Is(err, none) || !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
	world := awssim.New(ec2sim.Service())
	good := ebs.NewFromConfig(world.Config(account, region))
	op.Stage = "from the future"
	if _, err := good.Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
	op.State = []byte(`{"r":"x"}`)
	if _, err := good.Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
	op.Action = backup.ActionShare
	if _, err := good.Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("an action that does not belong to the id: %v", err)
	}
}

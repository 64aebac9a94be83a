package ebs_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
)

// tagsAs gives a truthful tag map the SDK's form.
func tagsAs(m map[string]string) []ec2types.TagSpecification {
	spec := ec2types.TagSpecification{ResourceType: ec2types.ResourceTypeSnapshot}
	for k, v := range m {
		spec.Tags = append(spec.Tags, ec2types.Tag{Key: &k, Value: &v})
	}
	return []ec2types.TagSpecification{spec}
}

// A snapshot of a restored volume that copied the volume's tags was not made by this library, whatever they say.
func TestCopiedTagsProveNothing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		op, err := s.StartRestore(t.Context(), point, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		_, volumes := b.made(op)
		copied, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &volumes[0].ID, TagSpecifications: tagsAs(volumes[0].Tags)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		del, err := s.StartDelete(t.Context(), ebs.Snapshot(account, region, *copied.SnapshotId), backup.Spec{Token: "d"})
		want(t, finish(t, s, del, err), backup.PhaseFailed, backup.ErrConflict)
	})
}

// One intent that was delivered twice makes one set of six: it is neither adopted nor listed as good, and all of it is named.
func TestSetMadeTwiceUnderOneID(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		quotas := ec2sim.DefaultQuotas()
		quotas.VolumeInterval = 0
		b.ec2.SetQuotas(b.world, quotas)
		r, err := backup.NewRunner([]backup.Strategy{s})
		if err != nil {
			t.Fatal(err)
		}
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if op, err = r.Step(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		b.world.SetLag(time.Minute)
		for range 2 { // an engine that does not raise Attempt
			if _, err := r.Step(t.Context(), op); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(2 * time.Hour)
		for p, err := range s.List(t.Context(), backup.Query{Account: account, Region: region}) {
			if err != nil || len(p.Members) != 6 || p.Status != backup.StatusFailed {
				t.Errorf("listed %s with %d members, %v", p.Status, len(p.Members), err)
			}
		}
		op = finish(t, s, op.Retried(1), nil)
		want(t, op, backup.PhaseFailed, backup.ErrConflict)
		if len(op.Points) == 0 {
			t.Error("nothing is listed")
		}
	})
}

// A token with another volume, another set or another source is not adopted.
func TestForgedTokensAreNotAdopted(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		op, err := s.Start(t.Context(), b.volume, backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		var other string
		for _, v := range b.ec2.Volumes(b.world, account, region) {
			if v.ID != b.volume.ID {
				other = v.ID
			}
		}
		good := map[string]string{backup.TagToken: op.ID, backup.TagSource: b.volume.String(), backup.TagOwner: backup.DefaultOwner}
		with := func(k, v string) map[string]string { m := maps.Clone(good); m[k] = v; return m }
		forged := map[string]bool{}
		for volume, tags := range map[string]map[string]string{other: good, b.volume.ID: with(backup.TagSource, b.instance.String())} {
			out, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &volume, TagSpecifications: tagsAs(tags)})
			if err != nil {
				t.Fatal(err)
			}
			forged[*out.SnapshotId] = true
		}
		time.Sleep(time.Hour)
		op = finish(t, s, op, nil) // without a Store: it looks once before it sends
		want(t, op, backup.PhaseSucceeded, "")
		if forged[op.Points[0].ID] {
			t.Errorf("adopted %v", op.Points)
		}
	})
}

// A snapshot that one look does not show leaves no wrong tags on what is restored, and the same token always has the same tags.
func TestRestoreWaitsForWhatItCannotSee(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.instance)
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 1, Times: 2, Kind: awssim.FaultBlind, Back: 48 * time.Hour})
		op, err := s.StartRestore(t.Context(), point, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		_, volumes := b.made(op)
		roots := 0
		for _, v := range volumes {
			if v.Tags[ebs.TagVolume] == "" || v.Tags[ebs.TagDevice] == "" {
				t.Errorf("restored %+v", v.Tags)
			}
			if v.Tags[ebs.TagRole] == "root" {
				roots++
			}
		}
		if len(volumes) != 3 || roots != 1 {
			t.Errorf("%d volumes, %d roots", len(volumes), roots)
		}
	})
}

// A refusal after a call that was perhaps applied ends the restore only when what that call made was looked for.
func TestRestoreRefusedAfterALostReply(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		b.world.SetLag(45 * time.Second)
		b.world.Inject(awssim.Fault{Operation: "CreateVolume", Kind: awssim.FaultLostReply})
		b.world.Inject(awssim.Fault{Operation: "CreateVolume", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Status: 403}})
		op, err := s.StartRestore(t.Context(), point, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseFailed, backup.ErrDenied)
		_, volumes := b.made(op)
		if len(volumes) != 1 || !slices.Contains(op.Made, ebs.Volume(account, region, volumes[0].ID)) {
			t.Errorf("exist %v, listed %v", volumes, op.Made)
		}
	})
}

// One look that does not show a volume, late in a restore, is not believed.
func TestRestoreBelievesAbsenceOnlyWhenItLasts(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		b.world.SetSpeed(0.01) // the volume takes long
		b.world.Inject(awssim.Fault{Operation: "DescribeVolumes", Skip: 25, Kind: awssim.FaultBlind, Back: 48 * time.Hour})
		op, err := s.StartRestore(t.Context(), point, backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
	})
}

// A set is judged by all its members, also when a listing asks for one volume.
func TestListByVolumeJudgesTheWholeSet(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		set := b.backedUp(t, t.Context(), b.instance)
		n := 0
		for p, err := range s.List(t.Context(), backup.Query{Account: account, Region: region, Source: b.volume}) {
			if n++; err != nil || p.Ref != set || len(p.Members) != 3 || p.Status != backup.StatusAvailable {
				t.Errorf("%+v %v", p, err)
			}
		}
		if n != 1 {
			t.Errorf("listed %d times", n)
		}
		// A set with a member more than planned, of which a planned one is gone, is short all the same.
		members := b.ec2.Snapshots(b.world, account, region)
		volume, err := b.client.CreateVolume(t.Context(), &awsec2.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1a"), Size: aws.Int32(1)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if _, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: volume.VolumeId, TagSpecifications: tagsAs(members[0].Tags)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		b.ec2.DeleteBehindBack(b.world, account, region, members[0].ID)
		for p, err := range s.List(t.Context(), backup.Query{Account: account, Region: region, Point: set}) {
			if err != nil || p.Status != backup.StatusPartial {
				t.Errorf("%s %v", p.Status, err)
			}
		}
	})
}

// A cancel right after the create says that nothing remains only when that could be seen.
func TestCancelOfWhatIsNotVisibleYet(t *testing.T) {
	for _, notFound := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
			b.world.SetLag(45 * time.Second)
			r, err := backup.NewRunner([]backup.Strategy{s})
			if err != nil {
				t.Fatal(err)
			}
			op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
			for range 2 {
				if err == nil {
					op, err = r.Step(t.Context(), op)
				}
			}
			if err == nil {
				op, err = s.Cancel(t.Context(), op)
			}
			if notFound {
				b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Times: 3, Kind: awssim.FaultError,
					Error: awssim.Error{Code: "InvalidSnapshot.NotFound", Message: "not there yet"}})
			}
			op = finish(t, s, op, err)
			if op.Phase == backup.PhaseSucceeded {
				return // it completed meanwhile, which is as good
			}
			want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
			listed := len(op.Points) > 0
			exist, _ := b.made(op)
			if len(exist) > 0 && !listed {
				t.Errorf("%d exist and none is listed", len(exist))
			}
			time.Sleep(5 * time.Hour)
			if exist, _ := b.made(op); len(exist) > 0 {
				t.Errorf("%d exist hours later", len(exist))
			}
		})
	}
}

// A clock that is set forward does not cut a settle window short: a stage that seems to have begun long ago still takes its looks.
func TestSettlingCountsLooksToo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		quotas := ec2sim.DefaultQuotas()
		quotas.VolumeInterval = 0
		b.ec2.SetQuotas(b.world, quotas)
		b.world.SetLag(time.Minute)
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Kind: awssim.FaultLostReply})
		r, err := backup.NewRunner([]backup.Strategy{s})
		if err != nil {
			t.Fatal(err)
		}
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		for !op.Settling {
			next, err := r.Step(t.Context(), op)
			if err != nil && !strings.Contains(err.Error(), "reset") {
				t.Fatal(err)
			}
			op = next
		}
		op.Since = op.Since.Add(-time.Hour)
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseSucceeded, "")
		if snapshots, _ := b.made(op); len(snapshots) != 3 {
			t.Errorf("%d snapshots", len(snapshots))
		}
	})
}

// A source that one look does not show, after many looks that failed, is still looked for.
func TestPatienceBeginsWithTheFirstMiss(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		b.world.Inject(awssim.Fault{Operation: "DescribeVolumes", Kind: awssim.FaultThrottle, For: 5 * time.Minute})
		b.world.Inject(awssim.Fault{Operation: "DescribeVolumes", Kind: awssim.FaultBlind, Back: 48 * time.Hour})
		op, err := s.Start(t.Context(), b.volume, backup.Spec{Token: "t"})
		want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
	})
}

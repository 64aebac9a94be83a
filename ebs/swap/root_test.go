package swap_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

func (b *bench) rootOptions() swap.SwapOptions {
	return swap.SwapOptions{Instance: b.instance.ID, Root: true}
}

// rooted says what is wrong where the root volume is to be a new one, and nothing else has changed.
func (b *bench) rooted(op backup.Operation) (bad []string) {
	now, made := b.attached(), b.made(op)
	if len(made) != 1 || now["/dev/xvda"] != made[0].ID || made[0].Snapshot != b.snapshot("/dev/xvda").ID || made[0].Tags[ebs.TagRole] != "root" {
		bad = append(bad, "I3: "+now["/dev/xvda"]+" is the root volume")
	}
	for _, device := range []string{"/dev/sdf", "/dev/sdg"} {
		if now[device] != b.old[device] {
			bad = append(bad, "the volume at "+device+" is gone")
		}
	}
	return bad
}

func TestRoot(t *testing.T) {
	for _, single := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
			b.rootGoes = true
			b.power(t, false, false)
			time.Sleep(time.Minute)
			point := b.set
			if single {
				point = b.snapshot("/dev/xvda")
			}
			op, err := s.Start(t.Context(), point, backup.Spec{Token: "t", Options: b.rootOptions()})
			if err != nil {
				t.Fatal(err)
			}
			if ids, said := findings(t, s, op); len(ids) != 1 || ids[0] != "info ebs-swap.replaces" || !strings.Contains(said, b.old["/dev/xvda"]+" at /dev/xvda") {
				t.Errorf("%v %s", ids, said)
			}
			op = finish(t, s, op, nil)
			want(t, op, backup.PhaseSucceeded, "")
			for _, v := range append(b.rooted(op), b.kept()...) {
				t.Error(v)
			}
			old, err := swap.Replaced(op)
			if d := cmp.Diff([]swap.Disk{{Volume: b.old["/dev/xvda"], Device: "/dev/xvda"}}, old); d != "" || err != nil || len(b.host.calls) > 0 {
				t.Errorf("replaced %s %v; hooks %v", d, err, b.host.calls)
			}
			for _, c := range b.world.Calls() {
				if c.Operation == "StartInstances" {
					t.Error("the instance was started")
				}
			}
			b.power(t, true, false) // with the new volume it can be
		})
	}
}

// The root volume is swapped of a stopped instance only, and only for a root volume; what else is asked for is refused before anything is made.
func TestRootRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		for name, o := range map[string]swap.SwapOptions{
			"with devices": {Instance: b.instance.ID, Root: true, Devices: []string{"/dev/xvda"}},
			"st1":          {Instance: b.instance.ID, Root: true, VolumeType: "st1"},
			"sc1":          {Instance: b.instance.ID, Root: true, VolumeType: "sc1"},
		} {
			if _, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: o}); backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		try := func(s *swap.Strategy, name string, point backup.Ref, code backup.Code, says string) {
			t.Helper()
			op, err := s.Start(t.Context(), point, backup.Spec{Token: name, Options: b.rootOptions()})
			op = finish(t, s, op, err)
			if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != code || !strings.Contains(op.Err().Error(), says) || len(op.Made) > 0 {
				t.Errorf("%s: %s %v, made %v", name, op.Phase, op.Err(), op.Made)
			}
		}
		try(s, "running", b.set, backup.ErrConflict, "is not stopped")
		b.power(t, false, false)
		time.Sleep(time.Minute)
		op, err := s.Start(t.Context(), b.snapshot("/dev/xvda"), backup.Spec{Token: "not asked for", Options: swap.SwapOptions{Instance: b.instance.ID}})
		op = finish(t, s, op, err)
		if want(t, op, backup.PhaseFailed, backup.ErrUnsupported); !strings.Contains(backup.HintOf(op.Err()), "SwapOptions.Root") {
			t.Error(op.Err())
		}
		try(s, "a data volume", b.snapshot("/dev/sdf"), backup.ErrConflict, "was of the device /dev/sdf")
		// A snapshot that tells nothing of a device, of a volume that is not attached.
		if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: aws.String(b.old["/dev/sdg"])}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		try(s, "a free data volume", b.snapshot("/dev/sdg"), backup.ErrConflict, "is of a data volume")
		other := b.through(nil, func(out any) {
			if out, ok := out.(*awsec2.DescribeInstancesOutput); ok {
				out.Reservations[0].Instances[0].RootDeviceName = aws.String("/dev/sda1")
			}
		})
		try(other, "another root device", b.set, backup.ErrConflict, "the root device is /dev/sda1")
		try(s, "without the root", b.withoutRoot(t), backup.ErrInvalid, "0 volumes for the root device")
		for _, v := range b.kept() {
			t.Error(v)
		}
	})
}

// A snapshot of a data volume that is not attached any more tells by its tags that it is none of the root volume, whatever way it was made.
func TestRootOfData(t *testing.T) {
	for _, name := range []string{"a backup of the volume", "a set without the root"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				known := b.ec2.Snapshots(b.world, account, region)
				var point backup.Ref
				if name == "a set without the root" {
					b.withoutRoot(t)
					for _, x := range b.ec2.Snapshots(b.world, account, region) {
						if x.Volume == b.old["/dev/sdg"] && !slices.ContainsFunc(known, func(k ec2sim.SnapshotInfo) bool { return k.ID == x.ID }) {
							point = ebs.Snapshot(account, region, x.ID)
						}
					}
				} else {
					e := ebs.NewFromConfig(b.world.Config(account, region))
					op, err := e.Start(t.Context(), ebs.Volume(account, region, b.old["/dev/sdg"]), backup.Spec{Token: "v"})
					op = finish(t, e, op, err)
					want(t, op, backup.PhaseSucceeded, "")
					point = op.Points[0]
					time.Sleep(10 * time.Minute)
				}
				b.unplug(t, "/dev/sdg")
				b.power(t, false, false)
				time.Sleep(time.Minute)
				op, err := s.Start(t.Context(), point, backup.Spec{Token: "t", Options: b.rootOptions()})
				if err != nil {
					t.Fatal(err)
				}
				if ids, said := findings(t, s, op); len(ids) != 1 || ids[0] != "error ebs-swap.refused" {
					t.Errorf("%v %s", ids, said)
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseFailed, backup.ErrConflict)
				if !strings.Contains(op.Err().Error(), "was of the device /dev/sdg") || len(op.Made) > 0 {
					t.Errorf("%v, made %v", op.Err(), op.Made)
				}
				for _, v := range b.kept() {
					t.Error(v)
				}
			})
		})
	}
}

// An instance that is seen running, then stopping for longer than that is waited for, and once more running by an old answer, is stopped all the same.
func TestRootSeenRunningAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
		b.rootGoes = true
		b.power(t, false, false)
		time.Sleep(time.Minute)
		looks := 0
		s := b.through(nil, func(out any) {
			if out, ok := out.(*awsec2.DescribeInstancesOutput); ok {
				state := ec2types.InstanceStateNameStopped
				switch looks++; {
				case looks == 1, looks == 6:
					state = ec2types.InstanceStateNameRunning
				case looks < 6:
					state = ec2types.InstanceStateNameStopping
				}
				out.Reservations[0].Instances[0].State.Name = state
			}
		})
		op, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: b.rootOptions()})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		for _, v := range append(b.rooted(op), b.kept()...) {
			t.Error(v)
		}
	})
}

// withoutRoot gives a set that has no root volume.
func (b *bench) withoutRoot(t *testing.T) backup.Ref {
	t.Helper()
	s := ebs.NewFromConfig(b.world.Config(account, region))
	op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "data", Options: ebs.BackupOptions{ExcludeBoot: true}})
	op = finish(t, s, op, err)
	want(t, op, backup.PhaseSucceeded, "")
	time.Sleep(10 * time.Minute)
	return op.Points[0]
}

// An instance that is started in the meantime keeps its root volume; one without a root volume does not start.
func TestRootStarted(t *testing.T) {
	for _, c := range []struct {
		name, stage string
		sent        bool
	}{
		{"before the call", "detach", false},
		{"after a call that did not arrive", "detach", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				b.power(t, false, false)
				time.Sleep(time.Minute)
				op, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: b.rootOptions()})
				op = storedUntil(t, s, op, err, c.stage)
				b.power(t, true, false)
				time.Sleep(time.Minute)
				if c.sent {
					op = once(t, s, op.Retried(1))
				} else {
					op = once(t, s, op)
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseFailed, backup.ErrDenied)
				for _, v := range append(b.asWas(), b.kept()...) {
					t.Error(v)
				}
				if len(b.host.calls) > 0 || len(replaced(op)) > 0 {
					t.Errorf("hooks %v, findings %v", b.host.calls, op.Findings)
				}
			})
		})
	}
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		b.power(t, false, false)
		time.Sleep(time.Minute)
		op, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: b.rootOptions()})
		op = storedUntil(t, s, op, err, "attach")
		_, err = b.client.StartInstances(t.Context(), &awsec2.StartInstancesInput{InstanceIds: []string{b.instance.ID}})
		if api := smithy.APIError(nil); !errors.As(err, &api) || api.ErrorCode() != "IncorrectState" {
			t.Errorf("it was started without a root volume: %v", err)
		}
		// Canceled now, it has its old one again.
		if op, err = s.Cancel(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		want(t, finish(t, s, op, nil), backup.PhaseCanceled, backup.ErrCanceled)
		for _, v := range append(b.asWas(), b.kept()...) {
			t.Error(v)
		}
		b.power(t, true, false)
	})
}

// Where the new root volume can not be attached the old one is again.
func TestRootTakenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		b.power(t, false, false)
		time.Sleep(time.Minute)
		b.world.Inject(awssim.Fault{Operation: "AttachVolume", Kind: awssim.FaultError, Error: awssim.Error{Code: "UnsupportedOperation", Message: "no"}})
		op, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: b.rootOptions()})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrUnsupported)
		for _, v := range append(b.asWas(), b.kept()...) {
			t.Error(v)
		}
		i := slices.IndexFunc(b.ec2.Volumes(b.world, account, region), func(v ec2sim.VolumeInfo) bool { return v.ID == b.old["/dev/xvda"] })
		if !b.ec2.Volumes(b.world, account, region)[i].Root {
			t.Error("it is no root volume any more")
		}
	})
}

// rootFlow is the swap of the root volume of a stopped instance.
func rootFlow() sweep.Workflow {
	return flow("ebs-swap-root", 1, func(t testing.TB, ctx context.Context, b *bench) func(context.Context, *swap.Strategy) (backup.Operation, error) {
		b.rootGoes = true
		if _, err := b.client.StopInstances(ctx, &awsec2.StopInstancesInput{InstanceIds: []string{b.instance.ID}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		return func(ctx context.Context, s *swap.Strategy) (backup.Operation, error) {
			return s.Start(ctx, b.set, backup.Spec{Token: "tonight", Options: b.rootOptions()})
		}
	}, func(b *bench, op backup.Operation) []string { return b.rooted(op) })
}

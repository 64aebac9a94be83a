package swap_test

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
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// A run without a Store is started again from its beginning when its process has died: what it had attached is not taken for an old volume.
func TestStartedAgain(t *testing.T) {
	for _, stage := range []string{"create", "made", "unmount", "detach", "detached", "attach", "attached", "mount", "done"} {
		t.Run(stage, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				op, err := b.begin(t, s, swap.ActionSwap)
				if stage == "done" {
					op = finish(t, s, op, err)
				} else {
					op = storedUntil(t, s, op, err, stage)
					op = once(t, s, op)
				}
				time.Sleep(time.Minute)
				attached := slices.Contains([]string{"attach", "attached", "mount", "done"}, stage)
				calls := len(b.world.Calls())
				again, err := b.begin(t, s, swap.ActionSwap)
				if err != nil || again.ID != op.ID {
					t.Fatal(err)
				}
				if ids, said := findings(t, s, again); attached && len(ids) > 0 {
					t.Errorf("findings %v %s", ids, said)
				}
				again = finish(t, s, again, nil)
				want(t, again, backup.PhaseSucceeded, "")
				for _, v := range append(b.swapped(again), b.kept()...) {
					t.Error(v)
				}
				if made := b.made(again); len(made) != 2 || len(again.Made) != 2 {
					t.Errorf("%d volumes, listed %v", len(made), again.Made)
				}
				old, err := swap.Replaced(again)
				for _, d := range old {
					if err != nil || d.Volume != b.old[d.Device] {
						t.Errorf("%s at %s is called an old volume: %v", d.Volume, d.Device, err)
					}
				}
				for _, c := range b.world.Calls()[calls:] {
					if attached && c.Operation == "DetachVolume" {
						t.Error("a volume was detached")
					}
				}
			})
		})
	}
}

// What an earlier run has attached is not taken back with what this one did, and the end says so.
func TestStartedAgainCanceled(t *testing.T) {
	for _, action := range []backup.Action{swap.ActionSwap, swap.ActionBeside} {
		t.Run(string(action), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				op, err := b.begin(t, s, action)
				want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
				before := b.attached()
				again, err := b.begin(t, s, action)
				again = storedUntil(t, s, again, err, "attached")
				if again, err = s.Cancel(t.Context(), again); err != nil {
					t.Fatal(err)
				}
				again = finish(t, s, again, nil)
				want(t, again, backup.PhaseFailed, backup.ErrFailed)
				if !strings.Contains(again.Err().Error(), "were attached by an earlier run") {
					t.Error(again.Err())
				}
				for device, v := range b.attached() {
					if before[device] != v {
						t.Errorf("%s at %s", v, device)
					}
				}
				if len(b.attached()) != len(before) {
					t.Errorf("attached %v", b.attached())
				}
			})
		})
	}
}

// Where a run without a Store has died with the disks off, no later run of the same work ends as if all was as it was: it names what was there.
func TestStartedAgainOff(t *testing.T) {
	for _, c := range []struct{ died, stage string }{
		{"attach", "look"}, {"attach", "create"}, {"attach", "made"}, {"attach", "unmount"}, {"attach", "detach"}, {"attach", "attached"}, {"detached", "look"},
	} {
		t.Run(c.died+" "+c.stage, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				b.until(t, s, c.died)
				if c.died == "attach" {
					time.Sleep(time.Minute)
				}
				if c.died == "detached" { // and is not over, as it is listed
					s = b.through(nil, func(out any) {
						if out, ok := out.(*awsec2.DescribeInstancesOutput); ok {
							x := &out.Reservations[0].Instances[0]
							x.BlockDeviceMappings = append(x.BlockDeviceMappings, ec2types.InstanceBlockDeviceMapping{DeviceName: aws.String("/dev/sdf"),
								Ebs: &ec2types.EbsInstanceBlockDevice{VolumeId: aws.String(b.old["/dev/sdf"]), Status: ec2types.AttachmentStatusDetaching}})
						}
					})
				}
				again := b.until(t, s, c.stage)
				calls := len(b.world.Calls())
				again, err := s.Cancel(t.Context(), again)
				if err != nil || len(b.world.Calls()) != calls {
					t.Fatalf("%v, %d calls", err, len(b.world.Calls())-calls)
				}
				again = finish(t, s, again, nil)
				want(t, again, backup.PhaseFailed, backup.ErrFailed)
				said := again.Err().Error()
				for _, device := range []string{"/dev/sdf", "/dev/sdg"} {
					if !strings.Contains(said, b.old[device]+" at "+device) {
						t.Errorf("%s is not in %s", b.old[device], said)
					}
				}
				if !strings.Contains(said, "canceled") || !strings.Contains(backup.HintOf(again.Err()), "by hand") {
					t.Errorf("%s; %s", said, backup.HintOf(again.Err()))
				}
				told := slices.ContainsFunc(again.Findings, func(f backup.Finding) bool {
					return f.ID == "ebs-swap.earlier-run" && strings.Contains(f.Message, b.old["/dev/sdf"]+" at /dev/sdf") && strings.Contains(f.Message, b.old["/dev/sdg"])
				})
				if told == (c.stage == "look") {
					t.Errorf("findings %v", again.Findings)
				}
				if made := b.made(again); len(made) != 2 || len(again.Made) != 2 {
					t.Errorf("%d volumes, listed %v", len(made), again.Made)
				}
				for _, v := range b.kept() {
					t.Error(v)
				}
			})
		})
	}
}

// So it is where the look was not over, because a volume is not visible that somebody has attached again.
func TestStartedAgainOffUnseen(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		b.until(t, s, "attach")
		time.Sleep(time.Minute)
		b.move(t, b.old["/dev/sdg"], b.instance.ID, "/dev/sdg")
		s = b.through(nil, func(out any) {
			if out, ok := out.(*awsec2.DescribeVolumesOutput); ok {
				out.Volumes = slices.DeleteFunc(out.Volumes, func(v ec2types.Volume) bool { return *v.VolumeId == b.old["/dev/sdg"] })
			}
		})
		again := once(t, s, b.until(t, s, "look"))
		if again.Stage != "look" {
			t.Fatal(again.Stage)
		}
		again, err := s.Cancel(t.Context(), again)
		again = finish(t, s, again, err)
		want(t, again, backup.PhaseFailed, backup.ErrFailed)
		if said := again.Err().Error(); !strings.Contains(said, b.old["/dev/sdf"]+" at /dev/sdf") || strings.Contains(said, "/dev/sdg") {
			t.Error(said)
		}
	})
}

// What was empty without an earlier run, and what an earlier run has not emptied, is as it was.
func TestStartedAgainClean(t *testing.T) {
	for _, c := range []struct{ died, empty, stage string }{
		{"", "/dev/sdg", "look"}, {"", "/dev/sdg", "made"}, {"", "/dev/sdg", "attached"}, {"unmount", "", "look"}, {"made", "", "made"},
	} {
		t.Run(c.died+" "+c.empty+" "+c.stage, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				if c.empty != "" {
					b.unplug(t, c.empty)
				}
				before := b.attached()
				if c.died != "" {
					b.until(t, s, c.died)
					time.Sleep(time.Minute)
				}
				op, err := s.Cancel(t.Context(), b.until(t, s, c.stage))
				op = finish(t, s, op, err)
				want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
				if now := b.attached(); !maps.Equal(before, now) || len(op.Made) != len(b.made(op)) {
					t.Errorf("attached %v, made %v", now, op.Made)
				}
			})
		})
	}
	// A volume beside has a free device, and is attached there, or not, by the earlier run.
	for stage, phase := range map[string]backup.Phase{"attach": backup.PhaseCanceled, "mount": backup.PhaseFailed} {
		inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
			op, err := b.begin(t, s, swap.ActionBeside)
			storedUntil(t, s, op, err, stage)
			time.Sleep(time.Minute)
			again, err := s.Cancel(t.Context(), op)
			again = finish(t, s, again, err)
			if again.Phase != phase || len(again.Made) != 1 || strings.Contains(again.Err().Error(), "were attached by an earlier run") != (stage == "mount") {
				t.Errorf("%s: %s %v, made %v", stage, again.Phase, again.Err(), again.Made)
			}
		})
	}
}

// A new volume that somebody has attached elsewhere before the disks are unmounted ends the work before anything is touched; and one of its own volumes at
// the device of another is somebody's doing.
func TestNewVolumeMoved(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		op := b.until(t, s, "made")
		time.Sleep(time.Minute)
		b.move(t, op.Made[0].ID, b.instance.ID, "/dev/sdz")
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseFailed, backup.ErrConflict)
		if len(b.host.calls) > 0 || b.attached()["/dev/sdf"] != b.old["/dev/sdf"] {
			t.Errorf("hooks %v, attached %v", b.host.calls, b.attached())
		}
	})
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		op, err := b.begin(t, s, swap.ActionSwap)
		op = finish(t, s, op, err)
		f, g := op.Made[0].ID, op.Made[1].ID
		for _, v := range []string{f, g} {
			if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &v}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		b.move(t, f, b.instance.ID, "/dev/sdg")
		b.move(t, g, b.instance.ID, "/dev/sdf")
		again, err := b.begin(t, s, swap.ActionSwap)
		want(t, finish(t, s, again, err), backup.PhaseFailed, backup.ErrConflict)
	})
}

// A volume that the instance lists and that can not be seen is waited for.
func TestOldVolumeUnseen(t *testing.T) {
	for _, hidden := range []int{2, 1000} {
		inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
			looks := 0
			s := b.through(nil, func(out any) {
				if out, ok := out.(*awsec2.DescribeVolumesOutput); ok {
					if looks++; looks <= hidden {
						out.Volumes = slices.DeleteFunc(out.Volumes, func(v ec2types.Volume) bool { return *v.VolumeId == b.old["/dev/sdg"] })
					}
				}
			})
			op := b.start(t, s, b.set)
			if hidden < 1000 {
				want(t, op, backup.PhaseSucceeded, "")
				return
			}
			want(t, op, backup.PhaseFailed, backup.ErrNotFound)
			if len(op.Made) > 0 || op.Updated.Sub(op.Started) < 6*time.Minute {
				t.Errorf("made %v after %v", op.Made, op.Updated.Sub(op.Started))
			}
		})
	}
}

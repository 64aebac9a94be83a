package swap_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// move attaches a volume to an instance, at a device, behind the back of the Operation.
func (b *bench) move(t *testing.T, volume, instance, device string) {
	t.Helper()
	if slices.Contains(slices.Collect(maps.Values(b.attached())), volume) {
		if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &volume}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
	}
	if _, err := b.client.AttachVolume(t.Context(), &awsec2.AttachVolumeInput{VolumeId: &volume, InstanceId: &instance, Device: &device}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
}

// unplug detaches the old volume of a device, behind the back of the Operation.
func (b *bench) unplug(t *testing.T, device string) {
	t.Helper()
	v := b.old[device]
	if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &v}); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Minute)
}

// A volume that somebody has moved to another instance in the meantime stays there.
func TestMovedElsewhere(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		out, err := b.client.RunInstances(t.Context(), &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
			InstanceType: ec2types.InstanceTypeT3Micro})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		other, moved := *out.Instances[0].InstanceId, b.old["/dev/sdf"]
		op := b.until(t, s, "detach")
		b.move(t, moved, other, "/dev/sdh")
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseSucceeded, "")
		for _, v := range append(b.swapped(op), b.kept()...) {
			t.Error(v)
		}
		for _, v := range b.ec2.Volumes(b.world, account, region) {
			if v.ID == moved && v.Instance != other {
				t.Errorf("it is at %q", v.Instance)
			}
		}
	})
}

// A new volume that somebody has attached at another device is not where it belongs.
func TestAtAnotherDevice(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		op := b.until(t, s, "attach")
		b.move(t, op.Made[0].ID, b.instance.ID, "/dev/sdz")
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseFailed, backup.ErrConflict)
		for _, v := range append(b.asWas(), b.kept()...) {
			t.Error(v)
		}
	})
}

// watched is a host that looks at the truth when it is called.
type watched struct {
	*host
	look func()
}

func (w watched) Unmount(ctx context.Context, r backup.Ref, disks []swap.Disk) error {
	w.look()
	return w.host.Unmount(ctx, r, disks)
}

func (w watched) Mount(ctx context.Context, r backup.Ref, disks []swap.Disk) error {
	w.look()
	return w.host.Mount(ctx, r, disks)
}

// Nothing is mounted while it is still being attached.
func TestMountedWhenAttached(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
		looks := 0
		s := swap.NewFromConfig(b.world.Config(account, region), func(o *swap.Options) {
			o.PollMin, o.PollMax = time.Millisecond, time.Millisecond
			o.Hooks = watched{b.host, func() {
				out, err := b.client.DescribeVolumes(t.Context(), &awsec2.DescribeVolumesInput{})
				if err != nil {
					t.Error(err)
					return
				}
				for _, v := range out.Volumes {
					for _, a := range v.Attachments {
						if looks++; a.State != ec2types.VolumeAttachmentStateAttached {
							t.Errorf("%s is %s when the hook is called", aws.ToString(v.VolumeId), a.State)
						}
					}
				}
			}}
		})
		want(t, b.start(t, s, b.set), backup.PhaseSucceeded, "")
		if looks == 0 {
			t.Error("the hooks were not called")
		}
	})
}

// A process that was paused for longer than its lease calls no hook: another one may have the Operation.
func TestHookAfterLease(t *testing.T) {
	for _, stage := range []string{"unmount", "mount"} {
		t.Run(stage, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				client, pause := b.client, time.Duration(0)
				s := swap.New(func(context.Context, string, string) (*awsec2.Client, error) {
					time.Sleep(pause)
					return client, nil
				}, func(o *swap.Options) { o.Hooks = b.host })
				store, err := backup.OpenFileStore(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				r, err := backup.NewRunner([]backup.Strategy{s}, func(o *backup.RunnerOptions) { o.Store = store })
				if err != nil {
					t.Fatal(err)
				}
				op, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: swap.SwapOptions{Instance: b.instance.ID}})
				if err != nil {
					t.Fatal(err)
				}
				if op, err = r.Start(t.Context(), op); err != nil {
					t.Fatal(err)
				}
				for op.Stage != stage {
					if op, err = r.Step(t.Context(), op); err != nil {
						t.Fatal(err)
					}
					time.Sleep(max(time.Until(op.Poll), time.Millisecond))
				}
				calls := len(b.host.calls)
				pause = 5 * time.Minute
				if _, err := r.Step(t.Context(), op); err == nil || len(b.host.calls) != calls {
					t.Errorf("%v; hooks %v", err, b.host.calls)
				}
				// Carried on in time, it ends well.
				pause = 0
				if op, err = r.Run(t.Context(), op); err != nil || op.Phase != backup.PhaseSucceeded {
					t.Errorf("%s %v", op.Phase, err)
				}
			})
		})
	}
}

// The member that was the root is left out also where the instance of today has its root at another device; and an instance that belongs to another
// account is none.
func TestOtherRoot(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
		owner := account
		s := b.through(nil, func(out any) {
			if out, ok := out.(*awsec2.DescribeInstancesOutput); ok {
				for i := range out.Reservations {
					out.Reservations[i].OwnerId = &owner
					for j := range out.Reservations[i].Instances {
						out.Reservations[i].Instances[j].RootDeviceName = aws.String("/dev/sda1")
					}
				}
			}
		})
		op := b.start(t, s, b.set)
		want(t, op, backup.PhaseSucceeded, "")
		for _, v := range append(b.swapped(op), b.kept()...) {
			t.Error(v)
		}
		if len(op.Made) != 2 {
			t.Errorf("made %v", op.Made)
		}
		owner = "999988887777"
		op, err := s.Start(t.Context(), ebs.Snapshot(account, region, b.snapshot("/dev/sdf").ID), backup.Spec{Token: "o", Options: swap.SwapOptions{Instance: b.instance.ID}})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrNotFound)
	})
}

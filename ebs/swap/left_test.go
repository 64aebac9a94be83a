package swap_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// denied refuses every detachment from now on, but for the first few.
func (b *bench) denied(but int) {
	no := refuse("DetachVolume", "UnauthorizedOperation")
	no.Skip, no.Times = but, -1
	b.world.Inject(no)
}

// A new volume at a device that was empty, and that can not be detached again, is not said to be free.
func TestNewVolumeLeft(t *testing.T) {
	for _, c := range []struct {
		name   string
		denied bool
		state  ec2types.VolumeAttachmentState
		frees  bool // it is let go after a few minutes
		hidden bool // that it is attached is not listed yet
	}{
		{name: "held"},
		{name: "seen to be held", state: ec2types.VolumeAttachmentStateBusy},
		{name: "seen to be held, and let go", state: ec2types.VolumeAttachmentStateBusy, frees: true},
		{name: "refused", denied: true},
		{name: "refused and not listed", denied: true, hidden: true},
	} {
		for _, stage := range []string{"attach", "attached", "not canceled"} {
			t.Run(c.name+" "+stage, func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
					b.unplug(t, "/dev/sdg")
					asked, free := "", new(atomic.Bool)
					s := b.through(func(in any) any {
						in2, ok := in.(*awsec2.DetachVolumeInput)
						if !ok || c.denied || free.Load() || *in2.VolumeId != b.attached()["/dev/sdg"] {
							return nil
						}
						if asked == "" && c.frees {
							time.AfterFunc(5*time.Minute, func() {
								free.Store(true)
								if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &asked}); err != nil {
									t.Error(err)
								}
							})
						}
						asked = *in2.VolumeId
						return &awsec2.DetachVolumeOutput{}
					}, func(out any) {
						if out, ok := out.(*awsec2.DescribeVolumesOutput); ok && !free.Load() {
							for i, v := range out.Volumes {
								switch {
								case *v.VolumeId == asked && c.state != "":
									v.Attachments[0].State = c.state
								case c.hidden && *v.VolumeId == b.attached()["/dev/sdg"]:
									out.Volumes[i].Attachments = nil
								}
							}
						}
					})
					op, err := b.begin(t, s, swap.ActionSwap)
					op = storedUntil(t, s, op, err, "attach")
					if stage == "attached" && !c.hidden {
						op = storedUntil(t, s, op, nil, "attached")
					} else { // the call was made and its answer lost
						once(t, s, op)
						op = op.Retried(1)
					}
					time.Sleep(time.Minute)
					fresh := b.attached()["/dev/sdg"]
					if c.denied {
						b.denied(1)
					}
					if stage == "not canceled" {
						b.world.Inject(refuse("AttachVolume", "AttachmentLimitExceeded"))
					} else if op, err = s.Cancel(t.Context(), op); err != nil {
						t.Fatal(err)
					}
					op = finish(t, s, op, nil)
					code := backup.ErrFailed
					switch {
					case stage == "not canceled":
						code = backup.ErrQuota
					case c.frees:
						code = backup.ErrCanceled
					}
					if c.frees && stage != "not canceled" {
						want(t, op, backup.PhaseCanceled, code)
					} else {
						want(t, op, backup.PhaseFailed, code)
					}
					said := op.Err().Error()
					if left := b.attached()["/dev/sdg"] != ""; left == c.frees || left != strings.Contains(said, fresh+" at /dev/sdg") {
						t.Errorf("attached %v; %s", b.attached(), said)
					}
					if code == backup.ErrFailed && strings.Contains(backup.HintOf(op.Err()), "are free") {
						t.Error(backup.HintOf(op.Err()))
					}
					if v := b.old["/dev/sdf"]; b.attached()["/dev/sdf"] != v || !b.host.mounted[v] {
						t.Errorf("attached %v, mounted %v", b.attached(), b.host.mounted)
					}
				})
			})
		}
	}
}

// EC2 does not forget that it was asked to detach a volume when it refuses to be asked again.
func TestHeldAndRefused(t *testing.T) {
	for _, stage := range []string{"detached", "detach sent"} {
		t.Run(stage, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				held, deny := b.old["/dev/sdg"], false
				s := b.through(func(in any) any {
					if in, ok := in.(*awsec2.DetachVolumeInput); ok && *in.VolumeId == held && !deny {
						return &awsec2.DetachVolumeOutput{}
					}
					return nil
				}, nil)
				op, err := b.begin(t, s, swap.ActionSwap)
				if stage == "detached" {
					op = storedUntil(t, s, op, err, stage)
				} else {
					op = storedUntil(t, s, op, err, "detach")
					once(t, s, op)
					op = op.Retried(1)
				}
				deny = true
				b.denied(0)
				if op, err = s.Cancel(t.Context(), op); err != nil {
					t.Fatal(err)
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseFailed, backup.ErrFailed)
				if said := op.Err().Error(); !strings.Contains(said, "EC2 may still detach, once the operating system lets go: "+held+" at /dev/sdg") {
					t.Error(said)
				}
				for _, v := range append(b.asWas(), b.kept()...) {
					t.Error(v)
				}
			})
		})
	}
}

// A volume beside that the operating system holds is not waited for until the deadline when it is canceled, and the end says that it was.
func TestBesideHeld(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
		s := b.through(func(in any) any {
			if _, ok := in.(*awsec2.DetachVolumeInput); ok {
				return &awsec2.DetachVolumeOutput{}
			}
			return nil
		}, nil)
		op, err := b.begin(t, s, swap.ActionBeside)
		op = storedUntil(t, s, op, err, "attached")
		time.Sleep(time.Minute)
		fresh := b.attached()["/dev/sdz"]
		if op, err = s.Cancel(t.Context(), op); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseFailed, backup.ErrFailed)
		if d := time.Since(began); d < 10*time.Minute || d > 30*time.Minute {
			t.Errorf("it took %v", d)
		}
		if said := op.Err().Error(); !strings.Contains(said, "canceled") || !strings.Contains(said, fresh+" at /dev/sdz") || !strings.Contains(backup.HintOf(op.Err()), "StartDetach") {
			t.Errorf("%s; %s", said, backup.HintOf(op.Err()))
		}
	})
}

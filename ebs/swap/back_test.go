package swap_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// stored gives a Runner with a Store, and a swap that has come to a stage in it.
func (b *bench) stored(t *testing.T, s *swap.Strategy, timeout time.Duration, stage string) (*backup.Runner, backup.Operation) {
	t.Helper()
	store, err := backup.OpenFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.NewRunner([]backup.Strategy{s}, func(o *backup.RunnerOptions) { o.Store = store })
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Timeout: timeout, Options: swap.SwapOptions{Instance: b.instance.ID}})
	if err == nil {
		op, err = r.Start(t.Context(), op)
	}
	for err == nil && op.Stage != stage {
		if op.Done() {
			t.Fatalf("ended before %q: %v", stage, op.Err())
		}
		op, err = r.Step(t.Context(), op)
		time.Sleep(max(time.Until(op.Poll), time.Millisecond))
	}
	if err != nil {
		t.Fatal(err)
	}
	return r, op
}

// rest carries a swap on to its end.
func rest(t *testing.T, r *backup.Runner, op backup.Operation) backup.Operation {
	t.Helper()
	op, err := r.Await(t.Context(), op)
	if !op.Done() {
		t.Fatalf("not ended: %v", err)
	}
	return op
}

func refuse(operation, code string) awssim.Fault {
	return awssim.Fault{Operation: operation, Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "no"}}
}

// holding gives a Strategy that never lets go of a volume, which is listed in a state, or as attached.
func (b *bench) holding(volume string, state ec2types.VolumeAttachmentState, free *atomic.Bool) *swap.Strategy {
	asked := false
	return b.through(func(in any) any {
		if in, ok := in.(*awsec2.DetachVolumeInput); ok && *in.VolumeId == volume && !free.Load() {
			asked = true
			return &awsec2.DetachVolumeOutput{}
		}
		return nil
	}, func(out any) {
		if out, ok := out.(*awsec2.DescribeVolumesOutput); ok && asked && state != "" && !free.Load() {
			for _, v := range out.Volumes {
				if *v.VolumeId == volume {
					v.Attachments[0].State = state
				}
			}
		}
	})
}

// A disk of which it is not known that it is being detached is not detached to be taken back.
func TestNothingDetached(t *testing.T) {
	late := func(left time.Duration) func(*bench, *backup.Operation) {
		return func(_ *bench, op *backup.Operation) { time.Sleep(time.Until(op.Deadline) - left) }
	}
	for _, c := range []struct {
		name string
		// sent tells that the call was perhaps sent by a process that died.
		sent   bool
		change func(b *bench, op *backup.Operation)
	}{
		{"a few seconds left", false, late(4 * time.Second)},
		{"some time left", false, late(25 * time.Minute)},
		{"perhaps sent, a few seconds left", true, late(11 * time.Second)},
		{"perhaps sent, some time left", true, late(8 * time.Minute)},
		{"refused for good", false, func(b *bench, _ *backup.Operation) { b.world.Inject(refuse("DetachVolume", "UnauthorizedOperation")) }},
		{"refused twice", false, func(b *bench, _ *backup.Operation) {
			passing := refuse("DetachVolume", "IncorrectInstanceState")
			passing.Do = func() { b.world.Inject(refuse("DetachVolume", "UnauthorizedOperation")) }
			b.world.Inject(passing)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				accepted := 0
				s := b.through(nil, func(out any) {
					if _, ok := out.(*awsec2.DetachVolumeOutput); ok {
						accepted++
					}
				})
				r, op := b.stored(t, s, 0, "detach")
				deadline := op.Deadline
				c.change(b, &op)
				if c.sent {
					op = finish(t, s, op.Retried(2), nil)
				} else {
					op = rest(t, r, op)
				}
				want(t, op, backup.PhaseFailed, "")
				if accepted > 0 || !time.Now().Before(deadline) {
					t.Errorf("%d volumes were detached; ended %v before the deadline", accepted, time.Until(deadline))
				}
				time.Sleep(time.Minute)
				for _, v := range append(b.asWas(), b.kept()...) {
					t.Errorf("%s; %v", v, op.Err())
				}
				if d := cmp.Diff([]string{"unmount", "mount"}, b.host.calls); d != "" || len(replaced(op)) > 0 {
					t.Errorf("hooks %s, findings %v", d, op.Findings)
				}
			})
		})
	}
}

// What was detached is attached again: also by a process that could not say so, before the call was repeated, and before another disk was refused.
func TestDetachedPerhaps(t *testing.T) {
	for _, name := range []string{"answer lost", "repeated", "the second is refused"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				code := backup.ErrUnavailable
				switch name {
				case "repeated":
					s = b.holding(b.old["/dev/sdg"], "", new(atomic.Bool))
				case "the second is refused":
					no := refuse("DetachVolume", "UnauthorizedOperation")
					no.Skip, code = 1, backup.ErrDenied
					b.world.Inject(no)
				}
				r, op := b.stored(t, s, 0, "detach")
				switch name {
				case "answer lost":
					op = op.Retried(1)
					if _, err := s.Step(t.Context(), op); err != nil {
						t.Fatal(err)
					}
				case "repeated":
					for was := ""; was != "detached" || op.Stage != "detach"; time.Sleep(max(time.Until(op.Poll), time.Millisecond)) {
						var err error
						if was = op.Stage; op.Done() {
							t.Fatal(op.Err())
						}
						if op, err = r.Step(t.Context(), op); err != nil {
							t.Fatal(err)
						}
					}
				}
				if name != "the second is refused" {
					time.Sleep(time.Until(op.Deadline) - 8*time.Minute)
					if b.attached()["/dev/sdf"] != "" {
						t.Fatal("nothing was detached")
					}
				}
				if name == "answer lost" {
					op = finish(t, s, op, nil)
				} else {
					op = rest(t, r, op)
				}
				want(t, op, backup.PhaseFailed, code)
				time.Sleep(time.Minute)
				for _, v := range append(b.asWas(), b.kept()...) {
					t.Errorf("%s; %v", v, op.Err())
				}
			})
		})
	}
}

// A call that EC2 answers and does not carry out is made again while there is time.
func TestAttachedWithoutEffect(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
		calls := 0
		s := b.through(func(in any) any {
			if in, ok := in.(*awsec2.AttachVolumeInput); ok && *in.VolumeId == b.old["/dev/sdf"] {
				if calls++; calls == 1 {
					return &awsec2.AttachVolumeOutput{}
				}
			}
			return nil
		}, nil)
		b.world.Inject(refuse("AttachVolume", "AttachmentLimitExceeded"))
		r, op := b.stored(t, s, 0, "back-detached")
		time.Sleep(time.Until(op.Deadline) - 5*time.Minute)
		want(t, rest(t, r, op), backup.PhaseFailed, backup.ErrQuota)
		for _, v := range append(b.asWas(), b.kept()...) {
			t.Error(v)
		}
	})
}

// What the operating system holds keeps no other disk from going back in time.
func TestHeldOnTheWayBack(t *testing.T) {
	for _, c := range []struct {
		name    string
		state   ec2types.VolumeAttachmentState
		options func(o *swap.Options)
		timeout time.Duration
		left    time.Duration // when the process comes back to the detaching; 0 means that it was not away
		frees   time.Duration // when it is let go, after sdf is back
		within  time.Duration // how long sdf may be without its volume, after the way back began
	}{
		{"little time", "", nil, 0, 8 * time.Minute, 0, 90 * time.Second},
		{"very little time", "", nil, 0, time.Minute, 0, 40 * time.Second},
		{"seen to be held", ec2types.VolumeAttachmentStateBusy, nil, 0, 0, 0, 90 * time.Second},
		{"let go in the end", ec2types.VolumeAttachmentStateDetaching, nil, 0, 0, 5 * time.Minute, 90 * time.Second},
		{"long Settle", "", func(o *swap.Options) { o.Settle = 50 * time.Minute }, swap.MinTimeout, 0, 0, 20 * time.Minute},
		{"slow polls", "", func(o *swap.Options) { o.PollMin = 20 * time.Minute }, 3 * time.Hour, 0, 0, 20 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				held, free := b.old["/dev/sdg"], new(atomic.Bool)
				b.options = c.options
				s := b.holding(held, c.state, free)
				r, op := b.stored(t, s, c.timeout, "detached")
				deadline, began := op.Deadline, time.Time{}
				if c.left > 0 {
					time.Sleep(time.Until(op.Deadline) - c.left)
				}
				var backAt time.Time
				for err := error(nil); !op.Done(); {
					if op, err = r.Step(t.Context(), op); err != nil {
						t.Fatal(err)
					}
					if began.IsZero() && strings.HasPrefix(op.Stage, "back-") {
						began = time.Now()
					}
					if b.attached()["/dev/sdf"] == b.old["/dev/sdf"] && backAt.IsZero() && !began.IsZero() {
						backAt = time.Now()
					}
					if c.frees > 0 && !backAt.IsZero() && time.Since(backAt) >= c.frees && !free.Swap(true) {
						if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &held}); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(max(time.Until(op.Poll), time.Millisecond))
				}
				want(t, op, backup.PhaseFailed, "")
				if free.Load() != (c.frees > 0) {
					t.Errorf("ended %v after /dev/sdf was back", time.Since(backAt))
				}
				if d := backAt.Sub(began); backAt.IsZero() || d > c.within || !time.Now().Before(deadline) {
					t.Errorf("/dev/sdf is back after %v; ended %v before the deadline", d, time.Until(deadline))
				}
				if said := op.Err().Error(); strings.Contains(said, "EC2 may still detach, once the operating system lets go: "+held+" at /dev/sdg") == free.Load() {
					t.Error(said)
				}
				for _, v := range append(b.asWas(), b.kept()...) {
					t.Error(v)
				}
				if d := cmp.Diff([]string{"unmount", "mount"}, b.host.calls); d != "" || len(replaced(op)) > 0 {
					t.Errorf("hooks %s, findings %v", d, op.Findings)
				}
			})
		})
	}
}

// On the way back a refusal that may pass is waited for, also after a pause, and no longer than is of use.
func TestPassingOnTheWayBack(t *testing.T) {
	for _, c := range []struct {
		name, call   string
		lasts, pause time.Duration
		back         bool
	}{
		{"attaching", "AttachVolume", 7 * time.Minute, 0, true},
		{"detaching", "DetachVolume", 7 * time.Minute, 0, true},
		{"after a pause", "AttachVolume", 2 * time.Minute, 2 * time.Hour, true},
		{"for ever", "AttachVolume", 3 * time.Hour, 0, false},
		// EC2 has taken the call and the operating system holds the new volume, and with it the device.
		{"a device in use", "", 20 * time.Minute, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				no := refuse("AttachVolume", "AttachmentLimitExceeded")
				no.Skip = 1
				var from time.Time
				no.Do = func() {
					from = time.Now()
					if c.call != "" {
						passing := refuse(c.call, "IncorrectInstanceState")
						passing.For = c.lasts
						b.world.Inject(passing)
					}
				}
				if c.call == "" {
					fresh := ""
					s = b.through(func(in any) any {
						if in, ok := in.(*awsec2.DetachVolumeInput); ok && *in.VolumeId != b.old["/dev/sdf"] && *in.VolumeId != b.old["/dev/sdg"] && fresh == "" {
							fresh = *in.VolumeId
							time.AfterFunc(c.lasts, func() {
								if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: aws.String(fresh)}); err != nil {
									t.Error(err)
								}
							})
						}
						if in, ok := in.(*awsec2.DetachVolumeInput); ok && *in.VolumeId == fresh {
							return &awsec2.DetachVolumeOutput{}
						}
						return nil
					}, nil)
				}
				b.world.Inject(no)
				stage := "back-detach"
				if c.pause > 0 {
					stage = "back-attach"
				}
				r, op := b.stored(t, s, 0, stage)
				time.Sleep(c.pause)
				op = rest(t, r, op)
				want(t, op, backup.PhaseFailed, backup.ErrQuota)
				if d := time.Since(from); d > max(c.lasts, c.pause)+5*time.Minute || d > 2*time.Hour+5*time.Minute {
					t.Errorf("it took %v", d)
				}
				time.Sleep(time.Minute)
				if bad := append(b.asWas(), b.kept()...); c.back != (len(bad) == 0) {
					t.Errorf("%q; %v", bad, op.Err())
				}
			})
		})
	}
}

// What is attached again is mounted, also where one disk can not be; and only what is not back is told of.
func TestPartlyMounted(t *testing.T) {
	for _, c := range []struct {
		name   string
		sdf    func(in *awsec2.AttachVolumeInput) *awsec2.AttachVolumeOutput // what becomes of attaching the old volume at /dev/sdf
		faults int
		left   time.Duration
		mount  int // how many calls of Mount fail
		says   string
	}{
		{"refused for good", nil, 1, 0, 0, "api error UnauthorizedOperation"},
		{"refused for good, and not mounted", nil, 1, 0, 3, "could not be mounted: target is busy"},
		{"refused until the deadline", nil, -1, 10 * time.Minute, 0, "api error IncorrectInstanceState"},
		{"without effect", func(*awsec2.AttachVolumeInput) *awsec2.AttachVolumeOutput { return &awsec2.AttachVolumeOutput{} }, 0, 0, 0, "is not attached after"},
		{"without effect until the deadline", func(*awsec2.AttachVolumeInput) *awsec2.AttachVolumeOutput { return &awsec2.AttachVolumeOutput{} }, 0, 5 * time.Minute, 0, "is not seen attached"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				var began time.Time
				s := b.through(func(in any) any {
					if in, ok := in.(*awsec2.AttachVolumeInput); ok && *in.VolumeId == b.old["/dev/sdf"] && c.faults != 0 {
						code := "UnauthorizedOperation"
						if c.faults < 0 {
							code = "IncorrectInstanceState"
						}
						b.world.Inject(refuse("AttachVolume", code)) // this call meets it
					} else if ok && *in.VolumeId == b.old["/dev/sdf"] && c.sdf != nil {
						return c.sdf(in)
					}
					return nil
				}, nil)
				b.world.Inject(refuse("AttachVolume", "AttachmentLimitExceeded"))
				b.host.fail["mount"] = c.mount
				r, op := b.stored(t, s, 0, "back-attach")
				deadline := op.Deadline
				if began = time.Now(); c.left > 0 {
					time.Sleep(time.Until(deadline) - c.left)
					began = time.Now()
				}
				op = rest(t, r, op)
				want(t, op, backup.PhaseFailed, backup.ErrQuota)
				if d := time.Since(began); d > 45*time.Minute || !time.Now().Before(deadline) {
					t.Errorf("it took %v", d)
				}
				if v := b.old["/dev/sdg"]; b.attached()["/dev/sdg"] != v || b.host.mounted[v] != (c.mount == 0) || b.host.mounted[b.old["/dev/sdf"]] {
					t.Errorf("attached %v, mounted %v", b.attached(), b.host.mounted)
				}
				said := op.Err().Error()
				for _, w := range []string{"AttachmentLimitExceeded", "could not be taken back", c.says, "not seen attached again are " + b.old["/dev/sdf"] + " at /dev/sdf", "swap.Replaced"} {
					if !strings.Contains(said, w) {
						t.Errorf("%q is not in %s", w, said)
					}
				}
				if d := cmp.Diff([]string{b.old["/dev/sdf"]}, replaced(op)); d != "" {
					t.Errorf("findings: %s", d)
				}
				for _, v := range b.kept() {
					t.Error(v)
				}
			})
		})
	}
}

// That an old volume can be deleted is said of a swap that has succeeded, and of no other; what ends without a Step still tells why and of what.
func TestFindings(t *testing.T) {
	for _, c := range []struct {
		name, stage string // where the process is away from until after the deadline, with its call not made
		phase       backup.Phase
		all         []string
	}{
		{"success", "", backup.PhaseSucceeded, []string{"ebs-swap.replaced", "ebs-swap.replaced"}},
		{"expired at the mounting", "mount", backup.PhaseFailed, []string{"ebs-swap.replaced", "ebs-swap.replaced"}},
		{"expired on the way back", "back-attach", backup.PhaseFailed, []string{"ebs-swap.replaced", "ebs-swap.replaced", "ebs-swap.taken-back"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				if c.stage == "back-attach" {
					b.world.Inject(refuse("AttachVolume", "AttachmentLimitExceeded"))
				}
				var op backup.Operation
				if c.stage == "" {
					op = b.start(t, s, b.set)
				} else {
					r, late := b.stored(t, s, 0, c.stage)
					time.Sleep(time.Until(late.Deadline) + time.Second)
					op = rest(t, r, late)
				}
				if op.Phase != c.phase {
					t.Fatalf("%s: %v", op.Phase, op.Err())
				}
				var ids []string
				for _, f := range op.Findings {
					ids = append(ids, f.ID)
					said := f.Message + "; " + f.Remedy
					if f.ID == "ebs-swap.taken-back" && !strings.Contains(said, "AttachmentLimitExceeded") {
						t.Error(said)
					}
					if f.ID != "ebs-swap.replaced" {
						continue
					}
					done := strings.Contains(said, "is replaced by") && strings.Contains(said, "Delete it")
					if neutral := strings.Contains(said, "before the swap") && strings.Contains(said, "keep it"); done != (c.phase == backup.PhaseSucceeded) || neutral == done || !strings.Contains(said, " at /dev/sd") {
						t.Error(said)
					}
				}
				if d := cmp.Diff(c.all, ids); d != "" {
					t.Error(d)
				}
			})
		})
	}
}

// After the deadline a look still tells that all is attached, which is a good end where nothing is to be mounted.
func TestDoneAtTheDeadline(t *testing.T) {
	for _, c := range []struct {
		name, stage string
		hooks, sees bool
		says        string
	}{
		{"attached", "attached", false, true, ""},
		{"attached, not mounted", "attached", true, true, "are detached; the new ones are attached, and not mounted"},
		{"no answer", "attached", false, false, "may be detached"},
		{"to be mounted by nobody", "mount", false, true, ""},
		{"attached again", "back-attached", false, true, "AttachmentLimitExceeded"},
		{"attached again, not mounted", "back-attached", true, true, "are attached, and may be not mounted"},
		{"attached again, no answer", "back-attached", false, false, "its taking back was not finished by the deadline"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				if strings.HasPrefix(c.stage, "back") {
					b.world.Inject(refuse("AttachVolume", "AttachmentLimitExceeded"))
				}
				if !c.hooks {
					b.options = func(o *swap.Options) { o.Hooks = nil }
				}
				s := b.strategy(b.world.Config(account, region))
				r, op := b.stored(t, s, 0, c.stage)
				time.Sleep(time.Until(op.Deadline) + time.Second)
				if !c.sees {
					no := refuse("DescribeVolumes", "UnauthorizedOperation")
					no.Times = -1
					b.world.Inject(no)
				}
				if op.Next != "" {
					op = finish(t, s, op.Retried(1), nil)
				} else {
					op = rest(t, r, op)
				}
				if c.says == "" {
					want(t, op, backup.PhaseSucceeded, "")
					if op.Findings[0].Remedy == "" || !strings.Contains(op.Findings[0].Remedy, "Delete it") {
						t.Error(op.Findings)
					}
					return
				}
				if op.Phase != backup.PhaseFailed || !strings.Contains(op.Err().Error(), c.says) {
					t.Errorf("%s: %v", op.Phase, op.Err())
				}
				if clean := c.name == "attached again"; clean != errors.Is(op.Err(), backup.ErrQuota) && clean || clean == strings.Contains(op.Err().Error(), "by the deadline") {
					t.Error(op.Err())
				}
			})
		})
	}
}

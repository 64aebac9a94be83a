package ami_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/ami"
)

// deleteTo steps the deletion of an image until it is in a stage.
func deleteTo(t *testing.T, s *ami.Strategy, point backup.Ref, spec backup.Spec, stage string) backup.Operation {
	t.Helper()
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	op, err := s.StartDelete(t.Context(), point, spec)
	for range 1000 {
		if err != nil || op.Done() || op.Stage == stage {
			break
		}
		op, err = r.Step(t.Context(), op)
		time.Sleep(max(time.Until(op.Poll), time.Millisecond))
	}
	if err != nil || op.Stage != stage {
		t.Fatalf("in stage %q: %v, %v", op.Stage, op.Err(), err)
	}
	return op
}

// What somebody does to the image between the look and the deregistration stops it as it would have stopped the look.
func TestDeleteLooksAtTheImageAgain(t *testing.T) {
	retag := func(tags map[string]string) func(*testing.T, *bench, backup.Ref) {
		return func(_ *testing.T, b *bench, p backup.Ref) { b.ec2.Retag(b.world, account, region, p.ID, tags) }
	}
	for name, c := range map[string]struct {
		do      func(t *testing.T, b *bench, point backup.Ref)
		foreign bool
		code    backup.Code
	}{
		"another owner": {do: retag(map[string]string{backup.TagOwner: "legal"}), code: backup.ErrConflict},
		"AWS Backup's":  {do: retag(map[string]string{"aws:backup:source-resource": "arn:x"}), foreign: true, code: backup.ErrUnsupported},
		"protected": {do: func(t *testing.T, b *bench, p backup.Ref) {
			if _, err := b.client.EnableImageDeregistrationProtection(t.Context(), &awsec2.EnableImageDeregistrationProtectionInput{ImageId: &p.ID}); err != nil {
				t.Fatal(err)
			}
		}, foreign: true, code: backup.ErrConflict},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				point := b.imaged(t, t.Context(), "first")
				op := deleteTo(t, s, point, backup.Spec{Token: "d", Options: ami.DeleteOptions{AllowForeign: c.foreign}}, "deregister")
				c.do(t, b, point)
				want(t, finish(t, s, op, nil), backup.PhaseFailed, c.code)
				if n := count(b, "DeregisterImage") + count(b, "DeleteSnapshot"); n > 0 || len(live(b)) != 2 {
					t.Errorf("%d calls, live %v", n, live(b))
				}
			})
		})
	}
}

// A snapshot that was made with the image and has another owner since stays, unless foreign ones are to go too.
func TestDeleteKeepsWhatHasAnotherOwner(t *testing.T) {
	for _, foreign := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			point := b.imaged(t, t.Context(), "first")
			used := b.ec2.Images(b.world, account, region)[0].Snapshots
			for _, x := range b.ec2.Snapshots(b.world, account, region) {
				if x.ID == used[1] {
					b.ec2.Retag(b.world, account, region, x.ID, map[string]string{backup.TagOwner: "legal", backup.TagToken: x.Tags[backup.TagToken]})
				}
			}
			op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d", Options: ami.DeleteOptions{AllowForeign: foreign}})
			op = finish(t, s, op, err)
			if foreign {
				want(t, op, backup.PhaseSucceeded, "")
				if l := live(b); len(l) != 0 {
					t.Errorf("live %v", l)
				}
				return
			}
			want(t, op, backup.PhasePartial, backup.ErrPartial)
			if l := live(b); !slices.Equal(l, used[1:]) || len(op.Points) != 1 || op.Points[0].ID != used[1] {
				t.Errorf("live %v, points %v", l, op.Points)
			}
		})
	}
}

// A listing that lags is no proof that the image, or a snapshot of it, is gone.
func TestDeleteWaitsForWhatIsNotVisible(t *testing.T) {
	for name, c := range map[string]struct{ stage, operation string }{
		"the image":     {"look", "DescribeImages"},
		"the snapshots": {"snapshots", "DescribeSnapshots"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				point := b.imaged(t, t.Context(), "first")
				op := deleteTo(t, s, point, backup.Spec{Token: "d"}, c.stage)
				old := b.world.Inject(awssim.Fault{Operation: c.operation, Kind: awssim.FaultBlind, Back: 24 * time.Hour, For: 3 * time.Minute})
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseSucceeded, "")
				if l := live(b); len(l) != 0 || !b.ec2.Images(b.world, account, region)[0].Gone || old.Fired() < 2 {
					t.Errorf("live %v, %d answers were old", l, old.Fired())
				}
			})
		})
	}
}

// Tags that name no work, or another instance, prove nothing.
func TestDeleteRefusesTagsThatDoNotProve(t *testing.T) {
	for name, edit := range map[string]func(tags map[string]string){
		"no token": func(tags map[string]string) { delete(tags, backup.TagToken) },
		"another instance": func(tags map[string]string) {
			tags[backup.TagSource] = ebs.Instance(account, region, "i-0123456789abcdef0").Tag()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				point := b.imaged(t, t.Context(), "first")
				tags := maps.Clone(b.ec2.Images(b.world, account, region)[0].Tags)
				edit(tags)
				b.ec2.Retag(b.world, account, region, point.ID, tags)
				op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
				want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict)
				if n := count(b, "DeregisterImage") + count(b, "DeleteSnapshot"); n > 0 {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
}

// One call for locks that does not know a snapshot which another has just shown ends nothing: it is looked at again.
func TestDeleteAsksForLocksAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		b.lock(t, b.ec2.Images(b.world, account, region)[0].Snapshots[0], 30)
		unknown := b.world.Inject(awssim.Fault{Operation: "DescribeLockedSnapshots", Times: 2, Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidSnapshot.NotFound", Message: "no"}})
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict)
		if n := count(b, "DeregisterImage"); n > 0 || unknown.Fired() != 2 {
			t.Errorf("%d calls, %d answers did not know it", n, unknown.Fired())
		}
	})
}

// What a listing does not show at the call is not taken for harmless: it may be locked since the look.
func TestDeleteWaitsAtTheCall(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		op := deleteTo(t, s, point, backup.Spec{Token: "d"}, "deregister")
		b.lock(t, b.ec2.Images(b.world, account, region)[0].Snapshots[0], 30)
		blind := b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Kind: awssim.FaultBlind, Back: 24 * time.Hour})
		want(t, finish(t, s, op, nil), backup.PhaseFailed, backup.ErrConflict)
		if n := count(b, "DeregisterImage"); n > 0 || blind.Fired() != 1 {
			t.Errorf("%d calls, %d blind listings", n, blind.Fired())
		}
	})
}

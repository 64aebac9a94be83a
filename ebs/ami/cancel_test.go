package ami_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/ami"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

// once makes one Step, as the first attempt at its call, and sleeps until the next is due.
func once(t *testing.T, s *ami.Strategy, op backup.Operation) backup.Operation {
	t.Helper()
	if op.Next != "" {
		op.Attempt++
	}
	op, err := s.Step(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(max(time.Until(op.Poll), time.Millisecond))
	return op
}

// canceled cancels, and checks that this makes no call and can be repeated.
func canceled(t *testing.T, b *bench, s *ami.Strategy, op backup.Operation) backup.Operation {
	t.Helper()
	calls := len(b.world.Calls())
	next, err := s.Cancel(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	again, err := s.Cancel(t.Context(), next)
	if err != nil || again.Stage != next.Stage || !next.Canceling || next.Done() || len(b.world.Calls()) != calls {
		t.Errorf("canceled in stage %s, again in %s: %v", next.Stage, again.Stage, err)
	}
	return next
}

// send makes the call of an Operation, of which nobody learns.
func send(t *testing.T, b *bench, op backup.Operation) {
	t.Helper()
	op.Attempt = 1
	if _, err := anywhere(b.world.Config(account, region)).Step(t.Context(), op); err != nil {
		t.Fatal(err)
	}
}

// Whenever a backup or a copy is canceled, what it has made is listed, and no second image is made.
func TestCancel(t *testing.T) {
	for _, c := range []struct {
		name, stage string
		fault       awssim.Fault
		change      func(t *testing.T, b *bench, op *backup.Operation)
		phase       backup.Phase
		made        int
		left        int // how many Points there are of an image that is gone, its snapshots among them
		says        string
	}{
		{name: "nothing looked at", stage: "look", phase: backup.PhaseCanceled, says: "before anything was changed"},
		{name: "not sent", stage: "make", phase: backup.PhaseCanceled, says: "before anything was changed"},
		{name: "perhaps sent, and not", stage: "make", change: func(_ *testing.T, _ *bench, op *backup.Operation) { op.Attempt = 1 }, phase: backup.PhaseCanceled, says: "before anything was changed"},
		{name: "perhaps sent without a store", stage: "make", change: func(_ *testing.T, _ *bench, op *backup.Operation) { op.Unstored = true }, phase: backup.PhaseCanceled, says: "before anything was changed"},
		{name: "sent without a store", stage: "make", change: func(t *testing.T, b *bench, op *backup.Operation) {
			send(t, b, *op)
			op.Unstored = true // the process died and left nothing
		}, phase: backup.PhaseCanceled, made: 1, says: "can not stop making image"},
		{name: "perhaps sent, and so it was", stage: "make", change: func(t *testing.T, b *bench, op *backup.Operation) {
			send(t, b, *op)
			op.Attempt = 1 // the process died before it could say so
		}, phase: backup.PhaseCanceled, made: 1, says: "can not stop making image"},
		{name: "refused for now", stage: "park", fault: awssim.Fault{Operation: "CreateImage", Kind: awssim.FaultError, Error: awssim.Error{Code: "IncorrectState"}}, phase: backup.PhaseCanceled, says: "before anything was changed"},
		{name: "pending", stage: "wait", phase: backup.PhaseCanceled, made: 1, says: "can not stop making image"},
		{name: "complete", stage: "wait", change: func(*testing.T, *bench, *backup.Operation) { time.Sleep(3 * time.Hour) }, phase: backup.PhaseSucceeded, made: 1},
		{name: "failed", stage: "wait", fault: awssim.Fault{Operation: "CreateImage", Kind: awssim.FaultAsync}, change: func(*testing.T, *bench, *backup.Operation) { time.Sleep(3 * time.Hour) }, phase: backup.PhaseFailed, made: 1},
		{name: "deregistered by somebody", stage: "wait", change: func(t *testing.T, b *bench, op *backup.Operation) {
			time.Sleep(3 * time.Hour)
			if _, err := b.client.DeregisterImage(t.Context(), &awsec2.DeregisterImageInput{ImageId: &op.Points[0].ID}); err != nil {
				t.Fatal(err)
			}
		}, phase: backup.PhaseCanceled, left: 3, says: "is not there any more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				if c.fault.Operation != "" {
					b.world.Inject(c.fault)
				}
				op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
				if err != nil {
					t.Fatal(err)
				}
				for op.Stage != c.stage {
					op = once(t, s, op)
				}
				if c.change != nil {
					c.change(t, b, &op)
				}
				calls := count(b, "CreateImage")
				op = finish(t, s, canceled(t, b, s, op), nil)
				if op.Phase != c.phase || c.says != "" && !strings.Contains(op.Err().Error(), c.says) {
					t.Errorf("ended %s: %v", op.Phase, op.Err())
				}
				time.Sleep(10 * time.Minute)
				images, snapshots := b.made(op, region)
				for _, x := range snapshots {
					if c.made == 0 && !slices.Contains(op.Points, ebs.Snapshot(account, region, x.ID)) {
						t.Errorf("snapshot %s is left of no image, and listed are %v", x.ID, op.Points)
					}
				}
				if len(images) != c.made || len(op.Points) != c.made+c.left || c.made == 1 && op.Points[0].ID != images[0].ID || count(b, "CreateImage") != calls || count(b, "DeleteSnapshot") > 0 {
					t.Errorf("%d images, points %v, %d calls", len(images), op.Points, count(b, "CreateImage")-calls)
				}
				if _, err := s.Cancel(t.Context(), op); backup.CodeOf(err) != backup.ErrUnsupported || backup.HintOf(err) == "" {
					t.Errorf("canceling what has ended: %v", err)
				}
			})
		})
	}
}

// An image whose snapshots are still being made, whatever it says of itself, is not complete.
func TestCancelSnapshotPending(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		for op.Stage != "wait" {
			op = once(t, s, op)
		}
		time.Sleep(3 * time.Hour)
		cfg := b.world.Config(account, region)
		cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("pending", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				out, m, err := next.HandleInitialize(ctx, in)
				if out, ok := out.Result.(*awsec2.DescribeSnapshotsOutput); ok {
					out.Snapshots[0].State = ec2types.SnapshotStatePending
				}
				return out, m, err
			}), middleware.Before)
		})
		op = finish(t, anywhere(cfg), canceled(t, b, s, op), nil)
		want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
		if len(op.Points) != 1 {
			t.Errorf("points %v", op.Points)
		}
	})
}

// What remains of canceled work can be deleted as a whole when it is complete; a copy is canceled like a backup, a deletion only while it looks.
func TestCancelThenDelete(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		image := b.imaged(t, t.Context(), "before")
		op, err := s.StartCopy(t.Context(), image, backup.Destination{Region: elsewhere}, backup.Spec{Token: "copy"})
		if err != nil {
			t.Fatal(err)
		}
		for op.Stage != "wait" {
			op = once(t, s, op)
		}
		op = finish(t, s, canceled(t, b, s, op), nil)
		want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
		early, err := s.StartDelete(t.Context(), op.Points[0], backup.Spec{Token: "early"})
		want(t, finish(t, s, early, err), backup.PhaseFailed, backup.ErrConflict)
		time.Sleep(3 * time.Hour)
		del, err := s.StartDelete(t.Context(), op.Points[0], backup.Spec{Token: "d"})
		if err != nil {
			t.Fatal(err)
		}
		stopped := finish(t, s, canceled(t, b, s, del), nil)
		if images, _ := b.made(op, elsewhere); stopped.Phase != backup.PhaseCanceled || len(images) != 1 {
			t.Errorf("%s, %d images", stopped.Phase, len(images))
		}
		for !del.Done() {
			if del = once(t, s, del); del.Done() {
				break
			}
			if _, err := s.Cancel(t.Context(), del); del.Stage != "look" && backup.CodeOf(err) != backup.ErrUnsupported {
				t.Errorf("%s: %v", del.Stage, err)
			}
		}
		want(t, del, backup.PhaseSucceeded, "")
		if images, snapshots := b.made(op, elsewhere); len(images)+len(snapshots) > 0 {
			t.Errorf("%v %v are left", images, snapshots)
		}
		other := del
		other.Kind = ebs.Kind
		if _, err := s.Cancel(t.Context(), other); backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
	})
}

// canceling is a Strategy whose work is canceled as soon as its image is being made: a clean end of that counts as its success.
type canceling struct{ *ami.Strategy }

func (c canceling) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if op.Stage == "make" && op.Attempt > 0 && !op.Canceling {
		// The call is made, by this process or by one that died, and nobody knows what came of it.
		if _, err := c.Strategy.Step(ctx, op); err != nil {
			return op, err
		}
		return c.Cancel(ctx, op)
	}
	op, err := c.Strategy.Step(ctx, op)
	if op.Phase == backup.PhaseCanceled {
		op.Succeed()
	}
	return op, err
}

// cancelFlow is a backup that is canceled when its call is perhaps made: the image, if there is one, is found and listed.
func cancelFlow() sweep.Workflow {
	w := backupFlow()
	w.Name = "ami-backup-canceled"
	setup := w.Setup
	w.Setup = func(t testing.TB, ctx context.Context) sweep.Subject {
		s := setup(t, ctx)
		strategy := s.Strategy
		s.Strategy = func(cfg aws.Config) backup.Strategy { return canceling{strategy(cfg).(*ami.Strategy)} }
		s.AtEnd = func(backup.Operation) []string { return nil }
		s.Quiet = func(op backup.Operation) []string {
			ec2, _ := awssim.Find[*ec2sim.EC2](s.World)
			var made backup.Refs
			for _, m := range ec2.Images(s.World, account, region) {
				if m.Tags[backup.TagToken] == op.ID {
					made = append(made, ami.Image(account, region, m.ID))
				}
			}
			if len(made) > 1 || !slices.Equal(made, op.Points) {
				return []string{fmt.Sprintf("I1 I17: %v were made, and listed are %v", made, op.Points)}
			}
			return nil
		}
		return s
	}
	return w
}

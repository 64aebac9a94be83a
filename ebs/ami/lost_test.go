package ami_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/ami"
)

// edited is a Strategy to which EC2's answers come changed.
func edited(b *bench, edit func(out any)) *ami.Strategy {
	cfg := b.world.Config(account, region)
	cfg.APIOptions = append(cfg.APIOptions, func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("edited", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, m, err := next.HandleInitialize(ctx, in)
			edit(out.Result)
			return out, m, err
		}), middleware.Before)
	})
	return anywhere(cfg)
}

// to makes Steps until a stage begins.
func to(t *testing.T, s *ami.Strategy, op backup.Operation, err error, stage string) backup.Operation {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	for op.Stage != stage {
		if op = once(t, s, op); op.Done() {
			t.Fatalf("ended %s before stage %s: %v", op.Phase, stage, op.Err())
		}
	}
	return op
}

// copied makes a copy of a snapshot, as anybody may.
func (b *bench) copied(t *testing.T, client *awsec2.Client, at, id string) string {
	t.Helper()
	out, err := client.CopySnapshot(t.Context(), &awsec2.CopySnapshotInput{SourceRegion: &at, SourceSnapshotId: &id})
	if err != nil {
		t.Fatal(err)
	}
	return *out.SnapshotId
}

// What is left of an image that somebody deregistered is listed, whether or not EC2 still shows the image, and can be deleted as the hint says.
func TestVanished(t *testing.T) {
	for _, copied := range []bool{false, true} {
		for _, cancel := range []bool{false, true} {
			for _, shown := range []bool{false, true} {
				t.Run(fmt.Sprint("copied ", copied, " cancel ", cancel, " shown ", shown), func(t *testing.T) {
					inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
						at, client := region, b.client
						op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
						if copied {
							at, client = elsewhere, awsec2.NewFromConfig(b.world.Config(account, elsewhere))
							op, err = s.StartCopy(t.Context(), b.imaged(t, t.Context(), "before"), backup.Destination{Region: at}, backup.Spec{Token: "t"})
						}
						op = to(t, s, op, err, "wait")
						image := op.Points[0]
						time.Sleep(3 * time.Hour)
						if shown {
							s = edited(b, func(out any) {
								if out, ok := out.(*awsec2.DescribeImagesOutput); ok {
									out.Images[0].State = ec2types.ImageStateDeregistered
								}
							})
						}
						// A snapshot with the token that is of something else, and a copy of one of a backup's that took its tags along, are not the image's.
						_, own := b.made(op, at)
						tags := maps.Clone(own[0].Tags)
						key := backup.TagSource
						if copied {
							key = ami.TagCopyOf
						}
						tags[key] = ebs.Instance(account, at, "i-0123456789abcdef0").Tag()
						var other string
						if copied {
							other = b.copied(t, client, at, own[0].ID)
						} else {
							out, err := client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &b.ec2.Volumes(b.world, account, region)[0].ID})
							if err != nil {
								t.Fatal(err)
							}
							other = *out.SnapshotId
							b.ec2.Retag(b.world, account, at, b.copied(t, client, at, own[0].ID), own[0].Tags)
						}
						b.ec2.Retag(b.world, account, at, other, tags)
						if !shown {
							if _, err := client.DeregisterImage(t.Context(), &awsec2.DeregisterImageInput{ImageId: &image.ID}); err != nil {
								t.Fatal(err)
							}
						}
						phase, code := backup.PhaseFailed, backup.ErrFailed
						if cancel {
							op = canceled(t, b, s, op)
							phase, code = backup.PhaseCanceled, backup.ErrCanceled
						}
						op = finish(t, s, op, nil)
						want(t, op, phase, code)
						points := backup.Refs{image}
						for _, x := range own {
							points = append(points, ebs.Snapshot(account, at, x.ID))
						}
						slices.SortFunc(points[1:], func(x, y backup.Ref) int { return strings.Compare(x.ID, y.ID) })
						if len(own) != 2 || !slices.Equal(op.Points, points) {
							t.Errorf("listed are %v, wanted %v", op.Points, points)
						}
						if shown {
							return
						}
						e := ebs.NewFromConfig(b.world.Config(account, at))
						for _, p := range op.Points[1:] {
							del, err := e.StartDelete(t.Context(), p, backup.Spec{Token: "d", Options: ebs.DeleteOptions{AllowForeign: true}})
							want(t, finish(t, e, del, err), backup.PhaseSucceeded, "")
						}
					})
				})
			}
		}
	}
}

// Several short absences are no long one: an image, or a snapshot of one, that was seen between them is there.
func TestFlicker(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		for _, what := range []string{"pending", "complete", "snapshot", "snapshot, then pending", "snapshot, then no image"} {
			t.Run(fmt.Sprint(what, " cancel ", cancel), func(t *testing.T) {
				inBubble(t, func(t *testing.T, b *bench, _ *ami.Strategy) {
					hide, pending, none, misses := false, what == "pending", false, 0
					s := edited(b, func(out any) {
						switch out := out.(type) {
						case *awsec2.DescribeImagesOutput:
							for i := range out.Images {
								if pending {
									out.Images[i].State = ec2types.ImageStatePending
								}
							}
							switch {
							case hide && (what == "pending" || what == "complete"):
								out.Images, misses = nil, misses+1
							case none:
								out.Images = nil
							}
						case *awsec2.DescribeSnapshotsOutput:
							if hide {
								out.Snapshots, misses = nil, misses+1
								return
							}
							// One that is pending keeps the work waiting.
							for i := range out.Snapshots {
								out.Snapshots[i].State = ec2types.SnapshotStatePending
							}
						}
					})
					op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
					op = to(t, s, op, err, "wait")
					if !pending {
						time.Sleep(3 * time.Hour)
					}
					// Each absence is shorter than it must be, and has more looks than it must have; together they are long enough.
					for n := range 3 {
						hide = true
						for began := time.Now(); time.Since(began) < 5*time.Minute; {
							if op = once(t, s, op); op.Done() {
								t.Fatalf("ended %s in absence %d after %v: %v", op.Phase, n, time.Since(began), op.Err())
							}
						}
						hide = false
						pending, none = what == "pending" || what == "snapshot, then pending", what == "snapshot, then no image"
						if op = once(t, s, op); op.Done() {
							t.Fatalf("ended %s between two absences: %v", op.Phase, op.Err())
						}
						pending, none = what == "pending", false
					}
					if cancel {
						op = canceled(t, b, s, op)
					}
					hide = true
					hidden := time.Now()
					if op = once(t, s, op); op.Done() {
						t.Fatalf("one look without it ended the work %s: %v", op.Phase, op.Err())
					}
					// An absence that lasts is believed.
					op = finish(t, s, op, nil)
					if lasted := time.Since(hidden); lasted < 6*time.Minute || op.Phase == backup.PhaseSucceeded || len(op.Points) == 0 {
						t.Errorf("ended %s after %v: %v, %v", op.Phase, lasted, op.Err(), op.Points)
					}
					if misses < 3*13 {
						t.Errorf("only %d misses", misses)
					}
				})
			})
		}
	}
}

// The hours in which no process looked are no absence either.
func TestAbsenceTakesLooks(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ami.Strategy) {
		blind := true
		s := edited(b, func(out any) {
			if out, ok := out.(*awsec2.DescribeImagesOutput); ok && blind {
				out.Images = nil
			}
		})
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		op = once(t, s, to(t, s, op, err, "wait"))
		time.Sleep(3 * time.Hour)
		if op = once(t, s, op); op.Done() {
			t.Fatalf("ended %s: %v", op.Phase, op.Err())
		}
		blind = false
		want(t, finish(t, s, op, nil), backup.PhaseSucceeded, "")
	})
}

// A program without a Store that crashed finds its image by starting the same work again, also when that is canceled at once or can not be begun any more.
func TestAgain(t *testing.T) {
	terminate := func(t *testing.T, b *bench) {
		if _, err := b.client.TerminateInstances(t.Context(), &awsec2.TerminateInstancesInput{InstanceIds: []string{b.instance.ID}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name           string
		copied, cancel bool
		later          time.Duration
		change         func(t *testing.T, b *bench)
		phase          backup.Phase
		code           backup.Code
	}{
		{name: "pending, canceled", cancel: true, later: time.Minute, phase: backup.PhaseCanceled, code: backup.ErrCanceled},
		{name: "complete, canceled", cancel: true, later: 3 * time.Hour, phase: backup.PhaseSucceeded},
		{name: "a copy, canceled", copied: true, cancel: true, later: 5 * time.Second, phase: backup.PhaseCanceled, code: backup.ErrCanceled},
		{name: "the instance terminated", later: 3 * time.Hour, change: terminate, phase: backup.PhaseSucceeded},
		{name: "what was copied deregistered", copied: true, later: 3 * time.Hour, change: func(t *testing.T, b *bench) {
			if _, err := b.client.DeregisterImage(t.Context(), &awsec2.DeregisterImageInput{ImageId: aws.String(b.ec2.Images(b.world, account, region)[0].ID)}); err != nil {
				t.Fatal(err)
			}
		}, phase: backup.PhaseSucceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				start := func() (backup.Operation, error) { return s.Start(t.Context(), b.instance, backup.Spec{Token: "t"}) }
				at := region
				if c.copied {
					image := b.imaged(t, t.Context(), "before")
					at = elsewhere
					start = func() (backup.Operation, error) {
						return s.StartCopy(t.Context(), image, backup.Destination{Region: at}, backup.Spec{Token: "t"})
					}
				}
				op, err := start()
				op = to(t, s, op, err, "wait")
				time.Sleep(c.later)
				if c.change != nil {
					c.change(t, b)
				}
				calls := count(b, "CreateImage") + count(b, "CopyImage")
				again, err := start()
				if c.cancel {
					again = canceled(t, b, s, again)
				}
				again = finish(t, s, again, err)
				want(t, again, c.phase, c.code)
				if images, _ := b.made(op, at); len(images) != 1 || !slices.Equal(again.Points, op.Points) || count(b, "CreateImage")+count(b, "CopyImage") != calls {
					t.Errorf("%d images, listed are %v, wanted %v", len(images), again.Points, op.Points)
				}
			})
		})
	}
}

package ami_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/ami"
)

func (b *bench) lock(t *testing.T, id string, days int32) {
	t.Helper()
	if _, err := b.client.LockSnapshot(t.Context(), &awsec2.LockSnapshotInput{SnapshotId: &id, LockMode: ec2types.LockModeGovernance, LockDuration: &days}); err != nil {
		t.Error(err)
	}
}

func (b *bench) fast(t *testing.T, id string) {
	t.Helper()
	if _, err := b.client.EnableFastSnapshotRestores(t.Context(), &awsec2.EnableFastSnapshotRestoresInput{SourceSnapshotIds: []string{id}, AvailabilityZones: []string{region + "a"}}); err != nil {
		t.Error(err)
	}
}

// What keeps one snapshot from being deleted keeps the image and all of them, unless the snapshots are to stay or that one would.
func TestDeleteVetoes(t *testing.T) {
	locked := func(days int32) func(*testing.T, *bench, string) {
		return func(t *testing.T, b *bench, id string) { b.lock(t, id, days) }
	}
	for _, c := range []struct {
		name    string
		keep    func(t *testing.T, b *bench, id string)
		options ami.DeleteOptions
		says    string
		phase   backup.Phase
		code    backup.Code
		left    int
	}{
		{"a lock", locked(30), ami.DeleteOptions{}, "locked (governance)", backup.PhaseFailed, backup.ErrConflict, 2},
		{"a lock, and foreign ones too", locked(30), ami.DeleteOptions{AllowForeign: true}, "locked (governance)", backup.PhaseFailed, backup.ErrConflict, 2},
		{"fast restores", func(t *testing.T, b *bench, id string) { b.fast(t, id) }, ami.DeleteOptions{}, region + "a (", backup.PhaseFailed, backup.ErrConflict, 2},
		{"a lock, and the snapshots stay", locked(30), ami.DeleteOptions{KeepSnapshots: true}, "", backup.PhaseSucceeded, "", 2},
		{"a lock that has ended", func(t *testing.T, b *bench, id string) { b.lock(t, id, 1); time.Sleep(25 * time.Hour) }, ami.DeleteOptions{}, "", backup.PhaseSucceeded, "", 0},
		{"a lock on what stays anyway", func(t *testing.T, b *bench, id string) {
			b.lock(t, id, 30)
			b.ec2.Retag(b.world, account, region, id, map[string]string{backup.TagOwner: "snapwarden", backup.TagToken: "op-other"})
		}, ami.DeleteOptions{}, "", backup.PhasePartial, backup.ErrPartial, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				point := b.imaged(t, t.Context(), "first")
				c.keep(t, b, b.ec2.Images(b.world, account, region)[0].Snapshots[1])
				op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d", Options: c.options})
				found, ferr := s.Preflight(t.Context(), op)
				op = finish(t, s, op, err)
				want(t, op, c.phase, c.code)
				if ferr != nil || has(found, "ami.delete-refused") != (c.phase == backup.PhaseFailed) {
					t.Errorf("preflight: %v %v", found, ferr)
				}
				if gone := b.ec2.Images(b.world, account, region)[0].Gone; gone == (c.phase == backup.PhaseFailed) || len(live(b)) != c.left {
					t.Errorf("the image is gone: %v, live %v", gone, live(b))
				}
				if c.says != "" && (!strings.Contains(op.Err().Error(), c.says) || !strings.Contains(found[0].Message, c.says) || count(b, "DeregisterImage")+count(b, "DeleteSnapshot") > 0) {
					t.Errorf("%v; %v", op.Err(), found)
				}
			})
		})
	}
}

// What somebody sets between the look and the deregistration stops it.
func TestDeleteVetoesAreFresh(t *testing.T) {
	for name, set := range map[string]func(t *testing.T, b *bench, id string){
		"a lock":        func(t *testing.T, b *bench, id string) { b.lock(t, id, 1) },
		"fast restores": func(t *testing.T, b *bench, id string) { b.fast(t, id) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				point := b.imaged(t, t.Context(), "first")
				used := b.ec2.Images(b.world, account, region)[0].Snapshots
				r, err := backup.NewRunner([]backup.Strategy{s})
				if err != nil {
					t.Fatal(err)
				}
				op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
				for err == nil && !op.Done() && op.Stage == "look" {
					op, err = r.Step(t.Context(), op)
				}
				if err != nil || op.Stage != "deregister" {
					t.Fatal(op.Stage, err)
				}
				set(t, b, used[0])
				want(t, finish(t, s, op, nil), backup.PhaseFailed, backup.ErrConflict)
				if n := count(b, "DeregisterImage"); n > 0 {
					t.Errorf("deregistered %d times", n)
				}
			})
		})
	}
}

// A listing that lags hides a lock for a while, and the look waits for it.
func TestDeleteWaitsForSnapshots(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		b.lock(t, b.ec2.Images(b.world, account, region)[0].Snapshots[0], 30)
		old := b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Times: 2, Kind: awssim.FaultStale, Back: 24 * time.Hour})
		op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict)
		if old.Fired() == 0 || count(b, "DeregisterImage") > 0 {
			t.Errorf("%d old answers, %d calls", old.Fired(), count(b, "DeregisterImage"))
		}
	})
}

// Where EC2 knows no locks and no fast restores there are none; where it can not say, nothing is deregistered.
func TestDeleteWhereVetoesAreUnknown(t *testing.T) {
	for code, known := range map[string]bool{"InvalidAction": true, "UnauthorizedOperation": false} {
		for _, operation := range []string{"DescribeLockedSnapshots", "DescribeFastSnapshotRestores"} {
			inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
				point := b.imaged(t, t.Context(), "first")
				b.world.Inject(awssim.Fault{Operation: operation, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "no"}})
				op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d"})
				if err != nil {
					t.Fatal(err)
				}
				if known {
					want(t, finish(t, s, op, nil), backup.PhaseSucceeded, "")
					return
				}
				if _, err := s.Preflight(t.Context(), op); backup.CodeOf(err) != backup.ErrDenied {
					t.Errorf("preflight: %v", err)
				}
				r, err := backup.NewRunner([]backup.Strategy{s})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Run(t.Context(), op); backup.CodeOf(err) != backup.ErrDenied || count(b, "DeregisterImage") > 0 {
					t.Errorf("%s %s: %v, %d calls", operation, code, err, count(b, "DeregisterImage"))
				}
			})
		}
	}
}

// An image that somebody registered from a member of a backup set is foreign; to delete it does not take the member along.
func TestDeleteKeepsOtherBackups(t *testing.T) {
	for _, foreign := range []bool{true, false} {
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			point := b.imaged(t, t.Context(), "first")
			used := b.ec2.Images(b.world, account, region)[0].Snapshots
			if foreign {
				b.ec2.Retag(b.world, account, region, point.ID, nil)
			}
			b.ec2.Retag(b.world, account, region, used[0], map[string]string{backup.TagOwner: "payroll", backup.TagToken: "op-payroll", ebs.TagSet: "set-1", ebs.TagMembers: "2"})
			b.ec2.Retag(b.world, account, region, used[1], nil)
			op, err := s.StartDelete(t.Context(), point, backup.Spec{Token: "d", Options: ami.DeleteOptions{AllowForeign: true}})
			op = finish(t, s, op, err)
			want(t, op, backup.PhasePartial, backup.ErrPartial)
			if l := live(b); !slices.Equal(l, used[:1]) || len(op.Points) != 1 || op.Points[0] != ebs.Snapshot(account, region, used[0]) || !strings.Contains(op.Err().Error(), "other work") {
				t.Errorf("foreign %v: live %v, points %v, %v", foreign, l, op.Points, op.Err())
			}
		})
	}
}

package ebs_test

import (
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
)

// ends steps an Operation to its end, within so many Steps: one that goes around in a circle does not end by itself. Where the process dies it goes on
// with what was there before.
func ends(t *testing.T, s *ebs.Strategy, op backup.Operation, steps int) backup.Operation {
	t.Helper()
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	step := func(op backup.Operation) (next backup.Operation, err error) {
		defer func() {
			if r := recover(); r != nil {
				killed, ok := r.(awssim.Killed)
				if !ok {
					panic(r)
				}
				next, err = op, killed
			}
		}()
		return r.Step(t.Context(), op)
	}
	for range steps {
		if op.Done() {
			return op
		}
		if op, err = step(op); err != nil {
			t.Logf("step: %v", err)
		}
		time.Sleep(max(time.Until(op.Poll), time.Millisecond))
	}
	t.Fatalf("in stage %q after %d Steps: %+v", op.Stage, steps, op.Findings)
	return op
}

// What is on its way is not sent a second time, by a process that knows nothing of the one that sent it.
func TestTierSendsOnce(t *testing.T) {
	for _, call := range []string{"ModifySnapshotTier", "RestoreSnapshotTier"} {
		t.Run(call, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				set := b.backedUp(t, t.Context(), b.instance)
				op, err := s.StartArchive(t.Context(), set, backup.Spec{Token: "a", Options: ebs.ArchiveOptions{AllowLast: true}})
				if call == "RestoreSnapshotTier" {
					want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
					op, err = s.StartUnarchive(t.Context(), set, backup.Spec{Token: "u", Options: ebs.UnarchiveOptions{Permanent: true}})
				}
				if err != nil {
					t.Fatal(err)
				}
				before := count(b, call)
				death := b.world.Inject(awssim.Fault{Operation: call, Skip: 1, Kind: awssim.FaultDieAfter})
				op = ends(t, s, op, 300)
				want(t, op, backup.PhaseSucceeded, "")
				if n := count(b, call) - before; n != 3 || death.Fired() != 1 {
					t.Errorf("%d calls for 3 snapshots, %d deaths", n, death.Fired())
				}
			})
		})
	}
}

// What is in the archive and already on its way back is not there: the end is told when it is there again.
func TestArchiveOfWhatComesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		again(t, s, b.volume)
		want(t, archive(t, s, point, backup.Spec{Token: "first"}), backup.PhaseSucceeded, "")
		forGood := true
		if _, err := b.client.RestoreSnapshotTier(t.Context(), &awsec2.RestoreSnapshotTierInput{SnapshotId: &point.ID, PermanentRestore: &forGood}); err != nil {
			t.Fatal(err)
		}
		op, err := s.StartArchive(t.Context(), point, backup.Spec{Token: "second"})
		if err != nil {
			t.Fatal(err)
		}
		op = ends(t, s, op, 2000)
		want(t, op, backup.PhaseSucceeded, "")
		time.Sleep(80 * time.Hour)
		for _, x := range b.ec2.Snapshots(b.world, account, region) {
			if x.ID == point.ID && x.Tier != ec2types.StorageTierArchive {
				t.Errorf("it is said to be archived, and is in the tier %q", x.Tier)
			}
		}
		if n := count(b, "ModifySnapshotTier"); n != 2 {
			t.Errorf("%d calls", n)
		}
	})
}

// What somebody does between the look and the call stops a lock as it would have stopped the look: in compliance mode nobody could take it back.
func TestLockChecksAreFresh(t *testing.T) {
	retag := func(tags map[string]string) func(*bench, string) {
		return func(b *bench, id string) { b.ec2.Retag(b.world, account, region, id, tags) }
	}
	for name, c := range map[string]struct {
		doomed bool
		do     func(b *bench, id string)
		code   backup.Code
	}{
		"another owner": {do: retag(map[string]string{backup.TagOwner: "others"}), code: backup.ErrConflict},
		"AWS Backup's":  {do: retag(map[string]string{"aws:backup:source-resource": "arn:x"}), code: backup.ErrUnsupported},
		"it fails":      {doomed: true, do: func(*bench, string) { time.Sleep(10 * time.Hour) }, code: backup.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
				o := forGood
				var point backup.Ref
				if c.doomed {
					o.AllowForeign = true
					b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
					out, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &b.volume.ID})
					if err != nil {
						t.Fatal(err)
					}
					point = ebs.Snapshot(account, region, *out.SnapshotId)
				} else {
					point = b.backedUp(t, t.Context(), b.volume)
				}
				r, err := backup.NewRunner([]backup.Strategy{s})
				if err != nil {
					t.Fatal(err)
				}
				op, err := s.StartLock(t.Context(), point, backup.Spec{Token: "t", Options: o})
				for range 100 {
					if err != nil || op.Stage == "lock" {
						break
					}
					op, err = r.Step(t.Context(), op)
				}
				if err != nil || op.Stage != "lock" {
					t.Fatalf("in stage %q: %v, %v", op.Stage, op.Err(), err)
				}
				c.do(b, point.ID)
				want(t, ends(t, s, op, 300), backup.PhaseFailed, c.code)
				if n := count(b, "LockSnapshot"); n != 0 {
					t.Errorf("%d calls", n)
				}
			})
		})
	}
}

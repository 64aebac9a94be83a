package ebs_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/internal/sweep"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
)

var pairs = flag.Int("pairs", 0, "run one in so many pairs of faults, 0 for none")

// bench is a world with one instance of three volumes.
type bench struct {
	world    *awssim.World
	ec2      *ec2sim.EC2
	client   *awsec2.Client
	instance backup.Ref
	volume   backup.Ref
}

func newBench(t testing.TB, ctx context.Context, others ...awssim.Service) *bench {
	t.Helper()
	b := &bench{ec2: ec2sim.Service()}
	b.world = awssim.New(append(others, b.ec2)...)
	b.client = awsec2.NewFromConfig(b.world.Config(account, region))
	out, err := b.client.RunInstances(ctx, &awsec2.RunInstancesInput{
		ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT3Micro,
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{
			{DeviceName: aws.String("/dev/xvda"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}},
			{DeviceName: aws.String("/dev/sdf"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(20)}},
			{DeviceName: aws.String("/dev/sdg"), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(20)}},
		},
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeInstance, Tags: []ec2types.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	b.instance = ebs.Instance(account, region, *out.Instances[0].InstanceId)
	time.Sleep(2 * time.Minute)
	vols, err := b.client.DescribeVolumes(ctx, &awsec2.DescribeVolumesInput{Filters: []ec2types.Filter{{Name: aws.String("attachment.instance-id"), Values: []string{b.instance.ID}}}})
	if err != nil || len(vols.Volumes) != 3 {
		t.Fatalf("volumes of the instance: %v, %v", vols, err)
	}
	b.volume = ebs.Volume(account, region, *vols.Volumes[0].VolumeId)
	return b
}

// made gives the snapshots and volumes that the Operation made and that still exist.
func (b *bench) made(op backup.Operation) (snapshots []ec2sim.SnapshotInfo, volumes []ec2sim.VolumeInfo) {
	for _, s := range b.ec2.Snapshots(b.world, account, region) {
		if s.Tags[backup.TagToken] == op.ID && !s.Gone {
			snapshots = append(snapshots, s)
		}
	}
	for _, v := range b.ec2.Volumes(b.world, account, region) {
		if v.Tags[backup.TagToken] == op.ID && !v.Deleted {
			volumes = append(volumes, v)
		}
	}
	return snapshots, volumes
}

// backedUp makes a backup without any fault, for the workflows that need one.
func (b *bench) backedUp(t testing.TB, ctx context.Context, r backup.Ref) backup.Ref {
	t.Helper()
	s := ebs.NewFromConfig(b.world.Config(account, region))
	op, err := s.Start(ctx, r, backup.Spec{Token: "before"})
	if err != nil {
		t.Fatal(err)
	}
	runner, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	op, err = runner.Run(ctx, op)
	if err != nil || len(op.Points) != 1 {
		t.Fatalf("backup before: %v %v", op.Points, err)
	}
	time.Sleep(10 * time.Minute)
	return op.Points[0]
}

func newAnywhere(cfg aws.Config) backup.Strategy { return anywhere(cfg) }

// The keys of two Regions.
const (
	keyHere  = "arn:aws:kms:" + region + ":" + account + ":key/01234567-89ab-cdef-0123-456789abcdef"
	keyThere = "arn:aws:kms:" + elsewhere + ":" + account + ":key/01234567-89ab-cdef-0123-456789abcdef"
)

func newStrategy(cfg aws.Config) backup.Strategy { return ebs.NewFromConfig(cfg) }

func backupFlow(name string, what func(*bench) backup.Ref, members int, strategy func(aws.Config) backup.Strategy) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		// EC2's limit of one snapshot of a volume every 15 seconds would hide a second one that is sent at once.
		quotas := ec2sim.DefaultQuotas()
		quotas.VolumeInterval = 0
		b.ec2.SetQuotas(b.world, quotas)
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: strategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, what(b), backup.Spec{Token: "tonight", Tags: map[string]string{"team": "orders"}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase != backup.PhaseSucceeded {
					return nil
				}
				snapshots, _ := b.made(op)
				good := 0
				for _, s := range snapshots {
					if s.State == "completed" {
						good++
					}
				}
				if good < members {
					bad = append(bad, fmt.Sprintf("I3 I5: success with %d of %d completed snapshots", good, members))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				snapshots, _ := b.made(op)
				if len(snapshots) != members {
					bad = append(bad, fmt.Sprintf("I1: %d snapshots carry the token, wanted %d", len(snapshots), members))
				}
				// I17: what exists is in the recovery points that the Operation lists.
				listed := map[string]bool{}
				for _, p := range op.Points {
					listed[p.ID] = true
				}
				for _, s := range snapshots {
					if !listed[s.ID] && !listed[s.Tags[ebs.TagSet]] {
						bad = append(bad, "I17: "+s.ID+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

func restoreFlow(name string, what func(*bench) backup.Ref, members int) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point := b.backedUp(t, ctx, what(b))
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*ebs.Strategy).StartRestore(ctx, point, backup.Spec{Token: "tonight", Options: ebs.RestoreOptions{Zone: region + "a"}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				_, volumes := b.made(op)
				good := 0
				for _, v := range volumes {
					if v.State == "available" {
						good++
					}
				}
				if op.Phase == backup.PhaseSucceeded && good != members {
					bad = append(bad, fmt.Sprintf("I3: success with %d of %d available volumes", good, members))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				_, volumes := b.made(op)
				if len(volumes) > members || op.Phase == backup.PhaseSucceeded && len(volumes) != members {
					bad = append(bad, fmt.Sprintf("I1: %d volumes carry the token, wanted %d", len(volumes), members))
				}
				for _, v := range volumes {
					found := false
					for _, m := range op.Made {
						found = found || m.ID == v.ID
					}
					if !found {
						bad = append(bad, "I17: "+v.ID+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

func deleteFlow(name string, what func(*bench) backup.Ref) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point := b.backedUp(t, ctx, what(b))
		other, err := b.client.CreateSnapshot(ctx, &awsec2.CreateSnapshotInput{VolumeId: &b.volume.ID})
		if err != nil {
			t.Fatal(err)
		}
		live := func() (ids []string) {
			for _, s := range b.ec2.Snapshots(b.world, account, region) {
				if !s.Gone {
					ids = append(ids, s.ID)
				}
			}
			return ids
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*ebs.Strategy).StartDelete(ctx, point, backup.Spec{Token: "tonight"})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if ids := live(); op.Phase == backup.PhaseSucceeded && len(ids) != 1 {
					bad = append(bad, fmt.Sprintf("I3: success, and %v exist", ids))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				if ids := live(); len(ids) != 1 || ids[0] != *other.SnapshotId {
					bad = append(bad, fmt.Sprintf("I4 I8: %v exist, wanted only %s", ids, *other.SnapshotId))
				}
				return bad
			},
		}
	}}
}

const elsewhere = "eu-central-1"

// anywhere makes a strategy that serves every Region and may copy to one other.
func anywhere(cfg aws.Config, change ...func(*ebs.Options)) *ebs.Strategy {
	return ebs.New(func(_ context.Context, _, region string) (*awsec2.Client, error) {
		c := cfg.Copy()
		c.Region = region
		return awsec2.NewFromConfig(c), nil
	}, append([]func(*ebs.Options){func(o *ebs.Options) { o.CopyRegions = []string{elsewhere} }}, change...)...)
}

// copies gives the snapshots in a Region that the Operation made and that still exist.
func (b *bench) copies(op backup.Operation, region string) (all []ec2sim.SnapshotInfo) {
	for _, s := range b.ec2.Snapshots(b.world, account, region) {
		if s.Tags[backup.TagToken] == op.ID && !s.Gone {
			all = append(all, s)
		}
	}
	return all
}

func copyFlow(name string, what func(*bench) backup.Ref, members int, to backup.Destination, strategy func(aws.Config) backup.Strategy) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point := b.backedUp(t, ctx, what(b))
		return sweep.Subject{World: b.world, Account: account, Region: to.Region, Strategy: strategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*ebs.Strategy).StartCopy(ctx, point, to, backup.Spec{Token: "tonight", Tags: map[string]string{"team": "orders"}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase != backup.PhaseSucceeded {
					return nil
				}
				good := map[string]bool{}
				for _, s := range b.copies(op, to.Region) {
					if s.State == "completed" && (to.KMSKeyID == "" || s.KMSKeyID == to.KMSKeyID) {
						good[s.CopyOf] = true
					}
				}
				if len(good) != members {
					bad = append(bad, fmt.Sprintf("I3 I6: success with completed copies of %d of %d snapshots", len(good), members))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				all := b.copies(op, to.Region)
				if len(all) != members {
					bad = append(bad, fmt.Sprintf("I1: %d copies carry the token, wanted %d", len(all), members))
				}
				listed := map[string]bool{}
				for _, p := range op.Points {
					listed[p.ID] = true
				}
				for _, s := range all {
					if !listed[s.ID] && !listed[s.Tags[ebs.TagSet]] {
						bad = append(bad, "I17: "+s.ID+" is listed nowhere")
					}
				}
				return bad
			},
		}
	}}
}

// tierFlow archives a snapshot, or brings it back.
func tierFlow(name string, back bool) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point := ebs.Snapshot(account, region, b.ec2.Seed(b.world, account, region, 1, ec2sim.Seeds{Volumes: []string{b.volume.ID}})[0])
		b.ec2.SetTierTimes(b.world, 5*time.Minute, 10*time.Minute)
		const members = 1
		moves, want := 1, ec2types.StorageTierArchive
		if back {
			if _, err := b.client.ModifySnapshotTier(ctx, &awsec2.ModifySnapshotTierInput{SnapshotId: &point.ID}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(4 * time.Hour)
			moves, want = 2, ec2types.StorageTierStandard
		}
		there := func() (n, moved int) {
			for _, s := range b.ec2.Snapshots(b.world, account, region) {
				if s.Tier == want {
					n++
				}
				moved += s.Moves
			}
			return n, moved
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				if back {
					return s.(*ebs.Strategy).StartUnarchive(ctx, point, backup.Spec{Token: "tonight", Options: ebs.UnarchiveOptions{Permanent: true, AllowForeign: true}})
				}
				return s.(*ebs.Strategy).StartArchive(ctx, point, backup.Spec{Token: "tonight", Options: ebs.ArchiveOptions{AllowLast: true, AllowForeign: true}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if n, _ := there(); op.Phase == backup.PhaseSucceeded && n != members {
					bad = append(bad, fmt.Sprintf("I3: success with %d of %d snapshots moved", n, members))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				if _, n := there(); n != moves*members {
					bad = append(bad, fmt.Sprintf("I1: %d moves of %d snapshots", n, members))
				}
				return bad
			},
		}
	}}
}

// lockFlow locks a snapshot in compliance mode.
func lockFlow(name string) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, ctx context.Context) sweep.Subject {
		b := newBench(t, ctx)
		point := ebs.Snapshot(account, region, b.ec2.Seed(b.world, account, region, 1, ec2sim.Seeds{Volumes: []string{b.volume.ID}})[0])
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*ebs.Strategy).StartLock(ctx, point, backup.Spec{Token: "tonight",
					Options: ebs.LockOptions{Mode: ebs.LockCompliance, Days: 30, CoolOffHours: 2, AllowForeign: true}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				for _, s := range b.ec2.Snapshots(b.world, account, region) {
					if op.Phase == backup.PhaseSucceeded && (s.Lock != "compliance-cooloff" && s.Lock != "compliance" || s.LockedUntil.Before(op.Started.AddDate(0, 0, 30).Add(-time.Second))) {
						bad = append(bad, fmt.Sprintf("I3: success, and %s is %q until %v", s.ID, s.Lock, s.LockedUntil))
					}
				}
				return bad
			},
			Quiet: func(backup.Operation) (bad []string) {
				for _, c := range b.world.Calls() {
					if in, ok := c.Input.(*awsec2.LockSnapshotInput); ok && (in.CoolOffPeriod == nil || *in.CoolOffPeriod != 2) {
						bad = append(bad, "I16: a lock for good was sent")
					}
				}
				return bad
			},
		}
	}}
}

func theVolume(b *bench) backup.Ref   { return b.volume }
func theInstance(b *bench) backup.Ref { return b.instance }

func workflows() []sweep.Workflow {
	return []sweep.Workflow{
		backupFlow("ebs-backup-volume", theVolume, 1, newStrategy),
		backupFlow("ebs-backup-set", theInstance, 3, newStrategy),
		restoreFlow("ebs-restore-volume", theVolume, 1),
		restoreFlow("ebs-restore-set", theInstance, 3),
		deleteFlow("ebs-delete-snapshot", theVolume),
		deleteFlow("ebs-delete-set", theInstance),
		lockFlow("ebs-lock"),
		tierFlow("ebs-archive", false),
		tierFlow("ebs-unarchive", true),
		copyFlow("ebs-copy-snapshot", theVolume, 1, backup.Destination{Region: region, KMSKeyID: keyHere}, newStrategy),
		copyFlow("ebs-copy-set", theInstance, 3, backup.Destination{Region: elsewhere}, newAnywhere),
	}
}

func TestSweepSingles(t *testing.T) {
	for _, w := range workflows() {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel() // each run is in a bubble of its own
			sweep.Singles(t, w).Check(t)
		})
	}
}

func TestSweepPairs(t *testing.T) {
	if *pairs <= 0 {
		t.Skip("pairs of faults take minutes: run with -pairs 10 for one in ten")
	}
	for _, w := range workflows() {
		t.Run(w.Name, func(t *testing.T) { sweep.Pairs(t, w, *pairs).Check(t) })
	}
}

// The control: with the SDK's default retryer the same sweep finds duplicates. If it did not, it would not be looking.
func TestSweepControlDefaultRetryer(t *testing.T) {
	w := backupFlow("ebs-backup-set-control", theInstance, 3, func(cfg aws.Config) backup.Strategy {
		return ebs.WithDefaultRetryer(ebs.NewFromConfig(cfg))
	})
	res := sweep.Control(t, w)
	i := slices.IndexFunc(res.Violations, func(v string) bool { return strings.Contains(v, "I1: 6 snapshots carry the token, wanted 3") })
	if i < 0 {
		t.Fatal("the default retryer made no duplicate in any run: the sweep is blind")
	}
	t.Logf("found, as it must: %s", res.Violations[i])
}

// The same control for copies.
func TestSweepControlCopyDefaultRetryer(t *testing.T) {
	w := copyFlow("ebs-copy-snapshot-control", theVolume, 1, backup.Destination{Region: elsewhere}, func(cfg aws.Config) backup.Strategy {
		return ebs.WithDefaultRetryer(anywhere(cfg))
	})
	res := sweep.Control(t, w)
	if !slices.ContainsFunc(res.Violations, func(v string) bool { return strings.Contains(v, "I1: 2 copies carry the token, wanted 1") }) {
		t.Fatal("the default retryer made no duplicate in any run: the sweep is blind")
	}
}

func TestSweepReplay(t *testing.T) {
	sweep.Replay(t, backupFlow("ebs-backup-set", theInstance, 3, newStrategy))
}

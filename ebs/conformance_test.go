package ebs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/ebs"
)

// conformance makes a Subject over a simulated AWS. served makes the Strategy of a process; what is backed up is one volume, or all three
// volumes of an instance.
func conformance(what func(*bench) backup.Ref, parts int, lag time.Duration, served func(*bench) backup.Strategy) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBench(t, t.Context())
		return subject(t, b, what(b), parts, lag, served)
	}
}

// subject is what conformance says of one world.
func subject(t testing.TB, b *bench, resource backup.Ref, parts int, lag time.Duration, served func(*bench) backup.Strategy) *backuptest.Subject {
	b.world.SetLag(lag)
	if lag > 0 {
		b.world.SetPageLimit(2) // every listing then takes several calls
	}
	b.world.KeepCalls(false)
	var mu sync.Mutex // guards the two
	total, mutating := 0, 0
	b.world.Watch(func(c awssim.Call) {
		mu.Lock()
		defer mu.Unlock()
		total++
		if c.Mutates {
			mutating++
		}
	})
	// fault hits the next call that changes something.
	fault := func(kind awssim.FaultKind) {
		for _, operation := range []string{"CreateSnapshot", "CreateSnapshots", "CopySnapshot", "CreateVolume", "DeleteSnapshot"} {
			b.world.Inject(awssim.Fault{Service: "EC2", Operation: operation, Kind: kind, Do: b.world.Heal})
		}
	}
	missing := ebs.Volume(account, region, "vol-0123456789abcdef0")
	if resource.Type == ebs.TypeInstance {
		missing = ebs.Instance(account, region, "i-0123456789abcdef0")
	}
	elsewhere, others, malformed, short := resource, resource, resource, resource
	elsewhere.Region, others.Account, malformed.ID, short.ID = "eu-central-1", "444455556666", "orders", resource.ID[:8]
	return &backuptest.Subject{
		Strategy:  served(b),
		Restart:   func() backup.Strategy { return served(b) },
		Resource:  resource,
		Tags:      tagsOf(b, resource),
		Missing:   missing,
		Malformed: []backup.Ref{malformed, short},
		Unserved:  []backup.Ref{elsewhere, others},
		Spec: func(action backup.Action, _ string) backup.Spec {
			if action == backup.ActionRestore {
				return backup.Spec{Options: ebs.RestoreOptions{Zone: region + "a"}}
			}
			return backup.Spec{}
		},
		BadSpecs: map[backup.Action][]backup.Spec{
			backup.ActionBackup: {
				{Name: "orders"},
				{Options: &ebs.BackupOptions{}},
				{Options: ebs.BackupOptions{ExcludeVolumes: []string{"*"}}},
			},
			backup.ActionRestore: {
				{},
				{Options: ebs.RestoreOptions{}},
				{Options: ebs.RestoreOptions{Zone: "us-east-1a"}},
				{Options: ebs.RestoreOptions{Zone: region + "a", SizeGiB: -1}},
				{Options: ebs.BackupOptions{}},
			},
			backup.ActionDelete: {{Name: "orders"}, {Options: &ebs.DeleteOptions{}}},
		},
		AllowForeign: ebs.DeleteOptions{AllowForeign: true},
		Count: func(id string) (n int) {
			for _, s := range b.ec2.Snapshots(b.world, account, region) {
				if s.Tags[backup.TagToken] == id && !s.Deleted && !s.Gone {
					n++
				}
			}
			for _, v := range b.ec2.Volumes(b.world, account, region) {
				if v.Tags[backup.TagToken] == id && !v.Deleted {
					n++
				}
			}
			return n
		},
		Parts: map[backup.Action]int{backup.ActionBackup: parts, backup.ActionRestore: parts},
		Exists: func(r backup.Ref) bool {
			if r.Type == ebs.TypeVolume {
				for _, v := range b.ec2.Volumes(b.world, account, region) {
					if v.ID == r.ID {
						return !v.Deleted
					}
				}
			}
			for _, s := range b.ec2.Snapshots(b.world, account, region) {
				if (s.ID == r.ID || s.Tags[ebs.TagSet] == r.ID) && !s.Gone {
					return true
				}
			}
			return r.Type == ebs.TypeInstance
		},
		Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
		LoseReply: func() { fault(awssim.FaultLostReply) },
		DieAfter:  func() { fault(awssim.FaultDieAfter) },
		FailLater: func() { fault(awssim.FaultAsync) },
		Vanish: func(point backup.Ref) {
			for _, s := range b.ec2.Snapshots(b.world, account, region) {
				if s.ID != point.ID && s.Tags[ebs.TagSet] != point.ID {
					continue
				}
				if _, err := b.client.DeleteSnapshot(t.Context(), &awsec2.DeleteSnapshotInput{SnapshotId: &s.ID}); err != nil {
					t.Errorf("deleting %s: %v", s.ID, err)
				}
			}
		},
	}
}

// tagsOf gives the tags that newBench gave to the instance; its volumes have none.
func tagsOf(b *bench, r backup.Ref) map[string]string {
	if r == b.instance {
		return map[string]string{"team": "orders"}
	}
	return nil
}

func ownConfig(b *bench) backup.Strategy { return ebs.NewFromConfig(b.world.Config(account, region)) }

// provided serves what its provider has a client for.
func provided(b *bench) backup.Strategy {
	return ebs.New(func(_ context.Context, a, r string) (*awsec2.Client, error) {
		// A provider need not look at what is empty: the Strategy refuses that itself.
		if a != account && a != "" || r != region && r != "" {
			return nil, errors.New("no credentials for account " + a + " in " + r)
		}
		return awsec2.NewFromConfig(b.world.Config(account, region)), nil
	})
}

func TestConformanceVolume(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(theVolume, 1, 0, ownConfig)})
}

func TestConformanceSet(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(theInstance, 3, 0, ownConfig)})
}

// What is new stays invisible for two minutes here.
func TestConformanceLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(theInstance, 3, 2*time.Minute, provided)})
}

// copying is a Strategy whose Start copies within the Region, under another key.
type copying struct{ s *ebs.Strategy }

func (c copying) Kind() string { return c.s.Kind() }

func (c copying) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return c.s.StartCopy(ctx, r, backup.Destination{KMSKeyID: keyHere}, spec)
}

func (c copying) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	return c.s.Step(ctx, op)
}

func (c copying) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	return c.s.Preflight(ctx, op)
}

func (c copying) Cancel(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	return c.s.Cancel(ctx, op)
}

// A copy is held to what a backup is held to.
func copyConformance(what func(*bench) backup.Ref, parts int, lag time.Duration) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBench(t, t.Context())
		point := b.backedUp(t, t.Context(), what(b))
		x := subject(t, b, point, parts, lag, func(b *bench) backup.Strategy {
			return copying{ebs.NewFromConfig(b.world.Config(account, region))}
		})
		x.Starts = backup.ActionCopy
		x.Parts = map[backup.Action]int{backup.ActionCopy: parts}
		x.Missing, x.Tags = ebs.Snapshot(account, region, "snap-0123456789abcdef0"), nil
		if point.Type == ebs.TypeSet {
			x.Missing = ebs.Set(account, region, "set-none-1")
			x.Malformed = x.Malformed[:1]
		}
		x.BadSpecs[backup.ActionCopy] = []backup.Spec{{Name: "orders"}, {Options: &ebs.CopyOptions{}}, {Options: ebs.RestoreOptions{}}}
		return x
	}
}

func TestConformanceCopy(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: copyConformance(theVolume, 1, 0)})
}

func TestConformanceCopySet(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: copyConformance(theInstance, 3, 2*time.Minute)})
}

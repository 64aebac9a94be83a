package ami_test

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
	"github.com/snapwarden/snapwarden/ebs/ami"
)

// conformance makes a Subject over a simulated AWS. served makes the Strategy of a process.
func conformance(lag time.Duration, served func(*bench) backup.Strategy) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		return subject(t, newBench(t, t.Context()), lag, served)
	}
}

// subject is what conformance says of one world.
func subject(t testing.TB, b *bench, lag time.Duration, served func(*bench) backup.Strategy) *backuptest.Subject {
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
		for _, operation := range []string{"CreateImage", "CopyImage", "DeregisterImage", "DeleteSnapshot"} {
			b.world.Inject(awssim.Fault{Service: "EC2", Operation: operation, Kind: kind, Do: b.world.Heal})
		}
	}
	elsewhere, others, malformed, short := b.instance, b.instance, b.instance, b.instance
	elsewhere.Region, others.Account, malformed.ID, short.ID = "us-east-1", "444455556666", "orders", b.instance.ID[:8]
	return &backuptest.Subject{
		Strategy:  served(b),
		Restart:   func() backup.Strategy { return served(b) },
		Resource:  b.instance,
		Tags:      map[string]string{"team": "orders"},
		Missing:   ebs.Instance(account, region, "i-0123456789abcdef0"),
		Malformed: []backup.Ref{malformed, short},
		Unserved:  []backup.Ref{elsewhere, others},
		MaxTags:   46,
		BadSpecs: map[backup.Action][]backup.Spec{
			backup.ActionBackup: {{Name: "ab"}, {Name: "a*b"}, {Name: " orders"}, {Options: &ami.BackupOptions{}}, {Options: ami.DeleteOptions{}}},
			backup.ActionDelete: {{Name: "orders"}, {Options: &ami.DeleteOptions{}}},
		},
		AllowForeign: ami.DeleteOptions{AllowForeign: true},
		Count: func(id string) (n int) {
			for _, m := range b.ec2.Images(b.world, account, region) {
				if m.Tags[backup.TagToken] == id && !m.Gone {
					n++
				}
			}
			return n
		},
		Exists: func(r backup.Ref) bool {
			for _, m := range b.ec2.Images(b.world, account, region) {
				if m.ID == r.ID {
					return !m.Gone
				}
			}
			return r.Type == ebs.TypeInstance
		},
		Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
		LoseReply: func() { fault(awssim.FaultLostReply) },
		DieAfter:  func() { fault(awssim.FaultDieAfter) },
		FailLater: func() { fault(awssim.FaultAsync) },
		Vanish: func(point backup.Ref) {
			if _, err := b.client.DeregisterImage(t.Context(), &awsec2.DeregisterImageInput{ImageId: &point.ID}); err != nil {
				t.Errorf("deregistering %s: %v", point.ID, err)
			}
		},
	}
}

func ownConfig(b *bench) backup.Strategy { return ami.NewFromConfig(b.world.Config(account, region)) }

// provided serves what its provider has a client for.
func provided(b *bench) backup.Strategy {
	return ami.New(func(_ context.Context, a, r string) (*awsec2.Client, error) {
		if a != account && a != "" || r != region && r != "" {
			return nil, errors.New("no credentials for account " + a + " in " + r)
		}
		return awsec2.NewFromConfig(b.world.Config(account, region)), nil
	})
}

func TestConformance(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(0, ownConfig)})
}

// What is new stays invisible for two minutes here.
func TestConformanceLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(2*time.Minute, provided)})
}

// copying is a Strategy whose Start copies within the Region; its other abilities are about instances and stay hidden.
type copying struct{ s *ami.Strategy }

func (c copying) Kind() string { return c.s.Kind() }

func (c copying) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return c.s.StartCopy(ctx, r, backup.Destination{}, spec)
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

func TestConformanceCopy(t *testing.T) {
	for _, lag := range []time.Duration{0, 2 * time.Minute} {
		t.Run(lag.String(), func(t *testing.T) {
			backuptest.TestStrategy(t, backuptest.Harness{New: func(t testing.TB) *backuptest.Subject {
				b := newBench(t, t.Context())
				image := b.imaged(t, t.Context(), "before")
				x := subject(t, b, lag, func(b *bench) backup.Strategy {
					return copying{ami.NewFromConfig(b.world.Config(account, region))}
				})
				malformed, elsewhere, others := image, image, image
				malformed.ID, elsewhere.Region, others.Account = "orders", "us-east-1", "444455556666"
				x.Starts, x.Resource, x.Tags = backup.ActionCopy, image, nil
				x.Missing, x.Malformed, x.Unserved = ami.Image(account, region, "ami-0123456789abcdef0"), []backup.Ref{malformed}, []backup.Ref{elsewhere, others}
				x.BadSpecs[backup.ActionCopy] = []backup.Spec{{Name: "ab"}, {Options: ami.BackupOptions{}}}
				x.MaxTags = 45 // one more for what was copied
				return x
			}})
		})
	}
}

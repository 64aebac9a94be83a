package protect_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/protect"
)

func newStrategy(cfg aws.Config) backup.Strategy { return protect.NewFromConfig(cfg) }

// locks is what the calls that S3 carried out have set, by key: nothing is asked of S3.
func (b *bed) locks() (until map[string]time.Time, holds map[string]bool, order []string) {
	until, holds = map[string]time.Time{}, map[string]bool{}
	for _, c := range b.world.Calls() {
		if !c.Applied {
			continue
		}
		switch in := c.Input.(type) {
		case *awss3.PutObjectRetentionInput:
			until[*in.Key] = aws.ToTime(in.Retention.RetainUntilDate)
			order = append(order, *in.Key)
		case *awss3.PutObjectLegalHoldInput:
			holds[*in.Key] = true
			order = append(order, *in.Key)
		}
	}
	return until, holds, order
}

// lockFlow holds an export of two files.
func lockFlow() sweep.Workflow {
	return sweep.Workflow{Name: "protect-export", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := newBed(t)
		b.export(bucket, 2)
		end := time.Now().AddDate(1, 0, 0).Truncate(time.Second)
		// what is wrong with the locks, where all of them should be there
		bad := func(op backup.Operation) (bad []string) {
			until, holds, order := b.locks()
			whole := 0
			for _, k := range keys(2) {
				if until[k].Equal(end) && holds[k] {
					whole++
				}
			}
			if op.Phase == backup.PhaseSucceeded && whole != 3 {
				bad = append(bad, fmt.Sprintf("I5: success with %d of 3 files held: %v", whole, order))
			}
			if first := slices.Index(order, "nightly.manifest.json"); first >= 0 {
				for _, k := range keys(2)[:2] {
					if n := slices.Index(order, k); n < 0 || n > first {
						bad = append(bad, "I4: the manifest was held before "+k)
					}
				}
			}
			for k, at := range until {
				if !at.Equal(end) {
					bad = append(bad, fmt.Sprintf("I16: %s is held until %v", k, at))
				}
			}
			return bad
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, AtEnd: bad, Quiet: bad,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, export, backup.Spec{Token: "tonight", Options: protect.LockOptions{Retention: policy.Retention{Until: end}, LegalHold: policy.LegalHoldOn}})
			},
		}
	}}
}

// lifecycleFlow puts two rules beside those of others.
func lifecycleFlow() sweep.Workflow {
	return sweep.Workflow{Name: "protect-lifecycle", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := newBed(t)
		b.setRules(others()...)
		bad := func(op backup.Operation) (bad []string) {
			now := []string{"logs", "old", "plain"}
			for _, c := range b.world.Calls() {
				if in, ok := c.Input.(*awss3.PutBucketLifecycleConfigurationInput); ok && c.Applied {
					now = names(in.LifecycleConfiguration.Rules)
				}
			}
			if !slices.Equal(now[:3], []string{"logs", "old", "plain"}) {
				bad = append(bad, fmt.Sprintf("I8: rules of others were lost: %v", now))
			}
			if op.Phase == backup.PhaseSucceeded && !slices.Equal(now[3:], []string{"exports", "uploads"}) {
				bad = append(bad, fmt.Sprintf("I5: success with %v", now))
			}
			return bad
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, AtEnd: bad, Quiet: bad,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, box, backup.Spec{Token: "once", Options: protect.LifecycleOptions{Rules: mine()}})
			},
		}
	}}
}

func TestSweepSingles(t *testing.T) {
	for _, w := range []sweep.Workflow{lockFlow(), lifecycleFlow()} {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel() // each run is in a bubble of its own
			sweep.Singles(t, w).Check(t)
		})
	}
}

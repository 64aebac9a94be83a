package elasticacheexport_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// What AWS never exports is refused without asking for it.
func TestNeverExported(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		api := awselasticache.NewFromConfig(b.world.Config(account, region))
		_, err := api.CreateReplicationGroup(b.Context(), &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("tiered"), ReplicationGroupDescription: aws.String("x"),
			CacheNodeType: aws.String("cache.r6gd.xlarge"), Engine: aws.String("redis"), NumCacheClusters: aws.Int32(1), DataTieringEnabled: aws.Bool(true)})
		b.ok(err)
		_, err = api.CreateReplicationGroup(b.Context(), &awselasticache.CreateReplicationGroupInput{ReplicationGroupId: aws.String("locked"), ReplicationGroupDescription: aws.String("x"),
			CacheNodeType: aws.String("cache.r6g.large"), Engine: aws.String("redis"), NumCacheClusters: aws.Int32(1), AtRestEncryptionEnabled: aws.Bool(true),
			KmsKeyId: aws.String("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")})
		b.ok(err)
		time.Sleep(4 * time.Hour)
		fail := func(group string) backup.Operation {
			b.ok(b.cache.AddSnapshots(b.world, account, region, group, nil, "of-"+group))
			op := b.run(b.start("of-"+group, ""))
			if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), backup.ErrUnsupported) || backup.HintOf(op.Err()) == "" {
				b.Errorf("%s: %s %v", group, op.Phase, op.Err())
			}
			return op
		}
		fail("tiered")
		for _, c := range b.world.Calls() {
			if c.Operation == "CopySnapshot" {
				b.Error("it was asked for")
			}
		}
		// Of a customer's key it is not known whether AWS refuses every snapshot: the warning is ours, the refusal is AWS's.
		var ids []string
		for _, f := range fail("locked").Findings {
			ids = append(ids, f.ID)
		}
		if d := cmp.Diff([]string{"elasticacheexport.under-customer-key", "elasticacheexport.customer-key"}, ids); d != "" {
			b.Error(d)
		}
	})
}

// That a look is denied ends what has not begun, and nothing that has.
func TestDeniedLooks(t *testing.T) {
	denied := awssim.Fault{Operation: "ListObjectsV2", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "Access Denied"}}
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		b.world.Inject(denied)
		if op := b.run(b.start("plain", "")); op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), backup.ErrDenied) {
			b.Errorf("%s %v", op.Phase, op.Err())
		}
	})
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.start("plain", "")
		for op.Stage != "wait" {
			op = b.step(op)
		}
		time.Sleep(time.Hour)
		b.world.Inject(denied)
		got, err := b.s.Step(b.Context(), op)
		if !errors.Is(err, backup.ErrDenied) || got.Done() {
			b.Errorf("%s %v", got.Phase, err)
		}
		if op = b.run(op); op.Phase != backup.PhaseSucceeded {
			b.Error(op.Err())
		}
	})
}

func TestSourceStates(t *testing.T) {
	for status, want := range map[string]backup.Phase{
		"creating": backup.PhaseSucceeded, "copying": backup.PhaseSucceeded, "restoring": backup.PhaseSucceeded, "a-new-word": backup.PhaseSucceeded,
		"failed": backup.PhaseFailed, "deleting": backup.PhaseFailed,
	} {
		bubble(t, func(b *bed) {
			b.bucket(bucket, all...)
			b.ok(b.cache.Hold(b.world, account, region, "plain", status, 2*time.Hour))
			if op := b.run(b.start("plain", "")); op.Phase != want {
				b.Errorf("%s: %s %v", status, op.Phase, op.Err())
			}
		})
	}
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		begin := time.Now()
		if op := b.run(b.start("none", "")); !errors.Is(op.Err(), backup.ErrNotFound) || time.Since(begin) < 6*time.Minute {
			b.Errorf("after %v: %s %v", time.Since(begin), op.Phase, op.Err())
		}
	})
}

// A snapshot that becomes busy between the look and the call is waited for; one that is deleted while it is exported leaves a whole export.
func TestSourceChanges(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.start("plain", "")
		for op.Stage != "export" {
			op = b.step(op)
		}
		b.ok(b.cache.Hold(b.world, account, region, "plain", "restoring", 30*time.Minute))
		if op = b.run(op); op.Phase != backup.PhaseSucceeded {
			b.Error(op.Err())
		}
	})
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.start("sharded", "")
		for op.Stage != "wait" {
			op = b.step(op)
		}
		b.ok(b.cache.Vanish(b.world, account, region, "sharded"))
		if op = b.run(op); op.Phase != backup.PhaseSucceeded {
			b.Error(op.Err())
		}
	})
}

// A call that was perhaps sent is settled before it is sent again: what came of it is found, or the window passes.
func TestSettles(t *testing.T) {
	for name, applied := range map[string]bool{"it was": true, "it was not": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.bucket(bucket, all...)
				op := b.start("plain", "")
				for op.Stage != "export" {
					op = b.step(op)
				}
				kind := awssim.FaultServerError
				if applied {
					kind = awssim.FaultLostReply
				}
				b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: kind})
				op.Attempt = 1
				if _, err := b.s.Step(b.Context(), op); backup.CodeOf(err) != backup.ErrUnavailable {
					b.Fatal(err)
				}
				op = b.run(op) // the Runner raises the attempt to 2
				sent := 0
				for _, c := range b.world.Calls() {
					if c.Operation == "CopySnapshot" {
						sent++
					}
				}
				if want := map[bool]int{true: 1, false: 2}[applied]; op.Phase != backup.PhaseSucceeded || sent != want {
					b.Errorf("%s %v, sent %d times", op.Phase, op.Err(), sent)
				}
			})
		})
	}
}

// With a name of the caller's own, files that are there after a lost answer prove nothing.
func TestAdoptsOnlyItsOwn(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.start("plain", "out")
		for op.Stage != "export" {
			op = b.step(op)
		}
		b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultLostReply})
		op.Attempt = 1
		if _, err := b.s.Step(b.Context(), op); backup.CodeOf(err) != backup.ErrUnavailable {
			b.Fatal(err)
		}
		op = b.run(op)
		if !errors.Is(op.Err(), backup.ErrConflict) || len(op.Made) != 1 || len(op.Points) != 0 {
			b.Errorf("%s %v %v", op.Phase, op.Made, op.Err())
		}
	})
}

// A service that shows nothing of an export by the snapshot's status is waited for.
func TestExportThatIsNotShown(t *testing.T) {
	bubble(t, func(b *bed) {
		b.bucket(bucket, all...)
		op := b.start("sharded", "")
		for op.Stage != "export" {
			op = b.step(op)
		}
		b.ok(b.cache.Hold(b.world, account, region, "sharded", "available", 48*time.Hour))
		b.world.SetSpeed(0.01) // the export takes hours
		op = b.run(op)
		if op.Phase != backup.PhaseSucceeded || time.Since(op.Started) < time.Hour {
			b.Errorf("after %v: %s %v", time.Since(op.Started), op.Phase, op.Err())
		}
	})
}

func TestProvider(t *testing.T) {
	bubble(t, func(b *bed) {
		op := b.start("plain", "")
		for name, p := range map[string]elasticacheexport.Provider{
			"an error": func(context.Context, string, string) (elasticacheexport.Clients, error) {
				return elasticacheexport.Clients{}, errors.New("no role")
			},
			"nothing": func(context.Context, string, string) (elasticacheexport.Clients, error) {
				return elasticacheexport.Clients{}, nil
			},
		} {
			if _, err := elasticacheexport.New(p).Step(b.Context(), op); !errors.Is(err, backup.ErrInvalid) {
				b.Errorf("%s: %v", name, err)
			}
		}
		if _, err := b.s.Start(b.Context(), backup.Ref{Type: op.Ref.Type, Account: account, Region: "eu-west-2", ID: "plain"},
			backup.Spec{Token: "t", Options: elasticacheexport.Options{Bucket: bucket}}); !errors.Is(err, backup.ErrInvalid) {
			b.Errorf("another Region: %v", err)
		}
		if b.s.Kind() != elasticacheexport.Kind {
			b.Error(b.s.Kind())
		}
		changed := op
		changed.Stage = "dance"
		if _, err := b.s.Step(b.Context(), changed); !errors.Is(err, backup.ErrInvalid) {
			b.Errorf("an unknown stage: %v", err)
		}
		done := op
		done.Succeed()
		if got, err := b.s.Step(b.Context(), done); err != nil || got.Phase != backup.PhaseSucceeded {
			b.Errorf("a finished operation: %v %v", got.Phase, err)
		}
	})
}

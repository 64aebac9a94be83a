package rdsexport_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

// lost sends the export and loses the answer, as kind does; the Operation is the one that the next process finds.
func (b *bed) lost(op backup.Operation, kind awssim.FaultKind) backup.Operation {
	b.Helper()
	op = b.until(op, "send")
	b.world.Inject(awssim.Fault{Operation: "StartExportTask", Kind: kind})
	op.Attempt = 1
	if _, err := b.s.Step(b.ctx, op); backup.CodeOf(err) != backup.ErrUnavailable {
		b.Fatal(err)
	}
	return op
}

// A call that was perhaps sent is settled before it is sent again: what came of it is found, or the window passes.
func TestSettles(t *testing.T) {
	for name, c := range map[string]struct {
		kind awssim.FaultKind
		lag  time.Duration
		sent int
	}{
		"it was":              {awssim.FaultLostReply, 0, 1},
		"it was, unseen":      {awssim.FaultServerErrorApplied, 5 * time.Minute, 1},
		"it was not":          {awssim.FaultServerError, 0, 2},
		"seen only later":     {awssim.FaultLostReply, 8 * time.Minute, 2},
		"seen much later":     {awssim.FaultLostReply, 15 * time.Minute, 3},
		"the answer is noise": {awssim.FaultGarbage, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.world.SetLag(c.lag)
				op := b.until(b.lost(b.start(), c.kind), "never")
				if op.Phase != backup.PhaseSucceeded || b.count("StartExportTask") != c.sent {
					b.Errorf("%s %v, sent %d times", op.Phase, op.Err(), b.count("StartExportTask"))
				}
				b.task()
			})
		})
	}
}

// A task of the Operation's identifier is adopted only if it does what the Operation asks for.
func TestAdoptsOnlyItsOwn(t *testing.T) {
	type request = awsrds.StartExportTaskInput
	for name, c := range map[string]struct {
		change func(b *bed, in *request)
		say    string
	}{
		"the same":      {func(*bed, *request) {}, ""},
		"another order": {func(_ *bed, in *request) { in.ExportOnly = []string{"b.c", "a"} }, ""},
		"another snapshot": {func(_ *bed, in *request) {
			in.SourceArn = aws.String(strings.Replace(*in.SourceArn, "nightly", "weekly", 1))
		}, "exports arn:"},
		"another bucket": {func(_ *bed, in *request) { in.S3BucketName = aws.String("other-exports") }, "bucket other-exports"},
		"another prefix": {func(_ *bed, in *request) { in.S3Prefix = aws.String("rds") }, "prefix rds"},
		"no prefix":      {func(_ *bed, in *request) { in.S3Prefix = nil }, "prefix"},
		"another role":   {func(_ *bed, in *request) { in.IamRoleArn = aws.String(role + "-2") }, "role arn:"},
		"another key": {func(b *bed, in *request) {
			key, err := b.kms.CreateKey(b.ctx, &awskms.CreateKeyInput{})
			b.ok(err)
			in.KmsKeyId = key.KeyMetadata.Arn
		}, "key arn:"},
		"everything": {func(_ *bed, in *request) { in.ExportOnly = nil }, "other parts"},
		"fewer":      {func(_ *bed, in *request) { in.ExportOnly = []string{"a"} }, "other parts"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.bucket(b.world.Config(account, region), "other-exports")
				b.snapshot("weekly", "orders-00001")
				op := b.lost(b.start(func(o *rdsexport.Options) { o.Only = []string{"a", "b.c"} }), awssim.FaultServerError)
				in := &request{ExportTaskIdentifier: aws.String("sw-" + op.ID[3:]), SourceArn: aws.String("arn:aws:rds:eu-west-1:111122223333:snapshot:nightly"), S3BucketName: aws.String(bucket),
					S3Prefix: aws.String("rds/daily"), IamRoleArn: aws.String(role), KmsKeyId: &b.key, ExportOnly: []string{"a", "b.c"}}
				c.change(b, in)
				_, err := b.api.StartExportTask(b.ctx, in)
				b.ok(err)
				op = b.until(op, "never")
				if c.say == "" {
					b.ok(op.Err())
					return
				}
				if !errors.Is(op.Err(), backup.ErrConflict) || !strings.Contains(op.Err().Error(), c.say) || len(op.Made)+len(op.Points) > 0 {
					b.Errorf("%s %v, made %v", op.Phase, op.Err(), op.Made)
				}
				if b.count("StartExportTask") != 2 {
					b.Errorf("sent %d times", b.count("StartExportTask"))
				}
			})
		})
	}
}

// A task that is older than the Operation is not its own, unless nothing tells how old the work is.
func TestOldTask(t *testing.T) {
	bubble(t, func(b *bed) {
		first := b.run(b.start())
		b.ok(first.Err())
		time.Sleep(24 * time.Hour)
		again := b.start()
		if again.ID != first.ID {
			t.Fatal("another ID")
		}
		op := again
		op.Attempt, op.Next, op.Stage = 2, "StartExportTask", "send"
		if op = b.until(op, "never"); !errors.Is(op.Err(), backup.ErrConflict) || len(op.Made) != 0 {
			b.Errorf("%s %v %v", op.Phase, op.Err(), op.Made)
		}
		// Without a Store.
		op = b.run(again)
		if op.Phase != backup.PhaseSucceeded || len(op.Points) != 1 || b.count("StartExportTask") != 1 {
			b.Errorf("%s %v, sent %d times", op.Phase, op.Err(), b.count("StartExportTask"))
		}
		// With one that was lost, what is in the folder is in the way.
		op = b.until(again, "never")
		if !errors.Is(op.Err(), backup.ErrConflict) || b.count("StartExportTask") != 1 {
			b.Errorf("%s %v, sent %d times", op.Phase, op.Err(), b.count("StartExportTask"))
		}
	})
}

// RDS says that there is such a task, and nobody can see it.
func TestTakenUnseen(t *testing.T) {
	taken := awssim.Fault{Operation: "StartExportTask", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "ExportTaskAlreadyExists", Message: "m"}}
	bubble(t, func(b *bed) {
		b.world.Inject(taken)
		begin := time.Now()
		op := b.until(b.start(), "never")
		if !errors.Is(op.Err(), backup.ErrConflict) || time.Since(begin) < 18*time.Minute || b.count("StartExportTask") != 3 || len(op.Made) != 2 {
			b.Errorf("after %v: %s %v %v", time.Since(begin), op.Phase, op.Err(), op.Made)
		}
	})
	// It was another one that has ended since.
	bubble(t, func(b *bed) {
		once := taken
		once.Times = 1
		b.world.Inject(once)
		op := b.until(b.start(), "never")
		if op.Err() != nil || b.count("StartExportTask") != 2 {
			b.Errorf("%s %v, sent %d times", op.Phase, op.Err(), b.count("StartExportTask"))
		}
	})
	// It is another one, of the same snapshot, that began between the look and the call.
	bubble(t, func(b *bed) {
		op := b.until(b.start(), "send")
		b.export("theirs", "nightly")
		op = b.until(op, "never")
		b.ok(op.Err())
		if n := b.count("StartExportTask"); n != 3 {
			b.Errorf("sent %d times", n)
		}
	})
}

// export has somebody else export a snapshot.
func (b *bed) export(id, snapshot string) {
	b.Helper()
	_, err := b.api.StartExportTask(b.ctx, &awsrds.StartExportTaskInput{ExportTaskIdentifier: &id, SourceArn: aws.String("arn:aws:rds:eu-west-1:111122223333:snapshot:" + snapshot),
		S3BucketName: aws.String(bucket), IamRoleArn: aws.String(role), KmsKeyId: &b.key})
	b.ok(err)
}

// While it is not known what became of a call, looks that are refused end nothing: rights can come back.
func TestInFlightIsNotGivenUp(t *testing.T) {
	for _, read := range []string{"DescribeExportTasks", "ListObjectsV2"} {
		for _, code := range []string{"AccessDenied", "InvalidParameterValue"} {
			t.Run(read+" "+code, func(t *testing.T) {
				bubble(t, func(b *bed) {
					op := b.lost(b.start(), awssim.FaultLostReply)
					hit := b.world.Inject(awssim.Fault{Operation: read, Kind: awssim.FaultError, Times: 3, Error: awssim.Error{Status: 403, Code: code, Message: "m"}})
					op = b.until(op, "never")
					b.ok(op.Err())
					if hit.Fired() != 3 || b.count("StartExportTask") != 1 {
						b.Errorf("fired %d times, sent %d times", hit.Fired(), b.count("StartExportTask"))
					}
				})
			})
		}
	}
	// What has not begun is ended.
	for _, read := range []string{"DescribeDBSnapshots", "DescribeExportTasks", "ListObjectsV2"} {
		bubble(t, func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: read, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "m"}})
			if op := b.until(b.start(), "never"); !errors.Is(op.Err(), backup.ErrDenied) || backup.HintOf(op.Err()) == "" {
				b.Errorf("%s: %v", read, op.Err())
			}
		})
	}
}

// Credentials of another account see another world, in which nothing is ours.
func TestWrongAccount(t *testing.T) {
	bubble(t, func(b *bed) {
		op := b.lost(b.start(), awssim.FaultLostReply)
		wrong := rdsexport.NewFromConfig(b.world.Config(foreign, region), func(s *rdsexport.Settings) { s.Account = account })
		other := awsrds.NewFromConfig(b.world.Config(foreign, region))
		b.db.SeedInstances(b.world, foreign, region, "orders", 1, nil)
		_, err := other.CreateDBSnapshot(b.ctx, &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: aws.String("orders-00001"), DBSnapshotIdentifier: aws.String("nightly")})
		b.ok(err)
		fresh, err := b.s.Start(b.ctx, b.point, backup.Spec{Token: "other", Options: b.options()})
		b.ok(err)
		if fresh, err = wrong.Step(b.ctx, fresh); err != nil || !errors.Is(fresh.Err(), backup.ErrInvalid) {
			b.Errorf("with credentials of another account: %s %v, %v", fresh.Phase, fresh.Err(), err)
		}
		b.ok(b.until(op, "never").Err())
	})
}

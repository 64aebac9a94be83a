package rdsexport_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// mark is the key of the file that describes the only export that there is.
func (b *bed) mark() string {
	b.Helper()
	id := b.task().ID
	return "rds/daily/" + id + "/export_info_" + id + ".json"
}

func (b *bed) write(key, text string) {
	b.Helper()
	_, err := b.s3.PutObject(b.ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: bytes.NewReader([]byte(text))})
	b.ok(err)
}

// A file without content describes no export. It is waited for as a missing one is, and no longer.
func TestEmptyMark(t *testing.T) {
	for name, later := range map[string]bool{"written later": true, "left empty": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				op := b.until(b.start(), "list")
				b.write(b.mark(), "")
				op, err := b.step(op)
				b.ok(err)
				if op.Done() || len(op.Points) > 0 {
					b.Fatalf("an empty file ends it: %s %v", op.Phase, op.Points)
				}
				if later {
					b.write(b.mark(), "{}")
				}
				op = b.until(op, "never")
				if later {
					b.ok(op.Err())
				}
				if !later && (!errors.Is(op.Err(), backup.ErrPartial) || len(op.Points) > 0 || len(op.Made) != 2) {
					b.Errorf("%s %v %v %v", op.Phase, op.Points, op.Made, op.Err())
				}
			})
		})
	}
}

// A file that is older than the work describes another export, unless nothing tells how old the work is. The clocks of the two may differ a little.
func TestOldMark(t *testing.T) {
	for name, c := range map[string]struct {
		older    time.Duration
		unstored bool
		conflict bool
	}{
		"by an hour":                     {time.Hour, false, true},
		"by what clocks differ":          {4 * time.Minute, false, false},
		"by an hour, and nothing stored": {time.Hour, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				op := b.until(b.start(), "list")
				b.write(b.mark(), "{}")
				op.Started, op.Unstored = time.Now().Add(c.older), c.unstored
				op = b.until(op, "never")
				if got := errors.Is(op.Err(), backup.ErrConflict); got != c.conflict || got != (op.Err() != nil) || got != (len(op.Points) == 0) {
					b.Errorf("%s %v %v", op.Phase, op.Points, op.Err())
				}
			})
		})
	}
}

// Without a Store a call that is refused is no proof that none was sent before: a task of an earlier process is still looked for, and is canceled too.
func TestRefusedAfterAnother(t *testing.T) {
	bubble(t, func(b *bed) {
		op := b.until(b.start(), "send")
		b.world.SetLag(2 * time.Minute)
		_, err := b.api.StartExportTask(b.ctx, &awsrds.StartExportTaskInput{ExportTaskIdentifier: aws.String("sw-" + op.ID[3:]), S3BucketName: aws.String(bucket), S3Prefix: aws.String("rds/daily"),
			SourceArn: aws.String("arn:aws:rds:eu-west-1:111122223333:snapshot:nightly"), IamRoleArn: aws.String(role), KmsKeyId: &b.key})
		b.ok(err)
		b.world.Inject(awssim.Fault{Operation: "StartExportTask", Kind: awssim.FaultError, Error: awssim.Error{Code: "ExportTaskLimitReachedFault", Message: "m"}})
		op.Unstored = true
		op, err = b.step(op)
		b.ok(err)
		if op.Stage != "look" || b.count("StartExportTask") != 2 {
			b.Fatalf("in the stage %s, sent %d times", op.Stage, b.count("StartExportTask"))
		}
		op, err = b.s.Cancel(b.ctx, op)
		b.ok(err)
		op = b.until(op, "never")
		if x := b.task(); !errors.Is(op.Err(), backup.ErrCanceled) || x.Status != "CANCELED" {
			b.Errorf("%v, and the task is %s", op.Err(), x.Status)
		}
	})
}

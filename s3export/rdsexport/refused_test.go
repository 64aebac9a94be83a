package rdsexport_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// Each refusal of AWS ends the work with a code and with words that name what is to be mended; nothing was made.
func TestRefusalsAreExplained(t *testing.T) {
	for code, want := range map[string]struct {
		code backup.Code
		say  []string
	}{
		"InvalidS3BucketFault":           {backup.ErrDenied, []string{role, "arn:aws:s3:::" + bucket, "s3:PutObject*"}},
		"KMSKeyNotAccessibleFault":       {backup.ErrDenied, []string{"kms:CreateGrant", "export.rds.amazonaws.com"}},
		"InvalidExportOnly":              {backup.ErrInvalid, []string{"Options.Only"}},
		"DBSnapshotNotFound":             {backup.ErrNotFound, []string{"identifier"}},
		"DBClusterSnapshotNotFoundFault": {backup.ErrNotFound, nil},
		"DBClusterNotFoundFault":         {backup.ErrNotFound, nil},
		"InvalidParameterValue":          {backup.ErrInvalid, []string{"parameter"}},
		"AccessDenied":                   {backup.ErrDenied, []string{"policy"}},
		"SomethingNew":                   {backup.ErrFailed, nil},
	} {
		bubble(t, func(b *bed) {
			b.world.Inject(awssim.Fault{Operation: "StartExportTask", Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "m"}})
			op := b.until(b.start(), "never")
			hint := backup.HintOf(op.Err())
			if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), want.code) || hint == "" || strings.Contains(hint, "{") || len(op.Made)+len(op.Points) > 0 {
				b.Errorf("%s: %s %v, made %v", code, op.Phase, op.Err(), op.Made)
			}
			for _, w := range want.say {
				if !strings.Contains(hint, w) {
					b.Errorf("%s: the hint does not name %s: %s", code, w, hint)
				}
			}
		})
	}
}

// A task that fails ends the work with its cause, its place and a finding; mended, another export passes.
func TestFailuresAreExplained(t *testing.T) {
	bubble(t, func(b *bed) {
		b.db.FailExports(b.world, "The IAM role ["+role+"] isn't authorized to call [s3:PutObject] on the S3 bucket [my-exports]. Review your permissions and retry the export.")
		op := b.run(b.start())
		if op.Phase != backup.PhaseFailed || !errors.Is(op.Err(), backup.ErrDenied) || !strings.Contains(op.Failure.Message, "[s3:PutObject]") ||
			!strings.Contains(backup.HintOf(op.Err()), role) || !slices.Equal(b.ids(op), []string{"rdsexport.role-rights"}) || len(op.Made) != 2 || len(op.Points) != 0 {
			b.Errorf("%s %v %v %v", op.Phase, op.Made, op.Findings, op.Err())
		}
		var files []string
		for f, err := range b.s.Files(b.ctx, op.Made[1]) {
			b.ok(err)
			files = append(files, f.Key)
		}
		if len(files) != 2 {
			b.Errorf("left are %v", files)
		}
		b.db.FailExports(b.world, "")
		op, err := b.s.Start(b.ctx, b.point, backup.Spec{Token: "again", Options: b.options()})
		b.ok(err)
		b.ok(b.run(op).Err())
	})
	// RDS is known to give no cause at times.
	bubble(t, func(b *bed) {
		b.db.FailExports(b.world, " ")
		if op := b.run(b.start()); !errors.Is(op.Err(), backup.ErrFailed) || backup.HintOf(op.Err()) == "" {
			b.Error(op.Err())
		}
	})
}

func TestKeyThatCanNotBeUsed(t *testing.T) {
	bubble(t, func(b *bed) {
		_, err := b.kms.DisableKey(b.ctx, &awskms.DisableKeyInput{KeyId: &b.key})
		b.ok(err)
		op := b.run(b.start())
		if !errors.Is(op.Err(), backup.ErrDenied) || !strings.Contains(backup.HintOf(op.Err()), b.key) {
			b.Error(op.Err())
		}
	})
}

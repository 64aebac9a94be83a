package rdsexport_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

// TestCancel cancels an export in each of the states in which it may be.
func TestCancel(t *testing.T) {
	at := func(stage string) func(b *bed) backup.Operation {
		return func(b *bed) backup.Operation { return b.until(b.start(), stage) }
	}
	for name, c := range map[string]struct {
		to    func(b *bed) backup.Operation
		fault *awssim.Fault // put in before the Cancel
		sent  int           // how often CancelExportTask is sent
		made  bool
		after backup.Phase
	}{
		"not begun": {at("look"), nil, 0, false, backup.PhaseCanceled},
		"armed":     {at("send"), nil, 0, false, backup.PhaseCanceled},
		"armed, without a Store": {func(b *bed) backup.Operation {
			op := b.until(b.start(), "send")
			op.Unstored = true
			return op
		}, nil, 0, false, backup.PhaseCanceled},
		"perhaps sent, and it was":     {func(b *bed) backup.Operation { return b.lost(b.start(), awssim.FaultLostReply) }, nil, 1, true, backup.PhaseCanceled},
		"perhaps sent, and it was not": {func(b *bed) backup.Operation { return b.lost(b.start(), awssim.FaultServerError) }, nil, 0, false, backup.PhaseCanceled},
		"settling":                     {func(b *bed) backup.Operation { return b.until(b.lost(b.start(), awssim.FaultServerError), "settle") }, nil, 0, false, backup.PhaseCanceled},
		"looking again": {func(b *bed) backup.Operation {
			op := b.until(b.lost(b.start(), awssim.FaultServerError), "settle")
			return b.until(op, "look")
		}, nil, 0, false, backup.PhaseCanceled},
		"at work":                {at("wait"), nil, 1, true, backup.PhaseCanceled},
		"the answer is lost":     {at("wait"), &awssim.Fault{Operation: "CancelExportTask", Kind: awssim.FaultLostReply}, 2, true, backup.PhaseCanceled},
		"the answer is an error": {at("wait"), &awssim.Fault{Operation: "CancelExportTask", Kind: awssim.FaultServerError}, 2, true, backup.PhaseCanceled},
		"it is throttled":        {at("wait"), &awssim.Fault{Operation: "CancelExportTask", Kind: awssim.FaultThrottle, Times: 4}, 5, true, backup.PhaseCanceled},
		"old answers":            {at("wait"), &awssim.Fault{Operation: "DescribeExportTasks", Kind: awssim.FaultStale, Times: 3}, 3, true, backup.PhaseCanceled},
		"it may not": {at("wait"), &awssim.Fault{Operation: "CancelExportTask", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "m"}},
			1, false, backup.PhaseSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				op := c.to(b)
				time.Sleep(3 * time.Minute)
				if c.fault != nil {
					b.world.Inject(*c.fault)
				}
				calls := len(b.world.Calls())
				next, err := b.s.Cancel(b.ctx, op)
				b.ok(err)
				again, err := b.s.Cancel(b.ctx, next)
				if d := cmp.Diff(next, again); err != nil || d != "" {
					b.Error(err, d)
				}
				if len(b.world.Calls()) != calls {
					b.Error("Cancel made a call")
				}
				next = b.until(next, "never")
				if next.Phase != c.after || len(next.Made) > 0 != c.made || b.count("CancelExportTask") != c.sent {
					b.Errorf("%s %v, made %v, sent %d times", next.Phase, next.Err(), next.Made, b.count("CancelExportTask"))
				}
				if c.after == backup.PhaseCanceled && !errors.Is(next.Err(), backup.ErrCanceled) {
					b.Error(next.Err())
				}
				if c.after == backup.PhaseSucceeded && !slices.Equal(b.ids(next), []string{"rdsexport.not-canceled"}) {
					b.Error(next.Findings)
				}
				for _, x := range b.db.Exports(b.world, account, region) {
					if c.after == backup.PhaseCanceled && x.Status != "CANCELED" {
						b.Errorf("the task is %s", x.Status)
					}
				}
			})
		})
	}
}

// What is complete before it can be canceled ends as it would have.
func TestCancelTooLate(t *testing.T) {
	bubble(t, func(b *bed) {
		op := b.until(b.start(), "wait")
		op, err := b.s.Cancel(b.ctx, op)
		b.ok(err)
		op = b.until(op, "cancel")
		time.Sleep(30 * time.Hour)
		if op = b.until(op, "never"); op.Phase != backup.PhaseSucceeded || len(op.Points) != 1 {
			b.Errorf("%s %v", op.Phase, op.Err())
		}
	})
	bubble(t, func(b *bed) {
		for _, op := range []backup.Operation{b.until(b.start(), "list"), b.run(b.start())} {
			got, err := b.s.Cancel(b.ctx, op)
			if d := cmp.Diff(op, got); !errors.Is(err, backup.ErrUnsupported) || backup.HintOf(err) == "" || d != "" {
				b.Errorf("in stage %s: %v %s", op.Stage, err, d)
			}
		}
	})
}

func TestProvider(t *testing.T) {
	bubble(t, func(b *bed) {
		op := b.start()
		for name, p := range map[string]rdsexport.Provider{
			"an error": func(context.Context, string, string) (rdsexport.Clients, error) {
				return rdsexport.Clients{}, errors.New("no role")
			},
			"nothing": func(context.Context, string, string) (rdsexport.Clients, error) { return rdsexport.Clients{}, nil },
		} {
			s := rdsexport.New(p)
			if _, err := s.Step(b.ctx, op); !errors.Is(err, backup.ErrInvalid) {
				b.Errorf("%s: %v", name, err)
			}
			for _, err := range s.Files(b.ctx, b.ref(rdsexport.TypeExport, bucket+"/x")) {
				if !errors.Is(err, backup.ErrInvalid) {
					b.Errorf("%s: %v", name, err)
				}
			}
		}
		far := b.point
		far.Region = "eu-west-2"
		o := b.options()
		o.KeyARN = "arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
		if _, err := b.s.Start(b.ctx, far, backup.Spec{Token: "t", Options: o}); !errors.Is(err, backup.ErrInvalid) {
			b.Errorf("another Region: %v", err)
		}
		theirs := rdsexport.NewFromConfig(b.world.Config(foreign, region))
		if _, err := theirs.Step(b.ctx, op); !errors.Is(err, backup.ErrInvalid) {
			b.Errorf("another account: %v", err)
		}
	})
}

// What this release can not carry on is refused, and nothing is called for it.
func TestOperationsThatAreRefused(t *testing.T) {
	bubble(t, func(b *bed) {
		good := b.start()
		calls := len(b.world.Calls())
		for name, c := range map[string]struct {
			change func(op *backup.Operation)
			code   backup.Code
		}{
			"a stage":   {func(op *backup.Operation) { op.Stage = "dance" }, backup.ErrInvalid},
			"the state": {func(op *backup.Operation) { op.State = []byte(`{"b":1}`) }, backup.ErrInvalid},
			"a kind":    {func(op *backup.Operation) { op.Kind = "rds" }, backup.ErrInvalid},
		} {
			op := good
			c.change(&op)
			got, err := b.s.Step(b.ctx, op)
			if d := cmp.Diff(op, got); !errors.Is(err, c.code) || d != "" {
				b.Errorf("Step with another %s: %v %s", name, err, d)
			}
			if name == "a stage" {
				continue
			}
			if _, err := b.s.Cancel(b.ctx, op); !errors.Is(err, c.code) {
				b.Errorf("Cancel with another %s: %v", name, err)
			}
		}
		other, err := backup.NewOperation(rdsexport.Kind, backup.ActionBackup, b.point, backup.Spec{Token: "t"})
		b.ok(err)
		if _, err := b.s.Step(b.ctx, other); !errors.Is(err, backup.ErrUnsupported) {
			b.Error(err)
		}
		if _, err := b.s.Cancel(b.ctx, other); !errors.Is(err, backup.ErrUnsupported) {
			b.Error(err)
		}
		done := good
		done.Succeed()
		if got, err := b.s.Step(b.ctx, done); err != nil || got.Phase != backup.PhaseSucceeded {
			b.Errorf("a finished operation: %v %v", got.Phase, err)
		}
		// A Step that may not send does not.
		armed := b.until(good, "send")
		armed.Attempt = 0
		if got, err := b.s.Step(b.ctx, armed); err != nil || got.Stage != "send" || b.count("StartExportTask") != 0 {
			b.Errorf("%s %v", got.Stage, err)
		}
		if calls != len(b.world.Calls())-3 { // the look's
			b.Errorf("%d calls", len(b.world.Calls())-calls)
		}
	})
}

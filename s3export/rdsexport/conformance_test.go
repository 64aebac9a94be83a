package rdsexport_test

import (
	"context"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/rds"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

// asBackup shows the conformance suite, which knows backups, an export as one. On the outside Operations have another action, and with it another
// ID; they carry tags, which an export has no use for; and what may be there is a recovery point from the beginning, because a backup makes nothing
// else.
type asBackup struct {
	*rdsexport.Strategy
	tasks *taskNames
}

// taskNames tells which export task an outer ID belongs to.
type taskNames struct {
	mu sync.Mutex
	m  map[string]string
}

// backupOptions are the options of an export as those of a backup.
type backupOptions struct{ rdsexport.Options }

func (backupOptions) OptionsFor() (string, backup.Action) { return rdsexport.Kind, backup.ActionBackup }

// turn gives an Operation another action, and the ID that belongs to it.
func turn(op backup.Operation, to backup.Action) backup.Operation {
	other, err := backup.NewOperation(op.Kind, to, op.Ref, backup.Spec{Token: op.Token})
	if err == nil {
		op.Action, op.ID = to, other.ID
	}
	return op
}

func (a asBackup) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	outside, err := backup.NewOperation(rdsexport.Kind, backup.ActionBackup, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	spec.Tags = nil
	if o, ok := spec.Options.(backupOptions); ok {
		spec.Options = o.Options
	}
	op, err := a.Strategy.Start(ctx, r, spec)
	if err != nil {
		return op, err
	}
	outer := turn(op, backup.ActionBackup)
	outer.Tags = outside.Tags
	a.tasks.mu.Lock()
	a.tasks.m[outer.ID] = "sw-" + strings.TrimPrefix(op.ID, "op-")
	a.tasks.mu.Unlock()
	return outer, nil
}

func (a asBackup) inside(op backup.Operation, f func(backup.Operation) (backup.Operation, error)) (backup.Operation, error) {
	if err := op.Check(rdsexport.Kind); err != nil {
		return op, err
	}
	if op.Action != backup.ActionBackup {
		return op, &backup.Error{Code: backup.ErrUnsupported}
	}
	in := turn(op, backup.ActionExport)
	if !in.Done() && len(in.Points) > 0 {
		task, files := in.Points[0], in.Points[0]
		task.Type, task.ID, files.Type = rdsexport.TypeTask, path.Base(task.ID), rdsexport.TypeFiles
		in.Points, in.Made = nil, backup.Refs{task, files}
	}
	next, err := f(in)
	if len(next.Made) > 0 {
		point := next.Made[len(next.Made)-1]
		point.Type = rdsexport.TypeExport
		next.Points, next.Made = backup.Refs{point}, nil
	}
	return turn(next, backup.ActionBackup), err
}

func (a asBackup) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	return a.inside(op, func(op backup.Operation) (backup.Operation, error) { return a.Strategy.Step(ctx, op) })
}

func (a asBackup) Cancel(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	return a.inside(op, func(op backup.Operation) (backup.Operation, error) { return a.Strategy.Cancel(ctx, op) })
}

func (a asBackup) Preflight(ctx context.Context, op backup.Operation) (found []backup.Finding, err error) {
	_, err = a.inside(op, func(op backup.Operation) (backup.Operation, error) {
		found, err = a.Strategy.Preflight(ctx, op)
		return op, err
	})
	return found, err
}

// conformance makes a Subject over a simulated AWS in which what is new stays invisible for lag.
func conformance(lag time.Duration) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBed(t)
		b.world.SetLag(lag)
		b.world.SetPageLimit(2)
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
			for _, operation := range []string{"StartExportTask", "CancelExportTask"} {
				b.world.Inject(awssim.Fault{Operation: operation, Kind: kind, Do: b.world.Heal})
			}
		}
		names := &taskNames{m: map[string]string{}}
		open := func() backup.Strategy {
			return asBackup{rdsexport.NewFromConfig(b.world.Config(account, region)), names}
		}
		elsewhere, others := b.point, b.point
		elsewhere.Region, others.Account = "eu-central-1", foreign
		good := b.options()
		bad := func(f func(o *rdsexport.Options)) backup.Spec {
			o := good
			f(&o)
			return backup.Spec{Options: backupOptions{o}}
		}
		return &backuptest.Subject{
			Strategy:  open(),
			Restart:   open,
			Resource:  b.point,
			Missing:   rds.Snapshot(account, region, "no-such-snapshot"),
			Malformed: []backup.Ref{rds.Snapshot(account, region, "0rders"), rds.Snapshot(account, region, "or--ders"), rds.Instance(account, region, "orders")},
			Unserved:  []backup.Ref{elsewhere, others},
			Spec:      func(backup.Action, string) backup.Spec { return backup.Spec{Options: backupOptions{good}} },
			BadSpecs: map[backup.Action][]backup.Spec{backup.ActionBackup: {{}, bad(func(o *rdsexport.Options) { o.Bucket = "" }),
				bad(func(o *rdsexport.Options) { o.RoleARN = "" }), bad(func(o *rdsexport.Options) { o.KeyARN = "" })}},
			Count: func(id string) (n int) {
				names.mu.Lock()
				defer names.mu.Unlock()
				for _, x := range b.db.Exports(b.world, account, region) {
					if x.ID == names.m[id] && x.Status != "CANCELED" && x.Status != "CANCELING" {
						n++
					}
				}
				return n
			},
			Exists: func(r backup.Ref) bool {
				for _, x := range b.db.Exports(b.world, account, region) {
					if r.Type == rdsexport.TypeExport && r.ID == bucket+"/rds/daily/"+x.ID {
						return x.Status == "COMPLETE"
					}
				}
				return r == b.point
			},
			Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
			LoseReply: func() { fault(awssim.FaultLostReply) },
			DieAfter:  func() { fault(awssim.FaultDieAfter) },
			FailLater: func() { fault(awssim.FaultAsync) },
		}
	}
}

func TestConformance(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(0)})
}

// What is new stays invisible for two minutes here.
func TestConformanceLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(2 * time.Minute)})
}

package emulator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
)

// strategy is all that a strategy of this project can do.
type strategy interface {
	backup.Strategy
	backup.Preflighter
	backup.Discoverer
	backup.Lister
	backup.Restorer
	backup.Deleter
}

// kit is what the life of a recovery point needs to know of a service.
type kit struct {
	strategy func(cfg aws.Config) strategy
	// source carries the tag team=orders, and missing is like it but does not exist.
	source, missing backup.Ref
	// discovered are all resources with that tag.
	discovered []backup.Ref
	// resources and points are the types that are looked for; empty means all.
	resources, points []string
	// service, create and restore name the calls that make something.
	service, create, restore string
	options                  backup.Options
	// preflight are the ids of the findings of a backup and of a restore.
	preflight, preflightRestore []string
	// count gives how many snapshots there are, ours or not.
	count func() int
	// endless tells that a restore can not succeed in this world, and will end at its deadline.
	endless bool
	// members is how many snapshots one recovery point has.
	members int
	// point and restored look at what is particular to the service.
	point    func(p backup.RecoveryPoint)
	restored func(op backup.Operation)
}

var tags = map[string]string{"team": "orders"}

// process is a program that was started: a new strategy, new clients, a new Store on the same folder.
type process struct {
	runner   *backup.Runner
	strategy strategy
	// stop is called at each step that could not learn the state.
	stop context.CancelFunc
	ctx  context.Context
}

func (w *world) process(k kit, dir string) *process {
	w.t.Helper()
	store, err := backup.OpenFileStore(dir)
	w.must("OpenFileStore", err)
	p := &process{strategy: k.strategy(w.config())}
	p.ctx, p.stop = context.WithCancel(w.ctx)
	p.runner, err = backup.NewRunner([]backup.Strategy{p.strategy}, func(o *backup.RunnerOptions) {
		o.Store = store
		o.Observer = backup.ObserverFunc(func(_ context.Context, e backup.Event) {
			if e.Type == backup.EventStepFailed {
				p.stop()
			}
		})
	})
	w.must("NewRunner", err)
	return p
}

// interrupted starts an Operation in a process that ends when the answer of its create call is lost, and gives what a second process makes of it.
func (w *world) interrupted(k kit, dir, operation string, start func(s strategy) (backup.Operation, error)) backup.Operation {
	w.t.Helper()
	lost := w.loseReply(k.service, operation)
	first := w.process(k, dir)
	op, err := start(first.strategy)
	w.must("start", err)
	op, err = first.runner.Run(first.ctx, op)
	if lost() != 1 || first.ctx.Err() == nil || op.Done() {
		w.t.Fatalf("%s: %d answers were lost, phase %s, %v", operation, lost(), op.Phase, err)
	}
	second := w.process(k, dir)
	op, err = start(second.strategy)
	w.must("start again", err)
	op, err = second.runner.Run(w.ctx, op)
	if err != nil || op.Phase != backup.PhaseSucceeded {
		w.t.Fatalf("%s, gone on with: phase %s, stage %s, state %s, findings %+v: %v", operation, op.Phase, op.Stage, op.State, op.Findings, err)
	}
	again, err := start(second.strategy)
	w.must("start once more", err)
	if again, err = second.runner.Run(w.ctx, again); err != nil || again.ID != op.ID {
		w.t.Errorf("%s, started once more: %s, %v, wanted %s", operation, again.ID, err, op.ID)
	}
	return op
}

// life takes a recovery point from its making to its end.
func (w *world) life(k kit) {
	t, ctx := w.t, w.ctx
	t.Helper()
	dir := t.TempDir()
	s := k.strategy(w.config())
	query := backup.Query{Account: w.account, Region: region, Types: k.points}

	// Discover.
	q := query
	q.Tags, q.Types = tags, k.resources
	found := []backup.Ref{}
	for r, err := range s.Discover(ctx, q) {
		w.must("Discover", err)
		if r.Tags["team"] != "orders" {
			t.Errorf("%s was discovered with the tags %v", r.Ref, r.Tags)
		}
		found = append(found, r.Ref)
	}
	if d := cmp.Diff(sorted(k.discovered), sorted(found)); d != "" {
		t.Errorf("Discover (-want +got):\n%s", d)
	}

	// Preflight and back up.
	spec := backup.Spec{Token: "tonight", Tags: tags}
	op, err := s.Start(ctx, k.source, spec)
	w.must("Start", err)
	w.findings(s, op, k.preflight)
	before := k.count()
	op = w.interrupted(k, dir, k.create, func(s strategy) (backup.Operation, error) { return s.Start(ctx, k.source, spec) })
	if len(op.Points) != 1 {
		t.Fatalf("the backup made %v", op.Points)
	}
	if n := k.count() - before; n != k.members {
		t.Errorf("%d snapshots were made, wanted %d", n, k.members)
	}

	// List: all, of the source, this one, by tag.
	bySource, byPoint, byTag := query, query, query
	bySource.Source, byPoint.Point, byTag.Tags = k.source, op.Points[0], map[string]string{backup.TagToken: op.ID}
	for name, q := range map[string]backup.Query{"source": bySource, "point": byPoint, "tag": byTag} {
		p := w.only(s, q, "by "+name)
		if p.Ref != op.Points[0] || p.Source != k.source || p.Status != backup.StatusAvailable || p.Tags[backup.TagToken] != op.ID || p.Tags["team"] != "orders" ||
			p.Tags[backup.TagOwner] != backup.DefaultOwner || p.Automated {
			t.Errorf("listed by %s: %+v", name, p)
		}
		k.point(p)
	}

	// Restore.
	point := op.Points[0]
	restore := func(s strategy) (backup.Operation, error) {
		return s.StartRestore(ctx, point, backup.Spec{Token: "drill", Options: k.options, Tags: tags})
	}
	op, err = restore(s)
	w.must("StartRestore", err)
	w.findings(s, op, k.preflightRestore)
	if k.endless {
		op, err = s.StartRestore(ctx, point, backup.Spec{Token: "endless", Options: k.options, Tags: tags, Timeout: time.Second})
		w.must("StartRestore", err)
		op, err = w.process(k, dir).runner.Run(ctx, op)
		if !errors.Is(err, backup.ErrUnavailable) || op.Phase != backup.PhaseFailed {
			t.Errorf("the endless restore ended in phase %s, %v", op.Phase, err)
		}
	} else {
		op = w.interrupted(k, dir, k.restore, restore)
	}
	k.restored(op)

	// Delete: not for another owner, then really, then there is nothing to delete.
	w.fails(k, dir, backup.ErrConflict, func(s strategy) (backup.Operation, error) {
		return s.StartDelete(ctx, point, backup.Spec{Token: "not mine", Owner: "somebody-else"})
	})
	if n := k.count() - before; n != k.members {
		t.Errorf("%d snapshots are left after the refused deletion", n)
	}
	op, err = s.StartDelete(ctx, point, backup.Spec{Token: "old"})
	w.must("StartDelete", err)
	w.findings(s, op, nil)
	if op, err = w.process(k, dir).runner.Run(ctx, op); err != nil {
		t.Fatalf("deleting: phase %s, %v", op.Phase, err)
	}
	if n := k.count() - before; n != 0 {
		t.Errorf("%d snapshots are left after the deletion", n)
	}
	if all := w.list(s, bySource, "after the deletion"); len(all) > 0 {
		t.Errorf("listed after the deletion: %+v", all)
	}
	w.fails(k, dir, backup.ErrNotFound, func(s strategy) (backup.Operation, error) {
		return s.StartDelete(ctx, point, backup.Spec{Token: "old, again"})
	})

	// What does not exist.
	w.fails(k, dir, backup.ErrNotFound, func(s strategy) (backup.Operation, error) { return s.Start(ctx, k.missing, spec) })
}

// list gives the recovery points of a listing.
func (w *world) list(s strategy, q backup.Query, what string) []backup.RecoveryPoint {
	w.t.Helper()
	var all []backup.RecoveryPoint
	for p, err := range s.List(w.ctx, q) {
		w.must("List "+what, err)
		if !p.Automated || !w.differs("rds-retention") {
			all = append(all, p)
		}
	}
	return all
}

// only gives the one recovery point of a listing.
func (w *world) only(s strategy, q backup.Query, what string) backup.RecoveryPoint {
	w.t.Helper()
	all := w.list(s, q, what)
	if len(all) != 1 {
		w.t.Fatalf("List %s gave %d recovery points: %+v", what, len(all), all)
	}
	return all[0]
}

// findings compares the ids of what Preflight finds.
func (w *world) findings(s strategy, op backup.Operation, want []string) {
	w.t.Helper()
	found, err := s.Preflight(w.ctx, op)
	w.must("Preflight", err)
	got := []string{}
	for _, f := range found {
		got = append(got, f.ID)
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("Preflight of %s found %v, wanted %v: %+v", op.Action, got, want, found)
	}
}

// fails runs an Operation that must end with an error of the given code.
func (w *world) fails(k kit, dir string, code backup.Code, start func(s strategy) (backup.Operation, error)) {
	w.t.Helper()
	p := w.process(k, dir)
	op, err := start(p.strategy)
	w.must("start", err)
	if op, err = p.runner.Run(w.ctx, op); !errors.Is(err, code) || op.Phase == backup.PhaseSucceeded {
		w.t.Errorf("%s of %s: phase %s, %v, wanted %q", op.Action, op.Ref, op.Phase, err, code)
	}
}

func sorted(rs []backup.Ref) []backup.Ref {
	rs = slices.Clone(rs)
	slices.SortFunc(rs, func(a, b backup.Ref) int { return strings.Compare(a.String(), b.String()) })
	return rs
}

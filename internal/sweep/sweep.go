// Package sweep puts every fault at the first and the last call of each operation of a workflow, and at the calls of the Store, and checks, in
// virtual time, that nothing is made twice, lost, or reported as what it is not. It is for tests of the strategies.
package sweep

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// Workflow is one thing that a strategy does, from Start to its end.
type Workflow struct {
	// Name is printed: "ebs-backup-set".
	Name string
	// Setup makes a world with what the workflow needs. It is called inside the bubble of each run, before any fault.
	Setup func(t testing.TB, ctx context.Context) Subject
}

// Subject is a workflow in its world.
type Subject struct {
	World           *awssim.World
	Account, Region string
	// Strategy makes the strategy of a new process, with that process's credentials.
	Strategy func(cfg aws.Config) backup.Strategy
	// Start starts the workflow's Operation. It is called by every process, and must always mean the same work.
	Start func(ctx context.Context, s backup.Strategy) (backup.Operation, error)
	// AtEnd says what is wrong at the moment at which the Operation ended: a success that the service does not confirm, a set that is
	// silently short, a thing more exposed than asked for.
	AtEnd func(op backup.Operation) []string
	// Quiet says what is wrong when everything has become visible: more than one of a thing, or one that the Operation does not list.
	Quiet func(op backup.Operation) []string
	// MayFail tells whether the Operation may end without success under a fault that makes what AWS made fail later.
	MayFail bool
}

// Lags are the visibility lags that every point is tried with.
var lags = [...]time.Duration{0, 45 * time.Second, 4 * time.Minute}

// variant is how many there are who do the work.
type variant string

const (
	alone        variant = "alone"
	secondRunner variant = "second-runner"
	twice        variant = "delivered-twice"
)

// point is a place for a fault: an operation of AWS and which of its calls.
type point struct {
	service, operation string
	skip               int
	mutates            bool
}

// kinds are the faults by whether the call changes something.
func kinds(mutates bool) []awssim.Fault {
	all := []awssim.Fault{
		{Kind: awssim.FaultDieBefore}, {Kind: awssim.FaultDieAfter}, {Kind: awssim.FaultUnreachable}, {Kind: awssim.FaultLostReply},
		{Kind: awssim.FaultServerError}, {Kind: awssim.FaultServerErrorApplied}, {Kind: awssim.FaultThrottle},
		{Kind: awssim.FaultThrottle, For: 10 * time.Minute}, {Kind: awssim.FaultHang}, {Kind: awssim.FaultCancel}, {Kind: awssim.FaultExpired},
		{Kind: awssim.FaultGarbage},
	}
	if mutates {
		return append(all, awssim.Fault{Kind: awssim.FaultAsync})
	}
	return append(all, awssim.Fault{Kind: awssim.FaultStale, Back: 2 * time.Minute}, awssim.Fault{Kind: awssim.FaultBlind, Back: 4 * time.Minute})
}

// earlySaves is how many of the first calls of each kind to the store are hit; the last is hit too.
const earlySaves = 8

// storeKinds are the faults of the store.
var storeKinds = [...]string{"die-before", "die-after", "error-before", "error-after"}

// Result is what a sweep found.
type Result struct {
	Points, Runs, Fired, Unfired int
	Violations                   []string
	tried                        int
}

// run is one experiment.
type run struct {
	w       Workflow
	faults  []awssim.Fault
	store   *storeFault
	lag     time.Duration
	variant variant
}

func (r run) String() string {
	s := r.w.Name
	for _, f := range r.faults {
		storm := ""
		if f.For > 0 {
			storm = "-storm"
		}
		s += fmt.Sprintf(" %s%s@%s.%s+%d", f.Kind, storm, f.Service, f.Operation, f.Skip)
	}
	if r.store != nil {
		s += fmt.Sprintf(" %s@store.%s+%d", r.store.kind, r.store.op, r.store.skip)
	}
	return fmt.Sprintf("%s lag=%v %s", s, r.lag, r.variant)
}

// outcome is what an experiment gave.
type outcome struct {
	op         backup.Operation
	fired      []int
	calls      []awssim.Call
	storeCalls map[string]int
	violations []string
	hash       [32]byte
}

// Singles puts every single fault at the first and the last call of every operation of the workflow, with every lag, alone, with a second
// runner and delivered twice; and every fault of the store at its first eight calls of each kind and the last. It prints one line.
func Singles(t *testing.T, w Workflow) Result {
	t.Helper()
	var res Result
	seen := map[point]bool{}
	for _, lag := range lags {
		clean := perform(t, run{w: w, lag: lag, variant: alone})
		res.add(run{w: w, lag: lag, variant: alone}, clean, false)
		for _, p := range points(clean.calls) {
			if !seen[point{p.service, p.operation, min(p.skip, 1), p.mutates}] {
				seen[point{p.service, p.operation, min(p.skip, 1), p.mutates}] = true
				res.Points++
			}
			for _, f := range kinds(p.mutates) {
				f.Service, f.Operation, f.Skip = p.service, p.operation, p.skip
				for _, v := range [...]variant{alone, secondRunner, twice} {
					res.try(t, run{w: w, faults: []awssim.Fault{f}, lag: lag, variant: v})
				}
			}
		}
		// The first calls of the store and the last: the intents and what was learnt from the calls to AWS come early, and later saves
		// tell of progress only.
		for _, op := range slices.Sorted(maps.Keys(clean.storeCalls)) {
			for skip := range clean.storeCalls[op] {
				if skip >= earlySaves && skip != clean.storeCalls[op]-1 {
					continue
				}
				if lag == 0 {
					res.Points++
				}
				for _, k := range storeKinds {
					res.try(t, run{w: w, store: &storeFault{op: op, skip: skip, kind: k}, lag: lag, variant: alone})
				}
			}
		}
	}
	res.report(t, w.Name)
	return res
}

// Control is Singles without the points that only read and without the store: for a workflow that is known to be wrong, to see that it is
// found.
func Control(t *testing.T, w Workflow) Result {
	t.Helper()
	var res Result
	for _, lag := range lags {
		clean := perform(t, run{w: w, lag: lag, variant: alone})
		res.add(run{w: w, lag: lag, variant: alone}, clean, false)
		for _, p := range points(clean.calls) {
			if !p.mutates {
				continue
			}
			res.Points++
			for _, f := range kinds(true) {
				f.Service, f.Operation, f.Skip = p.service, p.operation, p.skip
				for _, v := range [...]variant{alone, secondRunner, twice} {
					r := run{w: w, faults: []awssim.Fault{f}, lag: lag, variant: v}
					res.add(r, perform(t, r), true)
				}
			}
		}
	}
	res.report(t, w.Name)
	return res
}

// Pairs puts two faults into one run: every pair of points and kinds, of which one in stride is run.
func Pairs(t *testing.T, w Workflow, stride int) Result {
	t.Helper()
	var res Result
	clean := perform(t, run{w: w, variant: alone})
	var all []awssim.Fault
	ps := points(clean.calls)
	res.Points = len(ps)
	for _, p := range ps {
		for _, f := range kinds(p.mutates) {
			f.Service, f.Operation, f.Skip = p.service, p.operation, p.skip
			all = append(all, f)
		}
	}
	n := 0
	for i, a := range all {
		for _, b := range all[i+1:] {
			if n++; n%stride != 0 {
				continue
			}
			r := run{w: w, faults: []awssim.Fault{a, b}, lag: lags[n%len(lags)], variant: [...]variant{alone, secondRunner, twice}[n/stride%3]}
			res.add(r, perform(t, r), true)
		}
	}
	res.report(t, w.Name+"-pairs")
	return res
}

// Replay runs a few experiments twice and compares their traces.
func Replay(t *testing.T, w Workflow) {
	t.Helper()
	clean := perform(t, run{w: w, variant: alone})
	for _, p := range points(clean.calls) {
		r := run{w: w, faults: []awssim.Fault{{Service: p.service, Operation: p.operation, Skip: p.skip, Kind: awssim.FaultDieAfter}}, lag: 45 * time.Second, variant: alone}
		if a, b := perform(t, r), perform(t, r); a.hash != b.hash {
			t.Errorf("%v: two runs gave two traces", r)
		}
	}
}

// Full is the environment variable that has every experiment performed: SNAPWARDEN_SWEEP=full. Without it one in 5 is, and one in 40 under the race
// detector, which makes the simulated worlds some ten times as slow; the line that a sweep prints says so. Neither shares a factor with the number
// of lags and variants, so that each of them is met.
const Full = "SNAPWARDEN_SWEEP"

func stride() int {
	switch {
	case os.Getenv(Full) == "full":
		return 1
	case underRace:
		return 40
	}
	return 5
}

// try performs an experiment, or one in so many.
func (res *Result) try(t *testing.T, r run) {
	if res.tried++; res.tried%stride() == 0 {
		res.add(r, perform(t, r), true)
	}
}

func (res *Result) add(r run, o outcome, fault bool) {
	res.Runs++
	if fault {
		fired := true
		for _, n := range o.fired {
			fired = fired && n > 0
		}
		if fired {
			res.Fired++
		} else if len(r.faults) < 2 {
			res.Unfired++
			res.Violations = append(res.Violations, r.String()+": the fault did not fire")
		}
	}
	for _, v := range o.violations {
		res.Violations = append(res.Violations, r.String()+": "+v)
	}
}

func (res *Result) report(t testing.TB, name string) {
	t.Helper()
	sampled := ""
	if n := stride(); n > 1 {
		sampled = fmt.Sprintf(" sampled=1/%d", n)
	}
	fmt.Printf("sweep workflow=%s points=%d runs=%d fired=%d violations=%d unfired=%d%s\n", name, res.Points, res.Runs, res.Fired,
		len(res.Violations)-res.Unfired, res.Unfired, sampled)
}

// points gives the first and the last call of each operation.
func points(calls []awssim.Call) []point {
	count := map[string]int{}
	first := map[string]awssim.Call{}
	for _, c := range calls {
		k := c.Service + "." + c.Operation
		if count[k] == 0 {
			first[k] = c
		}
		count[k]++
	}
	var ps []point
	for _, k := range slices.Sorted(maps.Keys(count)) {
		c := first[k]
		ps = append(ps, point{c.Service, c.Operation, 0, c.Mutates})
		if count[k] > 1 {
			ps = append(ps, point{c.Service, c.Operation, count[k] - 1, c.Mutates})
		}
	}
	return ps
}

// perform runs one experiment in a bubble of its own.
func perform(t *testing.T, r run) (o outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		s := r.w.Setup(t, ctx)
		s.World.SetLag(r.lag)
		before := len(s.World.Calls())
		l := &lab{run: r, subject: s, store: newMemory(), keys: map[string]bool{}}
		if r.store != nil {
			f := *r.store
			l.store.fault = &f
		}
		l.watch()
		var injected []*awssim.Injected
		for _, f := range r.faults {
			if f.Kind == awssim.FaultCancel {
				f.Do = l.cancelAll
			}
			injected = append(injected, s.World.Inject(f))
		}
		began := time.Now()
		op := l.work(ctx)
		if d := time.Since(began); d > 30*time.Hour {
			l.violate("took %v", d)
		}
		time.Sleep(15 * time.Minute)
		s.World.Heal()
		if op.Done() {
			for _, v := range s.Quiet(op) {
				l.violate("when quiet: %s", v)
			}
		}
		for _, i := range injected {
			o.fired = append(o.fired, i.Fired())
		}
		if l.store.fault != nil {
			o.fired = append(o.fired, l.store.fault.fired)
		}
		s.World.Watch(nil)
		o.op, o.calls, o.storeCalls = op, s.World.Calls()[before:], l.store.calls
		o.violations = l.violations
		h := sha256.New()
		for _, c := range o.calls {
			fmt.Fprintln(h, c.Time.UnixNano(), c.Service, c.Operation, c.Account, c.Region, c.AccessKey, c.Code, c.Applied)
		}
		copy(o.hash[:], h.Sum(nil))
	})
	return o
}

// lab is one experiment at work.
type lab struct {
	run        run
	subject    Subject
	store      *memory
	mu         sync.Mutex
	cancels    []context.CancelFunc
	keys       map[string]bool
	processes  int
	opID       string
	violations []string
}

func (l *lab) violate(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v := fmt.Sprintf(format, args...); !slices.Contains(l.violations, v) {
		l.violations = append(l.violations, v)
	}
}

// watch checks after every call what must hold at every moment: I2, a call that changes something is made by the run that holds the
// Operation; I11, it goes to the planned account and Region; and the intent of it is stored.
func (l *lab) watch() {
	l.subject.World.Watch(func(c awssim.Call) {
		l.mu.Lock()
		ours, id := l.keys[c.AccessKey], l.opID
		l.mu.Unlock()
		if !ours || !c.Mutates {
			return
		}
		if c.Account != l.subject.Account || c.Region != l.subject.Region {
			l.violate("I11: %s in %s %s", c.Operation, c.Account, c.Region)
		}
		if h := l.store.holder(id); h != c.AccessKey {
			l.violate("I2: %s by %s while %q holds the operation", c.Operation, c.AccessKey, h)
		}
		if op := l.store.stored(id); op.Next == "" || op.Attempt == 0 {
			l.violate("%s was sent while the store knows of no intent: next %q, attempt %d", c.Operation, op.Next, op.Attempt)
		}
	})
}

func (l *lab) cancelAll() {
	l.mu.Lock()
	cs := l.cancels
	l.mu.Unlock()
	for _, c := range cs {
		c()
	}
}

// work has the Operation done by as many as the variant says, and gives it as it ended.
func (l *lab) work(ctx context.Context) backup.Operation {
	n := 1
	if l.run.variant != alone {
		n = 2
	}
	ops := make([]backup.Operation, n)
	var wg sync.WaitGroup
	var shared *process
	if l.run.variant == twice {
		shared = l.newProcess(ctx)
	}
	for i := range n {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * 1500 * time.Millisecond)
			ops[i] = l.supervise(ctx, shared)
		})
	}
	wg.Wait()
	for _, op := range ops[1:] {
		if op.ID != ops[0].ID || op.Phase != ops[0].Phase {
			l.violate("one saw %s and the other %s", ops[0].Phase, op.Phase)
		}
	}
	op := ops[0]
	asynchronous := slices.ContainsFunc(l.run.faults, func(f awssim.Fault) bool { return f.Kind == awssim.FaultAsync })
	switch {
	case !op.Done():
		l.violate("I19: not ended, in phase %s, stage %s", op.Phase, op.Stage)
	case op.Phase == backup.PhaseSucceeded:
		// Also under a fault that makes something fail later: it may have hit a send whose result was not used. AtEnd looks at the world.
	case !asynchronous || !l.subject.MayFail:
		l.violate("I19: ended %s: %v", op.Phase, op.Err())
	case op.Phase == backup.PhaseCanceled || backup.CodeOf(op.Err()) != backup.ErrFailed && backup.CodeOf(op.Err()) != backup.ErrPartial:
		l.violate("I19: what failed at AWS ended %s: %v", op.Phase, op.Err())
	}
	// What the process saw at the end is what the Store holds.
	if rec, err := l.store.record(op.ID); err != nil {
		l.violate("the store: %v", err)
	} else if s := rec.Operation; s.Phase != op.Phase || !slices.Equal(s.Points, op.Points) || !slices.Equal(s.Made, op.Made) || rec.Run != "" {
		l.violate("the store holds %s with %v and %v, run %q, and the process saw %s with %v and %v", s.Phase, s.Points, s.Made, rec.Run, op.Phase, op.Points, op.Made)
	}
	return op
}

// process is one program with its own credentials and Runner.
type process struct {
	runner   *backup.Runner
	strategy backup.Strategy
}

func (l *lab) newProcess(context.Context) *process {
	l.mu.Lock()
	l.processes++
	name := fmt.Sprintf("run-%d", l.processes)
	l.keys[name] = true
	l.mu.Unlock()
	s := l.subject
	s.World.Do(s.Account, s.Region, func(*awssim.Request) {
		s.World.AddSession(name, awssim.Session{Account: s.Account, Principal: "arn:aws:iam::" + s.Account + ":role/" + name})
	})
	strategy := s.Strategy(s.World.ConfigFor(s.Region, aws.Credentials{AccessKeyID: name, SecretAccessKey: "x", AccountID: s.Account}))
	r, err := backup.NewRunner([]backup.Strategy{strategy}, func(o *backup.RunnerOptions) { o.Store, o.Run = l.store, name })
	if err != nil {
		panic(err)
	}
	return &process{r, strategy}
}

// supervise starts a process, starts another when it dies or its context was canceled, and gives the Operation as it ended.
func (l *lab) supervise(ctx context.Context, p *process) (op backup.Operation) {
	for range 12 {
		if p == nil {
			p = l.newProcess(ctx)
		}
		var err error
		op, err = l.attempt(ctx, p)
		if op.Done() && err == nil {
			for _, v := range l.subject.AtEnd(op) {
				l.violate("at the end: %s", v)
			}
			return op
		}
		var gone *died
		if !errors.As(err, &gone) && !errors.Is(err, context.Canceled) && backup.CodeOf(err) != backup.ErrUnavailable && backup.CodeOf(err) != backup.ErrThrottled {
			l.violate("gave up: %v", err)
			return op
		}
		p = nil
		time.Sleep(7 * time.Second)
	}
	return op
}

type died struct{ what string }

func (d *died) Error() string { return "died: " + d.what }

// attempt runs the Operation in a process until it ends, the context is canceled or the process dies.
func (l *lab) attempt(ctx context.Context, p *process) (op backup.Operation, err error) {
	defer func() {
		switch k := recover().(type) {
		case nil:
		case awssim.Killed:
			err = &died{k.Error()}
		case storeKilled:
			err = &died{k.what}
		default:
			panic(k)
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l.mu.Lock()
	l.cancels = append(l.cancels, cancel)
	l.mu.Unlock()
	op, err = l.subject.Start(ctx, p.strategy)
	if err != nil {
		return op, fmt.Errorf("start: %w", err)
	}
	l.mu.Lock()
	l.opID = op.ID
	l.mu.Unlock()
	op, err = p.runner.Run(ctx, op)
	if op.Done() {
		err = nil
	}
	return op, err
}

// Check fails the test for every violation, and says how many more there are.
func (res Result) Check(t testing.TB) {
	t.Helper()
	for i, v := range res.Violations {
		if i == 20 {
			t.Errorf("and %d more", len(res.Violations)-i)
			return
		}
		t.Error(strings.TrimSpace(v))
	}
}

package backuptest

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// Harness is what TestStrategy needs to know. Only New is required.
type Harness struct {
	// New makes a fresh world with one Strategy under test. It is called once for each check, inside of that check's synctest bubble:
	// clients, channels and contexts must be made in it and not outside. It ends the test by its t if it can not make one, and
	// registers its cleaning with t.Cleanup.
	New func(t testing.TB) *Subject
	// Live says that the world is a real service, where waiting takes real time and everything costs money. The checks then run outside of
	// any bubble, and only those that need no fault and few backups; the others are skipped. New is still called for each check, and once
	// more at the end to clean up; it gives Subjects of one and the same service. About five backups are made, with tokens that differ
	// from run to run. Give the test a -timeout of hours.
	Live bool
}

// Subject is a Strategy in its world. Strategy and Resource are required. Every other part may be left out; the checks that need it are then
// skipped, and say so. The functions are called from one goroutine at a time, and never while a method of the Strategy runs.
type Subject struct {
	// Strategy is the Strategy under test.
	Strategy backup.Strategy
	// Restart gives the Strategy of another process on the same world, with nothing of the first one's memory; nil goes on with the
	// same value.
	Restart func() backup.Strategy
	// Starts is the action of what Start starts; empty means backup.ActionBackup. Any other, such as backup.ActionExport or backup.ActionCopy, is
	// held to all that a backup is held to, but for this: as long as it is not done it may list in Made, in place of Points, what it has
	// written so far, such as an upload, and take it out when it lists what became of it; when it succeeds, Points stand for all of it and
	// Made is empty. What a copy makes may have the type of the Resource. And a second piece of work that Spec gives the same names must not
	// take over or change what the first has made. backup.ActionRestore and backup.ActionDelete have abilities of their own and can not
	// stand here.
	Starts backup.Action
	// MaxTags is how many of the caller's tags the things that Start makes can carry; 0 means all that a Spec can have, and a number below 0
	// none. More must be refused by Start with ErrInvalid, because what is dropped without a word is believed to be there.
	MaxTags int
	// Resource can be backed up now, or exported, or copied, as Starts says, with success, several times.
	Resource backup.Ref
	// Tags are tags that the Resource carries, for the Discoverer.
	Tags map[string]string
	// Missing is a Ref like Resource, well-formed and served by the Strategy, of something that does not exist.
	Missing backup.Ref
	// Malformed are Refs like Resource with identifiers that the service can not have; Start must refuse them. The suite has its own for
	// what no Strategy takes: empty parts, wildcards, unknown types.
	Malformed []backup.Ref
	// Unserved are well-formed Refs of accounts and Regions that the Strategy is not for. Start refuses them, or, where that can not be
	// known without a call, the first Step.
	Unserved []backup.Ref

	// Spec gives what an action needs beyond a token, such as the options of a restore; nil means nothing. It gives the same for the same
	// arguments, and names of new things that differ with the token. The suite sets Token, and Owner where it matters.
	Spec func(action backup.Action, token string) backup.Spec
	// BadSpecs are Specs that must be refused, by action: required options that are missing, sizes that can not be.
	BadSpecs map[backup.Action][]backup.Spec
	// AllowForeign are the options of a deletion that let it delete what another owner made.
	AllowForeign backup.Options

	// Count tells how many things exist at the service that carry the Operation's ID, in truth and not as a lagging list shows it:
	// recovery points for a backup, files or uploads for an export or a copy, new resources for a restore. What is deleted, or bound to go by
	// itself, does not count.
	Count func(operationID string) int
	// Parts says how many things one piece of work makes where that is not one: {ActionBackup: 3} for a set of three snapshots,
	// {ActionExport: 4} for an export of three files and a manifest.
	Parts map[backup.Action]int
	// Exists tells whether a resource or a recovery point exists, in truth.
	Exists func(r backup.Ref) bool
	// Calls tells how many calls reached the service so far, and how many of them may change something.
	Calls func() (total, mutating int)

	// LoseReply has the service apply the next call that changes something, and lose its answer.
	LoseReply func()
	// DieAfter has the process die after the service applied the next call that changes something: the call panics, in the goroutine
	// of Step, and the suite recovers it and goes on with Restart.
	DieAfter func()
	// FailLater has the service accept the next call that makes something, and fail the work later.
	FailLater func()
	// Vanish deletes a recovery point behind the Strategy's back; where Starts is another action than a backup, perhaps something that its work
	// lists in Made so far.
	Vanish func(point backup.Ref)
	// Clean removes what an Operation made. It is called at the end of each check, and only where Harness.Live is set.
	Clean func(op backup.Operation)
}

// TestStrategy holds a backup.Strategy and its abilities to their contracts, with a subtest and a fresh world for each named check:
//
//	func TestConformance(t *testing.T) {
//		backuptest.TestStrategy(t, backuptest.Harness{New: func(t testing.TB) *backuptest.Subject {
//			db := newDatabase()
//			return &backuptest.Subject{Strategy: dump.New(db), Resource: dump.Database("orders")}
//		}})
//	}
//
// Unless Harness.Live is set, each check runs in a synctest bubble of its own: hours pass in milliseconds, and a goroutine that is left
// behind is found. What a Subject leaves out is skipped, with the reason; the more it brings, the more is proved. Run it with -race.
//
// The suite plays the Runner: before a Step with Next it counts the attempt, between two Steps the Operation goes through JSON and, with
// Restart, to another process.
func TestStrategy(t *testing.T, h Harness) {
	t.Helper()
	if h.New == nil {
		t.Fatal("Harness.New is nil")
	}
	var common backup.Operation
	for _, c := range strategyChecks {
		t.Run(c.name, func(t *testing.T) {
			if h.Live && !c.live {
				t.Skip("not run against a live service: it needs a fault, virtual time or too many backups")
			}
			var b *bench
			var skip string
			in := func(t *testing.T) {
				b = newBench(h.New(t), h.Live)
				b.common = &common
				if a := b.starts(); a == backup.ActionRestore || a == backup.ActionDelete {
					t.Fatalf("Subject.Starts is %q, which no Start starts", a)
				}
				if skip = c.missing(b); skip == "" {
					defer b.clean()
					c.run(t, b)
				}
			}
			if h.Live {
				in(t)
			} else {
				synctest.Test(t, in)
			}
			if skip != "" {
				t.Skip(skip) // said out here: a bubble has a T of its own
			}
			for _, n := range b.notes {
				t.Log(n)
			}
		})
	}
	if common.ID != "" {
		if s := h.New(t); s.Clean != nil {
			s.Clean(common)
		}
	}
}

// strategyCheck is one named check.
type strategyCheck struct {
	name  string
	live  bool // makes sense against a real service
	needs []need
	run   func(t tb, b *bench)
}

// missing says what the check needs and does not have, or nothing.
func (c strategyCheck) missing(b *bench) string {
	for _, n := range c.needs {
		if !n.met(b) {
			return n.otherwise
		}
	}
	return ""
}

// need is a part of the Subject, or an ability of the Strategy, that a check can not do without.
type need struct {
	otherwise string
	met       func(b *bench) bool
}

var (
	needCount     = need{"Subject.Count is nil: what exists can not be counted", func(b *bench) bool { return b.Count != nil }}
	needCalls     = need{"Subject.Calls is nil: calls can not be counted", func(b *bench) bool { return b.Calls != nil }}
	needTruth     = need{"Subject.Calls and Subject.Count are nil: changes can not be seen", func(b *bench) bool { return b.Calls != nil || b.Count != nil }}
	needLoseReply = need{"Subject.LoseReply is nil", func(b *bench) bool { return b.LoseReply != nil }}
	needDieAfter  = need{"Subject.DieAfter is nil", func(b *bench) bool { return b.DieAfter != nil }}
	needFailLater = need{"Subject.FailLater is nil", func(b *bench) bool { return b.FailLater != nil }}
	needVanish    = need{"Subject.Vanish is nil", func(b *bench) bool { return b.Vanish != nil }}
	needMissing   = need{"Subject.Missing is empty", func(b *bench) bool { return !b.Missing.IsZero() }}
	needUnserved  = need{"Subject.Unserved is empty", func(b *bench) bool { return len(b.Unserved) > 0 }}
	needTags      = need{"Subject.Tags is empty", func(b *bench) bool { return len(b.Tags) > 0 }}
	needNoBackup  = need{"Subject.Starts is a backup; this is about exports and copies", func(b *bench) bool { return b.starts() != backup.ActionBackup }}

	needDiscoverer  = ability[backup.Discoverer]("Discoverer")
	needLister      = ability[backup.Lister]("Lister")
	needPreflighter = ability[backup.Preflighter]("Preflighter")
	needDeleter     = ability[backup.Deleter]("Deleter")
	needRestorer    = ability[backup.Restorer]("Restorer")
	needCanceler    = ability[backup.Canceler]("Canceler")
)

func ability[T any](name string) need {
	return need{"the Strategy is no backup." + name, func(b *bench) bool { _, ok := backup.As[T](b.Strategy); return ok }}
}

var strategyChecks = []strategyCheck{
	{"kind/constant", true, nil, checkKind},
	{"start/operation", true, nil, checkStartOperation},
	{"start/makes-no-call", true, []need{needCalls}, checkStartCalls},
	{"start/refuses-refs", true, nil, checkStartRefs},
	{"start/refuses-places", true, []need{needUnserved}, checkStartPlaces},
	{"start/refuses-specs", true, nil, checkStartSpecs},
	{"start/shares-no-memory", true, nil, checkStartMemory},
	{"start/fits-with-many-tags", true, nil, checkStartSize},
	{"step/refuses", true, nil, checkStepRefuses},
	{"step/finished-stays", true, nil, checkStepFinished},
	{"step/read-only", false, []need{needTruth}, checkStepReadOnly},
	{"step/input-untouched", false, nil, checkStepInput},
	{"step/identity", false, nil, checkStepIdentity},
	{"step/progress", false, nil, checkStepProgress},
	{"step/size", false, nil, checkStepSize},
	{"step/does-not-wait", false, nil, checkStepQuick},
	{"step/too-early", false, nil, checkStepEarly},
	{"step/too-late", false, nil, checkStepLate},
	{"step/context-over", false, nil, checkStepContext},
	{"whole/backup", true, nil, checkWhole},
	{"whole/overwrites-nothing", false, []need{needNoBackup}, checkWholeOver},
	{"whole/runner", false, nil, checkRunner},
	{"whole/deadline", false, nil, checkDeadline},
	{"whole/concurrent", false, nil, checkConcurrent},
	{"whole/no-goroutine-left", false, nil, checkGoroutines},
	{"once/delivered-twice", false, []need{needCount}, checkTwice},
	{"once/delivered-late", false, []need{needCount}, checkLate},
	{"once/unstored", false, []need{needCount}, checkUnstored},
	{"once/reply-lost", false, []need{needCount, needLoseReply}, checkLost},
	{"once/process-died", false, []need{needCount, needDieAfter}, checkDied},
	{"once/fence", false, []need{needTruth}, checkFence},
	{"honest/success", false, []need{needLister}, checkSuccess},
	{"honest/failure", false, []need{needFailLater}, checkFailure},
	{"honest/vanished", false, []need{needVanish}, checkVanished},
	{"honest/missing", false, []need{needMissing}, checkMissing},
	{"discover/finds", true, []need{needDiscoverer}, checkDiscover},
	{"discover/tags", true, []need{needDiscoverer, needTags}, checkDiscoverTags},
	{"discover/refuses", true, []need{needDiscoverer}, checkDiscoverRefuses},
	{"discover/iteration", false, []need{needDiscoverer}, checkDiscoverIteration},
	{"list/new-point", true, []need{needLister}, checkList},
	{"list/filters", false, []need{needLister}, checkListFilters},
	{"list/refuses", true, []need{needLister}, checkListRefuses},
	{"list/iteration", false, []need{needLister}, checkListIteration},
	{"preflight/clear", true, []need{needPreflighter}, checkPreflight},
	{"preflight/missing", true, []need{needPreflighter, needMissing}, checkPreflightMissing},
	{"preflight/changes-nothing", true, []need{needPreflighter, needTruth}, checkPreflightCalls},
	{"delete/gone", true, []need{needDeleter}, checkDelete},
	{"delete/only-that", false, []need{needDeleter, needLister}, checkDeleteOnly},
	{"delete/again", false, []need{needDeleter}, checkDeleteAgain},
	{"delete/missing", false, []need{needDeleter}, checkDeleteMissing},
	{"delete/not-owned", false, []need{needDeleter}, checkDeleteForeign},
	{"restore/made", true, []need{needRestorer}, checkRestore},
	{"restore/again", false, []need{needRestorer, needCount}, checkRestoreAgain},
	{"restore/overwrites-nothing", false, []need{needRestorer}, checkRestoreOver},
	{"restore/missing", false, []need{needRestorer, needDeleter}, checkRestoreMissing},
	{"cancel/before-anything", false, []need{needCanceler}, checkCancelPending},
	{"cancel/midway", false, []need{needCanceler, needCount}, checkCancelMidway},
	{"cancel/perhaps-sent", false, []need{needCanceler, needCount, needLoseReply}, checkCancelSent},
	{"cancel/finished", false, []need{needCanceler}, checkCancelFinished},
	{"wrapper/abilities", false, nil, checkWrapper},
}

// bench is a Subject at work in one check.
type bench struct {
	*Subject
	live   bool
	common *backup.Operation // in a live service, a backup for all checks that need one to look at
	prefix string
	known  []backup.Operation // every Operation of the check, in its newest form
	notes  []string
}

func newBench(s *Subject, live bool) *bench {
	b := &bench{Subject: s, live: live}
	if live {
		b.prefix = "c" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-"
	}
	return b
}

// note says in the log of the check what of it was left out.
func (b *bench) note(s string) {
	for _, n := range b.notes {
		if n == s {
			return
		}
	}
	b.notes = append(b.notes, s)
}

// clean removes what was made in a live service.
func (b *bench) clean() {
	if b.live && b.Clean != nil {
		for i := len(b.known) - 1; i >= 0; i-- {
			b.Clean(b.known[i])
		}
	}
}

// remember keeps the newest form of an Operation.
func (b *bench) remember(op backup.Operation) {
	for i := range b.known {
		if b.known[i].ID == op.ID {
			b.known[i] = op
			return
		}
	}
	b.known = append(b.known, op)
}

// process gives the Strategy of another process.
func (b *bench) process() backup.Strategy {
	if b.Restart != nil {
		return b.Restart()
	}
	return b.Strategy
}

// spec gives the Spec of an action.
func (b *bench) spec(action backup.Action, token string) backup.Spec {
	var s backup.Spec
	token = b.prefix + token
	if b.Spec != nil {
		s = b.Spec(action, token)
	}
	s.Token = token
	return s
}

// starts is the action of what Start starts.
func (b *bench) starts() backup.Action {
	if b.Starts == "" {
		return backup.ActionBackup
	}
	return b.Starts
}

// mostTags is how many tags what an action makes can carry.
func (b *bench) mostTags(action backup.Action) int {
	if action != b.starts() || b.MaxTags == 0 {
		return 16 // enough to fill a Spec
	}
	return max(b.MaxTags, 0)
}

// tagged gives a Spec tags, if what the action makes can carry any.
func (b *bench) tagged(action backup.Action, spec *backup.Spec, tags map[string]string) {
	if b.mostTags(action) > 0 {
		spec.Tags = tags
	}
}

// parts is how many things a piece of work makes.
func (b *bench) parts(a backup.Action) int {
	if n := b.Parts[a]; n > 0 {
		return n
	}
	return 1
}

// calls is Subject.Calls, or zeros.
func (b *bench) calls() (total, mutating int) {
	if b.Calls == nil {
		return 0, 0
	}
	return b.Calls()
}

// made is how many things the known Operations made that exist, where that can be counted.
func (b *bench) made() (n int) {
	if b.Count != nil {
		for _, op := range b.known {
			n += b.Count(op.ID)
		}
	}
	return n
}

// exists is Subject.Exists, or yes.
func (b *bench) exists(r backup.Ref) bool {
	if b.Exists == nil {
		b.note("Subject.Exists is nil: whether things exist was taken from the Operation alone")
		return true
	}
	return b.Exists(r)
}

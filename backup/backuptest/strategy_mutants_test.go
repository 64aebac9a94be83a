package backuptest

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/snapwarden/snapwarden/backup"
)

// strategyBugs are the ways in which a vault's Strategy can be wrong; each completes "a Strategy that ...". Beside it stands the check that
// must find it; others may too.
var strategyBugs = []struct{ bug, check string }{
	{"has another kind in each process", "kind/constant"},
	{"makes an ID of its own", "start/operation"},
	{"drops the owner", "start/operation"},
	{"calls the service to start", "start/makes-no-call"},
	{"deletes what is no recovery point", "start/refuses-refs"},
	{"takes any identifier", "start/refuses-refs"},
	{"serves everybody", "start/refuses-places"},
	{"ignores a name", "start/refuses-specs"},
	{"takes options that it does not know", "start/refuses-specs"},
	{"keeps the caller's tags", "start/shares-no-memory"},
	{"makes Operations that are too long", "start/fits-with-many-tags"},
	{"steps Operations of other kinds", "step/refuses"},
	{"steps what a newer release wrote", "step/refuses"},
	{"steps what was changed", "step/refuses"},
	{"looks at what is finished", "step/finished-stays"},
	{"stamps what is finished", "step/finished-stays"},
	{"sends without an attempt", "step/read-only"},
	{"deletes without an attempt", "step/read-only"},
	{"makes it while it looks", "step/read-only"},
	{"writes into the given tags", "step/input-untouched"},
	{"writes behind the given points", "step/input-untouched"},
	{"gives itself more time", "step/identity"},
	{"takes over the work", "step/identity"},
	{"is pending until it has ended", "step/progress"},
	{"forgets its points on the way", "step/progress"},
	{"counts to more than a hundred", "step/progress"},
	{"keeps a diary", "step/size"},
	{"waits in a Step", "step/does-not-wait"},
	{"keeps ids in memory", "whole/backup"},
	{"sends two", "whole/backup"},
	{"keeps its work in the Strategy", "whole/concurrent"},
	{"leaves a goroutine behind", "whole/no-goroutine-left"},
	{"refuses to be asked too early", "step/too-early"},
	{"makes it again after its deadline", "step/too-late"},
	{"adopts what is not its own", "whole/runner"},
	{"lists its points only in the end", "whole/deadline"},
	{"deletes another where its own is gone", "delete/again"},
	{"sends under a context that is over", "step/context-over"},
	{"gives half of an Operation with an error", "step/context-over"},
	{"fails the work when a Step fails", "step/context-over"},
	{"fails the work when a Step fails", "once/reply-lost"},
	{"sends again at once", "once/delivered-twice"},
	{"looks once and sends again", "once/reply-lost"},
	{"looks once and sends again", "once/process-died"},
	{"tags what it makes afterwards", "once/delivered-late"},
	{"never looks where nothing is stored", "once/unstored"},
	{"adopts what is not its own", "once/delivered-twice"},
	{"sends after its lease is over", "once/fence"},
	{"deletes after its lease is over", "once/fence"},
	{"succeeds when it has sent", "honest/success"},
	{"succeeds whatever came of it", "honest/failure"},
	{"forgets its points when it fails", "honest/failure"},
	{"fails without saying why", "honest/failure"},
	{"takes what is gone for done", "honest/vanished"},
	{"waits for what is missing", "honest/missing"},
	{"discovers without tags", "discover/finds"},
	{"lists the first page alone", "list/iteration"},
	{"discovers by any of the tags", "discover/tags"},
	{"discovers nothing of an empty value", "discover/tags"},
	{"discovers whatever is asked", "discover/refuses"},
	{"discovers in any account", "discover/refuses"},
	{"lists a part without an error", "discover/iteration"},
	{"lists a part without an error", "list/iteration"},
	{"lists on after an error", "list/iteration"},
	{"lists on after the loop has ended", "list/iteration"},
	{"lists without a time", "list/new-point"},
	{"lists without a source", "list/new-point"},
	{"lists everything as pending", "list/new-point"},
	{"lists its own as automated", "list/new-point"},
	{"drops the caller's tags", "list/new-point"},
	{"lists all sources", "list/filters"},
	{"lists all points", "list/filters"},
	{"lists tags by their beginning", "list/filters"},
	{"lists whatever is asked", "list/refuses"},
	{"cries wolf in the preflight", "preflight/clear"},
	{"finds nothing in the preflight", "preflight/missing"},
	{"finds the worst last", "preflight/missing"},
	{"tries it out in the preflight", "preflight/changes-nothing"},
	{"says that it deleted", "delete/gone"},
	{"deletes all of a source", "delete/only-that"},
	{"deletes what is missing with success", "delete/missing"},
	{"deletes what others own", "delete/not-owned"},
	{"forgets what it restored", "restore/made"},
	{"restores into the source", "restore/made"},
	{"never looks where nothing is stored", "restore/again"},
	{"restores over what is there", "restore/overwrites-nothing"},
	{"restores what is missing", "restore/missing"},
	{"does not cancel", "cancel/before-anything"},
	{"calls the service to cancel", "cancel/before-anything"},
	{"cancels and leaves what it made unlisted", "cancel/midway"},
	{"cancels without looking for what was sent", "cancel/perhaps-sent"},
	{"cancels what has ended", "cancel/finished"},
	{"wraps a Strategy of another kind", "wrapper/abilities"},
	{"gives errors without a type", "start/refuses-places"},
}

// startsBugs are the ways in which a Strategy whose Start is no backup can be wrong, beside those that any can.
var startsBugs = []struct{ bug, check string }{
	{"starts a backup all the same", "start/operation"},
	{"calls the service to start", "start/makes-no-call"},
	{"takes any identifier", "start/refuses-refs"},
	{"serves everybody", "start/refuses-places"},
	{"drops tags without a word", "start/refuses-specs"},
	{"ignores a name", "start/refuses-specs"},
	{"makes Operations that are too long", "start/fits-with-many-tags"},
	{"steps what was changed", "step/refuses"},
	{"sends without an attempt", "step/read-only"},
	{"writes behind the given points", "step/input-untouched"},
	{"loses sight of its files for a while", "step/progress"},
	{"is pending until it has ended", "step/progress"},
	{"makes it again after its deadline", "step/too-late"},
	{"ends without a point", "whole/backup"},
	{"lists its files beside its point", "whole/backup"},
	{"calls the resource its copy", "whole/backup"},
	{"sends two", "whole/backup"},
	{"takes over what is there", "whole/overwrites-nothing"},
	{"writes over what is there", "whole/overwrites-nothing"},
	{"lists its points only in the end", "step/progress"},
	{"lists its points only in the end", "whole/deadline"},
	{"sends again at once", "once/delivered-twice"},
	{"adopts what is not its own", "once/delivered-twice"},
	{"tags what it makes afterwards", "once/delivered-late"},
	{"never looks where nothing is stored", "once/unstored"},
	{"looks once and sends again", "once/reply-lost"},
	{"looks once and sends again", "once/process-died"},
	{"sends after its lease is over", "once/fence"},
	{"succeeds when it has sent", "honest/success"},
	{"succeeds whatever came of it", "honest/failure"},
	{"forgets its points when it fails", "honest/failure"},
	{"takes what is gone for done", "honest/vanished"},
	{"waits for what is missing", "honest/missing"},
	{"finds nothing in the preflight", "preflight/missing"},
	{"deletes what others own", "delete/not-owned"},
	{"does not cancel", "cancel/before-anything"},
	{"cancels and leaves what it made unlisted", "cancel/midway"},
	{"cancels without looking for what was sent", "cancel/perhaps-sent"},
	{"cancels what has ended", "cancel/finished"},
}

func TestStrategyAcceptsTheGoodOne(t *testing.T) {
	TestStrategy(t, vaultHarness("", backup.ActionBackup))
}

func TestStrategyAcceptsGoodExports(t *testing.T) {
	for _, action := range []backup.Action{backup.ActionExport, backup.ActionCopy} {
		t.Run(string(action), func(t *testing.T) { TestStrategy(t, vaultHarness("", action)) })
	}
}

// TestStrategyFindsMutants gives the suite Strategies that are wrong in one way each.
func TestStrategyFindsMutants(t *testing.T) {
	killers := map[string]bool{}
	find := func(starts backup.Action, bug, check string) {
		killers[check] = true
		t.Run(strings.ReplaceAll(string(starts)+" "+bug+" "+check, " ", "-"), func(t *testing.T) {
			n := slices.IndexFunc(strategyChecks, func(c strategyCheck) bool { return c.name == check })
			if n < 0 {
				t.Fatalf("there is no check %s", check)
			}
			messages := strategyMessages(t, bug, starts, strategyChecks[n])
			if len(messages) == 0 {
				t.Fatalf("a Strategy that %s is not found", bug)
			}
			t.Logf("%d messages; the first: %s", len(messages), messages[0])
		})
	}
	for _, m := range strategyBugs {
		find(backup.ActionBackup, m.bug, m.check)
	}
	for _, m := range startsBugs {
		find(backup.ActionExport, m.bug, m.check)
	}
	find(backup.ActionCopy, "calls the resource its copy", "whole/backup")
	find(backup.ActionCopy, "drops tags without a word", "start/refuses-specs")
	find(backup.ActionCopy, "drops the caller's tags", "list/new-point")
	for _, c := range strategyChecks {
		if !killers[c.name] {
			t.Errorf("no mutant is there to show that the check %s can fail", c.name)
		}
	}
}

// strategyMessages gives what a check says of a vault's Strategy with a bug. It has a bubble, in which its Fatalf ends a goroutine of its own.
func strategyMessages(t *testing.T, bug string, starts backup.Action, c strategyCheck) (messages []string) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(vaultHarness(bug, starts).New(t), false)
		if why := c.missing(b); why != "" {
			t.Errorf("%s: %s", c.name, why)
			return
		}
		r := &recorder{ctx: t.Context()}
		r.do(func() { c.run(r, b) })
		messages = r.messages
	})
	return messages
}

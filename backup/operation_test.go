package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fullOperation has a value in every field.
func fullOperation(t testing.TB) Operation {
	t.Helper()
	op := testOperation(t, "token")
	at := time.Date(2026, 11, 20, 1, 2, 3, 456789, time.UTC)
	op.Input = "abc"
	op.Phase, op.Stage, op.Since, op.Next, op.Attempt, op.Intended = PhaseRunning, "copy", at, "CopySnapshot", 2, at.Add(1)
	op.Unstored, op.Settling, op.Canceling = true, true, true
	op.Percent, op.Started, op.Updated, op.Deadline, op.Poll = 7, at.Add(2), at.Add(3), at.Add(4), at.Add(5)
	op.Points = Refs{testRef, {"a", "b", "c", "d"}}
	op.Made = Refs{{"e", "f", "g", "h"}}
	op.Endpoints = []Endpoint{{ID: "x", Host: "h", Port: 5432, Role: "primary"}}
	op.Findings = []Finding{{ID: "a.b", Severity: SeverityWarning, Ref: testRef, Message: "m", Remedy: "r"}}
	op.Failure = &Failure{Code: ErrQuota, Op: "CopySnapshot", Message: "m", Hint: "h"}
	op.State = json.RawMessage(`{"n":12345678901234567890}`)
	v := reflect.ValueOf(op)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("fullOperation does not set %s", v.Type().Field(i).Name)
		}
	}
	return op
}

func TestNewOperation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now().UTC().Round(0)
		tags := map[string]string{"team": "blue"}
		op, err := NewOperation("test", ActionCopy, testRef, Spec{Token: "t", Tags: tags, Owner: "me", Timeout: time.Hour, Options: copyOptions{}})
		if err != nil {
			t.Fatal(err)
		}
		want := Operation{
			Version: 1, ID: operationID("test", ActionCopy, testRef, "t"), Kind: "test", Action: ActionCopy, Ref: testRef, Token: "t", Input: "houeu7e5kk3dqgt2p575wf6qc4", Owner: "me",
			Tags: map[string]string{"team": "blue"}, Phase: PhasePending, Since: now, Started: now, Updated: now, Poll: now, Deadline: now.Add(time.Hour),
		}
		if d := cmp.Diff(want, op); d != "" {
			t.Errorf("NewOperation (-want +got):\n%s", d)
		}
		tags["team"] = "changed"
		if op.Tags["team"] != "blue" {
			t.Error("the Operation shares the caller's tags")
		}
		op, err = NewOperation("test", ActionCopy, testRef, Spec{Token: strings.Repeat("t", 256)})
		if err != nil || op.Owner != DefaultOwner || op.Deadline != now.Add(DefaultTimeout) || op.Tags != nil {
			t.Errorf("by default: owner %q, deadline %v, tags %v, error %v", op.Owner, op.Deadline, op.Tags, err)
		}
	})
	for name, c := range map[string]struct {
		ref  Ref
		spec Spec
	}{
		"bad ref":               {Ref{}, Spec{Token: "t"}},
		"no token":              {testRef, Spec{}},
		"long token":            {testRef, Spec{Token: strings.Repeat("t", 257)}},
		"token not UTF-8":       {testRef, Spec{Token: "t\xff"}},
		"bad owner":             {testRef, Spec{Token: "t", Owner: "a b"}},
		"negative timeout":      {testRef, Spec{Token: "t", Timeout: -1}},
		"reserved tag":          {testRef, Spec{Token: "t", Tags: map[string]string{TagOwner: "x"}}},
		"options of another":    {testRef, Spec{Token: "t", Options: copyOptions{}}},
		"options of a stranger": {testRef, Spec{Token: "t", Options: strangeOptions{}}},
	} {
		op, err := NewOperation("test", ActionBackup, c.ref, c.spec)
		if !errors.Is(err, ErrInvalid) || HintOf(err) == "" || !reflect.DeepEqual(op, Operation{}) {
			t.Errorf("%s: %+v, %v", name, op, err)
		}
	}
}

type copyOptions struct{}

func (copyOptions) OptionsFor() (string, Action) { return "test", ActionCopy }

type strangeOptions struct{}

func (strangeOptions) OptionsFor() (string, Action) { return "other", ActionBackup }

func TestIntent(t *testing.T) {
	for _, c := range []struct {
		next     string
		attempt  int
		unstored bool
		want     Intent
	}{
		{"", 0, false, ReadOnly}, {"", 1, false, ReadOnly}, {"", 2, true, ReadOnly},
		{"Create", -1, false, ReadOnly}, {"Create", 0, false, ReadOnly}, {"Create", 0, true, ReadOnly},
		{"Create", 1, false, Send}, {"Create", 1, true, LookOnce},
		{"Create", 2, false, Settle}, {"Create", 2, true, Settle}, {"Create", 99, false, Settle},
	} {
		if got := (Operation{Next: c.next, Attempt: c.attempt, Unstored: c.unstored}).Intent(); got != c.want {
			t.Errorf("next %q, attempt %d, unstored %v: %d, want %d", c.next, c.attempt, c.unstored, got, c.want)
		}
	}
}

func TestRetried(t *testing.T) {
	for _, c := range []struct {
		next             string
		attempt, n, want int
	}{{"Create", 0, 0, 0}, {"Create", 0, 1, 1}, {"Create", 3, 1, 3}, {"Create", 1, 4, 4}, {"", 0, 4, 0}} {
		if got := (Operation{Next: c.next, Attempt: c.attempt}).Retried(c.n).Attempt; got != c.want {
			t.Errorf("next %q, attempt %d, retried %d: %d, want %d", c.next, c.attempt, c.n, got, c.want)
		}
	}
}

// TestOperationMoves holds what each method changes, and that it changes nothing else.
func TestOperationMoves(t *testing.T) {
	quota := &Error{Op: "CreateSnapshot", Code: ErrQuota, Err: errors.New("too many"), Hint: "fewer"}
	ended := func(p Phase, f *Failure) func(*Operation, time.Time) {
		return func(op *Operation, now time.Time) {
			op.Phase, op.Failure, op.Since, op.Poll = p, f, now, time.Time{}
			op.Next, op.Attempt, op.Intended, op.Settling = "", 0, time.Time{}, false
		}
	}
	pending := func(op *Operation) { op.Phase = PhasePending }
	for name, c := range map[string]struct {
		prepare func(*Operation)
		move    func(*Operation)
		want    func(op *Operation, now time.Time)
	}{
		"To": {nil, func(op *Operation) { op.To("s", "Next") }, func(op *Operation, now time.Time) {
			op.Stage, op.Next, op.Attempt, op.Intended, op.Settling, op.Since, op.Poll = "s", "Next", 0, time.Time{}, false, now, now
		}},
		"To, pending, with a call": {pending, func(op *Operation) { op.To("s", "Next") }, func(op *Operation, now time.Time) {
			op.Phase = PhaseRunning
			op.Stage, op.Next, op.Attempt, op.Intended, op.Settling, op.Since, op.Poll = "s", "Next", 0, time.Time{}, false, now, now
		}},
		"To, pending, without one": {pending, func(op *Operation) { op.To("s", "") }, func(op *Operation, now time.Time) {
			op.Stage, op.Next, op.Attempt, op.Intended, op.Settling, op.Since, op.Poll = "s", "", 0, time.Time{}, false, now, now
		}},
		"Settle": {nil, func(op *Operation) { op.Settle("s") }, func(op *Operation, now time.Time) {
			op.Stage, op.Next, op.Attempt, op.Intended, op.Settling, op.Since, op.Poll = "s", "", 0, time.Time{}, true, now, now
		}},
		"Unsent":         {nil, (*Operation).Unsent, func(op *Operation, _ time.Time) { op.Attempt, op.Intended = 0, time.Time{} }},
		"PollIn":         {nil, func(op *Operation) { op.PollIn(time.Minute) }, func(op *Operation, now time.Time) { op.Poll = now.Add(time.Minute) }},
		"PollIn nothing": {nil, func(op *Operation) { op.PollIn(-1) }, func(op *Operation, now time.Time) { op.Poll = now.Add(time.Millisecond) }},
		"Succeed": {func(op *Operation) { op.Failure = nil }, (*Operation).Succeed, func(op *Operation, now time.Time) {
			ended(PhaseSucceeded, nil)(op, now)
			op.Percent = 100
		}},
		"Fail": {nil, func(op *Operation) { op.Fail(quota) }, ended(PhaseFailed, &Failure{ErrQuota, "CreateSnapshot", "too many", "fewer"})},
		"Fail, wrapped": {nil, func(op *Operation) { op.Fail(fmt.Errorf("x: %w", quota)) },
			ended(PhaseFailed, &Failure{ErrQuota, "CreateSnapshot", "too many", "fewer"})},
		"Fail, partial":    {nil, func(op *Operation) { op.Fail(&Error{Code: ErrPartial, Err: quota}) }, ended(PhasePartial, &Failure{ErrPartial, "", quota.Error(), "fewer"})},
		"Fail, canceled":   {nil, func(op *Operation) { op.Fail(&Error{Code: ErrCanceled}) }, ended(PhaseCanceled, &Failure{Code: ErrCanceled})},
		"Fail, a code":     {nil, func(op *Operation) { op.Fail(ErrPartial) }, ended(PhasePartial, &Failure{Code: ErrPartial})},
		"Fail, a stranger": {nil, func(op *Operation) { op.Fail(errors.New("odd")) }, ended(PhaseFailed, &Failure{Code: ErrFailed, Message: "odd"})},
		"Fail, nil":        {nil, func(op *Operation) { op.Fail(nil) }, ended(PhaseFailed, &Failure{Code: ErrFailed})},
		"Fail, long": {nil, func(op *Operation) {
			op.Fail(&Error{Code: ErrFailed, Err: errors.New(strings.Repeat("m", 2000)), Hint: strings.Repeat("h", 2000)})
		}, ended(PhaseFailed, &Failure{Code: ErrFailed, Message: strings.Repeat("m", 1024) + "...", Hint: strings.Repeat("h", 1024) + "..."})},
		"AddPoint":       {nil, func(op *Operation) { op.AddPoint(Ref{ID: "new"}) }, func(op *Operation, _ time.Time) { op.Points = append(op.Points, Ref{ID: "new"}) }},
		"AddPoint again": {nil, func(op *Operation) { op.AddPoint(testRef) }, func(*Operation, time.Time) {}},
		"AddMade":        {nil, func(op *Operation) { op.AddMade(Ref{ID: "new"}) }, func(op *Operation, _ time.Time) { op.Made = append(op.Made, Ref{ID: "new"}) }},
		"Find": {nil, func(op *Operation) { op.Find(Finding{ID: "a.b", Message: "of another ref"}) }, func(op *Operation, _ time.Time) {
			op.Findings = append(op.Findings, Finding{ID: "a.b", Message: "of another ref"})
		}},
		"Find again": {nil, func(op *Operation) { op.Find(Finding{ID: "a.b", Ref: testRef, Message: "newer"}) }, func(*Operation, time.Time) {}},
		"Find, long": {func(op *Operation) { op.Findings = nil }, func(op *Operation) {
			op.Find(Finding{ID: "x", Message: strings.Repeat("m", 257), Remedy: strings.Repeat("r", 257)})
		}, func(op *Operation, _ time.Time) {
			op.Findings = []Finding{{ID: "x", Message: strings.Repeat("m", 256) + "...", Remedy: strings.Repeat("r", 256) + "..."}}
		}},
		"SetState": {nil, func(op *Operation) { _ = op.SetState(map[string]int{"a": 1}) }, func(op *Operation, _ time.Time) { op.State = json.RawMessage(`{"a":1}`) }},
		"SetState of what is no JSON": {nil, func(op *Operation) {
			if err := op.SetState(func() {}); !errors.Is(err, ErrInvalid) {
				op.Stage = fmt.Sprint(err)
			}
		}, func(*Operation, time.Time) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				got, want, before := fullOperation(t), fullOperation(t), fullOperation(t)
				for _, op := range []*Operation{&got, &want, &before} {
					if c.prepare != nil {
						c.prepare(op)
					}
				}
				kept := got // a copy, as a caller may have one
				c.move(&got)
				c.want(&want, time.Now().UTC().Round(0))
				if d := cmp.Diff(want, got); d != "" {
					t.Errorf("after (-want +got):\n%s", d)
				}
				if d := cmp.Diff(before, kept); d != "" {
					t.Errorf("a copy changed with it (-want +got):\n%s", d)
				}
			})
		})
	}
}

// TestCopiesDoNotShare: two Operations that come from one do not write into each other's lists.
func TestCopiesDoNotShare(t *testing.T) {
	var op Operation
	for i := range 3 {
		op.AddPoint(Ref{ID: fmt.Sprint(i)})
		op.AddMade(Ref{ID: fmt.Sprint(i)})
		op.Find(Finding{ID: fmt.Sprint(i)})
	}
	op.Points, op.Made, op.Findings = append(make(Refs, 0, 9), op.Points...), append(make(Refs, 0, 9), op.Made...), append(make([]Finding, 0, 9), op.Findings...)
	a, b := op, op
	a.AddPoint(Ref{ID: "a"})
	b.AddPoint(Ref{ID: "b"})
	a.AddMade(Ref{ID: "a"})
	b.AddMade(Ref{ID: "b"})
	a.Find(Finding{ID: "a"})
	b.Find(Finding{ID: "b"})
	if a.Points[3].ID != "a" || a.Made[3].ID != "a" || a.Findings[3].ID != "a" {
		t.Errorf("%v %v %v", a.Points, a.Made, a.Findings)
	}
}

func TestFindKeepsSixteen(t *testing.T) {
	var op Operation
	for i := range 20 {
		op.Find(Finding{ID: fmt.Sprint(i)})
	}
	if len(op.Findings) != 16 || op.Findings[15].ID != "15" {
		t.Errorf("%d findings", len(op.Findings))
	}
}

func TestGetState(t *testing.T) {
	var v struct{ A int }
	v.A = 5
	if err := (Operation{}).GetState(&v); err != nil || v.A != 5 {
		t.Errorf("without State: %v, %v", v, err)
	}
	if err := (Operation{State: json.RawMessage(`{"A":7}`)}).GetState(&v); err != nil || v.A != 7 {
		t.Errorf("%v, %v", v, err)
	}
	if err := (Operation{State: json.RawMessage(`{"A":"x"}`)}).GetState(&v); !errors.Is(err, ErrInvalid) || HintOf(err) == "" {
		t.Errorf("%v", err)
	}
}

func TestDoneAndErr(t *testing.T) {
	for phase, code := range map[Phase]Code{
		PhasePending: "", PhaseRunning: "", PhaseSucceeded: "", PhasePartial: ErrPartial, PhaseFailed: ErrFailed, PhaseCanceled: ErrCanceled,
	} {
		op := Operation{Kind: "test", Action: ActionCopy, Ref: testRef, Phase: phase}
		if got := CodeOf(op.Err()); got != code {
			t.Errorf("%s: the error's code is %q, want %q", phase, got, code)
		}
		if want := phase != PhasePending && phase != PhaseRunning; op.Done() != want {
			t.Errorf("%s: done is %v", phase, op.Done())
		}
	}
	op := fullOperation(t)
	op.Fail(&Error{Op: "CreateSnapshot", Code: ErrDenied, Err: errors.New("no"), Hint: "allow it"})
	want := &Error{Op: "CreateSnapshot", Kind: "test", Ref: testRef, Code: ErrDenied, Err: errors.New("no"), Hint: "allow it"}
	if got := op.Err(); got.Error() != want.Error() || CodeOf(got) != ErrDenied || HintOf(got) != "allow it" {
		t.Errorf("%v, want %v", got, want)
	}
	if (Operation{Phase: "unheard of"}).Done() {
		t.Error("an unknown phase reads as an end")
	}
}

func TestCheck(t *testing.T) {
	op := testOperation(t, "token")
	if err := op.Check("test"); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		tamper func(*Operation)
		code   Code
	}{
		"newer":       {func(op *Operation) { op.Version = OperationVersion + 1 }, ErrUnsupported},
		"no version":  {func(op *Operation) { op.Version = 0 }, ErrInvalid},
		"negative":    {func(op *Operation) { op.Version = -1 }, ErrInvalid},
		"id":          {func(op *Operation) { op.ID = "op-x" }, ErrInvalid},
		"no id":       {func(op *Operation) { op.ID = "" }, ErrInvalid},
		"kind":        {func(op *Operation) { op.Kind = "other" }, ErrInvalid},
		"action":      {func(op *Operation) { op.Action = ActionDelete }, ErrInvalid},
		"token":       {func(op *Operation) { op.Token += "x" }, ErrInvalid},
		"ref type":    {func(op *Operation) { op.Ref.Type += "x" }, ErrInvalid},
		"ref account": {func(op *Operation) { op.Ref.Account = "210987654321" }, ErrInvalid},
		"ref region":  {func(op *Operation) { op.Ref.Region = "us-east-1" }, ErrInvalid},
		"ref id":      {func(op *Operation) { op.Ref.ID += "x" }, ErrInvalid},
		"no ref":      {func(op *Operation) { op.Ref = Ref{} }, ErrInvalid},
		"pattern in the ref, with its own id": {func(op *Operation) {
			op.Ref.ID = "*"
			op.ID = operationID(op.Kind, op.Action, op.Ref, op.Token)
		}, ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			bad := op
			c.tamper(&bad)
			if err := bad.Check("test"); !errors.Is(err, c.code) {
				t.Errorf("%v, want %q", err, c.code)
			}
		})
	}
	if err := op.Check("other"); !errors.Is(err, ErrInvalid) {
		t.Errorf("for another strategy: %v", err)
	}
}

func TestOperationRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	full := reflect.ValueOf(fullOperation(t))
	ops := []Operation{fullOperation(t), testOperation(t, "token")}
	for range 500 { // any set of the optional fields
		op := testOperation(t, "token")
		v := reflect.ValueOf(&op).Elem()
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; random.IntN(2) == 0 && name != "Version" {
				v.Field(i).Set(full.Field(i))
			}
		}
		ops = append(ops, op)
	}
	for _, op := range ops {
		b, err := json.Marshal(op)
		if err != nil {
			t.Fatal(err)
		}
		got := fullOperation(t) // nothing of what was there may stay
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if d := cmp.Diff(op, got); d != "" {
			t.Fatalf("%s (-want +got):\n%s", b, d)
		}
	}
}

// TestOperationGolden holds the JSON of this release, which later ones must read.
func TestOperationGolden(t *testing.T) {
	const golden = `{"version":1,"id":"op-62ynibwm2xpbkhikdhrliudp74","kind":"test","action":"backup",` +
		`"ref":{"type":"test/thing","account":"123456789012","region":"eu-west-1","id":"thing-1"},"token":"token","input":"abc","owner":"snapwarden",` +
		`"tags":{"team":"blue"},"phase":"running","stage":"copy","since":"2026-11-20T01:02:03.000456789Z","next":"CopySnapshot","attempt":2,` +
		`"intended":"2026-11-20T01:02:03.00045679Z","unstored":true,"settling":true,"canceling":true,"percent":7,` +
		`"started":"2026-11-20T01:02:03.000456791Z","updated":"2026-11-20T01:02:03.000456792Z","deadline":"2026-11-20T01:02:03.000456793Z",` +
		`"poll":"2026-11-20T01:02:03.000456794Z",` +
		`"points":[{"type":"test/thing","account":"123456789012","region":"eu-west-1","ids":["thing-1"]},{"type":"a","account":"b","region":"c","ids":["d"]}],` +
		`"made":[{"type":"e","account":"f","region":"g","ids":["h"]}],"endpoints":[{"id":"x","host":"h","port":5432,"role":"primary"}],` +
		`"findings":[{"id":"a.b","severity":"warning","ref":{"type":"test/thing","account":"123456789012","region":"eu-west-1","id":"thing-1"},"message":"m","remedy":"r"}],` +
		`"failure":{"code":"quota","op":"CopySnapshot","message":"m","hint":"h"},"state":{"n":12345678901234567890}}`
	var got Operation
	if err := json.Unmarshal([]byte(golden), &got); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(fullOperation(t), got); d != "" {
		t.Errorf("read (-want +got):\n%s", d)
	}
	b, err := json.Marshal(fullOperation(t))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(golden, string(b)); d != "" {
		t.Errorf("written (-want +got):\n%s", d)
	}
}

func TestOperationRefusesNewer(t *testing.T) {
	for name, c := range map[string]struct {
		json string
		code Code
	}{
		"newer":                 {`{"version":2,"id":"op-x"}`, ErrUnsupported},
		"newer, another layout": {`{"version":2,"id":["x"],"ref":"arn:aws:x","points":{"a":1},"started":5}`, ErrUnsupported},
		"much newer":            {`{"version":2147483647}`, ErrUnsupported},
		"none":                  {`{}`, ErrInvalid},
		"null":                  {`null`, ErrInvalid},
		"zero":                  {`{"version":0,"id":"op-x"}`, ErrInvalid},
		"negative":              {`{"version":-1}`, ErrInvalid},
		"a word":                {`{"version":"2"}`, ErrInvalid},
		"a fraction":            {`{"version":1.5}`, ErrInvalid},
		"beyond an int":         {`{"version":1e99}`, ErrInvalid},
		"a list":                {`[]`, ErrInvalid},
		"another layout":        {`{"version":1,"ref":"arn:aws:x"}`, ErrInvalid},
		"a bad time":            {`{"version":1,"started":"yesterday"}`, ErrInvalid},
		"bad points":            {`{"version":1,"points":{"a":1}}`, ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			op := fullOperation(t)
			err := json.Unmarshal([]byte(c.json), &op)
			if !errors.Is(err, c.code) || HintOf(err) == "" {
				t.Errorf("%v, want %q", err, c.code)
			}
			if d := cmp.Diff(fullOperation(t), op); d != "" {
				t.Errorf("the Operation was changed (-want +got):\n%s", d)
			}
		})
	}
}

func TestOperationTruncated(t *testing.T) {
	b, err := json.Marshal(fullOperation(t))
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		var op Operation
		if err := json.Unmarshal(b[:n], &op); err == nil {
			t.Errorf("cut at %d it is read", n)
		}
		if err := op.UnmarshalJSON(b[:n]); !errors.Is(err, ErrInvalid) {
			t.Errorf("cut at %d: %v", n, err)
		}
		if !reflect.DeepEqual(op, Operation{}) {
			t.Errorf("cut at %d: the Operation was changed", n)
		}
	}
}

// TestOperationFits: an Operation with everything at its limit, and 128 points, is within what a Store must keep.
func TestOperationFits(t *testing.T) {
	tags := map[string]string{}
	for i := range 16 {
		tags[fmt.Sprintf("key-%02d", i)] = strings.Repeat("v", 250)
	}
	op, err := NewOperation("elasticache", ActionBackup, Ref{strings.Repeat("t", 20), "123456789012", "ap-southeast-1", strings.Repeat("i", 63)},
		Spec{Token: strings.Repeat("t", 256), Owner: strings.Repeat("o", 64), Tags: tags})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 128 {
		op.AddPoint(Ref{"ec2/snapshot", "123456789012", "ap-southeast-1", fmt.Sprintf("snap-%017x", i)})
	}
	for i := range 16 {
		op.Find(Finding{ID: fmt.Sprint("elasticache.finding-", i), Severity: SeverityWarning, Ref: Ref{"ec2/snapshot", "123456789012", "ap-southeast-1", fmt.Sprintf("snap-%017x", i)},
			Message: strings.Repeat("m", 120), Remedy: strings.Repeat("r", 80)})
	}
	op.Fail(&Error{Op: "CreateSnapshots", Code: ErrFailed, Err: errors.New(strings.Repeat("m", 5000)), Hint: strings.Repeat("h", 200)})
	b, err := json.Marshal(op)
	if err != nil || len(b) > MaxOperationBytes {
		t.Errorf("%d bytes, error %v", len(b), err)
	}
}

// FuzzOperation reads whatever comes: it never panics, its errors have a code, and what it reads it writes so that it reads the same again.
func FuzzOperation(f *testing.F) {
	full, err := json.Marshal(fullOperation(f))
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{
		string(full), "", "null", "{}", `{"version":1}`, `{"version":2}`, `{"version":1,"VERSION":2}`, `{"version":1,"state": { "a" : [1, "<"] } }`,
		`{"version":1,"points":[{"ids":["a","b"]},{}],"made":null,"tags":{"a":"\ud800"}}`, `{"version":1,"started":"0001-01-01T00:00:00+01:00"}`,
		`{"version":1,"failure":{},"findings":[{}],"endpoints":[{"port":-1}]}`, `{"version":1}{"version":1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var op Operation
		if err := op.UnmarshalJSON(b); err != nil {
			if !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrUnsupported) {
				t.Fatalf("an error without a code: %v", err)
			}
			return
		}
		once, err := json.Marshal(op)
		if err != nil {
			t.Fatalf("what was read can not be written: %v", err)
		}
		var again Operation
		if err := json.Unmarshal(once, &again); err != nil {
			t.Fatalf("what was written can not be read: %v: %s", err, once)
		}
		twice, err := json.Marshal(again)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%v:\n%s\n%s", err, once, twice)
		}
	})
}

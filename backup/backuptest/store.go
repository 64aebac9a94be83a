// Package backuptest has the conformance suites for what others implement of package backup.
package backuptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// TestStore holds a backup.Store to its contract, with one subtest for each named check and a fresh Store for each of them:
//
//	func TestMyStore(t *testing.T) {
//		backuptest.TestStore(t, func(t *testing.T) (backup.Store, func() backup.Store) {
//			dir := t.TempDir()
//			open := func() backup.Store { ... }
//			return open(), open
//		})
//	}
//
// open is called once for each check and must give a Store that holds nothing. Its second result opens the same medium again, as another
// process would; a nil one leaves out the checks of durability. open ends the test by its t if it can not give a Store, and registers its
// cleaning with t.Cleanup.
//
// The checks use the clock only to make times, wait for nothing, and make some hundred small writes each. They can not crash a machine: that
// what a Store has acknowledged survives a power cut is for the Store's own tests.
func TestStore(t *testing.T, open func(t *testing.T) (s backup.Store, reopen func() backup.Store)) {
	t.Helper()
	for _, c := range storeChecks {
		t.Run(c.name, func(t *testing.T) {
			s, reopen := open(t)
			if c.reopens && reopen == nil {
				t.Skip("the Store can not be opened again")
			}
			c.run(t, storeHarness{s, reopen})
		})
	}
}

// tb is what the checks need of *testing.T, so that the suite's own tests can watch them fail.
type tb interface {
	Context() context.Context
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// storeHarness is a Store to check.
type storeHarness struct {
	backup.Store
	reopen func() backup.Store
}

// storeCheck is one named check.
type storeCheck struct {
	name    string
	reopens bool
	run     func(t tb, s storeHarness)
}

// thing is what the checks' Operations act on.
var thing = backup.Ref{Type: "storetest/thing", Account: "123456789012", Region: "eu-west-1", ID: "thing-1"}

// newOperation makes an Operation as a Strategy's Start would; the token tells it from others.
func newOperation(t tb, token string) backup.Operation {
	t.Helper()
	op, err := backup.NewOperation("storetest", backup.ActionBackup, thing, backup.Spec{Token: token, Tags: map[string]string{"team": "blue"}})
	if err != nil {
		t.Fatalf("NewOperation: %v", err)
	}
	return op
}

// fullOperation sets every field, with values that a careless encoding changes.
func fullOperation(t tb, token string) backup.Operation {
	t.Helper()
	op := newOperation(t, token)
	at := time.Date(2026, 11, 20, 23, 59, 59, 123456789, time.UTC)
	op.Owner = "owner.of_it-1"
	op.Tags = map[string]string{"team": "blau & <grün>", "empty": "", "line": "a\u2028b\u0000\n\"c\\"}
	op.Phase, op.Stage, op.Since = backup.PhaseRunning, "copying", at
	op.Next, op.Attempt, op.Intended = "CopyThing", 3, at.Add(time.Nanosecond)
	op.Unstored, op.Canceling, op.Settling = true, true, true
	op.Percent = 42
	op.Started, op.Updated, op.Deadline, op.Poll = at, at.Add(time.Second), at.Add(24*time.Hour), at.Add(time.Millisecond)
	op.Points = refs("point", 3)
	op.Made = append(refs("made", 2), backup.Ref{Type: "storetest/other", Account: "210987654321", Region: "us-east-1", ID: "other:1"})
	op.Endpoints = []backup.Endpoint{{ID: "made-0", Host: "made-0.example.com", Port: 6379, Role: "primary"}}
	op.Findings = []backup.Finding{{ID: "storetest.surplus", Severity: backup.SeverityWarning, Ref: thing, Message: "a <surplus>", Remedy: "delete it"}}
	op.Failure = &backup.Failure{Code: backup.ErrQuota, Op: "CopyThing", Message: "too many", Hint: "fewer"}
	op.State = json.RawMessage(`{"big":12345678901234567890,"huge":1e400,"f":0.1,"zero":-0,"text":"é\u0000","list":[{"a":null},[]]}`)
	return op
}

func refs(name string, n int) backup.Refs {
	var rs backup.Refs
	for i := range n {
		r := thing
		r.ID = fmt.Sprintf("%s-%d", name, i)
		rs = append(rs, r)
	}
	return rs
}

// bigOperation is as long as an Operation may be.
func bigOperation(t tb, token string) backup.Operation {
	t.Helper()
	op := fullOperation(t, token)
	op.Points = refs("snap-0123456789abcdef", 128)
	op.State = json.RawMessage(`""`)
	free := backup.MaxOperationBytes - len(encode(t, op))
	if free <= 0 {
		t.Fatalf("the operation has no room for a State")
	}
	op.State = json.RawMessage(`"` + strings.Repeat("x", free) + `"`)
	if n := len(encode(t, op)); n != backup.MaxOperationBytes {
		t.Fatalf("the operation has %d bytes", n)
	}
	return op
}

// scramble changes everything that op refers to, in place.
func scramble(op backup.Operation) {
	for k := range op.Tags {
		op.Tags[k] = "scrambled"
	}
	for _, rs := range []backup.Refs{op.Points, op.Made} {
		for i := range rs {
			rs[i].ID = "scrambled"
		}
	}
	for i := range op.Endpoints {
		op.Endpoints[i].Host = "scrambled"
	}
	for i := range op.Findings {
		op.Findings[i].Message = "scrambled"
	}
	if op.Failure != nil {
		op.Failure.Message = "scrambled"
	}
	for i := range op.State {
		op.State[i] = '9'
	}
}

func encode(t tb, op backup.Operation) []byte {
	t.Helper()
	b, err := json.Marshal(op)
	if err != nil {
		t.Fatalf("the operation does not marshal: %v", err)
	}
	return b
}

// same compares Operations as JSON, which is all that a Store keeps.
func same(t tb, what string, got, want backup.Operation) {
	t.Helper()
	if g, w := encode(t, got), encode(t, want); !bytes.Equal(g, w) {
		t.Errorf("%s: the operation is\n%s\nand should be\n%s", what, g, w)
	}
}

// wantCode wants an error with a code in it.
func wantCode(t tb, what string, err error, code backup.Code) {
	t.Helper()
	var e *backup.Error
	switch {
	case err == nil:
		t.Errorf("%s: no error, want %q", what, code)
	case !errors.Is(err, code):
		t.Errorf("%s: %v is not %q", what, err, code)
	case !errors.As(err, &e):
		t.Errorf("%s: %v is no *backup.Error", what, err)
	}
}

func mustCreate(t tb, s backup.Store, op backup.Operation, run string) backup.Record {
	t.Helper()
	rec, created, err := s.Create(t.Context(), op, run)
	if err != nil || !created {
		t.Fatalf("Create of a new operation: created %v, error %v", created, err)
	}
	return rec
}

func mustLoad(t tb, s backup.Store, id string) backup.Record {
	t.Helper()
	rec, err := s.Load(t.Context(), id)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return rec
}

func mustSave(t tb, s backup.Store, rec *backup.Record) {
	t.Helper()
	if err := s.Save(t.Context(), rec); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

// unfinished lists the ids; an id that comes twice is an error.
func unfinished(t tb, s backup.Store) map[string]backup.Record {
	t.Helper()
	found := map[string]backup.Record{}
	for rec, err := range s.Unfinished(t.Context()) {
		if err != nil {
			t.Fatalf("Unfinished: %v", err)
		}
		if _, ok := found[rec.Operation.ID]; ok {
			t.Errorf("Unfinished yields %s twice", rec.Operation.ID)
		}
		found[rec.Operation.ID] = rec
	}
	return found
}

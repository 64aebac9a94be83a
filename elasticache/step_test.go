package elasticache_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

func TestStartRefusals(t *testing.T) {
	b := newBed(t)
	tags := map[string]string{}
	for i := range 47 {
		tags[fmt.Sprint("k", i)] = "v"
	}
	for _, c := range []struct {
		name string
		ref  backup.Ref
		spec backup.Spec
	}{
		{"no token", cluster("one"), backup.Spec{}},
		{"another type", snapshot("one"), backup.Spec{Token: "t"}},
		{"capital letters", backup.Ref{Type: elasticache.TypeCluster, Account: account, Region: region, ID: "One"}, backup.Spec{Token: "t"}},
		{"bad id", cluster("a--b"), backup.Spec{Token: "t"}},
		{"long group id", group(strings.Repeat("a", 41)), backup.Spec{Token: "t"}},
		{"bad Region", elasticache.Cluster(account, "moon", "one"), backup.Spec{Token: "t"}},
		{"another Region", elasticache.Cluster(account, "us-east-1", "one"), backup.Spec{Token: "t"}},
		{"long name", cluster("one"), backup.Spec{Token: "t", Name: strings.Repeat("a", 41)}},
		{"automatic name", cluster("one"), backup.Spec{Token: "t", Name: "automatic.x"}},
		{"bad key", cluster("one"), backup.Spec{Token: "t", Options: elasticache.BackupOptions{KMSKeyID: "k"}}},
		{"pointer options", cluster("one"), backup.Spec{Token: "t", Options: &elasticache.BackupOptions{}}},
		{"other options", cluster("one"), backup.Spec{Token: "t", Options: elasticache.DeleteOptions{}}},
		{"too many tags", cluster("one"), backup.Spec{Token: "t", Tags: tags}},
	} {
		_, err := b.s.Start(b.Context(), c.ref, c.spec)
		if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := len(b.world.Calls()); n != 0 {
		t.Errorf("Start made %d calls", n)
	}
}

func TestCancel(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		op := b.start(cluster("one"), backup.Spec{})
		op, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		b.failed(b.run(op), backup.PhaseCanceled, backup.ErrCanceled)

		op = b.start(cluster("one"), backup.Spec{})
		op, err = step(b.TB, b.s, op) // looked
		b.ok(err)
		if op.Next != "CreateSnapshot" {
			t.Fatalf("next is %q", op.Next)
		}
		stopped, err := b.s.Cancel(b.Context(), op)
		b.ok(err)
		stopped, err = b.s.Cancel(b.Context(), stopped)
		b.ok(err)
		b.failed(b.run(stopped), backup.PhaseCanceled, backup.ErrCanceled)
		if n := b.sent("CreateSnapshot"); n != 0 {
			t.Errorf("sent %d times", n)
		}
		op, err = step(b.TB, b.s, op) // sent
		b.ok(err)
		_, err = b.s.Cancel(b.Context(), op)
		b.code(err, backup.ErrUnsupported)
		op = b.run(op)
		b.succeeded(op)
		_, err = b.s.Cancel(b.Context(), op)
		b.code(err, backup.ErrUnsupported)
	})
}

func TestStepIsCareful(t *testing.T) {
	bubble(t, func(b *bed) {
		b.cluster("one")
		op := b.start(cluster("one"), backup.Spec{})
		other := op
		other.Kind = "ebs"
		_, err := b.s.Step(b.Context(), other)
		b.code(err, backup.ErrInvalid)
		lost := op
		lost.Stage = "nowhere"
		_, err = b.s.Step(b.Context(), lost)
		b.code(err, backup.ErrInvalid)
		broken := op
		broken.State = []byte(`[]`)
		_, err = b.s.Step(b.Context(), broken)
		b.code(err, backup.ErrInvalid)
		// Without a recorded attempt nothing is sent.
		op, err = b.s.Step(b.Context(), op)
		b.ok(err)
		for range 3 {
			op, err = b.s.Step(b.Context(), op)
			b.ok(err)
		}
		if n := b.sent("CreateSnapshot"); n != 0 || op.Stage != "create" {
			t.Errorf("sent %d times in stage %s", n, op.Stage)
		}
		done := b.run(op)
		same, err := b.s.Step(b.Context(), done)
		b.ok(err)
		if d := cmp.Diff(done, same); d != "" {
			t.Error(d)
		}
	})
}

func TestOtherAccount(t *testing.T) {
	bubble(t, func(b *bed) {
		op, err := b.s.Start(b.Context(), elasticache.Cluster("444455556666", region, "one"), backup.Spec{Token: "t"})
		b.ok(err) // the account is not known before the first call
		_, err = b.s.Step(b.Context(), op)
		b.code(err, backup.ErrInvalid)
		_, err = b.s.Start(b.Context(), elasticache.Cluster("444455556666", region, "one"), backup.Spec{Token: "t"})
		b.code(err, backup.ErrInvalid)
	})
}

func TestPartialBackup(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 2, 1)
		op := b.start(group("orders"), backup.Spec{})
		op, err := step(b.TB, b.s, op)
		b.ok(err)
		// Between the look and the call the group lost a shard: the plan says three.
		op.State = []byte(strings.Replace(string(op.State), `"0002"]`, `"0002","0003"]`, 1))
		op = b.run(op)
		b.failed(op, backup.PhasePartial, backup.ErrPartial)
		if !strings.Contains(op.Failure.Message, "0003") || len(op.Points) != 1 {
			t.Errorf("%+v, %v", op.Failure, op.Points)
		}
	})
}

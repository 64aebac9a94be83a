package ebs_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
)

func TestListAndDiscover(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		set := b.backedUp(t, t.Context(), b.instance)
		single := b.backedUp(t, t.Context(), b.volume)
		b.ec2.Seed(b.world, account, region, 30, ec2sim.Seeds{})
		b.world.SetPageLimit(7)
		all := backup.Query{Account: account, Region: region}
		list := func(f func(*backup.Query)) (refs []backup.Ref) {
			q := all
			f(&q)
			for p, err := range s.List(t.Context(), q) {
				if err != nil {
					t.Fatal(err)
				}
				refs = append(refs, p.Ref)
			}
			return refs
		}
		if got := list(func(*backup.Query) {}); len(got) != 32 || !slices.Contains(got, set) || !slices.Contains(got, single) {
			t.Errorf("all: %d, %v", len(got), got)
		}
		for _, c := range []struct {
			name string
			q    func(*backup.Query)
			want []backup.Ref
		}{
			{"the sets", func(q *backup.Query) { q.Types = []string{ebs.TypeSet} }, []backup.Ref{set}},
			{"of the instance", func(q *backup.Query) { q.Source = b.instance }, []backup.Ref{set}},
			{"one of the set", func(q *backup.Query) { q.Point = set }, []backup.Ref{set}},
			{"one snapshot", func(q *backup.Query) { q.Point = single }, []backup.Ref{single}},
			{"ours alone by tag", func(q *backup.Query) {
				q.Tags = map[string]string{backup.TagOwner: backup.DefaultOwner, backup.TagSource: ""}
				q.Types = []string{ebs.TypeSnapshot}
			}, []backup.Ref{single}},
			{"a wildcard is no wildcard", func(q *backup.Query) { q.Tags = map[string]string{backup.TagOwner: "snap*"} }, nil},
		} {
			if diff := cmp.Diff(c.want, list(c.q)); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
		for range s.List(t.Context(), all) {
			break // stopping early is allowed
		}
		var found []backup.Ref
		for r, err := range s.Discover(t.Context(), backup.Query{Account: account, Region: region, Tags: map[string]string{"team": "orders"}}) {
			if err != nil {
				t.Fatal(err)
			}
			if r.ARN != "arn:aws:ec2:eu-west-1:111122223333:instance/"+b.instance.ID || r.Tags["team"] != "orders" {
				t.Errorf("%+v", r)
			}
			found = append(found, r.Ref)
		}
		if diff := cmp.Diff([]backup.Ref{b.instance}, found); diff != "" {
			t.Error(diff)
		}
		found = nil
		for r, err := range s.Discover(t.Context(), backup.Query{Account: account, Region: region, Types: []string{ebs.TypeVolume}}) {
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, r.Ref)
		}
		if len(found) != 3 || !slices.Contains(found, b.volume) {
			t.Errorf("volumes: %v", found)
		}
		for _, q := range []backup.Query{
			{Account: account, Region: "eu-west-2"},
			{Account: account, Region: region, Types: []string{"rds/instance"}},
			{Account: account, Region: region, Source: set},
			{Account: account, Region: region, Point: ebs.Snapshot("999988887777", region, single.ID)},
			{Account: account, Region: region, Point: b.volume},
		} {
			n := 0
			for _, err := range s.List(t.Context(), q) {
				if n++; !errors.Is(err, backup.ErrInvalid) {
					t.Errorf("list %+v: %v", q, err)
				}
			}
			for _, err := range s.Discover(t.Context(), q) {
				if n++; !errors.Is(err, backup.ErrInvalid) {
					t.Errorf("discover %+v: %v", q, err)
				}
			}
			if n != 2 {
				t.Errorf("%+v yielded %d times", q, n)
			}
		}
		// A page that can not be read ends the listing with an error: it is not a list.
		b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 2, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation"}})
		var last error
		for _, err := range s.List(t.Context(), all) {
			last = err
		}
		if !errors.Is(last, backup.ErrDenied) {
			t.Errorf("the listing ended with %v", last)
		}
	})
}

func TestPreflight(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		set := b.backedUp(t, t.Context(), b.instance)
		look := func(op backup.Operation, err error) (ids []string) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
			before := len(b.world.Calls())
			findings, err := s.Preflight(t.Context(), op)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range b.world.Calls()[before:] {
				if c.Mutates {
					t.Errorf("preflight called %s", c.Operation)
				}
			}
			for _, f := range findings {
				ids = append(ids, f.ID)
			}
			return ids
		}
		spec := backup.Spec{Token: "t"}
		zone := backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}}
		missing := ebs.Snapshot(account, region, "snap-0123456789abcdef0")
		for _, c := range []struct {
			name string
			got  []string
			want []string
		}{
			{"an instance", look(s.Start(t.Context(), b.instance, spec)), nil},
			{"a volume", look(s.Start(t.Context(), b.volume, spec)), nil},
			{"no volume", look(s.Start(t.Context(), ebs.Volume(account, region, "vol-0123456789abcdef0"), spec)), []string{"ebs.backup-refused"}},
			{"no instance", look(s.Start(t.Context(), ebs.Instance(account, region, "i-0123456789abcdef0"), spec)), []string{"ebs.backup-refused"}},
			{"a set", look(s.StartRestore(t.Context(), set, zone)), nil},
			{"no snapshot to restore", look(s.StartRestore(t.Context(), missing, zone)), []string{"ebs.not-found"}},
			{"no snapshot to delete", look(s.StartDelete(t.Context(), missing, spec)), []string{"ebs.not-found"}},
			{"a set to delete", look(s.StartDelete(t.Context(), set, spec)), nil},
		} {
			if diff := cmp.Diff(c.want, c.got); diff != "" {
				t.Errorf("%s: %s", c.name, diff)
			}
		}
		// A source that is not there fails the backup too, but one look is not enough for that.
		op, err := s.Start(t.Context(), ebs.Volume(account, region, "vol-0123456789abcdef0"), spec)
		began := time.Now()
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrNotFound)
		if d := time.Since(began); d < time.Minute {
			t.Errorf("believed after %v", d)
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeInstances", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "InternalError", Status: 500}})
		op, err = s.Start(t.Context(), b.instance, spec)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Preflight(t.Context(), op); !errors.Is(err, backup.ErrUnavailable) {
			t.Errorf("preflight without an answer: %v", err)
		}
	})
}

package backuptest

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

func matches(q backup.Query, r backup.Ref, tags map[string]string) bool {
	for k, v := range q.Tags {
		have, ok := tags[k]
		if !ok || v != "" && v != have {
			return false
		}
	}
	return len(q.Types) == 0 || slices.Contains(q.Types, r.Type)
}

// pages yields what is visible of a kind, as far as take wants it.
func pages[T any](s *vaultStrategy, ctx context.Context, kind string, refused error, take func(item) (T, bool)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if refused != nil {
			yield(zero, refused)
			return
		}
		for page := 0; ; page++ {
			found, more, err := s.v.list(ctx, kind, page)
			if err != nil {
				if s.is("lists a part without an error") {
					return
				}
				if yield(zero, err) && s.is("lists on after an error") {
					yield(zero, err)
				}
				return
			}
			for _, i := range found {
				if x, ok := take(i); ok && !yield(x, nil) && !s.is("lists on after the loop has ended") {
					return
				}
			}
			if !more || s.is("lists the first page alone") {
				return
			}
		}
	}
}

func (s *vaultStrategy) Discover(ctx context.Context, q backup.Query) iter.Seq2[backup.Resource, error] {
	refused := s.place(q.Account, q.Region)
	if (!q.Source.IsZero() || !q.Point.IsZero()) && !s.is("discovers whatever is asked") {
		refused = s.fail(backup.Operation{}, backup.ErrInvalid, "Source and Point are for List")
	}
	if s.is("discovers in any account") {
		refused = nil
	}
	return pages(s, ctx, "database", refused, func(i item) (backup.Resource, bool) {
		switch {
		case s.is("discovers without tags"):
			i.tags = nil
			q.Tags = nil
		case s.is("discovers by any of the tags"):
			for k, v := range q.Tags {
				if i.tags[k] == v {
					return backup.Resource{Ref: i.ref, Tags: i.tags}, true
				}
			}
		case s.is("discovers nothing of an empty value") && len(q.Tags) == 1:
			for k, v := range q.Tags {
				return backup.Resource{Ref: i.ref, Tags: i.tags}, i.tags[k] == v
			}
		}
		return backup.Resource{Ref: i.ref, Tags: i.tags}, matches(q, i.ref, i.tags)
	})
}

func (s *vaultStrategy) List(ctx context.Context, q backup.Query) iter.Seq2[backup.RecoveryPoint, error] {
	refused := s.place(q.Account, q.Region)
	for _, r := range []backup.Ref{q.Source, q.Point} {
		if r.IsZero() || s.is("lists whatever is asked") {
			continue
		}
		if err := r.Validate(); err != nil {
			refused = err
		} else if r.Account != q.Account || r.Region != q.Region || r == q.Source && r.Type != "vault/database" || r == q.Point && r.Type != "vault/point" {
			refused = s.fail(backup.Operation{}, backup.ErrInvalid, "%s can not be listed by", r)
		}
	}
	return pages(s, ctx, "point", refused, func(i item) (backup.RecoveryPoint, bool) {
		p := backup.RecoveryPoint{Ref: i.ref, Source: i.source, CreatedAt: i.made, Status: i.status(time.Now()), Tags: i.tags}
		ok := matches(q, p.Ref, p.Tags) && (q.Source.IsZero() || q.Source == p.Source || s.is("lists all sources")) && (q.Point.IsZero() || q.Point == p.Ref || s.is("lists all points"))
		switch s.bug {
		case "lists without a time":
			p.CreatedAt = time.Time{}
		case "lists everything as available":
			p.Status = backup.StatusAvailable
		case "lists everything as pending":
			p.Status = backup.StatusPending
		case "lists without a source":
			p.Source = backup.Ref{}
		case "lists its own as automated":
			p.Automated = true
		case "lists tags by their beginning":
			for k, v := range q.Tags {
				ok = strings.HasPrefix(p.Tags[k], strings.TrimSuffix(v, "*"))
			}
		}
		return p, ok
	})
}

func (s *vaultStrategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(s.Kind()); err != nil {
		return nil, err
	}
	if s.is("tries it out in the preflight") {
		_, _ = s.v.create(ctx, "point", op.Ref, maps.Clone(op.Tags))
	}
	_, ok, err := s.v.get(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	found := []backup.Finding{{ID: "vault.slow", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "it takes minutes"}}
	bad := backup.Finding{ID: "vault.missing", Severity: backup.SeverityError, Ref: op.Ref, Message: "there is no such thing"}
	switch {
	case s.is("cries wolf in the preflight"):
		return []backup.Finding{bad}, nil
	case ok || s.is("finds nothing in the preflight"):
		return found, nil
	case s.is("finds the worst last"):
		return append(found, bad), nil
	}
	return append([]backup.Finding{bad}, found...), nil
}

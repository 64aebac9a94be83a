package dump

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
)

// List yields the files, in the order of their names.
func (s *Strategy) List(ctx context.Context, q backup.Query) iter.Seq2[backup.RecoveryPoint, error] {
	return func(yield func(backup.RecoveryPoint, error) bool) {
		fail := func(code backup.Code, err error) {
			yield(backup.RecoveryPoint{}, &backup.Error{Op: "list", Kind: s.Kind(), Code: code, Err: err})
		}
		here := q.Account == s.Account && q.Region == s.Region
		if !here || !q.Source.IsZero() && !s.serves(q.Source, TypeDatabase) || !q.Point.IsZero() && !s.serves(q.Point, TypeFile) {
			fail(backup.ErrInvalid, errors.New("not the account and Region of this Strategy, or no such Source or Point"))
			return
		}
		files, err := os.ReadDir(s.Dir)
		if err != nil {
			fail(backup.ErrUnavailable, err)
			return
		}
		for _, file := range files {
			id, ok := strings.CutSuffix(file.Name(), ".dump")
			if !ok || !ids[TypeFile].MatchString(id) {
				continue
			}
			p, _, err := s.read(id)
			if errors.Is(err, fs.ErrNotExist) {
				continue // deleted meanwhile
			}
			// A listing that is cut short must say so: somebody may delete by it.
			if err = errors.Join(err, context.Cause(ctx)); err != nil {
				fail(backup.ErrUnavailable, err)
				return
			}
			if wanted(q, p) && !yield(p, nil) {
				return
			}
		}
	}
}

func wanted(q backup.Query, p backup.RecoveryPoint) bool {
	for k, v := range q.Tags {
		if have, ok := p.Tags[k]; !ok || v != "" && v != have {
			return false
		}
	}
	return (q.Source.IsZero() || q.Source == p.Source) && (q.Point.IsZero() || q.Point == p.Ref) &&
		(len(q.Types) == 0 || slices.Contains(q.Types, p.Type))
}

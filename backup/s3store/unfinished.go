package s3store

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
)

// pageSize is the most that S3 lists at once. Source: S3 API, ListObjectsV2.
const pageSize = 1000

// marker is an object of the list of the unfinished.
type marker struct {
	key, nonce string
	at         time.Time
}

// entry is an Operation in the list of the unfinished, with the markers that it has there.
type entry struct {
	id      string
	markers []marker
	rec     backup.Record
	show    bool
	err     error
}

// Unfinished is as backup.Store says, in the order of the ids. The list comes in pages, and the records of a page are read side by side,
// Options.Concurrency at a time, before the first of them is yielded: no request is under way while the loop has one.
//
// If the list itself can not be read, that is yielded as an error and the iteration ends. On the way it removes markers of Operations that have
// ended, and those that nothing refers to and that are older than a day; where that fails they stay for the next time.
func (s *Store) Unfinished(ctx context.Context) iter.Seq2[backup.Record, error] {
	return func(yield func(backup.Record, error) bool) {
		token, last := "", ""
		for {
			if err := context.Cause(ctx); err != nil {
				yield(backup.Record{}, err)
				return
			}
			prefix := s.key(dirOpen, "")
			page, err := s.list(ctx, prefix, token, pageSize)
			if err != nil {
				yield(backup.Record{}, err)
				return
			}
			var entries []entry
			for _, o := range page.Contents {
				key := aws.ToString(o.Key)
				id, nonce, ok := strings.Cut(strings.TrimPrefix(key, prefix), ".")
				if !ok || checkName("operation id", id) != nil || !isNonce(nonce) || id == last && len(entries) == 0 {
					continue // not one of ours, or an id of the page before
				}
				if n := len(entries); n == 0 || entries[n-1].id != id {
					entries = append(entries, entry{id: id})
				}
				e := &entries[len(entries)-1]
				e.markers = append(e.markers, marker{key, nonce, aws.ToTime(o.LastModified)})
				last = id
			}
			if !s.yieldAll(ctx, entries, yield) {
				return
			}
			token = aws.ToString(page.NextContinuationToken)
			if !aws.ToBool(page.IsTruncated) || token == "" {
				return
			}
		}
	}
}

// yieldAll reports whether the loop goes on.
func (s *Store) yieldAll(ctx context.Context, entries []entry, yield func(backup.Record, error) bool) bool {
	for len(entries) > 0 {
		some := entries[:min(len(entries), s.opts.Concurrency)]
		entries = entries[len(some):]
		s.each(len(some), func(i int) { s.look(ctx, &some[i]) })
		for i := range some {
			if err := context.Cause(ctx); err != nil {
				yield(backup.Record{}, err)
				return false
			}
			if e := &some[i]; e.show && !yield(e.rec, e.err) {
				return false
			}
		}
	}
	return true
}

// look reads an entry's record and removes what nobody needs of its markers. A marker that is young and that nothing refers to belongs to a Create
// that is under way, and is left to it.
func (s *Store) look(ctx context.Context, e *entry) {
	st, found, err := s.load(ctx, e.id)
	if err != nil {
		e.err, e.show = err, true
		return
	}
	listed := false
	for _, m := range e.markers {
		listed = listed || m.nonce == st.ver.marker
	}
	open := found && !st.ver.ended
	if open {
		e.rec, e.show = st.rec, true
	}
	for _, m := range e.markers {
		own := m.nonce == st.ver.marker
		old := time.Since(m.at) > markerAge
		switch {
		case open && (own || !listed): // it keeps the Operation in the list
		case own, old:
			_ = s.remove(ctx, m.key) // there will be a next time
		}
	}
}

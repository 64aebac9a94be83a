package elasticacheexport

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
)

// calm has the time begin again for which nothing may change.
func (st *state) calm() { st.Lost = time.Now().UTC().Round(0) }

// quiet is how long nothing may change before an export of a serverless cache is taken as ended. Where its status never showed the export, there is
// no other sign, and it is three times as long.
func (s *Strategy) quiet(st state) time.Duration {
	if st.Copying {
		return s.opts.Settle
	}
	return 3 * s.opts.Settle
}

// waitServerless waits for the end of an export of a serverless cache. AWS tells neither that nor how many files there will be. It is taken as ended
// when for a whole settle window the snapshot was available and the files were the same, and none is being uploaded at its end. Of a snapshot that
// broke or was deleted before that, nobody knows how many files there should be, so that those which came by then are no backup.
func (s *Strategy) waitServerless(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		return op, err
	}
	broken := "was gone"
	if x != nil {
		broken = ""
		switch status := word(x.SnapshotStatus); status {
		case statusAvailable:
			if err := st.differs(st.point(op.Ref), x); err != nil {
				op.Fail(err)
				return op, nil
			}
		case statusFailed, statusDeleting:
			broken = "was " + status
		case statusCreating:
			// An old view of it, or another of its name, which a later look will tell. It is no sign of the export.
			st.Seen = ""
			s.poll(&op)
			return op, op.SetState(st)
		default:
			// The statuses are not documented: whatever else it is, it is busy.
			st.Copying, st.Seen = true, ""
			s.poll(&op)
			return op, op.SetState(st)
		}
	}
	op, files, err := s.survey(ctx, c, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	if op.Done() {
		return op, nil
	}
	if n := len(files); n > 0 && files[n-1].key == s3export.ManifestKey(st.Name) {
		op.Fail(failure(op, "export", backup.ErrConflict, "look at what else is in the bucket under this name", "there is a manifest %s, which is not of this export", files[n-1].key))
		return op, nil
	}
	if err := st.older(op, files); err != nil {
		op.Fail(err)
		return op, nil
	}
	d := digest(files)
	if broken != "" {
		d = "!" + d[1:] // that, too, must be so for the whole time
	}
	if d != st.Seen {
		st.Seen = d
		st.calm()
	}
	if time.Since(st.Lost) < s.quiet(st) {
		s.poll(&op)
		return op, op.SetState(st)
	}
	// What was uploaded within that time is there, and changed the list.
	busy, err := s.unfinished(ctx, c, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	if busy {
		st.calm()
		s.poll(&op)
		return op, op.SetState(st)
	}
	if broken != "" {
		code, what := backup.ErrPartial, fmt.Sprintf("with %d there", len(files))
		if len(files) == 0 {
			code, what = backup.ErrFailed, "with none there"
		}
		op.Fail(failure(op, "export", code, hintOtherPoint,
			"the snapshot %s %s before the end of its export was seen, so that nothing tells how many files there should be, %s", st.point(op.Ref).ID, broken, what))
		return op, nil
	}
	if len(files) == 0 && !st.Copying {
		// There is no sign that it is over, and what others write is none.
		s.poll(&op)
		return op, op.SetState(st)
	}
	odd, more, err := s.strangers(ctx, c, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	if len(files) == 0 {
		op.Fail(st.nothing(op, odd))
		return op, nil
	}
	if err := st.beside(&op, files, odd, more); err != nil {
		op.Fail(err)
		return op, nil
	}
	if st.Shards, err = st.count(op, files); err != nil {
		op.Fail(err)
		return op, nil
	}
	found, _ := st.match(files)
	st.Seen = digest(found)
	if n := st.largest(op); n > backup.MaxOperationBytes {
		op.Fail(failure(op, "export", backup.ErrUnsupported, "use the files by hand, or restore the snapshot to a serverless cache",
			"the export has %d files, with which the work would need %d bytes, and an Operation has %d", len(files), n, backup.MaxOperationBytes))
		return op, nil
	}
	if err := st.foresee(op); err != nil {
		op.Fail(err)
		return op, nil
	}
	op.To(stageVerify, "")
	return op, op.SetState(st)
}

// older refuses files that are older than the export, or, where the name proves whose they are, than its data.
func (st state) older(op backup.Operation, files []file) error {
	first := st.first(op)
	for _, f := range files {
		if f.at.Before(first) {
			return failure(op, "export", backup.ErrConflict, st.another(), "the object %s is older than this export", f.key)
		}
	}
	return nil
}

// nothing is the error of an export that ended, and of which no file came.
func (st state) nothing(op backup.Operation, odd []string) error {
	if len(odd) > 0 {
		return st.unproved(op, "the export ended, and there are only", odd)
	}
	return failure(op, "export", backup.ErrFailed, "look at the cache's events, and export again with another token", "the export ended and wrote no file")
}

// beside judges the strangers beside files of the export. Those that may be of snapshots with a longer name are told of, and others may be the rest of it.
func (st state) beside(op *backup.Operation, files []file, odd []string, more bool) error {
	rest := slices.DeleteFunc(slices.Clone(odd), func(key string) bool { return st.elsewhere(key, files) })
	if len(rest) > 0 {
		return st.unproved(*op, "beside files of the export there are", rest)
	}
	if len(odd) == 0 && !more {
		return nil
	}
	what := fmt.Sprintf("%d, such as %s", len(odd), some(odd, 1))
	if len(odd) == 0 {
		what = "too many to look at all"
	}
	op.Find(backup.Finding{ID: of("written-beside"), Severity: backup.SeverityWarning, Ref: st.files(op.Ref),
		Message: fmt.Sprintf("objects that only begin alike are not taken for files of the export, but for those of longer names: %s", what),
		Remedy:  "if they are none of another export, use another bucket"})
	return nil
}

// unproved refuses objects of which nothing tells whether they are of the export.
func (st state) unproved(op backup.Operation, what string, keys []string) error {
	return failure(op, "export", backup.ErrUnsupported, "look at these objects; export the cache itself, whose snapshot then has a name that proves what is of it",
		"%s young objects that begin with %s, in a form that does not prove whether they are of it: %s", what, st.Name, some(keys, 3))
}

// some gives the first n keys.
func some(keys []string, n int) string { return strings.Join(keys[:min(n, len(keys))], ", ") }

package elasticacheexport

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
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
// when for a whole settle window the snapshot was available and the files were the same, and none is being uploaded at its end.
func (s *Strategy) waitServerless(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		return op, err
	}
	if x != nil {
		switch status := word(x.SnapshotStatus); status {
		case statusAvailable:
			if err := st.differs(st.point(op.Ref), x); err != nil {
				op.Fail(err)
				return op, nil
			}
		case statusFailed, statusDeleting:
			// As one that is gone: the files decide.
		case statusCreating:
			s.poll(&op)
			return op, nil
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
	if d := digest(files); d != st.Seen {
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
	if len(files) == 0 {
		return s.nothing(ctx, c, op, st)
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
	first := op.Started.Add(-clockSkew)
	if st.Own {
		first = st.Taken
	}
	for _, f := range files {
		if f.at.Before(first) {
			return failure(op, "export", backup.ErrConflict, st.another(), "the object %s is older than this export", f.key)
		}
	}
	return nil
}

// nothing ends an export of which no file came, if there is a sign that it is over.
func (s *Strategy) nothing(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	keys, err := s.strangers(ctx, c, op, st)
	switch {
	case err != nil:
		return s.stop(op, err)
	case len(keys) > 0:
		op.Fail(failure(op, "export", backup.ErrUnsupported, "look at these objects; export the cache itself, whose snapshot then has a name that proves what is of it",
			"objects that begin with %s were written, in a form that does not prove that they are of this export: %s", st.Name, strings.Join(keys[:min(3, len(keys))], ", ")))
		return op, nil
	case st.Copying:
		op.Fail(failure(op, "export", backup.ErrFailed, "look at the cache's events, and export again with another token", "the export ended and wrote no file"))
		return op, nil
	}
	s.poll(&op)
	return op, op.SetState(st)
}

// count makes shards of the files that are there. What can not be all, or not all of it files of an export, is refused.
func (st state) count(op backup.Operation, files []file) ([]shard, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b file) int { return cmp.Compare(a.key, b.key) })
	var all []shard
	ids, least, most := map[string]bool{}, 0, 0
	for i, f := range files {
		rest := f.key[len(st.Name):]
		if !strings.EqualFold(rest[max(0, len(rest)-len(".rdb")):], ".rdb") {
			return nil, failure(op, "export", backup.ErrUnsupported, "look at what is listed in Made", "the object %s was written, which is no .rdb file", f.key)
		}
		if f.size == 0 {
			return nil, failure(op, "export", backup.ErrPartial, "delete what is listed in Made and export again with another token", "the export ended, and the file %s is empty", f.key)
		}
		all = append(all, shard{ID: fmt.Sprintf("%04d", i+1), Rest: rest})
		if id, ok := number(rest); ok && len(id) <= 8 {
			n, _ := strconv.Atoi(id) // digits, and not many
			if ids[id] = true; i == 0 {
				least = n
			}
			least, most = min(least, n), max(most, n)
		}
	}
	if len(ids) < len(files) {
		return all, nil // AWS does not number them, or not all
	}
	for i := range all {
		all[i].ID, _ = number(all[i].Rest)
		if all[i].Rest == "-"+all[i].ID+".rdb" {
			all[i].Rest = ""
		}
	}
	// Numbers that are those of shards leave none out. Larger ones may be anything.
	if most <= s3export.MaxShards && (least > 1 || most-least+1 != len(all)) {
		return nil, failure(op, "export", backup.ErrPartial, "look at the files that are listed in Made: if they are all, use them by hand; if not, delete them and export again with another token",
			"the %d files of the export are numbered from %d to %d, so that some seem to be missing", len(all), least, most)
	}
	return all, nil
}

// counted is the finding that the number of files is an inference.
func (s *Strategy) counted(op *backup.Operation, st state, m s3export.Manifest) {
	size := int64(0)
	for _, x := range m.Shards {
		size += x.Size
	}
	told := ""
	if st.Bytes != "" {
		told = "; AWS gives the snapshot " + st.Bytes
	}
	op.Find(backup.Finding{ID: of("counted"), Severity: backup.SeverityWarning, Ref: st.files(op.Ref),
		Message: fmt.Sprintf("AWS tells neither the end of a serverless cache's export nor how many files it has: %d, of %d bytes in all, were there when nothing had changed for %v%s", len(m.Shards), size, s.opts.Settle, told),
		Remedy:  "load or restore it once before relying on it alone"})
	if m.Seedable() != nil {
		op.Find(backup.Finding{ID: of("slots-unknown"), Severity: backup.SeverityInfo, Ref: st.files(op.Ref),
			Message: "which hash slots each file holds is not known, so that the library seeds no cluster from it", Remedy: "restore the snapshot itself to a serverless cache"})
	}
}

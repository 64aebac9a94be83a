package elasticacheexport

import (
	"context"

	"github.com/snapwarden/snapwarden/backup"
)

// verify reads the next file, or the next stretch of it, and holds it to be what it says itself that it is.
func (s *Strategy) verify(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	if st.At >= len(st.Shards) {
		op.To(stageManifest, "PutObject")
		return op, op.SetState(st)
	}
	key := st.key(st.At)
	out, err := s.get(ctx, c, op.Ref, st.Bucket, key, st.reading)
	if err != nil {
		return s.stop(op, err)
	}
	defer func() { _ = out.Body.Close() }() // what was read is checked
	got, err := s.stretch(ctx, op.Ref, out, &st.reading)
	switch {
	case err != nil:
		return op, err
	case got.damage != nil:
		op.Fail(failure(op, "verify", backup.ErrFailed, "delete what is listed in Made and export again with another token; if it happens again, back up the cluster anew",
			"the file %s is damaged, and was so when it was read twice: %w", key, got.damage))
		return op, nil
	case !got.whole:
		op.Percent = max(op.Percent, percent(st, got.size))
		s.carryOn(&op, got)
		return op, op.SetState(st)
	}
	info := got.info
	if st.At > 0 && (info.Format != st.Format || info.Version != st.RDB) {
		op.Fail(failure(op, "verify", backup.ErrConflict, "find out who writes to the bucket, and export again with another token",
			"the file %s is %s %d and those before it are %s %d: they are not of one export", key, info.Format, info.Version, st.Format, st.RDB))
		return op, nil
	}
	st.Format, st.RDB = info.Format, info.Version
	one := &st.Shards[st.At]
	one.Size, one.SHA, one.Off = info.Size, info.SHA256[:], info.ChecksumOff
	if info.ChecksumOff {
		op.Find(backup.Finding{ID: "elasticacheexport.checksum-off", Severity: backup.SeverityWarning, Ref: st.files(op.Ref),
			Message: "the file " + key + " was written without a checksum, so that only its header and its end could be checked"})
	}
	st.At, st.reading = st.At+1, reading{}
	op.Percent = percent(st, 0)
	op.PollIn(0)
	return op, op.SetState(st)
}

// percent is the share of the files that were read.
func percent(st state, size int64) int {
	p := 100 * st.At
	if size > 0 {
		p += int(100 * st.Offset / size)
	}
	return min(p/len(st.Shards), 99)
}

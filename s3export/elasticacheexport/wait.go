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

// survey lists what there is of the export. If its manifest is there already, written by an earlier run of the very same Operation, that ends
// the Operation well. Files whose name proves that they are this Operation's are listed in Made.
func (s *Strategy) survey(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, []file, error) {
	files, err := s.list(ctx, c, op.Ref, st)
	if err != nil {
		return op, nil, err
	}
	m, ours, err := s.ours(ctx, c, op, st, files)
	if err != nil {
		return op, nil, err
	}
	if ours || st.Own && len(files) > 0 {
		op.AddMade(st.files(op.Ref))
	}
	if !ours {
		return op, files, nil
	}
	for _, x := range m.Shards {
		if !slices.ContainsFunc(files, func(f file) bool { return f.key == x.Key && f.size == x.Size }) {
			op.Fail(failure(op, "export", backup.ErrConflict, "find out who writes to the bucket, and export again with another token",
				"the manifest of this export is there, and the file %s is not, or not as long as it says", x.Key))
			return op, nil, nil
		}
	}
	if st.Less {
		if err := st.late(op, m, files); err != nil {
			op.Fail(err)
			return op, nil, nil
		}
		s.counted(&op, st, m, true)
	}
	s.succeed(&op, st)
	return op, nil, nil
}

// late refuses an export of a serverless cache with a file that its manifest does not list: the end was inferred, and wrongly.
func (st state) late(op backup.Operation, m s3export.Manifest, files []file) error {
	for _, f := range files {
		if f.key == s3export.ManifestKey(st.Name) || slices.ContainsFunc(m.Shards, func(x s3export.Shard) bool { return x.Key == f.key }) {
			continue
		}
		return failure(op, "export", backup.ErrConflict, "do not restore by the manifest before it is clear what the file is; export again with another token, to another bucket",
			"the manifest of this export is there, and so is the file %s, which it does not list: what it says of others is true, but they may not be all", f.key)
	}
	return nil
}

// ours reads the manifest, if there is one, and reports whether it is this Operation's.
func (s *Strategy) ours(ctx context.Context, c Clients, op backup.Operation, st state, files []file) (m s3export.Manifest, ours bool, err error) {
	key := s3export.ManifestKey(st.Name)
	if !slices.ContainsFunc(files, func(f file) bool { return f.key == key }) {
		return m, false, nil
	}
	body, _, err := s.load(ctx, c, op.Ref, st.Bucket, key)
	switch backup.CodeOf(err) {
	case "":
	case backup.ErrNotFound, backup.ErrInvalid:
		return m, false, nil // gone meanwhile, or none of ours
	default:
		return m, false, err
	}
	m, err = s3export.ParseManifest(body)
	if err != nil {
		return m, false, nil //nolint:nilerr // what is no manifest is not ours
	}
	// The snapshot that an export of a group or a cluster begins with may be another in another run.
	from := m.Source == op.Ref || st.Snapshot != ""
	return m, from && m.Operation == op.ID && m.Name == st.Name && m.Bucket == st.Bucket && m.Account == op.Ref.Account && m.Region == op.Ref.Region, nil
}

// succeed ends the Operation with the export as its point, which stands for all files.
func (s *Strategy) succeed(op *backup.Operation, st state) {
	op.AddPoint(Export(op.Ref.Account, op.Ref.Region, st.Bucket, st.Name))
	op.Made = nil
	op.Succeed()
}

// wait looks until the export has ended: the snapshot is not being copied, and all files are there and were the same at the look before.
func (s *Strategy) wait(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	if st.Less {
		return s.waitServerless(ctx, c, op, st)
	}
	x, err := s.snapshot(ctx, c, st.point(op.Ref))
	if err != nil {
		return op, err
	}
	// A snapshot that was deleted meanwhile does not undo its export: the files decide.
	if x != nil {
		switch word(x.SnapshotStatus) {
		case statusCopying:
			st.Copying, st.Lost, st.Seen = true, time.Time{}, ""
			s.poll(&op)
			return op, op.SetState(st)
		case statusCreating:
			// It was available before: this is an old view of it, or another one of its name, which a later look will tell.
			s.poll(&op)
			return op, op.SetState(st)
		case statusAvailable:
			// AWS was given a name, and perhaps that meant another snapshot already when the call arrived.
			if err := st.differs(st.point(op.Ref), x); err != nil {
				op.Fail(err)
				return op, nil
			}
		}
	}
	op, files, err := s.survey(ctx, c, op, st)
	if err != nil {
		return s.stop(op, err)
	}
	if op.Done() {
		return op, nil
	}
	first := st.first(op)
	found, missing := st.match(files)
	for _, f := range found {
		if f.at.Before(first) {
			op.Fail(failure(op, "export", backup.ErrConflict, "choose another Spec.Name, or leave it empty", "the object %s is older than this export", f.key))
			return op, nil
		}
		if f.size == 0 {
			missing = append(missing, f.key)
		}
	}
	if len(missing) > 0 {
		st.Seen = ""
		// That AWS shows an export by the status of its source is not documented. If it was never seen, files that are missing are no
		// sign of an end: they are waited for until the deadline.
		if !s.lost(&st.Lost) || !st.Copying {
			s.poll(&op)
			return op, op.SetState(st)
		}
		code, what := backup.ErrPartial, fmt.Sprintf("lacks %d of %d files", len(missing), len(st.Shards))
		if len(missing) == len(st.Shards) {
			code, what = backup.ErrFailed, "wrote no file"
		}
		op.Fail(failure(op, "export", code, "look at the cluster's events, delete what is listed in Made, and export again with another token",
			"the export ended and %s: %s", what, strings.Join(missing[:min(3, len(missing))], ", ")))
		return op, nil
	}
	if len(files) > len(found) {
		op.Fail(failure(op, "export", backup.ErrConflict, "look at what else is in the bucket under this name", "there are %d files where the snapshot has %d shards", len(files), len(found)))
		return op, nil
	}
	st.Lost = time.Time{}
	if d := digest(found); d != st.Seen {
		st.Seen = d
		s.poll(&op)
		return op, op.SetState(st)
	}
	op.To(stageVerify, "")
	return op, op.SetState(st)
}

// clockSkew is how far the clocks of this machine and of AWS may be apart.
const clockSkew = 10 * time.Minute

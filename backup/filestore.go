package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// FileStore is the Store that needs nothing but a folder on a local disk: one readable JSON file per Operation. It serves the goroutines and
// the processes of one machine; several machines need a Store that is not a disk. A network file system is not supported, because its
// advisory locks may be lost without notice.
//
// The folder:
//
//	lock                  held (flock) while files change their places, and for no longer than the disk takes
//	operations/ID.json    the Operations that have not ended
//	finished/ID.json      the Operations that have ended, so that a list of the unfinished never reads them; see Forget
//	leases/RUN.json       until when each run is alive
//	tmp/                  files that are being written; what a crash leaves behind is ignored, and removed by OpenFileStore after an hour
//
// A change is durable before the method returns, and a crash or a power cut between any two steps leaves each file whole, old or new:
//
//  1. the new file is written to tmp/ and synced, so that its contents are on the disk before anything refers to them (no lock is held);
//  2. under the lock the stored version is compared, and the new file is renamed over the old one;
//  3. the folder is synced, once for all files of a call, which makes the rename durable;
//  4. where an Operation ended, the file in operations/ is removed after step 3, and that folder is synced. If both files exist, because
//     a crash came in between, the one in finished/ counts.
//
// A file that can not be read is left as it is: every method that meets it says so, and none writes over it. Each file carries a SHA-256
// over what it holds, so that a damaged one is not taken for a good one; that makes them readable by people, but not to be edited by them.
//
// The folders have mode 0700 and the files 0600. A FileStore keeps nothing open and needs no closing. Its methods may be called from several
// goroutines, and several FileStores may be open on one folder.
type FileStore struct {
	dir string
	// mu lets one goroutine at a time try the folder's lock. It is held while the disk works and never during the wait for another process.
	mu sync.Mutex
	// step is called before each change of the file system; only the package's own tests set it, to crash there.
	step func(name string)
}

var _ Store = (*FileStore)(nil)

// The folders of a FileStore.
const (
	dirOperations = "operations"
	dirFinished   = "finished"
	dirLeases     = "leases"
	dirTemp       = "tmp"
)

// OpenFileStore opens the Store in dir, an absolute path or one relative to the working directory, and makes the folder if there is none.
// It removes temporary files that are older than an hour and leases that ended more than a week ago, and nothing else.
//
// The code is ErrInvalid for an empty dir, ErrUnavailable if the folder can not be made or written to, and ErrUnsupported where the system
// or the file system has no advisory locks (Windows, Plan 9, Solaris, AIX and WebAssembly among them).
func OpenFileStore(dir string) (*FileStore, error) {
	if !haveFileLocks {
		return nil, storeError(ErrUnsupported, errors.ErrUnsupported, "a FileStore needs flock, which this system has not: use another Store")
	}
	if dir == "" {
		return nil, storeError(ErrInvalid, errors.New("the folder of a FileStore is empty"), "name the folder that is to keep the operations")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, storeError(ErrUnavailable, err, "")
	}
	s := &FileStore{dir: dir}
	for _, d := range []string{dirOperations, dirFinished, dirLeases, dirTemp} {
		if err := s.makeDir(filepath.Join(dir, d)); err != nil {
			return nil, storeError(ErrUnavailable, err, "the folder of a FileStore must be writable")
		}
	}
	if err := s.locked(context.Background(), func() error { s.tidy(time.Now()); return nil }); err != nil {
		return nil, err
	}
	return s, nil
}

// Create is as Store says. If the file of an Operation with op's ID can not be read, the error is that of Load and the file is left alone.
// After ErrUnavailable the Operation may or may not have been stored; calling Create again tells.
func (s *FileStore) Create(ctx context.Context, op Operation, run string) (Record, bool, error) {
	if err := context.Cause(ctx); err != nil {
		return Record{}, false, err
	}
	if err := checkFileName("operation id", op.ID); err != nil {
		return Record{}, false, err
	}
	// A repeated Start is the usual case and needs neither a new file nor the lock.
	if rec, _, err := s.read(op.ID); !errors.Is(err, ErrNotFound) {
		return rec, false, err
	}
	st, err := s.stage(op, run, nextVersion(""))
	if err != nil {
		return Record{}, false, err
	}
	created := false
	rec := st.rec
	err = s.locked(ctx, func() error {
		if found, _, err := s.read(op.ID); !errors.Is(err, ErrNotFound) {
			rec = found
			return err
		}
		if err := s.rename(st.temp, st.place, op.ID); err != nil {
			return storeError(ErrUnavailable, err, "")
		}
		st.temp = ""
		if err := s.syncDir(st.place); err != nil {
			return err
		}
		created = true
		return nil
	})
	s.discard(st)
	if err != nil {
		return Record{}, false, err
	}
	return rec, created, nil
}

// Load is as Store says. It waits for no lock.
func (s *FileStore) Load(ctx context.Context, id string) (Record, error) {
	if err := context.Cause(ctx); err != nil {
		return Record{}, err
	}
	if err := checkFileName("operation id", id); err != nil {
		return Record{}, err
	}
	rec, _, err := s.read(id)
	return rec, err
}

// Save is as Store says. The files are written and synced one after the other before the lock is taken; then those whose version is still
// the stored one are renamed, and each folder that changed is synced once. When ctx ends in between, its cause is joined to the errors,
// and the records that were not saved keep their Version.
func (s *FileStore) Save(ctx context.Context, recs ...*Record) error {
	var errs []error
	var staged []*stagedFile
	stopped := false
	for _, rec := range recs {
		if err := context.Cause(ctx); err != nil {
			errs = append(errs, err)
			stopped = true
			break
		}
		st, err := s.stageSave(rec)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		staged = append(staged, st)
	}
	if len(staged) > 0 && !stopped {
		err := s.locked(ctx, func() error {
			errs = append(errs, s.replace(ctx, staged)...)
			return nil
		})
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, st := range staged {
		s.discard(st)
	}
	return errors.Join(errs...)
}

// stageSave checks a record and writes its new file.
func (s *FileStore) stageSave(rec *Record) (*stagedFile, error) {
	if rec == nil {
		return nil, storeError(ErrInvalid, errors.New("a record to save is nil"), "")
	}
	if err := checkFileName("operation id", rec.Operation.ID); err != nil {
		return nil, err
	}
	// Whoever has lost already need not write anything.
	if _, err := s.compare(rec); err != nil {
		return nil, err
	}
	st, err := s.stage(rec.Operation, rec.Run, nextVersion(rec.Version))
	if err != nil {
		return nil, err
	}
	st.into = rec
	return st, nil
}

// replace renames the staged files whose records are still the stored ones, makes that durable, and only then gives the records their
// new versions. The lock is held.
func (s *FileStore) replace(ctx context.Context, staged []*stagedFile) []error {
	var errs []error
	var done []*stagedFile
	for _, st := range staged {
		if err := context.Cause(ctx); err != nil {
			errs = append(errs, err)
			break
		}
		if _, err := s.compare(st.into); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := s.rename(st.temp, st.place, st.rec.Operation.ID); err != nil {
			errs = append(errs, recordError(st.into, ErrUnavailable, err, ""))
			continue
		}
		st.temp = ""
		done = append(done, st)
	}
	var places []string
	for _, st := range done {
		places = append(places, st.place)
	}
	failed := s.syncDirs(places)
	var left []string
	for _, st := range done {
		if failed[st.place] == nil {
			gone, err := s.remove(other(st.place), st.rec.Operation.ID)
			if err != nil {
				st.err = storeError(ErrUnavailable, err, "")
			} else if gone {
				left = append(left, other(st.place))
				st.left = other(st.place)
			}
		}
	}
	failedLeft := s.syncDirs(left)
	for _, st := range done {
		if err := errors.Join(failed[st.place], failedLeft[st.left], st.err); err != nil {
			errs = append(errs, recordError(st.into, ErrUnavailable, err, "it may or may not have been stored: load it"))
			continue
		}
		st.into.Version = st.rec.Version
	}
	return errs
}

// compare gives ErrConflict unless rec's version is the stored one.
func (s *FileStore) compare(rec *Record) (Record, error) {
	stored, _, err := s.read(rec.Operation.ID)
	if err != nil {
		return stored, err
	}
	if stored.Version != rec.Version {
		return stored, recordError(rec, ErrConflict, fmt.Errorf("version %q is stored, not %q", stored.Version, rec.Version),
			"load the operation again and decide on what it has become")
	}
	return stored, nil
}

// Unfinished is as Store says, in the order of the ids. The names are read first, all at once; then each file as it is when its turn
// comes. No lock is held while a record is yielded, so the loop may use the Store.
func (s *FileStore) Unfinished(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		var entries []os.DirEntry
		// Under the lock, because a listing beside renames may miss a name on some file systems.
		err := s.locked(ctx, func() (err error) {
			if entries, err = os.ReadDir(filepath.Join(s.dir, dirOperations)); err != nil {
				return storeError(ErrUnavailable, err, "")
			}
			return nil
		})
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, e := range entries {
			if err := context.Cause(ctx); err != nil {
				yield(Record{}, err)
				return
			}
			id, ok := strings.CutSuffix(e.Name(), ".json")
			if !ok || checkFileName("operation id", id) != nil {
				continue
			}
			if _, err := os.Lstat(s.path(dirFinished, id)); err == nil {
				continue
			}
			rec, err := s.readFrom(dirOperations, id)
			if errors.Is(err, fs.ErrNotExist) || err == nil && rec.Operation.Done() {
				continue
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// Forget removes Operations that have ended. One that has not ended is refused with ErrConflict, one that is not there with ErrNotFound,
// and one that can not be read as Load refuses it; each is removed or not for itself, and the errors are joined.
//
// With its Operation the Store forgets that the work was done: a Start with the same Ref, action and token does it again. Forget an
// Operation only when its token will not come again.
func (s *FileStore) Forget(ctx context.Context, ids ...string) error {
	return s.locked(ctx, func() error {
		var errs []error
		var ended, left []string
		for _, id := range ids {
			if err := context.Cause(ctx); err != nil {
				errs = append(errs, err)
				break
			}
			if err := checkFileName("operation id", id); err != nil {
				errs = append(errs, err)
				continue
			}
			rec, place, err := s.read(id)
			switch {
			case err != nil:
				errs = append(errs, err)
			case place != dirFinished || !rec.Operation.Done():
				errs = append(errs, recordError(&rec, ErrConflict, errors.New("the operation has not ended"), "only finished operations are forgotten"))
			default:
				ended = append(ended, id)
			}
		}
		// What a crash left in operations/ goes first, or it would come to life again without the finished file that overrules it.
		for _, id := range ended {
			if gone, err := s.remove(dirOperations, id); err != nil {
				return errors.Join(append(errs, storeError(ErrUnavailable, err, ""))...)
			} else if gone {
				left = []string{dirOperations}
			}
		}
		if err := s.syncDirs(left)[dirOperations]; err != nil {
			return errors.Join(append(errs, err)...)
		}
		for _, id := range ended {
			if _, err := s.remove(dirFinished, id); err != nil {
				errs = append(errs, storeError(ErrUnavailable, err, ""))
			}
		}
		if len(ended) > 0 {
			if err := s.syncDir(dirFinished); err != nil {
				errs = append(errs, err)
			}
		}
		return errors.Join(errs...)
	})
}

// Renew is as Store says. A lease file that can not be read is replaced: it is the run's own, and the new one says all that it said.
func (s *FileStore) Renew(ctx context.Context, run string, until time.Time) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := checkFileName("run", run); err != nil {
		return err
	}
	b, err := encodeLease(run, until)
	if err != nil {
		return err
	}
	temp, err := s.writeTemp(run, b)
	if err != nil {
		return storeError(ErrUnavailable, err, "")
	}
	err = s.locked(ctx, func() error {
		if err := s.rename(temp, dirLeases, run); err != nil {
			return storeError(ErrUnavailable, err, "")
		}
		temp = ""
		return s.syncDir(dirLeases)
	})
	s.discard(&stagedFile{temp: temp})
	return err
}

// Lease is as Store says. The lease of a run that ended more than a week ago may be forgotten. A lease that can not be read is ErrInvalid,
// never the zero time: that would say that the run is dead.
func (s *FileStore) Lease(ctx context.Context, run string) (time.Time, error) {
	if err := context.Cause(ctx); err != nil {
		return time.Time{}, err
	}
	if err := checkFileName("run", run); err != nil {
		return time.Time{}, err
	}
	path := s.path(dirLeases, run)
	b, err := readLimited(path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, s.whole()
	}
	if err != nil {
		return time.Time{}, storeError(ErrUnavailable, err, "")
	}
	return decodeLease(path, run, b)
}

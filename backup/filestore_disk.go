package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// maxStoreFile is far above MaxOperationBytes, so that what a Strategy learnt about things it made is never refused for its length.
	maxStoreFile = 1 << 20
	// lockPatience is how long a method waits for another process that holds the lock; a healthy one holds it for milliseconds.
	lockPatience = 30 * time.Second
	// tempAge is the age at which a temporary file can only be a crash's.
	tempAge = time.Hour
	// leaseAge is how long after its end a lease is kept: whoever takes an Operation over reckons with its predecessor's lease.
	leaseAge = 7 * 24 * time.Hour
)

// stagedFile is a file in tmp/ that waits for its place.
type stagedFile struct {
	temp  string  // its path, empty once it was renamed
	place string  // the folder that it belongs to
	rec   Record  // what it holds
	into  *Record // the caller's record
	left  string  // the folder that an older file was removed from
	err   error
}

// at announces the next change of the file system.
func (s *FileStore) at(step string) {
	if s.step != nil {
		s.step(step)
	}
}

func (s *FileStore) path(place, name string) string {
	return filepath.Join(s.dir, place, name+".json")
}

// other gives the folder that an Operation's file leaves when it comes to place.
func other(place string) string {
	if place == dirFinished {
		return dirOperations
	}
	return dirFinished
}

// locked calls f while no other goroutine or process has the folder's lock. Between its tries it waits without holding anything, so a process
// that was stopped with the lock in its hands costs the others an error after lockPatience and not their lives.
func (s *FileStore) locked(ctx context.Context, f func() error) error {
	started, wait := time.Now(), time.Millisecond
	for {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		ran, err := s.tryLocked(f)
		if ran || err != nil {
			return err
		}
		if time.Since(started) > lockPatience {
			return storeError(ErrUnavailable, fmt.Errorf("another process has held the lock %s for %v", filepath.Join(s.dir, "lock"), lockPatience),
				"look for a process that was stopped or that hangs; its end frees the lock")
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
		}
		wait = min(2*wait, 20*time.Millisecond)
	}
}

// tryLocked calls f if the lock is free, and reports whether it did.
func (s *FileStore) tryLocked(f func() error) (ran bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path := filepath.Join(s.dir, "lock")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, storeError(ErrUnavailable, err, "the folder of a FileStore must be writable")
	}
	defer func() { _ = file.Close() }() // nothing was written to it
	s.at("lock")
	ok, err := lockFile(file)
	if errors.Is(err, errors.ErrUnsupported) {
		return false, storeError(ErrUnsupported, err, "this file system has no locks: put the folder on a local disk")
	}
	if err != nil {
		return false, storeError(ErrUnavailable, err, "")
	}
	if !ok {
		return false, nil
	}
	defer unlockFile(file)
	// Somebody may have removed the file between our opening and locking it; a lock on a file without a name excludes nobody.
	mine, err := file.Stat()
	if err != nil {
		return false, storeError(ErrUnavailable, err, "")
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(mine, named) {
		return false, nil
	}
	return true, f()
}

// stage writes an Operation's new file to tmp/.
func (s *FileStore) stage(op Operation, run, version string) (*stagedFile, error) {
	b, rec, err := encodeRecord(op, run, version)
	if err != nil {
		return nil, err
	}
	temp, err := s.writeTemp(op.ID, b)
	if err != nil {
		return nil, recordError(&rec, ErrUnavailable, err, "nothing was changed")
	}
	place := dirOperations
	if op.Done() {
		place = dirFinished
	}
	return &stagedFile{temp: temp, place: place, rec: rec}, nil
}

// discard removes a staged file that was not used.
func (s *FileStore) discard(st *stagedFile) {
	if st.temp != "" {
		s.at("discard")
		_ = os.Remove(st.temp) // else OpenFileStore removes it, later
	}
}

// writeTemp writes a file of mode 0600 to tmp/ and returns when its contents are on the disk.
func (s *FileStore) writeTemp(name string, b []byte) (path string, err error) {
	s.at("create " + dirTemp)
	f, err := os.CreateTemp(filepath.Join(s.dir, dirTemp), name+"-*")
	if err != nil {
		return "", err
	}
	s.at("write " + dirTemp)
	_, err = f.Write(b)
	if err == nil {
		s.at("sync " + dirTemp)
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return "", err
	}
	return f.Name(), nil
}

func (s *FileStore) rename(temp, place, name string) error {
	s.at("rename " + place)
	return os.Rename(temp, s.path(place, name))
}

// remove reports whether there was something to remove.
func (s *FileStore) remove(place, name string) (bool, error) {
	path := s.path(place, name)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	s.at("remove " + place)
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// syncDir makes the names in a folder durable.
func (s *FileStore) syncDir(place string) error {
	s.at("syncdir " + place)
	if err := syncFolder(filepath.Join(s.dir, place)); err != nil {
		return storeError(ErrUnavailable, err, "")
	}
	return nil
}

// syncDirs syncs each of the folders once and gives the errors of those that could not be.
func (s *FileStore) syncDirs(places []string) map[string]error {
	failed := map[string]error{}
	for _, p := range slices.Compact(slices.Sorted(slices.Values(places))) {
		if err := s.syncDir(p); err != nil {
			failed[p] = err
		}
	}
	return failed
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// makeDir makes a folder and those above it, and makes their names durable.
func (s *FileStore) makeDir(path string) error {
	if info, err := os.Stat(path); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", path)
		}
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := s.makeDir(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(parent)
}

// read gives the record of an id and the folder that it stands in.
func (s *FileStore) read(id string) (Record, string, error) {
	// An Operation that ends between the first two looks is found by the third.
	for _, place := range [...]string{dirFinished, dirOperations, dirFinished} {
		rec, err := s.readFrom(place, id)
		if !errors.Is(err, fs.ErrNotExist) {
			return rec, place, err
		}
	}
	if err := s.whole(); err != nil {
		return Record{}, "", err
	}
	return Record{}, "", storeError(ErrNotFound, fmt.Errorf("no operation %s in %s", id, s.dir), "")
}

// whole is an error if the Store's folders are gone, so that a disk that is not mounted does not read as "there is no such Operation".
func (s *FileStore) whole() error {
	for _, d := range [...]string{dirOperations, dirFinished, dirLeases} {
		if _, err := os.Stat(filepath.Join(s.dir, d)); err != nil {
			return storeError(ErrUnavailable, err, "a part of the folder is gone: was its disk unmounted?")
		}
	}
	return nil
}

// readFrom gives fs.ErrNotExist, unwrapped, if there is no such file.
func (s *FileStore) readFrom(place, id string) (Record, error) {
	path := s.path(place, id)
	b, err := readLimited(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return Record{}, fs.ErrNotExist
	case errors.Is(err, errTooLong):
		return Record{}, damaged(path, err)
	case err != nil:
		return Record{}, storeError(ErrUnavailable, err, "")
	}
	return decodeRecord(path, id, b)
}

var errTooLong = fmt.Errorf("the file is longer than %d bytes", maxStoreFile)

func readLimited(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	b, err := io.ReadAll(io.LimitReader(f, maxStoreFile+1))
	if err == nil && len(b) > maxStoreFile {
		err = errTooLong
	}
	return b, err
}

// tidy removes what nobody needs any more. It is housekeeping: what can not be removed stays. The lock is held, so no lease is renewed
// between the look at it and its removal.
func (s *FileStore) tidy(now time.Time) {
	entries, _ := os.ReadDir(filepath.Join(s.dir, dirTemp))
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && now.Sub(info.ModTime()) > tempAge {
			_ = os.Remove(filepath.Join(s.dir, dirTemp, e.Name()))
		}
	}
	entries, _ = os.ReadDir(filepath.Join(s.dir, dirLeases))
	for _, e := range entries {
		run, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || checkFileName("run", run) != nil {
			continue
		}
		path := s.path(dirLeases, run)
		b, err := readLimited(path)
		if err != nil {
			continue
		}
		if until, err := decodeLease(path, run, b); err == nil && now.Sub(until) > leaseAge {
			_ = os.Remove(path)
		}
	}
}

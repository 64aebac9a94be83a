//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package backup

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// haveFileLocks tells that OpenFileStore works here.
const haveFileLocks = true

// lockFile takes the advisory lock on f if it is free, and reports whether it did. The lock belongs to this opening of the file, so it also
// excludes other goroutines that opened it, and the system frees it when the process dies.
func lockFile(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case err == syscall.EINTR:
			continue
		case err == syscall.EWOULDBLOCK:
			return false, nil
		case err == syscall.ENOSYS, err == syscall.ENOTSUP, err == syscall.EOPNOTSUPP, err == syscall.ENOLCK:
			return false, fmt.Errorf("flock %s: %w: %w", f.Name(), errors.ErrUnsupported, err)
		default:
			return false, fmt.Errorf("flock %s: %w", f.Name(), err)
		}
	}
}

// unlockFile frees the lock at once. Closing the file would free it too, but not while a child process that is being started has a copy.
func unlockFile(f *os.File) {
	_ = syscall.Flock(int(f.Fd()), syscall.LOCK_UN)
}

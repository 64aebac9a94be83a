//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package backup

import (
	"errors"
	"os"
)

// haveFileLocks tells that OpenFileStore refuses to work here: without a lock, two processes could both begin the same work.
const haveFileLocks = false

func lockFile(*os.File) (bool, error) { return false, errors.ErrUnsupported }

func unlockFile(*os.File) {}

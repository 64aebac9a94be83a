package s3store_test

import (
	"io"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backuptest"
)

func reader(s string) io.Reader { return strings.NewReader(s) }

func TestConforms(t *testing.T) {
	backuptest.TestStore(t, func(t *testing.T) (backup.Store, func() backup.Store) {
		b := newBed(t)
		return b.open(), func() backup.Store { return b.open() }
	})
}

// The list of the unfinished comes in many pages, and Operations of one id prefix are not taken for each other.
func TestConformsWithSmallPages(t *testing.T) {
	backuptest.TestStore(t, func(t *testing.T) (backup.Store, func() backup.Store) {
		b := newBed(t)
		b.world.SetPageLimit(1)
		return b.open(), func() backup.Store { return b.open() }
	})
}

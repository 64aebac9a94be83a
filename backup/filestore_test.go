package backup_test

import (
	"errors"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backuptest"
)

func TestFileStoreConforms(t *testing.T) {
	backuptest.TestStore(t, func(t *testing.T) (backup.Store, func() backup.Store) {
		dir := t.TempDir()
		open := func() backup.Store {
			s, err := backup.OpenFileStore(dir)
			if errors.Is(err, backup.ErrUnsupported) {
				t.Skip(err)
			}
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return open(), open
	})
}

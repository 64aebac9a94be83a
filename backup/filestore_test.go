package backup_test

import (
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backuptest"
)

func TestFileStoreConforms(t *testing.T) {
	backuptest.TestStore(t, func(t *testing.T) (backup.Store, func() backup.Store) {
		dir := t.TempDir()
		open := func() backup.Store {
			s, err := backup.OpenFileStore(dir)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
		return open(), open
	})
}

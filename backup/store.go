package backup

import (
	"context"
	"iter"
	"time"
)

// Record is an Operation as a Store keeps it.
type Record struct {
	Operation Operation `json:"operation"`
	// Version changes with every save. It is the Store's own and means nothing to others; empty means never stored.
	Version string `json:"version"`
	// Run is the run that carries the Operation on, empty if none does. It has at most 64 letters of a-z, digits and hyphens.
	Run string `json:"run,omitempty"`
}

// Store keeps Operations where a crash can not lose them, so that what was begun is carried on and nothing is begun twice.
//
// What a method has returned without an error is durable: it survives the death of the process and of the machine's power. A Store never
// loses what it holds because something new can not be written, and it returns ErrUnsupported for an Operation of a newer version and
// ErrInvalid for one that it can not read, leaving both as they are. All methods may be called from several goroutines and, unless the
// implementation says otherwise, from several processes. Errors are *Error; a failure of the medium is ErrUnavailable.
//
// What goes in and what comes out is shared with nobody: a caller may change an Operation that it gave or was given, and the Store's is as it
// was. What comes out is equal to what went in as JSON, with all of its digits. A method whose context is over returns the context's cause
// and stores nothing more.
//
// backuptest.TestStore holds an implementation to all of this.
type Store interface {
	// Create stores op if there is none with its ID, held by run, and reports true. Otherwise it returns what is stored, unchanged, and
	// false; that Operation may have ended long ago. Of several callers at once exactly one is told true, and all are given its record.
	Create(ctx context.Context, op Operation, run string) (Record, bool, error)

	// Load gives the record of an Operation ID, or ErrNotFound.
	Load(ctx context.Context, id string) (Record, error)

	// Save stores each record whose Version is still the stored one, and sets its Version to the new one. Each is saved or not for
	// itself; the error joins one *Error for each that was not, with ErrConflict where somebody else saved first and ErrNotFound where
	// there is none. A record whose Save failed otherwise may or may not have been stored: Load tells. A record that was not saved keeps its
	// Version, which is how the caller tells them apart. The new Version was never used before, also when nothing but it changes; of
	// two records of one Operation in one call, one is in conflict.
	Save(ctx context.Context, recs ...*Record) error

	// Unfinished yields the records whose Operations have not ended, each at most once, in no particular order. One that can not be read
	// is yielded as an error and the others follow: one damaged record must not hide the rest. An Operation that is created or ends
	// during the iteration may be yielded or not. The loop may use the Store.
	Unfinished(ctx context.Context) iter.Seq2[Record, error]

	// Renew says that run is alive until the given time; an earlier time than the stored one shortens the lease. A lease belongs to a
	// run, not to an Operation, so that ten thousand Operations need one.
	Renew(ctx context.Context, run string, until time.Time) error

	// Lease gives the time until which run is alive; the zero time if it is not known. A record may be taken from a run whose lease is
	// over, by saving it with another Run.
	Lease(ctx context.Context, run string) (time.Time, error)
}

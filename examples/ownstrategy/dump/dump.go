// Package dump is an example of a Strategy of one's own: it dumps a database into a file, and lists, restores and deletes such files.
//
// What makes it safe is small and the same for every service. The name of the file is the Operation's ID, so whoever sends the work again,
// after a crash or a lost answer, finds what was made before. A file has its name only when it is complete and on the disk. Nothing is
// changed by a Step whose Operation.Intent is ReadOnly. And what comes from outside becomes part of a path only after it was checked.
package dump

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// The types of Refs.
const (
	TypeDatabase = "dump/database"
	TypeFile     = "dump/file"
)

// Strategy dumps the databases of one Server into the files of one directory. Account and Region say where both are. Files are named for
// Operations, so several processes may use one directory.
type Strategy struct {
	Server          *Server
	Dir             string
	Account, Region string
}

// Ref names a database or a file of this Strategy.
func (s *Strategy) Ref(kind, id string) backup.Ref {
	return backup.Ref{Type: kind, Account: s.Account, Region: s.Region, ID: id}
}

// Kind stands in every Operation and never changes.
func (*Strategy) Kind() string { return "dump" }

// Start only checks what it is given, as StartRestore and StartDelete do.
func (s *Strategy) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return s.begin(backup.ActionBackup, r, spec, TypeDatabase)
}

// StartRestore restores to a new database of the name in Spec.Name, or of one that is made of the Operation's ID.
func (s *Strategy) StartRestore(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return s.begin(backup.ActionRestore, point, spec, TypeFile)
}

// StartDelete deletes a file that Spec.Owner owns.
func (s *Strategy) StartDelete(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return s.begin(backup.ActionDelete, point, spec, TypeFile)
}

var ids = map[string]*regexp.Regexp{
	TypeDatabase: regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`),
	TypeFile:     regexp.MustCompile(`^op-[a-z2-7]{26}$`),
}

// serves tells whether r is of a kind, in the right place, and safe to be made part of a path.
func (s *Strategy) serves(r backup.Ref, kind string) bool {
	return r == s.Ref(kind, r.ID) && ids[kind].MatchString(r.ID)
}

func (s *Strategy) begin(action backup.Action, r backup.Ref, spec backup.Spec, kind string) (backup.Operation, error) {
	op, err := backup.NewOperation(s.Kind(), action, r, spec) // checks what all Strategies have in common
	if err != nil {
		return backup.Operation{}, err
	}
	if spec.Options != nil || !s.serves(r, kind) {
		return backup.Operation{}, s.fail(op, backup.ErrInvalid, "no %s for this, or options, which there are none of", kind)
	}
	name := spec.Name
	if action == backup.ActionRestore && name == "" {
		name = "restored-" + op.ID
	}
	if (action == backup.ActionRestore) != ids[TypeDatabase].MatchString(name) {
		return backup.Operation{}, s.fail(op, backup.ErrInvalid, "Spec.Name is the name of a new database, for a restore alone")
	}
	op.Stage = "look"
	return op, op.SetState(name)
}

// Step looks first, in a Step that reads, and acts in the next one, for which the Runner has stored the intent.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(s.Kind()); err != nil || op.Done() {
		return op, err
	}
	act, call := s.backup, "WriteFile"
	switch op.Action {
	case backup.ActionBackup:
	case backup.ActionRestore:
		act, call = s.restore, "LoadDatabase"
	case backup.ActionDelete:
		act, call = s.delete, "RemoveFile"
	default:
		return op, s.fail(op, backup.ErrUnsupported, "can not %s", op.Action)
	}
	if !s.serves(op.Ref, TypeDatabase) && !s.serves(op.Ref, TypeFile) { // it was started elsewhere
		return op, s.fail(op, backup.ErrInvalid, "this is for account %s and Region %s", s.Account, s.Region)
	}
	if err := context.Cause(ctx); err != nil {
		return op, err
	}
	next := op
	var err error
	switch {
	case op.Stage == "look":
		err = s.look(op)
		next.To("act", call)
	case op.Intent() == backup.ReadOnly:
		return op, nil
	default:
		if err := backup.CheckFence(ctx); err != nil { // another process may have taken over
			op.Unsent()
			return op, err
		}
		if err = act(&next); err == nil {
			next.Succeed()
		}
	}
	switch backup.CodeOf(err) {
	case "":
		return next, nil
	case backup.ErrNotFound, backup.ErrConflict: // trying again will not mend these
		op.Fail(err)
		return op, nil
	}
	return op, err // the state is not known: op stays as it was, and the Runner tries again
}

// look sees whether what is acted upon is there, and whether it may be deleted.
func (s *Strategy) look(op backup.Operation) error {
	if op.Action == backup.ActionBackup {
		if _, ok := s.Server.Get(op.Ref.ID); !ok {
			return s.fail(op, backup.ErrNotFound, "%w", errNoDatabase)
		}
		return nil
	}
	p, _, err := s.read(op.Ref.ID)
	if err != nil {
		return s.fail(op, code(err), "%w", err)
	}
	if owner := p.Tags[backup.TagOwner]; op.Action == backup.ActionDelete && owner != op.Owner {
		return s.fail(op, backup.ErrConflict, "the file belongs to %q", owner)
	}
	return nil
}

// backup writes the file under a temporary name and renames it when all of it is on the disk. One that an earlier attempt made stays.
func (s *Strategy) backup(op *backup.Operation) (err error) {
	point := s.Ref(TypeFile, op.ID)
	if _, err := os.Stat(s.path(op.ID)); err == nil {
		op.AddPoint(point)
		return nil
	}
	f, err := os.CreateTemp(s.Dir, op.ID+".*.tmp")
	if err != nil {
		return s.fail(*op, backup.ErrUnavailable, "%w", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // without effect after the rename
	header := backup.RecoveryPoint{Ref: point, Source: op.Ref, CreatedAt: time.Now().UTC().Round(0), Status: backup.StatusAvailable, Tags: op.OwnTags(op.Ref)}
	err = errors.Join(json.NewEncoder(f).Encode(header), s.Server.Dump(op.Ref.ID, f), f.Sync(), f.Close())
	if err == nil {
		err = errors.Join(os.Rename(f.Name(), s.path(op.ID)), s.sync())
	}
	if err != nil {
		return s.fail(*op, code(err), "%w", err)
	}
	op.AddPoint(point)
	return nil
}

// restore makes a new database, labelled with the Operation's ID, so that another attempt knows it for its own.
func (s *Strategy) restore(op *backup.Operation) error {
	var name string
	if err := op.GetState(&name); err != nil {
		return err
	}
	_, data, err := s.read(op.Ref.ID)
	if err == nil {
		err = s.Server.Load(name, op.ID, bytes.NewReader(data))
	}
	if errors.Is(err, errExists) && s.Server.Labels()[name] == op.ID {
		err = nil
	}
	if err != nil {
		return s.fail(*op, code(err), "%w", err)
	}
	op.AddMade(s.Ref(TypeDatabase, name))
	return nil
}

// delete removes the file; one that is gone by now is what was wanted.
func (s *Strategy) delete(op *backup.Operation) error {
	err := os.Remove(s.path(op.Ref.ID))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err = errors.Join(err, s.sync()); err != nil {
		return s.fail(*op, backup.ErrUnavailable, "%w", err)
	}
	return nil
}

func (s *Strategy) path(id string) string { return filepath.Join(s.Dir, id+".dump") }

// read reads a file: a line that describes it, and the data.
func (s *Strategy) read(id string) (p backup.RecoveryPoint, data []byte, err error) {
	b, err := os.ReadFile(s.path(id))
	if err != nil {
		return p, nil, err
	}
	head, data, _ := bytes.Cut(b, []byte("\n"))
	return p, data, json.Unmarshal(head, &p)
}

// sync makes a new name, or that one is gone, survive a power cut.
func (s *Strategy) sync() error {
	d, err := os.Open(s.Dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (s *Strategy) fail(op backup.Operation, code backup.Code, format string, args ...any) error {
	return &backup.Error{Op: string(op.Action), Kind: s.Kind(), Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...)}
}

// code is the one table that says what an error of the service means.
func code(err error) backup.Code {
	switch {
	case errors.Is(err, errNoDatabase), errors.Is(err, fs.ErrNotExist):
		return backup.ErrNotFound
	case errors.Is(err, errExists):
		return backup.ErrConflict
	}
	return backup.ErrUnavailable
}

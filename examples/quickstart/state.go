package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// runState is what a run must know of itself to be gone on with after an interruption. The Operations are not in it: they are in the Store.
type runState struct {
	// Slot names the run. Every token and every name of a new resource is made from it.
	Slot string `json:"slot"`
	// Target is where the run works, and on what, so that it is not gone on with elsewhere.
	Target string `json:"target"`

	dir  string
	temp bool
	// kept tells that the run was begun, by this process or an earlier one, and done that it has ended.
	kept, done bool
}

// openRun begins a run, or takes up the one that was interrupted in the folder.
func openRun(o options) (*runState, error) {
	r := &runState{Slot: strconv.FormatInt(time.Now().Unix(), 36), Target: o.target(), dir: o.state}
	if o.state == "" {
		dir, err := os.MkdirTemp("", "quickstart-")
		if err != nil {
			return nil, err
		}
		r.dir, r.temp = dir, true
	} else if err := os.MkdirAll(o.state, 0o700); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(r.file())
	switch {
	case err == nil:
		earlier := runState{dir: r.dir, kept: true}
		if err := json.Unmarshal(b, &earlier); err != nil || earlier.Slot == "" {
			return nil, fmt.Errorf("%s can not be read; use another folder: %w", r.file(), err)
		}
		if earlier.Target != r.Target {
			return nil, usagef("%s holds an unfinished run with other flags (%s): give those, or another folder", o.state, earlier.Target)
		}
		return &earlier, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	return r, nil
}

// keep writes down that the run begins.
func (r *runState) keep() error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	r.kept = true
	return os.WriteFile(r.file(), b, 0o600)
}

// target says where a run works, and on what.
func (o options) target() string {
	if !o.aws {
		return "endpoint " + o.endpoint
	}
	return fmt.Sprintf("aws region %q zone %q instance %q rds %q %q cache %q %q %q security groups %q", o.region, o.zone, o.instance, o.database, o.subnetGroup,
		o.cache, o.cacheCluster, o.cacheSubnetGroup, o.securityGroups)
}

func (r *runState) file() string     { return filepath.Join(r.dir, "quickstart.json") }
func (r *runState) storeDir() string { return filepath.Join(r.dir, "store") }

// prefix begins the names of what the run makes.
func (r *runState) prefix() string { return "quickstart-" + r.Slot }

// close removes what is not needed any more, or says how to go on.
func (r *runState) close(stderr io.Writer) {
	var err error
	switch {
	case r.temp && (r.done || !r.kept):
		err = os.RemoveAll(r.dir)
	case r.done:
		err = os.Remove(r.file())
	case !r.kept:
	default:
		fmt.Fprintf(stderr, "quickstart: not finished; AWS goes on with what was asked for. Call it again with the same flags and -state %s\n", r.dir)
	}
	if err != nil {
		fmt.Fprintln(stderr, "quickstart:", err)
	}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// maxBody is the most bytes of a request's body: a Ref and a slot need a few hundred.
const maxBody = 8 << 10

// handler routes the requests.
func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /backups", s.postBackup)
	mux.HandleFunc("GET /backups", s.getBackups)
	mux.HandleFunc("GET /backups/{id}", s.getBackup)
	mux.HandleFunc("DELETE /backups/{id}", s.deleteBackup)
	// A web page in the browser of somebody on this machine can send requests to loopback addresses too. Neither it nor a name that was
	// made to point here gets through.
	return loopback(http.NewCrossOriginProtection().Handler(mux))
}

// loopback refuses requests for any host but this one.
func loopback(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host := r.Host
		if h, _, err := net.SplitHostPort(host); err == nil {
			host = h
		}
		address, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if host != "localhost" && (err != nil || !address.IsLoopback()) {
			http.Error(w, "only requests for a loopback address are answered", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// view is a backup as clients see it. Neither its token nor the strategy's own state are anybody's business.
type view struct {
	ID       string        `json:"id"`
	Ref      backup.Ref    `json:"ref"`
	Action   backup.Action `json:"action"`
	Phase    backup.Phase  `json:"phase"`
	Stage    string        `json:"stage,omitempty"`
	Percent  int           `json:"percent"`
	Started  time.Time     `json:"started"`
	Deadline time.Time     `json:"deadline"`
	// Points are the recovery points that exist, also of a backup that failed.
	Points   []backup.Ref     `json:"points,omitempty"`
	Findings []backup.Finding `json:"findings,omitempty"`
	// Failure is how a backup ended that did not succeed.
	Failure *backup.Failure `json:"failure,omitempty"`
	// Blocked is why the service does not get on with it at present. It tries again by itself.
	Blocked *problem `json:"blocked,omitempty"`
}

func (s *service) view(op backup.Operation) view {
	return view{ID: op.ID, Ref: op.Ref, Action: op.Action, Phase: op.Phase, Stage: op.Stage, Percent: op.Percent, Started: op.Started,
		Deadline: op.Deadline, Points: op.Points, Findings: op.Findings, Failure: op.Failure, Blocked: problemOf(s.blockedBy(op.ID))}
}

// postBackup starts a backup. It answers 202 for one that runs, whether this request began it or an earlier one; 200 if the slot's backup has
// succeeded before; and 409 if it has ended otherwise, because trying again needs another slot. The body is the backup in each case.
func (s *service) postBackup(w http.ResponseWriter, r *http.Request) {
	if t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || t != "application/json" {
		s.failWith(w, http.StatusUnsupportedMediaType, invalid("set Content-Type: application/json", "the body is not declared as JSON"))
		return
	}
	var in struct {
		Ref  backup.Ref `json:"ref"`
		Slot string     `json:"slot"`
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields() // a misspelt field must not be a backup of something else
	err := d.Decode(&in)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is something after the first value")
		}
	}
	if err != nil {
		status, err := unreadable(err)
		s.failWith(w, status, err)
		return
	}
	if in.Slot == "" {
		s.fail(w, invalid(`name the occasion, such as "2026-11-20": there is one backup of a resource for each`, "the slot is empty"))
		return
	}
	op, err := s.start(r.Context(), in.Ref, in.Slot)
	if err != nil {
		s.fail(w, err)
		return
	}
	w.Header().Set("Location", "/backups/"+op.ID)
	status := http.StatusAccepted
	switch {
	case op.Phase == backup.PhaseSucceeded:
		status = http.StatusOK
	case op.Done():
		status = http.StatusConflict
	}
	s.answer(w, status, s.view(op))
}

// load gives the backup that a request's path names. The store refuses ids that are none, so no path leads out of its folder; and a client
// need not know where that is.
func (s *service) load(r *http.Request) (backup.Operation, error) {
	id := r.PathValue("id")
	rec, err := s.store.Load(r.Context(), id)
	if errors.Is(err, backup.ErrNotFound) {
		err = &backup.Error{Op: "request", Code: backup.ErrNotFound, Err: fmt.Errorf("there is no backup %s", id),
			Hint: "GET /backups lists those that have not ended; a POST with the same ref and slot finds the others"}
	}
	return rec.Operation, err
}

// getBackup reports one backup.
func (s *service) getBackup(w http.ResponseWriter, r *http.Request) {
	op, err := s.load(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	s.answer(w, http.StatusOK, s.view(op))
}

// getBackups lists the backups that have not ended. A record that can not be read is listed as a problem: perhaps it is a backup that runs.
func (s *service) getBackups(w http.ResponseWriter, r *http.Request) {
	list := struct {
		Backups  []view     `json:"backups"`
		Problems []*problem `json:"problems,omitempty"`
	}{Backups: []view{}}
	for op, err := range s.runner.Unfinished(r.Context()) {
		if err != nil {
			list.Problems = append(list.Problems, problemOf(err))
			continue
		}
		list.Backups = append(list.Backups, s.view(op))
	}
	s.answer(w, http.StatusOK, list)
}

// deleteBackup stops a backup. 202 says that it is being stopped: it ends as canceled, or as succeeded if it was faster.
func (s *service) deleteBackup(w http.ResponseWriter, r *http.Request) {
	op, err := s.load(r)
	if err != nil {
		s.fail(w, err)
		return
	}
	if !op.Done() {
		if op, err = s.cancel(r.Context(), op); err == nil {
			s.answer(w, http.StatusAccepted, s.view(op))
			return
		}
	}
	if op.Done() { // before the request, or just before the cancel
		err = &backup.Error{Op: "cancel", Kind: op.Kind, Ref: op.Ref, Code: backup.ErrConflict, Err: errors.New("the backup has ended: " + string(op.Phase)),
			Hint: "a finished backup's recovery points are deleted with the strategy's StartDelete"}
	}
	s.fail(w, err)
}

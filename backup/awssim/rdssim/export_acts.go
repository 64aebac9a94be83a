package rdssim

import (
	"slices"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// SetExportQuota sets the number of export tasks that each account may have running.
func (s *RDS) SetExportQuota(w *awssim.World, tasks int) {
	w.Do("", "", func(*awssim.Request) { s.exportQuota = tasks })
}

// FailExports has export tasks that are started from now on fail, with the given FailureCause; the empty cause lets them succeed again.
func (s *RDS) FailExports(w *awssim.World, cause string) {
	w.Do("", "", func(*awssim.Request) { s.exportCause = cause })
}

// WarnExports has export tasks that are started from now on be complete with the given WarningMessage; the empty one ends that. AWS tells there
// what it left out: {"skippedTables":[],"skippedObjectives":[],"general":[{"reason":"..."}]}.
func (s *RDS) WarnExports(w *awssim.World, message string) {
	w.Do("", "", func(*awssim.Request) { s.exportWarning = message })
}

// withExport acts on an export task if there is one.
func (s *RDS) withExport(w *awssim.World, account, reg, id string, f func(*awssim.Request, *exportTask)) {
	w.Do(account, reg, func(r *awssim.Request) {
		if t, ok := s.in(r).exports.truth(r, strings.ToLower(id)); ok {
			f(r, t)
		}
	})
}

// FailExport has AWS fail a running export task now.
func (s *RDS) FailExport(w *awssim.World, account, reg, id, cause string) {
	s.withExport(w, account, reg, id, func(r *awssim.Request, t *exportTask) {
		if !t.running(r.Now) {
			return
		}
		t.cause, t.ends = cause, r.Now
		if t.begins.After(r.Now) {
			t.begins = r.Now
		}
		t.withhold(r)
	})
}

// SetExportStatus has AWS show an export task in a state, such as one that nobody knows, for a time from now.
func (s *RDS) SetExportStatus(w *awssim.World, account, reg, id, status string, d time.Duration) {
	s.withExport(w, account, reg, id, func(r *awssim.Request, t *exportTask) {
		t.spans = append(t.spans, span{r.Now, r.Now.Add(r.Scale(d)), status})
	})
}

// LoseExport has AWS forget an export task now. What it writes to S3 is not changed by that.
func (s *RDS) LoseExport(w *awssim.World, account, reg, id string) {
	s.withExport(w, account, reg, id, func(r *awssim.Request, t *exportTask) { t.deleting, t.gone = r.Now, r.Now })
}

// Export is the truth about one export task, for invariants.
type Export struct {
	ID, Source, Bucket, Prefix, Role, KMSKeyID, Status string
	Only                                               []string
	Made, Ends                                         time.Time
}

// Exports gives the truth about all export tasks, sorted by identifier, whether calls can see them yet or not.
func (s *RDS) Exports(w *awssim.World, account, reg string) []Export {
	var all []Export
	w.Do(account, reg, func(r *awssim.Request) {
		g := s.in(r)
		for _, name := range g.exports.names.list() {
			if t, ok := g.exports.truth(r, name); ok {
				all = append(all, Export{ID: t.id, Source: t.source, Bucket: t.bucket, Prefix: t.prefix, Role: t.role, KMSKeyID: t.key, Status: t.status(r.Now),
					Only: slices.Clone(t.only), Made: t.made, Ends: t.ends})
			}
		}
	})
	return all
}

package elasticache

import (
	"fmt"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
)

// ActionAutomaticBackups is the action of StartAutomaticBackups.
const ActionAutomaticBackups backup.Action = Kind + ".automatic-backups"

// When a change is applied.
const (
	// ApplyNow applies it as soon as possible, and with it every other change that waits for the maintenance window.
	ApplyNow = "now"
	// ApplyAtMaintenance leaves it to AWS to apply it in the next maintenance window, or earlier.
	ApplyAtMaintenance = "at maintenance"
)

// AutomaticBackupOptions are how automatic snapshots are to be made. Window and Apply are for groups and clusters, Time for serverless caches.
type AutomaticBackupOptions struct {
	// RetentionDays is for how many days they are kept, 1 to 35. AWS may delete those that are older than a shorter retention.
	RetentionDays int32
	// Off turns them off, with RetentionDays 0. RetentionDays 0 alone is refused.
	Off bool
	// Window is when they begin, hh:mm-hh:mm in UTC and at least an hour; empty leaves it as it is. With Off it is refused.
	Window string
	// Time is when that of a serverless cache is made, hh:mm in UTC; empty leaves it as it is, or to AWS where none were made. With Off it is refused.
	Time string
	// Apply is ApplyNow or ApplyAtMaintenance. It has no default for groups and clusters. A serverless cache has no maintenance window: a change of
	// it is applied at once, Apply is left empty or is ApplyNow, and ApplyAtMaintenance is refused.
	Apply string
}

// OptionsFor makes AutomaticBackupOptions usable as backup.Spec.Options.
func (AutomaticBackupOptions) OptionsFor() (string, backup.Action) {
	return Kind, ActionAutomaticBackups
}

func (o AutomaticBackupOptions) valid(r backup.Ref) error {
	bad := func(hint, format string, args ...any) error {
		return invalid(ActionAutomaticBackups, r, hint, format, args...)
	}
	switch one := r.Type == TypeServerless; {
	case o.Off && o.RetentionDays != 0:
		return bad("leave one of them out", "automatic snapshots are to be off and kept for %d days", o.RetentionDays)
	case !o.Off && o.RetentionDays == 0:
		return bad("set RetentionDays to 1 to 35, or Off to turn automatic snapshots off", "RetentionDays is 0, which turns them off")
	case o.RetentionDays < 0 || o.RetentionDays > maxRetention:
		return bad("choose 1 to 35 days", "RetentionDays is %d", o.RetentionDays)
	case one && o.Window != "":
		return bad("set Time instead, such as 03:00", "a serverless cache has a time for automatic snapshots, and no window")
	case !one && o.Time != "":
		return bad("set Window instead, such as 03:00-04:30", "a %s has a window for automatic snapshots, and no time", kindOf(r))
	case o.Off && o.Window+o.Time != "":
		return bad("leave Window and Time out", "a window or time for automatic snapshots that are not to be made")
	case o.Window != "" && !dailyWindow(o.Window):
		return bad("use hh:mm-hh:mm in UTC, at least an hour, such as 03:00-04:30", "the window %.40q", o.Window)
	case o.Time != "" && minuteOf(o.Time) < 0:
		return bad("use hh:mm in UTC, such as 03:00", "the time %.40q", o.Time)
	case one && o.Apply != "" && o.Apply != ApplyNow:
		return bad("leave Apply empty", "Apply is %.40q, and a serverless cache is changed at once", o.Apply)
	case !one && o.Apply != ApplyNow && o.Apply != ApplyAtMaintenance:
		return bad("use elasticache.ApplyNow, which also applies other changes that wait, or elasticache.ApplyAtMaintenance", "Apply is %.40q", o.Apply)
	}
	return nil
}

// is tells whether the settings are as wanted.
func (o AutomaticBackupOptions) is(d daily) bool {
	return d.RetentionDays == o.RetentionDays && (o.Window == "" || d.Window == o.Window) && (o.Time == "" || d.Time == o.Time)
}

// warnings say what a change does beside itself.
func (o AutomaticBackupOptions) warnings(r backup.Ref, d daily) (all []backup.Finding) {
	if o.Apply == ApplyNow && len(d.Pending) > 0 {
		all = append(all, backup.Finding{ID: "elasticache.pending-changes", Severity: backup.SeverityWarning, Ref: r,
			Message: "other changes wait for the maintenance window and are applied at once too: " + strings.Join(d.Pending, ", "), Remedy: "use ApplyAtMaintenance, or be ready for them"})
	}
	if d.RetentionDays > o.RetentionDays {
		all = append(all, backup.Finding{ID: "elasticache.retention-lowered", Severity: backup.SeverityWarning, Ref: r,
			Message: fmt.Sprintf("automatic snapshots were kept for %d days and will be for %d: AWS may delete the older ones", d.RetentionDays, o.RetentionDays),
			Remedy:  "copy those that are to stay (StartCopy)"})
	}
	return all
}

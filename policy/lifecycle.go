package policy

import (
	"fmt"
	"reflect"
	"slices"
)

// StorageClass is a storage class that objects can be moved to.
type StorageClass string

// The classes, in the order in which objects can move: only ever downwards, and never back by a rule.
//
// Source: S3 user guide, "Transitioning objects using Amazon S3 Lifecycle".
const (
	ClassStandardIA         StorageClass = "STANDARD_IA"
	ClassIntelligentTiering StorageClass = "INTELLIGENT_TIERING"
	ClassOneZoneIA          StorageClass = "ONEZONE_IA"
	ClassGlacierIR          StorageClass = "GLACIER_IR"
	ClassGlacier            StorageClass = "GLACIER"
	ClassDeepArchive        StorageClass = "DEEP_ARCHIVE"
)

type classPlace struct {
	class   StorageClass
	minDays int
}

// classOrder is the place of a class in the way down, and minDays how old an object must be to move there.
var classOrder = [...]classPlace{
	{ClassStandardIA, 30}, {ClassIntelligentTiering, 0}, {ClassOneZoneIA, 30}, {ClassGlacierIR, 0}, {ClassGlacier, 0}, {ClassDeepArchive, 0},
}

// Transition moves objects to another class.
type Transition struct {
	// Days after an object was made, or for older versions after it became one. 0 is at once.
	Days  int
	Class StorageClass
}

// LifecycleRule is one rule of a bucket's lifecycle: what becomes of the objects whose keys begin with a prefix. All days are whole days after
// the creation of an object, or of a version becoming an older one, and count to the next midnight UTC.
//
// Objects under 128 KB are not moved to another class by default. A class has a shortest time that is paid for: 30 days for the IA classes, 90
// for Glacier Instant and Flexible Retrieval, 180 for Deep Archive.
//
// Source: S3 user guide, "Managing the lifecycle of objects" and "Lifecycle configuration elements".
type LifecycleRule struct {
	// ID names the rule in its bucket: 1 to 255 characters. Required in rules that are made.
	ID string
	// Disabled keeps the rule without effect.
	Disabled bool
	// Prefix is what the keys begin with; empty means every object of the bucket, the backups that others keep there included.
	Prefix string
	// Transitions move the current versions, each further down and later than the one before.
	Transitions []Transition
	// ExpireDays deletes current versions, 1 day or more; in a bucket with versions it puts a delete marker over them. 0 means never. A
	// version that Object Lock holds stays until it is let go.
	ExpireDays int
	// ExpireMarkers takes away delete markers under which no version is left. Not together with ExpireDays, which does so too.
	ExpireMarkers bool
	// OlderTransitions move, and ExpireOlderDays deletes, versions that are no longer the current one; 0 means never. This deletes for good.
	OlderTransitions []Transition
	ExpireOlderDays  int
	// KeepOlder is how many of the newest older versions ExpireOlderDays leaves alone, 1 to 100; 0 means none.
	KeepOlder int
	// AbortUploadsDays gives up multipart uploads that were not completed so many days after they began; 0 means never. It must be longer
	// than the longest copy takes.
	AbortUploadsDays int
	// Other is a rule that somebody else wrote, as the caller read it, where these fields do not hold all of it. Such a rule is kept as it is
	// and never made; of its fields only ID counts.
	Other any
}

// maxRules is how many rules a bucket has. Source: S3 user guide, "Setting a lifecycle configuration on a bucket".
const (
	maxRules  = 1000
	maxRuleID = 255
)

// Validate refuses a rule that S3 refuses, by rules of S3's that are known, and one that does nothing. An error is a *NameError whose Value is the
// rule's ID. What S3 does accept but would surprise is not refused: an empty Prefix, for example.
//
// Source: S3 user guide, "Lifecycle configuration elements", "Transitioning objects using Amazon S3 Lifecycle" and "Examples of S3 Lifecycle
// configurations".
func (r LifecycleRule) Validate() error { return r.check().in("lifecycle rule", r.ID) }

func (r LifecycleRule) check() fault {
	if r.Other != nil {
		return faultf(RuleForm, -1, "the rule of somebody else, which is kept and never made")
	}
	if r.ID == "" {
		return empty()
	}
	if f := checkRuleText(r.ID, maxRuleID, "ID"); f.bad() {
		return f
	}
	if f := checkRuleText(r.Prefix, maxKey, "prefix"); f.bad() {
		return f
	}
	for _, n := range []struct {
		name string
		days int
	}{{"ExpireDays", r.ExpireDays}, {"ExpireOlderDays", r.ExpireOlderDays}, {"AbortUploadsDays", r.AbortUploadsDays}, {"KeepOlder", r.KeepOlder}} {
		if n.days < 0 {
			return faultf(RuleRange, -1, "%s is %d", n.name, n.days)
		}
	}
	switch {
	case len(r.Transitions)+len(r.OlderTransitions) == 0 && r.ExpireDays+r.ExpireOlderDays+r.AbortUploadsDays == 0 && !r.ExpireMarkers:
		return faultf(RuleEmpty, -1, "a rule must do something: move, delete, or give up uploads")
	case r.ExpireMarkers && r.ExpireDays > 0:
		return faultf(RuleConflict, -1, "ExpireMarkers and ExpireDays exclude each other: ExpireDays takes away the markers too")
	case r.KeepOlder > 100:
		return faultf(RuleRange, -1, "KeepOlder is %d and at most 100", r.KeepOlder)
	case r.KeepOlder > 0 && r.ExpireOlderDays == 0:
		return faultf(RuleConflict, -1, "KeepOlder says what ExpireOlderDays leaves alone, and that is not set")
	}
	if f := checkTransitions("Transitions", r.Transitions, r.ExpireDays, "ExpireDays"); f.bad() {
		return f
	}
	return checkTransitions("OlderTransitions", r.OlderTransitions, r.ExpireOlderDays, "ExpireOlderDays")
}

// checkRuleText checks a text of a lifecycle that may be empty: UTF-8 of at most so many bytes.
func checkRuleText(s string, most int, what string) fault {
	if s == "" {
		return fault{}
	}
	f := checkObjectKey(s[:min(len(s), maxKey)])
	switch {
	case len(s) > most:
		return faultf(RuleLength, -1, "the %s is longer than %d bytes", what, most)
	case f.bad():
		return faultf(f.rule, -1, "the %s: %s", what, f.detail)
	}
	return fault{}
}

func checkTransitions(name string, all []Transition, expire int, expireName string) fault {
	at, days := -1, -1
	for _, t := range all {
		n := slices.IndexFunc(classOrder[:], func(c classPlace) bool { return c.class == t.Class })
		switch {
		case n < 0:
			return faultf(RuleForm, -1, "%s: %s is no class that objects are moved to", name, show(string(t.Class)))
		case n <= at:
			return faultf(RuleOrder, -1, "%s: objects do not move from %s to %s, only the other way", name, classOrder[at].class, t.Class)
		case t.Days < classOrder[n].minDays:
			return faultf(RuleRange, -1, "%s: %d days, and objects move to %s after %d days at the soonest", name, t.Days, t.Class, classOrder[n].minDays)
		case t.Days <= days:
			return faultf(RuleOrder, -1, "%s: to %s after %d days, which is not later than the move before it", name, t.Class, t.Days)
		case at >= 0 && classOrder[at].minDays > 0 && t.Days < days+30:
			return faultf(RuleRange, -1, "%s: to %s after %d days, and objects stay in %s for 30 days at least", name, t.Class, t.Days, classOrder[at].class)
		case expire > 0 && t.Days >= expire:
			return faultf(RuleOrder, -1, "%s: to %s after %d days, and %s deletes after %d", name, t.Class, t.Days, expireName, expire)
		}
		at, days = n, t.Days
	}
	return fault{}
}

// MergeLifecycle puts rules into those that a bucket has, by their IDs: one of the same ID is replaced in its place, a new one comes last, and
// everything that others wrote is kept as it is. S3 replaces a lifecycle as a whole, so what is written must hold what others set up. Merging
// twice is the same as merging once. Whoever must not replace what others named so looks at Merged.Replaced before writing. S3 has no
// conditional write for lifecycles: read it again afterwards.
//
// The result shares no list with the arguments. Rules of mine are validated, and must have IDs, each once. The errors are *NameError.
func MergeLifecycle(existing, mine []LifecycleRule) ([]LifecycleRule, Merged, error) {
	var m Merged
	out := slices.Clone(existing)
	for i, r := range out {
		out[i] = r.clone()
	}
	seen := map[string]bool{}
	for _, r := range mine {
		if err := r.Validate(); err != nil {
			return nil, Merged{}, err
		}
		if seen[r.ID] {
			return nil, Merged{}, faultf(RuleConflict, -1, "two rules of this ID").in("lifecycle rule", r.ID)
		}
		seen[r.ID] = true
		n := slices.IndexFunc(out, func(x LifecycleRule) bool { return x.ID == r.ID })
		switch {
		case n < 0:
			out, m.Added = append(out, r.clone()), append(m.Added, r.ID)
		case out[n].same(r):
			m.Same = append(m.Same, r.ID)
		default:
			out[n] = r.clone()
			m.Replaced = append(m.Replaced, r.ID)
		}
	}
	if len(out) > maxRules {
		return nil, Merged{}, &NameError{What: "lifecycle", Rule: RuleCount, Offset: -1, Detail: fmt.Sprintf("%d rules, and %d are allowed", len(out), maxRules)}
	}
	return out, m, nil
}

// clone gives a rule that shares no list with r. Other is shared: it is only handed on.
func (r LifecycleRule) clone() LifecycleRule {
	r.Transitions, r.OlderTransitions = slices.Clone(r.Transitions), slices.Clone(r.OlderTransitions)
	return r
}

// same reports whether two rules say the same. No transitions are the same as an empty list of them.
func (r LifecycleRule) same(o LifecycleRule) bool {
	lists := slices.Equal(r.Transitions, o.Transitions) && slices.Equal(r.OlderTransitions, o.OlderTransitions)
	r.Transitions, r.OlderTransitions, o.Transitions, o.OlderTransitions = nil, nil, nil, nil
	return lists && reflect.DeepEqual(r, o)
}

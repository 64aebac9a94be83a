package policy_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/policy"
)

func TestLifecycleRule(t *testing.T) {
	move := func(all ...any) (out []policy.Transition) {
		for i := 0; i < len(all); i += 2 {
			out = append(out, policy.Transition{Days: all[i].(int), Class: all[i+1].(policy.StorageClass)})
		}
		return out
	}
	for name, c := range map[string]struct {
		r    policy.LifecycleRule
		want policy.Rule
	}{
		"expire":               {policy.LifecycleRule{ID: "a", ExpireDays: 1}, ""},
		"everything":           {policy.LifecycleRule{ID: strings.Repeat("i", 255), Prefix: "exports/é", Transitions: move(30, policy.ClassStandardIA, 60, policy.ClassGlacier, 180, policy.ClassDeepArchive), ExpireDays: 365, OlderTransitions: move(0, policy.ClassGlacierIR), ExpireOlderDays: 30, KeepOlder: 100, AbortUploadsDays: 7}, ""},
		"markers":              {policy.LifecycleRule{ID: "a", ExpireMarkers: true, ExpireOlderDays: 1}, ""},
		"abort":                {policy.LifecycleRule{ID: "a", Disabled: true, AbortUploadsDays: 1}, ""},
		"at once":              {policy.LifecycleRule{ID: "a", Transitions: move(0, policy.ClassIntelligentTiering)}, ""},
		"from one zone":        {policy.LifecycleRule{ID: "a", Transitions: move(30, policy.ClassOneZoneIA, 60, policy.ClassDeepArchive)}, ""},
		"no ID":                {policy.LifecycleRule{ExpireDays: 1}, policy.RuleEmpty},
		"long ID":              {policy.LifecycleRule{ID: strings.Repeat("i", 256), ExpireDays: 1}, policy.RuleLength},
		"ID of no text":        {policy.LifecycleRule{ID: "\xff", ExpireDays: 1}, policy.RuleUTF8},
		"prefix of no text":    {policy.LifecycleRule{ID: "a", Prefix: "a\xff", ExpireDays: 1}, policy.RuleUTF8},
		"long prefix":          {policy.LifecycleRule{ID: "a", Prefix: strings.Repeat("p", 1025), ExpireDays: 1}, policy.RuleLength},
		"does nothing":         {policy.LifecycleRule{ID: "a", Prefix: "b"}, policy.RuleEmpty},
		"negative":             {policy.LifecycleRule{ID: "a", ExpireDays: -1}, policy.RuleRange},
		"negative, older":      {policy.LifecycleRule{ID: "a", ExpireDays: 1, ExpireOlderDays: -1}, policy.RuleRange},
		"negative, uploads":    {policy.LifecycleRule{ID: "a", ExpireDays: 1, AbortUploadsDays: -1}, policy.RuleRange},
		"negative, kept":       {policy.LifecycleRule{ID: "a", ExpireOlderDays: 1, KeepOlder: -1}, policy.RuleRange},
		"markers and days":     {policy.LifecycleRule{ID: "a", ExpireDays: 1, ExpireMarkers: true}, policy.RuleConflict},
		"keeps too many":       {policy.LifecycleRule{ID: "a", ExpireOlderDays: 1, KeepOlder: 101}, policy.RuleRange},
		"keeps for nothing":    {policy.LifecycleRule{ID: "a", ExpireDays: 1, KeepOlder: 1}, policy.RuleConflict},
		"no class":             {policy.LifecycleRule{ID: "a", Transitions: move(30, policy.StorageClass("STANDARD"))}, policy.RuleForm},
		"upwards":              {policy.LifecycleRule{ID: "a", Transitions: move(30, policy.ClassGlacier, 60, policy.ClassStandardIA)}, policy.RuleOrder},
		"twice":                {policy.LifecycleRule{ID: "a", Transitions: move(30, policy.ClassGlacier, 60, policy.ClassGlacier)}, policy.RuleOrder},
		"too young":            {policy.LifecycleRule{ID: "a", Transitions: move(29, policy.ClassStandardIA)}, policy.RuleRange},
		"too young, one zone":  {policy.LifecycleRule{ID: "a", Transitions: move(29, policy.ClassOneZoneIA)}, policy.RuleRange},
		"negative days":        {policy.LifecycleRule{ID: "a", Transitions: move(-1, policy.ClassGlacier)}, policy.RuleRange},
		"earlier":              {policy.LifecycleRule{ID: "a", Transitions: move(30, policy.ClassGlacierIR, 30, policy.ClassGlacier)}, policy.RuleOrder},
		"too soon after IA":    {policy.LifecycleRule{ID: "a", Transitions: move(30, policy.ClassStandardIA, 59, policy.ClassGlacier)}, policy.RuleRange},
		"expired before moved": {policy.LifecycleRule{ID: "a", Transitions: move(30, policy.ClassGlacier), ExpireDays: 30}, policy.RuleOrder},
		"older expired before": {policy.LifecycleRule{ID: "a", OlderTransitions: move(30, policy.ClassGlacier), ExpireOlderDays: 30}, policy.RuleOrder},
		"older, too young":     {policy.LifecycleRule{ID: "a", OlderTransitions: move(1, policy.ClassStandardIA)}, policy.RuleRange},
		"somebody else's":      {policy.LifecycleRule{ID: "a", ExpireDays: 1, Other: "x"}, policy.RuleForm},
	} {
		checkRule(t, name, c.r.Validate(), c.want)
	}
}

// Merging keeps what others wrote, in its place, and done twice it changes nothing.
func TestMergeLifecycle(t *testing.T) {
	type theirs struct{ text string }
	other := policy.LifecycleRule{ID: "logs", Other: &theirs{"kept"}}
	nameless := policy.LifecycleRule{Other: &theirs{"also"}}
	old := policy.LifecycleRule{ID: "exports", ExpireDays: 10}
	existing := []policy.LifecycleRule{other, old, nameless}
	now := policy.LifecycleRule{ID: "exports", ExpireDays: 400, Transitions: []policy.Transition{{Days: 30, Class: policy.ClassGlacierIR}}}
	uploads := policy.LifecycleRule{ID: "uploads", AbortUploadsDays: 7}
	got, m, err := policy.MergeLifecycle(existing, []policy.LifecycleRule{now, uploads})
	if err != nil {
		t.Fatal(err)
	}
	allow := cmp.AllowUnexported(theirs{})
	if d := cmp.Diff([]policy.LifecycleRule{other, now, nameless, uploads}, got, allow) +
		cmp.Diff(policy.Merged{Added: []string{"uploads"}, Replaced: []string{"exports"}}, m); d != "" {
		t.Error(d)
	}
	if existing[1].ExpireDays != 10 {
		t.Error("the rules that were merged into have changed")
	}
	uploads.Transitions = []policy.Transition{}
	again, m, err := policy.MergeLifecycle(got, []policy.LifecycleRule{uploads, now})
	if d := cmp.Diff(got, again, allow); err != nil || m.Changed() || len(m.Same) != 2 || d != "" {
		t.Errorf("%v %+v %s", err, m, d)
	}
	// A rule that somebody else wrote under the same ID is replaced, and said to be.
	if _, m, err := policy.MergeLifecycle([]policy.LifecycleRule{{ID: "uploads", AbortUploadsDays: 7, Other: 1}}, []policy.LifecycleRule{uploads}); err != nil || len(m.Replaced) != 1 {
		t.Errorf("%+v %v", m, err)
	}
	_, _, err = policy.MergeLifecycle(nil, []policy.LifecycleRule{uploads, uploads})
	checkRule(t, "twice", err, policy.RuleConflict)
	_, _, err = policy.MergeLifecycle(nil, []policy.LifecycleRule{{ID: "x"}})
	checkRule(t, "not valid", err, policy.RuleEmpty)
	many := make([]policy.LifecycleRule, 999)
	for i := range many {
		many[i] = policy.LifecycleRule{ID: fmt.Sprint(i), Other: 1}
	}
	if _, _, err := policy.MergeLifecycle(many, []policy.LifecycleRule{uploads}); err != nil {
		t.Error(err)
	}
	_, _, err = policy.MergeLifecycle(many, []policy.LifecycleRule{uploads, now})
	checkRule(t, "1001", err, policy.RuleCount)
}

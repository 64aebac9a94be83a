package policy_test

import (
	"errors"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/policy"
)

func checkRule(t *testing.T, name string, err error, want policy.Rule) {
	t.Helper()
	var e *policy.NameError
	switch {
	case want == "" && err == nil:
	case !errors.As(err, &e) || e.Rule != want || e.Detail == "" || e.Error() == "":
		t.Errorf("%s: %v, want the rule %q", name, err, want)
	}
}

func TestRetention(t *testing.T) {
	now := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	later := now.AddDate(0, 0, 30)
	for name, c := range map[string]struct {
		r    policy.Retention
		want policy.Rule
	}{
		"plain":                      {policy.Retention{Until: later}, ""},
		"governance":                 {policy.Retention{Mode: policy.LockGovernance, Until: now.Add(time.Second)}, ""},
		"compliance":                 {policy.Retention{Mode: policy.LockCompliance, Until: later, Irreversible: true}, ""},
		"compliance by an oversight": {policy.Retention{Mode: policy.LockCompliance, Until: later}, policy.RuleConflict},
		"governance, for ever":       {policy.Retention{Until: later, Irreversible: true}, policy.RuleConflict},
		"no mode of S3":              {policy.Retention{Mode: "governance", Until: later}, policy.RuleForm},
		"no end":                     {policy.Retention{}, policy.RuleEmpty},
		"ended":                      {policy.Retention{Until: now}, policy.RuleRange},
		"a hundred years":            {policy.Retention{Until: now.AddDate(100, 0, 0)}, ""},
		"longer":                     {policy.Retention{Until: now.AddDate(100, 0, 0).Add(1)}, policy.RuleRange},
	} {
		checkRule(t, name, c.r.Validate(now), c.want)
	}
	governance, compliance := policy.Retention{Until: later}, policy.Retention{Mode: policy.LockCompliance, Until: later, Irreversible: true}
	shorter, longer := governance, compliance
	shorter.Until, longer.Until = later.Add(-time.Second), later.Add(time.Second)
	for name, c := range map[string]struct {
		from, to policy.Retention
		want     policy.Rule
	}{
		"the same":             {governance, governance, ""},
		"firmer":               {governance, compliance, ""},
		"looser":               {compliance, governance, policy.RuleOrder},
		"longer":               {compliance, longer, ""},
		"shorter":              {longer, compliance, policy.RuleOrder},
		"shorter, governance":  {governance, shorter, policy.RuleOrder},
		"none before":          {policy.Retention{}, shorter, ""},
		"ended before":         {policy.Retention{Mode: policy.LockCompliance, Until: now, Irreversible: true}, governance, ""},
		"to what is not valid": {governance, policy.Retention{}, policy.RuleEmpty},
	} {
		checkRule(t, name, c.from.To(c.to, now), c.want)
	}
}

func TestDefaultRetention(t *testing.T) {
	for name, c := range map[string]struct {
		r    policy.DefaultRetention
		want policy.Rule
	}{
		"days":                       {policy.DefaultRetention{Days: 1}, ""},
		"most days":                  {policy.DefaultRetention{Mode: policy.LockGovernance, Days: 36_500}, ""},
		"too many days":              {policy.DefaultRetention{Days: 36_501}, policy.RuleRange},
		"years":                      {policy.DefaultRetention{Mode: policy.LockCompliance, Years: 100, Irreversible: true}, ""},
		"too many years":             {policy.DefaultRetention{Years: 101}, policy.RuleRange},
		"fewer than none":            {policy.DefaultRetention{Days: -1}, policy.RuleRange},
		"fewer years than none":      {policy.DefaultRetention{Years: -1}, policy.RuleRange},
		"both":                       {policy.DefaultRetention{Days: 1, Years: 1}, policy.RuleConflict},
		"neither":                    {policy.DefaultRetention{}, policy.RuleEmpty},
		"compliance by an oversight": {policy.DefaultRetention{Mode: policy.LockCompliance, Days: 1}, policy.RuleConflict},
		"no mode of S3":              {policy.DefaultRetention{Mode: "x", Days: 1}, policy.RuleForm},
	} {
		checkRule(t, name, c.r.Validate(), c.want)
	}
	if s := (policy.DefaultRetention{Days: 30}).String(); s != "30 days in mode GOVERNANCE" {
		t.Error(s)
	}
	if s := (policy.DefaultRetention{Years: 7, Mode: policy.LockCompliance}).String(); s != "7 years in mode COMPLIANCE" {
		t.Error(s)
	}
}

package backup

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestTokensStay holds the hashes of this release: what an earlier process stored or tagged must be found by a later one.
func TestTokensStay(t *testing.T) {
	if got, want := NewToken(testRef, "2026-11-20"), "tk-zcygop4kitix6r6dwxw6mb3454"; got != want {
		t.Errorf("NewToken gives %s, want %s", got, want)
	}
	if got, want := operationID("test", ActionBackup, testRef, "2026-11-20"), "op-hl5otkem6o6wbmdc2n4ls2hhrm"; got != want {
		t.Errorf("operationID gives %s, want %s", got, want)
	}
}

// TestTokensDiffer shifts letters from one part to the next: no two different lists of parts have the same hash.
func TestTokensDiffer(t *testing.T) {
	seen := map[string]string{}
	add := func(id string, parts ...string) {
		t.Helper()
		is := fmt.Sprintf("%q", parts)
		if was, ok := seen[id]; ok && was != is {
			t.Errorf("%s and %s are both %s", was, is, id)
		}
		seen[id] = is
	}
	cut := func(s string, n int, f func(parts []string)) {
		var walk func(rest string, parts []string)
		walk = func(rest string, parts []string) {
			if len(parts) == n-1 {
				f(append(parts[:len(parts):len(parts)], rest))
				return
			}
			for i := range len(rest) + 1 {
				walk(rest[i:], append(parts[:len(parts):len(parts)], rest[:i]))
			}
		}
		walk(s, nil)
	}
	for _, s := range []string{"aaaaaa", "1:a2:bb"} {
		cut(s, 5, func(p []string) { add(NewToken(Ref{p[0], p[1], p[2], p[3]}, p[4]), append([]string{"token"}, p...)...) })
		cut(s, 7, func(p []string) {
			add(operationID(p[0], Action(p[1]), Ref{p[2], p[3], p[4], p[5]}, p[6]), append([]string{"id"}, p...)...)
		})
	}
	if len(seen) < 2000 {
		t.Errorf("only %d hashes", len(seen))
	}
	form := regexp.MustCompile(`^(op|tk)-[a-z2-7]{26}$`)
	for id := range seen {
		if !form.MatchString(id) {
			t.Fatalf("%q", id)
		}
	}
}

func TestValidTags(t *testing.T) {
	many := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[fmt.Sprint("key-", i)] = ""
		}
		return m
	}
	long := map[string]string{}
	for i := range 16 {
		long[fmt.Sprintf("key-%02d", i)] = strings.Repeat("v", 250)
	}
	longer := maps.Clone(long)
	longer["x"] = ""
	for name, c := range map[string]struct {
		tags map[string]string
		ok   bool
	}{
		"none":                {nil, true},
		"ordinary":            {map[string]string{"team": "blue", "empty": ""}, true},
		"limits":              {map[string]string{strings.Repeat("k", 128): strings.Repeat("ü", 256)}, true},
		"aws in the midst":    {map[string]string{"my-aws:x": ""}, true},
		"50":                  {many(50), true},
		"4 KiB":               {long, true},
		"empty key":           {map[string]string{"": "x"}, false},
		"long key":            {map[string]string{strings.Repeat("k", 129): ""}, false},
		"long value":          {map[string]string{"k": strings.Repeat("v", 257)}, false},
		"aws:":                {map[string]string{"aws:cloudformation:stack-name": "x"}, false},
		"AWS:":                {map[string]string{"AWS:x": "x"}, false},
		"ours":                {map[string]string{TagToken: "forged"}, false},
		"ours in capitals":    {map[string]string{"Snapwarden:Owner": "forged"}, false},
		"key not UTF-8":       {map[string]string{"k\xff": ""}, false},
		"value not UTF-8":     {map[string]string{"k": "\xff"}, false},
		"51":                  {many(51), false},
		"a byte beyond 4 KiB": {longer, false},
	} {
		if err := validTags(c.tags); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestValidOwner(t *testing.T) {
	for owner, want := range map[string]bool{
		"a": true, "snapwarden": true, "Team.Blue_1-x": true, strings.Repeat("o", 64): true,
		"": false, strings.Repeat("o", 65): false, "a b": false, "a/b": false, "a:b": false, "ü": false, "a\n": false, "*": false,
	} {
		if got := validOwner(owner); got != want {
			t.Errorf("%q: %v", owner, got)
		}
	}
}

func TestOwnTags(t *testing.T) {
	op := testOperation(t, "token")
	op.Owner = "me"
	op.Started = time.Date(2026, 11, 20, 1, 2, 3, 4, time.FixedZone("", 3600))
	op.Tags[TagOwner] = "forged in storage"
	got := op.OwnTags(Ref{"a", "b", "c", "d"})
	want := map[string]string{"team": "blue", TagOwner: "me", TagToken: op.ID, TagSource: "a:b:c:d", TagCreated: "2026-11-20T00:02:03Z"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("tags (-want +got):\n%s", d)
	}
	got["team"] = "changed"
	if op.Tags["team"] != "blue" {
		t.Error("OwnTags gives the Operation's own map")
	}
	for k := range want {
		if k != "team" && !strings.HasPrefix(k, TagPrefix) {
			t.Errorf("%s does not begin with %s", k, TagPrefix)
		}
	}
}

func TestTruncate(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc..."}, {"aüü", 2, "a..."}, {"aüü", 3, "aü..."}, {"\x80\x80\x80", 2, "..."}} {
		if got := truncate(c.s, c.n); got != c.want || utf8.ValidString(c.s) && !utf8.ValidString(got) {
			t.Errorf("%q at %d: %q, want %q", c.s, c.n, got, c.want)
		}
	}
}

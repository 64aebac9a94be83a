package policy_test

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, s       string
		action, resource bool
	}{
		{"s3:GetObject", "s3:GetObject", true, true},
		{"s3:getobject", "S3:GetObject", true, false},
		{"s3:Get*", "s3:GetObject", true, true},
		{"s3:Get*", "s3:Get", true, true},
		{"*", "", true, true},
		{"", "", true, true},
		{"", "a", false, false},
		{"?", "", false, false},
		{"?", "€", true, true},
		{"??", "€", false, false},
		{"*?", "€", true, true},
		{"*??", "€", false, false},
		{"a*?b", "aéb", true, true},
		{"*??b*", "€bx", false, false},
		{"*?b*", "€bx", true, true},
		{"a?b", "ab", false, false},
		{"a?b", "a*b", true, true},
		{"a*b*c", "aXXbYYbc", true, true},
		{"a*b*c", "aXXbYYbcd", false, false},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/x/y:z", true, true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b", false, false},
		{"arn:aws:s3:::b*", "arn:aws:s3:::bc/x", true, true},
		{"kms:*Deletion", "kms:ScheduleKeyDeletion", true, true},
		{"kms:*Deletion", "kms:ScheduleKeyDeletions", false, false},
	} {
		if got := policy.MatchAction(c.pattern, c.s); got != c.action {
			t.Errorf("MatchAction(%q, %q) = %v", c.pattern, c.s, got)
		}
		if got := policy.MatchResource(c.pattern, c.s); got != c.resource {
			t.Errorf("MatchResource(%q, %q) = %v", c.pattern, c.s, got)
		}
	}
}

// randomText makes short texts of few letters, so that patterns do meet.
func randomText(r *rand.Rand, letters []string, most int) string {
	var b strings.Builder
	for range r.IntN(most + 1) {
		b.WriteString(letters[r.IntN(len(letters))])
	}
	return b.String()
}

// The matcher says the same as a regular expression.
func TestMatchIsARegularExpression(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	matched := 0
	for range 30_000 {
		pattern, s := randomText(r, []string{"a", "b", "€", "*", "*", "?"}, 7), randomText(r, []string{"a", "b", "€"}, 8)
		expr := "^" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(pattern)) + "$"
		want := regexp.MustCompile(expr).MatchString(s)
		if got := policy.MatchResource(pattern, s); got != want {
			t.Fatalf("MatchResource(%q, %q) = %v", pattern, s, got)
		}
		if want {
			matched++
		}
	}
	if matched < 3000 {
		t.Errorf("only %d of the pairs match", matched)
	}
}

// A pattern that would take a backtracking matcher for ever is answered.
func TestMatchEnds(t *testing.T) {
	pattern, s := strings.Repeat("*a", 1000)+"b", strings.Repeat("a", 2048)
	if policy.MatchResource(pattern, s) || policy.CoversResource(pattern, s) || !policy.MatchResource(pattern, s+"b") {
		t.Error("a wrong answer")
	}
}

func TestCovers(t *testing.T) {
	for _, c := range []struct {
		pattern, other string
		want           bool
	}{
		{"*", "*", true},
		{"*", "arn:aws:s3:::b", true},
		{"*", "arn:aws:s3:::b/${aws:username}", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/x*y?", true},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/${aws:username}/*", true},
		{"arn:aws:s3:::b/*}", "arn:aws:s3:::b/${aws:username}", false},
		{"arn:aws:s3:::b/???", "arn:aws:s3:::b/${a}", false},
		{"arn:aws:s3:::b/${aws:username}", "arn:aws:s3:::b/${aws:username}", true},
		{"arn:aws:s3:::b/${aws:username}*", "arn:aws:s3:::b/${aws:username}x", false},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b/${open", false},
		{"arn:aws:s3:::b/*", "arn:aws:s3:::b*", false},
		{"arn:aws:s3:::b*", "arn:aws:s3:::b/*", true},
		{"arn:aws:s3:::b/?*", "arn:aws:s3:::b/*?", true},
		{"arn:aws:s3:::b/*?", "arn:aws:s3:::b/**?", true},
		{"arn:aws:s3:::b/?*", "arn:aws:s3:::b/*", false},
		{"arn:aws:s3:::b/?", "arn:aws:s3:::b/*", false},
		{"arn:aws:s3:::b/x", "arn:aws:s3:::b/?", false},
		{"arn:aws:s3:::b/x", "arn:aws:s3:::B/x", false},
		{"arn:aws:rds:*:111122223333:db:x", "arn:aws:rds:eu-west-1:111122223333:db:x", true},
		{"arn:aws:rds:*:db:x", "arn:aws:rds:eu-west-1:111122223333:db:x", false},
		{"arn:aws:rds:*", "arn:aws:rds:eu-west-1:111122223333:db:x", true},
		{"arn:aws:rds:eu-west-1:*", "arn:aws:rds:*", false},
		{"arn:aws:rds:*:*:db:*", "*", false},
	} {
		if got := policy.CoversResource(c.pattern, c.other); got != c.want {
			t.Errorf("CoversResource(%q, %q) = %v", c.pattern, c.other, got)
		}
	}
	if !policy.CoversAction("S3:get*", "s3:GetObject*") || policy.CoversAction("s3:GetObject*", "s3:Get*") {
		t.Error("actions")
	}
}

// What is said to be covered is: no text that the other names is left out.
func TestCoversIsSound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var texts []string
	for _, a := range []string{"", "a", "b", "€", ":"} {
		for _, b := range []string{"", "a", "b", "€", ":"} {
			for _, c := range []string{"", "a", "b", ":"} {
				for _, d := range []string{"", "a", "b", ":"} {
					texts = append(texts, a+b+c+d)
				}
			}
		}
	}
	covered := 0
	for range 20_000 {
		letters := []string{"a", "b", "€", ":", "*", "?"}
		pattern, other := randomText(r, letters, 5), randomText(r, letters, 5)
		action, resource := policy.CoversAction(pattern, other), policy.CoversResource(pattern, other)
		if resource && !action {
			t.Fatalf("%q covers %q as a resource only", pattern, other)
		}
		if !action {
			continue
		}
		covered++
		for _, s := range texts {
			if policy.MatchResource(other, s) && !policy.MatchResource(pattern, s) {
				t.Fatalf("%q does not cover %q: %q", pattern, other, s)
			}
		}
	}
	if covered < 500 {
		t.Errorf("only %d of the pairs are covered", covered)
	}
}

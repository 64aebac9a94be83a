package main

import (
	"context"
	"errors"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// tryNames starts exports with names that can not be right. Each is refused before anything is sent, with the rule and the place.
func (c *cloud) tryNames(ctx context.Context, out *report) (row, error) {
	const good = "orders-exports-names"
	r := row{label: "names: invalid", id: "policy.NameError", by: "Start", explained: true}
	out.count++
	out.print("\n2.%d Names that can not be right\n", out.count)
	if err := c.prepare(ctx, region, good, elasticacheexport.PrepareOptions{Create: true}); err != nil {
		return r, err
	}
	r.met = true
	before := len(c.world.Calls())
	for _, x := range []struct {
		bucket, name string
		rule         policy.Rule
	}{
		{"Orders-Exports", "nightly", policy.RuleCharacter},
		{"orders_exports", "nightly", policy.RuleCharacter},
		{"orders..exports", "nightly", policy.RuleLabel},
		{"-orders-exports", "nightly", policy.RuleLabel},
		{"192.168.0.1", "nightly", policy.RuleAddress},
		{"xn--orders", "nightly", policy.RuleReserved},
		{"orders-s3alias", "nightly", policy.RuleReservedSuffix},
		{"ex", "nightly", policy.RuleLength},
		{strings.Repeat("orders-", 9) + "exports", "nightly", policy.RuleLength},
		{good, "every night", policy.RuleSpace},
		{good, "nightly*", policy.RuleWildcard},
		{good, "nightly/orders", policy.RuleCharacter},
		{good, "nightly,orders", policy.RuleCharacter},
		{good, "night\xff", policy.RuleUTF8},
		{good, strings.Repeat("n", 1001), policy.RuleLength},
	} {
		label := "bucket"
		if x.bucket == good {
			label = "name"
		}
		_, err := plan{snapshot(sessionsSnapshot), x.bucket, x.name, c.admin}.start(ctx, "names")
		var name *policy.NameError
		if !errors.Is(err, backup.ErrInvalid) || !errors.As(err, &name) || name.Rule != x.rule {
			out.line(label, "%q: %v", x.name, err)
			r.met = false
			continue
		}
		out.line(label, "%s (%s)", name.Error(), name.Rule)
		r.explained = r.explained && backup.HintOf(err) != ""
	}
	sent := len(c.world.Calls()) - before
	out.line("AWS", "was sent %d calls", sent)
	r.met = r.met && sent == 0
	r.mended = true
	out.line("mended", "the bucket %s and the name nightly", good)
	var err error
	r.passed, err = c.pass(ctx, out, plan{snapshot(sessionsSnapshot), good, "nightly", c.admin}, "names, mended")
	return r, err
}

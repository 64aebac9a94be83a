package main

import (
	"fmt"
	"strings"

	"github.com/snapwarden/snapwarden/policy"
)

// lintPolicies lints what the page published, and what the library makes in its place.
func lintPolicies(out *report) error {
	const bucket = "orders-exports"
	out.heading("3. The policies of the page, and safe ones")
	caller, err := policy.ElastiCacheExportPolicy(policy.Scope{Account: account, Region: region}, bucket, ordersSnapshot)
	if err != nil {
		return err
	}
	published, err := policy.PublishedExportBucketPolicy(region, bucket)
	if err != nil {
		return err
	}
	safe, err := safeBucketPolicy(bucket)
	if err != nil {
		return err
	}
	for _, x := range []struct {
		title string
		doc   policy.Document
		kind  policy.Kind
		safe  bool
	}{
		{"The caller's policy, as published", policy.PublishedExportCallerPolicy(), policy.KindIdentity, false},
		{"The caller's policy by policy.ElastiCacheExportPolicy, for one bucket and one snapshot", caller, policy.KindIdentity, true},
		{"The bucket's policy, as published for Regions that need an opt-in", published, policy.KindBucket, false},
		{"The bucket's policy by policy.ExportStatement and policy.DenyInsecureTransport", safe, policy.KindBucket, true},
	} {
		out.print("\n%s\n", x.title)
		bad := false
		found := policy.Lint(x.doc, policy.LintContext{Kind: x.kind, Owner: account, Partition: "aws"})
		for _, f := range found {
			bad = bad || f.Severity == policy.SeverityError
			out.line(string(f.Severity), "%s %s: %s", f.ID, f.Place, f.Detail)
			out.line("", "-> %s", f.Remedy)
		}
		if len(found) == 0 {
			out.line("lint", "finds nothing")
		}
		if x.safe == bad {
			return fmt.Errorf("%s: errors found is %t", x.title, bad)
		}
	}
	return lintGrants(out)
}

// safeBucketPolicy lets ElastiCache export, and nobody connect without TLS.
func safeBucketPolicy(bucket string) (policy.Document, error) {
	export, err := policy.ExportStatement(bucket, region)
	if err != nil {
		return policy.Document{}, err
	}
	tls, err := policy.DenyInsecureTransport(bucket, region)
	if err != nil {
		return policy.Document{}, err
	}
	d, _, err := policy.Document{}.Merge(export, tls)
	return d, err
}

// lintGrants shows what the page's older edition granted by the ACL, and what an export needs.
func lintGrants(out *report) error {
	id, err := policy.ElastiCacheCanonicalID("aws")
	if err != nil {
		return err
	}
	published, err := policy.PublishedExportGrants(id)
	if err != nil {
		return err
	}
	needed, err := policy.ExportGrants(id)
	if err != nil {
		return err
	}
	for _, x := range []struct {
		title  string
		grants []policy.Grant
	}{{"The bucket's ACL, as published in the older edition", published}, {"The bucket's ACL by policy.ExportGrants", needed}} {
		var names []string
		for _, g := range x.grants {
			names = append(names, string(g.Permission))
		}
		out.print("\n%s\n", x.title)
		out.line("grants", "%s", strings.Join(names, ", "))
		found := policy.LintGrants(x.grants, policy.LintContext{Kind: policy.KindBucket, Owner: account, Partition: "aws"})
		for _, f := range found {
			out.line(string(f.Severity), "%s %s: %s", f.ID, f.Place, f.Detail)
			out.line("", "-> %s", f.Remedy)
		}
		if len(found) == 0 {
			out.line("lint", "finds nothing")
		}
	}
	return nil
}

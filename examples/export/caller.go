package main

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// The caller whose policies are changed, and the bucket that is in order.
const (
	exporter      = "arn:aws:iam::" + account + ":user/exporter"
	exporterKey   = "AKIASIMULATED0000001"
	callersBucket = "orders-exports-callers"
)

// callerPolicies are what the exporter needs: to export, and, because ElastiCache asks whether the caller could, to delete. Whether AWS
// insists on the latter is not documented; the simulated one does, as the page lists it.
func callerPolicies() ([]policy.Document, error) {
	scope := policy.Scope{Account: account, Region: region}
	export, err := policy.ElastiCacheExportPolicy(scope, callersBucket)
	if err != nil {
		return nil, err
	}
	remove, err := policy.ElastiCacheExportDeletePolicy(scope, callersBucket)
	return []policy.Document{export, remove}, err
}

// less gives documents without an action.
func less(docs []policy.Document, action string) []policy.Document {
	out := slices.Clone(docs)
	for i, d := range docs {
		out[i].Statements = nil
		for _, st := range d.Statements {
			st.Action = slices.DeleteFunc(slices.Clone(st.Action), func(a string) bool { return a == action })
			if len(st.Action) > 0 {
				out[i].Statements = append(out[i].Statements, st)
			}
		}
	}
	return slices.DeleteFunc(out, func(d policy.Document) bool { return len(d.Statements) == 0 })
}

// listingOneBucket is the mistake that the page warns of: s3:ListAllMyBuckets, which knows no single bucket, limited to one.
func listingOneBucket(docs []policy.Document) []policy.Document {
	out := slices.Clone(docs)
	for i := range out {
		out[i].Statements = slices.Clone(out[i].Statements)
		for j := range out[i].Statements {
			if st := &out[i].Statements[j]; slices.Contains(st.Action, "s3:ListAllMyBuckets") {
				st.Resource = []string{"arn:aws:s3:::" + callersBucket}
			}
		}
	}
	return out
}

// attach gives the exporter these policies and no others.
func (c *cloud) attach(docs []policy.Document) error {
	if err := c.iam.Detach(c.world, exporter); err != nil {
		return err
	}
	return c.iam.Attach(c.world, exporter, docs...)
}

// exporterCaller is the library with the exporter's credentials.
func (c *cloud) exporterCaller() *caller {
	c.world.Do(account, region, func(r *awssim.Request) {
		r.World.AddSession(exporterKey, awssim.Session{Account: account, Principal: exporter})
	})
	return newCaller(func(region string) aws.Config {
		return c.world.ConfigFor(region, aws.Credentials{AccessKeyID: exporterKey, SecretAccessKey: "simulated", Source: "awssim", AccountID: account})
	})
}

// callerTrials are those of a bucket that is in order, and a caller whose own policies lack something.
func (c *cloud) callerTrials() []trial {
	by := c.exporterCaller()
	one := func(label, title, id, name string, without func([]policy.Document) []policy.Document) trial {
		return trial{
			label: label, title: title, id: id, code: backup.ErrDenied,
			plan: plan{snapshot(sessionsSnapshot), callersBucket, name, by},
			arrange: func(ctx context.Context) error {
				if err := c.prepare(ctx, region, callersBucket, elasticacheexport.PrepareOptions{Create: true}); err != nil {
					return err
				}
				docs, err := callerPolicies()
				if err != nil {
					return err
				}
				return c.attach(without(docs))
			},
			mend: func(context.Context, *plan) (string, error) {
				docs, err := callerPolicies()
				if err != nil {
					return "", err
				}
				return "the caller got policy.ElastiCacheExportPolicy and policy.ElastiCacheExportDeletePolicy, whole", c.attach(docs)
			},
		}
	}
	all := []trial{
		one("caller: s3:ListAllMyBuckets limited", "The caller may list all buckets, but of one bucket only", "elasticacheexport.caller-list-all", "sw-list-all", listingOneBucket),
	}
	for _, x := range []struct{ action, id, name string }{
		{"elasticache:CopySnapshot", "", "sw-copy"}, // said by IAM, and not by ElastiCache: AccessDenied needs no translation
		{"s3:GetBucketLocation", "elasticacheexport.caller-rights", "sw-location"},
		{"s3:PutObject", "elasticacheexport.caller-rights", "sw-put"},
		{"s3:GetObject", "elasticacheexport.caller-rights", "sw-get"},
		{"s3:DeleteObject", "elasticacheexport.caller-rights", "sw-delete"},
		// Without it, the bucket does not even say that it is there.
		{"s3:ListBucket", "elasticacheexport.bucket-owner", "sw-list"},
	} {
		all = append(all, one("caller: "+x.action+" lacking", "The caller lacks "+x.action, x.id, x.name,
			func(docs []policy.Document) []policy.Document { return less(docs, x.action) }))
	}
	return all
}

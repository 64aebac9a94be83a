package main

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// grantTrials are those of a bucket that does not let ElastiCache in: by its policy, which is today's way, and by its ACL, which is the older one.
func (c *cloud) grantTrials() []trial {
	byPolicy := func(ctx context.Context, p *plan) (string, error) {
		return "StartPrepare merged the statement " + policy.SidExport + " into the bucket's policy, and kept the rest", c.prepare(ctx, region, p.bucket, elasticacheexport.PrepareOptions{})
	}
	byGrants := func(ctx context.Context, p *plan) (string, error) {
		return "StartPrepare with ByGrants added to the ACL what was missing: READ, WRITE and READ_ACP are there, and not the WRITE_ACP that the page once asked for",
			c.prepare(ctx, region, p.bucket, elasticacheexport.PrepareOptions{ByGrants: true})
	}
	all := []trial{{
		label: "policy: nothing granted", title: "The bucket lets ElastiCache do nothing", id: grantIDs[policy.PermissionReadACP], code: backup.ErrDenied,
		plan:    plan{snapshot(sessionsSnapshot), "orders-exports-shut", "nightly", c.admin},
		arrange: func(ctx context.Context) error { return bare(ctx, c.admin.s3(region), region, "orders-exports-shut") },
		mend:    byPolicy,
	}}
	for _, p := range permissions {
		bucket := "orders-exports-policy-" + strings.ReplaceAll(strings.ToLower(string(p)), "_", "-")
		all = append(all, trial{
			label: "policy: " + string(p) + " lacking", title: "The bucket's policy lacks " + string(p), id: grantIDs[p], code: backup.ErrDenied,
			plan: plan{snapshot(sessionsSnapshot), bucket, "nightly", c.admin},
			arrange: func(ctx context.Context) error {
				if err := bare(ctx, c.admin.s3(region), region, bucket); err != nil {
					return err
				}
				return c.admit(ctx, bucket, p)
			},
			mend: byPolicy,
		})
	}
	for _, p := range permissions {
		bucket := "orders-exports-acl-" + strings.ReplaceAll(strings.ToLower(string(p)), "_", "-")
		all = append(all, trial{
			label: "ACL: " + string(p) + " lacking", title: "The bucket's ACL, in the older way, lacks " + string(p), id: grantIDs[p], code: backup.ErrDenied,
			plan: plan{snapshot(sessionsSnapshot), bucket, "nightly", c.admin},
			arrange: func(ctx context.Context) error {
				if err := bare(ctx, c.admin.s3(region), region, bucket); err != nil {
					return err
				}
				if err := c.withACLs(ctx, bucket); err != nil {
					return err
				}
				return c.grant(ctx, bucket, p)
			},
			mend: byGrants,
		})
	}
	return append(all, c.deniedByPolicy(), c.aclsDisabled(byPolicy))
}

// deniedByPolicy is a bucket whose policy grants everything, and denies a part of it again to everybody: AWS says that it was not granted.
func (c *cloud) deniedByPolicy() trial {
	const bucket, sid = "orders-exports-policy-deny", "NobodyWrites"
	write := func(ctx context.Context, d policy.Document) error {
		text, err := d.Encode(policy.MaxBucketPolicy)
		if err != nil {
			return err
		}
		_, err = c.admin.s3(region).PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{Bucket: aws.String(bucket), Policy: &text})
		return err
	}
	return trial{
		label: "policy: granted and denied", title: "The bucket's policy grants all of it, and denies a part of it to everybody",
		id: "elasticacheexport.policy-denies", code: backup.ErrDenied,
		plan: plan{snapshot(sessionsSnapshot), bucket, "nightly", c.admin},
		arrange: func(ctx context.Context) error {
			if err := c.prepare(ctx, region, bucket, elasticacheexport.PrepareOptions{Create: true}); err != nil {
				return err
			}
			d, err := c.bucketPolicy(ctx, bucket)
			if err != nil {
				return err
			}
			deny := policy.Statement{Sid: sid, Effect: policy.Deny, Principal: &policy.Principal{Everyone: true},
				Action: []string{"s3:PutObject"}, Resource: []string{"arn:aws:s3:::" + bucket + "/*"}}
			if d, _, err = d.Merge(deny); err != nil {
				return err
			}
			return write(ctx, d)
		},
		mend: func(ctx context.Context, _ *plan) (string, error) {
			d, err := c.bucketPolicy(ctx, bucket)
			if err != nil {
				return "", err
			}
			d, gone := d.Without(sid)
			return "Document.Without took the statement " + strings.Join(gone, ", ") + " out of the bucket's policy, and left the rest", write(ctx, d)
		},
	}
}

func (c *cloud) bucketPolicy(ctx context.Context, bucket string) (policy.Document, error) {
	out, err := c.admin.s3(region).GetBucketPolicy(ctx, &awss3.GetBucketPolicyInput{Bucket: &bucket})
	if err != nil {
		return policy.Document{}, err
	}
	return policy.ParseDocument([]byte(aws.ToString(out.Policy)))
}

// aclsDisabled follows the page's older edition on a bucket of today: S3 takes no grants there.
func (c *cloud) aclsDisabled(mend func(context.Context, *plan) (string, error)) trial {
	const bucket = "orders-exports-no-acls"
	return trial{
		label: "ACL: disabled", title: "The older way, on a bucket with its ACLs disabled", code: backup.ErrUnsupported,
		plan:    plan{snapshot(sessionsSnapshot), bucket, "nightly", c.admin},
		arrange: func(ctx context.Context) error { return bare(ctx, c.admin.s3(region), region, bucket) },
		start: func(ctx context.Context) (backup.Operation, error) {
			return c.admin.exports.StartPrepare(ctx, elasticacheexport.Bucket(account, region, bucket),
				backup.Spec{Token: "grants on " + bucket, Options: elasticacheexport.PrepareOptions{ByGrants: true}})
		},
		ask: func(ctx context.Context) error {
			client := c.admin.s3(region)
			now, err := client.GetBucketAcl(ctx, &awss3.GetBucketAclInput{Bucket: aws.String(bucket)})
			if err != nil {
				return err
			}
			_, err = client.PutBucketAcl(ctx, &awss3.PutBucketAclInput{Bucket: aws.String(bucket),
				AccessControlPolicy: &s3types.AccessControlPolicy{Owner: now.Owner, Grants: now.Grants}})
			return err
		},
		mend: mend,
	}
}

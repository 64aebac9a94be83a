package main

import (
	"context"
	"fmt"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// prepare makes a bucket ready by the library: it is created if that is asked for, and its policy or ACL is merged, written and read back.
func (c *cloud) prepare(ctx context.Context, region, bucket string, o elasticacheexport.PrepareOptions) error {
	op, err := c.admin.exports.StartPrepare(ctx, elasticacheexport.Bucket(account, region, bucket),
		backup.Spec{Token: fmt.Sprintf("%s %+v", bucket, o), Options: o})
	_, err = c.admin.finish(ctx, op, err)
	return err
}

// created is the mending by a new bucket.
func (c *cloud) created(bucket string) func(context.Context, *plan) (string, error) {
	return func(ctx context.Context, p *plan) (string, error) {
		p.bucket = bucket
		return "StartPrepare with Create made the bucket " + bucket + " in " + region + ", with ACLs disabled, public access blocked and plain HTTP refused, and let ElastiCache in",
			c.prepare(ctx, region, bucket, elasticacheexport.PrepareOptions{Create: true})
	}
}

// bare makes a bucket as S3 does for whoever asks for nothing special: ElastiCache is not let in.
func bare(ctx context.Context, client *awss3.Client, region, bucket string) error {
	_, err := client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &bucket,
		CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: s3types.BucketLocationConstraint(region)}})
	return err
}

// bucketTrials are those of a bucket that can not be used at all, and of a key that is taken.
func (c *cloud) bucketTrials() []trial {
	const other, elsewhere, full = "somebody-elses-exports", "orders-exports-london", "orders-exports-full"
	return []trial{
		{
			label: "bucket: missing", title: "The bucket does not exist", id: "elasticacheexport.bucket-missing", code: backup.ErrNotFound,
			plan: plan{snapshot(ordersSnapshot), "orders-exports-new", "nightly", c.admin},
			mend: c.created("orders-exports-new"),
		},
		{
			label: "bucket: of another account", title: "The bucket belongs to another account", id: "elasticacheexport.bucket-owner", code: backup.ErrDenied,
			plan: plan{snapshot(ordersSnapshot), other, "nightly", c.admin},
			arrange: func(ctx context.Context) error {
				return bare(ctx, awss3.NewFromConfig(c.world.Config(stranger, region)), region, other)
			},
			mend: c.created("orders-exports-own"),
		},
		{
			label: "bucket: in another Region", title: "The bucket is in another Region", id: "elasticacheexport.bucket-region", code: backup.ErrInvalid,
			plan:    plan{snapshot(ordersSnapshot), elsewhere, "nightly", c.admin},
			arrange: func(ctx context.Context) error { return bare(ctx, c.admin.s3("eu-west-2"), "eu-west-2", elsewhere) },
			mend:    c.created("orders-exports-here"),
		},
		{
			label: "key: taken", title: "The bucket has an object of that key already", id: "elasticacheexport.key-taken", code: backup.ErrConflict,
			plan: plan{snapshot(ordersSnapshot), full, "nightly", c.admin},
			arrange: func(ctx context.Context) error {
				if err := c.prepare(ctx, region, full, elasticacheexport.PrepareOptions{Create: true}); err != nil {
					return err
				}
				op, err := plan{snapshot(sessionsSnapshot), full, "nightly", c.admin}.start(ctx, "the first")
				_, err = c.admin.finish(ctx, op, err)
				return err
			},
			mend: func(_ context.Context, p *plan) (string, error) {
				p.name = "nightly-orders"
				return "another name, " + p.name + "; with an empty Spec.Name the library makes one up that nobody else has", nil
			},
		},
	}
}

// exportActions are what ElastiCache needs in the bucket's policy, by the permission that its messages name.
var exportActions = map[policy.Permission][]string{
	policy.PermissionRead:    {"s3:ListBucket", "s3:GetObject", "s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"},
	policy.PermissionWrite:   {"s3:PutObject"},
	policy.PermissionReadACP: {"s3:GetBucketAcl"},
}

// permissions are the three that an export needs, in the order in which ElastiCache asks for them.
var permissions = []policy.Permission{policy.PermissionRead, policy.PermissionWrite, policy.PermissionReadACP}

// grantIDs are the findings for them.
var grantIDs = map[policy.Permission]string{
	policy.PermissionRead:    "elasticacheexport.grant-read",
	policy.PermissionWrite:   "elasticacheexport.grant-write",
	policy.PermissionReadACP: "elasticacheexport.grant-read-acp",
}

// admit has the bucket's policy let ElastiCache in, but for what it lacks.
func (c *cloud) admit(ctx context.Context, bucket string, lacks policy.Permission) error {
	st, err := policy.ExportStatement(bucket, region)
	if err != nil {
		return err
	}
	st.Sid, st.Action = "WrittenByHand", nil
	for _, p := range permissions {
		if p != lacks {
			st.Action = append(st.Action, exportActions[p]...)
		}
	}
	text, err := policy.Document{Version: policy.Version, Statements: []policy.Statement{st}}.Encode(policy.MaxBucketPolicy)
	if err != nil {
		return err
	}
	_, err = c.admin.s3(region).PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{Bucket: &bucket, Policy: &text})
	return err
}

// grant has the bucket's ACL let ElastiCache in, in the older way, but for what it lacks.
func (c *cloud) grant(ctx context.Context, bucket string, lacks policy.Permission) error {
	client := c.admin.s3(region)
	now, err := client.GetBucketAcl(ctx, &awss3.GetBucketAclInput{Bucket: &bucket})
	if err != nil {
		return err
	}
	id, err := policy.ElastiCacheCanonicalID("aws")
	if err != nil {
		return err
	}
	all := now.Grants
	for _, p := range permissions {
		if p != lacks {
			all = append(all, s3types.Grant{Permission: s3types.Permission(p), Grantee: &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: &id}})
		}
	}
	_, err = client.PutBucketAcl(ctx, &awss3.PutBucketAclInput{Bucket: &bucket, AccessControlPolicy: &s3types.AccessControlPolicy{Owner: now.Owner, Grants: all}})
	return err
}

// withACLs makes a bucket whose ACL has an effect, as all had before April 2023.
func (c *cloud) withACLs(ctx context.Context, bucket string) error {
	client := c.admin.s3(region)
	_, err := client.PutBucketOwnershipControls(ctx, &awss3.PutBucketOwnershipControlsInput{Bucket: &bucket,
		OwnershipControls: &s3types.OwnershipControls{Rules: []s3types.OwnershipControlsRule{{ObjectOwnership: s3types.ObjectOwnershipObjectWriter}}}})
	return err
}

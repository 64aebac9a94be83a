package policy

import (
	"slices"
	"strings"
)

// ExportRole is the role that RDS takes on to write an export to S3.
type ExportRole struct {
	// Account and Region are those of the snapshot or cluster that is exported. Required.
	Account, Region string
	// Bucket is where the export goes. It must be in that Region. Required.
	Bucket string
	// Prefix bounds the role to the objects below it; empty means the whole bucket. See [ValidateExportPrefix]. Whether RDS tries out the
	// bucket below the prefix only is UNVERIFIED: where it refuses the role, leave Prefix empty and give the export a bucket of its own.
	Prefix string
	// Sources bound the role to exports of these snapshots or clusters, by their ARNs; empty means all of the account.
	Sources []string
}

// The Sids of the statements of the export role.
const (
	SidExportRoleBucket  = "SnapwardenExportRoleBucket"
	SidExportRoleObjects = "SnapwardenExportRoleObjects"
	SidExportRoleTrust   = "SnapwardenExportRoleTrust"
)

// rdsExportPrincipal is the service principal of exports. That it is so in all partitions is UNVERIFIED.
const rdsExportPrincipal = "export.rds.amazonaws.com"

// Policy is the permissions policy of the role: the actions that RDS asks for, two of which are patterns because RDS's guide has them so and
// RDS refuses a role that lacks something. Deleting is among them: RDS tries out the bucket, and takes away what it wrote for that. That is why
// the bucket, or the prefix in it, is better one that holds nothing else. The role needs nothing of KMS; who starts the export does.
//
// Source: RDS user guide, "Exporting DB snapshot data to Amazon S3", access to a bucket.
func (r ExportRole) Policy() (Document, error) {
	if err := r.check(); err != nil {
		return Document{}, err
	}
	bucket, objects, err := bucketAndObjects(r.Bucket, r.Region, r.Prefix)
	if err != nil {
		return Document{}, err
	}
	return policyOf(
		Statement{Sid: SidExportRoleBucket, Effect: Allow, Action: []string{"s3:ListBucket", "s3:GetBucketLocation"}, Resource: bucket},
		Statement{Sid: SidExportRoleObjects, Effect: Allow, Action: []string{"s3:PutObject*", "s3:GetObject*", "s3:DeleteObject*"}, Resource: objects},
	)
}

// Trust is the trust policy of the role: RDS's exports may take it on, and only for that account (aws:SourceAccount) and, where Sources are given,
// for those (aws:SourceArn). Without that, anybody who may pass a role to RDS in any account could have RDS use this one.
//
// Source: RDS user guide, "Preventing cross-service confused deputy problems"; IAM user guide, "The confused deputy problem".
func (r ExportRole) Trust() (Document, error) {
	if err := r.check(); err != nil {
		return Document{}, err
	}
	c := Condition{"StringEquals": {"aws:SourceAccount": {r.Account}}}
	if len(r.Sources) > 0 {
		c["ArnLike"] = map[string][]string{"aws:SourceArn": slices.Clone(r.Sources)}
	}
	return policyOf(Statement{Sid: SidExportRoleTrust, Effect: Allow, Principal: &Principal{Service: []string{rdsExportPrincipal}},
		Action: []string{"sts:AssumeRole"}, Condition: c})
}

func (r ExportRole) check() error {
	if err := ValidateAccountID(r.Account); err != nil {
		return err
	}
	p, err := PartitionOf(r.Region)
	if err != nil {
		return err
	}
	if err := ValidateBucketName(r.Bucket); err != nil {
		return err
	}
	if r.Prefix != "" {
		if err := ValidateExportPrefix(r.Prefix); err != nil {
			return err
		}
	}
	for _, arn := range r.Sources {
		if err := checkExportSource(arn, p.ID, r.Account, r.Region).in("ARN of what is exported", arn); err != nil {
			return err
		}
	}
	return nil
}

func checkExportSource(arn, partition, account, region string) fault {
	a, f := parseARN(arn)
	switch {
	case f.bad():
		return f
	case a.Partition != partition || a.Service != "rds" || a.Account != account || a.Region != region:
		return faultf(RuleForm, -1, "not of RDS in account %s and Region %s", account, region)
	case !strings.HasPrefix(a.Resource, "snapshot:") && !strings.HasPrefix(a.Resource, "cluster-snapshot:") && !strings.HasPrefix(a.Resource, "cluster:"):
		return faultf(RuleForm, -1, "neither a snapshot nor a cluster")
	}
	return fault{}
}

// bucketAndObjects are the ARN of a bucket, and of the objects in it that begin with a prefix and a slash.
func bucketAndObjects(bucket, region, prefix string) (of, in []string, err error) {
	both, err := bucketResources(bucket, region)
	if err != nil {
		return nil, nil, err
	}
	if prefix != "" {
		if err := checkKeyPrefix(prefix, maxKey-1).in("prefix of keys", prefix); err != nil {
			return nil, nil, err
		}
		return both[:1], []string{both[0] + "/" + prefix + "/*"}, nil
	}
	return both[:1], both[1:], nil
}

// policyOf is a new document of these statements.
func policyOf(all ...Statement) (Document, error) {
	d := Document{Version: Version, Statements: all}
	return d, d.Validate()
}

package policy

// PublishedExportCallerPolicy is, exactly, the policy that the export page of the ElastiCache user guide gave for whoever asks for an export. It is
// too wide, and is here to be compared with, and for the linter to explain: it lets the caller read, write and delete in every bucket. Use
// [ElastiCacheExportPolicy], which names one bucket.
//
// Source: ElastiCache user guide, "Exporting a backup", in the edition with canonical ids.
func PublishedExportCallerPolicy() Document {
	return Document{Version: Version, Statements: []Statement{{
		Effect:   Allow,
		Action:   []string{"s3:GetBucketLocation", "s3:ListAllMyBuckets", "s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:ListBucket"},
		Resource: []string{"arn:aws:s3:::*"},
	}}}
}

// PublishedExportBucketPolicy is, exactly, the bucket policy that the same page gave for Regions that need an opt-in. It is too wide: two
// services may do everything with the bucket (s3:*), on anybody's behalf, and without TLS. Use [ExportStatement] and [DenyInsecureTransport].
//
// Source: ElastiCache user guide, "Exporting a backup", in the edition with canonical ids.
func PublishedExportBucketPolicy(region, bucket string) (Document, error) {
	resources, err := bucketResources(bucket, region)
	if err != nil {
		return Document{}, err
	}
	regional, err := ElastiCacheSnapshotPrincipal(region)
	if err != nil {
		return Document{}, err
	}
	one := func(sid, service string) Statement {
		return Statement{Sid: sid, Effect: Allow, Principal: &Principal{Service: []string{service}}, Action: []string{"s3:*"}, Resource: resources}
	}
	return Document{Version: Version, ID: "Policy15397346", Statements: []Statement{
		one("Stmt15399483", "elasticache.amazonaws.com"), one("Stmt15399484", regional),
	}}, nil
}

// PublishedReplicationKeyPolicy is, exactly, the key policy of the published pattern by which an RDS database is kept in another account. It is too
// wide: the other account as a whole gets administration of the key, of which listing and revoking grants do work across accounts, and may pass
// the key on to anybody by a grant. Use [KeyPolicy].
//
// Source: AWS prescriptive guidance, the pattern of replicating an RDS database across accounts; KMS developer guide, "Allowing users in other
// accounts to use a KMS key".
func PublishedReplicationKeyPolicy(source, destination string) (Document, error) {
	if err := ValidateAccountID(source); err != nil {
		return Document{}, err
	}
	if err := ValidateAccountID(destination); err != nil {
		return Document{}, err
	}
	from, to := rootARN("aws", source), rootARN("aws", destination)
	return Document{Version: Version, ID: "cross-account-rds-kms-key", Statements: []Statement{
		{Sid: "Enable user permissions", Effect: Allow, Principal: &Principal{AWS: []string{from}}, Action: []string{"kms:*"}, Resource: []string{"*"}},
		{Sid: "Allow administration of the key", Effect: Allow, Principal: &Principal{AWS: []string{to}}, Resource: []string{"*"},
			Action: []string{"kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*", "kms:Disable*", "kms:Get*",
				"kms:Delete*", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion"}},
		{Sid: "Allow use of the key", Effect: Allow, Principal: &Principal{AWS: []string{to, from}}, Resource: []string{"*"},
			Action: []string{"kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey", "kms:CreateGrant"}},
	}}, nil
}

// rootARN is the principal that stands for an account as a whole.
func rootARN(partition, account string) string {
	return "arn:" + partition + ":iam::" + account + ":root"
}

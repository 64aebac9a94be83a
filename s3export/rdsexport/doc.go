// Package rdsexport exports snapshots of RDS DB instances and Aurora DB clusters to S3, whole or in part, as Parquet files.
//
//	strategy := rdsexport.NewFromConfig(cfg)
//	op, err := strategy.Start(ctx, rds.Snapshot("111122223333", "eu-west-1", "nightly"), backup.Spec{Token: token, Options: rdsexport.Options{
//		Bucket: "my-exports", RoleARN: "arn:aws:iam::111122223333:role/rds-export", KeyARN: key,
//	}})
//	op, err = runner.Run(ctx, op)
//
// What comes of it is for analysis, for an audit, or for other programs: RDS can not load it back into a database. It does not take the
// place of the snapshot, which stays as it is. Snapshots of MySQL, MariaDB and PostgreSQL instances and of Aurora clusters can be exported, automated
// ones too; those of Multi-AZ DB clusters can not.
//
// # What it needs
//
// RDS writes as an IAM role that the caller hands over. The role must trust export.rds.amazonaws.com and be allowed s3:PutObject*,
// s3:GetObject*, s3:ListBucket, s3:DeleteObject* and s3:GetBucketLocation on the bucket and its objects; policy.ExportRole makes both policies. The
// key encrypts what is written: the caller needs kms:CreateGrant and kms:DescribeKey on it, and an explicit Deny in its policy must except
// export.rds.amazonaws.com. Besides that the caller needs rds:StartExportTask, rds:DescribeExportTasks, rds:DescribeDBSnapshots or rds:DescribeDBClusterSnapshots, iam:PassRole on
// the role and s3:ListBucket on the bucket, and rds:CancelExportTask to cancel (policy.RDSExportPolicy).
//
// Bucket, role and key belong to the snapshot's account, the bucket and the key to its Region. A bucket of another account is refused before
// anything is sent: S3 itself is asked whose it is.
//
// # Never twice
//
// StartExportTask takes no client token. The identifier of the task carries a hash of the Operation instead, and AWS takes each
// identifier once. After an answer that was lost the task of that identifier is adopted if snapshot, bucket, prefix, role, key and parts are those
// of this Operation, and is a conflict otherwise. AWS exports a snapshot once at a time, and five snapshots of an account at a time; both
// are waited for.
//
// # What is called done
//
// An export has succeeded when RDS says that it is complete and without a warning, and S3 lists the file that RDS writes last. One with a warning
// (tables that were skipped, a database whose tables could not be listed) is partial, and is listed as a recovery point. What a task that failed
// or was canceled has written stays in the bucket; Operation.Made says where.
//
// Source: RDS User Guide, "Exporting DB snapshot data to Amazon S3"; RDS API, StartExportTask, DescribeExportTasks, CancelExportTask.
package rdsexport

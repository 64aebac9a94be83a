// Package snapwarden is a guided tour of an SDK that backs up, restores and retires EBS, RDS and ElastiCache data on AWS. It has no code;
// the packages below it do.
//
// # A backup in fifteen lines
//
//	strategy := rds.NewFromConfig(cfg)
//	runner, err := backup.NewRunner([]backup.Strategy{strategy}, func(o *backup.RunnerOptions) { o.Store = store })
//	...
//	db := rds.Instance("111122223333", "eu-west-1", "orders")
//	op, err := strategy.Start(ctx, db, backup.Spec{Token: backup.NewToken(db, "2026-11-20")})
//	...
//	op, err = runner.Run(ctx, op)
//
// # The packages
//
//   - backup is the core: Strategy, Operation, Runner, Store, Observer and errors. It needs only the standard library.
//   - ebs, rds and elasticache are the strategies. Whoever imports one compiles the SDK of that service only. ebs/ami makes images, ebs/swap
//     puts restored volumes in the place of others on a running instance, and ebs/quiesce freezes and thaws hosts around a set.
//   - s3export/elasticacheexport prepares a bucket, exports ElastiCache snapshots to it, reads back every byte, writes a manifest last, and
//     copies exports to other Regions and accounts; elasticache seeds a new cache from one. s3export/rdsexport exports RDS snapshots.
//     s3export/protect applies lifecycle rules and Object Lock. s3export/objectcopy and s3export/rdb are usable alone: copies of large
//     objects, and the check of a single .rdb file.
//   - policy validates the names, ids and ARNs of AWS, with errors that say which rule was broken and where; it reads, builds, merges and
//     lints policy documents, and says what a change would widen.
//   - backup/s3store keeps Operations in S3, for programs that run on several machines.
//   - backup/awssim is a simulated AWS underneath the real SDK clients, for tests and for trying things out without an account.
//   - backup/backuptest is the suite that every Strategy passes, yours too, and a scripted Strategy for tests of your own orchestration.
//   - backup/backupzap logs events with zap; package backup does it with log/slog.
//
// # What is unusual
//
// Work is a value. Starting a backup gives an Operation: plain data that can be read, stored as JSON and carried on by any process. Nothing
// blocks for the length of a backup unless it wants to, and a process that dies loses nothing.
//
// Nothing is made twice. EC2's snapshot calls have no client token and the SDK's retries can make two snapshots without an error. Here every
// such call is preceded by a durable intent, is sent again only if it surely had no effect, and is otherwise looked for by a tag that was set
// in the call itself.
//
// What is reported is true. A set that is short is partial and never a success; a poll that failed is not a backup that failed; a word that
// AWS has not used before is waited for and never taken for good.
package snapwarden

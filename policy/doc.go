// Package policy knows how AWS spells things, and reads, builds, compares and lints policies: of buckets, keys, roles and of whoever calls the
// library. A wrong name or a dangerous policy is an error with a place in it before a call is made, and not a refusal from AWS an hour later.
//
// All functions are pure: no AWS call, no clock, no global state. They may be called from any goroutine, and those that only check names do not
// allocate when the name is good.
//
// # Names
//
// Partitions and Regions, account ids, ARNs, and the names of databases, caches, volumes, snapshots, keys, tags, zones, buckets and exports:
//
//	err := policy.ValidateBucketName("my_exports") // '_' is not a small letter, a digit, a hyphen or a dot at offset 2
//	arn, err := policy.ParseARN("arn:aws:rds:eu-west-1:111122223333:snapshot:nightly")
//	p, err := policy.PartitionOf("cn-north-1")     // aws-cn
//
// A name that passes is well formed. It may still not exist, belong to somebody else or be taken, and only AWS can tell. Where AWS documents a
// rule, the documented rule is checked, and the comment of the function names the page. Where AWS documents none, the comment says UNVERIFIED and
// the stricter reading is checked, since these functions are meant for names that a program makes. Do not use them to filter what AWS returned:
// it has resources whose names break today's rules, its own automated snapshots among them.
//
// RDS and ElastiCache accept capital letters and store small ones, so Orders and orders are one database. Compare such names by their
// [CanonicalName]. The ids of EC2, ARNs, Regions, tags and KMS keys are compared byte by byte.
//
// # Documents
//
// A [Document] is a policy as a value. [ParseDocument] reads one strictly: what two readers might understand differently is refused. A builder's
// statement is put into what stands there by its Sid, and everything that others wrote is kept:
//
//	theirs, err := policy.ParseDocument(text)
//	export, err := policy.ExportStatement("exports", "eu-west-1")
//	tls, err := policy.DenyInsecureTransport("exports", "eu-west-1")
//	mine, done, err := theirs.Merge(export, tls)
//	if done.Changed() {
//		text, err := mine.Encode(policy.MaxBucketPolicy) // what to give to PutBucketPolicy
//	}
//
// [Document.Without] takes them out again. Identifiers with a wildcard or a variable are refused by every builder, and nothing is made by putting
// texts together, so that no input can become a second statement.
//
// # What a change widens
//
// [Widens] tells what a new document may allow that the old one does not: statements that allow more, and denials that are lost. Ask it before a
// policy is replaced:
//
//	for _, w := range policy.Widens(theirs, mine) {
//		fmt.Println(w) // Allow statement 1 (SnapwardenElastiCacheExport): nothing like it was allowed before: ...
//	}
//
// A condition that was dropped is named by its key, and a statement is compared with the one of the same Sid first. Where one statement now allows
// more in several ways, there are several Widenings.
//
// # The linter
//
// [Lint] says what is unsafe in a policy, offline, with an id that never changes, the place and a remedy; [LintRules] has all rules. [LintText] takes
// the text, [LintChange] tells whose statements a change would lose, [LintGrants] and [LintPublicAccessBlock] look at the rest of a bucket.
//
//	for _, f := range policy.Lint(mine, policy.LintContext{Kind: policy.KindBucket, Owner: "111122223333"}) {
//		fmt.Println(f.ID, f.Severity, f.Place, f.Remedy)
//	}
//
// # Who calls
//
// Each workflow of the library has a policy for its caller, with the actions that it calls and no more, in one account and Region:
// [EBSBackupPolicy], [RDSRestorePolicy], [ElastiCacheExportPolicy], [ObjectCopyPolicy], [StorePolicy] and so on. Backup, restore and deletion are
// apart, so that whoever backs up can delete nothing. Each of them finds what its own workflow needs; a job that only lists databases has
// [RDSFindPolicy].
//
//	caller, err := policy.RDSDeletePolicy(policy.Scope{Account: "111122223333", Region: "eu-west-1", Owner: "team-a"})
//
// An export of RDS has a role of its own, which RDS takes on; [ExportRole] gives its policy and its trust:
//
//	role := policy.ExportRole{Account: "111122223333", Region: "eu-west-1", Bucket: "exports"}
//	writes, err := role.Policy()
//	trust, err := role.Trust()
//
// # Keys
//
// [KeyPolicy] is the policy of a key that roles of other accounts use for copies, through one service in named Regions and never directly;
// [KeyShareStatements] are the same for a key that has a policy already.
//
//	key, err := policy.KeyPolicy("aws", "111122223333", policy.KeyShare{Service: policy.KeyRDS, Account: "444455556666",
//		Roles: []string{"arn:aws:iam::444455556666:role/copier"}, Regions: []string{"eu-west-1"}})
//
// # Buckets: ACLs, lifecycle, Object Lock
//
// Where a bucket still has ACLs, [ExportGrants] and [MergeGrants] are the older way of letting ElastiCache in. [LifecycleRule] and [MergeLifecycle] do
// for the lifecycle what Merge does for the policy. [Retention] and [DefaultRetention] say how long a version must stay, and [Retention.To] refuses
// to shorten what holds:
//
//	rule := policy.LifecycleRule{ID: "exports", Prefix: "nightly-", ExpireDays: 90, AbortUploadsDays: 7}
//	rules, done, err := policy.MergeLifecycle(existing, []policy.LifecycleRule{rule})
//	kept := policy.Retention{Until: now.AddDate(0, 0, 90)}
//	err = kept.Validate(now)
//
// # What was published
//
// [PublishedExportCallerPolicy], [PublishedExportBucketPolicy], [PublishedExportGrants] and [PublishedReplicationKeyPolicy] are, word for word, what
// guides of AWS gave and many accounts still have. They are here to be recognised, compared and linted, and not to be applied.
//
// # Errors
//
// The error of a name is a *[NameError], that of a document a *[DocumentError]. A NameError's Rule is stable and meant for programs; its message is
// meant for people and may change in any release.
package policy

// Package s3sim simulates the part of Amazon S3 that exports need: buckets with their Region, owner, policy, ACL and ownership mode, and objects
// that are written, read, listed and deleted, conditionally where that is asked for.
//
//	store := s3sim.Service()
//	world := awssim.New(store, elasticachesim.Service())
//	client := s3.NewFromConfig(world.Config("111122223333", "eu-west-1"))
//
// What is simulated, and where it comes from. UNVERIFIED marks what no public source states.
//
// Buckets
//   - A name is unique within a partition. CreateBucket of one's own gives BucketAlreadyOwnedByYou, of another's BucketAlreadyExists. In us-east-1
//     there must be no LocationConstraint, elsewhere the Region's (IllegalLocationConstraintException). Source: S3 API, CreateBucket.
//   - A call in another Region than the bucket's gives PermanentRedirect with status 301. Source: S3 user guide, Request redirection.
//   - ExpectedBucketOwner of another account gives AccessDenied. Source: S3 user guide, Verifying bucket ownership.
//   - Only the owning account may call; every other gets AccessDenied, whatever the policy says. AWS would ask the policy: it is asked here
//     for services only (see ServiceMay).
//
// Objects
//   - What was written is seen at once. Source: S3 user guide, data consistency model. So neither World.SetLag nor FaultStale
//     does anything here.
//   - If-None-Match "*" and If-Match on PutObject, If-Match on GetObject, otherwise PreconditionFailed (412); If-Match without an object is
//     NoSuchKey. Source: S3 user guide, Conditional requests.
//   - An ETag is the MD5 of the bytes, in quotes. Ranges are of the form bytes=first-last and bytes=first-; one behind the end is InvalidRange.
//     Source: S3 API, GetObject.
//   - Lists come in pages of up to 1,000 keys in the order of their bytes. Source: S3 API, ListObjectsV2.
//
// Access
//   - A new bucket has ACLs disabled (BucketOwnerEnforced): PutBucketAcl gives AccessControlListNotSupported then, and GetBucketAcl shows the
//     owner only. Going back to it while others have grants gives InvalidBucketAclWithObjectOwnership. Source: S3 user guide, Controlling
//     ownership of objects. PutBucketAcl takes an AccessControlPolicy only.
//   - A policy has at most 20 KB and is read strictly (MalformedPolicy); none gives NoSuchBucketPolicy. Source: S3 user guide, Bucket policies.
//   - For a service, a Deny that matches wins, then an Allow, then the ACL's grants to its canonical id. Conditions on aws:SourceAccount and
//     aws:SecureTransport are understood; an Allow with any other does not match, and a Deny with any other does.
//
// Not simulated: versions, multipart uploads, copies, checksums, encryption, Object Lock, lifecycle rules, storage classes, tags, presigned
// requests.
package s3sim

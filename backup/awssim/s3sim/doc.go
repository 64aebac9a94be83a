// Package s3sim simulates the part of Amazon S3 that exports need: buckets with their settings, and objects that are
// written, read, copied, listed and deleted, in one piece or in parts, conditionally where that is asked for.
//
//	store := s3sim.Service()
//	world := awssim.New(store, elasticachesim.Service())
//	client := s3.NewFromConfig(world.Config("111122223333", "eu-west-1"))
//
// What is simulated, and where it comes from. UNVERIFIED marks what no public source states.
//
// Buckets
//   - A name is unique within a partition. CreateBucket of one's own gives BucketAlreadyOwnedByYou, of another's BucketAlreadyExists; in us-east-1
//     one's own bucket there is 200 instead, and its ACL is set back. In us-east-1 there must be no LocationConstraint, elsewhere the Region's
//     (IllegalLocationConstraintException). Source: S3 API, CreateBucket.
//   - A call in another Region than the bucket's gives PermanentRedirect with status 301, whoever asks. Source: S3 user guide, Request redirection.
//   - ExpectedBucketOwner of another account gives AccessDenied. Source: S3 user guide, Verifying bucket ownership.
//   - Settings: policy, ACL and ownership, Block Public Access (all on for a new bucket), versions, default encryption (SSE-S3 for a new
//     bucket), Object Lock and lifecycle rules. Lifecycle rules are kept and never carried out.
//
// Objects
//   - What was written is seen at once. Source: S3 user guide, data consistency model. So neither World.SetLag nor FaultStale
//     does anything here.
//   - What a service writes is there when it has ended, and is the newest version from then on. What the key had stays until then.
//   - If-None-Match "*" and If-Match on PutObject, CopyObject and CompleteMultipartUpload, If-Match on GetObject and DeleteObject, otherwise
//     PreconditionFailed (412); If-Match without an object is NoSuchKey. If-None-Match on reads gives NotModified (304). Conditions on times or sizes
//     are refused. Source: S3 user guide, Conditional requests.
//   - An ETag is the MD5 of the bytes, in quotes; of an object in parts the MD5 of the MD5s, a hyphen and the number of parts. That of
//     generated content (see S3.Generate) is not AWS's. Ranges are of the form bytes=first-last and bytes=first-; one behind the end is
//     InvalidRange. Source: S3 API, GetObject.
//   - Content-MD5 is held against the bytes (BadDigest, InvalidDigest). Source: S3 API, error responses.
//   - Checksums by CRC32, CRC32C, CRC64NVME, SHA1 and SHA256: one that was sent is held against the bytes (BadDigest). PutObject without one
//     keeps a CRC32, which the SDK sends by default, uploads in parts and objects of services a CRC64NVME. Of an upload in parts SHA1 and
//     SHA256 are composite, CRC64NVME is of the whole; a copy in one piece has one of the whole. Reads tell it with ChecksumMode only.
//     Source: S3 user guide, Checking object integrity.
//   - Lists come in pages of up to 1,000 keys in the order of their bytes. Source: S3 API, ListObjectsV2.
//   - CopyObject takes up to 5 GiB, from any Region and account; a part 5 MiB (but for the last) to 5 GiB, an upload 10,000 parts. A range of a
//     source of 5 MiB or less, or one that goes behind its end, is InvalidArgument (code UNVERIFIED). A completed or aborted upload is
//     NoSuchUpload, at once. Source: S3 API, CopyObject, UploadPartCopy, CompleteMultipartUpload.
//   - Encryption with SSE-S3, SSE-KMS (the key is asked of a simulated KMS, if the World has one) and SSE-C.
//   - GLACIER and DEEP_ARCHIVE are read after RestoreObject, which takes the longest that is documented for its tier, and until the copy
//     expires; before that InvalidObjectState. Asking again counts the days anew from then. Source: S3 user guide, Restoring an archived object. The
//     code of a wrong tier is UNVERIFIED.
//   - With versions, a delete makes a marker, and a version that is named is deleted for good unless Object Lock keeps it (AccessDenied).
//     Governance opens to BypassGovernanceRetention, compliance and a legal hold to nobody. Source: S3 user guide, Object Lock.
//
// Access
//   - A new bucket has ACLs disabled (BucketOwnerEnforced): PutBucketAcl gives AccessControlListNotSupported then, and GetBucketAcl shows the
//     owner only. Going back to it while others have grants gives InvalidBucketAclWithObjectOwnership. A bucket whose setting was deleted has ACLs, and
//     GetBucketOwnershipControls gives OwnershipControlsNotFoundError. Source: S3 user guide, Controlling ownership of objects.
//   - PutBucketAcl takes an AccessControlPolicy only, and keeps it word for word: an owner who is left out of it is not shown any more. Whether such
//     an owner may then still list the bucket is UNVERIFIED; here he may. Grantees are canonical ids and the three predefined groups; a grantee by
//     e-mail is MethodNotAllowed. BlockPublicAcls refuses grants to the public, IgnorePublicAcls has them not count; grants to LogDelivery are kept
//     and let nobody in. Source: S3 user guide, ACL overview; Blocking public access.
//   - ACLs of objects are not kept. A call that writes an object with one needs s3:PutObjectAcl; bucket-owner-full-control is let through, and so is
//     private where ACLs count; every other is AccessControlListNotSupported where they do not, AccessDenied where BlockPublicAcls is about it, and
//     else not simulated. Source: S3 user guide, Disabling ACLs for all new buckets.
//   - A policy has at most 20 KB and is read strictly (MalformedPolicy); none gives NoSuchBucketPolicy. Source: S3 user guide, Bucket policies.
//   - A call is decided as package iamsim decides it, by the policies of the caller and of the bucket: in the owning account either may allow, but a
//     bucket's policy that names the account as a whole leaves it to the account's own; from another account both must; a Deny of either wins. A
//     grant of the ACL counts as a statement that names the grantee's account. Without a simulated IAM in the World, or with nothing attached, a
//     caller's own policies allow everything. Source: S3 user guide, How Amazon S3 authorizes a request.
//   - Of S3's own condition keys, s3:prefix and s3:max-keys are told of lists; s3:x-amz-server-side-encryption, -aws-kms-key-id, s3:x-amz-storage-class
//     and s3:x-amz-acl of writes; s3:object-lock-mode, -retain-until-date and -legal-hold of locks that are put on what is there. Source: Service authorization reference, Amazon S3.
//   - Only the owning account reads and writes the policy (MethodNotAllowed). Who may not list the bucket gets AccessDenied for a key that is not
//     there. RestrictPublicBuckets keeps other accounts out of a bucket with a public policy, and BlockPublicPolicy refuses such a policy. Public is
//     here what allows everybody without a condition; AWS looks closer.
//   - For a service, the policy is asked, and the ACL's grants to its canonical id. Its requests tell aws:SourceAccount and no aws:SourceArn
//     (UNVERIFIED of ElastiCache).
//
// Not simulated: tags, presigned requests, lists with delimiters, reads of one part, ACLs of objects, multipart uploads with customer keys, DSSE,
// replication, access points, what a caller may do with a key of KMS.
package s3sim

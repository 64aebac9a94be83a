// Package s3store keeps Operations in Amazon S3, for programs that run on several machines.
//
//	store, err := s3store.Open(ctx, s3.NewFromConfig(cfg), s3store.Options{Bucket: "my-operations", BucketOwner: "111122223333"})
//	runner, err := backup.NewRunner(strategies, func(o *backup.RunnerOptions) { o.Store = store })
//
// It needs nothing but a bucket: no table, no lock service. Two machines that change one Operation at the same time are told apart by S3 itself,
// which writes an object only if it is still the one that was read (If-Match), or only if there is none (If-None-Match). Source: S3 user
// guide, "How to prevent object overwrites with conditional writes". Open checks that the endpoint really does so, because stores
// that speak S3's language may ignore both headers in silence.
//
// # The objects
//
//	<prefix>/op/<id>.json        an Operation, its run and its version, with a SHA-256 over them
//	<prefix>/open/<id>.<marker>  empty: the Operation has perhaps not ended; the list of these is the list of the unfinished
//	<prefix>/run/<run>.json      until when a run is alive
//	<prefix>/probe/<random>      what Open tries conditional writes on; it is deleted again
//
// The markers are why a million finished Operations cost the list of the unfinished nothing. A marker is written before its record and removed
// after the end was saved, so that a crash leaves a marker too many and never one too few. Each has a name that is used once, and the record
// names the one that counts: whoever removes a marker late can not remove another's. Markers that nothing refers to are ignored, and removed
// when they are older than a day.
//
// # Lost answers
//
// A write whose answer is lost may have been applied, and the SDK sends it again, which S3 then refuses because of the first one. After every
// refusal and every answer that is not clear the object is read: each write has random bits in it, so that a Store knows its own. If another
// has written over it in the meantime, the answer is ErrConflict, or false from Create: what was stored has then been seen by the other.
//
// # Clocks
//
// The Store itself compares no clocks for leases: until when a run is alive is said by the caller of Renew and judged by the caller of Lease,
// each by its own clock. The machines' clocks must agree to a few seconds, the margin that backup.Runner adds to a lease's end. A marker's age is the
// difference between this machine's clock and S3's; a day is far more than the 15 minutes at which S3 begins to refuse signatures. Source: S3
// user guide, "Authenticating requests".
//
// # Permissions
//
//	s3:ListBucket                                  on the bucket; without it a missing object reads as a denied one
//	s3:GetObject, s3:PutObject                     on <prefix>/*
//	s3:DeleteObject                                on <prefix>/open/* and <prefix>/probe/*
//	kms:GenerateDataKey and kms:Decrypt            on the key, where the objects are encrypted with one
//
// Source: S3 user guide, "How to prevent object overwrites with conditional writes" (If-Match needs s3:GetObject as well); S3 API, GetObject
// (403 in place of 404 without s3:ListBucket).
//
// # Keeping and cost
//
// The Store removes no Operation. With a finished one the knowledge goes that its work was done: a Start with the same token would do
// it again. A lifecycle rule on <prefix>/op/ may expire objects that nobody has written for longer than any token comes again and any
// Operation lasts, such as 400 days; one on <prefix>/run/ and <prefix>/probe/ may do so after 7 days. Let no rule touch <prefix>/open/, and let none
// move any of them to a Glacier class. In a bucket with versions every Save leaves an old version behind, and every removed marker a delete
// marker: have a rule expire both.
//
// Requests: Open 10; Create 3, or 1 where the Operation is there already (2 as long as nobody has saved it); Load, Lease and Save 1, with 1 more
// for a Save that ends the Operation or is in conflict; Renew 2; the list of the unfinished 1 for each 1,000 and 1 for each of them.
//
// General purpose buckets only: directory buckets list in no order.
package s3store

// Package backup is the core that every strategy, service and script shares: what backing up, copying, sharing, restoring, exporting and
// deleting have in common, whatever the AWS service. It needs only the standard library and never calls AWS itself.
//
// # Four things
//
// A [Strategy] knows one service. The packages ebs, rds and elasticache have one each, and anyone can write another: three methods, and
// an optional interface for each further ability (see [As]). A Strategy only looks and acts; it never waits, retries, stores or logs.
//
// An [Operation] is a piece of work as a value: what is to be done to which [Ref], how far it is, which recovery points exist by now, and what
// went wrong. It is plain JSON of at most 16 KiB, not a handle. Any process that has the Strategy of its Kind can carry it on. Every
// Operation has a deadline, and every Operation ends.
//
// A [Runner] carries Operations on. It decides when a Step is due, writes down what a Step may do before it does it, waits, retries, and
// tells an [Observer].
//
// A [Store] keeps Operations where a crash can not lose them. [FileStore] is a folder on a local disk and serves the processes of one
// machine; whoever runs on several machines brings a Store that they share, and backuptest.TestStore tells whether it can be relied on.
//
// # A backup
//
//	store, err := backup.OpenFileStore("/var/lib/nightly")
//	...
//	runner, err := backup.NewRunner([]backup.Strategy{strategy}, func(o *backup.RunnerOptions) {
//		o.Store = store
//		o.Observer = backup.NewSlogObserver(slog.Default())
//	})
//	...
//	op, err := strategy.Start(ctx, ref, backup.Spec{Token: backup.NewToken(ref, "2026-11-20")})
//	...
//	op, err = runner.Run(ctx, op)
//
// Strategy.Start makes the Operation and touches nothing. Runner.Run is Start, which stores it, and then Await, which steps it until it has
// ended. The same program, started again after a crash with the same token, finds what is stored and carries that on. A program that does
// not know what it had begun asks Runner.Unfinished and awaits each of them; a service that runs for long asks again from time to time, because
// what another process began may have nobody who awaits it.
//
// A context that ends stops the waiting. It does not stop the backup: AWS goes on, and so does whoever awaits the Operation next. Stopping
// the work itself is [Runner.Cancel], for Strategies that have the ability [Canceler].
//
// # Never twice, never orphaned
//
// Several of AWS's create calls have no idempotency token. When a reply is lost, nobody can tell whether the call took effect, and whoever
// sends it again may have two snapshots, one of which nobody knows about. The library does this instead:
//
//   - An Operation names in Next the one call that the coming Step may make, and before that Step the Runner stores that it is about to
//     happen. If that can not be stored, the call is not made.
//   - A first attempt may send at once. Any later one knows that the call was perhaps sent before: it looks for the result, for longer than
//     AWS may take to show it, and sends again only when there is none. See [Operation.Intent].
//   - What is made carries the Operation's ID from the first moment, as a tag in the create call itself ([TagToken]) or in a name that only
//     this Operation can have. So it is found again, and nothing else is taken for it.
//   - The Operation lists what exists in Points and Made, also when it failed. Something that was made twice all the same is found and
//     listed.
//   - One run at a time carries an Operation on. A run says with a lease that it is alive, and another takes over only after the lease's end.
//     A run that was paused for longer sees that before it sends.
//   - The Operation's ID is a hash of kind, action, Ref and token, and a Store holds each ID once: starting the same work twice is starting
//     it once. [NewToken] makes a token of a Ref and of the occasion, such as a date.
//
// # Success, failure, and not knowing
//
// The two are kept apart everywhere. An error from Step means that the state could not be learnt: a reply was lost, AWS throttles,
// credentials ran out. The Operation is what it was, and a later Step will tell. That the work failed is not an error of Step but a Phase:
// [PhaseFailed], with the reason in Failure, and with all that exists in Points. A set that lacks a member is [PhasePartial] and never
// succeeded. Operation.Err gives a finished Operation's failure as an error.
//
// Every error is an *[Error] with one of the codes that begin with Err, except for a context's own error, which passes through:
//
//	switch {
//	case errors.Is(err, backup.ErrQuota): // the account is full
//	case errors.Is(err, backup.ErrDenied): // the message names the permission, where AWS does
//	case errors.As(err, &awsFault): // the SDK's typed error is still in there
//	}
//
// Codes are API; messages are for people.
//
// # Trying again
//
// An Operation that has ended stays what it is: to start it again with its token gives the old result back, an old error too, and calls nobody. So
// what is to be tried again after something was mended (a permission, a bucket, a quota) needs another token, for instance NewToken of another
// slot: "2026-11-20, after the policy was mended". For work that is begun anew every night the night belongs into the slot, also for deletions: one
// that failed on Monday is then tried again on Tuesday. Whoever asks for something else under a token that was used (another name, other
// options) gets ErrConflict from a Runner with a Store.
//
// A program that starts after a crash carries on what it finds with Runner.Unfinished; what it would start itself for the same slot it finds anyway.
//
// # Deleting what is old
//
// A listing shows recovery points that are being made, and such that nobody here made. CreatedAt is zero for what is being made at RDS and ElastiCache, and
// a zero time is older than any limit. So whoever deletes by age first leaves out what is not StatusAvailable, what is Automated, and what has no
// CreatedAt, and keeps the newest few whatever their age; and deletes nothing if the listing ended in an error.
//
// # Watching
//
// The library never logs. The Runner tells its Observer what happens, synchronously. [NewSlogObserver] logs that with log/slog, package
// backupzap logs it with zap, and [Observers] tells several. What is logged are ids, Refs, stages and errors, never tags or State. Traces
// and metrics of single calls are the SDK's own; they are set on the aws.Config that the Strategies are made from.
//
// # Without a Store
//
// A Runner without a Store is good for a script whose work may be done twice when it crashes. It still never sends a call again blindly:
// within the process a repeated attempt looks first, and because a first one may follow a crash that nobody wrote down, it looks once by token
// before it sends. What stays open is this: two programs that start the same work at the same moment may both see nothing and both make it.
// The surplus is found afterwards and listed, but it was made. And a program that crashed does not know what it had begun; it must start the
// same work with the same token to find it.
//
// # Durable engines
//
// Step Functions and Temporal can keep the Operation themselves: it is the state, each invocation is one Step of a Runner without a Store, and
// the engine waits until Poll. Such an engine gives the same input again when an invocation was lost, and in that input the call looks as if it
// had never been sent. So the attempt must be passed on:
//
//   - Temporal: the activity steps op.Retried(attempt-1), with the activity's attempt number, which begins at 1.
//   - Step Functions: the Step task has no Retry. Its Catch counts up a number in the state and goes back to the task, which steps
//     op.Retried(number).
//   - A bare Lambda function, an SQS consumer or a cron job has nobody who counts. It needs a Store.
//
// See [Operation.Retried].
package backup

// Package awssim is a simulated AWS that runs underneath the real SDK clients.
//
//	world := awssim.New(ec2sim.Service(), rdssim.Service())
//	client := rds.NewFromConfig(world.Config("111122223333", "eu-west-1"))
//
// A World has as many accounts and Regions as are asked for. World.Config gives an ordinary aws.Config; every program that takes one, or an
// SDK client, runs on it unchanged. Serialisation, validation, signing, retries, paginators, waiters and error wrapping are the SDK's own: the
// simulation takes the place of the HTTP exchange and of the decoding of its answer. Nothing opens a socket.
//
// # Time
//
// What a resource's state is follows from the instants that were written down when it was made or changed, and from the time of the call: the
// simulation keeps no goroutine, channel or timer. Inside a testing/synctest bubble hours pass at once; outside, World.Speed divides
// durations so that a demonstration of an hour takes seconds, while time stamps stay real. Make the World inside the bubble that uses it.
//
// Inside a bubble every call must take some time, or an SDK waiter at its maximum wait polls for ever at one instant: a World therefore
// takes one nanosecond a call unless SetLatency says otherwise. aws.Config.HTTPClient is not used, so its Timeout has no effect: give
// contexts a deadline. The adaptive retry mode must not be used inside a bubble: it spins.
//
// # Faults
//
// World.Inject makes calls fail: before they are applied or after, with or without an answer, by throttling, by a hang, by a stale answer,
// by a process that dies in the middle (a panic with Killed, which a test recovers). World.Lag delays the visibility of what is new. Token
// buckets and quotas are AWS's documented defaults and answer with AWS's codes. World.Calls tells what was called, by whom and where.
//
// # Permissions
//
// The caller of World.Config has the full rights of its account. With iamsim in the World, a caller to whom policies are attached is held to them
// in every call of every service, and refused with the service's own code.
//
// # What it is not
//
// It is a model made from documentation, and not AWS. Each service's package lists the behaviour that it models with its source. An operation
// that is not simulated fails at once with an error that names it, and is not retried.
package awssim

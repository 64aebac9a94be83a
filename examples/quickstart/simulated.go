package main

import (
	"context"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
)

const (
	simulatedAccount = "111122223333"
	simulatedRegion  = "eu-west-1"
	// setUpSpeed and showSpeed are how many times faster than AWS the simulated one works: while the resources and the old recovery point
	// are made, and thereafter.
	setUpSpeed = 100_000
	showSpeed  = 250
)

// simulatedJobs makes a simulated AWS with a database, a cache of three shards and a server with three volumes in it. It is to be slowed down when
// the show begins.
func simulatedJobs(ctx context.Context, r *runState, report reporter) (jobs []job, slowDown func(), err error) {
	// The world ends with the program, and so can be the same each time: same names, same ids, same durations.
	r.Slot, r.done = "demo", true
	world := awssim.New(ec2sim.Service(), rdssim.Service(), elasticachesim.Service(), kmssim.Service())
	world.SetSpeed(setUpSpeed)
	cfg := world.Config(simulatedAccount, simulatedRegion)
	what, err := makeResources(ctx, cfg, r.prefix(), "ami-0123456789abcdef0", 20*time.Millisecond)
	if err != nil {
		return nil, nil, err
	}
	report.note("Simulated AWS, account %s, %s: %d times as fast as the real one. Nothing leaves this program.", simulatedAccount, simulatedRegion, showSpeed)
	where := surroundings{account: simulatedAccount, region: simulatedRegion, zone: simulatedRegion + "a", prefix: r.prefix(),
		subnetGroup: "default", cacheSubnetGroup: "default", securityGroups: []string{"sg-0123456789abcdef0"}}
	often := pace{min: 50 * time.Millisecond, max: 200 * time.Millisecond, settle: 6 * time.Minute / showSpeed, park: 100 * time.Millisecond}
	return newJobs(cfg, what, where, often), func() { world.SetSpeed(showSpeed) }, nil
}

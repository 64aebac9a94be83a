package main

import (
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
)

// simulation gives an AWS that is simulated in the process, sixty times as fast, with the databases orders-00001 to orders-00003.
func simulation() aws.Config {
	const account, region = "111122223333", "eu-west-1"
	databases := rdssim.Service()
	world := awssim.New(databases, ec2sim.Service(), kmssim.Service(), stssim.Service())
	world.SetSpeed(60)
	world.KeepCalls(false) // a service runs for long, and nobody reads them
	databases.SeedInstances(world, account, region, "orders", 3, nil)
	return world.Config(account, region)
}

package ec2sim_test

import (
	"fmt"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

// A hundred thousand snapshots are there at once, for a test of what has to cope with them.
func ExampleEC2_Seed() {
	ec2 := ec2sim.Service()
	world := awssim.New(ec2)
	ids := ec2.Seed(world, "111122223333", "eu-west-1", 100_000, ec2sim.Seeds{Tags: func(n int) map[string]string {
		return map[string]string{"n": fmt.Sprint(n)}
	}})
	all := ec2.Snapshots(world, "111122223333", "eu-west-1")
	fmt.Println(len(ids), len(all), all[42].Tags["n"], all[42].State)
	// Output: 100000 100000 42 completed
}

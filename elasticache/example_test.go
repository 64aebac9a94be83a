package elasticache_test

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// simulated gives a configuration for a simulated AWS, in which hours pass in milliseconds, with a replication group called sessions: a
// primary and two replicas. A program that runs on AWS loads its configuration with config.LoadDefaultConfig instead.
func simulated(ctx context.Context) aws.Config {
	world := awssim.New(elasticachesim.Service())
	world.SetSpeed(1e5)
	cfg := world.Config("111122223333", "eu-west-1")
	client := awselasticache.NewFromConfig(cfg)
	_, err := client.CreateReplicationGroup(ctx, &awselasticache.CreateReplicationGroupInput{
		ReplicationGroupId: aws.String("sessions"), ReplicationGroupDescription: aws.String("web sessions"), Engine: aws.String("valkey"),
		CacheNodeType: aws.String("cache.r7g.large"), NumCacheClusters: aws.Int32(3)})
	if err != nil {
		panic(err)
	}
	return cfg
}

// quick lets the examples end soon; on AWS the defaults are right.
func quick(o *elasticache.Options) {
	o.PollMin, o.PollMax, o.Park = time.Millisecond, 5*time.Millisecond, 5*time.Millisecond
}

func Example() {
	ctx := context.Background()
	strategy := elasticache.NewFromConfig(simulated(ctx), quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy}) // give it a Store, so that a crash loses nothing
	if err != nil {
		fmt.Println(err)
		return
	}
	sessions := elasticache.ReplicationGroup("111122223333", "eu-west-1", "sessions")
	op, err := strategy.Start(ctx, sessions, backup.Spec{Token: backup.NewToken(sessions, "2026-11-20"), Name: "nightly-2026-11-20"})
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err = runner.Run(ctx, op)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(op.Phase, op.Points[0])
	// Output: succeeded elasticache/snapshot:111122223333:eu-west-1:nightly-2026-11-20
}

func ExampleStrategy_StartRestore() {
	ctx := context.Background()
	strategy := elasticache.NewFromConfig(simulated(ctx), quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	sessions := elasticache.ReplicationGroup("111122223333", "eu-west-1", "sessions")
	op, err := strategy.Start(ctx, sessions, backup.Spec{Token: "before the upgrade"})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	replicas := int32(1)
	restore, err := strategy.StartRestore(ctx, op.Points[0], backup.Spec{Token: "drill", Options: elasticache.RestoreOptions{
		ID: "sessions-drill", SecurityGroups: []string{"sg-0123456789abcdef0"}, ReplicasPerNodeGroup: &replicas,
	}})
	if err == nil {
		restore, err = runner.Run(ctx, restore)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(restore.Phase, restore.Made[0].ID)
	for _, e := range restore.Endpoints {
		fmt.Println(e.Role, e.Port)
	}
	// Output:
	// succeeded sessions-drill
	// primary 6379
	// reader 6379
}

func ExampleStrategy_StartDelete() {
	ctx := context.Background()
	strategy := elasticache.NewFromConfig(simulated(ctx), quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err := strategy.Start(ctx, elasticache.ReplicationGroup("111122223333", "eu-west-1", "sessions"), backup.Spec{Token: "t", Owner: "team-a"})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	// Only the owner may delete it.
	for _, owner := range []string{"team-b", "team-a"} {
		deletion, err := strategy.StartDelete(ctx, op.Points[0], backup.Spec{Token: "expire for " + owner, Owner: owner})
		if err == nil {
			deletion, err = runner.Run(ctx, deletion)
		}
		fmt.Println(owner, deletion.Phase, backup.CodeOf(err))
	}
	// Output:
	// team-b failed conflict
	// team-a succeeded
}

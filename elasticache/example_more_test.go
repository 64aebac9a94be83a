package elasticache_test

import (
	"context"
	"fmt"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

// The same group again, with encryption in transit and another node type: its settings are read, changed, and given to the rebuild. Stop whoever
// writes to it first.
func ExampleStrategy_StartRebuild() {
	ctx := context.Background()
	strategy := elasticache.NewFromConfig(simulated(ctx), quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy}) // give it a Store, so that a crash loses nothing
	if err != nil {
		fmt.Println(err)
		return
	}
	sessions := elasticache.ReplicationGroup("111122223333", "eu-west-1", "sessions")
	settings, err := ready(ctx, strategy, sessions)
	if err != nil {
		fmt.Println(err)
		return
	}
	settings.TransitEncryption, settings.NodeType = true, "cache.r7g.xlarge"
	op, err := strategy.StartRebuild(ctx, sessions, backup.Spec{Token: "encrypt", Name: "before-encryption", Options: elasticache.RebuildOptions{Restore: settings}})
	if err != nil {
		fmt.Println(err)
		return
	}
	findings, err := strategy.Preflight(ctx, op)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range findings {
		fmt.Println(f.ID)
	}
	op, err = runner.Run(ctx, op)
	if err != nil {
		// Failure.Hint says what is to be done, and Points where the data is.
		fmt.Println(err)
		return
	}
	fmt.Println(op.Phase, op.Made[0].ID, "from", op.Points[0].ID)
	// Output:
	// elasticache.from-primary
	// elasticache.writes-lost
	// elasticache.rebuild-differs
	// elasticache.rebuild-unchecked
	// succeeded sessions from before-encryption
}

// ready reads the settings of a group that is still being created at first.
func ready(ctx context.Context, strategy *elasticache.Strategy, r backup.Ref) (o elasticache.RestoreOptions, err error) {
	for range 1000 {
		if o, err = strategy.Settings(ctx, r); backup.CodeOf(err) != backup.ErrUnavailable {
			return o, err
		}
	}
	return o, err
}

// ElastiCache makes a snapshot of its own every night from now on, and keeps each for a week.
func ExampleStrategy_StartAutomaticBackups() {
	ctx := context.Background()
	strategy := elasticache.NewFromConfig(simulated(ctx), quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	sessions := elasticache.ReplicationGroup("111122223333", "eu-west-1", "sessions")
	op, err := strategy.StartAutomaticBackups(ctx, sessions, backup.Spec{Token: "weekly", Options: elasticache.AutomaticBackupOptions{
		RetentionDays: 7, Window: "02:00-03:00", Apply: elasticache.ApplyNow,
	}})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	now, err := strategy.AutomaticBackups(ctx, sessions)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(op.Phase, now.RetentionDays, now.Window, now.Member)
	// Output: succeeded 7 02:00-03:00 sessions-002
}

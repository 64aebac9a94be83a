package snapwarden_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/rds"
)

// A backup of a database, from nothing to the end, as in the README. The configuration is one of the simulated AWS; with
// config.LoadDefaultConfig it is yours.
func Example() {
	ctx := context.Background()
	cfg, dir, stop := simulated(ctx)
	defer stop()

	strategy := rds.NewFromConfig(cfg)
	store, err := backup.OpenFileStore(dir)
	if err != nil {
		log.Fatal(err)
	}
	runner, err := backup.NewRunner([]backup.Strategy{strategy}, func(o *backup.RunnerOptions) { o.Store = store })
	if err != nil {
		log.Fatal(err)
	}
	db := rds.Instance("111122223333", "eu-west-1", "orders")
	op, err := strategy.Start(ctx, db, backup.Spec{Token: backup.NewToken(db, "2026-11-20")})
	if err != nil {
		log.Fatal(err) // nothing was sent: the input can not be right
	}
	op, err = runner.Run(ctx, op)
	fmt.Println(op.Phase, op.Points, err)
	// Output: succeeded [rds/snapshot:111122223333:eu-west-1:sw-orders-mbgxahteuni5slp3xqyff5xl5u] <nil>
}

// simulated is a world with one database, whose hours pass in a moment; the ten seconds are the strategy's own, between two looks.
func simulated(ctx context.Context) (aws.Config, string, func()) {
	world := awssim.New(rdssim.Service())
	world.SetSpeed(1e6)
	cfg := world.Config("111122223333", "eu-west-1")
	if _, err := awsrds.NewFromConfig(cfg).CreateDBInstance(ctx, &awsrds.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("orders"), DBInstanceClass: aws.String("db.t4g.micro"), Engine: aws.String("postgres"),
		AllocatedStorage: aws.Int32(20), MasterUsername: aws.String("admin1"), MasterUserPassword: aws.String("not-a-secret"),
	}); err != nil {
		log.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	dir, err := os.MkdirTemp("", "snapwarden")
	if err != nil {
		log.Fatal(err)
	}
	return cfg, dir, func() { _ = os.RemoveAll(dir) }
}

package s3store_test

import (
	"context"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/backup/s3store"
)

// Two machines share a bucket: what the one has begun, the other finds, and starts nothing twice.
func Example() {
	ctx := context.Background()
	cfg := awssim.New(s3sim.Service()).Config("111122223333", "us-east-1") // in a program: config.LoadDefaultConfig(ctx)
	client := awss3.NewFromConfig(cfg)
	if _, err := client.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: aws.String("my-operations")}); err != nil {
		log.Fatal(err)
	}
	machine := func(run string) *backup.Runner {
		store, err := s3store.Open(ctx, client, s3store.Options{Bucket: "my-operations", BucketOwner: "111122223333", Prefix: "backups/prod"})
		if err != nil {
			log.Fatal(err)
		}
		strategies := []backup.Strategy{backuptest.NewScript("demo", backuptest.Progress(50, 0))}
		runner, err := backup.NewRunner(strategies, func(o *backup.RunnerOptions) { o.Store, o.Run = store, run })
		if err != nil {
			log.Fatal(err)
		}
		return runner
	}
	first, second := machine("machine-1"), machine("machine-2")

	database := backup.Ref{Type: "demo/database", Account: "111122223333", Region: "us-east-1", ID: "orders"}
	op, err := backup.NewOperation("demo", backup.ActionBackup, database, backup.Spec{Token: "2026-11-20"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := first.Start(ctx, op); err != nil {
		log.Fatal(err)
	}
	for left, err := range second.Unfinished(ctx) {
		fmt.Println("unfinished:", left.Ref.ID, left.Phase, err)
	}
	op, err = first.Run(ctx, op)
	fmt.Println("the first machine:", op.Phase, err)
	op, err = second.Start(ctx, op)
	fmt.Println("the second machine:", op.Phase, err)
	// Output:
	// unfinished: orders pending <nil>
	// the first machine: succeeded <nil>
	// the second machine: succeeded <nil>
}

package rds_test

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/rds"
)

// simulated gives the configuration of a simulated AWS, sped up, that has an instance "orders". A program would load its own with
// config.LoadDefaultConfig.
func simulated() aws.Config {
	db := rdssim.Service()
	world := awssim.New(db)
	world.SetSpeed(1e6)
	db.SeedInstances(world, "111122223333", "eu-west-1", "orders", 1, map[string]string{"backup": "daily"})
	cfg := world.Config("111122223333", "eu-west-1")
	if _, err := awsrds.NewFromConfig(cfg).CreateDBSubnetGroup(context.Background(), &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.String("private"),
		DBSubnetGroupDescription: aws.String("two zones"), SubnetIds: []string{"subnet-1", "subnet-2"}}); err != nil {
		panic(err)
	}
	return cfg
}

// quick are the options of a demonstration, in which minutes are milliseconds.
func quick(o *rds.Options) { o.PollMin, o.PollMax = 1, 1 }

func Example() {
	ctx := context.Background()
	strategy := rds.NewFromConfig(simulated(), quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	orders := rds.Instance("111122223333", "eu-west-1", "orders-00001")
	op, err := strategy.Start(ctx, orders, backup.Spec{Token: backup.NewToken(orders, "2026-11-20"), Name: "orders-2026-11-20"})
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err = runner.Run(ctx, op)
	fmt.Println(op.Phase, op.Points[0].ID, err)
	// Output: succeeded orders-2026-11-20 <nil>
}

func ExampleStrategy_StartRestore() {
	ctx := context.Background()
	strategy := rds.NewFromConfig(simulated(), quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err := strategy.Start(ctx, rds.Instance("111122223333", "eu-west-1", "orders-00001"), backup.Spec{Token: "before the deploy", Name: "before-deploy"})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err = strategy.StartRestore(ctx, op.Points[0], backup.Spec{Token: "drill", Options: rds.RestoreOptions{
		ID: "orders-drill", SubnetGroup: "private", SecurityGroups: []string{"sg-0123456789abcdef0"},
	}})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	fmt.Println(op.Phase, op.Made[0].ID, op.Endpoints[0].Port, err)
	// Output: succeeded orders-drill 5432 <nil>
}

func ExampleStrategy_Discover() {
	strategy := rds.NewFromConfig(simulated())
	for r, err := range strategy.Discover(context.Background(), backup.Query{Account: "111122223333", Region: "eu-west-1", Tags: map[string]string{"backup": "daily"}}) {
		fmt.Println(r.Ref, err)
	}
	// Output: rds/instance:111122223333:eu-west-1:orders-00001 <nil>
}

// An automated snapshot goes with its retention period; a copy of it stays.
func ExampleStrategy_StartCopy() {
	ctx := context.Background()
	strategy := rds.NewFromConfig(simulated(), quick)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err := strategy.Start(ctx, rds.Instance("111122223333", "eu-west-1", "orders-00001"), backup.Spec{Token: "monthly", Name: "monthly"})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	op, err = strategy.StartCopy(ctx, op.Points[0], backup.Destination{}, backup.Spec{Token: "keep", Name: "kept-for-years"})
	if err == nil {
		op, err = runner.Run(ctx, op)
	}
	fmt.Println(op.Phase, op.Points[0], err)
	// Output: succeeded rds/snapshot:111122223333:eu-west-1:kept-for-years <nil>
}

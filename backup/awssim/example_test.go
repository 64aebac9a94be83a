package awssim_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

// The real client runs on the simulation, and an injected fault reaches it as AWS's would.
func Example() {
	ctx := context.Background()
	world := awssim.New(ec2sim.Service())
	client := awsec2.NewFromConfig(world.Config("111122223333", "eu-west-1"), func(o *awsec2.Options) { o.RetryMaxAttempts = 1 })

	fault := world.Inject(awssim.Fault{Operation: "CreateVolume", Kind: awssim.FaultThrottle})
	create := &awsec2.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1a"), Size: aws.Int32(8)}
	_, err := client.CreateVolume(ctx, create)
	var api smithy.APIError
	if errors.As(err, &api) {
		fmt.Println(api.ErrorCode(), fault.Fired())
	}

	out, err := client.CreateVolume(ctx, create)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.State)
	for _, call := range world.Calls() {
		fmt.Println(call.Operation, call.Account, call.Region, call.Code)
	}
	// Output:
	// RequestLimitExceeded 1
	// creating
	// CreateVolume 111122223333 eu-west-1 RequestLimitExceeded
	// CreateVolume 111122223333 eu-west-1
}

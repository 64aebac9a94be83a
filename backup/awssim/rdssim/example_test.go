package rdssim_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
)

// A database that is being created can not be backed up yet, and the error is the SDK's own type.
func Example() {
	ctx := context.Background()
	client := awsrds.NewFromConfig(awssim.New(rdssim.Service()).Config("111122223333", "eu-west-1"))
	db, err := client.CreateDBInstance(ctx, &awsrds.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String("Orders"), DBInstanceClass: aws.String("db.t4g.micro"), Engine: aws.String("postgres"),
		AllocatedStorage: aws.Int32(20), MasterUsername: aws.String("admin1"), MasterUserPassword: aws.String("not-a-secret"),
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(*db.DBInstance.DBInstanceIdentifier, *db.DBInstance.DBInstanceStatus)
	_, err = client.CreateDBSnapshot(ctx, &awsrds.CreateDBSnapshotInput{
		DBInstanceIdentifier: aws.String("orders"), DBSnapshotIdentifier: aws.String("tonight")})
	var busy *rdstypes.InvalidDBInstanceStateFault
	fmt.Println(errors.As(err, &busy))
	// Output:
	// orders creating
	// true
}

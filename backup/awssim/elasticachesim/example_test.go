package elasticachesim_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
)

// A Memcached cluster has no snapshots, and the error is the SDK's own type.
func Example() {
	ctx := context.Background()
	world := awssim.New(elasticachesim.Service())
	world.SetSpeed(1e9) // the cluster is there at once
	client := awselasticache.NewFromConfig(world.Config("111122223333", "eu-west-1"))
	if _, err := client.CreateCacheCluster(ctx, &awselasticache.CreateCacheClusterInput{
		CacheClusterId: aws.String("pages"), Engine: aws.String("memcached"), CacheNodeType: aws.String("cache.t4g.micro"), NumCacheNodes: aws.Int32(1),
	}); err != nil {
		log.Fatal(err)
	}
	_, err := client.CreateSnapshot(ctx, &awselasticache.CreateSnapshotInput{CacheClusterId: aws.String("pages"), SnapshotName: aws.String("tonight")})
	var unsupported *ectypes.SnapshotFeatureNotSupportedFault
	fmt.Println(errors.As(err, &unsupported))
	// Output: true
}

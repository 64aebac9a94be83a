package kmssim_test

import (
	"context"
	"fmt"
	"log"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
)

// A key is made and disabled; the other simulated services then refuse to work under it, as AWS does.
func Example() {
	ctx := context.Background()
	world := awssim.New(kmssim.Service())
	client := awskms.NewFromConfig(world.Config("111122223333", "eu-west-1"))
	key, err := client.CreateKey(ctx, &awskms.CreateKeyInput{})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := client.DisableKey(ctx, &awskms.DisableKeyInput{KeyId: key.KeyMetadata.KeyId}); err != nil {
		log.Fatal(err)
	}
	out, err := client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: key.KeyMetadata.Arn})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.KeyMetadata.KeyState, out.KeyMetadata.KeyState)
	// Output: Enabled Disabled
}

package rds_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/rds"
)

const far = "eu-central-1"

// everywhere makes a Strategy that serves all Regions of the account of cfg, and may copy to "far".
func everywhere(cfg aws.Config, fs ...func(*rds.Options)) *rds.Strategy {
	clients := map[string]*awsrds.Client{}
	for _, r := range []string{region, far, "us-east-1"} {
		c := cfg.Copy()
		c.Region = r
		clients[r] = awsrds.NewFromConfig(c)
	}
	return rds.New(func(_ context.Context, a, r string) (*awsrds.Client, error) {
		if clients[r] == nil || a != account {
			return nil, fmt.Errorf("no client for %s, %s", a, r)
		}
		return clients[r], nil
	}, append([]func(*rds.Options){func(o *rds.Options) { o.CopyRegions = []string{far} }}, fs...)...)
}

// keyIn makes a key in a Region and gives its ARN.
func (b *bench) keyIn(r string) string {
	b.t.Helper()
	k, err := awskms.NewFromConfig(b.world.Config(account, r)).CreateKey(b.ctx, &awskms.CreateKeyInput{})
	b.must(err)
	return *k.KeyMetadata.Arn
}

// copies gives the snapshots, of instances and of clusters, that an Operation made in a Region.
func (b *bench) copies(r, id string) (all []rdssim.Snapshot) {
	for _, p := range append(b.db.Snapshots(b.world, account, r), b.db.ClusterSnapshots(b.world, account, r)...) {
		if p.Tags[backup.TagToken] == id {
			all = append(all, p)
		}
	}
	return all
}

func jsonOf(op backup.Operation) ([]byte, error) { return json.Marshal(op) }

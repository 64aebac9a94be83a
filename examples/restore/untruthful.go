package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/smithy-go/middleware"
)

// untruthful gives a config whose clients are told less of the snapshots of cache groups with several shards than there is: an AWS that calls a
// snapshot available which is not whole.
func untruthful(cfg aws.Config, less func(*ectypes.Snapshot)) aws.Config {
	cfg.APIOptions = append(cfg.APIOptions[:len(cfg.APIOptions):len(cfg.APIOptions)], func(s *middleware.Stack) error {
		return s.Initialize.Add(middleware.InitializeMiddlewareFunc("Untruthful", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, md, err := next.HandleInitialize(ctx, in)
			if x, ok := out.Result.(*awselasticache.DescribeSnapshotsOutput); ok && err == nil {
				for i := range x.Snapshots {
					if len(x.Snapshots[i].NodeSnapshots) > 1 {
						less(&x.Snapshots[i])
					}
				}
			}
			return out, md, err
		}), middleware.Before)
	})
	return cfg
}

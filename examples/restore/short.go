package main

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/smithy-go/middleware"
)

// short gives a config whose clients are told one part less of each snapshot than it has: an AWS that calls a snapshot available which is not whole.
func short(cfg aws.Config) aws.Config {
	cfg.APIOptions = append(cfg.APIOptions[:len(cfg.APIOptions):len(cfg.APIOptions)], func(s *middleware.Stack) error {
		return s.Initialize.Add(middleware.InitializeMiddlewareFunc("Short", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
			out, md, err := next.HandleInitialize(ctx, in)
			if x, ok := out.Result.(*awselasticache.DescribeSnapshotsOutput); ok && err == nil {
				for i := range x.Snapshots {
					if parts := x.Snapshots[i].NodeSnapshots; len(parts) > 1 {
						x.Snapshots[i].NodeSnapshots = parts[:len(parts)-1]
					}
				}
			}
			return out, md, err
		}), middleware.Before)
	})
	return cfg
}

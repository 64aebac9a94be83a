package main

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/rds"
)

// job is one resource to back up, and how it is to be restored.
type job struct {
	strategy strategy
	source   backup.Ref
	// options are those of the restore.
	options backup.Options
}

// strategy is what the program needs of a strategy. Those of snapwarden have all of it; of somebody else's, backup.As tells.
type strategy interface {
	backup.Strategy
	backup.Preflighter
	backup.Lister
	backup.Restorer
	backup.Deleter
}

// pace is how often the strategies look; the zero value leaves that to them, which is right for AWS.
type pace struct{ min, max, settle, park time.Duration }

// resources names what is backed up. What is empty is left out.
type resources struct {
	Instance     string `json:"instance,omitempty"`
	Database     string `json:"database,omitempty"`
	Cache        string `json:"cache,omitempty"`
	CacheCluster string `json:"cacheCluster,omitempty"`
}

// surroundings is where the new resources are put.
type surroundings struct {
	account, region, zone         string
	subnetGroup, cacheSubnetGroup string
	securityGroups                []string
	// prefix begins the names of the new resources.
	prefix string
}

// newJobs makes the strategies and the jobs.
func newJobs(cfg aws.Config, what resources, s surroundings, p pace) []job {
	var jobs []job
	if what.Instance != "" {
		jobs = append(jobs, job{
			strategy: ebs.NewFromConfig(cfg, func(o *ebs.Options) {
				o.PollMin, o.PollMax, o.Settle, o.Park = p.min, p.max, p.settle, p.park
			}),
			source:  ebs.Instance(s.account, s.region, what.Instance),
			options: ebs.RestoreOptions{Zone: s.zone},
		})
	}
	if what.Database != "" {
		jobs = append(jobs, job{
			strategy: rds.NewFromConfig(cfg, func(o *rds.Options) {
				o.PollMin, o.PollMax, o.Settle, o.Park = p.min, p.max, p.settle, p.park
			}),
			source:  rds.Instance(s.account, s.region, what.Database),
			options: rds.RestoreOptions{ID: s.prefix + "-db", SubnetGroup: s.subnetGroup, SecurityGroups: s.securityGroups},
		})
	}
	if what.Cache != "" || what.CacheCluster != "" {
		source := elasticache.ReplicationGroup(s.account, s.region, what.Cache)
		if what.CacheCluster != "" {
			source = elasticache.Cluster(s.account, s.region, what.CacheCluster)
		}
		jobs = append(jobs, job{
			strategy: elasticache.NewFromConfig(cfg, func(o *elasticache.Options) {
				o.PollMin, o.PollMax, o.Settle, o.Park = p.min, p.max, p.settle, p.park
			}),
			source:  source,
			options: elasticache.RestoreOptions{ID: s.prefix + "-cache", SubnetGroup: s.cacheSubnetGroup, SecurityGroups: s.securityGroups},
		})
	}
	return jobs
}

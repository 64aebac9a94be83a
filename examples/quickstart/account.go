package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/rds"
)

// ownJobs gives the jobs on the user's own resources, after it has said what they will create. Without -yes that is all it does.
func ownJobs(ctx context.Context, o options, r *runState, stderr io.Writer) ([]job, error) {
	cfg, err := config.LoadDefaultConfig(ctx, func(l *config.LoadOptions) error { l.Region = o.region; return nil })
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, usagef("your AWS configuration names no Region: use -region")
	}
	if o.zone != "" && !strings.HasPrefix(o.zone, cfg.Region) {
		return nil, usagef("the zone %s is not in the Region %s", o.zone, cfg.Region)
	}
	who, err := awssts.NewFromConfig(cfg).GetCallerIdentity(ctx, &awssts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("your AWS configuration does not work: %w", err)
	}
	where := surroundings{account: aws.ToString(who.Account), region: cfg.Region, zone: o.zone, prefix: r.prefix(),
		subnetGroup: o.subnetGroup, cacheSubnetGroup: o.cacheSubnetGroup, securityGroups: o.securityGroups}
	jobs := newJobs(cfg, resources{Instance: o.instance, Database: o.database, Cache: o.cache, CacheCluster: o.cacheCluster}, where, pace{})
	announce(stderr, jobs, where, r.kept)
	if !o.yes {
		return nil, usagef("nothing was done; call it again with -yes if that is what you want")
	}
	return jobs, nil
}

// announce says what will be created and that it costs money.
func announce(w io.Writer, jobs []job, where surroundings, resumed bool) {
	fmt.Fprintf(w, "In your AWS account %s, %s, this creates the following, WHICH COSTS MONEY:\n", where.account, where.region)
	for i, j := range jobs {
		points := "a recovery point"
		if i == 0 {
			points = "two recovery points, one of which it deletes again,"
		}
		fmt.Fprintf(w, "  - %s of %s %s\n", points, j.source.Type, j.source.ID)
		switch v := j.options.(type) {
		case ebs.RestoreOptions:
			fmt.Fprintf(w, "  - a new volume of each of its volumes, in %s, attached to nothing\n", v.Zone)
		case rds.RestoreOptions:
			fmt.Fprintf(w, "  - a new DB instance %s of the same class, in the subnet group %s with %s\n", v.ID, v.SubnetGroup, strings.Join(v.SecurityGroups, ", "))
		case elasticache.RestoreOptions:
			subnets := v.SubnetGroup
			if subnets == "" {
				subnets = "default"
			}
			fmt.Fprintf(w, "  - a new cache %s of the same node type, in the subnet group %s with %s; clients connect WITHOUT TLS\n", v.ID, subnets, strings.Join(v.SecurityGroups, ", "))
		}
	}
	fmt.Fprintln(w, "It deletes nothing that it did not make. What it leaves is listed at the end, for you to look at and to delete.")
	if resumed {
		fmt.Fprintln(w, "A run that was interrupted is gone on with: what is there already is not made again.")
	}
}

// remains says what this run made and left, and what deletes it.
func remains(f *flow) string {
	var b strings.Builder
	for _, op := range f.restored {
		for _, r := range op.Made {
			fmt.Fprintln(&b, "  "+deleteCommand(r.Type, r.ID)+" --region "+r.Region)
		}
	}
	for _, p := range f.left {
		if len(p.Members) == 0 {
			fmt.Fprintln(&b, "  "+deleteCommand(p.Type, p.ID)+" --region "+p.Region)
		}
		for _, m := range p.Members {
			fmt.Fprintln(&b, "  "+deleteCommand(ebs.TypeSnapshot, m.ID)+" --region "+p.Region)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "\nThis is left in your account and costs money. Delete it with the AWS CLI when you have looked at it:\n" + b.String()
}

func deleteCommand(kind, id string) string {
	switch kind {
	case ebs.TypeVolume:
		return "aws ec2 delete-volume --volume-id " + id
	case ebs.TypeSnapshot:
		return "aws ec2 delete-snapshot --snapshot-id " + id
	case rds.TypeInstance:
		return "aws rds delete-db-instance --skip-final-snapshot --db-instance-identifier " + id
	case rds.TypeSnapshot:
		return "aws rds delete-db-snapshot --db-snapshot-identifier " + id
	case elasticache.TypeReplicationGroup:
		return "aws elasticache delete-replication-group --replication-group-id " + id
	case elasticache.TypeCluster:
		return "aws elasticache delete-cache-cluster --cache-cluster-id " + id
	case elasticache.TypeSnapshot:
		return "aws elasticache delete-snapshot --snapshot-name " + id
	}
	return "# " + kind + " " + id
}

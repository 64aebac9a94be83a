package elasticachesim

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// subnetGroup is a cache subnet group. The one called "default" is always there.
type subnetGroup struct {
	life
	name, description, vpc string
	subnets                []string
}

func noSubnetGroup(name *string) error {
	return awssim.Fail("CacheSubnetGroupNotFoundFault", "Cache Subnet Group %s does not exist.", aws.ToString(name))
}

func (s *ElastiCache) createCacheSubnetGroup(r *awssim.Request, in *awselasticache.CreateCacheSubnetGroupInput) (*awselasticache.CreateCacheSubnetGroupOutput, error) {
	p := s.at(r)
	name := lower(in.CacheSubnetGroupName)
	if name == "" || len(name) > 255 {
		return nil, awssim.Fail("InvalidParameterValue", "The parameter CacheSubnetGroupName must have 1 to 255 characters.")
	}
	if _, ok := p.subnetGroups.live(name, r.Now); ok {
		return nil, awssim.Fail("CacheSubnetGroupAlreadyExists", "Cache subnet group %s already exists.", name)
	}
	if len(in.SubnetIds) == 0 {
		return nil, awssim.Fail("InvalidParameterValue", "A cache subnet group needs at least one subnet.")
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	g := &subnetGroup{life: life{made: r.Now, lag: r.Lag(), ready: r.Now, tags: []tagging{{r.Now, tags}}}, name: name,
		description: aws.ToString(in.CacheSubnetGroupDescription), vpc: "vpc-0" + name, subnets: slices.Clone(in.SubnetIds)}
	p.subnetGroups.add(name, g)
	o := g.describe(r)
	return &awselasticache.CreateCacheSubnetGroupOutput{CacheSubnetGroup: &o}, nil
}

func (s *ElastiCache) describeCacheSubnetGroups(r *awssim.Request, in *awselasticache.DescribeCacheSubnetGroupsInput) (*awselasticache.DescribeCacheSubnetGroupsOutput, error) {
	p := s.at(r)
	if in.CacheSubnetGroupName != nil {
		g, ok := p.subnetGroups.seen(lower(in.CacheSubnetGroupName), r)
		if !ok {
			return nil, noSubnetGroup(in.CacheSubnetGroupName)
		}
		return &awselasticache.DescribeCacheSubnetGroupsOutput{CacheSubnetGroups: []ectypes.CacheSubnetGroup{g.describe(r)}}, nil
	}
	found, marker, err := page(r, &p.subnetGroups.names, in.Marker, in.MaxRecords, 100, func(name string) (ectypes.CacheSubnetGroup, bool) {
		g, ok := p.subnetGroups.seen(name, r)
		if !ok {
			return ectypes.CacheSubnetGroup{}, false
		}
		return g.describe(r), true
	})
	if err != nil {
		return nil, err
	}
	return &awselasticache.DescribeCacheSubnetGroupsOutput{CacheSubnetGroups: found, Marker: marker}, nil
}

func (g *subnetGroup) describe(r *awssim.Request) ectypes.CacheSubnetGroup {
	o := ectypes.CacheSubnetGroup{ARN: aws.String(r.ARN("elasticache", "subnetgroup:"+g.name)), CacheSubnetGroupName: aws.String(g.name),
		CacheSubnetGroupDescription: aws.String(g.description), VpcId: aws.String(g.vpc), SupportedNetworkTypes: []ectypes.NetworkType{ectypes.NetworkTypeIpv4}}
	for i, id := range g.subnets {
		o.Subnets = append(o.Subnets, ectypes.Subnet{SubnetIdentifier: aws.String(id),
			SubnetAvailabilityZone: &ectypes.AvailabilityZone{Name: aws.String(zone(r.Region, i))}})
	}
	return o
}

package ec2sim

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// letters are the zones of every simulated Region.
const letters = "abc"

// zoneID gives the id of a zone as AWS writes it: eu-west-1a becomes euw1-az1. Here every account has the same zone under an id.
func zoneID(zone string) string {
	short := map[string]string{"north": "n", "south": "s", "east": "e", "west": "w", "central": "c", "northeast": "ne", "northwest": "nw",
		"southeast": "se", "southwest": "sw", "gov": "g", "iso": "i"}
	parts := strings.Split(zone[:len(zone)-1], "-")
	var b strings.Builder
	for _, p := range parts {
		if s, ok := short[p]; ok {
			p = s
		}
		b.WriteString(p)
	}
	b.WriteString("-az")
	b.WriteByte('1' + zone[len(zone)-1] - 'a')
	return b.String()
}

// zoneOf finds the zone that a call names by name or id.
func zoneOf(r *awssim.Request, name, id *string) (string, error) {
	if name != nil && id != nil {
		return "", awssim.Fail("InvalidParameterCombination", "You can specify either AvailabilityZone or AvailabilityZoneId, not both.")
	}
	if name == nil && id == nil {
		return "", awssim.Fail("MissingParameter", "The request must contain the parameter zone")
	}
	for _, c := range letters {
		zone := r.Region + string(c)
		if name != nil && *name == zone || id != nil && *id == zoneID(zone) {
			return zone, nil
		}
	}
	return "", awssim.Fail("InvalidZone.NotFound", "The zone '%s' does not exist.", aws.ToString(name)+aws.ToString(id))
}

var zoneFilters = known{rest: true, names: []string{"zone-name", "zone-id", "state", "region-name"}}

func (s *EC2) describeAvailabilityZones(r *awssim.Request, in *awsec2.DescribeAvailabilityZonesInput) (*awsec2.DescribeAvailabilityZonesOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, zoneFilters)
	if err != nil {
		return nil, err
	}
	for _, name := range in.ZoneNames {
		if _, err := zoneOf(r, &name, nil); err != nil {
			return nil, err
		}
	}
	for _, id := range in.ZoneIds {
		if _, err := zoneOf(r, nil, &id); err != nil {
			return nil, err
		}
	}
	out := &awsec2.DescribeAvailabilityZonesOutput{}
next:
	for _, c := range letters {
		zone := r.Region + string(c)
		if len(in.ZoneNames) > 0 && !slices.Contains(in.ZoneNames, zone) || len(in.ZoneIds) > 0 && !slices.Contains(in.ZoneIds, zoneID(zone)) {
			continue
		}
		for i := range filters {
			f := &filters[i]
			v := map[string]string{"zone-name": zone, "zone-id": zoneID(zone), "state": "available", "region-name": r.Region}[f.name]
			if !f.match(v) {
				continue next
			}
		}
		out.AvailabilityZones = append(out.AvailabilityZones, ec2types.AvailabilityZone{GroupName: aws.String(r.Region + "-zg-1"), NetworkBorderGroup: aws.String(r.Region),
			OptInStatus: ec2types.AvailabilityZoneOptInStatusOptInNotRequired, RegionName: aws.String(r.Region), State: ec2types.AvailabilityZoneStateAvailable,
			ZoneId: aws.String(zoneID(zone)), ZoneName: aws.String(zone), ZoneType: aws.String("availability-zone")})
	}
	return out, nil
}

// regionNames are the Regions of the partition "aws" that need no opt-in, and some of each other partition.
var regionNames = map[string][]string{
	"aws": {"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1", "eu-north-1",
		"eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"},
	"aws-cn":     {"cn-north-1", "cn-northwest-1"},
	"aws-us-gov": {"us-gov-east-1", "us-gov-west-1"},
}

var regionFilters = known{rest: true, names: []string{"region-name", "endpoint", "opt-in-status"}}

func (s *EC2) describeRegions(r *awssim.Request, in *awsec2.DescribeRegionsInput) (*awsec2.DescribeRegionsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, regionFilters)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(regionNames[r.Partition()])
	if !slices.Contains(names, r.Region) {
		names = append(names, r.Region)
		slices.Sort(names)
	}
	for _, n := range in.RegionNames {
		if !slices.Contains(names, n) {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid region names: [%s]", n)
		}
	}
	suffix := ".amazonaws.com"
	if r.Partition() == "aws-cn" {
		suffix = ".amazonaws.com.cn"
	}
	out := &awsec2.DescribeRegionsOutput{}
next:
	for _, n := range names {
		if len(in.RegionNames) > 0 && !slices.Contains(in.RegionNames, n) {
			continue
		}
		endpoint := "ec2." + n + suffix
		for i := range filters {
			f := &filters[i]
			v := map[string]string{"region-name": n, "endpoint": endpoint, "opt-in-status": "opt-in-not-required"}[f.name]
			if !f.match(v) {
				continue next
			}
		}
		out.Regions = append(out.Regions, ec2types.Region{Endpoint: aws.String(endpoint), OptInStatus: aws.String("opt-in-not-required"), RegionName: aws.String(n)})
	}
	return out, nil
}

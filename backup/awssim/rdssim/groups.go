package rdssim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

type subnetGroup struct {
	name, description, vpc string
	subnets                []string
	// gateway tells that the VPC is attached to the internet.
	gateway bool
	made    time.Time
	lag     time.Duration
}

// group is a parameter group or an option group: only that it exists matters.
type group struct{ name, engine string }

func (g *subnetGroup) output(r *awssim.Request) *rdstypes.DBSubnetGroup {
	o := &rdstypes.DBSubnetGroup{DBSubnetGroupName: aws.String(g.name), DBSubnetGroupDescription: aws.String(g.description), VpcId: aws.String(g.vpc),
		SubnetGroupStatus: aws.String("Complete"), DBSubnetGroupArn: aws.String(r.ARN("rds", "subgrp:"+g.name))}
	for i, id := range g.subnets {
		o.Subnets = append(o.Subnets, rdstypes.Subnet{SubnetIdentifier: aws.String(id), SubnetStatus: aws.String("Active"),
			SubnetAvailabilityZone: &rdstypes.AvailabilityZone{Name: aws.String(zone(r, i))}})
	}
	return o
}

func zone(r *awssim.Request, i int) string { return r.Region + string(rune('a'+i%3)) }

func (s *RDS) createDBSubnetGroup(r *awssim.Request, in *awsrds.CreateDBSubnetGroupInput) (*awsrds.CreateDBSubnetGroupOutput, error) {
	name := strings.ToLower(aws.ToString(in.DBSubnetGroupName))
	g := s.in(r)
	switch {
	case name == "" || len(name) > 255 || name == "default":
		return nil, awssim.Fail("InvalidParameterValue", "The parameter DBSubnetGroupName is not valid: %s", name)
	case g.subnetGroups[name] != nil:
		return nil, awssim.Fail("DBSubnetGroupAlreadyExists", "The DB subnet group '%s' already exists.", name)
	case len(in.SubnetIds) < 2:
		return nil, awssim.Fail("DBSubnetGroupDoesNotCoverEnoughAZs", "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement.")
	}
	for _, id := range in.SubnetIds {
		if !strings.HasPrefix(id, "subnet-") {
			return nil, awssim.Fail("InvalidSubnet", "The subnet '%s' is not valid.", id)
		}
	}
	n := &subnetGroup{name: name, description: aws.ToString(in.DBSubnetGroupDescription), vpc: "vpc-" + short(r.Account, r.Region, name),
		subnets: slices.Clone(in.SubnetIds), made: r.Now, lag: r.Lag()}
	g.subnetGroups[name] = n
	return &awsrds.CreateDBSubnetGroupOutput{DBSubnetGroup: n.output(r)}, nil
}

func (s *RDS) describeDBSubnetGroups(r *awssim.Request, in *awsrds.DescribeDBSubnetGroupsInput) (*awsrds.DescribeDBSubnetGroupsOutput, error) {
	g := s.in(r)
	seen := func(name string) bool { return r.Visible(g.subnetGroups[name].made, g.subnetGroups[name].lag) }
	var all []string
	if name := strings.ToLower(aws.ToString(in.DBSubnetGroupName)); name != "" {
		if g.subnetGroups[name] == nil || !seen(name) {
			return nil, notFound("DBSubnetGroupNotFoundFault", "DB subnet group '%s' does not exist.", name)
		}
		all = []string{name}
	} else {
		for name := range g.subnetGroups {
			all = append(all, name)
		}
		slices.Sort(all)
	}
	page, next, err := page(r, all, in.MaxRecords, in.Marker, seen)
	if err != nil {
		return nil, err
	}
	out := &awsrds.DescribeDBSubnetGroupsOutput{Marker: next}
	for _, name := range page {
		out.DBSubnetGroups = append(out.DBSubnetGroups, *g.subnetGroups[name].output(r))
	}
	return out, nil
}

func (s *RDS) createDBParameterGroup(r *awssim.Request, in *awsrds.CreateDBParameterGroupInput) (*awsrds.CreateDBParameterGroupOutput, error) {
	name, err := identifier("DBParameterGroupName", aws.ToString(in.DBParameterGroupName), 255)
	if err != nil {
		return nil, err
	}
	if s.in(r).parameterGroups[name] != nil {
		return nil, awssim.Fail("DBParameterGroupAlreadyExists", "Parameter group %s already exists", name)
	}
	s.in(r).parameterGroups[name] = &group{name: name}
	return &awsrds.CreateDBParameterGroupOutput{DBParameterGroup: &rdstypes.DBParameterGroup{DBParameterGroupName: aws.String(name),
		DBParameterGroupArn: aws.String(r.ARN("rds", "pg:"+name)), DBParameterGroupFamily: aws.String(aws.ToString(in.DBParameterGroupFamily)),
		Description: aws.String(aws.ToString(in.Description))}}, nil
}

func (s *RDS) createOptionGroup(r *awssim.Request, in *awsrds.CreateOptionGroupInput) (*awsrds.CreateOptionGroupOutput, error) {
	name, err := identifier("OptionGroupName", aws.ToString(in.OptionGroupName), 255)
	if err != nil {
		return nil, err
	}
	if s.in(r).optionGroups[name] != nil {
		return nil, awssim.Fail("OptionGroupAlreadyExistsFault", "An option group with the name %s already exists", name)
	}
	s.in(r).optionGroups[name] = &group{name, aws.ToString(in.EngineName)}
	return &awsrds.CreateOptionGroupOutput{OptionGroup: &rdstypes.OptionGroup{OptionGroupName: aws.String(name),
		OptionGroupArn: aws.String(r.ARN("rds", "og:"+name)), EngineName: aws.String(aws.ToString(in.EngineName))}}, nil
}

func exists(groups map[string]*group, name string) bool {
	return strings.HasPrefix(name, "default") || groups[strings.ToLower(name)] != nil
}

package ec2sim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// mostVolumes is how many volumes an instance of any type takes.
const mostVolumes = 27

// describeInstanceTypes tells how many volumes instances of the named types take, and nothing else of them.
func (s *EC2) describeInstanceTypes(r *awssim.Request, in *awsec2.DescribeInstanceTypesInput) (*awsec2.DescribeInstanceTypesOutput, error) {
	switch {
	case len(in.InstanceTypes) == 0:
		return nil, unsupported(r, "a list of all types")
	case len(in.Filters) > 0:
		return nil, unsupported(r, "Filters")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	out := &awsec2.DescribeInstanceTypesOutput{}
	for _, t := range in.InstanceTypes {
		out.InstanceTypes = append(out.InstanceTypes, ec2types.InstanceTypeInfo{InstanceType: t,
			EbsInfo: &ec2types.EbsInfo{AttachmentLimitType: ec2types.AttachmentLimitTypeShared, MaximumEbsAttachments: aws.Int32(mostVolumes)}})
	}
	return out, nil
}

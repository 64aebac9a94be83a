package policy

// EBSSwapPolicy is what restoring snapshots onto instances needs: finding them, making volumes that carry the owner's tag, and attaching and detaching
// volumes. instances bound it to these; none means all of the account and Region. Volumes that are replaced may be anybody's, and nothing can be deleted
// with it.
//
// Source: Service authorization reference, "Amazon EC2"; EBS user guide, "Create an Amazon EBS volume".
func EBSSwapPolicy(s Scope, instances ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(instances, ValidateInstanceID); err != nil {
		return Document{}, err
	}
	volumes, tag := c.arn("ec2", "volume/*"), c.tagged()
	tag["StringEquals"]["ec2:CreateAction"] = []string{"CreateVolume"}
	all := []Statement{
		allow("SnapwardenEBSSwapLook", []string{"*"}, c.here(), "ec2:DescribeInstances", "ec2:DescribeInstanceTypes", "ec2:DescribeSnapshots", "ec2:DescribeVolumes"),
		allow("SnapwardenEBSSwapFrom", c.snapshots(nil), nil, "ec2:CreateVolume"),
		allow("SnapwardenEBSSwapMake", volumes, c.tagged(), "ec2:CreateVolume"),
		allow("SnapwardenEBSSwapTag", c.arn("ec2", "volume/*"), tag, "ec2:CreateTags"),
		allow("SnapwardenEBSSwapMove", c.arn("ec2", append(each("instance/", instances), "volume/*")...), nil, "ec2:AttachVolume", "ec2:DetachVolume"),
	}
	keys, err := c.keys("SnapwardenEBSSwap", "ec2")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

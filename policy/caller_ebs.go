package policy

import "strings"

// EBSBackupPolicy is what backing up EBS volumes needs: finding volumes and instances, and making snapshots that carry the owner's tag from the
// first moment. ids bound it to these volumes and instances; none means all of the account and Region. With instances but no volumes the volumes
// of an instance may be any. Tags can be set in the create call only, never later, because a tag decides who may delete.
//
// Source: Service authorization reference, "Amazon EC2"; EBS user guide, "Example: Create a snapshot with tags".
func EBSBackupPolicy(s Scope, ids ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	var volumes, instances []string
	for _, id := range ids {
		if strings.HasPrefix(id, "i-") {
			instances, err = append(instances, id), ValidateInstanceID(id)
		} else {
			volumes, err = append(volumes, id), ValidateVolumeID(id)
		}
		if err != nil {
			return Document{}, err
		}
	}
	all := []Statement{allow("SnapwardenEBSBackupLook", []string{"*"}, c.here(), "ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeVolumes")}
	var made []string
	if len(volumes) > 0 || len(ids) == 0 {
		made = append(made, "CreateSnapshot")
		all = append(all, allow("SnapwardenEBSBackupVolumes", c.arn("ec2", each("volume/", volumes)...), nil, "ec2:CreateSnapshot"))
	}
	if len(instances) > 0 || len(ids) == 0 {
		made = append(made, "CreateSnapshots")
		all = append(all, allow("SnapwardenEBSBackupInstances", c.arn("ec2", append(each("instance/", instances), each("volume/", volumes)...)...), nil, "ec2:CreateSnapshots"))
	}
	tag := c.tagged()
	tag["StringEquals"]["ec2:CreateAction"] = made
	all = append(all, allow("SnapwardenEBSBackupMake", c.snapshots(nil), c.tagged(), each("ec2:", made)...),
		allow("SnapwardenEBSBackupTag", c.snapshots(nil), tag, "ec2:CreateTags"))
	keys, err := c.keys("SnapwardenEBSBackup", "ec2")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// EBSDeletePolicy is what deleting EBS snapshots needs: finding them and what keeps them, and deleting those that carry the owner's tag. A snapshot that somebody else
// made can not be deleted with it, whatever the options of the deletion say.
//
// Source: Service authorization reference, "Amazon EC2".
func EBSDeletePolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	return policyOf(allow("SnapwardenEBSDeleteLook", []string{"*"}, c.here(), "ec2:DescribeFastSnapshotRestores", "ec2:DescribeImages", "ec2:DescribeLockedSnapshots", "ec2:DescribeSnapshots",
		"ec2:ListSnapshotsInRecycleBin"),
		allow("SnapwardenEBSDelete", c.snapshots(nil), c.owned(), "ec2:DeleteSnapshot"))
}

// EBSRestorePolicy is what restoring EBS snapshots needs: finding them, and making volumes that carry the owner's tag. snapshots bound it to these;
// none means all, also such as other accounts share.
//
// Source: Service authorization reference, "Amazon EC2"; EBS user guide, "Create an Amazon EBS volume".
func EBSRestorePolicy(s Scope, snapshots ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(snapshots, ValidateSnapshotID); err != nil {
		return Document{}, err
	}
	volumes, tag := c.arn("ec2", "volume/*"), c.tagged()
	tag["StringEquals"]["ec2:CreateAction"] = []string{"CreateVolume"}
	all := []Statement{
		allow("SnapwardenEBSRestoreLook", []string{"*"}, c.here(), "ec2:DescribeSnapshots", "ec2:DescribeVolumes"),
		allow("SnapwardenEBSRestoreFrom", c.snapshots(snapshots), nil, "ec2:CreateVolume"),
		allow("SnapwardenEBSRestoreMake", volumes, c.tagged(), "ec2:CreateVolume"),
		allow("SnapwardenEBSRestoreTag", volumes, tag, "ec2:CreateTags"),
	}
	keys, err := c.keys("SnapwardenEBSRestore", "ec2")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// snapshots names EBS snapshots, whose ARNs have no account.
func (s scope) snapshots(ids []string) []string {
	return each("arn:"+s.partition+":ec2:"+s.Region+"::snapshot/", ids)
}

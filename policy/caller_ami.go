package policy

// AMIBackupPolicy is what backing up instances as images needs: finding them, and making images and snapshots that carry the owner's tag from the first
// moment. instances bound it to these; none means all of the account and Region. Whether the instance may be rebooted for it no policy can tell.
//
// Source: Service authorization reference, "Amazon EC2".
func AMIBackupPolicy(s Scope, instances ...string) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	if err := eachValid(instances, ValidateInstanceID); err != nil {
		return Document{}, err
	}
	all := []Statement{
		allow("SnapwardenAMIBackupLook", []string{"*"}, c.here(), "ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeSnapshots"),
		allow("SnapwardenAMIBackupFrom", c.arn("ec2", each("instance/", instances)...), nil, "ec2:CreateImage"),
	}
	all = append(all, c.makeImages("SnapwardenAMIBackup", "CreateImage")...)
	keys, err := c.keys("SnapwardenAMIBackup", "ec2")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// AMICopyPolicy is what the destination of copies of images needs, which is the Region of the scope: making images and snapshots that carry the owner's
// tag. In the image's own Region ec2:DescribeImages is needed, which
// AMIBackupPolicy of that Region has.
//
// Source: Service authorization reference, "Amazon EC2".
func AMICopyPolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	all := append([]Statement{allow("SnapwardenAMICopyLook", []string{"*"}, c.here(), "ec2:DescribeImages", "ec2:DescribeSnapshots")}, c.makeImages("SnapwardenAMICopy", "CopyImage")...)
	keys, err := c.keys("SnapwardenAMICopy", "ec2")
	if err != nil {
		return Document{}, err
	}
	return policyOf(append(all, keys...)...)
}

// AMIDeletePolicy is what deregistering images and deleting their snapshots needs: finding them and what keeps them, and deleting those that carry the
// owner's tag.
//
// Source: Service authorization reference, "Amazon EC2".
func AMIDeletePolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	return policyOf(allow("SnapwardenAMIDeleteLook", []string{"*"}, c.here(), "ec2:DescribeFastSnapshotRestores", "ec2:DescribeImages", "ec2:DescribeLockedSnapshots", "ec2:DescribeSnapshots"),
		allow("SnapwardenAMIDeregister", c.images(), c.owned(), "ec2:DeregisterImage"),
		allow("SnapwardenAMIDelete", c.snapshots(nil), c.owned(), "ec2:DeleteSnapshot"))
}

// EBSQuiescePolicy is what a backup with a freeze needs beside EBSBackupPolicy: to say afterwards, on snapshots that carry the owner's tag, that they are
// consistent for the application. It lets the caller set this one tag only, and none that decides who may delete. Without it such a backup is made all the
// same, and its snapshots do not say so.
//
// Source: Service authorization reference, "Amazon EC2"; IAM user guide, "Controlling access during AWS requests".
func EBSQuiescePolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	only := c.owned()
	only["ForAllValues:StringEquals"] = map[string][]string{"aws:TagKeys": {"snapwarden:consistency"}}
	only["Null"] = map[string][]string{"aws:TagKeys": {"false"}}
	return policyOf(allow("SnapwardenEBSQuiesceLabel", c.snapshots(nil), only, "ec2:CreateTags"))
}

// makeImages let the caller make images and their snapshots by one call, with the owner's tag in it.
func (s scope) makeImages(sid, call string) []Statement {
	made := append(s.images(), s.snapshots(nil)...)
	tag := s.tagged()
	tag["StringEquals"]["ec2:CreateAction"] = []string{call}
	return []Statement{allow(sid+"Make", made, s.tagged(), "ec2:"+call), allow(sid+"Tag", append([]string(nil), made...), tag, "ec2:CreateTags")}
}

// images names the images of the Region, whose ARNs have no account.
func (s scope) images() []string {
	return []string{"arn:" + s.partition + ":ec2:" + s.Region + "::image/*"}
}

package policy

import "slices"

// EBSCopyPolicy is what copying EBS snapshots within an account needs: finding them in the Region of from, and making copies in the Region of to that
// carry the owner's tag of to from the first moment. snapshots bound it to these; none means all. Keys of both Scopes are those of what is copied and
// of the copies; whether KMS sees a copy as a call of the one Region or the other is UNVERIFIED, so both may be. A canceled copy deletes what
// it made: a role that cancels copies needs EBSDeletePolicy of to, too.
//
// Source: Service authorization reference, "Amazon EC2"; EBS user guide, "Copy an Amazon EBS snapshot", "Example: Copying snapshots".
func EBSCopyPolicy(from, to Scope, snapshots ...string) (Document, error) {
	here, err := from.checked()
	if err != nil {
		return Document{}, err
	}
	there, err := to.checked()
	if err != nil {
		return Document{}, err
	}
	switch {
	case here.Account != there.Account:
		return Document{}, faultf(RuleForm, -1, "is another than that of what is copied: each account's role copies for itself").in("account", there.Account)
	case here.partition != there.partition:
		return Document{}, faultf(RulePartition, -1, "is of another partition than %s: nothing is copied across", here.Region).in("Region", there.Region)
	}
	if err := eachValid(snapshots, ValidateSnapshotID); err != nil {
		return Document{}, err
	}
	// What is copied has an id, what is made has none yet.
	named := here.snapshots(snapshots)
	if len(snapshots) == 0 {
		named = here.snapshots([]string{"snap-*"})
	}
	regions := []string{here.Region, there.Region}
	if here.Region == there.Region {
		regions = regions[:1]
	}
	tag := there.tagged()
	tag["StringEquals"]["ec2:CreateAction"] = []string{"CopySnapshot"}
	all := []Statement{
		allow("SnapwardenEBSCopyLook", []string{"*"}, Condition{"StringEquals": {"aws:RequestedRegion": slices.Clone(regions)}}, "ec2:DescribeSnapshots"),
		allow("SnapwardenEBSCopyFrom", named, nil, "ec2:CopySnapshot"),
		allow("SnapwardenEBSCopyMake", there.snapshots(nil), there.tagged(), "ec2:CopySnapshot"),
		allow("SnapwardenEBSCopyTag", there.snapshots(nil), tag, "ec2:CreateTags"),
	}
	via, err := viaService(here.partition, regions, "ec2")
	if err != nil {
		return Document{}, err
	}
	for _, side := range []struct {
		sid string
		of  scope
	}{{"SnapwardenEBSCopyFrom", here}, {"SnapwardenEBSCopyTo", there}} {
		if side.sid == "SnapwardenEBSCopyTo" && here.Region == there.Region {
			side.of.Keys = slices.DeleteFunc(slices.Clone(there.Keys), func(k string) bool { return slices.Contains(here.Keys, k) })
		}
		keys, err := side.of.keys(side.sid, "ec2")
		if err != nil {
			return Document{}, err
		}
		for _, s := range keys {
			if s.Condition["StringEquals"]["kms:ViaService"] != nil {
				s.Condition["StringEquals"]["kms:ViaService"] = slices.Clone(via)
			}
		}
		all = append(all, keys...)
	}
	return policyOf(all...)
}

// EBSArchivePolicy is what moving EBS snapshots to the archive tier and back needs: finding them and what uses them, and moving those that carry the
// owner's tag.
//
// Source: EBS user guide, "Required IAM permissions for archiving Amazon EBS snapshots".
func EBSArchivePolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	all := []Statement{
		allow("SnapwardenEBSArchiveLook", []string{"*"}, c.here(), "ec2:DescribeFastSnapshotRestores", "ec2:DescribeImages", "ec2:DescribeSnapshotTierStatus", "ec2:DescribeSnapshots"),
		allow("SnapwardenEBSArchiveMove", c.snapshots(nil), c.owned(), "ec2:ModifySnapshotTier", "ec2:RestoreSnapshotTier"),
	}
	if len(c.Keys) > 0 {
		keys, err := keyStatements("SnapwardenEBSArchive", c.partition, c.Region, c.Keys, []string{"kms:Decrypt"}, true, "ec2")
		if err != nil {
			return Document{}, err
		}
		all = append(all, keys...)
	}
	return policyOf(all...)
}

// EBSLockPolicy is what locking EBS snapshots needs: finding them and their locks, and locking those that carry the owner's tag. It lets nobody unlock. That it be
// in governance mode only, no condition of AWS's says: a role with it can lock in compliance mode, which nobody can undo.
//
// Source: EBS user guide, "Control access to Amazon EBS snapshot lock"; Service authorization reference, "Amazon EC2".
func EBSLockPolicy(s Scope) (Document, error) {
	c, err := s.checked()
	if err != nil {
		return Document{}, err
	}
	return policyOf(allow("SnapwardenEBSLockLook", []string{"*"}, c.here(), "ec2:DescribeLockedSnapshots", "ec2:DescribeSnapshots"),
		allow("SnapwardenEBSLock", c.snapshots(nil), c.owned(), "ec2:LockSnapshot"))
}

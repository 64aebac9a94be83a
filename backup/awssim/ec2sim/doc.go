// Package ec2sim simulates the part of EC2 that backups of EBS volumes need: instances, volumes, snapshots, tags and images.
//
//	ec2 := ec2sim.Service()
//	world := awssim.New(ec2)
//	client := awsec2.NewFromConfig(world.Config("111122223333", "eu-west-1"))
//
// Instances, volumes and snapshots are made with the ordinary calls. The methods of EC2 are for what no call can do: to seed many snapshots,
// to set quotas, to act as AWS or as somebody else, and to look at the truth behind what calls can see.
//
// # What is simulated, and where it is written
//
// Snapshots
//   - CreateSnapshot and CreateSnapshots take no client token: a call that is sent twice makes two snapshots, or two sets. Source: EC2 API, the
//     inputs of both.
//   - A snapshot is pending, then completed or in error; Progress is a string; StateMessage comes only from DescribeSnapshots. Source: EC2 API,
//     Snapshot. How long it takes is assumed: three minutes in the median, sigma 1, drawn for the volume and the number of the snapshot. Progress is even.
//   - StartTime is the time of the call, in milliseconds, and so up to one of them earlier. One CreateSnapshots call gives one StartTime to all.
//     That they are truncated: UNVERIFIED.
//   - A volume takes a snapshot every 15 seconds, else SnapshotCreationPerVolumeRateExceeded. Source: EC2 API, "Error codes". Whether AWS keeps
//     so strict a count is UNVERIFIED. A create that the SDK sends again within that time is therefore refused although the first one was
//     applied; set Quotas.VolumeInterval to 0 to have it make a second snapshot.
//   - A volume has 5 pending snapshots, of the types st1 and sc1 one, else ConcurrentSnapshotLimitExceeded. An account has 100,000 snapshots in
//     a Region, else SnapshotLimitExceeded. Source: EBS User Guide, "Amazon EBS quotas". PendingSnapshotLimitExceeded is off by default: UNVERIFIED.
//   - A snapshot of an encrypted volume is encrypted with the volume's key. Source: EBS User Guide, "Amazon EBS encryption". Where the key
//     is not enabled, the snapshot fails later, with a StateMessage: UNVERIFIED for snapshots of volumes, documented for copies.
//   - CreateSnapshots takes the volumes attached to an instance, 128 at most, without the boot volume or up to 40 data volumes if asked. To
//     name the root volume among those is an error. Source: EC2 API, InstanceSpecification. If one of the set fails, all do. Source: EBS User
//     Guide, "Create Amazon EBS snapshots". They fail at one instant: UNVERIFIED. Tags of the call win over copied ones: UNVERIFIED.
//   - DescribeSnapshots refuses the whole call for an unknown id (InvalidSnapshot.NotFound) or a malformed one (InvalidSnapshotID.Malformed), and
//     leaves out those of other accounts that are not shared. Source: EC2 API, DescribeSnapshots.
//   - Without OwnerIds, what others share is listed too. A snapshot can be seen by its owner and by the accounts in createVolumePermission.
//     Source: EC2 API, DescribeSnapshots.
//   - Lists come in the order of creation; AWS promises none.
//   - DeleteSnapshot of a pending snapshot is accepted; it stays pending, keeps its slot, and goes when it would have completed. Source: EBS User
//     Guide, "Delete an Amazon EBS snapshot". That a second delete of it succeeds: UNVERIFIED.
//   - DeleteSnapshot of a registered image's snapshot is refused with InvalidSnapshot.InUse. Source: as before. One that carries the tag
//     aws:backup:source-resource is refused with InvalidParameterValue, as users report it; AWS documents only that it is refused.
//   - CopySnapshot is called in the destination and takes no client token. A copy has tags of its own only, a volume id that means nothing, and
//     a StartTime of its own; the key of the destination is its account's own for EBS unless another is named. Keys are looked at
//     later: the copy ends in error with a StateMessage. More than 20 copies in progress in a destination Region: ResourceLimitExceeded. Source:
//     EC2 API, CopySnapshot; EBS User Guide, "Copy an Amazon EBS snapshot". A source that is not completed is refused with IncorrectState, a
//     key without encryption with InvalidParameterDependency: UNVERIFIED. A copy takes five minutes in the median, sigma 0.8: assumed.
//     Deleting a copy in progress takes effect when it ends, as for other snapshots: UNVERIFIED.
//   - A copy is full unless the Region has a snapshot of the same volume under the same key: a copy, or, in the Region of the volume, any.
//     Source: EBS User Guide, as before. SnapshotInfo tells; no call does.
//   - ModifySnapshotTier takes a completed snapshot of the account's own in the standard tier that no image uses but disabled ones; RestoreSnapshotTier brings it back, for
//     1 to 180 days or for good. 25 archivals and 5 restores are in progress at a time, and a volume has 25 archived snapshots. What is
//     archived makes no volume and no copy. Source: EBS User Guide, "Considerations and limitations for archiving Amazon EBS snapshots", "Restore
//     an archived Amazon EBS snapshot". A restore takes up to 72 hours; medians of 2 and 8 hours are assumed. The codes IncorrectState,
//     UnsupportedOperation, ResourceLimitExceeded and SnapshotLimitExceeded for what is refused: UNVERIFIED. DescribeSnapshotTierStatus lists only
//     what was ever archived: UNVERIFIED. What an archived snapshot costs is not simulated.
//   - LockSnapshot locks a pending or completed snapshot for 1 to 36,500 days or until a date, in governance mode, or in compliance mode with a
//     cooling-off period of 1 to 72 hours or none; after that it can only be made longer. A locked snapshot is not deleted; one that fails loses its
//     lock. Source: EC2 API, LockSnapshot; EBS User Guide, "Considerations for Amazon EBS snapshot lock". The codes OperationNotPermitted and
//     IncorrectState, and that DescribeLockedSnapshots leaves out what never was locked: UNVERIFIED.
//   - Fast restores are enabling, optimizing for an hour for a TiB, enabled, disabling for a minute, disabled; 5 snapshots of a Region have them. A
//     snapshot with them is not deleted: as users report it; the code InvalidSnapshot.InUse is UNVERIFIED.
//   - EC2.SetRecycleBin stands in for the rules of the service rbin: what is deleted is listed by ListSnapshotsInRecycleBin for so long. It can not be
//     restored from there here.
//
// Images
//   - CreateImage takes no client token; the name of an image is unique in an account and Region, else InvalidAMIName.Duplicate. Unless NoReboot is
//     true the instance is rebooted, which ImageInfo tells. Source: EC2 API, CreateImage; EC2 API, "Error codes". The snapshots are of one moment and
//     in use from the call on; the image is available when the last of them completes and failed when one fails: UNVERIFIED.
//   - CopyImage is called in the destination and honours its client token; keys are looked at later. Source: EC2 API, CopyImage. That its source must
//     be available, and how long it takes, are assumptions; copies of images do not count among the copies of snapshots in progress: UNVERIFIED.
//   - A disabled image is listed only where it is asked for, a deprecated one always to its owner; both keep their snapshots in use. Source: EC2 API,
//     DescribeImages; EBS User Guide, "Delete an Amazon EBS snapshot". An image that is protected can not be deregistered; the code is
//     UNVERIFIED. A deregistered one is gone at once, where AWS lists it for a while.
//
// Volumes and instances
//   - CreateVolume honours its client token: the same parameters give the same volume, others IdempotentParameterMismatch. Source: EC2 API,
//     "Ensuring idempotency".
//   - Sizes, IOPS and throughput have the limits and defaults of EC2 API, CreateVolume. A volume can not be smaller than its snapshot, which must
//     be completed; the codes for these are UNVERIFIED.
//   - A key is looked at later: the volume ends in error. Source: EC2 API, CreateVolume, KmsKeyId; the state is UNVERIFIED.
//   - Encryption by default is off.
//   - AttachVolume needs an available volume, an instance that is running or stopped, and one zone; DetachVolume takes a root volume from a stopped
//     instance only. DeleteVolume of an attached volume is refused with VolumeInUse. Source: EC2 API, the operations and "Error codes".
//   - An instance takes 27 volumes, else AttachVolume is refused with AttachmentLimitExceeded; DescribeInstanceTypes tells that of any type, and nothing
//     else. With AWS the figure depends on the type and on what else is attached. RunInstances is not held to it.
//   - StopInstances, also with Hibernate, which the instance's StateReason then tells, and StartInstances; what is so already stays so. An instance
//     without a root volume does not start: the code IncorrectState is as users report it. That the code of StateReason stays while the instance is
//     stopped: UNVERIFIED.
//   - RunInstances takes any well-formed image id and gives the instance a root volume at /dev/xvda, by default of 8 GiB and type gp2, and a
//     volume for every block device mapping. Volumes are deleted with their instance unless DeleteOnTermination is false; AttachVolume sets it
//     to false. A terminated instance is listed for an hour.
//   - Durations are assumed: a volume 5 s, an instance 20 s, attaching 2 s, detaching 3 s, deleting a volume 2 s, terminating or
//     stopping 10 s, starting 20 s.
//
// Common
//   - Filters take 200 values, of which one must match, with the wildcards * (any characters) and ? (none or one). Source: EC2 User Guide, "Find
//     your Amazon EC2 resources". A filter without values is refused: UNVERIFIED.
//   - MaxResults is 5 to 1,000, more is taken for 1,000, and can not be combined with ids. Source: EC2 API, DescribeSnapshots in its older wording;
//     the newer one names no limits. Without it everything comes at once, unless World.SetPageLimit limits pages.
//   - A resource has 50 tags; keys have 128 characters and do not begin with aws:, values have 256. Source: EC2 User Guide, "Tag your resources".
//   - DryRun answers DryRunOperation with status 412, before the parameters are looked at more closely. Source: EC2 API.
//   - Each action has a token bucket of its own. Source: EC2 Developer Guide, "Request throttling". Lists without filter and pagination have
//     a smaller one, and lists by ids alone count among them: UNVERIFIED. RunInstances has AWS's general one for calls that write, not its
//     own. Throttled calls get RequestLimitExceeded with status 503.
//   - Parameters and filters that AWS has and the simulation has not fail with an error that names them.
//
// Sharing by call, restores from the Recycle Bin and the block-level calls are not simulated.
package ec2sim

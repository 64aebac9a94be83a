package ec2sim

import (
	"net/http"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// EC2 is a simulated EC2 with EBS. Make it with Service and give it to one awssim.World; its state is guarded by that World's lock.
type EC2 struct {
	regions map[string]*region
	quotas  Quotas
	seq     uint64
	sets    int
	tokens  map[tokenKey]tokenUse
	// archival and unarchival are how long moves between the tiers take in the median.
	archival, unarchival time.Duration
}

// Service makes a simulated EC2 with AWS's documented quotas.
func Service() *EC2 {
	return &EC2{regions: map[string]*region{}, quotas: DefaultQuotas(), tokens: map[tokenKey]tokenUse{}, archival: archivalTakes, unarchival: unarchiveTakes}
}

// Quotas are the limits that are not token buckets. A limit of 0 is no limit.
type Quotas struct {
	// SnapshotsPerRegion limits the snapshots that an account keeps in a Region. Beyond it: SnapshotLimitExceeded.
	SnapshotsPerRegion int
	// PendingSnapshots limits the pending snapshots of an account in a Region. Beyond it: PendingSnapshotLimitExceeded. It is no limit by
	// default, because public reports of a limit of 100 disagree on what it applies to.
	PendingSnapshots int
	// ConcurrentPerVolume limits the pending snapshots of one volume; ConcurrentPerHDD is that of volumes of the types st1 and sc1. Beyond
	// it: ConcurrentSnapshotLimitExceeded.
	ConcurrentPerVolume, ConcurrentPerHDD int
	// CopiesPerRegion limits the copies of snapshots that an account has in progress in a destination Region. Beyond it: ResourceLimitExceeded.
	CopiesPerRegion int
	// Archivals and Unarchivals limit the snapshots that an account is moving to the archive tier and back in a Region; beyond them:
	// ResourceLimitExceeded. ArchivedPerVolume limits the archived snapshots of a volume; beyond it: SnapshotLimitExceeded. Both codes are UNVERIFIED.
	Archivals, Unarchivals, ArchivedPerVolume int
	// VolumeInterval is the time that must lie between the creations of two snapshots of one volume; World.SetSpeed divides it. Sooner:
	// SnapshotCreationPerVolumeRateExceeded.
	VolumeInterval time.Duration
}

// DefaultQuotas gives AWS's documented defaults: 100,000 snapshots, 5 concurrent ones of a volume (1 for st1 and sc1), 15 seconds between two, 20
// copies in progress, 25 archivals and 5 restores from the archive, and 25 archived snapshots of a volume.
// Source: EBS User Guide, "Amazon EBS quotas"; EC2 API Reference, "Error codes".
func DefaultQuotas() Quotas {
	return Quotas{SnapshotsPerRegion: 100_000, ConcurrentPerVolume: 5, ConcurrentPerHDD: 1, CopiesPerRegion: 20, Archivals: 25, Unarchivals: 5, ArchivedPerVolume: 25,
		VolumeInterval: 15 * time.Second}
}

// region is one Region with the resources of all accounts in it. Indexes span accounts because a snapshot may be shared.
type region struct {
	snapshots table[*snapshot]
	volumes   table[*volume]
	instances table[*instance]
	images    table[*image]
	accounts  map[string]*account
}

// account is what is counted per account and Region.
type account struct {
	// live counts snapshots from their creation to the request to delete them.
	live int
	// pending holds the instants at which pending snapshots end.
	pending instants
	// bin is how long what is deleted lies in the Recycle Bin.
	bin time.Duration
	// copies holds the instants at which copies to this Region end.
	copies instants
}

func (s *EC2) in(name string) *region {
	g, ok := s.regions[name]
	if !ok {
		g = &region{
			snapshots: newTable[*snapshot]("snapshot-id"), volumes: newTable[*volume]("volume-id"),
			instances: newTable[*instance]("instance-id"), images: newTable[*image]("image-id"), accounts: map[string]*account{},
		}
		s.regions[name] = g
	}
	return g
}

func (g *region) account(id string) *account {
	a, ok := g.accounts[id]
	if !ok {
		a = &account{}
		g.accounts[id] = a
	}
	return a
}

// next numbers resources in the order of their creation, which is the order of lists and what a page's token points at.
func (s *EC2) next() uint64 {
	s.seq++
	return s.seq
}

// Definition describes the service to the World.
func (s *EC2) Definition() awssim.Definition {
	return awssim.Definition{
		ID: "EC2",
		Handlers: map[string]awssim.Handler{
			"RunInstances":                         awssim.Write(s.runInstances),
			"DescribeInstances":                    awssim.Read(s.describeInstances),
			"DescribeInstanceTypes":                awssim.Read(s.describeInstanceTypes),
			"TerminateInstances":                   awssim.Write(s.terminateInstances),
			"StopInstances":                        awssim.Write(s.stopInstances),
			"StartInstances":                       awssim.Write(s.startInstances),
			"CreateVolume":                         awssim.Write(s.createVolume),
			"AttachVolume":                         awssim.Write(s.attachVolume),
			"DetachVolume":                         awssim.Write(s.detachVolume),
			"DeleteVolume":                         awssim.Write(s.deleteVolume),
			"DescribeVolumes":                      awssim.Read(s.describeVolumes),
			"CreateSnapshot":                       awssim.Write(s.createSnapshot),
			"CreateSnapshots":                      awssim.Write(s.createSnapshots),
			"CopySnapshot":                         awssim.Write(s.copySnapshot),
			"ModifySnapshotTier":                   awssim.Write(s.modifySnapshotTier),
			"RestoreSnapshotTier":                  awssim.Write(s.restoreSnapshotTier),
			"LockSnapshot":                         awssim.Write(s.lockSnapshot),
			"UnlockSnapshot":                       awssim.Write(s.unlockSnapshot),
			"DescribeLockedSnapshots":              awssim.Read(s.describeLockedSnapshots),
			"EnableFastSnapshotRestores":           awssim.Write(s.enableFastSnapshotRestores),
			"DisableFastSnapshotRestores":          awssim.Write(s.disableFastSnapshotRestores),
			"DescribeFastSnapshotRestores":         awssim.Read(s.describeFastSnapshotRestores),
			"ListSnapshotsInRecycleBin":            awssim.Read(s.listSnapshotsInRecycleBin),
			"DescribeSnapshotTierStatus":           awssim.Read(s.describeSnapshotTierStatus),
			"DescribeSnapshots":                    awssim.Read(s.describeSnapshots),
			"DeleteSnapshot":                       awssim.Write(s.deleteSnapshot),
			"CreateTags":                           awssim.Write(s.createTags),
			"DeleteTags":                           awssim.Write(s.deleteTags),
			"DescribeTags":                         awssim.Read(s.describeTags),
			"RegisterImage":                        awssim.Write(s.registerImage),
			"CreateImage":                          awssim.Write(s.createImage),
			"CopyImage":                            awssim.Write(s.copyImage),
			"DisableImage":                         awssim.Write(s.disableImage),
			"EnableImage":                          awssim.Write(s.enableImage),
			"EnableImageDeprecation":               awssim.Write(s.enableImageDeprecation),
			"EnableImageDeregistrationProtection":  awssim.Write(s.enableImageProtection),
			"DisableImageDeregistrationProtection": awssim.Write(s.disableImageProtection),
			"DeregisterImage":                      awssim.Write(s.deregisterImage),
			"DescribeImages":                       awssim.Read(s.describeImages),
			"DescribeAvailabilityZones":            awssim.Read(s.describeAvailabilityZones),
			"DescribeRegions":                      awssim.Read(s.describeRegions),
		},
		Bucket:    bucket,
		Throttled: awssim.Error{Status: http.StatusServiceUnavailable, Code: "RequestLimitExceeded", Message: "Request limit exceeded."},
	}
}

// bucket names the token bucket of a call. Each action has its own. Source: EC2 Developer Guide, "Request throttling for the Amazon EC2 API".
func bucket(operation string, input any) awssim.Bucket {
	switch operation {
	case "CreateSnapshot", "CreateSnapshots", "DeleteSnapshot", "CreateVolume", "DeleteVolume", "DeregisterImage", "TerminateInstances":
		return awssim.Bucket{Name: operation, Capacity: 100, Refill: 5}
	case "CreateTags", "DeleteTags":
		return awssim.Bucket{Name: operation, Capacity: 100, Refill: 10}
	case "CopyImage":
		return awssim.Bucket{Name: operation, Capacity: 100, Refill: 1}
	case "DescribeRegions", "DescribeAvailabilityZones", "DescribeInstanceTypes":
		return awssim.Bucket{Name: operation, Capacity: 100, Refill: 20}
	}
	var filters []ec2types.Filter
	var size *int32
	var token *string
	switch in := input.(type) {
	case *awsec2.DescribeSnapshotsInput:
		filters, size, token = in.Filters, in.MaxResults, in.NextToken
	case *awsec2.DescribeVolumesInput:
		filters, size, token = in.Filters, in.MaxResults, in.NextToken
	case *awsec2.DescribeInstancesInput:
		filters, size, token = in.Filters, in.MaxResults, in.NextToken
	case *awsec2.DescribeImagesInput:
		filters, size, token = in.Filters, in.MaxResults, in.NextToken
	case *awsec2.DescribeTagsInput:
		filters, size, token = in.Filters, in.MaxResults, in.NextToken
	default:
		return awssim.Bucket{Name: operation, Capacity: 50, Refill: 5}
	}
	if len(filters) == 0 && size == nil && token == nil {
		return awssim.Bucket{Name: unfiltered[operation], Capacity: 50, Refill: 10}
	}
	return awssim.Bucket{Name: operation, Capacity: 100, Refill: 20}
}

// unfiltered names the smaller buckets of lists that are neither filtered nor paginated.
var unfiltered = map[string]string{
	"DescribeSnapshots": "DescribeSnapshots/unfiltered",
	"DescribeVolumes":   "DescribeVolumes/unfiltered",
	"DescribeInstances": "DescribeInstances/unfiltered",
	"DescribeImages":    "DescribeImages/unfiltered",
	"DescribeTags":      "DescribeTags/unfiltered",
}

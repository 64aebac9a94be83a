package ec2sim

import (
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// sharedWith is the index of snapshots by the accounts they were ever shared with.
const sharedWith = "(shared-with)"

func (s *EC2) describeSnapshots(r *awssim.Request, in *awsec2.DescribeSnapshotsInput) (*awsec2.DescribeSnapshotsOutput, error) {
	switch {
	case len(in.RestorableByUserIds) > 0:
		return nil, unsupported(r, "RestorableByUserIds")
	case aws.ToBool(in.DryRun):
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, snapshotFilters)
	if err != nil {
		return nil, err
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, len(in.SnapshotIds), "snapshotSet")
	if err != nil {
		return nil, err
	}
	t := &s.in(r.Region).snapshots
	for _, id := range in.SnapshotIds {
		if err := checkSnapshotID(id); err != nil {
			return nil, err
		}
		if p, ok := t.byID[id]; !ok || !p.seen(r) {
			return nil, noSnapshot(id)
		}
	}
	owners, err := ownersOf(r, in.OwnerIds)
	if err != nil {
		return nil, err
	}
	var from []*snapshot
	switch {
	case len(in.SnapshotIds) > 0:
		from = t.named(in.SnapshotIds)
	case len(owners) > 0:
		lists := make([][]*snapshot, len(owners))
		for i, o := range owners {
			lists[i] = t.index[indexKey{"owner-id", o}]
		}
		from = union(lists...)
	default:
		from = union(t.index[indexKey{"owner-id", r.Account}], t.index[indexKey{sharedWith, r.Account}], t.index[indexKey{sharedWith, everybody}])
	}
	if len(in.SnapshotIds) == 0 {
		from = t.narrow(from, filters, "snapshot-id", "volume-id", "owner-id")
	}
	page, next := take(r, from, w, func(p *snapshot) bool {
		if !p.open(r.Account) || !p.seen(r) || len(owners) > 0 && !slices.Contains(owners, p.owner) {
			return false
		}
		for i := range filters {
			if !p.match(&filters[i], r.Now) {
				return false
			}
		}
		return true
	})
	out := &awsec2.DescribeSnapshotsOutput{Snapshots: make([]ec2types.Snapshot, len(page)), NextToken: next}
	all := make([]cells, len(page))
	for i, p := range page {
		p.fill(&out.Snapshots[i], &all[i], r.Now)
	}
	return out, nil
}

// ownersOf resolves OwnerIds. Amazon owns nothing here, but naming it is right.
func ownersOf(r *awssim.Request, ids []string) ([]string, error) {
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		switch {
		case id == "self":
			list = append(list, r.Account)
		case id == "amazon" || len(id) == 12:
			list = append(list, id)
		default:
			return nil, awssim.Fail("InvalidUserID.Malformed", "Invalid user id: \"%s\"", id)
		}
	}
	return list, nil
}

// backupTag is on every snapshot that AWS Backup made.
const backupTag = "aws:backup:source-resource"

func (s *EC2) deleteSnapshot(r *awssim.Request, in *awsec2.DeleteSnapshotInput) (*awsec2.DeleteSnapshotOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	if in.SnapshotId == nil {
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter snapshotId")
	}
	if err := checkSnapshotID(*in.SnapshotId); err != nil {
		return nil, err
	}
	g := s.in(r.Region)
	p, ok := g.snapshots.own(r, *in.SnapshotId)
	if !ok {
		// A snapshot of another account that may be seen can not be deleted either.
		if p, ok := g.snapshots.byID[*in.SnapshotId]; ok && p.there(r.Now) && p.open(r.Account) {
			return nil, awssim.Fail("OperationNotPermitted", "The snapshot '%s' is owned by another account.", p.id)
		}
		return nil, noSnapshot(*in.SnapshotId)
	}
	for _, m := range g.images.index[indexKey{usesSnapshot, p.id}] {
		if m.there(r.Now) {
			return nil, awssim.Fail("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", p.id, m.id)
		}
	}
	if _, backup := p.tags.value(backupTag); backup {
		return nil, awssim.Fail("InvalidParameterValue", "This snapshot is managed by the AWS Backup service and cannot be deleted via EC2 APIs. If you wish to delete this snapshot, please do so via the Backup console.")
	}
	if state, held := p.holds(r.Now); held {
		return nil, awssim.Fail("OperationNotPermitted", "The snapshot '%s' is locked: %s", p.id, state)
	}
	if p.fast(r) {
		return nil, awssim.Fail("InvalidSnapshot.InUse", "The snapshot %s is currently in use by fast snapshot restore", p.id)
	}
	s.remove(r, p)
	return &awsec2.DeleteSnapshotOutput{}, nil
}

// remove deletes a snapshot: at once, or, while it is pending, when it would have completed.
func (s *EC2) remove(r *awssim.Request, p *snapshot) {
	if !p.deleted.IsZero() {
		return
	}
	p.deleted, p.gone = r.Now, r.Now
	if p.ready.After(r.Now) {
		p.gone = p.ready
	}
	a := s.in(r.Region).account(p.owner)
	a.live--
	if a.bin > 0 && p.failed == "" {
		p.binned = p.gone.Add(r.Scale(a.bin))
	}
}

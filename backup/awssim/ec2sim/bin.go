package ec2sim

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// SetRecycleBin has the snapshots that an account deletes in a Region from now on lie in the Recycle Bin for so long, as a retention rule of the service
// rbin for the whole Region does; 0 ends that.
func (s *EC2) SetRecycleBin(w *awssim.World, account, region string, keep time.Duration) {
	w.Do(account, region, func(*awssim.Request) { s.in(region).account(account).bin = keep })
}

// listSnapshotsInRecycleBin lists what was deleted and can be got back.
func (s *EC2) listSnapshotsInRecycleBin(r *awssim.Request, in *awsec2.ListSnapshotsInRecycleBinInput) (*awsec2.ListSnapshotsInRecycleBinOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, len(in.SnapshotIds), "snapshotId")
	if err != nil {
		return nil, err
	}
	t := &s.in(r.Region).snapshots
	from := t.index[indexKey{"owner-id", r.Account}]
	if len(in.SnapshotIds) > 0 {
		from = t.named(in.SnapshotIds)
	}
	page, next := take(r, from, w, func(p *snapshot) bool {
		return p.owner == r.Account && !p.there(r.Now) && r.Now.Before(p.binned)
	})
	out := &awsec2.ListSnapshotsInRecycleBinOutput{NextToken: next}
	for _, p := range page {
		out.Snapshots = append(out.Snapshots, ec2types.SnapshotRecycleBinInfo{SnapshotId: aws.String(p.id), VolumeId: aws.String(p.volume),
			Description: aws.String(p.description), RecycleBinEnterTime: aws.Time(stamp(p.gone)), RecycleBinExitTime: aws.Time(stamp(p.binned))})
	}
	return out, nil
}

package ebs

import (
	"context"
	"fmt"
	"strconv"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// members gives the snapshots of a recovery point, as far as they are visible.
func (s *Strategy) members(ctx context.Context, c *awsec2.Client, point backup.Ref) ([]ec2types.Snapshot, error) {
	f := filter("snapshot-id", point.ID)
	if point.Type == TypeSet {
		f = filter("tag:"+TagSet, point.ID)
	}
	return collect(snapshots(ctx, c, point, f))
}

// planned gives the number of members that a set was made to have, as far as any of them tells.
func planned(members []ec2types.Snapshot) (n int) {
	for _, x := range members {
		if m, err := strconv.Atoi(tagMap(x.Tags)[TagMembers]); err == nil {
			n = max(n, m)
		}
	}
	return n
}

// short reports whether fewer members are visible than the set was made with.
func short(point backup.Ref, members []ec2types.Snapshot) bool {
	return point.Type == TypeSet && len(members) > 0 && len(uniqueCopies(members)) < planned(members)
}

// gather gives the members of the Operation's recovery point when all of them are visible. lost is since when they are not: a listing may lag, so that is
// waited for during the settle window. After it a set that is short is taken as it is, with a finding where a word says what is done with those that
// are there; nothing at all ends the Operation. The answer is empty while it waits, and when the Operation has ended; lost is to be kept then.
func (s *Strategy) gather(ctx context.Context, c *awsec2.Client, op *backup.Operation, lost *time.Time, done string) ([]ec2types.Snapshot, error) {
	members, err := s.members(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if len(members) > 0 && !short(op.Ref, members) {
		*lost = time.Time{}
		return members, nil
	}
	if lost.IsZero() {
		*lost = time.Now().UTC().Round(0)
	}
	switch {
	case time.Since(*lost) < s.opts.Settle:
		s.wait(op)
		return nil, nil
	case len(members) == 0:
		op.Fail(failure(*op, string(op.Action), backup.ErrNotFound, "check the id, the account and the Region; it may have been deleted", "no such recovery point"))
		return nil, nil
	case done != "":
		op.Find(backup.Finding{ID: "ebs.short-set", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: fmt.Sprintf("%d members of the set were found, fewer than it was made with; those are %s", len(members), done)})
	}
	return members, nil
}

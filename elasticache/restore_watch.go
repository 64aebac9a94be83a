package elasticache

import (
	"context"
	"strings"
	"time"

	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
)

// watchTarget looks at the new group or cluster until it can be used.
func (s *Strategy) watchTarget(ctx context.Context, c *awselasticache.Client, op backup.Operation, st restoreState) (backup.Operation, error) {
	x, err := s.newTarget(ctx, c, op.Ref, st)
	if err != nil {
		return op, err
	}
	again := func() (backup.Operation, error) {
		s.wait(&op)
		return op, op.SetState(st)
	}
	target := st.Options.ref(op.Ref)
	if x == nil {
		st.Good = 0
		if s.lost(&st.Lost) {
			op.Fail(failure(op, "restore", backup.ErrFailed, "find out who deleted it, and restore again with another token", "%s has disappeared", target))
			return op, nil
		}
		return again()
	}
	st.Lost = time.Time{}
	switch x.status {
	case "available":
	case "create-failed", "restore-failed", "incompatible-network":
		op.Fail(failure(op, "restore", backup.ErrFailed, "delete what is listed in Made; restore with a node type that holds the data, or look at the events of the Region (DescribeEvents)",
			"%s is %s", target, x.status))
		return op, nil
	case "deleting", "deleted":
		op.Fail(failure(op, "restore", backup.ErrFailed, "find out who deletes it, and restore again with another token", "%s is being deleted by somebody else", target))
		return op, nil
	default:
		st.Creating = st.Creating || x.status == "creating"
		st.Good = 0
		known := groupStatuses
		switch st.Options.As {
		case AsCluster:
			known = clusterStatuses
		case asServerless:
			known = serverlessStatuses
		}
		for _, f := range unknownStatus(target, x.status, known) {
			op.Find(f)
		}
		return again()
	}
	st.Good++
	if !st.Creating && st.Good < 2 || !x.whole {
		return again()
	}
	tags, readable, err := s.tags(ctx, c, op.Ref, x.arn)
	if err != nil {
		return op, err
	}
	if !readable {
		return again()
	}
	if tags[backup.TagToken] != op.ID {
		op.Fail(failure(op, "restore", backup.ErrConflict, "look at what is listed in Made", "%s is not provably what was made for this work: its tags were changed, or it was deleted and another has its id", target))
		return op, nil
	}
	var bad []string
	unseen := ""
	if st.Serverless != nil {
		bad = st.Serverless.exposure(x.serverless)
	} else if bad, unseen, err = s.exposure(ctx, c, op.Ref, st.Options, x); err != nil {
		return op, err
	}
	if len(bad) == 0 && unseen != "" {
		if !s.lost(&st.Unseen) {
			return again()
		}
		op.Find(backup.Finding{ID: "elasticache.unseen-member", Severity: backup.SeverityWarning, Ref: target,
			Message: "the member " + unseen + " can not be seen, so that its security groups and subnets could not be compared with what was asked for",
			Remedy:  "look at it before it is used"})
	}
	unlike := st.unlike(x)
	if len(bad) == 0 && len(unlike) > 0 {
		// Some of it comes after the group is available, and one answer may be an old one.
		if !s.lost(&st.Unlike) {
			return again()
		}
		op.Find(notAsAsked(target, unlike))
	}
	op.Endpoints = x.endpoints
	if len(bad) > 0 {
		op.Fail(failure(op, "restore", backup.ErrFailed, "somebody changed it, or ElastiCache did: modify or delete what is listed in Made before it is used",
			"%s is not as it was asked for: %s", target, strings.Join(bad, "; ")))
		return op, nil
	}
	op.Succeed()
	return op, nil
}

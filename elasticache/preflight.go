package elasticache

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
)

// Preflight reads what op would act on and says what is in the way: a source that does not exist, is busy or has no snapshots; a name that is
// taken; the quota of 20 manual snapshots of a node in 24 hours; a snapshot that can not be copied, can not be restored as asked or must not be deleted; an
// unknown subnet group; tags that may not be read, without which no Operation ends well; a restore that everybody on its network can use. Whether the caller may make the call itself, and whether a key can be used, only the call shows.
func (s *Strategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	var found []backup.Finding
	switch op.Action {
	case backup.ActionBackup:
		var st backupState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		found, err = s.preflightBackup(ctx, c, op, st)
	case backup.ActionCopy:
		var st backupState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		found, err = s.preflightCopy(ctx, c, op, st)
	case ActionRebuild:
		var st rebuildState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		found, err = s.preflightRebuild(ctx, c, op, st)
	case ActionAutomaticBackups:
		var st automaticState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		found, err = s.preflightAutomatic(ctx, c, op, st)
	case backup.ActionRestore:
		var st restoreState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		found, err = s.preflightRestore(ctx, c, op, st)
	case backup.ActionDelete:
		var st deleteState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		found, err = s.preflightDelete(ctx, c, op, st)
	default:
		return nil, failure(op, string(op.Action), backup.ErrUnsupported, "", "this strategy has no such action")
	}
	if err != nil {
		if !permanent(err) && backup.CodeOf(err) != backup.ErrDenied {
			return nil, err
		}
		found = append(found, problem(op, strings.TrimPrefix(string(op.Action), Kind+".")+"-refused", err.Error(), backup.HintOf(err)))
	}
	slices.SortStableFunc(found, func(a, b backup.Finding) int { return cmp.Compare(weight(a), weight(b)) })
	return found, nil
}

func weight(f backup.Finding) int {
	return slices.Index([]backup.Severity{backup.SeverityError, backup.SeverityWarning, backup.SeverityInfo}, f.Severity)
}

func problem(op backup.Operation, id, message, remedy string) backup.Finding {
	return backup.Finding{ID: "elasticache." + id, Severity: backup.SeverityError, Ref: op.Ref, Message: message, Remedy: remedy}
}

// snapshotsPerDay is how many manual snapshots of a node AWS makes in any 24 hours. Source: ElastiCache User Guide, "Backups".
const snapshotsPerDay = 20

func (s *Strategy) preflightBackup(ctx context.Context, c *awselasticache.Client, op backup.Operation, st backupState) ([]backup.Finding, error) {
	t, err := s.target(ctx, c, op.Ref, st.Primary)
	if err != nil {
		return nil, err
	}
	found := t.findings
	if t.notYet != "" {
		found = append(found, backup.Finding{ID: "elasticache.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: t.notYet, Remedy: "the backup waits for it"})
	}
	if found, err = s.nameTaken(ctx, c, op, st.Name, found); err != nil {
		return found, err
	}
	// Without the tags nobody can tell whose a snapshot is, and the backup could not end. Those of the source can be read before there is one.
	if _, _, err := s.tags(ctx, c, op.Ref, t.arn); err != nil {
		return found, err
	}
	if t.notYet != "" {
		return found, nil
	}
	if serverless(op.Ref) {
		return s.serverlessQuota(ctx, c, op, found)
	}
	in := &awselasticache.DescribeSnapshotsInput{SnapshotSource: aws.String("user"), MaxRecords: aws.Int32(snapshotPage)}
	if t.group != "" {
		in.ReplicationGroupId = &t.group
	} else {
		in.CacheClusterId = &t.cluster
	}
	recent := 0
	for {
		out, err := c.DescribeSnapshots(ctx, in, s.listing)
		if err != nil {
			return found, table.Wrap(Kind, "DescribeSnapshots", op.Ref, err)
		}
		for i := range out.Snapshots {
			if t := created(&out.Snapshots[i]); time.Since(t) < 24*time.Hour {
				recent++
			}
		}
		if aws.ToString(out.Marker) == "" {
			break
		}
		in.Marker = out.Marker
	}
	if recent >= snapshotsPerDay {
		found = append(found, problem(op, "quota", fmt.Sprintf("%d manual snapshots of the node were made in the last 24 hours, and AWS makes %d", recent, snapshotsPerDay),
			"wait, or back up less often"))
	}
	return found, nil
}

// nameTaken finds another snapshot that has the name already.
func (s *Strategy) nameTaken(ctx context.Context, c *awselasticache.Client, op backup.Operation, name string, found []backup.Finding) ([]backup.Finding, error) {
	x, err := s.snapshot(ctx, c, op.Ref, name)
	if x == nil || err != nil {
		return found, err
	}
	tags, readable, err := s.tags(ctx, c, op.Ref, snapshotARN(x, op.Ref))
	if err == nil && readable && tags[backup.TagToken] != op.ID {
		found = append(found, problem(op, "name-taken", "another snapshot has the name "+name, "choose another Spec.Name, or leave it empty"))
	}
	return found, err
}

// serverlessPerDay is how many manual snapshots of a serverless cache AWS makes in any 24 hours. Source: ElastiCache User Guide, "Backup constraints".
const serverlessPerDay = 24

func (s *Strategy) serverlessQuota(ctx context.Context, c *awselasticache.Client, op backup.Operation, found []backup.Finding) ([]backup.Finding, error) {
	recent := 0
	for x, err := range s.serverlessSnapshots(ctx, c, op.Ref, &op.Ref.ID) {
		if err != nil {
			return found, err
		}
		if !automated(x) && time.Since(created(x)) < 24*time.Hour {
			recent++
		}
	}
	if recent >= serverlessPerDay {
		found = append(found, problem(op, "quota", fmt.Sprintf("%d manual snapshots of the cache were made in the last 24 hours, and AWS makes %d", recent, serverlessPerDay),
			"wait, or back up less often"))
	}
	return found, nil
}

func (s *Strategy) preflightRestore(ctx context.Context, c *awselasticache.Client, op backup.Operation, st restoreState) ([]backup.Finding, error) {
	if st.Seed != nil {
		return s.preflightTarget(ctx, c, op, st.Options, openAccess(op, st.Options))
	}
	x, tags, _, err := s.point(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return []backup.Finding{notVisible(op)}, nil
	}
	if err := notRestorable(op.Ref, x); err != nil {
		return nil, err
	}
	var found []backup.Finding
	if status := word(x.SnapshotStatus); status != "available" {
		found = append(found, backup.Finding{ID: "elasticache.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the snapshot is " + status, Remedy: "the restore waits for it"})
	}
	if st.Serverless == nil {
		found = append(found, openAccess(op, st.Options)...)
	} else if st.Serverless.UserGroup == "" {
		found = append(found, backup.Finding{ID: "elasticache.open-access", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: "whoever reaches the restored cache can read it without a password; a snapshot does not tell whether its source allowed that", Remedy: "set ServerlessOptions.UserGroup"})
	}
	o, err := st.settle(op.Ref, x, tags)
	if err != nil {
		return found, err
	}
	return s.preflightTarget(ctx, c, op, o, found)
}

// openAccess warns of what anybody on the network could read.
func openAccess(op backup.Operation, o RestoreOptions) []backup.Finding {
	if o.TransitMode == TransitPreferred {
		return []backup.Finding{{ID: "elasticache.open-access", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: "clients may connect to the restored nodes in the clear and without a password", Remedy: "use TransitRequired as soon as all clients use TLS"}}
	}
	if o.TransitEncryption || len(o.UserGroups) > 0 {
		return nil
	}
	return []backup.Finding{{ID: "elasticache.open-access", Severity: backup.SeverityWarning, Ref: op.Ref,
		Message: "whoever reaches the restored nodes can read them without a password, and on the network in the clear; a snapshot does not tell whether its source allowed that",
		Remedy:  "set RestoreOptions.TransitEncryption, and UserGroups or AuthToken"}}
}

// preflightTarget looks at what the new group or cluster needs.
func (s *Strategy) preflightTarget(ctx context.Context, c *awselasticache.Client, op backup.Operation, o RestoreOptions, found []backup.Finding) ([]backup.Finding, error) {
	found = append(found, nodeQuota(op, o)...)
	have, err := s.restored(ctx, c, op.Ref, o)
	if err != nil {
		return found, err
	}
	if have != nil {
		tags, readable, err := s.tags(ctx, c, op.Ref, have.arn)
		if err != nil {
			return found, err
		}
		if !readable || tags[backup.TagToken] != op.ID {
			found = append(found, problem(op, "id-taken", o.ref(op.Ref).String()+" exists", "choose another id; nothing that exists is ever overwritten"))
		}
	}
	if o.SubnetGroup != "" {
		_, err := c.DescribeCacheSubnetGroups(ctx, &awselasticache.DescribeCacheSubnetGroupsInput{CacheSubnetGroupName: &o.SubnetGroup})
		if err != nil {
			return found, table.Wrap(Kind, "DescribeCacheSubnetGroups", op.Ref, err)
		}
	}
	return found, nil
}

func (s *Strategy) preflightDelete(ctx context.Context, c *awselasticache.Client, op backup.Operation, st deleteState) ([]backup.Finding, error) {
	x, tags, readable, err := s.point(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if x == nil {
		return []backup.Finding{notVisible(op)}, nil
	}
	if !readable {
		return []backup.Finding{{ID: "elasticache.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the snapshot's tags can not be read yet", Remedy: "the deletion waits for them"}}, nil
	}
	if err := s.mayDelete(op, st, x, tags); err != nil {
		return nil, err
	}
	if status := word(x.SnapshotStatus); status != "available" && status != "failed" {
		return []backup.Finding{{ID: "elasticache.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the snapshot is " + status, Remedy: "the deletion waits for it"}}, nil
	}
	return nil, nil
}

func notVisible(op backup.Operation) backup.Finding {
	return problem(op, "not-found", "no such snapshot is visible", "check the name, the account and the Region; something new may take minutes to be visible")
}

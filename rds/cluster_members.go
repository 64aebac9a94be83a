package rds

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// stepMembers makes the instances of a restored Aurora cluster, one call after the other, and ends the restore when the cluster and all of them are
// available.
func (s *Strategy) stepMembers(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	if op.Stage == stageMemberPark {
		return s.parked(op, stageMembers), nil
	}
	if st.Made >= len(st.Options.Instances) {
		return s.watchMembers(ctx, c, op, st)
	}
	switch op.Stage {
	case stageMembers:
		if st.MemberArmed > 0 {
			// An earlier send may have worked after all.
			if next, ok, err := s.adoptMember(ctx, c, op, &st); ok || err != nil {
				return next, err
			}
		}
		st.MemberArmed++
		op.To(stageMember, "CreateDBInstance")
		return op, op.SetState(st)
	case stageMember:
		switch op.Intent() {
		case backup.Send:
			return s.createMember(ctx, c, op, st)
		case backup.LookOnce:
			if next, ok, err := s.adoptMember(ctx, c, op, &st); ok || err != nil {
				return next, err
			}
			return s.createMember(ctx, c, op, st)
		case backup.Settle:
			op.Settle(stageMemberSettle)
		}
		return op, nil
	}
	next, ok, err := s.adoptMember(ctx, c, op, &st)
	if ok || err != nil {
		return next, err
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	return s.unsettled(op, stageMembers, st.Taken, st.member(op.Ref), "ID in RestoreClusterOptions.Instances"), nil
}

// member names the next instance.
func (st clusterRestoreState) member(r backup.Ref) backup.Ref {
	return Instance(r.Account, r.Region, st.Options.Instances[st.Made].ID)
}

// createMember makes the next instance. Security groups, subnet group, storage and encryption are the cluster's.
func (s *Strategy) createMember(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	i := st.Options.Instances[st.Made]
	_, err := c.CreateDBInstance(ctx, &awsrds.CreateDBInstanceInput{
		DBInstanceIdentifier: &i.ID, DBClusterIdentifier: &st.Options.ID, Engine: &st.Engine, DBInstanceClass: &i.Class, AvailabilityZone: optional(i.Zone),
		DBParameterGroupName: optional(i.ParameterGroup), PubliclyAccessible: &st.Options.PubliclyAccessible, Tags: tagList(op.OwnTags(op.Ref)),
	}, s.sending)
	if err != nil {
		next, err := s.refused(op, err, "DBInstanceAlreadyExists", &st.MemberArmed, &st.Taken)
		if err != nil {
			return next, err
		}
		return memberStage(next), next.SetState(st)
	}
	return s.tookMember(op, st)
}

// memberStage is where an instance goes on instead of a cluster.
func memberStage(op backup.Operation) backup.Operation {
	switch op.Stage {
	case stageSettle:
		op.Stage = stageMemberSettle
	case stagePark:
		op.Stage = stageMemberPark
	}
	return op
}

// adoptMember takes over the instance of the next identifier if it is provably this Operation's, and in its cluster.
func (s *Strategy) adoptMember(ctx context.Context, c *awsrds.Client, op backup.Operation, st *clusterRestoreState) (backup.Operation, bool, error) {
	r := st.member(op.Ref)
	x, err := s.instance(ctx, c, op.Ref, r.ID)
	if x == nil || err != nil {
		return op, false, err
	}
	mine := ours(op, x.TagList) && policy.CanonicalName(aws.ToString(x.DBClusterIdentifier)) == st.Options.ID
	if !mine && aws.ToString(x.DBInstanceStatus) == "deleting" {
		st.Taken = false
		next, ok := s.freed(op, r)
		return memberStage(next), ok, nil
	}
	if !mine {
		op.Fail(failure(op, backup.ErrConflict, "restore again with another token and other identifiers, and delete what is listed in Made: nothing that exists is ever overwritten",
			"the instance %s was not made by this operation", r.ID))
		return op, true, nil
	}
	next, err := s.tookMember(op, *st)
	return next, err == nil, err
}

// tookMember lists the instance and goes on to the next one.
func (s *Strategy) tookMember(op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	op.AddMade(st.member(op.Ref))
	st.Made++
	st.MemberArmed, st.Taken, st.Lost = 0, false, time.Time{}
	op.To(stageMembers, "")
	if st.Made == len(st.Options.Instances) {
		s.wait(&op)
	}
	return op, op.SetState(st)
}

// watchMembers ends the restore when the cluster and its instances are available and as they were asked for.
func (s *Strategy) watchMembers(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (backup.Operation, error) {
	x, next, err := s.readyCluster(ctx, c, op, &st)
	if x == nil || err != nil {
		return next, err
	}
	all, err := s.membersOf(ctx, c, op.Ref, st.Options.ID)
	if err != nil {
		return op, err
	}
	s.wait(&op)
	ready, bad := true, st.exposure(x)
	for _, want := range st.Options.Instances {
		r := Instance(op.Ref.Account, op.Ref.Region, want.ID)
		k := slices.IndexFunc(all, func(i rdstypes.DBInstance) bool {
			return policy.CanonicalName(aws.ToString(i.DBInstanceIdentifier)) == want.ID
		})
		if k < 0 || !ours(op, all[k].TagList) {
			if s.absent(&st.Lost) {
				op.Fail(failure(op, backup.ErrFailed, "restore again with another token, and delete what is listed in Made",
					"the instance %s of the cluster %s has disappeared: somebody else deleted or replaced it", want.ID, st.Options.ID))
				return op, nil
			}
			return op, op.SetState(st)
		}
		i := &all[k]
		word := aws.ToString(i.DBInstanceStatus)
		switch instanceStateOf(word) {
		case instanceReady:
			ready = ready && i.Endpoint != nil
			if aws.ToBool(i.PubliclyAccessible) && !st.Options.PubliclyAccessible {
				bad = append(bad, "the instance "+want.ID+" is publicly accessible")
			}
		case instanceBroken:
			op.Fail(failure(op, backup.ErrFailed, explained(word)+"; delete what is listed in Made before you restore again", "the instance %s is %s", want.ID, word))
			return op, nil
		default:
			ready = false
			if word != "creating" {
				op.Find(waitedFor(r, word))
			}
		}
	}
	if !st.Lost.IsZero() {
		st.Lost = time.Time{}
		if err := op.SetState(st); err != nil {
			return op, err
		}
	}
	switch {
	case len(bad) > 0:
		op.Fail(exposed(op, st.Options.ID, bad))
	case ready && aws.ToString(x.Endpoint) != "":
		op.Endpoints = clusterEndpoints(st.Options, x, all)
		op.Succeed()
	}
	return op, nil
}

// clusterEndpoints are where a cluster answers: the writer, the readers, and the instances that were made for it.
func clusterEndpoints(o RestoreClusterOptions, x *rdstypes.DBCluster, all []rdstypes.DBInstance) []backup.Endpoint {
	port := aws.ToInt32(x.Port)
	list := []backup.Endpoint{{ID: o.ID, Host: aws.ToString(x.Endpoint), Port: port, Role: "primary"}}
	if host := aws.ToString(x.ReaderEndpoint); host != "" {
		list = append(list, backup.Endpoint{ID: o.ID, Host: host, Port: port, Role: "reader"})
	}
	for _, want := range o.Instances {
		for _, i := range all {
			if policy.CanonicalName(aws.ToString(i.DBInstanceIdentifier)) == want.ID && i.Endpoint != nil {
				list = append(list, backup.Endpoint{ID: want.ID, Host: aws.ToString(i.Endpoint.Address), Port: aws.ToInt32(i.Endpoint.Port), Role: "node"})
			}
		}
	}
	return list
}

// membersOf gives the visible instances of a cluster.
func (s *Strategy) membersOf(ctx context.Context, c *awsrds.Client, r backup.Ref, cluster string) (all []rdstypes.DBInstance, err error) {
	in := &awsrds.DescribeDBInstancesInput{Filters: []rdstypes.Filter{{Name: aws.String("db-cluster-id"), Values: []string{cluster}}}, MaxRecords: aws.Int32(pageSize)}
	for {
		out, err := c.DescribeDBInstances(ctx, in)
		if err != nil {
			return nil, table.Wrap(Kind, "DescribeDBInstances", r, err)
		}
		for i := range out.DBInstances {
			if err := here(r, aws.ToString(out.DBInstances[i].DBInstanceArn)); err != nil {
				return nil, err
			}
		}
		if all = append(all, out.DBInstances...); aws.ToString(out.Marker) == "" {
			return all, nil
		}
		in.Marker = out.Marker
	}
}

func (s *Strategy) preflightClusterRestore(ctx context.Context, c *awsrds.Client, op backup.Operation) (found []backup.Finding, err error) {
	var st clusterRestoreState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	p, err := s.clusterSnapshot(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	found = append(found, restorable(op.Ref, p)...)
	if p != nil {
		if refused := st.Options.fits(op, p.engine, p.mode); refused != nil {
			found = append(found, refusal("rds.restore-refused", op.Ref, refused))
		}
		if !p.encrypted && st.Options.KMSKeyID == "" {
			found = append(found, backup.Finding{ID: "rds.unencrypted", Severity: backup.SeverityWarning, Ref: st.cluster(op.Ref), Message: "the new cluster will not be encrypted",
				Remedy: "set RestoreClusterOptions.KMSKeyID"})
		}
	}
	more, err := s.preflightClusterTarget(ctx, c, op, st)
	return append(found, more...), err
}

// preflightClusterTarget says what is in the way of the new cluster and its instances.
func (s *Strategy) preflightClusterTarget(ctx context.Context, c *awsrds.Client, op backup.Operation, st clusterRestoreState) (found []backup.Finding, err error) {
	o, target := st.Options, st.cluster(op.Ref)
	taken := func(r backup.Ref, tags []rdstypes.Tag, field string) {
		if !ours(op, tags) {
			found = append(found, backup.Finding{ID: "rds.name-taken", Severity: backup.SeverityError, Ref: r,
				Message: "this identifier exists and was not made by this operation", Remedy: "choose another " + field})
		}
	}
	x, err := s.lookCluster(ctx, c, op.Ref, o.ID)
	if err != nil {
		return nil, err
	}
	if x != nil {
		taken(target, x.TagList, "RestoreClusterOptions.ID")
	}
	for _, i := range o.Instances {
		x, err := s.instance(ctx, c, op.Ref, i.ID)
		if err != nil {
			return nil, err
		}
		if x != nil {
			taken(Instance(op.Ref.Account, op.Ref.Region, i.ID), x.TagList, "ID in RestoreClusterOptions.Instances")
		}
	}
	missing, err := s.subnetGroup(ctx, c, target, o.SubnetGroup)
	if err != nil {
		return nil, err
	}
	found = append(found, missing...)
	if o.PubliclyAccessible {
		found = append(found, backup.Finding{ID: "rds.public", Severity: backup.SeverityWarning, Ref: target, Message: "the new cluster's instances will have public addresses",
			Remedy: "leave RestoreClusterOptions.PubliclyAccessible false"})
	}
	if o.ParameterGroup == "" {
		found = append(found, backup.Finding{ID: "rds.default-parameters", Severity: backup.SeverityInfo, Ref: target,
			Message: "the new cluster will have the engine's default parameter group, and not that of the source", Remedy: "set RestoreClusterOptions.ParameterGroup"})
	}
	return found, nil
}

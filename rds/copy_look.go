package rds

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// groupFinder gives an option group, or why a copy is refused.
type groupFinder func(ctx context.Context, to *awsrds.Client, op backup.Operation, st copyState, x *snap) (group string, refused, err error)

// optionGroup gives the option group that the copy of an instance's snapshot is to have, empty where RDS keeps the snapshot's, or why the copy is
// refused. What the options do is not compared: a group of the same name and engine is taken for the same.
func (s *Strategy) optionGroup(ctx context.Context, to *awsrds.Client, op backup.Operation, st copyState, x *snap) (group string, refused, err error) {
	want := st.Group
	if want == "" {
		if !st.crossed(op) || x.group == "" || strings.HasPrefix(x.group, "default") {
			return "", nil, nil
		}
		want = policy.CanonicalName(x.group)
	}
	missing := func(why string) error {
		return failure(op, backup.ErrInvalid, "make an option group with the same options in "+st.To.Region+", with that name or one that you give in CopyOptions.OptionGroup",
			"the snapshot has the option group %q, and the option group %q %s", x.group, want, why)
	}
	out, err := s.optionGroups(ctx, to, want)
	if err != nil {
		if v := table.Classify(err); v.AWSCode == "OptionGroupNotFoundFault" {
			return want, missing("does not exist in the destination"), nil
		}
		return want, nil, table.Wrap(Kind, "DescribeOptionGroups", st.target(op.Ref), err)
	}
	for _, g := range out.OptionGroupsList {
		if policy.CanonicalName(aws.ToString(g.OptionGroupName)) != want {
			continue
		}
		if engine := aws.ToString(g.EngineName); engine != "" && engine != x.engine {
			return want, missing("of the destination is one of the engine " + engine), nil
		}
		return want, nil, nil
	}
	return want, missing("does not exist in the destination"), nil
}

func (s *Strategy) optionGroups(ctx context.Context, c *awsrds.Client, name string) (*awsrds.DescribeOptionGroupsOutput, error) {
	return c.DescribeOptionGroups(ctx, &awsrds.DescribeOptionGroupsInput{OptionGroupName: &name})
}

// fullCopy says that a copy will be full and not incremental, as far as that can be seen. Source: RDS User Guide, "Copying a DB snapshot",
// "Considerations for incremental snapshot copying"; Aurora User Guide, "Copying a DB cluster snapshot".
func (s *Strategy) fullCopy(ctx context.Context, to *awsrds.Client, op backup.Operation, st copyState, x *snap, page pager) ([]backup.Finding, error) {
	full := func(why string) []backup.Finding {
		return []backup.Finding{{ID: "rds.full-copy", Severity: backup.SeverityWarning, Ref: st.target(op.Ref), Message: "the copy will be full and not incremental: " + why,
			Remedy: "it takes longer, and costs as much as the whole snapshot"}}
	}
	switch {
	case x.cluster:
		f := full("copies of Aurora snapshots always are")
		f[0].Severity = backup.SeverityInfo
		return f, nil
	case ownCopy(op.Ref, x) || x.origin != "":
		return full("the snapshot is itself a copy"), nil
	case st.To.KMSKeyID != "" && st.To.KMSKeyID != x.key && !st.crossed(op):
		return full("it has another key than the snapshot"), nil
	case !st.crossed(op):
		return nil, nil
	}
	target := st.target(op.Ref)
	var marker *string
	for {
		all, next, err := page(ctx, to, target, nil, x.of, marker)
		if err != nil && backup.CodeOf(err) != backup.ErrNotFound { // the instance is not in that Region
			return nil, err
		}
		for _, p := range all {
			good, _ := status(p.word)
			if good == backup.StatusAvailable && p.resource == x.resource && (st.To.KMSKeyID == "" || p.key == st.To.KMSKeyID) {
				return nil, nil
			}
		}
		if marker = next; aws.ToString(marker) == "" {
			return full("no earlier copy of the instance with that key is in " + st.To.Region), nil
		}
	}
}

// notes are what the caller may not expect of a copy.
func (st copyState) notes(op backup.Operation, x *snap) (found []backup.Finding) {
	note := func(id string, severity backup.Severity, message, remedy string) {
		found = append(found, backup.Finding{ID: id, Severity: severity, Ref: st.target(op.Ref), Message: message, Remedy: remedy})
	}
	if !x.encrypted && st.To.KMSKeyID == "" {
		note("rds.unencrypted", backup.SeverityWarning, "the copy will not be encrypted, as the snapshot is not", "name a key in Destination.KMSKeyID, for a snapshot of an instance")
	}
	if x.encrypted && st.To.KMSKeyID == "" && st.crossed(op) {
		note("rds.default-key", backup.SeverityWarning, "the copy will be encrypted under the destination's default key for RDS, and can not be shared with another account",
			"name a key in Destination.KMSKeyID")
	}
	if st.Group != "" && !ofCluster(op.Ref) && st.crossed(op) {
		note("rds.option-group", backup.SeverityInfo, "the copy will have the option group "+st.Group+" of "+st.To.Region, "compare its options with those of the snapshot's group")
	}
	return found
}

// preflightCopy looks at what a copy would act on.
func (s *Strategy) preflightCopy(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightCopies(ctx, c, op, s.snapshot, s.snapshotPage, s.optionGroup)
}

func (s *Strategy) preflightClusterCopy(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightCopies(ctx, c, op, s.clusterSnapshot, s.clusterSnapshotPage, nil)
}

func (s *Strategy) preflightCopies(ctx context.Context, c *awsrds.Client, op backup.Operation, find finder, page pager, choose groupFinder) (found []backup.Finding, err error) {
	var st copyState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	to, err := s.client(ctx, st.target(op.Ref))
	if err != nil {
		return nil, err
	}
	if err := s.mayGo(op, st.To); err != nil {
		found = append(found, refusal("rds.copy-refused", op.Ref, err))
	}
	x, err := find(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	found = append(found, restorable(op.Ref, x)...)
	if err := s.keyUsable(ctx, op, st); err != nil {
		found = append(found, refusal("rds.key", st.target(op.Ref), err))
	}
	target := st.target(op.Ref)
	p, err := find(ctx, to, target, target.ID)
	if err != nil {
		return nil, err
	}
	if p != nil && st.foreign(op, p) != "" {
		found = append(found, backup.Finding{ID: "rds.name-taken", Severity: backup.SeverityError, Ref: target, Message: "a snapshot of this name exists and was not made by this operation",
			Remedy: "choose another Spec.Name, or leave it empty"})
	}
	if x == nil {
		return found, nil
	}
	if refused := st.mayCopy(op, x); refused != nil {
		found = append(found, refusal("rds.copy-refused", op.Ref, refused))
	}
	if choose != nil {
		group, refused, err := choose(ctx, to, op, st, x)
		if err != nil {
			return nil, err
		}
		if refused != nil {
			found = append(found, refusal("rds.option-group", op.Ref, refused))
		}
		st.Group = group
	}
	full, err := s.fullCopy(ctx, to, op, st, x, page)
	if err != nil {
		return nil, err
	}
	return append(append(found, full...), st.notes(op, x)...), nil
}

package ebs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

func cmpID(a, b ec2types.Snapshot) int {
	return strings.Compare(aws.ToString(a.SnapshotId), aws.ToString(b.SnapshotId))
}

// reserved reports whether a tag key is AWS's or this library's own.
func reserved(key string) bool {
	k := strings.ToLower(key)
	return strings.HasPrefix(k, "aws:") || strings.HasPrefix(k, backup.TagPrefix)
}

// sendCopy makes the one call that must never be made twice, for the next member. What is copied is looked at again on fresh data first.
func (s *Strategy) sendCopy(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	i := slices.Index(st.Copies, "")
	if i < 0 {
		return s.nextCopy(op, st)
	}
	if err := s.checkDestination(op, st.To); err != nil {
		return s.refuseCopy(op, st, err)
	}
	from, err := s.client(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	c, err := s.client(ctx, st.dest())
	if err != nil {
		return op, err
	}
	found, err := s.byID(ctx, from, op.Ref, st.Sources[i:i+1])
	if err != nil {
		return op, err
	}
	x, ok := found[st.Sources[i]]
	if !ok {
		return s.unseenCopy(op, st, failure(op, "copy", backup.ErrNotFound, "choose another recovery point", "snapshot %s has disappeared: somebody else deleted it", st.Sources[i]))
	}
	if x.State != ec2types.SnapshotStateCompleted {
		return s.refuseCopy(op, st, failure(op, "copy", backup.ErrUnsupported, "choose another recovery point", "snapshot %s is %s now", st.Sources[i], x.State))
	}
	if refused := archived(op, "copy", x); refused != nil {
		return s.refuseCopy(op, st, refused)
	}
	in := &awsec2.CopySnapshotInput{SourceRegion: &op.Ref.Region, SourceSnapshotId: &st.Sources[i], Description: x.Description,
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: tagList(s.copyTags(op, st, len(st.Sources), x))}}}
	if st.Options.Description != "" {
		in.Description = &st.Options.Description
	}
	if aws.ToString(in.Description) == "" {
		in.Description = nil
	}
	if st.To.KMSKeyID != "" {
		in.Encrypted, in.KmsKeyId = aws.Bool(true), &st.To.KMSKeyID
	}
	out, err := c.CopySnapshot(ctx, in, s.sending)
	if err == nil && aws.ToString(out.SnapshotId) == "" {
		err = &backup.Error{Op: op.Next, Kind: Kind, Ref: op.Ref, Code: backup.ErrUnavailable, Err: errText("the answer names no snapshot"), Hint: "it is looked for by its tags"}
		return op, err
	}
	if err != nil {
		v := table.Classify(err)
		failed := v.Error(Kind, op.Next, op.Ref, err)
		switch v.Class {
		case awscall.NotApplied:
			op.Unsent()
		case awscall.NotYet:
			st.Parks++
			op.To(stagePark, "")
			op.PollIn(s.park(st.Parks))
			op.Find(backup.Finding{ID: "ebs.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
			return op, op.SetState(st)
		case awscall.Permanent:
			if v.Code == backup.ErrNotFound {
				return s.unseenCopy(op, st, failed)
			}
			return s.refuseCopy(op, st, failed)
		}
		return op, failed
	}
	st.Copies[i], st.Parks = *out.SnapshotId, 0
	return s.nextCopy(op, st)
}

// unseenCopy waits for a snapshot that was seen before, here or by EC2 in the other Region, and refuses it when it has not been seen for long.
func (s *Strategy) unseenCopy(op backup.Operation, st copyState, err error) (backup.Operation, error) {
	if st.Lost.IsZero() {
		st.Lost = time.Now().UTC().Round(0)
	}
	if time.Since(st.Lost) >= s.opts.Settle {
		return s.refuseCopy(op, st, err)
	}
	op.Unsent() // nothing was sent, or it was refused
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// refuseCopy ends the copy, or, where some members are being copied already, goes on to wait for those.
func (s *Strategy) refuseCopy(op backup.Operation, st copyState, err error) (backup.Operation, error) {
	if len(st.made()) == 0 {
		op.Fail(err)
		return op, nil
	}
	x := op
	x.Fail(err)
	st.Refused = x.Failure
	return s.nextCopy(op, st)
}

// nextCopy lists what was made and goes on: to the next member, to waiting, or to undoing.
func (s *Strategy) nextCopy(op backup.Operation, st copyState) (backup.Operation, error) {
	st.Lost = time.Time{}
	if len(st.made()) > 0 {
		op.AddPoint(st.point())
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	switch {
	case op.Canceling:
		op.To(stageUndo, "DeleteSnapshot")
	case slices.Contains(st.Copies, "") && st.Refused == nil:
		op.To(stageCreate, "CopySnapshot")
	default:
		op.To(stageWait, "")
		s.wait(&op)
	}
	return op, nil
}

// copiesOf gives everything in the destination that carries the Operation's token.
func (s *Strategy) copiesOf(ctx context.Context, op backup.Operation, st copyState) ([]ec2types.Snapshot, error) {
	c, err := s.client(ctx, st.dest())
	if err != nil {
		return nil, err
	}
	return collect(snapshots(ctx, c, st.dest(), filter("tag:"+backup.TagToken, op.ID)))
}

// lookCopies takes over what an earlier send made for members that have no copy yet, the oldest of each. It reports whether the next member was
// among them, and then gives the Operation as it goes on.
func (s *Strategy) lookCopies(ctx context.Context, op backup.Operation, st *copyState) (backup.Operation, bool, error) {
	all, err := s.copiesOf(ctx, op, *st)
	if err != nil {
		return op, false, err
	}
	next := slices.Index(st.Copies, "")
	slices.SortStableFunc(all, func(a, b ec2types.Snapshot) int { return aws.ToTime(a.StartTime).Compare(aws.ToTime(b.StartTime)) })
	for _, x := range all {
		id, tags := aws.ToString(x.SnapshotId), tagMap(x.Tags)
		from, ok := parseSource(tags[TagCopyOf])
		i := slices.Index(st.Sources, from.ID)
		if !ok || i < 0 || tags[backup.TagToken] != op.ID || from != Snapshot(op.Ref.Account, op.Ref.Region, from.ID) || tags[TagRegion] != st.To.Region || st.Copies[i] != "" {
			continue
		}
		if !op.Unstored && x.StartTime != nil && x.StartTime.Before(op.Started.Add(-clockSkew)) {
			s.surplusCopies(&op, copyState{To: st.To}, all)
			op.Fail(failure(op, "adopt", backup.ErrConflict, "look at what is listed in Points, check this machine's clock, and start the work with another token",
				"copy %s carries this operation's token but is older than the operation", id))
			return op, true, nil
		}
		st.Copies[i] = id
	}
	if next < 0 || st.Copies[next] == "" {
		return op, false, op.SetState(*st)
	}
	op, err = s.nextCopy(op, *st)
	return op, true, err
}

// settleCopy looks for the result of a call that was perhaps sent, until it is found or the window has passed.
func (s *Strategy) settleCopy(ctx context.Context, op backup.Operation, st copyState) (backup.Operation, error) {
	st.Looks++
	over := time.Since(op.Since) >= s.opts.Settle && st.Looks > int(s.opts.Settle/s.opts.PollMax)
	next, found, err := s.lookCopies(ctx, op, &st)
	if err != nil || found {
		return next, err
	}
	if !over {
		s.wait(&op)
		return op, op.SetState(st)
	}
	switch {
	case op.Canceling && len(st.made()) > 0:
		return s.nextCopy(op, st)
	case op.Canceling:
		op.To(stageStop, "")
	default:
		op.To(stageCreate, "CopySnapshot")
	}
	return op, op.SetState(st)
}

// surplusCopies lists what carries the Operation's token beside its copies.
func (s *Strategy) surplusCopies(op *backup.Operation, st copyState, found []ec2types.Snapshot) {
	for _, x := range found {
		id, tags := aws.ToString(x.SnapshotId), tagMap(x.Tags)
		if slices.Contains(st.Copies, id) || tags[backup.TagToken] != op.ID || tags[TagRegion] != st.To.Region {
			continue
		}
		r := Snapshot(st.To.Account, st.To.Region, id)
		op.AddPoint(r)
		op.Find(backup.Finding{ID: "ebs.surplus", Severity: backup.SeverityWarning, Ref: r,
			Message: fmt.Sprintf("%s was made for the same work beside the recovery point", id), Remedy: "delete it"})
	}
}

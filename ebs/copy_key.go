package ebs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// keyTable classifies the errors of looking at a key. Source: KMS API, DescribeKey.
var keyTable = awscall.Table{
	"NotFoundException":   {{Code: backup.ErrNotFound, Class: awscall.Permanent, Hint: "give the ARN of a key that exists in the destination"}},
	"InvalidArnException": {{Code: backup.ErrInvalid, Class: awscall.Permanent, Hint: "give the ARN of a key in the destination"}},
}

// copyKey looks at the key of the destination, where one is named and there is somebody to ask.
func (s *Strategy) copyKey(ctx context.Context, op backup.Operation, st copyState) error {
	if st.To.KMSKeyID == "" || s.opts.DescribeKey == nil {
		return nil
	}
	state, err := s.opts.DescribeKey(ctx, st.To.Account, st.To.Region, st.To.KMSKeyID)
	if err != nil {
		return keyTable.Wrap(Kind, "DescribeKey", op.Ref, err)
	}
	if state != "Enabled" {
		return failure(op, "copy", backup.ErrDenied, "enable the key, cancel its deletion, or name another", "the key %s is in state %s", st.To.KMSKeyID, state)
	}
	return nil
}

// fullCopies says which members are copied whole, because the destination has nothing that a copy can build on.
//
// Source: EBS user guide, "Copy an Amazon EBS snapshot", "Incremental snapshot copying": the Region was copied to before, the last copy exists and is not
// archived, and all copies are unencrypted or under the same key. Within a Region only another key makes a copy whole.
func (s *Strategy) fullCopies(ctx context.Context, op backup.Operation, st copyState, members []ec2types.Snapshot) ([]backup.Finding, error) {
	c, err := s.client(ctx, st.dest())
	if err != nil {
		return nil, err
	}
	var volumes []string
	for _, x := range members {
		if _, v, _, _ := lineage(op.Ref, x); !dummyVolume(v) && !slices.Contains(volumes, v) {
			volumes = append(volumes, v)
		}
	}
	if len(volumes) == 0 {
		return nil, nil
	}
	there := map[string][]ec2types.Snapshot{}
	for part := range slices.Chunk(volumes, maxFilterValues) {
		all, err := collect(snapshots(ctx, c, st.dest(), filter("tag:"+TagVolume, part...)))
		if err != nil {
			return nil, err
		}
		for _, x := range all {
			tags := tagMap(x.Tags)
			if isCopy(x, tags) && tags[backup.TagToken] != op.ID && (status(x) == backup.StatusAvailable || status(x) == backup.StatusPending) {
				there[tags[TagVolume]] = append(there[tags[TagVolume]], x)
			}
		}
	}
	var first, other []string
	for _, x := range members {
		_, v, _, _ := lineage(op.Ref, x)
		switch {
		case dummyVolume(v):
		case st.To.Region == op.Ref.Region && (st.To.KMSKeyID == "" || st.To.KMSKeyID == aws.ToString(x.KmsKeyId)):
			// EBS keeps nothing twice within a Region under one key.
		case !slices.ContainsFunc(there[v], func(o ec2types.Snapshot) bool { return o.StorageTier != ec2types.StorageTierArchive }):
			first = append(first, v)
		case st.To.Region == op.Ref.Region && slices.ContainsFunc(there[v], func(o ec2types.Snapshot) bool { return !otherKey(st, x, o) }):
			// One copy under the key is enough there.
		case slices.ContainsFunc(there[v], func(o ec2types.Snapshot) bool { return otherKey(st, x, o) }):
			other = append(other, v)
		}
	}
	var found []backup.Finding
	for _, w := range []struct {
		of  []string
		why string
	}{
		{first, "has no earlier copy of this library's in " + st.To.Region + ": it is the first, or the last was deleted or archived"},
		{other, "has copies under another key in " + st.To.Region},
	} {
		if len(w.of) > 0 {
			// All volumes of a set are one finding, so that many members do not fill the Operation.
			found = append(found, backup.Finding{ID: "ebs.full-copy", Severity: backup.SeverityWarning, Ref: Volume(op.Ref.Account, op.Ref.Region, w.of[0]),
				Message: fmt.Sprintf("the copy is whole and not incremental for %d of %d volumes: %s %s", len(w.of), len(members), w.of[0], w.why),
				Remedy:  "expect the time and the cost of a whole copy; keep the last copy of each volume, and its key, for incremental ones"})
		}
	}
	return found, nil
}

// otherKey reports whether an earlier copy is known to be under another key than a new copy of x. What the default key is, nobody was asked.
func otherKey(st copyState, x, earlier ec2types.Snapshot) bool {
	if st.To.KMSKeyID != "" {
		return aws.ToString(earlier.KmsKeyId) != st.To.KMSKeyID
	}
	return aws.ToBool(earlier.Encrypted) != aws.ToBool(x.Encrypted)
}

// preflightCopy says what is in the way of a copy.
func (s *Strategy) preflightCopy(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	var st copyState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	if err := s.checkDestination(op, st.To); err != nil {
		return finding(op, err)
	}
	members, err := s.copySource(ctx, op)
	if err != nil {
		return nil, err
	}
	good, refused := copyable(op, st, members)
	if refused != nil {
		return finding(op, refused)
	}
	var found []backup.Finding
	if good == nil {
		return []backup.Finding{{ID: "ebs.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the recovery point is not complete yet", Remedy: "the copy waits for it"}}, nil
	}
	if err := s.copyKey(ctx, op, st); err != nil {
		if found, err = finding(op, err); err != nil {
			return nil, err
		}
	}
	for _, x := range good {
		if n := len(s.copyTags(op, st, len(good), x)); n > 50 {
			found = append(found, backup.Finding{ID: "ebs.tags", Severity: backup.SeverityError, Ref: op.Ref, Message: "more than 50 tags would be needed",
				Remedy: "use fewer tags of your own, or CopyOptions.NoTags"})
			break
		}
	}
	full, err := s.fullCopies(ctx, op, st, good)
	if err != nil {
		return nil, err
	}
	found = append(found, full...)
	if st.To.KMSKeyID == "" && slices.ContainsFunc(good, func(x ec2types.Snapshot) bool { return aws.ToBool(x.Encrypted) }) {
		found = append(found, backup.Finding{ID: "ebs.default-key", Severity: backup.SeverityInfo, Ref: op.Ref,
			Message: "the copy is encrypted under the default key for EBS of " + st.To.Region + "; under the key that AWS manages it can not be shared with another account",
			Remedy:  "name a key in Destination.KMSKeyID"})
	}
	slices.SortStableFunc(found, func(a, b backup.Finding) int { return strings.Compare(rank[a.Severity], rank[b.Severity]) })
	return found, nil
}

// rank orders findings, the worst first.
var rank = map[backup.Severity]string{backup.SeverityError: "0", backup.SeverityWarning: "1", backup.SeverityInfo: "2"}

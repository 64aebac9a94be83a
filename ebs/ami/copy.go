package ami

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// StartCopy makes the Operation that copies an image to another Region of the account, or to the same under another key. CopyImage is called in the
// destination, with a client token. A Region other than the image's must be in Options.CopyRegions. Empty parts of to mean where the image is.
//
// With to.KMSKeyID, the ARN of a key of the destination, all snapshots of the copy are encrypted with it; without, those of encrypted snapshots are
// encrypted with the destination's default key for EBS, which no other account can be given. EC2 looks at keys only after the call. The copy keeps what the
// first image was made of in backup.TagSource and the time of its data in backup.TagCreated.
//
// Another account is refused with ErrUnsupported: share the image and its snapshots with the account, and copy it there with that account's credentials.
func (s *Strategy) StartCopy(_ context.Context, point backup.Ref, to backup.Destination, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(backup.ActionCopy, point, spec, TypeImage)
	if err != nil {
		return backup.Operation{}, err
	}
	if spec.Options != nil {
		return backup.Operation{}, invalid(op.Action, point, "leave Spec.Options nil", "a copy of an image has no options, and %T was given", spec.Options)
	}
	if to.Account == "" {
		to.Account = point.Account
	}
	if to.Region == "" {
		to.Region = point.Region
	}
	op.Bind(to)
	st := makeState{To: to}
	if st.Name, err = imageName(op, spec); err != nil {
		return backup.Operation{}, err
	}
	if err := s.checkDestination(op, to); err != nil {
		return backup.Operation{}, err
	}
	if n := len(s.tags(op, st)); n > 50 {
		return backup.Operation{}, invalid(op.Action, point, "an image has at most 50 tags: use fewer of your own", "%d tags would be needed", n)
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

// checkDestination refuses what can be known to be wrong with a destination without AWS.
func (s *Strategy) checkDestination(op backup.Operation, to backup.Destination) error {
	point := op.Ref
	if to.Account != point.Account {
		return failure(op, "copy", backup.ErrUnsupported, "share the image and its snapshots with that account, and copy it there with that account's credentials",
			"the destination is account %s, and the image belongs to %s", to.Account, point.Account)
	}
	there, err := policy.PartitionOf(to.Region)
	if err != nil {
		return invalid(op.Action, point, "name the Region as AWS does, such as eu-west-1", "the destination: %w", err)
	}
	// Source: EC2 API, CopyImage: images are copied within a partition only.
	if here, err := policy.PartitionOf(point.Region); err != nil || here.ID != there.ID {
		return failure(op, "copy", backup.ErrUnsupported, "choose a Region of the same partition", "no image can be copied from %s to %s", point.Region, to.Region)
	}
	if to.Region != point.Region && !slices.Contains(s.opts.CopyRegions, to.Region) {
		return invalid(op.Action, point, "add the Region to Options.CopyRegions, if data may leave for it", "copies to %s are not allowed", to.Region)
	}
	if to.KMSKeyID != "" {
		if err := policy.ValidateKMSKeyARN(to.KMSKeyID); err != nil {
			return invalid(op.Action, point, "give the key's ARN, not an alias", "the destination's key: %w", err)
		}
		if arn, err := policy.ParseARN(to.KMSKeyID); err != nil || arn.Region != to.Region {
			return invalid(op.Action, point, "give the ARN of a key in the destination, for example the replica of a multi-Region key", "the key %s is not in %s", to.KMSKeyID, to.Region)
		}
	}
	if s.own != nil {
		return s.own.Known(backup.Ref{Type: point.Type, Account: to.Account, Region: to.Region, ID: point.ID})
	}
	return nil
}

// lookCopy looks at the image that is to be copied and arms the call.
func (s *Strategy) lookCopy(ctx context.Context, op backup.Operation, st makeState) (backup.Operation, error) {
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	x, found, err := image(ctx, c, op.Ref)
	if err != nil {
		return op, err
	}
	if !found {
		if st.Lost.IsZero() {
			st.Lost = time.Now().UTC().Round(0)
		}
		if time.Since(st.Lost) < s.opts.Settle {
			s.wait(&op)
			return op, op.SetState(st)
		}
		return s.unmade(ctx, op, st, failure(op, "copy", backup.ErrNotFound, "check the id, the account and the Region", "no such image"))
	}
	st.Lost = time.Time{}
	switch x.State {
	case ec2types.ImageStateAvailable:
	case ec2types.ImageStatePending:
		return s.unmade(ctx, op, st, failure(op, "copy", backup.ErrConflict, "wait for the image, then copy it with another token", "the image is not complete yet"))
	case ec2types.ImageStateDisabled:
		return s.unmade(ctx, op, st, failure(op, "copy", backup.ErrConflict, "enable the image, then copy it with another token", "the image is disabled"))
	default:
		return s.unmade(ctx, op, st, failure(op, "copy", backup.ErrUnsupported, "choose another image", "the image is %s", x.State))
	}
	p := point(op.Ref, x)
	st.Source, st.Created = op.Ref.Tag(), p.CreatedAt
	if !p.Source.IsZero() {
		st.Source = p.Source.Tag()
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	if to := st.To.KMSKeyID; to == "" && slices.ContainsFunc(x.BlockDeviceMappings, func(m ec2types.BlockDeviceMapping) bool { return m.Ebs != nil && aws.ToBool(m.Ebs.Encrypted) }) {
		op.Find(backup.Finding{ID: "ami.default-key", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "the copy is encrypted with the destination's default key for EBS, which no other account can be given",
			Remedy: "give Destination.KMSKeyID if the copy is to be shared"})
	}
	op.To(stageMake, call(op))
	return op, nil
}

package ami

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// The stages of making an image, by a backup or a copy.
const (
	stageLook   = "look"   // what it is to be made of is looked at
	stageMake   = "make"   // the call that makes it may be made
	stageSettle = "settle" // the call was perhaps made; its result is looked for
	stagePark   = "park"   // EC2 refused for a reason that passes
	stageWait   = "wait"   // the image is pending
)

// patience is how long something that must exist may be absent before that is believed. Source: EC2 developer guide, "Eventual consistency".
const patience = time.Minute

// makeState is the State of a backup or a copy.
type makeState struct {
	Name        string             `json:"n"`
	Description string             `json:"d,omitempty"`
	Reboot      bool               `json:"r,omitempty"`
	To          backup.Destination `json:"to,omitzero"`
	// Source and Created are the lineage of a copy: what the first image was made of, and the time of its data.
	Source  string    `json:"src,omitempty"`
	Created time.Time `json:"c,omitzero"`
	Image   string    `json:"i,omitempty"`
	// Taken tells that EC2 said that there is an image of this name: perhaps it is ours.
	Taken bool `json:"t,omitempty"`
	// Looks counts the looks of the present settling, or those since Lost or Missing.
	Looks int `json:"k,omitempty"`
	// Lost is since when something that must be there has not been seen: what is backed up or copied, later the image.
	Lost time.Time `json:"l,omitzero"`
	// Missing is since when a snapshot of the image has not been seen.
	Missing time.Time `json:"m,omitzero"`
}

// place is where the image is made: a Ref of the image, without an id while there is none.
func (st makeState) place(op backup.Operation) backup.Ref {
	if op.Action == backup.ActionCopy {
		return Image(st.To.Account, st.To.Region, st.Image)
	}
	return Image(op.Ref.Account, op.Ref.Region, st.Image)
}

func call(op backup.Operation) string {
	if op.Action == backup.ActionCopy {
		return "CopyImage"
	}
	return "CreateImage"
}

func (s *Strategy) stepMake(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	var st makeState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	if op.Action == backup.ActionCopy {
		// The process that carries an Operation on may allow less than the one that started it.
		if err := s.checkDestination(op, st.To); err != nil {
			return op, err
		}
	}
	// A place without an id is enough to choose a client.
	c, err := s.client(ctx, st.place(op))
	if err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		if op.Action == backup.ActionCopy {
			return s.lookCopy(ctx, op, st)
		}
		return s.lookBackup(ctx, c, op, st)
	case stagePark:
		if left := s.opts.Park - time.Since(op.Since); left > 0 {
			op.PollIn(left)
			return op, nil
		}
		op.To(stageLook, "")
		return op, nil
	case stageMake:
		switch op.Intent() {
		case backup.Send:
			return s.send(ctx, c, op, st)
		case backup.LookOnce:
			found, err := s.look(ctx, c, op, st)
			if err != nil {
				return op, err
			}
			if next, ok, err := s.adopt(op, st, found); ok || err != nil {
				return next, err
			}
			return s.send(ctx, c, op, st)
		case backup.Settle:
			op.Settle(stageSettle)
		}
		return op, nil
	case stageSettle:
		return s.settle(ctx, c, op, st)
	case stageWait:
		return s.watch(ctx, c, op, st)
	}
	return op, failure(op, string(op.Action), backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
}

// tags are those of the image and of its snapshots.
func (s *Strategy) tags(op backup.Operation, st makeState) map[string]string {
	m := op.OwnTags(op.Ref)
	if op.Action == backup.ActionCopy {
		m[TagCopyOf] = op.Ref.Tag()
		m[backup.TagSource] = st.Source
		m[backup.TagCreated] = st.Created.UTC().Format("2006-01-02T15:04:05Z")
	}
	return m
}

// send makes the one call that must never be made twice.
func (s *Strategy) send(ctx context.Context, c *awsec2.Client, op backup.Operation, st makeState) (backup.Operation, error) {
	list := tagList(s.tags(op, st))
	specs := []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeImage, Tags: list}, {ResourceType: ec2types.ResourceTypeSnapshot, Tags: list}}
	var description *string
	if st.Description != "" {
		description = &st.Description
	}
	var id string
	var err error
	if op.Action == backup.ActionCopy {
		in := &awsec2.CopyImageInput{Name: &st.Name, Description: description, SourceImageId: &op.Ref.ID, SourceRegion: &op.Ref.Region, ClientToken: &op.ID, TagSpecifications: specs}
		if st.To.KMSKeyID != "" {
			in.Encrypted, in.KmsKeyId = aws.Bool(true), &st.To.KMSKeyID
		}
		var out *awsec2.CopyImageOutput
		if out, err = c.CopyImage(ctx, in, s.sending); err == nil {
			id = aws.ToString(out.ImageId)
		}
	} else {
		var out *awsec2.CreateImageOutput
		if out, err = c.CreateImage(ctx, &awsec2.CreateImageInput{InstanceId: &op.Ref.ID, Name: &st.Name, Description: description, NoReboot: aws.Bool(!st.Reboot), TagSpecifications: specs}, s.sending); err == nil {
			id = aws.ToString(out.ImageId)
		}
	}
	if err == nil && id == "" {
		// Something was made, but what? It is looked for.
		return op, failure(op, op.Next, backup.ErrUnavailable, "it is looked for by its tags", "the answer names no image")
	}
	if err != nil {
		v := table.Classify(err)
		failed := v.Error(Kind, op.Next, op.Ref, err)
		switch {
		case v.AWSCode == nameTaken:
			// Perhaps an earlier call of ours took it, and what it made is not visible yet.
			st.Taken = true
			if err := op.SetState(st); err != nil {
				return op, err
			}
			op.Settle(stageSettle)
			return op, nil
		case v.Class == awscall.NotApplied:
			op.Unsent()
		case v.Class == awscall.NotYet:
			op.To(stagePark, "")
			op.PollIn(s.opts.Park)
			op.Find(backup.Finding{ID: "ami.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.AWSCode, Remedy: v.Hint})
			return op, nil
		case v.Class == awscall.Permanent:
			op.Fail(failed)
			return op, nil
		}
		return op, failed
	}
	return s.take(op, st, id)
}

// take goes on to wait for an image.
func (s *Strategy) take(op backup.Operation, st makeState, id string) (backup.Operation, error) {
	st.Image, st.Looks, st.Lost, st.Missing = id, 0, time.Time{}, time.Time{}
	op.AddPoint(st.place(op))
	op.To(stageWait, "")
	s.wait(&op)
	return op, op.SetState(st)
}

// look gives all images that carry the Operation's token, in the place where it makes one.
func (s *Strategy) look(ctx context.Context, c *awsec2.Client, op backup.Operation, st makeState) ([]ec2types.Image, error) {
	return collect(images(ctx, c, st.place(op), filter("tag:"+backup.TagToken, op.ID)))
}

// adopt takes over what an earlier call made, if it is there and provably ours. EC2 lets no two images have one name, so there is no second one.
func (s *Strategy) adopt(op backup.Operation, st makeState, found []ec2types.Image) (backup.Operation, bool, error) {
	for _, x := range found {
		if !made(st.place(op), op.ID, x) || aws.ToString(x.Name) != st.Name {
			continue
		}
		if t := born(x); !op.Unstored && !t.IsZero() && t.Before(op.Started.Add(-clockSkew)) {
			place := st.place(op)
			op.AddPoint(Image(place.Account, place.Region, aws.ToString(x.ImageId)))
			op.Fail(failure(op, "adopt", backup.ErrConflict, "look at what is listed in Points, check this machine's clock, and start the work with another token",
				"image %s carries this operation's token but is older than the operation", aws.ToString(x.ImageId)))
			return op, true, nil
		}
		next, err := s.take(op, st, aws.ToString(x.ImageId))
		return next, err == nil, err
	}
	return op, false, nil
}

// settle looks for the result of a call that was perhaps sent, until it is found or the window has passed.
func (s *Strategy) settle(ctx context.Context, c *awsec2.Client, op backup.Operation, st makeState) (backup.Operation, error) {
	found, err := s.look(ctx, c, op, st)
	if err != nil {
		return op, err
	}
	if next, ok, err := s.adopt(op, st, found); ok || err != nil {
		return next, err
	}
	// The window is over when its time is, and when as many looks were made as it takes at their longest distance: a clock that is set forward must not cut
	// it short.
	st.Looks++
	if time.Since(op.Since) < s.opts.Settle || st.Looks <= int(s.opts.Settle/s.opts.PollMax) {
		s.wait(&op)
		return op, op.SetState(st)
	}
	if op.Canceling {
		op.To(stageStop, "")
		return op, nil
	}
	if st.Taken {
		op.Fail(failure(op, call(op), backup.ErrConflict, "choose another Spec.Name, or leave it empty; or start the work with another token", "another image has the name %q", st.Name))
		return op, nil
	}
	st.Looks = 0
	op.To(stageLook, "")
	return op, op.SetState(st)
}

// watch ends the work when the image can be launched, or never will be.
func (s *Strategy) watch(ctx context.Context, c *awsec2.Client, op backup.Operation, st makeState) (backup.Operation, error) {
	place := st.place(op)
	x, found, err := image(ctx, c, place)
	if err != nil {
		return op, err
	}
	if !found {
		// Something new may stay invisible for a while, so absence means nothing at first.
		st.Missing = time.Time{}
		if s.absent(&st.Lost, &st.Looks) {
			return s.vanished(ctx, c, op, st)
		}
		s.wait(&op)
		return op, op.SetState(st)
	}
	st.Lost = time.Time{}
	switch x.State {
	case ec2types.ImageStateAvailable, ec2types.ImageStateDisabled:
	case ec2types.ImageStateDeregistered:
		return s.vanished(ctx, c, op, st)
	case ec2types.ImageStateFailed, ec2types.ImageStateError, ec2types.ImageStateInvalid:
		return s.broken(ctx, c, op, place, x)
	default:
		if op.Canceling {
			return s.remains(op, st)
		}
		if x.State != ec2types.ImageStatePending {
			op.Find(backup.Finding{ID: "ami.unknown-state", Severity: backup.SeverityWarning, Ref: place, Message: "the image is in state " + string(x.State) + "; it is waited for"})
		}
		st.Missing = time.Time{}
		s.wait(&op)
		return op, op.SetState(st)
	}
	// An image is as good as its snapshots.
	bad, err := s.ready(ctx, c, place, x)
	if err != nil {
		return op, err
	}
	is := func(id string) bool {
		return slices.ContainsFunc(bad, func(f backup.Finding) bool { return f.ID == id })
	}
	missing := is("ami.snapshot-missing")
	// What lists tell may be of a while ago.
	lost := missing && s.absent(&st.Missing, &st.Looks)
	if !missing {
		st.Missing = time.Time{}
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	if op.Canceling && is("ami.snapshot-pending") {
		return s.remains(op, st)
	}
	if is("ami.snapshot-pending") || missing && !lost {
		s.wait(&op)
		return op, nil
	}
	var wrong []string
	for _, f := range bad {
		if f.Severity == backup.SeverityError && f.ID != "ami.disabled" {
			wrong = append(wrong, f.Message)
			continue
		}
		op.Find(f)
	}
	if len(wrong) > 0 {
		op.Fail(failure(op, string(op.Action), backup.ErrFailed, "delete what is listed in Points and start the work again with another token", "%s", strings.Join(wrong, "; ")))
		return op, nil
	}
	op.Succeed()
	return op, nil
}

// broken ends the work with the reason that EC2 gives: that of the image, and that of a snapshot, where a key that can not be used shows.
func (s *Strategy) broken(ctx context.Context, c *awsec2.Client, op backup.Operation, place backup.Ref, x ec2types.Image) (backup.Operation, error) {
	why := "the image is " + string(x.State)
	if r := x.StateReason; r != nil {
		why += ": " + aws.ToString(r.Message)
	}
	members, err := snapshots(ctx, c, place, snapshotsOf(x))
	if err != nil {
		return op, err
	}
	code, hint := backup.ErrFailed, "delete what is listed in Points and start the work again with another token"
	for id, m := range members {
		if m.State != ec2types.SnapshotStateError {
			continue
		}
		message := aws.ToString(m.StateMessage)
		why += "; " + id + " is in error: " + message
		// Source: EBS user guide, "Copy an Amazon EBS snapshot".
		if strings.Contains(message, "Given key ID is not accessible") {
			code, hint = backup.ErrDenied, "enable the key, and allow the caller kms:DescribeKey, kms:CreateGrant, kms:Decrypt and kms:GenerateDataKeyWithoutPlaintext on it; then start the work with another token"
			break
		}
	}
	op.Fail(failure(op, string(op.Action), code, hint, "%s", why))
	return op, nil
}

// Package ami backs up EC2 instances as images: an AMI holds snapshots of all EBS volumes of the instance and what is needed to launch it again.
//
//	strategy := ami.NewFromConfig(cfg)
//	op, err := strategy.Start(ctx, ebs.Instance("111122223333", "eu-west-1", "i-0123456789abcdef0"), backup.Spec{Token: token})
//	op, err = runner.Run(ctx, op)
//
// EC2 by itself reboots an instance before it makes an image of it. This package does that only where BackupOptions.Reboot says so; without a reboot an
// image is consistent as after a crash.
//
// EC2's CreateImage takes no client token, and a call that is sent again may reboot the instance again. This package sends it again only when it surely
// was not applied, and otherwise looks for the image by a tag that the call has set. The name of an image, which is unique in an account and Region, and
// here follows from the Operation, is a second guard against two.
package ami

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// Kind is the kind of the Strategy.
const Kind = "ami"

// TypeImage is the type of the Ref of an image, by its id. Instances have ebs.TypeInstance.
const TypeImage = "ec2/image"

// Image names an image.
func Image(account, region, id string) backup.Ref {
	return backup.Ref{Type: TypeImage, Account: account, Region: region, ID: id}
}

// TagCopyOf is set on copies of images and holds the Ref of the image that was copied. backup.TagSource is that of the first image in a chain of copies,
// and backup.TagCreated the time of the data.
const TagCopyOf = "snapwarden:copy-of"

// Provider gives the EC2 client for an account and a Region. Its credentials must belong to that account. It may be called often, so it
// keeps what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (*awsec2.Client, error)

// Options are the Strategy's settings; the zero value is fit for production.
type Options struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// PollMin and PollMax limit the time between two looks; 0 means 5 and 30 seconds. Within them it is a twentieth of the time waited.
	PollMin, PollMax time.Duration
	// Settle is how long a result is looked for before a create call that was perhaps sent is sent again, and how long something new may stay
	// invisible; 0 means 6 minutes: the minute that a call may take, and 5 for EC2's eventual consistency. AWS promises no figure.
	Settle time.Duration
	// Park is how long to wait after EC2 refused for a reason that passes; 0 means 30 seconds.
	Park time.Duration
	// CopyRegions are the Regions that copies may go to, beside that of the image. Empty means that no image is copied out of its Region.
	CopyRegions []string
}

// Strategy backs up instances as images. It is safe for use by several goroutines.
type Strategy struct {
	provider Provider
	own      *awscall.Own
	opts     Options
	retryer  aws.Retryer
}

// New makes a Strategy that serves every account and Region that provider has clients for.
func New(provider Provider, optFns ...func(*Options)) *Strategy {
	s := &Strategy{provider: provider, retryer: awscall.CreateRetryer()}
	for _, f := range optFns {
		f(&s.opts)
	}
	awscall.Default(&s.opts.PollMin, 5*time.Second)
	awscall.Default(&s.opts.PollMax, 30*time.Second)
	awscall.Default(&s.opts.Settle, 6*time.Minute)
	awscall.Default(&s.opts.Park, 30*time.Second)
	s.opts.PollMax = max(s.opts.PollMax, s.opts.PollMin)
	s.opts.CopyRegions = slices.Clone(s.opts.CopyRegions)
	return s
}

// NewFromConfig makes a Strategy that serves the Region of cfg and the account of its credentials, and refuses all others with ErrInvalid.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Strategy {
	client := awsec2.NewFromConfig(cfg)
	s := New(func(context.Context, string, string) (*awsec2.Client, error) { return client, nil }, optFns...)
	s.own = awscall.NewOwn(Kind, cfg, s.opts.Account)
	return s
}

// Kind is "ami".
func (*Strategy) Kind() string { return Kind }

// client gives the client for a Ref.
func (s *Strategy) client(ctx context.Context, r backup.Ref) (*awsec2.Client, error) {
	return awscall.From(ctx, s.own, Kind, r, s.provider, awscall.None)
}

// begin makes an Operation and refuses what can be known to be wrong without AWS.
func (s *Strategy) begin(action backup.Action, r backup.Ref, spec backup.Spec, typ string) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, action, r, spec)
	if err != nil {
		return op, err
	}
	if err := validRef(action, r, typ); err != nil {
		return op, err
	}
	if s.own != nil {
		if err := s.own.Known(r); err != nil {
			return op, err
		}
	}
	return op, nil
}

func validRef(action backup.Action, r backup.Ref, typ string) error {
	if r.Type != typ {
		return invalid(action, r, "use ebs.Instance for what is backed up, and ami.Image for a recovery point", "the type %q can not be used here", r.Type)
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return invalid(action, r, "name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	check := policy.ValidateImageID
	if typ == ebs.TypeInstance {
		check = policy.ValidateInstanceID
	}
	if err := check(r.ID); err != nil {
		return invalid(action, r, "copy the id from AWS; EC2 names have a prefix and 8 or 17 hexadecimal digits", "%w", err)
	}
	return nil
}

// imageName gives the name of a new image: that of the Spec, or one that follows from the Operation. Source: EC2 API, CreateImage, Name.
func imageName(op backup.Operation, spec backup.Spec) (string, error) {
	name := spec.Name
	if name == "" {
		return "snapwarden-" + strings.TrimPrefix(op.ID, "op-"), nil
	}
	if len(name) < 3 || len(name) > 128 || strings.Trim(name, " ") != name ||
		strings.ContainsFunc(name, func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("()[] ./-'@_", c))
		}) {
		return "", invalid(op.Action, op.Ref, "use 3 to 128 letters, digits and ()[] ./-'@_, or leave Spec.Name empty", "the name %q is no name of an image", name)
	}
	return name, nil
}

// Step carries on what a Start of this package began.
func (s *Strategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(Kind); err != nil {
		return op, err
	}
	if op.Done() {
		return op, nil
	}
	next, err := s.step(ctx, op)
	if err != nil {
		// The Operation stays as it was, but for an attempt that surely had no effect.
		if op.Attempt > 0 && next.Next == op.Next && next.Attempt == 0 {
			op.Unsent()
		}
		return op, err
	}
	return next, nil
}

func (s *Strategy) step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if op.Stage == stageStop {
		return s.stop(ctx, op)
	}
	switch op.Action {
	case backup.ActionBackup, backup.ActionCopy:
		return s.stepMake(ctx, op)
	case backup.ActionDelete:
		return s.stepDelete(ctx, op)
	}
	return op, &backup.Error{Op: string(op.Action), Kind: Kind, Ref: op.Ref, Code: backup.ErrUnsupported}
}

// wait sets the time of the next look: a twentieth of the time that the stage has lasted, within the limits.
func (s *Strategy) wait(op *backup.Operation) {
	op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax))
}

// sending are the client options of calls that make something.
func (s *Strategy) sending(o *awsec2.Options) {
	o.Retryer = s.retryer
	s.changing(o)
}

// changing are the client options of all calls that change something.
func (*Strategy) changing(o *awsec2.Options) {
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}

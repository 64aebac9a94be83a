// Package swap restores EBS snapshots onto a running instance: it makes new volumes of them, detaches the volumes that they replace, and attaches the new
// ones at the devices that these had. Or it attaches one new volume beside, to fetch single files from, and detaches it again.
//
//	strategy := swap.NewFromConfig(cfg, func(o *swap.Options) { o.Hooks = hooks })
//	op, err := strategy.Start(ctx, ebs.Set("111122223333", "eu-west-1", set), backup.Spec{Token: token, Options: swap.SwapOptions{Instance: "i-0123456789abcdef0"}})
//	op, err = runner.Run(ctx, op)
//
// The procedure is AWS's own: make the volumes, unmount, detach, attach, mount. It can be interrupted anywhere and is carried on where it stands. No volume
// is ever deleted: the replaced ones stay, detached and as they were. Where a new volume can not be attached, an old one stays busy, or the deadline comes
// near, what was detached is attached again, and the Operation fails with the instance as it was. Where that can not be done for a volume, the others are
// attached and mounted all the same, and the error names it.
//
// The root volume is swapped only of a stopped instance, alone, and where SwapOptions.Root asks for it; otherwise make an image, or use EC2's replacement
// of root volumes, which can be done while the instance runs.
//
// A volume that is attached here, also one that is attached again, is kept when the instance is terminated, whatever was set for the one before: that is
// what AttachVolume does. Source: EC2 user guide, "Preserve data when an instance is terminated".
package swap

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/internal/awscall"
	"github.com/snapwarden/snapwarden/policy"
)

// Kind is the kind of the Strategy.
const Kind = "ebs-swap"

// The actions of the Strategy.
const (
	// ActionSwap replaces volumes of an instance by new ones made of snapshots.
	ActionSwap backup.Action = "ebs-swap.swap"
	// ActionBeside attaches a new volume beside those that are there.
	ActionBeside backup.Action = "ebs-swap.beside"
	// ActionDetach detaches a volume that was attached beside.
	ActionDetach backup.Action = "ebs-swap.detach"
)

// Disk is a volume at an instance.
type Disk struct {
	// Volume is its id; Device is where it is, or will be, attached, such as "/dev/sdf". On Nitro instances the operating system has another name for it,
	// under which the volume's id is the serial number.
	Volume, Device string
}

// Hooks unmount and mount what is on the disks of an instance. They are called with all disks of a swap at once, so that a RAID or LVM set is stopped and
// assembled as a whole.
//
// They are called for a stopped instance too, where nothing is mounted and nothing needs to be done; but not for its root volume.
//
// Each may be called again after its answer was lost, by another process too: what is unmounted, or mounted, already is no error. They return when ctx
// ends.
type Hooks interface {
	// Unmount stops what uses the disks and unmounts them. After an error Mount is called with the same disks.
	Unmount(ctx context.Context, instance backup.Ref, disks []Disk) error
	// Mount mounts the disks, of which the volumes are new ones at known devices, or, when a swap was taken back, the old ones: those of them that could be
	// attached again, where that are not all.
	Mount(ctx context.Context, instance backup.Ref, disks []Disk) error
}

// Provider gives the EC2 client for an account and a Region. Its credentials must belong to that account. It may be called often, so it
// keeps what it makes; an error says that there is none.
type Provider func(ctx context.Context, account, region string) (*awsec2.Client, error)

// Options are the Strategy's settings; the zero value is fit for production, where nothing on the disks is mounted.
type Options struct {
	// Account is the account that NewFromConfig serves. Empty means that of the credentials, asked once when it is first needed.
	Account string
	// Hooks unmount and mount; nil means that nothing is mounted, or that the caller has seen to it.
	Hooks Hooks
	// PollMin and PollMax limit the time between two looks; 0 means 5 and 30 seconds. Within them it is a twentieth of the time waited. A swap looks once
	// a minute at least while disks are off.
	PollMin, PollMax time.Duration
	// Settle is how long something new may stay invisible; 0 means 6 minutes. A swap takes no more than these 6 minutes while disks are off.
	Settle time.Duration
	// Park is how long to wait after EC2, or a hook, refused for a reason that may pass; 0 means 30 seconds.
	Park time.Duration
}

// Strategy restores onto instances. It is safe for use by several goroutines, if its Hooks are.
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
	return s
}

// NewFromConfig makes a Strategy that serves the Region of cfg and the account of its credentials, and refuses all others with ErrInvalid.
func NewFromConfig(cfg aws.Config, optFns ...func(*Options)) *Strategy {
	client := awsec2.NewFromConfig(cfg)
	s := New(func(context.Context, string, string) (*awsec2.Client, error) { return client, nil }, optFns...)
	s.own = awscall.NewOwn(Kind, cfg, s.opts.Account)
	return s
}

// Kind is "ebs-swap".
func (*Strategy) Kind() string { return Kind }

func (s *Strategy) client(ctx context.Context, r backup.Ref) (*awsec2.Client, error) {
	return awscall.From(ctx, s.own, Kind, r, s.provider, awscall.None)
}

// SwapOptions are the settings of a swap. Instance is required.
type SwapOptions struct {
	// Instance is the id of the instance, of the account and Region of the snapshots.
	Instance string
	// Devices are those whose volumes are replaced; empty means all that the recovery point knows but the root device.
	Devices []string
	// Root replaces the root volume and nothing else; Devices is empty then. The instance must be stopped, and is neither stopped nor started here: EC2
	// detaches the root volume of a stopped instance only, and does not start one that has none. Start it when the Operation has ended. Hooks are not
	// called.
	Root bool
	// VolumeType is that of the new volumes, KMSKeyID the ARN of the key of the Region that they are encrypted with; empty means gp3, and the snapshot's
	// key. The types io1 and io2 are refused.
	VolumeType string
	KMSKeyID   string
}

// OptionsFor makes SwapOptions usable as backup.Spec.Options.
func (SwapOptions) OptionsFor() (string, backup.Action) { return Kind, ActionSwap }

// BesideOptions are the settings of a volume beside. All but VolumeType and KMSKeyID are required.
type BesideOptions struct {
	// Instance is the id of the instance, of the account and Region of the snapshot; Device is a free one of it.
	Instance, Device string
	VolumeType       string
	KMSKeyID         string
}

// OptionsFor makes BesideOptions usable as backup.Spec.Options.
func (BesideOptions) OptionsFor() (string, backup.Action) { return Kind, ActionBeside }

// begin makes an Operation and refuses what can be known to be wrong without AWS.
func (s *Strategy) begin(action backup.Action, r backup.Ref, spec backup.Spec, instance, kind, key string, devices []string, types ...string) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, action, r, spec)
	if err != nil {
		return op, err
	}
	if !slices.Contains(types, r.Type) {
		return op, invalid(action, r, "use the constructors of package ebs", "the type %q can not be used here", r.Type)
	}
	if spec.Name != "" {
		return op, invalid(action, r, "leave Spec.Name empty and use a tag", "volumes have no names, and %q was given", spec.Name)
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return op, invalid(action, r, "name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	switch r.Type {
	case ebs.TypeSnapshot:
		err = policy.ValidateSnapshotID(r.ID)
	case ebs.TypeVolume:
		err = policy.ValidateVolumeID(r.ID)
	}
	if err != nil {
		return op, invalid(action, r, "copy the id from AWS", "%w", err)
	}
	if action != ActionDetach {
		if err := policy.ValidateInstanceID(instance); err != nil {
			return op, invalid(action, r, "give the id of the instance in the options", "%w", err)
		}
	}
	if key != "" {
		if err := policy.ValidateKMSKeyARN(key); err != nil {
			return op, invalid(action, r, "give the key's ARN", "%w", err)
		}
		if arn, err := policy.ParseARN(key); err != nil || arn.Region != r.Region {
			return op, invalid(action, r, "give the ARN of a key in the Region, for example the replica of a multi-Region key", "the key %s is not in %s", key, r.Region)
		}
	}
	if kind == "io1" || kind == "io2" {
		// Source: EC2 API, CreateVolume, Iops: required for these.
		return op, invalid(action, r, "use gp3, or restore with package ebs, where IOPS can be given, and attach the volume by hand", "a volume of the type %s needs IOPS, which can not be given here", kind)
	}
	if len(kind) > 16 || !plain(kind) {
		return op, invalid(action, r, "use a type such as gp3", "the volume type %q", kind)
	}
	for i, d := range devices {
		if d == "" || len(d) > 32 || !plain(d) || slices.Contains(devices[:i], d) {
			return op, invalid(action, r, "name devices as EC2 does, such as /dev/sdf, each once", "the device %q", d)
		}
	}
	if n := len(tagsOf(op, state{}, disk{Source: "-"})); action != ActionDetach && n > 50 {
		return op, invalid(action, r, "a volume has at most 50 tags: use fewer of your own", "%d tags would be needed", n)
	}
	if s.own != nil {
		if err := s.own.Known(r); err != nil {
			return op, err
		}
	}
	return op, nil
}

// plain reports whether a name has only what names of devices and types have.
func plain(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '/' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}

// Start makes the Operation that swaps the volumes of an instance for new ones made of point, an ebs.Snapshot or an ebs.Set, which must be complete.
// Spec.Options must be SwapOptions. The new volumes are listed in Made; the old ones stay and are named in findings with the id "ebs-swap.replaced", the
// first eight one by one; Replaced gives all. Delete none of them before the swap has succeeded: before that these findings say only where the volumes
// were, and one with the id "ebs-swap.taken-back" why a swap is being taken back. After a failure they name what could not be attached again.
// One with the id "ebs-swap.earlier-run" tells of volumes that an earlier run of the same work without a Store has perhaps detached.
//
// Nothing is sent after the deadline, so a swap does not come near it with disks off: Spec.Timeout is at least MinTimeout, or 0 for the default. With
// less than an hour left nothing is unmounted, and with less than half an hour left a swap whose volumes are not attached is taken back. So is one
// whose volumes are not detached, or not attached, within about a quarter of an hour.
//
// A snapshot replaces the volume that it was taken of, where that is attached now, or else the one at SwapOptions.Devices. A set replaces what is at the
// devices that it knows. A device at which there is nothing gets its volume all the same.
func (s *Strategy) Start(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	o, ok := spec.Options.(SwapOptions)
	if !ok {
		return backup.Operation{}, invalid(ActionSwap, point, "set Spec.Options to swap.SwapOptions with an Instance", "options of type %T", spec.Options)
	}
	op, err := s.begin(ActionSwap, point, spec, o.Instance, o.VolumeType, o.KMSKeyID, o.Devices, ebs.TypeSnapshot, ebs.TypeSet)
	if err != nil {
		return backup.Operation{}, err
	}
	if point.Type == ebs.TypeSnapshot && len(o.Devices) > 1 {
		return backup.Operation{}, invalid(ActionSwap, point, "name one device", "a single snapshot for %d devices", len(o.Devices))
	}
	switch kind := ec2types.VolumeType(o.VolumeType); {
	case o.Root && len(o.Devices) > 0:
		return backup.Operation{}, invalid(ActionSwap, point, "leave Devices empty, and swap the other volumes by another Operation", "SwapOptions.Root and the devices %v", o.Devices)
	case o.Root && (kind == ec2types.VolumeTypeSt1 || kind == ec2types.VolumeTypeSc1):
		// Source: EBS user guide, "Amazon EBS volume types".
		return backup.Operation{}, invalid(ActionSwap, point, "use gp3", "a volume of the type %s can not be a root volume", kind)
	}
	if spec.Timeout != 0 && spec.Timeout < MinTimeout {
		return backup.Operation{}, invalid(ActionSwap, point, "give at least swap.MinTimeout, or 0 for the default", "a timeout of %v leaves no time to take the work back, for which %v are needed", spec.Timeout, MinTimeout)
	}
	op.Stage = stageLook
	return op, op.SetState(state{Instance: o.Instance, Wanted: o.Devices, Root: o.Root, Type: o.VolumeType, Key: o.KMSKeyID})
}

// StartBeside makes the Operation that makes a volume of an ebs.Snapshot, also of one that is a member of a set, attaches it at a free device of an instance
// and mounts it. Spec.Options must be BesideOptions. The volume is listed in Made, and is given back with StartDetach.
func (s *Strategy) StartBeside(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	o, ok := spec.Options.(BesideOptions)
	if !ok {
		return backup.Operation{}, invalid(ActionBeside, point, "set Spec.Options to swap.BesideOptions", "options of type %T", spec.Options)
	}
	op, err := s.begin(ActionBeside, point, spec, o.Instance, o.VolumeType, o.KMSKeyID, []string{o.Device}, ebs.TypeSnapshot)
	if err != nil {
		return backup.Operation{}, err
	}
	op.Stage = stageLook
	return op, op.SetState(state{Instance: o.Instance, Wanted: []string{o.Device}, Type: o.VolumeType, Key: o.KMSKeyID})
}

// StartDetach makes the Operation that unmounts and detaches an ebs.Volume that StartBeside of the same owner has made; others are refused. It is not
// deleted.
func (s *Strategy) StartDetach(_ context.Context, volume backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := s.begin(ActionDetach, volume, spec, "", "", "", nil, ebs.TypeVolume)
	if err != nil {
		return backup.Operation{}, err
	}
	if spec.Options != nil {
		return backup.Operation{}, invalid(ActionDetach, volume, "leave Spec.Options nil", "a detachment has no options, and %T was given", spec.Options)
	}
	op.Stage = stageLook
	return op, op.SetState(state{})
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
	switch next.Stage {
	case stageDetach, stageDetached, stageAttach, stageAttached, stageBackDetach, stageBackDetached, stageBackAttach, stageBackAttached:
		if next.Action == ActionSwap && !next.Done() && time.Until(next.Poll) > slowest {
			next.PollIn(slowest)
		}
	}
	return next, nil
}

// wait sets the time of the next look: a twentieth of the time that the stage has lasted, within the limits.
func (s *Strategy) wait(op *backup.Operation) {
	op.PollIn(min(max(time.Since(op.Since)/20, s.opts.PollMin), s.opts.PollMax))
}

// changing are the client options of all calls that change something.
func (s *Strategy) changing(o *awsec2.Options) {
	o.Retryer = s.retryer
	o.APIOptions = append(o.APIOptions[:len(o.APIOptions):len(o.APIOptions)], awscall.Guard)
}

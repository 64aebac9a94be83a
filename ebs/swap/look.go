package swap

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// maxDisks is the most disks of one Operation: what fits into its 16 KiB, and more than an instance of most types takes.
const maxDisks = 40

// patience is how long something that must exist may be absent before that is believed. Source: EC2 developer guide, "Eventual consistency".
const patience = time.Minute

// TagBeside is set on a volume that StartBeside makes and holds the id of the instance; StartDetach gives back no other.
const TagBeside = "snapwarden:beside"

// state is the State of every Operation of the Strategy.
type state struct {
	Instance string   `json:"i,omitempty"`
	Wanted   []string `json:"w,omitempty"`
	Type     string   `json:"t,omitempty"`
	Key      string   `json:"k,omitempty"`
	Zone     string   `json:"z,omitempty"`
	Disks    []disk   `json:"d,omitempty"`
	// Failure is why the work is being taken back, or ends.
	Failure *backup.Failure `json:"f,omitempty"`
	// Came tells that the new volumes were perhaps attached.
	Came bool `json:"c,omitempty"`
	// Apart tells that EC2 has answered for all disks that are to be detached that they are not attached: a list may tell of a while ago.
	Apart bool `json:"a,omitempty"`
	// Began is when the present detaching, or attaching, began.
	Began time.Time `json:"b,omitzero"`
	// Tries counts the failures of the present hook.
	Tries int `json:"n,omitempty"`
	// Lost is since when something that must be there has not been seen.
	Lost time.Time `json:"l,omitzero"`
}

// disk is a device with its old and its new volume.
type disk struct {
	Snapshot string `json:"s,omitempty"`
	Source   string `json:"v,omitempty"`
	Device   string `json:"d"`
	Old      string `json:"o,omitempty"` // empty where there was none
	New      string `json:"n,omitempty"` // empty while it is not made
	// Stays tells that EC2 does not detach the old volume, so that it is where it was.
	Stays bool `json:"st,omitempty"`
	// Busy tells that it stays because the operating system did not let it go, though EC2 was asked to detach it.
	Busy bool `json:"by,omitempty"`
}

// old and fresh give the disks with their old and with their new volumes, as far as there are any.
func (st state) old() (all []Disk) {
	for _, d := range st.Disks {
		if d.Old != "" && !d.Stays {
			all = append(all, Disk{d.Old, d.Device})
		}
	}
	return all
}

func (st state) fresh() (all []Disk) {
	for _, d := range st.Disks {
		if d.New != "" {
			all = append(all, Disk{d.New, d.Device})
		}
	}
	return all
}

// Replaced gives the volumes that a swap has taken, or will take, from the instance, with the devices that they had. They are never deleted.
func Replaced(op backup.Operation) ([]Disk, error) {
	var st state
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	if err := op.GetState(&st); err != nil || op.Action != ActionSwap {
		return nil, err
	}
	var all []Disk
	for _, d := range st.Disks {
		if d.Old != "" {
			all = append(all, Disk{d.Old, d.Device})
		}
	}
	return all, nil
}

func filter(name string, values ...string) ec2types.Filter {
	return ec2types.Filter{Name: &name, Values: values}
}

// volumes gives the volumes that match, by their ids. They are found by filters and never by the VolumeIds parameter, which fails as a whole if one of them
// is not visible yet. Values with wildcards are never given.
func (s *Strategy) volumes(ctx context.Context, c *awsec2.Client, r backup.Ref, f ec2types.Filter) (map[string]ec2types.Volume, error) {
	in := &awsec2.DescribeVolumesInput{Filters: []ec2types.Filter{f}, MaxResults: aws.Int32(500)}
	found := map[string]ec2types.Volume{}
	for {
		out, err := c.DescribeVolumes(ctx, in)
		if err != nil {
			return nil, table.Wrap(Kind, "DescribeVolumes", r, err)
		}
		for _, v := range out.Volumes {
			found[aws.ToString(v.VolumeId)] = v
		}
		if aws.ToString(out.NextToken) == "" {
			return found, nil
		}
		in.NextToken = out.NextToken
	}
}

// disks gives the volumes of disks, as far as they are visible.
func (s *Strategy) disks(ctx context.Context, c *awsec2.Client, r backup.Ref, disks []Disk) (map[string]ec2types.Volume, error) {
	if len(disks) == 0 {
		return nil, nil
	}
	var ids []string
	for _, d := range disks {
		ids = append(ids, d.Volume)
	}
	return s.volumes(ctx, c, r, filter("volume-id", ids...))
}

// at gives a volume's attachment to an instance, if it has one.
func at(v ec2types.Volume, instance string) (ec2types.VolumeAttachment, bool) {
	for _, a := range v.Attachments {
		if aws.ToString(a.InstanceId) == instance && a.State != ec2types.VolumeAttachmentStateDetached {
			return a, true
		}
	}
	return ec2types.VolumeAttachment{}, false
}

// instance gives the instance, or ErrNotFound.
func (s *Strategy) instance(ctx context.Context, c *awsec2.Client, op backup.Operation, id string) (ec2types.Instance, error) {
	out, err := c.DescribeInstances(ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{id}})
	if err != nil {
		return ec2types.Instance{}, table.Wrap(Kind, "DescribeInstances", op.Ref, err)
	}
	for _, r := range out.Reservations {
		for _, x := range r.Instances {
			if aws.ToString(x.InstanceId) == id && aws.ToString(r.OwnerId) == op.Ref.Account {
				return x, nil
			}
		}
	}
	return ec2types.Instance{}, failure(op, backup.ErrNotFound, "check the instance id, the account and the Region", "no such instance as %s", id)
}

// lost waits for what is not seen, for as long as it may be invisible. It reports whether that is over.
func (s *Strategy) lost(op *backup.Operation, st *state, limit time.Duration) (over bool, err error) {
	if st.Lost.IsZero() {
		st.Lost = time.Now().UTC().Round(0)
	}
	if time.Since(st.Lost) >= limit {
		return true, nil
	}
	s.wait(op)
	return false, op.SetState(*st)
}

// look plans a swap or a volume beside, and arms the creation of volumes.
func (s *Strategy) look(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, error) {
	p, found, err := s.point(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	if !found {
		if over, err := s.lost(&op, &st, s.opts.Settle); !over {
			return op, err
		}
		op.Fail(failure(op, backup.ErrNotFound, "check the id, the account and the Region", "no such recovery point"))
		return op, nil
	}
	switch p.Status {
	case backup.StatusAvailable:
	case backup.StatusPending:
		op.Fail(failure(op, backup.ErrConflict, "wait for the backup to complete, then start the work with another token", "the recovery point is not complete yet"))
		return op, nil
	default:
		op.Fail(failure(op, backup.ErrUnsupported, "choose another recovery point, or restore what there is with package ebs", "the recovery point is %s", p.Status))
		return op, nil
	}
	x, err := s.instance(ctx, c, op, st.Instance)
	if backup.CodeOf(err) == backup.ErrNotFound {
		if over, err := s.lost(&op, &st, min(patience, s.opts.Settle)); !over {
			return op, err
		}
		op.Fail(err)
		return op, nil
	}
	if err != nil {
		return op, err
	}
	if x.State != nil {
		switch x.State.Name {
		case ec2types.InstanceStateNameRunning, ec2types.InstanceStateNameStopped:
		case ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNameShuttingDown:
			op.Fail(failure(op, backup.ErrNotFound, "choose another instance", "the instance is %s", x.State.Name))
			return op, nil
		default:
			op.PollIn(s.opts.Park)
			op.Find(backup.Finding{ID: "ebs-swap.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "the instance is " + string(x.State.Name)})
			return op, nil
		}
	}
	if x.Placement != nil {
		st.Zone = aws.ToString(x.Placement.AvailabilityZone)
	}
	st.Lost = time.Time{}
	if refused := st.plan(op, p, x); refused != nil {
		op.Fail(refused)
		return op, nil
	}
	if op.Action == ActionSwap && left(op) < room {
		op.Fail(short(op, "nothing was made"))
		return op, nil
	}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageCreate, "CreateVolume")
	return op, nil
}

// point gives the recovery point as package ebs sees it.
func (s *Strategy) point(ctx context.Context, r backup.Ref) (backup.RecoveryPoint, bool, error) {
	for p, err := range ebs.New(ebs.Provider(s.provider)).List(ctx, backup.Query{Account: r.Account, Region: r.Region, Point: r}) {
		return p, err == nil, err
	}
	return backup.RecoveryPoint{}, false, nil
}

// plan finds a device for each snapshot, and what is there now.
func (st *state) plan(op backup.Operation, p backup.RecoveryPoint, x ec2types.Instance) error {
	present, device := map[string]string{}, map[string]string{} // volume by device, device by volume
	for _, m := range x.BlockDeviceMappings {
		if m.Ebs != nil {
			present[aws.ToString(m.DeviceName)] = aws.ToString(m.Ebs.VolumeId)
			device[aws.ToString(m.Ebs.VolumeId)] = aws.ToString(m.DeviceName)
		}
	}
	root := aws.ToString(x.RootDeviceName)
	st.Disks = nil
	if len(p.Members) == 0 {
		d := disk{Snapshot: p.ID, Source: p.Source.ID}
		switch {
		case len(st.Wanted) == 1:
			d.Device = st.Wanted[0]
		case device[d.Source] != "":
			d.Device = device[d.Source]
		default:
			d.Device = ebs.Devices(p.Tags)[d.Source]
		}
		st.Disks = append(st.Disks, d)
	}
	for _, m := range p.Members {
		if len(st.Wanted) > 0 && !slices.Contains(st.Wanted, m.Place) || len(st.Wanted) == 0 && (m.Role == "root" || m.Place == root) {
			continue
		}
		st.Disks = append(st.Disks, disk{Snapshot: m.ID, Source: m.Source, Device: m.Place})
	}
	bad := func(code backup.Code, hint, format string, args ...any) error {
		return failure(op, code, hint, format, args...)
	}
	switch {
	case len(st.Disks) == 0:
		return bad(backup.ErrInvalid, "name devices that the set has, other than the root device", "there is nothing to attach")
	case len(st.Disks) > maxDisks:
		return bad(backup.ErrUnsupported, "swap them in parts, with SwapOptions.Devices", "%d disks, more than %d", len(st.Disks), maxDisks)
	}
	seen := map[string]bool{}
	for i, d := range st.Disks {
		switch {
		case d.Device == "":
			return bad(backup.ErrInvalid, "name the device in the options", "the recovery point does not tell the device of snapshot %s", d.Snapshot)
		case seen[d.Device]:
			return bad(backup.ErrConflict, "swap the members one by one", "two snapshots for the device %s", d.Device)
		case d.Device == root:
			return bad(backup.ErrUnsupported, "make an image of the snapshot, or use EC2's replacement of root volumes", "%s is the root device", d.Device)
		case op.Action == ActionBeside && present[d.Device] != "":
			return bad(backup.ErrConflict, "name a free device", "the device %s is in use by %s", d.Device, present[d.Device])
		}
		seen[d.Device] = true
		st.Disks[i].Old = present[d.Device]
	}
	for _, w := range st.Wanted {
		if !seen[w] {
			return bad(backup.ErrInvalid, "correct the devices: a misspelt one must not be left out in silence", "the recovery point has no volume for the device %s", w)
		}
	}
	slices.SortFunc(st.Disks, func(a, b disk) int { return strings.Compare(a.Device, b.Device) })
	return nil
}

// lookDetach finds the volume that is to be given back.
func (s *Strategy) lookDetach(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, error) {
	found, err := s.disks(ctx, c, op.Ref, []Disk{{Volume: op.Ref.ID}})
	if err != nil {
		return op, err
	}
	v, ok := found[op.Ref.ID]
	if !ok {
		if over, err := s.lost(&op, &st, s.opts.Settle); !over {
			return op, err
		}
		op.Fail(failure(op, backup.ErrNotFound, "check the id, the account and the Region", "no such volume"))
		return op, nil
	}
	tags := map[string]string{}
	for _, t := range v.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	st.Instance = tags[TagBeside]
	if st.Instance == "" || tags[backup.TagOwner] != op.Owner {
		op.Fail(failure(op, backup.ErrConflict, "set Spec.Owner to the owner; what StartBeside has not made is not detached", "the volume has the owner %q and was attached beside %q", tags[backup.TagOwner], st.Instance))
		return op, nil
	}
	st.Lost = time.Time{}
	// Where it is not attached, as far as can be seen, the call shows whether that is so.
	st.Disks = []disk{{New: op.Ref.ID, Device: tags[ebs.TagDevice]}}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageUnmount, "Unmount")
	return op, nil
}

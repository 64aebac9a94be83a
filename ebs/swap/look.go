package swap

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
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
	Root     bool     `json:"r,omitempty"`
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
	// Off tells that DetachVolume was called and has answered, at least once: it may be called again.
	Off bool `json:"of,omitempty"`
	// Began is when the present detaching, or attaching, began.
	Began time.Time `json:"b,omitzero"`
	// Tries counts the failures of the present hook.
	Tries int `json:"n,omitempty"`
	// Lost is since when something that must be there has not been seen.
	Lost time.Time `json:"l,omitzero"`
	// Why is why the first of the old volumes that are Out could not be attached again.
	Why string `json:"y,omitempty"`
	// untouched tells, within a Step, that surely no DetachVolume was accepted. It is never stored: what is known of a call is not known of the next one.
	untouched bool
}

// disk is a device with its old and its new volume.
type disk struct {
	Snapshot string `json:"s,omitempty"`
	Source   string `json:"v,omitempty"`
	Device   string `json:"d"`
	Old      string `json:"o,omitempty"` // empty where there was none
	New      string `json:"n,omitempty"` // empty while it is not made
	// There tells that the new volume was attached already when the work was planned, by an earlier run of it.
	There bool `json:"th,omitempty"`
	// Stays tells that EC2 does not detach the old volume, so that it is where it was.
	Stays bool `json:"st,omitempty"`
	// Busy tells that a volume stays because the operating system did not let it go, though EC2 was asked to detach it.
	Busy bool `json:"by,omitempty"`
	// Out tells that the old volume could not be attached again.
	Out bool `json:"ou,omitempty"`
	// Left tells, where there was no old volume, that the new one was not detached when the work was taken back; it is Busy too where EC2 was asked to.
	Left bool `json:"lf,omitempty"`
	// Before tells that the device had no volume when the work was planned, though an earlier run of it had made the new volumes.
	Before bool `json:"bf,omitempty"`
}

// old and fresh give the disks with their old and with their new volumes, as far as there are any and they move.
func (st state) old() (all []Disk) {
	for _, d := range st.Disks {
		if d.Old != "" && !d.Stays && !d.Out {
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

// came gives the new volumes that were not there when the work was planned.
func (st state) came() (all []Disk) {
	for _, d := range st.Disks {
		if d.New != "" && !d.There {
			all = append(all, Disk{d.New, d.Device})
		}
	}
	return all
}

// there gives the old volumes that were not detached, or are attached again.
func (st state) there() (all []Disk) {
	for _, d := range st.Disks {
		if d.Old != "" && !d.Out {
			all = append(all, Disk{d.Old, d.Device})
		}
	}
	return all
}

// stay leaves an old volume where it is, which the operating system holds.
func (st *state) stay(volume string) {
	for i, d := range st.Disks {
		if d.Old == volume {
			st.Disks[i].Stays, st.Disks[i].Busy = true, true
		}
	}
}

// leave notes whether a new volume is left where no volume was before, and whether EC2 was asked to detach it.
func (st *state) leave(volume string, left, asked bool) {
	for i, d := range st.Disks {
		if d.New == volume && d.Old == "" && !d.There {
			st.Disks[i].Left, st.Disks[i].Busy = left, asked
		}
	}
}

// left reports whether it is known that a new volume is left.
func (st state) left(volume string) bool {
	return slices.ContainsFunc(st.Disks, func(d disk) bool { return d.New == volume && d.Left })
}

// giveUp has the others go on without an old volume that can not be attached again.
func (st *state) giveUp(volume string, why error) {
	for i, d := range st.Disks {
		if d.Old == volume {
			st.Disks[i].Out = true
		}
	}
	if st.Why == "" {
		st.Why = cut(why.Error())
	}
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

// byToken gives the volumes that carry the Operation's token, but those that are being deleted.
func (s *Strategy) byToken(ctx context.Context, c *awsec2.Client, op backup.Operation) (map[string]ec2types.Volume, error) {
	found, err := s.volumes(ctx, c, op.Ref, filter("tag:"+backup.TagToken, op.ID))
	maps.DeleteFunc(found, func(_ string, v ec2types.Volume) bool {
		return v.State == ec2types.VolumeStateDeleting || v.State == ec2types.VolumeStateDeleted
	})
	return found, err
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
	v, err := s.survey(ctx, c, op, &st)
	if err != nil {
		return op, err
	}
	if all := beforeRun(st); all != "" {
		op.Find(backup.Finding{ID: earlierID, Severity: backup.SeverityWarning, Ref: op.Ref, Remedy: "keep it until the swap has succeeded; swap.Replaced does not tell of it",
			Message: "an earlier run has perhaps detached what was at devices that are empty now; their snapshots are of " + all})
	}
	return s.surveyed(op, st, v, stageCreate, "CreateVolume")
}

// lookDetach finds the volume that is to be given back, and arms the unmounting.
func (s *Strategy) lookDetach(ctx context.Context, c *awsec2.Client, op backup.Operation, st state) (backup.Operation, error) {
	v, err := s.surveyDetach(ctx, c, op, &st)
	if err != nil {
		return op, err
	}
	return s.surveyed(op, st, v, stageUnmount, "Unmount")
}

// surveyed goes on to a stage, if what was seen allows that.
func (s *Strategy) surveyed(op backup.Operation, st state, v survey, stage, call string) (backup.Operation, error) {
	switch {
	case v.missing != nil:
		if over, err := s.lost(&op, &st, v.patience); !over {
			return op, err
		}
		op.Fail(v.missing)
		return op, nil
	case v.refused != nil:
		op.Fail(v.refused)
		return op, nil
	case v.notYet != "":
		// It was seen, and to be seen otherwise later is another thing, with a time of its own.
		st.Lost = time.Time{}
		if err := op.SetState(st); err != nil {
			return op, err
		}
		op.PollIn(s.opts.Park)
		op.Find(backup.Finding{ID: "ebs-swap.not-yet", Severity: backup.SeverityInfo, Ref: op.Ref, Message: v.notYet})
		return op, nil
	}
	st.Lost = time.Time{}
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stage, call)
	return op, nil
}

package swap

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
	"github.com/snapwarden/snapwarden/ebs"
)

// survey is what a look before the work has shown: to the first Step, which does what follows from it, and to Preflight, which tells it. At most one of
// missing, refused and notYet is set.
type survey struct {
	// missing is the error where something is not seen, or not as it has to be; it is believed after patience.
	missing  error
	patience time.Duration
	// refused is why the work can not be done, notYet why it can not be done now.
	refused error
	notYet  string
	// tight says that the instance perhaps takes no more volumes.
	tight string
	// instance is where the volumes go; that of a detachment is not looked at.
	instance ec2types.Instance
}

// survey looks at the recovery point, the instance and the snapshots, and plans the disks in st.
func (s *Strategy) survey(ctx context.Context, c *awsec2.Client, op backup.Operation, st *state) (v survey, err error) {
	p, found, err := s.point(ctx, op.Ref)
	if err != nil {
		return v, err
	}
	if !found {
		v.missing, v.patience = failure(op, backup.ErrNotFound, "check the id, the account and the Region", "no such recovery point"), s.opts.Settle
		return v, nil
	}
	switch p.Status {
	case backup.StatusAvailable:
	case backup.StatusPending:
		v.refused = failure(op, backup.ErrConflict, "wait for the backup to complete, then start the work with another token", "the recovery point is not complete yet")
		return v, nil
	default:
		v.refused = failure(op, backup.ErrUnsupported, "choose another recovery point, or restore what there is with package ebs", "the recovery point is %s", p.Status)
		return v, nil
	}
	v.instance, err = s.instance(ctx, c, op, st.Instance)
	if backup.CodeOf(err) == backup.ErrNotFound {
		v.missing, v.patience = err, min(patience, s.opts.Settle)
		return v, nil
	}
	if err != nil {
		return v, err
	}
	if v.notYet, v.refused = fit(op, v.instance); v.refused != nil || v.notYet != "" {
		return v, nil
	}
	if v.instance.Placement != nil {
		st.Zone = aws.ToString(v.instance.Placement.AvailabilityZone)
	}
	if v.refused = st.plan(op, p, v.instance); v.refused != nil {
		return v, nil
	}
	if err := s.again(ctx, c, op, st, &v); err != nil || v.refused != nil || v.missing != nil {
		return v, err
	}
	if err := s.earlier(ctx, c, op, st); err != nil {
		return v, err
	}
	if st.Root && !stopped(v.instance) {
		// What was stopped a moment ago may still be listed as running. Source: EC2 API, DetachVolume, for the root volume.
		v.missing, v.patience = failure(op, backup.ErrConflict, "stop the instance, start the work with another token, and leave it stopped until that ends",
			"the instance is not stopped, and EC2 detaches the root volume of a stopped one only"), min(patience, s.opts.Settle)
		return v, nil
	}
	if err := s.snapshots(ctx, c, op, *st, &v); err != nil || v.refused != nil || v.missing != nil {
		return v, err
	}
	if err := s.slots(ctx, c, op, *st, &v); err != nil || v.refused != nil {
		return v, err
	}
	if op.Action == ActionSwap && left(op) < room {
		v.refused = short(op, "nothing was made")
	}
	return v, nil
}

// fit says why volumes of an instance can not be moved now, or not at all.
func fit(op backup.Operation, x ec2types.Instance) (notYet string, refused error) {
	state := ec2types.InstanceStateNameRunning
	if x.State != nil {
		state = x.State.Name
	}
	switch state {
	case ec2types.InstanceStateNameRunning:
	case ec2types.InstanceStateNameStopped:
		// Its memory still has the file systems mounted, and writes what it remembers of the old volumes onto the new ones when it goes on.
		// Source: EC2 API, StateReason; EC2 user guide, "Hibernate your Amazon EC2 instance".
		if r := x.StateReason; r != nil && aws.ToString(r.Code) == "Client.UserInitiatedHibernate" {
			return "", failure(op, backup.ErrConflict, "start the instance, and stop it without hibernation or leave it running; then start the work with another token", "the instance hibernates, with its disks in use")
		}
	case ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNameShuttingDown:
		return "", failure(op, backup.ErrNotFound, "choose another instance", "the instance is %s", state)
	default:
		return "the instance is " + string(state), nil
	}
	if x.OutpostArn != nil {
		return "", failure(op, backup.ErrUnsupported, "make the volume on the Outpost by hand", "the instance is on the Outpost %s", *x.OutpostArn)
	}
	return "", nil
}

// again looks at the volumes that are at the planned devices now. One that carries this Operation's token was attached by a run of which nothing is
// remembered, such as one without a Store: it is what is wanted there, and must not pass for an old one.
func (s *Strategy) again(ctx context.Context, c *awsec2.Client, op backup.Operation, st *state, v *survey) error {
	found, err := s.disks(ctx, c, op.Ref, st.old())
	if err != nil {
		return err
	}
	for i, d := range st.Disks {
		x, seen := found[d.Old]
		switch ours := tagMap(x.Tags)[backup.TagToken] == op.ID; {
		case d.Old == "":
		case !seen:
			v.missing, v.patience = failure(op, backup.ErrNotFound, "look at the instance: a volume that it lists is not there", "%s at %s is not visible", d.Old, d.Device), s.opts.Settle
			return nil
		case ours && aws.ToString(x.SnapshotId) != d.Snapshot:
			v.refused = failure(op, backup.ErrConflict, "look who has moved it, and start the work with another token", "%s at %s was made by this work for another device", d.Old, d.Device)
			return nil
		case ours:
			st.Disks[i].Old, st.Disks[i].New, st.Disks[i].There = "", d.Old, true
		case op.Action == ActionBeside:
			v.refused = failure(op, backup.ErrConflict, "name a free device", "the device %s is in use by %s", d.Device, d.Old)
			return nil
		}
	}
	return nil
}

// earlier looks at the planned devices without a volume. Where a run of which nothing is remembered has made its volumes, it has perhaps detached what was
// there, and this run would not know of it.
func (s *Strategy) earlier(ctx context.Context, c *awsec2.Client, op backup.Operation, st *state) error {
	empty := func(d disk) bool { return d.Old == "" && d.New == "" }
	if op.Action != ActionSwap || !slices.ContainsFunc(st.Disks, empty) {
		return nil
	}
	found, err := s.byToken(ctx, c, op)
	if err != nil || len(found) == 0 {
		return err
	}
	for i, d := range st.Disks {
		st.Disks[i].Before = empty(d)
	}
	return nil
}

func tagMap(tags []ec2types.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		m[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return m
}

func stopped(x ec2types.Instance) bool {
	return x.State != nil && x.State.Name == ec2types.InstanceStateNameStopped
}

// sizes are the least and the most GiB of volumes by their type. A type that is not among them is left to EC2. Source: EC2 API, CreateVolume, Size.
var sizes = map[ec2types.VolumeType][2]int32{
	ec2types.VolumeTypeGp2: {1, 16_384}, ec2types.VolumeTypeGp3: {1, 65_536}, ec2types.VolumeTypeStandard: {1, 1024},
	ec2types.VolumeTypeSt1: {125, 16_384}, ec2types.VolumeTypeSc1: {125, 16_384},
}

// kind is the type of the new volumes.
func (st state) kind() ec2types.VolumeType {
	if st.Type == "" {
		return ec2types.VolumeTypeGp3
	}
	return ec2types.VolumeType(st.Type)
}

// snapshots sees whether volumes can be made of the planned snapshots: what is archived has to be brought back first, and a volume is as large as its
// snapshot, which its type must allow.
func (s *Strategy) snapshots(ctx context.Context, c *awsec2.Client, op backup.Operation, st state, v *survey) error {
	var ids []string
	for _, d := range st.Disks {
		ids = append(ids, d.Snapshot)
	}
	in := &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(1000), Filters: []ec2types.Filter{filter("snapshot-id", ids...)}}
	for {
		out, err := c.DescribeSnapshots(ctx, in)
		if err != nil {
			return table.Wrap(Kind, "DescribeSnapshots", op.Ref, err)
		}
		for _, x := range out.Snapshots {
			id, size := aws.ToString(x.SnapshotId), aws.ToInt32(x.VolumeSize)
			ids = slices.DeleteFunc(ids, func(s string) bool { return s == id })
			limits, known := sizes[st.kind()]
			switch {
			case x.StorageTier == ec2types.StorageTierArchive:
				v.refused = failure(op, backup.ErrUnsupported, "restore it with the StartUnarchive of package ebs first; that takes up to 72 hours", "snapshot %s is in the archive tier", id)
			case known && (size < limits[0] || size > limits[1]):
				v.refused = failure(op, backup.ErrInvalid, "choose another VolumeType", "snapshot %s has %d GiB, and volumes of the type %s have %d to %d", id, size, st.kind(), limits[0], limits[1])
			}
		}
		if aws.ToString(out.NextToken) == "" {
			break
		}
		in.NextToken = out.NextToken
	}
	if len(ids) > 0 && v.refused == nil {
		v.missing, v.patience = failure(op, backup.ErrNotFound, "somebody else deleted it: choose another recovery point", "snapshot %s does not exist", ids[0]), s.opts.Settle
	}
	return nil
}

// slots sees whether the instance takes as many volumes more as there are devices without one. What AWS does not tell, or the caller may not ask, only
// AttachVolume shows. Source: EC2 API, EbsInfo; EC2 user guide, "Amazon EBS volume limits for Amazon EC2 instances". That the root volume counts, and the
// first network interface does not: UNVERIFIED.
func (s *Strategy) slots(ctx context.Context, c *awsec2.Client, op backup.Operation, st state, v *survey) error {
	more, there, leaving := 0, 0, 0
	old := map[string]bool{}
	for _, d := range st.Disks {
		if old[d.Old] = true; d.Old == "" && d.New == "" {
			more++
		}
	}
	for _, m := range v.instance.BlockDeviceMappings {
		switch {
		case m.Ebs == nil:
		case m.Ebs.Status == ec2types.AttachmentStatusDetaching && !old[aws.ToString(m.Ebs.VolumeId)]:
			leaving++ // somebody detaches it, and nothing comes in its place
		default:
			there++
		}
	}
	if more == 0 {
		return nil
	}
	out, err := c.DescribeInstanceTypes(ctx, &awsec2.DescribeInstanceTypesInput{InstanceTypes: []ec2types.InstanceType{v.instance.InstanceType}})
	if err != nil {
		err = table.Wrap(Kind, "DescribeInstanceTypes", op.Ref, err)
		if code := backup.CodeOf(err); code == backup.ErrThrottled || code == backup.ErrUnavailable {
			return err
		}
		return nil
	}
	for _, x := range out.InstanceTypes {
		if x.InstanceType != v.instance.InstanceType || x.EbsInfo == nil || aws.ToInt32(x.EbsInfo.MaximumEbsAttachments) <= 0 {
			continue
		}
		most := int(*x.EbsInfo.MaximumEbsAttachments)
		interfaces := max(len(v.instance.NetworkInterfaces)-1, 0)
		switch {
		case there+more > most:
			v.refused = failure(op, backup.ErrQuota, "detach some volumes, name fewer devices, or take a larger instance", "an instance of the type %s takes %d volumes, it has %d, and %d more are to be attached", x.InstanceType, most, there, more)
		case x.EbsInfo.AttachmentLimitType == ec2types.AttachmentLimitTypeShared && there+more+interfaces > most:
			v.tight = fmt.Sprintf("an instance of the type %s takes %d volumes, less its network interfaces: it has %d of these and %d volumes, and %d more are to be attached", x.InstanceType, most, interfaces+1, there, more)
		case there+leaving+more > most:
			v.tight = fmt.Sprintf("an instance of the type %s takes %d volumes, it has %d, of which %d are being detached, and %d more are to be attached", x.InstanceType, most, there+leaving, leaving, more)
		}
	}
	return nil
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
		case st.Root && (device[d.Source] == "" || device[d.Source] == root):
			d.Device = root
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
		if len(st.Wanted) > 0 && !slices.Contains(st.Wanted, m.Place) || len(st.Wanted) == 0 && st.Root != (m.Role == "root" || m.Place == root) {
			continue
		}
		st.Disks = append(st.Disks, disk{Snapshot: m.ID, Source: m.Source, Device: m.Place})
	}
	bad := func(code backup.Code, hint, format string, args ...any) error {
		return failure(op, code, hint, format, args...)
	}
	if st.Root {
		if refused := st.root(op, p, root); refused != nil {
			return refused
		}
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
		case d.Device == root && !st.Root:
			hint := "make an image of the snapshot, or use EC2's replacement of root volumes"
			if op.Action == ActionSwap && stopped(x) {
				hint = "set SwapOptions.Root, make an image of the snapshot, or use EC2's replacement of root volumes"
			}
			return bad(backup.ErrUnsupported, hint, "%s is the root device", d.Device)
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

// root says why what is planned can not be the root volume.
func (st *state) root(op backup.Operation, p backup.RecoveryPoint, device string) error {
	was, place := p.Tags[ebs.TagRoot], ""
	if len(st.Disks) == 1 {
		place = ebs.Devices(p.Tags)[st.Disks[0].Source] // also known of a volume that is not attached here now
	}
	switch {
	case len(st.Disks) != 1:
		return failure(op, backup.ErrInvalid, "choose a recovery point with one root volume", "the recovery point has %d volumes for the root device %s", len(st.Disks), device)
	case st.Disks[0].Device != device:
		return failure(op, backup.ErrConflict, "choose an instance with the same root device, or make an image", "the snapshot was of the device %s, and the root device is %s", st.Disks[0].Device, device)
	case was != "" && was != st.Disks[0].Source:
		return failure(op, backup.ErrConflict, "choose the snapshot of the root volume", "%s is of a data volume", st.Disks[0].Snapshot)
	case place != "" && place != device:
		return failure(op, backup.ErrConflict, "choose the snapshot of the root volume, or an instance with the same root device", "the snapshot was of the device %s, and the root device is %s", place, device)
	}
	return nil
}

// surveyDetach looks at the volume that is to be given back.
func (s *Strategy) surveyDetach(ctx context.Context, c *awsec2.Client, op backup.Operation, st *state) (v survey, err error) {
	found, err := s.disks(ctx, c, op.Ref, []Disk{{Volume: op.Ref.ID}})
	if err != nil {
		return v, err
	}
	volume, ok := found[op.Ref.ID]
	if !ok {
		v.missing, v.patience = failure(op, backup.ErrNotFound, "check the id, the account and the Region", "no such volume"), s.opts.Settle
		return v, nil
	}
	tags := tagMap(volume.Tags)
	st.Instance = tags[TagBeside]
	if st.Instance == "" || tags[backup.TagOwner] != op.Owner {
		v.refused = failure(op, backup.ErrConflict, "set Spec.Owner to the owner; what StartBeside has not made is not detached", "the volume has the owner %q and was attached beside %q", tags[backup.TagOwner], st.Instance)
		return v, nil
	}
	// Where it is not attached, as far as can be seen, the call shows whether that is so.
	st.Disks = []disk{{New: op.Ref.ID, Device: tags[ebs.TagDevice]}}
	return v, nil
}

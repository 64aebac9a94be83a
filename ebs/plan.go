package ebs

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// targetPlan is what a backup would take.
type targetPlan struct {
	volumes, devices []string
	root             int
	notYet           string // why it can not be done now
}

// targets looks at what is to be backed up. Its errors are the library's.
func (s *Strategy) targets(ctx context.Context, c *awsec2.Client, r backup.Ref, st backupState) (targetPlan, error) {
	if r.Type == TypeVolume {
		return s.volumeTarget(ctx, c, r)
	}
	x, err := s.instance(ctx, c, r)
	if err != nil {
		return targetPlan{}, err
	}
	if x.State != nil {
		switch x.State.Name {
		case ec2types.InstanceStateNamePending:
			return targetPlan{notYet: "the instance is pending"}, nil
		case ec2types.InstanceStateNameTerminated, ec2types.InstanceStateNameShuttingDown:
			return targetPlan{}, &backup.Error{Op: "backup", Kind: Kind, Ref: r, Code: backup.ErrNotFound,
				Err: errText("the instance is " + string(x.State.Name)), Hint: "its volumes may still exist: back them up one by one"}
		}
	}
	p := targetPlan{root: -1}
	excluded := map[string]bool{}
	for _, v := range st.Exclude {
		excluded[v] = true
	}
	mappings := slices.Clone(x.BlockDeviceMappings)
	slices.SortFunc(mappings, func(a, b ec2types.InstanceBlockDeviceMapping) int {
		return strings.Compare(aws.ToString(a.DeviceName), aws.ToString(b.DeviceName))
	})
	for _, m := range mappings {
		if m.Ebs == nil || m.Ebs.VolumeId == nil {
			continue
		}
		id, root := *m.Ebs.VolumeId, aws.ToString(m.DeviceName) == aws.ToString(x.RootDeviceName)
		if root && excluded[id] {
			return targetPlan{}, &backup.Error{Op: "backup", Kind: Kind, Ref: r, Code: backup.ErrInvalid,
				Err: errText(id + " is the root volume"), Hint: "leave the root volume out with ExcludeBoot, not with ExcludeVolumes"}
		}
		if root && st.ExcludeBoot || excluded[id] {
			delete(excluded, id)
			continue
		}
		if root {
			p.root = len(p.volumes)
		}
		p.volumes = append(p.volumes, id)
		p.devices = append(p.devices, aws.ToString(m.DeviceName))
	}
	for v := range excluded {
		return targetPlan{}, &backup.Error{Op: "backup", Kind: Kind, Ref: r, Code: backup.ErrInvalid,
			Err: errText("the volume " + v + " that is to be left out is not attached"), Hint: "correct ExcludeVolumes: a misspelt id must not put a volume into the set"}
	}
	switch n := len(p.volumes); {
	case n == 0:
		return targetPlan{}, &backup.Error{Op: "backup", Kind: Kind, Ref: r, Code: backup.ErrInvalid,
			Err: errText("the instance has no EBS volume that is not left out"), Hint: "leave fewer out"}
	case n > maxMembers:
		return targetPlan{}, &backup.Error{Op: "backup", Kind: Kind, Ref: r, Code: backup.ErrUnsupported,
			Err: errText("the instance has more than 128 EBS volumes"), Hint: "EC2 snapshots at most 128 volumes at one moment: leave some out"}
	}
	return p, nil
}

func (s *Strategy) volumeTarget(ctx context.Context, c *awsec2.Client, r backup.Ref) (targetPlan, error) {
	v, err := s.volume(ctx, c, r)
	if err != nil {
		return targetPlan{}, err
	}
	p := targetPlan{volumes: []string{r.ID}, devices: []string{""}, root: -1}
	for _, a := range v.Attachments {
		p.devices[0] = aws.ToString(a.Device)
	}
	switch v.State {
	case ec2types.VolumeStateCreating:
		p.notYet = "the volume is being created"
	case ec2types.VolumeStateDeleting, ec2types.VolumeStateDeleted:
		return p, &backup.Error{Op: "backup", Kind: Kind, Ref: r, Code: backup.ErrNotFound, Err: errText("the volume is " + string(v.State))}
	case ec2types.VolumeStateError:
		return p, &backup.Error{Op: "backup", Kind: Kind, Ref: r, Code: backup.ErrUnsupported, Err: errText("the volume is in state error"),
			Hint: "its key may be disabled; such a volume has no data to back up"}
	}
	return p, nil
}

// volume gives one volume, or ErrNotFound.
func (s *Strategy) volume(ctx context.Context, c *awsec2.Client, r backup.Ref) (ec2types.Volume, error) {
	out, err := c.DescribeVolumes(ctx, &awsec2.DescribeVolumesInput{VolumeIds: []string{r.ID}})
	if err != nil {
		return ec2types.Volume{}, table.Wrap(Kind, "DescribeVolumes", r, err)
	}
	for _, v := range out.Volumes {
		if aws.ToString(v.VolumeId) == r.ID {
			return v, nil
		}
	}
	return ec2types.Volume{}, &backup.Error{Op: "DescribeVolumes", Kind: Kind, Ref: r, Code: backup.ErrNotFound, Err: errText("no such volume"),
		Hint: "check the volume id, the account and the Region"}
}

// instance gives one instance, or ErrNotFound. One that belongs to another account is refused: its volumes can not be snapshotted.
func (s *Strategy) instance(ctx context.Context, c *awsec2.Client, r backup.Ref) (ec2types.Instance, error) {
	out, err := c.DescribeInstances(ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{r.ID}})
	if err != nil {
		return ec2types.Instance{}, table.Wrap(Kind, "DescribeInstances", r, err)
	}
	for _, res := range out.Reservations {
		for _, x := range res.Instances {
			if aws.ToString(x.InstanceId) != r.ID {
				continue
			}
			if o := aws.ToString(res.OwnerId); o != "" && o != r.Account {
				return ec2types.Instance{}, &backup.Error{Op: "DescribeInstances", Kind: Kind, Ref: r, Code: backup.ErrInvalid,
					Err: errText("the instance belongs to account " + o), Hint: "use that account in the Ref, and credentials of it"}
			}
			return x, nil
		}
	}
	return ec2types.Instance{}, &backup.Error{Op: "DescribeInstances", Kind: Kind, Ref: r, Code: backup.ErrNotFound, Err: errText("no such instance"),
		Hint: "check the instance id, the account and the Region"}
}

type errText string

func (e errText) Error() string { return string(e) }

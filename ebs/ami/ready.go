package ami

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// LaunchReady looks at an image and says what is in the way of launching an instance from it: a state other than available, a snapshot that is missing, in
// error, not complete or in the archive tier. No finding of SeverityError means that EC2 should launch it, as far as that can be seen without doing so:
// whether the caller may use its keys, and whether the operating system starts, only a launch shows. An error means that it could not be looked at.
func (s *Strategy) LaunchReady(ctx context.Context, r backup.Ref) ([]backup.Finding, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	if err := validRef("look", r, TypeImage); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, r)
	if err != nil {
		return nil, err
	}
	x, found, err := image(ctx, c, r)
	if err != nil {
		return nil, err
	}
	if !found {
		return []backup.Finding{{ID: "ami.not-found", Severity: backup.SeverityError, Ref: r, Message: "no such image is visible",
			Remedy: "check the id, the account and the Region; something new may take minutes to be visible"}}, nil
	}
	all, err := s.ready(ctx, c, r, x)
	if x.State != ec2types.ImageStateAvailable && x.State != ec2types.ImageStateDisabled {
		all = append([]backup.Finding{{ID: "ami.state", Severity: backup.SeverityError, Ref: r, Message: "the image is " + string(x.State), Remedy: "wait for it, or choose another image"}}, all...)
	}
	return all, err
}

// ready gives what is wrong with an image and its snapshots, the worst first.
func (s *Strategy) ready(ctx context.Context, c *awsec2.Client, r backup.Ref, x ec2types.Image) ([]backup.Finding, error) {
	var bad, warn []backup.Finding
	add := func(list *[]backup.Finding, severity backup.Severity, id, remedy, format string, args ...any) {
		*list = append(*list, backup.Finding{ID: id, Severity: severity, Ref: r, Message: fmt.Sprintf(format, args...), Remedy: remedy})
	}
	if x.State == ec2types.ImageStateDisabled {
		add(&bad, backup.SeverityError, "ami.disabled", "enable it", "the image is disabled")
	}
	if t, err := time.Parse(time.RFC3339, aws.ToString(x.DeprecationTime)); err == nil && !t.After(time.Now()) {
		add(&warn, backup.SeverityWarning, "ami.deprecated", "it can still be launched by its id", "the image is deprecated since %s", t.UTC().Format(time.RFC3339))
	}
	ids := snapshotsOf(x)
	if len(ids) == 0 {
		add(&bad, backup.SeverityError, "ami.no-snapshots", "make another image", "the image has no snapshot")
		return append(bad, warn...), nil
	}
	found, err := snapshots(ctx, c, r, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		m, ok := found[id]
		switch {
		case !ok:
			add(&bad, backup.SeverityError, "ami.snapshot-missing", "make another image", "snapshot %s of the image does not exist", id)
		case m.StorageTier == ec2types.StorageTierArchive:
			add(&bad, backup.SeverityError, "ami.snapshot-archived", "restore it from the archive tier", "snapshot %s of the image is archived", id)
		case m.State == ec2types.SnapshotStatePending:
			add(&bad, backup.SeverityError, "ami.snapshot-pending", "wait for it", "snapshot %s of the image is not complete", id)
		case m.State != ec2types.SnapshotStateCompleted:
			add(&bad, backup.SeverityError, "ami.snapshot-state", "make another image", "snapshot %s of the image is %s: %s", id, m.State, aws.ToString(m.StateMessage))
		}
	}
	return append(bad, warn...), nil
}

// Preflight reads what op would act on and says what is in the way, and that a backup will reboot the instance, where it will.
func (s *Strategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	if op.Action == backup.ActionBackup {
		var st makeState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		return s.preflightBackup(ctx, c, op, st)
	}
	x, found, err := image(ctx, c, op.Ref)
	if err != nil {
		return nil, err
	}
	if !found {
		return []backup.Finding{{ID: "ami.not-found", Severity: backup.SeverityError, Ref: op.Ref, Message: "no such image is visible",
			Remedy: "check the id, the account and the Region; something new may take minutes to be visible"}}, nil
	}
	if op.Action == backup.ActionDelete {
		var st deleteState
		if err := op.GetState(&st); err != nil {
			return nil, err
		}
		if refused := mayDelete(op, st, x); refused != nil {
			return []backup.Finding{finding(op, refused)}, nil
		}
		st.Token, st.Snapshots = tagMap(x.Tags)[backup.TagToken], snapshotsOf(x)
		refused, _, err := s.vetoes(ctx, c, op, st)
		if err != nil {
			return nil, err
		}
		if refused != nil {
			return []backup.Finding{finding(op, refused)}, nil
		}
		return nil, nil
	}
	if x.State != ec2types.ImageStateAvailable {
		return []backup.Finding{{ID: "ami.state", Severity: backup.SeverityError, Ref: op.Ref, Message: "the image is " + string(x.State), Remedy: "only an image that is available can be copied"}}, nil
	}
	return s.ready(ctx, c, op.Ref, x)
}

func (s *Strategy) preflightBackup(ctx context.Context, c *awsec2.Client, op backup.Operation, st makeState) ([]backup.Finding, error) {
	x, err := s.instance(ctx, c, op.Ref)
	if err != nil {
		if code := backup.CodeOf(err); code == backup.ErrNotFound || code == backup.ErrInvalid || code == backup.ErrDenied {
			return []backup.Finding{finding(op, err)}, nil
		}
		return nil, err
	}
	var all []backup.Finding
	switch why, gone := unfit(x); {
	case gone:
		all = append(all, backup.Finding{ID: "ami.instance-gone", Severity: backup.SeverityError, Ref: op.Ref, Message: why, Remedy: "its volumes may still exist: back them up with package ebs"})
	case why != "":
		all = append(all, backup.Finding{ID: "ami.not-yet", Severity: backup.SeverityWarning, Ref: op.Ref, Message: why, Remedy: "the backup waits for it"})
	}
	running := x.State != nil && x.State.Name == ec2types.InstanceStateNameRunning
	switch {
	case running && st.Reboot:
		all = append(all, backup.Finding{ID: "ami.reboot", Severity: backup.SeverityWarning, Ref: op.Ref, Message: "the instance will be rebooted", Remedy: "leave BackupOptions.Reboot false for an image that is consistent as after a crash"})
	case running:
		all = append(all, backup.Finding{ID: "ami.crash-consistent", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "the instance is not rebooted: the image will be consistent as after a crash", Remedy: "stop the instance first, or set BackupOptions.Reboot"})
	}
	return all, nil
}

package swap

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

// Preflight looks at what the first Step looks at, with the same eyes, and tells what is in the way: a recovery point that is missing, incomplete or
// archived, an instance that is gone, hibernates or is changing its state, a root device, a device that is in use or not known, a volume type that does
// not take a snapshot of that size, more volumes than the instance takes, too little time. It says which volumes would be replaced, and warns where a volume is attached and the Strategy has no
// Hooks to unmount it.
//
// Whether the caller may make the calls that change something, and whether a key can be used, only the calls show; a key that can not be fails the work
// before anything is unmounted.
func (s *Strategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	c, err := s.client(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	var v survey
	switch op.Action {
	case ActionSwap, ActionBeside:
		v, err = s.survey(ctx, c, op, &st)
	case ActionDetach:
		v, err = s.surveyDetach(ctx, c, op, &st)
	default:
		err = &backup.Error{Op: string(op.Action), Kind: Kind, Ref: op.Ref, Code: backup.ErrUnsupported}
	}
	switch backup.CodeOf(err) {
	case "":
	case backup.ErrDenied, backup.ErrNotFound, backup.ErrInvalid:
		v.refused = err // to look again will not mend it
	default:
		return nil, err
	}
	finding := func(id string, severity backup.Severity, remedy, format string, args ...any) backup.Finding {
		return backup.Finding{ID: "ebs-swap." + id, Severity: severity, Ref: op.Ref, Message: fmt.Sprintf(format, args...), Remedy: remedy}
	}
	switch {
	case backup.CodeOf(v.missing) == backup.ErrNotFound:
		return []backup.Finding{finding("not-found", backup.SeverityError, backup.HintOf(v.missing)+"; something new may take minutes to be visible", "%s", reason(v.missing))}, nil
	case v.missing != nil, v.refused != nil:
		if v.refused == nil {
			v.refused = v.missing
		}
		return []backup.Finding{finding("refused", backup.SeverityError, backup.HintOf(v.refused), "%s", reason(v.refused))}, nil
	case v.notYet != "":
		return []backup.Finding{finding("not-yet", backup.SeverityWarning, "the work waits for it", "%s", v.notYet)}, nil
	}
	if op.Action == ActionDetach {
		if s.opts.Hooks == nil {
			return []backup.Finding{finding("no-hooks", backup.SeverityWarning, unmount, "%s is detached, and nothing unmounts it", op.Ref.ID)}, nil
		}
		return nil, nil
	}
	var warn, info []backup.Finding
	for i, d := range st.Disks {
		switch {
		case i == maxNamed:
			info = append(info, finding("replaces", backup.SeverityInfo, "", "and %d more devices", len(st.Disks)-maxNamed))
		case i > maxNamed, op.Action == ActionBeside, d.There:
		case d.Old == "":
			warn = append(warn, finding("empty", backup.SeverityWarning, "name the wanted devices in SwapOptions.Devices if it is to stay so", "there is no volume at %s, and a new one of %s will be", d.Device, d.Snapshot))
		default:
			f := finding("replaces", backup.SeverityInfo, "it is kept, detached and as it is", "%s at %s will be replaced by a new volume of %s", d.Old, d.Device, d.Snapshot)
			f.Ref = ebs.Volume(op.Ref.Account, op.Ref.Region, d.Old)
			info = append(info, f)
		}
	}
	for _, m := range v.instance.BlockDeviceMappings {
		if m.Ebs == nil || m.Ebs.Status != ec2types.AttachmentStatusDetaching && m.Ebs.Status != ec2types.AttachmentStatusAttaching {
			continue
		}
		for _, d := range st.Disks {
			if d.Old == aws.ToString(m.Ebs.VolumeId) {
				f := finding("busy", backup.SeverityWarning, "see who else works on the instance", "%s at %s is %s", d.Old, d.Device, m.Ebs.Status)
				f.Ref = ebs.Volume(op.Ref.Account, op.Ref.Region, d.Old)
				warn = append(warn, f)
			}
		}
	}
	if v.tight != "" {
		warn = append(warn, finding("slots", backup.SeverityWarning, "if AttachVolume refuses, the work is taken back: detach some volumes or network interfaces", "%s", v.tight))
	}
	if s.opts.Hooks == nil && !stopped(v.instance) && len(st.old()) > 0 {
		warn = append([]backup.Finding{finding("no-hooks", backup.SeverityWarning, unmount, "the instance is running, and nothing unmounts the %d volumes before they are detached", len(st.old()))}, warn...)
	}
	return append(warn, info...), nil
}

// unmount is the remedy where there are no hooks.
const unmount = "give Options.Hooks, or unmount by hand before: what is mounted when its volume is detached may be damaged, and a detachment may hang"

// reason is the cause of an error without its place.
func reason(err error) string {
	var e *backup.Error
	if errors.As(err, &e) && e.Err != nil {
		return e.Err.Error()
	}
	return err.Error()
}

var (
	_ backup.Preflighter = (*Strategy)(nil)
	_ backup.Canceler    = (*Strategy)(nil)
)

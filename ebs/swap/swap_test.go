package swap_test

import (
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

func (b *bench) start(t *testing.T, s *swap.Strategy, point backup.Ref, devices ...string) backup.Operation {
	t.Helper()
	op, err := s.Start(t.Context(), point, backup.Spec{Token: "t", Tags: map[string]string{"team": "orders"}, Options: swap.SwapOptions{Instance: b.instance.ID, Devices: devices}})
	return finish(t, s, op, err)
}

func TestSwap(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		op := b.start(t, s, b.set)
		want(t, op, backup.PhaseSucceeded, "")
		for _, v := range append(b.swapped(op), b.kept()...) {
			t.Error(v)
		}
		replaced, err := swap.Replaced(op)
		if d := cmp.Diff([]swap.Disk{{Volume: b.old["/dev/sdf"], Device: "/dev/sdf"}, {Volume: b.old["/dev/sdg"], Device: "/dev/sdg"}}, replaced); d != "" || err != nil {
			t.Errorf("replaced: %v %s", err, d)
		}
		if made := b.made(op); len(op.Made) != 2 || made[0].Tags["team"] != "orders" || made[0].Tags[ebs.TagVolume] != b.old["/dev/sdf"] || made[0].Tags[ebs.TagDevice] != "/dev/sdf" {
			t.Errorf("%v %+v", op.Made, made)
		}
		if d := cmp.Diff([]string{"unmount", "mount"}, b.host.calls); d != "" {
			t.Errorf("hooks: %s", d)
		}
		// The old volumes can be put back by swapping nothing: they are free.
		for _, r := range replaced {
			for _, v := range b.ec2.Volumes(b.world, account, region) {
				if v.ID == r.Volume && v.State != "available" {
					t.Errorf("%s is %s", v.ID, v.State)
				}
			}
		}
	})
	// One device of the set, and a single snapshot, whose volume is attached now.
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		want(t, b.start(t, s, b.set, "/dev/sdg"), backup.PhaseSucceeded, "")
		now := b.attached()
		if now["/dev/sdf"] != b.old["/dev/sdf"] || now["/dev/sdg"] == b.old["/dev/sdg"] {
			t.Errorf("attached %v", now)
		}
		want(t, b.start(t, s, b.snapshot("/dev/sdf")), backup.PhaseSucceeded, "")
		if now := b.attached(); now["/dev/sdf"] == b.old["/dev/sdf"] {
			t.Errorf("attached %v", now)
		}
	})
	// A device at which there is nothing any more gets its volume; without hooks nothing is called.
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		v := b.old["/dev/sdf"]
		if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &v}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		plain := swap.NewFromConfig(b.world.Config(account, region))
		want(t, b.start(t, plain, b.snapshot("/dev/sdf")), backup.PhaseSucceeded, "")
		if now := b.attached(); now["/dev/sdf"] == "" || now["/dev/sdf"] == v || len(b.host.calls) > 0 {
			t.Errorf("attached %v, hooks %v", now, b.host.calls)
		}
	})
}

// Whatever fails before the new volumes are attached, the instance ends as it was.
func TestTakenBack(t *testing.T) {
	for _, c := range []struct {
		name  string
		fault awssim.Fault
		code  backup.Code
		hooks []string
	}{
		{"no volume is made", awssim.Fault{Operation: "CreateVolume", Skip: 1, Error: awssim.Error{Code: "VolumeLimitExceeded"}}, backup.ErrQuota, nil},
		{"a volume fails later", awssim.Fault{Operation: "CreateVolume", Kind: awssim.FaultAsync}, backup.ErrFailed, nil},
		{"nothing may be detached", awssim.Fault{Operation: "DetachVolume", Times: -1, Error: awssim.Error{Code: "UnauthorizedOperation"}}, backup.ErrDenied, []string{"unmount", "mount"}},
		{"the second is not detached", awssim.Fault{Operation: "DetachVolume", Skip: 1, Error: awssim.Error{Code: "OperationNotPermitted"}}, backup.ErrDenied, []string{"unmount", "mount"}},
		{"the first is not attached", awssim.Fault{Operation: "AttachVolume", Error: awssim.Error{Code: "AttachmentLimitExceeded"}}, backup.ErrQuota, []string{"unmount", "mount"}},
		{"the second is not attached", awssim.Fault{Operation: "AttachVolume", Skip: 1, Error: awssim.Error{Code: "AttachmentLimitExceeded"}}, backup.ErrQuota, []string{"unmount", "mount"}},
		{"the device stays in use", awssim.Fault{Operation: "AttachVolume", For: 7 * time.Minute, Error: awssim.Error{Code: "InvalidParameterValue", Message: "Attachment point /dev/sdf is already in use"}}, backup.ErrConflict, []string{"unmount", "mount"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				if c.fault.Kind == awssim.FaultNone {
					c.fault.Kind = awssim.FaultError
				}
				b.world.Inject(c.fault)
				op := b.start(t, s, b.set)
				want(t, op, backup.PhaseFailed, c.code)
				for _, v := range append(b.asWas(), b.kept()...) {
					t.Error(v)
				}
				if d := cmp.Diff(c.hooks, b.host.calls); d != "" {
					t.Errorf("hooks (-wanted +got):\n%s", d)
				}
				for _, v := range b.made(op) {
					if !contains(op.Made, v.ID) {
						t.Errorf("%s is listed nowhere", v.ID)
					}
				}
			})
		})
	}
}

func contains(all backup.Refs, id string) bool {
	for _, r := range all {
		if r.ID == id {
			return true
		}
	}
	return false
}

func TestHooksFail(t *testing.T) {
	for _, c := range []struct {
		name           string
		unmount, mount int
		phase          backup.Phase
		as             string // "was", "new", "unmounted"
		hooks          string
	}{
		{"twice busy", 2, 0, backup.PhaseSucceeded, "new", "unmount unmount unmount mount"},
		{"always busy", 3, 0, backup.PhaseFailed, "was", "unmount unmount unmount mount"},
		{"not mounted at first", 0, 2, backup.PhaseSucceeded, "new", "unmount mount mount mount"},
		{"never mounted", 0, 3, backup.PhaseFailed, "unmounted", "unmount mount mount mount"},
		{"busy, and not mounted again", 3, 3, backup.PhaseFailed, "", "unmount unmount unmount mount mount mount"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				b.host.fail["unmount"], b.host.fail["mount"] = c.unmount, c.mount
				op := b.start(t, s, b.set)
				code := backup.Code("")
				if c.phase == backup.PhaseFailed {
					code = backup.ErrFailed
				}
				want(t, op, c.phase, code)
				if got := strings.Join(b.host.calls, " "); got != c.hooks {
					t.Errorf("hooks: %s", got)
				}
				var bad []string
				switch now := b.attached(); c.as {
				case "was":
					bad = b.asWas()
				case "new":
					bad = b.swapped(op)
				case "unmounted":
					if now["/dev/sdf"] == b.old["/dev/sdf"] || now["/dev/sdf"] == "" {
						t.Errorf("attached %v", now)
					}
				default:
					if now["/dev/sdf"] != b.old["/dev/sdf"] || !strings.Contains(op.Err().Error(), "could not be mounted") {
						t.Errorf("attached %v, %v", now, op.Err())
					}
				}
				for _, v := range append(bad, b.kept()...) {
					t.Error(v)
				}
			})
		})
	}
}

// What can not be taken back is said, with what is to be done.
func TestNotTakenBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		b.world.Inject(awssim.Fault{Operation: "AttachVolume", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}})
		op := b.start(t, s, b.set)
		want(t, op, backup.PhaseFailed, backup.ErrDenied)
		if !strings.Contains(op.Err().Error(), "could not be taken back") {
			t.Error(op.Err())
		}
		for _, v := range b.kept() {
			t.Error(v)
		}
	})
}

func TestBeside(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		op, err := s.StartBeside(t.Context(), b.snapshot("/dev/xvda"), backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		if v := b.attached()["/dev/sdz"]; len(op.Made) != 1 || v != op.Made[0].ID || !b.host.mounted[v] {
			t.Fatalf("attached %v", b.attached())
		}
		if r, err := swap.Replaced(op); len(r) > 0 || err != nil {
			t.Errorf("replaced %v %v", r, err)
		}
		other, err := s.StartDetach(t.Context(), op.Made[0], backup.Spec{Token: "d", Owner: "others"})
		want(t, finish(t, s, other, err), backup.PhaseFailed, backup.ErrConflict)
		foreign, err := s.StartDetach(t.Context(), ebs.Volume(account, region, b.old["/dev/sdf"]), backup.Spec{Token: "d"})
		want(t, finish(t, s, foreign, err), backup.PhaseFailed, backup.ErrConflict)
		missing, err := s.StartDetach(t.Context(), ebs.Volume(account, region, "vol-0123456789abcdef0"), backup.Spec{Token: "d"})
		want(t, finish(t, s, missing, err), backup.PhaseFailed, backup.ErrNotFound)
		b.host.fail["unmount"] = 3
		busy, err := s.StartDetach(t.Context(), op.Made[0], backup.Spec{Token: "busy"})
		want(t, finish(t, s, busy, err), backup.PhaseFailed, backup.ErrFailed)
		if v := b.attached()["/dev/sdz"]; v != op.Made[0].ID || !b.host.mounted[v] {
			t.Errorf("attached %v", b.attached())
		}
		in := b.world.Inject(awssim.Fault{Operation: "DetachVolume", Kind: awssim.FaultError, Error: awssim.Error{Code: "OperationNotPermitted", Message: "no"}})
		denied, err := s.StartDetach(t.Context(), op.Made[0], backup.Spec{Token: "denied"})
		want(t, finish(t, s, denied, err), backup.PhaseFailed, backup.ErrDenied)
		if v := b.attached()["/dev/sdz"]; in.Fired() != 1 || !b.host.mounted[v] {
			t.Errorf("attached %v", b.attached())
		}
		for _, token := range []string{"d", "again"} {
			back, err := s.StartDetach(t.Context(), op.Made[0], backup.Spec{Token: token})
			want(t, finish(t, s, back, err), backup.PhaseSucceeded, "")
			for _, v := range append(b.asWas(), b.kept()...) {
				t.Error(v)
			}
		}
	})
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		used, err := s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdg"}})
		want(t, finish(t, s, used, err), backup.PhaseFailed, backup.ErrConflict)
		b.world.Inject(awssim.Fault{Operation: "AttachVolume", Kind: awssim.FaultError, Error: awssim.Error{Code: "AttachmentLimitExceeded", Message: "no"}})
		full, err := s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "f", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
		full = finish(t, s, full, err)
		want(t, full, backup.PhaseFailed, backup.ErrQuota)
		if len(full.Made) != 1 || len(b.host.calls) > 0 {
			t.Errorf("made %v, hooks %v", full.Made, b.host.calls)
		}
		for _, v := range append(b.asWas(), b.kept()...) {
			t.Error(v)
		}
	})
}

// What is wrong is refused before anything is changed.
func TestRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		good := swap.SwapOptions{Instance: b.instance.ID}
		with := func(f func(*swap.SwapOptions)) backup.Spec {
			o := good
			f(&o)
			return backup.Spec{Token: "t", Options: o}
		}
		elsewhere := b.set
		elsewhere.Region = "us-east-1"
		for name, c := range map[string]struct {
			point backup.Ref
			spec  backup.Spec
		}{
			"no options":       {b.set, backup.Spec{Token: "t"}},
			"other options":    {b.set, backup.Spec{Token: "t", Options: swap.BesideOptions{}}},
			"no token":         {b.set, backup.Spec{Options: good}},
			"no instance":      {b.set, with(func(o *swap.SwapOptions) { o.Instance = "" })},
			"a wildcard":       {b.set, with(func(o *swap.SwapOptions) { o.Instance = "i-*" })},
			"a key's alias":    {b.set, with(func(o *swap.SwapOptions) { o.KMSKeyID = "alias/x" })},
			"a device twice":   {b.set, with(func(o *swap.SwapOptions) { o.Devices = []string{"/dev/sdf", "/dev/sdf"} })},
			"a device's name":  {b.set, with(func(o *swap.SwapOptions) { o.Devices = []string{"/dev/sd*"} })},
			"a volume type":    {b.set, with(func(o *swap.SwapOptions) { o.VolumeType = "gp3 x" })},
			"two for one":      {b.snapshot("/dev/sdf"), with(func(o *swap.SwapOptions) { o.Devices = []string{"/dev/sdf", "/dev/sdg"} })},
			"a name":           {b.set, backup.Spec{Token: "t", Name: "x", Options: good}},
			"an instance":      {b.instance, backup.Spec{Token: "t", Options: good}},
			"another Region":   {elsewhere, backup.Spec{Token: "t", Options: good}},
			"a bad snapshot":   {ebs.Snapshot(account, region, "snap-1"), backup.Spec{Token: "t", Options: good}},
			"a Region unknown": {ebs.Snapshot(account, "nowhere", b.snapshot("/dev/sdf").ID), backup.Spec{Token: "t", Options: good}},
		} {
			if _, err := s.Start(t.Context(), c.point, c.spec); backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		volume := ebs.Volume(account, region, b.old["/dev/sdf"])
		for name, try := range map[string]func() (backup.Operation, error){
			"beside without options": func() (backup.Operation, error) {
				return s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "t"})
			},
			"beside without a device": func() (backup.Operation, error) {
				return s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: b.instance.ID}})
			},
			"a set beside": func() (backup.Operation, error) {
				return s.StartBeside(t.Context(), b.set, backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
			},
			"a snapshot given back": func() (backup.Operation, error) {
				return s.StartDetach(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "t"})
			},
			"given back with options": func() (backup.Operation, error) {
				return s.StartDetach(t.Context(), volume, backup.Spec{Token: "t", Options: foreign{}})
			},
			"a bad volume": func() (backup.Operation, error) {
				return s.StartDetach(t.Context(), ebs.Volume(account, region, "vol-1"), backup.Spec{Token: "t"})
			},
		} {
			if _, err := try(); backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for name, c := range map[string]struct {
			point   backup.Ref
			options swap.SwapOptions
			code    backup.Code
		}{
			"the root":           {b.snapshot("/dev/xvda"), good, backup.ErrUnsupported},
			"the root, asked":    {b.set, swap.SwapOptions{Instance: b.instance.ID, Devices: []string{"/dev/xvda"}}, backup.ErrUnsupported},
			"a device it hasn't": {b.set, swap.SwapOptions{Instance: b.instance.ID, Devices: []string{"/dev/sdf", "/dev/sdx"}}, backup.ErrInvalid},
			"no such point":      {ebs.Snapshot(account, region, "snap-0123456789abcdef0"), good, backup.ErrNotFound},
			"no such instance":   {b.set, swap.SwapOptions{Instance: "i-0123456789abcdef0"}, backup.ErrNotFound},
		} {
			op, err := s.Start(t.Context(), c.point, backup.Spec{Token: name, Options: c.options})
			op = finish(t, s, op, err)
			if op.Phase != backup.PhaseFailed || backup.CodeOf(op.Err()) != c.code || backup.HintOf(op.Err()) == "" {
				t.Errorf("%s: %s %v", name, op.Phase, op.Err())
			}
		}
		young, err := b.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: aws.String(b.old["/dev/sdf"])})
		if err != nil {
			t.Fatal(err)
		}
		op, err := s.Start(t.Context(), ebs.Snapshot(account, region, *young.SnapshotId), backup.Spec{Token: "young", Options: good})
		want(t, finish(t, s, op, err), backup.PhaseFailed, backup.ErrConflict)
		if _, err := b.client.TerminateInstances(t.Context(), &awsec2.TerminateInstancesInput{InstanceIds: []string{b.instance.ID}}); err != nil {
			t.Fatal(err)
		}
		gone, err := s.Start(t.Context(), b.set, backup.Spec{Token: "gone", Options: good})
		want(t, finish(t, s, gone, err), backup.PhaseFailed, backup.ErrNotFound)
		for _, c := range b.world.Calls() {
			if c.Operation == "CreateVolume" || c.Operation == "DetachVolume" {
				t.Errorf("%s was called", c.Operation)
			}
		}
	})
}

// foreign are options that say that they are for a detachment.
type foreign struct{}

func (foreign) OptionsFor() (string, backup.Action) { return swap.Kind, swap.ActionDetach }

package swap_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// power stops or starts the instance, without waiting.
func (b *bench) power(t *testing.T, on, hibernate bool) {
	t.Helper()
	var err error
	if on {
		_, err = b.client.StartInstances(t.Context(), &awsec2.StartInstancesInput{InstanceIds: []string{b.instance.ID}})
	} else {
		_, err = b.client.StopInstances(t.Context(), &awsec2.StopInstancesInput{InstanceIds: []string{b.instance.ID}, Hibernate: &hibernate})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// findings gives the findings of a Preflight as "severity id" in their order, with all that is said.
func findings(t *testing.T, s *swap.Strategy, op backup.Operation) (ids []string, said string) {
	t.Helper()
	found, err := s.Preflight(t.Context(), op)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		ids = append(ids, string(f.Severity)+" "+f.ID)
		said += f.Message + "; " + f.Remedy + "\n"
	}
	return ids, said
}

// What Preflight refuses the first Step refuses too, with the same words, and before anything is made; what it lets pass goes well.
func TestPreflight(t *testing.T) {
	replaces := []string{"info ebs-swap.replaces", "info ebs-swap.replaces"}
	refused := []string{"error ebs-swap.refused"}
	missing := []string{"error ebs-swap.not-found"}
	for _, c := range []struct {
		name    string
		change  func(t *testing.T, b *bench)
		point   func(b *bench) backup.Ref
		options func(o *swap.SwapOptions)
		timeout time.Duration
		late    time.Duration // between Start and Preflight
		want    []string
		says    string
		code    backup.Code
	}{
		{name: "fine", want: replaces, says: "/dev/sdf will be replaced by a new volume of snap-"},
		{name: "stopped", change: func(t *testing.T, b *bench) { b.power(t, false, false); time.Sleep(time.Minute) }, want: replaces},
		{name: "hibernates", change: func(t *testing.T, b *bench) { b.power(t, false, true); time.Sleep(time.Minute) }, want: refused, says: "hibernates", code: backup.ErrConflict},
		{name: "stopping", change: func(t *testing.T, b *bench) { b.power(t, false, false) }, want: []string{"warning ebs-swap.not-yet"}, says: "the instance is stopping"},
		{name: "terminated", change: func(t *testing.T, b *bench) {
			if _, err := b.client.TerminateInstances(t.Context(), &awsec2.TerminateInstancesInput{InstanceIds: []string{b.instance.ID}}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}, want: refused, says: "terminated", code: backup.ErrNotFound},
		{name: "no instance", options: func(o *swap.SwapOptions) { o.Instance = "i-0123456789abcdef0" }, want: missing, says: "check the instance id", code: backup.ErrNotFound},
		{name: "no point", point: func(*bench) backup.Ref { return ebs.Snapshot(account, region, "snap-0123456789abcdef0") }, want: missing, says: "no such recovery point", code: backup.ErrNotFound},
		{name: "the root", point: func(b *bench) backup.Ref { return b.snapshot("/dev/xvda") }, want: refused, says: "/dev/xvda is the root device", code: backup.ErrUnsupported},
		{name: "an unknown device", options: func(o *swap.SwapOptions) { o.Devices = []string{"/dev/sdx"} }, want: refused, says: "nothing to attach", code: backup.ErrInvalid},
		{name: "too small for the type", options: func(o *swap.SwapOptions) { o.VolumeType = "st1" }, want: refused, says: "volumes of the type st1 have 125 to 16384", code: backup.ErrInvalid},
		{name: "another type", options: func(o *swap.SwapOptions) { o.VolumeType = "gp2" }, want: replaces},
		{name: "archived", change: func(t *testing.T, b *bench) {
			id := b.snapshot("/dev/sdg").ID
			if _, err := b.client.ModifySnapshotTier(t.Context(), &awsec2.ModifySnapshotTierInput{SnapshotId: &id, StorageTier: ec2types.TargetStorageTierArchive}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24 * time.Hour)
		}, want: refused, says: "is in the archive tier", code: backup.ErrUnsupported},
		{name: "an empty device", change: func(t *testing.T, b *bench) {
			v := b.old["/dev/sdg"]
			if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &v}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
		}, want: []string{"warning ebs-swap.empty", "info ebs-swap.replaces"}, says: "there is no volume at /dev/sdg"},
		{name: "being detached", change: func(t *testing.T, b *bench) {
			v := b.old["/dev/sdg"]
			if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &v}); err != nil {
				t.Fatal(err)
			}
		}, want: append([]string{"warning ebs-swap.busy"}, replaces...), says: "at /dev/sdg is detaching"},
		{name: "too little time", timeout: swap.MinTimeout, late: 31 * time.Minute, want: refused, says: "too little time", code: backup.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
				point, o := b.set, swap.SwapOptions{Instance: b.instance.ID}
				if c.point != nil {
					point = c.point(b)
				}
				if c.options != nil {
					c.options(&o)
				}
				if c.change != nil {
					c.change(t, b)
				}
				op, err := s.Start(t.Context(), point, backup.Spec{Token: "t", Timeout: c.timeout, Options: o})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.late)
				mutating := func() (n int) {
					for _, x := range b.world.Calls() {
						if x.Mutates {
							n++
						}
					}
					return n
				}
				before := mutating()
				ids, said := findings(t, s, op)
				if d := cmp.Diff(c.want, ids); d != "" || !strings.Contains(said, c.says) || mutating() != before {
					t.Errorf("findings (-wanted +got):\n%s%s", d, said)
				}
				op = finish(t, s, op, nil)
				if c.code == "" {
					want(t, op, backup.PhaseSucceeded, "")
					for _, v := range append(b.swapped(op), b.kept()...) {
						t.Error(v)
					}
					return
				}
				want(t, op, backup.PhaseFailed, c.code)
				if !strings.Contains(op.Err().Error()+"; "+backup.HintOf(op.Err()), c.says) || !strings.Contains(said, backup.HintOf(op.Err())) {
					t.Errorf("Preflight says %q and Step %v", said, op.Err())
				}
				if mutating() != before {
					t.Error("something was changed")
				}
			})
		})
	}
}

// Where nothing unmounts what is mounted, that is said first; an instance that is stopped has nothing mounted.
func TestPreflightHooks(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		bare := swap.NewFromConfig(b.world.Config(account, region))
		start := func(s *swap.Strategy, token string) backup.Operation {
			op, err := s.Start(t.Context(), b.set, backup.Spec{Token: token, Options: swap.SwapOptions{Instance: b.instance.ID}})
			if err != nil {
				t.Fatal(err)
			}
			return op
		}
		if ids, said := findings(t, bare, start(bare, "t")); len(ids) != 3 || ids[0] != "warning ebs-swap.no-hooks" || !strings.Contains(said, "the 2 volumes") {
			t.Errorf("%v %s", ids, said)
		}
		op, err := s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
		if err != nil {
			t.Fatal(err)
		}
		if ids, said := findings(t, s, op); len(ids) > 0 {
			t.Errorf("beside: %v %s", ids, said)
		}
		op = finish(t, s, op, nil)
		for i, x := range []*swap.Strategy{s, bare} {
			back, err := x.StartDetach(t.Context(), op.Made[0], backup.Spec{Token: "d"})
			if err != nil {
				t.Fatal(err)
			}
			if ids, said := findings(t, x, back); len(ids) != i || i == 1 && ids[0] != "warning ebs-swap.no-hooks" {
				t.Errorf("a detachment: %v %s", ids, said)
			}
		}
		for volume, id := range map[string]string{b.old["/dev/sdf"]: "ebs-swap.refused", "vol-0123456789abcdef0": "ebs-swap.not-found"} {
			back, err := s.StartDetach(t.Context(), ebs.Volume(account, region, volume), backup.Spec{Token: "d"})
			if err != nil {
				t.Fatal(err)
			}
			if ids, said := findings(t, s, back); len(ids) != 1 || ids[0] != "error "+id {
				t.Errorf("%s: %v %s", volume, ids, said)
			}
		}
		b.power(t, false, false)
		time.Sleep(time.Minute)
		if ids, said := findings(t, bare, start(bare, "stopped")); len(ids) != 2 {
			t.Errorf("stopped: %v %s", ids, said)
		}
	})
}

// What can not be learnt is an error, and what the caller may not see is a finding.
func TestPreflightErrors(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		op, err := s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: swap.SwapOptions{Instance: b.instance.ID}})
		if err != nil {
			t.Fatal(err)
		}
		for _, operation := range []string{"DescribeSnapshots", "DescribeInstances"} {
			for _, code := range []string{"UnauthorizedOperation", "InternalError"} {
				b.world.Inject(awssim.Fault{Operation: operation, Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 500, Code: code, Message: "no"}})
				found, err := s.Preflight(t.Context(), op)
				denied := code == "UnauthorizedOperation"
				if denied != (err == nil && len(found) == 1 && found[0].Severity == backup.SeverityError) || !denied && backup.CodeOf(err) != backup.ErrUnavailable {
					t.Errorf("%s %s: %v %v", operation, code, found, err)
				}
				b.world.Heal()
			}
		}
		other := op
		other.Kind = "ebs"
		if _, err := s.Preflight(t.Context(), other); backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
		op.State = []byte(`{"i":7}`)
		if _, err := s.Preflight(t.Context(), op); backup.CodeOf(err) != backup.ErrInvalid {
			t.Error(err)
		}
	})
}

// A snapshot that a list shows and the next look does not is waited for, and one in a page of its own is seen.
func TestSnapshotUnseen(t *testing.T) {
	for _, hidden := range []int{0, 2, 1000} {
		t.Run(fmt.Sprint(hidden), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				b.world.SetPageLimit(1)
				id, looks := b.snapshot("/dev/sdg").ID, 0
				by := ""
				s := b.through(func(in any) any {
					if in, ok := in.(*awsec2.DescribeSnapshotsInput); ok {
						by = aws.ToString(in.Filters[0].Name)
					}
					return nil
				}, func(out any) {
					if out, ok := out.(*awsec2.DescribeSnapshotsOutput); ok && by == "snapshot-id" {
						for i, x := range out.Snapshots {
							if *x.SnapshotId == id {
								if looks++; looks <= hidden {
									out.Snapshots = append(out.Snapshots[:i:i], out.Snapshots[i+1:]...)
								}
								break
							}
						}
					}
				})
				op := b.start(t, s, b.set)
				if hidden < 1000 {
					want(t, op, backup.PhaseSucceeded, "")
					return
				}
				want(t, op, backup.PhaseFailed, backup.ErrNotFound)
				if len(op.Made) > 0 || op.Updated.Sub(op.Started) < 6*time.Minute {
					t.Errorf("made %v after %v", op.Made, op.Updated.Sub(op.Started))
				}
			})
		})
	}
}

func TestOutpostRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
		s := b.through(nil, func(out any) {
			if out, ok := out.(*awsec2.DescribeInstancesOutput); ok {
				out.Reservations[0].Instances[0].OutpostArn = aws.String("arn:aws:outposts:eu-west-1:111122223333:outpost/op-1")
			}
		})
		op := b.start(t, s, b.set)
		want(t, op, backup.PhaseFailed, backup.ErrUnsupported)
		if len(op.Made) > 0 {
			t.Errorf("made %v", op.Made)
		}
	})
}

func TestStartRefusesMore(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		tags := map[string]string{}
		for i := range 48 {
			tags[fmt.Sprint("k", i)] = ""
		}
		for name, spec := range map[string]backup.Spec{
			"io1":               {Options: swap.SwapOptions{Instance: b.instance.ID, VolumeType: "io1"}},
			"io2":               {Options: swap.SwapOptions{Instance: b.instance.ID, VolumeType: "io2"}},
			"a key from abroad": {Options: swap.SwapOptions{Instance: b.instance.ID, KMSKeyID: "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012"}},
			"too many tags":     {Tags: tags, Options: swap.SwapOptions{Instance: b.instance.ID}},
		} {
			spec.Token = "t"
			if _, err := s.Start(t.Context(), b.set, spec); backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// A volume that somebody is detaching leaves its slot, as far as it is none that the swap replaces itself.
func TestSlotsDetaching(t *testing.T) {
	for _, c := range []struct {
		name, leaves string
		want         []string
		code         backup.Code
	}{
		{"another volume", "/dev/sdg", []string{"warning ebs-swap.slots"}, ""},
		{"a volume that is replaced", "/dev/sdf", []string{"error ebs-swap.refused"}, backup.ErrQuota},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				s := b.through(nil, func(out any) {
					if out, ok := out.(*awsec2.DescribeInstanceTypesOutput); ok {
						out.InstanceTypes[0].EbsInfo.MaximumEbsAttachments = aws.Int32(3)
					}
				})
				var op backup.Operation
				var err error
				if c.code == "" {
					op, err = s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
				} else {
					// sdg is empty, and what was there is at another device.
					b.move(t, b.old["/dev/sdg"], b.instance.ID, "/dev/sdz")
					op, err = s.Start(t.Context(), b.set, backup.Spec{Token: "t", Options: swap.SwapOptions{Instance: b.instance.ID}})
				}
				if err != nil {
					t.Fatal(err)
				}
				v := b.old[c.leaves]
				if _, err := b.client.DetachVolume(t.Context(), &awsec2.DetachVolumeInput{VolumeId: &v}); err != nil {
					t.Fatal(err)
				}
				ids, said := findings(t, s, op)
				if d := cmp.Diff(c.want, ids); d != "" || !strings.Contains(said, "takes 3 volumes, it has 3") {
					t.Errorf("%s%s", d, said)
				}
				op = finish(t, s, op, nil)
				if c.code == "" {
					want(t, op, backup.PhaseSucceeded, "")
				} else {
					want(t, op, backup.PhaseFailed, c.code)
				}
			})
		})
	}
}

// Where a device had no volume the instance must take one more; what AWS does not tell only the call shows.
func TestSlots(t *testing.T) {
	for _, c := range []struct {
		name       string
		most       int32
		kind       ec2types.AttachmentLimitType
		interfaces int
		fault      string
		want       []string
		code       backup.Code
	}{
		{name: "one is free", most: 4, kind: ec2types.AttachmentLimitTypeShared},
		{name: "full", most: 3, kind: ec2types.AttachmentLimitTypeDedicated, want: []string{"error ebs-swap.refused"}, code: backup.ErrQuota},
		{name: "taken by a network interface", most: 4, kind: ec2types.AttachmentLimitTypeShared, interfaces: 2, want: []string{"warning ebs-swap.slots"}},
		{name: "dedicated to volumes", most: 4, kind: ec2types.AttachmentLimitTypeDedicated, interfaces: 2},
		{name: "not told", most: 0},
		{name: "not allowed to ask", most: 3, fault: "UnauthorizedOperation"},
		{name: "not known there", most: 3, fault: "InvalidInstanceType"},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *swap.Strategy) {
				if c.fault != "" {
					b.world.Inject(awssim.Fault{Operation: "DescribeInstanceTypes", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: c.fault, Message: "no"}})
				}
				s := b.through(nil, func(out any) {
					switch out := out.(type) {
					case *awsec2.DescribeInstanceTypesOutput:
						e := out.InstanceTypes[0].EbsInfo
						if e.AttachmentLimitType = c.kind; c.most == 0 {
							e.MaximumEbsAttachments = nil
						} else {
							e.MaximumEbsAttachments = &c.most
						}
					case *awsec2.DescribeInstancesOutput:
						out.Reservations[0].Instances[0].NetworkInterfaces = make([]ec2types.InstanceNetworkInterface, c.interfaces)
					}
				})
				op, err := s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
				if err != nil {
					t.Fatal(err)
				}
				ids, said := findings(t, s, op)
				if d := cmp.Diff(c.want, ids); d != "" {
					t.Errorf("findings %s%s", d, said)
				}
				op = finish(t, s, op, nil)
				if c.code == "" {
					want(t, op, backup.PhaseSucceeded, "")
					return
				}
				want(t, op, backup.PhaseFailed, c.code)
				if len(op.Made) > 0 || !strings.Contains(said, "takes 3 volumes, it has 3, and 1 more") {
					t.Errorf("made %v; %s", op.Made, said)
				}
			})
		})
	}
	// What passes is waited for, and a swap of what is there asks nothing.
	inBubble(t, func(t *testing.T, b *bench, s *swap.Strategy) {
		b.world.Inject(awssim.Fault{Operation: "DescribeInstanceTypes", Kind: awssim.FaultThrottle, For: time.Minute})
		op, err := s.StartBeside(t.Context(), b.snapshot("/dev/sdf"), backup.Spec{Token: "t", Options: swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}})
		want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
		calls := func() (n int) {
			for _, c := range b.world.Calls() {
				if c.Operation == "DescribeInstanceTypes" {
					n++
				}
			}
			return n
		}
		before := calls()
		want(t, b.start(t, s, b.set), backup.PhaseSucceeded, "")
		if before < 2 || calls() != before {
			t.Errorf("%d, then %d calls", before, calls())
		}
	})
}

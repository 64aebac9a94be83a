package swap_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// inPoints lists what a success has made in Points, where the suite looks for it; a restore lists it in Made.
func inPoints(op backup.Operation) backup.Operation {
	if op.Phase == backup.PhaseSucceeded {
		op.Points, op.Made = op.Made, nil
	}
	return op
}

// swapping is a Strategy whose Start swaps, also with less time than a swap is given: then it has to end in time all the same.
type swapping struct{ *swap.Strategy }

func (s swapping) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	short := spec.Timeout
	if short <= 0 || short >= swap.MinTimeout {
		return s.Strategy.Start(ctx, r, spec)
	}
	spec.Timeout = 0
	op, err := s.Strategy.Start(ctx, r, spec)
	op.Deadline = op.Started.Add(short)
	return op, err
}

func (s swapping) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if op.Done() {
		return op, op.Check(swap.Kind)
	}
	op, err := s.Strategy.Step(ctx, op)
	return inPoints(op), err
}

// A swap is held to the contract of what makes things.
func TestConformanceSwap(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: func(t testing.TB) *backuptest.Subject {
		b := newBench(t, t.Context())
		x := subject(t, b, 2*time.Minute, func(s *swap.Strategy) backup.Strategy { return swapping{s} })
		malformed, elsewhere, others := b.set, b.set, b.set
		malformed.ID, elsewhere.Region, others.Account = "orders*", "us-east-1", "444455556666"
		good := swap.SwapOptions{Instance: b.instance.ID}
		bad := func(change func(o *swap.SwapOptions)) backup.Spec {
			o := good
			change(&o)
			return backup.Spec{Options: o}
		}
		x.Starts, x.Resource, x.Parts = swap.ActionSwap, b.set, map[backup.Action]int{swap.ActionSwap: 2}
		x.Missing, x.Malformed, x.Unserved = ebs.Set(account, region, "set-owcqg4ex7e2hepkas4edcuwkeu-76xfsodbp79d-9"), []backup.Ref{malformed, b.instance}, []backup.Ref{elsewhere, others}
		x.MaxTags = 43
		more := b.more(t, 3)
		x.Spec = func(_ backup.Action, token string) backup.Spec {
			// What runs at once is for an instance of its own each.
			o := good
			if rest, at := strings.CutPrefix(token, "at-once-"); at {
				o.Instance = more[rest[0]-'0']
			}
			return backup.Spec{Options: o}
		}
		x.BadSpecs = map[backup.Action][]backup.Spec{swap.ActionSwap: {
			{}, {Options: swap.BesideOptions{Instance: b.instance.ID}}, {Options: &good}, {Name: "orders", Options: good},
			bad(func(o *swap.SwapOptions) { o.Instance = "" }), bad(func(o *swap.SwapOptions) { o.Devices = []string{"/dev/sd*"} }), bad(func(o *swap.SwapOptions) { o.VolumeType = "io2" }),
		}}
		return x
	}})
}

// more launches instances like that of the bench.
func (b *bench) more(t testing.TB, n int32) (ids []string) {
	t.Helper()
	disk := func(device string) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}}
	}
	out, err := b.client.RunInstances(t.Context(), &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), MinCount: &n, MaxCount: &n,
		InstanceType: ec2types.InstanceTypeT3Micro, BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk("/dev/xvda"), disk("/dev/sdf"), disk("/dev/sdg")}})
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range out.Instances {
		ids = append(ids, *i.InstanceId)
	}
	time.Sleep(3 * time.Minute)
	return ids
}

// beside is a Strategy whose Start attaches a volume beside.
type beside struct{ *swap.Strategy }

func (b beside) Start(ctx context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return b.StartBeside(ctx, r, spec)
}

func (b beside) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if op.Done() {
		return op, op.Check(swap.Kind)
	}
	op, err := b.Strategy.Step(ctx, op)
	return inPoints(op), err
}

// A volume beside is held to the contract of what makes things.
func TestConformanceBeside(t *testing.T) {
	for _, lag := range []time.Duration{0, 2 * time.Minute} {
		t.Run(lag.String(), func(t *testing.T) {
			backuptest.TestStrategy(t, backuptest.Harness{New: func(t testing.TB) *backuptest.Subject {
				b := newBench(t, t.Context())
				return besideSubject(b, subject(t, b, lag, func(s *swap.Strategy) backup.Strategy { return beside{s} }))
			}})
		})
	}
}

func besideSubject(b *bench, x *backuptest.Subject) *backuptest.Subject {
	snapshot := b.snapshot("/dev/sdf")
	malformed, elsewhere, others := snapshot, snapshot, snapshot
	malformed.ID, elsewhere.Region, others.Account = "orders", "us-east-1", "444455556666"
	good := swap.BesideOptions{Instance: b.instance.ID, Device: "/dev/sdz"}
	bad := func(change func(o *swap.BesideOptions)) backup.Spec {
		o := good
		change(&o)
		return backup.Spec{Options: o}
	}
	x.Starts, x.Resource = swap.ActionBeside, snapshot
	x.Missing, x.Malformed, x.Unserved = ebs.Snapshot(account, region, "snap-0123456789abcdef0"), []backup.Ref{malformed, b.instance}, []backup.Ref{elsewhere, others}
	x.MaxTags = 42
	x.Spec = func(_ backup.Action, token string) backup.Spec {
		// A device of its own for each token.
		h := fnv.New32()
		fmt.Fprint(h, token)
		n := h.Sum32()
		return backup.Spec{Options: swap.BesideOptions{Instance: b.instance.ID, Device: fmt.Sprintf("/dev/xvd%c%c", 'b'+n%3, 'a'+n/3%26)}}
	}
	x.BadSpecs = map[backup.Action][]backup.Spec{swap.ActionBeside: {
		{}, {Options: swap.SwapOptions{Instance: b.instance.ID}}, {Options: &good}, {Name: "orders", Options: good},
		bad(func(o *swap.BesideOptions) { o.Instance = "" }), bad(func(o *swap.BesideOptions) { o.Device = "" }),
		bad(func(o *swap.BesideOptions) { o.Device = "/dev/sd*" }), bad(func(o *swap.BesideOptions) { o.KMSKeyID = "alias/x" }),
	}}
	return x
}

// subject is what both have in common.
func subject(t testing.TB, b *bench, lag time.Duration, wrap func(*swap.Strategy) backup.Strategy) *backuptest.Subject {
	t.Helper()
	b.world.SetLag(lag)
	if lag > 0 {
		b.world.SetPageLimit(2) // every listing then takes several calls
	}
	b.world.KeepCalls(false)
	var mu sync.Mutex // guards the two
	total, mutating := 0, 0
	b.world.Watch(func(c awssim.Call) {
		mu.Lock()
		defer mu.Unlock()
		total++
		if c.Mutates {
			mutating++
		}
	})
	// fault hits the next call that changes something.
	fault := func(kind awssim.FaultKind, operations ...string) {
		for _, operation := range operations {
			b.world.Inject(awssim.Fault{Service: "EC2", Operation: operation, Kind: kind, Do: b.world.Heal})
		}
	}
	served := func() backup.Strategy { return wrap(b.strategy(b.world.Config(account, region))) }
	return &backuptest.Subject{
		Strategy: served(), Restart: served,
		Count: func(id string) (n int) {
			for _, v := range b.ec2.Volumes(b.world, account, region) {
				if v.Tags[backup.TagToken] == id && !v.Deleted {
					n++
				}
			}
			return n
		},
		Exists: func(r backup.Ref) bool {
			for _, v := range b.ec2.Volumes(b.world, account, region) {
				if v.ID == r.ID {
					return !v.Deleted
				}
			}
			return r.Type != ebs.TypeVolume
		},
		Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
		LoseReply: func() { fault(awssim.FaultLostReply, "CreateVolume", "AttachVolume", "DetachVolume") },
		DieAfter:  func() { fault(awssim.FaultDieAfter, "CreateVolume", "AttachVolume", "DetachVolume") },
		FailLater: func() { fault(awssim.FaultAsync, "CreateVolume") },
	}
}

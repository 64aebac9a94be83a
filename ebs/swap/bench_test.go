package swap_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

const (
	account = "111122223333"
	region  = "eu-west-1"
)

// bench is a world with one instance of a root volume and two data volumes, a set of their snapshots, and the system on the instance.
type bench struct {
	world    *awssim.World
	ec2      *ec2sim.EC2
	client   *awsec2.Client
	instance backup.Ref
	set      backup.Ref
	old      map[string]string // the volumes at the beginning, by device
	host     *host
	// rootGoes tells that the root volume may be replaced.
	rootGoes bool
	// options changes those of the strategy.
	options func(o *swap.Options)
}

// host is the operating system: it knows which volumes are mounted, and that none may be detached while it is.
type host struct {
	mu      sync.Mutex
	mounted map[string]bool
	calls   []string
	// fail is how many calls of "unmount" or "mount" fail.
	fail map[string]int
}

func (h *host) call(name string, disks []swap.Disk, mounted bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, name)
	if h.fail[name] > 0 {
		h.fail[name]--
		return errors.New("target is busy")
	}
	for _, d := range disks {
		if mounted {
			h.mounted[d.Volume] = true
		} else {
			delete(h.mounted, d.Volume)
		}
	}
	return nil
}

func (h *host) Unmount(_ context.Context, _ backup.Ref, disks []swap.Disk) error {
	return h.call("unmount", disks, false)
}

func (h *host) Mount(_ context.Context, _ backup.Ref, disks []swap.Disk) error {
	return h.call("mount", disks, true)
}

func newBench(t testing.TB, ctx context.Context) *bench {
	t.Helper()
	b := &bench{ec2: ec2sim.Service(), host: &host{mounted: map[string]bool{}, fail: map[string]int{}}}
	b.world = awssim.New(b.ec2)
	b.client = awsec2.NewFromConfig(b.world.Config(account, region))
	disk := func(device string) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: aws.String(device), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}}
	}
	out, err := b.client.RunInstances(ctx, &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1),
		InstanceType: ec2types.InstanceTypeT3Micro, BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk("/dev/xvda"), disk("/dev/sdf"), disk("/dev/sdg")}})
	if err != nil {
		t.Fatal(err)
	}
	b.instance = ebs.Instance(account, region, *out.Instances[0].InstanceId)
	time.Sleep(2 * time.Minute)
	b.old = b.attached()
	for device, v := range b.old {
		b.host.mounted[v] = device != "/dev/xvda"
	}
	s := ebs.NewFromConfig(b.world.Config(account, region))
	op, err := s.Start(ctx, b.instance, backup.Spec{Token: "before"})
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	if op, err = r.Run(ctx, op); err != nil {
		t.Fatal(err)
	}
	b.set = op.Points[0]
	time.Sleep(10 * time.Minute)
	return b
}

// attached gives the volumes at the instance by device, in truth.
func (b *bench) attached() map[string]string {
	m := map[string]string{}
	for _, v := range b.ec2.Volumes(b.world, account, region) {
		if v.Instance == b.instance.ID {
			m[v.Device] = v.ID
		}
	}
	return m
}

// snapshot gives the snapshot of the volume at a device.
func (b *bench) snapshot(device string) backup.Ref {
	for _, s := range b.ec2.Snapshots(b.world, account, region) {
		if s.Volume == b.old[device] {
			return ebs.Snapshot(account, region, s.ID)
		}
	}
	return backup.Ref{}
}

// made gives the volumes that carry the Operation's ID.
func (b *bench) made(op backup.Operation) (all []ec2sim.VolumeInfo) {
	for _, v := range b.ec2.Volumes(b.world, account, region) {
		if v.Tags[backup.TagToken] == op.ID && !v.Deleted {
			all = append(all, v)
		}
	}
	return all
}

func (b *bench) strategy(cfg aws.Config) *swap.Strategy {
	return swap.NewFromConfig(cfg, func(o *swap.Options) {
		if o.Hooks = b.host; b.options != nil {
			b.options(o)
		}
	})
}

func inBubble(t *testing.T, f func(t *testing.T, b *bench, s *swap.Strategy)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context())
		f(t, b, b.strategy(b.world.Config(account, region)))
	})
}

func finish(t testing.TB, s backup.Strategy, op backup.Operation, err error) backup.Operation {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	r, err := backup.NewRunner([]backup.Strategy{s})
	if err != nil {
		t.Fatal(err)
	}
	op, err = r.Run(t.Context(), op)
	if !op.Done() {
		t.Fatalf("not ended: %v", err)
	}
	return op
}

// want checks how an Operation ended.
func want(t testing.TB, op backup.Operation, phase backup.Phase, code backup.Code) {
	t.Helper()
	if op.Phase != phase || code != "" && !errors.Is(op.Err(), code) {
		t.Fatalf("ended %s with %v, wanted %s with %q", op.Phase, op.Err(), phase, code)
	}
	if code != "" && backup.HintOf(op.Err()) == "" {
		t.Errorf("no hint in %v", op.Err())
	}
}

// asWas says what is wrong where the instance is to be as it was at the beginning.
func (b *bench) asWas() (bad []string) {
	now := b.attached()
	for device, v := range b.old {
		if now[device] != v {
			bad = append(bad, fmt.Sprintf("%s at %s instead of %s", now[device], device, v))
		}
		if device != "/dev/xvda" && !b.host.mounted[v] {
			bad = append(bad, v+" is not mounted")
		}
	}
	if len(now) != len(b.old) {
		bad = append(bad, fmt.Sprintf("attached %v", now))
	}
	return bad
}

// swapped says what is wrong where the data volumes are to be new ones made of the right snapshots.
func (b *bench) swapped(op backup.Operation) (bad []string) {
	now := b.attached()
	made := b.made(op)
	for _, device := range []string{"/dev/sdf", "/dev/sdg"} {
		i := slices.IndexFunc(made, func(v ec2sim.VolumeInfo) bool { return v.ID == now[device] })
		if i < 0 || made[i].Snapshot != b.snapshot(device).ID || !b.host.mounted[now[device]] {
			bad = append(bad, fmt.Sprintf("I3: %s at %s", now[device], device))
		}
	}
	return bad
}

// kept says what is wrong with what must never happen: an old volume deleted, and a call that deletes anything.
func (b *bench) kept() (bad []string) {
	for _, v := range b.ec2.Volumes(b.world, account, region) {
		if v.Deleted {
			bad = append(bad, v.ID+" is deleted")
		}
	}
	for _, c := range b.world.Calls() {
		if c.Operation == "DeleteVolume" || c.Operation == "DeleteSnapshot" {
			bad = append(bad, c.Operation)
		}
	}
	if !b.rootGoes && b.attached()["/dev/xvda"] != b.old["/dev/xvda"] {
		bad = append(bad, "the root volume is gone")
	}
	return bad
}

package emulator

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

func (w *world) swap() *swap.Strategy {
	return swap.NewFromConfig(w.config(), func(o *swap.Options) { w.pace(&o.PollMin, &o.PollMax, &o.Settle, &o.Park) })
}

// swapped runs an Operation in one process after another, of which the first ends when an answer is lost.
func (w *world) swapped(dir, operation string, start func(s *swap.Strategy) (backup.Operation, error)) backup.Operation {
	w.t.Helper()
	lost := w.loseReply("EC2", operation)
	for {
		store, err := backup.OpenFileStore(dir)
		w.must("OpenFileStore", err)
		ctx, stop := context.WithCancel(w.ctx)
		defer stop()
		s, gone := w.swap(), lost()
		runner, err := backup.NewRunner([]backup.Strategy{s}, func(o *backup.RunnerOptions) {
			o.Store = store
			o.Observer = backup.ObserverFunc(func(_ context.Context, e backup.Event) {
				if e.Type == backup.EventStepFailed && lost() > gone {
					stop()
				}
			})
		})
		w.must("NewRunner", err)
		op, err := start(s)
		w.must("start", err)
		op, err = runner.Run(ctx, op)
		if gone == 0 && lost() == 1 && ctx.Err() != nil {
			continue
		}
		if err != nil || op.Phase != backup.PhaseSucceeded || lost() != 1 {
			w.t.Fatalf("%s: %d answers were lost, phase %s, findings %+v: %v", operation, lost(), op.Phase, op.Findings, err)
		}
		return op
	}
}

// attached gives the volumes of an instance by device.
func (w *world) attached(c *awsec2.Client, instance string) map[string]string {
	w.t.Helper()
	out, err := c.DescribeVolumes(w.ctx, &awsec2.DescribeVolumesInput{Filters: []ec2types.Filter{filter("attachment.instance-id", instance)}})
	w.must("DescribeVolumes", err)
	got := map[string]string{}
	for _, v := range out.Volumes {
		for _, a := range v.Attachments {
			got[aws.ToString(a.Device)] = aws.ToString(v.VolumeId)
		}
	}
	return got
}

// The data volumes of an instance are swapped for those of its set, and one snapshot is looked at beside them.
func TestSwap(t *testing.T) {
	for _, operation := range []string{"CreateVolume", "DetachVolume", "AttachVolume"} {
		t.Run(operation, func(t *testing.T) {
			both(t, func(w *world) {
				c := awsec2.NewFromConfig(w.config())
				instance, _ := w.server(c)
				dir := w.t.TempDir()
				point := w.backedUp(kit{strategy: w.ebs, source: instance}, dir)
				before := w.attached(c, instance.ID)
				op := w.swapped(dir, operation, func(s *swap.Strategy) (backup.Operation, error) {
					return s.Start(w.ctx, point, backup.Spec{Token: "back", Options: swap.SwapOptions{Instance: instance.ID}})
				})
				after := w.attached(c, instance.ID)
				if len(after) != 3 || after["/dev/xvda"] != before["/dev/xvda"] || len(op.Made) != 2 {
					w.t.Fatalf("before %v, after %v, made %v", before, after, op.Made)
				}
				for _, device := range []string{"/dev/sdf", "/dev/sdg"} {
					if after[device] == "" || after[device] == before[device] || op.Made[0].ID != after[device] && op.Made[1].ID != after[device] {
						w.t.Errorf("at %s there was %s, and is %s, made %v", device, before[device], after[device], op.Made)
					}
				}
				replaced, err := swap.Replaced(op)
				w.must("Replaced", err)
				for _, d := range replaced {
					out, err := c.DescribeVolumes(w.ctx, &awsec2.DescribeVolumesInput{VolumeIds: []string{d.Volume}})
					w.must("DescribeVolumes", err)
					if d.Volume != before[d.Device] || out.Volumes[0].State != ec2types.VolumeStateAvailable {
						w.t.Errorf("replaced: %+v, which is %s", d, out.Volumes[0].State)
					}
				}
				if len(replaced) != 2 {
					w.t.Errorf("replaced: %+v", replaced)
				}
			})
		})
	}
}

func TestBeside(t *testing.T) {
	both(t, func(w *world) {
		c := awsec2.NewFromConfig(w.config())
		instance, data := w.server(c)
		dir := w.t.TempDir()
		point := w.backedUp(kit{strategy: w.ebs, source: ebs.Volume(w.account, region, data[0])}, dir)
		op := w.swapped(dir, "AttachVolume", func(s *swap.Strategy) (backup.Operation, error) {
			return s.StartBeside(w.ctx, point, backup.Spec{Token: "look", Options: swap.BesideOptions{Instance: instance.ID, Device: "/dev/sdp"}})
		})
		if got := w.attached(c, instance.ID); len(got) != 4 || len(op.Made) != 1 || got["/dev/sdp"] != op.Made[0].ID {
			w.t.Fatalf("attached %v, made %v", got, op.Made)
		}
		w.swapped(dir, "DetachVolume", func(s *swap.Strategy) (backup.Operation, error) {
			return s.StartDetach(w.ctx, op.Made[0], backup.Spec{Token: "seen"})
		})
		if got := w.attached(c, instance.ID); len(got) != 3 || got["/dev/sdp"] != "" {
			w.t.Errorf("attached %v", got)
		}
	})
}

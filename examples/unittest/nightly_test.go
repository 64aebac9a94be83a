package nightly_test

import (
	"context"
	"errors"
	"strings"
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
	nightly "github.com/snapwarden/snapwarden/examples/unittest"
)

const account, region = "111122223333", "eu-west-1"

// cloud is what a test needs of the simulated AWS.
type cloud struct {
	world   *awssim.World
	ec2     *ec2sim.EC2
	client  *awsec2.Client
	volumes []backup.Ref // those with the tag backup=nightly
}

// night runs f in a synctest bubble. In a bubble the clock stands still while anything is running, and jumps ahead as soon as everything
// waits; so a backup of hours takes milliseconds, and a deadlock is an error instead of a test that hangs.
//
// The rules are few. Everything that waits or is waited for is made inside of the bubble: the world, the SDK clients, the Runner, and every
// context, which therefore comes from the inner t. No test calls t.Run or t.Parallel inside; subtests have one bubble each. And all
// goroutines must have ended when f returns.
func night(t *testing.T, f func(t *testing.T, c *cloud)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := &cloud{ec2: ec2sim.Service()}
		c.world = awssim.New(c.ec2)
		c.client = awsec2.NewFromConfig(c.world.Config(account, region))
		for i := range 4 {
			in := &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(200)}
			if i < 3 {
				in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume,
					Tags: []ec2types.Tag{{Key: aws.String("backup"), Value: aws.String("nightly")}}}}
			}
			v, err := c.client.CreateVolume(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if i < 3 {
				c.volumes = append(c.volumes, ebs.Volume(account, region, *v.VolumeId))
			}
		}
		// AWS refuses two snapshots of a volume within 15 seconds, which would hide a call that is sent twice. This one takes them.
		c.ec2.SetQuotas(c.world, ec2sim.Quotas{})
		time.Sleep(time.Minute) // the volumes come into being; no real time passes
		f(t, c)
	})
}

// run is one night of the program under test, as its main function would begin it. Called twice, it is the program started again.
func (c *cloud) run(t *testing.T, ctx context.Context, store backup.Store) nightly.Report {
	t.Helper()
	strategies := []backup.Strategy{ebs.NewFromConfig(c.world.Config(account, region))}
	runner, err := backup.NewRunner(strategies, func(o *backup.RunnerOptions) { o.Store = store })
	if err != nil {
		t.Fatal(err)
	}
	query := backup.Query{Account: account, Region: region, Tags: map[string]string{"backup": "nightly"}}
	return nightly.Run(ctx, runner, strategies, query, "2026-11-20")
}

// store is where the program keeps its operations. Files are read and written in real time: a bubble does not mind, but a disk takes
// milliseconds for each write. Tests that are not about crashes do without.
func store(t *testing.T) backup.Store {
	t.Helper()
	s, err := backup.OpenFileStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// snapshots gives the truth: how many snapshots of each volume there are, whether or not the program knows of them.
func (c *cloud) snapshots() map[string]int {
	n := map[string]int{}
	for _, s := range c.ec2.Snapshots(c.world, account, region) {
		if !s.Gone {
			n[s.Volume]++
		}
	}
	return n
}

// once fails the test unless each tagged volume has exactly one snapshot, and the volume without the tag none.
func (c *cloud) once(t *testing.T) {
	t.Helper()
	n := c.snapshots()
	for _, v := range c.volumes {
		if n[v.ID] != 1 {
			t.Errorf("%s has %d snapshots", v.ID, n[v.ID])
		}
	}
	if len(n) != len(c.volumes) {
		t.Errorf("there are snapshots of %d volumes: %v", len(n), n)
	}
}

func TestEverythingTaggedIsBackedUp(t *testing.T) {
	outside := time.Now() // out here it is real time
	var inside time.Duration
	night(t, func(t *testing.T, c *cloud) {
		began := time.Now()
		c.world.SetSpeed(1.0 / 50) // tonight AWS takes fifty times as long as usual
		report := c.run(t, t.Context(), nil)
		if !report.OK() || len(report.Outcomes) != len(c.volumes) {
			t.Errorf("the report:\n%v", report)
		}
		c.once(t)
		inside = time.Since(began)
	})
	if inside < time.Hour {
		t.Errorf("three backups of hours in %v", inside)
	}
	t.Logf("a night of %v took %v", inside.Round(time.Second), time.Since(outside).Round(time.Millisecond))
}

// AWS makes a snapshot, and the answer does not arrive. Whoever sends the call again then has two snapshots, and knows of one.
func TestLostReply(t *testing.T) {
	night(t, func(t *testing.T, c *cloud) {
		fault := c.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultLostReply})
		report := c.run(t, t.Context(), store(t))
		if fault.Fired() != 1 {
			t.Fatal("no reply was lost: the test has shown nothing")
		}
		if !report.OK() {
			t.Errorf("the report:\n%v", report)
		}
		c.once(t)
	})
}

// This is what the test above would see of a program that uses the SDK alone: a test that can not fail is worth nothing.
func TestLostReplyOfAPlainClient(t *testing.T) {
	night(t, func(t *testing.T, c *cloud) {
		c.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultLostReply})
		if _, err := c.client.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: &c.volumes[0].ID}); err != nil {
			t.Fatal(err)
		}
		if n := c.snapshots()[c.volumes[0].ID]; n != 2 {
			t.Errorf("%d snapshots, although the SDK sends the call again", n)
		}
	})
}

// AWS refuses every call for a while.
func TestThrottling(t *testing.T) {
	for _, c := range []struct {
		storm time.Duration
		ok    bool
	}{
		{20 * time.Minute, true},
		{time.Hour, false}, // longer than the patience of the discovery
	} {
		t.Run(c.storm.String(), func(t *testing.T) { // the subtest is outside of the bubble
			night(t, func(t *testing.T, cl *cloud) {
				began := time.Now()
				fault := cl.world.Inject(awssim.Fault{Service: "EC2", Kind: awssim.FaultThrottle, For: c.storm})
				report := cl.run(t, t.Context(), nil)
				if fault.Fired() < 10 {
					t.Errorf("only %d calls were throttled", fault.Fired())
				}
				if !c.ok {
					// Nothing was found, and that is not the same as that there is nothing.
					if report.OK() || len(report.Unknown) != 1 || !errors.Is(report.Unknown[0], backup.ErrThrottled) {
						t.Errorf("the report:\n%v", report)
					}
					return
				}
				if !report.OK() || len(report.Outcomes) != len(cl.volumes) {
					t.Errorf("the report:\n%v", report)
				}
				if d := time.Since(began); d < c.storm {
					t.Errorf("it ended after %v, in the middle of the storm", d)
				}
				cl.once(t)
			})
		})
	}
}

// A storm that begins when the resources are known is the strategies' and the Runner's affair: the program needs nothing for it.
func TestThrottlingAfterDiscovery(t *testing.T) {
	night(t, func(t *testing.T, c *cloud) {
		fault := c.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultThrottle, For: 2 * time.Hour})
		if report := c.run(t, t.Context(), nil); !report.OK() || fault.Fired() < 10 {
			t.Errorf("%d calls were throttled; the report:\n%v", fault.Fired(), report)
		}
		c.once(t)
	})
}

// AWS takes the call, works for hours, and then says that the snapshot has failed. The report names it, and the others are not touched.
func TestSnapshotFailsLater(t *testing.T) {
	night(t, func(t *testing.T, c *cloud) {
		fault := c.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
		report := c.run(t, t.Context(), nil)
		if fault.Fired() != 1 || report.OK() || len(report.Outcomes) != len(c.volumes) {
			t.Fatalf("the report:\n%v", report)
		}
		var bad []nightly.Outcome
		for _, o := range report.Outcomes {
			if o.Err != nil {
				bad = append(bad, o)
			}
		}
		if len(bad) != 1 || !errors.Is(bad[0].Err, backup.ErrFailed) || len(bad[0].Points) != 1 {
			t.Fatalf("failed: %+v", bad)
		}
		if first, _, _ := strings.Cut(report.String(), "\n"); !strings.HasPrefix(first, "FAILED ") || !strings.Contains(first, bad[0].Resource.ID) {
			t.Errorf("the report begins with %q", first)
		}
	})
}

// The program is stopped in the middle and started again, as a deploy does.
func TestStartedAgain(t *testing.T) {
	night(t, func(t *testing.T, c *cloud) {
		keep := store(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second) // made inside of the bubble, so this is virtual time too
		defer cancel()
		first := c.run(t, ctx, keep)
		if first.OK() || len(first.Outcomes) != len(c.volumes) {
			t.Fatalf("the first report:\n%v", first)
		}
		for _, o := range first.Outcomes {
			if !errors.Is(o.Err, context.DeadlineExceeded) {
				t.Errorf("%v: %v", o.Resource, o.Err)
			}
		}
		time.Sleep(20 * time.Minute) // the program is down, and AWS goes on
		for range 2 {                // and a third start finds that there is nothing left to do
			if again := c.run(t, t.Context(), keep); !again.OK() || len(again.Outcomes) != len(c.volumes) {
				t.Errorf("the report:\n%v", again)
			}
		}
		c.once(t)
	})
}

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
)

// Whatever is not as it must be is seen by a check, and is the program's own failure.
func TestChecks(t *testing.T) {
	swapped := func(c *cloud) []func(context.Context) error {
		return []func(context.Context) error{c.begin, c.backUp, c.swapKilled}
	}
	for name, x := range map[string]struct {
		parts func(c *cloud) []func(context.Context) error
		// before is called before the last part.
		before func(t *testing.T, c *cloud)
		want   []string
	}{
		"nothing wrong with a swap": {swapped, func(*testing.T, *cloud) {}, nil},
		"a volume is detached while it is mounted": {swapped, func(_ *testing.T, c *cloud) {
			c.world.Inject(awssim.Fault{Operation: "DetachVolume", Do: func() { c.host.mount(c.old[dataDevice]) }})
		}, []string{"detached while it was mounted"}},
		"somebody deletes an old volume": {swapped, func(t *testing.T, c *cloud) {
			c.world.Inject(awssim.Fault{Operation: "AttachVolume", Do: func() {
				_, err := awsec2.NewFromConfig(c.config()).DeleteVolume(t.Context(), &awsec2.DeleteVolumeInput{VolumeId: aws.String(c.old[journalDevice])})
				if err != nil {
					t.Error(err)
				}
				time.Sleep(time.Minute)
			}})
		}, []string{"the two old volumes are there"}},
		"there is a volume too many": {swapped, func(t *testing.T, c *cloud) {
			c.world.Inject(awssim.Fault{Operation: "AttachVolume", Do: func() { c.twin(t) }})
		}, []string{"one new volume for each device"}},
		"the data is another": {swapped, func(_ *testing.T, c *cloud) { c.host.write(c.member.ID, files{"orders": "1 row"}) }, []string{"what they had at the backup"}},
		"somebody deletes the group": {func(c *cloud) []func(context.Context) error {
			return []func(context.Context) error{c.begin, c.rebuildRefused}
		}, func(t *testing.T, c *cloud) {
			c.world.Inject(awssim.Fault{Operation: "DescribeCacheSubnetGroups", Do: func() {
				in := &awselasticache.DeleteReplicationGroupInput{ReplicationGroupId: aws.String(orders)}
				if _, err := awselasticache.NewFromConfig(c.config()).DeleteReplicationGroup(t.Context(), in); err != nil {
					t.Error(err)
				}
			}})
		}, []string{"when there is no such subnet group"}},
	} {
		t.Run(name, func(t *testing.T) {
			text := bubble(t, func(t *testing.T, c *cloud) {
				parts := x.parts(c)
				var err error
				for i, part := range parts {
					if i == len(parts)-1 {
						x.before(t, c)
					}
					if err = part(t.Context()); err != nil {
						break
					}
				}
				concluded := c.out.conclude("The end")
				if (concluded != nil) != (len(x.want) > 0) || concluded == nil && err != nil {
					t.Errorf("concluded with %v after %v", concluded, err)
				}
				for _, w := range x.want {
					if concluded == nil || !strings.Contains(concluded.Error(), w) {
						t.Errorf("%q is not in %v", w, concluded)
					}
				}
			})
			if strings.Contains(text, "\nNO ") != (len(x.want) > 0) {
				t.Errorf("the report:\n%s", text)
			}
		})
	}
}

// mount has somebody mount a volume behind the program's back.
func (h *host) mount(volume string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mounted[volume] = true
}

// twin makes a second volume like a new one, as a call that was sent twice would.
func (c *cloud) twin(t *testing.T) {
	all := c.ec2.Volumes(c.world, account, region)
	v := all[slices.IndexFunc(all, func(v ec2sim.VolumeInfo) bool { return v.Tags[backup.TagToken] != "" })]
	_, err := awsec2.NewFromConfig(c.config()).CreateVolume(t.Context(), &awsec2.CreateVolumeInput{SnapshotId: &v.Snapshot, AvailabilityZone: aws.String(region + "a"),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume,
			Tags: []ec2types.Tag{{Key: aws.String(backup.TagToken), Value: aws.String(v.Tags[backup.TagToken])}}}}})
	if err != nil {
		t.Error(err)
	}
}

// What fails altogether ends the program.
func TestParts(t *testing.T) {
	for name, x := range map[string]struct {
		fault awssim.Fault
		last  func(c *cloud) func(context.Context) error
		want  string
	}{
		"no set":         {awssim.Fault{Operation: "CreateSnapshots", Error: awssim.Error{Code: "UnauthorizedOperation"}}, func(c *cloud) func(context.Context) error { return c.backUp }, "denied"},
		"no rebuild":     {awssim.Fault{Operation: "CreateReplicationGroup", Error: awssim.Error{Code: "NodeQuotaForCustomerExceeded"}}, func(c *cloud) func(context.Context) error { return c.rebuild }, "quota"},
		"not even begun": {awssim.Fault{Operation: "DeleteReplicationGroup", Error: awssim.Error{Code: "AccessDenied"}}, func(c *cloud) func(context.Context) error { return c.rebuild }, "was to be stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, c *cloud) {
				if err := c.begin(t.Context()); err != nil {
					t.Fatal(err)
				}
				x.fault.Kind, x.fault.Times = awssim.FaultError, -1
				c.world.Inject(x.fault)
				if err := x.last(c)(t.Context()); err == nil || !strings.Contains(err.Error(), x.want) {
					t.Errorf("ended with %v", err)
				}
			})
		})
	}
}

func TestProcess(t *testing.T) {
	bubble(t, func(t *testing.T, c *cloud) {
		if err := c.begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		p, err := c.start()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.resume(t.Context(), c.out); err == nil {
			t.Error("nothing is unfinished, and something was resumed")
		}
		op, err := p.volumes.Start(t.Context(), c.instance, backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.untilKilled(t.Context(), op); err == nil || !strings.Contains(err.Error(), "was to be killed") {
			t.Errorf("a process that nobody kills: %v", err)
		}
		// A mistake of the program is not taken for a death.
		c.world.Inject(awssim.Fault{Operation: "CreateSnapshots", Do: func() { panic("mistake") }})
		op, err = p.volumes.Start(t.Context(), c.instance, backup.Spec{Token: "u"})
		if err != nil {
			t.Fatal(err)
		}
		func() {
			defer func() {
				if x := recover(); fmt.Sprint(x) != "mistake" {
					t.Errorf("recovered %v", x)
				}
			}()
			_, _ = p.untilKilled(t.Context(), op)
		}()
	})
}

// The host ends a freeze by itself, has one at a time, and takes none that is over.
func TestHostFreezes(t *testing.T) {
	bubble(t, func(t *testing.T, c *cloud) {
		ctx, h := t.Context(), c.host
		one, two := quiesce.Lease{ID: "one", Limit: time.Minute}, quiesce.Lease{ID: "two", Limit: time.Minute}
		if err := h.Freeze(ctx, c.instance, one); err != nil {
			t.Fatal(err)
		}
		if h.Freeze(ctx, c.instance, two) == nil {
			t.Error("frozen twice")
		}
		time.Sleep(time.Minute)
		if held, err := h.Thaw(ctx, c.instance, one); held || err != nil {
			t.Errorf("after the limit: held %t, %v", held, err)
		}
		if h.Freeze(ctx, c.instance, one) == nil {
			t.Error("frozen again by a lease that is over")
		}
		if err := h.Freeze(ctx, c.instance, two); err != nil {
			t.Error(err)
		}
		if held, err := h.Thaw(ctx, c.instance, two); !held || err != nil {
			t.Errorf("within the limit: held %t, %v", held, err)
		}
	})
}

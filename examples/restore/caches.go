package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// group gives the truth about a cache group; its ID is empty where there is none.
func (c *cloud) group(id string) elasticachesim.GroupView {
	for _, g := range c.caches.Groups(c.world, account, region) {
		if g.ID == id {
			return g
		}
	}
	return elasticachesim.GroupView{}
}

// describe prints a cache group as it is.
func (c *cloud) describe(label, id string) {
	g := c.group(id)
	c.out.line(label, "%s: %s, %s, disks encrypted: %t, made of: %s, tag team: %s", id, g.Status, g.NodeType, g.AtRest, cmp.Or(g.From, "nothing"), g.Tags["team"])
}

// likewise gives the options that rebuild a group as it is, but for what edit changes.
func likewise(ctx context.Context, p *process, r backup.Ref, edit func(*elasticache.RestoreOptions)) (elasticache.RebuildOptions, error) {
	o, err := p.caches.Settings(ctx, r)
	if err == nil {
		edit(&o)
	}
	return elasticache.RebuildOptions{Restore: o}, err
}

// rebuild gives a group larger nodes and encrypted disks, which no running group can be given. The process is told to stop when the group
// is being deleted: the worst moment there is.
func (c *cloud) rebuild(ctx context.Context) error {
	c.out.heading("6. A cache group is rebuilt under its own id")
	p, err := c.start()
	if err != nil {
		return err
	}
	c.describe("before", sessions)
	r := elasticache.ReplicationGroup(account, region, sessions)
	o, err := likewise(ctx, p, r, func(o *elasticache.RestoreOptions) { o.NodeType, o.AtRestUnencrypted = "cache.r7g.large", false })
	if err != nil {
		return err
	}
	op, err := p.caches.StartRebuild(ctx, r, backup.Spec{Token: backup.NewToken(r, "encrypt"), Name: "sessions-before-encryption", Options: o})
	if err != nil {
		return err
	}
	found, err := p.caches.Preflight(ctx, op)
	if err != nil {
		return err
	}
	c.out.findings("Preflight", found)
	life, stop := context.WithCancel(ctx)
	defer stop()
	c.world.Inject(awssim.Fault{Operation: "DeleteReplicationGroup", Do: stop})
	if op, err = p.run(life, op, nil); !errors.Is(err, context.Canceled) || ctx.Err() != nil {
		return errors.Join(fmt.Errorf("the process was to be stopped, and the work is %s", op.Phase), err)
	}
	c.out.line("STOPPED", "when the deletion was sent; Points names %s already", op.Points[0].ID)
	c.out.findings("", op.Findings)
	status := ""
	for _, s := range c.caches.Snapshots(c.world, account, region) {
		if s.Name == op.Points[0].ID {
			status = s.Status
		}
	}
	c.out.check(status == "available" && c.calls("DeleteReplicationGroup") == 1, "when the group was deleted, its whole snapshot was available and listed")

	if p, err = c.start(); err != nil {
		return err
	}
	if op, err = p.resume(ctx, c.out); err != nil {
		return err
	}
	c.out.line("rebuild", "%s; Points: %s, Made: %s, answers at %d endpoints", op.Phase, op.Points[0].ID, op.Made[0].ID, len(op.Endpoints))
	c.describe("after", sessions)
	g := c.group(sessions)
	c.out.check(g.Status == "available" && g.From == "sessions-before-encryption" && slices.Equal(op.Made, backup.Refs{r}), "the group is back under its id, with the data of the snapshot")
	c.out.check(g.NodeType == "cache.r7g.large" && g.AtRest && g.Tags["team"] == "web", "it has the new settings and its old tags")
	c.out.check(c.calls("DeleteReplicationGroup") == 1 && c.calls("CreateReplicationGroup") == 3, "it was deleted once and made once, by two processes")
	return nil
}

// refusal is a rebuild that must not be done.
type refusal struct {
	title string
	code  backup.Code
	edit  func(*elasticache.RestoreOptions)
	// before arranges what is wrong.
	before func()
	// points is how many snapshots are listed in the end.
	points int
}

func (c *cloud) refusals() []refusal {
	as := func(*elasticache.RestoreOptions) {} // as it is
	return []refusal{
		{title: "no security groups are named", code: backup.ErrInvalid, edit: func(o *elasticache.RestoreOptions) { o.SecurityGroups = nil }},
		{title: "the engine would be an older one than the data's", code: backup.ErrUnsupported, points: 1,
			edit: func(o *elasticache.RestoreOptions) { o.EngineVersion = "7.2" }},
		{title: "there is no such subnet group", code: backup.ErrInvalid, points: 1, edit: func(o *elasticache.RestoreOptions) { o.SubnetGroup = "nowhere" }},
		{title: "the snapshot fails", code: backup.ErrFailed, points: 1, edit: as,
			before: func() { c.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync}) }},
		{title: "the snapshot is not whole: AWS tells of two of the three shards", code: backup.ErrFailed, points: 1, edit: as, before: func() {
			c.less = func(s *ectypes.Snapshot) { s.NodeSnapshots = s.NodeSnapshots[:len(s.NodeSnapshots)-1] }
		}},
		{title: "the snapshot is not whole: it lacks hash slots", code: backup.ErrFailed, points: 1, edit: as, before: func() {
			c.less = func(s *ectypes.Snapshot) {
				if last := s.NodeSnapshots[len(s.NodeSnapshots)-1]; last.NodeGroupConfiguration != nil {
					last.NodeGroupConfiguration.Slots = aws.String("10922-16000")
				}
			}
		}},
	}
}

// rebuildRefused asks for rebuilds that would lose data or could not be finished. None of them may delete anything.
func (c *cloud) rebuildRefused(ctx context.Context) error {
	c.out.heading("7. Rebuilds that are refused")
	r := elasticache.ReplicationGroup(account, region, orders)
	made := c.group(orders).Made
	deletions := c.calls("DeleteReplicationGroup")
	for i, x := range c.refusals() {
		c.less = nil
		if x.before != nil {
			x.before()
		}
		p, err := c.start()
		if err != nil {
			return err
		}
		o, err := likewise(ctx, p, r, x.edit)
		if err != nil {
			return err
		}
		c.out.print("\n7.%d %s\n", i+1, x.title)
		var code backup.Code
		op, err := p.caches.StartRebuild(ctx, r, backup.Spec{Token: fmt.Sprint("refused ", i), Name: fmt.Sprint("orders-before-", i+1), Options: o})
		if err != nil {
			code = backup.CodeOf(err)
			c.out.line("StartRebuild", "%s", err)
		} else {
			if op, err = p.run(ctx, op, nil); err != nil {
				return err
			}
			c.out.failure(op)
			code = backup.CodeOf(op.Err())
		}
		g := c.group(orders)
		c.out.line("the group", "%s, %d shards; Points lists %d%s", g.Status, len(g.Shards), len(op.Points), names(op.Points))
		c.out.check(code == x.code && len(op.Points) == x.points && g.Status == "available" && g.Made.Equal(made) && c.calls("DeleteReplicationGroup") == deletions,
			"nothing was deleted when %s", x.title)
	}
	c.less = nil
	return nil
}

// names gives the ids of what is listed, behind a colon.
func names(all backup.Refs) string {
	if len(all) == 0 {
		return ""
	}
	var ids []string
	for _, r := range all {
		ids = append(ids, r.ID)
	}
	return ": " + strings.Join(ids, ", ")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// backUp makes a set of the running instance, which stands still for the moment of the call.
func (c *cloud) backUp(ctx context.Context) error {
	c.out.heading("2. A set, taken of a frozen host")
	p, err := c.start()
	if err != nil {
		return err
	}
	op, err := p.volumes.Start(ctx, c.instance, backup.Spec{Token: backup.NewToken(c.instance, "nightly"),
		Options: ebs.BackupOptions{Quiesce: ebs.Quiesce{Limit: quiesce.DefaultLimit, Required: true}}})
	if op, err = p.finish(ctx, op, err); err != nil {
		return err
	}
	c.set = op.Points[0]
	c.out.line("backup", "%s: one recovery point, of the type %s", op.Phase, c.set.Type)
	c.out.findings("", op.Findings)
	point, err := find(ctx, p.volumes, c.set)
	if err != nil {
		return err
	}
	for _, m := range point.Members {
		c.out.line("", "%s of %s, %s, %s", m.ID, m.Source, m.Place, m.Role)
		if m.Place == dataDevice {
			c.member = ebs.Snapshot(account, region, m.ID)
		}
	}
	c.out.line("label", "%s = %s", ebs.TagConsistency, point.Tags[ebs.TagConsistency])
	c.out.check(len(point.Members) == 3 && point.Status == backup.StatusAvailable, "the set has all three volumes")
	c.out.check(point.Tags[ebs.TagConsistency] == ebs.ConsistencyApplication, "it is proved to be consistent for the application")
	return nil
}

// find gives a recovery point as it is listed.
func find(ctx context.Context, s *ebs.Strategy, point backup.Ref) (backup.RecoveryPoint, error) {
	for p, err := range s.List(ctx, backup.Query{Account: point.Account, Region: point.Region, Point: point}) {
		return p, err
	}
	return backup.RecoveryPoint{}, fmt.Errorf("%s is not listed", point.ID)
}

// fetchBeside fetches one table from a volume that is attached beside the others, and gives that back.
func (c *cloud) fetchBeside(ctx context.Context) error {
	c.out.heading("3. A table is gone: a volume beside")
	data := c.old[dataDevice]
	c.host.write(data, files{"customers": "DROPPED", "orders": "1250 rows"})
	c.out.line("damage", "somebody drops the table customers; orders has gone on since the backup, and is to stay as it is")
	p, err := c.start()
	if err != nil {
		return err
	}
	op, err := p.swaps.StartBeside(ctx, c.member, backup.Spec{Token: backup.NewToken(c.member, "customers"),
		Options: swap.BesideOptions{Instance: c.instance.ID, Device: freeDevice}})
	if op, err = p.finish(ctx, op, err); err != nil {
		return err
	}
	beside := op.Made[0]
	c.out.line("beside", "%s: %s at %s has: %s", op.Phase, beside.ID, freeDevice, c.host.on(beside.ID))
	c.host.write(data, files{"customers": c.host.on(beside.ID)["customers"]})
	c.out.line("copied", "the table customers, and nothing else")

	op, err = p.swaps.StartDetach(ctx, beside, backup.Spec{Token: backup.NewToken(beside, "give back")})
	if op, err = p.finish(ctx, op, err); err != nil {
		return err
	}
	c.out.line("given back", "%s; the volume stays until somebody deletes it", op.Phase)
	c.volumes()
	c.out.check(maps.Equal(c.attached(), c.old), "after the volume beside was given back, the instance has its own three volumes")
	c.out.check(maps.Equal(c.host.on(data), files{"customers": "311 rows", "orders": "1250 rows"}), "the table is back, and the other one has lost nothing")

	own := ebs.Volume(account, region, data)
	op, err = p.swaps.StartDetach(ctx, own, backup.Spec{Token: backup.NewToken(own, "give back")})
	if op, err = p.run(ctx, op, err); err != nil {
		return err
	}
	c.out.line("and if", "%s is given back, which was not attached beside:", data)
	c.out.failure(op)
	c.out.check(errors.Is(op.Err(), backup.ErrConflict) && maps.Equal(c.attached(), c.old), "a volume that was not attached beside is not detached")
	return nil
}

// swapKilled swaps the data volumes of the running instance for what the set has. The process is killed when it has detached them.
func (c *cloud) swapKilled(ctx context.Context) error {
	c.out.heading("4. Everything is ruined: a swap, killed in the middle")
	c.host.write(c.old[dataDevice], files{"customers": "garbage", "orders": "garbage"})
	c.host.write(c.old[journalDevice], files{"journal": "garbage"})
	c.out.line("damage", "a migration writes garbage over everything")
	p, err := c.start(mortal)
	if err != nil {
		return err
	}
	op, err := p.swaps.Start(ctx, c.set, backup.Spec{Token: backup.NewToken(c.set, "after the migration"), Options: swap.SwapOptions{Instance: c.instance.ID}})
	if err != nil {
		return err
	}
	c.world.Inject(awssim.Fault{Operation: "DetachVolume", Skip: 1, Kind: awssim.FaultDieAfter})
	killed, err := p.untilKilled(ctx, op)
	if err != nil {
		return err
	}
	time.Sleep(10 * time.Millisecond) // EC2 detaches meanwhile, whoever waits for it
	c.out.line("KILLED", "in the second %s, which AWS carried out and never answered; the instance has no data volumes now:", killed.Operation)
	c.volumes()
	without := c.attached()
	c.out.check(len(without) == 1 && without[rootDevice] == c.old[rootDevice], "the process was killed when both volumes were detached and none was attached")

	if p, err = c.start(); err != nil {
		return err
	}
	if op, err = p.resume(ctx, c.out); err != nil {
		return err
	}
	c.out.line("swap", "%s; the instance is as it was at the backup:", op.Phase)
	c.volumes()
	return c.verifySwap(op)
}

// verifySwap checks what a swap must leave behind.
func (c *cloud) verifySwap(op backup.Operation) error {
	replaced, err := swap.Replaced(op)
	if err != nil {
		return err
	}
	c.out.line("replaced", "%s: they are free, and stay until somebody deletes them", placed(replaced))
	now := c.attached()
	made := map[string]bool{} // the new volumes that there are, in truth
	kept := 0
	for _, v := range c.ec2.Volumes(c.world, account, region) {
		made[v.ID] = v.Tags[backup.TagToken] == op.ID
		if slices.Contains(replaced, swap.Disk{Volume: v.ID, Device: dataDevice}) || slices.Contains(replaced, swap.Disk{Volume: v.ID, Device: journalDevice}) {
			if v.State == "available" && !v.Deleted {
				kept++
			}
		}
	}
	maps.DeleteFunc(made, func(_ string, its bool) bool { return !its })
	c.out.check(len(made) == 2 && len(op.Made) == 2 && made[now[dataDevice]] && made[now[journalDevice]] && len(now) == 3,
		"there is one new volume for each device, and it is attached there")
	c.out.check(maps.Equal(c.host.on(now[dataDevice]), files{"customers": "311 rows", "orders": "1204 rows"}) &&
		maps.Equal(c.host.on(now[journalDevice]), files{"journal": "to entry 9000"}), "both have what they had at the backup")
	c.out.check(kept == 2 && replaced[0].Volume == c.old[dataDevice] && replaced[1].Volume == c.old[journalDevice], "the two old volumes are there, free and untouched")
	c.out.check(len(c.host.torn) == 0 && c.host.mounted[now[dataDevice]] && c.host.mounted[now[journalDevice]], "no volume was detached while it was mounted, and the new ones are mounted")
	return nil
}

// swapRefused meets what can not be swapped: EC2 does not attach the second volume, and the root device.
func (c *cloud) swapRefused(ctx context.Context) error {
	c.out.heading("5. Swaps that can not be")
	p, err := c.start()
	if err != nil {
		return err
	}
	before := c.attached()
	c.world.Inject(awssim.Fault{Operation: "AttachVolume", Skip: 1, Kind: awssim.FaultError,
		Error: awssim.Error{Code: "AttachmentLimitExceeded", Message: "The instance has too many volumes."}})
	op, err := p.swaps.Start(ctx, c.set, backup.Spec{Token: "attachments", Options: swap.SwapOptions{Instance: c.instance.ID}})
	if op, err = p.run(ctx, op, err); err != nil {
		return err
	}
	c.out.failure(op)
	c.out.line("", "the instance has the volumes that it had; %d new ones are listed in Made, and are free", len(op.Made))
	c.out.check(errors.Is(op.Err(), backup.ErrQuota) && maps.Equal(before, c.attached()) && c.host.mounted[before[dataDevice]] && len(op.Made) == 2,
		"a swap whose second volume is not attached is taken back whole")

	calls := c.calls("CreateVolume")
	op, err = p.swaps.Start(ctx, c.set, backup.Spec{Token: "root", Options: swap.SwapOptions{Instance: c.instance.ID, Devices: []string{rootDevice}}})
	if op, err = p.run(ctx, op, err); err != nil {
		return err
	}
	c.out.print("\n")
	c.out.failure(op)
	c.out.check(errors.Is(op.Err(), backup.ErrUnsupported) && c.calls("CreateVolume") == calls, "the root volume is refused before anything is made")
	c.out.check(c.calls("DeleteVolume")+c.calls("DeleteSnapshot") == 0, "no call ever deleted a volume or a snapshot")
	return nil
}

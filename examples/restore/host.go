package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
	"github.com/snapwarden/snapwarden/ebs/swap"
)

// files are what is on a disk, by name.
type files map[string]string

func (f files) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		all = append(all, name+" "+f[name])
	}
	return strings.Join(all, ", ")
}

// host plays the operating system of the instance and what is on its disks, which the simulated EC2 does not keep. It prints what it is made to
// do. A real program has here what unmounts and mounts on the host, by SSM or SSH, and for the freeze quiesce.NewHost.
type host struct {
	out   *report
	world *awssim.World
	ec2   *ec2sim.EC2

	mu sync.Mutex
	// disks is what is on each volume and in each snapshot, by id.
	disks map[string]files
	// mounted are the volumes that are in use. torn are those that were detached all the same.
	mounted map[string]bool
	torn    []string
	// lease is the freeze that holds the host, until its end at the latest; over are those that have ended.
	lease string
	until time.Time
	over  map[string]bool
}

func newHost(out *report, world *awssim.World, ec2 *ec2sim.EC2) *host {
	h := &host{out: out, world: world, ec2: ec2, disks: map[string]files{}, mounted: map[string]bool{}, over: map[string]bool{}}
	world.Watch(h.watch)
	return h
}

// watch keeps what is on the disks at the moment of their snapshots, and sees a volume that is taken from under the file system.
func (h *host) watch(c awssim.Call) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch in := c.Input.(type) {
	case *awsec2.CreateSnapshotsInput:
		for _, s := range h.ec2.Snapshots(h.world, account, region) {
			if h.disks[s.ID] == nil {
				h.disks[s.ID] = maps.Clone(h.disks[s.Volume])
			}
		}
	case *awsec2.DetachVolumeInput:
		if c.Applied && h.mounted[*in.VolumeId] {
			h.torn = append(h.torn, *in.VolumeId)
		}
	}
}

// on gives what is on a volume: what its snapshot had, if nothing was written to it yet.
func (h *host) on(volume string) files {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.disks[volume] == nil {
		for _, v := range h.ec2.Volumes(h.world, account, region) {
			if v.ID == volume {
				h.disks[volume] = maps.Clone(h.disks[v.Snapshot])
			}
		}
	}
	return maps.Clone(h.disks[volume])
}

// write changes what is on a volume.
func (h *host) write(volume string, f files) {
	now := h.on(volume)
	if now == nil {
		now = files{}
	}
	maps.Copy(now, f)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.disks[volume] = now
}

// Unmount stops what uses the disks. What is unmounted already is no error.
func (h *host) Unmount(_ context.Context, _ backup.Ref, disks []swap.Disk) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range disks {
		delete(h.mounted, d.Volume)
	}
	h.out.line("host", "unmounts %s", placed(disks))
	return nil
}

// Mount starts it again on the disks that are there now.
func (h *host) Mount(_ context.Context, _ backup.Ref, disks []swap.Disk) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, d := range disks {
		h.mounted[d.Volume] = true
	}
	h.out.line("host", "mounts %s", placed(disks))
	return nil
}

func placed(disks []swap.Disk) string {
	var all []string
	for _, d := range disks {
		all = append(all, fmt.Sprintf("%s (%s)", d.Device, d.Volume))
	}
	return strings.Join(all, " and ")
}

// Freeze brings the database and the file systems to rest. The host ends the freeze itself at the limit: here by looking at the clock.
func (h *host) Freeze(_ context.Context, _ backup.Ref, l quiesce.Lease) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchdog()
	switch {
	case h.lease != "":
		return errors.New("another freeze holds the host")
	case h.over[l.ID]:
		return errors.New("this freeze is over")
	}
	h.lease, h.until = l.ID, time.Now().Add(l.Limit)
	h.out.line("host", "frozen: the database has written what it held, the file systems stand still; it thaws by itself after %s", l.Limit)
	return nil
}

// Thaw lets them go. Where nothing is frozen there is nothing to do.
func (h *host) Thaw(_ context.Context, _ backup.Ref, l quiesce.Lease) (held bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watchdog()
	h.over[l.ID] = true
	if h.lease != l.ID {
		return false, nil
	}
	h.lease = ""
	h.out.line("host", "thawed")
	return true, nil
}

// watchdog has the host do what it has done by now.
func (h *host) watchdog() {
	if h.lease != "" && !time.Now().Before(h.until) {
		h.over[h.lease], h.lease = true, ""
	}
}

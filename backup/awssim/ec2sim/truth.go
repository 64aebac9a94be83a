package ec2sim

import (
	"slices"
	"time"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// SnapshotInfo is the truth of one snapshot, whether or not calls that read can see it.
type SnapshotInfo struct {
	ID, Volume, Owner string
	// State is as AWS reports it; that of a deleted snapshot is what it was in the end.
	State     ec2types.SnapshotState
	Tags      map[string]string
	StartTime time.Time
	SizeGiB   int32
	Encrypted bool
	KMSKeyID  string
	// Set is the same for all snapshots of one CreateSnapshots call and empty for one that was made alone.
	Set string
	// CopyOf is the id of the snapshot that a copy was made of, empty for none; Full tells that all blocks were copied.
	CopyOf string
	Full   bool
	// Tier is where it is, Moves how often it was moved there and back, failures included.
	Tier  ec2types.StorageTier
	Moves int
	// Lock is the state of its lock, empty for none, and LockedUntil when that ends.
	Lock        ec2types.LockState
	LockedUntil time.Time
	// Deleted tells that it was deleted, or, while it is pending, that it will go as soon as it is not.
	Deleted bool
	// Gone tells that it is not there any more.
	Gone bool
}

// Snapshots gives every snapshot that an account ever had in a Region, in the order of creation, for checking what must hold.
func (s *EC2) Snapshots(w *awssim.World, account, region string) []SnapshotInfo {
	var list []SnapshotInfo
	w.Do(account, region, func(r *awssim.Request) {
		for _, p := range s.in(region).snapshots.index[indexKey{"owner-id", account}] {
			end := r.Now
			if !p.there(r.Now) {
				end = p.gone
			}
			i := SnapshotInfo{ID: p.id, Volume: p.volume, Owner: p.owner, State: p.state(end), Tags: mapOf(p.tags.newest()), StartTime: stamp(p.start),
				SizeGiB: p.size, Encrypted: p.encrypted, KMSKeyID: p.key, Set: p.set, Deleted: !p.deleted.IsZero(), Gone: !p.there(r.Now)}
			i.Tier, _ = p.tier(end)
			i.Moves = len(p.tiers)
			if l, ok := p.locked(end); ok {
				i.Lock, i.LockedUntil = l.state(end), stamp(l.expires)
			}
			if p.origin != nil {
				i.CopyOf, i.Full = p.origin.snapshot, p.origin.full
			}
			list = append(list, i)
		}
	})
	return list
}

// VolumeInfo is the truth of one volume.
type VolumeInfo struct {
	ID string
	// State is as AWS reports it; "deleted" for one that is gone.
	State ec2types.VolumeState
	Tags  map[string]string
	// Snapshot is what it was made of, Instance and Device where it is attached; empty for none.
	Snapshot, Instance, Device string
	Root                       bool
	CreateTime                 time.Time
	SizeGiB                    int32
	Type                       ec2types.VolumeType
	Encrypted                  bool
	KMSKeyID                   string
	Deleted                    bool
}

// Volumes gives every volume that an account ever had in a Region, in the order of creation.
func (s *EC2) Volumes(w *awssim.World, account, region string) []VolumeInfo {
	var list []VolumeInfo
	w.Do(account, region, func(r *awssim.Request) {
		for _, v := range s.in(region).volumes.index[indexKey{"owner-id", account}] {
			i := VolumeInfo{ID: v.id, State: v.state(r.Now), Tags: mapOf(v.tags.newest()), Snapshot: v.from, CreateTime: stamp(v.made), SizeGiB: v.size, Type: v.kind,
				Encrypted: v.encrypted, KMSKeyID: v.key, Deleted: !v.there(r.Now)}
			if a := v.attachment(r.Now); a != nil && !i.Deleted {
				i.Instance, i.Device, i.Root = a.instance.id, a.device, a.root
			}
			list = append(list, i)
		}
	})
	return list
}

// SetQuotas sets the limits for all accounts and Regions from now on.
func (s *EC2) SetQuotas(w *awssim.World, q Quotas) {
	w.Do("", "", func(*awssim.Request) { s.quotas = q })
}

// DeleteBehindBack deletes a snapshot as a third party or AWS itself would: at once, whatever state it is in and whatever uses it. It reports
// whether there was one.
func (s *EC2) DeleteBehindBack(w *awssim.World, account, region, snapshotID string) (deleted bool) {
	w.Do(account, region, func(r *awssim.Request) {
		var p *snapshot
		if p, deleted = s.in(region).snapshots.own(r, snapshotID); deleted {
			s.remove(r, p)
			p.gone = r.Now
		}
	})
	return deleted
}

// Retag puts exactly these tags on a snapshot, volume, instance or image, as a third party would, or AWS itself: keys beginning with "aws:"
// are taken. It reports whether there is such a resource.
func (s *EC2) Retag(w *awssim.World, account, region, id string, tags map[string]string) (found bool) {
	w.Do(account, region, func(r *awssim.Request) {
		t, err := s.target(r, id)
		if found = err == nil; found {
			t.tags.set(r.Now, tagsOf(tags))
			t.note()
		}
	})
	return found
}

// Share puts exactly these accounts into a snapshot's createVolumePermission; "all" makes it public. It reports whether there is such a
// snapshot.
func (s *EC2) Share(w *awssim.World, account, region, snapshotID string, with ...string) (found bool) {
	w.Do(account, region, func(r *awssim.Request) {
		var p *snapshot
		if p, found = s.in(region).snapshots.own(r, snapshotID); !found {
			return
		}
		p.shared = slices.Clone(with)
		for _, a := range with {
			s.in(region).snapshots.note(p, sharedWith, a)
		}
	})
	return found
}

// Seeds describes the snapshots that Seed makes.
type Seeds struct {
	// Volumes are ids of volumes to which the snapshots belong in turn. They need not exist; an empty list stands for one made-up volume for
	// every ten snapshots.
	Volumes []string
	// First is the start time of the first snapshot; zero is Every times the number of snapshots ago, so that the newest is Every old.
	First time.Time
	// Every is the time from one to the next; 0 is one minute.
	Every time.Duration
	// Tags gives the tags of the snapshot with the given number from 0; nil for none.
	Tags func(n int) map[string]string
	// SizeGiB is the volumes' size; 0 is 8.
	SizeGiB int32
	// KMSKeyID is the key's ARN if they are encrypted.
	KMSKeyID string
}

// Seed makes n completed snapshots at once, without calls, quotas and durations, and gives their ids in the order of creation.
func (s *EC2) Seed(w *awssim.World, account, region string, n int, like Seeds) []string {
	ids := make([]string, n)
	w.Do(account, region, func(r *awssim.Request) {
		every := like.Every
		if every <= 0 {
			every = time.Minute
		}
		start := like.First
		if start.IsZero() {
			start = r.Now.Add(-time.Duration(n) * every)
		}
		volumes := like.Volumes
		for i := len(volumes); len(like.Volumes) == 0 && i < (n+9)/10; i++ {
			volumes = append(volumes, r.NewID("vol"))
		}
		size := like.SizeGiB
		if size == 0 {
			size = 8
		}
		g := s.in(region)
		g.account(account).live += n
		for i := range n {
			at := start.Add(time.Duration(i) * every)
			p := &snapshot{volume: volumes[i%len(volumes)], size: size, encrypted: like.KMSKeyID != "", key: like.KMSKeyID, start: at, ready: at}
			p.resource = resource{seq: s.next(), id: r.NewID("snap"), owner: account, made: at}
			if like.Tags != nil {
				p.tags = firstTags(tagsOf(like.Tags(i)))
			}
			g.snapshots.add(p)
			g.snapshots.note(p, "volume-id", p.volume)
			ids[i] = p.id
		}
	})
	return ids
}

package elasticacheexport

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// exportable refuses what AWS never exports.
func exportable(r backup.Ref, x *ectypes.Snapshot) error {
	refuse := func(hint, format string, args ...any) error {
		return failure(backup.Operation{Ref: r}, "export", backup.ErrUnsupported, hint, format, args...)
	}
	switch {
	case x.DataTiering == ectypes.DataTieringStatusEnabled:
		return refuse("only a restore to r6gd nodes can use it", "the snapshot %s uses data tiering, which ElastiCache does not export", r.ID)
	case word(x.Engine) == "memcached":
		// AWS's User Guide calls one of a serverless cache exportable and its API does not. What would be written is no .rdb file.
		return refuse("export a snapshot of Redis or Valkey", "Memcached has no .rdb files")
	}
	return nil
}

// pinned reports whether it was noted what must be exported.
func (st state) pinned() bool { return len(st.Shards) > 0 || st.Less && st.Engine != "" }

// differs refuses a snapshot that is not the one that was noted: somebody deleted that and made another of its name. A name says nothing of
// what is in a snapshot, and neither do the files that are exported of it.
func (st state) differs(r backup.Ref, x *ectypes.Snapshot) error {
	changed := func(format string, args ...any) error {
		return failure(backup.Operation{Ref: r}, "export", backup.ErrConflict, hintOtherSnapshot,
			"the snapshot "+r.ID+" is not the one that was to be exported: "+format, args...)
	}
	now := state{Less: st.Less}
	if err := now.describe(r, x); err != nil {
		return changed("%w", err)
	}
	switch {
	// A time that AWS does not tell is no other time.
	case !now.Taken.IsZero() && !st.Taken.IsZero() && !now.Taken.Equal(st.Taken):
		return changed("its data is of %s and was of %s", now.Taken.Format(time.RFC3339), st.Taken.Format(time.RFC3339))
	case now.Engine != st.Engine || now.Version != st.Version:
		return changed("it is of %s %s and was of %s %s", now.Engine, now.Version, st.Engine, st.Version)
	case now.Source != st.Source || now.Cluster != st.Cluster:
		return changed("it was taken of %q, and before of %q", now.Source, st.Source)
	case !slices.EqualFunc(now.Shards, st.Shards, func(a, b shard) bool { return a.ID == b.ID && a.Slots == b.Slots }):
		return changed("its shards or their slots are others")
	}
	return nil
}

// describe notes what must be exported.
func (st *state) describe(r backup.Ref, x *ectypes.Snapshot) error {
	st.Engine, st.Version = word(x.Engine), aws.ToString(x.EngineVersion)
	st.Source = word(x.ReplicationGroupId)
	st.Cluster, st.Shards, st.Taken = st.Source != "", nil, time.Time{}
	if !st.Cluster {
		st.Source = word(x.CacheClusterId)
	}
	for _, n := range x.NodeSnapshots {
		if t := aws.ToTime(n.SnapshotCreateTime); t.After(st.Taken) {
			st.Taken = t.UTC()
		}
		if st.Less {
			st.Bytes = aws.ToString(n.CacheSize)
		}
		if !st.Cluster {
			continue
		}
		one := shard{ID: aws.ToString(n.NodeGroupId)}
		if n.NodeGroupConfiguration != nil {
			one.Slots = aws.ToString(n.NodeGroupConfiguration.Slots)
		}
		if one.ID == "" || strings.Trim(one.ID, "0123456789") != "" {
			return failure(backup.Operation{Ref: r}, "export", backup.ErrUnsupported, "export another recovery point", "the snapshot %s has a node group with the id %q, whose file can not be known", r.ID, one.ID)
		}
		st.Shards = append(st.Shards, one)
	}
	if st.Less {
		return nil // its files are counted
	}
	if !st.Cluster {
		st.Shards = []shard{{ID: "0001"}}
	}
	slices.SortFunc(st.Shards, func(a, b shard) int { return strings.Compare(a.ID, b.ID) })
	want := int(aws.ToInt32(x.NumNodeGroups))
	switch {
	case len(st.Shards) > MaxShards:
		return failure(backup.Operation{Ref: r}, "export", backup.ErrUnsupported, "restore it as it is, or rebalance the cluster to fewer shards and back up again", "the snapshot %s has %d shards, more than the %d that one export can have", r.ID, len(st.Shards), MaxShards)
	case len(st.Shards) == 0, st.Cluster && want > 0 && want != len(st.Shards):
		return failure(backup.Operation{Ref: r}, "export", backup.ErrPartial, "export another recovery point", "the snapshot %s names %d of its %d node groups", r.ID, len(st.Shards), want)
	}
	return nil
}

package elasticacheexport

import (
	"strings"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
)

// naming gives an export its name.
func naming(op backup.Operation, spec backup.Spec, o Options) (state, error) {
	st := state{Bucket: o.Bucket, Name: policy.CanonicalName(spec.Name), Less: serverless(op.Ref)}
	if st.Less {
		if st.Name != "" && (st.Name != op.Ref.ID || op.Ref.Type == elasticache.TypeServerless) {
			return st, invalid(op.Ref, "leave Spec.Name empty", "ElastiCache calls the files of a serverless cache after the snapshot, and takes no other name for them")
		}
		if st.Name = op.Ref.ID; op.Ref.Type == elasticache.TypeServerless {
			st.Name = "" // until there is a snapshot
			return st, nil
		}
	} else if st.Own = st.Name == ""; st.Own {
		st.Name = policy.ElastiCacheExportPrefix + strings.TrimPrefix(op.ID, "op-")
	}
	if err := policy.ValidateExportName(st.Name); err != nil {
		return st, invalid(op.Ref, "choose a shorter or plainer Spec.Name, or leave it empty", "%w", err)
	}
	return st, nil
}

// key is that of a shard.
func (st state) key(i int) string {
	if rest := st.Shards[i].Rest; rest != "" {
		return st.Name + rest
	}
	return policy.ExportKey(st.Name, st.Shards[i].ID)
}

// files names what the export writes.
func (st state) files(r backup.Ref) backup.Ref {
	return filesRef(r.Account, r.Region, st.Bucket, st.Name, st.Less)
}

// filesRef is the Ref of what begins with a name: and a hyphen, which of a serverless cache is not known.
func filesRef(account, region, bucket, name string, less bool) backup.Ref {
	if !less {
		name += "-"
	}
	return backup.Ref{Type: TypeFiles, Account: account, Region: region, ID: bucket + "/" + name}
}

// another says how to export under another name.
func (st state) another() string {
	if st.Less {
		return "ElastiCache calls the files after the snapshot: use another bucket, export the cache itself, or copy the snapshot to another name (elasticache.StartCopy) and export the copy"
	}
	return "choose another Spec.Name, or leave it empty"
}

package elasticacheexport

import (
	"strings"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/s3export"
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

// Export names a finished export without its Operation, by the bucket it is in and its name: what the keys of its files begin with. That is Spec.Name if
// one was chosen, and else policy.ElastiCacheExportPrefix and Operation.ID without its "op-"; of a serverless cache it is the name of the snapshot, which
// Points of a live export lists. As ElastiCache does it, the name is put in lower case. A copy of an export keeps the name, in its own bucket, account and
// Region. No call is made, and nothing is checked: Manifest tells whether there is such an export.
func Export(account, region, bucket, name string) backup.Ref {
	return backup.Ref{Type: TypeExport, Account: account, Region: region, ID: bucket + "/" + s3export.ManifestKey(policy.CanonicalName(name))}
}

// hintPoint says what the Ref of an export is.
const hintPoint = "use the Ref of type " + TypeExport + " in Operation.Points, or make it with elasticacheexport.Export; Points of a live export also lists its snapshot"

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

package elasticacheexport

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
)

// count makes shards of the files that are there. What can not be all, or not all of it files of an export, is refused.
func (st state) count(op backup.Operation, files []file) ([]shard, error) {
	files = slices.SortedFunc(slices.Values(files), func(a, b file) int { return cmp.Compare(a.key, b.key) })
	var all []shard
	var order []int
	ids := map[string]bool{}
	for i, f := range files {
		rest := f.key[len(st.Name):]
		if !strings.EqualFold(rest[max(0, len(rest)-len(".rdb")):], ".rdb") {
			return nil, failure(op, "export", backup.ErrUnsupported, "look at what is listed in Made", "the object %s was written, which is no .rdb file", f.key)
		}
		if f.size == 0 {
			return nil, failure(op, "export", backup.ErrPartial, "delete what is listed in Made and export again with another token", "the export ended, and the file %s is empty", f.key)
		}
		all = append(all, shard{ID: fmt.Sprintf("%04d", i+1), Rest: rest})
		id, ok := number(rest)
		if !ok || len(id) > 8 {
			continue
		}
		ids[id] = true
		// Numbers of four digits, or filled up with noughts, are those of shards, which leave none out. Others may be anything.
		if len(id) <= 4 || id[0] == '0' {
			n, _ := strconv.Atoi(id) // digits, and not many
			order = append(order, n)
		}
	}
	slices.Sort(order)
	order = slices.Compact(order)
	if n := len(order); n > 0 && (order[0] > 1 || order[n-1]-order[0]+1 != n) {
		return nil, failure(op, "export", backup.ErrPartial, "look at the files that are listed in Made: if they are all, use them by hand; if not, delete them and export again with another token",
			"%d files of the export are numbered from %d to %d, so that some seem to be missing", n, order[0], order[n-1])
	}
	if !st.unique() && len(order) > 0 && slices.ContainsFunc(all, func(x shard) bool { return strings.EqualFold(x.Rest, ".rdb") }) {
		return nil, failure(op, "export", backup.ErrUnsupported, "look at what is listed in Made; export the cache itself, whose snapshot then has a name that proves what is of it",
			"there is a file %s.rdb beside numbered ones: they are not of one export, or of longer names", st.Name)
	}
	if len(ids) < len(files) {
		return all, nil // AWS does not number them, or not all
	}
	for i := range all {
		all[i].ID, _ = number(all[i].Rest)
		if all[i].Rest == "-"+all[i].ID+".rdb" {
			all[i].Rest = ""
		}
	}
	return all, nil
}

// counted is the finding that the number of files is an inference; before tells that an earlier run made it, of which only the manifest is known.
func (s *Strategy) counted(op *backup.Operation, st state, m s3export.Manifest, before bool) {
	size := int64(0)
	for _, x := range m.Shards {
		size += x.Size
	}
	how := fmt.Sprintf("%d, of %d bytes in all, were there when nothing had changed for %v", len(m.Shards), size, s.quiet(st))
	if before {
		how = fmt.Sprintf("the manifest that was there already lists %d, of %d bytes in all", len(m.Shards), size)
	}
	told := ""
	if st.Bytes != "" {
		told = "; AWS gives the snapshot " + st.Bytes
	}
	op.Find(backup.Finding{ID: of("counted"), Severity: backup.SeverityWarning, Ref: st.files(op.Ref),
		Message: fmt.Sprintf("AWS tells neither the end of a serverless cache's export nor how many files it has: %s%s", how, told),
		Remedy:  "load or restore it once before relying on it alone"})
	if m.Seedable() != nil {
		op.Find(backup.Finding{ID: of("slots-unknown"), Severity: backup.SeverityInfo, Ref: st.files(op.Ref),
			Message: "which hash slots each file holds is not known, so that the library seeds no cluster from it", Remedy: "restore the snapshot itself to a serverless cache"})
	}
}

package elasticache

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// Should AWS give a copy a time of its own, the tags have that of the data.
func TestDataTime(t *testing.T) {
	at := time.Date(2026, 5, 4, 3, 2, 1, 5e8, time.UTC)
	x := &ectypes.Snapshot{NodeSnapshots: []ectypes.NodeSnapshot{{SnapshotCreateTime: &at}}}
	tag := func(t time.Time, of string) map[string]string {
		return map[string]string{backup.TagCreated: t.Format(time.RFC3339), tagCopyOf: of}
	}
	for _, c := range []struct {
		name string
		x    *ectypes.Snapshot
		tags map[string]string
		want time.Time
	}{
		{"a backup, which began earlier", x, tag(at.Add(-time.Minute), ""), at},
		{"a copy", x, tag(at.Add(-time.Hour), "first"), at.Add(-time.Hour).Truncate(time.Second)},
		{"a copy that has the time of its data", x, tag(at, "first"), at},
		{"a copy of the future", x, tag(at.Add(time.Hour), "first"), at},
		{"a copy without a time", x, map[string]string{tagCopyOf: "first", backup.TagCreated: "yesterday"}, at},
		{"a copy that is being made", &ectypes.Snapshot{}, tag(at, "first"), time.Time{}},
	} {
		if got := dataTime(c.x, c.tags); !got.Equal(c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestCopyTagsAndWhatIsForeign(t *testing.T) {
	of := Cluster("111122223333", "eu-west-1", "one")
	op, err := backup.NewOperation(Kind, backup.ActionCopy, Snapshot("111122223333", "eu-west-1", "first"), backup.Spec{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	st := backupState{Name: "second", Copy: &copied{From: identity{Source: "one/"}, Lineage: of, Taken: time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), Key: "source's"}}
	tags := st.copyTags(op)
	if tags[backup.TagCreated] != "2026-05-04T03:02:01Z" || tags[tagCopyOf] != "first" || tags[backup.TagSource] != of.Tag() || tags[backup.TagToken] != op.ID {
		t.Errorf("tags %v", tags)
	}
	other := map[string]string{backup.TagSource: Cluster("111122223333", "eu-west-1", "two").Tag()}
	for _, c := range []struct {
		name    string
		x       ectypes.Snapshot
		key     string
		tags    map[string]string
		foreign bool
	}{
		{"the copy", ectypes.Snapshot{CacheClusterId: aws.String("one"), KmsKeyId: aws.String("source's")}, "", tags, false},
		{"another key than the source's", ectypes.Snapshot{CacheClusterId: aws.String("one"), KmsKeyId: aws.String("k")}, "", tags, true},
		{"no key", ectypes.Snapshot{CacheClusterId: aws.String("one")}, "", tags, true},
		{"the key that was asked for", ectypes.Snapshot{CacheClusterId: aws.String("one"), KmsKeyId: aws.String("k")}, "k", tags, false},
		{"the source's key where another was asked for", ectypes.Snapshot{CacheClusterId: aws.String("one"), KmsKeyId: aws.String("source's")}, "k", tags, true},
		{"of another cluster", ectypes.Snapshot{CacheClusterId: aws.String("two"), KmsKeyId: aws.String("source's")}, "", tags, true},
		{"of a group", ectypes.Snapshot{ReplicationGroupId: aws.String("one"), KmsKeyId: aws.String("source's")}, "", tags, true},
		{"another source tag", ectypes.Snapshot{CacheClusterId: aws.String("one"), KmsKeyId: aws.String("source's")}, "", other, true},
	} {
		st.KMSKeyID = c.key
		if got := (&Strategy{}).foreign(op, st, &c.x, c.tags); (got != "") != c.foreign {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

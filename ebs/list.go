package ebs

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

func cmpRef(a, b backup.Ref) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(a.ID, b.ID))
}

// place is a Ref without an id, for choosing a client.
func place(q backup.Query) backup.Ref {
	return backup.Ref{Type: "query", Account: q.Account, Region: q.Region, ID: "-"}
}

// List yields recovery points: all snapshots of the account that are in no set of this package one by one as they are read, and then the
// sets, as one each. Copies that StartCopy made are listed with the source and the time of their data; in another Region than the source's they are
// found by the tag backup.TagSource with the value of Ref.Tag, for Query.Source names what is in the Region of the Query. What is in the archive tier is
// listed as available, though StartUnarchive must come before a restore.
func (s *Strategy) List(ctx context.Context, q backup.Query) iter.Seq2[backup.RecoveryPoint, error] {
	return func(yield func(backup.RecoveryPoint, error) bool) {
		fail := func(err error) { yield(backup.RecoveryPoint{}, err) }
		r := place(q)
		filters, err := s.listFilters(q)
		if err != nil {
			fail(err)
			return
		}
		c, err := s.client(ctx, r)
		if err != nil {
			fail(err)
			return
		}
		want := func(t string) bool { return len(q.Types) == 0 || slices.Contains(q.Types, t) }
		sets := map[string][]ec2types.Snapshot{}
		var order []string
		for x, err := range s.listed(ctx, c, r, q, filters) {
			if err != nil {
				fail(err)
				return
			}
			set := tagMap(x.Tags)[TagSet]
			if set == "" || q.Point.Type == TypeSnapshot {
				if want(TypeSnapshot) && !yield(single(r, x), nil) {
					return
				}
				continue
			}
			if sets[set] == nil {
				order = append(order, set)
			}
			sets[set] = append(sets[set], x)
		}
		// A set may have more members than it was planned to have, so it is known only when the last page was read.
		for _, id := range order {
			if !want(TypeSet) {
				break
			}
			if q.Source.Type == TypeVolume || len(q.Tags) > 0 {
				// The filter may have taken some of its members only, and a set is judged by all.
				if sets[id], err = s.members(ctx, c, Set(q.Account, q.Region, id)); err != nil {
					fail(err)
					return
				}
				if len(sets[id]) == 0 {
					continue
				}
			}
			if !yield(setPoint(r, id, sets[id]), nil) {
				return
			}
		}
	}
}

// listed yields the snapshots that match, and then the copies of a volume's snapshots in its own Region, which its id does not find.
func (s *Strategy) listed(ctx context.Context, c *awsec2.Client, r backup.Ref, q backup.Query, filters []ec2types.Filter) iter.Seq2[ec2types.Snapshot, error] {
	return func(yield func(ec2types.Snapshot, error) bool) {
		for x, err := range snapshots(ctx, c, r, filters...) {
			if !yield(x, err) || err != nil {
				return
			}
		}
		if q.Source.Type != TypeVolume {
			return
		}
		others := append(slices.DeleteFunc(slices.Clone(filters), func(f ec2types.Filter) bool { return *f.Name == "volume-id" }), filter("tag:"+TagVolume, q.Source.ID))
		for x, err := range snapshots(ctx, c, r, others...) {
			tags := tagMap(x.Tags)
			if err == nil && (!isCopy(x, tags) || tags[TagSet] == "" && single(r, x).Source != q.Source) {
				continue
			}
			if !yield(x, err) || err != nil {
				return
			}
		}
	}
}

func (s *Strategy) listFilters(q backup.Query) ([]ec2types.Filter, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	var filters []ec2types.Filter
	for _, t := range q.Types {
		if t != TypeSnapshot && t != TypeSet {
			return nil, invalid("list", place(q), "the types of recovery points are ebs.TypeSnapshot and ebs.TypeSet", "the type %q", t)
		}
	}
	for k, v := range q.Tags {
		if v == "" {
			filters = append(filters, filter("tag-key", k))
		} else {
			filters = append(filters, filter("tag:"+k, v))
		}
	}
	slices.SortFunc(filters, func(a, b ec2types.Filter) int { return strings.Compare(*a.Name, *b.Name) })
	if !q.Source.IsZero() {
		if err := samePlace("list", q, q.Source); err != nil {
			return nil, err
		}
		if err := validRef("list", q.Source, TypeVolume, TypeInstance); err != nil {
			return nil, err
		}
		if q.Source.Type == TypeVolume {
			filters = append(filters, filter("volume-id", q.Source.ID))
		} else {
			filters = append(filters, filter("tag:"+backup.TagSource, q.Source.Tag()))
		}
	}
	if !q.Point.IsZero() {
		if err := samePlace("list", q, q.Point); err != nil {
			return nil, err
		}
		if err := validRef("list", q.Point, TypeSnapshot, TypeSet); err != nil {
			return nil, err
		}
		if q.Point.Type == TypeSet {
			filters = append(filters, filter("tag:"+TagSet, q.Point.ID))
		} else {
			filters = append(filters, filter("snapshot-id", q.Point.ID))
		}
	}
	return filters, nil
}

func samePlace(action backup.Action, q backup.Query, r backup.Ref) error {
	if r.Account != q.Account || r.Region != q.Region {
		return invalid(action, r, "Query.Account and Query.Region must be those of the Ref", "the query is for account %q and Region %q", q.Account, q.Region)
	}
	return nil
}

func status(x ec2types.Snapshot) backup.Status {
	switch x.State {
	case ec2types.SnapshotStateCompleted:
		return backup.StatusAvailable
	case ec2types.SnapshotStateError:
		return backup.StatusFailed
	case ec2types.SnapshotStateRecoverable, ec2types.SnapshotStateRecovering:
		return backup.StatusDeleting
	}
	return backup.StatusPending
}

const gib = 1 << 30

// single makes the recovery point of a snapshot that is in no set.
func single(r backup.Ref, x ec2types.Snapshot) backup.RecoveryPoint {
	tags := tagMap(x.Tags)
	p := backup.RecoveryPoint{
		Ref: Snapshot(r.Account, r.Region, aws.ToString(x.SnapshotId)), Source: Volume(r.Account, r.Region, aws.ToString(x.VolumeId)),
		CreatedAt: created(tags, x), Status: status(x), Percent: progress(x), Encrypted: aws.ToBool(x.Encrypted), KMSKeyID: aws.ToString(x.KmsKeyId),
		SizeBytes: int64(aws.ToInt32(x.VolumeSize)) * gib, Tags: tags, Automated: tags["aws:backup:source-resource"] != "",
	}
	if copied(x) {
		// The volume id of a copy means nothing; the tags tell, if this package made it.
		p.Source, _ = parseSource(tags[backup.TagSource])
		if !isCopy(x, tags) || p.Source.Type != TypeVolume {
			p.Source = backup.Ref{}
		}
	}
	return p
}

// created is the time of the data. A copy has a start of its own, so there the tag counts, if it was carried along.
func created(tags map[string]string, x ec2types.Snapshot) time.Time {
	if copied(x) {
		if t, err := time.Parse(time.RFC3339, tags[backup.TagCreated]); err == nil {
			return t
		}
	}
	return aws.ToTime(x.StartTime)
}

// setPoint makes the recovery point of a set from the members that are visible.
func setPoint(r backup.Ref, id string, xs []ec2types.Snapshot) backup.RecoveryPoint {
	xs = uniqueCopies(xs)
	tags := tagMap(xs[0].Tags)
	devices := map[string]string{}
	for _, x := range xs {
		maps.Copy(devices, Devices(tagMap(x.Tags)))
	}
	sources := map[string]bool{} // the volumes that a completed member is there of
	twice := false
	p := backup.RecoveryPoint{Ref: Set(r.Account, r.Region, id), Tags: tags, Status: backup.StatusAvailable, Encrypted: true}
	p.Source, _ = parseSource(tags[backup.TagSource])
	delete(p.Tags, TagVolume) // those of copies tell of one member each
	delete(p.Tags, TagCopyOf)
	if slices.ContainsFunc(xs, func(x ec2types.Snapshot) bool { return tagMap(x.Tags)[TagConsistency] != ConsistencyApplication }) {
		delete(p.Tags, TagConsistency) // it is said of a set that is so as a whole
	}
	good, percent, deleting, pending := 0, 0, 0, 0
	for i, x := range xs {
		v := volumeOf(x, tagMap(x.Tags))
		m := backup.Member{ID: aws.ToString(x.SnapshotId), Source: v, Place: devices[v], Role: "data", Status: status(x), SizeBytes: int64(aws.ToInt32(x.VolumeSize)) * gib}
		if v == tags[TagRoot] {
			m.Role = "root"
		}
		p.Members = append(p.Members, m)
		p.SizeBytes += m.SizeBytes
		p.Encrypted = p.Encrypted && aws.ToBool(x.Encrypted)
		percent += progress(x)
		if t := created(tagMap(x.Tags), x); i == 0 || t.Before(p.CreatedAt) {
			p.CreatedAt = t
		}
		switch k := aws.ToString(x.KmsKeyId); {
		case i == 0:
			p.KMSKeyID = k
		case k != p.KMSKeyID:
			p.KMSKeyID = "" // members under several keys
		}
		switch m.Status {
		case backup.StatusAvailable:
			good++
			twice = twice || sources[v]
			sources[v] = true
		case backup.StatusPending:
			pending++
		case backup.StatusDeleting:
			deleting++
		}
	}
	slices.SortFunc(p.Members, func(a, b backup.Member) int {
		return cmp.Or(strings.Compare(a.Place, b.Place), strings.Compare(a.Source, b.Source), strings.Compare(a.ID, b.ID))
	})
	p.Percent = percent / len(xs)
	missing := good < max(planned(xs), len(xs))
	for v := range devices {
		missing = missing || !sources[v]
	}
	switch {
	case twice:
		// One send was delivered twice: which members are of one moment can not be told, so it is no set to restore.
		p.Status = backup.StatusFailed
	case deleting == len(xs):
		p.Status = backup.StatusDeleting
	case pending > 0:
		p.Status = backup.StatusPending
	case good == 0:
		p.Status = backup.StatusFailed
	case missing:
		p.Status = backup.StatusPartial
	}
	return p
}

// parseSource reads what Ref.String wrote into the tag TagSource; none of its parts can contain a colon.
func parseSource(s string) (backup.Ref, bool) {
	f := strings.Split(s, ":")
	if len(f) != 4 {
		return backup.Ref{}, false
	}
	return backup.Ref{Type: f[0], Account: f[1], Region: f[2], ID: f[3]}, true
}

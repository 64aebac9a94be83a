package ami

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/policy"
)

// List yields the account's own images as recovery points, also deprecated ones. A disabled image is StatusPending: its data is there, and it can not be
// launched until somebody enables it. Query.Source finds the images that CreateImage made of an instance; copies are found by the tag backup.TagSource.
func (s *Strategy) List(ctx context.Context, q backup.Query) iter.Seq2[backup.RecoveryPoint, error] {
	return func(yield func(backup.RecoveryPoint, error) bool) {
		filters, err := listFilters(q)
		if err != nil {
			yield(backup.RecoveryPoint{}, err)
			return
		}
		r := Image(q.Account, q.Region, "-")
		c, err := s.client(ctx, r)
		if err != nil {
			yield(backup.RecoveryPoint{}, err)
			return
		}
		for x, err := range images(ctx, c, r, filters...) {
			if err != nil {
				yield(backup.RecoveryPoint{}, err)
				return
			}
			if x.State == ec2types.ImageStateDeregistered {
				continue
			}
			if !yield(point(r, x), nil) {
				return
			}
		}
	}
}

func listFilters(q backup.Query) ([]ec2types.Filter, error) {
	if err := q.Validate(); err != nil {
		return nil, err
	}
	place := backup.Ref{Type: "query", Account: q.Account, Region: q.Region, ID: "-"}
	for _, t := range q.Types {
		if t != TypeImage {
			return nil, invalid("list", place, "the type of recovery points is ami.TypeImage", "the type %q", t)
		}
	}
	var filters []ec2types.Filter
	for k, v := range q.Tags {
		if v == "" {
			filters = append(filters, filter("tag-key", k))
		} else {
			filters = append(filters, filter("tag:"+k, v))
		}
	}
	slices.SortFunc(filters, func(a, b ec2types.Filter) int { return strings.Compare(*a.Name, *b.Name) })
	for _, w := range []struct {
		r         backup.Ref
		typ, name string
	}{{q.Source, ebs.TypeInstance, "source-instance-id"}, {q.Point, TypeImage, "image-id"}} {
		if w.r.IsZero() {
			continue
		}
		if w.r.Account != q.Account || w.r.Region != q.Region {
			return nil, invalid("list", w.r, "Query.Account and Query.Region must be those of the Ref", "the query is for account %q and Region %q", q.Account, q.Region)
		}
		if err := validRef("list", w.r, w.typ); err != nil {
			return nil, err
		}
		filters = append(filters, filter(w.name, w.r.ID))
	}
	return filters, nil
}

// Discover yields the instances that carry the wanted tags, as package ebs finds them; terminated ones are left out.
func (s *Strategy) Discover(ctx context.Context, q backup.Query) iter.Seq2[backup.Resource, error] {
	return func(yield func(backup.Resource, error) bool) {
		for _, t := range q.Types {
			if t != ebs.TypeInstance {
				yield(backup.Resource{}, invalid("discover", backup.Ref{Type: "query", Account: q.Account, Region: q.Region, ID: "-"}, "the type of resources is ebs.TypeInstance", "the type %q", t))
				return
			}
		}
		q.Types = []string{ebs.TypeInstance}
		if err := q.Validate(); err == nil && s.own != nil {
			if err := s.own.Check(ctx, backup.Ref{Type: "query", Account: q.Account, Region: q.Region, ID: "-"}); err != nil {
				yield(backup.Resource{}, err)
				return
			}
		}
		for x, err := range ebs.New(ebs.Provider(s.provider)).Discover(ctx, q) {
			if !yield(x, err) || err != nil {
				return
			}
		}
	}
}

func status(x ec2types.Image) backup.Status {
	switch x.State {
	case ec2types.ImageStateAvailable:
		return backup.StatusAvailable
	case ec2types.ImageStateFailed, ec2types.ImageStateError, ec2types.ImageStateInvalid:
		return backup.StatusFailed
	case ec2types.ImageStateDeregistered:
		return backup.StatusDeleting
	}
	return backup.StatusPending
}

const gib = 1 << 30

// point makes the recovery point of an image.
func point(r backup.Ref, x ec2types.Image) backup.RecoveryPoint {
	tags := tagMap(x.Tags)
	id := aws.ToString(x.ImageId)
	p := backup.RecoveryPoint{Ref: Image(r.Account, r.Region, id), CreatedAt: born(x), Status: status(x), Encrypted: true, Tags: tags, Automated: tags["aws:backup:source-resource"] != ""}
	if partition, err := policy.PartitionOf(r.Region); err == nil {
		p.ARN = "arn:" + partition.ID + ":ec2:" + r.Region + "::image/" + id
	}
	if i := aws.ToString(x.SourceInstanceId); i != "" {
		p.Source = ebs.Instance(r.Account, r.Region, i)
	} else if made(p.Ref, tags[backup.TagToken], x) {
		// A copy of ours carries the lineage.
		p.Source = parseSource(tags[backup.TagSource])
		if t, err := time.Parse(time.RFC3339, tags[backup.TagCreated]); err == nil {
			p.CreatedAt = t
		}
	}
	for _, m := range x.BlockDeviceMappings {
		if m.Ebs == nil || aws.ToString(m.Ebs.SnapshotId) == "" {
			continue
		}
		role := "data"
		if aws.ToString(m.DeviceName) == aws.ToString(x.RootDeviceName) {
			role = "root"
		}
		size := int64(aws.ToInt32(m.Ebs.VolumeSize)) * gib
		p.Members = append(p.Members, backup.Member{ID: *m.Ebs.SnapshotId, Place: aws.ToString(m.DeviceName), Role: role, Status: p.Status, SizeBytes: size})
		p.SizeBytes += size
		p.Encrypted = p.Encrypted && aws.ToBool(m.Ebs.Encrypted)
	}
	p.Encrypted = p.Encrypted && len(p.Members) > 0
	slices.SortFunc(p.Members, func(a, b backup.Member) int {
		return cmp.Or(strings.Compare(a.Place, b.Place), strings.Compare(a.ID, b.ID))
	})
	return p
}

// parseSource reads what Ref.Tag wrote of an instance; anything else is no source.
func parseSource(s string) backup.Ref {
	f := strings.Split(s, ":")
	if len(f) != 4 || f[0] != ebs.TypeInstance {
		return backup.Ref{}
	}
	return backup.Ref{Type: f[0], Account: f[1], Region: f[2], ID: f[3]}
}

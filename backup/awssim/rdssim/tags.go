package rdssim

import (
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// tagMap checks tags and copies them.
func tagMap(tags []rdstypes.Tag) (map[string]string, error) {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		k := aws.ToString(t.Key)
		if k == "" || len(k) > 128 || len(aws.ToString(t.Value)) > 256 || strings.HasPrefix(strings.ToLower(k), "aws:") {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid tag key or value: %s", k)
		}
		m[k] = aws.ToString(t.Value)
	}
	return m, tagLimit(m)
}

// copied is a copy that can be written to.
func copied(m map[string]string) map[string]string {
	c := make(map[string]string, len(m))
	maps.Copy(c, m)
	return c
}

func tagLimit(m map[string]string) error {
	if len(m) > 50 {
		return awssim.Fail("InvalidParameterValue", "A resource can not have more than 50 tags")
	}
	return nil
}

func tagList(m map[string]string) []rdstypes.Tag {
	list := make([]rdstypes.Tag, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, rdstypes.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return list
}

// tagged finds the tags of the resource that an ARN names.
func (s *RDS) tagged(r *awssim.Request, arn string, truth bool) (*history[map[string]string], error) {
	g := s.in(r)
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "rds" {
		return nil, badTagged()
	}
	name := named(r, parts[5], arn)
	switch parts[5] {
	case "db":
		if i, ok := look(r, &g.instances, name, truth); ok {
			return &i.tags, nil
		}
		return nil, notFound("DBInstanceNotFound", "DBInstance %s not found.", parts[6])
	case "cluster":
		if c, ok := look(r, &g.clusters, name, truth); ok {
			return &c.tags, nil
		}
		return nil, clusterNotFound(parts[6])
	case "snapshot":
		if p, ok := look(r, &g.snapshots, name, truth); ok {
			return &p.tags, nil
		}
		return nil, notFound("DBSnapshotNotFound", "DBSnapshot %s not found.", parts[6])
	case "cluster-snapshot":
		if p, ok := look(r, &g.clusterSnapshots, name, truth); ok {
			return &p.tags, nil
		}
		return nil, clusterSnapshotNotFound(parts[6])
	}
	return nil, badTagged()
}

func badTagged() error {
	return awssim.Fail("InvalidParameterValue", "The specified resource name does not match an RDS resource in this region.")
}

// look finds what has a name, in truth or as the call sees it.
func look[T mortal](r *awssim.Request, s *shelf[T], name string, truth bool) (T, bool) {
	if truth {
		return s.truth(r, name)
	}
	return s.seen(r, name)
}

func (s *RDS) addTagsToResource(r *awssim.Request, in *awsrds.AddTagsToResourceInput) (*awsrds.AddTagsToResourceOutput, error) {
	h, err := s.tagged(r, aws.ToString(in.ResourceName), true)
	if err != nil {
		return nil, err
	}
	added, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	m := maps.Clone(h.last())
	maps.Copy(m, added)
	if err := tagLimit(m); err != nil {
		return nil, err
	}
	h.set(r.Now, m)
	return &awsrds.AddTagsToResourceOutput{}, nil
}

func (s *RDS) removeTagsFromResource(r *awssim.Request, in *awsrds.RemoveTagsFromResourceInput) (*awsrds.RemoveTagsFromResourceOutput, error) {
	h, err := s.tagged(r, aws.ToString(in.ResourceName), true)
	if err != nil {
		return nil, err
	}
	m := maps.Clone(h.last())
	for _, k := range in.TagKeys {
		delete(m, k)
	}
	h.set(r.Now, m)
	return &awsrds.RemoveTagsFromResourceOutput{}, nil
}

func (s *RDS) listTagsForResource(r *awssim.Request, in *awsrds.ListTagsForResourceInput) (*awsrds.ListTagsForResourceOutput, error) {
	h, err := s.tagged(r, aws.ToString(in.ResourceName), false)
	if err != nil {
		return nil, err
	}
	return &awsrds.ListTagsForResourceOutput{TagList: tagList(h.at(r.Now))}, nil
}

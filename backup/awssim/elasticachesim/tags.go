package elasticachesim

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// tagging is the tags from an instant on. The map is never changed, only followed by another.
type tagging struct {
	at   time.Time
	tags map[string]string
}

func (l *life) tagsAt(t time.Time) map[string]string {
	for _, x := range slices.Backward(l.tags) {
		if !x.at.After(t) {
			return x.tags
		}
	}
	return nil
}

const tagsPerResource = 50

func newTags(given []ectypes.Tag) (map[string]string, error) { return withTags(nil, given) }

func withTags(old map[string]string, given []ectypes.Tag) (map[string]string, error) {
	m := maps.Clone(old)
	if m == nil {
		m = make(map[string]string, len(given))
	}
	for _, t := range given {
		k := aws.ToString(t.Key)
		switch {
		case k == "" || len(k) > 128 || len(aws.ToString(t.Value)) > 256:
			return nil, awssim.Fail("InvalidParameterValue", "The tag key or value of %q has an invalid length.", k)
		case strings.HasPrefix(strings.ToLower(k), "aws:"):
			return nil, awssim.Fail("InvalidParameterValue", "Tag keys that begin with aws: are reserved.")
		}
		m[k] = aws.ToString(t.Value)
	}
	if len(m) > tagsPerResource {
		return nil, awssim.Fail("TagQuotaPerResourceExceeded", "A resource can have %d tags.", tagsPerResource)
	}
	return m, nil
}

func tagList(m map[string]string) []ectypes.Tag {
	var list []ectypes.Tag
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, ectypes.Tag{Key: aws.String(k), Value: aws.String(m[k])})
	}
	return list
}

// find gives what an ARN names. live looks at the truth, as calls that write do.
func (s *ElastiCache) find(r *awssim.Request, arn *string, live bool) (*life, error) {
	p := s.at(r)
	parts := strings.SplitN(aws.ToString(arn), ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[1] != r.Partition() || parts[2] != "elasticache" || parts[3] != r.Region || parts[4] != r.Account {
		return nil, awssim.Fail("InvalidARN", "The ARN %s is invalid.", aws.ToString(arn))
	}
	name := strings.ToLower(parts[6])
	switch parts[5] {
	case "snapshot":
		if x, ok := look(p.snapshots, name, r, live); ok {
			return x, nil
		}
		return nil, noSnapshot(&name)
	case "cluster":
		if x, ok := look(p.clusters, name, r, live); ok {
			return x, nil
		}
		return nil, noCluster(&name)
	case "replicationgroup":
		if x, ok := look(p.groups, name, r, live); ok {
			return x, nil
		}
		return nil, noGroup(&name)
	case "serverlesscache":
		if x, ok := look(p.serverless, name, r, live); ok {
			return x, nil
		}
		return nil, noServerless(&name)
	case "serverlesscachesnapshot":
		if x, ok := look(p.serverlessSnapshots, name, r, live); ok {
			return x, nil
		}
		return nil, noServerlessSnapshot(&name)
	case "subnetgroup":
		if x, ok := look(p.subnetGroups, name, r, live); ok {
			return x, nil
		}
		return nil, noSubnetGroup(&name)
	}
	return nil, awssim.Fail("InvalidARN", "The ARN %s is invalid.", aws.ToString(arn))
}

func look[T living](h *history[T], name string, r *awssim.Request, live bool) (*life, bool) {
	if live {
		v, ok := h.live(name, r.Now)
		if !ok {
			return nil, false
		}
		return v.base(), true
	}
	v, ok := h.seen(name, r)
	if !ok {
		return nil, false
	}
	return v.base(), true
}

func (s *ElastiCache) listTagsForResource(r *awssim.Request, in *awselasticache.ListTagsForResourceInput) (*awselasticache.ListTagsForResourceOutput, error) {
	l, err := s.find(r, in.ResourceName, false)
	if err != nil {
		return nil, err
	}
	return &awselasticache.ListTagsForResourceOutput{TagList: tagList(l.tagsAt(r.Now))}, nil
}

func (s *ElastiCache) addTagsToResource(r *awssim.Request, in *awselasticache.AddTagsToResourceInput) (*awselasticache.AddTagsToResourceOutput, error) {
	l, err := s.find(r, in.ResourceName, true)
	if err != nil {
		return nil, err
	}
	m, err := withTags(l.tagsAt(r.Now), in.Tags)
	if err != nil {
		return nil, err
	}
	l.tags = append(l.tags, tagging{r.Now, m})
	return &awselasticache.AddTagsToResourceOutput{TagList: tagList(m)}, nil
}

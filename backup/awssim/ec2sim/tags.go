package ec2sim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

type tag struct{ key, value string }

// history is the tags of a resource as they were from each change on. A list of tags is sorted by key and never changed.
type history []version

type version struct {
	at   time.Time
	tags []tag
}

func firstTags(tags []tag) history { return history{{tags: tags}} }

// at gives the tags at an instant.
func (h history) at(now time.Time) []tag {
	for i := len(h) - 1; i > 0; i-- {
		if !h[i].at.After(now) {
			return h[i].tags
		}
	}
	if len(h) == 0 {
		return nil
	}
	return h[0].tags
}

func (h history) newest() []tag {
	if len(h) == 0 {
		return nil
	}
	return h[len(h)-1].tags
}

func (h *history) set(now time.Time, tags []tag) { *h = append(*h, version{now, tags}) }

// value gives the newest value of a key.
func (h history) value(key string) (string, bool) {
	for _, g := range h.newest() {
		if g.key == key {
			return g.value, true
		}
	}
	return "", false
}

// outTags copies tags for an answer.
func outTags(tags []tag) []ec2types.Tag {
	if len(tags) == 0 {
		return nil
	}
	cells := slices.Clone(tags)
	out := make([]ec2types.Tag, len(cells))
	for i := range cells {
		out[i] = ec2types.Tag{Key: &cells[i].key, Value: &cells[i].value}
	}
	return out
}

// The limits of tags. Source: EC2 User Guide, "Tag your Amazon EC2 resources", tag restrictions.
const (
	maxTags     = 50
	maxKey      = 128
	maxValue    = 256
	maxTargets  = 1000
	awsReserved = "aws:"
)

// parseTags checks tags that a caller gives, and sorts them.
func parseTags(in []ec2types.Tag) ([]tag, error) {
	list := make([]tag, 0, len(in))
	for _, t := range in {
		g := tag{strings.Clone(aws.ToString(t.Key)), strings.Clone(aws.ToString(t.Value))}
		switch {
		case g.key == "":
			return nil, awssim.Fail("InvalidParameterValue", "Tag key cannot be empty.")
		case strings.HasPrefix(strings.ToLower(g.key), awsReserved):
			return nil, awssim.Fail("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		case utf8.RuneCountInString(g.key) > maxKey:
			return nil, awssim.Fail("InvalidParameterValue", "Tag key exceeds the maximum length of %d characters", maxKey)
		case utf8.RuneCountInString(g.value) > maxValue:
			return nil, awssim.Fail("InvalidParameterValue", "Tag value exceeds the maximum length of %d characters", maxValue)
		}
		list = append(list, g)
	}
	sortTags(list)
	for i := 1; i < len(list); i++ {
		if list[i].key == list[i-1].key {
			return nil, awssim.Fail("InvalidParameterValue", "Duplicate tag key '%s' specified.", list[i].key)
		}
	}
	return list, checkCount(list)
}

func sortTags(list []tag) {
	slices.SortFunc(list, func(a, b tag) int { return cmp.Compare(a.key, b.key) })
}

// checkCount refuses more user tags than a resource may have; AWS's own do not count.
func checkCount(list []tag) error {
	n := 0
	for _, g := range list {
		if !strings.HasPrefix(g.key, awsReserved) {
			n++
		}
	}
	if n > maxTags {
		return awssim.Fail("TagLimitExceeded", "The maximum number of Tags for a resource has been reached.")
	}
	return nil
}

// specified gives the tags of each resource type that a create call names, and refuses types that it does not make.
func specified(in []ec2types.TagSpecification, allowed ...ec2types.ResourceType) (map[ec2types.ResourceType][]tag, error) {
	out := make(map[ec2types.ResourceType][]tag, len(in))
	for _, s := range in {
		if !slices.Contains(allowed, s.ResourceType) {
			return nil, awssim.Fail("InvalidParameterValue", "'%s' is not a valid taggable resource type for this operation.", s.ResourceType)
		}
		if _, twice := out[s.ResourceType]; twice {
			return nil, awssim.Fail("InvalidParameterValue", "'%s' was specified more than once in the tag specifications.", s.ResourceType)
		}
		tags, err := parseTags(s.Tags)
		if err != nil {
			return nil, err
		}
		out[s.ResourceType] = tags
	}
	return out, nil
}

// merged gives old tags with new ones put over them.
func merged(old, over []tag) []tag {
	list := slices.Clone(over)
	for _, g := range old {
		if !slices.ContainsFunc(over, func(o tag) bool { return o.key == g.key }) {
			list = append(list, g)
		}
	}
	sortTags(list)
	return list
}

// target is a resource to be tagged: its tags, and what enters new ones in the indexes.
type target struct {
	*resource
	note func()
}

// target finds a resource of the account by its id, as calls that write see it.
func (s *EC2) target(r *awssim.Request, id string) (target, error) {
	g := s.in(r.Region)
	switch prefix, _, _ := strings.Cut(id, "-"); prefix {
	case "snap":
		if x, ok := g.snapshots.own(r, id); ok {
			return target{&x.resource, func() { g.snapshots.noteTags(x) }}, nil
		}
		return target{}, noSnapshot(id)
	case "vol":
		if x, ok := g.volumes.own(r, id); ok {
			return target{&x.resource, func() { g.volumes.noteTags(x) }}, nil
		}
		return target{}, noVolume(id)
	case "i":
		if x, ok := g.instances.own(r, id); ok {
			return target{&x.resource, func() { g.instances.noteTags(x) }}, nil
		}
		return target{}, noInstance(id)
	case "ami":
		if x, ok := g.images.own(r, id); ok {
			return target{&x.resource, func() { g.images.noteTags(x) }}, nil
		}
		return target{}, noImage(id)
	}
	return target{}, awssim.Fail("InvalidID", "The ID '%s' is not valid", id)
}

func (s *EC2) targets(r *awssim.Request, ids []string) ([]target, error) {
	if len(ids) == 0 {
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter resourceIdSet")
	}
	if len(ids) > maxTargets {
		return nil, awssim.Fail("InvalidParameterValue", "A request may name at most %d resources.", maxTargets)
	}
	list := make([]target, 0, len(ids))
	for _, id := range ids {
		t, err := s.target(r, id)
		if err != nil {
			return nil, err
		}
		list = append(list, t)
	}
	return list, nil
}

func (s *EC2) createTags(r *awssim.Request, in *awsec2.CreateTagsInput) (*awsec2.CreateTagsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	tags, err := parseTags(in.Tags)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		return nil, awssim.Fail("MissingParameter", "The request must contain the parameter tagSet")
	}
	list, err := s.targets(r, in.Resources)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		if err := checkCount(merged(t.tags.newest(), tags)); err != nil {
			return nil, err
		}
	}
	for _, t := range list {
		t.tags.set(r.Now, merged(t.tags.newest(), tags))
		t.note()
	}
	return &awsec2.CreateTagsOutput{}, nil
}

func (s *EC2) deleteTags(r *awssim.Request, in *awsec2.DeleteTagsInput) (*awsec2.DeleteTagsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	for _, t := range in.Tags {
		if strings.HasPrefix(strings.ToLower(aws.ToString(t.Key)), awsReserved) {
			return nil, awssim.Fail("InvalidParameterValue", "Tag keys starting with 'aws:' are reserved for internal use")
		}
	}
	list, err := s.targets(r, in.Resources)
	if err != nil {
		return nil, err
	}
	for _, t := range list {
		t.tags.set(r.Now, slices.DeleteFunc(slices.Clone(t.tags.newest()), func(g tag) bool {
			if len(in.Tags) == 0 {
				return !strings.HasPrefix(g.key, awsReserved)
			}
			return slices.ContainsFunc(in.Tags, func(d ec2types.Tag) bool {
				return aws.ToString(d.Key) == g.key && (d.Value == nil || *d.Value == g.value)
			})
		}))
	}
	return &awsec2.DeleteTagsOutput{}, nil
}

var tagFilters = known{names: []string{"key", "value", "resource-id", "resource-type"}}

func (s *EC2) describeTags(r *awssim.Request, in *awsec2.DescribeTagsInput) (*awsec2.DescribeTagsOutput, error) {
	if aws.ToBool(in.DryRun) {
		return nil, dryRun()
	}
	filters, err := parseFilters(r, in.Filters, tagFilters)
	if err != nil {
		return nil, err
	}
	w, err := pageOf(r, in.MaxResults, in.NextToken, 0, "")
	if err != nil {
		return nil, err
	}
	var all []ec2types.TagDescription
	add := func(x *resource, kind ec2types.ResourceType) {
		if !x.seen(r) {
			return
		}
		for _, g := range x.tags.at(r.Now) {
			pass := true
			for i := range filters {
				f := &filters[i]
				switch f.name {
				case "key":
					pass = f.match(g.key)
				case "value":
					pass = f.match(g.value)
				case "resource-id":
					pass = f.match(x.id)
				case "resource-type":
					pass = f.match(string(kind))
				default:
					pass = f.tags([]tag{g})
				}
				if !pass {
					break
				}
			}
			if pass {
				all = append(all, ec2types.TagDescription{Key: aws.String(g.key), Value: aws.String(g.value), ResourceId: aws.String(x.id), ResourceType: kind})
			}
		}
	}
	g, mine := s.in(r.Region), indexKey{"owner-id", r.Account}
	for _, x := range g.instances.index[mine] {
		add(&x.resource, ec2types.ResourceTypeInstance)
	}
	for _, x := range g.volumes.index[mine] {
		add(&x.resource, ec2types.ResourceTypeVolume)
	}
	for _, x := range g.snapshots.index[mine] {
		add(&x.resource, ec2types.ResourceTypeSnapshot)
	}
	for _, x := range g.images.index[mine] {
		add(&x.resource, ec2types.ResourceTypeImage)
	}
	slices.SortStableFunc(all, func(a, b ec2types.TagDescription) int {
		return cmp.Or(cmp.Compare(*a.ResourceId, *b.ResourceId), cmp.Compare(*a.Key, *b.Key))
	})
	from := min(int(w.after), len(all))
	to := from + min(w.size, len(all)-from)
	out := &awsec2.DescribeTagsOutput{Tags: all[from:to:to]}
	if to < len(all) {
		out.NextToken = aws.String(token(r.Operation, uint64(to)))
	}
	return out, nil
}

// tagsOf makes tags of a map, for what AWS or a third party sets; any key is taken.
func tagsOf(m map[string]string) []tag {
	list := make([]tag, 0, len(m))
	for k, v := range m {
		list = append(list, tag{k, v})
	}
	sortTags(list)
	return list
}

func mapOf(tags []tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, g := range tags {
		m[g.key] = g.value
	}
	return m
}

// unsupported is the error of a parameter that AWS takes and the simulation does not: it is not to be ignored in silence.
func unsupported(r *awssim.Request, parameter string) error {
	return fmt.Errorf("awssim: the parameter %s of %s is not simulated", parameter, r.Operation)
}

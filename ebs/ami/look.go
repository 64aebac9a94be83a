package ami

import (
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
	"github.com/snapwarden/snapwarden/ebs"
)

// pageSize is EC2's largest page. Asking for pages also draws from the larger of EC2's two token buckets for lists.
const pageSize = 1000

// maxFilterValues is the most values of one filter. Source: EC2 user guide, "List and filter using the CLI and API".
const maxFilterValues = 200

// clockSkew is how much this machine's clock and EC2's may differ without harm.
const clockSkew = 5 * time.Minute

// literal makes a filter value that matches only itself.
var literal = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

func filter(name string, values ...string) ec2types.Filter {
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = literal.Replace(v)
	}
	return ec2types.Filter{Name: &name, Values: escaped}
}

// images yields the account's own images that match, also deprecated and disabled ones, page by page. Images are found by filters and never by the
// ImageIds parameter, which fails as a whole if one of them is not visible yet.
func images(ctx context.Context, c *awsec2.Client, r backup.Ref, filters ...ec2types.Filter) iter.Seq2[ec2types.Image, error] {
	return func(yield func(ec2types.Image, error) bool) {
		in := &awsec2.DescribeImagesInput{Owners: []string{"self"}, IncludeDeprecated: aws.Bool(true), IncludeDisabled: aws.Bool(true), MaxResults: aws.Int32(pageSize),
			Filters: append(slices.Clip(filters), filter("owner-id", r.Account))}
		for {
			out, err := c.DescribeImages(ctx, in)
			if err != nil {
				yield(ec2types.Image{}, table.Wrap(Kind, "DescribeImages", r, err))
				return
			}
			for _, x := range out.Images {
				if !yield(x, nil) {
					return
				}
			}
			if aws.ToString(out.NextToken) == "" {
				return
			}
			in.NextToken = out.NextToken
		}
	}
}

func collect(seq iter.Seq2[ec2types.Image, error]) ([]ec2types.Image, error) {
	var all []ec2types.Image
	for x, err := range seq {
		if err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	return all, nil
}

// image gives an image as far as it is visible.
func image(ctx context.Context, c *awsec2.Client, r backup.Ref) (x ec2types.Image, found bool, err error) {
	all, err := collect(images(ctx, c, r, filter("image-id", r.ID)))
	if err != nil || len(all) == 0 {
		return x, false, err
	}
	return all[0], true, nil
}

// snapshots gives the account's snapshots with the given ids as far as they are visible.
func snapshots(ctx context.Context, c *awsec2.Client, r backup.Ref, ids []string) (map[string]ec2types.Snapshot, error) {
	found := make(map[string]ec2types.Snapshot, len(ids))
	for part := range slices.Chunk(ids, maxFilterValues) {
		if err := snapshotsBy(ctx, c, r, filter("snapshot-id", part...), found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// snapshotsBy adds the account's snapshots that match to found, page by page.
func snapshotsBy(ctx context.Context, c *awsec2.Client, r backup.Ref, by ec2types.Filter, found map[string]ec2types.Snapshot) error {
	in := &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(pageSize), Filters: []ec2types.Filter{by, filter("owner-id", r.Account)}}
	for {
		out, err := c.DescribeSnapshots(ctx, in)
		if err != nil {
			return table.Wrap(Kind, "DescribeSnapshots", r, err)
		}
		for _, x := range out.Snapshots {
			found[aws.ToString(x.SnapshotId)] = x
		}
		if aws.ToString(out.NextToken) == "" {
			return nil
		}
		in.NextToken = out.NextToken
	}
}

// instance gives one instance, or ErrNotFound. One that belongs to another account is refused.
func (s *Strategy) instance(ctx context.Context, c *awsec2.Client, r backup.Ref) (ec2types.Instance, error) {
	out, err := c.DescribeInstances(ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{r.ID}})
	if err != nil {
		return ec2types.Instance{}, table.Wrap(Kind, "DescribeInstances", r, err)
	}
	for _, res := range out.Reservations {
		for _, x := range res.Instances {
			if aws.ToString(x.InstanceId) != r.ID {
				continue
			}
			if o := aws.ToString(res.OwnerId); o != "" && o != r.Account {
				return ec2types.Instance{}, invalid("look", r, "use that account in the Ref, and credentials of it", "the instance belongs to account %s", o)
			}
			return x, nil
		}
	}
	return ec2types.Instance{}, &backup.Error{Op: "DescribeInstances", Kind: Kind, Ref: r, Code: backup.ErrNotFound, Err: errText("no such instance"),
		Hint: "check the instance id, the account and the Region"}
}

// snapshotsOf gives the ids of the snapshots that an image uses.
func snapshotsOf(x ec2types.Image) []string {
	var ids []string
	for _, m := range x.BlockDeviceMappings {
		if m.Ebs != nil && aws.ToString(m.Ebs.SnapshotId) != "" {
			ids = append(ids, *m.Ebs.SnapshotId)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// made tells whether tags and what EC2 says prove that the Operation with the given ID made an image. One whose tags were taken along by somebody else's
// copy was not: its source does not fit.
func made(place backup.Ref, operationID string, x ec2types.Image) bool {
	tags := tagMap(x.Tags)
	if operationID == "" || tags[backup.TagToken] != operationID || aws.ToString(x.OwnerId) != place.Account {
		return false
	}
	if from := aws.ToString(x.SourceImageId); from != "" || tags[TagCopyOf] != "" {
		return tags[TagCopyOf] == Image(place.Account, aws.ToString(x.SourceImageRegion), from).Tag()
	}
	return tags[backup.TagSource] == ebs.Instance(place.Account, place.Region, aws.ToString(x.SourceInstanceId)).Tag()
}

// born is when EC2 says that an image was made; zero where it does not say.
func born(x ec2types.Image) time.Time {
	t, err := time.Parse(time.RFC3339, aws.ToString(x.CreationDate))
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

func tagList(m map[string]string) []ec2types.Tag {
	out := make([]ec2types.Tag, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := m[k]
		out = append(out, ec2types.Tag{Key: &k, Value: &v})
	}
	return out
}

func tagMap(tags []ec2types.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		if t.Key != nil && t.Value != nil {
			m[*t.Key] = *t.Value
		}
	}
	return m
}

type errText string

func (e errText) Error() string { return string(e) }

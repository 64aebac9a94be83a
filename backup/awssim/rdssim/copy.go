package rdssim

import (
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// How many copies from other Regions may be in progress in a Region of an account. Source: RDS User Guide, "Copying a DB snapshot"; Aurora User
// Guide, "Copying a DB cluster snapshot".
const (
	// DefaultCopyQuota is the number for snapshots of instances.
	DefaultCopyQuota = 20
	// DefaultClusterCopyQuota is the number for snapshots of clusters.
	DefaultClusterCopyQuota = 5
)

// copyTakes is how long a copy takes. An assumption: AWS publishes no figures.
const copyTakes = 25 * time.Minute

// copyRequest is what copies of both kinds of snapshots have in common.
type copyRequest struct {
	source, target      string
	key, group, presign *string
	copyTags            *bool
	tags                []rdstypes.Tag
	cluster             bool
}

// copySource finds the snapshot that is copied: by its identifier in the call's Region, by its ARN also in another Region of the account.
func (s *RDS) copySource(r *awssim.Request, c copyRequest) (p *snapshot, from string, ok bool) {
	kind, shelfOf := "snapshot", func(g *region) *shelf[*snapshot] { return &g.snapshots }
	if c.cluster {
		kind, shelfOf = "cluster-snapshot", func(g *region) *shelf[*snapshot] { return &g.clusterSnapshots }
	}
	from, id := r.Region, strings.ToLower(c.source)
	if strings.HasPrefix(c.source, "arn:") {
		parts := strings.SplitN(c.source, ":", 7)
		if len(parts) != 7 || parts[2] != "rds" || parts[4] != r.Account || parts[5] != kind {
			return nil, "", false
		}
		from, id = parts[3], strings.ToLower(parts[6])
	}
	g := s.regions[scope{r.Account, from}]
	if g == nil {
		return nil, from, false
	}
	p, ok = shelfOf(g).truth(r, id)
	return p, from, ok
}

// copySnapshot makes a copy after all checks. Codes are by kind of snapshot.
func (s *RDS) copySnapshot(r *awssim.Request, c copyRequest) (*snapshot, error) {
	most, state, taken := 255, "InvalidDBSnapshotState", "DBSnapshotAlreadyExists"
	if c.cluster {
		most, state, taken = 63, "InvalidDBClusterSnapshotStateFault", "DBClusterSnapshotAlreadyExistsFault"
	}
	id, err := identifier("TargetDBSnapshotIdentifier", c.target, most)
	if err != nil {
		return nil, err
	}
	tags, err := tagMap(c.tags)
	if err != nil {
		return nil, err
	}
	p, from, ok := s.copySource(r, c)
	switch {
	case !ok && c.cluster:
		return nil, clusterSnapshotNotFound(c.source)
	case !ok:
		return nil, notFound("DBSnapshotNotFound", "DBSnapshot %s not found.", c.source)
	case c.cluster && !aurora(p.engine):
		return nil, awssim.Fail("InvalidParameterValue", "Snapshots of Multi-AZ DB clusters can't be copied.")
	}
	g := s.in(r)
	if _, exists := g.shelfOf(c.cluster).truth(r, id); exists {
		return nil, awssim.Fail(taken, "Cannot create the snapshot because a snapshot with the identifier %s already exists.", id)
	}
	if st := p.status(r.Now); st != "available" {
		return nil, awssim.Fail(state, "Cannot copy the snapshot because it is currently in the %s state.", st)
	}
	if err := s.copyRoom(r, g, c.cluster, from); err != nil {
		return nil, err
	}
	arn, encrypted, err := copyKey(r, c, p, from)
	if err != nil {
		return nil, err
	}
	group, err := g.copyGroup(c, p, from != r.Region)
	if err != nil {
		return nil, err
	}
	if aws.ToBool(c.copyTags) {
		all := copied(p.tags.last())
		maps.Copy(all, tags)
		tags = all
	}
	n := *p
	n.life = life{made: r.Now, lag: r.Lag()}
	n.id, n.kind, n.encrypted, n.key, n.optionGroup = id, manual, encrypted, arn, group
	n.ready, n.failed, n.spans, n.copying, n.from = r.Now.Add(r.Took(id+"/copy", copyTakes, 0.6)), r.Doomed, nil, true, p
	n.crossed, n.sourceARN = from != r.Region, ""
	if n.crossed {
		n.sourceARN, n.sourceRegion = p.arn, from
	}
	if n.taken = p.taken; n.taken.IsZero() {
		n.taken = p.made
	}
	n.tags = history[map[string]string]{{r.Now, copied(tags)}}
	if c.cluster {
		n.arn = r.ARN("rds", "cluster-snapshot:"+id)
		g.shelveCluster(&n)
	} else {
		n.arn = r.ARN("rds", "snapshot:"+id)
		g.shelve(&n)
	}
	return &n, nil
}

func (g *region) shelfOf(cluster bool) *shelf[*snapshot] {
	if cluster {
		return &g.clusterSnapshots
	}
	return &g.snapshots
}

// copyRoom refuses one copy more than the Region may have, and one snapshot more.
func (s *RDS) copyRoom(r *awssim.Request, g *region, cluster bool, from string) error {
	have, quota, most := g.manual, s.snapshotQuota, s.copyQuota
	if cluster {
		have, quota, most = g.manualClusters, s.clusterSnapshotQuota, s.clusterCopyQuota
	}
	if have >= quota {
		return awssim.Fail("SnapshotQuotaExceeded", "Cannot create more than %d manual snapshots", quota)
	}
	if from == r.Region {
		return nil
	}
	running := 0
	on := g.shelfOf(cluster)
	for _, name := range on.names.list() {
		if p, ok := on.truth(r, name); ok && p.crossed && p.status(r.Now) == "copying" {
			running++
		}
	}
	if running >= most {
		return awssim.Fail("SnapshotQuotaExceeded", "Cannot copy more than %d snapshots across regions", most)
	}
	return nil
}

// copyKey gives the key of a copy.
func copyKey(r *awssim.Request, c copyRequest, p *snapshot, from string) (arn string, encrypted bool, err error) {
	crossed, named := from != r.Region, aws.ToString(c.key)
	if p.encrypted && !usable(r, p.key) {
		return "", false, keyFault(p.key)
	}
	switch {
	case !p.encrypted && named == "":
		return "", false, nil
	case !p.encrypted && c.cluster:
		return "", false, awssim.Fail("InvalidParameterCombination", "KmsKeyId can't be specified for an unencrypted DB cluster snapshot.")
	case named == "" && !crossed:
		return p.key, true, nil
	case named == "":
		return "", false, awssim.Fail("InvalidParameterCombination", "A KmsKeyId must be specified when copying an encrypted snapshot across Regions.")
	}
	if crossed && p.encrypted {
		if err := presigned(r, c, from); err != nil {
			return "", false, err
		}
	}
	arn, err = key(r, named)
	return arn, true, err
}

// presigned checks the presigned URL of a copy: the service needs it in GovCloud only, and it must be for that copy.
func presigned(r *awssim.Request, c copyRequest, from string) error {
	if aws.ToString(c.presign) == "" {
		if r.Partition() == "aws-us-gov" {
			return awssim.Fail("InvalidParameterCombination", "PreSignedUrl must be specified when copying an encrypted snapshot across Regions.")
		}
		return nil
	}
	u, err := url.Parse(*c.presign)
	if err != nil || !strings.Contains(u.Host, "."+from+".") || u.Query().Get("DestinationRegion") != r.Region {
		return awssim.Fail("InvalidParameterValue", "The PreSignedUrl is not valid for this request.")
	}
	return nil
}

// copyGroup gives the option group of a copy. A group belongs to its Region, and the default one is everywhere.
func (g *region) copyGroup(c copyRequest, p *snapshot, crossed bool) (string, error) {
	switch {
	case c.cluster:
		return "", nil
	case c.group != nil:
		if !exists(g.optionGroups, *c.group) {
			return "", awssim.Fail("InvalidParameterValue", "Specified OptionGroupName: %s not found.", *c.group)
		}
		return strings.ToLower(*c.group), nil
	case crossed && !strings.HasPrefix(p.optionGroup, "default"):
		return "", awssim.Fail("InvalidParameterCombination", "The snapshot requires a target option group with the options of %s.", p.optionGroup)
	}
	return p.optionGroup, nil
}

func (s *RDS) copyDBSnapshot(r *awssim.Request, in *awsrds.CopyDBSnapshotInput) (*awsrds.CopyDBSnapshotOutput, error) {
	p, err := s.copySnapshot(r, copyRequest{source: aws.ToString(in.SourceDBSnapshotIdentifier), target: aws.ToString(in.TargetDBSnapshotIdentifier), key: in.KmsKeyId,
		group: in.OptionGroupName, presign: in.PreSignedUrl, copyTags: in.CopyTags, tags: in.Tags})
	if err != nil {
		return nil, err
	}
	return &awsrds.CopyDBSnapshotOutput{DBSnapshot: p.output(r)}, nil
}

func (s *RDS) copyDBClusterSnapshot(r *awssim.Request, in *awsrds.CopyDBClusterSnapshotInput) (*awsrds.CopyDBClusterSnapshotOutput, error) {
	p, err := s.copySnapshot(r, copyRequest{source: aws.ToString(in.SourceDBClusterSnapshotIdentifier), target: aws.ToString(in.TargetDBClusterSnapshotIdentifier),
		key: in.KmsKeyId, presign: in.PreSignedUrl, copyTags: in.CopyTags, tags: in.Tags, cluster: true})
	if err != nil {
		return nil, err
	}
	return &awsrds.CopyDBClusterSnapshotOutput{DBClusterSnapshot: p.clusterOutput(r)}, nil
}

func (s *RDS) describeOptionGroups(r *awssim.Request, in *awsrds.DescribeOptionGroupsInput) (*awsrds.DescribeOptionGroupsOutput, error) {
	name := strings.ToLower(aws.ToString(in.OptionGroupName))
	g := s.in(r).optionGroups[name]
	out := &awsrds.DescribeOptionGroupsOutput{}
	if name == "" {
		for _, x := range sortedGroups(s.in(r).optionGroups) {
			out.OptionGroupsList = append(out.OptionGroupsList, x.option(r))
		}
		return out, nil
	}
	if g == nil {
		return nil, notFound("OptionGroupNotFoundFault", "Specified OptionGroupName: %s not found.", name)
	}
	out.OptionGroupsList = []rdstypes.OptionGroup{g.option(r)}
	return out, nil
}

func sortedGroups(m map[string]*group) (all []*group) {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	for _, n := range sorted(names, func(x string) string { return x }) {
		all = append(all, m[n])
	}
	return all
}

func (g *group) option(r *awssim.Request) rdstypes.OptionGroup {
	return rdstypes.OptionGroup{OptionGroupName: aws.String(g.name), EngineName: optional(g.engine), OptionGroupArn: aws.String(r.ARN("rds", "og:"+g.name))}
}

// SetCopyQuotas sets how many copies from other Regions each account may have in progress in each Region: of instances' snapshots and of clusters';
// 0 leaves one as it is.
func (s *RDS) SetCopyQuotas(w *awssim.World, instances, clusters int) {
	w.Do("", "", func(*awssim.Request) {
		if instances > 0 {
			s.copyQuota = instances
		}
		if clusters > 0 {
			s.clusterCopyQuota = clusters
		}
	})
}

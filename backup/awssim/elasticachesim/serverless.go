package elasticachesim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// The medians of serverless work, which AWS does not publish.
const (
	serverlessMedian         = 3 * time.Minute
	serverlessSnapshotMedian = 4 * time.Minute
	serverlessDeletion       = 90 * time.Second
)

// serverlessSnapshotsPerDay and serverlessCaches are AWS's quotas. Source: User Guide, Backup constraints and Quotas.
const (
	serverlessSnapshotsPerDay = 24
	serverlessCaches          = 40
)

// serverless is a serverless cache.
type serverless struct {
	life
	name, arn, description, engine, major, kms, userGroup, daily string
	securityGroups, subnets                                      []string
	retention                                                    int32
	limits                                                       *ectypes.CacheUsageLimits
	// manual are the instants of its manual snapshots, busy when one was being made.
	manual  []time.Time
	busy    []span
	changes changes
	from    string
}

// serverlessSnapshot is a snapshot of one.
type serverlessSnapshot struct {
	life
	name, arn, cache, engine, major, kms string
	automated                            bool
	taken                                time.Time
	restores, copies                     []span
}

func (c *serverless) status(t time.Time) string {
	switch {
	case c.held(t) != "":
		return c.held(t)
	case c.isDeleting(t):
		return "deleting"
	case t.Before(c.ready):
		return "creating"
	case c.doomed:
		return "create-failed"
	case within(c.changes.busy, t):
		return "modifying"
	}
	return "available"
}

func (s *serverlessSnapshot) status(t time.Time) string {
	switch {
	case s.held(t) != "":
		return s.held(t)
	case s.isDeleting(t):
		return "deleting"
	case t.Before(s.ready):
		return "creating"
	case s.doomed:
		return "failed"
	case within(s.restores, t):
		return "restoring"
	case within(s.copies, t):
		return "copying"
	}
	return "available"
}

func noServerless(name *string) error {
	return awssim.FailStatus(404, "ServerlessCacheNotFoundFault", "ServerlessCache %s not found.", aws.ToString(name))
}

func noServerlessSnapshot(name *string) error {
	return awssim.FailStatus(404, "ServerlessCacheSnapshotNotFoundFault", "Serverless cache snapshot %s not found.", aws.ToString(name))
}

func (s *ElastiCache) createServerlessCache(r *awssim.Request, in *awselasticache.CreateServerlessCacheInput) (*awselasticache.CreateServerlessCacheOutput, error) {
	p := s.at(r)
	name := lower(in.ServerlessCacheName)
	if err := checkName("ServerlessCacheName", name, 40); err != nil {
		return nil, err
	}
	if _, ok := p.serverless.live(name, r.Now); ok {
		return nil, awssim.Fail("ServerlessCacheAlreadyExistsFault", "Serverless cache %s already exists.", name)
	}
	tags, err := newTags(in.Tags)
	if err != nil {
		return nil, err
	}
	c := &serverless{name: name, arn: r.ARN("elasticache", "serverlesscache:"+name), description: aws.ToString(in.Description), engine: lower(in.Engine),
		major: aws.ToString(in.MajorEngineVersion), kms: aws.ToString(in.KmsKeyId), userGroup: aws.ToString(in.UserGroupId), daily: aws.ToString(in.DailySnapshotTime),
		securityGroups: slices.Clone(in.SecurityGroupIds), subnets: slices.Clone(in.SubnetIds), retention: aws.ToInt32(in.SnapshotRetentionLimit), limits: in.CacheUsageLimits}
	var from *serverlessSnapshot
	if len(in.SnapshotArnsToRestore) > 0 {
		if from, err = p.serverlessSource(r, in.SnapshotArnsToRestore); err != nil {
			return nil, err
		}
		if c.major == "" {
			c.major = from.major
		}
	}
	version, ok := defaultVersions[c.engine]
	switch {
	case !ok:
		return nil, awssim.Fail("InvalidParameterValue", "Unrecognized engine name: %s", c.engine)
	case from != nil && from.engine != c.engine:
		return nil, awssim.Fail("InvalidParameterCombination", "A snapshot of %s can not be restored to %s.", from.engine, c.engine)
	case from != nil && older(c.major, from.major):
		return nil, awssim.Fail("InvalidParameterCombination", "A snapshot of version %s can not be restored to the earlier version %s.", from.major, c.major)
	case c.retention < 0 || c.retention > 35:
		return nil, awssim.Fail("InvalidParameterValue", "Invalid value for SnapshotRetentionLimit: %d", c.retention)
	case c.daily != "" && minutes(c.daily) < 0:
		return nil, awssim.Fail("InvalidParameterValue", "Invalid value for DailySnapshotTime: %s", c.daily)
	}
	if c.retention > 0 && c.daily == "" {
		c.daily = chosenTime
	}
	if err := checkKey(r, c.kms); err != nil {
		return nil, err
	}
	n := 0
	for _, all := range p.serverless.byName {
		for _, x := range all {
			if x.lives(r.Now) {
				n++
			}
		}
	}
	if n >= serverlessCaches {
		return nil, awssim.Fail("ServerlessCacheQuotaForCustomerExceededFault", "The quota of %d serverless caches is exceeded.", serverlessCaches)
	}
	if c.major == "" {
		c.major, _, _ = strings.Cut(version, ".")
	}
	if len(c.securityGroups) == 0 {
		c.securityGroups = []string{"sg-default"}
	}
	if len(c.subnets) == 0 {
		c.subnets = []string{"subnet-0a", "subnet-0b", "subnet-0c"}
	}
	c.life = life{made: r.Now, lag: r.Lag(), ready: r.Now.Add(r.Took("serverless/"+name, serverlessMedian, spread)), doomed: r.Doomed, tags: []tagging{{r.Now, tags}}}
	if from != nil {
		c.from = from.name
		from.restores = append(from.restores, span{r.Now, c.ready})
	}
	p.serverless.add(name, c)
	o := c.describe(r)
	return &awselasticache.CreateServerlessCacheOutput{ServerlessCache: &o}, nil
}

// serverlessSource finds the snapshot that a cache is to be made from.
func (p *regional) serverlessSource(r *awssim.Request, arns []string) (*serverlessSnapshot, error) {
	name, ok := strings.CutPrefix(arns[0], r.ARN("elasticache", "serverlesscachesnapshot:"))
	if !ok || len(arns) != 1 {
		return nil, errors.New("awssim: CreateServerlessCache is simulated for one serverless snapshot of the account and Region only")
	}
	from, ok := p.serverlessSnapshots.live(name, r.Now)
	if !ok {
		return nil, awssim.Fail("InvalidParameterValue", "Snapshot %s not found.", arns[0])
	}
	if status := from.status(r.Now); status != "available" {
		return nil, awssim.Fail("InvalidParameterValue", "Snapshot %s is not in the available state: its status is %s.", name, status)
	}
	return from, checkKey(r, from.kms)
}

func (c *serverless) describe(r *awssim.Request) ectypes.ServerlessCache {
	o := ectypes.ServerlessCache{ARN: aws.String(c.arn), ServerlessCacheName: aws.String(c.name), Status: aws.String(strings.ToUpper(c.status(r.Now))), Engine: aws.String(c.engine),
		MajorEngineVersion: aws.String(c.major), FullEngineVersion: aws.String(c.major + ".0"), CreateTime: aws.Time(c.made), Description: aws.String(c.description),
		SecurityGroupIds: slices.Clone(c.doorsAt(r.Now, c.securityGroups)), SubnetIds: slices.Clone(c.subnets), CacheUsageLimits: c.limits,
		StorageEncryptionType: ectypes.StorageEncryptionTypeSseElasticache, NetworkType: ectypes.NetworkTypeIpv4}
	if c.kms != "" {
		o.KmsKeyId, o.StorageEncryptionType = aws.String(c.kms), ectypes.StorageEncryptionTypeSseKms
	}
	if c.userGroup != "" {
		o.UserGroupId = aws.String(c.userGroup)
	}
	d := c.dailyNow(r.Now)
	if d.window != "" {
		o.DailySnapshotTime = aws.String(d.window)
	}
	o.SnapshotRetentionLimit = aws.Int32(d.retention)
	if r.Now.Before(c.ready) || c.doomed {
		return o
	}
	o.Endpoint = &ectypes.Endpoint{Address: aws.String(host(r, c.name, "serverless")), Port: aws.Int32(6379)}
	o.ReaderEndpoint = &ectypes.Endpoint{Address: aws.String(host(r, c.name+"-ro", "serverless")), Port: aws.Int32(6380)}
	return o
}

func (s *ElastiCache) describeServerlessCaches(r *awssim.Request, in *awselasticache.DescribeServerlessCachesInput) (*awselasticache.DescribeServerlessCachesOutput, error) {
	p := s.at(r)
	if in.ServerlessCacheName != nil {
		c, ok := p.serverless.seen(lower(in.ServerlessCacheName), r)
		if !ok {
			return nil, noServerless(in.ServerlessCacheName)
		}
		return &awselasticache.DescribeServerlessCachesOutput{ServerlessCaches: []ectypes.ServerlessCache{c.describe(r)}}, nil
	}
	found, next, err := pageOf(r, &p.serverless.names, in.NextToken, in.MaxResults, 1, 50, func(name string) (ectypes.ServerlessCache, bool) {
		c, ok := p.serverless.seen(name, r)
		if !ok {
			return ectypes.ServerlessCache{}, false
		}
		return c.describe(r), true
	})
	if err != nil {
		return nil, err
	}
	return &awselasticache.DescribeServerlessCachesOutput{ServerlessCaches: found, NextToken: next}, nil
}

func (s *ElastiCache) deleteServerlessCache(r *awssim.Request, in *awselasticache.DeleteServerlessCacheInput) (*awselasticache.DeleteServerlessCacheOutput, error) {
	p := s.at(r)
	c, ok := p.serverless.live(lower(in.ServerlessCacheName), r.Now)
	if !ok {
		return nil, noServerless(in.ServerlessCacheName)
	}
	if in.FinalSnapshotName != nil {
		return nil, errors.New("awssim: DeleteServerlessCache with FinalSnapshotName is not simulated")
	}
	if status := c.status(r.Now); status != "available" && status != "create-failed" || within(c.busy, r.Now) {
		return nil, awssim.Fail("InvalidServerlessCacheStateFault", "Serverless cache %s is not in a valid state to be deleted: its status is %s.", c.name, status)
	}
	c.deleting, c.gone = r.Now, r.Now.Add(r.Took("delete-serverless/"+c.name, serverlessDeletion, spread))
	for _, all := range p.serverlessSnapshots.byName {
		for _, x := range all {
			if x.cache == c.name && x.automated && x.gone.IsZero() {
				x.deleting, x.gone = c.gone, c.gone
			}
		}
	}
	o := c.describe(r)
	return &awselasticache.DeleteServerlessCacheOutput{ServerlessCache: &o}, nil
}

func (s *ElastiCache) createServerlessCacheSnapshot(r *awssim.Request, in *awselasticache.CreateServerlessCacheSnapshotInput) (*awselasticache.CreateServerlessCacheSnapshotOutput, error) {
	p := s.at(r)
	c, ok := p.serverless.live(lower(in.ServerlessCacheName), r.Now)
	if !ok {
		return nil, noServerless(in.ServerlessCacheName)
	}
	tags, err := p.newServerlessSnapshot(r, lower(in.ServerlessCacheSnapshotName), aws.ToString(in.KmsKeyId), in.Tags)
	if err != nil {
		return nil, err
	}
	if status := c.status(r.Now); status != "available" || within(c.busy, r.Now) {
		return nil, awssim.Fail("InvalidServerlessCacheStateFault", "Serverless cache %s is not in the available state, or a snapshot of it is being made: its status is %s.", c.name, status)
	}
	day := r.Now.Add(-r.Scale(24 * time.Hour))
	c.manual = slices.DeleteFunc(c.manual, func(t time.Time) bool { return !t.After(day) })
	if len(c.manual) >= serverlessSnapshotsPerDay {
		return nil, awssim.Fail("ServerlessCacheSnapshotQuotaExceededFault", "The number of serverless cache snapshots exceeds the customer snapshot quota.")
	}
	c.manual = append(c.manual, r.Now)
	x := p.takeServerless(r, c, lower(in.ServerlessCacheSnapshotName), r.Took("serverless-snapshot/"+r.Account+"/"+r.Region+"/"+lower(in.ServerlessCacheSnapshotName), serverlessSnapshotMedian, spread))
	x.tags = []tagging{{r.Now, tags}}
	if in.KmsKeyId != nil {
		x.kms = *in.KmsKeyId
	}
	o := x.describe(r)
	return &awselasticache.CreateServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: &o}, nil
}

// newServerlessSnapshot checks what creating and copying have in common.
func (p *regional) newServerlessSnapshot(r *awssim.Request, name, key string, given []ectypes.Tag) (map[string]string, error) {
	if err := checkName("ServerlessCacheSnapshotName", name, 255); err != nil {
		return nil, err
	}
	tags, err := newTags(given)
	if err != nil {
		return nil, err
	}
	if err := checkKey(r, key); err != nil {
		return nil, err
	}
	if _, ok := p.serverlessSnapshots.live(name, r.Now); ok {
		return nil, awssim.Fail("ServerlessCacheSnapshotAlreadyExistsFault", "Serverless cache snapshot %s already exists.", name)
	}
	return tags, nil
}

func (p *regional) takeServerless(r *awssim.Request, c *serverless, name string, took time.Duration) *serverlessSnapshot {
	x := &serverlessSnapshot{life: life{made: r.Now, lag: r.Lag(), ready: r.Now.Add(took), doomed: r.Doomed, tags: []tagging{{at: r.Now}}}, name: name,
		arn: r.ARN("elasticache", "serverlesscachesnapshot:"+name), cache: c.name, engine: c.engine, major: c.major, kms: c.kms,
		taken: r.Now.Add(min(took/2, r.Scale(20*time.Second))).Truncate(time.Millisecond)}
	if took > 0 {
		c.busy = append(c.busy, span{r.Now, x.ready})
	}
	p.serverlessSnapshots.add(name, x)
	return x
}

func (s *serverlessSnapshot) describe(r *awssim.Request) ectypes.ServerlessCacheSnapshot {
	o := ectypes.ServerlessCacheSnapshot{ARN: aws.String(s.arn), ServerlessCacheSnapshotName: aws.String(s.name), Status: aws.String(s.status(r.Now)), SnapshotType: aws.String("manual"),
		ServerlessCacheConfiguration: &ectypes.ServerlessCacheConfiguration{Engine: aws.String(s.engine), MajorEngineVersion: aws.String(s.major), ServerlessCacheName: aws.String(s.cache)}}
	if s.automated {
		o.SnapshotType = aws.String("automated")
	}
	if s.kms != "" {
		o.KmsKeyId = aws.String(s.kms)
	}
	if !r.Now.Before(s.ready) && !s.doomed {
		o.CreateTime, o.BytesUsedForCache = aws.Time(s.taken), aws.String("5242880")
	}
	return o
}

func (s *ElastiCache) describeServerlessCacheSnapshots(r *awssim.Request, in *awselasticache.DescribeServerlessCacheSnapshotsInput) (*awselasticache.DescribeServerlessCacheSnapshotsOutput, error) {
	p := s.at(r)
	wanted := func(x *serverlessSnapshot) bool {
		return (in.ServerlessCacheName == nil || x.cache == lower(in.ServerlessCacheName)) && (in.SnapshotType == nil || x.automated == (*in.SnapshotType == "automated"))
	}
	if in.ServerlessCacheSnapshotName != nil {
		x, ok := p.serverlessSnapshots.seen(lower(in.ServerlessCacheSnapshotName), r)
		if !ok && !s.empty {
			return nil, noServerlessSnapshot(in.ServerlessCacheSnapshotName)
		}
		o := &awselasticache.DescribeServerlessCacheSnapshotsOutput{}
		if ok && wanted(x) {
			o.ServerlessCacheSnapshots = []ectypes.ServerlessCacheSnapshot{x.describe(r)}
		}
		return o, nil
	}
	if in.ServerlessCacheName != nil {
		if _, ok := p.serverless.seen(lower(in.ServerlessCacheName), r); !ok {
			return nil, noServerless(in.ServerlessCacheName)
		}
	}
	found, next, err := pageOf(r, &p.serverlessSnapshots.names, in.NextToken, in.MaxResults, 1, 50, func(name string) (ectypes.ServerlessCacheSnapshot, bool) {
		x, ok := p.serverlessSnapshots.seen(name, r)
		if !ok || !wanted(x) {
			return ectypes.ServerlessCacheSnapshot{}, false
		}
		return x.describe(r), true
	})
	if err != nil {
		return nil, err
	}
	return &awselasticache.DescribeServerlessCacheSnapshotsOutput{ServerlessCacheSnapshots: found, NextToken: next}, nil
}

func (s *ElastiCache) copyServerlessCacheSnapshot(r *awssim.Request, in *awselasticache.CopyServerlessCacheSnapshotInput) (*awselasticache.CopyServerlessCacheSnapshotOutput, error) {
	p := s.at(r)
	from, ok := p.serverlessSnapshots.live(lower(in.SourceServerlessCacheSnapshotName), r.Now)
	if !ok {
		return nil, noServerlessSnapshot(in.SourceServerlessCacheSnapshotName)
	}
	name := lower(in.TargetServerlessCacheSnapshotName)
	tags, err := p.newServerlessSnapshot(r, name, aws.ToString(in.KmsKeyId), in.Tags)
	if err != nil {
		return nil, err
	}
	if status := from.status(r.Now); status != "available" {
		return nil, awssim.Fail("InvalidServerlessCacheSnapshotStateFault", "Serverless cache snapshot %s can not be copied: its status is %s.", from.name, status)
	}
	x := &serverlessSnapshot{life: life{made: r.Now, lag: r.Lag(), ready: r.Now.Add(r.Took("copy-serverless/"+r.Account+"/"+r.Region+"/"+name, copyMedian, spread)), doomed: r.Doomed, tags: []tagging{{r.Now, tags}}},
		name: name, arn: r.ARN("elasticache", "serverlesscachesnapshot:"+name), cache: from.cache, engine: from.engine, major: from.major, kms: from.kms, taken: from.taken}
	if in.KmsKeyId != nil {
		x.kms = *in.KmsKeyId
	}
	from.copies = append(from.copies, span{r.Now, x.ready})
	p.serverlessSnapshots.add(name, x)
	o := x.describe(r)
	return &awselasticache.CopyServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: &o}, nil
}

func (s *ElastiCache) deleteServerlessCacheSnapshot(r *awssim.Request, in *awselasticache.DeleteServerlessCacheSnapshotInput) (*awselasticache.DeleteServerlessCacheSnapshotOutput, error) {
	x, ok := s.at(r).serverlessSnapshots.live(lower(in.ServerlessCacheSnapshotName), r.Now)
	if !ok {
		return nil, noServerlessSnapshot(in.ServerlessCacheSnapshotName)
	}
	if status := x.status(r.Now); x.automated || status != "available" && status != "failed" {
		return nil, awssim.Fail("InvalidServerlessCacheSnapshotStateFault", "Serverless cache snapshot %s can not be deleted: it is automatic, or its status is %s.", x.name, status)
	}
	x.deleting, x.gone = r.Now, r.Now.Add(r.Took("delete-serverless-snapshot/"+x.name, 20*time.Second, spread))
	o := x.describe(r)
	return &awselasticache.DeleteServerlessCacheSnapshotOutput{ServerlessCacheSnapshot: &o}, nil
}

// AddServerlessSnapshots puts finished manual snapshots of a serverless cache into the World, without calls, quota or time.
func (s *ElastiCache) AddServerlessSnapshots(w *awssim.World, account, region, cache string, tags map[string]string, names ...string) (err error) {
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		c, ok := p.serverless.live(cache, r.Now)
		if !ok {
			err = fmt.Errorf("elasticachesim: no serverless cache %q", cache)
			return
		}
		for _, name := range names {
			x := p.takeServerless(r, c, name, 0)
			x.lag, x.tags = 0, []tagging{{r.Now, maps.Clone(tags)}}
		}
	})
	return err
}

// ServerlessView is the truth about a serverless cache.
type ServerlessView struct {
	Name, ARN, Status, Engine, Major, KMSKeyID, UserGroup, Daily, Description string
	SecurityGroups, Subnets                                                   []string
	Retention                                                                 int32
	Limits                                                                    *ectypes.CacheUsageLimits
	// From is the snapshot that it was restored from, if any.
	From string
	Made time.Time
	Tags map[string]string
}

// ServerlessCaches gives all serverless caches of an account in a Region that are not gone, by name.
func (s *ElastiCache) ServerlessCaches(w *awssim.World, account, region string) []ServerlessView {
	var all []ServerlessView
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		for name := range p.serverless.names.after("") {
			if c, ok := p.serverless.live(name, r.Now); ok {
				all = append(all, ServerlessView{Name: c.name, ARN: c.arn, Status: c.status(r.Now), Engine: c.engine, Major: c.major, KMSKeyID: c.kms, UserGroup: c.userGroup,
					Daily: c.dailyNow(r.Now).window, Description: c.description, SecurityGroups: slices.Clone(c.doorsAt(r.Now, c.securityGroups)), Subnets: slices.Clone(c.subnets),
					Retention: c.dailyNow(r.Now).retention, Limits: c.limits, From: c.from, Made: c.made, Tags: maps.Clone(c.tagsAt(r.Now))})
			}
		}
	})
	return all
}

// ServerlessSnapshots gives all snapshots of serverless caches of an account in a Region that are not gone, by name. Cluster is the cache.
func (s *ElastiCache) ServerlessSnapshots(w *awssim.World, account, region string) []SnapshotView {
	var all []SnapshotView
	w.Do(account, region, func(r *awssim.Request) {
		p := s.at(r)
		for name := range p.serverlessSnapshots.names.after("") {
			if x, ok := p.serverlessSnapshots.live(name, r.Now); ok {
				all = append(all, SnapshotView{Name: x.name, ARN: x.arn, Status: x.status(r.Now), Cluster: x.cache, Automated: x.automated, Made: x.made, Taken: x.taken,
					Ready: x.ready, KMSKeyID: x.kms, Tags: maps.Clone(x.tagsAt(r.Now))})
			}
		}
	})
	return all
}

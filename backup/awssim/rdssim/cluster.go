package rdssim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// cluster is an Aurora or a Multi-AZ DB cluster. What it is at an instant follows from the instants in it.
type cluster struct {
	life
	id, arn, resource             string
	engine, version, user, dbName string
	encrypted                     bool
	key                           string
	subnets                       *subnetGroup
	// ready is when creating ends, in the state broken if that is set.
	ready  time.Time
	broken string
	spans  []span
	set    history[clusterSettings]
	tags   history[map[string]string]
}

// clusterSettings are what can be modified.
type clusterSettings struct {
	public, protected, copyTags bool
	groups                      []string
	port, retention             int32
	network, parameterGroup     string
	class, storageType          string
	allocated, iops             int32
	window                      string
}

// aurora tells whether an engine is that of Aurora clusters; those of other engines are Multi-AZ DB clusters.
func aurora(engine string) bool { return strings.HasPrefix(engine, "aurora") }

func (c *cluster) status(r *awssim.Request) string {
	now := r.Now
	switch {
	case !c.deleting.IsZero() && !now.Before(c.deleting):
		return "deleting"
	case now.Before(c.ready):
		return "creating"
	case c.broken != "":
		return c.broken
	}
	for _, s := range slices.Backward(c.spans) {
		if !now.Before(s.from) && now.Before(s.to) {
			return s.status
		}
	}
	if c.encrypted && !usable(r, c.key) {
		return "inaccessible-encryption-credentials-recoverable"
	}
	return "available"
}

func (c *cluster) busy(from, to time.Time, status string) {
	c.spans = slices.DeleteFunc(c.spans, func(s span) bool { return from.Sub(s.to) > 24*time.Hour })
	c.spans = append(c.spans, span{from, to, status})
}

func (c *cluster) output(r *awssim.Request, g *region) *rdstypes.DBCluster {
	v := c.set.at(r.Now)
	o := &rdstypes.DBCluster{
		DBClusterIdentifier: aws.String(c.id), DBClusterArn: aws.String(c.arn), DbClusterResourceId: aws.String(c.resource), Status: aws.String(c.status(r)),
		Engine: aws.String(c.engine), EngineVersion: aws.String(c.version), MasterUsername: optional(c.user), DatabaseName: optional(c.dbName),
		AllocatedStorage: aws.Int32(v.allocated), StorageType: optional(v.storageType), NetworkType: aws.String(v.network), PubliclyAccessible: aws.Bool(v.public),
		DeletionProtection: aws.Bool(v.protected), CopyTagsToSnapshot: aws.Bool(v.copyTags), BackupRetentionPeriod: aws.Int32(v.retention),
		PreferredBackupWindow: aws.String(v.window), StorageEncrypted: aws.Bool(c.encrypted), StorageEncryptionType: encryptionType(c.encrypted), KmsKeyId: optional(c.key),
		DBSubnetGroup: aws.String(c.subnets.name), DBClusterParameterGroup: aws.String(v.parameterGroup), TagList: tagList(c.tags.at(r.Now)), Port: aws.Int32(v.port),
		DBClusterInstanceClass: optional(v.class),
	}
	if aurora(c.engine) {
		o.EngineMode = aws.String("provisioned")
	} else {
		o.MultiAZ = aws.Bool(true)
		o.Iops = aws.Int32(v.iops)
	}
	for _, id := range v.groups {
		o.VpcSecurityGroups = append(o.VpcSecurityGroups, rdstypes.VpcSecurityGroupMembership{VpcSecurityGroupId: aws.String(id), Status: aws.String("active")})
	}
	for n, i := range g.members(r, c, g.instances.seen) {
		o.DBClusterMembers = append(o.DBClusterMembers, rdstypes.DBClusterMember{DBInstanceIdentifier: aws.String(i.id), IsClusterWriter: aws.Bool(n == 0),
			PromotionTier: aws.Int32(1), DBClusterParameterGroupStatus: aws.String("in-sync")})
	}
	if !r.Now.Before(c.ready) {
		o.ClusterCreateTime = aws.Time(c.ready)
		if c.broken == "" {
			host := "." + short(r.Account)[:12] + "." + r.Region + ".rds.amazonaws.com"
			o.Endpoint, o.ReaderEndpoint = aws.String(c.id+".cluster-"+host[1:]), aws.String(c.id+".cluster-ro-"+host[1:])
			if from, to := c.window(r.Now); !to.IsZero() {
				o.EarliestRestorableTime, o.LatestRestorableTime = aws.Time(from), aws.Time(to)
			}
		}
	}
	return o
}

// window is the time to which the cluster can be restored. The latest is five minutes old at most.
func (c *cluster) window(now time.Time) (from, to time.Time) {
	return restorable(c.ready, now, c.set.at(now).retention)
}

// restorable is the time to which something that exists since an instant and keeps its automated backups for so many days can be restored.
func restorable(since, now time.Time, days int32) (from, to time.Time) {
	to = now.Truncate(5 * time.Minute)
	if days <= 0 || to.Before(since) {
		return time.Time{}, time.Time{}
	}
	if from = now.AddDate(0, 0, -int(days)); from.Before(since) {
		from = since
	}
	return from, to
}

// members gives the instances of a cluster in the order in which they were made. find is truth or seen.
func (g *region) members(r *awssim.Request, c *cluster, find func(*awssim.Request, string) (*instance, bool)) (all []*instance) {
	n := g.byCluster[c.resource]
	if n == nil {
		return nil
	}
	for _, id := range n.list() {
		if i, ok := find(r, id); ok && i.cluster == c.id && i.clusterResource == c.resource {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b *instance) int { return a.made.Compare(b.made) })
	return all
}

// newCluster fills in what is the same for every way to make a cluster and puts it on its shelf.
func (g *region) newCluster(r *awssim.Request, c *cluster, v clusterSettings, tags map[string]string) {
	c.life = life{made: r.Now, lag: r.Lag()}
	c.arn = r.ARN("rds", "cluster:"+c.id)
	c.resource = "cluster-" + strings.ToUpper(r.NewID("cluster")[8:])
	c.set = history[clusterSettings]{{r.Now, v}}
	c.tags = history[map[string]string]{{r.Now, copied(tags)}}
	g.clusters.add(c.id, c)
	g.runningClusters++
	if !aurora(c.engine) {
		g.standbys(r, c, v)
	}
}

// standbys makes the three instances of a Multi-AZ DB cluster, which come and go with it.
func (g *region) standbys(r *awssim.Request, c *cluster, v clusterSettings) {
	for k := range 3 {
		i := &instance{id: c.id + "-instance-" + string(rune('1'+k)), engine: c.engine, version: c.version, user: c.user, subnets: c.subnets, encrypted: c.encrypted,
			key: c.key, ready: c.ready, broken: c.broken}
		i.join(g, c, settings{class: v.class, port: v.port, allocated: v.allocated, storageType: v.storageType, network: v.network, zone: zone(r, k), public: v.public,
			parameterGroup: "default." + c.engine, optionGroup: "default:" + c.engine})
		g.newInstance(r, i, i.joined, nil)
	}
}

// join makes an instance a member of a cluster: who reaches it, the storage and the automated backups are the cluster's.
func (i *instance) join(g *region, c *cluster, v settings) {
	cv := c.set.last()
	v.groups, v.retention, v.copyTags = slices.Clone(cv.groups), cv.retention, cv.copyTags
	i.cluster, i.clusterResource, i.joined = c.id, c.resource, v
	index(g.byCluster, c.resource, i.id)
}

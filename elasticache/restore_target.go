package elasticache

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// made is what a restore makes, as far as both kinds have it.
type made struct {
	arn, status string
	endpoints   []backup.Endpoint
	// whole tells that all endpoints are known and all node groups available.
	whole bool
	// transit, mode and auth are empty where the service does not tell them. cluster, group or serverless is what AWS says of it.
	transit    *bool
	mode       ectypes.TransitEncryptionMode
	auth       *bool
	cluster    *ectypes.CacheCluster
	group      *ectypes.ReplicationGroup
	serverless *ectypes.ServerlessCache
}

func (o RestoreOptions) ref(r backup.Ref) backup.Ref {
	switch o.As {
	case AsCluster:
		return Cluster(r.Account, r.Region, o.ID)
	case asServerless:
		return Serverless(r.Account, r.Region, o.ID)
	}
	return ReplicationGroup(r.Account, r.Region, o.ID)
}

// restored gives the group or cluster that has the wanted id, nil if none is visible.
func (s *Strategy) restored(ctx context.Context, c *awselasticache.Client, r backup.Ref, o RestoreOptions) (*made, error) {
	if o.As == asServerless {
		return s.serverlessMade(ctx, c, r, o.ID)
	}
	if o.As == AsCluster {
		x, err := s.cluster(ctx, c, r, o.ID)
		if x == nil || err != nil {
			return nil, err
		}
		m := &made{arn: arn(x.ARN, r, "cluster", o.ID), status: word(x.CacheClusterStatus), transit: x.TransitEncryptionEnabled, mode: x.TransitEncryptionMode,
			auth: x.AuthTokenEnabled, cluster: x}
		for _, n := range x.CacheNodes {
			m.add(o.ID, "node", n.Endpoint)
		}
		m.whole = len(m.endpoints) > 0
		return m, nil
	}
	g, err := s.group(ctx, c, r, o.ID)
	if g == nil || err != nil {
		return nil, err
	}
	m := &made{arn: arn(g.ARN, r, "replicationgroup", o.ID), status: word(g.Status), transit: g.TransitEncryptionEnabled, mode: g.TransitEncryptionMode,
		auth: g.AuthTokenEnabled, group: g}
	m.whole = len(g.NodeGroups) > 0
	for _, n := range g.NodeGroups {
		m.whole = m.whole && (n.Status == nil || word(n.Status) == "available")
	}
	if g.ConfigurationEndpoint != nil {
		m.add(o.ID, "configuration", g.ConfigurationEndpoint)
	} else if len(g.NodeGroups) > 0 {
		m.add(o.ID, "primary", g.NodeGroups[0].PrimaryEndpoint)
		m.add(o.ID, "reader", g.NodeGroups[0].ReaderEndpoint)
	}
	m.whole = m.whole && len(m.endpoints) > 0
	return m, nil
}

// newTarget gives what has the wanted id, but not what had it before.
func (s *Strategy) newTarget(ctx context.Context, c *awselasticache.Client, r backup.Ref, st restoreState) (*made, error) {
	x, err := s.restored(ctx, c, r, st.Options)
	if err != nil || x == nil || st.Not != (incarnation{}) && incarnationOf(x) == st.Not {
		return nil, err
	}
	return x, nil
}

func (m *made) add(id, role string, e *ectypes.Endpoint) {
	if e != nil && aws.ToString(e.Address) != "" {
		m.endpoints = append(m.endpoints, backup.Endpoint{ID: id, Host: aws.ToString(e.Address), Port: aws.ToInt32(e.Port), Role: role})
	}
}

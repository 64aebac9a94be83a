package elasticache

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// unlike lists in words what a new group or cluster does not have although it was asked for, and that exposes nothing: AWS sets some of that up after
// it is available, and the delivery of logs may fail then. What the service does not tell is not judged.
//
// Source: ElastiCache API, types ReplicationGroup, CacheCluster and LogDeliveryConfiguration.
func (o RestoreOptions) unlike(m *made) (all []string) {
	if x := m.cluster; x != nil {
		if have := aws.ToString(x.PreferredMaintenanceWindow); o.MaintenanceWindow != "" && have != "" && !strings.EqualFold(have, o.MaintenanceWindow) {
			all = append(all, "the maintenance window is "+have)
		}
		return append(append(all, o.dailyUnlike(x.SnapshotRetentionLimit, x.SnapshotWindow)...), o.logsUnlike(x.LogDeliveryConfigurations)...)
	}
	g := m.group
	if g == nil {
		return nil
	}
	if o.MultiAZ && g.MultiAZ == ectypes.MultiAZStatusDisabled {
		all = append(all, "Multi-AZ is off")
	}
	if f := g.AutomaticFailover; (o.AutomaticFailover || o.MultiAZ || aws.ToBool(o.ClusterMode)) && f != "" && f != ectypes.AutomaticFailoverStatusEnabled {
		all = append(all, "automatic failover is "+string(f))
	}
	return append(append(all, o.dailyUnlike(g.SnapshotRetentionLimit, g.SnapshotWindow)...), o.logsUnlike(g.LogDeliveryConfigurations)...)
}

func (o RestoreOptions) dailyUnlike(days *int32, window *string) (all []string) {
	if days != nil && *days != o.SnapshotRetentionDays {
		all = append(all, fmt.Sprintf("automatic snapshots are kept for %d days", *days))
	}
	if have := aws.ToString(window); o.SnapshotWindow != "" && have != "" && have != o.SnapshotWindow {
		all = append(all, "the snapshot window is "+have)
	}
	return all
}

// logsUnlike looks for each log that was to be delivered.
func (o RestoreOptions) logsUnlike(given []ectypes.LogDeliveryConfiguration) (all []string) {
	have := deliveries(given)
	for _, l := range o.LogDelivery {
		state := "not delivered"
		for i := range given {
			switch g := &given[i]; {
			case string(g.LogType) != l.Log:
			case g.Status == ectypes.LogDeliveryConfigurationStatusError:
				state = "not delivered: " + aws.ToString(g.Message)
			case g.Status != ectypes.LogDeliveryConfigurationStatusActive && g.Status != "":
				state = string(g.Status)
			default:
				state = ""
			}
		}
		for _, d := range have {
			if state == "" && d.Log == l.Log && d != l {
				state = "delivered elsewhere, to " + d.Name
			}
		}
		if state != "" {
			all = append(all, "the "+l.Log+" is "+state)
		}
	}
	return all
}

// unlike does the same for a new serverless cache.
func (o *ServerlessOptions) unlike(x *ectypes.ServerlessCache) (all []string) {
	if n := x.SnapshotRetentionLimit; n != nil && *n != o.SnapshotRetentionDays {
		all = append(all, fmt.Sprintf("automatic snapshots are kept for %d days", *n))
	}
	if have := aws.ToString(x.DailySnapshotTime); o.SnapshotTime != "" && have != "" && have != o.SnapshotTime {
		all = append(all, "they are made at "+have)
	}
	asked, have := o.limits(), x.CacheUsageLimits
	if asked == nil || have == nil {
		return all
	}
	bound := func(what string, asked, have *int32) {
		if asked != nil && have != nil && *asked != *have {
			all = append(all, fmt.Sprintf("the %s is %d", what, *have))
		}
	}
	if a, h := asked.DataStorage, have.DataStorage; a != nil && h != nil {
		bound("least storage in GB", a.Minimum, h.Minimum)
		bound("most storage in GB", a.Maximum, h.Maximum)
	}
	if a, h := asked.ECPUPerSecond, have.ECPUPerSecond; a != nil && h != nil {
		bound("least ECPU", a.Minimum, h.Minimum)
		bound("most ECPU", a.Maximum, h.Maximum)
	}
	return all
}

func (st restoreState) unlike(m *made) []string {
	if st.Serverless != nil {
		return st.Serverless.unlike(m.serverless)
	}
	return st.Options.unlike(m)
}

// notAsAsked tells of it.
func notAsAsked(target backup.Ref, unlike []string) backup.Finding {
	return backup.Finding{ID: "elasticache.not-as-asked", Severity: backup.SeverityWarning, Ref: target,
		Message: "it is restored, and not in everything as it was asked for: " + strings.Join(unlike, "; "), Remedy: "modify it; a log needs its destination, and whoever restores the rights to have it delivered"}
}

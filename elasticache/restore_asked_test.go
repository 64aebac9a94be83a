package elasticache_test

import (
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
)

// What is restored and not in everything as it was asked for is waited for, and told in a finding if it stays so.
func TestRestoreNotAsAsked(t *testing.T) {
	const why = "the log group does not exist"
	for _, c := range []struct {
		name  string
		spoil func(b *bed)
		mend  func(b *bed)
		want  string
	}{
		{"as asked", func(*bed) {}, nil, ""},
		{"a log that can not be delivered", func(b *bed) { b.ok(b.sim.FailLogs(b.world, account, region, "new", "slow-log", why)) }, nil, "the slow-log is not delivered: " + why},
		{"a log that is delivered later", func(b *bed) { b.ok(b.sim.FailLogs(b.world, account, region, "new", "slow-log", why)) },
			func(b *bed) { b.ok(b.sim.FailLogs(b.world, account, region, "new", "slow-log", "")) }, ""},
		{"other automatic snapshots", func(b *bed) { b.ok(b.sim.SetDaily(b.world, account, region, "new", 0, "09:00-10:00")) }, nil,
			"automatic snapshots are kept for 0 days; the snapshot window is 09:00-10:00"},
	} {
		for _, as := range []string{elasticache.AsGroup, elasticache.AsCluster} {
			t.Run(c.name+", "+as, func(t *testing.T) {
				bubble(t, func(b *bed) {
					b.sources()
					spoilt, looks := false, 0
					op := b.startRestore(snapshot("s-one"), elasticache.RestoreOptions{ID: "new", As: as, SnapshotRetentionDays: 7, SnapshotWindow: "03:00-04:30",
						LogDelivery: []elasticache.LogDelivery{{Log: "slow-log", To: "cloudwatch-logs", Name: "/cache/slow", Format: "json"}}})
					op = b.run(op, func(op backup.Operation) {
						switch {
						case op.Stage != "wait":
						case !spoilt:
							spoilt = true
							c.spoil(b)
						case b.available("new"):
							if looks++; c.mend != nil && looks == 4 {
								c.mend(b)
							}
						}
					})
					b.succeeded(op)
					got := ""
					for _, f := range op.Findings {
						if f.ID == "elasticache.not-as-asked" {
							got = f.Message
						}
					}
					if (got == "") != (c.want == "") || !strings.HasSuffix(got, c.want) || len(op.Endpoints) == 0 {
						t.Errorf("found %q, want %q", got, c.want)
					}
				})
			})
		}
	}
}

// available tells whether the group or cluster with an id is available.
func (b *bed) available(id string) bool {
	status := ""
	if g := b.groupView(id); g != nil {
		status = g.Status
	} else if x := b.clusterView(id); x != nil {
		status = x.Status
	}
	return status == "available"
}

func TestServerlessNotAsAsked(t *testing.T) {
	bubble(t, func(b *bed) {
		b.serverless("web")
		b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", nil, "s"))
		spoilt := false
		op := b.run(b.startServerless(serverlessSnapshot("s"), elasticache.ServerlessOptions{Name: "new", SnapshotRetentionDays: 7, SnapshotTime: "03:00", StorageMaxGB: 5}), func(op backup.Operation) {
			if op.Stage == "wait" && !spoilt {
				spoilt = true
				b.ok(b.sim.SetDaily(b.world, account, region, "new", 2, "09:00"))
			}
		})
		b.succeeded(op)
		if len(op.Findings) != 1 || !strings.HasSuffix(op.Findings[0].Message, "automatic snapshots are kept for 2 days; they are made at 09:00") {
			t.Errorf("%+v", op.Findings)
		}
	})
}

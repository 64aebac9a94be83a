package main

import (
	"context"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// sourceTrials are those of snapshots that AWS does not export.
func (c *cloud) sourceTrials() []trial {
	const bucket = "orders-exports-sources"
	arrange := func(ctx context.Context) error {
		return c.prepare(ctx, region, bucket, elasticacheexport.PrepareOptions{Create: true})
	}
	return []trial{
		{
			label: "snapshot: customer managed key", title: "The snapshot is under a customer managed key", id: "elasticacheexport.customer-key", code: backup.ErrUnsupported,
			plan: plan{snapshot(ledgerSnapshot), bucket, "ledger", c.admin}, arrange: arrange,
			mend: func(_ context.Context, p *plan) (string, error) {
				p.source = snapshot(sessionsSnapshot)
				return "the snapshot of a group that uses the service's default key, " + sessionsSnapshot, nil
			},
		},
		{
			label: "snapshot: data tiering", title: "The snapshot has data tiering", id: "elasticacheexport.data-tiering", code: backup.ErrUnsupported,
			plan: plan{snapshot(archiveSnapshot), bucket, "archive", c.admin}, arrange: arrange,
			mend: func(_ context.Context, p *plan) (string, error) {
				p.source = elasticache.ReplicationGroup(account, region, sessions)
				return "a group without data tiering, " + sessions + ", as it is now: a snapshot of it is made first, and exported", nil
			},
		},
	}
}

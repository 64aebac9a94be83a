package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// The buckets at the two ends, and the group that is made at the far one.
const (
	nearBucket = "orders-exports-ireland"
	farBucket  = "orders-exports-frankfurt"
	newGroup   = "orders-frankfurt"
)

// journey exports in one Region, copies to another, and fills a new replication group there, which the far bucket does not allow at first.
func (c *cloud) journey(ctx context.Context, out *report) (row, error) {
	out.heading("4. Export in one Region, copy, seed in another, verify")
	point, err := c.exportOrders(ctx, out)
	if err != nil {
		return row{}, fmt.Errorf("the export: %w", err)
	}
	m, err := c.admin.exports.Manifest(ctx, point)
	if err != nil {
		return row{}, err
	}
	printManifest(out, m)
	copied, err := c.copyFar(ctx, out, point, m)
	if err != nil {
		return row{}, fmt.Errorf("the copy: %w", err)
	}
	r, err := c.seedFar(ctx, out, copied)
	if err != nil {
		return r, fmt.Errorf("the new group: %w", err)
	}
	return r, nil
}

// exportOrders goes from a snapshot to a verified export in a bucket of its own.
func (c *cloud) exportOrders(ctx context.Context, out *report) (backup.Ref, error) {
	if err := c.prepare(ctx, region, nearBucket, elasticacheexport.PrepareOptions{Create: true}); err != nil {
		return backup.Ref{}, err
	}
	out.line("bucket", "%s in %s, made by StartPrepare", nearBucket, region)
	s := c.admin.exports
	op, err := s.Start(ctx, snapshot(ordersSnapshot), backup.Spec{Token: "weekly", Name: "orders-weekly", Options: elasticacheexport.Options{Bucket: nearBucket}})
	if err != nil {
		return backup.Ref{}, err
	}
	found, err := s.Preflight(ctx, op)
	if err != nil {
		return backup.Ref{}, err
	}
	out.findings("Preflight", found)
	if op, err = c.admin.finish(ctx, op, nil); err != nil {
		return backup.Ref{}, err
	}
	words, err := c.proof(ctx, op)
	if err != nil {
		return backup.Ref{}, err
	}
	out.line("export", "%s: %s", op.Phase, words)
	return exported(op)
}

func printManifest(out *report, m s3export.Manifest) {
	out.line("manifest", "%s in %s, %s: %s %s, of %s, by the snapshot %s; the times are in it too", s3export.ManifestKey(m.Name), m.Bucket, m.Region,
		m.Engine, m.EngineVersion, m.Of, m.Source.ID)
	for _, x := range m.Shards {
		out.line("", "shard %s  slots %-11s  %s  %d bytes  %s %d  SHA-256 %s...", x.ID, x.Slots, x.Key, x.Size, x.Format, x.RDBVersion, x.SHA256[:16])
	}
}

// copyFar copies an export, and reads every file of the copy against the manifest, which must be the same.
func (c *cloud) copyFar(ctx context.Context, out *report, point backup.Ref, m s3export.Manifest) (backup.Ref, error) {
	if err := bare(ctx, c.admin.s3(far), far, farBucket); err != nil {
		return backup.Ref{}, err
	}
	out.line("bucket", "%s in %s, made without the library: ElastiCache is not let in", farBucket, far)
	op, err := c.admin.exports.StartCopy(ctx, point, backup.Destination{Region: far}, backup.Spec{Token: "weekly copy", Options: elasticacheexport.CopyOptions{Bucket: farBucket}})
	if op, err = c.admin.finish(ctx, op, err); err != nil {
		return backup.Ref{}, err
	}
	copied, err := exported(op)
	if err != nil {
		return backup.Ref{}, err
	}
	words, err := c.proof(ctx, op)
	if err != nil {
		return backup.Ref{}, err
	}
	out.line("copy", "%s: %s", op.Phase, words)
	again, err := c.admin.exports.Manifest(ctx, copied)
	if err != nil {
		return backup.Ref{}, err
	}
	if same, err := alike(m, again); err != nil || !same {
		return backup.Ref{}, errors.Join(errors.New("the copy's manifest is another"), err)
	}
	out.line("", "its manifest is the export's, byte for byte")
	return copied, nil
}

func alike(a, b s3export.Manifest) (bool, error) {
	x, err := a.Encode()
	if err != nil {
		return false, err
	}
	y, err := b.Encode()
	return bytes.Equal(x, y), err
}

// seedFar makes a new replication group of the copy. At first the bucket does not let ElastiCache read.
func (c *cloud) seedFar(ctx context.Context, out *report, point backup.Ref) (row, error) {
	r := row{label: "seed: the bucket may not be read", id: "-", by: "its hint"}
	m, err := c.admin.exports.Manifest(ctx, point)
	if err != nil {
		return r, err
	}
	seed := func(token string) (backup.Operation, error) {
		op, err := c.admin.caches.StartSeed(ctx, point, m, backup.Spec{Token: token, Options: elasticache.RestoreOptions{
			ID: newGroup, NodeType: "cache.r7g.large", SecurityGroups: []string{"sg-0123456789abcdef0"}}})
		if err != nil {
			return op, err
		}
		return c.admin.run(ctx, op)
	}
	op, err := seed("weekly seed")
	if err != nil {
		return r, err
	}
	out.print("\n")
	out.line("seed", "%s", op.Phase)
	if f := op.Failure; f != nil {
		out.failure(*f, "", nil, op.Findings)
		r.met, r.explained = f.Code == backup.ErrInvalid && len(op.Made) == 0, f.Hint != ""
	}
	if err := c.prepare(ctx, far, farBucket, elasticacheexport.PrepareOptions{Seed: true, NoExport: true, Harden: true}); err != nil {
		return r, err
	}
	r.mended = true
	out.line("mended", "StartPrepare with Seed: ElastiCache may read the bucket, and not write; with Harden, nobody may without TLS")
	if op, err = seed("weekly seed, mended"); err != nil {
		return r, err
	}
	if err := op.Err(); err != nil {
		return r, err
	}
	out.line("again", "%s: %s in %s", op.Phase, newGroup, far)
	for _, e := range op.Endpoints {
		out.line("", "%s endpoint, port %d", e.Role, e.Port)
	}
	r.passed = true
	return r, c.verifyGroup(ctx, out, m)
}

// verifyGroup looks whether the new group is available and has the slots that the files have.
func (c *cloud) verifyGroup(ctx context.Context, out *report, m s3export.Manifest) error {
	groups, err := awselasticache.NewFromConfig(c.admin.config(far)).DescribeReplicationGroups(ctx, &awselasticache.DescribeReplicationGroupsInput{ReplicationGroupId: aws.String(newGroup)})
	if err != nil {
		return err
	}
	if len(groups.ReplicationGroups) != 1 || aws.ToString(groups.ReplicationGroups[0].Status) != "available" {
		return errors.New("it is not there, or not available")
	}
	var want, got []string
	for _, x := range m.Shards {
		want = append(want, string(x.Slots))
	}
	for _, g := range groups.ReplicationGroups[0].NodeGroups {
		got = append(got, aws.ToString(g.Slots))
		out.line("", "node group %s, slots %s, %d nodes", aws.ToString(g.NodeGroupId), aws.ToString(g.Slots), len(g.NodeGroupMembers))
	}
	if !slices.Equal(want, got) {
		return fmt.Errorf("its slots are %v, and the files have %v", got, want)
	}
	out.line("", "the slots are those of the manifest")
	return nil
}

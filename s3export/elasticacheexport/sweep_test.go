package elasticacheexport_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/internal/sweep"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// ready is a finished export of three shards, made once for the sweeps that begin with one: the objects of its bucket by their keys.
func ready(t *testing.T) map[string][]byte {
	t.Helper()
	objects := map[string][]byte{}
	bubble(t, func(b *bed) {
		b.far()
		for _, key := range b.keys() {
			objects[key] = b.store.Content(b.world, region, bucket, key)
		}
	})
	return objects
}

// put places the objects of an export in a bucket as ElastiCache and this library wrote them, and gives the export.
func (b *bed) put(region, bucket string, objects map[string][]byte) (export backup.Ref) {
	b.Helper()
	const manifest = "nightly.manifest.json"
	b.world.Do(account, region, func(r *awssim.Request) {
		for key, data := range objects {
			if key != manifest {
				b.ok(b.store.ServicePut(r, bucket, key, data, r.Now))
			}
		}
	})
	_, err := awss3.NewFromConfig(b.world.Config(account, region)).PutObject(b.Context(), &awss3.PutObjectInput{Bucket: &bucket, Key: aws.String(manifest), Body: bytes.NewReader(objects[manifest])})
	b.ok(err)
	return backup.Ref{Type: elasticacheexport.TypeExport, Account: account, Region: region, ID: bucket + "/" + manifest}
}

// seldom has a sweep look less often than is usual: what a fault can hit is the first and the last call of each kind, and not the many between.
// An export of half a minute must still be seen being written.
func seldom(s *elasticacheexport.Settings) { s.PollMin, s.PollMax = 30*time.Second, 2*time.Minute }

func newStrategy(cfg aws.Config) backup.Strategy { return elasticacheexport.NewFromConfig(cfg, seldom) }

func exportFlow(name string, r backup.Ref, shards int) sweep.Workflow {
	return sweep.Workflow{Name: name, Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := newBed(t.(*testing.T))
		snapshots, point := b.snapshots, elasticache.Snapshot
		if r.Type == elasticache.TypeServerless || r.Type == elasticache.TypeServerlessSnapshot {
			b.web()
			snapshots, point = b.serverlessSnapshots, elasticache.ServerlessSnapshot
		}
		b.bucket(bucket, all...)
		// what there is of the export that the Operation began
		state := func() (files, manifests []string) {
			for _, o := range b.store.Objects(b.world, region, bucket) {
				switch {
				case o.At.After(time.Now()):
				case strings.HasSuffix(o.Key, ".rdb"):
					files = append(files, o.Key)
				default:
					manifests = append(manifests, o.Key)
				}
			}
			return files, manifests
		}
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.Start(ctx, r, backup.Spec{Token: "tonight", Options: elasticacheexport.Options{Bucket: bucket}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				files, manifests := state()
				if op.Phase == backup.PhaseSucceeded && (len(files) != shards || len(manifests) != 1) {
					bad = append(bad, fmt.Sprintf("I5: success with %d of %d files and %d manifests", len(files), shards, len(manifests)))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				files, manifests := state()
				if made := snapshots(); len(made) > 1 {
					bad = append(bad, fmt.Sprintf("I1: %d snapshots were made: %v", len(made), made))
				} else if len(made) == 1 && !slices.Contains(op.Points, point(account, region, made[0])) {
					bad = append(bad, "I17: the snapshot "+made[0]+" is listed nowhere")
				}
				if len(files) > shards || len(manifests) > 1 {
					bad = append(bad, fmt.Sprintf("I1: %d files and %d manifests", len(files), len(manifests)))
				}
				if len(manifests) == 1 {
					if len(files) != shards {
						bad = append(bad, fmt.Sprintf("I4: a manifest with %d of %d files", len(files), shards))
					}
					if _, err := s3export.ParseManifest(b.store.Content(b.world, region, bucket, manifests[0])); err != nil {
						bad = append(bad, "I4: the manifest can not be read: "+err.Error())
					}
				}
				listed := func(rs backup.Refs, typ string) bool {
					return slices.ContainsFunc(rs, func(r backup.Ref) bool { return r.Type == typ })
				}
				if len(files) > 0 && !listed(op.Made, elasticacheexport.TypeFiles) && !listed(op.Points, elasticacheexport.TypeExport) {
					bad = append(bad, fmt.Sprintf("I17: %d files are listed nowhere", len(files)))
				}
				return bad
			},
		}
	}}
}

// prepareFlow makes a bucket ready. Whatever goes wrong, what others wrote stays, and a new bucket is never open.
func prepareFlow() sweep.Workflow {
	return sweep.Workflow{Name: "prepare", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := bareBed(t.(*testing.T))
		return sweep.Subject{World: b.world, Account: account, Region: region, Strategy: newStrategy, MayFail: true,
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticacheexport.Strategy).StartPrepare(ctx, elasticacheexport.Bucket(account, region, bucket), backup.Spec{Token: "once", Options: elasticacheexport.PrepareOptions{Create: true, Seed: true}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if op.Phase != backup.PhaseSucceeded {
					return nil
				}
				b.world.Do(account, region, func(r *awssim.Request) {
					for _, action := range all {
						if !b.store.ServiceMay(r, bucket, region+".elasticache-snapshot.amazonaws.com", "", action) {
							bad = append(bad, "I12: success, but ElastiCache lacks "+action)
						}
					}
				})
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				made := 0
				for _, c := range b.world.Calls() {
					if c.Operation == "CreateBucket" && c.Applied {
						made++
					}
				}
				if made > 1 {
					bad = append(bad, fmt.Sprintf("I1: %d buckets were made", made))
				}
				// Of a bucket whose maker can not be known, a finding tells.
				unclear := slices.ContainsFunc(op.Findings, func(f backup.Finding) bool { return f.ID == "elasticacheexport.bucket-unclear" && f.Ref == op.Ref })
				if made == 1 && len(op.Made) == 0 && !unclear {
					bad = append(bad, "I17: the bucket is listed nowhere")
				}
				return bad
			},
		}
	}}
}

// copyFlow copies an export of three shards to another Region.
func copyFlow(objects map[string][]byte) sweep.Workflow {
	return sweep.Workflow{Name: "copy-export", Setup: func(t testing.TB, _ context.Context) sweep.Subject {
		b := bareBed(t.(*testing.T))
		b.bucket(bucket)
		b.farOne()
		export := b.put(region, bucket, objects)
		return sweep.Subject{World: b.world, Account: account, Region: region, MayFail: true,
			Strategy: func(aws.Config) backup.Strategy { return everywhere(b.world, seldom) },
			Start: func(ctx context.Context, s backup.Strategy) (backup.Operation, error) {
				return s.(*elasticacheexport.Strategy).StartCopy(ctx, export, backup.Destination{Region: farRegion}, backup.Spec{Token: "once", Options: elasticacheexport.CopyOptions{Bucket: farBucket}})
			},
			AtEnd: func(op backup.Operation) (bad []string) {
				if keys := b.farKeys(); op.Phase == backup.PhaseSucceeded && len(keys) != 4 {
					bad = append(bad, fmt.Sprintf("I5: success with %v", keys))
				}
				return bad
			},
			Quiet: func(op backup.Operation) (bad []string) {
				keys := b.farKeys()
				if len(keys) > 0 && len(op.Made)+len(op.Points) == 0 {
					bad = append(bad, fmt.Sprintf("I17: %v are listed nowhere", keys))
				}
				if left := b.store.Uploads(b.world, farRegion, farBucket); len(left) > 0 {
					bad = append(bad, fmt.Sprintf("I17: unfinished uploads: %v", left))
				}
				for _, k := range keys {
					if !b.store.Same(b.world, region, bucket, k, farRegion, farBucket, k) {
						bad = append(bad, "I5: another content in "+k)
					}
					if strings.HasSuffix(k, ".json") && len(keys) != 4 {
						bad = append(bad, fmt.Sprintf("I4: a manifest with %v", keys))
					}
				}
				return bad
			},
		}
	}}
}

func TestSweepSingles(t *testing.T) {
	objects := ready(t)
	for _, w := range []sweep.Workflow{
		exportFlow("export-cluster", elasticache.Snapshot(account, region, "plain"), 1),
		exportFlow("export-group", elasticache.Snapshot(account, region, "sharded"), 3),
		exportFlow("export-serverless", night, 1),
		exportFlow("export-serverless-live", web, 1),
		exportFlow("export-live", elasticache.ReplicationGroup(account, region, "three"), 3),
		prepareFlow(),
		copyFlow(objects),
		seedFlow(objects),
	} {
		t.Run(w.Name, func(t *testing.T) {
			t.Parallel() // each run is in a bubble of its own
			sweep.Singles(t, w).Check(t)
		})
	}
}

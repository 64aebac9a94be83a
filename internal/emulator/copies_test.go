package emulator

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/rds"
)

// far is the Region that is copied to.
const far = "eu-west-1"

func (w *world) in(region string) aws.Config {
	cfg := w.config()
	cfg.Region = region
	return cfg
}

// key makes a KMS key and gives its ARN.
func (w *world) key(region string) string {
	w.t.Helper()
	out, err := awskms.NewFromConfig(w.in(region)).CreateKey(w.ctx, &awskms.CreateKeyInput{})
	w.must("CreateKey", err)
	return aws.ToString(out.KeyMetadata.Arn)
}

// describeKey is what the strategies ask about a key.
func (w *world) describeKey(ctx context.Context, _, region, key string) (string, error) {
	out, err := awskms.NewFromConfig(w.in(region)).DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &key})
	if err != nil {
		return "", err
	}
	return string(out.KeyMetadata.KeyState), nil
}

// farRDS serves both Regions.
func (w *world) farRDS(aws.Config) strategy {
	return rds.New(func(_ context.Context, _, region string) (*awsrds.Client, error) {
		return awsrds.NewFromConfig(w.in(region)), nil
	}, func(o *rds.Options) {
		w.pace(&o.PollMin, &o.PollMax, &o.Settle, &o.Park)
		o.CopyRegions, o.DescribeKey = []string{far}, w.describeKey
	})
}

// farEBS serves both Regions.
func (w *world) farEBS(aws.Config) strategy {
	return ebs.New(func(_ context.Context, _, region string) (*awsec2.Client, error) {
		return awsec2.NewFromConfig(w.in(region)), nil
	}, func(o *ebs.Options) {
		w.pace(&o.PollMin, &o.PollMax, &o.Settle, &o.Park)
		o.CopyRegions, o.DescribeKey = []string{far}, w.describeKey
	})
}

// backedUp makes a recovery point of a source.
func (w *world) backedUp(k kit, dir string) backup.Ref {
	w.t.Helper()
	p := w.process(k, dir)
	op, err := p.strategy.Start(w.ctx, k.source, backup.Spec{Token: "tonight", Tags: tags})
	w.must("Start", err)
	op, err = p.runner.Run(w.ctx, op)
	w.must("backup", err)
	return op.Points[0]
}

// copied copies the recovery point of a new backup, with the answer of the call lost, and holds the copy against it. Then the recovery point is
// deleted, which leaves the copy, and the copy.
func (w *world) copied(k kit, call string, to backup.Destination) {
	t, ctx := w.t, w.ctx
	// Where EC2 does not tell that a copy is one, only its tags do, and they are believed where they fit the volume.
	unlike := k.service == "EC2" && w.differs("ec2-copy")
	t.Helper()
	dir := t.TempDir()
	point := w.backedUp(k, dir)
	original := w.only(k.strategy(w.config()), backup.Query{Account: w.account, Region: region, Point: point}, "of the original")
	where := to.Region
	if where == "" {
		where = region
	}
	before := w.snapshotsIn(k.service, where)
	op := w.interrupted(k, dir, call, func(s strategy) (backup.Operation, error) {
		return s.(backup.Copier).StartCopy(ctx, point, to, backup.Spec{Token: "away", Tags: map[string]string{"copied": "yes"}})
	})
	if len(op.Points) != 1 || op.Points[0] == point {
		t.Fatalf("the copy is %v", op.Points)
	}
	if n := w.snapshotsIn(k.service, where) - before; n != max(1, len(original.Members)) {
		t.Errorf("%d snapshots were made of %d", n, max(1, len(original.Members)))
	}
	p := w.process(k, dir)
	byCopy := backup.Query{Account: w.account, Region: where, Point: op.Points[0]}
	made := w.only(p.strategy, byCopy, "of the copy")
	if made.Region != where || made.Status != backup.StatusAvailable || made.Automated || made.Source != k.source && !unlike || len(made.Members) != len(original.Members) ||
		made.SizeBytes != original.SizeBytes || made.Engine != original.Engine {
		t.Errorf("the copy is listed as %+v, the original is %+v", made, original)
	}
	if d := made.CreatedAt.Sub(original.CreatedAt).Abs(); d >= time.Second && !unlike {
		t.Errorf("the data of the copy is of %v, and of the original %v", made.CreatedAt, original.CreatedAt)
	}
	if to.KMSKeyID != "" && (!made.Encrypted || made.KMSKeyID != to.KMSKeyID) {
		t.Errorf("the copy is under the key %q, wanted %q", made.KMSKeyID, to.KMSKeyID)
	}
	if made.Tags["team"] != "orders" || made.Tags["copied"] != "yes" || made.Tags[backup.TagToken] != op.ID || made.Tags[backup.TagOwner] != backup.DefaultOwner {
		t.Errorf("the copy has the tags %v", made.Tags)
	}
	for i, old := range []backup.Ref{point, made.Ref} {
		spec := backup.Spec{Token: "old"}
		if unlike && old.Region == far {
			w.fails(k, dir, backup.ErrConflict, func(s strategy) (backup.Operation, error) { return s.StartDelete(ctx, old, spec) })
			spec = backup.Spec{Token: "old, all the same", Options: ebs.DeleteOptions{AllowForeign: true}}
		}
		del, err := p.strategy.StartDelete(ctx, old, spec)
		w.must("StartDelete", err)
		_, err = p.runner.Run(ctx, del)
		w.must("deleting "+old.String(), err)
		if left := w.list(p.strategy, byCopy, "of the copy"); len(left) != 1-i {
			t.Errorf("after deleting %s there are %+v", old, left)
		}
	}
	if left := w.list(p.strategy, backup.Query{Account: w.account, Region: region, Source: k.source}, "at the end"); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

// snapshotsIn counts the snapshots in a Region, whatever tags they carry.
func (w *world) snapshotsIn(service, region string) int {
	w.t.Helper()
	if service == "EC2" {
		return w.ownSnapshots(awsec2.NewFromConfig(w.in(region)))()
	}
	c := awsrds.NewFromConfig(w.in(region))
	instances, err := c.DescribeDBSnapshots(w.ctx, &awsrds.DescribeDBSnapshotsInput{SnapshotType: aws.String("manual")})
	w.must("DescribeDBSnapshots", err)
	clusters, err := c.DescribeDBClusterSnapshots(w.ctx, &awsrds.DescribeDBClusterSnapshotsInput{SnapshotType: aws.String("manual")})
	w.must("DescribeDBClusterSnapshots", err)
	return len(instances.DBSnapshots) + len(clusters.DBClusterSnapshots)
}

func TestCopies(t *testing.T) {
	type place func(w *world) backup.Destination
	near := func(w *world) backup.Destination { return backup.Destination{KMSKeyID: w.key(region)} }
	away := func(w *world) backup.Destination { return backup.Destination{Region: far, KMSKeyID: w.key(far)} }
	for name, to := range map[string]place{"another key": near, "another Region": away} {
		t.Run("database to "+name, func(t *testing.T) {
			both(t, func(w *world) {
				c := awsrds.NewFromConfig(w.config())
				w.databaseWith(c, "orders", func(in *awsrds.CreateDBInstanceInput) {
					in.StorageEncrypted, in.KmsKeyId = aws.Bool(true), aws.String(w.key(region))
				})
				w.copied(kit{strategy: w.farRDS, service: "RDS", source: rds.Instance(w.account, region, "orders")}, "CopyDBSnapshot", to(w))
			})
		})
		t.Run("cluster to "+name, func(t *testing.T) {
			both(t, func(w *world) {
				w.cluster(awsrds.NewFromConfig(w.config()), "main", aws.String(w.key(region)))
				w.copied(kit{strategy: w.farRDS, service: "RDS", source: rds.Cluster(w.account, region, "main")}, "CopyDBClusterSnapshot", to(w))
			})
		})
		t.Run("volume to "+name, func(t *testing.T) {
			both(t, func(w *world) {
				volume := w.freshVolume(awsec2.NewFromConfig(w.config()), func(in *awsec2.CreateVolumeInput) { in.TagSpecifications = ec2Tags(ec2types.ResourceTypeVolume) })
				w.settle()
				w.copied(kit{strategy: w.farEBS, service: "EC2", source: ebs.Volume(w.account, region, volume)}, "CopySnapshot", to(w))
			})
		})
		t.Run("set to "+name, func(t *testing.T) {
			both(t, func(w *world) {
				instance, _ := w.server(awsec2.NewFromConfig(w.config()))
				w.copied(kit{strategy: w.farEBS, service: "EC2", source: instance}, "CopySnapshot", to(w))
			})
		})
	}
}

// cluster makes an Aurora cluster with an instance, encrypted where there is a key.
func (w *world) cluster(c *awsrds.Client, id string, key *string) {
	w.t.Helper()
	in := &awsrds.CreateDBClusterInput{DBClusterIdentifier: &id, Engine: aws.String("aurora-postgresql"), MasterUsername: aws.String("tester"), MasterUserPassword: aws.String("not-a-secret"),
		Tags: []rdstypes.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}}
	if key != nil {
		in.StorageEncrypted, in.KmsKeyId = aws.Bool(true), key
	}
	_, err := c.CreateDBCluster(w.ctx, in)
	w.must("CreateDBCluster", err)
	w.settle()
	_, err = c.CreateDBInstance(w.ctx, &awsrds.CreateDBInstanceInput{DBInstanceIdentifier: aws.String(id + "-1"), DBInstanceClass: aws.String("db.r6g.large"),
		Engine: aws.String("aurora-postgresql"), DBClusterIdentifier: &id})
	w.must("CreateDBInstance", err)
	w.settle()
}

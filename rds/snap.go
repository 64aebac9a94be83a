package rds

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// snap is a snapshot of an instance or of a cluster: what the work on either asks of it.
type snap struct {
	cluster bool
	id, arn string
	// kind is the SnapshotType; of and resource are the identifier and the immutable id of the instance or the cluster that it is of.
	kind, of, resource string
	// word is the Status as RDS says it.
	word    string
	percent int32
	// made is the SnapshotCreateTime, which a copy has of its own, and taken the time of the data; both are zero while RDS does not tell them.
	made, taken           time.Time
	encrypted             bool
	key                   string
	gigabytes, port       int32
	engine, version, mode string
	// group is the option group of an instance's snapshot.
	group string
	// origin is the ARN of the snapshot that this is a copy of, where that is in another Region or account.
	origin string
	tags   []rdstypes.Tag
}

func instanceSnap(x *rdstypes.DBSnapshot) *snap {
	p := &snap{
		id: aws.ToString(x.DBSnapshotIdentifier), arn: aws.ToString(x.DBSnapshotArn), kind: aws.ToString(x.SnapshotType), of: aws.ToString(x.DBInstanceIdentifier),
		resource: aws.ToString(x.DbiResourceId), word: aws.ToString(x.Status), percent: aws.ToInt32(x.PercentProgress), made: aws.ToTime(x.SnapshotCreateTime),
		taken: aws.ToTime(x.OriginalSnapshotCreateTime), encrypted: encrypted(x.Encrypted, x.StorageEncryptionType), key: aws.ToString(x.KmsKeyId),
		gigabytes: aws.ToInt32(x.AllocatedStorage), port: aws.ToInt32(x.Port), engine: aws.ToString(x.Engine), version: aws.ToString(x.EngineVersion),
		group: aws.ToString(x.OptionGroupName), origin: aws.ToString(x.SourceDBSnapshotIdentifier), tags: x.TagList,
	}
	if p.taken.IsZero() {
		p.taken = p.made
	}
	return p
}

func clusterSnap(x *rdstypes.DBClusterSnapshot) *snap {
	made := aws.ToTime(x.SnapshotCreateTime)
	return &snap{
		cluster: true, id: aws.ToString(x.DBClusterSnapshotIdentifier), arn: aws.ToString(x.DBClusterSnapshotArn), kind: aws.ToString(x.SnapshotType),
		of: aws.ToString(x.DBClusterIdentifier), resource: aws.ToString(x.DbClusterResourceId), word: aws.ToString(x.Status), percent: aws.ToInt32(x.PercentProgress),
		made: made, taken: made, encrypted: encrypted(x.StorageEncrypted, x.StorageEncryptionType), key: aws.ToString(x.KmsKeyId),
		gigabytes: aws.ToInt32(x.AllocatedStorage), port: aws.ToInt32(x.Port), engine: aws.ToString(x.Engine), version: aws.ToString(x.EngineVersion),
		mode: aws.ToString(x.EngineMode), origin: aws.ToString(x.SourceDBClusterSnapshotArn), tags: x.TagList,
	}
}

// clusterSnapshot gives the snapshot of a cluster with an identifier, nil if none is visible.
func (s *Strategy) clusterSnapshot(ctx context.Context, c *awsrds.Client, r backup.Ref, id string) (*snap, error) {
	out, err := c.DescribeDBClusterSnapshots(ctx, &awsrds.DescribeDBClusterSnapshotsInput{DBClusterSnapshotIdentifier: &id, SnapshotType: snapshotType(id)})
	if err != nil {
		if v := table.Classify(err); v.AWSCode == "DBClusterSnapshotNotFoundFault" {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeDBClusterSnapshots", r, err)
	}
	for i := range out.DBClusterSnapshots {
		if x := clusterSnap(&out.DBClusterSnapshots[i]); policy.CanonicalName(x.id) == id {
			return x, here(r, x.arn)
		}
	}
	return nil, nil
}

// database is an instance or a cluster: what a backup asks of it.
type database struct {
	resource, word string
	// cluster is the cluster that an instance belongs to.
	cluster, engine string
	// spread tells that a standby, or storage in several zones, takes the snapshot.
	spread bool
}

// instanceDatabase gives the instance with an identifier as a database, nil if none is visible.
func (s *Strategy) instanceDatabase(ctx context.Context, c *awsrds.Client, r backup.Ref, id string) (*database, error) {
	x, err := s.instance(ctx, c, r, id)
	if x == nil || err != nil {
		return nil, err
	}
	return &database{resource: aws.ToString(x.DbiResourceId), word: aws.ToString(x.DBInstanceStatus), cluster: aws.ToString(x.DBClusterIdentifier),
		engine: aws.ToString(x.Engine), spread: aws.ToBool(x.MultiAZ)}, nil
}

// clusterDatabase gives the cluster with an identifier as a database, nil if none is visible.
func (s *Strategy) clusterDatabase(ctx context.Context, c *awsrds.Client, r backup.Ref, id string) (*database, error) {
	x, err := s.lookCluster(ctx, c, r, id)
	if x == nil || err != nil {
		return nil, err
	}
	return &database{resource: aws.ToString(x.DbClusterResourceId), word: aws.ToString(x.Status), engine: aws.ToString(x.Engine), spread: true}, nil
}

// lookCluster gives the cluster with an identifier, nil if none is visible.
func (s *Strategy) lookCluster(ctx context.Context, c *awsrds.Client, r backup.Ref, id string) (*rdstypes.DBCluster, error) {
	out, err := c.DescribeDBClusters(ctx, &awsrds.DescribeDBClustersInput{DBClusterIdentifier: &id})
	if err != nil {
		if v := table.Classify(err); v.AWSCode == "DBClusterNotFoundFault" {
			return nil, nil
		}
		return nil, table.Wrap(Kind, "DescribeDBClusters", r, err)
	}
	for i := range out.DBClusters {
		if x := &out.DBClusters[i]; policy.CanonicalName(aws.ToString(x.DBClusterIdentifier)) == id {
			return x, here(r, aws.ToString(x.DBClusterArn))
		}
	}
	return nil, nil
}

// ofCluster tells whether a Ref is a cluster or a backup of one.
func ofCluster(r backup.Ref) bool {
	return r.Type == TypeCluster || r.Type == TypeClusterSnapshot || r.Type == TypeClusterAutomatedBackup
}

// pointAt names a snapshot of the same kind of database and in the same place as r.
func pointAt(r backup.Ref, id string) backup.Ref {
	if ofCluster(r) {
		return ClusterSnapshot(r.Account, r.Region, id)
	}
	return Snapshot(r.Account, r.Region, id)
}

// databaseAt names an instance or a cluster, whichever kind r is of, in the same place.
func databaseAt(r backup.Ref, id string) backup.Ref {
	if ofCluster(r) {
		return Cluster(r.Account, r.Region, id)
	}
	return Instance(r.Account, r.Region, id)
}

// noun is what a Ref is of, in words.
func noun(r backup.Ref) string {
	if ofCluster(r) {
		return "cluster"
	}
	return "instance"
}

// engines are those of the clusters that this package backs up. The API also shows clusters of Amazon Neptune and Amazon DocumentDB, which have
// APIs of their own. Source: RDS API, DescribeDBClusters.
func clusterEngine(engine string) bool {
	switch engine {
	case "aurora", "aurora-mysql", "aurora-postgresql", "mysql", "postgres":
		return true
	}
	return false
}

package rdssim

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (s *RDS) restoreDBInstanceFromDBSnapshot(r *awssim.Request, in *awsrds.RestoreDBInstanceFromDBSnapshotInput) (*awsrds.RestoreDBInstanceFromDBSnapshotOutput, error) {
	id, err := identifier("DBInstanceIdentifier", aws.ToString(in.DBInstanceIdentifier), 63)
	if err != nil {
		return nil, err
	}
	if in.DBClusterSnapshotIdentifier != nil {
		return nil, notFound("DBClusterSnapshotNotFoundFault", "DBClusterSnapshot %s not found.", *in.DBClusterSnapshotIdentifier)
	}
	if aws.ToString(in.DBSnapshotIdentifier) == "" {
		return nil, awssim.Fail("InvalidParameterCombination", "Exactly one of DBSnapshotIdentifier and DBClusterSnapshotIdentifier must be given.")
	}
	tags, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	g := s.in(r)
	p, ok := g.snapshots.truth(r, named(r, "snapshot", *in.DBSnapshotIdentifier))
	if !ok {
		return nil, notFound("DBSnapshotNotFound", "DBSnapshot %s not found.", *in.DBSnapshotIdentifier)
	}
	if _, taken := g.instances.truth(r, id); taken {
		return nil, awssim.Fail("DBInstanceAlreadyExists", "DB instance already exists")
	}
	if st := p.status(r.Now); st != "available" {
		return nil, awssim.Fail("InvalidDBSnapshotState", "Cannot restore from the snapshot because it is currently in the %s state.", st)
	}
	engine := p.engine
	if e := aws.ToString(in.Engine); e != "" && e != engine {
		if !oracle(e) || !oracle(engine) {
			return nil, awssim.Fail("InvalidRestoreFault", "Cannot restore a snapshot of engine %s as %s.", engine, e)
		}
		engine = e
	}
	if g.running >= s.instanceQuota {
		return nil, awssim.Fail("InstanceQuotaExceeded", "DB Instance quota exceeded")
	}
	if p.encrypted && !usable(r, p.key) {
		return nil, keyFault(p.key)
	}
	v := settings{class: p.class, multiAZ: aws.ToBool(in.MultiAZ), protected: aws.ToBool(in.DeletionProtection), copyTags: aws.ToBool(in.CopyTagsToSnapshot),
		port: p.port, allocated: p.allocated, retention: 1, storageType: "gp3", zone: zone(r, 0), optionGroup: p.optionGroup}
	if c := aws.ToString(in.DBInstanceClass); c != "" {
		v.class = c
	}
	if in.AllocatedStorage != nil {
		if *in.AllocatedStorage < p.allocated {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid storage size %d: the snapshot has %d", *in.AllocatedStorage, p.allocated)
		}
		v.allocated = *in.AllocatedStorage
	}
	if in.BackupRetentionPeriod != nil {
		v.retention = *in.BackupRetentionPeriod
	}
	sub, err := g.place(r, &v, placement{in.DBSubnetGroupName, in.VpcSecurityGroupIds, in.PubliclyAccessible, in.Port, in.AvailabilityZone,
		in.DBParameterGroupName, in.OptionGroupName, in.StorageType, in.NetworkType}, engine)
	if err != nil {
		return nil, err
	}
	if len(tags) == 0 {
		if source, ok := g.instances.truth(r, p.instance); ok && source.resource == p.resource {
			tags = source.tags.last()
		}
	}
	i := &instance{id: id, engine: engine, version: p.version, user: p.user, subnets: sub, encrypted: p.encrypted, key: p.key,
		ready: r.Now.Add(r.Took(id, restoreTakes, 0.4))}
	if r.Doomed {
		i.broken = "incompatible-restore"
	}
	g.newInstance(r, i, v, tags)
	return &awsrds.RestoreDBInstanceFromDBSnapshotOutput{DBInstance: i.output(r)}, nil
}

func oracle(engine string) bool { return engine == "oracle-ee" || engine == "oracle-se2" }

package rds

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// doomed is a database that is to be deleted.
type doomed struct {
	// id is the identifier that it has now.
	id, resource, word string
	protected          bool
	days               int32
	members            []string
	// tied says what a cluster is bound to that RDS would not delete it for, after its instances are gone, and untie what to do about it.
	tied, untie string
	// replicas are the read replicas of an instance, some by their ARN.
	replicas []string
}

func (s *Strategy) doomedInstance(ctx context.Context, c *awsrds.Client, r backup.Ref, resource string) (*doomed, error) {
	x, err := s.instanceOf(ctx, c, r, resource)
	if x == nil && err == nil {
		x, err = s.instance(ctx, c, r, r.ID)
	}
	if x == nil || err != nil {
		return nil, err
	}
	d := &doomed{id: policy.CanonicalName(aws.ToString(x.DBInstanceIdentifier)), resource: aws.ToString(x.DbiResourceId), word: aws.ToString(x.DBInstanceStatus),
		protected: aws.ToBool(x.DeletionProtection), days: aws.ToInt32(x.BackupRetentionPeriod)}
	d.replicas = append(append(d.replicas, x.ReadReplicaDBInstanceIdentifiers...), x.ReadReplicaDBClusterIdentifiers...)
	return d, nil
}

func (s *Strategy) doomedCluster(ctx context.Context, c *awsrds.Client, r backup.Ref, resource string) (*doomed, error) {
	x, err := s.clusterOf(ctx, c, r, resource)
	if x == nil && err == nil {
		x, err = s.lookCluster(ctx, c, r, r.ID)
	}
	if x == nil || err != nil {
		return nil, err
	}
	d := &doomed{id: policy.CanonicalName(aws.ToString(x.DBClusterIdentifier)), resource: aws.ToString(x.DbClusterResourceId), word: aws.ToString(x.Status),
		protected: aws.ToBool(x.DeletionProtection), days: aws.ToInt32(x.BackupRetentionPeriod)}
	d.tied, d.untie = ties(x)
	if !isAurora(aws.ToString(x.Engine)) || d.id != r.ID {
		return d, nil // the instances of a Multi-AZ DB cluster go with it
	}
	all, err := s.membersOf(ctx, c, r, r.ID)
	if err != nil {
		return nil, err
	}
	for _, i := range all {
		if !leaving(aws.ToString(i.DBInstanceStatus)) {
			d.members = append(d.members, policy.CanonicalName(aws.ToString(i.DBInstanceIdentifier)))
		}
	}
	return d, nil
}

// ties says what a cluster is bound to, and what to do about it. RDS deletes its instances all the same, and refuses the cluster only then. Source: Aurora
// User Guide, "Deleting Aurora DB clusters and DB instances".
func ties(x *rdstypes.DBCluster) (tied, untie string) {
	switch {
	case aws.ToString(x.GlobalClusterIdentifier) != "":
		return "belongs to the global cluster " + *x.GlobalClusterIdentifier, "remove it from the global cluster first"
	case aws.ToString(x.ReplicationSourceIdentifier) != "":
		return "is a replica of " + *x.ReplicationSourceIdentifier, "promote it first"
	case len(x.ReadReplicaIdentifiers) > 0:
		return "has read replicas: " + some(x.ReadReplicaIdentifiers), "promote or delete its read replicas first"
	}
	return "", ""
}

// some names the first few of a list.
func some(ids []string) string {
	if len(ids) > 3 {
		return fmt.Sprintf("%s and %d more", strings.Join(ids[:3], ", "), len(ids)-3)
	}
	return strings.Join(ids, ", ")
}

// instanceOf gives the instance with a DbiResourceId, which it keeps when it is renamed; nil if none is visible, or if the id is empty.
func (s *Strategy) instanceOf(ctx context.Context, c *awsrds.Client, r backup.Ref, resource string) (*rdstypes.DBInstance, error) {
	if resource == "" {
		return nil, nil
	}
	in := &awsrds.DescribeDBInstancesInput{Filters: []rdstypes.Filter{{Name: aws.String("dbi-resource-id"), Values: []string{resource}}}}
	for {
		out, err := c.DescribeDBInstances(ctx, in)
		if err != nil {
			if v := table.Classify(err); v.AWSCode == "DBInstanceNotFound" {
				return nil, nil // that a filter is answered so is said nowhere, nor that it is not
			}
			return nil, table.Wrap(Kind, "DescribeDBInstances", r, err)
		}
		for i := range out.DBInstances {
			if x := &out.DBInstances[i]; aws.ToString(x.DbiResourceId) == resource {
				return x, here(r, aws.ToString(x.DBInstanceArn))
			}
		}
		if aws.ToString(out.Marker) == "" {
			return nil, nil
		}
		in.Marker = out.Marker
	}
}

// clusterOf gives the cluster with a DbClusterResourceId, like instanceOf.
func (s *Strategy) clusterOf(ctx context.Context, c *awsrds.Client, r backup.Ref, resource string) (*rdstypes.DBCluster, error) {
	if resource == "" {
		return nil, nil
	}
	in := &awsrds.DescribeDBClustersInput{Filters: []rdstypes.Filter{{Name: aws.String("db-cluster-resource-id"), Values: []string{resource}}}}
	for {
		out, err := c.DescribeDBClusters(ctx, in)
		if err != nil {
			if v := table.Classify(err); v.AWSCode == "DBClusterNotFoundFault" {
				return nil, nil // that a filter is answered so is said nowhere, nor that it is not
			}
			return nil, table.Wrap(Kind, "DescribeDBClusters", r, err)
		}
		for i := range out.DBClusters {
			if x := &out.DBClusters[i]; aws.ToString(x.DbClusterResourceId) == resource {
				return x, here(r, aws.ToString(x.DBClusterArn))
			}
		}
		if aws.ToString(out.Marker) == "" {
			return nil, nil
		}
		in.Marker = out.Marker
	}
}

// afterwards says where what is written after the final snapshot is.
func afterwards(op backup.Operation, d *doomed, st retireState) backup.Finding {
	f := backup.Finding{ID: "rds.after-final", Severity: backup.SeverityInfo, Ref: op.Ref, Message: "what was written after the final snapshot is in the automated backups, which are kept",
		Remedy: "look at them with Strategy.AutomatedBackups"}
	if d.days == 0 || st.DeleteAutomated {
		f.Severity, f.Message, f.Remedy = backup.SeverityWarning, "what was written after the final snapshot is lost", "end all writes before a database is deleted"
	}
	return f
}

// replicated warns of the read replicas of an instance. Source: RDS User Guide, "Working with DB instance read replicas".
func replicated(op backup.Operation, d *doomed) []backup.Finding {
	if len(d.replicas) == 0 {
		return nil
	}
	return []backup.Finding{{ID: "rds.replicas", Severity: backup.SeverityWarning, Ref: op.Ref,
		Message: "its read replicas lose their source, and those in its Region become databases of their own: " + some(d.replicas), Remedy: "delete those that are to go too, or promote them first"}}
}

// preflightRetire looks at what the deletion of a database would act on.
func (s *Strategy) preflightRetire(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightRetires(ctx, c, op, s.doomedInstance, s.preflightBackup)
}

func (s *Strategy) preflightClusterRetire(ctx context.Context, c *awsrds.Client, op backup.Operation) ([]backup.Finding, error) {
	return s.preflightRetires(ctx, c, op, s.doomedCluster, s.preflightClusterBackup)
}

func (s *Strategy) preflightRetires(ctx context.Context, c *awsrds.Client, op backup.Operation, look func(context.Context, *awsrds.Client, backup.Ref, string) (*doomed, error),
	final func(context.Context, *awsrds.Client, backup.Operation) ([]backup.Finding, error)) (found []backup.Finding, err error) {
	var st retireState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	d, err := look(ctx, c, op.Ref, st.Resource)
	if err != nil {
		return nil, err
	}
	if d != nil && d.protected {
		found = append(found, backup.Finding{ID: "rds.protected", Severity: backup.SeverityError, Ref: op.Ref, Message: "the " + noun(op.Ref) + " is protected against deletion",
			Remedy: "switch its deletion protection off if it is really to go"})
	}
	if d != nil && d.tied != "" {
		found = append(found, backup.Finding{ID: "rds.replication", Severity: backup.SeverityError, Ref: op.Ref, Message: "the cluster " + d.tied, Remedy: d.untie})
	}
	if d != nil {
		found = append(append(found, replicated(op, d)...), afterwards(op, d, st))
	}
	more, err := final(ctx, c, st.Final)
	return append(found, more...), err
}

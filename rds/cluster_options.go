package rds

import (
	"fmt"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// RestoreClusterOptions are the settings of a restore of a DB cluster. As with RestoreOptions, what decides who reaches it has no default. An Aurora
// cluster needs Instances, a Multi-AZ DB cluster needs Class; which of the two the snapshot is of, its engine tells.
type RestoreClusterOptions struct {
	// ID is the identifier of the new cluster, 1 to 63 letters, digits and hyphens, and 52 for a Multi-AZ DB cluster. Required.
	ID string `json:"id"`
	// SubnetGroup is the DB subnet group. Required.
	SubnetGroup string `json:"subnets"`
	// SecurityGroups are the ids of the VPC security groups of the cluster and all its instances. Required: at least one, at most 32, each once.
	SecurityGroups []string `json:"groups"`
	// PubliclyAccessible gives the instances names that resolve to public addresses from outside of their VPC.
	PubliclyAccessible bool `json:"public,omitempty"`
	// NetworkType is "IPV4", which empty means, or "DUAL".
	NetworkType string `json:"net,omitempty"`
	// Port is 1150 to 65535; 0 means that of the snapshot.
	Port int32 `json:"port,omitempty"`
	// ParameterGroup is the DB cluster parameter group; empty means the engine's default one, and not that of the source.
	ParameterGroup string `json:"params,omitempty"`
	// KMSKeyID is the ARN of a key of the same account and Region that the new cluster is encrypted under, also where the snapshot is not
	// encrypted; empty means that of the snapshot. Source: RDS API, RestoreDBClusterFromSnapshot.
	KMSKeyID string `json:"key,omitempty"`
	// DeletionProtection has RDS refuse to delete the cluster until it is switched off.
	DeletionProtection bool `json:"protect,omitempty"`
	// CopyTagsToSnapshot has RDS copy the cluster's tags to its snapshots; see RestoreOptions.
	CopyTagsToSnapshot bool `json:"copyTags,omitempty"`
	// BackupRetentionDays is how long the new cluster keeps automated backups, 1 to 35 days; 0 means as the source does.
	BackupRetentionDays int32 `json:"retention,omitempty"`
	// Instances are the instances of an Aurora cluster, 1 to 16. They are made in this order once the cluster is available, and the first one
	// becomes the writer. RDS itself makes none. Source: RDS API, RestoreDBClusterFromSnapshot.
	Instances []ClusterInstance `json:"instances,omitempty"`
	// ServerlessMin and ServerlessMax are the capacity of instances of the class db.serverless, in Aurora capacity units: 0 to 256 in steps of a
	// half, with a maximum of 1 or more. They are required for that class, and refused without it. Source: RDS API,
	// ServerlessV2ScalingConfiguration.
	ServerlessMin float64 `json:"min,omitempty"`
	ServerlessMax float64 `json:"max,omitempty"`
	// Class is the class of the three instances of a Multi-AZ DB cluster, such as "db.m6gd.large".
	Class string `json:"class,omitempty"`
	// StorageType is gp3, io1 or io2, for a Multi-AZ DB cluster; empty means RDS's default. Aurora has its own.
	StorageType string `json:"storage,omitempty"`
	// IOPS are the provisioned operations a second of a Multi-AZ DB cluster, required for io1 and io2.
	IOPS int32 `json:"iops,omitempty"`
}

// ClusterInstance is an instance of a restored Aurora cluster.
type ClusterInstance struct {
	// ID is the identifier of the instance, 1 to 63 letters, digits and hyphens. Required; each once.
	ID string `json:"id"`
	// Class is the instance class, such as "db.r7g.large" or "db.serverless". Required.
	Class string `json:"class"`
	// Zone is the availability zone, such as "eu-west-1a"; empty lets RDS choose.
	Zone string `json:"zone,omitempty"`
	// ParameterGroup is the DB parameter group of the instance; empty means the engine's default one.
	ParameterGroup string `json:"params,omitempty"`
}

// OptionsFor makes RestoreClusterOptions usable as backup.Spec.Options.
func (RestoreClusterOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionRestore }

// maxInstances is the most instances of an Aurora cluster: a writer and 15 replicas. Source: Aurora User Guide, "Replication with Amazon Aurora".
const maxInstances = 16

const classServerless = "db.serverless"

func (o RestoreClusterOptions) valid(r backup.Ref) error {
	bad := func(hint, format string, args ...any) error {
		return invalid(backup.ActionRestore, r, hint, format, args...)
	}
	if err := policy.ValidateRDSClusterID(o.ID); err != nil {
		return bad("set RestoreClusterOptions.ID to the identifier of the new cluster", "%w", err)
	}
	if err := validReach(bad, o.SubnetGroup, o.SecurityGroups, o.NetworkType, o.Port); err != nil {
		return err
	}
	if err := validKey(o.KMSKeyID, r.Account, r.Region); err != nil {
		return bad("give the ARN of a key in RestoreClusterOptions.KMSKeyID, or leave it empty", "%w", err)
	}
	switch {
	case o.BackupRetentionDays < 0 || o.BackupRetentionDays > 35:
		return bad("use 1 to 35 days, or 0 for the source's", "a retention of %d days", o.BackupRetentionDays)
	case len(o.Instances) == 0 && o.Class == "":
		return bad("name the Instances of an Aurora cluster, or the Class of a Multi-AZ DB cluster", "the cluster would have no instance, and nobody could connect to it")
	case len(o.Instances) > 0 && (o.Class != "" || o.StorageType != "" || o.IOPS != 0):
		return bad("leave them empty for an Aurora cluster", "Class, StorageType and IOPS are those of a Multi-AZ DB cluster, but Instances are those of an Aurora cluster")
	case len(o.Instances) > maxInstances:
		return bad("an Aurora cluster has a writer and 15 replicas at most", "%d instances", len(o.Instances))
	case o.Class != "" && !strings.HasPrefix(o.Class, "db."):
		return bad("use a class such as db.m6gd.large", "the class %q", o.Class)
	case o.Class != "" && len(o.ID) > 52:
		return bad("choose a shorter RestoreClusterOptions.ID", "the identifier of a Multi-AZ DB cluster has 52 characters at most, %q has %d", o.ID, len(o.ID))
	}
	if err := o.validInstances(r, bad); err != nil {
		return err
	}
	return validStorage(bad, o.StorageType, o.IOPS)
}

func (o RestoreClusterOptions) validInstances(r backup.Ref, bad complaint) error {
	serverless, ids := false, map[string]bool{}
	for _, i := range o.Instances {
		if err := policy.ValidateRDSInstanceID(i.ID); err != nil {
			return bad("set ID of each of the Instances", "%w", err)
		}
		if i.Zone != "" {
			if err := policy.ValidateZone(i.Zone, r.Region); err != nil {
				return bad("name a zone of the Region, such as "+r.Region+"a", "%w", err)
			}
		}
		switch {
		case ids[i.ID]:
			return bad("name each once", "the instance %q stands there twice", i.ID)
		case !strings.HasPrefix(i.Class, "db."):
			return bad("use a class such as db.r7g.large", "the class %q of the instance %q", i.Class, i.ID)
		}
		ids[i.ID] = true
		serverless = serverless || i.Class == classServerless
	}
	steps := func(x float64) bool { return x >= 0 && x <= 256 && x*2 == float64(int(x*2)) }
	switch {
	case !serverless && (o.ServerlessMin != 0 || o.ServerlessMax != 0):
		return bad("leave ServerlessMin and ServerlessMax 0", "no instance is of the class %s", classServerless)
	case serverless && (!steps(o.ServerlessMin) || !steps(o.ServerlessMax) || o.ServerlessMax < 1 || o.ServerlessMin > o.ServerlessMax):
		return bad("set ServerlessMin and ServerlessMax to 0 to 256 capacity units in steps of a half, with a maximum of 1 or more", "a capacity of %v to %v", o.ServerlessMin, o.ServerlessMax)
	}
	return nil
}

// validKey checks that a key, where one is named, is one of an account and a Region: an ARN, because an id means another key in another account,
// and no alias, because what an alias points to can change.
func validKey(arn, account, region string) error {
	if arn == "" {
		return nil
	}
	if err := policy.ValidateKMSKeyARN(arn); err != nil {
		return err
	}
	a, err := policy.ParseARN(arn)
	if err != nil {
		return err
	}
	if a.Account != account || a.Region != region {
		return fmt.Errorf("the key %q is not one of account %s in %s", arn, account, region)
	}
	return nil
}

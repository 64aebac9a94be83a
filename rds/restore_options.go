package rds

import (
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// RestoreOptions are the settings of a restore of an instance. What decides who reaches the new instance has no default: RDS's own would be the VPC's default
// security group, and in a VPC with an internet gateway a public address.
type RestoreOptions struct {
	// ID is the identifier of the new instance, 1 to 63 letters, digits and hyphens. Required.
	ID string `json:"id"`
	// SubnetGroup is the DB subnet group. Required.
	SubnetGroup string `json:"subnets"`
	// SecurityGroups are the ids of the VPC security groups, such as "sg-0123456789abcdef0". Required: at least one, at most 32, each once.
	SecurityGroups []string `json:"groups"`
	// PubliclyAccessible gives the instance a name that resolves to a public address from outside of its VPC.
	PubliclyAccessible bool `json:"public,omitempty"`
	// NetworkType is "IPV4", which empty means, or "DUAL".
	NetworkType string `json:"net,omitempty"`
	// Class is the instance class, such as "db.m7g.large"; empty means that of the source instance.
	Class string `json:"class,omitempty"`
	// Port is 1150 to 65535; 0 means that of the snapshot.
	Port int32 `json:"port,omitempty"`
	// MultiAZ makes a standby in another zone. Not together with Zone.
	MultiAZ bool `json:"multiAZ,omitempty"`
	// Zone is the availability zone, such as "eu-west-1a"; empty lets RDS choose.
	Zone string `json:"zone,omitempty"`
	// ParameterGroup is the DB parameter group; empty means the engine's default one, and not that of the source instance.
	ParameterGroup string `json:"params,omitempty"`
	// OptionGroup is the option group; empty means that of the snapshot.
	OptionGroup string `json:"opts,omitempty"`
	// StorageType is gp2, gp3, io1, io2 or standard; empty means RDS's default, which is gp3, or io1 where IOPS is given.
	StorageType string `json:"storage,omitempty"`
	// IOPS are the provisioned operations a second, required for io1 and io2.
	IOPS int32 `json:"iops,omitempty"`
	// DeletionProtection has RDS refuse to delete the instance until it is switched off.
	DeletionProtection bool `json:"protect,omitempty"`
	// CopyTagsToSnapshot has RDS copy the new instance's tags to its automated and final snapshots, and to the manual ones that anybody makes of
	// it without tags. The library's own tags, the owner's among them, are copied too: such a snapshot looks like the library's to whoever
	// reads that tag alone, and is foreign to StartDelete. Source: RDS User Guide, "Tagging Amazon RDS resources".
	CopyTagsToSnapshot bool `json:"copyTags,omitempty"`
	// BackupRetentionDays is how long the new instance keeps automated backups, 1 to 35 days; 0 means as the source instance does.
	BackupRetentionDays int32 `json:"retention,omitempty"`
}

// OptionsFor makes RestoreOptions usable as backup.Spec.Options.
func (RestoreOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionRestore }

func (o RestoreOptions) valid(r backup.Ref) error {
	bad := func(hint, format string, args ...any) error {
		return invalid(backup.ActionRestore, r, hint, format, args...)
	}
	if err := policy.ValidateRDSInstanceID(o.ID); err != nil {
		return bad("set RestoreOptions.ID to the identifier of the new instance", "%w", err)
	}
	if o.Zone != "" {
		if err := policy.ValidateZone(o.Zone, r.Region); err != nil {
			return bad("name a zone of the Region, such as "+r.Region+"a", "%w", err)
		}
	}
	if err := validReach(bad, o.SubnetGroup, o.SecurityGroups, o.NetworkType, o.Port); err != nil {
		return err
	}
	switch {
	case o.Class != "" && !strings.HasPrefix(o.Class, "db."):
		return bad("use a class such as db.m7g.large", "the class %q", o.Class)
	case o.MultiAZ && o.Zone != "":
		return bad("choose one of the two", "a Multi-AZ instance has no single zone, but %q was given", o.Zone)
	case o.BackupRetentionDays < 0 || o.BackupRetentionDays > 35:
		return bad("use 1 to 35 days, or 0 for the source instance's", "a retention of %d days", o.BackupRetentionDays)
	}
	return validStorage(bad, o.StorageType, o.IOPS)
}

// complaint makes the error of a setting.
type complaint func(hint, format string, args ...any) error

// validReach checks the settings that decide who reaches a new database.
func validReach(bad complaint, subnetGroup string, securityGroups []string, network string, port int32) error {
	for _, id := range securityGroups {
		if rest, ok := strings.CutPrefix(id, "sg-"); !ok || rest == "" || strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || len(id) > 64 {
			return bad("use ids of VPC security groups, such as sg-0123456789abcdef0", "%q is not the id of a security group", id)
		}
	}
	switch {
	case len(securityGroups) == 0 || len(securityGroups) > 32:
		return bad("name the security groups: without them RDS would take the default one", "%d security groups", len(securityGroups))
	case len(slices.Compact(slices.Sorted(slices.Values(securityGroups)))) != len(securityGroups):
		return bad("name each once", "a security group stands there twice")
	case subnetGroup == "" || len(subnetGroup) > 255 || strings.ContainsAny(subnetGroup, "*?\n"):
		return bad("set the subnet group: without it RDS would take the default VPC", "the subnet group is %q", subnetGroup)
	case !slices.Contains([]string{"", "IPV4", "DUAL"}, network):
		return bad("use IPV4 or DUAL", "the network type %q", network)
	case port != 0 && (port < 1150 || port > 65535):
		return bad("use 1150 to 65535, or 0 for the source's", "the port %d", port)
	}
	return nil
}

// validStorage checks the storage of an instance or a Multi-AZ DB cluster.
func validStorage(bad complaint, kind string, iops int32) error {
	switch {
	case !slices.Contains([]string{"", "gp2", "gp3", "io1", "io2", "standard"}, kind):
		return bad("use gp2, gp3, io1, io2 or standard", "the storage type %q", kind)
	case iops < 0 || iops == 0 && (kind == "io1" || kind == "io2"):
		return bad("io1 and io2 need IOPS", "%d IOPS of the storage type %q", iops, kind)
	}
	return nil
}

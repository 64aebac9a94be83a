package elasticache

import (
	"fmt"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// codeCallRate is a throttling code that the SDK's list of such codes does not have.
const codeCallRate = "APICallRateForCustomerExceeded"

// The codes that say that a name is taken.
const (
	codeSnapshotExists = "SnapshotAlreadyExistsFault"
	codeGroupExists    = "ReplicationGroupAlreadyExists"
	codeClusterExists  = "CacheClusterAlreadyExists"

	codeServerlessSnapshotExists = "ServerlessCacheSnapshotAlreadyExistsFault"
	codeServerlessExists         = "ServerlessCacheAlreadyExistsFault"
)

func rule(code backup.Code, class awscall.Class, hint string) []awscall.Rule {
	return []awscall.Rule{{Code: code, Class: class, Hint: hint}}
}

// table classifies ElastiCache's error codes: all that the SDK models for the operations in use, and a few that it does not.
// Source: the SDK's elasticache/deserializers.go and types/errors.go, which a test holds against this table.
var table = awscall.Table{
	codeCallRate: rule(backup.ErrThrottled, awscall.NotApplied, "too many calls; it is tried again later"),

	// What is named does not exist.
	"SnapshotNotFoundFault":         rule(backup.ErrNotFound, awscall.Permanent, "check the snapshot's name, the account and the Region"),
	"CacheClusterNotFound":          rule(backup.ErrNotFound, awscall.Permanent, "check the cluster's id, the account and the Region"),
	"ReplicationGroupNotFoundFault": rule(backup.ErrNotFound, awscall.Permanent, "check the replication group's id, the account and the Region"),
	"CacheSubnetGroupNotFoundFault": rule(backup.ErrInvalid, awscall.Permanent, "name a cache subnet group of the Region in RestoreOptions.SubnetGroup"),
	"CacheParameterGroupNotFound":   rule(backup.ErrInvalid, awscall.Permanent, "name a cache parameter group of the Region in RestoreOptions.ParameterGroup"),
	"CacheSecurityGroupNotFound":    rule(backup.ErrInvalid, awscall.Permanent, "name VPC security groups, such as sg-0123456789abcdef0"),
	"UserGroupNotFound":             rule(backup.ErrInvalid, awscall.Permanent, "name a user group of the Region"),

	"ServerlessCacheNotFoundFault":         rule(backup.ErrNotFound, awscall.Permanent, "check the name, the account and the Region"),
	"ServerlessCacheSnapshotNotFoundFault": rule(backup.ErrNotFound, awscall.Permanent, "check the name, the account and the Region"),

	// The name is taken. Where a create call gets these, what has the name is looked at first.
	codeSnapshotExists: rule(backup.ErrConflict, awscall.Permanent, "another snapshot has the name: choose another Spec.Name, or leave it empty"),
	codeGroupExists:    rule(backup.ErrConflict, awscall.Permanent, "another replication group has the id: choose another RestoreOptions.ID"),
	codeClusterExists:  rule(backup.ErrConflict, awscall.Permanent, "another cluster has the id: choose another RestoreOptions.ID"),

	codeServerlessSnapshotExists: rule(backup.ErrConflict, awscall.Permanent, "another serverless snapshot has the name: choose another Spec.Name, or leave it empty"),
	codeServerlessExists:         rule(backup.ErrConflict, awscall.Permanent, "another serverless cache has the name: choose another ServerlessOptions.Name"),

	// The state passes.
	"InvalidCacheClusterState":                 rule(backup.ErrUnavailable, awscall.NotYet, "the cluster is busy; it is tried again"),
	"InvalidReplicationGroupState":             rule(backup.ErrUnavailable, awscall.NotYet, "the replication group is busy; it is tried again"),
	"InvalidServerlessCacheStateFault":         rule(backup.ErrUnavailable, awscall.NotYet, "the serverless cache is busy, perhaps with another snapshot; it is tried again"),
	"InvalidServerlessCacheSnapshotStateFault": rule(backup.ErrUnavailable, awscall.NotYet, "the serverless snapshot is being made, copied or restored; it is tried again"),
	"InvalidSnapshotState":                     rule(backup.ErrUnavailable, awscall.NotYet, "the snapshot is being made, copied or restored; it is tried again"),
	"InvalidCacheSecurityGroupState":           rule(backup.ErrUnavailable, awscall.NotYet, "the cache security group is being changed; it is tried again"),
	"InvalidUserGroupState":                    rule(backup.ErrUnavailable, awscall.NotYet, "the user group is being changed; it is tried again"),
	"InsufficientCacheClusterCapacity":         rule(backup.ErrUnavailable, awscall.NotYet, "AWS has no room for the node type in the zone now; it is tried again, or choose another"),

	// Quotas.
	"SnapshotQuotaExceededFault":                   rule(backup.ErrQuota, awscall.Permanent, "20 manual snapshots of a node can be made in any 24 hours; deleting some does not help: wait, or back up less often"),
	"ClusterQuotaForCustomerExceeded":              rule(backup.ErrQuota, awscall.Permanent, "the quota of clusters in the Region is full: delete some or have it raised"),
	"NodeQuotaForCustomerExceeded":                 rule(backup.ErrQuota, awscall.Permanent, "the quota of nodes in the Region is full (300): delete some or have it raised"),
	"NodeQuotaForClusterExceeded":                  rule(backup.ErrQuota, awscall.Permanent, "a group may have 90 nodes: restore to fewer node groups or replicas, or have the quota raised"),
	"ServerlessCacheSnapshotQuotaExceededFault":    rule(backup.ErrQuota, awscall.Permanent, "24 manual snapshots of a serverless cache can be made in any 24 hours; deleting some does not help: wait, or back up less often"),
	"ServerlessCacheQuotaForCustomerExceededFault": rule(backup.ErrQuota, awscall.Permanent, "the quota of serverless caches in the Region is full (40): delete some or have it raised"),
	"NodeGroupsPerReplicationGroupQuotaExceeded":   rule(backup.ErrQuota, awscall.Permanent, "the quota of node groups is exceeded: restore to fewer or have it raised"),

	// It will never work like this.
	"SnapshotFeatureNotSupportedFault":   rule(backup.ErrUnsupported, awscall.Permanent, "Memcached and cache.t1.micro have no snapshots"),
	"TagQuotaPerResourceExceeded":        rule(backup.ErrInvalid, awscall.Permanent, "a resource has at most 50 tags, the library's own included: use fewer"),
	"InvalidParameterValue":              rule(backup.ErrInvalid, awscall.Permanent, "the message names the parameter; a KMS key that can not be used is refused like this too"),
	"InvalidParameterCombination":        rule(backup.ErrInvalid, awscall.Permanent, "the message names the parameters"),
	"InvalidARN":                         rule(backup.ErrInvalid, awscall.Permanent, "the ARN does not belong to this account and Region"),
	"InvalidVPCNetworkStateFault":        rule(backup.ErrInvalid, awscall.Permanent, "the VPC, or a subnet of the cache subnet group, can not be used: check them"),
	"InvalidKMSKeyFault":                 rule(backup.ErrDenied, awscall.Permanent, "the KMS key can not be used: check that it is enabled and what its policy allows"),
	"InvalidCredentialsException":        rule(backup.ErrDenied, awscall.Permanent, "the credentials are not valid"),
	"ServiceLinkedRoleNotFoundFault":     rule(backup.ErrDenied, awscall.Permanent, "the role AWSServiceRoleForElastiCache is missing: allow iam:CreateServiceLinkedRole, or create it"),
	"InvalidGlobalReplicationGroupState": rule(backup.ErrUnavailable, awscall.NotYet, "the global datastore is being changed; it is tried again"),

	// ListTagsForResource models the errors of everything that can have tags; these are of things that this package never asks for.
	"GlobalReplicationGroupNotFoundFault": rule(backup.ErrNotFound, awscall.Permanent, "check the id, the account and the Region"),
	"ReservedCacheNodeNotFound":           rule(backup.ErrNotFound, awscall.Permanent, "check the id, the account and the Region"),
	"UserNotFound":                        rule(backup.ErrNotFound, awscall.Permanent, "check the id, the account and the Region"),
}

func invalid(action backup.Action, r backup.Ref, hint, format string, args ...any) error {
	return &backup.Error{Op: string(action), Kind: Kind, Ref: r, Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

func failure(op backup.Operation, what string, code backup.Code, hint, format string, args ...any) error {
	return refused(op.Ref, what, code, hint, format, args...)
}

func refused(r backup.Ref, what string, code backup.Code, hint, format string, args ...any) error {
	return &backup.Error{Op: what, Kind: Kind, Ref: r, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
}

// permanent tells errors of looking that looking again will not mend.
func permanent(err error) bool {
	switch backup.CodeOf(err) {
	case backup.ErrNotFound, backup.ErrInvalid, backup.ErrUnsupported, backup.ErrConflict, backup.ErrPartial:
		return true
	}
	return false
}

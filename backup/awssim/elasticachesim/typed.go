package elasticachesim

import (
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// typed turns an error into the type that the SDK models for its code. Of the codes that the SDK models, those are here that the simulated
// operations can answer with, and those that tests may want to inject into them; any other stays a *smithy.GenericAPIError, as with the SDK
// itself where an operation does not model the code.
func typed(e *awssim.Error) error {
	m := &e.Message
	switch e.Code {
	case "CacheClusterAlreadyExists":
		return &ectypes.CacheClusterAlreadyExistsFault{Message: m}
	case "CacheClusterNotFound":
		return &ectypes.CacheClusterNotFoundFault{Message: m}
	case "CacheParameterGroupNotFound":
		return &ectypes.CacheParameterGroupNotFoundFault{Message: m}
	case "CacheSecurityGroupNotFound":
		return &ectypes.CacheSecurityGroupNotFoundFault{Message: m}
	case "CacheSubnetGroupAlreadyExists":
		return &ectypes.CacheSubnetGroupAlreadyExistsFault{Message: m}
	case "CacheSubnetGroupNotFoundFault":
		return &ectypes.CacheSubnetGroupNotFoundFault{Message: m}
	case "ClusterQuotaForCustomerExceeded":
		return &ectypes.ClusterQuotaForCustomerExceededFault{Message: m}
	case "InsufficientCacheClusterCapacity":
		return &ectypes.InsufficientCacheClusterCapacityFault{Message: m}
	case "InvalidARN":
		return &ectypes.InvalidARNFault{Message: m}
	case "InvalidCacheClusterState":
		return &ectypes.InvalidCacheClusterStateFault{Message: m}
	case "InvalidKMSKeyFault":
		return &ectypes.InvalidKMSKeyFault{Message: m}
	case "InvalidParameterCombination":
		return &ectypes.InvalidParameterCombinationException{Message: m}
	case "InvalidParameterValue":
		return &ectypes.InvalidParameterValueException{Message: m}
	case "InvalidReplicationGroupState":
		return &ectypes.InvalidReplicationGroupStateFault{Message: m}
	case "InvalidSnapshotState":
		return &ectypes.InvalidSnapshotStateFault{Message: m}
	case "InvalidSubnet":
		return &ectypes.InvalidSubnet{Message: m}
	case "InvalidVPCNetworkStateFault":
		return &ectypes.InvalidVPCNetworkStateFault{Message: m}
	case "NodeGroupsPerReplicationGroupQuotaExceeded":
		return &ectypes.NodeGroupsPerReplicationGroupQuotaExceededFault{Message: m}
	case "NodeQuotaForClusterExceeded":
		return &ectypes.NodeQuotaForClusterExceededFault{Message: m}
	case "NodeQuotaForCustomerExceeded":
		return &ectypes.NodeQuotaForCustomerExceededFault{Message: m}
	case "ReplicationGroupAlreadyExists":
		return &ectypes.ReplicationGroupAlreadyExistsFault{Message: m}
	case "ReplicationGroupNotFoundFault":
		return &ectypes.ReplicationGroupNotFoundFault{Message: m}
	case "ServiceLinkedRoleNotFoundFault":
		return &ectypes.ServiceLinkedRoleNotFoundFault{Message: m}
	case "InvalidServerlessCacheSnapshotStateFault":
		return &ectypes.InvalidServerlessCacheSnapshotStateFault{Message: m}
	case "InvalidServerlessCacheStateFault":
		return &ectypes.InvalidServerlessCacheStateFault{Message: m}
	case "ServerlessCacheAlreadyExistsFault":
		return &ectypes.ServerlessCacheAlreadyExistsFault{Message: m}
	case "ServerlessCacheNotFoundFault":
		return &ectypes.ServerlessCacheNotFoundFault{Message: m}
	case "ServerlessCacheQuotaForCustomerExceededFault":
		return &ectypes.ServerlessCacheQuotaForCustomerExceededFault{Message: m}
	case "ServerlessCacheSnapshotAlreadyExistsFault":
		return &ectypes.ServerlessCacheSnapshotAlreadyExistsFault{Message: m}
	case "ServerlessCacheSnapshotNotFoundFault":
		return &ectypes.ServerlessCacheSnapshotNotFoundFault{Message: m}
	case "ServerlessCacheSnapshotQuotaExceededFault":
		return &ectypes.ServerlessCacheSnapshotQuotaExceededFault{Message: m}
	case "SnapshotAlreadyExistsFault":
		return &ectypes.SnapshotAlreadyExistsFault{Message: m}
	case "SnapshotFeatureNotSupportedFault":
		return &ectypes.SnapshotFeatureNotSupportedFault{Message: m}
	case "SnapshotNotFoundFault":
		return &ectypes.SnapshotNotFoundFault{Message: m}
	case "SnapshotQuotaExceededFault":
		return &ectypes.SnapshotQuotaExceededFault{Message: m}
	case "TagQuotaPerResourceExceeded":
		return &ectypes.TagQuotaPerResourceExceeded{Message: m}
	}
	return nil
}

package rdssim

import (
	"crypto/sha256"
	"fmt"
	"reflect"
	"time"

	"github.com/aws/smithy-go"

	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// Quotas of an account in a Region. Source: RDS User Guide, "Quotas and constraints"; all can be raised at AWS, and those
// that SetQuotas has here.
const (
	// DefaultSnapshotQuota is the number of manual DB snapshots.
	DefaultSnapshotQuota = 100
	// DefaultInstanceQuota is the number of DB instances.
	DefaultInstanceQuota = 40
	// DefaultClusterQuota is the number of DB clusters.
	DefaultClusterQuota = 40
	// DefaultClusterSnapshotQuota is the number of manual DB cluster snapshots.
	DefaultClusterSnapshotQuota = 100
)

// RDS is a simulated Amazon RDS for one World.
type RDS struct {
	regions       map[scope]*region
	snapshotQuota int
	instanceQuota int
	exportQuota   int
	clusterQuota  int
	// clusterSnapshotQuota is the number of manual snapshots of clusters.
	clusterSnapshotQuota        int
	copyQuota, clusterCopyQuota int
	// exportCause and exportWarning are what export tasks that are started end with; roles are the states that were set.
	exportCause, exportWarning string
	roles                      map[string]roleSpan
}

type scope struct{ account, region string }

// region is what one account has in one Region.
type region struct {
	instances shelf[*instance]
	snapshots shelf[*snapshot]
	exports   shelf[*exportTask]
	clusters  shelf[*cluster]
	// clusterSnapshots are kept apart: an instance's and a cluster's snapshot may have the same identifier.
	clusterSnapshots shelf[*snapshot]
	// byInstance and byResource find the snapshots of an instance by its identifier and by its DbiResourceId.
	byInstance, byResource map[string]*names
	// byClusterName and byClusterResource are the same for clusters; byCluster finds a cluster's instances by its DbClusterResourceId.
	byClusterName, byClusterResource, byCluster map[string]*names
	// retainedInstances and retainedClusters are automated backups that are kept beyond what they are of.
	retainedInstances      []*retained[*instance]
	retainedClusters       []*retained[*cluster]
	instanceIDs            map[string]string // DbiResourceId -> identifier
	subnetGroups           map[string]*subnetGroup
	parameterGroups        map[string]*group
	optionGroups           map[string]*group
	clusterParameterGroups map[string]*group
	// These count against the quotas.
	manual, running, manualClusters, runningClusters int
}

// Service makes a simulated RDS without instances.
func Service() *RDS {
	return &RDS{regions: map[scope]*region{}, snapshotQuota: DefaultSnapshotQuota, instanceQuota: DefaultInstanceQuota, exportQuota: DefaultExportQuota,
		clusterQuota: DefaultClusterQuota, clusterSnapshotQuota: DefaultClusterSnapshotQuota, copyQuota: DefaultCopyQuota, clusterCopyQuota: DefaultClusterCopyQuota,
		roles: map[string]roleSpan{}}
}

// Definition describes the service to the World.
func (s *RDS) Definition() awssim.Definition {
	return awssim.Definition{
		ID: "RDS",
		Handlers: map[string]awssim.Handler{
			"CreateDBInstance":                   awssim.Write(s.createDBInstance),
			"DescribeDBInstances":                awssim.Read(s.describeDBInstances),
			"ModifyDBInstance":                   awssim.Write(s.modifyDBInstance),
			"DeleteDBInstance":                   awssim.Write(s.deleteDBInstance),
			"CreateDBSnapshot":                   awssim.Write(s.createDBSnapshot),
			"DescribeDBSnapshots":                awssim.Read(s.describeDBSnapshots),
			"DeleteDBSnapshot":                   awssim.Write(s.deleteDBSnapshot),
			"RestoreDBInstanceFromDBSnapshot":    awssim.Write(s.restoreDBInstanceFromDBSnapshot),
			"CreateDBCluster":                    awssim.Write(s.createDBCluster),
			"DescribeDBClusters":                 awssim.Read(s.describeDBClusters),
			"ModifyDBCluster":                    awssim.Write(s.modifyDBCluster),
			"DeleteDBCluster":                    awssim.Write(s.deleteDBCluster),
			"CreateDBClusterSnapshot":            awssim.Write(s.createDBClusterSnapshot),
			"DescribeDBClusterSnapshots":         awssim.Read(s.describeDBClusterSnapshots),
			"DeleteDBClusterSnapshot":            awssim.Write(s.deleteDBClusterSnapshot),
			"RestoreDBClusterFromSnapshot":       awssim.Write(s.restoreDBClusterFromSnapshot),
			"CreateDBClusterParameterGroup":      awssim.Write(s.createDBClusterParameterGroup),
			"CopyDBSnapshot":                     awssim.Write(s.copyDBSnapshot),
			"CopyDBClusterSnapshot":              awssim.Write(s.copyDBClusterSnapshot),
			"DescribeOptionGroups":               awssim.Read(s.describeOptionGroups),
			"RestoreDBInstanceToPointInTime":     awssim.Write(s.restoreDBInstanceToPointInTime),
			"RestoreDBClusterToPointInTime":      awssim.Write(s.restoreDBClusterToPointInTime),
			"DescribeDBInstanceAutomatedBackups": awssim.Read(s.describeDBInstanceAutomatedBackups),
			"DescribeDBClusterAutomatedBackups":  awssim.Read(s.describeDBClusterAutomatedBackups),
			"AddTagsToResource":                  awssim.Write(s.addTagsToResource),
			"RemoveTagsFromResource":             awssim.Write(s.removeTagsFromResource),
			"ListTagsForResource":                awssim.Read(s.listTagsForResource),
			"CreateDBSubnetGroup":                awssim.Write(s.createDBSubnetGroup),
			"DescribeDBSubnetGroups":             awssim.Read(s.describeDBSubnetGroups),
			"CreateDBParameterGroup":             awssim.Write(s.createDBParameterGroup),
			"CreateOptionGroup":                  awssim.Write(s.createOptionGroup),
			"StartExportTask":                    awssim.Write(s.startExportTask),
			"DescribeExportTasks":                awssim.Read(s.describeExportTasks),
			"CancelExportTask":                   awssim.Write(s.cancelExportTask),
		},
		Bucket:    func(string, any) awssim.Bucket { return awssim.Bucket{Name: "all", Capacity: 300, Refill: 12} },
		Throttled: awssim.Error{Code: "ThrottlingException", Message: "Rate exceeded"},
		Typed:     typed,
	}
}

// modelled are the errors that the SDK models for the simulated operations, so that each of them can also be injected with its type.
func modelled() []smithy.APIError {
	return []smithy.APIError{
		&rdstypes.AuthorizationNotFoundFault{}, &rdstypes.BackupPolicyNotFoundFault{}, &rdstypes.BlueGreenDeploymentNotFoundFault{},
		&rdstypes.CertificateNotFoundFault{}, &rdstypes.DBCapacityReservationNotFoundFault{}, &rdstypes.DBClusterNotFoundFault{},
		&rdstypes.DBClusterSnapshotNotFoundFault{}, &rdstypes.DBInstanceAlreadyExistsFault{}, &rdstypes.DBInstanceAutomatedBackupQuotaExceededFault{},
		&rdstypes.DBInstanceNotFoundFault{}, &rdstypes.DBParameterGroupAlreadyExistsFault{}, &rdstypes.DBParameterGroupNotFoundFault{},
		&rdstypes.DBParameterGroupQuotaExceededFault{}, &rdstypes.DBProxyEndpointNotFoundFault{}, &rdstypes.DBProxyNotFoundFault{},
		&rdstypes.DBProxyTargetGroupNotFoundFault{}, &rdstypes.DBSecurityGroupNotFoundFault{}, &rdstypes.DBShardGroupNotFoundFault{},
		&rdstypes.DBSnapshotAlreadyExistsFault{}, &rdstypes.DBSnapshotNotFoundFault{}, &rdstypes.DBSnapshotTenantDatabaseNotFoundFault{},
		&rdstypes.DBSubnetGroupAlreadyExistsFault{}, &rdstypes.DBSubnetGroupDoesNotCoverEnoughAZs{}, &rdstypes.DBSubnetGroupNotFoundFault{},
		&rdstypes.DBSubnetGroupQuotaExceededFault{}, &rdstypes.DBSubnetQuotaExceededFault{}, &rdstypes.DBUpgradeDependencyFailureFault{},
		&rdstypes.DomainNotFoundFault{}, &rdstypes.ExportTaskAlreadyExistsFault{}, &rdstypes.ExportTaskNotFoundFault{},
		&rdstypes.IamRoleMissingPermissionsFault{}, &rdstypes.IamRoleNotFoundFault{}, &rdstypes.InvalidExportOnlyFault{},
		&rdstypes.InvalidExportSourceStateFault{}, &rdstypes.InvalidExportTaskStateFault{}, &rdstypes.InvalidS3BucketFault{},
		&rdstypes.InstanceQuotaExceededFault{}, &rdstypes.InsufficientDBInstanceCapacityFault{},
		&rdstypes.IntegrationNotFoundFault{}, &rdstypes.InvalidDBCapacityReservationStateFault{}, &rdstypes.InvalidDBClusterEndpointStateFault{},
		&rdstypes.InvalidDBClusterStateFault{}, &rdstypes.InvalidDBInstanceStateFault{}, &rdstypes.InvalidDBSecurityGroupStateFault{},
		&rdstypes.InvalidDBSnapshotStateFault{}, &rdstypes.InvalidRestoreFault{}, &rdstypes.InvalidSubnet{}, &rdstypes.InvalidVPCNetworkStateFault{},
		&rdstypes.KMSKeyNotAccessibleFault{}, &rdstypes.NetworkTypeNotSupported{}, &rdstypes.OptionGroupAlreadyExistsFault{},
		&rdstypes.OptionGroupNotFoundFault{}, &rdstypes.OptionGroupQuotaExceededFault{}, &rdstypes.ProvisionedIopsNotAvailableInAZFault{},
		&rdstypes.DBClusterAlreadyExistsFault{}, &rdstypes.DBClusterAutomatedBackupNotFoundFault{}, &rdstypes.DBClusterAutomatedBackupQuotaExceededFault{},
		&rdstypes.DBClusterParameterGroupNotFoundFault{}, &rdstypes.DBClusterQuotaExceededFault{}, &rdstypes.DBClusterRoleQuotaExceededFault{},
		&rdstypes.DBClusterSnapshotAlreadyExistsFault{}, &rdstypes.InvalidDBClusterSnapshotStateFault{}, &rdstypes.InsufficientDBClusterCapacityFault{},
		&rdstypes.InsufficientStorageClusterCapacityFault{}, &rdstypes.InvalidGlobalClusterStateFault{}, &rdstypes.DBInstanceAutomatedBackupNotFoundFault{},
		&rdstypes.PointInTimeRestoreNotEnabledFault{}, &rdstypes.CustomAvailabilityZoneNotFoundFault{}, &rdstypes.InvalidDBSubnetGroupStateFault{},
		&rdstypes.StorageTypeNotAvailableFault{}, &rdstypes.InvalidDBSubnetGroupFault{}, &rdstypes.GlobalClusterNotFoundFault{},
		&rdstypes.SnapshotQuotaExceededFault{}, &rdstypes.StorageQuotaExceededFault{}, &rdstypes.StorageTypeNotSupportedFault{},
		&rdstypes.TenantDatabaseNotFoundFault{}, &rdstypes.TenantDatabaseQuotaExceededFault{}, &rdstypes.VpcEncryptionControlViolationException{},
	}
}

func typed(e *awssim.Error) error {
	for _, m := range modelled() {
		if m.ErrorCode() == e.Code {
			message := e.Message
			reflect.ValueOf(m).Elem().FieldByName("Message").Set(reflect.ValueOf(&message))
			return m
		}
	}
	return nil
}

// notFound makes the one kind of error that has status 404.
func notFound(code, format string, args ...any) *awssim.Error {
	return awssim.FailStatus(404, code, format, args...)
}

// in gives the state of the caller's account and Region.
func (s *RDS) in(r *awssim.Request) *region {
	k := scope{r.Account, r.Region}
	g, ok := s.regions[k]
	if !ok {
		g = &region{byInstance: map[string]*names{}, byResource: map[string]*names{}, instanceIDs: map[string]string{},
			subnetGroups:    map[string]*subnetGroup{"default": {name: "default", vpc: fmt.Sprintf("vpc-%s", short(r.Account, r.Region, "vpc")), gateway: true}},
			parameterGroups: map[string]*group{}, optionGroups: map[string]*group{}, clusterParameterGroups: map[string]*group{},
			byClusterName: map[string]*names{}, byClusterResource: map[string]*names{}, byCluster: map[string]*names{}}
		s.regions[k] = g
	}
	return g
}

// short is a short hexadecimal name derived from parts.
func short(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:6])
}

// span is a time in which an instance has a state that is not its ordinary one.
type span struct {
	from, to time.Time
	status   string
}

// keyRing is what RDS asks of a simulated KMS. Without one in the World every key is enabled.
type keyRing interface {
	KeyUsable(keyARN, account string) (state string, exists bool)
}

// keyNames is implemented by a simulated KMS that knows which key a name means.
type keyNames interface {
	ResolveKey(r *awssim.Request, id string) (keyARN string, ok bool)
}

// key gives the ARN of the key that a call names, or of the account's own key for RDS.
func key(r *awssim.Request, id string) (string, error) {
	if id == "" {
		id = "alias/aws/rds"
	}
	arn, ok := id, true
	if k, found := awssim.Find[keyNames](r.World); found {
		arn, ok = k.ResolveKey(r, id)
	} else if len(id) < 4 || id[:4] != "arn:" {
		arn = r.ARN("kms", "key/"+short(r.Account, r.Region, id))
	}
	if !ok || !usable(r, arn) {
		return "", keyFault(id)
	}
	return arn, nil
}

func keyFault(id string) error {
	return awssim.Fail("KMSKeyNotAccessibleFault", "The specified KMS key [%s] does not exist, is not enabled or you do not have permissions to access it.", id)
}

func usable(r *awssim.Request, arn string) bool {
	k, ok := awssim.Find[keyRing](r.World)
	if !ok || arn == "" {
		return true
	}
	state, exists := k.KeyUsable(arn, r.Account)
	return exists && state == "Enabled"
}

var _ awssim.Service = (*RDS)(nil)

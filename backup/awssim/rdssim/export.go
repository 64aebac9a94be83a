package rdssim

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// DefaultExportQuota is the number of export tasks that an account may have running. Source: RDS User Guide, "Exporting DB snapshot data to
// Amazon S3", its limitations.
const DefaultExportQuota = 5

// How long an export takes. Assumptions: AWS publishes no figures.
const (
	exportBegins = 2 * time.Minute
	exportTakes  = 30 * time.Minute
	cancelTakes  = 40 * time.Second
)

// maxExportOnly is the most that ExportOnly may hold. Source: RDS User Guide, "Exporting DB snapshot data to Amazon S3".
const maxExportOnly = 200 << 10

// unknownCause is what an export that was doomed gives for its failure.
const unknownCause = "An unknown internal error occurred."

// exportTask is an export of a snapshot to S3. What it is at an instant follows from the instants in it.
type exportTask struct {
	life
	id, source, bucket, prefix, role, key string
	only                                  []string
	taken                                 time.Time // the snapshot's time
	begins, ends                          time.Time
	// cause is why it is FAILED when it ends; warning what it says when it is COMPLETE.
	cause, warning string
	// canceling is when it was canceled, canceled when that was done; zero for what was not.
	canceling, canceled time.Time
	spans               []span
	files               []exportFile
	gigabytes           int32
}

func (t *exportTask) status(now time.Time) string {
	for _, s := range slices.Backward(t.spans) {
		if !now.Before(s.from) && now.Before(s.to) {
			return s.status
		}
	}
	switch {
	case t.stopped(now) && now.Before(t.canceled):
		return "CANCELING"
	case t.stopped(now):
		return "CANCELED"
	case now.Before(t.begins):
		return "STARTING"
	case now.Before(t.ends):
		return "IN_PROGRESS"
	case t.cause != "":
		return "FAILED"
	}
	return "COMPLETE"
}

func (t *exportTask) stopped(now time.Time) bool {
	return !t.canceling.IsZero() && !now.Before(t.canceling)
}

// running tells whether the task counts against the quota and keeps others from the same snapshot.
func (t *exportTask) running(now time.Time) bool {
	return slices.Contains([]string{"STARTING", "IN_PROGRESS", "CANCELING"}, t.status(now))
}

func (t *exportTask) percent(now time.Time) int32 {
	if t.stopped(now) {
		now = t.canceling
	}
	if !now.Before(t.ends) {
		if t.cause != "" {
			return 99
		}
		return 100
	}
	return int32(max(0, 100*now.Sub(t.begins)/max(t.ends.Sub(t.begins), 1)))
}

func (t *exportTask) output(r *awssim.Request) rdstypes.ExportTask {
	o := rdstypes.ExportTask{
		ExportTaskIdentifier: aws.String(t.id), SourceArn: aws.String(t.source), SourceType: rdstypes.ExportSourceTypeSnapshot, S3Bucket: aws.String(t.bucket),
		S3Prefix: aws.String(t.prefix), IamRoleArn: aws.String(t.role), KmsKeyId: aws.String(t.key), ExportOnly: slices.Clone(t.only),
		SnapshotTime: aws.Time(t.taken), Status: aws.String(t.status(r.Now)), PercentProgress: aws.Int32(t.percent(r.Now)), TotalExtractedDataInGB: aws.Int32(0),
	}
	if !r.Now.Before(t.begins) {
		o.TaskStartTime = aws.Time(t.begins)
	}
	switch *o.Status {
	case "COMPLETE":
		o.TaskEndTime, o.WarningMessage, o.TotalExtractedDataInGB = aws.Time(t.ends), optional(t.warning), aws.Int32(t.gigabytes)
	case "FAILED":
		o.TaskEndTime, o.FailureCause = aws.Time(t.ends), aws.String(t.cause)
	case "CANCELED":
		o.TaskEndTime = aws.Time(t.canceled)
	}
	return o
}

func (s *RDS) startExportTask(r *awssim.Request, in *awsrds.StartExportTaskInput) (*awsrds.StartExportTaskOutput, error) {
	id, err := identifier("ExportTaskIdentifier", aws.ToString(in.ExportTaskIdentifier), 60)
	if err != nil {
		return nil, err
	}
	g := s.in(r)
	p, err := g.exported(r, aws.ToString(in.SourceArn))
	if err != nil {
		return nil, err
	}
	if _, taken := g.exports.truth(r, id); taken {
		return nil, awssim.Fail("ExportTaskAlreadyExists", "The export task with the ID %s already exists.", id)
	}
	prefix := aws.ToString(in.S3Prefix)
	if strings.Contains(prefix, ":") {
		return nil, awssim.Fail("InvalidParameterValue", "The S3 prefix %s contains a colon.", prefix)
	}
	if err := exportOnly(in.ExportOnly); err != nil {
		return nil, err
	}
	if err := s.exportRole(r, aws.ToString(in.IamRoleArn), aws.ToString(in.S3BucketName), exportFolder(prefix, id)); err != nil {
		return nil, err
	}
	named := aws.ToString(in.KmsKeyId)
	if named == "" {
		return nil, keyFault(named)
	}
	arn, err := key(r, named)
	if err != nil {
		return nil, err
	}
	store, err := exportBucket(r, aws.ToString(in.S3BucketName))
	if err != nil {
		return nil, err
	}
	if st := p.status(r.Now); st != "available" {
		return nil, awssim.Fail("InvalidExportSourceState", "The snapshot %s is in the state %s and can't be exported.", p.id, st)
	}
	if err := s.exportRoom(r, p.arn); err != nil {
		return nil, err
	}
	t := &exportTask{life: life{made: r.Now, lag: r.Lag()}, id: id, source: p.arn, bucket: aws.ToString(in.S3BucketName), prefix: prefix, role: aws.ToString(in.IamRoleArn),
		key: arn, only: slices.Clone(in.ExportOnly), taken: p.made, gigabytes: p.allocated, cause: s.exportCause, warning: s.exportWarning}
	t.begins = r.Now.Add(r.Took(id+"/export-begins", exportBegins, 0.3))
	t.ends = t.begins.Add(r.Took(id+"/export", exportTakes, 0.6))
	if r.Doomed && t.cause == "" {
		t.cause = unknownCause
	}
	t.files = t.plan(p.engine)
	for _, f := range t.files {
		if err := store.ServicePut(r, t.bucket, f.key, f.body, f.at); err != nil {
			return nil, err
		}
	}
	g.exports.add(id, t)
	o := t.output(r)
	return &awsrds.StartExportTaskOutput{ExportTaskIdentifier: o.ExportTaskIdentifier, SourceArn: o.SourceArn, SourceType: o.SourceType, S3Bucket: o.S3Bucket, S3Prefix: o.S3Prefix,
		IamRoleArn: o.IamRoleArn, KmsKeyId: o.KmsKeyId, ExportOnly: o.ExportOnly, SnapshotTime: o.SnapshotTime, Status: o.Status, PercentProgress: o.PercentProgress,
		TotalExtractedDataInGB: o.TotalExtractedDataInGB}, nil
}

// exported finds the snapshot that an ARN names. That clusters themselves can be exported is not simulated: none of them exists here.
func (g *region) exported(r *awssim.Request, arn string) (*snapshot, error) {
	parts := strings.SplitN(arn, ":", 7)
	if len(parts) != 7 || parts[0] != "arn" || parts[2] != "rds" {
		return nil, awssim.Fail("InvalidParameterValue", "The source ARN %s is not valid.", arn)
	}
	switch parts[5] {
	case "cluster-snapshot":
		p, ok := g.clusterSnapshots.truth(r, named(r, "cluster-snapshot", arn))
		if !ok {
			return nil, clusterSnapshotNotFound(parts[6])
		}
		if !aurora(p.engine) {
			return nil, awssim.Fail("InvalidParameterValue", "Snapshots of Multi-AZ DB clusters can't be exported.")
		}
		return p, nil
	case "cluster":
		return nil, notFound("DBClusterNotFoundFault", "DBCluster %s not found.", parts[6])
	case "snapshot":
	default:
		return nil, awssim.Fail("InvalidParameterValue", "The source ARN %s is not that of a snapshot or a cluster.", arn)
	}
	p, ok := g.snapshots.truth(r, named(r, "snapshot", arn))
	if !ok {
		return nil, notFound("DBSnapshotNotFound", "DBSnapshot %s not found.", parts[6])
	}
	family, _, _ := strings.Cut(p.engine, "-")
	if !slices.Contains([]string{"mysql", "mariadb", "postgres"}, family) {
		return nil, awssim.Fail("InvalidParameterValue", "Snapshots of the engine %s can't be exported.", p.engine)
	}
	if p.storageType == "standard" {
		return nil, awssim.Fail("InvalidParameterValue", "Snapshots of instances with magnetic storage can't be exported.")
	}
	return p, nil
}

// exportOnly checks the parts of a database that are to be exported.
func exportOnly(only []string) error {
	total := 0
	for _, x := range only {
		total += len(x)
		parts := strings.Split(x, ".")
		bad := len(parts) > 3
		for _, p := range parts {
			bad = bad || p == "" || strings.IndexFunc(p, func(c rune) bool {
				return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '$' || c == '_')
			}) >= 0
		}
		if bad {
			return awssim.Fail("InvalidExportOnly", "The value %s of ExportOnly is not valid.", x)
		}
	}
	if total > maxExportOnly {
		return awssim.Fail("InvalidExportOnly", "ExportOnly has %d bytes, more than %d.", total, maxExportOnly)
	}
	return nil
}

// exportRoom refuses a second export of a snapshot, and one more than the account may have.
func (s *RDS) exportRoom(r *awssim.Request, source string) error {
	running := 0
	for at, g := range s.regions {
		if at.account != r.Account {
			continue
		}
		for _, id := range g.exports.names.list() {
			t, ok := g.exports.truth(r, id)
			if !ok || !t.running(r.Now) {
				continue
			}
			if t.source == source {
				return awssim.Fail("ExportTaskAlreadyExists", "The snapshot %s is being exported by the task %s.", source, t.id)
			}
			running++
		}
	}
	if running >= s.exportQuota {
		return awssim.Fail("ExportTaskLimitReachedFault", "You have reached the limit of %d concurrent export tasks", s.exportQuota)
	}
	return nil
}

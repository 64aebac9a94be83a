package rdssim

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (s *RDS) describeExportTasks(r *awssim.Request, in *awsrds.DescribeExportTasksInput) (*awsrds.DescribeExportTasksOutput, error) {
	g := s.in(r)
	f, err := filters(in.Filters, "export-task-identifier", "s3-bucket", "source-arn", "status")
	if err != nil {
		return nil, err
	}
	for _, x := range f["status"] {
		if strings.ToLower(x) != x {
			return nil, awssim.Fail("InvalidParameterValue", "The filter value %s of status is not valid: it must be in lower case.", x)
		}
	}
	switch in.SourceType {
	case "", rdstypes.ExportSourceTypeSnapshot, rdstypes.ExportSourceTypeCluster:
	default:
		return nil, awssim.Fail("InvalidParameterValue", "Invalid source type: %s", in.SourceType)
	}
	match := func(name string) bool {
		t, ok := g.exports.seen(r, name)
		switch {
		case !ok, in.ExportTaskIdentifier != nil && !strings.EqualFold(*in.ExportTaskIdentifier, t.id), in.SourceArn != nil && *in.SourceArn != t.source,
			in.SourceType == rdstypes.ExportSourceTypeCluster:
			return false
		}
		return has(f, "export-task-identifier", func(x string) bool { return strings.EqualFold(x, t.id) }) && has(f, "s3-bucket", is(t.bucket)) &&
			has(f, "source-arn", is(t.source)) && has(f, "status", is(strings.ToLower(t.status(r.Now))))
	}
	found, next, err := page(r, g.exports.names.list(), in.MaxRecords, in.Marker, match)
	if err != nil {
		return nil, err
	}
	out := &awsrds.DescribeExportTasksOutput{Marker: next}
	for _, name := range found {
		t, _ := g.exports.seen(r, name)
		out.ExportTasks = append(out.ExportTasks, t.output(r))
	}
	return out, nil
}

func (s *RDS) cancelExportTask(r *awssim.Request, in *awsrds.CancelExportTaskInput) (*awsrds.CancelExportTaskOutput, error) {
	id := strings.ToLower(aws.ToString(in.ExportTaskIdentifier))
	t, ok := s.in(r).exports.truth(r, id)
	if !ok {
		return nil, notFound("ExportTaskNotFound", "The export task with the ID %s doesn't exist.", aws.ToString(in.ExportTaskIdentifier))
	}
	if st := t.status(r.Now); st != "STARTING" && st != "IN_PROGRESS" {
		return nil, awssim.Fail("InvalidExportTaskStateFault", "The export task %s is in the state %s and can't be canceled.", t.id, st)
	}
	t.canceling = r.Now
	t.canceled = r.Now.Add(r.Took(t.id+"/cancel", cancelTakes, 0.3))
	t.withhold(r)
	o := t.output(r)
	return &awsrds.CancelExportTaskOutput{ExportTaskIdentifier: o.ExportTaskIdentifier, SourceArn: o.SourceArn, SourceType: o.SourceType, S3Bucket: o.S3Bucket, S3Prefix: o.S3Prefix,
		IamRoleArn: o.IamRoleArn, KmsKeyId: o.KmsKeyId, ExportOnly: o.ExportOnly, SnapshotTime: o.SnapshotTime, Status: o.Status, PercentProgress: o.PercentProgress,
		TaskStartTime: o.TaskStartTime, TotalExtractedDataInGB: o.TotalExtractedDataInGB}, nil
}

// withhold keeps the objects from appearing that were not written yet; those that were stay.
func (t *exportTask) withhold(r *awssim.Request) {
	store, ok := awssim.Find[buckets](r.World)
	if !ok {
		return
	}
	for _, f := range t.files {
		if f.at.After(r.Now) {
			store.ServiceDrop(r, t.bucket, f.key)
		}
	}
}

package rdsexport

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/rds"
)

// The stages.
const (
	stageLook   = "look"   // snapshot and bucket are looked at, and what passes is waited for
	stageSend   = "send"   // the export may be asked for
	stageSettle = "settle" // it was perhaps asked for; the task is looked for
	stageWait   = "wait"   // the task is at work
	stageCancel = "cancel" // the task may be canceled
	stageList   = "list"   // RDS says that it is complete; S3 must show it
	stageStop   = "stop"   // canceled before anything was asked for
)

// state is an export's State.
type state struct {
	Bucket string   `json:"b"`
	Prefix string   `json:"p,omitempty"`
	Role   string   `json:"r"`
	Key    string   `json:"k"`
	Only   []string `json:"o,omitempty"`
	// Task is the identifier of the export task, in lower case.
	Task string `json:"t"`

	// Armed counts the times that the call was armed, but for those that surely had no effect.
	Armed int `json:"a,omitempty"`
	// Taken counts how often RDS said that there is such a task already, which was not seen.
	Taken int `json:"x,omitempty"`
	// Refused is since when RDS refuses the role.
	Refused time.Time `json:"y,omitzero"`
	// Lost is since when something that must be there has not been seen.
	Lost time.Time `json:"l,omitzero"`
	// Left says what RDS left out of an export that is complete.
	Left string `json:"w,omitempty"`
}

// folder is where the task writes to, within the bucket. Source: RDS User Guide, "File naming conventions for exports to Amazon S3".
func (st state) folder() string {
	if st.Prefix == "" {
		return st.Task
	}
	return st.Prefix + "/" + st.Task
}

// mark is what the key of the file begins with that describes the export: export_info_ and the identifier, .json. That RDS writes it at the end,
// and its name, are known from public reports only (UNVERIFIED).
func (st state) mark() string { return st.folder() + "/export_info_" }

func (st state) ref(r backup.Ref, typ string) backup.Ref {
	id := st.Bucket + "/" + st.folder()
	if typ == TypeTask {
		id = st.Task
	}
	return backup.Ref{Type: typ, Account: r.Account, Region: r.Region, ID: id}
}

// begun lists what is there, or may be, from the moment at which the export was perhaps asked for.
func (st state) begun(op *backup.Operation) {
	op.AddMade(st.ref(op.Ref, TypeTask))
	op.AddMade(st.ref(op.Ref, TypeFiles))
}

// sourceARN is the ARN of the snapshot. Source: RDS User Guide, "Constructing an ARN for Amazon RDS".
func sourceARN(r backup.Ref) string {
	p, err := policy.PartitionOf(r.Region)
	if err != nil {
		return "" // Start has refused it
	}
	kind := "snapshot:"
	if r.Type == rds.TypeClusterSnapshot {
		kind = "cluster-snapshot:"
	}
	return policy.ARN{Partition: p.ID, Service: "rds", Region: r.Region, Account: r.Account, Resource: kind + r.ID}.String()
}

// clockSkew is how far the clocks of this machine and of AWS may be apart.
const clockSkew = 10 * time.Minute

// foreign says why a task of the Operation's identifier is not the Operation's, or nothing. A time of start that is not told yet is no reason; and
// without a Store the Operation may be a younger one for the same work.
func (st state) foreign(op backup.Operation, x *rdstypes.ExportTask) string {
	_, keyID, _ := strings.Cut(st.Key, ":key/")
	key := aws.ToString(x.KmsKeyId)
	switch {
	case !strings.EqualFold(aws.ToString(x.SourceArn), sourceARN(op.Ref)):
		return "exports " + aws.ToString(x.SourceArn)
	case aws.ToString(x.S3Bucket) != st.Bucket:
		return "writes to the bucket " + aws.ToString(x.S3Bucket)
	case strings.Trim(aws.ToString(x.S3Prefix), "/") != st.Prefix:
		return "writes under the prefix " + aws.ToString(x.S3Prefix)
	case aws.ToString(x.IamRoleArn) != st.Role:
		return "uses the role " + aws.ToString(x.IamRoleArn)
	case key != st.Key && key != keyID:
		return "uses the key " + key
	case !slices.Equal(slices.Sorted(slices.Values(x.ExportOnly)), slices.Sorted(slices.Values(st.Only))):
		return "exports other parts of the snapshot"
	case !op.Unstored && x.TaskStartTime != nil && x.TaskStartTime.Before(op.Started.Add(-clockSkew)):
		return "is older than this operation"
	}
	return ""
}

// Findings and a failure that an Operation can get on its way: at most so many, each of our own words or of AWS's, cut.
const (
	mostFindings = 8
	findingBytes = 640
	failureBytes = 2600
)

// largest is the most that the Operation can grow to before its end, in bytes of JSON.
func (st state) largest(op backup.Operation) int {
	now := time.Now().UTC()
	st.Armed, st.Taken, st.Refused, st.Lost, st.Left = math.MaxInt32, mostTaken, now, now, strings.Repeat("x", leftBytes)
	op.Stage, op.Next, op.Attempt, op.Intended, op.Unstored, op.Settling, op.Canceling, op.Percent = stageSettle, callCancel, math.MaxInt32, now, true, true, true, 100
	st.begun(&op)
	op.AddPoint(st.ref(op.Ref, TypeExport))
	if op.SetState(st) != nil {
		return math.MaxInt
	}
	b, err := json.Marshal(op)
	if err != nil {
		return math.MaxInt
	}
	return len(b) + mostFindings*(findingBytes+len(op.Ref.ID)) + failureBytes
}

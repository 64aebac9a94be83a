package rds

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// ReplicaOptions say which read replica may be backed up in its source's place.
type ReplicaOptions struct {
	// Lag tells how far a replica is behind, below 0 where that is not known. RDS itself does not tell; it is the last value of the metric ReplicaLag of
	// CloudWatch, in seconds. Required. Source: RDS User Guide, "Monitoring read replication".
	Lag func(ctx context.Context, replica backup.Ref) (time.Duration, error)
	// Most is how far behind a replica may be. Required.
	Most time.Duration
}

// ChooseReplica gives the read replica of an instance, in its Region, that is the least behind, and by how much: a snapshot of it does not suspend the I/O of
// the instance. It is backed up with Start, or, where it is not needed afterwards, with StartDeleteDatabase. What is made is a recovery point of the
// replica, of which Source and TagSource tell, and holds the data of the instance as old as the lag.
//
// A replica must be available and replicating. Where there is none that may be taken, the error has the code ErrUnavailable and says what is the matter with
// each; an instance without replicas is ErrNotFound. Source: RDS User Guide, "Working with DB instance read replicas".
func (s *Strategy) ChooseReplica(ctx context.Context, instance backup.Ref, o ReplicaOptions) (replica backup.Ref, lag time.Duration, err error) {
	const what backup.Action = "choose-replica"
	none := func(code backup.Code, hint, format string, args ...any) (backup.Ref, time.Duration, error) {
		return backup.Ref{}, 0, &backup.Error{Op: string(what), Kind: Kind, Ref: instance, Code: code, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	if err := instance.Validate(); err != nil {
		return backup.Ref{}, 0, err
	}
	if err := validRef(what, instance, TypeInstance); err != nil {
		return backup.Ref{}, 0, err
	}
	if o.Lag == nil || o.Most <= 0 {
		return none(backup.ErrInvalid, "set ReplicaOptions.Lag and Most", "it is not said how far behind a replica is, or may be")
	}
	c, err := s.client(ctx, instance)
	if err != nil {
		return backup.Ref{}, 0, err
	}
	x, err := s.instance(ctx, c, instance, instance.ID)
	if err != nil {
		return backup.Ref{}, 0, err
	}
	if x == nil {
		return none(backup.ErrNotFound, "check the instance's identifier, the account and the Region", "no such DB instance")
	}
	var why []string
	for _, id := range x.ReadReplicaDBInstanceIdentifiers {
		if strings.HasPrefix(id, "arn:") {
			continue // of another Region
		}
		r := Instance(instance.Account, instance.Region, id)
		y, err := s.instance(ctx, c, instance, r.ID)
		if err != nil {
			return backup.Ref{}, 0, err
		}
		if fault := unfit(y, instance.ID); fault != "" {
			why = append(why, r.ID+" "+fault)
			continue
		}
		behind, err := o.Lag(ctx, r)
		switch {
		case err != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)):
			return backup.Ref{}, 0, err
		case err != nil:
			why = append(why, r.ID+" has a lag that can not be read: "+err.Error())
		case behind < 0:
			why = append(why, r.ID+" has a lag that is not known")
		case behind > o.Most:
			why = append(why, fmt.Sprintf("%s is %v behind", r.ID, behind))
		case replica.IsZero() || behind < lag:
			replica, lag = r, behind
		}
	}
	switch {
	case !replica.IsZero():
		return replica, lag, nil
	case len(why) == 0:
		return none(backup.ErrNotFound, "back up the instance itself", "the instance has no read replica in its Region")
	}
	return none(backup.ErrUnavailable, "try again later, allow a longer lag, or back up the instance itself", "no read replica may be taken: %s", strings.Join(why, "; "))
}

// unfit says why a replica of an instance can not be backed up in its place, or nothing.
func unfit(x *rdstypes.DBInstance, source string) string {
	if x == nil {
		return "is not visible"
	}
	if got := policy.CanonicalName(aws.ToString(x.ReadReplicaSourceDBInstanceIdentifier)); got != source {
		return "is no replica of it any more"
	}
	if word := aws.ToString(x.DBInstanceStatus); instanceStateOf(word) != instanceReady {
		return "is " + word
	}
	for _, i := range x.StatusInfos {
		if aws.ToString(i.StatusType) == "read replication" && (!aws.ToBool(i.Normal) || aws.ToString(i.Status) != "replicating") {
			return "does not replicate: " + aws.ToString(i.Status) + " " + aws.ToString(i.Message)
		}
	}
	return ""
}

package elasticache

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"

	"github.com/snapwarden/snapwarden/backup"
)

// The settings of a serverless cache, in the order in which they are set: AWS chooses a time itself for a cache of which it is to make snapshots,
// and a time for one of which it makes none may be refused.
const (
	settingRetention = "retention"
	settingTime      = "time"
)

// dailyServerless looks at a serverless cache. Memcached ones have snapshots too. Source: ElastiCache API, type ServerlessCache.
func (s *Strategy) dailyServerless(ctx context.Context, c *awselasticache.Client, r backup.Ref) (daily, error) {
	x, err := s.serverlessCache(ctx, c, r, r.ID)
	switch {
	case err != nil:
		return daily{}, err
	case x == nil:
		return daily{}, refused(r, "DescribeServerlessCaches", backup.ErrNotFound, "check the name, the account and the Region", "no such serverless cache")
	}
	d := daily{status: word(x.Status), known: serverlessStatuses}
	d.RetentionDays, d.Time = aws.ToInt32(x.SnapshotRetentionLimit), aws.ToString(x.DailySnapshotTime)
	return d, nil
}

// when says in words when automatic snapshots are made.
func (d daily) when() string {
	switch {
	case d.Window != "":
		return "window " + d.Window
	case d.Time != "":
		return "time " + d.Time
	}
	return "window of AWS"
}

// shows tells whether what the last call was for is as wanted: everything, or one setting of a serverless cache.
func (st automaticState) shows(d daily) bool {
	switch st.Setting {
	case settingRetention:
		return d.RetentionDays == st.Options.RetentionDays
	case settingTime:
		return d.Time == st.Options.Time
	}
	return st.Options.is(d)
}

// open is the next setting of a serverless cache that is not as wanted, empty for none. One that AWS accepted is not set again: if it is another
// then, somebody else changed it, or the look is an old one.
func (st automaticState) open(d daily) string {
	switch {
	case st.Setting == "":
	case d.RetentionDays != st.Options.RetentionDays && !slices.Contains(st.Accepted, settingRetention):
		return settingRetention
	case st.Options.Time != "" && d.Time != st.Options.Time && !slices.Contains(st.Accepted, settingTime):
		return settingTime
	}
	return ""
}

// armServerless arms the call for the next setting. Where AWS accepted all, what it shows is waited for.
func (s *Strategy) armServerless(op backup.Operation, st automaticState, d daily) (backup.Operation, error) {
	if st.Setting == "" {
		st.Setting = settingRetention
	}
	next := st.open(d)
	if next == "" {
		op.To(stageWait, "")
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	}
	st.Setting = next
	if err := op.SetState(st); err != nil {
		return op, err
	}
	op.To(stageSet, "ModifyServerlessCache")
	return op, nil
}

// setServerless sends one setting. Source: for the settings one by one hashicorp/terraform-provider-aws#37499; whether AWS counts these two as one
// is UNVERIFIED.
func (s *Strategy) setServerless(ctx context.Context, c *awselasticache.Client, op backup.Operation, st automaticState) error {
	in := &awselasticache.ModifyServerlessCacheInput{ServerlessCacheName: &op.Ref.ID}
	if st.Setting == settingTime {
		in.DailySnapshotTime = &st.Options.Time
	} else {
		in.SnapshotRetentionLimit = &st.Options.RetentionDays
	}
	_, err := c.ModifyServerlessCache(ctx, in, s.sending)
	return err
}

// leftOver says of an Operation that AWS refused what it set before, or perhaps set.
func (st automaticState) leftOver(op *backup.Operation) {
	var what string
	switch {
	case len(st.Accepted) > 0:
		what = "the " + st.Accepted[0] + " of automatic snapshots was set, and the " + st.Setting + " was not"
	case st.Setting == settingTime && st.Tried:
		what = "the " + settingRetention + " of automatic snapshots was perhaps set, and the " + st.Setting + " was not"
	default:
		return
	}
	op.Find(backup.Finding{ID: "elasticache.partly-set", Severity: backup.SeverityWarning, Ref: op.Ref, Message: what, Remedy: "look at it (AutomaticBackups), then start again with another token"})
}

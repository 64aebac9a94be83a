package elasticache

import (
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
)

// How clients may connect where encryption in transit is on. Source: ElastiCache API, CreateReplicationGroup, TransitEncryptionMode.
const (
	// TransitRequired lets in only clients that use TLS.
	TransitRequired = "required"
	// TransitPreferred also lets in clients that do not: for moving clients to TLS step by step.
	TransitPreferred = "preferred"
)

// LogDelivery says where a new group or cluster delivers one of its logs.
//
// Source: ElastiCache API, LogDeliveryConfigurationRequest; ElastiCache User Guide, "Log delivery".
type LogDelivery struct {
	// Log is "slow-log" or "engine-log".
	Log string
	// To is "cloudwatch-logs" or "kinesis-firehose".
	To string
	// Name is that of the log group (1 to 512 characters) or the delivery stream (1 to 64).
	Name string
	// Format is "text" or "json".
	Format string
}

// maxRetention is for how many days automatic snapshots can be kept. Source: ElastiCache User Guide, "Scheduling automatic backups".
const maxRetention = 35

// validSettings refuses what can not be of the settings beside data and network.
func (o RestoreOptions) validSettings(bad func(hint, format string, args ...any) error) error {
	switch {
	case o.SnapshotRetentionDays < 0 || o.SnapshotRetentionDays > maxRetention:
		return bad("choose 1 to 35 days, or 0 for no automatic snapshots", "SnapshotRetentionDays is %d", o.SnapshotRetentionDays)
	case o.SnapshotWindow != "" && o.SnapshotRetentionDays == 0:
		return bad("set SnapshotRetentionDays, or leave SnapshotWindow out", "a window for automatic snapshots that are not to be made")
	case o.SnapshotWindow != "" && !dailyWindow(o.SnapshotWindow):
		return bad("use hh:mm-hh:mm in UTC, at least an hour, such as 03:00-04:30", "the snapshot window %.40q", o.SnapshotWindow)
	case o.MaintenanceWindow != "" && !weeklyWindow(o.MaintenanceWindow):
		return bad("use ddd:hh:mm-ddd:hh:mm in UTC, at least an hour, such as sun:23:00-mon:01:30", "the maintenance window %.40q", o.MaintenanceWindow)
	case o.TransitMode != "" && o.TransitMode != TransitRequired && o.TransitMode != TransitPreferred:
		return bad("use elasticache.TransitRequired or elasticache.TransitPreferred", "TransitMode is %.40q", o.TransitMode)
	case o.TransitMode != "" && !o.TransitEncryption:
		return bad("set TransitEncryption", "TransitMode without encryption in transit")
	case o.AuthToken && !o.TransitEncryption:
		return bad("set TransitEncryption", "an AUTH token without encryption in transit")
	case o.AuthToken && len(o.UserGroups) > 0:
		return bad("choose one of them", "an AUTH token and user groups")
	case o.TransitMode == TransitPreferred && (o.AuthToken || len(o.UserGroups) > 0):
		return bad("use elasticache.TransitRequired", "clients that connect without TLS would send their passwords in the clear")
	case o.AutomaticFailover && o.ReplicasPerNodeGroup != nil && *o.ReplicasPerNodeGroup == 0:
		return bad("set ReplicasPerNodeGroup to at least 1", "AutomaticFailover without a replica")
	}
	for i, l := range o.LogDelivery {
		switch {
		case l.Log != string(ectypes.LogTypeSlowLog) && l.Log != string(ectypes.LogTypeEngineLog):
			return bad("use slow-log or engine-log", "the log %.40q", l.Log)
		case slices.ContainsFunc(o.LogDelivery[:i], func(m LogDelivery) bool { return m.Log == l.Log }):
			return bad("name each log once", "the log %s is delivered twice", l.Log)
		case l.To != string(ectypes.DestinationTypeCloudWatchLogs) && l.To != string(ectypes.DestinationTypeKinesisFirehose):
			return bad("use cloudwatch-logs or kinesis-firehose", "the destination %.40q", l.To)
		case l.Format != string(ectypes.LogFormatText) && l.Format != string(ectypes.LogFormatJson):
			return bad("use text or json", "the format %.40q", l.Format)
		case !logName(l):
			return bad("give the name of the log group or delivery stream, not its ARN and no pattern", "the destination is called %.80q", l.Name)
		}
	}
	return nil
}

// logName tells whether a destination can have the name. Source: CloudWatch Logs API, CreateLogGroup; Firehose API, CreateDeliveryStream.
func logName(l LogDelivery) bool {
	chars, most := letters+"_.-", 64
	if l.To == string(ectypes.DestinationTypeCloudWatchLogs) {
		chars, most = letters+"_.-/#", 512
	}
	return l.Name != "" && len(l.Name) <= most && strings.Trim(l.Name, chars) == ""
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// logs makes the part of a create call that tells about the logs.
func (o RestoreOptions) logs() (all []ectypes.LogDeliveryConfigurationRequest) {
	for _, l := range o.LogDelivery {
		c := ectypes.LogDeliveryConfigurationRequest{Enabled: aws.Bool(true), DestinationType: ectypes.DestinationType(l.To),
			LogFormat: ectypes.LogFormat(l.Format), LogType: ectypes.LogType(l.Log), DestinationDetails: &ectypes.DestinationDetails{}}
		if c.DestinationType == ectypes.DestinationTypeCloudWatchLogs {
			c.DestinationDetails.CloudWatchLogsDetails = &ectypes.CloudWatchLogsDestinationDetails{LogGroup: &l.Name}
		} else {
			c.DestinationDetails.KinesisFirehoseDetails = &ectypes.KinesisFirehoseDestinationDetails{DeliveryStream: &l.Name}
		}
		all = append(all, c)
	}
	return all
}

// minuteOf reads hh:mm as the minute of a day, -1 for what is not.
func minuteOf(s string) int {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return -1
	}
	return t.Hour()*60 + t.Minute()
}

// anHour tells whether a window on a dial of so many minutes is at least an hour long. One that ends as it begins has no length.
func anHour(from, to, dial int) bool { return from >= 0 && to >= 0 && (to-from+dial)%dial >= 60 }

// dailyWindow tells whether s is hh:mm-hh:mm, of an hour at least. Source: ElastiCache User Guide, "Scheduling automatic backups".
func dailyWindow(s string) bool {
	from, to, _ := strings.Cut(s, "-")
	return anHour(minuteOf(from), minuteOf(to), 24*60)
}

// weeklyWindow tells whether s is ddd:hh:mm-ddd:hh:mm, of an hour at least. Source: ElastiCache API, CreateReplicationGroup,
// PreferredMaintenanceWindow.
func weeklyWindow(s string) bool {
	at := func(s string) int {
		day, clock, _ := strings.Cut(s, ":")
		d, m := slices.Index([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, day), minuteOf(clock)
		if d < 0 || m < 0 {
			return -1
		}
		return d*24*60 + m
	}
	from, to, _ := strings.Cut(s, "-")
	return anHour(at(from), at(to), 7*24*60)
}

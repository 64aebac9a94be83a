package elasticachesim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// settings are what a group or a cluster has beside its data and its network.
type settings struct {
	// auth is the password (AUTH token) of a group or cluster that has one.
	auth        string
	transitMode ectypes.TransitEncryptionMode
	userGroups  []string
	logs        []ectypes.LogDeliveryConfigurationRequest
	// undelivered is what AWS says of logs that it can not deliver.
	undelivered map[ectypes.LogType]string
}

// check holds ElastiCache's rules for the settings of what is to be created.
func (c *config) check() error {
	switch {
	case c.auth != "" && !c.transit:
		return awssim.Fail("InvalidParameterCombination", "The AUTH token is only supported when encryption-in-transit is enabled.")
	case c.auth != "" && !validAuth(c.auth):
		return awssim.Fail("InvalidParameterValue", "Invalid AuthToken provided.")
	case len(c.userGroups) > 0 && !c.transit:
		return awssim.Fail("InvalidParameterCombination", "User group based access control requires encryption-in-transit to be enabled.")
	case len(c.userGroups) > 0 && c.auth != "":
		return awssim.Fail("InvalidParameterCombination", "User groups and an AUTH token can not be used together.")
	case len(c.userGroups) > 1:
		return awssim.Fail("InvalidParameterValue", "A replication group can have one user group.")
	case c.transitMode != "" && !c.transit:
		return awssim.Fail("InvalidParameterCombination", "TransitEncryptionMode needs TransitEncryptionEnabled.")
	case c.engine == "memcached" && (c.retention > 0 || len(c.logs) > 0):
		return awssim.Fail("InvalidParameterCombination", "Snapshots and log delivery are not available for the engine memcached.")
	}
	if c.transit && c.transitMode == "" {
		c.transitMode = ectypes.TransitEncryptionModeRequired
	}
	if err := checkDaily("SnapshotWindow", c.window); err != nil {
		return err
	}
	if err := checkWeekly(c.maintenance); err != nil {
		return err
	}
	seen := map[ectypes.LogType]bool{}
	for _, l := range c.logs {
		d := l.DestinationDetails
		cloudwatch := l.DestinationType == ectypes.DestinationTypeCloudWatchLogs && d != nil && d.CloudWatchLogsDetails != nil && d.CloudWatchLogsDetails.LogGroup != nil
		firehose := l.DestinationType == ectypes.DestinationTypeKinesisFirehose && d != nil && d.KinesisFirehoseDetails != nil && d.KinesisFirehoseDetails.DeliveryStream != nil
		if !cloudwatch && !firehose || !slices.Contains(l.LogType.Values(), l.LogType) || !slices.Contains(l.LogFormat.Values(), l.LogFormat) || seen[l.LogType] {
			return awssim.Fail("InvalidParameterValue", "The log delivery configuration of %s is not valid.", l.LogType)
		}
		seen[l.LogType] = true
	}
	return nil
}

// validAuth holds the documented rule for AUTH tokens.
func validAuth(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!&#$^<>-", r) {
			return false
		}
	}
	return len(s) >= 16 && len(s) <= 128
}

// describeLogs makes what the API shows of the log delivery.
func (c *config) describeLogs() (all []ectypes.LogDeliveryConfiguration) {
	for _, l := range c.logs {
		d := ectypes.LogDeliveryConfiguration{DestinationDetails: l.DestinationDetails, DestinationType: l.DestinationType,
			LogFormat: l.LogFormat, LogType: l.LogType, Status: ectypes.LogDeliveryConfigurationStatusActive}
		if why, bad := c.undelivered[l.LogType]; bad {
			d.Status, d.Message = ectypes.LogDeliveryConfigurationStatusError, &why
		}
		all = append(all, d)
	}
	return all
}

var weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// minutes reads hh24:mi, -1 for what is not.
func minutes(s string) int {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != 5 {
		return -1
	}
	return t.Hour()*60 + t.Minute()
}

func span60(from, to, round int) bool { return from >= 0 && to >= 0 && (to-from+round)%round >= 60 }

// checkDaily holds the rule for hh24:mi-hh24:mi of an hour at least.
func checkDaily(what, s string) error {
	from, to, _ := strings.Cut(s, "-")
	if s != "" && !span60(minutes(from), minutes(to), 24*60) {
		return awssim.Fail("InvalidParameterValue", "Invalid value %s for %s: it must be hh24:mi-hh24:mi and at least 60 minutes.", s, what)
	}
	return nil
}

// checkWeekly holds the rule for ddd:hh24:mi-ddd:hh24:mi of an hour at least.
func checkWeekly(s string) error {
	at := func(s string) int {
		day, clock, _ := strings.Cut(s, ":")
		d, m := slices.Index(weekdays, strings.ToLower(day)), minutes(clock)
		if d < 0 || m < 0 {
			return -1
		}
		return d*24*60 + m
	}
	from, to, _ := strings.Cut(s, "-")
	if s != "" && !span60(at(from), at(to), 7*24*60) {
		return awssim.Fail("InvalidParameterValue", "Invalid value %s for PreferredMaintenanceWindow: it must be ddd:hh24:mi-ddd:hh24:mi and at least 60 minutes.", s)
	}
	return nil
}

// logText is a view of the log delivery: type, destination and format of each.
func (c *config) logText() (all []string) {
	for _, l := range c.logs {
		var to string
		if d := l.DestinationDetails; d.CloudWatchLogsDetails != nil {
			to = *d.CloudWatchLogsDetails.LogGroup
		} else {
			to = *d.KinesisFirehoseDetails.DeliveryStream
		}
		all = append(all, fmt.Sprintf("%s to %s %s as %s", l.LogType, l.DestinationType, to, l.LogFormat))
	}
	return all
}

package elasticachesim

import (
	"errors"
	"fmt"
	"time"

	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// chosenTime is when the daily snapshots of a serverless cache are made for which nobody said it.
const chosenTime = "05:30"

func (s *ElastiCache) modifyServerlessCache(r *awssim.Request, in *awselasticache.ModifyServerlessCacheInput) (*awselasticache.ModifyServerlessCacheOutput, error) {
	c, ok := s.at(r).serverless.live(lower(in.ServerlessCacheName), r.Now)
	if !ok {
		return nil, noServerless(in.ServerlessCacheName)
	}
	known := awselasticache.ModifyServerlessCacheInput{ServerlessCacheName: in.ServerlessCacheName, SnapshotRetentionLimit: in.SnapshotRetentionLimit, DailySnapshotTime: in.DailySnapshotTime}
	if fmt.Sprintf("%+v", known) != fmt.Sprintf("%+v", *in) {
		return nil, errors.New("awssim: ModifyServerlessCache is simulated for SnapshotRetentionLimit and DailySnapshotTime only")
	}
	if status := c.status(r.Now); status != "available" || within(c.busy, r.Now) {
		return nil, awssim.Fail("InvalidServerlessCacheStateFault", "Serverless cache %s is not in the available state, or a snapshot of it is being made: its status is %s.", c.name, status)
	}
	is := c.dailyNow(r.Now)
	to := is
	switch {
	case in.SnapshotRetentionLimit != nil && in.DailySnapshotTime != nil:
		return nil, awssim.Fail("InvalidParameterCombination", "Serverless Cache modifications only support modifying one field per request.")
	case in.SnapshotRetentionLimit != nil:
		if to.retention = *in.SnapshotRetentionLimit; to.retention < 0 || to.retention > 35 {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid value for SnapshotRetentionLimit: %d", to.retention)
		}
		if to.retention > 0 && to.window == "" {
			to.window = chosenTime
		}
	case in.DailySnapshotTime != nil:
		if to.window = *in.DailySnapshotTime; minutes(to.window) < 0 {
			return nil, awssim.Fail("InvalidParameterValue", "Invalid value for DailySnapshotTime: %s", to.window)
		}
		if to.retention == 0 {
			return nil, awssim.Fail("InvalidParameterCombination", "DailySnapshotTime can not be set while SnapshotRetentionLimit is 0.")
		}
	}
	if to == is {
		return nil, noModification()
	}
	c.changes.apply(r, "serverless/"+c.name, to)
	o := c.describe(r)
	return &awselasticache.ModifyServerlessCacheOutput{ServerlessCache: &o}, nil
}

func (c *serverless) dailyNow(t time.Time) daily {
	d := c.changes.dailyAt(t, daily{retention: c.retention, window: c.daily})
	d.at = time.Time{}
	return d
}

package elasticache

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// asServerless is RestoreOptions.As of a restore to a serverless cache, within the package.
const asServerless = "serverless"

// ServerlessOptions are the settings of a restore to a serverless cache. Name and SecurityGroups are required. What is empty or 0 is AWS's default;
// a serverless cache is always encrypted, at rest and in transit.
//
// Source: ElastiCache API, CreateServerlessCache.
type ServerlessOptions struct {
	// Name is the new cache's: 1 to 40 letters, digits and hyphens, a letter first. That AWS takes no longer ones is UNVERIFIED.
	Name string
	// SecurityGroups are the VPC security groups, at least one: AWS would otherwise take the VPC's default group.
	SecurityGroups []string
	// Subnets are those of the cache's endpoint, all of one VPC; empty means two or three that AWS chooses in the default VPC.
	Subnets []string
	// KMSKeyID is the ARN of the key, empty for AWS's own.
	KMSKeyID string
	// UserGroup is the user group (access control); without one whoever reaches the cache can use it.
	UserGroup string
	// MajorVersion is the engine's, such as "8"; empty for the snapshot's.
	MajorVersion string
	// Description has at most 255 bytes; empty says of which snapshot it is.
	Description string
	// SnapshotRetentionDays is for how many days automatic snapshots are kept, 1 to 35; 0 for none. They are made daily at SnapshotTime, hh:mm in
	// UTC, which is required with them.
	SnapshotRetentionDays int32
	SnapshotTime          string
	// StorageMinGB and StorageMaxGB bound the data, ECPUMin and ECPUMax the ElastiCache Processing Units a second; 0 leaves a bound out.
	StorageMinGB, StorageMaxGB, ECPUMin, ECPUMax int32
}

// OptionsFor makes ServerlessOptions usable as backup.Spec.Options.
func (ServerlessOptions) OptionsFor() (string, backup.Action) { return Kind, backup.ActionRestore }

func (o ServerlessOptions) valid(r backup.Ref) error {
	bad := func(hint, format string, args ...any) error {
		return invalid(backup.ActionRestore, r, hint, format, args...)
	}
	if err := policy.ValidateReplicationGroupID(o.Name); err != nil {
		return bad("set ServerlessOptions.Name to a new name: 1 to 40 letters, digits and hyphens, a letter first", "%w", err)
	}
	if len(o.SecurityGroups) == 0 {
		return bad("name at least one security group; AWS would take the VPC's default group", "no security groups")
	}
	for i, g := range o.SecurityGroups {
		if !securityGroup(g) || slices.Contains(o.SecurityGroups[:i], g) {
			return bad("use ids such as sg-0123456789abcdef0, each once", "%.300q is not the id of a security group, or is named twice", g)
		}
	}
	for i, n := range o.Subnets {
		rest, ok := strings.CutPrefix(n, "subnet-")
		if !ok || rest == "" || len(n) > 255 || strings.Trim(rest, "abcdefghijklmnopqrstuvwxyz0123456789") != "" || slices.Contains(o.Subnets[:i], n) {
			return bad("use ids such as subnet-0123456789abcdef0, each once", "%.300q is not the id of a subnet, or is named twice", n)
		}
	}
	if o.KMSKeyID != "" {
		if err := validKey(backup.ActionRestore, r, o.KMSKeyID); err != nil {
			return err
		}
	}
	switch {
	case o.UserGroup != "" && (len(o.UserGroup) > 40 || strings.Trim(o.UserGroup, letters+"-") != ""):
		return bad("copy the user group's id from AWS", "the user group %.80q", o.UserGroup)
	case o.MajorVersion != "" && strings.Trim(o.MajorVersion, "0123456789.") != "":
		return bad("use a version such as 8", "the version %.40q", o.MajorVersion)
	case len(o.Description) > descriptionBytes || len(o.SecurityGroups) > 50 || len(o.Subnets) > 50 || len(o.MajorVersion) > 16:
		return bad("shorten it", "a setting is longer than AWS takes")
	case o.SnapshotRetentionDays < 0 || o.SnapshotRetentionDays > maxRetention:
		return bad("choose 1 to 35 days, or 0 for no automatic snapshots", "SnapshotRetentionDays is %d", o.SnapshotRetentionDays)
	case (o.SnapshotTime == "") != (o.SnapshotRetentionDays == 0):
		return bad("set both SnapshotRetentionDays and SnapshotTime, or neither", "automatic snapshots need a retention and a time")
	case o.SnapshotTime != "" && minuteOf(o.SnapshotTime) < 0:
		return bad("use hh:mm in UTC, such as 03:00", "the time %.40q", o.SnapshotTime)
	case o.StorageMinGB < 0 || o.StorageMaxGB < 0 || o.ECPUMin < 0 || o.ECPUMax < 0 || o.StorageMaxGB > 0 && o.StorageMinGB > o.StorageMaxGB || o.ECPUMax > 0 && o.ECPUMin > o.ECPUMax:
		return bad("leave bounds 0, or have the upper ones not below the lower ones", "the usage limits contradict each other")
	}
	return nil
}

// startServerless makes the state of a restore to a serverless cache.
func startServerless(r backup.Ref, spec backup.Spec) (restoreState, error) {
	o, ok := spec.Options.(ServerlessOptions)
	if !ok {
		return restoreState{}, invalid(backup.ActionRestore, r, "set Spec.Options to elasticache.ServerlessOptions with a Name and SecurityGroups", "options of type %T", spec.Options)
	}
	o.Name = policy.CanonicalName(o.Name)
	if spec.Name != "" && policy.CanonicalName(spec.Name) != o.Name {
		return restoreState{}, invalid(backup.ActionRestore, r, "leave Spec.Name empty", "Spec.Name %q is not ServerlessOptions.Name %q", spec.Name, o.Name)
	}
	if err := o.valid(r); err != nil {
		return restoreState{}, err
	}
	return restoreState{Options: RestoreOptions{ID: o.Name, As: asServerless}, Serverless: &o}, nil
}

// settle decides what the snapshot leaves open. It returns the options that the rest of the restore goes by.
func (o *ServerlessOptions) settle(r backup.Ref, x *ectypes.Snapshot) (RestoreOptions, error) {
	out := RestoreOptions{ID: o.Name, As: asServerless, Engine: policy.CanonicalName(aws.ToString(x.Engine)), EngineVersion: cmp.Or(o.MajorVersion, aws.ToString(x.EngineVersion))}
	switch {
	case out.Engine == "":
		return out, refused(r, "restore", backup.ErrUnsupported, "look at the snapshot", "AWS does not tell the snapshot's engine, which a new serverless cache must be given")
	case o.MajorVersion != "" && older(o.MajorVersion, aws.ToString(x.EngineVersion)):
		return out, refused(r, "restore", backup.ErrUnsupported, "choose the snapshot's version or a later one", "the version %s is earlier than the snapshot's %s", o.MajorVersion, aws.ToString(x.EngineVersion))
	}
	return out, nil
}

// createServerless makes the call for the new cache, and gives its status.
func (s *Strategy) createServerless(ctx context.Context, c *awselasticache.Client, op backup.Operation, st restoreState) (string, error) {
	o := st.Serverless
	in := &awselasticache.CreateServerlessCacheInput{ServerlessCacheName: &o.Name, Engine: text(st.Options.Engine), MajorEngineVersion: text(st.Options.EngineVersion),
		SnapshotArnsToRestore: []string{st.ARN}, SecurityGroupIds: o.SecurityGroups, SubnetIds: o.Subnets, KmsKeyId: text(o.KMSKeyID),
		UserGroupId: text(o.UserGroup), Description: text(o.Description), SnapshotRetentionLimit: number(o.SnapshotRetentionDays), DailySnapshotTime: text(o.SnapshotTime),
		CacheUsageLimits: o.limits(), Tags: tagList(op.OwnTags(op.Ref))}
	if o.Description == "" {
		from := "restored from " + op.Ref.ID
		in.Description = aws.String(from[:min(len(from), descriptionBytes)])
	}
	out, err := c.CreateServerlessCache(ctx, in, s.sending)
	if err != nil || out.ServerlessCache == nil {
		return "", err
	}
	return word(out.ServerlessCache.Status), nil
}

func (o *ServerlessOptions) limits() *ectypes.CacheUsageLimits {
	if o.StorageMinGB == 0 && o.StorageMaxGB == 0 && o.ECPUMin == 0 && o.ECPUMax == 0 {
		return nil
	}
	l := &ectypes.CacheUsageLimits{}
	if o.StorageMinGB > 0 || o.StorageMaxGB > 0 {
		l.DataStorage = &ectypes.DataStorage{Unit: ectypes.DataStorageUnitGb, Minimum: number(o.StorageMinGB), Maximum: number(o.StorageMaxGB)}
	}
	if o.ECPUMin > 0 || o.ECPUMax > 0 {
		l.ECPUPerSecond = &ectypes.ECPUPerSecond{Minimum: number(o.ECPUMin), Maximum: number(o.ECPUMax)}
	}
	return l
}

// serverlessMade is what has the name of a new serverless cache, nil if nothing is visible.
func (s *Strategy) serverlessMade(ctx context.Context, c *awselasticache.Client, r backup.Ref, name string) (*made, error) {
	x, err := s.serverlessCache(ctx, c, r, name)
	if x == nil || err != nil {
		return nil, err
	}
	m := &made{arn: arn(x.ARN, r, arnServerless, name), status: word(x.Status), serverless: x}
	m.add(name, "primary", x.Endpoint)
	m.add(name, "reader", x.ReaderEndpoint)
	m.whole = x.Endpoint != nil
	return m, nil
}

// exposure lists in what the new cache is not as it was asked to be. What the service does not tell is not judged.
func (o *ServerlessOptions) exposure(x *ectypes.ServerlessCache) (bad []string) {
	if len(x.SecurityGroupIds) > 0 && !sameNames(x.SecurityGroupIds, o.SecurityGroups) {
		bad = append(bad, "the security groups are "+strings.Join(x.SecurityGroupIds, ", ")+" and not "+strings.Join(o.SecurityGroups, ", "))
	}
	if len(x.SubnetIds) > 0 && len(o.Subnets) > 0 && !sameNames(x.SubnetIds, o.Subnets) {
		bad = append(bad, "the subnets are "+strings.Join(x.SubnetIds, ", ")+" and not "+strings.Join(o.Subnets, ", "))
	}
	if key := aws.ToString(x.KmsKeyId); o.KMSKeyID != "" && key != "" && key != o.KMSKeyID {
		bad = append(bad, "its KMS key is "+key+" and not "+o.KMSKeyID)
	}
	if have := aws.ToString(x.UserGroupId); o.UserGroup != "" && have != o.UserGroup {
		bad = append(bad, "its user group is "+have+" and not "+o.UserGroup)
	}
	return bad
}

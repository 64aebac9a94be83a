package elasticachesim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// config is what a group and its members, a cluster, and a snapshot of either have in common.
type config struct {
	engine, version, nodeType     string
	port                          int32
	subnetGroup, parameterGroup   string
	securityGroups                []string
	transit, atRest, minorUpgrade bool
	tiering                       bool
	kms                           string
	retention                     int32
	window, maintenance           string
	settings
}

// keyRing is what a simulated KMS tells of keys.
type keyRing interface {
	KeyUsable(keyARN, account string) (state string, exists bool)
}

func checkKey(r *awssim.Request, key string) error {
	if key == "" {
		return nil
	}
	ring, ok := awssim.Find[keyRing](r.World)
	if !ok {
		return nil
	}
	state, exists := ring.KeyUsable(key, r.Account)
	if !exists || state != "Enabled" {
		return awssim.Fail("InvalidParameterValue", "The KMS key %s does not exist, is not enabled or you do not have permissions to access it.", key)
	}
	return nil
}

var defaultVersions = map[string]string{"redis": "7.1", "valkey": "8.0", "memcached": "1.6.22"}

// patches are the versions that AWS runs for those that a call names; another has the patch 0.
var patches = map[string]string{"redis6.x": "6.2.6", "redis6.0": "6.0.5", "redis6.2": "6.2.6", "redis7.0": "7.0.7", "valkey7.2": "7.2.6", "valkey8.0": "8.0.1"}

// patchless tells whether AWS chooses the patch of a version.
func patchless(engine, version string) bool {
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	return err == nil && (engine == "valkey" || engine == "redis" && n >= 6)
}

// withoutPatch is the version as a call may name it.
func withoutPatch(engine, version string) string {
	if parts := strings.Split(version, "."); patchless(engine, version) && len(parts) > 2 {
		return parts[0] + "." + parts[1]
	}
	return version
}

// withPatch is the version as AWS tells it.
func withPatch(engine, version string) string {
	if !patchless(engine, version) || strings.Count(version, ".") > 1 {
		return version
	}
	if full, ok := patches[engine+version]; ok {
		return full
	}
	return version + ".0"
}

// wanted is the part of a create call that clusters and groups share.
type wanted struct {
	engine, version, nodeType, subnetGroup, parameterGroup *string
	securityGroups                                         []string
	port                                                   *int32
	transit, atRest, minorUpgrade                          *bool
	kms                                                    *string
	retention                                              *int32
	window, maintenance                                    *string
	auth                                                   *string
	transitMode                                            ectypes.TransitEncryptionMode
	userGroups                                             []string
	logs                                                   []ectypes.LogDeliveryConfigurationRequest
	// clusterMode is known only for groups.
	clusterMode bool
	from        *snapshot
}

// resolve makes the configuration of what is to be created, from what was asked for, the snapshot and AWS's defaults.
func (p *regional) resolve(r *awssim.Request, w wanted) (config, error) {
	c := config{
		engine: strings.ToLower(aws.ToString(w.engine)), version: aws.ToString(w.version), nodeType: strings.ToLower(aws.ToString(w.nodeType)),
		port: aws.ToInt32(w.port), subnetGroup: strings.ToLower(aws.ToString(w.subnetGroup)), parameterGroup: aws.ToString(w.parameterGroup),
		securityGroups: slices.Clone(w.securityGroups), transit: aws.ToBool(w.transit), minorUpgrade: w.minorUpgrade == nil || *w.minorUpgrade,
		kms: aws.ToString(w.kms), retention: aws.ToInt32(w.retention), window: aws.ToString(w.window), maintenance: aws.ToString(w.maintenance),
		settings: settings{auth: aws.ToString(w.auth), transitMode: w.transitMode, userGroups: slices.Clone(w.userGroups), logs: w.logs},
	}
	if s := w.from; s != nil {
		if c.engine == "" {
			c.engine = s.engine
		}
		if c.version == "" {
			c.version = s.version
		}
		if c.nodeType == "" {
			c.nodeType = s.nodeType
		}
		if c.port == 0 {
			c.port = s.port
		}
	}
	if c.engine == "" {
		c.engine = "redis"
	}
	version, ok := defaultVersions[c.engine]
	if !ok {
		return c, awssim.Fail("InvalidParameterValue", "Unrecognized engine name: %s", c.engine)
	}
	if c.version == "" {
		c.version = version
	} else if short := withoutPatch(c.engine, aws.ToString(w.version)); w.version != nil && short != *w.version {
		return c, awssim.Fail("InvalidParameterValue", "Specific version selection is not allowed for '%s', please use '%s'", *w.version, short)
	}
	c.version = withPatch(c.engine, c.version)
	if !strings.HasPrefix(c.nodeType, "cache.") {
		return c, awssim.Fail("InvalidParameterValue", "Invalid cache node type %q", c.nodeType)
	}
	if c.port == 0 {
		c.port = 6379
		if c.engine == "memcached" {
			c.port = 11211
		}
	}
	c.atRest = c.engine == "valkey"
	if w.atRest != nil {
		c.atRest = *w.atRest
	}
	if c.kms != "" && !c.atRest {
		return c, awssim.Fail("InvalidParameterCombination", "A KMS key can only be used with encryption at rest.")
	}
	if err := checkKey(r, c.kms); err != nil {
		return c, err
	}
	if c.subnetGroup == "" {
		c.subnetGroup = "default"
	}
	if _, ok := p.subnetGroups.live(c.subnetGroup, r.Now); !ok {
		return c, awssim.Fail("CacheSubnetGroupNotFoundFault", "Cache Subnet Group %s does not exist.", c.subnetGroup)
	}
	if len(c.securityGroups) == 0 {
		c.securityGroups = []string{"sg-default"}
	}
	if c.parameterGroup == "" {
		c.parameterGroup = "default." + family(c.engine, c.version)
		if w.clusterMode {
			c.parameterGroup += ".cluster.on"
		}
	} else if _, known := p.parameterGroups[c.parameterGroup]; !known && !strings.HasPrefix(c.parameterGroup, "default.") {
		return c, awssim.Fail("CacheParameterGroupNotFound", "CacheParameterGroup %s not found.", c.parameterGroup)
	}
	if c.retention < 0 || c.retention > 35 {
		return c, awssim.Fail("InvalidParameterValue", "Invalid value for SnapshotRetentionLimit: %d", c.retention)
	}
	if c.window == "" {
		c.window = "03:00-04:00"
	}
	if c.maintenance == "" {
		c.maintenance = "sun:05:00-sun:06:00"
	}
	return c, c.check()
}

// clusterOn tells whether a parameter group switches cluster mode on.
func (p *regional) clusterOn(parameterGroup string) bool {
	return p.parameterGroups[parameterGroup] || strings.HasPrefix(parameterGroup, "default.") && strings.HasSuffix(parameterGroup, ".cluster.on")
}

func family(engine, version string) string {
	major, rest, _ := strings.Cut(version, ".")
	if engine == "memcached" {
		minor, _, _ := strings.Cut(rest, ".")
		return engine + major + "." + minor
	}
	if engine == "redis" && major < "6" {
		return engine + major + ".0"
	}
	return engine + major
}

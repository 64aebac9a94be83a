package elasticache

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// operations are those that the package calls.
var operations = []string{"CreateSnapshot", "CopySnapshot", "DescribeSnapshots", "DeleteSnapshot", "ListTagsForResource", "CreateReplicationGroup", "DescribeReplicationGroups",
	"CreateCacheCluster", "DescribeCacheClusters", "DescribeCacheSubnetGroups", "ModifyReplicationGroup", "ModifyCacheCluster", "DeleteReplicationGroup", "DeleteCacheCluster",
	"CreateServerlessCache", "DescribeServerlessCaches", "CreateServerlessCacheSnapshot", "DescribeServerlessCacheSnapshots", "CopyServerlessCacheSnapshot", "DeleteServerlessCacheSnapshot",
	"ModifyServerlessCache"}

// TestTableIsComplete reads the SDK's own deserializers: an error that an update of the SDK models anew must be classified before it is used.
func TestTableIsComplete(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/elasticache").Output()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "deserializers.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		operation, ok := strings.CutPrefix(f.Name.Name, "awsAwsquery_deserializeOpError")
		if !ok || !contains(operations, operation) {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if s, ok := call.Fun.(*ast.SelectorExpr); !ok || s.Sel.Name != "EqualFold" || len(call.Args) != 2 {
				return true
			}
			lit, ok := call.Args[0].(*ast.BasicLit)
			if !ok {
				return true
			}
			code, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			seen[operation]++
			if len(table[code]) == 0 {
				t.Errorf("%s: the code %s is not classified", operation, code)
			}
			return true
		})
	}
	for _, operation := range operations {
		if seen[operation] == 0 {
			t.Errorf("no errors were found for %s: the SDK is written in another way now", operation)
		}
	}
}

// TestOperationsAreKnown holds the list above against the package's own calls.
func TestOperationsAreKnown(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		if _, err := os.Stat(name); err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			s, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "c" && ast.IsExported(s.Sel.Name) && !contains(operations, s.Sel.Name) {
				t.Errorf("%s calls %s, which is not in the list of operations", name, s.Sel.Name)
			}
			return true
		})
	}
}

func contains(all []string, s string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

func TestTableRows(t *testing.T) {
	for code, rules := range table {
		for _, r := range rules {
			if r.Code == "" || r.Hint == "" || r.Class == awscall.Ambiguous {
				t.Errorf("%s: %+v", code, r)
			}
			if state := strings.Contains(code, "State"); state && code != "InvalidVPCNetworkStateFault" && r.Class != awscall.NotYet {
				t.Errorf("%s is not waited for", code)
			}
		}
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		code  string
		want  backup.Code
		class awscall.Class
	}{
		{"APICallRateForCustomerExceeded", backup.ErrThrottled, awscall.NotApplied},
		{"Throttling", backup.ErrThrottled, awscall.NotApplied},
		{"SnapshotQuotaExceededFault", backup.ErrQuota, awscall.Permanent},
		{"SnapshotAlreadyExistsFault", backup.ErrConflict, awscall.Permanent},
		{"InvalidReplicationGroupState", backup.ErrUnavailable, awscall.NotYet},
		{"SnapshotFeatureNotSupportedFault", backup.ErrUnsupported, awscall.Permanent},
		{"AccessDenied", backup.ErrDenied, awscall.Permanent},
		// Without a status of 400 and more that is no refusal.
		{"NeverHeardOf", backup.ErrUnavailable, awscall.Ambiguous},
	} {
		v := table.Classify(&smithy.GenericAPIError{Code: c.code, Message: "m"})
		if v.Code != c.want || v.Class != c.class || v.AWSCode != c.code {
			t.Errorf("%s: %+v", c.code, v)
		}
	}
}

func TestOlder(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{{"6.2", "7.0", true}, {"7.0", "6.2", false}, {"7.0", "7.0", false}, {"7.2", "7.10", true}, {"6.x", "6.2", false}, {"7", "7.1", false}, {"5.0.5", "5.0.6", true}, {"", "7.0", false}} {
		if got := older(c.a, c.b); got != c.want {
			t.Errorf("older(%q, %q) is %v", c.a, c.b, got)
		}
	}
}

func TestWithoutPatch(t *testing.T) {
	for _, c := range []struct{ engine, version, want string }{{"redis", "7.0.7", "7.0"}, {"redis", "7.0", "7.0"}, {"redis", "6.2.6", "6.2"}, {"redis", "6.x", "6.x"},
		{"redis", "5.0.6", "5.0.6"}, {"redis", "", ""}, {"redis", "a.b.c", "a.b.c"}, {"", "10.1.2", "10.1"}, {"valkey", "8.0.1", "8.0"}, {"valkey", "8", "8"}} {
		if got := withoutPatch(c.engine, c.version); got != c.want {
			t.Errorf("%s %q becomes %q, want %q", c.engine, c.version, got, c.want)
		}
	}
}

func TestFits(t *testing.T) {
	const account, region = "111122223333", "eu-west-1"
	r := Snapshot(account, region, "x")
	g, c := ReplicationGroup(account, region, "sessions").String(), Cluster(account, region, "one").String()
	for _, x := range []struct {
		name, cluster, group, snapshot, source string
		want                                   bool
	}{
		{"its cluster", "one", "", "x", c, true},
		{"another cluster", "two", "", "x", c, false},
		{"a cluster of another account", "one", "", "x", Cluster("444455556666", region, "one").String(), false},
		{"its group", "", "sessions", "x", g, true},
		{"its group and a member", "sessions-001", "sessions", "x", g, true},
		{"another group", "", "orders", "x", g, false},
		{"a member of another group that is named", "sessions-001", "orders", "x", g, false},
		{"a member", "sessions-002", "", "x", g, true},
		{"a member of a shard", "sessions-0001-001", "", "x", g, false},
		{"another cluster than a member", "one", "", "x", g, false},
		{"a name that only begins alike", "sessions-x", "", "x", g, false},
		{"a member of another Region's", "sessions-002", "", "x", ReplicationGroup(account, "us-east-1", "sessions").String(), false},
		{"a member of any id, by the name of the snapshot", "one", "", "sw-token", g, true},
		{"a member of a group, with the tag of the cluster", "one", "sessions", "x", c, false},
		{"nothing", "", "", "x", g, false},
		{"no tag", "one", "", "x", "", false},
	} {
		s := &ectypes.Snapshot{CacheClusterId: text(x.cluster), ReplicationGroupId: text(x.group), SnapshotName: &x.snapshot}
		if got := fits(r, s, map[string]string{backup.TagSource: x.source, backup.TagToken: "op-token"}); got != x.want {
			t.Errorf("%s: %v", x.name, got)
		}
	}
}

func TestExposure(t *testing.T) {
	yes, no, key := aws.Bool(true), aws.Bool(false), aws.String("k")
	asked := RestoreOptions{As: AsGroup, TransitEncryption: true, KMSKeyID: "k", ClusterMode: no, UserGroups: []string{"u"}}
	for _, c := range []struct {
		name string
		is   ectypes.ReplicationGroup
		ask  RestoreOptions
		want int
	}{
		{"nothing is told", ectypes.ReplicationGroup{}, asked, 0},
		{"as asked", ectypes.ReplicationGroup{TransitEncryptionEnabled: yes, AtRestEncryptionEnabled: yes, KmsKeyId: key, ClusterEnabled: no, UserGroupIds: []string{"u"}}, asked, 0},
		{"encrypted, as another field tells", ectypes.ReplicationGroup{AtRestEncryptionEnabled: no, StorageEncryptionType: ectypes.StorageEncryptionTypeSseElasticache}, RestoreOptions{As: AsGroup}, 0},
		{"safer", ectypes.ReplicationGroup{TransitEncryptionEnabled: yes, AtRestEncryptionEnabled: yes}, RestoreOptions{As: AsGroup, AtRestUnencrypted: true}, 0},
		{"in the clear", ectypes.ReplicationGroup{TransitEncryptionEnabled: no}, asked, 1},
		{"disks in the clear", ectypes.ReplicationGroup{AtRestEncryptionEnabled: no}, asked, 1},
		{"disks in the clear, by the other field", ectypes.ReplicationGroup{StorageEncryptionType: ectypes.StorageEncryptionTypeNone}, asked, 1},
		{"another key", ectypes.ReplicationGroup{KmsKeyId: aws.String("other")}, asked, 1},
		{"no key", ectypes.ReplicationGroup{StorageEncryptionType: ectypes.StorageEncryptionTypeSseElasticache}, asked, 1},
		{"cluster mode", ectypes.ReplicationGroup{ClusterEnabled: yes}, asked, 1},
		{"without a token", ectypes.ReplicationGroup{AuthTokenEnabled: no}, RestoreOptions{As: AsGroup, TransitEncryption: true, AuthToken: true}, 1},
		{"with the token", ectypes.ReplicationGroup{AuthTokenEnabled: yes}, RestoreOptions{As: AsGroup, TransitEncryption: true, AuthToken: true}, 0},
		{"a token that nobody asked for", ectypes.ReplicationGroup{AuthTokenEnabled: yes}, RestoreOptions{As: AsGroup, TransitEncryption: true}, 0},
		{"clients without TLS", ectypes.ReplicationGroup{TransitEncryptionMode: ectypes.TransitEncryptionModePreferred}, asked, 1},
		{"clients without TLS, as asked", ectypes.ReplicationGroup{TransitEncryptionMode: ectypes.TransitEncryptionModePreferred}, RestoreOptions{As: AsGroup, TransitEncryption: true, TransitMode: TransitPreferred}, 0},
		{"other users", ectypes.ReplicationGroup{UserGroupIds: []string{"everybody"}}, asked, 1},
	} {
		bad, _, err := (&Strategy{}).exposure(t.Context(), nil, Snapshot("111122223333", "eu-west-1", "x"), c.ask, &made{transit: c.is.TransitEncryptionEnabled, mode: c.is.TransitEncryptionMode, auth: c.is.AuthTokenEnabled, group: &c.is})
		if err != nil || len(bad) != c.want {
			t.Errorf("%s: %q, %v", c.name, bad, err)
		}
	}
}

func TestUnlike(t *testing.T) {
	days := aws.Int32
	slow := LogDelivery{Log: "slow-log", To: "cloudwatch-logs", Name: "/a", Format: "json"}
	logs := func(status ectypes.LogDeliveryConfigurationStatus, group string) []ectypes.LogDeliveryConfiguration {
		return []ectypes.LogDeliveryConfiguration{{LogType: "engine-log", Status: "error"}, {LogType: "slow-log", Status: status, LogFormat: "JSON", DestinationType: "cloudwatch-logs", Message: aws.String("m"),
			DestinationDetails: &ectypes.DestinationDetails{CloudWatchLogsDetails: &ectypes.CloudWatchLogsDestinationDetails{LogGroup: &group}}}}
	}
	for _, c := range []struct {
		name string
		ask  RestoreOptions
		is   made
		want string
	}{
		{"nothing is told", RestoreOptions{MultiAZ: true, AutomaticFailover: true, SnapshotRetentionDays: 3, SnapshotWindow: "03:00-04:00", MaintenanceWindow: "sun:01:00-sun:02:00"}, made{group: &ectypes.ReplicationGroup{}}, ""},
		{"nothing is told of a cluster", RestoreOptions{SnapshotRetentionDays: 3, SnapshotWindow: "03:00-04:00", MaintenanceWindow: "sun:01:00-sun:02:00"}, made{cluster: &ectypes.CacheCluster{}}, ""},
		{"nothing was asked for", RestoreOptions{}, made{group: &ectypes.ReplicationGroup{MultiAZ: "disabled", AutomaticFailover: "disabled", SnapshotWindow: aws.String("03:00-04:00"), SnapshotRetentionLimit: days(0)}}, ""},
		{"no zones", RestoreOptions{MultiAZ: true}, made{group: &ectypes.ReplicationGroup{MultiAZ: "disabled", AutomaticFailover: "enabled"}}, "Multi-AZ is off"},
		{"no failover", RestoreOptions{AutomaticFailover: true}, made{group: &ectypes.ReplicationGroup{AutomaticFailover: "disabled"}}, "automatic failover is disabled"},
		{"no failover yet", RestoreOptions{ClusterMode: aws.Bool(true)}, made{group: &ectypes.ReplicationGroup{AutomaticFailover: "enabling"}}, "automatic failover is enabling"},
		{"automatic snapshots", RestoreOptions{}, made{group: &ectypes.ReplicationGroup{SnapshotRetentionLimit: days(4)}}, "automatic snapshots are kept for 4 days"},
		{"the maintenance window", RestoreOptions{MaintenanceWindow: "sun:01:00-sun:02:00"}, made{cluster: &ectypes.CacheCluster{PreferredMaintenanceWindow: aws.String("mon:01:00-mon:02:00")}}, "the maintenance window is mon:01:00-mon:02:00"},
		{"the same in other letters", RestoreOptions{MaintenanceWindow: "sun:01:00-sun:02:00"}, made{cluster: &ectypes.CacheCluster{PreferredMaintenanceWindow: aws.String("Sun:01:00-Sun:02:00")}}, ""},
		{"a log as asked", RestoreOptions{LogDelivery: []LogDelivery{slow}}, made{cluster: &ectypes.CacheCluster{LogDeliveryConfigurations: logs("active", "/a")}}, ""},
		{"a log without a status", RestoreOptions{LogDelivery: []LogDelivery{slow}}, made{cluster: &ectypes.CacheCluster{LogDeliveryConfigurations: logs("", "/a")}}, ""},
		{"a log elsewhere", RestoreOptions{LogDelivery: []LogDelivery{slow}}, made{group: &ectypes.ReplicationGroup{LogDeliveryConfigurations: logs("active", "/b")}}, "the slow-log is delivered elsewhere, to /b"},
		{"a log in error", RestoreOptions{LogDelivery: []LogDelivery{slow}}, made{group: &ectypes.ReplicationGroup{LogDeliveryConfigurations: logs("error", "/a")}}, "the slow-log is not delivered: m"},
		{"a log to come", RestoreOptions{LogDelivery: []LogDelivery{slow}}, made{group: &ectypes.ReplicationGroup{LogDeliveryConfigurations: logs("enabling", "/a")}}, "the slow-log is enabling"},
		{"no log", RestoreOptions{LogDelivery: []LogDelivery{slow}}, made{group: &ectypes.ReplicationGroup{}}, "the slow-log is not delivered"},
	} {
		if got := strings.Join(c.ask.unlike(&c.is), "; "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	o := ServerlessOptions{StorageMinGB: 1, StorageMaxGB: 2, ECPUMin: 1000, ECPUMax: 2000}
	if got := o.unlike(&ectypes.ServerlessCache{}); len(got) != 0 {
		t.Errorf("%q", got)
	}
	if got := o.unlike(&ectypes.ServerlessCache{CacheUsageLimits: o.limits()}); len(got) != 0 {
		t.Errorf("%q", got)
	}
	other := ServerlessOptions{StorageMinGB: 2, StorageMaxGB: 3, ECPUMin: 2000, ECPUMax: 3000}
	if got := o.unlike(&ectypes.ServerlessCache{CacheUsageLimits: other.limits()}); len(got) != 4 {
		t.Errorf("%q", got)
	}
}

func TestSizes(t *testing.T) {
	for s, want := range map[string]int64{"5 MB": 5 << 20, "1.5 GB": 3 << 29, "": 0, "many": 0, "5": 0, "7 bytes": 7, "-1 MB": 0} {
		if got := sizeOf(s); got != want {
			t.Errorf("sizeOf(%q) is %d, want %d", s, got, want)
		}
	}
}

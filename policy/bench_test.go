package policy_test

import (
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/policy"
)

type benchmark struct {
	name string
	run  func() bool
}

// benchmarks are calls on good values, one for each kind of check.
func benchmarks() []benchmark {
	const (
		arn = "arn:aws:rds:ap-southeast-2:123456789012:snapshot:rds:orders-2024-01-31-03-15"
		key = "arn:aws:kms:us-east-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
	)
	long := strings.Repeat("orders-1", 31)
	tags := map[string]string{
		"snapwarden:owner": "nightly", "snapwarden:token": "0123456789abcdef", "snapwarden:source": arn, "Name": "B\u00fccher",
	}
	return []benchmark{
		{"Region", func() bool { return policy.ValidateRegion("ap-southeast-2") == nil }},
		{"PartitionOf", func() bool { p, err := policy.PartitionOf("us-gov-west-1"); return err == nil && p.ID == "aws-us-gov" }},
		{"PartitionByID", func() bool { p, err := policy.PartitionByID("aws-cn"); return err == nil && p.ID == "aws-cn" }},
		{"OptIn", func() bool { return policy.OptIn("ap-east-1") }},
		{"Zone", func() bool { return policy.ValidateZone("us-west-2-lax-1a", "us-west-2") == nil }},
		{"Account", func() bool { return policy.ValidateAccountID("123456789012") == nil }},
		{"ParseARN", func() bool { a, err := policy.ParseARN(arn); return err == nil && a.Service == "rds" }},
		{"KMSKeyARN", func() bool { return policy.ValidateKMSKeyARN(key) == nil }},
		{"BucketName", func() bool { return policy.ValidateBucketName("nightly-exports.eu-west-1.example") == nil }},
		{"BucketNameInNamespace", func() bool { return policy.ValidateBucketName("exports-123456789012-eu-west-1-an") == nil }},
		{"ExportName", func() bool { return policy.ValidateExportName("nightly-2026-11-20") == nil }},
		{"RDSInstanceID", func() bool { return policy.ValidateRDSInstanceID("orders-1") == nil }},
		{"RDSSnapshotID", func() bool { return policy.ValidateRDSSnapshotID(long) == nil }},
		{"CacheSnapshotName", func() bool { return policy.ValidateCacheSnapshotName("orders-2024-01-31") == nil }},
		{"SnapshotID", func() bool { return policy.ValidateSnapshotID("snap-0123456789abcdef0") == nil }},
		{"Tags", func() bool { return policy.ValidateTags(tags) == nil }},
		{"CanonicalName", func() bool { return policy.CanonicalName("orders-1") == "orders-1" }},
		{"IsAutomated", func() bool { return policy.IsAutomatedRDSSnapshotID("rds:orders-2024-01-31-03-15") }},
	}
}

func BenchmarkValid(b *testing.B) {
	for _, bm := range benchmarks() {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !bm.run() {
					b.Fatal("refused")
				}
			}
		})
	}
}

func BenchmarkInvalid(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if policy.ValidateRDSSnapshotID("my--snap") == nil {
			b.Fatal("accepted")
		}
	}
}

// A fleet checks hundreds of thousands of names: good ones must cost nothing.
func TestGoodValuesDoNotAllocate(t *testing.T) {
	for _, bm := range benchmarks() {
		ok := true
		if n := testing.AllocsPerRun(100, func() { ok = bm.run() && ok }); n != 0 || !ok {
			t.Errorf("%s: %v allocations, ok = %v", bm.name, n, ok)
		}
	}
}

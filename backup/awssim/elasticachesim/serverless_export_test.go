package elasticachesim_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (b *bed) exportServerless(name, bucket string) error {
	_, err := b.api.ExportServerlessCacheSnapshot(b.Context(), &awselasticache.ExportServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: &name, S3BucketName: &bucket})
	return err
}

// exportingServerless is exporting with a serverless cache "web" and its snapshot "plain", which a snapshot of a cluster is called too.
func exportingServerless(t *testing.T, s *shelf, c *caller, f func(b *bed)) {
	t.Helper()
	exporting(t, s, c, func(b *bed) {
		b.ok(b.serverless("web"))
		time.Sleep(time.Hour)
		b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, "web", nil, "plain"))
		f(b)
	})
}

func TestExportServerless(t *testing.T) {
	s := newShelf()
	exportingServerless(t, s, &caller{}, func(b *bed) {
		b.ok(b.exportServerless("Plain", "exports"))
		if d := cmp.Diff([]string{"plain-0001.rdb"}, slices.Sorted(maps.Keys(s.objects))); d != "" {
			t.Error(d)
		}
		if got := b.serverlessStatus("plain"); got != "copying" || !s.at["plain-0001.rdb"].After(time.Now()) {
			t.Errorf("while it is exported it is %s, and the file is there from %v", got, s.at["plain-0001.rdb"])
		}
		if !bytes.HasPrefix(s.objects["plain-0001.rdb"], []byte("REDIS0011")) {
			t.Errorf("the file begins with %q", s.objects["plain-0001.rdb"][:9])
		}
		b.code(b.exportServerless("plain", "exports"), "InvalidParameterValue") // the key is taken
		delete(s.objects, "plain-0001.rdb")
		b.code(b.exportServerless("plain", "exports"), "InvalidServerlessCacheSnapshotStateFault")
		_, err := b.api.DeleteServerlessCacheSnapshot(b.Context(), &awselasticache.DeleteServerlessCacheSnapshotInput{ServerlessCacheSnapshotName: aws.String("plain")})
		b.code(err, "InvalidServerlessCacheSnapshotStateFault")
		time.Sleep(time.Until(s.at["plain-0001.rdb"]))
		if got := b.serverlessStatus("plain"); got != "available" {
			t.Errorf("with the file there it is %s", got)
		}
		if got := aws.ToString(b.told("plain").SnapshotStatus); got != "available" {
			t.Errorf("the cluster's snapshot of the same name is %s", got)
		}

		b.world.Inject(awssim.Fault{Operation: "ExportServerlessCacheSnapshot", Kind: awssim.FaultAsync})
		b.ok(b.exportServerless("plain", "exports"))
		if got := b.serverlessStatus("plain"); len(s.objects) != 0 || got != "copying" {
			t.Errorf("a doomed export is %s, with %v", got, slices.Sorted(maps.Keys(s.objects)))
		}
		b.code(b.exportServerless("none", "exports"), "ServerlessCacheSnapshotNotFoundFault")
	})
}

// The bucket is checked as it is for a snapshot of a cluster, in the same words; what is of AWS's own kind is refused too.
func TestExportServerlessRefused(t *testing.T) {
	for name, c := range map[string]struct {
		with    func(b *bed, s *shelf, c *caller)
		message string
	}{
		"region":   {func(_ *bed, s *shelf, _ *caller) { s.region = "eu-west-2" }, "is outside of the region."},
		"acp":      {func(_ *bed, s *shelf, _ *caller) { s.allowed = s.allowed[:2] }, "has not been granted READ_ACP permissions exports"},
		"list all": {func(_ *bed, _ *shelf, c *caller) { c.denied = "s3:ListAllMyBuckets arn:aws:s3:::*" }, "unable to validate the authenticated user"},
		"taken":    {func(_ *bed, s *shelf, _ *caller) { s.objects["out-0001.rdb"] = []byte{1} }, "already contains an object with key out-0001.rdb."},
		"memcached": {func(b *bed, _ *shelf, _ *caller) {
			b.ok(b.serverless("mem", func(in *awselasticache.CreateServerlessCacheInput) { in.Engine = aws.String("memcached") }))
		}, "its engine is memcached"},
		"a customer's key": {func(b *bed, _ *shelf, _ *caller) {
			b.ok(b.serverless("mem", func(in *awselasticache.CreateServerlessCacheInput) {
				in.KmsKeyId = aws.String("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
			}))
		}, "Customer Managed CMK cannot be used"},
	} {
		t.Run(name, func(t *testing.T) {
			s, who := newShelf(), &caller{}
			exportingServerless(t, s, who, func(b *bed) {
				c.with(b, s, who)
				time.Sleep(time.Hour)
				of := "web"
				for _, x := range b.sim.ServerlessCaches(b.world, account, region) {
					if x.Name == "mem" {
						of = x.Name
					}
				}
				b.ok(b.sim.AddServerlessSnapshots(b.world, account, region, of, nil, "out"))
				had := len(s.objects)
				err := b.exportServerless("out", "exports")
				b.code(err, "InvalidParameterValue")
				if err == nil || !strings.Contains(err.Error(), c.message) || len(s.objects) != had || b.serverlessStatus("out") != "available" {
					t.Errorf("%v; %s, %v", err, b.serverlessStatus("out"), slices.Sorted(maps.Keys(s.objects)))
				}
			})
		})
	}
}

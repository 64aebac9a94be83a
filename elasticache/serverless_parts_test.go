package elasticache

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
)

// What a snapshot of a serverless cache says that it is of, and whose it is.
func TestServerlessOwnership(t *testing.T) {
	const account, region = "111122223333", "eu-west-1"
	web := Serverless(account, region, "web")
	op, err := backup.NewOperation(Kind, backup.ActionBackup, web, backup.Spec{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, cache, source string
		fits, foreign       bool
	}{
		{"its own", "Web", web.Tag(), true, false},
		{"of another cache", "app", web.Tag(), false, true},
		{"tagged as another's", "web", Serverless(account, region, "app").Tag(), false, true},
		{"tagged as a cluster's", "web", Cluster(account, region, "web").Tag(), false, true},
		{"of nothing", "", web.Tag(), false, true},
	} {
		x := common(web, &ectypes.ServerlessCacheSnapshot{ServerlessCacheSnapshotName: aws.String("S"), ServerlessCacheConfiguration: &ectypes.ServerlessCacheConfiguration{ServerlessCacheName: &c.cache}})
		tags := map[string]string{backup.TagSource: c.source, backup.TagToken: op.ID}
		if got := fits(web, x, tags); got != c.fits {
			t.Errorf("%s: fits is %v", c.name, got)
		}
		if got := (&Strategy{}).foreign(op, backupState{Name: "s"}, x, tags); (got != "") != c.foreign {
			t.Errorf("%s: foreign is %q", c.name, got)
		}
		if r := named(web, x); r != ServerlessSnapshot(account, region, "s") || snapshotARN(x, r) != "arn:aws:elasticache:eu-west-1:111122223333:serverlesscachesnapshot:S" {
			t.Errorf("%s: %v", c.name, r)
		}
	}
	// What AWS leaves out is empty, and nothing panics.
	if x := common(web, &ectypes.ServerlessCacheSnapshot{}); status(x) != backup.StatusPending || !created(x).IsZero() || automated(x) {
		t.Errorf("%+v", x)
	}
	if bad := (&ServerlessOptions{SecurityGroups: []string{"sg"}, Subnets: []string{"s"}, KMSKeyID: "k", UserGroup: "u"}).exposure(&ectypes.ServerlessCache{
		SecurityGroupIds: []string{"other"}, SubnetIds: []string{"t"}, KmsKeyId: aws.String("l")}); len(bad) != 4 {
		t.Errorf("%q", bad)
	}
}

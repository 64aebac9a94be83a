package s3sim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/policy"
)

const (
	user   = "arn:aws:iam::" + account + ":user/simulated"
	theirs = "arn:aws:iam::" + other + ":user/simulated"
)

// attached gives a bed with a simulated IAM in which statements are attached to users; the bucket was made before.
func attached(t *testing.T, to map[string]string, bucketPolicy string, f func(b *bed)) {
	t.Helper()
	bubble(t, func(b *bed) {
		iam := iamsim.Service()
		b.sim = s3sim.Service()
		b.world = awssim.New(b.sim, iam)
		b.api = b.client(account, region)
		b.make("box")
		b.ok(b.put("there", "text"))
		b.open()
		if bucketPolicy != "" {
			b.ok(b.policy(`{"Version": "2012-10-17", "Statement": [` + bucketPolicy + `]}`))
		}
		for who, statements := range to {
			doc, err := policy.ParseDocument([]byte(`{"Version": "2012-10-17", "Statement": [` + statements + `]}`))
			b.ok(err)
			b.ok(iam.Attach(b.world, who, doc))
		}
		f(b)
	})
}

// Who may put an object is decided by the policies of the caller and of the bucket together.
func TestIdentityAndBucket(t *testing.T) {
	const (
		read   = `{"Effect": "Allow", "Action": "s3:Get*", "Resource": "*"}`
		all    = `{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}`
		noPut  = `{"Effect": "Deny", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::box/*"}`
		onlyA  = `{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::box/a"}`
		sealed = `{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*", "Condition": {"StringEquals": {"s3:x-amz-server-side-encryption": "AES256"}}}`
	)
	given := func(effect, who string) string {
		return `{"Effect": "` + effect + `", "Principal": {"AWS": "` + who + `"}, "Action": "s3:PutObject", "Resource": "arn:aws:s3:::box/*"}`
	}
	const root, otherRoot = "arn:aws:iam::" + account + ":root", "arn:aws:iam::" + other + ":root"
	for name, c := range map[string]struct {
		identity, bucket string
		as               string // account
		want             bool
	}{
		"nothing attached":                         {"", "", account, true},
		"the identity's":                           {onlyA, "", account, true},
		"neither":                                  {read, "", account, false},
		"the bucket's, by name":                    {read, given("Allow", user), account, true},
		"the bucket's hands it to the account":     {read, given("Allow", root), account, false},
		"the same, by number":                      {read, given("Allow", account), account, false},
		"handed to the account, which allows":      {all, given("Allow", root), account, true},
		"everyone":                                 {read, given("Allow", "*"), account, true},
		"the identity's deny beats the bucket's":   {all + "," + noPut, given("Allow", user), account, false},
		"a deny alone beats the bucket's":          {noPut, given("Allow", user), account, false},
		"the bucket's deny beats the identity's":   {all, given("Deny", user), account, false},
		"another account, both":                    {all, given("Allow", otherRoot), other, true},
		"another account, the bucket's alone":      {read, given("Allow", theirs), other, false},
		"another account, its own alone":           {all, "", other, false},
		"another account, nothing attached":        {"", given("Allow", theirs), other, true},
		"another account, denied by its own":       {all + "," + noPut, given("Allow", theirs), other, false},
		"a condition of S3's that the call meets":  {sealed, "", account, true},
		"another account, by number of the caller": {all, given("Allow", other), other, true},
	} {
		t.Run(name, func(t *testing.T) {
			to := map[string]string{}
			if c.identity != "" {
				to["arn:aws:iam::"+c.as+":user/simulated"] = c.identity
			}
			attached(t, to, c.bucket, func(b *bed) {
				b.api = b.client(c.as, region)
				err := b.put("a", "x", func(in *awss3.PutObjectInput) { in.ServerSideEncryption = "AES256" })
				if c.want {
					b.ok(err)
				} else {
					b.code(err, "AccessDenied")
				}
			})
		})
	}
}

// Conditions see what S3 alone knows of a request.
func TestConditionsOfS3(t *testing.T) {
	attached(t, map[string]string{user: `{"Effect": "Allow", "Action": ["s3:ListBucket", "s3:ListBucketVersions"], "Resource": "*", "Condition": {"StringLike": {"s3:prefix": "mine/*"}, "NumericLessThan": {"s3:max-keys": "10"}}},
		{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*", "Condition": {"StringEquals": {"s3:x-amz-storage-class": "STANDARD_IA"}}}`}, "", func(b *bed) {
		list := func(prefix string, most int32) error {
			_, err := b.api.ListObjectsV2(b.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box"), Prefix: &prefix, MaxKeys: &most})
			return err
		}
		b.ok(list("mine/x", 9))
		b.code(list("yours/x", 9), "AccessDenied")
		b.code(list("mine/x", 10), "AccessDenied")
		_, err := b.api.ListObjectsV2(b.Context(), &awss3.ListObjectsV2Input{Bucket: aws.String("box")})
		b.code(err, "AccessDenied")
		_, err = b.api.ListObjectVersions(b.Context(), &awss3.ListObjectVersionsInput{Bucket: aws.String("box"), Prefix: aws.String("mine/"), MaxKeys: aws.Int32(1)})
		b.ok(err)
		b.code(b.put("a", "x"), "AccessDenied")
		b.ok(b.put("a", "x", func(in *awss3.PutObjectInput) { in.StorageClass = "STANDARD_IA" }))
		// Who may not list does not learn what is missing, and a HEAD tells no words.
		_, err = b.api.HeadObject(b.Context(), &awss3.HeadObjectInput{Bucket: aws.String("box"), Key: aws.String("a")})
		b.code(err, "Forbidden")
	})
}

// The owner's own grant in an ACL is the account's: it gives nothing to whom the account gives nothing.
func TestOwnersGrantIsTheAccounts(t *testing.T) {
	attached(t, map[string]string{user: `{"Effect": "Allow", "Action": ["s3:*BucketAcl", "s3:*OwnershipControls"], "Resource": "*"}`}, "", func(b *bed) {
		b.acls(s3types.ObjectOwnershipObjectWriter)
		if d := cmp.Diff([]string{"FULL_CONTROL owner"}, b.shown()); d != "" {
			t.Error(d)
		}
		b.code(b.put("a", "x"), "AccessDenied")
	})
}

// A read that a fault has look into the past is judged by now, for S3 has no past.
func TestStaleReadsAreJudgedNow(t *testing.T) {
	attached(t, nil, `{"Effect": "Deny", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::box/*", "Condition": {"DateLessThan": {"aws:CurrentTime": "2000-01-01T12:00:00Z"}}}`, func(b *bed) {
		_, err := b.get("there")
		b.code(err, "AccessDenied")
		time.Sleep(13 * time.Hour) // a bubble begins with the year 2000
		b.world.Inject(awssim.Fault{Operation: "GetObject", Kind: awssim.FaultStale, Back: 2 * time.Hour})
		b.reads("there", "text")
	})
}

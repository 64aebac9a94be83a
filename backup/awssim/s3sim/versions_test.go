package s3sim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

func (b *bed) versioning(to s3types.BucketVersioningStatus) error {
	_, err := b.api.PutBucketVersioning(b.Context(), &awss3.PutBucketVersioningInput{Bucket: aws.String("box"), VersioningConfiguration: &s3types.VersioningConfiguration{Status: to}})
	return err
}

func (b *bed) remove(key string, version *string, bypass bool) error {
	_, err := b.api.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String("box"), Key: &key, VersionId: version, BypassGovernanceRetention: &bypass})
	return err
}

func TestVersions(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("a", "zero"))
		b.ok(b.versioning("Enabled"))
		b.ok(b.put("a", "one"))
		first := b.head("a").VersionId
		b.ok(b.put("a", "two"))
		b.ok(b.remove("a", nil, false))
		_, err := b.get("a")
		b.code(err, "NoSuchKey")
		for id, want := range map[string]string{"null": "zero", *first: "one"} {
			text, err := b.get("a", func(in *awss3.GetObjectInput) { in.VersionId = &id })
			if err != nil || text != want {
				t.Errorf("%s: %q %v", id, text, err)
			}
		}
		b.world.SetPageLimit(1)
		var seen []string
		for p := awss3.NewListObjectVersionsPaginator(b.api, &awss3.ListObjectVersionsInput{Bucket: aws.String("box")}); p.HasMorePages(); {
			page, err := p.NextPage(b.Context())
			b.ok(err)
			for _, m := range page.DeleteMarkers {
				seen = append(seen, "marker")
				b.code(func() error {
					_, err := b.get("a", func(in *awss3.GetObjectInput) { in.VersionId = m.VersionId })
					return err
				}(), "MethodNotAllowed")
				defer func() { // taking the marker away brings the object back
					b.ok(b.remove("a", m.VersionId, false))
					if text, err := b.get("a"); text != "two" {
						t.Error(text, err)
					}
				}()
			}
			for _, v := range page.Versions {
				text, err := b.get("a", func(in *awss3.GetObjectInput) { in.VersionId = v.VersionId })
				b.ok(err)
				seen = append(seen, text)
			}
		}
		if d := cmp.Diff([]string{"marker", "two", "one", "zero"}, seen); d != "" {
			t.Error(d)
		}
		b.ok(b.remove("a", first, false))
		_, err = b.get("a", func(in *awss3.GetObjectInput) { in.VersionId = first })
		b.code(err, "NoSuchVersion")
		b.ok(b.versioning("Suspended"))
		b.ok(b.put("a", "null again"))
		if all := b.sim.Versions(b.world, region, "box"); len(all) != 3 || all[2].Version != "null" {
			t.Errorf("%+v", all)
		}
		b.code(b.versioning("Off"), "MalformedXML")
		b.ok(b.remove("a", aws.String("null"), false))
	})
}

func TestObjectLock(t *testing.T) {
	bubble(t, func(b *bed) {
		_, err := b.api.CreateBucket(b.Context(), &awss3.CreateBucketInput{Bucket: aws.String("box"), ObjectLockEnabledForBucket: aws.Bool(true),
			CreateBucketConfiguration: &s3types.CreateBucketConfiguration{LocationConstraint: region}})
		b.ok(err)
		b.code(b.versioning("Suspended"), "InvalidBucketState")
		until := time.Now().Add(48 * time.Hour)
		retain := func(key string, mode s3types.ObjectLockRetentionMode, until time.Time, bypass bool) error {
			_, err := b.api.PutObjectRetention(b.Context(), &awss3.PutObjectRetentionInput{Bucket: aws.String("box"), Key: &key, BypassGovernanceRetention: &bypass,
				Retention: &s3types.ObjectLockRetention{Mode: mode, RetainUntilDate: &until}})
			return err
		}
		for _, mode := range []s3types.ObjectLockMode{"GOVERNANCE", "COMPLIANCE"} {
			key := string(mode)
			b.ok(b.put(key, "kept", func(in *awss3.PutObjectInput) { in.ObjectLockMode, in.ObjectLockRetainUntilDate = mode, &until }))
			id := b.head(key).VersionId
			b.code(b.remove(key, id, false), "AccessDenied")
			b.code(retain(key, s3types.ObjectLockRetentionMode(mode), until.Add(-time.Hour), false), "AccessDenied")
			b.ok(retain(key, s3types.ObjectLockRetentionMode(mode), until.Add(time.Hour), false))
			if mode == "COMPLIANCE" {
				b.code(b.remove(key, id, true), "AccessDenied")
				b.code(retain(key, "GOVERNANCE", until.Add(9*time.Hour), true), "AccessDenied")
				time.Sleep(50 * time.Hour)
				b.ok(b.remove(key, id, false))
			} else {
				b.ok(retain(key, s3types.ObjectLockRetentionMode(mode), until.Add(-time.Hour), true))
				b.ok(b.remove(key, id, true))
			}
		}
		_, err = b.api.PutObjectLockConfiguration(b.Context(), &awss3.PutObjectLockConfigurationInput{Bucket: aws.String("box"), ObjectLockConfiguration: &s3types.ObjectLockConfiguration{
			ObjectLockEnabled: "Enabled", Rule: &s3types.ObjectLockRule{DefaultRetention: &s3types.DefaultRetention{Mode: "GOVERNANCE", Days: aws.Int32(3)}}}})
		b.ok(err)
		b.ok(b.put("default", "kept"))
		got, err := b.api.GetObjectRetention(b.Context(), &awss3.GetObjectRetentionInput{Bucket: aws.String("box"), Key: aws.String("default")})
		b.ok(err)
		if want := time.Now().AddDate(0, 0, 3); got.Retention.Mode != "GOVERNANCE" || want.Sub(*got.Retention.RetainUntilDate) > time.Second {
			t.Errorf("%+v, want %v", got.Retention, want)
		}
		hold := func(to s3types.ObjectLockLegalHoldStatus) {
			_, err := b.api.PutObjectLegalHold(b.Context(), &awss3.PutObjectLegalHoldInput{Bucket: aws.String("box"), Key: aws.String("default"), LegalHold: &s3types.ObjectLockLegalHold{Status: to}})
			b.ok(err)
		}
		hold("ON")
		id := b.head("default").VersionId
		b.code(b.remove("default", id, true), "AccessDenied") // a hold knows no bypass
		time.Sleep(73 * time.Hour)
		b.code(b.remove("default", id, false), "AccessDenied")
		hold("OFF")
		b.ok(b.remove("default", id, false))
		b.code(b.put("x", "x", func(in *awss3.PutObjectInput) { in.ObjectLockMode = "GOVERNANCE" }), "InvalidArgument")
	})
	bubble(t, func(b *bed) {
		b.make("box")
		until := time.Now().Add(time.Hour)
		b.code(b.put("x", "x", func(in *awss3.PutObjectInput) { in.ObjectLockMode, in.ObjectLockRetainUntilDate = "GOVERNANCE", &until }), "InvalidRequest")
		_, err := b.api.GetObjectLockConfiguration(b.Context(), &awss3.GetObjectLockConfigurationInput{Bucket: aws.String("box")})
		b.code(err, "ObjectLockConfigurationNotFoundError")
		_, err = b.api.PutObjectLockConfiguration(b.Context(), &awss3.PutObjectLockConfigurationInput{Bucket: aws.String("box"), ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: "Enabled"}})
		b.code(err, "InvalidBucketState")
	})
}

func TestLifecycle(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		get := func() (*awss3.GetBucketLifecycleConfigurationOutput, error) {
			return b.api.GetBucketLifecycleConfiguration(b.Context(), &awss3.GetBucketLifecycleConfigurationInput{Bucket: aws.String("box")})
		}
		put := func(rules ...s3types.LifecycleRule) error {
			_, err := b.api.PutBucketLifecycleConfiguration(b.Context(), &awss3.PutBucketLifecycleConfigurationInput{Bucket: aws.String("box"), LifecycleConfiguration: &s3types.BucketLifecycleConfiguration{Rules: rules}})
			return err
		}
		_, err := get()
		b.code(err, "NoSuchLifecycleConfiguration")
		rule := func(id string) s3types.LifecycleRule {
			return s3types.LifecycleRule{ID: optional(id), Status: "Enabled", Filter: &s3types.LifecycleRuleFilter{Prefix: aws.String("x/")}, Expiration: &s3types.LifecycleExpiration{Days: aws.Int32(9)}}
		}
		idle := rule("idle")
		idle.Expiration = nil
		b.code(put(idle), "InvalidRequest")
		b.code(put(rule("a"), rule("a")), "InvalidArgument")
		b.ok(put(rule("a"), rule("")))
		got, err := get()
		b.ok(err)
		if len(got.Rules) != 2 || *got.Rules[0].ID != "a" || aws.ToString(got.Rules[1].ID) == "" || *got.Rules[0].Filter.Prefix != "x/" || *got.Rules[0].Expiration.Days != 9 {
			t.Errorf("%+v", got.Rules)
		}
		_, err = b.api.DeleteBucketLifecycle(b.Context(), &awss3.DeleteBucketLifecycleInput{Bucket: aws.String("box")})
		b.ok(err)
		_, err = get()
		b.code(err, "NoSuchLifecycleConfiguration")
	})
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

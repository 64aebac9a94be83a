package objectcopy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// A copy that was perhaps made and is then refused for good does not end before it was looked for.
func TestSeek(t *testing.T) {
	for _, c := range []struct {
		name string
		late func(b *bed, op backup.Operation) // what happens while it is looked for
		code backup.Code
	}{
		{"nothing", func(*bed, backup.Operation) {}, backup.ErrDenied},
		{"somebody else's object", func(b *bed, _ backup.Operation) { b.puts("k", map[string]string{"snapwarden-token": "op-of-another"}) }, backup.ErrConflict},
		{"the own object", func(b *bed, op backup.Operation) {
			_, err := b.far.CopyObject(b.Context(), &awss3.CopyObjectInput{Bucket: aws.String(to), Key: aws.String("k"), CopySource: aws.String(from + "/k"),
				MetadataDirective: s3types.MetadataDirectiveReplace, Metadata: map[string]string{"snapwarden-token": op.ID}})
			b.ok(err)
		}, ""},
	} {
		bubble(t, func(b *bed) {
			b.generate("k", 10)
			op := b.until(b.start("k", options()), "copy")
			b.world.Inject(awssim.Fault{Operation: "CopyObject", Times: 3, Kind: awssim.FaultServerError})
			op, err := b.try(op)
			if err == nil {
				t.Fatal("no error")
			}
			b.world.Heal()
			b.world.Inject(awssim.Fault{Operation: "CopyObject", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}})
			op = b.step(op)
			if op.Stage != "seek" || !op.Settling {
				t.Fatalf("stage %s", op.Stage)
			}
			c.late(b, op)
			// A look that is denied ends nothing.
			b.world.Inject(awssim.Fault{Operation: "HeadObject", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "Forbidden"}})
			if next, err := b.try(op); backup.CodeOf(err) != backup.ErrDenied || next.Done() {
				t.Errorf("%s: %v", c.name, err)
			}
			began := time.Now()
			op = b.run(op)
			if backup.CodeOf(op.Err()) != c.code || len(op.Made) != 0 || (len(op.Points) == 1) != (c.code == "") {
				t.Errorf("%s: %v, points %v, made %v", c.name, op.Err(), op.Points, op.Made)
			}
			if d := time.Since(began); c.code != "" && (d < 90*time.Second || d > 3*time.Minute) {
				t.Errorf("%s: it was looked for during %v", c.name, d)
			}
		})
	}
}

// puts writes somebody else's object to the destination.
func (b *bed) puts(key string, metadata map[string]string) {
	b.Helper()
	_, err := b.far.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(to), Key: &key, Body: strings.NewReader("mine"), Metadata: metadata})
	b.ok(err)
}

// An object in the place that nobody may look into is a conflict, and a delete marker is not.
func TestPlace(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 10)
		_, err := b.far.PutObject(b.Context(), &awss3.PutObjectInput{Bucket: aws.String(to), Key: aws.String("k"), Body: strings.NewReader("mine"),
			SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: aws.String(strings.Repeat("k", 32)), SSECustomerKeyMD5: aws.String("md5")})
		b.ok(err)
		if op := b.run(b.start("k", options())); backup.CodeOf(op.Err()) != backup.ErrConflict {
			t.Error(op.Err())
		}
	})
	bubble(t, func(b *bed) {
		_, err := b.far.PutBucketVersioning(b.Context(), &awss3.PutBucketVersioningInput{Bucket: aws.String(to),
			VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}})
		b.ok(err)
		b.generate("k", 10)
		b.puts("k", nil)
		_, err = b.far.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(to), Key: aws.String("k")})
		b.ok(err)
		b.copied(b.start("k", options()), "k")
	})
	bubble(t, func(b *bed) {
		b.generate("k", 10)
		op := b.run(b.start("k", options(func(o *objectcopy.Options) { o.Bucket = "not-there" })))
		if backup.CodeOf(op.Err()) != backup.ErrNotFound {
			t.Error(op.Err())
		}
	})
}

// A version that is named is copied, and a delete marker is not found.
func TestVersions(t *testing.T) {
	bubble(t, func(b *bed) {
		_, err := b.near.PutBucketVersioning(b.Context(), &awss3.PutBucketVersioningInput{Bucket: aws.String(from),
			VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}})
		b.ok(err)
		b.put("k", []byte("old"))
		b.put("k", []byte("new"))
		_, err = b.near.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(from), Key: aws.String("k")})
		b.ok(err)
		all := b.store.Versions(b.world, here, from)
		op := b.run(b.start("k", options(func(o *objectcopy.Options) { o.Version = all[0].Version })))
		if op.Err() != nil || string(b.store.Content(b.world, there, to, "k")) != "old" {
			t.Error(op.Err())
		}
		for name, version := range map[string]string{"marker": all[2].Version, "current": "", "unknown": "nothing"} {
			op, err := b.s.Start(b.Context(), source("k"), backup.Spec{Token: name, Options: options(func(o *objectcopy.Options) { o.Version, o.Key = version, name })})
			b.ok(err)
			if op = b.run(op); backup.CodeOf(op.Err()) != backup.ErrNotFound {
				t.Errorf("%s: %v", name, op.Err())
			}
		}
	})
}

// A provider serves what it has clients for, and is asked for the destination's account in both Regions.
func TestProvider(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 10)
		asked := map[string]bool{}
		b.s = objectcopy.New(func(_ context.Context, account, region string) (*awss3.Client, error) {
			asked[account+" "+region] = true
			return awss3.NewFromConfig(b.world.Config(account, region)), nil
		}, func(s *objectcopy.Settings) { s.Concurrency = 1 << 20 })
		b.copied(b.start("k", options()), "k")
		if len(asked) != 2 || !asked[account+" "+here] || !asked[account+" "+there] {
			t.Errorf("%v", asked)
		}
		for _, region := range []string{here, there} {
			for _, gone := range []error{nil, errors.New("no such account"), &backup.Error{Op: "x", Code: backup.ErrInvalid}} {
				b.s = objectcopy.New(func(_ context.Context, account, r string) (*awss3.Client, error) {
					if r == region {
						return nil, gone
					}
					return awss3.NewFromConfig(b.world.Config(account, r)), nil
				})
				if _, err := b.s.Step(b.Context(), b.start("k", options())); backup.CodeOf(err) != backup.ErrInvalid {
					t.Errorf("%s, %v: %v", region, gone, err)
				}
			}
		}
	})
}

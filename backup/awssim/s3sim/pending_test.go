package s3sim_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// writes has a service write an object that is there after a while.
func (b *bed) writes(key, text string, after time.Duration) {
	b.Helper()
	b.world.Do(account, region, func(r *awssim.Request) {
		b.ok(b.sim.ServicePut(r, "box", key, []byte(text), r.Now.Add(after)))
	})
}

func (b *bed) reads(key, want string) {
	b.Helper()
	if got, err := b.get(key); err != nil || got != want {
		b.Errorf("%s is %q %v, want %q", key, got, err, want)
	}
}

// versions are those of a key, the oldest first, as the truth and as S3 tell them.
func (b *bed) versions(key string) (truth, told []int64) {
	b.Helper()
	for _, v := range b.sim.Versions(b.world, region, "box") {
		if v.Key == key {
			truth = append(truth, v.Size)
		}
	}
	out, err := b.api.ListObjectVersions(b.Context(), &awss3.ListObjectVersionsInput{Bucket: aws.String("box")})
	b.ok(err)
	for _, v := range out.Versions {
		if *v.Key == key {
			told = append([]int64{*v.Size}, told...)
		}
	}
	return truth, told
}

// What a service is writing hides nothing and replaces nothing until it is there, and then it is the newest.
func TestPendingWrites(t *testing.T) {
	for _, status := range []s3types.BucketVersioningStatus{"", s3types.BucketVersioningStatusEnabled} {
		t.Run(string(status), func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.make("box")
				if status != "" {
					b.ok(b.versioning(status))
				}
				b.ok(b.put("k", "before"))
				b.writes("k", "of the service", time.Hour)
				b.reads("k", "before")
				truth, told := b.versions("k")
				if d := cmp.Diff([][]int64{{6, 14}, {6}}, [][]int64{truth, told}); d != "" {
					t.Error(d)
				}
				if string(b.sim.Content(b.world, region, "box", "k")) != "of the service" {
					t.Error("the truth does not know what is being written")
				}
				b.ok(b.put("k", "between"))
				b.reads("k", "between")
				time.Sleep(time.Hour)
				b.reads("k", "of the service")
				want := []int64{14}
				if status != "" {
					want = []int64{6, 7, 14}
				}
				truth, told = b.versions("k")
				if d := cmp.Diff([][]int64{want, want}, [][]int64{truth, told}); d != "" {
					t.Error(d)
				}
				b.ok(b.put("k", "after"))
				b.reads("k", "after")
			})
		})
	}
}

// Of two services the one that ends later has the last word, whoever began first.
func TestPendingOrder(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.writes("k", "second", 2*time.Hour)
		b.writes("k", "first", time.Hour)
		_, err := b.get("k")
		b.code(err, "NoSuchKey")
		time.Sleep(time.Hour)
		b.reads("k", "first")
		b.ok(b.put("other", "x"))
		time.Sleep(time.Hour)
		b.reads("k", "second")
		// Both while nobody looks.
		b.writes("l", "second", 2*time.Hour)
		b.writes("l", "first", time.Hour)
		time.Sleep(3 * time.Hour)
		b.reads("l", "second")
	})
}

// To drop what is not there yet leaves what is.
func TestPendingDrop(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.put("k", "before"))
		b.writes("k", "later", time.Hour)
		b.world.Do(account, region, func(r *awssim.Request) {
			b.sim.ServiceDrop(r, "box", "k")
			if !b.sim.HasObject(r, "box", "k") {
				t.Error("what was there is gone")
			}
		})
		time.Sleep(2 * time.Hour)
		b.reads("k", "before")
	})
}

// A default retention counts from when the object is there.
func TestPendingRetention(t *testing.T) {
	bubble(t, func(b *bed) {
		b.make("box")
		b.ok(b.versioning(s3types.BucketVersioningStatusEnabled))
		_, err := b.api.PutObjectLockConfiguration(b.Context(), &awss3.PutObjectLockConfigurationInput{Bucket: aws.String("box"),
			ObjectLockConfiguration: &s3types.ObjectLockConfiguration{ObjectLockEnabled: s3types.ObjectLockEnabledEnabled, Rule: &s3types.ObjectLockRule{
				DefaultRetention: &s3types.DefaultRetention{Mode: s3types.ObjectLockRetentionModeGovernance, Days: aws.Int32(1)}}}})
		b.ok(err)
		at := time.Now().Add(10 * time.Hour)
		b.writes("k", "x", 10*time.Hour)
		time.Sleep(11 * time.Hour)
		out, err := b.api.GetObjectRetention(b.Context(), &awss3.GetObjectRetentionInput{Bucket: aws.String("box"), Key: aws.String("k")})
		b.ok(err)
		if got := *out.Retention.RetainUntilDate; !got.Equal(at.AddDate(0, 0, 1)) {
			t.Errorf("kept to %v", got)
		}
	})
}

// To damage an object of any size takes no memory, and changes one bit of it.
func TestDamageLarge(t *testing.T) {
	bubble(t, func(b *bed) {
		const size, mid = 4 << 30, 2 << 30
		b.make("box")
		b.sim.Generate(b.world, region, "box", "big", size, 1)
		b.sim.Generate(b.world, region, "box", "twin", size, 1)
		at := func() (text string) {
			text, err := b.get("big", func(in *awss3.GetObjectInput) { in.Range = aws.String("bytes=2147483646-2147483650") })
			b.ok(err)
			return text
		}
		was := at()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if !b.sim.Damage(b.world, region, "box", "big") || b.sim.Content(b.world, region, "box", "big") != nil {
			t.Error("not damaged, or read as a whole")
		}
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%d bytes were allocated", n)
		}
		got := at()
		if was[:2] != got[:2] || was[2]^got[2] != 1 || was[3:] != got[3:] {
			t.Errorf("%x became %x", was, got)
		}
		if b.sim.Same(b.world, region, "box", "big", region, "box", "twin") {
			t.Error("nothing changed")
		}
		b.sim.Damage(b.world, region, "box", "big")
		if got := at(); got != was {
			t.Errorf("damaged twice %x became %x", was, got)
		}
	})
}

package elasticacheexport_test

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// The serverless cache of the tests, and its snapshot. A snapshot of a cluster has the same name.
var (
	web   = elasticache.Serverless(account, region, "web")
	daily = elasticache.ServerlessSnapshot(account, region, "daily")
	// night has a name as the library makes them up.
	night = elasticache.ServerlessSnapshot(account, region, "sw-abcdefghijklmnopqrstuvwxyz")
)

// web makes the serverless cache and its snapshot, beside what newBed made.
func (b *bed) web(edit ...func(*awselasticache.CreateServerlessCacheInput)) {
	b.Helper()
	in := &awselasticache.CreateServerlessCacheInput{ServerlessCacheName: aws.String("web"), Engine: aws.String("valkey")}
	for _, f := range edit {
		f(in)
	}
	_, err := awselasticache.NewFromConfig(b.world.Config(account, region)).CreateServerlessCache(b.Context(), in)
	b.ok(err)
	time.Sleep(time.Hour)
	b.ok(b.cache.AddServerlessSnapshots(b.world, account, region, "web", nil, daily.ID, night.ID))
	b.ok(b.cache.AddSnapshots(b.world, account, region, "one", nil, "daily"))
	time.Sleep(time.Hour)
}

// serverlessSnapshots are the names of those that are there besides those of web.
func (b *bed) serverlessSnapshots() (names []string) {
	for _, x := range b.cache.ServerlessSnapshots(b.world, account, region) {
		if x.Name != daily.ID && x.Name != night.ID && !x.Automated {
			names = append(names, x.Name)
		}
	}
	return names
}

// serverless is subtest with the serverless cache, and a bucket that lets ElastiCache in.
func serverless(t *testing.T, name string, f func(b *bed)) {
	t.Helper()
	subtest(t, name, func(b *bed) {
		b.web()
		b.bucket(bucket, all...)
		f(b)
	})
}

func (b *bed) of(r backup.Ref) backup.Operation {
	b.Helper()
	op, err := b.s.Start(b.Context(), r, backup.Spec{Token: "token", Options: elasticacheexport.Options{Bucket: bucket}})
	b.ok(err)
	return op
}

// told changes what ElastiCache says of the snapshots of serverless caches.
func told(edit func(*ectypes.ServerlessCacheSnapshot)) func(*middleware.Stack) error {
	return after(func(_ context.Context, _ any, out *awselasticache.DescribeServerlessCacheSnapshotsOutput) {
		for i := range out.ServerlessCacheSnapshots {
			edit(&out.ServerlessCacheSnapshots[i])
		}
	})
}

const exportServerless = "ExportServerlessCacheSnapshot"

// TestExportServerless exports a snapshot of a serverless cache, and the cache as it is.
func TestExportServerless(t *testing.T) {
	for name, r := range map[string]backup.Ref{"a snapshot": daily, "a cache": web} {
		serverless(t, name, func(b *bed) {
			began := time.Now()
			op := b.run(b.of(r))
			want(b, op, "", 0)
			if b.count(exportServerless) != 1 || b.count("CopySnapshot") != 0 {
				b.Errorf("asked for %d times", b.count(exportServerless))
			}
			if d := cmp.Diff([]string{"counted"}, ids(op)); d != "" || !strings.Contains(op.Findings[0].Message, "AWS gives the snapshot 5242880") || strings.HasSuffix(op.Findings[0].Message, "…") {
				b.Errorf("%s%+v", d, op.Findings)
			}
			if time.Since(began) < 6*time.Minute {
				b.Errorf("taken as ended after %v", time.Since(began))
			}
			point := op.Points[len(op.Points)-1]
			m, err := b.s.Manifest(b.Context(), point)
			b.ok(err)
			source := daily
			if r == web {
				source = op.Points[0]
			}
			if m.Source != source || !m.Serverless || m.ClusterMode || m.Of != "web" || m.Engine != "valkey" || m.EngineVersion != "8" || m.Taken.IsZero() || m.Name != source.ID || m.Operation != op.ID {
				b.Errorf("%+v", m)
			}
			if len(m.Shards) != 1 || m.Shards[0].ID != "0001" || m.Shards[0].Key != source.ID+"-0001.rdb" || m.Shards[0].Slots != "" || m.Seedable() != nil {
				b.Errorf("%+v", m.Shards)
			}
			if d := cmp.Diff([]string{source.ID + "-0001.rdb", source.ID + ".manifest.json"}, b.keys()); d != "" {
				b.Error(d)
			}
			body, err := b.s.Open(b.Context(), point, "0001")
			b.ok(err)
			data, err := io.ReadAll(body)
			if b.ok(body.Close()); err != nil || int64(len(data)) != m.Shards[0].Size {
				b.Errorf("%d bytes: %v", len(data), err)
			}
		})
	}
}

// TestServerlessNames takes no name for what AWS names itself.
func TestServerlessNames(t *testing.T) {
	bubble(t, func(b *bed) {
		for _, c := range []struct {
			r    backup.Ref
			spec backup.Spec
			ok   bool
		}{
			{daily, backup.Spec{Name: "Daily"}, true}, {daily, backup.Spec{Name: "other"}, false}, {web, backup.Spec{Name: "web"}, false}, {web, backup.Spec{Name: "x"}, false},
			{daily, backup.Spec{Tags: map[string]string{"a": "b"}}, false}, {web, backup.Spec{Tags: map[string]string{"a": "b"}}, true},
			{elasticache.ServerlessSnapshot(account, region, "automatic.web-2026-11-20"), backup.Spec{}, true}, {elasticache.ServerlessSnapshot(account, region, "a*"), backup.Spec{}, false},
		} {
			c.spec.Token, c.spec.Options = "t", elasticacheexport.Options{Bucket: bucket}
			if _, err := b.s.Start(b.Context(), c.r, c.spec); (err == nil) != c.ok || err != nil && (backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "") {
				b.Errorf("%s %+v: %v", c.r.ID, c.spec, err)
			}
		}
		if len(b.world.Calls()) > 10 {
			b.Log(len(b.world.Calls()))
		}
	})
}

// TestServerlessForms makes a whole export of files whatever AWS calls them, as far as their keys prove that they are of it.
func TestServerlessForms(t *testing.T) {
	good := rdbOf("REDIS0011", 100, true)
	for name, c := range map[string]struct {
		r    backup.Ref
		keys []string // what follows the snapshot's name
		ids  []string // nil for an export that fails
		code backup.Code
	}{
		"one without a number":                {daily, []string{".rdb"}, []string{"0001"}, ""},
		"three":                               {daily, []string{"-0001.rdb", "-0002.rdb", "-0003.rdb"}, []string{"0001", "0002", "0003"}, ""},
		"from nought":                         {daily, []string{"-0000.rdb", "-0001.rdb"}, []string{"0000", "0001"}, ""},
		"one's own, from nought":              {web, []string{"-0.rdb", "-1.rdb"}, []string{"0", "1"}, ""},
		"capital letters":                     {daily, []string{"-0001.RDB"}, []string{"0001"}, ""},
		"numbers of any kind":                 {web, []string{"-48213.rdb", "-59120.rdb"}, []string{"48213", "59120"}, ""},
		"numbers that others can have":        {daily, []string{"-48213.rdb", "-59120.rdb"}, nil, backup.ErrUnsupported},
		"long numbers in order, with a gap":   {web, []string{"-00001.rdb", "-00003.rdb"}, nil, backup.ErrPartial},
		"a gap above all shards":              {web, []string{"-2024.rdb", "-2026.rdb"}, nil, backup.ErrPartial},
		"one number above all shards":         {daily, []string{"-2026.rdb"}, nil, backup.ErrPartial},
		"numbers of any length":               {web, []string{"-4821300000001.rdb"}, []string{"0001"}, ""},
		"with and without":                    {daily, []string{"-0001.rdb", ".rdb"}, nil, backup.ErrUnsupported},
		"one's own, with and without":         {web, []string{"-0001.rdb", ".rdb"}, []string{"0001", "0002"}, ""},
		"one's own, with, without and a gap":  {web, []string{"-0001.rdb", "-0003.rdb", ".rdb"}, nil, backup.ErrPartial},
		"the same number":                     {daily, []string{"-0001.rdb", "-0001.RDB"}, nil, backup.ErrUnsupported},
		"another snapshot's":                  {daily, []string{"-0001.rdb", "-2-0001.rdb", "-2.manifest.json", "x.rdb"}, []string{"0001"}, ""},
		"one is missing":                      {daily, []string{"-0001.rdb", "-0003.rdb"}, nil, backup.ErrPartial},
		"the first is missing":                {daily, []string{"-0002.rdb", "-0003.rdb"}, nil, backup.ErrPartial},
		"a form that proves nothing":          {daily, []string{"-shard-0001.rdb"}, nil, backup.ErrUnsupported},
		"a folder":                            {daily, []string{"/0001.rdb"}, nil, backup.ErrUnsupported},
		"a folder of one's own":               {web, []string{"/0001.rdb", "/0002.rdb"}, []string{"0001", "0002"}, ""},
		"any form of one's own":               {web, []string{"-shard-b.rdb", "-shard-a.rdb"}, []string{"0001", "0002"}, ""},
		"any form of a name of the library's": {night, []string{"-shard-b.rdb", "/shard.rdb"}, []string{"0001", "0002"}, ""},
		"no .rdb of one's own":                {web, []string{"-0001.rdb", ".json"}, nil, backup.ErrUnsupported},
		"one's own, one is missing":           {web, []string{"-0001.rdb", "-0003.rdb"}, nil, backup.ErrPartial},
	} {
		serverless(t, name, func(b *bed) {
			op := b.until(b.of(c.r), "wait")
			b.unwritten()
			prefix := strings.TrimPrefix(op.Made[len(op.Made)-1].ID, bucket+"/")
			for _, rest := range c.keys {
				b.place(prefix+rest, good, time.Now())
			}
			op = b.run(op)
			if c.ids == nil {
				want(b, op, c.code, len(op.Made))
				if len(op.Made) == 0 || op.Made[len(op.Made)-1].Type != elasticacheexport.TypeFiles {
					b.Errorf("the files are listed nowhere: %v", op.Made)
				}
				for _, key := range b.keys() {
					if key == prefix+".manifest.json" {
						b.Error("there is a manifest")
					}
				}
				return
			}
			want(b, op, "", 0)
			var got []string
			for _, x := range b.shards(op) {
				got = append(got, x.ID)
				body, err := b.s.Open(b.Context(), op.Points[len(op.Points)-1], x.ID)
				b.ok(err)
				_, err = io.Copy(io.Discard, body)
				b.ok(err)
				b.ok(body.Close())
			}
			if d := cmp.Diff(c.ids, got); d != "" {
				b.Error(d)
			}
			var wanted []string
			if name == "another snapshot's" {
				wanted = []string{"written-beside"}
			}
			wanted = append(wanted, "counted")
			if len(c.ids) > 1 {
				wanted = append(wanted, "slots-unknown")
			}
			if d := cmp.Diff(wanted, ids(op)); d != "" {
				b.Error(d)
			}
		})
	}
}

// TestServerlessLooks prepares the bucket and the answers for what a first look finds.
func TestServerlessLooks(t *testing.T) {
	serverless(t, "preflight", func(b *bed) {
		for _, r := range []backup.Ref{daily, web} {
			found, err := b.s.Preflight(b.Context(), b.of(r))
			if b.ok(err); len(found) != 0 {
				b.Errorf("%s: %+v", r.ID, found)
			}
		}
		b.place("daily-0001.rdb", []byte("theirs"), time.Now())
		found, err := b.s.Preflight(b.Context(), b.of(daily))
		b.ok(err)
		if d := cmp.Diff([]string{"key-taken"}, ids(backup.Operation{Findings: found})); d != "" || !strings.Contains(found[0].Remedy, "StartCopy") {
			b.Errorf("%s%+v", d, found)
		}
		found, err = b.s.Preflight(b.Context(), b.of(elasticache.ServerlessSnapshot(account, region, "none")))
		b.ok(err)
		if d := cmp.Diff([]string{"snapshot-missing"}, ids(backup.Operation{Findings: found})); d != "" {
			b.Error(d)
		}
	})
	for key, taken := range map[string]bool{"daily-0001.rdb": true, "daily-1700.rdb": true, "daily.rdb": true, "daily.manifest.json": true,
		"daily-17.rdb": false, "daily-20261120.rdb": false, "daily-2-0001.rdb": false, "daily-2.manifest.json": false, "daily-x.rdb": false, "daily/0001.rdb": false, "dailyx.rdb": false} {
		serverless(t, key, func(b *bed) {
			b.place(key, []byte("theirs"), time.Now())
			time.Sleep(time.Hour)
			op := b.run(b.of(daily))
			if !taken {
				want(b, op, "", 0)
			} else if want(b, op, backup.ErrConflict, 0); b.count(exportServerless) != 0 || strings.Contains(backup.HintOf(op.Err()), "Spec.Name") {
				b.Errorf("asked for %d times; %s", b.count(exportServerless), backup.HintOf(op.Err()))
			}
			if string(b.store.Content(b.world, region, bucket, key)) != "theirs" {
				b.Error("it was written over")
			}
		})
	}
	serverless(t, "no cache", func(b *bed) {
		op := b.run(b.of(elasticache.Serverless(account, region, "none")))
		if want(b, op, backup.ErrNotFound, 0); len(b.found(op)) == 0 {
			b.Error("nothing is found")
		}
	})
	serverless(t, "no right to see uploads", func(b *bed) {
		denied := awssim.Fault{Operation: "ListMultipartUploads", Kind: awssim.FaultError, Times: 1, Error: awssim.Error{Status: 403, Code: "AccessDenied", Message: "no"}}
		b.world.Inject(denied)
		op := b.run(b.of(daily))
		want(b, op, backup.ErrDenied, 0)
		if b.count(exportServerless) != 0 || !strings.Contains(backup.HintOf(op.Err()), "s3:ListBucketMultipartUploads") {
			b.Errorf("asked for %d times; %s", b.count(exportServerless), backup.HintOf(op.Err()))
		}
		// Taken away later it can come back.
		op = b.until(b.of(web), "wait")
		time.Sleep(time.Hour)
		b.world.Inject(denied)
		next, err := op, error(nil)
		for err == nil && next.Stage == "wait" {
			time.Sleep(time.Until(next.Poll))
			next, err = b.s.Step(b.Context(), next)
		}
		if backup.CodeOf(err) != backup.ErrDenied || next.Done() || next.Stage != "wait" {
			b.Errorf("%s %s %v", next.Phase, next.Stage, err)
		}
		want(b, b.run(next), "", 0)
	})
	subtest(t, "memcached", func(b *bed) {
		b.web(func(in *awselasticache.CreateServerlessCacheInput) { in.Engine = aws.String("memcached") })
		b.bucket(bucket, all...)
		for _, r := range []backup.Ref{daily, web} {
			if d := cmp.Diff([]string{"engine"}, b.found(b.of(r))); d != "" {
				b.Error(d)
			}
			op := b.run(b.of(r))
			want(b, op, backup.ErrUnsupported, 0)
			if d := cmp.Diff([]string{"engine"}, ids(op)); d != "" {
				b.Error(d)
			}
		}
		if b.count(exportServerless) != 0 || len(b.serverlessSnapshots()) != 0 {
			b.Error("it was asked for, or a snapshot was made for nothing")
		}
	})
	subtest(t, "a customer's key", func(b *bed) {
		b.web(func(in *awselasticache.CreateServerlessCacheInput) {
			in.KmsKeyId = aws.String("arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab")
		})
		b.bucket(bucket, all...)
		op := b.run(b.of(daily))
		want(b, op, backup.ErrUnsupported, 0)
		if d := cmp.Diff([]string{"under-customer-key", "customer-key"}, ids(op)); d != "" {
			b.Error(d)
		}
	})
	serverless(t, "the caller's rights", func(b *bed) {
		b.world.Inject(awssim.Fault{Operation: exportServerless, Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidParameterValue",
			Message: "The authenticated user does not have sufficient permissions to perform the desired activity."}})
		op := b.run(b.of(daily))
		want(b, op, backup.ErrDenied, 0)
		if hint := op.Findings[0].Remedy; !strings.Contains(hint, "elasticache:ExportServerlessCacheSnapshot, s3:") || !strings.HasSuffix(hint, "arn:aws:s3:::*") {
			b.Error(hint)
		}
	})
	subtest(t, "rights", func(b *bed) {
		b.web()
		b.bucket(bucket, all[:3]...)
		op := b.run(b.of(daily))
		want(b, op, backup.ErrDenied, 0)
		if d := cmp.Diff([]string{"grant-read-acp", "grant-read"}, ids(op)); d != "" || !strings.HasPrefix(op.Findings[0].Message, exportServerless) || op.Failure.Op != exportServerless {
			b.Errorf("%s%+v %+v", d, op.Findings, op.Failure)
		}
	})
}

// TestServerlessManifest keeps what a manifest of a serverless cache may say apart from what others say.
func TestServerlessManifestIsParsed(t *testing.T) {
	serverless(t, "it", func(b *bed) {
		op := b.run(b.of(daily))
		data := b.store.Content(b.world, region, bucket, "daily.manifest.json")
		if m, err := s3export.ParseManifest(data); err != nil || !m.Serverless || len(op.Points) != 1 {
			b.Errorf("%v\n%s", err, data)
		}
	})
}

package ec2sim_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

func benchWorld() (*awssim.World, *ec2sim.EC2, *awsec2.Client) {
	e := ec2sim.Service()
	w := awssim.New(e)
	w.SetThrottling(false)
	w.KeepCalls(false)
	w.SetSpeed(1e6)
	e.SetQuotas(w, ec2sim.Quotas{})
	return w, e, awsec2.NewFromConfig(w.Config(home, region))
}

func benchVolume(b *testing.B, c *awsec2.Client) string {
	b.Helper()
	out, err := c.CreateVolume(b.Context(), &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(8)})
	if err != nil {
		b.Fatal(err)
	}
	time.Sleep(time.Millisecond) // at this speed that is a quarter of an hour
	return *out.VolumeId
}

// A signed call through the real client, whole.
func BenchmarkDescribeVolume(b *testing.B) {
	_, _, c := benchWorld()
	in := &awsec2.DescribeVolumesInput{VolumeIds: []string{benchVolume(b, c)}}
	b.ReportAllocs()
	for b.Loop() {
		if out, err := c.DescribeVolumes(b.Context(), in); err != nil || len(out.Volumes) != 1 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(b.N), "µs/call")
}

func BenchmarkCreateSnapshot(b *testing.B) {
	_, _, c := benchWorld()
	in := &awsec2.CreateSnapshotInput{VolumeId: aws.String(benchVolume(b, c)),
		TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: tagged("owner", "bench", "token", "t")}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.CreateSnapshot(b.Context(), in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(b.N), "µs/call")
}

// A look at one snapshot among 100,000, by a tag of its own.
func BenchmarkFindByTag(b *testing.B) {
	w, e, c := benchWorld()
	e.Seed(w, home, region, 100_000, ec2sim.Seeds{Tags: func(n int) map[string]string { return map[string]string{"owner": "bench", "token": fmt.Sprint(n)} }})
	in := &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []ec2types.Filter{by("tag:owner", "bench"), by("tag:token", "77777")}}
	b.ReportAllocs()
	for b.Loop() {
		if out, err := c.DescribeSnapshots(b.Context(), in); err != nil || len(out.Snapshots) != 1 {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1000/float64(b.N), "µs/call")
}

// The XML of an answer to DescribeSnapshots, as EC2 sends it.
type (
	wirePage struct {
		XMLName   xml.Name       `xml:"http://ec2.amazonaws.com/doc/2016-11-15/ DescribeSnapshotsResponse"`
		RequestID string         `xml:"requestId"`
		Set       []wireSnapshot `xml:"snapshotSet>item"`
		NextToken string         `xml:"nextToken,omitempty"`
	}
	wireSnapshot struct {
		SnapshotID     string    `xml:"snapshotId"`
		VolumeID       string    `xml:"volumeId"`
		Status         string    `xml:"status"`
		StartTime      string    `xml:"startTime"`
		CompletionTime string    `xml:"completionTime"`
		Progress       string    `xml:"progress"`
		OwnerID        string    `xml:"ownerId"`
		VolumeSize     int32     `xml:"volumeSize"`
		Description    string    `xml:"description"`
		Tags           []wireTag `xml:"tagSet>item"`
		Encrypted      bool      `xml:"encrypted"`
		StorageTier    string    `xml:"storageTier"`
		TransferType   string    `xml:"transferType"`
		FullSize       int64     `xml:"fullSnapshotSizeInBytes"`
	}
	wireTag struct {
		Key   string `xml:"key"`
		Value string `xml:"value"`
	}
)

// prepared answers every request with the same bytes.
type prepared []byte

func (p prepared) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"text/xml;charset=UTF-8"}},
		ContentLength: int64(len(p)), Body: io.NopCloser(bytes.NewReader(p)), Request: r}, nil
}

// One page of 1,000 snapshots, and one snapshot: simulated and over a prepared HTTP answer in turn, so that the ratio is of one run.
func BenchmarkPageOf1000(b *testing.B) {
	compare(b, &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, MaxResults: aws.Int32(1000)}, 1000)
}

func BenchmarkPageOf1(b *testing.B) {
	compare(b, &awsec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{by("tag:token", "7")}}, 1)
}

func compare(b *testing.B, in *awsec2.DescribeSnapshotsInput, n int) {
	w, e, simulated := benchWorld()
	e.Seed(w, home, region, 10_000, ec2sim.Seeds{Tags: func(n int) map[string]string { return map[string]string{"owner": "bench", "token": fmt.Sprint(n)} }})
	first, err := simulated.DescribeSnapshots(b.Context(), in)
	if err != nil {
		b.Fatal(err)
	}
	page := wirePage{RequestID: "1", NextToken: aws.ToString(first.NextToken)}
	for _, p := range first.Snapshots {
		x := wireSnapshot{SnapshotID: *p.SnapshotId, VolumeID: *p.VolumeId, Status: string(p.State), StartTime: p.StartTime.Format(time.RFC3339Nano),
			CompletionTime: p.CompletionTime.Format(time.RFC3339Nano), Progress: *p.Progress, OwnerID: *p.OwnerId, VolumeSize: *p.VolumeSize, Description: *p.Description,
			Encrypted: *p.Encrypted, StorageTier: string(p.StorageTier), TransferType: string(p.TransferType), FullSize: *p.FullSnapshotSizeInBytes}
		for _, g := range p.Tags {
			x.Tags = append(x.Tags, wireTag{*g.Key, *g.Value})
		}
		page.Set = append(page.Set, x)
	}
	body, err := xml.Marshal(page)
	if err != nil {
		b.Fatal(err)
	}
	cfg := w.Config(home, region)
	cfg.APIOptions, cfg.HTTPClient = nil, &http.Client{Transport: prepared(body)}
	wire := awsec2.NewFromConfig(cfg)
	again, err := wire.DescribeSnapshots(b.Context(), in)
	if err != nil {
		b.Fatal(err)
	}
	if text(again.Snapshots) != text(first.Snapshots) {
		b.Fatal("the two answers differ")
	}
	var ours, theirs time.Duration
	turn := func(c *awsec2.Client, spent *time.Duration) {
		start := time.Now()
		out, err := c.DescribeSnapshots(b.Context(), in)
		*spent += time.Since(start)
		if err != nil || len(out.Snapshots) != n {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		turn(simulated, &ours)
		turn(wire, &theirs)
	}
	b.ReportMetric(float64(ours.Nanoseconds())/1000/float64(b.N), "µs/simulated")
	b.ReportMetric(float64(theirs.Nanoseconds())/1000/float64(b.N), "µs/wire")
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
}

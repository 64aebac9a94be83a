package awssim_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

const (
	home   = "111122223333"
	other  = "444455556666"
	region = "eu-west-1"
)

// scene is a World with an EC2 client of the account home and one volume in it.
type scene struct {
	t      *testing.T
	ctx    context.Context
	w      *awssim.World
	ec2    *ec2sim.EC2
	c      *awsec2.Client
	volume string
}

// newScene makes a World in which one volume may have as many snapshots as anybody wants.
func newScene(t *testing.T) *scene {
	t.Helper()
	e := ec2sim.Service()
	w := awssim.New(e)
	q := ec2sim.DefaultQuotas()
	q.VolumeInterval, q.ConcurrentPerVolume = 0, 0
	e.SetQuotas(w, q)
	s := &scene{t, t.Context(), w, e, awsec2.NewFromConfig(w.Config(home, region)), ""}
	s.volume = s.newVolume(s.c, region)
	return s
}

func (s *scene) newVolume(c *awsec2.Client, region string) string {
	s.t.Helper()
	out, err := c.CreateVolume(s.ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1)})
	if err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(2 * time.Minute)
	return *out.VolumeId
}

func (s *scene) create() (*awsec2.CreateSnapshotOutput, error) {
	return s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: &s.volume})
}

func (s *scene) look() (int, error) {
	out, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	if err != nil {
		return 0, err
	}
	return len(out.Snapshots), nil
}

// made counts the snapshots that there are in truth.
func (s *scene) made() int { return len(s.ec2.Snapshots(s.w, home, region)) }

// trace writes the calls of an operation, one word each: the fault, and the code if there was one.
func (s *scene) trace(operation string) string {
	var words []string
	for _, c := range s.w.Calls() {
		if c.Operation == operation {
			words = append(words, fmt.Sprintf("%s%s/%v", c.Fault, c.Code, c.Applied))
		}
	}
	return strings.Join(words, " ")
}

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

func TestAccountsAndRegionsAreApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		if _, err := s.create(); err != nil {
			t.Fatal(err)
		}
		for _, where := range [][2]string{{home, "us-east-1"}, {other, region}, {home, "cn-north-1"}} {
			c := awsec2.NewFromConfig(s.w.Config(where[0], where[1]))
			out, err := c.DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{})
			if err != nil || len(out.Volumes) != 0 {
				t.Errorf("%v sees %d volumes: %v", where, len(out.Volumes), err)
			}
			if _, err := c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: &s.volume}); code(err) != "InvalidVolume.NotFound" {
				t.Errorf("%v: %v", where, err)
			}
			s.newVolume(c, where[1])
		}
		if n := len(s.ec2.Volumes(s.w, home, region)); n != 1 {
			t.Errorf("%d volumes at home", n)
		}
		// An option of one call moves it to another Region.
		out, err := s.c.DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{}, func(o *awsec2.Options) { o.Region = "us-east-1" })
		if err != nil || len(out.Volumes) != 1 || *out.Volumes[0].VolumeId == s.volume {
			t.Errorf("%v %+v", err, out)
		}
	})
}

func TestNotSimulatedFailsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		start := time.Now()
		_, err := s.c.CreateVpc(s.ctx, &awsec2.CreateVpcInput{})
		if err == nil || !strings.Contains(err.Error(), "EC2.CreateVpc is not simulated") {
			t.Error(err)
		}
		if n := strings.Count(s.trace("CreateVpc"), "/"); n != 1 || time.Since(start) > time.Millisecond {
			t.Errorf("%d calls in %v", n, time.Since(start))
		}
		_, err = awssts.NewFromConfig(s.w.Config(home, region)).GetCallerIdentity(s.ctx, nil)
		if err == nil || !strings.Contains(err.Error(), `no service "STS"`) {
			t.Error(err)
		}
		if n := strings.Count(s.trace("GetCallerIdentity"), "/"); n != 1 {
			t.Errorf("%d calls", n)
		}
		// A filter that the simulation does not know is not AWS's refusal either.
		_, err = s.c.DescribeInstances(s.ctx, &awsec2.DescribeInstancesInput{Filters: []ec2types.Filter{{Name: aws.String("vpc-id"), Values: []string{"x"}}}})
		if err == nil || code(err) != "" || strings.Count(s.trace("DescribeInstances"), "/") != 1 {
			t.Errorf("%v, calls %s", err, s.trace("DescribeInstances"))
		}
	})
}

func TestNothingLeavesTheSimulation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := awssim.New(ec2sim.Service())
		cfg := w.Config(home, region)
		cfg.APIOptions = nil
		_, err := awsec2.NewFromConfig(cfg).DescribeVolumes(t.Context(), &awsec2.DescribeVolumesInput{})
		if err == nil || !strings.Contains(err.Error(), "would have left the simulation") {
			t.Error(err)
		}
	})
}

func TestUnknownKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		cfg := s.w.ConfigFor(region, aws.Credentials{AccessKeyID: "ASIA0000000000000000", SecretAccessKey: "x", SessionToken: "y"})
		_, err := awsec2.NewFromConfig(cfg).DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{})
		var response *awshttp.ResponseError
		if code(err) != "InvalidClientTokenId" || !errors.As(err, &response) || response.HTTPStatusCode() != 403 {
			t.Error(err)
		}
		s.w.Do(home, region, func(*awssim.Request) {
			s.w.AddSession("ASIA0000000000000000", awssim.Session{Account: home, Principal: "role", Expires: time.Now().Add(time.Hour)})
		})
		c := awsec2.NewFromConfig(cfg)
		if out, err := c.DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{}); err != nil || len(out.Volumes) != 1 {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		if _, err := c.DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{}); code(err) != "RequestExpired" && code(err) != "ExpiredToken" {
			t.Error(err)
		}
	})
}

func TestCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		var watched []string
		s.w.Watch(func(c awssim.Call) {
			watched = append(watched, c.Operation)
			s.w.Calls() // the World may be used: Watch holds no lock
		})
		if _, err := s.create(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: aws.String("snap-12345678")}); code(err) != "InvalidSnapshot.NotFound" {
			t.Fatal(err)
		}
		if _, err := s.look(); err != nil {
			t.Fatal(err)
		}
		calls := s.w.Calls()
		var got []string
		for i, c := range calls {
			got = append(got, fmt.Sprintf("%s %v %v %q", c.Operation, c.Mutates, c.Applied, c.Code))
			if c.Seq != uint64(i+1) || c.Account != home || c.Region != region || c.Service != "EC2" || c.Time.IsZero() || c.AccessKey == "" {
				t.Errorf("%+v", c)
			}
		}
		if d := cmp.Diff([]string{`CreateVolume true true ""`, `CreateSnapshot true true ""`, `DeleteSnapshot true false "InvalidSnapshot.NotFound"`, `DescribeSnapshots false true ""`}, got); d != "" {
			t.Error(d)
		}
		if in, ok := calls[1].Input.(*awsec2.CreateSnapshotInput); !ok || *in.VolumeId != s.volume {
			t.Errorf("%+v", calls[1].Input)
		}
		if d := cmp.Diff([]string{"CreateSnapshot", "DeleteSnapshot", "DescribeSnapshots"}, watched); d != "" {
			t.Error(d)
		}
		s.w.KeepCalls(false)
		if _, err := s.look(); err != nil || len(s.w.Calls()) != 4 {
			t.Errorf("%v, %d calls kept", err, len(s.w.Calls()))
		}
	})
}

func TestBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		once := awsec2.NewFromConfig(s.w.Config(home, region), func(o *awsec2.Options) { o.Retryer = aws.NopRetryer{} })
		// burst calls until it is throttled, and counts what passed.
		burst := func(call func() error) int {
			t.Helper()
			for n := range 1000 {
				err := call()
				if err == nil {
					continue
				}
				var response *awshttp.ResponseError
				if code(err) != "RequestLimitExceeded" || !errors.As(err, &response) || response.HTTPStatusCode() != 503 {
					t.Fatal(err)
				}
				return n
			}
			return 1000
		}
		create := func() error {
			_, err := once.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: &s.volume})
			return err
		}
		list := func(in *awsec2.DescribeSnapshotsInput) func() error {
			return func() error { _, err := once.DescribeSnapshots(s.ctx, in); return err }
		}
		paged := &awsec2.DescribeSnapshotsInput{MaxResults: aws.Int32(5)}
		for _, c := range []struct {
			name string
			call func() error
			n    int
		}{
			{"create", create, 100}, {"unfiltered", list(&awsec2.DescribeSnapshotsInput{}), 50}, {"paged", list(paged), 100},
			{"filtered, of the same bucket", list(&awsec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{{Name: aws.String("status"), Values: []string{"error"}}}}), 0},
		} {
			if n := burst(c.call); n != c.n {
				t.Errorf("%s: a burst of %d, want %d", c.name, n, c.n)
			}
		}
		// Another account has buckets of its own, and so has another Region.
		if _, err := awsec2.NewFromConfig(s.w.Config(other, region)).DescribeSnapshots(s.ctx, paged); err != nil {
			t.Error(err)
		}
		if _, err := once.DescribeSnapshots(s.ctx, paged, func(o *awsec2.Options) { o.Region = "us-east-1" }); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		if a, b := burst(create), burst(list(paged)); a != 10 || b != 40 {
			t.Errorf("after two seconds %d creates and %d lists, want 10 and 40", a, b)
		}
		s.w.SetSpeed(10)
		time.Sleep(time.Second)
		if n := burst(create); n != 50 {
			t.Errorf("at speed 10, after a second, %d, want 50", n)
		}
		s.w.SetThrottling(false)
		if n := burst(create); n != 1000 {
			t.Errorf("without throttling %d", n)
		}
	})
}

func TestSpeedAndLag(t *testing.T) {
	took := func(speed float64, lag time.Duration) (d time.Duration, seen bool) {
		synctest.Test(t, func(t *testing.T) {
			s := newScene(t)
			s.w.SetSpeed(speed)
			s.w.SetLag(lag)
			start := time.Now()
			out, err := s.create()
			if err != nil {
				t.Fatal(err)
			}
			n, err := s.look()
			if err != nil {
				t.Fatal(err)
			}
			seen = n == 1
			for s.ec2.Snapshots(s.w, home, region)[0].State != ec2types.SnapshotStateCompleted {
				time.Sleep(time.Millisecond)
			}
			d = time.Since(start)
			if p, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{*out.SnapshotId}}); err != nil {
				t.Error(err)
			} else if end := p.Snapshots[0].CompletionTime.Sub(start); end < d-2*time.Millisecond || end > d {
				t.Errorf("completed after %v, seen after %v", end, d)
			}
		})
		return d, seen
	}
	slow, seen := took(1, 0)
	if !seen || slow < 9*time.Second || slow > time.Hour {
		t.Errorf("took %v, seen %v", slow, seen)
	}
	if again, _ := took(1, 0); again != slow {
		t.Errorf("took %v and %v", slow, again)
	}
	fast, seen := took(100, 10*time.Second)
	if seen || fast < slow/100-2*time.Millisecond || fast > slow/100+2*time.Millisecond {
		t.Errorf("took %v at speed 100 and %v at 1, seen %v", fast, slow, seen)
	}
}

func TestTookDoesNotDependOnOrder(t *testing.T) {
	w := awssim.New()
	took := func(names ...string) map[string]time.Duration {
		got := map[string]time.Duration{}
		w.Do(home, region, func(r *awssim.Request) {
			for _, n := range names {
				got[n] = r.Took(n, time.Minute, 1)
				if got[n] < 3*time.Second || got[n] > 20*time.Minute {
					t.Errorf("%s takes %v", n, got[n])
				}
			}
		})
		return got
	}
	a, b := took("x", "y", "z"), took("z", "x", "y")
	if d := cmp.Diff(a, b); d != "" {
		t.Error(d)
	}
	if a["x"] == a["y"] {
		t.Error("all take the same")
	}
	w.SetSeed(2)
	if c := took("x"); c["x"] == a["x"] {
		t.Error("another seed changes nothing")
	}
	// The median is what was asked for.
	w.Do(home, region, func(r *awssim.Request) {
		below := 0
		for i := range 10_000 {
			if r.Took(fmt.Sprint("n", i), time.Minute, 1) < time.Minute {
				below++
			}
		}
		if below < 4700 || below > 5300 {
			t.Errorf("%d of 10,000 are below the median", below)
		}
	})
}

func TestPresignersAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := awssim.New(ec2sim.Service())
		p := awssts.NewPresignClient(awssts.NewFromConfig(w.Config(home, region)))
		out, err := p.PresignGetCallerIdentity(t.Context(), nil)
		if err != nil || !strings.HasPrefix(out.URL, "https://sts.") || !strings.Contains(out.URL, "X-Amz-Signature=") {
			t.Errorf("%v %+v", err, out)
		}
		if n := len(w.Calls()); n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

func TestResponseErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		_, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: aws.String("snap-12345678")})
		var response *awshttp.ResponseError
		var operation *smithy.OperationError
		var api *smithy.GenericAPIError
		switch {
		case !errors.As(err, &response) || response.ServiceRequestID() != "sim-00000002" || response.HTTPStatusCode() != 400:
			t.Errorf("%v: %+v", err, response)
		case !errors.As(err, &operation) || operation.Operation() != "DeleteSnapshot" || operation.Service() != "EC2":
			t.Error(err)
		case !errors.As(err, &api) || api.Fault != smithy.FaultClient || api.Message != "The snapshot 'snap-12345678' does not exist.":
			t.Errorf("%+v", api)
		}
		_, err = s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{})
		var missing smithy.InvalidParamsError
		if !errors.As(err, &missing) {
			t.Errorf("the SDK's own validation is gone: %v", err)
		}
	})
}

func TestWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		out, err := s.create()
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		in := &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{*out.SnapshotId}}
		got, err := awsec2.NewSnapshotCompletedWaiter(s.c).WaitForOutput(s.ctx, in, time.Hour)
		if err != nil || got.Snapshots[0].State != ec2types.SnapshotStateCompleted || time.Since(start) < 9*time.Second {
			t.Errorf("%v %+v after %v", err, got, time.Since(start))
		}
		// One that never ends: the waiter does, at its own limit, although calls take but a nanosecond.
		s.w.SetSpeed(1e-6)
		if out, err = s.create(); err != nil {
			t.Fatal(err)
		}
		s.w.SetSpeed(1)
		start, in.SnapshotIds = time.Now(), []string{*out.SnapshotId}
		err = awsec2.NewSnapshotCompletedWaiter(s.c).Wait(s.ctx, in, time.Hour)
		if err == nil || !strings.Contains(err.Error(), "exceeded max wait time") || time.Since(start) > time.Hour+time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		// And one whose id can not be seen yet ends it at once: the SDK's waiter takes no NotFound.
		s.w.SetLag(time.Minute)
		if out, err = s.create(); err != nil {
			t.Fatal(err)
		}
		in.SnapshotIds = []string{*out.SnapshotId}
		if err := awsec2.NewSnapshotCompletedWaiter(s.c).Wait(s.ctx, in, time.Hour); code(err) != "InvalidSnapshot.NotFound" {
			t.Error(err)
		}
	})
}

func TestLogging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := awssim.New(ec2sim.Service())
		cfg := w.Config(home, region)
		var log bytes.Buffer
		cfg.Logger = logging.NewStandardLogger(&log)
		cfg.ClientLogMode = aws.LogSigning | aws.LogRetries | aws.LogRequest | aws.LogRequestWithBody | aws.LogResponse | aws.LogResponseWithBody | aws.LogDeprecatedUsage |
			aws.LogRequestEventMessage | aws.LogResponseEventMessage
		w.Inject(awssim.Fault{Kind: awssim.FaultThrottle})
		if _, err := awsec2.NewFromConfig(cfg).DescribeVolumes(t.Context(), &awsec2.DescribeVolumesInput{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"Action=DescribeVolumes", "X-Amzn-Requestid: sim-00000001", "sim-00000002", "retrying request"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q is not in the log:\n%s", want, log.String())
			}
		}
	})
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		begin := time.Now()
		if _, err := s.look(); err != nil || time.Since(begin) != time.Nanosecond {
			t.Errorf("%v after %v", err, time.Since(begin))
		}
		s.w.SetLatency(func(_, operation string) time.Duration {
			if operation == "DescribeSnapshots" {
				return time.Second
			}
			return 0
		})
		start := time.Now()
		if _, err := s.look(); err != nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(s.ctx, 300*time.Millisecond)
		defer cancel()
		start = time.Now()
		_, err := s.c.DescribeSnapshots(ctx, &awsec2.DescribeSnapshotsInput{})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 300*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// Two runs with one seed give the same trace, to the nanosecond and the id; another seed gives another.
func TestSeedGivesTheSameTrace(t *testing.T) {
	run := func(seed int64) (trace []string) {
		synctest.Test(t, func(t *testing.T) {
			e := ec2sim.Service()
			w := awssim.New(e)
			w.SetSeed(seed)
			cfg := w.Config(home, region)
			// The SDK's backoff is random; that is the client's affair.
			cfg.Retryer = func() aws.Retryer {
				return retry.NewStandard(func(o *retry.StandardOptions) {
					o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return time.Second, nil })
				})
			}
			c := awsec2.NewFromConfig(cfg)
			w.Inject(awssim.Fault{Kind: awssim.FaultLostReply, Operation: "CreateVolume", Skip: 1})
			w.Inject(awssim.Fault{Kind: awssim.FaultThrottle, Operation: "DescribeSnapshots", For: 3 * time.Second})
			for i := range 3 {
				out, err := c.CreateVolume(t.Context(), &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1), ClientToken: aws.String(fmt.Sprint(i))})
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				if _, err := c.CreateSnapshot(t.Context(), &awsec2.CreateSnapshotInput{VolumeId: out.VolumeId}); err != nil {
					t.Fatal(err)
				}
				for {
					got, err := c.DescribeSnapshots(t.Context(), &awsec2.DescribeSnapshotsInput{})
					if err == nil && got.Snapshots[i].State == ec2types.SnapshotStateCompleted {
						break
					}
					time.Sleep(time.Second)
				}
			}
			for _, k := range w.Calls() {
				trace = append(trace, fmt.Sprint(k.Seq, k.Time.Format(time.RFC3339Nano), k.Operation, k.Fault, k.Code))
			}
			for _, p := range e.Snapshots(w, home, region) {
				trace = append(trace, p.ID+" "+p.Volume)
			}
		})
		return trace
	}
	a, b := run(1), run(1)
	if d := cmp.Diff(a, b); d != "" || len(a) < 20 {
		t.Errorf("%d calls: %s", len(a), d)
	}
	if cmp.Equal(a, run(2)) {
		t.Error("another seed gives the same trace")
	}
}

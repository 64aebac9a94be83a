package awssim_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

// Every fault is shown by what the SDK's client makes of it with its default retryer: three attempts.
func TestFaults(t *testing.T) {
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	has := func(wanted string, status int) func(error) bool {
		return func(err error) bool {
			var response *awshttp.ResponseError
			return code(err) == wanted && errors.As(err, &response) && response.HTTPStatusCode() == status && response.ServiceRequestID() != ""
		}
	}
	exhausted := func(next func(error) bool) func(error) bool {
		return func(err error) bool {
			var attempts *retry.MaxAttemptsError
			return errors.As(err, &attempts) && attempts.Attempt == 3 && next(err)
		}
	}
	for name, c := range map[string]struct {
		fault awssim.Fault
		// ok is what the caller sees of CreateSnapshot, nil for no error; trace the calls; made the snapshots in truth.
		ok    func(error) bool
		trace string
		made  int
	}{
		"lost reply":                  {awssim.Fault{Kind: awssim.FaultLostReply}, nil, "lost-reply(lost)/true none/true", 2},
		"lost replies":                {awssim.Fault{Kind: awssim.FaultLostReply, Times: -1}, exhausted(is(syscall.ECONNRESET)), "lost-reply(lost)/true lost-reply(lost)/true lost-reply(lost)/true", 3},
		"unreachable":                 {awssim.Fault{Kind: awssim.FaultUnreachable}, nil, "unreachable(unreachable)/false none/true", 1},
		"unreachable for good":        {awssim.Fault{Kind: awssim.FaultUnreachable, Times: -1}, exhausted(is(syscall.ECONNREFUSED)), "unreachable(unreachable)/false unreachable(unreachable)/false unreachable(unreachable)/false", 0},
		"server error":                {awssim.Fault{Kind: awssim.FaultServerError}, nil, "server-errorInternalError/false none/true", 1},
		"server errors":               {awssim.Fault{Kind: awssim.FaultServerError, Times: 3}, exhausted(has("InternalError", 500)), "server-errorInternalError/false server-errorInternalError/false server-errorInternalError/false", 0},
		"server error, applied":       {awssim.Fault{Kind: awssim.FaultServerErrorApplied}, nil, "server-error-appliedInternalError/true none/true", 2},
		"throttle":                    {awssim.Fault{Kind: awssim.FaultThrottle, Times: 2}, nil, "throttleRequestLimitExceeded/false throttleRequestLimitExceeded/false none/true", 1},
		"throttle for long":           {awssim.Fault{Kind: awssim.FaultThrottle, For: time.Hour}, exhausted(has("RequestLimitExceeded", 503)), "throttleRequestLimitExceeded/false throttleRequestLimitExceeded/false throttleRequestLimitExceeded/false", 0},
		"expired":                     {awssim.Fault{Kind: awssim.FaultExpired}, has("RequestExpired", 403), "expiredRequestExpired/false", 0},
		"garbage":                     {awssim.Fault{Kind: awssim.FaultGarbage}, func(err error) bool { var d *smithy.DeserializationError; return errors.As(err, &d) }, "garbage(garbage)/true", 1},
		"error":                       {awssim.Fault{Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no", Status: 403}}, has("UnauthorizedOperation", 403), "errorUnauthorizedOperation/false", 0},
		"error, default status":       {awssim.Fault{Kind: awssim.FaultError, Error: awssim.Error{Code: "Odd"}}, has("Odd", 400), "errorOdd/false", 0},
		"none":                        {awssim.Fault{Kind: awssim.FaultNone}, nil, "none/true", 1},
		"async":                       {awssim.Fault{Kind: awssim.FaultAsync}, nil, "async/true", 1},
		"stale is not for writes":     {awssim.Fault{Kind: awssim.FaultStale, Times: -1}, nil, "none/true", 1},
		"blind is not for writes":     {awssim.Fault{Kind: awssim.FaultBlind, Times: -1}, nil, "none/true", 1},
		"another operation":           {awssim.Fault{Kind: awssim.FaultLostReply, Operation: "DeleteSnapshot"}, nil, "none/true", 1},
		"another service":             {awssim.Fault{Kind: awssim.FaultLostReply, Service: "RDS"}, nil, "none/true", 1},
		"another account":             {awssim.Fault{Kind: awssim.FaultLostReply, Account: other}, nil, "none/true", 1},
		"another Region":              {awssim.Fault{Kind: awssim.FaultLostReply, Region: "us-east-1"}, nil, "none/true", 1},
		"this one":                    {awssim.Fault{Kind: awssim.FaultLostReply, Service: "EC2", Operation: "CreateSnapshot", Account: home, Region: region}, nil, "lost-reply(lost)/true none/true", 2},
		"the second one only, skip 1": {awssim.Fault{Kind: awssim.FaultLostReply, Skip: 1}, nil, "none/true", 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				hit := s.w.Inject(c.fault)
				_, err := s.create()
				if c.ok == nil && err != nil || c.ok != nil && (err == nil || !c.ok(err)) {
					t.Errorf("the error is %v", err)
				}
				if got := s.trace("CreateSnapshot"); got != c.trace {
					t.Errorf("calls\n%s, want\n%s", got, c.trace)
				}
				if n := s.made(); n != c.made {
					t.Errorf("%d snapshots, want %d", n, c.made)
				}
				fired := 0
				for _, k := range s.w.Calls() {
					if k.Fault != awssim.FaultNone {
						fired++
					}
				}
				if c.fault.Kind != awssim.FaultNone && hit.Fired() != fired {
					t.Errorf("fired %d times, want %d", hit.Fired(), fired)
				}
			})
		})
	}
}

// With AWS's interval between two snapshots of a volume, a create that the SDK sends again at once is refused, although it was applied; one
// that is sent again later makes a second snapshot.
func TestLostReplyUnderTheVolumeRate(t *testing.T) {
	for name, c := range map[string]struct {
		latency time.Duration
		code    string
		made    int
	}{"soon": {time.Millisecond, "SnapshotCreationPerVolumeRateExceeded", 1}, "late": {16 * time.Second, "", 2}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.ec2.SetQuotas(s.w, ec2sim.DefaultQuotas())
				s.w.SetLatency(func(string, string) time.Duration { return c.latency })
				s.w.Inject(awssim.Fault{Kind: awssim.FaultLostReply})
				if _, err := s.create(); code(err) != c.code || (err == nil) != (c.code == "") {
					t.Error(err)
				}
				if n := s.made(); n != c.made {
					t.Errorf("%d snapshots, want %d", n, c.made)
				}
			})
		})
	}
}

func TestDeath(t *testing.T) {
	for kind, applied := range map[awssim.FaultKind]bool{awssim.FaultDieBefore: false, awssim.FaultDieAfter: true} {
		t.Run(kind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.w.Inject(awssim.Fault{Kind: kind, Operation: "CreateSnapshot"})
				got := func() (killed awssim.Killed) {
					defer func() { killed, _ = recover().(awssim.Killed) }()
					_, err := s.create()
					t.Errorf("lived on with %v", err)
					return killed
				}()
				if got.Operation != "CreateSnapshot" || got.Applied != applied || !strings.Contains(got.Error(), "killed") {
					t.Errorf("%+v", got)
				}
				want := 0
				if applied {
					want = 1
				}
				if n := s.made(); n != want {
					t.Errorf("%d snapshots, want %d", n, want)
				}
				// The World lives on, and so does a new client.
				s.c = awsec2.NewFromConfig(s.w.Config(home, region))
				if n, err := s.look(); err != nil || n != want {
					t.Errorf("%d, %v", n, err)
				}
			})
		})
	}
}

func TestHangAndCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		hang := s.w.Inject(awssim.Fault{Kind: awssim.FaultHang})
		ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
		defer cancel()
		start := time.Now()
		_, err := s.c.CreateSnapshot(ctx, &awsec2.CreateSnapshotInput{VolumeId: &s.volume})
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute || hang.Fired() != 1 || s.made() != 0 {
			t.Errorf("%v after %v, %d snapshots", err, time.Since(start), s.made())
		}
		ctx, cancel = context.WithCancel(s.ctx)
		defer cancel()
		s.w.Inject(awssim.Fault{Kind: awssim.FaultCancel, Do: cancel})
		_, err = s.c.CreateSnapshot(ctx, &awsec2.CreateSnapshotInput{VolumeId: &s.volume})
		var canceled *smithy.CanceledError
		if !errors.Is(err, context.Canceled) || !errors.As(err, &canceled) || s.made() != 1 {
			t.Errorf("%v, %d snapshots", err, s.made())
		}
		if got := s.trace("CreateSnapshot"); got != "hang(hang)/false cancel(canceled)/true" {
			t.Error(got)
		}
	})
}

func TestStaleAndBlind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for range 2 {
			if _, err := s.create(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(90 * time.Second)
		}
		gone := s.ec2.Snapshots(s.w, home, region)[0].ID
		if !s.ec2.DeleteBehindBack(s.w, home, region, gone) {
			t.Fatal("not there")
		}
		time.Sleep(30 * time.Second)
		for _, c := range []struct {
			fault awssim.Fault
			n     int
			first bool
		}{
			{awssim.Fault{Kind: awssim.FaultNone}, 1, false},
			{awssim.Fault{Kind: awssim.FaultStale}, 2, true}, // a minute ago neither was deleted
			{awssim.Fault{Kind: awssim.FaultStale, Back: 3 * time.Minute}, 1, true},
			{awssim.Fault{Kind: awssim.FaultStale, Back: time.Hour}, 0, false},
			{awssim.Fault{Kind: awssim.FaultBlind}, 1, false},
			{awssim.Fault{Kind: awssim.FaultBlind, Back: 2*time.Minute + time.Second}, 0, false},
		} {
			hit := s.w.Inject(c.fault)
			out, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{})
			if err != nil || hit.Fired() != 1 {
				t.Fatal(err, hit.Fired())
			}
			if len(out.Snapshots) != c.n || c.n > 0 && (*out.Snapshots[0].SnapshotId == gone) != c.first {
				t.Errorf("%v, %v back: %d snapshots", c.fault.Kind, c.fault.Back, len(out.Snapshots))
			}
			s.w.Heal()
		}
	})
}

func TestAsync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.w.Inject(awssim.Fault{Kind: awssim.FaultAsync})
		// A read before it does not use the fault up.
		if _, err := s.look(); err != nil {
			t.Fatal(err)
		}
		out, err := s.create()
		if err != nil || out.State != ec2types.SnapshotStatePending {
			t.Fatal(err)
		}
		err = awsec2.NewSnapshotCompletedWaiter(s.c).Wait(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{*out.SnapshotId}}, 2*time.Hour)
		if err == nil || !strings.Contains(err.Error(), "transitioned to Failure") {
			t.Error(err)
		}
	})
}

// Several faults: the first that matches hits, and only that one counts the call. A storm hits for a time, from its first hit on.
func TestSeveralFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		once := awsec2.NewFromConfig(s.w.Config(home, region), func(o *awsec2.Options) { o.Retryer = aws.NopRetryer{} })
		look := func() string {
			_, err := once.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{})
			return code(err)
		}
		a := s.w.Inject(awssim.Fault{Kind: awssim.FaultError, Error: awssim.Error{Code: "A"}, Times: 2})
		b := s.w.Inject(awssim.Fault{Kind: awssim.FaultError, Error: awssim.Error{Code: "B"}, Skip: 1})
		acted := 0
		c := s.w.Inject(awssim.Fault{Kind: awssim.FaultNone, Times: -1, Do: func() { acted++; s.made() }})
		var got []string
		for range 6 {
			got = append(got, look())
		}
		if words := strings.Join(got, ","); words != "A,A,,B,," || a.Fired() != 2 || b.Fired() != 1 || c.Fired() != 3 || acted != 3 {
			t.Errorf("%s; fired %d, %d, %d; acted %d", words, a.Fired(), b.Fired(), c.Fired(), acted)
		}
		s.w.Heal()
		storm := s.w.Inject(awssim.Fault{Kind: awssim.FaultThrottle, Skip: 1, For: time.Minute})
		got = nil
		for range 5 {
			got = append(got, look())
			time.Sleep(25 * time.Second)
		}
		if words := strings.Join(got, ","); words != ",RequestLimitExceeded,RequestLimitExceeded,RequestLimitExceeded," || storm.Fired() != 3 {
			t.Errorf("%s; fired %d", words, storm.Fired())
		}
	})
}

// What the SDK's retryer takes for not sent must be what the simulation did not apply.
func TestUnreachableIsADialError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		once := awsec2.NewFromConfig(s.w.Config(home, region), func(o *awsec2.Options) { o.Retryer = aws.NopRetryer{} })
		for kind, op := range map[awssim.FaultKind]string{awssim.FaultUnreachable: "dial", awssim.FaultLostReply: "read"} {
			s.w.Inject(awssim.Fault{Kind: kind})
			_, err := once.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: &s.volume})
			var network *net.OpError
			var sent *smithyhttp.RequestSendError
			var at *url.Error
			if !errors.As(err, &network) || network.Op != op || !errors.As(err, &sent) || !errors.As(err, &at) {
				t.Errorf("%v: %v", kind, err)
			}
			// The SDK wraps a request without an answer too, with status 0.
			var response *awshttp.ResponseError
			if !errors.As(err, &response) || response.HTTPStatusCode() != 0 || response.ServiceRequestID() != "" {
				t.Errorf("%v: %+v", kind, response)
			}
			s.w.Heal()
		}
	})
}

package awssim

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go/middleware"
)

// World is a simulated AWS. Its methods may be called from several goroutines.
type World struct {
	mu        sync.Mutex
	services  map[string]*attached
	judges    []Authorizer
	faults    []*Injected
	buckets   map[bucketKey]*bucketState
	sessions  map[string]Session
	calls     []Call
	keepCalls bool
	watch     func(Call)
	ids       uint64
	requests  uint64
	seed      int64
	speed     float64
	lag       time.Duration
	pageLimit int
	throttle  bool
	latency   func(service, operation string) time.Duration
	transfer  func(service, operation string, input any) time.Duration
}

type attached struct {
	Service
	def Definition
}

// Call is one request that reached the simulated AWS, each of the SDK's attempts for itself.
type Call struct {
	// Seq counts the calls of a World from 1.
	Seq  uint64
	Time time.Time
	// Service and Operation are the SDK's names.
	Service, Operation string
	Account, Region    string
	AccessKey          string
	// Mutates tells whether the operation changes anything; Applied whether this call did reach the service's state.
	Mutates, Applied bool
	// Fault is what was injected, FaultNone for nothing.
	Fault FaultKind
	// Code is the error's code, empty for success; "(lost)", "(hang)" and the like where there was no answer.
	Code string
	// Input is the typed input, for tests to look at; it must not be changed.
	Input any
}

// Session is what an access key stands for.
type Session struct {
	Account   string
	Principal string
	// Expires is zero for keys that do not.
	Expires time.Time
}

// New makes a World of the given services. Those that are an Authorizer judge the calls of all. Two services of one ID, or one value in two
// Worlds, are a mistake in the program, and it panics.
func New(services ...Service) *World {
	w := &World{services: map[string]*attached{}, buckets: map[bucketKey]*bucketState{}, sessions: map[string]Session{},
		keepCalls: true, speed: 1, throttle: true, seed: 1}
	for _, s := range services {
		d := s.Definition()
		if _, ok := w.services[d.ID]; ok {
			panic("awssim: two services with the id " + d.ID)
		}
		w.services[d.ID] = &attached{s, d}
		if j, ok := s.(Authorizer); ok {
			w.judges = append(w.judges, j)
		}
	}
	return w
}

// SetSeed sets what ids and durations are derived from; the default is 1. Call it before the World is used.
func (w *World) SetSeed(seed int64) { w.mu.Lock(); defer w.mu.Unlock(); w.seed = seed }

// SetSpeed divides the durations of everything that AWS does by f, which must be positive, and lets token buckets fill f times as fast.
func (w *World) SetSpeed(f float64) { w.mu.Lock(); defer w.mu.Unlock(); w.speed = f }

// SetLag sets the time for which new resources are not visible to calls that read.
func (w *World) SetLag(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.lag = d }

// SetPageLimit limits the pages of all lists, so that paging is exercised with few resources; 0 means AWS's own limits.
func (w *World) SetPageLimit(n int) { w.mu.Lock(); defer w.mu.Unlock(); w.pageLimit = n }

// SetThrottling switches the token buckets; they are on by default.
func (w *World) SetThrottling(on bool) { w.mu.Lock(); defer w.mu.Unlock(); w.throttle = on }

// SetLatency sets how long calls take, before anything is looked at; nil means one nanosecond. A latency is not divided by Speed.
func (w *World) SetLatency(f func(service, operation string) time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latency = f
}

// SetTransfer sets how long calls take on top of the latency, by what they move: a part copy at 90 MB/s, for example. input is the call's
// typed input; f must not keep or change it. nil means no time. It is not divided by Speed either.
func (w *World) SetTransfer(f func(service, operation string, input any) time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.transfer = f
}

// KeepCalls switches the record of calls; it is on by default and grows without limit.
func (w *World) KeepCalls(on bool) { w.mu.Lock(); defer w.mu.Unlock(); w.keepCalls = on }

// Calls gives a copy of the record of calls.
func (w *World) Calls() []Call { w.mu.Lock(); defer w.mu.Unlock(); return slices.Clone(w.calls) }

// Watch has f called after each call, outside of the World's lock, so that a test can check what must hold at every moment.
func (w *World) Watch(f func(Call)) { w.mu.Lock(); defer w.mu.Unlock(); w.watch = f }

// Do runs f under the World's lock with a Request in the given account and Region, so that a test can look at a service's state, or act as
// AWS itself. f must not wait and must not call the World.
func (w *World) Do(account, region string, f func(*Request)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f(&Request{World: w, Account: account, Region: region, Now: time.Now(), Principal: userARN(account, region)})
}

// AddSession makes an access key known and is what AssumeRole is made of; it is called under the World's lock, by Handlers.
func (w *World) AddSession(accessKey string, s Session) { w.sessions[accessKey] = s }

// Config gives an aws.Config for an account and a Region: an ordinary one, of which clients of every simulated service can be made, and
// which reaches nothing outside of the World.
func (w *World) Config(account, region string) aws.Config {
	return w.ConfigFor(region, aws.Credentials{AccessKeyID: accessKeyOf(account), SecretAccessKey: "simulated", Source: "awssim", AccountID: account})
}

// ConfigFor gives an aws.Config with credentials that the World gave out, for example through AssumeRole.
func (w *World) ConfigFor(region string, credentials aws.Credentials) aws.Config {
	cfg := aws.Config{
		Region:                     region,
		Credentials:                staticCredentials{credentials},
		HTTPClient:                 refuse{},
		APIOptions:                 []func(*middleware.Stack) error{w.Hook},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
	return cfg
}

// refuse is the HTTP client of a simulated configuration: whatever reaches it was not hooked.
type refuse struct{}

func (refuse) Do(r *http.Request) (*http.Response, error) {
	return nil, &notSimulated{errors.New("awssim: a request to " + r.URL.Host + " would have left the simulation")}
}

// notSimulated is an error that no retryer sends again.
type notSimulated struct{ error }

// RetryableError tells the SDK's retryer not to.
func (*notSimulated) RetryableError() bool { return false }

// Unwrap gives the cause.
func (e *notSimulated) Unwrap() error { return e.error }

func (w *World) scale(d time.Duration) time.Duration {
	if w.speed == 1 {
		return d
	}
	return time.Duration(float64(d) / w.speed)
}

func accessKeyOf(account string) string { return "AKIA" + account + "SIM0" }

func userARN(account, region string) string {
	return fmt.Sprintf("arn:%s:iam::%s:user/simulated", PartitionOf(region), account)
}

type bucketKey struct{ service, account, region, name string }

type bucketState struct {
	tokens float64
	at     time.Time
}

// take draws a token. The lock is held.
func (w *World) take(service, account, region string, b Bucket, now time.Time) bool {
	if !w.throttle || b.Capacity <= 0 {
		return true
	}
	k := bucketKey{service, account, region, b.Name}
	s, ok := w.buckets[k]
	if !ok {
		s = &bucketState{tokens: b.Capacity, at: now}
		w.buckets[k] = s
	}
	if d := now.Sub(s.at); d > 0 {
		s.tokens = min(b.Capacity, s.tokens+d.Seconds()*b.Refill*w.speed)
		s.at = now
	}
	if s.tokens < 1 {
		return false
	}
	s.tokens--
	return true
}

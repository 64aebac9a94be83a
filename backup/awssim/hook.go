package awssim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

type staticCredentials struct{ aws.Credentials }

func (s staticCredentials) Retrieve(context.Context) (aws.Credentials, error) {
	return s.Credentials, nil
}

type inputKey struct{}

// Hook puts the World underneath a client's operations. Config installs it; it is exported for programs that build their options by hand.
// Stacks without a deserializer, such as those of presigners, are left alone: they never send anything.
func (w *World) Hook(stack *middleware.Stack) error {
	if _, ok := stack.Deserialize.Get("OperationDeserializer"); !ok {
		return nil
	}
	if err := stack.Initialize.Add(captureInput{}, middleware.After); err != nil {
		return err
	}
	if _, err := stack.Deserialize.Swap("OperationDeserializer", deliver{}); err != nil {
		return err
	}
	return stack.Deserialize.Add(exchange{w}, middleware.After)
}

// captureInput keeps the typed input where the exchange finds it. It stands after the SDK's validation and defaults (idempotency tokens).
type captureInput struct{}

func (captureInput) ID() string { return "AWSSimInput" }

func (captureInput) HandleInitialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	return next.HandleInitialize(middleware.WithStackValue(ctx, inputKey{}, in.Parameters), in)
}

// answer travels from the exchange to deliver in place of a response body.
type answer struct {
	result any
	err    error
}

// answerKey is where the answer lies in the metadata of the exchange.
type answerKey struct{}

// deliver stands in the place of the operation's deserializer.
type deliver struct{}

func (deliver) ID() string { return "OperationDeserializer" }

func (deliver) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
	out, md, err := next.HandleDeserialize(ctx, in)
	if err != nil {
		return out, md, err
	}
	a, ok := md.Get(answerKey{}).(answer)
	if !ok {
		return out, md, errors.New("awssim: another middleware answered in the simulation's place")
	}
	if a.err != nil {
		return out, md, a.err
	}
	out.Result = a.result
	return out, md, nil
}

// exchange stands innermost, where the HTTP client would be called.
type exchange struct{ w *World }

func (exchange) ID() string { return "AWSSim" }

func (x exchange) HandleDeserialize(ctx context.Context, in middleware.DeserializeInput, _ middleware.DeserializeHandler) (out middleware.DeserializeOutput, md middleware.Metadata, err error) {
	req, ok := in.Request.(*smithyhttp.Request)
	if !ok {
		return out, md, fmt.Errorf("awssim: unexpected request of type %T", in.Request)
	}
	service, operation := middleware.GetServiceID(ctx), middleware.GetOperationName(ctx)
	accessKey, region := scope(req.Header.Get("Authorization"))
	if err := x.w.wait(ctx, service, operation, middleware.GetStackValue(ctx, inputKey{})); err != nil {
		return unanswered(ctx, req, err)
	}
	input, err := x.w.prepare(service, operation, middleware.GetStackValue(ctx, inputKey{}))
	if err != nil {
		return unanswered(ctx, req, err)
	}
	// The SDK computes the checksum of a body while that is sent.
	if body := req.GetStream(); body != nil {
		if _, err := io.Copy(io.Discard, body); err != nil {
			return unanswered(ctx, req, err)
		}
	}
	r := &Request{World: x.w, Service: service, Operation: operation, Region: region, AccessKey: accessKey}
	status, id, a, err := x.w.serve(ctx, r, input)
	if err != nil {
		return unanswered(ctx, req, err)
	}
	out.RawResponse = &smithyhttp.Response{Response: &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"X-Amzn-Requestid": {id}}, Body: http.NoBody, Request: req.Request,
	}}
	md.Set(answerKey{}, a)
	return out, md, nil
}

// unanswered gives what the SDK's HTTP client gives for a request that got no answer: an empty response, and the cause as a send error or, if the
// context has ended, a cancellation. Source: smithy-go, transport/http, ClientHandler.
func unanswered(ctx context.Context, req *smithyhttp.Request, cause error) (out middleware.DeserializeOutput, md middleware.Metadata, err error) {
	out.RawResponse = &smithyhttp.Response{Response: &http.Response{Header: http.Header{}, Body: http.NoBody}}
	if ended := ctx.Err(); ended != nil {
		cause = ended
	}
	if errors.Is(cause, context.Canceled) || errors.Is(cause, context.DeadlineExceeded) {
		return out, md, &smithy.CanceledError{Err: cause}
	}
	return out, md, &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", URL: req.URL.String(), Err: cause}}
}

// prepare lets the service read what its Handlers, which run under the lock, may not wait for.
func (w *World) prepare(service, operation string, in any) (any, error) {
	s, ok := w.services[service] // never changed after New
	if !ok || s.def.Prepare == nil {
		return in, nil
	}
	return s.def.Prepare(operation, in)
}

// wait passes the latency, outside of any lock.
func (w *World) wait(ctx context.Context, service, operation string, in any) error {
	start := time.Now()
	w.mu.Lock()
	f, transfer := w.latency, w.transfer
	w.mu.Unlock()
	d := time.Nanosecond
	if f != nil {
		d = f(service, operation)
	}
	if transfer != nil {
		d += transfer(service, operation, in)
	}
	if d <= 0 {
		return ctx.Err()
	}
	if d < time.Microsecond {
		// Outside a bubble time goes on by itself, and a sleep would cost microseconds; inside it stands still until somebody sleeps.
		if time.Since(start) < d {
			time.Sleep(d)
		}
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// serve applies one call to the world. An error is a failure of the transport; what the service says is in the answer.
func (w *World) serve(ctx context.Context, r *Request, in any) (status int, id string, a answer, err error) {
	w.mu.Lock()
	w.requests++
	seq := w.requests
	r.Now = time.Now()
	id = requestID(seq)
	s, h, refused := w.route(r)
	fault := w.hit(r, h.mutates)
	w.mu.Unlock()

	call := Call{Seq: seq, Time: r.Now, Service: r.Service, Operation: r.Operation, Account: r.Account, Region: r.Region,
		AccessKey: r.AccessKey, Mutates: h.mutates, Input: in}
	kind := FaultNone
	if fault != nil {
		kind = fault.Kind
		if fault.Do != nil {
			fault.Do()
			r.Now = time.Now() // what Do did has happened before the call
		}
	}
	call.Fault = kind
	done := func(code string) { call.Code = code; w.record(call) }

	switch kind {
	case FaultDieBefore:
		done("(died)")
		panic(Killed{Operation: r.Operation})
	case FaultUnreachable:
		done("(unreachable)")
		return 0, "", a, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	case FaultHang:
		<-ctx.Done()
		done("(hang)")
		return 0, "", a, ctx.Err()
	}

	var result any
	if refused == nil {
		result, refused = w.apply(r, s, h, in, fault, &call)
	}
	switch kind {
	case FaultDieAfter:
		done("(died)")
		panic(Killed{Operation: r.Operation, Applied: call.Applied})
	case FaultLostReply:
		done("(lost)")
		return 0, "", a, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	case FaultCancel:
		done("(canceled)")
		return 0, "", a, context.Canceled
	case FaultGarbage:
		done("(garbage)")
		return http.StatusOK, id, answer{err: &smithy.DeserializationError{Err: io.ErrUnexpectedEOF, Snapshot: []byte("<?xml versi")}}, nil
	case FaultServerErrorApplied:
		refused = &Error{Status: http.StatusInternalServerError, Code: "InternalError", Message: "An internal error has occurred"}
	}
	if refused == nil {
		done("")
		return http.StatusOK, id, answer{result: result}, nil
	}
	var e *Error
	if !errors.As(refused, &e) {
		done("(awssim)")
		return http.StatusNotImplemented, id, answer{err: &notSimulated{refused}}, nil
	}
	done(e.Code)
	status = e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	if s != nil && s.def.Typed != nil {
		if typed := s.def.Typed(e); typed != nil {
			return status, id, answer{err: typed}, nil //nolint:nilerr // the error is in the answer
		}
	}
	side := smithy.FaultClient
	if status >= 500 {
		side = smithy.FaultServer
	}
	return status, id, answer{err: &smithy.GenericAPIError{Code: e.Code, Message: e.Message, Fault: side}}, nil
}

// requestID is the id of the call with the given number: "sim-" and at least eight digits.
func requestID(seq uint64) string {
	if seq >= 100_000_000 {
		return "sim-" + strconv.FormatUint(seq, 10)
	}
	b := []byte("sim-00000000")
	for i := len(b) - 1; seq > 0; i-- {
		b[i] = '0' + byte(seq%10)
		seq /= 10
	}
	return string(b)
}

// route finds who calls what. The lock is held.
func (w *World) route(r *Request) (*attached, Handler, error) {
	s, ok := w.services[r.Service]
	if !ok {
		return nil, Handler{}, &notSimulated{fmt.Errorf("awssim: the world has no service %q, which %s was called of", r.Service, r.Operation)}
	}
	switch session, ok := w.sessions[r.AccessKey]; {
	case ok:
		r.Account, r.Principal = session.Account, session.Principal
		if !session.Expires.IsZero() && !r.Now.Before(session.Expires) {
			return s, s.def.Handlers[r.Operation], expired(r.Service)
		}
	case len(r.AccessKey) == 20 && strings.HasPrefix(r.AccessKey, "AKIA") && strings.HasSuffix(r.AccessKey, "SIM0"):
		r.Account = r.AccessKey[4:16]
		r.Principal = userARN(r.Account, r.Region)
	default:
		return s, s.def.Handlers[r.Operation], FailStatus(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	}
	h, ok := s.def.Handlers[r.Operation]
	if !ok {
		return s, Handler{}, &notSimulated{fmt.Errorf("awssim: %s.%s is not simulated", r.Service, r.Operation)}
	}
	return s, h, nil
}

func expired(service string) *Error {
	code := "ExpiredToken"
	if service == "EC2" {
		code = "RequestExpired"
	}
	return FailStatus(http.StatusForbidden, code, "The security token included in the request is expired")
}

// apply runs the handler under the lock, as far as the fault lets it.
func (w *World) apply(r *Request, s *attached, h Handler, in any, fault *Fault, call *Call) (any, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := r.Now
	if fault != nil {
		switch fault.Kind {
		case FaultServerError:
			return nil, &Error{Status: http.StatusInternalServerError, Code: "InternalError", Message: "An internal error has occurred"}
		case FaultThrottle:
			e := s.def.Throttled
			return nil, &e
		case FaultExpired:
			return nil, expired(r.Service)
		case FaultError:
			e := fault.Error
			return nil, &e
		case FaultAsync:
			r.Doomed = true
		case FaultStale:
			r.Now = r.Now.Add(-back(fault))
		case FaultBlind:
			r.blind = back(fault)
		}
	}
	if s.def.Bucket != nil {
		if !w.take(r.Service, r.Account, r.Region, s.def.Bucket(r.Operation, in), call.Time) {
			e := s.def.Throttled
			return nil, &e
		}
	}
	if err := w.authorize(r, now, in); err != nil {
		return nil, err
	}
	result, err := h.call(r, in)
	call.Applied = err == nil
	return result, err
}

// authorize asks whether the caller may make the call, at its own time and not at the one that it looks at.
func (w *World) authorize(r *Request, now time.Time, in any) error {
	if len(w.judges) == 0 {
		return nil
	}
	asked := *r
	asked.Now = now
	for _, j := range w.judges {
		if err := j.Authorize(&asked, in); err != nil {
			return err
		}
	}
	return nil
}

func back(f *Fault) time.Duration {
	if f.Back > 0 {
		return f.Back
	}
	return time.Minute
}

func (w *World) record(c Call) {
	w.mu.Lock()
	if w.keepCalls {
		w.calls = append(w.calls, c)
	}
	watch := w.watch
	w.mu.Unlock()
	if watch != nil {
		watch(c)
	}
}

// scope reads access key and Region from an Authorization header, such as
// "AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/ec2/aws4_request, SignedHeaders=..., Signature=...".
func scope(header string) (accessKey, region string) {
	_, rest, ok := strings.Cut(header, "Credential=")
	if !ok {
		return "", ""
	}
	rest, _, _ = strings.Cut(rest, ",")
	accessKey, rest, _ = strings.Cut(rest, "/")
	_, rest, _ = strings.Cut(rest, "/")
	region, rest, _ = strings.Cut(rest, "/")
	if strings.Count(rest, "/") != 1 {
		return "", ""
	}
	return accessKey, region
}

package awscall

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/snapwarden/snapwarden/backup"
)

// answered is an error as the SDK gives it for an answer with a status.
func answered(status int, code, message string) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: "CreateSnapshot", Err: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}}, Err: &smithy.GenericAPIError{Code: code, Message: message}}}
}

// unanswered is an error as the SDK gives it for a request without an answer.
func unanswered(cause error) error {
	return &smithy.OperationError{ServiceID: "EC2", OperationName: "CreateSnapshot", Err: &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{}}, Err: &smithyhttp.RequestSendError{Err: &url.Error{Op: "Post", URL: "https://x", Err: cause}}}}
}

func TestClassify(t *testing.T) {
	table := Table{
		"Busy":  {{Code: backup.ErrUnavailable, Class: NotYet, Hint: "wait"}},
		"Quota": {{Message: "copies", Code: backup.ErrQuota, Class: NotYet}, {Code: backup.ErrQuota, Class: Permanent}},
	}
	for _, c := range []struct {
		name  string
		err   error
		class Class
		code  backup.Code
	}{
		{"a code of the table", answered(400, "Busy", ""), NotYet, backup.ErrUnavailable},
		{"a code with two meanings, the one", answered(400, "Quota", "too many copies"), NotYet, backup.ErrQuota},
		{"a code with two meanings, the other", answered(400, "Quota", "100 snapshots"), Permanent, backup.ErrQuota},
		{"a missing permission", answered(403, "UnauthorizedOperation", ""), Permanent, backup.ErrDenied},
		{"expired credentials", answered(403, "ExpiredToken", ""), NotApplied, backup.ErrUnavailable},
		{"throttled", answered(503, "RequestLimitExceeded", ""), NotApplied, backup.ErrThrottled},
		{"throttled by status", answered(429, "Throttled", ""), NotApplied, backup.ErrThrottled},
		{"an unknown refusal", answered(400, "Whatever", ""), Permanent, backup.ErrFailed},
		{"an internal error", answered(500, "InternalError", ""), Ambiguous, backup.ErrUnavailable},
		{"an unknown code with a status of 503", answered(503, "Whatever", ""), Ambiguous, backup.ErrUnavailable},
		{"a time-out of the service", answered(400, "RequestTimeout", ""), Ambiguous, backup.ErrUnavailable},
		{"a time-out by status", answered(408, "Whatever", ""), Ambiguous, backup.ErrUnavailable},
		{"an unknown code with a status of 200", answered(200, "Whatever", ""), Ambiguous, backup.ErrUnavailable},
		{"an unknown code without a status", &smithy.GenericAPIError{Code: "Whatever"}, Ambiguous, backup.ErrUnavailable},
		{"reset after sending", unanswered(&net.OpError{Op: "read", Err: io.EOF}), Ambiguous, backup.ErrUnavailable},
		{"written in part", unanswered(&net.OpError{Op: "write", Err: io.ErrShortWrite}), Ambiguous, backup.ErrUnavailable},
		{"no connection", unanswered(&net.OpError{Op: "dial", Err: errors.New("refused")}), NotApplied, backup.ErrUnavailable},
		{"no such host", unanswered(&net.DNSError{Name: "x", IsNotFound: true}), NotApplied, backup.ErrUnavailable},
		{"canceled", &smithy.CanceledError{Err: context.Canceled}, Ambiguous, backup.ErrUnavailable},
		{"timed out", unanswered(context.DeadlineExceeded), Ambiguous, backup.ErrUnavailable},
		{"an answer that can not be read", &smithy.DeserializationError{Err: io.ErrUnexpectedEOF}, Ambiguous, backup.ErrUnavailable},
		{"a request that can not be written", &smithy.SerializationError{Err: io.ErrUnexpectedEOF}, Permanent, backup.ErrInvalid},
		{"the fence", &smithy.OperationError{Err: &FenceError{&backup.Error{Code: backup.ErrConflict}}}, NotApplied, backup.ErrConflict},
		{"something else", errors.New("?"), Ambiguous, backup.ErrUnavailable},
	} {
		v := table.Classify(c.err)
		if v.Class != c.class || v.Code != c.code {
			t.Errorf("%s: class %d and code %q, wanted %d and %q", c.name, v.Class, v.Code, c.class, c.code)
		}
		if e := v.Error("ebs", "CreateSnapshot", backup.Ref{}, c.err); !errors.Is(e, c.code) || !errors.Is(e, c.err) {
			t.Errorf("%s: the library's error %v does not hold the code and the cause", c.name, e)
		}
	}
}

// The retryer for creates sends again exactly what is surely not applied and does not come from the fence.
func TestCreateRetryer(t *testing.T) {
	r := CreateRetryer()
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"throttled", answered(503, "RequestLimitExceeded", ""), true},
		{"no connection", unanswered(&net.OpError{Op: "dial", Err: errors.New("refused")}), true},
		{"an internal error", answered(500, "InternalError", ""), false},
		{"a status of 503", answered(503, "Whatever", ""), false},
		{"reset", unanswered(&net.OpError{Op: "read", Err: io.EOF}), false},
		{"timed out", unanswered(context.DeadlineExceeded), false},
		{"a time-out of the service", answered(400, "RequestTimeout", ""), false},
		{"the fence", &FenceError{&backup.Error{Code: backup.ErrConflict}}, false},
		{"a request that can not be written", &smithy.SerializationError{Err: io.ErrUnexpectedEOF}, false},
	} {
		if got := r.IsErrorRetryable(c.err); got != c.want {
			t.Errorf("%s: sent again %v, wanted %v", c.name, got, c.want)
		}
	}
}

package awscall

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/snapwarden/snapwarden/backup"
)

// Class says what an error means for the call that got it, and with that what may be done next.
type Class int

const (
	// Ambiguous: the call may have been applied. It is never sent again before its result was looked for.
	Ambiguous Class = iota
	// NotApplied: the call surely had no effect, and the same call will work later: throttling, a connection that was never made.
	NotApplied
	// NotYet: the service refused because of a state or a limit that passes: wait, then send again.
	NotYet
	// Permanent: the service refused, and will refuse again.
	Permanent
)

// Rule is one row of a service's error table.
type Rule struct {
	// Message limits the rule to errors whose message contains it, where AWS uses one code for several things; empty matches all.
	Message string
	Code    backup.Code
	Class   Class
	Hint    string
}

// Table maps the wire codes of one service to rules; of several rules for a code the first that matches counts.
type Table map[string][]Rule

// Verdict is what an error was found to be.
type Verdict struct {
	Rule
	// AWSCode is the wire code, empty where the service did not answer.
	AWSCode string
}

// common holds the codes that every service may answer.
var common = Table{
	"AccessDenied":                {{Code: backup.ErrDenied, Class: Permanent, Hint: hintDenied}},
	"AccessDeniedException":       {{Code: backup.ErrDenied, Class: Permanent, Hint: hintDenied}},
	"UnauthorizedOperation":       {{Code: backup.ErrDenied, Class: Permanent, Hint: hintDenied}},
	"AuthFailure":                 {{Code: backup.ErrDenied, Class: Permanent, Hint: "the credentials are not valid in this Region; check the account, the key and whether the Region is enabled"}},
	"OptInRequired":               {{Code: backup.ErrDenied, Class: Permanent, Hint: "the account is not subscribed to the service, or the Region is not enabled"}},
	"InvalidClientTokenId":        {{Code: backup.ErrDenied, Class: Permanent, Hint: "the access key does not exist in this partition, or the Region is not enabled for the account"}},
	"UnrecognizedClientException": {{Code: backup.ErrDenied, Class: Permanent, Hint: "the access key does not exist in this partition, or the Region is not enabled for the account"}},
	"SignatureDoesNotMatch":       {{Code: backup.ErrDenied, Class: Permanent, Hint: "the secret key is wrong, or the clock is"}},
	"MissingAuthenticationToken":  {{Code: backup.ErrDenied, Class: Permanent, Hint: "the request was not signed: no credentials are configured"}},
	// Expired credentials were checked before anything was applied, and a provider can bring new ones.
	"ExpiredToken":          {{Code: backup.ErrUnavailable, Class: NotApplied, Hint: "the credentials have expired; they must be renewed"}},
	"ExpiredTokenException": {{Code: backup.ErrUnavailable, Class: NotApplied, Hint: "the credentials have expired; they must be renewed"}},
	"RequestExpired":        {{Code: backup.ErrUnavailable, Class: NotApplied, Hint: "the credentials or the request have expired; check the clock and renew the credentials"}},
}

const hintDenied = "the caller's policy, or one above it, does not allow this action on this resource; the message names the action"

// Classify gives the verdict on an error of a call to the service that t belongs to. It is total: what nobody wrote down is Ambiguous where
// the call may have been applied (no answer, or a status of 500 and above) and Permanent where the service refused it.
func (t Table) Classify(err error) Verdict {
	var fenced *FenceError
	if errors.As(err, &fenced) {
		return Verdict{Rule: Rule{Code: backup.CodeOf(fenced.Err), Class: NotApplied, Hint: backup.HintOf(fenced.Err)}}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		code := api.ErrorCode()
		for _, table := range [...]Table{t, common} {
			for _, r := range table[code] {
				if r.Message == "" || strings.Contains(api.ErrorMessage(), r.Message) {
					return Verdict{Rule: r, AWSCode: code}
				}
			}
		}
		if _, ok := retry.DefaultThrottleErrorCodes[code]; ok {
			return Verdict{Rule: Rule{Code: backup.ErrThrottled, Class: NotApplied, Hint: "too many calls: a Runner tries again later, and so should whoever called this directly"}, AWSCode: code}
		}
		_, retryable := retry.DefaultRetryableErrorCodes[code]
		switch status := status(err); {
		case status == http.StatusTooManyRequests:
			return Verdict{Rule: Rule{Code: backup.ErrThrottled, Class: NotApplied, Hint: "too many calls: a Runner tries again later, and so should whoever called this directly"}, AWSCode: code}
		case retryable, status < http.StatusBadRequest, status == http.StatusRequestTimeout, status >= http.StatusInternalServerError:
			// No refusal: whether the call was applied is not said.
			return Verdict{Rule: Rule{Code: backup.ErrUnavailable, Class: Ambiguous, Hint: "the service had an internal error or timed out; it is looked at again later"}, AWSCode: code}
		}
		return Verdict{Rule: Rule{Code: backup.ErrFailed, Class: Permanent, Hint: "the service refused with a code that this release does not know"}, AWSCode: code}
	}
	var serialization *smithy.SerializationError
	var params smithy.InvalidParamsError
	if errors.As(err, &serialization) || errors.As(err, &params) {
		return Verdict{Rule: Rule{Code: backup.ErrInvalid, Class: Permanent, Hint: "the request can not be written; the message names the parameter"}}
	}
	if Unsent(err) {
		return Verdict{Rule: Rule{Code: backup.ErrUnavailable, Class: NotApplied, Hint: "the service could not be reached; check the network and the endpoint"}}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Verdict{Rule: Rule{Code: backup.ErrUnavailable, Class: Ambiguous, Hint: "the call was given up before its answer came"}}
	}
	var e *backup.Error
	if errors.As(err, &e) {
		return Verdict{Rule: Rule{Code: e.Code, Class: NotApplied, Hint: e.Hint}}
	}
	return Verdict{Rule: Rule{Code: backup.ErrUnavailable, Class: Ambiguous, Hint: "the answer was lost or could not be read; it is looked at again later"}}
}

// Error makes the library's error of an AWS error and its verdict.
func (v Verdict) Error(kind, operation string, ref backup.Ref, err error) *backup.Error {
	return &backup.Error{Op: operation, Kind: kind, Ref: ref, Code: v.Code, Err: err, Hint: v.Hint}
}

// Wrap classifies err and makes the library's error of it. It is nil for nil.
func (t Table) Wrap(kind, operation string, ref backup.Ref, err error) error {
	if err == nil {
		return nil
	}
	return t.Classify(err).Error(kind, operation, ref, err)
}

// Unsent reports whether an error shows that the request never left: no name, no connection.
func Unsent(err error) bool {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return true
	}
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func status(err error) int {
	var r *smithyhttp.ResponseError
	if errors.As(err, &r) {
		return r.HTTPStatusCode()
	}
	return 0
}

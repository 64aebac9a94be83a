package awscall

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"errors"

	"github.com/snapwarden/snapwarden/backup"
)

// CreateRetryer gives the retryer for calls that make something and have no client token. It sends again only what surely was not applied:
// throttled requests and connections that were never made. The SDK's default retryer also sends again after a lost answer and after a status
// of 500, which makes two snapshots and reports none of it.
func CreateRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.Retryables = []retry.IsErrorRetryable{retry.IsErrorRetryableFunc(func(err error) aws.Ternary {
			var fenced *FenceError
			if errors.As(err, &fenced) {
				return aws.FalseTernary
			}
			var api smithy.APIError
			if errors.As(err, &api) {
				_, throttled := retry.DefaultThrottleErrorCodes[api.ErrorCode()]
				return aws.BoolTernary(throttled)
			}
			return aws.BoolTernary(Unsent(err))
		})}
	})
}

// FenceError tells that a request was not sent because the lease is over.
type FenceError struct{ Err error }

// Error gives the cause.
func (e *FenceError) Error() string { return e.Err.Error() }

// Unwrap gives the cause.
func (e *FenceError) Unwrap() error { return e.Err }

// RetryableError tells the SDK's retryers not to try again.
func (*FenceError) RetryableError() bool { return false }

// Guard is an API option for every call that changes something: on each attempt, just before the request is signed, it asks
// backup.CheckFence, so that a process which was paused in the middle of a retry does not send late. The stacks of presigners, with which the SDK
// fills in the PresignedUrl of copies, are left alone: they send nothing.
func Guard(stack *middleware.Stack) error {
	if _, presigns := stack.Finalize.Get("PresignHTTPRequest"); presigns {
		return nil
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("SnapwardenFence",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if err := backup.CheckFence(ctx); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, &FenceError{err}
			}
			return next.HandleFinalize(ctx, in)
		}), "Signing", middleware.Before)
}

package protect_test

import (
	"context"

	"github.com/aws/smithy-go/middleware"
)

// answer changes what the simulated S3 answers, for what it does not know.
func answer(f func(out any)) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("TestAnswer",
			func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				out, meta, err := next.HandleInitialize(ctx, in)
				if err == nil {
					f(out.Result)
				}
				return out, meta, err
			}), middleware.Before)
	}
}

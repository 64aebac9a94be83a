package backup

import "context"

type fenceKey struct{}

// WithFence gives a context under which CheckFence calls f. The Runner sets one for every Step that may change something.
func WithFence(ctx context.Context, f func() error) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// CheckFence reports whether the process may still send a request that changes something; an error says that its lease is over and that
// another may have taken the Operation. A Strategy checks it as late as it can: after the SDK's waiting and just before each signing, on
// every attempt. Without a fence in ctx the answer is yes.
func CheckFence(ctx context.Context) error {
	if f, ok := ctx.Value(fenceKey{}).(func() error); ok {
		return f()
	}
	return nil
}

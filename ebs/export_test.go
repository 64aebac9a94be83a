package ebs

import "github.com/aws/aws-sdk-go-v2/aws/retry"

// WithDefaultRetryer gives a Strategy that sends its creates again as the SDK does by default. It exists for the control of the fault sweep.
func WithDefaultRetryer(s *Strategy) *Strategy {
	s.retryer = retry.NewStandard()
	return s
}

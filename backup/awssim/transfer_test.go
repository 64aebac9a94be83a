package awssim_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// preparing is a service whose inputs are replaced before its handler sees them.
type preparing struct {
	prepare func(operation string, input any) (any, error)
	seen    []string
}

func (p *preparing) Definition() awssim.Definition {
	return awssim.Definition{
		ID: "STS",
		Handlers: map[string]awssim.Handler{
			"AssumeRole": awssim.Write(func(_ *awssim.Request, in *awssts.AssumeRoleInput) (*awssts.AssumeRoleOutput, error) {
				p.seen = append(p.seen, aws.ToString(in.RoleArn))
				return &awssts.AssumeRoleOutput{}, nil
			}),
		},
		Prepare: p.prepare,
	}
}

func assume(t *testing.T, w *awssim.World, role string) error {
	t.Helper()
	c := awssts.NewFromConfig(w.Config(home, region), func(o *awssts.Options) { o.RetryMaxAttempts = 1 })
	_, err := c.AssumeRole(t.Context(), &awssts.AssumeRoleInput{RoleArn: &role, RoleSessionName: aws.String("test")})
	return err
}

// A transfer takes its time on top of the latency, and sees what is moved.
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := awssim.New(&preparing{})
		w.SetLatency(func(string, string) time.Duration { return 2 * time.Second })
		w.SetTransfer(func(service, operation string, input any) time.Duration {
			in, ok := input.(*awssts.AssumeRoleInput)
			if service != "STS" || operation != "AssumeRole" || !ok {
				t.Errorf("%s.%s of %T", service, operation, input)
				return 0
			}
			return time.Duration(len(*in.RoleArn)) * time.Minute
		})
		start := time.Now()
		if err := assume(t, w, "arn:role"); err != nil || time.Since(start) != 8*time.Minute+2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		w.SetTransfer(nil)
		start = time.Now()
		if err := assume(t, w, "arn:role"); err != nil || time.Since(start) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// What Prepare makes of an input is what the handler and the record of calls see, and Prepare may wait.
func TestPrepare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &preparing{prepare: func(operation string, input any) (any, error) {
			if operation != "AssumeRole" {
				t.Error(operation)
			}
			time.Sleep(time.Minute)
			c := *input.(*awssts.AssumeRoleInput)
			c.RoleArn = aws.String(*c.RoleArn + "-read")
			return &c, nil
		}}
		w := awssim.New(s)
		start := time.Now()
		if err := assume(t, w, "arn:role"); err != nil || time.Since(start) < time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if len(s.seen) != 1 || s.seen[0] != "arn:role-read" {
			t.Errorf("the handler saw %q", s.seen)
		}
		if in := w.Calls()[0].Input.(*awssts.AssumeRoleInput); *in.RoleArn != "arn:role-read" {
			t.Errorf("the record has %q", *in.RoleArn)
		}
	})
}

// A body that can not be read was never sent: the service sees no call.
func TestPrepareFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("the file is gone")
		s := &preparing{prepare: func(string, any) (any, error) { return nil, broken }}
		w := awssim.New(s)
		if err := assume(t, w, "arn:role"); !errors.Is(err, broken) {
			t.Error(err)
		}
		if len(s.seen) != 0 || len(w.Calls()) != 0 {
			t.Errorf("the service saw %q, and %d calls were recorded", s.seen, len(w.Calls()))
		}
	})
}

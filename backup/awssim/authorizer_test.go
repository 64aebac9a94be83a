package awssim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
)

// guard is a service without operations that judges the calls of the others.
type guard struct {
	id    string
	asked []awssim.Request
	deny  string // an operation
}

func (g *guard) Definition() awssim.Definition { return awssim.Definition{ID: g.id} }

func (g *guard) Authorize(r *awssim.Request, input any) error {
	g.asked = append(g.asked, *r)
	if _, ok := input.(*awskms.CreateKeyInput); ok != (r.Operation == "CreateKey") {
		return awssim.Fail("Input", "%T", input)
	}
	if r.Operation == g.deny {
		return awssim.FailStatus(403, "NotToday", "no")
	}
	return nil
}

// TestAuthorizer has every judge be asked before a call is applied, at the time of the call, and for nothing that never reaches a service.
func TestAuthorizer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := &guard{id: "One"}, &guard{id: "Two", deny: "CreateKey"}
		w := awssim.New(one, kmssim.Service(), two)
		kms := awskms.NewFromConfig(w.Config("111122223333", "eu-west-1"), func(o *awskms.Options) { o.RetryMaxAttempts = 1 })
		create := func() error {
			_, err := kms.CreateKey(t.Context(), &awskms.CreateKeyInput{})
			return err
		}
		if err := create(); code(err) != "NotToday" {
			t.Error(err)
		}
		if calls := w.Calls(); len(calls) != 1 || calls[0].Applied || calls[0].Code != "NotToday" {
			t.Errorf("%+v", calls)
		}
		two.deny = ""
		if err := create(); err != nil {
			t.Fatal(err)
		}
		if len(one.asked) != 2 || len(two.asked) != 2 || one.asked[1].Principal != "arn:aws:iam::111122223333:user/simulated" || one.asked[1].Account != "111122223333" {
			t.Errorf("%+v", one.asked)
		}
		// The past is for what is looked at, and not for who looks.
		w.Inject(awssim.Fault{Operation: "DescribeKey", Kind: awssim.FaultStale, Back: time.Hour})
		before := time.Now()
		_, _ = kms.DescribeKey(t.Context(), &awskms.DescribeKeyInput{KeyId: aws.String("alias/aws/s3")})
		if got := one.asked[len(one.asked)-1].Now; got.Before(before) {
			t.Errorf("asked for %v at %v", got, before)
		}
		n := len(one.asked)
		for _, kind := range []awssim.FaultKind{awssim.FaultThrottle, awssim.FaultServerError, awssim.FaultExpired, awssim.FaultUnreachable} {
			w.Inject(awssim.Fault{Operation: "CreateKey", Kind: kind})
			if err := create(); err == nil {
				t.Errorf("%v: no error", kind)
			}
		}
		if _, err := kms.ListKeys(t.Context(), &awskms.ListKeysInput{}); err == nil {
			t.Error("ListKeys is simulated")
		}
		if len(one.asked) != n {
			t.Errorf("asked for %+v", one.asked[n:])
		}
	})
}

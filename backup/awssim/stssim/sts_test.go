package stssim_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/stscreds"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
)

const (
	home  = "111122223333"
	other = "444455556666"
	role  = "arn:aws:iam::444455556666:role/teams/backup"
)

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// TestLongWork works ten hours with credentials that live one.
func TestLongWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := awssim.New(stssim.Service())
		provider := stscreds.NewAssumeRoleProvider(awssts.NewFromConfig(w.Config(home, "eu-west-1")), role, func(o *stscreds.AssumeRoleOptions) {
			o.Duration = time.Hour
			o.RoleSessionName = "ten-hours"
		})
		cfg := w.Config(home, "eu-west-1")
		cfg.Credentials = aws.NewCredentialsCache(provider)
		c := awssts.NewFromConfig(cfg)
		start := time.Now()
		for time.Since(start) < 10*time.Hour {
			me, err := c.GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
			if err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			if *me.Account != other || *me.Arn != "arn:aws:sts::444455556666:assumed-role/backup/ten-hours" || !strings.HasSuffix(*me.UserId, ":ten-hours") {
				t.Fatalf("after %v: %s, %s, %s", time.Since(start), *me.Account, *me.Arn, *me.UserId)
			}
			time.Sleep(time.Minute)
		}
		assumed := 0
		for _, call := range w.Calls() {
			if call.Operation == "AssumeRole" {
				assumed++
			}
		}
		if assumed != 10 {
			t.Errorf("the role was assumed %d times in 10 hours", assumed)
		}
	})
}

func TestAssumeRole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := stssim.Service()
		w := awssim.New(s)
		c := awssts.NewFromConfig(w.Config(home, "eu-west-1"))
		s.Refuse(w, "arn:aws:iam::444455556666:role/closed")
		assume := func(c *awssts.Client, arn, name string, seconds int32) (*awssts.AssumeRoleOutput, error) {
			in := &awssts.AssumeRoleInput{RoleArn: &arn, RoleSessionName: &name}
			if seconds > 0 {
				in.DurationSeconds = &seconds
			}
			return c.AssumeRole(t.Context(), in)
		}
		first, err := assume(c, role, "first", 900)
		if err != nil {
			t.Fatal(err)
		}
		if got := first.Credentials.Expiration.Sub(time.Now().Truncate(time.Second)); got < 899*time.Second || got > 901*time.Second {
			t.Errorf("900 s are %v", got)
		}
		if len(*first.Credentials.AccessKeyId) != 20 {
			t.Errorf("the access key id %q has not 20 letters", *first.Credentials.AccessKeyId)
		}
		creds := aws.Credentials{AccessKeyID: *first.Credentials.AccessKeyId, SecretAccessKey: *first.Credentials.SecretAccessKey, SessionToken: *first.Credentials.SessionToken}
		chained := awssts.NewFromConfig(w.ConfigFor("eu-west-1", creds))
		for _, tt := range []struct {
			name    string
			client  *awssts.Client
			arn     string
			session string
			seconds int32
			code    string
		}{
			{"by default", c, role, "name", 0, ""},
			{"twelve hours", c, role, "name", 43200, ""},
			{"longer", c, role, "name", 43201, "ValidationError"},
			{"shorter", c, role, "name", 899, "ValidationError"},
			{"no role", c, "arn:aws:iam::444455556666:user/somebody", "name", 0, "ValidationError"},
			{"a bad name", c, role, "two words", 0, "ValidationError"},
			{"refused", c, "arn:aws:iam::444455556666:role/closed", "name", 0, "AccessDenied"},
			{"another partition", c, "arn:aws-cn:iam::444455556666:role/backup", "name", 0, "AccessDenied"},
			{"chained, an hour", chained, role, "name", 3600, ""},
			{"chained, longer", chained, role, "name", 3601, "ValidationError"},
		} {
			if _, err := assume(tt.client, tt.arn, tt.session, tt.seconds); code(err) != tt.code {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.code)
			}
		}
		s.Allow(w, "arn:aws:iam::444455556666:role/closed")
		if _, err := assume(c, "arn:aws:iam::444455556666:role/closed", "name", 0); err != nil {
			t.Errorf("allowed again: %v", err)
		}
		time.Sleep(15*time.Minute + time.Second)
		if _, err := chained.GetCallerIdentity(context.WithoutCancel(t.Context()), &awssts.GetCallerIdentityInput{}); code(err) != "ExpiredToken" {
			t.Errorf("with expired credentials: %v", err)
		}
		me, err := c.GetCallerIdentity(t.Context(), &awssts.GetCallerIdentityInput{})
		if err != nil || *me.Account != home || *me.Arn != "arn:aws:iam::111122223333:user/simulated" {
			t.Errorf("%v %v", me, err)
		}
		w.Inject(awssim.Fault{Operation: "AssumeRole", Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "RegionDisabledException", Message: "m"}})
		_, err = assume(c, role, "name", 0)
		var generic *smithy.GenericAPIError
		if code(err) != "RegionDisabledException" || errors.As(err, &generic) {
			t.Errorf("an injected error has lost its type: %v", err)
		}
	})
}

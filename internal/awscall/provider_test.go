package awscall_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

type client struct{}

// What a provider gives is taken only if it is whole, and for the account and the Region that it is for.
func TestFrom(t *testing.T) {
	here := backup.Ref{Type: "test/thing", Account: "111122223333", Region: "eu-west-1", ID: "a"}
	cfg := aws.Config{Region: "eu-west-1", Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b", AccountID: "111122223333"}, nil
	})}
	anonymous := cfg
	anonymous.Credentials = nil
	for name, c := range map[string]struct {
		own    *awscall.Own
		ref    func(r *backup.Ref)
		client *client
		err    error
		code   backup.Code
		says   string
	}{
		"a client":                     {client: &client{}},
		"no client":                    {code: backup.ErrInvalid, says: "gave no client"},
		"an error":                     {err: errors.New("no such account"), code: backup.ErrInvalid, says: "no such account"},
		"an error of the library":      {err: &backup.Error{Op: "x", Code: backup.ErrDenied}, code: backup.ErrDenied},
		"its own account":              {own: awscall.NewOwn("test", cfg, ""), client: &client{}},
		"another account":              {own: awscall.NewOwn("test", cfg, ""), ref: func(r *backup.Ref) { r.Account = "444455556666" }, client: &client{}, code: backup.ErrInvalid, says: "444455556666"},
		"another account, said before": {own: awscall.NewOwn("test", cfg, "444455556666"), client: &client{}, code: backup.ErrInvalid, says: "444455556666"},
		"another Region":               {own: awscall.NewOwn("test", cfg, ""), ref: func(r *backup.Ref) { r.Region = "eu-central-1" }, client: &client{}, code: backup.ErrInvalid, says: "eu-central-1"},
		"no credentials":               {own: awscall.NewOwn("test", anonymous, ""), client: &client{}, code: backup.ErrDenied, says: "credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			r := here
			if c.ref != nil {
				c.ref(&r)
			}
			asked := 0
			got, err := awscall.From(t.Context(), c.own, "test", r, func(_ context.Context, account, region string) (*client, error) {
				if asked++; account != r.Account || region != r.Region {
					t.Errorf("asked for %s in %s", account, region)
				}
				return c.client, c.err
			}, awscall.None)
			if backup.CodeOf(err) != c.code || c.code == "" && (got != c.client || asked != 1) || c.code != "" && got != nil {
				t.Fatalf("%v, %v", got, err)
			}
			if err != nil && !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v does not say %q", err, c.says)
			}
			if c.own != nil && c.code != "" && asked > 0 {
				t.Error("the provider was asked for what is not served")
			}
		})
	}
}

func TestDefault(t *testing.T) {
	for _, c := range []struct{ is, want time.Duration }{{0, time.Minute}, {-1, time.Minute}, {1, 1}} {
		d := c.is
		if awscall.Default(&d, time.Minute); d != c.want {
			t.Errorf("%v became %v", c.is, d)
		}
	}
}

// A silence lasts from its first error to an answer; only a service that does not answer is silent.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ill := &backup.Error{Op: "x", Code: backup.ErrUnavailable}
		for _, c := range []struct {
			name     string
			op       backup.Operation
			since    time.Duration
			err      error
			own      bool
			over     bool
			sent     bool
			attempts int
		}{
			{name: "a look", err: ill},
			{name: "the first send", op: backup.Operation{Next: "Delete", Attempt: 1}, err: ill},
			{name: "perhaps sent", op: backup.Operation{Next: "Delete", Attempt: 2}, err: ill, sent: true, attempts: 2},
			{name: "no Store", op: backup.Operation{Next: "Delete", Attempt: 1, Unstored: true}, err: ill, sent: true, attempts: 1},
			{name: "almost over", since: awscall.Unanswered - 1, err: ill},
			{name: "over", since: awscall.Unanswered, err: ill, over: true},
			{name: "another error", since: awscall.Unanswered, err: &backup.Error{Op: "x", Code: backup.ErrDenied}, own: true},
		} {
			op, since := c.op, time.Time{}
			if c.since > 0 {
				since = time.Now().Add(-c.since)
			}
			own, over, sent := awscall.Silence(&op, &since, c.err)
			if own != c.own || over != c.over || sent != c.sent || op.Attempt != c.attempts || since.IsZero() {
				t.Errorf("%s: own %v, over %v, sent %v, attempt %d, since %v", c.name, own, over, sent, op.Attempt, since)
			}
		}
	})
}

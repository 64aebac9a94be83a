package awscall

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/snapwarden/snapwarden/backup"
)

// Own is a configuration that serves one account and one Region: the Region that it names and the account that its credentials belong to.
type Own struct {
	kind    string
	cfg     aws.Config
	account atomic.Pointer[string]
}

// NewOwn makes an Own for a strategy of the given kind. account may be empty: it is then learned when it is first needed.
func NewOwn(kind string, cfg aws.Config, account string) *Own {
	o := &Own{kind: kind, cfg: cfg}
	if account != "" {
		o.account.Store(&account)
	}
	return o
}

// Known refuses a Ref that is known, without any call, to be out of reach: another Region, or another account if that is known already.
func (o *Own) Known(r backup.Ref) error {
	if r.Region != o.cfg.Region {
		return &backup.Error{Op: "client", Kind: o.kind, Ref: r, Code: backup.ErrInvalid,
			Err:  fmt.Errorf("the configuration is for Region %q, not %q", o.cfg.Region, r.Region),
			Hint: "use a configuration of that Region, or New with a provider that serves several"}
	}
	if a := o.account.Load(); a != nil && *a != r.Account {
		return o.wrongAccount(*a, r)
	}
	return nil
}

func (o *Own) wrongAccount(is string, r backup.Ref) error {
	return &backup.Error{Op: "client", Kind: o.kind, Ref: r, Code: backup.ErrInvalid,
		Err:  fmt.Errorf("the credentials belong to account %s, not %s", is, r.Account),
		Hint: "use credentials of that account, or New with a provider that serves several"}
}

// Check refuses a Ref that the configuration does not serve. The account is the one that the credentials name, or else the one that
// sts:GetCallerIdentity gives (it needs no permission); it is asked once.
func (o *Own) Check(ctx context.Context, r backup.Ref) error {
	if err := o.Known(r); err != nil {
		return err
	}
	if o.account.Load() != nil {
		return nil
	}
	account, err := o.identity(ctx)
	if err != nil {
		return Table(nil).Wrap(o.kind, "GetCallerIdentity", r, err)
	}
	o.account.Store(&account)
	if account != r.Account {
		return o.wrongAccount(account, r)
	}
	return nil
}

func (o *Own) identity(ctx context.Context) (string, error) {
	if o.cfg.Credentials == nil {
		return "", &backup.Error{Op: "client", Kind: o.kind, Code: backup.ErrDenied, Err: fmt.Errorf("the configuration has no credentials"),
			Hint: "load the configuration with config.LoadDefaultConfig, or set Credentials"}
	}
	c, err := o.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return "", err
	}
	if c.AccountID != "" {
		return c.AccountID, nil
	}
	out, err := awssts.NewFromConfig(o.cfg).GetCallerIdentity(ctx, &awssts.GetCallerIdentityInput{})
	if err != nil {
		return "", err
	}
	return aws.ToString(out.Account), nil
}

// Client makes the error of a Ref for which a provider has no client.
func Client(kind string, r backup.Ref, err error) error {
	var e *backup.Error
	if errors.As(err, &e) {
		return err
	}
	return &backup.Error{Op: "client", Kind: kind, Ref: r, Code: backup.ErrInvalid, Err: err, Hint: "the provider gives no client for this account and Region"}
}

// From gives what a provider has for a Ref: a client, or several. own is nil for a Strategy that serves more than its own account and Region. lacks
// says what is missing in the provider's answer, nothing if it is whole; see None.
func From[C any](ctx context.Context, own *Own, kind string, r backup.Ref, provider func(ctx context.Context, account, region string) (C, error), lacks func(C) string) (C, error) {
	var none C
	if own != nil {
		if err := own.Check(ctx, r); err != nil {
			return none, err
		}
	}
	c, err := provider(ctx, r.Account, r.Region)
	if err == nil {
		if what := lacks(c); what != "" {
			err = errors.New("the provider gave no " + what)
		}
	}
	if err != nil {
		return none, Client(kind, r, err)
	}
	return c, nil
}

// None is what a provider's answer of one client lacks when it is nil.
func None[T any](c *T) string {
	if c == nil {
		return "client"
	}
	return ""
}

// Default puts a default where a setting of time is zero or below.
func Default(d *time.Duration, to time.Duration) {
	if *d <= 0 {
		*d = to
	}
}

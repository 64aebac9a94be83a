package elasticache

import (
	"context"
	"errors"
	"net/url"
	"strings"

	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup"
)

// secret is an AUTH token on its way into a call. It prints as nothing, so that no mistake with a format can show it.
type secret struct{ value *string }

func (secret) String() string   { return "(hidden)" }
func (secret) GoString() string { return "(hidden)" }

// noAuthToken is what a Strategy without Options.AuthToken says about a restore that needs one.
func noAuthToken(r backup.Ref) error {
	return invalid(backup.ActionRestore, r, "make the Strategy with Options.AuthToken, a function that gives it", "RestoreOptions.AuthToken asks for an AUTH token, and the Strategy has no function for it")
}

// authToken asks the caller's function for the token, if the options want one. end is true for an error that asking again does not mend. No error
// repeats what the function gave, not even its error.
func (s *Strategy) authToken(ctx context.Context, r backup.Ref, o RestoreOptions) (token secret, end bool, err error) {
	if !o.AuthToken {
		return secret{}, false, nil
	}
	if s.opts.AuthToken == nil {
		// Another program, which was made with the function, can carry the work on.
		return secret{}, false, noAuthToken(r)
	}
	t, err := s.opts.AuthToken(ctx, o.ref(r))
	if err != nil {
		return secret{}, false, refused(r, "AuthToken", backup.ErrUnavailable, "see what the function does; it is asked again later",
			"Options.AuthToken gave an error, which is not repeated here because it may tell the token")
	}
	if !validAuthToken(t) {
		return secret{}, true, refused(r, "AuthToken", backup.ErrInvalid, "have Options.AuthToken give 16 to 128 letters, digits and characters of !&#$^<>-, then restore again with another Spec.Token",
			"Options.AuthToken gave an AUTH token that ElastiCache does not take")
	}
	return secret{&t}, false, nil
}

// validAuthToken holds ElastiCache's rule for AUTH tokens. Source: ElastiCache API, CreateReplicationGroup, AuthToken.
func validAuthToken(t string) bool {
	return len(t) >= 16 && len(t) <= 128 && strings.Trim(t, letters+"!&#$^<>-") == ""
}

// hide gives an error without the token, should it tell it. What it then was is kept only as far as the error table reads it: code and message.
func (t secret) hide(err error) error {
	if t.value == nil || err == nil {
		return err
	}
	without := strings.NewReplacer(*t.value, "(hidden)", url.QueryEscape(*t.value), "(hidden)").Replace
	text := err.Error()
	if without(text) == text {
		return err
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		return &smithy.GenericAPIError{Code: api.ErrorCode(), Message: without(api.ErrorMessage()), Fault: api.ErrorFault()}
	}
	return errors.New(without(text))
}

// unlogged are the client options of a call that carries a token: the SDK logs nothing of it, neither request nor answer nor a refusal that
// repeats the token, whatever the configuration says.
func (t secret) unlogged(o *awselasticache.Options) {
	if t.value != nil {
		o.ClientLogMode = 0
	}
}

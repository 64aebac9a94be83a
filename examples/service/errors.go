package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/snapwarden/snapwarden/backup"
)

// problem is what a client is told about an error.
type problem struct {
	Code    backup.Code `json:"code"`
	Message string      `json:"message"`
	// Hint says what to do about it.
	Hint string `json:"hint,omitempty"`
}

func problemOf(err error) *problem {
	if err == nil {
		return nil
	}
	return &problem{Code: backup.CodeOf(err), Message: err.Error(), Hint: backup.HintOf(err)}
}

// statusOf maps an error to an HTTP status. What AWS denies, it denies to this service and not to its client, so that is no 403; and that
// AWS throttles is no 429, because the client did not send too much.
func statusOf(err error) int {
	switch backup.CodeOf(err) {
	case backup.ErrInvalid:
		return http.StatusBadRequest
	case backup.ErrNotFound:
		return http.StatusNotFound
	case backup.ErrConflict, backup.ErrCanceled:
		return http.StatusConflict
	case backup.ErrUnsupported:
		return http.StatusNotImplemented
	case backup.ErrDenied:
		return http.StatusBadGateway
	case backup.ErrQuota:
		return http.StatusInsufficientStorage
	case backup.ErrThrottled, backup.ErrUnavailable:
		return http.StatusServiceUnavailable
	}
	return http.StatusInternalServerError
}

func (s *service) fail(w http.ResponseWriter, err error) { s.failWith(w, statusOf(err), err) }

func (s *service) failWith(w http.ResponseWriter, status int, err error) {
	if status >= http.StatusInternalServerError {
		s.log.Error("a request failed", zap.Int("status", status), zap.Error(err))
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "30")
	}
	s.answer(w, status, struct {
		Error *problem `json:"error"`
	}{problemOf(err)})
}

func (s *service) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.log.Info("an answer was not delivered", zap.Error(err))
	}
}

// invalid is an error of the request itself.
func invalid(hint, format string, args ...any) error {
	return &backup.Error{Op: "request", Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

// target finds the strategy for a Ref.
func (s *service) target(ref backup.Ref) (backup.Strategy, error) {
	strategy, ok := s.targets[ref.Type]
	if !ok {
		types := slices.Sorted(maps.Keys(s.targets))
		return nil, invalid("the types are "+strings.Join(types, ", "), "nothing backs up a %q", ref.Type)
	}
	return strategy, nil
}

// unreadable says what is wrong with a request's body, and with which status.
func unreadable(err error) (int, error) {
	var long *http.MaxBytesError
	if errors.As(err, &long) {
		return http.StatusRequestEntityTooLarge, invalid("", "the body has more than %d bytes", long.Limit)
	}
	return http.StatusBadRequest, invalid(`send {"ref":{"type":...,"account":...,"region":...,"id":...},"slot":...} and nothing else`, "the body: %w", err)
}

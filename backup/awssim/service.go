package awssim

import (
	"errors"
	"fmt"
	"net/http"
)

// Service is a simulated AWS service. One value belongs to one World.
type Service interface {
	// Definition describes the service to the World. It is called once, by New.
	Definition() Definition
}

// Definition is what a World must know of a service.
type Definition struct {
	// ID is the SDK's service id: "EC2", "RDS", "ElastiCache", "KMS", "STS".
	ID string
	// Handlers are the simulated operations by their SDK name.
	Handlers map[string]Handler
	// Prepare, where it is not nil, sees the input before its Handler does, outside of the World's lock and after the latency: it is where
	// the body of an upload is read, which may wait. What it returns is the Handler's input and is what World.Calls shows. Its error is a
	// failure of the transport: the service never saw the whole request.
	Prepare func(operation string, input any) (any, error)
	// Bucket names the token bucket that a call draws from, nil for no throttling. It may look at the typed input, because EC2 keeps
	// another bucket for unfiltered lists.
	Bucket func(operation string, input any) Bucket
	// Throttled is what a call gets that finds its bucket empty.
	Throttled Error
	// Typed turns an Error into the type that the service's SDK package models for its code; nil, or a nil result, leaves it a
	// *smithy.GenericAPIError as for EC2.
	Typed func(e *Error) error
}

// Authorizer is a service that judges the calls of all services: iamsim is one. The World asks every Authorizer that it has before a Handler
// sees a call.
type Authorizer interface {
	Service
	// Authorize gives nil for a call that its caller may make, and otherwise what the service answers: an *Error with the code that the service has
	// for it. input is the call's typed input, which must not be changed or kept. It is called under the World's lock, after throttling, and
	// must not wait; r.Now is the time of the call also where a fault has it look into the past.
	Authorize(r *Request, input any) error
}

// Bucket is a token bucket, kept per account and Region under its name. A Capacity of 0 means no limit.
type Bucket struct {
	Name string
	// Capacity is the number of calls in a burst; Refill the number of calls a second thereafter.
	Capacity, Refill float64
}

// Error is an error as a simulated service answers it, before it is given its SDK type.
type Error struct {
	// Status is the HTTP status; 0 means 400.
	Status int
	// Code and Message are the wire code and message.
	Code, Message string
}

// Error gives code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Fail makes an Error of status 400.
func Fail(code, format string, args ...any) *Error {
	return &Error{Status: http.StatusBadRequest, Code: code, Message: fmt.Sprintf(format, args...)}
}

// FailStatus makes an Error of the given status.
func FailStatus(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Handler is one simulated operation.
type Handler struct {
	mutates bool
	call    func(r *Request, in any) (any, error)
}

// Read makes the Handler of an operation that changes nothing. f runs under the World's lock: it computes and returns and never waits. It must
// build its output anew, because the caller owns it, and must not keep the input.
func Read[In, Out any](f func(*Request, *In) (*Out, error)) Handler { return handler(false, f) }

// Write makes the Handler of an operation that changes something; otherwise it is like Read.
func Write[In, Out any](f func(*Request, *In) (*Out, error)) Handler { return handler(true, f) }

func handler[In, Out any](mutates bool, f func(*Request, *In) (*Out, error)) Handler {
	return Handler{mutates, func(r *Request, in any) (any, error) {
		typed, ok := in.(*In)
		if !ok {
			return nil, fmt.Errorf("awssim: %s.%s was called with %T", r.Service, r.Operation, in)
		}
		if typed == nil {
			typed = new(In)
		}
		out, err := f(r, typed)
		if err != nil {
			return nil, err
		}
		if out == nil {
			return nil, errors.New("awssim: no output")
		}
		return out, nil
	}}
}

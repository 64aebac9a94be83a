package main

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/smithy-go"
)

type answer func(*http.Request) (*http.Response, error)

func (f answer) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What an emulator breaks in is refused, as AWS refuses what it does not know; an illness that AWS could have stays one.
func TestRefusing(t *testing.T) {
	for _, c := range []struct {
		name, kind, body, want string
		status                 int
	}{
		{"an operation that is not there", "text/html; charset=utf-8", "<!doctype html><title>500</title>", "InvalidAction", 500},
		{"an operation that has another status", "text/html", "501 of this server", "InvalidAction", 501},
		{"an illness", "text/xml", "<Response><Errors><Error><Code>InternalError</Code></Error></Errors><Error><Code>InternalError</Code></Error></Response>", "InternalError", 500},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := emulatedConfig("http://127.0.0.1:1")
			cfg.HTTPClient = &http.Client{Transport: refusing{answer(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: c.status, Header: http.Header{"Content-Type": {c.kind}}, Body: io.NopCloser(strings.NewReader(c.body)), Request: r}, nil
			})}}
			_, ofEC2 := awsec2.NewFromConfig(cfg).DescribeLockedSnapshots(t.Context(), &awsec2.DescribeLockedSnapshotsInput{})
			_, ofRDS := awsrds.NewFromConfig(cfg).DescribeDBInstances(t.Context(), &awsrds.DescribeDBInstancesInput{})
			for service, err := range map[string]error{"EC2": ofEC2, "RDS": ofRDS} {
				var api smithy.APIError
				if !errors.As(err, &api) || api.ErrorCode() != c.want {
					t.Errorf("%s: %v", service, err)
				}
			}
		})
	}
}

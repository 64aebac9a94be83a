package iamsim_test

import (
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/policy"
)

type values = map[string][]string

// TestConditions asks each operator under Allow and under Deny: what an Allow lets through a Deny stops, and what cannot be told helps nobody.
func TestConditions(t *testing.T) {
	const (
		yes     = 'y'
		no      = 'n'
		unknown = '?'
	)
	for _, tt := range []struct {
		operator, key string
		policy        []string
		request       values
		want          rune
	}{
		{"StringEquals", "s3:prefix", []string{"a", "b"}, values{"s3:prefix": {"b"}}, yes},
		{"StringEquals", "s3:prefix", []string{"a"}, values{"s3:prefix": {"A"}}, no},
		{"StringEquals", "S3:Prefix", []string{"a"}, values{"s3:preFIX": {"a"}}, yes}, // keys have no letter case
		{"StringEquals", "s3:prefix", []string{"a*"}, values{"s3:prefix": {"ab"}}, no},
		{"StringEquals", "s3:prefix", []string{"a*"}, values{"s3:prefix": {"a*"}}, yes},
		{"StringEquals", "s3:prefix", []string{"a"}, nil, no},
		{"StringEquals", "s3:prefix", []string{""}, values{"s3:prefix": {""}}, yes},
		{"StringEquals", "s3:prefix", []string{"a"}, values{"s3:prefix": {}}, no},
		{"StringNotEquals", "s3:prefix", []string{"a", "b"}, values{"s3:prefix": {"c"}}, yes},
		{"StringNotEquals", "s3:prefix", []string{"a", "b"}, values{"s3:prefix": {"b"}}, no},
		{"StringNotEquals", "s3:prefix", []string{"a"}, nil, yes},
		{"StringNotEquals", "s3:prefix", []string{"a"}, values{"s3:prefix": {"c", "a"}}, no},
		{"StringEqualsIgnoreCase", "k", []string{"Ab"}, values{"k": {"aB"}}, yes},
		{"StringEqualsIgnoreCase", "k", []string{"Ab"}, values{"k": {"b"}}, no},
		{"StringNotEqualsIgnoreCase", "k", []string{"Ab"}, values{"k": {"aB"}}, no},
		{"StringNotEqualsIgnoreCase", "k", []string{"Ab"}, values{"k": {"b"}}, yes},
		{"StringLike", "k", []string{"a*c?"}, values{"k": {"abbcd"}}, yes},
		{"StringLike", "k", []string{"a*c?"}, values{"k": {"abbc"}}, no},
		{"StringLike", "k", []string{"*"}, nil, no},
		{"StringLike", "k", []string{"?"}, values{"k": {"é"}}, yes},
		{"StringNotLike", "k", []string{"a*"}, values{"k": {"ab"}}, no},
		{"StringNotLike", "k", []string{"a*"}, values{"k": {"b"}}, yes},
		{"StringNotLike", "k", []string{"a*"}, nil, yes},

		{"ArnEquals", "k", []string{"arn:aws:sns:*:111122223333:topic"}, values{"k": {"arn:aws:sns:eu-west-1:111122223333:topic"}}, yes},
		{"ArnLike", "k", []string{"arn:aws:x:*:111122223333:finance/*"}, values{"k": {"arn:aws:x:eu-west-1:999999999999:store/abc:111122223333:finance/d"}}, no},
		{"StringLike", "k", []string{"arn:aws:x:*:111122223333:finance/*"}, values{"k": {"arn:aws:x:eu-west-1:999999999999:store/abc:111122223333:finance/d"}}, yes},
		{"ArnLike", "k", []string{"arn:aws:rds:*:*:snapshot:o*"}, values{"k": {"arn:aws:rds:eu-west-1:111122223333:snapshot:orders:1"}}, yes},
		{"ArnLike", "k", []string{"arn:aws:iam::111122223333:role/x"}, values{"k": {"not an arn"}}, no},
		{"ArnLike", "k", []string{"arn:aws:iam::111122223333:role/x"}, nil, no},
		{"ArnNotEquals", "k", []string{"arn:aws:iam::111122223333:role/*"}, values{"k": {"arn:aws:iam::111122223333:role/x"}}, no},
		{"ArnNotLike", "k", []string{"arn:aws:iam::111122223333:role/*"}, values{"k": {"arn:aws:iam::111122223333:user/x"}}, yes},
		{"ArnNotLike", "k", []string{"arn:aws:iam::111122223333:role/*"}, nil, yes},
		{"ArnLike", "k", []string{"*"}, values{"k": {"arn:aws:iam::111122223333:role/x"}}, unknown},

		{"Bool", "aws:SecureTransport", []string{"true"}, values{"aws:SecureTransport": {"true"}}, yes},
		{"Bool", "aws:SecureTransport", []string{"TRUE"}, values{"aws:SecureTransport": {"true"}}, yes},
		{"Bool", "aws:SecureTransport", []string{"false"}, values{"aws:SecureTransport": {"true"}}, no},
		{"Bool", "aws:SecureTransport", []string{"false"}, nil, no},
		{"BoolIfExists", "aws:SecureTransport", []string{"false"}, nil, yes},
		{"Bool", "aws:SecureTransport", []string{"yes"}, values{"aws:SecureTransport": {"true"}}, unknown},

		{"NumericEquals", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"10.0"}}, yes},
		{"NumericEquals", "s3:max-keys", []string{"10", "20"}, values{"s3:max-keys": {"15"}}, no},
		{"NumericNotEquals", "s3:max-keys", []string{"10", "20"}, values{"s3:max-keys": {"15"}}, yes},
		{"NumericNotEquals", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"10"}}, no},
		{"NumericNotEquals", "s3:max-keys", []string{"10"}, nil, yes},
		{"NumericLessThan", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"9"}}, yes},
		{"NumericLessThan", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"10"}}, no},
		{"NumericLessThanEquals", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"10"}}, yes},
		{"NumericLessThanEquals", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"11"}}, no},
		{"NumericGreaterThan", "s3:max-keys", []string{"-1.5"}, values{"s3:max-keys": {"-1"}}, yes},
		{"NumericGreaterThan", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"10"}}, no},
		{"NumericGreaterThanEquals", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"10"}}, yes},
		{"NumericGreaterThanEquals", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"9"}}, no},
		{"NumericLessThan", "s3:max-keys", []string{"1e3"}, values{"s3:max-keys": {"9"}}, unknown},
		{"NumericLessThan", "s3:max-keys", []string{"10"}, values{"s3:max-keys": {"few"}}, unknown},

		{"DateLessThan", "aws:CurrentTime", []string{"2026-01-02T03:04:05Z"}, values{"aws:CurrentTime": {"2026-01-02T03:04:04Z"}}, yes},
		{"DateLessThan", "aws:CurrentTime", []string{"2026-01-02"}, values{"aws:CurrentTime": {"2026-01-02T00:00:00Z"}}, no},
		{"DateLessThanEquals", "aws:CurrentTime", []string{"2026-01-02"}, values{"aws:CurrentTime": {"2026-01-02T00:00:00Z"}}, yes},
		{"DateGreaterThan", "aws:CurrentTime", []string{"2026-01-02T03:04Z"}, values{"aws:CurrentTime": {"2026-01-02T04:04:01+01:00"}}, yes},
		{"DateGreaterThan", "aws:CurrentTime", []string{"2026-01"}, values{"aws:CurrentTime": {"2025-12-31T23:59:59Z"}}, no},
		{"DateGreaterThanEquals", "aws:EpochTime", []string{"1767225600"}, values{"aws:EpochTime": {"1767225600"}}, yes},
		{"DateEquals", "aws:EpochTime", []string{"2026-01-01T00:00:00Z"}, values{"aws:EpochTime": {"1767225600"}}, yes},
		{"DateEquals", "aws:EpochTime", []string{"2026-01-01T00:00:00Z"}, values{"aws:EpochTime": {"1767225601"}}, no},
		{"DateNotEquals", "aws:EpochTime", []string{"1767225600"}, values{"aws:EpochTime": {"1767225601"}}, yes},
		{"DateGreaterThan", "aws:TokenIssueTime", []string{"2020-01-01"}, nil, no},
		{"DateGreaterThan", "aws:CurrentTime", []string{"tomorrow"}, values{"aws:CurrentTime": {"2026-01-02T00:00:00Z"}}, unknown},

		{"IpAddress", "aws:SourceIp", []string{"203.0.113.0/24"}, values{"aws:SourceIp": {"203.0.113.9"}}, yes},
		{"IpAddress", "aws:SourceIp", []string{"203.0.113.0/24", "2001:DB8:1234:5678::/64"}, values{"aws:SourceIp": {"2001:db8:1234:5678::1"}}, yes},
		{"IpAddress", "aws:SourceIp", []string{"203.0.113.0/24"}, values{"aws:SourceIp": {"203.0.114.9"}}, no},
		{"IpAddress", "aws:SourceIp", []string{"203.0.113.9"}, values{"aws:SourceIp": {"203.0.113.10"}}, no},
		{"IpAddress", "aws:SourceIp", []string{"203.0.113.9"}, nil, no},
		{"NotIpAddress", "aws:SourceIp", []string{"203.0.113.0/24"}, values{"aws:SourceIp": {"203.0.113.9"}}, no},
		{"NotIpAddress", "aws:SourceIp", []string{"203.0.113.0/24"}, values{"aws:SourceIp": {"198.51.100.1"}}, yes},
		{"NotIpAddress", "aws:SourceIp", []string{"203.0.113.0/24"}, nil, yes},
		{"IpAddress", "aws:SourceIp", []string{"203.0.113.0/33"}, values{"aws:SourceIp": {"203.0.113.9"}}, unknown},
		{"IpAddress", "aws:SourceIp", []string{"203.0.113.0/24"}, values{"aws:SourceIp": {"here"}}, unknown},

		{"Null", "aws:TokenIssueTime", []string{"true"}, nil, yes},
		{"Null", "aws:TokenIssueTime", []string{"true"}, values{"aws:TokenIssueTime": {"2026-01-01"}}, no},
		{"Null", "aws:TokenIssueTime", []string{"false"}, values{"aws:TokenIssueTime": {"2026-01-01"}}, yes},
		{"Null", "aws:TokenIssueTime", []string{"false"}, values{"aws:TokenIssueTime": {""}}, no},
		{"Null", "aws:TokenIssueTime", []string{"maybe"}, nil, unknown},

		{"StringEqualsIfExists", "k", []string{"a"}, nil, yes},
		{"StringEqualsIfExists", "k", []string{"a"}, values{"k": {"b"}}, no},
		{"StringNotEqualsIfExists", "k", []string{"a"}, nil, yes},
		{"StringNotEqualsIfExists", "k", []string{"a"}, values{"k": {"a"}}, no},

		{"ForAllValues:StringEquals", "aws:TagKeys", []string{"a", "b"}, values{"aws:TagKeys": {"b", "a"}}, yes},
		{"ForAllValues:StringEquals", "aws:TagKeys", []string{"a", "b"}, values{"aws:TagKeys": {"b", "c"}}, no},
		{"ForAllValues:StringEquals", "aws:TagKeys", []string{"a"}, nil, yes},
		{"ForAllValues:StringEquals", "aws:TagKeys", []string{"a"}, values{"aws:TagKeys": {""}}, yes},
		{"ForAllValues:StringNotLike", "aws:TagKeys", []string{"bk:*"}, values{"aws:TagKeys": {"a", "bk:owner"}}, no},
		{"ForAllValues:StringNotLike", "aws:TagKeys", []string{"bk:*"}, values{"aws:TagKeys": {"a", "b"}}, yes},
		{"ForAnyValue:StringEquals", "aws:TagKeys", []string{"a"}, values{"aws:TagKeys": {"b", "a"}}, yes},
		{"ForAnyValue:StringEquals", "aws:TagKeys", []string{"a"}, values{"aws:TagKeys": {"b", "c"}}, no},
		{"ForAnyValue:StringEquals", "aws:TagKeys", []string{"a"}, nil, no},
		{"ForAnyValue:StringNotEquals", "aws:TagKeys", []string{"a"}, values{"aws:TagKeys": {"a", "b"}}, yes},
		{"ForAnyValue:StringNotEquals", "aws:TagKeys", []string{"a"}, values{"aws:TagKeys": {"a"}}, no},
		{"ForAnyValue:StringNotEquals", "aws:TagKeys", []string{"a"}, nil, no},
		{"ForAnyValue:StringLikeIfExists", "aws:TagKeys", []string{"a"}, nil, yes},

		{"StringEqual", "k", []string{"a"}, values{"k": {"a"}}, unknown},
		{"stringequals", "k", []string{"a"}, values{"k": {"a"}}, unknown},
		{"NullIfExists", "k", []string{"true"}, nil, unknown},
		{"ForSomeValues:StringEquals", "k", []string{"a"}, values{"k": {"a"}}, unknown},
		{"BinaryEquals", "k", []string{"YQ=="}, values{"k": {"a"}}, unknown},
	} {
		t.Run(tt.operator+" "+strings.Join(tt.policy, ","), func(t *testing.T) {
			all := allow("*", "s3:*")
			allows, denies := iamsim.AllowedByIdentity, iamsim.DeniedExplicitly
			switch tt.want {
			case no:
				allows, denies = iamsim.DeniedByIdentity, iamsim.AllowedByIdentity
			case unknown:
				allows, denies = iamsim.DeniedByIdentity, iamsim.Undecidable
			}
			q := iamsim.Query{Principal: user, Action: "s3:GetObject", Resource: object, Context: tt.request}
			q.Identity = documents(when(all, tt.operator, tt.key, tt.policy...))
			check(t, q, allows)
			q.Identity = documents(all, when(deny("*", "s3:*"), tt.operator, tt.key, tt.policy...))
			d := check(t, q, denies)
			if tt.want == unknown && !strings.Contains(d.Missing, `"`+tt.operator+`"`) {
				t.Errorf("%q does not name the operator", d.Missing)
			}
		})
	}
}

// TestSeveralConditions must all hold, and one that does not settles it, whatever the others are.
func TestSeveralConditions(t *testing.T) {
	q := iamsim.Query{Principal: user, Action: "s3:GetObject", Resource: object, Context: values{"a": {"1"}, "b": {"2"}}}
	all := allow("*", "s3:*")
	for _, tt := range []struct {
		condition policy.Condition
		allows    iamsim.Reason
		denies    iamsim.Reason
	}{
		{policy.Condition{"StringEquals": {"a": {"1"}, "b": {"2"}}}, iamsim.AllowedByIdentity, iamsim.DeniedExplicitly},
		{policy.Condition{"StringEquals": {"a": {"1"}, "b": {"3"}}}, iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{policy.Condition{"StringEquals": {"a": {"1"}}, "StringNotEquals": {"b": {"2"}}}, iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{policy.Condition{"StringEquals": {"a": {"0"}}, "Unheard": {"b": {"2"}}}, iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{policy.Condition{"Also": {"b": {"2"}}, "StringEquals": {"a": {"0"}}}, iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{policy.Condition{"Also": {"b": {"2"}}, "StringEquals": {"a": {"1"}}}, iamsim.DeniedByIdentity, iamsim.Undecidable},
	} {
		gives, takes := all, deny("*", "s3:*")
		gives.Condition, takes.Condition = tt.condition, tt.condition
		q.Identity = documents(gives)
		check(t, q, tt.allows)
		q.Identity = documents(all, takes)
		check(t, q, tt.denies)
	}
	// A Deny that cannot be understood does not hide one that can, nor does it matter where it is about something else.
	odd := when(deny("*", "s3:*"), "Unheard", "a", "1")
	q.Identity = documents(all, odd, deny("*", "s3:Get*"))
	check(t, q, iamsim.DeniedExplicitly)
	odd.Action = []string{"s3:Put*"}
	q.Identity = documents(all, odd)
	check(t, q, iamsim.AllowedByIdentity)
	odd.Action, odd.Resource = []string{"s3:Get*"}, []string{"arn:aws:s3:::others/*"}
	q.Identity = documents(all, odd)
	check(t, q, iamsim.AllowedByIdentity)
	odd = everyone(when(deny("*", "s3:*"), "Unheard", "a", "1"))
	q.Identity, q.ResourcePolicy = documents(all), resourcePolicy(odd)
	check(t, q, iamsim.Undecidable)
	q.ResourcePolicy = resourcePolicy(to(odd, "arn:aws:iam::444455556666:root"))
	check(t, q, iamsim.AllowedByIdentity)
}

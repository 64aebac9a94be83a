package s3sim

import (
	"slices"
	"strings"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

// caller is who asks: an account's principal, or a service.
type caller struct {
	account, arn string // of a principal; of a service, the account that it acts for
	service      string
	canonicalID  string
}

// identities is what a simulated IAM tells of the policies of callers; without one, a caller may do everything in its own account.
type identities interface {
	AllowsIdentity(r *awssim.Request, action, resource string) bool
}

// may tells whether the caller of r may do something with the bucket, or with the key in it where key is not empty: within the owning account
// what its own policies or the bucket's allow, from another account what both allow, and never what one denies.
func (s *S3) may(r *awssim.Request, b *bucket, action, key string) bool {
	resource := b.arn(r)
	if key != "" {
		resource += "/" + key
	}
	allowed, denied := b.decide(r, caller{account: r.Account, arn: r.Principal}, action, resource)
	if denied {
		return false
	}
	own := true
	if iam, ok := awssim.Find[identities](r.World); ok {
		own = iam.AllowsIdentity(r, action, resource)
	}
	if b.owner == r.Account {
		return own || allowed
	}
	return own && allowed && !b.publicOnly()
}

// publicOnly tells that RestrictPublicBuckets keeps other accounts out, because the policy is public.
func (b *bucket) publicOnly() bool {
	return *b.block.RestrictPublicBuckets && b.policy != nil && public(*b.policy)
}

// decide reads the policy and the ACL for one question.
func (b *bucket) decide(r *awssim.Request, c caller, action, resource string) (allowed, denied bool) {
	if b.policy != nil {
		for _, st := range b.policy.Statements {
			if matches(st, c, action, resource) {
				if st.Effect == policy.Deny {
					return false, true
				}
				allowed = true
			}
		}
	}
	if b.ownership != s3types.ObjectOwnershipBucketOwnerEnforced {
		id := c.canonicalID
		if id == "" {
			id = ownerID(c.account)
		}
		for _, g := range b.grants {
			if *g.Grantee.ID == id && (g.Permission == s3types.PermissionFullControl || slices.Contains(permissions[g.Permission], action)) {
				allowed = true
			}
		}
	}
	return allowed, false
}

// permissions are the S3 actions that a grant of a bucket's ACL gives. Source: S3 user guide, ACL overview.
var permissions = map[s3types.Permission][]string{
	s3types.PermissionRead:    {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"},
	s3types.PermissionWrite:   {"s3:PutObject"},
	s3types.PermissionReadAcp: {"s3:GetBucketAcl"},
}

// is tells whether a principal element is about the caller.
func (c caller) is(p *policy.Principal) bool {
	if p.Everyone || slices.Contains(p.AWS, "*") {
		return true
	}
	if c.service != "" {
		return slices.Contains(p.Service, c.service)
	}
	for _, who := range p.AWS {
		if who == c.account || who == c.arn || strings.HasSuffix(who, "::"+c.account+":root") || who == role(c.arn) {
			return true
		}
	}
	return slices.Contains(p.CanonicalUser, ownerID(c.account))
}

// role gives the role of a session's ARN, and nothing for other principals.
func role(arn string) string {
	head, rest, ok := strings.Cut(arn, ":assumed-role/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	return strings.Replace(head, ":sts:", ":iam:", 1) + ":role/" + name
}

// matches tells whether a statement is about a call.
func matches(st policy.Statement, c caller, action, resource string) bool {
	anyOf := func(patterns []string, s string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return like(p, s) })
	}
	lower := func(list []string) (out []string) {
		for _, s := range list {
			out = append(out, strings.ToLower(s))
		}
		return out
	}
	action = strings.ToLower(action)
	switch {
	case st.Principal != nil && !c.is(st.Principal), st.NotPrincipal != nil && c.is(st.NotPrincipal),
		st.Action != nil && !anyOf(lower(st.Action), action), st.NotAction != nil && anyOf(lower(st.NotAction), action),
		st.Resource != nil && !anyOf(st.Resource, resource), st.NotResource != nil && anyOf(st.NotResource, resource):
		return false
	}
	for operator, keys := range st.Condition {
		for key, values := range keys {
			if !holds(operator, strings.ToLower(key), values, c, st.Effect) {
				return false
			}
		}
	}
	return true
}

// holds tells whether a condition holds. One that is not understood never helps anybody: an Allow does not match, a Deny does.
func holds(operator, key string, values []string, c caller, effect policy.Effect) bool {
	var has string
	switch key {
	case "aws:securetransport":
		has = "true"
	case "aws:sourceaccount":
		if c.service != "" {
			has = c.account
		}
	case "aws:principalaccount":
		if c.service == "" {
			has = c.account
		}
	case "aws:principalarn":
		if c.service == "" {
			has = c.arn
		}
	default:
		return effect == policy.Deny
	}
	switch operator {
	case "StringEquals", "Bool", "ArnEquals":
		return has != "" && slices.Contains(values, has)
	case "StringNotEquals":
		return !slices.Contains(values, has)
	case "StringLike", "ArnLike":
		return has != "" && slices.ContainsFunc(values, func(v string) bool { return like(v, has) })
	}
	return effect == policy.Deny
}

// like tells whether s fits a pattern of policies: * for any text, ? for one character.
func like(pattern, s string) bool {
	star, mark := -1, 0
	p, i := 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// public tells whether a policy lets everybody in: an Allow to everyone without a condition.
func public(d policy.Document) bool {
	return slices.ContainsFunc(d.Statements, func(st policy.Statement) bool {
		everyone := st.Principal != nil && (st.Principal.Everyone || slices.Contains(st.Principal.AWS, "*"))
		return st.Effect == policy.Allow && len(st.Condition) == 0 && (everyone || st.NotPrincipal != nil)
	})
}

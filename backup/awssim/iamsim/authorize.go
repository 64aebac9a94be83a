package iamsim

import (
	"fmt"
	"net/http"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

// keyPolicies is what a simulated KMS tells of the policies of keys, where it has any. ok is false for a key that has none of its own.
type keyPolicies interface {
	KeyPolicy(r *awssim.Request, keyARN string) (doc *policy.Document, owner string, ok bool)
}

// Authorize makes the IAM an awssim.Authorizer: it tells whether the caller may make a call at all, nil or the error that the service would answer,
// and is asked before every call of every service in the World. input is the call's typed input. It asks for every action that the operation needs,
// on the resources that the input names. It is called under the World's lock.
//
// It judges the caller's side. What is about a bucket or an object is for the simulated S3 to judge, which knows the buckets' policies and asks Decide
// itself; policies of keys count where the simulated KMS tells them; and AssumeRole is also held against the trust policy that Trust has set.
func (s *IAM) Authorize(r *awssim.Request, input any) error {
	if r.Service == "S3" && operations["S3"][r.Operation] == nil {
		return nil
	}
	prefix, ok := prefixes[r.Service]
	if !ok {
		return s.unknown(r)
	}
	extra := map[string][]string{}
	set, removed := requestTags(input)
	for key, v := range set {
		extra["aws:RequestTag/"+key] = []string{v}
		extra["aws:TagKeys"] = append(extra["aws:TagKeys"], key)
	}
	extra["aws:TagKeys"] = append(extra["aws:TagKeys"], removed...)
	for _, t := range targets(r.Service, r.Operation) {
		for _, resource := range t.resources(r, prefix, input) {
			action, here := t.name(prefix, r.Operation), extra
			if t.passedTo != "" {
				here = map[string][]string{"iam:PassedToService": {t.passedTo}}
			}
			if d := s.permit(r, action, resource, here); !d.Allowed {
				return refusal(r, action, resource, d)
			}
			if tagging := tagsWith[r.Service]; t.made && len(set) > 0 && tagging != "" {
				more := map[string][]string{"ec2:CreateAction": {r.Operation}}
				overlay(more, extra)
				if d := s.permit(r, tagging, resource, more); !d.Allowed {
					return refusal(r, tagging, resource, d)
				}
			}
		}
	}
	return nil
}

// tagsWith are the actions that tags in a request that makes something need on top. Source: EC2 user guide, "Grant permission to tag Amazon EC2
// resources during creation"; Service authorization reference, Amazon ElastiCache; RDS user guide, "Tagging Amazon RDS resources".
var tagsWith = map[string]string{"EC2": "ec2:CreateTags", "RDS": "rds:AddTagsToResource", "ElastiCache": "elasticache:AddTagsToResource"}

// permit asks for one action.
func (s *IAM) permit(r *awssim.Request, action, resource string, extra map[string][]string) Decision {
	switch {
	case action == assumeRole:
		if c, err := read(&Query{Principal: resource}); err == nil && c.role != "" {
			if id := s.identities[keyOf(&c)]; id != nil && id.trust != nil {
				return s.Decide(r, action, resource, c.account, id.trust, extra)
			}
		}
	case hasService(action, "kms"):
		if k, ok := awssim.Find[keyPolicies](r.World); ok {
			if doc, owner, ok := k.KeyPolicy(r, resource); ok {
				return s.Decide(r, action, resource, owner, doc, extra)
			}
		}
	}
	return s.judge(r, action, resource, extra)
}

// unknown refuses a service whose actions are not known, where somebody could be denied them.
func (s *IAM) unknown(r *awssim.Request) error {
	c, err := read(&Query{Principal: r.Principal})
	if err == nil && !s.strict && len(s.of(&c).policies) == 0 {
		return nil
	}
	return fmt.Errorf("iamsim: which action %s.%s needs is not known", r.Service, r.Operation)
}

// refusal is the error of a service for a denied call. Sources: EC2 API reference, "Error codes"; IAM user guide, "Troubleshoot access denied error
// messages"; the common errors of the other API references.
func refusal(r *awssim.Request, action, resource string, d Decision) error {
	why := ""
	switch d.Reason {
	case DeniedExplicitly:
		why = " with an explicit deny in " + d.Statement
	case DeniedByIdentity:
		why = " because no identity-based policy allows the " + action + " action"
	case DeniedByResource:
		why = " because no resource-based policy allows the " + action + " action"
	case DeniedByBoundary:
		why = " because no permissions boundary allows the " + action + " action"
	case Undecidable:
		why = ": " + d.Missing
	}
	message := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s%s", r.Principal, action, resource, why)
	switch r.Service {
	case "EC2":
		return awssim.FailStatus(http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation. %s", message)
	case "KMS":
		return awssim.FailStatus(http.StatusBadRequest, "AccessDeniedException", "%s", message)
	}
	return awssim.FailStatus(http.StatusForbidden, "AccessDenied", "%s", message)
}

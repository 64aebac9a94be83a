package iamsim

import (
	"strconv"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

// AllowsIdentity tells whether the caller's own policies allow an action on a resource, in whatever account that is. Other simulated services
// ask it under the World's lock, and see to the resource's policy themselves; Decide does both.
func (s *IAM) AllowsIdentity(r *awssim.Request, action, resource string) bool {
	return s.judge(r, action, resource, nil).Allowed
}

// DeniesIdentity tells whether a Deny of the caller's own policies stands in the way, or one that cannot be understood: then no policy of the
// resource helps. It is for services that ask AllowsIdentity; nothing is recorded. It is called under the World's lock.
func (s *IAM) DeniesIdentity(r *awssim.Request, action, resource string) bool {
	q := s.query(r, action, resource, nil)
	d := Evaluate(q)
	return d.Reason == DeniedExplicitly || d.Reason == Undecidable
}

// Decide tells whether the caller of r may do something to a resource with the given policy, which may be nil. extra are condition keys that only
// the asking service knows, such as kms:ViaService or s3:prefix; they come before those that every request has. It is called under the World's
// lock.
//
// For actions of KMS and for sts:AssumeRole the policy is taken as a key's or a role's. A key without a simulated policy has the one that AWS
// gives it, which leaves everything to its account's own policies. Source: KMS developer guide, "Default key policy".
func (s *IAM) Decide(r *awssim.Request, action, resource, resourceAccount string, resourcePolicy *policy.Document, extra map[string][]string) Decision {
	q := s.query(r, action, resource, extra)
	q.ResourceAccount, q.ResourcePolicy = resourceAccount, resourcePolicy
	q.KeyPolicy = resourcePolicy != nil && (hasService(action, "kms") || strings.EqualFold(action, assumeRole))
	if resourceAccount != "" {
		q.Context["aws:ResourceAccount"] = []string{resourceAccount}
	}
	return s.answer(&q, action, resource)
}

// DecideService tells whether an AWS service may do something to a resource with the given policy, while it acts for the account of r: service is
// its service principal. The request then has aws:SourceAccount. For a service that does not send it, give extra that key without values; that
// ElastiCache sends it when it exports is UNVERIFIED. It is called under the World's lock.
func (s *IAM) DecideService(r *awssim.Request, service, action, resource, resourceAccount string, resourcePolicy *policy.Document, extra map[string][]string) Decision {
	context := map[string][]string{
		"aws:PrincipalIsAWSService": {"true"}, "aws:PrincipalServiceName": {service}, "aws:SourceAccount": {r.Account},
		"aws:SecureTransport": {"true"}, "aws:ViaAWSService": {"false"},
	}
	clock(context, r.Now)
	overlay(context, extra)
	return Evaluate(Query{Principal: service, Action: action, Resource: resource, ResourceAccount: resourceAccount, ResourcePolicy: resourcePolicy,
		KeyPolicy: hasService(action, "kms") || strings.EqualFold(action, assumeRole), Context: context})
}

const assumeRole = "sts:AssumeRole"

func hasService(action, prefix string) bool {
	service, _, _ := strings.Cut(action, ":")
	return strings.EqualFold(service, prefix)
}

// judge asks for the identity's side alone, as if the resource were in the caller's account.
func (s *IAM) judge(r *awssim.Request, action, resource string, extra map[string][]string) Decision {
	q := s.query(r, action, resource, extra)
	return s.answer(&q, action, resource)
}

// answer evaluates and writes it down.
func (s *IAM) answer(q *Query, action, resource string) Decision {
	c, err := read(q)
	if err != nil || c.alone() {
		return Decision{Reason: Undecidable, Missing: "the caller of a request must be a user, a role or a root"}
	}
	id := s.of(&c)
	byDefault := !s.strict && len(id.policies) == 0 && !c.root
	if byDefault {
		q.Identity = administrator()
	}
	d, hits := evaluate(q)
	if byDefault && (d.Reason == AllowedByIdentity || d.Reason == AllowedByBoth) {
		d.Reason, d.Statement = AllowedByDefault, ""
		hits = nil
	}
	id.record(d, hits, action, resource)
	return d
}

// administrator is what stands for the policies of a principal to whom nothing is attached.
func administrator() []policy.Document {
	return []policy.Document{{Version: policy.Version, Statements: []policy.Statement{{Effect: policy.Allow, Action: []string{"*"}, Resource: []string{"*"}}}}}
}

// query fills in what every request of a principal has.
func (s *IAM) query(r *awssim.Request, action, resource string, extra map[string][]string) Query {
	q := Query{Principal: r.Principal, PrincipalAccount: r.Account, Action: action, Resource: resource}
	context := map[string][]string{
		"aws:PrincipalAccount": {r.Account}, "aws:PrincipalArn": {r.Principal}, "aws:PrincipalIsAWSService": {"false"},
		"aws:RequestedRegion": {r.Region}, "aws:SecureTransport": {"true"}, "aws:ViaAWSService": {"false"},
	}
	clock(context, r.Now)
	if c, err := read(&q); err == nil && !c.alone() {
		id := s.of(&c)
		q.Identity, q.Boundary = id.policies, id.boundary
		principal(context, &c, id)
	}
	if hasService(action, "kms") {
		context["kms:CallerAccount"] = []string{r.Account}
		switch strings.ToLower(action) {
		case "kms:creategrant", "kms:listgrants", "kms:revokegrant": // the key works for these alone
			context["kms:GrantIsForAWSResource"] = []string{"false"}
		}
	}
	for key, v := range s.tagsOf(r, action, resource) {
		context["aws:ResourceTag/"+key] = []string{v}
	}
	overlay(context, extra)
	if len(lower(extra)["kms:viaservice"]) > 0 {
		context["aws:ViaAWSService"] = []string{"true"} // the service calls with the caller's credentials
	}
	q.Context = context
	return q
}

// principal fills in what the context tells of the caller. aws:PrincipalArn is the role's, with its path where that is known, and not the session's.
// Source: IAM user guide, "AWS global condition context keys".
func principal(context map[string][]string, c *caller, id *identity) {
	switch {
	case c.role != "":
		arn := id.arn
		if arn == "" {
			arn = "arn:" + c.partition + ":iam::" + c.account + ":role/" + c.role
		}
		context["aws:PrincipalArn"] = []string{arn}
		context["aws:PrincipalType"] = []string{"AssumedRole"}
	case c.root:
		context["aws:PrincipalType"] = []string{"Account"}
	default:
		context["aws:PrincipalType"] = []string{"User"}
		context["aws:username"] = []string{lastName(c.arn)}
	}
}

func clock(context map[string][]string, now time.Time) {
	context["aws:CurrentTime"] = []string{now.UTC().Format(time.RFC3339)}
	context["aws:EpochTime"] = []string{strconv.FormatInt(now.Unix(), 10)}
}

// overlay puts other values in the place of those that a context has, whatever the letter case of the keys.
func overlay(context, extra map[string][]string) {
	for key, values := range extra {
		for old := range context {
			if strings.EqualFold(old, key) {
				delete(context, old)
			}
		}
		context[key] = values
	}
}

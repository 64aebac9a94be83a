package iamsim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/policy"
)

// TestMatrix goes through who asks from which account, what its own policies say, and what the resource's does.
func TestMatrix(t *testing.T) {
	get := allow("*", "s3:GetObject")
	never := deny("*", "s3:*")
	identities := map[string][]policy.Document{"none": nil, "allow": documents(get), "deny": documents(get, never)}
	const (
		id, res, both = iamsim.AllowedByIdentity, iamsim.AllowedByResource, iamsim.AllowedByBoth
		noID, noRes   = iamsim.DeniedByIdentity, iamsim.DeniedByResource
		no            = iamsim.DeniedExplicitly
	)
	resources := map[string]*policy.Document{
		"none": nil, "account": resourcePolicy(to(get, root)), "number": resourcePolicy(to(get, home)), "user": resourcePolicy(to(get, user)),
		"role": resourcePolicy(to(get, role)), "session": resourcePolicy(to(get, session)), "everyone": resourcePolicy(everyone(get)),
		"star": resourcePolicy(to(get, "*")), "deny": resourcePolicy(everyone(get), to(never, root)), "another": resourcePolicy(to(get, "arn:aws:iam::"+other+":root")),
		"service": resourcePolicy(policy.Statement{Effect: policy.Allow, Action: []string{"s3:*"}, Resource: []string{"*"},
			Principal: &policy.Principal{Service: []string{"export.rds.amazonaws.com"}, CanonicalUser: []string{stored}}}),
	}
	type answers struct{ none, allow, deny iamsim.Reason }
	for _, tt := range []struct {
		owner     string
		key       bool
		principal string
		resource  string
		want      answers
	}{
		// Within one account either side suffices, and an account that is named leaves it to the identity.
		{home, false, user, "none", answers{noID, id, no}},
		{home, false, user, "account", answers{noID, id, no}},
		{home, false, user, "number", answers{noID, id, no}},
		{home, false, user, "user", answers{res, id, no}},
		{home, false, user, "role", answers{noID, id, no}},
		{home, false, user, "everyone", answers{res, id, no}},
		{home, false, user, "star", answers{res, id, no}},
		{home, false, user, "deny", answers{no, no, no}},
		{home, false, user, "another", answers{noID, id, no}},
		{home, false, user, "service", answers{noID, id, no}},
		{home, false, session, "role", answers{res, id, no}},
		{home, false, session, "session", answers{res, id, no}},
		{home, false, session, "user", answers{noID, id, no}},
		{home, false, role, "role", answers{res, id, no}},
		{home, false, role, "session", answers{noID, id, no}},
		{home, false, root, "none", answers{id, id, no}},
		{home, false, root, "deny", answers{no, no, no}},
		// From another account both sides are needed, however directly the caller is named.
		{other, false, user, "none", answers{noID, noRes, no}},
		{other, false, user, "account", answers{noID, both, no}},
		{other, false, user, "number", answers{noID, both, no}},
		{other, false, user, "user", answers{noID, both, no}},
		{other, false, user, "everyone", answers{noID, both, no}},
		{other, false, user, "deny", answers{no, no, no}},
		{other, false, user, "another", answers{noID, noRes, no}},
		{other, false, session, "role", answers{noID, both, no}},
		{other, false, session, "session", answers{noID, both, no}},
		{other, false, root, "account", answers{both, both, no}},
		{other, false, root, "none", answers{noRes, noRes, no}},
		// A key's policy must allow in any case.
		{home, true, user, "none", answers{noRes, noRes, no}},
		{home, true, user, "account", answers{noID, both, no}},
		{home, true, user, "user", answers{res, res, no}},
		{home, true, user, "everyone", answers{res, res, no}},
		{home, true, user, "another", answers{noRes, noRes, no}},
		{home, true, session, "role", answers{res, res, no}},
		{home, true, root, "none", answers{noRes, noRes, no}},
		{home, true, root, "account", answers{both, both, no}},
		{other, true, user, "user", answers{noID, both, no}},
		{other, true, user, "account", answers{noID, both, no}},
		{other, true, user, "none", answers{noID, noRes, no}},
		// Services, canonical ids and the nameless have the resource's policy alone.
		{home, false, "export.rds.amazonaws.com", "service", answers{res, res, res}},
		{other, false, "export.rds.amazonaws.com", "service", answers{res, res, res}},
		{home, false, "export.rds.amazonaws.com", "everyone", answers{res, res, res}},
		{home, false, "export.rds.amazonaws.com", "account", answers{noRes, noRes, noRes}},
		{home, false, "rds.amazonaws.com", "service", answers{noRes, noRes, noRes}},
		{home, true, "export.rds.amazonaws.com", "service", answers{res, res, res}},
		{home, false, stored, "service", answers{res, res, res}},
		{home, false, stored, "account", answers{noRes, noRes, noRes}},
		{home, false, "", "everyone", answers{res, res, res}},
		{home, false, "", "star", answers{res, res, res}},
		{home, false, "", "account", answers{noRes, noRes, noRes}},
		{home, false, "", "none", answers{noRes, noRes, noRes}},
	} {
		for name, want := range map[string]iamsim.Reason{"none": tt.want.none, "allow": tt.want.allow, "deny": tt.want.deny} {
			t.Run(fmt.Sprintf("%s key=%v %s resource=%s identity=%s", tt.owner, tt.key, tt.principal, tt.resource, name), func(t *testing.T) {
				check(t, iamsim.Query{Principal: tt.principal, Action: "s3:GetObject", Resource: object, ResourceAccount: tt.owner, KeyPolicy: tt.key,
					Identity: identities[name], ResourcePolicy: resources[tt.resource]}, want)
			})
		}
	}
}

// TestLimits has a boundary and service control policies stand between.
func TestLimits(t *testing.T) {
	get := allow("*", "s3:GetObject")
	limit, open := statements(allow("*", "ec2:*")), statements(allow("*", "*"))
	forbids := statements(allow("*", "*"), deny("*", "s3:Get*"))
	const service = "export.rds.amazonaws.com"
	for _, tt := range []struct {
		name      string
		principal string
		identity  []policy.Document
		resource  *policy.Document
		boundary  *policy.Document
		scp       []policy.Document
		want      iamsim.Reason
	}{
		{"a boundary takes", user, documents(get), nil, &limit, nil, iamsim.DeniedByBoundary},
		{"a boundary lets through", user, documents(get), nil, &open, nil, iamsim.AllowedByIdentity},
		{"a boundary does not give", user, nil, nil, &open, nil, iamsim.DeniedByIdentity},
		{"a boundary denies", user, documents(get), resourcePolicy(to(get, user)), &forbids, nil, iamsim.DeniedExplicitly},
		{"beyond it for a user", user, nil, resourcePolicy(to(get, user)), &limit, nil, iamsim.AllowedByResource},
		{"beyond it for everyone", session, nil, resourcePolicy(everyone(get)), &limit, nil, iamsim.AllowedByResource},
		{"beyond it for a session", session, nil, resourcePolicy(to(get, session)), &limit, nil, iamsim.AllowedByResource},
		{"not beyond it for a role", session, nil, resourcePolicy(to(get, role)), &limit, nil, iamsim.DeniedByBoundary},
		{"within it for a role", session, nil, resourcePolicy(to(get, role)), &open, nil, iamsim.AllowedByResource},
		{"not for an account", user, documents(get), resourcePolicy(to(get, home)), &limit, nil, iamsim.DeniedByBoundary},
		{"a level allows", user, documents(get), nil, nil, []policy.Document{open}, iamsim.AllowedByIdentity},
		{"one level does not", user, documents(get), nil, nil, []policy.Document{open, limit}, iamsim.DeniedBySCP},
		{"not by the resource either", user, nil, resourcePolicy(to(get, user)), nil, []policy.Document{limit, open}, iamsim.DeniedBySCP},
		{"not for root", root, nil, nil, nil, []policy.Document{limit}, iamsim.DeniedBySCP},
		{"a level denies", user, documents(get), nil, nil, []policy.Document{open, forbids}, iamsim.DeniedExplicitly},
		{"it gives nothing", user, nil, nil, nil, []policy.Document{open}, iamsim.DeniedByIdentity},
		{"services are above it", service, nil, resourcePolicy(everyone(get)), &limit, []policy.Document{limit, forbids}, iamsim.AllowedByResource},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, iamsim.Query{Principal: tt.principal, Action: "s3:GetObject", Resource: object, Identity: tt.identity, ResourcePolicy: tt.resource,
				Boundary: tt.boundary, SCP: tt.scp}, tt.want)
		})
	}
}

// TestMalformed refuses what is not a question, or not a principal, and never allows it.
func TestMalformed(t *testing.T) {
	all := allow("*", "*")
	for _, tt := range []struct{ principal, account, action, resource, owner, says string }{
		{"carla", "", "s3:GetObject", object, "", "no ARN"},
		{"arn:aws:iam::111122223333:user/*", "", "s3:GetObject", object, "", "wildcard"},
		{"arn:aws:iam::111122223333:user/${x}", "", "s3:GetObject", object, "", "variable"},
		{"arn:aws:iam::1111:user/carla", "", "s3:GetObject", object, "", "no ARN of IAM"},
		{"arn:aws:iam:eu-west-1:111122223333:user/carla", "", "s3:GetObject", object, "", "no ARN of IAM"},
		{"arn:aws:iam::111122223333", "", "s3:GetObject", object, "", "no ARN of IAM"},
		{"arn:aws:iam::111122223333:group/admins", "", "s3:GetObject", object, "", "no user"},
		{"arn:aws:iam::111122223333:user/", "", "s3:GetObject", object, "", "no user"},
		{"arn:aws:s3::111122223333:user/carla", "", "s3:GetObject", object, "", "no user"},
		{"arn:aws:sts::111122223333:assumed-role/backup", "", "s3:GetObject", object, "", "no user"},
		{user, other, "s3:GetObject", object, "", "not of account"},
		{user, "", "s3", object, "", "no single action"},
		{user, "", "s3:Get*", object, "", "no single action"},
		{user, "", ":GetObject", object, "", "no single action"},
		{user, "", "s3:GetObject", "", "", "no resource"},
		{user, "", "s3:GetObject", object, "me", "no account"},
	} {
		d := check(t, iamsim.Query{Principal: tt.principal, PrincipalAccount: tt.account, Action: tt.action, Resource: tt.resource, ResourceAccount: tt.owner,
			Identity: documents(all), ResourcePolicy: resourcePolicy(everyone(all))}, iamsim.Undecidable)
		if !strings.Contains(d.Missing, tt.says) {
			t.Errorf("%+v: %q does not say %q", tt, d.Missing, tt.says)
		}
	}
	for _, good := range []string{user, role, session, root, "arn:aws:sts::111122223333:federated-user/carla", "arn:aws-cn:iam::111122223333:user/carla"} {
		check(t, iamsim.Query{Principal: good, PrincipalAccount: home, Action: "s3:GetObject", Resource: object, Identity: documents(all)}, iamsim.AllowedByIdentity)
	}
}

// TestWords looks at what a Decision tells a reader.
func TestWords(t *testing.T) {
	named := allow("*", "s3:GetObject")
	named.Sid = "Files"
	q := iamsim.Query{Principal: user, Action: "s3:GetObject", Resource: object, Identity: []policy.Document{statements(allow("*", "ec2:*")), statements(allow("*", "ec2:*"), named)}}
	if d := iamsim.Evaluate(q); d.Statement != `identity policy 1, statement "Files"` {
		t.Errorf("%+v", d)
	}
	q.Identity = documents(allow("*", "s3:*"), deny("arn:aws:s3:::exports/*", "s3:Get*"))
	want := iamsim.Decision{Reason: iamsim.DeniedExplicitly, Statement: "identity policy, statement 1",
		Missing: "s3:GetObject on " + object + " for " + user + ": an explicit deny stands in its way; take it away or narrow it"}
	if d := iamsim.Evaluate(q); d != want {
		t.Errorf("%+v", d)
	}
	q = iamsim.Query{Action: "s3:GetObject", Resource: object}
	if d := iamsim.Evaluate(q); !strings.HasPrefix(d.Missing, "s3:GetObject on "+object+" for a caller without credentials: ") {
		t.Errorf("%+v", d)
	}
}

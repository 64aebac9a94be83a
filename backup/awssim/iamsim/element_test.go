package iamsim_test

import (
	"testing"

	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/policy"
)

// TestActionsAndResources matches patterns with what is asked for.
func TestActionsAndResources(t *testing.T) {
	const snapshot = "arn:aws:rds:eu-west-1:111122223333:snapshot:orders-1"
	for _, tt := range []struct {
		name     string
		st       policy.Statement
		action   string
		resource string
		allows   bool // as an Allow
		denies   bool // as a Deny
	}{
		{"the action itself", allow("*", "s3:GetObject"), "s3:GetObject", object, true, true},
		{"letter case", allow("*", "S3:getobject"), "s3:GetObject", object, true, true},
		{"a wildcard", allow("*", "s3:Get*"), "s3:GetObject", object, true, true},
		{"another wildcard", allow("*", "s3:?et*t"), "s3:GetObject", object, true, true},
		{"all", allow("*", "*"), "s3:GetObject", object, true, true},
		{"another action", allow("*", "s3:GetObjectAcl", "s3:Put*"), "s3:GetObject", object, false, false},
		{"another service", allow("*", "rds:*"), "s3:GetObject", object, false, false},
		{"the resource itself", allow(object, "s3:*"), "s3:GetObject", object, true, true},
		{"letter case of resources", allow("arn:aws:s3:::Exports/*", "s3:*"), "s3:GetObject", object, false, false},
		{"a bucket is not its objects", allow("arn:aws:s3:::exports", "s3:*"), "s3:GetObject", object, false, false},
		{"objects are not their bucket", allow("arn:aws:s3:::exports/*", "s3:*"), "s3:ListBucket", "arn:aws:s3:::exports", false, false},
		{"over slashes", allow("arn:aws:s3:::*rdb", "s3:*"), "s3:GetObject", object, true, true},
		{"a single letter", allow("arn:aws:s3:::exports/orders-000?.rdb", "s3:*"), "s3:GetObject", object, true, true},
		{"over colons of the resource", allow("arn:aws:rds:*:111122223333:snap*", "rds:*"), "rds:DeleteDBSnapshot", snapshot, true, true},
		{"over colons between the parts", allow("arn:aws:rds:*:snapshot:orders-1", "rds:*"), "rds:DeleteDBSnapshot", snapshot, false, true},
		{"parts that lack", allow("arn:aws:rds", "rds:*"), "rds:DeleteDBSnapshot", snapshot, true, true},
		{"parts that lack after a star", allow("arn:aws:rds:*", "rds:*"), "rds:DeleteDBSnapshot", snapshot, true, true},
		{"too few parts", allow("arn:*", "rds:*"), "rds:DeleteDBSnapshot", snapshot, false, true},
		{"another account", allow("arn:aws:rds:*:444455556666:*", "rds:*"), "rds:DeleteDBSnapshot", snapshot, false, false},
		{"no resources", allow("*", "ec2:Describe*"), "ec2:DescribeSnapshots", "*", true, true},
		{"an ARN is not no resources", allow("arn:aws:ec2:*:*:*", "ec2:Describe*"), "ec2:DescribeSnapshots", "*", false, false},
		{"none of several", policy.Statement{Effect: policy.Allow, Action: []string{"s3:*"}, Resource: []string{"arn:aws:s3:::a/*", "arn:aws:s3:::b/*"}}, "s3:GetObject", object, false, false},
		{"NotAction, another", policy.Statement{Effect: policy.Allow, NotAction: []string{"iam:*", "S3:delete*"}, Resource: []string{"*"}}, "s3:GetObject", object, true, true},
		{"NotAction, one of them", policy.Statement{Effect: policy.Allow, NotAction: []string{"iam:*", "S3:get*"}, Resource: []string{"*"}}, "s3:GetObject", object, false, false},
		{"NotResource, another", policy.Statement{Effect: policy.Allow, Action: []string{"s3:*"}, NotResource: []string{"arn:aws:s3:::secret/*"}}, "s3:GetObject", object, true, true},
		{"NotResource, that one", policy.Statement{Effect: policy.Allow, Action: []string{"s3:*"}, NotResource: []string{"arn:aws:s3:::exports/*"}}, "s3:GetObject", object, false, false},
		{"NotResource over colons", policy.Statement{Effect: policy.Allow, Action: []string{"rds:*"}, NotResource: []string{"arn:aws:rds:*:snapshot:*"}}, "rds:DeleteDBSnapshot", snapshot, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := iamsim.Query{Principal: user, Action: tt.action, Resource: tt.resource, Identity: documents(tt.st)}
			if d := iamsim.Evaluate(q); d.Allowed != tt.allows {
				t.Errorf("as an Allow: %+v", d)
			}
			tt.st.Effect = policy.Deny
			q.Identity = documents(allow("*", "*"), tt.st)
			if d := iamsim.Evaluate(q); d.Allowed == tt.denies {
				t.Errorf("as a Deny: %+v", d)
			}
		})
	}
}

// TestVariables replaces them where the version has them, and nothing that they stand for is a pattern.
func TestVariables(t *testing.T) {
	const own = "arn:aws:s3:::exports/${aws:username}/*"
	at := func(name string) string { return "arn:aws:s3:::exports/" + name + "/x" }
	named := func(name string) values { return values{"aws:username": {name}} }
	for _, tt := range []struct {
		name     string
		version  string
		resource string
		request  values
		asked    string
		allows   iamsim.Reason
		denies   iamsim.Reason
	}{
		{"own", policy.Version, own, named("carla"), at("carla"), iamsim.AllowedByIdentity, iamsim.DeniedExplicitly},
		{"another's", policy.Version, own, named("carla"), at("dora"), iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{"letter case of the key", policy.Version, "arn:aws:s3:::exports/${AWS:UserName}/*", named("carla"), at("carla"), iamsim.AllowedByIdentity, iamsim.DeniedExplicitly},
		{"a value is no pattern", policy.Version, own, named("*"), at("dora"), iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{"a value has no parts", policy.Version, "arn:aws:s3:::${aws:username}", named("a:b"), "arn:aws:s3:::a:b", iamsim.AllowedByIdentity, iamsim.DeniedExplicitly},
		{"the older version", "2008-10-17", own, named("carla"), at("carla"), iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{"the older version, to the letter", "2008-10-17", own, named("carla"), at("${aws:username}"), iamsim.AllowedByIdentity, iamsim.DeniedExplicitly},
		{"no version", "", own, named("carla"), at("carla"), iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{"no value", policy.Version, own, nil, at("carla"), iamsim.DeniedByIdentity, iamsim.Undecidable},
		{"several values", policy.Version, own, values{"aws:username": {"carla", "dora"}}, at("carla"), iamsim.DeniedByIdentity, iamsim.Undecidable},
		{"without an end", policy.Version, "arn:aws:s3:::exports/${aws:username", named("carla"), at("carla"), iamsim.DeniedByIdentity, iamsim.Undecidable},
		{"a default", policy.Version, "arn:aws:s3:::exports/${aws:username, 'nobody'}/*", nil, at("nobody"), iamsim.AllowedByIdentity, iamsim.DeniedExplicitly},
		{"a default that is not needed", policy.Version, "arn:aws:s3:::exports/${aws:username, 'nobody'}/*", named("carla"), at("nobody"), iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{"a default without quotes", policy.Version, "arn:aws:s3:::exports/${aws:username, nobody}/*", nil, at("nobody"), iamsim.DeniedByIdentity, iamsim.Undecidable},
		{"a literal star", policy.Version, "arn:aws:s3:::exports/${*}/x", nil, at("*"), iamsim.AllowedByIdentity, iamsim.DeniedExplicitly},
		{"nothing but a literal star", policy.Version, "arn:aws:s3:::exports/${*}/x", nil, at("carla"), iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{"a literal question mark", policy.Version, "arn:aws:s3:::exports/${?}/x", nil, at("a"), iamsim.DeniedByIdentity, iamsim.AllowedByIdentity},
		{"a literal dollar", policy.Version, "arn:aws:s3:::exports/${$}{a}/x", nil, at("${a}"), iamsim.AllowedByIdentity, iamsim.DeniedExplicitly},
	} {
		t.Run(tt.name, func(t *testing.T) {
			gives, takes := statements(allow(tt.resource, "s3:*")), statements(deny(tt.resource, "s3:*"))
			gives.Version, takes.Version = tt.version, tt.version
			q := iamsim.Query{Principal: user, Action: "s3:GetObject", Resource: tt.asked, Context: tt.request, Identity: []policy.Document{gives}}
			check(t, q, tt.allows)
			q.Identity = append(documents(allow("*", "*")), takes)
			check(t, q, tt.denies)
		})
	}
	// In conditions: of texts, ARNs and truths, and not of numbers.
	for _, tt := range []struct {
		operator, value string
		want            iamsim.Reason
	}{
		{"StringEquals", "${aws:PrincipalAccount}", iamsim.AllowedByIdentity},
		{"StringLike", "1111*${aws:username}", iamsim.DeniedByIdentity},
		{"StringNotEquals", "${aws:PrincipalAccount}", iamsim.DeniedByIdentity},
		{"StringNotEquals", "${aws:nothing}", iamsim.DeniedByIdentity},
		{"NumericEquals", "${aws:PrincipalAccount}", iamsim.DeniedByIdentity},
	} {
		q := iamsim.Query{Principal: user, Action: "s3:GetObject", Resource: object, Context: values{"aws:ResourceAccount": {home}, "aws:PrincipalAccount": {home}, "aws:username": {"carla"}}}
		q.Identity = documents(when(allow("*", "s3:*"), tt.operator, "aws:ResourceAccount", tt.value))
		check(t, q, tt.want)
	}
	q := iamsim.Query{Principal: user, Action: "s3:GetObject", Resource: object, Context: values{"a": {"arn:aws:iam::1:role/x"}, "b": {"x"}, "c": {"true"}}}
	q.Identity = documents(when(allow("*", "s3:*"), "ArnEquals", "a", "arn:aws:iam::1:role/${b}"))
	check(t, q, iamsim.AllowedByIdentity)
	q.Identity = documents(when(allow("*", "s3:*"), "Bool", "c", "${c}"))
	check(t, q, iamsim.AllowedByIdentity)
}

// TestPrincipals looks at who is named, and by what.
func TestPrincipals(t *testing.T) {
	get := allow("*", "s3:GetObject")
	not := func(effect policy.Effect, p policy.Principal) policy.Statement {
		return policy.Statement{Effect: effect, Action: []string{"s3:*"}, Resource: []string{"*"}, NotPrincipal: &p}
	}
	aws := func(who ...string) policy.Principal { return policy.Principal{AWS: who} }
	const service = "export.rds.amazonaws.com"
	limit := statements(allow("*", "*"))
	for _, tt := range []struct {
		name      string
		principal string
		canonical string
		st        policy.Statement
		boundary  *policy.Document
		want      iamsim.Reason
	}{
		{"a role with its path", session, "", to(get, role), nil, iamsim.AllowedByResource},
		{"a role with another path", session, "", to(get, "arn:aws:iam::111122223333:role/backup"), nil, iamsim.AllowedByResource},
		{"another role", session, "", to(get, "arn:aws:iam::111122223333:role/teams/backup2"), nil, iamsim.DeniedByIdentity},
		{"a role of another account", session, "", to(get, "arn:aws:iam::444455556666:role/teams/backup"), nil, iamsim.DeniedByIdentity},
		{"a role of another partition", session, "", to(get, "arn:aws-cn:iam::111122223333:role/teams/backup"), nil, iamsim.DeniedByIdentity},
		{"another session", session, "", to(get, "arn:aws:sts::111122223333:assumed-role/backup/daily"), nil, iamsim.DeniedByIdentity},
		{"letter case", user, "", to(get, "arn:aws:iam::111122223333:user/teams/Carla"), nil, iamsim.DeniedByIdentity},
		{"what AWS puts for a deleted role", session, "", to(get, "AROACKCEVSQ6C2EXAMPLE"), nil, iamsim.DeniedByIdentity},
		{"a wildcard in a name", user, "", to(get, "arn:aws:iam::111122223333:user/*"), nil, iamsim.DeniedByIdentity},
		{"a wildcard in a Deny", user, "", to(deny("*", "s3:*"), "arn:aws:iam::111122223333:user/*"), nil, iamsim.Undecidable},
		{"a canonical id of the account", user, stored, policy.Statement{Effect: policy.Deny, Action: []string{"s3:*"}, Resource: []string{"*"},
			Principal: &policy.Principal{CanonicalUser: []string{stored}}}, nil, iamsim.DeniedExplicitly},
		{"a Deny of everyone", user, "", everyone(deny("*", "s3:*")), nil, iamsim.DeniedExplicitly},
		{"a Deny of everyone is one of services", service, "", everyone(deny("*", "s3:*")), nil, iamsim.DeniedExplicitly},
		{"a Deny of an account", session, "", to(deny("*", "s3:*"), home), nil, iamsim.DeniedExplicitly},
		{"a Deny of a role", session, "", to(deny("*", "s3:*"), role), nil, iamsim.DeniedExplicitly},
		{"no principal", user, "", get, nil, iamsim.DeniedByIdentity},
		{"a Deny without a principal", user, "", deny("*", "s3:*"), nil, iamsim.Undecidable},

		{"NotPrincipal lets in who is not named", user, "", not(policy.Allow, aws(role)), nil, iamsim.AllowedByResource},
		{"NotPrincipal keeps out who is", session, "", not(policy.Allow, aws(role)), nil, iamsim.DeniedByIdentity},
		{"NotPrincipal keeps out an account", user, "", not(policy.Allow, aws(home)), nil, iamsim.DeniedByIdentity},
		{"NotPrincipal keeps everybody out", user, "", not(policy.Allow, policy.Principal{Everyone: true}), nil, iamsim.DeniedByIdentity},
		{"NotPrincipal lets in the nameless", "", "", not(policy.Allow, aws(role)), nil, iamsim.AllowedByResource},
		{"NotPrincipal with a wildcard", user, "", not(policy.Allow, aws("arn:aws:iam::444455556666:user/*")), nil, iamsim.DeniedByIdentity},
		{"Deny, not named", user, "", not(policy.Deny, aws(role, root)), nil, iamsim.DeniedExplicitly},
		{"Deny, the user without its account", user, "", not(policy.Deny, aws(user)), nil, iamsim.DeniedExplicitly},
		{"Deny, the account without the user", user, "", not(policy.Deny, aws(root)), nil, iamsim.DeniedExplicitly},
		{"Deny, both", user, "", not(policy.Deny, aws(user, root)), nil, iamsim.DeniedByIdentity},
		{"Deny, both, by number", user, "", not(policy.Deny, aws(user, home)), nil, iamsim.DeniedByIdentity},
		{"Deny, both, with a boundary", user, "", not(policy.Deny, aws(user, root)), &limit, iamsim.DeniedExplicitly},
		{"Deny, a session without its role", session, "", not(policy.Deny, aws(session, root)), nil, iamsim.DeniedExplicitly},
		{"Deny, a role without the session", session, "", not(policy.Deny, aws(role, root)), nil, iamsim.DeniedExplicitly},
		{"Deny, a session in full", session, "", not(policy.Deny, aws(session, role, root)), nil, iamsim.DeniedByIdentity},
		{"Deny, the root", root, "", not(policy.Deny, aws(root)), nil, iamsim.AllowedByIdentity},
		{"Deny, nobody", user, "", not(policy.Deny, policy.Principal{Everyone: true}), nil, iamsim.DeniedByIdentity},
		{"Deny, a service", service, "", not(policy.Deny, policy.Principal{Service: []string{service}}), nil, iamsim.DeniedByResource},
		{"Deny, another service", service, "", not(policy.Deny, policy.Principal{Service: []string{"rds.amazonaws.com"}}), nil, iamsim.DeniedExplicitly},
		{"Deny, the nameless", "", "", not(policy.Deny, aws(user, root)), nil, iamsim.DeniedExplicitly},
		{"Deny, with a wildcard", user, "", not(policy.Deny, aws(user, root, "arn:aws:iam::444455556666:user/*")), nil, iamsim.Undecidable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, iamsim.Query{Principal: tt.principal, CanonicalID: tt.canonical, Action: "s3:GetObject", Resource: object, ResourcePolicy: resourcePolicy(tt.st),
				Boundary: tt.boundary}, tt.want)
		})
	}
	// What only a resource's policy may have, and what only an identity's must.
	q := iamsim.Query{Principal: user, Action: "s3:GetObject", Resource: object}
	q.Identity = documents(everyone(get))
	check(t, q, iamsim.DeniedByIdentity)
	q.Identity = documents(get, everyone(deny("*", "s3:*")))
	check(t, q, iamsim.Undecidable)
	q.Identity = documents(policy.Statement{Effect: policy.Allow, Action: []string{"s3:*"}})
	check(t, q, iamsim.DeniedByIdentity)
	q.Identity = documents(get, policy.Statement{Effect: policy.Deny, Action: []string{"s3:*"}})
	check(t, q, iamsim.Undecidable)
	q.Identity = nil
	q.ResourcePolicy = resourcePolicy(to(policy.Statement{Effect: policy.Allow, Action: []string{"s3:*"}}, user))
	check(t, q, iamsim.AllowedByResource)
}

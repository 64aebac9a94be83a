package iamsim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
	"github.com/snapwarden/snapwarden/policy"
)

// as does f with a request of the given principal in its account.
func as(w *awssim.World, principal string, f func(r *awssim.Request)) {
	account := strings.Split(principal, ":")[4]
	w.Do(account, "eu-west-1", func(r *awssim.Request) {
		r.Principal = principal
		f(r)
	})
}

func attach(t *testing.T, iam *iamsim.IAM, w *awssim.World, who string, docs ...policy.Document) {
	t.Helper()
	if err := iam.Attach(w, who, docs...); err != nil {
		t.Fatal(err)
	}
}

// TestAttach goes from nothing attached to something and back, lax and strict.
func TestAttach(t *testing.T) {
	iam := iamsim.Service()
	w := awssim.New(iam)
	may := func(who, action, resource string) (yes bool) {
		as(w, who, func(r *awssim.Request) { yes = iam.AllowsIdentity(r, action, resource) })
		return yes
	}
	expect := func(step, who, action string, want bool) {
		t.Helper()
		if got := may(who, action, object); got != want {
			t.Errorf("%s: %s may %s: %v", step, who, action, got)
		}
	}
	expect("nothing attached", session, "s3:GetObject", true)
	attach(t, iam, w, role, statements(allow("arn:aws:s3:::exports/*", "s3:Get*")))
	expect("attached to its role", session, "s3:GetObject", true)
	expect("attached to its role", session, "s3:PutObject", false)
	expect("attached to the role", role, "s3:PutObject", false)
	expect("attached to another", user, "s3:PutObject", true)
	attach(t, iam, w, role, statements(allow("*", "s3:Put*"), deny("*", "s3:GetObject")))
	expect("attached another", session, "s3:PutObject", true)
	expect("denied by another", session, "s3:GetObject", false)
	as(w, session, func(r *awssim.Request) {
		for action, want := range map[string]bool{"s3:GetObject": true, "s3:PutObject": false, "s3:DeleteObject": false} {
			if got := iam.DeniesIdentity(r, action, object); got != want {
				t.Errorf("%s is denied: %v", action, got)
			}
		}
	})
	iam.Strict(w)
	expect("strict, attached", session, "s3:PutObject", true)
	expect("strict, nothing attached", user, "s3:PutObject", false)
	expect("strict, the root", root, "s3:PutObject", true)
	if err := iam.Bound(w, role, statements(allow("*", "ec2:*"))); err != nil {
		t.Fatal(err)
	}
	expect("bounded", session, "s3:PutObject", false)
	if err := iam.Detach(w, role); err != nil {
		t.Fatal(err)
	}
	expect("detached", session, "s3:PutObject", false)
	attach(t, iam, w, role, statements(allow("*", "s3:Put*")))
	expect("attached again, the boundary is gone", session, "s3:PutObject", true)

	as(w, "arn:aws:iam::111122223333:user/x", func(r *awssim.Request) {
		r.Principal = "export.rds.amazonaws.com"
		if d := iam.Decide(r, "s3:GetObject", object, "", nil, nil); d.Allowed || d.Reason != iamsim.Undecidable {
			t.Errorf("a service as the caller of a request: %+v", d)
		}
	})
}

// TestAttachRefuses what AWS would not store, and changes nothing then.
func TestAttachRefuses(t *testing.T) {
	iam := iamsim.Service()
	w := awssim.New(iam)
	good := statements(allow("*", "s3:*"))
	trust := statements(to(policy.Statement{Effect: policy.Allow, Action: []string{"sts:AssumeRole"}}, root))
	attach(t, iam, w, role, good)
	for name, err := range map[string]error{
		"a session":                   iam.Attach(w, session, good),
		"a root":                      iam.Attach(w, root, good),
		"a wildcard":                  iam.Attach(w, "arn:aws:iam::111122223333:role/*", good),
		"a service":                   iam.Attach(w, "rds.amazonaws.com", good),
		"nobody":                      iam.Attach(w, "", good),
		"another role of that name":   iam.Attach(w, "arn:aws:iam::111122223333:role/backup", good),
		"no statement":                iam.Attach(w, user, policy.Document{}),
		"a principal":                 iam.Attach(w, user, good, statements(everyone(allow("*", "s3:*")))),
		"no resource":                 iam.Attach(w, user, statements(policy.Statement{Effect: policy.Allow, Action: []string{"s3:*"}})),
		"a boundary with a principal": iam.Bound(w, user, statements(everyone(allow("*", "s3:*")))),
		"a boundary of a session":     iam.Bound(w, session, good),
		"detaching from a session":    iam.Detach(w, session),
		"trust without a principal":   iam.Trust(w, role, statements(policy.Statement{Effect: policy.Allow, Action: []string{"sts:AssumeRole"}})),
		"trust with a resource":       iam.Trust(w, role, statements(everyone(allow("*", "sts:AssumeRole")))),
		"trust of a user":             iam.Trust(w, user, trust),
		"trust of a session":          iam.Trust(w, session, trust),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), "iamsim: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	as(w, user, func(r *awssim.Request) {
		if d := iam.Decide(r, "ec2:DescribeVolumes", "*", "", nil, nil); d.Reason != iamsim.AllowedByDefault || d.Statement != "" {
			t.Errorf("something was attached all the same: %+v", d)
		}
	})
	// What was attached belongs to the simulation: changing the caller's own value changes nothing.
	mine := statements(when(to(deny("*", "s3:*"), user), "StringEquals", "a", "b"))
	mine.Statements[0].Principal = nil
	attach(t, iam, w, user, good, mine)
	mine.Statements[0].Action[0], mine.Statements[0].Condition["StringEquals"]["a"][0] = "*", "c"
	delete(mine.Statements[0].Condition, "StringEquals")
	as(w, user, func(r *awssim.Request) {
		if !iam.AllowsIdentity(r, "s3:GetObject", object) {
			t.Error("a document was changed from outside")
		}
	})
}

// TestDecide puts the policies of resources beside those that are attached, and fills in what requests have.
func TestDecide(t *testing.T) {
	iam := iamsim.Service()
	w := awssim.New(iam)
	attach(t, iam, w, role, statements(allow("*", "s3:*", "kms:*", "sts:*", "rds:*")))
	const there = "arn:aws:s3:::theirs/a"
	give := func(st policy.Statement, key string, value ...string) *policy.Document {
		return resourcePolicy(everyone(when(st, "StringEquals", key, value...)))
	}
	files, key := allow("*", "s3:*"), allow("*", "kms:*")
	for _, tt := range []struct {
		name     string
		who      string
		action   string
		resource string
		owner    string
		policy   *policy.Document
		extra    values
		want     iamsim.Reason
	}{
		{"own", session, "s3:GetObject", object, home, nil, nil, iamsim.AllowedByIdentity},
		{"own, no owner told", session, "s3:GetObject", object, "", nil, nil, iamsim.AllowedByIdentity},
		{"not attached", session, "ec2:DescribeVolumes", "*", home, nil, nil, iamsim.DeniedByIdentity},
		{"nothing attached", user, "ec2:DescribeVolumes", "*", home, nil, nil, iamsim.AllowedByDefault},
		{"nothing attached, another account's", user, "s3:GetObject", there, other, nil, nil, iamsim.DeniedByResource},
		{"nothing attached, and let in", user, "s3:GetObject", there, other, resourcePolicy(to(files, home)), nil, iamsim.AllowedByDefault},
		{"nothing attached, and denied", user, "s3:GetObject", object, home, resourcePolicy(everyone(deny("*", "s3:*"))), nil, iamsim.DeniedExplicitly},
		{"let in", session, "s3:GetObject", there, other, resourcePolicy(to(files, role)), nil, iamsim.AllowedByBoth},
		{"not let in", session, "s3:GetObject", there, other, resourcePolicy(to(files, user)), nil, iamsim.DeniedByResource},
		{"aws:PrincipalAccount", session, "s3:GetObject", there, other, give(files, "aws:PrincipalAccount", home), nil, iamsim.AllowedByBoth},
		{"aws:PrincipalArn is the role with its path", session, "s3:GetObject", there, other, give(files, "aws:PrincipalArn", role), nil, iamsim.AllowedByBoth},
		{"aws:PrincipalArn is not the session", session, "s3:GetObject", there, other, give(files, "aws:PrincipalArn", session), nil, iamsim.DeniedByResource},
		{"aws:PrincipalArn of a user", user, "s3:GetObject", there, other, give(files, "aws:PrincipalArn", user), nil, iamsim.AllowedByDefault},
		{"aws:PrincipalType", session, "s3:GetObject", there, other, give(files, "aws:PrincipalType", "AssumedRole"), nil, iamsim.AllowedByBoth},
		{"aws:PrincipalType of root", root, "s3:GetObject", there, other, give(files, "aws:PrincipalType", "Account"), nil, iamsim.AllowedByBoth},
		{"aws:username", user, "s3:GetObject", there, other, give(files, "aws:username", "carla"), nil, iamsim.AllowedByDefault},
		{"aws:username of a session", session, "s3:GetObject", there, other, give(files, "aws:username", "nightly", "backup"), nil, iamsim.DeniedByResource},
		{"aws:RequestedRegion", session, "s3:GetObject", there, other, give(files, "aws:RequestedRegion", "eu-west-1"), nil, iamsim.AllowedByBoth},
		{"aws:ResourceAccount", session, "s3:GetObject", there, other, give(files, "aws:ResourceAccount", other), nil, iamsim.AllowedByBoth},
		{"aws:SecureTransport", session, "s3:GetObject", there, other, give(files, "aws:SecureTransport", "true"), nil, iamsim.AllowedByBoth},
		{"aws:PrincipalIsAWSService", session, "s3:GetObject", there, other, give(files, "aws:PrincipalIsAWSService", "false"), nil, iamsim.AllowedByBoth},
		{"aws:SourceAccount is the services'", session, "s3:GetObject", there, other, give(files, "aws:SourceAccount", home), nil, iamsim.DeniedByResource},
		{"a key of the service", session, "s3:ListBucket", there, other, give(files, "s3:prefix", "a/"), values{"s3:prefix": {"a/"}}, iamsim.AllowedByBoth},
		{"a key that the service overrides", session, "s3:ListBucket", there, other, give(files, "aws:SecureTransport", "false"), values{"AWS:securetransport": {"false"}}, iamsim.AllowedByBoth},
		{"a key without a policy", session, "kms:Decrypt", keyARN, home, nil, nil, iamsim.AllowedByIdentity},
		{"another account's key without a policy", session, "kms:Decrypt", keyARN, other, nil, nil, iamsim.DeniedByResource},
		{"a key's policy must allow", session, "kms:Decrypt", keyARN, home, resourcePolicy(to(key, user)), nil, iamsim.DeniedByResource},
		{"a key's policy leaves it to the account", session, "KMS:Decrypt", keyARN, home, resourcePolicy(to(key, home)), nil, iamsim.AllowedByBoth},
		{"kms:CallerAccount", session, "kms:Decrypt", keyARN, other, give(key, "kms:CallerAccount", home), nil, iamsim.AllowedByBoth},
		{"no kms:CallerAccount elsewhere", session, "s3:GetObject", there, other, give(files, "kms:CallerAccount", home), nil, iamsim.DeniedByResource},
		{"kms:GrantIsForAWSResource", session, "kms:CreateGrant", keyARN, other, give(key, "kms:GrantIsForAWSResource", "false"), nil, iamsim.AllowedByBoth},
		{"which works for grants alone", session, "kms:Decrypt", keyARN, other, give(key, "kms:GrantIsForAWSResource", "false"), nil, iamsim.DeniedByResource},
		{"kms:GrantIsForAWSResource of a service", session, "kms:CreateGrant", keyARN, other, give(key, "kms:GrantIsForAWSResource", "true"),
			values{"kms:GrantIsForAWSResource": {"true"}}, iamsim.AllowedByBoth},
		{"kms:ViaService", session, "kms:Decrypt", keyARN, other, give(key, "kms:ViaService", "rds.eu-west-1.amazonaws.com"),
			values{"kms:ViaService": {"rds.eu-west-1.amazonaws.com"}}, iamsim.AllowedByBoth},
		{"not via a service", session, "kms:Decrypt", keyARN, other, give(key, "kms:ViaService", "rds.eu-west-1.amazonaws.com"), nil, iamsim.DeniedByResource},
		{"aws:ViaAWSService", session, "kms:Decrypt", keyARN, other, give(key, "aws:ViaAWSService", "true"), values{"kms:viaservice": {"x"}}, iamsim.AllowedByBoth},
		{"not aws:ViaAWSService", session, "kms:Decrypt", keyARN, other, give(key, "aws:ViaAWSService", "false"), nil, iamsim.AllowedByBoth},
		{"a trust policy must allow", session, "sts:AssumeRole", role, home, resourcePolicy(to(policy.Statement{Effect: policy.Allow, Action: []string{"sts:AssumeRole"}}, user)), nil, iamsim.DeniedByResource},
	} {
		t.Run(tt.name, func(t *testing.T) {
			as(w, tt.who, func(r *awssim.Request) {
				if d := iam.Decide(r, tt.action, tt.resource, tt.owner, tt.policy, tt.extra); d.Reason != tt.want {
					t.Errorf("%+v, want %q", d, tt.want)
				}
			})
		})
	}
	as(w, session, func(r *awssim.Request) {
		soon := r.Now.Add(1e9).UTC().Format("2006-01-02T15:04:05Z")
		before := resourcePolicy(everyone(when(files, "DateLessThan", "aws:CurrentTime", soon)))
		after := resourcePolicy(everyone(when(files, "DateGreaterThan", "aws:EpochTime", soon)))
		if d := iam.Decide(r, "s3:GetObject", there, other, before, nil); !d.Allowed {
			t.Errorf("before %s: %+v", soon, d)
		}
		if d := iam.Decide(r, "s3:GetObject", there, other, after, nil); d.Allowed {
			t.Errorf("after %s: %+v", soon, d)
		}
	})
}

// TestDecideService has a service act for an account.
func TestDecideService(t *testing.T) {
	const service = "eu-west-1.elasticache-snapshot.amazonaws.com"
	iam := iamsim.Service()
	w := awssim.New(iam)
	iam.Strict(w)
	trusted := policy.Statement{Effect: policy.Allow, Action: []string{"s3:PutObject"}, Resource: []string{"arn:aws:s3:::exports/*"}, Principal: &policy.Principal{Service: []string{service}}}
	for _, tt := range []struct {
		name   string
		st     policy.Statement
		extra  values
		allows bool
	}{
		{"named", trusted, nil, true},
		{"for the account", when(trusted, "StringEquals", "aws:SourceAccount", home), nil, true},
		{"for another", when(trusted, "StringEquals", "aws:SourceAccount", other), nil, false},
		{"a service that does not send it", when(trusted, "StringEquals", "aws:SourceAccount", home), values{"AWS:SourceAccount": nil}, false},
		{"for a resource", when(trusted, "ArnLike", "aws:SourceArn", "arn:aws:elasticache:*:111122223333:*"), values{"aws:SourceArn": {"arn:aws:elasticache:eu-west-1:111122223333:snapshot:x"}}, true},
		{"for no resource", when(trusted, "ArnLike", "aws:SourceArn", "arn:aws:elasticache:*:111122223333:*"), nil, false},
		{"as a service", when(trusted, "Bool", "aws:PrincipalIsAWSService", "true"), nil, true},
		{"which it is", when(trusted, "StringEquals", "aws:PrincipalServiceName", service), nil, true},
		{"not as a principal of the account", when(trusted, "StringEquals", "aws:PrincipalAccount", home), nil, false},
		{"with TLS", when(trusted, "Bool", "aws:SecureTransport", "true"), nil, true},
	} {
		as(w, session, func(r *awssim.Request) {
			if d := iam.DecideService(r, service, "s3:PutObject", object, home, resourcePolicy(tt.st), tt.extra); d.Allowed != tt.allows {
				t.Errorf("%s: %+v", tt.name, d)
			}
		})
	}
	as(w, session, func(r *awssim.Request) {
		if d := iam.DecideService(r, service, "s3:PutObject", object, home, nil, nil); d.Allowed {
			t.Errorf("without a policy: %+v", d)
		}
	})
	if got := iam.Used(w, session); got != nil {
		t.Errorf("what a service does was put down to the caller: %q", got)
	}
}

// TestRecords is the test that a role has the least privilege.
func TestRecords(t *testing.T) {
	iam := iamsim.Service()
	w := awssim.New(iam)
	if iam.Used(w, role) != nil || iam.Denied(w, role) != nil || iam.Unused(w, role) != nil || iam.Unused(w, "nobody") != nil {
		t.Error("something is recorded of those who never asked")
	}
	files := allow("arn:aws:s3:::exports/*", "s3:GetObject", "s3:Put*", "s3:DeleteObject")
	files.Sid = "Files"
	rest := policy.Statement{Effect: policy.Allow, NotAction: []string{"s3:*"}, Resource: []string{"*"}}
	attach(t, iam, w, role, statements(files, rest, deny("*", "iam:*")), statements(allow("*", "s3:PutObject")))
	do := func(action, resource string) {
		as(w, session, func(r *awssim.Request) { iam.AllowsIdentity(r, action, resource) })
	}
	compare := func(step string, used, denied, unused []string) {
		t.Helper()
		for name, pair := range map[string][2][]string{
			"used": {iam.Used(w, role), used}, "denied": {iam.Denied(w, session), denied}, "unused": {iam.Unused(w, role), unused},
		} {
			if diff := cmp.Diff(pair[1], pair[0], cmpEmpty()); diff != "" {
				t.Errorf("%s: %s: %s", step, name, diff)
			}
		}
	}
	compare("nothing done", nil, nil, []string{"Files: s3:GetObject", "Files: s3:Put*", "Files: s3:DeleteObject", "policy 0, statement 1: NotAction", "policy 1, statement 0: s3:PutObject"})
	do("s3:PutObject", object)
	do("s3:PutObject", object+"2")
	do("s3:GetObject", "arn:aws:s3:::others/a")
	do("s3:GetObject", "arn:aws:s3:::others/a")
	do("iam:CreateRole", "*")
	compare("put", []string{"s3:PutObject"}, []string{"s3:GetObject arn:aws:s3:::others/a", "iam:CreateRole *"},
		[]string{"Files: s3:GetObject", "Files: s3:DeleteObject", "policy 0, statement 1: NotAction"})
	do("s3:GetObject", object)
	do("s3:DeleteObject", object)
	do("ec2:DescribeVolumes", "*")
	compare("all", []string{"ec2:DescribeVolumes", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"}, []string{"s3:GetObject arn:aws:s3:::others/a", "iam:CreateRole *"}, nil)
	attach(t, iam, w, role, statements(allow("*", "s3:GetObject")))
	compare("changed", nil, nil, []string{"Files: s3:GetObject", "Files: s3:Put*", "Files: s3:DeleteObject", "policy 0, statement 1: NotAction",
		"policy 1, statement 0: s3:PutObject", "policy 2, statement 0: s3:GetObject"})
}

// cmpEmpty takes an empty list for none.
func cmpEmpty() cmp.Option {
	return cmp.FilterValues(func(a, b []string) bool { return len(a) == 0 && len(b) == 0 }, cmp.Ignore())
}

// TestWithS3 has a role of another account at work, by the SDK's own clients.
func TestWithS3(t *testing.T) {
	const backup = "arn:aws:iam::444455556666:role/backup"
	iam := iamsim.Service()
	w := awssim.New(iam, s3sim.Service(), stssim.Service())
	ctx := t.Context()
	owner := awss3.NewFromConfig(w.Config(other, "eu-west-1"))
	if _, err := owner.CreateBucket(ctx, bucketIn("exports", "eu-west-1")); err != nil {
		t.Fatal(err)
	}
	out, err := awssts.NewFromConfig(w.Config(home, "eu-west-1")).AssumeRole(ctx, &awssts.AssumeRoleInput{RoleArn: aws.String(backup), RoleSessionName: aws.String("nightly")})
	if err != nil {
		t.Fatal(err)
	}
	client := awss3.NewFromConfig(w.ConfigFor("eu-west-1", aws.Credentials{AccessKeyID: *out.Credentials.AccessKeyId, SecretAccessKey: "s", SessionToken: "t"}))
	put := func(key string) error {
		_, err := client.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String("exports"), Key: aws.String(key), Body: strings.NewReader("x")})
		return err
	}
	if err := put("a"); err != nil {
		t.Errorf("nothing attached: %v", err)
	}
	attach(t, iam, w, backup, statements(allow("arn:aws:s3:::exports/nightly/*", "s3:PutObject")))
	if err := put("nightly/a"); err != nil {
		t.Errorf("allowed: %v", err)
	}
	if err := put("a"); err == nil || !strings.Contains(err.Error(), "AccessDenied") {
		t.Errorf("not allowed: %v", err)
	}
	if got := iam.Denied(w, backup); len(got) != 1 || got[0] != "s3:PutObject arn:aws:s3:::exports/a" {
		t.Errorf("denied: %q", got)
	}
	if got := iam.Unused(w, backup); len(got) != 0 {
		t.Errorf("unused: %q", got)
	}
}

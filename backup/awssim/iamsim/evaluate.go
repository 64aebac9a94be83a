package iamsim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/policy"
)

// Evaluate answers a Query as AWS does. It is a pure function.
//
// A Deny that matches wins over everything. Else: within one account the caller's own policies or the resource's must allow, from another account
// both; a KMS key's policy and a role's trust policy must allow in any case, be it by handing the decision to the account's own policies. The package
// comment has the rules and their sources. What cannot be understood never allows: an Allow does not match, and a Deny makes the Decision
// Undecidable.
func Evaluate(q Query) Decision {
	d, _ := evaluate(&q)
	return d
}

// hit is an Allow of an identity policy that matched, with the action pattern by which it did.
type hit struct {
	document, statement int
	action              string
}

// side is what one policy, or several of a kind, say of a Query.
type side struct {
	grade     grade // of the most direct Allow
	statement string
	hits      []hit
}

func evaluate(q *Query) (Decision, []hit) {
	e := evaluation{q: q, context: lower(q.Context)}
	var err error
	if e.caller, err = read(q); err == nil {
		err = check(q)
	}
	if err != nil {
		return Decision{Reason: Undecidable, Missing: err.Error()}, nil
	}
	return e.decide()
}

var errQuery = errors.New("not a question of IAM")

// check refuses what is not a single action on a resource.
func check(q *Query) error {
	prefix, name, ok := strings.Cut(q.Action, ":")
	switch {
	case !ok || prefix == "" || name == "" || strings.ContainsAny(q.Action, "*?${} "):
		return fmt.Errorf("%w: %.80q is no single action such as s3:GetObject", errQuery, q.Action)
	case q.Resource == "":
		return fmt.Errorf(`%w: no resource; name its ARN, or "*" for actions that know none`, errQuery)
	case q.ResourceAccount != "" && !isAccount(q.ResourceAccount):
		return fmt.Errorf("%w: %.80q is no account", errQuery, q.ResourceAccount)
	}
	return nil
}

type evaluation struct {
	q       *Query
	caller  caller
	context map[string][]string
	// denied and undecided are the first Deny that matches, and the first that cannot be understood.
	denied, undecided string
}

func (e *evaluation) decide() (Decision, []hit) {
	q, c := e.q, &e.caller
	var resource, identity, boundary side
	if q.ResourcePolicy != nil {
		resource = e.look("resource policy", []policy.Document{*q.ResourcePolicy}, true)
	}
	blocked := -1 // the first level of service control policies that does not allow
	if !c.alone() {
		identity = e.look("identity policy", q.Identity, false)
		if c.root {
			identity.grade, identity.statement = directly, "the root user of its account"
		}
		boundary = side{grade: directly}
		if q.Boundary != nil {
			boundary = e.look("permissions boundary", []policy.Document{*q.Boundary}, false)
		}
		for i := range q.SCP {
			if e.look("service control policy", q.SCP[i:i+1], false).grade == notNamed && blocked < 0 {
				blocked = i
			}
		}
	}
	switch {
	case e.denied != "":
		return e.refuse(DeniedExplicitly, e.denied, "an explicit deny stands in its way; take it away or narrow it"), nil
	case e.undecided != "":
		return e.refuse(Undecidable, "", "%s", e.undecided), nil
	case blocked >= 0:
		return e.refuse(DeniedBySCP, "", "no statement of service control policy %d allows it", blocked), nil
	}
	return e.weigh(identity, resource, boundary), identity.hits
}

// weigh puts together what the policies allow, after all of Deny.
func (e *evaluation) weigh(identity, resource, boundary side) Decision {
	q, c := e.q, &e.caller
	within := boundary.grade != notNamed
	own := identity.grade != notNamed && within
	refuseOwn := func() Decision {
		if identity.grade != notNamed {
			return e.refuse(DeniedByBoundary, "", "the permissions boundary does not allow it")
		}
		return e.refuse(DeniedByIdentity, "", "no policy that is attached to the caller allows it")
	}
	refuseResource := func(why string) Decision { return e.refuse(DeniedByResource, "", "%s", why) }
	allow := func(reason Reason, statement string) Decision {
		return Decision{Allowed: true, Reason: reason, Statement: statement}
	}
	if c.alone() {
		if resource.grade == notNamed {
			return refuseResource("no statement of the resource's policy allows it to this caller")
		}
		return allow(AllowedByResource, resource.statement)
	}
	if q.ResourceAccount != "" && q.ResourceAccount != c.account {
		switch {
		case q.KeyPolicy && !crossesAccounts(q.Action):
			return refuseResource("this operation of KMS does not work on another account's key")
		case !own:
			return refuseOwn()
		case resource.grade == notNamed:
			return refuseResource("no statement of the resource's policy allows it to this caller of another account")
		}
		return allow(AllowedByBoth, identity.statement+" and "+resource.statement)
	}
	switch {
	case own && !q.KeyPolicy:
		return allow(AllowedByIdentity, identity.statement)
	case resource.grade == directly, resource.grade == byRole && within:
		return allow(AllowedByResource, resource.statement)
	case resource.grade == byAccount && own: // of a key or a role: its policy leaves it to the account's own
		return allow(AllowedByBoth, identity.statement+" and "+resource.statement)
	case resource.grade == byRole:
		return e.refuse(DeniedByBoundary, "", "the permissions boundary does not allow it, and the resource's policy names the role only")
	case q.KeyPolicy && resource.grade == notNamed:
		return refuseResource("the key's or role's policy names neither the caller nor its account")
	}
	return refuseOwn()
}

func (e *evaluation) refuse(reason Reason, statement, why string, args ...any) Decision {
	who := e.q.Principal
	if who == "" {
		who = "a caller without credentials"
	}
	return Decision{Reason: reason, Statement: statement,
		Missing: fmt.Sprintf("%s on %s for %s: ", e.q.Action, e.q.Resource, who) + fmt.Sprintf(why, args...)}
}

// look reads policies of one kind. Those of resources have principals, the others must not.
func (e *evaluation) look(what string, documents []policy.Document, ofResource bool) (s side) {
	for i, d := range documents {
		env := env{e.context, d.Version == policy.Version}
		for j, st := range d.Statements {
			place := placeOf(what, len(documents) > 1, i, j, st.Sid)
			g, action, err := e.matches(&st, &env, ofResource)
			switch {
			case st.Effect == policy.Deny && err != nil:
				if e.undecided == "" {
					e.undecided = "the Deny of " + place + " cannot be understood: " + err.Error()
				}
			case err != nil || g == notNamed:
			case st.Effect == policy.Deny:
				if e.denied == "" {
					e.denied = place
				}
			case st.Effect == policy.Allow:
				s.hits = append(s.hits, hit{i, j, action})
				if g > s.grade {
					s.grade, s.statement = g, place
				}
			}
		}
	}
	return s
}

func placeOf(what string, several bool, document, statement int, sid string) string {
	if several {
		what = fmt.Sprintf("%s %d", what, document)
	}
	if sid != "" {
		return fmt.Sprintf("%s, statement %q", what, sid)
	}
	return fmt.Sprintf("%s, statement %d", what, statement)
}

var errStatement = errors.New("not a statement of such a policy")

// matches tells whether a statement is about the Query, how directly it names the caller, and by which of its action patterns. An error means that
// it cannot be told, and that nothing that can be told keeps it from matching.
func (e *evaluation) matches(st *policy.Statement, env *env, ofResource bool) (grade, string, error) {
	deny := st.Effect == policy.Deny
	action, ok := matchesAction(st.Action, e.q.Action)
	if st.NotAction != nil {
		_, excluded := matchesAction(st.NotAction, e.q.Action)
		action, ok = notAction, !excluded
	}
	if !ok {
		return notNamed, "", nil
	}
	var undecided error
	g := directly
	if ofResource {
		g, undecided = e.about(st, deny)
	} else if st.Principal != nil || st.NotPrincipal != nil {
		undecided = fmt.Errorf("%w: it has a principal, which only policies of resources have", errStatement)
	}
	if undecided == nil && g == notNamed {
		return notNamed, "", nil
	}
	switch {
	case st.Resource != nil:
		ok, err := matchesResource(st.Resource, e.q.Resource, env, deny)
		if err == nil && !ok {
			return notNamed, "", nil
		}
		undecided = errors.Join(undecided, err)
	case st.NotResource != nil:
		excluded, err := matchesResource(st.NotResource, e.q.Resource, env, !deny)
		if excluded {
			return notNamed, "", nil
		}
		undecided = errors.Join(undecided, err)
	case !ofResource:
		undecided = errors.Join(undecided, fmt.Errorf("%w: it names no resource", errStatement))
	}
	ok, err := env.holds(st.Condition)
	if err == nil && !ok {
		return notNamed, "", nil
	}
	return g, action, errors.Join(undecided, err)
}

// notAction stands for the element NotAction where an action pattern is told.
const notAction = "NotAction"

// about tells how directly a statement of a resource's policy is about the caller.
func (e *evaluation) about(st *policy.Statement, deny bool) (grade, error) {
	switch {
	case st.Principal != nil:
		return e.caller.named(st.Principal)
	case st.NotPrincipal == nil:
		return notNamed, fmt.Errorf("%w: it has no principal", errStatement)
	case deny:
		spared, err := e.caller.spared(st.NotPrincipal, e.q.Boundary != nil)
		if spared || err != nil {
			return notNamed, err
		}
	default:
		g, err := e.caller.named(st.NotPrincipal)
		if g != notNamed || err != nil {
			return notNamed, err
		}
	}
	return directly, nil
}

// crossesAccounts tells whether an action works on a resource of KMS in another account. Other services have no such list.
//
// Source: KMS developer guide, "Allowing users in other accounts to use a KMS key".
func crossesAccounts(action string) bool {
	action = strings.ToLower(action)
	if !strings.HasPrefix(action, "kms:") {
		return true
	}
	return slices.Contains([]string{"kms:encrypt", "kms:decrypt", "kms:reencryptfrom", "kms:reencryptto", "kms:generatedatakey",
		"kms:generatedatakeywithoutplaintext", "kms:generatedatakeypair", "kms:generatedatakeypairwithoutplaintext", "kms:generatemac",
		"kms:verifymac", "kms:sign", "kms:verify", "kms:derivesharedsecret", "kms:creategrant", "kms:describekey", "kms:getkeyrotationstatus",
		"kms:getpublickey", "kms:listgrants", "kms:retiregrant", "kms:revokegrant"}, action)
}

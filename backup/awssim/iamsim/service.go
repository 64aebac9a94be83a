package iamsim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

// IAM is a simulated IAM for one World. Make it with Service.
type IAM struct {
	strict     bool
	identities map[string]*identity // by what keyOf gives
	tags       func(r *awssim.Request, arn string) map[string]string
}

// identity is a user, a role or an account's root, and what the simulation knows of it.
type identity struct {
	arn      string // empty as long as only its sessions were seen
	policies []policy.Document
	boundary *policy.Document
	trust    *policy.Document
	used     map[string]bool // actions that were allowed
	hits     map[hit]bool
	denied   []string
}

// Service makes a simulated IAM in which nothing is attached to anybody. As long as that is so for a principal, its own policies allow it
// everything, as those of an administrator do; see Strict.
func Service() *IAM { return &IAM{identities: map[string]*identity{}} }

// Definition describes the service to its World; awssim.New calls it. IAM's own operations are not simulated.
func (s *IAM) Definition() awssim.Definition { return awssim.Definition{ID: "IAM"} }

// Strict has IAM's real default hold from now on: who has nothing attached may do nothing.
func (s *IAM) Strict(w *awssim.World) { w.Do("", "", func(*awssim.Request) { s.strict = true }) }

// Attach attaches policies to a user or a role, after those that it has. What happened before is not judged anew, and the records of the
// principal begin afresh.
//
// It attaches all or nothing. It refuses the ARN of a session (attach to its role), wildcards, documents that policy.Document.Validate refuses,
// and statements that no policy of an identity may have: with a principal, or without a resource.
func (s *IAM) Attach(w *awssim.World, principalARN string, docs ...policy.Document) error {
	for i, d := range docs {
		if err := validate(d, false); err != nil {
			return fmt.Errorf("iamsim: policy %d for %.120q: %w", i, principalARN, err)
		}
	}
	return s.change(w, principalARN, func(id *identity) { id.policies = append(id.policies, clone(docs)...) })
}

// Detach takes all policies and the boundary from a principal. What is then allowed is said at Service and Strict.
func (s *IAM) Detach(w *awssim.World, principalARN string) error {
	return s.change(w, principalARN, func(id *identity) { id.policies, id.boundary = nil, nil })
}

// Bound sets the permissions boundary of a user or a role. It refuses what Attach refuses.
func (s *IAM) Bound(w *awssim.World, principalARN string, doc policy.Document) error {
	if err := validate(doc, false); err != nil {
		return fmt.Errorf("iamsim: boundary of %.120q: %w", principalARN, err)
	}
	return s.change(w, principalARN, func(id *identity) { id.boundary = &clone([]policy.Document{doc})[0] })
}

// Trust sets the trust policy of a role. A role without one lets everybody in whom the simulated STS lets in. It refuses what is no role, and
// statements without a principal.
func (s *IAM) Trust(w *awssim.World, roleARN string, doc policy.Document) error {
	if err := validate(doc, true); err != nil {
		return fmt.Errorf("iamsim: trust policy of %.120q: %w", roleARN, err)
	}
	c, err := read(&Query{Principal: roleARN})
	if err != nil || c.role == "" || c.session {
		return fmt.Errorf("iamsim: %w: %.120q is no role", errPrincipal, roleARN)
	}
	return s.change(w, roleARN, func(id *identity) { id.trust = &clone([]policy.Document{doc})[0] })
}

// ResourceTags sets what gives the tags of a resource, for conditions on aws:ResourceTag, in the place of the simulated services that tell them.
// f is called under the World's lock: it must not wait, and must not call the World.
func (s *IAM) ResourceTags(w *awssim.World, f func(r *awssim.Request, arn string) map[string]string) {
	w.Do("", "", func(*awssim.Request) { s.tags = f })
}

// change does f with what is known of a user or a role.
func (s *IAM) change(w *awssim.World, arn string, f func(*identity)) error {
	c, err := read(&Query{Principal: arn})
	if err != nil || c.alone() || c.session || c.root {
		return fmt.Errorf("iamsim: %w: %.120q is no user and no role; a session has the policies of its role", errPrincipal, arn)
	}
	w.Do("", "", func(*awssim.Request) {
		id := s.of(&c)
		if id.arn != "" && id.arn != arn {
			err = fmt.Errorf("iamsim: %w: the account has a role of that name: %s", errPrincipal, id.arn)
			return
		}
		id.arn = arn
		id.used, id.hits, id.denied = map[string]bool{}, map[hit]bool{}, nil
		f(id)
	})
	return err
}

// keyOf gives what stands for a principal: a session is its role, and the names of roles are unique without their paths.
func keyOf(c *caller) string {
	if c.role != "" {
		return c.partition + "/" + c.account + "/role/" + c.role
	}
	return c.arn
}

// of gives what is known of a principal.
func (s *IAM) of(c *caller) *identity {
	key := keyOf(c)
	id := s.identities[key]
	if id == nil {
		id = &identity{used: map[string]bool{}, hits: map[hit]bool{}}
		s.identities[key] = id
	}
	return id
}

var errPolicy = errors.New("not a policy of this kind")

// validate refuses what AWS would refuse to store.
func validate(d policy.Document, trust bool) error {
	if err := d.Validate(); err != nil {
		return err
	}
	for i, st := range d.Statements {
		principal := st.Principal != nil || st.NotPrincipal != nil
		resource := st.Resource != nil || st.NotResource != nil
		switch {
		case trust && (!principal || resource):
			return fmt.Errorf("%w: statement %d must have a principal and no resource", errPolicy, i)
		case !trust && (principal || !resource):
			return fmt.Errorf("%w: statement %d must have a resource and no principal", errPolicy, i)
		}
	}
	return nil
}

// clone copies documents, so that their owner may change them.
func clone(docs []policy.Document) []policy.Document {
	out := slices.Clone(docs)
	for i := range out {
		out[i].Statements = slices.Clone(out[i].Statements)
		for j := range out[i].Statements {
			st := &out[i].Statements[j]
			for _, list := range []*[]string{&st.Action, &st.NotAction, &st.Resource, &st.NotResource} {
				*list = slices.Clone(*list)
			}
			for _, p := range []**policy.Principal{&st.Principal, &st.NotPrincipal} {
				if *p != nil {
					c := **p
					c.AWS, c.Service = slices.Clone(c.AWS), slices.Clone(c.Service)
					c.Federated, c.CanonicalUser = slices.Clone(c.Federated), slices.Clone(c.CanonicalUser)
					*p = &c
				}
			}
			st.Condition = maps.Clone(st.Condition)
			for operator, keys := range st.Condition {
				st.Condition[operator] = maps.Clone(keys)
				for key, values := range keys {
					st.Condition[operator][key] = slices.Clone(values)
				}
			}
		}
	}
	return out
}

var _ awssim.Authorizer = (*IAM)(nil)

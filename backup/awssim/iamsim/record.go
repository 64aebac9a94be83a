package iamsim

import (
	"fmt"
	"maps"
	"slices"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/policy"
)

// record writes down what a decision used or denied.
func (id *identity) record(d Decision, hits []hit, action, resource string) {
	if !d.Allowed {
		if line := action + " " + resource; !slices.Contains(id.denied, line) {
			id.denied = append(id.denied, line)
		}
		return
	}
	id.used[action] = true
	for _, h := range hits {
		id.hits[h] = true
	}
}

// Used gives the actions that a principal was allowed since its policies were last changed, sorted, each once. For a session that is what all
// sessions of its role did.
func (s *IAM) Used(w *awssim.World, principalARN string) []string {
	return s.recorded(w, principalARN, func(id *identity) []string { return slices.Sorted(maps.Keys(id.used)) })
}

// Denied gives what a principal was denied since its policies were last changed, as "action resource", in the order of the first denials.
// A service that asks AllowsIdentity may have let the request pass all the same, because the resource's policy did.
func (s *IAM) Denied(w *awssim.World, principalARN string) []string {
	return s.recorded(w, principalARN, func(id *identity) []string { return slices.Clone(id.denied) })
}

// Unused gives what the attached policies allow and the principal has not made use of since they were last changed: for each statement that
// allows, by its Sid or its place, each action pattern by which it has matched no request that was allowed. A role has the least privilege for a
// workflow where a whole run leaves Denied and Unused empty.
func (s *IAM) Unused(w *awssim.World, principalARN string) []string {
	return s.recorded(w, principalARN, func(id *identity) (unused []string) {
		for i, d := range id.policies {
			for j, st := range d.Statements {
				actions := st.Action
				if st.NotAction != nil {
					actions = []string{notAction}
				}
				name := st.Sid
				if name == "" {
					name = fmt.Sprintf("policy %d, statement %d", i, j)
				}
				for _, action := range actions {
					if st.Effect == policy.Allow && !id.hits[hit{i, j, action}] {
						unused = append(unused, name+": "+action)
					}
				}
			}
		}
		return unused
	})
}

// recorded gives what f finds of a principal; nil for one that never asked and has nothing attached.
func (s *IAM) recorded(w *awssim.World, arn string, f func(*identity) []string) (out []string) {
	c, err := read(&Query{Principal: arn})
	if err != nil || c.alone() {
		return nil
	}
	w.Do("", "", func(*awssim.Request) {
		if id := s.identities[keyOf(&c)]; id != nil {
			out = f(id)
		}
	})
	return out
}

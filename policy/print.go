package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Validate refuses a Document that is no policy: without statements, with a Version that AWS has not, a statement without an effect or with both
// of a pair, an empty list or value, or two statements of one Sid. It says nothing of what the policy allows: that is Lint's work. An error is
// a *DocumentError.
func (d Document) Validate() error {
	switch d.Version {
	case "", Version, "2008-10-17":
	default:
		return docErr("Version", "%.80q is no version of the policy language", d.Version)
	}
	if len(d.Statements) == 0 {
		return docErr("Statement", "there is none")
	}
	sids := map[string]bool{}
	for i, s := range d.Statements {
		path := fmt.Sprintf("Statement[%d]", i)
		if s.Sid != "" && sids[s.Sid] {
			return docErr(path+".Sid", "another statement has the Sid %.80q", s.Sid)
		}
		sids[s.Sid] = true
		if err := s.validate(path); err != nil {
			return err
		}
	}
	return nil
}

func (s Statement) validate(path string) error {
	if s.Effect != Allow && s.Effect != Deny {
		return docErr(path+".Effect", "%.80q is neither Allow nor Deny", string(s.Effect))
	}
	if s.Principal != nil && s.NotPrincipal != nil {
		return docErr(path, "Principal and NotPrincipal")
	}
	if len(s.Action) > 0 == (len(s.NotAction) > 0) {
		return docErr(path, "exactly one of Action and NotAction must be there")
	}
	if s.Resource != nil && s.NotResource != nil {
		return docErr(path, "Resource and NotResource")
	}
	lists := map[string][]string{"Action": s.Action, "NotAction": s.NotAction, "Resource": s.Resource, "NotResource": s.NotResource}
	for name, p := range map[string]*Principal{"Principal": s.Principal, "NotPrincipal": s.NotPrincipal} {
		if p == nil {
			continue
		}
		n := len(p.AWS) + len(p.Service) + len(p.Federated) + len(p.CanonicalUser)
		if p.Everyone == (n > 0) {
			return docErr(path+"."+name, "it names nobody, or everybody and somebody")
		}
		lists[name+".AWS"], lists[name+".Service"], lists[name+".Federated"], lists[name+".CanonicalUser"] = p.AWS, p.Service, p.Federated, p.CanonicalUser
	}
	for operator, keys := range s.Condition {
		if operator == "" || len(keys) == 0 {
			return docErr(path+".Condition", "an operator without a name or without keys")
		}
		for key, values := range keys {
			if key == "" || len(values) == 0 {
				return docErr(path+".Condition."+operator, "a key without a name or without values")
			}
		}
	}
	for name, list := range lists {
		if list != nil && len(list) == 0 {
			return docErr(path+"."+name, "an empty list")
		}
		for _, v := range list {
			if v == "" {
				return docErr(path+"."+name, "an empty value")
			}
		}
	}
	return nil
}

// MarshalJSON gives the one canonical form: keys in the order of the types' fields, operators and keys of conditions sorted, a single value as a
// string. It refuses what Validate refuses.
func (d Document) MarshalJSON() ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	type statement struct {
		Sid                     string `json:",omitempty"`
		Effect                  Effect
		Principal, NotPrincipal any                       `json:",omitempty"`
		Action, NotAction       any                       `json:",omitempty"`
		Resource, NotResource   any                       `json:",omitempty"`
		Condition               map[string]map[string]any `json:",omitempty"`
	}
	out := struct {
		Version   string `json:",omitempty"`
		ID        string `json:"Id,omitempty"`
		Statement []statement
	}{Version: d.Version, ID: d.ID}
	for _, s := range d.Statements {
		one := statement{Sid: s.Sid, Effect: s.Effect, Principal: s.Principal.value(), NotPrincipal: s.NotPrincipal.value(),
			Action: values(s.Action), NotAction: values(s.NotAction), Resource: values(s.Resource), NotResource: values(s.NotResource)}
		for operator, keys := range s.Condition {
			if one.Condition == nil {
				one.Condition = map[string]map[string]any{}
			}
			one.Condition[operator] = map[string]any{}
			for key, v := range keys {
				one.Condition[operator][key] = values(v)
			}
		}
		out.Statement = append(out.Statement, one)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(out); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// UnmarshalJSON is ParseDocument.
func (d *Document) UnmarshalJSON(text []byte) error {
	doc, err := ParseDocument(text)
	if err != nil {
		return err
	}
	*d = doc
	return nil
}

// Text gives the canonical form, indented for people, or the error in words where the Document can not be written. Give AWS what
// json.Marshal gives, which is shorter.
func (d Document) Text() string {
	b, err := d.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return err.Error()
	}
	return strings.TrimSpace(out.String()) + "\n"
}

// value gives what stands in the document, nil for nothing.
func (p *Principal) value() any {
	if p == nil {
		return nil
	}
	if p.Everyone {
		return "*"
	}
	return struct {
		AWS           any `json:",omitempty"`
		Service       any `json:",omitempty"`
		Federated     any `json:",omitempty"`
		CanonicalUser any `json:",omitempty"`
	}{values(p.AWS), values(p.Service), values(p.Federated), values(p.CanonicalUser)}
}

// values gives a string for one value and a list for several, nil for none.
func values(v []string) any {
	switch len(v) {
	case 0:
		return nil
	case 1:
		return v[0]
	}
	return v
}

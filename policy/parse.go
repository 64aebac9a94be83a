package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MaxDocumentBytes is the largest document that ParseDocument reads; every policy of AWS is smaller. Source: IAM user guide, "IAM and AWS STS
// quotas"; S3 user guide, "Bucket policies" (20 KB); KMS developer guide, "Resource quotas" (32 KB).
const MaxDocumentBytes = 64 << 10

// DocumentError says why a text is no policy document.
type DocumentError struct {
	// Path is the place: "Statement[2].Principal.AWS[0]"; empty for the whole document.
	Path string
	// Detail is the reason in words. Not stable; it repeats at most 80 bytes of the text.
	Detail string
}

// Error describes the fault.
func (e *DocumentError) Error() string {
	if e.Path == "" {
		return "policy document: " + e.Detail
	}
	return "policy document: " + e.Path + ": " + e.Detail
}

func docErr(path, format string, args ...any) error {
	return &DocumentError{path, fmt.Sprintf(format, args...)}
}

// ParseDocument reads a policy document, strictly. It refuses what two readers might understand differently: a key that stands twice or in two
// spellings, unknown keys, text after the end, bad UTF-8, and everything that Document.Validate refuses. An error is a *DocumentError.
//
// A reader that is less strict can be led to see another policy than AWS does: encoding/json takes "effect" for Effect, and the last of two.
func ParseDocument(text []byte) (Document, error) {
	switch {
	case len(text) > MaxDocumentBytes:
		return Document{}, docErr("", "%d bytes, and no policy has more than %d", len(text), MaxDocumentBytes)
	case !utf8.Valid(text):
		return Document{}, docErr("", "not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	root, err := parseNode(d, "", 0)
	if err != nil {
		return Document{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Document{}, docErr("", "something follows its end")
	}
	doc, err := root.document()
	if err != nil {
		return Document{}, err
	}
	return doc, doc.Validate()
}

// node is a JSON value with its place. Of text, list and members the one that its kind says is set.
type node struct {
	path    string
	kind    byte // 's' string, 'l' list, 'o' object, 'p' another plain value
	text    string
	list    []node
	members []member
}

type member struct {
	key   string
	value node
}

// maxDepth is deeper than any policy goes: Statement, Condition, operator, key, values.
const maxDepth = 8

func parseNode(d *json.Decoder, path string, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, docErr(path, "nested too deeply")
	}
	t, err := d.Token()
	if err != nil {
		return node{}, docErr(path, "not JSON: %.80s", err.Error())
	}
	n := node{path: path}
	switch t := t.(type) {
	case string:
		n.kind, n.text = 's', t
		return n, checkText(path, t)
	case json.Delim:
		if t == '[' {
			n.kind = 'l'
			for d.More() {
				v, err := parseNode(d, fmt.Sprintf("%s[%d]", path, len(n.list)), depth+1)
				if err != nil {
					return n, err
				}
				n.list = append(n.list, v)
			}
		} else {
			n.kind = 'o'
			if err := n.parseMembers(d, depth); err != nil {
				return n, err
			}
		}
		if _, err := d.Token(); err != nil {
			return n, docErr(path, "not JSON: %.80s", err.Error())
		}
		return n, nil
	case bool:
		n.kind, n.text = 'p', fmt.Sprint(t)
		return n, nil
	case json.Number:
		n.kind, n.text = 'p', t.String()
		return n, nil
	}
	return n, docErr(path, "null has no meaning in a policy")
}

func (n *node) parseMembers(d *json.Decoder, depth int) error {
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return docErr(n.path, "not JSON")
		}
		path := strings.TrimPrefix(n.path+"."+fmt.Sprintf("%.80s", key), ".")
		if err := checkText(path, key); err != nil {
			return err
		}
		if fold := strings.ToLower(key); seen[fold] {
			return docErr(path, "the key stands twice, perhaps in other letters")
		} else {
			seen[fold] = true
		}
		v, err := parseNode(d, path, depth+1)
		if err != nil {
			return err
		}
		n.members = append(n.members, member{key, v})
	}
	return nil
}

// checkText refuses what is not UTF-8, what encoding/json puts in the place of half a surrogate pair, and zero bytes.
func checkText(path, s string) error {
	if strings.ContainsAny(s, "\x00\ufffd") || !utf8.ValidString(s) {
		return docErr(path, "a character that is none")
	}
	return nil
}

func (n node) document() (Document, error) {
	var doc Document
	if n.kind != 'o' {
		return doc, docErr("", "not an object")
	}
	var err error
	for _, m := range n.members {
		switch m.key {
		case "Version":
			doc.Version, err = m.value.str()
		case "Id":
			doc.ID, err = m.value.str()
		case "Statement":
			all := []node{m.value}
			if m.value.kind == 'l' {
				all = m.value.list
			}
			for _, one := range all {
				s, err := one.statement()
				if err != nil {
					return doc, err
				}
				doc.Statements = append(doc.Statements, s)
			}
		default:
			err = docErr(m.value.path, "unknown key")
		}
		if err != nil {
			return Document{}, err
		}
	}
	return doc, nil
}

func (n node) statement() (s Statement, err error) {
	if n.kind != 'o' {
		return s, docErr(n.path, "not an object")
	}
	for _, m := range n.members {
		v := m.value
		switch m.key {
		case "Sid":
			s.Sid, err = v.str()
		case "Effect":
			var e string
			e, err = v.str()
			s.Effect = Effect(e)
		case "Principal":
			s.Principal, err = v.principal()
		case "NotPrincipal":
			s.NotPrincipal, err = v.principal()
		case "Action":
			s.Action, err = v.strs(false)
		case "NotAction":
			s.NotAction, err = v.strs(false)
		case "Resource":
			s.Resource, err = v.strs(false)
		case "NotResource":
			s.NotResource, err = v.strs(false)
		case "Condition":
			s.Condition, err = v.condition()
		default:
			err = docErr(v.path, "unknown key")
		}
		if err != nil {
			return Statement{}, err
		}
	}
	return s, nil
}

func (n node) principal() (*Principal, error) {
	if n.kind == 's' {
		if n.text != "*" {
			return nil, docErr(n.path, `a principal is "*" or an object`)
		}
		return &Principal{Everyone: true}, nil
	}
	if n.kind != 'o' {
		return nil, docErr(n.path, `a principal is "*" or an object`)
	}
	p := &Principal{}
	for _, m := range n.members {
		to := map[string]*[]string{"AWS": &p.AWS, "Service": &p.Service, "Federated": &p.Federated, "CanonicalUser": &p.CanonicalUser}[m.key]
		if to == nil {
			return nil, docErr(m.value.path, "unknown kind of principal")
		}
		v, err := m.value.strs(false)
		if err != nil {
			return nil, err
		}
		*to = v
	}
	return p, nil
}

func (n node) condition() (Condition, error) {
	if n.kind != 'o' {
		return nil, docErr(n.path, "not an object")
	}
	if len(n.members) == 0 {
		return nil, nil // programs write it where there are no conditions
	}
	c := Condition{}
	for _, operator := range n.members {
		if operator.value.kind != 'o' {
			return nil, docErr(operator.value.path, "not an object")
		}
		c[operator.key] = map[string][]string{}
		for _, m := range operator.value.members {
			v, err := m.value.strs(true)
			if err != nil {
				return nil, err
			}
			c[operator.key][m.key] = v
		}
	}
	return c, nil
}

func (n node) str() (string, error) {
	if n.kind != 's' {
		return "", docErr(n.path, "not a string")
	}
	return n.text, nil
}

// strs reads a string or a list of them. AWS also takes booleans and numbers as the values of conditions.
func (n node) strs(plain bool) ([]string, error) {
	all := []node{n}
	if n.kind == 'l' {
		all = n.list
	}
	out := []string{}
	for _, one := range all {
		if one.kind != 's' && (one.kind != 'p' || !plain) {
			return nil, docErr(one.path, "not a string")
		}
		out = append(out, one.text)
	}
	return out, nil
}

package policy

import "slices"

// Without gives the document without the statements of these Sids, and which of the Sids were there, in their order in the document. It is how
// what a builder put in is taken out again: a bucket that is shared no more, a key that another account is done with. Everything else is kept as
// it is; statements without a Sid always are. The result shares
// nothing with d. A document with no statement left can not be written: AWS has calls that delete a policy.
func (d Document) Without(sids ...string) (Document, []string) {
	out := Document{Version: d.Version, ID: d.ID}
	var gone []string
	for _, s := range d.Statements {
		if s.Sid != "" && slices.Contains(sids, s.Sid) {
			gone = append(gone, s.Sid)
			continue
		}
		out.Statements = append(out.Statements, s.clone())
	}
	return out, gone
}

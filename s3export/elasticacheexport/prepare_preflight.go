package elasticacheexport

import (
	"context"
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// preflightPrepare says how the bucket is now, and what becomes of it. An error is only what ends this work; what it mends is information, and what
// it leaves as it is, and an export would be refused for, a warning.
func (s *Strategy) preflightPrepare(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	var st prepareState
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	c, err := s.clients(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return nil, err
	}
	if b.wrong != nil {
		f := *b.wrong
		if f.ID == of("bucket-missing") && st.Options.Create && !st.exists() {
			f.Severity = backup.SeverityInfo
			f.Message = "the bucket " + op.Ref.ID + " does not exist, and will be made"
			f.Remedy = "nothing: it is made in " + op.Ref.Region + ", with ACLs disabled and public access blocked"
		}
		return []backup.Finding{f}, nil
	}
	found := b.findings(op.Ref, op.Ref.ID)
	rest, err := st.outstanding(op.Ref, b)
	if err == nil {
		err = rest.blocked(op.Ref, b)
	}
	var after []backup.Finding
	if err == nil {
		if after, err = rest.result(b, st.Options, op.Ref); err != nil {
			return nil, err
		}
	}
	if err != nil {
		return sorted(refusedPrepare(op.Ref, found, err)), nil
	}
	for i, f := range found {
		stays := slices.ContainsFunc(after, func(x backup.Finding) bool { return x.ID == f.ID && x.Message == f.Message })
		right := strings.HasPrefix(f.ID, of("grant-"))
		switch {
		case !stays:
			found[i].Severity, found[i].Remedy = backup.SeverityInfo, "nothing: this work mends it"
		case right && st.Options.NoExport:
			found[i].Severity, found[i].Remedy = backup.SeverityInfo, "nothing for seeding; leave PrepareOptions.NoExport out if exports are to go to the bucket"
		case f.Severity == backup.SeverityError:
			found[i].Severity = backup.SeverityWarning // of an export it would be an error
		}
	}
	return sorted(found), nil
}

// refusedPrepare are the findings of a bucket that can not be prepared, with err as an error among them.
func refusedPrepare(r backup.Ref, found []backup.Finding, err error) []backup.Finding {
	var out []backup.Finding
	said := false
	for _, f := range found {
		switch {
		case f.ID == of("unseen"):
			// An export needs no look at the settings, and preparing does.
			f.Severity, said = backup.SeverityError, true
		case f.ID == of("policy-unreadable"):
			said = true
		case f.Severity == backup.SeverityError:
			f.Severity = backup.SeverityWarning // it is not what ends this work
		}
		out = append(out, f)
	}
	if said {
		return out
	}
	return append(out, backup.Finding{ID: of("prepare-refused"), Severity: backup.SeverityError, Ref: r, Message: cause(err).Error(), Remedy: backup.HintOf(err)})
}

// blocked refuses a write that Block Public Access does not let pass, because what others wrote there lets everybody in and is written again with it.
// Source: S3 user guide, "Blocking public access to your Amazon S3 storage".
func (w work) blocked(r backup.Ref, b box) error {
	on := func(setting string) bool { return w.block || !slices.Contains(b.open, setting) }
	for _, o := range b.others("", "", r.ID) {
		byPolicy := strings.HasPrefix(o.by, "statement ")
		if o.everyone && (byPolicy && w.policy != "" && on("BlockPublicPolicy") || !byPolicy && w.acl != nil && on("BlockPublicAcls")) {
			return failure(backup.Operation{Ref: r}, "prepare", backup.ErrDenied, "take that right away, or use a bucket of its own for exports",
				"Block Public Access refuses what lets everybody in, and %s does (%s)", o.name, o.by)
		}
	}
	if w.policy != "" && on("BlockPublicPolicy") {
		// Public is not only who reads: any right that everybody has makes it so.
		for i, st := range b.doc.Statements {
			if st.Effect == policy.Allow && len(st.Condition) == 0 && (st.NotPrincipal != nil || st.Principal != nil && st.Principal.Everyone) {
				return failure(backup.Operation{Ref: r}, "prepare", backup.ErrDenied, "take that right away, or use a bucket of its own for exports",
					"Block Public Access refuses what lets everybody in, and statement %d %s does", i, st.Sid)
			}
		}
	}
	return nil
}

// result are the findings of the bucket when the work was done.
func (w work) result(b box, o PrepareOptions, r backup.Ref) ([]backup.Finding, error) {
	if w.policy != "" {
		doc, err := policy.ParseDocument([]byte(w.policy))
		if err != nil {
			return nil, err
		}
		b.doc = doc
	}
	if w.acl != nil {
		wanted, err := o.grants(r)
		if err != nil {
			return nil, err
		}
		b.grants = slices.Concat(b.grants, wanted)
	}
	if w.block {
		b.open = nil
	}
	return b.findings(r, r.ID), nil
}

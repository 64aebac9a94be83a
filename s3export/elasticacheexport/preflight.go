package elasticacheexport

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// Preflight reads what op would act on, and says what is in the way of it: of the snapshot, or of the group or cluster that it is made of, and
// of the bucket, where each right that ElastiCache lacks is named, and each other who can read what would be written there. Findings have the
// ids with which a refused export would end. Of a bucket that is to be prepared it says how it is now: what the work itself mends is
// SeverityInfo, and SeverityError is only what ends this very work.
//
// It can not see whether the caller's own policies allow the export, nor whether ElastiCache sends the keys that a condition of the bucket's
// policy asks for: only the call shows that.
func (s *Strategy) Preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	if err := op.Check(Kind); err != nil {
		return nil, err
	}
	found, err := s.preflight(ctx, op)
	if has(err, "OptInRequired", "InvalidClientTokenId", "UnrecognizedClientException", "InvalidAccessKeyId") {
		// A Region that is not enabled does not know the account's credentials. Source: Account management guide, "Enable or disable AWS Regions".
		return []backup.Finding{{ID: of("region-disabled"), Severity: backup.SeverityError, Ref: op.Ref,
			Message: "AWS does not know the caller in " + op.Ref.Region + ": the Region is not enabled for account " + op.Ref.Account + ", or the credentials are not of it",
			Remedy:  "enable the Region for the account, or check the credentials"}}, nil
	}
	return found, err
}

func (s *Strategy) preflight(ctx context.Context, op backup.Operation) ([]backup.Finding, error) {
	switch op.Action {
	case ActionPrepare:
		return s.preflightPrepare(ctx, op)
	case backup.ActionCopy:
		return s.preflightCopy(ctx, op)
	}
	var st state
	if err := op.GetState(&st); err != nil {
		return nil, err
	}
	c, err := s.clients(ctx, op.Ref)
	if err != nil {
		return nil, err
	}
	var found []backup.Finding
	if st.Inner != nil {
		if found, err = s.caches.Preflight(ctx, *st.Inner); err != nil {
			return nil, err
		}
		if st.Less {
			never, err := s.neverExported(ctx, c, op.Ref)
			if err != nil {
				return nil, err
			}
			if never != nil {
				found = append(found, unexportable(op.Ref, &ectypes.Snapshot{}, never))
			}
		}
	} else if found, err = s.preflightPoint(ctx, c, st.point(op.Ref)); err != nil {
		return nil, err
	}
	b, err := s.bucket(ctx, c, op.Ref, st.Bucket)
	if err != nil {
		return nil, err
	}
	found = append(found, b.findings(op.Ref, st.Bucket)...)
	if b.wrong == nil && st.Name != "" {
		f, err := s.preflightFiles(ctx, c, op, st)
		if err != nil {
			return nil, err
		}
		found = append(found, f...)
	}
	return sorted(found), nil
}

// preflightFiles says what is there under the export's name.
func (s *Strategy) preflightFiles(ctx context.Context, c Clients, op backup.Operation, st state) ([]backup.Finding, error) {
	files, err := s.list(ctx, c, op.Ref, st)
	switch {
	case errors.Is(err, backup.ErrConflict):
		return []backup.Finding{{ID: idKeyTaken, Severity: backup.SeverityError, Ref: bucketRef(op.Ref, st.Bucket), Message: cause(err).Error(), Remedy: "an export never overwrites: " + st.another()}}, nil
	case err != nil || len(files) == 0:
		return nil, err
	}
	_, ours, err := s.ours(ctx, c, op, st, files)
	if err != nil {
		return nil, err
	}
	if ours || st.Own && st.named(files[len(files)-1].key) {
		return []backup.Finding{{ID: "elasticacheexport.begun", Severity: backup.SeverityInfo, Ref: bucketRef(op.Ref, st.Bucket),
			Message: fmt.Sprintf("%d objects of this very export are there, from an earlier run of it", len(files)), Remedy: "nothing: it is carried on"}}, nil
	}
	return []backup.Finding{st.taken(op.Ref, files)}, nil
}

// sorted puts the worst first.
func sorted(found []backup.Finding) []backup.Finding {
	rank := map[backup.Severity]int{backup.SeverityError: 0, backup.SeverityWarning: 1, backup.SeverityInfo: 2}
	slices.SortStableFunc(found, func(a, b backup.Finding) int { return cmp.Compare(rank[a.Severity], rank[b.Severity]) })
	return found
}

// preflightPoint looks at the snapshot.
func (s *Strategy) preflightPoint(ctx context.Context, c Clients, r backup.Ref) (found []backup.Finding, err error) {
	say := func(id string, severity backup.Severity, message, remedy string) {
		found = append(found, backup.Finding{ID: "elasticacheexport." + id, Severity: severity, Ref: r, Message: message, Remedy: remedy})
	}
	x, err := s.snapshot(ctx, c, r)
	switch {
	case err != nil:
		return nil, err
	case x == nil:
		say("snapshot-missing", backup.SeverityError, "there is no snapshot "+r.ID, "check the snapshot's name, the account and the Region")
		return found, nil
	}
	switch status := word(x.SnapshotStatus); status {
	case statusAvailable:
	case statusFailed, statusDeleting:
		say("snapshot-state", backup.SeverityError, "the snapshot is "+status, "export another recovery point")
	default:
		say("snapshot-state", backup.SeverityWarning, "the snapshot is "+status, "the export waits until it is available")
	}
	if err := exportable(r, x); err != nil {
		found = append(found, unexportable(r, x, err))
	}
	if key := aws.ToString(x.KmsKeyId); key != "" {
		say("under-customer-key", backup.SeverityWarning, "the snapshot is under the key "+key+", and ElastiCache may refuse to export it",
			"if it does, back up a cluster that uses the service's default key")
	}
	return found, nil
}

// rights are what ElastiCache must be allowed, by the finding that says so.
var rights = []struct {
	id         string
	permission policy.Permission
	bucket     []string // actions on the bucket
	objects    []string // actions on what is in it
}{
	{"grant-read-acp", policy.PermissionReadACP, []string{"s3:GetBucketAcl"}, nil},
	{"grant-read", policy.PermissionRead, []string{"s3:ListBucket", "s3:ListBucketMultipartUploads"}, []string{"s3:GetObject", "s3:ListMultipartUploadParts"}},
	{"grant-write", policy.PermissionWrite, nil, []string{"s3:PutObject"}},
}

// readers is how many others who can read the bucket are named one by one.
const readers = 8

// findings says what is wrong with a bucket to which r's data is to be exported.
func (b box) findings(r backup.Ref, name string) (found []backup.Finding) {
	if b.wrong != nil {
		return []backup.Finding{*b.wrong}
	}
	say := func(id string, severity backup.Severity, message, remedy string) {
		found = append(found, backup.Finding{ID: "elasticacheexport." + id, Severity: severity, Ref: bucketRef(r, name), Message: message, Remedy: remedy})
	}
	for _, p := range b.unseen {
		say("unseen", backup.SeverityInfo, "the caller may not look at a part of the bucket's settings, which lacks "+p, "allow the caller "+p+" on the bucket, or check it by other means")
	}
	if b.opaque != nil {
		say("policy-unreadable", backup.SeverityError, "the bucket's policy can not be read with certainty: "+b.opaque.Error(), "write the policy anew, without keys that are given twice or are unknown")
		return found
	}
	partition, err := policy.PartitionOf(r.Region)
	if err != nil {
		return found
	}
	service, _ := policy.ElastiCacheSnapshotPrincipal(r.Region)
	id, _ := policy.ElastiCacheCanonicalID(partition.ID) // empty where none is known
	arn := "arn:" + partition.ID + ":s3:::" + name
	seen := !slices.Contains(b.unseen, "s3:GetBucketPolicy")
	for _, need := range rights {
		var lacks, unknown, forbidden []string
		for _, on := range []struct {
			actions  []string
			resource string
		}{{need.bucket, arn}, {need.objects, arn + "/any key"}} {
			for _, action := range on.actions {
				switch says(b.doc, service, r.Account, action, on.resource) {
				case silent:
					lacks = append(lacks, action)
				case unsure:
					unknown = append(unknown, action)
				case denies:
					forbidden = append(forbidden, action)
				}
			}
		}
		granted := b.acls && id != "" && slices.ContainsFunc(b.grants, func(g policy.Grant) bool {
			return g.CanonicalID == id && (g.Permission == need.permission || g.Permission == policy.PermissionFullControl)
		})
		hint := ""
		for _, m := range messages {
			if m.id == of(need.id) {
				hint = m.remedy(r.Region, b.acls)
			}
		}
		switch {
		case len(forbidden) > 0:
			say("policy-denies", backup.SeverityError, "the bucket's policy denies ElastiCache "+strings.Join(forbidden, ", "), "except "+service+" from the Deny")
		case granted || !seen:
		case len(lacks) > 0:
			say(need.id, backup.SeverityError, "ElastiCache is not allowed "+strings.Join(lacks, ", ")+" on the bucket", hint)
		case len(unknown) > 0:
			say("policy-condition", backup.SeverityWarning, "whether ElastiCache is allowed "+strings.Join(unknown, ", ")+" depends on a condition that can not be judged here",
				"if the export is refused for want of "+string(need.permission)+" permissions, take the condition away")
		}
	}
	if len(b.open) > 0 {
		say("public-access", backup.SeverityWarning, "Block Public Access is off: "+strings.Join(b.open, ", "), "turn all four settings on; an export needs none of them off")
	}
	others := b.others(service, id, name)
	for i, who := range others {
		if i == readers {
			say("readers", backup.SeverityWarning, fmt.Sprintf("%d others more can read the bucket", len(others)-readers), "use a bucket of its own for exports")
			break
		}
		severity := backup.SeverityWarning
		if who.everyone {
			severity = backup.SeverityError
		}
		say("reader", severity, who.name+" can read what is exported ("+who.by+")", "use a bucket of its own for exports, or take that right away")
	}
	return found
}

// other is somebody else who can read the bucket.
type other struct {
	name, by string
	everyone bool
}

// others are those who can read objects by the policy or the ACL, without what a Deny takes away again. The owning account's own principals,
// whom their own policies may let in, can not be seen.
func (b box) others(service, id, bucket string) (all []other) {
	add := func(o other) {
		switch i := slices.IndexFunc(all, func(x other) bool { return x.name == o.name }); {
		case i < 0:
			all = append(all, o)
		case o.everyone && !all[i].everyone:
			all[i] = o // what is open without a condition weighs more
		}
	}
	for i, st := range b.doc.Statements {
		reads := slices.ContainsFunc(st.Action, func(a string) bool {
			return policy.MatchAction(a, "s3:GetObject") || policy.MatchAction(a, "s3:GetObjectVersion")
		}) ||
			st.NotAction != nil && !slices.ContainsFunc(st.NotAction, func(a string) bool { return policy.MatchAction(a, "s3:GetObject") })
		if st.Effect != policy.Allow || !reads {
			continue
		}
		by := fmt.Sprintf("statement %d", i)
		if st.Sid != "" {
			by = "statement " + st.Sid
		}
		open := len(st.Condition) == 0
		if !open {
			by += ", under a condition"
		}
		if st.NotPrincipal != nil {
			add(other{"everybody but a few", by, open})
			continue
		}
		if st.Principal == nil {
			continue
		}
		if st.Principal.Everyone {
			add(other{"everybody", by, open})
		}
		for _, p := range st.Principal.AWS {
			if p == "*" {
				add(other{"everybody", by, open})
				continue
			}
			add(other{p, by, false})
		}
		for _, list := range [][]string{st.Principal.Service, st.Principal.Federated, st.Principal.CanonicalUser} {
			for _, p := range list {
				if p != service {
					add(other{p, by, false})
				}
			}
		}
	}
	for _, g := range b.grants {
		if b.acls && g.CanonicalID != id && (g.Permission == policy.PermissionRead || g.Permission == policy.PermissionFullControl) {
			// READ of a bucket lists it; the objects have ACLs of their own.
			name := g.CanonicalID
			if g.Other != "" {
				name = g.Other
			}
			add(other{name, "a grant of the bucket's ACL: " + string(g.Permission), strings.HasSuffix(g.Other, "/AllUsers") || strings.HasSuffix(g.Other, "/AuthenticatedUsers")})
		}
	}
	return all
}

func bucketRef(r backup.Ref, name string) backup.Ref { return Bucket(r.Account, r.Region, name) }

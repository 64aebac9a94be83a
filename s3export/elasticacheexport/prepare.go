package elasticacheexport

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// ActionPrepare makes a bucket ready for exports or for seeding.
const ActionPrepare backup.Action = Kind + ".prepare"

// TypeBucket is the type of the Ref of a bucket.
const TypeBucket = "s3/bucket"

// Bucket names a bucket.
func Bucket(account, region, name string) backup.Ref {
	return backup.Ref{Type: TypeBucket, Account: account, Region: region, ID: name}
}

// PrepareOptions say how a bucket is made ready. The zero value lets ElastiCache export to a bucket that exists, by its policy.
type PrepareOptions struct {
	// Create makes the bucket if it is not there, in the Region of its Ref: with ACLs disabled, all public access blocked, and plain HTTP
	// refused.
	Create bool
	// Seed lets ElastiCache read the bucket, so that new clusters can be seeded from it. NoExport leaves out the rights for exports.
	Seed, NoExport bool
	// Harden blocks all public access and refuses plain HTTP in a bucket that exists, too. Others who use it may be locked out by that.
	Harden bool
	// ByGrants uses the bucket's ACL in the older way and not its policy: READ, WRITE and READ_ACP for ElastiCache's canonical id, for exports
	// only. It works in buckets whose ACLs are not disabled, and not in Regions that need an opt-in.
	ByGrants bool
	// SourceAccount lets ElastiCache in only on behalf of the bucket's account (policy.WithSourceAccount). UNVERIFIED: where ElastiCache does
	// not send that key, exports are refused for want of READ permissions.
	SourceAccount bool
	// Principal and CanonicalID stand in the place of ElastiCache's usual ones, for partitions where these are not known.
	Principal, CanonicalID string
}

// OptionsFor makes PrepareOptions usable as backup.Spec.Options.
func (PrepareOptions) OptionsFor() (string, backup.Action) { return Kind, ActionPrepare }

// The stages of preparing.
const (
	stageBucket = "bucket" // the bucket is looked at
	stageCreate = "create" // it may be created
	stageWrite  = "write"  // its settings may be written
	stageHold   = "hold"   // what was written is read back until it holds
)

// prepareState is the State of preparing.
type prepareState struct {
	Options PrepareOptions `json:"o"`
	// Made: the bucket was created by this Operation. There: S3 has said that it exists, so that it is not created any more. Looks counts those
	// that found everything in place, Writes the writes.
	Made   bool `json:"m,omitempty"`
	There  bool `json:"t,omitempty"`
	Looks  int  `json:"l,omitempty"`
	Writes int  `json:"w,omitempty"`
}

const (
	maxWrites = 5
	holdLooks = 2
)

// StartPrepare makes the Operation that makes a bucket ready; r is one of Bucket. Spec.Options may be PrepareOptions. What others wrote into the
// bucket's policy or ACL is kept: statements are merged by their Sids, and S3 is read back until everything is in place at two looks. S3 has no
// conditional write for either, so two who write at the same moment can lose one another's change; that is seen, and written again.
//
// A bucket that is created is listed in Made. It is created once: if somebody deletes it meanwhile, the work ends in ErrNotFound. A bucket has
// nothing that tells whose Operation made it. So one that is there after an answer was lost is made ready like any other of the account's, and is neither
// listed in Made nor hardened; the finding elasticacheexport.bucket-unclear says so. In us-east-1 S3 lets an owner create a bucket that is there
// already, and resets its ACL: the bucket is looked for just before the call, and only one that somebody of the same account makes in that very moment
// is taken for this Operation's own. Source: S3 API, CreateBucket, error BucketAlreadyOwnedByYou.
func (s *Strategy) StartPrepare(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, ActionPrepare, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	bad := func(hint, format string, args ...any) (backup.Operation, error) {
		return backup.Operation{}, invalid(r, hint, format, args...)
	}
	if r.Type != TypeBucket {
		return bad("use elasticacheexport.Bucket", "the type %q is not that of a bucket", r.Type)
	}
	if len(spec.Tags) > 0 || spec.Name != "" {
		return bad("leave Spec.Name and Spec.Tags empty", "a bucket has the name of its Ref, and no tags are set")
	}
	var o PrepareOptions
	if spec.Options != nil {
		var ok bool
		if o, ok = spec.Options.(PrepareOptions); !ok {
			return bad("use elasticacheexport.PrepareOptions, not a pointer to it", "options of type %T", spec.Options)
		}
	}
	switch {
	case o.NoExport && !o.Seed:
		return bad("set Seed, or leave NoExport out", "neither exports nor seeding")
	case o.ByGrants && (o.Seed || o.SourceAccount || o.Principal != ""):
		return bad("leave ByGrants out: the policy can do all of it", "grants let ElastiCache export, and nothing else")
	case o.ByGrants && o.Create:
		return bad("leave ByGrants out", "a bucket that is created has its ACLs disabled")
	}
	if _, err := o.statements(r, true); err != nil {
		return bad("name a bucket that S3 and ElastiCache both accept, and a Region as AWS does", "%w", err)
	}
	if _, err := o.grants(r); o.ByGrants && err != nil {
		return bad("set CanonicalID, or leave ByGrants out", "%w", err)
	}
	if s.own != nil {
		if err := s.own.Known(r); err != nil {
			return backup.Operation{}, err
		}
	}
	op.Stage = stageBucket
	return op, op.SetState(prepareState{Options: o})
}

// statements are those that the bucket's policy is to have.
func (o PrepareOptions) statements(r backup.Ref, harden bool) (all []policy.Statement, err error) {
	var opts []policy.StatementOption
	if o.SourceAccount {
		opts = append(opts, policy.WithSourceAccount(r.Account))
	}
	if o.Principal != "" {
		opts = append(opts, policy.WithPrincipal(o.Principal))
	}
	add := func(st policy.Statement, e error) { all, err = append(all, st), errors.Join(err, e) }
	if !o.NoExport && !o.ByGrants {
		add(policy.ExportStatement(r.ID, r.Region, opts...))
	}
	if o.Seed {
		add(policy.SeedStatement(r.ID, r.Region, opts...))
	}
	if harden {
		add(policy.DenyInsecureTransport(r.ID, r.Region))
	}
	return all, err
}

// grants are those that the bucket's ACL is to have.
func (o PrepareOptions) grants(r backup.Ref) ([]policy.Grant, error) {
	if !o.ByGrants {
		return nil, nil
	}
	id := o.CanonicalID
	if id == "" {
		p, err := policy.PartitionOf(r.Region)
		if err != nil {
			return nil, err
		}
		if id, err = policy.ElastiCacheCanonicalID(p.ID); err != nil {
			return nil, err
		}
	}
	return policy.ExportGrants(id)
}

func (s *Strategy) stepPrepare(ctx context.Context, c Clients, op backup.Operation) (backup.Operation, error) {
	var st prepareState
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageCreate:
		return s.createBucket(ctx, c, op, st)
	case stageBucket, stageWrite, stageHold:
	default:
		return op, failure(op, "prepare", backup.ErrInvalid, "the operation was changed, or a newer release wrote it", "unknown stage %q", op.Stage)
	}
	b, err := s.bucket(ctx, c, op.Ref, op.Ref.ID)
	if err != nil {
		return s.stop(op, err)
	}
	switch missing := b.wrong != nil && b.wrong.ID == of("bucket-missing"); {
	case missing && st.exists():
		return s.unseen(op)
	case missing && op.Stage == stageBucket && st.Options.Create:
		op.To(stageCreate, "CreateBucket")
		return op, nil
	case b.wrong == nil:
		st.There = true
	}
	rest, err := st.outstanding(op.Ref, b)
	if err != nil {
		op.Fail(err)
		if b.wrong != nil {
			op.Find(*b.wrong)
		}
		return op, nil
	}
	switch {
	case rest.none():
		if st.Looks++; st.Looks >= holdLooks {
			op.Succeed()
			return op, nil
		}
		if op.Stage != stageHold {
			op.To(stageHold, "")
		}
		op.PollIn(s.opts.PollMin)
		return op, op.SetState(st)
	case op.Stage != stageWrite:
		if st.Writes++; st.Writes > maxWrites {
			op.Fail(failure(op, "prepare", backup.ErrConflict, "find out who else writes the bucket's policy or ACL", "what was written %d times was not there a moment later", maxWrites))
			return op, nil
		}
		st.Looks = 0
		op.To(stageWrite, rest.call)
		return op, op.SetState(st)
	case op.Intent() == backup.ReadOnly:
		return op, nil
	}
	for _, sid := range rest.replaced {
		op.Find(backup.Finding{ID: "elasticacheexport.statement-replaced", Severity: backup.SeverityWarning, Ref: op.Ref,
			Message: "the policy had another statement of the name " + sid + ", which was replaced", Remedy: "names that begin with Snapwarden are this library's: name your own otherwise"})
	}
	// Each of them is the same when it is repeated.
	if err := rest.write(ctx, c.S3, op.Ref); err != nil {
		if has(err, "NoSuchBucket") {
			return s.unseen(op)
		}
		e := s3Table.Wrap(Kind, rest.call, op.Ref, err)
		return s.stop(op, e)
	}
	op.To(stageHold, "")
	op.PollIn(s.opts.PollMin)
	return op, op.SetState(st)
}

// work is what is to be written.
type work struct {
	call     string // of the writes, one that stands for all
	policy   string
	acl      *s3types.AccessControlPolicy
	block    bool
	replaced []string
}

func (w work) none() bool { return w.policy == "" && w.acl == nil && !w.block }

// outstanding compares a bucket with what it is to be.
func (st prepareState) outstanding(r backup.Ref, b box) (w work, err error) {
	fail := func(code backup.Code, hint, format string, args ...any) (work, error) {
		return work{}, failure(backup.Operation{Ref: r}, "prepare", code, hint, format, args...)
	}
	if b.wrong != nil {
		return fail(codeOf(*b.wrong), b.wrong.Remedy, "%s", b.wrong.Message)
	}
	if len(b.unseen) > 0 {
		return fail(backup.ErrDenied, "allow the caller "+strings.Join(b.unseen, ", ")+" on the bucket", "what can not be read can not be written without losing what is there")
	}
	if b.opaque != nil {
		return fail(backup.ErrInvalid, "write the policy anew, without keys that are given twice or are unknown", "the bucket's policy can not be read with certainty: %w", b.opaque)
	}
	harden := st.Made || st.Options.Harden
	mine, err := st.Options.statements(r, harden)
	if err != nil {
		return w, err
	}
	if len(mine) > 0 {
		doc, merged, err := b.doc.Merge(mine...)
		if err != nil {
			return fail(backup.ErrInvalid, "give each of the policy's statements a name of its own", "%w", err)
		}
		if merged.Changed() {
			w.call, w.replaced = "PutBucketPolicy", merged.Replaced
			if w.policy, err = doc.Encode(policy.MaxBucketPolicy); err != nil {
				return fail(backup.ErrInvalid, "use a bucket of its own for exports", "%w", err)
			}
		}
	}
	wanted, err := st.Options.grants(r)
	if err != nil {
		return w, err
	}
	if len(wanted) > 0 {
		if !b.acls {
			return fail(backup.ErrUnsupported, "leave PrepareOptions.ByGrants out: the bucket's policy lets ElastiCache in", "the bucket's ACLs are disabled (BucketOwnerEnforced)")
		}
		all, added, err := policy.MergeGrants(b.grants, wanted)
		if err != nil {
			return fail(backup.ErrInvalid, "use a bucket of its own for exports", "%w", err)
		}
		if len(added) > 0 {
			w.call, w.acl = "PutBucketAcl", aclOf(b.owner, all)
		}
	}
	if harden && len(b.open) > 0 {
		w.block = true
		if w.call == "" {
			w.call = "PutPublicAccessBlock"
		}
	}
	return w, nil
}

// aclOf is the whole ACL, the owner's full control first: S3 replaces it as a whole.
func aclOf(owner string, grants []policy.Grant) *s3types.AccessControlPolicy {
	acl := &s3types.AccessControlPolicy{Owner: &s3types.Owner{ID: &owner}}
	for _, g := range append([]policy.Grant{{CanonicalID: owner, Permission: policy.PermissionFullControl}}, grants...) {
		to := &s3types.Grantee{Type: s3types.TypeCanonicalUser, ID: aws.String(g.CanonicalID)}
		if g.Other != "" {
			to = &s3types.Grantee{Type: s3types.TypeGroup, URI: aws.String(g.Other)}
		}
		acl.Grants = append(acl.Grants, s3types.Grant{Grantee: to, Permission: s3types.Permission(g.Permission)})
	}
	return acl
}

func (w work) write(ctx context.Context, c *awss3.Client, r backup.Ref) error {
	if w.block {
		on := aws.Bool(true)
		if _, err := c.PutPublicAccessBlock(ctx, &awss3.PutPublicAccessBlockInput{Bucket: &r.ID, ExpectedBucketOwner: &r.Account,
			PublicAccessBlockConfiguration: &s3types.PublicAccessBlockConfiguration{BlockPublicAcls: on, IgnorePublicAcls: on, BlockPublicPolicy: on, RestrictPublicBuckets: on}}, guarded); err != nil {
			return err
		}
	}
	if w.policy != "" {
		if _, err := c.PutBucketPolicy(ctx, &awss3.PutBucketPolicyInput{Bucket: &r.ID, ExpectedBucketOwner: &r.Account, Policy: &w.policy}, guarded); err != nil {
			return err
		}
	}
	if w.acl != nil {
		if _, err := c.PutBucketAcl(ctx, &awss3.PutBucketAclInput{Bucket: &r.ID, ExpectedBucketOwner: &r.Account, AccessControlPolicy: w.acl}, guarded); err != nil {
			return err
		}
	}
	return nil
}

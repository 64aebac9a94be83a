package objectcopy

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// Start makes the Operation that copies an object; r is one of Object, and Spec.Options must be Options with a bucket. Its action is copy. Spec.Tags
// become the tags of the new object, of which S3 allows 10; Spec.Name must be empty, because Options.Key says how the copy is called.
func (s *Strategy) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	op, err := backup.NewOperation(Kind, backup.ActionCopy, r, spec)
	if err != nil {
		return backup.Operation{}, err
	}
	bucket, key, err := Split(r)
	if err != nil {
		return backup.Operation{}, err
	}
	if err := policy.ValidateRegion(r.Region); err != nil {
		return backup.Operation{}, invalid(r, "name the Region as AWS does, such as eu-west-1", "%w", err)
	}
	o, ok := spec.Options.(Options)
	if !ok {
		return backup.Operation{}, invalid(r, "set Spec.Options to objectcopy.Options with a bucket", "options of type %T", spec.Options)
	}
	if spec.Name != "" {
		return backup.Operation{}, invalid(r, "set Options.Key instead", "Spec.Name %q names no object", spec.Name)
	}
	if err := checkTags(spec.Tags); err != nil {
		return backup.Operation{}, invalid(r, "use tags that S3 allows for an object", "%w", err)
	}
	st, err := o.state(r, bucket, key)
	if err != nil {
		return backup.Operation{}, invalid(r, "see objectcopy.Options for what is allowed", "%w", err)
	}
	if s.own != nil {
		if err := s.own.Known(s.served(st.dest())); err != nil {
			return backup.Operation{}, err
		}
	}
	if n := st.largest(op); n > backup.MaxOperationBytes {
		return backup.Operation{}, invalid(r, "use fewer tags or a shorter key", "the work would need %d bytes, and an Operation has %d", n, backup.MaxOperationBytes)
	}
	op.Stage = stageLook
	return op, op.SetState(st)
}

// StartCopy is Start with the destination's account, Region and key as the library's other strategies take them. Spec.Options must be Options with
// a bucket, and what they say of the three must be the same or nothing.
func (s *Strategy) StartCopy(ctx context.Context, point backup.Ref, to backup.Destination, spec backup.Spec) (backup.Operation, error) {
	o, ok := spec.Options.(Options)
	if !ok {
		return backup.Operation{}, invalid(point, "set Spec.Options to objectcopy.Options with a bucket", "options of type %T", spec.Options)
	}
	if o.Account != "" && o.Account != to.Account || o.Region != "" && o.Region != to.Region {
		return backup.Operation{}, invalid(point, "leave Account and Region of the Options empty", "the options are for %s in %s, and the destination is %s in %s", o.Account, o.Region, to.Account, to.Region)
	}
	o.Account, o.Region = to.Account, to.Region
	if to.KMSKeyID != "" {
		e, ok := o.Encryption.(SSEKMS)
		if o.Encryption != nil && (!ok || e.KeyARN != to.KMSKeyID) {
			return backup.Operation{}, invalid(point, "leave Encryption of the Options empty, or name the same key", "the options ask for another encryption than the destination")
		}
		e.KeyARN = to.KMSKeyID
		o.Encryption = e
	}
	spec.Options = o
	return s.Start(ctx, point, spec)
}

// checkTags holds what S3 allows for an object. Source: S3 user guide, Categorizing your objects using tags.
func checkTags(tags map[string]string) error {
	if len(tags) > 10 {
		return fmt.Errorf("%d tags are more than 10", len(tags))
	}
	strange := func(c rune) bool {
		return !unicode.IsLetter(c) && !unicode.IsDigit(c) && c != ' ' && !strings.ContainsRune("+-=._:/@", c)
	}
	for k, v := range tags {
		if i := strings.IndexFunc(k+v, strange); i >= 0 {
			return fmt.Errorf("the tag %q=%q has a character that an object's tag can not have", k, v)
		}
	}
	return nil
}

// tagging writes tags as S3 takes them with an object.
func tagging(tags map[string]string) *string {
	if len(tags) == 0 {
		return nil
	}
	v := url.Values{}
	for k, x := range tags {
		v.Set(k, x)
	}
	s := v.Encode()
	return &s
}

// largest is the most that the Operation can grow to before its end.
func (st state) largest(op backup.Operation) int {
	x := strings.Repeat("x", 64)
	st.ETag, st.Algo, st.Sum, st.Size = x, s3types.ChecksumAlgorithmCrc64nvme, x, maxObject
	if st.Version == "" {
		st.Version = x
	}
	st.Upload = strings.Repeat("x", maxUploadID)
	st.Begin, st.Until = time.Now(), time.Now()
	st.Doubts, st.Conflicts, st.Anew = 9999, 99, true
	op.AddMade(st.upload())
	op.AddMade(st.dest())
	if op.SetState(st) != nil {
		return backup.MaxOperationBytes + 1
	}
	b, err := json.Marshal(op)
	if err != nil {
		return backup.MaxOperationBytes + 1
	}
	// The Failure stands in the state while the upload is aborted. One finding of each kind has room, of which two have 256 bytes of message
	// and of remedy and the others much less.
	return len(b) + 2*1100 + 3*findingBytes + 256
}

// findingBytes is the most that a finding takes without its Ref.
const findingBytes = 700

// find adds a finding, with its Ref if the Operation has room for that.
func (st state) find(op *backup.Operation, f backup.Finding) {
	if st.largest(*op)+findingBytes+len(f.Ref.String()) > backup.MaxOperationBytes {
		f.Ref = backup.Ref{}
	}
	op.Find(f)
}

// maxUploadID is the longest id of an upload that is expected; those of S3 have about 130 bytes (UNVERIFIED: no limit is documented).
const maxUploadID = 512

// owned are the metadata keys of the library.
var owned = []string{metaOwner, metaToken, metaSource, metaCreated}

// isOwned reports whether a metadata key is one of the library's.
func isOwned(key string) bool { return slices.Contains(owned, strings.ToLower(key)) }

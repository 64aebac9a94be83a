package elasticacheexport

import (
	"context"
	"errors"
	"fmt"
	"strings"

	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// refused ends the Operation as AWS refused the export. m is the row of AWS's message, if it has one. What AWS says of the bucket is little (a right
// that was given is "not granted" where a Deny takes it away), so the bucket is looked at: what is wrong with it is found beside that.
func (s *Strategy) refused(ctx context.Context, c Clients, op backup.Operation, st state, v awscall.Verdict, m message, err error) (backup.Operation, error) {
	if m.id != "" {
		v.Code, v.Hint = m.code, strings.ReplaceAll(m.remedy(op.Ref.Region, true), "{call}", "elasticache:"+st.call())
		if m.id == idKeyTaken {
			v.Hint = "an export never overwrites: " + st.another()
		}
	}
	var beside []backup.Finding
	if m.ofGrant() {
		// Only to explain: a look that fails explains nothing, and changes nothing.
		if b, e := s.bucket(ctx, c, op.Ref, st.Bucket); e == nil {
			v.Hint = m.remedy(op.Ref.Region, b.acls)
			for _, f := range b.findings(op.Ref, st.Bucket) {
				if f.Severity != backup.SeverityError || f.ID == m.id {
					continue
				}
				beside = append(beside, f)
				if f.ID == of("policy-denies") {
					v.Hint = f.Remedy
				}
			}
		}
	}
	switch {
	case m.id != "":
		op.Find(backup.Finding{ID: m.id, Severity: backup.SeverityError, Ref: op.Ref, Message: st.call() + ": " + m.part, Remedy: v.Hint})
	case v.Code == backup.ErrDenied:
		op.Find(backup.Finding{ID: of("caller-rights"), Severity: backup.SeverityError, Ref: op.Ref, Message: st.call() + ": " + v.AWSCode, Remedy: v.Hint})
	}
	for _, f := range beside {
		op.Find(f)
	}
	op.Fail(v.Error(Kind, st.call(), op.Ref, err))
	return op, nil
}

// unlisted is stop for a bucket whose objects could not be listed before anything was sent. S3's answer names neither the bucket nor the right, so
// that the bucket is looked at, and what is found says it.
func (s *Strategy) unlisted(ctx context.Context, c Clients, op backup.Operation, st state, err error) (backup.Operation, error) {
	next, e := s.stop(op, err)
	if e != nil {
		return next, e
	}
	b, e := s.bucket(ctx, c, op.Ref, st.Bucket)
	if e != nil || b.wrong == nil {
		return next, nil //nolint:nilerr // it has failed already; this look would only have said more
	}
	op.Find(*b.wrong)
	op.Fail(failure(op, "export", backup.CodeOf(err), b.wrong.Remedy, "%s: %w", b.wrong.Message, cause(err)))
	return op, nil
}

// cause is an error without the library's frame around it.
func cause(err error) error {
	if e := (*backup.Error)(nil); errors.As(err, &e) && e.Err != nil {
		return e.Err
	}
	return err
}

// taken is the finding that keys of the export are there.
func (st state) taken(r backup.Ref, files []file) backup.Finding {
	return backup.Finding{ID: idKeyTaken, Severity: backup.SeverityError, Ref: bucketRef(r, st.Bucket),
		Message: fmt.Sprintf("%d objects are there that begin with %s, the first is %s", len(files), st.Name, files[0].key), Remedy: "an export never overwrites: " + st.another()}
}

// unexportable is the finding of a snapshot that AWS never exports, for the error that says so.
func unexportable(r backup.Ref, x *ectypes.Snapshot, err error) backup.Finding {
	id := "engine"
	if x.DataTiering == ectypes.DataTieringStatusEnabled {
		id = "data-tiering"
	}
	return backup.Finding{ID: of(id), Severity: backup.SeverityError, Ref: r, Message: cause(err).Error(), Remedy: backup.HintOf(err)}
}

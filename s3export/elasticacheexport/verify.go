package elasticacheexport

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export/rdb"
)

// verify reads the next file, or the next stretch of it: a Step has a minute, and a file may have many gigabytes. What was read stays read,
// because the state of the check is kept in the Operation; if somebody replaces the object in between, the read is refused.
func (s *Strategy) verify(ctx context.Context, c Clients, op backup.Operation, st state) (backup.Operation, error) {
	if st.At >= len(st.Shards) {
		op.To(stageManifest, "PutObject")
		return op, op.SetState(st)
	}
	check := rdb.NewChecker()
	if st.Offset > 0 {
		if err := check.SetState(st.Sums); err != nil {
			return op, failure(op, "verify", backup.ErrInvalid, "the operation's state was changed; start it again", "%w", err)
		}
	}
	in := &awss3.GetObjectInput{Bucket: &st.Bucket, Key: aws.String(st.key(st.At)), ExpectedBucketOwner: &op.Ref.Account}
	if st.Offset == 0 {
		in.ChecksumMode = s3types.ChecksumModeEnabled // asked for here: a client can be set not to compare
	} else {
		in.IfMatch, in.Range = &st.ETag, aws.String(fmt.Sprintf("bytes=%d-", st.Offset))
	}
	out, err := c.S3.GetObject(ctx, in)
	if err != nil {
		return s.stop(op, s3Table.Wrap(Kind, "GetObject", op.Ref, err))
	}
	defer out.Body.Close()
	left := int64(-1) // not told
	if out.ContentLength != nil && *out.ContentLength >= 0 {
		left = *out.ContentLength
	}
	st.ETag = aws.ToString(out.ETag)
	n, ended, err := s.read(ctx, out.Body, check, left)
	switch {
	case err != nil && n == 0:
		return op, s3Table.Wrap(Kind, "GetObject", op.Ref, err)
	case err != nil && (left < 0 || n >= left):
		// An error behind the last byte is a verdict on all of them: the SDK compares the checksum that S3 keeps only there.
		return s.again(op, st, s3Table.Wrap(Kind, "GetObject", op.Ref, err))
	case !ended || n < left:
		return s.interrupted(op, st, check, st.Offset+max(left, 0), err)
	}
	info, err := check.Sum()
	var damage *rdb.FormatError
	if errors.As(err, &damage) {
		// Bytes can be changed on their way, too. The file is called damaged if a second read of all of it finds the same.
		if d := defect(st.ETag, damage); d != st.Defect {
			st.Defect, st.Offset, st.ETag, st.Sums = d, 0, "", nil
			s.poll(&op)
			return op, op.SetState(st)
		}
		op.Fail(failure(op, "verify", backup.ErrFailed, "delete what is listed in Made and export again with another token; if it happens again, back up the cluster anew",
			"the file %s is damaged, and was so when it was read twice: %w", st.key(st.At), err))
		return op, nil
	}
	if err != nil {
		return op, failure(op, "verify", backup.ErrUnavailable, "", "%w", err)
	}
	if st.At > 0 && (info.Format != st.Format || info.Version != st.RDB) {
		op.Fail(failure(op, "verify", backup.ErrConflict, "find out who writes to the bucket, and export again with another token",
			"the file %s is %s %d and those before it are %s %d: they are not of one export", st.key(st.At), info.Format, info.Version, st.Format, st.RDB))
		return op, nil
	}
	st.Format, st.RDB = info.Format, info.Version
	one := &st.Shards[st.At]
	one.Size, one.SHA, one.Off = info.Size, info.SHA256[:], info.ChecksumOff
	if info.ChecksumOff {
		op.Find(backup.Finding{ID: "elasticacheexport.checksum-off", Severity: backup.SeverityWarning, Ref: st.files(op.Ref),
			Message: "the file " + st.key(st.At) + " was written without a checksum, so that only its header and its end could be checked"})
	}
	st.At, st.Offset, st.ETag, st.Sums, st.Defect = st.At+1, 0, "", nil, ""
	op.Percent = percent(st, 0)
	op.PollIn(0)
	return op, op.SetState(st)
}

// again has a file read from its start. Where it was, err says why; the Operation changes only if some of the file counted as read already.
func (s *Strategy) again(op backup.Operation, st state, err error) (backup.Operation, error) {
	if st.Offset == 0 {
		return op, err
	}
	st.Offset, st.ETag, st.Sums = 0, "", nil
	s.poll(&op)
	return op, op.SetState(st)
}

// interrupted keeps what was read when time was up, or the connection broke on the way, up to where the check can be taken up again.
func (s *Strategy) interrupted(op backup.Operation, st state, check *rdb.Checker, size int64, cause error) (backup.Operation, error) {
	was := st.Offset
	var err error
	if st.Sums, st.Offset, err = check.State(); err != nil {
		return op, failure(op, "verify", backup.ErrUnavailable, "", "%w", err)
	}
	op.Percent = percent(st, size)
	switch {
	case st.Offset > was:
		op.PollIn(0)
	case cause != nil:
		return op, s3Table.Wrap(Kind, "GetObject", op.Ref, cause)
	default:
		s.poll(&op) // hardly anything was read
	}
	return op, op.SetState(st)
}

// defect is a short name of what is wrong with an object, the same only for the very same fault in the very same bytes.
func defect(etag string, damage *rdb.FormatError) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %d %q\n", etag, damage.Reason, damage.Offset, damage.Detail)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// percent is the share of the files that were read.
func percent(st state, size int64) int {
	p := 100 * st.At
	if size > 0 {
		p += int(100 * st.Offset / size)
	}
	return min(p/len(st.Shards), 99)
}

// spare is what reading leaves of a Step's time, for the answer to be kept.
const spare = 5 * time.Second

// read reads until the end, or until the Step's time for it is over: that of Settings.Reading, or what the context leaves of it. It gives how
// much it read. An end is no error. left is how many bytes are to come, -1 if that is not known: behind the last, the end is waited for, because
// it brings the SDK's verdict.
func (s *Strategy) read(ctx context.Context, body io.Reader, check *rdb.Checker, left int64) (read int64, ended bool, err error) {
	begin, limit := time.Now(), s.opts.Reading
	if at, ok := ctx.Deadline(); ok {
		all := time.Until(at)
		limit = min(limit, max(all-spare, all/2)) // of a Step that is as short as that, half
	}
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := check.Write(buf[:n]); err != nil {
				return read, false, err
			}
			read += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			return read, true, nil
		case err != nil:
			return read, false, err
		case read != left && time.Since(begin) >= limit:
			return read, false, nil
		}
	}
}

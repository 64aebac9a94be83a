package elasticacheexport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

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
	if st.Offset > 0 {
		in.IfMatch, in.Range = &st.ETag, aws.String(fmt.Sprintf("bytes=%d-", st.Offset))
	}
	out, err := c.S3.GetObject(ctx, in)
	if err != nil {
		return s.stop(op, s3Table.Wrap(Kind, "GetObject", op.Ref, err))
	}
	defer out.Body.Close()
	size := st.Offset + aws.ToInt64(out.ContentLength)
	st.ETag = aws.ToString(out.ETag)
	n, err := s.read(out.Body, check)
	switch {
	case err != nil && (ctx.Err() != nil || n == 0):
		return op, s3Table.Wrap(Kind, "GetObject", op.Ref, err)
	case st.Offset+n < size:
		// Time is up, or the connection broke on the way: what was read counts, up to where the check can be taken up again.
		was := st.Offset
		if st.Sums, st.Offset, err = check.State(); err != nil {
			return op, failure(op, "verify", backup.ErrFailed, "", "%w", err)
		}
		op.Percent = percent(st, size)
		if st.Offset == was {
			s.poll(&op) // hardly anything was read
		} else {
			op.PollIn(0)
		}
		return op, op.SetState(st)
	}
	info, err := check.Sum()
	if err != nil {
		op.Fail(failure(op, "verify", backup.ErrFailed, "delete what is listed in Made and export again with another token; if it happens again, back up the cluster anew",
			"the file %s is damaged: %w", st.key(st.At), err))
		return op, nil
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
	st.At, st.Offset, st.ETag, st.Sums = st.At+1, 0, "", nil
	op.Percent = percent(st, 0)
	op.PollIn(0)
	return op, op.SetState(st)
}

// percent is the share of the files that were read.
func percent(st state, size int64) int {
	p := 100 * st.At
	if size > 0 {
		p += int(100 * st.Offset / size)
	}
	return min(p/len(st.Shards), 99)
}

// read reads until the end, or until the Step's time for it is over, and gives how much it read. An end is no error.
func (s *Strategy) read(body io.Reader, check *rdb.Checker) (read int64, err error) {
	begin, buf := time.Now(), make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, err := check.Write(buf[:n]); err != nil {
				return read, err
			}
			read += int64(n)
		}
		switch {
		case errors.Is(err, io.EOF):
			return read, nil
		case err != nil:
			return read, err
		case time.Since(begin) >= s.opts.Reading:
			return read, nil
		}
	}
}

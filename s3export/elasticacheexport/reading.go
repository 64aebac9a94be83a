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

// reading is how far a file was read: a Step has a minute, and a file may have many gigabytes. What was read stays read, because the state of the
// check is kept in the Operation.
type reading struct {
	// Offset is how far, ETag of which object, and Sums the state of its check.
	Offset int64  `json:"of,omitempty"`
	ETag   string `json:"et,omitempty"`
	Sums   []byte `json:"su,omitempty"`
	// Defect tells what a first whole read of the file found wrong.
	Defect string `json:"d,omitempty"`
}

// afresh has the file read from its start.
func (rd *reading) afresh() { rd.Offset, rd.ETag, rd.Sums = 0, "", nil }

// twice notes what a whole read found wrong, and reports whether the whole read before found the same. If not, the file is to be read once more:
// bytes can be changed on their way, too.
func (rd *reading) twice(defect string) bool {
	if rd.Defect == defect {
		return true
	}
	rd.Defect = defect
	rd.afresh()
	return false
}

// stretch is what came of reading a stretch of a file.
type stretch struct {
	// whole: the file was read to its end, and info is of all of it.
	whole bool
	info  rdb.Info
	// damage is what two whole reads found wrong.
	damage *rdb.FormatError
	// size is that of the file, 0 where it is not known; soon tells that the next stretch may be read at once.
	size int64
	soon bool
}

// get asks for what is still to be read of a file. If somebody has replaced the object since its first stretch, S3 refuses that.
func (s *Strategy) get(ctx context.Context, c Clients, r backup.Ref, bucket, key string, rd reading) (*awss3.GetObjectOutput, error) {
	in := &awss3.GetObjectInput{Bucket: &bucket, Key: &key, ExpectedBucketOwner: &r.Account}
	if rd.Offset == 0 {
		in.ChecksumMode = s3types.ChecksumModeEnabled // asked for here: a client can be set not to compare
	} else {
		in.IfMatch, in.Range = &rd.ETag, aws.String(fmt.Sprintf("bytes=%d-", rd.Offset))
	}
	out, err := c.S3.GetObject(ctx, in)
	return out, s3Table.Wrap(Kind, "GetObject", r, err)
}

// stretch reads what get was answered until the end of the file or of the time for it, and notes in rd how far that is. After an error rd is as it was,
// or to be forgotten.
func (s *Strategy) stretch(ctx context.Context, r backup.Ref, out *awss3.GetObjectOutput, rd *reading) (got stretch, err error) {
	fault := func(code backup.Code, hint string, err error) error {
		return failure(backup.Operation{Ref: r}, "verify", code, hint, "%w", err)
	}
	check := rdb.NewChecker()
	if rd.Offset > 0 {
		if err := check.SetState(rd.Sums); err != nil {
			return got, fault(backup.ErrInvalid, "the operation's state was changed; start it again", err)
		}
	}
	left := int64(-1) // not told
	if out.ContentLength != nil && *out.ContentLength >= 0 {
		left = *out.ContentLength
		got.size = rd.Offset + left
	}
	rd.ETag = aws.ToString(out.ETag)
	n, ended, err := s.read(ctx, out.Body, check, left)
	switch {
	case err != nil && n == 0:
		return got, s3Table.Wrap(Kind, "GetObject", r, err)
	case err != nil && (left < 0 || n >= left):
		// An error behind the last byte is a verdict on all of them: the SDK compares the checksum that S3 keeps only there. Something is to be
		// kept of that only if some of the file counted as read already.
		if rd.Offset == 0 {
			return got, s3Table.Wrap(Kind, "GetObject", r, err)
		}
		rd.afresh()
		return stretch{}, nil
	case !ended || n < left:
		// Time was up, or the connection broke on the way: what was read is kept, up to where the check can be taken up again.
		was := rd.Offset
		cause := err
		if rd.Sums, rd.Offset, err = check.State(); err != nil {
			return got, fault(backup.ErrUnavailable, "", err)
		}
		got.soon = rd.Offset > was
		if !got.soon && cause != nil { // hardly anything was read
			return got, s3Table.Wrap(Kind, "GetObject", r, cause)
		}
		return got, nil
	}
	got.info, err = check.Sum()
	var damage *rdb.FormatError
	switch {
	case errors.As(err, &damage):
		if !rd.twice(defect(rd.ETag, string(damage.Reason), fmt.Sprint(damage.Offset), damage.Detail)) {
			return stretch{}, nil
		}
		got.damage = damage
	case err != nil:
		return got, fault(backup.ErrUnavailable, "", err)
	}
	got.whole = damage == nil
	return got, nil
}

// carryOn sets the time of the next stretch.
func (s *Strategy) carryOn(op *backup.Operation, got stretch) {
	if got.soon {
		op.PollIn(0)
		return
	}
	s.poll(op)
}

// defect is a short name of what is wrong with an object, the same only for the very same fault in the very same bytes.
func defect(etag string, what ...string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q\n", etag, what)
	return hex.EncodeToString(h.Sum(nil)[:8])
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

package objectcopy

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/internal/awscall"
)

// listed asks S3 which parts of the own upload are there, with the right size: their ETags by number, empty for those that are not. missing
// are the numbers of those.
func (s *Strategy) listed(ctx context.Context, c clients, op backup.Operation, st state) (tags []string, missing []int, err error) {
	n := parts(st.Size, st.Part)
	tags = make([]string, n+1)
	bucket, key := st.place()
	in := &awss3.ListPartsInput{Bucket: &bucket, Key: &key, UploadId: &st.Upload, ExpectedBucketOwner: &st.Account}
	for {
		out, err := c.dest.ListParts(ctx, in)
		if err != nil {
			return nil, nil, wrap("ListParts", op.Ref, err)
		}
		for _, p := range out.Parts {
			i := int(aws.ToInt32(p.PartNumber))
			if i < 1 || i > n {
				return nil, nil, failure(op, "ListParts", backup.ErrConflict, "find out who else writes to the upload", "the upload has a part %d, and the copy has %d parts", i, n)
			}
			if _, size := span(i, st.Size, st.Part); aws.ToInt64(p.Size) == size {
				tags[i] = aws.ToString(p.ETag)
			}
		}
		if !aws.ToBool(out.IsTruncated) || aws.ToString(out.NextPartNumberMarker) == aws.ToString(in.PartNumberMarker) {
			break
		}
		in.PartNumberMarker = out.NextPartNumberMarker
	}
	for i := 1; i <= n; i++ {
		if tags[i] == "" {
			missing = append(missing, i)
		}
	}
	return tags, missing, nil
}

// copyParts copies those parts that are missing, many side by side, until the Step's time is over. Copying a part again gives the same part, so
// that no attempt needs to be settled: what is there, S3 is asked.
func (s *Strategy) copyParts(ctx context.Context, c clients, op backup.Operation, st state) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly {
		return op, nil
	}
	began := time.Now()
	if next, ended, err := s.late(op, st); ended {
		return next, err
	}
	_, missing, err := s.listed(ctx, c, op, st)
	if err != nil {
		return s.lostUpload(ctx, c, op, st, err)
	}
	total := parts(st.Size, st.Part)
	done, err := s.sendParts(ctx, c.dest, op, st, missing, began)
	left := len(missing) - done
	op.Percent = min(100*(total-left)/total, 99)
	v := awscall.Verdict{}
	if err != nil {
		v = classify("UploadPartCopy", err)
	}
	switch {
	case left == 0:
		op.To(stageComplete, "CompleteMultipartUpload")
		return op, nil
	case v.AWSCode == codeNoUpload:
		return s.lostUpload(ctx, c, op, st, v.Error(Kind, "UploadPartCopy", op.Ref, err))
	case v.AWSCode == codePrecondition:
		v.Hint = "the source was replaced while it was being copied: copy it again with another token"
		return s.end(op, st, v.Error(Kind, "UploadPartCopy", op.Ref, err))
	case err != nil && v.Class == awscall.Permanent && (v.Code != backup.ErrDenied || left == total):
		return s.end(op, st, v.Error(Kind, "UploadPartCopy", op.Ref, err))
	case err != nil && done == 0:
		// A right that was there for other parts can come back; so can the service.
		if errors.Is(err, context.DeadlineExceeded) {
			v.Hint = fmt.Sprintf("no part of %d MiB was copied within a Step's %v: if that goes on, copy again with another token and a smaller Options.PartSize", st.Part/mib, stepTime)
		}
		return op, v.Error(Kind, "UploadPartCopy", op.Ref, err)
	case err != nil:
		op.PollIn(time.Second)
	case done == 0:
		op.PollIn(time.Second) // other objects had all the slots
	default:
		op.PollIn(0)
	}
	return op, nil
}

// sendParts copies parts with as many calls at a time as there are slots, and tells how many were copied. After an error none is begun any more.
// All calls have returned when it returns.
func (s *Strategy) sendParts(ctx context.Context, client *awss3.Client, op backup.Operation, st state, missing []int, began time.Time) (int, error) {
	bucket, key := st.place()
	from, fromKey, err := Split(op.Ref)
	if err != nil {
		return 0, err
	}
	limit := stepTime
	if d, ok := ctx.Deadline(); ok {
		limit = min(limit, d.Sub(began)-time.Second)
	}
	ctx, cancel := context.WithTimeout(ctx, limit-time.Since(began))
	defer cancel()
	one := func(n int) error {
		first, length := span(n, st.Size, st.Part)
		in := &awss3.UploadPartCopyInput{
			Bucket: &bucket, Key: &key, UploadId: &st.Upload, PartNumber: aws.Int32(int32(n)), ExpectedBucketOwner: &st.Account,
			CopySource: aws.String(copySource(from, fromKey, st.Version)), CopySourceIfMatch: &st.ETag, ExpectedSourceBucketOwner: &op.Ref.Account,
			CopySourceRange: aws.String(byteRange(first, length)),
		}
		out, err := client.UploadPartCopy(ctx, in, guarded)
		if err == nil && (out.CopyPartResult == nil || aws.ToString(out.CopyPartResult.ETag) == "") {
			err = errors.New("the answer for part " + strconv.Itoa(n) + " names no ETag")
		}
		return err
	}
	var (
		next     atomic.Int64
		copied   atomic.Int64
		slowest  atomic.Int64 // nanoseconds
		over     atomic.Bool
		mu       sync.Mutex // guards the rest
		worst    error
		panicked any
	)
	work := func() {
		defer func() {
			if p := recover(); p != nil {
				over.Store(true)
				mu.Lock()
				defer mu.Unlock()
				panicked = p
			}
		}()
		for {
			select {
			case s.slots <- struct{}{}:
			case <-ctx.Done():
				return
			}
			i := int(next.Add(1)) - 1
			again := func() bool {
				defer func() { <-s.slots }()
				if i >= len(missing) || over.Load() || !begin(time.Since(began), time.Duration(slowest.Load()), limit) {
					return false
				}
				at := time.Now()
				if err := one(missing[i]); err != nil {
					over.Store(true)
					mu.Lock()
					defer mu.Unlock()
					if worst == nil || classify("", worst).Class != awscall.Permanent && classify("", err).Class == awscall.Permanent {
						worst = err
					}
					return false
				}
				copied.Add(1)
				for took := int64(time.Since(at)); ; {
					if old := slowest.Load(); took <= old || slowest.CompareAndSwap(old, took) {
						return true
					}
				}
			}()
			if !again {
				return
			}
		}
	}
	var wg sync.WaitGroup
	for range min(len(missing), cap(s.slots)) {
		wg.Go(work)
	}
	wg.Wait()
	if panicked != nil {
		panic(panicked) // where whoever called Step can recover it
	}
	return int(copied.Load()), worst
}

// lostUpload decides what it means that the own upload can not be looked at. If it is gone, then it was put together, perhaps by another process
// with the same work, or aborted.
func (s *Strategy) lostUpload(ctx context.Context, c clients, op backup.Operation, st state, cause error) (backup.Operation, error) {
	if classify("ListParts", cause).AWSCode != codeNoUpload {
		return s.stop(op, st, cause)
	}
	dst, err := s.headDest(ctx, c, op, st)
	if err != nil {
		return s.stop(op, st, err)
	}
	op.Made = without(op.Made, st.upload())
	st.Upload = ""
	if dst != nil {
		return s.found(op, st, dst)
	}
	return s.seekFor(op, st, failure(op, "copy", backup.ErrConflict,
		"a lifecycle rule with AbortIncompleteMultipartUpload may give too few days; copy again with another token",
		"the upload was aborted by somebody else before the copy was done: %w", cause))
}

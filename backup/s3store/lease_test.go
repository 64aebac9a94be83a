package s3store_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

// A request that was given up and arrives after the next one does not set the lease back.
func TestLateRenew(t *testing.T) {
	for _, first := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			s := b.open()
			base := time.Now().UTC()
			if !first {
				b.ok(s.Renew(t.Context(), "run-a", base))
			}
			// The request hangs until it is given up: it has left, and S3 has not done it yet.
			b.world.Inject(awssim.Fault{Operation: "PutObject", Kind: awssim.FaultHang})
			if err := s.Renew(t.Context(), "run-a", base.Add(time.Minute)); !errors.Is(err, backup.ErrUnavailable) {
				t.Errorf("a Renew without an answer: %v", err)
			}
			var late *awss3.PutObjectInput
			for _, c := range b.world.Calls() {
				if in, ok := c.Input.(*awss3.PutObjectInput); ok && c.Fault == awssim.FaultHang {
					late = in
				}
			}
			b.ok(s.Renew(t.Context(), "run-a", base.Add(2*time.Minute)))
			again := *late
			again.Body = reader("late")
			if _, err := b.s3.PutObject(t.Context(), &again); err == nil {
				t.Error("the late request is applied")
			}
			if got, err := s.Lease(t.Context(), "run-a"); err != nil || !got.Equal(base.Add(2*time.Minute)) {
				t.Errorf("the lease is until %v (%v), want %v", got, err, base.Add(2*time.Minute))
			}
		})
	}
}

// A hanging connection is given up after 30 seconds, although the caller's context has no end.
func TestCallsEnd(t *testing.T) {
	for _, operation := range []string{"GetObject", "PutObject", "ListObjectsV2"} {
		synctest.Test(t, func(t *testing.T) {
			b := newBed(t)
			s := b.open()
			rec := b.create(s, 1)
			b.world.Inject(awssim.Fault{Operation: operation, Times: -1, Kind: awssim.FaultHang})
			start := time.Now()
			_, errs := unfinished(t.Context(), s)
			err := errors.Join(append(errs, s.Save(t.Context(), &rec))...)
			if d := time.Since(start); !errors.Is(err, backup.ErrUnavailable) || d < 30*time.Second || d > 61*time.Second {
				t.Errorf("%s hangs: %v after %v", operation, err, d)
			}
		})
	}
}

// Two who renew one lease come to an end: the one who is refused takes what it finds for its next try, and gives up after some.
func TestRenewBesideAnother(t *testing.T) {
	for _, c := range []struct {
		changes int
		good    bool
	}{{0, true}, {1, true}, {7, true}, {8, false}} {
		b := newBed(t)
		s := b.open()
		until := time.Now().UTC()
		n, mine := 0, false
		b.world.Watch(func(call awssim.Call) {
			if call.Operation != "GetObject" || mine || n == c.changes {
				return
			}
			n++
			mine = true
			b.put(options.Prefix+"/run/run-a.json", fmt.Sprint("another's ", n))
			mine = false
		})
		err := s.Renew(t.Context(), "run-a", until)
		b.world.Watch(nil)
		if n != c.changes || (err == nil) != c.good {
			t.Errorf("beside %d of %d changes: %v", n, c.changes, err)
		}
		if err != nil && (!errors.Is(err, backup.ErrUnavailable) || backup.HintOf(err) == "") {
			t.Errorf("beside %d changes: %v", n, err)
		}
		if got, err := s.Lease(t.Context(), "run-a"); c.good && (err != nil || !got.Equal(until)) {
			t.Errorf("beside %d changes the lease is until %v (%v)", n, got, err)
		}
	}
}

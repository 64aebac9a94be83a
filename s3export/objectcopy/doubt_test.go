package objectcopy_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// begin begins an upload of somebody else's for the copy's key.
func (b *bed) begin(key string) string {
	b.Helper()
	out, err := b.far.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(to), Key: &key})
	b.ok(err)
	return *out.UploadId
}

func (b *bed) uploads() (ids []string) {
	for _, u := range b.store.Uploads(b.world, there, to) {
		ids = append(ids, u.ID)
	}
	slices.Sort(ids)
	return ids
}

func small(o *objectcopy.Options) { o.PartSize = 5 * mib }

// named tells that a finding names an upload of the destination as one that may be the Operation's own.
func named(op backup.Operation, id string) bool {
	return slices.ContainsFunc(op.Findings, func(f backup.Finding) bool {
		return f.ID == "objectcopy.uploads-unclear" && f.Ref.Type == objectcopy.TypeUpload && strings.HasSuffix(f.Ref.ID, "#"+id) &&
			strings.Contains(f.Message, "upload "+id+", begun 2") && strings.Contains(f.Remedy, "AbortIncompleteMultipartUpload")
	})
}

// left fails unless just so many uploads are there, all without parts and named in a finding.
func (b *bed) left(op backup.Operation, want int) {
	b.Helper()
	all := b.store.Uploads(b.world, there, to)
	for _, u := range all {
		if u.Parts > 0 || !named(op, u.ID) {
			b.Errorf("upload %+v, findings %+v", u, op.Findings)
		}
	}
	if len(all) != want {
		b.Errorf("%d uploads, want %d", len(all), want)
	}
}

// After a begin whose answer was lost another upload is begun. One that the first made stays without parts, and a finding names it.
func TestLostCreate(t *testing.T) {
	for _, c := range []struct {
		kind awssim.FaultKind
		left int
	}{{awssim.FaultLostReply, 1}, {awssim.FaultServerErrorApplied, 1}, {awssim.FaultGarbage, 1}, {awssim.FaultServerError, 0}, {awssim.FaultHang, 0}, {awssim.FaultThrottle, 0}} {
		for _, times := range []int{1, 3, 5} {
			bubble(t, func(b *bed) {
				b.generate("k", 12*mib)
				b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Times: times, Kind: c.kind})
				op := b.run(b.start("k", options(small)))
				if op.Err() != nil || len(op.Made) != 0 || !b.store.Same(b.world, here, from, "k", there, to, "k") {
					t.Errorf("%v: %v, made %v", c.kind, op.Err(), op.Made)
				}
				if n := c.left * times; n <= 3 {
					b.left(op, n)
				} else if f := op.Findings; len(f) != 4 || f[3].Ref != destination("k") { // three are named
					t.Errorf("findings %+v", f)
				}
				if n := b.calls("CreateMultipartUpload"); n < times+1 {
					t.Errorf("%v: %d calls", c.kind, n)
				}
				if c.left == 0 && len(op.Findings) != 0 {
					t.Errorf("%v: findings %+v", c.kind, op.Findings)
				}
			})
		}
	}
}

// Uploads of others are neither used nor aborted, whenever they were begun and also when the answer to the own begin is lost. Those that
// can not be the own one, because of their key, their age, their parts or their storage class, are not named.
func TestForeignUploads(t *testing.T) {
	for _, kind := range []awssim.FaultKind{awssim.FaultLostReply, awssim.FaultServerError} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			old := b.begin("k")
			time.Sleep(time.Hour)
			b.world.SetPageLimit(1)
			op := b.until(b.start("k", options(small)), "create")
			b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: kind})
			op, err := b.try(op)
			if err == nil {
				t.Fatal("no error")
			}
			others := map[string]bool{old: false, b.begin("kk"): false, b.begin("k"): true}
			full := b.begin("k")
			others[full] = false
			_, err = b.far.UploadPart(b.Context(), &awss3.UploadPartInput{Bucket: aws.String(to), Key: aws.String("k"), UploadId: &full, PartNumber: aws.Int32(1), Body: strings.NewReader("x")})
			b.ok(err)
			cold, err := b.far.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(to), Key: aws.String("k"), StorageClass: "GLACIER"})
			b.ok(err)
			others[*cold.UploadId] = false
			op = b.run(op)
			if op.Err() != nil || !b.store.Same(b.world, here, from, "k", there, to, "k") {
				t.Error(op.Err())
			}
			for id, want := range others {
				if !slices.Contains(b.uploads(), id) || named(op, id) != want {
					t.Errorf("%v: upload %s of %v, named %v, want %v", kind, id, b.uploads(), named(op, id), want)
				}
			}
			if n := len(b.uploads()); n != len(others) && kind == awssim.FaultServerError || n != len(others)+1 && kind == awssim.FaultLostReply {
				t.Errorf("%v: %d uploads", kind, n)
			}
		})
	}
}

// two makes two copies of sources of one size to one key, up to the begin of their uploads.
func (b *bed) two() (first, second backup.Operation) {
	for seed, key := range []string{"a", "b"} {
		if !b.store.Generate(b.world, here, from, key, 12*mib, uint64(seed+1)) {
			b.Fatal("no object was generated")
		}
	}
	same := func(o *objectcopy.Options) { o.PartSize, o.Key = 5*mib, "same" }
	return b.until(b.start("a", options(same)), "create"), b.until(b.start("b", options(same)), "create")
}

// Two copies to one key never share an upload: one succeeds with its own bytes, and the other ends in a conflict.
func TestTwoCopies(t *testing.T) {
	for _, unstored := range []bool{false, true} {
		bubble(t, func(b *bed) {
			first, second := b.two()
			if unstored {
				first.Unstored, second.Unstored = true, true
			} else {
				b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultServerError})
				var err error
				if second, err = b.try(second); err == nil {
					t.Fatal("no error")
				}
			}
			time.Sleep(time.Second)
			first = b.step(first)
			second = b.until(second, "parts")
			if uploadID(first) == uploadID(second) {
				t.Fatalf("both have the upload %s", uploadID(first))
			}
			second = b.step(second)
			if first = b.run(first); first.Err() != nil || !b.store.Same(b.world, here, from, "a", there, to, "same") {
				t.Errorf("the first: %v", first.Err())
			}
			if second = b.run(second); backup.CodeOf(second.Err()) != backup.ErrConflict {
				t.Errorf("the second: %v", second.Err())
			}
			b.clean()
		})
	}
}

// Canceling a copy whose begin was lost leaves the upload of another copy alone.
func TestCancelBesideAnother(t *testing.T) {
	bubble(t, func(b *bed) {
		first, second := b.two()
		b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultServerError})
		second, err := b.try(second)
		if err == nil {
			t.Fatal("no error")
		}
		time.Sleep(time.Second)
		first = b.step(first)
		second, err = b.s.Cancel(b.Context(), second)
		b.ok(err)
		if second = b.run(second); second.Phase != backup.PhaseCanceled || !named(second, uploadID(first)) || b.calls("AbortMultipartUpload") != 0 {
			t.Errorf("%s, findings %+v", second.Phase, second.Findings)
		}
		if first = b.run(first); first.Err() != nil {
			t.Error(first.Err())
		}
		b.clean()
	})
}

// What an earlier release stored while it looked for an upload is carried on by beginning another, or by ending.
func TestStoredSettling(t *testing.T) {
	for _, cancel := range []bool{false, true} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			op := b.until(b.start("k", options(small)), "create")
			stray, err := b.far.CreateMultipartUpload(b.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String(to), Key: aws.String("k"), ChecksumAlgorithm: "CRC64NVME"})
			b.ok(err)
			op.Settle("settle")
			more := `,"db":1,"un":"` + op.Since.Add(2*time.Minute).Format(time.RFC3339Nano) + `"}`
			op.State = []byte(strings.TrimSuffix(string(op.State), "}") + more)
			if cancel {
				op, err = b.s.Cancel(b.Context(), op)
				b.ok(err)
			}
			op = b.run(op)
			if cancel != (op.Phase == backup.PhaseCanceled) || !cancel && op.Err() != nil {
				t.Errorf("%s: %v", op.Phase, op.Err())
			}
			if left := b.uploads(); len(left) != 1 || left[0] != *stray.UploadId || !named(op, left[0]) {
				t.Errorf("uploads %v, findings %+v", left, op.Findings)
			}
		})
	}
}

// A list of uploads that can not be had delays the end for a while, and is told of without names.
func TestStraysUnlisted(t *testing.T) {
	for _, c := range []struct {
		operation string
		fault     awssim.Fault
		named     bool
	}{
		{"ListMultipartUploads", awssim.Fault{Times: 3, Kind: awssim.FaultServerError}, true},
		{"ListMultipartUploads", awssim.Fault{Times: -1, Kind: awssim.FaultServerError}, false},
		{"ListMultipartUploads", awssim.Fault{Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Status: 403, Code: "AccessDenied"}}, false},
	} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			b.world.Inject(awssim.Fault{Operation: "CreateMultipartUpload", Kind: awssim.FaultLostReply})
			c.fault.Operation = c.operation
			b.world.Inject(c.fault)
			began := time.Now()
			op := b.run(b.start("k", options(small)))
			if op.Err() != nil || len(op.Points) != 1 || time.Since(began) > 15*time.Minute {
				t.Errorf("%s after %v: %v", op.Phase, time.Since(began), op.Err())
			}
			left := b.uploads()
			if len(left) != 1 || named(op, left[0]) != c.named || len(op.Findings) != 1 || op.Findings[0].ID != "objectcopy.uploads-unclear" ||
				c.fault.Kind == awssim.FaultError && !strings.Contains(op.Findings[0].Remedy, "s3:ListBucketMultipartUploads") {
				t.Errorf("uploads %v, findings %+v", left, op.Findings)
			}
		})
	}
}

// Without a Store, a predecessor's upload without parts is not taken, and is named; one with parts is left to whoever copies them.
func TestWithoutStore(t *testing.T) {
	for _, with := range []bool{false, true} {
		bubble(t, func(b *bed) {
			b.generate("k", 12*mib)
			op := b.until(b.start("k", options(small)), "create")
			first := b.step(op) // its result is lost
			if with {
				b.step(first)
			}
			op.Attempt, op.Unstored = 1, true
			op, err := b.s.Step(b.Context(), op)
			b.ok(err)
			if n := len(b.uploads()); n != 2 {
				t.Errorf("%d uploads", n)
			}
			op = b.run(op)
			if op.Err() != nil || named(op, uploadID(first)) == with {
				t.Errorf("%v, findings %+v", op.Err(), op.Findings)
			}
			if with { // the other ends well, too, and takes its own upload away
				if first = b.run(first); first.Err() != nil {
					t.Error(first.Err())
				}
				b.clean()
			}
			if len(b.objects()) != 1 {
				t.Errorf("objects %+v", b.objects())
			}
		})
	}
}

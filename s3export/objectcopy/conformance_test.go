package objectcopy_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// conformance makes a Subject over a simulated AWS, with a source of so many bytes that is copied to another Region.
func conformance(size int64) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBed(t)
		b.generate("nightly.rdb", size)
		b.world.SetPageLimit(2)
		b.world.KeepCalls(false)
		var mu sync.Mutex // guards what follows
		total, mutating := 0, 0
		begun := map[string]string{} // the Operation by the key of an upload that it began
		b.world.Watch(func(c awssim.Call) {
			mu.Lock()
			defer mu.Unlock()
			total++
			if c.Mutates {
				mutating++
			}
			if in, ok := c.Input.(*awss3.CreateMultipartUploadInput); ok && c.Applied {
				begun[aws.ToString(in.Key)] = in.Metadata["snapwarden-token"]
			}
		})
		// fault hits the next call that changes something.
		fault := func(kind awssim.FaultKind) {
			for _, operation := range []string{"CopyObject", "CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload", "AbortMultipartUpload"} {
				b.world.Inject(awssim.Fault{Operation: operation, Kind: kind, Do: b.world.Heal})
			}
		}
		what := source("nightly.rdb")
		others, partition := what, what
		others.Account, partition.Region = other, "cn-north-1"
		bad := func(set func(*objectcopy.Options)) backup.Spec { return backup.Spec{Options: options(set)} }
		return &backuptest.Subject{
			Strategy: b.s,
			Restart:  func() backup.Strategy { return objectcopy.NewFromConfig(b.world.Config(account, there)) },
			Starts:   backup.ActionCopy,
			MaxTags:  10,
			Resource: what,
			Missing:  source("none"),
			Malformed: []backup.Ref{{Type: what.Type, Account: account, Region: here, ID: from}, {Type: what.Type, Account: account, Region: here, ID: from + "/"},
				{Type: what.Type, Account: account, Region: here, ID: "ex/nightly.rdb"}, {Type: what.Type, Account: account, Region: here, ID: from + "/100%"}},
			Unserved: []backup.Ref{others, partition},
			Spec: func(_ backup.Action, token string) backup.Spec {
				return backup.Spec{Options: options(func(o *objectcopy.Options) { o.Key = "copies/" + token })}
			},
			BadSpecs: map[backup.Action][]backup.Spec{backup.ActionCopy: {{}, {Name: "nightly", Options: options()}, {Options: objectcopy.Options{}},
				bad(func(o *objectcopy.Options) { o.Region, o.Bucket = here, from }), bad(func(o *objectcopy.Options) { o.Bucket = "exports-*" }),
				bad(func(o *objectcopy.Options) { o.Region = "cn-north-1" }), bad(func(o *objectcopy.Options) { o.PartSize = 1 }),
				bad(func(o *objectcopy.Options) { o.StorageClass = s3types.StorageClassOutposts })}},
			Count: func(id string) (n int) {
				for _, o := range b.objects() {
					if o.Metadata["snapwarden-token"] == id {
						n++
					}
				}
				mu.Lock()
				defer mu.Unlock()
				for _, u := range b.store.Uploads(b.world, there, to) {
					if begun[u.Key] == id && u.Parts > 0 { // one without parts is left where the answer to its begin was lost
						n++
					}
				}
				return n
			},
			Exists: func(r backup.Ref) bool {
				if r == what {
					return true
				}
				return r.Region == there && b.store.Same(b.world, here, from, "nightly.rdb", there, to, strings.TrimPrefix(r.ID, to+"/"))
			},
			Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
			LoseReply: func() { fault(awssim.FaultLostReply) },
			DieAfter:  func() { fault(awssim.FaultDieAfter) },
			// Somebody replaces the source before all of it is copied.
			FailLater: func() {
				for _, operation := range []string{"CopyObject", "UploadPartCopy"} {
					b.world.Inject(awssim.Fault{Operation: operation, Do: func() { b.store.Generate(b.world, here, from, "nightly.rdb", size, 2) }})
				}
			},
			Vanish: func(made backup.Ref) {
				key, upload, unfinished := strings.Cut(strings.TrimPrefix(made.ID, to+"/"), "#")
				if unfinished {
					_, err := b.far.AbortMultipartUpload(b.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(to), Key: &key, UploadId: &upload})
					b.ok(err)
					return
				}
				_, err := b.far.DeleteObject(b.Context(), &awss3.DeleteObjectInput{Bucket: aws.String(to), Key: &key})
				b.ok(err)
			},
		}
	}
}

// A small object is copied in one call.
func TestConformance(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(1 * mib)})
}

// A large one is copied in parts.
func TestConformanceParts(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(3 << 10 * mib)})
}

package objectcopy_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

const keyARN = "arn:aws:kms:" + there + ":" + account + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"

// What can not be right is refused before any call.
func TestStartRefuses(t *testing.T) {
	bubble(t, func(b *bed) {
		before := len(b.world.Calls())
		good := source("k")
		ref := func(f func(*backup.Ref)) backup.Ref { r := good; f(&r); return r }
		for _, c := range []struct {
			name string
			ref  backup.Ref
			spec backup.Spec
		}{
			{"type", ref(func(r *backup.Ref) { r.Type = "s3/elasticache-export" }), backup.Spec{Options: options()}},
			{"no key", ref(func(r *backup.Ref) { r.ID = from }), backup.Spec{Options: options()}},
			{"empty key", ref(func(r *backup.Ref) { r.ID = from + "/" }), backup.Spec{Options: options()}},
			{"long key", ref(func(r *backup.Ref) { r.ID = from + "/" + strings.Repeat("k", 1025) }), backup.Spec{Options: options()}},
			{"wildcard", ref(func(r *backup.Ref) { r.ID = from + "/*" }), backup.Spec{Options: options()}},
			{"key not encoded as it should be", ref(func(r *backup.Ref) { r.ID = from + "/%61" }), backup.Spec{Options: options()}},
			{"half an encoded byte", ref(func(r *backup.Ref) { r.ID = from + "/a%2" }), backup.Spec{Options: options()}},
			{"small digits", ref(func(r *backup.Ref) { r.ID = from + "/a%2a" }), backup.Spec{Options: options()}},
			{"broken UTF-8", ref(func(r *backup.Ref) { r.ID = from + "/%FF" }), backup.Spec{Options: options()}},
			{"access point", ref(func(r *backup.Ref) { r.ID = "arn:aws:s3:eu-west-1:111122223333:accesspoint/k" }), backup.Spec{Options: options()}},
			{"directory bucket", ref(func(r *backup.Ref) { r.ID = "b--euw1-az1--x-s3/k" }), backup.Spec{Options: options()}},
			{"two dots", ref(func(r *backup.Ref) { r.ID = "b..c/k" }), backup.Spec{Options: options()}},
			{"short bucket", ref(func(r *backup.Ref) { r.ID = "bu/k" }), backup.Spec{Options: options()}},
			{"Region of the source", ref(func(r *backup.Ref) { r.Region = "nowhere" }), backup.Spec{Options: options()}},
			{"no options", good, backup.Spec{}},
			{"pointer to options", good, backup.Spec{Options: &objectcopy.Options{Bucket: to}}},
			{"name", good, backup.Spec{Name: "x", Options: options()}},
			{"eleven tags", good, backup.Spec{Options: options(), Tags: map[string]string{"1": "", "2": "", "3": "", "4": "", "5": "", "6": "", "7": "", "8": "", "9": "", "10": "", "11": ""}}},
			{"tag", good, backup.Spec{Options: options(), Tags: map[string]string{"a": "b&c"}}},
			{"no bucket", good, backup.Spec{Options: objectcopy.Options{Region: there}}},
			{"bucket", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Bucket = "b*" })}},
			{"bucket begins with a hyphen", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Bucket = "-bb" })}},
			{"account", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Account = "1" })}},
			{"Region", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Region = "eu" })}},
			{"partition", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Region = "cn-north-1" })}},
			{"key of the destination", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Key = "\xff" })}},
			{"onto itself", good, backup.Spec{Options: objectcopy.Options{Bucket: from}}},
			{"version", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Version = "a b" })}},
			{"small parts", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.PartSize = 5*mib - 1 })}},
			{"large parts", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.PartSize = objectcopy.MaxPartSize + 1 })}},
			{"negative parts", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.PartSize = -1 })}},
			{"class", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.StorageClass = s3types.StorageClassOutposts })}},
			{"tier", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.RestoreTier = "Fast" })}},
			{"days", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.RestoreDays = 31 })}},
			{"no KMS key", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Encryption = objectcopy.SSEKMS{} })}},
			{"KMS alias", good, backup.Spec{Options: options(func(o *objectcopy.Options) {
				o.Encryption = objectcopy.SSEKMS{KeyARN: "arn:aws:kms:" + there + ":" + account + ":alias/x"}
			})}},
			{"KMS key elsewhere", good, backup.Spec{Options: options(func(o *objectcopy.Options) {
				o.Encryption = objectcopy.SSEKMS{KeyARN: strings.Replace(keyARN, there, here, 1)}
			})}},
			{"other account than the credentials'", good, backup.Spec{Options: options(func(o *objectcopy.Options) { o.Account = other })}},
			{"too much for an Operation", ref(func(r *backup.Ref) { r.ID = objectcopy.Object(account, here, from, strings.Repeat("\x01", 1024)).ID }), backup.Spec{
				Options: options(), Tags: map[string]string{"a": strings.Repeat("b", 256), "c": strings.Repeat("d", 256), "e": strings.Repeat("f", 256)}}},
		} {
			if c.name == "other account than the credentials'" {
				// Whose the credentials are is known only after they were asked.
				b.s = objectcopy.NewFromConfig(b.world.Config(account, there), func(s *objectcopy.Settings) { s.Account = account })
			}
			c.spec.Token = "t"
			_, err := b.s.Start(b.Context(), c.ref, c.spec)
			if backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("%s: %v", c.name, err)
			}
			if err != nil && backup.HintOf(err) == "" {
				t.Errorf("%s: no hint: %v", c.name, err)
			}
		}
		if n := len(b.world.Calls()) - before; n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// The largest Operation that is accepted stays within its limit to the end, also while its upload is being aborted.
func TestOperationFits(t *testing.T) {
	bubble(t, func(b *bed) {
		for n := 1; n <= 1024; n += 31 {
			key := strings.Repeat("\x01", n)
			op, err := b.s.Start(b.Context(), source(key), backup.Spec{Token: strings.Repeat("t", 256), Options: options(func(o *objectcopy.Options) { o.PartSize, o.Encryption = 5*mib, objectcopy.SSEKMS{KeyARN: keyARN} })})
			if err != nil {
				if n < 700 {
					t.Errorf("a key of %d bytes: %v", n, err)
				}
				continue
			}
			b.generate(key, 12*mib)
			strays := []string{b.begin(key), b.begin(key), b.begin(key), b.begin(key)}
			op = b.until(op, "create")
			op.Attempt = 4 // three answers were lost
			op = b.step(op)
			op, err = b.s.Cancel(b.Context(), op)
			b.ok(err)
			for !op.Done() {
				if text, err := json.Marshal(op); err != nil || len(text) > backup.MaxOperationBytes {
					t.Fatalf("%d bytes: %v", len(text), err)
				}
				op = b.step(op)
			}
			if n := len(op.Findings); n == 0 || n < 4 && len(key) < 100 || !strings.Contains(op.Findings[0].Message, strays[0]) {
				t.Errorf("a key of %d bytes: findings %+v", len(key), op.Findings)
			}
			for _, id := range strays {
				_, err := b.far.AbortMultipartUpload(b.Context(), &awss3.AbortMultipartUploadInput{Bucket: aws.String(to), Key: &key, UploadId: &id})
				b.ok(err)
			}
			b.clean()
		}
	})
}

// StartCopy means the same as Start, and refuses options that say something else than the destination.
func TestStartCopy(t *testing.T) {
	bubble(t, func(b *bed) {
		spec := func(o backup.Options) backup.Spec { return backup.Spec{Token: "t", Options: o} }
		d := backup.Destination{Account: account, Region: there, KMSKeyID: keyARN}
		got, err := b.s.StartCopy(b.Context(), source("k"), d, spec(objectcopy.Options{Bucket: to}))
		b.ok(err)
		want, err := b.s.Start(b.Context(), source("k"), spec(options(func(o *objectcopy.Options) { o.Encryption = objectcopy.SSEKMS{KeyARN: keyARN} })))
		b.ok(err)
		if got.ID != want.ID || string(got.State) != string(want.State) || got.Action != backup.ActionCopy {
			t.Errorf("%s\n%s", got.State, want.State)
		}
		for name, o := range map[string]backup.Options{
			"none": nil, "account": objectcopy.Options{Bucket: to, Account: other}, "Region": objectcopy.Options{Bucket: to, Region: here},
			"encryption": objectcopy.Options{Bucket: to, Encryption: objectcopy.SSES3{}},
		} {
			if _, err := b.s.StartCopy(b.Context(), source("k"), d, spec(o)); backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// An Operation that is not this Strategy's, or was changed, is refused without a call.
func TestStepRefuses(t *testing.T) {
	bubble(t, func(b *bed) {
		b.generate("k", 20*mib)
		good := b.until(b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib })), "parts")
		before := len(b.world.Calls())
		for name, change := range map[string]func(*backup.Operation){
			"kind": func(op *backup.Operation) { op.Kind = "ebs" }, "id": func(op *backup.Operation) { op.Token = "x" },
			"stage": func(op *backup.Operation) { op.Stage = "boil" }, "state": func(op *backup.Operation) { op.State = json.RawMessage(`{"p":`) },
			"place": func(op *backup.Operation) {
				op.State = json.RawMessage(strings.Replace(string(op.State), `"t":"`, `"t":"*`, 1))
			},
			"part": func(op *backup.Operation) {
				op.State = json.RawMessage(strings.Replace(string(op.State), `"p":5242880`, `"p":1`, 1))
			},
		} {
			op := good
			change(&op)
			op.Attempt = 1
			if _, err := b.s.Step(b.Context(), op); backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("%s: %v", name, err)
			}
			if name == "stage" {
				continue // nothing is to be stopped in a stage that nobody knows
			}
			if _, err := b.s.Cancel(b.Context(), op); backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("cancel, %s: %v", name, err)
			}
		}
		if n := len(b.world.Calls()) - before; n != 0 {
			t.Errorf("%d calls", n)
		}
	})
}

// A Step without a recorded attempt changes nothing, in every stage.
func TestReadOnly(t *testing.T) {
	for stage, size := range map[string]int64{"copy": 10, "create": 12 * mib, "parts": 12 * mib, "complete": 12 * mib, "abort": 12 * mib} {
		bubble(t, func(b *bed) {
			b.generate("k", size)
			op := b.start("k", options(func(o *objectcopy.Options) { o.PartSize = 5 * mib }))
			if stage == "abort" {
				var err error
				op, err = b.s.Cancel(b.Context(), b.until(op, "parts"))
				b.ok(err)
			}
			op = b.until(op, stage)
			before := len(b.world.Calls())
			next, err := b.s.Step(b.Context(), op)
			if err != nil || next.Stage != stage || next.Next != op.Next {
				t.Errorf("%s became %s: %v", stage, next.Stage, err)
			}
			for _, c := range b.world.Calls()[before:] {
				if c.Mutates {
					t.Errorf("%s in stage %s", c.Operation, stage)
				}
			}
			time.Sleep(time.Second)
		})
	}
}

// A Step whose context is over, or that comes after the end, leaves the Operation as it was.
func TestStepLeaves(t *testing.T) {
	for stage, size := range map[string]int64{"look": 10, "copy": 10, "create": 12 * mib, "parts": 12 * mib, "complete": 12 * mib, "verify": 12 * mib} {
		bubble(t, func(b *bed) {
			b.generate("k", size)
			op := b.until(b.start("k", options(small)), stage)
			if op.Next != "" {
				op.Attempt = 1
			}
			over, cancel := context.WithCancel(b.Context())
			cancel()
			next, err := b.s.Step(over, op)
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", stage, err)
			}
			if d := cmp.Diff(op, next); d != "" {
				t.Errorf("%s: %s", stage, d)
			}
			op = b.copied(op, "k")
			before := len(b.world.Calls())
			next, err = b.s.Step(b.Context(), op)
			if d := cmp.Diff(op, next); err != nil || d != "" || len(b.world.Calls()) != before {
				t.Errorf("%s: %v %s", stage, err, d)
			}
		})
	}
}

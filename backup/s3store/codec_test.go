package s3store

import (
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

func FuzzDecodeRecord(f *testing.F) {
	op, err := backup.NewOperation("storetest", backup.ActionBackup, backup.Ref{Type: "storetest/thing", Account: "123456789012", Region: "eu-west-1", ID: "x"}, backup.Spec{Token: "t"})
	if err != nil {
		f.Fatal(err)
	}
	body, _, err := encodeRecord(op, "run-a", version{count: 1, nonce: newNonce(), marker: newNonce()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(body)
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		st, err := decodeRecord("s3://b/k", op.ID, object{true, body, "etag"})
		if err != nil {
			if code := backup.CodeOf(err); code != backup.ErrInvalid && code != backup.ErrUnsupported {
				t.Errorf("%v", err)
			}
			return
		}
		// What can be read can be written, and reads the same again.
		v, ok := parseVersion(st.rec.Version)
		if !ok || v != st.ver || st.rec.Operation.ID != op.ID {
			t.Errorf("version %q of %s", st.rec.Version, st.rec.Operation.ID)
		}
		again, _, err := encodeRecord(st.rec.Operation, st.rec.Run, st.ver)
		if err != nil {
			t.Fatal(err)
		}
		if twice, err := decodeRecord("s3://b/k", op.ID, object{true, again, "etag"}); err != nil || twice.rec.Version != st.rec.Version {
			t.Errorf("read, written and read again: %v", err)
		}
	})
}

func FuzzParseVersion(f *testing.F) {
	for _, s := range []string{"", "1", "1-0123456789abcdef-fedcba9876543210-open-abc", "2-0123456789abcdef--ended-abc-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if v, ok := parseVersion(s); ok && (v.String() != s || !v.valid()) {
			t.Errorf("%q is read as %q", s, v)
		}
	})
}

func TestAged(t *testing.T) {
	now := time.Now().Round(0)
	for ago, want := range map[time.Duration]bool{0: false, time.Hour: false, 13 * time.Hour: true, 48 * time.Hour: true, -time.Hour: true} {
		if got := aged(now.Add(-ago)); got != want {
			t.Errorf("%v ago: %v", ago, got)
		}
	}
}

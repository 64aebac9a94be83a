package backup

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRefValidate(t *testing.T) {
	good := Ref{"rds/instance", "012345678901", "eu-west-1", "db-1"}
	with := func(change func(*Ref)) Ref {
		r := good
		change(&r)
		return r
	}
	for name, r := range map[string]Ref{
		"good":        good,
		"colons":      with(func(r *Ref) { r.ID = "rds:db-1-2026-11-20" }),
		"other words": with(func(r *Ref) { r.ID = "größe/1" }),
	} {
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]Ref{
		"zero":              {},
		"no type":           with(func(r *Ref) { r.Type = "" }),
		"no account":        with(func(r *Ref) { r.Account = "" }),
		"no region":         with(func(r *Ref) { r.Region = "" }),
		"no id":             with(func(r *Ref) { r.ID = "" }),
		"star":              with(func(r *Ref) { r.ID = "db-*" }),
		"question mark":     with(func(r *Ref) { r.ID = "db-?" }),
		"policy variable":   with(func(r *Ref) { r.ID = "${aws:username}" }),
		"space":             with(func(r *Ref) { r.Region = "eu west-1" }),
		"line feed":         with(func(r *Ref) { r.ID = "db\nlevel=error" }),
		"NUL":               with(func(r *Ref) { r.ID = "db\x00" }),
		"DEL":               with(func(r *Ref) { r.ID = "db\x7f" }),
		"no-break space":    with(func(r *Ref) { r.ID = "db\u00a0" }),
		"next line":         with(func(r *Ref) { r.ID = "db\u0085" }),
		"line separator":    with(func(r *Ref) { r.Type = "a\u2028b" }),
		"broken UTF-8":      with(func(r *Ref) { r.ID = "db\xff" }),
		"short account":     with(func(r *Ref) { r.Account = "12345678901" }),
		"long account":      with(func(r *Ref) { r.Account = "1234567890123" }),
		"account of signs":  with(func(r *Ref) { r.Account = "-12345678901" }),
		"account of letter": with(func(r *Ref) { r.Account = "12345678901a" }),
		"Arabic digits":     with(func(r *Ref) { r.Account = "١٢٣٤٥٦" }),
	} {
		if err := r.Validate(); !errors.Is(err, ErrInvalid) || HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefZeroAndString(t *testing.T) {
	if !(Ref{}).IsZero() || (Ref{ID: "x"}).IsZero() {
		t.Error("IsZero")
	}
	if got, want := testRef.String(), "test/thing:123456789012:eu-west-1:thing-1"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRefsJSON(t *testing.T) {
	a1, a2 := Ref{"t", "1", "r", "a1"}, Ref{"t", "1", "r", "a2"}
	b := Ref{"t", "2", "r", "b"}
	for name, c := range map[string]struct {
		refs Refs
		want string
	}{
		"nil":        {nil, `[]`},
		"one":        {Refs{a1}, `[{"type":"t","account":"1","region":"r","ids":["a1"]}]`},
		"a group":    {Refs{a1, a2}, `[{"type":"t","account":"1","region":"r","ids":["a1","a2"]}]`},
		"order kept": {Refs{a1, b, a2}, `[{"type":"t","account":"1","region":"r","ids":["a1"]},{"type":"t","account":"2","region":"r","ids":["b"]},{"type":"t","account":"1","region":"r","ids":["a2"]}]`},
	} {
		got, err := json.Marshal(c.refs)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %s, %v, want %s", name, got, err, c.want)
		}
	}
	var rs Refs
	for _, bad := range []string{`{}`, `[1]`, `[{"ids":"a"}]`, `"x"`, `[{"type":1}]`} {
		if err := json.Unmarshal([]byte(bad), &rs); err == nil {
			t.Errorf("%s is read as %v", bad, rs)
		}
	}
}

// TestRefsRoundTrip: whatever the runs of equal types, accounts and Regions, each Ref comes back, in its place.
func TestRefsRoundTrip(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	few := []string{"a", "b"}
	for range 2000 {
		var rs Refs
		for i := range random.IntN(12) {
			rs = append(rs, Ref{few[random.IntN(2)], few[random.IntN(2)], few[random.IntN(2)], fmt.Sprint(few[random.IntN(2)], i/2)})
		}
		b, err := json.Marshal(rs)
		if err != nil {
			t.Fatal(err)
		}
		got := Refs{{ID: "what was there before"}}
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(rs, got); d != "" {
			t.Fatalf("%s (-want +got):\n%s", b, d)
		}
	}
}

// TestRefsSmall: a set of 128 members leaves an Operation room for everything else.
func TestRefsSmall(t *testing.T) {
	var rs Refs
	for i := range 128 {
		rs = append(rs, Ref{"ec2/snapshot", "123456789012", "ap-southeast-1", fmt.Sprintf("snap-%017x", i)})
	}
	b, err := json.Marshal(rs)
	if err != nil || len(b) > 128*26+100 {
		t.Errorf("%d bytes, error %v", len(b), err)
	}
	if n := strings.Count(string(b), "ap-southeast-1"); n != 1 {
		t.Errorf("the Region is written %d times", n)
	}
}

func TestRefTag(t *testing.T) {
	short := Ref{Type: "rds/snapshot", Account: "111122223333", Region: "eu-west-1", ID: "a"}
	if short.Tag() != short.String() {
		t.Errorf("%q", short.Tag())
	}
	long, other := short, short
	long.ID, other.ID = strings.Repeat("x", 255), strings.Repeat("x", 254)+"y"
	if len(long.Tag()) > 256 || long.Tag() == other.Tag() {
		t.Errorf("%d characters, %q and %q", len(long.Tag()), long.Tag(), other.Tag())
	}
}

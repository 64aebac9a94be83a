package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
)

// documented are the findings for the failures that AWS documents. The first ten are the ids of the table of CopySnapshot's messages in package
// elasticacheexport (errors.go), which does not export them; a snapshot with data tiering is refused before there is a message.
var documented = []string{
	"elasticacheexport.grant-read-acp",
	"elasticacheexport.grant-read",
	"elasticacheexport.grant-write",
	"elasticacheexport.caller-list-all",
	"elasticacheexport.caller-rights",
	"elasticacheexport.bucket-region",
	"elasticacheexport.bucket-owner",
	"elasticacheexport.key-taken",
	"elasticacheexport.customer-key",
	"elasticacheexport.bucket-missing",
	"elasticacheexport.data-tiering",
}

// messages are what CopySnapshot is documented to say. Source: ElastiCache API, CopySnapshot; ElastiCache User Guide, "Exporting a backup" and
// "At-rest encryption".
var messages = []string{
	"is outside of the region.",
	"does not exist.",
	"is not owned by the authenticated user.",
	"The authenticated user does not have sufficient permissions to perform the desired activity.",
	"already contains an object with key",
	"ElastiCache has not been granted READ permissions",
	"ElastiCache has not been granted WRITE permissions",
	"ElastiCache has not been granted READ_ACP permissions",
	"Elasticache was unable to validate the authenticated user has access on the S3 bucket.",
	"Customer Managed CMK cannot be used for encrypting exported snapshots in S3.",
}

const golden = "testdata/report.golden"

// The whole program in virtual time. Golden files are made anew with SNAPWARDEN_UPDATE=1, and then read by a person.
func TestReport(t *testing.T) {
	var got bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		if err := run(t.Context(), &got); err != nil {
			t.Error(err)
		}
	})
	if os.Getenv("SNAPWARDEN_UPDATE") != "" {
		if err := os.WriteFile(filepath.FromSlash(golden), got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.FromSlash(golden))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); d != "" {
		t.Errorf("the report is not the one that was reviewed (-want +got):\n%s", d)
	}

	before, table, ok := strings.Cut(got.String(), "5. Every documented failure\n")
	if !ok {
		t.Fatal("there is no table")
	}
	for _, id := range documented {
		if !slices.ContainsFunc(strings.Split(table, "\n"), func(line string) bool {
			f := strings.Fields(line)
			return slices.Contains(f, id) && strings.HasSuffix(strings.Join(f, " "), "yes yes yes yes")
		}) {
			t.Errorf("%s is not in the table, or not complete", id)
		}
	}
	text := strings.Join(strings.Fields(before), " ") // without the line breaks
	for _, m := range messages {
		if !strings.Contains(text, m) {
			t.Errorf("AWS was never made to say: %s", m)
		}
	}
}

// A failure that is not met, explained, mended and passed is seen, and is the program's own failure.
func TestIncomplete(t *testing.T) {
	const bucket = "orders-exports-broken"
	good := trial{label: "broken", title: "Broken", id: "elasticacheexport.bucket-missing", code: backup.ErrNotFound}
	for name, x := range map[string]struct {
		edit func(c *cloud, t *trial)
		want row
	}{
		"nothing wrong with it": {func(*cloud, *trial) {}, row{met: true, explained: true, mended: true, passed: true}},
		"another code":          {func(_ *cloud, t *trial) { t.code = backup.ErrDenied }, row{explained: true, mended: true, passed: true}},
		"another finding":       {func(_ *cloud, t *trial) { t.id = "elasticacheexport.bucket-owner" }, row{met: true, mended: true, passed: true}},
		"mended in words only": {func(_ *cloud, t *trial) {
			t.mend = func(context.Context, *plan) (string, error) { return "nothing", nil }
		}, row{met: true, explained: true, mended: true}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, out := newCloud(), &report{w: io.Discard}
				if err := c.begin(t.Context(), out); err != nil {
					t.Fatal(err)
				}
				one := good
				one.plan = plan{snapshot(sessionsSnapshot), bucket, "nightly", c.admin}
				one.mend = c.created(bucket)
				x.edit(c, &one)
				got, err := c.try(t.Context(), out, one)
				if err != nil {
					t.Fatal(err)
				}
				if got.met != x.want.met || got.explained != x.want.explained || got.mended != x.want.mended || got.passed != x.want.passed {
					t.Errorf("got %+v", got)
				}
				var text bytes.Buffer
				err = conclude(&report{w: &text}, []row{got})
				if (err == nil) != x.want.complete() || strings.Contains(text.String(), " NO") == x.want.complete() {
					t.Errorf("concluded with %v:\n%s", err, text.String())
				}
			})
		})
	}
}

// What AWS does not refuse, and what can not be arranged or mended, ends the program.
func TestTrialsThatCanNotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bucket = "orders-exports-fine"
		c, out := newCloud(), &report{w: io.Discard}
		if err := c.begin(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		broken := errors.New("broken")
		fail := func(context.Context) error { return broken }
		missing := trial{label: "missing", plan: plan{snapshot(sessionsSnapshot), "orders-exports-none", "nightly", c.admin}}
		arranged, mended, fine := missing, missing, missing
		arranged.arrange = fail
		mended.mend = func(ctx context.Context, _ *plan) (string, error) { return "", fail(ctx) }
		for name, one := range map[string]trial{"arranged": arranged, "mended": mended} {
			if _, err := c.try(t.Context(), out, one); !errors.Is(err, broken) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := c.prepare(t.Context(), region, bucket, elasticacheexport.PrepareOptions{Create: true}); err != nil {
			t.Fatal(err)
		}
		fine.bucket = bucket
		if _, err := c.try(t.Context(), out, fine); err == nil || !strings.Contains(err.Error(), "AWS was to refuse it") {
			t.Errorf("a bucket that is in order: %v", err)
		}
	})
}

func TestCommand(t *testing.T) {
	for _, x := range []struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		{[]string{"-h"}, 0, usage, ""},
		{[]string{"-bucket", "x"}, 2, "", usage},
		{[]string{"orders"}, 2, "", usage},
	} {
		var stdout, stderr bytes.Buffer
		if code := command(t.Context(), x.args, &stdout, &stderr); code != x.code || stdout.String() != x.stdout || stderr.String() != x.stderr {
			t.Errorf("%v: %d, %q, %q", x.args, code, stdout.String(), stderr.String())
		}
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		var stderr bytes.Buffer
		if code := command(ctx, nil, io.Discard, &stderr); code != 1 || stderr.Len() == 0 {
			t.Errorf("interrupted: %d, %q", code, stderr.String())
		}
		if code := command(t.Context(), nil, full{}, io.Discard); code != 1 {
			t.Errorf("a report that can not be written: %d", code)
		}
	})
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no room") }

// A group whose slots are not those of the files is not called verified, and neither is one that is not there.
func TestVerifyGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, out := newCloud(), &report{w: io.Discard}
		if err := c.begin(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		if err := c.verifyGroup(t.Context(), out, s3export.Manifest{}); err == nil {
			t.Error("there is no group yet")
		}
		if _, err := c.journey(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		m := s3export.Manifest{Shards: []s3export.Shard{{Slots: "0-5460"}, {Slots: "5461-10921"}, {Slots: "10922-16383"}}}
		if err := c.verifyGroup(t.Context(), out, m); err != nil {
			t.Error(err)
		}
		m.Shards[1].Slots = "5461-10920"
		if err := c.verifyGroup(t.Context(), out, m); err == nil {
			t.Error("other slots are taken for the same")
		}
	})
}

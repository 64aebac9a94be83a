package quiesce_test

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
)

func TestValidate(t *testing.T) {
	fs := func(m ...string) quiesce.Plan { return quiesce.Plan{FileSystems: m} }
	good := []quiesce.Plan{
		fs("/data"), fs("/var/lib/mysql", "/srv/a-b_c.d+e@f"), {Logical: []quiesce.Logical{{"vg0", "data-1"}}},
		{MySQL: []quiesce.MySQL{{}}}, {PostgreSQL: []quiesce.PostgreSQL{{}}},
	}
	for _, p := range good {
		if err := p.Validate(); err != nil {
			t.Errorf("%+v: %v", p, err)
		}
	}
	many := make([]string, 33)
	for i := range many {
		many[i] = fmt.Sprintf("/data%d", i)
	}
	bad := []quiesce.Plan{
		{}, fs(""), fs("/"), fs("//"), fs("data"), fs("/data/"), fs("/data/../etc"), fs("/./data"), fs("/var"), fs("/usr"), fs("/run"), fs("/run/x"), fs("/proc/1"),
		fs("/data", "/data"), fs("/da ta"), fs("/data'"), fs("/data;reboot"), fs("/$HOME"), fs("/data\n/x"), fs("/data`id`"), fs("/-rf"), fs("/dätä"), fs("/a\x00b"), fs("/a*"),
		fs("/" + strings.Repeat("a", 255)), fs(many...),
		{Logical: []quiesce.Logical{{"vg", ""}}}, {Logical: []quiesce.Logical{{"-vg", "lv"}}}, {Logical: []quiesce.Logical{{"vg", ".."}}}, {Logical: []quiesce.Logical{{"vg", "l'v"}}},
		{Logical: []quiesce.Logical{{"vg/x", "lv"}}}, {Logical: []quiesce.Logical{{"vg", "lv"}, {"vg", "lv"}}},
		{MySQL: []quiesce.MySQL{{DefaultsFile: "my.cnf"}}}, {MySQL: []quiesce.MySQL{{DefaultsFile: "/etc/my.cnf' -e 'DROP"}}}, {MySQL: []quiesce.MySQL{{LockSeconds: 16}}}, {MySQL: []quiesce.MySQL{{LockSeconds: -1}}},
		{PostgreSQL: []quiesce.PostgreSQL{{User: "-c"}}}, {PostgreSQL: []quiesce.PostgreSQL{{User: "a b"}}}, {PostgreSQL: []quiesce.PostgreSQL{{Port: 65536}}}, {PostgreSQL: []quiesce.PostgreSQL{{Port: -1}}},
	}
	run := func(context.Context, string, string) (string, error) { return "", errors.New("nothing may be run") }
	for _, p := range bad {
		if _, err := quiesce.NewHost(run, p); backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%+v: %v", p, err)
		}
	}
	if _, err := quiesce.NewHost(nil, good[0]); backup.CodeOf(err) != backup.ErrInvalid {
		t.Errorf("no Run: %v", err)
	}
	for _, l := range []quiesce.Lease{
		{"", time.Minute}, {"-a", time.Minute}, {"a-", time.Minute}, {"A", time.Minute}, {"a/b", time.Minute}, {"a\nb", time.Minute}, {strings.Repeat("a", 65), time.Minute},
		{"a", 0}, {"a", 4 * time.Second}, {"a", 11 * time.Minute}, {"a", 90*time.Second + time.Millisecond}, {"a", -time.Minute},
	} {
		if err := l.Validate(); backup.CodeOf(err) != backup.ErrInvalid {
			t.Errorf("%+v: %v", l, err)
		}
	}
}

// Whatever a plan that is accepted holds, a shell reads the scripts, and between quotes nothing but what was given.
func FuzzScripts(f *testing.F) {
	f.Add("/data", "vg", "lv", "/etc/mysql/my.cnf", "postgres")
	f.Add("/data' ; reboot '", "v'g", "$(id)", "/a\nSNAPWARDEN_END\nreboot", "-c")
	f.Fuzz(func(t *testing.T, mount, group, name, file, user string) {
		h, err := quiesce.NewHost(func(context.Context, string, string) (string, error) { return "", nil }, quiesce.Plan{FileSystems: []string{mount},
			Logical: []quiesce.Logical{{group, name}}, MySQL: []quiesce.MySQL{{DefaultsFile: file}}, PostgreSQL: []quiesce.PostgreSQL{{User: user}}})
		if err != nil {
			return
		}
		freeze, thaw := quiesce.Scripts(h, lease)
		plain, err := quiesce.NewHost(func(context.Context, string, string) (string, error) { return "", nil }, quiesce.Plan{FileSystems: []string{"/x"},
			Logical: []quiesce.Logical{{"x", "x"}}, MySQL: []quiesce.MySQL{{DefaultsFile: "/x"}}, PostgreSQL: []quiesce.PostgreSQL{{User: "x"}}})
		if err != nil {
			t.Fatal(err)
		}
		// The same number of lines, quotes and dollars as with letters that are harmless for certain.
		for _, c := range []string{"\n", "'", "\"", "$", "`", ";", "&", "|", "<", ">", "(", "\\", "*"} {
			if file == "" {
				break
			}
			want, _ := quiesce.Scripts(plain, lease)
			if a, b := strings.Count(freeze, c), strings.Count(want, c); a != b {
				t.Fatalf("%q: %d times, wanted %d", c, a, b)
			}
		}
		if len(freeze)+len(thaw) > 30_000 {
			t.Fatalf("%d bytes", len(freeze)+len(thaw))
		}
	})
}

// Every shell that is here reads the scripts, and those that they write, without complaint.
func TestShellsReadThem(t *testing.T) {
	h, err := quiesce.NewHost(func(context.Context, string, string) (string, error) { return "", nil }, quiesce.Plan{FileSystems: []string{"/data"},
		Logical: []quiesce.Logical{{"vg", "lv"}}, MySQL: []quiesce.MySQL{{}}, PostgreSQL: []quiesce.PostgreSQL{{}}})
	if err != nil {
		t.Fatal(err)
	}
	freeze, thaw := quiesce.Scripts(h, lease)
	scripts := []string{freeze, thaw}
	for part := range strings.SplitSeq(freeze, "<<'SNAPWARDEN_END' || fail 'no room in /run'\n") {
		if text, _, ok := strings.Cut(part, "SNAPWARDEN_END\n"); ok {
			scripts = append(scripts, text)
		}
	}
	if len(scripts) != 6 {
		t.Fatalf("%d scripts", len(scripts))
	}
	for _, shell := range []string{"sh", "dash", "bash", "ksh", "busybox"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		args := []string{"-n"}
		if shell == "busybox" {
			args = []string{"sh", "-n"}
		}
		for _, s := range scripts {
			c := exec.Command(path, args...)
			c.Stdin = strings.NewReader(s)
			if out, err := c.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%s: %v %s\n%s", shell, err, out, s)
			}
		}
	}
}

func TestCovers(t *testing.T) {
	at := func(ms int) time.Time {
		return time.UnixMilli(1_800_000_000_000).UTC().Add(time.Duration(ms) * time.Millisecond)
	}
	good := quiesce.Report{From: at(100).Add(300 * time.Microsecond), To: at(200), Held: true}
	with := func(f func(*quiesce.Report)) quiesce.Report { r := good; f(&r); return r }
	for _, c := range []struct {
		name   string
		r      quiesce.Report
		starts []time.Time
		want   bool
	}{
		{"within", good, []time.Time{at(150), at(200)}, true},
		{"a start in milliseconds", good, []time.Time{at(100)}, true},
		{"one too early", good, []time.Time{at(150), at(99)}, false},
		{"one too late", good, []time.Time{at(201), at(150)}, false},
		{"none", good, nil, false},
		{"an unknown start", good, []time.Time{{}}, false},
		{"not held", with(func(r *quiesce.Report) { r.Held = false }), []time.Time{at(150)}, false},
		{"never frozen", quiesce.Report{To: at(200), Held: true}, []time.Time{at(150)}, false},
		{"a freeze that failed", with(func(r *quiesce.Report) { r.Freeze = errors.New("no") }), []time.Time{at(150)}, false},
		{"a thaw that failed", with(func(r *quiesce.Report) { r.Thaw = errors.New("no") }), []time.Time{at(150)}, false},
	} {
		if got := c.r.Covers(c.starts...); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// model is a host in virtual time that does as a Quiescer must.
type model struct {
	frozenAt, limit             time.Time
	freezeTakes                 time.Duration
	freezeErr, thawErr          error
	freezes, thaws              int
	heldAnyway, panicsInFreeze  bool
	thawContextEnded, hasLimits bool
}

func (m *model) Freeze(ctx context.Context, _ backup.Ref, l quiesce.Lease) error {
	m.freezes++
	m.limit = time.Now().Add(l.Limit)
	select {
	case <-time.After(m.freezeTakes):
	case <-ctx.Done():
		return ctx.Err()
	}
	if m.panicsInFreeze {
		panic("freeze")
	}
	m.frozenAt = time.Now()
	return m.freezeErr
}

func (m *model) Thaw(ctx context.Context, _ backup.Ref, _ quiesce.Lease) (bool, error) {
	m.thaws++
	m.thawContextEnded = ctx.Err() != nil
	_, m.hasLimits = ctx.Deadline()
	held := !m.frozenAt.IsZero() && time.Now().Before(m.limit)
	m.frozenAt = time.Time{}
	return held || m.heldAnyway, m.thawErr
}

func TestAround(t *testing.T) {
	errCall := errors.New("the call")
	for _, c := range []struct {
		name   string
		m      model
		takes  time.Duration
		err    error
		cancel bool
		frozen bool
		covers bool
	}{
		{name: "well", frozen: true, covers: true},
		{name: "the call fails", err: errCall, frozen: true, covers: true},
		{name: "canceled meanwhile", cancel: true, frozen: true, covers: true},
		{name: "the freeze fails", m: model{freezeErr: errors.New("no"), heldAnyway: true}},
		{name: "the freeze takes too long", m: model{freezeTakes: time.Hour}},
		{name: "the thaw fails", m: model{thawErr: errors.New("no")}, frozen: true},
		{name: "the limit is over meanwhile", takes: 15 * time.Second, frozen: true},
		{name: "the limit is over and the host does not say so", m: model{heldAnyway: true}, takes: 15 * time.Second, frozen: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &c.m
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var start time.Time
				called := 0
				report, err := quiesce.Around(ctx, m, instance, quiesce.Lease{ID: "a", Limit: 10 * time.Second}, func(ctx context.Context, frozen bool) error {
					called++
					if frozen != c.frozen || frozen != !m.frozenAt.IsZero() {
						t.Errorf("frozen %v, at %v", frozen, m.frozenAt)
					}
					if !frozen && m.thaws != 1 {
						t.Error("what was perhaps frozen was not thawed first")
					}
					if d, ok := ctx.Deadline(); frozen && (!ok || time.Until(d) > quiesce.CallTime) {
						t.Error("the call has no limit")
					}
					if c.cancel {
						cancel()
					}
					time.Sleep(c.takes)
					start = time.Now()
					time.Sleep(time.Second)
					return c.err
				})
				if !errors.Is(err, c.err) || called != 1 || m.freezes != 1 || m.thaws != 1 || !m.frozenAt.IsZero() {
					t.Errorf("%v; called %d, frozen %d, thawed %d, at %v", err, called, m.freezes, m.thaws, m.frozenAt)
				}
				if m.thawContextEnded || !m.hasLimits {
					t.Error("the thaw has not the time that it needs")
				}
				if got := report.Covers(start); got != c.covers {
					t.Errorf("covers %v: %+v", got, report)
				}
			})
		})
	}
}

func TestAroundPanics(t *testing.T) {
	for _, m := range []*model{{}, {panicsInFreeze: true}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_, _ = quiesce.Around(t.Context(), m, instance, lease, func(context.Context, bool) error { panic("call") })
		}()
		if m.thaws != 1 || !m.frozenAt.IsZero() {
			t.Errorf("a panic left it frozen: %+v", m)
		}
	}
}

func TestAroundRefuses(t *testing.T) {
	m := &model{}
	f := func(context.Context, bool) error { t.Error("called"); return nil }
	if _, err := quiesce.Around(t.Context(), m, instance, quiesce.Lease{}, f); backup.CodeOf(err) != backup.ErrInvalid {
		t.Errorf("no lease: %v", err)
	}
	fenced := backup.WithFence(t.Context(), func() error { return &backup.Error{Code: backup.ErrConflict} })
	if _, err := quiesce.Around(fenced, m, instance, lease, f); backup.CodeOf(err) != backup.ErrConflict {
		t.Errorf("another holds the operation: %v", err)
	}
	if m.freezes+m.thaws > 0 {
		t.Error("a host was touched")
	}
}

// Two functions are enough.
func ExampleFuncs() {
	frozen := false
	q := quiesce.Funcs{
		FreezeFunc: func(context.Context, backup.Ref, quiesce.Lease) error { frozen = true; return nil },
		ThawFunc: func(context.Context, backup.Ref, quiesce.Lease) (bool, error) {
			was := frozen
			frozen = false
			return was, nil
		},
	}
	var start time.Time
	report, err := quiesce.Around(context.Background(), q, instance, quiesce.Lease{ID: "tonight", Limit: quiesce.DefaultLimit}, func(_ context.Context, frozen bool) error {
		fmt.Println("frozen:", frozen)
		start = time.Now() // here the snapshots are asked for
		return nil
	})
	fmt.Println(err, report.Covers(start), "frozen:", frozen)
	// Output:
	// frozen: true
	// <nil> true frozen: false
}

package quiesce_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
)

var instance = backup.Ref{Type: "ec2/instance", Account: "111122223333", Region: "eu-west-1", ID: "i-0123456789abcdef0"}

var lease = quiesce.Lease{ID: "op-1-a", Limit: time.Minute}

// stubs are the tools of a host whose "file systems" and "volumes" are files in $STATE: there while frozen. What they are asked is in $STATE/log.
var stubs = map[string]string{
	"id":         "echo 0\n",
	"mountpoint": "[ -e \"$STATE/not-mounted\" ] && exit 1\nexit 0\n",
	"stat":       "for last; do :; done\ncase \"$*\" in\n*%t*) cat \"$STATE/number-of$(echo \"$last\" | tr / _)\" 2>/dev/null || echo '0 0'\nexit ;;\nesac\ncase \"$last\" in\n/data*) echo 77 ;;\n/part) echo 78 ;;\n*) echo 5 ;;\nesac\n",
	// The root is a part of a btrfs, whose parts have device numbers of their own, and so is /part.
	"findmnt": "for last; do :; done\ncase \"$*\" in\n*FSTYPE*) echo btrfs\nexit ;;\n*MAJ:MIN*) cat \"$STATE/majmin\" 2>/dev/null || echo 0:35\nexit ;;\nesac\ncase \"$last\" in\n/data*) echo /dev/nvme1n1 ;;\n/part) echo '/dev/nvme0n1p1[/@part]' ;;\n*) echo '/dev/nvme0n1p1[/@]' ;;\nesac\n",
	"sync":    "exit 0\n",
	"fsfreeze": `echo "fsfreeze $*" >>"$STATE/log"
f="$STATE/frozen$(echo "$2" | tr / _)"
case "$1" in
-f)
if [ -e "$STATE/hang" ]; then read -r x <"$STATE/hang"; fi
if [ -e "$STATE/refuse$(echo "$2" | tr / _)" ]; then echo "fsfreeze: $2: freeze failed: Operation not supported" >&2; exit 1; fi
if [ -e "$f" ]; then echo "fsfreeze: $2: freeze failed: Device or resource busy" >&2; exit 1; fi
: >"$f"
if [ -e "$STATE/meanwhile" ]; then : >"$STATE/frozen_vg-lv"; fi
if [ -e "$STATE/killed" ]; then kill -s KILL $$; fi ;;
-u)
if [ -e "$STATE/stuck" ] || [ -e "$STATE/refuse-once$(echo "$2" | tr / _)" ]; then echo "fsfreeze: $2: unfreeze failed: Input/output error" >&2; exit 1; fi
if [ -e "$STATE/refuse$(echo "$2" | tr / _)" ]; then echo "fsfreeze: $2: unfreeze failed: Operation not supported" >&2; exit 1; fi
if [ ! -e "$f" ]; then echo "fsfreeze: $2: unfreeze failed: Invalid argument" >&2; exit 1; fi
rm "$f" ;;
esac
`,
	"dmsetup": `echo "dmsetup $*" >>"$STATE/log"
for last; do :; done
f="$STATE/frozen_$last"
case "$1" in
suspend) : >"$f" ;;
resume) rm "$f" ;;
info) case "$*" in *major*) cat "$STATE/number" 2>/dev/null || echo '253 7' ;; *) if [ -e "$f" ]; then echo Suspended; else echo Active; fi ;; esac ;;
esac
`,
	// The server: it is locked while its client's session lasts.
	"mysql": `echo "mysql $*" >>"$STATE/log"
trap 'rm -f "$STATE/frozen_mysql"; exit 1' TERM
while read -r line; do
echo "sql $line" >>"$STATE/log"
case "$line" in
FLUSH*) if [ -e "$STATE/busy" ]; then echo 'ERROR 1205: Lock wait timeout exceeded' >&2; exit 1; fi
: >"$STATE/frozen_mysql" ;;
SELECT*) echo snapwarden-locked ;;
esac
done
rm -f "$STATE/frozen_mysql"
`,
	// Somebody thaws when all is ready and nothing is frozen.
	"setsid": `case "$*" in
*/freeze.sh)
if [ -e "$STATE/early" ]; then
base=$(cat "$STATE/early")
mkdir "$base/lease-op-1-a/claim"
fi
if [ -e "$STATE/late" ]; then
base=$(cat "$STATE/late")
: >"$base/over-op-1-a"
fi ;;
esac
exec "$(PATH=/usr/bin:/bin; command -v setsid)" "$@"
`,
	"runuser": "echo \"runuser $*\" >>\"$STATE/log\"\n[ ! -e \"$STATE/no-server\" ]\n",
	"psql":    "exit 0\n",
	// The watchdog sleeps until something is written to the pipe.
	"sleep": "echo \"sleep $*\" >>\"$STATE/log\"\n[ \"$1\" = 1 ] && exit 0\nread -r x <\"$STATE/alarm\"\n",
	"systemd-run": `echo "systemd-run $*" >>"$STATE/log"
[ ! -e "$STATE/no-timer" ] || exit 1
`,
	"systemctl": "echo \"systemctl $*\" >>\"$STATE/log\"\n[ ! -e \"$STATE/timer-dead\" ]\n",
}

// machine is a host with the stubs, on which the real scripts run in a real shell.
type machine struct {
	t     *testing.T
	state string
	base  string
	host  *quiesce.Host
	fail  error
}

func newMachine(t *testing.T, plan quiesce.Plan, systemd bool) *machine {
	t.Helper()
	m := &machine{t: t, state: t.TempDir(), base: t.TempDir()}
	bin := t.TempDir()
	for name, text := range stubs {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\nSTATE='"+m.state+"'\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(m.state, "alarm"), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := quiesce.NewHost(m.run, plan)
	if err != nil {
		t.Fatal(err)
	}
	m.device("/dev/nvme0n1p1", 259, 1)
	m.device("/dev/nvme1n1", 259, 16)
	m.write("proc/swaps", "Filename Type Size Used Priority\n")
	where := filepath.Join(m.state, "no-systemd")
	if systemd {
		where = m.state
	}
	quiesce.InPlace(h, bin+":/usr/bin:/bin", m.base, where, m.state)
	m.host = h
	// Whatever a test leaves sleeping is let go: the pipe has a writer for a moment, or nobody reads it.
	t.Cleanup(m.ring)
	return m
}

func (m *machine) run(ctx context.Context, host, script string) (string, error) {
	if m.fail != nil {
		return "", m.fail
	}
	if host != instance.ID {
		m.t.Errorf("the host %q", host)
	}
	c := exec.CommandContext(ctx, "/bin/sh", "-s")
	c.Stdin = strings.NewReader(script)
	c.WaitDelay = time.Second
	out, err := c.Output()
	return string(out), err
}

// ring has the sleeping watchdog wake up, if there is one.
func (m *machine) ring() {
	if f, err := os.OpenFile(filepath.Join(m.state, "alarm"), os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		_, _ = f.WriteString("now\n")
		_ = f.Close()
	}
}

// until waits for something that another process does; it takes milliseconds.
func (m *machine) until(what string, is func() bool) {
	m.t.Helper()
	for began := time.Now(); !is(); {
		if time.Since(began) > time.Minute {
			m.t.Fatalf("%s: not within a minute; the log:\n%s", what, m.log())
		}
		_ = exec.Command("/bin/true").Run() // gives the other process its turn, without a sleep
	}
}

func (m *machine) set(name string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.state, name), nil, 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// write makes a file of the host.
func (m *machine) write(name, text string) {
	m.t.Helper()
	name = filepath.Join(m.state, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// device makes a block device of the host that lies on others, such as "253:0".
func (m *machine) device(path string, major, minor int, on ...string) {
	m.t.Helper()
	m.write("number-of"+strings.ReplaceAll(path, "/", "_"), fmt.Sprintf("%x %x\n", major, minor))
	m.write(fmt.Sprintf("sys/dev/block/%d:%d/dev", major, minor), fmt.Sprintf("%d:%d\n", major, minor))
	for i, n := range on {
		m.write(fmt.Sprintf("sys/dev/block/%d:%d/slaves/%d/dev", major, minor, i), n+"\n")
	}
}

func (m *machine) unset(name string) { _ = os.Remove(filepath.Join(m.state, name)) }

func (m *machine) frozen() (all []string) {
	names, _ := filepath.Glob(filepath.Join(m.state, "frozen*"))
	for _, n := range names {
		all = append(all, strings.TrimPrefix(filepath.Base(n), "frozen_"))
	}
	return all
}

func (m *machine) log() string {
	b, _ := os.ReadFile(filepath.Join(m.state, "log"))
	return string(b)
}

// leases are what a host keeps of leases.
func (m *machine) leases() (all []string) {
	names, _ := filepath.Glob(filepath.Join(m.base, "*-*"))
	for _, n := range names {
		all = append(all, filepath.Base(n))
	}
	return all
}

func (m *machine) freeze() error { return m.host.Freeze(m.t.Context(), instance, lease) }

func (m *machine) thaw(held bool) {
	m.t.Helper()
	got, err := m.host.Thaw(m.t.Context(), instance, lease)
	// The stub of sleep does not sleep, so that a freeze that was killed has hardly any time to end on a busy machine: what is not done yet is asked
	// for again, as a caller would.
	for began := time.Now(); backup.CodeOf(err) == backup.ErrUnavailable && !held && time.Since(began) < time.Minute; {
		got, err = m.host.Thaw(m.t.Context(), instance, lease)
	}
	if err != nil || got != held {
		m.t.Fatalf("thaw: held %v, %v; wanted %v", got, err, held)
	}
}

func (m *machine) want(frozen ...string) {
	m.t.Helper()
	if d := cmp.Diff(frozen, m.frozen()); d != "" {
		m.t.Fatalf("frozen (-wanted +got):\n%s\n%s", d, m.log())
	}
}

var two = quiesce.Plan{FileSystems: []string{"/data", "/data/wal"}}

func TestFreezeAndThaw(t *testing.T) {
	m := newMachine(t, quiesce.Plan{PostgreSQL: []quiesce.PostgreSQL{{User: "pg", Port: 5433}}, MySQL: []quiesce.MySQL{{DefaultsFile: "/etc/mysql/backup.cnf", LockSeconds: 7}},
		FileSystems: []string{"/data", "/data/wal"}, Logical: []quiesce.Logical{{Group: "vg-a", Name: "lv"}}}, false)
	if err := m.freeze(); err != nil {
		t.Fatal(err)
	}
	m.want("data", "data_wal", "mysql", "vg--a-lv")
	if err := m.freeze(); backup.CodeOf(err) != backup.ErrFailed {
		t.Fatalf("frozen twice: %v", err)
	}
	m.want("data", "data_wal", "mysql", "vg--a-lv")
	m.thaw(true)
	m.until("the session of MySQL ends", func() bool { return len(m.frozen()) == 0 })
	// Again, late, and by somebody who never froze: nothing to do.
	m.thaw(false)
	if d := cmp.Diff([]string{"over-" + lease.ID}, m.leases()); d != "" {
		t.Errorf("what is left on the host (-wanted +got):\n%s", d)
	}
	if err := m.freeze(); backup.CodeOf(err) != backup.ErrFailed || !strings.Contains(err.Error(), "the lease is over") {
		t.Errorf("a lease that is over was frozen: %v", err)
	}
	m.want()
	var order []string
	for line := range strings.Lines(m.log()) {
		if w := strings.TrimSpace(line); !strings.Contains(w, "info") {
			order = append(order, w)
		}
	}
	if d := cmp.Diff([]string{
		"runuser -u pg -- psql -X -q -p 5433 -d postgres -v ON_ERROR_STOP=1 -c CHECKPOINT",
		"sleep 60",
		"mysql --defaults-extra-file=/etc/mysql/backup.cnf --batch --skip-column-names --unbuffered",
		"sql SET SESSION lock_wait_timeout=7;", "sql FLUSH TABLES WITH READ LOCK;", "sql SELECT 'snapwarden-locked';",
		"fsfreeze -f /data", "fsfreeze -f /data/wal", "dmsetup suspend vg--a-lv",
		"dmsetup resume vg--a-lv", "fsfreeze -u /data/wal", "fsfreeze -u /data",
	}, order); d != "" {
		t.Errorf("the order (-wanted +got):\n%s", d)
	}
}

// The watchdog thaws although nobody asks, and a thaw that comes later says that the freeze was not held.
func TestWatchdog(t *testing.T) {
	m := newMachine(t, two, false)
	if err := m.freeze(); err != nil {
		t.Fatal(err)
	}
	m.want("data", "data_wal")
	m.until("the watchdog sleeps", func() bool { return strings.Contains(m.log(), "sleep 60") })
	m.until("the watchdog thaws", func() bool { m.ring(); return len(m.frozen()) == 0 })
	m.until("the lease is over", func() bool { return len(m.leases()) == 1 })
	m.thaw(false)
	m.want()
}

// The watchdog does not give up when a thaw fails.
func TestWatchdogGoesOn(t *testing.T) {
	m := newMachine(t, two, false)
	if err := m.freeze(); err != nil {
		t.Fatal(err)
	}
	m.set("stuck")
	if _, err := m.host.Thaw(t.Context(), instance, lease); backup.CodeOf(err) != backup.ErrUnavailable {
		t.Fatalf("a thaw that failed: %v", err)
	}
	m.want("data", "data_wal")
	m.until("the watchdog tries again", func() bool { m.ring(); return strings.Count(m.log(), "sleep 1\n") > 3 })
	m.unset("stuck")
	m.until("the watchdog thaws", func() bool { return len(m.frozen()) == 0 })
	m.thaw(false)
}

// With systemd, the watchdog is a timer of the limit that runs the script which thaws.
func TestTimer(t *testing.T) {
	m := newMachine(t, two, true)
	if err := m.freeze(); err != nil {
		t.Fatal(err)
	}
	m.want("data", "data_wal")
	var armed string
	for line := range strings.Lines(m.log()) {
		if s, ok := strings.CutPrefix(line, "systemd-run "); ok {
			armed = strings.TrimSpace(s)
		}
	}
	dir := filepath.Join(m.base, "lease-"+lease.ID)
	if want := "--quiet --collect --unit=snapwarden-thaw-op-1-a --on-active=60 --timer-property=AccuracySec=100ms /bin/sh " + dir + "/doze.sh 0 " + dir + "/thaw.sh"; armed != want {
		t.Fatalf("armed with\n%s, wanted\n%s", armed, want)
	}
	// What systemd runs when the time has come.
	args := strings.Fields(armed)[5:]
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("the watchdog: %v %s", err, out)
	}
	m.want()
	m.thaw(false)

	m = newMachine(t, two, true)
	if err := m.freeze(); err != nil {
		t.Fatal(err)
	}
	m.thaw(true)
	if !strings.HasSuffix(m.log(), "systemctl stop snapwarden-thaw-op-1-a.timer\n") {
		t.Errorf("the timer was not stopped last:\n%s", m.log())
	}
}

// What is refused or fails leaves nothing frozen, and says why.
func TestFreezeRefused(t *testing.T) {
	for _, c := range []struct {
		name, set, why string
		plan           quiesce.Plan
		systemd        bool
	}{
		{name: "no file system of its own", set: "not-mounted", why: "/data is not a mount point", plan: two},
		{name: "the host's own", why: "/home is a file system that the host itself lives on", plan: quiesce.Plan{FileSystems: []string{"/home"}}},
		{name: "a part of the host's own", why: "/part is a part of a file system that the host itself lives on", plan: quiesce.Plan{FileSystems: []string{"/part"}}},
		{name: "a logical volume of the host's", set: "number=0 5", why: "the host itself lives on the logical volume vg-lv", plan: quiesce.Plan{Logical: []quiesce.Logical{{"vg", "lv"}}}},
		{name: "a logical volume that is none", set: "number=device not found", why: "can not be looked at", plan: quiesce.Plan{Logical: []quiesce.Logical{{"vg", "lv"}}}},
		{name: "the second one", set: "refuse_data_wal", why: "Operation not supported", plan: two},
		{name: "somebody else's freeze of the second", set: "frozen_data_wal", why: "Device or resource busy", plan: two},
		{name: "a lock that comes too late", set: "busy", why: "Lock wait timeout exceeded", plan: quiesce.Plan{MySQL: []quiesce.MySQL{{}}, FileSystems: []string{"/data"}}},
		{name: "no checkpoint", set: "no-server", why: "PostgreSQL made no checkpoint", plan: quiesce.Plan{PostgreSQL: []quiesce.PostgreSQL{{}}, FileSystems: []string{"/data"}}},
		{name: "no timer", set: "no-timer", why: "systemd armed no watchdog", plan: two, systemd: true},
		{name: "a timer that is not there", set: "timer-dead", why: "the watchdog is not armed", plan: two, systemd: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, c.plan, c.systemd)
			if name, text, ok := strings.Cut(c.set, "="); ok {
				if err := os.WriteFile(filepath.Join(m.state, name), []byte(text+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			} else if c.set != "" {
				m.set(c.set)
			}
			err := m.freeze()
			if backup.CodeOf(err) != backup.ErrFailed || !strings.Contains(err.Error(), c.why) {
				t.Fatalf("%v, wanted %q", err, c.why)
			}
			others, _ := strings.CutPrefix(c.set, "frozen_")
			theirs := func() {
				if t.Helper(); others != c.set {
					m.want(others) // what somebody else froze stays frozen
				} else {
					m.want()
				}
			}
			theirs()
			m.thaw(false)
			theirs()
			for _, l := range m.leases() {
				if strings.HasPrefix(l, "lease-") {
					t.Errorf("%s is left", l)
				}
			}
		})
	}
}

// Another lease holds the host.
func TestBusy(t *testing.T) {
	m := newMachine(t, two, false)
	if err := m.freeze(); err != nil {
		t.Fatal(err)
	}
	other := quiesce.Lease{ID: "op-2", Limit: time.Minute}
	if err := m.host.Freeze(t.Context(), instance, other); err == nil || !strings.Contains(err.Error(), "the host is held by lease-op-1-a") {
		t.Fatalf("two leases: %v", err)
	}
	// Thawing the other does not thaw this one.
	if held, err := m.host.Thaw(t.Context(), instance, other); held || err != nil {
		t.Fatalf("thaw of the other: %v %v", held, err)
	}
	m.want("data", "data_wal")
	m.thaw(true)
}

// Somebody thaws by hand in between: the freeze was not held.
func TestThawedByHand(t *testing.T) {
	m := newMachine(t, two, false)
	if err := m.freeze(); err != nil {
		t.Fatal(err)
	}
	m.unset("frozen_data_wal")
	m.thaw(false)
	m.want()
}

// A freeze that hangs in the kernel, and goes on when its limit is long over, must not leave anything frozen.
func TestFreezeThatHangs(t *testing.T) {
	m := newMachine(t, two, false)
	if err := syscall.Mkfifo(filepath.Join(m.state, "hang"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.host.Freeze(ctx, instance, lease) }()
	m.until("it hangs", func() bool { return strings.Contains(m.log(), "fsfreeze -f /data\n") })
	cancel() // the transport gives up, and kills what it started
	if err := <-done; backup.CodeOf(err) != backup.ErrUnavailable {
		t.Fatalf("a freeze without an answer: %v", err)
	}
	m.thaw(false)
	m.want()
	if strings.Contains(m.log(), "fsfreeze -f /data/wal") {
		t.Error("it went on to freeze")
	}
}

// The script is killed at every line after which it would do something else, and the watchdog thaws what it froze.
func TestKilledAnywhere(t *testing.T) {
	plan := quiesce.Plan{MySQL: []quiesce.MySQL{{}}, FileSystems: []string{"/data", "/data/wal"}}
	h, err := quiesce.NewHost(func(context.Context, string, string) (string, error) { return "", nil }, plan)
	if err != nil {
		t.Fatal(err)
	}
	full, _ := quiesce.Scripts(h, lease)
	// The lines of the script itself from where it begins to leave something behind, without those of the files that it writes.
	var cuts []int
	at, inFile, begun := 0, false, false
	for line := range strings.Lines(full) {
		at += len(line)
		begun = begun || strings.HasPrefix(line, "mkdir \"$new\"")
		if strings.HasPrefix(line, "cat >") {
			inFile = true
		}
		if strings.HasPrefix(line, "SNAPWARDEN_END") {
			inFile = false
		}
		whole := strings.HasPrefix(line, "fi") || strings.HasPrefix(line, "mv ") || strings.HasPrefix(line, "[ ! -e \"$over") || strings.HasPrefix(line, "wait ") ||
			strings.HasPrefix(line, "rm -f") || strings.HasPrefix(line, "SNAPWARDEN_END") || strings.HasPrefix(line, "mkdir")
		if begun && !inFile && whole {
			cuts = append(cuts, at)
		}
	}
	if len(cuts) < 9 {
		t.Fatalf("only %d places to be killed at", len(cuts))
	}
	for _, n := range cuts {
		m := newMachine(t, plan, false)
		freeze, _ := quiesce.Scripts(m.host, lease)
		lines := strings.Count(full[:n], "\n")
		part := strings.Join(strings.SplitAfter(freeze, "\n")[:lines], "") + "kill -KILL $$\n"
		_, _ = m.run(t.Context(), instance.ID, part)
		if len(m.frozen()) > 0 || strings.Contains(m.log(), "sleep 60") {
			m.until("the watchdog sleeps", func() bool { return strings.Contains(m.log(), "sleep 60") })
			m.until("the watchdog thaws", func() bool { m.ring(); return len(m.frozen()) == 0 })
		}
		m.until("no lease is left", func() bool {
			m.ring()
			for _, l := range m.leases() {
				if strings.HasPrefix(l, "lease-") {
					return false
				}
			}
			return true
		})
		m.thaw(false)
		m.want()
		// The host can be frozen again.
		next := quiesce.Lease{ID: "next", Limit: time.Minute}
		if err := m.host.Freeze(t.Context(), instance, next); err != nil {
			t.Fatalf("killed after line %d: %v\n%s", lines, err, m.log())
		}
		// Its watchdog must not be at work any more when the host is removed.
		if held, err := m.host.Thaw(t.Context(), instance, next); !held || err != nil {
			t.Fatalf("killed after line %d: %v %v", lines, held, err)
		}
	}
}

func TestTransport(t *testing.T) {
	m := newMachine(t, two, false)
	m.fail = errors.New("no route to host")
	if err := m.freeze(); backup.CodeOf(err) != backup.ErrUnavailable || backup.HintOf(err) == "" {
		t.Errorf("freeze: %v", err)
	}
	if _, err := m.host.Thaw(t.Context(), instance, lease); backup.CodeOf(err) != backup.ErrUnavailable {
		t.Errorf("thaw: %v", err)
	}
	for _, out := range []string{"", "snapwarden-quiesce-1 other frozen", "snapwarden-quiesce-1 op-1-a", "snapwarden-quiesce-1 op-1-a frozen\nmore"} {
		h, err := quiesce.NewHost(func(context.Context, string, string) (string, error) { return out, nil }, two)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Freeze(t.Context(), instance, lease); backup.CodeOf(err) != backup.ErrUnavailable {
			t.Errorf("%q was taken for an answer: %v", out, err)
		}
		if held, err := h.Thaw(t.Context(), instance, lease); held || backup.CodeOf(err) != backup.ErrUnavailable {
			t.Errorf("%q was taken for an answer: %v", out, err)
		}
	}
	h, err := quiesce.NewHost(func(context.Context, string, string) (string, error) {
		return "snapwarden-quiesce-1 op-1-a held", errors.New("reset")
	}, two)
	if err != nil {
		t.Fatal(err)
	}
	if held, err := h.Thaw(t.Context(), instance, lease); held || err == nil {
		t.Errorf("a thaw whose end is not known: %v %v", held, err)
	}
	for _, host := range []string{"", "-oProxyCommand=x"} {
		h, err := quiesce.NewHost(m.run, two, func(o *quiesce.HostOptions) { o.Host = func(backup.Ref) (string, error) { return host, nil } })
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Freeze(t.Context(), instance, lease); backup.CodeOf(err) != backup.ErrInvalid {
			t.Errorf("the host %q: %v", host, err)
		}
	}
	h, err = quiesce.NewHost(m.run, two, func(o *quiesce.HostOptions) {
		o.Host = func(backup.Ref) (string, error) { return "", errors.New("not in the inventory") }
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Thaw(t.Context(), instance, lease); backup.CodeOf(err) != backup.ErrInvalid {
		t.Errorf("no host: %v", err)
	}
	if err := h.Freeze(t.Context(), instance, quiesce.Lease{}); backup.CodeOf(err) != backup.ErrInvalid {
		t.Errorf("no lease: %v", err)
	}
	if _, err := h.Thaw(t.Context(), instance, quiesce.Lease{}); backup.CodeOf(err) != backup.ErrInvalid {
		t.Errorf("no lease: %v", err)
	}
}

package quiesce

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The scripts are for any POSIX shell. What varies in them is checked by Plan.Validate and Lease.Validate and has no letter that means anything to a
// shell; it is put between quotes all the same.
//
// On the host, everything about a lease is in a directory in /run, which is in memory and never frozen: the script that thaws, which the watchdog
// and Thaw both run, and marks:
//
//	freezer  the process group that freezes, while it does
//	hold-N   the process group that holds the N-th database's session
//	fs-N     the N-th file system is frozen by this lease, or is being frozen
//	lv-N     and so for the logical volumes: nobody but whoever froze a part may let it go
//	claim    made by whoever thaws first: so Thaw knows that the watchdog has not been there
//
// A lease that was thawed leaves a file over-ID, so that a freeze that comes late finds out.

// place is where scripts look for things; tests have others.
type place struct{ path, base, systemd, root string }

var onHost = place{path: "/usr/sbin:/usr/bin:/sbin:/bin", base: "/run/snapwarden/quiesce", systemd: "/run/systemd/system"}

// answer begins the last line of what a script prints; the lease and a word follow.
const answer = "snapwarden-quiesce-1"

func (p place) prologue(l Lease) string {
	return fmt.Sprintf(`set -u
umask 077
LC_ALL=C
PATH='%s'
export LC_ALL PATH
base='%s'
lease='%s'
dir="$base/lease-$lease"
over="$base/over-$lease"
`, p.path, p.base, l.ID)
}

// thaw is the script that lets everything go, kept on the host. Its argument is who runs it: watchdog, ask or undo. It ends with 0 where nothing is
// frozen any more, and prints held where everything was until now.
func (p place) thaw(plan Plan, l Lease) string {
	var b strings.Builder
	b.WriteString(p.prologue(l))
	// A process that has ended and that nobody has waited for is in its group still; only /proc tells that it has.
	b.WriteString(`who=$1
lost=0
bad=0
alive() {
kill -s 0 -- "-$1" 2>/dev/null || return 1
[ -r /proc/self/stat ] || return 0
group=$1
for stat in /proc/[0-9]*/stat; do
{ read -r line <"$stat"; } 2>/dev/null || continue
set -- ${line##*) }
[ "$3" != "$group" ] || [ "$1" = Z ] || [ "$1" = X ] || return 0
done
return 1
}
mkdir "$dir/claim" 2>/dev/null || lost=1
# While something still freezes, what is let go may be frozen once more: it stays marked.
still=0
gone() { [ "$still" = 1 ] || rm -f "$dir/$1"; }
letgo() {
bad=0
`)
	for i, v := range slices.Backward(plan.Logical) {
		fmt.Fprintf(&b, `if [ -e "$dir/lv-%[2]d" ]; then
case "$(dmsetup info -c --noheadings -o suspended '%[1]s' 2>&1)" in
*[Ss]uspended*) if dmsetup resume '%[1]s' >&2; then gone lv-%[2]d; else bad=1; fi ;;
*[Aa]ctive*) lost=1; gone lv-%[2]d ;;
*) echo 'the state of logical volume %[1]s is not known' >&2; bad=1 ;;
esac
else
lost=1
fi
`, v.device(), i)
	}
	for i, m := range slices.Backward(plan.FileSystems) {
		// The kernel answers EINVAL where nothing is frozen, and two others where nothing can be. Source: Linux, fs/super.c and fs/ioctl.c.
		fmt.Fprintf(&b, `if [ ! -e "$dir/fs-%[2]d" ]; then
lost=1
elif why=$($freeze -u '%[1]s' 2>&1); then
gone fs-%[2]d
else
case "$why" in
*"Invalid argument"*|*"Operation not supported"*|*"Inappropriate ioctl"*) lost=1; gone fs-%[2]d ;;
*) echo "$why" >&2; bad=1 ;;
esac
fi
`, m, i)
	}
	for i := range slices.Backward(plan.MySQL) {
		fmt.Fprintf(&b, `if group=$(cat "$dir/hold-%[1]d" 2>/dev/null) && alive "$group"; then
kill -s TERM -- "-$group" 2>/dev/null
else
lost=1
fi
`, i)
	}
	b.WriteString(`}
freeze=fsfreeze
command -v fsfreeze >/dev/null || freeze=xfs_freeze
# What still freezes is stopped first. It may be in the kernel where no signal reaches it, and what it freezes then is thawed once more.
if group=$(cat "$dir/freezer" 2>/dev/null); then
lost=1
kill -s KILL -- "-$group" 2>/dev/null
n=0
still=1
while alive "$group"; do
letgo
n=$((n + 1))
[ "$n" -lt 10 ] || exit 1
sleep 1
done
still=0
fi
letgo
[ "$bad" = 0 ] || exit 1
: >"$over"
if [ "$who" != watchdog ]; then
if [ -f "$dir/watchdog" ]; then
kill -s KILL -- "-$(cat "$dir/watchdog")" 2>/dev/null
else
systemctl stop "snapwarden-thaw-$lease.timer" >/dev/null 2>&1
fi
fi
rm -rf "$dir"
[ "$lost" = 1 ] || echo held
exit 0
`)
	return b.String()
}

// doze is what the watchdog runs where there is no systemd: it sleeps, then thaws, and does not give up.
const doze = `if [ "$1" != 0 ]; then
echo ready >"$3"
sleep "$1"
fi
n=0
while [ -f "$2" ] && [ "$n" -lt 3600 ]; do
sh "$2" watchdog && exit 0
n=$((n + 1))
sleep 1
done
`

// freezer is the script that freezes; it runs in a process group of its own.
func (p place) freezer(plan Plan, l Lease) string {
	var b strings.Builder
	b.WriteString(p.prologue(l))
	// Whoever thaws makes claim first and then looks for freezer, and makes over before it removes claim: so it sees this group, or this group sees it.
	b.WriteString(`echo $$ >"$dir/freezer" || exit 1
if [ -e "$dir/claim" ] || [ -e "$over" ]; then
echo 'the limit was over before anything was frozen'
exit 1
fi
freeze=fsfreeze
command -v fsfreeze >/dev/null || freeze=xfs_freeze
`)
	for i := range plan.MySQL {
		fmt.Fprintf(&b, `mkfifo "$dir/in-%[1]d" "$dir/out-%[1]d" || exit 1
setsid sh "$dir/hold-%[1]d.sh" </dev/null >/dev/null 2>&1 &
line=
read -r line <"$dir/out-%[1]d"
if [ "$line" != snapwarden-locked ]; then
echo "MySQL %[1]d was not locked: $(head -c 500 "$dir/err-%[1]d" 2>/dev/null)" >&2
exit 1
fi
`, i)
	}
	// A part is marked before it is frozen, so that whoever thaws knows of it whenever this dies; the mark goes when the kernel has refused, for instance
	// because somebody else has it frozen. A tool that was killed has told nothing: the part stays marked.
	for i, m := range plan.FileSystems {
		fmt.Fprintf(&b, `: >"$dir/fs-%[2]d" || exit 1
$freeze -f '%[1]s'
code=$?
if [ "$code" != 0 ]; then
[ "$code" -gt 125 ] || rm -f "$dir/fs-%[2]d"
exit 1
fi
`, m, i)
	}
	if len(plan.Logical) > 0 {
		b.WriteString(active)
	}
	// To suspend what is suspended is no error of dmsetup, so that is looked at first.
	for i, v := range plan.Logical {
		fmt.Fprintf(&b, `if ! active '%[1]s'; then
echo 'the logical volume %[1]s is suspended by somebody else, or its state is not known'
exit 1
fi
: >"$dir/lv-%[2]d" || exit 1
if ! dmsetup suspend '%[1]s'; then
! active '%[1]s' || rm -f "$dir/lv-%[2]d"
exit 1
fi
`, v.device(), i)
	}
	return b.String()
}

// hold is the script that keeps a session with a read lock open. When it is killed the session ends, and with it the lock.
func (p place) hold(m MySQL, i int, l Lease) string {
	options := ""
	if m.DefaultsFile != "" {
		options = " --defaults-extra-file='" + m.DefaultsFile + "'"
	}
	wait := m.LockSeconds
	if wait == 0 {
		wait = 10
	}
	return p.prologue(l) + fmt.Sprintf(`echo $$ >"$dir/hold-%[1]d"
mysql%[2]s --batch --skip-column-names --unbuffered <"$dir/in-%[1]d" >"$dir/out-%[1]d" 2>"$dir/err-%[1]d" &
exec 3>"$dir/in-%[1]d"
printf '%%s\n' 'SET SESSION lock_wait_timeout=%[3]d;' 'FLUSH TABLES WITH READ LOCK;' "SELECT 'snapwarden-locked';" >&3
wait $!
`, i, options, wait)
}

// keep writes a file into the lease's directory. No line of the text is the end mark: none of its parts can have one.
func keep(name, text string) string {
	return "cat >\"$new/" + name + "\" <<'SNAPWARDEN_END' || fail 'no room in /run'\n" + text + "SNAPWARDEN_END\n"
}

// freeze is the script that Freeze runs.
func (p place) freeze(plan Plan, l Lease) string {
	var b strings.Builder
	b.WriteString(p.prologue(l))
	fmt.Fprintf(&b, `fail() {
echo "snapwarden: $1" >&2
echo '%[1]s %[2]s failed:' "$1"
exit 1
}
undo() {
sh "$dir/thaw.sh" undo >&2 || :
fail "$1"
}
[ "$(id -u)" = 0 ] || fail 'the script must run as root'
`, answer, l.ID)
	tools := []string{"flock", "setsid", "stat", "mountpoint", "mkfifo", "sleep"}
	if len(plan.Logical) > 0 {
		tools = append(tools, "dmsetup")
	}
	if len(plan.MySQL) > 0 {
		tools = append(tools, "mysql")
	}
	if len(plan.PostgreSQL) > 0 {
		tools = append(tools, "psql", "runuser", "timeout")
	}
	if len(plan.FileSystems)+len(plan.Logical) > 0 {
		tools = append(tools, "findmnt")
	}
	fmt.Fprintf(&b, "for tool in %s; do\ncommand -v \"$tool\" >/dev/null || fail \"there is no $tool\"\ndone\n", strings.Join(tools, " "))
	if len(plan.FileSystems) > 0 {
		b.WriteString("command -v fsfreeze >/dev/null || command -v xfs_freeze >/dev/null || fail 'there is neither fsfreeze nor xfs_freeze'\n")
	}
	b.WriteString(`mkdir -p "$base" || fail 'no room in /run'
exec 9>"$base/lock" || fail 'no room in /run'
flock -w 5 9 || fail 'another freeze or thaw is at work'
[ ! -e "$over" ] || fail 'the lease is over'
for other in "$base"/lease-*; do
[ ! -e "$other" ] || fail "the host is held by ${other##*/}"
done
`)
	if len(plan.FileSystems)+len(plan.Logical) > 0 {
		b.WriteString(p.survey())
	}
	if len(plan.Logical) > 0 {
		b.WriteString(active)
	}
	b.WriteString(spare(plan))
	// Before the limit begins to count: what takes long and freezes nothing.
	for _, d := range plan.PostgreSQL {
		user, port := "postgres", ""
		if d.User != "" {
			user = d.User
		}
		if d.Port != 0 {
			port = fmt.Sprintf(" -p %d", d.Port)
		}
		fmt.Fprintf(&b, "timeout 15 runuser -u '%s' -- psql -X -q%s -d postgres -v ON_ERROR_STOP=1 -c CHECKPOINT </dev/null >&2 9>&- || fail 'PostgreSQL made no checkpoint'\n", user, port)
	}
	for _, m := range plan.FileSystems {
		fmt.Fprintf(&b, "sync -f '%s' 2>/dev/null 9>&- || sync 9>&-\n", m)
	}
	// All is made ready beside, so that what dies here leaves nothing that looks like a lease.
	b.WriteString("rm -rf \"$base\"/new-*\nnew=\"$base/new-$lease\"\nmkdir \"$new\" || fail 'no room in /run'\n")
	b.WriteString(keep("thaw.sh", p.thaw(plan, l)))
	b.WriteString(keep("freeze.sh", p.freezer(plan, l)))
	b.WriteString(keep("doze.sh", doze))
	for i, m := range plan.MySQL {
		b.WriteString(keep(fmt.Sprintf("hold-%d.sh", i), p.hold(m, i, l)))
	}
	// The watchdog is armed before anything is frozen. A timer of systemd is none of this session's processes, which SSM and SSH may end. It is seen to
	// be armed when there is what it runs: one that fires later finds that, and one that has fired by then is missed.
	fmt.Fprintf(&b, `if [ -d '%[1]s' ]; then
systemd-run --quiet --collect --unit="snapwarden-thaw-$lease" --on-active=%[2]d --timer-property=AccuracySec=100ms \
/bin/sh "$dir/doze.sh" 0 "$dir/thaw.sh" </dev/null >&2 9>&- || fail 'systemd armed no watchdog'
armed() { systemctl is-active --quiet "snapwarden-thaw-$lease.timer"; }
else
mkfifo "$new/ready" || fail 'no room in /run'
setsid sh "$new/doze.sh" %[2]d "$dir/thaw.sh" "$new/ready" </dev/null >/dev/null 2>&1 9>&- &
dog=$!
ready=
read -r ready <"$new/ready"
[ "$ready" = ready ] || fail 'the watchdog is not armed'
echo "$dog" >"$new/watchdog" || fail 'no room in /run'
armed() { kill -0 "$dog"; }
fi
mv "$new" "$dir" || fail 'no room in /run'
armed || { rm -rf "$dir"; fail 'the watchdog is not armed'; }
[ ! -e "$over" ] || undo 'the lease is over'
setsid sh "$dir/freeze.sh" </dev/null >"$dir/log" 2>&1 9>&- &
wait $! || undo "$(tr -c '[:print:]' ' ' <"$dir/log" | head -c 600)"
rm -f "$dir/freezer"
[ -d "$dir" ] && [ ! -e "$dir/claim" ] && [ ! -e "$over" ] || undo 'the limit was over before everything was frozen'
echo '%[3]s %[4]s frozen'
`, p.systemd, int(l.Limit/time.Second), answer, l.ID)
	return b.String()
}

// release is the script that Thaw runs. Where nothing is known of the lease nothing is frozen by it, and never will be.
func (p place) release(l Lease) string {
	return p.prologue(l) + fmt.Sprintf(`mkdir -p "$base" || exit 1
exec 9>"$base/lock" || exit 1
flock -w 2 9 || :
find "$base" -name 'over-*' -mmin +1440 -exec rm -f {} + 2>/dev/null 9>&-
: >"$over"
# The directory of a lease is complete from the first; one without the script is being removed by whoever has thawed.
held=lost
if [ -f "$dir/thaw.sh" ]; then
held=$(sh "$dir/thaw.sh" ask 9>&-) || [ ! -f "$dir/thaw.sh" ] || exit 1
fi
[ "$held" = held ] || held=lost
echo "%[1]s %[2]s $held"
`, answer, l.ID)
}

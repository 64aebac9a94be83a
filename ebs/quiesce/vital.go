package quiesce

import (
	"fmt"
	"strings"
)

// survey is the part of the freeze script that finds out what the host lives on: the file systems that it needs in order to thaw itself, its swap
// space, and every device below those. It leaves
//
//	host     the device numbers of the file systems, as stat gives them
//	disks    their sources, as findmnt gives them
//	under    all block devices, as major:minor
//	unknown  what could not be found out
//
// The number that stat gives is not enough: that of a btrfs is of no device at all, and between a file system and the logical volume that it lies on
// there may be encryption, or a thin pool. /sys knows what lies on what; it is where lsblk looks too. Source: Linux,
// Documentation/ABI/stable/sysfs-block and Documentation/ABI/testing/sysfs-fs-btrfs.
func (p place) survey() string {
	return fmt.Sprintf("root='%s'\n", p.root) + `host=' '
disks=' '
under=' '
unknown=
backing() {
from=$(findmnt -n -o SOURCE --target "$1" 2>/dev/null </dev/null | tail -n 1)
from=${from%%[[]*}
}
known() { [ -n "$1" ] && [ -d "$root/sys/dev/block/$1" ]; }
number() {
num=
case "$1" in
/dev/*) ;;
*) return 1 ;;
esac
set -- $(stat -L -c '%t %T' "$1" 2>/dev/null)
[ $# = 2 ] || return 1
case "$1$2" in
*[!0-9a-f]*) return 1 ;;
esac
num=$((0x$1)):$((0x$2))
known "$num"
}
below() {
queue=$1
while [ -n "$queue" ]; do
one=${queue%% *}
case "$queue" in
*' '*) queue=${queue#* } ;;
*) queue= ;;
esac
case "$under" in
*" $one "*) continue ;;
esac
under="$under$one "
at="$root/sys/dev/block/$one"
for near in "$at"/slaves/*/dev; do
[ -e "$near" ] || continue
read -r next <"$near" && queue="$queue${queue:+ }$next" || unknown="$unknown $one"
done
if [ -e "$at/partition" ]; then
read -r next <"$at/../dev" && queue="$queue${queue:+ }$next" || unknown="$unknown $one"
fi
if [ -e "$at/loop/backing_file" ]; then
next=
read -r next <"$at/loop/backing_file"
backing "$next"
if number "$from"; then
disks="$disks$from "
queue="$queue${queue:+ }$num"
else
unknown="$unknown $one"
fi
fi
for pool in "$root"/sys/fs/btrfs/*/devices; do
all=
mine=
for near in "$pool"/*/dev; do
[ -e "$near" ] || continue
read -r next <"$near" || continue
all="$all $next"
[ "$next" != "$one" ] || mine=1
done
[ -z "$mine" ] || queue="$queue${queue:+ }${all# }"
done
done
}
lives() {
backing "$1"
disks="$disks$from "
case "$(findmnt -n -o FSTYPE --target "$1" 2>/dev/null </dev/null | tail -n 1)" in
tmpfs|ramfs|devtmpfs|nfs|nfs4) return ;;
esac
if number "$from"; then
below "$num"
else
num=$(findmnt -n -o MAJ:MIN --target "$1" 2>/dev/null </dev/null | tail -n 1 | tr -d ' ')
if known "$num"; then
below "$num"
else
unknown="$unknown $1"
fi
fi
}
for vital in / /etc /run /tmp /usr /var /var/lib /var/log; do
host="$host$(stat -L -c %d "$vital" 2>/dev/null) "
[ ! -e "$vital" ] || lives "$vital"
done
if [ -r "$root/proc/swaps" ]; then
while read -r name kind rest; do
case "$kind" in
partition) if number "$name"; then below "$num"; else unknown="$unknown $name"; fi ;;
file) lives "$name" ;;
esac
done <"$root/proc/swaps"
elif [ ! -d "$root/proc/self" ]; then
unknown="$unknown /proc/swaps"
fi
`
}

// spare is the part of the freeze script that refuses what the host itself lives on. Where that can not be found out no logical volume is suspended:
// the watchdog would perhaps wait for ever for the disk that it is to thaw.
func spare(plan Plan) string {
	var b strings.Builder
	for _, m := range plan.FileSystems {
		fmt.Fprintf(&b, `mountpoint -q '%[1]s' || fail '%[1]s is not a mount point'
device=$(stat -L -c %%d '%[1]s') || fail '%[1]s can not be looked at'
case "$host" in
*" $device "*) fail '%[1]s is a file system that the host itself lives on' ;;
esac
backing '%[1]s'
[ -n "$from" ] || fail '%[1]s can not be looked at'
case "$disks" in
*" $from "*) fail '%[1]s is a part of a file system that the host itself lives on' ;;
esac
if number "$from"; then
case "$under" in
*" $num "*) fail '%[1]s is on a device that the host itself lives on' ;;
esac
fi
`, m)
	}
	for _, v := range plan.Logical {
		// The number of a device as stat gives it. Source: glibc, makedev.
		fmt.Fprintf(&b, `device=$(dmsetup info -c --noheadings --separator ' ' -o major,minor '%[1]s') || fail 'there is no logical volume %[1]s'
set -- $device
[ $# = 2 ] || fail 'the logical volume %[1]s can not be looked at'
case "$1$2" in
*[!0-9]*) fail 'the logical volume %[1]s can not be looked at' ;;
esac
device=$((($2 & 255) | ($1 << 8) | (($2 & ~255) << 12)))
case "$host" in
*" $device "*) fail 'the host itself lives on the logical volume %[1]s' ;;
esac
case "$under" in
*" $1:$2 "*) fail 'the host itself lives on the logical volume %[1]s' ;;
esac
active '%[1]s' || fail 'the logical volume %[1]s is suspended by somebody else, or its state is not known'
`, v.device())
	}
	if len(plan.Logical) > 0 {
		b.WriteString(`[ -z "$unknown" ] || fail "no logical volume is suspended, as it can not be told what lies below$unknown"` + "\n")
	}
	return b.String()
}

// active is a shell function that tells whether a logical volume is at work, and not suspended by whomever.
const active = `active() {
case "$(dmsetup info -c --noheadings -o suspended "$1" 2>&1)" in
*[Ss]uspended*) return 1 ;;
*[Aa]ctive*) return 0 ;;
esac
return 1
}
`

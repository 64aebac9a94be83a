package quiesce

import (
	"fmt"
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
)

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// only reports whether s has no byte but those of set.
func only(s, set string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return !strings.ContainsRune(set, c) })
}

// maxParts is the most parts of each kind in a plan: scripts stay far below what SSM takes.
const maxParts = 32

// Plan is what is brought to rest on a host, in this order: PostgreSQL, MySQL, file systems, logical volumes; it is let go in the reverse order. A
// file system is frozen either as such or with its logical volume, not as both.
type Plan struct {
	// PostgreSQL are servers that make a checkpoint first.
	PostgreSQL []PostgreSQL
	// MySQL are servers whose tables are locked for reading.
	MySQL []MySQL
	// FileSystems are mount points, such as "/data", that are frozen with fsfreeze, or xfs_freeze where there is none. What the host itself lives on,
	// such as "/" and "/var" or a file system with its swap file, is refused: the watchdog would freeze with it. ext3, ext4, XFS, btrfs and others can be frozen; NFS and tmpfs can
	// not.
	FileSystems []string
	// Logical are logical volumes that are suspended with dmsetup, which also freezes a file system on them. One that the host itself lives on is
	// refused, also where encryption, a thin pool, an array or an image file lies in between, and one below its swap space. Where it can not be told
	// what the host lives on, as with ZFS or an overlay as its root, all are refused. The journal that a file system of the host has on another
	// device is not seen.
	Logical []Logical
}

// MySQL is a MySQL or MariaDB server on the host. FLUSH TABLES WITH READ LOCK is held by a session of its own until the thaw; when that session ends,
// for whatever reason, the server unlocks. Source: MySQL reference manual, "FLUSH Statement".
type MySQL struct {
	// DefaultsFile is the absolute path of an option file on the host with the user and the password, which are never given here. It must not be on what
	// is frozen. Empty means the options that root has on the host.
	DefaultsFile string
	// LockSeconds is how long the lock may be waited for, 1 to 15; 0 means 10. Statements that run longer than that make the freeze fail: they
	// are not killed.
	LockSeconds int
}

// PostgreSQL is a PostgreSQL server on the host. CHECKPOINT is made before the freeze begins. It needs no more: a snapshot of all its volumes at one
// moment is a consistent one, from which the server recovers with its write-ahead log, and the checkpoint shortens that. Source: PostgreSQL
// documentation, "File System Level Backup". The functions pg_backup_start and pg_backup_stop are for copies that are not of one moment.
type PostgreSQL struct {
	// User is the user of the host, and of the server, who makes the checkpoint; empty means "postgres".
	User string
	// Port is the server's; 0 means its default.
	Port int
}

// Logical is a logical volume of LVM, as "lvs" names it.
type Logical struct{ Group, Name string }

// device is the name that the device mapper gives a logical volume: hyphens within the names are doubled. Source: lvm(8), "Volume names".
func (l Logical) device() string {
	double := func(s string) string { return strings.ReplaceAll(s, "-", "--") }
	return double(l.Group) + "-" + double(l.Name)
}

func refused(hint, format string, args ...any) error {
	return &backup.Error{Op: "quiesce", Code: backup.ErrInvalid, Err: fmt.Errorf(format, args...), Hint: hint}
}

// Validate refuses a plan of which a part can not be right, with ErrInvalid: whatever ends up in a script is checked letter by letter.
func (p Plan) Validate() error {
	if len(p.PostgreSQL)+len(p.MySQL)+len(p.FileSystems)+len(p.Logical) == 0 {
		return refused("name what is to be brought to rest, such as FileSystems", "the plan is empty")
	}
	if n := max(len(p.PostgreSQL), len(p.MySQL), len(p.FileSystems), len(p.Logical)); n > maxParts {
		return refused("freeze fewer", "%d parts of one kind, more than %d", n, maxParts)
	}
	for i, m := range p.FileSystems {
		if err := validMount(m); err != nil {
			return err
		}
		if slices.Contains(p.FileSystems[:i], m) {
			return refused("name it once", "the mount point %q is named twice", m)
		}
	}
	for i, l := range p.Logical {
		for _, s := range []string{l.Group, l.Name} {
			// Source: lvm(8), "Valid names".
			if len(s) < 1 || len(s) > 127 || s[0] == '-' || s == "." || s == ".." || !only(s, lower+upper+digits+"+_.-") {
				return refused("use the names that lvs shows", "%q is no name of a volume group or a logical volume", s)
			}
		}
		if slices.Contains(p.Logical[:i], l) {
			return refused("name it once", "the logical volume %s/%s is named twice", l.Group, l.Name)
		}
	}
	for _, m := range p.MySQL {
		if m.DefaultsFile != "" {
			if err := validPath("the option file", m.DefaultsFile); err != nil {
				return err
			}
		}
		if m.LockSeconds < 0 || m.LockSeconds > 15 {
			return refused("leave it 0 for 10, or choose 1 to 15", "a lock is waited for for %d seconds", m.LockSeconds)
		}
	}
	for _, d := range p.PostgreSQL {
		if u := d.User; u != "" && (len(u) > 32 || u[0] == '-' || !only(u, lower+digits+"_-")) {
			return refused("use the name of a user of the host", "the user %q", u)
		}
		if d.Port < 0 || d.Port > 65535 {
			return refused("leave it 0 for the default", "the port %d", d.Port)
		}
	}
	return nil
}

// validPath accepts absolute paths without anything that a shell, or the kernel, would read otherwise than it is written.
func validPath(what, p string) error {
	bad := len(p) < 2 || len(p) > 255 || p[0] != '/' || !only(p, lower+upper+digits+"/._+@-")
	if !bad {
		for part := range strings.SplitSeq(p[1:], "/") {
			bad = bad || part == "" || part == "." || part == ".." || part[0] == '-'
		}
	}
	if bad {
		return refused("use an absolute path of letters, digits and ._+@- without . and .. in it", "%s %q", what, p)
	}
	return nil
}

// vital is what a host needs in order to thaw itself, to be reached, and to log in.
var vital = []string{"/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr", "/var", "/var/lib", "/var/log", "/var/run", "/var/tmp"}

func validMount(m string) error {
	if m == "/" || slices.Contains(vital, m) {
		return refused("freeze file systems of their own only, such as /data; what is on this one is as after a crash", "the host itself lives on %q: it could not thaw itself", m)
	}
	for _, kernel := range []string{"/proc/", "/sys/", "/dev/", "/run/"} {
		if strings.HasPrefix(m, kernel) {
			return refused("name the mount point of a file system on a disk", "%q is no file system on a disk", m)
		}
	}
	return validPath("the mount point", m)
}

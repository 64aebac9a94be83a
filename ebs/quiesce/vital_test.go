package quiesce_test

import (
	"strings"
	"testing"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs/quiesce"
)

var volume = quiesce.Plan{Logical: []quiesce.Logical{{Group: "vg", Name: "lv"}}}

// A logical volume is not suspended when the host lives on it, through whatever lies in between, nor when that can not be told. In all of these stat
// gives for the root a number that is not the volume's.
func TestHostLivesOnIt(t *testing.T) {
	const lives, unknown = "the host itself lives on the logical volume vg-lv", "it can not be told what lies below"
	for _, c := range []struct {
		name   string
		change func(m *machine)
		why    string
	}{
		{"a btrfs on it", func(m *machine) { m.device("/dev/nvme0n1p1", 253, 7) }, lives},
		{"encryption between", func(m *machine) { m.device("/dev/nvme0n1p1", 259, 1, "253:7") }, lives},
		{"a thin pool and encryption between", func(m *machine) {
			m.device("/dev/nvme0n1p1", 259, 1, "8:0", "253:3")
			m.device("/dev/dm-3", 253, 3, "253:7", "8:16")
		}, lives},
		{"a partition of an array", func(m *machine) {
			m.write("sys/dev/block/259:1/partition", "1\n")
			m.write("sys/dev/block/dev", "9:0\n") // beside it, as the links of a real /sys are not followed here
			m.device("/dev/md0", 9, 0, "253:7")
		}, lives},
		{"an image file on it", func(m *machine) {
			m.write("sys/dev/block/259:1/loop/backing_file", "/data/root.img\n")
			m.device("/dev/nvme1n1", 259, 16, "253:7")
		}, lives},
		{"another member of its btrfs", func(m *machine) {
			m.write("sys/fs/btrfs/some/devices/a/dev", "8:32\n")
			m.write("sys/fs/btrfs/uuid/devices/a/dev", "259:1\n")
			m.write("sys/fs/btrfs/uuid/devices/b/dev", "253:7\n")
		}, lives},
		{"swap space", func(m *machine) {
			m.device("/dev/dm-7", 253, 7)
			m.write("proc/swaps", "Filename Type Size Used Priority\n/dev/dm-7 partition 1 0 -2\n")
		}, lives},
		{"a swap file", func(m *machine) {
			m.device("/dev/nvme1n1", 259, 16, "253:7")
			m.write("proc/swaps", "Filename Type Size Used Priority\n/data/swap file 1 0 -2\n")
		}, lives},
		{"a source that is no device", func(m *machine) {
			m.unset("number-of_dev_nvme0n1p1")
			m.write("majmin", " 253:7\n")
			m.device("/dev/dm-7", 253, 7)
		}, lives},
		{"a root that is no device", func(m *machine) { m.unset("number-of_dev_nvme0n1p1") }, unknown + " /"},
		{"a root that the kernel does not know", func(m *machine) { m.write("number-of_dev_nvme0n1p1", "8 1\n") }, unknown + " /"},
		{"swap space that is not there", func(m *machine) {
			m.write("proc/swaps", "Filename Type Size Used Priority\n/dev/gone partition 1 0 -2\n")
		}, unknown + " /dev/gone"},
		{"an image file that was removed", func(m *machine) {
			m.write("sys/dev/block/259:1/loop/backing_file", "/part/x (deleted)\n")
			m.unset("number-of_dev_nvme0n1p1")
			m.write("majmin", "259:1\n")
		}, unknown + " 259:1"},
		{"no /proc", func(m *machine) { m.unset("proc/swaps") }, unknown + " /proc/swaps"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, volume, false)
			c.change(m)
			err := m.freeze()
			if backup.CodeOf(err) != backup.ErrFailed || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v, wanted %q", err, c.why)
			}
			if strings.Contains(m.log(), "suspend ") {
				t.Errorf("it was suspended:\n%s", m.log())
			}
		})
	}
	// What lies elsewhere is suspended, also where the host has volumes of its own, or no swap space at all.
	m := newMachine(t, volume, false)
	m.device("/dev/nvme0n1p1", 253, 0, "253:1", "8:0")
	m.device("/dev/dm-1", 253, 1)
	m.device("/dev/dm-2", 253, 2)
	m.write("proc/swaps", "Filename Type Size Used Priority\n/dev/dm-2 partition 1 0 -2\n")
	if err := m.freeze(); err != nil {
		t.Error(err)
	}
	m.want("vg-lv")
	m.thaw(true)

	m = newMachine(t, two, false)
	m.write("proc/swaps", "Filename Type Size Used Priority\n/dev/nvme1n1 partition 1 0 -2\n")
	if err := m.freeze(); err == nil || !strings.Contains(err.Error(), "/data is on a device that the host itself lives on") {
		t.Errorf("a file system on the device of the swap space: %v", err)
	}
}

// Whoever thaws lets go only what this lease froze.
func TestFrozenByOthers(t *testing.T) {
	both := quiesce.Plan{FileSystems: []string{"/data"}, Logical: volume.Logical}
	for _, c := range []struct {
		name string
		plan quiesce.Plan
		set  []string
		why  string
		left []string
	}{
		{"a volume that is suspended", both, []string{"frozen_vg-lv", "refuse_data"}, "vg-lv is suspended by somebody else", []string{"vg-lv"}},
		{"one that is suspended meanwhile", both, []string{"meanwhile"}, "vg-lv is suspended by somebody else", []string{"vg-lv"}},
		{"one that comes after what fails", both, []string{"refuse_data", "meanwhile"}, "Operation not supported", nil},
		{"the first file system", two, []string{"frozen_data"}, "Device or resource busy", []string{"data"}},
		{"the second, after the first was frozen", two, []string{"frozen_data_wal"}, "Device or resource busy", []string{"data_wal"}},
		// What a tool did that was killed is not known: it is thawed.
		{"a tool that was killed", two, []string{"killed"}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := newMachine(t, c.plan, false)
			for _, s := range c.set {
				m.set(s)
			}
			if err := m.freeze(); backup.CodeOf(err) != backup.ErrFailed || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%v, wanted %q", err, c.why)
			}
			m.want(c.left...)
			m.thaw(false)
			m.want(c.left...)
		})
	}
	// A thaw that is tried again, because another part is stuck, does not let go what somebody else froze since.
	m := newMachine(t, two, false)
	if err := m.freeze(); err != nil {
		t.Fatal(err)
	}
	m.set("refuse-once_data")
	if _, err := m.host.Thaw(t.Context(), instance, lease); err == nil {
		t.Fatal("a thaw that failed has no error")
	}
	m.want("data")
	m.set("frozen_data_wal")
	m.unset("refuse-once_data")
	m.thaw(false)
	m.want("data_wal")
}

// Whoever thaws before anything is frozen has the last word: nothing is frozen then, not even for a moment.
func TestThawedBeforeItFreezes(t *testing.T) {
	for _, mark := range []string{"early", "late"} {
		m := newMachine(t, two, true)
		m.write(mark, m.base+"\n")
		if err := m.freeze(); backup.CodeOf(err) != backup.ErrFailed || !strings.Contains(err.Error(), "the limit was over before anything was frozen") {
			t.Errorf("%s: %v", mark, err)
		}
		if strings.Contains(m.log(), "fsfreeze -f") {
			t.Errorf("%s: it froze:\n%s", mark, m.log())
		}
		m.want()
	}
}

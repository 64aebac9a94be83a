package main

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
)

func TestStartToEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.start()
		defer p.close()
		for _, ref := range []backup.Ref{b.volume, b.database} {
			first := p.post(ref, "2026-11-20")
			if first.status != http.StatusAccepted || first.location != "/backups/"+first.ID || first.Ref != ref {
				t.Fatalf("%d %s %+v", first.status, first.location, first.view)
			}
			if again := p.post(ref, "2026-11-20"); again.status != http.StatusAccepted || again.ID != first.ID {
				t.Errorf("the same slot: %d %s, not %s", again.status, again.ID, first.ID)
			}
			if l := p.do("GET", "/backups", ""); len(l.Backups) != 1 || l.Backups[0].ID != first.ID {
				t.Errorf("unfinished: %+v", l)
			}
			end := p.until(first.location, backup.PhaseSucceeded)
			if len(end.Points) != 1 || end.Percent != 100 {
				t.Errorf("%+v", end.view)
			}
			if again := p.post(ref, "2026-11-20"); again.status != http.StatusOK || again.ID != first.ID || again.Phase != backup.PhaseSucceeded {
				t.Errorf("the same slot after the end: %d %+v", again.status, again.view)
			}
			if l := p.do("GET", "/backups", ""); len(l.Backups) != 0 {
				t.Errorf("unfinished after the end: %+v", l)
			}
		}
		other := p.post(b.volume, "2026-11-21")
		p.until(other.location, backup.PhaseSucceeded)
		if n, m := b.count("CreateSnapshot"), b.count("CreateDBSnapshot"); n != 2 || m != 1 {
			t.Errorf("%d snapshots of the volume, %d of the database", n, m)
		}
	})
}

// However often a backup is asked for, one goroutine waits for it.
func TestOneWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.start()
		defer p.close()
		for range 5 {
			p.post(b.volume, "2026-11-20")
			time.Sleep(time.Second)
		}
		p.until(p.post(b.volume, "2026-11-20").location, backup.PhaseSucceeded)
		var last time.Time
		for _, c := range b.world.Calls() {
			if c.Operation == "DescribeSnapshots" {
				if d := c.Time.Sub(last); d < 4*time.Second {
					t.Errorf("two looks within %v", d)
				}
				last = c.Time
			}
		}
		if last.IsZero() {
			t.Error("nobody has looked")
		}
	})
}

// The worst moment: AWS has made the snapshot, and the process dies before it knows.
func TestCrash(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.start()
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultLostReply, Do: func() { p.power.Store(false) }})
		begun := p.post(b.volume, "2026-11-20")
		time.Sleep(10 * time.Second)
		p.crash()
		if n := b.count("CreateSnapshot"); n != 1 {
			t.Fatalf("%d snapshots before the crash", n)
		}

		p = b.start() // resumes, without being asked
		defer p.close()
		end := p.until(begun.location, backup.PhaseSucceeded)
		if n := b.count("CreateSnapshot"); n != 1 || len(end.Points) != 1 {
			t.Errorf("%d snapshots were made, %v are listed", n, end.Points)
		}
		if again := p.post(b.volume, "2026-11-20"); again.ID != begun.ID || again.status != http.StatusOK {
			t.Errorf("the slot again: %d %s", again.status, again.ID)
		}
	})
}

// A service that is stopped gives its operations back, and the next one need not wait for the end of a lease.
func TestCloseGivesBack(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.start()
		begun := p.post(b.volume, "2026-11-20")
		time.Sleep(10 * time.Second)
		p.close()
		rec, err := p.store.Load(t.Context(), begun.ID)
		if err != nil || rec.Run != "" || rec.Operation.Done() {
			t.Fatalf("after the close: run %q, phase %s, %v", rec.Run, rec.Operation.Phase, err)
		}
		// A request that was still on its way is not lost either.
		late := p.post(b.database, "2026-11-20")
		rec, err = p.store.Load(t.Context(), late.ID)
		if err != nil || rec.Run != "" || late.status != http.StatusAccepted {
			t.Fatalf("started after the close: %d, run %q, %v", late.status, rec.Run, err)
		}

		p = b.start()
		defer p.close()
		time.Sleep(time.Minute) // less than a lease
		for _, id := range []string{begun.ID, late.ID} {
			if rec, err := p.store.Load(t.Context(), id); err != nil || rec.Run == "" && !rec.Operation.Done() {
				t.Errorf("nobody has taken up %s: %v", id, err)
			}
			p.until("/backups/"+id, backup.PhaseSucceeded)
		}
		if n, m := b.count("CreateSnapshot"), b.count("CreateDBSnapshot"); n != 1 || m != 1 {
			t.Errorf("%d snapshots of the volume, %d of the database", n, m)
		}
	})
}

// What a process leaves behind that dies while another one runs is found by a later sweep of the other.
func TestSweepTakesOver(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		other := b.start()
		defer other.close()
		time.Sleep(time.Second)
		p := b.start()
		begun := p.post(b.volume, "2026-11-20")
		time.Sleep(2 * time.Second)
		p.crash()
		other.until(begun.location, backup.PhaseSucceeded)
	})
}

// A missing permission is reported with what to do about it, and the backup gets on once somebody has granted it.
func TestBlocked(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.start()
		defer p.close()
		b.world.Inject(awssim.Fault{Operation: "DescribeVolumes", For: time.Hour, Kind: awssim.FaultError,
			Error: awssim.Error{Status: http.StatusForbidden, Code: "UnauthorizedOperation", Message: "not allowed to perform: ec2:DescribeVolumes"}})
		begun := p.post(b.volume, "2026-11-20")
		time.Sleep(time.Minute)
		r := p.do("GET", begun.location, "")
		if r.Blocked == nil || r.Blocked.Code != backup.ErrDenied || r.Blocked.Hint == "" || r.Failure != nil {
			t.Fatalf("without the permission: %+v", r.view)
		}
		if r = p.until(begun.location, backup.PhaseSucceeded); r.Blocked != nil {
			t.Errorf("still blocked: %+v", r.Blocked)
		}
	})
}

// A slot whose backup failed is not tried again in silence.
func TestFailed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.start()
		defer p.close()
		b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
		begun := p.post(b.volume, "2026-11-20")
		end := p.until(begun.location, backup.PhaseFailed)
		if end.Failure == nil || end.Failure.Code != backup.ErrFailed || len(end.Points) != 1 {
			t.Errorf("%+v", end.view)
		}
		if again := p.post(b.volume, "2026-11-20"); again.status != http.StatusConflict || again.ID != begun.ID || again.Failure == nil {
			t.Errorf("the slot again: %d %+v", again.status, again.view)
		}
		p.until(p.post(b.volume, "2026-11-20, again").location, backup.PhaseSucceeded)
	})
}

func TestCancel(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		p := b.start()
		defer p.close()
		begun := p.post(b.volume, "2026-11-20")
		time.Sleep(10 * time.Second)
		if r := p.do("DELETE", begun.location, ""); r.status != http.StatusAccepted || r.ID != begun.ID {
			t.Fatalf("%d %+v", r.status, r.Error)
		}
		p.until(begun.location, backup.PhaseCanceled)
		time.Sleep(24 * time.Hour) // a pending snapshot goes when it would have been complete
		for _, s := range b.ec2.Snapshots(b.world, account, region) {
			if !s.Gone {
				t.Errorf("%s is left", s.ID)
			}
		}
		if r := p.do("DELETE", begun.location, ""); r.status != http.StatusConflict || r.Error.Hint == "" {
			t.Errorf("cancel after the end: %d %+v", r.status, r.Error)
		}
		// RDS can not stop a snapshot.
		begun = p.post(b.database, "2026-11-20")
		time.Sleep(time.Second)
		if r := p.do("DELETE", begun.location, ""); r.status != http.StatusNotImplemented || r.Error.Hint == "" {
			t.Errorf("cancel of a database's backup: %d %+v", r.status, r.Error)
		}
		p.until(begun.location, backup.PhaseSucceeded)
	})
}

// A record that can not be read hides neither itself nor the others.
func TestDamagedRecord(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		if _, err := backup.OpenFileStore(b.dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(b.dir, "operations", "op-damaged.json"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		p := b.start()
		defer p.close()
		begun := p.post(b.volume, "2026-11-20")
		if l := p.do("GET", "/backups", ""); l.status != http.StatusOK || len(l.Backups) != 1 || len(l.Problems) != 1 || l.Problems[0].Code != backup.ErrInvalid {
			t.Errorf("%+v", l)
		}
		p.until(begun.location, backup.PhaseSucceeded)
	})
}

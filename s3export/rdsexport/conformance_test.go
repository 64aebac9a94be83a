package rdsexport_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/backuptest"
	"github.com/snapwarden/snapwarden/rds"
	"github.com/snapwarden/snapwarden/s3export/rdsexport"
)

// conformance makes a Subject over a simulated AWS in which what is new stays invisible for lag.
func conformance(lag time.Duration) func(t testing.TB) *backuptest.Subject {
	return func(t testing.TB) *backuptest.Subject {
		b := newBed(t)
		b.world.SetLag(lag)
		b.world.SetPageLimit(2)
		b.world.KeepCalls(false)
		var mu sync.Mutex // guards the two
		total, mutating := 0, 0
		b.world.Watch(func(c awssim.Call) {
			mu.Lock()
			defer mu.Unlock()
			total++
			if c.Mutates {
				mutating++
			}
		})
		// fault hits the next call that changes something.
		fault := func(kind awssim.FaultKind) {
			for _, operation := range []string{"StartExportTask", "CancelExportTask"} {
				b.world.Inject(awssim.Fault{Operation: operation, Kind: kind, Do: b.world.Heal})
			}
		}
		open := func() backup.Strategy { return rdsexport.NewFromConfig(b.world.Config(account, region)) }
		elsewhere, others := b.point, b.point
		elsewhere.Region, others.Account = "eu-central-1", foreign
		good := b.options()
		bad := func(f func(o *rdsexport.Options)) backup.Spec {
			o := good
			f(&o)
			return backup.Spec{Options: o}
		}
		task := func(id string) string { return "sw-" + strings.TrimPrefix(id, "op-") }
		return &backuptest.Subject{
			Strategy:  open(),
			Restart:   open,
			Starts:    backup.ActionExport,
			MaxTags:   -1,
			Resource:  b.point,
			Missing:   rds.Snapshot(account, region, "no-such-snapshot"),
			Malformed: []backup.Ref{rds.Snapshot(account, region, "0rders"), rds.Snapshot(account, region, "or--ders"), rds.Instance(account, region, "orders")},
			Unserved:  []backup.Ref{elsewhere, others},
			Spec:      func(backup.Action, string) backup.Spec { return backup.Spec{Options: good} },
			BadSpecs: map[backup.Action][]backup.Spec{backup.ActionExport: {{}, {Options: &good}, {Name: "two--hyphens", Options: good},
				bad(func(o *rdsexport.Options) { o.Bucket = "" }), bad(func(o *rdsexport.Options) { o.Bucket = "my-*" }), bad(func(o *rdsexport.Options) { o.RoleARN = "" }),
				bad(func(o *rdsexport.Options) { o.KeyARN = "" })}},
			Count: func(id string) (n int) {
				for _, x := range b.db.Exports(b.world, account, region) {
					if x.ID == task(id) && x.Status != "CANCELED" && x.Status != "CANCELING" {
						n++
					}
				}
				return n
			},
			Exists: func(r backup.Ref) bool {
				for _, x := range b.db.Exports(b.world, account, region) {
					if r.Type == rdsexport.TypeExport && r.ID == bucket+"/rds/daily/"+x.ID {
						return x.Status == "COMPLETE"
					}
				}
				return r == b.point
			},
			Calls:     func() (int, int) { mu.Lock(); defer mu.Unlock(); return total, mutating },
			LoseReply: func() { fault(awssim.FaultLostReply) },
			DieAfter:  func() { fault(awssim.FaultDieAfter) },
			FailLater: func() { fault(awssim.FaultAsync) },
			Vanish: func(made backup.Ref) {
				if made.Type != rdsexport.TypeTask {
					t.Fatalf("%s is listed before the task that writes it", made)
				}
				b.db.LoseExport(b.world, account, region, made.ID)
			},
		}
	}
}

func TestConformance(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(0)})
}

// What is new stays invisible for two minutes here.
func TestConformanceLag(t *testing.T) {
	backuptest.TestStrategy(t, backuptest.Harness{New: conformance(2 * time.Minute)})
}

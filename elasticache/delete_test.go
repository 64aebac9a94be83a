package elasticache_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/elasticache"
)

// point makes a cluster with two backups, of which the first is to be deleted.
func (b *bed) twoPoints() (first, second backup.Ref) {
	b.Helper()
	b.cluster("one")
	for _, token := range []string{"first", "second"} {
		op := b.run(b.start(cluster("one"), backup.Spec{Token: token, Name: token}))
		b.succeeded(op)
		time.Sleep(time.Hour)
	}
	return snapshot("first"), snapshot("second")
}

func (b *bed) left(want ...string) {
	b.Helper()
	var got []string
	for _, x := range b.snapshots() {
		got = append(got, x.Name)
	}
	if len(got) != len(want) {
		b.Errorf("left are %v, want %v", got, want)
		return
	}
	for i := range got {
		if got[i] != want[i] {
			b.Errorf("left are %v, want %v", got, want)
		}
	}
}

func (b *bed) deleteByHand(name string) {
	b.Helper()
	_, err := b.api.DeleteSnapshot(b.Context(), &awselasticache.DeleteSnapshotInput{SnapshotName: &name})
	b.ok(err)
}

func TestDelete(t *testing.T) {
	bubble(t, func(b *bed) {
		first, _ := b.twoPoints()
		op := b.run(b.startDelete(first, backup.Spec{}))
		b.succeeded(op)
		b.left("second")
		if n := b.sent("DeleteSnapshot"); n != 1 || len(op.Points) != 0 {
			t.Errorf("sent %d times; %v", n, op.Points)
		}
		// Again, with other work: there never was one to see.
		start := time.Now()
		b.failed(b.run(b.startDelete(first, backup.Spec{Token: "again"})), backup.PhaseFailed, backup.ErrNotFound)
		if time.Since(start) < 6*time.Minute {
			t.Errorf("gave up after %v", time.Since(start))
		}
	})
}

func TestDeleteRefusals(t *testing.T) {
	for _, c := range []struct {
		name  string
		point func(b *bed) backup.Ref
		spec  backup.Spec
		phase backup.Phase
		code  backup.Code
	}{
		{"automatic", func(b *bed) backup.Ref {
			name, err := b.sim.AutomaticSnapshot(b.world, account, region, "one")
			b.ok(err)
			time.Sleep(time.Hour)
			return snapshot(name)
		}, backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}}, backup.PhaseFailed, backup.ErrUnsupported},
		{"another owner", func(b *bed) backup.Ref { return snapshot("first") }, backup.Spec{Owner: "somebody"}, backup.PhaseFailed, backup.ErrConflict},
		{"nobody's", func(b *bed) backup.Ref {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "bare"))
			return snapshot("bare")
		}, backup.Spec{}, backup.PhaseFailed, backup.ErrConflict},
		{"tags copied from another cluster's", func(b *bed) backup.Ref {
			b.cluster("two")
			b.ok(b.sim.AddSnapshots(b.world, account, region, "two", b.snapshots()[0].Tags, "copied"))
			return snapshot("copied")
		}, backup.Spec{}, backup.PhaseFailed, backup.ErrConflict},
		{"tags copied from a group's", func(b *bed) backup.Ref {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", b.start(group("sessions"), backup.Spec{}).OwnTags(group("sessions")), "copied"))
			return snapshot("copied")
		}, backup.Spec{}, backup.PhaseFailed, backup.ErrConflict},
		{"an owner and no more", func(b *bed) backup.Ref {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", map[string]string{backup.TagOwner: backup.DefaultOwner}, "bare"))
			return snapshot("bare")
		}, backup.Spec{}, backup.PhaseFailed, backup.ErrConflict},
		{"no token", func(b *bed) backup.Ref {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", map[string]string{backup.TagOwner: backup.DefaultOwner, backup.TagSource: cluster("one").String()}, "bare"))
			return snapshot("bare")
		}, backup.Spec{}, backup.PhaseFailed, backup.ErrConflict},
		{"one of a replica", func(b *bed) backup.Ref {
			b.group("sessions", 0, 1)
			op := b.run(b.start(group("sessions"), backup.Spec{Name: "replica"}))
			b.succeeded(op)
			return op.Points[0]
		}, backup.Spec{}, backup.PhaseSucceeded, ""},
		{"one of a group", func(b *bed) backup.Ref {
			b.group("orders", 2, 1)
			op := b.run(b.start(group("orders"), backup.Spec{Name: "shards"}))
			b.succeeded(op)
			return op.Points[0]
		}, backup.Spec{}, backup.PhaseSucceeded, ""},
		{"nobody's, allowed", func(b *bed) backup.Ref {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "bare"))
			return snapshot("bare")
		}, backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}}, backup.PhaseSucceeded, ""},
		{"of AWS Backup", func(b *bed) backup.Ref {
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", map[string]string{"aws:backup:source-resource": "x"}, "managed"))
			return snapshot("managed")
		}, backup.Spec{Options: elasticache.DeleteOptions{AllowForeign: true}}, backup.PhaseFailed, backup.ErrUnsupported},
		{"denied", func(b *bed) backup.Ref {
			b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Kind: awssim.FaultError, Error: awssim.Error{Code: "AccessDenied", Message: "m", Status: 403}})
			return snapshot("first")
		}, backup.Spec{}, backup.PhaseFailed, backup.ErrDenied},
		{"busy for a while", func(b *bed) backup.Ref {
			b.ok(b.sim.Hold(b.world, account, region, "first", "copying", 2*time.Hour))
			return snapshot("first")
		}, backup.Spec{}, backup.PhaseSucceeded, ""},
		{"busy when it is sent", func(b *bed) backup.Ref {
			b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Kind: awssim.FaultError, Times: 3, Error: awssim.Error{Code: "InvalidSnapshotState", Message: "m"}})
			return snapshot("first")
		}, backup.Spec{}, backup.PhaseSucceeded, ""},
		{"a failed one", func(b *bed) backup.Ref {
			b.world.Inject(awssim.Fault{Operation: "CreateSnapshot", Kind: awssim.FaultAsync})
			op := b.run(b.start(cluster("one"), backup.Spec{Token: "bad", Name: "bad"}))
			b.failed(op, backup.PhaseFailed, backup.ErrFailed)
			return op.Points[0]
		}, backup.Spec{}, backup.PhaseSucceeded, ""},
		{"somebody deletes it first", func(b *bed) backup.Ref {
			b.deleteByHand("first")
			return snapshot("first")
		}, backup.Spec{}, backup.PhaseSucceeded, ""},
		{"already gone when it is sent", func(b *bed) backup.Ref {
			b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Kind: awssim.FaultError, Do: func() { b.deleteByHand("first") },
				Error: awssim.Error{Code: "SnapshotNotFoundFault", Message: "m", Status: 404}})
			return snapshot("first")
		}, backup.Spec{}, backup.PhaseSucceeded, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			bubble(t, func(b *bed) {
				b.twoPoints()
				point := c.point(b)
				op := b.run(b.startDelete(point, c.spec))
				there := false
				for _, x := range b.snapshots() {
					there = there || x.Name == point.ID
				}
				if c.phase == backup.PhaseSucceeded {
					b.succeeded(op)
					if there {
						t.Error("success was reported, but it is there")
					}
					return
				}
				b.failed(op, c.phase, c.code)
				if !there || len(op.Points) != 1 || op.Points[0] != point {
					t.Errorf("there: %v, points %v", there, op.Points)
				}
			})
		})
	}
}

func TestDeleteLeavesAnotherOfTheSameName(t *testing.T) {
	// After the look the snapshot is replaced by another with the same name.
	for _, stage := range []string{"delete", "gone"} {
		t.Run(stage, func(t *testing.T) {
			bubble(t, func(b *bed) {
				first, _ := b.twoPoints()
				replaced := false
				op := b.startDelete(first, backup.Spec{})
				tags := b.snapshots()[0].Tags
				op = b.run(op, func(op backup.Operation) {
					if replaced || op.Stage != stage {
						return
					}
					replaced = true
					if stage == "delete" {
						b.deleteByHand("first")
					}
					time.Sleep(10 * time.Minute)
					b.ok(b.sim.AddSnapshots(b.world, account, region, "one", tags, "first"))
				})
				time.Sleep(time.Hour)
				b.left("first", "second")
				if n := b.sent("DeleteSnapshot"); n != 1 { // by hand, or by the Operation
					t.Errorf("sent %d times", n)
				}
				if stage == "delete" {
					// Nothing was deleted by this work, so that it did not succeed.
					b.failed(op, backup.PhaseFailed, backup.ErrConflict)
					return
				}
				b.succeeded(op)
				if !findings(op)["elasticache.name-reused"] {
					t.Errorf("%+v", op.Findings)
				}
			})
		})
	}
}

// The reply is lost, and before anything could be sent again the name is another's.
func TestDeleteIsNotRepeatedBlindly(t *testing.T) {
	bubble(t, func(b *bed) {
		first, _ := b.twoPoints()
		b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Kind: awssim.FaultLostReply})
		second := b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Kind: awssim.FaultNone, Do: func() {
			b.ok(b.sim.Vanish(b.world, account, region, "first"))
			b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "first"))
		}})
		sent := 0
		op := b.run(b.startDelete(first, backup.Spec{}), func(op backup.Operation) {
			if n := b.sent("DeleteSnapshot"); n > sent+1 {
				t.Errorf("one Step sent it %d times", n-sent)
			} else {
				sent = n
			}
		})
		b.succeeded(op)
		time.Sleep(time.Hour)
		b.left("second")
		if second.Fired() != 0 {
			t.Error("it was sent again without a look")
		}
	})
}

// The reply is lost, and at the next look the name is another's: the deletion was perhaps sent, and its snapshot is gone.
func TestDeleteAfterALostReplyLeavesAnother(t *testing.T) {
	bubble(t, func(b *bed) {
		first, _ := b.twoPoints()
		b.world.Inject(awssim.Fault{Operation: "DeleteSnapshot", Kind: awssim.FaultLostReply})
		replaced := false
		op := b.run(b.startDelete(first, backup.Spec{}), func(backup.Operation) {
			if !replaced && b.sent("DeleteSnapshot") == 1 {
				replaced = true
				b.ok(b.sim.Vanish(b.world, account, region, "first"))
				time.Sleep(time.Minute)
				b.ok(b.sim.AddSnapshots(b.world, account, region, "one", nil, "first"))
			}
		})
		b.succeeded(op)
		b.left("first", "second")
		if !findings(op)["elasticache.name-reused"] || b.sent("DeleteSnapshot") != 1 {
			t.Errorf("sent %d times; %+v", b.sent("DeleteSnapshot"), op.Findings)
		}
	})
}

// AWS promises no order of a snapshot's parts.
func TestDeleteWithPartsInAnyOrder(t *testing.T) {
	bubble(t, func(b *bed) {
		b.group("orders", 3, 1)
		b.succeeded(b.run(b.start(group("orders"), backup.Spec{Name: "mine"})))
		n := 0
		b.s = b.without(func(x *ectypes.Snapshot) {
			if n++; n%2 == 0 {
				slices.Reverse(x.NodeSnapshots)
			}
		})
		op := b.run(b.startDelete(snapshot("mine"), backup.Spec{}))
		b.succeeded(op)
		b.left()
		if len(op.Findings) != 0 {
			t.Errorf("%+v", op.Findings)
		}
	})
}

func TestDeleteIsNotFooledByStaleReads(t *testing.T) {
	t.Run("it seems gone", func(t *testing.T) {
		bubble(t, func(b *bed) {
			first, _ := b.twoPoints()
			b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 1, Kind: awssim.FaultBlind, Back: 48 * time.Hour, Times: 4})
			b.succeeded(b.run(b.startDelete(first, backup.Spec{})))
			b.left("second")
		})
	})
	t.Run("it seems to be there", func(t *testing.T) {
		bubble(t, func(b *bed) {
			first, _ := b.twoPoints()
			f := b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 2, Kind: awssim.FaultStale, Back: 10 * time.Minute, Times: 5})
			b.succeeded(b.run(b.startDelete(first, backup.Spec{})))
			b.left("second")
			if f.Fired() != 5 {
				t.Errorf("fired %d times", f.Fired())
			}
		})
	})
	t.Run("as it was while it was being made", func(t *testing.T) {
		bubble(t, func(b *bed) {
			b.cluster("one")
			op := b.run(b.start(cluster("one"), backup.Spec{Name: "fresh"}))
			b.succeeded(op)
			b.world.Inject(awssim.Fault{Operation: "DescribeSnapshots", Skip: 1, Kind: awssim.FaultStale, Back: 90 * time.Second, Times: 3})
			b.succeeded(b.run(b.startDelete(op.Points[0], backup.Spec{})))
			b.left()
		})
	})
}

func TestDeleteAgainWhatSeemsNotToHaveTakenEffect(t *testing.T) {
	bubble(t, func(b *bed) {
		first, _ := b.twoPoints()
		b.world.Inject(awssim.Fault{Skip: 4, Kind: awssim.FaultStale, Back: time.Hour, For: 10 * time.Minute})
		b.succeeded(b.run(b.startDelete(first, backup.Spec{})))
		b.left("second")
		if n := b.sent("DeleteSnapshot"); n < 2 {
			t.Errorf("sent %d times", n)
		}
	})
}

func TestStartDeleteRefusals(t *testing.T) {
	b := newBed(t)
	for _, c := range []struct {
		name string
		ref  backup.Ref
		spec backup.Spec
	}{
		{"another type", cluster("one"), backup.Spec{Token: "t"}},
		{"a name with a slash", snapshot("a/b"), backup.Spec{Token: "t"}},
		{"a name", snapshot("a"), backup.Spec{Token: "t", Name: "b"}},
		{"pointer options", snapshot("a"), backup.Spec{Token: "t", Options: &elasticache.DeleteOptions{}}},
	} {
		_, err := b.s.StartDelete(t.Context(), c.ref, c.spec)
		if backup.CodeOf(err) != backup.ErrInvalid || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestDeleteRechecksTheOwner(t *testing.T) {
	bubble(t, func(b *bed) {
		first, _ := b.twoPoints()
		op := b.run(b.startDelete(first, backup.Spec{}), func(op backup.Operation) {
			if op.Stage == "delete" {
				_, err := b.api.AddTagsToResource(b.Context(), &awselasticache.AddTagsToResourceInput{ResourceName: aws.String(b.snapshots()[0].ARN),
					Tags: []ectypes.Tag{{Key: aws.String(backup.TagOwner), Value: aws.String("legal-hold")}}})
				b.ok(err)
			}
		})
		b.failed(op, backup.PhaseFailed, backup.ErrConflict)
		b.left("first", "second")
	})
}

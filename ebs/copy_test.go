package ebs_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/smithy-go/middleware"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/ebs"
)

var there = backup.Destination{Region: elsewhere}

// copyOf copies a recovery point and waits for the end.
func copyOf(t testing.TB, s *ebs.Strategy, point backup.Ref, to backup.Destination, spec backup.Spec) backup.Operation {
	t.Helper()
	op, err := s.StartCopy(t.Context(), point, to, spec)
	return finish(t, s, op, err)
}

// listed gives the recovery points that a query yields.
func listed(t testing.TB, s *ebs.Strategy, q backup.Query) (all []backup.RecoveryPoint) {
	t.Helper()
	q.Account = account
	for p, err := range s.List(t.Context(), q) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func findings(op backup.Operation) (ids []string) {
	for _, f := range op.Findings {
		ids = append(ids, f.ID)
	}
	return ids
}

// A copy of a set is a set: listed, restored and deleted as such, with the source and the time of the first one, also when it is copied again.
func TestCopyOfASet(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		s := anywhere(b.world.Config(account, region), func(o *ebs.Options) { o.CopyRegions = []string{elsewhere, "us-east-1"} })
		point := b.backedUp(t, t.Context(), b.instance)
		first := listed(t, s, backup.Query{Region: region, Point: point})[0]
		time.Sleep(24 * time.Hour)
		op := copyOf(t, s, point, there, backup.Spec{Token: "t", Tags: map[string]string{"for": "disaster"}})
		want(t, op, backup.PhaseSucceeded, "")
		again := copyOf(t, s, op.Points[0], backup.Destination{Region: "us-east-1"}, backup.Spec{Token: "t"})
		want(t, again, backup.PhaseSucceeded, "")
		for _, c := range []backup.Operation{op, again} {
			r := c.Points[0]
			all := listed(t, s, backup.Query{Region: r.Region, Tags: map[string]string{backup.TagSource: b.instance.Tag()}})
			if len(all) != 1 || all[0].Ref != r || all[0].Source != b.instance || all[0].Status != backup.StatusAvailable || !all[0].CreatedAt.Equal(first.CreatedAt) {
				t.Fatalf("listed in %s: %+v, first made %v", r.Region, all, first.CreatedAt)
			}
			for i, m := range all[0].Members {
				if f := first.Members[i]; m.Source != f.Source || m.Place != f.Place || m.Role != f.Role || m.ID == f.ID {
					t.Errorf("member %+v, first %+v", m, f)
				}
			}
			for _, x := range b.copies(c, r.Region) {
				if x.Tags[ebs.TagOrigin] != point.Tag() || x.Tags[ebs.TagMembers] != "3" || x.Tags["for"] != "disaster" {
					t.Errorf("tags %v", x.Tags)
				}
			}
		}
		// It can be restored there, with what it takes to attach the volumes.
		rop, err := s.StartRestore(t.Context(), op.Points[0], backup.Spec{Token: "r", Options: ebs.RestoreOptions{Zone: elsewhere + "a"}})
		rop = finish(t, s, rop, err)
		want(t, rop, backup.PhaseSucceeded, "")
		var devices []string
		for _, v := range b.ec2.Volumes(b.world, account, elsewhere) {
			devices = append(devices, v.Tags[ebs.TagDevice])
		}
		slices.Sort(devices)
		if diff := cmp.Diff([]string{"/dev/sdf", "/dev/sdg", "/dev/xvda"}, devices); diff != "" {
			t.Error(diff)
		}
		del, err := s.StartDelete(t.Context(), op.Points[0], backup.Spec{Token: "d"})
		want(t, finish(t, s, del, err), backup.PhaseSucceeded, "")
		if left := b.copies(op, elsewhere); len(left) != 0 {
			t.Errorf("left: %v", left)
		}
		if all := listed(t, s, backup.Query{Region: region, Point: point}); len(all) != 1 || all[0].Status != backup.StatusAvailable {
			t.Errorf("what was copied is %+v", all)
		}
	})
}

// A copy in the Region of its volume is found by the volume, though EC2 gives it another one.
func TestCopyUnderAnotherKey(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.volume)
		op := copyOf(t, s, point, backup.Destination{KMSKeyID: keyHere}, backup.Spec{Token: "t", Options: ebs.CopyOptions{Description: "ours"}})
		want(t, op, backup.PhaseSucceeded, "")
		all := listed(t, s, backup.Query{Region: region, Source: b.volume})
		if len(all) != 2 || all[1].Ref != op.Points[0] || all[1].Source != b.volume || all[1].KMSKeyID != keyHere || all[1].CreatedAt != all[0].CreatedAt {
			t.Errorf("%+v", all)
		}
		// What others copied with its tags is not ours to delete, and not a copy of the volume's for certain.
		c := awsec2.NewFromConfig(b.world.Config(account, elsewhere))
		out, err := c.CopySnapshot(t.Context(), &awsec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: &op.Points[0].ID, TagSpecifications: tagsAs(b.copies(op, region)[0].Tags)})
		if err != nil {
			t.Fatal(err)
		}
		bare, err := c.CopySnapshot(t.Context(), &awsec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: &op.Points[0].ID})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Hour)
		wide := anywhere(b.world.Config(account, region))
		del, err := wide.StartDelete(t.Context(), ebs.Snapshot(account, elsewhere, *out.SnapshotId), backup.Spec{Token: "d"})
		want(t, finish(t, wide, del, err), backup.PhaseFailed, backup.ErrConflict)
		if all := listed(t, wide, backup.Query{Region: elsewhere, Point: ebs.Snapshot(account, elsewhere, *bare.SnapshotId)}); len(all) != 1 || !all[0].Source.IsZero() {
			t.Errorf("%+v", all)
		}
		// A copy of it goes back to the volume all the same, for that is where its data is from.
		again := copyOf(t, wide, ebs.Snapshot(account, elsewhere, *out.SnapshotId), backup.Destination{}, backup.Spec{Token: "t"})
		want(t, again, backup.PhaseSucceeded, "")
		if tags := b.copies(again, elsewhere)[0].Tags; tags[backup.TagSource] != b.volume.Tag() || tags[ebs.TagOrigin] != point.Tag() {
			t.Errorf("tags %v", tags)
		}
		// A copy of a stranger's copy says what it is a copy of.
		third := copyOf(t, wide, ebs.Snapshot(account, elsewhere, *bare.SnapshotId), backup.Destination{}, backup.Spec{Token: "t"})
		want(t, third, backup.PhaseSucceeded, "")
		if tags := b.copies(third, elsewhere)[0].Tags; tags[backup.TagSource] != ebs.Snapshot(account, elsewhere, *bare.SnapshotId).Tag() {
			t.Errorf("tags %v", tags)
		}
		fourth := copyOf(t, wide, third.Points[0], backup.Destination{}, backup.Spec{Token: "t"})
		if tags := b.copies(fourth, elsewhere)[0].Tags; tags[backup.TagSource] != ebs.Snapshot(account, elsewhere, *bare.SnapshotId).Tag() {
			t.Errorf("tags %v", tags)
		}
	})
}

func TestCopyRefusals(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, own *ebs.Strategy) {
		s := anywhere(b.world.Config(account, region), func(o *ebs.Options) { o.CopyRegions = []string{elsewhere, "cn-north-1"} })
		point := b.backedUp(t, t.Context(), b.volume)
		before := len(b.world.Calls())
		for _, c := range []struct {
			name string
			s    *ebs.Strategy
			to   backup.Destination
			spec backup.Spec
			code backup.Code
		}{
			{"another account", s, backup.Destination{Account: "444455556666", Region: elsewhere}, backup.Spec{}, backup.ErrUnsupported},
			{"another partition", s, backup.Destination{Region: "cn-north-1"}, backup.Spec{}, backup.ErrUnsupported},
			{"a Region that is not allowed", s, backup.Destination{Region: "us-east-1"}, backup.Spec{}, backup.ErrInvalid},
			{"a Region that is none", s, backup.Destination{Region: "*"}, backup.Spec{}, backup.ErrInvalid},
			{"a Region out of reach", own, there, backup.Spec{}, backup.ErrInvalid},
			{"a key of the source's Region", s, backup.Destination{Region: elsewhere, KMSKeyID: keyHere}, backup.Spec{}, backup.ErrInvalid},
			{"an alias", s, backup.Destination{Region: elsewhere, KMSKeyID: strings.Replace(keyThere, "key/", "alias/", 1)}, backup.Spec{}, backup.ErrInvalid},
			{"options of another action", s, there, backup.Spec{Options: ebs.RestoreOptions{}}, backup.ErrInvalid},
			{"a pointer", s, there, backup.Spec{Options: &ebs.CopyOptions{}}, backup.ErrInvalid},
			{"a long description", s, there, backup.Spec{Options: ebs.CopyOptions{Description: strings.Repeat("x", 256)}}, backup.ErrInvalid},
			{"a name", s, there, backup.Spec{Name: "x"}, backup.ErrInvalid},
		} {
			c.spec.Token = "t"
			if _, err := c.s.StartCopy(t.Context(), point, c.to, c.spec); !errors.Is(err, c.code) || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if _, err := s.StartCopy(t.Context(), b.volume, there, backup.Spec{Token: "t"}); !errors.Is(err, backup.ErrInvalid) {
			t.Errorf("a volume: %v", err)
		}
		if n := len(b.world.Calls()) - before; n != 0 {
			t.Errorf("refusing made %d calls", n)
		}
		// A process that allows less does not send what another one started.
		op, err := s.StartCopy(t.Context(), point, there, backup.Spec{Token: "t"})
		narrow := anywhere(b.world.Config(account, region), func(o *ebs.Options) { o.CopyRegions = nil })
		if f, err := narrow.Preflight(t.Context(), op); err != nil || len(f) != 1 || f[0].Severity != backup.SeverityError {
			t.Errorf("%v %v", f, err)
		}
		want(t, finish(t, narrow, op, err), backup.PhaseFailed, backup.ErrInvalid)
		missing, err := s.StartCopy(t.Context(), ebs.Snapshot(account, region, "snap-0123456789abcdef0"), there, backup.Spec{Token: "t"})
		want(t, finish(t, s, missing, err), backup.PhaseFailed, backup.ErrNotFound)
		if n := count(b, "CopySnapshot"); n != 0 {
			t.Errorf("%d copies were sent", n)
		}
	})
}

// A key that can not be used is found before, where somebody can be asked, and named after, where nobody can.
func TestCopyKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, t.Context(), kmssim.Service())
		kms := awskms.NewFromConfig(b.world.Config(account, elsewhere))
		made, err := kms.CreateKey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		key := *made.KeyMetadata.Arn
		asking := anywhere(b.world.Config(account, region), func(o *ebs.Options) {
			o.DescribeKey = func(ctx context.Context, _, region, arn string) (string, error) {
				out, err := awskms.NewFromConfig(b.world.Config(account, region)).DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &arn})
				if err != nil {
					return "", err
				}
				return string(out.KeyMetadata.KeyState), nil
			}
		})
		blind := anywhere(b.world.Config(account, region))
		set := b.backedUp(t, t.Context(), b.instance)
		to := backup.Destination{Region: elsewhere, KMSKeyID: key}
		good := copyOf(t, asking, set, to, backup.Spec{Token: "1"})
		want(t, good, backup.PhaseSucceeded, "")
		sent := count(b, "CopySnapshot")
		if _, err := kms.DisableKey(t.Context(), &awskms.DisableKeyInput{KeyId: &key}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		op, err := asking.StartCopy(t.Context(), set, to, backup.Spec{Token: "2"})
		if f, err := asking.Preflight(t.Context(), op); err != nil || len(f) != 1 || f[0].Severity != backup.SeverityError || !strings.Contains(f[0].Message, "Disabled") {
			t.Errorf("%v %v", f, err)
		}
		want(t, finish(t, asking, op, err), backup.PhaseFailed, backup.ErrDenied)
		to.KMSKeyID = keyThere
		want(t, copyOf(t, asking, set, to, backup.Spec{Token: "3"}), backup.PhaseFailed, backup.ErrNotFound)
		if n := count(b, "CopySnapshot"); n != sent {
			t.Errorf("%d copies were sent", n-sent)
		}
		to.KMSKeyID = key
		late := copyOf(t, blind, set, to, backup.Spec{Token: "4"})
		want(t, late, backup.PhaseFailed, backup.ErrDenied)
		if !strings.Contains(late.Err().Error(), key) || !strings.Contains(late.Err().Error(), "not accessible") || len(late.Points) != 1 {
			t.Errorf("%v, listed %v", late.Err(), late.Points)
		}
	})
}

// Copies over the Region's limit wait for the others.
func TestCopiesQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		s := anywhere(b.world.Config(account, region))
		quotas := ec2sim.DefaultQuotas()
		quotas.CopiesPerRegion = 1
		b.ec2.SetQuotas(b.world, quotas)
		op := copyOf(t, s, b.backedUp(t, t.Context(), b.instance), there, backup.Spec{Token: "t"})
		want(t, op, backup.PhaseSucceeded, "")
		if n := count(b, "CopySnapshot"); n < 5 || n > 40 || !slices.Contains(findings(op), "ebs.not-yet") {
			t.Errorf("%d calls, findings %v", n, op.Findings)
		}
	})
}

// The finding says what the simulated EC2 does.
func TestFullCopiesAreFound(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		s := anywhere(b.world.Config(account, region))
		keyed := backup.Destination{Region: elsewhere, KMSKeyID: keyThere}
		var last backup.Operation
		for i, c := range []struct {
			name   string
			to     backup.Destination
			before func()
			full   bool
		}{
			{"the first in the Region", there, nil, true},
			{"the second", there, nil, false},
			{"under a key", keyed, nil, true},
			{"after the others were deleted", there, func() {
				for _, x := range b.ec2.Snapshots(b.world, account, elsewhere) {
					b.ec2.DeleteBehindBack(b.world, account, elsewhere, x.ID)
				}
			}, true},
			{"in its Region", backup.Destination{}, nil, false},
			{"in its Region under a key", backup.Destination{KMSKeyID: keyHere}, nil, true},
			{"in its Region under a key once more", backup.Destination{KMSKeyID: keyHere}, nil, false},
		} {
			if c.before != nil {
				c.before()
			}
			point := b.backedUp(t, t.Context(), b.volume)
			op, err := s.StartCopy(t.Context(), point, c.to, backup.Spec{Token: c.name})
			f, perr := s.Preflight(t.Context(), op)
			if foretold := slices.ContainsFunc(f, func(f backup.Finding) bool { return f.ID == "ebs.full-copy" }); perr != nil || foretold != c.full {
				t.Errorf("%s: preflight %v %v", c.name, f, perr)
			}
			last = finish(t, s, op, err)
			want(t, last, backup.PhaseSucceeded, "")
			if got := slices.Contains(findings(last), "ebs.full-copy"); got != c.full || b.copies(last, last.Points[0].Region)[0].Full != c.full {
				t.Errorf("%d %s: finding %v, in truth %v", i, c.name, got, b.copies(last, last.Points[0].Region)[0].Full)
			}
			time.Sleep(time.Hour)
		}
	})
}

func TestCopyCanceled(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps int
		sleep time.Duration
		phase backup.Phase
		left  int
	}{
		{"before anything", 0, 0, backup.PhaseCanceled, 0},
		{"planned", 1, 0, backup.PhaseCanceled, 0},
		{"one of three sent", 2, 0, backup.PhaseCanceled, 0},
		{"one of three complete", 2, 5 * time.Hour, backup.PhaseCanceled, 0},
		{"all sent", 4, 0, backup.PhaseCanceled, 0},
		{"all complete", 4, 5 * time.Hour, backup.PhaseSucceeded, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
				s := anywhere(b.world.Config(account, region))
				op, err := s.StartCopy(t.Context(), b.backedUp(t, t.Context(), b.instance), there, backup.Spec{Token: "t"})
				if err != nil {
					t.Fatal(err)
				}
				r, err := backup.NewRunner([]backup.Strategy{s})
				if err != nil {
					t.Fatal(err)
				}
				for range c.steps {
					if op, err = r.Step(t.Context(), op); err != nil {
						t.Fatal(err)
					}
				}
				time.Sleep(c.sleep)
				if op, err = s.Cancel(t.Context(), op); err != nil {
					t.Fatal(err)
				}
				op = finish(t, s, op, nil)
				want(t, op, c.phase, "")
				time.Sleep(5 * time.Hour)
				if left := b.copies(op, elsewhere); len(left) != c.left {
					t.Errorf("%d copies are left, listed %v", len(left), op.Points)
				}
			})
		})
	}
	for _, kind := range []awssim.FaultKind{awssim.FaultServerError, awssim.FaultLostReply} {
		t.Run("perhaps sent, "+kind.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
				s := anywhere(b.world.Config(account, region))
				point := b.backedUp(t, t.Context(), b.instance)
				b.world.SetLag(3 * time.Minute)
				b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Skip: 1, Kind: kind})
				op, err := s.StartCopy(t.Context(), point, there, backup.Spec{Token: "t"})
				r, rerr := backup.NewRunner([]backup.Strategy{s})
				if err != nil || rerr != nil {
					t.Fatal(err, rerr)
				}
				for err == nil {
					op, err = r.Step(t.Context(), op)
				}
				if op, err = s.Cancel(t.Context(), op); err != nil || !op.Settling {
					t.Fatalf("%v, settling %v", err, op.Settling)
				}
				op = finish(t, s, op, nil)
				want(t, op, backup.PhaseCanceled, backup.ErrCanceled)
				time.Sleep(5 * time.Hour)
				if left := b.copies(op, elsewhere); len(left) != 0 || count(b, "CopySnapshot") != 2 {
					t.Errorf("%d copies are left of %d", len(left), count(b, "CopySnapshot"))
				}
			})
		})
	}
}

// What is copied of a set that goes away, or of one that is refused, is kept and called partial.
func TestCopyPartial(t *testing.T) {
	for _, c := range []struct {
		name   string
		break_ func(b *bench, members []backup.Member)
		good   int
		phase  backup.Phase
		code   backup.Code
	}{
		{"a member is deleted meanwhile", func(b *bench, m []backup.Member) {
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Skip: 1, Kind: awssim.FaultThrottle, Do: func() {
				for _, x := range m {
					b.ec2.DeleteBehindBack(b.world, account, region, x.ID)
				}
			}})
		}, 1, backup.PhasePartial, backup.ErrPartial},
		{"the second is refused", func(b *bench, _ []backup.Member) {
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Skip: 1, Kind: awssim.FaultError, Error: awssim.Error{Code: "SnapshotLimitExceeded", Message: "no"}})
		}, 1, backup.PhasePartial, backup.ErrPartial},
		{"the second is not known yet where it goes", func(b *bench, _ []backup.Member) {
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Skip: 1, Times: 3, Kind: awssim.FaultError, Error: awssim.Error{Code: "InvalidSnapshot.NotFound", Message: "no"}})
		}, 3, backup.PhaseSucceeded, ""},
		{"the first is refused", func(b *bench, _ []backup.Member) {
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Kind: awssim.FaultError, Error: awssim.Error{Code: "UnauthorizedOperation", Message: "no"}})
		}, 0, backup.PhaseFailed, backup.ErrDenied},
		{"the second fails", func(b *bench, _ []backup.Member) {
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Skip: 1, Kind: awssim.FaultAsync})
		}, 2, backup.PhasePartial, backup.ErrPartial},
		{"one was never there", func(b *bench, m []backup.Member) { b.ec2.DeleteBehindBack(b.world, account, region, m[0].ID) }, 2, backup.PhasePartial, backup.ErrPartial},
		{"a copy is deleted behind its back", func(b *bench, _ []backup.Member) {
			b.world.Inject(awssim.Fault{Operation: "CopySnapshot", Skip: 2, Kind: awssim.FaultThrottle, Do: func() {
				for _, x := range b.ec2.Snapshots(b.world, account, elsewhere) {
					b.ec2.DeleteBehindBack(b.world, account, elsewhere, x.ID)
				}
			}})
		}, 1, backup.PhasePartial, backup.ErrPartial},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
				s := anywhere(b.world.Config(account, region))
				point := b.backedUp(t, t.Context(), b.instance)
				c.break_(b, listed(t, s, backup.Query{Region: region, Point: point})[0].Members)
				op := copyOf(t, s, point, there, backup.Spec{Token: "t", Options: ebs.CopyOptions{AllowPartial: true, NoTags: true}})
				want(t, op, c.phase, c.code)
				good := 0
				for _, x := range b.copies(op, elsewhere) {
					if x.State == "completed" {
						good++
					}
				}
				if all := listed(t, s, backup.Query{Region: elsewhere}); good != c.good || good > 0 && (len(all) != 1 || (all[0].Status == backup.StatusPartial) != (c.phase == backup.PhasePartial) || all[0].Ref != op.Points[0]) {
					t.Errorf("%d good, listed %v as %+v", good, op.Points, all)
				}
			})
		})
	}
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		s := anywhere(b.world.Config(account, region))
		point := b.backedUp(t, t.Context(), b.instance)
		b.ec2.DeleteBehindBack(b.world, account, region, listed(t, s, backup.Query{Region: region, Point: point})[0].Members[0].ID)
		want(t, copyOf(t, s, point, there, backup.Spec{Token: "t"}), backup.PhaseFailed, backup.ErrUnsupported)
	})
}

// Two processes without a Store may copy twice; what is surplus is listed, and the set of copies can be used all the same.
func TestUnstoredSurplusCopies(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		point := b.backedUp(t, t.Context(), b.instance)
		b.world.SetLag(time.Minute)
		ops := make(chan backup.Operation, 2)
		for range 2 {
			go func() {
				ops <- copyOf(t, anywhere(b.world.Config(account, region)), point, there, backup.Spec{Token: "t"})
			}()
		}
		first, second := <-ops, <-ops
		if n := len(b.copies(first, elsewhere)); n != 6 {
			t.Fatalf("%d copies: the race that this test is about did not happen", n)
		}
		for _, op := range []backup.Operation{first, second} {
			want(t, op, backup.PhaseSucceeded, "")
			if len(op.Points) != 4 || !slices.Contains(findings(op), "ebs.surplus") {
				t.Errorf("points %v, findings %v", op.Points, op.Findings)
			}
		}
		s := anywhere(b.world.Config(account, region))
		if all := listed(t, s, backup.Query{Region: elsewhere}); len(all) != 1 || all[0].Status != backup.StatusAvailable || len(all[0].Members) != 3 {
			t.Errorf("%+v", all)
		}
		want(t, copyOf(t, s, point, there, backup.Spec{Token: "t"}), backup.PhaseSucceeded, "")
		if n := len(b.copies(first, elsewhere)); n != 6 {
			t.Errorf("a third start made %d", n)
		}
		del, err := s.StartDelete(t.Context(), first.Points[0], backup.Spec{Token: "d"})
		want(t, finish(t, s, del, err), backup.PhaseSucceeded, "")
		if n := len(b.copies(first, elsewhere)); n != 0 {
			t.Errorf("%d copies are left", n)
		}
	})
}

// Of two copies that were made for the same work, each that looks takes the older one.
func TestTheOldestCopyIsTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		s := anywhere(b.world.Config(account, region))
		point := b.backedUp(t, t.Context(), b.volume)
		first := copyOf(t, s, point, there, backup.Spec{Token: "t"})
		x := b.copies(first, elsewhere)[0]
		c := awsec2.NewFromConfig(b.world.Config(account, elsewhere))
		if _, err := c.CopySnapshot(t.Context(), &awsec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: &point.ID, TagSpecifications: tagsAs(x.Tags)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Hour)
		second := copyOf(t, s, point, there, backup.Spec{Token: "t"})
		want(t, second, backup.PhaseSucceeded, "")
		if second.Points[0] != first.Points[0] || len(second.Points) != 2 || !slices.Contains(findings(second), "ebs.surplus") {
			t.Errorf("first %v, second %v, findings %v", first.Points, second.Points, second.Findings)
		}
	})
}

// A copy under another key than the one that was asked for is no success.
func TestCopyUnderTheWrongKey(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, _ *ebs.Strategy) {
		cfg := b.world.Config(account, region)
		cfg.APIOptions = append([]func(*middleware.Stack) error{func(stack *middleware.Stack) error {
			return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("LoseKey", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
				if c, ok := in.Parameters.(*awsec2.CopySnapshotInput); ok {
					c.KmsKeyId = nil
				}
				return next.HandleInitialize(ctx, in)
			}), middleware.Before)
		}}, cfg.APIOptions...)
		op := copyOf(t, ebs.NewFromConfig(cfg), b.backedUp(t, t.Context(), b.volume), backup.Destination{KMSKeyID: keyHere}, backup.Spec{Token: "t"})
		want(t, op, backup.PhaseFailed, backup.ErrFailed)
		if len(op.Points) != 1 || !strings.Contains(op.Err().Error(), keyHere) {
			t.Errorf("%v, listed %v", op.Err(), op.Points)
		}
	})
}

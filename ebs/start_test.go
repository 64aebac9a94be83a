package ebs_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/ebs"
)

func TestStartRefusesWithoutACall(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		calls := len(b.world.Calls())
		ok := backup.Spec{Token: "t"}
		restore := backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a"}}
		snap := ebs.Snapshot(account, region, "snap-0123456789abcdef0")
		set := ebs.Set(account, region, "set-x-1")
		with := func(f func(*backup.Spec)) backup.Spec { s := ok; f(&s); return s }
		for _, c := range []struct {
			name  string
			start func() (backup.Operation, error)
		}{
			{"an empty ref", func() (backup.Operation, error) { return s.Start(t.Context(), backup.Ref{}, ok) }},
			{"a foreign type", func() (backup.Operation, error) {
				return s.Start(t.Context(), backup.Ref{Type: "rds/instance", Account: account, Region: region, ID: "db"}, ok)
			}},
			{"a snapshot to back up", func() (backup.Operation, error) { return s.Start(t.Context(), snap, ok) }},
			{"another Region", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume(account, "eu-west-2", "vol-0123456789abcdef0"), ok)
			}},
			{"a Region that does not exist", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume(account, "europe", "vol-0123456789abcdef0"), ok)
			}},
			{"a wrong account id", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume("1234", region, "vol-0123456789abcdef0"), ok)
			}},
			{"a volume id of the wrong form", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume(account, region, "vol-xyz"), ok)
			}},
			{"a wildcard", func() (backup.Operation, error) {
				return s.Start(t.Context(), ebs.Volume(account, region, "vol-*"), ok)
			}},
			{"no token", func() (backup.Operation, error) { return s.Start(t.Context(), b.volume, backup.Spec{}) }},
			{"a name", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Name = "x" }))
			}},
			{"a reserved tag", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Tags = map[string]string{"snapwarden:owner": "me"} }))
			}},
			{"an aws tag", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Tags = map[string]string{"AWS:x": "me"} }))
			}},
			{"options of a restore", func() (backup.Operation, error) { return s.Start(t.Context(), b.volume, restore) }},
			{"options by pointer", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Options = &ebs.BackupOptions{} }))
			}},
			{"an exclusion for a volume", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Options = ebs.BackupOptions{ExcludeBoot: true} }))
			}},
			{"a misspelt exclusion", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.instance, with(func(s *backup.Spec) { s.Options = ebs.BackupOptions{ExcludeVolumes: []string{"vol"}} }))
			}},
			{"41 exclusions", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.instance, with(func(s *backup.Spec) {
					s.Options = ebs.BackupOptions{ExcludeVolumes: slices.Repeat([]string{"vol-0123456789abcdef0"}, 41)}
				}))
			}},
			{"a long description", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.instance, with(func(s *backup.Spec) { s.Options = ebs.BackupOptions{Description: strings.Repeat("x", 256)} }))
			}},
			{"a negative timeout", func() (backup.Operation, error) {
				return s.Start(t.Context(), b.volume, with(func(s *backup.Spec) { s.Timeout = -1 }))
			}},
			{"a restore without options", func() (backup.Operation, error) { return s.StartRestore(t.Context(), snap, ok) }},
			{"a restore of a volume", func() (backup.Operation, error) { return s.StartRestore(t.Context(), b.volume, restore) }},
			{"a zone of another Region", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "us-east-1a"}})
			}},
			{"a size for a set", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), set, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", SizeGiB: 9}})
			}},
			{"a negative size", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", SizeGiB: -9}})
			}},
			{"a slow initialization", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", InitializationRate: 5}})
			}},
			{"a key id", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", KMSKeyID: "alias/x"}})
			}},
			{"a strange type", func() (backup.Operation, error) {
				return s.StartRestore(t.Context(), snap, backup.Spec{Token: "t", Options: ebs.RestoreOptions{Zone: "eu-west-1a", VolumeType: "gp 3"}})
			}},
			{"a deletion of an instance", func() (backup.Operation, error) { return s.StartDelete(t.Context(), b.instance, ok) }},
			{"a set without its form", func() (backup.Operation, error) { return s.StartDelete(t.Context(), ebs.Set(account, region, "x"), ok) }},
			{"deletion options by pointer", func() (backup.Operation, error) {
				return s.StartDelete(t.Context(), snap, with(func(s *backup.Spec) { s.Options = &ebs.DeleteOptions{} }))
			}},
		} {
			_, err := c.start()
			if !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
				t.Errorf("%s: %v", c.name, err)
			}
		}
		if n := len(b.world.Calls()) - calls; n != 0 {
			t.Errorf("%d calls were made", n)
		}
	})
}

func TestWrongAccountIsRefusedBeforeAnyEC2Call(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ebs.Strategy) {
		calls := len(b.world.Calls())
		op, err := s.Start(t.Context(), ebs.Volume("999988887777", region, b.volume.ID), backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if next, err := s.Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) || next.Phase != backup.PhasePending {
			t.Errorf("%v %s", err, next.Phase)
		}
		for _, err := range s.List(t.Context(), backup.Query{Account: "999988887777", Region: region}) {
			if !errors.Is(err, backup.ErrInvalid) {
				t.Error(err)
			}
		}
		// Known from the start where it is given.
		given := ebs.NewFromConfig(b.world.Config(account, region), func(o *ebs.Options) { o.Account = account })
		if _, err := given.Start(t.Context(), op.Ref, backup.Spec{Token: "t"}); !errors.Is(err, backup.ErrInvalid) {
			t.Error(err)
		}
		if n := len(b.world.Calls()) - calls; n != 0 {
			t.Errorf("%d calls were made", n)
		}
	})
}

func TestProviderAndUnknownStage(t *testing.T) {
	none := errors.New("no role in that account")
	s := ebs.New(func(context.Context, string, string) (*awsec2.Client, error) { return nil, none })
	op, err := s.Start(t.Context(), ebs.Volume(account, region, "vol-0123456789abcdef0"), backup.Spec{Token: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Step(t.Context(), op); !errors.Is(err, none) || !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
	world := awssim.New(ec2sim.Service())
	good := ebs.NewFromConfig(world.Config(account, region))
	op.Stage = "from the future"
	if _, err := good.Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
	op.State = []byte(`{"r":"x"}`)
	if _, err := good.Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
	op.Action = backup.ActionShare
	if _, err := good.Step(t.Context(), op); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("an action that does not belong to the id: %v", err)
	}
}

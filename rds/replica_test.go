package rds_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/rds"
)

func TestChooseReplica(t *testing.T) {
	for name, tt := range map[string]struct {
		lags map[string]time.Duration
		most time.Duration
		act  func(b *bench)
		want string
		code backup.Code
		why  string
	}{
		"the least behind":   {lags: map[string]time.Duration{"r-1": 9 * time.Second, "r-2": 3 * time.Second, "r-3": 20 * time.Second}, want: "r-2"},
		"none behind at all": {lags: map[string]time.Duration{"r-1": 0, "r-2": 3 * time.Second}, want: "r-1"},
		"not known":          {lags: map[string]time.Duration{"r-1": -1, "r-2": -1, "r-3": 5 * time.Second}, want: "r-3"},
		"too far":            {lags: map[string]time.Duration{"r-1": time.Hour, "r-2": 61 * time.Second, "r-3": -1}, code: backup.ErrUnavailable, why: "r-2 is 1m1s behind"},
		"busy": {lags: map[string]time.Duration{"r-1": 9 * time.Second, "r-2": 3 * time.Second, "r-3": time.Hour}, want: "r-1", act: func(b *bench) {
			b.db.SetStatus(b.world, account, region, "r-2", "modifying", time.Hour)
		}},
		"stopped replication": {lags: map[string]time.Duration{"r-1": 9 * time.Second, "r-2": 3 * time.Second, "r-3": time.Hour}, want: "r-1", act: func(b *bench) {
			b.db.StopReplication(b.world, account, region, "r-2")
		}},
		"a lag that can not be read": {lags: map[string]time.Duration{"r-3": 3 * time.Second}, want: "r-3"},
		"none can be read":           {code: backup.ErrUnavailable, why: "no metric"},
		"gone": {lags: map[string]time.Duration{"r-1": 9 * time.Second, "r-2": 3 * time.Second}, want: "r-1", act: func(b *bench) {
			b.drop("r-2")
			time.Sleep(time.Hour)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, b *bench) {
				for _, id := range []string{"r-1", "r-2", "r-3"} {
					b.create(id)
					b.db.MakeReplica(b.world, account, region, id, "orders")
				}
				if tt.act != nil {
					tt.act(b)
				}
				s := b.strategy()
				lag := func(_ context.Context, r backup.Ref) (time.Duration, error) {
					d, ok := tt.lags[r.ID]
					if !ok {
						return 0, errors.New("no metric")
					}
					return d, nil
				}
				got, behind, err := s.ChooseReplica(b.ctx, b.orders, rds.ReplicaOptions{Lag: lag, Most: time.Minute})
				if backup.CodeOf(err) != tt.code || tt.code == "" && (got != rds.Instance(account, region, tt.want) || behind != tt.lags[tt.want]) {
					t.Fatalf("%v, %v, %v", got, behind, err)
				}
				if tt.code != "" {
					if !strings.Contains(err.Error(), tt.why) || backup.HintOf(err) == "" {
						t.Error(err)
					}
					return
				}
				// A replica that is not needed afterwards is backed up and deleted in one.
				op, err := s.StartDeleteDatabase(b.ctx, got, backup.Spec{Token: "t", Options: confirmed(got)})
				op = b.run(s, op, err)
				ended(t, op, "")
				if p := point1(t, b, s, op.Points[0]); p.Source != got {
					t.Errorf("%+v", p)
				}
			})
		})
	}
}

func TestChooseReplicaRefused(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		s := b.strategy()
		good := rds.ReplicaOptions{Lag: func(context.Context, backup.Ref) (time.Duration, error) { return 0, nil }, Most: time.Minute}
		for name, tt := range map[string]struct {
			ref  backup.Ref
			o    rds.ReplicaOptions
			want backup.Code
		}{
			"no replica":  {b.orders, good, backup.ErrNotFound},
			"no instance": {rds.Instance(account, region, "nothing"), good, backup.ErrNotFound},
			"no lag":      {b.orders, rds.ReplicaOptions{Most: time.Minute}, backup.ErrInvalid},
			"no limit":    {b.orders, rds.ReplicaOptions{Lag: good.Lag}, backup.ErrInvalid},
			"a cluster":   {mainCluster, good, backup.ErrInvalid},
			"nothing":     {backup.Ref{}, good, backup.ErrInvalid},
			"elsewhere":   {rds.Instance(account, far, "orders"), good, backup.ErrInvalid},
		} {
			if r, _, err := s.ChooseReplica(b.ctx, tt.ref, tt.o); backup.CodeOf(err) != tt.want || !r.IsZero() {
				t.Errorf("%s: %v %v", name, r, err)
			}
		}
		b.create("r-1")
		b.db.MakeReplica(b.world, account, region, "r-1", "orders")
		canceled := good
		canceled.Lag = func(context.Context, backup.Ref) (time.Duration, error) { return 0, context.Canceled }
		if _, _, err := s.ChooseReplica(b.ctx, b.orders, canceled); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		b.world.Inject(awssim.Fault{Operation: "DescribeDBInstances", Skip: 1, Times: -1, Kind: awssim.FaultServerError})
		if _, _, err := s.ChooseReplica(b.ctx, b.orders, good); !errors.Is(err, backup.ErrUnavailable) {
			t.Error(err)
		}
	})
}

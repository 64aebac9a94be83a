// This program backs up a database with a Strategy of its own, restores it and deletes the backup, with everything that the library brings:
// a Runner, a Store that survives a crash, and an Observer.
//
//	go run ./examples/ownstrategy
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/examples/ownstrategy/dump"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "ownstrategy")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	dumps := filepath.Join(dir, "dumps")
	if err := os.Mkdir(dumps, 0o700); err != nil {
		return err
	}

	server := &dump.Server{}
	server.Set("orders", "4711", "two apples")
	strategy := &dump.Strategy{Server: server, Dir: dumps, Account: "111122223333", Region: "eu-west-1"}

	store, err := backup.OpenFileStore(filepath.Join(dir, "operations"))
	if err != nil {
		return err
	}
	runner, err := backup.NewRunner([]backup.Strategy{strategy}, func(o *backup.RunnerOptions) {
		o.Store = store
		o.Observer = backup.ObserverFunc(func(_ context.Context, e backup.Event) {
			if e.Type == backup.EventFinished {
				fmt.Println(e.Operation.Action, e.Operation.Ref.ID, e.Operation.Phase)
			}
		})
	})
	if err != nil {
		return err
	}

	// The token says which work it is: whoever starts tonight's backup again gets tonight's backup, and not a second one.
	orders := strategy.Ref(dump.TypeDatabase, "orders")
	made, err := strategy.Start(ctx, orders, backup.Spec{Token: backup.NewToken(orders, "2026-11-20")})
	if err != nil {
		return err
	}
	if made, err = runner.Run(ctx, made); err != nil {
		return err
	}
	for point, err := range strategy.List(ctx, backup.Query{Account: orders.Account, Region: orders.Region, Source: orders}) {
		if err != nil {
			return err
		}
		fmt.Println("found", point.ID, "of", point.Source.ID, point.Status)
	}

	restore, err := strategy.StartRestore(ctx, made.Points[0], backup.Spec{Token: "rehearsal", Name: "orders-rehearsal"})
	if err != nil {
		return err
	}
	if restore, err = runner.Run(ctx, restore); err != nil {
		return err
	}
	values, _ := server.Get(restore.Made[0].ID)
	fmt.Println(restore.Made[0].ID, "has", values)

	remove, err := strategy.StartDelete(ctx, made.Points[0], backup.Spec{Token: "retention"})
	if err != nil {
		return err
	}
	_, err = runner.Run(ctx, remove)
	return err
}

package main

import (
	"context"
	"fmt"
	"time"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/swap"
	"github.com/snapwarden/snapwarden/elasticache"
)

// process is one life of a program that restores: its strategies, and a Runner that keeps what it does in the Store.
type process struct {
	volumes *ebs.Strategy
	swaps   *swap.Strategy
	caches  *elasticache.Strategy
	runner  *backup.Runner
}

// start begins a life. All of them have the same Store; in production the settings of the strategies are left alone: these are for an AWS that
// is 100,000 times as fast.
func (c *cloud) start(optFns ...func(*backup.RunnerOptions)) (*process, error) {
	store, err := backup.OpenFileStore(c.dir)
	if err != nil {
		return nil, err
	}
	const soon, settle = 20 * time.Millisecond, 5 * time.Second
	cfg := c.config()
	p := &process{
		volumes: ebs.NewFromConfig(cfg, func(o *ebs.Options) {
			o.Account, o.Quiescer = account, c.host
			o.PollMin, o.PollMax, o.Park, o.Settle = soon, soon, soon, settle
		}),
		swaps: swap.NewFromConfig(cfg, func(o *swap.Options) {
			o.Account, o.Hooks = account, c.host
			o.PollMin, o.PollMax, o.Park, o.Settle = soon, soon, soon, settle
		}),
		caches: elasticache.NewFromConfig(cfg, func(o *elasticache.Options) {
			o.Account = account
			o.PollMin, o.PollMax, o.Park, o.Settle = soon, soon, soon, settle
		}),
	}
	optFns = append([]func(*backup.RunnerOptions){func(o *backup.RunnerOptions) { o.Store = store }}, optFns...)
	p.runner, err = backup.NewRunner([]backup.Strategy{p.volumes, p.swaps, p.caches}, optFns...)
	return p, err
}

// run carries an Operation to its end. How the work went is in the Operation; the error is for work that has no end.
func (p *process) run(ctx context.Context, op backup.Operation, err error) (backup.Operation, error) {
	if err != nil {
		return op, err
	}
	op, err = p.runner.Run(ctx, op)
	if err != nil && !op.Done() {
		return op, err
	}
	return op, nil
}

// finish is run for work that must succeed.
func (p *process) finish(ctx context.Context, op backup.Operation, err error) (backup.Operation, error) {
	if op, err = p.run(ctx, op, err); err != nil {
		return op, err
	}
	return op, op.Err()
}

// mortal shortens the lease of a process that is going to be killed: others wait for its end, and some seconds more, before they take over.
func mortal(o *backup.RunnerOptions) { o.StepTimeout, o.LeaseTTL = 500*time.Millisecond, time.Second }

// untilKilled runs an Operation in a process that dies at it. Nothing of the process is left but what it stored.
func (p *process) untilKilled(ctx context.Context, op backup.Operation) (killed awssim.Killed, err error) {
	defer func() {
		switch x := recover().(type) {
		case nil:
		case awssim.Killed:
			killed, err = x, nil
		default:
			panic(x)
		}
	}()
	op, err = p.run(ctx, op, nil)
	if err == nil {
		err = fmt.Errorf("the process was to be killed, and ended: %s", op.Phase)
	}
	return killed, err
}

// resume is what a program does when it starts: it asks for what was begun, and carries that on. There is one such Operation here, and
// it must succeed.
func (p *process) resume(ctx context.Context, out *report) (op backup.Operation, err error) {
	n := 0
	for begun, err := range p.runner.Unfinished(ctx) {
		if err != nil {
			return op, err
		}
		next := "only reads next"
		if begun.Next != "" {
			next = fmt.Sprintf("next is %s, of which %d may have been sent", begun.Next, begun.Attempt)
		}
		out.line("a new one", "finds %s of the %s unfinished, in stage %q; %s", begun.Action, begun.Ref.Type, begun.Stage, next)
		op = begun
		n++
	}
	if n != 1 {
		return op, fmt.Errorf("%d operations are unfinished", n)
	}
	return p.runner.Await(ctx, op)
}

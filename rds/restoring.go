package rds

import (
	"context"

	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/snapwarden/snapwarden/backup"
)

// restoring is what the restores of instances and of clusters, from snapshots and to points in time, do each in its own way. S is their state.
type restoring[S any] struct {
	// look looks at what is restored, which arms the call or waits; send makes the call; watch waits for what it makes.
	look, send, watch func(ctx context.Context, c *awsrds.Client, op backup.Operation, st S) (backup.Operation, error)
	// adopt takes over what has the name, if this Operation made it.
	adopt func(ctx context.Context, c *awsrds.Client, op backup.Operation, st *S) (backup.Operation, bool, error)
	// target is what is made, and whether RDS said that its name is taken; option is what chooses the name.
	target func(op backup.Operation, st S) (name backup.Ref, taken bool)
	option string
}

// carry carries a restore on.
func (k restoring[S]) carry(ctx context.Context, s *Strategy, c *awsrds.Client, op backup.Operation) (backup.Operation, error) {
	var st S
	if err := op.GetState(&st); err != nil {
		return op, err
	}
	switch op.Stage {
	case stageLook:
		return k.look(ctx, c, op, st)
	case stagePark:
		return s.parked(op, stageLook), nil
	case stageCreate:
		switch op.Intent() {
		case backup.Send:
			return k.send(ctx, c, op, st)
		case backup.LookOnce:
			if next, ok, err := k.adopt(ctx, c, op, &st); ok || err != nil {
				return next, err
			}
			return k.send(ctx, c, op, st)
		case backup.Settle:
			op.Settle(stageSettle)
		}
		return op, nil
	case stageSettle:
		next, ok, err := k.adopt(ctx, c, op, &st)
		if ok || err != nil {
			return next, err
		}
		if err := op.SetState(st); err != nil {
			return op, err
		}
		name, taken := k.target(op, st)
		return s.unsettled(op, stageLook, taken, name, k.option), nil
	case stageWait:
		return k.watch(ctx, c, op, st)
	}
	return op, unknownStage(op)
}

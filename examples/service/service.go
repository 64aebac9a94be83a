package main

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/backupzap"
)

// sweepEvery is how often the service looks for stored backups that nobody waits for.
const sweepEvery = 5 * time.Minute

// service starts backups, waits for them, and takes up again what is unfinished. Everything that must survive is in the store.
//
// Each running backup has a goroutine that waits for it. A goroutine costs some kilobytes and a call to AWS every 5 to 60 seconds, which
// does for hundreds of backups, and so nothing limits their number. For thousands, the calls rather than the goroutines would be too
// many: AWS would throttle them, and they would have to be looked at many in one call.
type service struct {
	store   backup.Store
	runner  *backup.Runner
	targets map[string]backup.Strategy // by the type of Ref that they back up
	log     *zap.Logger

	waits context.Context // ends when the service is closed, and with it all waiting
	stop  context.CancelFunc
	tasks sync.WaitGroup

	mu      sync.Mutex // guards what follows, and is never held across a call
	closed  bool
	waiting map[string]bool  // by operation id: a goroutine waits for it
	blocked map[string]error // by operation id: why nobody waits for it at present
}

func newService(store backup.Store, targets map[string]backup.Strategy, log *zap.Logger) (*service, error) {
	byKind := map[string]backup.Strategy{}
	for _, s := range targets {
		byKind[s.Kind()] = s
	}
	runner, err := backup.NewRunner(slices.Collect(maps.Values(byKind)), func(o *backup.RunnerOptions) {
		o.Store = store
		o.Observer = backupzap.New(log)
	})
	if err != nil {
		return nil, err
	}
	s := &service{store: store, runner: runner, targets: targets, log: log, waiting: map[string]bool{}, blocked: map[string]error{}}
	s.waits, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// start begins the backup of a resource for a slot. The same resource and slot always give the same operation, however often they are asked
// for and by whichever process: it may have ended long ago.
func (s *service) start(ctx context.Context, ref backup.Ref, slot string) (backup.Operation, error) {
	strategy, err := s.target(ref)
	if err != nil {
		return backup.Operation{}, err
	}
	op, err := strategy.Start(ctx, ref, backup.Spec{Token: backup.NewToken(ref, slot)})
	if err != nil {
		return op, err
	}
	op, err = s.runner.Start(ctx, op)
	if err != nil {
		// Perhaps it was stored all the same. Then the next sweep finds it.
		return op, err
	}
	if !op.Done() {
		s.wait(op)
	}
	return op, nil
}

// resume takes up what is unfinished, now and every few minutes. The later sweeps find what other processes on this folder left behind when
// they died, and backups whose waiting ended with an error that somebody may have mended by now, such as a missing permission.
func (s *service) resume() {
	s.tasks.Go(func() {
		for {
			for op, err := range s.runner.Unfinished(s.waits) {
				switch {
				case s.waits.Err() != nil:
					return
				case err != nil:
					s.log.Error("a stored operation can not be read", zap.Error(err), zap.String("hint", backup.HintOf(err)))
				default:
					s.wait(op)
				}
			}
			select {
			case <-s.waits.Done():
				return
			case <-time.After(sweepEvery):
			}
		}
	})
}

// wait sees that one goroutine waits for the operation.
func (s *service) wait(op backup.Operation) {
	s.mu.Lock()
	if s.waiting[op.ID] {
		s.mu.Unlock()
		return
	}
	if s.closed {
		s.mu.Unlock()
		_, _ = s.runner.Await(s.waits, op) // the context has ended: this only gives the operation back
		return
	}
	defer s.mu.Unlock()
	s.waiting[op.ID] = true
	delete(s.blocked, op.ID)
	s.tasks.Go(func() {
		op, err := s.runner.Await(s.waits, op)
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.waiting, op.ID)
		if op.Done() || s.waits.Err() != nil {
			return // how it ended is logged by the observer and kept in the store
		}
		s.blocked[op.ID] = err
		s.log.Warn("the waiting is interrupted and will be tried again", zap.String("id", op.ID), zap.Duration("after", sweepEvery), zap.Error(err))
	})
}

// cancel asks for the work to be stopped. The operation has not ended then: it is awaited until what was made is gone.
func (s *service) cancel(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	op, err := s.runner.Cancel(ctx, op)
	if err == nil {
		s.wait(op)
	}
	return op, err
}

// blockedBy gives the error that interrupted the waiting for an operation, if it is interrupted.
func (s *service) blockedBy(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blocked[id]
}

// close ends the waiting and gives the operations back, so that the next process can take them up at once.
func (s *service) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.stop()
	s.tasks.Wait()
}

package backuptest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// vaultStrategy is a whole Strategy with all abilities, and with at most one bug.
type vaultStrategy struct {
	v      *vault
	bug    string
	starts backup.Action // what Start starts
	boot   int
	ids    map[string]backup.Ref // for the bug that keeps in memory what belongs into the Operation
	last   backup.Operation      // for the bug that keeps its work in the Strategy
	n      int
}

func (s *vaultStrategy) is(bug string) bool { return s.bug == bug }

func (s *vaultStrategy) Kind() string {
	if s.is("has another kind in each process") {
		return fmt.Sprint("vault-", s.boot)
	}
	return "vault"
}

func (s *vaultStrategy) fail(op backup.Operation, code backup.Code, format string, args ...any) error {
	if s.is("gives errors without a type") {
		return fmt.Errorf(format, args...)
	}
	return &backup.Error{Op: string(op.Action), Kind: "vault", Ref: op.Ref, Code: code, Err: fmt.Errorf(format, args...)}
}

func (s *vaultStrategy) place(account, region string) error {
	if account != "111122223333" || region != "eu-west-1" {
		return s.fail(backup.Operation{}, backup.ErrInvalid, "the vault has no account %q in Region %q", account, region)
	}
	return nil
}

// begin makes an Operation for a Ref of one type.
func (s *vaultStrategy) begin(action backup.Action, r backup.Ref, spec backup.Spec, kind string) (backup.Operation, error) {
	if s.is("calls the service to start") {
		_, _, _ = s.v.list(context.Background(), "database", 0)
	}
	given := spec
	if s.is("takes options that it does not know") {
		given.Options = nil
	}
	op, err := backup.NewOperation(s.Kind(), action, r, given)
	if err != nil {
		return op, err
	}
	switch {
	case r.Type != "vault/"+kind && !s.is("deletes what is no recovery point"):
		return op, s.fail(op, backup.ErrInvalid, "the type %q", r.Type)
	case !s.is("takes any identifier") && (!strings.HasPrefix(r.ID, strings.TrimPrefix(r.Type, "vault/")+"-") || len(r.ID) != len(r.Type)-len("vault/")+4):
		return op, s.fail(op, backup.ErrInvalid, "the id %q", r.ID)
	case spec.Name != "" && !s.is("ignores a name"):
		return op, s.fail(op, backup.ErrInvalid, "the vault has no names")
	}
	if o, ok := spec.Options.(allow); ok {
		if err := op.SetState(o.foreign); err != nil {
			return op, err
		}
	} else if spec.Options != nil && !s.is("takes options that it does not know") {
		return op, s.fail(op, backup.ErrInvalid, "options of type %T", spec.Options)
	}
	if err := s.place(r.Account, r.Region); err != nil && !s.is("serves everybody") {
		return op, err
	}
	op.Stage = "look"
	switch s.bug {
	case "keeps the caller's tags":
		op.Tags = spec.Tags
	case "makes an ID of its own":
		op.ID = "op-" + fmt.Sprint(time.Now().UnixNano(), s.n)
		s.n++
	case "drops the owner":
		op.Owner = backup.DefaultOwner
	case "makes Operations that are too long":
		return op, op.SetState(strings.Repeat("x", backup.MaxOperationBytes))
	case "sends before it has looked":
		op.Next, op.Stage = "Create", "create"
	}
	return op, nil
}

func (s *vaultStrategy) Start(_ context.Context, r backup.Ref, spec backup.Spec) (backup.Operation, error) {
	if s.starts == backup.ActionBackup {
		return s.begin(s.starts, r, spec, "database")
	}
	switch {
	case s.is("drops tags without a word"):
		spec.Tags = nil
	case len(spec.Tags) > copyTags, s.starts == backup.ActionExport && len(spec.Tags) > 0:
		return backup.Operation{}, s.fail(backup.Operation{Action: s.starts, Ref: r}, backup.ErrInvalid, "the files have no such tags")
	case s.is("starts a backup all the same"):
		return s.begin(backup.ActionBackup, r, spec, "database")
	}
	return s.begin(s.starts, r, spec, "database")
}

func (s *vaultStrategy) StartDelete(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return s.begin(backup.ActionDelete, point, spec, "point")
}

func (s *vaultStrategy) StartRestore(_ context.Context, point backup.Ref, spec backup.Spec) (backup.Operation, error) {
	return s.begin(backup.ActionRestore, point, spec, "point")
}

func (s *vaultStrategy) Step(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	err := op.Check(s.Kind())
	switch {
	case err == nil:
	case s.is("steps what was changed") && backup.CodeOf(err) == backup.ErrInvalid && op.Version == 1:
	case s.is("steps what a newer release wrote") && backup.CodeOf(err) == backup.ErrUnsupported:
	case s.is("steps Operations of other kinds") && op.Kind != s.Kind():
	default:
		return op, err
	}
	if op.Done() {
		if s.is("looks at what is finished") {
			_, _, _ = s.v.get(ctx, op.Ref)
		}
		if s.is("stamps what is finished") {
			op.Updated = time.Now().UTC().Add(time.Second)
		}
		return op, nil
	}
	switch op.Action {
	case s.starts, backup.ActionRestore, backup.ActionDelete:
	default:
		return op, s.fail(op, backup.ErrUnsupported, "the vault can not %s", op.Action)
	}
	switch {
	case s.is("refuses to be asked too early") && time.Now().Before(op.Poll):
		return op, s.fail(op, backup.ErrInvalid, "it is too early")
	case s.is("makes it again after its deadline") && op.Stage == "wait" && time.Now().After(op.Deadline) && len(op.Points)+len(op.Made) < 2:
		op.To("create", "Create")
		return op, nil
	}
	next, err := op, error(nil)
	switch op.Stage {
	case "look":
		next, err = s.look(ctx, op)
	case "create":
		next, err = s.create(ctx, op)
	case "settle":
		next, err = s.settle(ctx, op)
	case "wait":
		next, err = s.wait(ctx, op)
	case "delete":
		next, err = s.remove(ctx, op)
	case "stop":
		next.Fail(s.fail(op, backup.ErrCanceled, "canceled"))
	default:
		err = s.fail(op, backup.ErrInvalid, "unknown stage %q", op.Stage)
	}
	switch {
	case err == nil:
		return s.spoil(op, next)
	case s.is("fails the work when a Step fails"):
		op.Fail(err)
		return op, nil
	case s.is("gives half of an Operation with an error"):
		op.Stage = "create"
		return op, err
	}
	if op.Attempt > 0 && next.Next == op.Next && next.Attempt == 0 {
		op.Unsent()
	}
	return op, err
}

// spoil are the bugs that any Step can have.
func (s *vaultStrategy) spoil(op, next backup.Operation) (backup.Operation, error) {
	switch s.bug {
	case "gives itself more time":
		next.Deadline = next.Deadline.Add(time.Hour)
	case "takes over the work":
		next.Owner = "vault"
	case "writes into the given tags":
		if op.Tags != nil {
			op.Tags["seen"] = op.Stage
		}
	case "writes behind the given points":
		if len(next.Points) > len(op.Points) {
			next.Points = append(op.Points, next.Points[len(op.Points):]...)
		}
	case "forgets its points on the way":
		if op.Stage == "wait" {
			next.Points, next.Made = nil, nil
		}
	case "loses sight of its files for a while":
		if op.Stage == "wait" && !next.Done() {
			next.Made = nil
		}
	case "is pending until it has ended":
		if !next.Done() {
			next.Phase = backup.PhasePending
		}
	case "counts to more than a hundred":
		if next.Done() {
			next.Percent = 300
		}
	case "waits in a Step":
		time.Sleep(30 * time.Second)
	case "keeps a diary":
		note := backup.Finding{ID: "vault.seen", Message: "looked", Severity: backup.SeverityInfo}
		next.Findings = append(slices.Clone(next.Findings), note, note, note)
	case "leaves a goroutine behind":
		stop := s.v.stop
		go func() { <-stop }()
	}
	return next, nil
}

// look looks at what is acted upon and names the call that comes next.
func (s *vaultStrategy) look(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	x, ok, err := s.v.get(ctx, op.Ref)
	if err != nil {
		return op, err
	}
	if s.is("makes it while it looks") && op.Action == backup.ActionBackup {
		r, err := s.v.create(ctx, "point", op.Ref, op.OwnTags(op.Ref))
		if err != nil {
			return op, err
		}
		op.AddPoint(r)
		op.To("wait", "")
		op.Phase = backup.PhaseRunning
		return op, nil
	}
	switch {
	case !ok && op.Action == backup.ActionDelete && s.is("deletes what is missing with success"):
		op.Succeed()
		return op, nil
	case !ok && op.Action == backup.ActionDelete && s.is("deletes another where its own is gone"):
		err := s.v.each(ctx, "point", func(i item) bool { _ = s.v.remove(ctx, i.ref); return false })
		op.Succeed()
		return op, err
	case !ok && s.is("waits for what is missing"):
		op.PollIn(polls)
		return op, nil
	case !ok && (!s.is("restores what is missing") || op.Action != backup.ActionRestore):
		op.Fail(s.fail(op, backup.ErrNotFound, "there is no %s", op.Ref))
		return op, nil
	}
	if op.Action == backup.ActionDelete {
		var foreign bool
		if err := op.GetState(&foreign); err != nil {
			return op, err
		}
		if x.tags[backup.TagOwner] != op.Owner && !foreign && !s.is("deletes what others own") {
			op.Fail(s.fail(op, backup.ErrConflict, "%s belongs to %q", op.Ref, x.tags[backup.TagOwner]))
			return op, nil
		}
		op.To("delete", "Delete")
		return op, nil
	}
	op.To("create", "Create")
	return op, nil
}

// what is the type of what an action makes.
func what(a backup.Action) string {
	if a == backup.ActionRestore {
		return "database"
	}
	return "point"
}

// add lists what an action has made: a recovery point where it is known for one at once, and in Made otherwise.
func add(op *backup.Operation, r backup.Ref) {
	if op.Action == backup.ActionBackup {
		op.AddPoint(r)
	} else {
		op.AddMade(r)
	}
}

// create makes the one thing, as far as the Operation's intent allows it.
func (s *vaultStrategy) create(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	intent := op.Intent()
	switch {
	case intent == backup.ReadOnly && s.is("sends without an attempt"):
	case intent == backup.ReadOnly:
		return op, nil
	case s.is("sends again at once"):
	case intent == backup.LookOnce && s.is("never looks where nothing is stored"):
	case intent == backup.LookOnce:
		if next, ok, err := s.adopt(ctx, op); ok || err != nil {
			return next, err
		}
	case intent == backup.Settle && s.is("looks once and sends again"):
		if next, ok, err := s.adopt(ctx, op); ok || err != nil {
			return next, err
		}
	case intent == backup.Settle:
		op.Settle("settle")
		return op, nil
	}
	if err := backup.CheckFence(ctx); err != nil && !s.is("sends after its lease is over") {
		op.Unsent()
		return op, err
	}
	if s.is("sends under a context that is over") {
		ctx = context.WithoutCancel(ctx)
	}
	tags := op.OwnTags(op.Ref)
	switch s.bug {
	case "sends two":
		if _, err := s.v.create(ctx, what(op.Action), op.Ref, tags); err != nil {
			return op, err
		}
	case "drops the caller's tags":
		for k := range op.Tags {
			delete(tags, k)
		}
	case "tags what it makes afterwards":
		tags[backup.TagToken] = "op-later"
	case "restores over what is there", "takes over what is there":
		if next, ok, err := s.takeOver(ctx, op); ok || err != nil {
			return next, err
		}
	case "writes over what is there":
		s.v.mu.Lock()
		for _, i := range s.v.things {
			i.gone = i.gone || i.source == op.Ref
		}
		s.v.mu.Unlock()
	case "restores into the source":
		if op.Action == backup.ActionRestore {
			op.AddMade(backup.Ref{Type: "vault/database", Account: op.Ref.Account, Region: op.Ref.Region, ID: "database-000"})
			op.To("wait", "")
			return op, nil
		}
	}
	s.v.mu.Lock()
	s.last = op
	s.v.mu.Unlock()
	r, err := s.v.create(ctx, what(op.Action), op.Ref, tags)
	if err != nil {
		return op, err
	}
	if s.is("keeps its work in the Strategy") {
		s.v.mu.Lock()
		op = s.last
		s.v.mu.Unlock()
	}
	return s.made(op, r), nil
}

func (s *vaultStrategy) made(op backup.Operation, r backup.Ref) backup.Operation {
	switch {
	case s.is("keeps ids in memory"), s.is("lists its points only in the end"):
		s.ids[op.ID] = r
	case s.is("forgets what it restored") && op.Action == backup.ActionRestore:
		s.ids[op.ID] = r
		fallthrough
	default:
		add(&op, r)
	}
	if op.Canceling {
		op.To("delete", "Delete")
		return op
	}
	op.To("wait", "")
	op.PollIn(polls)
	if s.is("succeeds when it has sent") {
		op.Succeed()
		if op.Action == s.starts && op.Action != backup.ActionBackup {
			s.conclude(&op, r)
		}
	}
	return op
}

// adopt takes over what an earlier send made.
func (s *vaultStrategy) adopt(ctx context.Context, op backup.Operation) (next backup.Operation, ok bool, err error) {
	next = op
	err = s.v.each(ctx, what(op.Action), func(i item) bool {
		if i.tags[backup.TagToken] == op.ID || s.is("adopts what is not its own") && i.source == op.Ref {
			next, ok = s.made(op, i.ref), true
		}
		return !ok
	})
	return next, ok && err == nil, err
}

// takeOver is the bug of a restore that writes into what another restore made, or of an export that does so.
func (s *vaultStrategy) takeOver(ctx context.Context, op backup.Operation) (next backup.Operation, ok bool, err error) {
	next = op
	err = s.v.each(ctx, what(op.Action), func(i item) bool {
		if (op.Action == backup.ActionRestore || op.Action == s.starts) && i.source == op.Ref {
			next, ok = s.made(op, i.ref), true
		}
		return !ok
	})
	return next, ok && err == nil, err
}

func (s *vaultStrategy) settle(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if next, ok, err := s.adopt(ctx, op); ok || err != nil {
		return next, err
	}
	if time.Since(op.Since) < settles {
		op.PollIn(polls)
		return op, nil
	}
	if op.Canceling {
		op.To("stop", "")
		return op, nil
	}
	op.To("look", "")
	return op, nil
}

// wait ends the work when the service has.
func (s *vaultStrategy) wait(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	refs := results(op)
	if r, ok := s.ids[op.ID]; ok {
		refs = backup.Refs{r}
	}
	if len(refs) == 0 && s.is("loses sight of its files for a while") {
		if err := s.v.each(ctx, "point", func(i item) bool {
			if i.tags[backup.TagToken] == op.ID {
				refs = backup.Refs{i.ref}
			}
			return true
		}); err != nil || len(refs) == 0 {
			op.PollIn(polls)
			return op, err
		}
	}
	if len(refs) == 0 {
		return op, s.fail(op, backup.ErrInvalid, "nothing was made")
	}
	x, ok, err := s.v.get(ctx, refs[0])
	if err != nil {
		return op, err
	}
	status := x.status(time.Now())
	switch {
	case !ok && !s.is("takes what is gone for done"):
		op.Fail(s.fail(op, backup.ErrFailed, "somebody deleted %s", refs[0]))
	case !ok || status == backup.StatusAvailable, s.is("succeeds whatever came of it") && status == backup.StatusFailed:
		op.Succeed()
		if s.is("forgets what it restored") {
			op.Made = nil
		}
		if s.is("lists its points only in the end") {
			add(&op, refs[0])
		}
		if op.Action == s.starts && op.Action != backup.ActionBackup {
			s.conclude(&op, refs[0])
		}
	case status == backup.StatusFailed:
		op.Fail(s.fail(op, backup.ErrFailed, "the vault could not make %s", refs[0]))
		switch s.bug {
		case "forgets its points when it fails":
			op.Points, op.Made = nil, nil
		case "fails without saying why":
			op.Failure = nil
		}
	default:
		op.Percent = int(100 * time.Since(x.made) / takes)
		op.PollIn(polls)
	}
	return op, nil
}

// conclude lists what an export or a copy has made as its recovery point.
func (s *vaultStrategy) conclude(op *backup.Operation, r backup.Ref) {
	switch s.bug {
	case "calls the resource its copy":
		r = op.Ref
	case "ends without a point":
		return
	case "lists its files beside its point":
		op.AddPoint(r)
		return
	}
	op.AddPoint(r)
	op.Made = nil
}

// remove deletes a recovery point, or what a canceled backup has made.
func (s *vaultStrategy) remove(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if op.Intent() == backup.ReadOnly && !s.is("deletes without an attempt") {
		return op, nil
	}
	if err := backup.CheckFence(ctx); err != nil && !s.is("deletes after its lease is over") {
		op.Unsent()
		return op, err
	}
	target := op.Ref
	if made := results(op); op.Canceling && len(made) > 0 {
		target = made[0]
	}
	switch {
	case op.Canceling && s.is("cancels and leaves what it made unlisted"):
	case s.is("says that it deleted"):
	case s.is("deletes all of a source"):
		x, _, err := s.v.get(ctx, target)
		if err != nil {
			return op, err
		}
		s.v.mu.Lock()
		for _, i := range s.v.things {
			i.gone = i.gone || i.source == x.source && x.source != backup.Ref{}
		}
		s.v.mu.Unlock()
		fallthrough
	default:
		if err := s.v.remove(ctx, target); err != nil {
			return op, err
		}
	}
	if op.Canceling {
		op.Points, op.Made = nil, nil
		op.Fail(s.fail(op, backup.ErrCanceled, "canceled"))
		return op, nil
	}
	op.Succeed()
	return op, nil
}

func (s *vaultStrategy) Cancel(ctx context.Context, op backup.Operation) (backup.Operation, error) {
	if err := op.Check(s.Kind()); err != nil {
		return op, err
	}
	if s.is("calls the service to cancel") {
		_, _, _ = s.v.get(ctx, op.Ref)
	}
	if (op.Done() || op.Action != s.starts) && !s.is("cancels what has ended") {
		return op, s.fail(op, backup.ErrUnsupported, "it can not be canceled")
	}
	if op.Canceling && !op.Done() {
		return op, nil
	}
	op.Canceling = true
	switch {
	case op.Stage == "create" && op.Attempt > 0 && !s.is("cancels without looking for what was sent"), op.Stage == "settle":
		op.Settle("settle")
	case op.Stage == "wait":
		op.To("delete", "Delete")
	case s.is("does not cancel"):
	case s.is("ends at once when it is canceled"):
		op.Succeed()
	default:
		op.To("stop", "")
	}
	return op, nil
}

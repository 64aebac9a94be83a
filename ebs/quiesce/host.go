package quiesce

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/snapwarden/snapwarden/backup"
)

// Run runs a script with /bin/sh as root on a host, within ctx, and gives what it printed. An error says that it did not run, or did not end with 0;
// what it printed by then is given all the same, where it is known. It is the caller's own transport: the package documentation has one over SSM.
//
// It may deliver a script late; it must not deliver one twice at the same moment. Credentials are its own affair: no script holds a secret.
type Run func(ctx context.Context, host, script string) (stdout string, err error)

// HostOptions are the settings of a Host; the zero value is fit for production.
type HostOptions struct {
	// Host names the host of a resource as Run knows it; nil means the resource's id, as SSM names an EC2 instance.
	Host func(r backup.Ref) (string, error)
}

// Host is a Quiescer for Linux hosts: it sends scripts that freeze and thaw what a Plan says. The host needs a POSIX shell, util-linux and, for the parts
// of the plan that want them, dmsetup, mysql and psql; a script that does not find what it needs freezes nothing and says so. That the hook is not there
// is thus an error and no silence.
//
// The host arms its own watchdog before it freezes: a timer of systemd, or where there is none a process of its own session. Host is safe for use by
// several goroutines.
type Host struct {
	run   Run
	plan  Plan
	opts  HostOptions
	place place
}

// NewHost makes a Host. A Run that is nil, and a plan that Plan.Validate refuses, are ErrInvalid.
func NewHost(run Run, plan Plan, optFns ...func(*HostOptions)) (*Host, error) {
	if run == nil {
		return nil, refused("give the function that runs a script on a host", "Run is nil")
	}
	if err := plan.Validate(); err != nil {
		return nil, err
	}
	plan.FileSystems, plan.Logical = slices.Clone(plan.FileSystems), slices.Clone(plan.Logical)
	plan.MySQL, plan.PostgreSQL = slices.Clone(plan.MySQL), slices.Clone(plan.PostgreSQL)
	h := &Host{run: run, plan: plan, place: onHost}
	for _, f := range optFns {
		f(&h.opts)
	}
	return h, nil
}

// Freeze runs the script that arms the watchdog and then freezes. Its errors are ErrInvalid for a lease out of its limits, ErrFailed where the host
// refused, with the reason that it gave, and ErrUnavailable where no answer came.
func (h *Host) Freeze(ctx context.Context, r backup.Ref, l Lease) error {
	if err := l.Validate(); err != nil {
		return err
	}
	word, why, err := h.ask(ctx, r, l, "freeze", h.place.freeze(h.plan, l))
	switch {
	case word == "frozen":
		return nil
	case word == "failed":
		return h.fault("freeze", r, backup.ErrFailed, errors.New(clean(why)), "nothing is frozen now, or the host thaws it; mend the host or the plan")
	case err != nil:
		return err
	}
	return h.fault("freeze", r, backup.ErrUnavailable, errors.New("the host's answer is not one"), "the host thaws itself; see to it that Run gives all that the script prints")
}

// Thaw runs the script that thaws and then disarms the watchdog.
func (h *Host) Thaw(ctx context.Context, r backup.Ref, l Lease) (held bool, err error) {
	if err := l.Validate(); err != nil {
		return false, err
	}
	word, _, err := h.ask(ctx, r, l, "thaw", h.place.release(l))
	switch {
	case err != nil:
		return false, err
	case word == "held", word == "lost":
		return word == "held", nil
	}
	return false, h.fault("thaw", r, backup.ErrUnavailable, errors.New("the host's answer is not one"), "the host thaws itself when the limit is over; see to it that Run gives all that the script prints")
}

// ask runs a script and reads the last line of what it printed, where that is an answer for the lease.
func (h *Host) ask(ctx context.Context, r backup.Ref, l Lease, what, script string) (word, rest string, err error) {
	host := r.ID
	if h.opts.Host != nil {
		if host, err = h.opts.Host(r); err != nil {
			return "", "", h.fault(what, r, backup.ErrInvalid, err, "HostOptions.Host knows no host for it")
		}
	}
	if host == "" || strings.HasPrefix(host, "-") {
		return "", "", h.fault(what, r, backup.ErrInvalid, fmt.Errorf("the host %q", host), "HostOptions.Host gives names that do not begin with a hyphen")
	}
	out, err := h.run(ctx, host, script)
	out = strings.TrimRight(out, "\r\n ")
	out = out[strings.LastIndexByte(out, '\n')+1:]
	if s, ok := strings.CutPrefix(out, answer+" "+l.ID+" "); ok {
		word, rest, _ = strings.Cut(s, " ")
		word = strings.TrimSuffix(word, ":")
	}
	if err != nil {
		err = h.fault(what, r, backup.ErrUnavailable, err, "the host thaws itself when the limit is over; mend the transport")
	}
	return word, rest, err
}

func (h *Host) fault(what string, r backup.Ref, code backup.Code, err error, hint string) error {
	return &backup.Error{Op: what, Kind: "quiesce", Ref: r, Code: code, Err: err, Hint: hint}
}

// clean keeps what a host says short and printable.
func clean(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return ' '
		}
		return c
	}, s)
	return strings.TrimSpace(s[:min(len(s), 600)])
}

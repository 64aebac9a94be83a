package s3store_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// change rewrites one field of a JSON object; a nil value takes it out.
func change(t *testing.T, body, field string, value any) string {
	t.Helper()
	var m map[string]json.RawMessage
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		t.Fatal(err)
	}
	delete(m, field)
	if value != nil {
		b, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		m[field] = b
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What can not be read is told by every method that meets it, and nobody writes over it.
func TestDamagedRecords(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(body string) string
		code   backup.Code
	}{
		"empty":                     {func(string) string { return "" }, backup.ErrInvalid},
		"cut off":                   {func(s string) string { return s[:len(s)/2] }, backup.ErrInvalid},
		"not JSON":                  {func(s string) string { return "<html>" }, backup.ErrInvalid},
		"something behind it":       {func(s string) string { return s + "x" }, backup.ErrInvalid},
		"far too long":              {func(s string) string { return s + strings.Repeat(" ", 1<<20) }, backup.ErrInvalid},
		"no format":                 {func(s string) string { return change(t, s, "format", nil) }, backup.ErrInvalid},
		"format 0":                  {func(s string) string { return change(t, s, "format", 0) }, backup.ErrInvalid},
		"a newer format":            {func(s string) string { return change(t, s, "format", 2) }, backup.ErrUnsupported},
		"a newer format, otherwise": {func(string) string { return `{"format":2,"operation":7}` }, backup.ErrUnsupported},
		"no operation":              {func(s string) string { return change(t, s, "operation", nil) }, backup.ErrInvalid},
		"an operation of a newer version": {func(s string) string {
			return change(t, s, "operation", map[string]any{"version": backup.OperationVersion + 1})
		}, backup.ErrUnsupported},
		"another run":         {func(s string) string { return change(t, s, "run", "run-b") }, backup.ErrInvalid},
		"another count":       {func(s string) string { return change(t, s, "count", 7) }, backup.ErrInvalid},
		"another marker":      {func(s string) string { return change(t, s, "marker", "0123456789abcdef") }, backup.ErrInvalid},
		"another nonce":       {func(s string) string { return change(t, s, "nonce", "0123456789abcdef") }, backup.ErrInvalid},
		"a field of one type": {func(s string) string { return change(t, s, "run", 7) }, backup.ErrInvalid},
		"another phase":       {func(s string) string { return strings.Replace(s, `"pending"`, `"succeeded"`, 1) }, backup.ErrInvalid},
		"another operation's": {func(s string) string { return "" }, backup.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBed(t)
			s := b.open()
			rec, good := b.create(s, "damaged"), b.create(s, "good")
			key := options.Prefix + "/op/" + rec.Operation.ID + ".json"
			body := c.damage(b.content(key))
			if name == "another operation's" {
				body = b.content(options.Prefix + "/op/" + good.Operation.ID + ".json")
			}
			b.put(key, body)

			check := func(method string, err error) {
				t.Helper()
				var e *backup.Error
				if !errors.Is(err, c.code) || !errors.As(err, &e) || e.Hint == "" || !strings.Contains(err.Error(), key) {
					t.Errorf("%s gives %v", method, err)
				}
			}
			_, err := s.Load(t.Context(), rec.Operation.ID)
			check("Load", err)
			_, created, err := s.Create(t.Context(), rec.Operation, "run-b")
			check("Create", err)
			if created {
				t.Error("Create says that it created")
			}
			for _, version := range []string{rec.Version, "", "no-such-version"} {
				mine := rec
				mine.Version = version
				check("Save of version "+version, s.Save(t.Context(), &mine))
			}
			ids, errs := unfinished(t.Context(), s)
			if len(ids) != 1 || ids[0] != good.Operation.ID || len(errs) != 1 {
				t.Errorf("unfinished: %v, %v", ids, errs)
			} else {
				check("Unfinished", errs[0])
			}
			if b.content(key) != body {
				t.Error("it was written over")
			}
		})
	}
}

// A bit that a disk has turned is found at every place of the object, or changes nothing of what it says.
func TestTurnedBits(t *testing.T) {
	b := newBed(t)
	s := b.open()
	rec := b.create(s, 1)
	key := options.Prefix + "/op/" + rec.Operation.ID + ".json"
	good := []byte(b.content(key))
	before, err := json.Marshal(rec)
	b.ok(err)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		b.put(key, string(bad))
		got, err := s.Load(t.Context(), rec.Operation.ID)
		got.Version = rec.Version // the ETag is another
		after, _ := json.Marshal(got)
		if err == nil && !bytes.Equal(before, after) {
			t.Errorf("with a bit turned at byte %d of %d, Load gives %s", i, len(good), after)
		}
		if err != nil && !errors.Is(err, backup.ErrInvalid) && !errors.Is(err, backup.ErrUnsupported) {
			t.Errorf("with a bit turned at byte %d of %d: %v", i, len(good), err)
		}
	}
}

func TestDamagedLeases(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(body string) string
		code   backup.Code
	}{
		"empty":          {func(string) string { return "" }, backup.ErrInvalid},
		"cut off":        {func(s string) string { return s[:len(s)/2] }, backup.ErrInvalid},
		"another run":    {func(s string) string { return change(t, s, "run", "run-b") }, backup.ErrInvalid},
		"another run's":  {func(string) string { return "" }, backup.ErrInvalid},
		"no format":      {func(s string) string { return change(t, s, "format", nil) }, backup.ErrInvalid},
		"a newer format": {func(s string) string { return change(t, s, "format", 2) }, backup.ErrUnsupported},
		"no time":        {func(s string) string { return change(t, s, "until", "soon") }, backup.ErrInvalid},
		"another end":    {func(s string) string { return change(t, s, "until", time.Now().UTC().Add(time.Hour)) }, backup.ErrInvalid},
		"no end":         {func(s string) string { return change(t, s, "until", nil) }, backup.ErrInvalid},
	} {
		b := newBed(t)
		s := b.open()
		until := time.Now().UTC()
		b.ok(s.Renew(t.Context(), "run-b", until))
		b.ok(s.Renew(t.Context(), "run-a", until))
		key := options.Prefix + "/run/run-a.json"
		body := c.damage(b.content(key))
		if name == "another run's" {
			body = b.content(options.Prefix + "/run/run-b.json")
		}
		b.put(key, body)
		if got, err := s.Lease(t.Context(), "run-a"); !errors.Is(err, c.code) || !got.IsZero() || backup.HintOf(err) == "" {
			t.Errorf("%s: Lease gives %v and %v", name, got, err)
		}
		b.ok(s.Renew(t.Context(), "run-a", until))
		if got, err := s.Lease(t.Context(), "run-a"); err != nil || !got.Equal(until) {
			t.Errorf("%s: after Renew, Lease gives %v and %v", name, got, err)
		}
	}
}

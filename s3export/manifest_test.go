package s3export_test

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
)

func whole() s3export.Manifest {
	one := func(id, slots string) s3export.Shard {
		return s3export.Shard{ID: id, Key: "nightly-" + id + ".rdb", Slots: s3export.Slots(slots), Size: 1000, SHA256: strings.Repeat("0a", 32), Format: "REDIS", RDBVersion: 11}
	}
	return s3export.Manifest{
		Version: 1, Operation: "op-1", Name: "nightly", Bucket: "exports", Account: "111122223333", Region: "eu-west-1", Engine: "redis", EngineVersion: "7.1.0",
		Source: backup.Ref{Type: "elasticache/snapshot", Account: "111122223333", Region: "eu-west-1", ID: "daily"}, Of: "sessions",
		ClusterMode: true, Taken: time.Date(2026, 11, 20, 3, 0, 0, 0, time.UTC), Exported: time.Date(2026, 11, 20, 3, 30, 0, 0, time.UTC),
		Shards: []s3export.Shard{one("0001", "0-5460,16000"), one("0002", "5461-15999"), one("0003", "16001-16383")},
	}
}

func single() s3export.Manifest {
	m := whole()
	m.ClusterMode, m.Shards = false, m.Shards[:1]
	m.Shards[0].Slots = ""
	return m
}

// serverless is a manifest of a serverless cache with several files, one of them called otherwise.
func serverless() s3export.Manifest {
	m := whole()
	m.Serverless, m.ClusterMode, m.Source.Type = true, false, "elasticache/serverless-snapshot"
	for i := range m.Shards {
		m.Shards[i].Slots = ""
	}
	m.Shards[2].ID, m.Shards[2].Key = "0007", "nightly/x.RDB"
	return m
}

func TestManifestRoundTrip(t *testing.T) {
	one := serverless()
	one.Shards = one.Shards[2:]
	for _, m := range []s3export.Manifest{whole(), single(), serverless(), one} {
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := s3export.ParseManifest(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Error(d)
		}
	}
}

func TestManifestRefused(t *testing.T) {
	for name, f := range map[string]func(*s3export.Manifest){
		"version":        func(m *s3export.Manifest) { m.Version = 0 },
		"operation":      func(m *s3export.Manifest) { m.Operation = "" },
		"name":           func(m *s3export.Manifest) { m.Name = "a*" },
		"another name":   func(m *s3export.Manifest) { m.Name = "weekly" },
		"bucket":         func(m *s3export.Manifest) { m.Bucket = "*" },
		"account":        func(m *s3export.Manifest) { m.Account = "1" },
		"region":         func(m *s3export.Manifest) { m.Region = "nowhere" },
		"source":         func(m *s3export.Manifest) { m.Source.ID = "" },
		"of":             func(m *s3export.Manifest) { m.Of = strings.Repeat("x", 256) },
		"engine":         func(m *s3export.Manifest) { m.Engine = "memcached" },
		"engine version": func(m *s3export.Manifest) { m.EngineVersion = "" },
		"exported":       func(m *s3export.Manifest) { m.Exported = time.Time{} },
		"no shards":      func(m *s3export.Manifest) { m.Shards = nil },
		"many shards":    func(m *s3export.Manifest) { m.Shards = make([]s3export.Shard, 501) },
		"cluster mode":   func(m *s3export.Manifest) { m.ClusterMode = false },
		"shard id":       func(m *s3export.Manifest) { m.Shards[1].ID = "x" },
		"key":            func(m *s3export.Manifest) { m.Shards[1].Key = "nightly-0003.rdb" },
		"twice":          func(m *s3export.Manifest) { m.Shards[1].ID, m.Shards[1].Key = "0001", "nightly-0001.rdb" },
		"size":           func(m *s3export.Manifest) { m.Shards[0].Size = 0 },
		"sum":            func(m *s3export.Manifest) { m.Shards[0].SHA256 = "0A" + m.Shards[0].SHA256[2:] },
		"short sum":      func(m *s3export.Manifest) { m.Shards[0].SHA256 = "0a" },
		"format":         func(m *s3export.Manifest) { m.Shards[0].Format = "PK" },
		"taken later":    func(m *s3export.Manifest) { m.Taken = m.Exported.Add(1) },
		"other account":  func(m *s3export.Manifest) { m.Source.Account = "222222222222" },
		"other Region":   func(m *s3export.Manifest) { m.Source.Region = "eu-west-2" },
		"two formats":    func(m *s3export.Manifest) { m.Shards[2].Format = "VALKEY" },
		"two versions":   func(m *s3export.Manifest) { m.Shards[2].RDBVersion = 10 },
		"rdb version":    func(m *s3export.Manifest) { m.Shards[0].RDBVersion = 0 },
		"no slots":       func(m *s3export.Manifest) { m.Shards[0].Slots = "" },
		"gap":            func(m *s3export.Manifest) { m.Shards[0].Slots = "0-5459,16000" },
		"overlap":        func(m *s3export.Manifest) { m.Shards[0].Slots = "0-5461,16000" },
		"end":            func(m *s3export.Manifest) { m.Shards[2].Slots = "16001-16382" },
	} {
		m := whole()
		f(&m)
		if _, err := m.Encode(); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := single()
	m.Shards[0].Slots = "0-16383"
	if _, err := m.Encode(); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("slots without cluster mode: %v", err)
	}
}

func TestServerlessManifestRefused(t *testing.T) {
	for name, f := range map[string]func(*s3export.Manifest){
		"cluster mode":  func(m *s3export.Manifest) { m.ClusterMode = true },
		"slots":         func(m *s3export.Manifest) { m.Shards[0].Slots = "0-16383" },
		"another name":  func(m *s3export.Manifest) { m.Shards[0].Key = "weekly-0001.rdb" },
		"no name":       func(m *s3export.Manifest) { m.Shards[0].Key = ".rdb" },
		"overlap":       func(m *s3export.Manifest) { m.Name, m.Shards[0].Key = "nightly.rdb", "nightly.rdb" },
		"no .rdb":       func(m *s3export.Manifest) { m.Shards[0].Key = "nightly-0001.rdb.gz" },
		"a long key":    func(m *s3export.Manifest) { m.Shards[0].Key = "nightly" + strings.Repeat("x", 1024) + ".rdb" },
		"UTF-8":         func(m *s3export.Manifest) { m.Shards[0].Key = "nightly\xff.rdb" },
		"one id twice":  func(m *s3export.Manifest) { m.Shards[0].ID = "0002" },
		"one key twice": func(m *s3export.Manifest) { m.Shards[0].Key = "nightly/X.rdb" },
		"an id":         func(m *s3export.Manifest) { m.Shards[0].ID = "a" },
		"no shards":     func(m *s3export.Manifest) { m.Shards = nil },
		"size":          func(m *s3export.Manifest) { m.Shards[1].Size = 0 },
	} {
		m := serverless()
		f(&m)
		if _, err := m.Encode(); !errors.Is(err, backup.ErrInvalid) || backup.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	m := whole()
	m.Serverless = true
	if _, err := m.Encode(); !errors.Is(err, backup.ErrInvalid) {
		t.Errorf("slots that are not known: %v", err)
	}
	// Only what says that it is of a serverless cache may have keys of any form.
	m = single()
	m.Shards[0].Key = "nightly.rdb"
	if _, err := m.Encode(); !errors.Is(err, backup.ErrInvalid) {
		t.Error(err)
	}
}

func TestSeedable(t *testing.T) {
	one := serverless()
	one.Shards = one.Shards[:1]
	for _, m := range []s3export.Manifest{whole(), single(), one} {
		if err := m.Seedable(); err != nil {
			t.Error(err)
		}
	}
	if err := serverless().Seedable(); !errors.Is(err, backup.ErrUnsupported) || backup.HintOf(err) == "" {
		t.Error(err)
	}
}

func TestParseManifestRefused(t *testing.T) {
	b, err := whole().Encode()
	if err != nil {
		t.Fatal(err)
	}
	good := string(b)
	for name, text := range map[string]string{
		"nothing": "", "half": good[:len(good)/2], "trailing": good + "{}", "unknown field": strings.Replace(good, `"of"`, `"off"`, 1),
		"case":  strings.Replace(good, `"engine":`, `"Engine":`, 1),
		"twice": strings.Replace(good, `"engine":`, `"engine": "valkey", "engine":`, 1),
		"utf-8": strings.Replace(good, "sessions", "\xff", 1), "large": good + strings.Repeat(" ", 1<<20), "type": strings.Replace(good, `"size": 1000`, `"size": "1000"`, 1),
		"damage": strings.Replace(good, `"5461-15999"`, `"5461-15998"`, 1), "null": "null", "list": "[]",
	} {
		if text == good {
			t.Fatalf("%s changes nothing", name)
		}
		if m, err := s3export.ParseManifest([]byte(text)); !errors.Is(err, backup.ErrInvalid) || !reflect.DeepEqual(m, s3export.Manifest{}) {
			t.Errorf("%s: %v %v", name, m, err)
		}
	}
	newer := strings.Replace(good, `"version": 1`, `"version": 2, "new": {}`, 1)
	if _, err := s3export.ParseManifest([]byte(newer)); !errors.Is(err, backup.ErrUnsupported) {
		t.Error(err)
	}
}

func TestSlots(t *testing.T) {
	for s, want := range map[s3export.Slots][][2]int{
		"0-16383": {{0, 16383}}, "1,3-4": {{1, 1}, {3, 4}}, "": nil, "x": nil, "5-4": nil, "0-16384": nil, "-1": nil, "01": nil, "1-": nil, "1,,2": nil, "+1": nil,
	} {
		got, err := s.Ranges()
		if (err == nil) != (want != nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v %v", s, got, err)
		}
	}
	for _, c := range []struct {
		ok    bool
		slots []s3export.Slots
	}{
		{true, []s3export.Slots{"8192-16383", "0-8191"}}, {false, nil}, {false, []s3export.Slots{"0-8191"}}, {false, []s3export.Slots{"1-16383"}},
		{false, []s3export.Slots{"0-16383", "5"}}, {false, []s3export.Slots{"0-1", "3-16383"}}, {false, []s3export.Slots{"x"}},
	} {
		if err := s3export.Cover(c.slots...); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.slots, err)
		}
	}
}

func FuzzManifest(f *testing.F) {
	for _, m := range []s3export.Manifest{whole(), single()} {
		b, err := m.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(`{"version":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := s3export.ParseManifest(b)
		if err != nil {
			if backup.CodeOf(err) != backup.ErrInvalid && backup.CodeOf(err) != backup.ErrUnsupported {
				t.Fatal(err)
			}
			return
		}
		first, err := m.Encode()
		if err != nil {
			t.Fatalf("what was read can not be written: %v", err)
		}
		again, err := s3export.ParseManifest(first)
		if err != nil || !reflect.DeepEqual(m, again) {
			t.Fatalf("%v\n%v\n%v", err, m, again)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(first, second) {
			t.Fatal("written twice, it is not the same")
		}
	})
}

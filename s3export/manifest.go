// Package s3export knows what exports to S3 have in common: the manifest that makes a heap of files a backup.
//
// The files of an export are worth nothing without knowing that all of them are there, whole, and which part of the data each one is. The
// manifest says so. It is written last, once, and never changed: an export without a manifest is not a backup.
package s3export

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// TypeElastiCache is the type of the Ref of a finished ElastiCache export. Its ID is the bucket, a slash, and the key of the manifest.
const TypeElastiCache = "s3/elasticache-export"

// ManifestVersion is the version that this release writes, and the newest that it reads.
const ManifestVersion = 1

// MaxManifestBytes is the most that a manifest may have; MaxShards the most shards that one may list: as many as ElastiCache allows a cluster
// at its highest quota. Source: ElastiCache user guide, "Quotas".
const (
	MaxManifestBytes = 1 << 20
	MaxShards        = 500
)

// Manifest says what an export consists of.
type Manifest struct {
	// Version is the layout's version; ParseManifest refuses a newer one with ErrUnsupported.
	Version int `json:"version"`
	// Operation is the ID of the Operation that made the export.
	Operation string `json:"operation"`
	// Name is the export's name, with which the keys of all files begin.
	Name string `json:"name"`
	// Bucket, Account and Region are where it was written first. A copy elsewhere keeps them: they say where the data came from.
	Bucket  string `json:"bucket"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// Source is the recovery point that was exported, which is of the same account and Region: ElastiCache exports to no other. Of is the cluster
	// or group that it was taken of. Source: ElastiCache user guide, "Exporting a backup".
	Source backup.Ref `json:"source"`
	Of     string     `json:"of"`
	// Engine is "redis" or "valkey"; EngineVersion is as AWS tells it, which of a serverless cache is the major version alone. Whether AWS seeds a
	// cluster of nodes with that is not documented (UNVERIFIED): one with a minor, such as "8.0", is the safer elasticache.RestoreOptions.EngineVersion.
	Engine        string `json:"engine"`
	EngineVersion string `json:"engineVersion"`
	// ClusterMode tells whether the data is spread over slots; then every shard has Slots.
	ClusterMode bool `json:"clusterMode"`
	// Serverless tells that the source is a snapshot of a serverless cache. AWS tells neither how many files such an export has nor which slots
	// each holds: Shards are the files that were found when nothing more came, they have no Slots, and ClusterMode is false. Their IDs are the
	// numbers in their keys, or, where AWS does not number them, count the keys in their order.
	Serverless bool `json:"serverless,omitempty"`
	// Taken is the time of the data, zero where AWS does not tell; Exported is when the export was found whole, which is not before.
	Taken    time.Time `json:"taken,omitzero"`
	Exported time.Time `json:"exported"`
	Shards   []Shard   `json:"shards"`
}

// Shard is one file.
type Shard struct {
	// ID is the node group's, "0001".
	ID string `json:"id"`
	// Key is the object's key in the bucket: the export's name, a hyphen, the ID and ".rdb". Of a serverless cache it is a key that begins with the
	// name and ends in ".rdb": what stands between is not documented (UNVERIFIED).
	Key string `json:"key"`
	// Slots are the hash slots whose keys the file holds; empty without cluster mode, and of a serverless cache.
	Slots Slots `json:"slots,omitempty"`
	// Size is in bytes; SHA256 is of the whole file, in hex.
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	// Format is "REDIS" or "VALKEY" and RDBVersion the number after it. They are the same in all files of an export, which one engine wrote.
	Format     string `json:"format"`
	RDBVersion int    `json:"rdbVersion"`
	// ChecksumOff tells that the file carries no checksum of its own.
	ChecksumOff bool `json:"checksumOff,omitempty"`
}

// ManifestKey is the key of the manifest of an export. No file of an export can have it: theirs end in ".rdb".
func ManifestKey(name string) string { return name + ".manifest.json" }

// Seedable refuses a manifest from which no cluster of nodes is to be seeded, because it is not known which slots its files hold: that of a serverless
// cache with several files. One file holds all that there is. The code is ErrUnsupported.
func (m Manifest) Seedable() error {
	if !m.Serverless || len(m.Shards) == 1 {
		return nil
	}
	return &backup.Error{Op: "manifest", Code: backup.ErrUnsupported, Ref: m.Source,
		Err:  fmt.Errorf("the export of a serverless cache has %d files, and AWS does not tell which hash slots each holds", len(m.Shards)),
		Hint: "restore the snapshot itself to a serverless cache (elasticache.StartRestore)"}
}

// Encode checks the manifest and gives its JSON, the same bytes for the same manifest.
func (m Manifest) Encode() ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(m); err != nil {
		return nil, bad("%w", err)
	}
	if b.Len() > MaxManifestBytes {
		return nil, bad("it would have %d bytes, allowed are %d", b.Len(), MaxManifestBytes)
	}
	return b.Bytes(), nil
}

// ParseManifest reads a manifest and refuses what Encode would not have written: fields that are unknown, given twice or in other letters,
// anything after the end, and whatever Validate refuses. The code is ErrUnsupported for one of a newer release, and ErrInvalid otherwise.
func ParseManifest(data []byte) (Manifest, error) {
	var m Manifest
	if len(data) > MaxManifestBytes {
		return m, bad("it has %d bytes, allowed are %d", len(data), MaxManifestBytes)
	}
	if !utf8.Valid(data) {
		return m, bad("it is not UTF-8")
	}
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err == nil && head.Version > ManifestVersion {
		return m, &backup.Error{Op: "manifest", Code: backup.ErrUnsupported, Err: fmt.Errorf("manifest version %d is newer than %d", head.Version, ManifestVersion),
			Hint: "a newer release wrote it: upgrade this program; what is stored is untouched"}
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&m); err != nil {
		return Manifest{}, bad("%w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Manifest{}, bad("something follows its end")
	}
	if err := m.Validate(); err != nil {
		return Manifest{}, err
	}
	// encoding/json takes the last of two equal keys, and any case of letters. What was written by Encode has the very same keys when it is
	// written again.
	again, err := m.Encode()
	if err != nil {
		return Manifest{}, err
	}
	var was, is bytes.Buffer
	if json.Compact(&was, data) != nil || json.Compact(&is, again) != nil || !bytes.Equal(was.Bytes(), is.Bytes()) {
		return Manifest{}, bad("it is not written as this library writes it: fields in another order, twice, or in other letters")
	}
	return m, nil
}

// Validate refuses a manifest that does not describe a whole export. The code is ErrInvalid.
func (m Manifest) Validate() error {
	switch {
	case m.Version != ManifestVersion:
		return bad("version %d", m.Version)
	case m.Operation == "" || len(m.Operation) > 128:
		return bad("the operation's id has %d bytes", len(m.Operation))
	case m.Engine != "redis" && m.Engine != "valkey":
		return bad("the engine %.40q", m.Engine)
	case m.EngineVersion == "" || len(m.EngineVersion) > 40 || len(m.Of) > 255:
		return bad("the engine version or the source has a wrong length")
	case m.Exported.IsZero():
		return bad("no time of export")
	case m.Taken.After(m.Exported):
		return bad("the data is of %s, and was exported before that, at %s", m.Taken.Format(time.RFC3339), m.Exported.Format(time.RFC3339))
	case m.Source.Account != m.Account || m.Source.Region != m.Region:
		return bad("the recovery point is in %.20q, %.40q and the export in %.20q, %.40q", m.Source.Account, m.Source.Region, m.Account, m.Region)
	case len(m.Shards) == 0 || len(m.Shards) > MaxShards:
		return bad("%d shards, allowed are 1 to %d", len(m.Shards), MaxShards)
	case m.ClusterMode && m.Serverless:
		return bad("it is of a serverless cache, whose slots are not known, and says that it has slots")
	case !m.ClusterMode && !m.Serverless && len(m.Shards) != 1:
		return bad("%d shards without cluster mode", len(m.Shards))
	}
	for _, err := range []error{policy.ValidateExportName(m.Name), policy.ValidateBucketName(m.Bucket), policy.ValidateAccountID(m.Account),
		policy.ValidateRegion(m.Region), m.Source.Validate()} {
		if err != nil {
			return bad("%w", err)
		}
	}
	var all []Slots
	keys, ids := map[string]bool{}, map[string]bool{}
	for i, s := range m.Shards {
		sum, err := hex.DecodeString(s.SHA256)
		switch {
		case s.ID == "" || len(s.ID) > 8 || strings.Trim(s.ID, "0123456789") != "":
			return bad("shard %d has the id %.40q", i, s.ID)
		case !m.Serverless && !strings.EqualFold(s.Key, policy.ExportKey(m.Name, s.ID)), m.Serverless && !m.names(s.Key):
			return bad("shard %s has a key that does not belong to the export: %.80q", s.ID, s.Key)
		case keys[strings.ToLower(s.Key)], ids[s.ID]:
			return bad("two shards have the id %s, or the key %.80q", s.ID, s.Key)
		case s.Size <= 0:
			return bad("shard %s has %d bytes", s.ID, s.Size)
		case err != nil || len(sum) != 32 || s.SHA256 != strings.ToLower(s.SHA256):
			return bad("shard %s has no SHA-256 in 64 small hex digits", s.ID)
		case s.Format != "REDIS" && s.Format != "VALKEY" || s.RDBVersion < 1 || s.RDBVersion > 9999:
			return bad("shard %s has the format %.20q %d", s.ID, s.Format, s.RDBVersion)
		case s.Format != m.Shards[0].Format || s.RDBVersion != m.Shards[0].RDBVersion:
			return bad("shard %s is %s %d and shard %s is %s %d", s.ID, s.Format, s.RDBVersion, m.Shards[0].ID, m.Shards[0].Format, m.Shards[0].RDBVersion)
		case (s.Slots != "") != m.ClusterMode:
			return bad("shard %s: slots are for cluster mode, and needed there", s.ID)
		}
		keys[strings.ToLower(s.Key)], ids[s.ID] = true, true
		all = append(all, s.Slots)
	}
	if m.ClusterMode {
		if err := Cover(all...); err != nil {
			return bad("%w", err)
		}
	}
	return nil
}

// names reports whether a key can be that of a file of a serverless cache.
func (m Manifest) names(key string) bool {
	n := len(m.Name)
	return policy.ValidateObjectKey(key) == nil && len(key) >= n+len(".rdb") && strings.EqualFold(key[:n], m.Name) && strings.EqualFold(key[len(key)-len(".rdb"):], ".rdb")
}

func bad(format string, args ...any) error {
	return &backup.Error{Op: "manifest", Code: backup.ErrInvalid, Err: fmt.Errorf("not a manifest of a whole export: "+format, args...),
		Hint: "do not restore from these files by it; if it was changed by hand, take the original"}
}

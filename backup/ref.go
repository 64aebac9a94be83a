package backup

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Ref names one thing at AWS: a resource or a recovery point. It is comparable, so it can be a map key, and it carries the account and
// the Region because an identifier alone means nothing: the same database name may exist in every one of them.
type Ref struct {
	// Type is the kind of thing, as the strategy that made the Ref calls it: "rds/instance", "ec2/snapshot-set".
	Type string `json:"type"`
	// Account is the AWS account id, twelve digits.
	Account string `json:"account"`
	// Region is the Region's name, such as "eu-west-1".
	Region string `json:"region"`
	// ID is the identifier within type, account and Region: a name or an AWS id, never an ARN.
	ID string `json:"id"`
}

// String gives the Ref as type:account:region:id, for people and logs. It is not an ARN and is not parsed back.
func (r Ref) String() string {
	return r.Type + ":" + r.Account + ":" + r.Region + ":" + r.ID
}

// Tag gives the Ref as the value of TagSource: String, or, where that is longer than the 256 characters which a tag's value may have, its
// beginning and a hash of the whole.
func (r Ref) Tag() string {
	s := r.String()
	if len(s) <= 256 {
		return s
	}
	n := 200
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..." + digest("source", s)
}

// IsZero reports whether nothing at all is named.
func (r Ref) IsZero() bool { return r == Ref{} }

// Validate refuses a Ref that has an empty part, white space, a wildcard, a control character or broken UTF-8 in a part, or an account
// that is not twelve digits. The error's code is ErrInvalid. Whether an identifier is one that the service would accept is for the Strategy to say.
func (r Ref) Validate() error {
	for _, part := range [...]struct{ name, value string }{
		{"type", r.Type}, {"account", r.Account}, {"region", r.Region}, {"id", r.ID},
	} {
		if part.value == "" {
			return &Error{Op: "ref", Ref: r, Code: ErrInvalid, Err: fmt.Errorf("the %s is empty", part.name),
				Hint: "fill in Type, Account, Region and ID; the strategy packages have constructors for their Refs"}
		}
		if i := badCharacter(part.value); i >= 0 {
			return &Error{Op: "ref", Ref: r, Code: ErrInvalid,
				Err:  fmt.Errorf("the %s %q has a character at offset %d that no identifier has", part.name, part.value, i),
				Hint: "give one exact identifier; patterns and wildcards are never accepted"}
		}
	}
	if len(r.Account) != 12 || strings.Trim(r.Account, "0123456789") != "" {
		return &Error{Op: "ref", Ref: r, Code: ErrInvalid, Err: fmt.Errorf("the account %q is not twelve digits", r.Account),
			Hint: "write the account id with its leading zeros and without hyphens"}
	}
	return nil
}

// badCharacter gives the offset of the first space, control character, wildcard or broken UTF-8, or -1. It runs in every Step, so what is
// ASCII, as nearly all identifiers are, is read byte by byte.
func badCharacter(s string) int {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= utf8.RuneSelf:
			j := strings.IndexFunc(s[i:], func(c rune) bool {
				return unicode.IsSpace(c) || unicode.IsControl(c) || c == utf8.RuneError || strings.ContainsRune("*?${}", c)
			})
			if j < 0 {
				return -1
			}
			return i + j
		case c <= ' ', c == 0x7f, c == '*', c == '?', c == '$', c == '{', c == '}':
			return i
		}
	}
	return -1
}

// Refs is a list of Refs that stays small as JSON: what the Refs share is written once and only the ids are repeated, so that the 128
// members of a volume set fit into an Operation.
type Refs []Ref

type refGroup struct {
	Type    string   `json:"type"`
	Account string   `json:"account"`
	Region  string   `json:"region"`
	IDs     []string `json:"ids"`
}

// MarshalJSON writes runs of Refs that differ only in their ID as one group. The order is kept.
func (rs Refs) MarshalJSON() ([]byte, error) {
	groups := make([]refGroup, 0, 1)
	for _, r := range rs {
		if n := len(groups) - 1; n >= 0 && groups[n].Type == r.Type && groups[n].Account == r.Account && groups[n].Region == r.Region {
			groups[n].IDs = append(groups[n].IDs, r.ID)
			continue
		}
		groups = append(groups, refGroup{r.Type, r.Account, r.Region, []string{r.ID}})
	}
	return json.Marshal(groups)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (rs *Refs) UnmarshalJSON(b []byte) error {
	var groups []refGroup
	if err := json.Unmarshal(b, &groups); err != nil {
		return err
	}
	*rs = nil
	for _, g := range groups {
		for _, id := range g.IDs {
			*rs = append(*rs, Ref{g.Type, g.Account, g.Region, id})
		}
	}
	return nil
}

// Resource is something that can be backed up.
type Resource struct {
	Ref
	// ARN is the resource's ARN, empty where the service has none.
	ARN string `json:"arn,omitempty"`
	// Tags are the resource's own tags at the time of looking.
	Tags map[string]string `json:"tags,omitempty"`
}

// Status is the state of a recovery point, in words that are the same for every service.
type Status string

// The states of a recovery point. What a service says that is not known here is StatusPending: an unknown word must never read as good.
const (
	// StatusPending is still being made, copied or looked at: not to be relied on.
	StatusPending Status = "pending"
	// StatusAvailable is complete and can be restored.
	StatusAvailable Status = "available"
	// StatusPartial is a set some of whose members are missing or failed; those that are there can be restored.
	StatusPartial Status = "partial"
	// StatusFailed can not be restored.
	StatusFailed Status = "failed"
	// StatusDeleting is going away.
	StatusDeleting Status = "deleting"
)

// Member is one part of a recovery point that consists of several: a volume's snapshot in a set, a shard's file in an export.
type Member struct {
	// ID is the member's own identifier at the service, for example "snap-0123456789abcdef0".
	ID string `json:"id"`
	// Source is what the member was taken of, for example a volume id.
	Source string `json:"source,omitempty"`
	// Place is where the source stood: a device name such as "/dev/sdf", a shard id such as "0001".
	Place string `json:"place,omitempty"`
	// Role is "root" or "data" for volumes.
	Role string `json:"role,omitempty"`
	// Status is the member's own state.
	Status Status `json:"status"`
	// SizeBytes is the size of the source, as the service states it; for EBS the volume's size, not what the snapshot stores.
	SizeBytes int64 `json:"sizeBytes,omitempty"`
}

// RecoveryPoint is something that a resource can be restored from.
type RecoveryPoint struct {
	Ref
	// Source is the resource it was taken of, as far as the service or the tags tell.
	Source Ref `json:"source,omitzero"`
	// ARN is the recovery point's ARN, empty where the service has none (a set of snapshots).
	ARN string `json:"arn,omitempty"`
	// CreatedAt is the time of the data, not of a copy. It is zero while the service does not tell it yet (RDS and ElastiCache, while creating): look at
	// IsZero before its age is compared, for a zero time is older than any limit.
	CreatedAt time.Time `json:"createdAt,omitzero"`
	Status    Status    `json:"status"`
	// Percent is the progress that the service reports, 0 to 100; 0 where it reports none.
	Percent int `json:"percent,omitempty"`
	// Encrypted tells whether the service says that the data is encrypted under a KMS key.
	Encrypted bool `json:"encrypted,omitempty"`
	// KMSKeyID is the key's ARN, as the service gives it.
	KMSKeyID string `json:"kmsKeyId,omitempty"`
	// SizeBytes is the size of the source, in bytes, where known.
	SizeBytes int64 `json:"sizeBytes,omitempty"`
	// Automated points belong to the service (or to AWS Backup) and can not be deleted through this library.
	Automated bool `json:"automated,omitempty"`
	// Engine and EngineVersion are those of a database or cache.
	Engine        string `json:"engine,omitempty"`
	EngineVersion string `json:"engineVersion,omitempty"`
	// Tags are the recovery point's own tags. They are nil where the service does not give them in a listing and they were not asked for.
	Tags map[string]string `json:"tags,omitempty"`
	// Members are the parts of a set, in the order of their place; nil for a single recovery point.
	Members []Member `json:"members,omitempty"`
}

// The tags that the library sets on what it makes, in the create call itself and never afterwards: whoever can read them knows who made
// a thing, for which Operation, of what and when.
const (
	// TagOwner holds Spec.Owner.
	TagOwner = "snapwarden:owner"
	// TagToken holds the Operation's ID: the proof that a thing was made by that Operation.
	TagToken = "snapwarden:token"
	// TagSource holds the Ref of the source, as Ref.Tag writes it.
	TagSource = "snapwarden:source"
	// TagCreated holds the time at which the Operation was started, RFC 3339 in UTC: the age of a copy is the age of its data.
	TagCreated = "snapwarden:created"
)

// TagPrefix begins every tag key of the library. Spec.Tags must not use it.
const TagPrefix = "snapwarden:"

package backup

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

var lower32 = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// digest hashes parts so that no two lists of parts have the same bytes: each is preceded by its length.
func digest(parts ...string) string {
	b := make([]byte, 0, 256)
	for _, p := range parts {
		b = strconv.AppendInt(b, int64(len(p)), 10)
		b = append(b, ':')
		b = append(b, p...)
	}
	h := sha256.Sum256(b)
	return lower32.EncodeToString(h[:16])
}

// operationID is "op-" and 26 letters and digits: 128 bits, lower case, fit for names and tags of every service.
func operationID(kind string, action Action, r Ref, token string) string {
	return "op-" + digest("operation", kind, string(action), r.Type, r.Account, r.Region, r.ID, token)
}

// NewToken gives the idempotency token of the work on r that falls into slot, which is whatever names the occasion: "2026-11-20", "before
// deploy 4711". It is deterministic, so that a program which starts again for the same slot finds the work of its predecessor.
func NewToken(r Ref, slot string) string {
	return "tk-" + digest("token", r.Type, r.Account, r.Region, r.ID, slot)
}

func validOwner(s string) bool {
	if len(s) < 1 || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-' {
			continue
		}
		return false
	}
	return true
}

// maxTagBytes keeps an Operation within MaxOperationBytes.
const maxTagBytes = 4 << 10

// validTags holds the rules that all services share: 128 characters for a key and 256 for a value, reserved prefixes.
func validTags(tags map[string]string) error {
	total := 0
	for _, k := range slices.Sorted(maps.Keys(tags)) {
		v := tags[k]
		total += len(k) + len(v)
		lk := strings.ToLower(k)
		switch {
		case k == "" || utf8.RuneCountInString(k) > 128:
			return fmt.Errorf("the tag key %q has not 1 to 128 characters", truncate(k, 80))
		case utf8.RuneCountInString(v) > 256:
			return fmt.Errorf("the value of tag %q has more than 256 characters", k)
		case !utf8.ValidString(k) || !utf8.ValidString(v):
			return fmt.Errorf("the tag %q is not valid UTF-8", k)
		case strings.HasPrefix(lk, "aws:"):
			return fmt.Errorf("the tag key %q begins with the prefix aws: of AWS's own", k)
		case strings.HasPrefix(lk, TagPrefix):
			return fmt.Errorf("the tag key %q begins with %s", k, TagPrefix)
		}
	}
	if len(tags) > 50 {
		return fmt.Errorf("%d tags are more than 50", len(tags))
	}
	if total > maxTagBytes {
		return fmt.Errorf("the tags have %d bytes in all, more than %d", total, maxTagBytes)
	}
	return nil
}

func cloneTags(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}

// OwnTags gives the tags that op's Strategy sets on what it makes: the caller's and the library's own. source is the Ref of what the data
// comes from. The map is the caller's to change.
func (op Operation) OwnTags(source Ref) map[string]string {
	m := make(map[string]string, len(op.Tags)+8)
	maps.Copy(m, op.Tags)
	m[TagOwner] = op.Owner
	m[TagToken] = op.ID
	m[TagSource] = source.Tag()
	m[TagCreated] = op.Started.UTC().Format("2006-01-02T15:04:05Z")
	return m
}

func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "..."
}

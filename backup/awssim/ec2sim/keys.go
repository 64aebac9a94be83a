package ec2sim

import (
	"fmt"
	"hash/fnv"
	"strings"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// keyRing is the ability of a simulated KMS to tell what a key is worth. A World without one takes every key for enabled.
type keyRing interface {
	KeyUsable(keyARN, account string) (state string, exists bool)
}

// keyNames is the ability of a simulated KMS to tell which key a name means.
type keyNames interface {
	ResolveKey(r *awssim.Request, id string) (keyARN string, ok bool)
}

// defaultAlias names the account's own key for EBS, which AWS manages.
const defaultAlias = "alias/aws/ebs"

// keyUsable reports whether the calling account can use a key.
func keyUsable(r *awssim.Request, key string) bool {
	ring, ok := awssim.Find[keyRing](r.World)
	if !ok {
		return true
	}
	state, exists := ring.KeyUsable(key, r.Account)
	return exists && state == "Enabled"
}

// keyARN gives the ARN of a key that is named by id, alias or ARN. EC2 takes a name that means nothing too, and finds out later.
func keyARN(r *awssim.Request, key string) string {
	if names, ok := awssim.Find[keyNames](r.World); ok {
		if arn, ok := names.ResolveKey(r, key); ok {
			return arn
		}
	}
	switch {
	case strings.HasPrefix(key, "arn:"):
		return strings.Clone(key)
	case strings.HasPrefix(key, "alias/"):
		return r.ARN("kms", "key/"+madeUp(r, key))
	}
	return r.ARN("kms", "key/"+key)
}

// madeUp is the id of the key behind an alias where the World has no KMS to ask.
func madeUp(r *awssim.Request, alias string) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s/%s", r.Account, r.Region, alias)
	n := h.Sum64()
	return fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", uint32(n), uint16(n>>32), n>>48&0xfff, n>>52&0xfff, n&0xffffffffffff)
}

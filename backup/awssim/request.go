package awssim

import (
	"fmt"
	"hash/fnv"
	"math"
	"time"
)

// Request is a call as a Handler sees it. It is used under the World's lock and must not be kept.
type Request struct {
	World              *World
	Service, Operation string
	// Account and Region are read from the credential scope of the signature.
	Account, Region string
	// Principal is the caller's ARN.
	Principal string
	// AccessKey is the caller's access key id.
	AccessKey string
	// Now is the instant at which the call looks. For a call that reads it may lie in the past (see FaultStale), and then so does
	// everything that it sees.
	Now time.Time
	// Doomed tells that what this call makes is to fail later (see FaultAsync).
	Doomed bool

	blind time.Duration
}

// Visible reports whether a resource made at the given instant can be seen by this call: a call that looks at an instant before it, or
// within the visibility lag that was noted with it, does not see it.
func (r *Request) Visible(made time.Time, lag time.Duration) bool {
	if made.Add(lag).After(r.Now) {
		return false
	}
	return r.blind == 0 || !made.Add(r.blind).After(r.Now)
}

// Lag is the visibility lag for a resource that this call makes, to be noted with it.
func (r *Request) Lag() time.Duration { return r.World.scale(r.World.lag) }

// Partition is the partition of the call's Region.
func (r *Request) Partition() string { return PartitionOf(r.Region) }

// ARN makes an ARN in the call's partition, Region and account.
func (r *Request) ARN(service, resource string) string {
	return "arn:" + r.Partition() + ":" + service + ":" + r.Region + ":" + r.Account + ":" + resource
}

// NewID makes an identifier as EC2 makes them: the prefix, a hyphen and 17 hexadecimal digits. Ids of one World never repeat, and two
// Worlds with the same seed give the same ids in the same order.
func (r *Request) NewID(prefix string) string {
	r.World.ids++
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s/%d", r.World.seed, prefix, r.World.ids)
	return fmt.Sprintf("%s-%07x%010x", prefix, h.Sum64()&0xfffffff, r.World.ids)
}

// Scale divides a duration by World.Speed.
func (r *Request) Scale(d time.Duration) time.Duration { return r.World.scale(d) }

// Took gives how long the work on the named resource takes: drawn from a lognormal distribution with the given median and sigma, seeded by
// the World's seed and the name, so that it does not depend on the order of calls; limited to 1/20 and 20 times the median; then scaled.
func (r *Request) Took(name string, median time.Duration, sigma float64) time.Duration {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d/%s", r.World.seed, name)
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	u1 := (float64(x>>32) + 1) / (1 << 32)
	u2 := float64(x&0xffffffff) / (1 << 32)
	normal := math.Sqrt(-2*math.Log(u1)) * math.Cos(2*math.Pi*u2)
	f := min(max(math.Exp(sigma*normal), 0.05), 20)
	return r.World.scale(time.Duration(float64(median) * f))
}

// Page gives the size of the page to answer with: what was asked for (0 means the service's default), within the service's limit and within
// World.PageLimit.
func (r *Request) Page(asked, normal, most int) int {
	n := asked
	if n <= 0 {
		n = normal
	}
	n = min(n, most)
	if r.World.pageLimit > 0 {
		n = min(n, r.World.pageLimit)
	}
	return max(n, 1)
}

// PartitionOf gives the partition of a Region by its prefix; a Region that is not known belongs to "aws".
func PartitionOf(region string) string {
	has := func(p string) bool { return len(region) > len(p) && region[:len(p)] == p }
	switch {
	case has("us-gov-"):
		return "aws-us-gov"
	case has("cn-"):
		return "aws-cn"
	case has("us-isob-"):
		return "aws-iso-b"
	case has("us-isof-"):
		return "aws-iso-f"
	case has("us-iso-"):
		return "aws-iso"
	case has("eu-isoe-"):
		return "aws-iso-e"
	case has("eusc-"):
		return "aws-eusc"
	}
	return "aws"
}

// Find gives the service of a World that has the ability T, so that one simulated service can ask another: whether a key is enabled, which
// account owns a bucket. It is called by Handlers, under the World's lock, and what it gives must not wait either.
func Find[T any](w *World) (T, bool) {
	for _, s := range w.services {
		if t, ok := s.Service.(T); ok {
			return t, true
		}
	}
	var zero T
	return zero, false
}

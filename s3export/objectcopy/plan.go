package objectcopy

import (
	"fmt"
	"time"
)

// Limits of a multipart upload. Source: S3 user guide, Multipart upload limits.
const (
	mib = 1 << 20
	// MinPartSize is the least size of a part, but for the last one, which may be smaller.
	MinPartSize = 5 * mib
	// MaxPartSize is the largest part that can be asked for, and the largest that is used for objects of up to MaxParts such parts (5.3 TB). A
	// part must be copied within a Step: at this size S3 may be as slow as 10 MB/s for each request, and usually moves 90. S3 itself
	// takes parts of 5 GiB, and the largest of objects needs nearly that.
	MaxPartSize = 512 * mib
	maxS3Part   = 5 << 30
	// MaxParts is how many parts an object can have.
	MaxParts = 10_000
	// DefaultPartSize is the part size that is wanted unless Options say otherwise.
	DefaultPartSize = 64 * mib
	// maxSingle is the largest object that is copied in one call whatever the part size: a Step has a minute. S3 itself takes 5 GB.
	maxSingle = 512 * mib
	// maxObject is the largest object that S3 has. Source: S3 user guide, Objects overview.
	maxObject = 50_000_000_000_000
)

// PartSize gives the size of the parts, in bytes, in which an object of the given size is copied: the wanted one, or more if that would make more
// than MaxParts parts, rounded up to whole MiB. It is at least MinPartSize, and more than MaxPartSize only for an object that could not be copied
// otherwise.
func PartSize(size, wanted int64) int64 {
	least := (size + MaxParts - 1) / MaxParts
	part := max(min(wanted, MaxPartSize), least, MinPartSize)
	part = (part + mib - 1) / mib * mib
	return min(part, maxS3Part)
}

// parts is how many parts an object has.
func parts(size, part int64) int { return int((size + part - 1) / part) }

// span is what part number n, from 1, has of an object.
func span(n int, size, part int64) (first, length int64) {
	first = int64(n-1) * part
	return first, min(part, size-first)
}

func byteRange(first, length int64) string { return fmt.Sprintf("bytes=%d-%d", first, first+length-1) }

// stepTime is when the parts of a Step are given up; a Step has a minute.
const stepTime = 55 * time.Second

// begin tells whether a part may be begun in a Step that has lasted so long and may last for limit: if the slowest part so far, and a half of it,
// would fit in; or in the first half, while nobody knows yet how long a part takes.
func begin(elapsed, slowest, limit time.Duration) bool {
	if slowest == 0 {
		return elapsed < limit/2
	}
	return elapsed+slowest+slowest/2 < limit
}

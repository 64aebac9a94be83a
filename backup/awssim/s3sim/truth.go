package s3sim

import (
	"maps"
	"slices"
	"time"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// ObjectView is an object as it is, also one that a service is still writing.
type ObjectView struct {
	Key string
	// Size is in bytes.
	Size int64
	// At is when it was written, or will be.
	At time.Time
	// Version is its id, "null" in a bucket without versions, empty while a service is writing it; Marker tells a delete marker.
	Version string
	Marker  bool
	Class   s3types.StorageClass
	// Encryption and KMSKey (an ARN) tell how it is encrypted; Encryption is empty for SSE-C.
	Encryption s3types.ServerSideEncryption
	KMSKey     string
	Metadata   map[string]string
}

// UploadView is a multipart upload that is neither completed nor aborted.
type UploadView struct {
	Key, ID string
	Begun   time.Time
	Parts   int
}

// truth runs f on a bucket, if there is one.
func (s *S3) truth(w *awssim.World, region, bucketName string, f func(*awssim.Request, *bucket)) {
	w.Do("", region, func(r *awssim.Request) {
		if b, ok := s.bucket(r, bucketName); ok {
			f(r, b)
		}
	})
}

// Objects gives the newest version of every key of a bucket in the order of the keys, without a call. Keys whose newest version is a delete
// marker are left out.
func (s *S3) Objects(w *awssim.World, region, bucketName string) (all []ObjectView) {
	for _, o := range s.Versions(w, region, bucketName) {
		if n := len(all); n > 0 && all[n-1].Key == o.Key {
			all = all[:n-1]
		}
		all = append(all, o)
	}
	return slices.DeleteFunc(all, func(o ObjectView) bool { return o.Marker })
}

// Versions gives all versions of a bucket's objects, by key and the oldest first, without a call.
func (s *S3) Versions(w *awssim.World, region, bucketName string) (all []ObjectView) {
	s.truth(w, region, bucketName, func(_ *awssim.Request, b *bucket) {
		keys := slices.Collect(maps.Keys(b.objects))
		for _, o := range b.pending {
			keys = append(keys, o.key)
		}
		slices.Sort(keys)
		for _, key := range slices.Compact(keys) {
			versions := slices.Clone(b.objects[key])
			for _, o := range b.pending {
				if o.key == key {
					versions = append(versions, o)
				}
			}
			for _, o := range versions {
				all = append(all, ObjectView{key, o.content.size, o.at, o.version, o.marker, o.class, o.cipher.sse, o.cipher.key, maps.Clone(o.metadata)})
			}
		}
	})
	return all
}

// Uploads gives the unfinished multipart uploads of a bucket by key and age, without a call.
func (s *S3) Uploads(w *awssim.World, region, bucketName string) (all []UploadView) {
	s.truth(w, region, bucketName, func(_ *awssim.Request, b *bucket) {
		for _, u := range slices.SortedFunc(maps.Values(b.uploads), byKey) {
			all = append(all, UploadView{u.plan.key, u.id, u.begun, len(u.parts)})
		}
	})
	return all
}

// latest gives the version of a key that was made last, also a delete marker, or that a service is writing to be so.
func (b *bucket) latest(key string) (o *object) {
	if all := b.objects[key]; len(all) > 0 {
		o = all[len(all)-1]
	}
	for _, p := range b.pending {
		if p.key == key {
			o = p
		}
	}
	return o
}

// maxContent is the most that Content gives.
const maxContent = 1 << 30

// Content gives a copy of the bytes of a key's newest version, also of one that a service is still writing, without a call; nil if there is none, and
// for more than 1 GiB, as generated objects may have: Same compares those, and GetObject reads ranges of them.
func (s *S3) Content(w *awssim.World, region, bucketName, key string) (data []byte) {
	s.truth(w, region, bucketName, func(_ *awssim.Request, b *bucket) {
		if o := b.latest(key); o != nil && o.content.size <= maxContent {
			data = o.content.bytes()
		}
	})
	return data
}

// Same tells whether two objects have the same bytes, without reading them, and so of any size.
func (s *S3) Same(w *awssim.World, regionA, bucketA, keyA, regionB, bucketB, keyB string) bool {
	sum := func(region, bucketName, key string) (crc uint64, size int64) {
		size = -1
		s.truth(w, region, bucketName, func(_ *awssim.Request, b *bucket) {
			if o := b.latest(key); o != nil {
				crc, size = o.content.crc(), o.content.size
			}
		})
		return crc, size
	}
	crcA, sizeA := sum(regionA, bucketA, keyA)
	crcB, sizeB := sum(regionB, bucketB, keyB)
	return sizeA >= 0 && sizeA == sizeB && crcA == crcB
}

// Generate makes an object of any size, up to 50 TB, that takes no memory: its bytes follow from the seed. It reports whether the bucket is
// there.
func (s *S3) Generate(w *awssim.World, region, bucketName, key string, size int64, seed uint64) (made bool) {
	s.truth(w, region, bucketName, func(r *awssim.Request, b *bucket) {
		made = b.put(r, key, blob{}.and(piece{generate(seed), 0, size}), r.Now) == nil
	})
	return made
}

// Damage changes one bit in the middle of the newest version of a key, as no call can. Its ETag stays, as it would if a disk had done it.
func (s *S3) Damage(w *awssim.World, region, bucketName, key string) (found bool) {
	s.truth(w, region, bucketName, func(_ *awssim.Request, b *bucket) {
		o := b.latest(key)
		if o == nil || o.content.size == 0 {
			return
		}
		mid := o.content.size / 2
		bad := o.content.cut(mid, 1).bytes()
		bad[0] ^= 1
		content := o.content.cut(0, mid).and(piece{&uploaded{bad}, 0, 1})
		for _, p := range o.content.cut(mid+1, o.content.size-mid-1).pieces {
			content = content.and(p)
		}
		damaged := *o
		damaged.content, found = content, true
		for _, all := range [][]*object{b.objects[key], b.pending} {
			if i := slices.Index(all, o); i >= 0 {
				all[i] = &damaged
			}
		}
	})
	return found
}

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
	// Version is its id, "null" in a bucket without versions; Marker tells a delete marker.
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
		if b, ok := s.buckets[name{r.Partition(), bucketName}]; ok {
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
		for _, key := range slices.Sorted(maps.Keys(b.objects)) {
			for _, o := range b.objects[key] {
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

// Content gives a copy of an object's bytes, without a call; nil if there is none.
func (s *S3) Content(w *awssim.World, region, bucketName, key string) (data []byte) {
	s.truth(w, region, bucketName, func(_ *awssim.Request, b *bucket) {
		if all := b.objects[key]; len(all) > 0 {
			data = all[len(all)-1].content.bytes()
		}
	})
	return data
}

// Same tells whether two objects have the same bytes, without reading them, and so of any size.
func (s *S3) Same(w *awssim.World, regionA, bucketA, keyA, regionB, bucketB, keyB string) bool {
	sum := func(region, bucketName, key string) (crc uint64, size int64) {
		size = -1
		s.truth(w, region, bucketName, func(_ *awssim.Request, b *bucket) {
			if all := b.objects[key]; len(all) > 0 {
				crc, size = all[len(all)-1].content.crc(), all[len(all)-1].content.size
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

// Damage changes one bit in the middle of an object, as no call can. Its ETag stays, as it would if a disk had done it.
func (s *S3) Damage(w *awssim.World, region, bucketName, key string) (found bool) {
	s.truth(w, region, bucketName, func(_ *awssim.Request, b *bucket) {
		all := b.objects[key]
		if len(all) == 0 || all[len(all)-1].content.size == 0 {
			return
		}
		o := *all[len(all)-1]
		data := o.content.bytes()
		data[len(data)/2] ^= 1
		o.content = bytesBlob(data)
		all[len(all)-1], found = &o, true
	})
	return found
}

package s3sim

import (
	"maps"
	"slices"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// ObjectView is an object as it is, also one that a service is still writing.
type ObjectView struct {
	Key  string
	Size int
	// At is when it was written, or will be.
	At time.Time
}

// Objects gives the objects of a bucket in the order of their keys, without a call.
func (s *S3) Objects(w *awssim.World, region, bucket string) (all []ObjectView) {
	w.Do("", region, func(r *awssim.Request) {
		b, ok := s.buckets[name{r.Partition(), bucket}]
		if !ok {
			return
		}
		for _, key := range slices.Sorted(maps.Keys(b.objects)) {
			o := b.objects[key]
			all = append(all, ObjectView{key, len(o.body), o.at})
		}
	})
	return all
}

// Content gives a copy of an object's bytes, without a call; nil if there is none.
func (s *S3) Content(w *awssim.World, region, bucket, key string) (data []byte) {
	w.Do("", region, func(r *awssim.Request) {
		if b, ok := s.buckets[name{r.Partition(), bucket}]; ok && b.objects[key] != nil {
			data = slices.Clone(b.objects[key].body)
		}
	})
	return data
}

// Damage changes one bit in the middle of an object, as no call can. Its ETag stays, as it would if a disk had done it.
func (s *S3) Damage(w *awssim.World, region, bucket, key string) (found bool) {
	w.Do("", region, func(r *awssim.Request) {
		b, ok := s.buckets[name{r.Partition(), bucket}]
		if !ok || b.objects[key] == nil || len(b.objects[key].body) == 0 {
			return
		}
		o := *b.objects[key]
		o.body = slices.Clone(o.body)
		o.body[len(o.body)/2] ^= 1
		b.objects[key], found = &o, true
	})
	return found
}

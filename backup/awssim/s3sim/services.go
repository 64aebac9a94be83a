package s3sim

import (
	"slices"
	"strings"
	"time"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// BucketPlace gives a bucket's Region and owner. Other simulated services call it, under the World's lock.
func (s *S3) BucketPlace(r *awssim.Request, bucket string) (region, owner string, exists bool) {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	if !ok {
		return "", "", false
	}
	return b.region, b.owner, true
}

// HasObject tells whether a key is taken, also by an object that a service is writing. Other simulated services call it, under the World's lock.
func (s *S3) HasObject(r *awssim.Request, bucket, key string) bool {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	if !ok || len(b.objects[key]) == 0 {
		return false
	}
	all := b.objects[key]
	return !all[len(all)-1].marker
}

// ServicePut writes an object for a service; it is there from the given instant on. It does not ask whether the service may: ServiceMay does.
// Other simulated services call it, under the World's lock.
func (s *S3) ServicePut(r *awssim.Request, bucket, key string, data []byte, at time.Time) error {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	if !ok {
		return awssim.FailStatus(404, "NoSuchBucket", "The specified bucket does not exist")
	}
	return b.put(r, key, bytesBlob(data), at)
}

// put makes an object as S3 does for a call without any header.
func (b *bucket) put(r *awssim.Request, key string, content blob, at time.Time) (err error) {
	o := &object{key: key, content: content, etag: `"` + content.etag() + `"`, at: at, contentType: contentType(nil), class: s3types.StorageClassStandard}
	if o.cipher, err = b.seal(r, "", nil, nil, nil); err != nil {
		return err
	}
	if o.locks, err = b.locksOf(r, "", nil, ""); err != nil {
		return err
	}
	if o.sum, err = sum(s3types.ChecksumAlgorithmCrc64nvme, content); err != nil {
		return err
	}
	b.add(r, o)
	return nil
}

// ServiceDrop takes away an object that a service is writing and that is not there yet: its work was ended. Other simulated services call it,
// under the World's lock.
func (s *S3) ServiceDrop(r *awssim.Request, bucket, key string) {
	if b, ok := s.buckets[name{r.Partition(), bucket}]; ok {
		b.objects[key] = slices.DeleteFunc(b.objects[key], func(o *object) bool { return o.at.After(r.Now) })
		if len(b.objects[key]) == 0 {
			delete(b.objects, key)
		}
	}
}

// ServiceGet gives the bytes of an object to a service. It does not ask whether the service may. Other simulated services call it, under the
// World's lock.
func (s *S3) ServiceGet(r *awssim.Request, bucket, key string) (data []byte, exists bool) {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	if !ok {
		return nil, false
	}
	o := b.newest(key)
	if o == nil {
		return nil, false
	}
	return o.content.bytes(), true
}

// ServiceMay tells whether a bucket lets a service do something for the caller's account: its principal by the policy, or its canonical id by
// the ACL. Actions on objects are asked for an object with any key. Other simulated services call it, under the World's lock.
func (s *S3) ServiceMay(r *awssim.Request, bucket, principal, canonicalID, action string) bool {
	return s.ServiceMayObject(r, bucket, "any key", principal, canonicalID, action)
}

// ServiceMayObject is ServiceMay for one object.
func (s *S3) ServiceMayObject(r *awssim.Request, bucket, key, principal, canonicalID, action string) bool {
	b, ok := s.buckets[name{r.Partition(), bucket}]
	if !ok {
		return false
	}
	resource := b.arn(r)
	if strings.HasSuffix(action, "Object") {
		resource += "/" + key
	}
	allowed, denied := b.decide(r, caller{account: r.Account, service: principal, canonicalID: canonicalID}, action, resource)
	return allowed && !denied
}

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
	b, ok := s.bucket(r, bucket)
	if !ok {
		return "", "", false
	}
	return b.region, b.owner, true
}

// HasObject tells whether a key is taken, also by an object that a service is writing. Other simulated services call it, under the World's lock.
func (s *S3) HasObject(r *awssim.Request, bucket, key string) bool {
	b, ok := s.bucket(r, bucket)
	return ok && (b.newest(key) != nil || slices.ContainsFunc(b.pending, func(o *object) bool { return o.key == key }))
}

// ServicePut writes an object for a service; it is there from the given instant on. It does not ask whether the service may: ServiceMay does.
// Other simulated services call it, under the World's lock.
func (s *S3) ServicePut(r *awssim.Request, bucket, key string, data []byte, at time.Time) error {
	b, ok := s.bucket(r, bucket)
	if !ok {
		return noBucket()
	}
	return b.put(r, key, bytesBlob(data), at)
}

// put makes an object as S3 does for a call without any header. It is the newest version of its key from the given instant on; what the key has till
// then stays.
func (b *bucket) put(r *awssim.Request, key string, content blob, at time.Time) (err error) {
	o := &object{key: key, content: content, etag: `"` + content.etag() + `"`, at: at, contentType: contentType(nil), class: s3types.StorageClassStandard}
	if o.cipher, err = b.seal(r, "", nil, nil, nil); err != nil {
		return err
	}
	if o.locks, err = b.locksOf(at, "", nil, ""); err != nil {
		return err
	}
	if o.sum, err = sum(s3types.ChecksumAlgorithmCrc64nvme, content); err != nil {
		return err
	}
	b.pending = append(b.pending, o)
	slices.SortStableFunc(b.pending, func(x, y *object) int { return x.at.Compare(y.at) })
	b.settle(r)
	return nil
}

// ServiceDrop takes away an object that a service is writing and that is not there yet: its work was ended. Other simulated services call it,
// under the World's lock.
func (s *S3) ServiceDrop(r *awssim.Request, bucket, key string) {
	if b, ok := s.bucket(r, bucket); ok {
		b.pending = slices.DeleteFunc(b.pending, func(o *object) bool { return o.key == key })
	}
}

// ServiceGet gives the bytes of an object to a service. It does not ask whether the service may. Other simulated services call it, under the
// World's lock.
func (s *S3) ServiceGet(r *awssim.Request, bucket, key string) (data []byte, exists bool) {
	b, ok := s.bucket(r, bucket)
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
	b, ok := s.bucket(r, bucket)
	if !ok {
		return false
	}
	if !strings.HasSuffix(action, "Object") {
		key = ""
	}
	return b.serviceMay(r, principal, canonicalID, action, key)
}

package rdssim

import (
	"strings"
	"time"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// buckets is what a simulated S3 tells RDS of buckets, and does for it. Without one in the World there is no bucket to export to.
type buckets interface {
	// BucketPlace gives a bucket's Region and owner.
	BucketPlace(r *awssim.Request, bucket string) (region, owner string, exists bool)
	// ServicePut writes an object that is there from the given instant on.
	ServicePut(r *awssim.Request, bucket, key string, body []byte, at time.Time) error
	// ServiceDrop takes away an object that is not there yet.
	ServiceDrop(r *awssim.Request, bucket, key string)
}

// exportBucket finds the bucket of an export.
func exportBucket(r *awssim.Request, bucket string) (buckets, error) {
	store, ok := awssim.Find[buckets](r.World)
	if ok {
		if region, owner, exists := store.BucketPlace(r, bucket); exists && region == r.Region && owner == r.Account {
			return store, nil
		}
	}
	return nil, awssim.Fail("InvalidS3BucketFault", "The specified Amazon S3 bucket name can't be found or Amazon RDS isn't authorized to access the specified Amazon S3 bucket: %s", bucket)
}

// RoleState is what an export finds of the IAM role that it is given.
type RoleState int

const (
	// RoleReady can be used. It is the state of every role that nothing else was said of.
	RoleReady RoleState = iota
	// RoleMissing does not exist: IamRoleNotFound.
	RoleMissing
	// RoleLacking may not do all that an export needs: IamRoleMissingPermissions.
	RoleLacking
)

// roleSpan is a time in which a role has a state.
type roleSpan struct {
	until time.Time // zero for ever
	state RoleState
}

// SetRole has RDS find a role in a state for a time from now, or for ever with 0. So a role that was just made, and is not known everywhere yet, is
// RoleMissing for some seconds.
func (s *RDS) SetRole(w *awssim.World, roleARN string, state RoleState, d time.Duration) {
	w.Do("", "", func(r *awssim.Request) {
		x := roleSpan{state: state}
		if d > 0 {
			x.until = r.Now.Add(r.Scale(d))
		}
		s.roles[roleARN] = x
	})
}

// identities is what a simulated IAM tells of what the caller of a Request may do by its own policies. Without one every role may do everything.
type identities interface {
	AllowsIdentity(r *awssim.Request, action, resource string) bool
}

// exportRole checks the role that an export is to write with, to a folder of a bucket.
func (s *RDS) exportRole(r *awssim.Request, arn, bucket, folder string) error {
	name, ok := strings.CutPrefix(arn, "arn:"+r.Partition()+":iam::"+r.Account+":role/")
	x, set := s.roles[arn]
	if set && !x.until.IsZero() && !r.Now.Before(x.until) {
		x.state = RoleReady
	}
	switch {
	case !ok, name == "", x.state == RoleMissing:
		return notFound("IamRoleNotFound", "The IAM role %s is missing for exporting to an Amazon S3 bucket.", arn)
	case x.state == RoleLacking, !mayWrite(r, arn, bucket, folder):
		return awssim.Fail("IamRoleMissingPermissions", "The IAM role %s requires additional permissions to export to an Amazon S3 bucket.", arn)
	}
	return nil
}

// mayWrite tells whether a role's own policies allow what an export asks for. Source: RDS API, StartExportTask, IamRoleArn.
func mayWrite(r *awssim.Request, role, bucket, folder string) bool {
	iam, ok := awssim.Find[identities](r.World)
	if !ok {
		return true
	}
	as := *r
	as.Principal, as.AccessKey = role, ""
	arn := "arn:" + r.Partition() + ":s3:::" + bucket
	for _, action := range []string{"s3:ListBucket", "s3:GetBucketLocation"} {
		if !iam.AllowsIdentity(&as, action, arn) {
			return false
		}
	}
	for _, action := range []string{"s3:PutObject", "s3:GetObject", "s3:DeleteObject"} {
		if !iam.AllowsIdentity(&as, action, arn+"/"+folder+"export_info.json") {
			return false
		}
	}
	return true
}

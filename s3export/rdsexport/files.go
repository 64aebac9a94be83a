package rdsexport

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// File is one object of an export: Parquet, the _SUCCESS marks between them, and the files in JSON that describe the export.
type File struct {
	Key      string
	Size     int64 // bytes
	Modified time.Time
}

// Files lists the objects of an export in the order of their keys; what is the Ref of TypeExport in Operation.Points, or that of TypeFiles in
// Operation.Made. It ends after the first error that it yields. An export of a large database has hundreds of thousands of objects, and S3 lists a
// thousand with each call.
func (s *Strategy) Files(ctx context.Context, what backup.Ref) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		bucket, folder, err := place(what)
		if err != nil {
			yield(File{}, err)
			return
		}
		c, err := s.clients(ctx, what)
		if err != nil {
			yield(File{}, err)
			return
		}
		pages := awss3.NewListObjectsV2Paginator(c.S3, &awss3.ListObjectsV2Input{Bucket: &bucket, Prefix: aws.String(folder + "/"), ExpectedBucketOwner: &what.Account})
		for pages.HasMorePages() {
			p, err := pages.NextPage(ctx)
			if err != nil {
				yield(File{}, s3Table.Wrap(Kind, "ListObjectsV2", what, err))
				return
			}
			for _, o := range p.Contents {
				if !yield(File{aws.ToString(o.Key), aws.ToInt64(o.Size), aws.ToTime(o.LastModified)}, nil) {
					return
				}
			}
		}
	}
}

// place takes the Ref of an export's files apart.
func place(r backup.Ref) (bucket, folder string, err error) {
	if err := r.Validate(); err != nil {
		return "", "", err
	}
	bucket, folder, ok := strings.Cut(r.ID, "/")
	if r.Type != TypeExport && r.Type != TypeFiles || !ok || folder == "" || strings.HasSuffix(folder, "/") {
		return "", "", invalid(r, "use what Operation.Points or Operation.Made lists", "this is no export")
	}
	if err := policy.ValidateBucketName(bucket); err != nil {
		return "", "", invalid(r, "use what Operation.Points or Operation.Made lists", "%w", err)
	}
	return bucket, folder, nil
}

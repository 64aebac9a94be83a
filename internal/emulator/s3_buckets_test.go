package emulator

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

func bucketRows() []behaviour {
	return []behaviour{
		{id: "create-again", what: "CreateBucket of one's own bucket", aws: "BucketAlreadyOwnedByYou", run: func(s *store) string {
			return code(s.create(s.own, s.bucket("a"), s3Region))
		}},
		{id: "create-again-east", what: "CreateBucket of one's own bucket in us-east-1, where S3 lets it pass for old programs", aws: "ok", run: func(s *store) string {
			s.must("CreateBucket", s.create(s.elsewhere, s.name("a"), ""))
			return code(s.create(s.elsewhere, s.name("a"), ""))
		}},
		{id: "create-taken", what: "CreateBucket of another's bucket", aws: "BucketAlreadyExists", run: func(s *store) string {
			return code(s.create(s.other, s.bucket("a"), s3Region))
		}},
		{id: "create-place", what: "CreateBucket without a place, and in another place than the client's Region",
			aws: "IllegalLocationConstraintException, IllegalLocationConstraintException", run: func(s *store) string {
				return says(code(s.create(s.own, s.name("a"), "")), code(s.create(s.own, s.name("a"), "eu-west-2")))
			}},
		{id: "create-names", what: "CreateBucket with a short name, capital letters, an address, two dots, a reserved prefix, a reserved suffix",
			aws: "InvalidBucketName, InvalidBucketName, InvalidBucketName, InvalidBucketName, InvalidBucketName, InvalidBucketName", run: func(s *store) string {
				var all []any
				for _, name := range []string{"ab", "My_Bucket", "192.168.5.4", "a..b", "sthree-box", "box-s3alias"} {
					all = append(all, code(s.create(s.own, name, s3Region)))
				}
				return says(all...)
			}},
		{id: "head-bucket", what: "HeadBucket of one's own, of none, of another's", aws: "ok, NotFound, Forbidden", run: func(s *store) string {
			head := func(c *awss3.Client, name string) string {
				_, err := c.HeadBucket(s.ctx, &awss3.HeadBucketInput{Bucket: &name})
				return code(err)
			}
			name := s.bucket("a")
			return says(head(s.own, name), head(s.own, s.name("none")), head(s.other, name))
		}},
		{id: "location", what: "GetBucketLocation", aws: s3Region, run: func(s *store) string {
			out, err := s.own.GetBucketLocation(s.ctx, &awss3.GetBucketLocationInput{Bucket: aws.String(s.bucket("a"))})
			s.must("GetBucketLocation", err)
			return string(out.LocationConstraint)
		}},
		{id: "expected-owner", what: "PutObject, GetObject, ListObjectsV2 and HeadBucket with an expected owner, the right one and a wrong one",
			aws: "ok ok ok ok, AccessDenied AccessDenied AccessDenied Forbidden", run: func(s *store) string {
				name := s.bucket("a")
				all := func(owner string) string {
					_, put := s.put(s.own, name, "k", "text", func(in *awss3.PutObjectInput) { in.ExpectedBucketOwner = &owner })
					_, get := s.own.GetObject(s.ctx, &awss3.GetObjectInput{Bucket: &name, Key: aws.String("k"), ExpectedBucketOwner: &owner})
					_, list := s.own.ListObjectsV2(s.ctx, &awss3.ListObjectsV2Input{Bucket: &name, ExpectedBucketOwner: &owner})
					_, head := s.own.HeadBucket(s.ctx, &awss3.HeadBucketInput{Bucket: &name, ExpectedBucketOwner: &owner})
					return code(put) + " " + code(get) + " " + code(list) + " " + code(head)
				}
				return says(all(s.ownID), all(s.otherID))
			}},
	}
}

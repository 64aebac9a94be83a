package emulator

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
)

// copied runs one copy by objectcopy, in parts of 8 MiB, from "from" to "k" of a bucket, and tells how it ended.
func (s *store) copied(bucket string) string {
	s.t.Helper()
	strategy := objectcopy.New(func(_ context.Context, account, region string) (*awss3.Client, error) {
		if account != s.ownID || region != s3Region {
			return nil, fmt.Errorf("no client for %s in %s", account, region)
		}
		return s.own, nil
	}, func(o *objectcopy.Settings) {
		o.Concurrency = 4
		if s.server != simulated {
			o.Settle = time.Second
		}
	})
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	s.must("NewRunner", err)
	op, err := strategy.Start(s.ctx, objectcopy.Object(s.ownID, s3Region, bucket, "from"), backup.Spec{Token: "copy", Options: objectcopy.Options{Bucket: bucket, Key: "k", PartSize: 8 * mib}})
	s.must("Start", err)
	op, err = runner.Run(s.ctx, op)
	for _, f := range op.Findings {
		s.t.Logf("finding %s: %s", f.ID, f.Message)
	}
	if err != nil {
		s.t.Logf("Run: %v", err)
	}
	if op.Err() != nil {
		s.t.Logf("the copy: %v", op.Err())
		return fmt.Sprint(op.Phase, " ", backup.CodeOf(op.Err()))
	}
	return string(op.Phase)
}

func objectcopyRows() []behaviour {
	return []behaviour{
		{id: "objectcopy", what: "objectcopy of 66 MiB in parts: how it ends, the bytes, whether S3 calls it an object in parts, unfinished uploads, and once more",
			aws: "succeeded, same, 9 parts, , succeeded", run: func(s *store) string {
				name, data := s.bucket("a"), pattern(66*mib)
				s.large(name, "from", data)
				end := s.copied(name)
				if end != string(backup.PhaseSucceeded) {
					return says(end, s.uploads(name, ""))
				}
				out, err := s.own.HeadObject(s.ctx, &awss3.HeadObjectInput{Bucket: &name, Key: aws.String("k"), PartNumber: aws.Int32(1)})
				s.must("HeadObject", err)
				return says(end, s.same(name, "k", data), fmt.Sprint(aws.ToInt32(out.PartsCount), " parts"), s.uploads(name, ""), s.copied(name))
			}},
		{id: "objectcopy-small", what: "objectcopy of a small object", aws: "succeeded, text", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "from", "text")
			return says(s.copied(name), s.get(s.own, name, "k"))
		}},
		{id: "objectcopy-taken", what: "objectcopy, small and in parts, to a key that another object has", aws: "failed conflict, other, failed conflict, other, ", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "other")
			s.write(name, "from", "text")
			small := s.copied(name)
			kept := s.get(s.own, name, "k")
			s.large(name, "from", pattern(12*mib))
			return says(small, kept, s.copied(name), s.get(s.own, name, "k"), s.uploads(name, ""))
		}},
		{id: "objectcopy-missing", what: "objectcopy of a missing object", aws: "failed not found", run: func(s *store) string {
			return s.copied(s.bucket("a"))
		}},
		{id: "objectcopy-lost", what: "objectcopy in parts of which the answers of CreateMultipartUpload, of UploadPartCopy and of CompleteMultipartUpload are lost, and the uploads that are left",
			// An upload without parts could be anybody's: it is told in a finding and not taken, so that the first one stays for the lifecycle rule.
			aws: "1 succeeded same k, 1 succeeded same , 1 succeeded same ", run: func(s *store) string {
				var all []any
				data := pattern(12 * mib)
				for i, operation := range []string{"CreateMultipartUpload", "UploadPartCopy", "CompleteMultipartUpload"} {
					name := s.bucket(fmt.Sprint(i))
					s.large(name, "from", data)
					lost := s.lose(operation)
					end := s.copied(name)
					all = append(all, fmt.Sprint(lost(), " ", end, " ", s.same(name, "k", data), " ", s.uploads(name, "")))
				}
				return says(all...)
			}},
	}
}

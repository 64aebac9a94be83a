package emulator

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// versioning turns a bucket's versions on, or suspends them.
func (s *store) versioning(bucket string, to s3types.BucketVersioningStatus) {
	s.t.Helper()
	_, err := s.own.PutBucketVersioning(s.ctx, &awss3.PutBucketVersioningInput{Bucket: &bucket, VersioningConfiguration: &s3types.VersioningConfiguration{Status: to}})
	s.must("PutBucketVersioning", err)
}

// versioned makes a bucket with versions.
func (s *store) versioned() string {
	name := s.bucket("a")
	s.versioning(name, s3types.BucketVersioningStatusEnabled)
	return name
}

// writes writes a version of key k and gives its id.
func (s *store) writes(bucket, text string) string {
	s.t.Helper()
	out, err := s.put(s.own, bucket, "k", text)
	s.must("PutObject", err)
	s.wait(1)
	return aws.ToString(out.VersionId)
}

// version reads a version of key k.
func (s *store) version(bucket, id string) string {
	return s.get(s.own, bucket, "k", func(in *awss3.GetObjectInput) { in.VersionId = &id })
}

// remove deletes key k, or a version of it.
func (s *store) remove(bucket, version string, edit ...func(*awss3.DeleteObjectInput)) (*awss3.DeleteObjectOutput, error) {
	in := &awss3.DeleteObjectInput{Bucket: &bucket, Key: aws.String("k")}
	if version != "" {
		in.VersionId = &version
	}
	for _, f := range edit {
		f(in)
	}
	return s.own.DeleteObject(s.ctx, in)
}

// listed tells the versions and markers of a bucket, the newest of a key first; + is the current one.
func (s *store) listed(bucket string, names map[string]string) string {
	s.t.Helper()
	out, err := s.own.ListObjectVersions(s.ctx, &awss3.ListObjectVersionsInput{Bucket: &bucket})
	s.must("ListObjectVersions", err)
	text := ""
	say := func(kind string, id *string, latest *bool) {
		text += kind + names[aws.ToString(id)]
		if aws.ToBool(latest) {
			text += "+"
		}
		text += " "
	}
	for _, m := range out.DeleteMarkers {
		say("marker", m.VersionId, m.IsLatest)
	}
	for _, v := range out.Versions {
		say("", v.VersionId, v.IsLatest)
	}
	return text
}

func versionRows() []behaviour {
	return []behaviour{
		{id: "versioning", what: "GetBucketVersioning: new, on, suspended", aws: ", Enabled, Suspended", run: func(s *store) string {
			name := s.bucket("a")
			status := func() string {
				out, err := s.own.GetBucketVersioning(s.ctx, &awss3.GetBucketVersioningInput{Bucket: &name})
				s.must("GetBucketVersioning", err)
				return string(out.Status)
			}
			first := status()
			s.versioning(name, s3types.BucketVersioningStatusEnabled)
			second := status()
			s.versioning(name, s3types.BucketVersioningStatusSuspended)
			return says(first, second, status())
		}},
		{id: "versions", what: "Two versions: the current one, each by its id, the list", aws: "second, first, second, two+ one ", run: func(s *store) string {
			name := s.versioned()
			one, two := s.writes(name, "first"), s.writes(name, "second")
			return says(s.get(s.own, name, "k"), s.version(name, one), s.version(name, two), s.listed(name, map[string]string{one: "one", two: "two"}))
		}},
		{id: "marker", what: "DeleteObject makes a marker, which hides the versions and is deleted by its id",
			aws: "true, NoSuchKey, first, marker+ one , MethodNotAllowed, true, first, one+ ", run: func(s *store) string {
				name := s.versioned()
				one := s.writes(name, "first")
				out, err := s.remove(name, "")
				s.must("DeleteObject", err)
				marker := aws.ToString(out.VersionId)
				names := map[string]string{one: "one"}
				hidden, kept, list, byID := s.get(s.own, name, "k"), s.version(name, one), s.listed(name, names), s.version(name, marker)
				gone, err := s.remove(name, marker)
				s.must("DeleteObject", err)
				return says(aws.ToBool(out.DeleteMarker), hidden, kept, list, byID, aws.ToBool(gone.DeleteMarker), s.get(s.own, name, "k"), s.listed(name, names))
			}},
		{id: "version-delete", what: "DeleteObject of the current version: the one before it is current", aws: "ok, first, NoSuchVersion, one+ ", run: func(s *store) string {
			name := s.versioned()
			one, two := s.writes(name, "first"), s.writes(name, "second")
			_, err := s.remove(name, two)
			return says(code(err), s.get(s.own, name, "k"), s.version(name, two), s.listed(name, map[string]string{one: "one", two: "two"}))
		}},
		{id: "version-null", what: "What was written before there were versions, and while they are suspended, is the version null", aws: "early, late, second, late", run: func(s *store) string {
			name := s.bucket("a")
			s.write(name, "k", "early")
			s.versioning(name, s3types.BucketVersioningStatusEnabled)
			two := s.writes(name, "second")
			early := s.version(name, "null")
			s.versioning(name, s3types.BucketVersioningStatusSuspended)
			s.writes(name, "late")
			return says(early, s.version(name, "null"), s.version(name, two), s.get(s.own, name, "k"))
		}},
		{id: "version-copy", what: "CopyObject of an older version, and of a delete marker", aws: "ok, first, InvalidRequest", run: func(s *store) string {
			name := s.versioned()
			one := s.writes(name, "first")
			s.writes(name, "second")
			out, err := s.remove(name, "")
			s.must("DeleteObject", err)
			from := func(version string) string {
				_, err := s.own.CopyObject(s.ctx, &awss3.CopyObjectInput{Bucket: &name, Key: aws.String("c"), CopySource: aws.String(name + "/k?versionId=" + version)})
				return code(err)
			}
			return says(from(one), s.get(s.own, name, "c"), from(aws.ToString(out.VersionId)))
		}},
		{id: "version-part-copy", what: "UploadPartCopy of an older version", aws: "ok, first", run: func(s *store) string {
			name := s.versioned()
			one := s.writes(name, "first")
			s.writes(name, "second")
			id := s.begin(name, "c")
			p, err := s.partCopy(name, "c", id, "k?versionId="+one, "", 1)
			s.must("UploadPartCopy", err)
			_, err = s.complete(name, "c", id, []s3types.CompletedPart{p})
			return says(code(err), s.get(s.own, name, "c"))
		}},
		{id: "version-none-match", what: "PutObject with If-None-Match * where a delete marker is the current version", aws: "PreconditionFailed, ok, second", run: func(s *store) string {
			name := s.versioned()
			s.writes(name, "first")
			fresh := func(in *awss3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }
			_, before := s.put(s.own, name, "k", "second", fresh)
			_, err := s.remove(name, "")
			s.must("DeleteObject", err)
			_, after := s.put(s.own, name, "k", "second", fresh)
			return says(code(before), code(after), s.get(s.own, name, "k"))
		}},
		{id: "version-pages", what: "ListObjectVersions in pages of 2", aws: "2 true, 2 true, 1 false, all", run: func(s *store) string {
			name := s.versioned()
			want := map[string]bool{}
			for i := range 5 {
				want[s.writes(name, fmt.Sprint(i))] = true
			}
			var all []any
			in := &awss3.ListObjectVersionsInput{Bucket: &name, MaxKeys: aws.Int32(2)}
			for range 4 {
				out, err := s.own.ListObjectVersions(s.ctx, in)
				s.must("ListObjectVersions", err)
				for _, v := range out.Versions {
					delete(want, aws.ToString(v.VersionId))
				}
				all = append(all, fmt.Sprint(len(out.Versions), " ", aws.ToBool(out.IsTruncated)))
				if in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker; !aws.ToBool(out.IsTruncated) {
					break
				}
			}
			if len(want) == 0 {
				all = append(all, "all")
			}
			return says(all...)
		}},
		{id: "version-upload", what: "An upload in parts makes a version of its own", aws: "second, first", run: func(s *store) string {
			name := s.versioned()
			one := s.writes(name, "first")
			id := s.begin(name, "k")
			_, err := s.complete(name, "k", id, []s3types.CompletedPart{s.part(name, "k", id, 1, []byte("second"))})
			s.must("CompleteMultipartUpload", err)
			return says(s.get(s.own, name, "k"), s.version(name, one))
		}},
	}
}

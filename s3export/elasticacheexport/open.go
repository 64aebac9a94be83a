package elasticacheexport

import (
	"context"
	"encoding/hex"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/s3export"
	"github.com/snapwarden/snapwarden/s3export/rdb"
)

// Manifest reads the manifest of a finished export; point is what Operation.Points lists. ErrNotFound says that there is none, and so no
// backup; ErrInvalid that what is there is none.
func (s *Strategy) Manifest(ctx context.Context, point backup.Ref) (s3export.Manifest, error) {
	c, bucket, key, err := s.at(ctx, point)
	if err != nil {
		return s3export.Manifest{}, err
	}
	b, _, err := s.load(ctx, c, point, bucket, key)
	if err != nil {
		return s3export.Manifest{}, err
	}
	m, err := s3export.ParseManifest(b)
	if err != nil {
		return s3export.Manifest{}, err
	}
	if key != s3export.ManifestKey(m.Name) {
		return s3export.Manifest{}, invalid(point, "do not restore by it", "the manifest %s is that of the export %s", key, m.Name)
	}
	return m, nil
}

// Open streams the .rdb file of one shard, "0001" for a cluster without shards. The stream is checked as it is read: in place of io.EOF it ends in
// *rdb.FormatError or *rdb.MismatchError if the bytes are not those that the manifest describes. Whoever uses the bytes before io.EOF uses
// them unchecked. Close it in the end.
func (s *Strategy) Open(ctx context.Context, point backup.Ref, shard string) (io.ReadCloser, error) {
	m, err := s.Manifest(ctx, point)
	if err != nil {
		return nil, err
	}
	c, bucket, _, err := s.at(ctx, point)
	if err != nil {
		return nil, err
	}
	for _, x := range m.Shards {
		if x.ID != shard {
			continue
		}
		want := rdb.Info{Size: x.Size}
		if n, err := hex.Decode(want.SHA256[:], []byte(x.SHA256)); err != nil || n != len(want.SHA256) {
			return nil, invalid(point, "", "the SHA-256 of shard %s", shard) // Validate has refused it before
		}
		out, err := c.S3.GetObject(ctx, &awss3.GetObjectInput{Bucket: &bucket, Key: aws.String(x.Key), ExpectedBucketOwner: &point.Account})
		if err != nil {
			return nil, s3Table.Wrap(Kind, "GetObject", point, err)
		}
		return struct {
			io.Reader
			io.Closer
		}{rdb.NewReader(out.Body, &want), out.Body}, nil
	}
	return nil, &backup.Error{Op: "open", Kind: Kind, Ref: point, Code: backup.ErrNotFound, Hint: "the manifest lists the shards"}
}

// at gives the clients for an export, and where its manifest is.
func (s *Strategy) at(ctx context.Context, point backup.Ref) (c Clients, bucket, key string, err error) {
	if err := point.Validate(); err != nil {
		return c, "", "", err
	}
	bucket, key, ok := strings.Cut(point.ID, "/")
	if point.Type != TypeExport || !ok || key == "" {
		return c, "", "", invalid(point, hintPoint, "this is no export")
	}
	c, err = s.clients(ctx, point)
	return c, bucket, key, err
}

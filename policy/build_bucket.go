package policy

import "fmt"

// The Sids of the statements that this package builds for buckets. Merging replaces statements of these Sids and no others.
const (
	SidExport   = "SnapwardenElastiCacheExport"
	SidSeed     = "SnapwardenElastiCacheSeed"
	SidInsecure = "SnapwardenDenyInsecureTransport"
)

// StatementOption changes how a statement is built.
type StatementOption func(*statementOptions)

type statementOptions struct {
	principal, account string
}

// WithPrincipal names the service principal in the place of the usual one: for a partition in which it has another name.
func WithPrincipal(service string) StatementOption {
	return func(o *statementOptions) { o.principal = service }
}

// WithSourceAccount lets the service in only when it works for the given account (aws:SourceAccount), so that nobody else's work reaches the
// bucket. Whether ElastiCache sends that key with an export is not documented (UNVERIFIED): where it does not, the export is refused for
// want of READ permissions.
func WithSourceAccount(account string) StatementOption {
	return func(o *statementOptions) { o.account = account }
}

// ElastiCacheSnapshotPrincipal is the service principal as which ElastiCache reads and writes buckets in a Region. That it ends in .amazonaws.com in
// all partitions is UNVERIFIED: see [WithPrincipal].
//
// Source: ElastiCache user guide, "Exporting a backup", step 2.
func ElastiCacheSnapshotPrincipal(region string) (string, error) {
	if err := ValidateRegion(region); err != nil {
		return "", err
	}
	return region + ".elasticache-snapshot.amazonaws.com", nil
}

// ExportStatement lets ElastiCache export snapshots of a Region to a bucket: six actions, on this bucket alone.
//
// Source: ElastiCache user guide, "Exporting a backup", step 2.
func ExportStatement(bucket, region string, opts ...StatementOption) (Statement, error) {
	return elastiCacheStatement(SidExport, bucket, region, opts, "s3:PutObject", "s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl",
		"s3:ListMultipartUploadParts", "s3:ListBucketMultipartUploads")
}

// SeedStatement lets ElastiCache read the files that a new cluster is seeded from: three actions, and no writing.
//
// Source: ElastiCache user guide, "Seeding a cluster with an externally created backup".
func SeedStatement(bucket, region string, opts ...StatementOption) (Statement, error) {
	return elastiCacheStatement(SidSeed, bucket, region, opts, "s3:GetObject", "s3:ListBucket", "s3:GetBucketAcl")
}

func elastiCacheStatement(sid, bucket, region string, opts []StatementOption, actions ...string) (Statement, error) {
	var o statementOptions
	for _, f := range opts {
		f(&o)
	}
	resources, err := bucketResources(bucket, region)
	if err != nil {
		return Statement{}, err
	}
	if o.principal == "" {
		if o.principal, err = ElastiCacheSnapshotPrincipal(region); err != nil {
			return Statement{}, err
		}
	}
	if err := checkServicePrincipal(o.principal).in("service principal", o.principal); err != nil {
		return Statement{}, err
	}
	s := Statement{Sid: sid, Effect: Allow, Principal: &Principal{Service: []string{o.principal}}, Action: actions, Resource: resources}
	if o.account != "" {
		if err := ValidateAccountID(o.account); err != nil {
			return Statement{}, err
		}
		s.Condition = Condition{"StringEquals": {"aws:SourceAccount": {o.account}}}
	}
	return s, nil
}

// DenyInsecureTransport refuses everybody who does not use TLS.
//
// Source: S3 user guide, "Security best practices for Amazon S3".
func DenyInsecureTransport(bucket, region string) (Statement, error) {
	resources, err := bucketResources(bucket, region)
	if err != nil {
		return Statement{}, err
	}
	return Statement{Sid: SidInsecure, Effect: Deny, Principal: &Principal{Everyone: true}, Action: []string{"s3:*"}, Resource: resources,
		Condition: Condition{"Bool": {"aws:SecureTransport": {"false"}}}}, nil
}

// bucketResources are the ARNs of a bucket and of all that is in it. The Region tells the partition.
func bucketResources(bucket, region string) ([]string, error) {
	if err := ValidateBucketName(bucket); err != nil {
		return nil, err
	}
	p, err := PartitionOf(region)
	if err != nil {
		return nil, err
	}
	arn := "arn:" + p.ID + ":s3:::" + bucket
	return []string{arn, arn + "/*"}, nil
}

func checkServicePrincipal(s string) fault {
	dots := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.' && i > 0 && s[i-1] != '.' && i+1 < len(s):
			dots++
		case !isLower(c) && !isDigit(c) && c != '-':
			return badChar(s, i, "a small letter, a digit, a hyphen or a dot between them")
		}
	}
	if dots == 0 {
		return faultf(RuleForm, -1, "a service principal has the form service.amazonaws.com")
	}
	return fault{}
}

// MaxBucketPolicy and MaxKeyPolicy are the most bytes that a bucket's and a key's policy may have. Source: S3 user guide, "Bucket policies"; KMS
// developer guide, "Resource quotas".
const (
	MaxBucketPolicy = 20 << 10
	MaxKeyPolicy    = 32 << 10
)

// Encode gives the document as AWS is to be given it, and refuses one of more than most bytes. What json.Marshal gives means the same and can be
// longer, because encoding/json writes <, > and & as six bytes each: send what Encode gave, whose bytes were counted.
func (d Document) Encode(most int) (string, error) {
	b, err := d.MarshalJSON()
	if err != nil {
		return "", err
	}
	if len(b) > most {
		return "", fmt.Errorf("policy: the document has %d bytes, and %d are allowed", len(b), most)
	}
	return string(b), nil
}

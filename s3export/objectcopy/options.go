package objectcopy

import (
	"fmt"
	"slices"
	"strings"

	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/policy"
)

// Options are the settings of one copy.
type Options struct {
	// Account owns the destination bucket; empty means the account of the source. Every call names the expected owners, so that a bucket
	// which was deleted and taken by somebody else gets no data.
	Account string
	// Region is the destination bucket's; empty means the source's. It must be in the source's partition.
	Region string
	// Bucket is the destination. Required.
	Bucket string
	// Key is the new object's key; empty means that of the source.
	Key string
	// Version is the version of the source that is copied; empty means the current one.
	Version string
	// PartSize is the wanted size of parts in bytes, MinPartSize to MaxPartSize, rounded up to MiB; 0 means DefaultPartSize. Objects up to
	// this size are copied in one call. A part that S3 does not copy within 55 seconds is never done.
	PartSize int64
	// StorageClass of the new object; empty means STANDARD. The classes are those that objects can be written to: STANDARD, STANDARD_IA,
	// ONEZONE_IA, INTELLIGENT_TIERING, GLACIER_IR, GLACIER and DEEP_ARCHIVE.
	StorageClass s3types.StorageClass
	// Encryption of the new object, SSES3 or SSEKMS; nil means what the destination bucket does by itself.
	Encryption Encryption
	// RestoreTier is how fast an archived source is brought back; empty means Standard. A Deep Archive has no Expedited.
	RestoreTier s3types.Tier
	// RestoreDays is for how many days the restored source stays, 1 to 30; 0 means 2. It must outlast the copying.
	RestoreDays int32
}

// OptionsFor makes Options usable as backup.Spec.Options.
func (Options) OptionsFor() (string, backup.Action) { return Kind, backup.ActionCopy }

// Encryption is how S3 encrypts the new object: SSES3 or SSEKMS.
type Encryption interface{ set(st *state) error }

// SSES3 is encryption under a key of S3's own.
type SSES3 struct{}

func (SSES3) set(st *state) error {
	st.SSE = s3types.ServerSideEncryptionAes256
	return nil
}

// SSEKMS is encryption under a KMS key.
type SSEKMS struct {
	// KeyARN is the ARN of a key (not of an alias) in the destination's Region. Required. It may belong to another account.
	KeyARN string
	// BucketKey has S3 use one data key for many objects, which makes fewer calls to KMS.
	BucketKey bool
}

func (e SSEKMS) set(st *state) error {
	a, err := policy.ParseARN(e.KeyARN)
	if err != nil {
		return err
	}
	id, ok := strings.CutPrefix(a.Resource, "key/")
	switch {
	case a.Service != "kms" || !ok || id == "" || strings.Contains(id, "/"):
		return fmt.Errorf("%q is not the ARN of a KMS key", e.KeyARN)
	case a.Region != st.Region:
		return fmt.Errorf("the key %s is not in the destination's Region %s", e.KeyARN, st.Region)
	}
	st.SSE, st.Key, st.BucketKey = s3types.ServerSideEncryptionAwsKms, e.KeyARN, e.BucketKey
	return nil
}

// classes are the storage classes that an object can be copied to.
var classes = [...]s3types.StorageClass{
	s3types.StorageClassStandard, s3types.StorageClassStandardIa, s3types.StorageClassOnezoneIa, s3types.StorageClassIntelligentTiering,
	s3types.StorageClassGlacierIr, s3types.StorageClassGlacier, s3types.StorageClassDeepArchive,
}

// state checks the options of a copy of the object with the given key, and makes its first state of them.
func (o Options) state(r backup.Ref, bucket, key string) (st state, err error) {
	st = state{Account: o.Account, Region: o.Region, Version: o.Version, Part: o.PartSize, Class: o.StorageClass, Tier: o.RestoreTier, Days: o.RestoreDays}
	if st.Account == "" {
		st.Account = r.Account
	}
	if st.Region == "" {
		st.Region = r.Region
	}
	to := o.Key
	if to == "" {
		to = key
	}
	if err := policy.ValidateAccountID(st.Account); err != nil {
		return st, fmt.Errorf("destination: %w", err)
	}
	here, err := policy.PartitionOf(r.Region)
	if err != nil {
		return st, err
	}
	there, err := policy.PartitionOf(st.Region)
	if err != nil {
		return st, fmt.Errorf("destination: %w", err)
	}
	if here != there {
		return st, fmt.Errorf("the Regions %s and %s are in two partitions, between which nothing can be copied", r.Region, st.Region)
	}
	if err := checkNames(o.Bucket, to); err != nil {
		return st, fmt.Errorf("destination: %w", err)
	}
	st.To = o.Bucket + "/" + escape(to)
	if o.Bucket == bucket && to == key {
		return st, fmt.Errorf("the destination is the source")
	}
	if st.Part == 0 {
		st.Part = DefaultPartSize
	}
	if st.Part < MinPartSize || st.Part > MaxPartSize {
		return st, fmt.Errorf("a part size of %d bytes is not within %d and %d", o.PartSize, int64(MinPartSize), int64(MaxPartSize))
	}
	if st.Class == "" {
		st.Class = s3types.StorageClassStandard
	}
	if !slices.Contains(classes[:], st.Class) {
		return st, fmt.Errorf("the storage class %q is not one that is copied to", st.Class)
	}
	if len(st.Version) > 1024 || strings.ContainsFunc(st.Version, func(c rune) bool { return c <= ' ' || c >= 0x7f }) {
		return st, fmt.Errorf("%q is not the id of a version", st.Version)
	}
	if st.Tier == "" {
		st.Tier = s3types.TierStandard
	}
	if !slices.Contains(st.Tier.Values(), st.Tier) {
		return st, fmt.Errorf("the restore tier %q is none", st.Tier)
	}
	if st.Days == 0 {
		st.Days = 2
	}
	if st.Days < 1 || st.Days > 30 {
		return st, fmt.Errorf("a restored source can not stay for %d days, allowed are 1 to 30", st.Days)
	}
	if o.Encryption != nil {
		if err := o.Encryption.set(&st); err != nil {
			return st, fmt.Errorf("encryption: %w", err)
		}
	}
	return st, nil
}

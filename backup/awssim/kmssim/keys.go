package kmssim

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (s *KMS) createKey(r *awssim.Request, in *awskms.CreateKeyInput) (*awskms.CreateKeyOutput, error) {
	if in.KeySpec != "" && in.KeySpec != kmstypes.KeySpecSymmetricDefault || in.KeyUsage != "" && in.KeyUsage != kmstypes.KeyUsageTypeEncryptDecrypt {
		return nil, awssim.Fail("UnsupportedOperationException", "only symmetric encryption keys are simulated")
	}
	id := uuid(r.NewID("key"), r.Account, r.Region)
	if aws.ToBool(in.MultiRegion) {
		id = "mrk-" + r.NewID("mrk")[4:] + r.NewID("mrk")[4:19]
	}
	k := &key{id: id, arn: r.ARN("kms", "key/"+id), account: r.Account, region: r.Region, description: aws.ToString(in.Description),
		multiRegion: aws.ToBool(in.MultiRegion), made: r.Now, lag: r.Lag(), changes: []change{{at: r.Now, state: kmstypes.KeyStateEnabled}}}
	s.keys[k.arn] = k
	return &awskms.CreateKeyOutput{KeyMetadata: k.metadata(r)}, nil
}

func (s *KMS) describeKey(r *awssim.Request, in *awskms.DescribeKeyInput) (*awskms.DescribeKeyOutput, error) {
	k, err := s.find(r, aws.ToString(in.KeyId), false)
	if err != nil {
		return nil, err
	}
	return &awskms.DescribeKeyOutput{KeyMetadata: k.metadata(r)}, nil
}

func (k *key) metadata(r *awssim.Request) *kmstypes.KeyMetadata {
	c, _ := k.at(r.Now)
	m := &kmstypes.KeyMetadata{
		KeyId: aws.String(k.id), Arn: aws.String(k.arn), AWSAccountId: aws.String(k.account), CreationDate: aws.Time(k.made),
		Description: aws.String(k.description), Enabled: c.state == kmstypes.KeyStateEnabled, KeyState: c.state,
		KeyManager: kmstypes.KeyManagerTypeCustomer, KeySpec: kmstypes.KeySpecSymmetricDefault,
		KeyUsage:             kmstypes.KeyUsageTypeEncryptDecrypt,
		EncryptionAlgorithms: []kmstypes.EncryptionAlgorithmSpec{kmstypes.EncryptionAlgorithmSpecSymmetricDefault},
		Origin:               kmstypes.OriginTypeAwsKms, MultiRegion: aws.Bool(k.multiRegion),
	}
	if k.managed {
		m.KeyManager = kmstypes.KeyManagerTypeAws
	}
	if c.state == kmstypes.KeyStatePendingDeletion {
		m.DeletionDate = aws.Time(c.gone)
	}
	return m
}

// own finds a key for a call that manages it.
func (s *KMS) own(r *awssim.Request, id string) (*key, change, error) {
	k, err := s.find(r, id, true)
	if err != nil {
		return nil, change{}, err
	}
	if k.account != r.Account || k.managed {
		return nil, change{}, awssim.Fail("AccessDeniedException", "User: %s is not authorized to perform: kms:%s on resource: %s", r.Principal, r.Operation, k.arn)
	}
	c, _ := k.at(r.Now)
	return k, c, nil
}

func (s *KMS) disableKey(r *awssim.Request, in *awskms.DisableKeyInput) (*awskms.DisableKeyOutput, error) {
	return &awskms.DisableKeyOutput{}, s.toggle(r, aws.ToString(in.KeyId), kmstypes.KeyStateDisabled)
}

func (s *KMS) enableKey(r *awssim.Request, in *awskms.EnableKeyInput) (*awskms.EnableKeyOutput, error) {
	return &awskms.EnableKeyOutput{}, s.toggle(r, aws.ToString(in.KeyId), kmstypes.KeyStateEnabled)
}

func (s *KMS) toggle(r *awssim.Request, id string, to kmstypes.KeyState) error {
	k, c, err := s.own(r, id)
	if err != nil {
		return err
	}
	if c.state == kmstypes.KeyStatePendingDeletion {
		return awssim.Fail("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	}
	k.changes = append(k.changes, change{at: r.Now, state: to})
	return nil
}

func (s *KMS) scheduleKeyDeletion(r *awssim.Request, in *awskms.ScheduleKeyDeletionInput) (*awskms.ScheduleKeyDeletionOutput, error) {
	k, c, err := s.own(r, aws.ToString(in.KeyId))
	if err != nil {
		return nil, err
	}
	days := int32(30)
	if in.PendingWindowInDays != nil {
		days = *in.PendingWindowInDays
	}
	if days < 7 || days > 30 {
		return nil, awssim.Fail("ValidationException", "PendingWindowInDays must be between 7 and 30, inclusive")
	}
	if c.state == kmstypes.KeyStatePendingDeletion {
		return nil, awssim.Fail("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	}
	gone := r.Now.Add(r.Scale(time.Duration(days) * 24 * time.Hour))
	k.changes = append(k.changes, change{at: r.Now, state: kmstypes.KeyStatePendingDeletion, gone: gone})
	return &awskms.ScheduleKeyDeletionOutput{KeyId: aws.String(k.arn), KeyState: kmstypes.KeyStatePendingDeletion, DeletionDate: aws.Time(gone),
		PendingWindowInDays: aws.Int32(days)}, nil
}

func (s *KMS) cancelKeyDeletion(r *awssim.Request, in *awskms.CancelKeyDeletionInput) (*awskms.CancelKeyDeletionOutput, error) {
	k, c, err := s.own(r, aws.ToString(in.KeyId))
	if err != nil {
		return nil, err
	}
	if c.state != kmstypes.KeyStatePendingDeletion {
		return nil, awssim.Fail("KMSInvalidStateException", "%s is not pending deletion.", k.arn)
	}
	k.changes = append(k.changes, change{at: r.Now, state: kmstypes.KeyStateDisabled})
	return &awskms.CancelKeyDeletionOutput{KeyId: aws.String(k.arn)}, nil
}

package ec2sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
)

// With a simulated KMS in the World, names of keys mean what they mean there, and a key that is disabled later spoils later snapshots only.
func TestKeysOfTheSimulatedKMS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, kmssim.Service())
		kms := awskms.NewFromConfig(s.w.Config(home, region))
		made, err := kms.CreateKey(s.ctx, nil)
		if err != nil {
			t.Fatal(err)
		}
		arn := *made.KeyMetadata.Arn
		if _, err := kms.CreateAlias(s.ctx, &awskms.CreateAliasInput{AliasName: aws.String("alias/disks"), TargetKeyId: &arn}); err != nil {
			t.Fatal(err)
		}
		managed, err := kms.DescribeKey(s.ctx, &awskms.DescribeKeyInput{KeyId: aws.String("alias/aws/ebs")})
		if err != nil {
			t.Fatal(err)
		}
		own := s.volume(func(in *awsec2.CreateVolumeInput) { in.Encrypted = yes() })
		disk := s.volume(func(in *awsec2.CreateVolumeInput) { in.Encrypted, in.KmsKeyId = yes(), aws.String("alias/disks") })
		strange := s.volume(func(in *awsec2.CreateVolumeInput) { in.Encrypted, in.KmsKeyId = yes(), aws.String("alias/none") })
		for id, want := range map[string]struct {
			key   string
			state ec2types.VolumeState
		}{own: {*managed.KeyMetadata.Arn, "available"}, disk: {arn, "available"}, strange: {"", "error"}} {
			out, err := s.c.DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{VolumeIds: []string{id}})
			if err != nil {
				t.Fatal(err)
			}
			if v := out.Volumes[0]; want.key != "" && *v.KmsKeyId != want.key || v.State != want.state {
				t.Errorf("%s is %s under %s, want %+v", id, v.State, *v.KmsKeyId, want)
			}
		}
		good := s.snapshot(disk)
		if _, err := kms.DisableKey(s.ctx, &awskms.DisableKeyInput{KeyId: &arn}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		bad := s.snapshot(disk)
		time.Sleep(24 * time.Hour)
		if a, b := s.one(good).State, s.one(bad).State; a != ec2types.SnapshotStateCompleted || b != ec2types.SnapshotStateError {
			t.Errorf("before %s, after %s", a, b)
		}
	})
}

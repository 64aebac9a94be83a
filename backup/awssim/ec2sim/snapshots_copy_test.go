package ec2sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
)

const away = "eu-central-1"

func TestCopySnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		far := s.in(home, away)
		v := s.volume()
		id := s.snapshot(v, tagged("team", "orders")...)
		in := &awsec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: aws.String(id),
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: tagged("for", "disaster")}}}
		_, err := far.CopySnapshot(s.ctx, in)
		want(t, "a copy of a pending snapshot", err, "IncorrectState")
		time.Sleep(24 * time.Hour)
		var made []string
		for range 2 {
			out, err := far.CopySnapshot(s.ctx, in)
			if err != nil || len(out.Tags) != 1 {
				t.Fatal(out, err)
			}
			made = append(made, *out.SnapshotId)
		}
		if made[0] == made[1] {
			t.Error("a copy that is sent twice is made twice")
		}
		got, err := far.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: made})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range got.Snapshots {
			if *p.VolumeId != "vol-ffffffff" || p.TransferType != ec2types.TransferTypeStandard || p.State != ec2types.SnapshotStatePending || len(p.Tags) != 1 ||
				time.Since(*p.StartTime) > time.Minute || *p.VolumeSize != 20 || *p.Encrypted {
				t.Errorf("%s", text(p))
			}
		}
		if p := s.one(id); p.TransferType != "" {
			t.Errorf("what was copied has the transfer type %s", p.TransferType)
		}
		time.Sleep(24 * time.Hour)
		truth := s.ec2.Snapshots(s.w, home, away)
		if len(truth) != 2 || truth[0].CopyOf != id || !truth[0].Full || truth[1].Full || truth[1].State != ec2types.SnapshotStateCompleted {
			t.Errorf("%+v", truth)
		}
		for what, c := range map[string]struct {
			change func(in *awsec2.CopySnapshotInput)
			code   string
		}{
			"nothing":               {func(in *awsec2.CopySnapshotInput) { in.SourceSnapshotId = aws.String("snap-00000000") }, "InvalidSnapshot.NotFound"},
			"nonsense":              {func(in *awsec2.CopySnapshotInput) { in.SourceSnapshotId = aws.String("x") }, "InvalidSnapshotID.Malformed"},
			"of another Region":     {func(in *awsec2.CopySnapshotInput) { in.SourceRegion = aws.String("us-east-1") }, "InvalidSnapshot.NotFound"},
			"of another partition":  {func(in *awsec2.CopySnapshotInput) { in.SourceRegion = aws.String("cn-north-1") }, "SnapshotCopyUnsupported.InterRegion"},
			"key without encrypted": {func(in *awsec2.CopySnapshotInput) { in.KmsKeyId = aws.String("alias/x") }, "InvalidParameterDependency"},
			"decrypted":             {func(in *awsec2.CopySnapshotInput) { in.Encrypted = aws.Bool(false) }, "InvalidParameterValue"},
			"dry":                   {func(in *awsec2.CopySnapshotInput) { in.DryRun = yes() }, "DryRunOperation"},
		} {
			x := *in
			c.change(&x)
			_, err := far.CopySnapshot(s.ctx, &x)
			want(t, what, err, c.code)
		}
		_, err = s.in(other, away).CopySnapshot(s.ctx, in)
		want(t, "another account's", err, "InvalidSnapshot.NotFound")
		s.ec2.Share(s.w, home, region, id, other)
		if _, err = s.in(other, away).CopySnapshot(s.ctx, in); err != nil {
			t.Errorf("a shared one: %v", err)
		}
	})
}

func TestCopySnapshotQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		id := s.ec2.Seed(s.w, home, region, 1, ec2sim.Seeds{})[0]
		far := s.in(home, away)
		in := &awsec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: aws.String(id)}
		for range 20 {
			if _, err := far.CopySnapshot(s.ctx, in); err != nil {
				t.Fatal(err)
			}
		}
		_, err := far.CopySnapshot(s.ctx, in)
		want(t, "the 21st", err, "ResourceLimitExceeded")
		if _, err := s.in(home, "us-east-1").CopySnapshot(s.ctx, in); err != nil {
			t.Errorf("to another Region: %v", err)
		}
		time.Sleep(24 * time.Hour)
		if _, err := far.CopySnapshot(s.ctx, in); err != nil {
			t.Errorf("a day later: %v", err)
		}
		s.ec2.SetQuotas(s.w, ec2sim.Quotas{SnapshotsPerRegion: 21})
		_, err = far.CopySnapshot(s.ctx, in)
		want(t, "one too many to keep", err, "SnapshotLimitExceeded")
	})
}

// Keys are looked at after the call, those of the source too; a key of another Region is none.
func TestCopySnapshotKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t, kmssim.Service())
		key := func(region string) (*awskms.Client, string) {
			c := awskms.NewFromConfig(s.w.Config(home, region))
			out, err := c.CreateKey(s.ctx, &awskms.CreateKeyInput{KeySpec: kmstypes.KeySpecSymmetricDefault})
			if err != nil {
				t.Fatal(err)
			}
			return c, *out.KeyMetadata.Arn
		}
		kms, near := key(region)
		_, far := key(away)
		v := s.volume(func(in *awsec2.CreateVolumeInput) { in.Encrypted, in.KmsKeyId = yes(), &near })
		id := s.snapshot(v)
		time.Sleep(24 * time.Hour)
		c := s.in(home, away)
		made := func(to *string) string {
			out, err := c.CopySnapshot(s.ctx, &awsec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: &id, KmsKeyId: to})
			if err != nil {
				t.Fatal(err)
			}
			return *out.SnapshotId
		}
		good, own, wrong := made(&far), made(nil), made(&near)
		if _, err := kms.DisableKey(s.ctx, &awskms.DisableKeyInput{KeyId: &near}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		late := made(&far)
		time.Sleep(24 * time.Hour)
		for id, want := range map[string]struct {
			state ec2types.SnapshotState
			key   string
		}{good: {"completed", far}, own: {"completed", ""}, wrong: {"error", near}, late: {"error", far}} {
			out, err := c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
			if err != nil {
				t.Fatal(err)
			}
			p := out.Snapshots[0]
			if p.State != want.state || !*p.Encrypted || want.key != "" && *p.KmsKeyId != want.key || (p.State == "error") != (aws.ToString(p.StateMessage) == "Given key ID is not accessible") {
				t.Errorf("wanted %+v, got %s", want, text(p))
			}
		}
	})
}

package emulator

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
)

// freshVolume makes a volume.
func (w *world) freshVolume(c *awsec2.Client, edit func(in *awsec2.CreateVolumeInput)) string {
	w.t.Helper()
	in := &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(10), VolumeType: ec2types.VolumeTypeGp3}
	if edit != nil {
		edit(in)
	}
	out, err := c.CreateVolume(w.ctx, in)
	w.must("CreateVolume", err)
	w.settle()
	return aws.ToString(out.VolumeId)
}

func (w *world) freshSnapshot(c *awsec2.Client, volume string) *awsec2.CreateSnapshotOutput {
	w.t.Helper()
	out, err := c.CreateSnapshot(w.ctx, &awsec2.CreateSnapshotInput{VolumeId: &volume})
	w.must("CreateSnapshot", err)
	return out
}

func probeEC2States(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	return string(w.freshSnapshot(c, w.freshVolume(c, nil)).State) + " in the answer"
}

func probeEC2Keeps(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	_, locked := c.DescribeLockedSnapshots(w.ctx, &awsec2.DescribeLockedSnapshotsInput{})
	_, fast := c.DescribeFastSnapshotRestores(w.ctx, &awsec2.DescribeFastSnapshotRestoresInput{})
	_, bin := c.ListSnapshotsInRecycleBin(w.ctx, &awsec2.ListSnapshotsInRecycleBinInput{})
	return w.known(locked, fast, bin)
}

func probeEC2Token(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	same := func(in *awsec2.CreateVolumeInput) { in.ClientToken = aws.String("the same token") }
	if first, second := w.freshVolume(c, same), w.freshVolume(c, same); first == second {
		return "one volume"
	}
	return "two volumes"
}

func probeEC2Pages(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	volume := w.freshVolume(c, nil)
	for range 6 {
		w.freshSnapshot(c, volume)
		w.settle()
	}
	out, err := c.DescribeSnapshots(w.ctx, &awsec2.DescribeSnapshotsInput{MaxResults: aws.Int32(5), Filters: []ec2types.Filter{filter("volume-id", volume)}})
	w.must("DescribeSnapshots", err)
	return pages(len(out.Snapshots), "token", out.NextToken)
}

func pages(n int, name string, next *string) string {
	if aws.ToString(next) == "" {
		return fmt.Sprintf("one page of %d", n)
	}
	return fmt.Sprintf("a page of %d and a %s", n, name)
}

func probeEC2Owner(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	w.freshSnapshot(c, w.freshVolume(c, nil))
	out, err := c.DescribeSnapshots(w.ctx, &awsec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
	w.must("DescribeSnapshots", err)
	for _, s := range out.Snapshots {
		if aws.ToString(s.OwnerId) != w.account {
			return "snapshots of others too"
		}
	}
	return "own snapshots only"
}

func probeEC2Key(w *world) string {
	key, err := awskms.NewFromConfig(w.config()).CreateKey(w.ctx, &awskms.CreateKeyInput{})
	w.must("CreateKey", err)
	c := awsec2.NewFromConfig(w.config())
	id := w.freshSnapshot(c, w.freshVolume(c, func(in *awsec2.CreateVolumeInput) { in.Encrypted, in.KmsKeyId = aws.Bool(true), key.KeyMetadata.Arn })).SnapshotId
	out, err := c.DescribeSnapshots(w.ctx, &awsec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{filter("snapshot-id", aws.ToString(id))}})
	w.must("DescribeSnapshots", err)
	switch s := out.Snapshots[0]; {
	case !aws.ToBool(s.Encrypted):
		return "the snapshot is not encrypted"
	case aws.ToString(s.KmsKeyId) == aws.ToString(key.KeyMetadata.Arn):
		return "the snapshot names the volume's key"
	case aws.ToString(s.KmsKeyId) == "":
		return "the snapshot names no key"
	default:
		return "the snapshot names " + aws.ToString(s.KmsKeyId)
	}
}

func probeEC2Malformed(w *world) string {
	_, err := awsec2.NewFromConfig(w.config()).DescribeSnapshots(w.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{"snap-xyz"}})
	return w.code(err, "found")
}

func probeEC2Exclude(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	instance, data := w.server(c)
	out, err := c.CreateSnapshots(w.ctx, &awsec2.CreateSnapshotsInput{InstanceSpecification: &ec2types.InstanceSpecification{InstanceId: &instance.ID, ExcludeDataVolumeIds: data[:1]}})
	w.must("CreateSnapshots", err)
	return fmt.Sprintf("%d snapshots of 3 volumes", len(out.Snapshots))
}

func probeEC2Copy(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	volume := w.freshVolume(c, nil)
	of := w.freshSnapshot(c, volume)
	w.settle()
	made, err := c.CopySnapshot(w.ctx, &awsec2.CopySnapshotInput{SourceRegion: aws.String(region), SourceSnapshotId: of.SnapshotId})
	w.must("CopySnapshot", err)
	w.settle()
	out, err := c.DescribeSnapshots(w.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{aws.ToString(made.SnapshotId)}})
	w.must("DescribeSnapshots", err)
	named := aws.ToString(out.Snapshots[0].VolumeId)
	if named == volume {
		named = "the volume"
	}
	return fmt.Sprintf("%s, %q", named, out.Snapshots[0].TransferType)
}

func probeEC2Image(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	instance, _ := w.server(c)
	_, err := c.CreateImage(w.ctx, &awsec2.CreateImageInput{InstanceId: &instance.ID, Name: aws.String("one"), NoReboot: aws.Bool(true), TagSpecifications: ec2Tags(ec2types.ResourceTypeSnapshot)})
	return w.code(err, "accepted")
}

func probeEC2ImageCopy(w *world) string {
	c := awsec2.NewFromConfig(w.config())
	instance, _ := w.server(c)
	of, err := c.CreateImage(w.ctx, &awsec2.CreateImageInput{InstanceId: &instance.ID, Name: aws.String("one"), NoReboot: aws.Bool(true)})
	w.must("CreateImage", err)
	w.settle()
	made, err := c.CopyImage(w.ctx, &awsec2.CopyImageInput{SourceImageId: of.ImageId, SourceRegion: aws.String(region), Name: aws.String("two"), TagSpecifications: ec2Tags(ec2types.ResourceTypeImage)})
	w.must("CopyImage", err)
	w.settle()
	out, err := c.DescribeImages(w.ctx, &awsec2.DescribeImagesInput{ImageIds: []string{aws.ToString(made.ImageId)}})
	w.must("DescribeImages", err)
	return fmt.Sprintf("%d tags", len(out.Images[0].Tags))
}

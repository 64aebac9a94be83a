package emulator

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
)

func (w *world) ebs(cfg aws.Config) strategy {
	return ebs.NewFromConfig(cfg, func(o *ebs.Options) { w.pace(&o.PollMin, &o.PollMax, &o.Settle, &o.Park) })
}

func filter(name string, values ...string) ec2types.Filter {
	return ec2types.Filter{Name: &name, Values: values}
}

func ec2Tags(kind ec2types.ResourceType) []ec2types.TagSpecification {
	return []ec2types.TagSpecification{{ResourceType: kind, Tags: []ec2types.Tag{{Key: aws.String("team"), Value: aws.String("orders")}}}}
}

// image gives an image whose instances have their root volume at /dev/xvda. The emulator takes some seconds to load its images, after each reset.
func (w *world) image(c *awsec2.Client) *string {
	w.t.Helper()
	if !w.emulated {
		return aws.String("ami-0123456789abcdef0")
	}
	out, err := c.DescribeImages(w.ctx, &awsec2.DescribeImagesInput{Filters: []ec2types.Filter{filter("root-device-name", "/dev/xvda"), filter("root-device-type", "ebs")}})
	w.must("DescribeImages", err)
	if len(out.Images) == 0 {
		w.t.Fatal("the emulator has no images: start it without MOTO_EC2_LOAD_DEFAULT_AMIS=false")
	}
	return out.Images[0].ImageId
}

// server makes an instance of three volumes, and gives it and its data volumes. The instance and none of its volumes has the tag.
func (w *world) server(c *awsec2.Client) (backup.Ref, []string) {
	w.t.Helper()
	disk := func(device string, gib int32) ec2types.BlockDeviceMapping {
		return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2types.EbsBlockDevice{VolumeSize: &gib, VolumeType: ec2types.VolumeTypeGp3}}
	}
	out, err := c.RunInstances(w.ctx, &awsec2.RunInstancesInput{ImageId: w.image(c), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT3Micro,
		BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk("/dev/xvda", 8), disk("/dev/sdf", 20), disk("/dev/sdg", 30)}, TagSpecifications: ec2Tags(ec2types.ResourceTypeInstance)})
	w.must("RunInstances", err)
	w.settle()
	id := aws.ToString(out.Instances[0].InstanceId)
	volumes, err := c.DescribeVolumes(w.ctx, &awsec2.DescribeVolumesInput{Filters: []ec2types.Filter{filter("attachment.instance-id", id), filter("size", "20", "30")}})
	w.must("DescribeVolumes", err)
	var data []string
	for _, v := range volumes.Volumes {
		data = append(data, aws.ToString(v.VolumeId))
	}
	if len(data) != 2 {
		w.t.Fatalf("the instance has the data volumes %v", data)
	}
	return ebs.Instance(w.account, region, id), data
}

func (w *world) ownSnapshots(c *awsec2.Client) func() int {
	return func() int {
		w.t.Helper()
		out, err := c.DescribeSnapshots(w.ctx, &awsec2.DescribeSnapshotsInput{Filters: []ec2types.Filter{filter("owner-id", w.account)}})
		w.must("DescribeSnapshots", err)
		return len(out.Snapshots)
	}
}

func (w *world) restoredVolumes(c *awsec2.Client, want map[string]string) func(op backup.Operation) {
	return func(op backup.Operation) {
		w.t.Helper()
		out, err := c.DescribeVolumes(w.ctx, &awsec2.DescribeVolumesInput{Filters: []ec2types.Filter{filter("tag:"+backup.TagToken, op.ID)}})
		w.must("DescribeVolumes", err)
		if len(out.Volumes) != len(want) || len(op.Made) != len(want) {
			w.t.Fatalf("%d volumes carry the token and %v is listed, wanted %d", len(out.Volumes), op.Made, len(want))
		}
		for i, v := range out.Volumes {
			got := map[string]string{}
			for _, tag := range v.Tags {
				got[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
			}
			role, ok := want[got[ebs.TagDevice]]
			if !ok || got[ebs.TagRole] != role || v.State != ec2types.VolumeStateAvailable || aws.ToString(v.AvailabilityZone) != region+"b" || v.VolumeType != ec2types.VolumeTypeGp3 {
				w.t.Errorf("volume %d: %v %v %v %v", i, v.State, aws.ToString(v.AvailabilityZone), v.VolumeType, got)
			}
		}
	}
}

func TestSet(t *testing.T) {
	both(t, func(w *world) {
		c := awsec2.NewFromConfig(w.config())
		instance, _ := w.server(c)
		w.life(kit{
			strategy: w.ebs, source: instance, missing: ebs.Instance(w.account, region, "i-00000000000000001"), discovered: []backup.Ref{instance},
			service: "EC2", create: "CreateSnapshots", restore: "CreateVolume", options: ebs.RestoreOptions{Zone: region + "b"},
			count: w.ownSnapshots(c), members: 3,
			point: func(p backup.RecoveryPoint) {
				got := map[string]string{}
				for _, m := range p.Members {
					got[m.Place] = m.Role
				}
				if len(got) != 3 || got["/dev/xvda"] != "root" || got["/dev/sdf"] != "data" || p.SizeBytes != 58<<30 || p.CreatedAt.IsZero() {
					w.t.Errorf("the recovery point is %+v", p)
				}
			},
			restored: w.restoredVolumes(c, map[string]string{"/dev/xvda": "root", "/dev/sdf": "data", "/dev/sdg": "data"}),
		})
	})
}

func TestVolume(t *testing.T) {
	both(t, func(w *world) {
		c := awsec2.NewFromConfig(w.config())
		out, err := c.CreateVolume(w.ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(10), VolumeType: ec2types.VolumeTypeGp3,
			TagSpecifications: ec2Tags(ec2types.ResourceTypeVolume)})
		w.must("CreateVolume", err)
		w.settle()
		volume := ebs.Volume(w.account, region, aws.ToString(out.VolumeId))
		w.life(kit{
			strategy: w.ebs, source: volume, missing: ebs.Volume(w.account, region, "vol-00000000000000001"), discovered: []backup.Ref{volume},
			service: "EC2", create: "CreateSnapshot", restore: "CreateVolume", options: ebs.RestoreOptions{Zone: region + "b"},
			count: w.ownSnapshots(c), members: 1,
			point: func(p backup.RecoveryPoint) {
				if p.SizeBytes != 10<<30 || p.CreatedAt.IsZero() || p.Percent != 100 {
					w.t.Errorf("the recovery point is %+v", p)
				}
			},
			restored: w.restoredVolumes(c, map[string]string{"": "data"}),
		})
	})
}

// A volume that is left out is not in the set, and CreateSnapshots was told so.
func TestSetWithout(t *testing.T) {
	both(t, func(w *world) {
		c := awsec2.NewFromConfig(w.config())
		instance, data := w.server(c)
		for name, o := range map[string]ebs.BackupOptions{"boot": {ExcludeBoot: true}, "data": {ExcludeVolumes: data[:1]}} {
			p := w.process(kit{strategy: w.ebs}, w.t.TempDir())
			op, err := p.strategy.Start(w.ctx, instance, backup.Spec{Token: name, Options: o})
			w.must("Start", err)
			op, err = p.runner.Run(w.ctx, op)
			w.must("Run without "+name, err)
			point := w.only(p.strategy, backup.Query{Account: w.account, Region: region, Point: op.Points[0]}, "without "+name)
			want := 2
			if name == "data" && w.differs("ec2-exclude") {
				// What was made against the request must be told, and be in the recovery point, so that it is deleted with it.
				want = 3
				if len(op.Findings) != 1 || op.Findings[0].ID != "ebs.extra-volume" || op.Findings[0].Ref.ID != data[0] {
					w.t.Errorf("findings: %+v", op.Findings)
				}
			}
			for _, m := range point.Members {
				if want == 2 && (name == "boot" && m.Role == "root" || name == "data" && m.Source == data[0]) {
					w.t.Errorf("without %s: %s is in the set", name, m.Source)
				}
			}
			if len(point.Members) != want {
				w.t.Errorf("without %s the set is of %+v", name, point.Members)
			}
			w.settle()
		}
	})
}

package ec2sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

const (
	home   = "111122223333"
	other  = "444455556666"
	region = "eu-west-1"
)

// scene is a World with one EC2 client of the account home.
type scene struct {
	t   *testing.T
	ctx context.Context
	w   *awssim.World
	ec2 *ec2sim.EC2
	c   *awsec2.Client
}

func newScene(t *testing.T, services ...awssim.Service) *scene {
	t.Helper()
	e := ec2sim.Service()
	w := awssim.New(append(services, e)...)
	return &scene{t, t.Context(), w, e, awsec2.NewFromConfig(w.Config(home, region))}
}

func (s *scene) in(account, region string) *awsec2.Client {
	return awsec2.NewFromConfig(s.w.Config(account, region))
}

// volume makes a volume and waits until it is available.
func (s *scene) volume(change ...func(*awsec2.CreateVolumeInput)) string {
	s.t.Helper()
	in := &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(20)}
	for _, f := range change {
		f(in)
	}
	out, err := s.c.CreateVolume(s.ctx, in)
	if err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(2 * time.Minute)
	return *out.VolumeId
}

// instance runs an instance with a root volume and data volumes and waits until it is running.
func (s *scene) instance(data ...string) *ec2types.Instance {
	s.t.Helper()
	in := &awsec2.RunInstancesInput{ImageId: aws.String("ami-12345678"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1)}
	for _, d := range data {
		in.BlockDeviceMappings = append(in.BlockDeviceMappings, ec2types.BlockDeviceMapping{DeviceName: aws.String(d), Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(10)}})
	}
	out, err := s.c.RunInstances(s.ctx, in)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := awsec2.NewInstanceRunningWaiter(s.c).Wait(s.ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{*out.Instances[0].InstanceId}}, time.Hour); err != nil {
		s.t.Fatal(err)
	}
	got, err := s.c.DescribeInstances(s.ctx, &awsec2.DescribeInstancesInput{InstanceIds: []string{*out.Instances[0].InstanceId}})
	if err != nil {
		s.t.Fatal(err)
	}
	return &got.Reservations[0].Instances[0]
}

func (s *scene) snapshot(volume string, tags ...ec2types.Tag) string {
	s.t.Helper()
	in := &awsec2.CreateSnapshotInput{VolumeId: aws.String(volume)}
	if len(tags) > 0 {
		in.TagSpecifications = []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: tags}}
	}
	out, err := s.c.CreateSnapshot(s.ctx, in)
	if err != nil {
		s.t.Fatal(err)
	}
	return *out.SnapshotId
}

// one describes one snapshot.
func (s *scene) one(id string) ec2types.Snapshot {
	s.t.Helper()
	out, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(out.Snapshots) != 1 {
		s.t.Fatalf("%d snapshots with the id %s", len(out.Snapshots), id)
	}
	return out.Snapshots[0]
}

// ids lists snapshots by filters and gives their ids.
func (s *scene) ids(filters ...ec2types.Filter) []string {
	s.t.Helper()
	out, err := s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{Filters: filters})
	if err != nil {
		s.t.Fatal(err)
	}
	var ids []string
	for _, p := range out.Snapshots {
		ids = append(ids, *p.SnapshotId)
	}
	return ids
}

// code gives the code of an AWS error, or what else the error is.
func code(err error) string {
	var api smithy.APIError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &api):
		return api.ErrorCode()
	}
	return err.Error()
}

// want checks the code of an error.
func want(t *testing.T, what string, err error, wanted string) {
	t.Helper()
	if got := code(err); got != wanted {
		t.Errorf("%s: got the error %q, want %q", what, got, wanted)
	}
}

func by(name string, values ...string) ec2types.Filter {
	return ec2types.Filter{Name: aws.String(name), Values: values}
}

func tagged(pairs ...string) []ec2types.Tag {
	var list []ec2types.Tag
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, ec2types.Tag{Key: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return list
}

func yes() *bool { return aws.Bool(true) }

// text writes values with everything that their pointers point at.
func text(values ...any) string {
	b, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// scribble overwrites every string, number, flag and time that can be reached.
func scribble(x any) {
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Struct:
			if v.Type() == reflect.TypeFor[time.Time]() {
				v.Set(reflect.ValueOf(time.Unix(0, 0)))
				return
			}
			for i := range v.NumField() {
				if v.Type().Field(i).IsExported() {
					walk(v.Field(i))
				}
			}
		case reflect.String:
			v.SetString("scribbled")
		case reflect.Int32, reflect.Int64:
			v.SetInt(-1)
		case reflect.Bool:
			v.SetBool(!v.Bool())
		}
	}
	walk(reflect.ValueOf(x))
}

package emulator

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs/ami"
)

// images is the strategy for images, which restores nothing: an image is launched.
type images struct {
	*ami.Strategy
	backup.Restorer
}

// ami serves both Regions.
func (w *world) ami(aws.Config) strategy {
	return images{Strategy: ami.New(func(_ context.Context, _, region string) (*awsec2.Client, error) {
		return awsec2.NewFromConfig(w.in(region)), nil
	}, func(o *ami.Options) {
		w.pace(&o.PollMin, &o.PollMax, &o.Settle, &o.Park)
		o.CopyRegions = []string{far}
	})}
}

// ownImages gives the images of the account in a Region, and how many snapshots it has there.
func (w *world) ownImages(region string) (images []ec2types.Image, snapshots int) {
	w.t.Helper()
	c := awsec2.NewFromConfig(w.in(region))
	out, err := c.DescribeImages(w.ctx, &awsec2.DescribeImagesInput{Filters: []ec2types.Filter{filter("owner-id", w.account)}})
	w.must("DescribeImages", err)
	return out.Images, w.ownSnapshots(c)()
}

// An image of an instance is made, copied to another Region and deleted there and here, each time with a lost answer.
func TestImage(t *testing.T) {
	both(t, func(w *world) {
		instance, _ := w.server(awsec2.NewFromConfig(w.config()))
		k, dir := kit{strategy: w.ami, service: "EC2"}, w.t.TempDir()
		_, before := w.ownImages(region)
		if w.differs("ec2-image") {
			w.foreignImage(instance)
			return
		}
		op := w.interrupted(k, dir, "CreateImage", func(s strategy) (backup.Operation, error) {
			return s.Start(w.ctx, instance, backup.Spec{Token: "tonight", Tags: tags})
		})
		if all, n := w.ownImages(region); len(all) != 1 || n-before != 3 || len(op.Points) != 1 || op.Points[0] != ami.Image(w.account, region, aws.ToString(all[0].ImageId)) {
			w.t.Fatalf("%d images and %d snapshots were made, listed %v", len(all), n-before, op.Points)
		}
		p := w.process(k, dir)
		point := w.only(p.strategy, backup.Query{Account: w.account, Region: region, Source: instance}, "of the instance")
		if point.Ref != op.Points[0] || point.Status != backup.StatusAvailable || len(point.Members) != 3 || point.Tags["team"] != "orders" || point.CreatedAt.IsZero() {
			w.t.Errorf("the image is listed as %+v", point)
		}
		found, err := p.strategy.(images).LaunchReady(w.ctx, point.Ref)
		w.must("LaunchReady", err)
		if len(found) != 0 {
			w.t.Errorf("LaunchReady found %+v", found)
		}

		// It is copied, and the copy outlives it.
		op = w.interrupted(k, dir, "CopyImage", func(s strategy) (backup.Operation, error) {
			return s.(images).StartCopy(w.ctx, point.Ref, backup.Destination{Region: far}, backup.Spec{Token: "away", Tags: tags})
		})
		p = w.process(k, dir)
		query := backup.Query{Account: w.account, Region: far, Point: op.Points[0]}
		made := w.only(p.strategy, query, "of the copy")
		if all, _ := w.ownImages(far); len(all) != 1 || made.Source != instance || made.Status != backup.StatusAvailable || point.CreatedAt.Sub(made.CreatedAt).Abs() >= time.Second || len(made.Members) != 3 || made.Tags["team"] != "orders" {
			w.t.Errorf("there are %d images, the copy is %+v, and the original %+v", len(all), made, point)
		}
		for i, r := range []backup.Ref{point.Ref, made.Ref} {
			del, err := p.strategy.StartDelete(w.ctx, r, backup.Spec{Token: "old"})
			w.must("StartDelete", err)
			_, err = p.runner.Run(w.ctx, del)
			w.must("deleting "+r.String(), err)
			if left, n := w.ownImages(r.Region); len(left) != 0 || r.Region == region && n != before {
				w.t.Errorf("after deleting %s there are %d images and %d snapshots", r, len(left), n)
			}
			if left := w.list(p.strategy, query, "of the copy"); len(left) != 1-i {
				w.t.Errorf("after deleting %s the copy is listed as %+v", r, left)
			}
		}
	})
}

// foreignImage holds what is left where images can not be made with tagged snapshots: such a backup makes nothing, and an image that somebody else
// made is listed and looked at, and deleted only when that is asked for.
func (w *world) foreignImage(instance backup.Ref) {
	w.t.Helper()
	k, dir := kit{strategy: w.ami, service: "EC2"}, w.t.TempDir()
	p := w.process(k, dir)
	op, err := p.strategy.Start(w.ctx, instance, backup.Spec{Token: "tonight", Tags: tags})
	w.must("Start", err)
	op, err = p.runner.Run(w.ctx, op)
	if all, _ := w.ownImages(region); err == nil || op.Phase != backup.PhaseFailed || len(all) != 0 {
		w.t.Errorf("phase %s, %v, images %+v", op.Phase, err, all)
	}
	out, err := awsec2.NewFromConfig(w.config()).CreateImage(w.ctx, &awsec2.CreateImageInput{InstanceId: &instance.ID, Name: aws.String("theirs"), NoReboot: aws.Bool(true), TagSpecifications: ec2Tags(ec2types.ResourceTypeImage)})
	w.must("CreateImage", err)
	image := ami.Image(w.account, region, aws.ToString(out.ImageId))
	point := w.only(p.strategy, backup.Query{Account: w.account, Region: region, Point: image}, "of theirs")
	if point.Ref != image || point.Status != backup.StatusAvailable || point.Tags["team"] != "orders" || len(point.Members) == 0 || point.CreatedAt.IsZero() {
		w.t.Errorf("the image is listed as %+v", point)
	}
	found, err := p.strategy.(images).LaunchReady(w.ctx, image)
	w.must("LaunchReady", err)
	if len(found) != 0 {
		w.t.Errorf("LaunchReady found %+v", found)
	}
	w.fails(k, dir, backup.ErrConflict, func(s strategy) (backup.Operation, error) {
		return s.StartDelete(w.ctx, image, backup.Spec{Token: "not mine"})
	})
	op, err = p.strategy.StartDelete(w.ctx, image, backup.Spec{Token: "all the same", Options: ami.DeleteOptions{AllowForeign: true}})
	w.must("StartDelete", err)
	// A deletion asks which other images use the snapshots, by a filter that moto lacks: what can not be asked is not deleted.
	if op, err = p.runner.Run(w.ctx, op); !errors.Is(err, backup.ErrUnsupported) {
		w.t.Errorf("deleting on moto: %s, %v", op.Phase, err)
	}
	if left, _ := w.ownImages(region); len(left) != 1 {
		w.t.Errorf("left: %+v", left)
	}
}

package ami_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/ebs/ami"
)

func TestBackup(t *testing.T) {
	for _, reboot := range []bool{false, true} {
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t", Name: "orders [2026-11-20]", Tags: map[string]string{"team": "orders"},
				Options: ami.BackupOptions{Reboot: reboot, Description: "nightly"}})
			if err != nil {
				t.Fatal(err)
			}
			findings, err := s.Preflight(t.Context(), op)
			if err != nil || has(findings, "ami.reboot") != reboot || has(findings, "ami.crash-consistent") == reboot {
				t.Errorf("preflight: %v %v", findings, err)
			}
			op = finish(t, s, op, nil)
			want(t, op, backup.PhaseSucceeded, "")
			images, snapshots := b.made(op, region)
			if len(images) != 1 || len(snapshots) != 2 || images[0].Rebooted != reboot || images[0].Name != "orders [2026-11-20]" || images[0].Tags["team"] != "orders" || snapshots[0].Tags["team"] != "orders" {
				t.Errorf("%+v %+v", images, snapshots)
			}
			ready, err := s.LaunchReady(t.Context(), op.Points[0])
			if err != nil || len(ready) > 0 {
				t.Errorf("ready: %v %v", ready, err)
			}
		})
	}
}

// An answer that is lost makes no second image, also where the first one is not visible for long: its name is taken, and it is looked for.
func TestLostAnswer(t *testing.T) {
	for _, lag := range []time.Duration{0, 4 * time.Minute, 20 * time.Minute} {
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			b.world.SetLag(lag)
			b.world.Inject(awssim.Fault{Operation: "CreateImage", Kind: awssim.FaultLostReply})
			op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
			op = finish(t, s, op, err)
			if lag < 6*time.Minute {
				want(t, op, backup.PhaseSucceeded, "")
				if n := count(b, "CreateImage"); n != 1 {
					t.Errorf("lag %v: called %d times", lag, n)
				}
			} else {
				// Nothing is known of the first one; the second call is refused, and the work ends without a second image.
				want(t, op, backup.PhaseFailed, backup.ErrConflict)
			}
			if images, _ := b.made(op, region); len(images) != 1 {
				t.Errorf("lag %v: %d images", lag, len(images))
			}
		})
	}
}

func TestNameTaken(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		if _, err := b.client.CreateImage(t.Context(), &awsec2.CreateImageInput{InstanceId: &b.instance.ID, Name: aws.String("orders"), NoReboot: aws.Bool(true)}); err != nil {
			t.Fatal(err)
		}
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t", Name: "orders"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseFailed, backup.ErrConflict)
		if len(op.Points) > 0 || count(b, "CreateImage") != 2 {
			t.Errorf("points %v, %d calls", op.Points, count(b, "CreateImage"))
		}
	})
}

// An image that carries the token and is older than the Operation, or is a copy of somebody's, is not taken for ours.
func TestNotOurs(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		first := b.imaged(t, t.Context(), "first")
		source := b.ec2.Images(b.world, account, region)[0]
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		tags := map[string]string{backup.TagToken: op.ID, backup.TagOwner: "snapwarden", backup.TagSource: b.instance.Tag()}
		copied, err := b.client.CopyImage(t.Context(), &awsec2.CopyImageInput{Name: aws.String("snapwarden-" + op.ID[3:]), SourceImageId: &first.ID, SourceRegion: aws.String(region)})
		if err != nil {
			t.Fatal(err)
		}
		b.ec2.Retag(b.world, account, region, *copied.ImageId, tags)
		op = finish(t, s, op, nil)
		want(t, op, backup.PhaseFailed, backup.ErrConflict)
		del, err := s.StartDelete(t.Context(), ami.Image(account, region, *copied.ImageId), backup.Spec{Token: "d"})
		time.Sleep(time.Hour)
		want(t, finish(t, s, del, err), backup.PhaseFailed, backup.ErrConflict)

		time.Sleep(time.Hour)
		later, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "later", Name: source.Name})
		if err != nil {
			t.Fatal(err)
		}
		tags[backup.TagToken] = later.ID
		b.ec2.Retag(b.world, account, region, first.ID, tags)
		r, err := backup.NewRunner([]backup.Strategy{s}, func(o *backup.RunnerOptions) {
			if o.Store, err = backup.OpenFileStore(t.TempDir()); err != nil {
				t.Fatal(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		later, _ = r.Run(t.Context(), later)
		want(t, later, backup.PhaseFailed, backup.ErrConflict)
		if !strings.Contains(later.Err().Error(), "older than the operation") || !slices.Contains(later.Points, first) {
			t.Errorf("%v %v", later.Err(), later.Points)
		}
	})
}

func TestRefusals(t *testing.T) {
	for code, c := range map[string]backup.Code{"UnauthorizedOperation": backup.ErrDenied, "SnapshotLimitExceeded": backup.ErrQuota, "InvalidAMIName.Malformed": backup.ErrInvalid, "SomethingNobodyKnows": backup.ErrFailed} {
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			b.world.Inject(awssim.Fault{Operation: "CreateImage", Times: -1, Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "no"}})
			op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
			want(t, finish(t, s, op, err), backup.PhaseFailed, c)
			if n := count(b, "CreateImage"); n != 1 {
				t.Errorf("%s: called %d times", code, n)
			}
		})
	}
	for _, code := range []string{"IncorrectInstanceState", "SnapshotCreationPerVolumeRateExceeded", "ConcurrentCreateImageNoRebootLimitExceeded", "ResourceLimitExceeded"} {
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			b.world.Inject(awssim.Fault{Operation: "CreateImage", Times: 3, Kind: awssim.FaultError, Error: awssim.Error{Code: code, Message: "later"}})
			op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
			want(t, finish(t, s, op, err), backup.PhaseSucceeded, "")
			if n := count(b, "CreateImage"); n != 4 {
				t.Errorf("%s: called %d times", code, n)
			}
		})
	}
}

func TestInstances(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		op, err := s.Start(t.Context(), ebs.Instance(account, region, "i-0123456789abcdef0"), backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if f, err := s.Preflight(t.Context(), op); err != nil || len(f) != 1 || f[0].Severity != backup.SeverityError {
			t.Errorf("preflight: %v %v", f, err)
		}
		want(t, finish(t, s, op, nil), backup.PhaseFailed, backup.ErrNotFound)
		if _, err := b.client.TerminateInstances(t.Context(), &awsec2.TerminateInstancesInput{InstanceIds: []string{b.instance.ID}}); err != nil {
			t.Fatal(err)
		}
		op, err = s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		if err != nil {
			t.Fatal(err)
		}
		if f, err := s.Preflight(t.Context(), op); err != nil || !has(f, "ami.instance-gone") {
			t.Errorf("preflight: %v %v", f, err)
		}
		want(t, finish(t, s, op, nil), backup.PhaseFailed, backup.ErrNotFound)
		// One that is still starting is waited for.
		out, err := b.client.RunInstances(t.Context(), &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"), MinCount: aws.Int32(1), MaxCount: aws.Int32(1), InstanceType: ec2types.InstanceTypeT3Micro})
		if err != nil {
			t.Fatal(err)
		}
		op, err = s.Start(t.Context(), ebs.Instance(account, region, *out.Instances[0].InstanceId), backup.Spec{Token: "t"})
		if f, err := s.Preflight(t.Context(), op); err != nil || !has(f, "ami.not-yet") {
			t.Errorf("preflight: %v %v", f, err)
		}
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		if !has(op.Findings, "ami.not-yet") {
			t.Errorf("findings %v", op.Findings)
		}
	})
}

// What fails at AWS later, and what somebody else takes away, is said.
func TestLater(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		b.world.Inject(awssim.Fault{Operation: "CreateImage", Kind: awssim.FaultAsync})
		op, err := s.Start(t.Context(), b.instance, backup.Spec{Token: "t"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseFailed, backup.ErrFailed)
		if len(op.Points) != 1 || !strings.Contains(op.Err().Error(), "in error") {
			t.Errorf("%v %v", op.Points, op.Err())
		}
		ready, err := s.LaunchReady(t.Context(), op.Points[0])
		if err != nil || !has(ready, "ami.state") || !has(ready, "ami.snapshot-state") {
			t.Errorf("ready: %v %v", ready, err)
		}
	})
	steal := func(how func(ctx context.Context, b *bench, image string)) backup.Operation {
		var op backup.Operation
		inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
			r, err := backup.NewRunner([]backup.Strategy{s})
			if err != nil {
				t.Fatal(err)
			}
			if op, err = s.Start(t.Context(), b.instance, backup.Spec{Token: "t"}); err != nil {
				t.Fatal(err)
			}
			for op.Stage != "wait" {
				if op, err = r.Step(t.Context(), op); err != nil {
					t.Fatal(err)
				}
			}
			how(t.Context(), b, op.Points[0].ID)
			op = finish(t, s, op, nil)
		})
		return op
	}
	want(t, steal(func(ctx context.Context, b *bench, image string) {
		if _, err := b.client.DeregisterImage(ctx, &awsec2.DeregisterImageInput{ImageId: &image}); err != nil {
			t.Error(err)
		}
	}), backup.PhaseFailed, backup.ErrFailed)
	op := steal(func(_ context.Context, b *bench, _ string) {
		time.Sleep(3 * time.Hour)
		b.ec2.DeleteBehindBack(b.world, account, region, b.ec2.Images(b.world, account, region)[0].Snapshots[0])
	})
	want(t, op, backup.PhaseFailed, backup.ErrFailed)
	if !strings.Contains(op.Err().Error(), "does not exist") {
		t.Error(op.Err())
	}
	op = steal(func(ctx context.Context, b *bench, image string) {
		time.Sleep(3 * time.Hour)
		if _, err := b.client.DisableImage(ctx, &awsec2.DisableImageInput{ImageId: &image}); err != nil {
			t.Error(err)
		}
	})
	want(t, op, backup.PhaseSucceeded, "")
	if !has(op.Findings, "ami.disabled") {
		t.Errorf("findings %v", op.Findings)
	}
}

func TestCopy(t *testing.T) {
	keys := kmssim.Service()
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		op, err := s.StartCopy(t.Context(), point, backup.Destination{Region: elsewhere}, backup.Spec{Token: "c", Tags: map[string]string{"copy": "yes"}})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseSucceeded, "")
		images, snapshots := b.made(op, elsewhere)
		if len(images) != 1 || len(snapshots) != 2 || images[0].CopyOf != point.ID || images[0].Tags["copy"] != "yes" {
			t.Fatalf("%+v %+v", images, snapshots)
		}
		for p, err := range s.List(t.Context(), backup.Query{Account: account, Region: elsewhere}) {
			if err != nil {
				t.Fatal(err)
			}
			if p.Source != b.instance || p.CreatedAt.IsZero() || p.CreatedAt.After(time.Now().Add(-10*time.Minute)) || len(p.Members) != 2 || p.Status != backup.StatusAvailable {
				t.Errorf("%+v", p)
			}
		}
		// A copy of the copy keeps the lineage, and can be deleted by its owner.
		back, err := s.StartCopy(t.Context(), op.Points[0], backup.Destination{Region: elsewhere}, backup.Spec{Token: "cc", Name: "again"})
		back = finish(t, s, back, err)
		want(t, back, backup.PhaseSucceeded, "")
		images, _ = b.made(back, elsewhere)
		if images[0].Tags[backup.TagSource] != b.instance.Tag() || images[0].Tags[ami.TagCopyOf] != op.Points[0].Tag() {
			t.Errorf("lineage %v", images[0].Tags)
		}
		del, err := s.StartDelete(t.Context(), back.Points[0], backup.Spec{Token: "d"})
		want(t, finish(t, s, del, err), backup.PhaseSucceeded, "")
		if _, snapshots := b.made(back, elsewhere); len(snapshots) > 0 {
			t.Errorf("left: %v", snapshots)
		}
	})
	// A key of the destination that nobody may use shows only later, and is named.
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		op, err := s.StartCopy(t.Context(), point, backup.Destination{Region: elsewhere, KMSKeyID: "arn:aws:kms:" + elsewhere + ":" + account + ":key/01234567-89ab-cdef-0123-456789abcdef"}, backup.Spec{Token: "c"})
		op = finish(t, s, op, err)
		want(t, op, backup.PhaseFailed, backup.ErrDenied)
		if !strings.Contains(op.Err().Error(), "Given key ID is not accessible") || len(op.Points) != 1 {
			t.Errorf("%v %v", op.Err(), op.Points)
		}
	}, func() awssim.Service { return keys })
}

func TestCopyRefused(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		point := b.imaged(t, t.Context(), "first")
		own := ami.NewFromConfig(b.world.Config(account, region))
		for _, c := range []struct {
			s    *ami.Strategy
			to   backup.Destination
			spec backup.Spec
			code backup.Code
		}{
			{s, backup.Destination{Account: "444455556666"}, backup.Spec{}, backup.ErrUnsupported},
			{s, backup.Destination{Region: "cn-north-1"}, backup.Spec{}, backup.ErrUnsupported},
			{s, backup.Destination{Region: "us-east-1"}, backup.Spec{}, backup.ErrInvalid},
			{s, backup.Destination{Region: "nowhere"}, backup.Spec{}, backup.ErrInvalid},
			{s, backup.Destination{Region: elsewhere, KMSKeyID: "alias/x"}, backup.Spec{}, backup.ErrInvalid},
			{s, backup.Destination{KMSKeyID: "arn:aws:kms:us-east-1:111122223333:key/01234567-89ab-cdef-0123-456789abcdef"}, backup.Spec{}, backup.ErrInvalid},
			{s, backup.Destination{}, backup.Spec{Name: "x"}, backup.ErrInvalid},
			{s, backup.Destination{}, backup.Spec{Options: ami.DeleteOptions{}}, backup.ErrInvalid},
			{own, backup.Destination{Region: elsewhere}, backup.Spec{}, backup.ErrInvalid},
		} {
			c.spec.Token = "c"
			if _, err := c.s.StartCopy(t.Context(), point, c.to, c.spec); backup.CodeOf(err) != c.code || backup.HintOf(err) == "" {
				t.Errorf("%+v: %v", c.to, err)
			}
		}
		if _, err := s.StartCopy(t.Context(), b.instance, backup.Destination{}, backup.Spec{Token: "c"}); backup.CodeOf(err) != backup.ErrInvalid {
			t.Errorf("an instance: %v", err)
		}
		// What the process that goes on does not allow is not sent.
		op, err := s.StartCopy(t.Context(), point, backup.Destination{Region: elsewhere}, backup.Spec{Token: "c"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := own.Step(t.Context(), op); backup.CodeOf(err) != backup.ErrInvalid {
			t.Errorf("another process: %v", err)
		}
		missing, err := s.StartCopy(t.Context(), ami.Image(account, region, "ami-0123456789abcdef0"), backup.Destination{}, backup.Spec{Token: "c"})
		if f, err := s.Preflight(t.Context(), missing); err != nil || !has(f, "ami.not-found") {
			t.Errorf("preflight: %v %v", f, err)
		}
		want(t, finish(t, s, missing, err), backup.PhaseFailed, backup.ErrNotFound)
		if f, err := s.Preflight(t.Context(), op); err != nil || len(f) > 0 {
			t.Errorf("preflight: %v %v", f, err)
		}
		if _, err := b.client.DisableImage(t.Context(), &awsec2.DisableImageInput{ImageId: &point.ID}); err != nil {
			t.Fatal(err)
		}
		if f, err := s.Preflight(t.Context(), op); err != nil || !has(f, "ami.state") {
			t.Errorf("preflight: %v %v", f, err)
		}
		want(t, finish(t, s, op, nil), backup.PhaseFailed, backup.ErrConflict)
	})
}

func TestList(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench, s *ami.Strategy) {
		first := b.imaged(t, t.Context(), "first")
		second := b.imaged(t, t.Context(), "second")
		third := b.imaged(t, t.Context(), "third")
		ctx := t.Context()
		if _, err := b.client.DisableImage(ctx, &awsec2.DisableImageInput{ImageId: &second.ID}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.client.EnableImageDeprecation(ctx, &awsec2.EnableImageDeprecationInput{ImageId: &third.ID, DeprecateAt: aws.Time(time.Now().Add(time.Hour))}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		got := map[string]backup.Status{}
		for p, err := range s.List(ctx, backup.Query{Account: account, Region: region, Source: b.instance, Types: []string{ami.TypeImage}, Tags: map[string]string{backup.TagOwner: "snapwarden", backup.TagToken: ""}}) {
			if err != nil {
				t.Fatal(err)
			}
			got[p.ID] = p.Status
			var places []string
			for _, m := range p.Members {
				places = append(places, m.Place+" "+m.Role)
			}
			if d := cmp.Diff([]string{"/dev/sdf data", "/dev/xvda root"}, places); d != "" || p.Source != b.instance || p.SizeBytes != 28<<30 || p.Encrypted || p.ARN != "arn:aws:ec2:eu-west-1::image/"+p.ID {
				t.Errorf("%+v %s", p, d)
			}
		}
		if d := cmp.Diff(map[string]backup.Status{first.ID: backup.StatusAvailable, second.ID: backup.StatusPending, third.ID: backup.StatusAvailable}, got); d != "" {
			t.Errorf("listed (-wanted +got):\n%s", d)
		}
		for id, w := range map[string]string{second.ID: "ami.disabled", third.ID: "ami.deprecated"} {
			if f, err := s.LaunchReady(ctx, ami.Image(account, region, id)); err != nil || len(f) != 1 || f[0].ID != w {
				t.Errorf("%s: %v %v", id, f, err)
			}
		}
		if f, err := s.LaunchReady(ctx, ami.Image(account, region, "ami-0123456789abcdef0")); err != nil || !has(f, "ami.not-found") {
			t.Errorf("missing: %v %v", f, err)
		}
		for _, r := range []backup.Ref{{}, b.instance, ami.Image(account, region, "ami-*")} {
			if _, err := s.LaunchReady(ctx, r); backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("%v: %v", r, err)
			}
		}
		bad := []backup.Query{{}, {Account: account, Region: region, Types: []string{"ec2/volume"}}, {Account: account, Region: region, Source: first}, {Account: account, Region: region, Point: b.instance},
			{Account: account, Region: elsewhere, Point: first}}
		for _, q := range bad {
			for _, err := range s.List(ctx, q) {
				if backup.CodeOf(err) != backup.ErrInvalid {
					t.Errorf("%+v: %v", q, err)
				}
			}
		}
		for _, err := range s.Discover(ctx, backup.Query{Account: account, Region: region, Types: []string{ebs.TypeVolume}}) {
			if backup.CodeOf(err) != backup.ErrInvalid {
				t.Errorf("discover volumes: %v", err)
			}
		}
	})
}

package ec2sim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
)

func TestSnapshotLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		before := time.Now()
		made, err := s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: aws.String(v), Description: aws.String("nightly")})
		if err != nil {
			t.Fatal(err)
		}
		if made.State != ec2types.SnapshotStatePending || *made.Progress != "" || *made.VolumeSize != 20 || *made.OwnerId != home || *made.Description != "nightly" {
			t.Errorf("made %+v", made)
		}
		if d := made.StartTime.Sub(before); d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("start time %v, called at %v", made.StartTime, before)
		}
		time.Sleep(time.Second)
		p := s.one(*made.SnapshotId)
		if p.State != ec2types.SnapshotStatePending || p.CompletionTime != nil || p.StateMessage != nil {
			t.Errorf("after a second: %+v", p)
		}
		if err := awsec2.NewSnapshotCompletedWaiter(s.c).Wait(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{*made.SnapshotId}}, 5*time.Hour); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(before); took < 9*time.Second || took > 2*time.Hour {
			t.Errorf("took %v", took)
		}
		p = s.one(*made.SnapshotId)
		if p.State != ec2types.SnapshotStateCompleted || *p.Progress != "100%" || p.CompletionTime == nil || *p.FullSnapshotSizeInBytes <= 0 || p.StorageTier != ec2types.StorageTierStandard {
			t.Errorf("completed: %+v", p)
		}
		if _, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: made.SnapshotId}); err != nil {
			t.Fatal(err)
		}
		_, err = s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: made.SnapshotId})
		want(t, "a second delete", err, "InvalidSnapshot.NotFound")
		_, err = s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{*made.SnapshotId}})
		want(t, "a look at a deleted snapshot", err, "InvalidSnapshot.NotFound")
	})
}

func TestCreateTwiceMakesTwo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		a := s.snapshot(v, tagged("token", "1")...)
		time.Sleep(15 * time.Second)
		b := s.snapshot(v, tagged("token", "1")...)
		if a == b {
			t.Errorf("both are %s", a)
		}
		if d := cmp.Diff([]string{a, b}, s.ids(by("tag:token", "1"))); d != "" {
			t.Error(d)
		}
	})
}

func TestSnapshotQuotas(t *testing.T) {
	hdd := func(in *awsec2.CreateVolumeInput) {
		in.VolumeType, in.Size = ec2types.VolumeTypeSt1, aws.Int32(125)
	}
	for name, c := range map[string]struct {
		quotas func(*ec2sim.Quotas)
		change func(*awsec2.CreateVolumeInput)
		gap    time.Duration
		passes int
		code   string
	}{
		"rate":       {nil, nil, 15*time.Second - time.Millisecond, 1, "SnapshotCreationPerVolumeRateExceeded"},
		"concurrent": {nil, nil, 15 * time.Second, 5, "ConcurrentSnapshotLimitExceeded"},
		"hdd":        {nil, hdd, 15 * time.Second, 1, "ConcurrentSnapshotLimitExceeded"},
		"pending":    {func(q *ec2sim.Quotas) { q.PendingSnapshots = 3 }, nil, 15 * time.Second, 3, "PendingSnapshotLimitExceeded"},
		"region":     {func(q *ec2sim.Quotas) { q.SnapshotsPerRegion = 2 }, nil, 15 * time.Second, 2, "SnapshotLimitExceeded"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				q := ec2sim.DefaultQuotas()
				if c.quotas != nil {
					c.quotas(&q)
				}
				s.ec2.SetQuotas(s.w, q)
				var change []func(*awsec2.CreateVolumeInput)
				if c.change != nil {
					change = append(change, c.change)
				}
				// Every snapshot is slow enough to be pending throughout: the volume is one of which that is so.
				v := slowVolume(s, c.passes, change...)
				for i := range c.passes {
					if _, err := s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: aws.String(v)}); err != nil {
						t.Fatalf("snapshot %d: %v", i, err)
					}
					time.Sleep(c.gap)
				}
				_, err := s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: aws.String(v)})
				want(t, "one more", err, c.code)
				if n := len(s.ec2.Snapshots(s.w, home, region)); n != c.passes {
					t.Errorf("there are %d snapshots, want %d", n, c.passes)
				}
				if name == "region" {
					return
				}
				time.Sleep(24 * time.Hour)
				_, err = s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: aws.String(v)})
				want(t, "when all are done", err, "")
			})
		})
	}
}

// slowVolume finds a volume of which n snapshots, 15 seconds apart, are all pending at the end: it tries them in a World of their own.
func slowVolume(s *scene, n int, change ...func(*awsec2.CreateVolumeInput)) string {
	s.t.Helper()
	trial := newScene(s.t)
	trial.ec2.SetQuotas(trial.w, ec2sim.Quotas{})
	for range 100 {
		v, twin := s.volume(change...), trial.volume(change...)
		var ids []string
		for range n {
			ids = append(ids, trial.snapshot(twin))
			time.Sleep(15 * time.Second)
		}
		slow := true
		for _, id := range ids {
			slow = slow && trial.one(id).State == ec2types.SnapshotStatePending
		}
		if slow && v == twin {
			return v
		}
		s.w.Do(home, region, func(r *awssim.Request) {
			for range n {
				r.NewID("snap")
			}
		})
	}
	s.t.Fatal("no such volume")
	return ""
}

func TestDeletePendingKeepsSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		q := ec2sim.DefaultQuotas()
		q.ConcurrentPerVolume = 1
		s.ec2.SetQuotas(s.w, q)
		v := slowVolume(s, 2)
		id := s.snapshot(v)
		for range 2 {
			if _, err := s.c.DeleteSnapshot(s.ctx, &awsec2.DeleteSnapshotInput{SnapshotId: aws.String(id)}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(15 * time.Second)
		if p := s.one(id); p.State != ec2types.SnapshotStatePending {
			t.Errorf("it is %s", p.State)
		}
		_, err := s.c.CreateSnapshot(s.ctx, &awsec2.CreateSnapshotInput{VolumeId: aws.String(v)})
		want(t, "create beside it", err, "ConcurrentSnapshotLimitExceeded")
		time.Sleep(2 * time.Hour)
		_, err = s.c.DescribeSnapshots(s.ctx, &awsec2.DescribeSnapshotsInput{SnapshotIds: []string{id}})
		want(t, "a look afterwards", err, "InvalidSnapshot.NotFound")
		s.snapshot(v)
		if got := s.ec2.Snapshots(s.w, home, region); len(got) != 2 || !got[0].Gone || !got[0].Deleted || got[1].Gone {
			t.Errorf("%+v", got)
		}
	})
}

func TestDeleteBehindBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		id := s.snapshot(s.volume())
		if s.ec2.DeleteBehindBack(s.w, other, region, id) || !s.ec2.DeleteBehindBack(s.w, home, region, id) || s.ec2.DeleteBehindBack(s.w, home, region, id) {
			t.Error("deleted the wrong one, or twice")
		}
		if got := s.ids(); got != nil {
			t.Errorf("still there: %v", got)
		}
		time.Sleep(24 * time.Hour)
		if p := s.ec2.Snapshots(s.w, home, region)[0]; p.State != ec2types.SnapshotStatePending || !p.Deleted || !p.Gone {
			t.Errorf("%+v", p)
		}
	})
}

func TestCreateSnapshots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		i := s.instance("/dev/sdf", "/dev/sdg")
		vols := map[string]string{}
		for _, m := range i.BlockDeviceMappings {
			vols[*m.DeviceName] = *m.Ebs.VolumeId
		}
		if _, err := s.c.CreateTags(s.ctx, &awsec2.CreateTagsInput{Resources: []string{vols["/dev/sdg"]}, Tags: tagged("disk", "g", "who", "volume")}); err != nil {
			t.Fatal(err)
		}
		spec := func() *ec2types.InstanceSpecification {
			return &ec2types.InstanceSpecification{InstanceId: i.InstanceId}
		}
		out, err := s.c.CreateSnapshots(s.ctx, &awsec2.CreateSnapshotsInput{InstanceSpecification: spec(), CopyTagsFromSource: ec2types.CopyTagsFromSourceVolume,
			Description:       aws.String("set"),
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeSnapshot, Tags: tagged("who", "call")}}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, p := range out.Snapshots {
			got = append(got, *p.VolumeId)
			if !p.StartTime.Equal(*out.Snapshots[0].StartTime) || p.State != ec2types.SnapshotStatePending || *p.Description != "set" {
				t.Errorf("%+v", p)
			}
		}
		if d := cmp.Diff([]string{vols["/dev/sdf"], vols["/dev/sdg"], vols["/dev/xvda"]}, got); d != "" {
			t.Error(d)
		}
		if d := cmp.Diff(tagged("disk", "g", "who", "call"), out.Snapshots[1].Tags, cmpopts.IgnoreUnexported(ec2types.Tag{})); d != "" {
			t.Error(d)
		}
		sets := map[string]bool{}
		for _, p := range s.ec2.Snapshots(s.w, home, region) {
			sets[p.Set] = true
		}
		if len(sets) != 1 || sets[""] {
			t.Errorf("sets %v", sets)
		}

		many := make([]string, 41)
		for n := range many {
			many[n] = vols["/dev/sdf"]
		}
		for name, c := range map[string]struct {
			change func(*ec2types.InstanceSpecification)
			code   string
			n      int
		}{
			"too soon":     {nil, "SnapshotCreationPerVolumeRateExceeded", 0},
			"without boot": {func(p *ec2types.InstanceSpecification) { p.ExcludeBootVolume = yes() }, "", 2},
			"without data": {func(p *ec2types.InstanceSpecification) { p.ExcludeDataVolumeIds = []string{vols["/dev/sdg"]} }, "", 2},
			"root by id":   {func(p *ec2types.InstanceSpecification) { p.ExcludeDataVolumeIds = []string{vols["/dev/xvda"]} }, "InvalidParameterValue", 0},
			"41 excluded":  {func(p *ec2types.InstanceSpecification) { p.ExcludeDataVolumeIds = many }, "InvalidParameterValue", 0},
			"no such":      {func(p *ec2types.InstanceSpecification) { p.InstanceId = aws.String("i-12345678") }, "InvalidInstanceID.NotFound", 0},
			"not a volume": {func(p *ec2types.InstanceSpecification) { p.ExcludeDataVolumeIds = []string{"vol-12345678"} }, "InvalidParameterValue", 0},
			"nothing left": {func(p *ec2types.InstanceSpecification) {
				p.ExcludeBootVolume, p.ExcludeDataVolumeIds = yes(), []string{vols["/dev/sdf"], vols["/dev/sdg"]}
			}, "InvalidParameterValue", 0},
			"malformed": {func(p *ec2types.InstanceSpecification) { p.InstanceId = aws.String("foo") }, "InvalidInstanceID.Malformed", 0},
		} {
			if name != "too soon" {
				time.Sleep(24 * time.Hour)
			} else {
				s.snapshot(s.volume())
				if _, err := s.c.CreateSnapshots(s.ctx, &awsec2.CreateSnapshotsInput{InstanceSpecification: spec()}); err != nil {
					t.Fatal(err)
				}
			}
			p := spec()
			if c.change != nil {
				c.change(p)
			}
			out, err := s.c.CreateSnapshots(s.ctx, &awsec2.CreateSnapshotsInput{InstanceSpecification: p})
			want(t, name, err, c.code)
			if err == nil && len(out.Snapshots) != c.n {
				t.Errorf("%s: %d snapshots, want %d", name, len(out.Snapshots), c.n)
			}
		}
	})
}

func TestDoomed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		v := s.volume()
		i := s.instance("/dev/sdf")
		hit := s.w.Inject(awssim.Fault{Kind: awssim.FaultAsync, Times: 2})
		id := s.snapshot(v)
		set, err := s.c.CreateSnapshots(s.ctx, &awsec2.CreateSnapshotsInput{InstanceSpecification: &ec2types.InstanceSpecification{InstanceId: i.InstanceId}})
		if err != nil || hit.Fired() != 2 {
			t.Fatal(err, hit.Fired())
		}
		if p := s.one(id); p.State != ec2types.SnapshotStatePending {
			t.Errorf("at first it is %s", p.State)
		}
		for since := time.Now(); time.Since(since) < 2*time.Hour; time.Sleep(5 * time.Second) {
			a, b := s.one(*set.Snapshots[0].SnapshotId).State, s.one(*set.Snapshots[1].SnapshotId).State
			if a != b || a == ec2types.SnapshotStateCompleted {
				t.Fatalf("a set of %s and %s", a, b)
			}
		}
		for _, id := range []string{id, *set.Snapshots[0].SnapshotId} {
			if p := s.one(id); p.State != ec2types.SnapshotStateError || aws.ToString(p.StateMessage) == "" || p.CompletionTime != nil {
				t.Errorf("in the end %+v", p)
			}
		}
	})
}

// ring is a KMS in which one key is disabled.
type ring struct{ disabled string }

func (ring) Definition() awssim.Definition { return awssim.Definition{ID: "KMS"} }

func (k ring) KeyUsable(arn, _ string) (string, bool) {
	if arn == k.disabled {
		return "Disabled", true
	}
	return "Enabled", true
}

func TestEncryption(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := "arn:aws:kms:" + region + ":" + home + ":key/1234abcd-12ab-34cd-56ef-1234567890ab"
		k := &ring{}
		s := newScene(t, k)
		v := s.volume(func(in *awsec2.CreateVolumeInput) {
			in.Encrypted, in.KmsKeyId = yes(), aws.String("1234abcd-12ab-34cd-56ef-1234567890ab")
		})
		plain := s.volume()
		standard := s.volume(func(in *awsec2.CreateVolumeInput) { in.Encrypted = yes() })
		good, open, own := s.snapshot(v), s.snapshot(plain), s.snapshot(standard)
		time.Sleep(24 * time.Hour)
		k.disabled = key
		bad := s.snapshot(v)
		broken := s.volume(func(in *awsec2.CreateVolumeInput) { in.SnapshotId = aws.String(good) })
		time.Sleep(24 * time.Hour)
		if p := s.one(good); !*p.Encrypted || *p.KmsKeyId != key || p.State != ec2types.SnapshotStateCompleted {
			t.Errorf("%+v", p)
		}
		if p := s.one(open); *p.Encrypted || p.KmsKeyId != nil {
			t.Errorf("%+v", p)
		}
		if p := s.one(own); !*p.Encrypted || *p.KmsKeyId == key {
			t.Errorf("%+v", p)
		}
		if p := s.one(bad); p.State != ec2types.SnapshotStateError || *p.StateMessage != "Given key ID is not accessible" {
			t.Errorf("%+v", p)
		}
		if out, err := s.c.DescribeVolumes(s.ctx, &awsec2.DescribeVolumesInput{VolumeIds: []string{broken}}); err != nil || out.Volumes[0].State != ec2types.VolumeStateError {
			t.Errorf("%v %+v", err, out)
		}
		_, err := s.c.CreateVolume(s.ctx, &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(region + "a"), Size: aws.Int32(1), KmsKeyId: aws.String(key)})
		want(t, "a key without Encrypted", err, "InvalidParameterDependency")
	})
}

package iamsim_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/elasticache"
	"github.com/snapwarden/snapwarden/policy"
	"github.com/snapwarden/snapwarden/rds"
	"github.com/snapwarden/snapwarden/s3export/elasticacheexport"
	"github.com/snapwarden/snapwarden/s3export/objectcopy"
	"github.com/snapwarden/snapwarden/s3export/protect"
)

// site is a World in which the library works as the simulated user, with the policies that it says it needs.
type site struct {
	*testing.T
	iam   *iamsim.IAM
	world *awssim.World
	scope policy.Scope
}

func onSite(t *testing.T, f func(s *site, db *rdssim.RDS)) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{T: t, iam: iamsim.Service(), scope: policy.Scope{Account: home, Region: place}}
		db := rdssim.Service()
		s.world = awssim.New(s.iam, ec2sim.Service(), db, elasticachesim.Service(), s3sim.Service(), kmssim.Service())
		f(s, db)
	})
}

func (s *site) config() aws.Config { return s.world.Config(home, place) }

func (s *site) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// work runs a workflow to its end with a policy and nothing more. Nothing must be denied on the way.
func (s *site) work(strategy backup.Strategy, doc func() (policy.Document, error), start func() (backup.Operation, error)) backup.Operation {
	s.Helper()
	d, err := doc()
	s.must(err)
	s.must(s.iam.Attach(s.world, simulated, d))
	op, err := start()
	s.must(err)
	runner, err := backup.NewRunner([]backup.Strategy{strategy})
	s.must(err)
	op, err = runner.Run(s.Context(), op)
	if denied := s.iam.Denied(s.world, simulated); err != nil || op.Phase != backup.PhaseSucceeded || denied != nil {
		s.Fatalf("%s %v, denied: %v", op.Phase, err, denied)
	}
	if used := s.iam.Used(s.world, simulated); len(used) == 0 {
		s.Error("nothing was asked for")
	}
	s.must(s.iam.Detach(s.world, simulated))
	return op
}

// What the library does with volumes, databases and caches is what its policies for callers allow.
func TestWorkflowsWithTheirPolicies(t *testing.T) {
	t.Run("ebs", func(t *testing.T) {
		onSite(t, func(s *site, _ *rdssim.RDS) {
			disk := func(device string) ec2types.BlockDeviceMapping {
				return ec2types.BlockDeviceMapping{DeviceName: &device, Ebs: &ec2types.EbsBlockDevice{VolumeSize: aws.Int32(8)}}
			}
			out, err := awsec2.NewFromConfig(s.config()).RunInstances(s.Context(), &awsec2.RunInstancesInput{ImageId: aws.String("ami-0123456789abcdef0"),
				InstanceType: ec2types.InstanceTypeT3Micro, MinCount: aws.Int32(1), MaxCount: aws.Int32(1), BlockDeviceMappings: []ec2types.BlockDeviceMapping{disk("/dev/xvda"), disk("/dev/sdf")}})
			s.must(err)
			time.Sleep(time.Hour)
			st := ebs.NewFromConfig(s.config())
			instance := ebs.Instance(home, place, *out.Instances[0].InstanceId)
			op := s.work(st, func() (policy.Document, error) { return policy.EBSBackupPolicy(s.scope, instance.ID) },
				func() (backup.Operation, error) { return st.Start(s.Context(), instance, backup.Spec{Token: "t"}) })
			point := op.Points[0]
			s.work(st, func() (policy.Document, error) { return policy.EBSRestorePolicy(s.scope) }, func() (backup.Operation, error) {
				return st.StartRestore(s.Context(), point, backup.Spec{Token: "drill", Options: ebs.RestoreOptions{Zone: place + "b"}})
			})
			far := policy.Scope{Account: home, Region: "us-east-1"}
			wide := ebs.New(func(_ context.Context, account, region string) (*awsec2.Client, error) {
				return awsec2.NewFromConfig(s.world.Config(account, region)), nil
			}, func(o *ebs.Options) { o.CopyRegions = []string{far.Region} })
			s.work(wide, func() (policy.Document, error) { return policy.EBSCopyPolicy(s.scope, far) }, func() (backup.Operation, error) {
				return wide.StartCopy(s.Context(), point, backup.Destination{Region: far.Region}, backup.Spec{Token: "far"})
			})
			s.work(st, func() (policy.Document, error) { return policy.EBSLockPolicy(s.scope) }, func() (backup.Operation, error) {
				return st.StartLock(s.Context(), point, backup.Spec{Token: "keep", Options: ebs.LockOptions{Days: 1}})
			})
			archive := func() (policy.Document, error) { return policy.EBSArchivePolicy(s.scope) }
			s.work(st, archive, func() (backup.Operation, error) {
				return st.StartArchive(s.Context(), point, backup.Spec{Token: "cold", Options: ebs.ArchiveOptions{AllowLast: true}})
			})
			s.work(st, archive, func() (backup.Operation, error) {
				return st.StartUnarchive(s.Context(), point, backup.Spec{Token: "warm", Options: ebs.UnarchiveOptions{Permanent: true}})
			})
			time.Sleep(48 * time.Hour)
			s.work(st, func() (policy.Document, error) { return policy.EBSDeletePolicy(s.scope) },
				func() (backup.Operation, error) {
					return st.StartDelete(s.Context(), point, backup.Spec{Token: "gone"})
				})
		})
	})
	t.Run("rds", func(t *testing.T) {
		onSite(t, func(s *site, db *rdssim.RDS) {
			db.SeedInstances(s.world, home, place, "orders", 1, nil)
			_, err := awsrds.NewFromConfig(s.config()).CreateDBSubnetGroup(s.Context(), &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: aws.String("private"),
				DBSubnetGroupDescription: aws.String("x"), SubnetIds: []string{"subnet-1", "subnet-2"}})
			s.must(err)
			st := rds.NewFromConfig(s.config())
			orders := rds.Instance(home, place, "orders-00001")
			op := s.work(st, func() (policy.Document, error) { return policy.RDSBackupPolicy(s.scope, orders.ID) },
				func() (backup.Operation, error) { return st.Start(s.Context(), orders, backup.Spec{Token: "t"}) })
			point := op.Points[0]
			s.work(st, func() (policy.Document, error) { return policy.RDSRestorePolicy(s.scope, "drill") }, func() (backup.Operation, error) {
				return st.StartRestore(s.Context(), point, backup.Spec{Token: "drill", Options: rds.RestoreOptions{ID: "drill", SubnetGroup: "private", SecurityGroups: []string{"sg-0123456789abcdef0"}}})
			})
			s.work(st, func() (policy.Document, error) { return policy.RDSDeletePolicy(s.scope) },
				func() (backup.Operation, error) {
					return st.StartDelete(s.Context(), point, backup.Spec{Token: "gone"})
				})
		})
	})
	t.Run("elasticache", func(t *testing.T) {
		onSite(t, func(s *site, _ *rdssim.RDS) {
			_, err := awselasticache.NewFromConfig(s.config()).CreateReplicationGroup(s.Context(), &awselasticache.CreateReplicationGroupInput{
				ReplicationGroupId: aws.String("sessions"), ReplicationGroupDescription: aws.String("x"), Engine: aws.String("valkey"),
				CacheNodeType: aws.String("cache.r7g.large"), NumCacheClusters: aws.Int32(2)})
			s.must(err)
			_, err = awss3.NewFromConfig(s.config()).CreateBucket(s.Context(), bucketIn("exports", place))
			s.must(err)
			_, err = awss3.NewFromConfig(s.config()).CreateBucket(s.Context(), bucketIn("copies", place))
			s.must(err)
			time.Sleep(4 * time.Hour)
			st := elasticache.NewFromConfig(s.config())
			sessions := elasticache.ReplicationGroup(home, place, "sessions")
			op := s.work(st, func() (policy.Document, error) { return policy.ElastiCacheBackupPolicy(s.scope, sessions.ID) },
				func() (backup.Operation, error) { return st.Start(s.Context(), sessions, backup.Spec{Token: "t"}) })
			point := op.Points[0]
			s.work(st, func() (policy.Document, error) { return policy.ElastiCacheRestorePolicy(s.scope, "drill") }, func() (backup.Operation, error) {
				return st.StartRestore(s.Context(), point, backup.Spec{Token: "drill", Options: elasticache.RestoreOptions{ID: "drill", SecurityGroups: []string{"sg-0123456789abcdef0"}}})
			})

			x := elasticacheexport.NewFromConfig(s.config())
			s.work(x, func() (policy.Document, error) { return policy.ElastiCachePreparePolicy(s.scope, "exports") }, func() (backup.Operation, error) {
				return x.StartPrepare(s.Context(), elasticacheexport.Bucket(home, place, "exports"), backup.Spec{Token: "p"})
			})
			s.work(x, func() (policy.Document, error) {
				// The simulated ElastiCache asks for s3:DeleteObject too, as its guide does.
				d, err := policy.ElastiCacheExportPolicy(s.scope, "exports")
				s.must(err)
				more, err := policy.ElastiCacheExportDeletePolicy(s.scope, "exports")
				d.Statements = append(d.Statements, more.Statements...)
				return d, err
			}, func() (backup.Operation, error) {
				return x.Start(s.Context(), point, backup.Spec{Token: "e", Name: "nightly", Options: elasticacheexport.Options{Bucket: "exports"}})
			})
			web := elasticache.Serverless(home, place, "web")
			_, err = awselasticache.NewFromConfig(s.config()).CreateServerlessCache(s.Context(), &awselasticache.CreateServerlessCacheInput{ServerlessCacheName: &web.ID, Engine: aws.String("valkey")})
			s.must(err)
			time.Sleep(time.Hour)
			op = s.work(st, func() (policy.Document, error) { return policy.ElastiCacheBackupPolicy(s.scope, web.ID) },
				func() (backup.Operation, error) { return st.Start(s.Context(), web, backup.Spec{Token: "web"}) })
			s.work(x, func() (policy.Document, error) {
				d, err := policy.ElastiCacheExportPolicy(s.scope, "exports", op.Points[0].ID)
				s.must(err)
				more, err := policy.ElastiCacheExportDeletePolicy(s.scope, "exports")
				d.Statements = append(d.Statements, more.Statements...)
				return d, err
			}, func() (backup.Operation, error) {
				return x.Start(s.Context(), op.Points[0], backup.Spec{Token: "w", Options: elasticacheexport.Options{Bucket: "exports"}})
			})
			c := objectcopy.NewFromConfig(s.config())
			s.work(c, func() (policy.Document, error) {
				return policy.ObjectCopyPolicy(policy.ObjectCopy{From: policy.ObjectPlace{Bucket: "exports", Region: place}, To: policy.ObjectPlace{Bucket: "copies", Region: place}})
			}, func() (backup.Operation, error) {
				return c.Start(s.Context(), objectcopy.Object(home, place, "exports", "nightly-0001.rdb"), backup.Spec{Token: "c", Options: objectcopy.Options{Region: place, Bucket: "copies"}})
			})
			made := awss3.NewFromConfig(s.config())
			in := bucketIn("held", place)
			in.ObjectLockEnabledForBucket = aws.Bool(true)
			_, err = made.CreateBucket(s.Context(), in)
			s.must(err)
			_, err = made.PutObject(s.Context(), &awss3.PutObjectInput{Bucket: aws.String("held"), Key: aws.String("a"), Body: strings.NewReader("a")})
			s.must(err)
			guard := protect.NewFromConfig(s.config())
			object := objectcopy.Object(home, place, "held", "a")
			keep := policy.Retention{Mode: policy.LockGovernance, Until: time.Now().Add(48 * time.Hour)}
			s.work(guard, func() (policy.Document, error) {
				return policy.ProtectLockPolicy(policy.Protect{Bucket: "held", Region: place, Retention: true, LegalHold: true})
			}, func() (backup.Operation, error) {
				return guard.StartProtect(s.Context(), object, backup.Spec{Token: "h", Options: protect.LockOptions{Retention: keep, LegalHold: policy.LegalHoldOn}})
			})
			s.work(guard, func() (policy.Document, error) { return policy.ProtectLifecyclePolicy("held", place) }, func() (backup.Operation, error) {
				return guard.StartLifecycle(s.Context(), protect.Bucket(home, place, "held"), backup.Spec{Token: "l", Options: protect.LifecycleOptions{
					Rules: []policy.LifecycleRule{{ID: "abort", AbortUploadsDays: 7}}}})
			})
			s.work(st, func() (policy.Document, error) { return policy.ElastiCacheDeletePolicy(s.scope) },
				func() (backup.Operation, error) {
					return st.StartDelete(s.Context(), point, backup.Spec{Token: "gone"})
				})
		})
	})
}

// The tags of what is there are told by its ARN, as it is now; of what is not there, or elsewhere, or another's, nothing is.
func TestTagsOfSimulatedServices(t *testing.T) {
	onSite(t, func(s *site, db *rdssim.RDS) {
		out, err := awsec2.NewFromConfig(s.config()).CreateVolume(s.Context(), &awsec2.CreateVolumeInput{AvailabilityZone: aws.String(place + "a"), Size: aws.Int32(8),
			TagSpecifications: []ec2types.TagSpecification{{ResourceType: ec2types.ResourceTypeVolume, Tags: []ec2types.Tag{{Key: aws.String("team"), Value: aws.String("a")}}}}})
		s.must(err)
		db.SeedInstances(s.world, home, place, "orders", 1, map[string]string{"team": "a"})
		_, err = awselasticache.NewFromConfig(s.config()).CreateCacheCluster(s.Context(), &awselasticache.CreateCacheClusterInput{CacheClusterId: aws.String("one"),
			CacheNodeType: aws.String("cache.t4g.small"), Engine: aws.String("redis"), NumCacheNodes: aws.Int32(1), Tags: []ectypes.Tag{{Key: aws.String("team"), Value: aws.String("a")}}})
		s.must(err)
		time.Sleep(time.Hour)
		s.must(s.iam.Attach(s.world, simulated, statements(when(allow("*", "*"), "StringEquals", "aws:ResourceTag/team", "a"))))
		arn := func(service, account, resource string) string {
			return "arn:aws:" + service + ":" + place + ":" + account + ":" + resource
		}
		far := "arn:aws:ec2:eu-west-2:" + home + ":volume/" + *out.VolumeId
		for _, c := range []struct {
			action, arn string
			want        bool
		}{
			{"ec2:DeleteVolume", arn("ec2", home, "volume/"+*out.VolumeId), true},
			{"ec2:DeleteVolume", arn("ec2", home, "volume/vol-0123456789abcdef0"), false},
			{"ec2:DeleteVolume", arn("ec2", home, "volume/*"), false},
			{"ec2:DeleteVolume", far, false},
			{"ec2:DeleteVolume", "*", false},
			{"rds:DeleteDBInstance", arn("rds", home, "db:orders-00001"), true},
			{"rds:DeleteDBInstance", arn("rds", home, "db:none"), false},
			{"rds:DeleteDBInstance", arn("rds", other, "db:orders-00001"), false},
			{"elasticache:DeleteCacheCluster", arn("elasticache", home, "cluster:one"), true},
			{"elasticache:DeleteCacheCluster", arn("elasticache", home, "cluster:none"), false},
			{"elasticache:DeleteCacheCluster", arn("elasticache", other, "cluster:one"), false},
		} {
			s.world.Do(home, place, func(r *awssim.Request) {
				if got := s.iam.AllowsIdentity(r, c.action, c.arn); got != c.want {
					s.Errorf("%s on %s: %v", c.action, c.arn, got)
				}
			})
		}
	})
}

package iamsim_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awselasticache "github.com/aws/aws-sdk-go-v2/service/elasticache"
	ectypes "github.com/aws/aws-sdk-go-v2/service/elasticache/types"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/google/go-cmp/cmp"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/iamsim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/s3sim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
	"github.com/snapwarden/snapwarden/policy"
)

// clients are the SDK's, by service id.
var clients = map[string]reflect.Type{
	"EC2": reflect.TypeFor[*awsec2.Client](), "RDS": reflect.TypeFor[*awsrds.Client](), "ElastiCache": reflect.TypeFor[*awselasticache.Client](),
	"KMS": reflect.TypeFor[*awskms.Client](), "STS": reflect.TypeFor[*awssts.Client](), "S3": reflect.TypeFor[*awss3.Client](),
}

// TestEveryOperation goes over what the simulated services can do: whatever is done needs an action that is known.
func TestEveryOperation(t *testing.T) {
	// What needs the action of its own name, on no resource.
	plainly := []string{"KMS.CreateKey", "KMS.ListAliases", "RDS.DescribeExportTasks", "RDS.CancelExportTask"}
	for _, s := range []awssim.Service{ec2sim.Service(), rdssim.Service(), elasticachesim.Service(), kmssim.Service(), stssim.Service(), s3sim.Service()} {
		d := s.Definition()
		for operation := range d.Handlers {
			actions := iamsim.Actions(d.ID, operation)
			if actions == nil {
				t.Errorf("no action is known for %s.%s", d.ID, operation)
			}
			if !iamsim.Tabled(d.ID, operation) && !slices.Contains(plainly, d.ID+"."+operation) && (d.ID != "EC2" || !strings.HasPrefix(operation, "Describe")) {
				t.Errorf("%s.%s: its resources are not in the tables", d.ID, operation)
			}
			for _, a := range actions {
				if prefix, name, ok := strings.Cut(a, ":"); !ok || name == "" || prefix != strings.ToLower(d.ID) && a != "iam:PassRole" {
					t.Errorf("%s.%s needs %q", d.ID, operation, a)
				}
			}
		}
	}
}

// TestFields holds the tables against the SDK: every field that they name is there.
func TestFields(t *testing.T) {
	seen := 0
	iamsim.Fields(func(service, operation, field string) {
		seen++
		m, ok := clients[service].MethodByName(operation)
		if !ok {
			t.Errorf("the SDK has no %s.%s", service, operation)
			return
		}
		in := m.Type.In(2).Elem()
		for name := range strings.SplitSeq(field, ".") {
			if in.Kind() == reflect.Pointer {
				in = in.Elem()
			}
			f, ok := in.FieldByName(name)
			if !ok {
				t.Errorf("%s.%s has no field %s", service, operation, field)
				return
			}
			in = f.Type
		}
	})
	if seen < 60 {
		t.Errorf("%d fields", seen)
	}
}

func TestActions(t *testing.T) {
	for _, tt := range []struct {
		service, operation string
		want               []string
	}{
		{"S3", "HeadObject", []string{"s3:GetObject"}},
		{"S3", "HeadBucket", []string{"s3:ListBucket"}},
		{"S3", "ListObjectsV2", []string{"s3:ListBucket"}},
		{"S3", "UploadPartCopy", []string{"s3:PutObject", "s3:GetObject"}},
		{"S3", "CreateMultipartUpload", []string{"s3:PutObject"}},
		{"S3", "ListParts", []string{"s3:ListMultipartUploadParts"}},
		{"S3", "Unheard", nil},
		{"EC2", "CreateSnapshot", []string{"ec2:CreateSnapshot"}},
		{"EC2", "DescribeSnapshots", []string{"ec2:DescribeSnapshots"}},
		{"EC2", "Unheard", []string{"ec2:Unheard"}},
		{"RDS", "StartExportTask", []string{"rds:StartExportTask", "iam:PassRole"}},
		{"ElastiCache", "CopySnapshot", []string{"elasticache:CopySnapshot"}},
		{"STS", "GetCallerIdentity", []string{}},
		{"STS", "AssumeRole", []string{"sts:AssumeRole"}},
		{"Secrets Manager", "GetSecretValue", []string{"secretsmanager:GetSecretValue"}},
		{"Unheard", "GetObject", nil},
	} {
		if diff := cmp.Diff(tt.want, iamsim.Actions(tt.service, tt.operation)); diff != "" {
			t.Errorf("%s.%s: %s", tt.service, tt.operation, diff)
		}
	}
	iamsim.Actions("S3", "GetObject")[0] = "changed"
	if got := iamsim.Actions("S3", "GetObject")[0]; got != "s3:GetObject" {
		t.Errorf("the table was changed: %s", got)
	}
}

// labels gives the tags of what is asked for, as a simulated RDS would.
type labels struct{ tags map[string]string }

func (*labels) Definition() awssim.Definition { return awssim.Definition{ID: "Labels"} }

func (l *labels) RDSTags(*awssim.Request, string) map[string]string { return l.tags }

func (l *labels) EC2Tags(*awssim.Request, string) map[string]string { return l.tags }

func (l *labels) ElastiCacheTags(*awssim.Request, string) map[string]string { return l.tags }

// TestAuthorize asks for calls as a World would, with the inputs of the SDK, and looks at which actions on which resources are wanted.
func TestAuthorize(t *testing.T) {
	const ec2, rds, cache = "arn:aws:ec2:eu-west-1:111122223333:", "arn:aws:rds:eu-west-1:111122223333:", "arn:aws:elasticache:eu-west-1:111122223333:"
	s := aws.String
	for _, tt := range []struct {
		service, operation string
		in                 any
		want               []string
	}{
		{"EC2", "DescribeSnapshots", &awsec2.DescribeSnapshotsInput{}, []string{"ec2:DescribeSnapshots *"}},
		{"EC2", "CreateSnapshot", &awsec2.CreateSnapshotInput{VolumeId: s("vol-1")}, []string{"ec2:CreateSnapshot " + ec2 + "volume/vol-1", "ec2:CreateSnapshot arn:aws:ec2:eu-west-1::snapshot/*"}},
		{"EC2", "CreateSnapshot", &awsec2.CreateSnapshotInput{VolumeId: s("vol-1"), TagSpecifications: []ec2types.TagSpecification{{Tags: []ec2types.Tag{{Key: s("a"), Value: s("b")}}}}},
			[]string{"ec2:CreateSnapshot " + ec2 + "volume/vol-1", "ec2:CreateSnapshot arn:aws:ec2:eu-west-1::snapshot/*", "ec2:CreateTags arn:aws:ec2:eu-west-1::snapshot/*"}},
		{"EC2", "CreateSnapshots", &awsec2.CreateSnapshotsInput{InstanceSpecification: &ec2types.InstanceSpecification{InstanceId: s("i-1")}},
			[]string{"ec2:CreateSnapshots " + ec2 + "instance/i-1", "ec2:CreateSnapshots " + ec2 + "volume/*", "ec2:CreateSnapshots arn:aws:ec2:eu-west-1::snapshot/*"}},
		{"EC2", "CreateSnapshots", &awsec2.CreateSnapshotsInput{}, []string{"ec2:CreateSnapshots " + ec2 + "instance/*", "ec2:CreateSnapshots " + ec2 + "volume/*", "ec2:CreateSnapshots arn:aws:ec2:eu-west-1::snapshot/*"}},
		{"EC2", "CreateTags", &awsec2.CreateTagsInput{Resources: []string{"snap-1", "vol-1", "i-1", "ami-1", "eni-1"}, Tags: []ec2types.Tag{{Key: s("a")}}},
			[]string{"ec2:CreateTags arn:aws:ec2:eu-west-1::snapshot/snap-1", "ec2:CreateTags " + ec2 + "volume/vol-1", "ec2:CreateTags " + ec2 + "instance/i-1",
				"ec2:CreateTags arn:aws:ec2:eu-west-1::image/ami-1", "ec2:CreateTags " + ec2 + "*/eni-1"}},
		{"EC2", "DeleteTags", &awsec2.DeleteTagsInput{}, []string{"ec2:DeleteTags *"}},
		{"EC2", "TerminateInstances", &awsec2.TerminateInstancesInput{InstanceIds: []string{"i-1", "i-2"}}, []string{"ec2:TerminateInstances " + ec2 + "instance/i-1", "ec2:TerminateInstances " + ec2 + "instance/i-2"}},
		{"EC2", "CreateVolume", &awsec2.CreateVolumeInput{SnapshotId: s("snap-1")}, []string{"ec2:CreateVolume " + ec2 + "volume/*", "ec2:CreateVolume arn:aws:ec2:eu-west-1::snapshot/snap-1"}},
		{"EC2", "CreateVolume", &awsec2.CreateVolumeInput{}, []string{"ec2:CreateVolume " + ec2 + "volume/*"}},
		{"EC2", "Unheard", nil, []string{"ec2:Unheard *"}},
		{"RDS", "CreateDBSnapshot", &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: s("Orders"), DBSnapshotIdentifier: s("Orders-1"), Tags: []rdstypes.Tag{{Key: s("a"), Value: s("b")}}},
			[]string{"rds:CreateDBSnapshot " + rds + "db:orders", "rds:CreateDBSnapshot " + rds + "snapshot:orders-1", "rds:AddTagsToResource " + rds + "snapshot:orders-1"}},
		{"RDS", "DescribeDBSnapshots", &awsrds.DescribeDBSnapshotsInput{}, []string{"rds:DescribeDBSnapshots " + rds + "snapshot:*"}},
		{"RDS", "DescribeDBSnapshots", (*awsrds.DescribeDBSnapshotsInput)(nil), []string{"rds:DescribeDBSnapshots " + rds + "snapshot:*"}},
		{"RDS", "DeleteDBSnapshot", &awsrds.DeleteDBSnapshotInput{DBSnapshotIdentifier: s(rds + "snapshot:orders-1")}, []string{"rds:DeleteDBSnapshot " + rds + "snapshot:orders-1"}},
		{"RDS", "RestoreDBInstanceFromDBSnapshot", &awsrds.RestoreDBInstanceFromDBSnapshotInput{DBInstanceIdentifier: s("new"), DBSnapshotIdentifier: s("orders-1"), DBSubnetGroupName: s("inside")},
			[]string{"rds:RestoreDBInstanceFromDBSnapshot " + rds + "db:new", "rds:RestoreDBInstanceFromDBSnapshot " + rds + "snapshot:orders-1", "rds:RestoreDBInstanceFromDBSnapshot " + rds + "subgrp:inside"}},
		{"RDS", "AddTagsToResource", &awsrds.AddTagsToResourceInput{ResourceName: s(rds + "db:orders"), Tags: []rdstypes.Tag{{Key: s("a")}}}, []string{"rds:AddTagsToResource " + rds + "db:orders"}},
		{"RDS", "StartExportTask", &awsrds.StartExportTaskInput{SourceArn: s(rds + "snapshot:o"), IamRoleArn: s(role)}, []string{"rds:StartExportTask " + rds + "snapshot:o", "iam:PassRole " + role}},
		{"ElastiCache", "CreateSnapshot", &awselasticache.CreateSnapshotInput{SnapshotName: s("s"), ReplicationGroupId: s("Orders")},
			[]string{"elasticache:CreateSnapshot " + cache + "snapshot:s", "elasticache:CreateSnapshot " + cache + "replicationgroup:orders"}},
		{"ElastiCache", "CopySnapshot", &awselasticache.CopySnapshotInput{SourceSnapshotName: s("a"), TargetSnapshotName: s("b"), TargetBucket: s("exports"), Tags: []ectypes.Tag{{Key: s("k")}}},
			[]string{"elasticache:CopySnapshot " + cache + "snapshot:a", "elasticache:CopySnapshot " + cache + "snapshot:b", "elasticache:AddTagsToResource " + cache + "snapshot:b"}},
		{"KMS", "CreateKey", &awskms.CreateKeyInput{}, []string{"kms:CreateKey *"}},
		{"KMS", "DescribeKey", &awskms.DescribeKeyInput{KeyId: s("1234")}, []string{"kms:DescribeKey arn:aws:kms:eu-west-1:111122223333:key/1234"}},
		{"KMS", "DescribeKey", &awskms.DescribeKeyInput{KeyId: s(keyARN)}, []string{"kms:DescribeKey " + keyARN}},
		{"KMS", "DescribeKey", &awskms.DescribeKeyInput{}, []string{"kms:DescribeKey *"}},
		{"KMS", "CreateAlias", &awskms.CreateAliasInput{AliasName: s("alias/a"), TargetKeyId: s(keyARN)},
			[]string{"kms:CreateAlias arn:aws:kms:eu-west-1:111122223333:alias/a", "kms:CreateAlias " + keyARN}},
		{"STS", "GetCallerIdentity", &awssts.GetCallerIdentityInput{}, nil},
		{"STS", "AssumeRole", &awssts.AssumeRoleInput{RoleArn: s("arn:aws:iam::444455556666:role/backup")}, []string{"sts:AssumeRole arn:aws:iam::444455556666:role/backup"}},
		{"S3", "CreateBucket", &awss3.CreateBucketInput{Bucket: s("exports")}, []string{"s3:CreateBucket arn:aws:s3:::exports"}},
		{"S3", "ListBuckets", &awss3.ListBucketsInput{}, []string{"s3:ListAllMyBuckets *"}},
		{"S3", "GetObject", &awss3.GetObjectInput{Bucket: s("exports"), Key: s("a")}, nil}, // S3 asks itself
	} {
		t.Run(tt.service+" "+tt.operation, func(t *testing.T) {
			iam := iamsim.Service()
			w := awssim.New(iam)
			authorize := func() (err error) {
				as(w, session, func(r *awssim.Request) {
					r.Service, r.Operation = tt.service, tt.operation
					err = iam.Authorize(r, tt.in)
				})
				return err
			}
			if err := authorize(); err != nil {
				t.Errorf("nothing attached: %v", err)
			}
			// The actions come out one by one: each is allowed as soon as it was denied.
			nothing := allow("arn:aws:none:::", "none:None")
			attach(t, iam, w, role, statements(nothing))
			var got []string
			for range len(tt.want) + 1 {
				err := authorize()
				if err == nil {
					break
				}
				denied := iam.Denied(w, role)
				action, resource, _ := strings.Cut(denied[len(denied)-1], " ")
				got = append(got, action+" "+resource)
				attach(t, iam, w, role, statements(allow(resource, action)))
				var e *awssim.Error
				if !errors.As(err, &e) || !strings.Contains(e.Message, "User: "+session+" is not authorized to perform: "+action+" on resource: "+resource) {
					t.Errorf("the error is %v", err)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAuthorizeConditions fills in what the call's tags, and those of what it is about, are.
func TestAuthorizeConditions(t *testing.T) {
	s := aws.String
	make1 := &awsec2.CreateSnapshotInput{VolumeId: s("vol-1"), TagSpecifications: []ec2types.TagSpecification{{Tags: []ec2types.Tag{{Key: s("snapwarden:owner"), Value: s("me")}}}}}
	create := &awsrds.CreateDBSnapshotInput{DBInstanceIdentifier: s("orders"), DBSnapshotIdentifier: s("o"), Tags: []rdstypes.Tag{{Key: s("snapwarden:owner"), Value: s("me")}}}
	untag := &awsrds.RemoveTagsFromResourceInput{ResourceName: s("arn:aws:rds:eu-west-1:111122223333:db:orders"), TagKeys: []string{"snapwarden:owner"}}
	for _, tt := range []struct {
		name, service, operation string
		in                       any
		operator, key, value     string
		code                     string
	}{
		{"a tag in the request", "RDS", "CreateDBSnapshot", create, "StringEquals", "aws:RequestTag/snapwarden:owner", "me", ""},
		{"another's", "RDS", "CreateDBSnapshot", create, "StringEquals", "aws:RequestTag/snapwarden:owner", "you", "AccessDenied"},
		{"the keys", "RDS", "CreateDBSnapshot", create, "ForAllValues:StringLike", "aws:TagKeys", "snapwarden:*", ""},
		{"other keys", "RDS", "CreateDBSnapshot", create, "ForAllValues:StringNotLike", "aws:TagKeys", "snapwarden:*", "AccessDenied"},
		{"keys to take away", "RDS", "RemoveTagsFromResource", untag, "ForAnyValue:StringEquals", "aws:TagKeys", "snapwarden:owner", ""},
		{"no tag to set", "RDS", "RemoveTagsFromResource", untag, "Null", "aws:RequestTag/snapwarden:owner", "true", ""},
		{"what there is", "RDS", "RemoveTagsFromResource", untag, "StringEquals", "aws:ResourceTag/team", "a", ""},
		{"what there is not", "RDS", "RemoveTagsFromResource", untag, "StringEquals", "aws:ResourceTag/team", "b", "AccessDenied"},
		{"of EC2", "EC2", "DeleteSnapshot", &awsec2.DeleteSnapshotInput{SnapshotId: s("snap-1")}, "StringEquals", "aws:ResourceTag/team", "a", ""},
		{"of EC2, another", "EC2", "DeleteSnapshot", &awsec2.DeleteSnapshotInput{SnapshotId: s("snap-1")}, "StringEquals", "aws:ResourceTag/team", "b", "UnauthorizedOperation"},
		{"of ElastiCache", "ElastiCache", "DeleteSnapshot", &awselasticache.DeleteSnapshotInput{SnapshotName: s("x")}, "StringEquals", "aws:ResourceTag/team", "a", ""},
		{"of KMS there are none", "KMS", "DescribeKey", &awskms.DescribeKeyInput{KeyId: s("x")}, "StringEquals", "aws:ResourceTag/team", "a", "AccessDeniedException"},
		{"passing a role", "RDS", "StartExportTask", &awsrds.StartExportTaskInput{}, "StringEqualsIfExists", "iam:PassedToService", "export.rds.amazonaws.com", ""},
		{"passing a role to another", "RDS", "StartExportTask", &awsrds.StartExportTaskInput{}, "StringEqualsIfExists", "iam:PassedToService", "ec2.amazonaws.com", "AccessDenied"},
		{"tagging while creating", "EC2", "CreateSnapshot", make1, "StringEqualsIfExists", "ec2:CreateAction", "CreateSnapshot", ""},
		{"tagging while creating another", "EC2", "CreateSnapshot", make1, "StringEqualsIfExists", "ec2:CreateAction", "CreateVolume", "UnauthorizedOperation"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			iam := iamsim.Service()
			w := awssim.New(iam, &labels{map[string]string{"team": "a"}})
			attach(t, iam, w, role, statements(when(allow("*", "*"), tt.operator, tt.key, tt.value)))
			as(w, session, func(r *awssim.Request) {
				r.Service, r.Operation = tt.service, tt.operation
				err := iam.Authorize(r, tt.in)
				var e *awssim.Error
				if errors.As(err, &e) != (tt.code != "") || e != nil && e.Code != tt.code {
					t.Errorf("%v, want %q", err, tt.code)
				}
			})
		})
	}
	iam := iamsim.Service()
	w := awssim.New(iam, &labels{map[string]string{"team": "a"}})
	attach(t, iam, w, role, statements(when(allow("*", "*"), "StringEquals", "aws:ResourceTag/team", "b")))
	iam.ResourceTags(w, func(_ *awssim.Request, arn string) map[string]string {
		return map[string]string{"team": arn[len(arn)-1:]}
	})
	as(w, session, func(r *awssim.Request) {
		if !iam.AllowsIdentity(r, "rds:X", "arn:aws:rds:::b") || iam.AllowsIdentity(r, "rds:X", "arn:aws:rds:::a") {
			t.Error("the tags that were set do not count")
		}
	})
}

// locks is a simulated KMS with a policy for one key, and an alias for it.
type locks struct{ doc *policy.Document }

func (*locks) Definition() awssim.Definition { return awssim.Definition{ID: "Locks"} }

func (l *locks) KeyPolicy(_ *awssim.Request, arn string) (*policy.Document, string, bool) {
	return l.doc, other, arn == keyARN
}

func (*locks) ResolveKey(_ *awssim.Request, id string) (string, bool) {
	return keyARN, id == "alias/backup"
}

// TestAuthorizeResources has the policies of keys and roles count where they are known.
func TestAuthorizeResources(t *testing.T) {
	iam := iamsim.Service()
	l := &locks{resourcePolicy(to(allow("*", "kms:DescribeKey"), user))}
	w := awssim.New(iam, l)
	try := func(who, service, operation string, in any) string {
		var e *awssim.Error
		as(w, who, func(r *awssim.Request) {
			r.Service, r.Operation = service, operation
			errors.As(iam.Authorize(r, in), &e)
		})
		if e == nil {
			return ""
		}
		return e.Message
	}
	key := &awskms.DescribeKeyInput{KeyId: aws.String("alias/backup")}
	if got := try(user, "KMS", "DescribeKey", key); got != "" {
		t.Errorf("named by the key's policy: %s", got)
	}
	if got := try(session, "KMS", "DescribeKey", key); !strings.HasSuffix(got, "on resource: "+keyARN+" because no resource-based policy allows the kms:DescribeKey action") {
		t.Errorf("not named by the key's policy: %q", got)
	}
	if got := try(session, "KMS", "DescribeKey", &awskms.DescribeKeyInput{KeyId: aws.String("another")}); got != "" {
		t.Errorf("a key without a policy: %s", got)
	}
	assume := &awssts.AssumeRoleInput{RoleArn: aws.String("arn:aws:iam::444455556666:role/backup")}
	if got := try(user, "STS", "AssumeRole", assume); got != "" {
		t.Errorf("a role without a trust policy: %s", got)
	}
	trust := to(policy.Statement{Effect: policy.Allow, Action: []string{"sts:AssumeRole"}}, role)
	if err := iam.Trust(w, *assume.RoleArn, statements(trust)); err != nil {
		t.Fatal(err)
	}
	if got := try(session, "STS", "AssumeRole", assume); got != "" {
		t.Errorf("trusted: %s", got)
	}
	if got := try(user, "STS", "AssumeRole", assume); !strings.Contains(got, "because no resource-based policy") {
		t.Errorf("not trusted: %q", got)
	}
	for _, tt := range []struct {
		doc  policy.Document
		want string
	}{
		{statements(allow("*", "ec2:*")), " because no identity-based policy allows the sts:AssumeRole action"},
		{statements(allow("*", "*"), deny("*", "sts:*")), " with an explicit deny in identity policy, statement 1"},
	} {
		attach(t, iam, w, role, tt.doc)
		if got := try(session, "STS", "AssumeRole", assume); !strings.HasSuffix(got, tt.want) {
			t.Errorf("%q, want %q", got, tt.want)
		}
		if err := iam.Detach(w, role); err != nil {
			t.Fatal(err)
		}
	}
	attach(t, iam, w, role, statements(allow("*", "*"), when(deny("*", "*"), "Unheard", "a", "b")))
	if got := try(session, "EC2", "DescribeVolumes", nil); !strings.Contains(got, "unknown operator") {
		t.Errorf("undecidable: %q", got)
	}
	if err := iam.Detach(w, role); err != nil {
		t.Fatal(err)
	}
	if err := iam.Bound(w, role, statements(allow("*", "s3:*"))); err != nil {
		t.Fatal(err)
	}
	if got := try(session, "EC2", "DescribeVolumes", nil); !strings.Contains(got, "because no permissions boundary allows") {
		t.Errorf("bounded: %q", got)
	}
}

// TestAuthorizeUnknown lets a service pass that it knows nothing of, as long as nobody could be denied anything.
func TestAuthorizeUnknown(t *testing.T) {
	iam := iamsim.Service()
	w := awssim.New(iam)
	try := func() (err error) {
		as(w, session, func(r *awssim.Request) {
			r.Service, r.Operation = "Unheard", "Do"
			err = iam.Authorize(r, nil)
		})
		return err
	}
	if err := try(); err != nil {
		t.Error(err)
	}
	iam.Strict(w)
	if err := try(); err == nil || !strings.Contains(err.Error(), "Unheard.Do") {
		t.Errorf("strict: %v", err)
	}
}

package stssim

import (
	"fmt"
	"net/http"
	"reflect"
	"regexp"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// STS is a simulated AWS STS for one World.
type STS struct {
	refused map[string]bool
}

// Service makes a simulated STS that refuses no role.
func Service() *STS { return &STS{refused: map[string]bool{}} }

// Refuse has AssumeRole answer AccessDenied for the given role ARNs from now on, as if their trust policies did not name the caller.
func (s *STS) Refuse(w *awssim.World, roleARNs ...string) { s.set(w, true, roleARNs) }

// Allow takes back what Refuse did.
func (s *STS) Allow(w *awssim.World, roleARNs ...string) { s.set(w, false, roleARNs) }

func (s *STS) set(w *awssim.World, refuse bool, roleARNs []string) {
	w.Do("", "", func(*awssim.Request) {
		for _, arn := range roleARNs {
			s.refused[arn] = refuse
		}
	})
}

// Definition describes the service to the World.
func (s *STS) Definition() awssim.Definition {
	return awssim.Definition{
		ID: "STS",
		Handlers: map[string]awssim.Handler{
			"GetCallerIdentity": awssim.Read(s.getCallerIdentity),
			"AssumeRole":        awssim.Write(s.assumeRole),
		},
		Throttled: awssim.Error{Code: "Throttling", Message: "Rate exceeded"},
		Typed:     typed,
	}
}

// modelled are the errors that the SDK models for the simulated operations.
func modelled() []smithy.APIError {
	return []smithy.APIError{&ststypes.ExpiredTokenException{}, &ststypes.MalformedPolicyDocumentException{}, &ststypes.PackedPolicyTooLargeException{},
		&ststypes.RegionDisabledException{}}
}

func typed(e *awssim.Error) error {
	for _, m := range modelled() {
		if m.ErrorCode() == e.Code {
			message := e.Message
			reflect.ValueOf(m).Elem().FieldByName("Message").Set(reflect.ValueOf(&message))
			return m
		}
	}
	return nil
}

func (s *STS) getCallerIdentity(r *awssim.Request, _ *awssts.GetCallerIdentityInput) (*awssts.GetCallerIdentityOutput, error) {
	id := "AIDASIMULATED" + r.Account
	if _, session, ok := strings.Cut(r.Principal, ":assumed-role/"); ok {
		role, name, _ := strings.Cut(session, "/")
		id = roleID(r.Account, role) + ":" + name
	}
	return &awssts.GetCallerIdentityOutput{Account: aws.String(r.Account), Arn: aws.String(r.Principal), UserId: aws.String(id)}, nil
}

var (
	roleARN     = regexp.MustCompile(`^arn:(aws[a-z-]*):iam::(\d{12}):role/((?:[!-~]+/)?)([\w+=,.@-]{1,64})$`)
	sessionName = regexp.MustCompile(`^[\w+=,.@-]{2,64}$`)
)

func (s *STS) assumeRole(r *awssim.Request, in *awssts.AssumeRoleInput) (*awssts.AssumeRoleOutput, error) {
	arn := aws.ToString(in.RoleArn)
	denied := awssim.FailStatus(http.StatusForbidden, "AccessDenied", "User: %s is not authorized to perform: sts:AssumeRole on resource: %s", r.Principal, arn)
	parts := roleARN.FindStringSubmatch(arn)
	if parts == nil {
		return nil, awssim.Fail("ValidationError", "%s is invalid", arn)
	}
	partition, account, role := parts[1], parts[2], parts[4]
	name := aws.ToString(in.RoleSessionName)
	if !sessionName.MatchString(name) {
		return nil, awssim.Fail("ValidationError", "1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint", name)
	}
	seconds := int32(3600)
	if in.DurationSeconds != nil {
		seconds = *in.DurationSeconds
	}
	if seconds < 900 || seconds > 43200 {
		return nil, awssim.Fail("ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if seconds > 3600 && strings.Contains(r.Principal, ":assumed-role/") {
		return nil, awssim.Fail("ValidationError", "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.")
	}
	if partition != r.Partition() || s.refused[arn] {
		return nil, denied
	}
	accessKey := "ASIA" + strings.ToUpper(r.NewID("session")[len("session-"):])[1:]
	expires := r.Now.Add(time.Duration(seconds) * time.Second)
	principal := fmt.Sprintf("arn:%s:sts::%s:assumed-role/%s/%s", partition, account, role, name)
	r.World.AddSession(accessKey, awssim.Session{Account: account, Principal: principal, Expires: expires})
	return &awssts.AssumeRoleOutput{
		AssumedRoleUser: &ststypes.AssumedRoleUser{Arn: aws.String(principal), AssumedRoleId: aws.String(roleID(account, role) + ":" + name)},
		Credentials: &ststypes.Credentials{AccessKeyId: aws.String(accessKey), SecretAccessKey: aws.String("simulated"),
			SessionToken: aws.String("simulated"), Expiration: aws.Time(expires)},
	}, nil
}

func roleID(account, role string) string { return "AROASIM" + account + strings.ToUpper(role) }

var _ awssim.Service = (*STS)(nil)

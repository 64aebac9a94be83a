package kmssim

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// aliasesPerKey is a quota. Source: KMS Developer Guide, "Resource quotas".
const aliasesPerKey = 50

func (s *KMS) createAlias(r *awssim.Request, in *awskms.CreateAliasInput) (*awskms.CreateAliasOutput, error) {
	name := aws.ToString(in.AliasName)
	// Source: KMS API, CreateAlias, AliasName.
	if ok, _ := regexp.MatchString(`^alias/[a-zA-Z0-9/_-]{1,250}$`, name); !ok {
		return nil, awssim.Fail("ValidationException", "Invalid alias name %s", name)
	}
	if strings.HasPrefix(name, "alias/aws/") {
		return nil, awssim.Fail("NotAuthorizedException", "Aliases beginning with alias/aws/ are reserved")
	}
	k, c, err := s.own(r, aws.ToString(in.TargetKeyId))
	if err != nil {
		return nil, err
	}
	at := scope{r.Account, r.Region}
	switch {
	case s.aliases[at][name] != nil:
		return nil, awssim.Fail("AlreadyExistsException", "An alias with the name %s already exists", r.ARN("kms", name))
	case c.state == kmstypes.KeyStatePendingDeletion:
		return nil, awssim.Fail("KMSInvalidStateException", "%s is pending deletion.", k.arn)
	case k.aliases >= aliasesPerKey:
		return nil, awssim.Fail("LimitExceededException", "The key %s has %d aliases", k.arn, k.aliases)
	}
	k.aliases++
	s.put(at, &alias{name: name, key: k, made: r.Now, lag: r.Lag()})
	return &awskms.CreateAliasOutput{}, nil
}

func (s *KMS) listAliases(r *awssim.Request, in *awskms.ListAliasesInput) (*awskms.ListAliasesOutput, error) {
	var only *key
	if in.KeyId != nil {
		k, err := s.find(r, *in.KeyId, false)
		if err != nil {
			return nil, err
		}
		only = k
	}
	after := ""
	if in.Marker != nil {
		b, err := base64.RawURLEncoding.DecodeString(*in.Marker)
		if err != nil {
			return nil, awssim.Fail("InvalidMarkerException", "Invalid marker")
		}
		after = string(b)
	}
	var names []string
	for name, a := range s.aliases[scope{r.Account, r.Region}] {
		if name > after && (only == nil || a.key == only) && (a.key.managed || r.Visible(a.made, a.lag)) && a.key.visible(r, false) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	out := &awskms.ListAliasesOutput{}
	if n := r.Page(int(aws.ToInt32(in.Limit)), 50, 100); len(names) > n {
		names = names[:n]
		out.Truncated = true
		out.NextMarker = aws.String(base64.RawURLEncoding.EncodeToString([]byte(names[n-1])))
	}
	for _, name := range names {
		a := s.aliases[scope{r.Account, r.Region}][name]
		out.Aliases = append(out.Aliases, kmstypes.AliasListEntry{AliasName: aws.String(name), AliasArn: aws.String(r.ARN("kms", name)),
			TargetKeyId: aws.String(a.key.id), CreationDate: aws.Time(a.made), LastUpdatedDate: aws.Time(a.made)})
	}
	return out, nil
}

package kmssim

import (
	"crypto/sha256"
	"encoding/hex"
	"reflect"
	"strings"
	"time"

	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// KMS is a simulated AWS KMS for one World.
type KMS struct {
	keys    map[string]*key // by ARN
	aliases map[scope]map[string]*alias
}

type scope struct{ account, region string }

type key struct {
	id, arn, account, region, description string
	managed                               bool
	multiRegion                           bool
	made                                  time.Time
	lag                                   time.Duration
	// changes are the states in the order of their instants; the first is that of the creation.
	changes []change
	aliases int
}

type change struct {
	at    time.Time
	state kmstypes.KeyState
	// gone is the end of a key that is pending deletion.
	gone time.Time
}

type alias struct {
	name string
	key  *key
	made time.Time
	lag  time.Duration
}

// Service makes a simulated KMS without keys. AWS managed keys appear when they are first asked for.
func Service() *KMS {
	return &KMS{keys: map[string]*key{}, aliases: map[scope]map[string]*alias{}}
}

// Definition describes the service to the World.
func (s *KMS) Definition() awssim.Definition {
	return awssim.Definition{
		ID: "KMS",
		Handlers: map[string]awssim.Handler{
			"CreateKey":           awssim.Write(s.createKey),
			"DescribeKey":         awssim.Read(s.describeKey),
			"DisableKey":          awssim.Write(s.disableKey),
			"EnableKey":           awssim.Write(s.enableKey),
			"ScheduleKeyDeletion": awssim.Write(s.scheduleKeyDeletion),
			"CancelKeyDeletion":   awssim.Write(s.cancelKeyDeletion),
			"CreateAlias":         awssim.Write(s.createAlias),
			"ListAliases":         awssim.Read(s.listAliases),
		},
		Throttled: awssim.Error{Code: "ThrottlingException", Message: "You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls."},
		Typed:     typed,
	}
}

// modelled are the errors that the SDK models. Its KMS package does not say which belong to which operation.
func modelled() []smithy.APIError {
	return []smithy.APIError{
		&kmstypes.AlreadyExistsException{}, &kmstypes.CloudHsmClusterInUseException{},
		&kmstypes.CloudHsmClusterInvalidConfigurationException{}, &kmstypes.CloudHsmClusterNotActiveException{},
		&kmstypes.CloudHsmClusterNotFoundException{}, &kmstypes.CloudHsmClusterNotRelatedException{}, &kmstypes.ConflictException{},
		&kmstypes.CustomKeyStoreHasCMKsException{}, &kmstypes.CustomKeyStoreInvalidStateException{},
		&kmstypes.CustomKeyStoreNameInUseException{}, &kmstypes.CustomKeyStoreNotFoundException{},
		&kmstypes.DependencyTimeoutException{}, &kmstypes.DisabledException{}, &kmstypes.DryRunOperationException{},
		&kmstypes.ExpiredImportTokenException{}, &kmstypes.IncorrectKeyException{}, &kmstypes.IncorrectKeyMaterialException{},
		&kmstypes.IncorrectTrustAnchorException{}, &kmstypes.InvalidAliasNameException{}, &kmstypes.InvalidArnException{},
		&kmstypes.InvalidCiphertextException{}, &kmstypes.InvalidGrantIdException{}, &kmstypes.InvalidGrantTokenException{},
		&kmstypes.InvalidImportTokenException{}, &kmstypes.InvalidKeyUsageException{}, &kmstypes.InvalidMarkerException{},
		&kmstypes.KeyUnavailableException{}, &kmstypes.KMSInternalException{}, &kmstypes.KMSInvalidMacException{},
		&kmstypes.KMSInvalidSignatureException{}, &kmstypes.KMSInvalidStateException{}, &kmstypes.LimitExceededException{},
		&kmstypes.MalformedPolicyDocumentException{}, &kmstypes.NotFoundException{}, &kmstypes.TagException{},
		&kmstypes.UnsupportedOperationException{}, &kmstypes.XksKeyAlreadyInUseException{},
		&kmstypes.XksKeyInvalidConfigurationException{}, &kmstypes.XksKeyNotFoundException{},
		&kmstypes.XksProxyIncorrectAuthenticationCredentialException{}, &kmstypes.XksProxyInvalidConfigurationException{},
		&kmstypes.XksProxyInvalidResponseException{}, &kmstypes.XksProxyUriEndpointInUseException{},
		&kmstypes.XksProxyUriInUseException{}, &kmstypes.XksProxyUriUnreachableException{},
		&kmstypes.XksProxyVpcEndpointServiceInUseException{}, &kmstypes.XksProxyVpcEndpointServiceInvalidConfigurationException{},
		&kmstypes.XksProxyVpcEndpointServiceNotFoundException{},
	}
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

// KeyUsable tells the present state of the key with the given ARN ("Enabled", "Disabled", "PendingDeletion") and whether the account can
// see it at all: an AWS managed key belongs to its account alone, and a deleted key does not exist. Other simulated services ask it while
// they hold the World's lock; programs use DescribeKey.
func (s *KMS) KeyUsable(keyARN, account string) (state string, exists bool) {
	k, ok := s.keys[keyARN]
	if !ok || k.managed && k.account != account {
		return "", false
	}
	c, ok := k.at(time.Now())
	if !ok {
		return "", false
	}
	return string(c.state), true
}

// ResolveKey gives the ARN of the key that an id, an ARN, an alias name or an alias ARN means to the caller of r, as services do that take
// a KmsKeyId. The AWS managed key behind a name such as "alias/aws/rds" is made if there is none. Whether the key is enabled is for
// KeyUsable to say. It is called under the World's lock.
func (s *KMS) ResolveKey(r *awssim.Request, id string) (keyARN string, ok bool) {
	k, err := s.find(r, id, true)
	if err != nil {
		return "", false
	}
	return k.arn, true
}

// at gives the state at an instant; false where the key does not exist then.
func (k *key) at(now time.Time) (change, bool) {
	c := k.changes[0]
	for _, next := range k.changes[1:] {
		if next.at.After(now) {
			break
		}
		c = next
	}
	if !c.gone.IsZero() && !now.Before(c.gone) {
		return c, false
	}
	return c, true
}

// find looks a key up by whatever names it. truth looks at what is, and not at what a read can see.
func (s *KMS) find(r *awssim.Request, id string, truth bool) (*key, error) {
	missing := func() (*key, error) { return nil, awssim.Fail("NotFoundException", "Key '%s' does not exist", id) }
	name := id
	if strings.HasPrefix(id, "arn:") {
		parts := strings.SplitN(id, ":", 6)
		if len(parts) != 6 || parts[2] != "kms" {
			return nil, awssim.Fail("InvalidArnException", "Invalid arn %s", id)
		}
		if parts[1] != r.Partition() || parts[3] != r.Region {
			return nil, awssim.Fail("NotFoundException", "Invalid arn %s", parts[3])
		}
		if !strings.HasPrefix(parts[5], "alias/") {
			k, ok := s.keys[id]
			if !ok || k.managed && k.account != r.Account || !k.visible(r, truth) {
				return missing()
			}
			return k, nil
		}
		name = parts[5]
		if parts[4] != r.Account {
			return s.byAlias(r, scope{parts[4], parts[3]}, name, truth)
		}
	}
	if strings.HasPrefix(name, "alias/") {
		return s.byAlias(r, scope{r.Account, r.Region}, name, truth)
	}
	k, ok := s.keys[r.ARN("kms", "key/"+name)]
	if !ok || !k.visible(r, truth) {
		return missing()
	}
	return k, nil
}

func (s *KMS) byAlias(r *awssim.Request, at scope, name string, truth bool) (*key, error) {
	missing := awssim.Fail("NotFoundException", "Alias arn:%s:kms:%s:%s:%s is not found.", r.Partition(), at.region, at.account, name)
	a, ok := s.aliases[at][name]
	if !ok {
		if !strings.HasPrefix(name, "alias/aws/") || at.account != r.Account {
			return nil, missing
		}
		a = s.manage(r, name)
	}
	if a.key.managed && at.account != r.Account {
		return nil, missing
	}
	if !a.key.managed && !truth && !r.Visible(a.made, a.lag) || !a.key.visible(r, truth) {
		return nil, missing
	}
	return a.key, nil
}

func (k *key) visible(r *awssim.Request, truth bool) bool {
	if !truth && !k.managed && !r.Visible(k.made, k.lag) {
		return false
	}
	_, ok := k.at(r.Now)
	return ok
}

// manage makes the AWS managed key of an alias.
func (s *KMS) manage(r *awssim.Request, name string) *alias {
	id := uuid("managed", r.Account, r.Region, name)
	k := &key{id: id, arn: r.ARN("kms", "key/"+id), account: r.Account, region: r.Region, managed: true, made: r.Now, aliases: 1,
		description: "Default key that protects my data when no other key is defined", changes: []change{{at: r.Now, state: kmstypes.KeyStateEnabled}}}
	s.keys[k.arn] = k
	a := &alias{name: name, key: k, made: r.Now}
	s.put(scope{r.Account, r.Region}, a)
	return a
}

func (s *KMS) put(at scope, a *alias) {
	if s.aliases[at] == nil {
		s.aliases[at] = map[string]*alias{}
	}
	s.aliases[at][a.name] = a
}

func uuid(parts ...string) string {
	h := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	x := hex.EncodeToString(h[:16])
	return x[:8] + "-" + x[8:12] + "-4" + x[13:16] + "-a" + x[17:20] + "-" + x[20:]
}

var _ awssim.Service = (*KMS)(nil)

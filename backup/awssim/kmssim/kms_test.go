package kmssim_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
)

const (
	home  = "111122223333"
	other = "444455556666"
)

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

func TestKeyStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := kmssim.Service()
		w := awssim.New(keys)
		c := awskms.NewFromConfig(w.Config(home, "eu-west-1"))
		ctx := t.Context()
		made, err := c.CreateKey(ctx, &awskms.CreateKeyInput{Description: aws.String("backups")})
		if err != nil {
			t.Fatal(err)
		}
		id := made.KeyMetadata.KeyId
		steps := []struct {
			name string
			do   func() error
			code string
			want kmstypes.KeyState
		}{
			{"new", func() error { return nil }, "", "Enabled"},
			{"disable", func() error { _, err := c.DisableKey(ctx, &awskms.DisableKeyInput{KeyId: id}); return err }, "", "Disabled"},
			{"enable", func() error { _, err := c.EnableKey(ctx, &awskms.EnableKeyInput{KeyId: id}); return err }, "", "Enabled"},
			{"cancel nothing", func() error {
				_, err := c.CancelKeyDeletion(ctx, &awskms.CancelKeyDeletionInput{KeyId: id})
				return err
			}, "KMSInvalidStateException", "Enabled"},
			{"too soon", func() error {
				_, err := c.ScheduleKeyDeletion(ctx, &awskms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(6)})
				return err
			}, "ValidationException", "Enabled"},
			{"schedule", func() error {
				_, err := c.ScheduleKeyDeletion(ctx, &awskms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(7)})
				return err
			}, "", "PendingDeletion"},
			{"enable while pending", func() error { _, err := c.EnableKey(ctx, &awskms.EnableKeyInput{KeyId: id}); return err }, "KMSInvalidStateException", "PendingDeletion"},
			{"cancel", func() error {
				_, err := c.CancelKeyDeletion(ctx, &awskms.CancelKeyDeletionInput{KeyId: id})
				return err
			}, "", "Disabled"},
			{"again", func() error {
				_, err := c.ScheduleKeyDeletion(ctx, &awskms.ScheduleKeyDeletionInput{KeyId: id, PendingWindowInDays: aws.Int32(7)})
				return err
			}, "", "PendingDeletion"},
		}
		for _, s := range steps {
			if got := code(s.do()); got != s.code {
				t.Errorf("%s: error %q, want %q", s.name, got, s.code)
			}
			out, err := c.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: id})
			if err != nil {
				t.Fatal(err)
			}
			if out.KeyMetadata.KeyState != s.want || out.KeyMetadata.Enabled != (s.want == "Enabled") {
				t.Errorf("%s: state %s, enabled %v; want %s", s.name, out.KeyMetadata.KeyState, out.KeyMetadata.Enabled, s.want)
			}
			w.Do(home, "eu-west-1", func(*awssim.Request) {
				if state, exists := keys.KeyUsable(*made.KeyMetadata.Arn, other); state != string(s.want) || !exists {
					t.Errorf("%s: KeyUsable says %q, %v", s.name, state, exists)
				}
			})
			time.Sleep(time.Second)
		}
		// A stale read sees the key as it was.
		stale := w.Inject(awssim.Fault{Operation: "DescribeKey", Kind: awssim.FaultStale, Back: 1500 * time.Millisecond})
		if out, err := c.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: id}); err != nil || out.KeyMetadata.KeyState != "Disabled" {
			t.Errorf("a stale read: %v, %v", out, err)
		}
		if stale.Fired() != 1 {
			t.Error("the fault did not fire")
		}
		time.Sleep(7 * 24 * time.Hour)
		if _, err := c.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: id}); code(err) != "NotFoundException" {
			t.Errorf("after its window: %v", err)
		}
		w.Do(home, "eu-west-1", func(*awssim.Request) {
			if _, exists := keys.KeyUsable(*made.KeyMetadata.Arn, home); exists {
				t.Error("a deleted key is still usable")
			}
		})
	})
}

func TestFindingKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keys := kmssim.Service()
		w := awssim.New(keys)
		mine, theirs := awskms.NewFromConfig(w.Config(home, "eu-west-1")), awskms.NewFromConfig(w.Config(other, "eu-west-1"))
		far := awskms.NewFromConfig(w.Config(home, "eu-central-1"))
		ctx := t.Context()
		made, err := mine.CreateKey(ctx, &awskms.CreateKeyInput{})
		if err != nil {
			t.Fatal(err)
		}
		id, arn := *made.KeyMetadata.KeyId, *made.KeyMetadata.Arn
		if want := regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`); !want.MatchString(id) || arn != "arn:aws:kms:eu-west-1:"+home+":key/"+id {
			t.Errorf("id %q, ARN %q", id, arn)
		}
		if _, err := mine.CreateAlias(ctx, &awskms.CreateAliasInput{AliasName: aws.String("alias/backups"), TargetKeyId: &id}); err != nil {
			t.Fatal(err)
		}
		managed, err := mine.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: aws.String("alias/aws/rds")})
		if err != nil {
			t.Fatal(err)
		}
		if managed.KeyMetadata.KeyManager != kmstypes.KeyManagerTypeAws {
			t.Errorf("alias/aws/rds is managed by %s", managed.KeyMetadata.KeyManager)
		}
		again, err := mine.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: aws.String("alias/aws/rds")})
		if err != nil || *again.KeyMetadata.Arn != *managed.KeyMetadata.Arn {
			t.Errorf("the managed key changed: %v %v", again, err)
		}
		for _, c := range []struct {
			name   string
			client *awskms.Client
			id     string
			want   string
			code   string
		}{
			{"id", mine, id, arn, ""},
			{"ARN", mine, arn, arn, ""},
			{"alias", mine, "alias/backups", arn, ""},
			{"alias ARN", mine, "arn:aws:kms:eu-west-1:" + home + ":alias/backups", arn, ""},
			{"ARN from another account", theirs, arn, arn, ""},
			{"alias ARN from another account", theirs, "arn:aws:kms:eu-west-1:" + home + ":alias/backups", arn, ""},
			{"id from another account", theirs, id, "", "NotFoundException"},
			{"alias from another account", theirs, "alias/backups", "", "NotFoundException"},
			{"managed key from another account", theirs, *managed.KeyMetadata.Arn, "", "NotFoundException"},
			{"managed alias of another account", theirs, "arn:aws:kms:eu-west-1:" + home + ":alias/aws/rds", "", "NotFoundException"},
			{"ARN from another Region", far, arn, "", "NotFoundException"},
			{"id from another Region", far, id, "", "NotFoundException"},
			{"ARN of another service", mine, "arn:aws:rds:eu-west-1:" + home + ":db:x", "", "InvalidArnException"},
			{"unknown alias", mine, "alias/nothing", "", "NotFoundException"},
		} {
			out, err := c.client.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: &c.id})
			if code(err) != c.code {
				t.Errorf("%s: error %v, want %q", c.name, err, c.code)
			} else if err == nil && *out.KeyMetadata.Arn != c.want {
				t.Errorf("%s: %s, want %s", c.name, *out.KeyMetadata.Arn, c.want)
			}
			if c.code == "NotFoundException" {
				var typed *kmstypes.NotFoundException
				if !errors.As(err, &typed) || typed.ErrorMessage() == "" {
					t.Errorf("%s: the error has not the SDK's type and a message: %v", c.name, err)
				}
			}
		}
		w.Do(home, "eu-west-1", func(r *awssim.Request) {
			if got, ok := keys.ResolveKey(r, "alias/backups"); got != arn || !ok {
				t.Errorf("ResolveKey: %q, %v", got, ok)
			}
			if _, ok := keys.ResolveKey(r, "nothing"); ok {
				t.Error("ResolveKey found nothing")
			}
			if got, ok := keys.ResolveKey(r, "alias/aws/ebs"); !ok {
				t.Errorf("ResolveKey of a managed key: %q, %v", got, ok)
			} else if _, exists := keys.KeyUsable(got, other); exists {
				t.Error("another account can use a managed key")
			}
		})
		for name, call := range map[string]func() error{
			"disable another account's": func() error { _, err := theirs.DisableKey(ctx, &awskms.DisableKeyInput{KeyId: &arn}); return err },
			"disable a managed key": func() error {
				_, err := mine.DisableKey(ctx, &awskms.DisableKeyInput{KeyId: managed.KeyMetadata.Arn})
				return err
			},
		} {
			if err := call(); code(err) != "AccessDeniedException" {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestAliases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := awssim.New(kmssim.Service())
		c := awskms.NewFromConfig(w.Config(home, "eu-west-1"))
		ctx := t.Context()
		made, err := c.CreateKey(ctx, &awskms.CreateKeyInput{})
		if err != nil {
			t.Fatal(err)
		}
		alias := func(name string) string {
			_, err := c.CreateAlias(ctx, &awskms.CreateAliasInput{AliasName: &name, TargetKeyId: made.KeyMetadata.KeyId})
			return code(err)
		}
		for i := range 50 {
			if got := alias(fmt.Sprintf("alias/k%02d", i)); got != "" {
				t.Fatal(got)
			}
		}
		for name, want := range map[string]string{"alias/k00": "AlreadyExistsException", "alias/k50": "LimitExceededException",
			"k": "ValidationException", "alias/aws/mine": "NotAuthorizedException"} {
			if got := alias(name); got != want {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		w.SetPageLimit(7)
		var names []string
		p := awskms.NewListAliasesPaginator(c, &awskms.ListAliasesInput{KeyId: made.KeyMetadata.KeyId})
		pages := 0
		for p.HasMorePages() {
			out, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			pages++
			for _, a := range out.Aliases {
				names = append(names, *a.AliasName)
			}
		}
		if len(names) != 50 || names[0] != "alias/k00" || names[49] != "alias/k49" || pages != 8 {
			t.Errorf("%d aliases in %d pages: %v", len(names), pages, names)
		}
		if _, err := c.ListAliases(ctx, &awskms.ListAliasesInput{Marker: aws.String("%")}); code(err) != "InvalidMarkerException" {
			t.Errorf("a bad marker: %v", err)
		}
		w.SetLag(time.Minute)
		fresh, err := c.CreateKey(ctx, &awskms.CreateKeyInput{MultiRegion: aws.Bool(true)})
		if err != nil || !strings.HasPrefix(*fresh.KeyMetadata.KeyId, "mrk-") || len(*fresh.KeyMetadata.KeyId) != 36 {
			t.Fatalf("%v %v", fresh, err)
		}
		if _, err := c.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: fresh.KeyMetadata.KeyId}); code(err) != "NotFoundException" {
			t.Errorf("within the lag: %v", err)
		}
		time.Sleep(time.Minute)
		out, err := c.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: fresh.KeyMetadata.KeyId})
		if err != nil {
			t.Fatalf("after the lag: %v", err)
		}
		*out.KeyMetadata.Arn = "changed"
		if out, err := c.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: fresh.KeyMetadata.KeyId}); err != nil || *out.KeyMetadata.Arn == "changed" {
			t.Errorf("an answer is not a copy: %v %v", out, err)
		}
		if _, err := c.CreateKey(ctx, &awskms.CreateKeyInput{KeySpec: kmstypes.KeySpecRsa2048}); code(err) != "UnsupportedOperationException" {
			t.Errorf("an RSA key: %v", err)
		}
		w.SetLag(0)
		// Every error that the SDK models for an operation keeps its type when it is injected.
		for _, want := range modelled(t) {
			w.Inject(awssim.Fault{Operation: "DescribeKey", Kind: awssim.FaultError, Error: awssim.Error{Code: want, Message: "m"}})
			_, err := c.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: made.KeyMetadata.KeyId}, func(o *awskms.Options) { o.RetryMaxAttempts = 1 })
			var generic *smithy.GenericAPIError
			if code(err) != want || errors.As(err, &generic) {
				t.Errorf("%s: %T %v", want, err, err)
			}
			w.Heal()
		}
	})
}

// modelled reads from the SDK's sources which errors there are.
func modelled(t *testing.T) []string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/aws/aws-sdk-go-v2/service/kms").Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "types", "errors.go"))
	if err != nil {
		t.Fatal(err)
	}
	var codes []string
	for _, m := range regexp.MustCompile(`return "(\w+)"\n`).FindAllSubmatch(b, -1) {
		codes = append(codes, string(m[1]))
	}
	if len(codes) < 30 {
		t.Fatalf("only %d errors found", len(codes))
	}
	return codes
}

package emulator

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// versityVariable names the program versitygw, where it is not on PATH.
const versityVariable = "SNAPWARDEN_VERSITYGW"

// versityKeys are the accounts of the gateway. Its users are named by their access key, which is their canonical id too; so account ids and
// ElastiCache's canonical id can be what they are on AWS.
var versityKeys = [...]string{"111122223333", "444455556666", elastiCacheID}

var (
	gateway      = newWire()
	gatewayNoted = newNotes()
)

const versitySecret = "not-a-secret"

// versityStore starts a versitygw for the length of a test. Without the program the test is skipped.
func versityStore(t *testing.T) func(t *testing.T, prefix string) *store {
	program := os.Getenv(versityVariable)
	if program == "" {
		found, err := exec.LookPath("versitygw")
		if err != nil {
			t.Skipf("no versitygw: put it on PATH or set %s to the program (go install github.com/versity/versitygw/cmd/versitygw@v1.8.0)", versityVariable)
		}
		program = found
	}
	endpoint := startVersity(t, program)
	for _, key := range versityKeys[1:] {
		cmd := exec.Command(program, "admin", "--access", versityKeys[0], "--secret", versitySecret, "--endpoint-url", endpoint, "--region", s3Region,
			"create-user", "--access", key, "--secret", versitySecret, "--role", "userplus")
		cmd.Env = plainEnv()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("user %s: %v\n%s", key, err, out)
		}
	}
	cfg := aws.Config{
		BaseEndpoint: &endpoint, HTTPClient: httpClient(gateway),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
	as := func(n int) aws.CredentialsProvider {
		return fixed(aws.Credentials{AccessKeyID: versityKeys[n], SecretAccessKey: versitySecret})
	}
	return func(t *testing.T, prefix string) *store {
		return &store{
			t: t, ctx: t.Context(), server: versity, noted: gatewayNoted, lose: gateway.losing, prefix: prefix, ownID: versityKeys[0], otherID: versityKeys[1],
			own: pathStyle(cfg, s3Region, as(0)), other: pathStyle(cfg, s3Region, as(1)), elsewhere: pathStyle(cfg, s3Elsewhere, as(0)),
			grantee: pathStyle(cfg, s3Region, as(2)),
		}
	}
}

// plainEnv is the environment without the settings of AWS's tools.
func plainEnv() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.TempDir(), "AWS_EC2_METADATA_DISABLED=true"}
}

// startVersity starts the gateway on a free port of the loopback interface and gives its address. A port that somebody else took meanwhile ends
// the process, and another one is tried.
func startVersity(t *testing.T, program string) string {
	t.Helper()
	dir := t.TempDir()
	for _, sub := range []string{"iam", "data", "versions"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	for range 5 {
		address := freeAddress(t)
		cmd := exec.Command(program, "--port", address, "--region", s3Region, "--quiet", "--iam-dir", filepath.Join(dir, "iam"), "--health", "/health",
			"posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "data"))
		cmd.Env = append(plainEnv(), "ROOT_ACCESS_KEY="+versityKeys[0], "ROOT_SECRET_KEY="+versitySecret)
		out.Reset()
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatalf("versitygw: %v", err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if ready(fmt.Sprintf("http://%s/health", address), ended) {
			t.Cleanup(func() {
				_ = cmd.Process.Kill() // it may have ended by itself
				<-ended
			})
			return "http://" + address
		}
		_ = cmd.Process.Kill() // as above
	}
	t.Fatalf("versitygw does not start:\n%s", out.String())
	return ""
}

// ready waits until the address answers. It does not when the process has ended, or after 20 seconds.
func ready(url string, ended chan error) bool {
	for began := time.Now(); time.Since(began) < 20*time.Second; {
		select {
		case err := <-ended:
			ended <- err
			return false
		case <-time.After(20 * time.Millisecond):
		}
		if resp, err := http.Get(url); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return true
			}
		}
	}
	return false
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

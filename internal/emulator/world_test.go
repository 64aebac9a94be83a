package emulator

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/elasticachesim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/backup/awssim/stssim"
)

const variable = "SNAPWARDEN_EMULATOR"

const region = "us-east-1"

// world is an AWS that a scenario runs in: the simulated one or the emulator.
type world struct {
	t        *testing.T
	ctx      context.Context
	emulated bool
	account  string
	// config makes the configuration of a new process.
	config func() aws.Config
	// loseReply has the answer of the next call of an operation be lost after it was applied, and gives how many were lost.
	loseReply func(service, operation string) func() int
	// subnets and firewall are for what is made.
	subnets, firewall string
}

var (
	transport = newWire()
	noted     = newNotes()
)

// TestMain prints what the tests together found.
func TestMain(m *testing.M) {
	code := m.Run()
	if os.Getenv(variable) != "" {
		fmt.Println(transport.report("emulator", noted.count()))
	} else {
		fmt.Println("emulator: not tested, because " + variable + " is not set")
	}
	if len(gateway.answered) > 0 {
		fmt.Println(gateway.report("versitygw", gatewayNoted.count()))
	}
	os.Exit(code)
}

// both runs a scenario on the simulation, in virtual time, and on the emulator.
func both(t *testing.T, scenario func(w *world)) {
	t.Run("simulation", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { scenario(simulation(t)) })
	})
	t.Run("emulator", func(t *testing.T) { scenario(emulator(t)) })
}

func simulation(t *testing.T) *world {
	sim := awssim.New(ec2sim.Service(), rdssim.Service(), elasticachesim.Service(), kmssim.Service(), stssim.Service())
	w := &world{t: t, ctx: t.Context(), account: "111122223333", subnets: "default", firewall: "sg-0123456789abcdef0"}
	w.config = func() aws.Config {
		cfg := sim.Config(w.account, region)
		cfg.RetryMaxAttempts = 1 // as on the emulator: a lost answer is then lost
		return cfg
	}
	w.loseReply = func(service, operation string) func() int {
		return sim.Inject(awssim.Fault{Service: service, Operation: operation, Kind: awssim.FaultLostReply}).Fired
	}
	return w
}

// emulator empties the emulator and gives it. Without one the test is skipped.
func emulator(t *testing.T) *world {
	endpoint := strings.TrimSuffix(os.Getenv(variable), "/")
	if endpoint == "" {
		t.Skipf("no emulator: set %s=http://127.0.0.1:PORT to the address of a moto_server of its own", variable)
	}
	if !strings.HasPrefix(endpoint, "http://127.0.0.1:") && !strings.HasPrefix(endpoint, "http://localhost:") {
		t.Fatalf("%s is %q: the emulator must be on this machine, because these tests delete everything in it", variable, endpoint)
	}
	resp, err := http.Post(endpoint+"/moto-api/reset", "", nil)
	if err != nil {
		t.Fatalf("the emulator does not answer: %v", err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("the emulator can not be reset: %s", resp.Status)
	}
	transport.mu.Lock()
	transport.lose = "" // of a test that failed before it came to that
	clear(transport.clusters)
	transport.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	w := &world{t: t, ctx: ctx, emulated: true, subnets: "default-subnets"}
	// The environment is left out, and each process has a client of its own.
	w.config = func() aws.Config {
		return aws.Config{
			Region: region, BaseEndpoint: &endpoint, RetryMaxAttempts: 1,
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
			}),
			HTTPClient: &http.Client{Transport: transport, Timeout: 30 * time.Second},
		}
	}
	w.loseReply = func(service, operation string) func() int {
		transport.mu.Lock()
		defer transport.mu.Unlock()
		before := transport.lost
		transport.lose = service + "." + operation
		return func() int {
			transport.mu.Lock()
			defer transport.mu.Unlock()
			return transport.lost - before
		}
	}
	who, err := awssts.NewFromConfig(w.config()).GetCallerIdentity(w.ctx, &awssts.GetCallerIdentityInput{})
	w.must("GetCallerIdentity", err)
	w.account = aws.ToString(who.Account)
	w.network()
	return w
}

// network finds the security group of the emulator's default VPC, and makes a DB subnet group of its subnets.
func (w *world) network() {
	ec2 := awsec2.NewFromConfig(w.config())
	groups, err := ec2.DescribeSecurityGroups(w.ctx, &awsec2.DescribeSecurityGroupsInput{Filters: []ec2types.Filter{filter("group-name", "default")}})
	w.must("DescribeSecurityGroups", err)
	w.firewall = aws.ToString(groups.SecurityGroups[0].GroupId)
	subnets, err := ec2.DescribeSubnets(w.ctx, &awsec2.DescribeSubnetsInput{Filters: []ec2types.Filter{filter("default-for-az", "true")}})
	w.must("DescribeSubnets", err)
	in := &awsrds.CreateDBSubnetGroupInput{DBSubnetGroupName: &w.subnets, DBSubnetGroupDescription: aws.String("test")}
	for _, s := range subnets.Subnets {
		in.SubnetIds = append(in.SubnetIds, aws.ToString(s.SubnetId))
	}
	_, err = awsrds.NewFromConfig(w.config()).CreateDBSubnetGroup(w.ctx, in)
	w.must("CreateDBSubnetGroup", err)
}

// settle lets time pass until what was made is ready. The emulator makes everything at once.
func (w *world) settle() {
	if !w.emulated {
		time.Sleep(3 * time.Hour)
	}
}

func (w *world) must(what string, err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatalf("%s: %v", what, err)
	}
}

// pace gives how often the strategies look and how long they are patient: on the emulator, which shows everything at once, wall time counts.
func (w *world) pace(pollMin, pollMax, settle, park *time.Duration) {
	if w.emulated {
		*pollMin, *pollMax, *settle, *park = 20*time.Millisecond, 100*time.Millisecond, 400*time.Millisecond, 100*time.Millisecond
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
)

const emulatedRegion = "us-east-1"

// emulatorLimit is how long a run on an emulator may take; it takes seconds. Whatever an emulator answers, the run ends.
const emulatorLimit = 10 * time.Minute

// emulatedConfig reaches an emulator of AWS and nothing else: it takes nothing from the environment, and its credentials are no one's.
func emulatedConfig(endpoint string) aws.Config {
	return aws.Config{
		Region:       emulatedRegion,
		BaseEndpoint: &endpoint,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test", Source: "quickstart"}, nil
		}),
		HTTPClient: &http.Client{Timeout: 30 * time.Second, Transport: refusing{http.DefaultTransport}},
		// What an emulator does not have answers with status 500, which would be tried again and again.
		RetryMaxAttempts: 1,
	}
}

// refusing lets what an emulator does not have look as what AWS does not have: an action that is refused. Emulators break in it instead and answer
// with a status of 500 and more and a page of text, which is what AWS answers when it is ill for a moment; a Strategy would wait for its recovery.
type refusing struct{ http.RoundTripper }

// RoundTrip sends a request.
func (t refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(r)
	if err != nil || resp.StatusCode < http.StatusInternalServerError || !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		return resp, err
	}
	_ = resp.Body.Close() // nothing of it is wanted
	const code = "<Error><Code>InvalidAction</Code><Message>The emulator does not have this operation.</Message></Error>"
	body := "<ErrorResponse>" + code + "</ErrorResponse>"
	if awsmiddleware.GetServiceID(r.Context()) == awsec2.ServiceID {
		body = "<Response><Errors>" + code + "</Errors></Response>"
	}
	resp.StatusCode, resp.Status = http.StatusBadRequest, "400 Bad Request"
	resp.Header.Set("Content-Type", "text/xml")
	resp.ContentLength, resp.Body = int64(len(body)), io.NopCloser(strings.NewReader(body))
	return resp, nil
}

// emulatedJobs makes the resources on an emulator. A run that is gone on with finds those of its first half by their names.
func emulatedJobs(ctx context.Context, o options, r *runState, report reporter) ([]job, error) {
	cfg := emulatedConfig(o.endpoint)
	who, err := awssts.NewFromConfig(cfg).GetCallerIdentity(ctx, &awssts.GetCallerIdentityInput{})
	if err != nil {
		return nil, fmt.Errorf("the emulator at %s does not answer: %w", o.endpoint, err)
	}
	account := aws.ToString(who.Account)
	ec2 := awsec2.NewFromConfig(cfg)
	image, err := anyImage(ctx, ec2)
	if err != nil {
		return nil, err
	}
	group, err := ec2.DescribeSecurityGroups(ctx, &awsec2.DescribeSecurityGroupsInput{
		Filters: []ec2types.Filter{{Name: aws.String("group-name"), Values: []string{"default"}}}})
	if err != nil {
		return nil, fmt.Errorf("looking for the default security group: %w", err)
	}
	if len(group.SecurityGroups) == 0 {
		return nil, errors.New("the emulator has no default security group")
	}
	where := surroundings{account: account, region: emulatedRegion, zone: emulatedRegion + "a", prefix: r.prefix(),
		securityGroups: []string{aws.ToString(group.SecurityGroups[0].GroupId)}}
	if where.subnetGroup, err = makeSubnetGroup(ctx, cfg, ec2, r.prefix()); err != nil {
		return nil, err
	}
	what, err := makeResources(ctx, cfg, r.prefix(), image, 200*time.Millisecond)
	if err != nil {
		return nil, err
	}
	report.note("Emulator at %s, account %s, %s.", o.endpoint, account, emulatedRegion)
	// An emulator shows at once what is new, so nothing need be waited for because it may be invisible.
	return newJobs(cfg, what, where, pace{min: 200 * time.Millisecond, max: 2 * time.Second, settle: 5 * time.Second, park: time.Second}), nil
}

// anyImage gives an image to start an instance from; on most emulators it means nothing.
func anyImage(ctx context.Context, c *awsec2.Client) (string, error) {
	out, err := c.DescribeImages(ctx, &awsec2.DescribeImagesInput{})
	if err != nil {
		return "", fmt.Errorf("looking for an image: %w", err)
	}
	for _, i := range out.Images {
		if i.RootDeviceType == ec2types.DeviceTypeEbs && aws.ToString(i.RootDeviceName) == rootDevice {
			return aws.ToString(i.ImageId), nil
		}
	}
	return "ami-0123456789abcdef0", nil
}

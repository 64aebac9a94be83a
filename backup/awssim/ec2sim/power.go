package ec2sim

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func (s *EC2) stopInstances(r *awssim.Request, in *awsec2.StopInstancesInput) (*awsec2.StopInstancesOutput, error) {
	changes, err := s.switched(r, in.InstanceIds, in.DryRun, false, aws.ToBool(in.Hibernate))
	return &awsec2.StopInstancesOutput{StoppingInstances: changes}, err
}

func (s *EC2) startInstances(r *awssim.Request, in *awsec2.StartInstancesInput) (*awsec2.StartInstancesOutput, error) {
	changes, err := s.switched(r, in.InstanceIds, in.DryRun, true, false)
	return &awsec2.StartInstancesOutput{StartingInstances: changes}, err
}

// switched stops or starts instances. What is so already stays so.
func (s *EC2) switched(r *awssim.Request, ids []string, dry *bool, on, hibernate bool) ([]ec2types.InstanceStateChange, error) {
	if aws.ToBool(dry) {
		return nil, dryRun()
	}
	list := make([]*instance, 0, len(ids))
	for _, id := range ids {
		i, err := s.instance(r, &id)
		if err != nil {
			return nil, err
		}
		switch state := i.state(r.Now); {
		case state == ec2types.InstanceStateNameRunning, state == ec2types.InstanceStateNameStopped, !on && state == ec2types.InstanceStateNameStopping,
			on && state == ec2types.InstanceStateNamePending:
		default:
			return nil, awssim.Fail("IncorrectInstanceState", "The instance '%s' is not in a state from which it can be started or stopped: %s.", id, state)
		}
		if on && i.root(r.Now) == nil {
			return nil, awssim.Fail("IncorrectState", "Invalid value '%s' for instanceId. Instance does not have a volume attached at root (%s)", id, i.rootDevice)
		}
		list = append(list, i)
	}
	var changes []ec2types.InstanceStateChange
	for _, i := range list {
		before := i.state(r.Now)
		if on && before == ec2types.InstanceStateNameStopped || !on && before == ec2types.InstanceStateNameRunning {
			what, takes := "/stop", shutdownTakes
			if on {
				what, takes = "/start", bootTakes
			}
			i.powers = append(i.powers, power{on: on, hibernated: hibernate, from: r.Now, done: r.Now.Add(r.Took(i.id+what, takes, sigma))})
		}
		changes = append(changes, ec2types.InstanceStateChange{InstanceId: aws.String(i.id), PreviousState: stateOf(before), CurrentState: stateOf(i.state(r.Now))})
	}
	return changes, nil
}

// root gives the volume at the root device, nil for none.
func (i *instance) root(now time.Time) *volume {
	for _, v := range i.volumes {
		if a := v.attachment(now); a != nil && a.instance == i && a.root {
			return v
		}
	}
	return nil
}

package ec2sim

import (
	"strings"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// EC2Tags gives the tags of a resource of the caller's account by its ARN, nil for one that is not there: conditions on aws:ResourceTag ask for them. A
// simulated IAM calls it, under the World's lock.
func (s *EC2) EC2Tags(r *awssim.Request, arn string) map[string]string {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[3] != r.Region {
		return nil
	}
	_, id, _ := strings.Cut(parts[5], "/")
	t, err := s.target(r, id)
	if err != nil {
		return nil
	}
	return mapOf(t.tags.newest())
}

package rdssim

import (
	"maps"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// RDSTags gives the tags of a resource by its ARN, nil for one that is not there: conditions on aws:ResourceTag ask for them. A simulated IAM calls it,
// under the World's lock.
func (s *RDS) RDSTags(r *awssim.Request, arn string) map[string]string {
	h, err := s.tagged(r, arn, true)
	if err != nil {
		return nil
	}
	return maps.Clone(h.last())
}

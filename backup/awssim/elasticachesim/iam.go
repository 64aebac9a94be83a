package elasticachesim

import (
	"maps"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

// ElastiCacheTags gives the tags of a resource by its ARN, nil for one that is not there: conditions on aws:ResourceTag ask for them. A simulated IAM
// calls it, under the World's lock.
func (s *ElastiCache) ElastiCacheTags(r *awssim.Request, arn string) map[string]string {
	l, err := s.find(r, &arn, true)
	if err != nil {
		return nil
	}
	return maps.Clone(l.tagsAt(r.Now))
}

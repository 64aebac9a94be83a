package awscall

import (
	"time"

	"github.com/snapwarden/snapwarden/backup"
)

// Unanswered is for how long a read that only guards a call, or only tells more of what is done, is repeated while the service does not answer it.
const Unanswered = 15 * time.Minute

// Silence judges the error of a read that guards a call, made before the call in one Step. since is when the silence began, zero if none was; it is to be
// stored, and reset by every answer. own tells that the error is another one, to be given back with the Operation; over that the silence has lasted; sent
// that the call was perhaps sent before. Where it surely was not, the attempt that was recorded for this Step is taken back.
func Silence(op *backup.Operation, since *time.Time, err error) (own, over, sent bool) {
	if op.Next != "" {
		if sent = op.Intent() != backup.Send; !sent {
			op.Unsent()
		}
	}
	if backup.CodeOf(err) != backup.ErrUnavailable {
		return true, false, sent
	}
	if since.IsZero() {
		*since = time.Now().UTC().Round(0)
	}
	return false, time.Since(*since) >= Unanswered, sent
}

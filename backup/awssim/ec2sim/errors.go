package ec2sim

import (
	"net/http"
	"strings"

	"github.com/snapwarden/snapwarden/backup/awssim"
)

func dryRun() error {
	return awssim.FailStatus(http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
}

func noSnapshot(id string) error {
	return awssim.Fail("InvalidSnapshot.NotFound", "The snapshot '%s' does not exist.", id)
}

func noVolume(id string) error {
	return awssim.Fail("InvalidVolume.NotFound", "The volume '%s' does not exist.", id)
}

func noInstance(id string) error {
	return awssim.Fail("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
}

func noImage(id string) error {
	return awssim.Fail("InvalidAMIID.NotFound", "The image id '[%s]' does not exist", id)
}

// formed reports whether an id has the form that AWS gives ids: the prefix and 8 or 17 hexadecimal digits.
func formed(id, prefix string) bool {
	digits, ok := strings.CutPrefix(id, prefix+"-")
	return ok && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == ""
}

func checkSnapshotID(id string) error {
	if formed(id, "snap") {
		return nil
	}
	return awssim.Fail("InvalidSnapshotID.Malformed", "Invalid id: \"%s\" (expecting \"snap-...\")", id)
}

func checkVolumeID(id string) error {
	if formed(id, "vol") {
		return nil
	}
	return awssim.Fail("InvalidParameterValue", "Value (%s) for parameter volumeId is invalid. Expected: 'vol-...'.", id)
}

func checkInstanceID(id string) error {
	if formed(id, "i") {
		return nil
	}
	return awssim.Fail("InvalidInstanceID.Malformed", "Invalid id: \"%s\" (expecting \"i-...\")", id)
}

func checkImageID(id string) error {
	if formed(id, "ami") {
		return nil
	}
	return awssim.Fail("InvalidAMIID.Malformed", "Invalid id: \"%s\" (expecting \"ami-...\")", id)
}

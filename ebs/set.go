package ebs

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/snapwarden/snapwarden/backup"
)

// The tags that every member of a set carries, beside those of package backup. With them a set can be found, counted and put together again
// without the instance.
const (
	// TagSet holds the set's id.
	TagSet = "snapwarden:set"
	// TagMembers holds the number of members that the set was planned to have.
	TagMembers = "snapwarden:members"
	// TagRoot holds the id of the root volume, if it is in the set.
	TagRoot = "snapwarden:root"
	// TagDevices holds the map from volumes to devices, as "vol-1=/dev/sdf vol-2=/dev/sdg"; a long one goes on in TagDevices + ".1" and
	// so on, because a tag's value has at most 256 characters.
	TagDevices = "snapwarden:devices"
	// TagVolume, TagDevice and TagRole are set on restored volumes: the volume that the snapshot was taken of, where it was attached, and
	// "root" or "data".
	TagVolume = "snapwarden:volume"
	TagDevice = "snapwarden:device"
	TagRole   = "snapwarden:role"
)

const maxTagValue = 256

// setPrefix begins the ids of all sets that carry an Operation's ID.
func setPrefix(operationID string) string {
	return "set-" + strings.TrimPrefix(operationID, "op-") + "-"
}

// setID is the id of the set that the coming send makes. Two sends make two ids, so their members never mix: those of one Operation differ in
// the generation, which is stored before the send, and those of two Operations for the same work (two processes without a common Store) in
// the moment of their start.
func setID(op backup.Operation, generation int) string {
	return setPrefix(op.ID) + strconv.FormatInt(op.Started.UnixNano(), 36) + "-" + strconv.Itoa(generation)
}

// tags are those of the snapshots to be made.
func (s *Strategy) tags(op backup.Operation, st backupState) map[string]string {
	m := op.OwnTags(op.Ref)
	if op.Ref.Type == TypeInstance {
		m[TagSet] = st.Set
		m[TagMembers] = strconv.Itoa(len(st.Volumes))
	}
	if st.Root >= 0 {
		m[TagRoot] = st.Volumes[st.Root]
	}
	for i, v := range packDevices(st.Volumes, st.Devices) {
		m[devicesKey(i)] = v
	}
	return m
}

func devicesKey(i int) string {
	if i == 0 {
		return TagDevices
	}
	return TagDevices + "." + strconv.Itoa(i)
}

// packDevices writes the map into as few tag values as it takes. Volumes without a device (not attached) are left out.
func packDevices(volumes, devices []string) []string {
	var out []string
	for i, v := range volumes {
		if devices[i] == "" {
			continue
		}
		pair := v + "=" + devices[i]
		if n := len(out) - 1; n >= 0 && len(out[n])+1+len(pair) <= maxTagValue {
			out[n] += " " + pair
		} else {
			out = append(out, pair)
		}
	}
	return out
}

// Devices reads the map from volume ids to device names out of a member's tags, so that a set can be attached as it was.
func Devices(tags map[string]string) map[string]string {
	m := map[string]string{}
	for i := 0; ; i++ {
		v, ok := tags[devicesKey(i)]
		if !ok {
			return m
		}
		for pair := range strings.FieldsSeq(v) {
			if volume, device, ok := strings.Cut(pair, "="); ok {
				m[volume] = device
			}
		}
	}
}

func tagList(m map[string]string) []ec2types.Tag {
	out := make([]ec2types.Tag, 0, len(m))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		v := m[k]
		out = append(out, ec2types.Tag{Key: &k, Value: &v})
	}
	return out
}

func tagMap(tags []ec2types.Tag) map[string]string {
	m := make(map[string]string, len(tags))
	for _, t := range tags {
		if t.Key != nil && t.Value != nil {
			m[*t.Key] = *t.Value
		}
	}
	return m
}

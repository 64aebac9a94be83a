package s3export

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// SlotCount is how many hash slots a cluster has. Source: Redis, "Redis cluster specification".
const SlotCount = 16384

// Slots are ranges of hash slots as ElastiCache writes them: "0-5460", "0-100,200,300-400".
//
// Source: ElastiCache API reference, NodeGroupConfiguration.
type Slots string

// Ranges gives the ranges in their order, each with its first and last slot.
func (s Slots) Ranges() ([][2]int, error) {
	var all [][2]int
	for part := range strings.SplitSeq(string(s), ",") {
		first, last, two := strings.Cut(part, "-")
		if !two {
			last = first
		}
		a, ok := slot(first)
		b, ok2 := slot(last)
		if !ok || !ok2 || a > b {
			return nil, fmt.Errorf("%.40q is no range of hash slots", part)
		}
		all = append(all, [2]int{a, b})
	}
	return all, nil
}

func slot(s string) (int, bool) {
	n, err := strconv.Atoi(s)
	return n, err == nil && n >= 0 && n < SlotCount && strconv.Itoa(n) == s
}

// Cover refuses slots that do not cover every hash slot exactly once: a slot in no shard is data that is missing, and one in two shards is data
// of which nobody knows which is right.
func Cover(shards ...Slots) error {
	var all [][2]int
	for _, s := range shards {
		r, err := s.Ranges()
		if err != nil {
			return err
		}
		all = append(all, r...)
	}
	slices.SortFunc(all, func(a, b [2]int) int { return cmp.Compare(a[0], b[0]) })
	next := 0
	for _, r := range all {
		switch {
		case r[0] > next:
			return fmt.Errorf("the slots %d to %d are in no shard", next, r[0]-1)
		case r[0] < next:
			return fmt.Errorf("the slot %d is in two shards", r[0])
		}
		next = r[1] + 1
	}
	if next != SlotCount {
		return fmt.Errorf("the slots %d to %d are in no shard", next, SlotCount-1)
	}
	return nil
}

package policy

import "strings"

// ValidateZone reports whether zone is the name of a zone of region: an
// Availability Zone (us-east-1a), a Local Zone (us-west-2-lax-1a) or a Wavelength
// Zone (us-east-1-wl1-bos-wlz-1). The id of a zone (use1-az1) is not its name and
// is refused, and so is a bare Region.
//
// The grammar of Local and Wavelength Zones is read off the published lists:
// after the Region, groups of small letters and digits joined by hyphens, the
// last of them a number with at most one letter behind it.
//
// Source: EC2 user guide, "Regions and Zones"; Local Zones user guide, "Available
// Local Zones"; Wavelength developer guide, "Available Wavelength Zones".
func ValidateZone(zone, region string) error {
	if err := ValidateRegion(region); err != nil {
		return err
	}
	return checkZone(zone, region).in("zone", zone)
}

func checkZone(zone, region string) fault {
	switch {
	case zone == "":
		return empty()
	case !strings.HasPrefix(zone, region):
		return faultf(RuleRegion, 0, "Region %s expected", region)
	}
	at := len(region)
	rest := zone[at:]
	switch {
	case rest == "":
		return faultf(RuleForm, at, "a Region instead of a zone: letter expected")
	case rest[0] == '-':
		return checkZoneGroups(rest[1:]).shift(at + 1)
	case !isLower(rest[0]):
		return badChar(zone, at, "the small letter of a zone")
	case len(rest) > 1:
		return faultf(RuleForm, at+1, "%s follows the letter of the zone", charAt(zone, at+1))
	}
	return fault{}
}

// checkZoneGroups checks the tail of a Local or Wavelength Zone: lax-1a,
// wl1-bos-wlz-1.
func checkZoneGroups(s string) fault {
	start := 0 // of the group that i is in
	for i := range len(s) {
		switch c := s[i]; {
		case c == '-' && i == start:
			return faultf(RuleForm, i, "an empty group in the name of a zone")
		case c == '-':
			start = i + 1
		case !isLower(c) && !isDigit(c):
			return badChar(s, i, "a small letter, a digit or a hyphen")
		}
	}
	if start == 0 || start == len(s) {
		return faultf(RuleForm, len(s), "more groups of a Local or Wavelength Zone expected")
	}
	for i := start; i < len(s); i++ {
		letter := i == len(s)-1 && i > start && isLower(s[i])
		if !isDigit(s[i]) && !letter {
			return faultf(RuleForm, i, "a number and at most one letter expected instead of %s", charAt(s, i))
		}
	}
	return fault{}
}

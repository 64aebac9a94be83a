package policy

// accountDigits is the length of an account id. Ids may begin with zeros, so they
// are text, never numbers.
const accountDigits = 12

// ValidateAccountID reports whether id is the id of an AWS account: exactly 12
// ASCII digits, without hyphens. Special words that some calls take in its place
// ("all", "self", "amazon") are refused.
//
// Source: Account Management reference guide, "View AWS account identifiers".
func ValidateAccountID(id string) error {
	return checkAccount(id).in("account id", id)
}

func checkAccount(id string) fault {
	if id == "" {
		return empty()
	}
	for i := range len(id) {
		if i == accountDigits {
			return faultf(RuleLength, i, "longer than %d digits", accountDigits)
		}
		if !isDigit(id[i]) {
			return badChar(id, i, "a digit")
		}
	}
	if len(id) < accountDigits {
		return faultf(RuleLength, len(id), "%d digits instead of %d", len(id), accountDigits)
	}
	return fault{}
}

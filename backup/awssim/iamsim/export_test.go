package iamsim

// Tabled tells whether an operation is in the tables.
func Tabled(service, operation string) bool {
	_, ok := operations[service][operation]
	if service == "S3" {
		_, ok = s3Actions[operation]
	}
	return ok
}

// Fields gives the fields of inputs that the tables name, by service and operation.
func Fields(yield func(service, operation, field string)) {
	for service, all := range operations {
		for operation, targets := range all {
			for _, t := range targets {
				if t.field != "" {
					yield(service, operation, t.field)
				}
			}
		}
	}
}

package policy

// What RDS and ElastiCache put in front of the names of snapshots that they, or
// AWS Backup, make. No name that a user may choose can contain the colon or dot.
const (
	prefixRDS       = "rds:"
	prefixAWSBackup = "awsbackup:"
	prefixCache     = "automatic."
)

// ValidateRDSInstanceID checks the identifier of an RDS database instance: 1 to
// 63 letters, digits and hyphens, first a letter, no hyphen at the end and no two
// in a row. Single engines may allow less.
//
// Source: RDS API reference, CreateDBInstance; RDS user guide, "Quotas and
// constraints" (CHAP_Limits).
func ValidateRDSInstanceID(id string) error {
	return checkName(id, 63).in("RDS instance identifier", id)
}

// ValidateRDSSnapshotID checks the identifier of a manual snapshot of an RDS
// instance: 1 to 255 characters, else as [ValidateRDSInstanceID]. The names of
// automated snapshots (rds:...) are good sources of a copy but cannot be chosen,
// and are refused.
//
// Source: RDS API reference, CreateDBSnapshot and CopyDBSnapshot.
func ValidateRDSSnapshotID(id string) error {
	return checkSnapshotName(id, 255, prefixRDS, prefixAWSBackup).in("RDS snapshot identifier", id)
}

// ValidateRDSClusterID checks the identifier of an Aurora cluster: 1 to 63
// characters, else as [ValidateRDSInstanceID]. Multi-AZ DB clusters, which are
// not told apart here, may have only 52.
//
// Source: RDS API reference, CreateDBCluster.
func ValidateRDSClusterID(id string) error {
	return checkName(id, 63).in("RDS cluster identifier", id)
}

// ValidateRDSClusterSnapshotID checks the identifier of a manual snapshot of a
// cluster: 1 to 63 characters (not 255, as for instances), else as
// [ValidateRDSSnapshotID].
//
// Source: RDS API reference, CreateDBClusterSnapshot and CopyDBClusterSnapshot.
func ValidateRDSClusterSnapshotID(id string) error {
	return checkSnapshotName(id, 63, prefixRDS, prefixAWSBackup).in("RDS cluster snapshot identifier", id)
}

// ValidateExportTaskID checks the identifier of an RDS export to S3: 1 to 60
// characters, else as [ValidateRDSInstanceID]. UNVERIFIED: AWS documents neither
// the length nor the characters; both are what others ran into.
//
// Source: RDS API reference, StartExportTask (the parameter, without a rule).
func ValidateExportTaskID(id string) error {
	return checkName(id, 60).in("RDS export task identifier", id)
}

// ValidateCacheClusterID checks the id of an ElastiCache cluster or of one node of
// a replication group: 1 to 50 letters, digits and hyphens, first a letter, no
// hyphen at the end and no two in a row.
//
// Source: ElastiCache API reference, CreateCacheCluster.
func ValidateCacheClusterID(id string) error {
	return checkName(id, 50).in("ElastiCache cluster id", id)
}

// ValidateReplicationGroupID checks the id of an ElastiCache replication group: 1
// to 40 characters, else as [ValidateCacheClusterID]. It is shorter because the
// ids of the nodes are made of it (orders-0001-001).
//
// Source: ElastiCache API reference, CreateReplicationGroup.
func ValidateReplicationGroupID(id string) error {
	return checkName(id, 40).in("ElastiCache replication group id", id)
}

// ValidateCacheSnapshotName checks the name of a manual snapshot of a node-based
// ElastiCache cluster: 1 to 40 characters, else as [ValidateCacheClusterID]. The
// names of automatic snapshots (automatic....) cannot be chosen and are refused.
//
// UNVERIFIED: the user guide applies the naming constraints of clusters to
// snapshots, but the API model gives no pattern and no length, so longer names
// may pass at AWS. Forty is what surely does. The target name of an export to S3
// follows other rules.
//
// Source: ElastiCache user guide, "Taking manual backups"; ElastiCache API
// reference, CreateSnapshot.
func ValidateCacheSnapshotName(name string) error {
	return checkSnapshotName(name, 40, prefixCache).in("ElastiCache snapshot name", name)
}

// ValidateServerlessSnapshotName checks the name of a manual snapshot of an
// ElastiCache serverless cache: 1 to 255 characters. UNVERIFIED: AWS documents
// the length only; the characters are taken to be those of
// [ValidateCacheSnapshotName].
//
// Source: ElastiCache API reference, CreateServerlessCacheSnapshot.
func ValidateServerlessSnapshotName(name string) error {
	return checkSnapshotName(name, 255, prefixCache).in("ElastiCache serverless snapshot name", name)
}

// IsAutomatedRDSSnapshotID reports whether id has the form that RDS gives to the
// automated snapshots of instances and clusters (rds:orders-2024-01-31-03-15).
// They may be copied by this name but not shared or deleted by it. The
// SnapshotType that AWS returns is surer, where it is at hand.
//
// Source: RDS API reference, CopyDBSnapshot and CopyDBClusterSnapshot.
func IsAutomatedRDSSnapshotID(id string) bool {
	return len(id) > len(prefixRDS) && hasPrefixFold(id, prefixRDS)
}

// IsAWSBackupSnapshotID reports whether id has the form that AWS Backup gives to
// the RDS snapshots it makes (awsbackup:job-...). They cannot be deleted through
// RDS.
//
// Source: AWS Backup developer guide; RDS API reference, DescribeDBSnapshots.
func IsAWSBackupSnapshotID(id string) bool {
	return len(id) > len(prefixAWSBackup) && hasPrefixFold(id, prefixAWSBackup)
}

// IsAutomaticCacheSnapshotName reports whether name has the form that ElastiCache
// gives to automatic snapshots, node-based and serverless
// (automatic.orders-2024-01-31-03-15). They vanish with their cluster. The
// SnapshotSource that AWS returns is surer, where it is at hand.
//
// Source: ElastiCache user guide, "Scheduling automatic backups".
func IsAutomaticCacheSnapshotName(name string) bool {
	return len(name) > len(prefixCache) && hasPrefixFold(name, prefixCache)
}

// CanonicalName returns the name as RDS and ElastiCache store it, with the ASCII
// letters in lower case. Two names of theirs are the same if their canonical
// names are. Other characters are left alone: a full Unicode folding would make
// names equal that AWS tells apart. It does not allocate where nothing changes.
//
// Source: RDS and ElastiCache API references ("stored as a lowercase string").
func CanonicalName(s string) string {
	for i := range len(s) {
		if isUpper(s[i]) {
			b := []byte(s)
			for ; i < len(b); i++ {
				b[i] = lower(b[i])
			}
			return string(b)
		}
	}
	return s
}

// checkSnapshotName is checkName with a better word for names that AWS keeps for
// its own snapshots.
func checkSnapshotName(s string, max int, reserved ...string) fault {
	for _, p := range reserved {
		if hasPrefixFold(s, p) {
			return faultf(RuleReserved, 0, "begins with the reserved prefix %q", p)
		}
	}
	return checkName(s, max)
}

// checkName checks the rule that RDS and ElastiCache share: 1 to max letters,
// digits and hyphens, first a letter, no hyphen at the end, no two in a row. The
// offence furthest to the left is the one reported. It looks at bytes, as every
// character beyond ASCII is wrong anyway.
func checkName(s string, max int) fault {
	if s == "" {
		return empty()
	}
	for i := range len(s) {
		c := s[i]
		switch {
		case i == max:
			return faultf(RuleLength, i, "longer than %d characters", max)
		case !isLetter(c) && !isDigit(c) && c != '-':
			return badChar(s, i, "a letter, a digit or a hyphen")
		case i == 0 && !isLetter(c):
			return faultf(RuleFirstLetter, i, "begins with %s instead of a letter", charAt(s, i))
		case c == '-' && i+1 < len(s) && s[i+1] == '-':
			return faultf(RuleDoubleHyphen, i, "two hyphens in a row")
		case c == '-' && i+1 == len(s):
			return faultf(RuleTrailingHyphen, i, "ends with a hyphen")
		}
	}
	return fault{}
}

// hasPrefixFold reports whether s begins with the lower-case prefix, in any case
// of its ASCII letters.
func hasPrefixFold(s, prefix string) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		if lower(s[i]) != prefix[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if isUpper(c) {
		return c + 'a' - 'A'
	}
	return c
}

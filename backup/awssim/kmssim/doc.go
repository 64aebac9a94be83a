// Package kmssim simulates the part of AWS KMS that backups depend on: keys, their states and their aliases.
//
//	keys := kmssim.Service()
//	world := awssim.New(keys, rdssim.Service())
//
// The other simulated services ask it whether a key can be used (KeyUsable) and which key a name means (ResolveKey). Nothing is encrypted:
// there are no cryptographic operations, key policies or grants.
//
// # What is simulated
//
//   - CreateKey makes a symmetric key that is Enabled at once. Source: KMS API, CreateKey.
//   - DescribeKey takes a key id, a key ARN, an alias name or an alias ARN; a key of another account is found by ARN only. Source: KMS API,
//     DescribeKey ("To specify a KMS key in a different AWS account, you must use the key ARN or alias ARN").
//   - Key policies are not evaluated: every account may describe and use another account's customer managed key by its ARN.
//   - DescribeKey of the alias of an AWS managed key, such as alias/aws/rds, makes that key where the account has none yet. Source: KMS API,
//     DescribeKey. The key's manager is AWS, and another account can not use it. Source: KMS Developer Guide, "AWS KMS keys".
//   - DisableKey and EnableKey are refused for a key that is pending deletion (KMSInvalidStateException) and for AWS managed keys
//     (AccessDeniedException; the code is UNVERIFIED). Source: KMS Developer Guide, "Key states of AWS KMS keys".
//   - ScheduleKeyDeletion waits 7 to 30 days, 30 by default; the key is PendingDeletion meanwhile, and gone thereafter (NotFoundException).
//     CancelKeyDeletion leaves it Disabled. Source: KMS API, ScheduleKeyDeletion and CancelKeyDeletion.
//   - Management calls are refused for another account's key. Source: KMS Developer Guide, "Allowing users in other accounts to use a KMS
//     key". The code AccessDeniedException is UNVERIFIED.
//   - CreateAlias: the name begins with alias/ and not with alias/aws/, and is unique in account and Region; 50 aliases for a key.
//     Source: KMS API, CreateAlias; KMS Developer Guide, "Resource quotas".
//   - ListAliases gives 50 aliases a page by default and 100 at most, sorted by name; the order is UNVERIFIED.
//   - Calls are not throttled; an injected throttle answers ThrottlingException. Source: KMS Developer Guide, "Throttling AWS KMS requests".
package kmssim

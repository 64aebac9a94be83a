// Package stssim simulates AWS STS: who a caller is, and roles of other accounts.
//
//	creds := stscreds.NewAssumeRoleProvider(awssts.NewFromConfig(world.Config("111122223333", "eu-west-1")), "arn:aws:iam::444455556666:role/backup")
//
// Credentials that AssumeRole gives are the World's own: every simulated service reads the account of a call from them.
//
// # What is simulated
//
//   - GetCallerIdentity answers every caller and needs no permission. Source: STS API, GetCallerIdentity.
//   - AssumeRole lets every caller into every role of every account: trust policies are not evaluated and roles need not be made first.
//     Refuse names the exceptions, which answer AccessDenied with status 403. Source: STS API, Common Errors; the message is as AWS words it.
//   - The role's ARN must name a role in the caller's partition, the session name has 2 to 64 of the letters that IAM allows, and
//     DurationSeconds is 900 to 43200, 3600 by default. Source: STS API, AssumeRole.
//   - Credentials of an assumed role that assume another role live an hour at most. Source: IAM User Guide, "Roles terms and concepts", role
//     chaining.
//   - A role's own maximum session duration is not simulated: 12 hours hold for every role.
//   - Expired credentials are refused by every service. They expire on the clock of the program, also where World.SetSpeed is used.
//   - Calls are not throttled; an injected throttle answers Throttling. Source: STS API, Common Errors.
package stssim

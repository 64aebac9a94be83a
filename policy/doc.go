// Package policy knows how AWS spells things: partitions and Regions, account
// ids, ARNs, and the names of databases, caches, volumes, snapshots, keys, tags,
// zones, buckets and exports; and it reads, builds and merges policy documents. It checks them before a call is made, so that a wrong name is an
// error with a place in it and not a refusal from AWS an hour later.
//
// All functions are pure: no AWS call, no clock, no global state. They may be
// called from any goroutine, and those that only check do not allocate when the
// value is good.
//
// # What a good answer means
//
// A name that passes is well formed. It may still not exist, belong to somebody
// else or be taken, and only AWS can tell. Where AWS documents a rule, the
// documented rule is checked, and the comment of the function names the page.
// Where AWS documents none, the comment says UNVERIFIED and the stricter
// reading is checked, since these functions are meant for names that a program
// makes. Do not use them to filter what AWS returned: it has resources whose
// names break today's rules, its own automated snapshots among them.
//
// # Errors
//
// The error of a name is a *[NameError], that of a document a *[DocumentError]. A
// NameError's Rule is stable and meant for programs; its
// message is meant for people and may change in any release.
//
// # Letter case
//
// RDS and ElastiCache accept capital letters and store small ones, so Orders and
// orders are one database. Compare such names by their [CanonicalName]. The ids of
// EC2, ARNs, Regions, tags and KMS keys are compared byte by byte.
package policy

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"strings"
)

// usageError is an error that the caller can mend by other flags.
type usageError string

func (e usageError) Error() string { return string(e) }

func usagef(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// options are the flags.
type options struct {
	json     bool
	state    string
	endpoint string

	aws, yes                                bool
	region, zone                            string
	instance, database, cache, cacheCluster string
	subnetGroup, cacheSubnetGroup           string
	securityGroups                          []string
}

// flags gives the set of flags that o is filled by.
func (o *options) flags() *flag.FlagSet {
	set := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.BoolVar(&o.json, "json", false, "")
	set.StringVar(&o.state, "state", "", "")
	set.StringVar(&o.endpoint, "endpoint", "", "")
	set.BoolVar(&o.aws, "aws", false, "")
	set.BoolVar(&o.yes, "yes", false, "")
	set.StringVar(&o.region, "region", "", "")
	set.StringVar(&o.zone, "zone", "", "")
	set.StringVar(&o.instance, "instance", "", "")
	set.StringVar(&o.database, "rds", "", "")
	set.StringVar(&o.cache, "cache", "", "")
	set.StringVar(&o.cacheCluster, "cache-cluster", "", "")
	set.StringVar(&o.subnetGroup, "subnet-group", "", "")
	set.StringVar(&o.cacheSubnetGroup, "cache-subnet-group", "", "")
	set.Func("security-group", "", func(s string) error { o.securityGroups = append(o.securityGroups, s); return nil })
	return set
}

// parse reads the flags. With -h it gives flag.ErrHelp.
func parse(args []string) (options, error) {
	var o options
	set := o.flags()
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, usagef("%v", err)
	}
	if set.NArg() > 0 {
		return o, usagef("%q is not a flag", set.Arg(0))
	}
	return o, o.check()
}

func (o options) check() error {
	own := o.yes || o.region != "" || o.zone != "" || o.instance != "" || o.database != "" || o.cache != "" || o.cacheCluster != "" ||
		o.subnetGroup != "" || o.cacheSubnetGroup != "" || len(o.securityGroups) > 0
	switch {
	case o.aws && o.endpoint != "":
		return usagef("-aws and -endpoint can not be combined")
	case own && !o.aws:
		return usagef("-yes, -region, -zone, resource ids and groups are for -aws only")
	case o.state != "" && !o.aws && o.endpoint == "":
		return usagef("-state is for -aws and -endpoint: the simulated AWS ends with the program, so there is nothing to go on with")
	}
	if o.endpoint != "" {
		u, err := url.Parse(o.endpoint)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return usagef("-endpoint wants a URL such as http://127.0.0.1:5000, not %q", o.endpoint)
		}
		if strings.HasSuffix(u.Hostname(), ".amazonaws.com") {
			return usagef("-endpoint is for emulators; use -aws for AWS itself")
		}
	}
	if !o.aws {
		return nil
	}
	switch {
	case o.instance == "" && o.database == "" && o.cache == "" && o.cacheCluster == "":
		return usagef("-aws wants at least one of -instance, -rds, -cache and -cache-cluster")
	case o.cache != "" && o.cacheCluster != "":
		return usagef("-cache and -cache-cluster can not be combined")
	case o.instance != "" && o.zone == "":
		return usagef("-instance wants -zone, the availability zone of the new volumes")
	case o.database != "" && (o.subnetGroup == "" || len(o.securityGroups) == 0):
		return usagef("-rds wants -subnet-group and -security-group: they decide who reaches the new DB instance")
	case (o.cache != "" || o.cacheCluster != "") && len(o.securityGroups) == 0:
		return usagef("-cache and -cache-cluster want -security-group: it decides who reaches the new cache")
	}
	return nil
}

const help = `quickstart backs up a database, a cache and a server's volumes at the same time, waits for them, lists the recovery points, restores each
to a new resource, and deletes one old recovery point.

  quickstart [-json]                                       on an AWS simulated inside of this program
  quickstart -endpoint URL [-json] [-state DIR]            on an emulator of AWS, such as moto
  quickstart -aws -yes [resources] [-json] [-state DIR]    on your own AWS account; costs money

Everywhere
  -json            print one JSON object a line instead of text (see below)
  -state DIR       keep the state in DIR instead of a temporary folder. A run that was interrupted, by Ctrl-C or by the end of the process,
                   is gone on with when it is called again with the same flags: nothing is made twice. After a crash that takes up
                   to three minutes, until the lease of the dead process is over. Not for the simulated AWS, which ends with the program.
  -h               print this

On an emulator
  -endpoint URL    such as http://127.0.0.1:5000; credentials "test" and "test", Region us-east-1. The resources are made there. What is
                   not done after 10 minutes is left unfinished.

On your own account: your usual AWS configuration (environment, profile, role) is used. Without -yes it only says what it would do.
  -aws             use AWS
  -yes             yes, create these things, which cost money
  -region NAME     the Region, if it is not that of your configuration
  -instance ID     an EC2 instance, all of its EBS volumes
  -zone NAME       the availability zone of the new volumes, such as eu-west-1a
  -rds ID          a DB instance
  -subnet-group NAME          the DB subnet group of the new DB instance
  -cache ID        a replication group, Valkey or Redis OSS
  -cache-cluster ID           a cache cluster that is in no replication group
  -cache-subnet-group NAME    the cache subnet group of the new cache
  -security-group ID          a security group of the new DB instance and cache; may be repeated

  It creates a recovery point of each resource, a second one of the first resource, which it deletes again, and a new resource from each recovery
  point. It deletes nothing that it did not make, and leaves the new resources and their recovery points for you to look at and to delete.

Exit code: 0 if everything succeeded, 1 if anything failed or was left unfinished, 2 for flags that can not be used.

With -json every line is an object with "time" (RFC 3339) and "type":
  "started", "resumed", "sending", "progress", "step-failed", "waiting", "finished"
      an event of an operation: "id", "kind" (rds, elasticache, ebs), "action" (backup, restore, delete), "ref" (type, account, region, id), "phase"
      (pending, running, succeeded, partial, failed, canceled), "stage", "percent" (0 to 100), and where there is something to say
      "next" (the call that may be made), "points", "made" and "endpoints" (lists), "code", "error" and "hint"
  "finding"          something to know: "kind", "action", "ref", "severity", "message", "remedy"
  "recovery-point"   a recovery point of a listing: "point"
  "note"             "message"
but for the last line, {"summary": {"succeeded": N, "failed": N, "unfinished": N, "skipped": N, "recoveryPoints": N, "restored": N, "deleted": N,
"seconds": S}}: the operations by their end, the recovery points that are there afterwards, and what was restored and deleted.
`

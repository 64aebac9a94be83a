// Package quiesce brings a host to rest for the moment at which its volumes are snapshotted: databases write what they hold in memory, file systems
// are frozen, logical volumes are suspended. After the snapshots were asked for all is let go again; the data is copied later, from the moment of
// the call. Source: EBS user guide, "Create Amazon EBS snapshots".
//
//	plan := quiesce.Plan{FileSystems: []string{"/data"}, MySQL: []quiesce.MySQL{{}}}
//	q, err := quiesce.NewHost(run, plan) // run: the caller's way to run a script on a host, by SSM or SSH
//
// # The host thaws itself
//
// A frozen file system outlives the program that froze it, and everything on the host that writes then waits for ever. So a freeze is a
// lease: before it freezes anything, the host itself arms a watchdog that thaws when the limit is over. It needs neither this process nor the
// network nor AWS. What is frozen for longer than its limit is a mistake of this package, whatever dies.
//
// # What is proved
//
// A snapshot is called consistent for the application only where it is proved: its start time lies between the return of the freeze and the begin of
// the thaw, and the thaw found everything still frozen by this lease. In all other cases it is what every snapshot is: consistent as after
// a crash. See Report.Covers.
//
// # Running scripts
//
// This package compiles no SDK. Run is what the caller has: SSH, an agent, or SSM. With the SDK's SSM client it is
//
//	func run(ctx context.Context, host, script string) (string, error) {
//		sent, err := client.SendCommand(ctx, &ssm.SendCommandInput{DocumentName: aws.String("AWS-RunShellScript"), InstanceIds: []string{host},
//			Parameters: map[string][]string{"commands": {script}, "executionTimeout": {"60"}}, TimeoutSeconds: aws.Int32(30)})
//		if err != nil {
//			return "", err
//		}
//		in := &ssm.GetCommandInvocationInput{CommandId: sent.Command.CommandId, InstanceId: &host}
//		waiter := ssm.NewCommandExecutedWaiter(client, func(o *ssm.CommandExecutedWaiterOptions) { o.MinDelay, o.MaxDelay = time.Second, time.Second })
//		failed := waiter.Wait(ctx, in, time.Minute)
//		out, err := client.GetCommandInvocation(ctx, in) // also of a script that failed: it says why
//		if err != nil {
//			return "", err
//		}
//		return *out.StandardOutputContent, failed
//	}
//
// A command that SSM delivers late does no harm: a lease that was thawed is over and is not frozen any more.
package quiesce

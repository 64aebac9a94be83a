// Command service is an HTTP service that backs up EBS volumes, EC2 instances and RDS databases. It keeps what it has begun in a folder, so
// that it can be stopped, killed and deployed at any time: the work goes on at AWS, and the next process waits for it again.
//
//	go run ./examples/service -simulated
//	curl -i http://127.0.0.1:8700/backups -H 'Content-Type: application/json' -d '{"slot":"2026-11-20",
//	    "ref":{"type":"rds/instance","account":"111122223333","region":"eu-west-1","id":"orders-00001"}}'
//
// The first runs on an AWS that is simulated in the process and sixty times as fast; that AWS and the folder are gone with the process.
// On your own account it is go run ./examples/service -region eu-west-1 -dir /var/lib/backups, with the credentials that the AWS CLI
// would use. The other requests:
//
//	GET    /backups        the backups that have not ended
//	GET    /backups/{id}   one backup, also when it has ended
//	DELETE /backups/{id}   stops the work and deletes what it has made; 409 if it has ended, 501 if AWS can not stop it
//
// There is no login, so the service listens on a loopback address only. Whatever makes it reachable from elsewhere must say who may.
//
// The code to copy is in service.go (starting, waiting, resuming), http.go (the requests) and errors.go (the status codes).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awssts "github.com/aws/aws-sdk-go-v2/service/sts"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/rds"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once, which is safe too
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

// run is the program. It returns when ctx has ended and everything is given back, or with an error.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("service", flag.ContinueOnError)
	flags.SetOutput(stderr)
	listen := flags.String("listen", "127.0.0.1:8700", "the loopback `address` to listen on; port 0 takes a free one")
	dir := flags.String("dir", "", "the `folder`, on a local disk, that keeps the operations")
	region := flags.String("region", "", "the Region's `name`; empty for that of the AWS configuration")
	simulated := flags.Bool("simulated", false, "use a simulated AWS; without -dir, a temporary folder")
	if err := flags.Parse(args); err != nil {
		return err
	}
	address, err := netip.ParseAddrPort(*listen)
	if err != nil || !address.Addr().IsLoopback() {
		return fmt.Errorf("-listen %s is not a loopback address with a port, such as 127.0.0.1:8700", *listen)
	}
	var cfg aws.Config
	switch {
	case *simulated:
		if *dir == "" {
			if *dir, err = os.MkdirTemp("", "snapwarden-service-"); err != nil {
				return err
			}
			defer func() { _ = os.RemoveAll(*dir) }()
		}
		cfg = simulation()
	case *dir == "":
		return errors.New("-dir is missing: without a folder nothing would be resumed")
	default:
		if cfg, err = config.LoadDefaultConfig(ctx, config.WithRegion(*region)); err != nil {
			return err
		}
	}
	// Asked at the start, so that credentials that are no good are found now, and a wrong account in a request is refused at once.
	identity, err := awssts.NewFromConfig(cfg).GetCallerIdentity(ctx, &awssts.GetCallerIdentityInput{})
	if err != nil {
		return err
	}
	// No sampling: events of many backups have the same message, and each of them counts.
	log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.Lock(zapcore.AddSync(stderr)), zap.InfoLevel))
	defer func() { _ = log.Sync() }() // a terminal refuses to sync, which says nothing

	store, err := backup.OpenFileStore(*dir)
	if err != nil {
		return err
	}
	s, err := newService(store, targets(cfg, aws.ToString(identity.Account)), log)
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address.String())
	if err != nil {
		s.close()
		return err
	}
	fmt.Fprintf(stdout, "http://%s/backups\n", listener.Addr())
	return serve(ctx, listener, s, log)
}

// targets says which strategy backs up what. For several accounts and Regions, make the strategies with New and a provider.
func targets(cfg aws.Config, account string) map[string]backup.Strategy {
	volumes := ebs.NewFromConfig(cfg, func(o *ebs.Options) { o.Account = account })
	databases := rds.NewFromConfig(cfg, func(o *rds.Options) { o.Account = account })
	return map[string]backup.Strategy{ebs.TypeVolume: volumes, ebs.TypeInstance: volumes, rds.TypeInstance: databases}
}

// serve answers requests until ctx ends. Requests end first, so that none can start a backup that nobody would wait for; then the waiting
// ends. A Step that is changing something is not cut off, so this may take a minute: whoever stops the process should allow it 90 seconds
// before killing it. Killed sooner, nothing is lost either, but the next process waits up to three minutes for this one's lease to end.
func serve(ctx context.Context, listener net.Listener, s *service, log *zap.Logger) error {
	server := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      90 * time.Second, // a request may have to wait for a Step, which takes up to a minute
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          zap.NewStdLog(log),
	}
	s.resume()
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		log.Info("stopping; the backups go on at AWS")
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if server.Shutdown(patience) != nil {
			_ = server.Close() // requests that still wait are cut off; what they have started is stored
		}
		<-served //nolint:errcheck // the server was told to close, and that is what it says
	}
	s.close()
	return err
}

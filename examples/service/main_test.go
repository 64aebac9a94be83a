package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsec2 "github.com/aws/aws-sdk-go-v2/service/ec2"
	"go.uber.org/zap"

	"github.com/snapwarden/snapwarden/backup"
	"github.com/snapwarden/snapwarden/backup/awssim"
	"github.com/snapwarden/snapwarden/backup/awssim/ec2sim"
	"github.com/snapwarden/snapwarden/backup/awssim/kmssim"
	"github.com/snapwarden/snapwarden/backup/awssim/rdssim"
	"github.com/snapwarden/snapwarden/ebs"
	"github.com/snapwarden/snapwarden/rds"
)

const account, region = "111122223333", "eu-west-1"

// bench is a simulated AWS with a volume and a database, and a folder, on which services can be run one after the other.
type bench struct {
	t        *testing.T
	world    *awssim.World
	ec2      *ec2sim.EC2
	volume   backup.Ref
	database backup.Ref
	dir      string
}

// inBubble gives each test a bench of its own in virtual time: all clients, contexts and goroutines are made inside of the bubble.
func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, ec2: ec2sim.Service(), dir: t.TempDir()}
		db := rdssim.Service()
		b.world = awssim.New(b.ec2, db, kmssim.Service())
		// Two snapshots of a volume at once are possible, so that a service that sends a call twice would be seen to.
		b.ec2.SetQuotas(b.world, ec2sim.Quotas{})
		v, err := awsec2.NewFromConfig(b.world.Config(account, region)).CreateVolume(t.Context(),
			&awsec2.CreateVolumeInput{AvailabilityZone: aws.String("eu-west-1a"), Size: aws.Int32(500)})
		if err != nil {
			t.Fatal(err)
		}
		b.volume = ebs.Volume(account, region, *v.VolumeId)
		b.database = rds.Instance(account, region, db.SeedInstances(b.world, account, region, "orders", 1, nil)[0])
		time.Sleep(time.Minute)
		f(t, b)
	})
}

// process is one run of the service.
type process struct {
	*service
	b     *bench
	power atomic.Bool // whether its disk still takes anything
}

// start runs a service on the bench's folder.
func (b *bench) start() *process {
	b.t.Helper()
	files, err := backup.OpenFileStore(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &process{b: b}
	p.power.Store(true)
	p.service, err = newService(disk{files, &p.power}, targets(b.world.Config(account, region), account), zap.NewNop())
	if err != nil {
		b.t.Fatal(err)
	}
	p.resume()
	return p
}

// disk is a store that takes nothing more once the power is off. A service whose disk is dead before it is closed leaves behind what one
// leaves behind that was killed: it gives nothing back, and the last things that it learnt are lost.
type disk struct {
	backup.Store
	power *atomic.Bool
}

func (d disk) dead() error {
	if d.power.Load() {
		return nil
	}
	return &backup.Error{Op: "store", Code: backup.ErrUnavailable, Err: errors.New("no power")}
}

func (d disk) Create(ctx context.Context, op backup.Operation, run string) (backup.Record, bool, error) {
	if err := d.dead(); err != nil {
		return backup.Record{}, false, err
	}
	return d.Store.Create(ctx, op, run)
}

func (d disk) Save(ctx context.Context, recs ...*backup.Record) error {
	if err := d.dead(); err != nil {
		return err
	}
	return d.Store.Save(ctx, recs...)
}

func (d disk) Renew(ctx context.Context, run string, until time.Time) error {
	if err := d.dead(); err != nil {
		return err
	}
	return d.Store.Renew(ctx, run, until)
}

func (p *process) crash() {
	p.power.Store(false)
	p.close() // the goroutines must end before the bubble does
}

// reply is what the service answered.
type reply struct {
	status   int
	location string
	view
	Error   *problem `json:"error"`
	Backups []view   `json:"backups"`
	// Problems are those of a list.
	Problems []*problem `json:"problems"`
}

// do sends a request, without a socket.
func (p *process) do(method, path, body string, change ...func(*http.Request)) reply {
	p.b.t.Helper()
	r := httptest.NewRequestWithContext(p.b.t.Context(), method, "http://127.0.0.1:8700"+path, strings.NewReader(body))
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	p.handler().ServeHTTP(w, r)
	out := reply{status: w.Code, location: w.Header().Get("Location")}
	if w.Header().Get("Content-Type") == "application/json" {
		if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
			p.b.t.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return out
}

// post asks for a backup.
func (p *process) post(ref backup.Ref, slot string) reply {
	p.b.t.Helper()
	body, err := json.Marshal(map[string]any{"ref": ref, "slot": slot})
	if err != nil {
		p.b.t.Fatal(err)
	}
	return p.do("POST", "/backups", string(body))
}

// until lets time pass until the backup has the phase, for a day at most.
func (p *process) until(location string, phase backup.Phase) reply {
	p.b.t.Helper()
	for range 24 * 60 {
		r := p.do("GET", location, "")
		if r.status != http.StatusOK {
			p.b.t.Fatalf("GET %s: %d %+v", location, r.status, r.Error)
		}
		if r.Phase == phase {
			return r
		}
		time.Sleep(time.Minute)
	}
	p.b.t.Fatalf("%s did not become %s in a day: %+v", location, phase, p.do("GET", location, "").view)
	return reply{}
}

func (b *bench) count(operation string) (n int) {
	for _, c := range b.world.Calls() {
		if c.Operation == operation && c.Applied {
			n++
		}
	}
	return n
}

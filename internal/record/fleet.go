package record

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/fleet"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/profiles"
)

// Fleet is the bed of run --workers: another bed, loaded by the pods of a Job.
type Fleet struct {
	Bed      Bed // that is loaded
	Client   kubernetes.Interface
	Job      fleet.JobOptions // Name and Lasts are the run's
	Timeout  time.Duration    // until all workers are ready; 0 = the fleet's default
	CA       []byte           // PEM beside the system's; nil = none
	Insecure bool             // do not check the server's certificate

	many  *fleet.Fleet
	order fleet.Order // what its workers are told
	job   fleet.JobOptions
}

// tell is how long before the start of a run its workers get their orders: one POST to each
// through the API server.
const tell = 3 * time.Second

// Prepare prepares the bed that is loaded, and starts the workers.
func (b *Fleet) Prepare(ctx context.Context, p *Plan) (Timing, error) {
	timing, err := b.Bed.Prepare(ctx, p)
	if err != nil {
		return timing, err
	}
	timing.Lead = max(timing.Lead, tell)
	b.order = fleet.Order{Seed: p.Seed, Profile: "profile.yaml", MaxRate: p.MaxRate, InFlight: p.InFlight,
		HTTP2: p.HTTP2, CA: b.CA, Insecure: b.Insecure}
	b.order.Files, err = fleet.Bundle(b.order.Profile, p.Source, p.Profile.Files, func(files fs.FS) error {
		_, err := profiles.Parse(b.order.Profile, p.Source, files)
		return err
	})
	if err != nil {
		return timing, failure.As(failure.Input, err)
	}
	headers, err := p.headers()
	if err != nil {
		return timing, err
	}
	b.job = b.Job
	b.job.Name = "hpatune-" + strings.ReplaceAll(time.Now().UTC().Format("20060102-150405.000")[4:], ".", "-")
	b.job.Lasts = p.Profile.Duration()
	p.say("creating Job %s/%s: %d workers with image %s", b.job.Namespace, b.job.Name, b.job.Workers, b.job.Image)
	b.many, err = fleet.Launch(ctx, b.Client, fleet.Options{Job: b.job, Headers: headers, Timeout: b.Timeout})
	if err != nil {
		return timing, kube.Explain(err, "run --workers")
	}
	for k, w := range b.many.Workers {
		p.say("worker %d: %s on %s, clock %s ± %s", k, w.Pod, w.Node,
			figure.Difference(w.Ahead.Seconds(), figure.Seconds), figure.Of(w.Error.Seconds(), figure.Seconds))
	}
	return timing, nil
}

// headers are the plan's secret headers, as a header file; nil = none.
func (p *Plan) headers() (lines []byte, err error) {
	if p.HeaderFile != "" {
		if lines, err = os.ReadFile(p.HeaderFile); err != nil {
			return nil, failure.Inputf("--header-file: %w", err)
		}
		lines = append(lines, '\n')
	}
	for name, values := range p.Secrets {
		for _, v := range values {
			lines = fmt.Appendf(lines, "%s: %s\n", name, v)
		}
	}
	return lines, nil
}

// Open opens the bed that is loaded; the fleet sends.
func (b *Fleet) Open(s *Session) (Scene, error) {
	scene, err := b.Bed.Open(s)
	b.order.URL = scene.URL
	scene.Send, scene.Quiet = b.send, true
	return scene, err
}

// send has the workers send, and merges their runs.
func (b *Fleet) send(ctx context.Context, s *Session, l loadgen.Options) (loadgen.Report, error) {
	p := s.Plan
	p.say(
		"the workers send from %s to %s; hpatune fetches their recordings at the end",
		s.Clock.Start.Format(time.TimeOnly),
		s.Clock.Start.Add(p.Profile.Duration()).Format(time.TimeOnly),
	)
	order := b.order
	order.Start = l.Clock.Start
	b.many.Start(ctx, order)
	// Ctrl-C ends the sending, but not the collecting, since what was sent is evidence.
	stopped := context.AfterFunc(ctx, func() { b.many.Stop(context.WithoutCancel(ctx)) })
	defer stopped()
	folder, err := os.MkdirTemp("", "hpatune-fleet-")
	if err != nil {
		return loadgen.Report{}, err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	total := p.Profile.Timeouts.Total
	shares := b.many.Collect(context.WithoutCancel(ctx), folder, order.Start.Add(p.Profile.Duration()+total+2*time.Minute))
	run, err := fleet.Merge(p.Profile, p.Seed, shares)
	if err != nil {
		return loadgen.Report{}, err
	}
	fleet.Emit(run, l.Emit, s.Pace)
	m := s.Meta
	m.Partial, m.Why = run.Meta.Partial, run.Meta.Why
	m.Context["workers"] = fmt.Sprint(len(shares))
	return loadgen.Report{
		Client: run.Meta.Client, Backends: run.Meta.Backends, Errors: run.Meta.Errors, Aborted: run.Meta.Client.Aborted,
		StartedAt: order.Start, Ended: run.End(), Requests: len(run.Requests),
	}, nil
}

// PutBack deletes the Job, and restores the bed that was loaded. A Job that cannot be
// deleted ends on its own.
func (b *Fleet) PutBack(ctx context.Context, p *Plan) error {
	if b.many != nil {
		if err := b.many.Close(ctx); err != nil {
			p.say("warning: could not delete Job %s/%s (%v); it ends on its own, or: kubectl delete job -n %s %s",
				b.job.Namespace, b.job.Name, err, b.job.Namespace, b.job.Name)
		}
		b.many = nil
	}
	return b.Bed.PutBack(ctx, p)
}

// TLS says how to check a server's certificate: with the system's roots and those of pem,
// or not at all. nil = as the system does.
func TLS(pem []byte, insecure bool) (*tls.Config, error) {
	if pem == nil && !insecure {
		return nil, nil
	}
	c := &tls.Config{InsecureSkipVerify: insecure} //nolint:gosec // what --insecure asks for
	if pem != nil {
		var err error
		if c.RootCAs, err = x509.SystemCertPool(); err != nil {
			c.RootCAs = x509.NewCertPool()
		}
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificate in it (PEM)")
		}
	}
	return c, nil
}

// Obey is the worker's side: it sends the shard of an order and leaves its run in p.Dir;
// the rest of the plan comes from the order. Its files are unpacked into files; headers is
// a file of secrets that may not exist.
func Obey(ctx context.Context, order fleet.Order, p Plan, files, headers string) error {
	if err := order.Unpack(files); err != nil {
		return err
	}
	var err error
	p.Source = order.Files[order.Profile]
	if p.Profile, err = profiles.Parse(order.Profile, p.Source, os.DirFS(files)); err != nil {
		return err
	}
	if p.TLS, err = TLS(order.CA, order.Insecure); err != nil {
		return err
	}
	if _, err := os.Stat(headers); err == nil {
		p.HeaderFile = headers
	}
	p.Bed, p.Seed, p.Shard, p.Start = Endpoint{order.URL}, order.Seed, order.Shard, order.Start
	p.MaxRate, p.InFlight, p.HTTP2 = order.MaxRate, order.InFlight, order.HTTP2
	_, err = Record(ctx, p)
	return err
}

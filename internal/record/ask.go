package record

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/fleet"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/loadgen"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Ask is a request for a run, as given on the command line. Run makes Plans of it and
// records them. A zero field was not given.
type Ask struct {
	// Plan holds the fields that are used as they are: Version, Capacity, HeaderFile,
	// MaxRate, InFlight, HTTP2, Screen, TTY and Say. Seed 0 means the profile's.
	Plan Plan

	Load       string // the profile: see ReadProfile
	Override   profiles.Override
	Rate       string   // of the profile's peak: "5/s"
	Objectives []string // in place of the profile's

	// What to load: a sandbox, a URL, the workload of an HPA, or a target without one, at
	// its URL or at the entry point that is found. None of these = the profile's
	// target.url.
	Sandbox bool
	URL     string
	HPA     string // NAMESPACE/NAME or NAME
	Target  string // deployment/NAME

	Filename string  // the HPA to run with, in the sandbox or applied; "-" = Stdin
	Speed    float64 // of the sandbox, in simulated seconds per real second
	NoProbe  bool    // do not send a test request before the load
	CAFile   string  // PEM beside the system's roots
	Insecure bool    // do not verify the server's certificate
	Out      string  // the run folder; "" = see Dir

	Cluster ClusterAsk
	Scrape  ScrapeAsk
	Fleet   FleetAsk

	Stdin io.Reader
	// Confirm asks before load is sent to another machine and before anything is changed;
	// its error ends the run. nil = always confirmed.
	Confirm func() error
}

// FleetAsk is the part of an Ask about several load generators.
type FleetAsk struct {
	Shard   string           // "I/N": send this part of the schedule; "" = all of it
	Start   string           // of the first arrival, RFC 3339; "" = now
	Job     fleet.JobOptions // Workers = 0: this process sends
	Avoid   string           // prefer nodes without pods that have these labels; "" = the loaded pods' labels
	Timeout time.Duration    // until the workers are ready
}

// Each is called when a run of an Ask ends, with its plan and what Record returned. Its
// error ends the Ask.
type Each func(p Plan, run *results.Run, err error) error

// Run records what was requested: one run, or one at each fixed size. Everything that can
// be rejected is rejected before a folder is made or a request is sent, with an error of
// kind failure.Input.
func (a *Ask) Run(ctx context.Context, each Each) error {
	if !a.Sandbox && a.URL == "" && a.Load == "" && !a.InCluster() {
		return failure.Inputf("no target: pass --sandbox, --url, --hpa or --target\nTry: hpatune run --sandbox -p demo")
	}
	p, err := a.plan()
	if err != nil {
		return err
	}
	if p.Dir, err = Dir(a.Out, p.Profile.Name); err != nil {
		return err
	}
	if len(a.Cluster.Fix) == 0 { // before anything is sent or asked; else each size has a folder
		if err := store.Free(p.Dir); err != nil {
			return err
		}
	}
	var c *cluster
	switch {
	case a.InCluster():
		c, err = a.cluster(ctx, &p)
	case a.Sandbox:
		err = a.sandbox(&p)
	default:
		err = a.endpoint(ctx, &p)
	}
	if err != nil {
		return err
	}
	if c != nil && len(a.Cluster.Fix) > 0 {
		return a.sizes(ctx, p, c.bed, each)
	}
	if c != nil && a.Cluster.Apply {
		if err := a.apply(c); err != nil {
			return err
		}
	}
	run, err := Record(ctx, p)
	return each(p, run, err)
}

// InCluster reports whether the Ask is about a workload in a cluster.
func (a *Ask) InCluster() bool { return a.HPA != "" || a.Target != "" }

// plan makes the part of a plan that is about the load and how to send it.
func (a *Ask) plan() (p Plan, err error) {
	p = a.Plan
	if p.HeaderFile != "" { // before anything is said of a load
		if _, err := os.Stat(p.HeaderFile); err != nil {
			return p, failure.Inputf("--header-file: %w", err)
		}
	}
	name := a.Load
	if name == "" && a.Sandbox {
		name = demo
	}
	if name == "" {
		return p, failure.Inputf("no profile: pass -p FILE or -p NAME, one of %s", strings.Join(profiles.Names(), ", "))
	}
	if p.Profile, p.Source, err = ReadProfile(name); err != nil {
		return p, err
	}
	if p.Profile, p.Source, err = a.overridden(p.Profile, p.Source); err != nil {
		return p, err
	}
	for _, note := range p.Profile.Notes {
		p.say("%s", note)
	}
	if p.Secrets, err = envHeaders(os.Getenv("HPATUNE_HEADERS")); err != nil {
		return p, err
	}
	ca, err := a.ca()
	if err != nil {
		return p, err
	}
	if p.TLS, err = TLS(ca, a.Insecure); err != nil {
		return p, failure.Inputf("--ca-file %s: %w", a.CAFile, err)
	}
	p.Seed = cmp.Or(p.Seed, p.Profile.Seed)
	if len(a.Objectives) > 0 {
		p.Profile.Objectives = a.Objectives
	}
	if err := a.part(&p); err != nil {
		return p, err
	}
	objectives, err := results.ParseObjectives(p.Profile.Objectives)
	if p.Capacity > 0 {
		p.Objectives = objectives
	}
	return p, failure.As(failure.Input, err)
}

// part sets which part of the schedule a plan sends, and when it starts.
func (a *Ask) part(p *Plan) (err error) {
	f := &a.Fleet
	if f.Shard != "" {
		if p.Shard, err = fleet.ParseShard(f.Shard); err != nil {
			return failure.As(failure.Input, err)
		}
	}
	if f.Start != "" {
		if p.Start, err = time.Parse(time.RFC3339Nano, f.Start); err != nil {
			return failure.Inputf("--start %q: not an RFC 3339 time\nTry: %s", f.Start,
				time.Now().Add(time.Minute).UTC().Format(time.RFC3339))
		}
		if ago := time.Since(p.Start); ago > 0 {
			return failure.Inputf("--start %s is in the past (%s ago)", f.Start, ago.Round(time.Second))
		}
	}
	if f.Job.Workers < 0 {
		return failure.Inputf("--workers %d: want 1 or more", f.Job.Workers)
	}
	return nil
}

// sandbox completes a plan of run --sandbox.
func (a *Ask) sandbox(p *Plan) error {
	box, err := NewSandbox(a.Filename, a.Speed, a.Plan.Say)
	if err != nil {
		return err
	}
	if note := ForSandbox(p.Profile); note != "" {
		p.say("%s", note)
	}
	starts := sandbox.DefaultService().Startup()
	if text, short := TooShort(p.Profile.Duration(), box.HPA, hpa.DefaultParams(), starts); short {
		p.say("warning: %s", text)
	}
	if p.Capacity > 0 { // a capacity is measured at a fixed size
		box.HPA = box.HPA.Clone()
		box.HPA.MaxReplicas = box.HPA.MinReplicas
	}
	if err := a.Scrape.sandbox(box); err != nil {
		return err
	}
	p.Bed = box
	return nil
}

// endpoint completes a plan of run --url.
func (a *Ask) endpoint(ctx context.Context, p *Plan) error {
	url := cmp.Or(a.URL, p.Profile.Target.URL)
	if url == "" {
		return failure.Inputf("no target: pass --url or --sandbox, or set target.url in the profile")
	}
	url, err := a.address(p, url)
	if err != nil {
		return err
	}
	if err := a.confirm(p, url); err != nil {
		return err
	}
	if err := a.probe(ctx, p, url); err != nil {
		return err
	}
	p.Bed = Endpoint{URL: url}
	if a.Fleet.Job.Workers == 0 {
		return nil
	}
	c, err := kube.Connect(ctx, a.Cluster.Kube)
	if err != nil {
		return err
	}
	return a.withFleet(p, c, c.Namespace, "")
}

// envHeaders reads secret headers: Name: value lines, as in a header file.
func envHeaders(text string) (http.Header, error) {
	h := http.Header{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.TrimSpace(name) == "" { // the line itself may be a secret
			return nil, failure.Inputf("HPATUNE_HEADERS: want \"Name: value\" on each line")
		}
		h.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	return h, nil
}

// ca reads the CA file; nil = none was given.
func (a *Ask) ca() ([]byte, error) {
	if a.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(a.CAFile)
	if err != nil {
		return nil, failure.Inputf("--ca-file: %w", err)
	}
	return pem, nil
}

// capacitySteps is the usual maximum number of steps of a capacity search: ten doublings,
// and a bisection to 5 %.
const capacitySteps = 20

// confirm prints what is about to happen, and asks. Load to this machine needs no
// confirmation.
func (a *Ask) confirm(p *Plan, url string) error {
	f := p.Profile
	if p.Capacity > 0 {
		limit := "no rate limit; set one with --max-rate"
		if p.MaxRate > 0 {
			most := float64(capacitySteps) * p.Capacity.Seconds() * p.MaxRate
			limit = fmt.Sprintf("at most %g/s, so some %.0f requests if it takes %d steps", p.MaxRate, most, capacitySteps)
		}
		p.say(
			"Finding the capacity of %s (the stages of %s are not sent): steps of %s with 1, 2, 4, … up to %d requests in "+
				"flight (%s), "+
				"then steps at fixed rates up to 10 %% above the rate reached; about 10 to %d steps in total.",
			RedactURL(url),
			f.Name,
			p.Capacity,
			loadgen.MaxConcurrency,
			limit,
			capacitySteps,
		)
	} else {
		p.say("Sending to %s: profile %s, %d requests in %s, at most %.4g/s.",
			RedactURL(url), f.Name, f.Preview(p.Seed).Arrivals, figure.Duration(f.Duration().Round(time.Second)),
			float64(f.Peak()))
	}
	if Loopback(url) {
		return nil
	}
	return a.sure()
}

// sure asks whether to go on.
func (a *Ask) sure() error {
	if a.Confirm == nil {
		return nil
	}
	return a.Confirm()
}

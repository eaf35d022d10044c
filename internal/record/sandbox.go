package record

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/observer"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// Sandbox is the bed of run --sandbox: a simulated cluster on this machine.
type Sandbox struct {
	HPA      hpa.Config
	Manifest []byte  // the HPA as written
	Speed    float64 // world seconds a wall second, 1 to sandbox.MaxSpeed
	// Scrape is where to read the pods' metrics, and ScrapeNames are additional ones to
	// record; nil = they are not read.
	Scrape      *observer.Page
	ScrapeNames []string

	signals   map[string]sandbox.Signal // of the External metrics
	namespace string                    // the label of the pods' series; "" = sandbox
	clock     results.Clock             // of the run, once it is open; cron triggers follow it

	box *sandbox.Sandbox
}

// NewSandbox makes a sandbox that runs the one HPA of a file ("" = a commonly copied one)
// at a speed in simulated seconds per real second. say takes warnings about the manifest;
// nil drops them.
func NewSandbox(file string, speed float64, say func(text string)) (*Sandbox, error) {
	text := []byte(manifest.Handwritten)
	if file != "" {
		var err error
		if text, err = os.ReadFile(file); err != nil {
			return nil, failure.As(failure.Input, err)
		}
	}
	if speed < 1 || speed > sandbox.MaxSpeed {
		return nil, failure.Inputf("--speed %g: want 1 to %d", speed, sandbox.MaxSpeed)
	}
	h, err := manifest.One(cmp.Or(file, "handwritten.yaml"), text)
	(&Plan{Say: say}).warn(h.Warnings)
	if err != nil {
		return nil, failure.As(failure.Input, err)
	}
	b := &Sandbox{HPA: h.Config, Manifest: text, Speed: speed, ScrapeNames: readBy(&h)}
	if h.Scaled != nil {
		if o := h.Scaled.Scaled; o.Min() == 0 && say != nil {
			say("the sandbox does not scale to zero: minReplicaCount 0 counts as 1")
		}
		b.namespace = h.Scaled.Scaled.Namespace
	}
	if b.signals, err = signalsOf(&h, b.now); err != nil {
		return nil, failure.Inputf("%s: %w\nTry: hpatune help keda", file, err)
	}
	return b, nil
}

// now is the run's present time of day: it begins with the wall clock's, and passes at the
// sandbox's speed.
func (b *Sandbox) now() time.Time { return b.clock.Start.Add(b.clock.At(time.Now())) }

// Prepare does nothing: a sandbox starts with the run's clock.
func (b *Sandbox) Prepare(context.Context, *Plan) (Timing, error) { return Timing{lead, b.Speed}, nil }

// Open starts the box.
func (b *Sandbox) Open(s *Session) (Scene, error) {
	b.clock = s.Clock
	box, err := sandbox.New(sandbox.Options{
		Clock: s.Clock, HPA: b.HPA, Seed: uint64(s.Plan.Seed), External: b.signals, Namespace: b.namespace,
	})
	if err != nil {
		return Scene{}, fmt.Errorf("sandbox: %w", err)
	}
	b.box = box
	s.Meta.Target.Kind, s.Meta.Workload, s.Meta.HPA = results.OfSandbox, box.Workload(), box.HPA()
	sources := []observer.Source{box}
	if b.Scrape != nil {
		scrape, err := b.scrape(box)
		if err != nil {
			return Scene{}, err
		}
		s.Plan.say("scrape: %s", scrape.Describe())
		scrape.Clock = s.Clock
		sources = append(sources, scrape)
	}
	return Scene{
		URL: box.URL(), Files: map[string][]byte{"hpa.yaml": b.Manifest}, Counts: true,
		Watch: func(ctx context.Context, emit results.Emit) error {
			err := observer.Watch(ctx, emit, sources...)
			if err == nil || ctx.Err() != nil {
				return nil
			}
			at := s.Clock.At(time.Now())
			emit(results.Gap{Source: results.SourceSandbox, From: at, To: at, Why: err.Error()})
			return fmt.Errorf("sandbox: %w", err)
		},
		Conclude: func(m *results.Meta, sent int64) {
			m.Client.FloorS = box.FloorS()
			if sent > 0 {
				foreign := max(float64(box.Requests())/float64(sent)-1, 0)
				m.Client.ForeignRatio = &foreign
			}
		},
	}, nil
}

// scrape reads the pods directly: each at the address that stands for the port
// sandbox.Port.
func (b *Sandbox) scrape(box *sandbox.Sandbox) (*observer.Scrape, error) {
	page := *b.Scrape
	return observer.NewScrape(context.Background(), page, b.ScrapeNames, func() []observer.Scraped {
		var out []observer.Scraped
		for _, p := range box.Pods() {
			out = append(out, observer.Scraped{Name: p.Name, Ready: p.Ready, Get: observer.Directly(p.Address, page)})
		}
		return out
	})
}

// PutBack ends the box.
func (b *Sandbox) PutBack(context.Context, *Plan) error {
	if b.box != nil {
		b.box.Close()
	}
	return nil
}

// ForSandbox adapts a profile to what the sandbox serves, and says what it changed; "" =
// nothing that matters.
func ForSandbox(p *profiles.Profile) (note string) {
	t := &p.Target
	if !strings.HasPrefix(t.Protocol, "openai-") {
		note = fmt.Sprintf(
			"the sandbox serves OpenAI completions, so target.protocol %s is replaced by openai-completions",
			t.Protocol,
		)
		*t = profiles.Target{Protocol: "openai-completions"}
	}
	t.Model, t.Path = sandbox.DefaultService().Model, ""
	return note
}

package tuner

import (
	"context"
	"math"
	"runtime"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// bench is what candidates are tried on: one world and its replicates, the
// objectives, and what a replica costs. It is immutable while in use.
type bench struct {
	world  *replay.World
	draws  []draw // the replicates: the same for every candidate (common random numbers)
	goals  goals
	need   []float64 // ready replicas that the load takes, a tick
	warmup func(tick int) bool

	space      Space
	perReplica float64 // requests a second that a replica carries within the limits
	price      Price
	replica    Replica
	represents string // day, week or ""
	streams    bool   // answers have a first token
}

// draw is one replicate for the exact plant, as replay.SimulateExact takes it.
type draw struct {
	world *replay.World
	seed  uint64
}

// trial is what one configuration did over the replicates, each slice by
// replicate.
type trial struct {
	config                                                  hpa.Config
	attainment, hours, ready, errors, flaps, capacity, peak []float64
	ttft, e2e                                               []float64 // p95, seconds
	requests, tokens                                        []float64
	met                                                     []bool
	distance                                                int // knobs changed from the current configuration
}

func (t *trial) pMet() float64 {
	n := 0
	for _, m := range t.met {
		if m {
			n++
		}
	}
	return ratio(float64(n), float64(len(t.met)))
}

func mean(v []float64) float64 {
	s := 0.0
	for _, x := range v {
		s += x
	}
	return ratio(s, float64(len(v)))
}

// fluid is a candidate's one pass over the fluid plant.
type fluid struct {
	config     hpa.Config
	attainment float64
	hours      float64
	errors     float64
	flaps      int
	capacity   float64
	windows    float64 // share of windows within, where an objective asks; else 1
}

// pass runs one configuration over the fluid plant.
func (b *bench) pass(w *replay.World, cfg hpa.Config, s *replay.Scratch) fluid {
	a := tally{step: w.Demand.Step, warmup: b.warmup, need: b.need, by: b.goals.windowTicks(w.Demand.Step)}
	replay.Simulate(w, cfg, s, a.tick)
	return fluid{config: cfg, attainment: a.attainment(), hours: a.hours(), errors: a.errorRatio(), flaps: a.flaps, capacity: a.timeToCapacity(), windows: b.goals.windowShare(&a)}
}

// timeline runs one configuration over one replicate with the exact plant.
func (b *bench) timeline(d draw, cfg hpa.Config, s *replay.Scratch) (results.Timeline, tally) {
	var l plant.Latency
	s.Latency, s.Warmup = &l, b.warmup
	defer func() { s.Latency, s.Warmup = nil, nil }()
	tl := results.Timeline{Step: d.world.Demand.Step, Ticks: make([]results.Tick, 0, len(d.world.Demand.Bins))}
	a := tally{step: tl.Step, warmup: b.warmup, need: b.need}
	replay.SimulateExact(d.world, cfg, d.seed, s, func(k *results.Tick) {
		a.tick(k)
		tl.Ticks = append(tl.Ticks, *k)
	})
	l.Into(&tl)
	return tl, a
}

// try runs one configuration over every replicate with the exact plant.
func (b *bench) try(cfg hpa.Config, s *replay.Scratch) trial {
	t := trial{config: cfg}
	for _, d := range b.draws {
		tl, a := b.timeline(d, cfg, s)
		t.attainment = append(t.attainment, a.attainment())
		t.hours = append(t.hours, a.hours())
		t.ready = append(t.ready, a.readyHours())
		t.errors = append(t.errors, a.errorRatio())
		t.flaps = append(t.flaps, float64(a.flaps))
		t.capacity = append(t.capacity, a.timeToCapacity())
		t.peak = append(t.peak, a.podMax)
		t.requests = append(t.requests, a.done)
		t.tokens = append(t.tokens, a.tokens)
		t.ttft = append(t.ttft, p95(tl.TTFT))
		t.e2e = append(t.e2e, p95(tl.E2E))
		t.met = append(t.met, b.goals.met(&tl, &a))
	}
	return t
}

func p95(h results.Hist) float64 {
	d, ok := h.Quantile(0.95)
	if !ok {
		return math.NaN()
	}
	return d.Seconds()
}

// parallel calls work(i) for 0 ≤ i < n on as many workers as there are cores,
// each with its own scratch, and progress with the number done. It stops early
// when ctx is done and returns its error.
func parallel(ctx context.Context, n int, progress func(done int), work func(i int, s *replay.Scratch)) error {
	var (
		mu   sync.Mutex
		next int
		done int
		wg   sync.WaitGroup
	)
	for range max(1, min(runtime.GOMAXPROCS(0), n)) {
		wg.Go(func() {
			var s replay.Scratch
			for ctx.Err() == nil {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				work(i, &s)
				mu.Lock()
				done++
				if progress != nil {
					progress(done)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// smoothed averages bins over a centred span, so that one second's chance is not
// taken for a need.
func smoothed(bins []float64, step, span time.Duration) []float64 {
	half := int(span / step / 2)
	sum := make([]float64, len(bins)+1)
	for i, b := range bins {
		sum[i+1] = sum[i] + b
	}
	out := make([]float64, len(bins))
	for i := range bins {
		lo, hi := max(i-half, 0), min(i+half+1, len(bins))
		out[i] = (sum[hi] - sum[lo]) / float64(hi-lo)
	}
	return out
}

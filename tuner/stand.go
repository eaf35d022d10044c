package tuner

import (
	"fmt"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// firstLoad is the span whose mean load a candidate has settled at before the replay
// starts.
const firstLoad = time.Minute

// settled is how long a candidate gets to settle, in addition to its scale-down window and
// a start-up: a few reconciles and scrapes.
const settled = 2 * time.Minute

// calmed returns the world under the mean load of its first minute, for as long as span. It
// shares w's tables.
func calmed(w *replay.World, span time.Duration) *replay.World {
	d := w.Demand
	n := min(max(int(firstLoad/d.Step), 1), len(d.Bins))
	sum := 0.0
	for _, b := range d.Bins[:n] {
		sum += b
	}
	bins := make([]float64, max(int(span/d.Step), 1))
	for i := range bins {
		bins[i] = sum / float64(n)
	}
	calm := *w
	calm.Demand = replay.Demand{Step: d.Step, Bins: bins, Source: d.Source, CV2: d.CV2}
	calm.Memory, calm.Sync.Recorded = hpa.Memory{}, nil
	return &calm
}

// standing returns the size at which cfg meets the load when the replay starts: the size
// that its own HPA holds after one stabilization window of the first minute's mean load,
// within its bounds. All its pods are ready. What the rollout of a new HPA does in its
// first minutes is a separate question.
//
// The settled size depends on bounds, targets and tolerance. Policies only affect the
// speed, so Kubernetes' defaults replace them, and configurations that differ only in
// policies share one answer.
func (b *bench) standing(cfg hpa.Config, s *replay.Scratch) int32 {
	rest := cfg.Clone()
	if rest.Behavior {
		up, down := hpa.DefaultScaleUp(), hpa.DefaultScaleDown()
		rest.ScaleUp.Policies, rest.ScaleUp.Select, rest.ScaleUp.Window = up.Policies, up.Select, 0
		rest.ScaleDown.Policies, rest.ScaleDown.Select = down.Policies, down.Select
	}
	key := fmt.Sprint(rest)
	if n, ok := b.stands.Load(key); ok {
		return n.(int32)
	}
	calm := calmed(b.world, b.settling(&rest))
	calm.Replicas = b.outset(&rest, &calm.Demand)
	size := float64(calm.Replicas)
	show := s.OnDecision
	s.OnDecision = nil
	replay.Simulate(calm, rest, s, func(t *results.Tick) { size = t.Spec })
	s.OnDecision = show
	n := min(max(int32(size), cfg.MinReplicas), cfg.MaxReplicas)
	b.stands.Store(key, n)
	return n
}

// settling is how long a configuration gets to settle.
func (b *bench) settling(c *hpa.Config) time.Duration {
	span := window(c.ScaleDown, b.world.Params.DownscaleStabilization) + b.space.Start + settled
	if l := b.world.Loop; l != nil && b.sleeps(c) {
		span += l.Cooldown + 2*l.Polling
	}
	return span
}

// outset is the size from which it settles: the recorded one, or what a steady load needs,
// within its bounds.
func (b *bench) outset(c *hpa.Config, steady *replay.Demand) int32 {
	n := float64(b.world.Replicas)
	if b.perReplica > 0 {
		n = max(n, needs(steady.Bins[:1], steady.Step, b.perReplica)[0])
	}
	return int32(min(max(n, float64(c.MinReplicas)), float64(c.MaxReplicas)))
}

// under returns w as cfg finds it: at its settled size, and with an empty memory. A bench
// without need starts at the recorded size.
func (b *bench) under(w *replay.World, cfg hpa.Config, s *replay.Scratch) *replay.World {
	if b.asRecorded {
		return w
	}
	d := *w
	d.Replicas, d.Memory = b.standing(cfg, s), hpa.Memory{}
	return &d
}

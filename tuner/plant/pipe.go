package plant

import (
	"math"
	"time"
)

// MaxPipes is the number of metrics one world can have.
const MaxPipes = 6

// ringSize is how many scrapes a pipe remembers.
const ringSize = 16

// DefaultEvery is the time between two scrapes: --metric-resolution in
// metrics-server's manifests.
const DefaultEvery = 15 * time.Second

// Pipe is one metric on its way from the pod to the autoscaler. The value of a pod at any
// instant is a monotone function of its load, with a ceiling,
//
//	min(Ceiling, Base + PerDone·(completions/s) + PerWork·(work/s) + PerRunning·(in service) + PerWaiting·(queued) +
//	  PerArrival·(arrivals/s) + PerOldest·(age of the longest waiting))
//
// in base units: cores, bytes, requests. For CPU, Base is the idle usage, PerDone the
// CPU-seconds per request, and Ceiling the limit. For "running", PerRunning is 1.
type Pipe struct {
	Name     string  // the metric: cpu, memory, or the name of a Pods, Object or External metric
	Base     float64 // of a ready pod without load
	Starting float64 // of a pod whose containers run but that is not ready yet
	PerDone  float64
	// PerWork is per unit of own work done, in mean requests: a request that takes twice as
	// long counts as two. If services slow down as slots fill, this value saturates when the
	// server does.
	PerWork    float64
	PerRunning float64
	PerWaiting float64
	PerArrival float64 `json:",omitempty"`
	PerOldest  float64 `json:",omitempty"` // per second of age of the request that has waited longest
	Ceiling    float64 // 0 = none

	Every  time.Duration // between two scrapes; 0 = 15 s
	Phase  time.Duration // of the first scrape after the start, 0 ≤ Phase < Every
	Window time.Duration // averaged over, in whole scrapes; 0 = the value at the scrape
	Delay  time.Duration // from the instant that a value describes until the autoscaler can read it
	// Fresh is the age from which a container with only one scrape is reported, as an average
	// since its start: 10 s in metrics-server; 0 = never.
	Fresh time.Duration
	// Apart means that each pod is scraped at its own phase, as Prometheus does it. Otherwise
	// all pods are scraped at once, as metrics-server does it. Only values at the scrape
	// (Window 0) support it.
	Apart bool
	// Phases are the phases at which pods were scraped in a recording, in order of creation,
	// for a replay of that recording (InOrder); negative = not known.
	Phases []time.Duration `json:",omitempty"`
	// Over is how an Object or External metric is computed from the pods' values. It has no
	// effect on metrics of single pods.
	Over Pool
	// Under is the name of the pipe whose aggregate divides this one's; "" = none. It has no
	// effect on metrics of single pods.
	Under string `json:",omitempty"`
	// Times, if set, is what it reads instead of the load: how long requests took.
	Times *Times `json:",omitempty"`
}

// Pool is how the values of all pods are aggregated into one number.
type Pool int8

// The aggregations.
const (
	Sum   Pool = iota // over all pods: requests waiting anywhere
	Mean              // over the pods that have a value: a ratio, a utilization
	Max               // the largest value of any pod
	Count             // the number of pods that have a value
)

// PoolNamed returns the aggregation that PromQL has under a name; Sum for any other.
func PoolNamed(name string) Pool {
	for _, p := range []Pool{Mean, Max, Count} {
		if p.String() == name {
			return p
		}
	}
	return Sum
}

// String returns the name of the aggregation in PromQL.
func (p Pool) String() string {
	switch p {
	case Mean:
		return "avg"
	case Max:
		return "max"
	case Count:
		return "count"
	}
	return "sum"
}

// Of returns the aggregate of values, each of which n pods have; 0 for no pods.
func (p Pool) Of(values []float64, n []int) float64 {
	sum, count, most := 0.0, 0, 0.0
	for i, v := range values {
		if n[i] == 0 {
			continue
		}
		sum += v * float64(n[i])
		if count == 0 || v > most {
			most = v
		}
		count += n[i]
	}
	switch {
	case p == Max:
		return most
	case p == Count:
		return float64(count)
	case p == Mean && count > 0:
		return sum / float64(count)
	}
	return sum
}

// pipe is a Pipe in ticks and seconds.
type pipe struct {
	base, starting, ceiling                  float64
	perDone, perWork, perRunning, perWaiting float64
	perArrival, perOldest                    float64

	every, phase, window int // ticks, ticks, scrapes (0 = instant)
	delay, fresh         float64
	stamp                float64 // exact time of the first scrape, seconds
	apart                bool    // each pod has its own phase
	phases               []int   // Pipe.Phases, ticks
	// The window as the samples state it, seconds: slightly more or less than whole scrapes.
	reported float64
}

func (p Pipe) compile(i int, step time.Duration, bad func(string, ...any)) pipe {
	if p.Every == 0 {
		p.Every = DefaultEvery
	}
	ticks := func(d time.Duration) int { return int((d + step/2) / step) }
	c := pipe{
		base:       p.Base,
		starting:   p.Starting,
		perDone:    p.PerDone,
		perWork:    p.PerWork,
		perRunning: p.PerRunning,
		perWaiting: p.PerWaiting,
		perArrival: p.PerArrival,
		perOldest:  p.PerOldest,
		ceiling:    p.Ceiling,
		every:      max(1, ticks(p.Every)),
		delay:      p.Delay.Seconds(),
		fresh:      p.Fresh.Seconds(),
		apart:      p.Apart,
	}
	for _, at := range p.Phases {
		if at >= 0 {
			c.phases = append(c.phases, ticks(at)%c.every)
		} else {
			c.phases = append(c.phases, -1)
		}
	}
	if p.Apart && p.Window > 0 {
		bad("metric %d %q averages over %v and is scraped apart; only one of the two is modelled", i, p.Name, p.Window)
	}
	if c.ceiling == 0 {
		c.ceiling = math.Inf(1)
	}
	if p.Window > 0 {
		c.window = max(1, int((p.Window+p.Every/2)/p.Every))
		c.reported = p.Window.Seconds()
	}
	p.checkTimes(i, bad)
	c.setPhase(p.Phase, step)
	if back := c.window + int(math.Ceil(p.Delay.Seconds()/p.Every.Seconds())) + 1; back > ringSize {
		bad("metric %d %q looks %d scrapes back (window %v, delay %v, every %v); at most %d", i, p.Name, back, p.Window,
			p.Delay, p.Every, ringSize)
	}
	if p.Every < 0 || p.Phase < 0 || p.Window < 0 || p.Delay < 0 || p.Fresh < 0 {
		bad("metric %d %q has a negative time: every %v, phase %v, window %v, delay %v, fresh %v", i, p.Name, p.Every,
			p.Phase, p.Window, p.Delay, p.Fresh)
	}
	return c
}

// flowing returns an Apart pipe as the mean over all phases: it is read often, with half an
// interval more delay. Other pipes are returned unchanged.
func (p pipe) flowing(dt float64) pipe {
	if !p.apart {
		return p
	}
	p.delay += float64(p.every) * dt / 2
	p.every = max(1, int(math.Ceil(p.delay/dt/(ringSize-4))))
	p.phase, p.stamp = 0, 0
	return p
}

// offset returns by how many ticks the index-th pod is scraped later than the phase of pipe k.
func (m *Model) offset(k, index int) int {
	p := &m.pipes[k]
	switch {
	case !p.apart:
		return 0
	case m.inOrder >= 0 && index < len(p.phases) && p.phases[index] >= 0:
		return (p.phases[index] - p.phase + p.every) % p.every
	}
	return int(mix(m.Seed+uint64(k)*0x9e3779b9, uint64(index)) % uint64(p.every))
}

// setPhase puts the first scrape at the step nearest to phase. A phase at the very end of an
// interval wraps to the start of the next one.
func (p *pipe) setPhase(phase, step time.Duration) {
	p.phase, p.stamp = int((phase+step/2)/step), phase.Seconds()
	if p.phase >= p.every {
		p.phase -= p.every
		p.stamp -= float64(p.every) * step.Seconds()
	}
}

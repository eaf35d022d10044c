package plant

import (
	"math"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Latency collects the latencies of successful requests, from their arrival. Only the few
// replays that are shown collect it. TTFT stays empty if answers do not stream.
type Latency struct {
	TTFT, ITL, TPOT, E2E results.Hist
	// Whole leaves ITL and TPOT empty: only times of whole requests are asked for.
	Whole bool
}

// Reset empties all of them and keeps their memory.
func (h *Latency) Reset() {
	for _, of := range []*results.Hist{&h.TTFT, &h.ITL, &h.TPOT, &h.E2E} {
		of.Reset()
	}
}

// Into copies the latencies into the timeline of the same replay. A latency that is missing
// here is not predicted, so no objective about it is judged. A replay sends every request
// exactly at its scheduled time.
func (h *Latency) Into(t *results.Timeline) {
	t.TTFT, t.ITL, t.TPOT, t.E2E = h.TTFT, h.ITL, h.TPOT, h.E2E
	t.TTFTFromSent, t.E2EFromSent = h.TTFT, h.E2E
}

// waitPoints are the quantiles that represent the exponential part of a wait: -ln(1-q) at the
// middles of equal parts, and two in the tail.
var waitPoints = func() []struct{ wait, weight float64 } {
	var out []struct{ wait, weight float64 }
	add := func(lo, hi float64) {
		// The conditional mean over [lo, hi) keeps the total mean exact.
		cdf := func(q float64) float64 { // ∫ -ln(1-u) du from 0 to q
			if q >= 1 {
				return 1
			}
			return q + (1-q)*math.Log(1-q)
		}
		out = append(out, struct{ wait, weight float64 }{(cdf(hi) - cdf(lo)) / (hi - lo), hi - lo})
	}
	for _, b := range [][2]float64{{0, .2}, {.2, .4}, {.4, .6}, {.6, .75}, {.75, .85}, {.85, .92}, {.92, .96}, {.96,
		.98}, {.98, .99}, {.99, .995}, {.995, .999}, {.999, 1}} {
		add(b[0], b[1])
	}
	return out
}()

// observe adds n requests at utilisation rho with back seconds of backlog
// before them.
func (h *Latency) observe(m *Model, p *pool, rho, back, n float64) {
	if n <= 0 {
		return
	}
	pw, theta, stretch := p.waits(rho)
	times := m.times
	if p.met != nil {
		times = p.metAt(rho)
	}
	each := n / float64(len(times))
	add := func(wait, weight float64) {
		for _, t := range times {
			h.E2E.Add(seconds(wait+t.Total*stretch), each*weight)
			if t.hasFirst() {
				h.TTFT.Add(seconds(wait+t.First*stretch), each*weight)
			}
			if tpot, ok := t.perToken(); ok && !h.Whole {
				h.TPOT.Add(seconds(tpot*stretch), each*weight)
				if t.Gap > 0 {
					h.ITL.Add(seconds(t.Gap*stretch), each*weight)
				}
			}
		}
	}
	add(back, 1-pw)
	if pw > 1e-6 {
		for _, q := range waitPoints {
			add(back+q.wait*theta, pw*q.weight)
		}
	}
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

package plant

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// poisson returns arrivals at a constant rate for the given seconds.
func poisson(seed uint64, rate, seconds float64) []Request {
	r := rand.New(rand.NewPCG(seed, 1))
	var out []Request
	for t := r.ExpFloat64() / rate; t < seconds; t += r.ExpFloat64() / rate {
		out = append(out, Request{At: t, Index: len(out)})
	}
	return out
}

// play runs an exact plant with n ready pods on the requests.
func play(m *Model, n int, requests []Request, seconds int) ([]results.Tick, *Latency) {
	var e Exact
	var l Latency
	ticks := make([]results.Tick, seconds)
	e.Reset(m, n, 1, ticks, &l)
	next := 0
	for i := range seconds {
		from := next
		for next < len(requests) && requests[next].At < float64(i+1) {
			next++
		}
		e.Step(requests[from:next])
	}
	e.Finish()
	return ticks, &l
}

func total(ticks []results.Tick) (t results.Tick) {
	for _, k := range ticks {
		t.Arrivals += k.Arrivals
		t.Done += k.Done
		t.Failed += k.Failed
		t.Good += k.Good
		t.InFlight += k.InFlight
		t.Waiting += k.Waiting
	}
	return t
}

func TestExactIsMMc(t *testing.T) {
	const seconds = 40000
	for _, c := range []int{1, 4} {
		for _, rho := range []float64{0.5, 0.8} {
			law := SlotsLaw(c, exponential(5000, 0.2))
			m := compile(t, Spec{Law: law, Balancer: Random, ArrivalCV2: 1})
			lambda := rho * m.cap
			ticks, l := play(m, 1, poisson(7, lambda, seconds), seconds)
			s := total(ticks)
			wq := erlangC(c, rho*float64(c)) / (m.cap - lambda)
			mean, _ := l.E2E.Mean()
			if got := mean.Seconds() - 0.2; math.Abs(got-wq) > 0.06*wq+0.002 {
				t.Errorf("M/M/%d at ρ=%.1f: mean wait %.4f s, Erlang C says %.4f s", c, rho, got, wq)
			}
			// Little: L = λ·W, from two independent counts.
			if got, want := s.InFlight/seconds, s.Done/seconds*mean.Seconds(); math.Abs(got-want) > 0.02*want {
				t.Errorf("M/M/%d at ρ=%.1f: %.4f in flight, λ·W = %.4f", c, rho, got, want)
			}
		}
	}
}

// The fluid plant's figures at a constant load, compared with those of the exact plant.
func TestFluidAgreesWithExactAtRest(t *testing.T) {
	const seconds, n = 8000, 4
	for _, row := range []struct {
		name     string
		slots    int
		balancer Balancer
		rho      float64
	}{
		{"one slot, random, half full", 1, Random, 0.5},
		{"one slot, random, nearly full", 1, Random, 0.85},
		{"one slot, round robin, nearly full", 1, RoundRobin, 0.85},
		{"one slot, least connections, nearly full", 1, LeastConnections, 0.85},
		{"eight slots, round robin, nearly full", 8, RoundRobin, 0.85},
		{"eight slots, least connections, nearly full", 8, LeastConnections, 0.85},
		{"eight slots, random, half full", 8, Random, 0.5},
	} {
		t.Run(row.name, func(t *testing.T) {
			law := SlotsLaw(row.slots, exponential(2000, 0.2))
			m := compile(t, Spec{Law: law, Balancer: row.balancer, ArrivalCV2: 1, Limits: Limits{E2E: 800 * time.Millisecond}})
			lambda := row.rho * m.cap * n
			exact := total(first(play(m, n, poisson(3, lambda, seconds), seconds)))
			var f Fluid
			f.Reset(m, n, nil)
			tick := steps(&f, 2000, lambda)
			eGood, fGood := exact.Good/exact.Arrivals, tick.Good/tick.Arrivals
			if math.Abs(eGood-fGood) > 0.04 {
				t.Errorf("within the limit: exact %.4f, fluid %.4f", eGood, fGood)
			}
			if e := exact.InFlight / seconds; math.Abs(e-tick.InFlight) > 0.12*e {
				t.Errorf("in flight: exact %.3f, fluid %.3f", e, tick.InFlight)
			}
			t.Logf("good: exact %.4f fluid %.4f; in flight %.3f, %.3f", eGood, fGood, exact.InFlight/seconds, tick.InFlight)
		})
	}
}

func first[A, B any](a A, _ B) A { return a }

// A client timeout wastes the work on a request in service: in both plants, and far below
// capacity.
func TestTimeoutsUnderOverload(t *testing.T) {
	const seconds = 4000
	for _, load := range []float64{1.2, 1.6, 2.5} {
		law := SlotsLaw(2, exponential(2000, 1))
		law.Timeout = 10 * time.Second
		m := compile(t, Spec{Law: law, Balancer: Random, ArrivalCV2: 1})
		exact := total(first(play(m, 1, poisson(5, load*m.cap, seconds), seconds)))
		if exact.Done+exact.Failed != exact.Arrivals {
			t.Errorf("load %.1f: %v came, %v done and %v failed", load, exact.Arrivals, exact.Done, exact.Failed)
		}
		var f Fluid
		f.Reset(m, 1, nil)
		tick := steps(&f, 500, load*m.cap)
		e, g := exact.Failed/exact.Arrivals, tick.Failed/tick.Arrivals
		if math.Abs(e-g) > 0.06 {
			t.Errorf("load %.1f: exact fails %.3f, fluid %.3f", load, e, g)
		}
		if e := exact.InFlight / seconds; math.Abs(e-tick.InFlight) > 0.25*e {
			t.Errorf("load %.1f: exact holds %.2f, fluid %.2f", load, e, tick.InFlight)
		}
		t.Logf("load %.1f: failed %.3f, %.3f; in flight %.2f, %.2f", load, e, g, exact.InFlight/seconds, tick.InFlight)
	}
}

func TestFullQueueRefusesAtOnce(t *testing.T) {
	law := SlotsLaw(2, exponential(2000, 1))
	law.Queue = 10
	m := compile(t, Spec{Law: law, Balancer: Random, ArrivalCV2: 1})
	exact := total(first(play(m, 1, poisson(5, 4, 4000), 4000)))
	var f Fluid
	f.Reset(m, 1, nil)
	tick := steps(&f, 500, 4)
	if e := exact.Failed / exact.Arrivals; math.Abs(e-0.5) > 0.02 || math.Abs(tick.Failed/4-0.5) > 0.04 {
		t.Errorf("2/s of 4/s are served: exact refuses %.3f, fluid %.3f; want a half", e, tick.Failed/4)
	}
	if tick.InFlight > 12 {
		t.Errorf("2 slots and 10 places hold %.2f", tick.InFlight)
	}
}

func TestStretchSlowsAll(t *testing.T) {
	// Two in service take twice as long each. In effect a replica does one after the other, so
	// two that start together end at 2 s, not at 1 s.
	law := Law{Rate: []float64{0, 1, 1}, Times: constant(1, 1)}
	m := compile(t, Spec{Law: law, Limits: Limits{E2E: 1500 * time.Millisecond}})
	_, l := play(m, 1, []Request{{At: 0, Index: 0}, {At: 0, Index: 1}}, 5)
	if q, _ := l.E2E.Quantile(0); math.Abs(q.Seconds()-2) > 0.01 {
		t.Errorf("two at once on one core end after %v, want 2s", q)
	}
	_, l = play(m, 1, []Request{{At: 0, Index: 0}, {At: 0.5, Index: 1}}, 5)
	lo, _ := l.E2E.Quantile(0)
	hi, _ := l.E2E.Quantile(1)
	// The first one runs alone for half of its work, then both run at half speed: it ends at
	// 1.5 s. The second one, half done, then runs alone and ends at 2 s, 1.5 s after it came.
	if math.Abs(lo.Seconds()-1.5) > 0.01 || math.Abs(hi.Seconds()-1.5) > 0.01 {
		t.Errorf("overlapping by half they take %v and %v, want 1.5s both", lo, hi)
	}
}

package plant

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// exponential returns n service times at the quantile middles of an
// exponential distribution, rescaled so that the mean is exact.
func exponential(n int, mean float64) []ServiceTime {
	out := make([]ServiceTime, n)
	sum := 0.0
	for i := range out {
		out[i].Total = -mean * math.Log(1-(float64(i)+0.5)/float64(n))
		sum += out[i].Total
	}
	for i := range out {
		out[i].Total *= mean * float64(n) / sum
		out[i].First = out[i].Total
	}
	return out
}

// constant is one service time.
func constant(first, total float64) []ServiceTime {
	return []ServiceTime{{First: first, Total: total, Tokens: 1}}
}

// erlangC is the textbook's probability of waiting, by the Erlang B recursion, which the
// tables do not use.
func erlangC(c int, a float64) float64 {
	b := 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	rho := a / float64(c)
	return b / (1 - rho*(1-b))
}

var quick = []PhaseSample{{Schedule: time.Second, Pull: 5 * time.Second, Start: time.Second, Ready: 23 * time.Second}}

func compile(t testing.TB, s Spec) *Model {
	t.Helper()
	if s.Start == nil {
		s.Start = quick
	}
	m, err := Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestStationaryIsErlangC(t *testing.T) {
	for _, c := range []int{1, 2, 8, 40} {
		l := SlotsLaw(c, exponential(4000, 0.5))
		v := variability{1, l.serviceCV2()}
		for _, rho := range []float64{0.1, 0.5, 0.8, 0.95} {
			s := l.stationary(rho, 1, v, 0.5)
			want := erlangC(c, rho*float64(c))
			if math.Abs(s.pw-want) > 1e-9 {
				t.Errorf("c=%d ρ=%.2f: P(wait) = %.6f, Erlang C says %.6f", c, rho, s.pw, want)
			}
			lambda := rho * float64(c) / 0.5
			wq := want * v.factor(rho) / (float64(c)/0.5 - lambda)
			if got := s.waiting / lambda; math.Abs(got-wq) > 1e-9*(1+wq) {
				t.Errorf("c=%d ρ=%.2f: mean wait %.6f s, want %.6f s", c, rho, got, wq)
			}
			if math.Abs(s.serving-rho*float64(c)) > 1e-6*float64(c) || math.Abs(s.stretch-1) > 1e-6 {
				t.Errorf("c=%d ρ=%.2f: %.6f in service, stretch %.6f; want %.6f, 1", c, rho, s.serving, s.stretch, rho*float64(c))
			}
		}
	}
}

// steps drives a fluid plant at a constant rate until nothing moves.
func steps(f *Fluid, n int, arrivals float64) results.Tick {
	var tick results.Tick
	for range n {
		f.Step(arrivals, &tick)
	}
	return tick
}

func TestFluidReachesTheStationaryState(t *testing.T) {
	for _, c := range []int{1, 8} {
		for _, b := range Balancers {
			m := compile(t, Spec{Law: SlotsLaw(c, exponential(1000, 0.5)), Balancer: b, ArrivalCV2: 1})
			for _, rho := range []float64{0.2, 0.6, 0.9} {
				var f Fluid
				f.Reset(m, 4, nil)
				lambda := rho * 4 * m.cap
				tick := steps(&f, 4000, lambda)
				v, servers := variability{0.25, m.Law.serviceCV2()}, 1
				switch b {
				case Random, Aged:
					v = variability{1, m.Law.serviceCV2()}
				case LeastConnections, LeastWaiting:
					v, servers = variability{1, m.Law.serviceCV2()}, 4
				}
				s := m.Law.stationary(rho, servers, v, 0.5)
				want := 4 * (s.serving + s.waiting)
				if math.Abs(tick.InFlight-want) > 0.02*want+0.01 {
					t.Errorf("%v, c=%d, ρ=%.1f: %.3f in flight, stationary %.3f", b, c, rho, tick.InFlight, want)
				}
				if done := f.ready[0].load.done * 4; math.Abs(done-lambda) > 0.001*lambda {
					t.Errorf("%v, c=%d, ρ=%.1f: completes %.3f/s of %.3f/s", b, c, rho, done, lambda)
				}
			}
		}
	}
}

func TestFluidOverload(t *testing.T) {
	// 2 replicas of 10/s under 30/s: the backlog grows by 10/s and drains by
	// 10/s under 10/s.
	m := compile(t, Spec{Law: SlotsLaw(1, constant(0.1, 0.1)), ArrivalCV2: 0})
	var f Fluid
	f.Reset(m, 2, nil)
	if tick := steps(&f, 60, 30); math.Abs(tick.InFlight-600) > 5 {
		t.Errorf("after 60 s of 10/s too many: %.1f in flight, want about 600", tick.InFlight)
	}
	if tick := steps(&f, 30, 10); math.Abs(tick.InFlight-300) > 5 {
		t.Errorf("after 30 s of draining by 10/s: %.1f in flight, want about 300", tick.InFlight)
	}
}

// More capacity never means a longer queue: replica by replica, at any load.
func TestMoreReplicasNeverQueueMore(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, b := range Balancers {
		m := compile(t, Spec{Law: SlotsLaw(3, exponential(50, 0.4)), Balancer: b, ArrivalCV2: 1})
		fs := make([]Fluid, 12)
		for i := range fs {
			fs[i].Reset(m, i+1, nil)
		}
		rate := 20.0
		for s := range 2000 {
			if s%50 == 0 {
				rate = r.Float64() * 80
			}
			last := math.Inf(1)
			for i := range fs {
				var tick results.Tick
				fs[i].Step(rate, &tick)
				if tick.Waiting > last+1e-3 { // the tables' own rounding
					t.Fatalf("%v, second %d: %d replicas queue %.6f, %d queue %.6f", b, s, i+1, tick.Waiting, i, last)
				}
				last = tick.Waiting
			}
		}
	}
}

func TestFluidConserves(t *testing.T) {
	// Everything that arrives is served, has failed, or is still in the system.
	law := SlotsLaw(2, exponential(50, 0.3))
	law.Queue = 100
	m := compile(t, Spec{Law: law, ArrivalCV2: 1})
	var f Fluid
	f.Reset(m, 2, nil)
	r := rand.New(rand.NewPCG(3, 4))
	in, served, failed := 0.0, 0.0, 0.0
	var tick results.Tick
	for s := range 3000 {
		rate := 10 + 30*r.Float64()
		if s%100 == 0 {
			f.Scale(2+s/100%3, f.Now()) // only up and down by one: every drained pod ends empty
		}
		f.Step(rate, &tick)
		in += rate
		failed += tick.Failed
		for _, c := range f.ready {
			served += c.load.done * c.n
		}
		for _, c := range f.leaving {
			served += c.load.done * c.n
		}
	}
	// A drained cohort leaves with less than a tenth of a request.
	if got := served + failed + tick.InFlight; math.Abs(got-in) > 40 {
		t.Errorf("%.1f arrived; %.1f served + %.1f failed + %.1f inside", in, served, failed, tick.InFlight)
	}
}

package plant

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// quotaLaw has many threads that each use a core, 20 ms per request, at a limit of 200m: 20 ms
// in each tenth of a second.
func quotaLaw(slots int) Law {
	l := SlotsLaw(slots, exponential(2000, 0.02))
	l.Quota = Quota{Cores: 0.2, Base: 0.005, Each: 0.02}
	return l
}

// TestQuotaStopsAndGoes simulates servers in steps of 10 µs, and compares the plant's jumps
// with that.
func TestQuotaStopsAndGoes(t *testing.T) {
	const dt = 1e-5
	for _, row := range []struct {
		name        string
		slots       int
		rate, mean  float64
		cores, base float64
		share       float64
	}{
		{"one at a time, half full", 1, 5, 0.02, 0.2, 0.005, 1},
		{"many at once, nearly full", 64, 9, 0.02, 0.2, 0.005, 1},
		{"half full, and less where none stood", 4, 5, 0.02, 0.2, 0.005, 0.85},
		{"requests of many periods", 4, 0.9, 0.5, 0.5, 0.01, 0.9},
		{"a limit that hardly binds", 8, 5, 0.1, 1, 0, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			law := SlotsLaw(row.slots, exponential(500, row.mean))
			law.Quota = Quota{Cores: row.cores, Base: row.base, Each: row.mean, Share: row.share}
			m := compile(t, Spec{Law: law, Balancer: Random, ArrivalCV2: 1})
			requests := poisson(11, row.rate, 120)
			r := rand.New(rand.NewPCG(5, 5))
			for i := range requests {
				requests[i].Time = law.Times[r.IntN(len(law.Times))]
			}
			var e Exact
			var got []float64
			e.watch = func(c *call, _, took float64) {
				for len(got) <= int(c.index) {
					got = append(got, math.NaN())
				}
				got[c.index] = took
			}
			e.Reset(m, 1, 1, nil, nil)
			edge := e.ready[0].bucket.edge
			ticks := make([]results.Tick, 400)
			e.ticks = ticks
			for i := range requests {
				e.arrive(&requests[i], requests[i].At, 0)
			}
			e.Finish()

			type work struct {
				i    int
				left float64
			}
			var running, queue []work
			next, budget := 0, row.share*row.cores*0.1
			want := make([]float64, len(requests))
			refill := edge
			for step := 0; next < len(requests) || len(running) > 0; step++ {
				now := float64(step) * dt
				if now >= refill {
					share := row.share
					if len(running) > 0 && budget < (row.base+float64(len(running)))*dt/2 { // throttled
						share = 1
					}
					refill, budget = refill+0.1, share*row.cores*0.1
				}
				for next < len(requests) && requests[next].At <= now {
					queue = append(queue, work{next, requests[next].Time.Total})
					next++
				}
				for len(queue) > 0 && len(running) < row.slots {
					running, queue = append(running, queue[0]), queue[1:]
				}
				burn := (row.base + float64(len(running))) * dt
				if budget < burn/2 {
					continue
				}
				budget -= burn
				keep := running[:0]
				for _, w := range running {
					if w.left -= dt; w.left > 0 {
						keep = append(keep, w)
					} else {
						want[w.i] = now - requests[w.i].At
					}
				}
				running = keep
			}
			diff, mean := 0.0, 0.0
			for i := range want {
				diff += math.Abs(want[i]-got[i]) / float64(len(want))
				mean += want[i] / float64(len(want))
			}
			t.Logf("mean %.4f s, mean difference %.5f s, %d requests", mean, diff, len(want))
			// One more request before a period's end delays those behind it by a period.
			if diff > 0.03*mean+0.001 {
				t.Errorf("requests take %.4f s on the average, and the plant is off by %.4f s", mean, diff)
			}
		})
	}
}

func TestQuotaBoundsTheLongRun(t *testing.T) {
	law := quotaLaw(64)
	m := compile(t, Spec{Law: law, Balancer: Random, ArrivalCV2: 1})
	if got, want := law.Capacity(), 0.195/0.02; math.Abs(got-want) > 1e-9 {
		t.Fatalf("capacity %.3f/s, want %.3f", got, want)
	}
	_, l := play(m, 1, poisson(3, 20, 300), 300)
	// 6,000 arrive in 300 s at twice the capacity: the last one ends after about 615 s.
	last, _ := l.E2E.Quantile(1)
	if math.Abs(last.Seconds()-6000/9.75+300) > 25 {
		t.Errorf("at twice the capacity the last ones take %v, want about %.0f s", last, 6000/9.75-300)
	}
}

func TestALoneRequestIsQuickUnderAQuota(t *testing.T) {
	law := SlotsLaw(64, constant(0.015, 0.015))
	law.Quota = Quota{Cores: 0.2, Base: 0.005, Each: 0.015}
	m := compile(t, Spec{Law: law, Balancer: Random, ArrivalCV2: 1})
	_, l := play(m, 1, []Request{{At: 1, Index: 0}, {At: 2, Index: 1}, {At: 3, Index: 2}}, 5)
	hi, _ := l.E2E.Quantile(1)
	if hi > 16*time.Millisecond {
		t.Errorf("a lone request of 15 ms under a budget of 20 takes %v", hi)
	}
}

func TestFluidAgreesWithExactUnderAQuota(t *testing.T) {
	const seconds, n = 3000, 4
	for _, b := range []Balancer{RoundRobin, Random, LeastConnections} {
		for _, rho := range []float64{0.3, 0.6, 0.85} {
			m := compile(t, Spec{Law: quotaLaw(64), Balancer: b, ArrivalCV2: 1, Limits: Limits{E2E: 300 * time.Millisecond}})
			lambda := rho * m.cap * n
			ticks, l := play(m, n, poisson(3, lambda, seconds), seconds)
			exact := total(ticks)
			var f Fluid
			var fl Latency
			f.Reset(m, n, &fl)
			tick := steps(&f, 1000, lambda)
			eGood, fGood := exact.Good/exact.Arrivals, tick.Good/tick.Arrivals
			ep, _ := l.E2E.Quantile(0.95)
			fp, _ := fl.E2E.Quantile(0.95)
			text := fmt.Sprintf("%s at ρ = %.2f: within the limit exact %.4f, fluid %.4f; in flight %.3f, %.3f; p95 %v, %v", b, rho, eGood, fGood, exact.InFlight/seconds, tick.InFlight, ep, fp)
			t.Log(text)
			if math.Abs(eGood-fGood) > 0.04 || math.Abs(exact.InFlight/seconds/tick.InFlight-1) > 0.2 || math.Abs(fp.Seconds()/ep.Seconds()-1) > 0.15 {
				t.Error(text)
			}
		}
	}
}

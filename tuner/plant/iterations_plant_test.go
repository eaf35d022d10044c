package plant

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

func languageWorld(l Iterations, seed uint64) Spec {
	r := rand.New(rand.NewPCG(seed, 1))
	var sample []ServiceTime
	for range 300 {
		sample = append(sample, ServiceTime{Prompt: math.Ceil(400 * math.Exp(0.8*r.NormFloat64())), Tokens: math.Ceil(120 * math.Exp(0.6*r.NormFloat64()))})
	}
	return Spec{Law: LanguageLaw(l, sample), Start: []PhaseSample{{Ready: 30 * time.Second}}, ArrivalCV2: 1, NoiseSeen: 1, Seed: seed,
		Limits: Limits{TTFT: time.Second, TPOT: 60 * time.Millisecond},
		Pipes:  []Pipe{{Name: "running", PerRunning: 1, PerWaiting: 1, Every: 15 * time.Second}}}
}

// The exact plant serves each replica's requests as Play does, whatever the step.
func TestExactPlaysIterations(t *testing.T) {
	l := Iterations{Alpha: .01, Beta: 2e-4, Gamma: 5e-5, Delta: 1e-8, Batch: 1024, Seqs: 16, Ahead: true, Own: .004}
	spec := languageWorld(l, 3)
	m, err := Compile(spec)
	if err != nil {
		t.Fatal(err)
	}
	const seconds, n = 300, 3
	var e Exact
	var latency Latency
	ticks := make([]results.Tick, seconds)
	e.Reset(m, n, 7, ticks, &latency)
	calls := make([][]Call, n)
	at, index := 0.0, 0
	r := rand.New(rand.NewPCG(5, 6))
	for i := range seconds {
		var requests []Request
		for {
			d := r.ExpFloat64() / 9
			if at+d >= float64(i+1) {
				break
			}
			at += d
			prompt, output := 1+r.IntN(1500), 1+r.IntN(300)
			requests = append(requests, Request{At: at, Index: index, Class: -1, Prompt: prompt, Output: output})
			calls[index%n] = append(calls[index%n], Call{at, prompt, output})
			index++
		}
		at = max(at, float64(i+1)) // memoryless
		e.Step(requests)
	}
	e.Finish()
	var want Latency
	good := 0.0
	for _, c := range calls {
		played, _ := l.Play(c)
		for i, p := range played {
			want.TTFT.Record(time.Duration((p.First - c[i].At) * 1e9))
			want.E2E.Record(time.Duration((p.Last - c[i].At) * 1e9))
			tpot := 0.0
			if c[i].Output > 1 {
				tpot = (p.Last - p.First) / float64(c[i].Output-1)
				want.TPOT.Record(time.Duration(tpot * 1e9))
				want.ITL.Record(time.Duration(p.Gap * 1e9))
			}
			if p.First-c[i].At <= 1 && tpot <= 0.06 {
				good++
			}
		}
	}
	sum := results.Tick{}
	for i := range ticks {
		sum.Done, sum.Good, sum.Failed = sum.Done+ticks[i].Done, sum.Good+ticks[i].Good, sum.Failed+ticks[i].Failed
	}
	if sum.Done != float64(index) || sum.Failed != 0 || sum.Good != good {
		t.Errorf("of %d requests %v were answered, %v failed, %v were good; want all, none, %v", index, sum.Done, sum.Failed, sum.Good, good)
	}
	for _, q := range []float64{0.1, 0.5, 0.9, 0.99} {
		for _, h := range []struct {
			name      string
			got, want *results.Hist
		}{{"ttft", &latency.TTFT, &want.TTFT}, {"e2e", &latency.E2E, &want.E2E}, {"tpot", &latency.TPOT, &want.TPOT}, {"itl", &latency.ITL, &want.ITL}} {
			a, _ := h.got.Quantile(q)
			b, _ := h.want.Quantile(q)
			if math.Abs(a.Seconds()-b.Seconds()) > 2e-3*b.Seconds() {
				t.Errorf("%s p%g: %v, Play has %v", h.name, 100*q, a, b)
			}
		}
	}
}

// Little's law over the pipes' integrals: requests in the system are arrivals times their
// stay.
func TestIterationsKeepLittlesLaw(t *testing.T) {
	l := Iterations{Alpha: .01, Beta: 2e-4, Gamma: 5e-5, Batch: 2048, Seqs: 8}
	m, err := Compile(languageWorld(l, 4))
	if err != nil {
		t.Fatal(err)
	}
	const seconds = 2000
	var e Exact
	var latency Latency
	ticks := make([]results.Tick, seconds)
	e.Reset(m, 1, 7, ticks, &latency)
	r := rand.New(rand.NewPCG(5, 6))
	rate := 0.7 * m.Law.Capacity()
	inside, done, n := 0.0, 0.0, 0
	for i := range seconds {
		var requests []Request
		for u := r.ExpFloat64() / rate; u < 1; u += r.ExpFloat64() / rate {
			requests = append(requests, Request{At: float64(i) + u, Index: n, Class: -1})
			n++
		}
		e.Step(requests)
		inside += e.ready[0].load.running + e.ready[0].load.waiting
		done += e.ready[0].load.done
	}
	e.Finish()
	stay, _ := latency.E2E.Mean()
	if want := float64(n) * stay.Seconds(); math.Abs(inside/want-1) > 0.02 {
		t.Errorf("∫ inside = %.0f request-seconds, arrivals × stay = %.0f", inside, want)
	}
	if math.Abs(done/float64(n)-1) > 0.02 {
		t.Errorf("%.1f requests' worth of work was done for %d requests", done, n)
	}
}

// The fluid plant's tables match the exact plant at a constant load.
func TestFluidAgreesWithExactOnIterations(t *testing.T) {
	for _, l := range []Iterations{
		{Alpha: .01, Beta: 2e-4, Gamma: 5e-5, Delta: 1e-8, Batch: 2048, Seqs: 32, Ahead: true, Own: .004},
		{Alpha: .02, Beta: 1e-4, Gamma: 1.5e-4, Batch: 1024},
	} {
		for _, load := range []float64{0.4, 0.75} {
			for _, n := range []int{1, 4} {
				spec := languageWorld(l, 9)
				spec.Balancer = RoundRobin
				m, err := Compile(spec)
				if err != nil {
					t.Fatal(err)
				}
				const seconds = 1500
				rate := load * m.Law.Capacity() * float64(n)
				var f Fluid
				var e Exact
				var lf, le Latency
				f.Reset(m, n, &lf)
				ticks := make([]results.Tick, seconds)
				e.Reset(m, n, 7, ticks, &le)
				r := rand.New(rand.NewPCG(5, 6))
				var sf, se results.Tick
				k := 0
				for i := range seconds {
					var requests []Request
					for u := r.ExpFloat64() / rate; u < 1; u += r.ExpFloat64() / rate {
						requests = append(requests, Request{At: float64(i) + u, Index: k, Class: -1})
						k++
					}
					e.Step(requests)
					var tick results.Tick
					f.Step(float64(len(requests)), &tick)
					sf.Good, sf.Done, sf.InFlight = sf.Good+tick.Good, sf.Done+tick.Done, sf.InFlight+tick.InFlight
				}
				e.Finish()
				for i := range ticks {
					se.Good, se.Done, se.InFlight = se.Good+ticks[i].Good, se.Done+ticks[i].Done, se.InFlight+ticks[i].InFlight
				}
				a, b := sf.Good/sf.Done, se.Good/se.Done
				q := func(h *results.Hist) float64 { d, _ := h.Quantile(0.95); return d.Seconds() }
				t.Logf("load %.2f of %.1f/s, %d replicas: good %.3f for %.3f, in flight %.1f for %.1f, ttft p95 %.3f for %.3f, tpot %.4f for %.4f, itl %.4f for %.4f, e2e %.2f for %.2f", load, m.Law.Capacity(), n, a, b,
					sf.InFlight/seconds, se.InFlight/seconds, q(&lf.TTFT), q(&le.TTFT), q(&lf.TPOT), q(&le.TPOT), q(&lf.ITL), q(&le.ITL), q(&lf.E2E), q(&le.E2E))
				if math.Abs(a-b) > 0.06 {
					t.Errorf("good %.3f, exact %.3f", a, b)
				}
				if math.Abs(sf.InFlight/se.InFlight-1) > 0.12 {
					t.Errorf("in flight %.1f, exact %.1f", sf.InFlight/seconds, se.InFlight/seconds)
				}
				for _, h := range []struct {
					name string
					f, e *results.Hist
				}{{"ttft", &lf.TTFT, &le.TTFT}, {"tpot", &lf.TPOT, &le.TPOT}, {"itl", &lf.ITL, &le.ITL}, {"e2e", &lf.E2E, &le.E2E}} {
					if math.Abs(q(h.f)/q(h.e)-1) > 0.3 {
						t.Errorf("%s p95 %.4f, exact %.4f", h.name, q(h.f), q(h.e))
					}
				}
			}
		}
	}
}

// On a day with another pace, every request takes that many times as long.
func TestIterationsKeepADaysPace(t *testing.T) {
	m, err := Compile(languageWorld(Iterations{Alpha: .01, Beta: 2e-4, Gamma: 5e-5, Batch: 2048, Seqs: 8, Own: .01}, 4))
	if err != nil {
		t.Fatal(err)
	}
	took := func(m *Model) float64 {
		var e Exact
		var l Latency
		ticks := make([]results.Tick, 100)
		e.Reset(m, 1, 7, ticks, &l)
		for i := range ticks {
			e.Step([]Request{{At: float64(i), Index: i, Class: -1, Prompt: 10, Output: 10}})
		}
		e.Finish()
		d, _ := l.E2E.Mean()
		return d.Seconds()
	}
	if a, b := took(m), took(m.Draw(Another{Seed: 1, Pace: 1.5})); math.Abs(b/a-1.5) > 1e-3 {
		t.Errorf("at 1.5 times the pace a request takes %.4f s, else %.4f s", b, a)
	}
}

// BenchmarkExactIterations plays requests with 120 answer tokens; the figure that matters is
// requests per second.
func BenchmarkExactIterations(b *testing.B) {
	m, err := Compile(languageWorld(Iterations{Alpha: .01, Beta: 2e-4, Gamma: 5e-5, Delta: 1e-8, Batch: 2048, Seqs: 64, Ahead: true}, 4))
	if err != nil {
		b.Fatal(err)
	}
	rate := 0.7 * m.Law.Capacity() * 4
	r := rand.New(rand.NewPCG(5, 6))
	n := 0
	steps := make([][]Request, 600)
	for i := range steps {
		for u := r.ExpFloat64() / rate; u < 1; u += r.ExpFloat64() / rate {
			steps[i] = append(steps[i], Request{At: float64(i) + u, Index: n, Class: -1})
			n++
		}
	}
	var e Exact
	ticks := make([]results.Tick, len(steps))
	b.ResetTimer()
	for range b.N {
		clear(ticks)
		e.Reset(m, 4, 7, ticks, nil)
		for _, s := range steps {
			e.Step(s)
		}
		e.Finish()
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

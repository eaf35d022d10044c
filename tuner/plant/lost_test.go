package plant

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Pods that die lose their requests, and are replaced after a cold start.
func TestLostPods(t *testing.T) {
	times := []ServiceTime{{First: 4, Total: 4}}
	m, err := Compile(Spec{Law: SlotsLaw(4, times), Start: []PhaseSample{{Schedule: time.Second, Start: 4 * time.Second,
		Ready: 15 * time.Second}}, ArrivalCV2: 1, NoiseSeen: 1, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	const seconds, rate = 120, 2.0
	for _, c := range []struct {
		name       string
		pods, lost int
		ready      float64 // after the loss
	}{
		{"one of four", 4, 1, 3},
		{"all of them", 3, 3, 0},
		{"more than there are", 3, 9, 0},
		{"none", 4, 0, 4},
	} {
		requests := poisson(5, rate, seconds)
		exact := make([]results.Tick, seconds)
		fluid := make([]results.Tick, seconds)
		var e Exact
		var f Fluid
		e.Reset(m, c.pods, 1, exact, nil)
		f.Reset(m, c.pods, nil)
		next := 0
		for i := range seconds {
			if i == 60 {
				e.Lose(c.lost, 60)
				f.Lose(c.lost, 60)
			}
			from := next
			for next < len(requests) && requests[next].At < float64(i+1) {
				next++
			}
			e.Step(requests[from:next])
			f.Step(float64(next-from), &fluid[i])
		}
		e.Finish()
		for _, p := range []struct {
			plant string
			ticks []results.Tick
		}{{"exact", exact}, {"fluid", fluid}} {
			if got := p.ticks[60].Ready; got != c.ready {
				t.Errorf("%s, %s: %v ready after the loss, want %v", c.name, p.plant, got, c.ready)
			}
			if got := p.ticks[100].Ready; got != float64(c.pods) {
				t.Errorf("%s, %s: %v ready 40 s later, want the %d that were there", c.name, p.plant, got, c.pods)
			}
			if before := total(p.ticks[:50]); before.Failed > 0 {
				t.Errorf("%s, %s: %v failed before anything was lost", c.name, p.plant, before.Failed)
			}
			sum := total(p.ticks)
			if math.Abs(sum.Arrivals-sum.Done-sum.Failed) > 1e-6 {
				t.Errorf("%s, %s: %v came, %v were answered and %v failed", c.name, p.plant, sum.Arrivals, sum.Done, sum.Failed)
			}
		}
		// About eight are in service at any time (2/s for 4 s), spread over the pods.
		inside := exact[58].InFlight * float64(min(c.lost, c.pods)) / float64(c.pods)
		if got := total(exact).Failed; c.lost < c.pods && math.Abs(got-inside) > 3 {
			t.Errorf("%s: %v requests failed, want about the %.0f that the lost pods had", c.name, got, inside)
		}
	}
}

func TestAtOnce(t *testing.T) {
	times := []ServiceTime{{First: 1, Total: 2}}
	slowing := Law{Rate: []float64{0, 0.5, 1, 1.2, 1.3}, Times: times}
	for _, c := range []struct {
		name string
		law  Law
		by   int
		want []float64 // nil = no such law
	}{
		{"one more independent slot", SlotsLaw(2, times), 1, []float64{0, 0.5, 1, 1.5}},
		{"one fewer", SlotsLaw(2, times), -1, []float64{0, 0.5}},
		{"none left", SlotsLaw(2, times), -2, nil},
		{"one that slows goes on slowing", slowing, 1, []float64{0, 0.5, 1, 1.2, 1.3, 2.5 / (2/1.3 + 2/1.3 - 1.5/1.2)}},
		{"its rate never falls", Law{Rate: []float64{0, 0.5, 0.6, 0.61}, Times: times}, 2, []float64{0, 0.5, 0.6, 0.61, 0.61, 0.61}},
	} {
		got, ok := c.law.AtOnce(c.by)
		if ok != (c.want != nil) || ok && len(got.Rate) != len(c.want) {
			t.Errorf("%s: %v %v, want %v", c.name, got.Rate, ok, c.want)
			continue
		}
		for i := range c.want {
			if math.Abs(got.Rate[i]-c.want[i]) > 0.02 {
				t.Errorf("%s: rates %v, want %v", c.name, got.Rate, c.want)
				break
			}
		}
	}
	if n := slowing.Slots(); n != 4 {
		t.Errorf("the law itself has %d slots now, want 4", n)
	}
	l := Iterations{Alpha: .01, Beta: 2e-4, Gamma: 5e-5, Batch: 1024, Seqs: 4}
	law := LanguageLaw(l, []ServiceTime{{Prompt: 100, Tokens: 20}, {Prompt: 300, Tokens: 60}})
	more, ok := law.AtOnce(2)
	if !ok || more.Iterations.Seqs != 6 || more.Slots() != 6 || more.Capacity() <= law.Capacity() {
		t.Errorf("a server of language models with 6 places for 4: %v, %d slots, %.3g/s for %.3g/s", ok, more.Slots(),
			more.Capacity(), law.Capacity())
	}
	law.Iterations.Seqs = 0
	if _, ok := law.AtOnce(1); ok {
		t.Error("a server whose places were not seen to bind has no such number")
	}
}

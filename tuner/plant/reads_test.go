package plant

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Two replicas of four slots serve 8 requests per second. Under twice that for T seconds the
// queue grows by (λ − μ)·T, its oldest request came queue/λ ago, and arrivals are read as they
// come: in both plants, as a metric of the pool.
func TestReadsOfAQueue(t *testing.T) {
	const mu, lambda = 8.0, 16.0
	m := compile(t, Spec{Law: SlotsLaw(4, []ServiceTime{{First: 1, Total: 1}}), ArrivalCV2: 1, Balancer: RoundRobin, Pipes: []Pipe{
		{Name: "waiting", PerWaiting: 1, Every: time.Second},
		{Name: "oldest", PerOldest: 1, Every: time.Second, Over: Max},
		{Name: "arrivals", PerArrival: 1, Every: 5 * time.Second, Window: 30 * time.Second},
	}})
	type pods interface {
		Pods(now float64, out []PodView) []PodView
	}
	read := func(p pods, now float64, k int) float64 {
		var values []float64
		var counts []int
		for _, v := range p.Pods(now, nil) {
			if v.Values[k].OK {
				values, counts = append(values, v.Values[k].Value), append(counts, v.Count)
			}
		}
		return m.Pipes[k].Over.Of(values, counts)
	}
	peaks := map[string][]float64{}
	for _, seconds := range []int{60, 120} {
		var e Exact
		var f Fluid
		e.Reset(m, 2, 1, make([]results.Tick, seconds), nil)
		f.Reset(m, 2, nil)
		requests := poisson(7, lambda, float64(seconds))
		var tick results.Tick
		for i, next := 0, 0; i < seconds; i++ {
			from := next
			for next < len(requests) && requests[next].At < float64(i+1) {
				next++
			}
			e.Step(requests[from:next])
			f.Step(lambda, &tick)
		}
		now := float64(seconds)
		queue := (lambda - mu) * now
		for plant, p := range map[string]pods{"exact": &e, "fluid": &f} {
			got := read(p, now, 0)
			peaks[plant] = append(peaks[plant], got)
			if math.Abs(got/queue-1) > 0.12 {
				t.Errorf("%s plant: %.0f wait after %d s at twice the load, want %.0f", plant, got, seconds, queue)
			}
			if got, want := read(p, now, 1), queue/lambda; math.Abs(got/want-1) > 0.12 {
				t.Errorf("%s plant: the oldest has waited %.1f s after %d s, want %.1f", plant, got, seconds, want)
			}
			if got := read(p, now, 2); math.Abs(got/lambda-1) > 0.1 {
				t.Errorf("%s plant: %.1f arrivals a second, want %.0f", plant, got, lambda)
			}
		}
	}
	for plant, p := range peaks {
		if k := p[1] / p[0]; math.Abs(k-2) > 0.2 {
			t.Errorf("%s plant: twice the load for 120 s makes %.2f times the queue of 60 s, want 2", plant, k)
		}
	}
}

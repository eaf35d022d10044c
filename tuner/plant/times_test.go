package plant

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// A quantile is interpolated in its bucket, as histogram_quantile does.
func TestHistogramOf(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		times    []float64
		quantile float64
		want     float64
		ok       bool
	}{
		{"in the middle of a bucket", []float64{1.5, 1.5}, 0.5, 1.5, true},
		{"from 0 in the first bucket", []float64{0.9, 0.9}, 0.5, 0.5, true},
		{"at a bucket's bound", []float64{0.5, 3}, 0.5, 1, true},
		{"past an empty bucket", []float64{0.5, 3}, 0.75, 3, true},
		{"above all bounds, the highest one", []float64{9, 9, 9}, 0.9, 4, true},
		{"the mean is exact", []float64{0.5, 9}, 0, 4.75, true},
		{"nothing was measured", nil, 0.5, 0, false},
	} {
		h := Histogram{Bounds: []float64{1, 2, 4}}
		h.Add(7, 1)
		h.Add(7, -1) // it left the window
		for _, x := range tt.times {
			h.Add(x, 1)
		}
		if got, ok := h.Of(tt.quantile); ok != tt.ok || math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("%s: %v of %v = %v, %v; want %v, %v", tt.sentence, tt.quantile, tt.times, got, ok, tt.want, tt.ok)
		}
	}
}

// readTimes plays both plants at so many arrivals a second, and returns what each pipe shows
// at the end.
func readTimes(t *testing.T, s Spec, replicas int, lambda float64, seconds int) map[string][]Value {
	t.Helper()
	m := compile(t, s)
	var e Exact
	var f Fluid
	e.Reset(m, replicas, 1, make([]results.Tick, seconds), nil)
	f.Reset(m, replicas, nil)
	requests := poisson(7, lambda, float64(seconds))
	var tick results.Tick
	for i, next := 0, 0; i < seconds; i++ {
		from := next
		for next < len(requests) && requests[next].At < float64(i+1) {
			next++
		}
		e.Step(requests[from:next])
		f.Step(float64(next-from), &tick)
	}
	out := map[string][]Value{}
	for plant, p := range map[string]interface {
		Pods(now float64, out []PodView) []PodView
	}{"exact": &e, "fluid": &f} {
		pods := p.Pods(float64(seconds), nil)
		for k := range s.Pipes {
			out[plant] = append(out[plant], pods[0].Values[k])
		}
	}
	return out
}

// Two replicas of four slots serve 8 requests per second. Under twice that, a request that
// comes after t seconds waits for t seconds, so what is measured at T came at (T−1)/2, or for
// the first token at (T−0.25)/2.
func TestTimesOfAQueue(t *testing.T) {
	over := func(of Timed, quantile float64, window time.Duration) Pipe {
		return Pipe{Name: of.String(), Times: &Times{Of: of, Quantile: quantile}, Window: window, Every: window / 12,
			Over: Max}
	}
	milli := over(ToFirst, 0, time.Minute)
	milli.Times.Unit = 1000
	late := over(ToFirst, 0, time.Minute)
	late.Delay = 15 * time.Second
	got := readTimes(t, Spec{
		Law: SlotsLaw(4, []ServiceTime{{First: 0.25, Total: 1, Streamed: true}}), ArrivalCV2: 1, NoiseSeen: 1,
		Balancer: RoundRobin,
		Pipes: []Pipe{over(InQueue, 0, time.Minute), over(ToEnd, 0.95, time.Minute), over(ToFirst, 0.5, time.Minute), milli,
			late,
			over(InQueue, 0.5, 24*time.Second)},
	}, 2, 16, 180)
	for i, want := range []float64{
		(180 - 30 - 1) / 2.0,              // the mean in the middle of the window
		(180-3-1)/2.0 + 1,                 // p95 came 3 s before its end
		(180-30-0.25)/2.0 + 0.25,          // the median in its middle
		1000 * ((180-30-0.25)/2.0 + 0.25), // the mean, in milliseconds
		(180-15-30-0.25)/2.0 + 0.25,       // a window that ended 15 s ago
		(180 - 12 - 1) / 2.0,              // a shorter one
	} {
		for plant, v := range got {
			if !v[i].OK || math.Abs(v[i].Value/want-1) > 0.08 {
				t.Errorf("%s plant: pipe %d shows %+v, want %.2f", plant, i, v[i], want)
			}
		}
	}
}

// At a low load, both plants show the service times themselves; where nothing came, nothing;
// a server that does not stream has no first token.
func TestTimesOfALowLoad(t *testing.T) {
	var times []ServiceTime
	for i := range 100 {
		times = append(times, ServiceTime{First: 0.1, Total: 0.5 + 0.02*float64(i)})
	}
	pipe := func(of Timed, quantile float64, buckets []float64) Pipe {
		return Pipe{Name: "x", Times: &Times{Of: of, Quantile: quantile, Buckets: buckets}, Window: 2 * time.Minute,
			Every: 10 * time.Second}
	}
	s := Spec{Law: SlotsLaw(8, times), ArrivalCV2: 1, NoiseSeen: 1, Pipes: []Pipe{
		pipe(ToEnd, 0.95, nil), pipe(ToEnd, 0, nil), pipe(ToEnd, 0.5, []float64{1, 2, 4}), pipe(ToFirst, 0.9, []float64{1,
			2}),
	}}
	got := readTimes(t, s, 3, 4, 600)
	for i, want := range []float64{2.4, 1.49, 1.5, 0.9} {
		for plant, v := range got {
			if !v[i].OK || math.Abs(v[i].Value/want-1) > 0.06 {
				t.Errorf("%s plant: pipe %d shows %+v, want %.2f", plant, i, v[i], want)
			}
		}
	}
	for plant, v := range readTimes(t, s, 3, 0, 300) {
		if v[0].OK {
			t.Errorf("%s plant: %+v although nothing came", plant, v[0])
		}
	}
	for i := range s.Law.Times {
		s.Law.Times[i].First = s.Law.Times[i].Total
	}
	for plant, v := range readTimes(t, s, 3, 4, 300) {
		if !v[0].OK || v[3].OK {
			t.Errorf("%s plant: a first token of answers in one piece: %+v", plant, v)
		}
	}
}

func TestTimesAreChecked(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		pipe     Pipe
	}{
		{"no window", Pipe{Times: &Times{Of: ToEnd}}},
		{"an unknown time", Pipe{Times: &Times{Of: 9}, Window: time.Minute}},
		{"a quantile of 1", Pipe{Times: &Times{Of: ToEnd, Quantile: 1}, Window: time.Minute}},
		{"bounds that fall", Pipe{Times: &Times{Of: ToEnd, Buckets: []float64{2, 1}}, Window: time.Minute}},
	} {
		_, err := Compile(Spec{Law: SlotsLaw(1, []ServiceTime{{Total: 1}}), Start: []PhaseSample{{}}, Pipes: []Pipe{tt.pipe}})
		if err == nil {
			t.Errorf("%s: no error", tt.sentence)
		}
	}
}

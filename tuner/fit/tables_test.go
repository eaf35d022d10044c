package fit

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// row is a number that a function returned, in words.
type row struct {
	sentence  string
	got, want float64
}

func compare(t *testing.T, figures []row) {
	t.Helper()
	for _, f := range figures {
		if math.Abs(f.got-f.want) > 1e-9 && !(math.IsNaN(f.got) && math.IsNaN(f.want)) {
			t.Errorf("%s: %v, want %v", f.sentence, f.got, f.want)
		}
	}
}

func tracksOf(values ...float64) []track {
	var out track
	for _, v := range values {
		out.points = append(out.points, point{value: v})
	}
	return []track{out}
}

func TestFiguresOfSamples(t *testing.T) {
	line := func(xs []float64, bad float64) (ys []float64) {
		for i, x := range xs {
			if ys = append(ys, 2+3*x); i%5 == 4 {
				ys[i] += bad
			}
		}
		return ys
	}
	var xs []float64
	for i := range 50 {
		xs = append(xs, float64(i))
	}
	a, b := theilSen(xs, line(xs, 1000))
	level, flat := theilSen([]float64{4, 4, 4}, []float64{1, 9, 2})
	compare(t, []row{
		{"what rises together correlates wholly", correlation([]float64{1, 2, 3}, []float64{10, 20, 30}), 1},
		{"what falls as the other rises, the other way round", correlation([]float64{1, 2, 3}, []float64{3, 2, 1}), -1},
		{"what does not vary correlates with nothing", correlation([]float64{1, 2, 3}, []float64{5, 5, 5}), 0},
		{"a fifth of bad samples does not bend a line's slope", b, 3},
		{"nor its start", a, 2},
		{"samples at one place have no slope", flat, 0},
		{"and their median is the level", level, 2},
		{"deviation from the median, on the average", variation(tracksOf(1, 2, 6)), 5.0 / 3},
		{"nothing varies by nothing", variation(nil), 0},
		{"mean of all points", meanLevel(append(tracksOf(1, 2), tracksOf(6)...)), 3},
		{"below 0", float64(sign(-0.1)), -1}, {"above it", float64(sign(3)), 1}, {"0", float64(sign(0)), 0},
	})
	if !wholeNumbers(tracksOf(0, 3, 1e6)) || wholeNumbers(tracksOf(0, 3, 0.5)) {
		t.Error("3 counts as a mean, or 0.5 as a count")
	}
	if got := thin(xs, 5); !slices.Equal(got, []float64{0, 10, 20, 30, 40}) || len(thin(xs, 99)) != 50 {
		t.Errorf("thin = %v, want every tenth", got)
	}
}

func TestArrivalCV2(t *testing.T) {
	arrivals := func(n int, gap func(i int) time.Duration) (out []profiles.Arrival) {
		at := time.Duration(0)
		for i := range n {
			out = append(out, profiles.Arrival{At: at})
			at += gap(i)
		}
		return out
	}
	for _, tt := range []struct {
		sentence string
		a        []profiles.Arrival
		lo, hi   float64
	}{
		{"too few to tell are taken for chance", arrivals(99, func(int) time.Duration { return time.Second }), 1, 1},
		{"even gaps do not vary", arrivals(400, func(int) time.Duration { return time.Second }), 0, 1e-9},
		{"nor do even gaps at a rate that rises", arrivals(400, func(i int) time.Duration {
			return time.Second - time.Duration(i)*2*time.Millisecond
		}), 0, 0.01},
		{"pairs at the same instant", arrivals(400, func(i int) time.Duration { return time.Duration(i%2) * time.Second }),
			0.9, 1.1},
	} {
		if got := arrivalCV2(tt.a); got < tt.lo || got > tt.hi {
			t.Errorf("%s: cv² %v, want %v to %v", tt.sentence, got, tt.lo, tt.hi)
		}
	}
}

func TestMisfit(t *testing.T) {
	call := answer{Call: plant.Call{At: 10, Output: 5}, first: 11, last: 13}
	whole := answer{Call: plant.Call{At: 10, Output: 5}, first: math.NaN(), last: 13}
	for _, tt := range []struct {
		sentence string
		a        answer
		p        plant.Played
		sum, n   float64
	}{
		{"as recorded", call, plant.Played{First: 11, Last: 13}, 0, 2},
		{"twice as late, and twice as slow", call, plant.Played{First: 12.005, Last: 16.01}, 2 * math.Log(2), 2},
		{"an answer in one piece has one time", whole, plant.Played{First: 11, Last: 13}, 0, 1},
		{"one of a single token has no pace", answer{Call: plant.Call{At: 10, Output: 1}, first: 11, last: 11},
			plant.Played{First: 11, Last: 11}, 0, 1},
	} {
		if sum, n := misfit(&tt.a, &tt.p); math.Abs(sum-tt.sum) > 1e-9 || n != tt.n {
			t.Errorf("%s: %v of %v, want %v of %v", tt.sentence, sum, n, tt.sum, tt.n)
		}
	}
}

// TestSolve: x'ax/2 − b'x with a diagonal a has its minimum at b/a, if that is not below 0.
func TestSolve(t *testing.T) {
	var a [coefficients][coefficients]float64
	var b, at theta
	var free [coefficients]bool
	for i := range a {
		a[i][i], b[i], at[i], free[i] = 2, 4, 9, true
	}
	b[1] = -4
	free[2] = false
	x := solve(a, b, at, free)
	compare(t, []row{
		{"a minimum above 0", x[0], 2}, {"one below it ends at 0", x[1], 0}, {"what is not free stays", x[2], 9},
	})
	a[0][3], a[3][0] = 1, 1
	if x = solve(a, b, at, free); math.Abs(2*x[0]+x[3]-4) > 1e-6 || math.Abs(2*x[3]+x[0]-4) > 1e-6 {
		t.Errorf("two that pull at each other: %v and %v, want 4/3 each", x[0], x[3])
	}
}

func TestSimplex(t *testing.T) {
	bowl := func(x []float64) float64 { return 1 + (x[0]-3)*(x[0]-3) + 2*(x[1]+1)*(x[1]+1) }
	x, y := simplex(bowl, 2, 0.5, 400)
	if math.Abs(x[0]-3) > 0.05 || math.Abs(x[1]+1) > 0.05 || y > 1.01 {
		t.Errorf("simplex = %v (%v), want the bowl's bottom at 3, -1 (1)", x, y)
	}
	calls := 0
	if _, y := simplex(func([]float64) float64 { calls++; return 7 }, 3, 1, 50); y != 7 || calls > 50 {
		t.Errorf("a plain: %v after %d tries, want 7 after at most 50", y, calls)
	}
	if x, _ := simplex(func([]float64) float64 { return 7 }, 0, 1, 50); len(x) != 0 {
		t.Errorf("nothing to search: %v", x)
	}
}

func TestLawName(t *testing.T) {
	for _, tt := range []struct {
		law  plant.Iterations
		want string
	}{
		{plant.Iterations{Alpha: 1}, "slots"}, {plant.Iterations{Alpha: 1, Beta: 1}, "batch"},
		{plant.Iterations{Beta: 1, Gamma: 1}, "iterations"}, {plant.Iterations{Delta: 1}, "iterations"},
	} {
		if got := lawName(&tt.law); got != tt.want {
			t.Errorf("lawName(%+v) = %q, want %q", tt.law, got, tt.want)
		}
	}
}

func TestStampsOfSamples(t *testing.T) {
	at := func(times ...time.Duration) (out []results.Sample) {
		for _, d := range times {
			out = append(out, results.Sample{SampledAt: d})
		}
		return out
	}
	const ms = time.Millisecond
	window := func(pod string, w time.Duration) results.Sample { return results.Sample{Pod: pod, Window: w} }
	for _, tt := range []struct {
		sentence  string
		got, want time.Duration
	}{
		{"stamps cut to whole seconds lost half of one", wholeSeconds(at(300*ms, 15_300*ms, 30_300*ms)), 499 * ms},
		{"one between says that none was cut", wholeSeconds(at(0, 15_200*ms)), 0},
		{"one that has no stamp says nothing", wholeSeconds(at(0, results.NotYet)), 0},
		{"cut downwards", wholeSecond(4900 * ms), 4 * time.Second},
		{"a hair below a whole second is that second", wholeSecond(4999*ms + 999*time.Microsecond), 5 * time.Second},
		{"a pod whose first sample is younger than an interval",
			freshOf([]results.Sample{window("a", 15*time.Second), window("b", 6*time.Second)}, 15*time.Second),
			10 * time.Second},
		{"a short window later on says nothing",
			freshOf([]results.Sample{window("a", 15*time.Second), window("a", 6*time.Second)}, 15*time.Second), 0},
		{"instants have no window", freshOf([]results.Sample{window("a", 0)}, 15*time.Second), 0},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", tt.sentence, tt.got, tt.want)
		}
	}
}

func TestFirstShares(t *testing.T) {
	l := &log{}
	add := func(class int16, n int, first float64) {
		for range n {
			l.calls = append(l.calls, call{class: class, sent: 10, first: first, done: 20, ok: true, streamed: true})
		}
	}
	add(0, 30, 12) // a fifth of its time
	add(1, 19, 12) // too few
	add(2, 30, 20) // in one piece
	if got := firstShares(l); len(got) != 1 || got[0] != 0.2 {
		t.Errorf("firstShares = %v, want a fifth for class 0 alone", got)
	}
}

func TestScatter(t *testing.T) {
	// cost returns that of the k-th of three readings in block i, over the usual one.
	over := func(blocks int, cost func(i, k int) float64) (out []reading) {
		for i := range blocks {
			for k := range 3 {
				out = append(out, reading{value: 0.01 + 0.1*cost(i, k), done: 10, window: 10, at: float64(30*i + 10*k + 10)})
			}
		}
		return out
	}
	compare(t, []row{
		{"the same cost every time", scatter(over(20, func(int, int) float64 { return 1 }), 0.01), 0},
		{"what readings of one half minute differ by is no drift",
			scatter(over(20, func(_, k int) float64 { return 0.9 + 0.1*float64(k) }), 0.01), 0},
		{"four half minutes are too few", scatter(over(4, func(i, _ int) float64 { return 1 + float64(i) }), 0.01), 0},
	})
	if got := scatter(over(20, func(i, _ int) float64 { return 0.8 + 0.4*float64(i%2) }), 0.01); got < 0.19 || got > 0.22 {
		t.Errorf("a fifth more and a fifth less by turns: %v, want about 0.2", got)
	}
}

func TestReadingsOfMetrics(t *testing.T) {
	r := results.Reading{Values: []int64{1500, 500}, Pods: []results.PodValue{{Milli: 250}, {Milli: 750}}}
	compare(t, []row{{"of series and pods, in thousandths", totalOf(&r), 3000}})
	got := medians([]map[string]float64{{"cpu": 1, "queue": 5}, {"cpu": 9}, {"cpu": 2, "queue": 7}})
	if !maps.Equal(got, map[string]float64{"cpu": 2, "queue": 6}) || medians([]map[string]float64{{}}) != nil {
		t.Errorf("medians = %v, want cpu 2 and queue 6, and nil for nothing", got)
	}
	if got := rescalesIn([]float64{2, 2, 3, 3, 1}); fmt.Sprint(got) != fmt.Sprint([]rescale{{at: 2, to: 3}, {at: 4, to: 1}}) {
		t.Errorf("rescalesIn = %v, want to 3 at 2 and to 1 at 4", got)
	}
	for name, want := range map[string]bool{
		"http_requests_total": true, `latency_bucket{le="1"}`: true, "up_created": true, "queue": false, "total_waiting": false,
	} {
		if got := onlyRises(name); got != want {
			t.Errorf("onlyRises(%q) = %v, want %v", name, got, want)
		}
	}
	for want, p := range map[string]plant.Pipe{
		"requests in flight": {PerRunning: 1, PerWaiting: 1}, "requests waiting": {PerWaiting: 1},
		"requests in service": {PerRunning: 1, PerDone: 1}, "completions per second": {PerDone: 1}, "nothing": {Base: 1},
	} {
		if got := follows(&p); got != want {
			t.Errorf("follows(%+v) = %q, want %q", p, got, want)
		}
	}
}

func TestTimedOut(t *testing.T) {
	run := &results.Run{Requests: []results.Request{
		request(0, 0, 0, 99, results.OK), request(0, 1, 0, 31, results.Timeout), request(0, 2, 0, 33, results.Timeout),
		request(0, 3, 0, 33, results.Timeout),
	}}
	if got := timedOut(run); got != 30*time.Second {
		t.Errorf("timedOut = %v, want the median of 30, 31 and 30 s", got)
	}
	if got := timedOut(&results.Run{Requests: run.Requests[:1]}); got != 0 {
		t.Errorf("timedOut = %v where nothing timed out, want 0", got)
	}
}

func TestNearestSlots(t *testing.T) {
	tried := map[[2]int]float64{
		{4, int(plant.Random)}: 0.2, {8, int(plant.Random)}: 0.1, {16, int(plant.Random)}: 0.1,
		{2, int(plant.RoundRobin)}: 0.01,
	}
	for b, want := range map[plant.Balancer]int{plant.Random: 8, plant.RoundRobin: 2, plant.LeastConnections: 1} {
		if got := nearest(tried, b); got != want {
			t.Errorf("nearest under %v = %d, want %d (the fewest of the best; 1 where none was tried)", b, got, want)
		}
	}
}

// TestPlaySlots serves four calls of a second each; the first token takes half of it.
func TestPlaySlots(t *testing.T) {
	calls := []answer{{}, {}, {}, {Call: plant.Call{At: 10}}}
	own := func(*answer) (float64, float64) { return 0.5, 0.5 }
	for _, tt := range []struct {
		sentence string
		stretch  []float64
		last     []float64
	}{
		{"one at a time", []float64{1, 1}, []float64{1, 2, 3, 11}},
		{"two at a time, then one", []float64{1, 1, 1}, []float64{1, 1, 2, 11}},
		{"two take twice as long each", []float64{1, 1, 2}, []float64{2, 2, 3, 11}},
	} {
		for i, p := range playSlots(calls, tt.stretch, own) {
			if math.Abs(p.Last-tt.last[i]) > 1e-9 || p.First >= p.Last || p.First < calls[i].At {
				t.Errorf("%s: call %d has first %v, last %v, want last %v", tt.sentence, i, p.First, p.Last, tt.last[i])
			}
		}
	}
}

func TestWritingOf(t *testing.T) {
	written := func(at, first, last float64) answer {
		return answer{Call: plant.Call{At: at, Output: 2, Prompt: 1}, first: first, last: last, seen: true}
	}
	for _, tt := range []struct {
		sentence string
		about    []answer
		want     int
	}{
		{"none", nil, 0},
		{"one after the other", []answer{written(0, 1, 2), written(0, 2, 3)}, 1},
		{"two overlap, a third waits for its first token", []answer{written(0, 1, 5), written(0, 2, 6), written(0, 5, 9)}, 2},
	} {
		if got := writingOf(pointers(tt.about)); got != tt.want {
			t.Errorf("%s: %d at once, want %d", tt.sentence, got, tt.want)
		}
	}
}

func TestLapsesOf(t *testing.T) {
	m := &hpa.Metric{Source: hpa.Pods, Name: "queue"}
	run := &results.Run{Gaps: []results.Gap{
		{From: 10 * time.Second, To: 40 * time.Second, Source: results.SourceMetric("Pods", "queue"), Why: "no series"},
		{From: 10 * time.Second, To: 40 * time.Second, Source: results.SourceMetric("Pods", "other"), Why: "no series"},
		{From: 0, To: time.Minute, Source: results.SourcePods},
	}}
	if got := lapsesOf(run, m); len(got) != 1 || got[0].To != 40*time.Second {
		t.Errorf("lapsesOf = %+v, want the one of queue", got)
	}
	if n := lapsed(run, m); len(n.warnings) != 1 || len(lapsed(&results.Run{}, m).warnings) != 0 {
		t.Errorf("lapsed = %q, want one warning", n.warnings)
	}
}

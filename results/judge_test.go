package results

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// request returns an answered request that came at and took e2e.
func request(i int, at, e2e time.Duration) Request {
	return Request{Arrival: i, Scheduled: at, Sent: at, First: NotYet, Last: NotYet, Done: at + e2e, Err: -1, Backend: -1, Code: 200}
}

// steady returns a run of n requests, 10 a second, that took 1 ms, 2 ms, … in a
// random order.
func steady(n int) *Run {
	r := &Run{Meta: Meta{DurationS: float64(n) / 10, Speed: 1, Stages: []StageInfo{{Name: "hold", Arrivals: n}}, Classes: []string{"chat"}}}
	for i, k := range rand.New(rand.NewPCG(1, 1)).Perm(n) {
		r.Requests = append(r.Requests, request(i, time.Duration(i)*100*time.Millisecond, time.Duration(k+1)*time.Millisecond))
	}
	return r
}

// canceledAfter is a steady run with a tenth of its requests ended by us, that
// long after they were scheduled.
func canceledAfter(waited time.Duration) *Run {
	r := steady(1000)
	for i := range r.Requests {
		if q := &r.Requests[i]; i%10 == 0 && q.Done-q.Scheduled < 900*time.Millisecond {
			q.Outcome, q.Done = Canceled, q.Scheduled+waited
		}
	}
	return r
}

// onePiece is a run whose streams came at once: 8 tokens, all at the end.
func onePiece(n int) *Run {
	r := steady(n)
	r.Meta.Target.Streams = true
	for i := range r.Requests {
		q := &r.Requests[i]
		q.First, q.Last, q.Tokens, q.TokensFrom, q.Pieces = q.Done, q.Done, 8, TokensUsage, 1
	}
	return r
}

// pieces is a run whose answers are 80 tokens in 10 pieces, 0.8 s apart.
func pieces(n int, from TokenSource) *Run {
	r := steady(n)
	r.Meta.Target.Streams = true
	for i := range r.Requests {
		q := &r.Requests[i]
		q.First, q.Last = q.Done-7200*time.Millisecond, q.Done
		q.Tokens, q.TokensFrom, q.Pieces, q.GapMax = 80, from, 10, 800*time.Millisecond
	}
	return r
}

func judge(t *testing.T, r *Run, text string, extra ...Figure) Judgement {
	t.Helper()
	o, err := ParseObjective(text)
	if err != nil {
		t.Fatal(err)
	}
	return r.Judge([]Objective{o}, extra...)[0]
}

func show(v *float64) any {
	if v == nil {
		return nil
	}
	return *v
}

// unended is a log of requests without the ends of their answers.
func unended() *Run {
	r := steady(100)
	for i := range r.Requests {
		r.Requests[i].Done = NotYet
	}
	return r
}

func TestJudge(t *testing.T) {
	failing := func(n, bad int, o Outcome) *Run {
		r := steady(n)
		for i := range bad {
			r.Requests[i*n/bad].Outcome = o
		}
		return r
	}
	warm := steady(1000)
	warm.Meta.Stages = []StageInfo{{Warmup: true}, {}}
	for i := range warm.Requests {
		if warm.Requests[i].Done-warm.Requests[i].Scheduled > 500*time.Millisecond {
			continue // all slow ones are in the warm-up
		}
		warm.Requests[i].Stage = 1
	}
	for _, c := range []struct {
		sentence string
		run      *Run
		text     string
		want     Verdict
		value    float64 // NaN = null
		note     string
	}{
		{"p95 of 1..1000 ms is 950 ms", steady(1000), "e2e.p95 < 1s", Pass, 0.95, ""},
		{"well above the limit", steady(1000), "e2e.p95 < 500ms", Fail, 0.95, ""},
		{"close to the limit nothing can be said", steady(1000), "e2e.p95 < 951ms", Inconclusive, 0.95, "contains the limit"},
		{"too few for an upper bound", steady(50), "e2e.p95 < 1s", Inconclusive, 0.048, "needs 59"},
		{"59 are enough", steady(59), "e2e.p95 < 1s", Pass, 0.057, ""},
		{"too few can still fail", steady(50), "e2e.p95 < 10ms", Fail, 0.048, ""},
		{"6 % failed: p95 is infinite", failing(1000, 70, Timeout), "e2e.p95 < 1h", Fail, math.NaN(), "infinitely late"},
		{"6 % shed: p95 is infinite", failing(1000, 70, Shed), "e2e.p95 < 1h", Fail, math.NaN(), "infinitely late"},
		{"1 % failed: p95 is finite", failing(1000, 10, Reset), "e2e.p95 < 2s", Pass, 0.96, ""},
		{"0.8 % failed: p99 has no upper bound, and 1000 are not too few", failing(1000, 8, HTTP429), "e2e.p99 < 2s", Inconclusive, 0.998, "too many requests failed"},
		{"the end of an answer needs no stream", unended(), "e2e.p95 < 1s", Unknown, math.NaN(), "no request has it"},
		{"no stream, no time to first token", steady(100), "ttft.p95 < 1s", Unknown, math.NaN(), "not streamed"},
		{"error rate", failing(1000, 10, HTTP5xx), "error_rate < 5%", Pass, 0.01, ""},
		{"no error in 1000 does not prove 0.1 %", steady(1000), "error_rate < 0.1%", Inconclusive, 0, "contains the limit"},
		{"no error in 10000 does", steady(10000), "error_rate < 0.1%", Pass, 0, ""},
		{"a request that was shed is an error", failing(1000, 100, Shed), "error_rate < 1%", Fail, 0.1, ""},
		{"one that Ctrl-C ended leaves the error rate", failing(1000, 100, Canceled), "error_rate < 1%", Pass, 0, ""},
		{"and the latencies, where it had not waited long", canceledAfter(time.Second), "e2e.p95 < 2s", Pass, 0.955, ""},
		{"but had it waited beyond the limit, it missed it", canceledAfter(3 * time.Second), "e2e.p95 < 2s", Fail, math.NaN(), "infinitely late"},
		{"and so with goodput, which no limit bounds here", canceledAfter(time.Second), "goodput > 90%", Pass, 1, ""},
		{"a stream that came in one piece has no time per token", onePiece(100), "tpot.p95 < 1s", Unknown, math.NaN(), "one piece"},
		{"nor gaps between tokens", onePiece(100), "itl.p95 < 1s", Unknown, math.NaN(), "one piece"},
		{"nor between chunks", onePiece(100), "icl.p95 < 1s", Unknown, math.NaN(), "one piece"},
		{"a gap is divided by the tokens that a piece brought", pieces(100, TokensUsage), "itl.p50 < 101ms", Pass, 0.1, ""},
		{"the gap between pieces has a name of its own", pieces(100, TokensUsage), "icl.p50 < 801ms", Pass, 0.8, ""},
		{"tokens that nobody counted are taken for pieces", pieces(100, TokensChunks), "itl.p50 < 801ms", Pass, 0.8, ""},
		{"warm-up is left out", warm, "e2e.max < 501ms", Pass, 0.5, ""},
		{"every window of a minute", steady(6000), "e2e.p50 < 4s each 1m for 99%", Pass, 3, "10 of 10 windows of 1m met"},
		{"no window of a minute", steady(6000), "e2e.p50 < 1s each 1m for 99%", Fail, 3, "0 of 10 windows"},
		{"money without a price", steady(100), "usd_month < 900", Unknown, math.NaN(), "needs a price"},
		{"replicas that nobody saw", steady(100), "replica_hours < 12", Unknown, math.NaN(), "no replicas were observed"},
		{"nothing at all", &Run{}, "e2e.p95 < 1s", Unknown, math.NaN(), "no requests"},
	} {
		got := judge(t, c.run, c.text)
		if got.Verdict != c.want || !strings.Contains(got.Note, c.note) || c.note == "" && got.Note != "" {
			t.Errorf("%s: %s is %s (%s), want %s (%s): %v in [%v, %v]", c.sentence, c.text, got.Verdict, got.Note, c.want, c.note, show(got.Value), show(got.Lo), show(got.Hi))
		}
		if math.IsNaN(c.value) != (got.Value == nil) || got.Value != nil && math.Abs(*got.Value-c.value) > 1e-9 {
			t.Errorf("%s: value %v, want %v", c.sentence, show(got.Value), c.value)
		}
	}
	if got := judge(t, steady(10), "usd_month < 900", Exactly("usd_month", 511, 1, "usd")); got.Verdict != Pass || *got.Value != 511 {
		t.Errorf("a figure handed in: %+v", got)
	}
	if got := judge(t, steady(1000), "e2e.p95 < 500ms"); math.Abs(*got.Attainment-0.499) > 1e-9 {
		t.Errorf("attainment %v, want 0.499: 499 of 1000 took less than 500 ms", *got.Attainment)
	}
}

// The intervals cover the truth in about 90 % of samples: no fewer than 86 %,
// no more than 97 % (order statistics are discrete).
func TestIntervalsCoverTheTruth(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	const trials = 1000
	for _, c := range []struct {
		n int
		q float64
	}{{100, 0.5}, {100, 0.95}, {400, 0.99}, {5000, 0.95}} {
		truth := -math.Log(1 - c.q)
		covered := 0
		for range trials {
			xs := make([]float64, c.n)
			for i := range xs {
				xs[i] = rng.ExpFloat64()
			}
			slices.Sort(xs)
			lo, hi := quantileInterval(xs, c.q)
			if !(lo > truth) && !(hi < truth) {
				covered++
			}
		}
		if share := float64(covered) / trials; share < 0.86 || share > 0.97 {
			t.Errorf("n=%d q=%v: the interval covers the truth in %.1f %%, want about 90", c.n, c.q, 100*share)
		}
	}
	covered := 0
	for range trials {
		k := 0.0
		for range 500 {
			if rng.Float64() < 0.02 {
				k++
			}
		}
		if lo, hi := ratioInterval(k, 500); lo <= 0.02 && 0.02 <= hi {
			covered++
		}
	}
	if share := float64(covered) / trials; share < 0.86 || share > 0.95 {
		t.Errorf("Wilson covers the truth in %.1f %%", 100*share)
	}
	// Exact ranks and the normal approximation meet where one hands over.
	for _, n := range []int{2104, 2106} { // sd is 9.998 and 10.003
		l, u := binomialRanks(n, 0.95)
		if mean := 0.95 * float64(n); math.Abs(float64(l)-(mean-16.45)) > 2 || math.Abs(float64(u)-(mean+16.45)) > 2 {
			t.Errorf("binomialRanks(%d, 0.95) = %d, %d", n, l, u)
		}
	}
	if l, u := binomialRanks(58, 0.95); u != 59 || l < 1 {
		t.Errorf("binomialRanks(58, 0.95) = %d, %d: 58 are one too few", l, u)
	}
	if _, u := binomialRanks(59, 0.95); u != 59 {
		t.Errorf("binomialRanks(59, 0.95): upper %d, want 59", u)
	}
}

// montanaflynn/stats changed its Percentile in v0.8.0; these are R's
// quantile(c(15,20,35,40,50), type=7).
func TestPercentileIsType7(t *testing.T) {
	xs := []float64{35, 20, 15, 50, 40}
	for _, c := range []struct{ q, want float64 }{{0, 15}, {0.05, 16}, {0.3, 23}, {0.4, 29}, {0.5, 35}, {0.95, 48}, {1, 50}} {
		if got := Percentile(xs, c.q); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("Percentile(%v, %v) = %v, want %v", xs, c.q, got, c.want)
		}
	}
	if !math.IsNaN(Percentile(nil, 0.5)) || !math.IsNaN(Percentile(xs, 1.1)) || !math.IsNaN(NearestRank(nil, 0.5)) {
		t.Error("a quantile of nothing, or beyond 1, is not NaN")
	}
	if xs[0] != 35 {
		t.Error("Percentile sorted its input")
	}
	if got := NearestRank([]float64{15, 20, 35, 40, 50}, 0.3); got != 20 {
		t.Errorf("NearestRank(0.3) = %v, want 20", got)
	}
}

func TestTimelineIsJudgedAsItsRun(t *testing.T) {
	r := steady(6000)
	for i := range 30 {
		r.Requests[i*200].Outcome = Timeout
	}
	texts := []string{"e2e.p95 < 5800ms", "e2e.p95 < 5500ms", "error_rate < 1%", "e2e.p50 < 4s each 1m for 90%", "e2e.p50 < 1s each 1m for 90%", "usd_month < 1"}
	for _, text := range texts {
		o, err := ParseObjective(text)
		if err != nil {
			t.Fatal(err)
		}
		tl := r.TimelineWithin(time.Second, LimitsOf([]Objective{o}))
		got, want := tl.Judge([]Objective{o})[0], r.Judge([]Objective{o})[0]
		if got.Verdict != want.Verdict {
			t.Errorf("%s: the timeline says %s, the run %s", text, got.Verdict, want.Verdict)
		}
		if want.Value != nil && math.Abs(*got.Value-*want.Value) > 0.001**want.Value {
			t.Errorf("%s: the timeline says %v, the run %v", text, *got.Value, *want.Value)
		}
		if want.Attainment != nil && math.Abs(*got.Attainment-*want.Attainment) > 0.001 {
			t.Errorf("%s: attainment: the timeline says %v, the run %v", text, *got.Attainment, *want.Attainment)
		}
	}
}

func TestOverall(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		verdicts []Verdict
		want     Verdict
	}{
		{"no objective is a pass", nil, Pass},
		{"all pass", []Verdict{Pass, Pass}, Pass},
		{"one miss is a miss, whatever else is in doubt", []Verdict{Unknown, Inconclusive, Fail, Pass}, Fail},
		{"one doubt is a doubt", []Verdict{Pass, Inconclusive}, Inconclusive},
		{"what is not known never counts as a pass", []Verdict{Pass, Unknown}, Inconclusive},
	} {
		var js []Judgement
		for _, v := range tt.verdicts {
			js = append(js, Judgement{Verdict: v})
		}
		if got := Overall(js); got != tt.want {
			t.Errorf("%s: Overall(%v) = %s, want %s", tt.sentence, tt.verdicts, got, tt.want)
		}
	}
}

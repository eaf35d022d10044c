package plant

import (
	"math"
	"testing"

	"github.com/hpatune/hpatune/results"
)

// answers returns the times of requests with 1 to n tokens: 0.1 s a token, and perPrompt seconds
// a token of a prompt that is long for every third.
func answers(n int, perPrompt float64) []ServiceTime {
	var out []ServiceTime
	for i := range n {
		t := ServiceTime{Class: 0, Tokens: float64(i + 1), Prompt: 100}
		if i%3 == 0 {
			t.Prompt = 1000
		}
		t.Total = 0.5 + 0.1*t.Tokens + perPrompt*t.Prompt
		t.First = 0.5 + perPrompt*t.Prompt
		out = append(out, t)
	}
	return out
}

func TestARequestOfKnownSizeTakesTheTimeOfOneLikeIt(t *testing.T) {
	constant := answers(300, 0)
	for i := range constant {
		constant[i].Tokens = 10
		constant[i].Prompt = 0
	}
	unrelated := answers(300, 0)
	for i := range unrelated {
		unrelated[i].Tokens = float64(1 + i*7919%300)
		unrelated[i].Prompt = 0
	}
	for _, row := range []struct {
		what           string
		times          []ServiceTime
		prompt, output int
		class          int16
		mean, within   float64 // of the drawn times, seconds
	}{
		{"a short answer", answers(300, 0), 100, 10, 0, 1.5, 0.4},
		{"a long answer", answers(300, 0), 100, 290, 0, 29.5, 0.6},
		{"an answer longer than any in the sample", answers(300, 0), 100, 900, 0, 29.8, 0.6},
		{"an answer of unknown length is any", answers(300, 0), 100, 0, 0, 15.5, 1.5},
		{"a short answer to a long prompt", answers(300, 0.02), 1000, 10, 0, 21.5, 0.7},
		{"a short answer to a short prompt", answers(300, 0.02), 100, 10, 0, 3.5, 0.7},
		{"a class that the sample does not have takes all", answers(300, 0), 100, 10, 3, 1.5, 0.4},
		{"all have the same tokens: all times are like it", constant, 0, 10, 0, 15.5, 1.5},
		{"a sample of fewer requests than it takes", answers(3, 0), 100, 2, 0, 0.7, 0.1},
	} {
		m := &Model{Spec: Spec{Law: SlotsLaw(8, row.times)}}
		m.classify()
		sum := 0.0
		const n = 2000
		for i := range n {
			r := Request{Index: i, Class: row.class, Prompt: row.prompt, Output: row.output}
			drawn := m.drawn(&r, 7)
			sum += drawn.Total / n
		}
		if math.Abs(sum-row.mean) > row.within {
			t.Errorf("%s: takes %.2f s on average, want %.2f ± %.2f", row.what, sum, row.mean, row.within)
		}
	}
	// Where tokens say nothing about the time, those of one number of tokens are a fair sample.
	m := &Model{Spec: Spec{Law: SlotsLaw(8, unrelated)}}
	m.classify()
	lo, hi := math.Inf(1), 0.0
	for output := 1; output <= 300; output += 13 {
		for i := range 50 {
			d := m.drawn(&Request{Index: i, Output: output}, 7).Total
			lo, hi = min(lo, d), max(hi, d)
		}
	}
	if lo > 2 || hi < 29 {
		t.Errorf("tokens that say nothing about the time: times of %.1f to %.1f s are drawn, want all of 0.6 to 30.5 s",
			lo, hi)
	}
}

// The long answers of a spike make its requests wait, which the same answers in any order do not.
func TestASpikeOfLongAnswersIsPlayedAsOne(t *testing.T) {
	law := SlotsLaw(4, answers(100, 0)) // 0.6 to 10.5 s: 0.72 requests/s
	p95 := func(output func(i int) int) float64 {
		m, err := Compile(Spec{Law: law, Start: []PhaseSample{{}}})
		if err != nil {
			t.Fatal(err)
		}
		var l Latency
		for seed := range uint64(20) {
			var e Exact
			e.Reset(m, 1, seed, make([]results.Tick, 402), &l)
			for i := range 400 {
				var come []Request
				if i%2 == 0 {
					come = append(come, Request{At: float64(i), Index: i / 2, Prompt: 100, Output: output(i / 2)})
				}
				e.Step(come)
			}
			e.Finish()
		}
		d, _ := l.TTFT.Quantile(0.95)
		return d.Seconds()
	}
	spread := p95(func(i int) int { return 1 + i*37%100 })
	together := p95(func(i int) int { return 1 + i*37%100/2 + 50*(i/50%2) })
	unknown := p95(func(int) int { return 0 })
	if together < 2*unknown || spread > unknown {
		t.Errorf("TTFT p95 is %.1f s with long answers together, %.1f s spread evenly, %.1f s if not known",
			together, spread, unknown)
	}
}

package fit

import (
	"math"
	"testing"

	"github.com/hpatune/hpatune/results"
)

// A lone request gets a short answer in one piece; busy servers write it in several. The busy
// ones show how much of the work comes before the first token.
func TestFirstTokensOfAnswersInOnePiece(t *testing.T) {
	run := &results.Run{}
	at := 0.0
	for range 10 { // alone: 20 ms, all at once
		run.Requests = append(run.Requests, request(0, at, at+0.02, at+0.02, results.OK))
		at++
	}
	for range 15 { // two at once: a first token after 40 of 100 ms
		run.Requests = append(run.Requests, request(0, at, at+0.04, at+0.1, results.OK),
			request(0, at+0.001, at+0.041, at+0.101, results.OK))
		at++
	}
	l := readLog(run)
	alone, ok := loneOf(l)
	if !ok || len(alone.sample) != 10 {
		t.Fatalf("%d alone, %v; want 10", len(alone.sample), ok)
	}
	for _, s := range alone.sample {
		if !s.Streamed || math.Abs(s.First-0.008) > 1e-6 || math.Abs(s.Total-0.02) > 1e-6 {
			t.Errorf("alone %+v, want a first token after 40 %% of 20 ms", s)
		}
	}
	if s := alone.line(&l.calls[0]); !s.Streamed || math.Abs(s.First-0.008) > 1e-6 {
		t.Errorf("by its line %+v, want the same", s)
	}
}

package plant

import (
	"testing"
	"time"
)

// An answer that streams but comes in one piece has its first token at its end; one that does
// not stream has no first token. Both plants count it that way.
func TestTheFirstTokenOfOnePiece(t *testing.T) {
	for _, row := range []struct {
		name string
		time ServiceTime
		ttft time.Duration // 0 = none
	}{
		{"an answer that does not stream has no first token", ServiceTime{First: 0.2, Total: 0.2, Tokens: 8}, 0},
		{"an answer in one piece has it at its end", ServiceTime{First: 0.2, Total: 0.2, Tokens: 8, Streamed: true}, 200 * time.Millisecond},
		{"an answer in pieces has it before", ServiceTime{First: 0.1, Total: 0.2, Tokens: 8, Streamed: true}, 100 * time.Millisecond},
		{"a model of an older version says so by its times alone", ServiceTime{First: 0.1, Total: 0.2}, 100 * time.Millisecond},
	} {
		for _, quota := range []float64{0, 5} {
			law := SlotsLaw(50, []ServiceTime{row.time})
			if quota > 0 {
				law.Quota = Quota{Cores: quota, Each: 0.01}
			}
			m := compile(t, Spec{Law: law, Balancer: Random})
			_, exact := play(m, 2, poisson(3, 5, 200), 200)
			var f Fluid
			var fluid Latency
			f.Reset(m, 2, &fluid)
			steps(&f, 100, 5)
			for plant, l := range map[string]*Latency{"exact": exact, "fluid": &fluid} {
				got, ok := l.TTFT.Quantile(0.5)
				if ok != (row.ttft > 0) || ok && (got < row.ttft*9/10 || got > row.ttft*11/10) {
					t.Errorf("%s, CPU limit %g, %s plant: TTFT p50 %v %v, want %v", row.name, quota, plant, got, ok, row.ttft)
				}
			}
		}
	}
}

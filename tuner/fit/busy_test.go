package fit

import (
	"math"
	"testing"

	"github.com/hpatune/hpatune/tuner/plant"
)

// came is a server's log: requests that come at one rate and end, in order, at another.
func came(from, to, rate, served float64) (out []call) {
	done := 0.0
	for at := from; at < to; at += 1 / rate {
		done = max(done, at) + 1/served
		out = append(out, call{sent: at, first: done, done: done, ok: true})
	}
	return out
}

func TestCostWhenBusy(t *testing.T) {
	q := plant.Quota{Cores: 0.2, Base: 0.004, Each: 0.0105} // 18.7 requests/s by the CPU samples
	for _, tt := range []struct {
		sentence string
		calls    []call
		each     float64 // core-seconds; 0 = not known
	}{
		{"no requests", nil, 0},
		{"a pod that serves 20/s and gets 25", came(0, 30, 25, 20), 0.0098},
		{"a pod that keeps up is never busy", came(0, 30, 15, 20), 0},
		{"too few requests", came(0, 3, 25, 20), 0},
		{"requests that wait for something else than CPU", came(0, 60, 10, 5), 0},
		{"the stretch of a busy pod among hours of ease",
			append(came(0, 3600, 5, 20), came(4000, 4040, 30, 20)...), 0.0098},
	} {
		s := &service{log: &log{calls: tt.calls, visible: true}, start: make([]float64, len(tt.calls))}
		all := server{}
		for i := range tt.calls {
			s.start[i] = tt.calls[i].sent
			all.calls = append(all.calls, i)
		}
		s.servers = []server{all}
		did := func(_ int, from, to float64) reading {
			n := 0.0
			for i := range tt.calls {
				if c := &tt.calls[i]; c.done > from && c.done <= to {
					n++
				}
			}
			return reading{done: n / (to - from), window: to - from}
		}
		each, seconds := costWhenBusy(s, q, did)
		if math.Abs(each-tt.each) > 0.01*tt.each || (each > 0) != (seconds > 0) {
			t.Errorf("%s: %.5f core-seconds in %.1f s, want %.5f", tt.sentence, each, seconds, tt.each)
		}
	}
}

// A burst that is over within two seconds does not count, nor does the first quarter of a second.
func TestBusyIn(t *testing.T) {
	calls := append(came(0, 0.4, 20, 10), came(10, 20, 40, 20)...)
	s := &service{log: &log{calls: calls}}
	all := server{}
	for i := range calls {
		all.calls = append(all.calls, i)
	}
	s.servers = []server{all}
	spans := s.busyIn(0)
	if len(spans) != 1 || math.Abs(spans[0][0]-10.3) > 0.1 || math.Abs(spans[0][1]-calls[len(calls)-2].done) > 1e-9 {
		t.Errorf("busy in %v, want once, from 10.3 s to the last request but one at %.2f s", spans,
			calls[len(calls)-2].done)
	}
}

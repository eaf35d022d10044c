package fit

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// A pod's value changes only when it is scraped, which tells its phase without the log.
func TestPhasesOfHiddenPods(t *testing.T) {
	looks := func(every, phase, look float64, changes bool) (out []results.Sample) {
		for at := 2.0; at < 400; at += look {
			k := math.Floor((at - phase) / every)
			v := 3.0
			if changes {
				v = math.Round(10 * math.Abs(math.Sin(k*k)))
			}
			out = append(out, results.Sample{At: seconds(at), Name: "in_flight", Pod: "a", Value: v, Source: "scrape"})
		}
		return out
	}
	for _, tt := range []struct {
		sentence           string
		every, phase, look float64
		changes, ok        bool
	}{
		{"scraped every 15 s, looked at every 4", 15, 6, 4, true, true},
		{"just before the end of the interval", 15, 14.5, 4, true, true},
		{"at its start", 15, 0.5, 4, true, true},
		{"every 30 s", 30, 11, 5, true, true},
		{"a value that never changes tells nothing", 15, 6, 4, false, false},
		{"looked at too seldom", 15, 6, 12, true, false},
	} {
		got, ok := phaseShownBy(looks(tt.every, tt.phase, tt.look, tt.changes), tt.every)
		off := math.Abs(got - tt.phase)
		if ok != tt.ok || ok && math.Min(off, tt.every-off) > 1.5 {
			t.Errorf("%s: phase %.1f, %v; want %.1f, %v", tt.sentence, got, ok, tt.phase, tt.ok)
		}
	}
	s := &service{log: &log{run: &results.Run{}, lives: []life{{name: "c", created: time.Minute}, {name: "a"}, {name: "b"}}}}
	for pod, phase := range map[string]float64{"a": 3, "c": 9} {
		for _, x := range looks(15, phase, 4, true) {
			x.Pod = pod
			s.run.Samples = append(s.run.Samples, x)
		}
	}
	p := plant.Pipe{Every: 15 * time.Second, Delay: time.Second, Apart: true}
	s.setPhases(&p, &hpa.Metric{Source: hpa.Pods, Name: "in_flight"})
	near := func(d, want time.Duration) bool { return (d - want).Abs() <= 1500*time.Millisecond }
	if len(p.Phases) != 3 || !near(p.Phases[0], 2*time.Second) || p.Phases[1] >= 0 || !near(p.Phases[2], 8*time.Second) {
		t.Errorf("phases %v, want 2 s of a, nothing of b, and 8 s of c, which came last", p.Phases)
	}
	visible := p
	visible.Phases = nil
	s.visible = true
	if s.setPhases(&visible, &hpa.Metric{Source: hpa.Pods, Name: "in_flight"}); visible.Phases != nil {
		t.Error("where the log names the pods, the fit has them")
	}
}

package fit

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// TestCPUThatCannotSeeTheLoad: a replica with all 8 slots busy uses 0.975 of its core, but the
// HPA scales up only at 1.32.
func TestCPUThatCannotSeeTheLoad(t *testing.T) {
	run := func(rate float64, target int32) (*results.Run, fittest.Truth) {
		c := fittest.Truth{Rate: func(at float64) float64 { return 2 + (rate-2)*at/600 }, Seconds: 600, Config: fittest.CPUConfig(target), Replicas: 2, Slots: 8, Streams: true, Seed: 3}
		r := c.Run()
		return r, c
	}
	for _, row := range []struct {
		name    string
		rate    float64 // at the end; two replicas can serve 3.4
		target  int32
		gauge   string
		blind   bool
		settled string
	}{
		{"past capacity, a target that CPU never reaches", 5, 120, "", true, "--promql"},
		{"the same, with a queue's length recorded", 5, 120, "queue_length", true, "queue_length"},
		{"well below capacity: still is not blind", 2.2, 120, "", false, ""},
		{"past capacity, a target that it reaches", 5, 70, "", false, ""},
	} {
		r, c := run(row.rate, row.target)
		if row.gauge != "" {
			l := readLog(r)
			for at := 5.0; at < 600; at += 15 {
				for k, b := range r.Meta.Backends {
					r.Samples = append(r.Samples, results.Sample{At: fittest.Dur(at), Source: "prometheus", Name: row.gauge, Pod: b.Name, Value: max(0, float64(l.insideAt(k, at))-8), SampledAt: results.NotYet})
				}
			}
		}
		for _, stated := range []time.Duration{0, 30 * time.Second} {
			f, err := Fit(r, c.Config, Options{Seed: 1, Startup: stated})
			var d *Doubt
			if !errors.As(err, &d) {
				for i := range f.Doubts {
					d = &f.Doubts[i]
				}
			}
			if blind := d != nil && d.ID == "blind-metric"; blind != row.blind {
				t.Errorf("%s, start-up %v: doubt %+v, error %v, want blind %v", row.name, stated, d, err, row.blind)
				continue
			}
			if row.blind && (!strings.Contains(d.Text, "CPU does not show this load") || !strings.Contains(d.SettledBy, row.settled)) {
				t.Errorf("%s: %q, settled by %q; want %q", row.name, d.Text, d.SettledBy, row.settled)
			}
			if row.blind {
				t.Logf("%s; settled by %s", d.Text, d.SettledBy)
			}
		}
	}
}

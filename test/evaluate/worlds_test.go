package main

import (
	"testing"

	"github.com/hpatune/hpatune/test/evaluate/sim"
)

// Every world is informative: under its hand-written configuration the size changes, most requests
// are answered, and a large fixed size meets the objectives.
func TestWorldsTellSomething(t *testing.T) {
	if testing.Short() {
		t.Skip("some seconds")
	}
	seen := map[string]bool{}
	for _, w := range worlds() {
		if seen[w.Name] {
			t.Errorf("%s is there twice", w.Name)
		}
		seen[w.Name] = true
		d := w.Run(sim.Options{Seed: 1, Config: w.Current})
		ample := w.Run(sim.Options{Seed: 1, Fixed: int(w.Most)})
		t.Logf("%-40s %6d requests, attainment %.3f, peak %2.0f, hours %.2f, ttft p95 %6.2f, e2e p95 %6.2f; fixed at %d: %.3f",
			w.Name, d.Requests, d.Attainment, d.Peak, d.Hours, d.TTFTP95, d.E2EP95, w.Most, ample.Attainment)
		if d.Peak < 4 || d.Errors > 0.02 || !ample.Met {
			t.Errorf("%s: peak %v, errors %.3f; an ample size meets the objectives: %v (%.3f)", w.Name, d.Peak,
				d.Errors, ample.Met, ample.Attainment)
		}
	}
	if len(seen) < 40 {
		t.Errorf("%d worlds, want 40 at least", len(seen))
	}
	n := 0
	for _, w := range worlds() {
		if w.Quick {
			n++
		}
	}
	if n != 3 {
		t.Errorf("%d quick worlds, want 3", n)
	}
}

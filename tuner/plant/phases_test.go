package plant

import (
	"testing"
	"time"
)

// In a replay of its own run, the pods are scraped at their recorded phases; in a replay with
// another seed, at most a step away; on another day, at any phase.
func TestPhasesOfRecordedPods(t *testing.T) {
	m := compile(t, Spec{
		Law: SlotsLaw(4, []ServiceTime{{First: 1, Total: 1}}),
		Pipes: []Pipe{{Name: "waiting", PerWaiting: 1, Every: 15 * time.Second, Apart: true,
			Phases: []time.Duration{3 * time.Second, -1, 14 * time.Second}}},
	})
	replayed := m.InOrder(2)
	if a, b := replayed.offset(0, 0), replayed.offset(0, 2); a != 3 || b != 14 {
		t.Errorf("the first and the third pod are read %d and %d s late, want 3 and 14", a, b)
	}
	any := map[int]bool{}
	for seed := range uint64(50) {
		drawn := m.Draw(Another{Seed: seed})
		near := drawn.InOrder(2)
		for pod, want := range map[int]int{0: 3, 2: 14} {
			if late := near.offset(0, pod); (late-want+15+1)%15 > 2 {
				t.Errorf("seed %d: pod %d is read %d s late, want %d or a step beside", seed, pod, late, want)
			}
		}
		any[near.offset(0, 1)] = true
	}
	if len(any) < 10 {
		t.Errorf("a pod whose phase is not known is read at %v only", any)
	}
	other := map[int]bool{}
	for seed := range uint64(50) {
		other[m.Draw(Another{Seed: seed}).offset(0, 0)] = true
	}
	if len(other) < 8 {
		t.Errorf("on other days the first pod is read at %v only, want any phase", other)
	}
}

package tuner

import (
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Three requests a second burn one and a half cores, and each replica a hundredth: a
// little over three of a core each at a target of 50 %, so four, whatever the size was
// when the recording began.
func TestStanding(t *testing.T) {
	for _, c := range []struct {
		sentence string
		recorded int32
		config   hpa.Config
		want     int32
	}{
		{"it settles where the target is met", 2, cpuHPA(1, 10, 50), 4},
		{"from above as from below", 9, cpuHPA(1, 10, 50), 4},
		{"a lower target takes more", 2, cpuHPA(1, 10, 30), 6},
		{"within its maximum", 2, cpuHPA(1, 2, 50), 2},
		{"and its minimum", 2, cpuHPA(7, 10, 50), 7},
	} {
		w := clockwork(t, 120, func(w *replay.World) { steadyRate(3)(w); w.Replicas = c.recorded })
		b := newBenchOf(t, w, nil, Options{}, "ttft.p95 < 500ms")
		var s replay.Scratch
		if got := b.standing(c.config, &s); got != c.want {
			t.Errorf("%s: %d replicas, want %d", c.sentence, got, c.want)
		}
		// How fast it may scale is no matter of where it rests.
		slow := c.config.Clone()
		slow.EnsureBehavior()
		slow.ScaleUp.Policies = []hpa.Policy{{Type: hpa.PodsPolicy, Value: 1, Period: 30 * time.Minute}}
		if got := b.standing(slow, &s); got != c.want {
			t.Errorf("%s, one pod in half an hour: %d replicas, want %d", c.sentence, got, c.want)
		}
		under := b.under(w, c.config, &s)
		if under.Replicas != c.want || w.Replicas != c.recorded {
			t.Errorf("%s: the day begins with %d, the recorded one with %d", c.sentence, under.Replicas, w.Replicas)
		}
		b.asRecorded = true
		if b.under(w, c.config, &s) != w {
			t.Errorf("%s: what ran does not begin as it began", c.sentence)
		}
	}
}

func TestCalmed(t *testing.T) {
	w := clockwork(t, 120, func(w *replay.World) {
		steadyRate(8)(w)
		for i := range 60 {
			w.Demand.Bins[i] = float64(i % 2 * 4) // 2 on the average
		}
		w.Sync.Recorded = []time.Duration{time.Second}
	})
	calm := calmed(w, 90*time.Second)
	if !slices.Equal(calm.Demand.Bins, slices.Repeat([]float64{2}, 90)) || calm.Sync.Recorded != nil || w.Sync.Recorded == nil {
		t.Errorf("calmed to %v, want the first minute's 2 for 90 ticks", calm.Demand.Bins)
	}
	if short := calmed(clockwork(t, 30, steadyRate(3)), 100*time.Millisecond); !slices.Equal(short.Demand.Bins, []float64{3}) {
		t.Errorf("half a minute of 3, for less than a tick: %v, want one of 3", short.Demand.Bins)
	}
}

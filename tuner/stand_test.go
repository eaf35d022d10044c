package tuner

import (
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Three requests per second use one and a half cores, and each replica a hundredth more. At a
// target of 50 % of one core each, that needs a little more than three replicas, so four,
// whatever the size was when the recording began.
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
		// How fast it may scale does not change where it settles.
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
			w.Demand.Bins[i] = float64(i % 2 * 4) // 2 on average
		}
		w.Sync.Recorded = []time.Duration{time.Second}
	})
	calm := calmed(w, 90*time.Second)
	if !slices.Equal(calm.Demand.Bins, slices.Repeat([]float64{2}, 90)) || calm.Sync.Recorded != nil || w.Sync.Recorded == nil {
		t.Errorf("calmed to %v, want the first minute's 2 for 90 ticks", calm.Demand.Bins)
	}
	slow := &replay.World{Demand: replay.Demand{Step: 2 * time.Minute, Bins: []float64{4, 8}}}
	if calm := calmed(slow, 5*time.Minute); !slices.Equal(calm.Demand.Bins, []float64{4, 4}) {
		t.Errorf("ticks longer than a minute: %v, want the first one's 4, as often as it fits", calm.Demand.Bins)
	}
	if short := calmed(clockwork(t, 30, steadyRate(3)), 100*time.Millisecond); !slices.Equal(short.Demand.Bins, []float64{3}) {
		t.Errorf("half a minute of 3, for less than a tick: %v, want one of 3", short.Demand.Bins)
	}
}

// A candidate gets time to settle: its scale-down window, a start-up and two minutes; at zero,
// KEDA's loop adds to that.
func TestSettling(t *testing.T) {
	none, one := int32(0), int32(1)
	loop := &keda.Loop{Polling: 10 * time.Second, Cooldown: 3 * time.Minute}
	for _, c := range []struct {
		sentence string
		min      int32
		window   time.Duration // of scaling down; 0 = not set
		loop     *keda.Loop
		want     time.Duration
	}{
		{"the controller's window", 2, 0, nil, 7*time.Minute + 30*time.Second},
		{"its own window", 2, 10 * time.Minute, nil, 12*time.Minute + 30*time.Second},
		{"a loop that never goes to zero", 2, 0, loop, 7*time.Minute + 30*time.Second},
		{"a loop that does: its cooldown, and a look on either side", 0, 0, loop, 10*time.Minute + 50*time.Second},
		{"idleReplicaCount 0", 2, 0, &keda.Loop{Polling: 10 * time.Second, Cooldown: 3 * time.Minute, Idle: &none}, 10*time.Minute + 50*time.Second},
		{"idleReplicaCount 1", 2, 0, &keda.Loop{Cooldown: 3 * time.Minute, Idle: &one}, 7*time.Minute + 30*time.Second},
		{"an HPA that goes to zero by itself", 0, 0, nil, 7*time.Minute + 30*time.Second},
	} {
		k := cpuHPA(c.min, 9, 50)
		if c.window > 0 {
			k.EnsureBehavior()
			k.ScaleDown.Window, k.ScaleDown.WindowSet = c.window, true
		}
		b := &bench{world: &replay.World{Loop: c.loop, Params: hpa.Params{DownscaleStabilization: 5 * time.Minute}}, space: Space{Start: 30 * time.Second}}
		if got := b.settling(&k); got != c.want {
			t.Errorf("%s: %v, want %v", c.sentence, got, c.want)
		}
	}
}

func TestOutset(t *testing.T) {
	for _, c := range []struct {
		sentence           string
		recorded, lo, hi   int32
		perSec, perReplica float64
		want               int32
	}{
		{"as recorded", 3, 1, 9, 2, 1, 3},
		{"as many as the load takes", 3, 1, 9, 4.5, 1, 5},
		{"of replicas that carry less than one a second", 3, 1, 9, 2, 0.5, 4},
		{"within its minimum", 3, 4, 9, 2, 1, 4},
		{"within its maximum", 3, 1, 2, 7, 1, 2},
		{"nobody knows what a replica carries", 3, 1, 9, 7, 0, 3},
		{"at zero, and no load", 0, 0, 9, 0, 1, 0},
		{"at zero, and nobody knows", 0, 0, 9, 7, 0, 0},
	} {
		b := &bench{world: &replay.World{Replicas: c.recorded}, perReplica: c.perReplica}
		k := cpuHPA(c.lo, c.hi, 50)
		if got := b.outset(&k, &replay.Demand{Step: time.Second, Bins: []float64{c.perSec, 99, 99}}); got != c.want {
			t.Errorf("%s: %d, want %d", c.sentence, got, c.want)
		}
	}
}

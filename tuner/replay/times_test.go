package replay

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// An HPA on p95 of the time in the queue scales a load that two replicas cannot serve until
// nothing waits, over both plants, and asks for nothing at a load that they can.
func TestScalingOnATime(t *testing.T) {
	queue := func(seconds float64) hpa.Config {
		c := hpa.DefaultConfig(20)
		c.MinReplicas = 2
		c.Metrics = []hpa.Metric{{Source: hpa.External, Name: "queue_p95",
			Target: hpa.Target{Type: hpa.Value, ValueMilli: int64(1000 * seconds)}}}
		return c
	}
	bins := make([]float64, 1200)
	for i := range bins {
		if bins[i] = 15; i >= 300 && i < 900 {
			bins[i] = 60 // 12.5 requests/s a replica: five of them
		}
	}
	spec := web(bins)
	spec.Pipes = []plant.Pipe{{Name: "queue_p95", Times: &plant.Times{Of: plant.InQueue, Quantile: 0.95}, Over: plant.Max,
		Window: time.Minute, Every: 5 * time.Second, Delay: 5 * time.Second}}
	w := world(t, spec)
	hours := func(ticks []results.Tick) float64 { return Sum(ticks, 0).Pods / 3600 }
	for _, tt := range []struct {
		sentence      string
		target        float64
		least, most   float64 // replicas four minutes into the high load
		least2, most2 float64 // and before it
	}{
		{"a target of half a second", 0.5, 5, 20, 2, 2},
		{"a target that no request reaches in the queue", 1e4, 2, 2, 2, 2},
	} {
		var exact []results.Tick
		var s Scratch
		SimulateExact(w, queue(tt.target), 0, &s, func(k *results.Tick) { exact = append(exact, *k) })
		fluid := run(w, queue(tt.target))
		for plant, ticks := range map[string][]results.Tick{"exact": exact, "fluid": fluid} {
			if n := ticks[520].Ready; n < tt.least || n > tt.most {
				t.Errorf("%s, %s plant: %v replicas under the high load, want %v to %v", tt.sentence, plant, n, tt.least, tt.most)
			}
			if n := ticks[290].Ready; n < tt.least2 || n > tt.most2 {
				t.Errorf("%s, %s plant: %v replicas under the low load, want %v to %v", tt.sentence, plant, n, tt.least2, tt.most2)
			}
		}
		if e, f := hours(exact), hours(fluid); math.Abs(f/e-1) > 0.1 {
			t.Errorf("%s: %.2f replica-hours over the fluid plant, %.2f over the exact one", tt.sentence, f, e)
		}
	}
}

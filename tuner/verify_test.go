package tuner

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/replay"
)

// ofClockwork is a recording of clockwork's two minutes with pods pods. Each answer took
// `took`, and the HPA asked for one pod more from half-time on.
func ofClockwork(pods int, took time.Duration) *results.Run {
	run := &results.Run{Meta: results.Meta{DurationS: 120, Target: results.Target{Streams: true}}}
	for i := range pods {
		name := string(rune('a' + i))
		run.Pods = append(run.Pods, results.Pod{At: -60 * time.Second, Name: name, Phase: results.PodCreated},
			results.Pod{At: -30 * time.Second, Name: name, Phase: results.PodReady})
	}
	run.Syncs = []results.Sync{
		{Spec: 2, Replicas: 2, Desired: 2},
		{At: 60500 * time.Millisecond, Spec: 2, Replicas: 3, Desired: 3},
	}
	for i := range 120 {
		at := time.Duration(i)*time.Second + 100*time.Millisecond
		run.Requests = append(run.Requests, results.Request{Arrival: i, Scheduled: at, Sent: at, First: at + took/2,
			Last: at + took, Done: at + took, Code: 200, Err: -1})
	}
	return run
}

// compared returns the figures of a comparison, by name.
func compared(a Agreement) map[string]Compared {
	out := map[string]Compared{}
	for _, f := range a.Figures {
		out[f.Name] = f
	}
	return out
}

func TestCompare(t *testing.T) {
	w := clockwork(t, 120, nil)
	objectives := objectivesOf(t, "ttft.p95 < 500ms")
	got := Compare(w, sized(2), ofClockwork(3, time.Second), objectives, 1, 6)
	yes, no := true, false
	for name, want := range map[string]struct {
		predicted, actual, err float64
		within                 *bool
	}{
		"replica_hours":      {240.0 / 3600, 360.0 / 3600, -1.0 / 3, &no},
		"ready_hours":        {240.0 / 3600, 360.0 / 3600, -1.0 / 3, &no},
		"attainment":         {1, 1, 0, &yes},
		"ttft_p95_s":         {0.25, 0.5, -0.5, &no},
		"e2e_p95_s":          {0.5, 1, -0.5, &no},
		"error_ratio":        {0, 0, 0, &yes},
		"flaps":              {0, 0, 0, &yes},
		"time_to_capacity_s": {0, 0, math.NaN(), &yes},
		"peak_replicas":      {2, 3, -1, &no},
	} {
		c, ok := compared(got)[name]
		if !ok || c.Predicted == nil || c.Actual == nil || c.Within == nil {
			t.Errorf("%s: %+v, want a prediction, what happened, and whether one is within the other", name, c)
			continue
		}
		err := math.NaN() // nothing over nothing
		if c.Error != nil {
			err = *c.Error
		}
		near := func(a, b float64) bool { return math.Abs(a-b) < 0.01 || math.IsNaN(a) && math.IsNaN(b) }
		if !near(c.Predicted.Value, want.predicted) || !near(*c.Actual, want.actual) || !near(err, want.err) ||
			*c.Within != *want.within {
			t.Errorf("%s: predicted %v, actual %v, off by %v, within %v, want %+v (within %v)",
				name, c.Predicted.Value, *c.Actual, err, *c.Within, want, *want.within)
		}
	}
	if len(got.Figures) != 9 || got.Schema != VerifySchema {
		t.Errorf("%d figures of %s", len(got.Figures), got.Schema)
	}
	// 60 of 120 ticks had one replica more than the replay.
	if r := got.Replicas; math.Abs(r.MeanAbs-0.5) > 1e-9 || r.MaxAbs != 1 {
		t.Errorf("sizes are off by %v on average and %v at most, want 0.5 and 1", r.MeanAbs, r.MaxAbs)
	}
}

// The model contains what tune was told about nodes, and verify reports the result. How many
// nodes the run had is not recorded.
func TestCompareOnNodes(t *testing.T) {
	w, _ := clockwork(t, 120, nil).On(Nodes{Kept: 1, PerNode: 2, Startup: time.Minute})
	got := compared(Compare(w, sized(2), ofClockwork(2, time.Second), objectivesOf(t, "ttft.p95 < 500ms"), 1, 3))
	c, ok := got["node_hours"]
	if !ok || c.Predicted == nil || math.Abs(c.Predicted.Value-120.0/3600) > 1e-9 || c.Actual != nil || c.Within != nil {
		t.Errorf("node_hours: %+v; want two minutes of one node, and no actual figure", c)
	}
}

// The model's error on the recorded run widens the intervals, on the side of the error.
func TestCompareCarriesWhatTheModelMissed(t *testing.T) {
	w := clockwork(
		t,
		120,
		func(w *replay.World) { w.Doubt.Off = replay.Off{Misses: 1, TTFT: 1, E2E: 2.1, Hours: 1.6, Capacity: 1} },
	)
	got := compared(Compare(w, sized(2), ofClockwork(3, time.Second), objectivesOf(t, "ttft.p95 < 500ms"), 1, 6))
	for name, want := range map[string]bool{"e2e_p95_s": true, "replica_hours": true, "ttft_p95_s": false} {
		if c := got[name]; c.Within == nil || *c.Within != want {
			t.Errorf("%s: within %v, want %v", name, c.Within, want)
		}
	}
}

func TestCompareWithoutWhatWasMeasured(t *testing.T) {
	run := ofClockwork(2, time.Second)
	run.Meta.Target.Streams, run.Syncs, run.Pods, run.Requests = false, nil, nil, nil
	got := Compare(clockwork(t, 120, nil), sized(2), run, objectivesOf(t, "e2e.p95 < 5s"), 1, 2)
	figures := compared(got)
	if _, ok := figures["ttft_p95_s"]; ok {
		t.Error("answers were not streamed, and there is a first token")
	}
	for _, name := range []string{"e2e_p95_s", "attainment"} {
		if c := figures[name]; c.Actual != nil || c.Error != nil || c.Within != nil {
			t.Errorf("%s: %+v, want nothing beside the prediction", name, c)
		}
	}
	if got.Replicas.MeanAbs != 0 || got.Replicas.MaxAbs != 0 || math.IsNaN(got.Replicas.MeanAbs) {
		t.Errorf("no size was recorded: %+v", got.Replicas)
	}
	// An interval needs five days, and a verdict needs an interval.
	if c := figures["replica_hours"]; c.Within != nil || c.Predicted.Lo != nil {
		t.Errorf("two days have an interval: %+v", c)
	}
}

// A recording may go on after the fitted demand: what came later counts on neither side.
func TestCompareEndsWithTheDemand(t *testing.T) {
	got := compared(
		Compare(clockwork(t, 60, nil), sized(2), ofClockwork(2, time.Second), objectivesOf(t, "ttft.p95 < 500ms"), 1, 2),
	)
	if c := got["replica_hours"]; math.Abs(*c.Actual-120.0/3600) > 1e-9 {
		t.Errorf("%v replica-hours of one minute with two pods, want %v", *c.Actual, 120.0/3600)
	}
}

// One pod is ready throughout, and the HPA wants more: for all of the two recorded minutes,
// and in the prediction for as long as a pod takes to start.
func TestCompareCountsWhatTheHPAWanted(t *testing.T) {
	w := clockwork(t, 120, func(w *replay.World) { steadyRate(3)(w); w.Replicas = 1 })
	got := compared(Compare(w, cpuHPA(1, 9, 50), ofClockwork(1, time.Second), objectivesOf(t, "ttft.p95 < 500ms"), 1, 1))
	c := got["time_to_capacity_s"]
	if c.Predicted.Value < 20 || c.Predicted.Value > 100 || c.Actual == nil || *c.Actual != 120 {
		t.Errorf("short for %v s predicted, %v recorded, want 20 to 100, and all 120", c.Predicted.Value, show(c.Actual))
	}
}

// The sizes come from the same days as the figures, and last as long as both sides do.
func TestCompareOfSizes(t *testing.T) {
	grows := cpuHPA(1, 9, 30)
	run := ofClockwork(2, time.Second)
	run.Syncs = run.Syncs[:1] // two replicas throughout
	w := clockwork(t, 120, func(w *replay.World) { steadyRate(2)(w); w.Demand.CV2 = 100 })
	got := Compare(w, grows, run, objectivesOf(t, "ttft.p95 < 500ms"), 1, 1)
	if peak := compared(got)["peak_replicas"].Predicted.Value; got.Replicas.MaxAbs != peak-2 || peak < 4 {
		t.Errorf("off by %v at most, and the peak is %v, want 4 or more where there were two", got.Replicas.MaxAbs, peak)
	}
	run.Meta.DurationS, run.Requests = 60, run.Requests[:60]
	three := clockwork(t, 120, func(w *replay.World) { w.Replicas = 3 })
	if got := Compare(three, sized(3), run, objectivesOf(t, "ttft.p95 < 500ms"), 1, 2); got.Replicas.MeanAbs != 1 {
		t.Errorf("a recording of the first minute: sizes are off by %v, want 1", got.Replicas.MeanAbs)
	}
}

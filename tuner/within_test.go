package tuner

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit"
)

// late is a recording of clockwork's two minutes in which n first tokens came later than 500
// ms.
func late(n int) *results.Run {
	run := ofClockwork(2, time.Second)
	for i := range n {
		run.Requests[i].First += 200 * time.Millisecond
	}
	return run
}

// ofAttainment is a made-up trial with one day for each share of requests within the limits.
func ofAttainment(shares ...float64) *trial {
	t := &trial{}
	for _, x := range shares {
		t.days = append(t.days, outcome{attainment: x})
	}
	return t
}

// A run is reproduced if its recorded share lies within ten points of the range that the
// replicates of its own arrivals predict.
func TestWithin(t *testing.T) {
	spread := ofAttainment(0.80, 0.96, 0.98, 0.98, 1, 1) // 0.953 on average
	for _, c := range []struct {
		sentence  string
		run       *results.Run
		objective string
		predicted *trial
		before    fit.SelfVerdict
		want      fit.SelfVerdict
		off       float64 // NaN: it is not reported
	}{
		{"ten points fewer than predicted", late(12), "ttft.p95 < 500ms", ofAttainment(1, 1, 1, 1, 1), fit.SelfPass, fit.SelfPass, 0.1},
		{"one more is too many", late(13), "ttft.p95 < 500ms", ofAttainment(1, 1, 1, 1, 1), fit.SelfPass, fit.SelfFail, 1 - 107.0/120},
		{"ten points more than predicted", late(12), "ttft.p95 < 500ms", ofAttainment(0.8, 0.8, 0.8, 0.8, 0.8), fit.SelfPass, fit.SelfPass, -0.1},
		{"eleven points more", late(12), "ttft.p95 < 500ms", ofAttainment(0.79, 0.79, 0.79, 0.79, 0.79), fit.SelfPass, fit.SelfFail, -0.11},
		{"days differ, and it is near the lowest", late(24), "ttft.p95 < 500ms", spread, fit.SelfPass, fit.SelfPass, 0.1533},
		{"four days have no interval: ten points from their mean", late(24), "ttft.p95 < 500ms", ofAttainment(0.8, 0.96, 1, 1), fit.SelfPass, fit.SelfFail, 0.14},
		{"what failed for its sizes stays failed", late(0), "ttft.p95 < 500ms", ofAttainment(1, 1, 1, 1, 1), fit.SelfFail, fit.SelfFail, 0},
		{"what rests on assumptions is not failed", late(60), "ttft.p95 < 500ms", ofAttainment(1, 1, 1, 1, 1), fit.SelfAssumed, fit.SelfAssumed, 0.5},
		{"no objective is about a request", late(60), "replica_hours < 1", ofAttainment(1, 1, 1, 1, 1), fit.SelfPass, fit.SelfPass, math.NaN()},
		{"nothing was replayed", late(60), "ttft.p95 < 500ms", ofAttainment(), fit.SelfPass, fit.SelfPass, math.NaN()},
		{"no request came", func() *results.Run { r := late(0); r.Requests = nil; return r }(), "ttft.p95 < 500ms",
			ofAttainment(1, 1, 1, 1, 1), fit.SelfPass, fit.SelfPass, math.NaN()},
		{"no autoscaler was seen", func() *results.Run { r := late(60); r.Syncs = nil; return r }(), "ttft.p95 < 500ms",
			ofAttainment(1, 1, 1, 1, 1), fit.SelfPass, fit.SelfPass, math.NaN()},
		{"one reconcile was", func() *results.Run { r := late(60); r.Syncs = r.Syncs[:1]; return r }(), "ttft.p95 < 500ms",
			ofAttainment(1, 1, 1, 1, 1), fit.SelfPass, fit.SelfFail, 0.5},
	} {
		b := newBenchOf(t, clockwork(t, 120, nil), c.run, Options{}, c.objective)
		got := within(fit.SelfReplay{Verdict: c.before}, c.run, b, c.predicted)
		off := math.NaN()
		if got.AttainmentError != nil {
			off = *got.AttainmentError
		}
		if got.Verdict != c.want || math.IsNaN(off) != math.IsNaN(c.off) || math.Abs(off-c.off) > 1e-4 ||
			got.Attainment != nil && math.Abs(*got.Attainment+off-mean(c.predicted.of(attainment))) > 1e-9 {
			t.Errorf("%s: verdict %s, off by %v, want %s, %v", c.sentence, got.Verdict, off, c.want, c.off)
		}
	}
}

// The run itself is replayed as often as asked, with its own arrivals and initial size; it is
// not replayed if no autoscaler was seen.
func TestTheRunItself(t *testing.T) {
	w := clockwork(t, 60, nil)
	run := late(0)
	b := newBenchOf(t, w, run, Options{}, "ttft.p95 < 500ms")
	got, err := b.itself(t.Context(), run, cpuHPA(5, 5, 50), 3)
	if err != nil || len(got.days) != 3 || got.days[0].requests != 60 || got.days[0].hours >= 5*60.0/3600 {
		t.Errorf("%d days, %v, %+v, want three of 60 requests that begin with two replicas", len(got.days), err, got.days)
	}
	run.Syncs = run.Syncs[:1]
	if got, err := b.itself(t.Context(), run, sized(2), 2); err != nil || len(got.days) != 2 {
		t.Errorf("one reconcile was recorded: %d days, %v, want two", len(got.days), err)
	}
	run.Syncs = nil
	if got, err := b.itself(t.Context(), run, sized(2), 2); err != nil || len(got.days) != 0 {
		t.Errorf("no autoscaler: %d days, %v, want none", len(got.days), err)
	}
}

func TestMeasured(t *testing.T) {
	price := Price{Name: "made up", CPU: 0.25, Currency: "USD"} // of a replica of one core
	run := late(12)
	b := newBenchOf(t, clockwork(t, 120, nil), run, Options{Price: price}, "ttft.p95 < 500ms")
	m := b.measured(run, b.goals.list)
	for _, c := range []struct {
		name string
		got  *float64
		want float64
	}{
		{"within the limits", m.Attainment, 0.9}, {"replica-hours", m.ReplicaHours, 240.0 / 3600}, {"ready hours", m.ReadyHours, 240.0 / 3600},
		{"first token", m.TTFTP95, 0.7}, {"whole answer", m.E2EP95, 1}, {"errors", m.ErrorRatio, 0}, {"flaps", m.Flaps, 0},
		{"a third was wanted from half-time on, and never came", m.TimeToCapacity, 60}, {"cost of an hour", m.USDHour, 0.5}, {"largest size", m.MaxReplicas, 3},
	} {
		if c.got == nil || math.Abs(*c.got-c.want) > 0.01*c.want+1e-9 {
			t.Errorf("%s: %v, want %v", c.name, show(c.got), c.want)
		}
	}
	// What came after the fitted demand does not count.
	short := newBenchOf(t, clockwork(t, 60, nil), run, Options{}, "ttft.p95 < 500ms").measured(run, b.goals.list)
	if *short.ReplicaHours != 120.0/3600 || *short.Attainment != 48.0/60 {
		t.Errorf("of the first minute: %v replica-hours, %v within, want %v and 0.8", *short.ReplicaHours, *short.Attainment, 120.0/3600)
	}
	if short.USDHour != nil {
		t.Errorf("without a price an hour costs %v", *short.USDHour)
	}
	run.Meta.Target.Streams = false
	if m := b.measured(run, nil); m.TTFTP95 != nil {
		t.Errorf("answers that do not stream have a first token after %v s", *m.TTFTP95)
	}
	run.Pods = nil
	if m := b.measured(run, nil); m.ReplicaHours != nil || m.ReadyHours != nil || m.Flaps != nil || m.TimeToCapacity != nil ||
		m.MaxReplicas != nil || m.USDHour != nil || m.Attainment == nil {
		t.Errorf("nobody watched the pods: %+v", m)
	}
	run = late(12)
	run.Pods = slices.DeleteFunc(run.Pods, func(p results.Pod) bool { return p.Name == "b" || p.Phase != results.PodReady })
	if m := b.measured(run, nil); m.ReadyHours == nil {
		t.Error("one event of a pod was seen, and it has no ready hours")
	}
}

// Whether the recorded run met its objectives: each one must be judged and met.
func TestMeasuredMet(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		sentence string
		texts    []string
		want     *bool
	}{
		{"all met", []string{"ttft.p80 < 600ms", "e2e.p95 < 2s"}, &yes},
		{"one is missed", []string{"ttft.p95 < 600ms", "e2e.p95 < 2s"}, &no},
		{"one is missed, and one that follows cannot be judged", []string{"ttft.p95 < 600ms", "usd_hour < 1"}, &no},
		{"one cannot be judged, and one that follows is missed", []string{"usd_hour < 1", "ttft.p95 < 600ms"}, &no},
		{"one cannot be judged", []string{"e2e.p95 < 2s", "usd_hour < 1"}, nil},
		{"one that is met", []string{"e2e.p95 < 2s"}, &yes},
		{"no objective", nil, nil},
	} {
		run := late(12)
		b := newBenchOf(t, clockwork(t, 120, nil), run, Options{}, c.texts...)
		got := b.measured(run, b.goals.list).Met
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: met %v, want %v", c.sentence, got, c.want)
		}
	}
}

func TestKnown(t *testing.T) {
	for _, x := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if got := known(x); got != nil {
			t.Errorf("known(%v) = %v, want none", x, *got)
		}
	}
	if got := known(0); got == nil || *got != 0 {
		t.Errorf("known(0) = %v, want 0", got)
	}
}

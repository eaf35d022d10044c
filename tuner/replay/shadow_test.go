package replay

import (
	"cmp"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// recorded is a run as a cluster shows it: one pod of 100 millicores, and the given syncs.
func recorded(change func(*results.Run), syncs ...results.Sync) *results.Run {
	r := &results.Run{Syncs: syncs}
	r.Meta.HPA = results.HPAContext{Controller: "kube-controller-manager", SyncPeriodS: 15, DownscaleStabilizationS: 60, CPUInitializationPeriodS: 300, InitialReadinessDelayS: 30, Tolerance: 0.1}
	change(r)
	return r
}

// look is a reconcile at which all n pods use milli of 100 millicores.
func look(atS int, n, desired int32, milli int64) results.Sync {
	at := time.Duration(atS) * time.Second
	s := results.Sync{At: at, Spec: n, Status: n, Desired: desired, Replicas: desired, Selector: "app=a", Metrics: []results.Reading{{Metric: "cpu"}}}
	for i := range n {
		name := string(rune('a' + i))
		s.Pods = append(s.Pods, results.PodState{Name: name, Phase: "Running", Ready: "True", ReadySince: -time.Hour, Started: -time.Hour,
			Containers: []results.ContainerState{{Name: "app", CPUMilli: 100}}, PodCPUMilli: -1, PodMemoryBytes: -1})
		s.Metrics[0].Pods = append(s.Metrics[0].Pods, results.PodValue{Pod: name, Container: "app", Milli: milli, At: at - 5*time.Second, Window: 15 * time.Second})
	}
	return s
}

// A status shows a total as an average over the pods, rounded up: what it may have been decides.
func TestShadowOfRoundedTotals(t *testing.T) {
	cfg := hpa.DefaultConfig(10)
	half := hpa.Target{Type: hpa.AverageValue, AverageMilli: 500}
	cfg.Metrics = []hpa.Metric{{Source: hpa.External, Name: "q", Target: half}}
	look := func(atS int, n, desired int32, total int64) results.Sync {
		return results.Sync{At: time.Duration(atS) * time.Second, Spec: n, Status: n, Desired: desired, Replicas: desired,
			Metrics: []results.Reading{{Metric: "q", Values: []int64{total}}}}
	}
	quiet := []results.Sync{look(0, 6, 6, 3000), look(60, 6, 6, 3000)}
	for _, tt := range []struct {
		name       string
		controller string // "" = a cluster's
		total      int64  // as the status has it, 334m of each pod rounded up
		desired    int32
		rescales   Tally
	}{
		// 334m on average: 1.998 < total ≤ 2.004, so 4 or 5 replicas.
		{"the least total gives what was done", "", 2004, 4, Tally{Agree: 1}},
		{"so does the most", "", 2004, 5, Tally{Agree: 1}},
		{"neither gives 3", "", 2004, 3, Tally{Differ: 1}},
		{"a total that is no multiple was seen itself", "", 2003, 4, Tally{Differ: 1}},
		{"the sandbox shows totals themselves", results.SandboxController, 2004, 4, Tally{Differ: 1}},
	} {
		run := recorded(func(r *results.Run) { r.Meta.HPA.Controller = cmp.Or(tt.controller, r.Meta.HPA.Controller) },
			append(quiet, look(75, 6, 6, tt.total), look(135, 6, tt.desired, 0))...)
		got, err := Shadowed(run, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if got.Rescales != tt.rescales {
			t.Errorf("%s: rescales %+v, want %+v; %+v", tt.name, got.Rescales, tt.rescales, got.Differences)
		}
	}
}

func TestShadowed(t *testing.T) {
	cfg := hpa.DefaultConfig(10)
	cfg.Metrics = []hpa.Metric{{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Type: hpa.Utilization, Utilization: 70}}}
	same := func(*results.Run) {}
	blind := look(120, 4, 4, 70)
	blind.Metrics = nil
	// High at 0 and, unseen, at 15 and 30 s; low from 45 s on. The window of 60 s holds the
	// size until the recommendation of 30 s expires, at 105 s.
	stabilized := []results.Sync{look(0, 4, 4, 70), look(45, 4, 4, 20), look(60, 4, 4, 21), look(75, 4, 4, 20), look(90, 4, 2, 21)}
	late := append(stabilized[:4:4], look(90, 4, 4, 21), look(105, 4, 2, 20))
	for _, tt := range []struct {
		name            string
		run             *results.Run
		rescales, quiet Tally
		unseen          int
	}{
		{"a scale-up and a quiet sync agree", recorded(same, look(0, 2, 2, 70), look(15, 2, 4, 140), look(30, 4, 4, 70)), Tally{Agree: 1}, Tally{Agree: 2}, 0},
		{"another size differs", recorded(same, look(0, 2, 2, 70), look(75, 2, 2, 71), look(90, 2, 3, 140)), Tally{Differ: 1}, Tally{Agree: 2}, 4},
		{"within the first window it is unknown: what was remembered is not recorded", recorded(same, look(0, 2, 2, 70), look(15, 2, 3, 140)), Tally{Unknown: 1}, Tally{Agree: 1}, 0},
		{"without its input it is unknown", recorded(same, look(0, 4, 4, 70), blind), Tally{}, Tally{Agree: 1, Unknown: 1}, 7},
		{"a recommendation made at a sync that left no trace holds the size", recorded(same, late...), Tally{Agree: 1}, Tally{Agree: 5}, 2},
		{"so a scale-down before it has aged differs", recorded(same, stabilized...), Tally{Differ: 1}, Tally{Agree: 4}, 2},
		{"after a gap it is unknown for a window", recorded(func(r *results.Run) {
			r.Gaps = []results.Gap{{Source: "kube/hpa", From: 76 * time.Second, To: 80 * time.Second}}
		}, stabilized...), Tally{Unknown: 1}, Tally{Agree: 4}, 2},
		{"after an edit in mid-run all is unknown", recorded(func(r *results.Run) {
			r.Warnings = []results.Warning{{At: 50 * time.Second, ID: "hpa-edited"}}
		}, stabilized...), Tally{Unknown: 1}, Tally{Agree: 2, Unknown: 2}, 2},
		{"the reason counts, too", recorded(func(r *results.Run) { r.Syncs[2].Reason = "the moon" }, look(0, 2, 2, 70), look(75, 2, 2, 71), look(90, 2, 4, 140)), Tally{Differ: 1}, Tally{Agree: 2}, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Shadowed(tt.run, cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got.Rescales != tt.rescales || got.Quiet != tt.quiet || got.Unseen != tt.unseen {
				t.Errorf("rescales %+v, quiet %+v, unseen %d; want %+v, %+v, %d; differences %+v", got.Rescales, got.Quiet, got.Unseen, tt.rescales, tt.quiet, tt.unseen, got.Differences)
			}
			if got.Agree+got.Differ+got.Unknown != len(tt.run.Syncs) || len(got.Differences) != got.Differ {
				t.Errorf("%+v: the counts do not add up to %d syncs", got, len(tt.run.Syncs))
			}
		})
	}
}

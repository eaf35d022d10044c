package replay

import (
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// recorded turns a replay's own decisions into the sync records that an
// observer would have left.
func recorded(t *testing.T, cfg hpa.Config) *results.Run {
	t.Helper()
	run := &results.Run{Meta: results.Meta{HPA: results.HPAContext{Controller: "sandbox", Kubernetes: "v1.37.2"}}}
	w := world(t, web(stairs(10, 80, 20))).Draw(1)
	var s Scratch
	s.OnDecision = func(o *hpa.Observation, d *hpa.Decision) {
		sync := results.Sync{At: o.At, Spec: o.SpecReplicas, Status: o.StatusReplicas, Selector: o.Selector, Desired: d.Desired, Replicas: d.Replicas, Metrics: []results.Reading{{Metric: "cpu"}}}
		for i, p := range o.Pods {
			for range max(1, p.Count) {
				name := string(rune('a'+len(sync.Pods)%26)) + string(rune('a'+len(sync.Pods)/26))
				state := results.PodState{Name: name, Phase: p.Phase.String(), Ready: p.Ready.String(), ReadySince: p.ReadySince, Started: p.StartTime, Deleted: p.Deleted,
					Containers: []results.ContainerState{{Name: "app", CPUMilli: 1000, MemoryBytes: -1}}, PodCPUMilli: -1, PodMemoryBytes: -1}
				if p.NotStarted {
					state.Started = results.NotYet
				}
				sync.Pods = append(sync.Pods, state)
				if v := o.Metrics[0].Samples[i]; v.OK {
					sync.Metrics[0].Pods = append(sync.Metrics[0].Pods, results.PodValue{Pod: name, Milli: v.Milli, At: v.At, Window: v.Window})
				}
			}
		}
		run.Syncs = append(run.Syncs, sync)
	}
	Simulate(w, cfg, &s, func(*results.Tick) {})
	return run
}

func TestShadowAgreesWithItsOwnRecord(t *testing.T) {
	cfg := cpu(2, 20, 60)
	run := recorded(t, cfg)
	got, err := Shadowed(run, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got.Agree != len(run.Syncs) || got.Differ != 0 || got.Unknown != 0 {
		t.Errorf("Shadowed = %d agree, %d differ, %d unknown of %d", got.Agree, got.Differ, got.Unknown, len(run.Syncs))
	}
}

func TestShadowSeesAnotherController(t *testing.T) {
	run := recorded(t, cpu(2, 20, 60))
	got, err := Shadowed(run, cpu(2, 20, 40)) // not the HPA that ran
	if err != nil {
		t.Fatal(err)
	}
	if got.Differ == 0 || len(got.Differences) != got.Differ || got.Differences[0].Explanation == "" {
		t.Errorf("Shadowed under another target = %+v; want differences, each explained", got)
	}
}

func TestShadowDoesNotKnowWhatWasBefore(t *testing.T) {
	cfg := cpu(2, 20, 60)
	run := recorded(t, cfg)
	run.Meta.HPA.Controller = "kube-controller-manager"
	// Cut right after the peak: what the controller remembers of it is gone, and
	// for a stabilization window our size may be smaller than the recorded one.
	cut := 0
	for i, s := range run.Syncs {
		if s.At > 42*time.Minute {
			cut = i
			break
		}
	}
	run.Syncs = run.Syncs[cut:]
	got, err := Shadowed(run, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got.Differ != 0 || got.Agree+got.Unknown != len(run.Syncs) {
		t.Errorf("Shadowed = %d agree, %d differ, %d unknown of %d; what was before the record is unknown, not different", got.Agree, got.Differ, got.Unknown, len(run.Syncs))
	}
}

func TestSyncsWithoutInputAreUnknown(t *testing.T) {
	cfg := cpu(2, 20, 60)
	run := recorded(t, cfg)
	run.Syncs[0].Metrics = nil
	run.Syncs[7].Metrics = nil
	got, err := Shadowed(run, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got.Unknown < 2 {
		t.Errorf("%d unknown; two syncs have no readings", got.Unknown)
	}
}

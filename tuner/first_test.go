package tuner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// fixed is a run at a fixed size of n that starts `after` the first one; its last pod was
// created for it.
func fixed(name string, n int, after time.Duration) *results.Run {
	c := fittest.Truth{Rate: func(t float64) float64 { return min(0.5+t/220, 2.1) }, Seconds: 420, Config: fittest.CPUConfig(70), Replicas: n, Slots: 8, Streams: true, Seed: 3}
	c.Config.MinReplicas, c.Config.MaxReplicas = int32(n), int32(n)
	run := c.Run()
	run.Meta.Run, run.Meta.Start, run.Meta.HPA = name, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).Add(after), results.HPAContext{Controller: "none", Kubernetes: "v1.37.2"}
	run.Meta.Target.Kind, run.Meta.Target.Streams, run.Syncs = "fixed", true, nil
	run.Meta.Client.CPUMeasured = true
	run.Meta.Stages[0].Arrivals = len(run.Requests)
	if n > 1 {
		last := run.Meta.Backends[n-1].Name
		for i, at := range map[results.PodPhase]float64{results.PodCreated: -40, results.PodScheduled: -39, results.PodStarted: -32, results.PodReady: -10} {
			k := slices.IndexFunc(run.Pods, func(p results.Pod) bool { return p.Name == last && p.Phase == i })
			run.Pods[k].At = fittest.Dur(at)
		}
	}
	return run
}

func TestRunsAtFixedSizesGiveAFirstHPA(t *testing.T) {
	if testing.Short() {
		t.Skip("replays whole runs many times")
	}
	objectives, err := results.ParseObjectives([]string{"ttft.p95 < 4s"})
	if err != nil {
		t.Fatal(err)
	}
	runs := []*results.Run{fixed("r1", 1, 0), fixed("r2", 2, 480*time.Second)}
	o := Options{Current: hpa.DefaultConfig(2), First: true, Objectives: objectives, Price: DefaultPrice(), Replicates: 4, Seed: 1}
	r, model, err := Recommend(t.Context(), runs, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Change || r.Recommended == nil || r.SelfReplay.Verdict != "assumed" {
		t.Fatalf("verdict %s, self-replay %s, refusal %+v", r.Verdict, r.SelfReplay.Verdict, r.Refusal)
	}
	t.Logf("recommended: %s; warnings %q", Describe(r.Recommended.Config), r.Warnings)
	if starts := model.Fitted.Start; len(starts) != 1 || starts[0].Total() != 30*time.Second {
		t.Errorf("cold starts %+v, want the 30 s of the pod that came between the runs", starts)
	}
	if n := len(r.Assumed); n != 1 || !strings.Contains(r.Assumed[0], "there is no HPA yet") {
		t.Errorf("assumed: %q, want only what it is compared with", r.Assumed)
	}

	// Failures that no queue explains still count.
	lame := fixed("lame", 2, 480*time.Second)
	for i := range lame.Requests {
		if q := &lame.Requests[i]; i%3 == 0 {
			q.Outcome, q.First, q.Done = results.Timeout, results.NotYet, q.Sent+10*time.Second
		}
	}
	r, _, err = Recommend(t.Context(), []*results.Run{runs[0], lame}, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Refuse || r.Refusal[0].ID != "self-replay" || !strings.Contains(r.Refusal[0].Text, "of the requests within their limits, but") {
		t.Errorf("a third of the requests timed out for no reason: %s, %+v", r.Verdict, r.Refusal)
	}

	// A single size saw no pod start.
	r, _, err = Recommend(t.Context(), runs[:1], o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Refuse || !strings.Contains(r.Refusal[0].Text, "--startup 90s") {
		t.Errorf("one size alone: %s, %+v", r.Verdict, r.Refusal)
	}
}

func TestAFitOnStatedAssumptionsIsNotRefused(t *testing.T) {
	run := fixed("r1", 2, 0)
	run.Pods, run.Meta.Backends = nil, nil
	for i := range run.Requests {
		run.Requests[i].Backend = -1
	}
	fitted, err := Fit(run, fittest.CPUConfig(70), FitOptions{Startup: 90 * time.Second, CPUMilli: 1000, MemoryBytes: 2 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if refusal, refused := unfit(&fitted); refused {
		t.Errorf("a fit on stated assumptions is refused (%+v); it is only never called verified", refusal)
	}
}

func TestOfRunsUnderAnAutoscalerTheFirstIsTheEvidence(t *testing.T) {
	objectives, err := results.ParseObjectives([]string{"ttft.p95 < 4s"})
	if err != nil {
		t.Fatal(err)
	}
	c := fittest.Truth{Rate: fittest.Wave, Seconds: 900, Config: fittest.CPUConfig(70), Replicas: 2, Slots: 8, Streams: true, Seed: 3}
	run := c.Run()
	run.Meta.Stages[0].Arrivals = len(run.Requests)
	r, _, err := Recommend(t.Context(), []*results.Run{run, fixed("r2", 2, time.Hour)}, Options{Current: c.Config, Objectives: objectives, Price: DefaultPrice(), Replicates: 2, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(strings.Join(r.Warnings, "\n"), "only truth is used") {
		t.Errorf("it is not said that the second run does not count: %q", r.Warnings)
	}
}

func TestARefusedFitSaysWhatWasNotSeen(t *testing.T) {
	run, c := fittest.Blinded("kube/pods")
	run.Gaps[0].From, run.Gaps[0].To = 0, fittest.Dur(900)
	run.Meta.Stages[0].Arrivals = len(run.Requests)
	objectives, err := results.ParseObjectives([]string{"ttft.p95 < 4s"})
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := Recommend(t.Context(), []*results.Run{run}, Options{Current: c.Config, Objectives: objectives, Price: DefaultPrice(), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Refuse || !strings.Contains(strings.Join(r.Warnings, "\n"), "kube/pods could not be observed") {
		t.Errorf("nothing was watched: %s, %+v, warnings %q", r.Verdict, r.Refusal, r.Warnings)
	}
}

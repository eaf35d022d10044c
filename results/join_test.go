package results

import (
	"strings"
	"testing"
	"time"
)

// sized is a run of one workload at n replicas, begun so long after the first.
func sized(name string, after time.Duration, pods ...string) *Run {
	r := steady(100)
	r.Meta.Run, r.Meta.Start = name, time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).Add(after)
	r.Meta.Target.Kind, r.Meta.Workload = "fixed", Workload{Name: "Deployment/chat", Namespace: "ml", CPUMilli: 100}
	r.Meta.DurationS = 10
	r.Meta.Stages = []StageInfo{{Name: "all", ToS: 10, Arrivals: 100}}
	r.Meta.Errors = []string{name}
	r.Requests[0].Err, r.Requests[0].Outcome = 0, Timeout
	for _, p := range pods {
		r.Pods = append(r.Pods, Pod{At: -5 * sec, Name: p, Phase: PodCreated}, Pod{At: -2 * sec, Name: p, Phase: PodReady})
	}
	r.Samples = []Sample{{At: sec, Name: "cpu_milli", Pod: pods[0], SampledAt: NotYet}}
	return r
}

func TestJoinedRunsAreOneAfterTheOther(t *testing.T) {
	two, one := sized("r2", 0, "a", "b"), sized("r1", 20*sec, "a")
	got, err := Join(two, one)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(got.Requests); n != 200 {
		t.Fatalf("%d requests, want 200", n)
	}
	for i, q := range got.Requests {
		if q.Arrival != i || int(q.Stage) != i/100 {
			t.Fatalf("request %d: arrival %d, stage %d", i, q.Arrival, q.Stage)
		}
	}
	if q := got.Requests[100]; q.Scheduled != one.Requests[0].Scheduled+20*sec || got.Meta.Errors[q.Err] != "r1" {
		t.Errorf("the second run's first request: %+v, errors %v", q, got.Meta.Errors)
	}
	if st := got.Meta.Stages; len(st) != 2 || st[1].FromS != 20 || st[1].ToS != 30 || got.Meta.DurationS != 30 {
		t.Errorf("stages %+v, %v s", st, got.Meta.DurationS)
	}
	if s := got.Samples[1]; s.At != 21*sec || s.SampledAt != NotYet {
		t.Errorf("sample %+v", s)
	}
	ended := map[string]bool{}
	for _, p := range got.Pods {
		if p.Phase == PodDeleted {
			ended[p.Name] = true
			if p.At < 10*sec || p.At > 20*sec {
				t.Errorf("%s ended at %v, want it between the runs", p.Name, p.At)
			}
		}
	}
	if len(ended) != 1 || !ended["b"] {
		t.Errorf("ended: %v, want b: the second run is without it", ended)
	}
	if one.Requests[0].Arrival != 0 || one.Meta.DurationS != 10 || two.Meta.Stages[0].ToS != 10 {
		t.Error("the joined runs were changed")
	}

	// The first argument keeps its numbers and its times, whichever is earlier.
	got, err = Join(one, two)
	if err != nil {
		t.Fatal(err)
	}
	first := got.Requests[100]
	if first.Scheduled != one.Requests[0].Scheduled || first.Arrival != 0 || got.Requests[0].Arrival != 100 || got.Requests[0].Scheduled >= 0 {
		t.Errorf("the first argument's first request %+v, the earlier run's %+v", first, got.Requests[0])
	}
}

func TestRunsThatDoNotBelongTogetherAreNotJoined(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*Run)
		says   string
	}{
		{"another workload", func(r *Run) { r.Meta.Workload.Name = "Deployment/other" }, "runs of one workload"},
		{"other requests of the pods", func(r *Run) { r.Meta.Workload.CPUMilli = 200 }, "the workload changed"},
		{"another profile", func(r *Run) { r.Meta.Classes = []string{"other"} }, "runs of one profile"},
	} {
		a, b := sized("r1", 0, "a"), sized("r2", 20*sec, "a", "b")
		tt.change(b)
		if _, err := Join(a, b); err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.says)
		}
	}
}

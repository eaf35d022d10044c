package results

import (
	"testing"
	"time"
)

func TestReactions(t *testing.T) {
	s := time.Second
	cpu := func(at, taken time.Duration, v float64) Sample {
		return Sample{At: at, SampledAt: taken, Name: "cpu_milli", Pod: "a", Value: v}
	}
	run := func(change func(*Run)) *Run {
		r := &Run{
			Meta: Meta{Stages: []StageInfo{{Name: "quiet", FromS: 0, ToS: 60}, {Name: "high", FromS: 60, ToS: 180}}},
			Samples: []Sample{
				cpu(20*s, 18*s, 30), cpu(50*s, 48*s, 40),
				cpu(63*s, 58*s, 90), // taken before the step: noise, and part of what was there before
				cpu(73*s, 70*s, 95), // within a tenth of it
				cpu(83*s, 80*s, 180),
			},
			Syncs: []Sync{
				{At: 50 * s, Spec: 1, Replicas: 1, Metrics: []Reading{{Metric: "cpu"}}},
				{At: 90 * s, Spec: 1, Replicas: 3, Metrics: []Reading{{Metric: "cpu"}}},
				{At: 105 * s, Spec: 3, Replicas: 4, Metrics: []Reading{{Metric: "cpu"}}},
			},
			Pods: []Pod{
				{At: -100 * s, Name: "a", Phase: PodCreated}, {At: -90 * s, Name: "a", Phase: PodReady},
				{At: 90*s + 200*time.Millisecond, Name: "b", Phase: PodCreated},
				{At: 91 * s, Name: "b", Phase: PodStarted}, {At: 95 * s, Name: "b", Phase: PodReady, Backend: "10.0.0.2"},
				{At: 96 * s, Name: "b", Phase: PodFirstAnswer},
			},
			Endpoints: []Endpoints{{At: -1, Ready: []string{"10.0.0.1:80"}}, {At: 95*s + 500*time.Millisecond, Ready: []string{"10.0.0.1:80", "10.0.0.2:80"}}},
		}
		change(r)
		return r
	}
	whole := Reaction{Stage: "high", From: 1, To: 3, Load: 60 * s, Metric: 80 * s, Decision: 90 * s, Created: 90*s + 200*time.Millisecond, Started: 91 * s, Ready: 95 * s, Traffic: 96 * s, Answered: true}
	endpoint, blind := whole, whole
	endpoint.Traffic, endpoint.Answered = 95*s+500*time.Millisecond, false
	blind.Metric = NotYet
	answers := []Request{
		{Sent: 10 * s, Done: 11 * s, Backend: 1, Outcome: OK}, // before the decision: another pod at its address
		{Sent: 95 * s, Done: 95500 * time.Millisecond, Backend: 0, Outcome: OK},
		{Sent: 95 * s, Done: 95700 * time.Millisecond, Backend: 1, Outcome: HTTP5xx},
		{Sent: 95 * s, Done: 97 * s, Backend: 1, Outcome: OK},
		{Sent: 95 * s, Done: 96 * s, Backend: 1, Outcome: OK},
	}
	for _, tt := range []struct {
		name   string
		change func(*Run)
		want   []Reaction
	}{
		{"every step was seen", func(*Run) {}, []Reaction{whole}},
		{"no answer of the new pod was visible, so its endpoint counts", func(r *Run) { r.Pods = r.Pods[:len(r.Pods)-1] }, []Reaction{endpoint}},
		{"no record of pods tells of an answer, but answers name the pod", func(r *Run) {
			r.Pods = r.Pods[:len(r.Pods)-1]
			r.Meta.Backends = []Backend{{Name: "a"}, {Name: "b"}}
			r.Requests = answers
		}, []Reaction{whole}},
		{"no record of pods tells of an answer, but answers name the pod's address", func(r *Run) {
			r.Pods = r.Pods[:len(r.Pods)-1]
			r.Meta.Backends = []Backend{{Name: "10.0.0.1:80"}, {Name: "10.0.0.2:80"}}
			r.Requests = answers
		}, []Reaction{whole}},
		{"answers name other pods only, so the endpoint counts", func(r *Run) {
			r.Pods = r.Pods[:len(r.Pods)-1]
			r.Meta.Backends = []Backend{{Name: "a"}, {Name: "c"}}
			r.Requests = answers
		}, []Reaction{endpoint}},
		{"our look at the sample came after the decision, which had it", func(r *Run) {
			r.Samples[4].At = 92 * s
			r.Syncs[1].Metrics[0].Pods = []PodValue{{Pod: "a", At: 80 * s, Milli: 180}}
		}, []Reaction{whole}},
		{"a sample that came after the decision is none of its", func(r *Run) { r.Samples[4].At = 92 * s }, []Reaction{blind}},
		{"no sample moved before the decision", func(r *Run) { r.Samples = r.Samples[:4] }, []Reaction{blind}},
		{"the HPA never scaled up", func(r *Run) { r.Syncs = r.Syncs[:1] }, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := run(tt.change).Reactions()
			if len(got) != len(tt.want) {
				t.Fatalf("Reactions() = %+v, want %+v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("Reactions()[%d] = %+v, want %+v", i, got[i], tt.want[i])
				}
			}
		})
	}
}

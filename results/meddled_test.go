package results

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestMeddled(t *testing.T) {
	down := Sync{At: 100 * time.Second, Spec: 4, Replicas: 2}
	gone := func(name string, at float64) Pod {
		return Pod{At: time.Duration(at * float64(time.Second)), Name: name, Phase: PodDeleted}
	}
	for _, tt := range []struct {
		name string
		run  Run
		want []string // "ID at, ends"
	}{
		{"nobody does anything", Run{Syncs: []Sync{down}, Pods: []Pod{gone("a", 101), gone("b", 102)}}, nil},
		{"one more pod goes than the HPA took away", Run{Syncs: []Sync{down}, Pods: []Pod{gone("a", 101), gone("b", 102), gone("c", 103)}}, []string{"pods-deleted 1m43s false"}},
		{"KEDA's own loop goes to zero between two reconciles", Run{Syncs: []Sync{{At: 50 * time.Second, Spec: 2, Replicas: 2}, {At: 90 * time.Second}}, Pods: []Pod{gone("a", 70), gone("b", 71)}}, nil},
		{"and a pod more goes with them", Run{Syncs: []Sync{{At: 50 * time.Second, Spec: 2, Replicas: 2}, {At: 90 * time.Second}}, Pods: []Pod{gone("a", 70), gone("b", 71), gone("c", 72)}}, []string{"pods-deleted 1m12s false"}},
		{"a pod that was still going when the run began", Run{Syncs: []Sync{{At: 7 * time.Second}}, Pods: []Pod{{At: -60 * time.Second, Name: "a", Phase: PodReady}, gone("a", 6)}}, nil},
		{"a pod goes long after the decision", Run{Syncs: []Sync{down}, Pods: []Pod{gone("a", 150)}}, []string{"pods-deleted 2m30s false"}},
		{"where decisions were not watched, nothing is said of pods", Run{Syncs: []Sync{down}, Pods: []Pod{gone("a", 150)}, Gaps: []Gap{{Source: "kube/hpa", From: 1, To: 2}}}, nil},
		{"a pod that went before the run", Run{Syncs: []Sync{down}, Pods: []Pod{gone("a", -1)}}, nil},
		{"a rollout deletes pods by itself", Run{Syncs: []Sync{down}, Pods: []Pod{gone("a", 150)}, Warnings: []Warning{{At: 140 * time.Second, ID: "target-changed"}}}, []string{"target-changed 2m20s true"}},
		{"the HPA is deleted, then the target scaled", Run{Warnings: []Warning{{At: 9 * time.Second, ID: "target-scaled"}, {At: 5 * time.Second, ID: "hpa-deleted"}}}, []string{"hpa-deleted 5s true", "target-scaled 9s true"}},
		{"a restart does not end the evidence", Run{Warnings: []Warning{{At: 9 * time.Second, ID: "pod-restarted"}, {At: 12 * time.Second, ID: "pod-restarted"}}}, []string{"pod-restarted 9s false"}},
		{"other warnings are none", Run{Warnings: []Warning{{At: 9 * time.Second, ID: "observer-blind"}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.run.Meta.DurationS = 200
			var got []string
			for _, m := range tt.run.Meddled() {
				got = append(got, fmt.Sprintf("%s %v %v", m.ID, m.At.Round(time.Second), m.Ends))
				if m.Text == "" || strings.Contains(m.Text, "%!") {
					t.Errorf("%s: text %q", m.ID, m.Text)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("Meddled = %q, want %q", got, tt.want)
			}
		})
	}
}

func TestFreezes(t *testing.T) {
	// 20 requests a second, each 0.3 s long, on one of two replicas in turn.
	steady := func(stop func(backend int, at time.Duration) time.Duration) *Run {
		r := &Run{Meta: Meta{Backends: []Backend{{Name: "a"}, {Name: "b"}}}}
		for i := range 1200 {
			at := time.Duration(i) * 50 * time.Millisecond
			b := i % 2
			done := at + 300*time.Millisecond
			done += stop(b, done)
			r.Requests = append(r.Requests, Request{Arrival: i, Scheduled: at, Sent: at, First: NotYet, Last: NotYet, Done: done, Backend: int32(b), Err: -1})
		}
		return r
	}
	frozen := func(from, to time.Duration) func(int, time.Duration) time.Duration {
		return func(b int, done time.Duration) time.Duration {
			if b == 0 && done >= from && done < to {
				return to - done
			}
			return 0
		}
	}
	for _, tt := range []struct {
		name string
		run  *Run
		want []string
	}{
		{"a replica that serves", steady(frozen(0, 0)), nil},
		{"one that stands still for 5 s", steady(frozen(20*time.Second, 25*time.Second)), []string{"a 20s 5s"}},
		{"a hiccup of 0.4 s is none", steady(frozen(20*time.Second, 20400*time.Millisecond)), nil},
		{"a run in which nobody sees who answered", &Run{Requests: []Request{{Backend: -1}}}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range tt.run.Freezes() {
				got = append(got, fmt.Sprintf("%s %v %v", f.Backend, f.From.Round(time.Second), f.Length.Round(time.Second)))
			}
			if fmt.Sprint(got) != fmt.Sprint(tt.want) {
				t.Errorf("Freezes = %q, want %q", got, tt.want)
			}
		})
	}
}

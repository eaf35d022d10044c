package results

import (
	"reflect"
	"testing"
	"time"
)

func TestPodLives(t *testing.T) {
	pod := func(at float64, name string, phase PodPhase, restarts int) Pod {
		return Pod{At: time.Duration(at * float64(time.Second)), Name: name, Phase: phase, Restarts: restarts}
	}
	for _, tt := range []struct {
		name string
		pods []Pod
		more []Warning
		want *Pods
	}{
		{"no pods were observed", nil, nil, nil},
		{"one that stood before the run, and had been restarted then",
			[]Pod{pod(-60, "a", PodCreated, 0), pod(-50, "a", PodReady, 3)}, nil, &Pods{}},
		{"one that started in mid-run",
			[]Pod{pod(10, "a", PodCreated, 0), pod(18, "a", PodReady, 0)}, nil,
			&Pods{Created: 1, ReadyS: NewQ([]float64{8})}},
		{"a restart: not ready, and ready again; the start is the first one",
			[]Pod{pod(-50, "a", PodReady, 3), pod(20, "a", PodUnready, 3), pod(30, "a", PodReady, 4)}, nil,
			&Pods{Unready: 1, Restarts: 1}},
		{"a restart that was not ready again by the end",
			[]Pod{pod(-50, "a", PodReady, 0), pod(20, "a", PodUnready, 0)}, []Warning{{ID: "pod-restarted"}},
			&Pods{Unready: 1, Restarts: 1}},
		{"a pod that drains ceases to be ready, as it should",
			[]Pod{pod(-50, "a", PodReady, 0), pod(20, "a", PodDeleted, 0), pod(21, "a", PodUnready, 0)}, nil, &Pods{}},
		{"after the run's end nothing counts",
			[]Pod{pod(-50, "a", PodReady, 0), pod(101, "b", PodCreated, 0)}, nil, &Pods{}},
	} {
		r := &Run{Meta: Meta{DurationS: 100}, Pods: tt.pods, Warnings: tt.more}
		if got := r.PodLives(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}

func TestThrottled(t *testing.T) {
	count := func(pod, name string, values ...float64) (out []Sample) {
		for _, v := range values {
			out = append(out, Sample{Pod: pod, Container: "app", Name: name, Value: v})
		}
		return out
	}
	const all, stopped = "container_cpu_cfs_periods_total", "container_cpu_cfs_throttled_periods_total"
	for _, row := range []struct {
		name    string
		samples [][]Sample
		share   float64
		periods int
		ok      bool
	}{
		{"nothing sampled", nil, 0, 0, false},
		{"one look says nothing", [][]Sample{count("a", all, 100), count("a", stopped, 40)}, 0, 0, false},
		{"two pods", [][]Sample{count("a", all, 100, 200), count("a", stopped, 10, 50), count("b", all, 0, 100), count("b", stopped, 0, 0)}, 0.2, 200, true},
		{"a container that began anew", [][]Sample{count("a", all, 500, 20, 120), count("a", stopped, 400, 0, 25)}, 0.25, 100, true},
	} {
		var samples []Sample
		for _, s := range row.samples {
			samples = append(samples, s...)
		}
		share, periods, ok := (&Run{Samples: samples}).Throttled()
		if share != row.share || periods != row.periods || ok != row.ok {
			t.Errorf("%s: Throttled = %v, %v, %v, want %v, %v, %v", row.name, share, periods, ok, row.share, row.periods, row.ok)
		}
	}
}

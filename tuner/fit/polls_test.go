package fit

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/keda"
)

func TestWhenKEDAPolls(t *testing.T) {
	const up, down = "Scaled up replica set chat-749 from 0 to 1", "Scaled down replica set chat-749 from 6 to 0"
	of := func(message string, at ...float64) (out []results.Event) {
		for _, x := range at {
			out = append(out, results.Event{At: seconds(x), Reason: "ScalingReplicaSet", Message: message})
		}
		return out
	}
	for _, row := range []struct {
		name   string
		events []results.Event
		want   float64
		ok     bool
	}{
		{"it wakes and sleeps at its polls", append(of(up, 1.49, 26.51, 66.53), of("(combined from similar events): "+down, 21.49, 96.54)...), 1.51, true},
		{"about the turn of an interval", of(up, 4.98, 10.01, 59.99, 75.02), 0, true},
		{"the HPA's own rescales say nothing", of("Scaled up replica set chat-749 from 1 to 4", 1, 11, 31, 51), 0, false},
		{"two are too few", of(up, 1.5, 26.5), 0, false},
		{"somebody else scales", of(down, 1, 12.3, 23.9, 37.6), 0, false},
	} {
		at, ok := pollOf(&results.Run{Events: row.events}, &keda.Loop{Polling: 5 * time.Second})
		off := math.Abs(math.Mod(at.Seconds()-row.want+7.5, 5) - 2.5)
		if ok != row.ok || ok && off > 0.02 {
			t.Errorf("%s: %v %v, want %v s %v", row.name, at, ok, row.want, row.ok)
		}
	}
	pod := func(name string, phase results.PodPhase, at float64) results.Pod {
		return results.Pod{Name: name, Phase: phase, At: seconds(at)}
	}
	pods := []results.Pod{
		pod("a", results.PodCreated, 1.55), pod("b", results.PodCreated, 2), pod("b", results.PodDeleted, 47.2), // the HPA's
		pod("a", results.PodDeleted, 131.58), pod("c", results.PodCreated, 151.6), pod("d", results.PodCreated, 152.5),
	}
	if at, ok := pollOf(&results.Run{Pods: pods, Events: of(up, 1.54)}, &keda.Loop{Polling: 5 * time.Second}); !ok ||
		math.Abs(at.Seconds()-1.57) > 0.02 {
		t.Errorf("events that were combined: %v %v, want 1.57 s by the pods", at, ok)
	}
	older := append([]results.Pod{pod("old", results.PodReady, 0)}, pods...)
	if at, ok := pollOf(&results.Run{Pods: older}, &keda.Loop{Polling: 5 * time.Second}); ok {
		t.Errorf("a pod was there all the time, and it polls at %v", at)
	}
	if at, ok := pollOf(&results.Run{Events: of(up, 1.5, 6.5, 11.5)}, nil); ok {
		t.Errorf("without KEDA it polls at %v", at)
	}
}

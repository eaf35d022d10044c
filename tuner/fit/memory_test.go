package fit

import (
	"reflect"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

func TestMemoryOf(t *testing.T) {
	event := func(at time.Duration, text string) results.Event {
		return results.Event{At: at, Reason: "SuccessfulRescale", Object: "HorizontalPodAutoscaler/web", Message: text}
	}
	const below = "; reason: All metrics below target"
	const above = "; reason: cpu resource utilization (percentage of request) above target"
	for _, row := range []struct {
		name     string
		events   []results.Event
		pods     []results.Pod
		up, down []hpa.ScaleEvent
	}{
		{"nothing before", []results.Event{event(20*time.Second, "New size: 4"+above)}, nil, nil, nil},
		{"a scale-down just before, by its pods", []results.Event{event(-3300*time.Millisecond, "New size: 2"+below)},
			[]results.Pod{{At: -3 * time.Second, Name: "a", Phase: results.PodDeleted}, {At: -2 * time.Second, Name: "b", Phase: results.PodDeleted}, {At: -time.Minute, Name: "c", Phase: results.PodDeleted}},
			nil, []hpa.ScaleEvent{{At: -3300 * time.Millisecond, Change: 2}}},
		{"the second is the difference to the first, of which nothing is known", []results.Event{event(-time.Minute, "New size: 3"+above), event(-20*time.Second, "New size: 7"+above)}, nil,
			[]hpa.ScaleEvent{{At: -20 * time.Second, Change: 4}}, nil},
		{"older than any period", []results.Event{event(-2*time.Hour, "New size: 3"+above), event(-61*time.Minute, "New size: 7"+above)}, nil, nil, nil},
		{"not a size", []results.Event{event(-time.Second, "New size: many"+above)}, nil, nil, nil},
	} {
		l := readLog(&results.Run{Events: row.events, Pods: row.pods})
		got, _ := memoryOf(l)
		if err := hpa.New(hpa.DefaultParams()).Remember(got); err != nil {
			t.Errorf("%s: the core does not take it: %v", row.name, err)
		}
		if !reflect.DeepEqual(got.ScaleUp, row.up) || !reflect.DeepEqual(got.ScaleDown, row.down) {
			t.Errorf("%s: up %v, down %v, want %v, %v", row.name, got.ScaleUp, got.ScaleDown, row.up, row.down)
		}
	}
}

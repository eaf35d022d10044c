package fit

import (
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
)

func TestWhatIsNotFittedToTheLoad(t *testing.T) {
	run := &results.Run{Samples: []results.Sample{
		{Name: "s0-external", At: time.Second, Value: 3}, {Name: "s0-external", At: 6 * time.Second, Value: 4},
		{Name: "s0-external", Pod: "a", Value: 9}, // of a pod, so not from the API
		{Name: "s2-prometheus", At: time.Second, Value: 7},
	}}
	l := &keda.Loop{Triggers: []keda.Trigger{
		{Metric: "s0-external", Foreign: true}, {Metric: "s1-external-push", Foreign: true}, {Metric: "s2-prometheus"},
		{Metric: "s3-cron-UTC-08xxx-018xxx", Cron: &keda.Cron{}},
	}}
	got, n := recordedOf(run, l)
	if len(got) != 1 || got[0].Metric != "s0-external" || len(got[0].At) != 2 || got[0].Value[1] != 4 {
		t.Errorf("recorded: %+v, want the two values of s0-external", got)
	}
	if len(n.assumed) != 1 || !strings.Contains(n.assumed[0], "s0-external are those recorded") {
		t.Errorf("assumed: %q", n.assumed)
	}
	var metrics []hpa.Metric
	for _, x := range l.Triggers {
		metrics = append(metrics, hpa.Metric{Source: hpa.External, Name: x.Metric})
	}
	var names []string
	for _, m := range toFit(metrics, l, got) {
		names = append(names, m.Name)
	}
	// What was not recorded stays, to be rejected by name later.
	if text := strings.Join(names, " "); text != "s1-external-push s2-prometheus" {
		t.Errorf("to fit: %s", text)
	}
	if all := toFit(metrics, nil, nil); len(all) != 4 {
		t.Errorf("without a ScaledObject: %d metrics, want all", len(all))
	}
}

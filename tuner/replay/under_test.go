package replay

import (
	"strings"
	"testing"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

func TestUnder(t *testing.T) {
	cpu := hpa.Metric{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Type: hpa.Utilization, Utilization: 70}}
	memory := hpa.Metric{Source: hpa.Resource, Name: "memory", Target: hpa.Target{Type: hpa.Utilization, Utilization: 80}}
	of := func(container string) hpa.Metric {
		return hpa.Metric{Source: hpa.ContainerResource, Name: "cpu", Container: container, Target: hpa.Target{Type: hpa.Utilization, Utilization: 70}}
	}
	queue := hpa.Metric{Source: hpa.Pods, Name: "queue_length", Target: hpa.Target{AverageMilli: 2000}}
	look := look(0, 2, 2, 70)
	look.Metrics = append(look.Metrics, results.Reading{Metric: "memory"})
	run := recorded(func(*results.Run) {}, look)
	for _, tt := range []struct {
		name  string
		given []hpa.Metric
		want  string // the readings' metrics in order, or the error
	}{
		{"the same metrics keep their readings", []hpa.Metric{cpu, memory}, "cpu memory"},
		{"another order moves them", []hpa.Metric{memory, cpu}, "memory cpu"},
		{"fewer leave the others out", []hpa.Metric{memory}, "memory"},
		{"one container is part of the pod's reading", []hpa.Metric{of("app")}, "cpu"},
		{"a container that is not there was not recorded", []hpa.Metric{of("web")}, "did not record: ContainerResource metric cpu/web"},
		{"a metric that is not there was not recorded", []hpa.Metric{cpu, queue}, "did not record: Pods metric queue_length"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Under(run, &hpa.Config{Metrics: []hpa.Metric{cpu, memory}}, &hpa.Config{Metrics: tt.given})
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) {
					t.Fatal(err)
				}
				return
			}
			var names []string
			for _, r := range got.Syncs[0].Metrics {
				names = append(names, r.Metric)
			}
			if text := strings.Join(names, " "); text != tt.want || len(run.Syncs[0].Metrics) != 2 {
				t.Errorf("readings of %q, want %q; the run has %d", text, tt.want, len(run.Syncs[0].Metrics))
			}
		})
	}
}

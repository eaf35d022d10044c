package conformance

import (
	"fmt"
	"testing"
	"time"

	"github.com/hpatune/hpatune/test/conformance/gen"
	"github.com/hpatune/hpatune/test/conformance/reference"
	"github.com/hpatune/hpatune/test/conformance/replay"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// bench returns one observation of an HPA with a CPU metric, and with more metrics if asked for.
func bench(pods, metrics int, cpuMilli int64) *gen.Scenario {
	specs := `{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":70}}}`
	o := gen.Observation{Resource: &gen.ResourceMetrics{}, Pods: &[]gen.Pod{}}
	if metrics > 1 {
		specs += `,{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"1Gi"}}},
			{"type":"Pods","pods":{"metric":{"name":"rps"},"target":{"type":"AverageValue","averageValue":"10"}}},
			{"type":"External","external":{"metric":{"name":"queue"},"target":{"type":"AverageValue","averageValue":"10"}}}`
		o.PodsMetrics = map[string]gen.PodsMetric{"rps": {}}
		o.External = map[string]gen.SeriesMetric{"queue": {Milli: []int64{int64(pods) * 10_000}}}
	}
	long, mem := -3600.0, int64(1<<30)
	var rps gen.PodsMetric
	for i := range pods {
		name := fmt.Sprintf("web-%d", i)
		*o.Pods = append(*o.Pods, gen.Pod{Name: name, Phase: "Running", Ready: "True", StartTime: &long, Transition: &long, Labels: map[string]string{"app": "web"}})
		o.Resource.Pods = append(o.Resource.Pods, gen.PodSample{Pod: name, WindowSeconds: 15, Containers: []gen.Container{{Name: "app", CPUMilli: &cpuMilli, MemoryBytes: &mem}}})
		rps.Values = append(rps.Values, gen.PodValue{Pod: name, Milli: 10_000})
	}
	if metrics > 1 {
		o.PodsMetrics["rps"] = rps
	}
	request, none := int64(100), gen.Duration(0)
	return &gen.Scenario{ID: "bench", HPA: []byte(`{"spec":{"maxReplicas":1000,"metrics":[` + specs + `]}}`), InitialReplicas: int32(pods),
		Containers: []gen.Container{{Name: "app", CPUMilli: &request, MemoryBytes: &mem}}, Observations: []gen.Observation{o},
		// Without a window, or the real controller's list grows with every reconcile.
		Controller: &gen.Controller{DownscaleStabilization: &none}}
}

// The time per decision of the real controller and of ours. The real controller's is for a
// whole reconcile, with everything around the decision in memory: see reference.Spin.
func BenchmarkDecision(b *testing.B) {
	for _, c := range []struct {
		name          string
		pods, metrics int
		cpuMilli      int64
	}{
		{"steady, 10 pods, 1 metric", 10, 1, 70},
		{"scaling, 10 pods, 1 metric", 10, 1, 140},
		{"steady, 200 pods, 4 metrics", 200, 4, 70},
	} {
		s := bench(c.pods, c.metrics, c.cpuMilli)
		b.Run(c.name+"/real", func(b *testing.B) {
			took, err := reference.Spin(s, b.N)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/decision")
			b.ReportMetric(0, "ns/op")
		})
		b.Run(c.name+"/ours", func(b *testing.B) {
			file, _ := replay.File(s)
			parsed, err := scenario.Parse(file, nil)
			if err != nil {
				b.Fatal(err)
			}
			o, d, ctl := parsed.Steps[0].Observation, hpa.Decision{}, hpa.New(parsed.Params)
			o.SpecReplicas, o.StatusReplicas = s.InitialReplicas, s.InitialReplicas
			for range 10 { // warm up, so that buffers have grown
				ctl.Step(&o, &d)
				o.At += 15 * time.Second
			}
			if d.Err != nil {
				b.Fatal(d.Err)
			}
			for b.Loop() {
				ctl.Step(&o, &d)
				o.At += 15 * time.Second
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/decision")
			b.ReportMetric(0, "ns/op")
		})
	}
}

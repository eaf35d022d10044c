package sim

import (
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// BenchmarkDay is a day of some 24,000 requests on 2 to 10 pods.
func BenchmarkDay(b *testing.B) {
	w := &World{Service: &Slots{Slots: 8, Work: Work{First: 0.25, PerToken: 0.015, Noise: 0.1}, PerBusy: 0.11},
		Metric: DefaultPipeline(), Pod: Pod{CPURequest: 1, IdleCores: 0.02},
		Startup: Startup{Schedule: 1, Pull: 2, Start: 1, Load: 15, Spread: 0.1}, Text: Text{Prompt: 250,
			PromptSpread: 0.6, Output: 75, OutputSpread: 0.6}, Balancer: Random,
		Load: Load{CV2: 1, Stages: []Stage{Flat("low", 300, 5), Flat("high", 600, 26), Flat("end", 600, 5)}}}
	c := hpa.DefaultConfig(12)
	c.MinReplicas = 2
	for i := range b.N {
		d := w.Run(Options{Seed: uint64(i + 1), Config: c})
		b.ReportMetric(float64(d.Requests), "requests/op")
	}
}

package advice

import (
	"strings"
	"testing"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// The recommended manifest reads back: a ScaledObject with its queries, or an HPA if the
// signal is a resource.
func TestSignalManifest(t *testing.T) {
	meta := manifest.Meta{Name: "llm", Namespace: "serving", Target: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1",
		Kind: "Deployment", Name: "llm"}}
	on := func(ms ...hpa.Metric) *hpa.Config {
		c := hpa.DefaultConfig(9)
		c.MinReplicas, c.Metrics = 2, ms
		return &c
	}
	for _, c := range []struct {
		name   string
		config *hpa.Config
		want   []string
	}{
		{"what runs, of each pod", on(hpa.Metric{Source: hpa.Pods, Name: "vllm:num_requests_running", Target: hpa.Target{AverageMilli: 5500}}),
			[]string{"kind: ScaledObject", `query: 'sum(vllm:num_requests_running{namespace="serving"})'`, `threshold: "5.5"`, "metricType: AverageValue",
				"minReplicaCount: 2", "#   rules:", "seriesQuery: 'vllm:num_requests_running{"}},
		{"a number of the pool, as a value", on(hpa.Metric{Source: hpa.External, Name: "kv_cache", Target: hpa.Target{ValueMilli: 800}}),
			[]string{"query: 'kv_cache'", `threshold: "0.8"`, "metricType: Value"}},
		{"a name that was given to a query", on(hpa.Metric{Source: hpa.External, Name: "queue", Target: hpa.Target{AverageMilli: 4000}}),
			[]string{`query: 'sum(vllm:num_requests_waiting{model_name="it''s"})'`, `threshold: "4"`}},
		{"what runs and what waits", on(hpa.Metric{Source: hpa.External, Name: "running+waiting", Target: hpa.Target{AverageMilli: 4000}}),
			[]string{`query: 'sum(running{namespace="serving"}) + sum(avg_over_time(engine_waiting[15s]))'`}},
		{"what waits for each that runs", on(hpa.Metric{Source: hpa.External, Name: "sum(waiting) / sum(running)", Target: hpa.Target{ValueMilli: 250}}),
			[]string{`query: 'sum(avg_over_time(engine_waiting[15s])) / sum(running{namespace="serving"})'`, `threshold: "0.25"`, "metricType: Value"}},
		{"the slots in use", on(hpa.Metric{Source: hpa.External, Name: "sum(running) / count(running) / 8", Target: hpa.Target{ValueMilli: 600}}),
			[]string{`query: 'sum(running{namespace="serving"}) / count(running{namespace="serving"}) / 8'`}},
		{"the mean of a histogram, which no server exports", on(hpa.Metric{Source: hpa.Pods, Name: "vllm:queue_seconds:mean1m", Target: hpa.Target{AverageMilli: 500}}),
			[]string{`query: 'sum(rate(vllm:queue_seconds_sum{namespace="serving"}[1m]) / rate(vllm:queue_seconds_count{namespace="serving"}[1m]) >= 0)'`}},
		{"a rate", on(hpa.Metric{Source: hpa.External, Name: "sum(rate(vllm:generation_tokens_total[60s]))", Target: hpa.Target{AverageMilli: 90000}}),
			[]string{`query: 'sum(rate(vllm:generation_tokens_total{namespace="serving"}[60s]))'`, `threshold: "90"`}},
		{"CPU is an HPA", on(hpa.Metric{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Utilization: 60}}),
			[]string{"kind: HorizontalPodAutoscaler", "averageUtilization: 60"}},
	} {
		row := &tuner.SignalRow{Name: "s", Config: c.config, Advised: true}
		queries := map[string]string{"queue": `sum(vllm:num_requests_waiting{model_name="it's"})`, "waiting": "avg_over_time(engine_waiting[15s])"}
		text := string(signalOf(row, meta, queries))
		for _, w := range c.want {
			if !strings.Contains(text, w) {
				t.Errorf("%s: %q is missing in\n%s", c.name, w, text)
			}
		}
		docs, problems := manifest.Parse("signal.yaml", []byte(text))
		if len(problems) > 0 || len(docs) != 1 {
			t.Errorf("%s: read again: %d documents, %v\n%s", c.name, len(docs), problems, text)
		}
		a := Advice{options: Options{Meta: meta, Run: &results.Run{Meta: results.Meta{Queries: queries}}}}
		r := tuner.Recommendation{Signals: []tuner.SignalRow{{Name: "other", Config: c.config}, *row}}
		if a.signal(&r); len(a.Files) != 1 || a.Files[0].Name != "signal.yaml" || string(a.Files[0].Data) != text {
			t.Errorf("%s: files %+v", c.name, a.Files)
		}
		r.Signals = r.Signals[:1]
		a.Files = nil
		if a.signal(&r); len(a.Files) > 0 {
			t.Errorf("%s: nothing is advised, and there is %s", c.name, a.Files[0].Name)
		}
	}
}

func TestASignalsFileSaysWhatItCostsInTheCurrencyOfThePrice(t *testing.T) {
	c := hpa.DefaultConfig(9)
	c.MinReplicas = 2
	c.Metrics = []hpa.Metric{{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Utilization: 60}}}
	for currency, want := range map[string]string{"": ": −$12.50,", "USD": ": −$12.50,", "EUR": ": −€12.50,"} {
		var a Advice
		r := tuner.Recommendation{Price: tuner.Price{Currency: currency}, Signals: []tuner.SignalRow{{
			Name: "cpu", Config: &c, Advised: true, USDMonth: &tuner.Interval{Value: -12.5},
		}}}
		a.signal(&r)
		if len(a.Files) != 1 || !strings.Contains(string(a.Files[0].Data), want) {
			t.Errorf("with prices in %q it does not say %q: %s", currency, want, a.Files)
		}
	}
}

package sandbox

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// asks is a signal that is one query.
func asks(query string) Signal {
	return func(ask func(string) ([]float64, error)) (float64, error) {
		list, err := ask(query)
		if err == nil && len(list) != 1 {
			err = fmt.Errorf("%d series", len(list))
		}
		if err != nil {
			return 0, err
		}
		return list[0], nil
	}
}

// scaledOn is a quick sandbox whose HPA reads one metric.
func scaledOn(source hpa.Source, name string, target hpa.Target) Options {
	o := quick(1, 3, 2)
	o.HPA.Metrics = []hpa.Metric{{Source: source, Name: name, Target: target}}
	return o
}

func TestPromQLOverThePods(t *testing.T) {
	o := scaledOn(hpa.External, "q", hpa.Target{Type: hpa.AverageValue, AverageMilli: 1000})
	o.Namespace, o.External = "ml", map[string]Signal{"q": asks("vector(1)")}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := s.signals.monitor
	pods := m.running()
	for i := range 9 { // every 15 s a pod generates 30 tokens, the other one none
		pods[0].replica.metrics.generation.Add(30)
		pods[0].replica.metrics.ttft.Observe(0.7)
		for _, p := range pods {
			m.scrape(p, time.Duration(i)*15*time.Second)
		}
	}
	for _, tt := range []struct {
		name, query string
		at          time.Duration
		want        string
	}{
		{"a series a pod", `vllm:generation_tokens_total`, 121 * time.Second, "1=270, 2=0"},
		{"their sum, at the last scrape", `sum(vllm:generation_tokens_total)`, 119 * time.Second, "=240"},
		{"a rate", `sum(rate(vllm:generation_tokens_total[1m]))`, 2 * time.Minute, "=2"},
		{"a quantile of a histogram", `histogram_quantile(0.5, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[1m])))`, 2 * time.Minute, "=0.625"},
		{"the namespace is a label", `count(vllm:num_requests_waiting{namespace="ml"})`, 2 * time.Minute, "=2"},
		{"and nobody else's series are there", `count(vllm:num_requests_waiting{namespace="other"})`, 2 * time.Minute, ""},
		{"what is old is gone", `sum(vllm:num_requests_waiting)`, time.Hour, ""},
		{"what cannot be read", `sum(`, 0, "error: 1:5: parse error"},
		{"a range is no instant", `vllm:num_requests_running[1m]`, 0, "error: the result is a matrix, want an instant vector"},
	} {
		list, err := m.askAt(t.Context(), tt.query, tt.at)
		var out []string
		for _, x := range list {
			out = append(out, fmt.Sprintf("%s=%.4g", strings.TrimPrefix(x.pod, "inference-endpoint-"), x.value))
		}
		slices.Sort(out)
		got := strings.Join(out, ", ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != tt.want && (err == nil || !strings.HasPrefix(got, tt.want)) {
			t.Errorf("%s: %s = %q, want %q", tt.name, tt.query, got, tt.want)
		}
	}
	m.forget(pods[1:], 125*time.Second)
	if list, err := m.askAt(t.Context(), `vllm:num_requests_running`, 126*time.Second); err != nil || len(list) != 1 {
		t.Errorf("after a pod has gone: %+v, %v, want the other one's series alone", list, err)
	}
}

func TestMetricsThatNoPodTellsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		source hpa.Source
		name   string
		ok     bool
	}{
		{hpa.Pods, "vllm:num_requests_waiting", true},
		{hpa.Pods, "vllm_num_requests_waiting", true}, // as adapters write it
		{hpa.Object, "vllm:num_requests_running", true},
		{hpa.External, "vllm:num_requests_running", true},
		{hpa.External, "queue", true}, // has a signal
		{hpa.External, "orders", false},
		{hpa.Pods, "queue", false},
		{hpa.Pods, "in_flight", false},
	} {
		o := scaledOn(tt.source, tt.name, hpa.Target{Type: hpa.AverageValue, AverageMilli: 1000})
		o.External = map[string]Signal{"queue": asks("vector(1)")}
		s, err := New(o)
		if err == nil {
			s.Close()
		}
		if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "do not export "+tt.name+"; they export ") {
			t.Errorf("%v metric %s: %v, want it served: %v", tt.source, tt.name, err, tt.ok)
		}
	}
}

// TestScalesOnWhatThePodsTell has the sandbox's controller scale up on requests in
// service, as each of the metrics APIs serves them.
func TestScalesOnWhatThePodsTell(t *testing.T) {
	for _, tt := range []struct {
		name, metric string
		source       hpa.Source
		external     Signal
		target       hpa.Target
	}{
		{"a Pods metric", "vllm:num_requests_running", hpa.Pods, nil, hpa.Target{Type: hpa.AverageValue, AverageMilli: 1000}},
		{"an External metric of a query", "s0-prometheus", hpa.External, asks("sum(vllm:num_requests_running)"),
			hpa.Target{Type: hpa.AverageValue, AverageMilli: 1000}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := scaledOn(tt.source, tt.metric, tt.target)
			o.Replicas = 1
			if tt.external != nil {
				o.External = map[string]Signal{tt.metric: tt.external}
			}
			records := observed(t, o, func(ctx context.Context, s *Sandbox) {
				done := make(chan struct{})
				for range 3 { // 20 s each, in one pod's slots
					go func() { _, _, _, _ = post(s, `{"max_tokens":200}`); done <- struct{}{} }()
				}
				for range 3 {
					<-done
				}
			})
			syncs := only[results.Sync](records)
			// A reading may fall between the requests' starts: then 2 come first.
			if !slices.ContainsFunc(syncs, func(y results.Sync) bool {
				return y.Rescaled() && y.Replicas == 3 && strings.Contains(y.Reason, "above target") && len(y.Metrics) == 1 &&
					len(y.Metrics[0].Values)+len(y.Metrics[0].Pods) > 0
			}) {
				t.Errorf("no rescale to 3 replicas for 3 requests, with the metric's reading: %+v", syncs)
			}
			if !slices.ContainsFunc(only[results.Sample](records), func(x results.Sample) bool {
				return x.Name == tt.metric && x.Value == 3 && strings.HasSuffix(x.Source, ".metrics.k8s.io")
			}) {
				t.Error("what the metrics API served was not recorded")
			}
		})
	}
}

// A query without series looks like no load, to KEDA and to its HPA.
func TestAQueryWithoutSeriesIsNamed(t *testing.T) {
	o := scaledOn(hpa.External, "q", hpa.Target{Type: hpa.AverageValue, AverageMilli: 1000})
	looks := 0
	seen := make(chan struct{})
	o.External = map[string]Signal{"q": func(func(string) ([]float64, error)) (float64, error) {
		if looks++; looks == 15 {
			close(seen)
		}
		return 0, NoSeries{Query: "sum(x)"}
	}}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var records []results.Record
	s.workload.emit = func(r results.Record) { records = append(records, r) }
	go func() { <-seen; cancel() }()
	s.signals.run(ctx, s.workload)
	warnings := only[results.Warning](records)
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, "the query sum(x) has no series for 1m; KEDA counts that as 0") {
		t.Errorf("warnings %+v, want one", warnings)
	}
	if gaps := only[results.Gap](records); len(gaps) > 0 {
		t.Errorf("gaps %+v: the autoscaler had a value", gaps)
	}
	samples := only[results.Sample](records)
	if len(samples) != 1 || samples[0].Value != 0 {
		t.Errorf("samples %+v, want the 0 that the HPA read", samples)
	}
	if a := s.signals.fetch(t.Context())["Externalq"]; a.err != nil || a.total != 0 {
		t.Errorf("the HPA reads %+v, want 0", a)
	}
}

func TestASignalThatFailsIsSaidOnceAndIsAGap(t *testing.T) {
	o := scaledOn(hpa.External, "q", hpa.Target{Type: hpa.AverageValue, AverageMilli: 1000})
	looks := 0
	seen := make(chan struct{})
	o.External = map[string]Signal{"q": func(func(string) ([]float64, error)) (float64, error) {
		if looks++; looks == 6 {
			close(seen)
		}
		if looks < 6 {
			return 0, fmt.Errorf("the query sum(x) has no series")
		}
		return 1, nil
	}}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var records []results.Record
	s.workload.emit = func(r results.Record) { records = append(records, r) }
	go func() { <-seen; cancel() }()
	s.signals.run(ctx, s.workload)
	warnings, gaps := only[results.Warning](records), only[results.Gap](records)
	if len(warnings) != 1 || !strings.Contains(warnings[0].Text, "External metric q: the query sum(x) has no series") {
		t.Errorf("warnings %+v, want one with the reason", warnings)
	}
	if len(gaps) != 1 || gaps[0].To <= gaps[0].From || !gaps[0].HidesDecisions() {
		t.Errorf("gaps %+v, want the stretch without values", gaps)
	}
}

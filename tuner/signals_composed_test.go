package tuner

import (
	"slices"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// The signals of a vLLM server, as its pods export them.
func exported() []fit.Signal {
	of := func(name, follows string, noise float64, p plant.Pipe) fit.Signal {
		p.Name = name
		return fit.Signal{Metric: hpa.Metric{Source: hpa.Pods, Name: name}, Pipe: p, Follows: follows, Noise: noise}
	}
	out := []fit.Signal{
		of("generation_tokens", "completions per second", 0.03, plant.Pipe{PerDone: 60}),
		of("prompt_tokens", "completions per second", 0.04, plant.Pipe{PerDone: 256}),
		of("kv_cache", "requests in service", 0.05, plant.Pipe{PerRunning: 0.1}),
		of("mean_ttft", "requests waiting", 0.06, plant.Pipe{PerWaiting: 0.8, Base: 0.5}),
		of("num_running", "requests in service", 0.1, plant.Pipe{PerRunning: 1}),
		of("num_waiting", "requests waiting", 0.11, plant.Pipe{PerWaiting: 1}),
		of("temperature", "", 0.01, plant.Pipe{}),
		of("ttft", "mean time to the first token", 0.02, plant.Pipe{Times: &plant.Times{Of: plant.ToFirst}}),
		of("e2e", "mean time to the end of the answer", 0.015, plant.Pipe{Times: &plant.Times{Of: plant.ToEnd}}),
	}
	out[6].Dropped = "it follows nothing"
	return out
}

func TestWhichSignalsAreSearched(t *testing.T) {
	seen := exported()
	names := func(list []int) string {
		var out []string
		for _, i := range list {
			out = append(out, seen[i].Metric.Name)
		}
		return strings.Join(out, " ")
	}
	// The least noisy of what completes, and of what runs and waits the plain counts, though they
	// are noisier than a cache or a mean time, and one time; then the others, the other time last.
	search := toSearch(seen)
	if got := names(search); got != "e2e generation_tokens num_running num_waiting prompt_tokens kv_cache mean_ttft ttft" {
		t.Errorf("they are searched in the order %s", got)
	}
	rows := make([]SignalRow, len(seen))
	for i := range rows {
		rows[i].Verdict = Met
	}
	var pairs []string
	for _, p := range pairsOf(rows, seen, search) {
		pairs = append(pairs, names(p[:]))
	}
	if want := []string{"generation_tokens num_waiting", "kv_cache num_waiting"}; !slices.Equal(pairs, want) {
		t.Errorf("pairs %q, want %q", pairs, want)
	}
	if p := pairsOf(rows, seen, search[:3]); len(p) > 0 {
		t.Errorf("pairs without a queue: %v", p)
	}
	var got []string
	for _, g := range composed(seen, 8) {
		got = append(got, g.Metric.Name)
		if g.Metric.Source != hpa.External || g.Pipe.Name != g.Metric.Name {
			t.Errorf("%s: %+v", g.Metric.Name, g)
		}
	}
	want := []string{"num_running+num_waiting", "sum(num_waiting) / sum(num_running)", "sum(num_running) / count(num_running) / 8"}
	if !slices.Equal(got, want) {
		t.Errorf("composed %q, want %q", got, want)
	}
	if out := composed(seen[:4], 8); len(out) > 0 {
		t.Errorf("composed of what counts no requests: %+v", out)
	}
}

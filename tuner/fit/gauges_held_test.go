package fit

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// KV-cache use is the tokens that the requests in service hold over what fits: long requests
// fill it more than short ones, and later in their answers.
func TestGaugesOfTheCache(t *testing.T) {
	s := scene()
	const fits = 6000
	held := func(k int, at float64) float64 {
		sum := 0.0
		for _, i := range s.servers[k].calls {
			if c, start := &s.calls[i], s.start[i]; start <= at && at < c.done {
				sum += c.prompt() + c.tokens*(at-start)/(c.done-start)
			}
		}
		return sum
	}
	scrape := func(at float64) float64 { return math.Floor(at/15) * 15 }
	for _, tt := range []struct {
		sentence string
		metric   hpa.Metric
		value    func(k int, at float64) (float64, bool)
		per      float64
	}{
		{"a share of the cache, of each pod", hpa.Metric{Source: hpa.Pods, Name: "vllm:kv_cache_usage_perc"},
			func(k int, at float64) (float64, bool) { return held(k, scrape(at)) / fits, true }, s.meanHeld() / fits},
		{"tokens in use, of each pod", hpa.Metric{Source: hpa.Pods, Name: "sglang:num_used_tokens"},
			func(k int, at float64) (float64, bool) { return math.Round(held(k, scrape(at))), true }, s.meanHeld()},
		{"tokens in use in the whole pool", hpa.Metric{Source: hpa.External, Name: "s0-prometheus"},
			func(k int, at float64) (float64, bool) {
				at = scrape(at)
				return math.Round(held(0, at) + held(1, at) + held(2, at)), k == 0
			}, s.meanHeld()},
	} {
		s.seen(&tt.metric, tt.value)
		p, ok, n := gaugeOf(s, &tt.metric)
		if !ok || math.Abs(p.PerRunning-tt.per) > 0.1*tt.per || p.PerWaiting != 0 || p.PerDone != 0 || p.Every != 15*time.Second {
			t.Errorf("%s: %+v, want %.3g for each in service; %q %+v", tt.sentence, p, tt.per, n.warnings, n.qualities)
			continue
		}
		if n.qualities[0].Value > 0.05 {
			t.Errorf("%s: off by %.3f of its mean, want it explained by the tokens held", tt.sentence, n.qualities[0].Value)
		}
	}
}

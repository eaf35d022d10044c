package results

import (
	"fmt"
	"math"
	"testing"
	"time"
)

// buckets records a histogram with the bounds 1, 2 and 4 s at an instant.
func buckets(pod string, at time.Duration, counts ...float64) (out []Sample) {
	for i, le := range []string{"1", "2", "4", "+Inf"} {
		out = append(out, Sample{At: at, Source: "scrape", Pod: pod, Value: counts[i],
			Name: fmt.Sprintf(`vllm:time_to_first_token_seconds_bucket{le=%q}`, le)})
	}
	return out
}

func join(parts ...[]Sample) (out []Sample) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func TestServerTimes(t *testing.T) {
	stages := []StageInfo{{Name: "warm-up", ToS: 60, Warmup: true}, {Name: "hold", FromS: 60, ToS: 300}}
	for _, tt := range []struct {
		name     string
		samples  []Sample
		pods     []Pod
		n        int
		p50, p95 float64
		beyond   bool
	}{
		{"what was counted since the warm-up", join(buckets("a", 30*time.Second, 90, 90, 90, 90), buckets("a", 60*time.Second, 100, 100, 100, 100), buckets("a", 300*time.Second, 110, 120, 120, 120)),
			nil, 20, 1, 1.9, false},
		{"over all pods", join(buckets("a", 60*time.Second, 0, 0, 0, 0), buckets("b", 60*time.Second, 5, 5, 5, 5), buckets("a", 300*time.Second, 10, 10, 10, 10),
			buckets("b", 300*time.Second, 5, 15, 15, 15)), nil, 20, 1, 1.9, false},
		{"a pod that came later began at nothing", buckets("c", 200*time.Second, 10, 10, 10, 10), []Pod{{At: 150 * time.Second, Name: "c", Phase: PodCreated}},
			10, 0.5, 0.95, false},
		{"what was counted before the first reading after the warm-up is left out", join(buckets("a", 30*time.Second, 0, 0, 0, 0),
			buckets("a", 90*time.Second, 50, 50, 50, 50), buckets("a", 300*time.Second, 60, 70, 70, 70)), nil, 20, 1, 1.9, false},
		{"a pod that was there and was seen late began at what was seen", buckets("c", 200*time.Second, 10, 10, 10, 10), nil, 0, 0, 0, false},
		{"a server that began anew counts on", join(buckets("a", 60*time.Second, 90, 90, 90, 90), buckets("a", 100*time.Second, 100, 100, 100, 100),
			buckets("a", 300*time.Second, 10, 10, 10, 10)), nil, 20, 0.5, 0.95, false},
		{"beyond the last bound is said", join(buckets("a", 60*time.Second, 0, 0, 0, 0), buckets("a", 300*time.Second, 10, 10, 10, 20)), nil, 20, 1, 4, true},
		{"nothing was recorded", nil, nil, 0, 0, 0, false},
	} {
		r := &Run{Samples: tt.samples, Pods: tt.pods}
		r.Meta.Stages = stages
		got := r.ServerTimes()
		if len(got) == 0 {
			if tt.n != 0 {
				t.Errorf("%s: nothing, want %d observations", tt.name, tt.n)
			}
			continue
		}
		x := got[0]
		if x.N != tt.n || math.Abs(x.P50S-tt.p50) > 1e-9 || math.Abs(x.P95S-tt.p95) > 1e-9 || x.Beyond != tt.beyond || x.Of != "ttft" || x.ClientP50S != nil || x.FinestS != 1 || x.FromS < 60 {
			t.Errorf("%s: %+v, want n %d, p50 %g, p95 %g, beyond %v", tt.name, x, tt.n, tt.p50, tt.p95, tt.beyond)
		}
	}
}

// The client's times are of the same stretch as the server's: from the first reading on.
func TestServerTimesAreOfTheStretchThatWasRead(t *testing.T) {
	r := &Run{Samples: join(buckets("a", 30*time.Second, 0, 0, 0, 0), buckets("a", 90*time.Second, 50, 50, 50, 50),
		buckets("a", 300*time.Second, 60, 70, 70, 70))}
	r.Meta.Stages = []StageInfo{{Name: "warm-up", ToS: 60, Warmup: true}, {Name: "hold", FromS: 60, ToS: 300}}
	for _, at := range []time.Duration{61, 89, 90, 200} {
		sent := at * time.Second
		took := time.Second
		if at < 90 {
			took = 9 * time.Second
		}
		r.Requests = append(r.Requests, Request{Stage: 1, Scheduled: sent, Sent: sent, First: sent + took, Done: sent + took, Outcome: OK})
	}
	got := r.ServerTimes()
	if len(got) != 1 || got[0].FromS != 90 || got[0].N != 20 || got[0].ClientP95S == nil || *got[0].ClientP95S != 1 {
		t.Errorf("ServerTimes = %+v, want 20 observations since 90 s and a client's p95 of 1 s", got)
	}
}

// Without warm-up nothing was sent before the start, so a reading from before it is where
// the counts begin.
func TestServerTimesWithoutWarmUp(t *testing.T) {
	r := &Run{Samples: join(buckets("a", -2*time.Second, 90, 90, 90, 90), buckets("a", 25*time.Second, 100, 110, 110, 110))}
	r.Meta.Stages = []StageInfo{{Name: "hold", ToS: 20}}
	if got := r.ServerTimes(); len(got) != 1 || got[0].FromS != 0 || got[0].N != 20 {
		t.Errorf("ServerTimes = %+v, want 20 observations since 0 s", got)
	}
}

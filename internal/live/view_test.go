package live

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hpatune/hpatune/results"
)

func demo(speed float64) Options {
	return Options{
		Clock: results.Clock{Start: time.Now(), Speed: speed}, Name: "demo", Duration: 10 * time.Minute,
		Stages: []results.StageInfo{
			{Name: "warm-up", FromS: 0, ToS: 60, Arrivals: 90, Warmup: true},
			{Name: "hold", FromS: 60, ToS: 600, Arrivals: 3240},
		},
		Objectives: []string{"error_rate < 1%", "ttft.p95 < 4s"},
	}
}

func answered(at time.Duration) results.Request {
	return results.Request{Scheduled: at - 7*time.Second, Sent: at - 7*time.Second, First: at - 6*time.Second, Last: at, Done: at, Outcome: results.OK}
}

func failed(at time.Duration, o results.Outcome) results.Request {
	return results.Request{Scheduled: at, Sent: at, First: results.NotYet, Last: results.NotYet, Done: at, Outcome: o}
}

func TestLine(t *testing.T) {
	pod := func(name string, phase results.PodPhase) results.Pod {
		return results.Pod{At: 50 * time.Second, Name: name, Phase: phase}
	}
	for _, c := range []struct {
		name    string
		at      time.Duration
		records []results.Record
		want    string
	}{
		{"nothing answered yet is a dash, not 0", 30 * time.Second, nil,
			"30s of 10m00s  warm-up  offered 1.5/s  answered 0.0/s  e2e p50/p95/p99 —/—/—  left 29s"},
		{"answers, in the time since the line before", 100 * time.Second,
			[]results.Record{answered(70 * time.Second), answered(71 * time.Second)},
			"1m40s of 10m00s  hold  offered 6.0/s  answered 0.0/s  e2e p50/p95/p99 7.0s/7.0s/7.0s  ttft p95 1.0s  left 25s"},
		{"replicas: ready of desired", 100 * time.Second,
			[]results.Record{pod("a", results.PodReady), pod("b", results.PodReady), results.Sync{At: 55 * time.Second, Spec: 2, Replicas: 4}, pod("c", results.PodCreated)},
			"1m40s of 10m00s  hold  offered 6.0/s  answered 0.0/s  e2e p50/p95/p99 —/—/—  replicas 2 ready of 4  left 25s"},
		{"what is told late of a ready pod's start leaves it ready", 100 * time.Second,
			[]results.Record{pod("a", results.PodReady), pod("a", results.PodPulled), pod("b", results.PodPulled)},
			"1m40s of 10m00s  hold  offered 6.0/s  answered 0.0/s  e2e p50/p95/p99 —/—/—  replicas 1 ready of 2  left 25s"},
		{"a pod that drains is not ready", 100 * time.Second,
			[]results.Record{pod("a", results.PodReady), pod("b", results.PodReady), pod("b", results.PodDeleted)},
			"1m40s of 10m00s  hold  offered 6.0/s  answered 0.0/s  e2e p50/p95/p99 —/—/—  replicas 1 ready of 2  left 25s"},
		{"failures are named, 429 apart", 100 * time.Second,
			[]results.Record{failed(70*time.Second, results.HTTP429), failed(71*time.Second, results.Timeout), failed(72*time.Second, results.Shed)},
			"1m40s of 10m00s  hold  offered 6.0/s  answered 0.0/s  e2e p50/p95/p99 —/—/—  failed 2 (429: 1)  shed 1  left 25s"},
		{"after the last arrival the last answers are waited for", 605 * time.Second, nil,
			"10m00s of 10m00s  last answers  answered 0.0/s  e2e p50/p95/p99 —/—/—"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newView(demo(20))
			for _, r := range c.records {
				v.add(r)
			}
			if got := v.line(c.at); got != c.want {
				t.Errorf("line(%v)\n got %s\nwant %s", c.at, got, c.want)
			}
		})
	}
}

func TestLinesSinceTheLineBefore(t *testing.T) {
	v := newView(demo(20))
	v.add(answered(20 * time.Second))
	first, second := v.line(30*time.Second), v.line(60*time.Second)
	if !strings.Contains(first, "7.0s") || strings.Contains(second, "7.0s") {
		t.Errorf("an answer counts in one line:\n%s\n%s", first, second)
	}
}

func TestPipedLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		l := New(&out, demo(20))
		time.Sleep(12 * time.Second)
		l.Close()
		l.Close()
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 3 {
			t.Errorf("%d lines after 12 s, want one each 5 s and one at the end:\n%s", len(lines), out.String())
		}
		if strings.ContainsAny(out.String(), "\x1b\r") {
			t.Errorf("control characters in what is piped: %q", out.String())
		}
	})
}

// stuck is a terminal that takes nothing.
type stuck struct{ free chan struct{} }

func (s stuck) Write(p []byte) (int, error) { <-s.free; return len(p), nil }

func TestEmitDoesNotWaitForTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := stuck{make(chan struct{})}
		l := New(w, demo(20))
		time.Sleep(6 * time.Second) // a line hangs in Write now
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 1000 {
					l.Emit(answered(7 * time.Second))
				}
			})
		}
		all.Wait()
		if l.view.total.ok != 4000 {
			t.Errorf("%d answers counted, want 4000", l.view.total.ok)
		}
		close(w.free)
		l.Close()
	})
}

func TestFirstLatencyLimit(t *testing.T) {
	for _, c := range []struct {
		name       string
		objectives []string
		metric     *results.Metric
		at         time.Duration
	}{
		{"the first that limits a latency", []string{"error_rate < 1%", "ttft.p95 < 4s", "e2e.p99 < 9s"}, ttft, 4 * time.Second},
		{"at most, and in windows", []string{"e2e.p99 <= 2s each 1m for 99%"}, e2e, 2 * time.Second},
		{"no blanks", []string{"ttft.p95<500ms"}, ttft, 500 * time.Millisecond},
		{"none", []string{"goodput > 95%"}, nil, 0},
		{"not a mean, of which nothing is drawn", []string{"ttft.mean < 1s", "e2e.p50 < 2s"}, e2e, 2 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := firstLatencyLimit(c.objectives); got.metric != c.metric || got.at != c.at {
				t.Errorf("firstLatencyLimit(%q) = %+v, want %v %v", c.objectives, got, c.metric, c.at)
			}
		})
	}
}

func BenchmarkEmit(b *testing.B) {
	v := newView(demo(20))
	for i := range b.N {
		v.add(answered(time.Duration(i%600) * time.Second))
	}
}

package fit

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// scene is a log of three pods with four slots each. The load rises and falls, so that the
// requests waiting, running and in total differ. Requests go to the pods in turn.
func scene() *service {
	run := &results.Run{}
	l := &log{run: run, visible: true}
	free := [3][4]float64{}
	s := &service{log: l}
	for k := range 3 {
		name := string(rune('a' + k))
		run.Meta.Backends = append(run.Meta.Backends, results.Backend{Name: name})
		l.servers = append(l.servers, server{backend: k})
		l.traffic = append(l.traffic, [2]float64{0, math.Inf(1)})
	}
	at := 0.0
	for i := 0; at < 900; i++ {
		at += 0.16 + 0.09*math.Sin(at/60) + 0.03*math.Sin(float64(i)*1.7)
		k := i % 3
		slot := 0
		for j := range free[k] {
			if free[k][j] < free[k][slot] {
				slot = j
			}
		}
		start := math.Max(at, free[k][slot])
		done := start + 1.6 + 0.8*math.Sin(float64(i))
		free[k][slot] = done
		l.servers[k].calls = append(l.servers[k].calls, len(l.calls))
		latest := done
		if n := len(l.servers[k].latest); n > 0 {
			latest = math.Max(latest, l.servers[k].latest[n-1])
		}
		l.servers[k].latest = append(l.servers[k].latest, latest)
		l.calls = append(l.calls, call{sent: at, first: done, done: done, server: k, ok: true, tokens: 40 + 30*math.Sin(float64(i)*0.7),
			request: &results.Request{Prompt: 200 + 100*(i%3)}})
		s.start = append(s.start, start)
	}
	return s
}

// seen records a metric of the scene every 5 s, as an adapter shows it.
func (s *service) seen(m *hpa.Metric, value func(pod int, at float64) (v float64, ok bool)) {
	s.run.Samples = nil
	for at := 30.0; at < 880; at += 5 {
		for k := range 3 {
			v, ok := value(k, at)
			if !ok {
				continue
			}
			x := results.Sample{At: seconds(at), Source: "custom.metrics.k8s.io", Name: m.Name, Value: v, SampledAt: seconds(at)}
			if m.Source == hpa.Pods {
				x.Pod = s.run.Meta.Backends[k].Name
			}
			s.run.Samples = append(s.run.Samples, x)
		}
	}
}

func TestGauges(t *testing.T) {
	s := scene()
	// scraped returns the value at the last scrape; each pod has its own phase.
	scraped := func(every, late float64, of func(reading) float64) func(int, float64) (float64, bool) {
		return func(k int, at float64) (float64, bool) {
			phase := float64(k)*3.5 + 1
			on := phase + math.Floor((at-phase)/every)*every - late
			return of(s.did(k, on, on)), true
		}
	}
	// averaged returns the mean over a window, as avg_over_time does.
	averaged := func(window, late float64, of func(reading) float64) func(int, float64) (float64, bool) {
		return func(k int, at float64) (float64, bool) { return of(s.did(k, at-late-window, at-late)), true }
	}
	inside := func(r reading) float64 { return r.running + r.waiting }
	waiting := func(r reading) float64 { return r.waiting }
	whole := func(of func(k int, at float64) (float64, bool)) func(int, float64) (float64, bool) {
		return func(k int, at float64) (float64, bool) { // one series for the pool
			sum := 0.0
			for j := range 3 {
				v, _ := of(j, at)
				sum += v
			}
			return sum, k == 0
		}
	}
	for _, tt := range []struct {
		name    string
		metric  hpa.Metric
		value   func(int, float64) (float64, bool)
		want    plant.Pipe // Every, Delay and Window are compared within one scrape step
		refused bool
	}{
		{"in flight is running and waiting, one each", hpa.Metric{Source: hpa.Pods, Name: "server_load"}, scraped(15, 0, inside),
			plant.Pipe{PerRunning: 1, PerWaiting: 1, Every: 15 * time.Second, Apart: true}, false},
		{"a queue counts what waits", hpa.Metric{Source: hpa.Pods, Name: "vllm:num_requests_waiting"}, scraped(15, 0, waiting),
			plant.Pipe{PerWaiting: 1, Every: 15 * time.Second, Apart: true}, false},
		{"what runs, read every 30 s", hpa.Metric{Source: hpa.Pods, Name: "busy"}, scraped(30, 0, func(r reading) float64 { return r.running }),
			plant.Pipe{PerRunning: 1, Every: 30 * time.Second, Apart: true}, false},
		{"slots in use follow what runs: a quarter each", hpa.Metric{Source: hpa.Pods, Name: "slots_used_ratio"}, scraped(15, 0, func(r reading) float64 { return r.running / 4 }),
			plant.Pipe{PerRunning: 0.25, Every: 15 * time.Second, Apart: true}, false},
		{"the sum over the pool, each pod at its own phase", hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}, whole(scraped(15, 0, inside)),
			plant.Pipe{PerRunning: 1, PerWaiting: 1, Every: 15 * time.Second, Apart: true, Over: plant.Sum,
				Phases: []time.Duration{time.Second, 4500 * time.Millisecond, 8 * time.Second}}, false},
		{"an adapter's avg_over_time, which says no window", hpa.Metric{Source: hpa.Pods, Name: "in_flight"}, averaged(15, 0, inside),
			plant.Pipe{PerRunning: 1, PerWaiting: 1, Every: 2 * time.Second, Window: 15 * time.Second}, false},
		{"a trigger's sum(avg_over_time(…[1m])), 10 s late", hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}, whole(averaged(60, 10, waiting)),
			plant.Pipe{PerWaiting: 1, Every: 6 * time.Second, Window: time.Minute, Delay: 10 * time.Second}, false},
		{"the mean over the pods", hpa.Metric{Source: hpa.External, Name: "s0-prometheus"},
			func(k int, at float64) (float64, bool) {
				v, ok := whole(averaged(30, 0, inside))(k, at)
				return v / 3, ok
			}, plant.Pipe{PerRunning: 1, PerWaiting: 1, Every: 3 * time.Second, Window: 30 * time.Second, Over: plant.Mean}, false},
		{"a server that sees a request 400 ms late", hpa.Metric{Source: hpa.Pods, Name: "in_flight"},
			func(k int, at float64) (float64, bool) {
				r := s.did(k, at-30, at)
				return math.Max(0, inside(r)-0.4*r.done), true
			}, plant.Pipe{PerRunning: 1, PerWaiting: 1, PerDone: -0.4, Every: 3 * time.Second, Window: 30 * time.Second}, false},
		{"a number that has nothing to do with the load", hpa.Metric{Source: hpa.External, Name: "weather"},
			func(k int, at float64) (float64, bool) { return 50 + 40*math.Sin(at*at), k == 0 }, plant.Pipe{}, true},
		{"a latency, which is none of these requests'", hpa.Metric{Source: hpa.External, Name: "ttft_p95_seconds"},
			func(k int, at float64) (float64, bool) { // it roughly follows the requests waiting
				v, _ := whole(averaged(30, 60, waiting))(0, at)
				return 0.1*v + 60*math.Abs(math.Sin(at)), k == 0
			}, plant.Pipe{}, true},
		{"errors per request, which no pod of the replay reports", hpa.Metric{Source: hpa.External, Name: "http_5xx_ratio"},
			func(k int, at float64) (float64, bool) { // it roughly follows the requests waiting
				v, _ := whole(averaged(30, 0, waiting))(0, at)
				return 0.01*v + 6*math.Abs(math.Sin(at)), k == 0
			}, plant.Pipe{}, true},
		{"too few samples", hpa.Metric{Source: hpa.External, Name: "rare"},
			func(k int, at float64) (float64, bool) { return 1, k == 0 && at < 45 }, plant.Pipe{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.seen(&tt.metric, tt.value)
			p, ok, n := gaugeOf(s, &tt.metric)
			if ok == tt.refused {
				t.Fatalf("ok = %v, want %v: %v", ok, !tt.refused, n.warnings)
			}
			if tt.refused {
				if len(n.warnings) != 1 || errorNamed(tt.metric.Name) && !strings.Contains(n.warnings[0], "counts errors") {
					t.Errorf("warnings %q, want the reason", n.warnings)
				}
				return
			}
			near := func(a, b float64) bool { return math.Abs(a-b) <= 0.06*math.Max(1e-9, math.Abs(b))+1e-3 }
			if !near(p.PerRunning, tt.want.PerRunning) || !near(p.PerWaiting, tt.want.PerWaiting) || !near(p.PerDone, tt.want.PerDone) || math.Abs(p.Base) > 0.1 {
				t.Errorf("it counts %+v, want %+v", p, tt.want)
			}
			if p.Every != tt.want.Every || p.Apart != tt.want.Apart && tt.metric.Source == hpa.Pods || p.Over != tt.want.Over || p.Window != tt.want.Window || p.Delay > tt.want.Delay+2*time.Second || p.Delay < tt.want.Delay {
				t.Errorf("it is seen as %+v, want %+v", p, tt.want)
			}
			slices.Sort(p.Phases) // the pods are alike, so the order is arbitrary
			for i, at := range tt.want.Phases {
				if i >= len(p.Phases) || (p.Phases[i]-at).Abs() > 500*time.Millisecond {
					t.Errorf("the pods are read at %v, want %v", p.Phases, tt.want.Phases)
					break
				}
			}
		})
	}
}

// TestGaugesKeptOnChange: a series recorded only when its value changes has the last value at
// every look in between.
func TestGaugesKeptOnChange(t *testing.T) {
	s := scene()
	m := &hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}
	last := math.NaN()
	s.seen(m, func(k int, at float64) (float64, bool) {
		on := 2 + math.Floor((at-2)/15)*15
		v := 0.0
		for j := range 3 {
			v += s.did(j, on, on).waiting
		}
		changed := k == 0 && v != last
		if k == 0 {
			last = v
		}
		return v, changed
	})
	p, ok, n := gaugeOf(s, m)
	if !ok || p.PerWaiting != 1 || p.PerRunning != 0 || p.Every != 15*time.Second || n.qualities[0].Value > 0.02 {
		t.Errorf("the metric is %+v, %v, with %+v; want what waits, every 15 s", p, ok, n.qualities)
	}
	s.run.Samples = []results.Sample{}
	for i, at := range []float64{30, 35, 60, 100, 110, 200, 230, 300, 330} {
		s.run.Samples = append(s.run.Samples, results.Sample{At: seconds(at), Source: "external.metrics.k8s.io", Name: m.Name,
			Value: float64(i % 2), SampledAt: results.NotYet})
	}
	if points := s.poolTrack(m, true)[0].points; len(points) != 61 || points[4] != (point{50, 1}) {
		t.Errorf("%d points %v, want one every 5 s", len(points), points)
	}
}

// TestGaugesOfAnotherHPA: a metric that was recorded pod by pod serves an HPA that reads one
// aggregate of it, under the name that adapters give it. A metric that was not recorded, or
// that nothing explains, is reported.
func TestGaugesOfAnotherHPA(t *testing.T) {
	s := scene()
	m := &hpa.Metric{Source: hpa.Pods, Name: "vllm:num_requests_waiting"}
	s.seen(m, func(k int, at float64) (float64, bool) {
		on := 2 + math.Floor((at-2)/15)*15
		return s.did(k, on, on).waiting, true
	})
	noise := hpa.Metric{Source: hpa.External, Name: "weather"}
	for at := 30.0; at < 800; at += 5 {
		s.run.Samples = append(s.run.Samples, results.Sample{At: seconds(at), Source: "prometheus", Name: "weather",
			Value: 50 + 40*math.Sin(at*at), SampledAt: results.NotYet})
	}
	pipes, unread, n := pipesOf(s, []hpa.Metric{
		{Source: hpa.External, Name: "vllm_num_requests_waiting"}, noise, {Source: hpa.Pods, Name: "never"},
	}, cost.Replica{})
	if len(pipes) != 1 || pipes[0].PerWaiting != 1 || pipes[0].Over != plant.Sum || pipes[0].Name != "vllm_num_requests_waiting" {
		t.Errorf("pipes %+v, want the sum of what waits", pipes)
	}
	if len(n.warnings) != 3 || !strings.Contains(n.warnings[0], "taken to read their sum") {
		t.Errorf("warnings %q, want one of each metric", n.warnings)
	}
	if len(unread) != 1 || !strings.Contains(unread["weather"], "follows nothing in the log") {
		t.Errorf("unread %q, want the weather alone", unread)
	}
}

func TestGaugesOfTokens(t *testing.T) {
	s := scene()
	m := &hpa.Metric{Source: hpa.External, Name: "prompt_tokens_per_second"}
	s.seen(m, func(k int, at float64) (float64, bool) { // rate(…[1m]) over the pool, 256 per request
		sum := 0.0
		for j := range 3 {
			sum += 256 * s.did(j, at-60, at).done
		}
		return sum, k == 0
	})
	p, ok, n := gaugeOf(s, m)
	if !ok || math.Abs(p.PerDone-256) > 10 || p.PerRunning+p.PerWaiting != 0 || p.Window != time.Minute || p.Over != plant.Sum {
		t.Errorf("prompt tokens a second are %+v (%v), want 256 a completion over a minute", p, n.warnings)
	}
}

// TestGaugesOfOtherReads: the fit finds what a metric counts at its natural scale, for pods
// and for the pool.
func TestGaugesOfOtherReads(t *testing.T) {
	s := scene()
	meanTokens, meanPrompt := s.meanOfCalls(func(c *call) float64 { return c.tokens }), s.meanOfCalls((*call).prompt)
	// over returns Σ of what each call adds between two times, for one pod, per second.
	over := func(k int, from, to float64, of func(c *call, start float64) float64) float64 {
		sum := 0.0
		for _, i := range s.servers[k].calls {
			sum += of(&s.calls[i], s.start[i])
		}
		return sum / (to - from)
	}
	oldest := func(k int, at float64) float64 {
		age := 0.0
		for _, i := range s.servers[k].calls {
			if c := &s.calls[i]; c.sent <= at && s.start[i] > at {
				age = math.Max(age, at-c.sent)
			}
		}
		return age
	}
	sum := func(of func(k int) float64) float64 { return of(0) + of(1) + of(2) }
	for _, tt := range []struct {
		name   string
		metric hpa.Metric
		value  func(k int, at float64) float64 // of pod k, or the pool
		want   plant.Pipe
	}{
		{"arrivals", hpa.Metric{Source: hpa.Pods, Name: "requests_received_per_second"}, func(k int, at float64) float64 {
			return over(k, at-60, at, func(c *call, _ float64) float64 {
				if c.sent > at-60 && c.sent <= at {
					return 1
				}
				return 0
			})
		}, plant.Pipe{PerArrival: 1, Window: time.Minute}},
		{"generated tokens", hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}, func(_ int, at float64) float64 {
			return sum(func(k int) float64 {
				return over(k, at-30, at, func(c *call, start float64) float64 {
					return c.tokens * math.Max(0, math.Min(c.done, at)-math.Max(start, at-30)) / (c.done - start)
				})
			})
		}, plant.Pipe{PerDone: meanTokens, Window: 30 * time.Second}},
		{"prompt tokens", hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}, func(_ int, at float64) float64 {
			return sum(func(k int) float64 {
				return over(k, at-60, at, func(c *call, start float64) float64 {
					if start > at-60 && start <= at {
						return c.prompt()
					}
					return 0
				})
			})
		}, plant.Pipe{PerDone: meanPrompt, Window: time.Minute}},
		{"the age of the oldest", hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}, func(_ int, at float64) float64 {
			at = math.Floor(at/15) * 15
			return math.Max(oldest(0, at), math.Max(oldest(1, at), oldest(2, at)))
		}, plant.Pipe{PerOldest: 1, Every: 15 * time.Second, Over: plant.Max}},
		{"what waits over what runs", hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}, func(_ int, at float64) float64 {
			at = math.Floor(at/15) * 15
			if down := sum(func(k int) float64 { return s.did(k, at, at).running }); down > 0 {
				return sum(func(k int) float64 { return s.did(k, at, at).waiting }) / down
			}
			return 0
		}, plant.Pipe{PerWaiting: 1, Every: 15 * time.Second, Under: "requests in service"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.seen(&tt.metric, func(k int, at float64) (float64, bool) {
				return tt.value(k, at), tt.metric.Source == hpa.Pods || k == 0
			})
			p, ok, n := gaugeOf(s, &tt.metric)
			near := func(a, b float64) bool { return math.Abs(a-b) <= 0.05*math.Max(1e-9, math.Abs(b)) }
			if !ok || !near(p.PerArrival, tt.want.PerArrival) || !near(p.PerDone, tt.want.PerDone) || !near(p.PerOldest, tt.want.PerOldest) ||
				!near(p.PerWaiting, tt.want.PerWaiting) || p.PerRunning != 0 || p.Base != 0 || p.Under != tt.want.Under || p.Over != tt.want.Over {
				t.Errorf("it counts %+v, want %+v; %q %+v", p, tt.want, n.warnings, n.qualities)
			}
			if p.Window != tt.want.Window || tt.want.Every > 0 && p.Every != tt.want.Every {
				t.Errorf("it is seen as %+v, want %+v", p, tt.want)
			}
			if tt.want.Under != "" {
				if u := underOf(&p); u.PerRunning != 1 || u.PerWaiting != 0 || u.Every != p.Every || u.Name != p.Under || u.Under != "" {
					t.Errorf("what divides it is %+v, want what runs, seen alike", u)
				}
			}
		})
	}
}

// TestGaugesThatLapse: the fit draws no conclusion from a time in which a metric had no value,
// and reports that time.
func TestGaugesThatLapse(t *testing.T) {
	s := scene()
	m := &hpa.Metric{Source: hpa.External, Name: "s0-prometheus"}
	inside := func(at float64) (sum float64) {
		for j := range 3 {
			on := float64(j)*3.5 + 1
			on += math.Floor((at-on)/15) * 15
			r := s.did(j, on, on)
			sum += r.running + r.waiting
		}
		return sum
	}
	s.seen(m, func(k int, at float64) (float64, bool) {
		if at > 200 && at < 600 {
			return 1000, k == 0 // a value that was filled in
		}
		return inside(at), k == 0
	})
	s.run.Gaps = []results.Gap{{Source: "External metric s0-prometheus", From: seconds(195), To: seconds(605), Why: "the answer has no series"}}
	p, ok, n := gaugeOf(s, m)
	if !ok || p.PerRunning != 1 || p.PerWaiting != 1 {
		t.Errorf("the rest of it is %+v, %v, want requests in flight: %q", p, ok, n.warnings)
	}
	want := "metric s0-prometheus had no value from 3m15s to 10m5s (the answer has no series): these periods are not used"
	if len(n.warnings) != 1 || n.warnings[0] != want {
		t.Errorf("warnings %q, want %q", n.warnings, want)
	}
}

func TestWhatTheAutoscalerSawComesFirst(t *testing.T) {
	m := &hpa.Metric{Source: hpa.Pods, Name: "q"}
	run := &results.Run{Samples: []results.Sample{
		{At: time.Second, Source: "prometheus", Name: "q", Value: 1},
		{At: 2 * time.Second, Source: "custom.metrics.k8s.io", Name: "q", Value: 2},
		{At: 3 * time.Second, Source: "scrape", Name: "q", Value: 3},
	}}
	if got := gaugeSamples(&log{run: run}, m); len(got) != 1 || got[0].Value != 2 {
		t.Errorf("samples %+v, want those of the metrics API", got)
	}
}

func TestPoolOf(t *testing.T) {
	values, pods := []float64{1, 4, 9}, []int{2, 1, 0}
	for _, tt := range []struct {
		over plant.Pool
		want float64
	}{{plant.Sum, 6}, {plant.Mean, 2}, {plant.Max, 4}} {
		if got := tt.over.Of(values, pods); got != tt.want {
			t.Errorf("%v.Of(%v, %v) = %v, want %v", tt.over, values, pods, got, tt.want)
		}
	}
	if got := plant.Mean.Of(nil, nil); got != 0 {
		t.Errorf("avg of no pods = %v, want 0", got)
	}
}

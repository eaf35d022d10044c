package fit

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// served is a service of one pod, ready before the run. In its k-th window of 10 s it answers k times crowd requests,
// crowd at one instant, each in 20 ms (in odd windows: in odd seconds).
func served(crowd, windows int, odd float64) *service {
	run := &results.Run{
		Meta: results.Meta{Backends: []results.Backend{{Name: "pod-0"}}},
		Pods: phases("pod-0", map[results.PodPhase]float64{results.PodStarted: -20, results.PodReady: -10}),
	}
	for k := range windows {
		took := 0.02
		if k%2 == 1 {
			took = odd
		}
		for i := range k {
			for range crowd {
				at := float64(10*k) + 0.2*float64(i)
				run.Requests = append(run.Requests, request(0, at, 0, at+took, results.OK))
			}
		}
	}
	s := &service{log: readLog(run), law: plant.SlotsLaw(4, []plant.ServiceTime{{First: 0.02, Total: 0.02}})}
	for _, c := range s.calls {
		s.start = append(s.start, c.sent)
	}
	return s
}

// sample adds one sample per window of 10 s: base, and each for every request of the window.
func (s *service) sample(name string, windows int, base, each float64) {
	for k := range windows {
		n := 0
		for _, c := range s.calls {
			if c.sent >= float64(10*k) && c.sent < float64(10*k+10) {
				n++
			}
		}
		end := fittest.Dur(float64(10*k + 10))
		s.run.Samples = append(s.run.Samples, results.Sample{At: end + time.Second, Source: "metrics.k8s.io", Name: name,
			Pod: "pod-0", Value: base + each*float64(n), Window: 10 * time.Second, SampledAt: end})
	}
}

// TestLimited: a CPU limit becomes the law only where it is known, seen in samples, and reached before the slots.
func TestLimited(t *testing.T) {
	// A request costs 10 ms of CPU, so it is 1 millicore over a window of 10 s; the pod burns 5 millicores at rest.
	const base, each = 5.0, 1.0
	for _, row := range []struct {
		sentence string
		crowd    int // requests at one instant
		windows  int
		limit    int64 // millicores
		hidden   bool
		most     float64 // requests per second that the law completes
		quota    bool
		own      bool
		warnings int
	}{
		{"no limit leaves the law as it is", 1, 20, 0, false, 200, false, false, 0},
		{"a limit of hidden replicas is not fitted", 1, 20, 105, true, 200, false, false, 0},
		{"four samples are too few to know what a request costs", 1, 4, 105, false, 200, false, false, 0},
		{"a limit above what the slots can use does not bind", 1, 20, 2500, false, 200, false, false, 0},
		{"a limit of 100 millicores beyond those at rest completes 10/s", 1, 20, 105, false, 10, true, true, 0},
		{"without a lone request the rates are bounded, and stops are not modelled", 2, 20, 105, false, 10, false, false, 1},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			s := served(row.crowd, row.windows, 0.02)
			s.sample("cpu_milli", row.windows, base, each)
			s.run.Meta.Workload.CPULimitMilli = row.limit
			if row.hidden {
				s.visible = false
			}
			law, own, said := limited(s)
			if got := law.Capacity(); math.Abs(got/row.most-1) > 0.02 {
				t.Errorf("capacity %v, want %v", got, row.most)
			}
			if (law.Quota.Cores > 0) != row.quota || (own != nil) != row.own || len(said.warnings) != row.warnings {
				t.Errorf("quota %+v, own times %v, warnings %q", law.Quota, own != nil, said.warnings)
			}
		})
	}
}

// TestPipeOf: a metric is fitted to its samples, assumed where the request says enough, and else left out.
func TestPipeOf(t *testing.T) {
	cpu := hpa.Metric{Source: hpa.Resource, Name: "cpu"}
	memory := hpa.Metric{Source: hpa.Resource, Name: "memory"}
	size := cost.Replica{CPUCores: 2, MemoryGB: 1}
	for _, row := range []struct {
		sentence string
		metric   hpa.Metric
		replica  cost.Replica
		sampled  int  // windows
		starting bool // a sample of 70 before the pod is ready, too
		ok       bool
		want     string // base, per completion, per request in service, while it starts, ceiling
		notes    string // assumptions, warnings
	}{
		{"CPU is 5 millicores at rest and 10 ms per completion, and no more than the limit", cpu, size, 20, false, true,
			"0.005 0.01 0 0 1", "0 0"},
		{"a sample that ends before the pod is ready says what its start takes", cpu, size, 20, true, true,
			"0.005 0.01 0 0.07 1", "0 0"},
		{"memory is in bytes, and has no ceiling", memory, size, 20, false, true, "5 10 0 0 0", "0 0"},
		{"four samples are too few, so CPU is assumed", cpu, size, 4, false, true, "0 0 0.5 0 2", "1 1"},
		{"without samples, busy slots use the CPU request", cpu, size, 0, false, true, "0 0 0.5 0 2", "1 0"},
		{"without samples, memory stays at half the request", memory, size, 0, false, true, "536870912 0 0 0 0", "1 0"},
		{"without samples or a request, there is no pipe", cpu, cost.Replica{}, 0, false, false, "", "0 1"},
		{"a Pods metric without samples cannot be replayed", hpa.Metric{Source: hpa.Pods, Name: "depth"}, size, 0, false,
			false, "", "0 1"},
	} {
		t.Run(row.sentence, func(t *testing.T) {
			s := served(1, 20, 0.06)
			name, _ := sampled(&row.metric)
			s.sample(name, row.sampled, 5, 1)
			if row.starting {
				s.run.Samples = append(s.run.Samples, results.Sample{At: -14 * time.Second, Source: "metrics.k8s.io",
					Name: name, Pod: "pod-0", Value: 70, Window: 4 * time.Second, SampledAt: -15 * time.Second})
			}
			s.run.Meta.Workload.CPULimitMilli = 1000
			p, ok, said := pipeOf(s, &row.metric, row.replica)
			if ok != row.ok {
				t.Fatalf("pipeOf says %v; %+v", ok, said)
			}
			got := fmt.Sprintf("%.9g %.9g %.9g %.9g %.9g", p.Base, p.PerDone, p.PerRunning, p.Starting, p.Ceiling)
			if ok && got != row.want {
				t.Errorf("base, per completion, per request in service, starting, ceiling = %s, want %s", got, row.want)
			}
			if got := fmt.Sprint(len(said.assumed), len(said.warnings)); got != row.notes {
				t.Errorf("%s assumptions and warnings, want %s: %+v", got, row.notes, said)
			}
		})
	}
}

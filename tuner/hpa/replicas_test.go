package hpa

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// naive is upstream's calculation as upstream writes it, with maps of pod names and two
// passes: GetResourceReplicas and calcPlainMetricReplicas of replica_calculator.go.
func naive(c *Controller, o *Observation, m *Metric, r *Reading, tol tolerances) (int32, error) {
	type sample struct {
		value      int64
		at, window time.Duration
	}
	metrics, requests := map[string]sample{}, map[string]int64{}
	for i, s := range r.Samples {
		if s.OK {
			metrics[o.Pods[i].Name] = sample{s.Milli, s.At, s.Window}
		}
	}
	for i, v := range r.Ghosts {
		metrics[fmt.Sprint("ghost-", i)] = sample{value: v}
	}
	util, target := m.Target.AverageMilli == 0, m.Target.AverageMilli
	if util {
		target = int64(m.Target.Utilization)
	}
	ready, unready, missing := 0, map[string]bool{}, map[string]bool{}
	var gone []string
	for i := range o.Pods {
		p := &o.Pods[i]
		s, found := metrics[p.Name]
		old := p.StartTime+c.params.CPUInitializationPeriod <= o.At
		switch {
		case p.Deleted || p.Phase == Failed:
			gone = append(gone, p.Name)
		case p.Phase == Pending:
			unready[p.Name] = true
		case !found:
			missing[p.Name] = true
		case m.Name == "cpu" && (p.Ready == ReadyAbsent || p.NotStarted),
			m.Name == "cpu" && !old && (p.Ready == ReadyFalse || s.at < p.ReadySince+s.window),
			m.Name == "cpu" && old && p.Ready == ReadyFalse && p.StartTime+c.params.InitialReadinessDelay > p.ReadySince:
			unready[p.Name] = true
		default:
			ready++
		}
		for _, k := range p.Containers {
			requests[p.Name] += k.CPU
		}
	}
	for _, name := range gone {
		delete(metrics, name)
	}
	for name := range unready {
		delete(metrics, name)
	}
	if len(o.Pods) == 0 || len(metrics) == 0 {
		return 0, errors.New("nothing")
	}
	ratio := func() (float64, error) {
		var sum, request int64
		for name, s := range metrics {
			if q, known := requests[name]; known || !util {
				sum += s.value
				request += q
			}
		}
		if !util {
			return float64(sum/int64(len(metrics))) / float64(target), nil
		}
		if request == 0 {
			return 0, errors.New("no request")
		}
		return float64(int32(sum*100/request)) / float64(target), nil
	}
	first, err := ratio()
	if err != nil {
		return 0, err
	}
	upWithUnready := len(unready) > 0 && first > 1
	if !upWithUnready && len(missing) == 0 {
		if tol.within(first) {
			return o.SpecReplicas, nil
		}
		return int32(math.Ceil(first * float64(ready))), nil
	}
	for name := range missing {
		if first < 1 && util {
			metrics[name] = sample{value: requests[name] * max(100, target) / 100}
		} else if first < 1 {
			metrics[name] = sample{value: target}
		} else if first > 1 {
			metrics[name] = sample{}
		}
	}
	if upWithUnready {
		for name := range unready {
			metrics[name] = sample{}
		}
	}
	second, err := ratio()
	if err != nil {
		return 0, err
	}
	n := int32(math.Ceil(second * float64(len(metrics))))
	if tol.within(second) || first < 1 && second > 1 || first > 1 && second < 1 || second < 1 && n > o.SpecReplicas || second > 1 && n < o.SpecReplicas {
		return o.SpecReplicas, nil
	}
	return n, nil
}

func randomPods(r *rand.Rand) (o Observation, reading Reading) {
	o = Observation{At: time.Hour, Selector: "app=web", SpecReplicas: 1 + r.Int32N(12), StatusReplicas: 1 + r.Int32N(12)}
	pick := func(ds ...time.Duration) time.Duration { return o.At - ds[r.IntN(len(ds))] }
	for i := range r.IntN(9) {
		p := Pod{Name: fmt.Sprint("pod-", i), StartTime: pick(time.Hour, time.Minute, 5*time.Minute, 20*time.Second), Containers: []Container{{Name: "app", CPU: r.Int64N(1000), HasCPU: true}}}
		p.ReadySince = p.StartTime + []time.Duration{0, 10, 30, 60}[r.IntN(4)]*time.Second
		switch r.IntN(10) {
		case 0:
			p.Phase = Phase(r.IntN(5))
		case 1:
			p.Ready = Ready(r.IntN(4))
		case 2:
			p.Deleted, p.NotStarted = r.IntN(2) == 0, r.IntN(2) == 0
		}
		o.Pods = append(o.Pods, p)
		s := Sample{Milli: r.Int64N(2000), At: pick(0, 15*time.Second, time.Minute), Window: []time.Duration{10, 15, 60}[r.IntN(3)] * time.Second, OK: r.IntN(5) > 0}
		if r.IntN(6) > 0 {
			s.At = o.At
		}
		reading.Samples = append(reading.Samples, s)
	}
	for range r.IntN(8) / 6 {
		reading.Ghosts = append(reading.Ghosts, r.Int64N(2000))
	}
	reading.Listed = true
	return o, reading
}

func TestOnePassIsUpstreamsTwo(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	proposals, errs := 0, 0
	for i := range 20_000 {
		o, reading := randomPods(r)
		m := Metric{Source: Resource, Name: "cpu", Target: Target{Utilization: 1 + r.Int32N(150)}}
		switch r.IntN(3) {
		case 0:
			m.Target = Target{AverageMilli: 1 + r.Int64N(1500)}
		case 1:
			m = Metric{Source: Pods, Name: "rps", Target: Target{AverageMilli: 1 + r.Int64N(1500)}}
		}
		c := New(DefaultParams())
		spec := Config{MaxReplicas: 100, Metrics: []Metric{m}}
		c.spec = &spec
		var p Proposal
		c.propose(&o, &m, &reading, c.tolerances(), &p)
		want, err := naive(c, &o, &m, &reading, c.tolerances())
		if got := p.Error(); (got != "") != (err != nil) || err == nil && p.Replicas != want {
			t.Fatalf("case %d: propose = %d %q, want %d %v\nmetric %+v\npods %+v\nreading %+v", i, p.Replicas, got, want, err, m, o.Pods, reading)
		}
		if err != nil {
			errs++
		} else {
			proposals++
		}
	}
	if proposals < 10_000 || errs < 1000 {
		t.Errorf("%d proposals and %d errors: the cases do not reach enough", proposals, errs)
	}
}

// A Pod with a Count decides like that many pods.
func TestCountIsThatManyPods(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 2000 {
		o, reading := randomPods(r)
		spec := cpuSpec()
		o.Spec, o.Metrics = &spec, []Reading{reading}
		many, expanded := o, Reading{Ghosts: reading.Ghosts, Listed: true}
		many.Pods = nil
		for j := range o.Pods {
			n := 1 + r.IntN(3)
			for k := range n {
				p := o.Pods[j]
				p.Name += fmt.Sprint("-", k)
				many.Pods, expanded.Samples = append(many.Pods, p), append(expanded.Samples, reading.Samples[j])
			}
			o.Pods[j].Count = int32(n)
		}
		many.Metrics = []Reading{expanded}
		var a, b Decision
		New(DefaultParams()).Step(&o, &a)
		New(DefaultParams()).Step(&many, &b)
		if a.Replicas != b.Replicas || a.Proposal.Replicas != b.Proposal.Replicas || a.Explain() != b.Explain() {
			t.Fatalf("case %d: %s; one by one: %s", i, a.Explain(), b.Explain())
		}
	}
}

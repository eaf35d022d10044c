package hpa

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"
)

// oneStep decides once, from scratch unless memory is given, and returns the decision.
func oneStep(p Params, spec Config, o Observation, m *Memory) (d Decision, c *Controller) {
	c = New(p)
	if m != nil {
		if err := c.Remember(*m); err != nil {
			panic(err)
		}
	}
	o.Spec = &spec
	if o.Selector == "" {
		o.Selector = "app=web"
	}
	c.Step(&o, &d)
	return d, c
}

func podsAt(n int, milli int64) (pods []Pod, r Reading) {
	for i := range n {
		pods = append(pods, Pod{Name: fmt.Sprint("web-", i), StartTime: -time.Hour, ReadySince: -time.Hour, Containers: []Container{{Name: "app", CPU: 100, HasCPU: true}}})
		r.Samples = append(r.Samples, Sample{Milli: milli, Window: 15 * time.Second, OK: true})
	}
	return pods, r
}

func external(name string, t Target) Config {
	return Config{MinReplicas: 1, MaxReplicas: math.MaxInt32, Metrics: []Metric{{Source: External, Name: name, Target: t}}}
}

// What each release changed (HPA.md 18): each row makes the same decision with every release.
func TestWhatEachReleaseChanged(t *testing.T) {
	cpu := func(n, milli int64, replicas int32) (Config, Observation) {
		spec := DefaultConfig(100)
		spec.Metrics[0].Target.Utilization = 100
		pods, r := podsAt(int(n), milli)
		return spec, Observation{SpecReplicas: replicas, StatusReplicas: replicas, Pods: pods, Metrics: []Reading{r}}
	}
	// Rows that feature gates would hide turn all gates on, whatever the release.
	all := func(release int) Params {
		p := ParamsFor(release)
		p.Gates = Gates{true, true, true}
		return p
	}
	zero := func(minReplicas int32, byHPA Status) func(release int) string {
		return func(release int) string {
			spec := external("queue", Target{Type: AverageValue, AverageMilli: 1000})
			spec.MinReplicas = minReplicas
			d, _ := oneStep(all(release), spec, Observation{Metrics: []Reading{{Series: []int64{5000}}}}, &Memory{Conditions: []StatusCondition{{Type: ScaledToZero, Status: byHPA}}})
			return fmt.Sprint(d.Replicas)
		}
	}
	for _, c := range []struct {
		name          string
		since         int
		before, after string
		decide        func(release int) string
	}{
		{"110 % is within a tolerance of 10 %", 33, "11", "10", func(release int) string {
			spec, o := cpu(10, 110, 10)
			d, _ := oneStep(all(release), spec, o, nil)
			return fmt.Sprint(d.Replicas)
		}},
		{"the HPA has a tolerance of its own", 33, "13", "10", func(release int) string {
			spec, o := cpu(10, 130, 10)
			spec.EnsureBehavior()
			spec.ScaleUp.Tolerance, spec.ScaleUp.ToleranceSet = 0.4, true
			d, _ := oneStep(all(release), spec, o, nil)
			return fmt.Sprint(d.Replicas)
		}},
		{"a conflict is tried again", 34, "10 stays", "20 and 40ms later", func(release int) string {
			spec, o := cpu(10, 200, 10)
			spec.EnsureBehavior()
			o.Conflicts = 4
			d, c := oneStep(all(release), spec, o, nil)
			if m := c.Memory(); len(m.ScaleUp) == 1 {
				return fmt.Sprintf("%d and %v later", d.Replicas, m.ScaleUp[0].At)
			}
			return fmt.Sprintf("%d stays", d.Replicas)
		}},
		{"pod-level requests count", 34, "20", "10", func(release int) string {
			spec, o := cpu(10, 200, 10)
			for i := range o.Pods {
				o.Pods[i].Level = &PodLevel{CPU: 200, HasCPU: true}
			}
			d, _ := oneStep(all(release), spec, o, nil)
			return fmt.Sprint(d.Replicas)
		}},
		{"the size for an External average is capped", 34, "4 by 1", "8 by 2147483647", func(release int) string {
			d, _ := oneStep(all(release), external("queue", Target{Type: AverageValue, AverageMilli: 1}), Observation{SpecReplicas: 4, StatusReplicas: 4, Metrics: []Reading{{Series: []int64{math.MaxInt32 + 1}}}}, nil)
			return fmt.Sprint(max(d.Replicas, 4), " by ", max(d.Proposal.Replicas, 1))
		}},
		{"a negative sum of an External average is taken for an overflow", 34, "-7", "9223372036854775807", func(release int) string {
			d, _ := oneStep(all(release), external("queue", Target{Type: AverageValue, AverageMilli: 1}), Observation{SpecReplicas: 1, StatusReplicas: 1, Metrics: []Reading{{Series: []int64{-7}}}}, nil)
			return fmt.Sprint(d.Per[0].UsageMilli)
		}},
		{"a container that no pod has is an error", 35, "no metrics returned matched known pods", "container sidecar not found in Pod web-0", func(release int) string {
			spec, o := cpu(10, 200, 10)
			spec.Metrics[0].Source, spec.Metrics[0].Container = ContainerResource, "sidecar"
			d, _ := oneStep(all(release), spec, o, nil)
			return d.Per[0].Fault.core(d.Per[0].Metric)
		}},
		{"the size for a Value is capped", 35, "-2147483648", "2147483647", func(release int) string {
			_, o := cpu(4, 0, 4)
			o.Metrics = []Reading{{Series: []int64{math.MaxInt32}}}
			d, _ := oneStep(all(release), external("queue", Target{Type: Value, ValueMilli: 1}), o, nil)
			return fmt.Sprint(d.Proposal.Replicas)
		}},
		{"the sum for an External Value is capped", 35, "-9223372036854775808", "9223372036854775807", func(release int) string {
			_, o := cpu(4, 0, 4)
			o.Metrics = []Reading{{Series: []int64{math.MaxInt64, 1}}}
			d, _ := oneStep(all(release), external("queue", Target{Type: Value, ValueMilli: 1}), o, nil)
			return fmt.Sprint(d.Proposal.UsageMilli)
		}},
		{"a zero that the HPA did not make switches it off", 36, "4", "0", zero(0, False)},
		{"a zero that the HPA made is left by its metrics", 36, "0", "4", zero(1, True)},
		{"the condition ScaledToZero is told", 36, "0", "1", func(release int) string {
			spec, o := cpu(2, 200, 2)
			d, _ := oneStep(all(release), spec, o, nil)
			n := 0
			for _, k := range d.Conditions {
				if k.Type == ScaledToZero {
					n++
				}
			}
			return fmt.Sprint(n)
		}},
		{"observedGeneration makes a status that is else the same worth a write", 37, "<nil>", "failed to update status for web: broken", func(release int) string {
			spec, o := cpu(2, 100, 2)
			c, d := New(all(release)), Decision{}
			o.Spec, o.Selector = &spec, "app=web"
			c.Step(&o, &d)
			other := spec.Clone()
			other.MaxReplicas--
			o.Spec, o.StatusErr = &other, errors.New("broken")
			c.Step(&o, &d)
			return fmt.Sprint(d.Err)
		}},
	} {
		for release := Oldest; release <= Latest; release++ {
			want := c.before
			if release >= c.since {
				want = c.after
			}
			if got := c.decide(release); got != want {
				t.Errorf("%s since 1.%d: with 1.%d it is %q, want %q", c.name, c.since, release, got, want)
			}
		}
	}
}

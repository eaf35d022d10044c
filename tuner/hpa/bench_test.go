package hpa

import (
	"fmt"
	"testing"
	"time"
)

// fixture is a controller with pods that all run, and an observation that can be stepped
// repeatedly.
type fixture struct {
	c    *Controller
	o    Observation
	d    Decision
	tick time.Duration
}

func newFixture(spec Config, pods, replicas int) *fixture {
	f := &fixture{c: New(DefaultParams()), tick: 15*time.Second + time.Millisecond}
	containers := []Container{{Name: "app", CPU: 200, HasCPU: true, Memory: 1 << 30, HasMemory: true}}
	f.o = Observation{Spec: &spec, SpecReplicas: int32(replicas), StatusReplicas: int32(replicas), Selector: "app=web"}
	for i := range pods {
		f.o.Pods = append(f.o.Pods, Pod{Name: fmt.Sprintf("web-%03d", i), Containers: containers, StartTime: -time.Hour, ReadySince: -time.Hour})
	}
	for range spec.Metrics {
		f.o.Metrics = append(f.o.Metrics, Reading{Samples: make([]Sample, pods)})
	}
	return f
}

func (f *fixture) load(milli int64) {
	for i := range f.o.Metrics {
		for j := range f.o.Metrics[i].Samples {
			f.o.Metrics[i].Samples[j] = Sample{Milli: milli, At: f.o.At, Window: 15 * time.Second, OK: true}
		}
	}
}

func (f *fixture) step() {
	f.c.Step(&f.o, &f.d)
	f.o.At += f.tick
}

func cpuSpec() Config {
	c := DefaultConfig(100)
	c.Metrics[0].Target.Utilization = 70
	return c
}

func behaviorSpec(window time.Duration) Config {
	c := cpuSpec()
	c.EnsureBehavior()
	c.ScaleDown.Window, c.ScaleDown.WindowSet = window, true
	return c
}

// scaling alternates between a load that wants more and one that wants less, always from 10.
func (f *fixture) scaling(i int) {
	if i%2 == 0 {
		f.load(180)
	} else {
		f.load(60)
	}
}

func fourMetrics() Config {
	c := behaviorSpec(5 * time.Minute)
	c.Metrics = []Metric{
		{Source: Resource, Name: "cpu", Target: Target{Type: Utilization, Utilization: 70}},
		{Source: Resource, Name: "memory", Target: Target{Type: Utilization, Utilization: 80}},
		{Source: ContainerResource, Name: "cpu", Container: "app", Target: Target{Type: Utilization, Utilization: 70}},
		{Source: Pods, Name: "rps", Target: Target{Type: AverageValue, AverageMilli: 200}},
	}
	c.MaxReplicas = 500
	return c
}

var benchCases = []struct {
	name    string
	spec    func() Config
	pods    int
	scaling bool
	warm    int
}{
	{"Cpu10PodsSteady", cpuSpec, 10, false, 40},
	{"Cpu10PodsScaling", cpuSpec, 10, true, 40},
	{"Cpu10PodsBehaviorSteady", func() Config { return behaviorSpec(5 * time.Minute) }, 10, false, 40},
	{"Cpu10PodsBehaviorScaling", func() Config { return behaviorSpec(0) }, 10, true, 40},
	{"Cpu10PodsWindow3600s", func() Config { return behaviorSpec(time.Hour) }, 10, false, 300},
	{"FourMetrics200Pods", fourMetrics, 200, false, 40},
}

func BenchmarkStep(b *testing.B) {
	for _, bc := range benchCases {
		b.Run(bc.name, func(b *testing.B) {
			f := newFixture(bc.spec(), bc.pods, bc.pods)
			f.load(140)
			for i := range bc.warm {
				if bc.scaling {
					f.scaling(i)
				}
				f.step()
			}
			b.ReportAllocs()
			loads := [2][]Sample{}
			if bc.scaling {
				for i := range loads {
					f.scaling(i)
					loads[i] = append([]Sample(nil), f.o.Metrics[0].Samples...)
				}
			}
			for i := 0; b.Loop(); i++ {
				if bc.scaling {
					f.o.Metrics[0].Samples = loads[i&1]
				}
				f.step()
			}
		})
	}
}

func TestStepDoesNotAllocateOnceWarm(t *testing.T) {
	for _, bc := range benchCases {
		t.Run(bc.name, func(t *testing.T) {
			f := newFixture(bc.spec(), bc.pods, bc.pods)
			f.load(140)
			i, scaled := 0, 0
			step := func() {
				if bc.scaling {
					f.scaling(i)
				}
				i++
				f.step()
				if f.d.Scaled {
					scaled++
				}
			}
			for range bc.warm {
				step()
			}
			if got := testing.AllocsPerRun(200, step); got != 0 {
				t.Errorf("Step allocates %v times a run, want 0", got)
			}
			if f.d.Err != nil || (scaled > 0) != bc.scaling {
				t.Errorf("after %d steps: %d rescales, error %v; want rescales: %v", i, scaled, f.d.Err, bc.scaling)
			}
		})
	}
}

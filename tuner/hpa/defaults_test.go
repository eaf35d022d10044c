package hpa

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestParamsAreTheFlagsDefaults(t *testing.T) {
	for _, c := range []struct {
		name                            string
		release, want                   int
		toZero, ownTolerance, podLevels bool
	}{
		{"29 is not known, so read as the latest", 29, 37, true, true, true},
		{"30 is the oldest, with no gate on", 30, 30, false, false, false},
		{"33 has an alpha tolerance, off", 33, 33, false, false, false},
		{"34 looks at pod-level requests", 34, 34, false, false, true},
		{"35 has the HPA's own tolerance", 35, 35, false, true, true},
		{"36 is as 35", 36, 36, false, true, true},
		{"37 scales to zero", 37, 37, true, true, true},
		{"38 is not known either", 38, 37, true, true, true},
	} {
		want := Params{SyncPeriod: 15 * time.Second, Tolerance: 0.1, DownscaleStabilization: 300 * time.Second, CPUInitializationPeriod: 300 * time.Second,
			InitialReadinessDelay: 30 * time.Second, Gates: Gates{ScaleToZero: c.toZero, ConfigurableTolerance: c.ownTolerance, PodLevelResources: c.podLevels}, Release: c.want}
		if got := ParamsFor(c.release); got != want {
			t.Errorf("%s: ParamsFor(%d) = %+v, want %+v", c.name, c.release, got, want)
		}
	}
	if got, want := DefaultParams(), ParamsFor(37); got != want {
		t.Errorf("DefaultParams() = %+v, want those of 37", got)
	}
	if got := DefaultParams().Release; got != 37 {
		t.Errorf("the default release is %d", got)
	}
	p := ParamsFor(36)
	p.Release = 0
	if got := New(p).Params().Release; got != 37 {
		t.Errorf("release 0 is %d, want 37", got)
	}
}

func TestDefaultsAreTheAPIServers(t *testing.T) {
	for _, c := range []struct{ name, got, want string }{
		{"scaleUp: no window, the larger of 4 pods and the double", fmt.Sprintf("%+v", DefaultScaleUp()),
			"{Window:0s WindowSet:true Select:Max Policies:[4 pods/15s 100 %/15s] Tolerance:0 ToleranceSet:false}"},
		{"scaleDown: the flag's window, anything", fmt.Sprintf("%+v", DefaultScaleDown()),
			"{Window:0s WindowSet:false Select:Max Policies:[100 %/15s] Tolerance:0 ToleranceSet:false}"},
		{"no metrics are cpu at 80 %", fmt.Sprintf("%+v", DefaultMetrics()[0].Target), "{Type:Utilization Utilization:80 AverageMilli:0 ValueMilli:0}"},
		{"at least one replica", fmt.Sprint(DefaultConfig(9).MinReplicas, DefaultConfig(9).MaxReplicas), "1 9"},
		{"an HPA without names", fmt.Sprint(Identity{}.orDefault()), "{default web Deployment web}"},
		{"names are kept", fmt.Sprint(Identity{"n", "h", "StatefulSet", "t"}.orDefault()), "{n h StatefulSet t}"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
}

func TestEqualComparesWhatTheControllerReads(t *testing.T) {
	base := fourMetrics()
	for _, c := range []struct {
		name   string
		change func(*Config)
		same   bool
	}{
		{"nothing", func(*Config) {}, true},
		{"minReplicas", func(c *Config) { c.MinReplicas++ }, false},
		{"maxReplicas", func(c *Config) { c.MaxReplicas++ }, false},
		{"a target", func(c *Config) { c.Metrics[3].Target.AverageMilli++ }, false},
		{"one metric less", func(c *Config) { c.Metrics = c.Metrics[:3] }, false},
		{"behavior", func(c *Config) { c.Behavior = false }, false},
		{"the scale-up window", func(c *Config) { c.ScaleUp.Window++ }, false},
		{"the scale-down window", func(c *Config) { c.ScaleDown.Window++ }, false},
		{"no scale-down window", func(c *Config) { c.ScaleDown.WindowSet = false }, false},
		{"a select policy", func(c *Config) { c.ScaleUp.Select = Min }, false},
		{"a policy's period", func(c *Config) { c.ScaleDown.Policies[0].Period++ }, false},
		{"a tolerance of 0", func(c *Config) { c.ScaleUp.ToleranceSet = true }, false},
		{"a tolerance that is not set", func(c *Config) { c.ScaleUp.Tolerance = 0.3 }, true},
	} {
		other := base.Clone()
		c.change(&other)
		if got := base.Equal(&other); got != c.same {
			t.Errorf("with a change of %s: Equal = %v, want %v", c.name, got, c.same)
		}
	}
	off, other := cpuSpec(), cpuSpec()
	other.ScaleUp.Select = Min
	if !off.Equal(&other) {
		t.Error("without behavior, rules are not read; Equal compares them")
	}
	a, b := DefaultScaleUp(), DefaultScaleUp()
	a.ToleranceSet, a.Tolerance, b.ToleranceSet, b.Tolerance = true, 0.1, true, 0.2
	if a.Equal(&b) {
		t.Error("tolerances 0.1 and 0.2 are equal")
	}
	a, b = DefaultScaleDown(), DefaultScaleDown()
	if b.Window = time.Hour; !a.Equal(&b) {
		t.Error("windows that are not set are compared")
	}
	for s, want := range map[Source]bool{Resource: false, ContainerResource: false, Pods: false, Object: true, External: true} {
		if c := (Config{Metrics: []Metric{{Source: s}}}); c.Outside() != want {
			t.Errorf("Outside() with %v = %v, want %v", s, c.Outside(), want)
		}
	}
}

func TestKnobsDefaultsAndUnsetting(t *testing.T) {
	base := fourMetrics()
	base.MinReplicas = 3
	base.Metrics = append(base.Metrics, Metric{Source: External, Name: "queue", Target: Target{Type: Value, ValueMilli: 5000}})
	for _, c := range []struct{ path, unset, def string }{
		{"spec.minReplicas", "1", "1"},
		{"spec.maxReplicas", "1", "—"},
		{"spec.metrics[cpu].target.averageUtilization", "—", "—"},
		{"spec.metrics[memory].target.averageUtilization", "—", "—"},
		{"spec.metrics[cpu/app].target.averageUtilization", "—", "—"},
		{"spec.metrics[rps].target.averageValue", "—", "—"},
		{"spec.metrics[queue].target.value", "—", "—"},
		{"spec.behavior", "false", "false"},
		{"spec.behavior.scaleUp.stabilizationWindowSeconds", "0s", "0s"},
		{"spec.behavior.scaleUp.selectPolicy", "Max", "Max"},
		{"spec.behavior.scaleUp.policies", "4 pods/15s, 100 %/15s", "4 pods/15s, 100 %/15s"},
		{"spec.behavior.scaleUp.tolerance", "—", "—"},
		{"spec.behavior.scaleDown.stabilizationWindowSeconds", "—", "—"},
		{"spec.behavior.scaleDown.selectPolicy", "Max", "Max"},
		{"spec.behavior.scaleDown.policies", "100 %/15s", "100 %/15s"},
		{"spec.behavior.scaleDown.tolerance", "—", "—"},
	} {
		i := slices.IndexFunc(Knobs(&base), func(k Knob) bool { return k.Path == c.path })
		if i < 0 {
			t.Errorf("no knob %s", c.path)
			continue
		}
		k, d := Knobs(&base)[i], base.Clone()
		k.Set(&d, nil)
		if got := FormatValue(k.Get(&d)); got != c.unset {
			t.Errorf("%s: unset, it is %s, want %s", c.path, got, c.unset)
		}
		if d.ScaleUp.Tolerance != 0 || d.ScaleDown.Tolerance != 0 {
			t.Errorf("%s: unset, a tolerance is left: %+v", c.path, d)
		}
		if got := FormatValue(k.Default); got != c.def {
			t.Errorf("%s: Default is %s, want %s", c.path, got, c.def)
		}
	}
	short := cpuSpec()
	for _, k := range Knobs(&base) {
		if k.Path == "spec.metrics[memory].target.averageUtilization" {
			if got := k.Get(&short); got != nil {
				t.Errorf("a second metric's knob reads %v of an HPA with one metric", got)
			}
			k.Set(&short, int32(9))
			if want := cpuSpec(); !short.Equal(&want) {
				t.Errorf("setting a second metric's knob changed an HPA with one metric: %+v", short)
			}
		}
	}
	short.Metrics = append(short.Metrics, short.Metrics[0], short.Metrics[0])
	var paths []string
	for _, k := range Knobs(&short)[2:5] {
		paths = append(paths, k.Path)
	}
	if got, want := fmt.Sprint(paths), "[spec.metrics[cpu].target.averageUtilization spec.metrics[cpu#1].target.averageUtilization spec.metrics[cpu#2].target.averageUtilization]"; got != want {
		t.Errorf("three metrics of one name: %s, want %s", got, want)
	}
}

func TestValuesForPeople(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{nil, "—"}, {1500 * time.Millisecond, "1.5s"}, {time.Minute, "60s"}, {0.1, "0.1"}, {int32(3), "3"}, {int64(2000), "2"}, {int64(500), "0.5"}, {int64(1000 * 512 << 20), "512Mi"}, {int64(1_500_000), "1500"}, {true, "true"}, {Min, "Min"},
		{[]Policy{{PodsPolicy, 1, time.Minute}, {PodsPolicy, 2, 15 * time.Second}, {PercentPolicy, 1, time.Second}}, "1 pod/60s, 2 pods/15s, 1 %/1s"},
		{[]Policy(nil), ""},
	} {
		if got := FormatValue(c.value); got != c.want {
			t.Errorf("FormatValue(%v) = %q, want %q", c.value, got, c.want)
		}
	}
	for _, c := range []struct {
		m    Metric
		want string
	}{
		{Metric{Name: "cpu"}, "cpu"},
		{Metric{Source: ContainerResource, Name: "cpu", Container: "app"}, "cpu/app"},
		{Metric{Source: Object, Name: "hits", Object: ObjectRef{Kind: "Ingress", Name: "main"}}, "Ingress/main/hits"},
		{Metric{Source: External, Name: "queue", SelectorSet: true, Selector: "name=a"}, "queue{name=a}"},
		{Metric{Source: External, Name: "queue", SelectorSet: true}, "queue"},
	} {
		if got := c.m.Key(); got != c.want {
			t.Errorf("Key() = %q, want %q", got, c.want)
		}
	}
}

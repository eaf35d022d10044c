package hpa

import (
	"reflect"
	"testing"
	"time"
)

// Every knob returns the value that was set, and changes nothing that another knob shows.
func TestKnobsSetWhatTheyGet(t *testing.T) {
	base := fourMetrics()
	base.Metrics = append(base.Metrics, Metric{Source: External, Name: "queue", Target: Target{Type: Value, ValueMilli: 5000}}, base.Metrics[0])
	values := map[reflect.Type]any{
		reflect.TypeFor[int32]():         int32(7),
		reflect.TypeFor[int64]():         int64(1234),
		reflect.TypeFor[time.Duration](): 45 * time.Second,
		reflect.TypeFor[Select]():        Min,
		reflect.TypeFor[[]Policy]():      []Policy{{PodsPolicy, 3, time.Minute}},
		reflect.TypeFor[bool]():          false,
		reflect.TypeFor[float64]():       0.25,
	}
	paths := map[string]bool{}
	for i, k := range Knobs(&base) {
		if paths[k.Path] {
			t.Errorf("path %s is there twice", k.Path)
		}
		paths[k.Path] = true
		c := base.Clone()
		old := k.Get(&c)
		v := any(0.25)
		if old != nil {
			v = values[reflect.TypeOf(old)]
		}
		k.Set(&c, v)
		if got := k.Get(&c); !reflect.DeepEqual(got, v) {
			t.Errorf("%s: got %v after setting %v", k.Path, got, v)
		}
		if c.Equal(&base) {
			t.Errorf("%s: setting %v changed nothing", k.Path, v)
		}
		for j, other := range Knobs(&c) {
			if j != i && k.Path != "spec.behavior" && !reflect.DeepEqual(other.Get(&c), other.Get(&base)) {
				t.Errorf("%s changed %s to %v", k.Path, other.Path, other.Get(&c))
			}
		}
	}
	for _, want := range []string{"spec.minReplicas", "spec.maxReplicas", "spec.metrics[cpu].target.averageUtilization", "spec.metrics[cpu#1].target.averageUtilization",
		"spec.metrics[cpu/app].target.averageUtilization", "spec.metrics[rps].target.averageValue", "spec.metrics[queue].target.value",
		"spec.behavior.scaleUp.stabilizationWindowSeconds", "spec.behavior.scaleDown.selectPolicy", "spec.behavior.scaleUp.policies", "spec.behavior.scaleDown.tolerance"} {
		if !paths[want] {
			t.Errorf("no knob %s", want)
		}
	}
}

func TestBehaviorKnobsTurnItOn(t *testing.T) {
	base := DefaultConfig(10)
	for _, k := range Knobs(&base) {
		if k.Path != "spec.behavior.scaleDown.tolerance" {
			continue
		}
		c := base.Clone()
		k.Set(&c, nil)
		if c.Behavior {
			t.Error("unsetting a tolerance that is not there turned behavior on")
		}
		k.Set(&c, 0.2)
		if up := DefaultScaleUp(); !c.Behavior || !c.ScaleUp.Equal(&up) || c.ScaleDown.Tolerance != 0.2 {
			t.Errorf("after setting a tolerance: %+v, want behavior with its defaults", c)
		}
	}
}

func TestSelectorTextPrintsAsUpstream(t *testing.T) {
	for _, c := range []struct {
		name string
		m    Metric
		want string
	}{
		{"no selector prints as nil", Metric{}, "nil"},
		{"an empty one is not nil", Metric{SelectorSet: true}, "&LabelSelector{MatchLabels:map[string]string{},MatchExpressions:[]LabelSelectorRequirement{},}"},
		{"labels by key, then expressions", Metric{SelectorSet: true, Selector: SelectorText(map[string]string{"b": "2", "a": "1"}, []Requirement{{"c", "In", []string{"x", "y"}}, {"d", "Exists", nil}, {"e", "DoesNotExist", nil}, {"f", "NotIn", []string{"z"}}})},
			"&LabelSelector{MatchLabels:map[string]string{a: 1,b: 2,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:c,Operator:In,Values:[x y],},LabelSelectorRequirement{Key:d,Operator:Exists,Values:[],},LabelSelectorRequirement{Key:e,Operator:DoesNotExist,Values:[],},LabelSelectorRequirement{Key:f,Operator:NotIn,Values:[z],},},}"},
	} {
		if got := c.m.selectorString(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestAmountsAsAManifestWritesThem(t *testing.T) {
	for milli, want := range map[int64]string{
		0: "0", 500: "0.5", 2000: "2", 1234567: "1234.567", 1000 << 30: "1Gi", 3000 << 30: "3Gi", 1000 << 20: "1Mi", 512000 << 20: "512Mi",
		1000 << 10: "1024", 1000<<30 + 1: "1073741824.001", -2000 << 20: "-2Mi",
	} {
		if got := formatMilli(milli); got != want {
			t.Errorf("formatMilli(%d) = %s, want %s", milli, got, want)
		}
	}
}

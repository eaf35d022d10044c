package replay

import (
	"reflect"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// computes is the service of toZero whose pods export what runs in them and what waits, under
// these triggers, and never at zero.
func computes(f *keda.Formula, triggers ...keda.Trigger) (World, hpa.Config) {
	w := toZero(0, true)
	w.Wall = time.Date(2026, 11, 27, 8, 0, 0, 0, time.UTC)
	w.Pipes = []plant.Pipe{
		{Name: "sum(inside)", PerRunning: 1, PerWaiting: 1, PerDone: 0.5, Every: 15 * time.Second},
		{Name: "count(inside)", PerRunning: 1, Every: 15 * time.Second, Over: plant.Count},
		{Name: "sum(done)", PerDone: 1, Every: 15 * time.Second},
	}
	w.Loop = &keda.Loop{Polling: 30 * time.Second, Min: 1, Triggers: triggers, Formula: f}
	w.Outside = nil
	name := triggers[0].Metric
	if f != nil {
		name = keda.Composite
	}
	c := onQueue(1)
	c.Metrics[0].Name, c.Metrics[0].Target.AverageMilli = name, 1000
	return w, c
}

func from(text string, names ...string) *keda.Derived {
	d := &keda.Derived{Text: text}
	for _, n := range names {
		d.Parts = append(d.Parts, keda.Part{Name: n})
	}
	return d
}

func TestComputedTriggersAndFormulas(t *testing.T) {
	inside := keda.Trigger{Metric: "s0-prometheus", Name: "inside", OfPods: true, Target: 1, From: from("v0", "sum(inside)")}
	cron := keda.Trigger{Metric: "s1-cron", Name: "office", Target: 1,
		Cron: &keda.Cron{Start: "10 8 * * *", End: "40 8 * * *", Timezone: "UTC", Desired: 3}}
	per := inside
	per.From = from("v0 / v1", "sum(inside)", "count(inside)")
	idle := inside // 0/0 without load, which is NaN in PromQL
	idle.From = from("v0 / v1", "sum(inside)", "sum(done)")
	strict := idle
	strict.EmptyFails = true
	unknown := inside
	unknown.From = from("v0", "sum(other)")
	formula := func(text string, names ...string) *keda.Formula {
		return &keda.Formula{Text: text, Names: names, Target: 1, Computed: true}
	}
	play := func(w *World, c hpa.Config) (spec map[int]float64, u Undefined) {
		var s Scratch
		z := watch(func(visit func(*results.Tick)) { SimulateExact(w, c, 0, &s, visit) })
		spec = map[int]float64{}
		for _, at := range []int{500, 1500, 3500} {
			spec[at] = z.at[at].Spec
		}
		return spec, s.Undefined
	}
	direct, c := computes(nil, keda.Trigger{Metric: "sum(inside)", OfPods: true, Target: 1})
	want, _ := play(world(t, direct), c)
	if want[500] <= want[1500] {
		t.Fatalf("the sum itself gives %v: it does not follow the load", want)
	}
	for _, tt := range []struct {
		sentence string
		formula  *keda.Formula
		triggers []keda.Trigger
		want     map[int]float64 // size at 500 s (load), 1500 s (none) and 3500 s (load)
		divided  bool
	}{
		{"a query of one metric is that metric", nil, []keda.Trigger{inside}, want, false},
		{"a formula of one trigger, too", formula("inside", "inside"), []keda.Trigger{inside}, want, false},
		{"a mean over the pods (sum by count) is the same at any size, and asks for two", nil, []keda.Trigger{per},
			map[int]float64{500: 2, 1500: 1, 3500: 2}, false},
		{"a clock inside a formula keeps three without load", formula("max(inside, office)", "inside", "office"),
			[]keda.Trigger{inside, cron}, map[int]float64{500: want[500], 1500: 3, 3500: want[3500]}, false},
		{"a formula that divides by zero without load keeps the size", formula("inside * inside / inside", "inside"),
			[]keda.Trigger{inside}, nil, true},
		{"a formula with a condition does not", formula("inside > 0 ? inside : 0", "inside"), []keda.Trigger{inside}, want, false},
	} {
		raw, c := computes(tt.formula, tt.triggers...)
		w := world(t, raw)
		if blind := w.Blind(&c); len(blind) > 0 {
			t.Errorf("%s: not known: %v", tt.sentence, blind)
			continue
		}
		got, u := play(w, c)
		if tt.want != nil && !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: sizes %v, want %v", tt.sentence, got, tt.want)
		}
		if (u.Divided > 0) != tt.divided || u.Failed > 0 || tt.formula != nil && u.Reconciles < 200 {
			t.Errorf("%s: %+v, want divisions: %v", tt.sentence, u, tt.divided)
		}
		if tt.divided && (got[1500] != got[500] || u.Why == "" || u.Divided < 100) {
			t.Errorf("%s: sizes %v with %+v, want the size kept while there is no load", tt.sentence, got, u)
		}
	}
	for _, tt := range []struct {
		sentence string
		trigger  keda.Trigger
		at       float64
		want     keda.Reading
	}{
		{"0/0 is no value, which KEDA counts as 0", idle, 1500, keda.Reading{Empty: true}},
		{"or as a failure: that is the trigger's to decide", strict, 1500, keda.Reading{Empty: true}},
	} {
		raw, c := computes(nil, tt.trigger)
		w := world(t, raw)
		var a autoscaler
		a.reset(w, c)
		a.views = []plant.PodView{{Count: 2, Stage: plant.Ready}}
		for i := range w.Pipes {
			a.views[0].Values[i].OK = true
		}
		if got := a.trigger(0, tt.at); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.sentence, got, tt.want)
		}
		a.views = nil
		if got := a.trigger(0, tt.at); !got.Empty {
			t.Errorf("%s, without pods: %+v, want no series", tt.sentence, got)
		}
	}
	raw, c := computes(nil, unknown)
	if blind := world(t, raw).Blind(&c); len(blind) != 1 {
		t.Errorf("a part that the world does not have: %v, want it named", blind)
	}
}

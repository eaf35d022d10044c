package main

import (
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/test/evaluate/sim"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// bent is the error of a model that was made wrong on purpose, next to that of the fitted one.
type bent struct {
	Name    string             `json:"name"`    // right: as fitted
	Errors  map[string]float64 `json:"errors"`  // by figure, mean of five days
	Outside int                `json:"outside"` // figures that fall outside their own interval
	Of      int                `json:"of"`
}

// bends are the ways in which a model is made wrong: the law, the balancer, the start-up.
var bends = []struct {
	name string
	bend func(*replay.World)
}{
	{"right", func(*replay.World) {}},
	{"wrong law: a third faster", func(w *replay.World) {
		w.Service.Times, w.Service.Rate = slices.Clone(w.Service.Times), slices.Clone(w.Service.Rate)
		for i := range w.Service.Times {
			w.Service.Times[i].First *= 0.75
			w.Service.Times[i].Total *= 0.75
		}
		for i := range w.Service.Rate {
			w.Service.Rate[i] /= 0.75
		}
	}},
	{"wrong balancer: random", func(w *replay.World) { w.Balancer = plant.Random }},
	{"wrong start-up: a fifth of it", func(w *replay.World) {
		w.Start = slices.Clone(w.Start)
		for i := range w.Start {
			w.Start[i].Schedule /= 5
			w.Start[i].Pull /= 5
			w.Start[i].Start /= 5
			w.Start[i].Ready /= 5
		}
	}},
}

// bend predicts a run under another configuration, as verify does, with models that are wrong on
// purpose.
func (e *evaluation) bend(w *world, model *tuner.Model, objectives []results.Objective) ([]bent, error) {
	other := w.Current.Clone()
	other.MinReplicas = 3
	other.Metrics[0].Target.Utilization = 70
	const days = 5
	out := make([]bent, len(bends))
	for day := range uint64(days) {
		run := w.Run(sim.Options{Seed: firstDay - 1 - day, Config: other, Record: true}).Run
		fitted, err := model.World(run, other)
		if err != nil {
			return nil, err
		}
		for i, b := range bends {
			wrong := *fitted
			b.bend(&wrong)
			made, err := replay.New(wrong)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", b.name, err)
			}
			x := &out[i]
			if day == 0 {
				*x = bent{Name: b.name, Errors: map[string]float64{}}
			}
			for _, f := range tuner.Compare(made, other, run, objectives, 1, 10).Figures {
				if f.Error == nil || f.Actual == nil || f.Predicted == nil || f.Predicted.Lo == nil || f.Predicted.Hi == nil {
					continue
				}
				x.Errors[f.Name] += *f.Error / days
				x.Of++
				if *f.Actual < *f.Predicted.Lo-1e-9 || *f.Actual > *f.Predicted.Hi+1e-9 {
					x.Outside++
				}
			}
		}
	}
	return out, nil
}

// misled returns a row for each way in which a model was made wrong.
func misled(reports []*report) []row {
	var out []row
	for _, r := range reports {
		for _, b := range r.Bent {
			text := fmt.Sprintf("%d of %d figures outside their intervals", b.Outside, b.Of)
			for _, f := range []struct {
				name, text string
			}{{"replica_hours", "hours %+.1f %%"}, {"attainment", "attainment %+.1f pt"}, {"ttft_p95_s",
				"TTFT p95 %+.0f %%"}, {"e2e_p95_s", "E2E p95 %+.0f %%"}} {
				if v, ok := b.Errors[f.name]; ok && !math.IsNaN(v) {
					text = fmt.Sprintf(f.text, 100*v) + ", " + text
				}
			}
			out = append(out, row{name: "model " + b.Name, now: text, worlds: "-family wrong",
				goal: "a wrong one is further off, and outside its intervals"})
		}
	}
	return out
}

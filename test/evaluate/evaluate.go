package main

import (
	"cmp"
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/test/evaluate/sim"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
)

type outcome = sim.Day

// evaluation is how much is done for each world.
type evaluation struct {
	n          int // fresh days a configuration is judged on
	recordings int // recordings a world
	tuned      int // of them, those that pass the identity test and are tuned to the end, at most
	cover      int // fresh days that intervals are held against
	margin     int // fresh days at the stated multiple of the load
}

// report is everything that was found about one world.
type report struct {
	World      string             `json:"world"`
	Family     string             `json:"family"`
	Program    string             `json:"program"` // hash of the program that found it
	Hidden     bool               `json:"hidden"`
	Censored   bool               `json:"censored"`
	Requests   int                `json:"requests"` // of one day
	Slots      int                `json:"slots"`    // true ones; 0 = the service has none
	Grid       []truth            `json:"grid"`
	Best       *truth             `json:"best"` // null: nothing in the grid holds
	Baselines  map[string]truth   `json:"baselines"`
	Bent       []bent             `json:"bent,omitempty"`
	Recordings []recording        `json:"recordings"`
	Seconds    map[string]float64 `json:"seconds"` // wall time by what was done
}

// recording is one recording and its results.
type recording struct {
	Seed       uint64           `json:"seed"`
	Whole      bool             `json:"whole"` // tuned to the end, not only through the identity test
	Verdict    tuner.Verdict    `json:"verdict"`
	Refusal    string           `json:"refusal"`
	Text       string           `json:"text"`
	SettledBy  string           `json:"settled_by"`
	SelfReplay tuner.SelfReplay `json:"self_replay"`
	Passed     bool             `json:"passed"` // the identity test
	ShadowBad  int              `json:"shadow_differ"`
	Slots      int              `json:"slots"`
	Capacity   float64          `json:"capacity"`
	Warnings   []string         `json:"warnings"`
	Attainment float64          `json:"attainment"` // of the recorded day
	Seconds    float64          `json:"seconds"`
	Pick       *picked          `json:"pick"`

	pick  *tuner.Recommendation
	model *tuner.Model
}

// picked is a recommendation and the truth about it.
type picked struct {
	Text    string  `json:"text"`
	PSLOMet float64 `json:"p_slo_met"`
	Truth   truth   `json:"truth"`
	Figures []held  `json:"figures"`
	Regret  float64 `json:"regret"` // hours over those of the grid's best − 1; NaN is written as −1
	Margin  *margin `json:"margin"`
}

// held is one predicted figure compared with fresh days.
type held struct {
	Name                 string `json:"name"`
	Value, Lo, Hi        float64
	Truth                float64 `json:"truth"` // median of the days
	Within, Below, Above int
	HalfWidth            float64 `json:"half_width"` // of Value; absolute for attainment
	Error                float64 `json:"error"`      // Value over Truth − 1; absolute for attainment
}

type margin struct {
	Stated float64 `json:"stated"`
	Hold   float64 `json:"hold"`   // share of days that hold at it
	Beyond float64 `json:"beyond"` // and at 1.25 times it
}

// firstDay is the first seed of fresh days, so that they differ from recordings.
const firstDay = 1 << 20

func (e *evaluation) days(w *world, c hpa.Config, from, to int, load float64) []outcome {
	out := make([]outcome, max(0, to-from))
	for i := range out {
		out[i] = w.Run(sim.Options{Seed: firstDay + uint64(from+i), Config: c, Load: load})
	}
	return out
}

// spread runs days on all cores.
func (e *evaluation) spread(w *world, c hpa.Config, n int, load float64) []outcome {
	out := make([]outcome, n)
	e.parallel(n, func(i int) {
		out[i] = w.Run(sim.Options{Seed: firstDay + uint64(i), Config: c, Load: load})
	})
	return out
}

func (e *evaluation) parallel(n int, work func(i int)) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := 0
	for range min(n, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= n {
					return
				}
				work(i)
			}
		})
	}
	wg.Wait()
}

// world evaluates one world.
func (e *evaluation) world(ctx context.Context, w world, say func(string, ...any)) (*report, error) {
	r := &report{World: w.Name, Family: w.Family, Hidden: w.Record.Hidden, Censored: w.Censored,
		Baselines: map[string]truth{}, Seconds: map[string]float64{}}
	began := time.Now()
	lap := func(name string) {
		r.Seconds[name] += time.Since(began).Seconds()
		began = time.Now()
	}
	if s, ok := w.Service.(*sim.Slots); ok {
		r.Slots = s.Slots
	}
	var runs []*results.Run
	for i := range e.recordings {
		d := w.Run(sim.Options{Seed: uint64(i + 1), Config: w.Current, Record: true})
		runs = append(runs, d.Run)
		r.Requests = d.Requests
		r.Recordings = append(r.Recordings, recording{Seed: uint64(i + 1), Attainment: d.Attainment})
	}
	lap("record")
	if e.n > 0 {
		r.Grid, r.Best, _ = e.best(&w)
		lap("grid")
		e.baselines(&w, runs[0], r)
		lap("baselines")
	}
	tuned := 0
	for i, run := range runs {
		x := &r.Recordings[i]
		if err := e.tune(ctx, &w, run, x, tuned < e.tuned); err != nil {
			return r, err
		}
		if x.Whole {
			tuned++
		}
		lap("tune")
		if x.pick != nil {
			x.Pick = e.judge(&w, x.pick, r.Best)
			x.pick = nil
			lap("picks")
		}
		if w.Family == "wrong" && i == 0 && x.model != nil {
			objectives, err := results.ParseObjectives(run.Meta.Objectives)
			if err != nil {
				return r, err
			}
			if r.Bent, err = e.bend(&w, x.model, objectives); err != nil {
				return r, err
			}
			lap("bend")
		}
		say("%s, recording %d: %s", w.Name, i+1, x.line())
	}
	return r, nil
}

func (e *evaluation) baselines(w *world, run *results.Run, r *report) {
	for name, c := range map[string]hpa.Config{"hand-written": w.Current, "defaults": hpa.DefaultConfig(w.Most),
		"crane": crane(run, w.Pod.CPURequest), "tortoise": tortoise(run, w.Pod.CPURequest, 60)} {
		r.Baselines[name] = summed(c, e.spread(w, c, e.n, 1))
	}
}

// tune runs the product on a recording: to the end, or until the identity test is done.
func (e *evaluation) tune(ctx context.Context, w *world, run *results.Run, x *recording, whole bool) error {
	objectives, err := results.ParseObjectives(run.Meta.Objectives)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	reached := false
	o := tuner.Options{Current: w.Current, Objectives: objectives, Price: tuner.DefaultPrice(), Seed: 1,
		Version: "evaluate", Space: tuner.Space{MaxLimit: w.Most},
		Progress: func(stage string, _, _ int) {
			if stage == "search" {
				reached = true
				if !whole {
					cancel()
				}
			}
		}}
	r, model, err := tuner.Recommend(ctx, []*results.Run{run}, o)
	if err != nil && !(errors.Is(err, context.Canceled) && !whole) {
		return err
	}
	x.Seconds = time.Since(began).Seconds()
	x.Verdict, x.SelfReplay, x.Warnings = r.Verdict, r.SelfReplay, r.Warnings
	x.Passed = r.SelfReplay.Verdict == "pass" && (reached || r.Verdict != tuner.Refuse)
	x.Whole = whole && reached
	if r.Shadow != nil {
		x.ShadowBad = r.Shadow.Differ
	}
	if len(r.Refusal) > 0 {
		x.Refusal, x.Text, x.SettledBy = r.Refusal[0].ID, r.Refusal[0].Text, r.Refusal[0].SettledBy
	}
	x.model = model
	if model != nil {
		x.Slots, x.Capacity = model.Fitted.Service.Slots(), model.Fitted.Service.Capacity()
	}
	if r.Recommended != nil {
		x.pick = &r
	}
	return nil
}

// judge compares a recommendation with the truth.
func (e *evaluation) judge(w *world, r *tuner.Recommendation, best *truth) *picked {
	pick := r.Recommended
	days := e.spread(w, pick.Config, e.n, 1)
	p := &picked{Text: tuner.Describe(pick.Config), PSLOMet: pick.Predicted.PSLOMet, Truth: summed(pick.Config, days),
		Regret: -1}
	if best != nil && p.Truth.holds() {
		p.Regret = max(0, p.Truth.Hours/best.Hours-1)
	}
	for _, f := range []struct {
		name     string
		interval *tuner.Interval
		of       func(*outcome) float64
		absolute bool
	}{
		{"hours", pick.Predicted.ReplicaHours, func(d *outcome) float64 { return d.Hours }, false},
		{"attainment", pick.Predicted.Attainment, func(d *outcome) float64 { return d.Attainment }, true},
		{"ttft_p95", pick.Predicted.TTFTP95, func(d *outcome) float64 { return d.TTFTP95 }, false},
		{"e2e_p95", pick.Predicted.E2EP95, func(d *outcome) float64 { return d.E2EP95 }, false},
		{"time_to_capacity", pick.Predicted.TimeToCapacity, func(d *outcome) float64 { return d.TimeToCapacity }, true},
	} {
		if f.interval == nil || f.interval.Lo == nil || f.interval.Hi == nil {
			continue
		}
		h := held{Name: f.name, Value: f.interval.Value, Lo: *f.interval.Lo, Hi: *f.interval.Hi,
			HalfWidth: (*f.interval.Hi - *f.interval.Lo) / 2}
		var values []float64
		for i := range days {
			v := f.of(&days[i])
			if math.IsNaN(v) {
				continue
			}
			values = append(values, v)
			if i >= e.cover {
				continue
			}
			const hair = 1e-9
			switch {
			case v < h.Lo-hair:
				h.Below++
			case v > h.Hi+hair:
				h.Above++
			default:
				h.Within++
			}
		}
		if len(values) == 0 {
			continue
		}
		h.Truth = at(values, 0.5)
		h.Error = h.Value - h.Truth
		if !f.absolute {
			h.Error, h.HalfWidth = h.Error/h.Truth, h.HalfWidth/h.Value
		}
		p.Figures = append(p.Figures, h)
	}
	if r.LoadMargin != nil {
		m := &margin{Stated: r.LoadMargin.Value}
		m.Hold = summed(pick.Config, e.spread(w, pick.Config, e.margin, m.Stated)).Hold
		m.Beyond = summed(pick.Config, e.spread(w, pick.Config, e.margin, 1.25*m.Stated)).Hold
		p.Margin = m
	}
	return p
}

func sortBy(v []int, of func(int) float64) {
	slices.SortStableFunc(v, func(a, b int) int { return cmp.Compare(of(a), of(b)) })
}

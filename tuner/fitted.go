package tuner

import (
	"fmt"
	"math"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/cost"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Fits and prices have packages of their own; these are their names here.
type (
	// FitOptions is what a recording does not contain.
	FitOptions = fit.Options
	// Fitted is a world fitted to a run, with how far it can be trusted.
	Fitted = fit.Fitted
	// Quality is one figure of how good a part of the fit is.
	Quality = fit.Quality
	// SelfReplay is how well the replay of the recorded run reproduces it.
	SelfReplay = fit.SelfReplay
	// Shadow is how often the core decided what the recorded controller decided.
	Shadow = fit.Shadow
	// Tally is a Shadow's counts over one kind of reconcile.
	Tally = fit.Tally
	// Model is model.json: what was fitted to a run, without its demand.
	Model = fit.Model
	// Price is what resources cost per hour.
	Price = cost.Price
	// Replica is what one replica requests.
	Replica = cost.Replica
)

// HoursPerMonth is the month of prices: 730 hours.
const HoursPerMonth = cost.HoursPerMonth

// ModelSchema is the version of model.json.
const ModelSchema = fit.ModelSchema

// Fit fits a world to a run under cfg, the configuration that ran.
func Fit(run *results.Run, cfg hpa.Config, o FitOptions) (Fitted, error) { return fit.Fit(run, cfg, o) }

// SelfReplayOf replays a run under the configuration that ran and compares the sizes.
func SelfReplayOf(run *results.Run, w *replay.World, cfg hpa.Config) SelfReplay {
	return fit.SelfReplayOf(run, w, cfg)
}

// DefaultPrice is the built-in price list that is used by default.
func DefaultPrice() Price { return cost.DefaultPrice() }

// PriceNames lists the price book.
func PriceNames() []string { return cost.PriceNames() }

// PriceByName returns an entry of the price book.
func PriceByName(name string) (Price, bool) { return cost.PriceByName(name) }

// PriceOf reads a price from the fields of an OpenCost pricing file.
func PriceOf(fields map[string]any) (Price, []error) { return cost.PriceOf(fields) }

// ParsePrice reads a price from a YAML file called name.
func ParsePrice(name string, data []byte) (Price, error) { return cost.Parse(name, data) }

// newModel is what was fitted, with what it was fitted for.
func newModel(run *results.Run, f Fitted, o Options) *Model {
	m := &Model{Schema: ModelSchema, Version: o.Version, Run: run.Meta.Run, Seed: o.Seed, Replica: f.Replica,
		Price: o.Price, Represents: run.Meta.Represents, Assumed: f.Assumed, Fitted: *f.World}
	if o.Recorded != nil && o.Loop != nil { // the advice is for another object than ran
		m.Fitted.Loop = fit.RanWith(run, o.Loop)
	}
	m.Fitted.Demand = replay.Demand{}
	m.Fitted.Recorded = nil
	m.Fitted.Sync.Recorded = nil
	for _, ob := range o.Objectives {
		m.Objectives = append(m.Objectives, ob.Text)
	}
	return m
}

// settledBy is what would help after a refusal. If it is not visible which replica
// answered, making that visible comes first.
func settledBy(f *Fitted, otherwise string) string {
	if f.Hidden {
		return fit.ShowBackends + "; then " + otherwise
	}
	return otherwise
}

// unfit is the reason why a fit cannot support a recommendation, if there is one.
func unfit(f *Fitted) (Refusal, bool) {
	if len(f.Doubts) > 0 {
		return Refusal(f.Doubts[0]), true
	}
	switch s := f.SelfReplay; s.Verdict {
	case fit.SelfFail:
		if e := s.AttainmentError; e != nil && math.Abs(*e) > fit.AttainmentLimit {
			return Refusal{
				"self-replay",
				fmt.Sprintf("the replay does not reproduce the latencies of the run: "+
					"it has %s of requests within the limits, the recording %s",
					figure.Percent(*s.Attainment+*e), figure.Percent(*s.Attainment)),
				"a run that records which replica answered (connections.backend_header), with at least one stage beyond saturation",
			}, true
		}
		e := "—"
		if s.ReplicaHoursError != nil {
			e = figure.Change(*s.ReplicaHoursError)
		}
		return Refusal{
			"self-replay",
			fmt.Sprintf("the replay does not reproduce the recorded run: "+
				"replica-hours above minReplicas are off by %s (limit ±10 %%), and %d of %d rescales match (%d needed)",
				e, s.RescalesMatched, s.Rescales, s.RescalesNeeded),
			settledBy(
				f,
				"a longer run with a clear step up and down; see the warnings for what the model could not learn",
			),
		}, true
	case fit.SelfProvesNothing:
		return Refusal{
			"self-replay",
			"the HPA did not scale during the recording, so the replay cannot be checked against it",
			"a run with a load that makes the HPA scale up and down at least once",
		}, true
	}
	if s := f.Shadow; s != nil && s.Differ > 0 && s.Differ*20 > s.Agree {
		return Refusal{
			"shadow",
			fmt.Sprintf("hpatune's controller decides differently from the recorded one in %d of %d syncs",
				s.Differ, s.Agree+s.Differ),
			"the HPA that ran (-f), and the controller's flags (--controller)",
		}, true
	}
	return Refusal{}, false
}

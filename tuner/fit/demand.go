package fit

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/replay"
)

// demandOf takes the offered load from a request log: every scheduled arrival, including shed
// and failed ones, both one by one and counted per second. It leaves service times unset.
//
// stages are those at whose start the rate may jump. It returns an error if no request was
// recorded.
func demandOf(run *results.Run, stages []results.StageInfo, gaps []results.Gap) (replay.Demand, notes, error) {
	var n notes
	d := replay.Demand{Step: time.Second}
	if len(run.Requests) == 0 {
		return d, n, errors.New("fit: the run has no requests, so its load is unknown; record one with " +
			"hpatune run")
	}
	byTime := func(a, b results.Request) int { return cmp.Compare(a.Scheduled, b.Scheduled) }
	rs := run.Requests
	if !slices.IsSortedFunc(rs, byTime) { // a long log is mostly sorted, and large
		rs = slices.Clone(rs)
		slices.SortStableFunc(rs, byTime)
	}
	d.Arrivals = make([]profiles.Arrival, 0, len(rs))
	var end time.Duration
	for i := range rs {
		r := &rs[i]
		end = max(end, r.Scheduled)
		d.Arrivals = append(d.Arrivals, profiles.Arrival{Index: r.Arrival, At: max(0, r.Scheduled), Stage: r.Stage,
			Class: r.Class, Prompt: r.Prompt, Max: answered(r)})
	}
	end += d.Step
	if k := len(run.Meta.Stages); k > 0 && !run.Meta.Partial {
		end = max(end, time.Duration(run.Meta.Stages[k-1].ToS*float64(time.Second)))
	}
	d.Bins = replay.Bin(d.Arrivals, d.Step, end)
	d.CV2 = arrivalCV2(d.Arrivals)
	n.quality(
		"arrivals",
		d.CV2,
		len(rs),
		"squared coefficient of variation of the gaps between arrivals, at a constant rate (0 "+
			"= even, 1 = Poisson)",
	)
	for _, st := range stages {
		d.Breaks = append(d.Breaks, seconds(st.FromS))
	}
	blind := time.Duration(0)
	for _, g := range gaps {
		if g.Source != results.SourceLoadgen && g.Source != results.SourceClient {
			continue
		}
		d.Censored = append(d.Censored, replay.Span{From: g.From, To: g.To, Why: g.Why})
		blind += g.To - g.From
	}
	if blind*20 > end {
		n.warn("arrivals are unknown for %v of %v: the replayed load is a lower bound", blind, end)
	}
	if run.Meta.Partial {
		n.warn("the run is partial (%s): %v of load", run.Meta.Why, end.Round(time.Second))
	}
	return d, n, nil
}

// arrivalCV2 returns the squared coefficient of variation of the gaps between arrivals. Each
// gap is multiplied by the local rate over 25 arrivals on either side, so that a changing rate
// does not count as burstiness. It returns 1 for too few arrivals.
func arrivalCV2(a []profiles.Arrival) float64 {
	const side = 25
	if len(a) < 4*side {
		return 1
	}
	n, sum, sq := 0.0, 0.0, 0.0
	for i := side; i+side+1 < len(a); i++ {
		span := (a[i+side+1].At - a[i-side].At).Seconds()
		if span <= 0 {
			continue
		}
		x := (a[i+1].At - a[i].At).Seconds() * float64(2*side+1) / span
		n++
		sum += x
		sq += x * x
	}
	mean := sum / n
	return min(25, max(0, (sq/n-mean*mean)/(mean*mean)))
}

// answered returns the tokens of a request's answer; 0 = unknown, also if the answer was cut off.
func answered(r *results.Request) int {
	if r.Outcome != results.OK {
		return 0
	}
	return r.Tokens
}

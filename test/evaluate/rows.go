package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// tabled makes the rows of the table from the reports of the worlds.
func tabled(reports []*report) []row {
	out := []row{candidates(reports)}
	out = append(out, identity(reports)...)
	out = append(out, holding(reports))
	out = append(out, intervals(reports)...)
	out = append(out, hidden(reports), censored(reports), regret(reports), margins(reports))
	out = append(out, against(reports)...)
	return append(out, misled(reports)...)
}

// candidates: "no candidate" is false if the grid has one that really holds.
func candidates(reports []*report) row {
	feasible, wrong, all := 0, 0, 0
	for _, r := range reports {
		if r.Best != nil {
			feasible++
		}
		for _, x := range r.Recordings {
			if x.Refusal != "infeasible" {
				continue
			}
			all++
			if r.Best != nil {
				wrong++
			}
		}
	}
	all += len(picks(reports))
	return row{name: "no candidate, falsely", goal: "≤ 5 %, ≥ 40 worlds with a feasible configuration", now: fmt.Sprintf(
		"%s that were tuned to the end; feasible in the grid: %s worlds", of(wrong, all), of(feasible, len(reports)))}
}

// identity returns a row for each family of worlds.
func identity(reports []*report) []row {
	goals := map[string]string{"cpu": "≥ 95 %", "gauge": "≥ 85 %, ≥ 90 % of the picks hold", "hidden": "≥ 70 %"}
	var out []row
	for _, family := range families {
		n, all, of1 := 0, 0, []*report{}
		for _, r := range reports {
			if r.Family != family {
				continue
			}
			of1 = append(of1, r)
			for _, x := range r.Recordings {
				all++
				if x.Passed {
					n++
				}
			}
		}
		if all == 0 {
			continue
		}
		ps := picks(of1)
		out = append(out, row{name: "identity test, worlds " + family, goal: goals[family], worlds: "-family " + family,
			now: fmt.Sprintf("%s recordings pass; %s picks hold", of(n, all), of(count(ps, (*picked).holds), len(ps)))})
	}
	return out
}

func holding(reports []*report) row {
	all := picks(reports)
	low := count(all, func(p *picked) bool { return p.PSLOMet >= 0.95 && p.Truth.Hold < 0.8 })
	return row{name: "picks that hold on ≥ 90 % of days", goal: "≥ 95 %, none below 0.8 where ≥ 0.95 is said",
		now: fmt.Sprintf("%s; %d below 0.8 where ≥ 0.95 was said", of(count(all, (*picked).holds), len(all)), low)}
}

// intervals returns a row for each figure: how many fresh days were within the interval, its width,
// and the error.
func intervals(reports []*report) []row {
	var out []row
	for _, f := range []struct {
		name, figure, goal, unit string
		scale                    float64
	}{
		{"replica-hours", "hours", "85–95 %, half-width ≤ 5 %", "%", 100},
		{"attainment", "attainment", "85–95 %, half-width ≤ 5 pt", "pt", 100},
		{"TTFT p95", "ttft_p95", "85–95 %, half-width ≤ 30 %; error ≤ 10 %, bias ≤ 3 %", "%", 100},
		{"E2E p95", "e2e_p95", "85–95 %, half-width ≤ 30 %", "%", 100},
		{"time to capacity", "time_to_capacity", "85–95 %", "s", 1},
	} {
		n, days := 0, 0
		var widths, errs, sizes []float64
		for _, p := range picks(reports) {
			for _, h := range p.Figures {
				if h.Name != f.figure {
					continue
				}
				n, days = n+h.Within, days+h.Within+h.Below+h.Above
				widths, errs = append(widths, f.scale*h.HalfWidth), append(errs, f.scale*h.Error)
				sizes = append(sizes, f.scale*math.Abs(h.Error))
			}
		}
		line := row{name: "intervals, " + f.name, goal: f.goal, now: "—"}
		if days > 0 {
			line.now = fmt.Sprintf("%.0f %% of %d days within, half-width %.1f %s; error %.1f %s, bias %+.1f %s",
				100*float64(n)/float64(days), days, at(widths, 0.5), f.unit, at(sizes, 0.5), f.unit, at(errs, 0.5), f.unit)
		}
		out = append(out, line)
	}
	return out
}

func hidden(reports []*report) row {
	pass, all, says := 0, 0, 0
	for _, r := range reports {
		if !r.Hidden {
			continue
		}
		for _, x := range r.Recordings {
			all++
			switch {
			case x.Passed:
				pass++
			case strings.Contains(x.SettledBy+x.Text, "backend_header"):
				says++
			}
		}
	}
	return row{name: "backends hidden", goal: "≥ 70 %, the others say what to turn on", worlds: "-family hidden",
		now: fmt.Sprintf("%s recordings pass, %s others say what to turn on", of(pass, all), of(says, all-pass))}
}

func censored(reports []*report) row {
	right, all, refused := 0, 0, 0
	for _, r := range reports {
		if !r.Censored || r.Slots == 0 {
			continue
		}
		for _, x := range r.Recordings {
			all++
			switch {
			case math.Abs(float64(x.Slots)/float64(r.Slots)-1) <= 0.1:
				right++
			case x.Verdict == "refuse":
				refused++
			}
		}
	}
	return row{name: "censored recordings: slots", goal: "± 10 % in ≥ 70 %, the others refused",
		worlds: "-family censored",
		now:    fmt.Sprintf("%s within 10 %%, %s others refused", of(right, all), of(refused, all-right))}
}

func regret(reports []*report) row {
	var all []float64
	for _, p := range picks(reports) {
		if p.Regret >= 0 {
			all = append(all, p.Regret)
		}
	}
	line := row{name: "regret where the pick holds", goal: "worst ≤ 10 %", now: "—"}
	if len(all) > 0 {
		line.now = fmt.Sprintf("median %.1f %%, worst %.1f %% of %d", 100*at(all, 0.5), 100*slices.Max(all), len(all))
	}
	return line
}

func margins(reports []*report) row {
	all, holds, fails := 0, 0, 0
	for _, p := range picks(reports) {
		if p.Margin == nil {
			continue
		}
		all++
		if p.Margin.Hold >= sure {
			holds++
		}
		if p.Margin.Beyond < sure {
			fails++
		}
	}
	return row{name: "load margin", goal: "≥ 18 of 20, fails at 1.25 times in ≥ 12 of 20",
		now: fmt.Sprintf("holds in %s, fails at 1.25 times it in %s", of(holds, all), of(fails, all))}
}

// against returns a row for each baseline: the worlds in which only one of the two holds, and the
// cost if both do.
func against(reports []*report) []row {
	var out []row
	for _, name := range []string{"hand-written", "defaults", "crane", "tortoise"} {
		holds, both, alone, all, cost := 0, 0, 0, 0, 0.0
		for _, r := range reports {
			b, ok := r.Baselines[name]
			if ok && b.holds() {
				holds++
			}
			for _, p := range picks([]*report{r}) {
				all++
				switch {
				case p.holds() && b.holds():
					both++
					cost += p.Truth.Hours/b.Hours - 1
				case p.holds():
					alone++
				}
			}
		}
		text := fmt.Sprintf("holds in %s worlds; the pick alone holds in %s", of(holds, len(reports)), of(alone, all))
		if both > 0 {
			text += fmt.Sprintf(", and costs %+.0f %% where both do (%d)", 100*cost/float64(both), both)
		}
		out = append(out, row{name: "against " + name, now: text})
	}
	return out
}

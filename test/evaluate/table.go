package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// line says in one line what became of a recording.
func (x *recording) line() string {
	s := "identity test " + x.SelfReplay.Verdict
	if e := x.SelfReplay.ReplicaHoursError; e != nil {
		s += fmt.Sprintf(" (hours %+.1f %%, %d of %d rescales", 100**e, x.SelfReplay.RescalesMatched, x.SelfReplay.Rescales)
		if e := x.SelfReplay.AttainmentError; e != nil {
			s += fmt.Sprintf(", attainment %+.1f pt of %.3f", 100**e, *x.SelfReplay.Attainment)
		}
		s += ")"
	}
	s += fmt.Sprintf(", %d slots, %.2f/s", x.Slots, x.Capacity)
	switch {
	case x.Refusal != "":
		s += ", refused (" + x.Refusal + "): " + x.Text
	case x.Pick != nil:
		p := x.Pick
		s += fmt.Sprintf(", pick %s: holds on %.2f of %d days for %.2f, regret %.1f %%", p.Text, p.Truth.Hold, p.Truth.Days, p.PSLOMet, 100*p.Regret)
		for _, h := range p.Figures {
			s += fmt.Sprintf("; %s %.4g (%.4g–%.4g) for %.4g, %d/%d", h.Name, h.Value, h.Lo, h.Hi, h.Truth, h.Within, h.Within+h.Below+h.Above)
		}
		if p.Margin != nil {
			s += fmt.Sprintf("; margin %.2f holds on %.2f, 1.25 times it on %.2f", p.Margin.Stated, p.Margin.Hold, p.Margin.Beyond)
		}
	}
	return fmt.Sprintf("%s [%.0f s]", s, x.Seconds)
}

// row is one row of the table, and the worlds that it needs.
type row struct{ name, now, goal, worlds string }

// printTable prints the rows whose name contains only, under a heading that says of what they are.
func printTable(w io.Writer, reports []*report, only, heading string) {
	if heading != "" {
		fmt.Fprintf(w, "%s\n\n", heading)
	}
	fmt.Fprintln(w, "| measured | now | goal | command |\n|---|---|---|---|")
	for _, r := range tabled(reports) {
		if strings.Contains(r.name, only) {
			args := fmt.Sprintf("-row %q", r.name)
			if r.worlds != "" {
				args = r.worlds + " " + args
			}
			fmt.Fprintf(w, "| %s | %s | %s | `make evaluate ARGS='%s'` |\n", r.name, r.now, r.goal, args)
		}
	}
}

func of(n, all int) string {
	if all == 0 {
		return "—"
	}
	return fmt.Sprintf("%d of %d", n, all)
}

// picks are all recommendations with their world.
func picks(reports []*report, match func(*report) bool) []*picked {
	var out []*picked
	for _, r := range reports {
		for i := range r.Recordings {
			if p := r.Recordings[i].Pick; p != nil && match(r) {
				out = append(out, p)
			}
		}
	}
	return out
}

func every(*report) bool { return true }

func tabled(reports []*report) []row {
	var rows []row
	add := func(name, goal, format string, args ...any) {
		rows = append(rows, row{name: name, now: fmt.Sprintf(format, args...), goal: goal})
	}
	feasible, refused, infeasible := 0, 0, 0
	for _, r := range reports {
		if r.Best != nil {
			feasible++
		}
		for _, x := range r.Recordings {
			if x.Refusal == "infeasible" {
				infeasible++
				if r.Best != nil {
					refused++
				}
			}
		}
	}
	tuned := len(picks(reports, every)) + infeasible
	add("false \"no candidate\"", "≤ 5 %, ≥ 40 worlds", "%s that were tuned to the end (worlds with a feasible configuration in the grid: %s)", of(refused, tuned), of(feasible, len(reports)))
	families := []string{}
	for _, r := range reports {
		if !slices.Contains(families, r.Family) {
			families = append(families, r.Family)
		}
	}
	goals := map[string]string{"cpu": "≥ 95 %", "gauge": "≥ 85 %", "hidden": "≥ 70 %"}
	for _, f := range families {
		n, all := 0, 0
		for _, r := range reports {
			for _, x := range r.Recordings {
				if r.Family == f {
					all++
					if x.Passed {
						n++
					}
				}
			}
		}
		ps := picks(reports, func(r *report) bool { return r.Family == f })
		held := count(ps, func(p *picked) bool { return p.Truth.holds() })
		add("identity test, worlds "+f, goals[f], "%s recordings pass; %s picks hold", of(n, all), of(held, len(ps)))
		rows[len(rows)-1].worlds = "-family " + f
	}
	all := picks(reports, every)
	held := count(all, func(p *picked) bool { return p.Truth.holds() })
	low := count(all, func(p *picked) bool { return p.PSLOMet >= 0.95 && p.Truth.Hold < 0.8 })
	add("picks that hold on ≥ 90 % of days", "≥ 95 %, none below 0.8", "%s; %d below 0.8 where ≥ 0.95 was said", of(held, len(all)), low)
	for _, f := range []struct{ name, figure, goal string }{
		{"intervals, replica-hours", "hours", "85–95 %, half-width ≤ 5 %"},
		{"intervals, attainment", "attainment", "85–95 %, half-width ≤ 5 pt"},
		{"intervals, TTFT p95", "ttft_p95", "85–95 %, half-width ≤ 30 %"},
		{"intervals, E2E p95", "e2e_p95", "85–95 %, half-width ≤ 30 %"},
		{"intervals, time to capacity", "time_to_capacity", "85–95 %"},
	} {
		n, days := 0, 0
		var widths, errs, sizes []float64
		for _, p := range all {
			for _, h := range p.Figures {
				if h.Name == f.figure {
					n, days = n+h.Within, days+h.Within+h.Below+h.Above
					widths, errs, sizes = append(widths, h.HalfWidth), append(errs, h.Error), append(sizes, math.Abs(h.Error))
				}
			}
		}
		if days == 0 {
			add(f.name, f.goal, "—")
			continue
		}
		unit, k := "%", 100.0
		switch f.figure {
		case "attainment":
			unit = "pt"
		case "time_to_capacity":
			unit, k = "s", 1
		}
		add(f.name, f.goal, "%.0f %% of %d days, half-width %.1f %s; error of the figure %.1f %s, bias %+.1f %s (medians of %d picks)", 100*float64(n)/float64(days), days, k*at(widths, 0.5), unit, k*at(sizes, 0.5), unit, k*at(errs, 0.5), unit, len(widths))
	}
	hidden, hiddenAll, says := 0, 0, 0
	slots, slotsAll, slotsRefused := 0, 0, 0
	for _, r := range reports {
		for _, x := range r.Recordings {
			if r.Hidden {
				hiddenAll++
				if x.Passed {
					hidden++
				} else if strings.Contains(x.SettledBy+x.Text, "backend_header") {
					says++
				}
			}
			if r.Censored && r.Slots > 0 {
				slotsAll++
				switch {
				case math.Abs(float64(x.Slots)/float64(r.Slots)-1) <= 0.1:
					slots++
				case x.Verdict == "refuse":
					slotsRefused++
				}
			}
		}
	}
	add("backends hidden", "≥ 70 %, the others say what to turn on", "%s recordings pass, %s others say what to turn on", of(hidden, hiddenAll), of(says, hiddenAll-hidden))
	add("censored recordings: slots", "± 10 % in ≥ 70 %, the others refused", "%s within 10 %%, %s others refused", of(slots, slotsAll), of(slotsRefused, slotsAll-slots))
	rows[len(rows)-2].worlds, rows[len(rows)-1].worlds = "-family hidden", "-family censored"
	var regrets []float64
	for _, p := range all {
		if p.Regret >= 0 {
			regrets = append(regrets, p.Regret)
		}
	}
	if len(regrets) > 0 {
		add("regret where the pick holds", "worst ≤ 10 %", "median %.1f %%, worst %.1f %% of %d", 100*at(regrets, 0.5), 100*slices.Max(regrets), len(regrets))
	}
	margins := 0
	holds, fails := 0, 0
	for _, p := range all {
		if m := p.Margin; m != nil {
			margins++
			if m.Hold >= sure {
				holds++
			}
			if m.Beyond < sure {
				fails++
			}
		}
	}
	add("load margin", "≥ 18 of 20, fails at 1.25 times in ≥ 12 of 20", "holds in %s, fails at 1.25 times it in %s", of(holds, margins), of(fails, margins))
	for _, name := range []string{"hand-written", "defaults", "crane", "tortoise"} {
		n, both, saved := 0, 0, 0.0
		only := 0
		for _, r := range reports {
			b := r.Baselines[name]
			if b.holds() {
				n++
			}
			for _, x := range r.Recordings {
				if x.Pick == nil {
					continue
				}
				switch {
				case b.holds() && x.Pick.Truth.holds():
					both++
					saved += x.Pick.Truth.Hours/b.Hours - 1
				case x.Pick.Truth.holds():
					only++
				}
			}
		}
		text := fmt.Sprintf("holds in %s worlds; the pick alone holds in %s", of(n, len(reports)), of(only, len(all)))
		if both > 0 {
			text += fmt.Sprintf(", and costs %+.0f %% where both do (%d)", 100*saved/float64(both), both)
		}
		add("against "+name, "", "%s", text)
	}
	for _, r := range reports {
		if r.Family == "wrong" {
			add("wrong on purpose: "+r.World[strings.LastIndex(r.World, "/")+1:], "the error grows and the report warns", "%s", r.misled(reports))
			rows[len(rows)-1].worlds = "-family wrong"
		}
	}
	return rows
}

// misled says how much larger the errors are than in the world that is the same but for what is wrong,
// and what the report says.
func (r *report) misled(all []*report) string {
	base := r.World[:strings.LastIndex(r.World, "/")]
	i := slices.IndexFunc(all, func(o *report) bool { return o.World == base })
	if i < 0 {
		return "— (" + base + " is not judged)"
	}
	figures := func(r *report) (hours, attainment float64, warned int) {
		n := 0.0
		for _, x := range r.Recordings {
			if x.Refusal != "" || len(x.Warnings) > 0 {
				warned++
			}
			if x.Pick == nil {
				continue
			}
			n++
			for _, h := range x.Pick.Figures {
				switch h.Name {
				case "hours":
					hours += math.Abs(h.Error)
				case "attainment":
					attainment += math.Abs(h.Error)
				}
			}
		}
		return 100 * hours / n, 100 * attainment / n, warned
	}
	h, a, w := figures(r)
	h0, a0, w0 := figures(all[i])
	return fmt.Sprintf("hours %.1f %% off (without it %.1f), attainment %.1f pt (%.1f); %s recordings warn or are refused (%s)", h, h0, a, a0, of(w, len(r.Recordings)), of(w0, len(all[i].Recordings)))
}

func count(ps []*picked, is func(*picked) bool) int {
	n := 0
	for _, p := range ps {
		if is(p) {
			n++
		}
	}
	return n
}

package pairs

import (
	"fmt"
	"slices"
	"strings"
)

// busyLimit is the share of its CPU limit above which a pod's queue decides p95. Above it only the
// interval is judged, not the point prediction.
const busyLimit = 0.85

// Table is the pairs as a Markdown table, with a summary below it.
func Table(results []*Result) string {
	var b strings.Builder
	b.WriteString("| pair | figure | predicted (90 %) | actual | within | error | A once | A again | difference |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range results {
		for _, f := range r.Rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n",
				r.Name, spoken(f.Figure), f.predicted(), number(f.Actual), yes(f.Within),
				difference(f.Unit, f.Error), number(f.Once), number(f.Again), difference(f.Unit, f.Apart))
		}
	}
	b.WriteString("\n| figure | median size of error | median size of A against A | ")
	b.WriteString("B within its interval | A within its interval |\n|---|---|---|---|---|\n")
	for _, name := range Figures {
		fmt.Fprintln(&b, summary(results, name))
	}
	b.WriteString("\n| pair | busiest pod of B | replicas apart: mean, largest | ")
	b.WriteString("run: verdict, self-replay (replica-hours), shadow: rescales, quiet, unseen |\n|---|---|---|---|\n")
	for _, r := range results {
		busiest := "—"
		if r.Busiest != nil {
			busiest = fmt.Sprintf("%.0f %% of its limit", 100**r.Busiest)
		}
		var runs []string
		for _, run := range r.Runs {
			runs = append(runs, run.String())
		}
		fmt.Fprintf(&b, "| %s | %s | %.2g, %.2g | %s |\n",
			r.Name, busiest, r.Apart.Mean, r.Apart.Largest, strings.Join(runs, "; "))
	}
	return b.String()
}

// summary is the line of one figure over all pairs. p95 counts only if no pod was too busy.
func summary(results []*Result, name string) string {
	var errors, aparts []float64
	var unit string
	in, of, inA, ofA, busy := 0, 0, 0, 0, 0
	count := func(within *bool, in, of *int) {
		if within != nil {
			*of++
			if *within {
				*in++
			}
		}
	}
	for _, r := range results {
		for _, f := range r.Rows {
			if f.Figure != name {
				continue
			}
			unit = f.Unit
			count(f.Within, &in, &of)
			count(f.OnceWithin, &inA, &ofA)
			count(f.AgainWithin, &inA, &ofA)
			if f.Apart != nil {
				aparts = append(aparts, max(*f.Apart, -*f.Apart))
			}
			if strings.Contains(name, "p95") && r.Busiest != nil && *r.Busiest > busyLimit {
				busy++
				continue
			}
			if f.Error != nil {
				errors = append(errors, max(*f.Error, -*f.Error))
			}
		}
	}
	middle := func(values []float64) string {
		m := median(values)
		if m == nil {
			return "—"
		}
		return fmt.Sprintf("%s of %d", strings.TrimPrefix(difference(unit, m), "+"), len(values))
	}
	note := ""
	if busy > 0 {
		note = fmt.Sprintf(", %d left out (a pod beyond %.0f %%)", busy, 100*busyLimit)
	}
	return fmt.Sprintf("| %s | %s%s | %s | %d of %d | %d of %d |",
		spoken(name), middle(errors), note, middle(aparts), in, of, inA, ofA)
}

// spoken is a figure's name in words: ttft_p95_s becomes "ttft p95".
func spoken(name string) string { return strings.TrimSuffix(strings.ReplaceAll(name, "_", " "), " s") }

func median(values []float64) *float64 {
	n := len(values)
	if n == 0 {
		return nil
	}
	v := slices.Sorted(slices.Values(values))
	m := (v[(n-1)/2] + v[n/2]) / 2
	return &m
}

func (f Row) predicted() string {
	if f.Predicted == nil {
		return "—"
	}
	out := number(&f.Predicted.Value)
	if f.Predicted.Lo != nil && f.Predicted.Hi != nil {
		out += fmt.Sprintf(" (%.4g–%.4g)", *f.Predicted.Lo, *f.Predicted.Hi)
	}
	return out
}

func (r Run) String() string {
	hours, shadow := "—", "—"
	if r.HoursError != nil {
		hours = fmt.Sprintf("%+.1f %%", 100**r.HoursError)
	}
	if s := r.Shadow; s != nil {
		all := func(c struct{ Agree, Differ, Unknown int }) string {
			return fmt.Sprintf("%d of %d", c.Agree, c.Agree+c.Differ+c.Unknown)
		}
		shadow = fmt.Sprintf("%s, %s, %d", all(s.Rescales), all(s.Quiet), s.Unseen)
	}
	return fmt.Sprintf("%s: %s, %s (%s), %s", r.Name, r.Verdict, r.SelfReplay, hours, shadow)
}

func number(v *float64) string {
	if v == nil {
		return "—"
	}
	return fmt.Sprintf("%.4g", *v)
}

func yes(v *bool) string {
	switch {
	case v == nil:
		return "—"
	case *v:
		return "yes"
	}
	return "no"
}

// difference prints a difference of two figures of a unit.
func difference(unit string, v *float64) string {
	switch {
	case v == nil:
		return "—"
	case Relative(unit):
		return fmt.Sprintf("%+.1f %%", 100**v)
	case unit == "ratio":
		return fmt.Sprintf("%+.2f pt", 100**v)
	}
	return fmt.Sprintf("%+.2g", *v)
}

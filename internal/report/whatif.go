package report

import (
	"github.com/hpatune/hpatune/tuner"
)

// whatIfs is the table of what would change the bill or the attainment most.
type whatIfs struct {
	Lead string
	Cost string // what the cost column holds
	Rows []whatIfRow
}

// same stands for the settings that are recommended.
const same = "same"

type whatIfRow struct {
	Text             string
	Cost, Attainment span
	Then             string // the settings that would be best, or why there are none
}

// whatIfRows is the table of a recommendation; nil = none was computed.
func whatIfRows(r *tuner.Recommendation) *whatIfs {
	if len(r.WhatIf) == 0 {
		return nil
	}
	from := r.Recommended
	out := &whatIfs{
		Cost: "monthly cost",
		Lead: "Best settings in each case, compared with the recommended settings today.",
	}
	if from == nil {
		from = r.Alternatives.Safest
		out.Lead = "Best settings in each case, compared with the safest settings today."
	}
	priced := false
	for i := range r.WhatIf {
		priced = priced || r.WhatIf[i].USDMonth != nil
	}
	if !priced {
		out.Cost = "replica-hours"
	}
	for i := range r.WhatIf {
		w := &r.WhatIf[i]
		row := whatIfRow{Text: w.Text, Attainment: delta(w.Attainment, "ratio"), Then: same}
		if row.Cost = delta(w.ReplicaHours, ""); priced {
			row.Cost = delta(w.USDMonth, r.Price.Currency)
		}
		switch {
		case w.Verdict == tuner.Missed:
			row.Then = "missed"
		case w.Verdict == tuner.Kept:
			row.Then = "kept"
		case w.Config != nil && from != nil:
			if s := tuner.Settings(&from.Config, w.Config); s != "" {
				row.Then = s
			}
		}
		out.Rows = append(out.Rows, row)
	}
	return out
}

// whatIf writes the table of what would change the bill or the attainment most.
func (p *printer) whatIf(r *tuner.Recommendation) {
	w := whatIfRows(r)
	if w == nil {
		return
	}
	p.line("\nWhat if? %s", w.Lead)
	rows := [][]string{{"", w.Cost, "within limits", "settings"}}
	for _, row := range w.Rows {
		rows = append(rows, []string{row.Text, row.Cost.short(), row.Attainment.Value, row.Then})
	}
	p.table(rows)
	for i := range r.WhatIf {
		if x := &r.WhatIf[i]; x.Verdict != tuner.Missed && x.Replicates > 0 {
			p.line("  Each is replayed for up to %d days.", most(r.WhatIf))
			return
		}
	}
}

func most(all []tuner.WhatIf) int {
	n := 0
	for i := range all {
		if all[i].ID != tuner.IDPrice {
			n = max(n, all[i].Replicates)
		}
	}
	return n
}

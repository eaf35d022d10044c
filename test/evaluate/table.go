package main

import (
	"fmt"
	"io"
	"strings"
)

// line summarizes the results of a recording in one line.
func (x *recording) line() string {
	s := "identity test " + string(x.SelfReplay.Verdict)
	if e := x.SelfReplay.ReplicaHoursError; e != nil {
		s += fmt.Sprintf(" (hours %+.1f %%, %d of %d rescales", 100**e, x.SelfReplay.RescalesMatched,
			x.SelfReplay.Rescales)
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
		s += fmt.Sprintf(", pick %s: holds on %.2f of %d days for %.2f, regret %.1f %%", p.Text, p.Truth.Hold,
			p.Truth.Days, p.PSLOMet, 100*p.Regret)
		for _, h := range p.Figures {
			s += fmt.Sprintf("; %s %.4g (%.4g–%.4g) for %.4g, %d/%d", h.Name, h.Value, h.Lo, h.Hi, h.Truth, h.Within,
				h.Within+h.Below+h.Above)
		}
		if p.Margin != nil {
			s += fmt.Sprintf("; margin %.2f holds on %.2f, 1.25 times it on %.2f", p.Margin.Stated, p.Margin.Hold,
				p.Margin.Beyond)
		}
	}
	return fmt.Sprintf("%s [%.0f s]", s, x.Seconds)
}

// row is one row of the table, and the worlds that it needs.
type row struct{ name, now, goal, worlds string }

// printTable prints the rows whose name contains only, under a heading that names the worlds.
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

// picks returns all recommendations that were tried.
func picks(reports []*report) []*picked {
	var out []*picked
	for _, r := range reports {
		for i := range r.Recordings {
			if p := r.Recordings[i].Pick; p != nil {
				out = append(out, p)
			}
		}
	}
	return out
}

func (p *picked) holds() bool { return p.Truth.holds() }

func count(ps []*picked, is func(*picked) bool) int {
	n := 0
	for _, p := range ps {
		if is(p) {
			n++
		}
	}
	return n
}

package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/layout"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// printer writes lines and aligned tables, and keeps the first error.
type printer struct {
	w     io.Writer
	width int // columns; 0 = lines are never broken
	err   error
}

// printerTo is a printer in the columns of its writer.
func printerTo(w io.Writer) printer { return printer{w: w, width: layout.Width(w)} }

// line writes a line, broken between words where it is too wide.
func (p *printer) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if p.width > 0 {
		text = layout.Text(text, p.width)
	}
	p.write(text + "\n")
}

// table writes rows with aligned columns, the first of them the head.
func (p *printer) table(rows [][]string) { p.write(layout.Table(rows, p.width)) }

func (p *printer) write(text string) {
	if p.err == nil {
		_, p.err = io.WriteString(p.w, text)
	}
}

// RunText writes the report of a run, the trust line first, in a form that can be pasted
// into a pull request.
func RunText(w io.Writer, s results.Summary) error {
	p := printerTo(w)
	p.line("%s", s.Trust.Line())
	what := fmt.Sprintf("%s: %s", s.Run, clock(s.DurationS))
	if s.Speed > 1 {
		what += fmt.Sprintf(" at %g × real time", s.Speed)
	}
	if s.Partial {
		what += ", partial: " + or(s.Why, "it did not end as planned")
	}
	p.line("%s\n", what)
	if c := s.Capacity; c != nil {
		p.line("%s", capacityText(c))
	}
	p.objectives(s.Objectives)
	p.line(
		"Load: %s scheduled, %s sent; %d answered, %d failed%s, %d shed (not sent)",
		figure.Many(s.Load.Scheduled, "request"),
		quantity(s.Load.DeliveredRatio, "ratio"),
		s.Load.OK,
		s.Load.Failed.Total(),
		failures(s.Load.Failed),
		s.Load.Shed,
	)
	if r := s.Replicas; r.Min != nil {
		flaps := dash
		if r.Flaps != nil {
			flaps = fmt.Sprint(*r.Flaps)
		}
		p.line(
			"Replicas: %s to %s, on average %s; %s replica-hours, %s of them ready; flaps (changes reversed within 10 "+
				"min): %s; "+
				"time to capacity (longest time below what the HPA wanted): %s",
			quantity(r.Min, ""),
			quantity(r.Max, ""),
			quantity(r.Mean, ""),
			quantity(r.Hours, ""),
			quantity(r.ReadyHours, ""),
			flaps,
			quantity(r.TimeToCapacityS, "s"),
		)
	} else {
		p.line("Replicas: — (pods were not observed)")
	}
	if s.Pods != nil {
		p.line("%s", podsText(s.Pods))
	}
	p.reactions(s.Reactions)
	p.line("\nLatency of answered requests from their scheduled send time, without warm-up:")
	rows := [][]string{{"", "n", "mean", "p50", "p95", "p99", "max"}}
	for _, l := range latencyRows(s.LatencyS) {
		if l.Q == nil {
			rows = append(rows, []string{l.Name, dash, "", "", "", "", "", "(not measured)"})
			continue
		}
		rows = append(
			rows,
			[]string{
				l.Name,
				fmt.Sprint(l.Q.N),
				seconds(l.Q.Mean),
				seconds(l.Q.P50),
				seconds(l.Q.P95),
				seconds(l.Q.P99),
				seconds(l.Q.Max),
			},
		)
	}
	p.table(rows)
	p.servers(s.Servers)
	p.errors("Errors:", s.Errors)
	p.errors("Errors during warm-up (in no figure):", s.WarmupErrors)
	for _, x := range s.Warnings {
		p.line("Warning at %s: %s", clock(x.AtS), x.Text)
	}
	return p.err
}

// capacityText is what a search for the highest rate found.
func capacityText(c *results.Capacity) string {
	next := "no higher rate was tried"
	if c.HiPerSec != nil {
		next = fmt.Sprintf("%s/s does not: %s", digits(*c.HiPerSec), c.Why)
	}
	return fmt.Sprintf(
		"Capacity: %s/s meets the objectives at this size (%s); ignoring latency, the highest rate was %s/s, with %d in "+
			"flight",
		digits(c.PerSec),
		next,
		digits(c.PeakPerSec),
		c.Concurrency,
	)
}

// podsText is how the pods of a run started, restarted and were throttled.
func podsText(l *results.Pods) string {
	text := fmt.Sprintf("Pods: %d created", l.Created)
	if q := l.ReadyS; q != nil {
		text += fmt.Sprintf(", ready after %s (median; slowest %s)", seconds(q.P50), seconds(q.Max))
	}
	text += fmt.Sprintf("; %d became unready; %s", l.Unready, figure.Many(l.Restarts, "container restart"))
	if t := l.ThrottledRatio; t != nil {
		text += fmt.Sprintf("; throttled by their CPU limit in %s of %d periods", quantity(t, "ratio"), l.ThrottledPeriods)
	} else {
		text += "; CPU throttling: " + dash + " (not recorded)"
	}
	return text
}

// errors prints a table of errors under a title, if there are any.
func (p *printer) errors(title string, list []results.ErrorCount) {
	if len(list) == 0 {
		return
	}
	p.line("\n%s", title)
	var rows [][]string
	for _, e := range list {
		rows = append(rows, []string{fmt.Sprint(e.N), e.Error})
	}
	p.table(rows)
}

// failures lists the kinds that occurred: " (12 timeout, 3 http_429)".
func failures(f results.Failed) string {
	var out []string
	for _, k := range []struct {
		name string
		n    int
	}{
		{"timeout", f.Timeout}, {"connect", f.Connect}, {"reset", f.Reset}, {"http_429", f.HTTP429}, {"http_4xx",
			f.HTTP4xx}, {"http_5xx", f.HTTP5xx},
		{"in_band", f.InBand}, {"truncated", f.Truncated}, {"canceled", f.Canceled},
	} {
		if k.n > 0 {
			out = append(out, fmt.Sprintf("%d %s", k.n, k.name))
		}
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}

// decisions is how often the shadow agrees, for rescales and other reconciles.
func decisions(s *tuner.Shadow) string {
	tally := func(t tuner.Tally) string {
		return fmt.Sprintf("%d of %d", t.Agree, t.Agree+t.Differ)
	}
	text := fmt.Sprintf("hpatune agrees on %s rescales and on %s reconciles that kept the size",
		tally(s.Rescales), tally(s.Quiet))
	if n := s.Rescales.Unknown + s.Quiet.Unknown; n > 0 {
		text += fmt.Sprintf("; %d cannot be compared", n)
	}
	return text
}

// reactions prints each reaction step by step: a cell is the time since the last step
// before it that was observed.
func (p *printer) reactions(list []results.ReactionS) {
	if len(list) == 0 {
		return
	}
	p.line("\nReaction to rising load, step by step:")
	rows := [][]string{
		{"stage", "size", "metric", "decision", "created", "started", "ready", "traffic", "total"},
	}
	for _, r := range list {
		row := []string{r.Stage, fmt.Sprintf("%d → %d", r.From, r.To)}
		last := r.LoadS
		for _, at := range []*float64{r.MetricS, &r.DecisionS, r.CreatedS, r.StartedS, r.ReadyS, r.TrafficS} {
			if at == nil {
				row = append(row, dash)
				continue
			}
			row = append(row, seconds(max(0, *at-last)))
			last = max(last, *at)
		}
		rows = append(rows, append(row, seconds(last-r.LoadS)))
	}
	p.table(rows)
	for _, r := range list {
		if r.TrafficWas == "endpoint" {
			p.line("  Traffic: when the pod became an endpoint, since no answer names it.")
			break
		}
	}
}

func (p *printer) objectives(os []results.Judgement) {
	if len(os) == 0 {
		return
	}
	head := "Measured"
	if slices.ContainsFunc(os, func(j results.Judgement) bool { return j.Replicates > 0 }) {
		head = "Predicted"
	}
	rows := [][]string{{"Objective", "Verdict", head, "Within", "n"}}
	for _, o := range os {
		rows = append(
			rows,
			append(
				[]string{o.Text, string(o.Verdict), measured(o), quantity(o.Attainment, "ratio"), fmt.Sprint(o.N)},
				notes(o.Note)...,
			),
		)
	}
	p.table(rows)
	p.line("")
}

// notes is a note as the cells that a row has of it.
func notes(note string) []string {
	if note == "" {
		return nil
	}
	return []string{note}
}

// unitOf is the unit to print a judgement's figures in: of money, its currency.
func unitOf(o results.Judgement) string {
	if o.Currency != "" {
		return o.Currency
	}
	return string(o.Unit)
}

// measured prints an objective's value with its interval.
func measured(o results.Judgement) string {
	unit := unitOf(o)
	s := quantity(o.Value, unit)
	if o.Lo != nil && o.Hi != nil {
		s += " (" + quantity(o.Lo, unit) + " – " + quantity(o.Hi, unit) + ")"
	}
	return s
}

// GateText writes objectives and the verdict over all of them. predicted says what
// was replayed; "" = they were measured.
func GateText(w io.Writer, os []results.Judgement, verdict results.Verdict, predicted string) error {
	p := printerTo(w)
	if predicted != "" {
		p.line("%s", predicted)
	}
	p.objectives(os)
	p.line("%s", strings.ToUpper(string(verdict)))
	return p.err
}

// TuneText writes a recommendation: what to change, what that brings and costs, how sure it
// is, and what to do next.
func TuneText(w io.Writer, r *tuner.Recommendation, next []string) error {
	if r == nil {
		return errors.New("report: no recommendation")
	}
	p := printerTo(w)
	p.line("%s", sentence(Page{Advice: r}))
	if l := lead(Page{Advice: r}); l != "" {
		p.line("%s", l)
	}
	for _, f := range r.Refusal {
		p.line("  %s", f.Text)
		if f.SettledBy != "" {
			p.line("    What would help: %s", f.SettledBy)
		}
	}
	self := r.SelfReplay
	p.line("")
	p.selfReplay(self)
	if s := r.Shadow; s != nil {
		p.line("Shadow (each recorded decision, computed again): %s", decisions(s))
	}
	p.picks(r, picks(r))
	p.changes(r)
	for i, x := range r.Worst {
		if i == 0 {
			p.line("\nWorst minutes under the recommendation:")
		}
		p.line(
			"  %s – %s: %s requests outside their limits, limited by %s: %s",
			clock(x.FromS),
			clock(x.ToS),
			digits(x.Missed),
			x.BoundBy,
			x.Text,
		)
	}
	p.zero(r)
	if r.LoadMargin != nil {
		p.line("\nLoad margin: the objectives are met up to %s × this load.", interval(r.LoadMargin, ""))
	}
	p.signals(r)
	p.whatIf(r)
	for _, x := range r.NotCovered {
		p.line("Not covered by the prediction: %s (%s). To check it, record a run and use: hpatune gate RUN",
			x.Objective, x.Why)
	}
	for _, x := range r.Notes {
		p.line("Note: %s", x)
	}
	for _, x := range r.Assumed {
		p.line("Assumed: %s", x)
	}
	for _, x := range r.Warnings {
		p.line("Warning: %s", x)
	}
	if len(next) > 0 {
		p.line("\nNext:")
		for _, x := range next {
			p.write(layout.Command("  "+x, p.width) + "\n")
		}
	}
	return p.err
}

// changes writes what each change does, and why it is made.
func (p *printer) changes(r *tuner.Recommendation) {
	for i, c := range r.Changes {
		if i == 0 {
			p.line("\nEffect of each change, with the others in place:")
		}
		p.line("  %s: %s → %s", c.Path, c.From, c.To)
		if v := c.Effect; v != nil {
			p.line("    monthly cost %s, within limits %s, flaps %s, time to capacity %s",
				delta(v.USDMonth, r.Price.Currency).Value,
				delta(v.Attainment, "ratio").Value,
				delta(v.Flaps, "").Value,
				delta(v.TimeToCapacity, "s").Value,
			)
		}
		if text := remark(c); text != "" {
			p.line("    %s", text)
		}
	}
}

// remark returns why a change is made, or "" if the figures next to it say it all. Those of
// maxReplicas do not, since it is a bound.
func remark(c tuner.Changed) string {
	if c.Effect != nil && c.Path != hpa.MaxReplicasPath {
		return ""
	}
	return c.Why
}

// selfReplay writes how well the replay reproduced the recorded run, if there was one to
// reproduce.
func (p *printer) selfReplay(self tuner.SelfReplay) {
	switch self.Verdict {
	case "":
	case fit.SelfAssumed:
		p.line("Self-replay (the recorded run, replayed): not possible, because no autoscaler was recorded")
	default:
		within := ""
		if self.AttainmentError != nil && self.Attainment != nil {
			within = fmt.Sprintf(
				", requests within the limits %s (predicted %s, measured %s)",
				figure.Difference(*self.AttainmentError, figure.Ratio),
				percent(*self.Attainment+*self.AttainmentError),
				percent(*self.Attainment),
			)
		}
		luck := ""
		if self.Replays > 0 && self.Verdict == fit.SelfPass {
			luck = fmt.Sprintf(
				" (judged by %d replays with other luck, %d of which pass alone)",
				self.Replays,
				self.ReplaysMatched,
			)
		}
		p.line(
			"Self-replay (the recorded run, replayed): %s; %d of %d rescales matched%s. Errors: "+
				"replica-hours %s, replicas %s on average%s",
			strings.ReplaceAll(string(self.Verdict), "-", " "),
			self.RescalesMatched,
			self.Rescales,
			luck,
			changed(self.ReplicaHoursError),
			quantity(self.MeanAbsReplicas, ""),
			within,
		)
	}
}

// changed prints a relative error; "—" for nil.
func changed(x *float64) string {
	if x == nil {
		return dash
	}
	return figure.Change(*x)
}

// ReplayText writes what one configuration would have done with a recorded load.
func ReplayText(
	w io.Writer,
	replayed *tuner.Pick,
	name string,
	price tuner.Price,
	self tuner.SelfReplay,
	judged []results.Judgement,
) error {
	p := printerTo(w)
	p.line("Replayed: %s", name)
	p.selfReplay(self)
	p.picks(&tuner.Recommendation{Price: price}, []pick{{"replayed", replayed}})
	p.line("")
	p.objectives(judged)
	return p.err
}

package report

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

// printer writes lines and aligned tables, and keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", args...)
	}
}

// table writes rows with aligned columns, each line indented by two; trailing
// blanks are cut, so that what is pasted stays clean.
func (p *printer) table(rows [][]string) {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 3, ' ', 0)
	for _, r := range rows {
		_, _ = fmt.Fprintln(t, "  "+strings.Join(r, "\t")) // a Builder takes all
	}
	_ = t.Flush()
	for line := range strings.Lines(b.String()) {
		p.line("%s", strings.TrimRight(line, " \n"))
	}
}

// RunText writes what a run says, the trust line first, fit to be pasted into a
// pull request.
func RunText(w io.Writer, s results.Summary) error {
	p := printer{w: w}
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
		hi := "no higher rate was tried"
		if c.HiPerSec != nil {
			hi = fmt.Sprintf("%s/s does not: %s", digits(*c.HiPerSec), c.Why)
		}
		p.line(
			"Capacity: %s/s meets the objectives at this size (%s); the highest rate seen, ignoring latency, is %s/s with %d in flight\n",
			digits(c.PerSec),
			hi,
			digits(c.PeakPerSec),
			c.Concurrency,
		)
	}
	p.objectives(s.Objectives)
	p.line(
		"Load: %d scheduled, %s delivered; %d answered well, %d failed%s, %d shed",
		s.Load.Scheduled,
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
			"Replicas: %s to %s, %s on average; %s replica-hours, %s ready; %s flaps; time to wanted size %s",
			quantity(
				r.Min,
				"",
			),
			quantity(r.Max, ""),
			quantity(r.Mean, ""),
			quantity(r.Hours, ""),
			quantity(r.ReadyHours, ""),
			flaps,
			quantity(r.TimeToCapacityS, "s"),
		)
	} else {
		p.line("Replicas: — no pods were observed")
	}
	if s.Pods != nil {
		p.line("%s", podsText(s.Pods))
	}
	p.reactions(s.Reactions)
	p.line("\nLatency of answered requests, from the scheduled send time, without warm-up:")
	rows := [][]string{{"", "n", "mean", "p50", "p95", "p99", "max"}}
	for _, l := range latencyRows(s.LatencyS) {
		if l.Q == nil {
			rows = append(rows, []string{l.Name, dash + " not measured"})
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
	p.errors("Errors:", s.Errors)
	p.errors("Errors in warm-up (not counted in any figure):", s.WarmupErrors)
	for _, x := range s.Warnings {
		p.line("Warning at %s: %s", clock(x.AtS), x.Text)
	}
	return p.err
}

// podsText tells what the pods of a run went through.
func podsText(l *results.Pods) string {
	text := fmt.Sprintf("Pods: %d created", l.Created)
	if q := l.ReadyS; q != nil {
		text += fmt.Sprintf(", ready after %s (median of %d; the slowest %s)", seconds(q.P50), q.N, seconds(q.Max))
	}
	text += fmt.Sprintf("; %d not ready in between; %d container restarts", l.Unready, l.Restarts)
	if t := l.ThrottledRatio; t != nil {
		text += fmt.Sprintf("; stopped by their CPU limit in %s of %d periods", quantity(t, "ratio"), l.ThrottledPeriods)
	} else {
		text += "; CPU throttling " + dash + " not recorded"
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

// decisions counts the shadow's agreement, rescales and quiet syncs apart.
func decisions(s *tuner.Shadow) string {
	tally := func(t tuner.Tally) string {
		text := fmt.Sprintf("%d of %d", t.Agree, t.Agree+t.Differ)
		if t.Unknown > 0 {
			text += fmt.Sprintf(" (%d more cannot be compared)", t.Unknown)
		}
		return text
	}
	return fmt.Sprintf(
		"hpatune's controller agrees on %s rescales and on %s quiet syncs",
		tally(s.Rescales),
		tally(s.Quiet),
	)
}

// reactions takes each reaction time apart: a column is the time from the step
// before it that was seen.
func (p *printer) reactions(list []results.ReactionS) {
	if len(list) == 0 {
		return
	}
	p.line("\nReaction to rising load:")
	rows := [][]string{
		{"stage", "replicas", "metric moves", "decision", "pod created", "containers run", "ready", "traffic", "in all"},
	}
	for _, r := range list {
		row := []string{r.Stage, fmt.Sprintf("%d → %d", r.From, r.To)}
		last := r.LoadS
		for _, at := range []*float64{r.MetricS, &r.DecisionS, r.CreatedS, r.StartedS, r.ReadyS, r.TrafficS} {
			if at == nil {
				row = append(row, dash)
				continue
			}
			row = append(row, "+"+seconds(max(0, *at-last)))
			last = max(last, *at)
		}
		rows = append(rows, append(row, seconds(last-r.LoadS)))
	}
	p.table(rows)
	for _, r := range list {
		if r.TrafficWas == "endpoint" {
			p.line("  The traffic column is when the pod became an endpoint, since it is not visible which pod answered.")
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
			[]string{o.Text, string(o.Verdict), measured(o), quantity(o.Attainment, "ratio"), fmt.Sprint(o.N), o.Note},
		)
	}
	p.table(rows)
	p.line("")
}

// unitOf is the unit to print a judgement's figures in: of money, its currency.
func unitOf(o results.Judgement) string {
	if o.Currency != "" {
		return o.Currency
	}
	return o.Unit
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
	p := printer{w: w}
	if predicted != "" {
		p.line("%s", predicted)
	}
	p.objectives(os)
	p.line("%s", strings.ToUpper(string(verdict)))
	return p.err
}

// TuneText writes a recommendation: what to change, what that buys and costs,
// how sure it is, and what to do next.
func TuneText(w io.Writer, r *tuner.Recommendation, next []string) error {
	if r == nil {
		return errors.New("report: no recommendation")
	}
	p := printer{w: w}
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
		p.line("Decisions: %s", decisions(s))
	}
	p.picks(r, picks(r))
	if len(r.Changes) > 0 {
		p.line("\nEffect of each change, with the others in place:")
		rows := [][]string{{"", "from", "to", "cost a month", "within limits", "flaps", "time to capacity"}}
		for _, c := range r.Changes {
			row := []string{c.Path, c.From, c.To}
			if v := c.Effect; v != nil {
				row = append(
					row,
					delta(v.USDMonth, r.Price.Currency).Value,
					delta(v.Attainment, "ratio").Value,
					delta(v.Flaps, "").Value,
					delta(v.TimeToCapacity, "s").Value,
				)
			}
			rows = append(rows, row)
		}
		p.table(rows)
		for _, c := range r.Changes {
			if c.Why != "" {
				p.line("  %s: %s", c.Path, c.Why)
			}
		}
	}
	for i, x := range r.Worst {
		if i == 0 {
			p.line("\nTightest:")
		}
		p.line(
			"  %s – %s: %s requests missed, limited by %s. %s",
			clock(x.FromS),
			clock(x.ToS),
			digits(x.Missed),
			x.BoundBy,
			x.Text,
		)
	}
	if r.LoadMargin != nil {
		p.line("\nLoad margin: the objectives hold up to %s × this load.", interval(r.LoadMargin, ""))
	}
	for _, x := range r.NotCovered {
		p.line("Not covered by the prediction: %s (%s). Check it with a run: hpatune gate RUN", x.Objective, x.Why)
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
			p.line("  %s", x)
		}
	}
	return p.err
}

// selfReplay writes how well the replay met the recorded run, where there was
// one to meet.
func (p *printer) selfReplay(self tuner.SelfReplay) {
	switch self.Verdict {
	case "":
	case "assumed":
		p.line("Self-replay (check of the model): not possible, because no autoscaler was recorded")
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
		p.line(
			"Self-replay (check of the model): %s; %d of %d rescales matched. Error on the recorded run: replica-hours %s, replicas %s on average%s",
			strings.ReplaceAll(
				string(self.Verdict),
				"-",
				" ",
			),
			self.RescalesMatched,
			self.Rescales,
			quantity(self.ReplicaHoursError, "ratio"),
			quantity(self.MeanAbsReplicas, ""),
			within,
		)
	}
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
	p := printer{w: w}
	p.line("Replayed: %s", name)
	p.selfReplay(self)
	p.picks(&tuner.Recommendation{Price: price}, []pick{{"replayed", replayed}})
	p.line("")
	p.objectives(judged)
	return p.err
}

// VerifyText writes predicted beside actual.
func VerifyText(w io.Writer, v Verified) error {
	p := printer{w: w}
	rows := [][]string{{"", "predicted", "actual", "error", "within its interval"}}
	for _, f := range v.Figures {
		rows = append(
			rows,
			[]string{
				strings.ReplaceAll(f.Name, "_", " "),
				interval(f.Predicted, f.Unit).String(),
				quantity(f.Actual, f.Unit),
				off(f),
				yesNo(f.Within),
			},
		)
	}
	p.table(rows)
	if v.MeanAbsReplicas != nil {
		p.line(
			"  Replicas differ by %s on average and by %s at most.",
			quantity(v.MeanAbsReplicas, ""),
			quantity(v.MaxAbsReplicas, ""),
		)
	}
	return p.err
}

// yesNo prints an answer; a dash where there is none.
func yesNo(v *bool) string {
	switch {
	case v == nil:
		return dash
	case *v:
		return "yes"
	}
	return "no"
}

// off prints an error with its sign: in points of a ratio, in percent of hours
// and seconds, plainly of a count.
func off(f VerifiedFigure) string {
	if f.Error == nil {
		return dash
	}
	switch f.Unit {
	case "ratio":
		return delta(&tuner.Interval{Value: *f.Error}, "ratio").Value
	case "":
		return delta(&tuner.Interval{Value: *f.Error}, "").Value
	}
	if *f.Error > 0 {
		return "+" + percent(*f.Error)
	}
	return percent(*f.Error)
}

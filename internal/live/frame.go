package live

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"charm.land/lipgloss/v2"

	"github.com/hpatune/hpatune/results"
)

// The terminal's own sixteen colours, so that its theme decides.
var (
	bold   = lipgloss.NewStyle().Bold(true)
	faint  = lipgloss.NewStyle().Foreground(lipgloss.Color("8"))
	green  = lipgloss.NewStyle().Foreground(lipgloss.Color("2"))
	blue   = lipgloss.NewStyle().Foreground(lipgloss.Color("4"))
	cyan   = lipgloss.NewStyle().Foreground(lipgloss.Color("6"))
	yellow = lipgloss.NewStyle().Foreground(lipgloss.Color("3"))
	red    = lipgloss.NewStyle().Foreground(lipgloss.Color("1"))
)

// gutter is the width left of the charts, where their scale stands.
const gutter = 8

// frame draws the dashboard: three charts on one time axis, the whole run wide.
func (v *view) frame(now time.Duration, width int) string {
	w := max(min(width, columns+gutter+2)-gutter-2, 20)
	cols := v.merged(w)
	recent := v.recent(now)
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }

	name, rate := v.stage(now)
	done := min(max(now.Seconds()/v.o.Duration.Seconds(), 0), 1)
	state := "last answers"
	if now < v.o.Duration {
		state = fmt.Sprintf("%s left", short(v.o.Clock.Wall(v.o.Duration-now)))
	}
	bar := int(math.Round(done * 24))
	say(
		" %s  %s  %s %s%s  %s",
		bold.Render(v.o.Name),
		cmp.Or(name, "—"),
		short(min(max(now, 0), v.o.Duration))+" of "+short(v.o.Duration),
		green.Render(strings.Repeat("━", bar)),
		faint.Render(strings.Repeat("━", 24-bar)),
		state,
	)
	say("")

	plan, answered, top := make([]float64, w), make([]float64, w), 0.0
	for i, c := range cols {
		_, plan[i] = v.stage(c.from + c.span/2)
		answered[i] = float64(c.ok) / c.span.Seconds()
		if c.from > now {
			answered[i] = math.NaN()
		}
		top = max(top, plan[i], known(answered[i]))
	}
	fails := ""
	if v.total.failed > 0 || v.total.shed > 0 {
		fails = red.Render(fmt.Sprintf("   failed %d (429: %d)  shed %d", v.total.failed, v.total.refused, v.total.shed))
	}
	span := max(recent.span.Seconds(), 1e-9)
	say(
		" %s  offered %s/s   answered %s/s   %d so far%s",
		bold.Render("load"),
		figure(rate),
		figure(float64(recent.ok)/span),
		v.total.ok,
		fails,
	)
	out = append(out, chart(answered, plan, 4, top*1.1, figure, func(int) lipgloss.Style { return blue }, faint)...)

	out = append(out, v.latencyFrame(cols, recent, now)...)
	if v.haveReplicas {
		out = append(out, v.replicaFrame(cols, now)...)
	}
	end := short(v.o.Duration)
	say("%s%s%s", strings.Repeat(" ", gutter+1), faint.Render("0s"), faint.Render(fmt.Sprintf("%*s", w-2, end)))
	if v.rescaled != "" {
		say(" %s", faint.Render(fmt.Sprintf("%s ago  %s", short(now-v.rescaledAt), v.rescaled)))
	}
	if v.warning != "" {
		say(" %s", yellow.Render("! "+v.warning))
	}
	return strings.Join(out, "\n") + "\n"
}

// latencyFrame draws the p95 of the limited latency, or of TTFT, or of E2E.
func (v *view) latencyFrame(cols []merged, recent merged, now time.Duration) []string {
	pick, shown := func(c *column) *results.Slice { return &c.e2e }, e2e
	if v.limit.metric == ttft || v.limit.metric == nil && v.haveTTFT {
		pick, shown = func(c *column) *results.Slice { return &c.ttft }, ttft
	}
	limit := math.NaN()
	if v.limit.at > 0 {
		limit = v.limit.at.Seconds()
	}
	values, line, top := make([]float64, len(cols)), make([]float64, len(cols)), 0.0
	for i := range cols {
		values[i], line[i] = math.NaN(), limit
		if d, ok := pick(&cols[i].column).Quantile(0.95); ok && cols[i].from <= now {
			values[i] = d.Seconds()
			top = max(top, values[i])
		}
	}
	if !math.IsNaN(limit) {
		top = max(top, limit*1.3)
	}
	head := fmt.Sprintf(
		" %s  p50 %s   p95 %s   p99 %s",
		bold.Render(shown.Name),
		quantiles(*pick(&recent.column), 0.5),
		quantiles(*pick(&recent.column), 0.95),
		quantiles(*pick(&recent.column), 0.99),
	)
	if shown == ttft {
		head += fmt.Sprintf("   e2e p95 %s", quantiles(recent.e2e, 0.95))
	}
	if v.limit.at > 0 {
		style, word := green, "met"
		if d, ok := pick(&recent.column).Quantile(v.limit.stat); !ok {
			style, word = faint, "—"
		} else if d > v.limit.at {
			style, word = red, "missed"
		}
		head += "   " + style.Render(v.limit.text+": "+word+" just now")
	}
	over := func(i int) lipgloss.Style {
		if values[i] > limit {
			return red
		}
		return cyan
	}
	return append(
		[]string{head},
		chart(
			values,
			line,
			4,
			max(top*1.05, 1e-3),
			func(s float64) string { return latency(time.Duration(s * float64(time.Second))) },
			over,
			red,
		)...)
}

// replicaFrame draws ready replicas as bars and the desired ones as a line above.
func (v *view) replicaFrame(cols []merged, now time.Duration) []string {
	ready, desired, top := make([]float64, len(cols)), make([]float64, len(cols)), 1.0
	r, d := math.NaN(), math.NaN()
	for i, c := range cols {
		if c.ready >= 0 {
			r, d = c.ready, c.desired
		}
		ready[i], desired[i] = r, d
		if c.from > now {
			ready[i], desired[i] = math.NaN(), math.NaN()
		}
		top = max(top, known(ready[i]), known(desired[i]))
	}
	head := fmt.Sprintf(" %s  %d ready of %d desired", bold.Render("replicas"), v.ready, v.desired)
	if v.pods != v.ready {
		head += faint.Render(fmt.Sprintf("   %d billed", v.pods))
	}
	return append(
		[]string{head},
		chart(ready, desired, 3, top, figure, func(int) lipgloss.Style { return green }, yellow)...)
}

// merged is a stretch of columns put together.
type merged struct {
	column
	from, span time.Duration
}

// merged combines the view's columns into w, or spreads them over w if there are fewer.
func (v *view) merged(w int) []merged {
	out := make([]merged, w)
	for i := range out {
		edge := func(i int) int { return int(int64(i) * int64(v.o.Duration) / int64(w) / int64(v.step)) }
		first := min(edge(i), len(v.steps)-1)
		end := max(min(edge(i+1), len(v.steps)), first+1)
		out[i].from = time.Duration(int64(i) * int64(v.o.Duration) / int64(w))
		out[i].span = time.Duration(end-first) * v.step
		out[i].ready, out[i].desired = -1, -1
		for k := first; k < end; k++ {
			out[i].take(&v.steps[k])
		}
	}
	return out
}

// known returns x, and 0 for NaN.
func known(x float64) float64 {
	if math.IsNaN(x) {
		return 0
	}
	return x
}

// recent combines the last few columns, at least five seconds of wall time.
func (v *view) recent(now time.Duration) merged {
	out := merged{}
	want := time.Duration(5 * float64(time.Second) * cmp.Or(v.o.Clock.Speed, 1))
	for k := min(int(max(now, 0)/v.step), len(v.steps)-1); k >= 0 && out.span < want; k-- {
		out.take(&v.steps[k])
		out.span += v.step
	}
	return out
}

func (m *merged) take(c *column) {
	m.ok += c.ok
	m.failed += c.failed
	m.shed += c.shed
	m.refused += c.refused
	m.ttft.Merge(c.ttft)
	m.e2e.Merge(c.e2e)
	if c.ready >= 0 {
		m.ready, m.desired = c.ready, c.desired
	}
}

var eighths = []rune(" ▁▂▃▄▅▆▇█")

// chart draws bars, and a line where no bar hides it, rows high with the scale
// at the left. NaN = nothing there.
func chart(
	bars, line []float64,
	rows int,
	top float64,
	scale func(float64) string,
	style func(i int) lipgloss.Style,
	lineStyle lipgloss.Style,
) []string {
	if !(top > 0) {
		top = 1
	}
	height := func(x float64) int { return int(math.Round(min(max(x/top, 0), 1) * float64(rows*8))) }
	var out []string
	for r := range rows {
		base := (rows - 1 - r) * 8 // eighths below this row
		var b strings.Builder
		label := ""
		switch r {
		case 0:
			label = scale(top)
		case rows - 1:
			label = "0"
		}
		b.WriteString(faint.Render(fmt.Sprintf("%*s ", gutter, label)))
		run, last := strings.Builder{}, -1 // cells of one colour go out together
		var lastStyle lipgloss.Style
		flush := func() {
			if last >= 0 {
				b.WriteString(lastStyle.Render(run.String()))
			}
			run.Reset()
		}
		put := func(kind int, s lipgloss.Style, c rune) {
			if kind != last {
				flush()
				last, lastStyle = kind, s
			}
			run.WriteRune(c)
		}
		for i := range bars {
			fill := 0
			if !math.IsNaN(bars[i]) {
				fill = min(max(height(bars[i])-base, 0), 8)
				if bars[i] > 0 && base == 0 {
					fill = max(fill, 1) // a little is not nothing
				}
			}
			s := style(i)
			kind := 2
			if s.GetForeground() == red.GetForeground() {
				kind = 3
			}
			at := math.MinInt
			if !math.IsNaN(line[i]) {
				at = max(height(line[i])-1, 0) / 8 * 8
			}
			switch {
			case fill > 0:
				put(kind, s, eighths[fill])
			case at == base:
				put(1, lineStyle, '╌')
			default:
				put(0, faint, ' ')
			}
		}
		flush()
		out = append(out, b.String())
	}
	return out
}

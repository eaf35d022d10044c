package tuner

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
)

// goals is the objectives as the replay judges them.
type goals struct {
	list []results.Objective
	cost float64 // of a replica-hour; 0 = not known
	node float64 // cost of a node-hour, in replica-hours; 0 = replicas are paid for, not nodes
}

func newGoals(list []results.Objective) goals { return goals{list: list} }

// String lists the objectives as written.
func (g goals) String() string {
	texts := make([]string, len(g.list))
	for i, o := range g.list {
		texts[i] = fmt.Sprintf("%q", o.Text)
	}
	return strings.Join(texts, " and ")
}

// ofRequests reports whether an objective is about single requests.
func ofRequests(m *results.Metric) bool { return m != nil && m.Latency() }

// limits are the per-request limits that a replay can judge: the tightest of the objectives
// about each latency.
func (g goals) limits() plant.Limits {
	l := results.LimitsOf(g.list)
	return plant.Limits{
		TTFT: tightest(l.TTFT, l.TTFTFromSent),
		ITL:  l.ITL,
		TPOT: l.TPOT,
		E2E:  tightest(l.E2E, l.E2EFromSent),
	}
}

// tightest is the smaller of two limits; a limit of 0 is none.
func tightest(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// want is the share of requests that must meet the per-request limits: the largest
// quantile, goodput or 1 − error rate of the objectives. A mean counts as the median here;
// the exact replay judges it exactly.
func (g goals) want() float64 {
	want := 0.0
	for _, o := range g.list {
		switch m := o.Of(); {
		case ofRequests(m):
			q := o.Stat
			if q == results.StatMean {
				q = 0.5
			}
			want = max(want, q)
		case m == results.Goodput:
			want = max(want, o.Limit)
		}
	}
	if want == 0 {
		want = 0.95 // no latency objective: size for nearly everybody
	}
	return want
}

// windowTicks is the number of ticks in a window of the first windowed objective; 0 if
// there is none.
func (g goals) windowTicks(step time.Duration) int {
	for _, o := range g.list {
		if o.Window > 0 {
			return max(int(o.Window/step), 1)
		}
	}
	return 0
}

// windowShare is the share of windows within the wanted attainment; 1 if no objective has
// windows.
func (g goals) windowShare(a *tally) float64 {
	if a.by == 0 {
		return 1
	}
	n, ok := 0, 0
	for i := range a.arrivalsBy {
		if a.arrivalsBy[i] > 0 {
			n++
			if a.goodBy[i]/a.arrivalsBy[i] >= g.want() {
				ok++
			}
		}
	}
	return ratio(float64(ok), float64(n))
}

// margin is how far within the objectives a candidate is according to the fluid plant: the
// smallest margin over all of them. For objectives about requests it is a share of
// requests; for windows half the share of windows; for hours a share of the limit; and for
// the time to capacity a tenth of that, since the fluid plant predicts it least well. 0
// means that the tightest is just met, a negative margin by how much it is missed, and +Inf
// that none can be judged.
func (g goals) margin(f fluid) float64 {
	m, plain := math.Inf(1), false
	add := func(x float64) {
		if math.IsNaN(x) {
			x = math.Inf(-1)
		}
		m = min(m, x)
	}
	for _, o := range g.list {
		switch of := o.Of(); {
		case o.Window > 0:
			add((f.windows - o.For) / 2)
		case ofRequests(of) || of == results.Goodput:
			plain = true
		case of == results.ErrorRate && f.errors > 0: // without any there is no more to gain
			add(o.Limit - f.errors)
		case of == results.ReplicaHours:
			add(1 - f.hours/o.Limit)
		case of == results.TimeToCapacity:
			add((1 - f.capacity/o.Limit) / 10)
		}
	}
	if plain {
		add(f.attainment - g.want())
	}
	return m
}

// extra are the figures that a timeline does not have itself.
func (g goals) extra(a *tally) []results.Figure {
	if !(g.cost > 0) {
		return nil
	}
	hour := g.paid(a) / a.spanHours() * g.cost
	return []results.Figure{
		results.Exactly(results.USDHour.Name, hour, a.ticks, results.Money),
		results.Exactly(results.USDMonth.Name, hour*HoursPerMonth, a.ticks, results.Money),
	}
}

// met reports whether every objective holds on one replicate; a is the tally of the same
// ticks. An unknown figure is not met.
func (g goals) met(tl *results.Timeline, a *tally) bool {
	for _, j := range tl.Judge(g.list, g.extra(a)...) {
		if j.Verdict != results.Pass {
			return false
		}
	}
	return true
}

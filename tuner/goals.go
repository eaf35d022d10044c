package tuner

import (
	"fmt"
	"math"
	"slices"
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
	idle float64 // share of requests within all limits on an idle replica; 0 = not known
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

// ofRequests reports whether an objective limits single requests, so that there is a share of
// requests within the limits.
func (g goals) ofRequests() bool {
	return slices.ContainsFunc(
		g.list,
		func(o results.Objective) bool { return ofRequests(o.Of()) || o.Of() == results.Goodput },
	)
}

// ofTokens reports whether an objective limits the time between tokens.
func (g goals) ofTokens() bool {
	return slices.ContainsFunc(
		g.list,
		func(o results.Objective) bool { return o.Of() == results.GapPerToken || o.Of() == results.TPOT },
	)
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

// want is the share of requests that must meet all per-request limits together.
//
// It is the largest share that an objective asks for (a quantile, or goodput). But that of
// two objectives with different quantiles, such as ttft.p95 and e2e.p50, is more than they
// ask for, and even an idle replica may not give it. It is then the same share of what an
// idle replica gives, and at least what cannot be missed: half of the requests and another
// 5 % may each miss one limit.
func (g goals) want() float64 {
	most, least := g.shares()
	if g.idle > 0 && g.idle < most && least < most {
		return max(least, most*g.idle)
	}
	return most
}

// shares returns the largest share of requests that an objective wants within its limits, and
// the share that is within all of them if no request misses two. A mean counts as the median
// here; the exact replay judges it exactly. Without a limit on requests both are 0.95: nearly
// everybody.
func (g goals) shares() (most, least float64) {
	least = 1
	for _, o := range g.list {
		q := 0.0
		switch m := o.Of(); {
		case ofRequests(m) && o.Stat == results.StatMean:
			q = 0.5
		case ofRequests(m):
			q = o.Stat
		case m == results.Goodput:
			q = o.Limit
		default:
			continue
		}
		most, least = max(most, q), max(0, least-(1-q))
	}
	if most == 0 {
		return 0.95, 0.95
	}
	for _, o := range g.list { // goodput is about all limits together
		if o.Of() == results.Goodput {
			least = max(least, o.Limit)
		}
	}
	return most, least
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

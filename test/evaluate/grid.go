package main

import (
	"time"

	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// grid is the 80 configurations among which the true optimum is searched: minReplicas, the target
// of the metric, two scale-down windows, and two scale-up rules. maxReplicas is the world's room.
func (w *world) grid() []hpa.Config {
	var out []hpa.Config
	base := w.Current.Clone()
	for _, least := range w.mins() {
		for _, target := range w.targets() {
			for _, window := range []time.Duration{time.Minute, 5 * time.Minute} {
				for _, up := range [][]hpa.Policy{hpa.DefaultScaleUp().Policies,
					{{Type: hpa.PodsPolicy, Value: 2, Period: time.Minute}}} {
					c := down(base, window)
					c.MinReplicas, c.MaxReplicas = least, max(w.Most, least)
					c.ScaleUp.Policies = up
					c.Metrics[0].Target = target
					out = append(out, c)
				}
			}
		}
	}
	return out
}

// mins are the grid's values of minReplicas: from 2 to almost the size that the peak needs.
func (w *world) mins() []int32 {
	m := float64(w.Most)
	return []int32{2, max(3, int32(0.25*m)), max(4, int32(0.4*m)), max(5, int32(0.6*m))}
}

func (w *world) targets() []hpa.Target {
	t := w.Current.Metrics[0].Target
	var out []hpa.Target
	if t.Utilization > 0 {
		for _, u := range []int32{30, 45, 55, 65, 80} {
			t.Utilization = u
			out = append(out, t)
		}
		return out
	}
	for _, k := range []float64{0.4, 0.6, 0.8, 1, 1.4} {
		v := t
		v.AverageMilli = int64(k * float64(t.AverageMilli))
		out = append(out, v)
	}
	return out
}

// truth is how a configuration really performs over fresh days.
type truth struct {
	Text    string  `json:"text"`
	Days    int     `json:"days"`
	Met     int     `json:"met"`     // days on which every objective held
	Hold    float64 `json:"hold"`    // Met over Days
	Hours   float64 `json:"hours"`   // mean of the days
	Dropped bool    `json:"dropped"` // too few of the first days held to go on
}

// sure is the share of days on which a configuration must hold.
const sure = 0.9

func (t *truth) holds() bool { return !t.Dropped && t.Hold >= sure-1e-9 }

// best finds the cheapest configuration of the grid that really holds, and counts those that could
// not be ruled out. Six days rule out most of them. The others get all days, cheapest first, until
// one holds; all after it cost more.
func (e *evaluation) best(w *world) (all []truth, best *truth, configs []hpa.Config) {
	configs = w.grid()
	all = make([]truth, len(configs))
	days := make([][]outcome, len(configs))
	const first = 6
	e.parallel(len(configs), func(i int) {
		days[i] = e.days(w, configs[i], 0, first, 1)
		all[i] = summed(configs[i], days[i])
		all[i].Dropped = all[i].Met < 4 // one in sixty that holds on 90 % of days does this by chance
	})
	order := make([]int, 0, len(configs))
	for i := range all {
		if !all[i].Dropped {
			order = append(order, i)
		}
	}
	sortBy(order, func(i int) float64 { return all[i].Hours })
	for _, i := range order {
		if more := e.days(w, configs[i], first, e.n, 1); len(more) > 0 {
			days[i] = append(days[i], more...)
			all[i] = summed(configs[i], days[i])
		}
		if all[i].holds() {
			return all, &all[i], configs
		}
		all[i].Dropped = true
	}
	return all, nil, configs
}

func summed(c hpa.Config, days []outcome) truth {
	t := truth{Text: tuner.Describe(c), Days: len(days)}
	for _, d := range days {
		if d.Met {
			t.Met++
		}
		t.Hours += d.Hours / float64(len(days))
	}
	t.Hold = float64(t.Met) / float64(len(days))
	return t
}

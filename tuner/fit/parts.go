package fit

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/keda"
	"github.com/hpatune/hpatune/tuner/plant"
)

// partsOf fits one pipe for each part of a query that is computed from metrics of the pods.
// A part that nothing explains has no pipe, and unread says why.
func partsOf(s *service, parts []keda.Part, have []plant.Pipe, unread map[string]string) (
	out []plant.Pipe, why map[string]string, n notes) {
	for i := range parts {
		x := &parts[i]
		known := func(p plant.Pipe) bool { return p.Name == x.Name }
		if slices.ContainsFunc(have, known) || slices.ContainsFunc(out, known) {
			continue
		}
		p, ok, said := s.part(x)
		n.add(said)
		if ok {
			out = append(out, p)
			if len(x.Unseen) > 0 {
				n.assume("%s is that of all pods of the workload: the run did not record the labels %s", x.Name,
					strings.Join(x.Unseen, ", "))
			}
			continue
		}
		if unread == nil {
			unread = map[string]string{}
		}
		if len(said.warnings) > 0 {
			unread[x.Name] = said.warnings[len(said.warnings)-1]
		}
	}
	return out, unread, n
}

// part fits one part of a query. A range of avg_over_time is the pipe's window; that of rate
// is in the samples.
func (s *service) part(x *keda.Part) (plant.Pipe, bool, notes) {
	if x.Times {
		return s.timesPart(x)
	}
	m := hpa.Metric{Source: hpa.External, Name: x.Metric}
	if x.Pool != "" {
		m.Source = hpa.Pods
	}
	if x.Rate {
		s = s.rated(x.Metric, x.Over)
	}
	p, ok, n := gaugeOf(s, &m)
	p.Name = x.Name
	if x.Pool != "" {
		p.Over = plant.PoolNamed(x.Pool)
	}
	if ok && x.Over > 0 && !x.Rate && p.Window < x.Over {
		p.Window, p.Apart, p.Phases = x.Over, false, nil
		p.Every = max(p.Every, seconds(math.Ceil((p.Window+p.Delay).Seconds()/12)))
	}
	return p, ok, n
}

// rated returns the service with a counter's samples replaced by their rate per second over a
// window, as PromQL's rate computes it, without its extrapolation to the window's ends. A
// counter that falls has restarted, and counts from 0.
func (s *service) rated(counter string, over time.Duration) *service {
	run, l, out := *s.run, *s.log, *s
	run.Samples = nil
	series := map[string][]results.Sample{}
	for _, x := range s.run.Samples {
		if !sameName(x.Name, counter) {
			run.Samples = append(run.Samples, x)
			continue
		}
		key := x.Source + " " + x.Pod
		list := append(series[key], x)
		for len(list) > 2 && list[len(list)-1].At-list[1].At >= over {
			list = list[1:]
		}
		series[key] = list
		span := (x.At - list[0].At).Seconds()
		if span < over.Seconds()/2 || len(list) < 2 {
			continue
		}
		rose := 0.0
		for i := 1; i < len(list); i++ {
			if d := list[i].Value - list[i-1].Value; d >= 0 {
				rose += d
			} else {
				rose += list[i].Value
			}
		}
		x.Value = rose / span
		run.Samples = append(run.Samples, x)
	}
	l.run = &run
	out.log = &l
	return &out
}

// rateName is the PromQL of a counter's rate.
func rateName(counter string, over time.Duration) string {
	return fmt.Sprintf("rate(%s[%ds])", counter, int(over.Seconds()))
}

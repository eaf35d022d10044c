package report

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Chart is a run on one time axis: T is the start of each step, seconds of run
// time. All series are as long as T; NaN = nothing there.
type Chart struct {
	StepS    float64   `json:"step"`
	T        Values    `json:"t"`
	Offered  Values    `json:"offered"`  // arrivals per second, by schedule
	Answered Values    `json:"answered"` // of those, answered well
	Failed   Values    `json:"failed"`   // of those, failed or shed
	Latency  []Latency `json:"latency"`  // of those answered
	Ready    Values    `json:"ready"`    // empty where no pods were seen
	Desired  Values    `json:"desired"`  // empty where no autoscaler was seen
	Pods     Values    `json:"pods"`     // billed: starting and draining ones too
	Stages   []Stage   `json:"stages"`
}

// Latency is quantiles of one latency over time, in seconds.
type Latency struct {
	Name  string   `json:"name"` // "TTFT", "E2E"
	P50   Values   `json:"p50"`
	P95   Values   `json:"p95"`
	P99   Values   `json:"p99"`
	Limit *float64 `json:"limit"` // an objective's
}

// Stage is a stage of the profile.
type Stage struct {
	Name   string  `json:"name"`
	FromS  float64 `json:"from"`
	ToS    float64 `json:"to"`
	Warmup bool    `json:"warmup"`
}

// Values is a series; NaN is written as null, the rest with five digits.
type Values []float64

// MarshalJSON implements json.Marshaler.
func (v Values) MarshalJSON() ([]byte, error) {
	b := []byte{'['}
	for i, x := range v {
		if i > 0 {
			b = append(b, ',')
		}
		if math.IsNaN(x) || math.IsInf(x, 0) {
			b = append(b, "null"...)
			continue
		}
		// By way of a rounded number, since %g may write an exponent that JSON has but people do not read.
		r, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 5, 64), 64)
		if err != nil {
			return nil, err
		}
		n, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		b = append(b, n...)
	}
	return append(b, ']'), nil
}

// steps are the widths that a chart's step is chosen from, seconds.
var steps = []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600}

// ChartOf draws a run: at most 120 steps, each of whole seconds, with the
// latency limits that there are. It is nil for a run of no length.
func ChartOf(run *results.Run, limits results.Limits) *Chart {
	scheduled := 0.0 // until when there are arrivals
	for _, s := range run.Meta.Stages {
		scheduled = max(scheduled, s.ToS)
	}
	end := max(run.Meta.DurationS, scheduled)
	step := steps[len(steps)-1]
	for _, s := range steps {
		if end/s <= 120 {
			step = s
			break
		}
	}
	n := int(math.Ceil(end / step))
	if n == 0 {
		return nil
	}
	c := &Chart{StepS: step, T: fill(n, 0), Offered: fill(n, 0), Answered: fill(n, 0), Failed: fill(n, 0)}
	for i := range n {
		c.T[i] = float64(i) * step
	}
	for _, s := range run.Meta.Stages {
		c.Stages = append(c.Stages, Stage{s.Name, s.FromS, s.ToS, s.Warmup})
	}
	ttft, e2e := make([][]float64, n), make([][]float64, n)
	for i := range n {
		if scheduled > 0 && c.T[i] >= scheduled { // only the last answers are waited for: no load, not a load of 0
			c.Offered[i], c.Answered[i], c.Failed[i] = math.NaN(), math.NaN(), math.NaN()
		}
	}
	streams := false
	for _, r := range run.Requests {
		i := int(r.Scheduled.Seconds() / step)
		if i < 0 || i >= n {
			continue
		}
		c.Offered[i] += 1 / step
		if r.Outcome != results.OK {
			c.Failed[i] += 1 / step
			continue
		}
		c.Answered[i] += 1 / step
		e2e[i] = append(e2e[i], (r.Done - r.Scheduled).Seconds())
		if results.Happened(r.First) {
			streams = true
			ttft[i] = append(ttft[i], (r.First - r.Scheduled).Seconds())
		}
	}
	if streams {
		c.Latency = append(c.Latency, latencyOf("TTFT", ttft, limits.TTFT))
	}
	c.Latency = append(c.Latency, latencyOf("E2E", e2e, limits.E2E))
	if len(c.Latency) == 2 && limits.TTFT == 0 && limits.E2E > 0 {
		slices.Reverse(c.Latency) // the one with the limit first
	}
	c.replicas(run)
	return c
}

func fill(n int, x float64) Values { return slices.Repeat(Values{x}, n) }

func latencyOf(name string, bins [][]float64, limit time.Duration) Latency {
	n := len(bins)
	l := Latency{Name: name, P50: fill(n, math.NaN()), P95: fill(n, math.NaN()), P99: fill(n, math.NaN())}
	for i, b := range bins {
		if len(b) == 0 {
			continue
		}
		slices.Sort(b)
		// Nearest rank: a latency that was, not one in between.
		at := func(q float64) float64 { return b[max(int(math.Ceil(q*float64(len(b))))-1, 0)] }
		l.P50[i], l.P95[i], l.P99[i] = at(0.5), at(0.95), at(0.99)
	}
	if limit > 0 {
		x := limit.Seconds()
		l.Limit = &x
	}
	return l
}

// replicas fills in ready, desired and billed pods as of each step's start.
func (c *Chart) replicas(run *results.Run) {
	n := len(c.T)
	if len(run.Pods) > 0 {
		c.Ready, c.Pods = fill(n, 0), fill(n, 0)
		pods := slices.Clone(run.Pods)
		slices.SortStableFunc(pods, func(a, b results.Pod) int { return int(a.At - b.At) })
		phase := map[string]results.PodPhase{}
		next := 0
		for i := range n {
			for ; next < len(pods) && pods[next].At <= at(c.T[i]); next++ {
				switch p := pods[next]; p.Phase {
				case results.PodGone:
					delete(phase, p.Name)
				case results.PodFirstAnswer: // says nothing of the pod's state
				default:
					phase[p.Name] = p.Phase
				}
			}
			c.Pods[i] = float64(len(phase))
			for _, p := range phase {
				if p == results.PodReady {
					c.Ready[i]++
				}
			}
		}
	}
	if len(run.Syncs) > 0 {
		c.Desired = fill(n, float64(run.Syncs[0].Spec))
		next := 0
		for i := range n {
			for ; next < len(run.Syncs) && run.Syncs[next].At <= at(c.T[i]); next++ {
			}
			if next > 0 {
				c.Desired[i] = float64(run.Syncs[next-1].Replicas)
			}
		}
	}
}

func at(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

package report

import (
	"fmt"

	"github.com/hpatune/hpatune/results"
)

// Figure is a number with its unit; nil = not measured, and Why says why.
type Figure struct {
	Name  string
	Value *float64
	Unit  string // s, ratio, usd, h, "" = a count
	Why   string
}

// figuresOf lists a run's figures in the order they are shown.
func figuresOf(s results.Summary) []Figure {
	count := func(n int) *float64 { x := float64(n); return &x }
	out := []Figure{
		{"requests scheduled", count(s.Load.Scheduled), "", ""},
		{"delivered", s.Load.DeliveredRatio, "ratio", ""},
		{"answered well", count(s.Load.OK), "", ""},
		{"failed", count(s.Load.Failed.Total()), "", ""},
		{"of which 429", count(s.Load.Failed.HTTP429), "", ""},
		{"shed", count(s.Load.Shed), "", ""},
	}
	for _, l := range latencyRows(s.LatencyS) {
		if l.Q == nil {
			continue
		}
		q := *l.Q
		out = append(
			out,
			Figure{l.Name + " p50", &q.P50, "s", ""},
			Figure{l.Name + " p95", &q.P95, "s", ""},
			Figure{l.Name + " p99", &q.P99, "s", ""},
		)
	}
	r := s.Replicas
	const unseen = "no pods were observed"
	out = append(out,
		Figure{"replica-hours, billed", r.Hours, "h", unseen},
		Figure{"replicas, mean", r.Mean, "", unseen},
		Figure{"replicas, most", r.Max, "", unseen},
		Figure{"time to capacity", r.TimeToCapacityS, "s", "not measured"},
	)
	if l := s.Pods; l != nil {
		out = append(
			out,
			Figure{"pods created", count(l.Created), "", ""},
			Figure{"times a pod became unready", count(l.Unready), "", ""},
			Figure{"container restarts", count(l.Restarts), "", ""},
			Figure{"CPU periods throttled by the limit", l.ThrottledRatio, "ratio", "recorded only with run --throttling"},
		)
		if l.ReadyS != nil {
			out = append(
				out,
				Figure{"pod ready after, p50", &l.ReadyS.P50, "s", ""},
				Figure{"pod ready after, max", &l.ReadyS.Max, "s", ""},
			)
		}
	}
	if r.Flaps != nil {
		out = append(out, Figure{"flaps", count(*r.Flaps), "", ""})
	}
	return out
}

// latencyRow is one latency's quantiles.
type latencyRow struct {
	Name string
	Q    *results.Q
}

// latencyRows lists the latencies in the order in which they are shown; ITL and
// ICL are the longest gap of each answer.
func latencyRows(l results.Latencies) []latencyRow {
	return []latencyRow{
		{"TTFT", l.TTFT}, {"E2E", l.E2E}, {"ITL, longest per token", l.ITL}, {"TPOT", l.TPOT},
		{"ICL, longest gap", l.ICL}, {"TTFT from sent", l.TTFTFromSent}, {"E2E from sent", l.E2EFromSent},
	}
}

// compared is a row of two runs side by side.
type compared struct {
	Name, A, B, Change string
}

// compare sets the figures of two runs side by side; nil for one.
func compare(runs []Run) []compared {
	if len(runs) != 2 {
		return nil
	}
	of := map[string]Figure{}
	for _, f := range figuresOf(runs[1].Summary) {
		of[f.Name] = f
	}
	var out []compared
	for _, a := range figuresOf(runs[0].Summary) {
		b := of[a.Name]
		out = append(out, compared{a.Name, quantity(a.Value, a.Unit), quantity(b.Value, a.Unit), change(a.Value, b.Value)})
	}
	return out
}

// factsOf tells what was run, in a person's words.
func factsOf(m *results.Meta) []Fact {
	var out []Fact
	add := func(name, format string, args ...any) { out = append(out, Fact{name, fmt.Sprintf(format, args...)}) }
	if !m.Start.IsZero() {
		add("Started", "%s", m.Start.UTC().Format("2 January 2006, 15:04 UTC"))
	}
	if m.DurationS > 0 {
		add("Lasted", "%s", clock(m.DurationS))
	}
	if m.Speed > 1 {
		add("Speed", "%g × real time; all times are simulated time", m.Speed)
	}
	add("Profile", "%s, seed %d", m.Profile, m.Seed)
	if m.Target.Kind != "" {
		streams := ""
		if m.Target.Streams {
			streams = ", streamed"
		}
		add("Target", "%s (%s%s)", or(m.Target.URL, string(m.Target.Kind)), m.Target.Protocol, streams)
	}
	if m.Target.Connections != "" {
		add("Connections", "%s", m.Target.Connections)
	}
	if w := m.Workload; w.CPUMilli > 0 || w.MemoryBytes > 0 {
		add(
			"A replica requests",
			"%g CPU, %.4g GiB%s",
			float64(w.CPUMilli)/1000,
			float64(w.MemoryBytes)/(1<<30),
			gpus(w.GPUs),
		)
	}
	if h := m.HPA; h.Name != "" {
		add("Autoscaler", "%s by %s", h.Name, or(h.Controller, "unknown"))
		assumed := ""
		if h.Assumed {
			assumed = " (assumed; the flags cannot be read)"
		}
		add(
			"Controller",
			"sync %s, tolerance %s, downscale window %s%s",
			clock(h.SyncPeriodS),
			percent(h.Tolerance),
			clock(h.DownscaleStabilizationS),
			assumed,
		)
	}
	return out
}

func gpus(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d GPU", n)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

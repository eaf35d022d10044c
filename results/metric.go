package results

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Unit is what a figure is counted in.
type Unit string

// The units.
const (
	Seconds Unit = "s"
	Ratio   Unit = "ratio" // 0..1
	Hours   Unit = "h"
	Money   Unit = "usd" // of the price's currency, whichever it is
	Count   Unit = ""
)

// A Metric is something that an objective can be about: what it is called, and
// how a request, a timeline and a run each come by it. A function is nil where
// that side cannot know it.
//
// There are three kinds. A latency has OfRequest and InTimeline, and an
// objective takes a statistic of it; a share has CountRequest and CountTick; a
// figure of the whole run has OfRun and OfTimeline, or neither where it takes
// more than the records (a price).
type Metric struct {
	Name          string
	Unit          Unit
	LargerIsWorse bool
	Example       string // an objective about it, to copy

	// OfRequest is the latency of a request that was answered well, in run time;
	// false where the request has none (no TTFT without a stream).
	OfRequest func(*Request) (time.Duration, bool)
	// waitsFrom is when the wait for it begins, known however the request ended;
	// nil for latencies that lie between tokens.
	waitsFrom func(*Request) time.Duration
	// InTimeline is where a timeline keeps that latency of its answered requests:
	// empty where it was not measured, or is not modelled.
	InTimeline func(*Timeline) *Hist
	// Limit is its place among the limits that one request must meet.
	Limit func(*Limits) *time.Duration
	// Quantiles is its place in a summary.
	Quantiles func(*Latencies) **Q

	// CountRequest says what a request adds to the two parts of a share.
	CountRequest func(*Request, Limits) (part, whole float64)
	// CountTick says what a tick adds to them.
	CountTick func(*Tick) (part, whole float64)
	// WithinLimits says that the share is of requests within the limits of all
	// latency objectives, so that it is known only where those latencies are.
	WithinLimits bool

	// OfRun is the figure of a whole run and the number of records that it rests
	// on; NaN where they do not tell.
	OfRun func(*Run) (value float64, n int)
	// OfTimeline is the same of a timeline.
	OfTimeline func(*Timeline) float64
	// Missing says why there is no figure, where there is none.
	Missing string
}

// The latencies, each from the scheduled send unless its name says otherwise.
//
// ITL is the longest gap of an answer, divided by the tokens that a piece of it
// brought on average where the server counted them (Request.PerPiece); ICL is
// that gap as it is, between two pieces. TPOT spreads the tokens after the first
// evenly.
var latencies = []*Metric{
	{
		Name: "ttft", Example: "ttft.p95 < 500ms", waitsFrom: scheduled,
		OfRequest:  func(r *Request) (time.Duration, bool) { return between(r.Scheduled, r.First) },
		InTimeline: func(t *Timeline) *Hist { return &t.TTFT },
		Limit:      func(l *Limits) *time.Duration { return &l.TTFT },
		Quantiles:  func(l *Latencies) **Q { return &l.TTFT },
	},
	{
		Name: "itl", Example: "itl.p99 < 100ms",
		OfRequest:  (*Request).gapPerToken,
		InTimeline: func(t *Timeline) *Hist { return &t.ITL },
		Limit:      func(l *Limits) *time.Duration { return &l.ITL },
		Quantiles:  func(l *Latencies) **Q { return &l.ITL },
	},
	{
		Name: "tpot", Example: "tpot.p95 < 50ms",
		OfRequest:  (*Request).timePerToken,
		InTimeline: func(t *Timeline) *Hist { return &t.TPOT },
		Limit:      func(l *Limits) *time.Duration { return &l.TPOT },
		Quantiles:  func(l *Latencies) **Q { return &l.TPOT },
	},
	{
		Name: "e2e", Example: "e2e.p99 <= 2s", waitsFrom: scheduled,
		OfRequest:  func(r *Request) (time.Duration, bool) { return between(r.Scheduled, r.Done) },
		InTimeline: func(t *Timeline) *Hist { return &t.E2E },
		Limit:      func(l *Limits) *time.Duration { return &l.E2E },
		Quantiles:  func(l *Latencies) **Q { return &l.E2E },
	},
	{
		Name: "icl", Example: "icl.p99 < 500ms",
		OfRequest:  func(r *Request) (time.Duration, bool) { return r.GapMax, r.GapMax > 0 },
		InTimeline: func(t *Timeline) *Hist { return &t.ICL },
		Limit:      func(l *Limits) *time.Duration { return &l.ICL },
		Quantiles:  func(l *Latencies) **Q { return &l.ICL },
	},
	{
		Name: "ttft_from_sent", Example: "ttft_from_sent.p95 < 500ms", waitsFrom: sent,
		OfRequest:  func(r *Request) (time.Duration, bool) { return between(r.Sent, r.First) },
		InTimeline: func(t *Timeline) *Hist { return &t.TTFTFromSent },
		Limit:      func(l *Limits) *time.Duration { return &l.TTFTFromSent },
		Quantiles:  func(l *Latencies) **Q { return &l.TTFTFromSent },
	},
	{
		Name: "e2e_from_sent", Example: "e2e_from_sent.p99 <= 2s", waitsFrom: sent,
		OfRequest:  func(r *Request) (time.Duration, bool) { return between(r.Sent, r.Done) },
		InTimeline: func(t *Timeline) *Hist { return &t.E2EFromSent },
		Limit:      func(l *Limits) *time.Duration { return &l.E2EFromSent },
		Quantiles:  func(l *Latencies) **Q { return &l.E2EFromSent },
	},
}

const (
	noReplicas = "no replicas were observed"
	noPrice    = "needs a price and the resource requests of a replica"
)

var others = []*Metric{
	{
		Name: "error_rate", Unit: Ratio, LargerIsWorse: true, Example: "error_rate < 0.1%",
		CountRequest: func(r *Request, _ Limits) (part, whole float64) {
			switch {
			case r.Outcome == Canceled: // we ended it: nobody knows what it would have been
				return 0, 0
			case r.Outcome == OK:
				return 0, 1
			}
			return 1, 1
		},
		CountTick: func(t *Tick) (part, whole float64) { return t.Failed + t.Shed, t.Arrivals - t.Canceled },
	},
	{
		Name: "goodput", Unit: Ratio, Example: "goodput > 95%", WithinLimits: true,
		CountRequest: func(r *Request, l Limits) (part, whole float64) {
			switch {
			case l.Good(r):
				return 1, 1
			case r.Outcome == Canceled && !l.missedBy(r):
				return 0, 0
			}
			return 0, 1
		},
		CountTick: func(t *Tick) (part, whole float64) { return t.Good, t.Judged() },
	},
	{
		Name: "replica_hours", Unit: Hours, LargerIsWorse: true, Example: "replica_hours < 12", Missing: noReplicas,
		OfRun:      func(r *Run) (float64, int) { return valueOf(r.Replicas().Hours), len(r.Pods) },
		OfTimeline: func(t *Timeline) float64 { return t.hours(func(k *Tick) float64 { return k.Pods }) },
	},
	{
		Name: "ready_hours", Unit: Hours, LargerIsWorse: true, Example: "ready_hours < 12", Missing: noReplicas,
		OfRun:      func(r *Run) (float64, int) { return valueOf(r.Replicas().ReadyHours), len(r.Pods) },
		OfTimeline: func(t *Timeline) float64 { return t.hours(func(k *Tick) float64 { return k.Ready }) },
	},
	{Name: "usd_hour", Unit: Money, LargerIsWorse: true, Example: "usd_hour < 2", Missing: noPrice},
	{Name: "usd_month", Unit: Money, LargerIsWorse: true, Example: "usd_month < 900", Missing: noPrice},
	{
		Name: "flaps", LargerIsWorse: true, Example: "flaps <= 2", Missing: noReplicas,
		OfRun: func(r *Run) (float64, int) {
			n := r.Replicas().Flaps
			if n == nil {
				return math.NaN(), 0
			}
			return float64(*n), len(r.Syncs)
		},
		OfTimeline: (*Timeline).flaps,
	},
	{
		Name: "time_to_capacity", Unit: Seconds, LargerIsWorse: true, Example: "time_to_capacity < 90s", Missing: noReplicas,
		OfRun:      func(r *Run) (float64, int) { return valueOf(r.Replicas().TimeToCapacityS), len(r.Syncs) },
		OfTimeline: (*Timeline).timeToCapacity,
	},
}

// metrics are all of them, in the order in which they are listed to people.
var metrics = func() []*Metric {
	for _, m := range latencies {
		m.Unit, m.LargerIsWorse = Seconds, true
	}
	return append(slices.Clone(latencies), others...)
}()

// The rows that others than the judge ask for.
var (
	TTFT           = MetricOf("ttft")
	TPOT           = MetricOf("tpot")
	E2E            = MetricOf("e2e")
	GapPerToken    = MetricOf("itl")
	ErrorRate      = MetricOf("error_rate")
	Goodput        = MetricOf("goodput")
	ReplicaHours   = MetricOf("replica_hours")
	ReadyHours     = MetricOf("ready_hours")
	Flaps          = MetricOf("flaps")
	USDHour        = MetricOf("usd_hour")
	USDMonth       = MetricOf("usd_month")
	TimeToCapacity = MetricOf("time_to_capacity")
)

// Metrics lists what objectives can be about. The rows are shared: do not change
// them.
func Metrics() []*Metric { return slices.Clone(metrics) }

// MetricOf returns the metric of a name; nil where there is none.
func MetricOf(name string) *Metric {
	for _, m := range metrics {
		if m.Name == name {
			return m
		}
	}
	return nil
}

// Of returns the metric that the objective is about.
//
// It is nil only for an Objective that ParseObjective did not make.
func (o Objective) Of() *Metric { return MetricOf(o.Metric) }

// Latency reports whether the metric is of single requests, and an objective
// takes a statistic of it.
func (m *Metric) Latency() bool { return m.OfRequest != nil }

// ByWindow reports whether an objective can judge it window by window.
func (m *Metric) ByWindow() bool { return m.OfRequest != nil || m.CountRequest != nil }

// metricNames lists the names, for an error.
func metricNames() string {
	names := make([]string, len(metrics))
	for i, m := range metrics {
		names[i] = m.Name
	}
	return strings.Join(names, ", ")
}

func scheduled(r *Request) time.Duration { return r.Scheduled }
func sent(r *Request) time.Duration      { return r.Sent }

func between(from, to time.Duration) (time.Duration, bool) {
	return to - from, Happened(from) && Happened(to)
}

func valueOf(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

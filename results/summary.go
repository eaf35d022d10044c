package results

import (
	"slices"
	"time"
)

// Q are the quantiles of a latency, in seconds, by Percentile; nil = not
// measured.
type Q struct {
	N    int     `json:"n"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

// NewQ returns the quantiles of values, which it sorts; nil for none.
func NewQ(values []float64) *Q {
	if len(values) == 0 {
		return nil
	}
	slices.Sort(values) // each Percentile sorts again, which is quick then
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	at := func(q float64) float64 { return Percentile(values, q) }
	return &Q{
		N:    len(values),
		Mean: sum / float64(len(values)),
		P50:  at(0.5),
		P90:  at(0.9),
		P95:  at(0.95),
		P99:  at(0.99),
		P999: at(0.999),
		Max:  values[len(values)-1],
	}
}

// Summary is everything that `report RUN` shows of a run, and its JSON. Warm-up stages are
// left out of everything but Replicas; latencies are those of answered requests, in seconds
// of run time. nil = not measured.
type Summary struct {
	Schema     string         `json:"schema"`
	Run        string         `json:"run"`
	Partial    bool           `json:"partial"`
	Why        string         `json:"why,omitempty"` // why it is partial
	Start      time.Time      `json:"start"`
	DurationS  float64        `json:"duration_s"`
	Speed      float64        `json:"speed"`
	Trust      Trust          `json:"trust"`
	Load       Load           `json:"load"`
	LatencyS   Latencies      `json:"latency_s"`
	Tokens     Tokens         `json:"tokens"`
	Objectives []Judgement    `json:"objectives"`
	Replicas   Replicas       `json:"replicas"`
	Pods       *Pods          `json:"pods"` // nil = none were observed
	Backends   []BackendShare `json:"backends"`
	Servers    []ServerTime   `json:"servers"` // empty = their histograms were not recorded
	Gaps       []GapS         `json:"gaps"`
	Stages     []StageSummary `json:"stages"`
	Classes    []ClassSummary `json:"classes"`
	Errors     []ErrorCount   `json:"errors"`
	// WarmupErrors are those of warm-up stages, which no figure counts.
	WarmupErrors []ErrorCount    `json:"warmup_errors"`
	Capacity     *Capacity       `json:"capacity,omitempty"` // of a capacity search
	Reactions    []ReactionS     `json:"reactions,omitempty"`
	Warnings     []WarningInJSON `json:"warnings"`
}

// Load is what was offered, and what happened to it. Scheduled = Sent + Shed, and Sent = OK
// + the sum of Failed.
type Load struct {
	Scheduled int    `json:"scheduled"`
	Sent      int    `json:"sent"`
	Shed      int    `json:"shed"`
	OK        int    `json:"ok"`
	Good      int    `json:"good"` // within every per-request limit of the objectives at once
	Failed    Failed `json:"failed"`
	// DeliveredRatio is Sent / Scheduled.
	DeliveredRatio *float64 `json:"delivered_ratio"`
	// LatenessS is sent − scheduled, in seconds of wall time.
	LatenessS      *Q       `json:"lateness_s"`
	Connections    int      `json:"connections"`
	ClientCPURatio *float64 `json:"client_cpu_ratio"`
}

// Failed counts the failures by their names.
type Failed struct {
	Timeout   int `json:"timeout"`
	Connect   int `json:"connect"`
	Reset     int `json:"reset"`
	HTTP429   int `json:"http_429"`
	HTTP4xx   int `json:"http_4xx"`
	HTTP5xx   int `json:"http_5xx"`
	InBand    int `json:"in_band"`
	Truncated int `json:"truncated"`
	Canceled  int `json:"canceled"`
}

// Total is the number of failures.
func (f Failed) Total() int {
	return f.Timeout + f.Connect + f.Reset + f.HTTP429 + f.HTTP4xx + f.HTTP5xx + f.InBand + f.Truncated + f.Canceled
}

func (f *Failed) count(o Outcome) {
	switch o {
	case Timeout:
		f.Timeout++
	case Connect:
		f.Connect++
	case Reset:
		f.Reset++
	case HTTP429:
		f.HTTP429++
	case HTTP4xx:
		f.HTTP4xx++
	case HTTP5xx:
		f.HTTP5xx++
	case Truncated:
		f.Truncated++
	case Canceled:
		f.Canceled++
	default:
		f.InBand++
	}
}

// Latencies are the latencies of answered requests, as Request.Latency defines
// them. ITL is the longest gap of each answer.
type Latencies struct {
	TTFT         *Q `json:"ttft"`
	ITL          *Q `json:"itl"`
	TPOT         *Q `json:"tpot"`
	E2E          *Q `json:"e2e"`
	TTFTFromSent *Q `json:"ttft_from_sent"`
	E2EFromSent  *Q `json:"e2e_from_sent"`
	ICL          *Q `json:"icl"`
}

// Tokens are the tokens of answered requests; nil = not counted.
type Tokens struct {
	In     *int   `json:"in"`
	Out    *int   `json:"out"`
	Source string `json:"source"` // usage, chunks or none: chunks if any answer was counted so
}

// GapS is a Gap in seconds.
type GapS struct {
	Source GapSource `json:"source"`
	FromS  float64   `json:"from_s"`
	ToS    float64   `json:"to_s"`
	Why    string    `json:"why"`
}

// StageSummary is one stage. Warm-up stages are included here, but in no total.
type StageSummary struct {
	Name      string    `json:"name"`
	FromS     float64   `json:"from_s"`
	ToS       float64   `json:"to_s"`
	Warmup    bool      `json:"warmup"`
	Scheduled int       `json:"scheduled"`
	Sent      int       `json:"sent"`
	OK        int       `json:"ok"`
	LatencyS  Latencies `json:"latency_s"`
}

// ClassSummary is one class of requests.
type ClassSummary struct {
	Name      string    `json:"name"`
	Scheduled int       `json:"scheduled"`
	Sent      int       `json:"sent"`
	OK        int       `json:"ok"`
	Good      int       `json:"good"`
	LatencyS  Latencies `json:"latency_s"`
	Tokens    Tokens    `json:"tokens"`
}

// ErrorCount is an entry of the error table, and how often it occurred.
type ErrorCount struct {
	Error string `json:"error"`
	N     int    `json:"n"`
}

// WarningInJSON is a Warning in seconds.
type WarningInJSON struct {
	AtS  float64   `json:"at_s"`
	ID   WarningID `json:"id"`
	Text string    `json:"text"`
}

// Summarize computes the figures of a run. Good and the verdicts depend on objectives;
// extra figures are those that a run cannot know by itself (usd_month).
func Summarize(r *Run, objectives []Objective, extra ...Figure) Summary {
	limits := LimitsOf(objectives)
	measured := r.measured()
	s := Summary{
		Schema:     Schema,
		Run:        r.Meta.Run,
		Partial:    r.Meta.Partial,
		Why:        r.Meta.Why,
		Start:      r.Meta.Start,
		DurationS:  r.End().Seconds(),
		Speed:      r.Meta.Speed,
		Load:       loadOf(r, measured, limits),
		LatencyS:   latenciesOf(measured),
		Tokens:     tokensOf(measured),
		Objectives: r.Judge(objectives, extra...),
		Replicas:   r.Replicas(),
		Pods:       r.PodLives(),
		Backends:   r.Shares(),
		Servers:    r.ServerTimes(),
		Gaps:       []GapS{},
		Stages:     []StageSummary{},
		Classes:    []ClassSummary{},
		Errors:     []ErrorCount{},
		Warnings:   []WarningInJSON{},
		Capacity:   r.Meta.Capacity,
	}
	if s.Speed == 0 {
		s.Speed = 1
	}
	for _, g := range r.Gaps {
		s.Gaps = append(s.Gaps, GapS{g.Source, g.From.Seconds(), g.To.Seconds(), g.Why})
	}
	for _, w := range r.Warnings {
		s.Warnings = append(s.Warnings, WarningInJSON{w.At.Seconds(), w.ID, w.Text})
	}
	for _, x := range r.Reactions() {
		s.Reactions = append(s.Reactions, x.inSeconds())
	}
	byStage := group(r.Requests, func(q *Request) int { return int(q.Stage) })
	// If a stage or a class is all there is, it has the figures of the whole.
	of := func(in []*Request) (Load, Latencies) {
		if slices.Equal(in, measured) {
			return s.Load, s.LatencyS
		}
		return loadOf(r, in, limits), latenciesOf(in)
	}
	for i, st := range r.Meta.Stages {
		l, took := of(byStage[i])
		s.Stages = append(s.Stages, StageSummary{st.Name, st.FromS, st.ToS, st.Warmup, l.Scheduled, l.Sent, l.OK, took})
	}
	byClass := map[int][]*Request{}
	for _, q := range measured {
		byClass[int(q.Class)] = append(byClass[int(q.Class)], q)
	}
	for i, name := range r.Meta.Classes {
		in := byClass[i]
		l, took := of(in)
		s.Classes = append(s.Classes, ClassSummary{name, l.Scheduled, l.Sent, l.OK, l.Good, took, tokensOf(in)})
	}
	s.Errors = r.errorCounts(measured)
	s.WarmupErrors = r.errorCounts(r.warmedUp())
	s.Trust = judgeTrust(r, s, limits)
	return s
}

func group(rs []Request, by func(*Request) int) map[int][]*Request {
	m := map[int][]*Request{}
	for i := range rs {
		k := by(&rs[i])
		m[k] = append(m[k], &rs[i])
	}
	return m
}

func loadOf(r *Run, rs []*Request, limits Limits) Load {
	l := Load{Scheduled: len(rs), Connections: r.Meta.Client.Connections}
	clock := Clock{Speed: r.Meta.Speed}
	var late []float64
	for _, q := range rs {
		switch {
		case q.Outcome == Shed:
			l.Shed++
		case q.Outcome == OK:
			l.OK++
		default:
			l.Failed.count(q.Outcome)
		}
		if limits.Good(q) {
			l.Good++
		}
		if Happened(q.Sent) {
			late = append(late, clock.Wall(q.Sent-q.Scheduled).Seconds())
		}
	}
	l.Sent = l.Scheduled - l.Shed
	if l.Scheduled > 0 {
		l.DeliveredRatio = number(float64(l.Sent) / float64(l.Scheduled))
	}
	l.LatenessS = NewQ(late)
	if r.Meta.Client.CPUMeasured {
		l.ClientCPURatio = number(r.Meta.Client.CPURatio)
	}
	return l
}

func latenciesOf(rs []*Request) Latencies {
	var out Latencies
	for _, m := range latencies {
		var values []float64
		for _, q := range rs {
			if q.Outcome != OK {
				continue
			}
			if d, ok := m.OfRequest(q); ok {
				values = append(values, d.Seconds())
			}
		}
		*m.Quantiles(&out) = NewQ(values)
	}
	return out
}

func tokensOf(rs []*Request) Tokens {
	t := Tokens{Source: TokensNone.String()}
	in, out := 0, 0
	source := TokensNone
	for _, q := range rs {
		if q.Outcome != OK {
			continue
		}
		in += q.Prompt
		if q.TokensFrom != TokensNone {
			out += q.Tokens
			source = max(source, q.TokensFrom)
		}
	}
	if in > 0 {
		t.In = &in
	}
	if source != TokensNone {
		t.Out, t.Source = &out, source.String()
	}
	return t
}

// errorCounts returns the errors that occurred, the most common first. warmedUp are the
// requests of warm-up stages.
func (r *Run) warmedUp() (list []*Request) {
	for i := range r.Requests {
		if q := &r.Requests[i]; r.warmup(q) {
			list = append(list, q)
		}
	}
	return list
}

func (r *Run) errorCounts(rs []*Request) []ErrorCount {
	counts := make([]ErrorCount, len(r.Meta.Errors))
	for i, text := range r.Meta.Errors {
		counts[i].Error = text
	}
	for _, q := range rs {
		if q.Err >= 0 && int(q.Err) < len(counts) {
			counts[q.Err].N++
		}
	}
	counts = slices.DeleteFunc(counts, func(c ErrorCount) bool { return c.N == 0 })
	slices.SortStableFunc(counts, func(a, b ErrorCount) int { return b.N - a.N })
	return counts
}

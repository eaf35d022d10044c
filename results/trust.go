package results

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
)

// TrustVerdict says whether a run can be used as evidence.
type TrustVerdict string

// The verdicts on a run, best first.
const (
	Valid      TrustVerdict = "valid"
	Unverified TrustVerdict = "unverified" // it cannot be known
	Invalid    TrustVerdict = "invalid"
)

// Trust is the verdict on a run: the worst of its reasons.
type Trust struct {
	Verdict TrustVerdict `json:"verdict"`
	Reasons []Reason     `json:"reasons"`
}

// Reason is one check with its figure and its limit; nil = not measured, or no figure.
type Reason struct {
	ID      ReasonID     `json:"id"`
	Verdict TrustVerdict `json:"verdict"`
	Value   *float64     `json:"value"`
	Limit   *float64     `json:"limit"`
	Text    string       `json:"text"` // for the trust line
	// Touches are the metrics that it affects if it is not valid.
	Touches []string `json:"touches"`
}

// The limits of trust, and why they are where they are.
const (
	// Below 99.5 % delivered, the load was not the intended one: half a percent is what a
	// p99 objective can spare.
	deliveredLimit = 0.995
	// Lateness counts in every latency. A sleep on a busy machine costs 10 ms of wall time
	// (LOAD.md 4.4); above ten times that, the schedule was not kept.
	latenessDoubt   = 10 * time.Millisecond
	latenessInvalid = 100 * time.Millisecond
	// Above 80 % of its cores a client starts to queue; above 90 %, its own queueing
	// dominates the latencies it measures.
	cpuDoubt   = 0.80
	cpuInvalid = 0.90
	// The autoscaler's arithmetic assumes an even spread. A new replica that gets less than
	// half its fair share breaks that (LOAD.md B6 asks for 60 %).
	starvedLimit = 0.5
	// A replica below a quarter of its fair share got (nearly) nothing: connections that
	// never move, a selector that misses it. Above that are routers that are uneven by
	// design, such as those that send a prompt to the replica that has its prefix cached.
	nothingLimit = 0.25
	// With fewer expected requests, starvation and bad luck cannot be told apart: at 30,
	// half the share is 2.7 standard deviations off.
	starvedLeast = 30
	foreignLimit = 0.05
	// A source that could not be read for more than 5 % of the run may have missed a
	// rescale.
	gapLimit = 0.05
	// What the test bed adds by itself may be 5 % of a latency limit (DESIGN.md 4).
	floorLimit = 0.05
	// p95 needs 59 requests to have an interval at all.
	fewRequests = 100
)

// judgeTrust checks everything that can make a run invalid as evidence.
func judgeTrust(r *Run, s Summary, limits Limits) Trust {
	t := Trust{Verdict: Valid}
	checks := []func(*Run, Summary, Limits) []Reason{
		trustWhole,
		trustDelivered,
		trustLateness,
		trustCPU,
		trustShares,
		trustForeign,
		trustGaps,
		trustMeddled,
		trustFrozen,
		trustFloor,
	}
	if r.Meta.Target.Kind == OfLog { // others sent the load
		checks = []func(*Run, Summary, Limits) []Reason{trustWhole, trustImported, trustShares, trustGaps}
	}
	for _, check := range checks {
		t.Reasons = append(t.Reasons, check(r, s, limits)...)
	}
	for _, reason := range t.Reasons {
		if reason.Verdict == Invalid || reason.Verdict == Unverified && t.Verdict == Valid {
			t.Verdict = reason.Verdict
		}
	}
	return t
}

// Line is the trust line: every figure, then the verdict and the reasons for it.
func (t Trust) Line() string {
	var figures, spoilt []string
	for _, r := range t.Reasons {
		if r.Verdict == t.Verdict && t.Verdict != Valid {
			spoilt = append(spoilt, r.Text)
		} else {
			figures = append(figures, r.Text)
		}
	}
	line := strings.Join(figures, " · ")
	if line != "" {
		line += " → "
	}
	line += strings.ToUpper(string(t.Verdict))
	if len(spoilt) > 0 {
		line += ": " + strings.Join(spoilt, "; ")
	}
	return line
}

func reason(id ReasonID, v TrustVerdict, value, limit float64, format string, args ...any) Reason {
	return Reason{
		ID:      id,
		Verdict: v,
		Value:   number(value),
		Limit:   number(limit),
		Text:    fmt.Sprintf(format, args...),
		Touches: touched(id),
	}
}

// trustWhole: did it end as planned, and is there enough of it?
func trustWhole(r *Run, s Summary, _ Limits) []Reason {
	var out []Reason
	nan := math.NaN()
	if r.Meta.Partial {
		why := r.Meta.Why
		if why == "" {
			why = "it did not end as planned"
		}
		out = append(out, reason(ReasonPartial, Unverified, nan, nan, "partial run: %s", why))
	}
	planned, twice := 0, 0
	for _, st := range r.Meta.Stages {
		planned += st.Arrivals
	}
	for i := range r.Requests { // they are in order
		if i > 0 && r.Requests[i].Arrival == r.Requests[i-1].Arrival {
			twice++
		}
	}
	recorded := len(r.Requests) - twice
	if !r.Meta.Partial && planned > recorded {
		out = append(
			out,
			reason(
				"arrivals-missing",
				Invalid,
				float64(recorded),
				float64(planned),
				"%d of %d planned arrivals are missing from the log",
				planned-recorded,
				planned,
			),
		)
	}
	if twice > 0 {
		out = append(
			out,
			reason(ReasonTwice, Invalid, float64(twice), 0, "%d arrivals are in the log more than once", twice),
		)
	}
	switch n := s.Load.Scheduled; {
	case n == 0:
		out = append(out, reason(ReasonFew, Invalid, 0, fewRequests, "no requests after warm-up"))
	case n < fewRequests:
		out = append(out, reason(ReasonFew, Unverified, float64(n), fewRequests, "only %s", figure.Many(n, "request")))
	}
	return out
}

// trustImported: what a log that others wrote leaves out is unknown.
func trustImported(*Run, Summary, Limits) []Reason {
	return []Reason{
		reason(
			ReasonImported,
			Unverified,
			math.NaN(),
			math.NaN(),
			"imported log: whether requests are missing, and how late they were sent, is unknown",
		),
	}
}

func trustDelivered(r *Run, s Summary, _ Limits) []Reason {
	if s.Load.DeliveredRatio == nil {
		return nil
	}
	v, verdict := *s.Load.DeliveredRatio, Valid
	text := fmt.Sprintf("load delivered %s", figure.Percent(v))
	if v < deliveredLimit {
		verdict = Invalid
		why := "too many were in flight"
		if slices.ContainsFunc(r.Warnings, func(w Warning) bool { return w.ID == WarnWorkerLost }) {
			why = "a load generator was lost"
		}
		text += fmt.Sprintf(" (%d shed: %s)", s.Load.Shed, why)
	}
	return []Reason{reason(ReasonDelivered, verdict, v, deliveredLimit, "%s", text)}
}

func trustLateness(r *Run, s Summary, limits Limits) []Reason {
	if s.Load.LatenessS == nil {
		return nil
	}
	p99 := s.Load.LatenessS.P99
	// Where latencies are judged by long limits, 5 % of the tightest may be late.
	doubt := max(latenessDoubt.Seconds(), floorLimit*Clock{Speed: r.Meta.Speed}.Wall(limits.Tightest()).Seconds())
	invalid := max(latenessInvalid.Seconds(), 2*doubt)
	verdict, limit := Valid, doubt
	switch {
	case p99 > invalid:
		verdict, limit = Invalid, invalid
	case p99 > doubt:
		verdict = Unverified
	}
	text := fmt.Sprintf("lateness p99 %s", figure.Time(p99))
	if verdict != Valid {
		text += fmt.Sprintf(" (more than %s: the load generator was late)", figure.Time(limit))
	}
	return []Reason{reason(ReasonLateness, verdict, p99, limit, "%s", text)}
}

func trustCPU(r *Run, _ Summary, _ Limits) []Reason {
	if !r.Meta.Client.CPUMeasured {
		return []Reason{reason(ReasonCPU, Unverified, math.NaN(), cpuDoubt, "client CPU not measured")}
	}
	v := r.Meta.Client.CPURatio
	text := "client CPU " + figure.Percent(v)
	switch {
	case v > cpuInvalid:
		return []Reason{reason(ReasonCPU, Invalid, v, cpuInvalid, "%s (the load generator was the bottleneck)", text)}
	case v > cpuDoubt:
		return []Reason{
			reason(ReasonCPU, Unverified, v, cpuDoubt, "%s (the load generator may have been the bottleneck)", text),
		}
	}
	return []Reason{reason(ReasonCPU, Valid, v, cpuDoubt, "%s", text)}
}

// trustShares: did the replicas that were added during the run get their traffic?
func trustShares(r *Run, s Summary, _ Limits) []Reason {
	nan := math.NaN()
	lives := r.lives()
	newcomers := map[string]bool{} // by pod name and by address
	for _, l := range lives {
		if Happened(l.since) && l.since > 0 && l.created > 0 {
			newcomers[l.name] = true
			if l.backend != "" {
				newcomers[l.backend] = true
			}
		}
	}
	if len(lives) == 0 {
		if r.Meta.HPA.Name == "" && r.Meta.Target.Kind != OfHPA && r.Meta.Target.Kind != OfSandbox {
			return nil // one address, and nothing said of replicas
		}
		return []Reason{
			reason(
				ReasonNewReplicas,
				Unverified,
				nan,
				starvedLimit,
				"replicas not observed, so their shares of traffic are unknown",
			),
		}
	}
	if len(newcomers) == 0 {
		return []Reason{reason(ReasonNewReplicas, Valid, nan, starvedLimit, "no new replicas")}
	}
	seen := false
	worst := math.Inf(1)
	var shares, starved []string
	matched := map[string]bool{}
	for _, b := range s.Backends {
		if b.FairShare != nil {
			seen = true
		}
		if !newcomers[b.Backend] || b.FairShare == nil || *b.FairShare == 0 {
			continue
		}
		matched[b.Backend] = true
		if b.expected < starvedLeast {
			continue
		}
		of := *b.Share / *b.FairShare
		// All requests of a connection go to one replica. If connections live for seconds,
		// a small share of few requests is chance; if they live forever, it is not.
		if of < starvedLimit && r.Meta.Target.Connections == Realistic && b.Requests > 0 && b.opened < starvedLeast {
			continue
		}
		worst = min(worst, of)
		shares = append(shares, fmt.Sprintf("%.0f", 100*of))
		if of < starvedLimit {
			starved = append(
				starved,
				fmt.Sprintf(
					"%s got %s of the traffic, its fair share is %s",
					b.Backend,
					figure.Percent(*b.Share),
					figure.Percent(*b.FairShare),
				),
			)
		}
	}
	if !seen {
		return []Reason{
			reason(
				ReasonNewReplicas,
				Unverified,
				nan,
				starvedLimit,
				"which replica answered is not visible, so new replicas may have got no traffic",
			),
		}
	}
	// A newcomer that never answered is not in the table at all.
	silent := r.silent(lives, s.Backends)
	starved = append(starved, silent...)
	if len(starved) > 0 {
		if math.IsInf(worst, 1) || len(silent) > 0 {
			worst = 0
		}
		if worst < nothingLimit {
			return []Reason{
				reason(ReasonNewReplicas, Invalid, worst, nothingLimit, "new replicas starved: %s", strings.Join(starved, "; ")),
			}
		}
		return []Reason{
			reason(ReasonNewReplicas, Unverified, worst, starvedLimit, "replicas are uneven: %s", strings.Join(starved, "; ")),
		}
	}
	if len(shares) == 0 {
		return []Reason{
			reason(
				ReasonNewReplicas,
				Valid,
				nan,
				starvedLimit,
				"the new pods did not live long enough to judge their share of traffic",
			),
		}
	}
	if len(shares) > 6 {
		return []Reason{
			reason(
				ReasonNewReplicas,
				Valid,
				worst,
				starvedLimit,
				"%d new replicas got at least %s of their fair share",
				len(shares),
				figure.Percent(worst),
			),
		}
	}
	return []Reason{
		reason(
			ReasonNewReplicas,
			Valid,
			worst,
			starvedLimit,
			"new replicas got %s %% of their fair share",
			strings.Join(shares, "/"),
		),
	}
}

// silent lists the pods that became ready during the run and could have expected enough
// traffic, but are not among the backends.
func (r *Run) silent(lives []*life, backends []BackendShare) []string {
	known := map[string]bool{}
	for _, b := range r.Meta.Backends {
		known[b.Name], known[b.Address] = true, true
	}
	ready := r.sizes().ready
	var out []string
	for _, l := range lives {
		if !Happened(l.since) || l.since <= 0 || known[l.name] || l.backend != "" && known[l.backend] {
			continue
		}
		expected := 0.0
		for i := range r.Requests {
			q := &r.Requests[i]
			if !Happened(q.Sent) || r.warmup(q) || q.Backend < 0 {
				continue
			}
			for _, p := range l.ready {
				if n := ready.before(q.Sent + 1); q.Sent >= p.from+shareDelay && q.Sent < p.to && n > 0 {
					expected += 1 / n
				}
			}
		}
		if expected >= starvedLeast {
			out = append(out, fmt.Sprintf("%s got nothing, its fair share is %.0f requests", l.name, expected))
		}
	}
	return out
}

// trustForeign: did the servers serve what was sent, and nothing else? If that is unknown,
// a run at a URL relies on whoever passed the URL; in a cluster, the metrics of the pods
// are checked, too.
func trustForeign(r *Run, _ Summary, _ Limits) []Reason {
	ratio := r.Meta.Client.ForeignRatio
	switch {
	case ratio == nil && r.Meta.Target.Kind == OfURL:
		return []Reason{
			reason(
				ReasonForeign,
				Unverified,
				math.NaN(),
				foreignLimit,
				"foreign traffic not checked: the server's /metrics has no known request counter, so others may also have "+
					"sent requests",
			),
		}
	case ratio == nil:
		return []Reason{reason(ReasonForeign, Valid, math.NaN(), foreignLimit, "foreign traffic not checked")}
	}
	verdict, text := Valid, fmt.Sprintf("foreign traffic %s", figure.Percent(*ratio))
	if math.Abs(*ratio) > foreignLimit {
		verdict = Invalid
		text += ": the servers also answered requests of others"
		if *ratio < 0 {
			text = fmt.Sprintf("the servers counted %s fewer requests than were sent", figure.Percent(-*ratio))
		}
	}
	return []Reason{reason(ReasonForeign, verdict, *ratio, foreignLimit, "%s", text)}
}

func trustGaps(r *Run, _ Summary, _ Limits) []Reason {
	end := r.End()
	if end <= 0 {
		return nil
	}
	blind := map[GapSource]time.Duration{}
	for _, g := range r.Gaps {
		blind[g.Source] += max(min(g.To, end)-max(g.From, 0), 0)
	}
	source, longest := GapSource(""), time.Duration(0)
	for s, d := range blind {
		if d > longest || d == longest && s < source {
			source, longest = s, d
		}
	}
	if longest == 0 {
		return nil
	}
	v, verdict := float64(longest)/float64(end), Valid
	if v > gapLimit {
		verdict = Unverified
	}
	return []Reason{
		reason(ReasonGaps, verdict, v, gapLimit, "%s was not observed for %s of the run", source, figure.Percent(v)),
	}
}

func trustFloor(r *Run, _ Summary, limits Limits) []Reason {
	floor, tightest := r.Meta.Client.FloorS, limits.Tightest().Seconds()
	if r.Meta.Target.Kind == OfSandbox && floor == 0 {
		return []Reason{
			reason(
				ReasonFloor,
				Unverified,
				math.NaN(),
				floorLimit,
				"latency added by the sandbox (sandbox floor) not measured",
			),
		}
	}
	if floor == 0 || tightest == 0 {
		return nil
	}
	v, verdict := floor/tightest, Valid
	text := fmt.Sprintf("the sandbox adds %s per request (sandbox floor)", figure.Time(floor))
	if v > floorLimit {
		verdict = Unverified
		text += fmt.Sprintf(", which is %s of the tightest limit, so latency cannot be trusted", figure.Percent(v))
	}
	return []Reason{reason(ReasonFloor, verdict, v, floorLimit, "%s", text)}
}

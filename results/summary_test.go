package results

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

const sec = time.Second

// scaled is a run of 100 s at 10/s on pod a, and from 50 s on pods a and b; the
// share of b from then on is share.
func scaled(share float64) *Run {
	r := steady(1000)
	r.Meta.HPA.Name = "inference"
	r.Meta.Client.CPUMeasured, r.Meta.Client.CPURatio = true, 0.3
	r.Meta.Backends = []Backend{{Name: "a"}, {Name: "b"}}
	r.Pods = []Pod{
		{At: -60 * sec, Name: "a", Phase: PodCreated}, {At: -30 * sec, Name: "a", Phase: PodReady},
		{At: 40 * sec, Name: "b", Phase: PodCreated}, {At: 50 * sec, Name: "b", Phase: PodReady},
		{At: 90 * sec, Name: "b", Phase: PodDeleted}, {At: 95 * sec, Name: "b", Phase: PodGone},
	}
	r.Syncs = []Sync{{At: 35 * sec, Spec: 1, Status: 1, Desired: 2, Replicas: 2}, {At: 90 * sec, Spec: 2, Desired: 1, Replicas: 1}}
	carry := 0.0
	for i := range r.Requests {
		q := &r.Requests[i]
		q.Backend = 0
		if q.Scheduled >= 50*sec && q.Scheduled < 90*sec {
			if carry += share; carry >= 1 {
				carry--
				q.Backend = 1
			}
		}
	}
	return r
}

func TestReplicasAndTimelineOfAScaledRun(t *testing.T) {
	r := scaled(0.5)
	got := r.Replicas()
	// a for 100 s, b from 40 to 95.
	want := map[string][2]float64{
		"min": {*got.Min, 1}, "max": {*got.Max, 2}, "mean": {*got.Mean, 1.55}, "hours": {*got.Hours, 155.0 / 3600},
		"ready_hours": {*got.ReadyHours, 140.0 / 3600}, "flaps": {float64(*got.Flaps), 1}, "time_to_capacity_s": {*got.TimeToCapacityS, 15},
	}
	for name, v := range want {
		if math.Abs(v[0]-v[1]) > 1e-9 {
			t.Errorf("%s = %v, want %v", name, v[0], v[1])
		}
	}
	for _, step := range []time.Duration{sec, 7 * sec, 15 * sec} {
		tl := r.Timeline(step)
		pods, arrivals, done := 0.0, 0.0, 0.0
		for _, k := range tl.Ticks[:int(100*sec/step)] {
			pods += k.Pods * step.Seconds()
		}
		for _, k := range tl.Ticks {
			arrivals += k.Arrivals
			done += k.Done
		}
		full := (time.Duration(int(100*sec/step)) * step).Seconds()
		if wantPods := full + min(full, 95) - 40; math.Abs(pods-wantPods) > 1e-6 {
			t.Errorf("step %v: %v pod seconds up to %vs, want %v", step, pods, full, wantPods)
		}
		if arrivals != 1000 || done != 1000 {
			t.Errorf("step %v: %v arrivals, %v done, want 1000", step, arrivals, done)
		}
	}
	tl := r.Timeline(sec)
	for _, c := range []struct {
		tick          int
		spec, desired float64
		ready         float64
	}{{0, 1, 1, 1}, {34, 1, 1, 1}, {35, 2, 2, 1}, {49, 2, 2, 1}, {50, 2, 2, 2}, {90, 1, 1, 1}} {
		if k := tl.Ticks[c.tick]; k.Spec != c.spec || k.Desired != c.desired || k.Ready != c.ready {
			t.Errorf("tick %d: %+v, want spec %v, desired %v, ready %v", c.tick, k, c.spec, c.desired, c.ready)
		}
	}
	// b becomes ready late in one second, and the HPA wants a third replica late in the next.
	again := scaled(0.5)
	again.Pods[3].At = 49*sec + 900*time.Millisecond
	again.Syncs = slices.Insert(again.Syncs, 1, Sync{At: 51*sec + 200*time.Millisecond, Spec: 2, Status: 2, Desired: 3, Replicas: 3})
	again.Syncs[2].At = 60 * sec
	tl = again.Timeline(sec)
	exact, ticks := *again.Replicas().TimeToCapacityS, tl.timeToCapacity()
	if math.Abs(exact-14.9) > 1e-6 || math.Abs(exact-ticks) > 1 {
		t.Errorf("two shortages 1.3 s apart: %v s from the records, %v s from the ticks", exact, ticks)
	}
	if k := steady(10).Timeline(sec).Ticks[0]; !math.IsNaN(k.Pods) || !math.IsNaN(k.Spec) || !math.IsNaN(k.Waiting) {
		t.Errorf("a run without a cluster knows its size: %+v", k)
	}
}

func TestTimelineCountsInFlight(t *testing.T) {
	r := &Run{Meta: Meta{DurationS: 5}}
	r.Requests = []Request{request(0, 500*time.Millisecond, 2*sec), request(1, 1500*time.Millisecond, 100*time.Millisecond), request(2, 2*sec, 100*sec)}
	var got []float64
	for _, k := range r.Timeline(sec).Ticks[:5] {
		got = append(got, k.InFlight)
	}
	if want := []float64{1, 1, 1, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("in flight at the ticks' ends: %v, want %v", got, want)
	}
}

func reasonOf(t *testing.T, tr Trust, id ReasonID) Reason {
	t.Helper()
	for _, r := range tr.Reasons {
		if r.ID == id {
			return r
		}
	}
	return Reason{}
}

func TestTrust(t *testing.T) {
	late := func(d time.Duration) func(*Run) {
		return func(r *Run) {
			for i := range r.Requests {
				r.Requests[i].Sent += d
			}
		}
	}
	realistic := func(share float64, every int) func(*Run) { // a new connection for every so many requests
		return func(r *Run) {
			*r = *scaled(share)
			r.Meta.Target.Connections = "realistic"
			for i := range r.Requests {
				r.Requests[i].NewConn = i%every == 0
			}
		}
	}
	atURL := func(r *Run) { r.Meta.Target.Kind = "url" }
	foreign := func(v float64) func(*Run) { return func(r *Run) { r.Meta.Client.ForeignRatio = &v } }
	for _, c := range []struct {
		sentence string
		change   func(*Run)
		want     TrustVerdict
		id       ReasonID // the reason that spoils it
	}{
		{"a clean run is valid", func(*Run) {}, Valid, ""},
		{"shed load was not delivered", func(r *Run) {
			for i := range 10 {
				r.Requests[i].Outcome, r.Requests[i].Sent = Shed, NotYet
			}
		}, Invalid, "load-delivered"},
		{"half a percent may be shed", func(r *Run) {
			for i := range 5 {
				r.Requests[i].Outcome, r.Requests[i].Sent = Shed, NotYet
			}
		}, Valid, ""},
		{"planned arrivals that are not in the log", func(r *Run) { r.Requests = r.Requests[:900] }, Invalid, "arrivals-missing"},
		{"20 ms late are within 5 % of the limit", late(20 * time.Millisecond), Valid, ""},
		{"late by 150 ms", late(150 * time.Millisecond), Unverified, "lateness"},
		{"late by a second", late(sec), Invalid, "lateness"},
		{"lateness is judged in wall time", func(r *Run) {
			r.Meta.Speed = 20
			for i := range r.Requests {
				r.Requests[i].Sent += 100 * time.Millisecond // 5 ms of wall time
			}
		}, Valid, ""},
		{"a busy client", func(r *Run) { r.Meta.Client.CPURatio = 0.85 }, Unverified, "client-cpu"},
		{"a client that was the bottleneck", func(r *Run) { r.Meta.Client.CPURatio = 0.95 }, Invalid, "client-cpu"},
		{"a client nobody measured", func(r *Run) { r.Meta.Client.CPUMeasured = false }, Unverified, "client-cpu"},
		{"others used the servers too", foreign(0.2), Invalid, "foreign-traffic"},
		{"few others", foreign(0.03), Valid, ""},
		{"an address whose servers do not say whom they served", atURL, Unverified, "foreign-traffic"},
		{"an address whose servers agree", func(r *Run) { atURL(r); foreign(0)(r) }, Valid, ""},
		{"a new replica that got a tenth", func(r *Run) { *r = *scaled(0.1) }, Invalid, "new-replicas"},
		{"one that got 0.4 of its share: routers may be uneven by design", func(r *Run) { *r = *scaled(0.2) }, Unverified, "new-replicas"},
		{"a tenth over a few connections of limited age is what luck deals out", realistic(0.1, 10), Valid, ""},
		{"a tenth over many connections is not", realistic(0.1, 5), Invalid, "new-replicas"},
		{"nothing at all is not, over however few", func(r *Run) { realistic(0, 10)(r); r.Meta.Backends = r.Meta.Backends[:1] }, Invalid, "new-replicas"},
		{"a new replica that got a third", func(r *Run) { *r = *scaled(0.33) }, Valid, ""},
		{"a new replica that got nothing", func(r *Run) { *r = *scaled(0); r.Meta.Backends = r.Meta.Backends[:1] }, Invalid, "new-replicas"},
		{"backends that cannot be seen", func(r *Run) {
			r.Meta.Backends = nil
			for i := range r.Requests {
				r.Requests[i].Backend = -1
			}
		}, Unverified, "new-replicas"},
		{"replicas that cannot be seen", func(r *Run) { r.Pods = nil }, Unverified, "new-replicas"},
		{"a blind observer", func(r *Run) { r.Gaps = []Gap{{Source: "kube", From: 20 * sec, To: 40 * sec}} }, Unverified, "observer-gaps"},
		{"a short gap", func(r *Run) { r.Gaps = []Gap{{Source: "kube", From: 20 * sec, To: 22 * sec}} }, Valid, ""},
		{"an HPA that was edited in mid-run", func(r *Run) { r.Warnings = []Warning{{At: 30 * sec, ID: "hpa-edited"}} }, Unverified, "hpa-edited"},
		{"an arrival that is missing", func(r *Run) { r.Requests = r.Requests[1:] }, Invalid, "arrivals-missing"},
		{"an arrival that is there twice, in the place of another", func(r *Run) { r.Requests[7] = r.Requests[6] }, Invalid, "arrivals-twice"},
		{"the sandbox's own latency is too much of the limit", func(r *Run) { r.Meta.Client.FloorS = 0.2 }, Unverified, "sandbox-floor"},
		{"an interrupted run", func(r *Run) { r.Meta.Partial, r.Meta.Why = true, "interrupted" }, Unverified, "partial"},
		{"few requests", func(r *Run) { r.Requests = r.Requests[:50]; r.Meta.Stages[0].Arrivals = 50; r.Pods = r.Pods[:2] }, Unverified, "too-few-requests"},
		{"none", func(r *Run) { r.Requests = nil; r.Meta.Stages[0].Arrivals = 0 }, Invalid, "too-few-requests"},
	} {
		r := scaled(0.5)
		c.change(r)
		objectives, err := ParseObjectives([]string{"e2e.p95 < 2s"})
		if err != nil {
			t.Fatal(err)
		}
		got := Summarize(r, objectives).Trust
		if got.Verdict != c.want {
			t.Errorf("%s: %s, want %s", c.sentence, got.Line(), c.want)
		}
		if c.id != "" && reasonOf(t, got, c.id).Verdict != c.want {
			t.Errorf("%s: reason %s is %+v", c.sentence, c.id, reasonOf(t, got, c.id))
		}
		if line := got.Line(); strings.Contains(line, "\n") || !strings.Contains(line, strings.ToUpper(string(got.Verdict))) {
			t.Errorf("%s: line %q", c.sentence, line)
		}
	}
	want := "load delivered 100 % · lateness p99 0 s · client CPU 30 % · new replicas got 100 % of their fair share · foreign traffic not checked → VALID"
	if got := Summarize(scaled(0.5), nil).Trust.Line(); got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}

// A reason spoils the metrics that it touches, and no others.
func TestAReasonSpoilsWhatItTouches(t *testing.T) {
	late := func(r *Run) {
		for i := range r.Requests {
			r.Requests[i].Sent += sec
		}
	}
	busy := func(r *Run) { r.Meta.Client.CPURatio = 0.95 }
	missing := func(r *Run) { r.Requests = r.Requests[1:] }
	for _, c := range []struct {
		sentence  string
		change    func(*Run)
		objective string
		want      bool
	}{
		{"lateness spoils what counts from the schedule", late, "e2e.p95 < 2s", true},
		{"lateness spoils no error rate", late, "error_rate < 1%", false},
		{"nor time per token", late, "tpot.p95 < 1s", false},
		{"nor what counts from the send", late, "e2e_from_sent.p95 < 2s", false},
		{"a busy client spoils that", busy, "e2e_from_sent.p95 < 2s", true},
		{"but no error rate", busy, "error_rate < 1%", false},
		{"nor the size", busy, "replica_hours < 9", false},
		{"a log that lacks arrivals spoils all", missing, "error_rate < 1%", true},
		{"and the size", missing, "replica_hours < 9", true},
		{"a valid run spoils nothing", func(*Run) {}, "e2e.p95 < 2s", false},
		{"without objectives any reason does", late, "", true},
	} {
		r := scaled(0.5)
		c.change(r)
		var texts []string
		if c.objective != "" {
			texts = []string{c.objective}
		}
		objectives, err := ParseObjectives(texts)
		if err != nil {
			t.Fatal(err)
		}
		trust := Summarize(r, objectives).Trust
		if got := trust.Spoils(objectives); got != c.want {
			t.Errorf("%s: %s spoils %q: %v, want %v", c.sentence, trust.Line(), c.objective, got, c.want)
		}
		for _, reason := range trust.Reasons {
			if len(reason.Touches) == 0 {
				t.Errorf("%s: reason %s touches nothing", c.sentence, reason.ID)
			}
		}
	}
}

func TestErrorsOfTheWarmUpStandApart(t *testing.T) {
	r := scaled(0.5)
	r.Meta.Errors = []string{"HTTP 404", "HTTP 500"}
	r.Meta.Stages = append([]StageInfo{{Name: "warm-up", Warmup: true}}, r.Meta.Stages...)
	for i := range r.Requests {
		r.Requests[i].Stage = 1
	}
	r.Requests[0].Stage, r.Requests[0].Outcome, r.Requests[0].Err = 0, HTTP4xx, 0
	r.Requests[9].Outcome, r.Requests[9].Err = HTTP5xx, 1
	s := Summarize(r, nil)
	if len(s.WarmupErrors) != 1 || s.WarmupErrors[0].Error != "HTTP 404" || len(s.Errors) != 1 || s.Errors[0].Error != "HTTP 500" {
		t.Errorf("errors %v, of the warm-up %v", s.Errors, s.WarmupErrors)
	}
}

func TestSharesAreOfTheTimeABackendWasReady(t *testing.T) {
	s := Summarize(scaled(0.5), nil)
	if len(s.Backends) != 2 {
		t.Fatalf("%d backends", len(s.Backends))
	}
	b := s.Backends[1]
	if b.Backend != "b" || *b.ReadyAtS != 50 || b.Requests != 200 || math.Abs(*b.Share-0.5) > 0.01 || math.Abs(*b.FairShare-0.5) > 0.01 {
		t.Errorf("backend b: %+v, share %v of fair %v; want half of half", b, show(b.Share), show(b.FairShare))
	}
	a := s.Backends[0]
	if math.Abs(*a.Share-0.8) > 0.01 || math.Abs(*a.FairShare-0.8) > 0.01 {
		t.Errorf("backend a: share %v of fair %v, want 0.8 of 0.8", show(a.Share), show(a.FairShare))
	}
}

// The JSON of report has the names of INTERFACES.md, and null for what was not
// measured.
func TestSummaryJSON(t *testing.T) {
	r := steady(200)
	r.Requests[0].Outcome, r.Requests[1].Outcome = Timeout, Shed
	r.Requests[1].Sent = NotYet
	objectives, _ := ParseObjectives([]string{"ttft.p95 < 500ms", "e2e.p95 < 1s"})
	data, err := json.Marshal(Summarize(r, objectives))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	at := func(path string) any {
		var v any = got
		for _, k := range strings.Split(path, ".") {
			m, ok := v.(map[string]any)
			if l, isList := v.([]any); isList && k == "0" && len(l) > 0 {
				v = l[0]
				continue
			}
			if !ok {
				t.Errorf("%s: no object at %s", path, k)
				return nil
			}
			if v, ok = m[k]; !ok {
				t.Errorf("%s: no field %s", path, k)
			}
		}
		return v
	}
	for _, path := range strings.Fields(`schema run partial start duration_s speed trust.verdict trust.reasons.0.id trust.reasons.0.verdict trust.reasons.0.value
		trust.reasons.0.limit trust.reasons.0.text load.scheduled load.sent load.shed load.ok load.good load.failed.timeout load.failed.connect load.failed.reset
		load.failed.http_429 load.failed.http_4xx load.failed.http_5xx load.failed.in_band load.failed.truncated load.failed.canceled load.delivered_ratio
		load.lateness_s.n load.lateness_s.mean load.lateness_s.p50 load.lateness_s.p90 load.lateness_s.p95 load.lateness_s.p99 load.lateness_s.p999 load.lateness_s.max
		load.connections load.client_cpu_ratio latency_s.ttft latency_s.itl latency_s.tpot latency_s.e2e latency_s.ttft_from_sent latency_s.e2e_from_sent
		tokens.in tokens.out tokens.source objectives.0.text objectives.0.value objectives.0.lo objectives.0.hi objectives.0.limit objectives.0.unit objectives.0.n
		objectives.0.attainment objectives.0.verdict replicas.min replicas.max replicas.mean replicas.hours replicas.ready_hours replicas.flaps backends gaps
		stages.0.name stages.0.from_s stages.0.to_s stages.0.warmup stages.0.scheduled stages.0.sent stages.0.ok stages.0.latency_s.e2e classes.0.name`) {
		at(path)
	}
	for path, want := range map[string]any{
		"schema": "hpatune.run/v1", "load.scheduled": 200.0, "load.sent": 199.0, "load.shed": 1.0, "load.ok": 198.0, "load.failed.timeout": 1.0,
		"latency_s.ttft": nil, "replicas.min": nil, "replicas.flaps": nil, "tokens.in": nil, "tokens.source": "none", "load.client_cpu_ratio": nil,
		"objectives.0.verdict": "unknown", "objectives.0.value": nil, "load.delivered_ratio": 0.995,
	} {
		if v := at(path); v != want {
			t.Errorf("%s = %v, want %v", path, v, want)
		}
	}
	if l, ok := got["backends"].([]any); !ok || len(l) != 0 {
		t.Errorf("backends = %v, want []", got["backends"])
	}
}

func TestLatenciesOfAStream(t *testing.T) {
	ms := time.Millisecond
	q := Request{Scheduled: 0, Sent: 10 * ms, First: 110 * ms, Last: 510 * ms, Done: 520 * ms, Tokens: 5, TokensFrom: TokensUsage, GapMax: 150 * ms}
	for metric, want := range map[string]time.Duration{"ttft": 110 * ms, "ttft_from_sent": 100 * ms, "e2e": 520 * ms, "e2e_from_sent": 510 * ms, "itl": 150 * ms, "tpot": 100 * ms} {
		if got, ok := q.Latency(metric); !ok || got != want {
			t.Errorf("Latency(%s) = %v, %v, want %v", metric, got, ok, want)
		}
	}
	q.Tokens = 1
	if _, ok := q.Latency("tpot"); ok {
		t.Error("one token has a time per output token")
	}
	limits := Limits{TTFT: 120 * ms, E2E: 500 * ms}
	if limits.Good(&q) {
		t.Error("late to end, and good")
	}
	limits.E2E = 520 * ms
	if !limits.Good(&q) {
		t.Error("within both limits, and not good")
	}
	q.Outcome = Truncated
	if limits.Good(&q) {
		t.Error("truncated, and good")
	}
}

// A stage or a class that is all there is shares the figures of the whole; one that has as many
// requests, but others, does not.
func TestStagesAndClassesHaveTheirOwnFigures(t *testing.T) {
	run := func(stages ...int16) *Run {
		r := &Run{Meta: Meta{Stages: []StageInfo{{Name: "up", Warmup: true, ToS: 2}, {Name: "flat", FromS: 2, ToS: 4}},
			Classes: []string{"a", "b"}}}
		for i, stage := range stages {
			at := time.Duration(i) * time.Second
			r.Requests = append(r.Requests, Request{Arrival: i, Stage: stage, Class: stage, Scheduled: at, Sent: at,
				First: NotYet, Last: NotYet, Done: at + time.Duration(i+1)*100*time.Millisecond, Outcome: OK, Backend: -1,
				Err: -1})
		}
		return r
	}
	for _, c := range []struct {
		sentence string
		run      *Run
		stages   [2]float64 // mean time to the end
	}{
		{"two in the warm-up, two after it", run(0, 0, 1, 1), [2]float64{0.15, 0.35}},
		{"all after it", run(1, 1), [2]float64{0, 0.15}},
		{"all in it", run(0, 0), [2]float64{0.15, 0}},
	} {
		s := Summarize(c.run, nil)
		for i, want := range c.stages {
			got := 0.0
			if q := s.Stages[i].LatencyS.E2E; q != nil {
				got = q.Mean
			}
			if math.Abs(got-want) > 1e-9 {
				t.Errorf("%s: stage %d takes %v s, want %v", c.sentence, i, got, want)
			}
		}
	}
}

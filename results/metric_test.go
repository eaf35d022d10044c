package results

import (
	"math"
	"strings"
	"testing"
	"time"
)

// observed is a run in which everything was seen: streams in pieces, replicas,
// reconciles, and a warm-up that is much worse than the rest.
func observed() *Run {
	r := scaled(0.5)
	r.Meta.Target.Streams = true
	r.Meta.Stages = []StageInfo{{Name: "warm-up", ToS: 10, Warmup: true}, {Name: "hold", FromS: 10, ToS: 100}}
	for i := range r.Requests {
		q := &r.Requests[i]
		if q.Scheduled < 10*time.Second {
			q.Outcome = HTTP5xx
			continue
		}
		if q.Stage = 1; i%130 == 0 {
			q.Outcome = Timeout
		}
		q.Sent = q.Scheduled + 20*time.Millisecond
		q.Done += 400 * time.Millisecond
		q.First, q.Last = q.Scheduled+100*time.Millisecond, q.Done
		q.Tokens, q.TokensFrom, q.Pieces = 16, TokensUsage, 4
		q.GapMax = (q.Done - q.First) / 3
	}
	return r
}

// Every metric is judged by a run and by its timeline alike, and by neither of
// them where nothing was measured.
func TestEveryMetricIsJudgedAlikeByRunAndTimeline(t *testing.T) {
	price := []Figure{Exactly("usd_hour", 1.5, 3, "usd"), Exactly("usd_month", 1095, 3, "usd")}
	full, empty := observed(), &Run{Meta: Meta{DurationS: 100, Stages: []StageInfo{{}}}}
	for _, m := range Metrics() {
		o, err := ParseObjective(m.Example)
		if err != nil {
			t.Fatalf("%s: its own example: %v", m.Name, err)
		}
		if o.Of() != m || o.Metric != m.Name || o.Unit != m.Unit {
			t.Errorf("%q is about %q in %q, want %q in %q", m.Example, o.Metric, o.Unit, m.Name, m.Unit)
		}
		if known := m.Latency() || m.CountRequest != nil || m.OfRun != nil; !known && m.Missing == "" {
			t.Errorf("%s: nobody knows it, and no word says why", m.Name)
		}
		// The limit is moved to either side of what was measured: both must see it.
		run := full.Judge([]Objective{o}, price...)[0]
		if run.Value == nil {
			t.Errorf("%s: a run in which everything was seen has no figure: %s", m.Name, run.Note)
			continue
		}
		for _, factor := range []float64{0.3, 3} {
			o.Limit = *run.Value*factor + 1e-6
			if m.Unit == "ratio" {
				o.Limit = min(o.Limit, 0.999)
			}
			at := []Objective{o}
			tl := full.TimelineWithin(time.Second, LimitsOf(at))
			r, l := full.Judge(at, price...)[0], tl.Judge(at, price...)[0]
			if r.Verdict != l.Verdict && r.Verdict != Inconclusive { // a timeline has no intervals
				t.Errorf("%s %s %v: the run says %s (%v), its timeline %s (%v)", o.Name(), o.Op, o.Limit, r.Verdict, show(r.Value), l.Verdict, show(l.Value))
			}
			// A timeline knows readiness to a tick, and quantiles to a bucket.
			if l.Value == nil || math.Abs(*l.Value-*r.Value) > 0.001**r.Value+m.slack() {
				t.Errorf("%s: the run says %v, its timeline %v", o.Name(), show(r.Value), show(l.Value))
			}
			if want := o.Met(*r.Value); want != (r.Verdict == Pass) && r.Verdict != Inconclusive {
				t.Errorf("%s %s %v is %s at %v", o.Name(), o.Op, o.Limit, r.Verdict, *r.Value)
			}
		}
		tl := empty.Timeline(time.Second)
		for side, j := range map[string]Judgement{"run": empty.Judge([]Objective{o})[0], "timeline": tl.Judge([]Objective{o})[0]} {
			if j.Verdict != Unknown || j.Note == "" || j.Value != nil {
				t.Errorf("%s of a %s in which nothing was seen: %s, %v (%s), want unknown and why", m.Name, side, j.Verdict, show(j.Value), j.Note)
			}
		}
	}
}

// slack is what a tick of a second may add to a figure of sizes: two pods.
func (m *Metric) slack() float64 {
	switch {
	case m.Name == "time_to_capacity":
		return 1
	case m.Unit == "h":
		return 2.0 / 3600
	}
	return 1e-6
}

// A timeline without a latency, such as a replay's without gaps between tokens,
// judges neither it nor the goodput that rests on it.
func TestWhatATimelineDoesNotHaveIsNotJudged(t *testing.T) {
	r := observed()
	for _, texts := range [][]string{
		{"itl.p95 < 10s"}, {"itl.p95 < 10s each 10s for 50%"}, {"itl.mean < 10s"}, {"goodput > 1%", "itl.p95 < 10s"},
		{"goodput > 1% each 10s for 50%", "itl.p95 < 10s"}, {"e2e.p95 < 100s each 10s for 50%", "itl.p95 < 10s"},
	} {
		objectives, err := ParseObjectives(texts)
		if err != nil {
			t.Fatal(err)
		}
		tl := r.TimelineWithin(time.Second, LimitsOf(objectives))
		if j := tl.Judge(objectives)[0]; j.Verdict != Pass && texts[0] != "itl.mean < 10s" {
			t.Errorf("%q of the recorded timeline: %s (%s), want pass", texts[0], j.Verdict, j.Note)
		}
		tl.ITL = Hist{}
		if j := tl.Judge(objectives)[0]; j.Verdict != Unknown || !strings.Contains(j.Note, "replay") {
			t.Errorf("%q without gaps between tokens: %s (%s), want unknown", texts[0], j.Verdict, j.Note)
		}
	}
}

func TestWhatWouldDecide(t *testing.T) {
	for _, c := range []struct {
		sentence string
		run      *Run
		text     string
		note     string
	}{
		{"no error in 1,000: an upper bound of 0.1 % takes 2,703", steady(1000), "error_rate < 0.1%", "about 2800 requests would decide it, this run has 1000"},
		{"a limit at what was measured is never decided", steady(1000), "e2e.p95 < 950ms", ""},
		{"ten times nearer takes a hundred times as many", steady(1000), "e2e.p95 < 951ms", "requests would decide it, this run has 1000"},
	} {
		if j := judge(t, c.run, c.text); j.Verdict != Inconclusive || !strings.Contains(j.Note, c.note) {
			t.Errorf("%s: %s is %s (%s), want inconclusive and %q", c.sentence, c.text, j.Verdict, j.Note, c.note)
		}
	}
}

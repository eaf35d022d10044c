package tuner

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// blinded is a run whose records between 240 and 400 s are wrong: requests took
// a third, CPU was thrice as high, and the size changed at 300 s for no reason.
func blinded(source string) (*results.Run, truth) {
	c := truth{rate: wave, seconds: 900, cfg: cpuConfig(70), replicas: 2, slots: 8, streams: true, seed: 3}
	run := c.run()
	from, to := dur(240), dur(400)
	run.Gaps = []results.Gap{{Source: source, From: from, To: to, Why: "connection refused"}}
	for i := range run.Requests {
		if q := &run.Requests[i]; q.Sent >= from && q.Done <= to {
			q.First, q.Done = q.Sent+(q.First-q.Sent)/3, q.Sent+(q.Done-q.Sent)/3
		}
	}
	for i := range run.Samples {
		if s := &run.Samples[i]; s.SampledAt >= from && s.SampledAt <= to {
			s.Value *= 3
		}
	}
	run.Syncs = slices.DeleteFunc(run.Syncs, func(s results.Sync) bool { return s.At >= from && s.At <= to })
	i := slices.IndexFunc(run.Syncs, func(s results.Sync) bool { return s.At > to })
	run.Syncs = slices.Insert(run.Syncs, i, results.Sync{At: dur(300), Spec: run.Syncs[i].Spec, Replicas: 1, Desired: 1})
	return run, c
}

func TestABlindStretchIsNoEvidence(t *testing.T) {
	run, c := blinded("kube/pods")
	fit, err := Fit(run, c.cfg, FitOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	clean, err := Fit(c.run(), c.cfg, FitOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	got, want := meanTotal(fit.World.Service.Times), meanTotal(clean.World.Service.Times)
	if got < 0.95*want || got > 1.05*want {
		t.Errorf("a request takes %.2f s, without the blind stretch %.2f s", got, want)
	}
	if got, want := fit.World.Pipes[0].PerRunning, clean.World.Pipes[0].PerRunning; got < 0.95*want || got > 1.05*want {
		t.Errorf("CPU per slot %.3f, without the blind stretch %.3f", got, want)
	}
	if s := fit.SelfReplay; s.Verdict != "pass" || s.Rescales >= clean.SelfReplay.Rescales {
		t.Errorf("self-replay %+v; want it to pass on fewer than the %d rescales of the whole run", s, clean.SelfReplay.Rescales)
	}
	if text := strings.Join(fit.Warnings, "\n"); !strings.Contains(text, "kube/pods could not be watched at times between 4m0s and 6m40s") {
		t.Errorf("the stretch is not named: %s", text)
	}
	if len(fit.World.Demand.Arrivals) != len(run.Requests) {
		t.Errorf("%d arrivals of %d: the load is known all the same", len(fit.World.Demand.Arrivals), len(run.Requests))
	}

	// What is seen counts: the same records without a gap spoil the fit.
	run, _ = blinded("kube/events")
	fit, err = Fit(run, c.cfg, FitOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s := fit.SelfReplay; s.Verdict != "fail" {
		t.Errorf("self-replay %+v over a rescale that nothing explains", s)
	}
	if got := meanTotal(fit.World.Service.Times); got > 0.95*want {
		t.Errorf("a request takes %.2f s: the watched ones are left out, too", got)
	}
}

func TestDecisionsAfterAnEditAreNotJudged(t *testing.T) {
	c := truth{rate: wave, seconds: 900, cfg: cpuConfig(70), replicas: 2, slots: 8, streams: true, seed: 3}
	run := c.run()
	for _, row := range []struct {
		name    string
		at      time.Duration
		verdict string
	}{
		{"an edit after the last rescale", 890 * time.Second, "pass"},
		{"an edit between", 300 * time.Second, "pass"},
		{"an edit before the first", time.Second, "proves-nothing"},
	} {
		run.Warnings = []results.Warning{{At: row.at, ID: "hpa-edited"}}
		fit, err := Fit(run, c.cfg, FitOptions{Seed: 1})
		if err != nil {
			t.Fatal(err)
		}
		before := 0
		for _, s := range run.Syncs {
			if s.Rescaled() && s.At < row.at {
				before++
			}
		}
		if s := fit.SelfReplay; s.Verdict != row.verdict || s.Rescales != before {
			t.Errorf("%s: self-replay %+v, want %s over %d rescales", row.name, s, row.verdict, before)
		}
		if !strings.Contains(strings.Join(fit.Warnings, "\n"), "edited in mid-run") {
			t.Errorf("%s: not said: %v", row.name, fit.Warnings)
		}
	}
}

func TestARefusedFitSaysWhatWasNotSeen(t *testing.T) {
	run, c := blinded("kube/pods")
	run.Gaps[0].From, run.Gaps[0].To = 0, dur(900)
	run.Meta.Stages[0].Arrivals = len(run.Requests)
	objectives, err := results.ParseObjectives([]string{"ttft.p95 < 4s"})
	if err != nil {
		t.Fatal(err)
	}
	r, _, err := Recommend(t.Context(), []*results.Run{run}, Options{Current: c.cfg, Objectives: objectives, Price: DefaultPrice(), Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != Refuse || !strings.Contains(strings.Join(r.Warnings, "\n"), "kube/pods could not be watched") {
		t.Errorf("nothing was watched: %s, %+v, warnings %q", r.Verdict, r.Refusal, r.Warnings)
	}
}

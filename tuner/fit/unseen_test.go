package fit

import (
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

func TestABlindStretchIsNoEvidence(t *testing.T) {
	run, c := fittest.Blinded("kube/pods")
	fit, err := Fit(run, c.Config, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	clean, err := Fit(c.Run(), c.Config, Options{Seed: 1})
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
	if text := strings.Join(fit.Warnings, "\n"); !strings.Contains(text, "kube/pods could not be observed at times between 4m and 6m40s") {
		t.Errorf("the stretch is not named: %s", text)
	}
	if len(fit.World.Demand.Arrivals) != len(run.Requests) {
		t.Errorf("%d arrivals of %d: the load is known all the same", len(fit.World.Demand.Arrivals), len(run.Requests))
	}

	// Seen records count: without a gap, the same records spoil the fit.
	run, _ = fittest.Blinded("kube/events")
	fit, err = Fit(run, c.Config, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if s := fit.SelfReplay; s.Verdict != "fail" {
		t.Errorf("self-replay %+v over a rescale that nothing explains", s)
	}
	if got, want := fit.World.Service.Capacity(), clean.World.Service.Capacity(); got > 0.95*want && got < 1.05*want {
		t.Errorf("a replica carries %.2f/s, as without the stretch: the watched ones are left out, too", got)
	}
}

func TestDecisionsAfterAnEditAreNotJudged(t *testing.T) {
	c := fittest.Truth{Rate: fittest.Wave, Seconds: 900, Config: fittest.CPUConfig(70), Replicas: 2, Slots: 8, Streams: true, Seed: 3}
	run := c.Run()
	for _, row := range []struct {
		name    string
		at      time.Duration
		verdict SelfVerdict
	}{
		{"an edit after the last rescale", 890 * time.Second, "pass"},
		{"an edit between", 300 * time.Second, "pass"},
		{"an edit before the first", time.Second, "proves-nothing"},
	} {
		run.Warnings = []results.Warning{{At: row.at, ID: "hpa-edited"}}
		fit, err := Fit(run, c.Config, Options{Seed: 1})
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
		if !strings.Contains(strings.Join(fit.Warnings, "\n"), "changed during the run") {
			t.Errorf("%s: not said: %v", row.name, fit.Warnings)
		}
	}
}

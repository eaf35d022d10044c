package fit

import (
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

func TestPeriodOf(t *testing.T) {
	at := func(seconds ...float64) (out []results.Sync) {
		for _, s := range seconds {
			out = append(out, results.Sync{At: fittest.Dur(s)})
		}
		return out
	}
	for _, row := range []struct {
		name  string
		syncs []results.Sync
		want  time.Duration
	}{
		{"the default, some without a trace", at(4, 19.02, 49.06, 64.1, 79.1, 124.2), 0},
		{"five seconds", at(1, 6, 11.02, 21.05, 26.1, 41.1, 46.2), 5 * time.Second},
		{"two seconds, most without a trace", at(0, 2, 10.1, 14.1, 16.1, 18.1, 30.2, 34.2), 2 * time.Second},
		{"one that came early by chance", at(0, 15, 21, 36, 51, 66), 0},
	} {
		got, ok := periodOf(row.syncs, 15*time.Second)
		if got != row.want || ok != (row.want > 0) {
			t.Errorf("%s: periodOf = %v, %v, want %v", row.name, got, ok, row.want)
		}
	}
}

func TestFlagsThatReconcilesDisprove(t *testing.T) {
	cfg := fittest.CPUConfig(70)
	cfg.ScaleDown.WindowSet = false // the controller's own stabilization
	c := fittest.Truth{Rate: fittest.Wave, Seconds: 1500, Config: cfg, Replicas: 2, Slots: 8, Streams: true, Seed: 3}
	c.Params.DownscaleStabilization = time.Minute
	run := c.Run()
	run.Meta.HPA.Controller, run.Meta.HPA.Assumed = "kube-controller-manager", true
	fit, err := Fit(run, cfg, Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	if got := fit.World.Params.DownscaleStabilization; got != time.Minute {
		t.Errorf("downscale stabilization %v, want the minute that the controller had; assumed %q", got, fit.Assumed)
	}
	if text := strings.Join(fit.Assumed, "\n"); !strings.Contains(text, "downscaleStabilization is 1m instead of 5m") {
		t.Errorf("it is not said: %q", text)
	}
	if fit.Shadow.Differ > 0 {
		t.Errorf("shadow %+v", *fit.Shadow)
	}

	// Flags that were stated are not questioned, and defaults that fit stay.
	run.Meta.HPA.Assumed = false
	if fit, err = Fit(run, cfg, Options{Seed: 1}); err != nil || fit.World.Params.DownscaleStabilization != 5*time.Minute {
		t.Errorf("stated flags were replaced: %v, %v", fit.World.Params, err)
	}
}

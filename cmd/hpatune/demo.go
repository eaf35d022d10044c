package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/predict"
	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/tuner"
)

func newDemoCmd(s streams) *cobra.Command {
	var (
		out   string
		seed  int64
		speed float64
		keda  bool
	)
	c := &cobra.Command{
		Use:  "demo",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.runDemo(cmd.Context(), out, seed, speed, keda) },
	}
	c.Flags().StringVar(&out, "out", "", "")
	c.Flags().Int64Var(&seed, "seed", 1, "")
	c.Flags().Float64Var(&speed, "speed", 20, "")
	c.Flags().BoolVar(&keda, "keda", false, "")
	return c
}

func (s streams) runDemo(ctx context.Context, out string, seed int64, speed float64, keda bool) error {
	name := "demo"
	if keda {
		name = "demo-keda"
	}
	profile, source, err := record.ReadProfile(name)
	if err != nil {
		return err
	}
	dir, err := record.Dir(out, "demo")
	if err != nil {
		return err
	}
	before, after := filepath.Join(dir, "before"), filepath.Join(dir, "after")

	file, what := "", "HPA"
	if keda {
		file, what = filepath.Join(dir, "scaledobject.yaml"), "ScaledObject"
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return exit(exitFailed, err)
		}
		if err := os.WriteFile(file, sandbox.DemoScaledObject, 0o644); err != nil {
			return exit(exitFailed, err)
		}
	}
	s.step(1, "Load a sandbox under a commonly copied "+what)
	before, box, err := s.loadDemo(
		ctx,
		s.planOf(record.Plan{Dir: before, Profile: profile, Source: source, Seed: seed}),
		file,
		speed,
	)
	if err != nil {
		return err
	}

	s.step(2, "Replay the load under hundreds of configurations")
	a, err := s.runTune(ctx, []string{before}, tuneFlags{ask: predict.Ask{Seed: 1, MinFloor: 2}, output: asText})
	if err != nil {
		return err
	}
	if a.Recommendation.Verdict != tuner.Change {
		s.warnf("No change recommended, so there is no second run")
		return nil
	}

	s.step(3, "Load the sandbox again under the recommendation")
	after, _, err = s.loadDemo(
		ctx,
		s.planOf(record.Plan{Dir: after, Profile: profile, Source: source, Seed: seed}),
		predict.Settings(a.Dir),
		box.Speed,
	)
	if err != nil {
		return err
	}

	s.step(4, "Compare predicted with actual")
	agreed, err := s.runVerify(predict.Ask{}, a.Dir, after, asText)
	if err != nil {
		return err
	}
	page := filepath.Join(dir, "report.html")
	if err := s.askOf(predict.Ask{}).WriteComparison(page, a, []string{before, after}, agreed); err != nil {
		return err
	}
	fmt.Fprintf(s.out, `
Note: the sandbox's autoscaler is hpatune's own implementation, which the replay
uses, too. Requests, sockets, streams, queueing, balancing and timing are real.

Report:  %s
Next:    hpatune run --url http://YOUR-ENDPOINT -p spike
`, page)
	return nil
}

// loadDemo records one run of the demo. On a machine that is too busy for the speed the run
// is invalid; it is then tried once more at half the speed. It returns the folder of the
// run to use.
func (s streams) loadDemo(
	ctx context.Context,
	p record.Plan,
	file string,
	speed float64,
) (string, *record.Sandbox, error) {
	for {
		box, err := record.NewSandbox(file, speed, s.say)
		if err != nil {
			return "", nil, err
		}
		p.Bed = box
		run, err := record.Record(ctx, p)
		err = s.concluded(p, run, err, asText)
		var ee *exitError
		if err == nil || speed < 10 || !errors.As(err, &ee) || ee.code != exitNotValid {
			return p.Dir, box, err
		}
		speed /= 2
		p.Dir += "-slower"
		fmt.Fprintf(s.out, "\nThis machine is too busy for that speed. Trying again at speed %g.\n", speed)
	}
}

// step announces a part of the demo.
func (s streams) step(n int, text string) {
	fmt.Fprintf(s.out, "\n── %d. %s ──\n", n, text)
}

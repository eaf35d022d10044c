package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/replay"
	"github.com/hpatune/hpatune/tuner/scenario"
)

func newDecideCmd(s streams) *cobra.Command {
	var (
		filename, release string
		print             bool
	)
	c := &cobra.Command{
		Use:  "decide FILE | - | RUN",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			minor, err := minorRelease(release)
			if err != nil {
				return err
			}
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return s.decideRun(args[0], filename, minor, print)
			}
			var spec *hpa.Config
			if filename != "" {
				h, err := s.readHPA(filename)
				if err != nil {
					return err
				}
				spec = &h.Config
			}
			if print {
				return usagef("--print-scenario needs a run folder; %s is already a scenario", args[0])
			}
			return s.decideFile(args[0], spec, minor)
		},
	}
	c.Flags().StringVarP(&filename, "filename", "f", "", "")
	c.Flags().StringVar(&release, "kubernetes-version", "", "")
	c.Flags().BoolVar(&print, "print-scenario", false, "")
	return c
}

// minorRelease reads "1.33", "v1.33.4" or "33"; 0 = not given.
func minorRelease(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	t := strings.TrimPrefix(strings.TrimPrefix(text, "v"), "1.")
	t, _, _ = strings.Cut(t, ".")
	n, err := strconv.Atoi(strings.TrimRight(t, "+"))
	if err != nil || n < hpa.Oldest || n > hpa.Latest {
		return 0, usagef("--kubernetes-version %q: give 1.%d to 1.%d", text, hpa.Oldest, hpa.Latest)
	}
	return n, nil
}

// like makes a scenario decide like an older release.
func like(sc *scenario.Scenario, minor int) {
	if minor != 0 {
		sc.Params.Release, sc.Params.Gates = minor, hpa.ParamsFor(minor).Gates
	}
}

// lines returns what prints one decision, flushed at once.
func (s streams) lines() func(*scenario.Line) error {
	w := bufio.NewWriter(s.out)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(l *scenario.Line) error {
		if err := e.Encode(l); err != nil {
			return err
		}
		return w.Flush()
	}
}

// decideFile runs the scenarios of a file; those that cannot run are said so in
// their place, and the others still run.
func (s streams) decideFile(name string, spec *hpa.Config, minor int) error {
	var r io.Reader = s.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return exit(exitUsage, fmt.Errorf("scenario: %w", err))
		}
		defer f.Close()
		r = f
	}
	failed, err := scenario.Decide(r, s.out, scenario.Options{Spec: spec, Release: minor})
	switch {
	case quietPipe(err) == nil && err != nil:
		return nil
	case err != nil:
		return exit(exitUsage, fmt.Errorf("scenario %s: %w", name, err))
	case failed > 0:
		return exit(exitUsage, fmt.Errorf("%d scenarios are invalid; see scenarioError in the output", failed))
	}
	return nil
}

// decideRun runs a recorded run's syncs through the core. While the decided size
// is the recorded one, the observations are its own; afterwards they belong to
// another size, and the lines say so. file is the HPA to decide with; "" = the
// recorded one.
func (s streams) decideRun(dir, file string, minor int, print bool) error {
	run, err := openRun(dir)
	if err != nil {
		return err
	}
	recorded, err := s.currentHPA(run, "")
	if err != nil {
		return err
	}
	if file != "" && !print {
		given, err := s.currentHPA(run, file)
		if err != nil {
			return err
		}
		if run, err = replay.Under(run, &recorded.Config, &given.Config); err != nil {
			return exit(exitNotValid, fmt.Errorf("run %s: %w", dir, err))
		}
		recorded = given
	}
	sc, sizes, err := runScenario(run, recorded)
	if err != nil {
		return exit(exitNotValid, fmt.Errorf("run %s: %w", dir, err))
	}
	like(sc, minor)
	if print {
		return quietPipe(scenario.Format(s.out, sc))
	}
	return quietPipe(scenario.RunRecorded(sc, sizes, s.lines()))
}

// runScenario is a recorded run as a scenario, and the recorded size around each
// of its reconciles.
func runScenario(run *results.Run, h hpaFile) (*scenario.Scenario, []scenario.Size, error) {
	observations, err := replay.Observations(run, h.Config)
	if err != nil {
		return nil, nil, err
	}
	if len(observations) == 0 {
		return nil, nil, errors.New("the run recorded no HPA reconcile, so there is nothing to decide")
	}
	sc := scenario.FromObservations(
		run.Meta.Run,
		replay.Params(run),
		h.Identity,
		run.Meta.Start,
		hpa.Memory{},
		observations,
	)
	sizes := make([]scenario.Size, len(observations))
	for i := range sizes {
		sc.Steps[i].Restart = run.Syncs[i].Restart
		sizes[i] = scenario.Size{
			Before: run.Syncs[i].Spec,
			After:  run.Syncs[i].Replicas,
			Unseen: replay.Unseen(run, i, replay.Params(run).SyncPeriod),
		}
	}
	return sc, sizes, nil
}

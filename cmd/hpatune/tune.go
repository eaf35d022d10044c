package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/live"
	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/advice"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// tuneFlags are the flags of `tune`.
type tuneFlags struct {
	whatIfFlags

	filename   string
	objectives []string
	out        string
	seed       int64
	price      string
	minFloor   int32
	maxLimit   int32
	startup    time.Duration
	requests   string
	controller string
	replicates int // of replay and gate
	replicas   int32
	output     string
	set        func(flag string) bool // whether a flag was given
}

func newTuneCmd(s streams) *cobra.Command {
	var f tuneFlags
	c := &cobra.Command{
		Use:  "tune RUN…",
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := s.runTune(cmd.Context(), args, f)
			return err
		},
	}
	f.bind(c)
	return c
}

func (f *tuneFlags) bind(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVarP(&f.filename, "filename", "f", "", "")
	fl.StringArrayVar(&f.objectives, "objective", nil, "")
	fl.StringVar(&f.out, "out", "", "")
	fl.Int64Var(&f.seed, "seed", 1, "")
	fl.StringVar(
		&f.price,
		"price",
		"",
		"prices: a YAML file (see hpatune help cost), or one of "+strings.Join(tuner.PriceNames(), ", "),
	)
	f.bindWhatIf(fl)
	fl.Int32Var(&f.minFloor, "min-floor", 2, "")
	fl.Int32Var(&f.maxLimit, "max-limit", 0, "")
	f.bindStated(fl)
	f.set = fl.Changed
	outputFlag(fl, &f.output, " (recommendation.json)", "json")
}

// bindStated binds the flags that state what a run could not see.
func (f *tuneFlags) bindStated(fl *pflag.FlagSet) {
	fl.DurationVar(&f.startup, "startup", 0, "")
	fl.StringVar(&f.requests, "requests", "", "")
	fl.StringVar(&f.controller, "controller", "", "")
	fl.Int32Var(&f.replicas, "replicas", 0, "")
}

// bounds refuses limits that contradict each other, or are none.
func (f *tuneFlags) bounds() error {
	given := func(flag string) bool { return f.set != nil && f.set(flag) }
	switch {
	case given("min-floor") && f.minFloor < 1:
		return usagef("--min-floor %d: want 1 or more", f.minFloor)
	case given("max-limit") && f.maxLimit < 1:
		return usagef("--max-limit %d: want 1 or more", f.maxLimit)
	case given("min-floor") && f.maxLimit > 0 && f.minFloor > f.maxLimit:
		return usagef("--min-floor %d is greater than --max-limit %d", f.minFloor, f.maxLimit)
	}
	return nil
}

// space is where the search goes.
func (f *tuneFlags) space() tuner.Space {
	s := tuner.Space{MinFloor: f.minFloor, MaxLimit: f.maxLimit}
	if f.set == nil || !f.set("min-floor") {
		s.MinFloor = 0 // its default gives way to a limit of 1
	}
	return s
}

// advised is a recommendation and where its files are.
type advised struct {
	recommendation tuner.Recommendation
	dir            string
	model          *tuner.Model
	files          advice.Advice
	next           []string // commands to go on with; nil = refused
}

func (s streams) runTune(ctx context.Context, dirs []string, f tuneFlags) (advised, error) {
	if err := f.bounds(); err != nil {
		return advised{}, err
	}
	var runs []*results.Run
	for _, dir := range dirs {
		run, err := openRun(dir, f.controller)
		if err != nil {
			return advised{}, err
		}
		if err := f.observed(run); err != nil {
			return advised{}, err
		}
		runs = append(runs, run)
	}
	run := runs[0]
	objectives, err := s.objectivesOf(run, f.objectives)
	if err != nil {
		return advised{}, err
	}
	given, err := s.given(f.filename)
	if err != nil {
		return advised{}, err
	}
	current, ran, err := recorded.Improved(runs, given)
	if given == nil {
		s.warnAll(current.Warnings)
	}
	if err != nil {
		return advised{}, err
	}
	price, err := readPrice("price", f.price)
	if err != nil {
		return advised{}, err
	}
	o := tuner.Options{
		Current: current.Config, First: current.First, Objectives: objectives, Price: price, Seed: f.seed, Version: version,
		Recorded: ran, Space: f.space(), Loop: loopOf(current),
	}
	if err := f.ask(&o); err != nil {
		return advised{}, err
	}
	o.Fit.Loop, o.Fit.Outside = o.Loop, doctor.Outside(&current.Config)
	var finish func()
	o.Progress, finish = live.Progress(s.err, tty(s.err))
	if err := f.assume(&o); err != nil {
		return advised{}, err
	}
	r, model, err := tuner.Recommend(ctx, runs, o)
	finish()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return advised{}, exit(exitInterrupted, errors.New("interrupted; no recommendation was written"))
		}
		return advised{}, err
	}
	if ran != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf(
			"the HPA of %s did not run: \"current\" is what the model predicts for it; the HPA that ran is behind the measured figures",
			f.filename,
		))
	}
	out := f.out
	if out == "" {
		out = filepath.Join(dirs[0], "advice")
	}
	a := advised{recommendation: r, dir: out, model: model}
	if err := writeAdvice(&a, run, dirs, current, o, f); err != nil {
		return a, err
	}
	if f.output == "json" {
		err = s.json(a.recommendation)
	} else {
		err = s.printAdvice(a)
	}
	if err != nil {
		return a, err
	}
	if r.Verdict == tuner.Refuse {
		return a, exit(exitNotValid, nil)
	}
	return a, nil
}

// assume takes what was stated on the command line.
func (f *tuneFlags) assume(o *tuner.Options) error {
	if f.startup < 0 {
		return usagef("--startup %v: want a positive duration", f.startup)
	}
	if f.replicas < 0 || f.replicas == 0 && f.set != nil && f.set("replicas") {
		return usagef("--replicas %d: want 1 or more", f.replicas)
	}
	r, err := manifest.ParseRequests(f.requests)
	if err != nil {
		return usagef("--requests %w", err)
	}
	o.Fit.Startup, o.Fit.Replicas = f.startup, f.replicas
	o.Fit.CPUMilli, o.Fit.MemoryBytes, o.Fit.GPUs, o.Fit.Extended = r.CPUMilli, r.MemoryBytes, r.GPUs, r.Extended
	return nil
}

// openRun reads a run folder, and what --controller says of the controller that
// ran; "" = nothing.
func openRun(dir string, controller ...string) (*results.Run, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return nil, usagef("run %s: not a folder\nTry: ls results", dir)
	}
	run, err := store.Open(os.DirFS(dir))
	if err != nil {
		return nil, usagef("run %s: %w", dir, err)
	}
	for _, text := range controller {
		if err := record.ControllerFlags(text, &run.Meta.HPA); err != nil {
			return nil, err
		}
	}
	return run, nil
}

// objectivesOf returns the objectives given, or the run's own. Without any it
// prints what the run can tell of itself, and one to copy.
func (s streams) objectivesOf(run *results.Run, given []string) ([]results.Objective, error) {
	texts := given
	if len(texts) == 0 {
		texts = run.Meta.Objectives
	}
	objectives, err := results.ParseObjectives(texts)
	if err != nil {
		return nil, failure.As(failure.Input, err)
	}
	if len(objectives) > 0 {
		return objectives, nil
	}
	x, ok := results.Suggest(run)
	if !ok {
		return nil, usagef("no objective\nTry: --objective \"e2e.p95 < 2s\"")
	}
	return nil, usagef("no objective\n%s", report.Suggestion(x))
}

// observed refuses what is stated of a run that saw it: who gave it believes that it counts.
func (f *tuneFlags) observed(run *results.Run) error {
	if f.replicas > 0 && len(run.Syncs) > 0 {
		return usagef(
			"--replicas has no effect on %s, which recorded that %d replicas stood at its start\nTry: the same command without --replicas",
			run.Meta.Run,
			run.Syncs[0].Spec,
		)
	}
	return nil
}

// readPrice returns the book's entry or reads a file.
func readPrice(flag, name string) (tuner.Price, error) {
	if name == "" {
		return tuner.DefaultPrice(), nil
	}
	if p, ok := tuner.PriceByName(name); ok {
		return p, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return tuner.Price{}, usagef(
			"--%s %s: not a file and not one of %s",
			flag,
			name,
			strings.Join(tuner.PriceNames(), ", "),
		)
	}
	p, err := tuner.ParsePrice(name, data)
	return p, failure.As(failure.Input, err)
}

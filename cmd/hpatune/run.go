package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/hpatune/hpatune/internal/help"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/live"
	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/results"
)

// runFlags are the flags of `run`.
type runFlags struct {
	ask    record.Ask
	yes    bool
	output format
}

func newRunCmd(s streams) *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:  "run {--sandbox | --url U | --hpa H | --target T} -p PROFILE",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.useless(cmd.Flags().Changed); err != nil {
				return err
			}
			return s.runRun(cmd.Context(), f)
		},
	}
	fl, a := c.Flags(), &f.ask
	fl.BoolVar(&a.Sandbox, "sandbox", false, "")
	fl.StringVar(&a.URL, "url", "", "")
	fl.StringVarP(&a.Load, "profile", "p", "", "")
	fl.StringVar(&a.Override.Model, "model", "", "")
	fl.StringVar(&a.Override.Path, "path", "", "")
	fl.StringVar(&a.Rate, "rate", "", "")
	fl.BoolVar(&a.NoProbe, "no-probe", false, "")
	fl.StringVarP(&a.Filename, "filename", "f", "", "")
	fl.StringVar(&a.Out, "out", "", "")
	fl.Int64Var(&a.Plan.Seed, "seed", 0, "")
	fl.Float64Var(&a.Speed, "speed", 20, "")
	fl.StringArrayVar(&a.Objectives, "objective", nil, "")
	fl.StringVar(&a.Plan.HeaderFile, "header-file", "", "")
	fl.Float64Var(&a.Plan.MaxRate, "max-rate", 0, "")
	fl.IntVar(&a.Plan.InFlight, "max-in-flight", 0, "")
	fl.DurationVar(&a.Plan.Capacity, "find-capacity", 0, "")
	fl.Lookup("find-capacity").NoOptDefVal = "20s"
	fl.StringVar(&a.CAFile, "ca-file", "", "")
	fl.BoolVar(&a.Insecure, "insecure", false, "")
	fl.StringVar(&a.Plan.HTTP2, "http2", "", "")
	fl.BoolVar(&f.yes, "yes", false, "")
	outputFlag(fl, &f.output, " (as hpatune report)", asJSON)

	k := &a.Cluster
	clusterFlags(fl, &k.Kube)
	fl.StringVar(&a.HPA, "hpa", "", "")
	fl.StringVar(&a.Target, "target", "", "")
	fl.BoolVar(&k.Apply, "apply", false, "")
	fl.IntSliceVar(&k.Fix, "fix-replicas", nil, "")
	fl.StringVar(&k.Prometheus, "prometheus", "", "")
	fl.StringVar(&k.PrometheusConfig, "prometheus-config", "", "")
	fl.StringArrayVar(&k.PromQL, "promql", nil, "")
	fl.StringVar(&k.Controller, "controller", "", "")
	fl.BoolVar(&k.Throttling, "throttling", false, "")
	fl.StringVar(&a.Scrape.Page, "scrape", "", "")
	fl.StringSliceVar(&a.Scrape.Metrics, "scrape-metric", nil, "")

	w := &a.Fleet
	fl.StringVar(&w.Shard, "shard", "", "")
	fl.StringVar(&w.Start, "start", "", "")
	fl.IntVar(&w.Job.Workers, "workers", 0, "")
	fl.StringVar(&w.Job.Image, "image", "ghcr.io/hpatune/hpatune:"+version, "")
	fl.StringVar(&w.Job.PullSecret, "image-pull-secret", "", "")
	fl.StringVar(&w.Job.CPU, "worker-cpu", "1", "")
	fl.StringVar(&w.Job.Memory, "worker-memory", "512Mi", "")
	fl.StringVar(&w.Avoid, "worker-avoid", "", "")
	fl.DurationVar(&w.Timeout, "worker-timeout", 3*time.Minute, "")
	for _, pair := range []string{"sandbox hpa", "sandbox target", "hpa target", "sandbox url", "workers shard",
		"workers sandbox", "shard sandbox", "workers find-capacity", "shard find-capacity"} {
		help.Exclude(fl, strings.Fields(pair)...)
	}
	return c
}

func (s streams) runRun(ctx context.Context, f runFlags) error {
	a := f.ask
	a.Plan, a.Stdin = s.planOf(a.Plan), s.in
	if !f.yes {
		a.Confirm = s.confirm
	}
	missed := exitOK // of runs that ended well enough for the next one
	err := a.Run(ctx, func(p record.Plan, run *results.Run, err error) error {
		err = s.concluded(p, run, err, f.output)
		var e *exitError
		if len(a.Cluster.Fix) == 0 || !errors.As(err, &e) || e.code == exitInterrupted || e.code == exitFailed {
			return err
		}
		missed = worse(missed, e.code)
		return nil
	})
	switch {
	case errors.Is(err, record.ErrLeft):
		return exit(exitFailed, nil) // what is left has been said
	case err != nil:
		return err
	}
	return exit(missed, nil)
}

// planOf gives a plan the terminal.
func (s streams) planOf(p record.Plan) record.Plan {
	p.Version, p.Screen, p.TTY, p.Say = version, s.err, live.On(s.err), s.say
	return p
}

// say prints a step or a warning on stderr.
func (s streams) say(text string) { s.warnf("%s", text) }

// confirm asks whether to continue, which needs a person at a terminal.
func (s streams) confirm() error {
	if !live.Typed(s.in) || !live.On(s.err) {
		return usagef("stdin is not a terminal; pass --yes to confirm")
	}
	fmt.Fprint(s.err, "Continue? [y/N] ")
	var answer string
	if _, err := fmt.Fscanln(s.in, &answer); err != nil || !strings.HasPrefix(strings.ToLower(answer), "y") {
		return errors.New("not confirmed; nothing was sent or changed")
	}
	return nil
}

// concluded prints a run's conclusion and turns its error into an exit code.
func (s streams) concluded(p record.Plan, run *results.Run, err error, output format) error {
	var objectives []results.Objective
	if run != nil {
		var perr error
		if objectives, perr = results.ParseObjectives(run.Meta.Objectives); perr == nil {
			perr = s.printRun(run, objectives, output)
		}
		if perr != nil {
			return errors.Join(err, perr)
		}
		s.warnf("run folder: %s", p.Dir)
	}
	note, end := record.Conclude(run, err, p.Dir, objectives)
	if note != "" {
		s.say(note)
	}
	switch {
	case errors.Is(end, context.Canceled):
		return exit(exitInterrupted, nil)
	case errors.Is(end, record.ErrLeft):
		return exit(exitFailed, nil) // what is left has been said
	case errors.Is(end, record.ErrInvalid):
		return exit(exitNotValid, nil) // the trust line has said why
	}
	return end
}

// clusterFlags select the cluster; they mean the same as kubectl's.
func clusterFlags(fl *pflag.FlagSet, k *kube.Options) {
	fl.StringVar(&k.Kubeconfig, "kubeconfig", "", "")
	fl.StringVar(&k.Context, "context", "", "")
	fl.StringVarP(&k.Namespace, "namespace", "n", "", "")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/layout"
	"github.com/hpatune/hpatune/internal/live"
	"github.com/hpatune/hpatune/internal/manifests"
	"github.com/hpatune/hpatune/internal/plain"
	"github.com/hpatune/hpatune/internal/report"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	files           []string
	all             bool
	output          format
	failOn          string
	kube            kube.Options
	told            doctor.Measured
	ceiling, series []string
	usage           []string
}

func newDoctorCmd(s streams) *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:  "doctor [NAME]",
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return s.doctor(c.Context(), f, args) },
	}
	fl := c.Flags()
	clusterFlags(fl, &f.kube)
	fl.StringArrayVarP(&f.files, "filename", "f", nil, "")
	fl.BoolVarP(&f.all, "all-namespaces", "A", false, "")
	outputFlag(fl, &f.output, "", asJSON, asSARIF, asJUnit)
	fl.StringVar(&f.failOn, "fail-on", "error", "")
	fl.DurationVar(&f.told.Startup, "startup", 0, "")
	fl.DurationVar(&f.told.LongestAnswer, "longest-answer", 0, "")
	fl.BoolVar(&f.told.MemoryFalls, "memory-falls", false, "")
	fl.StringArrayVar(&f.ceiling, "ceiling", nil, "")
	fl.StringArrayVar(&f.series, "series", nil, "")
	fl.StringArrayVar(&f.usage, "usage", nil, "")
	return c
}

func (s streams) doctor(ctx context.Context, f doctorFlags, args []string) error {
	if !slices.Contains([]string{"error", "warning", "never"}, f.failOn) {
		return usagef("--fail-on %q: want error, warning or never", f.failOn)
	}
	if len(f.files) > 0 && (f.all || len(args) > 0) || f.all && len(args) > 0 {
		return usagef("-f, -A and NAME exclude each other; pass one of them")
	}
	if err := f.measured(); err != nil {
		return err
	}
	var (
		facts doctor.Facts
		err   error
	)
	page := report.Doctor{Width: layout.Width(s.out), Colour: colour(s.out), Where: "in these files"}
	name := ""
	if len(args) > 0 {
		name = args[0]
	}
	files := &manifests.Set{}
	if len(f.files) > 0 {
		files, err = manifests.Read(s.in, f.files)
		if err = failure.As(failure.Input, err); err == nil {
			facts.Docs = files.Docs
		}
	} else {
		page.Live = true
		facts, err = s.clusterFacts(ctx, f, name, &page)
	}
	if err != nil {
		return err
	}
	facts.Told = f.told
	hpas, err := doctor.Judge(facts, name)
	if err != nil && !facts.Live {
		return usagef("doctor: %w", err)
	}
	if err != nil { // the others are still judged
		page.Missed = append(page.Missed, plain.Error(err))
	}
	bad := failure.As(failure.Input, files.Problems.Sort().Err())
	switch {
	case len(hpas) > 0 || err != nil || name == "" && facts.Live:
	case bad != nil:
		return bad
	case facts.Live:
		return usagef("doctor: no HorizontalPodAutoscaler %s %s\nTry: hpatune doctor -A", name, page.Where)
	default:
		return failure.As(failure.Input, files.Nothing("HorizontalPodAutoscaler or ScaledObject"))
	}
	page.Skipped = files.Skipped()
	for i := range hpas {
		page.Missed = append(page.Missed, hpas[i].NotJudged...)
	}
	page.Missed = append(page.Missed, files.Others()...)
	page.HPAs, page.One = hpas, name != ""
	if f.output != asText || page.Live { // text of files has them in their place
		for _, m := range page.NotJudged() {
			s.warnf("%s", m)
		}
	}
	if err := quietPipe(s.findings(f.output, &page)); err != nil {
		return err
	}
	if bad != nil { // the rest was judged; what could not be read decides the exit code
		return bad
	}
	for _, h := range hpas {
		if f.failOn != "never" && h.Count(doctor.Error) > 0 || f.failOn == "warning" && h.Count(doctor.Warning) > 0 {
			return exit(exitMissed, nil)
		}
	}
	return nil
}

// lookFor is how long a cluster is read. Doctor takes five seconds; the rest is for
// judging.
const lookFor = 4 * time.Second

// clusterFacts reads a cluster.
func (s streams) clusterFacts(
	ctx context.Context, f doctorFlags, name string, page *report.Doctor,
) (doctor.Facts, error) {
	look, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	cluster, err := kube.Connect(look, f.kube)
	if err != nil {
		return doctor.Facts{}, err
	}
	namespace := cluster.Namespace
	page.Where = "in namespace " + namespace
	if f.all {
		namespace, page.Where = "", "in the whole cluster"
	}
	got, err := cluster.Facts(look, namespace, name)
	switch {
	case ctx.Err() != nil:
		return doctor.Facts{}, exit(exitInterrupted, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded):
		return doctor.Facts{}, fmt.Errorf(
			"doctor: %w: the cluster did not list its HPAs within %v\nTry: one namespace (-n), or kubectl get --raw /readyz",
			err, lookFor)
	case err != nil:
		return doctor.Facts{}, fmt.Errorf("doctor: %w", err)
	}
	page.Missed = got.Missed
	return got.Doctor()
}

// measured reads the flags that state measurements.
func (f *doctorFlags) measured() error {
	var series map[string]float64
	for _, n := range []struct {
		flag  string
		texts []string
		to    *map[string]float64
	}{{"ceiling", f.ceiling, &f.told.Ceiling}, {"usage", f.usage, &f.told.Usage}, {"series", f.series, &series}} {
		var err error
		if *n.to, err = doctor.ParseNumbers(n.texts); err != nil {
			return usagef("--%s %w", n.flag, err)
		}
	}
	f.told.Series = map[string]int{}
	for name, n := range series {
		f.told.Series[name] = int(n)
	}
	return nil
}

// findings prints the page in the requested format.
func (s streams) findings(output format, p *report.Doctor) error {
	switch output {
	case asJSON:
		return s.json(p.JSON())
	case asSARIF:
		return report.SARIF(s.out, version, p.Found())
	case asJUnit:
		return report.DoctorJUnit(s.out, p)
	}
	return report.DoctorText(s.out, p)
}

// colour reports whether to use colour: on a terminal, unless $NO_COLOR is set.
func colour(out io.Writer) bool { return live.On(out) && os.Getenv("NO_COLOR") == "" }

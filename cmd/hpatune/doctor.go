package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// doctorFlags are the flags of doctor.
type doctorFlags struct {
	files           []string
	all             bool
	output, failOn  string
	kube            kubeFlags
	measured        doctor.Measured
	ceiling, series []string
	usage           []string
}

func newDoctorCmd(s streams) *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor [NAME]",
		Short: "Find what is wrong with HPAs, in files or on a cluster",
		Long: `doctor judges HorizontalPodAutoscalers by the objects around them. With -f it
reads manifests (the HPA beside its Deployment or StatefulSet, PodDisruptionBudget,
VerticalPodAutoscaler, ScaledObject, ResourceQuota); without, it reads a cluster
and changes nothing. What no manifest says can be told by flags: --startup and
others. A check whose facts are not known says nothing.

hpatune help checks lists the checks. The annotation
  hpatune.dev/ignore: ID reason
on an HPA silences one (a line each; the reason is required). Exit code 3 when
there is a finding of --fail-on's severity.`,
		Example: `  hpatune doctor -A                              every HPA of the cluster, worst first
  hpatune doctor -n ml-serving inference-endpoint
  hpatune doctor -f deploy/ --startup 90s
  hpatune doctor -f hpa.yaml -o sarif > doctor.sarif`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error { return s.doctor(c.Context(), f, args) },
	}
	fl := c.Flags()
	f.kube.add(c)
	fl.StringArrayVarP(&f.files, "filename", "f", nil, "manifest: file, folder or - (repeat)")
	fl.BoolVarP(&f.all, "all-namespaces", "A", false, "every HPA that may be read")
	fl.StringVarP(&f.output, "output", "o", "text", "text, json, sarif or junit")
	fl.StringVar(&f.failOn, "fail-on", "error", "exit 3 on: error, warning or never")
	fl.DurationVar(&f.measured.Startup, "startup", 0, "measured time from a pod's creation to ready")
	fl.DurationVar(&f.measured.LongestAnswer, "longest-answer", 0, "measured longest answer")
	fl.BoolVar(&f.measured.MemoryFalls, "memory-falls", false, "memory was seen to fall with load")
	fl.StringArrayVar(&f.ceiling, "ceiling", nil, "METRIC=VALUE: the highest value it can reach (repeat)")
	fl.StringArrayVar(&f.series, "series", nil, "METRIC=COUNT: how many series it has (repeat)")
	fl.StringArrayVar(&f.usage, "usage", nil, "RESOURCE=RATIO: mean use at load over its request (repeat)")
	return c
}

// numbers reads NAME=NUMBER flags.
func numbers(flag string, texts []string) (map[string]float64, error) {
	out := map[string]float64{}
	for _, t := range texts {
		name, number, _ := strings.Cut(t, "=")
		v, err := strconv.ParseFloat(number, 64)
		if err != nil || name == "" || v < 0 {
			return nil, usagef("--%s %q: give NAME=NUMBER", flag, t)
		}
		out[name] = v
	}
	return out, nil
}

func (s streams) doctor(ctx context.Context, f doctorFlags, args []string) error {
	if !slices.Contains([]string{"text", "json", "sarif", "junit"}, f.output) {
		return usagef("-o %q: give text, json, sarif or junit", f.output)
	}
	if !slices.Contains([]string{"error", "warning", "never"}, f.failOn) {
		return usagef("--fail-on %q: give error, warning or never", f.failOn)
	}
	if len(f.files) > 0 && (f.all || len(args) > 0) || f.all && len(args) > 0 {
		return usagef("give one of -f, -A and a NAME")
	}
	var err error
	if f.measured.Ceiling, err = numbers("ceiling", f.ceiling); err != nil {
		return err
	}
	if f.measured.Usage, err = numbers("usage", f.usage); err != nil {
		return err
	}
	series, err := numbers("series", f.series)
	if err != nil {
		return err
	}
	f.measured.Series = map[string]int{}
	for name, n := range series {
		f.measured.Series[name] = int(n)
	}
	facts := doctor.Facts{Measured: f.measured}
	name := ""
	if len(f.files) > 0 {
		facts.Docs, err = s.manifests(f.files)
	} else {
		facts.Live = true
		if len(args) > 0 {
			name = args[0]
		}
		facts.Docs, err = s.clusterFacts(ctx, f, name)
	}
	if err != nil {
		return err
	}
	count := 0
	for _, d := range facts.Docs {
		if d.HPA != nil && (name == "" || d.Name == name) {
			count++
		}
	}
	if count == 0 && (name != "" || !facts.Live) {
		return exit(exitUsage, fmt.Errorf("doctor: no such HorizontalPodAutoscaler among %d objects", len(facts.Docs)))
	}
	findings, err := doctor.Judge(facts, name)
	if err != nil {
		return exit(exitUsage, fmt.Errorf("doctor: %w", err))
	}
	if err := quietPipe(s.findings(f.output, count, findings)); err != nil {
		return err
	}
	for _, x := range findings {
		if f.failOn != "never" && x.Severity == doctor.Error || f.failOn == "warning" && x.Severity == doctor.Warning {
			return exit(exitMissed, nil)
		}
	}
	return nil
}

// manifests reads the files of -f one by one, so that each finding keeps its
// own file and line.
func (s streams) manifests(names []string) (docs []manifest.Doc, err error) {
	for _, name := range names {
		paths := []string{name}
		if info, err := os.Stat(name); name != "-" && err == nil && info.IsDir() {
			paths = nil
			err := filepath.WalkDir(name, func(p string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && isManifest(p) {
					paths = append(paths, p)
				}
				return err
			})
			if err != nil {
				return nil, exit(exitUsage, fmt.Errorf("manifest: %w", err))
			}
		}
		for _, p := range paths {
			data, err := s.readManifest(p)
			if err != nil {
				return nil, err
			}
			got, problems := manifest.Parse(p, data)
			if err := problems.Err(); err != nil {
				return nil, exit(exitUsage, err)
			}
			docs = append(docs, got...)
		}
	}
	return docs, nil
}

// clusterFacts reads a cluster within five seconds.
func (s streams) clusterFacts(ctx context.Context, f doctorFlags, name string) ([]manifest.Doc, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	cluster, err := f.kube.connect(ctx)
	if err != nil {
		return nil, err
	}
	namespace := cluster.Namespace
	if f.all {
		namespace = ""
	}
	list, missed, err := cluster.Facts(ctx, namespace)
	if err != nil {
		return nil, exit(exitFailed, err)
	}
	for _, m := range missed {
		s.warnf("not known, so not judged: %s", m)
	}
	docs, problems := manifest.Options{Unchecked: true}.Parse("cluster", list)
	if err := problems.Err(); err != nil {
		return nil, exit(exitFailed, err)
	}
	return docs, nil
}

func (s streams) findings(output string, count int, findings []doctor.Finding) error {
	level := map[doctor.Severity]string{doctor.Error: "error", doctor.Warning: "warning", doctor.Info: "note"}
	var found []report.Found
	for _, x := range findings {
		found = append(found, report.Found{ID: x.ID, Level: level[x.Severity], File: x.File, Line: x.Line, Object: x.Object, Text: x.Why, Help: x.Fix, Link: x.Link})
	}
	switch output {
	case "json":
		if findings == nil {
			findings = []doctor.Finding{}
		}
		return s.json(map[string]any{"findings": findings})
	case "sarif":
		return report.SARIF(s.out, version, found)
	case "junit":
		return report.JUnitFindings(s.out, found)
	}
	for _, x := range findings {
		where := x.Object
		if x.File != "" {
			where = fmt.Sprintf("%s:%d", x.File, x.Line)
		}
		if _, err := fmt.Fprintf(s.out, "%-7s  %-18s  %s\n    %s\n    Fix: %s\n", x.Severity, x.ID, where, x.Why, x.Fix); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(s.out, "%d HPAs, %d findings\n", count, len(findings))
	return err
}

// newChecksCmd is the page of the doctor's checks, made from their registry.
func newChecksCmd() *cobra.Command {
	c := &cobra.Command{Use: "checks", Short: "What hpatune doctor looks for"}
	c.SetHelpFunc(func(c *cobra.Command, _ []string) { fmt.Fprint(c.OutOrStdout(), doctor.Page()) })
	c.Long = c.Short
	return c
}

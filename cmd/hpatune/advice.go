package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tsenart/vegeta/v12/lib/plot"

	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/replay"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// writeAdvice fills what other rooms know into the recommendation and writes
// its files. A refusal is written, too: the report says why.
func (s streams) writeAdvice(a *advice, run *results.Run, dirs []string, current hpaFile, o tuner.Options, f tuneFlags) error {
	r := &a.recommendation
	for _, p := range []*tuner.Pick{r.Current, r.Recommended, r.Alternatives.Cheapest, r.Alternatives.Safest, r.Alternatives.MinimalChange} {
		if p == nil {
			continue
		}
		spec, err := manifest.SpecJSON(&p.Config, current.Meta.Target)
		if err != nil {
			return err
		}
		p.Spec = json.RawMessage(spec)
	}
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return err
	}
	yaml := ""
	if r.Recommended != nil {
		notes := adviceNotes(r, run, f.command(r), current.First)
		if o, ok := ownedBy(run, &r.Recommended.Config, current.Meta.Namespace, notes); ok {
			a.owned = &o
			notes[0].Text = o.warning() + "\n" + notes[0].Text
			if o.file != "" {
				if err := writeFile(a.dir, o.file, text(string(o.patch.Body))); err != nil {
					return err
				}
			}
		}
		yaml = string(manifest.V2(&r.Recommended.Config, current.Meta, notes))
		if err := writeFile(a.dir, "hpa.yaml", text(yaml)); err != nil {
			return err
		}
		// Dead policies are left out of the manifest: the test is of what it says.
		written, _, err := manifest.Decode([]byte(yaml))
		if err != nil {
			return fmt.Errorf("hpa.yaml: what was written does not read back: %w", err)
		}
		script, err := hpaTest(&written, replay.Params(run))
		if err != nil {
			return fmt.Errorf("hpa.hpa: %w", err)
		}
		if err := writeFile(a.dir, "hpa.hpa", text(script)); err != nil {
			return err
		}
	}
	if err := writeFile(a.dir, "recommendation.json", writeJSON(r)); err != nil {
		return err
	}
	if a.model != nil {
		if err := writeFile(a.dir, "model.json", writeJSON(a.model)); err != nil {
			return err
		}
	}
	page := report.Page{
		Title: run.Meta.Profile, Version: version, Command: f.command(r),
		Runs:   []report.Run{report.RunOf(run, results.Summarize(run, o.Objectives), o.Objectives)},
		Advice: r, Manifest: yaml, Note: circular(run),
	}
	if r.Recommended != nil {
		page.Next = nextCommands(a, dirs, current)
	}
	return writeFile(a.dir, "report.html", func(w io.Writer) error {
		assets, err := chartAssets()
		if err != nil {
			return err
		}
		return report.HTML(w, page, assets)
	})
}

func text(t string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, t)
		return err
	}
}

// circular says what a sandbox run proves nothing about.
func circular(run *results.Run) string {
	if run.Meta.Target.Kind != "sandbox" {
		return ""
	}
	return "Recorded in the sandbox: requests, queueing, balancing and timing are real; the autoscaler is hpatune's own core, the one that the replay uses."
}

// chartAssets reads uPlot from vegeta, which carries it.
func chartAssets() (report.Assets, error) {
	read := func(name string) ([]byte, error) {
		f, err := plot.Assets.Open(name)
		if err != nil {
			return nil, fmt.Errorf("chart library: %w", err)
		}
		defer f.Close()
		return io.ReadAll(f)
	}
	script, err := read("uPlot.min.js")
	if err != nil {
		return report.Assets{}, err
	}
	style, err := read("uPlot.min.css")
	return report.Assets{Script: script, Style: style}, err
}

// command is what made the advice, as typed: with all that was stated rather
// than measured. Folders are left out, so that the same runs make the same bytes.
func (f *tuneFlags) command(r *tuner.Recommendation) string {
	c := fmt.Sprintf("hpatune tune %s --seed %d", strings.Join(r.Runs, " "), r.Seed)
	if f.filename != "" {
		c += " -f " + filepath.Base(f.filename)
	}
	if f.startup > 0 {
		c += " --startup " + f.startup.String()
	}
	if f.requests != "" {
		c += " --requests " + f.requests
	}
	for _, o := range f.objectives {
		c += fmt.Sprintf(" --objective %q", o)
	}
	return c
}

// adviceNotes are the comments of hpa.yaml: the head says for what it is valid,
// how it was made, how sure it is and what would void it; each changed value
// has its reason.
func adviceNotes(r *tuner.Recommendation, run *results.Run, command string, first bool) []manifest.Note {
	m := run.Meta
	var head []string
	add := func(format string, args ...any) { head = append(head, fmt.Sprintf(format, args...)) }
	add("Recommended by hpatune %s: %s", r.Version, command)
	where := []string{fmt.Sprintf("the load %q, %.3g requests/s at its peak minute", m.Profile, peakMinute(run))}
	if m.Workload.Image != "" {
		where = append(where, "image "+m.Workload.Image)
	}
	switch {
	case m.HPA.Controller == "sandbox":
		where = append(where, "the sandbox, deciding as Kubernetes v1.37 does")
	case m.HPA.Kubernetes != "":
		where = append(where, "Kubernetes "+m.HPA.Kubernetes)
	}
	add("Valid for: %s.", strings.Join(where, "; "))
	p := r.Recommended.Predicted
	sure := fmt.Sprintf("How sure: %s held in %.0f %% of the replicates", strings.Join(r.Objectives, " and "), 100*p.PSLOMet)
	if s := r.SelfReplay; s.ReplicaHoursError != nil {
		sure += fmt.Sprintf("; the replay met the recorded run within %+.1f %% of its replica-hours above the floor and %d of %d rescales", 100**s.ReplicaHoursError, s.RescalesMatched, s.Rescales)
	}
	add("%s. Evidence: %s. Not confirmed by a second run yet (hpatune verify).", sure, strings.ToUpper(r.Trust))
	for _, x := range r.Assumed {
		add("Assumed, not measured: %s.", x)
	}
	void := "Void with another image, model, requests or node type, or a longer start-up"
	if r.LoadMargin != nil {
		void += fmt.Sprintf("; or with more than %.2g times this load", r.LoadMargin.Value)
	}
	add("%s.", void)
	notes := []manifest.Note{{Path: "", Text: strings.Join(head, "\n")}}
	was := "was"
	if first {
		was = "kubectl autoscale says"
	}
	for _, c := range r.Changes {
		notes = append(notes, manifest.Note{Path: c.Path, Text: fmt.Sprintf("%s %s; %s", was, c.From, c.Why)})
	}
	return notes
}

// peakMinute is the highest offered load over a minute, requests per second.
func peakMinute(run *results.Run) float64 {
	counts := map[int]int{}
	peak := 0
	for i := range run.Requests {
		w := int(run.Requests[i].Scheduled.Minutes())
		counts[w]++
		peak = max(peak, counts[w])
	}
	return float64(peak) / 60
}

// nextCommands are what to do with the advice.
func nextCommands(a *advice, dirs []string, current hpaFile) []string {
	file := filepath.Join(a.dir, "hpa.yaml")
	ns, name := current.Meta.Namespace, current.Meta.Name
	in := ""
	if ns != "" {
		in = " -n " + ns
	}
	second := "hpatune run --hpa " + strings.TrimPrefix(ns+"/"+name, "/") + " -p " + filepath.Join(dirs[0], "profile.yaml") + " --out results/after"
	if a.sandboxed {
		second = "hpatune run --sandbox -p " + filepath.Join(dirs[0], "profile.yaml") + " -f " + file + " --out results/after"
	}
	apply := []string{"kubectl diff -f " + file, "kubectl apply -f " + file}
	if a.owned != nil {
		apply = a.owned.next(a.dir, in)
	}
	return append(apply,
		"kubectl get hpa"+in+" "+name+" -o wide",
		"kubectl describe hpa"+in+" "+name,
		second,
		"hpatune verify "+a.dir+" results/after",
	)
}

// printAdvice writes the advice for a person.
func (s streams) printAdvice(a advice, dirs []string, current hpaFile) error {
	var next []string
	files := "recommendation.json, report.html"
	if a.recommendation.Recommended != nil {
		next = nextCommands(&a, dirs, current)
		files = "hpa.yaml, hpa.hpa, model.json, " + files
		if a.owned != nil && a.owned.file != "" {
			files = a.owned.file + ", " + files
		}
	}
	if err := report.TuneText(s.out, &a.recommendation, next); err != nil {
		return err
	}
	s.warnf("advice: %s (%s)", a.dir, files)
	return nil
}

// hpaTest writes unit tests for the recommended HPA: how it answers a quiet
// load, one at twice the target, and a quiet one again. What it expects is what
// the core decides today, so that an edit of hpa.yaml that changes a decision is
// seen.
func hpaTest(c *hpa.Config, p hpa.Params) (string, error) {
	const quietTicks, fullTicks, afterTicks = 4, 12, 28
	var loads []scenario.Load
	for i := range c.Metrics {
		m := &c.Metrics[i]
		quiet, full := "", ""
		switch t := m.Target; {
		case t.Utilization > 0 && i == tuner.Primary(c):
			quiet, full = strconv.Itoa(int(max(t.Utilization/3, 1))), strconv.Itoa(int(t.Utilization)*2)
		case t.Utilization > 0: // memory and the like do not follow the load here
			quiet = strconv.Itoa(int(max(t.Utilization/2, 1)))
			full = quiet
		default:
			at := max(t.AverageMilli, t.ValueMilli)
			quiet, full = fmt.Sprintf("%dm", max(at/3, 1)), fmt.Sprintf("%dm", at*2)
		}
		words := slices.Concat(slices.Repeat([]string{quiet}, quietTicks), slices.Repeat([]string{full}, fullTicks), slices.Repeat([]string{quiet}, afterTicks))
		loads = append(loads, scenario.Load{Metric: m, Words: words})
	}
	return scenario.Write("Written by hpatune beside hpa.yaml; run it with: hpatune test hpa.hpa\nA quiet load, one at twice the target, and a quiet one again.", "hpa.yaml", c, p, c.MinReplicas, 15*time.Second, loads)
}

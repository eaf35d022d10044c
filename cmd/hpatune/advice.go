package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/advice"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// writeAdvice writes the files of a recommendation. A refusal is written, too:
// the report says why.
func writeAdvice(
	a *advised,
	run *results.Run,
	dirs []string,
	current manifest.HPA,
	o tuner.Options,
	f tuneFlags,
) error {
	r := &a.recommendation
	var err error
	a.files, err = advice.Make(r, advice.Options{
		Run: run, Meta: current.Meta, First: current.First, Scaled: current.Scaled, Command: f.command(r), Model: a.model,
		Owner: manifest.Owner{Kind: run.Meta.Context[kube.HPAOwner], Name: run.Meta.Context[kube.HPAOwnerName]},
		ScaledOwner: manifest.Owner{
			Kind: run.Meta.Context[kube.ScaledOwner], Name: run.Meta.Context[kube.ScaledOwnerName],
		},
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.dir, 0o755); err != nil {
		return err
	}
	for _, f := range a.files.Files {
		if err := os.WriteFile(filepath.Join(a.dir, f.Name), f.Data, 0o644); err != nil {
			return err
		}
	}
	if r.Verdict != tuner.Keep || f.filename != "" { // what ran and is kept needs no applying
		a.next = a.files.Next(a.dir, dirs[0])
	}
	return writePage(filepath.Join(a.dir, "report.html"), report.Page{
		Title: run.Meta.Profile, Version: version, Command: f.command(r),
		Runs:   []report.Run{report.RunOf(run, results.Summarize(run, o.Objectives), o.Objectives)},
		Advice: r, Manifest: a.files.Manifest, Note: advice.Circular(run), Next: a.next,
	})
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
	if f.replicas > 0 {
		c += fmt.Sprintf(" --replicas %d", f.replicas)
	}
	if f.set != nil && f.set("min-floor") {
		c += fmt.Sprintf(" --min-floor %d", f.minFloor)
	}
	if f.maxLimit > 0 {
		c += fmt.Sprintf(" --max-limit %d", f.maxLimit)
	}
	if f.price != "" {
		c += " --price " + filepath.Base(f.price)
	}
	if f.requests != "" {
		c += " --requests " + f.requests
	}
	c += f.words()
	for _, o := range f.objectives {
		c += fmt.Sprintf(" --objective %q", o)
	}
	return c
}

// printAdvice writes the advice for a person.
func (s streams) printAdvice(a advised) error {
	if err := report.TuneText(s.out, &a.recommendation, a.next); err != nil {
		return err
	}
	s.warnf("Wrote to %s: %s, report.html", a.dir, a.files.Names())
	return nil
}

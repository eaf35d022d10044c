package predict

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/kube"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/advice"
	"github.com/hpatune/hpatune/tuner/manifest"
)

// write writes the advice folder. A refusal is written, too, since the report gives its
// reasons.
func (a *Ask) write(
	to *Advised, run *results.Run, dir string, current manifest.HPA, model *tuner.Model, objectives []results.Objective,
) error {
	r := &to.Recommendation
	command := a.command(r)
	var err error
	to.Files, err = advice.Make(r, advice.Options{
		Run: run, Meta: current.Meta, First: current.First, Scaled: current.Scaled, Command: command, Model: model,
		Owner: manifest.Owner{Kind: run.Meta.Context[kube.HPAOwner], Name: run.Meta.Context[kube.HPAOwnerName]},
		ScaledOwner: manifest.Owner{
			Kind: run.Meta.Context[kube.ScaledOwner], Name: run.Meta.Context[kube.ScaledOwnerName],
		},
	})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(to.Dir, 0o755); err != nil {
		return err
	}
	if err := forget(to.Dir, a.Filename); err != nil {
		return err
	}
	for _, f := range to.Files.Files {
		if err := os.WriteFile(filepath.Join(to.Dir, f.Name), f.Data, 0o644); err != nil {
			return err
		}
	}
	if r.Verdict != tuner.Keep || a.Filename != "" { // the HPA that ran is kept, so there is nothing to apply
		to.Next = to.Files.Next(to.Dir, dir)
	}
	return WritePage(filepath.Join(to.Dir, "report.html"), report.Page{
		Title: run.Meta.Profile, Version: a.Version, Command: command,
		Runs:   []report.Run{report.RunOf(run, results.Summarize(run, objectives), objectives)},
		Advice: r, Manifest: to.Files.Manifest, Note: advice.Circular(run), Next: to.Next,
	})
}

// forget removes what an earlier tune wrote into an advice folder, so that no manifest stays
// beside a later recommendation that has none. A folder without a recommendation.json is not
// an advice folder, and keeps its files; so does one that was given with -f.
func forget(dir, given string) error {
	if _, err := os.Stat(filepath.Join(dir, advice.Written[0])); err != nil {
		return nil
	}
	keep, _ := os.Stat(given)
	for _, name := range advice.Written {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && os.SameFile(info, keep) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// canWrite reports why a folder cannot be made or written to, before anything is computed for
// it. It leaves nothing behind.
func canWrite(dir string) error {
	info, err := os.Stat(dir)
	switch parent := filepath.Dir(dir); {
	case errors.Is(err, fs.ErrNotExist) && parent != dir:
		return canWrite(parent)
	case err != nil:
		return err
	case !info.IsDir():
		return errors.New("there is a file of this name, or a part of it")
	}
	f, err := os.CreateTemp(dir, ".hpatune-*")
	if err != nil {
		return errors.Unwrap(err) // without the name of the file, which means nothing
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// command is the command that made the advice, as typed, with everything that was stated
// rather than measured. Folders are left out, so that the same runs give the same bytes.
func (a *Ask) command(r *tuner.Recommendation) string {
	c := fmt.Sprintf("hpatune tune %s --seed %d", strings.Join(r.Runs, " "), r.Seed)
	if a.Filename != "" {
		c += " -f " + filepath.Base(a.Filename)
	}
	if a.Stated.Startup > 0 {
		c += " --startup " + a.Stated.Startup.String()
	}
	if a.Stated.Replicas > 0 {
		c += fmt.Sprintf(" --replicas %d", a.Stated.Replicas)
	}
	if a.given("min-floor") {
		c += fmt.Sprintf(" --min-floor %d", a.MinFloor)
	}
	if a.MaxLimit > 0 {
		c += fmt.Sprintf(" --max-limit %d", a.MaxLimit)
	}
	if a.Price != "" {
		c += " --price " + filepath.Base(a.Price)
	}
	if a.Stated.Requests != "" {
		c += " --requests " + a.Stated.Requests
	}
	c += a.words()
	for _, o := range a.Objectives {
		c += fmt.Sprintf(" --objective %q", o)
	}
	return c
}

// Settings is the file of an advice folder that holds the recommended settings.
func Settings(dir string) string {
	return filepath.Join(dir, advice.FileIn(func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return err == nil
	}))
}

// readModel reads model.json of an advice folder.
func readModel(dir string) (*tuner.Model, error) {
	data, err := os.ReadFile(filepath.Join(dir, "model.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, failure.Inputf("advice %s: no model.json in it\nTry: hpatune tune RUN", dir)
	}
	if err != nil {
		return nil, failure.As(failure.Input, err)
	}
	var m tuner.Model
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, failure.Inputf("advice %s: model.json: %w", dir, err)
	}
	return &m, nil
}

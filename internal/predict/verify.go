package predict

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/recorded"
)

// verifyReplicates is the number of replicates of a prediction.
const verifyReplicates = 20

// Verify compares what the advice in dir predicts for its settings, or for those of -f,
// with a run under them. It also returns the run's trust. Its error is of kind Evidence if
// the run cannot verify the prediction: it ran under other settings, or is invalid.
func (a *Ask) Verify(dir, runDir string) (*tuner.Agreement, results.Trust, error) {
	var trust results.Trust
	nodes, err := a.nodes()
	if err != nil {
		return nil, trust, err
	}
	model, err := readModel(dir)
	if err != nil {
		return nil, trust, err
	}
	if _, err := os.Stat(Settings(dir)); a.Filename == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, trust, failure.Inputf("advice %s: it has no %s, because tune gave no recommendation\n"+
			"Try: -f FILE, the HPA that RUN ran under", dir, filepath.Base(Settings(dir)))
	}
	under, err := GivenHPA(a.Stdin, cmp.Or(a.Filename, Settings(dir)), a.Say)
	if err != nil {
		return nil, trust, err
	}
	run, err := OpenRun(runDir, "")
	if err != nil {
		return nil, trust, err
	}
	diff, err := recorded.Differs(run, &under.Config)
	if err != nil {
		return nil, trust, err
	}
	if diff != "" {
		return nil, trust, failure.Evidencef(
			"%s did not run under %s, so it cannot verify it:\n  %s\nTry: apply it and run again, or pass what ran: -f %s",
			runDir, cmp.Or(a.Filename, "the recommended configuration"),
			strings.ReplaceAll(strings.TrimSpace(diff), "\n", "\n  "), filepath.Join(runDir, "cluster/hpa.yaml"))
	}
	objectives, err := results.ParseObjectives(model.Objectives)
	if err != nil {
		return nil, trust, failure.Inputf("model %s: %w", dir, err)
	}
	trust = results.Summarize(run, objectives).Trust
	if trust.Verdict == results.Invalid {
		return nil, trust, failure.Evidencef("%s: %s", runDir, trust.Line())
	}
	w, err := model.World(run, under.Config)
	if err != nil {
		return nil, trust, err
	}
	if nodes != nil { // others than the advice says
		w, _ = w.On(*nodes)
	}
	l, err := loopOf(run, under.HPA)
	if err != nil {
		return nil, trust, err
	}
	if !recorded.AsksTheSame(run, under.HPA) {
		return nil, trust, failure.Evidencef(
			"%s did not run under %s, so it cannot verify it: the triggers that ran have other queries, or another formula\n"+
				"Try: apply it and run again", runDir, cmp.Or(a.Filename, "the recommended configuration"))
	}
	if l != nil && run.Meta.Target.Kind != results.OfSandbox { // where none runs
		w = w.Under(l.As(w.Loop))
	}
	agreed := tuner.Compare(w, under.Config, run, objectives, model.Seed, verifyReplicates)
	return &agreed, trust, nil
}

// Package recorded reads what a run recorded about its autoscaler: which HPA ran, what
// to compare it with, and its reconciles as a scenario that can be run again.
package recorded

import (
	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/replay"
	"github.com/hpatune/hpatune/tuner/scenario"
)

const (
	hpaFile    = "hpa.yaml"          // in a run's cluster folder: what ran
	scaledFile = "scaledobject.yaml" // what KEDA made it of
)

// HPA returns the HPA that ran, with the ScaledObject that made it, if any. The error is of
// kind Evidence if the run observed no cluster at all, else of kind Input.
func HPA(run *results.Run) (manifest.HPA, error) {
	data, ok := run.Cluster[hpaFile]
	switch {
	case !ok && run.Meta.Target.Kind == results.OfURL:
		return manifest.HPA{}, failure.Evidencef(
			"no recommendation: this run observed neither pods nor an autoscaler\nDescribe them; the recommendation will " +
				"say that they are assumed.\nTry: hpatune tune RUN -f hpa.yaml --startup 90s --requests cpu=1,memory=2Gi",
		)
	case !ok:
		return manifest.HPA{}, failure.Inputf("the run recorded no HPA; pass -f hpa.yaml")
	}
	h, err := manifest.One("cluster/"+hpaFile, data)
	if err != nil {
		return h, failure.As(failure.Input, err)
	}
	if so, has := run.Cluster[scaledFile]; has && h.Scaled == nil {
		// KEDA's HPA is what ran; the recommendation is for the ScaledObject above it.
		if made, err := manifest.One("cluster/"+scaledFile, so); err == nil && made.Config.Equal(&h.Config) {
			h.Scaled = made.Scaled
		}
	}
	return h, nil
}

// Given is the HPA of a file that is used instead of the recorded one.
type Given struct {
	manifest.HPA
	File string // as typed
}

// Current returns the given HPA, or the one that ran; nil = none is given. It rejects, as
// Evidence, an HPA of a workload other than the recorded one, if that is known.
func Current(run *results.Run, given *Given) (manifest.HPA, error) {
	if given == nil {
		return HPA(run)
	}
	of := func(kind, name string) string { return kind + "/" + name }
	want := run.Meta.Workload.Name
	if data, ok := run.Cluster[hpaFile]; ok {
		was, err := manifest.One("cluster/"+hpaFile, data)
		if err != nil {
			return given.HPA, failure.As(failure.Input, err)
		}
		want = of(was.Meta.Target.Kind, was.Meta.Target.Name)
	}
	if got := of(given.Meta.Target.Kind, given.Meta.Target.Name); want != "" && got != want {
		return given.HPA, failure.Evidencef(
			"manifest %s: its HPA scales %s, but the run recorded %s\nTry: the HPA of %s, or a run of %s",
			given.File, got, want, want, got)
	}
	return given.HPA, nil
}

// Improved returns the HPA that a recommendation is about: Current, or for runs at fixed
// sizes their First. ran is the recorded configuration if it is another one, else nil.
func Improved(runs []*results.Run, given *Given) (about manifest.HPA, ran *hpa.Config, err error) {
	run := runs[0]
	if given == nil && run.Meta.Target.Kind == results.OfFixed {
		c, meta, err := First(runs)
		if err != nil {
			err = failure.Inputf("%w; pass -f hpa.yaml", err)
		}
		return manifest.HPA{Config: c, First: true, Meta: meta}, nil, err
	}
	if about, err = Current(run, given); err != nil || given == nil {
		return about, nil, err
	}
	if _, ok := run.Cluster[hpaFile]; !ok {
		return about, nil, nil
	}
	was, err := HPA(run)
	if err == nil && !was.Config.Equal(&about.Config) {
		ran = &was.Config
	}
	return about, ran, err
}

// Differs lists the settings in which what ran differs from a configuration, one per line;
// "" = none, or what ran is unknown.
func Differs(run *results.Run, c *hpa.Config) (string, error) {
	if _, ok := run.Cluster[hpaFile]; !ok {
		return "", nil
	}
	ran, err := HPA(run)
	if err != nil || ran.Config.Equal(c) {
		return "", err
	}
	return manifest.Diff(c, &ran.Config), nil
}

// Scenario returns a recorded run as a scenario under an HPA, and the recorded size around
// each of its reconciles. If the HPA is not the one that ran, the reconciles read its
// metrics (replay.Under). An error is of kind Evidence.
func Scenario(run *results.Run, given *Given) (*scenario.Scenario, []scenario.Size, error) {
	h, err := HPA(run)
	if err != nil {
		return nil, nil, err
	}
	if given != nil {
		to, err := Current(run, given)
		if err != nil {
			return nil, nil, err
		}
		if !AsksTheSame(run, to) {
			return nil, nil, failure.Evidencef(
				"%s: its reconciles would read other queries than the controller of the run did, so the recorded values "+
					"are not theirs\nTry: hpatune replay RUN -f %s, which computes them",
				given.File,
				given.File,
			)
		}
		if run, err = replay.Under(run, &h.Config, &to.Config); err != nil {
			return nil, nil, failure.As(failure.Evidence, err)
		}
		h = to
	}
	observations, err := replay.Observations(run, h.Config)
	if err != nil {
		return nil, nil, failure.As(failure.Evidence, err)
	}
	if len(observations) == 0 {
		return nil, nil, failure.Evidencef("the run recorded no HPA reconcile, so there is nothing to decide")
	}
	params := replay.Params(run)
	sc := scenario.FromObservations(run.Meta.Run, params, h.Identity, run.Meta.Start, hpa.Memory{}, observations)
	sizes := make([]scenario.Size, len(observations))
	for i := range sizes {
		s := &run.Syncs[i]
		sc.Steps[i].Restart = s.Restart
		sizes[i] = scenario.Size{Before: s.Spec, After: s.Replicas, Unseen: replay.Unseen(run, i, params.SyncPeriod)}
	}
	return sc, sizes, nil
}

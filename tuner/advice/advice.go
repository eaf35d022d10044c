// Package advice turns a recommendation into files: hpa.yaml with the reasons as
// comments, unit tests for it, a patch for the owner of the HPA, and the figures
// as JSON. It does not write to disk; it returns names and contents.
package advice

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/internal/secrets"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/replay"
)

// Options describe the run and the HPA that a recommendation is about.
type Options struct {
	Run   *results.Run   // the recording; of several, the first
	Meta  manifest.Meta  // name, namespace and target of the HPA
	Owner manifest.Owner // of the recorded HPA; zero = none found
	First bool           // the workload has no HPA yet
	// ScaledOwner is who writes Scaled; zero = none found.
	ScaledOwner manifest.Owner
	// Scaled is the ScaledObject from which the HPA is made. It is then written, instead of
	// hpa.yaml. nil = none, or unknown.
	Scaled  *manifest.Doc
	Command string       // what made the recommendation, as typed
	Model   *tuner.Model // nil = none was fitted
}

// File is one file of the advice folder.
type File struct {
	Name string // within the folder: hpa.yaml
	Data []byte
}

// Advice is a recommendation as files.
type Advice struct {
	// Files are in reading order: a patch for the owner, hpa.yaml, hpa.hpa, model.json,
	// recommendation.json. A refusal has no manifest and no test.
	Files    []File
	Manifest string // hpa.yaml or scaledobject.yaml; "" = refused
	Name     string // of the file that Manifest is

	owned   *owned   // nil = the manifest may be applied
	rest    []string // what of the recommendation the ScaledObject cannot say
	options Options
}

// Make fills the manifests of r's picks into r and returns its files.
func Make(r *tuner.Recommendation, o Options) (Advice, error) {
	a := Advice{options: o}
	picks := []*tuner.Pick{r.Current, r.Recommended, r.Alternatives.Cheapest, r.Alternatives.Safest,
		r.Alternatives.MinimalChange}
	for _, p := range append(picks, r.Equals...) {
		if p == nil {
			continue
		}
		made := p.Config
		if o.Scaled != nil { // KEDA's HPA starts at 1 if its own loop scales to zero
			made.MinReplicas = max(made.MinReplicas, 1)
		}
		spec, err := manifest.SpecJSON(&made, o.Meta.Target)
		if err != nil {
			return a, err
		}
		p.Spec = json.RawMessage(spec)
		if o.Scaled == nil {
			continue
		}
		text, _, err := o.Scaled.Rewrite(&p.Config, nil)
		if err != nil {
			return a, err
		}
		if p.ScaledObject, err = yaml.YAMLToJSON(text); err != nil {
			return a, err
		}
	}
	for i := range r.WhatIf {
		w := &r.WhatIf[i]
		if w.Config == nil {
			continue
		}
		spec, err := manifest.SpecJSON(w.Config, o.Meta.Target)
		if err != nil {
			return a, err
		}
		w.Spec = json.RawMessage(spec)
	}
	for i := range r.Signals {
		g := &r.Signals[i]
		if g.Config == nil {
			continue
		}
		spec, err := manifest.SpecJSON(g.Config, o.Meta.Target)
		if err != nil {
			return a, err
		}
		g.Spec = json.RawMessage(spec)
	}
	for i := range r.Changes {
		if o.Scaled != nil {
			r.Changes[i].SourcePath = o.Scaled.SourcePath(r.Changes[i].Path)
		}
	}
	if r.Recommended != nil {
		if err := a.manifests(r); err != nil {
			return a, err
		}
	}
	a.signal(r)
	if o.Model != nil {
		if err := a.json("model.json", o.Model); err != nil {
			return a, err
		}
	}
	return a, a.json("recommendation.json", r)
}

// The files that hold the recommended settings.
const (
	hpaYAML    = "hpa.yaml"
	scaledYAML = "scaledobject.yaml"
)

// Written are the files that Make may return. A folder with the first of them is an advice
// folder.
var Written = []string{"recommendation.json", hpaYAML, scaledYAML, "hpa.hpa", "model.json", signalYAML,
	"scaledobject-patch.yaml", "inferenceservice-patch.yaml"}

// sandboxSpeed is the default of run --speed.
const sandboxSpeed = 20

// FileIn returns the name of the file in an advice folder that contains the recommended
// settings, given the files in it.
func FileIn(has func(name string) bool) string {
	if !has(hpaYAML) && has(scaledYAML) {
		return scaledYAML
	}
	return hpaYAML
}

// manifests adds hpa.yaml (or scaledobject.yaml), its unit tests, and the patch
// for its owner.
func (a *Advice) manifests(r *tuner.Recommendation) error {
	c, meta := &r.Recommended.Config, a.options.Meta
	notes := notesOf(r, a.options)
	if a.options.Scaled == nil {
		a.owned = ownedBy(a.options.Owner, c, meta.Namespace, notes)
	} else {
		a.owned = ownedScaled(a.options.ScaledOwner)
	}
	if a.owned != nil {
		notes[0].Text = a.owned.warning() + "\n" + notes[0].Text
		if a.owned.file != "" {
			a.add(a.owned.file, a.owned.patch.Body)
		}
	}
	text, err := a.settings(c, meta, notes)
	if err != nil {
		return err
	}
	a.Manifest = string(text)
	a.add(a.Name, text)
	// Dead policies are left out of the manifest, so the test is of the manifest's
	// policies.
	written, _, err := manifest.Decode(text)
	if err != nil {
		return fmt.Errorf("%s: the written file cannot be read: %w", a.Name, err)
	}
	script, err := test(a.Name, &written, replay.Params(a.options.Run))
	if err != nil {
		return fmt.Errorf("hpa.hpa: %w", err)
	}
	a.add("hpa.hpa", []byte(script))
	return nil
}

// settings writes the file that holds the recommended settings.
func (a *Advice) settings(c *hpa.Config, meta manifest.Meta, notes []manifest.Note) ([]byte, error) {
	if a.options.Scaled == nil {
		a.Name = hpaYAML
		return manifest.V2(c, silenced(c, meta), notes), nil
	}
	text, rest, err := a.options.Scaled.Rewrite(c, notes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", scaledYAML, err)
	}
	a.Name, a.rest = scaledYAML, rest
	return text, nil
}

// silenced tells doctor why a recommendation has no behavior, if it has none: the search
// tried it, and it brought nothing.
func silenced(c *hpa.Config, meta manifest.Meta) manifest.Meta {
	if c.Behavior {
		return meta
	}
	const key, line = "hpatune.dev/ignore", "no-behavior the replay found no behavior that does better"
	old := meta.Annotations[key]
	if strings.Contains(old, "no-behavior ") {
		return meta
	}
	meta.Annotations = maps.Clone(meta.Annotations)
	if meta.Annotations == nil {
		meta.Annotations = map[string]string{}
	}
	meta.Annotations[key] = strings.TrimLeft(old+"\n"+line, "\n")
	return meta
}

func (a *Advice) add(name string, data []byte) {
	if !slices.Contains(Written, name) {
		panic("advice: " + name + " is not listed in Written")
	}
	a.Files = append(a.Files, File{name, data})
}

func (a *Advice) json(name string, v any) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	a.add(name, b.Bytes())
	return nil
}

// Names lists the files, comma-separated.
func (a *Advice) Names() string {
	var names []string
	for _, f := range a.Files {
		names = append(names, f.Name)
	}
	return strings.Join(names, ", ")
}

// Next returns the commands that apply the files in dir, and those that record and verify
// the result under the profile of the run folder recorded. There are none after a refusal.
func (a *Advice) Next(dir, recorded string) []string {
	if a.Manifest == "" {
		return nil
	}
	file, profile := filepath.Join(dir, a.Name), filepath.Join(recorded, "profile.yaml")
	ns, name := a.options.Meta.Namespace, a.options.Meta.Name
	in := ""
	if ns != "" {
		in = " -n " + ns
	}
	m := &a.options.Run.Meta
	second := "hpatune run --hpa " + strings.TrimPrefix(ns+"/"+name, "/") + needed(m) +
		" -p " + profile + " --out results/after"
	if m.Target.Kind == results.OfSandbox {
		speed := ""
		if m.Speed > 1 && m.Speed < sandboxSpeed { // this machine was too busy for the default
			speed = fmt.Sprintf(" --speed %g", m.Speed)
		}
		second = "hpatune run --sandbox" + speed + " -p " + profile + " -f " + file + " --out results/after"
	}
	apply := []string{"kubectl diff -f " + file, "kubectl apply -f " + file}
	if a.owned != nil {
		apply = a.owned.next(dir, in)
	}
	for _, r := range a.rest {
		apply = append(apply, "# then change by hand: "+r)
	}
	return append(apply,
		"kubectl get hpa"+in+" "+name+" -o wide",
		"kubectl describe hpa"+in+" "+name,
		second,
		"hpatune verify "+dir+" results/after",
	)
}

// needed are the flags that the recording needed to reach its target and to know the
// controller, each with a leading blank.
func needed(m *results.Meta) string {
	flags := ""
	if n := m.Context["workers"]; n != "" {
		flags += " --workers " + n
	}
	if m.Target.URL != "" {
		flags += " --url " + m.Target.URL
	}
	h, usual := &m.HPA, hpa.DefaultParams()
	var controller []string
	for _, x := range []struct {
		name string
		s    float64
		is   time.Duration
	}{
		{"syncPeriod", h.SyncPeriodS, usual.SyncPeriod},
		{"downscaleStabilization", h.DownscaleStabilizationS, usual.DownscaleStabilization},
		{"cpuInitializationPeriod", h.CPUInitializationPeriodS, usual.CPUInitializationPeriod},
		{"initialReadinessDelay", h.InitialReadinessDelayS, usual.InitialReadinessDelay},
	} {
		if d := time.Duration(x.s * float64(time.Second)); d > 0 && d != x.is {
			controller = append(controller, x.name+"="+d.String())
		}
	}
	if h.Tolerance > 0 && h.Tolerance != usual.Tolerance {
		controller = append(controller, fmt.Sprintf("tolerance=%g", h.Tolerance))
	}
	if len(controller) > 0 {
		flags += " --controller " + strings.Join(controller, ",")
	}
	return flags
}

// notesOf are the comments of hpa.yaml. The head says what it is valid for, how it was
// made, how sure it is and what would invalidate it; each changed value has its reason.
func notesOf(r *tuner.Recommendation, o Options) []manifest.Note {
	m := o.Run.Meta
	var head []string
	add := func(format string, args ...any) { head = append(head, fmt.Sprintf(format, args...)) }
	add("Recommended by hpatune %s: %s", r.Version, o.Command)
	where := []string{fmt.Sprintf("the load %q (%.3g requests/s in its peak minute)", m.Profile, peakMinute(o.Run))}
	if m.Workload.Image != "" {
		where = append(where, "image "+m.Workload.Image)
	}
	switch {
	case m.HPA.Controller == results.SandboxController:
		where = append(where, "the sandbox (HPA rules of Kubernetes v1.37)")
	case m.HPA.Kubernetes != "":
		where = append(where, "Kubernetes "+m.HPA.Kubernetes)
	}
	add("Valid for: %s.", strings.Join(where, "; "))
	p := r.Recommended.Predicted
	sure := fmt.Sprintf(
		"Confidence: %s held in %s of the replicates (replays of this load)",
		strings.Join(r.Covered(), " and "),
		figure.Percent(p.PSLOMet),
	)
	if s := r.SelfReplay; s.ReplicaHoursError != nil {
		sure += fmt.Sprintf(
			". Replaying the recorded run matched %d of %d rescales; "+
				"replica-hours above minReplicas were off by %s",
			s.RescalesMatched,
			s.Rescales,
			figure.Change(*s.ReplicaHoursError),
		)
	}
	add("%s. Recorded run: %s. Not verified by a second run yet (hpatune verify).", sure, strings.ToUpper(r.Trust))
	for _, x := range r.NotCovered {
		add("Not covered by the prediction: %s (%s).", x.Objective, x.Why)
	}
	for _, x := range r.Assumed {
		add("Assumed, not measured: %s.", x)
	}
	void := "Not valid for another image, model, resource requests or node type, or a longer start-up"
	if r.LoadMargin != nil {
		void += fmt.Sprintf(", or for more than %.2f times this load", r.LoadMargin.Value)
	}
	add("%s.", void)
	if o.Scaled != nil && struckOut(o.Scaled) {
		add("Values that read %s were struck out of the recording: write them in before kubectl apply. "+
			"hpatune run --apply takes them from the live object.", secrets.Struck)
	}
	notes := []manifest.Note{{Path: "", Text: strings.Join(head, "\n")}}
	was := "was"
	if o.First {
		was = "kubectl autoscale would set"
	}
	for _, c := range r.Changes {
		notes = append(notes, manifest.Note{Path: c.Path, Text: fmt.Sprintf("%s %s; %s", was, c.From, c.Why)})
	}
	return notes
}

// struckOut reports whether secrets were removed from an object.
func struckOut(d *manifest.Doc) bool {
	text, _ := d.JSON()
	return bytes.Contains(text, []byte(secrets.Struck))
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

// Circular says what a sandbox run does not prove; "" for other runs.
func Circular(run *results.Run) string {
	if run.Meta.Target.Kind != results.OfSandbox {
		return ""
	}
	return "Recorded in the sandbox: requests, queueing, balancing and timing are real; the autoscaler is hpatune's " +
		"own implementation, which the replay also uses."
}

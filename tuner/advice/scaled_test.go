package advice

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hpatune/hpatune/internal/doctor"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// The recommendation for KEDA is the ScaledObject itself, with the reasons, and no hpa.yaml,
// which KEDA would undo.
func TestAScaledObjectIsWrittenWhole(t *testing.T) {
	text, err := os.ReadFile("../manifest/testdata/keda/waiting.yaml")
	if err != nil {
		t.Fatal(err)
	}
	docs, problems := manifest.Parse("waiting.yaml", text)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	d := &docs[0]
	c, _, err := d.Config()
	if err != nil {
		t.Fatal(err)
	}
	c.MinReplicas, c.MaxReplicas = 2, 6
	c.Metrics[0].Target.AverageMilli = 3000
	path := "spec.metrics[" + c.Metrics[0].Key() + "].target.averageValue"
	r := &tuner.Recommendation{Version: "v1", Recommended: &tuner.Pick{Config: c}, Changes: []tuner.Changed{
		{Path: "spec.minReplicas", From: "1", To: "2", Why: "the first replica was not enough"},
		{Path: path, From: "5", To: "3", Why: "five wait too long"},
	}}
	o := optionsOf(manifest.Owner{Kind: "KEDA", Name: "llm"})
	o.Scaled, o.Meta = d, manifest.MetaOf(d.HPA)
	a, err := Make(r, o)
	if err != nil {
		t.Fatal(err)
	}
	if want := "scaledobject.yaml, hpa.hpa, recommendation.json"; a.Names() != want {
		t.Errorf("Names() = %s, want %s", a.Names(), want)
	}
	for _, want := range []string{"# Recommended by hpatune v1", "# was 5; five wait too long\n        threshold: \"3\"\n", "minReplicaCount: 2\n", "maxReplicaCount: 6\n", "cooldownPeriod: 30\n"} {
		if !strings.Contains(a.Manifest, want) {
			t.Errorf("scaledobject.yaml lacks %q:\n%s", want, a.Manifest)
		}
	}
	next := strings.Join(a.Next("out", "results/x"), "\n")
	for _, want := range []string{"kubectl apply -f out/scaledobject.yaml", "hpatune run --hpa ml/keda-hpa-llm "} {
		if !strings.Contains(next, want) {
			t.Errorf("Next() lacks %q:\n%s", want, next)
		}
	}
	var back struct {
		Recommended struct {
			ScaledObject manifest.ScaledObject `json:"scaled_object"`
		}
		Changes []struct {
			SourcePath string `json:"source_path"`
		}
	}
	if err := json.Unmarshal([]byte(data(t, a, "recommendation.json")), &back); err != nil {
		t.Fatal(err)
	}
	if so := back.Recommended.ScaledObject; so.Min() != 2 || so.Spec.Triggers[0].Metadata["threshold"] != "3" {
		t.Errorf("recommended.scaled_object = %+v, want the whole object", so)
	}
	if back.Changes[0].SourcePath != "spec.minReplicaCount" || back.Changes[1].SourcePath != "spec.triggers[0].metadata.threshold" {
		t.Errorf("changes = %+v, want where they stand in the ScaledObject", back.Changes)
	}
	script, err := scenario.ParseScript("hpa.hpa", []byte(data(t, a, "hpa.hpa")), fstest.MapFS{"scaledobject.yaml": {Data: []byte(a.Manifest)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range script.Tests {
		if missed := x.Run(nil); len(missed) > 0 {
			t.Errorf("hpa.hpa fails on its own scaledobject.yaml: %v", missed)
		}
	}
}

// A ScaledObject that a repository manages must not be applied, and values that were redacted
// in the recording must be filled in again.
func TestAnOwnedScaledObjectSaysWhereToChangeIt(t *testing.T) {
	const text = `apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: llm, namespace: ml}
spec:
  scaleTargetRef: {name: llm}
  minReplicaCount: 1
  triggers:
  - type: prometheus
    metadata: {serverAddress: "http://p:9090", query: sum(x), threshold: "5", customHeaders: REDACTED}
`
	docs, problems := manifest.Parse("so.yaml", []byte(text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	c, _, err := docs[0].Config()
	if err != nil {
		t.Fatal(err)
	}
	o := optionsOf(manifest.Owner{Kind: "KEDA", Name: "llm"})
	o.Scaled, o.ScaledOwner, o.Meta = &docs[0], manifest.Owner{Kind: "Argo CD", Name: "shop"}, manifest.MetaOf(docs[0].HPA)
	a, err := Make(&tuner.Recommendation{Recommended: &tuner.Pick{Config: c}}, o)
	if err != nil {
		t.Fatal(err)
	}
	head := strings.ReplaceAll(a.Manifest, "\n# ", " ")
	for _, want := range []string{"Do not apply this file: Argo CD manages the ScaledObject", "Values that read REDACTED were struck out of the recording"} {
		if !strings.Contains(head, want) {
			t.Errorf("scaledobject.yaml lacks %q:\n%s", want, a.Manifest)
		}
	}
	next := strings.Join(a.Next("out", "results/x"), "\n")
	if !strings.Contains(next, "# This ScaledObject is managed by Argo CD") || strings.Contains(next, "kubectl apply") {
		t.Errorf("Next() = %s", next)
	}
}

// hpatune's own recommendation triggers no finding of its own doctor.
func TestAdvicePassesDoctor(t *testing.T) {
	for _, behavior := range []bool{false, true} {
		r := pick()
		if behavior {
			r.Recommended.Config.EnsureBehavior()
		}
		a, err := Make(r, optionsOf(manifest.Owner{}))
		if err != nil {
			t.Fatal(err)
		}
		docs, problems := manifest.Parse("hpa.yaml", []byte(a.Manifest))
		if err := problems.Err(); err != nil {
			t.Fatal(err)
		}
		hpas, err := doctor.Judge(doctor.Facts{Docs: docs}, "")
		if err != nil || len(hpas) != 1 || len(hpas[0].Findings) > 0 {
			t.Errorf("behavior %v: doctor finds %+v, %v, want nothing:\n%s", behavior, hpas, err, a.Manifest)
		}
	}
}

package advice

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/fstest"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// pick is a recommendation of 2 to 10 replicas at 60 % CPU.
func pick() *tuner.Recommendation {
	c := hpa.DefaultConfig(10)
	c.MinReplicas = 2
	c.Metrics[0].Target.Utilization = 60
	return &tuner.Recommendation{
		Version: "v1", Verdict: tuner.Change, Trust: "valid", Objectives: []string{"e2e.p95 < 2s"},
		Recommended: &tuner.Pick{Config: c},
		Changes:     []tuner.Changed{{Path: "spec.minReplicas", From: "1", To: "2", Why: "the first replica was not enough"}},
	}
}

func optionsOf(owner manifest.Owner) Options {
	run := &results.Run{Meta: results.Meta{Profile: "spike", Target: results.Target{Kind: "hpa"}}}
	return Options{
		Run: run, Owner: owner, Command: "hpatune tune results/x",
		Meta: manifest.Meta{Namespace: "ml", Name: "chat", Target: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "chat"}},
	}
}

func data(t *testing.T, a Advice, name string) string {
	t.Helper()
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data)
		}
	}
	t.Fatalf("no %s among %s", name, a.Names())
	return ""
}

func TestMakeAndNext(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		owner    manifest.Owner
		files    string
		head     string // the first line of hpa.yaml
		next     string // the first command
	}{
		{"an HPA that nobody writes is applied", manifest.Owner{},
			"hpa.yaml, hpa.hpa, recommendation.json", "# Recommended by hpatune v1: hpatune tune results/x", "kubectl diff -f out/hpa.yaml"},
		{"KEDA's is changed through its ScaledObject", manifest.Owner{Kind: "KEDA", Name: "so"},
			"scaledobject-patch.yaml, hpa.yaml, hpa.hpa, recommendation.json", "# Do not apply this file: KEDA manages the HPA", "kubectl patch scaledobject -n ml so --type merge --patch-file out/scaledobject-patch.yaml"},
		{"Argo CD's repository is named, since it has no patch", manifest.Owner{Kind: "Argo CD", Name: "shop"},
			"hpa.yaml, hpa.hpa, recommendation.json", "# Do not apply this file: Argo CD manages the HPA", "# This HPA is managed by Argo CD"},
		{"who applied it with a field manager of his own keeps the file", manifest.Owner{Kind: "manager", Name: "pulumi"},
			"hpa.yaml, hpa.hpa, recommendation.json", "# Recommended by hpatune", "kubectl diff"},
	} {
		t.Run(tt.sentence, func(t *testing.T) {
			a, err := Make(pick(), optionsOf(tt.owner))
			if err != nil {
				t.Fatal(err)
			}
			if a.Names() != tt.files {
				t.Errorf("Names() = %s, want %s", a.Names(), tt.files)
			}
			if got := data(t, a, "hpa.yaml"); !strings.HasPrefix(got, tt.head) || !strings.Contains(got, "was 1; the first replica was not enough") {
				t.Errorf("hpa.yaml does not begin with %q, or has no reason:\n%s", tt.head, got)
			}
			next := a.Next("out", "results/x")
			if !strings.HasPrefix(next[0], tt.next) {
				t.Errorf("Next()[0] = %q, want %q", next[0], tt.next)
			}
			if want := "hpatune run --hpa ml/chat -p results/x/profile.yaml --out results/after"; next[len(next)-2] != want {
				t.Errorf("Next() runs %q, want %q", next[len(next)-2], want)
			}
		})
	}
}

// What is written reads back, and passes the tests that are written with it.
func TestWhatIsWrittenHolds(t *testing.T) {
	r := pick()
	a, err := Make(r, optionsOf(manifest.Owner{}))
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := manifest.Decode([]byte(a.Manifest))
	if err != nil || !c.Equal(&r.Recommended.Config) {
		t.Errorf("hpa.yaml reads back as %+v (%v), want %+v", c, err, r.Recommended.Config)
	}
	var back struct {
		Recommended struct {
			Spec autoscalingv2.HorizontalPodAutoscalerSpec
		}
	}
	if err := json.Unmarshal([]byte(data(t, a, "recommendation.json")), &back); err != nil || back.Recommended.Spec.MaxReplicas != 10 {
		t.Errorf("recommendation.json has no spec of its pick: %v", err)
	}
	script, err := scenario.ParseScript("hpa.hpa", []byte(data(t, a, "hpa.hpa")), fstest.MapFS{"hpa.yaml": {Data: []byte(a.Manifest)}})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range script.Tests {
		if missed := x.Run(nil); len(missed) > 0 {
			t.Errorf("hpa.hpa fails on its own hpa.yaml: %v", missed)
		}
	}
}

func TestARefusalHasNoManifest(t *testing.T) {
	a, err := Make(&tuner.Recommendation{Verdict: tuner.Refuse}, optionsOf(manifest.Owner{}))
	if err != nil || a.Names() != "recommendation.json" || a.Next("out", "x") != nil {
		t.Errorf("Make(a refusal) = %s, next %q, %v; want recommendation.json alone", a.Names(), a.Next("out", "x"), err)
	}
}

// The next commands repeat what the recording needed to reach its target and to know the
// controller. The tests beside hpa.yaml use the sync period of that controller.
func TestNextRepeatsWhatWasNeeded(t *testing.T) {
	for _, tt := range []struct {
		sentence string
		meta     results.Meta
		want     string
	}{
		{"nothing but the HPA's name", results.Meta{HPA: results.HPAContext{SyncPeriodS: 15, Tolerance: 0.1, DownscaleStabilizationS: 300}}, "--hpa ml/chat -p"},
		{"a way in", results.Meta{Target: results.Target{Kind: "hpa", URL: "http://10.0.0.7:8000"}}, "--hpa ml/chat --url http://10.0.0.7:8000 -p"},
		{"from inside", results.Meta{Context: map[string]string{"workers": "2"}}, "--hpa ml/chat --workers 2 -p"},
		{"a controller with other flags", results.Meta{HPA: results.HPAContext{SyncPeriodS: 5, DownscaleStabilizationS: 30, Tolerance: 0.05}},
			"--hpa ml/chat --controller syncPeriod=5s,downscaleStabilization=30s,tolerance=0.05 -p"},
	} {
		o := optionsOf(manifest.Owner{})
		o.Run.Meta = tt.meta
		a, err := Make(pick(), o)
		if err != nil {
			t.Fatal(err)
		}
		if next := strings.Join(a.Next("out", "x"), "\n"); !strings.Contains(next, tt.want) {
			t.Errorf("%s: Next has no %q:\n%s", tt.sentence, tt.want, next)
		}
		every := "every    15s"
		if tt.meta.HPA.SyncPeriodS == 5 {
			every = "every    5s"
		}
		if got := data(t, a, "hpa.hpa"); !strings.Contains(got, every) {
			t.Errorf("%s: hpa.hpa has no %q:\n%s", tt.sentence, every, got)
		}
	}
}

// The second run of a sandbox is at the first one's speed, if that machine was too slow for the
// default.
func TestNextRunOfASandboxKeepsItsSpeed(t *testing.T) {
	for speed, want := range map[float64]string{
		10: "hpatune run --sandbox --speed 10 -p", 12.5: "hpatune run --sandbox --speed 12.5 -p", 20: "hpatune run --sandbox -p", 0: "hpatune run --sandbox -p",
	} {
		o := optionsOf(manifest.Owner{})
		o.Run.Meta.Target.Kind, o.Run.Meta.Speed = results.OfSandbox, speed
		a, err := Make(pick(), o)
		if err != nil {
			t.Fatal(err)
		}
		if next := a.Next("out", "x"); !strings.HasPrefix(next[len(next)-2], want) {
			t.Errorf("recorded at speed %g: next is %q, want %q", speed, next[len(next)-2], want)
		}
	}
}

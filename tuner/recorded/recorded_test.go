package recorded

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/manifest"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// shipped is a short run of a sandbox under the commonly copied HPA.
func shipped(t *testing.T) *results.Run {
	t.Helper()
	run, err := store.Open(os.DirFS(filepath.Join("..", "..", "results", "testdata", "before")))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// edited is the HPA that ran, given as a file in which one text is replaced with another.
func edited(t *testing.T, run *results.Run, old, with string) *Given {
	t.Helper()
	text := string(run.Cluster[hpaFile])
	if !strings.Contains(text, old) {
		t.Fatalf("no %q in the HPA that ran:\n%s", old, text)
	}
	h, err := manifest.One("edited.yaml", []byte(strings.Replace(text, old, with, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return &Given{h, "edited.yaml"}
}

func TestHPA(t *testing.T) {
	run := shipped(t)
	if h, err := HPA(run); err != nil || h.Config.MaxReplicas != 10 {
		t.Errorf("HPA of the shipped run = %+v, %v", h.Config, err)
	}
	for _, tt := range []struct {
		sentence string
		run      results.Run
		kind     failure.Kind
	}{
		{"a run of a URL is no evidence of an HPA", results.Run{Meta: results.Meta{Target: results.Target{Kind: results.OfURL}}}, failure.Evidence},
		{"of another, the HPA must be given", results.Run{Meta: results.Meta{Target: results.Target{Kind: results.OfFixed}}}, failure.Input},
		{"a manifest that was damaged", results.Run{Cluster: map[string][]byte{hpaFile: []byte("kind: [")}}, failure.Input},
	} {
		if _, err := HPA(&tt.run); err == nil || failure.Of(err) != tt.kind {
			t.Errorf("%s: %v, want an error of kind %d", tt.sentence, err, tt.kind)
		}
	}
}

func TestCurrentAndImproved(t *testing.T) {
	run := shipped(t)
	for _, tt := range []struct {
		sentence string
		given    *Given
		max      int32
		another  bool   // than what ran
		says     string // of the error, of kind Evidence; "" = none
	}{
		{"what ran", nil, 10, false, ""},
		{"the same, given as a file", edited(t, run, "maxReplicas: 10", "maxReplicas: 10"), 10, false, ""},
		{"another of the same workload", edited(t, run, "maxReplicas: 10", "maxReplicas: 7"), 7, true, ""},
		{"one of another workload", edited(t, run, "kind: Deployment", "kind: StatefulSet"), 0, false, "edited.yaml: its HPA scales StatefulSet/"},
	} {
		h, err := Current(run, tt.given)
		about, ran, ierr := Improved([]*results.Run{run}, tt.given)
		if tt.says != "" {
			for _, err := range []error{err, ierr} {
				if failure.Of(err) != failure.Evidence || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%s: %v, want an error of the evidence that says %q", tt.sentence, err, tt.says)
				}
			}
			continue
		}
		if err != nil || ierr != nil || h.Config.MaxReplicas != tt.max || !about.Config.Equal(&h.Config) || (ran != nil) != tt.another {
			t.Errorf("%s: Current = %+v, %v; Improved = %+v, ran %v, %v", tt.sentence, h.Config, err, about.Config, ran, ierr)
		}
	}
}

func TestDiffers(t *testing.T) {
	run := shipped(t)
	for _, tt := range []struct {
		sentence string
		run      *results.Run
		given    *Given
		want     string // in the difference; "" = there is none
	}{
		{"what ran", run, edited(t, run, "maxReplicas: 10", "maxReplicas: 10"), ""},
		{"another", run, edited(t, run, "maxReplicas: 10", "maxReplicas: 7"), "maxReplicas"},
		{"it is not known what ran", &results.Run{}, edited(t, run, "maxReplicas: 10", "maxReplicas: 7"), ""},
	} {
		got, err := Differs(tt.run, &tt.given.Config)
		if err != nil || (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: Differs = %q, %v; want %q", tt.sentence, got, err, tt.want)
		}
	}
}

// A run written as a scenario decides as the controller did; under another HPA it may not.
func TestScenarioDecidesAsRecorded(t *testing.T) {
	run := shipped(t)
	diverged := func(given *Given) (n int) {
		t.Helper()
		sc, sizes, err := Scenario(run, given)
		if err != nil || len(sizes) != len(run.Syncs) {
			t.Fatalf("Scenario: %d sizes of %d reconciles, %v", len(sizes), len(run.Syncs), err)
		}
		if err := scenario.RunRecorded(sc, sizes, func(l *scenario.Line) error {
			if l.Diverged {
				n++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := diverged(nil); n > 0 {
		t.Errorf("under the HPA that ran %d decisions differ from the recorded ones", n)
	}
	if n := diverged(edited(t, run, "maxReplicas: 10", "maxReplicas: 2")); n == 0 {
		t.Error("under another HPA no decision differs")
	}
	none := *run
	none.Syncs = nil
	if _, _, err := Scenario(&none, nil); failure.Of(err) != failure.Evidence {
		t.Errorf("a run without reconciles: %v, want an error of the evidence", err)
	}
}

func TestFirst(t *testing.T) {
	target := map[string][]byte{"target.yaml": []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: chat}\n")}
	runs := []*results.Run{
		{Cluster: target, Pods: []results.Pod{{Name: "a"}}},
		{Pods: []results.Pod{{Name: "a"}, {Name: "b"}, {Name: "a"}, {Name: "c"}}},
	}
	c, meta, err := First(runs)
	if err != nil || c.MaxReplicas != 3 || meta.Target.Name != "chat" {
		t.Errorf("First = max %d of %s, %v; want the largest size, 3, of chat", c.MaxReplicas, meta.Target.Name, err)
	}
	if _, _, err := First([]*results.Run{{}}); !errors.Is(err, ErrNoTarget) {
		t.Errorf("First without a target: %v, want ErrNoTarget", err)
	}
}

package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAdviceSpeaksTheOwnersLanguage: an HPA that somebody writes again is not to
// be applied over; its owner's object is patched, or the place is named.
func TestAdviceSpeaksTheOwnersLanguage(t *testing.T) {
	for _, tt := range []struct {
		name, kind, owner string
		file              string   // in the advice's folder; "" = none
		has               []string // of the file
		says              []string // of the terminal
	}{
		{"KEDA's ScaledObject is patched", "KEDA", "chat", "scaledobject-patch.yaml",
			[]string{"kind: ScaledObject", "name: chat", "minReplicaCount: ", "maxReplicaCount: ", "horizontalPodAutoscalerConfig:"},
			[]string{"kubectl patch scaledobject", "chat --type merge --patch-file", "in the trigger of type cpu"}},
		{"KServe's InferenceService is patched, and what it cannot say is said", "KServe", "chat", "inferenceservice-patch.yaml",
			[]string{"kind: InferenceService", "scaleMetric: cpu", "scaleTarget: "},
			[]string{"kubectl patch inferenceservice", "behavior (windows, policies) cannot be set in an"}},
		{"Argo CD's repository is named", "Argo CD", "models", "", nil, []string{"the repository of the Argo CD application models"}},
		{"Helm's values are named", "Helm", "models", "", nil, []string{"the values of the Helm release models"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			if err := os.CopyFS(dir, os.DirFS("../../results/testdata/before")); err != nil {
				t.Fatal(err)
			}
			var meta map[string]any
			data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
			if err == nil {
				err = json.Unmarshal(data, &meta)
			}
			if err != nil {
				t.Fatal(err)
			}
			meta["context"] = map[string]string{"hpa_owner": tt.kind, "hpa_owner_name": tt.owner}
			data, _ = json.Marshal(meta)
			if err := os.WriteFile(filepath.Join(dir, "meta.json"), data, 0o644); err != nil {
				t.Fatal(err)
			}
			var out, errs bytes.Buffer
			if code := run(t.Context(), []string{"tune", dir}, strings.NewReader(""), &out, &errs); code != exitOK {
				t.Fatalf("tune: exit code %d: %s", code, errs.String())
			}
			said := strings.NewReplacer("\\\n", "", "\n  #", "").Replace(out.String()) // lines are broken to fit
			said = strings.Join(strings.Fields(said), " ")
			for _, w := range tt.says {
				if !strings.Contains(said, w) {
					t.Errorf("the terminal does not say %q:\n%s", w, out.String())
				}
			}
			if strings.Contains(out.String(), "kubectl apply") {
				t.Errorf("the terminal says to apply an HPA that %s would undo:\n%s", tt.kind, out.String())
			}
			head, _ := os.ReadFile(filepath.Join(dir, "advice", "hpa.yaml"))
			if !strings.Contains(string(head), "Do not apply this file: "+tt.kind) {
				t.Errorf("hpa.yaml does not say that it must not be applied:\n%.400s", head)
			}
			if tt.file == "" {
				return
			}
			patch, err := os.ReadFile(filepath.Join(dir, "advice", tt.file))
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range tt.has {
				if !strings.Contains(string(patch), w) {
					t.Errorf("%s has no %q:\n%s", tt.file, w, patch)
				}
			}
		})
	}
}

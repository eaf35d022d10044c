package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A replay of a run that is not valid evidence prints that above its figures, and exits
// as gate does, whatever the output.
func TestReplayOfAnInvalidRun(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "results", "testdata", "before"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "meta.json")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var meta map[string]any
	if err := json.Unmarshal(data, &meta); err != nil {
		t.Fatal(err)
	}
	meta["client"].(map[string]any)["cpu_ratio"] = 0.99
	if data, err = json.Marshal(meta); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ line, objective, first string }{
		{"replay --replicates 5", "ttft.p95 < 4s", "INVALID"},
		{"replay --replicates 5 -o json", "ttft.p95 < 4s", `"verdict":"invalid"`},
		{"gate --replicates 5 --recording", "ttft.p95 < 4s", "INVALID"},
	} {
		var out, stderr bytes.Buffer
		args := append(strings.Fields(tt.line), dir, "-f", filepath.Join(dir, "cluster", "hpa.yaml"), "--objective", tt.objective)
		code := run(t.Context(), args, strings.NewReader(""), &out, &stderr)
		head, _, _ := strings.Cut(out.String(), "\n\n")
		if code != exitNotValid || !strings.Contains(head, tt.first) {
			t.Errorf("hpatune %s: exit code %d, want %d, with %s first:\n%s%s", tt.line, code, exitNotValid, tt.first, out.String(), stderr.String())
		}
	}
}

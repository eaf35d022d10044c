package kube

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is not back comes with its original as a file, or on stdout where no
// file can be written; only that counts as left.
func TestRestoredKeepsTheOriginals(t *testing.T) {
	dir := t.TempDir()
	original := []byte("kind: HorizontalPodAutoscaler\n")
	done := []Restored{
		{Object: "HorizontalPodAutoscaler/a", Run: "r", Text: "restored the original spec", Put: true},
		{Object: "HorizontalPodAutoscaler/b", Run: "r", Text: "theirs stays", Original: original},
		{Object: "HorizontalPodAutoscaler/c", Run: "r", Text: "it has been deleted", Gone: true, Original: original},
		{Object: "Deployment/d", Run: "r", Text: "run x is still active"},
	}
	var out bytes.Buffer
	left, err := WriteRestored(&out, done, dir)
	if err != nil || left != 3 {
		t.Errorf("restored = %d left, %v; want 3: b, c and d", left, err)
	}
	for _, want := range []string{
		"kubectl replace -f " + filepath.Join(dir, "original-horizontalpodautoscaler-b.yaml"),
		"kubectl create -f " + filepath.Join(dir, "original-horizontalpodautoscaler-c.yaml"),
		"Deployment/d: run x is still active (run r)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &out)
		}
	}
	if data, err := os.ReadFile(filepath.Join(dir, "original-horizontalpodautoscaler-b.yaml")); err != nil || !bytes.Equal(data, original) {
		t.Errorf("the original as a file: %q, %v", data, err)
	}
	out.Reset()
	if _, err := WriteRestored(&out, done, filepath.Join(dir, "nosuch")); err == nil || strings.Count(out.String(), string(original)) != 2 {
		t.Errorf("where no file can be written: %v\n%s", err, &out)
	}
}

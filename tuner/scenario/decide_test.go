package scenario

import (
	"bytes"
	"strings"
	"testing"
)

// writes records what reaches the reader, and when.
type writes struct{ lines []string }

func (w *writes) Write(p []byte) (int, error) {
	w.lines = append(w.lines, string(p))
	return len(p), nil
}

func TestDecideRunsTheOthers(t *testing.T) {
	const good = `{"id":"%","hpa":{"spec":{"maxReplicas":3}},"initialReplicas":5,"observations":[{},{}]}`
	in := strings.ReplaceAll(good, "%", "a") + "\n" + `{"id":"b","hpa":{"spec":{"maxReplica":3}}}` + "\nno\n" + strings.ReplaceAll(good, "%", "<c>") + "\n"
	var w writes
	failed, err := Decide(strings.NewReader(in), &w, Options{})
	if err != nil || failed != 2 || len(w.lines) != 6 {
		t.Fatalf("Decide: %d failed, %v, writes %q; want 2 failures among 6 writes", failed, err, w.lines)
	}
	for i, want := range []string{`{"id":"a","tick":0,"t":0,"currentReplicas":5,"statusReplicas":5,"desiredReplicas":3,"replicas":3,"scaled":true,"reason":"Current number of replicas above Spec.MaxReplicas",`,
		`{"id":"a","tick":1,"t":15,`, `{"id":"b","scenarioError":"hpa: `, `{"id":"","scenarioError":"line 1: not JSON`, `{"id":"<c>","tick":0,`, `{"id":"<c>","tick":1,`} {
		if !strings.HasPrefix(w.lines[i], want) || !strings.HasSuffix(w.lines[i], "}\n") || bytes.Count([]byte(w.lines[i]), []byte("\n")) != 1 {
			t.Errorf("write %d is %q, want one line that begins %q", i, w.lines[i], want)
		}
	}
}

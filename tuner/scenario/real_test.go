package scenario

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Scenarios in testdata/real once had a different result here than in the HPA controller of
// Kubernetes v1.37.2. The .want.jsonl beside each is what that controller did, recorded by
// test/conformance (go test -file X.json -record X.want.jsonl .).
func TestRealControllerDecisions(t *testing.T) {
	files, err := filepath.Glob("testdata/real/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("testdata/real: %d scenarios, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			recorded, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".want.jsonl")
			if err != nil {
				t.Fatal(err)
			}
			s, err := Parse(data, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := json.NewDecoder(bytes.NewReader(recorded))
			err = Run(s, func(got *Line) error {
				var theirs Line
				if err := want.Decode(&theirs); err != nil {
					return err
				}
				// A recording from outside does not have these.
				theirs.ID, theirs.T, theirs.StatusReplicas, theirs.Proposal, theirs.PerMetric, theirs.Explanation =
					got.ID, got.T, got.StatusReplicas, got.Proposal, got.PerMetric, got.Explanation
				if theirs.Events == nil {
					theirs.Events = []LineEvent{}
				}
				if theirs.Reason == nil && theirs.Scaled {
					theirs.Reason = new(string)
				}
				a, _ := json.Marshal(got)
				b, _ := json.Marshal(theirs)
				if !bytes.Equal(a, b) {
					t.Errorf("tick %d:\n got %s\nwant %s", got.Tick, a, b)
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if want.More() {
				t.Error("the recording has more reconciles")
			}
		})
	}
}

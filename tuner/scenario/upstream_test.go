package scenario

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Upstream's TestReplicaCalc… tables (replica_calculator_test.go, Kubernetes 1.37.2) as scenarios:
// fixtures and results were recorded while upstream's own tests ran.
func TestProposalsAsInUpstreamTables(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "hpa", "testdata", "upstream", "replicas.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); n++ {
		var c struct {
			Upstream, Error string
			Scenario        json.RawMessage
			Replicas        int32
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		s, err := Parse(c.Scenario, nil)
		if err != nil {
			t.Fatalf("%s: %v", c.Upstream, err)
		}
		err = Run(s, func(l *Line) error {
			switch {
			case c.Error != "":
				if !strings.Contains(l.Error, withoutPod(c.Error)) {
					t.Errorf("%s: error %q, want %q", c.Upstream, l.Error, c.Error)
				}
			case l.Proposal == nil:
				t.Errorf("%s: no proposal (%s), want %d", c.Upstream, l.Error, c.Replicas)
			case *l.Proposal.Replicas != c.Replicas:
				t.Errorf("%s: proposal %d, want %d: %s", c.Upstream, *l.Proposal.Replicas, c.Replicas, l.Explanation)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n != 76 {
		t.Errorf("%d cases, want 76", n)
	}
}

// withoutPod removes the pod's name: upstream names any one of the failing pods.
func withoutPod(s string) string {
	s, _, _ = strings.Cut(s, " of Pod ")
	return s
}

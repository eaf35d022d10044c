package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// KEDA 2.21.0's own operator wrote the files of testdata/keda/operator on a real cluster,
// including the defaults of its API server. make e2e-full compares them with it
// (test/cluster/e2e/keda_test.go; -update writes them again).
func TestTheHPAThatTheRealOperatorMade(t *testing.T) {
	goldens, err := filepath.Glob("testdata/keda/operator/*.hpa.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(goldens) < 16 {
		t.Errorf("%d files of the operator, want them all", len(goldens))
	}
	for _, golden := range goldens {
		t.Run(strings.TrimSuffix(filepath.Base(golden), ".hpa.yaml"), func(t *testing.T) {
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(strings.TrimSuffix(golden, ".hpa.yaml") + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			got, err := yaml.Marshal(scaledOf(t, string(data)).HPA)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("HPA of %s:\n%s\nwant what KEDA's operator made:\n%s", golden, got, want)
			}
		})
	}
}

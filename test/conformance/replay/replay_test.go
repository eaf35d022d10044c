package replay

import (
	_ "embed"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/test/conformance/gen"
	"github.com/hpatune/hpatune/tuner/scenario"
)

//go:embed testdata/decisions-1.txt
var recorded string

var update = flag.Bool("update", false, "rewrite testdata/explanations.txt; read the diff")

// The explanations of the first scenarios, one per wording, equal the golden file, which
// somebody has read. They are ours: the real controller explains nothing.
func TestExplanations(t *testing.T) {
	got, err := sayings(firstScenarios(t))
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/explanations.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		a, b := strings.Split(got, "\n"), strings.Split(string(want), "\n")
		for i := range min(len(a), len(b)) {
			if a[i] != b[i] {
				t.Fatalf("line %d of %s:\n got %s\nwant %s\ngo test -update in this folder rewrites it", i+1, golden, a[i], b[i])
			}
		}
		t.Fatalf("%d lines, want %d", len(a), len(b))
	}
}

// explained is the number of scenarios that together have nearly all wordings.
const explained = 150

func firstScenarios(t *testing.T) (all []*scenario.Scenario) {
	t.Helper()
	for n := range uint64(explained) {
		file, _ := File(gen.New(1, n))
		s, err := scenario.Parse(file, nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

// Our decisions equal those that the real controller made on the scenarios of seed 1.
func TestRecordedDecisions(t *testing.T) {
	records, err := ReadRecords(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) < 2000 {
		t.Fatalf("%d recorded scenarios, want 2000 at least", len(records))
	}
	if testing.Short() { // package mutants runs the first ones separately
		records = records[:400]
	}
	for n, want := range records {
		s := gen.New(1, uint64(n))
		file, digest := File(s)
		if digest != want.Scenario {
			t.Fatalf("scenario %d is not the recorded one: the generator changed; record it again (go test -update . in test/conformance)", n)
		}
		results, err := Ours(file)
		if err != nil {
			t.Fatalf("scenario %d: %v", n, err)
		}
		if got := Digest(results); got != want.Results {
			t.Fatalf("scenario %d: not what the real controller decides; `go test -from %d -scenarios 1 .` in test/conformance shows where", n, n)
		}
	}
}

package replay

import (
	_ "embed"
	"testing"

	"github.com/hpatune/hpatune/test/conformance/gen"
)

//go:embed testdata/decisions-1.txt
var recorded string

// Our decisions are those that the real controller took on the scenarios of seed 1.
func TestRecordedDecisions(t *testing.T) {
	records, err := ReadRecords(recorded)
	if err != nil {
		t.Fatal(err)
	}
	if len(records) < 2000 {
		t.Fatalf("%d recorded scenarios, want 2000 at least", len(records))
	}
	if testing.Short() { // package mutants asks the first ones first
		records = records[:400]
	}
	for n, want := range records {
		s := gen.New(1, uint64(n))
		file, digest := File(s)
		if digest != want.Scenario {
			t.Fatalf("scenario %d is not the recorded one: the generator changed; record again (go test -update . in test/conformance)", n)
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

//go:build mutants

package replay

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/test/conformance/gen"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// TestMutants is the fast half of package mutants, which compiles it with tuner/hpa rewritten
// (hpa.SetMutant exists only there). It reads HPA_SCENARIOS of the recorded scenarios once,
// and prints one line per mutant on stdout: whether any decision changes with it.
//
// HPA_MUTANTS lists the mutants' numbers; HPA_MUTANTS_FROM is the index to begin at.
func TestMutants(t *testing.T) {
	from, err := strconv.Atoi(os.Getenv("HPA_MUTANTS_FROM"))
	if err != nil {
		t.Fatal(err)
	}
	records, err := ReadRecords(recorded)
	if err != nil {
		t.Fatal(err)
	}
	most, err := strconv.Atoi(os.Getenv("HPA_SCENARIOS"))
	if err != nil {
		t.Fatal(err)
	}
	records = records[:min(most, len(records))]
	parsed := make([]*scenario.Scenario, len(records))
	for i := range records {
		file, _ := File(gen.New(1, uint64(i)))
		if parsed[i], err = scenario.Parse(file, nil); err != nil {
			t.Fatal(err)
		}
		if i < explained {
			files = append(files, file)
		}
	}
	golden, err := os.ReadFile("testdata/explanations.txt")
	if err != nil {
		t.Fatal(err)
	}
	told = string(golden)
	begin := time.Now()
	if changes(parsed, records) {
		t.Fatal("decisions differ without a mutant")
	}
	limit := max(30*time.Second, 10*time.Since(begin)) // so that a busy machine is not taken for a mutant that never ends
	for _, number := range strings.Fields(os.Getenv("HPA_MUTANTS"))[from:] {
		id, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		hpa.SetMutant(id)
		done := make(chan bool, 1)
		go func() { done <- changes(parsed, records) }()
		killed := true
		select {
		case killed = <-done:
		case <-time.After(limit):
		}
		hpa.SetMutant(0) // this also ends a loop that the mutant kept running
		fmt.Printf("mutant %d killed %v\n", id, killed)
	}
}

var (
	told  string   // the golden explanations
	files [][]byte // the scenarios that they explain
)

// changes reports whether any decision differs from the recorded one or cannot be made.
func changes(parsed []*scenario.Scenario, records []Record) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = true
		}
	}()
	// The explanations first, with some scenarios read under the mutant: this takes a few
	// hundredths of a second.
	said, err := sayings(parsed[:len(files)])
	if err != nil || said != told {
		return true
	}
	for i, file := range files {
		results, err := Ours(file)
		if err != nil || Digest(results) != records[i].Results {
			return true
		}
	}
	for i, s := range parsed {
		results, err := decisions(s)
		if err != nil || Digest(results) != records[i].Results {
			return true
		}
	}
	return false
}

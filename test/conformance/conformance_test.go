// Package conformance compares tuner/hpa with the real HPA controller of Kubernetes.
package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hpatune/hpatune/test/conformance/gen"
	"github.com/hpatune/hpatune/test/conformance/reference"
	"github.com/hpatune/hpatune/test/conformance/replay"
)

var (
	count  = flag.Int("scenarios", 2000, "how many random scenarios to compare")
	from   = flag.Uint64("from", 0, "number of the first one")
	seed   = flag.Uint64("seed", 1, "seed of the scenarios")
	update = flag.Bool("update", false, "record the real controller's decisions for package replay")
	keep   = flag.String("keep", "", "folder for scenarios that differ, as files for hpatune decide")
	record = flag.String("record", "", "with -file: write the real controller's results to this file, one per line")
	given  = flag.String("file", "", "compare this scenario file instead")
)

// theirs runs a scenario through the real controller, in a bubble of its own. It returns
// nil if no controller would make its observations.
func theirs(t *testing.T, s *gen.Scenario) (results []gen.Result) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		results, err = reference.Run(s, synctest.Wait)
		switch {
		case errors.Is(err, reference.ErrTooSoon):
			results = nil
		case err != nil:
			t.Fatal(err)
		}
	})
	return results
}

// On every scenario, our sizes, conditions, events and texts equal the real controller's.
func TestAgainstRealController(t *testing.T) {
	begin, ticks, sizes, texts, shown, impossible := time.Now(), 0, 0, 0, 0, 0
	var records []replay.Record
	scenarios := func(yield func(*gen.Scenario) bool) {
		for n := *from; n < *from+uint64(*count); n++ {
			if !yield(gen.New(*seed, n)) {
				return
			}
		}
	}
	if *given != "" {
		b, err := os.ReadFile(*given)
		if err != nil {
			t.Fatal(err)
		}
		s, err := gen.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		scenarios = func(yield func(*gen.Scenario) bool) { yield(s) }
	}
	for s := range scenarios {
		file, digest := replay.File(s)
		want := theirs(t, s)
		if want == nil {
			impossible++
			continue
		}
		if *record != "" {
			if err := os.WriteFile(*record, lines(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		records = append(records, replay.Record{Scenario: digest, Results: replay.Digest(want)})
		got, err := replay.Ours(file)
		if err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		if len(got) != len(want) {
			t.Fatalf("scenario %s: %d results, want %d", s.ID, len(got), len(want))
		}
		ticks += len(want)
		for i := range want {
			diff := replay.Decided(&got[i], &want[i])
			if diff != "" {
				sizes++
			} else if diff = replay.Told(&got[i], &want[i]); diff != "" {
				texts++
			} else {
				continue
			}
			if shown++; shown <= 5 {
				show(t, s, i, diff, &got[i], &want[i])
			}
			break // later differences may follow from this one
		}
	}
	t.Logf("%d scenarios, %d reconciles: %d differ in sizes or conditions, %d more in texts only (%v)",
		len(records), ticks, sizes, texts, time.Since(begin).Round(time.Millisecond))
	if impossible > 0 {
		t.Logf("%d more scenarios have reconciles that the controller's queue does not allow", impossible)
	}
	if impossible > 1+*count/1000 {
		t.Errorf("%d of %d scenarios cannot happen: fix the generator", impossible, *count)
	}
	if sizes+texts > 0 {
		t.Errorf("%d scenarios differ in sizes or conditions, %d more in texts", sizes, texts)
	}
	if *update {
		if err := os.WriteFile("replay/testdata/decisions-1.txt", replay.WriteRecords(records), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func lines(results []gen.Result) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, r := range results {
		if err := e.Encode(r); err != nil {
			panic(err) // cannot fail: strings and numbers
		}
	}
	return b.Bytes()
}

// show prints a difference at observation i, and the smallest scenario that still has one.
func show(t *testing.T, s *gen.Scenario, i int, diff string, got, want *gen.Result) {
	t.Helper()
	small := shrink(t, s, i)
	file, _ := replay.File(small)
	ours, _ := json.Marshal(got)
	theirs, _ := json.Marshal(want)
	t.Errorf("scenario %s, observation %d: %s\n ours   %s\n theirs %s\n file   %s", s.ID, i, diff, ours, theirs, file)
	if *keep != "" {
		if err := os.WriteFile(filepath.Join(*keep, s.ID+".json"), file, 0o644); err != nil {
			t.Error(err)
		}
	}
}

// shrink drops everything after observation i, then single observations and values of
// metrics, as long as the last observation still differs.
func shrink(t *testing.T, s *gen.Scenario, i int) *gen.Scenario {
	t.Helper()
	small := clone(s)
	small.Observations = small.Observations[:i+1]
	for k := i - 1; k >= 0; k-- {
		try := clone(small)
		o := try.Observations[k]
		if o.Pods != nil && try.Observations[k+1].Pods == nil {
			try.Observations[k+1].Pods = o.Pods
		}
		if o.HPA != nil || o.Restart {
			continue
		}
		try.Observations = append(try.Observations[:k], try.Observations[k+1:]...)
		if differs(t, try) {
			small = try
		}
	}
	return small
}

func clone(s *gen.Scenario) *gen.Scenario {
	file, _ := replay.File(s)
	c, err := gen.Parse(file)
	if err != nil {
		panic(err) // it was written by File
	}
	return c
}

// differs reports whether the last observation differs. A scenario that the controller's
// queue does not allow counts as equal.
func differs(t *testing.T, s *gen.Scenario) bool {
	var want []gen.Result
	synctest.Test(t, func(t *testing.T) {
		r, err := reference.Run(s, synctest.Wait)
		if err == nil {
			want = r
		}
	})
	file, _ := replay.File(s)
	got, err := replay.Ours(file)
	n := len(s.Observations)
	if err != nil || len(want) != n || len(got) != n {
		return false
	}
	return replay.Decided(&got[n-1], &want[n-1]) != "" || replay.Told(&got[n-1], &want[n-1]) != ""
}

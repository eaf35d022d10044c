package store

import (
	"encoding/json"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/hpatune/hpatune/results"
)

// A reader that is not ours (hyparquet, JavaScript) finds the same rows, names,
// nulls and sums in a run folder, compacted and in parts.
func TestAForeignReaderFindsTheSame(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	const script = "../../test/foreign/counts.js"
	if _, err := os.Stat(filepath.Join(filepath.Dir(script), "node_modules", "hyparquet")); err != nil {
		t.Skip("hyparquet is not installed: npm install in test/foreign")
	}
	parts, rows := parted(t)
	w := create(t)
	emitAll(w, others())
	emitAll(w, rows)
	emitAll(w, samples(100))
	if err := w.Close(testMeta()); err != nil {
		t.Fatal(err)
	}
	for dir, samples := range map[string]int{parts: 0, w.dir: 100} {
		out, err := exec.Command(node, script, dir).CombinedOutput()
		if err != nil {
			t.Fatalf("node %s: %v\n%s", script, err, out)
		}
		var got struct {
			Columns                    []string
			Rows, Samples              int
			NewConn                    int `json:"new_conn"`
			Outcomes, Backends, Errors map[string]int
			Nulls                      map[string]int
			Sums                       map[string]string
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		if got.Rows != len(rows) || got.Samples != samples {
			t.Errorf("%d rows and %d samples, want %d and %d", got.Rows, got.Samples, len(rows), samples)
		}
		var columns []string
		for _, c := range requestColumns {
			columns = append(columns, c.name)
		}
		if !slices.Equal(got.Columns, columns) {
			t.Errorf("columns %q, want %q", got.Columns, columns)
		}
		outcomes, backends, nulls := map[string]int{}, map[string]int{}, map[string]int{}
		sums := map[string]int64{}
		newConn := 0
		for _, r := range rows {
			outcomes[r.Outcome.String()]++
			name := "null"
			if r.Backend >= 0 {
				name = "pod-" + string(rune('a'+r.Backend))
			}
			backends[name]++
			if r.NewConn {
				newConn++
			}
			for col, d := range map[string]int64{"sent_us": int64(r.Sent), "first_us": int64(r.First), "last_us": int64(r.Last), "done_us": int64(r.Done)} {
				if d == int64(results.NotYet) {
					nulls[col]++
				} else {
					sums[col] += d / 1000
				}
			}
			sums["arrival"] += int64(r.Arrival)
			sums["scheduled_us"] += r.Scheduled.Microseconds()
			sums["tokens"] += int64(r.Tokens)
			sums["code"] += int64(r.Code)
		}
		if !sameCounts(got.Outcomes, outcomes) || !sameCounts(got.Backends, backends) || got.NewConn != newConn {
			t.Errorf("outcomes %v, backends %v, new connections %d; want %v, %v, %d", got.Outcomes, got.Backends, got.NewConn, outcomes, backends, newConn)
		}
		for col, want := range sums {
			if sum, ok := new(big.Int).SetString(got.Sums[col], 10); !ok || sum.Int64() != want {
				t.Errorf("sum of %s = %s, want %s", col, got.Sums[col], strconv.FormatInt(want, 10))
			}
		}
		for _, col := range []string{"sent_us", "first_us", "done_us"} {
			if got.Nulls[col] != nulls[col] {
				t.Errorf("%d nulls in %s, want %d", got.Nulls[col], col, nulls[col])
			}
		}
	}
}

func sameCounts(a, b map[string]int) bool {
	if len(a) != len(b) {
		return false
	}
	for k, v := range a {
		if b[k] != v {
			return false
		}
	}
	return true
}

// The run that the repository carries has as many rows for a foreign reader as
// for ours.
func TestAForeignReaderOpensTheShippedRun(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not installed")
	}
	const script, dir = "../../test/foreign/counts.js", "../../results/testdata/before"
	if _, err := os.Stat(filepath.Join(filepath.Dir(script), "node_modules", "hyparquet")); err != nil {
		t.Skip("hyparquet is not installed: npm install in test/foreign")
	}
	out, err := exec.Command(node, script, dir).Output()
	if err != nil {
		t.Fatalf("node %s: %v", script, err)
	}
	var got struct {
		Rows, Samples int
		Outcomes      map[string]int
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	run := open(t, dir)
	outcomes := map[string]int{}
	for _, r := range run.Requests {
		outcomes[r.Outcome.String()]++
	}
	if got.Rows != len(run.Requests) || got.Samples != len(run.Samples) || !sameCounts(got.Outcomes, outcomes) {
		t.Errorf("%+v, want %d rows, %d samples and %v", got, len(run.Requests), len(run.Samples), outcomes)
	}
}

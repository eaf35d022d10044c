package main

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/hpatune/hpatune/internal/store"
	"github.com/hpatune/hpatune/results"
)

// Five minutes of a real service's traffic (Azure, 2023, conversations), as
// fast as 100 times: each request of the trace is sent once, at its moment and
// with its tokens, and none besides.
func TestARealTraceArrivesOneByOne(t *testing.T) {
	t.Parallel()
	const (
		from, to  = 600, 900 // seconds of the trace
		scaleTime = 0.01
	)
	trace, err := filepath.Abs("../../../shared/traces/azure-llm-2023-conv.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	rows := readTrace(t, trace, from, to)
	if len(rows) < 1000 {
		t.Fatalf("%d rows between %d and %d s: not the trace this test is about", len(rows), from, to)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: {\"choices\":[{\"text\":\"so\",\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	data, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "trace.csv.gz", string(data)) // a profile reads its own folder only
	write(t, dir, "p.yaml", fmt.Sprintf(`name: azure
target: {protocol: openai-completions, model: m, stream: true}
stages: [{name: real, trace: {file: trace.csv.gz, from: %ds, to: %ds, scale_time: %g}}]
objectives: ["error_rate < 1%%"]
`, from, to, scaleTime))
	// The verdict is the machine's: it may be too busy to keep the schedule.
	if got := hpatune(t, dir, "run", "--url", server.URL, "-p", "p.yaml", "--out", "run", "--yes"); got.code != 0 && got.code != 4 {
		t.Fatalf("exit code %d\n%s", got.code, got.stderr)
	}
	run, err := store.Open(os.DirFS(filepath.Join(dir, "run")))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(run.Requests, func(a, b results.Request) int { return cmp.Compare(a.Arrival, b.Arrival) })
	if len(run.Requests) != len(rows) {
		t.Fatalf("%d requests for %d rows of the trace", len(run.Requests), len(rows))
	}
	for i, r := range run.Requests {
		want := time.Duration((rows[i].at - from) * scaleTime * float64(time.Second))
		if r.Arrival != i || (r.Scheduled-want).Abs() > 2*time.Microsecond || r.Prompt != rows[i].input {
			t.Fatalf("request %d is arrival %d at %s with %d prompt tokens; the trace has %s and %d", i, r.Arrival, r.Scheduled, r.Prompt, want, rows[i].input)
		}
		if !results.Happened(r.Sent) {
			t.Fatalf("request %d was not sent", i)
		}
	}
}

// traceRow is one request of a trace.
type traceRow struct {
	at    float64 // seconds
	input int     // tokens
}

// readTrace reads a trace with nothing of ours.
func readTrace(t *testing.T, name string, from, to float64) []traceRow {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Skipf("the real trace is not beside this repository: %v", err)
	}
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	var rows []traceRow
	for _, l := range lines[1:] {
		at, err1 := strconv.ParseFloat(l[0], 64)
		input, err2 := strconv.Atoi(l[1])
		if err := cmp.Or(err1, err2); err != nil {
			t.Fatal(err)
		}
		if at >= from && at < to {
			rows = append(rows, traceRow{at, input})
		}
	}
	return rows
}

package store

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/parquet-go/parquet-go"
)

var start = time.Date(2026, 11, 23, 10, 0, 0, 123456789, time.UTC)

func testMeta() results.Meta {
	return results.Meta{
		Version: "test", Start: start, Speed: 1, Seed: 1, Profile: "spike", Classes: []string{"chat", "code"},
		Target: results.Target{Kind: "url", URL: "http://127.0.0.1:8080", Protocol: "openai-chat", Streams: true, Connections: "realistic"},
		Stages: []results.StageInfo{{Name: "hold", Shape: "rate", ToS: 60, Arrivals: 3000}},
	}
}

// traffic returns n requests of a Poisson stream at rate/s: 80 ms of service
// (CV 0.64), four backends; streamed ones have first, last and gap. A few fail,
// a few are shed.
func traffic(n int, rate float64, streamed bool) []results.Request {
	rng := rand.New(rand.NewPCG(1, 1))
	rows := make([]results.Request, n)
	at := 0.0
	us := func(d float64) time.Duration { return time.Duration(d) * time.Microsecond }
	for i := range rows {
		at += rng.ExpFloat64() * 1e6 / rate
		r := results.Request{
			Arrival: i, Scheduled: us(at), Prompt: 512, Err: -1, First: results.NotYet, Last: results.NotYet,
			Code: 200, Backend: int32(rng.IntN(4)), NewConn: rng.IntN(30) == 0,
		}
		r.Sent = r.Scheduled + us(30+30*rng.ExpFloat64())
		r.Done = r.Sent + us(80e3*math.Exp(0.6*rng.NormFloat64()))
		switch k := rng.IntN(1000); {
		case k == 0:
			r.Outcome, r.Sent, r.Done, r.Code, r.Backend = results.Shed, results.NotYet, results.NotYet, 0, -1
		case k == 1:
			r.Outcome, r.Code, r.Err = results.Reset, 0, 0
		default:
			r.Tokens, r.TokensFrom = int(128*rng.ExpFloat64()), results.TokensUsage
			if streamed {
				r.First = r.Sent + us(20e3*math.Exp(0.3*rng.NormFloat64()))
				r.Done += r.First - r.Sent
				r.Last = r.Done - us(20)
				r.GapMax = us(10e3 * math.Exp(0.3*rng.NormFloat64()))
			}
		}
		rows[i] = r
	}
	return rows
}

// others is one record of every other kind, with every field set.
func others() []results.Record {
	s := time.Second
	return []results.Record{
		results.Name{Table: results.ErrorTable, Index: 0, Text: "read tcp ADDR->ADDR: connection reset by peer"},
		results.Name{Table: results.BackendTable, Index: 0, Text: "pod-a", Address: "10.0.0.1:80"},
		results.Name{Table: results.BackendTable, Index: 1, Text: "pod-b"},
		results.Name{Table: results.BackendTable, Index: 2, Text: "pod-c"},
		results.Name{Table: results.BackendTable, Index: 3, Text: "pod-d"},
		results.Pod{At: -90 * s, Name: "pod-a", Phase: results.PodReady, Node: "n1", Backend: "10.0.0.1:80", Restarts: 2},
		results.Sync{At: 15*s + 1, Spec: 2, Status: 2, Desired: 3, Replicas: 3, Reason: "cpu above target", Selector: "app=x",
			Conditions: []results.Condition{{Type: "AbleToScale", Status: "True", Reason: "SucceededRescale", Message: "ok"}},
			Pods: []results.PodState{{Name: "pod-a", Phase: "Running", Ready: "True", ReadySince: -90 * s, Started: results.NotYet, Deleted: true,
				Containers: []results.ContainerState{{Name: "c", CPUMilli: 100, MemoryBytes: -1, Init: true, Sidecar: true}}, PodCPUMilli: -1, PodMemoryBytes: 1 << 30}},
			Metrics: []results.Reading{{Metric: "cpu", Pods: []results.PodValue{{Pod: "pod-a", Container: "c", Milli: 83, At: 14 * s, Window: 15 * s}}, Values: []int64{1500}, Err: "no metrics"}},
			Err:     "conflict", Restart: true},
		results.Endpoints{At: 3 * s, Ready: []string{"10.0.0.1:80", "10.0.0.2:80"}},
		results.Event{At: 4 * s, Source: "kubelet", Object: "Pod/pod-a", Type: "Normal", Reason: "Pulled", Message: "image"},
		results.Gap{Source: "prometheus", From: 5 * s, To: 9*s + 7, Why: "connection refused"},
		results.Offset{At: 6 * s, Shard: 1, Offset: -3 * time.Millisecond, Error: time.Millisecond},
		results.Warning{At: 7 * s, ID: "short-profile", Text: "too short"},
	}
}

func samples(n int) []results.Sample {
	ss := make([]results.Sample, n)
	for i := range ss {
		ss[i] = results.Sample{At: time.Duration(i) * 5 * time.Second, Source: "metrics.k8s.io", Name: "cpu_milli", Pod: "pod-a", Container: "c", Value: float64(i) * 1.5, Window: 15 * time.Second, SampledAt: time.Duration(i) * 4 * time.Second}
		if i%2 == 1 {
			ss[i] = results.Sample{At: ss[i].At, Source: "client", Name: "cpu_ratio", Value: 0.25, SampledAt: results.NotYet}
		}
	}
	return ss
}

func create(t testing.TB) *Writer {
	t.Helper()
	w, err := Create(filepath.Join(t.TempDir(), "run-1"), testMeta(), []byte("name: spike\n"))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func emitAll[R results.Record](w *Writer, rs []R) {
	for _, r := range rs {
		w.Emit(r)
	}
}

func open(t testing.TB, dir string) *results.Run {
	t.Helper()
	run, err := Open(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// same compares two slices record by record.
func same[T any](t *testing.T, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d, want %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s %d:\n got %+v\nwant %+v", what, i, got[i], want[i])
			return
		}
	}
}

func checkRun(t *testing.T, run *results.Run, rows []results.Request, ss []results.Sample) {
	t.Helper()
	same(t, "requests", run.Requests, rows)
	same(t, "samples", run.Samples, ss)
	for _, r := range others() {
		switch r := r.(type) {
		case results.Pod:
			same(t, "pods", run.Pods, []results.Pod{r})
		case results.Sync:
			same(t, "syncs", run.Syncs, []results.Sync{r})
		case results.Endpoints:
			same(t, "endpoints", run.Endpoints, []results.Endpoints{r})
		case results.Event:
			same(t, "events", run.Events, []results.Event{r})
		case results.Gap:
			same(t, "gaps", run.Gaps, []results.Gap{r})
		case results.Offset:
			same(t, "offsets", run.Offsets, []results.Offset{r})
		}
	}
	if got, want := run.Meta.Errors, []string{"read tcp ADDR->ADDR: connection reset by peer"}; !slices.Equal(got, want) {
		t.Errorf("errors %q, want %q", got, want)
	}
	if got := run.Meta.Backends; len(got) != 4 || got[0].Name != "pod-a" || got[0].Address != "10.0.0.1:80" || got[3].Name != "pod-d" {
		t.Errorf("backends %+v", got)
	}
}

func TestARunReadsBackAsItWasWritten(t *testing.T) {
	w := create(t)
	rows, ss := traffic(10_000, 500, true), samples(100)
	emitAll(w, others())
	emitAll(w, rows[5000:]) // completion order is not arrival order
	emitAll(w, ss)
	w.flush2(t)
	emitAll(w, rows[:5000])
	if err := w.File("hpa.yaml", []byte("kind: HorizontalPodAutoscaler\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.File("../evil", nil); err == nil {
		t.Error("File takes a path out of the folder")
	}

	meta := testMeta()
	meta.DurationS = 20
	if err := w.Close(meta); err != nil {
		t.Fatal(err)
	}
	w.Emit(rows[0]) // late: nothing happens
	if err := w.Close(meta); err != nil {
		t.Errorf("second Close: %v", err)
	}

	run := open(t, w.Dir())
	checkRun(t, run, rows, ss)
	if run.Meta.Partial || run.Meta.Run != "run-1" || run.Meta.DurationS != 20 || !run.Meta.Start.Equal(start) {
		t.Errorf("meta: %+v", run.Meta)
	}
	if len(run.Warnings) != 1 || run.Warnings[0].ID != "short-profile" {
		t.Errorf("warnings: %+v", run.Warnings)
	}
	if string(run.Profile) != "name: spike\n" || string(run.Cluster["hpa.yaml"]) != "kind: HorizontalPodAutoscaler\n" {
		t.Errorf("profile %q, cluster %q", run.Profile, run.Cluster)
	}
	for _, dir := range []string{requestsDir, samplesDir} {
		entries, _ := os.ReadDir(filepath.Join(w.Dir(), dir))
		if len(entries) != 1 || entries[0].Name() != compactName {
			t.Errorf("%s after Close: %v, want %s alone", dir, entries, compactName)
		}
	}
}

// flush2 makes the loop write what is pending, and waits for it.
func (w *Writer) flush2(t testing.TB) {
	t.Helper()
	before := func() int {
		parts, _ := filepath.Glob(filepath.Join(w.dir, "*", "part-0*.parquet"))
		return len(parts)
	}
	n := before()
	w.wake <- struct{}{}
	for deadline := time.Now().Add(10 * time.Second); before() == n; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no part came within 10s")
		}
	}
	// The folder shows a part before the stroke has ended: let the next one begin.
	w.wake <- struct{}{}
	w.wake <- struct{}{}
}

func TestCreateRefusesAFolderInUse(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Create(dir, testMeta(), nil)
	if err == nil || !strings.Contains(err.Error(), "not empty (it holds notes.txt)") {
		t.Errorf("Create in a used folder: %v", err)
	}
	if _, err := Open(os.DirFS(dir)); err == nil || !strings.Contains(err.Error(), "not a run folder") {
		t.Errorf("Open of no run: %v", err)
	}
}

func TestColumnsAreThoseOfTheFormat(t *testing.T) {
	var got []string
	for _, f := range requestSchema.Fields() {
		got = append(got, f.Name())
	}
	// INTERFACES.md, then tokens_from and pieces.
	want := strings.Split("arrival, stage, class, scheduled_us, sent_us, first_us, last_us, done_us, gap_max_us, prompt_tokens, tokens, outcome, code, backend, new_conn, error, tokens_from, pieces", ", ")
	if !slices.Equal(got, want) {
		t.Errorf("columns %q, want %q", got, want)
	}
	for i, c := range requestColumns {
		if c.name != got[i] {
			t.Errorf("column %d is coded as %s, declared as %s", i, c.name, got[i])
		}
	}
	for i, f := range sampleSchema.Fields() {
		if sampleColumns[i].name != f.Name() {
			t.Errorf("sample column %d is coded as %s, declared as %s", i, sampleColumns[i].name, f.Name())
		}
	}
}

// The request log after compaction: ≤ 16 bytes a request, ≤ 20 with first, last and gap.
func TestBytesARequest(t *testing.T) {
	for _, c := range []struct {
		streamed bool
		bar      float64
	}{{false, 16}, {true, 20}} {
		for _, rate := range []float64{50, 500, 5000} {
			w := create(t)
			emitAll(w, others()[:5])
			emitAll(w, traffic(5000, rate, c.streamed))
			if err := w.Close(testMeta()); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(filepath.Join(w.Dir(), requestsDir, compactName))
			if err != nil {
				t.Fatal(err)
			}
			got := float64(info.Size()) / 5000
			t.Logf("5000 requests at %v/s, streamed=%v: %.1f bytes each", rate, c.streamed, got)
			if got > c.bar {
				t.Errorf("5000 requests at %v/s, streamed=%v: %.1f bytes each, want at most %v", rate, c.streamed, got, c.bar)
			}
		}
	}
}

// BenchmarkRow is the cost of a row: emitted, written in a part, read back,
// compacted. The bar is 0.5 µs for emit and write together.
func BenchmarkRow(b *testing.B) {
	for _, streamed := range []bool{false, true} {
		rows := traffic(5000, 500, streamed)
		b.Run(fmt.Sprintf("emit+write/streamed=%v", streamed), func(b *testing.B) {
			w := create(b)
			close(w.stop) // the benchmark is the loop
			emitAll(w, others()[:5])
			<-w.stopped
			b.ReportAllocs()
			for b.Loop() {
				for i := range rows {
					w.Emit(rows[i])
				}
				w.flush()
			}
			if err := w.Err(); err != nil {
				b.Fatal(err)
			}
			w.records.Close()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
		})
		b.Run(fmt.Sprintf("read/streamed=%v", streamed), func(b *testing.B) {
			t := newTables(testMeta())
			data := slices.Clone(newEncoder(requestColumns, requestSchema, t).bytes(rows))
			for b.Loop() {
				if _, err := decode(nil, data, requestColumns, t); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(rows)), "ns/row")
		})
	}
}

// Every file names its columns by path: parquet-go's Reset lost them in the
// second file of a writer, which our reader did not notice and others did.
func TestEveryFileNamesItsColumns(t *testing.T) {
	e := newEncoder(requestColumns, requestSchema, newTables(testMeta()))
	for n := range 4 {
		data := e.bytes(traffic(100, 10, false))
		f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range f.Metadata().RowGroups[0].Columns {
			if got := c.MetaData.PathInSchema; len(got) != 1 || got[0] != requestColumns[i].name {
				t.Errorf("file %d, column %d: path %q, want %s", n, i, got, requestColumns[i].name)
			}
		}
	}
}

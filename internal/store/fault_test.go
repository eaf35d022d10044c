package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

// A run that is killed loses less than two seconds of records, and its folder
// opens. The child of this test emits a request a millisecond and says so.
func TestKilledRunOpensAndLosesLittle(t *testing.T) {
	if dir := os.Getenv("HPATUNE_TEST_KILLED"); dir != "" {
		emitForever(dir)
		return
	}
	if testing.Short() {
		t.Skip("takes 4 s")
	}
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "killed")
	child := exec.Command(os.Args[0], "-test.run=^TestKilledRunOpensAndLosesLittle$")
	child.Env = append(os.Environ(), "HPATUNE_TEST_KILLED="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Process.Kill()
	type said struct {
		n  int
		at time.Time
	}
	var heard []said // how many the child had emitted, and when we knew
	lines := bufio.NewScanner(out)
	begin := time.Now()
	for lines.Scan() {
		if n, err := strconv.Atoi(lines.Text()); err == nil {
			heard = append(heard, said{n, time.Now()})
		}
		if time.Since(begin) > 3500*time.Millisecond {
			break
		}
	}
	killed := time.Now()
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()

	run := open(t, dir)
	if !run.Meta.Partial || run.Meta.Why == "" {
		t.Errorf("partial %v, why %q", run.Meta.Partial, run.Meta.Why)
	}
	want := 0 // what had been emitted two seconds before the kill
	for _, h := range heard {
		if killed.Sub(h.at) > 2*time.Second {
			want = h.n
		}
	}
	if want == 0 {
		t.Skip("the machine was too busy: the child said nothing in time")
	}
	if len(run.Requests) < want {
		t.Errorf("%d requests, but %d had been emitted 2 s before the kill", len(run.Requests), want)
	}
	for i, r := range run.Requests {
		if r.Arrival != i {
			t.Fatalf("request %d is arrival %d: one is missing", i, r.Arrival)
		}
	}
	if len(run.Warnings) > 0 {
		t.Errorf("warnings %+v: nothing was torn", run.Warnings)
	}
	if got := run.Meta.Backends; len(got) == 0 || got[0].Name != "pod-a" {
		t.Errorf("backends %+v: a killed run keeps its names", got)
	}
}

func emitForever(dir string) {
	w, err := Create(dir, testMeta(), nil)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	w.Emit(results.Name{Table: results.BackendTable, Text: "pod-a"})
	rows := traffic(1000, 1000, false)
	for i := 0; ; i++ {
		r := rows[i%len(rows)]
		r.Arrival = i
		w.Emit(r)
		if i%100 == 99 {
			fmt.Println(i + 1)
			time.Sleep(100 * time.Millisecond)
		}
	}
}

// parted writes a run folder as a killed run leaves it: three parts, names and
// lines, a meta.json that says partial.
func parted(t *testing.T) (dir string, rows []results.Request) {
	t.Helper()
	w := create(t)
	emitAll(w, others())
	rows = traffic(3000, 500, true)
	close(w.stop)
	<-w.stopped
	for i := range 3 {
		emitAll(w, rows[i*1000:(i+1)*1000])
		w.flush()
	}
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}
	w.records.Close()
	return w.dir, rows
}

func TestDamagedFoldersOpen(t *testing.T) {
	last := partName(requestsDir, 3)
	for _, c := range []struct {
		sentence string
		damage   func(t *testing.T, dir string)
		requests int
		warning  string
	}{
		{"a killed run has all its parts", func(*testing.T, string) {}, 3000, ""},
		{"a torn last part is left out", func(t *testing.T, dir string) { truncate(t, dir, last, 0.6) }, 2000, "torn-part"},
		{"an empty last part is left out", func(t *testing.T, dir string) { truncate(t, dir, last, 0) }, 2000, "torn-part"},
		{"a flipped byte does not crash", func(t *testing.T, dir string) { flip(t, dir, last) }, -1, ""},
		{"a temporary file is ignored", func(t *testing.T, dir string) {
			write(t, dir, requestsDir+"/"+compactName+tempSuffix, "half a file")
			write(t, dir, "meta.json.tmp", "{")
		}, 3000, ""},
		{"a torn last line is left out", func(t *testing.T, dir string) { truncate(t, dir, recordsName, 0.99) }, 3000, "torn-record"},
		{"a stranger's file is ignored", func(t *testing.T, dir string) { write(t, dir, requestsDir+"/notes.txt", "hello") }, 3000, ""},
		{"a line of a later version is skipped", func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, recordsName), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			fmt.Fprintln(f, `{"type":"hologram","at_s":1}`)
		}, 3000, ""},
		{"parts beside the compacted file are leftovers", func(t *testing.T, dir string) {
			data, err := os.ReadFile(filepath.Join(dir, partName(requestsDir, 1)))
			if err != nil {
				t.Fatal(err)
			}
			write(t, dir, requestsDir+"/"+compactName, string(data))
		}, 1000, ""},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			dir, rows := parted(t)
			c.damage(t, dir)
			run := open(t, dir)
			if !run.Meta.Partial {
				t.Error("not partial")
			}
			if c.requests >= 0 {
				same(t, "requests", run.Requests, rows[:c.requests])
			}
			found := ""
			for _, w := range run.Warnings {
				if strings.HasPrefix(string(w.ID), "torn-") {
					found = string(w.ID)
				}
			}
			if c.requests >= 0 && found != c.warning {
				t.Errorf("warning %q, want %q: %+v", found, c.warning, run.Warnings)
			}
		})
	}
}

// A run that ended says which of its files is damaged, and not that it was killed.
func TestDamageAfterTheEndIsNamed(t *testing.T) {
	for file, damage := range map[string]func(t *testing.T, dir, name string){
		requestsDir + "/" + compactName: func(t *testing.T, dir, name string) { truncate(t, dir, name, 0) },
		samplesDir + "/" + compactName:  func(t *testing.T, dir, name string) { truncate(t, dir, name, 0.5) },
		recordsName:                     func(t *testing.T, dir, name string) { truncate(t, dir, name, 0.99) },
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(filepath.Join("..", "..", "results", "testdata", "before"))); err != nil {
			t.Fatal(err)
		}
		damage(t, dir, file)
		if why := open(t, dir).Meta.Why; !strings.Contains(why, file) || strings.Contains(why, "did not end") {
			t.Errorf("%s is damaged: the run says %q", file, why)
		}
	}
}

func truncate(t *testing.T, dir, name string, share float64) {
	t.Helper()
	path := filepath.Join(dir, name)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(share*float64(info.Size()))); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, dir, name string) {
	t.Helper()
	path := filepath.Join(dir, name)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/3] ^= 0x5a
	write(t, dir, name, string(data))
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// A log that cannot be written ends the run: Failed tells, nothing blocks, and
// what had been written opens as a partial run that says why.
func TestAWriteErrorEndsTheRunAsPartial(t *testing.T) {
	w := create(t)
	rows := traffic(2000, 500, false)
	emitAll(w, rows[:1000])
	w.flush2(t)
	if err := os.Rename(filepath.Join(w.dir, requestsDir), filepath.Join(w.dir, "gone")); err != nil {
		t.Fatal(err)
	}
	emitAll(w, rows[1000:])
	w.wake <- struct{}{}
	select {
	case <-w.Failed():
	case <-time.After(10 * time.Second):
		t.Fatal("Failed was not closed")
	}
	w.Emit(rows[0]) // counted as lost, not blocked
	if err := os.Rename(filepath.Join(w.dir, "gone"), filepath.Join(w.dir, requestsDir)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(testMeta()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Close: %v, want the write error", err)
	}
	run := open(t, w.dir)
	// What came between the failed write and Failed is still written by Close,
	// now that it can be; the rest is counted.
	same(t, "requests before the error", run.Requests[:1000], rows[:1000])
	lost := 2001 - len(run.Requests)
	if lost < 2 || !run.Meta.Partial || !strings.Contains(run.Meta.Why, fmt.Sprintf("at most %d records lost", lost)) {
		t.Errorf("%d lost, partial %v, why %q", lost, run.Meta.Partial, run.Meta.Why)
	}
}

// A real full disk, where a small file system can be mounted.
func TestAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := mountSmall(dir); err != nil {
		t.Skipf("no small file system can be mounted here: %v", err)
	}
	defer unmount(dir)
	w, err := Create(filepath.Join(dir, "run"), testMeta(), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := traffic(300_000, 500, true)
	for i := 0; i < len(rows) && w.Err() == nil; i += 10_000 {
		emitAll(w, rows[i:min(i+10_000, len(rows))])
		w.wake <- struct{}{}
	}
	select {
	case <-w.Failed():
	case <-time.After(20 * time.Second):
		t.Fatal("the disk is full and Failed is not closed")
	}
	err = w.Close(testMeta())
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left on device") {
		t.Errorf("Close: %v, want no space left on device", err)
	}
	run := open(t, w.dir)
	if len(run.Requests) == 0 || len(run.Requests) == len(rows) || !run.Meta.Partial {
		t.Errorf("%d of %d requests, partial %v", len(run.Requests), len(rows), run.Meta.Partial)
	}
}

// A backlog that outgrows its bound ends the run; what is in memory is still
// written.
func TestABacklogEndsTheRun(t *testing.T) {
	w := create(t)
	close(w.stop) // a writer that is stuck
	<-w.stopped
	rows := traffic(1000, 500, false)
	n := 0
	for w.Err() == nil && n < 1_000_000 {
		w.Emit(rows[n%1000])
		n++
	}
	if !errors.Is(w.Err(), ErrBacklog) {
		t.Fatalf("after %d requests: %v, want ErrBacklog", n, w.Err())
	}
	if bytes := n * 112; bytes < maxBacklog*9/10 || bytes > maxBacklog*11/10 {
		t.Errorf("failed at about %d bytes, want %d", bytes, maxBacklog)
	}
	w.Emit(rows[0])
	w.stop = make(chan struct{}) // the writer runs again
	w.stopped = make(chan struct{})
	go w.loop()
	if err := w.Close(testMeta()); !errors.Is(err, ErrBacklog) {
		t.Errorf("Close: %v", err)
	}
	run := open(t, w.dir)
	if len(run.Requests) != n || !run.Meta.Partial || !strings.Contains(run.Meta.Why, "at most 1 records lost") {
		t.Errorf("%d of %d requests, partial %v, why %q", len(run.Requests), n, run.Meta.Partial, run.Meta.Why)
	}
}

// Bar B4: the writer's memory does not grow with the number of requests: less
// than a byte each (checked over two million once; fewer here, for time).
func TestMemoryIsFlat(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	w := create(t)
	close(w.stop)
	<-w.stopped
	emitAll(w, others()[:5])
	rows := traffic(20_000, 5000, false)
	part := func() {
		for i := range rows {
			w.Emit(rows[i])
			rows[i].Arrival += len(rows)
		}
		w.flush()
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	for range 10 {
		part()
	}
	before := heap()
	const more = 20
	for range more {
		part()
	}
	grown := heap() - before
	n := more * len(rows)
	t.Logf("%d bytes over %d requests", grown, n)
	if float64(grown)/float64(n) > 1 {
		t.Errorf("the heap grew %d bytes over %d requests", grown, n)
	}
	if err := w.Err(); err != nil {
		t.Fatal(err)
	}

	// The compaction's memory is bounded, too.
	var peak int64
	done := make(chan struct{})
	sampled := make(chan struct{})
	go func() {
		defer close(sampled)
		for {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, int64(m.HeapAlloc))
			}
		}
	}()
	err := w.compact()
	close(done)
	<-sampled
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("compaction: heap at most %d MB, from %d MB", peak>>20, before>>20)
	if peak-before > 60<<20 {
		t.Errorf("the compaction took %d MB", (peak-before)>>20)
	}
	w.records.Close()
	run := open(t, w.dir)
	if len(run.Requests) != (10+more)*len(rows) {
		t.Errorf("%d requests, want %d", len(run.Requests), (10+more)*len(rows))
	}
	for i := range run.Requests {
		if run.Requests[i].Arrival != i {
			t.Fatalf("row %d is arrival %d", i, run.Requests[i].Arrival)
		}
	}
}

// No byte of a secret that a run was given reaches its folder.
func TestNoSecretReachesTheFolder(t *testing.T) {
	const canary = "c4n4ry-3f9a"
	meta := testMeta()
	meta.Target.URL = "https://user:" + canary + "@example.test/v1/chat?api_key=" + canary + "&model=m#" + canary
	meta.Errors = []string{`Post "https://user:` + canary + `@example.test/v1?token=` + canary + `": EOF`, "http 401: Authorization: Bearer " + canary}
	meta.Context = map[string]string{"proxy": "http://x:" + canary + "@proxy:3128"}
	profile := "name: p\ntimeouts: {first_token: 30s}\nclasses: [{prompt_tokens: 512}]\ntarget:\n  url: https://u:" + canary + "@example.test/?key=" + canary + "\n  headers: {Authorization: Bearer " + canary + ", X-Request-Id: a, Ocp-Apim-Subscription-Key: " + canary + "}\n  # first token: under 2s; key sk-" + canary + "\n  path: /v1/chat?api-version=2024-06-01\n"
	w, err := Create(filepath.Join(t.TempDir(), "run"), meta, []byte(profile))
	if err != nil {
		t.Fatal(err)
	}
	emitAll(w, traffic(10, 10, false))
	w.Emit(results.Name{Table: results.ErrorTable, Index: 2, Text: "dial https://" + canary + ":x@example.test: refused"})
	w.Emit(results.Event{Object: "Pod/a", Reason: "Failed", Message: "token=" + canary})
	w.Emit(results.Warning{ID: "x", Text: "https://h/?access_token=" + canary})
	w.Emit(results.Gap{Source: "prometheus", Why: `Get "https://prom/?token=` + canary + `": EOF`})
	w.Emit(results.Sync{Err: "Authorization: Basic " + canary})
	if err := w.File("hpa.yaml", []byte("metadata:\n  annotations: {note: plain}\n")); err != nil {
		t.Fatal(err)
	}
	w.flush2(t)
	if err := w.Close(meta); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("%s holds the canary:\n%s", d.Name(), data)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	run := open(t, w.dir)
	if !strings.Contains(run.Meta.Target.URL, "example.test/v1/chat") || !strings.Contains(string(run.Profile), "X-Request-Id: a") ||
		!strings.Contains(string(run.Profile), "timeouts: {first_token: 30s}\nclasses: [{prompt_tokens: 512}]") ||
		!strings.Contains(string(run.Profile), "# first token: under 2s; key REDACTED") || !strings.Contains(string(run.Profile), "?api-version=2024-06-01") {
		t.Errorf("too much was struck out: %s\n%s", run.Meta.Target.URL, run.Profile)
	}
}

// FuzzDecode feeds damaged files to the reader: an error, never a crash.
func FuzzDecode(f *testing.F) {
	t := newTables(testMeta())
	good := newEncoder(requestColumns, requestSchema, t).bytes(traffic(20, 10, true))
	f.Add(bytes.Clone(good))
	f.Add(good[:len(good)/2])
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		decode(nil, data, requestColumns, newTables(testMeta()))
	})
}

// FuzzReadLine feeds damaged lines to the reader.
func FuzzReadLine(f *testing.F) {
	for _, r := range others() {
		var b bytes.Buffer
		if err := writeLine(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte(`{"type":"pod","at_s":1e300}`))
	f.Add([]byte(`{"type":"name","table":"backends","index":2000000000,"text":"x"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		readLine(data, &results.Run{}, newTables(results.Meta{}))
	})
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The faults here are met by the program itself, as a process of its own
// (TestMain puts this very tree's hpatune into PATH).

// said is what a process has said, and its exit code; -1 if a signal ended it.
type said struct {
	code        int
	out, stderr string
}

// hpatune runs the program to its end. Nothing it says into a pipe may hold
// escape codes.
func hpatune(t *testing.T, dir string, args ...string) said {
	t.Helper()
	p := start(t, dir, args...)
	return p.wait()
}

// process is the program while it runs.
type process struct {
	t           *testing.T
	cmd         *exec.Cmd
	args        []string
	out, stderr bytes.Buffer
}

func start(t *testing.T, dir string, args ...string) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command("hpatune", args...), args: args}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = dir, &p.out, &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	return p
}

func (p *process) wait() said {
	p.t.Helper()
	p.cmd.Wait()
	s := said{p.cmd.ProcessState.ExitCode(), p.out.String(), p.stderr.String()}
	if strings.Contains(s.out+s.stderr, "\x1b") {
		p.t.Errorf("hpatune %s: escape codes in a pipe:\n%q\n%q", strings.Join(p.args, " "), s.out, s.stderr)
	}
	return s
}

func (s said) want(t *testing.T, code int, sentences ...string) {
	t.Helper()
	if s.code != code {
		t.Errorf("exit code %d, want %d\n%s\n%s", s.code, code, s.out, s.stderr)
	}
	for _, w := range sentences {
		if !strings.Contains(s.out+s.stderr, w) {
			t.Errorf("nothing says %q:\n%s\n%s", w, s.out, s.stderr)
		}
	}
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

const (
	longProfile = `name: long
stages:
  - {name: all, rate: 100/s, duration: 10m, arrivals: constant}
objectives: ["e2e.p95 < 5s"]
`
	onePod = `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  minReplicas: 1
  maxReplicas: 3
  metrics:
    - {type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}
`
)

// counting is an endpoint that answers "ok" and counts.
func counting(t *testing.T) (url string, n *atomic.Int64) {
	n = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n.Add(1)
		fmt.Fprintln(w, "ok")
	}))
	t.Cleanup(s.Close)
	return s.URL, n
}

// until waits for what must come, up to a minute.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > time.Minute {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// readable fails unless report and tune take a run folder for what it is: a
// part of a run.
func readable(t *testing.T, dir, run string) {
	t.Helper()
	hpatune(t, dir, "report", run).want(t, 0, "partial")
	write(t, dir, "hpa.yaml", onePod)
	got := hpatune(t, dir, "tune", run, "-f", "hpa.yaml", "--startup", "5s", "--requests", "cpu=1,memory=1Gi")
	if got.code != 0 && got.code != 4 {
		t.Errorf("tune: exit code %d\n%s", got.code, got.stderr)
	}
	got.want(t, got.code, "the run is partial", "a pod requests 1000 millicores and 1024 MiB of memory (stated)")
}

func needSignals(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot be sent Ctrl-C here")
	}
}

func TestCtrlCKeepsThePartialRun(t *testing.T) {
	needSignals(t)
	t.Parallel()
	dir := t.TempDir()
	url, n := counting(t)
	p := start(t, dir, "run", "--url", url, "-p", write(t, dir, "long.yaml", longProfile), "--out", "run", "--yes")
	until(t, "50 requests", func() bool { return n.Load() > 50 })
	p.cmd.Process.Signal(os.Interrupt)
	p.wait().want(t, 130, "interrupted; the partial run is kept", "hpatune report run")
	readable(t, dir, "run")
}

// decide reads its input to the end before it looks at anything else, so that
// the first Ctrl-C cannot end it here: the second must.
func TestASecondCtrlCEndsAtOnce(t *testing.T) {
	needSignals(t)
	t.Parallel()
	cmd := exec.Command("hpatune", "decide", "-")
	in, err := cmd.StdinPipe() // stays open: nothing ever comes
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	// More than a pipe holds: once it is written, the program is reading.
	if _, err := in.Write(bytes.Repeat([]byte("#\n"), 1<<19)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	for range 300 {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Error("many a Ctrl-C, and it still runs")
}

func TestCtrlCDuringTuneWritesNoAdvice(t *testing.T) {
	needSignals(t)
	t.Parallel()
	before, err := filepath.Abs("../../results/testdata/before")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.Command("hpatune", "tune", before, "--out", filepath.Join(dir, "advice"))
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	lines := bufio.NewScanner(stderr)
	lines.Scan() // it is at work: the first line of progress
	cmd.Process.Signal(os.Interrupt)
	rest := ""
	for lines.Scan() {
		rest += lines.Text() + "\n"
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || !strings.Contains(rest, "interrupted; no recommendation was written") {
		t.Errorf("exit code %d, want 130\n%s", code, rest)
	}
	if _, err := os.Stat(filepath.Join(dir, "advice")); err == nil {
		t.Error("there is advice")
	}
}

func TestAKilledRunLosesTwoSecondsAtMost(t *testing.T) {
	needSignals(t)
	t.Parallel()
	dir := t.TempDir()
	url, n := counting(t)
	p := start(t, dir, "run", "--url", url, "-p", write(t, dir, "long.yaml", longProfile), "--out", "run", "--yes")
	type known struct {
		n  int64
		at time.Time
	}
	var heard []known
	until(t, "a first part, and a second after it", func() bool {
		heard = append(heard, known{n.Load(), time.Now()})
		parts, _ := filepath.Glob(filepath.Join(dir, "run", "requests", "part-*.parquet"))
		return len(parts) > 1
	})
	killed := time.Now()
	p.cmd.Process.Kill()
	p.wait()
	var want int64 // arrived at the server two seconds before
	for _, k := range heard {
		if killed.Sub(k.at) > 2*time.Second {
			want = k.n
		}
	}
	got := hpatune(t, dir, "report", "run", "-o", "json")
	got.want(t, 0, `"partial": true`)
	if kept := int64(scheduled(t, got.out)); kept < want || kept == 0 {
		t.Errorf("%d requests are kept, but the server had had %d two seconds before the kill", kept, want)
	}
	readable(t, dir, "run")
}

func scheduled(t *testing.T, summary string) int {
	t.Helper()
	var s struct{ Load struct{ Scheduled int } }
	if err := json.Unmarshal([]byte(summary), &s); err != nil {
		t.Fatalf("%v in %s", err, summary)
	}
	return s.Load.Scheduled
}

// The error rate is 1 from the first request on, so that the rule holds after
// its 1 s; a second later nothing may be sent. A machine that stalls gets three
// tries.
func TestAnAbortRuleStopsTheLoadWithinASecond(t *testing.T) {
	t.Parallel()
	var took time.Duration
	for range 3 {
		var mu sync.Mutex
		var first, last time.Time
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			mu.Lock()
			if last = time.Now(); first.IsZero() {
				first = last
			}
			mu.Unlock()
			http.Error(w, "broken", http.StatusInternalServerError)
		}))
		dir := t.TempDir()
		got := hpatune(t, dir, "run", "--url", s.URL, "-p", write(t, dir, "p.yaml", longProfile+"abort: {error_rate: 50%, for: 1s}\n"), "--out", "run", "--yes")
		s.Close()
		got.want(t, 1, "the abort rule ended the run", "The partial run is kept")
		hpatune(t, dir, "report", "run").want(t, 0, "partial: abort rule")
		if took = last.Sub(first); took < 2*time.Second {
			return
		}
	}
	t.Errorf("the load went on for %s; its rule held after 1 s", took)
}

func TestAWrongProtocolIsNamed(t *testing.T) {
	t.Parallel()
	url, _ := counting(t)
	const stream = `name: p
target: {protocol: openai-chat, model: m, stream: true}
stages: [{name: all, rate: 20/s, duration: 500ms, arrivals: constant}]
timeouts: {total: 2s, first_token: 1s}
`
	dir := t.TempDir()
	hpatune(t, dir, "run", "--url", url, "-p", write(t, dir, "p.yaml", stream), "--out", "run", "--yes").
		want(t, 1, `requested an event stream, but got "text/plain`, "check the URL and target.protocol", "The run is kept")
	hpatune(t, dir, "report", "run").want(t, 0, "requested an event stream")
}

func TestReportNamesWhatIsNoRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		sentence string
		make     func(dir string)
		says     string
	}{
		{"nothing is there", func(string) {}, "not a folder"},
		{"a file", func(d string) { os.WriteFile(d, []byte("x"), 0o600) }, "not a folder"},
		{"an empty folder", func(d string) { os.Mkdir(d, 0o700) }, "meta.json"},
		{"somebody's folder", func(d string) { os.Mkdir(d, 0o700); write(t, d, "notes.txt", "x") }, "meta.json"},
		{"half a meta.json", func(d string) { os.Mkdir(d, 0o700); write(t, d, "meta.json", `{"schema": "hpat`) }, "meta.json"},
		{"another program's meta.json", func(d string) { os.Mkdir(d, 0o700); write(t, d, "meta.json", `{"schema": "theirs/v9"}`) }, "theirs/v9"},
	} {
		t.Run(c.sentence, func(t *testing.T) {
			dir := t.TempDir()
			c.make(filepath.Join(dir, "run"))
			for _, args := range [][]string{{"report", "run"}, {"tune", "run"}, {"gate", "run"}, {"replay", "run"}} {
				got := hpatune(t, dir, args...)
				got.want(t, 2, c.says)
				if got.out != "" {
					t.Errorf("%q: stdout %q", args, got.out)
				}
			}
		})
	}
}

// canary marks each secret. It may reach the endpoint and nothing else.
const canary = "CANARY"

func TestSecretsAreNowhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var told atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Header.Get("Authorization")+r.Header.Get("X-Api-Key")+r.URL.RawQuery, canary) {
			told.Add(1)
		}
		switch told.Load() % 3 {
		case 0: // an error page that repeats what it was sent
			http.Error(w, "no entry for "+r.Header.Get("Authorization")+" "+r.URL.String(), http.StatusForbidden)
		case 1:
			w.Header().Set("Location", "http://user:"+canary+"@127.0.0.1:1/?token="+canary)
			w.WriteHeader(http.StatusFound)
		default:
			fmt.Fprintln(w, "ok")
		}
	}))
	t.Cleanup(s.Close)
	const profile = `name: p
stages: [{name: all, rate: 40/s, duration: 1s, arrivals: constant}]
objectives: ["e2e.p95 < 5s"]
abort: {error_rate: 100%, for: 10s}
`
	write(t, dir, "p.yaml", profile)
	write(t, dir, "hpa.yaml", onePod)
	write(t, dir, "headers", "Authorization: Bearer "+canary+"\nX-Api-Key: "+canary+"\n")
	address := strings.Replace(s.URL, "http://", "http://user:"+canary+"@", 1) + "/v1?token=" + canary + "&api_key=" + canary

	var seen []said
	do := func(args ...string) { seen = append(seen, hpatune(t, dir, args...)) }
	do("run", "--url", address, "-p", "p.yaml", "--header-file", "headers", "--out", "runs/a", "--no-probe", "--yes")
	do("run", "--url", s.URL+"/?token="+canary, "-p", "p.yaml", "--header-file", "headers", "--out", "runs/b", "--no-probe", "--yes", "-o", "json")
	do("report", "runs/a", "--html", "runs/a.html")
	do("report", "runs/b", "-o", "json")
	do("tune", "runs/b", "-f", "hpa.yaml", "--startup", "5s", "--requests", "cpu=1,memory=1Gi", "--out", "runs/advice")
	// What fails before or while it connects.
	do("run", "--url", "http://user:"+canary+"@127.0.0.1:1/?token="+canary, "-p", "p.yaml", "--out", "runs/c", "--no-probe", "--yes")
	do("run", "--url", "http://user:"+canary+"@[::1/?token="+canary, "-p", "p.yaml", "--out", "runs/d", "--no-probe", "--yes")
	do("run", "--url", "ftp://user:"+canary+"@127.0.0.1/", "-p", "p.yaml", "--out", "runs/e", "--no-probe", "--yes")
	do("run", "--url", "http://user:"+canary+"@192.0.2.1/?key="+canary, "-p", "p.yaml", "--out", "runs/f")
	if told.Load() < 40 {
		t.Errorf("the endpoint was told %d times: the secrets must reach it", told.Load())
	}

	// A profile is kept in the run, so that it may hold none.
	for name, header := range map[string]string{"h.yaml": "Authorization: Bearer x", "k.yaml": "x-api-key: x", "c.yaml": "Cookie: a=b"} {
		write(t, dir, name, profile+"target: {headers: {"+header+"}}\n")
		got := hpatune(t, dir, "run", "--url", s.URL, "-p", name, "--out", "runs/refused", "--yes")
		got.want(t, 2, "--header-file")
	}

	for i, s := range seen {
		if strings.Contains(s.out+s.stderr, canary) {
			t.Errorf("command %d says a secret:\n%s\n%s", i, s.out, s.stderr)
		}
	}
	files := 0
	err := filepath.WalkDir(filepath.Join(dir, "runs"), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		data, err := os.ReadFile(p)
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("%s holds a secret", p)
		}
		return err
	})
	if err != nil || files < 15 {
		t.Errorf("%d files looked into, %v", files, err)
	}
}

func TestExitCodesYieldInOrder(t *testing.T) {
	order := []int{130, 2, 1, 4, 3, 5, 0}
	for i, a := range order {
		for _, b := range order[i:] {
			if worse(a, b) != a || worse(b, a) != a {
				t.Errorf("worse(%d, %d) = %d, worse(%d, %d) = %d; want %d", a, b, worse(a, b), b, a, worse(b, a), a)
			}
		}
	}
}

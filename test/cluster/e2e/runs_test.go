//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fastController tells hpatune the cluster's fast clocks.
const fastController = "syncPeriod=5s,downscaleStabilization=30s,cpuInitializationPeriod=20s,initialReadinessDelay=5s"

// profileOf writes a profile of tinyllm completions of requestCPU each, with the
// given stages, and returns its path.
func profileOf(t *testing.T, stages string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "profile.yaml")
	text := fmt.Sprintf(`name: e2e
target: {protocol: openai-completions, model: tinyllm}
classes: [{name: short, prompt_tokens: %d, output_tokens: %d}]
timeouts: {total: 10s}
stages: %s
`, promptSize, answerOf(t, requestCPU), stages)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// underway is a run of the product that is being recorded.
type underway struct {
	t              *testing.T
	cmd            *exec.Cmd
	dir            string // its folder
	stdout, stderr *bytes.Buffer
	start          time.Time // its time 0
	ended          chan error
}

// record starts a run that writes to dir, and waits until its folder exists.
func (s *suite) record(t *testing.T, dir string, args ...string) *underway {
	t.Helper()
	args = append([]string{"run", "--out", dir, "--yes"}, args...)
	cmd, stdout, stderr := s.hpatuneCmd(t, t.TempDir(), args...)
	if err := s.c.Start(cmd); err != nil {
		t.Fatal(err)
	}
	u := &underway{t: t, cmd: cmd, dir: dir, stdout: stdout, stderr: stderr, ended: make(chan error, 1)}
	go func() { u.ended <- cmd.Wait() }()
	for limit := time.After(time.Minute); ; {
		var meta struct{ Start time.Time }
		if data, err := os.ReadFile(filepath.Join(dir, "meta.json")); err == nil && json.Unmarshal(data, &meta) == nil {
			u.start = meta.Start
			say(t, "hpatune %s: time 0 is %s", strings.Join(args, " "), u.start.Format("15:04:05.0"))
			return u
		}
		select {
		case err := <-u.ended:
			t.Fatalf("hpatune %s ended before it recorded: %v\n%s", strings.Join(args, " "), err, stderr)
		case <-limit:
			t.Fatalf("hpatune %s records nothing after a minute\n%s", strings.Join(args, " "), stderr)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// until waits until the given time of the run.
func (u *underway) until(at time.Duration) {
	u.t.Helper()
	select {
	case <-time.After(time.Until(u.start.Add(at))):
	case err := <-u.ended:
		u.t.Fatalf("the run ended before its %v: %v\n%s%s", at, err, u.stdout, u.stderr)
	}
}

// end waits for the run and returns how it ended.
func (u *underway) end() result {
	u.t.Helper()
	select {
	case err := <-u.ended:
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			u.t.Fatal(err)
		}
	case <-time.After(5 * time.Minute):
		u.t.Fatalf("the run has not ended after five minutes more\n%s", u.stderr)
	}
	r := result{u.stdout.String(), u.stderr.String(), u.cmd.ProcessState.ExitCode()}
	say(u.t, "the run has ended: exit code %d", r.code)
	return r
}

// summary is the part of report -o json that these tests read.
type summary struct {
	Partial bool
	Why     string
	Trust   struct {
		Verdict string
		Reasons []struct {
			ID, Verdict, Text string
		}
	}
	Load struct {
		Scheduled, Sent, Shed, OK int
		Failed                    map[string]int
	}
	Gaps []struct {
		Source string
		FromS  float64 `json:"from_s"`
		ToS    float64 `json:"to_s"`
		Why    string
	}
	Reactions []struct{ Stage string }
	Stages    []struct{ Scheduled int }
	Errors    []struct{ Error string }
	Warnings  []struct{ ID, Text string }
}

func (s *suite) summaryOf(t *testing.T, dir string) summary {
	t.Helper()
	r := s.hpatune(t, t.TempDir(), "report", dir, "-o", "json")
	if r.code != 0 {
		t.Fatalf("hpatune report %s: exit code %d\n%s", dir, r.code, r.stderr)
	}
	var out summary
	if err := json.Unmarshal([]byte(r.stdout), &out); err != nil {
		t.Fatalf("hpatune report -o json: %v\n%.400s", err, r.stdout)
	}
	return out
}

// doubt returns the text of a trust reason; "" if there is no such reason.
func (s *summary) doubt(id string) string {
	for _, r := range s.Trust.Reasons {
		if r.ID == id {
			return r.Text
		}
	}
	return ""
}

// warned returns the text of a warning; "" if there is none with that id.
func (s *summary) warned(id string) string {
	for _, w := range s.Warnings {
		if w.ID == id {
			return w.Text
		}
	}
	return ""
}

// blind returns the sources that had a gap of at least d seconds between from and to, sorted.
func (s *summary) blind(from, to, d float64) []string {
	var out []string
	for _, g := range s.Gaps {
		if min(g.ToS, to)-max(g.FromS, from) >= d {
			out = append(out, g.Source)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// nothingLost checks that a run has every arrival of its profile, each once.
func nothingLost(t *testing.T, dir string, sum summary) {
	t.Helper()
	var meta struct{ Stages []struct{ Arrivals int } }
	data, err := os.ReadFile(filepath.Join(dir, "meta.json"))
	if err == nil {
		err = json.Unmarshal(data, &meta)
	}
	if err != nil {
		t.Fatal(err)
	}
	planned, recorded := 0, 0
	for _, st := range meta.Stages {
		planned += st.Arrivals
	}
	for _, st := range sum.Stages {
		recorded += st.Scheduled
	}
	if planned == 0 || planned != recorded {
		t.Errorf("%d arrivals are recorded, the profile has %d", recorded, planned)
	}
	for _, id := range []string{"arrivals-missing", "arrivals-twice"} {
		if text := sum.doubt(id); text != "" {
			t.Errorf("%s", text)
		}
	}
	say(t, "%d arrivals of %d: %d good, failed %v, %d shed; trust %s", recorded, planned, sum.Load.OK, sum.Load.Failed, sum.Load.Shed, sum.Trust.Verdict)
}

// entry is a record of records.jsonl with the fields of several kinds.
type entry struct {
	Type     string
	At       float64 `json:"at_s"`
	Pod      string
	Phase    string
	ID       string
	Text     string
	Error    string
	Spec     int `json:"spec_replicas"`
	Replicas int
}

// entries returns the records of one type, in the order of their time.
func entries(t *testing.T, dir, kind string) []entry {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "records.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var out []entry
	for text := range bytes.Lines(data) {
		var l entry
		if err := json.Unmarshal(text, &l); err != nil {
			t.Fatalf("records.jsonl: %v: %.200s", err, text)
		}
		if l.Type == kind {
			out = append(out, l)
		}
	}
	slices.SortStableFunc(out, func(a, b entry) int { return int((a.At - b.At) * 1e6) })
	return out
}

// advised is the part of recommendation.json that these tests read.
type advised struct {
	Verdict    string
	Refusal    []struct{ ID, Text string }
	Warnings   []string
	Assumed    []string
	SelfReplay struct {
		Verdict           string
		Rescales          int
		RescalesMatched   int      `json:"rescales_matched"`
		ReplicaHoursError *float64 `json:"replica_hours_error"`
	} `json:"self_replay"`
	Shadow *struct {
		Agree, Differ, Unknown, Unseen int
		Rescales, Quiet                struct{ Agree, Differ, Unknown int }
	}
}

// adviceOn asks for a recommendation; the last value that it returns is the folder.
func (s *suite) adviceOn(t *testing.T, args ...string) (advised, result, string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "advice")
	r := s.hpatune(t, t.TempDir(), append(append([]string{"tune"}, args...), "--out", out, "-o", "json")...)
	var a advised
	if err := json.Unmarshal([]byte(r.stdout), &a); err != nil {
		t.Fatalf("hpatune tune: exit code %d: %v\n%.400s\n%s", r.code, err, r.stdout, r.stderr)
	}
	say(t, "tune: %s, self-replay %s over %d rescales, shadow %+v, refusal %+v", a.Verdict, a.SelfReplay.Verdict, a.SelfReplay.Rescales, a.Shadow, a.Refusal)
	return a, r, out
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// says reports each text of want that is missing from text.
func says(text string, want ...string) error {
	for _, w := range want {
		if !strings.Contains(text, w) {
			return fmt.Errorf("it does not say %q:\n%s", w, text)
		}
	}
	return nil
}

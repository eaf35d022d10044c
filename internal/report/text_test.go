package report

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/joshdk/go-junit"

	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

func TestTexts(t *testing.T) {
	run, advice := pages()["run"], pages()["advice"]
	summary := run.Runs[0].Summary
	for _, c := range []struct {
		file  string
		write func(io.Writer) error
	}{
		{"run.txt", func(w io.Writer) error { return RunText(w, summary) }},
		{"gate.txt", func(w io.Writer) error { return GateText(w, summary.Objectives, results.Fail, "") }},
		{"tune.txt", func(w io.Writer) error { return TuneText(w, advice.Advice, advice.Next) }},
		{"verify.txt", func(w io.Writer) error { return VerifyText(w, *advice.Verify) }},
		{"run.md", func(w io.Writer) error { return Markdown(w, run) }},
		{"advice.md", func(w io.Writer) error { return Markdown(w, advice) }},
		{"junit.xml", func(w io.Writer) error { return JUnit(w, summary) }},
	} {
		t.Run(c.file, func(t *testing.T) {
			var b bytes.Buffer
			if err := c.write(&b); err != nil {
				t.Fatal(err)
			}
			if bytes.Contains(b.Bytes(), []byte("\x1b")) || bytes.Contains(b.Bytes(), []byte(" \n")) {
				t.Error("colours, or blanks at a line's end")
			}
			golden(t, c.file, b.Bytes())
		})
	}
}

func TestTuneTextOfARefusal(t *testing.T) {
	var b bytes.Buffer
	err := TuneText(&b, &tuner.Recommendation{Verdict: tuner.Refuse, SelfReplay: tuner.SelfReplay{Verdict: "proves-nothing"},
		Refusal: []tuner.Refusal{{ID: "never-moved", Text: "the autoscaler never moved", SettledBy: "a run with a step"}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"No recommendation", "the autoscaler never moved", "What would help: a run with a step", "proves nothing", "replica-hours —"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, b.String())
		}
	}
}

// The headline names what is at fault, which is not always the run.
func TestHeadlineOfARefusal(t *testing.T) {
	for id, want := range map[string]string{
		"service": "no settings meet the objectives", "infeasible": "no settings meet the objectives",
		"limits": "no settings are within your limits", "objectives": "a replay cannot judge these objectives",
		"never-moved": "this run is not enough",
	} {
		var b bytes.Buffer
		err := TuneText(&b, &tuner.Recommendation{Verdict: tuner.Refuse, Refusal: []tuner.Refusal{{ID: id, Text: "why"}}}, nil)
		if first, _, _ := strings.Cut(b.String(), "\n"); err != nil || first != "No recommendation: "+want {
			t.Errorf("refused for %s: %q, %v, want %q", id, first, err, want)
		}
	}
}

// A reader that is not ours takes the file and counts the same.
func TestJUnitIsRead(t *testing.T) {
	s := results.Summary{Run: "r", Trust: results.Trust{Verdict: results.Invalid}, Objectives: []results.Judgement{
		{Text: "ttft.p95 < 4s", Verdict: results.Fail}, {Text: `e2e.p95 < 9s & "x"`, Verdict: results.Pass}, {Text: "goodput > 95%", Verdict: results.Inconclusive},
	}}
	var b bytes.Buffer
	if err := JUnit(&b, s); err != nil {
		t.Fatal(err)
	}
	got, err := junit.Ingest(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if tt := got[0].Totals; tt.Tests != 4 || tt.Passed != 1 || tt.Failed != 1 || tt.Skipped != 1 || tt.Error != 1 {
		t.Errorf("totals %+v, want 4 tests: 1 passed, 1 failed, 1 skipped, 1 error\n%s", tt, b.String())
	}
}

// failing takes nothing.
type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteErrorsAreReturned(t *testing.T) {
	page := pages()["advice"]
	for name, err := range map[string]error{
		"run": RunText(failing{}, page.Runs[0].Summary), "tune": TuneText(failing{}, page.Advice, nil), "markdown": Markdown(failing{}, page),
		"junit": JUnit(failing{}, page.Runs[0].Summary), "html": HTML(failing{}, page, Assets{}),
	} {
		if err == nil {
			t.Errorf("%s: no error from a closed pipe", name)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		name string
		got  string
		want string
	}{
		{"milliseconds below a second", seconds(0.4124), "412 ms"},
		{"three digits", seconds(1.2349), "1.23 s"},
		{"minutes", seconds(125.4), "2 m 05 s"},
		{"99.9 % is not 100 %", percent(0.9994), "99.94 %"},
		{"nor is 99.999 %", percent(0.99999), "99.999 %"},
		{"a tenth of a percent", percent(0.001), "0.1 %"},
		{"cents", money(1.239, "USD"), "$1.24"},
		{"the ceiling of ten replicas", money(511, ""), "$511"},
		{"thousands", money(12345.6, "USD"), "$12,346"},
		{"nothing measured", quantity(nil, "s"), "—"},
		{"an interval", interval(between(1, 0.9, 1.2), "s").String(), "1.00 s (900 ms – 1.20 s)"},
		{"points, not percent of percent", delta(between(-0.094, -0.11, -0.08), "ratio").String(), "−9.4 pt (−11 pt … −8 pt)"},
		{"no difference", delta(between(0, 0, 0), "usd").String(), "±0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("got %q, want %q", c.got, c.want)
			}
		})
	}
}

// A refusal has searched nothing, so it prints no table of other metrics.
func TestARefusalPrintsNoSignals(t *testing.T) {
	var b bytes.Buffer
	r := &tuner.Recommendation{Verdict: tuner.Refuse, Signals: []tuner.SignalRow{{Name: "queue"}}}
	if err := TuneText(&b, r, nil); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "queue") {
		t.Errorf("TuneText prints metrics for a refusal:\n%s", b.String())
	}
}

// The columns of the list stand below each other, however long a name is.
func TestProfilesAreAligned(t *testing.T) {
	rate := profiles.Rate(5)
	stage := func(d time.Duration) profiles.Profile {
		return profiles.Profile{Stages: []profiles.Stage{{Rate: &rate, Duration: d, To: d}}}
	}
	short, long := stage(90*time.Minute), stage(time.Minute)
	var b bytes.Buffer
	if err := ProfilesText(&b, []Listed{{"a", "short.", &short}, {"a-longer-name", "long.", &long}}); err != nil {
		t.Fatal(err)
	}
	first, second, _ := strings.Cut(b.String(), "\n")
	if strings.Index(first, "peak") != strings.Index(second, "peak") || !strings.Contains(first, " 1h30m ") || !strings.Contains(second, " 1m ") {
		t.Errorf("the list is:\n%s", b.String())
	}
}

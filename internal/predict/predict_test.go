package predict

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/internal/report"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
)

// The shipped runs: before the advice, and after it.
const (
	before  = "../../results/testdata/before"
	after   = "../../results/testdata/after"
	advised = "../../results/testdata/advice"
)

// sidecar is an HPA on a container that the shipped runs do not have.
const sidecar = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: a}\nspec:\n" +
	"  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: inference-endpoint}\n  maxReplicas: 5\n  metrics: [{type: " +
	"ContainerResource, containerResource: {name: cpu, container: nosuch, target: {type: Utilization, averageUtilization: 60}}}]\n"

// flags says that these flags were given.
func flags(names ...string) func(string) bool {
	return func(name string) bool { return slices.Contains(names, name) }
}

func file(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestRefusals: what is asked for wrongly is refused before anything is computed.
func TestRefusals(t *testing.T) {
	euros := file(t, "euros.yaml", "name: e\nunit: hour\nCPU: 0.1\nRAM: 0.1\ncurrencyCode: EUR\n")
	tune := func(a *Ask) error { _, err := a.Tune(t.Context(), []string{before}); return err }
	replay := func(a *Ask) error { _, err := a.Replay(t.Context(), before); return err }
	for _, tt := range []struct {
		sentence string
		ask      Ask
		do       func(*Ask) error
		says     string
	}{
		{"a floor of no replicas", Ask{Given: flags("min-floor")}, tune, "--min-floor 0: want 1 or more"},
		{"a limit of no replicas", Ask{Given: flags("max-limit")}, tune, "--max-limit 0: want 1 or more"},
		{"a floor above the limit", Ask{MinFloor: 4, MaxLimit: 3, Given: flags("min-floor")}, tune,
			"--min-floor 4 is greater than --max-limit 3"},
		{"an objective that is none", Ask{Objectives: []string{"e2e.p95 <"}}, tune, "e2e.p95 <"},
		{"a price that is neither in the book nor a file", Ask{Price: "gold"}, tune, "--price gold: not a file"},
		{"another price that is neither", Ask{OtherPrices: []string{"gold"}}, tune, "--other-price gold: not a file"},
		{"a price in another currency", Ask{OtherPrices: []string{euros}}, tune, "only one currency can be compared"},
		{"pods per node without nodes", Ask{Given: flags("pods-per-node")}, tune, "--pods-per-node has no effect without"},
		{"fewer nodes than none", Ask{Nodes: Nodes{Kept: -1}, Given: flags("nodes")}, tune, "--nodes -1: want 0 to 10,000"},
		{"nodes of unknown size", Ask{Nodes: Nodes{Kept: 2}, Given: flags("nodes")}, tune, "pods that fit on a node"},
		{"a node of very many pods", Ask{Nodes: Nodes{PerNode: 10_001}, Given: flags("nodes")}, tune, "want 1 to 10,000"},
		{"a node that starts before it is asked for", Ask{Nodes: Nodes{PerNode: 1, Startup: -time.Second},
			Given: flags("nodes")}, tune, "--node-startup -1s: want a duration of 0 or more"},
		{"fewer nodes at most than are kept", Ask{Nodes: Nodes{Kept: 3, PerNode: 1, Most: 2}, Given: flags("nodes")}, tune,
			"no fewer than --nodes 3"},
		{"replicas at the start of a run that saw them", Ask{Stated: Stated{Replicas: 3}}, tune,
			"--replicas has no effect on"},
		{"a start-up in the past", Ask{Stated: Stated{Startup: -time.Second}}, tune, "want a positive duration"},
		{"requests that are none", Ask{Stated: Stated{Requests: "cpu"}}, tune, "--requests"},
		{"a controller's flag that is none", Ask{Stated: Stated{Controller: "sync=1s"}}, tune, "want syncPeriod"},
		{"an HPA that is not there", Ask{Filename: "none.yaml"}, tune, "none.yaml"},
		{"too few draws of luck", Ask{Replicates: 4}, replay, "--replicates 4: want at least 5"},
		{"no replicas", Ask{Replicates: 5, Given: flags("replicas")}, replay, "--replicas 0: want 1 or more"},
		{"a folder that is no run", Ask{}, func(a *Ask) error { _, err := a.Tune(t.Context(), []string{"."}); return err },
			"run .: "},
		{"a run that is not there", Ask{}, func(a *Ask) error { _, _, err := a.Report([]string{"none"}); return err },
			"run none: not a folder"},
		{"advice that is none", Ask{}, func(a *Ask) error { _, _, err := a.Verify(after, after); return err },
			"no model.json in it"},
		{"a run given twice", Ask{}, func(a *Ask) error { _, err := a.Tune(t.Context(), []string{before, before}); return err },
			"was given twice"},
		{"advice without a recommendation", Ask{}, func(a *Ask) error {
			dir := t.TempDir()
			data, err := os.ReadFile(filepath.Join(advised, "model.json"))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, "model.json"), data, 0o644)
			}
			if err == nil {
				_, _, err = a.Verify(dir, after)
			}
			return err
		}, "it has no hpa.yaml, because tune gave no recommendation"},
		{"a page into a folder that is not there", Ask{}, func(*Ask) error {
			return WritePage(filepath.Join(t.TempDir(), "none", "page.html"), report.Page{})
		}, "there is no folder "},
	} {
		tt.ask.Say = func(text string) { t.Errorf("%s: said %q, want an error only", tt.sentence, text) }
		if err := tt.do(&tt.ask); failure.Of(err) != failure.Input || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v, want an error of the input that says %q", tt.sentence, err, tt.says)
		}
	}
}

// TestTune: what a recommendation writes is whole, and says how it was made.
func TestTune(t *testing.T) {
	if testing.Short() {
		t.Skip("replays a recording")
	}
	dir := filepath.Join(t.TempDir(), "advice")
	ask := Ask{Seed: 1, MinFloor: 3, Given: flags("min-floor"), Out: dir, Say: func(text string) { t.Error(text) }}
	got, err := ask.Tune(t.Context(), []string{before})
	if err != nil {
		t.Fatal(err)
	}
	if got.Recommendation.Verdict != tuner.Change || got.Recommendation.Recommended.Config.MinReplicas < 3 {
		t.Errorf("Tune = %s, %+v; want a change to at least 3 replicas", got.Recommendation.Verdict,
			got.Recommendation.Recommended)
	}
	if len(got.Next) == 0 || !strings.Contains(strings.Join(got.Next, "\n"), Settings(dir)) {
		t.Errorf("next is %q, want commands with %s", got.Next, Settings(dir))
	}
	for _, name := range []string{"hpa.yaml", "hpa.hpa", "model.json", "recommendation.json", "report.html"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || len(data) == 0 {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
	if page, _ := os.ReadFile(filepath.Join(dir, "report.html")); !strings.Contains(string(page), "--seed 1 --min-floor 3") {
		t.Error("report.html does not have the command that made it")
	}
}

// An HPA on a container that the pods do not have is no matter of recording more.
func TestReplayOfAContainerThatIsNotThere(t *testing.T) {
	ask := Ask{Replicates: 5, Filename: file(t, "sidecar.yaml", sidecar), Say: func(string) {}}
	_, err := ask.Replay(t.Context(), before)
	want := "no pod has a container of that name\nTry: a container that the recorded pods have: server"
	if failure.Of(err) != failure.Evidence || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "--scrape") {
		t.Errorf("Replay: %v, want %q", err, want)
	}
}

// TestTuneForgets: a refusal leaves no manifest of an earlier recommendation, but the file that
// it was asked about, and what is not hpatune's.
func TestTuneForgets(t *testing.T) {
	dir := t.TempDir()
	write := func(names ...string) {
		t.Helper()
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join(before, "cluster", "hpa.yaml"))
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name), data, 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	tune := func(given string) {
		t.Helper()
		ask := Ask{Seed: 1, MinFloor: 2, Out: dir, Filename: given, Objectives: []string{"ttft.p95 < 1ms"}, Say: func(string) {}}
		if got, err := ask.Tune(t.Context(), []string{before}); err != nil || got.Recommendation.Verdict != tuner.Refuse {
			t.Fatalf("Tune = %+v, %v, want a refusal", got, err)
		}
	}
	left := func(want ...string) {
		t.Helper()
		var got []string
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if !slices.Equal(got, want) {
			t.Errorf("the folder has %q, want %q", got, want)
		}
	}
	write("hpa.yaml", "notes.txt")
	tune("") // no advice folder yet: the files in it are somebody's
	left("hpa.yaml", "model.json", "notes.txt", "recommendation.json", "report.html")
	write("hpa.hpa", "signal.yaml", "scaledobject-patch.yaml")
	tune(filepath.Join(dir, "hpa.yaml"))
	left("hpa.yaml", "model.json", "notes.txt", "recommendation.json", "report.html")
	tune("")
	left("model.json", "notes.txt", "recommendation.json", "report.html")
}

// TestTuneChecksItsFolderFirst: a folder that cannot be written to is refused before the search.
func TestTuneChecksItsFolderFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, out := range []string{file, filepath.Join(file, "advice")} {
		ask := Ask{Seed: 1, MinFloor: 2, Out: out, Say: func(string) {}, Progress: func(string, int, int) { t.Error("it began") }}
		if _, err := ask.Tune(t.Context(), []string{before}); failure.Of(err) != failure.Input || !strings.Contains(err.Error(), "Try: --out") {
			t.Errorf("--out %s: %v, want an error of the input", out, err)
		}
	}
}

// An amount with a currency sign must be in the price list's currency.
func TestPriceOfAnObjective(t *testing.T) {
	eur := filepath.Join(t.TempDir(), "eur.yaml")
	if err := os.WriteFile(eur, []byte("CPU: 0.04\nunit: hour\ncurrencyCode: EUR\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		text, price string
		ok          bool
	}{
		{"usd_month < $900", "", true}, {"usd_month < 900", eur, true}, {"usd_month < €900", eur, true},
		{"usd_month < $900", eur, false}, {"usd_hour < €1", "", false}, {"ttft.p95 < 1s", eur, true},
	} {
		objectives, err := results.ParseObjectives([]string{c.text})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := PriceOf(c.price, objectives); (err == nil) != c.ok || err != nil && failure.Of(err) != failure.Input {
			t.Errorf("%s at the prices of %q: %v, want no error: %v", c.text, c.price, err, c.ok)
		}
	}
}

// TestTuneInterrupted: a search that was ended writes nothing.
func TestTuneInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(t.TempDir(), "advice")
	ask := Ask{Seed: 1, Out: dir, Say: func(text string) { t.Error(text) }}
	if _, err := ask.Tune(ctx, []string{before}); !errors.Is(err, context.Canceled) {
		t.Errorf("Tune after Ctrl-C = %v, want context.Canceled", err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s was written: %v", dir, err)
	}
}

func TestVerify(t *testing.T) {
	ask := Ask{Say: func(text string) { t.Error(text) }}
	agreed, trust, err := ask.Verify(advised, after)
	if err != nil || agreed == nil || len(agreed.Figures) == 0 || trust.Line() == "" {
		t.Errorf("Verify = %+v, %+v, %v; want figures compared", agreed, trust, err)
	}
	if _, _, err := ask.Verify(advised, before); failure.Of(err) != failure.Evidence ||
		!strings.Contains(err.Error(), "did not run under the recommended configuration") {
		t.Errorf("Verify by a run under other settings = %v, want that they did not run", err)
	}
}

package fit

import (
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// bare is what `run --url` records: requests, but nothing about pods or an HPA.
func bare() *results.Run {
	c := fittest.Truth{Rate: func(t float64) float64 { return 1 + t/300 }, Seconds: 600, Config: fittest.CPUConfig(70), Replicas: 3, Slots: 8, Streams: true, Seed: 5}
	run := c.Run()
	out := &results.Run{Meta: results.Meta{Run: "bare", DurationS: 600, Stages: run.Meta.Stages, Target: results.Target{Kind: "url"}}, Requests: run.Requests}
	for i := range out.Requests {
		out.Requests[i].Backend = -1
	}
	return out
}

func TestFitOfABareRunNeedsStatements(t *testing.T) {
	_, err := Fit(bare(), fittest.CPUConfig(70), Options{})
	if err == nil {
		t.Fatal("a run without pods fits without a word on start-up and requests")
	}
	for _, want := range []string{"--startup 90s", "--requests cpu=1"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	fit, err := Fit(bare(), fittest.CPUConfig(70), Options{Startup: 90 * time.Second, CPUMilli: 1000, MemoryBytes: 2 << 30})
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(fit.Assumed, "; ")
	for _, want := range []string{"ready after 1m30s", "1000 millicores", "uses its whole CPU request", "all replicas are treated as one"} {
		if !strings.Contains(text, want) {
			t.Errorf("assumed %q; %q is missing", text, want)
		}
	}
	if fit.SelfReplay.Verdict != "assumed" || fit.Shadow != nil {
		t.Errorf("self-replay %q, shadow %v; nothing of an autoscaler was recorded", fit.SelfReplay.Verdict, fit.Shadow)
	}
	if got := fit.World.Start[0].Total(); got != 90*time.Second {
		t.Errorf("cold start %v, want what was stated", got)
	}
}

func TestFitNeedsAnsweredRequests(t *testing.T) {
	if _, err := Fit(&results.Run{}, fittest.CPUConfig(70), Options{}); err == nil || !strings.Contains(err.Error(), "no requests") {
		t.Errorf("an empty run: %v", err)
	}
	run := bare()
	for i := range run.Requests {
		run.Requests[i].Outcome = results.HTTP5xx
	}
	if _, err := Fit(run, fittest.CPUConfig(70), Options{}); err == nil || !strings.Contains(err.Error(), "fewer than 20") {
		t.Errorf("a run of failures: %v", err)
	}
}

func TestShedArrivalsAreDemand(t *testing.T) {
	run := bare()
	n := len(run.Requests)
	for i := range run.Requests {
		if i%3 == 0 {
			r := &run.Requests[i]
			r.Outcome, r.Sent, r.First, r.Done = results.Shed, results.NotYet, results.NotYet, results.NotYet
		}
	}
	fit, err := Fit(run, fittest.CPUConfig(70), Options{Startup: time.Minute, CPUMilli: 1000})
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, b := range fit.World.Demand.Bins {
		sum += b
	}
	if int(sum) != n || len(fit.World.Demand.Arrivals) != n {
		t.Errorf("%d scheduled, a third shed: %v in the bins, %d arrivals", n, sum, len(fit.World.Demand.Arrivals))
	}
}

func TestCompare(t *testing.T) {
	step, period := time.Second, 15*time.Second
	sync := func(at float64, from, to int32) results.Sync {
		return results.Sync{At: fittest.Dur(at), Spec: from, Replicas: to}
	}
	// hold returns sizes over two minutes, each kept from the given second on.
	hold := func(sizes map[int]float64) []float64 {
		out := make([]float64, 120)
		size := 2.0
		for i := range out {
			if v, ok := sizes[i]; ok {
				size = v
			}
			out[i] = size
		}
		return out
	}
	for _, row := range []struct {
		name    string
		syncs   []results.Sync
		sim     []float64
		verdict SelfVerdict
		matched int
	}{
		{"the same", []results.Sync{sync(0, 2, 2), sync(30, 2, 6)}, hold(map[int]float64{30: 6}), "pass", 1},
		{"a sync late", []results.Sync{sync(0, 2, 2), sync(30, 2, 6)}, hold(map[int]float64{36: 6}), "pass", 1},
		{"one replica off in size", []results.Sync{sync(0, 2, 2), sync(30, 2, 14)}, hold(map[int]float64{30: 13}), "pass", 1},
		{"three syncs late", []results.Sync{sync(0, 2, 2), sync(30, 2, 6)}, hold(map[int]float64{75: 6}), "fail", 0},
		{"never moves", []results.Sync{sync(0, 2, 2), sync(30, 2, 6)}, hold(nil), "fail", 0},
		{"moves where the recording did not", []results.Sync{sync(0, 2, 2), sync(30, 2, 2)}, hold(map[int]float64{30: 6}), "proves-nothing", 0},
		{"meets the rescale, then runs away", []results.Sync{sync(0, 2, 2), sync(30, 2, 6)}, hold(map[int]float64{30: 6, 60: 12}), "fail", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := comparison{step, period, 2, nil}
			got := c.compare(recordedSizes(row.syncs, len(row.sim), step), rescalesOf(row.syncs, step), row.sim)
			if got.Verdict != row.verdict || got.RescalesMatched != row.matched {
				t.Errorf("compare = %+v, want %s with %d met", got, row.verdict, row.matched)
			}
		})
	}
}

func TestNeededRescales(t *testing.T) {
	for _, row := range []struct{ rescales, needed int }{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {4, 3}, {6, 5}, {8, 6}, {11, 9}, {12, 9}, {20, 16}, {100, 86}} {
		if got := needed(row.rescales); got != row.needed {
			t.Errorf("needed(%d) = %d, want %d", row.rescales, got, row.needed)
		}
	}
}

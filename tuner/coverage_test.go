package tuner

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// knownToReplay are the metrics that a replay predicts for a streaming run with known
// requests. All others are reported apart, and never count as met.
var knownToReplay = []string{
	"ttft", "tpot", "e2e", "ttft_from_sent", "e2e_from_sent", "error_rate", "goodput", "replica_hours", "ready_hours", "usd_hour", "usd_month", "flaps", "time_to_capacity",
}

// recorded is a run of streams under an autoscaler that moved, and the options that it ran
// with.
func recorded(t *testing.T) (*results.Run, Options) {
	t.Helper()
	c := fittest.Truth{Rate: fittest.Wave, Seconds: 900, Config: fittest.CPUConfig(70), Replicas: 2, Slots: 8, Streams: true, Seed: 1}
	run := c.Run()
	run.Meta.Target.Streams, run.Meta.Client.CPUMeasured = true, true
	return run, Options{Current: c.Config, Price: DefaultPrice(), Replicates: 5, Seed: 1}
}

func objectivesOf(t *testing.T, texts ...string) []results.Objective {
	t.Helper()
	out, err := results.ParseObjectives(texts)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every metric, by the fluid and by the exact plant. If a plant predicts it, it is judged: met
// if the limit is loose, missed if it is tight. If it does not, the metric is neither met nor
// missed.
func TestEveryMetricByFluidAndExact(t *testing.T) {
	run, o := recorded(t)
	fitted, err := Fit(run, o.Current, FitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w := fitted.World
	exact := func() results.Timeline {
		var l plant.Latency
		s := replay.Scratch{Latency: &l}
		tl := results.Timeline{Step: w.Demand.Step}
		replay.SimulateExact(w, o.Current, 1, &s, func(k *results.Tick) { tl.Ticks = append(tl.Ticks, *k) })
		l.Into(&tl)
		return tl
	}()
	var s replay.Scratch
	fluid := replay.Timeline(w, o.Current, &s)
	extra := goals{cost: 0.1}.extra(&tally{step: time.Second, ticks: len(exact.Ticks), podSeconds: 7200})
	for _, m := range results.Metrics() {
		known := slices.Contains(knownToReplay, m.Name)
		o := objectivesOf(t, m.Example)
		covered, not := cover(run, Options{Objectives: o, Fit: FitOptions{CPUMilli: 1000}})
		if (len(covered) == 1) != known || (len(not) == 1) == known {
			t.Errorf("%s: covered %v, not covered %v, want it known: %v", m.Name, covered, not, known)
		}
		for plant, tl := range map[string]*results.Timeline{"exact": &exact, "fluid": &fluid} {
			j := tl.Judge(o, extra...)[0]
			if (j.Verdict != results.Unknown) != known {
				t.Errorf("%s by the %s plant: %s (%s), want it known: %v", m.Name, plant, j.Verdict, j.Note, known)
			}
			if !known {
				if j.Note == "" || (goals{list: o}).met(tl, &tally{step: time.Second}) {
					t.Errorf("%s by the %s plant counts as met, or does not say why it is not judged: %q", m.Name, plant, j.Note)
				}
				continue
			}
			for _, c := range []struct {
				limit float64
				want  results.Verdict
			}{{beyond(*j.Value, m, 1), results.Pass}, {beyond(*j.Value, m, -1), results.Fail}} {
				o[0].Limit = c.limit
				if got := tl.Judge(o, extra...)[0]; got.Verdict != c.want {
					t.Errorf("%s %s %v by the %s plant is %s at %v, want %s", o[0].Name(), o[0].Op, c.limit, plant, got.Verdict, *j.Value, c.want)
				}
			}
		}
	}
}

// beyond returns a limit on the good side of v if side is 1, on the bad side if it is −1.
func beyond(v float64, m *results.Metric, side float64) float64 {
	if !m.LargerIsWorse {
		side = -side
	}
	return v + side*(0.1+math.Abs(v)/2)
}

func TestWhatIsNotCovered(t *testing.T) {
	streams := &results.Run{Meta: results.Meta{Target: results.Target{Streams: true}}}
	whole := *streams // all of it came in one piece
	streams.Requests = []results.Request{{First: time.Second, Last: 2 * time.Second, Done: 2 * time.Second}}
	for _, c := range []struct {
		sentence string
		run      *results.Run
		texts    []string
		covered  int
		why      string // of the first one that is not
	}{
		{"gaps between tokens are not predicted", streams, []string{"itl.p95 < 1ms", "ttft.p95 < 1s"}, 1, "does not predict itl"},
		{"nor windows of them", streams, []string{"tpot.p95 < 1s each 1m for 90%"}, 0, "does not predict tpot"},
		{"goodput rests on all limits", streams, []string{"goodput > 90%", "itl.p95 < 1s", "e2e.p95 < 1s"}, 1, "needs itl"},
		{"goodput alone is predicted", streams, []string{"goodput > 90%"}, 1, ""},
		{"a run without a stream has no first token", &results.Run{}, []string{"ttft.p95 < 1s", "e2e.p95 < 1s"}, 1, "did not stream"},
		{"nor has one whose answers came in one piece", &whole, []string{"ttft.p95 < 1s", "e2e.p95 < 1s"}, 1, "does not predict ttft"},
		{"money needs what a replica requests", streams, []string{"usd_hour < 1"}, 0, "needs a price"},
		{"a mean is not kept window by window", streams, []string{"e2e.mean < 1s each 1m for 90%"}, 0, "window by window"},
	} {
		covered, not := cover(c.run, Options{Objectives: objectivesOf(t, c.texts...)})
		if len(covered) != c.covered || len(covered)+len(not) != len(c.texts) || c.why != "" && !strings.Contains(not[0].Why, c.why) {
			t.Errorf("%s: %q are covered: %v, not: %v, want %d and %q", c.sentence, c.texts, covered, not, c.covered, c.why)
		}
	}
}

// An objective that cannot be judged is in no figure of the recommendation; if it is the only
// one, there is no recommendation.
func TestAnObjectiveThatAReplayCannotJudgeIsNeverMet(t *testing.T) {
	if testing.Short() {
		t.Skip("replays whole runs many times")
	}
	run, o := recorded(t)
	o.Objectives = objectivesOf(t, "itl.p95 < 1ms", "icl.p95 < 1ms")
	r, _, err := Recommend(context.Background(), []*results.Run{run}, o)
	if err != nil || r.Verdict != Refuse || len(r.NotCovered) != 2 || r.Refusal[0].ID != "objectives" {
		t.Errorf("only objectives that a replay cannot judge: %s %+v, %v, want a refusal because of them", r.Verdict, r.Refusal, err)
	}
	o.Objectives = objectivesOf(t, "itl.p95 < 1ms", "error_rate < 5%")
	judged := replayOf(t, run, o).Judged
	if j := judged[0]; j.Verdict != results.Unknown || j.Note == "" {
		t.Errorf("replay of itl: %s (%s), want unknown and why", j.Verdict, j.Note)
	}
	if j := judged[1]; j.Verdict == results.Unknown || j.Replicates != 5 {
		t.Errorf("replay of error_rate: %+v, want a judgement over 5 replicates", j)
	}
	o.Objectives = o.Objectives[:1]
	data, err := json.Marshal(replayOf(t, run, o).Pick)
	if err != nil || !strings.Contains(string(data), `"p_slo_met":null`) {
		t.Errorf("a replay without an objective to judge: %s, %v, want p_slo_met null", data, err)
	}
}

func replayOf(t *testing.T, run *results.Run, o Options) Replayed {
	t.Helper()
	o.Replicates = 5
	r, err := Replay(context.Background(), run, o.Current, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A recording and a replay define time to capacity in the same way: from a run's records, from
// its timeline, and from a replay's ticks.
func TestTimeToCapacityHasOneDefinition(t *testing.T) {
	run, _ := recorded(t)
	exact := run.Replicas().TimeToCapacityS
	if exact == nil || *exact < 5 {
		t.Fatalf("the run was never short of replicas: %v", exact)
	}
	objectives := objectivesOf(t, "time_to_capacity < 90s")
	tl := run.Timeline(time.Second)
	a := tally{step: tl.Step}
	for i := range tl.Ticks {
		a.tick(&tl.Ticks[i])
	}
	for _, c := range []struct {
		sentence string
		got      *float64
	}{
		{"gate RUN judges", run.Judge(objectives)[0].Value},
		{"gate --recording judges a timeline", tl.Judge(objectives)[0].Value},
		{"a replay adds up ticks", known(a.timeToCapacity())},
	} {
		// A timeline counts all of the first and the last second.
		if c.got == nil || *c.got < *exact-1e-9 || *c.got > *exact+2 {
			t.Errorf("%s: %v, want %v as in the summary", c.sentence, show(c.got), *exact)
		}
	}
	b := newBenchOf(t, clockwork(t, 60, nil), run, Options{}, "time_to_capacity < 90s")
	if got := b.measured(run, objectives).TimeToCapacity; got == nil || *got != *exact {
		t.Errorf("tune says that %v s was measured, want %v as in the summary", show(got), *exact)
	}
}

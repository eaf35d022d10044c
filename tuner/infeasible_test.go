package tuner

import (
	"strings"
	"testing"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/tuner/replay"
)

// A refusal names only the objectives that no size can meet. In clockwork a first token takes
// 250 ms and an answer 500 ms, on an idle replica, too.
func TestOnlyWhatIsImpossibleIsNamed(t *testing.T) {
	for _, c := range []struct {
		sentence string
		texts    []string
		named    string // "" = not refused
	}{
		{"one of three", []string{"ttft.p95 < 200ms", "e2e.p95 < 2s", "error_rate < 1%"}, `"ttft.p95 < 200ms"`},
		{"two", []string{"ttft.p95 < 200ms", "e2e.p50 < 400ms", "flaps <= 2"}, `"ttft.p95 < 200ms" and "e2e.p50 < 400ms"`},
		{"none", []string{"ttft.p95 < 300ms", "e2e.p50 < 600ms", "usd_month < 1"}, ""},
		{"goodput is all of them together", []string{"e2e.p50 < 400ms", "goodput > 90%"}, `"e2e.p50 < 400ms" and "goodput > 90%"`},
	} {
		g := newGoals(objectivesOf(t, c.texts...))
		w := clockwork(t, 60, func(w *replay.World) { w.Limits = g.limits() })
		no := newBenchOf(t, w, nil, Options{}, c.texts...).hopeless()
		switch {
		case c.named == "" && no != nil:
			t.Errorf("%s: refused: %s", c.sentence, no.Text)
		case c.named != "" && (no == nil || no.Text != "even one idle replica does not meet "+c.named):
			t.Errorf("%s: %+v, want %s", c.sentence, no, c.named)
		}
	}
}

// If an idle replica misses none of the objectives alone, all that are about requests are named.
func TestWhatIsImpossibleTogether(t *testing.T) {
	b := newBenchOf(t, clockwork(t, 60, nil), nil, Options{}, "flaps <= 2", "ttft.p95 < 500ms", "usd_month < 1", "goodput >= 100%")
	got := goals{list: b.impossible()}.String()
	if want := `"ttft.p95 < 500ms" and "goodput >= 100%"`; got != want {
		t.Errorf("impossible together: %s, want %s", got, want)
	}
}

// If it is not the requests that miss an objective, a refusal speaks of what does.
func TestWhatHelpsIsAboutWhatWasMissed(t *testing.T) {
	price := Price{Name: "made up", CPU: 0.25, Currency: "EUR"} // of a replica of one core
	for _, c := range []struct {
		sentence, text, says, helps string
	}{
		{"cost", "usd_month < 1", "its usd_month was €", "above " + figure.Money(0.25*730*2, "EUR") + ", the cost of 2 replicas all the time"},
		{"cost of an hour", "usd_hour < 0.1", "its usd_hour was €0.50", "above €0.50,"},
		{"hours", "replica_hours < 0.001", "its replica_hours was 0.03", "looser objectives"},
		{"requests", "ttft.p95 < 260ms", "of requests within the limits", "must meet"},
	} {
		g := newGoals(objectivesOf(t, c.text))
		w := clockwork(t, 60, func(w *replay.World) {
			w.Limits = g.limits()
			steadyRate(7)(w)
		})
		b := newBenchOf(t, w, nil, Options{Price: price, Space: Space{MinFloor: 2}}, c.text)
		var s replay.Scratch
		k := ranking{choice: choice{safest: b.try(sized(2), 3, &s)}}
		no := b.infeasible(&Recommendation{}, k)
		if no.ID != "infeasible" || !strings.Contains(no.Text, c.says) || !strings.Contains(no.SettledBy, c.helps) {
			t.Errorf("%s: %q\nwant %q\nwhat would help: %q\nwant %q", c.sentence, no.Text, c.says, no.SettledBy, c.helps)
		}
		if strings.Contains(no.Text, "within the limits") != strings.HasPrefix(c.text, "ttft") {
			t.Errorf("%s: %q speaks of limits on requests", c.sentence, no.Text)
		}
	}
}

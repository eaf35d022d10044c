package results

import "testing"

// What a gap hides is told by its source, whatever name stands beside it.
func TestWhatAGapHides(t *testing.T) {
	for _, tt := range []struct {
		source          GapSource
		decisions, pods bool
	}{
		{SourcePods, true, true}, {SourceEndpoints, false, true}, {SourceHPA, true, false}, {SourceTarget, true, false},
		{SourceResources, true, false}, {SourceMetric("External", "s0-prometheus"), true, false},
		{SourceScrape.Of("chat-0"), false, false}, {SourceKubelet, false, false}, {SourceNodes, false, false}, {SourceEvents, false, false},
		{SourcePrometheus, false, false}, {SourceLoadgen, false, false},
	} {
		g := Gap{Source: tt.source}
		if g.HidesDecisions() != tt.decisions || g.HidesPods() != tt.pods {
			t.Errorf("a gap of %s: hides decisions %v, pods %v; want %v, %v", tt.source, g.HidesDecisions(), g.HidesPods(), tt.decisions, tt.pods)
		}
	}
	if got := SourceMetric("Pods", "queue"); got != "Pods metric queue" {
		t.Errorf("SourceMetric = %q", got)
	}
	if got := SourceScrape.Of("chat-0"); got != "scrape chat-0" {
		t.Errorf("Of = %q", got)
	}
}

// Lists of metric names that a reason spoils name what the table has.
func TestTouchesAreOfTheTable(t *testing.T) {
	listed := map[string]bool{}
	for _, name := range ofLatency {
		listed[name] = true
		if MetricOf(name) == nil {
			t.Errorf("%s is no metric", name)
		}
	}
	for _, m := range Metrics() {
		if (m.Latency() || m.WithinLimits) != listed[m.Name] {
			t.Errorf("%s: of latency %v, listed %v", m.Name, m.Latency() || m.WithinLimits, listed[m.Name])
		}
	}
}

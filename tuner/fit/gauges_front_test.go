package fit

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// heldRun is a run of three pods, one after another, each of which becomes ready 12 s after its
// load began: a proxy holds the requests until then. A pod serves four at once for 0.3 to
// 0.5 s each. The last requests of each load reach no pod, and their clients give up after 20 s.
func heldRun(name string, value func(r *results.Run, at float64) float64) *results.Run {
	run := &results.Run{Meta: results.Meta{AtZero: "hold 60s"}}
	for k := range 3 {
		begin := 10 + 120*float64(k)
		pod, ready := string(rune('a'+k)), begin+12
		run.Meta.Backends = append(run.Meta.Backends, results.Backend{Name: pod})
		for phase, at := range map[results.PodPhase]float64{results.PodCreated: begin + 1, results.PodStarted: begin + 4,
			results.PodReady: ready, results.PodDeleted: begin + 100} {
			run.Pods = append(run.Pods, results.Pod{Name: pod, Phase: phase, At: seconds(at)})
		}
		free := make([]float64, 4)
		for i := range 420 {
			sent := begin + float64(i)/7
			q := results.Request{Arrival: 1000*k + i, Scheduled: seconds(sent), Sent: seconds(sent), Tokens: 10, Backend: int32(k), Outcome: results.OK}
			slices.Sort(free)
			free[0] = math.Max(math.Max(sent, ready), free[0]) + 0.4 + 0.1*math.Sin(float64(i))
			q.First, q.Done = seconds(free[0]), seconds(free[0])
			if i > 410 {
				q.Outcome, q.Backend, q.First, q.Done = results.Timeout, -1, results.NotYet, seconds(sent+20)
			}
			run.Requests = append(run.Requests, q)
		}
	}
	slices.SortFunc(run.Pods, func(a, b results.Pod) int { return int(a.At - b.At) })
	for at := 0.0; at < 360; at += 5 {
		run.Samples = append(run.Samples, results.Sample{At: seconds(at), Source: "external.metrics.k8s.io", Name: name,
			Value: value(run, at)})
	}
	return run
}

func TestWhatAProxyHoldsIsInItsMetric(t *testing.T) {
	const name = "s0-metric-api-pending"
	pending := func(r *results.Run, at float64) (n float64) {
		for _, q := range r.Requests {
			if q.Sent <= seconds(at) && q.Done > seconds(at) {
				n++
			}
		}
		return n
	}
	for _, row := range []struct {
		name    string
		outside []string
		within  float64 // of the mean
		found   bool
	}{
		{"measured in front of the pods", []string{name}, 0.05, true},
		{"not known to be measured there", nil, 0.05, false},
	} {
		l := readLog(heldRun(name, pending))
		s, _, err := serviceOf(l, 1)
		if err != nil {
			t.Fatal(err)
		}
		s.outside = row.outside
		p, ok, n := gaugeOf(&s, &hpa.Metric{Source: hpa.External, Name: name})
		found := ok && len(n.qualities) == 1 && n.qualities[0].Value < row.within
		if found != row.found {
			t.Fatalf("%s: %+v %v %+v, want it explained within %v: %v", row.name, p, ok, n.qualities, row.within, row.found)
		}
		if found && (p.PerRunning != 1 || p.PerWaiting != 1 || p.Apart || !strings.Contains(n.qualities[0].Text, "when it is asked for")) {
			t.Errorf("%s: %+v (%s), want running and waiting, one each, read when asked for", row.name, p, n.qualities[0].Text)
		}
	}
}

func TestAHeldRequestReachesItsPodWhenThatIsReady(t *testing.T) {
	run := heldRun("pending", func(*results.Run, float64) float64 { return 0 })
	for _, hold := range []string{"hold 60s", ""} {
		run.Meta.AtZero = hold
		early := 0
		l := readLog(run)
		for i := range l.calls {
			c := &l.calls[i]
			ready := 22 + 120*float64(c.server)
			if c.sent < ready-1e-9 {
				early++
			}
		}
		if held := hold != ""; held != (early == 0) {
			t.Errorf("at_zero %q: %d calls reached their pod before it was ready", hold, early)
		}
		s, _, err := serviceOf(l, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.law.Slots(); hold != "" && (got != 4 || math.Abs(s.mean-0.4) > 0.05) {
			t.Errorf("%d slots of %v s, want 4 of 0.4", got, s.mean)
		}
	}
}

package sim

import (
	"go/parser"
	"go/token"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/hpatune/hpatune/tuner/hpa"
)

// The simulator may import the records and the scaling core, and nothing else of the product: code
// that judges a model must not share its code.
func TestSharesNoCodeWithTheModel(t *testing.T) {
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range files {
		if !strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), e.Name(), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			if rest, ok := strings.CutPrefix(path,
				"github.com/hpatune/hpatune/"); ok && rest != "results" && rest != "tuner/hpa" {
				t.Errorf("%s imports %s", e.Name(), path)
			}
		}
	}
}

// mmc is a world with exponential service times, whose mean wait is known.
func mmc(slots int, rate float64) *World {
	w := &World{Service: expo{slots}, Balancer: Random, Startup: Startup{Load: 1}, Metric: DefaultPipeline(),
		Pod: Pod{CPURequest: 1}}
	w.Text = Text{Prompt: 10, Output: 1}
	w.Load = Load{CV2: 1, Stages: []Stage{Flat("all", 40000, rate)}}
	return w
}

func TestWaitIsErlangC(t *testing.T) {
	for _, row := range []struct {
		slots int
		rho   float64
		want  float64 // mean wait over mean service time
	}{
		{1, 0.5, 1}, {1, 0.8, 4}, {4, 0.8, 0.7455}, {8, 0.9, 0.8773},
	} {
		w := mmc(row.slots, row.rho*float64(row.slots))
		w.Load.Stages[0].Seconds = 80000
		d := &day{w: w}
		out := w.run(Options{Seed: 1, Fixed: 1}, &d)
		wait, inside := 0.0, 0.0
		for i := range d.requests {
			q := &d.requests[i]
			wait += q.start - q.sent
			inside += q.done - q.sent
		}
		n := float64(out.Requests)
		if got := wait / n; math.Abs(got/row.want-1) > 0.1 {
			t.Errorf("%d slots at %.1f: mean wait %.3f service times, want %.3f", row.slots, row.rho, got, row.want)
		}
	}
}

// A day finishes the requests that it began. The same seed gives the same day, and another seed a
// different one.
func TestADayIsItsSeed(t *testing.T) {
	w := mmc(4, 8)
	w.Load = Load{CV2: 1, Stages: []Stage{Flat("low", 300, 4), Flat("high", 600, 16), Flat("end", 600, 4)}}
	w.Pod.IdleCores = 0.02
	w.Startup = Startup{Schedule: 1, Pull: 1, Start: 1, Load: 15, Spread: 0.1}
	w.Objectives = []Objective{{Text: "e2e.p95 < 8s", Metric: "e2e", Quantile: 0.95, Limit: 8}}
	c := hpa.DefaultConfig(10)
	c.MinReplicas = 2
	c.Metrics = []hpa.Metric{{Source: hpa.Pods, Name: InFlight,
		Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 3000}}}
	o := Options{Seed: 4, Config: c, Record: true}
	a, b := w.Run(o), w.Run(o)
	if a.Hours != b.Hours || a.Attainment != b.Attainment || len(a.Run.Syncs) != len(b.Run.Syncs) {
		t.Errorf("seed 4 twice: %+v and %+v", a, b)
	}
	if a.Errors > 0 || a.Peak < 5 {
		t.Errorf("errors %v, peak %v; want none, and more than the 16/s over 4/s a pod takes, for the backlog",
			a.Errors, a.Peak)
	}
	o.Seed = 5
	if c := w.Run(o); c.Hours == a.Hours && c.Attainment == a.Attainment {
		t.Error("seeds 4 and 5 are the same day")
	}
	gone := 0
	for _, p := range a.Run.Pods {
		if p.Phase == "gone" {
			gone++
		}
	}
	if gone == 0 {
		t.Error("no pod went, though the load fell")
	}
}

// The number of arrivals matches the integral of the rate, and their burstiness is as asked.
func TestArrivalsFollowTheRate(t *testing.T) {
	for _, cv2 := range []float64{1, 4} {
		l := Load{CV2: cv2, Stages: []Stage{Sine("s", 4000, 400, 2, 10), Ramp("r", 2000, 10, 0)}}
		at, _ := l.arrivals(newSource(1), 1)
		if n, want := float64(len(at)), 6*4000+5*2000.0; math.Abs(n/want-1) > 0.03 {
			t.Errorf("cv² %v: %v arrivals, want about %v", cv2, n, want)
		}
		flat := Load{CV2: cv2, Stages: []Stage{Flat("f", 20000, 1)}}
		at, _ = flat.arrivals(newSource(2), 1)
		sum, sq := 0.0, 0.0
		for i := 1; i < len(at); i++ {
			g := at[i] - at[i-1]
			sum, sq = sum+g, sq+g*g
		}
		n := float64(len(at) - 1)
		if got := sq/n/(sum/n*sum/n) - 1; math.Abs(got/cv2-1) > 0.15 {
			t.Errorf("cv² of the gaps is %.2f, want %v", got, cv2)
		}
	}
}

package report

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// seededRun makes a run that looks like one: a climb, a spike, a quiet end, and
// an autoscaler that comes late. slack is how many replicas more than needed it
// has; it is no model of anything.
func seededRun(name string, slack float64) *results.Run {
	r := rand.New(rand.NewPCG(7, uint64(slack*10)))
	stages := []results.StageInfo{
		{Name: "warm-up", Shape: "rate", FromS: 0, ToS: 60, Warmup: true}, {Name: "climb", Shape: "ramp", FromS: 60, ToS: 240},
		{Name: "hold", Shape: "rate", FromS: 240, ToS: 360}, {Name: "spike", Shape: "rate", FromS: 360, ToS: 450}, {Name: "quiet", Shape: "rate", FromS: 450, ToS: 870},
	}
	rate := func(t float64) float64 {
		switch {
		case t < 60 || t >= 450:
			return 1.5
		case t < 240:
			return 1.5 + 4.5*(t-60)/180
		case t < 360:
			return 6
		}
		return 9
	}
	run := &results.Run{Meta: results.Meta{
		Schema: results.Schema, Run: name, Version: "test", Start: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Speed: 20, Seed: 1, DurationS: 877, Profile: "demo",
		Target:   results.Target{Kind: "sandbox", URL: "http://127.0.0.1:40000", Protocol: "openai-completions", Streams: true, Connections: "realistic"},
		Workload: results.Workload{CPUMilli: 1000, MemoryBytes: 2 << 30},
		HPA:      results.HPAContext{Name: "sandbox/inference-endpoint", Controller: "sandbox", SyncPeriodS: 15, Tolerance: 0.1, DownscaleStabilizationS: 300},
		Client:   results.Client{CPURatio: 0.31, CPUMeasured: true, Pacer: "nanosleep", Connections: 210, FloorS: 0.07},
		Classes:  []string{"answer"},
	}}
	size := func(t float64) float64 { // ready replicas, late
		need := math.Ceil(rate(math.Max(t-70, 0))/0.84 + slack)
		if t >= 450 {
			need = math.Ceil(9/0.84 + slack)
		}
		if t > 765 {
			need = 6
		}
		return max(2, min(need, 10+slack*3))
	}
	last := 0.0
	for i := range int(size(0)) {
		p := fmt.Sprintf("endpoint-%d", i+1)
		run.Pods = append(run.Pods, results.Pod{At: -10 * time.Minute, Name: p, Phase: results.PodCreated}, results.Pod{At: -9 * time.Minute, Name: p, Phase: results.PodReady})
		last++
	}
	for t := 13.0; t < 870; t += 15 {
		want := size(t + 40)
		if t > 725 {
			want = size(t)
		}
		run.Syncs = append(run.Syncs, results.Sync{At: at(t), Spec: int32(last), Status: int32(last), Replicas: int32(want), Desired: int32(want)})
		for ; last < want; last++ {
			p := fmt.Sprintf("endpoint-%d", int(last)+1)
			run.Pods = append(run.Pods, results.Pod{At: at(t), Name: p, Phase: results.PodCreated}, results.Pod{At: at(t + 24 + 10*r.Float64()), Name: p, Phase: results.PodReady})
		}
		for ; last > want; last-- {
			p := fmt.Sprintf("endpoint-%d", int(last))
			run.Pods = append(run.Pods, results.Pod{At: at(t), Name: p, Phase: results.PodDeleted}, results.Pod{At: at(t + 8), Name: p, Phase: results.PodGone})
		}
	}
	for i := range int(10 + slack*3) {
		ready := -540.0
		run.Meta.Backends = append(run.Meta.Backends, results.Backend{Name: fmt.Sprintf("endpoint-%d", i+1), ReadyAtS: &ready})
	}
	backlog := 0.0
	for t := 0.0; t < 870; {
		step := r.ExpFloat64() / rate(t)
		t += step
		backlog = max(0, backlog+1-step*size(t)*1.16)
		wait := backlog / (size(t) * 1.16)
		first := 0.78 + wait + 0.05*r.ExpFloat64()
		end := first + 3 + 3*r.Float64() + r.ExpFloat64()
		q := results.Request{
			Arrival: len(run.Requests), Scheduled: at(t), Sent: at(t + 0.002), First: at(t + first), Last: at(t + end), Done: at(t + end), GapMax: at(0.8),
			Prompt: 256, Tokens: 60, TokensFrom: results.TokensUsage, Code: 200, Err: -1, Backend: int32(r.IntN(int(size(t)))),
		}
		for i, s := range stages {
			if t >= s.FromS && t < s.ToS {
				q.Stage = int16(i)
				stages[i].Arrivals++
			}
		}
		if wait > 25 {
			q.Outcome, q.Code, q.First, q.Last, q.Tokens = results.HTTP429, 429, results.NotYet, results.NotYet, 0
			q.Done = at(t + 0.01)
		}
		run.Requests = append(run.Requests, q)
	}
	run.Meta.Stages = stages
	return run
}

func between(v, lo, hi float64) *tuner.Interval {
	return &tuner.Interval{Value: v, Lo: &lo, Hi: &hi}
}

func number64(x float64) *float64 { return &x }

// sized is kubectl autoscale's HPA between two sizes.
func sized(lo, hi int32) hpa.Config {
	c := hpa.DefaultConfig(hi)
	c.MinReplicas = lo
	return c
}

func searched(lo, hi int32) *hpa.Config {
	c := sized(lo, hi)
	c.Metrics = []hpa.Metric{{Source: hpa.Resource, Name: "cpu", Target: hpa.Target{Utilization: 60}}}
	return &c
}

// seededAdvice is a recommendation with all its parts.
func seededAdvice() *tuner.Recommendation {
	yes, no := true, false
	predicted := func(attainment, usd, ttft, capacity float64, floor, ceiling int) tuner.Predicted {
		return tuner.Predicted{
			Attainment: between(attainment, attainment-0.012, min(attainment+0.008, 1)), PSLOMet: max(0, (attainment-0.9)*10),
			ReplicaHours: between(usd*20, usd*19.5, usd*20.6), ReadyHours: between(usd*19, usd*18.5, usd*19.6), TTFTP95: between(ttft, ttft*0.9, ttft*1.15), E2EP95: between(ttft+8, ttft+7.4, ttft+9),
			ErrorRatio: between(0, 0, 0), Flaps: between(0, 0, 1), TimeToCapacity: between(capacity, capacity*0.8, capacity*1.2), USDHour: between(usd, usd*0.97, usd*1.04),
			USDMonth:       tuner.Monthly{Floor: number64(float64(floor) * 0.04 * 730), Ceiling: number64(float64(ceiling) * 0.04 * 730)},
			USDPerMRequest: between(usd*88, usd*85, usd*91), USDPerMToken: between(usd*1.4, usd*1.3, usd*1.5), MaxReplicas: between(float64(ceiling)-2, float64(ceiling)-3, float64(ceiling)),
		}
	}
	r := &tuner.Recommendation{
		Schema: tuner.RecommendationSchema, Version: "test", Runs: []string{"20261123-120000-demo"}, Seed: 1, Verdict: tuner.Change,
		Objectives: []string{"ttft.p95 < 4s", "error_rate < 1%"}, Trust: "valid",
		Assumed:    []string{"The balancer is round robin; it was not measured.", "Prices are list prices."},
		SelfReplay: tuner.SelfReplay{ReplicaHoursError: number64(0.021), Rescales: 6, RescalesMatched: 6, MeanAbsReplicas: number64(0.12), Verdict: "pass"},
		Shadow:     &tuner.Shadow{Agree: 57, Differ: 0, Unknown: 1, Rescales: tuner.Tally{Agree: 9}, Quiet: tuner.Tally{Agree: 48, Unknown: 1}},
		Measured: &tuner.Measured{Attainment: number64(0.705), ReplicaHours: number64(6.9), ReadyHours: number64(6.5), TTFTP95: number64(23.4), E2EP95: number64(31), ErrorRatio: number64(0),
			Flaps: number64(0), TimeToCapacity: number64(151), USDHour: number64(0.345), MaxReplicas: number64(8)},
		Current:     &tuner.Pick{Config: sized(2, 10), Predicted: predicted(0.724, 0.342, 22.1, 148, 2, 10)},
		Recommended: &tuner.Pick{Config: sized(4, 16), Predicted: predicted(0.986, 0.357, 1.9, 46, 4, 16)},
		Equals:      []*tuner.Pick{{Config: sized(5, 16), Predicted: predicted(0.987, 0.36, 1.8, 44, 5, 16)}},
		Notes:       []string{"maxReplicas is raised from 10 to 16: a peak of this load takes 13 ready replicas"},
		Alternatives: tuner.Alternatives{
			Cheapest: &tuner.Pick{Config: sized(3, 16), Predicted: predicted(0.958, 0.349, 3.8, 61, 3, 16)}, Safest: &tuner.Pick{Config: sized(8, 20), Predicted: predicted(0.999, 0.521, 0.9, 12, 8, 20)},
			MinimalChange: &tuner.Pick{Config: sized(4, 10), Predicted: predicted(0.962, 0.391, 3.4, 58, 4, 10)},
		},
		Changes: []tuner.Changed{
			{Path: "spec.minReplicas", From: "2", To: "4", Effect: &tuner.Reverted{USDMonth: between(18.4, 16, 21), Attainment: between(0.094, 0.08, 0.11), Flaps: between(0, 0, 0), TimeToCapacity: between(-48, -60, -31)}, Reverted: &tuner.Reverted{USDMonth: between(-18.4, -21, -16), Attainment: between(-0.094, -0.11, -0.08), Flaps: between(0, 0, 0), TimeToCapacity: between(48, 31, 60)}, Why: "the climb is steeper than two replicas can carry while the third starts"},
			{Path: "spec.maxReplicas", From: "10", To: "16", Effect: &tuner.Reverted{USDMonth: between(2.1, 1, 3), Attainment: between(0.021, 0.01, 0.03), Flaps: between(0, 0, 0), TimeToCapacity: nil}, Reverted: &tuner.Reverted{USDMonth: between(-2.1, -3, -1), Attainment: between(-0.021, -0.03, -0.01), Flaps: between(0, 0, 0), TimeToCapacity: nil}, Why: "the spike needs 13, and 20 % to spare"},
			{Path: "spec.metrics[0].resource.target.averageUtilization", From: "70", To: "45", Effect: &tuner.Reverted{USDMonth: between(31, 27, 35), Attainment: between(0.17, 0.14, 0.2), Flaps: between(0, -1, 0), TimeToCapacity: between(-71, -90, -55)}, Reverted: &tuner.Reverted{USDMonth: between(-31, -35, -27), Attainment: between(-0.17, -0.2, -0.14), Flaps: between(0, 0, 1), TimeToCapacity: between(71, 55, 90)}, Why: "CPU ends at 98 % of the request: at a target of 70 it can ask for 1.4 times the size a step, at 45 for 2.2 times"},
			{Path: "spec.behavior.scaleDown.stabilizationWindowSeconds", From: "300", To: "120", Effect: &tuner.Reverted{USDMonth: between(-54, -60, -49), Attainment: between(-0.0004, -0.002, 0.001), Flaps: between(0, 0, 0), TimeToCapacity: between(0, -3, 3)}, Reverted: &tuner.Reverted{USDMonth: between(54, 49, 60), Attainment: between(0.0004, -0.001, 0.002), Flaps: between(0, 0, 0), TimeToCapacity: between(0, -3, 3)}, Why: "nothing comes back within five minutes here"},
		},
		Zero: &tuner.Zero{
			Verdict: tuner.ZeroNot, Why: `with it, "error_rate < 1%" held on only 0 of 20 replayed days`, Path: "spec.minReplicaCount", AtZero: "refuse",
			Against: "min 4, max 16", HoursAtZero: between(9.2, 8.9, 9.4), Wakes: between(3, 3, 4), FirstWait: between(62, 41, 88), Lost: between(214, 160, 260),
			SavedHours: between(31, 30, 32), SavedUSDMonth: between(41.2, 39, 43), Attainment: between(0.962, 0.95, 0.97), PSLOMet: number64(0),
		},
		LoadMargin: between(1.18, 1.12, 1.24), Candidates: tuner.Candidates{Fluid: 3240, Exact: 24}, Price: tuner.DefaultPrice(),
		Worst: []tuner.Worst{
			{FromS: 150, ToS: 195, Missed: 21, BoundBy: "startup", Text: "wanted 7, had 4 ready: three were loading"},
			{FromS: 360, ToS: 390, Missed: 9, BoundBy: "lag", Text: "the metrics window still held the time before the spike"},
		},
		Warnings: []string{"The recording holds one scale-down only."},
		Signals: []tuner.SignalRow{
			{Name: "vllm:num_requests_running", Source: "Pods", Follows: "requests in service", Samples: 400, Noise: number64(0.02), Ceiling: number64(8), Target: number64(6), Reaches: &yes, LeadS: number64(45), Verdict: tuner.Met, Config: searched(3, 16), USDMonth: between(-21, -26, -14), Attainment: between(0, -0.001, 0.001), Advised: true},
			{Name: "vllm:num_requests_waiting", Source: "Pods", Follows: "requests waiting", Samples: 400, Noise: number64(0.3), Target: number64(1), LeadS: number64(-12), Verdict: tuner.Missed, Attainment: between(-0.1, -0.2, -0.05)},
			{Name: "gpu_util", Source: "External", Follows: "requests in service", Samples: 90, Noise: number64(0.1), Ceiling: number64(0.7), Target: number64(0.9), Reaches: &no, Verdict: tuner.Missed},
			{Name: "memory", Source: "Resource", Samples: 400, Slope: number64(2e5), Dropped: "it does not fall with the load: after the highest load, each request less in service frees 0.191 MiB of 1477 MiB"},
		},
		WhatIf: []tuner.WhatIf{
			{ID: "load_1.5", Text: "load × 1.5", Verdict: tuner.Missed, Attainment: between(-0.21, -0.3, -0.15), PSLOMet: number64(0), Replicates: 20},
			{ID: "startup_quarter", Text: "start-up 4 m 00 s → 1 m 00 s", Verdict: tuner.Met, Config: searched(3, 16), USDMonth: between(-412, -440, -390), ReplicaHours: between(-2.1, -2.3, -1.9), Attainment: between(0.002, -0.001, 0.004), PSLOMet: number64(0.95), Replicates: 20},
			{ID: "price", Text: "price: aws-fargate-us-east-1", Verdict: tuner.Met, USDMonth: between(51.2, 50, 53), ReplicaHours: &tuner.Interval{}, Attainment: &tuner.Interval{}, PSLOMet: number64(0.97), Replicates: 60},
			{ID: "one_more_at_once", Text: "8 → 9 requests at once", Verdict: tuner.Met, USDMonth: between(-3.1, -9, 4), ReplicaHours: between(-0.1, -0.2, 0.1), Attainment: between(0, -0.001, 0.001), PSLOMet: number64(1), Replicates: 20},
			{ID: "replica_lost", Text: "a replica lost at the peak", Verdict: tuner.Kept, USDMonth: between(-1, -2, 0), ReplicaHours: between(0, -0.1, 0), Attainment: between(-0.011, -0.02, -0.004), PSLOMet: number64(0.9), Replicates: 20},
		},
	}
	rnd := rand.New(rand.NewPCG(3, 3))
	for i := range 140 {
		cost := 0.31 + 0.24*rnd.Float64()
		miss := 0.02*rnd.ExpFloat64() + 0.3*math.Exp(-(cost-0.28)*18)*(0.3+rnd.Float64())
		if a := 1 - miss; a > 0.4 {
			r.Front = append(r.Front, tuner.Point{USDHour: cost, Hours: cost * 20, Attainment: a, Feasible: a > 0.95, Text: fmt.Sprintf("min %d, cpu %d %%, down %d s", 2+i%6, 40+5*(i%8), 60*(1+i%5))})
		}
	}
	for _, p := range picks(r) {
		mark := strings.ReplaceAll(p.Name, " ", "_")
		r.Front = append(r.Front, tuner.Point{USDHour: p.Predicted.USDHour.Value, Attainment: p.Predicted.Attainment.Value, Feasible: mark != "current", Mark: tuner.Mark(mark), Text: "the " + p.Name + " one"})
	}
	return r
}

const manifestText = `# Recommended by hpatune for the profile "demo" (peak 9 requests/s), Kubernetes v1.37.
# Made by: hpatune tune results/20261123-120000-demo. Void with another image, model or node type.
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: inference-endpoint
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: inference-endpoint}
  minReplicas: 4 # was 2: the climb is steeper than two replicas can carry while the third starts
  maxReplicas: 16 # was 10: the spike needs 13, and 20 % to spare
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: 45} # was 70
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 120 # was 300: nothing comes back within five minutes here
      selectPolicy: Max
      policies:
        - {type: Percent, value: 50, periodSeconds: 60}
`

func pageRun(name string, slack float64) Run {
	run := seededRun(name, slack)
	objectives, err := results.ParseObjectives([]string{"ttft.p95 < 4s", "error_rate < 1%"})
	if err != nil {
		panic(err)
	}
	return RunOf(run, results.Summarize(run, objectives), objectives)
}

// pages are the three forms that the page takes.
func pages() map[string]Page {
	return map[string]Page{
		"run": {Title: "demo", Version: "test", Runs: []Run{pageRun("20261123-120000-demo", 0)}, Command: "hpatune report results/20261123-120000-demo"},
		"advice": {
			Title: "demo", Version: "test", Runs: []Run{pageRun("20261123-120000-demo", 0)}, Advice: seededAdvice(), Manifest: manifestText,
			Next: []string{"kubectl diff -f hpa.yaml", "kubectl apply -f hpa.yaml", "hpatune run -p demo"}, Command: "hpatune tune results/20261123-120000-demo",
			Note: "Circular here: the autoscaler is hpatune's own core. Real: requests, queueing, balancing and timing.",
			Verify: &Verified{Figures: []VerifiedFigure{
				{Name: "replica_hours", Unit: "h", Predicted: between(1.71, 1.66, 1.78), Actual: number64(1.69), Error: number64(0.012)},
				{Name: "attainment", Unit: "ratio", Predicted: between(0.986, 0.974, 0.994), Actual: number64(0.981), Error: number64(0.005)},
				{Name: "ttft_p95", Unit: "s", Predicted: between(1.9, 1.7, 2.2), Actual: number64(2.1), Error: number64(0.095)},
			}, MeanAbsReplicas: number64(0.21), MaxAbsReplicas: number64(2)},
		},
		"compare": {Title: "demo", Version: "test", Runs: []Run{pageRun("20261123-120000-demo", 0), pageRun("20261123-120200-demo", 2)}},
	}
}

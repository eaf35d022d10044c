package main

import (
	"strings"
	"time"

	"github.com/hpatune/hpatune/test/evaluate/sim"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// world is a true world and the families in which its figures count.
type world struct {
	sim.World
	Family   string // cpu, gauge, hidden, censored, wrong: whose row of the table it is
	Most     int32  // maxReplicas of the grid and the baselines: what the cluster has room for
	Censored bool   // maxReplicas of the hand-written configuration binds
	Quick    bool   // one of the three that every change is tried on
}

// families are the groups of worlds in the table.
var families = []string{"cpu", "gauge", "hidden", "censored", "wrong"}

// A world is named METRIC/SERVICE/BALANCER/LOAD[/START][/WHAT IS WRONG WITH THE RECORDING OR THE MODEL].
var names = strings.Fields(`
cpu/slots/random/steps
cpu/slots/rr/spikes
cpu/slots/least-conn/sine
cpu/slots/least-wait/ramp
cpu/slots/random/ramp
cpu/slots/random/gamma
cpu/slots/rr/trace
cpu/slots/least-conn/ramp/slow
cpu/slots/random/sine/burn
cpu/slots/aged/sine
cpu/slowing/random/sine
cpu/slowing/rr/steps
cpu/slowing/least-conn/trace
cpu/slowing/random/ramp/slow
cpu/quota/random/ramp
cpu/quota/rr/sine
cpu/quota/least-conn/spikes
cpu/quota/random/sine/burn
cpu/quota/aged/trace
cpu/llm/random/sine
cpu/llm/least-wait/ramp/slow
inflight/slots/random/steps
inflight/slots/least-conn/sine
inflight/slots/rr/ramp/slow
inflight/slowing/random/trace
inflight/quota/rr/sine
inflight/llm/least-wait/sine
inflight/llm/prefix/ramp
inflight/llm/random/trace
running/slots/random/sine
running/llm/rr/ramp
queue/slots/random/ramp
queue/slots/least-wait/sine
queue/llm/least-wait/gamma
external/slots/random/sine
external/slots/rr/steps
external/slowing/least-conn/sine
external/llm/least-conn/ramp
external/llm/prefix/trace/slow
extqueue/slots/random/ramp
extqueue/llm/random/sine
cpu/slots/random/ramp/hidden
cpu/slots/rr/sine/hidden
cpu/slowing/random/ramp/hidden
cpu/quota/random/sine/hidden
inflight/slots/random/sine/hidden
inflight/llm/least-wait/ramp/hidden
external/slots/random/ramp/hidden
cpu/slots/random/steps/censored
cpu/slots/rr/sine/censored
cpu/slots/least-conn/ramp/censored
inflight/slots/random/sine/censored
cpu/slots/least-conn/steps/wrong
cpu/slots/random/ramp/tail
cpu/slots/prefix/ramp
cpu/slowing/random/ramp/tail
`)

// quick are three worlds with different metrics, services and balancers.
var quick = map[string]bool{"cpu/slots/least-conn/ramp/slow": true, "cpu/quota/rr/sine": true,
	"inflight/slots/random/steps": true}

// bars are those of them in which every recording must pass, and every pick must hold.
var bars = map[string]bool{"cpu/slots/least-conn/ramp/slow": true, "cpu/quota/rr/sine": true}

func worlds() []world {
	out := make([]world, len(names))
	for i, name := range names {
		out[i] = worldOf(name)
	}
	return out
}

func quickWorlds(all []world) []world {
	var out []world
	for _, w := range all {
		if w.Quick {
			out = append(out, w)
		}
	}
	return out
}

// server is a kind of server with the load that suits it.
type serverKind struct {
	service   sim.Service
	text      sim.Text
	pod       sim.Pod
	low, high float64 // of the load, requests a second
	objective []sim.Objective
	inFlight  int64 // a hand-written target for requests in flight, a pod
}

func ttft(text string, seconds float64) sim.Objective {
	return sim.Objective{Text: "ttft.p95 < " + text, Metric: "ttft", Quantile: 0.95, Limit: seconds}
}

func e2e(text string, seconds float64) sim.Objective {
	return sim.Objective{Text: "e2e.p95 < " + text, Metric: "e2e", Quantile: 0.95, Limit: seconds}
}

// chat is a mix of prompts and answers: about 300 tokens in, 90 out.
func chat() sim.Text {
	return sim.Text{Prompt: 250, PromptSpread: 0.6, PromptMost: 2000, Output: 75, OutputSpread: 0.6, OutputMost: 500}
}

func kinds() map[string]serverKind {
	long := chat()
	long.Prompt, long.Output = 500, 120
	return map[string]serverKind{
		// 8 slots of 1.65 s on average: 4.9 requests a second.
		"slots": {&sim.Slots{Slots: 8, Work: sim.Work{First: 0.25, PerPrompt: 0.0002, PerToken: 0.015, Noise: 0.1},
			PerBusy: 0.11}, chat(),
			sim.Pod{CPURequest: 1, MemoryBytes: 2 << 30, IdleCores: 0.02}, 5, 26, []sim.Objective{ttft("2s", 2)}, 5},
		// A lone request takes 1.65 s; with 24 at once each takes 3.8 times as long: 3.9 requests a
		// second.
		"slowing": {&sim.Slowing{Most: 24, Drag: 0.12, Work: sim.Work{First: 0.25, PerPrompt: 0.0002, PerToken: 0.015,
			Noise: 0.1}, PerWork: 0.2}, chat(),
			sim.Pod{CPURequest: 1, MemoryBytes: 2 << 30, IdleCores: 0.02}, 4, 20, []sim.Objective{e2e("8s", 8)}, 6},
		// 0.1 core-seconds a request under a limit of half a core: 4.7 requests a second.
		"quota": {&sim.Quota{Limit: 0.5, Threads: 2, Idle: 0.015,
			Work: sim.Work{First: 0.03, PerToken: 0.0008, Noise: 0.2}}, chat(),
			sim.Pod{CPURequest: 0.4, CPULimit: 0.5, MemoryBytes: 512 << 20,
				IdleCores: 0.015}, 5, 24, []sim.Objective{e2e("1500ms", 1.5)}, 3},
		// A small GPU: 32 sequences at 48 ms an iteration, 0.06 s of prefill a request: 3.5 requests a second.
		"llm": {&sim.LLM{Alpha: 0.02, Beta: 0.0008, Gamma: 0.0001, Delta: 1e-7, Budget: 2048, Most: 32,
			BusyCores: 0.1, PerToken: 0.0007}, long,
			sim.Pod{CPURequest: 1, MemoryBytes: 8 << 30, IdleCores: 0.03}, 4, 18, []sim.Objective{ttft("500ms",
				0.5), e2e("12s", 12)}, 16},
	}
}

func loads(low, high float64) map[string]sim.Load {
	one := func(stages ...sim.Stage) sim.Load { return sim.Load{CV2: 1, Stages: stages} }
	middle := (low + high) / 2
	bursty := one(sim.Flat("low", 600, low), sim.Ramp("up", 300, low, 0.7*high), sim.Flat("high", 600, 0.7*high),
		sim.Ramp("down", 300, 0.7*high, low), sim.Flat("end", 300, low))
	bursty.CV2 = 4
	return map[string]sim.Load{
		"steps": one(sim.Flat("low", 300, low), sim.Flat("middle", 400, middle), sim.Flat("high", 400, high),
			sim.Flat("middle again", 300, middle), sim.Flat("end", 400, low)),
		"spikes": one(sim.Flat("low", 300, middle/2), sim.Flat("spike", 90, middle),
			sim.Flat("between", 400, middle/2), sim.Flat("higher spike", 120, 0.8*high), sim.Flat("end", 500,
				middle/2), sim.Flat("last spike", 90, middle), sim.Flat("after", 300, middle/2)),
		"sine": one(sim.Sine("waves", 2100, 700, low, high)),
		"ramp": one(sim.Flat("low", 200, low), sim.Ramp("up", 600, low, high), sim.Flat("high", 300, high),
			sim.Ramp("down", 500, high, low), sim.Flat("end", 300, low)),
		"gamma": bursty,
		"trace": one(sim.Trace("conversations", conversations, 20, 0.6*high)),
	}
}

func starts() map[string]sim.Startup {
	return map[string]sim.Startup{
		"":     {Schedule: 0.6, Pull: 2, Start: 1.5, Load: 15, Spread: 0.12},
		"slow": {Schedule: 0.8, Pull: 12, Start: 3, Load: 75, Spread: 0.3},
		"burn": {Schedule: 0.6, Pull: 2, Start: 1.5, Load: 22, Spread: 0.15, BurnCores: 0.8},
	}
}

var balancers = map[string]sim.Balancer{"rr": sim.RoundRobin, "random": sim.Random,
	"least-conn": sim.LeastConnections, "least-wait": sim.LeastWaiting, "prefix": sim.PrefixAffine, "aged": sim.Aged}

// worldOf returns the world with the given name.
func worldOf(name string) world {
	parts := strings.Split(name, "/")
	metric, service, balancer, load := parts[0], parts[1], parts[2], parts[3]
	k := kinds()[service]
	w := world{Family: "gauge", Most: 14, Quick: quick[name]}
	w.Name, w.Balancer, w.Service, w.Text, w.Pod = name, balancers[balancer], k.service, k.text, k.pod
	w.Metric, w.Load, w.Startup = sim.DefaultPipeline(), loads(k.low, k.high)[load], starts()[""]
	w.Objectives, w.Initial = k.objective, 3
	if metric == "cpu" {
		w.Family = "cpu"
	}
	if w.Balancer == sim.PrefixAffine {
		if l, ok := w.Service.(*sim.LLM); ok {
			cached := *l
			cached.Cache = true
			w.Service = &cached
		}
		w.Text.Prefixes, w.Text.Shared, w.Text.Prompt = 40, 300, 250
	}
	w.Current = handWritten(metric, k.inFlight)
	for _, special := range parts[4:] {
		switch special {
		case "hidden":
			w.Family, w.Record.Hidden = "hidden", true
		case "censored":
			w.Family, w.Censored = "censored", true
			w.Current.MaxReplicas = 4
		case "wrong": // the models are: bent.go
			w.Family = "wrong"
		case "tail": // one pod in ten takes six times as long
			w.Startup.Tail, w.Startup.TailTimes = 0.1, 6
		default:
			w.Startup = starts()[special]
		}
	}
	return w
}

// handWritten is what a person would begin with: a target somewhat below a pod's capacity, a
// scale-down window of two minutes, and defaults for the rest.
func handWritten(metric string, inFlight int64) hpa.Config {
	c := hpa.DefaultConfig(14)
	c.MinReplicas = 2
	average := func(source hpa.Source, name string, milli int64) {
		c.Metrics = []hpa.Metric{{Source: source, Name: name,
			Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: milli}}}
	}
	switch metric {
	case "cpu":
		c.Metrics[0].Target.Utilization = 60
	case "inflight":
		average(hpa.Pods, sim.InFlight, 1000*inFlight)
	case "running":
		average(hpa.Pods, sim.Running, 900*inFlight)
	case "queue":
		average(hpa.Pods, sim.Queue, 1000)
	case "external":
		average(hpa.External, sim.Total, 1000*inFlight)
	case "extqueue":
		average(hpa.External, sim.QueueSum, 1000)
	}
	return down(c, 2*time.Minute)
}

// down sets a scale-down window; the rest of behavior gets the defaults.
func down(c hpa.Config, window time.Duration) hpa.Config {
	c = c.Clone()
	c.Behavior, c.ScaleUp, c.ScaleDown = true, hpa.DefaultScaleUp(), hpa.DefaultScaleDown()
	c.ScaleDown.Window, c.ScaleDown.WindowSet = window, true
	return c
}

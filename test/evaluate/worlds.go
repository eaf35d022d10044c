package main

import (
	"fmt"
	"time"

	"github.com/hpatune/hpatune/test/evaluate/sim"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// world is a true world, and what family its figures are counted in.
type world struct {
	sim.World
	Family string  // cpu, gauge, llm, quota: what the rows of the table ask for
	Top    float64 // more requests a second than one pod can serve
	Most   int32   // maxReplicas of the grid and the baselines: what the cluster has room for
	// Censored says that maxReplicas of the hand-written configuration binds.
	Censored bool
	Quick    bool // one of the three that every change is tried on
}

// slots is the simplest server there is: 8 slots, 0.3 s to the first token, 15 ms a token.
func slots() *sim.Slots {
	return &sim.Slots{Slots: 8, Work: sim.Work{First: 0.25, PerPrompt: 0.0002, PerToken: 0.015, Noise: 0.1}, PerBusy: 0.11}
}

// chat is a mix of prompts and answers: about 300 tokens in, 90 out.
func chat() sim.Text {
	return sim.Text{Prompt: 250, PromptSpread: 0.6, PromptMost: 2000, Output: 75, OutputSpread: 0.6, OutputMost: 500}
}

func ttft(limit string, seconds float64) []sim.Objective {
	return []sim.Objective{{Text: "ttft.p95 < " + limit, TTFT: true, Quantile: 0.95, Limit: seconds}}
}

// quick20 is a start of some 20 s, most of it loading.
func quick20() sim.Startup {
	return sim.Startup{Schedule: 0.6, Pull: 2, Start: 1.5, Load: 15, Spread: 0.12}
}

// cpu is a hand-written configuration: minReplicas, a CPU target, and a scale-down window of two minutes.
func cpu(least, most, target int32) hpa.Config {
	c := hpa.DefaultConfig(most)
	c.MinReplicas = least
	c.Metrics[0].Target.Utilization = target
	return down(c, 2*time.Minute)
}

// down gives a configuration a scale-down window, everything else of behavior by default.
func down(c hpa.Config, window time.Duration) hpa.Config {
	c = c.Clone()
	c.Behavior, c.ScaleUp, c.ScaleDown = true, hpa.DefaultScaleUp(), hpa.DefaultScaleDown()
	c.ScaleDown.Window, c.ScaleDown.WindowSet = window, true
	return c
}

func steps(low, high float64) sim.Load {
	return sim.Load{CV2: 1, Stages: []sim.Stage{sim.Flat("low", 300, low), sim.Flat("high", 600, high), sim.Flat("middle", 300, (low+high)/2), sim.Flat("top", 300, high), sim.Flat("end", 300, low)}}
}

// worlds are all of them, in the order of the table.
func worlds() []world {
	base := func(name string, b sim.Balancer) world {
		w := world{Family: "cpu", Most: 14, Top: 8}
		w.Name, w.Balancer, w.Service, w.Startup = name, b, slots(), quick20()
		w.Pod = sim.Pod{CPURequest: 1, CPULimit: 0, MemoryBytes: 2 << 30, IdleCores: 0.02}
		w.Metric, w.Text, w.Load = sim.DefaultPipeline(), chat(), steps(6, 30)
		w.Objectives = ttft("2s", 2)
		w.Initial, w.Current = 2, cpu(2, 12, 60)
		return w
	}
	var out []world
	for _, b := range []sim.Balancer{sim.Random, sim.RoundRobin, sim.LeastConnections} {
		w := base(fmt.Sprintf("cpu/slots/%s/steps", word(b)), b)
		w.Quick = b == sim.Random || b == sim.LeastConnections
		out = append(out, w)
	}
	return out
}

func word(b sim.Balancer) string {
	return [...]string{"rr", "random", "least-conn", "least-wait", "prefix", "aged"}[b]
}

// quickWorlds are the three that a change is tried on.
func quickWorlds(all []world) []world {
	var out []world
	for _, w := range all {
		if w.Quick {
			out = append(out, w)
		}
	}
	return out
}

package main

import (
	"fmt"
	"time"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// vector is a CPU HPA on a real cluster, second by second, run twice by vectordotdev/vector
// (website/content/en/guides/level-up/k8s-autoscaling.md, July 2026): requests = limits = 1 CPU,
// CPU 70 %, min 1, max 8, scale-down window 60 s. One run rested at 5 pods (70 % CPU), the other at
// 6 (60 %): a model must give both a fair probability. Nothing is fitted; these are the stated
// facts:
//
//   - a pod at 100 % CPU carries 16.93 MiB/s, so one MiB is a request of 1/16.93 s of one core;
//   - 62.52 MiB/s arrive: what 8 pods at 47 % CPU carried, so what the source sends when nothing holds it
//     back (60.69 came through at 5 pods, where something does; 55 were asked of it);
//   - NGINX hands requests out in turn; a pod keeps at most 20 waiting;
//   - metrics-server every 15 s over 15 s, readable after 2 s; a pod is ready 3 to 12 s after its creation.
func vector() ([]bar, error) {
	const perPod, offered, seconds, days = 16.93, 62.52, 420, 300
	law := plant.SlotsLaw(1, []plant.ServiceTime{{First: 1 / perPod, Total: 1 / perPod}})
	law.Queue = 20
	bins := make([]float64, seconds)
	for i := range bins {
		bins[i] = offered
	}
	var start []plant.PhaseSample
	for _, s := range []time.Duration{1, 2, 4, 6, 10} {
		start = append(start, plant.PhaseSample{Schedule: time.Second / 2, Pull: time.Second / 2, Start: time.Second,
			Ready: s * time.Second})
	}
	w, err := replay.New(replay.World{
		Demand: replay.Demand{Step: time.Second, Bins: bins,
			CV2: 1}, Service: law, Balancer: plant.RoundRobin, Start: start, Replicas: 1, Seed: 1,
		Pipes: []plant.Pipe{{Name: "cpu", PerDone: 1 / perPod, Ceiling: 1, Every: 15 * time.Second,
			Window: 15 * time.Second, Delay: 2 * time.Second, Fresh: 10 * time.Second}},
		Containers: []hpa.Container{{Name: "vector", CPU: 1000, HasCPU: true}},
	})
	if err != nil {
		return nil, err
	}
	c := hpa.DefaultConfig(8)
	c.Metrics[0].Target.Utilization = 70
	c.EnsureBehavior()
	c.ScaleDown.Window, c.ScaleDown.WindowSet = time.Minute, true
	rest := map[int]float64{}
	var s replay.Scratch
	for day := range uint64(days) {
		last := 0.0
		replay.SimulateExact(w, c, day+1, &s, func(t *results.Tick) { last = t.Spec })
		rest[int(last)] += 1.0 / days
	}
	of := "Vector under a CPU HPA (stated, nothing fitted; its source is a closed loop of 100 connections " +
		"that holds requests back under load, the model's load is open)"
	share := func(v float64) string { return fmt.Sprintf("%.2f", v) }
	return []bar{
		{of, "P(rests at 5)", share(rest[5]), "1 of 2 runs", "≥ 0.15", is(rest[5] >= 0.15)},
		{of, "P(rests at 6)", share(rest[6]), "1 of 2 runs", "≥ 0.15", is(rest[6] >= 0.15)},
		{of, "P(5 or 6)", share(rest[5] + rest[6]), "2 of 2 runs", "≥ 0.7", is(rest[5]+rest[6] >= 0.7)},
	}, nil
}

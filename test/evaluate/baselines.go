package main

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
)

// Baselines: what other projects would recommend from the same recording. Formulas as of 2026-11,
// from the projects' sources. Their minimum lengths of history (days) are left out, since a
// recording is shorter.

// crane is Crane's HPARecommender (pkg/recommendation/recommender/hpa): minReplicas from the 95th
// percentile of the workload's CPU at half the request, a target from the 99th percentile of a pod's
// CPU with a margin of 15 %, within 30 and 75 %, and maxReplicas at three times that 95th percentile.
func crane(run *results.Run, request float64) hpa.Config {
	total, pods := usage(run)
	p95 := at(total, 0.95)
	target := math.Ceil(100 * at(pods, 0.99) * 1.15 / request)
	target = min(75, max(30, target))
	c := hpa.DefaultConfig(1)
	c.MinReplicas = int32(max(1, math.Ceil(p95/(0.5*request))))
	c.MaxReplicas = max(c.MinReplicas, int32(math.Ceil(3*p95/(request*target/100))))
	c.Metrics[0].Target.Utilization = int32(target)
	return c
}

// tortoise is Mercari's Tortoise (pkg/recommender): minReplicas is half and maxReplicas twice the
// largest size that was seen. The target leaves the room that VPA's recommendation asks for: 100 −
// (recommendation/request − current target), at most 90. VPA recommends the 90th percentile of a
// pod's CPU plus 15 %.
func tortoise(run *results.Run, request float64, now int32) hpa.Config {
	_, pods := usage(run)
	seen := int32(1)
	for i := range run.Syncs {
		seen = max(seen, run.Syncs[i].Replicas)
	}
	vpa := 100 * at(pods, 0.9) * 1.15 / request
	target := min(90, max(30, 100-(vpa-float64(now))))
	c := hpa.DefaultConfig(2 * seen)
	c.MinReplicas = max(1, int32(math.Ceil(float64(seen)*0.5)))
	c.Metrics[0].Target.Utilization = int32(target)
	return c
}

// usage is the CPU of the recording in cores: of all pods together per minute, and of each pod.
func usage(run *results.Run) (total, pods []float64) {
	type cell struct {
		sum float64
		n   int
	}
	minutes := map[int]map[string]cell{}
	for i := range run.Samples {
		s := &run.Samples[i]
		if s.Name != "cpu_milli" {
			continue
		}
		pods = append(pods, s.Value/1000)
		m := int(s.At.Minutes())
		if minutes[m] == nil {
			minutes[m] = map[string]cell{}
		}
		c := minutes[m][s.Pod]
		minutes[m][s.Pod] = cell{c.sum + s.Value/1000, c.n + 1}
	}
	for _, by := range minutes {
		sum := 0.0
		for _, c := range by {
			sum += c.sum / float64(c.n)
		}
		total = append(total, sum)
	}
	return total, pods
}

// at is the q-quantile, nearest rank; 0 for none.
func at(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	return v[min(len(v)-1, max(0, int(math.Ceil(q*float64(len(v))))-1))]
}

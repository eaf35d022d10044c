package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/hpatune/hpatune/internal/record"
	"github.com/hpatune/hpatune/internal/sandbox"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

// TestDemosEvidenceIsNoLuck plays the load of `demo --keda` on its service, with pods that are
// scraped at other times in each play: all go the same way. Under a slow rise one request more
// in a queue decides, and the plays go two ways.
func TestDemosEvidenceIsNoLuck(t *testing.T) {
	for _, row := range []struct {
		profile string
		oneWay  bool
	}{{"demo-keda", true}, {"demo", false}} {
		p, _, err := record.ReadProfile(row.profile)
		if err != nil {
			t.Fatal(err)
		}
		hours := demoHours(t, p)
		slices.Sort(hours)
		ways := 1
		for i := 1; i < len(hours); i++ {
			if hours[i] > hours[i-1]*1.05 {
				ways++
			}
		}
		if row.oneWay != (ways == 1) {
			t.Errorf("%s: replica-hours of plays with other luck, %.3f, go %d ways; one way: want %v", row.profile, hours, ways, row.oneWay)
		}
	}
}

// demoHours returns the replica-hours above two replicas of a profile under the demo's
// ScaledObject, each with other luck.
func demoHours(t *testing.T, p *profiles.Profile) (hours []float64) {
	t.Helper()
	service := sandbox.DefaultService()
	step := time.Second
	law := plant.Law{Rate: make([]float64, service.Slots+1)}
	demand := replay.Demand{Step: step, Bins: make([]float64, int(p.Duration()/step)), CV2: 1}
	mean := 0.0
	for a := range p.Arrivals(1) {
		demand.Bins[min(int(a.At/step), len(demand.Bins)-1)]++
		demand.Arrivals = append(demand.Arrivals, a)
		first := service.Prefill + time.Duration(a.Prompt)*service.PerPromptToken
		x := plant.ServiceTime{First: first.Seconds(), Total: (first + time.Duration(max(a.Max-1, 0))*service.PerToken).Seconds(),
			Tokens: float64(a.Max), Streamed: true}
		law.Times, demand.Times = append(law.Times, x), append(demand.Times, x)
		mean += x.Total
	}
	mean /= float64(len(law.Times))
	for i := range law.Rate {
		law.Rate[i] = float64(i) / mean
	}
	const metric = "s0-prometheus"
	w, err := replay.New(replay.World{
		Demand: demand, Service: law, Params: hpa.DefaultParams(), Replicas: 2, Seed: 1,
		Start: []plant.PhaseSample{{Schedule: time.Second, Pull: 6 * time.Second, Start: time.Second, Ready: 22 * time.Second}},
		Drain: plant.Drain{Min: 2 * time.Second, Grace: service.Grace},
		Pipes: []plant.Pipe{{Name: metric, PerWaiting: 1, Every: 15 * time.Second, Apart: true,
			Phases: []time.Duration{time.Second, 8 * time.Second}}},
		Sync: replay.Sync{Phase: 13500 * time.Millisecond, Slip: replay.DefaultSlip},
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := hpa.Config{MinReplicas: 2, MaxReplicas: 10, Metrics: []hpa.Metric{{Source: hpa.External, Name: metric,
		Target: hpa.Target{Type: hpa.AverageValue, AverageMilli: 5000}}}}
	var scratch replay.Scratch
	for seed := range uint64(30) {
		sum := 0.0
		replay.SimulateExact(w.AsRecordedWith(seed+1), cfg, 0, &scratch, func(t *results.Tick) {
			sum += math.Max(0, t.Spec-2) * step.Hours()
		})
		hours = append(hours, sum)
	}
	return hours
}

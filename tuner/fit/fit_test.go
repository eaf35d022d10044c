package fit

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
	"github.com/hpatune/hpatune/tuner/plant"
)

func TestFitFindsTheTruth(t *testing.T) {
	for _, row := range []struct {
		name     string
		streams  bool
		balancer plant.Balancer
		hidden   bool // the log does not show which replica answered
	}{
		{"streams, round robin", true, plant.RoundRobin, false},
		{"streams, random", true, plant.Random, false},
		{"streams, least connections", true, plant.LeastConnections, false},
		{"answers in one piece, round robin", false, plant.RoundRobin, false},
		{"replicas behind one address, at random", true, plant.Random, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := fittest.Truth{Rate: fittest.Wave, Seconds: 900, Config: fittest.CPUConfig(70), Replicas: 2, Slots: 8, Streams: row.streams, Balancer: row.balancer, Seed: 3}
			run := c.Run()
			if row.hidden {
				for i := range run.Requests {
					run.Requests[i].Backend = -1
				}
				run.Meta.Backends = nil
			}
			fit, err := Fit(run, c.Config, Options{Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range fit.Quality {
				t.Logf("%-10s %8.3f  n=%d  %s", q.Part, q.Value, q.N, q.Text)
			}
			t.Logf("warnings %q, assumed %q", fit.Warnings, fit.Assumed)
			w := fit.World
			if w.Service.Slots() != 8 && row.streams {
				t.Errorf("%d slots, want 8", w.Service.Slots())
			}
			if math.Abs(w.Service.Capacity()/(8/4.7)-1) > 0.15 {
				t.Errorf("capacity %.3f/s a replica, want about %.3f", w.Service.Capacity(), 8/4.7)
			}
			if w.Balancer != row.balancer {
				t.Errorf("balancer %v, want %v", w.Balancer, row.balancer)
			}
			cpu := w.Pipes[0]
			if per := cpu.PerRunning; math.Abs(per-fittest.PerSlot) > 0.006 || math.Abs(cpu.Base-fittest.Idle) > 0.01 {
				t.Errorf("CPU %.4f + %.4f a slot, want %.3f + %.3f", cpu.Base, per, fittest.Idle, fittest.PerSlot)
			}
			if cpu.Every != 15*time.Second || cpu.Window != 15*time.Second || cpu.Delay < 4*time.Second || cpu.Delay > 6*time.Second {
				t.Errorf("pipe %+v, want 15 s windows readable 5 s late", cpu)
			}
			for _, s := range w.Start {
				if s.Total() < 24*time.Second || s.Total() > 37*time.Second {
					t.Errorf("cold start %+v, want 24.5 to 35.5 s", s)
				}
			}
			if fit.Shadow.Differ != 0 || fit.Shadow.Unknown != 0 || fit.Shadow.Agree != len(run.Syncs) {
				t.Errorf("shadow %+v of %d syncs; the same core decided both", *fit.Shadow, len(run.Syncs))
			}
			s := fit.SelfReplay
			t.Logf("self-replay %s: error %+.3f, %d of %d rescales, mean |Δ| %.2f", s.Verdict, *s.ReplicaHoursError, s.RescalesMatched, s.Rescales, *s.MeanAbsReplicas)
			if s.Verdict != "pass" {
				t.Errorf("self-replay: %s", s.Verdict)
			}
			if k := s.Metrics["cpu"]; math.Abs(k-1) > metricOff {
				t.Errorf("the replay reads %.3f times the recorded CPU, want 1", k)
			}
		})
	}
}

package tuner

import (
	"math"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit"
	"github.com/hpatune/hpatune/tuner/plant"
	"github.com/hpatune/hpatune/tuner/replay"
)

func ends(lo, v, hi float64) *Interval { return &Interval{v, &lo, &hi} }

func TestWhatTheModelMissedIsCarried(t *testing.T) {
	for _, c := range []struct {
		name   string
		got    *Interval
		lo, hi float64
	}{
		{"as predicted", carried(ends(2, 3, 4), 1), 2, 4},
		{"the record was twice as slow", carried(ends(2, 3, 4), 2), 2, 8},
		{"the record was twice as quick", carried(ends(2, 3, 4), 0.5), 1, 4},
		{"no record", carried(ends(2, 3, 4), 0), 2, 4},
		{"twice the misses", carriedShare(ends(0.90, 0.95, 0.98), 2), 0.80, 0.98},
		{"half the misses", carriedShare(ends(0.90, 0.95, 0.98), 0.5), 0.90, 0.99},
		{"never below 0", carriedShare(ends(0.30, 0.5, 0.9), 4), 0, 0.9},
	} {
		if math.Abs(*c.got.Lo-c.lo) > 1e-9 || math.Abs(*c.got.Hi-c.hi) > 1e-9 {
			t.Errorf("%s: %v – %v, want %v – %v", c.name, *c.got.Lo, *c.got.Hi, c.lo, c.hi)
		}
	}
	if carried(nil, 2) != nil || carriedShare(nil, 2) != nil || carried(&Interval{Value: 1}, 2).Lo != nil {
		t.Error("what has no interval gets none")
	}
}

func TestOff(t *testing.T) {
	own := &trial{}
	for i := range 21 { // quartiles: the 6th and the 16th of 21
		x := float64(i)
		own.days = append(own.days, outcome{attainment: 1 - 0.01*(x+1), ttft: 1 + x, e2e: 1 + x, hours: 10, capacity: math.NaN()})
	}
	y := func(x float64) *float64 { return &x }
	off := offOf(&Measured{Attainment: y(0.68), TTFTP95: y(3), E2EP95: y(10), ReplicaHours: y(10.5), TimeToCapacity: y(9)}, own)
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"32 % missed where the upper quartile is 16 %", off.Misses, 2}, {"3 s where the lower quartile is 6 s", off.TTFT, 0.5},
		{"within the middle half", off.E2E, 1}, {"every day alike", off.Hours, 1.05}, {"no day has the figure", off.Capacity, 1},
	} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%s: off by %v, want %v", c.name, c.got, c.want)
		}
	}
	if got := offOf(&Measured{}, own); got != replay.NotOff {
		t.Errorf("nothing measured: %+v", got)
	}
	if got := offOf(&Measured{Attainment: y(1)}, own); math.Abs(got.Misses-1e-4/0.06) > 1e-9 {
		t.Errorf("nothing missed where 6 %% are: %v, want 1 in 10,000 over it", got.Misses)
	}
}

func TestDoubt(t *testing.T) {
	f := &Fitted{World: &replay.World{
		Demand:  replay.Demand{Bins: []float64{50, 50}, CV2: 4},
		Service: plant.Law{Times: []plant.ServiceTime{{Total: 1}, {Total: 3}}},
		Pipes:   []plant.Pipe{{Name: "cpu"}, {Name: "memory"}},
	}, Quality: []fit.Quality{{Part: "cpu", Value: 0.2, N: 25}}}
	d := doubtOf(f)
	if math.Abs(d.Rate-0.2) > 1e-12 {
		t.Errorf("rate %v, want 0.2: √(4/100)", d.Rate)
	}
	if want := math.Sqrt(0.25 / 2); math.Abs(d.Service-want) > 1e-12 {
		t.Errorf("service %v, want %v: a cv of ½ over √2", d.Service, want)
	}
	if d.Pipes[0] != 0.04 || d.Pipes[1] != leastPipe || !d.Starts || d.Off != replay.NotOff {
		t.Errorf("%+v, want a metric of 0.2/√25, one of 0.01, and cold starts drawn anew", d)
	}
}

// What rests on a target beyond what was sampled has an interval that is wider by as
// much.
func TestAnIntervalBeyondTheSamplesIsWider(t *testing.T) {
	at := func(lo, hi float64) *Interval { return &Interval{(lo + hi) / 2, &lo, &hi} }
	if got := widened(at(2, 3), 1.25); *got.Lo != 1.6 || *got.Hi != 3.75 || got.Value != 2.5 {
		t.Errorf("2 to 3 a quarter wider: %v to %v around %v", *got.Lo, *got.Hi, got.Value)
	}
	if got := widenedShare(at(0.9, 0.98), 1.25); math.Abs(*got.Lo-0.875) > 1e-9 || math.Abs(*got.Hi-0.984) > 1e-9 {
		t.Errorf("a share of 0.9 to 0.98: %v to %v, want misses of 12.5 to 1.6 %%", *got.Lo, *got.Hi)
	}
	if i := at(2, 3); widened(i, 1) != i || widened(nil, 2) != nil || widenedShare(nil, 2) != nil {
		t.Error("nothing beyond, or no interval: want it as it was")
	}
}

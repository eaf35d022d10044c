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
		{"no record of the misses", carriedShare(ends(0.90, 0.95, 0.98), 0), 0.90, 0.98},
		{"hours of a size that never changed, half a percent either way", atLeast(ends(10, 10, 10)), 9.95, 10.05},
		{"hours that differ by more", atLeast(ends(8, 10, 11)), 8, 11},
		{"a time in steps of two seconds, one either way", stepped(ends(20, 21, 22), 2), 18, 24},
		{"one that is shorter than a step", stepped(ends(1, 1, 1), 2), 0, 3},
		{"no time at all stays none", stepped(ends(0, 0, 4), 2), 0, 4},
		{"never below 0", carriedShare(ends(0.30, 0.5, 0.9), 4), 0, 0.9},
	} {
		if math.Abs(*c.got.Lo-c.lo) > 1e-9 || math.Abs(*c.got.Hi-c.hi) > 1e-9 {
			t.Errorf("%s: %v – %v, want %v – %v", c.name, *c.got.Lo, *c.got.Hi, c.lo, c.hi)
		}
	}
	if carried(nil, 2) != nil || carriedShare(nil, 2) != nil || carried(&Interval{Value: 1}, 2).Lo != nil ||
		atLeast(nil) != nil || atLeast(&Interval{Value: 1}).Lo != nil ||
		stepped(nil, 1) != nil || stepped(&Interval{Value: 1}, 1).Lo != nil {
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

func TestOffOfDays(t *testing.T) {
	x := 30.0
	none := 0.0
	of := func(figures ...float64) *trial {
		t := &trial{}
		for _, f := range figures {
			t.days = append(t.days, outcome{capacity: f})
		}
		return t
	}
	for _, c := range []struct {
		sentence string
		record   *float64
		days     *trial
		want     float64
	}{
		{"five days are enough to say", &x, of(10, 10, 10, 10, 10), 3},
		{"four are not", &x, of(10, 10, 10, 10), 1},
		{"a day that never ended is left out", &x, of(10, 10, 10, 10, 15, math.Inf(1), math.Inf(1), math.Inf(1)), 3},
		{"and so is one without the figure", &x, of(10, 10, 10, 10, 10, math.NaN()), 3},
		{"nothing was recorded where the model has something: no ratio", &none, of(10, 10, 10, 10, 10), 1},
		{"something where the model has nothing", &x, of(0, 0, 0, 0, 0), 1},
	} {
		if got := offOf(&Measured{TimeToCapacity: c.record}, c.days).Capacity; got != c.want {
			t.Errorf("%s: off by %v, want %v", c.sentence, got, c.want)
		}
	}
}

// If little was observed, or all observations were alike, the minimum doubt remains, and it is
// a number.
func TestTheLeastDoubt(t *testing.T) {
	for _, c := range []struct {
		sentence string
		times    []plant.ServiceTime
	}{
		{"no request was served", nil},
		{"one was", []plant.ServiceTime{{Total: 0.7}}},
		{"three took as long, and their variance comes out a little below 0", []plant.ServiceTime{{Total: 0.003}, {Total: 0.003}, {Total: 0.003}}},
		{"they took no time", []plant.ServiceTime{{}, {}}},
		{"a hundredth of a second each, in all less than one", []plant.ServiceTime{{Total: 0.01}, {Total: 0.01}}},
	} {
		f := &Fitted{World: &replay.World{Service: plant.Law{Times: c.times}, Pipes: []plant.Pipe{{Name: "cpu"}, {Name: "queue"}}},
			Quality: []fit.Quality{{Part: "cpu", Value: 0.2, N: 0}, {Part: "queue", Value: 0.001, N: 25}}}
		if d := doubtOf(f); d.Service != 0.015 || d.Rate != 0 || d.Pipes[0] != 0.01 || d.Pipes[1] != 0.01 {
			t.Errorf("%s: %+v, want 0.015 of the service, 0.01 of each metric and none of the rate", c.sentence, d)
		}
	}
	f := &Fitted{World: &replay.World{Demand: replay.Demand{Bins: []float64{0.5, 0.5}, CV2: 4}, Pipes: []plant.Pipe{{Name: "cpu"}},
		Service: plant.Law{Times: []plant.ServiceTime{{Total: 0.1}, {Total: 0.3}}}},
		Quality: []fit.Quality{{Part: "cpu", Value: 0.2, N: 1}}}
	if d := doubtOf(f); d.Rate != 2 || d.Pipes[0] != 0.2 || math.Abs(d.Service-math.Sqrt(0.25/2)) > 1e-12 {
		t.Errorf("one request, one sample: %+v, want a rate off by 2, a metric by 0.2 and a service by √(¼/2)", d)
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

// A figure that depends on a target beyond the samples has an interval that is wider in
// proportion.
func TestAnIntervalBeyondTheSamplesIsWider(t *testing.T) {
	at := func(lo, hi float64) *Interval { return &Interval{(lo + hi) / 2, &lo, &hi} }
	if got := widened(at(2, 3), 1.25); *got.Lo != 1.6 || *got.Hi != 3.75 || got.Value != 2.5 {
		t.Errorf("2 to 3 a quarter wider: %v to %v around %v", *got.Lo, *got.Hi, got.Value)
	}
	if got := widenedShare(at(0.9, 0.98), 1.25); math.Abs(*got.Lo-0.875) > 1e-9 || math.Abs(*got.Hi-0.984) > 1e-9 {
		t.Errorf("a share of 0.9 to 0.98: %v to %v, want misses of 12.5 to 1.6 %%", *got.Lo, *got.Hi)
	}
	if got := widenedShare(at(0.3, 0.9), 4); *got.Lo != 0 || math.Abs(*got.Hi-0.975) > 1e-9 {
		t.Errorf("a share of 0.3 to 0.9, four times as wide: %v to %v, want 0 to 0.975", *got.Lo, *got.Hi)
	}
	if i := at(2, 3); widened(i, 1) != i || widenedShare(i, 1) != i || widened(nil, 2) != nil || widenedShare(nil, 2) != nil {
		t.Error("nothing beyond, or no interval: want it as it was")
	}
}

// Under a CPU limit the cost of requests and their waits for a processor drift: from run to
// run as much again as within one.
func TestDoubtUnderACPULimit(t *testing.T) {
	f := &Fitted{World: &replay.World{Service: plant.Law{Times: []plant.ServiceTime{{Total: 1}, {Total: 3}},
		Quota: plant.Quota{Cores: 0.5, Spread: 0.04, Waits: 0.1}}}}
	d := doubtOf(f)
	if want := math.Sqrt(0.015*0.015 + 2*0.04*0.04); math.Abs(d.Service-want) > 1e-12 || math.Abs(d.Waits-0.1*math.Sqrt2) > 1e-12 {
		t.Errorf("service %v, waits %v, want %v and %v", d.Service, d.Waits, want, 0.1*math.Sqrt2)
	}
}

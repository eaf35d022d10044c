package tuner

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

func TestTally(t *testing.T) {
	a := tally{step: 10 * time.Second, warmup: func(i int) bool { return i == 0 }, need: []float64{1, 3, 3, 2, 3}, by: 2}
	for _, k := range []results.Tick{
		{Spec: 2, Pods: 2, Ready: 2, Arrivals: 100, Done: 90, Good: 50, Failed: 5, Shed: 5, Tokens: 9}, // warm-up: replicas only
		{Spec: 3, Pods: 3, Ready: 2, Arrivals: 10, Done: 9, Good: 8, Failed: 1, Tokens: 90},
		{Spec: 3, Pods: 3, Ready: 2, Arrivals: 10, Done: 8, Good: 7, Shed: 2, Tokens: 80},
		{Spec: 4, Pods: 4, Ready: 3, Arrivals: 10, Done: 10, Good: 10, Tokens: 100},
		{Spec: 3, Pods: 4, Ready: 2, Arrivals: 10, Done: 10, Good: 5, Tokens: 100},
		{Spec: 3, Pods: 3, Ready: 3},
	} {
		a.tick(&k)
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"arrivals without warm-up", a.arrivals, 40}, {"attainment", a.attainment(), 30.0 / 40}, {"failed or shed", a.errorRatio(), 3.0 / 40},
		{"done", a.done, 37}, {"tokens", a.tokens, 370},
		{"replica-hours of all ticks", a.hours(), 190.0 / 3600}, {"ready hours", a.readyHours(), 140.0 / 3600},
		{"most replicas", a.podMax, 4}, {"most ready", a.readyMax, 3},
		{"two ticks in a row were short, then one", a.timeToCapacity(), 20},
		{"up and down again within the window", float64(a.flaps), 1},
		{"span", a.spanHours(), 60.0 / 3600}, {"windows", float64(len(a.goodBy)), 3},
		{"the second window's good", a.goodBy[1], 17}, {"its arrivals", a.arrivalsBy[1], 20}, {"the first window's arrivals", a.arrivalsBy[0], 10},
	} {
		if math.Abs(c.got-c.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", c.name, c.got, c.want)
		}
	}
	if got := (&tally{step: time.Second}).timeToCapacity(); !math.IsNaN(got) {
		t.Errorf("time to capacity without a need = %v, want NaN", got)
	}
	if got := (&tally{}).attainment(); !math.IsNaN(got) {
		t.Errorf("attainment without arrivals = %v, want NaN", got)
	}
}

func TestFlaps(t *testing.T) {
	for _, c := range []struct {
		name string
		at   []int // ticks of a minute at which the size goes up, negative: down
		want int
	}{
		{"up and up is none", []int{1, 2}, 0}, {"up and down at once", []int{1, -2}, 1}, {"down and up", []int{1, 20, -30, 31}, 1},
		{"the window has passed", []int{1, -1 - int(results.FlapWindow/time.Minute)}, 0},
		{"a tick before it has", []int{1, -int(results.FlapWindow / time.Minute)}, 1},
		{"up, down, up", []int{1, -2, 3}, 2}, {"down, then up", []int{-1, 2}, 1}, {"down and down", []int{-1, -2}, 0},
	} {
		a, size := tally{step: time.Minute}, 5.0
		for i := range 60 {
			for _, at := range c.at {
				switch i {
				case at:
					size++
				case -at:
					size--
				}
			}
			a.tick(&results.Tick{Spec: size})
		}
		if a.flaps != c.want {
			t.Errorf("%s: %d flaps, want %d", c.name, a.flaps, c.want)
		}
	}
}

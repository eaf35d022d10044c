package tuner

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/results"
)

func TestTally(t *testing.T) {
	a := tally{step: 10 * time.Second, warmup: func(i int) bool { return i == 0 }, by: 2}
	for _, k := range []results.Tick{
		{Spec: 2, Pods: 2, Ready: 2, Desired: 1, Nodes: 1, Arrivals: 100, Done: 90, Good: 50, Failed: 5, Shed: 5, Tokens: 9}, // warm-up: replicas only
		{Spec: 3, Pods: 3, Ready: 2, Desired: 3, Arrivals: 10, Done: 9, Good: 8, Failed: 1, Tokens: 90},
		{Spec: 3, Pods: 3, Ready: 2, Desired: 3, Arrivals: 10, Done: 8, Good: 7, Shed: 2, Tokens: 80},
		{Spec: 4, Pods: 4, Ready: 3, Desired: 3, Arrivals: 10, Done: 10, Good: 10, Tokens: 100},
		{Spec: 3, Pods: 4, Ready: 2, Desired: 3, Arrivals: 10, Done: 10, Good: 5, Tokens: 100},
		{Spec: 3, Pods: 3, Ready: 3, Desired: math.NaN(), Nodes: 2},
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
		{"node-seconds", a.nodeSeconds, 30},
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
	// Windows of one tick.
	each := tally{step: time.Second, by: 1}
	each.tick(&results.Tick{Arrivals: 3, Good: 2})
	each.tick(&results.Tick{Arrivals: 5, Good: 4})
	if got := fmt.Sprint(each.goodBy, each.arrivalsBy); got != "[2 4] [3 5]" {
		t.Errorf("good and arrivals, tick by tick: %s, want [2 4] [3 5]", got)
	}
	blind := tally{step: time.Second}
	blind.tick(&results.Tick{Ready: math.NaN(), Desired: 3})
	blind.tick(&results.Tick{Ready: 3, Desired: math.NaN()})
	if got := blind.timeToCapacity(); !math.IsNaN(got) {
		t.Errorf("time to capacity of what was not seen = %v, want NaN", got)
	}
	if got := (&tally{}).attainment(); !math.IsNaN(got) {
		t.Errorf("attainment without arrivals = %v, want NaN", got)
	}
}

func TestFlaps(t *testing.T) {
	for _, c := range []struct {
		name string
		at   []int // ticks of a minute at which the size goes up; negative: down
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

// In seconds: the window ends its own length after the first change.
func TestAFlapIsWithinTheWindow(t *testing.T) {
	for after, want := range map[time.Duration]int{results.FlapWindow - time.Second: 1, results.FlapWindow: 0} {
		a := tally{step: time.Second}
		a.tick(&results.Tick{Spec: 2})
		for range after / time.Second {
			a.tick(&results.Tick{Spec: 3})
		}
		a.tick(&results.Tick{Spec: 2})
		if a.flaps != want {
			t.Errorf("down again %v after it went up: %d flaps, want %d", after, a.flaps, want)
		}
	}
}

func TestTallyOfZero(t *testing.T) {
	type tick = results.Tick
	up, gone := tick{Spec: 2, Ready: 2, Arrivals: 3, Failed: 1}, tick{}
	came := tick{Arrivals: 1}           // at zero, and a request comes
	woken := tick{Spec: 1, Arrivals: 1} // the first pod is starting
	refused := tick{Arrivals: 4, Failed: 3}
	for _, c := range []struct {
		sentence      string
		ticks         []tick
		asleep, wakes int
		lost, wait    float64 // seconds of the first request; NaN: no request came
	}{
		{"never at zero", []tick{up, up, up}, 0, 0, 0, math.NaN()},
		{"to zero, and nobody comes", []tick{up, gone, gone}, 2, 0, 0, math.NaN()},
		{"it begins at zero and is woken", []tick{gone, up}, 1, 1, 0, math.NaN()},
		{"it begins with pods, which is no waking", []tick{woken, up}, 0, 0, 0, 10},
		{"the first request waits from its own tick on", []tick{up, gone, came, woken, up}, 2, 1, 0, 20},
		{"others that come meanwhile wait for as long, and are not counted", []tick{gone, came, came, came, up}, 4, 1, 0, 30},
		{"two stretches, of 10 and 30 s", []tick{up, came, up, came, gone, gone, up}, 4, 2, 0, 20},
		{"who comes when pods are there starts no stretch", []tick{up, up, gone, came, up}, 2, 1, 0, 10},
		{"a stretch that the end cuts off counts as far as it was seen", []tick{up, gone, came, gone}, 3, 0, 0, 20},
		{"awake without a ready pod", []tick{up, woken, gone, up}, 1, 1, 0, 20},
		{"what fails while no pod is ready is lost, the rest is not", []tick{up, refused, refused, up}, 2, 1, 6, 20},
		{"one replica is not zero", []tick{{Spec: 1, Ready: 1, Arrivals: 1, Failed: 1}, {Spec: 2, Ready: 1, Arrivals: 1}}, 0, 0, 0, math.NaN()},
		{"half an arrival is one, as fluids have them", []tick{up, {Arrivals: 0.5}, up}, 1, 1, 0, 10},
		{"half a pod is ready", []tick{up, {Spec: 1, Ready: 0.5, Arrivals: 1, Failed: 1}, up}, 0, 0, 0, math.NaN()},
	} {
		a := tally{step: 10 * time.Second}
		for i := range c.ticks {
			a.tick(&c.ticks[i])
		}
		wait := a.meanFirstWait()
		if a.asleep != c.asleep || a.wakes != c.wakes || a.lost != c.lost || wait != c.wait && !(math.IsNaN(wait) && math.IsNaN(c.wait)) {
			t.Errorf("%s: asleep %d ticks, woken %d times, lost %v, first wait %v s; want %d, %d, %v, %v",
				c.sentence, a.asleep, a.wakes, a.lost, wait, c.asleep, c.wakes, c.lost, c.wait)
		}
	}
}

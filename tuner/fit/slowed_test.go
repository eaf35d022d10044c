package fit

import (
	"math"
	"testing"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// Services that slow down as slots fill hide how many slots there are: a queue before fewer
// slots would make requests wait about as long.
func TestSlowedSlots(t *testing.T) {
	for _, row := range []struct {
		name   string
		slots  int
		drag   float64 // of each other request inside
		within float64 // of the slots, relative
	}{
		{"12 slots, at which each takes 2.3 times as long", 12, 0.12, 0.15},
		{"24 slots, at which each takes 3.8 times as long", 24, 0.12, 0.15},
	} {
		stretch := func(k int) float64 { return 1 + row.drag*float64(k-1) }
		most := float64(row.slots) / stretch(row.slots) / 0.62 // requests a second
		serve := fittest.Serve{Slots: row.slots, Slow: stretch, Seconds: 400, Streams: true, Seed: 5,
			Rate: func(t float64) float64 {
				if t > 100 && t < 150 {
					return 1.2 * most
				}
				return 0.7 * most
			}}
		l := readLog(serve.Run())
		before := slotsOf(l, true)
		s := service{log: l, start: before.start}
		got := slowedSlots(&s, before)
		t.Logf("%s: %d (%d to %d) without the slowdown, %d (%d to %d) with it", row.name, before.n, before.lo, before.hi, got.n,
			got.lo, got.hi)
		if math.Abs(float64(got.n)/float64(row.slots)-1) > row.within || got.lo > row.slots {
			t.Errorf("%s: %d slots (%d to %d)", row.name, got.n, got.lo, got.hi)
		}
	}
}

// A part of a log has the calls around the fullest moment, by server.
func TestAround(t *testing.T) {
	l := &log{servers: []server{{}, {}}}
	for i := range 10 {
		l.calls = append(l.calls, call{sent: float64(i), done: float64(i) + 1, inside: i % 7})
		k := &l.servers[i%2]
		k.calls, k.latest = append(k.calls, i), append(k.latest, float64(i)+1)
	}
	got := l.around(4) // the sixth call met six
	if len(got.calls) != 4 || got.calls[0].sent != 4 || len(got.servers[0].calls) != 2 || got.servers[0].calls[1] != 2 ||
		got.servers[1].latest[0] != 6 {
		t.Errorf("around(4) = %+v, want the calls of 4 to 7 s", got)
	}
	if l.around(10) != l {
		t.Error("a short log is not cut")
	}
}

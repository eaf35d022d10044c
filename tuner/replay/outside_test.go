package replay

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/plant"
)

// What is held counts in a metric in front of the pods: as it is when the metric is read, or in
// the mean over the metric's window.
func TestWhatIsHeldCountsInFront(t *testing.T) {
	o := outside{on: true, step: 1}
	for i := range 30 { // none for 10 s, one more each second for 10 s, none again
		held := 0.0
		if i >= 10 && i < 20 {
			held = float64(i - 9)
		}
		o.held, o.arrivals = append(o.held, held), append(o.arrivals, 0)
	}
	for _, row := range []struct {
		name   string
		window time.Duration
		at     float64
		want   float64
	}{
		{"read at once", 0, 20, 10},
		{"read at once, after all was passed on", 0, 25, 0},
		{"the mean of ten seconds of it", 10 * time.Second, 20, 5.5},
		{"a window that began before", 20 * time.Second, 20, 55.0 / 20},
		{"half of the window after it", 10 * time.Second, 25, 4},
		{"a window longer than the run so far", time.Minute, 20, 55.0 / 60},
	} {
		p := &plant.Pipe{PerRunning: 1, PerWaiting: 1, Every: time.Second, Window: row.window}
		if got := o.of(p, row.at); math.Abs(got-row.want) > 1e-9 {
			t.Errorf("%s: %v, want %v", row.name, got, row.want)
		}
	}
}

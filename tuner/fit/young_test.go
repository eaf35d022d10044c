package fit

import (
	"math"
	"testing"
	"time"

	"github.com/hpatune/hpatune/tuner/fit/fittest"
)

// TestYoungPodsAreSlower: a pod comes every 100 s. In one cluster, requests take twice as long
// in a pod's first half minute.
func TestYoungPodsAreSlower(t *testing.T) {
	for _, slower := range []bool{false, true} {
		s := fittest.Serve{Seconds: 500, Slots: 8, Streams: true, Seed: 2, Pods: func(at float64) int { return 1 + int(at/100) }, Rate: func(at float64) float64 { return 5 * (1 + math.Floor(at/100)) }}
		if slower {
			s.Young = func(age float64) float64 {
				if age < 30 {
					return 2
				}
				return 1
			}
		}
		served, _, err := serviceOf(readLog(s.Run()), 1)
		if err != nil {
			t.Fatal(err)
		}
		young := served.law.Young
		if !slower && young != nil {
			t.Errorf("pods that are as quick as ever: %+v", young)
		}
		if slower && (len(young) != 2 || young[1].Until != 30*time.Second || math.Abs(young[0].Stretch-2) > 0.2 || math.Abs(young[1].Stretch-2) > 0.2) {
			t.Errorf("pods that take twice as long for half a minute: %+v", young)
		}
	}
}

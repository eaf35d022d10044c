package recorded

import (
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/hpatune/hpatune/internal/failure"
	"github.com/hpatune/hpatune/results"
)

// ControllerFlags parses --controller (syncPeriod=5s,tolerance=0.05) into a run's
// controller settings; settings that are not named stay.
func ControllerFlags(text string, h *results.HPAContext) error {
	if text == "" {
		return nil
	}
	durations := map[string]*float64{
		"syncPeriod": &h.SyncPeriodS, "downscaleStabilization": &h.DownscaleStabilizationS,
		"cpuInitializationPeriod": &h.CPUInitializationPeriodS, "initialReadinessDelay": &h.InitialReadinessDelayS,
	}
	for pair := range strings.SplitSeq(text, ",") {
		name, value, _ := strings.Cut(pair, "=")
		if to, ok := durations[name]; ok {
			d, err := time.ParseDuration(value)
			if err != nil || d < 0 {
				return failure.Inputf("--controller %s: %q is not a duration; try %s=15s", name, value, name)
			}
			*to = d.Seconds()
			continue
		}
		v, err := strconv.ParseFloat(value, 64)
		if name != "tolerance" || err != nil || !(v >= 0) || math.IsInf(v, 1) {
			return failure.Inputf(
				"--controller %q: want syncPeriod, downscaleStabilization, cpuInitializationPeriod, initialReadinessDelay "+
					"(durations) or tolerance (a ratio)",
				pair,
			)
		}
		h.Tolerance = v
	}
	h.Assumed = false
	return nil
}

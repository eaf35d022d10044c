package advice

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hpatune/hpatune/tuner"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/scenario"
)

// test writes unit tests for the recommended HPA in file: its response to a low load, to
// twice the target, and to a low load again. The expectations are what the core decides
// today, so that an edit of hpa.yaml that changes a decision fails. A tick is the
// controller's sync period.
func test(file string, c *hpa.Config, p hpa.Params) (string, error) {
	ticks := func(d time.Duration) int { return int((d + p.SyncPeriod - 1) / p.SyncPeriod) }
	quietTicks, fullTicks, afterTicks := ticks(time.Minute), ticks(3*time.Minute), ticks(7*time.Minute)
	var loads []scenario.Load
	for i := range c.Metrics {
		m := &c.Metrics[i]
		quiet, full := "", ""
		switch t := m.Target; {
		case t.Utilization > 0 && i == tuner.Primary(c):
			quiet, full = strconv.Itoa(int(max(t.Utilization/3, 1))), strconv.Itoa(int(t.Utilization)*2)
		case t.Utilization > 0: // memory and the like do not follow the load here
			quiet = strconv.Itoa(int(max(t.Utilization/2, 1)))
			full = quiet
		default:
			at := max(t.AverageMilli, t.ValueMilli)
			quiet, full = fmt.Sprintf("%dm", max(at/3, 1)), fmt.Sprintf("%dm", at*2)
		}
		words := slices.Concat(slices.Repeat([]string{quiet}, quietTicks), slices.Repeat([]string{full}, fullTicks),
			slices.Repeat([]string{quiet}, afterTicks))
		loads = append(loads, scenario.Load{Metric: m, Words: words})
	}
	return scenario.Write(
		"Written by hpatune for "+file+"; run it with: hpatune test hpa.hpa\nLow load, then twice the target, then low "+
			"load again.",
		file,
		c,
		p,
		c.MinReplicas,
		p.SyncPeriod,
		loads,
	)
}

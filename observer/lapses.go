package observer

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
)

// lapses notices when metrics that had values no longer have them, although their source
// answers. It warns about a metric once, and each such period is a gap.
type lapses struct {
	source results.GapSource // of the gaps, before the metric's name
	emit   results.Emit
	last   time.Duration // of the look before
	open   map[string]lapse
	warned map[string]bool
}

// lapse is a period in which a metric had no value.
type lapse struct {
	from time.Duration
	why  string
}

func newLapses(source results.GapSource, emit results.Emit) *lapses {
	return &lapses{source: source, emit: emit, open: map[string]lapse{}, warned: map[string]bool{}}
}

// look takes the metrics that have no value at a time although they had one, and the
// reasons, by name. Metrics that were in the last call and are not in this one have values
// again.
func (l *lapses) look(at time.Duration, lost map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(lost)) {
		if _, ok := l.open[name]; ok {
			continue
		}
		l.open[name] = lapse{l.last, lost[name]}
		if !l.warned[name] {
			l.warned[name] = true
			l.emit(results.Warning{
				At: at, ID: results.WarnObserverLapse,
				Text: fmt.Sprintf("%s: %s %s; it is recorded as a gap until it is back", l.source, name, lost[name]),
			})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.open)) {
		if _, still := lost[name]; !still {
			l.end(name, at)
		}
	}
	l.last = at
}

// end closes a stretch.
func (l *lapses) end(name string, at time.Duration) {
	o := l.open[name]
	delete(l.open, name)
	l.emit(results.Gap{Source: l.source.Of(name), From: o.from, To: at, Why: o.why})
}

// close ends all lapses at the end of the run.
func (l *lapses) close(at time.Duration) {
	for _, name := range slices.Sorted(maps.Keys(l.open)) {
		l.end(name, at)
	}
}

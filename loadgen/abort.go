package loadgen

import (
	"fmt"
	"sync"
	"time"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/profiles"
	"github.com/hpatune/hpatune/results"
)

// An abortRule says when to stop loading a failing target.
type abortRule struct {
	ErrorRate float64       // share of answers that failed, 0..1; 0 or 1 = never
	For       time.Duration // for how long, in run time
	Gone      time.Duration // nothing but failed connections for this long; 0 = never
}

// goneAfter is how long a target may refuse every connection before it counts as gone:
// longer than it takes to replace a pod in an endpoint list.
const goneAfter = 5 * time.Second

// rule is the rule of a profile. A rule that never ends a run because of errors does not
// end it because of a missing target either, since it tests just that.
func rule(a profiles.Abort) abortRule {
	if a.ErrorRate <= 0 || a.ErrorRate >= 1 || a.For <= 0 {
		return abortRule{}
	}
	return abortRule{float64(a.ErrorRate), a.For, min(goneAfter, a.For)}
}

// A watch applies the abort rule. It counts finished requests in slices of run time; a
// slice is judged at its end. 429 does not count as an error here: a server that sheds load
// protects itself.
type watch struct {
	rule  abortRule
	slice time.Duration
	stop  func(why string) // called at most once

	mu      sync.Mutex
	at      time.Duration // start of the present slice
	n       slice         // its answers
	bad     stretch       // error rate above the limit
	gone    stretch       // nothing but failed connections
	stopped bool
}

type slice struct{ ok, failed, connect int }

// A stretch is how long a condition has held without interruption.
type stretch struct {
	on   bool
	from time.Duration
	n    int // answers in it
}

func (s *stretch) see(holds bool, from time.Duration, n int) {
	switch {
	case !holds:
		*s = stretch{}
	case !s.on:
		*s = stretch{true, from, n}
	default:
		s.n += n
	}
}

func (s *stretch) over(now, limit time.Duration) bool {
	return s.on && now-s.from >= limit && s.n >= minAnswers
}

// minAnswers is how many answers a stretch needs before it counts: two failures at night
// are no reason to stop.
const minAnswers = 5

func newWatch(rule abortRule, stop func(why string)) *watch {
	s := time.Second
	for _, d := range []time.Duration{rule.For, rule.Gone} {
		if d > 0 {
			s = min(s, d/20)
		}
	}
	return &watch{rule: rule, slice: max(s, time.Millisecond), stop: stop}
}

// saw records the end of a request at a time of the run.
func (w *watch) saw(at time.Duration, o results.Outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.advance(at)
	switch o {
	case results.OK, results.HTTP429:
		w.n.ok++
	case results.Shed, results.Canceled:
	case results.Connect:
		w.n.connect++
		w.n.failed++
	default:
		w.n.failed++
	}
}

// tick judges the time up to at, in which there may have been no answers.
func (w *watch) tick(at time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.advance(at)
}

// advance closes the slices that are over. A slice without answers is ignored.
func (w *watch) advance(at time.Duration) {
	for at >= w.at+w.slice {
		if n := w.n; n.ok+n.failed > 0 {
			all := n.ok + n.failed
			w.bad.see(float64(n.failed) > w.rule.ErrorRate*float64(all), w.at, all)
			w.gone.see(n.connect == all, w.at, all)
			w.n = slice{}
		}
		w.at += w.slice
		if w.n == (slice{}) && !w.bad.on && !w.gone.on {
			w.at = max(w.at, at/w.slice*w.slice) // nothing to judge on the way
		}
		switch {
		case w.stopped:
		case w.rule.Gone > 0 && w.gone.over(w.at, w.rule.Gone):
			w.end(fmt.Sprintf("target gone: all connections failed for %v", w.rule.Gone))
		case w.rule.ErrorRate > 0 && w.bad.over(w.at, w.rule.For):
			w.end(fmt.Sprintf("error rate above %s for %v", figure.Percent(w.rule.ErrorRate), w.rule.For))
		}
	}
}

func (w *watch) end(why string) {
	w.stopped = true
	w.stop(why)
}

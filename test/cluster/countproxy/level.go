package countproxy

import (
	"math"
	"sync"
	"time"
)

// level is a number that changes at instants, and its mean over the last Window.
type level struct {
	mu    sync.Mutex
	now   int64
	steps []step // the oldest first; those that the window no longer needs are dropped
}

// step is the value from an instant on.
type step struct {
	at    time.Time
	value int64
}

// add changes the value.
func (l *level) add(by int64, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now += by
	l.steps = append(l.steps, step{at, l.now})
	l.trim(at)
}

// trim drops the steps before the one at which the window begins.
func (l *level) trim(at time.Time) {
	first := 0
	for first+1 < len(l.steps) && !l.steps[first+1].at.After(at.Add(-Window)) {
		first++
	}
	l.steps = l.steps[first:]
}

// read returns the value, and its mean over the last Window, to a thousandth. Before the first
// step the value was 0.
func (l *level) read(at time.Time) (now int64, mean float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trim(at)
	from := at.Add(-Window)
	for i, s := range l.steps {
		begin, end := s.at, at
		if i+1 < len(l.steps) {
			end = l.steps[i+1].at
		}
		if begin.Before(from) {
			begin = from
		}
		mean += float64(s.value) * max(0, end.Sub(begin).Seconds()) / Window.Seconds()
	}
	return l.now, math.Round(mean*1000) / 1000
}

// Package live shows a run while it happens. On a terminal it draws a dashboard;
// otherwise it prints one line every few seconds.
package live

import (
	"io"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
)

// lineEvery is the wall time between two plain lines.
const lineEvery = 5 * time.Second

// Options is what the view knows before the first record.
type Options struct {
	Clock      results.Clock
	Name       string              // of the profile
	Duration   time.Duration       // of the profile, run time
	Stages     []results.StageInfo // as scheduled
	Objectives []string            // as written; the first latency limit is drawn
	// Rate is the planned rate at a run time, in requests per second of run
	// time; nil: each stage's mean.
	Rate func(at time.Duration) float64
	TTY  bool // w is a terminal: draw a dashboard
}

// Live draws a run. Emit is safe for concurrent use and only counts, so it never waits for
// the terminal.
type Live struct {
	o    Options
	w    io.Writer
	mu   sync.Mutex
	view view
	stop chan struct{}
	done chan struct{}
}

// New starts drawing on w. Close it to draw the last line.
func New(w io.Writer, o Options) *Live {
	l := &Live{o: o, w: w, view: newView(o), stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		if o.TTY {
			l.dashboard()
		} else {
			l.lines()
		}
	}()
	return l
}

// Emit adds a record to the figures. It implements results.Emit.
func (l *Live) Emit(r results.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.view.add(r)
}

// Close draws the last state and waits until it is written. A second call does nothing.
func (l *Live) Close() {
	l.mu.Lock()
	select {
	case <-l.stop:
	default:
		close(l.stop)
	}
	l.mu.Unlock()
	<-l.done
}

// lines prints a plain line every few seconds, and one at the end.
func (l *Live) lines() {
	tick := time.NewTicker(lineEvery)
	defer tick.Stop()
	for {
		select {
		case <-l.stop:
			l.line()
			return
		case <-tick.C:
			l.line()
		}
	}
}

func (l *Live) line() {
	l.mu.Lock()
	text := l.view.line(l.o.Clock.At(time.Now()))
	l.mu.Unlock()
	_, _ = io.WriteString(l.w, text+"\n") // a closed pipe must not end the run
}

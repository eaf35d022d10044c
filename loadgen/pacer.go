package loadgen

import (
	"context"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/hpatune/hpatune/results"
)

// A pacer makes vegeta follow the schedule: it is a vegeta.Pacer whose k-th tick is the
// k-th arrival, at an absolute time, whatever happened before.
//
// It waits itself, in Pace, instead of telling vegeta how long to sleep. So the wait is
// precise and ends at once when ctx is done. vegeta calls it exactly once per tick, always
// from the same goroutine.
//
// Above batchFrom arrivals per second, arrivals that are due within the next early window
// are sent together with the one that is due now: one wake-up for several.
type pacer struct {
	ctx   context.Context // done: stop at once
	clock results.Clock
	feed  <-chan []item // in order; closed at the end of the schedule
	ring  *ring

	chunk  []item
	until  func(context.Context, time.Time) bool // waits for an instant; false = ctx was done first
	lead   lead
	gap    time.Duration // smoothed wall time between arrivals
	before time.Time     // wall instant of the arrival before
	bucket bucket
	over   func(item) // takes what is above the bucket's rate; nil = no maximum
}

// Batching: below batchFrom each arrival has its own wake-up. Above it, arrivals within
// earlySome are joined; above batchMore within earlyMore, so that there are at most 4,000
// wake-ups per second.
const (
	batchFrom = time.Millisecond       // mean gap at 1,000/s
	batchMore = 200 * time.Microsecond // mean gap at 5,000/s
	earlySome = 40 * time.Microsecond
	earlyMore = 250 * time.Microsecond
)

// Pace waits until the next arrival is due and hands it to the ring under
// vegeta's number for it. It stops at the end of the schedule and when ctx is
// done.
func (p *pacer) Pace(_ time.Duration, hits uint64) (time.Duration, bool) {
	// The worker that took the last tick waits for the CPU on which we run: let it run
	// first. Without this another thread must be woken for it, which costs more than the
	// sleep's own error.
	runtime.Gosched()
	for {
		a, ok := p.take()
		if !ok {
			return 0, true
		}
		due := p.clock.Instant(a.At)
		if !p.until(p.ctx, due.Add(-p.early(due)-p.lead.get())) {
			return 0, true
		}
		if p.over != nil && !p.bucket.take(a.At) {
			p.over(a)
			continue
		}
		return 0, !p.ring.put(p.ctx, hits, a)
	}
}

// take returns the next arrival; ok is false at the end of the schedule and
// when ctx is done.
func (p *pacer) take() (a item, ok bool) {
	if len(p.chunk) == 0 {
		select {
		case p.chunk, ok = <-p.feed:
		case <-p.ctx.Done():
		}
		if !ok || len(p.chunk) == 0 {
			return a, false
		}
	}
	a = p.chunk[0]
	p.chunk = p.chunk[1:]
	return a, true
}

// A bucket limits the rate of arrivals: it fills with rate tokens per second, up to one
// second's worth, and each arrival takes one.
type bucket struct {
	rate  float64 // per second of run time
	level float64
	at    time.Duration
	begun bool
}

func (b *bucket) take(at time.Duration) bool {
	size := max(1, b.rate)
	if !b.begun {
		b.begun, b.level, b.at = true, size, at
	}
	b.level = min(size, b.level+b.rate*(at-b.at).Seconds())
	b.at = at
	if b.level < 1 {
		return false
	}
	b.level--
	return true
}

// Rate is asked for by vegeta's interface and by nobody else.
func (p *pacer) Rate(time.Duration) float64 { return 0 }

// A lead is how long before its time an arrival is released, because the way from the sleep
// to the send takes time, too: waking a thread, handing over, writing the body. It is
// learnt from the sends themselves, in steps towards the median: half of them are then a
// few µs early, half a few µs late.
type lead struct{ ns atomic.Int64 }

const (
	leadStep = 2 * time.Microsecond
	maxLead  = 150 * time.Microsecond // more than that is a machine that is late, not a way that is long
)

func (l *lead) get() time.Duration { return time.Duration(l.ns.Load()) }

// saw takes how late a send was, in wall time. Concurrent updates may lose a step.
func (l *lead) saw(late time.Duration) {
	step := leadStep
	if late < 0 {
		step = -step
	}
	l.ns.Store(int64(min(maxLead, max(0, l.get()+step))))
}

// early returns how much before its time the arrival due at the instant due
// may go.
func (p *pacer) early(due time.Time) time.Duration {
	if !p.before.IsZero() {
		// Smoothed over some 16 arrivals: a burst is a batch after a few.
		p.gap += (due.Sub(p.before) - p.gap) / 16
	} else {
		p.gap = time.Second
	}
	p.before = due
	switch {
	case p.gap >= batchFrom:
		return 0
	case p.gap >= batchMore:
		return earlySome
	}
	return earlyMore
}

// closedLoop is the pacer of a closed loop: it waits only for the rate limit. The number of
// requests in flight is vegeta's number of workers, so the next one is sent when one comes
// back.
type closedLoop struct {
	*pacer
	end   time.Time     // nothing is started after it; zero = no end
	every time.Duration // wall time between two requests at least, on average; 0 = no limit
}

// Pace hands out the next arrival as soon as the rate limit lets it.
func (c closedLoop) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) {
	p := c.pacer
	if hits%64 == 0 && p.ctx.Err() != nil || !c.end.IsZero() && time.Now().After(c.end) {
		return 0, true
	}
	a, ok := p.take()
	return max(0, time.Duration(hits)*c.every-elapsed), !ok || !p.ring.put(p.ctx, hits, a)
}

// A ring passes arrivals from the pacer to the requests: vegeta tells the request only its
// number, which the pacer also got.
//
// An arrival waits in the ring until a worker starts. If ringSize of them wait, the machine
// is hopelessly behind and the pacer waits, too (the lateness is then in the records).
type ring struct {
	slots [ringSize]slot
}

const ringSize = 1 << 13

type slot struct {
	full atomic.Bool
	a    item
}

func (r *ring) put(ctx context.Context, k uint64, a item) bool {
	s := &r.slots[k%ringSize]
	for s.full.Load() {
		if ctx.Err() != nil {
			return false
		}
		time.Sleep(100 * time.Microsecond)
	}
	s.a = a
	s.full.Store(true)
	return true
}

// take returns the arrival of request k. It is called once per k, after put.
func (r *ring) take(k uint64) item {
	s := &r.slots[k%ringSize]
	a := s.a
	s.full.Store(false)
	return a
}

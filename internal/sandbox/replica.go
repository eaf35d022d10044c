package sandbox

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hpatune/hpatune/results"
)

// errFull is the answer to a request that finds slots and queue taken.
var errFull = errors.New("queue is full")

// replica is the inside of one server: slots, a queue in front of them, and an account of
// the CPU that they used. Its handlers are in openai.go.
type replica struct {
	name    string
	service Service
	clock   results.Clock
	sleep   *sleeper
	added   *lateness // what the test bed put on top of a first token, shared by all replicas
	metrics *vllm

	mu     sync.Mutex
	ready  bool
	busy   int
	queue  []*ticket
	live   int       // requests inside: busy, waiting or writing their end
	burnt  float64   // slot-seconds of run time, up to at
	at     time.Time // wall
	idle   chan struct{}
	served int64
}

// ticket is a request that waits for a slot. start is closed once it has one,
// and from is then the instant since which it has it.
type ticket struct {
	start chan struct{}
	from  time.Time
}

func newReplica(name string, service Service, clock results.Clock, sleep *sleeper, added *lateness) *replica {
	r := &replica{
		name:    name,
		service: service,
		clock:   clock,
		sleep:   sleep,
		added:   added,
		at:      time.Now(),
		idle:    make(chan struct{}, 1),
	}
	r.metrics = newVLLM(r)
	return r
}

// admit takes a slot, waiting in line for it, and returns the time since which the request
// has it: its arrival, or the time at which the slot became free. That is the time at which
// the previous request was due to end, not the slightly later one at which its goroutine
// woke, so lateness does not add up along a queue.
func (r *replica) admit(ctx context.Context, now time.Time) (time.Time, error) {
	r.mu.Lock()
	if r.busy < r.service.Slots {
		r.account()
		r.busy++
		r.mu.Unlock()
		return now, nil
	}
	if len(r.queue) >= r.service.Queue {
		r.mu.Unlock()
		return now, errFull
	}
	t := &ticket{start: make(chan struct{})}
	r.queue = append(r.queue, t)
	r.mu.Unlock()
	select {
	case <-t.start:
		return t.from, nil
	case <-ctx.Done():
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, other := range r.queue {
		if other == t {
			r.queue = append(r.queue[:i], r.queue[i+1:]...)
			return now, ctx.Err()
		}
	}
	// Given a slot in the same instant: pass it on.
	r.handOver(time.Now())
	return now, ctx.Err()
}

// release gives the slot to the next in line, as of the instant end.
func (r *replica) release(end time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.handOver(end)
}

func (r *replica) handOver(end time.Time) {
	if len(r.queue) > 0 {
		t := r.queue[0]
		r.queue = r.queue[1:]
		t.from = end
		close(t.start)
		return
	}
	r.account()
	r.busy--
}

// account adds the slot time burnt since the last change. The caller holds mu.
func (r *replica) account() {
	now := time.Now()
	r.burnt += float64(r.busy) * worldSeconds(r.clock, now.Sub(r.at))
	r.at = now
}

// enter and leave bracket a request; drained tells when the last has left.
func (r *replica) enter() {
	r.mu.Lock()
	r.live++
	r.mu.Unlock()
}

func (r *replica) leave() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.live--
	r.served++
	if r.live == 0 {
		select {
		case r.idle <- struct{}{}:
		default:
		}
	}
}

// drained waits until nothing is inside, or for ctx.
func (r *replica) drained(ctx context.Context) error {
	for {
		r.mu.Lock()
		live := r.live
		r.mu.Unlock()
		if live == 0 {
			return nil
		}
		select {
		case <-r.idle:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *replica) setReady(ready bool) {
	r.mu.Lock()
	r.ready = ready
	r.mu.Unlock()
}

func (r *replica) isReady() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ready
}

// usage is a reading of one replica's counters.
type usage struct {
	slotSeconds      float64 // burnt so far, run time
	running, waiting int
	memoryBytes      int64
}

func (r *replica) usage() usage {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.account()
	return usage{
		slotSeconds: r.burnt,
		running:     r.busy,
		waiting:     len(r.queue),
		memoryBytes: r.service.MemoryBaseBytes + int64(r.busy)*r.service.MemoryPerRequest,
	}
}

// worldSeconds returns a wall duration as seconds of run time.
func worldSeconds(c results.Clock, wall time.Duration) float64 {
	if c.Speed == 0 {
		return wall.Seconds()
	}
	return wall.Seconds() * c.Speed
}

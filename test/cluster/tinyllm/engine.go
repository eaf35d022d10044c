package tinyllm

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"
)

// ErrQueueFull means that all slots and all places in the queue are taken.
var ErrQueueFull = errors.New("queue full")

// prefillChunk is how many prompt tokens one sequence may process per step, so
// that a long prompt does not stall the other answers.
const prefillChunk = 16

// job is one request inside the engine.
type job struct {
	ctx         context.Context
	prompt      []int
	max         int // tokens to generate, at least 1
	temperature float64
	rng         *rand.Rand
	arrived     time.Time

	tokens chan int // one per generated token; closed at the end
	err    error    // why the job ended early; set before tokens is closed

	seq      *Sequence
	prefill  int // prompt tokens processed
	produced int
	next     int // last sampled token
	admitted time.Time
	last     time.Time // when the last token came, or zero
}

// engine does continuous batching, as vLLM does: every step advances each running
// sequence by one token (or one chunk of its prompt), and then admits waiting jobs
// to free slots. Each step takes longer the more sequences run, which causes the
// inter-token latency under load.
type engine struct {
	model        *Model
	slots, queue int
	metrics      *metrics

	mu      sync.Mutex
	waiting []*job
	running []*job
	wake    chan struct{}
}

func newEngine(m *Model, slots, queue int, mt *metrics) *engine {
	return &engine{model: m, slots: slots, queue: queue, metrics: mt, wake: make(chan struct{}, 1)}
}

// submit queues j, or returns ErrQueueFull at once. A job for which there is a free
// slot does not count against the queue's limit.
func (e *engine) submit(j *job) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.waiting)+len(e.running) >= e.slots+e.queue {
		return ErrQueueFull
	}
	e.waiting = append(e.waiting, j)
	e.gauges()
	select {
	case e.wake <- struct{}{}:
	default:
	}
	return nil
}

// run steps until ctx ends. The jobs that are left then end with its error.
func (e *engine) run(ctx context.Context) {
	for {
		batch := e.admit()
		if len(batch) == 0 {
			select {
			case <-e.wake:
				continue
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			e.mu.Lock()
			left := append(e.running, e.waiting...)
			e.running, e.waiting = nil, nil
			e.mu.Unlock()
			for _, j := range left {
				j.err = ctx.Err()
				close(j.tokens)
			}
			return
		}
		var done []*job
		for _, j := range batch {
			if e.step(j) {
				done = append(done, j)
			}
		}
		e.retire(done)
	}
}

// admit moves waiting jobs into free slots and returns the batch to step.
func (e *engine) admit() []*job {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.running) < e.slots && len(e.waiting) > 0 {
		j := e.waiting[0]
		e.waiting = e.waiting[1:]
		j.admitted = time.Now()
		j.seq = e.model.NewSequence()
		e.metrics.queueTime.Observe(j.admitted.Sub(j.arrived).Seconds())
		e.running = append(e.running, j)
	}
	e.gauges()
	return append([]*job(nil), e.running...)
}

// step advances j by one token or one chunk of its prompt, and reports whether j is
// done.
func (e *engine) step(j *job) bool {
	if err := j.ctx.Err(); err != nil {
		j.err = err
		return true
	}
	var logits []float32
	if j.prefill < len(j.prompt) {
		end := min(j.prefill+prefillChunk, len(j.prompt))
		for ; j.prefill < end; j.prefill++ {
			logits = j.seq.Forward(j.prompt[j.prefill], j.prefill == len(j.prompt)-1)
		}
		if logits == nil {
			return false
		}
		e.metrics.promptTokens.Add(float64(len(j.prompt)))
	} else {
		logits = j.seq.Forward(j.next, true)
	}
	j.next = Sample(logits, j.temperature, j.rng)
	now := time.Now()
	if j.produced == 0 {
		e.metrics.ttft.Observe(now.Sub(j.arrived).Seconds())
	} else {
		e.metrics.itl.Observe(now.Sub(j.last).Seconds())
	}
	j.last = now
	j.produced++
	e.metrics.generationTokens.Inc()
	j.tokens <- j.next // has room for max tokens, so a slow reader does not stall the others
	return j.produced == j.max
}

// retire removes the finished jobs from their slots, and ends their streams.
func (e *engine) retire(done []*job) {
	if len(done) == 0 {
		return
	}
	e.mu.Lock()
	for _, d := range done {
		for i, j := range e.running {
			if j == d {
				e.running = append(e.running[:i], e.running[i+1:]...)
				break
			}
		}
	}
	e.gauges()
	e.mu.Unlock()
	for _, j := range done {
		if j.err == nil {
			e.metrics.e2e.Observe(time.Since(j.arrived).Seconds())
			e.metrics.success.WithLabelValues("length").Inc()
		} else {
			e.metrics.success.WithLabelValues("abort").Inc()
		}
		close(j.tokens)
	}
}

// gauges publishes the state of slots, queue and cache. The caller holds e.mu.
func (e *engine) gauges() {
	tokens := 0
	for _, j := range e.running {
		if j.seq != nil {
			tokens += j.seq.Len()
		}
	}
	e.metrics.running.Set(float64(len(e.running)))
	e.metrics.waiting.Set(float64(len(e.waiting)))
	e.metrics.kvUsage.Set(float64(tokens) / float64(e.slots*e.model.Context))
}

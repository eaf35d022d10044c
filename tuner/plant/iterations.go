package plant

import (
	"fmt"
	"math"
)

// Iterations is how a server of language models serves: in iterations. Each iteration adds one
// token to every answer that is being written, and works on the next prompts. It models vLLM,
// SGLang and TGI with chunked prefill, as seen from outside. An iteration takes
//
//	Alpha + Beta·(answers) + Gamma·(prompt tokens) + Delta·(context tokens held)
//
// seconds. It holds at most Batch tokens, of prompts and answers together, so a long prompt is
// spread over several iterations. At most Seqs requests take part in it.
type Iterations struct {
	Alpha float64 // seconds per iteration
	Beta  float64 // seconds per answer in it
	Gamma float64 // seconds per prompt token in it
	Delta float64 // seconds per token of context held
	Batch int     // at most this many tokens per iteration; 0 = no bound
	Seqs  int     // at most this many requests at once; 0 = no bound
	KV    int     // tokens of context that fit; 0 = no bound. Beyond it the newest request is preempted
	Own   float64 // seconds a request spends outside iterations, before it is queued
	// Ahead: an iteration is put together when the one before it starts (vLLM's asynchronous
	// scheduling), so a request that arrives or ends after that is noticed one iteration later.
	Ahead bool
}

func (l *Iterations) check(bad func(string, ...any)) {
	for _, c := range []struct {
		name  string
		value float64
	}{{"alpha", l.Alpha}, {"beta", l.Beta}, {"gamma", l.Gamma}, {"delta", l.Delta}, {"own", l.Own}} {
		if !(c.value >= 0) || math.IsInf(c.value, 0) {
			bad("iterations: %s is %g s; it must be a number ≥ 0", c.name, c.value)
		}
	}
	if !(l.Alpha+l.Beta > 0) {
		bad("iterations: alpha and beta are 0; an iteration must take time")
	}
	if l.Batch < 0 || l.Seqs < 0 || l.KV < 0 {
		bad("iterations: batch %d, seqs %d, kv %d; none may be negative", l.Batch, l.Seqs, l.KV)
	}
}

// String returns the law's coefficients as text.
func (l *Iterations) String() string {
	return fmt.Sprintf("%.3g ms + %.3g µs·answers + %.3g µs·prompt tokens + %.3g ns·context tokens",
		l.Alpha*1e3, l.Beta*1e6, l.Gamma*1e6, l.Delta*1e9)
}

// Work is what iterations did, summed: their times are linear in these four sums. A share of
// an iteration counts as that share of its sums.
type Work struct{ Iterations, Answers, Prompt, Context float64 }

// Minus returns the work between two sums.
func (w Work) Minus(o Work) Work {
	return Work{w.Iterations - o.Iterations, w.Answers - o.Answers, w.Prompt - o.Prompt, w.Context - o.Context}
}

func (w *Work) add(o Work, k float64) {
	w.Iterations += k * o.Iterations
	w.Answers += k * o.Answers
	w.Prompt += k * o.Prompt
	w.Context += k * o.Context
}

// Took returns the seconds that the law needs for the work.
func (l *Iterations) Took(w Work) float64 {
	return l.Alpha*w.Iterations + l.Beta*w.Answers + l.Gamma*w.Prompt + l.Delta*w.Context
}

// paced returns the law with everything k times as slow; 0 = 1.
func (l Iterations) paced(k float64) Iterations {
	if k > 0 {
		l.Alpha, l.Beta, l.Gamma, l.Delta, l.Own = k*l.Alpha, k*l.Beta, k*l.Gamma, k*l.Delta, k*l.Own
	}
	return l
}

// Alone returns the seconds to the first token on an idle server.
func (l *Iterations) Alone(prompt int) float64 {
	k := 1
	if l.Batch > 0 {
		k = (max(1, prompt) + l.Batch - 1) / l.Batch
	}
	return l.Own + l.Alpha*float64(k) + (l.Gamma+l.Delta)*float64(prompt)
}

// seq is a request in an engine.
type seq struct {
	id      int     // the caller's
	came    float64 // seconds
	prompt  int     // tokens to process before the (next) token, including those written before a preemption
	left    int     // of prompt, not processed yet
	output  int     // tokens of the whole answer
	written int
	entered int // order of admission: the newest is preempted first
	finish  int // iteration after which the answer is complete; only while answering
	began   int // iteration that brought the first token
	first   float64
	started float64 // when it was first admitted
	gap     float64 // longest gap before a preemption
	last    float64 // time of the last token before a preemption; 0 = none
}

// finished is a request that has left an engine.
type finished struct {
	id          int
	started     float64 // when it was admitted, seconds
	first, last float64 // seconds
	gap         float64 // longest time between two tokens, seconds; 0 with fewer than two
}

// engine is one running server. Equal iterations are taken in one jump, so the cost is a few
// jumps per request, however many tokens it has.
//
// Time: at is the end of the last iteration that started. An iteration is fixed when it
// starts, so a request that arrives during it waits for its end.
type engine struct {
	law     *Iterations
	at      float64
	iter    int // iterations done
	waiting []seq
	head    int   // of waiting
	prefill []seq // admitted, prompt not done; in order of admission
	answer  []seq // heap by finish
	held    int   // context tokens
	entered int
	before  float64 // when the last iteration started
	left    int     // answers that ended with it
	done    Work    // work done until at
	lastRun float64 // duration of the iteration that ended at at, seconds
	lastOf  Work    // its work
	longest []jumpTime
	preempt int // preemptions so far
	// Tokens written since the engine started, not counting prompts.
	tokens int
	worth  float64 // Σ 1/output over the answers being written: requests completed per iteration
	earned float64 // Σ worth over iterations until at, first tokens included
	use    usage
	onEnd  func(finished, *engine)
	onTok  func(id int, e *engine) // a request's first token is out at e.at
}

// usage is what a metrics pipe reads from an engine.
type usage struct {
	until          float64 // counted up to this time
	during         int     // running in the current iteration
	began          float64 // when the jump that ends at engine.at started
	won            float64 // requests' worth that it completes
	running, queue float64 // integrals since the last reading, request-seconds
}

// jumpTime is the longest iteration from the entry before it (exclusive) to iter (inclusive).
// Durations decrease along the list.
type jumpTime struct {
	iter int
	took float64
}

func (e *engine) reset(l *Iterations, at float64) {
	*e = engine{law: l, at: at, waiting: e.waiting[:0], prefill: e.prefill[:0], answer: e.answer[:0],
		longest: e.longest[:0], onEnd: e.onEnd, onTok: e.onTok}
	e.use.until, e.use.began = at, at
}

func (e *engine) queued() int  { return len(e.waiting) - e.head }
func (e *engine) running() int { return len(e.prefill) + len(e.answer) }
func (e *engine) inside() int  { return e.queued() + e.running() }

// push queues a request that arrives at time t. The engine must have been advanced to t.
func (e *engine) push(t float64, id, prompt, output int) {
	e.account(t)
	if e.inside() == 0 {
		e.idle(t)
		e.before, e.left = e.at, 0
	}
	e.waiting = append(e.waiting, seq{id: id, came: t, prompt: max(1, prompt), left: max(1, prompt), output: max(1,
		output)})
}

// workAt returns the work done until t, where t is in the current iteration or not before its
// end.
func (e *engine) workAt(t float64) Work {
	w := e.done
	if e.lastRun > 0 && t < e.at {
		w.add(e.lastOf, -min(1, (e.at-t)/e.lastRun))
	}
	return w
}

// idle moves an empty engine's clock to t.
func (e *engine) idle(t float64) {
	if t <= e.at {
		return
	}
	e.account(e.at)
	e.at, e.use.during, e.use.until = t, 0, t
}

// account brings the integrals up to time t.
func (e *engine) account(t float64) {
	u := &e.use
	if t <= u.until {
		return
	}
	u.queue += float64(e.queued()) * (t - u.until)
	if busy := min(t, e.at) - u.until; busy > 0 {
		u.running += float64(u.during) * busy
	}
	u.until = t
}

// earnedAt returns the requests' worth of work done until t, where t is in the current jump or
// not before its end.
func (e *engine) earnedAt(t float64) float64 {
	if t < e.at && e.at > e.use.began {
		return e.earned - e.use.won*min(1, (e.at-t)/(e.at-e.use.began))
	}
	return e.earned
}

// advance starts every iteration that starts before t.
func (e *engine) advance(t float64) {
	for e.at < t && e.inside() > 0 {
		e.step(t)
	}
	if e.inside() == 0 && !math.IsInf(t, 1) {
		e.idle(t)
	}
}

// step takes one iteration, or a jump of equal iterations, all of which but the first start
// before t.
func (e *engine) step(t float64) {
	e.account(e.at)
	began, earned := e.at, e.earned
	short := e.law.KV > 0 && e.makeRoom()
	n := len(e.answer)
	prompt, late := e.schedule(n, short)
	k := 1
	if prompt == 0 && n > 0 && !late {
		k = e.answer[0].finish - e.iter
		if e.law.KV > 0 {
			k = min(k, max(1, (e.law.KV-e.held)/n))
		}
	}
	context := float64(e.held + n + prompt) // an iteration's own tokens are context, too
	first := e.law.Took(Work{1, float64(n), float64(prompt), context})
	grow := e.law.Delta * float64(n) // one iteration later, each answer holds one token more
	if k > 1 {
		k = min(k, jumps(t-e.at, first, grow))
	}
	var w Work
	e.lastRun = first + grow*float64(k-1)
	e.lastOf = Work{1, float64(n), float64(prompt), context + float64(n*(k-1))}
	w.add(Work{1, float64(n), float64(prompt), context}, float64(k))
	w.Context += float64(n) * float64(k) * float64(k-1) / 2
	e.done.add(w, 1)
	e.at += first*float64(k) + grow*float64(k)*float64(k-1)/2
	e.iter += k
	e.held += n*k + prompt
	e.tokens += n * k
	e.earned += e.worth * float64(k)
	e.before, e.left = e.at-e.lastRun, 0
	e.use.during = e.running()
	for len(e.longest) > 0 && e.longest[len(e.longest)-1].took <= e.lastRun {
		e.longest = e.longest[:len(e.longest)-1]
	}
	e.longest = append(e.longest, jumpTime{e.iter, e.lastRun})
	for len(e.answer) > 0 && e.answer[0].finish <= e.iter {
		e.leave(e.popAnswer())
	}
	if prompt > 0 {
		e.firstTokens()
	}
	e.use.began, e.use.won = began, e.earned-earned
	if e.inside() == 0 {
		e.longest = e.longest[:0]
	}
}

// jumps returns the least k ≥ 1 for which k iterations take at least span. The first
// iteration takes a seconds, and each takes `more` seconds longer than the one before it.
func jumps(span, a, more float64) int {
	if math.IsInf(span, 1) {
		return math.MaxInt
	}
	k := span / a
	if more > 0 {
		// more·k²/2 + (a − more/2)·k = span
		b := a - more/2
		k = (math.Sqrt(b*b+2*more*span) - b) / more
	}
	return max(1, int(math.Ceil(k-1e-9)))
}

// schedule fills the iteration with prompt tokens: first those of prompts in progress, then
// the queue, first in first out, while a place, a token and memory are free. It returns their
// number, and whether the next iteration may admit a waiting request: one that came too late
// for this iteration, or one that was not admitted because others were preempted.
func (e *engine) schedule(answers int, full bool) (total int, late bool) {
	budget := math.MaxInt
	if e.law.Batch > 0 {
		budget = max(1, e.law.Batch-answers) // an engine's limits leave at least one
	}
	room := math.MaxInt
	if e.law.KV > 0 {
		room = e.law.KV - e.held - answers
	}
	for i := range e.prefill {
		s := &e.prefill[i]
		c := min(s.left, budget, max(0, room))
		if i == 0 && c == 0 && answers == 0 {
			c = min(s.left, budget) // alone and too long for the memory: served anyway
		}
		s.left -= c
		budget, room, total = budget-c, room-c, total+c
	}
	for !full && e.head < len(e.waiting) && budget > 0 && (e.law.Seqs <= 0 || e.running() < e.law.Seqs) {
		s := e.waiting[e.head]
		if e.law.Ahead && (s.came > e.before || e.law.Seqs > 0 && e.running()+e.left >= e.law.Seqs) {
			return total, true
		}
		c := min(s.left, budget)
		if s.left > room { // all of a prompt has to fit before the engine works on any of it
			if e.running() > 0 {
				break
			}
			room = c
		}
		if e.head++; e.head == len(e.waiting) {
			e.waiting, e.head = e.waiting[:0], 0
		}
		s.left -= c
		budget, room, total = budget-c, room-c, total+c
		if s.entered == 0 {
			s.started = e.at
		}
		e.entered++
		s.entered = e.entered // counts from 1
		e.prefill = append(e.prefill, s)
	}
	return total, full
}

// firstTokens moves requests whose prompt is done to the answers: the iteration that ends a
// prompt also produces the first token.
func (e *engine) firstTokens() {
	keep := e.prefill[:0]
	for _, s := range e.prefill {
		if s.left > 0 {
			keep = append(keep, s)
			continue
		}
		s.written++
		e.tokens++
		w := s.share()
		e.earned += w
		if s.written == 1 {
			s.first = e.at
			if e.onTok != nil {
				e.onTok(s.id, e)
			}
		} else {
			s.gap = max(s.gap, e.at-s.last)
		}
		s.began = e.iter
		s.finish = e.iter + s.output - s.written
		if s.finish == e.iter {
			e.held -= s.prompt
			e.end(&s)
			continue
		}
		e.worth += w
		e.pushAnswer(s)
	}
	e.prefill = keep
}

// share is what one token is worth of its request.
func (s *seq) share() float64 { return 1 / float64(s.output) }

// leave ends an answer whose last token is written.
func (e *engine) leave(s seq) {
	e.held -= s.prompt + s.finish - s.began
	if e.worth -= s.share(); len(e.answer) == 0 {
		e.worth = 0
	}
	s.gap = max(s.gap, e.gapSince(s.began))
	s.written = s.output
	e.end(&s)
}

func (e *engine) end(s *seq) {
	e.left++
	if e.onEnd != nil {
		e.onEnd(finished{s.id, s.started, s.first, e.at, s.gap}, e)
	}
}

// gapSince returns the longest iteration after iteration i.
func (e *engine) gapSince(i int) float64 {
	lo, hi := 0, len(e.longest)
	for lo < hi {
		m := (lo + hi) / 2
		if e.longest[m].iter > i {
			hi = m
		} else {
			lo = m + 1
		}
	}
	if lo == len(e.longest) {
		return 0
	}
	return e.longest[lo].took
}

package sim

import (
	"math"
	"math/rand/v2"
)

// Service makes the servers of new pods.
type Service interface {
	// Server returns an idle server.
	Server(r *rand.Rand) server
	// Word names the kind: slots, slowing, llm, quota.
	Word() string
	// Places is how many requests a server holds at once.
	Places() int
}

// server is the inside of a serving pod. Times of calls never decrease; each other call comes after
// advance to the current time.
type server interface {
	take(now float64, q *request)
	next() float64 // when something happens inside; +Inf = not by itself
	advance(now float64)
	ended() []*request // those that ended since the last call
	counts() (running, waiting int)
	cpu() float64 // core-seconds burnt by work up to the present
}

// request is one arrival that is being handled.
type request struct {
	at, sent, first, done float64
	gapMax                float64 // longest time between two tokens
	index                 int
	prompt, output        int
	prefix, shared        int // which beginning the prompt has, and how long it is
	stage                 int16
	pod                   int32 // index; −1 = none
	newConn, failed       bool

	own, ownFirst float64 // seconds or core-seconds of work, all of it and to the first token
	left          float64
	start         float64
	connection    int
}

// Work is how long a request takes by itself, without waiting.
type Work struct {
	// In seconds (core-seconds under a quota): to the first token, per prompt token, per output
	// token.
	First, PerPrompt, PerToken float64
	Noise                      float64 // σ of the logarithm of a factor on all of it
}

func (w *Work) of(r *rand.Rand, q *request) {
	f := 1.0
	if w.Noise > 0 {
		f = math.Exp(w.Noise*r.NormFloat64() - w.Noise*w.Noise/2)
	}
	q.ownFirst = f * (w.First + w.PerPrompt*float64(q.prompt))
	q.own = q.ownFirst + f*w.PerToken*float64(q.output-1)
}

// Slots serves a fixed number of requests at once, each at its own pace, and queues the others.
type Slots struct {
	Slots   int
	Work    Work
	PerBusy float64 // cores that a busy slot burns
}

// Word is "slots".
func (s *Slots) Word() string { return "slots" }

// Places is how many it holds at once.
func (s *Slots) Places() int { return s.Slots }

// Server returns an idle server.
func (s *Slots) Server(r *rand.Rand) server { return &slotted{spec: s, r: r} }

type slotted struct {
	inside
	spec *Slots
	r    *rand.Rand
	now  float64
	soon float64
}

func (s *slotted) take(now float64, q *request) {
	s.spec.Work.of(s.r, q)
	if len(s.busy) < s.spec.Slots {
		s.begin(now, q)
	} else {
		s.queue.push(q)
	}
}

func (s *slotted) begin(now float64, q *request) {
	q.start, q.first, q.done = now, now+q.ownFirst, now+q.own
	if q.output > 1 {
		q.gapMax = (q.own - q.ownFirst) / float64(q.output-1)
	}
	s.busy = append(s.busy, q)
	if len(s.busy) == 1 || q.done < s.soon {
		s.soon = q.done
	}
}

func (s *slotted) next() float64 {
	if len(s.busy) == 0 {
		return math.Inf(1)
	}
	return s.soon
}

func (s *slotted) advance(now float64) {
	for len(s.busy) > 0 && s.soon <= now {
		at := s.soon
		s.burnt += float64(len(s.busy)) * s.spec.PerBusy * (at - s.now)
		s.now = at
		for i := 0; i < len(s.busy); i++ {
			if q := s.busy[i]; q.done <= at {
				s.busy[i] = s.busy[len(s.busy)-1]
				s.busy = s.busy[:len(s.busy)-1]
				s.out = append(s.out, q)
				break
			}
		}
		s.soon = math.Inf(1)
		for _, q := range s.busy {
			s.soon = min(s.soon, q.done)
		}
		if q := s.queue.pop(); q != nil {
			s.begin(at, q)
		}
	}
	s.burnt += float64(len(s.busy)) * s.spec.PerBusy * (now - s.now)
	s.now = now
}

// Slowing serves up to Most at once; with i inside, each runs at 1/(1 + Drag·(i−1)) of its pace.
type Slowing struct {
	Most    int
	Drag    float64
	Work    Work
	PerWork float64 // core-seconds a second of own work
}

// Word is "slowing".
func (s *Slowing) Word() string { return "slowing" }

// Places is how many it holds at once.
func (s *Slowing) Places() int { return s.Most }

// Server returns an idle server.
func (s *Slowing) Server(r *rand.Rand) server { return &shared{spec: s, r: r} }

// shared keeps the remaining own time of each request; all run at one pace.
type shared struct {
	inside
	spec *Slowing
	r    *rand.Rand
	now  float64
}

func (s *shared) pace() float64 { return 1 / (1 + s.spec.Drag*float64(len(s.busy)-1)) }

func (s *shared) take(now float64, q *request) {
	s.spec.Work.of(s.r, q)
	q.left = q.own
	q.first = math.Inf(1)
	if len(s.busy) < s.spec.Most {
		q.start = now
		s.busy = append(s.busy, q)
	} else {
		s.queue.push(q)
	}
}

func (s *shared) next() float64 {
	if len(s.busy) == 0 {
		return math.Inf(1)
	}
	return s.now + max(0, s.least())/s.pace()
}

func (s *shared) advance(now float64) {
	for len(s.busy) > 0 {
		at := s.next()
		if at > now {
			break
		}
		s.work(at)
		s.settle(at, s.spec.Most)
	}
	s.work(now)
}

func (s *shared) work(now float64) {
	if n := len(s.busy); n > 0 {
		d := (now - s.now) * s.pace()
		for _, q := range s.busy {
			q.left -= d
		}
		s.burnt += d * float64(n) * s.spec.PerWork
	}
	s.now = now
}

// inside are the requests in a replica, and the core-seconds that it has burnt.
type inside struct {
	busy  []*request // unordered: few
	queue fifo
	out   []*request // ended since the last call of ended
	burnt float64
}

func (s *inside) ended() []*request {
	out := s.out
	s.out = s.out[:0]
	return out
}

func (s *inside) counts() (int, int) { return len(s.busy), s.queue.len() }
func (s *inside) cpu() float64       { return s.burnt }

// least is the own time until the next event: a first token or an end.
func (s *inside) least() float64 {
	m := math.Inf(1)
	for _, q := range s.busy {
		m = min(m, q.left)
		if math.IsInf(q.first, 1) {
			m = min(m, q.left-(q.own-q.ownFirst))
		}
	}
	return m
}

// settle notes the first tokens and ends that are due, and lets waiting requests in, up to most.
func (s *inside) settle(at float64, most int) {
	for i := 0; i < len(s.busy); {
		q := s.busy[i]
		if math.IsInf(q.first, 1) && q.left-(q.own-q.ownFirst) <= 1e-9 {
			q.first = at
		}
		if q.left > 1e-9 {
			i++
			continue
		}
		q.done = at
		if q.output > 1 {
			q.gapMax = (q.done - q.first) / float64(q.output-1)
		}
		s.out = append(s.out, q)
		s.busy = append(s.busy[:i], s.busy[i+1:]...)
	}
	for s.queue.len() > 0 && len(s.busy) < most {
		q := s.queue.pop()
		q.start = at
		s.busy = append(s.busy, q)
	}
}

// fifo is a queue.
type fifo struct {
	items []*request
	head  int
}

func (f *fifo) push(q *request) { f.items = append(f.items, q) }
func (f *fifo) len() int        { return len(f.items) - f.head }

func (f *fifo) pop() *request {
	if f.len() == 0 {
		return nil
	}
	q := f.items[f.head]
	f.items[f.head] = nil
	f.head++
	if f.head > 1024 && f.head*2 > len(f.items) {
		f.items = append(f.items[:0], f.items[f.head:]...)
		f.head = 0
	}
	return q
}

package sim

import (
	"math"
	"math/rand/v2"
)

// LLM serves in iterations, as vLLM's scheduler does: each takes
//
//	Alpha + Beta·(sequences that decode) + Gamma·(prompt tokens in it) + Delta·(context tokens of those that decode)
//
// seconds and holds at most Budget tokens and Most sequences. Decodes go first, and prompts are
// split over iterations. The iteration that processes a prompt's last token produces the first
// token of the answer.
type LLM struct {
	Alpha, Beta, Gamma, Delta float64
	Budget, Most              int
	KV                        int     // context tokens that fit; 0 = enough. Beyond it the youngest is put back
	Cache                     bool    // prefixes that were met of late are not computed again
	BusyCores, PerToken       float64 // CPU while it iterates, and core-seconds a token
}

// Word is "llm".
func (l *LLM) Word() string { return "llm" }

// Places is how many it holds at once.
func (l *LLM) Places() int { return l.Most }

// Server returns an idle server.
func (l *LLM) Server(*rand.Rand) server { return &iterating{spec: l} }

// sequence is one request inside.
type sequence struct {
	q       *request
	prompt  int // tokens that are still to be computed
	chunk   int // of them, in this iteration
	context int // tokens held
	left    int // answer tokens to come
	last    float64
}

type iterating struct {
	spec         *LLM
	now          float64
	inside       []sequence // in order of admission
	back         []sequence // put back for want of room; first to come in again
	queue        fifo
	busy         bool
	from, to     float64 // of the iterations under way: alike ones are taken together
	n            int     // how many
	first, grows float64 // length of the first, and by how much each is longer than the one before
	burnt, rate  float64
	out          []*request
	cache        recent
}

func (s *iterating) take(now float64, q *request) {
	s.queue.push(q)
	switch {
	case !s.busy:
		s.iterate(now)
	case s.n > 1 && len(s.inside) < s.spec.Most:
		// It is admitted after the current iteration.
		n := s.done(now-s.from) + 1
		if n < s.n {
			s.n = n
			s.to = s.from + s.span(n)
		}
	}
}

// span is how long the first n iterations take.
func (s *iterating) span(n int) float64 {
	k := float64(n)
	return k*s.first + s.grows*k*(k-1)/2
}

// done is the number of iterations that are complete after the given time.
func (s *iterating) done(elapsed float64) int {
	n := 0
	if s.grows > 0 {
		b := s.first - s.grows/2
		n = int((-b + math.Sqrt(b*b+2*s.grows*max(0, elapsed))) / s.grows)
	} else {
		n = int(elapsed / s.first)
	}
	for n > 0 && s.span(n) > elapsed {
		n--
	}
	return n
}

// held is the number of context tokens of all sequences inside.
func (s *iterating) held() int {
	n := 0
	for i := range s.inside {
		n += s.inside[i].context
	}
	return n
}

// iterate begins the next iterations at now.
func (s *iterating) iterate(now float64) {
	// Room for one more token of each sequence that decodes.
	if s.spec.KV > 0 {
		for len(s.inside) > 1 && s.held()+len(s.inside) > s.spec.KV {
			k := len(s.inside) - 1
			v := s.inside[k]
			v.prompt, v.context = v.context+v.prompt, 0
			s.inside = s.inside[:k]
			s.back = append(s.back, v)
		}
	}
	budget, decoding, context := s.spec.Budget, 0, 0
	for i := range s.inside {
		if v := &s.inside[i]; v.prompt == 0 {
			decoding++
			context += v.context
		}
	}
	budget -= decoding
	prompts := 0
	chunk := func(v *sequence) {
		v.chunk = min(v.prompt, budget)
		budget -= v.chunk
		prompts += v.chunk
	}
	for i := range s.inside {
		chunk(&s.inside[i])
	}
	for budget > 0 && len(s.inside) < s.spec.Most {
		v, ok := s.admit(now)
		if !ok {
			break
		}
		chunk(&v)
		s.inside = append(s.inside, v)
	}
	if len(s.inside) == 0 {
		s.busy = false
		return
	}
	s.busy, s.from, s.n = true, now, 1
	s.first = s.spec.Alpha + s.spec.Beta*float64(decoding) + s.spec.Gamma*float64(prompts) +
		s.spec.Delta*float64(context)
	s.grows = s.spec.Delta * float64(decoding)
	if prompts == 0 && (s.queue.len()+len(s.back) == 0 || len(s.inside) >= s.spec.Most) {
		s.n = math.MaxInt
		for i := range s.inside {
			s.n = min(s.n, s.inside[i].left)
		}
		if s.spec.KV > 0 {
			s.n = max(1, min(s.n, (s.spec.KV-context)/len(s.inside)))
		}
	}
	s.to = now + s.span(s.n)
	s.rate = s.spec.BusyCores + s.spec.PerToken*float64(decoding*s.n+prompts)/(s.to-now)
}

// admit takes the next waiting request, if there is room for its prompt.
func (s *iterating) admit(now float64) (sequence, bool) {
	fits := func(tokens int) bool { return s.spec.KV == 0 || len(s.inside) == 0 || s.held()+tokens < s.spec.KV }
	if k := len(s.back) - 1; k >= 0 {
		v := s.back[k]
		if !fits(v.prompt) {
			return v, false
		}
		s.back = s.back[:k]
		return v, true
	}
	if s.queue.len() == 0 || !fits(s.queue.items[s.queue.head].prompt) {
		return sequence{}, false
	}
	q := s.queue.pop()
	q.start = now
	v := sequence{q: q, prompt: q.prompt, left: q.output}
	if s.spec.Cache && q.prefix > 0 {
		if s.cache.has(q.prefix) {
			v.prompt, v.context = max(1, q.prompt-q.shared), min(q.shared, q.prompt-1)
		}
		s.cache.use(q.prefix)
	}
	return v, true
}

// finish ends the current iterations.
func (s *iterating) finish() {
	longest := s.first + s.grows*float64(s.n-1)
	keep := s.inside[:0]
	for _, v := range s.inside {
		if v.prompt > 0 {
			v.prompt -= v.chunk
			v.context += v.chunk
			if v.prompt > 0 {
				keep = append(keep, v)
				continue
			}
			if v.left == v.q.output {
				v.q.first = s.to
			} else {
				v.q.gapMax = max(v.q.gapMax, s.to-v.last)
			}
			v.left--
			v.last = s.to
			v.context++
		} else {
			v.q.gapMax = max(v.q.gapMax, longest, s.from+s.first-v.last)
			v.left -= s.n
			v.last = s.to
			v.context += s.n
		}
		if v.left <= 0 {
			v.q.done = s.to
			s.out = append(s.out, v.q)
			continue
		}
		keep = append(keep, v)
	}
	clear(s.inside[len(keep):])
	s.inside = keep
}

func (s *iterating) next() float64 {
	if !s.busy {
		return math.Inf(1)
	}
	return s.to
}

func (s *iterating) advance(now float64) {
	for s.busy && s.to <= now {
		s.burnt += s.rate * (s.to - s.now)
		s.now = s.to
		s.finish()
		s.iterate(s.to)
	}
	if s.busy {
		s.burnt += s.rate * (now - s.now)
	}
	s.now = now
}

func (s *iterating) ended() []*request {
	out := s.out
	s.out = s.out[:0]
	return out
}

func (s *iterating) counts() (int, int) { return len(s.inside), s.queue.len() + len(s.back) }
func (s *iterating) cpu() float64       { return s.burnt }

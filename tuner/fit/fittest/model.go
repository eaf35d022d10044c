package fittest

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Engine is one server of a language model, simulated token by token and scheduled as vLLM
// does: first running requests, with one token each or the next piece of a prompt, then the
// queue, while tokens, places and blocks of memory are free. When blocks run out, the newest
// request is preempted and later processed again from its first token. Zero fields have no
// effect.
type Engine struct {
	Alpha, Beta, Gamma, Delta float64 // seconds per iteration, answer, prompt token, context token
	Square                    float64 // seconds per prompt token and token before it: attention
	Batch, Seqs               int     // at most, per iteration
	Blocks                    int     // of 16 tokens of context; 0 = enough
	Ahead                     bool    // an iteration is put together when the one before it starts
	Own                       float64 // seconds that the client adds to each request
	// Start a prompt as soon as its first piece fits, as older vLLMs do; otherwise when all of
	// it fits.
	Eager  bool
	Noise  float64 // standard deviation of the logarithm of an iteration's time
	Cached float64 // share of requests whose prompt is cached, except for its last 16 tokens

	Requests int
	Rate     func(t float64) float64 // requests per second at t; > 0
	Prompt   func(r *rand.Rand) int
	Output   func(r *rand.Rand) int
	Seed     uint64
}

// sequence is one request in the engine.
type sequence struct {
	at, seen           float64 // when it came, and when the server notices it
	prompt, output     int
	need               int // tokens to compute before the next one is written
	computed           int
	out                int // tokens written
	blocks             int
	skip               int // cached tokens of the prompt
	first, last, since float64
	gap                float64
}

// piece is what an iteration does for one request.
type piece struct {
	s      *sequence
	tokens int
	held   int  // tokens of context, including these
	token  bool // one is written at its end
}

// Run serves the load and returns what a client would have recorded.
func (e Engine) Run() *results.Run {
	r := rand.New(rand.NewPCG(e.Seed, 0x656e67696e65))
	var all []*sequence
	t := 0.0
	for range e.Requests {
		all = append(all, &sequence{at: t, seen: t + e.Own/2, prompt: e.Prompt(r), output: max(1, e.Output(r))})
		s := all[len(all)-1]
		s.need = s.prompt
		if r.Float64() < e.Cached {
			s.skip = max(0, s.prompt-16)
		}
		t += r.ExpFloat64() / e.Rate(t)
	}
	e.serve(all, r)
	run := &results.Run{Meta: results.Meta{Schema: results.Schema, Run: "engine", Speed: 1,
		Target: results.Target{Kind: results.OfLog, Streams: true}, Classes: []string{"default"}}}
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	for i, s := range all {
		run.Requests = append(run.Requests, results.Request{Arrival: i, Scheduled: at(s.at), Sent: at(s.at),
			First: at(s.first + e.Own/2), Last: at(s.last + e.Own/2), Done: at(s.last + e.Own/2),
			GapMax: at(s.gap), Prompt: s.prompt, Tokens: s.output, TokensFrom: results.TokensUsage, Err: -1, Backend: -1})
		run.Meta.DurationS = max(run.Meta.DurationS, s.last)
	}
	return run
}

// serve simulates all requests; all is in order of arrival.
func (e Engine) serve(all []*sequence, r *rand.Rand) {
	var waiting, running []*sequence
	next, ended := 0, 0
	free := e.Blocks
	if free == 0 {
		free = math.MaxInt / 2
	}
	now := 0.0
	var plan []piece
	for ended < len(all) {
		come := func() {
			for next < len(all) && all[next].seen <= now {
				waiting = append(waiting, all[next])
				next++
			}
		}
		if len(plan) == 0 {
			come()
			if plan = e.plan(&waiting, &running, &free); len(plan) == 0 {
				now = all[next].seen
				continue
			}
		}
		var after []piece
		if e.Ahead {
			come()
			after = e.plan(&waiting, &running, &free)
		}
		now += e.took(plan) * math.Exp(e.Noise*r.NormFloat64()-e.Noise*e.Noise/2)
		for _, p := range plan {
			if !p.token {
				continue
			}
			s := p.s
			if s.out++; s.out == 1 {
				s.first = now
			} else {
				s.gap = max(s.gap, now-s.since)
			}
			s.since, s.last = now, now
			if s.out == s.output {
				ended++
				free += s.blocks
				running = slices.DeleteFunc(running, func(x *sequence) bool { return x == s })
			}
		}
		plan = after
	}
}

// took returns an iteration's time without noise.
func (e Engine) took(plan []piece) float64 {
	t := e.Alpha
	for _, p := range plan {
		if p.tokens == 1 && p.held > p.s.prompt {
			t += e.Beta
		} else {
			t += e.Gamma*float64(p.tokens) + e.Square*float64(p.tokens)*float64(p.held)
		}
		t += e.Delta * float64(p.held)
	}
	return t
}

// plan puts an iteration together and records what it will have computed.
func (e Engine) plan(waiting, running *[]*sequence, free *int) []piece {
	budget := e.Batch
	if budget == 0 {
		budget = math.MaxInt / 2
	}
	var plan []piece
	room := func(s *sequence, n int) int { return (s.computed+n+15)/16 - s.blocks }
	take := func(s *sequence, n, blocks int) {
		*free -= blocks
		s.blocks += blocks
		s.computed += n
		budget -= n
		plan = append(plan, piece{s, n, s.computed, s.computed == s.need})
		if s.computed == s.need {
			s.need++ // the token that is written is computed next
		}
	}
	preempted := false
	for i := 0; i < len(*running); i++ {
		s := (*running)[i]
		if s.need-s.prompt >= s.output { // its last token is being computed
			continue
		}
		n := min(s.need-s.computed, budget)
		if n == 0 {
			continue
		}
		blocks := room(s, n)
		for blocks > *free {
			last := (*running)[len(*running)-1]
			*running = (*running)[:len(*running)-1]
			*free += last.blocks
			last.blocks, last.computed = 0, 0
			*waiting = append([]*sequence{last}, *waiting...)
			preempted = true
			plan = slices.DeleteFunc(plan, func(p piece) bool { return p.s == last })
			if last == s {
				break
			}
		}
		if i >= len(*running) || (*running)[i] != s {
			break
		}
		take(s, n, blocks)
	}
	for !preempted && len(*waiting) > 0 && budget > 0 && (e.Seqs == 0 || len(*running) < e.Seqs) {
		s := (*waiting)[0]
		hit := 0
		if s.out == 0 {
			hit = s.skip
		}
		n := min(s.need-hit, budget)
		s.computed = hit
		blocks := room(s, n)
		if blocks > *free || !e.Eager && len(*running) > 0 && (s.need+15)/16 > *free {
			s.computed = 0
			break
		}
		*waiting = (*waiting)[1:]
		*running = append(*running, s)
		take(s, n, blocks)
	}
	return plan
}

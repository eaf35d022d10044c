package plant

import (
	"math"
	"slices"
)

// makeRoom preempts the newest requests until the next tokens of the others fit: those of
// answers, and the next pieces of prompts. The tokens that a preempted answer already has are
// processed again as prompt. It reports whether it preempted any; if it did, no request is
// admitted.
func (e *engine) makeRoom() bool {
	before := e.preempt
	for e.running() > 1 && e.held+len(e.answer)+e.pieces() > e.law.KV {
		newest, from := -1, &e.answer
		for i := range e.answer {
			if newest < 0 || e.answer[i].entered > e.answer[newest].entered {
				newest = i
			}
		}
		for i := range e.prefill {
			if newest < 0 || e.prefill[i].entered > (*from)[newest].entered {
				newest, from = i, &e.prefill
			}
		}
		s := (*from)[newest]
		if from == &e.prefill {
			e.held -= s.prompt - s.left
			e.prefill = slices.Delete(e.prefill, newest, newest+1)
		} else {
			s = e.removeAnswer(newest)
			wrote := e.iter - s.began
			e.held -= s.prompt + wrote
			e.worth -= s.share()
			s.gap = max(s.gap, e.gapSince(s.began))
			s.last = e.at
			s.written += wrote
			s.prompt += wrote + 1
		}
		s.left = s.prompt
		e.preempt++
		if e.head > 0 {
			e.head--
			e.waiting[e.head] = s
		} else {
			e.waiting = append([]seq{s}, e.waiting...)
		}
	}
	return e.preempt > before
}

// pieces returns the prompt tokens that prompts in progress need in the next iteration.
func (e *engine) pieces() int {
	budget := math.MaxInt
	if e.law.Batch > 0 {
		budget = max(1, e.law.Batch-len(e.answer))
	}
	n := 0
	for i := range e.prefill {
		n += min(e.prefill[i].left, budget-n)
	}
	return n
}

// The answers are a heap ordered by finish, then by admission.
func answersBefore(a, b *seq) bool {
	if a.finish != b.finish {
		return a.finish < b.finish
	}
	return a.entered < b.entered
}

func (e *engine) pushAnswer(s seq) {
	e.answer = append(e.answer, s)
	e.up(len(e.answer) - 1)
}

func (e *engine) up(i int) {
	h := e.answer
	for i > 0 {
		p := (i - 1) / 2
		if !answersBefore(&h[i], &h[p]) {
			return
		}
		h[i], h[p] = h[p], h[i]
		i = p
	}
}

func (e *engine) popAnswer() seq { return e.removeAnswer(0) }

func (e *engine) removeAnswer(i int) seq {
	h := e.answer
	out, n := h[i], len(h)-1
	h[i] = h[n]
	e.answer = h[:n]
	if i == n {
		return out
	}
	h = e.answer
	for j := i; ; {
		k := 2*j + 1
		if k >= n {
			break
		}
		if k+1 < n && answersBefore(&h[k+1], &h[k]) {
			k++
		}
		if !answersBefore(&h[k], &h[j]) {
			break
		}
		h[j], h[k] = h[k], h[j]
		j = k
	}
	e.up(i)
	return out
}

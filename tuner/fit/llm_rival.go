package fit

import (
	"container/heap"
	"math"

	"github.com/hpatune/hpatune/tuner/plant"
)

// slowingGain is how much less a law of iterations has to leave unexplained than slots that
// slow down as they fill. The two laws are alike for short prompts, and differ in the time to
// the first token.
const slowingGain = 1.2

// slotsLoss returns the loss of a replica with slots that slow down. A call's own time is a
// line over its tokens; everything else follows from the law.
func (f *engineFit) slotsLoss(s *service) float64 {
	own := s.ownLines()
	mean := meanTotal(s.law.Times)
	stretch := make([]float64, len(s.law.Rate))
	for i := range stretch {
		stretch[i] = 1
		if i > 0 {
			stretch[i] = float64(i) / s.law.Rate[i] / mean
		}
	}
	sum, n := 0.0, 0.0
	for i := range f.stretches {
		t := &f.stretches[i]
		played := playSlots(t.about, stretch, own)
		for k := range t.about {
			if t.weight[k] > 0 {
				e, m := misfit(&t.about[k], &played[k])
				sum, n = sum+t.weight[k]*e, n+t.weight[k]*m
			}
		}
	}
	return sum / n
}

// ownLines returns what a call takes by itself: to its first token, by its prompt, and from
// there to its end, by its answer. Both are lines through the measurements without waits and
// slowdown.
func (s *service) ownLines() func(a *answer) (first, rest float64) {
	type points struct{ prompt, first, tokens, rest []float64 }
	by := map[int16]*points{}
	for i := range s.calls {
		c := &s.calls[i]
		if !c.ok || c.done <= s.start[i] {
			continue
		}
		p := by[c.class]
		if p == nil {
			p = &points{}
			by[c.class] = p
		}
		t := s.unstretched(i, s.alone)
		p.prompt, p.first = append(p.prompt, float64(c.request.Prompt)), append(p.first, t.First)
		p.tokens, p.rest = append(p.tokens, c.tokens), append(p.rest, t.Total-t.First)
	}
	type lines struct{ a, b, c, d float64 }
	of := map[int16]lines{}
	for class, p := range by {
		var l lines
		l.a, l.b = theilSen(thin(p.prompt, 400), thin(p.first, 400))
		l.c, l.d = theilSen(thin(p.tokens, 400), thin(p.rest, 400))
		of[class] = l
	}
	return func(a *answer) (first, rest float64) {
		l := of[a.class]
		return max(1e-6, l.a+l.b*float64(a.Prompt)), max(0, l.c+l.d*float64(a.Output))
	}
}

// playSlots serves calls, in order of arrival, on one server that starts empty. The server has
// len(stretch)-1 slots, first in first out; with k calls in service, each takes stretch[k]
// times its own time. Only First and Last of the results are filled.
func playSlots(calls []answer, stretch []float64, own func(*answer) (first, rest float64)) []plant.Played {
	out := make([]plant.Played, len(calls))
	var ends, firsts marks // in the server's virtual time, which runs at 1/stretch of real time
	var queue []int
	at, virtual := 0.0, 0.0
	begin := func(i int) {
		first, rest := own(&calls[i])
		heap.Push(&firsts, mark{virtual + first, i})
		heap.Push(&ends, mark{virtual + first + rest, i})
	}
	advance := func(to float64) {
		for len(ends) > 0 {
			pace := stretch[len(ends)]
			next := ends[0].at
			if len(firsts) > 0 {
				next = min(next, firsts[0].at)
			}
			if took := max(0, next-virtual) * pace; at+took > to {
				virtual += (to - at) / pace
				break
			} else {
				at, virtual = at+took, next
			}
			for len(firsts) > 0 && firsts[0].at <= virtual {
				out[heap.Pop(&firsts).(mark).call].First = at
			}
			for len(ends) > 0 && ends[0].at <= virtual {
				out[heap.Pop(&ends).(mark).call].Last = at
				if len(queue) > 0 {
					begin(queue[0])
					queue = queue[1:]
				}
			}
		}
		if !math.IsInf(to, 1) {
			at = to
		}
	}
	for i := range calls {
		advance(calls[i].At)
		if len(ends) < len(stretch)-1 {
			begin(i)
		} else {
			queue = append(queue, i)
		}
	}
	advance(math.Inf(1))
	return out
}

// mark is when something happens to a call.
type mark struct {
	at   float64
	call int
}

// marks is a heap (container/heap) with the earliest mark on top.
type marks []mark

// Len is how many marks there are.
func (h marks) Len() int { return len(h) }

// Less orders by time: the earliest is at index 0.
func (h marks) Less(i, j int) bool { return h[i].at < h[j].at }

// Swap exchanges two marks; heap calls it.
func (h marks) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push appends x; call heap.Push, which restores the order.
func (h *marks) Push(x any) { *h = append(*h, x.(mark)) }

// Pop removes the last mark; call heap.Pop, which moves the earliest there.
func (h *marks) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	*h = (*h)[:n]
	return x
}

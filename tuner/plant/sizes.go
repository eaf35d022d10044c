package plant

import (
	"cmp"
	"slices"
	"sort"
)

// alike is how many of the law's times a request with known tokens draws from: those of the
// requests whose size is nearest to its own.
const alike = 16

// sizes are a class's times in the order of what their tokens take, so that a request with
// known tokens gets the time of one like it. A long answer takes long on any day, and a spike
// of long answers is another load than a spike of short ones.
type sizes struct {
	times          []ServiceTime
	size           []float64 // of each time, in seconds around their mean; not falling
	prompt, output float64   // seconds per token
}

// classify sorts the law's times by the class of their request, and these by size.
func (m *Model) classify() {
	m.byClass = map[int16][]ServiceTime{-1: m.Law.Times}
	for _, t := range m.Law.Times {
		m.byClass[t.Class] = append(m.byClass[t.Class], t)
	}
	m.sized = sizesOf(m.byClass)
}

// drawn returns the service time of a request without one of its own. It depends on the seed
// and the request alone, so that all candidates get the same.
func (m *Model) drawn(r *Request, seed uint64) *ServiceTime {
	if r.Class < 0 && r.Output <= 0 { // as on every drawn day
		return &m.Law.Times[mix(seed, uint64(r.Index))%uint64(len(m.Law.Times))]
	}
	class := r.Class
	if m.byClass[class] == nil {
		class = -1
	}
	times := m.byClass[class]
	if s := m.sized[class]; s != nil && r.Output > 0 {
		times = s.near(float64(r.Prompt), float64(r.Output))
	}
	return &times[mix(seed, uint64(r.Index))%uint64(len(times))]
}

// sizesOf fits each class's time to its tokens, by least squares. A class whose times have no
// tokens, or do not differ in them, has no sizes.
func sizesOf(byClass map[int16][]ServiceTime) map[int16]*sizes {
	out := map[int16]*sizes{}
	for class, times := range byClass {
		if s := sizesIn(times); s != nil {
			out[class] = s
		}
	}
	return out
}

func sizesIn(times []ServiceTime) *sizes {
	n := float64(len(times))
	var prompt, output, total float64 // means
	for i := range times {
		t := &times[i]
		if t.Tokens <= 0 {
			return nil
		}
		prompt, output, total = prompt+t.Prompt/n, output+t.Tokens/n, total+t.Total/n
	}
	var pp, po, oo, pt, ot float64 // sums of products around the means
	for i := range times {
		p, o, t := times[i].Prompt-prompt, times[i].Tokens-output, times[i].Total-total
		pp, po, oo, pt, ot = pp+p*p, po+p*o, oo+o*o, pt+p*t, ot+o*t
	}
	s := &sizes{}
	switch det := pp*oo - po*po; {
	case det > 1e-9*pp*oo:
		s.prompt, s.output = (pt*oo-ot*po)/det, (ot*pp-pt*po)/det
	case oo > 0: // all prompts alike, or in step with the answers
		s.output = ot / oo
	case pp > 0:
		s.prompt = pt / pp
	default:
		return nil
	}
	s.times = slices.Clone(times)
	slices.SortStableFunc(s.times, func(a, b ServiceTime) int {
		return cmp.Compare(s.of(a.Prompt, a.Tokens), s.of(b.Prompt, b.Tokens))
	})
	for i := range s.times {
		s.size = append(s.size, s.of(s.times[i].Prompt, s.times[i].Tokens))
	}
	return s
}

// of returns what the tokens take, in seconds around an unstated mean.
func (s *sizes) of(prompt, output float64) float64 { return s.prompt*prompt + s.output*output }

// near returns the times of the requests nearest in size: at least alike of them, if there are
// so many, and all of the same size.
func (s *sizes) near(prompt, output float64) []ServiceTime {
	x := s.of(prompt, output)
	from := sort.SearchFloat64s(s.size, x)
	to := from + sort.Search(len(s.size)-from, func(i int) bool { return s.size[from+i] > x })
	for to-from < min(alike, len(s.size)) {
		if to == len(s.size) || from > 0 && x-s.size[from-1] <= s.size[to]-x {
			from--
		} else {
			to++
		}
	}
	return s.times[from:to]
}

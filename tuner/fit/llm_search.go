package fit

import (
	"cmp"
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/plant"
)

// begin returns where the search starts: the fastest answers show the time of an iteration,
// the fastest first tokens the time of a prompt token.
func (f *engineFit) begin() theta {
	var each, first, whole []float64
	for i := range f.stretches {
		for k := range f.stretches[i].about {
			a := &f.stretches[i].about[k]
			if f.stretches[i].weight[k] == 0 {
				continue
			}
			switch {
			case math.IsNaN(a.first) && !math.IsNaN(a.last):
				each = append(each, (a.last-a.At)/float64(a.Output))
			case !math.IsNaN(a.last) && a.Output > 1:
				each = append(each, (a.last-a.first)/float64(a.Output-1))
			}
			if !math.IsNaN(a.first) {
				first, whole = append(first, (a.first-a.At)/float64(a.Prompt)), append(whole, a.first-a.At)
			}
		}
	}
	var t theta
	if len(each) > 0 {
		slices.Sort(each)
		lo, hi := each[len(each)/10], each[len(each)*9/10]
		t[alpha], t[beta] = max(1e-6, 0.8*lo), max(1e-8, (hi-lo)/float64(f.most+1))
	}
	if len(first) > 0 {
		slices.Sort(first)
		t[gamma] = max(1e-9, first[len(first)/20])
	}
	if t[alpha] == 0 { // all answers have one token: take half of the fastest as an iteration's time
		slices.Sort(whole)
		t[alpha] = max(1e-6, whole[len(whole)/20]/2)
		t[gamma] /= 2
	}
	return t
}

// climb improves the free coefficients of l by Gauss–Newton. Each round keeps the composition
// of the iterations from the round before. It returns the best law that it found.
func (f *engineFit) climb(l plant.Iterations, free [coefficients]bool, rounds int) (plant.Iterations, float64) {
	best, least := l, f.loss(&l, nil)
	for range rounds {
		a, b, _, _ := f.normal(&l, free)
		from := thetaOf(&l)
		to := solve(a, b, from, free)
		improved := false
		for _, step := range []float64{1, 0.5, 0.2} {
			var t theta
			for i := range t {
				t[i] = from[i] + step*(to[i]-from[i])
			}
			next := t.into(l)
			if !(next.Alpha+next.Beta > 1e-7) {
				continue
			}
			if e := f.loss(&next, nil); e < least {
				if e > least*0.9995 {
					rounds = 0
				}
				best, least, l, improved = next, e, next, true
				break
			}
		}
		if !improved {
			break
		}
	}
	return best, least
}

// polish continues with Nelder–Mead in logarithms. Unlike climb, it accounts for how a
// coefficient changes which requests are served together.
func (f *engineFit) polish(l plant.Iterations, free [coefficients]bool, tries int) (plant.Iterations, float64) {
	var dims []int
	from := thetaOf(&l)
	for i := range free {
		if free[i] && from[i] > 0 {
			dims = append(dims, i)
		}
	}
	at := func(x []float64) plant.Iterations {
		t := from
		for i, d := range dims {
			t[d] = from[d] * math.Exp(x[i])
		}
		return t.into(l)
	}
	value := func(x []float64) float64 {
		m := at(x)
		return f.loss(&m, nil)
	}
	x, least := simplex(value, len(dims), 0.15, tries)
	return at(x), least
}

// simplex minimizes f by Nelder–Mead, starting at 0; size is that of the first simplex.
func simplex(f func([]float64) float64, n int, size float64, tries int) ([]float64, float64) {
	type point struct {
		x []float64
		y float64
	}
	p := make([]point, n+1)
	for i := range p {
		x := make([]float64, n)
		if i > 0 {
			x[i-1] = size
		}
		p[i] = point{x, f(x)}
	}
	order := func() { slices.SortStableFunc(p, func(a, b point) int { return cmp.Compare(a.y, b.y) }) }
	for tries -= n + 1; tries > 0 && n > 0; {
		order()
		worst := &p[n]
		if worst.y-p[0].y < 1e-5*p[0].y {
			break
		}
		mid := make([]float64, n)
		for _, q := range p[:n] {
			for j := range mid {
				mid[j] += q.x[j] / float64(n)
			}
		}
		go1 := func(k float64) point {
			x := make([]float64, n)
			for j := range x {
				x[j] = mid[j] + k*(worst.x[j]-mid[j])
			}
			tries--
			return point{x, f(x)}
		}
		r := go1(-1)
		switch {
		case r.y < p[0].y:
			if e := go1(-2); e.y < r.y {
				r = e
			}
			*worst = r
		case r.y < p[n-1].y:
			*worst = r
		default:
			k := 0.5
			if r.y < worst.y {
				k = -0.5
			}
			if c := go1(k); c.y < min(r.y, worst.y) {
				*worst = c
				continue
			}
			for i := 1; i <= n; i++ {
				for j := range p[i].x {
					p[i].x[j] = p[0].x[j] + 0.5*(p[i].x[j]-p[0].x[j])
				}
				p[i].y = f(p[i].x)
				tries--
			}
		}
	}
	order()
	return p[0].x, p[0].y
}

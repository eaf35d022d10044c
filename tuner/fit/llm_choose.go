package fit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/tuner/plant"
)

// batches are the usual limits of tokens per iteration (the defaults of vLLM, SGLang and TGI,
// and the values in their guides); 0 = none.
var batches = []int{2048, 512, 1024, 4096, 8192, 16384, 0}

// guess is a law and how much it leaves unexplained.
type guess struct {
	law  plant.Iterations
	free [coefficients]bool
	loss float64
}

// coefficients is how many of α, β, γ and δ the law uses: those that were free and came out above 0.
func (g guess) coefficients() int {
	n := 0
	for i, v := range thetaOf(&g.law) {
		if i != own && g.free[i] && v > 0 {
			n++
		}
	}
	return n
}

// allFree lets every coefficient be fitted.
var allFree = [coefficients]bool{true, true, true, true, true}

// known is what was stated about the server and need not be found; 0 = not stated.
type known struct{ batch, seqs, kv int }

// What a law leaves unexplained once its fit is complete, at least, as a share of what it does
// with the usual limits, and with the best limits but before polish. Recordings of all worlds of
// language models in test/evaluate gave 0.71 to 0.96 and 0.81 to 0.98. There slots leave 1.02 to
// 2.9 times as much as the first, and 0.29 to 0.90 times in the worlds of slots.
const (
	leastAfterFirst  = 0.6
	leastAfterLimits = 0.75
)

// beaten reports whether slots explain the log as well as the law could that leaves loss
// unexplained so far, and at least a share of it at the end.
func (f *engineFit) beaten(loss, least float64) bool {
	return f.slots > 0 && f.slots <= slowingGain*least*loss
}

// usual returns the limits that engines have by default, as far as they are not stated.
func (f *engineFit) usual(k known) plant.Iterations {
	l := plant.Iterations{Batch: batches[0], Seqs: f.seqs(k)[0], KV: k.kv}
	if k.batch > 0 {
		l.Batch = k.batch
	}
	return l
}

// first returns what a law with the usual limits leaves unexplained.
func (f *engineFit) first(few *engineFit, l plant.Iterations, starts ...theta) float64 {
	best := guess{law: l, loss: math.Inf(1)}
	for _, ahead := range []bool{true, false} {
		l.Ahead = ahead
		for _, from := range starts {
			if m, e := few.climb(from.into(l), allFree, 12); e < best.loss {
				best = guess{m, allFree, e}
			}
		}
	}
	return f.loss(&best.law, nil)
}

// choose finds the law. It tries limits that engines usually have and that the log shows, fits
// coefficients by climb and polish, and takes the simplest of the nested laws that explains
// the log within the noise. ok is false if it gave up, since slots explain the log as well.
func (f *engineFit) choose(k known) (best guess, rivals []guess, ok bool) {
	begin, few := f.begin(), f.fewer()
	quick := begin // too slow a guess overloads the server, and then shows nothing
	for i := range quick {
		quick[i] /= 2
	}
	best.loss = math.Inf(1)
	try := func(l plant.Iterations) {
		starts := []theta{begin, thetaOf(&best.law)}
		if best.loss > 0.3 {
			starts = append(starts, quick)
		}
		for _, from := range starts {
			if from[alpha]+from[beta] <= 0 {
				continue
			}
			if m, e := few.climb(from.into(l), allFree, 12); e < best.loss {
				best = guess{m, allFree, e}
			}
		}
	}
	sizes := batches
	if k.batch > 0 {
		sizes = []int{k.batch}
	}
	seqs := f.seqs(k)
	limits := func() {
		l := best.law
		for _, b := range sizes {
			for _, ahead := range []bool{true, false} {
				l.Batch, l.Ahead = b, ahead
				try(l)
			}
		}
		l = best.law
		for _, n := range seqs {
			l.Seqs = n
			try(l)
		}
	}
	best.law.Seqs, best.law.KV = seqs[0], k.kv
	if f.slots > 0 && f.beaten(f.first(few, f.usual(k), begin, quick), leastAfterFirst) {
		return best, nil, false
	}
	limits()
	limits()
	if few != f {
		best.law, best.loss = f.climb(best.law, allFree, 12)
	}
	if f.beaten(best.loss, leastAfterLimits) {
		return best, nil, false
	}
	if k.kv == 0 {
		f.memory(&best, seqs)
	}
	best.law, best.loss = f.polish(best.law, best.free, 250)
	best, rivals = f.simplest(best)
	// A limit that was never reached is no limit.
	if k.seqs == 0 && best.law.Seqs > 0 && !f.binds(&best.law, func(l *plant.Iterations) { l.Seqs = 0 }) {
		best.law.Seqs = 0
	}
	if k.kv == 0 && best.law.KV > 0 && !f.binds(&best.law, func(l *plant.Iterations) { l.KV = 0 }) {
		best.law.KV = 0
	}
	best.loss = f.loss(&best.law, nil)
	return best, rivals, true
}

// boundCalls is how many requests a limit must have delayed to count as real.
const boundCalls = 5

// binds reports whether the log shows a limit of l, which free removes: the limit changes the
// first-token time of at least boundCalls requests by a tenth, and those times are closer to
// the measured ones with it than without.
func (f *engineFit) binds(l *plant.Iterations, free func(*plant.Iterations)) bool {
	without := *l
	free(&without)
	n, with, none := 0, 0.0, 0.0
	for i := range f.stretches {
		s := &f.stretches[i]
		a, _ := l.Play(s.calls)
		b, _ := without.Play(s.calls)
		for k := range s.about {
			if s.weight[k] == 0 {
				continue
			}
			x, y := a[k].First-s.about[k].At, b[k].First-s.about[k].At
			if math.IsNaN(s.about[k].first) {
				x, y = a[k].Last-s.about[k].At, b[k].Last-s.about[k].At
			}
			if math.Abs(math.Log((x+softening)/(y+softening))) < 0.1 {
				continue
			}
			p, _ := misfit(&s.about[k], &a[k])
			q, _ := misfit(&s.about[k], &b[k])
			n, with, none = n+1, with+p, none+q
		}
	}
	return n >= boundCalls && with < 0.9*none
}

// seqs returns the limits of requests at once to try: those close to the most that the log
// shows at once, round numbers above it, and none.
func (f *engineFit) seqs(k known) []int {
	if k.seqs > 0 {
		return []int{k.seqs}
	}
	out := []int{f.most, f.most + 1, f.most + 2, f.most + 4}
	for _, n := range []int{8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024} {
		if n > f.most && n < 3*f.most {
			out = append(out, n)
		}
	}
	return append(out, 0)
}

// memory looks for a limit of the context held, near the maximum that the log shows.
func (f *engineFit) memory(best *guess, seqs []int) {
	most := f.held()
	if most == 0 {
		return
	}
	with := *best
	for _, k := range []float64{0.8, 0.88, 0.94, 0.97, 1, 1.03, 1.06, 1.12, 1.2} {
		for _, n := range []int{best.law.Seqs, 0} {
			l := best.law
			l.KV, l.Seqs = int(k*most), n
			for _, from := range []theta{thetaOf(&l), f.begin()} {
				if m, e := f.climb(from.into(l), allFree, 6); e < with.loss {
					with = guess{m, allFree, e}
				}
			}
		}
	}
	if with.law.KV == 0 || !f.clearly(with, *best) {
		return
	}
	for _, k := range []float64{0.985, 1.015, 0.9925, 1.0075} {
		l := with.law
		l.KV = int(float64(l.KV) * k)
		if m, e := f.climb(l, allFree, 6); e < with.loss {
			with = guess{m, allFree, e}
		}
	}
	for _, n := range seqs {
		l := with.law
		l.Seqs = n
		if m, e := f.climb(l, allFree, 6); e < with.loss*0.98 {
			with = guess{m, allFree, e}
		}
	}
	*best = with
}

// held returns the most context that the log shows at once, in tokens: prompts, and the part
// of the answers written by then, spread evenly over their time.
func (f *engineFit) held() float64 {
	most := 0.0
	for i := range f.stretches {
		about := f.stretches[i].about
		var ends []float64
		for k := range about {
			if a := &about[k]; a.seen && !math.IsNaN(a.first) && !math.IsNaN(a.last) {
				ends = append(ends, a.last)
			}
		}
		slices.Sort(ends)
		for _, t := range thin(ends, 400) {
			sum := 0.0
			for k := range about {
				a := &about[k]
				if a.seen && a.first < t && a.last >= t {
					sum += float64(a.Prompt) + float64(a.Output)*(t-a.first)/(a.last-a.first)
				}
			}
			most = max(most, sum)
		}
	}
	return most
}

// worthwhile is the least share of the unexplained part that one more coefficient has to
// explain, however significant it is.
const worthwhile = 0.02

// clearly reports whether a explains the log better than b beyond the noise: over twenty spans
// of time the mean difference is more than twice its standard error, and the gain is
// worthwhile.
func (f *engineFit) clearly(a, b guess) bool {
	var x, y []float64
	f.loss(&a.law, func(e float64) { x = append(x, e) })
	f.loss(&b.law, func(e float64) { y = append(y, e) })
	n := min(len(x), len(y))
	if n == 0 || a.loss > (1-worthwhile)*b.loss {
		return false
	}
	const parts = 20
	var d [parts]float64
	for p := range d {
		lo, hi := p*n/parts, (p+1)*n/parts
		for i := lo; i < hi; i++ {
			d[p] += (y[i] - x[i]) / float64(max(1, hi-lo))
		}
	}
	mean, sq := 0.0, 0.0
	for _, v := range d {
		mean += v / parts
	}
	for _, v := range d {
		sq += (v - mean) * (v - mean)
	}
	return mean > 2*math.Sqrt(sq/(parts*(parts-1)))
}

// simplest returns the law with the fewest coefficients that explains the log as well as the
// best one, within the noise. It returns the others as rivals, those with the fewest
// coefficients first.
func (f *engineFit) simplest(best guess) (guess, []guess) {
	begin := f.begin()
	refit := func(without ...int) guess {
		g := best
		for _, i := range without {
			g.free[i] = false
		}
		l := best.law
		if !g.free[gamma] {
			l.Batch = 0
		}
		g.loss = math.Inf(1)
		for _, t := range []theta{thetaOf(&best.law), begin} {
			for _, i := range without {
				t[i] = 0
			}
			if !(t[alpha]+t[beta] > 0) {
				t[alpha] = begin[alpha]
			}
			if m, e := f.climb(t.into(l), g.free, 12); e < g.loss {
				g.law, g.loss = m, e
			}
		}
		g.law, g.loss = f.polish(g.law, g.free, 150)
		return g
	}
	all := []guess{best}
	for _, without := range [][]int{{beta, gamma, delta}, {gamma, delta}, {beta, delta}, {beta, gamma}, {delta}, {beta},
		{gamma}} {
		all = append(all, refit(without...))
	}
	slices.SortStableFunc(all, func(a, b guess) int {
		return cmp.Or(cmp.Compare(a.coefficients(), b.coefficients()), cmp.Compare(a.loss, b.loss))
	})
	least := slices.MinFunc(all, func(a, b guess) int { return cmp.Compare(a.loss, b.loss) })
	for i, g := range all {
		if !f.clearly(least, g) {
			return g, slices.Delete(all, i, i+1)
		}
	}
	return least, all // not reached: nothing is clearly better than itself
}

// lawName returns the name of a law with these coefficients.
func lawName(l *plant.Iterations) string {
	switch {
	case l.Gamma > 0 || l.Delta > 0:
		return "iterations"
	case l.Beta > 0:
		return "batch"
	}
	return "slots"
}

// errors returns the standard errors of the coefficients, from the curvature of the sum of
// squares, and the pairs that are correlated.
func (f *engineFit) errors(g guess) (se theta, pairs [][2]int) {
	a, _, rss, n := f.normal(&g.law, g.free)
	t := thetaOf(&g.law)
	var idx []int
	for i := range t {
		se[i] = math.NaN()
		if g.free[i] && t[i] > 0 && a[i][i] > 0 {
			idx = append(idx, i)
		}
	}
	m := len(idx)
	if m == 0 || n <= float64(m) {
		return se, nil
	}
	// Invert the scaled matrix by Gauss and Jordan.
	inv := make([][]float64, m)
	for i := range inv {
		inv[i] = make([]float64, 2*m)
		for j := range m {
			inv[i][j] = a[idx[i]][idx[j]] / math.Sqrt(a[idx[i]][idx[i]]*a[idx[j]][idx[j]])
		}
		inv[i][i] += 1e-12
		inv[i][m+i] = 1
	}
	for i := range inv {
		p := inv[i][i]
		for j := range inv[i] {
			inv[i][j] /= p
		}
		for k := range inv {
			if k == i {
				continue
			}
			c := inv[k][i]
			for j := range inv[k] {
				inv[k][j] -= c * inv[i][j]
			}
		}
	}
	s2 := rss / (n - float64(m))
	for i := range idx {
		se[idx[i]] = math.Sqrt(s2 * max(0, inv[i][m+i]) / a[idx[i]][idx[i]])
		for j := range i {
			if r := inv[i][m+j] / math.Sqrt(inv[i][m+i]*inv[j][m+j]); math.Abs(r) > 0.95 {
				pairs = append(pairs, [2]int{idx[j], idx[i]})
			}
		}
	}
	return se, pairs
}

var coefficientNames = [coefficients]struct{ name, unit, what string }{
	alpha: {"alpha", "s per iteration", "an iteration's own time"},
	beta:  {"beta", "s per answer", "what an answer adds"},
	gamma: {"gamma", "s per prompt token", "what a prompt token adds"},
	delta: {"delta", "s per token of context", "what context adds"},
	own:   {"own", "s per request", "a request's time outside iterations"},
}

// describe fills in what a reader wants to know about the law.
func (f *engineFit) describe(g guess, rivals []guess, k known) LLM {
	out := LLM{Law: g.law, Name: lawName(&g.law), Error: g.loss, N: f.n, Most: f.most}
	se, pairs := f.errors(g)
	for i, v := range thetaOf(&g.law) {
		c := coefficientNames[i]
		out.Terms = append(out.Terms, Term{c.name, v, se[i], c.unit})
	}
	for _, p := range pairs {
		a, b := coefficientNames[p[0]], coefficientNames[p[1]]
		out.Unsure = append(
			out.Unsure,
			fmt.Sprintf("%s (%s) and %s (%s) always change together in this log, so only their sum is known",
				a.name, a.what, b.name, b.what),
		)
	}
	for i, v := range thetaOf(&g.law) {
		switch c := coefficientNames[i]; {
		case !(v > 0 && se[i] > 0.5*v):
		case se[i] > v:
			out.Unsure = append(out.Unsure, fmt.Sprintf("%s (%s): its error is larger than its value", c.name, c.what))
		default:
			out.Unsure = append(out.Unsure, fmt.Sprintf("%s (%s) is uncertain: ± %s", c.name, c.what, figure.Percent(se[i]/v)))
		}
	}
	seen := map[string]bool{out.Name: true}
	for _, r := range rivals {
		if name := lawName(&r.law); !seen[name] {
			seen[name] = true
			out.Rivals = append(out.Rivals, Rival{name, r.loss})
		}
	}
	f.describeLimits(&out, g, k)
	return out
}

// describeLimits says which limits bind, and which other limits explain the log equally well.
func (f *engineFit) describeLimits(out *LLM, g guess, k known) {
	without := func(change func(*plant.Iterations)) guess {
		o := g
		change(&o.law)
		o.law, o.loss = f.climb(o.law, o.free, 8)
		return o
	}
	out.KVSeen, out.SeqsSeen = out.Law.KV > 0, out.Law.Seqs > 0
	if out.Law.Seqs == 0 {
		out.Unsure = append(out.Unsure, fmt.Sprintf("the limit of requests at once, which was not reached: it is %d or more",
			f.most))
	}
	if g.free[gamma] && g.law.Gamma > 0 && k.batch == 0 {
		same := []int{}
		for _, b := range batches {
			if b == g.law.Batch {
				continue
			}
			if o := without(func(l *plant.Iterations) { l.Batch = b }); !f.clearly(g, o) {
				same = append(same, b)
			}
		}
		if len(same) > 0 {
			slices.Sort(same)
			text := ""
			for i, b := range same {
				if i > 0 {
					text += ", "
				}
				if b == 0 {
					text += "none"
				} else {
					text += fmt.Sprint(b)
				}
			}
			out.Unsure = append(out.Unsure, fmt.Sprintf("the limit of tokens per iteration: %d explains the log as well as: %s",
				g.law.Batch, text))
		}
	}
}

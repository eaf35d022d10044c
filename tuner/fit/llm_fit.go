package fit

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hpatune/hpatune/results"
)

// LawOptions is what a log cannot say about a server, or need not.
type LawOptions struct {
	Batch int // at most this many tokens per iteration; 0 = find it
	Seqs  int // at most this many requests at once; 0 = find it
	KV    int // tokens of context that fit; 0 = find it
}

// ErrNoTokens means that a log does not say how long prompts and answers were.
var ErrNoTokens = errors.New("the log has fewer than 20 requests with prompt tokens, answer tokens and times")

// errBeaten means that slots explain a log as well as a law of iterations could.
var errBeaten = errors.New("slots explain the log as well")

// LanguageLaw fits a law of iterations to a run that shows which server answered, or that had
// one server.
func LanguageLaw(run *results.Run, o LawOptions) (LLM, error) {
	a, left := answers(run)
	out, err := fitAnswers(a, o)
	if n := hiddenServers(readLog(run)); n > 1 {
		out.Warnings = append(
			out.Warnings,
			fmt.Sprintf("the log does not show which of up to %d replicas answered: the model "+
				"treats all of them as one server", n),
		)
	}
	if left > 0 {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d of %d requests have no token counts and are left out, also as "+
			"load", left, left+len(a)))
	}
	return out, err
}

// fitAnswers fits a law to answers, in order of arrival; ErrNoTokens for fewer than 20.
func fitAnswers(a []answer, o LawOptions) (LLM, error) { return newEngineFit(a).law(o) }

// law chooses and describes the law that explains the log. It returns errBeaten if it gave up.
func (f *engineFit) law(o LawOptions) (LLM, error) {
	if f.n < 20 {
		return LLM{}, ErrNoTokens
	}
	k := known{o.Batch, o.Seqs, o.KV}
	best, rivals, ok := f.choose(k)
	if !ok {
		return LLM{}, errBeaten
	}
	out := f.describe(best, rivals, k)
	f.classes(&out)
	return out, nil
}

// newEngineFit sorts answers by server and weights them by load class, so that a law is
// equally accurate at loads that are rare.
func newEngineFit(a []answer) *engineFit {
	f := &engineFit{}
	byServer, count := map[int][]*answer{}, map[int]int{}
	for i := range a {
		count[a[i].server]++
	}
	for i := range a {
		x := &a[i]
		if byServer[x.server] == nil {
			byServer[x.server] = make([]*answer, 0, count[x.server])
		}
		byServer[x.server] = append(byServer[x.server], x)
		if x.measured() {
			f.n++
		}
	}
	var logs []serverLog
	for _, k := range sortedKeys(byServer) {
		logs = append(logs, serverLog{byServer[k], insideOf(byServer[k])})
		f.most = max(f.most, writingOf(byServer[k]))
	}
	f.stretches = cut(logs, wholeCalls)
	f.weigh()
	return f
}

// sortedKeys returns the keys of a map in ascending order, so that the same log gives the same
// fit.
func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	var keys []K
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// measured reports whether a law can be compared with the request's times.
func (a *answer) measured() bool { return a.seen && !math.IsNaN(a.last) && a.last > a.At }

// insideOf returns how many requests were in the server when each request came, by the log.
func insideOf(about []*answer) []int {
	out := make([]int, len(about))
	var ends floats
	for i := range about {
		for len(ends) > 0 && ends[0] <= about[i].At {
			heap.Pop(&ends)
		}
		out[i] = len(ends)
		if about[i].measured() {
			heap.Push(&ends, about[i].last)
		}
	}
	return out
}

// writingOf returns the most answers that were being written at once.
func writingOf(about []*answer) int {
	var ends floats
	most := 0
	var order []*answer
	for _, a := range about {
		if a.measured() {
			order = append(order, a)
		}
	}
	from := func(a *answer) float64 {
		if math.IsNaN(a.first) {
			return a.At
		}
		return a.first
	}
	slices.SortStableFunc(order, func(a, b *answer) int { return sign(from(a) - from(b)) })
	for _, a := range order {
		for len(ends) > 0 && ends[0] <= from(a) {
			heap.Pop(&ends)
		}
		heap.Push(&ends, a.last)
		most = max(most, len(ends))
	}
	return most
}

// classOf groups loads by powers of two: 0, 1, 2–3, 4–7, …
func classOf(inside int) int {
	c := 0
	for ; inside > 0; inside >>= 1 {
		c++
	}
	return c
}

// weigh gives every load class the same weight, but less to those with few requests.
func (f *engineFit) weigh() {
	count := map[int]float64{}
	n := 0.0
	for i := range f.stretches {
		for k, w := range f.stretches[i].weight {
			if w > 0 {
				count[classOf(f.stretches[i].inside[k])]++
				n++
			}
		}
	}
	for i := range f.stretches {
		s := &f.stretches[i]
		for k, w := range s.weight {
			if w > 0 {
				s.weight[k] = min(4, n/float64(len(count))/count[classOf(s.inside[k])])
			}
		}
	}
}

// classes compares the law with the log, load by load, and looks for prompts that the server
// had cached.
func (f *engineFit) classes(out *LLM) {
	type pair struct{ got, want []float64 }
	by := map[int]*pair{}
	quick, asked := 0, 0
	for i := range f.stretches {
		s := &f.stretches[i]
		played, _ := out.Law.Play(s.calls)
		for k := range s.about {
			a := &s.about[k]
			if s.weight[k] == 0 || math.IsNaN(a.first) {
				continue
			}
			c := classOf(s.inside[k])
			if by[c] == nil {
				by[c] = &pair{}
			}
			got, want := played[k].First-a.At, a.first-a.At
			by[c].got, by[c].want = append(by[c].got, got), append(by[c].want, want)
			// Only a cached prompt is faster than an idle server.
			alone := out.Law.Alone(a.Prompt)
			if alone > 3*(out.Law.Alpha+out.Law.Own) && out.Law.Gamma > 0 {
				asked++
				if want < 0.6*alone {
					quick++
				}
			}
		}
	}
	var keys []int
	for c := range by {
		keys = append(keys, c)
	}
	slices.Sort(keys)
	for _, c := range keys {
		p := by[c]
		l := LoadClass{N: len(p.want), TTFT: median(p.want), Predicted: median(p.got)}
		if c > 0 {
			l.From, l.To = 1<<(c-1), 1<<c-1
		}
		out.Classes = append(out.Classes, l)
	}
	if quick >= 5 && quick*20 > asked {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%d of %d requests got their first token in less than 60 %% "+
			"of the time that their prompts take on an idle server, perhaps from a prefix cache; the model treats "+
			"every prompt as new", quick, asked))
	}
}

// hiddenServers returns the most replicas that answered at the same time, if the log does not
// show which one answered; 1 if it does, or if no pods were seen.
func hiddenServers(l *log) int {
	n := 1
	if !l.visible {
		for i := range l.calls {
			n = max(n, l.sharing(l.calls[i].sent))
		}
	}
	return n
}

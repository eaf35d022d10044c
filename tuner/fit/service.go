package fit

import (
	"container/heap"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/plant"
)

// served is a request that a replica worked on, in seconds.
type served struct {
	sent, first, done float64 // first = done where the answer did not stream
	start             float64 // when it got its slot, by the fitted law
	inside            int     // in its replica when it came, without itself (the mean one's, where it is not visible which)
	server            int
	class             int16
	tokens            float64
	ok                bool // a good answer, whose pods were watched
	request           *results.Request
}

// server is one replica's log: indices into served, in order of arrival.
type server struct {
	backend int // index into Meta.Backends; -1 = all of them behind one address
	calls   []int
}

// match sorts the log by server.
func (f *fitting) match() {
	byBackend := map[int32]int{}
	visible := 0
	for i := range f.run.Requests {
		r := &f.run.Requests[i]
		if r.Backend >= 0 {
			visible++
		}
	}
	for _, l := range f.lives() {
		if results.Happened(l.ready) {
			span := [2]float64{l.ready.Seconds(), math.Inf(1)}
			if results.Happened(l.ended) {
				span[1] = l.ended.Seconds()
			}
			f.readyAt = append(f.readyAt, span)
		}
	}
	answered := 0
	for i := range f.run.Requests {
		if f.run.Requests[i].Outcome == results.OK {
			answered++
		}
	}
	f.visible = visible*10 >= answered*9 && visible > 0
	for i := range f.run.Requests {
		r := &f.run.Requests[i]
		switch r.Outcome {
		case results.Shed, results.Connect, results.HTTP429, results.HTTP4xx, results.HTTP5xx:
			continue // no slot was held
		}
		if !results.Happened(r.Sent) || !results.Happened(r.Done) {
			continue
		}
		backend := r.Backend
		if !f.visible {
			backend = -1
		} else if backend < 0 {
			continue
		}
		k, ok := byBackend[backend]
		if !ok {
			k = len(f.servers)
			byBackend[backend] = k
			f.servers = append(f.servers, server{backend: int(backend)})
		}
		s := served{sent: r.Sent.Seconds(), done: r.Done.Seconds(), server: k, class: r.Class, tokens: float64(r.Tokens), ok: r.Outcome == results.OK && !f.hidden.meet(r.Sent, r.Done), request: r}
		s.first = s.done
		if results.Happened(r.First) {
			s.first = r.First.Seconds()
		}
		f.served = append(f.served, s)
	}
	slices.SortStableFunc(f.served, func(a, b served) int { return sign(a.sent - b.sent) })
	for i := range f.served {
		s := &f.servers[f.served[i].server]
		s.calls = append(s.calls, i)
	}
	for _, s := range f.servers {
		var done floats
		for _, i := range s.calls {
			c := &f.served[i]
			for len(done) > 0 && done[0] <= c.sent {
				heap.Pop(&done)
			}
			c.inside = len(done) / f.sharing(c.sent)
			heap.Push(&done, c.done)
		}
	}
}

// sharing is how many ready replicas a server stands for at time t: 1, or all
// of them where it is not visible which one answered.
func (f *fitting) sharing(t float64) int {
	if f.visible || len(f.readyAt) == 0 {
		return 1
	}
	n := 0
	for _, r := range f.readyAt {
		if r[0] <= t && t < r[1] {
			n++
		}
	}
	return max(1, n)
}

func sign(x float64) int {
	switch {
	case x < 0:
		return -1
	case x > 0:
		return 1
	}
	return 0
}

// floats is a heap of the smallest.
type floats []float64

func (h floats) Len() int           { return len(h) }
func (h floats) Less(i, j int) bool { return h[i] < h[j] }
func (h floats) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *floats) Push(x any)        { *h = append(*h, x.(float64)) }
func (h *floats) Pop() any {
	n := len(*h) - 1
	x := (*h)[n]
	*h = (*h)[:n]
	return x
}

// starts fills in when each request got its slot if a replica has m of them and
// its queue is first in, first out: when all but m-1 of those before it had
// ended. That needs nothing but the recorded ends.
func (f *fitting) starts(m int) {
	for _, s := range f.servers {
		var last floats // the m latest ends so far; the top is the m-th latest
		for _, i := range s.calls {
			c := &f.served[i]
			c.start = c.sent
			if len(last) == m {
				c.start = max(c.sent, last[0])
			}
			switch {
			case len(last) < m:
				heap.Push(&last, c.done)
			case c.done > last[0]:
				last[0] = c.done
				heap.Fix(&last, 0)
			}
		}
	}
}

// spread is how much the requests' own part of their latency varies under the
// present starts: the mean absolute deviation from what its class takes (by
// tokens, where answers come in one piece), over the median. With too many
// slots waits are taken for service; with too few, service for waits. The right
// number has the least.
func (f *fitting) spread(streams bool) float64 {
	type points struct{ x, y []float64 }
	byClass := map[int16]*points{}
	for i := range f.served {
		c := &f.served[i]
		if !c.ok {
			continue
		}
		p := byClass[c.class]
		if p == nil {
			p = &points{}
			byClass[c.class] = p
		}
		x, y := 0.0, c.first-c.start // the first token's time does not depend on how many follow
		if !streams {
			x, y = c.tokens, c.done-c.start
		}
		p.x, p.y = append(p.x, x), append(p.y, y)
	}
	sum, n := 0.0, 0.0
	for _, p := range byClass {
		a, b := theilSen(thin(p.x, 400), thin(p.y, 400))
		middle := max(1e-6, math.Abs(median(slices.Clone(p.y))))
		for i, x := range p.x {
			sum += math.Abs(p.y[i]-a-b*x) / middle
			n++
		}
	}
	return sum / n
}

// hiddenSlots fits slots where it is not visible which replica answered. What a
// request itself takes is then what its class's quickest tenth took to the
// first token (in one piece: what those took that came to the emptiest
// replicas, by tokens), the rest is wait; and slots are what keeps the fullest
// stretches' throughput going, C·E[S]. Replicas that a balancer left idle in
// those stretches make it too low.
func (f *fitting) hiddenSlots(streams bool) int {
	type class struct{ first, tokens, total []float64 }
	classes := map[int16]*class{}
	var inside []float64
	for i := range f.served {
		inside = append(inside, float64(f.served[i].inside))
	}
	slices.Sort(inside)
	quiet := int(inside[len(inside)/4])
	for i := range f.served {
		c := &f.served[i]
		if !c.ok {
			continue
		}
		if classes[c.class] == nil {
			classes[c.class] = &class{}
		}
		k := classes[c.class]
		k.first = append(k.first, c.first-c.sent)
		if c.inside <= quiet {
			k.tokens, k.total = append(k.tokens, c.tokens), append(k.total, c.done-c.sent)
		}
	}
	type own struct{ first, a, b float64 }
	owns := map[int16]own{}
	for k, c := range classes {
		slices.Sort(c.first)
		a, b := theilSen(thin(c.tokens, 400), thin(c.total, 400))
		owns[k] = own{c.first[len(c.first)/10], a, b}
	}
	sum, n := 0.0, 0.0
	for i := range f.served {
		c := &f.served[i]
		o := owns[c.class]
		c.start = c.sent
		if streams && c.first-c.sent > 1.25*o.first {
			c.start = max(c.sent, c.first-o.first)
		} else if !streams && c.inside > quiet {
			c.start = max(c.sent, c.done-o.a-o.b*c.tokens)
		}
		if c.ok {
			sum, n = sum+c.done-c.start, n+1
		}
	}
	mean := sum / n
	width := max(15, 3*mean)
	var rates []float64
	for from := f.served[0].sent; from+width <= f.served[len(f.served)-1].sent; from += width / 2 {
		// Work done in the window, in requests, over the replicas that were there.
		rates = append(rates, f.did(0, from, from+width).done/float64(f.sharing(from+width/2)))
	}
	if len(rates) == 0 {
		return 1
	}
	slices.Sort(rates)
	return max(1, int(math.Round(rates[len(rates)*9/10]*mean)))
}

// service fits the law: slots from where waiting begins, service times from the
// requests themselves, slowing from how they stretch as slots fill.
func (f *fitting) service() error {
	ok, streamed, most := 0, 0, 0
	for i := range f.served {
		c := &f.served[i]
		most = max(most, c.inside+1)
		if c.ok {
			ok++
			if c.first < c.done {
				streamed++
			}
		}
	}
	if ok < 20 {
		return errors.New("fit: fewer than 20 requests were answered while the pods were watched, too few to say how long one takes; record a longer run")
	}
	switch {
	case f.visible:
	case len(f.readyAt) > 0:
		f.warn("which replica answered is not visible: requests are held against the number that was ready")
	default:
		f.assume("all replicas are one: which of them answered, and how many there were, is not visible")
	}
	streams := streamed*2 > ok
	best, least := 1, math.Inf(1)
	if !f.visible && len(f.readyAt) > 0 {
		best, least, most = f.hiddenSlots(streams), 0, 0
	}
	for m := 1; m <= most; m = max(m+1, m*21/20) {
		m = min(m, most)
		f.starts(m)
		// More slots must explain clearly more to be believed: where nothing ever
		// waited, the fewest that say so are the evidence.
		if s := f.spread(streams); s < least*0.98-1e-4 {
			best, least = m, s
		}
		if m == most {
			break
		}
	}
	if most > 0 {
		f.starts(best)
	}
	waited := 0
	var times []plant.ServiceTime
	var all []plant.ServiceTime
	for i := range f.served {
		c := &f.served[i]
		if c.start > c.sent {
			waited++
		}
		if !c.ok || c.done <= c.start {
			continue
		}
		t := plant.ServiceTime{Class: c.class, First: max(0, min(c.first, c.done)-c.start), Total: c.done - c.start, Tokens: c.tokens}
		all = append(all, t)
		if c.start == c.sent {
			times = append(times, t)
		}
	}
	if len(times) < 50 { // hardly any did not wait: take them all
		times = all
	}
	times = thin(times, 1024)
	f.w.Service = plant.SlotsLaw(best, times)
	f.quality("service", meanTotal(times), len(times), "mean service time, seconds, without waiting")
	f.quality("slots", least, ok, "%d at once; mean deviation of what a request itself takes, as a ratio of its median", best)
	if waited*50 < ok {
		f.warn("replicas were hardly ever full: %d at once were seen and no more could be, so their capacity is a lower bound; a run past saturation would tell", best)
	}
	f.slowing(best)
	f.ceiling()
	f.patience(streams)
	f.refusals(best)
	f.ownTimes()
	return nil
}

// stretch is a run of requests during which the same replicas answered.
type stretch struct {
	from, to int // indices into served
	servers  []int
}

// stable cuts the log where a replica answers first or last.
func (f *fitting) stable() []stretch {
	first, last := make([]int, len(f.servers)), make([]int, len(f.servers))
	cuts := []int{0, len(f.served)}
	for k, s := range f.servers {
		first[k], last[k] = s.calls[0], s.calls[len(s.calls)-1]+1
		cuts = append(cuts, first[k], last[k])
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	var out []stretch
	for i := 0; i+1 < len(cuts); i++ {
		s := stretch{from: cuts[i], to: cuts[i+1]}
		for k := range f.servers {
			if first[k] <= s.from && last[k] >= s.to {
				s.servers = append(s.servers, k)
			}
		}
		out = append(out, s)
	}
	return out
}

// serverOf finds the server of a pod, by its name or its address.
func (f *fitting) serverOf(pod string) int {
	address := ""
	for i := range f.run.Pods {
		if p := &f.run.Pods[i]; p.Name == pod && p.Backend != "" {
			address = p.Backend
		}
	}
	for k, s := range f.servers {
		if s.backend < 0 || s.backend >= len(f.run.Meta.Backends) {
			continue
		}
		b := f.run.Meta.Backends[s.backend]
		if b.Name == pod || address != "" && (b.Address == address || b.Name == address) || strings.HasPrefix(b.Name, pod+":") {
			return k
		}
	}
	return -1
}

func meanTotal(times []plant.ServiceTime) float64 {
	sum := 0.0
	for _, t := range times {
		sum += t.Total
	}
	return sum / float64(len(times))
}

// thin keeps at most n, evenly over their order.
func thin[T any](v []T, n int) []T {
	if len(v) <= n {
		return v
	}
	out := make([]T, n)
	for i := range out {
		out[i] = v[i*len(v)/n]
	}
	return out
}

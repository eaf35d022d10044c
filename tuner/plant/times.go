package plant

import (
	"math"
	"slices"
	"time"
)

// Timed is which time of a request a server measures. All of them start when the request
// reaches the server: a time before that, in which a proxy holds it, is not in them.
type Timed int8

// The times of a request.
const (
	ToFirst Timed = iota + 1 // to the first token; measured when that is out
	ToEnd                    // to the end of the answer; measured then
	InQueue                  // until its service starts; measured when its answer ends, as vLLM does
)

func (t Timed) String() string {
	switch t {
	case ToFirst:
		return "time to the first token"
	case ToEnd:
		return "time to the end of the answer"
	case InQueue:
		return "time in the queue"
	}
	return "unknown"
}

// Times is what a pipe reads that says how long requests took, not how many there are: their
// mean or a quantile of them, over the requests of all pods in the pipe's window. Every pod
// shows the pool's number, so Pipe.Over is Max. If nothing was measured in the window, there
// is no value.
type Times struct {
	Of       Timed
	Quantile float64 `json:",omitempty"` // 0..1; 0 = the mean
	// Buckets are the upper bounds of the server's histogram, in seconds, rising; a quantile is
	// interpolated within a bucket, as Prometheus does. nil = fine ones, within about 2 % of the
	// exact quantile.
	Buckets []float64 `json:",omitempty"`
	Unit    float64   `json:",omitempty"` // of the metric per second: 1000 for milliseconds; 0 = 1
}

// FineBuckets are the bounds of Times without Buckets: from 1 ms to 20 minutes, 12 % apart.
var FineBuckets = func() (out []float64) {
	for b := 1e-3; b < 1200; b *= 1.12 {
		out = append(out, b)
	}
	return out
}()

// Histogram counts times by bucket, and adds them up.
type Histogram struct {
	Bounds []float64 // upper, rising; a time above all of them counts in a bucket of its own
	count  []float64
	n, sum float64
}

// Reset empties h.
func (h *Histogram) Reset() {
	clear(h.count)
	h.n, h.sum = 0, 0
}

// Add counts n requests that took the given seconds; a negative n takes them away again.
func (h *Histogram) Add(took, n float64) {
	if h.count == nil {
		h.count = make([]float64, len(h.Bounds)+1)
	}
	i, _ := slices.BinarySearch(h.Bounds, took)
	h.count[i] += n
	h.n, h.sum = h.n+n, h.sum+took*n
}

// add counts what another histogram of the same bounds counted.
func (h *Histogram) add(o *Histogram) {
	if o.n == 0 {
		return
	}
	if h.count == nil {
		h.count = make([]float64, len(h.Bounds)+1)
	}
	for i, c := range o.count {
		h.count[i] += c
	}
	h.n, h.sum = h.n+o.n, h.sum+o.sum
}

// fewestSeen is how many requests there must be to tell a time: the fluid plant moves
// fractions of requests.
const fewestSeen = 0.5

// Of returns the mean (quantile 0) or a quantile as histogram_quantile computes it. ok is
// false if nothing was counted.
//
// Source: prometheus/prometheus promql/quantile.go, bucketQuantile.
func (h *Histogram) Of(quantile float64) (v float64, ok bool) {
	if h.n < fewestSeen {
		return 0, false
	}
	if quantile == 0 {
		return h.sum / h.n, true
	}
	rank := quantile * h.n
	below := 0.0
	for i, b := range h.Bounds {
		if c := h.count[i]; below+c >= rank && c > 0 {
			from := 0.0
			if i > 0 {
				from = h.Bounds[i-1]
			}
			return from + (b-from)*(rank-below)/c, true
		}
		below += h.count[i]
	}
	return h.Bounds[len(h.Bounds)-1], true
}

// meteredBins is how many intervals between scrapes a metered remembers: the ringSize behind
// the present one that can be read, and those ahead in which requests will end that are known
// today.
const meteredBins = 64

// metered is what a pipe of Times has measured, by the interval between two scrapes.
type metered struct {
	pipe  int
	of    Timed
	every float64 // seconds
	from  float64 // where interval 0 starts
	index [meteredBins]int
	bins  [meteredBins]Histogram
	sum   Histogram
	takes []taken // of an idle replica, for the fluid plant
}

// taken is a share of the requests: how long what is measured takes without any waiting, and
// when it is measured, in seconds after their arrival.
type taken struct{ value, after, weight float64 }

// metersOf prepares a replay's meters and reuses the memory of those that another replay left.
func (m *Model) metersOf(old []metered, pipes []pipe) []metered {
	out := old[:0]
	for k := range m.Pipes {
		t := m.Pipes[k].Times
		if t == nil {
			continue
		}
		if len(out) < cap(out) {
			out = out[:len(out)+1]
		} else {
			out = append(out, metered{})
		}
		x := &out[len(out)-1]
		x.pipe, x.of, x.every, x.from = k, t.Of, float64(pipes[k].every)*m.dt, float64(pipes[k].phase)*m.dt
		x.from -= x.every // interval 0 is the one before the first scrape
		bounds := t.Buckets
		if bounds == nil {
			bounds = FineBuckets
		}
		x.takes = m.takes[k]
		for i := range x.bins {
			x.index[i] = math.MinInt
			if b := &x.bins[i]; len(b.Bounds) != len(bounds) {
				b.count = nil
			}
			x.bins[i].Bounds = bounds
		}
		x.sum = Histogram{Bounds: bounds}
	}
	return out
}

// add counts n requests, known at time now, whose time is measured at time at.
func (x *metered) add(now, at, took, n float64) {
	i := int(math.Floor((min(at, now+(meteredBins-ringSize-2)*x.every) - x.from) / x.every))
	slot := i & (meteredBins - 1)
	if x.index[slot] > i {
		return // long ago
	}
	if x.index[slot] < i {
		x.index[slot] = i
		x.bins[slot].Reset()
	}
	x.bins[slot].Add(took, n)
}

// read returns the value that can be read at time now. done is the time up to which the plant
// has been played.
func (x *metered) read(m *Model, p *pipe, now, done float64) Value {
	t := m.Pipes[x.pipe].Times
	end := int(math.Floor((min(now-p.delay, done)-x.from)/x.every + 1e-9)) // intervals that have ended
	x.sum.Reset()
	for i := end - max(1, p.window); i < end; i++ {
		if slot := i & (meteredBins - 1); x.index[slot] == i {
			x.sum.add(&x.bins[slot])
		}
	}
	v, ok := x.sum.Of(t.Quantile)
	if t.Unit > 0 {
		v *= t.Unit
	}
	return Value{Value: v, At: x.from + float64(end)*x.every, Window: p.reported, OK: ok}
}

// saw measures a time of a request in the exact plant, at time at. came is when it reached
// its replica.
func (e *Exact) saw(of Timed, came, at, until float64) {
	for i := range e.meters {
		if x := &e.meters[i]; x.of == of {
			x.add(e.now, at, max(0, until-came), 1)
		}
	}
}

// reached returns when a request reached its server: it may have been held before the pods.
func (s *server) reached(c *call) float64 { return max(c.at, s.life.ReadyAt) }

// sawFirst measures a request whose first token is out at c.first, unless its client gives up
// before.
func (e *Exact) sawFirst(s *server, c *call) {
	if len(e.meters) > 0 && c.first-c.at <= min(e.m.toFirst, e.m.toEnd) {
		e.saw(ToFirst, s.reached(c), c.first, c.first)
	}
}

// sawEnd measures a request that was answered at s.at.
func (e *Exact) sawEnd(s *server, c *call) {
	if len(e.meters) == 0 {
		return
	}
	came := s.reached(c)
	e.saw(ToEnd, came, s.at, s.at)
	e.saw(InQueue, came, s.at, c.began)
	if math.IsNaN(c.first) && c.time.hasFirst() { // its first token came with the last
		e.saw(ToFirst, came, s.at, s.at)
	}
}

// waitsSeen are the exponential waits that stand for those of the requests that wait: the mean
// of each part.
var waitsSeen = []struct{ wait, weight float64 }{{0.23, .4}, {0.75, .25}, {1.44, .2}, {2.35, .1}, {4, .05}}

// saw measures n requests that arrived at pods at utilization rho with back seconds of backlog
// before them. Each is counted at once, in the interval in which it will be measured.
//
// It is an approximation: one state stands for half an interval between scrapes, and a law
// that was measured with its waits included (a CPU limit, a language model) does not tell the
// wait apart, so all wait for the mean.
func (f *Fluid) saw(p *pool, rho, back, n float64) {
	pw, theta, stretch := p.waits(rho)
	for j := range f.meters {
		x := &f.meters[j]
		takes, queued := x.takes, 0.0
		if p.met != nil {
			takes = takesOf(x.of, p.metAt(rho), f.takes[:0])
			f.takes = takes[:0]
			if flow := rho * f.m.cap; x.of == InQueue && flow > 0 {
				queued = p.waitingAt(rho) / flow
			}
		}
		add := func(wait, weight float64) {
			for _, t := range takes {
				after := wait + t.after*stretch
				x.add(f.now, f.now+after, wait+queued+t.value*stretch, n*weight*t.weight)
			}
		}
		if pw < 0.01 {
			add(back, 1)
			continue
		}
		add(back, 1-pw)
		for _, w := range waitsSeen {
			add(back+w.wait*theta, pw*w.weight)
		}
	}
}

// looks reports whether the meters look at the present step: two in each interval between
// scrapes are enough.
func (f *Fluid) looks() bool {
	if len(f.meters) == 0 {
		return false
	}
	every := f.m.flow[f.meters[0].pipe].every
	for i := range f.meters {
		every = min(every, f.m.flow[f.meters[i].pipe].every)
	}
	return f.tick%max(1, every/2) == 0
}

// takesOf returns what a sample of service times means for a time of a request; it appends to
// out.
func takesOf(of Timed, times []ServiceTime, out []taken) []taken {
	for i := range times {
		t := &times[i]
		switch {
		case of == ToFirst && t.hasFirst():
			out = append(out, taken{t.First, t.First, 1 / float64(len(times))})
		case of == ToEnd:
			out = append(out, taken{t.Total, t.Total, 1 / float64(len(times))})
		case of == InQueue:
			out = append(out, taken{0, t.Total, 1 / float64(len(times))})
		}
	}
	return out
}

// takesEdges part a sample into few groups, which are finer where quantiles are asked for.
var takesEdges = []float64{0, .08, .16, .24, .32, .4, .48, .56, .64, .72, .8, .87, .92, .95, .97, .985, .995, 1}

// condensedTakes represents a sample of times by few points, sorted by what is measured.
func condensedTakes(of Timed, times []ServiceTime) []taken {
	all := takesOf(of, times, nil)
	slices.SortFunc(all, func(a, b taken) int {
		if a.value != b.value {
			return cmpFloat(a.value, b.value)
		}
		return cmpFloat(a.after, b.after)
	})
	var out []taken
	for i := 1; i < len(takesEdges); i++ {
		lo, hi := int(takesEdges[i-1]*float64(len(all))), int(takesEdges[i]*float64(len(all)))
		if lo == hi {
			continue
		}
		var t taken
		for _, x := range all[lo:hi] {
			k := 1 / float64(hi-lo)
			t.value, t.after, t.weight = t.value+x.value*k, t.after+x.after*k, t.weight+x.weight
		}
		out = append(out, t)
	}
	return out
}

// compileTimes checks the pipes that read times, and condenses the law's times for each.
func (m *Model) compileTimes() {
	m.takes = make([][]taken, len(m.Pipes))
	for k := range m.Pipes {
		if t := m.Pipes[k].Times; t != nil {
			m.takes[k] = condensedTakes(t.Of, m.Law.Times)
		}
	}
}

// checkTimes reports what is wrong with a pipe's times.
func (p *Pipe) checkTimes(i int, bad func(string, ...any)) {
	t := p.Times
	if t == nil {
		return
	}
	if t.Of < ToFirst || t.Of > InQueue || !(t.Quantile >= 0 && t.Quantile < 1) || t.Unit < 0 {
		bad("metric %d %q reads quantile %g of the %v in units of %g; want a time and a quantile of 0 to 1", i, p.Name,
			t.Quantile, t.Of, t.Unit)
	}
	for k := 1; k < len(t.Buckets); k++ {
		if t.Buckets[k] <= t.Buckets[k-1] {
			bad("metric %d %q: bucket %g after %g; bounds must rise", i, p.Name, t.Buckets[k], t.Buckets[k-1])
			break
		}
	}
	if p.Window < time.Second {
		bad("metric %d %q reads times over %v; want a window of 1s or more", i, p.Name, p.Window)
	}
}

package fit

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// quotaPeriod is cpu.cfs_period_us' default, which kubelets keep.
const quotaPeriod = 0.1

// lone is what requests take that are alone: nothing inside when they come, a whole
// period idle before, since what came before has spent the period's budget, and
// nothing that comes while they last.
type lone struct {
	sample []plant.ServiceTime
	line   func(*call) plant.ServiceTime // what a call of its class and tokens takes so
	mean   float64                       // of the line over all good calls, seconds
}

// loneOf finds them; ok is false for fewer than 5.
func loneOf(l *log) (out lone, ok bool) {
	for _, k := range l.servers {
		last := math.Inf(-1)
		for j, i := range k.calls {
			c := &l.calls[i]
			joined := j+1 < len(k.calls) && l.calls[k.calls[j+1]].sent < c.done
			if c.ok && c.sent >= last+quotaPeriod && c.done > c.sent && !joined {
				out.sample = append(out.sample, plant.ServiceTime{Class: c.class, First: min(c.first, c.done) - c.sent,
					Total: c.done - c.sent, Tokens: c.tokens, Streamed: c.streamed})
			}
			last = max(last, c.done)
		}
	}
	if len(out.sample) < 5 {
		return out, false
	}
	shares := firstShares(l)
	for i := range out.sample {
		t := &out.sample[i]
		if share, ok := shares[t.Class]; ok && t.Streamed && t.First == t.Total {
			t.First *= share
		}
	}
	out.line = linesOf(out.sample)
	sum, n := 0.0, 0.0
	for i := range l.calls {
		if c := &l.calls[i]; c.ok {
			sum, n = sum+out.line(c).Total, n+1
		}
	}
	out.mean = sum / n
	return out, out.mean > 0
}

// limited is the law under the pods' CPU limit, and what a call takes by itself at
// full speed; own is nil, and the law as it was, where no limit is stated, no
// samples tell what a request costs, or slots bind first.
//
// The limit is a bucket (plant.Quota). Base, what a pod burns at rest, and each,
// core-seconds of the mean request, come from CPU samples against the work that the
// pod did in the sample's own window: a line (Theil–Sen); and, of pods that burnt
// all of the limit then, what they burnt over what they did, with its scatter.
//
// Slots are the most that were seen inside: what waits for the quota is in service
// all the while.
func limited(s *service) (law plant.Law, own func(i int) plant.ServiceTime, said notes) {
	law = s.law
	limit := float64(s.run.Meta.Workload.CPULimitMilli) / 1000
	if limit <= 0 || !s.visible {
		return law, nil, said
	}
	alone, ok := loneOf(s.log)
	rs := s.readings("cpu_milli", 1e-3, &hpa.Metric{Source: hpa.Resource, Name: "cpu"}, s.shared(alone))
	if len(rs) < 5 {
		return law, nil, said
	}
	q := bucketOf(rs, limit, &said)
	if q.Cores == 0 || !(q.Most() < law.Capacity()) {
		return law, nil, said
	}
	if !ok {
		said.warn("the CPU limit throttles the pods, and no request came to an idle pod, so the time of one without " +
			"throttling is unknown: short " +
			"waits are uncertain")
		for i := range law.Rate {
			law.Rate[i] = min(law.Rate[i], q.Most())
		}
		return law, nil, said
	}
	scale := fullSpeed(q, alone)
	most := 1
	for i := range s.calls {
		most = max(most, s.calls[i].inside+1)
	}
	burns := q.Base + q.Each/(alone.mean*scale) // cores, of one request
	spends := q.Cores * quotaPeriod / burns     // seconds until it stops
	own = func(i int) plant.ServiceTime {
		t := alone.line(&s.calls[i])
		if t.First > spends || t.Total <= spends { // unless it stood after its first token alone
			t.First *= scale
		}
		t.Total *= scale
		t.First = min(t.First, t.Total)
		return t
	}
	var all []int
	for i := range s.calls {
		if s.calls[i].ok {
			all = append(all, i)
		}
	}
	sample := make([]plant.ServiceTime, 0, 1024)
	for j, i := range thin(all, 1024) {
		t := own(i)
		// What lone ones differ from their line by, they all do; where they stood, that
		// is how long, and not of their own.
		x := &alone.sample[j%len(alone.sample)]
		c := call{class: x.Class, tokens: x.Tokens, first: 1, done: 1} // for its Total alone
		if by := x.Total / alone.line(&c).Total; x.Total*scale < spends && by > 0.5 && by < 2 {
			t.First, t.Total = t.First*by, t.Total*by
		}
		sample = append(sample, t)
	}
	// What a request costs is q.Each times its own time over the sample's mean, so that
	// mean is the one that q.Each is of.
	if k := alone.mean * scale / meanTotal(sample); k > 0 {
		for i := range sample {
			sample[i].First, sample[i].Total = sample[i].First*k, sample[i].Total*k
		}
	}
	said.quality("alone", meanTotal(sample), len(alone.sample),
		"mean service time at full speed, in seconds, from requests to pods that had been idle for a CPU period")
	law = plant.SlotsLaw(most, sample)
	law.Quota = q
	return law, own, said
}

// counted bounds a law under a quota to the requests at once by which a metric tells
// those that wait from those that are served. Without such a metric, as many share the
// quota as ever were inside: the log does not show which of them stand in a queue.
func (s *service) counted(pipes []plant.Pipe) (n notes) {
	l := &s.law
	if l.Quota.Cores == 0 || s.atOnce >= l.Slots() {
		return n
	}
	for i := range pipes {
		if p := &pipes[i]; p.PerWaiting > 0 && p.PerRunning == 0 {
			l.Rate = l.Rate[:s.atOnce+1]
			n.quality("at-once", float64(s.atOnce), len(s.calls), "requests that a replica serves at once, by %s", p.Name)
			return n
		}
	}
	return n
}

// bucketOf fits the quota to CPU readings; the zero Quota where they show no cost.
func bucketOf(rs []reading, limit float64, said *notes) plant.Quota {
	xs, ys := make([]float64, len(rs)), make([]float64, len(rs))
	for i, r := range rs {
		xs[i], ys[i] = r.done, r.value
	}
	base, each := theilSen(xs, ys)
	if base = max(0, base); base >= 0.9*limit {
		return plant.Quota{}
	}
	q := plant.Quota{Cores: limit, Base: base, Each: each}
	var costs []float64
	for _, r := range rs {
		if r.value >= saturated*limit && r.done > 0 {
			costs = append(costs, (r.value-base)/r.done)
		}
	}
	how := "slope of CPU over completions"
	if len(costs) >= 5 {
		q.Each, q.Spread = median(slices.Clone(costs)), scatter(costs, rs, saturated*limit)
		how = "CPU over completions of pods at their CPU limit"
	}
	if q.Each <= 0 {
		return plant.Quota{}
	}
	said.quality("cpu-limit", q.Most(), max(len(costs), len(rs)),
		"requests per second within a limit of %.3g cores, at %.3g core-seconds each (%s; scatter %s) "+
			"and %.3g cores when idle",
		limit, q.Each, how, figure.Percent(q.Spread), base)
	return q
}

// saturated is the share of its limit from which on a pod is taken to burn all of
// it, over a sample's window.
const saturated = 0.93

// scatter is the standard deviation of the logarithm of what a request costs, by
// saturated samples, less what counting whole requests in a window makes by itself:
// of k it is half of 1/√k, since their ends are spread over their service.
func scatter(costs []float64, rs []reading, from float64) float64 {
	counts, k := 0.0, 0.0
	for _, r := range rs {
		if r.value >= from && r.done > 0 {
			counts, k = counts+r.done*r.window, k+1
		}
	}
	logs := make([]float64, len(costs))
	for i, c := range costs {
		logs[i] = math.Log(c)
	}
	middle := median(slices.Clone(logs))
	for i, v := range logs {
		logs[i] = math.Abs(v - middle)
	}
	sd := 1.4826 * median(logs)
	return math.Sqrt(max(0, sd*sd-0.25*k/max(1, counts)))
}

// fullSpeed is what share of a lone request's time it would take without the quota:
// under it, it then takes what it took. A request burns a core at most; where it
// stands for most of its time, how fast it goes in between is not seen and makes no
// difference, and it is taken to burn one.
func fullSpeed(q plant.Quota, l lone) float64 {
	took := meanTotal(l.sample)
	quickest := min(1, q.Each/l.mean)
	switch {
	case loneUnder(q, l, quickest) >= took*0.9:
		return quickest
	case loneUnder(q, l, 1) <= took*1.02:
		return 1
	}
	lo, hi := quickest, 1.0
	for range 20 {
		if mid := (lo + hi) / 2; loneUnder(q, l, mid) > took {
			hi = mid
		} else {
			lo = mid
		}
	}
	return lo
}

// loneUnder is what the lone requests take on the average under a quota, if at full
// speed they take scale times what they took; over phases of the period.
func loneUnder(q plant.Quota, l lone, scale float64) float64 {
	const phases = 20
	burn := q.Base + q.Each/(l.mean*scale)
	size := q.Cores * quotaPeriod
	sum, n := 0.0, 0.0
	for _, t := range thin(l.sample, 100) {
		for p := range phases {
			at := (float64(p) + 0.5) / phases * quotaPeriod // into the period
			left, budget, took := t.Total*scale, size-q.Base*at, 0.0
			for range 10_000 {
				run := min(left, budget/burn, quotaPeriod-at)
				left, took = left-run, took+run
				if left <= 1e-9 {
					break
				}
				took += quotaPeriod - at - run
				at, budget = 0, size
			}
			sum, n = sum+took, n+1
		}
	}
	return sum / n
}

// firstShares is how much of an answer's time was over at its first token, by
// class: the median of the answers that came in pieces, where they are 20 or more.
// A server at its leisure writes a short answer faster than one read of the client
// takes, and the whole of it comes in one piece; a busy one does not, and its
// requests wait for a first token well before the end.
func firstShares(l *log) map[int16]float64 {
	byClass := map[int16][]float64{}
	for i := range l.calls {
		if c := &l.calls[i]; c.ok && c.streamed && c.first > c.sent && c.first < c.done {
			byClass[c.class] = append(byClass[c.class], (c.first-c.sent)/(c.done-c.sent))
		}
	}
	out := map[int16]float64{}
	for class, shares := range byClass {
		if len(shares) >= 20 {
			out[class] = median(shares)
		}
	}
	return out
}

// linesOf is what a call takes by a line through its class's sample, over tokens.
func linesOf(sample []plant.ServiceTime) func(*call) plant.ServiceTime {
	type points struct{ x, first, total []float64 }
	byClass := map[int16]*points{}
	for _, t := range sample {
		p := byClass[t.Class]
		if p == nil {
			p = &points{}
			byClass[t.Class] = p
		}
		p.x, p.first, p.total = append(p.x, t.Tokens), append(p.first, t.First), append(p.total, t.Total)
	}
	type fitted struct{ a, b, first, least float64 }
	lines := map[int16]fitted{}
	for k, p := range byClass {
		x, y := thin(p.x, 300), thin(p.total, 300)
		a, b := theilSen(x, y)
		lines[k] = fitted{a, b, median(slices.Clone(p.first)), slices.Min(p.total)}
	}
	return func(c *call) plant.ServiceTime {
		f, ok := lines[c.class]
		if !ok { // a class of which none was alone: as the first that was
			f = lines[sample[0].Class]
		}
		total := max(f.least, f.a+f.b*c.tokens)
		first := total
		if c.streamed {
			first = min(f.first, total)
		}
		return plant.ServiceTime{Class: c.class, First: first, Total: total, Tokens: c.tokens, Streamed: c.streamed}
	}
}

// readings are the samples of a metric (its value times unit) of pods that were
// ready for all of the sample's window, each with what the pod did meanwhile (by
// did, of a server and a window in seconds); of all pods together where it is not
// visible which one answered.
func (s *service) readings(name string, unit float64, m *hpa.Metric, did func(k int, from,
	to float64) reading) []reading {
	samples := samplesOf(s.log, name, m)
	if !s.visible {
		return s.pooled(samples, unit)
	}
	ready, ended := s.watched()
	var out []reading
	for i := range samples {
		x := &samples[i]
		to := taken(x)
		from := to - x.Window.Seconds()
		r, known := ready[x.Pod]
		if e, ok := ended[x.Pod]; ok && to > e || known && from < r {
			continue
		}
		if k := s.serverOf(x.Pod); k >= 0 {
			r := did(k, from, to)
			r.value = x.Value * unit
			out = append(out, r)
		}
	}
	return out
}

// shared tells what a server did in a window if it works on all that is inside
// alike, as threads under a quota do: a call's share of the work is the integral of
// one over how many were inside. Work is counted in mean requests: a long one is
// more than one, by what alone ones take.
func (s *service) shared(alone lone) func(k int, from, to float64) reading {
	type step struct{ at, sum, pace float64 } // sum up to at, pace after it
	steps := make([][]step, len(s.servers))
	total := make([]float64, len(s.calls))
	for k := range s.servers {
		type event struct {
			at  float64
			i   int
			end bool
		}
		var events []event
		for _, i := range s.servers[k].calls {
			events = append(events, event{s.calls[i].sent, i, false}, event{s.calls[i].done, i, true})
		}
		slices.SortStableFunc(events, func(a, b event) int { return sign(a.at - b.at) })
		n, sum, last := 0.0, 0.0, 0.0
		for _, e := range events {
			if n > 0 {
				sum += (e.at - last) / n
			}
			last = e.at
			if e.end {
				total[e.i] += sum
				n--
			} else {
				total[e.i] -= sum
				n++
			}
			steps[k] = append(steps[k], step{e.at, sum, 1 / max(1, n)})
		}
	}
	upTo := func(k int, t float64) float64 {
		of := steps[k]
		i, _ := slices.BinarySearchFunc(of, t, func(s step, t float64) int {
			if s.at <= t {
				return -1
			}
			return 1
		})
		if i == 0 {
			return 0
		}
		return of[i-1].sum + (t-of[i-1].at)*of[i-1].pace
	}
	return func(k int, from, to float64) reading {
		r := s.did(k, from, to)
		r.done = 0
		for _, i := range s.servers[k].within(from) {
			c := &s.calls[i]
			if c.sent >= to {
				break
			}
			if a, b := max(c.sent, from), min(c.done, to); b > a && total[i] > 0 {
				worth := 1.0
				if alone.mean > 0 {
					worth = alone.line(c).Total / alone.mean
				}
				r.done += worth * (upTo(k, b) - upTo(k, a)) / total[i]
			}
		}
		r.done /= max(1e-9, to-from)
		return r
	}
}

// taken is when a sample was taken, in seconds: by its source, else by us.
func taken(s *results.Sample) float64 {
	if s.SampledAt != results.NotYet {
		return s.SampledAt.Seconds()
	}
	return s.At.Seconds()
}

// quotaPipes gives the CPU pipe what the quota's law burns: one law says both how
// long requests take and what the autoscaler sees of them.
func quotaPipes(pipes []plant.Pipe, q plant.Quota) {
	for i := range pipes {
		if p := &pipes[i]; p.Name == "cpu" && q.Cores > 0 {
			p.Base, p.PerDone, p.PerWork, p.PerRunning, p.PerWaiting, p.Ceiling = q.Base, q.Each, 0, 0, 0, q.Cores
		}
	}
}

package fit

import (
	"maps"
	"math"
	"slices"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// quotaPeriod is cpu.cfs_period_us' default, which kubelets keep.
const quotaPeriod = 0.1

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
	// ofLine is what a call takes at full speed, what it costs by its class and tokens,
	// and how many times as long as others of them it takes.
	ofLine := func(i int) (t plant.ServiceTime, by float64) {
		t = alone.line(&s.calls[i])
		t.Work, by = t.Total/alone.mean, 1
		stands := t.Total*scale >= spends
		if t.First > spends || t.Total <= spends { // unless it stood after its first token alone
			t.First *= scale
		}
		t.Total *= scale
		// What lone ones differ from their line by, they all do; where they stood, that
		// is how long, and not of their own.
		if !stands {
			var measured bool
			if by, measured = alone.at[i]; !measured {
				by = alone.by[scattered(i)%len(alone.by)]
			}
			t.First, t.Total = t.First*by, t.Total*by
		}
		t.First = min(t.First, t.Total)
		return t, by
	}
	var all []int
	for i := range s.calls {
		if s.calls[i].ok {
			all = append(all, i)
		}
	}
	// under is the law of a bucket, and what calls take by it: a request costs q.Each times
	// its worth, whose mean over all is one.
	under := func(b bucket) (plant.Law, func(i int) plant.ServiceTime) {
		sum := 0.0
		for _, i := range all {
			t, by := ofLine(i)
			sum += t.Work * math.Pow(by, b.follows)
		}
		k := float64(len(all)) / sum
		own := func(i int) plant.ServiceTime {
			t, by := ofLine(i)
			t.First, t.Work = t.First*b.first, t.Work*math.Pow(by, b.follows)*k
			return t
		}
		sample := make([]plant.ServiceTime, 0, len(all))
		for _, i := range all {
			sample = append(sample, own(i))
		}
		sample = ranked(sample, 1024)
		worth := 0.0
		for _, t := range sample {
			worth += t.Work / float64(len(sample))
		}
		for i := range sample {
			sample[i].Work /= worth
		}
		law := plant.SlotsLaw(most, sample)
		law.Quota = q
		law.Quota.Waits = math.Sqrt(max(0, alone.drift*alone.drift-q.Spread*q.Spread))
		law.Quota.Share, law.Quota.ShareError = b.share, b.error
		return b.law(law), own
	}
	untold := bucket{threads: most, slots: most, first: 1, share: 1, follows: costFollows(q, alone, scale)}
	law, _ = under(untold)
	b := bucketPlayed(s, law, ofLine, untold)
	law, own = under(b)
	said.quality("alone", meanTotal(law.Times), len(alone.sample),
		"mean service time at full speed, in seconds, from requests to pods that had been idle for a CPU period")
	said.quality("cpu-period", b.share, bucketCalls, "of a period's budget is what a pod gets that works now and then "+
		"(± %.3f); %d requests run at once at full speed, %d are inside before others queue, first tokens come after %.2f "+
		"of a lone one's time, %.0f %% of what makes requests slower costs CPU; played times are off by %.0f %%", b.error,
		b.threads, b.slots, b.first, 100*b.follows, 100*b.loss)
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

// scattered spreads indices over all whole numbers, so that neighbours get unlike
// draws, the same each time.
func scattered(i int) int { return int(uint64(i+1) * 0x9e3779b97f4a7c15 >> 33) }

// costFollows is how far the cost of a request follows the time it takes beyond what
// its class and tokens say, where playing does not tell: 1 where lone requests burn a core all the while, since then
// a longer one burnt more; 0 where a fifth of their time or more is waiting for a
// processor (or for anything else), which is what differs then, and costs nothing.
func costFollows(q plant.Quota, l lone, scale float64) float64 {
	waits := 1 - q.Each/(l.mean*meanOf(l.by)*scale)
	return min(max((0.2-waits)/0.15, 0), 1)
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
		q.Each = median(slices.Clone(costs))
		how = "CPU over completions of pods at their CPU limit"
	}
	if q.Each <= 0 {
		return plant.Quota{}
	}
	q.Spread = scatter(rs, base)
	said.quality("cpu-limit", q.Most(), max(len(costs), len(rs)),
		"requests per second within a limit of %.3g cores, at %.3g core-seconds each (%s; scatter %s) "+
			"and %.3g cores when idle",
		limit, q.Each, how, figure.Percent(q.Spread), base)
	return q
}

// saturated is the share of its limit from which on a pod is taken to burn all of
// it, over a sample's window.
const saturated = 0.93

// costBlock is the length in seconds of the blocks of time that cost is compared over:
// what varies faster is a request's own, and hardly changes what a minute's load costs.
const costBlock = 30.0

// scatter is the standard deviation of the logarithm of what work costs from one half
// minute to the next, less what readings scatter by within them: analysis of variance,
// of readings weighted by the work that they saw. 0 for fewer than five blocks.
func scatter(rs []reading, base float64) float64 {
	type block struct{ work, burnt float64 }
	blocks := map[int]*block{}
	work, burnt := 0.0, 0.0
	for _, r := range rs {
		k := int(math.Floor((r.at - r.window/2) / costBlock))
		if blocks[k] == nil {
			blocks[k] = &block{}
		}
		w, c := r.done*r.window, max(0, r.value-base)*r.window
		blocks[k].work, blocks[k].burnt = blocks[k].work+w, blocks[k].burnt+c
		work, burnt = work+w, burnt+c
	}
	if len(blocks) < 5 || work <= 0 || burnt <= 0 {
		return 0
	}
	each := burnt / work
	within, n := 0.0, 0.0 // Σ w·(reading's cost − its block's)², of which n − blocks are free
	squares := 0.0
	for _, r := range rs {
		b := blocks[int(math.Floor((r.at-r.window/2)/costBlock))]
		w := r.done * r.window
		if w <= 0 || b.work <= 0 {
			continue
		}
		d := (max(0, r.value-base)*r.window/w - b.burnt/b.work) / each
		within, n = within+w*d*d, n+1
	}
	between, k := 0.0, 0.0
	for _, at := range slices.Sorted(maps.Keys(blocks)) { // in order: so are the roundings
		if b := blocks[at]; b.work > 0 {
			d := b.burnt/b.work/each - 1
			between, k, squares = between+b.work*d*d, k+1, squares+b.work*b.work
		}
	}
	if n-k < 5 || k < 5 {
		return 0
	}
	noise := within / (n - k) // variance of a reading of one unit of work
	// E[between] = noise·(k−1) + σ²·(work − Σw²/work)
	return math.Sqrt(max(0, (between-noise*(k-1))/(work-squares/work)))
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
			r.value, r.at = x.Value*unit, to
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

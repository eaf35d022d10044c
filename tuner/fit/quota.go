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

// quotaPeriod is the default of cpu.cfs_period_us in seconds, which kubelets keep.
const quotaPeriod = 0.1

// limited returns the law under the pods' CPU limit, and what a call takes by itself at full
// speed. own is nil and the law unchanged if no limit is stated, if no samples show what a
// request costs, or if slots bind first.
//
// The limit is a bucket (plant.Quota). Base, what a pod uses at rest, and Each, the
// core-seconds of the mean request, come from CPU samples compared with the work that the pod
// did in the sample's own window: a line (Theil–Sen). For pods that used all of the limit in
// that window, usage over work gives Each and its scatter; so does the log alone, where pods
// were never idle for long enough (costWhenBusy).
//
// Slots is the most requests seen in a pod: those that wait for the quota are in service all
// the time.
func limited(s *service) (law plant.Law, own func(i int) plant.ServiceTime, said notes) {
	law = s.law
	limit := float64(s.run.Meta.Workload.CPULimitMilli) / 1000
	if limit <= 0 || !s.visible {
		return law, nil, said
	}
	alone, ok := loneOf(s.log)
	did := s.shared(alone)
	rs := s.readings("cpu_milli", 1e-3, &hpa.Metric{Source: hpa.Resource, Name: "cpu"}, did)
	if len(rs) < 5 {
		return law, nil, said
	}
	q := bucketOf(rs, limit, &said)
	if q.Cores == 0 || !(q.Most() < law.Capacity()) {
		return law, nil, said
	}
	s.costSeen = q.Each
	if each, seconds := costWhenBusy(s, q, did); each > 0 {
		said.quality("cpu-busy", each, int(seconds), "core-seconds of the mean request in pods that were never idle, from "+
			"so many seconds of the log")
		q.Each = each
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
	line, mean := alone.atFullSpeed(q, s.log)
	most := 1
	for i := range s.calls {
		most = max(most, s.calls[i].inside+1)
	}
	// ofLine returns what a call takes at full speed, what it costs by its class and tokens,
	// and how many times as long it takes as others like it.
	ofLine := func(i int) (t plant.ServiceTime, by float64) {
		t = line(&s.calls[i])
		t.Work = t.Total / mean
		by, measured := alone.at[i]
		if !measured { // all calls scatter around their line as lone ones do
			by = alone.by[scattered(i)%len(alone.by)]
		}
		t.First, t.Total = t.First*by, t.Total*by
		t.First = min(t.First, t.Total)
		return t, by
	}
	var all []int
	for i := range s.calls {
		if s.calls[i].ok {
			all = append(all, i)
		}
	}
	// under returns the law of a bucket, and what calls take with it: a request costs q.Each
	// times its worth, which has mean one over all requests.
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
	untold := bucket{threads: most, slots: most, first: 1, share: 1, follows: costFollows(q, alone, mean)}
	law, _ = under(untold)
	b := bucketPlayed(s, law, ofLine, untold)
	law, own = under(b)
	said.quality("alone", meanTotal(law.Times), len(alone.sample),
		"mean service time at full speed, in seconds, from requests to pods that had been idle for a CPU period")
	said.quality("cpu-period", b.share, bucketCalls, "of a period's budget is what a pod gets that works now and then "+
		"(± %.3f); %d requests run at once at full speed, %d are inside before others queue, first tokens come after %.2f "+
		"of a lone one's time, %s of what makes requests slower costs CPU; played times are off by %s", b.error,
		b.threads, b.slots, b.first, figure.Percent(b.follows), figure.Percent(b.loss))
	return law, own, said
}

// counted limits the requests at once of a law under a quota, if a metric counts waiting
// requests apart from those in service. Without such a metric, all requests ever seen in a pod
// share the quota: the log does not show which of them are queued.
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

// scattered maps indices to scattered whole numbers, so that neighbors get different draws,
// but the same ones each time.
func scattered(i int) int { return int(uint64(i+1) * 0x9e3779b97f4a7c15 >> 33) }

// costFollows returns how much of the time that a request takes beyond the time of its class
// and tokens is also CPU cost, if playing does not show it. It is 1 if lone requests use a
// core all the time, since a longer one then used more. It is 0 if they wait for a processor
// (or anything else) for a fifth of their time or more, since the waiting then differs, and
// costs nothing.
func costFollows(q plant.Quota, l lone, mean float64) float64 {
	waits := 1 - q.Each/(mean*meanOf(l.by))
	return min(max((0.2-waits)/0.15, 0), 1)
}

// bucketOf fits the quota to CPU readings; it returns the zero Quota if they show no cost.
func bucketOf(rs []reading, limit float64, said *notes) plant.Quota {
	long := joined(rs)
	xs, ys := make([]float64, len(long)), make([]float64, len(long))
	for i, r := range long {
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

// joinedMost is how many readings in a row become one.
const joinedMost = 4

// joined joins readings of a server whose windows follow each other, four at a time, if there
// are enough of them. A window's ends are known to a second only, so the work in it is off by a
// request or so, and errors in x flatten a line: by about their variance over that of x, which
// grows with the window's length while the errors do not.
func joined(rs []reading) []reading {
	last := map[int]*reading{}
	parts := map[int]int{}
	var out []reading
	for _, r := range rs {
		o := last[r.server]
		if o == nil || math.Abs(r.at-r.window-o.at) > 1 {
			o, parts[r.server] = &reading{server: r.server}, 0
			last[r.server] = o
		}
		w := o.window + r.window
		if w <= 0 {
			continue
		}
		o.value = (o.value*o.window + r.value*r.window) / w
		o.done = (o.done*o.window + r.done*r.window) / w
		o.window, o.at = w, r.at
		if parts[r.server]++; parts[r.server] == joinedMost {
			out = append(out, *o)
			delete(last, r.server)
		}
	}
	if len(out) < joinedFewest {
		return rs
	}
	return out
}

// joinedFewest is how many joined readings a line needs.
const joinedFewest = 20

// saturated is the share of its limit, over a sample's window, from which on a pod counts as
// using all of it.
const saturated = 0.93

// costBlock is the length in seconds of the blocks of time between which costs are compared.
// Faster variation belongs to single requests, and hardly changes the cost of a minute's load.
const costBlock = 30.0

// scatter returns the standard deviation of the logarithm of what work costs from one half
// minute to the next, without the scatter of readings within each: analysis of variance, with
// readings weighted by the work in them. It returns 0 for fewer than five blocks.
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
	within, n := 0.0, 0.0 // Σ w·(reading's cost − its block's)², with n − blocks degrees of freedom
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
	for _, at := range slices.Sorted(maps.Keys(blocks)) { // a fixed order gives the same rounding errors
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

// readings returns the samples of a metric (value times unit) from pods that were ready for
// all of the sample's window, each with what the pod did in that window (by did, of a server
// and a window in seconds). If the log does not show which pod answered, it returns the sums
// over all pods.
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
			r.value, r.at, r.server = x.Value*unit, to, k
			out = append(out, r)
		}
	}
	return out
}

// shared returns what a server did in a window if it works equally on all requests in it, as
// threads under a quota do: a call's share of the work is the integral of one over the number
// of requests. Work is counted in mean requests. A long request counts as more than one, by
// the time that lone ones take.
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

// taken returns when a sample was taken, in seconds: by its source, or else by hpatune.
func taken(s *results.Sample) float64 {
	if s.SampledAt != results.NotYet {
		return s.SampledAt.Seconds()
	}
	return s.At.Seconds()
}

// quotaPipes gives the CPU pipe the usage of the quota's law, so that one law says both how
// long requests take and how much CPU the autoscaler sees.
//
// seen is what a request costs by the CPU samples, which may be more than in a pod that is never
// idle.
func quotaPipes(pipes []plant.Pipe, q plant.Quota, seen float64) {
	for i := range pipes {
		if p := &pipes[i]; p.Name == "cpu" && q.Cores > 0 {
			p.Base, p.PerDone, p.PerWork, p.PerRunning, p.PerWaiting, p.Ceiling = q.Base, max(seen, q.Each), 0, 0, 0, q.Cores
		}
	}
}

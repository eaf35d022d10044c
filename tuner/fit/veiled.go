package fit

import (
	"cmp"
	"math"
	"slices"

	"github.com/hpatune/hpatune/internal/figure"
	"github.com/hpatune/hpatune/results"
	"github.com/hpatune/hpatune/tuner/hpa"
	"github.com/hpatune/hpatune/tuner/plant"
)

// veiled is how hidden pods under a CPU limit serve, as found by playing the log. The CPU
// samples show what a request costs on average; the clients' latencies show the rest.
type veiled struct {
	balancer       plant.Balancer
	threads, slots int
	// pace is a request's time at full speed over its CPU time: 1 = it uses a core all the
	// time.
	pace float64
	// tokens is the share of the cost that grows with the answer's tokens, and noise the
	// standard deviation of the logarithm of the cost of like requests.
	tokens, noise float64
	first         float64 // CPU time to the first token over that of the mean request
	share         float64 // of a period's budget that a pod gets that works only now and then
	loss          float64 // mean |ln| between the quantiles of played and recorded times
}

const (
	// veiledCalls is about how many calls are played, in stretches of at least veiledSpan
	// seconds without a change of the pods. Nothing is compared in the first veiledSettle
	// seconds of each, because the pods begin idle.
	veiledCalls  = 6000
	veiledSpan   = 10.0
	veiledSettle = 3.0
	// veiledRecent is the time in seconds over which the load is counted that sorts calls into
	// classes.
	veiledRecent = 2.0
	// veiledShareError is the standard error of a share that only clients' latencies show.
	veiledShareError = 0.03
)

// veiledLoads are the lower ends of the classes of recent load, over the pods' limit.
var veiledLoads = []float64{0, 0.5, 0.7, 0.9}

// parade is consecutive calls while n pods were ready.
type parade struct {
	n        int
	calls    []int // indices into log.calls
	requests []plant.Request
	class    []int8 // by recent load and by tokens; −1 = not compared
}

// veiledOf finds how hidden pods serve under their CPU limit; ok is false if no limit is
// stated, if the samples do not show what requests cost, or if the best law is not closer to
// the recorded latencies than hiddenOff, or than slots (h) are.
//
// What a call takes by itself cannot be seen, because a limit below one core stops even a lone
// one. But at full speed it takes at least its CPU time, which the samples show.
func veiledOf(l *log, h *hidden, seed uint64) (s service, said notes, ok bool) {
	limit := float64(l.run.Meta.Workload.CPULimitMilli) / 1000
	if limit <= 0 || l.visible || len(l.traffic) == 0 {
		return s, said, false
	}
	s = service{log: l, hidden: h, start: make([]float64, len(l.calls))}
	for i := range l.calls {
		s.start[i] = l.calls[i].sent
	}
	rs := s.average()
	if len(rs) < 5 {
		return s, said, false
	}
	q := bucketOf(rs, limit, &said)
	if q.Cores == 0 {
		return s, said, false
	}
	parades := s.parades(&q)
	if len(parades) == 0 {
		return s, said, false
	}
	most := 1
	for i := range l.calls {
		most = max(most, l.calls[i].inside+1)
	}
	v := s.unveil(q, parades, 2*most+2, seed)
	if v.loss > hiddenOff || v.loss >= h.off {
		return s, said, false
	}
	s.law, s.own = s.lawOf(&v, q)
	s.mean, s.atOnce = meanTotal(s.law.Times), v.slots
	h.balancer, h.off = v.balancer, v.loss
	h.slots = slots{n: v.slots, lo: v.slots, hi: v.slots, start: s.start}
	said.quality(
		"cpu-period",
		v.share,
		len(l.calls),
		"of a period's budget is what a pod gets that works now and then; %d "+
			"requests run at once at full speed, each takes %.2g times its CPU time, %s of the cost grows with the tokens, "+
			"like requests scatter by %s; played times are off by %s",
		v.threads,
		v.pace,
		figure.Percent(v.tokens),
		figure.Percent(v.noise),
		figure.Percent(math.Exp(v.loss)-1),
	)
	return s, said, true
}

// average returns, for each time at which pods' CPU was sampled, its mean over those that were
// ready for all of the window, and what the mean ready pod did in it.
func (s *service) average() []reading {
	samples := samplesOf(s.log, "cpu_milli", &hpa.Metric{Source: hpa.Resource, Name: "cpu"})
	slices.SortStableFunc(samples, func(a, b results.Sample) int {
		return cmp.Or(cmp.Compare(taken(&a), taken(&b)), cmp.Compare(a.Window, b.Window))
	})
	ready, ended := s.watched()
	var out []reading
	n := 0.0
	for i := range samples {
		x := &samples[i]
		to := taken(x)
		from := to - x.Window.Seconds()
		r, known := ready[x.Pod]
		if e, ok := ended[x.Pod]; ok && to > e || known && from < r || x.Window <= 0 {
			continue
		}
		if k := len(out) - 1; k >= 0 && out[k].at == to && math.Abs(out[k].window-(to-from)) < 1e-6 {
			n++
			out[k].value += (x.Value*1e-3 - out[k].value) / n
			continue
		}
		n = 1
		did := s.did(0, from, to)
		pods := 0.0
		for t := from; t < to; t++ {
			pods += float64(s.sharing(t)) / math.Ceil(to-from)
		}
		did.done, did.running, did.waiting = did.done/pods, did.running/pods, did.waiting/pods
		did.value, did.at = x.Value*1e-3, to
		out = append(out, did)
	}
	return out
}

// parades cuts the log wherever a pod came or went, and takes some of the stretches, spread
// evenly over time.
func (s *service) parades(q *plant.Quota) []parade {
	cuts := []float64{math.Inf(1)}
	for _, t := range s.traffic {
		cuts = append(cuts, t[0], t[1])
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	middle := median(s.sizes())
	var all []parade
	from, k := 0, 0
	recent := 0 // index of the first call of the last veiledRecent seconds
	var p parade
	began, calls := math.Inf(-1), 0
	flush := func(to float64) {
		if n := len(p.calls); n >= 50 && to-began >= veiledSpan {
			all, calls = append(all, p), calls+n
		}
	}
	for i := from; i < len(s.calls); i++ {
		c := &s.calls[i]
		if c.sent >= cuts[k] {
			flush(cuts[k])
			for c.sent >= cuts[k] {
				k++
			}
			began = cuts[k-1]
			p = parade{n: s.sharing(c.sent)}
		}
		if math.IsInf(began, -1) { // before any pod was ready
			continue
		}
		for s.calls[recent].sent < c.sent-veiledRecent {
			recent++
		}
		load := float64(i-recent+1) / veiledRecent * q.Each / float64(p.n) / (q.Cores - q.Base)
		class := int8(-1)
		if c.ok && c.sent >= began+veiledSettle {
			for class+1 < int8(len(veiledLoads)) && load >= veiledLoads[class+1] {
				class++
			}
			if class *= 2; c.tokens > middle {
				class++
			}
		}
		p.calls, p.class = append(p.calls, i), append(p.class, class)
		p.requests = append(p.requests, plant.Request{At: c.sent, Index: len(p.requests), Class: c.class})
	}
	if len(s.calls) > 0 {
		flush(s.calls[len(s.calls)-1].sent)
	}
	if len(all) == 0 {
		return nil
	}
	return thin(all, max(1, len(all)*veiledCalls/max(calls, veiledCalls)))
}

// sizes are the tokens of good calls.
func (s *service) sizes() []float64 {
	var out []float64
	for i := range s.calls {
		if c := &s.calls[i]; c.ok {
			out = append(out, c.tokens)
		}
	}
	return out
}

// unveil searches the parameters one by one, twice, beginning with the balancer and the
// threads together.
func (s *service) unveil(q plant.Quota, parades []parade, most int, seed uint64) veiled {
	streams := s.streams()
	best := veiled{loss: math.Inf(1)}
	try := func(v veiled, need float64) {
		if v.loss = s.veiledLoss(&v, q, parades, streams, seed); v.loss < best.loss*(1-need) {
			best = v
		}
	}
	threads := []int{1, 2, 4, most}
	for _, b := range plant.Balancers[:3] {
		for _, n := range threads {
			try(veiled{balancer: b, threads: min(n, most), slots: most, pace: 1, tokens: 0.5, noise: 0.15, first: 0.5,
				share: 1}, 0)
		}
	}
	each := func(of func(v *veiled) *float64, need float64, values ...float64) {
		from := best
		for _, x := range values {
			v := from
			*of(&v) = x
			try(v, need)
		}
	}
	for range 2 {
		each(func(v *veiled) *float64 { return &v.tokens }, 0, 0, 0.25, 0.5, 0.75, 1)
		each(func(v *veiled) *float64 { return &v.noise }, 0, 0, 0.1, 0.2, 0.3, 0.45)
		if streams {
			each(func(v *veiled) *float64 { return &v.first }, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1)
		}
		each(func(v *veiled) *float64 { return &v.pace }, fewerGain, 1, 1.5, 2.5, 4)
		each(func(v *veiled) *float64 { return &v.share }, fewerGain, 1, 0.92, 0.85)
		from := best
		for _, b := range plant.Balancers[:3] {
			for _, n := range threads {
				v := from
				v.balancer, v.threads = b, min(n, most)
				try(v, 0)
			}
		}
	}
	return best
}

// ownOf returns what a call takes at full speed and costs, relative to the mean one. Scatter
// is drawn for each call, the same each time. worth is the mean of the cost before.
func (s *service) ownOf(v *veiled, q plant.Quota) func(i int) plant.ServiceTime {
	mean := max(1e-9, meanOf(s.sizes()))
	cost := func(i int) (of, scatter float64) {
		u := (float64(scattered(i)%4096) + 0.5) / 4096
		scatter = math.Exp(v.noise*math.Sqrt2*math.Erfinv(2*u-1) - v.noise*v.noise/2)
		return (1 - v.tokens + v.tokens*s.calls[i].tokens/mean) * scatter, scatter
	}
	sum, n := 0.0, 0.0
	for i := range s.calls {
		if s.calls[i].ok {
			c, _ := cost(i)
			sum, n = sum+c, n+1
		}
	}
	return func(i int) plant.ServiceTime {
		c := &s.calls[i]
		work, scatter := cost(i)
		work *= n / sum
		t := plant.ServiceTime{Class: c.class, Total: q.Each * v.pace * work, Work: work, Tokens: c.tokens,
			Streamed: c.streamed}
		if t.First = t.Total; c.streamed {
			t.First = min(t.Total, v.first*q.Each*v.pace*scatter)
		}
		return t
	}
}

// lawOf returns the law of the parameters, and what calls take under it.
func (s *service) lawOf(v *veiled, q plant.Quota) (plant.Law, func(i int) plant.ServiceTime) {
	own := s.ownOf(v, q)
	var sample []plant.ServiceTime
	for i := range s.calls {
		if s.calls[i].ok {
			sample = append(sample, own(i))
		}
	}
	sample = ranked(sample, 1024)
	law := plant.SlotsLaw(v.slots, sample)
	law.Quota = q
	law.Quota.ShareError = veiledShareError
	b := bucket{threads: v.threads, slots: v.slots, share: v.share}
	return b.law(law), own
}

// veiledLoss returns how far parameters are off: the mean |ln| between the quantiles of the
// played and the recorded times, by class, to the end and, if answers stream, to the first
// token.
func (s *service) veiledLoss(v *veiled, q plant.Quota, parades []parade, streams bool, seed uint64) float64 {
	law, own := s.lawOf(v, q)
	classes := 2 * len(veiledLoads)
	played, recorded := make([][]float64, 2*classes), make([][]float64, 2*classes)
	for k := range parades {
		p := &parades[k]
		for j, i := range p.calls {
			p.requests[j].Time = own(i)
			if c := &s.calls[i]; p.class[j] >= 0 {
				recorded[p.class[j]] = append(recorded[p.class[j]], c.done-c.sent)
				recorded[classes+int(p.class[j])] = append(recorded[classes+int(p.class[j])], c.first-c.sent)
			}
		}
		law.ServeBehind(v.balancer, p.n, p.requests, seed+uint64(k), func(j int, first, took float64) {
			if c := p.class[j]; c >= 0 {
				played[c] = append(played[c], took)
				played[classes+int(c)] = append(played[classes+int(c)], first)
			}
		})
	}
	sum, n := 0.0, 0.0
	for c := range played {
		if c >= classes && !streams {
			break
		}
		was, is := recorded[c], played[c]
		if len(was) < 60 || len(is) == 0 {
			continue
		}
		slices.Sort(was)
		slices.Sort(is)
		for x := 0.1; x < 0.985; x += 0.04 {
			sum += min(farOff, math.Abs(math.Log(quantileOf(is, x)/quantileOf(was, x))))
			n++
		}
	}
	if n == 0 {
		return math.Inf(1)
	}
	return sum / n
}

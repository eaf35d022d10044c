package fit

import (
	"math"
	"slices"

	"github.com/hpatune/hpatune/tuner/plant"
)

// bucket is how pods under a CPU limit serve, as found by playing the log: how many requests
// run at once at full speed, how many a pod accepts before others queue, and which share of a
// period's budget a pod gets that works only now and then.
type bucket struct {
	threads, slots int
	// first is the time to the first token over that of lone requests. Lone requests may see
	// theirs late, together with the end, because an idle server has finished the answer by
	// then.
	first float64
	// follows is the power to which a request's cost grows with how much slower it is than
	// others of its class and tokens: 0 if that is waiting, 1 if it is work.
	follows      float64
	share, error float64 // the share's standard error
	loss         float64 // mean |ln| between the quantiles of played and recorded times
}

const (
	// bucketCalls is how many calls are played, in pieces of pieceCalls each.
	bucketCalls = 4000
	pieceCalls  = 200
	// bucketSeeds is how often each is played, with other phases of the periods each time.
	bucketSeeds = 2
	// bucketGroups is how many groups of pieces show how much the share scatters.
	bucketGroups = 5
	// fewerGain is how much better a smaller number of threads or slots has to explain the log
	// than a larger one, as a share of the loss.
	fewerGain = 0.05
	// farOff bounds what one quantile adds to the loss. It also says when to take nothing from
	// the log: pods that answer nothing for seconds are not slow because of the quota.
	farOff = 0.5
)

// shares are the shares of a period's budget that are tried. Of each 5 ms slice that the
// kernel hands out, up to 1 ms stays on a CPU that the threads left, and more stays for a
// while.
var shares = []float64{1, 0.975, 0.95, 0.925, 0.9, 0.875, 0.85, 0.825, 0.8}

// piece is consecutive calls of one server, the first of which found the server idle.
type piece struct {
	requests []plant.Request
	took     []float64 // recorded, seconds; NaN = not compared
	first    []float64
	own      []plant.ServiceTime // at full speed, with their cost by class and tokens
	by       []float64           // how many times slower they are than others like them
	class    []int8              // by backlog, which depends on the arrivals alone
}

// bucketPlayed plays pieces of the log under a quota and compares the upper half of the
// requests' times. It compares them by how much work had arrived recently: the backlog, in
// mean requests' cost, of a bucket that leaks at the limit, so it depends on arrivals alone.
// Calls behind a backlog of two periods are left out, because there chance in the first of
// them decides.
func bucketPlayed(s *service, law plant.Law, own func(i int) (plant.ServiceTime, float64), untold bucket) bucket {
	pieces := piecesOf(s, &law.Quota, own)
	b, most := untold, untold.threads
	if len(pieces) < 2*bucketGroups {
		return b
	}
	streams := s.streams()
	loss := func(b bucket, some func(k int) bool) float64 {
		return piecesLoss(pieces, &b, b.law(law), some, streams)
	}
	all := func(int) bool { return true }
	b.loss = loss(b, all)
	try := func(c bucket, need float64) {
		if c.loss = loss(c, all); c.loss < b.loss*(1-need) {
			b = c
		}
	}
	threads := []int{1, 2, 4, most}
	for _, share := range []float64{1, 0.92, 0.85} {
		for _, n := range threads {
			from := untold
			from.threads, from.share = min(n, most), share
			try(from, 0)
		}
	}
	if streams {
		for from, k := b, 0.85; k > 0.3; k -= 0.15 {
			from.first = k
			try(from, 0)
		}
	}
	for _, k := range []float64{0, 0.5, 1} {
		from := b
		from.follows = k
		try(from, fewerGain)
	}
	for from, n := b, b.threads; n < most; n = max(n+1, n*3/2) {
		from.slots = n
		try(from, fewerGain)
	}
	// Threads and share can stand in for each other, so try each number of threads with its own
	// best share.
	for _, n := range threads {
		from := b
		if from.threads = n; n > b.slots {
			break
		}
		for _, share := range shares {
			from.share = share
			try(from, 0)
		}
	}
	if b.loss > farOff/2 {
		return untold
	}
	// Fit the share for each group of pieces: its mean, and how much it scatters.
	var each []float64
	for g := range bucketGroups {
		best, at := math.Inf(1), 1.0
		for _, share := range shares {
			c := b
			c.share = share
			if l := loss(c, func(k int) bool { return k%bucketGroups == g }); l < best {
				best, at = l, share
			}
		}
		each = append(each, at)
	}
	mean, sq := meanOf(each), 0.0
	for _, x := range each {
		sq += (x - mean) * (x - mean)
	}
	b.error = math.Sqrt(sq / float64(len(each)-1) / float64(len(each)))
	b.share = mean
	if 1-mean < 2*b.error {
		b.share = 1
	}
	return b
}

// law returns l with the bucket's threads, slots and share.
func (b *bucket) law(l plant.Law) plant.Law {
	mean := meanTotal(l.Times)
	l.Rate = make([]float64, b.slots+1)
	for i := range l.Rate {
		l.Rate[i] = float64(min(i, b.threads)) / mean
	}
	l.Quota.Share = b.share
	return l
}

// piecesOf cuts the servers' calls into pieces and returns some of them, spread evenly over
// servers and time.
func piecesOf(s *service, q *plant.Quota, own func(i int) (plant.ServiceTime, float64)) []piece {
	var all []piece
	unit := max(q.Cores*quotaPeriod, q.Each)
	for k := range s.servers {
		calls := s.servers[k].calls
		var p piece
		backlog, last, end := 0.0, math.Inf(-1), math.Inf(-1)
		for _, i := range calls {
			c := &s.calls[i]
			if len(p.requests) >= pieceCalls && c.sent > end+quotaPeriod {
				all, p = append(all, p), piece{}
			}
			backlog = max(0, backlog-(q.Cores-q.Base)*(c.sent-last))
			last, end = c.sent, max(end, c.done)
			t, by := own(i)
			backlog += q.Each * t.Work
			class := int8(min(4, backlog/unit*2))
			took, first := math.NaN(), math.NaN()
			if c.ok && class < 4 {
				took, first = c.done-c.sent, c.first-c.sent
			}
			p.requests = append(p.requests, plant.Request{At: c.sent, Index: len(p.requests), Class: c.class})
			p.took, p.first, p.class = append(p.took, took), append(p.first, first), append(p.class, class)
			p.own, p.by = append(p.own, t), append(p.by, by)
		}
		if len(p.requests) >= pieceCalls/2 {
			all = append(all, p)
		}
	}
	return thin(all, bucketCalls/pieceCalls)
}

// piecesLoss returns how far a law is off on some of the pieces: the mean |ln| between the
// upper halves of the played and the recorded times, by class of backlog. It compares the
// times to the end and, if answers stream, those to the first token.
func piecesLoss(pieces []piece, b *bucket, law plant.Law, some func(k int) bool, streams bool) float64 {
	worth, calls := 0.0, 0.0
	for k := range pieces {
		p := &pieces[k]
		for j := range p.own {
			worth, calls = worth+p.own[j].Work*math.Pow(p.by[j], b.follows), calls+1
		}
	}
	var played, recorded [2][4][]float64
	for k := range pieces {
		if !some(k) {
			continue
		}
		p := &pieces[k]
		for j, class := range p.class {
			if took := p.took[j]; took > 0 {
				recorded[0][class] = append(recorded[0][class], took)
				recorded[1][class] = append(recorded[1][class], p.first[j])
			}
		}
		for j := range p.requests {
			t := p.own[j]
			t.First, t.Work = t.First*b.first, t.Work*math.Pow(p.by[j], b.follows)*calls/worth
			p.requests[j].Time = t
		}
		for seed := range bucketSeeds {
			law.Serve(p.requests, uint64(k*bucketSeeds+seed+1), func(j int, first, took float64) {
				if p.took[j] > 0 {
					played[0][p.class[j]] = append(played[0][p.class[j]], took)
					played[1][p.class[j]] = append(played[1][p.class[j]], first)
				}
			})
		}
	}
	sum, n := 0.0, 0.0
	for what := range played {
		if what == 1 && !streams {
			break
		}
		for class := range played[what] {
			was, is := recorded[what][class], played[what][class]
			if len(was) < 30 {
				continue
			}
			slices.Sort(was)
			slices.Sort(is)
			for q := 0.5; q < 0.985; q += 0.02 {
				sum += min(farOff, math.Abs(math.Log(quantileOf(is, q)/quantileOf(was, q))))
				n++
			}
		}
	}
	return sum / max(1, n)
}

// quantileOf is the q quantile (0 ≤ q ≤ 1) of a sorted, non-empty list, at least 1e-6 so that its logarithm exists.
func quantileOf(sorted []float64, q float64) float64 {
	return max(1e-6, sorted[min(len(sorted)-1, int(q*float64(len(sorted))))])
}

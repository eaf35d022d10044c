package sim

import (
	"math"
	"math/rand/v2"
)

// Quota is a container under a CPU limit, as the kernel's bandwidth control runs it. In each period
// of 100 ms, whose phase is the pod's own, it runs at full speed until its quota is spent, then it
// is stopped until the next period. Requests share the threads evenly.
type Quota struct {
	Limit   float64 // cores
	Threads int     // requests that run at once at full speed, a core each
	Idle    float64 // cores of the quota that the pod burns by itself
	Work    Work    // in core-seconds
	Most    int     // requests inside at once; 0 = any number
}

const quotaPeriod = 0.1

// Word is "quota".
func (q *Quota) Word() string { return "quota" }

// Places is how many requests it holds at once; 8 is assumed for fewer or for no bound.
func (q *Quota) Places() int { return max(q.Most, 8) }

// Server returns an idle server.
func (q *Quota) Server(r *rand.Rand) server {
	s := &throttled{spec: q, r: r, budget: (q.Limit - q.Idle) * quotaPeriod}
	s.phase = r.Float64() * quotaPeriod
	return s
}

type throttled struct {
	inside
	spec   *Quota
	r      *rand.Rand
	phase  float64
	now    float64
	until  float64 // end of the period under way
	budget float64 // core-seconds left in it
}

func (s *throttled) take(now float64, q *request) {
	s.spec.Work.of(s.r, q)
	q.left, q.first = q.own, math.Inf(1)
	if s.spec.Most > 0 && len(s.busy) >= s.spec.Most {
		s.queue.push(q)
		return
	}
	q.start = now
	s.busy = append(s.busy, q)
}

// pace is the number of cores that each request inside gets while the quota lasts.
func (s *throttled) pace() float64 {
	return min(1, float64(s.spec.Threads)/float64(len(s.busy)))
}

func (s *throttled) next() float64 {
	if len(s.busy) == 0 {
		return math.Inf(1)
	}
	if s.budget <= 1e-12 {
		return s.until
	}
	n := float64(len(s.busy))
	return min(s.now+max(0, s.least())/s.pace(), s.now+s.budget/(s.pace()*n), s.until)
}

func (s *throttled) advance(now float64) {
	for len(s.busy) > 0 {
		if s.until <= s.now {
			s.refill()
		}
		at := s.next()
		if at > now {
			break
		}
		s.work(at)
		s.settle(at, s.spec.Most)
	}
	s.work(now)
	if s.until <= now {
		s.refill()
	}
}

// refill starts the period that contains now.
func (s *throttled) refill() {
	k := math.Floor((s.now-s.phase)/quotaPeriod+1e-9) + 1
	s.until = s.phase + k*quotaPeriod
	s.budget = (s.spec.Limit - s.spec.Idle) * quotaPeriod
}

func (s *throttled) work(now float64) {
	if n := len(s.busy); n > 0 && s.budget > 1e-12 {
		d := (now - s.now) * s.pace()
		for _, q := range s.busy {
			q.left -= d
		}
		s.burnt += d * float64(n)
		s.budget = max(0, s.budget-d*float64(n))
	}
	s.now = now
}

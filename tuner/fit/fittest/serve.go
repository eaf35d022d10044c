package fittest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hpatune/hpatune/results"
)

// Serve is pods without an autoscaler, simulated millisecond by millisecond. Zero fields have
// no effect.
type Serve struct {
	Seconds float64
	Rate    func(t float64) float64 // requests per second; > 0
	Pods    func(t float64) int     // ready at t, at least 1; nil = 1. A pod is created 20 s before it is ready
	Slots   int                     // requests at once; 0 = no bound
	// Own is what a request takes by itself, in seconds: to the first token and to the end.
	// nil = 0.2 s, then 40 ms per token, 1 to 20 tokens, each give or take a tenth.
	Own   func(r *rand.Rand) (first, total float64, tokens int)
	Young func(age float64) float64 // how many times as long it takes at a pod of this age since readiness; nil = 1
	Slow  func(running int) float64 // how many times as long it takes with this many; nil = 1

	// A CPU limit of Limit cores. A pod at rest uses Idle cores, and each request in service
	// uses Density cores; 0 = none.
	Limit, Idle, Density float64
	// Share is the share of a period's budget that a pod gets if it was not throttled when the
	// period began; 0 = all.
	Share float64
	// ByWork: a request uses Density for each second of its own work, however long that takes
	// beside other requests.
	ByWork bool

	Patience float64 // seconds until a client gives up; 0 = never
	Pick     string  // random, turns, least (inside), waiting (the shortest queue), pinned; "" = turns
	Pools    int     // of connections, for pinned
	Age      float64 // of a connection in seconds, for pinned
	Streams  bool
	Hidden   bool // no response header
	Seed     uint64
}

type serving struct {
	q            *results.Request
	left, before float64 // own seconds to the end, and to the first token
	got          bool
	sent         float64
	conn         *connection
}

type connection struct {
	pod  int
	busy bool
}

type lane struct {
	idle  []*connection
	until float64
}

type servePod struct {
	ready, phase, budget, burnt float64
	running, queue              []*serving
}

// Run simulates the load and returns what was recorded: requests, lives of pods, CPU samples
// every 15 s.
func (s Serve) Run() *results.Run {
	const dt, period, scrape = 0.001, 0.1, 15.0
	r := rand.New(rand.NewPCG(s.Seed, 77))
	if s.Own == nil {
		s.Own = func(r *rand.Rand) (float64, float64, int) {
			n := 1 + r.IntN(20)
			first := 0.2 * (0.9 + 0.2*r.Float64())
			return first, first + 0.04*float64(n)*(0.9+0.2*r.Float64()), n
		}
	}
	if s.Slow == nil {
		s.Slow = func(int) float64 { return 1 }
	}
	if s.Pods == nil {
		s.Pods = func(float64) int { return 1 }
	}
	run := &results.Run{Meta: results.Meta{Run: "serve", Classes: []string{"only"}, DurationS: s.Seconds,
		Stages: []results.StageInfo{{Name: "all", ToS: s.Seconds}},
		Target: results.Target{Kind: "fixed", Streams: s.Streams}, Workload: results.Workload{CPUMilli: 500,
			MemoryBytes: 1 << 30, CPULimitMilli: int64(s.Limit * 1000)}}}
	if s.Pick == "pinned" {
		run.Profile = fmt.Appendf(nil, "target: {url: \"http://127.0.0.1:8000/\"}\nconnections: {mode: realistic, "+
			"pools: %d, max_age: %gs}\nstages: [{name: all, rate: 1/s, duration: 1m}]\n", s.Pools, s.Age)
		run.Meta.Target.Connections = "realistic"
	}
	var pods []*servePod
	born := func(at float64, old bool) {
		p := &servePod{ready: at, phase: r.Float64() * period}
		name := fmt.Sprintf("pod-%d", len(pods))
		created := at - 20
		if old {
			created = -600
		}
		for i, ph := range []results.PodPhase{results.PodCreated, results.PodScheduled, results.PodStarted,
			results.PodReady} {
			run.Pods = append(run.Pods, results.Pod{At: Dur(created + float64(i)*20/3), Name: name, Phase: ph, Backend: ""})
		}
		run.Meta.Backends = append(run.Meta.Backends, results.Backend{Name: name})
		pods = append(pods, p)
	}
	for range s.Pods(0) {
		born(0, true)
		pods[len(pods)-1].ready = -600
	}
	alive := len(pods)
	lanes := make([]lane, max(1, s.Pools))
	turn := 0
	next := r.ExpFloat64() / s.Rate(0)
	all := map[int]*serving{}
	pick := func(now float64) (int, *connection, bool) {
		switch s.Pick {
		case "random":
			return r.IntN(alive), nil, false
		case "least", "waiting":
			size := func(k int) int {
				if n := len(pods[k].running) + len(pods[k].queue); s.Pick == "least" {
					return n
				} else {
					return max(0, n-s.Slots)
				}
			}
			first := r.IntN(alive) // breaks ties
			best := first
			for i := range alive {
				if k := (first + i) % alive; size(k) < size(best) {
					best = k
				}
			}
			return best, nil, false
		case "pinned":
			l := &lanes[turn%len(lanes)]
			turn++
			if now > l.until {
				life := 0.75 + 0.25*r.Float64()
				if l.until == 0 {
					life = r.Float64()
				}
				*l = lane{until: now + life*s.Age}
			}
			for i := len(l.idle) - 1; i >= 0; i-- {
				if c := l.idle[i]; !c.busy {
					c.busy = true
					return c.pod, c, false
				}
			}
			c := &connection{pod: r.IntN(alive), busy: true}
			l.idle = append(l.idle, c)
			return c.pod, c, true
		}
		turn++
		return turn % alive, nil, false
	}
	end := func(x *serving, now float64, o results.Outcome) {
		x.q.Done, x.q.Outcome = Dur(now), o
		if o != results.OK {
			x.q.Tokens, x.q.Code = 0, 0
		}
		if x.conn != nil {
			x.conn.busy = false
		}
	}
	for step := 0; ; step++ {
		now := float64(step) * dt
		if now > s.Seconds+600 || now > s.Seconds && !slices.ContainsFunc(pods,
			func(p *servePod) bool { return len(p.running)+len(p.queue) > 0 }) {
			break
		}
		if want := s.Pods(now); want > len(pods) {
			born(now, false)
			alive++
		}
		for ; next <= now && next < s.Seconds; next += r.ExpFloat64() / s.Rate(next) {
			k, c, opened := pick(now)
			first, total, tokens := s.Own(r)
			q := results.Request{Arrival: len(all), Scheduled: Dur(next), Sent: Dur(next), First: results.NotYet,
				Last: results.NotYet, Tokens: tokens,
				TokensFrom: results.TokensUsage, Backend: int32(k), Err: -1, Code: 200, NewConn: opened}
			if s.Hidden {
				q.Backend = -1
			}
			x := &serving{q: &q, left: total, before: first, sent: next, conn: c}
			all[q.Arrival] = x
			pods[k].queue = append(pods[k].queue, x)
		}
		for _, p := range pods {
			if math.Mod(now+p.phase, period) < dt {
				budget := s.Limit * period
				if s.Share > 0 && p.budget > 1e-9 {
					budget *= s.Share
				}
				p.budget = budget
			}
			p.queue = slices.DeleteFunc(p.queue, func(x *serving) bool {
				if s.Patience > 0 && now-x.sent >= s.Patience {
					end(x, now, results.Timeout)
					return true
				}
				return false
			})
			for len(p.queue) > 0 && (s.Slots == 0 || len(p.running) < s.Slots) {
				p.running, p.queue = append(p.running, p.queue[0]), p.queue[1:]
			}
			speed := 1.0
			if s.Young != nil {
				speed = 1 / s.Young(now-p.ready)
			}
			if n := len(p.running); n > 0 {
				speed /= s.Slow(n)
			}
			burn := (s.Idle + s.Density*float64(len(p.running))) * dt
			if s.ByWork {
				burn = (s.Idle + s.Density*float64(len(p.running))*speed) * dt
			}
			if s.Limit > 0 {
				if p.budget < burn {
					burn, speed = max(0, p.budget), speed*max(0, p.budget)/burn
				}
				p.budget -= burn
			}
			p.burnt += burn
			p.running = slices.DeleteFunc(p.running, func(x *serving) bool {
				x.left, x.before = x.left-dt*speed, x.before-dt*speed
				if x.before <= 0 && !x.got {
					x.got = true
					if s.Streams {
						x.q.First = Dur(now)
					}
				}
				switch {
				case x.left <= 0:
					x.q.Last = x.q.First
					if s.Streams {
						x.q.Last = Dur(now)
					}
					end(x, now, results.OK)
					return true
				case s.Patience > 0 && now-x.sent >= s.Patience:
					end(x, now, results.Timeout)
					return true
				}
				return false
			})
		}
		if at := math.Mod(now, scrape); at < dt && now > 1 && now < s.Seconds {
			for i, p := range pods {
				if p.ready <= now-scrape {
					run.Samples = append(run.Samples, results.Sample{
						At:     Dur(now + 1),
						Source: "metrics.k8s.io",
						Name:   "cpu_milli",
						Pod: fmt.Sprintf(
							"pod-%d",
							i,
						),
						Value:     1000 * p.burnt / scrape,
						Window:    15 * time.Second,
						SampledAt: Dur(math.Floor(now)),
					})
				}
				p.burnt = 0
			}
		}
	}
	for i := range len(all) {
		run.Requests = append(run.Requests, *all[i].q)
	}
	if s.Hidden {
		run.Meta.Backends = nil
	}
	slices.SortStableFunc(run.Pods, func(a, b results.Pod) int { return int(a.At - b.At) })
	return run
}

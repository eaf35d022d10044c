package gen

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// New returns scenario number n of a seed. The same two numbers always give the same bytes.
func New(seed, n uint64) *Scenario {
	w := &writer{dice: dice{rand.New(rand.NewPCG(seed, n))}}
	return w.scenario(fmt.Sprintf("s%d-%d", seed, n))
}

// A writer writes one scenario, and remembers what it has chosen so far.
type writer struct {
	dice
	s        *Scenario
	spec     *spec
	zero     bool
	sync     int64 // ms
	at, due  int64 // ms: of the last observation, and of the queue's next entry
	clashes  []int64
	exact    bool // each tick is exactly one sync period
	up, down float64
	cpuInit  int64 // s
	delay    int64 // s
	size     int   // how many pods the load needs
	walk     string
	pods     []Pod
	serial   int
	per      []Container // requests of the default containers
	trouble  float64     // how often something fails
	stopped  bool        // scaled to zero by hand
	silent   bool        // the observation's edit triggers no reconcile of its own
}

func (w *writer) scenario(id string) *Scenario {
	s := &Scenario{ID: id, Start: "2000-01-01T01:00:00Z"}
	w.s, w.zero = s, w.chance(0.2)
	w.spec = w.newSpec(w.zero)
	s.HPA = w.spec.manifest()
	w.flags()
	if w.zero && w.chance(0.15) && w.spec.min > 0 || w.chance(0.02) && w.spec.min > 0 {
		s.FeatureGates = map[string]bool{"HPAScaleToZero": false}
		w.zero = false // then an edit must not ask for 0
	}
	w.containers()
	w.size = w.in(max(w.spec.min, 1), min(w.spec.max, 30))
	if w.size < 1 {
		w.size = 1
	}
	s.InitialReplicas = int32(w.size)
	switch {
	case w.zero && w.chance(0.4):
		s.InitialReplicas, w.stopped = 0, w.chance(0.3)
	case w.chance(0.1):
		s.InitialReplicas = int32(w.in(0, 40))
	}
	if s.InitialReplicas == 0 || w.chance(0.1) {
		st := &InitialState{CurrentReplicas: s.InitialReplicas, DesiredReplicas: s.InitialReplicas}
		if w.chance(0.8) {
			st.Conditions = append(
				st.Conditions,
				Condition{Type: "ScaledToZero", Status: one(w.dice, "True", "True", "True", "False"), Reason: "ScaledToZero"},
			)
		}
		if w.chance(0.3) {
			st.LastScaleTime = ref(float64(-w.in(1, 600)))
		}
		s.InitialState = st
	}
	w.past()
	w.walk = one(w.dice, "steady", "ramp", "wave", "spike", "random", "random")
	w.trouble = one(w.dice, 0, 0, 0.03, 0.15)
	n := w.in(6, 36)
	for i := range n {
		s.Observations = append(s.Observations, w.observation(i, n))
	}
	return s
}

// past gives some controllers a memory. At the first observation, some of its entries are
// exactly as old as windows and periods are long.
func (w *writer) past() {
	if w.chance(0.8) {
		return
	}
	s := w.s
	if s.InitialState == nil {
		s.InitialState = &InitialState{CurrentReplicas: s.InitialReplicas, DesiredReplicas: s.InitialReplicas}
	}
	for range w.in(0, 6) {
		s.InitialState.Recommendations = append(
			s.InitialState.Recommendations,
			Recommendation{
				At:       -float64(one(w.dice, w.seconds(), 300, w.in(1, 400))),
				Replicas: int32(max(0, w.size+w.in(-4, 6))),
			},
		)
	}
	for _, list := range []*[]Change{&s.InitialState.ScaleUpEvents, &s.InitialState.ScaleDownEvents} {
		for range one(w.dice, 0, 1, 2, 4) {
			*list = append(*list, Change{At: -float64(w.seconds()), Change: int32(w.in(1, 6))})
		}
	}
}

// flags picks the controller's flags.
func (w *writer) flags() {
	w.sync, w.up, w.down, w.cpuInit, w.delay = 15000, 0.1, 0.1, 300, 30
	if w.chance(0.5) {
		c := &Controller{}
		if w.chance(0.3) {
			c.Tolerance = ref(one(w.dice, 0, 0.05, 0.2, 0.5, 1, float64(w.in(0, 50))/100))
			w.up, w.down = *c.Tolerance, *c.Tolerance
		}
		if w.chance(0.7) {
			c.DownscaleStabilization = ref(
				Duration(time.Duration(one(w.dice, 0, 0, 0, 1, 15, 30, 30, 60, 60, 90, 120, w.in(0, 300))) * time.Second),
			)
		}
		if w.chance(0.4) {
			w.cpuInit = int64(one(w.dice, 0, 15, 60, 120, 600))
			c.CPUInitializationPeriod = ref(Duration(time.Duration(w.cpuInit) * time.Second))
		}
		if w.chance(0.4) {
			w.delay = int64(one(w.dice, 0, 10, 15, 60, 120))
			c.InitialReadinessDelay = ref(Duration(time.Duration(w.delay) * time.Second))
		}
		if w.chance(0.15) {
			w.sync = int64(one(w.dice, 1, 5, 10, 20, 30, 60)) * 1000
			c.SyncPeriod = ref(Duration(time.Duration(w.sync) * time.Millisecond))
		}
		w.s.Controller = c
	}
	w.exact = w.chance(0.5)
	if w.spec.up > 0 {
		w.up = w.spec.up
	}
	if w.spec.down > 0 {
		w.down = w.spec.down
	}
}

// containers picks the requests of ordinary pods.
func (w *writer) containers() {
	w.per = []Container{
		{
			Name:        "app",
			CPUMilli:    ref(int64(one(w.dice, 100, 200, 250, 1000, 10, w.in(1, 4000)))),
			MemoryBytes: ref(int64(one(w.dice, 1<<20, 100_000_000, 256<<20, w.in(1, 1<<30)))),
		},
	}
	if w.chance(0.25) {
		w.per = append(
			w.per,
			Container{Name: "proxy", CPUMilli: ref(int64(w.in(1, 300))), MemoryBytes: ref(int64(w.in(1, 1<<28)))},
		)
	}
	if w.chance(0.2) {
		w.per = append(
			w.per,
			Container{
				Name:        "helper",
				Sidecar:     true,
				CPUMilli:    ref(int64(w.in(1, 300))),
				MemoryBytes: ref(int64(w.in(1, 1<<28))),
			},
		)
	}
	if w.chance(0.15) {
		w.per = append(w.per, Container{Name: "setup", Init: true, CPUMilli: ref(int64(w.in(1, 9000)))})
	}
	if w.chance(0.06) {
		c := &w.per[w.IntN(len(w.per))]
		if w.chance(0.5) {
			c.CPUMilli = nil
		} else {
			c.MemoryBytes = nil
		}
	}
	if w.chance(0.02) {
		for i := range w.per {
			w.per[i].CPUMilli = ref(int64(0))
		}
	}
	w.s.Containers = w.per
}

// request returns how much of a resource an ordinary pod (or one container of it) requests,
// in thousandths.
func (w *writer) request(resource, container string) int64 {
	var sum int64
	for _, c := range w.per {
		if c.Init || container != "" && c.Name != container {
			continue
		}
		switch {
		case resource == "cpu" && c.CPUMilli != nil:
			sum += *c.CPUMilli
		case resource == "memory" && c.MemoryBytes != nil:
			sum += *c.MemoryBytes * 1000
		}
	}
	return sum
}

// observation writes observation i of n.
func (w *writer) observation(i, n int) Observation {
	var o Observation
	w.clock(i, &o)
	now := w.at / 1000 // whole seconds, as in the API

	switch w.walk {
	case "ramp":
		w.size += w.in(0, 2)
	case "wave":
		w.size = 1 + int((1+math.Sin(float64(i)/3))*float64(min(w.spec.max, 40))/2)
	case "spike":
		if i == n/3 {
			w.size *= 5
		} else if i == n/2 {
			w.size = max(1, w.size/6)
		}
	case "random":
		if w.chance(0.4) {
			w.size = w.in(0, min(w.spec.max, 40)+3)
		}
	}
	w.size = min(max(w.size, 0), 80)

	if i == 0 || w.chance(0.5) {
		w.makePods(now)
		ps := append([]Pod{}, w.pods...)
		if w.chance(0.01) {
			ps = []Pod{}
			w.pods = nil
		}
		o.Pods = &ps
	}
	w.values(&o, now)
	switch {
	case w.stopped && w.chance(0.5): // a user starts it again
		o.SpecReplicas, w.stopped = ref(int32(w.in(1, 20))), false
	case w.chance(0.05):
		o.SpecReplicas = ref(int32(one(w.dice, 0, 1, w.spec.min, w.spec.max%1000, w.spec.max%1000+1, w.in(0, 30))))
		w.stopped = *o.SpecReplicas == 0 && w.chance(0.8)
	}
	if w.chance(0.15) {
		o.StatusReplicas = ref(int32(max(0, len(w.pods)+one(w.dice, 0, 0, 1, -1, 3, -1000))))
	}
	if w.chance(w.trouble * 0.4) {
		o.ScaleGetError = one(w.dice, "the server could not find the requested resource", "etcdserver: request timed out")
	}
	if w.chance(w.trouble * 0.6) {
		o.UpdateError = one(w.dice, "admission webhook denied the request", "context deadline exceeded")
	}
	// On a silent edit, whether there is a status to write depends on a generation that
	// the scenario does not have; see clock.
	if w.chance(w.trouble*0.4) && !w.silent {
		o.StatusError = "etcdserver: leader changed"
	}
	if w.chance(w.trouble * 0.2) {
		o.Selector = ref(one(w.dice, "", "app=web=x", "app in (web, api),tier notin (x)", "!gone", "app=other", "app!=web"))
	}
	return o
}

// clock sets the time of observation i, and whether an edit or a restart comes with it.
func (w *writer) clock(i int, o *Observation) {
	prev := w.at
	conflict := len(w.clashes) > 0 && w.clashes[len(w.clashes)-1] == prev && i > 0
	extra := int64(0)
	if !w.exact {
		extra = int64(one(w.dice, 1, 3, 3, 10, 50, w.in(1, 900)))
	}
	if conflict {
		extra += 100
	}
	immediate := false
	switch {
	case i == 0:
		w.at = int64(one(w.dice, 0, 0, 0, 7000))
	case w.chance(0.05):
		o.HPA = w.edited()
		earliest := prev + 150
		if immediate = earliest < w.due-1 && w.chance(0.6); immediate {
			w.at = earliest + w.Int64N(w.due-1-earliest)
			if w.exact && w.chance(0.7) && (w.at/1000)*1000 > earliest {
				w.at = w.at / 1000 * 1000
			}
		} else {
			w.at = w.due + extra
		}
	case w.chance(0.02):
		o.Restart = true
		w.at = max(w.due, prev+300) + extra
		if w.chance(0.3) {
			w.at += int64(w.in(1, 120)) * 1000
			if w.chance(0.3) {
				o.HPA = w.edited()
			}
		}
	case w.chance(0.01):
		w.at = w.due + extra + int64(w.in(1, 400))*1000 // the API server was unavailable
	default:
		w.at = w.due + extra
	}
	// A write after conflicts has a time up to 45 ms late. No whole-second window may end
	// in that gap, because the scenario could not say what is right there.
	for again := true; again && !immediate; {
		again = false
		for _, c := range w.clashes {
			if r := (w.at - c) % 1000; r < 50 {
				w.at += 50 - r
				again = true
			}
		}
	}
	if immediate {
		for _, c := range w.clashes {
			if (w.at-c)%1000 < 50 { // move the edit to the next tick
				w.at, immediate = w.due+extra+100, false
				for _, c := range w.clashes {
					if r := (w.at - c) % 1000; r < 50 {
						w.at += 50 - r
					}
				}
				break
			}
		}
	}
	o.At = ref(float64(w.at) / 1000)
	w.silent = o.HPA != nil && !immediate && !o.Restart
	if !immediate {
		w.due = w.at + w.sync
	}
	if w.chance(w.trouble*0.4) && !immediate {
		o.Conflicts = one(w.dice, 1, 2, 4, 5, 7)
		w.clashes = append(w.clashes, w.at)
		w.due = w.at + w.sync + 100
	}
}

func (w *writer) edited() json.RawMessage {
	w.spec = w.edit(w.spec, w.zero)
	return w.spec.manifest()
}
